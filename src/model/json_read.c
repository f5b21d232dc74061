/* The JSON of the CLASSES tools -> a model: published ones, and ours with what is under "_sievert". Files are hostile. */
#include <float.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "model/json.h"
#include "model/priv.h"

enum { MAX_BYTES = 256 << 20 };
static const double MAX_COUNT = 9007199254740992.0; /* 2^53: integers that a double holds */

struct reader {
    struct arena *a;
    const char *path, *pattern; /* for messages */
    struct diag *d;
};

static int bad(const struct reader *r, const char *what)
{
    return diag_fail(r->d, ERR_INPUT, (struct loc){.file = r->path}, "%s%s%s",
                     r->pattern ? r->pattern : "", r->pattern ? ": " : "", what);
}

static int read_count(uint64_t *out, const struct reader *r, const json_t *v, const char *what)
{
    double x = json_is_number(v) ? json_number_value(v) : -1;
    if (!(x >= 0 && x <= MAX_COUNT))
        return bad(r, what);
    *out = (uint64_t)llround(x);
    return OK;
}

/* A number, or a pair of them. */
static int read_value(struct param *p, const struct reader *r, const json_t *v)
{
    bool is_range = json_is_array(v);
    double x[2] = {json_number_value(v), 0};
    if (is_range && json_array_size(v) == 2)
        for (size_t i = 0; i < 2; i++)
            x[i] = json_is_number(json_array_get(v, i)) ? json_number_value(json_array_get(v, i))
                                                        : NAN;
    else if (is_range || !json_is_number(v))
        return bad(r, "a parameter is neither a number nor a pair of numbers");
    if (!(fabs(x[0]) <= MAX_COUNT && fabs(x[1]) <= MAX_COUNT))
        return bad(r, "a parameter is not a number of reasonable size");
    if (p->n > 0 && p->is_range != is_range)
        return bad(r, "a RANDOM list mixes numbers and pairs");
    p->is_range = is_range;
    memcpy(p->value[p->n++], x, sizeof x);
    return OK;
}

static int read_params(struct param **out, size_t *n, const struct reader *r, json_t *object)
{
    const char *name;
    json_t *v;
    if (!json_is_object(object) || json_object_size(object) > MAX_SETTINGS / 2)
        return bad(r, "'keys' and 'stats' must be objects of a few parameters");
    *out = arena_array(r->a, json_object_size(object), sizeof **out);
    json_object_foreach (object, name, v) {
        struct param *p = &(*out)[(*n)++];
        json_t *list = json_is_object(v) ? json_object_get(v, "RANDOM") : NULL;
        size_t size = list ? json_array_size(list) : 1;
        if (size == 0)
            return bad(r, "a RANDOM list is empty");
        *p = (struct param){arena_strdup(r->a, name), false, 0,
                            arena_array(r->a, size, sizeof *p->value)};
        for (size_t i = 0; i < size; i++) {
            int rc = read_value(p, r, list ? json_array_get(list, i) : v);
            if (rc != OK)
                return rc;
        }
    }
    return OK;
}

static int read_category(struct category *c, const struct reader *r, const json_t *v)
{
    if (!json_is_object(v))
        return bad(r, "'parameters' must be a list of objects");
    int rc =
        read_count(&c->count, r, json_object_get(v, "count"), "a category has no valid 'count'");
    if (rc == OK)
        rc = read_params(&c->keys, &c->n_keys, r, json_object_get(v, "keys"));
    if (rc == OK)
        rc = read_params(&c->stats, &c->n_stats, r, json_object_get(v, "stats"));
    return rc;
}

static int value_class(const char *name)
{
    for (int v = 0; v < N_VALUES; v++)
        if (v != VALUE_SAME && strcmp(name, vocab_word(&vocab_values, v)) == 0)
            return v;
    return -1;
}

static int read_weights(struct domain *d, const struct reader *r, json_t *values)
{
    const char *name;
    json_t *v;
    double sum = 0;
    json_object_foreach (values, name, v) {
        int class = value_class(name);
        double x = json_is_number(v) ? json_number_value(v) : -1;
        if (class < 0 || !(x >= 0 && x <= MAX_COUNT))
            return bad(r, "'values' holds an unknown value class or a share that is not a number");
        d->values[class] = x;
        sum += x;
    }
    return sum > 0 ? OK : bad(r, "a random domain has no 'values'");
}

