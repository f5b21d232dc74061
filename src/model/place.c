/* Where the corrupted elements of an error lie: one function per pattern, each clipped to the tensor.
 * What they put is only probably of the pattern (random cells can look like anything); draw.c checks
 * and asks again. */
#include <math.h>
#include <string.h>

#include "model/priv.h"

double setting(const struct settings *s, const char *name, double otherwise)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->item[i].name, name) == 0)
            return s->item[i].lo;
    return otherwise;
}

/* A share, as percent (lo, hi]; (0, 100] if the model does not say. */
static void share(const struct settings *s, const char *name, double out[2])
{
    out[0] = 0;
    out[1] = 100;
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->item[i].name, name) == 0) {
            out[0] = fmin(fmax(s->item[i].lo, 0), 100);
            out[1] = fmin(fmax(s->item[i].hi, out[0]), 100);
        }
}

static size_t whole(const struct settings *s, const char *name, size_t otherwise, size_t lo,
                    size_t hi)
{
    double x = setting(s, name, (double)otherwise);
    x = fmin(fmax(x, (double)lo), (double)hi);
    return hi < lo ? hi : (size_t)x;
}

static size_t between(struct rng *r, size_t lo, size_t hi)
{
    return hi <= lo ? lo : lo + (size_t)rng_below(r, hi - lo + 1);
}

/* A number of things out of n whose share lies in (p[0], p[1]] percent, at least lo and at most hi;
 * the nearest to it if there is none. */
static size_t part(struct rng *r, size_t n, const double p[2], size_t lo, size_t hi)
{
    double first = floor(p[0] / 100 * (double)n + 1e-9) + 1,
           last = floor(p[1] / 100 * (double)n + 1e-9);
    if (first > last)
        first = last = fmax(last, 1);
    size_t from = first < (double)lo ? lo : (size_t)first, to = (size_t)last;
    to = to > hi ? hi : to;
    from = from > hi ? hi : from;
    return to < from ? from : between(r, from, to);
}

static void put(struct canvas *to, size_t channel, size_t at)
{
    if (channel < to->c && at < to->hw && to->n < to->max)
        to->cell[to->n++] = (uint32_t)(channel * to->hw + at);
}

/* k different numbers of [0, n), in no order. */
static uint32_t *choose(struct canvas *to, size_t k, size_t n)
{
    uint32_t *all = arena_array(to->a, n, sizeof *all);
    for (size_t i = 0; i < n; i++)
        all[i] = (uint32_t)i;
    for (size_t i = 0; i < k && i < n; i++) {
        size_t j = i + (size_t)rng_below(to->r, n - i);
        uint32_t t = all[i];
        all[i] = all[j];
        all[j] = t;
    }
    return all;
}

/* k ascending numbers of [0, n), neighbours lo to hi apart as far as there is room; their span is
 * `span` if that is possible, else (SIZE_MAX) anything that is. *k may become smaller. */
static uint32_t *spaced(struct canvas *to, size_t *k, size_t n, size_t lo, size_t hi, size_t span)
{
    lo = lo < 1 ? 1 : lo;
    hi = hi < lo ? lo : hi;
    if (*k > (n - 1) / lo + 1)
        *k = (n - 1) / lo + 1;
    size_t gaps = *k - 1, least = gaps * lo, most = n - 1;
    uint32_t *at = arena_array(to->a, *k, sizeof *at);
    if (gaps > 0 && (n - 1) / gaps >= hi)
        most = gaps * hi;
    if (span < least || span > most)
        span = between(to->r, least, most);
    /* gaps start as lo; the rest is dealt out one by one to gaps that are not full */
    uint32_t *gap = arena_array(to->a, gaps, sizeof *gap),
             *open = arena_array(to->a, gaps, sizeof *open);
    size_t n_open = hi > lo ? gaps : 0;
    for (size_t i = 0; i < gaps; i++) {
        gap[i] = (uint32_t)lo;
        open[i] = (uint32_t)i;
    }
    for (size_t rest = span - least; rest > 0 && n_open > 0; rest--) {
        size_t pick = (size_t)rng_below(to->r, n_open);
        if (++gap[open[pick]] == hi)
            open[pick] = open[--n_open];
    }
    size_t used = 0;
    for (size_t i = 0; i < gaps; i++)
        used += gap[i];
    at[0] = (uint32_t)between(to->r, 0, n - 1 - used);
    for (size_t i = 0; i < gaps; i++)
        at[i + 1] = at[i] + gap[i];
    return at;
}

