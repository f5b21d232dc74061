/* One tally -> its object in the document. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "characterise/characterise.h"
#include "report/priv.h"

static json_t *integer(uint64_t n)
{
    return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

/* Counts of a vocabulary as {word: share}, those that occur. */
static json_t *shares(const struct vocab *v, const uint64_t *count, uint64_t of, double confidence)
{
    json_t *o = json_object();
    for (size_t i = 0; i < v->n; i++)
        if (count[i])
            json_object_set_new(o, v->words[i].word, json_share(count[i], of, confidence));
    return o;
}

static json_t *outcomes(const struct tally *t)
{
    json_t *o = json_object();
    for (int i = 0; i < N_OUTCOMES; i++) {
        const struct estimate *e = &t->share[i];
        json_object_set_new(o, vocab_word(&vocab_outcomes, i),
                            json_pack("{s:o, s:o, s:o, s:o}", "n", integer(t->outcome[i]), "share",
                                      json_number(e->value), "lo", json_number(e->lo), "hi",
                                      json_number(e->hi)));
    }
    return o;
}

/* The strata with their weights and what came of their injections; empty if there are none. */
static json_t *strata(const struct tally *t, double confidence)
{
    const struct store_campaign *c = t->campaign;
    json_t *list = json_array();
    for (size_t h = 0; h < c->n_strata; h++) {
        uint64_t n = 0;
        for (int o = 0; o < N_OUTCOMES; o++)
            n += t->stratum[h][o];
        json_t *row = json_pack(
            "{s:I, s:o, s:o, s:o, s:o, s:o}", "launch", (json_int_t)c->strata[h].launch, "kernel",
            json_text(c->launches[c->strata[h].launch].kernel), "part",
            json_text(c->strata[h].part), "population", integer(c->strata[h].population), "weight",
            json_number((double)c->strata[h].population / (double)c->population), "n", integer(n));
        for (int o = 0; o < N_OUTCOMES; o++)
            json_object_set_new(row, vocab_word(&vocab_outcomes, o),
                                json_share(t->stratum[h][o], n, confidence));
        json_array_append_new(list, row);
    }
    return list;
}

static int compare_counts(const void *a, const void *b)
{
    const struct named_count *x = a, *y = b;
    if (x->n != y->n)
        return x->n > y->n ? -1 : 1;
    return strcmp(x->name, y->name);
}

static json_t *domains(struct epsilon_tally *e, double confidence)
{
    json_t *o = json_object();
    if (e->n_domains)
        qsort(e->domains, e->n_domains, sizeof *e->domains, compare_counts);
    for (size_t i = 0; i < e->n_domains; i++) {
        json_t *key = json_text(e->domains[i].name);
        json_object_set_new(o, json_string_value(key),
                            json_share(e->domains[i].n, e->corrupted, confidence));
        json_decref(key);
    }
    return o;
}

static json_t *epsilons(const struct tally *t, double confidence)
{
    json_t *list = json_array();
    for (size_t i = 0; i < t->campaign->n_epsilons; i++) {
        struct epsilon_tally *e = &t->eps[i];
        json_array_append_new(
            list,
            json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "epsilon", json_number(e->epsilon),
                      "corrupted", json_share(e->corrupted, t->n, confidence), "median_cardinality",
                      e->corrupted ? json_number(e->median_cardinality) : json_null(),
                      "max_cardinality", integer(e->max_cardinality), "patterns",
                      shares(&vocab_patterns, e->pattern, e->corrupted, confidence), "domains",
                      domains(e, confidence)));
    }
    return list;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value below which a share q of n sorted ones lies: type 1, an element of the sample. */
static json_t *quantile(const double *sorted, size_t n, double q)
{
    if (n == 0)
        return json_null();
    size_t i = (size_t)ceil(q * (double)n);
    return json_number(sorted[i ? i - 1 : 0]);
}

enum { DECADE_MIN = -45, DECADE_MAX = 38 }; /* of floats, denormals included */

