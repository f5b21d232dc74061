/* A model -> the JSON of the CLASSES tools. What is ours alone is under "_sievert", which their loader
 * skips as it does every name that begins with an underscore. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "model/json.h"
#include "model/priv.h"

static json_t *count(uint64_t n) { return json_integer((json_int_t)n); }

static double share_of(uint64_t part, uint64_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

static json_t *pair(const double v[2]) { return json_pack("[f, f]", v[0], v[1]); }

static json_t *value_json(const struct param *p, size_t i)
{
    double x = p->value[i][0];
    if (p->is_range)
        return pair(p->value[i]);
    return x == floor(x) ? json_integer((json_int_t)x) : json_real(x);
}

static json_t *params_json(const struct param *p, size_t n)
{
    json_t *o = json_object();
    for (size_t i = 0; i < n; i++) {
        if (p[i].n == 1) {
            json_object_set_new(o, p[i].name, value_json(&p[i], 0));
            continue;
        }
        json_t *list = json_array();
        for (size_t k = 0; k < p[i].n; k++)
            json_array_append_new(list, value_json(&p[i], k));
        json_object_set_new(o, p[i].name, json_pack("{s:o}", "RANDOM", list));
    }
    return o;
}

/* Whether class 1 - i is the one that the original gives a range from the other's to a whole 100. */
static bool is_second(const struct domain *d, int i)
{
    return d->n == 2 && d->share[i][1] == 100 && d->share[i][0] == 100 - d->share[1 - i][1];
}

static json_t *domain_json(const struct domain *d, uint64_t of, bool compat)
{
    json_t *o = json_object();
    for (int i = 0; i < d->n; i++) {
        json_t *share = compat && is_second(d, i) ? json_pack("[f, i]", d->share[i][0], 100)
                                                  : pair(d->share[i]);
        json_object_set_new(o, vocab_word(&vocab_values, (int)d->class[i]), share);
    }
    if (d->n == 0)
        json_object_set_new(o, "random", json_pack("[f, f]", 100.0, 100.0));
    json_object_set_new(o, "count", count(d->count));
    if (d->n == 0) {
        json_t *values = json_object();
        for (int v = 0; v < N_VALUES; v++)
            if (d->values[v] > 0)
                json_object_set_new(values, vocab_word(&vocab_values, v), json_real(d->values[v]));
        json_object_set_new(o, "values", values);
    }
    json_object_set_new(o, "frequency", json_real(share_of(d->count, of)));
    return o;
}

static uint64_t domain_total(const struct entry *e)
{
    uint64_t n = 0;
    for (size_t i = 0; i < e->n_domains; i++)
        n += e->domains[i].count;
    return n;
}

static json_t *entry_json(const struct model *m, const struct entry *e)
{
    json_t *domains = json_array(), *parameters = json_array();
    for (size_t i = 0; i < e->n_domains; i++)
        json_array_append_new(domains, domain_json(&e->domains[i], domain_total(e), m->compat));
    for (size_t i = 0; i < e->n_categories; i++) {
        const struct category *c = &e->categories[i];
        json_array_append_new(
            parameters,
            json_pack("{s:o, s:o, s:f, s:f, s:o}", "keys", params_json(c->keys, c->n_keys), "stats",
                      params_json(c->stats, c->n_stats), "conditional_frequency",
                      share_of(c->count, e->count), "overall_frequency",
                      share_of(c->count, m->n_tensors), "count", count(c->count)));
    }
    return json_pack("{s:o, s:f, s:o, s:o, s:o}", "count", count(e->count), "frequency",
                     share_of(e->count, m->n_tensors), "categories_count", count(e->n_categories),
                     "domain_classes", domains, "parameters", parameters);
}

/* The counts that are not zero, as [[what, how many], ...]. */
static json_t *histogram_json(const uint64_t *bin, int n, int first)
{
    json_t *list = json_array();
    for (int i = 0; i < n; i++)
        if (bin[i])
            json_array_append_new(list, json_pack("[i, o]", first + i, count(bin[i])));
    return list;
}

static void sizes_json(json_t *to, const char *name, const struct sizes *s)
{
    if (s->n)
        json_object_set_new(to, name,
                            json_pack("{s:o, s:o, s:o, s:o}", "centre",
                                      histogram_json(s->centre, CHAR_BINS, CHAR_BIN_0), "spread",
                                      histogram_json(s->spread, SPREAD_BINS, SPREAD_0), "values",
                                      count(s->n), "positive", count(s->positive)));
}

/* Classes that occur, and how often. */
static json_t *counts_json(const uint64_t *n)
{
    json_t *o = json_object();
    for (int v = 0; v < N_VALUES; v++)
        if (n[v])
            json_object_set_new(o, vocab_word(&vocab_values, v), count(n[v]));
    return o;
}

