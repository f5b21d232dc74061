/* The fast classifier equals a slow obvious one, written from the rules' text over dense grids, on
 * random tensors of many kinds, in both readings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "characterise/characterise.h"

enum { SEED = 6, MAX_ELEMS = 4096 };

/* ---- The slow way ------------------------------------------------------------------------------ */

struct slow {
    size_t n, c, h, w;
    bool compat;
    bool hit[MAX_ELEMS]; /* NCHW */
    char text[1024];     /* the answer: pattern, keys, stats */
};

static size_t channels(const struct slow *s) { return s->n * s->c; }
static size_t area(const struct slow *s) { return s->h * s->w; }
static bool at(const struct slow *s, size_t ch, size_t i) { return s->hit[ch * area(s) + i]; }

static size_t in_channel(const struct slow *s, size_t ch)
{
    size_t n = 0;
    for (size_t i = 0; i < area(s); i++)
        n += at(s, ch, i);
    return n;
}

static size_t corrupted_channels(const struct slow *s)
{
    size_t n = 0;
    for (size_t ch = 0; ch < channels(s); ch++)
        n += in_channel(s, ch) > 0;
    return n;
}

static size_t total(const struct slow *s)
{
    size_t n = 0;
    for (size_t ch = 0; ch < channels(s); ch++)
        n += in_channel(s, ch);
    return n;
}

/* In how many channels position i is corrupted. */
static size_t depth(const struct slow *s, size_t i)
{
    size_t n = 0;
    for (size_t ch = 0; ch < channels(s); ch++)
        n += at(s, ch, i);
    return n;
}

static size_t union_size(const struct slow *s)
{
    size_t n = 0;
    for (size_t i = 0; i < area(s); i++)
        n += depth(s, i) > 0;
    return n;
}