/* Largest absolute error of each SDC: quartiles, and a histogram by power of ten. */
static json_t *magnitudes(const struct tally *t)
{
    uint64_t decade[DECADE_MAX - DECADE_MIN + 1] = {0};
    json_t *histogram = json_array();
    double *x = malloc((t->n_errors + 1) * sizeof *x);
    size_t n = 0;
    if (!x)
        return json_null();
    for (size_t i = 0; i < t->n_errors; i++) {
        double e = t->errors[i];
        if (!isfinite(e))
            continue;
        x[n++] = e;
        double p = e > 0 ? floor(log10(e)) : DECADE_MIN;
        p = fmin(fmax(p, DECADE_MIN), DECADE_MAX);
        decade[(int)p - DECADE_MIN]++;
    }
    qsort(x, n, sizeof *x, compare_doubles);
    for (int i = DECADE_MIN; i <= DECADE_MAX; i++)
        if (decade[i - DECADE_MIN])
            json_array_append_new(histogram,
                                  json_pack("[i, o]", i, integer(decade[i - DECADE_MIN])));
    json_t *o = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "not_finite", integer(t->n_errors - n),
                          "q1", quantile(x, n, 0.25), "median", quantile(x, n, 0.5), "q3",
                          quantile(x, n, 0.75), "max", quantile(x, n, 1), "decades", histogram);
    free(x);
    return o;
}

static json_t *per_inference(const struct tally *t, const struct estimate *per_fault)
{
    double population = (double)t->campaign->population;
    struct estimate e = estimate_sum(&population, per_fault, 1);
    return json_estimate(&e);
}

/* {pattern: [trials, critical]} */
static json_t *by_pattern(const struct critical *c)
{
    json_t *o = json_object();
    for (int i = 0; i < N_PATTERNS; i++)
        if (c->pattern_trials[i])
            json_object_set_new(o, vocab_word(&vocab_patterns, i),
                                json_pack("[o, o]", integer(c->pattern_trials[i]),
                                          integer(c->pattern_critical[i])));
    return o;
}

/* Model minus truth, where both were tried. */
static json_t *difference(const struct tally *t)
{
    double p;
    if (!t->direct.has_given_sdc || !t->model.has_given_sdc)
        return json_null();
    struct estimate e = estimate_difference(&t->model.given_sdc, &t->direct.given_sdc, &p);
    json_t *o = json_estimate(&e);
    json_object_set_new(o, "p", json_number(p));
    return o;
}

static json_t *critical(const struct tally *t, const struct critical *c, const char *store)
{
    if (!c->known)
        return json_null();
    json_t *effects = json_object();
    char seed[24];
    snprintf(seed, sizeof seed, "%" PRIu64, c->seed);
    for (int i = 0; i < N_EFFECTS; i++)
        json_object_set_new(effects, vocab_word(&vocab_effects, i), integer(c->effect[i]));
    return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "store",
                     store ? json_text(store) : json_null(), "seed", seed, "trials",
                     integer(c->trials), "planned", integer(c->planned), "images",
                     integer(c->images), "clusters", integer(c->clusters), "modelled",
                     integer(c->modelled), "effects", effects, "patterns", by_pattern(c),
                     "given_sdc", c->has_given_sdc ? json_estimate(&c->given_sdc) : json_null(),
                     "given_fault", json_estimate(&c->given_fault), "per_inference",
                     per_inference(t, &c->given_fault));
}

static json_t *launches(const struct store_campaign *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->n_launches; i++) {
        const struct store_launch *l = &c->launches[i];
        json_array_append_new(
            list,
            json_pack("{s:o, s:o, s:[i,i,i], s:[i,i,i], s:o, s:o, s:o}", "kernel",
                      json_text(l->kernel), "label", json_text(l->label), "grid", (int)l->grid[0],
                      (int)l->grid[1], (int)l->grid[2], "block", (int)l->block[0], (int)l->block[1],
                      (int)l->block[2], "warp_insns", integer(l->warp_insns), "thread_insns",
                      integer(l->thread_insns), "population", integer(l->population)));
    }
    return list;
}

