/* The spatial classes: one function per class, which says whether the cells are of it and if so fills
 * in the class's parameters. docs/CHARACTERISE.md states each rule in both readings. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "characterise/priv.h"

void char_quantize(double out[2], double p, int levels)
{
    double step = 100.0 / levels;
    double top = fmin(ceil(p * levels) * step, 100);
    out[0] = fmax(0, top - step);
    out[1] = top;
}

static void key(struct characterisation *o, const char *name, size_t value)
{
    assert(o->n_keys < CHAR_MAX_PARAMS);
    o->keys[o->n_keys++] = (struct char_param){name, false, {(double)value, 0}};
}

static void key_share(struct characterisation *o, const char *name, double share)
{
    assert(o->n_keys < CHAR_MAX_PARAMS);
    struct char_param *k = &o->keys[o->n_keys++];
    k->name = name;
    k->is_range = true;
    char_quantize(k->value, share, 10);
}

static void stat(struct characterisation *o, const char *name, enum stat_rule rule, size_t value)
{
    assert(o->n_stats < CHAR_MAX_STATS);
    o->stats[o->n_stats++] = (struct char_stat){name, rule, (double)value};
}

static void key_affected_channels(struct characterisation *o, const struct cells *x)
{
    key_share(o, "affected_channels_pct", (double)x->n_channels / (double)x->c);
}

struct skips {
    size_t min, max;
};

static struct skips channel_skips(const struct cells *x)
{
    struct skips s = {x->n_channels > 1 ? SIZE_MAX : 1, 1};
    for (size_t i = 1; i < x->n_channels; i++) {
        size_t skip = x->channel[i].id - x->channel[i - 1].id;
        s.min = skip < s.min ? skip : s.min;
        s.max = skip > s.max ? skip : s.max;
    }
    return s;
}

static void stat_channel_skips(struct characterisation *o, const struct cells *x)
{
    struct skips s = channel_skips(x);
    stat(o, "min_channel_skip", STAT_MIN, s.min);
    stat(o, "max_channel_skip", STAT_MAX, s.max);
}

static void stat_channels(struct characterisation *o, const struct cells *x)
{
    stat(o, "max_corrupted_channels", STAT_MAX, x->n_channels);
    stat_channel_skips(o, x);
}

/* Number of values and distances between neighbours, for the classes of one channel. */
static void stat_values(struct characterisation *o, const struct cells *x)
{
    struct skips s = {SIZE_MAX, 0};
    for (size_t i = 1; i < x->n; i++) {
        size_t skip = x->at[i] - x->at[i - 1];
        s.min = skip < s.min ? skip : s.min;
        s.max = skip > s.max ? skip : s.max;
    }
    stat(o, "max_cardinality", STAT_MAX, x->n);
    stat(o, "min_value_skip", STAT_MIN, s.min);
    stat(o, "max_value_skip", STAT_MAX, s.max);
}

/* Length 16, 32 or 64 of the block that n values over this span (last - first) are, or 0. */
static size_t block_length(const struct cells *x, size_t n, size_t span, size_t max)
{
    if (n < (x->compat ? 11 : 10) || n > 64)
        return 0;
    size_t length = n <= 16 ? 16 : n <= 32 ? 32 : 64;
    size_t reach = x->compat ? length : length - 1;
    return span <= reach && length <= max ? length : 0;
}

static uint32_t first_of(const struct cells *x, const struct channel *c) { return x->at[c->first]; }

static uint32_t last_of(const struct cells *x, const struct channel *c)
{
    return x->at[c->first + c->n - 1];
}

static size_t channel_block(const struct cells *x, const struct channel *c, size_t max)
{
    return block_length(x, c->n, last_of(x, c) - first_of(x, c), max);
}

static bool is_single(struct characterisation *o, const struct cells *x)
{
    (void)o;
    return x->n == 1;
}

