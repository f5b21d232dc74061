/* Differences -> which of them count as corrupted, the classes of their values, their sizes. */
#include "characterise/characterise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "characterise/priv.h"

static uint32_t bits_of(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

/* ---- Finding the differences -------------------------------------------------------------------------
 * Most of a faulty tensor equals the golden one: 16 elements, a cache line, are compared at once, and only
 * those that differ are looked at again. */

enum { PART = 16 };

struct diff_list {
    size_t n, room;
    struct difference *d;
};

/* Room for one part more. */
static void diff_grow(struct diff_list *l, struct arena *a)
{
    l->room = l->room ? 2 * l->room : 256;
    struct difference *grown = arena_array(a, l->room, sizeof *grown);
    if (l->n)
        memcpy(grown, l->d, l->n * sizeof *grown);
    l->d = grown;
}

/* Bit i: whether element i of a part differs. */
static inline uint32_t differing(const float *golden, const float *faulty)
{
#ifdef __SSE2__
    __m128i same[4];
    for (int i = 0; i < 4; i++)
        same[i] = _mm_cmpeq_epi32(_mm_loadu_si128((const __m128i *)(const void *)(golden + 4 * i)),
                                  _mm_loadu_si128((const __m128i *)(const void *)(faulty + 4 * i)));
    const __m128i halves =
        _mm_packs_epi16(_mm_packs_epi32(same[0], same[1]), _mm_packs_epi32(same[2], same[3]));
    return (uint32_t)_mm_movemask_epi8(halves) ^ 0xffff;
#else
    uint32_t mask = 0;
    for (int i = 0; i < PART; i++)
        mask |= (uint32_t)(bits_of(golden[i]) != bits_of(faulty[i])) << i;
    return mask;
#endif
}

size_t characterise_diff(struct difference **out, struct arena *a, const float *golden,
                         const float *faulty, size_t n)
{
    struct diff_list l = {0};
    const size_t whole = n / PART * PART;
    for (size_t i = 0; i < n; i += PART) {
        uint32_t mask = 0;
        if (i < whole)
            mask = differing(golden + i, faulty + i);
        else
            for (size_t k = i; k < n; k++)
                mask |= (uint32_t)(bits_of(golden[k]) != bits_of(faulty[k])) << (k - i);
        if (mask && l.room - l.n < PART)
            diff_grow(&l, a);
        for (; mask; mask &= mask - 1) {
            const size_t e = i + (size_t)__builtin_ctz(mask);
            l.d[l.n++] = (struct difference){(uint32_t)e, golden[e], faulty[e]};
        }
    }
    *out = l.d;
    return l.n;
}

static int by_index(const void *x, const void *y)
{
    uint32_t a = ((const struct difference *)x)->index, b = ((const struct difference *)y)->index;
    return (a > b) - (a < b);
}

void characterise_from_nhwc(struct difference *d, size_t n, const size_t dim[4])
{
    size_t c = dim[1], hw = dim[2] * dim[3];
    for (size_t i = 0; i < n; i++) {
        size_t at = d[i].index;
        d[i].index = (uint32_t)((at / c / hw * c + at % c) * hw + at / c % hw);
    }
    if (n)
        qsort(d, n, sizeof *d, by_index);
}

struct value_range characterise_range(const float *golden, size_t n)
{
    struct value_range r = {INFINITY, -INFINITY};
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(golden[i]))
            continue;
        r.min = golden[i] < r.min ? golden[i] : r.min;
        r.max = golden[i] > r.max ? golden[i] : r.max;
    }
    return r.min <= r.max ? r : (struct value_range){0, 0};
}

bool characterise_counts(const struct difference *d, const struct char_options *o)
{
    if (o->compat) {
        float difference = d->faulty - d->golden;
        return o->almost_same ? difference != 0 : fabsf(difference) >= (float)o->epsilon;
    }
    if (bits_of(d->golden) == bits_of(d->faulty))
        return false;
    return !(fabs((double)d->faulty - (double)d->golden) < o->epsilon); /* NaN counts */
}

static bool one_bit(const struct difference *d)
{
    uint32_t x = bits_of(d->golden) ^ bits_of(d->faulty);
    return x && (x & (x - 1)) == 0;
}

