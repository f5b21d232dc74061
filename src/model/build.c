/* Characterised errors -> a model: tensors of equal parameters are counted as one category, rare
 * categories are merged, rare domains become one random bucket. Thresholds as in the CLASSES
 * classifier; docs/FORMATS.md. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/priv.h"

static const double RARE_SHARE = 0.01; /* of all tensors */
enum { RARE_COUNT = 5 };
/* Footprints kept of each pattern, and the runs that one may have. */
enum { SAMPLE = 2000, MAX_RUNS = 4096, MOST_EACH = 64 /* values of which each is kept */ };

struct raw_category {
    uint64_t count;
    int n_keys, n_stats;
    struct char_param keys[CHAR_MAX_PARAMS];
    struct char_stat stats[CHAR_MAX_STATS];
};

struct raw_domain {
    uint64_t count;
    int n;
    enum value_class class[2]; /* ascending, so that equal domains compare equal */
    double share[2][2];
    uint64_t values[N_VALUES];
};

struct raw_entry {
    uint64_t count;
    size_t order; /* of first appearance, from 1; 0: not there */
    size_t n_categories, room_categories, n_domains, room_domains;
    struct raw_category *categories;
    struct raw_domain *domains;
    struct native native;
    uint64_t values[N_VALUES];
};

struct model_builder {
    uint64_t n;
    struct rng r; /* which errors are kept whole: the same for the same errors in the same order */
    bool many_shapes;
    size_t chw[3];
    bool compat, mixed; /* mixed: not all were characterised alike */
    double epsilon;
    size_t n_patterns;
    bool has_origin;
    struct model_origin origin;
    size_t strata_room;
    uint64_t *errors; /* by stratum */
    struct raw_entry entry[N_PATTERNS];
};

static void *must(void *p)
{
    if (!p)
        abort(); /* out of memory, as in base/arena */
    return p;
}

struct model_builder *model_builder_new(void)
{
    struct model_builder *b = must(calloc(1, sizeof *b));
    rng_init(&b->r, 0x7365, 0);
    return b;
}

static void footprint_free(struct footprint *f)
{
    free(f->runs);
    free(f->size[0].list);
    free(f->size[1].list);
    free(f->each);
}

void model_builder_free(struct model_builder *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < N_PATTERNS; i++) {
        free(b->entry[i].categories);
        free(b->entry[i].domains);
        for (size_t k = 0; k < b->entry[i].native.n; k++)
            footprint_free(&b->entry[i].native.footprints[k]);
        free(b->entry[i].native.footprints);
    }
    free(b->errors);
    free(b);
}

void *model_grown(void *array, size_t n, size_t *room, size_t size)
{
    if (n < *room)
        return array;
    *room = *room ? *room * 2 : 8;
    return must(reallocarray(array, *room, size));
}

static bool same_keys(const struct raw_category *x, const struct characterisation *c)
{
    if (x->n_keys != c->n_keys)
        return false;
    for (int i = 0; i < x->n_keys; i++) /* a pattern's keys always come in the same order */
        if (x->keys[i].value[0] != c->keys[i].value[0] ||
            x->keys[i].value[1] != c->keys[i].value[1])
            return false;
    return true;
}

static void add_category(struct raw_entry *e, const struct characterisation *c)
{
    for (size_t i = 0; i < e->n_categories; i++) {
        struct raw_category *x = &e->categories[i];
        if (!same_keys(x, c))
            continue;
        x->count++;
        for (int k = 0; k < x->n_stats; k++)
            x->stats[k].value = x->stats[k].rule == STAT_MAX
                                    ? fmax(x->stats[k].value, c->stats[k].value)
                                    : fmin(x->stats[k].value, c->stats[k].value);
        return;
    }
    e->categories =
        model_grown(e->categories, e->n_categories, &e->room_categories, sizeof *e->categories);
    struct raw_category *x = &e->categories[e->n_categories++];
    *x = (struct raw_category){.count = 1, .n_keys = c->n_keys, .n_stats = c->n_stats};
    memcpy(x->keys, c->keys, sizeof x->keys);
    memcpy(x->stats, c->stats, sizeof x->stats);
}