static bool is_skip_4(struct characterisation *o, const struct cells *x)
{
    size_t need = x->compat ? 2 : 3, allowed = x->compat ? 1 : 3;
    uint32_t wrong[3];
    size_t n_wrong = 0;
    if (x->n_positions < need)
        return false;
    for (size_t i = 0; i < x->n; i++) {
        if ((x->at[i] - x->lo) % 4 == 0)
            continue;
        bool known = false;
        for (size_t k = 0; k < n_wrong; k++)
            known |= wrong[k] == x->at[i];
        if (known)
            continue;
        if (n_wrong == allowed)
            return false;
        wrong[n_wrong++] = x->at[i];
    }
    size_t good = x->n_positions - n_wrong;
    if (good < need)
        return false;
    key(o, "skip_amount", 4);
    key(o, "unique_channel_indexes", good);
    key_share(o, "indexes_corruption_pct",
              (double)x->n / (double)(x->compat ? good : x->n_positions * x->n_channels));
    key_affected_channels(o, x);
    stat_channels(o, x);
    return true;
}

static bool is_single_block(struct characterisation *o, const struct cells *x)
{
    if (!x->compat && x->n_channels > 1)
        return false;
    const struct channel *a = &x->channel[0], *b = &x->channel[x->n_channels - 1];
    size_t span = (b->id - a->id) * x->hw + last_of(x, b) - first_of(x, a);
    size_t length = block_length(x, x->n, span, x->hw);
    if (!length)
        return false;
    key(o, "block_size", length);
    key_share(o, "block_corruption_pct", (double)x->n / (double)length);
    return true;
}

static bool is_alternated_blocks(struct characterisation *o, const struct cells *x)
{
    enum { BLOCK = 32, ENOUGH = 16 };
    size_t partial =
        x->hw % BLOCK ? x->hw / BLOCK : SIZE_MAX; /* the channel's last, shorter block */
    struct skips s = {SIZE_MAX, 0};
    size_t blocks = 0, previous = 0;
    for (size_t i = 0, end; i < x->n; i = end) {
        size_t block = x->at[i] / BLOCK;
        for (end = i + 1; end < x->n && x->at[end] / BLOCK == block; end++)
            ;
        if (end - i < ENOUGH && block != partial)
            return false;
        if (blocks++) {
            size_t skip = block - previous;
            if (skip < 2)
                return false;
            s.min = skip < s.min ? skip : s.min;
            s.max = skip > s.max ? skip : s.max;
        }
        previous = block;
    }
    if (blocks < 2)
        return false;
    key(o, "block_size", BLOCK);
    key(o, "min_block_skip", s.min);
    key(o, "max_block_skip", s.max);
    stat(o, "max_feature_map_size", STAT_MAX, x->w > x->h ? x->w : x->h);
    return true;
}

static bool is_same_row(struct characterisation *o, const struct cells *x)
{
    if (x->lo / x->w != x->hi / x->w)
        return false;
    size_t width = x->hi - x->lo + (x->compat ? 0 : 1);
    key_share(o, "row_corruption_pct", (double)x->n / (double)width);
    stat_values(o, x);
    return true;
}

static bool is_multi_channel_block(struct characterisation *o, const struct cells *x)
{
    const struct channel *leader = NULL;
    size_t length = 0;
    for (size_t i = 0; i < x->n_channels; i++) {
        const struct channel *c = &x->channel[i];
        size_t own = channel_block(x, c, x->hw);
        if (own > length || (own && own == length && first_of(x, c) < first_of(x, leader))) {
            leader = c;
            length = own;
        }
    }
    if (!leader)
        return false;
    size_t from = first_of(x, leader), to = from + length - (x->compat ? 0 : 1);
    for (size_t i = 0; i < x->n_channels; i++) {
        const struct channel *c = &x->channel[i];
        bool inside = first_of(x, c) >= from && last_of(x, c) <= to;
        if (c != leader && !inside && !channel_block(x, c, 64))
            return false;
    }
    key(o, "block_size", length);
    key_share(o, "avg_block_corruption_pct", (double)x->n / (double)(length * x->n_channels));
    key_affected_channels(o, x);
    stat_channels(o, x);
    return true;
}