static void out(struct slow *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void out(struct slow *s, const char *format, ...)
{
    size_t used = strlen(s->text);
    va_list ap;
    va_start(ap, format);
    vsnprintf(s->text + used, sizeof s->text - used, format, ap);
    va_end(ap);
}

static void percent(struct slow *s, const char *name, double p)
{
    double top = ceil(p * 10) * 10;
    if (top > 100)
        top = 100;
    out(s, " %s=[%g,%g]", name, top - 10 < 0 ? 0 : top - 10, top);
}

static void affected(struct slow *s)
{
    percent(s, "affected_channels_pct", (double)corrupted_channels(s) / (double)s->c);
}

/* Smallest and largest difference of neighbours of a set given as flags. */
static void skips(const bool *flag, size_t n, size_t *min, size_t *max)
{
    size_t last = SIZE_MAX;
    *min = SIZE_MAX;
    *max = 0;
    for (size_t i = 0; i < n; i++)
        if (flag[i]) {
            if (last != SIZE_MAX) {
                *min = i - last < *min ? i - last : *min;
                *max = i - last > *max ? i - last : *max;
            }
            last = i;
        }
}

static void channel_skips(struct slow *s)
{
    bool flag[MAX_ELEMS];
    size_t min, max;
    for (size_t ch = 0; ch < channels(s); ch++)
        flag[ch] = in_channel(s, ch) > 0;
    skips(flag, channels(s), &min, &max);
    if (corrupted_channels(s) == 1)
        min = max = 1;
    out(s, " min_channel_skip<%zu max_channel_skip>%zu", min, max);
}

static void channel_stats(struct slow *s)
{
    out(s, " max_corrupted_channels>%zu", corrupted_channels(s));
    channel_skips(s);
}

static void value_stats(struct slow *s, size_t ch)
{
    size_t min, max;
    skips(s->hit + ch * area(s), area(s), &min, &max);
    out(s, " max_cardinality>%zu min_value_skip<%zu max_value_skip>%zu", total(s), min, max);
}

static size_t first_flag(const bool *flag, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (flag[i])
            return i;
    return SIZE_MAX;
}

static size_t last_flag(const bool *flag, size_t n)
{
    for (size_t i = n; i-- > 0;)
        if (flag[i])
            return i;
    return SIZE_MAX;
}

static size_t block(const struct slow *s, const bool *flag, size_t n, size_t maxsize)
{
    size_t count = 0, l = 0;
    for (size_t i = 0; i < n; i++)
        count += flag[i];
    if (count > 10 && count <= 16)
        l = 16;
    if (count == 10 && !s->compat)
        l = 16;
    if (count > 16 && count <= 32)
        l = 32;
    if (count > 32 && count <= 64)
        l = 64;
    if (l == 0 || l > maxsize)
        return 0;
    size_t span = last_flag(flag, n) - first_flag(flag, n);
    return s->compat ? (span <= l ? l : 0) : (span + 1 <= l ? l : 0);
}

static bool skip_4(struct slow *s)
{
    size_t lo = SIZE_MAX, good = 0, wrong = 0;
    for (size_t i = 0; i < area(s); i++) {
        if (!depth(s, i))
            continue;
        if (lo == SIZE_MAX)
            lo = i;
        if (i % 4 == lo % 4)
            good++;
        else
            wrong++;
    }
    if (s->compat ? good < 2 || wrong > 1 : good < 3 || wrong > 3)
        return false;
    out(s, "skip_4 skip_amount=4 unique_channel_indexes=%zu", good);
    percent(s, "indexes_corruption_pct",
            s->compat ? (double)total(s) / (double)good
                      : (double)total(s) / (double)((good + wrong) * corrupted_channels(s)));
    affected(s);
    channel_stats(s);
    return true;
}

static bool single_block(struct slow *s)
{
    size_t l = block(s, s->hit, channels(s) * area(s), area(s));
    if (!l || (!s->compat && corrupted_channels(s) > 1))
        return false;
    out(s, "single_block block_size=%zu", l);
    percent(s, "block_corruption_pct", (double)total(s) / (double)l);
    return true;
}

static bool alternated_blocks(struct slow *s, size_t ch)
{
    bool flag[MAX_ELEMS] = {0};
    size_t blocks = 0, min, max;
    for (size_t b = 0; b * 32 < area(s); b++) {
        size_t n = 0;
        for (size_t i = b * 32; i < b * 32 + 32 && i < area(s); i++)
            n += at(s, ch, i);
        flag[b] = n > 0;
        blocks += n > 0;
        bool remainder = area(s) % 32 != 0 && b == area(s) / 32;
        if (n > 0 && n < 16 && !remainder)
            return false;
    }
    skips(flag, area(s) / 32 + 1, &min, &max);
    if (blocks < 2 || min < 2)
        return false;
    out(s,
        "single_channel_alternated_blocks block_size=32 min_block_skip=%zu max_block_skip=%zu "
        "max_feature_map_size>%zu",
        min, max, s->w > s->h ? s->w : s->h);
    return true;
}

static bool same_row(struct slow *s, size_t ch)
{
    size_t rows = 0, row = 0;
    for (size_t h = 0; h < s->h; h++) {
        size_t n = 0;
        for (size_t w = 0; w < s->w; w++)
            n += at(s, ch, h * s->w + w);
        rows += n > 0;
        row = n > 0 ? h : row;
    }
    if (rows != 1)
        return false;
    const bool *flag = s->hit + ch * area(s) + row * s->w;
    size_t span = last_flag(flag, s->w) - first_flag(flag, s->w);
    out(s, "same_row");
    percent(s, "row_corruption_pct", (double)total(s) / (double)(s->compat ? span : span + 1));
    value_stats(s, ch);
    return true;
}

static bool multi_channel_block(struct slow *s)
{
    size_t leader = SIZE_MAX, longest = 0, start = 0;
    for (size_t ch = 0; ch < channels(s); ch++) {
        const bool *flag = s->hit + ch * area(s);
        size_t l = block(s, flag, area(s), area(s));
        size_t first = first_flag(flag, area(s));
        if (l > longest || (l && l == longest && first < start)) {
            leader = ch;
            longest = l;
            start = first;
        }
    }
    if (leader == SIZE_MAX)
        return false;
    for (size_t ch = 0; ch < channels(s); ch++) {
        bool inside = true;
        for (size_t i = 0; i < area(s); i++)
            if (at(s, ch, i))
                inside &= i >= start && (s->compat ? i <= start + longest : i < start + longest);
        if (!inside && ch != leader && !block(s, s->hit + ch * area(s), area(s), 64))
            return false;
    }
    out(s, "multi_channel_block block_size=%zu", longest);
    percent(s, "avg_block_corruption_pct",
            (double)total(s) / (double)(longest * corrupted_channels(s)));
    affected(s);
    channel_stats(s);
    return true;
}

static bool bullet_wake(struct slow *s)
{
    if (union_size(s) != 1)
        return false;
    out(s, "bullet_wake");
    affected(s);
    channel_stats(s);
    return true;
}

static bool full_channels(struct slow *s)
{
    for (size_t ch = 0; ch < channels(s); ch++) {
        double share = (double)in_channel(s, ch) / (double)area(s);
        if (in_channel(s, ch) && !(s->compat ? share > 0.5 : share >= 0.5))
            return false;
    }
    out(s, "full_channels");
    percent(s, "avg_channel_corruption_pct",
            (double)total(s) / (double)(corrupted_channels(s) * area(s)));
    affected(s);
    channel_stats(s);
    return true;
}

static bool rectangles(struct slow *s)
{
    size_t h0 = SIZE_MAX, h1 = 0, w0 = SIZE_MAX, w1 = 0, missing = 0;
    for (size_t h = 0; h < s->h; h++)
        for (size_t w = 0; w < s->w; w++)
            if (depth(s, h * s->w + w)) {
                h0 = h < h0 ? h : h0;
                h1 = h > h1 ? h : h1;
                w0 = w < w0 ? w : w0;
                w1 = w > w1 ? w : w1;
            }
    if (h1 - h0 < 2 || w1 - w0 < 2 || (w0 == 0 && w1 == s->w - 1))
        return false;
    for (size_t h = h0; h <= h1; h++)
        for (size_t w = w0; w <= w1; w++)
            missing += depth(s, h * s->w + w) == 0;
    if (missing > 2)
        return false;
    size_t more = s->compat ? 0 : 1;
    out(s, "rectangles rectangle_width=%zu rectangle_height=%zu", w1 - w0 + more, h1 - h0 + more);
    affected(s);
    channel_stats(s);
    return true;
}

static bool shattered(struct slow *s, bool quasi)
{
    bool common[MAX_ELEMS];
    bool any = false, twice = false, lowest = true;
    size_t sum = 0, min = SIZE_MAX, max = 0;
    for (size_t i = 0; i < area(s); i++) {
        common[i] = depth(s, i) == corrupted_channels(s);
        any |= common[i];
        twice |= depth(s, i) >= 2;
    }
    if (quasi ? !twice : !any)
        return false;
    for (size_t ch = 0; ch < channels(s); ch++) {
        const bool *flag = s->hit + ch * area(s);
        if (!in_channel(s, ch))
            continue;
        if (lowest && !quasi && s->compat)
            flag = common;
        lowest = false;
        size_t span = last_flag(flag, area(s)) - first_flag(flag, area(s)) + 1;
        sum += span;
        min = span < min ? span : min;
        max = span > max ? span : max;
    }
    out(s, quasi ? "quasi_shattered_channel" : "shattered_channel");
    percent(s, "avg_span_corruption_pct", (double)total(s) / (double)sum);
    affected(s);
    channel_stats(s);
    out(s, " min_span_width<%zu max_span_width>%zu", !quasi && s->compat ? max : min, max);
    return true;
}

static void one_channel_rest(struct slow *s, size_t ch)
{
    out(s, "single_channel_random");
    percent(s, "channel_corruption_pct", (double)total(s) / (double)area(s));
    value_stats(s, ch);
}

static void rest(struct slow *s)
{
    size_t min = SIZE_MAX, max = 0;
    for (size_t ch = 0; ch < channels(s); ch++) {
        size_t n = in_channel(s, ch);
        min = n && n < min ? n : min;
        max = n > max ? n : max;
    }
    out(s, "multiple_channels_uncategorized");
    percent(s, "avg_channel_corruption_pct",
            (double)total(s) / (double)(corrupted_channels(s) * area(s)));
    affected(s);
    out(s, " max_corrupted_channels>%zu min_errors_per_channel<%zu max_errors_per_channel>%zu",
        corrupted_channels(s), min, max);
    channel_skips(s);
}

static void slow_spatial(struct slow *s)
{
    size_t only = 0;
    for (size_t ch = 0; ch < channels(s); ch++)
        only = in_channel(s, ch) ? ch : only;
    s->text[0] = 0;
    if (total(s) == 1)
        out(s, "single");
    else if (corrupted_channels(s) == 1)
        (void)(skip_4(s) || single_block(s) || alternated_blocks(s, only) || same_row(s, only) ||
               full_channels(s) || rectangles(s) || (one_channel_rest(s, only), true));
    else
        (void)(skip_4(s) || single_block(s) || multi_channel_block(s) || bullet_wake(s) ||
               full_channels(s) || rectangles(s) || shattered(s, false) || shattered(s, true) ||
               (rest(s), true));
}

/* ---- The fast way, as the same text --------------------------------------------------------------- */

static void fast_text(char *to, size_t size, const struct characterisation *c)
{
    size_t used = (size_t)snprintf(to, size, "%s", vocab_word(&vocab_patterns, (int)c->pattern));
    for (int i = 0; i < c->n_keys; i++) {
        const struct char_param *k = &c->keys[i];
        used += (size_t)(k->is_range
                             ? snprintf(to + used, size - used, " %s=[%g,%g]", k->name, k->value[0],
                                        k->value[1])
                             : snprintf(to + used, size - used, " %s=%g", k->name, k->value[0]));
    }
    for (int i = 0; i < c->n_stats; i++)
        used += (size_t)snprintf(to + used, size - used, " %s%c%g", c->stats[i].name,
                                 c->stats[i].rule == STAT_MAX ? '>' : '<', c->stats[i].value);
}

/* ---- Random tensors ------------------------------------------------------------------------------- */

static size_t below(struct rng *r, size_t n) { return (size_t)rng_below(r, n); }
static size_t between(struct rng *r, size_t lo, size_t hi) { return lo + below(r, hi - lo + 1); }

static void hit(struct slow *s, size_t ch, size_t i)
{
    if (ch < channels(s) && i < area(s))
        s->hit[ch * area(s) + i] = true;
}

/* One of the shapes that faults leave, more or less exactly, in one channel. */
static void draw_in_channel(struct slow *s, struct rng *r, size_t ch, int kind, size_t place,
                            size_t size)
{
    size_t a = area(s);
    double dense = kind == 0 ? 1 : 0.5 + 0.5 * rng_unit(r);
    switch (kind % 8) {
    case 0:
        hit(s, ch, place);
        break;
    case 1:
        for (size_t i = 0; i < size; i++)
            hit(s, ch, place + 4 * i);
        break;
    case 2:
        for (size_t i = 0; i < size + 8; i++)
            if (rng_unit(r) < dense)
                hit(s, ch, place + i);
        break;
    case 3:
        for (size_t b = place / 32 % 3; b * 32 < a; b += 2 + size % 2)
            for (size_t i = 0; i < 32; i++)
                if (rng_unit(r) < 0.9)
                    hit(s, ch, b * 32 + i);
        break;
    case 4:
        for (size_t i = 0; i < size && place % s->w + i < s->w; i++)
            if (rng_unit(r) < dense)
                hit(s, ch, place + i);
        break;
    case 5:
        for (size_t i = 0; i < a; i++)
            if (rng_unit(r) < dense)
                hit(s, ch, i);
        break;
    case 6:
        for (size_t h = 0; h < 2 + size % 5; h++)
            for (size_t w = 0; w < 2 + size % 6; w++)
                if (place % s->w + w < s->w && rng_unit(r) < 0.98)
                    hit(s, ch, place + h * s->w + w);
        break;
    default:
        for (size_t i = 0; i < size; i++)
            hit(s, ch, below(r, a));
    }
}

static void draw(struct slow *s, struct rng *r)
{
    static const size_t shapes[][4] = {
        {1, 6, 14, 14}, {1, 16, 10, 10}, {1, 64, 7, 7}, {1, 3, 32, 32}, {1, 1, 20, 31},
        {1, 128, 4, 4}, {1, 200, 1, 1},  {2, 8, 9, 5},  {1, 4, 5, 40},  {1, 10, 1, 12}};
    const size_t *shape = shapes[below(r, sizeof shapes / sizeof *shapes)];
    memset(s->hit, 0, sizeof s->hit);
    s->n = shape[0], s->c = shape[1], s->h = shape[2], s->w = shape[3];
    size_t most = channels(s) < 5 || below(r, 3) ? 3 : channels(s);
    size_t n = below(r, 2) ? 1 : between(r, 1, most), place = below(r, area(s));
    size_t size = between(r, 1, 40);
    int kind = (int)below(r, 9);
    bool same = below(r, 3) > 0;
    for (size_t i = 0; i < n; i++) {
        size_t ch = below(r, channels(s));
        draw_in_channel(s, r, ch, kind, same ? place : below(r, area(s)), size);
    }
    for (size_t extra = below(r, 4) ? 0 : below(r, 4); extra > 0; extra--)
        hit(s, below(r, channels(s)), below(r, area(s)));
    if (total(s) == 0)
        hit(s, 0, place);
}

static void spatial_equals_slow(void **state)
{
    (void)state;
    static struct slow s;
    static struct difference d[MAX_ELEMS];
    uint32_t index[MAX_ELEMS];
    enum { CASES = 20000 };
    size_t seen[2][N_PATTERNS] = {{0}};
    print_message("seed %d, %d tensors\n", SEED, CASES);
    for (uint64_t i = 0; i < CASES; i++) {
        struct rng r;
        rng_init(&r, SEED, i);
        draw(&s, &r);
        size_t n = 0;
        for (size_t k = 0; k < channels(&s) * area(&s); k++)
            if (s.hit[k]) {
                index[n] = (uint32_t)k;
                d[n++] = (struct difference){(uint32_t)k, 0, 1};
            }
        const size_t dim[4] = {s.n, s.c, s.h, s.w};
        for (int compat = 0; compat < 2; compat++) {
            struct characterisation c;
            char text[1024];
            struct char_options o = {.compat = compat};
            characterise(&c, d, n, dim, (struct value_range){0, 1}, &o);
            fast_text(text, sizeof text, &c);
            s.compat = compat;
            slow_spatial(&s);
            if (strcmp(text, s.text) != 0)
                fail_msg("case %d, compat %d, %zux%zux%zux%zu:\nfast %s\nslow %s", (int)i, compat,
                         s.n, s.c, s.h, s.w, text, s.text);
            assert_int_equal(c.corrupted, n);
            assert_int_equal(c.channels, corrupted_channels(&s));
            assert_int_equal(characterise_pattern(index, n, dim, compat), c.pattern);
            seen[compat][c.pattern]++;
        }
    }
    for (int p = 0; p < N_PATTERNS; p++) {
        print_message("%-34s %6zu %6zu compat\n", vocab_word(&vocab_patterns, p), seen[0][p],
                      seen[1][p]);
        assert_true(seen[0][p] > 0 && seen[1][p] > 0);
    }
}

/* ---- Values ---------------------------------------------------------------------------------------- */

static float random_value(struct rng *r, float golden)
{
    uint32_t u;
    switch (below(r, 8)) {
    case 0:
        return 0;
    case 1:
        return NAN;
    case 2:
        return INFINITY;
    case 3:
        return golden + 1e-4f * (float)rng_unit(r);
    case 4:
        memcpy(&u, &golden, 4);
        u ^= (uint32_t)1 << below(r, 32);
        memcpy(&golden, &u, 4);
        return golden;
    case 5:
        return (float)(rng_unit(r) * 4 - 2);
    case 6:
        return (float)(rng_unit(r) * 1e6);
    default:
        return golden;
    }
}

static uint32_t bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}