/* The channels that are struck. */
static uint32_t *channels(struct canvas *to, const struct settings *s, size_t least, size_t *k)
{
    double p[2];
    share(s, "affected_channels_pct", p);
    size_t max = whole(s, "max_corrupted_channels", to->c, 1, to->c);
    least = least > to->c ? to->c : least;
    *k = part(to->r, to->c, p, least, max < least ? least : max);
    return spaced(to, k, to->c, whole(s, "min_channel_skip", 1, 1, to->c),
                  whole(s, "max_channel_skip", to->c, 1, to->c), SIZE_MAX);
}

static bool single(struct canvas *to, const struct settings *s)
{
    (void)s;
    put(to, between(to->r, 0, to->c - 1), between(to->r, 0, to->hw - 1));
    return true;
}

static bool skip_4(struct canvas *to, const struct settings *s)
{
    size_t k, least = to->compat ? 2 : 3, room = (to->hw - 1) / 4 + 1;
    if (room < least)
        return false;
    size_t m = whole(s, "unique_channel_indexes", least, least, room);
    size_t start = between(to->r, 0, to->hw - 1 - 4 * (m - 1));
    uint32_t *ch = channels(to, s, 1, &k);
    double p[2];
    share(s, "indexes_corruption_pct", p);
    if (to->compat) /* values per position, over all channels: says little about which are there */
        p[0] = p[1] = 100;
    size_t n = part(to->r, m * k, p, m > k ? m : k, m * k);
    /* one in each channel and at each position, the rest anywhere */
    bool *taken = arena_array(to->a, m * k, sizeof *taken);
    for (size_t i = 0; i < (m > k ? m : k); i++) {
        taken[i % k * m + i % m] = true;
        put(to, ch[i % k], start + 4 * (i % m));
    }
    uint32_t *rest = choose(to, m * k, m * k);
    for (size_t i = 0; i < m * k && to->n < n; i++)
        if (!taken[rest[i]])
            put(to, ch[rest[i] / m], start + 4 * (rest[i] % m));
    return true;
}

/* How many values make a block of this length: blocks are told by their number of values. */
static void block_counts(size_t length, bool compat, size_t *lo, size_t *hi)
{
    *lo = length <= 16 ? (compat ? 11 : 10) : length / 2 + 1;
    *hi = length;
}

static void block_at(struct canvas *to, size_t channel, size_t start, size_t length, size_t n)
{
    uint32_t *at = choose(to, n, length);
    for (size_t i = 0; i < n; i++)
        put(to, channel, start + at[i]);
}

static bool single_block(struct canvas *to, const struct settings *s)
{
    size_t length = whole(s, "block_size", 16, 1, 64), lo, hi;
    double p[2];
    block_counts(length, to->compat, &lo, &hi);
    if (to->hw < length || lo > length)
        return false;
    share(s, "block_corruption_pct", p);
    block_at(to, between(to->r, 0, to->c - 1), between(to->r, 0, to->hw - length), length,
             part(to->r, length, p, lo, hi));
    return true;
}

static bool alternated_blocks(struct canvas *to, const struct settings *s)
{
    enum { BLOCK = 32 };
    size_t blocks = to->hw / BLOCK + (to->hw % BLOCK ? 1 : 0);
    size_t lo = whole(s, "min_block_skip", 2, 2, blocks),
           hi = whole(s, "max_block_skip", 2, lo, blocks);
    if (blocks < 3)
        return false;
    lo = lo > blocks - 1 ? blocks - 1 : lo;
    size_t channel = between(to->r, 0, to->c - 1);
    for (size_t b = between(to->r, 0, lo > blocks - 1 - lo ? blocks - 1 - lo : lo - 1); b < blocks;
         b += between(to->r, lo, hi))
        for (size_t i = 0; i < BLOCK; i++)
            put(to, channel, b * BLOCK + i);
    return true;
}