static bool is_bullet_wake(struct characterisation *o, const struct cells *x)
{
    if (x->n_positions != 1)
        return false;
    key_affected_channels(o, x);
    stat_channels(o, x);
    return true;
}

static bool is_full_channels(struct characterisation *o, const struct cells *x)
{
    for (size_t i = 0; i < x->n_channels; i++) {
        size_t twice = (size_t)x->channel[i].n * 2;
        if (x->compat ? twice <= x->hw : twice < x->hw)
            return false;
    }
    key_share(o, "avg_channel_corruption_pct", (double)x->n / (double)(x->n_channels * x->hw));
    key_affected_channels(o, x);
    stat_channels(o, x);
    return true;
}

static bool is_rectangles(struct characterisation *o, const struct cells *x)
{
    size_t h0 = x->lo / x->w, h1 = x->hi / x->w, w0 = SIZE_MAX, w1 = 0;
    if (h1 - h0 < 2)
        return false;
    for (size_t i = 0; i < x->n; i++) {
        size_t w = x->at[i] % (uint32_t)x->w;
        w0 = w < w0 ? w : w0;
        w1 = w > w1 ? w : w1;
    }
    if (w1 - w0 < 2 || (w0 == 0 && w1 == x->w - 1))
        return false;
    if ((h1 - h0 + 1) * (w1 - w0 + 1) > x->n_positions + 2)
        return false;
    size_t real = x->compat ? 0 : 1;
    key(o, "rectangle_width", w1 - w0 + real);
    key(o, "rectangle_height", h1 - h0 + real);
    key_affected_channels(o, x);
    stat_channels(o, x);
    return true;
}

/* Positions that occur in every channel: the first and last of them. False: there is none. */
static bool common_positions(const struct cells *x, struct scratch *s, uint32_t *first,
                             uint32_t *last)
{
    size_t n = x->channel[0].n;
    uint32_t *common = char_alloc(s, n, sizeof *common);
    for (size_t i = 0; i < n; i++)
        common[i] = x->at[i];
    for (size_t c = 1; c < x->n_channels && n > 0; c++) {
        const uint32_t *p = x->at + x->channel[c].first, *end = p + x->channel[c].n;
        size_t kept = 0;
        for (size_t i = 0; i < n; i++) {
            while (p < end && *p < common[i])
                p++;
            if (p < end && *p == common[i])
                common[kept++] = common[i];
        }
        n = kept;
    }
    if (n == 0)
        return false;
    *first = common[0];
    *last = common[n - 1];
    return true;
}

/* Both shattered classes; first_span stands for the span of the lowest channel. */
static void shattered(struct characterisation *o, const struct cells *x, size_t first_span,
                      bool by_max)
{
    size_t sum = 0, min = SIZE_MAX, max = 0;
    for (size_t i = 0; i < x->n_channels; i++) {
        const struct channel *c = &x->channel[i];
        size_t span = i == 0 ? first_span : last_of(x, c) - first_of(x, c) + 1;
        sum += span;
        min = span < min ? span : min;
        max = span > max ? span : max;
    }
    key_share(o, "avg_span_corruption_pct", (double)x->n / (double)sum);
    key_affected_channels(o, x);
    stat_channels(o, x);
    stat(o, "min_span_width", STAT_MIN, by_max ? max : min);
    stat(o, "max_span_width", STAT_MAX, max);
}

static size_t first_span(const struct cells *x)
{
    return last_of(x, &x->channel[0]) - first_of(x, &x->channel[0]) + 1;
}

static bool is_shattered(struct characterisation *o, const struct cells *x, struct scratch *s)
{
    uint32_t first, last;
    if (!common_positions(x, s, &first, &last))
        return false;
    shattered(o, x, x->compat ? last - first + 1 : first_span(x), x->compat);
    return true;
}

