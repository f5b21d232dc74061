/* Contenders -> ranking per layer and over the network: pairwise tests with Holm's correction, and
 * ranks that respect them: an implementation's rank is 1 + the number of those significantly safer,
 * so that those that cannot be told apart from the safest share rank 1. */
#include <stdlib.h>
#include <string.h>

#include "report/priv.h"
#include "stats/stats.h"

/* What is ranked: critical failures per inference where every cell has been tried in a network, else
 * silent corruptions per inference. */
enum basis { BASIS_DIRECT, BASIS_MODEL, BASIS_SDC };
static const char *const basis_word[] = {"critical-direct", "critical-model", "SDC"};
static const char *const basis_label[] = {
    "critical failures per inference, errors taken from the injections",
    "critical failures per inference, errors drawn from the models",
    "silent data corruptions per inference",
};

struct entry {
    const char *impl;
    struct estimate e; /* per inference: population x probability */
    double population;
};

struct pair {
    size_t a, b;
    double p, p_holm;
};

static enum basis choose_basis(const struct contender *c, size_t n)
{
    bool direct = true, model = true;
    for (size_t i = 0; i < n; i++) {
        direct = direct && c[i].has_direct;
        model = model && c[i].has_model;
    }
    return direct ? BASIS_DIRECT : model ? BASIS_MODEL : BASIS_SDC;
}

static struct estimate per_fault(const struct contender *c, enum basis b)
{
    return b == BASIS_DIRECT ? c->direct : b == BASIS_MODEL ? c->model : c->sdc;
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->e.value != y->e.value)
        return x->e.value < y->e.value ? -1 : 1;
    return strcmp(x->impl, y->impl);
}

static void test_pairs(struct pair *pairs, double *p, const struct entry *e, size_t n)
{
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++, k++) {
            pairs[k] = (struct pair){i, j, 0, 0};
            p[k] = stats_weighted_difference(1, e[i].e.value, e[i].e.variance, 1, e[j].e.value,
                                             e[j].e.variance);
            pairs[k].p = p[k];
        }
    stats_holm(p, k);
    for (size_t i = 0; i < k; i++)
        pairs[i].p_holm = p[i];
}

static json_t *entry_json(const struct entry *e, size_t self, const struct pair *pairs,
                          size_t n_pairs, double alpha)
{
    size_t safer = 0;
    double best = e[0].e.value;
    json_t *ties = json_array();
    for (size_t i = 0; i < n_pairs; i++) {
        if (pairs[i].a != self && pairs[i].b != self)
            continue;
        size_t other = pairs[i].a == self ? pairs[i].b : pairs[i].a;
        if (pairs[i].p_holm > alpha)
            json_array_append_new(ties, json_text(e[other].impl));
        else if (other < self) /* entries ascend */
            safer++;
    }
    json_t *j = json_estimate(&e[self].e);
    json_object_set_new(j, "impl", json_text(e[self].impl));
    json_object_set_new(j, "rank", json_integer((json_int_t)safer + 1));
    json_object_set_new(j, "relative",
                        best > 0 ? json_number(e[self].e.value / best) : json_null());
    json_object_set_new(j, "ties", ties);
    if (e[self].population > 0) { /* the same per 10^9 upsets that strike a site of it */
        const double scale = 1e9 / e[self].population;
        const struct estimate per = {e[self].e.value * scale, e[self].e.lo * scale,
                                     e[self].e.hi * scale, 0, 0};
        json_object_set_new(j, "per_billion_upsets", json_estimate(&per));
    }
    return j;
}

/* Sorts e. */
static json_t *ranking(struct entry *e, size_t n, double alpha)
{
    size_t n_pairs = n * (n - 1) / 2;
    struct pair *pairs = calloc(n_pairs + 1, sizeof *pairs);
    double *p = calloc(n_pairs + 1, sizeof *p);
    json_t *entries = json_array(), *tests = json_array();
    if (pairs && p) {
        qsort(e, n, sizeof *e, compare_entries);
        test_pairs(pairs, p, e, n);
        for (size_t i = 0; i < n; i++)
            json_array_append_new(entries, entry_json(e, i, pairs, n_pairs, alpha));
        for (size_t i = 0; i < n_pairs; i++)
            json_array_append_new(
                tests,
                json_pack("{s:o, s:o, s:o, s:o, s:b}", "a", json_text(e[pairs[i].a].impl), "b",
                          json_text(e[pairs[i].b].impl), "p", json_number(pairs[i].p), "p_holm",
                          json_number(pairs[i].p_holm), "significant", pairs[i].p_holm <= alpha));
    }
    free(pairs);
    free(p);
    return json_pack("{s:o, s:o}", "entries", entries, "tests", tests);
}

