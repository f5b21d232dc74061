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

/* Every bit of every site alike: a strike on a site of b bits stands for b of them. A ratio estimator; its variance
 * by linearisation, steadied as everywhere. */
struct bits {
    double weight, hit, sum2_weight, n;
    double hit2, cross; /* sums of w^2 y and of w^2 */
};

static int see(void *ctx, const struct store_injection *i)
{
    struct bits *b = ctx;
    double w = (double)i->bits, y = i->outcome == OUTCOME_SDC;
    b->weight += w;
    b->hit += w * y;
    b->sum2_weight += w * w;
    b->hit2 += w * w * y;
    b->n++;
    return OK;
}

static struct estimate per_bit(const struct bits *b, double confidence)
{
    double r = b->hit / b->weight, mean = b->weight / b->n;
    /* sum of (w (y - r))^2 = sum w^2 y (1 - 2 r) + r^2 sum w^2; one success and one failure more of mean weight */
    double steady = (b->hit + mean) / (b->weight + 2 * mean);
    double squares = (b->hit2 + mean * mean) * (1 - 2 * steady) +
                     steady * steady * (b->sum2_weight + 2 * mean * mean);
    double n = steady * (1 - steady) * b->weight * b->weight / squares;
    struct estimate e = estimate_share(r * n, n, confidence);
    e.variance = squares / (b->weight * b->weight);
    return e;
}

static struct estimate scaled(struct estimate e, double by)
{
    return (struct estimate){e.value * by, e.lo * by, e.hi * by, e.n_effective,
                             e.variance * by * by};
}

static int read_side(struct side *s, const char *path, double confidence, struct arena *a,
                     struct diag *d)
{
    struct bits bits = {0};
    int rc = tally_read(&s->t, &(struct report_cell){.campaign = path}, confidence, a, d);
    if (rc != OK)
        return rc;
    const struct store_campaign *c = s->t.campaign;
    bool plain = !c->n_strata && !strstr(c->fault, ":cluster=");
    s->e[0] = s->t.share[OUTCOME_SDC];
    s->e[1] = store_is_exhaustive(c)
                  ? estimate_exact((double)s->t.outcome[OUTCOME_SDC] / (double)s->t.n)
                  : s->e[0];
    if (plain && (rc = store_each(s->t.store, false, see, &bits, d)) == OK)
        s->e[1] = per_bit(&bits, confidence);
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
