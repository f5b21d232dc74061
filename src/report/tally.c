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
    uint64_t **cardinality; /* per epsilon, of each SDC corrupted there */
};

static int count_domain(struct epsilon_tally *e, const char *name, struct arena *a, struct diag *d)
{
    size_t i = 0;
    while (i < e->n_domains && strcmp(e->domains[i].name, name) != 0)
        i++;
    if (i == e->n_domains) {
        if (!grow((void **)&e->domains, e->n_domains, sizeof *e->domains))
            return no_memory(d);
        e->domains[e->n_domains++] = (struct named_count){arena_strdup(a, name), 0};
    }
    e->domains[i].n++;
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

static int count_line(struct tally *t, const struct store_injection *i, struct diag *d)
{
    struct line_tally *line = tally_line(t, i->launch, i->ptx_line);
    if (!line) {
        size_t at = line_place(t, i->launch, i->ptx_line);
        if (!grow((void **)&t->lines, t->n_lines, sizeof *t->lines))
            return no_memory(d);
        line = &t->lines[at];
        memmove(line + 1, line, (t->n_lines - at) * sizeof *line);
        *line = (struct line_tally){.launch = i->launch,
                                    .ptx_line = i->ptx_line,
                                    .source_line = i->source_line > 0 ? i->source_line : 0};
        t->n_lines++;
    }
    line->outcome[i->outcome]++;
    return OK;
}

static int count_sdc(struct reading *r, const struct store_injection *i)
{
    struct tally *t = r->t;
    if (!i->labels)
        return bad(r->d, t->cell.campaign, "an SDC without its characterisation", i->number);
    for (size_t e = 0; e < t->campaign->n_epsilons; e++) {
        const struct store_label *label = &i->labels[e];
        struct epsilon_tally *et = &t->eps[e];
        if (label->corrupted == 0)
            continue;
        if (label->pattern < 0 || label->pattern >= N_PATTERNS)
            return bad(r->d, t->cell.campaign, "unknown pattern", i->number);
        if (!grow((void **)&r->cardinality[e], et->corrupted, sizeof **r->cardinality))
            return no_memory(r->d);
        r->cardinality[e][et->corrupted++] = label->corrupted;
        et->pattern[label->pattern]++;
        int rc = count_domain(et, label->domain ? label->domain : "", r->a, r->d);
        if (rc != OK)
            return rc;
    }
    if (!grow((void **)&t->sdc, t->n_sdc, sizeof *t->sdc))
        return no_memory(r->d);
    const struct store_label *first = t->campaign->n_epsilons ? &i->labels[0] : NULL;
    t->sdc[t->n_sdc++] = (struct sdc){
        .number = i->number,
        .n_diffs = i->n_diffs,
        .corrupted = first ? first->corrupted : i->n_diffs,
        .pattern = first && first->corrupted ? first->pattern : -1,
        .max_abs_error = i->max_abs_error,
        .launch = i->launch,
        .ptx_line = i->ptx_line,
    };
    return OK;
}

static int count_injection(void *ctx, const struct store_injection *i)
{
    struct reading *r = ctx;
    struct tally *t = r->t;
    if ((unsigned)i->outcome >= N_OUTCOMES || (unsigned)i->trap >= N_TRAPS ||
        i->launch >= t->campaign->n_launches)
        return bad(r->d, t->cell.campaign, "unknown outcome, trap or launch", i->number);
    if (t->n_sdc && t->sdc[t->n_sdc - 1].number >= i->number)
        return bad(r->d, t->cell.campaign, "rows are out of order", i->number);
    t->n++;
    t->outcome[i->outcome]++;
    if (i->outcome == OUTCOME_DUE)
        t->trap[i->trap]++;
    int rc = count_line(t, i, r->d);
    if (rc == OK && i->outcome == OUTCOME_SDC)
        rc = count_sdc(r, i);
    return rc;
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void cardinalities(struct epsilon_tally *e, uint64_t *of)
{
    size_t n = e->corrupted;
    if (n == 0)
        return;
    qsort(of, n, sizeof *of, compare_u64);
    e->median_cardinality = ((double)of[(n - 1) / 2] + (double)of[n / 2]) / 2;
    e->max_cardinality = of[n - 1];
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
    size_t n_eps = t->campaign->n_epsilons;
    struct reading r = {t, a, d, arena_array(a, n_eps, sizeof(uint64_t *))};
    t->eps = arena_array(a, n_eps, sizeof *t->eps);
    if (!r.cardinality || !t->eps)
        return no_memory(d);
    for (size_t e = 0; e < n_eps; e++)
        t->eps[e].epsilon = t->campaign->epsilons[e];
    rc = store_each(t->store, false, count_injection, &r, d);
    for (size_t e = 0; e < n_eps; e++) {
        if (rc == OK)
            cardinalities(&t->eps[e], r.cardinality[e]);
        free(r.cardinality[e]);
    }
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
    size_t lo = 0, hi = t->n_sdc;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if ((int64_t)t->sdc[mid].number < number)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < t->n_sdc && (int64_t)t->sdc[lo].number == number ? &t->sdc[lo] : NULL;
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
    for (size_t i = 0; i < t->n_sdc; i++) {
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
    free(t->lines);
    if (t->store)
        store_close(t->store, NULL);
    *t = (struct tally){0};
}
