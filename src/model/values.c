/* The faulty values of an error: how many cells are of which class, and a value of that class. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "model/priv.h"

enum { TRIES = 24 };

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

/* What all values of one error share. */
struct source {
    struct rng *r;
    const struct model *m;
    const struct native *native;
    struct value_range range;
    struct char_options options;
    bool as_fault;
};

static bool is_of(const struct source *s, const struct difference *d, enum value_class class)
{
    return characterise_value(d, s->range, &s->options) == class;
}

static const struct sizes *sizes_of(const struct native *n, enum value_class class)
{
    return class == VALUE_IN_RANGE ? &n->in_range : &n->out_of_range;
}

/* golden + a difference of about 2^exponent of the range, of the class; the smallest there is where golden is
 * too large to show one of that size. False: no size is known, or none near it fits. */
static bool measured(const struct source *s, struct difference *d, enum value_class class,
                     const struct wish *w)
{
    const int exponent = w->exponent;
    const struct sizes *z = sizes_of(s->native, class);
    double width = (double)s->range.max - (double)s->range.min, scale = width > 0 ? width : 1;
    if (exponent == UNKNOWN_SIZE || z->n == 0)
        return false;
    d->faulty = (float)((double)d->golden + (double)w->delta);
    if (w->delta != 0 && (s->as_fault || is_of(s, d, class)))
        return true;
    for (int i = 0; i < TRIES; i++) {
        int e = exponent; /* and, if nothing of that size is of the class, others of the pattern */
        if (i >= TRIES / 2)
            e += SPREAD_0 + (int)model_weighted(s->r, z->spread, SPREAD_BINS);
        double size = exp2(e + rng_unit(s->r)) * scale;
        bool up = w->delta != 0 ? w->delta > 0 : rng_below(s->r, z->n) < z->positive;
        for (int sign = 0; sign < 2; sign++, up = !up) {
            d->faulty = (float)((double)d->golden + (up ? size : -size));
            if (s->as_fault)
                return true;
            if (d->faulty == d->golden)
                d->faulty = nextafterf(d->golden, up ? INFINITY : -INFINITY);
            if (is_of(s, d, class) || (i == 0 && is_of(s, d, VALUE_FLIP)))
                return true;
        }
    }
    return false;
}

static bool in_range(const struct source *s, struct difference *d, const struct wish *w)
{
    if (measured(s, d, VALUE_IN_RANGE, w))
        return true;
    double lo = s->range.min, hi = s->range.max;
    for (int i = 0; i < TRIES; i++) {
        d->faulty = (float)(lo + (hi - lo) * rng_unit(s->r));
        if (is_of(s, d, VALUE_IN_RANGE))
            return true;
    }
    return false;
}

/* Floats in order as integers: -inf lowest. */
static int64_t rank_of(float f)
{
    uint32_t u = to_bits(f);
    return u >> 31 ? -(int64_t)(u & 0x7fffffff) - 1 : (int64_t)u;
}

static float of_rank(int64_t rank)
{
    return from_bits(rank < 0 ? 0x80000000u | (uint32_t)(-rank - 1) : (uint32_t)rank);
}

/* Without measured sizes: any finite float outside the range, each as likely as the next. */
static bool out_of_range(const struct source *s, struct difference *d, const struct wish *w)
{
    if (measured(s, d, VALUE_OUT_OF_RANGE, w))
        return true;
    uint64_t below = (uint64_t)(rank_of(s->range.min) - rank_of(-FLT_MAX));
    uint64_t above = (uint64_t)(rank_of(FLT_MAX) - rank_of(s->range.max));
    if (below + above == 0)
        return false;
    for (int i = 0; i < TRIES; i++) {
        uint64_t pick = rng_below(s->r, below + above);
        d->faulty = pick < below ? of_rank(rank_of(-FLT_MAX) + (int64_t)pick)
                                 : of_rank(rank_of(s->range.max) + 1 + (int64_t)(pick - below));
        if (is_of(s, d, VALUE_OUT_OF_RANGE))
            return true;
    }
    return false;
}

static bool flip(const struct source *s, struct difference *d, const struct wish *w)
{
    d->faulty = w->flipped ? from_bits(to_bits(d->golden) ^ (uint32_t)1 << (w->flipped - 1)) : 0;
    if (w->flipped && (s->as_fault || is_of(s, d, VALUE_FLIP)))
        return true;
    uint64_t n = 0;
    for (int i = 0; i < 32; i++)
        n += s->native->flipped[i];
    for (int i = 0; i < TRIES; i++) {
        size_t bit = n ? model_weighted(s->r, s->native->flipped, 32) : (size_t)rng_below(s->r, 32);
        d->faulty = from_bits(to_bits(d->golden) ^ (uint32_t)1 << bit);
        if (is_of(s, d, VALUE_FLIP))
            return true;
    }
    for (int bit = 31; bit >= 0; bit--) { /* the measured bits do not change this value so */
        d->faulty = from_bits(to_bits(d->golden) ^ (uint32_t)1 << bit);
        if (is_of(s, d, VALUE_FLIP))
            return true;
    }
    return false;
}