static void add_domain(struct raw_entry *e, const struct characterisation *c)
{
    struct raw_domain d = {.n = c->n_domain};
    for (int i = 0; i < d.n; i++) {
        int from = d.n == 2 && c->domain[1] < c->domain[0] ? 1 - i : i;
        d.class[i] = c->domain[from];
        memcpy(d.share[i], c->share[from], sizeof d.share[i]);
    }
    struct raw_domain *x = NULL;
    for (size_t i = 0; i < e->n_domains && !x; i++)
        if (e->domains[i].n == d.n && memcmp(e->domains[i].class, d.class, sizeof d.class) == 0 &&
            memcmp(e->domains[i].share, d.share, sizeof d.share) == 0)
            x = &e->domains[i];
    if (!x) {
        e->domains = model_grown(e->domains, e->n_domains, &e->room_domains, sizeof *e->domains);
        x = &e->domains[e->n_domains++];
        *x = d;
    }
    x->count++;
    for (int v = 0; v < N_VALUES; v++)
        x->values[v] += v == VALUE_SAME ? 0 : c->value_count[v];
}

/* The bin that holds the middle value. */
static int middle(const struct magnitudes *m, uint64_t n)
{
    uint64_t below = 0;
    int bin = 0;
    while (below + m->bin[bin] <= n / 2)
        below += m->bin[bin++];
    return bin;
}

static void add_sizes(struct sizes *s, const struct magnitudes *m)
{
    uint64_t n = 0;
    for (int i = 0; i < CHAR_BINS; i++)
        n += m->bin[i];
    if (n == 0)
        return;
    int centre = middle(m, n);
    s->centre[centre]++;
    s->n += n;
    s->positive += m->positive;
    for (int i = 0; i < CHAR_BINS; i++) {
        int bin = i - centre - SPREAD_0;
        s->spread[bin < 0 ? 0 : bin >= SPREAD_BINS ? SPREAD_BINS - 1 : bin] += m->bin[i];
    }
}

/* The corrupted cells as runs, at most MAX_RUNS of them; 0 if there are more. */
static size_t runs_of(struct run *out, const struct characterisation *c, size_t hw,
                      const struct difference *diffs, size_t n)
{
    size_t runs = 0;
    for (size_t i = 0; i < n; i++) {
        if (!characterise_counts(&diffs[i], &c->options))
            continue;
        uint32_t channel = (uint32_t)(diffs[i].index / hw), at = (uint32_t)(diffs[i].index % hw);
        if (runs && out[runs - 1].channel == channel && out[runs - 1].last + 1 == at) {
            out[runs - 1].last = at;
            continue;
        }
        if (runs == MAX_RUNS)
            return 0;
        out[runs++] = (struct run){channel, at, at};
    }
    return runs;
}

static void keep_exponents(struct exponents *e, const struct magnitudes *m)
{
    for (int i = 0; i < CHAR_BINS; i++)
        e->n += m->bin[i] > 0;
    e->list = must(reallocarray(NULL, e->n + 1, sizeof *e->list));
    e->n = 0;
    for (int i = 0; i < CHAR_BINS; i++)
        if (m->bin[i])
            e->list[e->n++] = (struct exponent){CHAR_BIN_0 + i, m->bin[i]};
}

/* What each corrupted value was, or if there are many, evenly spread ones. */
static void keep_each(struct footprint *f, const struct characterisation *c,
                      const struct difference *diffs, size_t n_diffs)
{
    const size_t most = c->corrupted < MOST_EACH ? c->corrupted : MOST_EACH;
    size_t n = 0, seen = 0;
    struct wish *each = f->each = must(calloc(most, sizeof *each));
    f->scale = (double)c->range.max - (double)c->range.min;
    for (size_t i = 0; i < n_diffs; i++) {
        const struct difference *d = &diffs[i];
        uint32_t golden, faulty;
        if (!characterise_counts(d, &c->options) || seen++ < n * c->corrupted / most || n == most)
            continue;
        const enum value_class class = characterise_value(d, c->range, &c->options);
        struct wish *w = &each[n++];
        *w = (struct wish){.class = class, .exponent = UNKNOWN_SIZE};
        memcpy(&golden, &d->golden, sizeof golden);
        memcpy(&faulty, &d->faulty, sizeof faulty);
        if (class == VALUE_FLIP) {
            w->flipped = (int8_t)(1 + __builtin_ctz(golden ^ faulty));
        } else if (class == VALUE_IN_RANGE || class == VALUE_OUT_OF_RANGE) {
            w->exponent = characterise_exponent((double)d->faulty - (double)d->golden, c->range);
            w->delta = (float)((double)d->faulty - (double)d->golden);
        }
    }
    f->n_each = n;
}