static struct entry layer_entry(const struct contender *c, enum basis b)
{
    struct estimate e = per_fault(c, b);
    return (struct entry){c->impl, estimate_sum(&c->population, &e, 1), c->population};
}

static json_t *rank_layers(const struct contender *c, size_t n, enum basis basis, double alpha,
                           struct entry *e)
{
    json_t *layers = json_array();
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        bool first = true;
        for (size_t j = 0; j < n; j++) {
            if (strcmp(c[j].layer, c[i].layer) != 0)
                continue;
            first = first && j >= i;
            e[k++] = layer_entry(&c[j], basis);
        }
        if (!first)
            continue;
        json_t *r = ranking(e, k, alpha);
        json_object_set_new(r, "layer", json_text(c[i].layer));
        json_array_append_new(layers, r);
    }
    return layers;
}

/* Sums over the layers, for the implementations that computed every one of them. */
static json_t *rank_network(const struct contender *c, size_t n, size_t n_layers, enum basis basis,
                            double alpha, struct entry *e, double *w, struct estimate *parts)
{
    size_t k = 0;
    json_t *partial = json_array();
    for (size_t i = 0; i < n; i++) {
        size_t m = 0;
        double total = 0;
        bool first = true;
        for (size_t j = 0; j < n; j++) {
            if (strcmp(c[j].impl, c[i].impl) != 0)
                continue;
            first = first && j >= i;
            total += c[j].population;
            w[m] = c[j].population;
            parts[m++] = per_fault(&c[j], basis);
        }
        if (!first)
            continue;
        if (m == n_layers)
            e[k++] = (struct entry){c[i].impl, estimate_sum(w, parts, m), total};
        else
            json_array_append_new(partial, json_text(c[i].impl));
    }
    json_t *r = ranking(e, k, alpha);
    json_object_set_new(r, "partial", partial);
    return r;
}

/* Rates of different experiments must not be ranked against each other. */
static int check_comparable(const struct contender *c, size_t n, struct diag *d)
{
    for (size_t i = 0; i < n; i++) {
        struct loc at = {.file = c[i].campaign};
        if (strcmp(c[i].fault, c[0].fault) != 0)
            return diag_fail(d, ERR_INPUT, at,
                             "injects %s, but %s injects %s: report them separately", c[i].fault,
                             c[0].campaign, c[0].fault);
        for (size_t j = 0; j < i; j++) {
            if (strcmp(c[i].layer, c[j].layer) != 0)
                continue;
            if (strcmp(c[i].impl, c[j].impl) == 0)
                return diag_fail(d, ERR_INPUT, at,
                                 "layer '%s' computed by '%s' is already given by %s", c[i].layer,
                                 c[i].impl, c[j].campaign);
            if (strcmp(c[i].shape, c[j].shape) != 0)
                return diag_fail(d, ERR_INPUT, at,
                                 "computes %s, but %s computes %s for the same layer '%s'",
                                 c[i].shape, c[j].campaign, c[j].shape, c[i].layer);
        }
    }
    return OK;
}

int rank_cells(json_t **out, const struct contender *c, size_t n, double confidence, struct diag *d)
{
    int rc = check_comparable(c, n, d);
    if (rc != OK)
        return rc;
    enum basis basis = choose_basis(c, n);
    struct entry *e = calloc(n, sizeof *e);
    double *w = calloc(n, sizeof *w);
    struct estimate *parts = calloc(n, sizeof *parts);
    if (e && w && parts) {
        json_t *layers = rank_layers(c, n, basis, 1 - confidence, e);
        json_t *network =
            rank_network(c, n, json_array_size(layers), basis, 1 - confidence, e, w, parts);
        *out = json_pack("{s:s, s:s, s:o, s:o, s:o}", "basis", basis_word[basis], "label",
                         basis_label[basis], "alpha", json_number(1 - confidence), "layers", layers,
                         "network", network);
    } else {
        rc = diag_fail(d, ERR_NOMEM, DIAG_NOWHERE, "out of memory");
    }
    free(e);
    free(w);
    free(parts);
    return rc;
}