/* When the campaign was to stop, as the store says. */
enum { RULE = 160 };
static void stopping(char out[static RULE], const struct store_campaign *c)
{
    json_t *made = json_loads(c->made, 0, NULL);
    double margin = json_number_value(json_object_get(made, "margin"));
    double confidence = json_number_value(json_object_get(made, "confidence"));
    if (json_is_true(json_object_get(made, "sequential")))
        snprintf(out, RULE,
                 "the injection at which the shares of all outcomes were known to within %g %% at "
                 "%g %% confidence (sequential)",
                 100 * margin, 100 * confidence);
    else if (margin > 0)
        snprintf(out, RULE, "the number that a margin of %g %% at %g %% confidence needs",
                 100 * margin, 100 * confidence);
    else
        snprintf(out, RULE,
                 store_is_exhaustive(c) ? "all faults that there are"
                                        : "a number fixed before the first injection");
    json_decref(made);
}

static json_t *provenance(const struct tally *t)
{
    const struct store_campaign *c = t->campaign;
    char seed[24], hash[24], rule[RULE];
    stopping(rule, c);
    snprintf(seed, sizeof seed, "%" PRIu64, c->seed);
    snprintf(hash, sizeof hash, "%016" PRIx64, c->kernels_hash);
    return json_pack("{s:o, s:b, s:s, s:o, s:o, s:s, s:o, s:o, s:i, s:s, s:o, s:o}", "store",
                     json_text(t->cell.campaign), "exhaustive", store_is_exhaustive(c), "stopping",
                     rule, "first", integer(c->first), "fault", json_text(c->fault), "seed", seed,
                     "planned", integer(c->planned), "injections", integer(t->n), "hang_factor",
                     (int)c->hang_factor, "kernels_hash", hash, "population_kind",
                     json_text(c->population_kind), "model",
                     t->cell.model ? json_text(t->cell.model) : json_null());
}

json_t *cell_json(const struct tally *t, double confidence)
{
    const struct store_campaign *c = t->campaign;
    if (store_is_exhaustive(c))
        confidence = 0; /* of all there are: intervals are points */
    struct value_range range = characterise_range(c->golden, c->golden_floats);
    struct estimate sdc = t->share[OUTCOME_SDC];
    json_t *o =
        json_pack("{s:o, s:o, s:o, s:o, s:[I,I,I,I], s:{s:o, s:o}}", "layer",
                  json_text(t->cell.layer), "impl", json_text(t->cell.impl), "tile",
                  json_text(c->tile), "shape", json_text(c->shape), "output", (json_int_t)c->dim[0],
                  (json_int_t)c->dim[1], (json_int_t)c->dim[2], (json_int_t)c->dim[3],
                  "golden_range", "min", json_number(range.min), "max", json_number(range.max));
    json_object_set_new(o, "provenance", provenance(t));
    json_object_set_new(o, "population", integer(c->population));
    json_object_set_new(o, "instructions",
                        json_pack("{s:o, s:o}", "warp", integer(c->warp_insns), "thread",
                                  integer(c->thread_insns)));
    json_object_set_new(o, "workspace_bytes", integer(c->workspace_bytes));
    json_object_set_new(o, "launches", launches(c));
    json_object_set_new(o, "outcomes", outcomes(t));
    json_object_set_new(o, "strata", strata(t, confidence));
    json_object_set_new(o, "due_reasons", shares(&vocab_traps, t->trap, t->n, confidence));
    json_object_set_new(o, "sdc_per_inference", per_inference(t, &sdc));
    json_object_set_new(
        o, "critical",
        json_pack("{s:o, s:o, s:o}", "direct", critical(t, &t->direct, t->cell.sim_direct), "model",
                  critical(t, &t->model, t->cell.sim_model), "difference", difference(t)));
    json_object_set_new(o, "epsilons", epsilons(t, confidence));
    json_object_set_new(o, "errors", magnitudes(t));
    return o;
}