static bool same_row(struct canvas *to, const struct settings *s)
{
    if (to->w < 2)
        return false;
    double p[2];
    share(s, "row_corruption_pct", p);
    size_t lo = whole(s, "min_value_skip", 1, 1, to->w - 1);
    size_t hi = whole(s, "max_value_skip", to->w - 1, lo, to->w - 1);
    size_t n = between(to->r, 2, whole(s, "max_cardinality", to->w, 2, to->w));
    /* spans for which n values are this share, by the model's way of counting a span */
    double from = ceil(100 * (double)n / p[1] - 1e-9),
           until = p[0] > 0 ? 100 * (double)n / p[0] : (double)to->w;
    size_t extra = to->compat ? 0 : 1;
    size_t least = (size_t)fmin(from, (double)to->w),
           most = (size_t)fmin(ceil(until) - 1, (double)to->w);
    size_t span = between(to->r, least, most < least ? least : most);
    uint32_t *at = spaced(to, &n, to->w, lo, hi, span >= extra ? span - extra : 0);
    size_t channel = between(to->r, 0, to->c - 1), row = between(to->r, 0, to->h - 1);
    for (size_t i = 0; i < n; i++)
        put(to, channel, row * to->w + at[i]);
    return true;
}

static bool single_channel_random(struct canvas *to, const struct settings *s)
{
    if (to->hw < 2)
        return false;
    double p[2];
    share(s, "channel_corruption_pct", p);
    size_t n = part(to->r, to->hw, p, 2, whole(s, "max_cardinality", to->hw, 2, to->hw));
    uint32_t *at = spaced(to, &n, to->hw, whole(s, "min_value_skip", 1, 1, to->hw),
                          whole(s, "max_value_skip", to->hw, 1, to->hw), SIZE_MAX);
    size_t channel = between(to->r, 0, to->c - 1);
    for (size_t i = 0; i < n; i++)
        put(to, channel, at[i]);
    return true;
}

static bool multi_channel_block(struct canvas *to, const struct settings *s)
{
    size_t length = whole(s, "block_size", 16, 1, 64), lo, hi, k;
    double p[2];
    block_counts(length, to->compat, &lo, &hi);
    if (to->hw < length || lo > length || to->c < 2)
        return false;
    share(s, "avg_block_corruption_pct", p);
    uint32_t *ch = channels(to, s, 2, &k);
    size_t start = between(to->r, 0, to->hw - length);
    size_t leader = between(to->r, 0, k - 1), total = part(to->r, length * k, p, k, length * k);
    for (size_t i = 0; i < k; i++) {
        size_t n = total / k + (i < total % k ? 1 : 0);
        n = i == leader ? (n < lo ? lo : n > hi ? hi : n) : n;
        block_at(to, ch[i], start, length, n < 1 ? 1 : n);
    }
    return true;
}

static bool bullet_wake(struct canvas *to, const struct settings *s)
{
    size_t k, at = between(to->r, 0, to->hw - 1);
    if (to->c < 2)
        return false;
    uint32_t *ch = channels(to, s, 2, &k);
    for (size_t i = 0; i < k; i++)
        put(to, ch[i], at);
    return true;
}

static bool full_channels(struct canvas *to, const struct settings *s)
{
    double p[2];
    size_t k, least = to->compat ? to->hw / 2 + 1 : (to->hw + 1) / 2;
    share(s, "avg_channel_corruption_pct", p);
    uint32_t *ch = channels(to, s, 1, &k);
    for (size_t i = 0; i < k; i++) {
        size_t n = part(to->r, to->hw, p, least, to->hw);
        uint32_t *at = choose(to, n, to->hw);
        for (size_t j = 0; j < n; j++)
            put(to, ch[i], at[j]);
    }
    return true;
}

/* The rectangle that all channels together cover. Where it is more than half a channel, each channel
 * gets a part only: else they would be full channels. */
static bool rectangles(struct canvas *to, const struct settings *s)
{
    if (to->w < 4 || to->h < 3)
        return false;
    double more = to->compat ? 1 : 0; /* the original states sizes one too small */
    size_t k, w = (size_t)fmin(fmax(setting(s, "rectangle_width", 3) + more, 3), (double)to->w - 1);
    size_t h = (size_t)fmin(fmax(setting(s, "rectangle_height", 3) + more, 3), (double)to->h);
    uint32_t *ch = channels(to, s, 1, &k);
    size_t most = to->compat ? to->hw / 2 : (to->hw - 1) / 2;
    while (w * h > most * k && (w > 3 || h > 3))
        --*(w > h ? &w : &h);
    size_t missing = w * h > most * k ? 2 : 0; /* as many as the pattern allows */
    size_t top = between(to->r, 0, to->h - h), left = between(to->r, 0, to->w - w);
    uint32_t *order = choose(to, w * h, w * h);
    for (size_t i = 0; i < w * h; i++) {
        size_t y = order[i] / w, x = order[i] % w, at = (top + y) * to->w + left + x;
        if (missing && (y == 1 || x == 1) && missing--)
            continue; /* not a corner: the extent stays */
        for (size_t c = 0; c < k; c++)
            if (w * h <= most || c == i % k)
                put(to, ch[c], at);
    }
    return true;
}

