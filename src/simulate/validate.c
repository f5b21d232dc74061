#include "simulate/validate.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"

/* Per cluster, how many trials had each effect. */
struct cluster {
    uint64_t n, count[N_EFFECTS];
};

struct tally {
    struct arena arena;
    struct effect_shares *out;
    size_t room;
    struct cluster *clusters; /* by injection or image number */
};

static int add(void *ctx, const struct store_trial *t)
{
    struct tally *all = ctx;
    size_t at = (size_t)(t->injection >= 0 ? (uint64_t)t->injection : t->image);
    if (at >= all->room) {
        size_t room = 2 * at + 256;
        struct cluster *more = arena_alloc(&all->arena, room * sizeof *more);
        if (all->room)
            memcpy(more, all->clusters, all->room * sizeof *more);
        all->clusters = more;
        all->room = room;
    }
    all->clusters[at].n++;
    all->clusters[at].count[t->effect]++;
    all->out->n++;
    all->out->count[t->effect]++;
    return OK;
}

/* Share of an effect as the mean over clusters of unequal size (a ratio estimate), its variance from how
 * the clusters scatter about it, and Wilson's interval for as many independent trials as have it. */
static void estimate(const struct tally *all, int e)
{
    struct effect_shares *o = all->out;
    double n = (double)o->n, p = (double)o->count[e] / n, sum = 0, clusters = 0;
    for (size_t k = 0; k < all->room; k++) {
        const struct cluster *c = &all->clusters[k];
        double residual = (double)c->count[e] - p * (double)c->n;
        sum += residual * residual;
        clusters += c->n > 0;
    }
    double variance = clusters > 1 ? sum / (n * n) * clusters / (clusters - 1) : 0;
    double independent = p * (1 - p) / n;
    if (variance < independent) /* clustering cannot make it surer than independence */
        variance = independent;
    double n_effective = variance > 0 ? p * (1 - p) / variance : clusters;
    o->share[e] = p;
    o->variance[e] = variance;
    o->interval[e] = stats_wilson(p * n_effective, n_effective, 0.95);
}

int validate_shares(struct effect_shares *out, const struct sim_options *options, struct diag *d)
{
    struct tally all = {.out = out};
    *out = (struct effect_shares){0};
    int rc = simulate_each(options, add, &all, d);
    if (rc == OK && out->n == 0)
        rc = diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "no errors were asked for");
    for (int e = 0; rc == OK && e < N_EFFECTS; e++)
        estimate(&all, e);
    arena_fini(&all.arena);
    return rc;
}

struct agreement validate_compare(const struct effect_shares *truth, const struct effect_shares *other)
{
    struct agreement a = {.agreement = 1};
    double z = stats_normal_quantile(0.975);
    for (int e = 0; e < N_EFFECTS; e++) {
        double diff = other->share[e] - truth->share[e];
        double half = z * sqrt(truth->variance[e] + other->variance[e]);
        a.difference[e] = diff;
        a.interval[e] = (struct interval){diff - half, diff + half};
        a.agreement -= fabs(diff) / N_EFFECTS;
    }
    return a;
}
