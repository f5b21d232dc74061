/* Draws as the fault generator of the CLASSES tools makes them (classes-pytorch), accidents included: cells drawn
 * with replacement, rectangles that are runs, values of flipped bits that are not exclusive-ored. Each function
 * is one pattern of theirs; FORMATS.md says what the accidents are. Only the distributions are the same: they
 * take their numbers from NumPy's generator. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/priv.h"

/* Uniform in [lo, hi]; lo if there is nothing between. */
static size_t between(struct rng *r, size_t lo, size_t hi)
{
    return hi > lo ? lo + (size_t)rng_below(r, hi - lo + 1) : lo;
}

static size_t whole(const struct settings *s, const char *name, size_t otherwise)
{
    double x = setting(s, name, (double)otherwise);
    return x > 0 ? (size_t)x : 0;
}

static void bounds(const struct settings *s, const char *name, double *lo, double *hi)
{
    *lo = 0;
    *hi = 100;
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->item[i].name, name) == 0) {
            *lo = s->item[i].lo;
            *hi = s->item[i].hi;
        }
}

/* A part of n, uniform between the percentages of a parameter, rounded half to even. */
static size_t part(struct rng *r, size_t n, const struct settings *s, const char *name)
{
    double lo, hi;
    bounds(s, name, &lo, &hi);
    return between(r, (size_t)nearbyint((double)n * lo / 100),
                   (size_t)nearbyint((double)n * hi / 100));
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static void put(struct canvas *to, size_t channel, size_t at)
{
    if (channel < to->c && at < to->hw && to->n < to->max)
        to->cell[to->n++] = (uint32_t)(channel * to->hw + at);
}

/* n of the first `of` numbers, none twice, in random order. */
static uint32_t *choose(struct canvas *to, size_t n, size_t of)
{
    uint32_t *x = arena_array(to->a, of, sizeof *x);
    for (size_t i = 0; i < of; i++)
        x[i] = (uint32_t)i;
    for (size_t i = 0; i < n; i++) {
        size_t j = between(to->r, i, of - 1);
        uint32_t t = x[i];
        x[i] = x[j];
        x[j] = t;
    }
    return x;
}

struct places {
    size_t n;
    uint32_t *at;
};

/* k places from 0, with gaps of lo to hi. Equal bounds: those below last. Else the last is always at last,
 * whatever the gaps allow. */
static struct places gaps(struct canvas *to, size_t k, size_t last, size_t lo, size_t hi)
{
    struct places p = {0, arena_array(to->a, k + 1, sizeof *p.at)};
    if (k <= 1) {
        p.n = k;
        return p;
    }
    if (lo >= hi) {
        for (size_t at = 0; at < last && p.n < k; at += lo)
            p.at[p.n++] = (uint32_t)at;
        return p;
    }
    const size_t n = k - 1, sum = lo * n, each = last >= sum ? hi - lo : lo;
    const size_t units = least(last >= sum ? last - sum : sum - last, n * each);
    const uint32_t *slot = choose(to, units, n * each);
    int64_t *gap = arena_array(to->a, n, sizeof *gap), at = 0;
    for (size_t i = 0; i < n; i++)
        gap[i] = (int64_t)lo;
    for (size_t i = 0; i < units; i++)
        gap[slot[i] / each] += last >= sum ? 1 : -1;
    p.n = 1;
    for (size_t i = 0; i < n; i++)
        p.at[p.n++] = (uint32_t)(at += gap[i]);
    return p;
}

struct spacing {
    const char *share, *min_skip, *max_skip, *most;
    size_t least;
};
static const struct spacing of_channels = {"affected_channels_pct", "min_channel_skip",
                                           "max_channel_skip", "max_corrupted_channels", 1};
static const struct spacing of_wakes = {"affected_channels_pct", "min_channel_skip",
                                        "max_channel_skip", "max_corrupted_channels", 2};

static struct places spaced(struct canvas *to, const struct settings *s, size_t n,
                            const struct spacing *by)
{
    size_t lo = whole(s, by->min_skip, 1), hi = whole(s, by->max_skip, 1);
    lo = lo ? lo : 1;
    size_t k = least(least(part(to->r, n, s, by->share), n / lo + 1), whole(s, by->most, n));
    k = k < least(n, by->least) ? least(n, by->least) : k;
    const size_t steps = k ? k - 1 : 0, span = lo * steps;
    const size_t start = n > span ? between(to->r, 0, n - span - 1) : 0;
    struct places p = gaps(to, k, least(hi * steps, n - start - 1), lo, hi);
    for (size_t i = 0; i < p.n; i++)
        p.at[i] += (uint32_t)start;
    return p;
}

static void along_channel(struct canvas *to, const struct settings *s, size_t from, size_t n,
                          const char *share)
{
    const struct spacing by = {share, "min_value_skip", "max_value_skip", "max_cardinality", 1};
    const size_t channel = between(to->r, 0, to->c - 1);
    const struct places p = spaced(to, s, n, &by);
    for (size_t i = 0; i < p.n; i++)
        if (p.at[i] < n)
            put(to, channel, from + p.at[i]);
}

static void skip_4(struct canvas *to, const struct settings *s)
{
    const struct places ch = spaced(to, s, to->c, &of_channels);
    const size_t m = whole(s, "unique_channel_indexes", 2), used = between(to->r, 0, 3) + 4 * m;
    const size_t start = 4 * between(to->r, 0, to->hw > used ? (to->hw - used) / 4 : 0);
    double lo, hi;
    bounds(s, "indexes_corruption_pct", &lo, &hi);
    for (size_t c = 0; c < ch.n; c++)
        for (size_t i = 0; i < m;
             i++) { /* a percentage taken for a fraction: nearly all are kept */
            double keep = lo + (hi - lo) * rng_unit(to->r);
            if (rng_unit(to->r) < keep)
                put(to, ch.at[c], start + 4 * i);
        }
}

static void single_block(struct canvas *to, const struct settings *s)
{
    const size_t length = whole(s, "block_size", 16), all = to->c * to->hw;
    const size_t start = between(to->r, 0, (all > length + 1 ? all - length : 1) - 1);
    for (size_t n = part(to->r, length, s, "block_corruption_pct"); n > 0; n--) {
        const size_t at = start + between(to->r, 0, length - 1);
        if (at < all)
            put(to, at / to->hw, at % to->hw);
    }
}

static void multi_channel_block(struct canvas *to, const struct settings *s)
{
    const size_t length = whole(s, "block_size", 16);
    const size_t rest = to->hw % length,
                 blocks = to->hw / length + (2 * rest >= length || to->hw < length);
    const struct places ch = spaced(to, s, to->c, &of_wakes);
    const size_t start = between(to->r, 0, blocks - 1) * length,
                 size = least(length, to->hw - start);
    for (size_t c = 0; c < ch.n; c++) {
        size_t n = part(to->r, size, s, "avg_block_corruption_pct");
        for (n = n < length / 2 ? length / 2 : n; n > 0; n--)
            put(to, ch.at[c], start + between(to->r, 0, size - 1));
    }
}

static void full_channels(struct canvas *to, const struct settings *s)
{
    const struct places ch = spaced(to, s, to->c, &of_channels);
    for (size_t c = 0; c < ch.n; c++) {
        size_t n = part(to->r, to->hw, s, "avg_channel_corruption_pct");
        for (n = n ? n : 1; n > 0; n--)
            put(to, ch.at[c], between(to->r, 0, to->hw - 1));
    }
}

static void alternated_blocks(struct canvas *to, const struct settings *s)
{
    const size_t length = whole(s, "block_size", 32), channel = between(to->r, 0, to->c - 1);
    const size_t lo = whole(s, "min_block_skip", 2), hi = whole(s, "max_block_skip", 2);
    for (size_t b = 0, step; b * length < to->hw; b += step) {
        for (size_t i = 0; i < length; i++)
            put(to, channel, b * length + i);
        step = between(to->r, lo, hi);
        step = step ? step : 1;
    }
}

/* The rows follow each other at the rectangle's width: a run. */
static void rectangles(struct canvas *to, const struct settings *s)
{
    const struct places ch = spaced(to, s, to->c, &of_channels);
    const size_t w = least(whole(s, "rectangle_width", 2), to->w),
                 h = least(whole(s, "rectangle_height", 2), to->h);
    const size_t first = between(to->r, 0, to->h - h) * to->w + between(to->r, 0, to->w - w);
    for (size_t c = 0; c < ch.n; c++)
        for (size_t i = 0; i < w * h; i++)
            put(to, ch.at[c], first + i);
}

/* The spans need not contain the position that is common to all. */
static void shattered(struct canvas *to, const struct settings *s)
{
    const struct places ch = spaced(to, s, to->c, &of_wakes);
    const size_t common = between(to->r, 0, to->hw - 1);
    for (size_t c = 0; c < ch.n; c++) {
        size_t span =
            between(to->r, whole(s, "min_span_width", 1), whole(s, "max_span_width", to->hw));
        span = span < 1 ? 1 : least(span, to->hw);
        const size_t from = common > span ? common - span : 0,
                     end = least(to->hw - 1, to->hw - span);
        const size_t until = end > 1 ? end : 1,
                     start = until > from ? between(to->r, from, until - 1) : from;
        const size_t n = least(part(to->r, span, s, "avg_span_corruption_pct"), span);
        const uint32_t *at = choose(to, n, span);
        for (size_t i = 0; i < n; i++)
            put(to, ch.at[c], start + at[i]);
        put(to, ch.at[c], common);
    }
}

static void uncategorized(struct canvas *to, const struct settings *s)
{
    const struct places ch = spaced(to, s, to->c, &of_wakes);
    for (size_t c = 0; c < ch.n; c++) {
        size_t n = part(to->r, to->hw, s, "avg_channel_corruption_pct");
        const size_t lo = whole(s, "min_errors_per_channel", 1),
                     hi = whole(s, "max_errors_per_channel", to->hw);
        n = least(n < lo ? lo : n > hi ? hi : n, to->hw);
        const uint32_t *at = choose(to, n, to->hw);
        for (size_t i = 0; i < n; i++)
            put(to, ch.at[c], at[i]);
    }
}

static void place(struct canvas *to, enum pattern pattern, const struct settings *s)
{
    struct places ch;
    size_t at;
    switch (pattern) {
    case PATTERN_SINGLE:
        put(to, between(to->r, 0, to->c - 1), between(to->r, 0, to->hw - 1));
        break;
    case PATTERN_SAME_ROW:
        along_channel(to, s, between(to->r, 0, to->h - 1) * to->w, to->w, "row_corruption_pct");
        break;
    case PATTERN_SINGLE_CHANNEL_RANDOM:
        along_channel(to, s, 0, to->hw, "channel_corruption_pct");
        break;
    case PATTERN_BULLET_WAKE:
        ch = spaced(to, s, to->c, &of_wakes);
        at = between(to->r, 0, to->hw - 1);
        for (size_t i = 0; i < ch.n; i++)
            put(to, ch.at[i], at);
        break;
    case PATTERN_SKIP_4:
        skip_4(to, s);
        break;
    case PATTERN_SINGLE_BLOCK:
        single_block(to, s);
        break;
    case PATTERN_MULTI_CHANNEL_BLOCK:
        multi_channel_block(to, s);
        break;
    case PATTERN_FULL_CHANNELS:
        full_channels(to, s);
        break;
    case PATTERN_ALTERNATED_BLOCKS:
        alternated_blocks(to, s);
        break;
    case PATTERN_RECTANGLES:
        rectangles(to, s);
        break;
    case PATTERN_SHATTERED_CHANNEL:
    case PATTERN_QUASI_SHATTERED_CHANNEL:
        shattered(to, s);
        break;
    case PATTERN_UNCATEGORIZED:
        uncategorized(to, s);
        break;
    case N_PATTERNS:
        break;
    }
}

/* ---- Values ------------------------------------------------------------------------------------------ */

static float from_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static uint32_t to_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

/* Uniform over the bit patterns outside of the range; between 0 and a positive range it is always -0. */
static float out_of_range(struct rng *r, struct value_range range)
{
    const uint32_t most = to_bits(FLT_MAX), top = to_bits(range.max), sign = 0x80000000u;
    const uint32_t above = most - top, low = to_bits(fabsf(range.min));
    if (range.min < 0) {
        const uint64_t pick = rng_below(r, (uint64_t)above + (most - low) + 1);
        return pick <= above ? from_bits(top + (uint32_t)pick)
                             : from_bits(sign | (low + (uint32_t)(pick - above)));
    }
    const uint64_t pick = rng_below(r, (uint64_t)most + low + above);
    return pick < most                   ? from_bits(sign | (uint32_t)pick)
           : pick < (uint64_t)most + low ? -0.0f
                                         : from_bits(top + (uint32_t)(pick - most - low));
}

static float value(struct rng *r, enum value_class class, struct value_range range)
{
    switch (class) {
    case VALUE_ZERO:
        return 0;
    case VALUE_NAN:
        return NAN;
    case VALUE_FLIP:
        return from_bits((uint32_t)1 << rng_below(r, 32)); /* in the place of the value */
    case VALUE_OUT_OF_RANGE:
        return out_of_range(r, range);
    default:
        return (float)(range.min + ((double)range.max - range.min) * rng_unit(r));
    }
}

/* Each cell's class by itself. Of two the share of the one that comes first counts, whatever the other's. */
static enum value_class class_of(struct rng *r, const struct domain *d, int first, double share)
{
    if (d->n == 1)
        return d->class[0];
    if (d->n == 2)
        return d->class[rng_unit(r) * 100 < share ? first : 1 - first];
    double sum = 0;
    for (int v = 0; v < N_VALUES; v++)
        sum += d->values[v];
    double x = rng_unit(r) * sum;
    for (int v = 0; v < N_VALUES; v++)
        if ((x -= d->values[v]) < 0)
            return (enum value_class)v;
    return VALUE_IN_RANGE;
}

int model_draw_classes(struct model_draw *drawn, const struct model *m, struct rng *r,
                       const size_t chw[3], const float *golden, struct value_range range,
                       bool second_first, struct difference *out, struct diag *d)
{
    struct arena a = {0};
    struct canvas to = {.r = r,
                        .a = &a,
                        .c = chw[0],
                        .h = chw[1],
                        .w = chw[2],
                        .hw = chw[1] * chw[2],
                        .max = 8 * chw[0] * chw[1] * chw[2]};
    const struct entry *e = model_draw_entry(r, m);
    const struct domain *domain = model_draw_domain(r, &a, e);
    struct settings s;
    const int first = domain->n == 2 && second_first;
    if (range.max < 0 && (domain->n == 0 || domain->class[0] == VALUE_OUT_OF_RANGE ||
                          domain->class[domain->n - 1] == VALUE_OUT_OF_RANGE)) {
        arena_fini(&a);
        return diag_fail(
            d, ERR_INPUT, DIAG_NOWHERE,
            "the CLASSES generator has no values outside of a range that is all negative");
    }
    to.cell = arena_array(&a, to.max, sizeof *to.cell);
    model_resolve(&s, r, &a, model_draw_category(r, &a, e));
    const double share =
        domain->share[first][0] + (domain->share[first][1] - domain->share[first][0]) * rng_unit(r);
    place(&to, e->pattern, &s);
    model_sort_unique(&to);
    for (size_t i = 0; i < to.n; i++)
        out[i] = (struct difference){to.cell[i], golden ? golden[to.cell[i]] : 0,
                                     value(r, class_of(r, domain, first, share), range)};
    *drawn = (struct model_draw){.pattern = e->pattern, .n = to.n};
    arena_fini(&a);
    return OK;
}