static bool value_of(const struct source *s, struct difference *d, const struct wish *w)
{
    switch (w->class) {
    case VALUE_ZERO:
        d->faulty = 0;
        return s->as_fault || is_of(s, d, VALUE_ZERO);
    case VALUE_NAN: /* by the CLASSES rules only infinities are of this class */
        d->faulty = s->options.compat ? (rng_below(s->r, 2) ? INFINITY : -INFINITY) : NAN;
        return true;
    case VALUE_FLIP:
        return flip(s, d, w);
    case VALUE_OUT_OF_RANGE:
        return out_of_range(s, d, w);
    default:
        return in_range(s, d, w);
    }
}

/* A value as wished; where the fault-free value allows none (zero from zero), of another class. */
static void set_value(const struct source *s, struct difference *d, const struct wish *w)
{
    static const struct wish in = {.class = VALUE_IN_RANGE, .exponent = UNKNOWN_SIZE};
    static const struct wish out = {.class = VALUE_OUT_OF_RANGE, .exponent = UNKNOWN_SIZE};
    if (value_of(s, d, w) || value_of(s, d, &in) || value_of(s, d, &out))
        return;
    d->faulty = d->golden == 1 ? 2 : 1; /* no range, or an epsilon that nothing reaches */
}

/* How many of n cells are of the first class. The bounds of the class whose range is narrower count:
 * the other's may reach to 100 for no reason. */
static size_t first_count(struct rng *r, const struct domain *d, size_t n)
{
    int narrow = d->share[1][1] - d->share[1][0] < d->share[0][1] - d->share[0][0];
    double lo = d->share[narrow][0] / 100 * (double)n, hi = d->share[narrow][1] / 100 * (double)n;
    double from = floor(lo + 1e-9) + 1, to = floor(hi + 1e-9);
    if (to < from)
        from = to = fmax(1, ceil(hi - 1e-9));
    double most = (double)n - 1;
    from = fmin(fmax(from, 1), most);
    to = fmin(fmax(to, from), most);
    size_t k = (size_t)from + (size_t)rng_below(r, (uint64_t)(to - from) + 1);
    return narrow ? n - k : k;
}

void model_classes(struct rng *r, struct wish *wish, const struct domain *d, size_t n)
{
    if (d->n == 2 && n >= 2) {
        size_t first = first_count(r, d, n);
        for (size_t i = 0; i < n; i++) {
            bool is_first = rng_below(r, n - i) < first;
            first -= is_first;
            wish[i].class = d->class[is_first ? 0 : 1];
        }
        return;
    }
    double sum = 0;
    for (int v = 0; v < N_VALUES; v++)
        sum += d->values[v];
    for (size_t i = 0; i < n; i++) {
        wish[i].class = d->n ? d->class[0] : VALUE_IN_RANGE;
        double x = rng_unit(r) * sum;
        for (int v = 0; v < N_VALUES && d->n == 0; v++) {
            x -= d->values[v];
            if (x < 0) {
                wish[i].class = (enum value_class)v;
                break;
            }
        }
    }
}

void model_sizes(struct rng *r, const struct native *n, struct wish *wish, size_t n_wishes)
{
    static const enum value_class classes[2] = {VALUE_IN_RANGE, VALUE_OUT_OF_RANGE};
    for (size_t i = 0; i < n_wishes; i++)
        wish[i].exponent = UNKNOWN_SIZE;
    for (int k = 0; k < 2; k++) {
        const struct sizes *z = sizes_of(n, classes[k]);
        if (z->n == 0)
            continue;
        int centre = CHAR_BIN_0 + (int)model_weighted(r, z->centre, CHAR_BINS);
        for (size_t i = 0; i < n_wishes; i++)
            if (wish[i].class == classes[k])
                wish[i].exponent =
                    centre + SPREAD_0 + (int)model_weighted(r, z->spread, SPREAD_BINS);
    }
}

void model_values(struct rng *r, const struct model *m, enum pattern pattern,
                  const struct wish *wish, struct difference *diffs, size_t n,
                  struct value_range range, bool as_fault)
{
    struct source s = {.r = r,
                       .m = m,
                       .native = &m->native[pattern],
                       .range = range,
                       .as_fault = as_fault,
                       .options = {.epsilon = m->epsilon, .compat = m->compat}};
    for (size_t i = 0; i < n; i++)
        set_value(&s, &diffs[i], &wish[i]);
}
