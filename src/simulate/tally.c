#include "simulate/tally.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Per cluster, how many trials had each effect. */
struct cluster {
    uint64_t n, count[N_EFFECTS];
};
struct clusters {
    size_t room;
    struct cluster *of; /* by image or injection number */
};

struct tally {
    struct effect_shares sum;
    struct clusters images, injections;
    double measures;
    bool measured; /* every trial is of an injection */
};

static void *again(void *p, size_t bytes)
{
    p = realloc(p, bytes);
    if (!p)
        abort(); /* out of memory, as in base/arena */
    return p;
}

struct tally *tally_new(void)
{
    struct tally *t = again(NULL, sizeof *t);
    *t = (struct tally){.measured = true};
    return t;
}

void tally_free(struct tally *t)
{
    if (!t)
        return;
    free(t->images.of);
    free(t->injections.of);
    free(t);
}

static void add_to(struct clusters *c, uint64_t at, enum effect effect)
{
    if (at >= c->room) {
        size_t room = 2 * (size_t)at + 64;
        c->of = again(c->of, room * sizeof *c->of);
        memset(c->of + c->room, 0, (room - c->room) * sizeof *c->of);
        c->room = room;
    }
    c->of[at].n++;
    c->of[at].count[effect]++;
}

void tally_add(struct tally *t, const struct store_trial *trial)
{
    t->sum.n++;
    t->sum.count[trial->effect]++;
    t->sum.not_finite += !trial->finite;
    t->sum.lost_top5 += trial->answer_golden >= 0 && !trial->top5;
    t->measures += trial->measure;
    t->measured = t->measured && trial->injection >= 0;
    add_to(&t->images, trial->image, trial->effect);
    if (trial->injection >= 0)
        add_to(&t->injections, (uint64_t)trial->injection, trial->effect);
}

/* Of a share as the mean over clusters of unequal size (a ratio estimate): how they scatter about
 * it. */
static double variance_over(const struct clusters *c, int effect, double share, double n)
{
    double sum = 0, clusters = 0;
    for (size_t k = 0; k < c->room; k++) {
        double residual = (double)c->of[k].count[effect] - share * (double)c->of[k].n;
        sum += residual * residual;
        clusters += c->of[k].n > 0;
    }
    return clusters > 1 ? sum / (n * n) * clusters / (clusters - 1) : 0;
}

void tally_shares(struct effect_shares *out, const struct tally *t)
{
    *out = t->sum;
    double n = (double)t->sum.n;
    for (int e = 0; e < N_EFFECTS && t->sum.n > 0; e++) {
        double p = (double)t->sum.count[e] / n, independent = p * (1 - p) / n;
        double variance = variance_over(&t->images, e, p, n);
        if (t->measured)
            variance = fmax(variance, variance_over(&t->injections, e, p, n));
        variance =
            fmax(variance, independent); /* clustering cannot make it surer than independence */
        double effective = variance > 0 ? p * (1 - p) / variance : n;
        out->share[e] = p;
        out->variance[e] = variance;
        out->interval[e] = stats_wilson(p * effective, effective, 0.95);
    }
    out->measure = t->sum.n > 0 ? t->measures / n : 0;
}

/* ---- By a property
 * --------------------------------------------------------------------------------------- */

const char *const tally_by[N_BY] = {[BY_LAYER] = "layer",
                                    [BY_CLASS] = "class",
                                    [BY_PATTERN] = "pattern",
                                    [BY_MAGNITUDE] = "magnitude"};

struct property {
    size_t n;
    struct keyed {
        int key;
        struct tally *tally;
    } * of; /* ascending by key */
};
struct breakdown {
    struct tally *all;
    struct property by[N_BY];
};

struct breakdown *breakdown_new(void)
{
    struct breakdown *b = again(NULL, sizeof *b);
    *b = (struct breakdown){.all = tally_new()};
    return b;
}

void breakdown_free(struct breakdown *b)
{
    if (!b)
        return;
    tally_free(b->all);
    for (int by = 0; by < N_BY; by++) {
        for (size_t k = 0; k < b->by[by].n; k++)
            tally_free(b->by[by].of[k].tally);
        free(b->by[by].of);
    }
    free(b);
}

static struct tally *group_at(struct property *g, int key)
{
    size_t at = 0;
    while (at < g->n && g->of[at].key < key)
        at++;
    if (at < g->n && g->of[at].key == key)
        return g->of[at].tally;
    g->of = again(g->of, (g->n + 1) * sizeof *g->of);
    memmove(g->of + at + 1, g->of + at, (g->n - at) * sizeof *g->of);
    g->n++;
    g->of[at] = (struct keyed){key, tally_new()};
    return g->of[at].tally;
}

static int decade(double magnitude)
{
    if (magnitude == 0)
        return MAGNITUDE_NONE;
    return isfinite(magnitude) ? (int)floor(log10(magnitude)) : MAGNITUDE_NOT_FINITE;
}

void breakdown_add(struct breakdown *b, const struct store_trial *t)
{
    const int key[N_BY] = {
        [BY_LAYER] = (int)t->layer,
        [BY_CLASS] = t->label >= 0 ? t->label : t->answer_golden,
        [BY_PATTERN] = t->pattern,
        [BY_MAGNITUDE] = decade(t->magnitude),
    };
    tally_add(b->all, t);
    for (int by = 0; by < N_BY; by++)
        tally_add(group_at(&b->by[by], key[by]), t);
}

const struct tally *breakdown_all(const struct breakdown *b) { return b->all; }

size_t breakdown_n(const struct breakdown *b, int by) { return b->by[by].n; }

const struct tally *breakdown_get(const struct breakdown *b, int by, size_t i, int *key)
{
    *key = b->by[by].of[i].key;
    return b->by[by].of[i].tally;
}
