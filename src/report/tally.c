/* The stores of one cell -> counts and estimates. Rows are checked here: what follows trusts them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"
#include "report/priv.h"

static int bad(struct diag *d, const char *file, const char *what, uint64_t row)
{
    return diag_fail(d, ERR_INPUT, (struct loc){.file = file},
                     "row %llu: %s; the store is damaged, run the campaign again",
                     (unsigned long long)row, what);
}

static int no_memory(struct diag *d)
{
    return diag_fail(d, ERR_NOMEM, DIAG_NOWHERE, "out of memory");
}

/* Room for one more of n elements, doubling at powers of two. False if there is no memory. */
static bool grow(void **array, size_t n, size_t size)
{
    if (n != 0 && (n < 8 || (n & (n - 1)) != 0))
        return true;
    size_t cap = n < 8 ? 8 : 2 * n;
    void *p = cap <= SIZE_MAX / size ? realloc(*array, cap * size) : NULL;
    if (p)
        *array = p;
    return p != NULL;
}

struct reading {
    struct tally *t;
    struct arena *a;
    struct diag *d;
    struct cardinality { /* per epsilon: how many SDCs have so many corrupted values */
        size_t n;
        struct store_span *of; /* first: corrupted values, next: SDCs */
    } * cardinality;
};

static int count_domain(struct epsilon_tally *e, const char *name, uint64_t n, struct arena *a,
                        struct diag *d)
{
    size_t i = 0;
    while (i < e->n_domains && strcmp(e->domains[i].name, name) != 0)
        i++;
    if (i == e->n_domains) {
        if (!grow((void **)&e->domains, e->n_domains, sizeof *e->domains))
            return no_memory(d);
        e->domains[e->n_domains++] = (struct named_count){arena_strdup(a, name), 0};
    }
    e->domains[i].n += n;
    return OK;
}