static json_t *footprints_json(const struct native *n)
{
    struct arena a = {0};
    json_t *list = json_array();
    for (size_t i = 0; i < n->n; i++) {
        const struct footprint *f = &n->footprints[i];
        json_t *sizes = json_object();
        for (int k = 0; k < 2; k++)
            if (f->size[k].n)
                json_object_set_new(sizes, size_names[k],
                                    json_string(model_exponents_text(&a, &f->size[k])));
        json_t *o = json_pack("{s:s, s:o, s:o}", "cells", model_runs_text(&a, f->runs, f->n_runs),
                              "values", counts_json(f->value_count), "sizes", sizes);
        if (f->n_each) {
            json_object_set_new(o, "each", json_string(model_each_text(&a, f)));
            json_object_set_new(o, "scale", json_real(f->scale));
        }
        if (f->stratum != MODEL_NO_STRATUM)
            json_object_set_new(o, "stratum", count(f->stratum));
        json_array_append_new(list, o);
    }
    arena_fini(&a);
    return list;
}

static json_t *tiling_json(const struct tiling *t)
{
    json_t *axes = json_array();
    for (int i = 0; i < t->n_axes; i++) {
        struct tiling_axis x = t->axis[i];
        json_t *o = json_pack("{s:s}", "axis", x.name);
        for (int k = 0; k < AXIS_NUMBERS; k++)
            json_object_set_new(o, axis_names[k], count(*axis_number(&x, k)));
        json_array_append_new(axes, o);
    }
    return json_pack("{s:[o, o], s:o}", "unit", count(t->unit_h), count(t->unit_w), "axes", axes);
}

/* Where the errors come from. */
static json_t *origin_json(const struct model_origin *o)
{
    struct arena a = {0};
    json_t *strata = json_array();
    for (size_t i = 0; i < o->n_strata; i++) {
        const struct model_stratum *s = &o->strata[i];
        json_t *item = json_pack("{s:s, s:s, s:o, s:i, s:s, s:i, s:o, s:o, s:o, s:o}", "launch",
                                 s->launch, "kernel", s->kernel, "number", count(s->insn), "line",
                                 s->line, "instruction", s->mnemonic, "shared", s->shared,
                                 "population", count(s->population), "injections",
                                 count(s->injections), "sdc", count(s->sdc), "due", count(s->due));
        if (o->live)
            json_object_set_new(item, "live", count(s->live));
        if (s->errors)
            json_object_set_new(item, "errors", count(s->errors));
        if (s->n_influences)
            json_object_set_new(
                item, "influence",
                json_string(model_influences_text(&a, s->influences, s->n_influences)));
        json_array_append_new(strata, item);
    }
    arena_fini(&a);
    json_t *to = json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "implementation",
                           o->impl, "problem", o->shape, "tile", o->tile, "fault", o->fault, "seed",
                           json_sprintf("%llu", (unsigned long long)o->seed), "population",
                           count(o->population), "injections", count(o->injections), "masked",
                           count(o->masked), "sdc", count(o->sdc), "due", count(o->due));
    if (o->tiling.n_axes)
        json_object_set_new(to, "tiling", tiling_json(&o->tiling));
    json_object_set_new(to, "strata", strata);
    return to;
}

static json_t *own_json(const struct model *m)
{
    json_t *patterns = json_object();
    for (int p = 0; p < N_PATTERNS; p++) {
        const struct native *n = &m->native[p];
        if (n->count == 0)
            continue;
        json_t *o = json_pack("{s:o}", "count", count(n->count));
        json_t *flipped = histogram_json(n->flipped, 32, 0);
        sizes_json(o, "in_range", &n->in_range);
        sizes_json(o, "out_of_range", &n->out_of_range);
        if (json_array_size(flipped))
            json_object_set(o, "flipped_bits", flipped);
        json_decref(flipped);
        if (n->n)
            json_object_set_new(o, "errors", footprints_json(n));
        json_object_set_new(patterns, vocab_word(&vocab_patterns, p), o);
    }
    json_t *own = json_pack("{s:i, s:s, s:f, s:o}", "format", MODEL_FORMAT, "rules",
                            m->compat ? "classes" : "documented", "epsilon", m->epsilon, "patterns",
                            patterns);
    if (m->chw[0])
        json_object_set_new(own, "shape",
                            json_pack("[I, I, I]", (json_int_t)m->chw[0], (json_int_t)m->chw[1],
                                      (json_int_t)m->chw[2]));
    if (m->has_origin)
        json_object_set_new(own, "origin", origin_json(&m->origin));
    return own;
}

static json_t *model_to_json(const struct model *m)
{
    json_t *root =
        json_pack("{s:f, s:o, s:o}", "_rejected_tensors_proportion", m->rejected, "_tensor_count",
                  count(m->n_tensors), "_categories_count", count(m->n_merged));
    for (size_t i = 0; i < m->n; i++)
        json_object_set_new(root, vocab_word(&vocab_patterns, (int)m->entries[i].pattern),
                            entry_json(m, &m->entries[i]));
    json_object_set_new(root, "_sievert", own_json(m));
    return root;
}

char *model_json(struct arena *a, const struct model *m)
{
    json_t *root = model_to_json(m);
    char *text = json_dumps(root, JSON_INDENT(3) | JSON_REAL_PRECISION(17));
    json_decref(root);
    if (!text)
        abort(); /* out of memory, as in base/arena */
    char *kept = arena_strdup(a, text);
    free(text);
    return kept;
}

int model_save(const struct model *m, const char *path, struct diag *d)
{
    struct arena a = {0};
    char *text = arena_printf(&a, "%s\n", model_json(&a, m));
    int rc = file_write(path, text, strlen(text), d);
    arena_fini(&a);
    return rc;
}
