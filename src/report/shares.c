/* Outcomes' shares in the population, by the way in which the sample was drawn. */
#include <stdlib.h>
#include <string.h>

#include "report/priv.h"
#include "stats/stats.h"

/* The number after these words in those of the fault, or 0. */
static uint64_t number_after(const char *fault, const char *words)
{
    const char *at = strstr(fault, words);
    return at ? strtoull(at + strlen(words), NULL, 10) : 0;
}

uint64_t tally_cluster(const struct tally *t)
{
    uint64_t m = number_after(t->campaign->fault, ":cluster=");
    return m ? m : 1;
}

/* Of a campaign that strikes no fault twice, how many there are; 0: it may. */
static uint64_t distinct_faults(const struct tally *t)
{
    uint64_t n, variants = number_after(t->campaign->fault, ":distinct=");
    return __builtin_mul_overflow(t->campaign->population, variants, &n) || n < t->n ? 0 : n;
}

struct gathering {
    struct tally *t;
    uint64_t m;
    uint64_t cluster, n, k[N_OUTCOMES]; /* the one being read */
    uint64_t n_clusters;
    double sum[N_OUTCOMES], sum2[N_OUTCOMES];
};

static void end_cluster(struct gathering *g)
{
    for (int o = 0; o < N_OUTCOMES && g->n; o++) {
        double v = (double)g->k[o] / (double)g->n;
        g->sum[o] += v;
        g->sum2[o] += v * v;
        g->k[o] = 0;
    }
    g->n_clusters += g->n > 0;
    g->n = 0;
}

static int see(void *ctx, const struct store_injection *i)
{
    struct gathering *g = ctx;
    if (i->number / g->m != g->cluster)
        end_cluster(g);
    g->cluster = i->number / g->m;
    g->k[i->outcome]++;
    g->n++;
    return OK;
}

static void stratified(struct tally *t, double confidence, struct arena *a)
{
    const struct store_campaign *c = t->campaign;
    struct stratum *s = arena_array(a, c->n_strata, sizeof *s);
    for (int o = 0; o < N_OUTCOMES; o++) {
        for (size_t h = 0; h < c->n_strata; h++) {
            s[h] = (struct stratum){(double)c->strata[h].population, t->stratum[h][o], 0};
            for (int k = 0; k < N_OUTCOMES; k++)
                s[h].n += t->stratum[h][k];
        }
        t->share[o] = estimate_stratified(s, c->n_strata, confidence);
    }
}

/* All faults: of a site each of its bits, so that sums of strata of one width weigh as their sites. */
static void exhaustive(struct tally *t)
{
    const struct store_campaign *c = t->campaign;
    double sites = 0;
    for (size_t h = 0; h < c->n_strata; h++)
        sites += (double)c->strata[h].population;
    for (int o = 0; o < N_OUTCOMES; o++) {
        double share = 0;
        for (size_t h = 0; h < c->n_strata; h++) {
            double n = 0;
            for (int k = 0; k < N_OUTCOMES; k++)
                n += (double)t->stratum[h][k];
            share +=
                n > 0 ? (double)c->strata[h].population / sites * (double)t->stratum[h][o] / n : 0;
        }
        t->share[o] = estimate_exact(share);
    }
}

int tally_population(struct tally *t, double confidence, struct arena *a, struct diag *d)
{
    struct gathering g = {.t = t, .m = tally_cluster(t)};
    uint64_t of = distinct_faults(t);
    for (int o = 0; o < N_OUTCOMES; o++)
        t->share[o] = of ? estimate_distinct(t->outcome[o], t->n, of, confidence)
                         : estimate_share((double)t->outcome[o], (double)t->n, confidence);
    if (store_is_exhaustive(t->campaign))
        exhaustive(t);
    else if (t->campaign->n_strata)
        stratified(t, confidence, a);
    if (t->campaign->n_strata || g.m == 1)
        return OK;
    int rc = store_each(t->store, false, see, &g, d);
    if (rc != OK)
        return rc;
    end_cluster(&g);
    for (int o = 0; o < N_OUTCOMES; o++)
        t->share[o] =
            estimate_clustered(g.sum[o], g.sum2[o], g.n_clusters, (double)g.m, confidence);
    return OK;
}