/* A span of the channel around `at`, both of its ends and `at` itself corrupted, p percent in all. */
static void spread_span(struct canvas *to, size_t channel, size_t at, size_t span,
                        const double p[2])
{
    size_t from = at + 1 > span ? at + 1 - span : 0,
           until = at < to->hw - span ? at : to->hw - span;
    size_t start = between(to->r, from, until), inner = span > 2 ? span - 2 : 0;
    put(to, channel, at);
    put(to, channel, start);
    put(to, channel, start + span - 1);
    size_t there = span == 1 ? 1 : at == start || at == start + span - 1 ? 2 : 3;
    size_t n = part(to->r, span, p, there, span);
    uint32_t *rest = choose(to, inner, inner);
    for (size_t i = 0; i < inner && n > there; i++)
        if (start + 1 + rest[i] != at) {
            put(to, channel, start + 1 + rest[i]);
            n--;
        }
}

/* Spans in several channels. all: they have a position in common; else only some of them do. */
static bool shattered(struct canvas *to, const struct settings *s, bool all)
{
    size_t k, least = all ? 2 : 3;
    if (to->c < least || to->hw < 2)
        return false;
    double p[2];
    share(s, "avg_span_corruption_pct", p);
    size_t lo = whole(s, "min_span_width", 1, 1, to->hw),
           hi = whole(s, "max_span_width", to->hw, lo, to->hw);
    if (all &&
        to->compat) /* there the smallest span is stated as the largest one: no lower bound */
        lo = 1;
    uint32_t *ch = channels(to, s, least, &k);
    size_t at = between(to->r, 0, to->hw - 1);
    size_t sharing = all ? k : between(to->r, 2, k - 1);
    uint32_t *order = choose(to, k, k);
    for (size_t i = 0; i < k; i++) {
        size_t span = between(to->r, lo, hi);
        size_t where = i < sharing ? at : between(to->r, 0, to->hw - 1);
        spread_span(to, ch[order[i]], where, span, p);
    }
    return true;
}

static bool uncategorized(struct canvas *to, const struct settings *s)
{
    if (to->c < 2 || to->hw < 2)
        return false;
    size_t k, used = 0;
    double p[2];
    share(s, "avg_channel_corruption_pct", p);
    uint32_t *ch = channels(to, s, 2, &k);
    size_t lo = whole(s, "min_errors_per_channel", 1, 1, to->hw);
    size_t hi = whole(s, "max_errors_per_channel", to->hw, lo, to->hw);
    uint32_t *at = choose(to, to->hw, to->hw); /* no position twice, in whatever channel */
    for (size_t i = 0; i < k && used < to->hw; i++) {
        size_t n = part(to->r, to->hw, p, lo, hi);
        size_t left = to->hw - used, others = k - 1 - i; /* one at least for each that follows */
        size_t most = left > others ? left - others : 1;
        for (n = n > most ? most : n; n > 0; n--)
            put(to, ch[i], at[used++]);
    }
    return true;
}

bool model_place(struct canvas *to, enum pattern pattern, const struct settings *s)
{
    to->n = 0;
    switch (pattern) {
    case PATTERN_SINGLE:
        return single(to, s);
    case PATTERN_SKIP_4:
        return skip_4(to, s);
    case PATTERN_SINGLE_BLOCK:
        return single_block(to, s);
    case PATTERN_ALTERNATED_BLOCKS:
        return alternated_blocks(to, s);
    case PATTERN_SAME_ROW:
        return same_row(to, s);
    case PATTERN_MULTI_CHANNEL_BLOCK:
        return multi_channel_block(to, s);
    case PATTERN_BULLET_WAKE:
        return bullet_wake(to, s);
    case PATTERN_FULL_CHANNELS:
        return full_channels(to, s);
    case PATTERN_RECTANGLES:
        return rectangles(to, s);
    case PATTERN_SHATTERED_CHANNEL:
        return shattered(to, s, true);
    case PATTERN_QUASI_SHATTERED_CHANNEL:
        return shattered(to, s, false);
    case PATTERN_SINGLE_CHANNEL_RANDOM:
        return single_channel_random(to, s);
    case PATTERN_UNCATEGORIZED:
        return uncategorized(to, s);
    case N_PATTERNS:
        break;
    }
    return false;
}