/* Value classes with their shares; names that are not classes are skipped, as the original does. */
static int read_domain(struct domain *d, const struct reader *r, json_t *object)
{
    const char *name;
    json_t *v;
    if (!json_is_object(object))
        return bad(r, "'domain_classes' must be a list of objects");
    int rc =
        read_count(&d->count, r, json_object_get(object, "count"), "a domain has no valid 'count'");
    if (rc != OK)
        return rc;
    if (json_object_get(object, "random"))
        return read_weights(d, r, json_object_get(object, "values"));
    json_object_foreach (object, name, v) {
        int class = value_class(name);
        if (class < 0)
            continue;
        double lo = json_number_value(json_array_get(v, 0));
        double hi = json_number_value(json_array_get(v, 1));
        if (d->n == 2 || json_array_size(v) != 2 || !(lo >= 0 && lo <= hi && hi <= 100))
            return bad(r, "a domain must have one or two value classes with a share [lo, hi] each");
        d->class[d->n] = (enum value_class) class;
        d->share[d->n][0] = lo;
        d->share[d->n++][1] = hi;
    }
    return d->n ? OK : bad(r, "a domain has no value class");
}

static int read_entry(struct entry *e, const struct reader *r, const json_t *v)
{
    json_t *domains = json_object_get(v, "domain_classes"),
           *list = json_object_get(v, "parameters");
    if (!json_is_object(v) || !json_is_array(domains) || !json_is_array(list))
        return bad(r, "'count', 'domain_classes' and 'parameters' are needed");
    int rc = read_count(&e->count, r, json_object_get(v, "count"), "no valid 'count'");
    e->domains = arena_array(r->a, json_array_size(domains), sizeof *e->domains);
    e->categories = arena_array(r->a, json_array_size(list), sizeof *e->categories);
    uint64_t domain_sum = 0, category_sum = 0;
    for (size_t i = 0; i < json_array_size(domains) && rc == OK; i++) {
        rc = read_domain(&e->domains[e->n_domains++], r, json_array_get(domains, i));
        domain_sum += e->domains[i].count;
    }
    for (size_t i = 0; i < json_array_size(list) && rc == OK; i++) {
        rc = read_category(&e->categories[e->n_categories++], r, json_array_get(list, i));
        category_sum += e->categories[i].count;
    }
    if (rc == OK && e->count > 0 && (domain_sum == 0 || category_sum == 0))
        return bad(r, "its domains or its parameters count no tensor");
    return rc;
}

static int read_histogram(uint64_t *bin, int n, int first, const struct reader *r,
                          const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        json_t *at = json_array_get(v, 0);
        int rc = OK;
        uint64_t how_many = 0;
        if (!json_is_integer(at) || json_integer_value(at) < first ||
            json_integer_value(at) >= (json_int_t)first + n)
            return bad(r, "_sievert: a histogram's bin is out of range");
        rc = read_count(&how_many, r, json_array_get(v, 1),
                        "_sievert: a histogram's count is not valid");
        if (rc != OK)
            return rc;
        bin[json_integer_value(at) - first] = how_many;
    }
    return OK;
}

static int read_sizes(struct sizes *s, const struct reader *r, const json_t *v)
{
    uint64_t centre = 0, spread = 0;
    if (!v)
        return OK;
    int rc = read_histogram(s->centre, CHAR_BINS, CHAR_BIN_0, r, json_object_get(v, "centre"));
    if (rc == OK)
        rc = read_histogram(s->spread, SPREAD_BINS, SPREAD_0, r, json_object_get(v, "spread"));
    if (rc == OK)
        rc = read_count(&s->n, r, json_object_get(v, "values"), "_sievert: no valid 'values'");
    if (rc == OK)
        rc = read_count(&s->positive, r, json_object_get(v, "positive"),
                        "_sievert: no valid 'positive'");
    for (int i = 0; i < CHAR_BINS; i++)
        centre += s->centre[i];
    for (int i = 0; i < SPREAD_BINS; i++)
        spread += s->spread[i];
    if (rc == OK && s->n > 0 && (centre == 0 || spread == 0))
        rc = bad(r, "_sievert: a histogram is empty");
    return rc;
}