static enum value_class class_of(const struct difference *d, struct value_range golden,
                                 const struct char_options *o)
{
    if (!isfinite(d->faulty))
        return VALUE_NAN;
    if (o->compat) {
        if (d->golden == d->faulty)
            return VALUE_SAME;
        if ((double)fabsf(d->golden - d->faulty) < o->epsilon)
            return o->almost_same ? VALUE_ALMOST_SAME : VALUE_SAME;
    }
    if (d->faulty == 0)
        return VALUE_ZERO;
    if (one_bit(d))
        return VALUE_FLIP;
    return d->faulty >= golden.min && d->faulty <= golden.max ? VALUE_IN_RANGE : VALUE_OUT_OF_RANGE;
}

static double per_scale_of(struct value_range golden)
{
    const double range = (double)golden.max - (double)golden.min;
    return range > 0 ? 1 / range : 1;
}

static int bin_of(double difference, double per_scale)
{
    double x = fabs(difference) * per_scale;
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    int bin =
        (int)(u >> 52 & 2047) - 1023 - CHAR_BIN_0; /* x >= 0: the exponent of a subnormal is far
                                                          * below the first bin anyway */
    return bin < 0 ? 0 : bin >= CHAR_BINS ? CHAR_BINS - 1 : bin;
}

int characterise_exponent(double difference, struct value_range golden)
{
    return CHAR_BIN_0 + bin_of(difference, per_scale_of(golden));
}

static void add_magnitude(struct magnitudes *m, double difference, double per_scale)
{
    m->bin[bin_of(difference, per_scale)]++;
    m->positive += difference > 0;
}

/* k-th smallest (from 0) of v, which is reordered so that nothing before it is larger. The partition is
 * Lomuto's, without a branch on the comparison: on short random lists mispredictions are the cost. */
static double select_kth(double *v, size_t n, size_t k)
{
    size_t lo = 0, hi = n - 1;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2, less = lo;
        double pivot = v[mid];
        v[mid] = v[hi];
        for (size_t i = lo; i < hi; i++) {
            double x = v[i];
            v[i] = v[less];
            v[less] = x;
            less += x < pivot;
        }
        v[hi] = v[less];
        v[less] = pivot; /* v[lo..less) < pivot <= v(less..hi] */
        if (k == less)
            break;
        if (k < less) {
            hi = less - 1;
            continue;
        }
        bool lopsided = less - lo < (hi - lo) / 8;
        lo = less + 1;
        for (size_t i = lo; lopsided && i <= hi;
             i++) { /* values equal to the pivot: done with too */
            double x = v[i];
            v[i] = v[lo];
            v[lo] = x;
            lo += x == pivot;
        }
        if (k < lo)
            break;
    }
    return v[k];
}

static double median_log2(double *v, size_t n)
{
    if (n == 0)
        return NAN;
    double upper = select_kth(v, n, n / 2), lower = upper;
    if (n % 2 == 0) {
        lower = v[0];
        for (size_t i = 1; i < n / 2; i++)
            lower = v[i] > lower ? v[i] : lower;
    }
    return (log2(lower) + log2(upper)) / 2;
}

static void set_domain(struct characterisation *c, const uint64_t *first_seen, bool compat)
{
    enum value_class k[N_VALUES];
    size_t n = 0;
    for (int v = 0; v < N_VALUES; v++)
        if (c->value_count[v] && v != VALUE_SAME && v != VALUE_ALMOST_SAME)
            k[n++] = (enum value_class)v;
    if (n != 1 && n != 2)
        return; /* random */
    c->n_domain = (int)n;
    bool swap = n == 2 && (compat ? first_seen[k[1]] < first_seen[k[0]]
                                  : c->value_count[k[1]] > c->value_count[k[0]]);
    for (size_t i = 0; i < n; i++) {
        c->domain[i] = k[swap ? 1 - i : i];
        c->share[i][0] = c->share[i][1] = 100;
    }
    if (n == 1)
        return;
    double a = (double)c->value_count[c->domain[0]], b = (double)c->value_count[c->domain[1]];
    char_quantize(c->share[0], a / (a + b), 8);
    c->share[1][0] = 100 - c->share[0][1];
    c->share[1][1] = compat ? 100 : 100 - c->share[0][0];
}

/* Where the element comes in the file: NCHW index -> position in scan order. */
static uint64_t scan_position(const struct cells *x, uint64_t id, uint32_t at, bool nhwc)
{
    return nhwc ? (id / x->c * x->hw + at) * x->c + id % x->c : id * x->hw + at;
}

static struct cells cells_of_shape(const size_t dim[4], bool compat)
{
    return (struct cells){
        .c = dim[1], .h = dim[2], .w = dim[3], .hw = dim[2] * dim[3], .compat = compat};
}