/* Where the line is among those of t, or where it belongs. */
static size_t line_place(const struct tally *t, uint32_t launch, int ptx_line)
{
    size_t lo = 0, hi = t->n_lines;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        const struct line_tally *l = &t->lines[mid];
        if (l->launch < launch || (l->launch == launch && l->ptx_line < ptx_line))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct line_tally *tally_line(const struct tally *t, uint32_t launch, int ptx_line)
{
    size_t i = line_place(t, launch, ptx_line);
    bool found = i < t->n_lines && t->lines[i].launch == launch && t->lines[i].ptx_line == ptx_line;
    return found ? &t->lines[i] : NULL;
}

static int count_line(struct tally *t, const struct store_tally *x, struct diag *d)
{
    struct line_tally *line = tally_line(t, x->launch, x->ptx_line);
    if (!line) {
        size_t at = line_place(t, x->launch, x->ptx_line);
        if (!grow((void **)&t->lines, t->n_lines, sizeof *t->lines))
            return no_memory(d);
        line = &t->lines[at];
        memmove(line + 1, line, (t->n_lines - at) * sizeof *line);
        *line = (struct line_tally){.launch = x->launch,
                                    .ptx_line = x->ptx_line,
                                    .source_line = x->source_line > 0 ? x->source_line : 0};
        t->n_lines++;
    }
    line->outcome[x->outcome] += x->n;
    return OK;
}

static int count_tally(void *ctx, const struct store_tally *x)
{
    struct reading *r = ctx;
    struct tally *t = r->t;
    t->n += x->n;
    t->outcome[x->outcome] += x->n;
    if (t->campaign->n_strata)
        t->stratum[x->stratum][x->outcome] += x->n;
    if (x->outcome == OUTCOME_DUE)
        t->trap[x->trap] += x->n;
    return count_line(t, x, r->d);
}

static int add_alike(struct tally *t, struct alike x, struct diag *d)
{
    if (!grow((void **)&t->alike, t->n_alike, sizeof *t->alike))
        return no_memory(d);
    t->alike[t->n_alike++] = x;
    return OK;
}

static int count_look(void *ctx, const struct store_look *l)
{
    struct reading *r = ctx;
    struct epsilon_tally *e = &r->t->eps[l->epsilon];
    struct cardinality *c = &r->cardinality[l->epsilon];
    e->corrupted += l->n;
    e->pattern[l->pattern] += l->n;
    if (!grow((void **)&c->of, c->n, sizeof *c->of))
        return no_memory(r->d);
    c->of[c->n++] = (struct store_span){l->corrupted, l->n};
    int rc = count_domain(e, l->domain, l->n, r->a, r->d);
    if (rc == OK && l->epsilon == 0 && r->t->campaign->tensors == STORE_ALL_TENSORS)
        rc = add_alike(
            r->t,
            (struct alike){l->pattern, l->corrupted, l->n, l->first, l->worst, l->worst_error},
            r->d);
    return rc;
}

/* Where the store kept a sample of tensors, only those can be shown. */
static int count_tensor(void *ctx, const struct store_injection *i)
{
    struct reading *r = ctx;
    const struct store_label *l = i->labels;
    if (!l || r->t->campaign->n_epsilons == 0 || l->corrupted == 0)
        return OK;
    return add_alike(
        r->t, (struct alike){l->pattern, l->corrupted, 1, i->number, i->number, i->max_abs_error},
        r->d);
}

static int compare_alike(const void *a, const void *b)
{
    const struct alike *x = a, *y = b;
    if (x->pattern != y->pattern)
        return x->pattern - y->pattern;
    if (x->corrupted != y->corrupted)
        return x->corrupted < y->corrupted ? -1 : 1;
    return (x->first > y->first) - (x->first < y->first);
}

static int add_error(void *ctx, double error)
{
    struct reading *r = ctx;
    struct tally *t = r->t;
    if (t->n_errors == t->n_sdc)
        return bad(r->d, t->cell.campaign, "more SDCs than were counted", t->n_errors);
    t->errors[t->n_errors++] = error;
    return OK;
}

static int add_sdc(void *ctx, const struct store_injection *i)
{
    struct reading *r = ctx;
    struct tally *t = r->t;
    if (t->n_errors == t->n_sdc || !tally_line(t, i->launch, i->ptx_line))
        return bad(r->d, t->cell.campaign, "an SDC that was not counted", i->number);
    if (t->n_errors && t->sdc[t->n_errors - 1].number >= i->number)
        return bad(r->d, t->cell.campaign, "rows are out of order", i->number);
    const struct store_label *first = t->campaign->n_epsilons ? &i->labels[0] : NULL;
    t->sdc[t->n_errors] = (struct sdc){.number = i->number,
                                       .pattern = first && first->corrupted ? first->pattern : -1,
                                       .launch = i->launch,
                                       .ptx_line = i->ptx_line};
    return add_error(r, i->max_abs_error);
}

static int compare_cardinality(const void *a, const void *b)
{
    const struct store_span *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

/* The k-th smallest, from 0, of sorted ones. */
static uint64_t kth(const struct cardinality *c, uint64_t k)
{
    size_t i = 0;
    for (; i + 1 < c->n && k >= c->of[i].next; i++)
        k -= c->of[i].next;
    return c->of[i].first;
}

static void cardinalities(struct epsilon_tally *e, struct cardinality *c)
{
    if (e->corrupted == 0)
        return;
    qsort(c->of, c->n, sizeof *c->of, compare_cardinality);
    e->median_cardinality =
        ((double)kth(c, (e->corrupted - 1) / 2) + (double)kth(c, e->corrupted / 2)) / 2;
    e->max_cardinality = c->of[c->n - 1].first;
}

/* The rows themselves are read only for what the summaries do not know. */
static int read_rows(struct reading *r)
{
    struct tally *t = r->t;
    int rc = OK;
    if (store_is_exhaustive(t->campaign))
        return OK; /* it has none */
    t->n_sdc = t->outcome[OUTCOME_SDC];
    t->errors =
        t->n_sdc <= SIZE_MAX / sizeof(struct sdc) ? calloc(t->n_sdc + 1, sizeof *t->errors) : NULL;
    t->sdc = t->errors && t->cell.sim_direct ? calloc(t->n_sdc + 1, sizeof *t->sdc) : NULL;
    if (!t->errors || (t->cell.sim_direct && !t->sdc))
        return no_memory(r->d);
    if (t->campaign->tensors != STORE_ALL_TENSORS)
        rc = store_each_tensor(t->store, count_tensor, r, r->d);
    if (rc == OK)
        rc = t->sdc ? store_each_sdc(t->store, false, add_sdc, r, r->d)
                    : store_each_error(t->store, add_error, r, r->d);
    if (rc == OK && t->n_errors != t->n_sdc)
        rc = bad(r->d, t->cell.campaign, "fewer SDCs than were counted", t->n_errors);
    if (t->n_alike)
        qsort(t->alike, t->n_alike, sizeof *t->alike, compare_alike);
    return rc;
}

static int read_summaries(struct reading *r)
{
    struct tally *t = r->t;
    size_t n_eps = t->campaign->n_epsilons;
    t->stratum = arena_array(r->a, t->campaign->n_strata, sizeof *t->stratum);
    r->cardinality = arena_array(r->a, n_eps, sizeof *r->cardinality);
    t->eps = arena_array(r->a, n_eps, sizeof *t->eps);
    if (!r->cardinality || !t->eps)
        return no_memory(r->d);
    for (size_t e = 0; e < n_eps; e++)
        t->eps[e].epsilon = t->campaign->epsilons[e];
    int rc = store_each_tally(t->store, count_tally, r, r->d);
    if (rc == OK)
        rc = store_each_look(t->store, count_look, r, r->d);
    for (size_t e = 0; e < n_eps; e++) {
        if (rc == OK)
            cardinalities(&t->eps[e], &r->cardinality[e]);
        free(r->cardinality[e].of);
    }
    return rc;
}

/* Sums of a part of the sites are of no sample. */
static int all_there(const struct tally *t, struct diag *d)
{
    uint64_t n, wanted = t->campaign->population;
    int rc = store_count(t->store, &n, d);
    return rc != OK || n == wanted
               ? rc
               : diag_fail(d, ERR_INPUT, (struct loc){.file = t->cell.campaign},
                           "an exhaustive campaign of which %llu of %llu sites are done: `sievert "
                           "inject` continues it, `sievert merge` joins parts",
                           (unsigned long long)n, (unsigned long long)wanted);
}

static int read_campaign(struct tally *t, struct arena *a, struct diag *d)
{
    int rc = store_open(&t->store, t->cell.campaign, false, d);
    if (rc != OK)
        return rc;
    t->campaign = store_campaign(t->store);
    if (!t->campaign)
        return diag_fail(d, ERR_INPUT, (struct loc){.file = t->cell.campaign},
                         "holds simulated errors, not injections; give the store that "
                         "`sievert inject` made");
    struct reading r = {.t = t, .a = a, .d = d};
    rc = read_summaries(&r);
    if (rc == OK)
        rc = read_rows(&r);
    if (rc == OK && store_is_exhaustive(t->campaign))
        rc = all_there(t, d);
    if (rc == OK && t->n == 0)
        rc = diag_fail(d, ERR_INPUT, (struct loc){.file = t->cell.campaign},
                       "holds no injections yet; continue it with `sievert inject`");
    return rc;
}

struct trials {
    struct tally *t;
    struct critical *c;
    const char *file;
    bool direct;
    struct diag *d;
};

static struct sdc *find_sdc(struct tally *t, int64_t number)
{
    size_t lo = 0, hi = t->sdc ? t->n_sdc : 0;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if ((int64_t)t->sdc[mid].number < number)
            lo = mid + 1;
        else
            hi = mid;
    }
    return t->sdc && lo < t->n_sdc && (int64_t)t->sdc[lo].number == number ? &t->sdc[lo] : NULL;
}

static int count_pattern(struct trials *r, const struct store_trial *trial, int pattern)
{
    if (pattern >= N_PATTERNS)
        return bad(r->d, r->file, "unknown pattern", trial->number);
    if (pattern >= 0) {
        r->c->pattern_trials[pattern]++;
        r->c->pattern_critical[pattern] += trial->effect == EFFECT_CRITICAL;
    }
    return OK;
}

static int count_trial(void *ctx, const struct store_trial *trial)
{
    struct trials *r = ctx;
    if ((unsigned)trial->effect >= N_EFFECTS)
        return bad(r->d, r->file, "unknown effect", trial->number);
    r->c->trials++;
    r->c->effect[trial->effect]++;
    if (!r->direct)
        return count_pattern(r, trial, trial->pattern);
    struct sdc *s = find_sdc(r->t, trial->injection);
    if (!s)
        return diag_fail(r->d, ERR_INPUT, (struct loc){.file = r->file},
                         "trial %llu used injection %lld, which is no SDC of %s: these two stores "
                         "do not belong together",
                         (unsigned long long)trial->number, (long long)trial->injection,
                         r->t->cell.campaign);
    s->trials++;
    s->critical += trial->effect == EFFECT_CRITICAL;
    return count_pattern(r, trial, s->pattern);
}

/* Injections are the clusters: the trials of one SDC on several images are not independent. Where the
 * simulation was too short to try every SDC, those tried are the first ones, and the injections are
 * counted in proportion, which is a little cautious. */
static void estimate_direct(struct tally *t, double confidence)
{
    struct critical *c = &t->direct;
    double sum = 0, sum2 = 0;
    for (size_t i = 0; t->sdc && i < t->n_sdc; i++) {
        if (t->sdc[i].trials == 0)
            continue;
        double v = (double)t->sdc[i].critical / (double)t->sdc[i].trials;
        tally_line(t, t->sdc[i].launch, t->sdc[i].ptx_line)->critical += v;
        c->clusters++;
        sum += v;
        sum2 += v * v;
    }
    if (t->n_sdc == 0) {
        c->known = true;
        c->given_fault = estimate_share(0, (double)t->n, confidence);
        return;
    }
    if (c->clusters == 0)
        return;
    c->known = c->has_given_sdc = true;
    c->given_sdc = estimate_clusters(sum, sum2, c->clusters, confidence);
    uint64_t n = (uint64_t)llround((double)t->n * (double)c->clusters / (double)t->n_sdc);
    c->given_fault = estimate_clusters(sum, sum2, n, confidence);
}

/* How many of the campaign's SDCs the model stands for: those with errors below its epsilon and those too
 * rare to be in it were left out when it was built. A model from elsewhere stands for all. */
static int count_modelled(struct tally *t, struct diag *d)
{
    struct arena a = {0};
    struct model *m = NULL;
    int rc = t->cell.model ? model_load(&m, &a, t->cell.model, d) : OK;
    t->model.modelled = m ? model_n_tensors(m) : t->n_sdc;
    if (t->model.modelled > t->n_sdc)
        t->model.modelled = t->n_sdc;
    arena_fini(&a);
    return rc;
}

/* Draws from a model are independent given the model; the interval does not know that the model was
 * itself built from a sample. SDCs that the model leaves out count as not critical. */
static void estimate_model(struct tally *t, double confidence)
{
    struct critical *c = &t->model;
    if (c->trials == 0 || t->n_sdc == 0)
        return;
    double k = (double)c->effect[EFFECT_CRITICAL], n = (double)c->trials;
    double modelled = (double)c->modelled;
    c->known = c->has_given_sdc = true;
    c->given_sdc = estimate_product(modelled, (double)t->n_sdc, k, n, confidence);
    c->given_fault = estimate_product(modelled, (double)t->n, k, n, confidence);
}

static int read_trials(struct tally *t, const char *file, bool direct, struct diag *d)
{
    struct store *s = NULL;
    struct critical *c = direct ? &t->direct : &t->model;
    const char *source = direct ? "direct" : "model";
    int rc = store_open(&s, file, false, d);
    if (rc != OK)
        return rc;
    const struct store_simulation *sim = store_simulation(s);
    if (!sim || strcmp(sim->source, source) != 0) {
        rc = diag_fail(d, ERR_INPUT, (struct loc){.file = file},
                       "holds no %s errors simulated in a network; make it with "
                       "`sievert simulate`",
                       source);
        goto out;
    }
    c->planned = sim->planned;
    c->images = sim->images;
    c->seed = sim->seed;
    struct trials r = {t, c, file, direct, d};
    rc = store_sim_each(s, count_trial, &r, d);
out:
    if (rc == OK)
        rc = store_close(s, d);
    else
        store_close(s, NULL);
    return rc;
}

int tally_read(struct tally *t, const struct report_cell *cell, double confidence, struct arena *a,
               struct diag *d)
{
    *t = (struct tally){.cell = *cell};
    int rc = read_campaign(t, a, d);
    if (rc == OK)
        rc = tally_population(t, confidence, a, d);
    if (rc == OK && cell->sim_direct)
        rc = read_trials(t, cell->sim_direct, true, d);
    if (rc == OK && cell->sim_model)
        rc = read_trials(t, cell->sim_model, false, d);
    if (rc == OK && cell->sim_model)
        rc = count_modelled(t, d);
    if (rc != OK)
        return rc;
    if (!cell->layer)
        t->cell.layer = t->campaign->layer;
    if (!cell->impl)
        t->cell.impl = t->campaign->impl;
    if (cell->sim_direct)
        estimate_direct(t, confidence);
    if (cell->sim_model)
        estimate_model(t, confidence);
    return OK;
}

void tally_fini(struct tally *t)
{
    if (t->eps && t->campaign)
        for (size_t e = 0; e < t->campaign->n_epsilons; e++)
            free(t->eps[e].domains);
    free(t->sdc);
    free(t->errors);
    free(t->alike);
    free(t->lines);
    if (t->store)
        store_close(t->store, NULL);
    *t = (struct tally){0};
}