/* Keep a uniform sample of the pattern's errors (Vitter's algorithm R). */
static void add_footprint(struct model_builder *b, struct native *n,
                          const struct characterisation *c, const size_t dim[4],
                          const struct difference *diffs, size_t n_diffs, size_t stratum)
{
    struct run runs[MAX_RUNS];
    size_t at = n->n;
    if (n->count > SAMPLE && (at = (size_t)rng_below(&b->r, n->count)) >= SAMPLE)
        return;
    size_t n_runs = runs_of(runs, c, dim[2] * dim[3], diffs, n_diffs);
    if (n_runs == 0 || (at > n->n))
        return;
    if (at == n->n) {
        n->footprints = must(reallocarray(n->footprints, n->n + 1, sizeof *n->footprints));
        n->footprints[n->n++] = (struct footprint){0};
    }
    struct footprint *f = &n->footprints[at];
    footprint_free(f);
    *f = (struct footprint){.stratum = stratum,
                            .n_runs = n_runs,
                            .runs = must(reallocarray(NULL, n_runs, sizeof *runs))};
    memcpy(f->runs, runs, n_runs * sizeof *runs);
    keep_exponents(&f->size[0], &c->in_range);
    keep_exponents(&f->size[1], &c->out_of_range);
    keep_each(f, c, diffs, n_diffs);
    for (int v = 0; v < N_VALUES; v++)
        f->value_count[v] = v == VALUE_SAME ? 0 : c->value_count[v];
}

static void count_stratum(struct model_builder *b, size_t stratum)
{
    const size_t room = b->strata_room;
    if (stratum == MODEL_NO_STRATUM)
        return;
    if (stratum >= room) {
        b->strata_room = 2 * stratum + 64;
        b->errors = must(reallocarray(b->errors, b->strata_room, sizeof *b->errors));
        memset(b->errors + room, 0, (b->strata_room - room) * sizeof *b->errors);
    }
    b->errors[stratum]++;
}

void model_add_error(struct model_builder *b, const struct characterisation *c, const size_t dim[4],
                     const struct difference *diffs, size_t n, size_t stratum)
{
    const struct char_options *o = &c->options;
    if (c->corrupted == 0)
        return;
    if (b->n++ == 0) {
        b->compat = o->compat;
        b->epsilon = o->epsilon;
        memcpy(b->chw, dim + 1, sizeof b->chw);
    }
    b->mixed |= b->compat != o->compat || b->epsilon != o->epsilon;
    b->many_shapes |= memcmp(b->chw, dim + 1, sizeof b->chw) != 0 || dim[0] != 1;
    struct raw_entry *e = &b->entry[c->pattern];
    if (e->count++ == 0)
        e->order = ++b->n_patterns;
    add_category(e, c);
    add_domain(e, c);
    e->native.count++;
    count_stratum(b, stratum);
    add_sizes(&e->native.in_range, &c->in_range);
    add_sizes(&e->native.out_of_range, &c->out_of_range);
    for (int i = 0; i < 32; i++)
        e->native.flipped[i] += c->flipped[i];
    for (int v = 0; v < N_VALUES; v++)
        e->values[v] += v == VALUE_SAME ? 0 : c->value_count[v];
    if (diffs && !b->many_shapes)
        add_footprint(b, &e->native, c, dim, diffs, n, stratum);
}

void model_add(struct model_builder *b, const struct characterisation *c, const size_t dim[4])
{
    model_add_error(b, c, dim, NULL, 0, MODEL_NO_STRATUM);
}

void model_set_origin(struct model_builder *b, const struct model_origin *o)
{
    b->has_origin = true;
    b->origin = *o;
}

static struct model_origin origin_copy(struct arena *a, const struct model_origin *from,
                                       const uint64_t *errors, size_t n_errors)
{
    struct model_origin o = *from;
    struct model_stratum *strata = arena_array(a, o.n_strata, sizeof *strata);
    o.impl = arena_strdup(a, o.impl);
    o.shape = arena_strdup(a, o.shape);
    o.tile = arena_strdup(a, o.tile);
    o.fault = arena_strdup(a, o.fault);
    for (size_t i = 0; i < o.n_strata; i++) {
        strata[i] = from->strata[i];
        strata[i].launch = arena_strdup(a, strata[i].launch);
        strata[i].kernel = arena_strdup(a, strata[i].kernel ? strata[i].kernel : "");
        strata[i].mnemonic = arena_strdup(a, strata[i].mnemonic);
        struct tiling_influence *influences =
            arena_array(a, strata[i].n_influences, sizeof *influences);
        for (size_t k = 0; k < strata[i].n_influences; k++)
            influences[k] = from->strata[i].influences[k];
        strata[i].influences = influences;
        strata[i].errors = i < n_errors ? errors[i] : 0;
    }
    o.strata = strata;
    return o;
}

/* ---- From counts to the model ---------------------------------------------------------------------- */

