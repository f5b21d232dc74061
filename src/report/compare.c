/* Campaigns beside each other: vulnerability per fault, per bit-instant of exposure, and per inference. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/priv.h"
#include "stats/stats.h"

enum { N_MEASURES = 3 };
static const char *const measures[N_MEASURES] = {"per_fault", "per_bit", "per_inference"};

struct side {
    struct tally t;
    struct estimate e[N_MEASURES]; /* of SDCs */
};

/* Every bit of every site alike: a strike on a site of b bits stands for b of them. */
struct bits {
    struct ratio_sums *of; /* by stratum; without strata one */
    uint64_t m;            /* injections of a cluster, or 1 */
    uint64_t cluster;      /* the one being read, and its sums */
    double hit, weight;
};

static void end_unit(struct bits *b, size_t stratum)
{
    if (b->weight > 0)
        stats_ratio_add(&b->of[stratum], b->hit, b->weight);
    b->hit = b->weight = 0;
}

static int see(void *ctx, const struct store_injection *i)
{
    struct bits *b = ctx;
    double w = (double)i->bits;
    if (i->number / b->m != b->cluster)
        end_unit(b, 0);
    b->cluster = i->number / b->m;
    b->weight += w;
    b->hit += i->outcome == OUTCOME_SDC ? w : 0;
    if (b->m == 1)
        end_unit(b, i->stratum);
    return OK;
}

static int per_bit(struct estimate *out, const struct tally *t, double confidence, struct arena *a,
                   struct diag *d)
{
    const struct store_campaign *c = t->campaign;
    const size_t n = c->n_strata ? c->n_strata : 1;
    struct bits bits = {.of = arena_array(a, n, sizeof *bits.of), .m = tally_cluster(t)};
    if (store_is_exhaustive(c)) {
        *out = estimate_exact((double)t->outcome[OUTCOME_SDC] / (double)t->n);
        return OK;
    }
    for (size_t h = 0; h < n; h++)
        bits.of[h].weight = c->n_strata ? (double)c->strata[h].population : 1;
    int rc = store_each(t->store, false, see, &bits, d);
    if (rc != OK)
        return rc;
    end_unit(&bits, 0);
    *out = estimate_ratio(bits.of, n, (double)bits.m, confidence);
    return OK;
}

static struct estimate scaled(struct estimate e, double by)
{
    return (struct estimate){e.value * by, e.lo * by, e.hi * by, e.n_effective,
                             e.variance * by * by};
}

static int read_side(struct side *s, const char *path, double confidence, struct arena *a,
                     struct diag *d)
{
    int rc = tally_read(&s->t, &(struct report_cell){.campaign = path}, confidence, a, d);
    if (rc != OK)
        return rc;
    const struct store_campaign *c = s->t.campaign;
    s->e[0] = s->t.share[OUTCOME_SDC];
    if ((rc = per_bit(&s->e[1], &s->t, confidence, a, d)) != OK)
        return rc;
    s->e[2] = scaled(s->e[0], (double)c->population);
    return rc;
}

static int comparable(const struct side *s, const char *const *stores, size_t n, struct diag *d)
{
    for (size_t i = 1; i < n; i++) {
        const struct store_campaign *a = s[0].t.campaign, *b = s[i].t.campaign;
        if (strcmp(a->fault, b->fault) != 0 || strcmp(a->population_kind, b->population_kind) != 0)
            return diag_fail(d, ERR_INPUT, (struct loc){.file = stores[i]},
                             "struck by %s (%s), the first store by %s (%s): not to be compared",
                             b->fault, b->population_kind, a->fault, a->population_kind);
        if (strcmp(a->shape, b->shape) != 0)
            return diag_fail(d, ERR_INPUT, (struct loc){.file = stores[i]},
                             "computes %s, the first store %s: not to be compared", b->shape,
                             a->shape);
        if (a->seed != b->seed)
            return diag_fail(
                d, ERR_INPUT, (struct loc){.file = stores[i]},
                "has seed %llu, the first store %llu: compare campaigns that share one",
                (unsigned long long)b->seed, (unsigned long long)a->seed);
    }
    return OK;
}

static json_t *row(const struct side *s, const char *store)
{
    const struct store_campaign *c = s->t.campaign;
    json_t *o = json_pack("{s:o, s:o, s:I, s:I, s:I}", "store", json_text(store), "impl",
                          json_text(c->impl), "n", (json_int_t)s->t.n, "population",
                          (json_int_t)c->population, "exposure", (json_int_t)c->exposure);
    for (int m = 0; m < N_MEASURES; m++)
        json_object_set_new(o, measures[m], json_estimate(&s->e[m]));
    return o;
}

/* All pairs, with Holm's correction over them, for each measure. */
static json_t *tests(const struct side *s, size_t n, struct arena *a)
{
    json_t *out = json_object();
    size_t pairs = n * (n - 1) / 2;
    double *p = arena_array(a, pairs, sizeof *p), *holm = arena_array(a, pairs, sizeof *holm);
    for (int m = 0; m < N_MEASURES; m++) {
        json_t *list = json_array();
        size_t k = 0;
        for (size_t i = 0; i < n; i++)
            for (size_t j = i + 1; j < n; j++, k++)
                estimate_difference(&s[i].e[m], &s[j].e[m], &p[k]);
        memcpy(holm, p, pairs * sizeof *p);
        stats_holm(holm, pairs);
        k = 0;
        for (size_t i = 0; i < n; i++)
            for (size_t j = i + 1; j < n; j++, k++)
                json_array_append_new(
                    list, json_pack("{s:I, s:I, s:o, s:o, s:b}", "a", (json_int_t)i, "b",
                                    (json_int_t)j, "p", json_number(p[k]), "p_holm",
                                    json_number(holm[k]), "significant", holm[k] <= 0.05));
        json_object_set_new(out, measures[m], list);
    }
    return out;
}

int report_compare(json_t **out, const char *const *stores, size_t n, double confidence,
                   struct diag *d)
{
    struct arena a = {0};
    struct side *s = arena_array(&a, n, sizeof *s);
    int rc = OK;
    for (size_t i = 0; rc == OK && i < n; i++)
        rc = read_side(&s[i], stores[i], confidence, &a, d);
    if (rc == OK)
        rc = comparable(s, stores, n, d);
    if (rc == OK) {
        json_t *rows = json_array();
        for (size_t i = 0; i < n; i++)
            json_array_append_new(rows, row(&s[i], stores[i]));
        *out = json_pack("{s:o, s:o}", "campaigns", rows, "tests", tests(s, n, &a));
    }
    for (size_t i = 0; i < n; i++)
        tally_fini(&s[i].t);
    arena_fini(&a);
    return rc;
}