static int read_footprint(struct footprint *f, const struct reader *r, json_t *v,
                          const size_t chw[3])
{
    const char *name, *cells = json_string_value(json_object_get(v, "cells"));
    json_t *n;
    if (!cells || model_runs_parse(&f->runs, &f->n_runs, r->a, cells, chw) != 0)
        return bad(r, "_sievert: an error's 'cells' are not places in the tensor, ascending");
    n = json_object_get(v, "stratum");
    f->stratum = json_is_integer(n) && json_integer_value(n) >= 0 ? (size_t)json_integer_value(n)
                                                                  : MODEL_NO_STRATUM;
    json_object_foreach (json_object_get(v, "values"), name, n) {
        int class = value_class(name);
        if (class < 0)
            return bad(r, "_sievert: an error has an unknown value class");
        int rc = read_count(&f->value_count[class], r, n,
                            "_sievert: an error's value count is not valid");
        if (rc != OK)
            return rc;
    }
    for (int k = 0; k < 2; k++) {
        const char *text =
            json_string_value(json_object_get(json_object_get(v, "sizes"), size_names[k]));
        if (text && model_exponents_parse(&f->size[k], r->a, text) != 0)
            return bad(r, "_sievert: an error's 'sizes' are not exponents with counts");
    }
    const char *each = json_string_value(json_object_get(v, "each"));
    f->scale = json_number_value(json_object_get(v, "scale"));
    if (each &&
        (!(f->scale >= 0 && f->scale <= 2.0 * FLT_MAX) || model_each_parse(f, r->a, each) != 0))
        return bad(r, "_sievert: an error's 'each' and 'scale' do not say what its values were");
    return OK;
}

static int read_footprints(struct native *n, const struct reader *r, const json_t *list,
                           const size_t chw[3])
{
    if (json_array_size(list) > 0 && chw[0] == 0)
        return bad(r, "_sievert: errors without a 'shape'");
    n->footprints = arena_array(r->a, json_array_size(list), sizeof *n->footprints);
    for (size_t i = 0; i < json_array_size(list); i++) {
        int rc = read_footprint(&n->footprints[n->n++], r, json_array_get(list, i), chw);
        if (rc != OK)
            return rc;
    }
    return OK;
}

static int read_native(struct native *n, const struct reader *r, const json_t *v,
                       const size_t chw[3])
{
    int rc = read_count(&n->count, r, json_object_get(v, "count"), "_sievert: no valid 'count'");
    if (rc == OK)
        rc = read_sizes(&n->in_range, r, json_object_get(v, "in_range"));
    if (rc == OK)
        rc = read_sizes(&n->out_of_range, r, json_object_get(v, "out_of_range"));
    if (rc == OK)
        rc = read_histogram(n->flipped, 32, 0, r, json_object_get(v, "flipped_bits"));
    if (rc == OK)
        rc = read_footprints(n, r, json_object_get(v, "errors"), chw);
    return rc;
}

/* The measured tensors' C, H, W; fewer than 2^32 elements. */
static int read_shape(size_t chw[3], const struct reader *r, const json_t *v)
{
    double elems = 1;
    for (size_t i = 0; v && i < 3; i++) {
        json_int_t x = json_integer_value(json_array_get(v, i));
        elems *= (double)x;
        if (x < 1 || !(elems < 4294967296.0))
            return bad(r, "_sievert: 'shape' must be three positive sizes");
        chw[i] = (size_t)x;
    }
    return OK;
}

static const char *const tiling_words[] = {"channel", "pixel", "unit", "row", "column"};

static int read_axis(struct tiling_axis *x, const struct reader *r, const json_t *v)
{
    const char *name = json_string_value(json_object_get(v, "axis"));
    for (size_t i = 0; name && i < sizeof tiling_words / sizeof *tiling_words; i++)
        if (strcmp(name, tiling_words[i]) == 0)
            x->name = tiling_words[i];
    for (int i = 0; i < AXIS_NUMBERS; i++) {
        const json_int_t n = json_integer_value(json_object_get(v, axis_names[i]));
        if (n < 1 || n > UINT32_MAX)
            return bad(r, "_sievert: an axis of 'tiling' has a size that is not a positive number");
        *axis_number(x, i) = (size_t)n;
    }
    const size_t runs = x->step <= x->thread ? x->thread / x->step : 0; /* apart from one another */
    if (!x->name || runs == 0 || x->thread > x->tile || x->tile % x->step != 0 ||
        x->reach < runs * x->step)
        return bad(r, "_sievert: an axis of 'tiling' makes no sense");
    return OK;
}