void *char_alloc(struct scratch *s, size_t n, size_t size)
{
    size_t bytes =
        (n * size + 7) / 8 * 8; /* n: of elements or channels of a tensor that is there */
    if (bytes > sizeof s->bytes - s->used)
        return arena_array(&s->rest, n, size);
    void *p = s->bytes + s->used;
    s->used += bytes;
    return p;
}

static void cells_alloc(struct cells *x, struct scratch *s, size_t n, const size_t dim[4])
{
    size_t channels = dim[0] * dim[1];
    x->at = char_alloc(s, n, sizeof *x->at);
    x->channel = char_alloc(s, n < channels ? n : channels, sizeof *x->channel);
}

static void cells_add(struct cells *x, uint32_t index)
{
    struct channel *last = x->n_channels ? &x->channel[x->n_channels - 1] : NULL;
    if (!last || index >= (last->id + (size_t)1) * x->hw) {
        last = &x->channel[x->n_channels++];
        *last = (struct channel){index / (uint32_t)x->hw, (uint32_t)x->n, 0};
    }
    x->at[x->n++] = index - last->id * (uint32_t)x->hw;
    last->n++;
}

void characterise(struct characterisation *out, const struct difference *diffs, size_t n,
                  const size_t dim[4], struct value_range golden, const struct char_options *o)
{
    struct scratch s;
    struct cells x = cells_of_shape(dim, o->compat);
    uint64_t first_seen[N_VALUES];
    const double per_scale = per_scale_of(golden);
    size_t n_relative = 0;
    *out = (struct characterisation){.options = *o, .range = golden, .median_log2_rel = NAN};
    memset(first_seen, 255, sizeof first_seen);
    s.used = 0;
    s.rest = (struct arena){0};
    cells_alloc(&x, &s, n, dim);
    double *relative = char_alloc(&s, n, sizeof *relative);

    for (size_t i = 0; i < n; i++) {
        const struct difference *d = &diffs[i];
        if (!characterise_counts(d, o))
            continue;
        cells_add(&x, d->index);
        enum value_class class = class_of(d, golden, o);
        out->value_count[class]++;
        if (o->compat && (o->nhwc || out->value_count[class] == 1)) {
            uint64_t at = scan_position(&x, x.channel[x.n_channels - 1].id, x.at[x.n - 1], o->nhwc);
            first_seen[class] = at < first_seen[class] ? at : first_seen[class];
        }
        double difference = (double)d->faulty - (double)d->golden;
        double size = isnan(difference) ? (double)INFINITY : fabs(difference);
        out->max_abs_error = size > out->max_abs_error ? size : out->max_abs_error;
        if (d->golden != 0 && isfinite(d->golden) && isfinite(d->faulty) && size > 0)
            relative[n_relative++] = size / fabs((double)d->golden);
        if (class == VALUE_FLIP)
            out->flipped[__builtin_ctz(bits_of(d->golden) ^ bits_of(d->faulty))]++;
        else if (class == VALUE_IN_RANGE)
            add_magnitude(&out->in_range, difference, per_scale);
        else if (class == VALUE_OUT_OF_RANGE)
            add_magnitude(&out->out_of_range, difference, per_scale);
    }
    out->corrupted = x.n;
    out->channels = x.n_channels;
    if (x.n > 0) {
        char_spatial(out, &x, &s);
        set_domain(out, first_seen, o->compat);
        out->median_log2_rel = median_log2(relative, n_relative);
        if (o->compat) /* the original's count: all elements but those of another class */
            out->value_count[VALUE_SAME] = dim[0] * dim[1] * x.hw - x.n;
    }
    arena_fini(&s.rest);
}

enum value_class characterise_value(const struct difference *d, struct value_range golden,
                                    const struct char_options *o)
{
    return characterise_counts(d, o) ? class_of(d, golden, o) : VALUE_SAME;
}

enum pattern characterise_pattern(const uint32_t *index, size_t n, const size_t dim[4], bool compat)
{
    struct scratch s;
    struct characterisation c = {0};
    struct cells x = cells_of_shape(dim, compat);
    s.used = 0;
    s.rest = (struct arena){0};
    cells_alloc(&x, &s, n, dim);
    for (size_t i = 0; i < n; i++)
        cells_add(&x, index[i]);
    char_spatial(&c, &x, &s);
    arena_fini(&s.rest);
    return c.pattern;
}