static void add_value(struct param *p, const double value[2])
{
    for (size_t i = 0; i < p->n; i++)
        if (p->value[i][0] == value[0] && p->value[i][1] == value[1])
            return;
    memcpy(p->value[p->n++], value, sizeof p->value[0]);
}

static int by_number(const void *x, const void *y)
{
    const double *a = x, *b = y;
    return a[0] != b[0] ? (a[0] > b[0]) - (a[0] < b[0]) : (a[1] > b[1]) - (a[1] < b[1]);
}

/* Several categories as one: of each parameter, the distinct values. */
static struct category merged(struct arena *a, const struct raw_category **from, size_t n)
{
    struct category c = {.n_keys = (size_t)from[0]->n_keys, .n_stats = (size_t)from[0]->n_stats};
    c.keys = arena_array(a, c.n_keys, sizeof *c.keys);
    c.stats = arena_array(a, c.n_stats, sizeof *c.stats);
    for (size_t i = 0; i < n; i++)
        c.count += from[i]->count;
    for (size_t k = 0; k < c.n_keys; k++) {
        struct param *p = &c.keys[k];
        *p = (struct param){from[0]->keys[k].name, from[0]->keys[k].is_range, 0,
                            arena_array(a, n, sizeof *p->value)};
        for (size_t i = 0; i < n; i++)
            add_value(p, from[i]->keys[k].value);
        qsort(p->value, p->n, sizeof *p->value, by_number);
    }
    for (size_t k = 0; k < c.n_stats; k++) {
        struct param *p = &c.stats[k];
        *p = (struct param){from[0]->stats[k].name, false, 0, arena_array(a, n, sizeof *p->value)};
        for (size_t i = 0; i < n; i++)
            add_value(p, (const double[2]){from[i]->stats[k].value, 0});
        qsort(p->value, p->n, sizeof *p->value, by_number);
    }
    return c;
}

/* Insertion sort of pointers: stable, and the lists are short. */
static void sort_by_count(const struct raw_category **c, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t k = i; k > 0 && c[k]->count > c[k - 1]->count; k--) {
            const struct raw_category *t = c[k];
            c[k] = c[k - 1];
            c[k - 1] = t;
        }
}

static void build_categories(struct entry *out, struct arena *a, const struct raw_entry *e,
                             uint64_t total, uint64_t *n_merged)
{
    const struct raw_category **sorted = arena_array(a, e->n_categories, sizeof *sorted);
    for (size_t i = 0; i < e->n_categories; i++)
        sorted[i] = &e->categories[i];
    sort_by_count(sorted, e->n_categories);
    size_t common = 0;
    while (common < e->n_categories && (double)sorted[common]->count / (double)total >= RARE_SHARE)
        common++;
    out->categories = arena_array(a, common + 1, sizeof *out->categories);
    for (size_t i = 0; i < common; i++)
        out->categories[i] = merged(a, &sorted[i], 1);
    out->n_categories = common;
    if (common < e->n_categories) {
        struct category rest = merged(a, sorted + common, e->n_categories - common);
        if (rest.count >= RARE_COUNT) {
            out->categories[out->n_categories++] = rest;
            ++*n_merged;
        }
    }
    for (size_t i = 0; i < out->n_categories; i++)
        out->count += out->categories[i].count;
}

/* The class with the larger lower bound first, as in the file; otherwise the order of the words. */
static struct domain plain_domain(const struct raw_domain *x)
{
    struct domain d = {.count = x->count, .n = x->n};
    bool swap = x->n == 2 && x->share[1][0] > x->share[0][0];
    for (int i = 0; i < x->n; i++) {
        int from = swap ? 1 - i : i;
        d.class[i] = x->class[from];
        memcpy(d.share[i], x->share[from], sizeof d.share[i]);
    }
    return d;
}

static void build_domains(struct entry *out, struct arena *a, const struct raw_entry *e,
                          uint64_t total, bool compat)
{
    struct domain random = {0};
    out->domains = arena_array(a, e->n_domains + 1, sizeof *out->domains);
    for (size_t i = 0; i < e->n_domains; i++) {
        const struct raw_domain *x = &e->domains[i];
        double in_class = (double)x->count / (double)e->count;
        double of_all = in_class * ((double)e->count / (double)total);
        if (x->n == 0 || of_all < RARE_SHARE || x->count < RARE_COUNT) {
            random.count += x->count;
            for (int v = 0; v < N_VALUES; v++)
                random.values[v] += (double)x->values[v];
            continue;
        }
        size_t k = out->n_domains++;
        for (; k > 0 && out->domains[k - 1].count < x->count; k--)
            out->domains[k] = out->domains[k - 1];
        out->domains[k] = plain_domain(x);
    }
    if (random.count == 0)
        return;
    double sum = 0;
    for (int v = 0; v < N_VALUES; v++) {
        if (compat) /* the original counts all tensors of the class, not only those of the bucket */
            random.values[v] = (double)e->values[v];
        sum += random.values[v];
    }
    for (int v = 0; v < N_VALUES; v++)
        random.values[v] /= sum > 0 ? sum : 1;
    out->domains[out->n_domains++] = random;
}