/* The sizes follow from the tensor's: what the file says of them must agree. */
static int read_tiling(struct model *m, const struct reader *r, const json_t *v)
{
    struct tiling t = {0};
    const json_t *axes = json_object_get(v, "axes"), *unit = json_object_get(v, "unit");
    const json_int_t unit_h = json_integer_value(json_array_get(unit, 0));
    const json_int_t unit_w = json_integer_value(json_array_get(unit, 1));
    if (!v || m->chw[0] == 0)
        return OK;
    t.n_axes = (int)json_array_size(axes);
    if (t.n_axes < 2 || t.n_axes > TILING_AXES || unit_h < 1 || unit_w < 1 || unit_h > UINT32_MAX ||
        unit_w > UINT32_MAX)
        return bad(r, "_sievert: 'tiling' needs a 'unit' and two or three 'axes'");
    t.unit_h = (size_t)unit_h;
    t.unit_w = (size_t)unit_w;
    for (int i = 0; i < t.n_axes; i++) {
        int rc = read_axis(&t.axis[i], r, json_array_get(axes, (size_t)i));
        if (rc != OK)
            return rc;
    }
    m->origin.tiling = t;
    t = model_tiling_for(m, m->chw);
    for (int i = 0; i < t.n_axes; i++)
        if (t.axis[i].size != m->origin.tiling.axis[i].size)
            return bad(r, "_sievert: 'tiling' is not of the tensor's 'shape'");
    m->origin.tiling = t;
    return OK;
}

static const char *text_of(const struct reader *r, const json_t *v, const char *key)
{
    const char *text = json_string_value(json_object_get(v, key));
    return arena_strdup(r->a, text ? text : "");
}

static int read_stratum(struct model_stratum *s, const struct reader *r, const json_t *v)
{
    s->launch = text_of(r, v, "launch");
    s->kernel = text_of(r, v, "kernel");
    s->insn = (uint32_t)json_integer_value(json_object_get(v, "number"));
    s->mnemonic = text_of(r, v, "instruction");
    s->line = (int)json_integer_value(json_object_get(v, "line"));
    s->shared = (int)(json_integer_value(json_object_get(v, "shared")) & 3);
    int rc = read_count(&s->population, r, json_object_get(v, "population"),
                        "_sievert: a stratum has no valid 'population'");
    if (rc == OK)
        rc = read_count(&s->injections, r, json_object_get(v, "injections"),
                        "_sievert: a stratum has no valid 'injections'");
    if (rc == OK)
        rc = read_count(&s->sdc, r, json_object_get(v, "sdc"),
                        "_sievert: a stratum has no valid 'sdc'");
    if (rc == OK)
        rc = read_count(&s->due, r, json_object_get(v, "due"),
                        "_sievert: a stratum has no valid 'due'");
    if (rc == OK && json_object_get(v, "live"))
        rc = read_count(&s->live, r, json_object_get(v, "live"),
                        "_sievert: a stratum has no valid 'live'");
    if (rc == OK && json_object_get(v, "errors"))
        rc = read_count(&s->errors, r, json_object_get(v, "errors"),
                        "_sievert: a stratum has no valid 'errors'");
    const char *influence = json_string_value(json_object_get(v, "influence"));
    struct tiling_influence *list = NULL;
    if (rc == OK && influence &&
        model_influences_parse(&list, &s->n_influences, r->a, influence) != 0)
        return bad(r, "_sievert: a stratum's 'influence' is not reaches with counts");
    s->influences = list;
    return rc;
}

static int read_origin(struct model *m, const struct reader *r, const json_t *v)
{
    struct model_origin *o = &m->origin;
    const json_t *strata = json_object_get(v, "strata");
    struct {
        const char *name;
        uint64_t *to;
    } counts[] = {{"population", &o->population},
                  {"injections", &o->injections},
                  {"masked", &o->masked},
                  {"sdc", &o->sdc},
                  {"due", &o->due}};
    int rc = OK;
    if (!v)
        return OK;
    m->has_origin = true;
    o->impl = text_of(r, v, "implementation");
    o->shape = text_of(r, v, "problem");
    o->tile = text_of(r, v, "tile");
    o->fault = text_of(r, v, "fault");
    o->seed = strtoull(text_of(r, v, "seed"), NULL, 10);
    for (size_t i = 0; i < sizeof counts / sizeof *counts && rc == OK; i++)
        rc = read_count(counts[i].to, r, json_object_get(v, counts[i].name),
                        "_sievert: 'origin' lacks a count");
    struct model_stratum *list = arena_array(r->a, json_array_size(strata), sizeof *list);
    o->strata = list;
    o->live = json_object_get(json_array_get(strata, 0), "live") != NULL;
    for (size_t i = 0; i < json_array_size(strata) && rc == OK; i++)
        rc = read_stratum(&list[o->n_strata++], r, json_array_get(strata, i));
    return rc == OK ? read_tiling(m, r, json_object_get(v, "tiling")) : rc;
}