/* The class by the text of the rules; -1: not corrupted. */
static int slow_class(float g, float f, double lo, double hi, const struct char_options *o)
{
    float d = f - g;
    if (o->compat) {
        if (o->almost_same ? d == 0 : !(fabsf(d) >= (float)o->epsilon))
            return -1;
    } else {
        if (bits(f) == bits(g) || (!isnan(f) && fabs((double)f - (double)g) < o->epsilon))
            return -1;
    }
    if (isnan(f) || isinf(f))
        return VALUE_NAN;
    if (o->compat && f == g)
        return VALUE_SAME;
    if (o->compat && (double)fabsf(g - f) < o->epsilon)
        return o->almost_same ? VALUE_ALMOST_SAME : VALUE_SAME;
    if (f == 0)
        return VALUE_ZERO;
    for (int b = 0; b < 32; b++)
        if ((bits(f) ^ bits(g)) == (uint32_t)1 << b)
            return VALUE_FLIP;
    return lo <= f && f <= hi ? VALUE_IN_RANGE : VALUE_OUT_OF_RANGE;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void quantize8(double p, double q[2])
{
    q[1] = ceil(p * 8) * 12.5;
    q[0] = q[1] - 12.5;
}

static void check_domain(const struct characterisation *c, const size_t *count, const int *order,
                         bool compat)
{
    int k[N_VALUES], n = 0;
    for (int v = 0; v < N_VALUES; v++)
        if (order[v] >= 0 && count[order[v]] && order[v] != VALUE_SAME &&
            order[v] != VALUE_ALMOST_SAME)
            k[n++] = order[v];
    assert_int_equal(c->n_domain, n == 1 || n == 2 ? n : 0);
    if (n == 1) {
        assert_int_equal(c->domain[0], k[0]);
        assert_true(c->share[0][0] == 100 && c->share[0][1] == 100);
    }
    if (n != 2)
        return;
    if (!compat && (count[k[1]] > count[k[0]] || (count[k[1]] == count[k[0]] && k[1] < k[0]))) {
        int t = k[0];
        k[0] = k[1];
        k[1] = t;
    }
    double q[2];
    quantize8((double)count[k[0]] / (double)(count[k[0]] + count[k[1]]), q);
    assert_int_equal(c->domain[0], k[0]);
    assert_int_equal(c->domain[1], k[1]);
    assert_true(c->share[0][0] == q[0] && c->share[0][1] == q[1]);
    assert_true(c->share[1][0] == 100 - q[1] && c->share[1][1] == (compat ? 100 : 100 - q[0]));
}

static void values_equal_slow(void **state)
{
    (void)state;
    enum { ELEMS = 48, CASES = 6000 };
    static const double epsilons[] = {0, 1e-6, 5e-5, 1e-3, 0.7};
    const size_t dim[4] = {1, 3, 4, 4};
    print_message("seed %d, %d tensors\n", SEED + 1, CASES);
    for (uint64_t i = 0; i < CASES; i++) {
        struct rng r;
        rng_init(&r, SEED + 1, i);
        struct difference d[ELEMS];
        float golden[ELEMS];
        size_t n = between(&r, 1, ELEMS);
        for (size_t k = 0; k < n; k++) {
            golden[k] = below(&r, 9) ? (float)(rng_unit(&r) * 2 - 1) : 0;
            d[k] = (struct difference){(uint32_t)k, golden[k], random_value(&r, golden[k])};
        }
        struct char_options o = {.epsilon = epsilons[below(&r, 5)], .compat = below(&r, 2)};
        o.almost_same = o.compat && below(&r, 2);
        o.nhwc = o.compat && below(&r, 2);
        struct value_range range = characterise_range(golden, n);
        struct characterisation c;
        characterise(&c, d, n, dim, range, &o);

        size_t count[N_VALUES] = {0}, corrupted = 0, n_rel = 0;
        int order[N_VALUES] = {-1, -1, -1, -1, -1, -1, -1}, met = 0;
        double relative[ELEMS], largest = 0;
        for (size_t step = 0; step < ELEMS; step++) { /* in the order of the file */
            size_t k = o.nhwc ? step % 3 * 16 + step / 3 : step;
            int class = k < n ? slow_class(golden[k], d[k].faulty, range.min, range.max, &o) : -1;
            if (class < 0)
                continue;
            if (!count[class]++)
                order[met++] = class;
            corrupted++;
            double size = fabs((double)d[k].faulty - (double)golden[k]);
            largest = fmax(largest, isnan(size) ? (double)INFINITY : size);
            if (isfinite(d[k].faulty) && golden[k] != 0 && size > 0)
                relative[n_rel++] = log2(size / fabs((double)golden[k]));
        }
        assert_int_equal(c.corrupted, corrupted);
        if (!corrupted)
            continue;
        if (o.compat)
            count[VALUE_SAME] = ELEMS - corrupted;
        for (int v = 0; v < N_VALUES; v++)
            assert_int_equal(c.value_count[v], count[v]);
        if (o.compat) /* the original's list of classes gets "same" last, which changes nothing */
            count[VALUE_SAME] = 0;
        check_domain(&c, count, order, o.compat);
        assert_true(c.max_abs_error == largest);
        qsort(relative, n_rel, sizeof *relative, by_value);
        if (n_rel == 0)
            assert_true(isnan(c.median_log2_rel));
        else
            assert_true(fabs(c.median_log2_rel -
                             (relative[(n_rel - 1) / 2] + relative[n_rel / 2]) / 2) < 1e-12);
    }
}

/* A large tensor whose values became zero, so that all relative errors are equal, or nearly all. */
static void medians_of_equal_values_are_quick(void **state)
{
    (void)state;
    enum { N = 1 << 20 };
    struct arena a = {0};
    struct difference *d = arena_array(&a, N, sizeof *d);
    const size_t dim[4] = {1, 16, 256, 256};
    for (int kind = 0; kind < 3; kind++) {
        struct characterisation c;
        struct char_options o = {0};
        for (uint32_t i = 0; i < N; i++)
            d[i] = (struct difference){i, 1 + (float)(i % 7),
                                       kind == 0 || i % 3 < 2 ? 0
                                       : kind == 1            ? 64
                                                              : -1 / 64.f};
        characterise(&c, d, N, dim, (struct value_range){1, 7}, &o);
        assert_true(c.corrupted == N && c.median_log2_rel == 0);
    }
    arena_fini(&a);
}

static void diff_equals_slow(void **state)
{
    (void)state;
    enum { ELEMS = 1000 };
    static float golden[ELEMS], faulty[ELEMS];
    for (uint64_t i = 0; i < 500; i++) {
        struct arena a = {0};
        struct rng r;
        rng_init(&r, SEED + 2, i);
        size_t n = below(&r, ELEMS + 1), want = 0;
        for (size_t k = 0; k < n; k++) {
            golden[k] = below(&r, 20) ? (float)rng_unit(&r) : (below(&r, 2) ? (float)NAN : 0);
            faulty[k] = below(&r, 50) ? golden[k] : random_value(&r, golden[k]);
        }
        struct difference *d;
        size_t got = characterise_diff(&d, &a, golden, faulty, n);
        for (size_t k = 0; k < n; k++)
            if (bits(golden[k]) != bits(faulty[k])) {
                assert_true(want < got && d[want].index == k);
                assert_true(bits(d[want].golden) == bits(golden[k]));
                assert_true(bits(d[want].faulty) == bits(faulty[k]));
                want++;
            }
        assert_int_equal(got, want);
        arena_fini(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spatial_equals_slow),
        cmocka_unit_test(values_equal_slow),
        cmocka_unit_test(medians_of_equal_values_are_quick),
        cmocka_unit_test(diff_equals_slow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