/* A copy that lives in a. */
static struct native native_copy(struct arena *a, const struct native *from, bool places)
{
    struct native n = *from;
    n.n = places ? from->n : 0;
    n.footprints = arena_array(a, n.n, sizeof *n.footprints);
    for (size_t i = 0; i < n.n; i++) {
        struct footprint *f = &n.footprints[i];
        *f = from->footprints[i];
        f->runs = arena_array(a, f->n_runs, sizeof *f->runs);
        memcpy(f->runs, from->footprints[i].runs, f->n_runs * sizeof *f->runs);
        for (int k = 0; k < 2; k++) {
            f->size[k].list = arena_array(a, f->size[k].n, sizeof *f->size[k].list);
            memcpy(f->size[k].list, from->footprints[i].size[k].list,
                   f->size[k].n * sizeof *f->size[k].list);
        }
        f->each = arena_array(a, f->n_each, sizeof *f->each);
        memcpy(f->each, from->footprints[i].each, f->n_each * sizeof *f->each);
    }
    return n;
}

int model_build(struct model **out, struct arena *a, const struct model_builder *b, struct diag *d)
{
    if (b->mixed)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                         "the errors were not all characterised with the same rules and epsilon");
    struct model *m = ARENA_NEW(a, struct model);
    m->compat = b->compat;
    m->epsilon = b->epsilon;
    m->entries = arena_array(a, N_PATTERNS, sizeof *m->entries);
    for (size_t order = 1; order <= b->n_patterns; order++)
        for (int p = 0; p < N_PATTERNS; p++) {
            const struct raw_entry *e = &b->entry[p];
            if (e->order != order || e->count < RARE_COUNT)
                continue;
            struct entry *x = &m->entries[m->n];
            *x = (struct entry){.pattern = (enum pattern)p};
            build_categories(x, a, e, b->n, &m->n_merged);
            build_domains(x, a, e, b->n, b->compat);
            m->n_tensors += x->count;
            m->n += x->count > 0 || b->compat; /* the original keeps a class without categories */
        }
    if (m->n_tensors == 0)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                         "%llu corrupted tensors are too few for a model: no pattern has %d alike",
                         (unsigned long long)b->n, RARE_COUNT);
    bool any = false;
    for (int p = 0; p < N_PATTERNS; p++) {
        m->native[p] = native_copy(a, &b->entry[p].native, !b->many_shapes);
        any |= m->native[p].n > 0;
    }
    if (any)
        memcpy(m->chw, b->chw, sizeof m->chw);
    m->has_origin = b->has_origin;
    if (b->has_origin)
        m->origin = origin_copy(a, &b->origin, b->errors, b->strata_room);
    m->rejected = 1 - (double)m->n_tensors / (double)b->n;
    *out = m;
    return OK;
}

size_t model_n_patterns(const struct model *m) { return m->n; }

struct model_pattern_info model_pattern(const struct model *m, size_t i)
{
    const struct entry *e = &m->entries[i];
    return (struct model_pattern_info){e->pattern, e->count,
                                       (double)e->count / (double)m->n_tensors, e->n_categories,
                                       e->n_domains};
}

uint64_t model_n_tensors(const struct model *m) { return m->n_tensors; }

double model_rejected(const struct model *m) { return m->rejected; }

void model_pattern_counts(const struct model *m, uint64_t out[static N_PATTERNS])
{
    uint64_t measured = 0;
    for (int p = 0; p < N_PATTERNS; p++)
        measured += out[p] = m->native[p].count;
    for (size_t i = 0; i < m->n && measured == 0; i++)
        out[m->entries[i].pattern] = m->entries[i].count;
}

const struct model_origin *model_origin(const struct model *m)
{
    return m->has_origin ? &m->origin : NULL;
}

bool model_shape(const struct model *m, size_t chw[3])
{
    memcpy(chw, m->chw, sizeof m->chw);
    return m->chw[0] > 0;
}

struct char_options model_options(const struct model *m)
{
    return (struct char_options){.epsilon = m->epsilon, .compat = m->compat};
}