static int read_own(struct model *m, struct reader *r, const json_t *own)
{
    const json_t *epsilon = json_object_get(own, "epsilon");
    const char *rules = json_string_value(json_object_get(own, "rules"));
    if (json_integer_value(json_object_get(own, "format")) != MODEL_FORMAT || !rules)
        return bad(r, "_sievert: not of a format this version reads");
    m->compat = strcmp(rules, "classes") == 0;
    m->epsilon = json_is_number(epsilon) ? json_number_value(epsilon) : -1;
    if (!(m->epsilon >= 0 && m->epsilon <= MAX_COUNT))
        return bad(r, "_sievert: 'epsilon' is not valid");
    int rc = read_shape(m->chw, r, json_object_get(own, "shape"));
    for (int p = 0; p < N_PATTERNS && rc == OK; p++) {
        r->pattern = vocab_word(&vocab_patterns, p);
        const json_t *v = json_object_get(json_object_get(own, "patterns"), r->pattern);
        rc = v ? read_native(&m->native[p], r, v, m->chw) : OK;
    }
    r->pattern = NULL;
    return rc == OK ? read_origin(m, r, json_object_get(own, "origin")) : rc;
}

static int read_model(struct model *m, struct reader *r, json_t *root)
{
    const char *name;
    json_t *v;
    uint64_t total = 0;
    if (!json_is_object(root))
        return bad(r, "not an error model: a JSON object is expected");
    m->compat = true; /* until "_sievert" says otherwise: a model of the original tools */
    m->epsilon = 1e-3;
    m->entries = arena_array(r->a, N_PATTERNS, sizeof *m->entries);
    json_object_foreach (root, name, v) {
        int pattern, rc;
        if (name[0] == '_')
            continue;
        if (vocab_find(&vocab_patterns, name, &pattern, NULL) != OK || m->n == N_PATTERNS) {
            r->pattern = arena_strdup(r->a, name);
            return bad(r, "not a pattern that is known");
        }
        r->pattern = vocab_word(&vocab_patterns, pattern);
        m->entries[m->n].pattern = (enum pattern)pattern;
        rc = read_entry(&m->entries[m->n], r, v);
        if (rc != OK)
            return rc;
        total += m->entries[m->n++].count;
    }
    r->pattern = NULL;
    if (total == 0)
        return bad(r, "not an error model: it counts no tensor");
    m->n_tensors = total;
    m->rejected = json_number_value(json_object_get(root, "_rejected_tensors_proportion"));
    json_t *merged = json_object_get(root, "_categories_count");
    m->n_merged = json_is_integer(merged) && json_integer_value(merged) > 0
                      ? (uint64_t)json_integer_value(merged)
                      : 0;
    json_t *own = json_object_get(root, "_sievert");
    return own ? read_own(m, r, own) : OK;
}

int model_load(struct model **out, struct arena *a, const char *path, struct diag *d)
{
    struct text t;
    int rc = file_read(&t, a, path, MAX_BYTES, d);
    return rc == OK ? model_parse(out, a, t, d) : rc;
}

int model_parse(struct model **out, struct arena *a, struct text t, struct diag *d)
{
    json_error_t e;
    struct reader r = {.a = a, .path = t.name, .d = d};
    json_t *root = json_loadb(t.ptr, t.len, JSON_REJECT_DUPLICATES, &e);
    if (!root)
        return diag_fail(d, ERR_INPUT, (struct loc){t.name, e.line, e.column}, "%s", e.text);
    struct model *m = ARENA_NEW(a, struct model);
    int rc = read_model(m, &r, root);
    json_decref(root);
    if (rc == OK)
        *out = m;
    return rc;
}