static bool is_quasi_shattered(struct characterisation *o, const struct cells *x)
{
    if (x->n_positions == x->n)
        return false;
    shattered(o, x, first_span(x), false);
    return true;
}

static void single_channel_random(struct characterisation *o, const struct cells *x)
{
    key_share(o, "channel_corruption_pct", (double)x->n / (double)x->hw);
    stat_values(o, x);
}

static void uncategorized(struct characterisation *o, const struct cells *x)
{
    size_t min = SIZE_MAX, max = 0;
    for (size_t i = 0; i < x->n_channels; i++) {
        size_t n = x->channel[i].n;
        min = n < min ? n : min;
        max = n > max ? n : max;
    }
    key_share(o, "avg_channel_corruption_pct", (double)x->n / (double)(x->n_channels * x->hw));
    key_affected_channels(o, x);
    stat(o, "max_corrupted_channels", STAT_MAX, x->n_channels);
    stat(o, "min_errors_per_channel", STAT_MIN, min);
    stat(o, "max_errors_per_channel", STAT_MAX, max);
    stat_channel_skips(o, x);
}

static enum pattern of_one_channel(struct characterisation *o, const struct cells *x)
{
    if (is_single(o, x))
        return PATTERN_SINGLE;
    if (is_skip_4(o, x))
        return PATTERN_SKIP_4;
    if (is_single_block(o, x))
        return PATTERN_SINGLE_BLOCK;
    if (is_alternated_blocks(o, x))
        return PATTERN_ALTERNATED_BLOCKS;
    if (is_same_row(o, x))
        return PATTERN_SAME_ROW;
    if (is_full_channels(o, x))
        return PATTERN_FULL_CHANNELS;
    if (is_rectangles(o, x))
        return PATTERN_RECTANGLES;
    single_channel_random(o, x);
    return PATTERN_SINGLE_CHANNEL_RANDOM;
}

static enum pattern of_many_channels(struct characterisation *o, const struct cells *x,
                                     struct scratch *s)
{
    if (is_skip_4(o, x))
        return PATTERN_SKIP_4;
    if (is_single_block(o, x))
        return PATTERN_SINGLE_BLOCK;
    if (is_multi_channel_block(o, x))
        return PATTERN_MULTI_CHANNEL_BLOCK;
    if (is_bullet_wake(o, x))
        return PATTERN_BULLET_WAKE;
    if (is_full_channels(o, x))
        return PATTERN_FULL_CHANNELS;
    if (is_rectangles(o, x))
        return PATTERN_RECTANGLES;
    if (is_shattered(o, x, s))
        return PATTERN_SHATTERED_CHANNEL;
    if (is_quasi_shattered(o, x))
        return PATTERN_QUASI_SHATTERED_CHANNEL;
    uncategorized(o, x);
    return PATTERN_UNCATEGORIZED;
}

static size_t count_positions(const struct cells *x, struct scratch *s)
{
    if (x->n_channels == 1)
        return x->n;
    uint64_t *seen = char_alloc(s, x->hi / 64 + 1, sizeof *seen);
    memset(seen, 0, (x->hi / 64 + 1) * sizeof *seen);
    size_t n = 0;
    for (size_t i = 0; i < x->n; i++) {
        uint64_t bit = (uint64_t)1 << x->at[i] % 64, *word = &seen[x->at[i] / 64];
        n += !(*word & bit);
        *word |= bit;
    }
    return n;
}

void char_spatial(struct characterisation *out, struct cells *x, struct scratch *s)
{
    x->lo = UINT32_MAX;
    x->hi = 0;
    for (size_t i = 0; i < x->n_channels; i++) {
        uint32_t first = first_of(x, &x->channel[i]), last = last_of(x, &x->channel[i]);
        x->lo = first < x->lo ? first : x->lo;
        x->hi = last > x->hi ? last : x->hi;
    }
    x->n_positions = count_positions(x, s);
    out->pattern = x->n_channels == 1 ? of_one_channel(out, x) : of_many_channels(out, x, s);
}
