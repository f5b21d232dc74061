/* Every single-bit fault of every site of a program. Threads take runs of sites and hand in what they counted, with the
 * sites that it is of: to a store once a second, both in one commit, so that it can be continued. The sums depend on
 * nothing but the program. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "campaign/priv.h"
#include "ptx/insn.h"

enum { SITES_AT_ONCE = 2048 };

/* What was counted and not yet taken away. */
struct harvest {
    struct census_tally *tallies; /* [first[launch] + insn] */
    struct store_span *spans;
    size_t n_spans, room;
};

struct census_run {
    const struct simt_program *program;
    const struct golden *golden;
    const struct campaign_options *options;
    struct store *store; /* NULL: the sums are all that is kept */
    struct arena arena;
    size_t n_tallies, *first; /* of each launch: place of its first instruction */
    struct census_tally *total;
    double began;
    int jobs;
    struct diag *diag; /* of what the store holds */

    pthread_mutex_t lock;
    struct store_span *todo; /* doing .. n_todo are left */
    size_t n_todo, doing;
    struct harvest fresh;
    struct progress progress;
    int running;
    bool quit;
};

struct counter {
    struct census_run *run;
    struct census_tally *tallies;
    const struct fault *faults;
};

static void count(void *ctx, size_t i, const struct experiment_result *r)
{
    struct counter *c = ctx;
    struct census_tally *t = &c->tallies[c->run->first[c->faults[i].launch] + r->strike.insn];
    t->outcome[r->outcome]++;
    t->trap[r->trap.kind] += r->trap.kind != TRAP_NONE;
}

static bool stopped(const struct census_run *x) { return x->options->stop && *x->options->stop; }

static uint64_t sum(const struct census_tally *t, size_t n, uint64_t outcome[N_OUTCOMES])
{
    uint64_t all = 0;
    memset(outcome, 0, N_OUTCOMES * sizeof *outcome);
    for (size_t i = 0; i < n; i++)
        for (int o = 0; o < N_OUTCOMES; o++) {
            outcome[o] += t[i].outcome[o];
            all += t[i].outcome[o];
        }
    return all;
}

static void add(struct census_tally *to, const struct census_tally *from, size_t n)
{
    for (size_t t = 0; t < n; t++) {
        for (int o = 0; o < N_OUTCOMES; o++)
            to[t].outcome[o] += from[t].outcome[o];
        for (int k = 0; k < N_TRAPS; k++)
            to[t].trap[k] += from[t].trap[k];
    }
}

/* ---- Workers -------------------------------------------------------------------------------------- */

static bool take(struct census_run *x, struct store_span *out)
{
    bool some = false;
    pthread_mutex_lock(&x->lock);
    if (!x->quit && !stopped(x) && x->doing < x->n_todo) {
        struct store_span *s = &x->todo[x->doing];
        uint64_t n = s->next - s->first < SITES_AT_ONCE ? s->next - s->first : SITES_AT_ONCE;
        *out = (struct store_span){s->first, s->first + n};
        s->first += n;
        x->doing += s->first == s->next;
        some = true;
    }
    pthread_mutex_unlock(&x->lock);
    return some;
}

static void hand_in(struct census_run *x, const struct census_tally *tallies, struct store_span of)
{
    uint64_t outcome[N_OUTCOMES], all = sum(tallies, x->n_tallies, outcome);
    struct harvest *h = &x->fresh;
    pthread_mutex_lock(&x->lock);
    add(h->tallies, tallies, x->n_tallies);
    if (h->n_spans == h->room) {
        h->room = 2 * h->room + 64;
        h->spans = realloc(h->spans, h->room * sizeof *h->spans);
        if (!h->spans)
            abort();
    }
    h->spans[h->n_spans++] = of;
    x->progress.done += all;
    x->progress.masked += outcome[OUTCOME_MASKED];
    x->progress.sdc += outcome[OUTCOME_SDC];
    x->progress.due += outcome[OUTCOME_DUE];
    pthread_mutex_unlock(&x->lock);
}

static void *work(void *ctx)
{
    struct census_run *x = ctx;
    struct arena a = {0};
    struct counter c = {x, arena_array(&a, x->n_tallies, sizeof *c.tallies), NULL};
    struct fault *faults = arena_array(&a, SITES_AT_ONCE, sizeof *faults);
    struct experiment *e =
        experiment_new(x->program, x->golden, x->options->engine, x->options->hang_factor);
    c.faults = faults;
    for (struct store_span s; take(x, &s);) {
        memset(c.tallies, 0, x->n_tallies * sizeof *c.tallies);
        for (uint64_t u = s.first; u < s.next; u++)
            faults[u - s.first] = golden_fault(x->golden, u);
        experiment_run_bits(e, faults, s.next - s.first, count, &c);
        hand_in(x, c.tallies, s);
    }
    experiment_free(e);
    arena_fini(&a);
    pthread_mutex_lock(&x->lock);
    x->running--;
    pthread_mutex_unlock(&x->lock);
    return NULL;
}

/* ---- What they hand in ---------------------------------------------------------------------------- */

static unsigned width(const struct census_run *x, const struct census_tally *t)
{
    return (unsigned)ptx_insn_info(x->program->launches[t->launch].kernel, t->insn).dst_bits;
}

/* The stratum of a launch and a width, or how many there are before it. */
static uint32_t stratum(const struct golden *g, size_t launch, unsigned bits)
{
    uint32_t n = 0;
    for (size_t l = 0; l <= launch; l++)
        for (unsigned w = 0; w < (l < launch ? N_WIDTHS : (unsigned)__builtin_ctz(bits)); w++)
            n += g->widths[l][w] > 0;
    return n;
}

/* Sites of a launch that are as wide: each has as many faults, so that shares of sites follow from sums. */
static const struct store_stratum *strata(const struct golden *g, struct arena *a, size_t *n)
{
    size_t n_launches = g->program->n_launches;
    struct store_stratum *s = arena_array(a, n_launches * N_WIDTHS, sizeof *s);
    *n = 0;
    for (size_t l = 0; l < n_launches; l++)
        for (unsigned w = 0; w < N_WIDTHS; w++)
            if (g->widths[l][w])
                s[(*n)++] = (struct store_stratum){(uint32_t)l, arena_printf(a, "%u-bit", 1u << w),
                                                   g->widths[l][w]};
    return s;
}

static size_t store_tallies(const struct census_run *x, const struct census_tally *from,
                            struct store_tally *to)
{
    size_t n = 0;
    for (size_t i = 0; i < x->n_tallies; i++) {
        const struct census_tally *t = &from[i];
        struct ptx_insn_info info =
            ptx_insn_info(x->program->launches[x->total[i].launch].kernel, x->total[i].insn);
        struct store_tally row = {.launch = x->total[i].launch,
                                  .insn = x->total[i].insn,
                                  .ptx_line = info.at.line,
                                  .source_line = info.source_line,
                                  .mnemonic = info.mnemonic};
        for (int o = 0; o < N_OUTCOMES; o++)
            for (int k = 0; k < (o == OUTCOME_DUE ? N_TRAPS : 1); k++) {
                row.outcome = (enum outcome)o;
                row.trap = (enum trap_kind)k;
                row.n = o == OUTCOME_DUE ? t->trap[k] : t->outcome[o];
                row.stratum = row.n ? stratum(x->golden, row.launch, width(x, &x->total[i])) : 0;
                if (row.n)
                    to[n++] = row;
            }
    }
    return n;
}

/* In sites: what a store counts by. */
static struct store_live live(const struct census_run *x)
{
    const struct store_campaign *c = store_campaign(x->store);
    uint64_t left = 0, wanted = c->planned - c->first;
    for (size_t i = x->doing; i < x->n_todo; i++)
        left += x->todo[i].next - x->todo[i].first;
    return (struct store_live){.ranks = 1,
                               .jobs = (uint64_t)x->jobs,
                               .seconds = clock_seconds() - x->began,
                               .done = wanted - left,
                               .wanted = wanted,
                               .outcome = {[OUTCOME_MASKED] = x->progress.masked,
                                           [OUTCOME_SDC] = x->progress.sdc,
                                           [OUTCOME_DUE] = x->progress.due}};
}

/* Take what is ripe to the sums and to the store. */
static int bring_in(struct census_run *x, struct harvest *spare, struct diag *d)
{
    struct arena a = {0};
    int rc = OK;
    pthread_mutex_lock(&x->lock);
    struct harvest ripe = x->fresh;
    x->fresh = *spare;
    *spare = ripe;
    struct store_live now = x->store ? live(x) : (struct store_live){0};
    pthread_mutex_unlock(&x->lock);
    if (x->store && ripe.n_spans) {
        struct store_tally *t = arena_array(&a, x->n_tallies * (N_OUTCOMES + N_TRAPS), sizeof *t);
        rc = store_add_counts(x->store, ripe.spans, ripe.n_spans, t,
                              store_tallies(x, ripe.tallies, t), d);
        if (rc == OK)
            rc = store_set_live(x->store, &now, d);
        if (rc == OK)
            rc = store_commit(x->store, d);
    }
    add(x->total, ripe.tallies, x->n_tallies);
    memset(spare->tallies, 0, x->n_tallies * sizeof *spare->tallies);
    spare->n_spans = 0;
    arena_fini(&a);
    return rc;
}

static void tell(struct census_run *x)
{
    pthread_mutex_lock(&x->lock);
    struct progress p = x->progress;
    pthread_mutex_unlock(&x->lock);
    p.seconds = clock_seconds() - x->began;
    if (x->options->progress)
        x->options->progress(x->options->progress_ctx, &p);
}

static bool watch(struct census_run *x)
{
    const struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
    nanosleep(&pause, NULL);
    pthread_mutex_lock(&x->lock);
    bool running = x->running > 0;
    pthread_mutex_unlock(&x->lock);
    tell(x);
    return running;
}

static int run_threads(struct census_run *x, struct diag *d)
{
    struct harvest spare = {.tallies = arena_array(&x->arena, x->n_tallies, sizeof *spare.tallies)};
    pthread_t *threads = arena_array(&x->arena, (size_t)x->jobs, sizeof *threads);
    int n = 0, rc = OK;
    x->running = x->jobs;
    for (; n < x->jobs; n++)
        if (pthread_create(&threads[n], NULL, work, x) != 0)
            break;
    pthread_mutex_lock(&x->lock);
    x->running -= x->jobs - n;
    pthread_mutex_unlock(&x->lock);
    for (double last = clock_seconds(); n > 0 && rc == OK && watch(x);)
        if (clock_seconds() - last >= 1) {
            rc = bring_in(x, &spare, d);
            last = clock_seconds();
        }
    pthread_mutex_lock(&x->lock);
    x->quit = true;
    pthread_mutex_unlock(&x->lock);
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    tell(x);
    if (rc == OK)
        rc = bring_in(x, &spare, d);
    free(spare.spans);
    free(x->fresh.spans);
    return n ? rc : diag_fail(d, ERR_NOMEM, DIAG_NOWHERE, "cannot start a thread");
}

/* ---- The whole ------------------------------------------------------------------------------------ */

static void begin(struct census_run *x, const struct simt_program *p)
{
    struct arena *a = &x->arena;
    x->first = arena_array(a, p->n_launches + 1, sizeof *x->first);
    for (size_t l = 0; l < p->n_launches; l++)
        x->first[l + 1] = x->first[l] + ptx_n_insns(p->launches[l].kernel);
    x->n_tallies = x->first[p->n_launches];
    x->total = arena_array(a, x->n_tallies, sizeof *x->total);
    x->fresh.tallies = arena_array(a, x->n_tallies, sizeof *x->fresh.tallies);
    for (size_t l = 0; l < p->n_launches; l++)
        for (size_t i = x->first[l]; i < x->first[l + 1]; i++) {
            x->total[i].launch = (uint32_t)l;
            x->total[i].insn = (uint32_t)(i - x->first[l]);
        }
    pthread_mutex_init(&x->lock, NULL);
}

static int add_stored(void *ctx, const struct store_tally *t)
{
    struct census_run *x = ctx;
    if (t->launch >= x->program->n_launches ||
        t->insn >= x->first[t->launch + 1] - x->first[t->launch])
        return diag_fail(x->diag, ERR_INPUT, DIAG_NOWHERE,
                         "the store has sums of an instruction that the program lacks");
    struct census_tally *to = &x->total[x->first[t->launch] + t->insn];
    to->outcome[t->outcome] += t->n;
    to->trap[t->trap] += t->trap != TRAP_NONE ? t->n : 0;
    return OK;
}

/* What the store has is done; the other sites that it is to have are left. */
static int find_todo(struct census_run *x, struct diag *d)
{
    const struct store_campaign *c = x->store ? store_campaign(x->store) : NULL;
    const struct store_span *there = NULL;
    uint64_t at = c ? c->first : 0, end = c ? c->planned : golden_population(x->golden);
    uint64_t outcome[N_OUTCOMES], left = 0;
    size_t n = 0;
    x->diag = d;
    int rc = c ? store_spans(x->store, &x->arena, &there, &n, d) : OK;
    if (rc == OK && c)
        rc = store_each_tally(x->store, add_stored, x, d);
    x->todo = arena_array(&x->arena, n + 1, sizeof *x->todo);
    for (size_t i = 0; i <= n && at < end; i++) {
        uint64_t until = i < n && there[i].first < end ? there[i].first : end;
        if (at < until)
            x->todo[x->n_todo++] = (struct store_span){at, until};
        if (i < n && there[i].next > at)
            at = there[i].next;
    }
    for (size_t i = 0; i < x->n_todo; i++)
        left += x->todo[i].next - x->todo[i].first;
    x->progress.done = x->progress.before = sum(x->total, x->n_tallies, outcome);
    x->progress.planned = x->progress.done + /* exact if nothing is done */
                          (uint64_t)((unsigned __int128)left * golden_exposure(x->golden) /
                                     golden_population(x->golden));
    x->progress.masked = outcome[OUTCOME_MASKED];
    x->progress.sdc = outcome[OUTCOME_SDC];
    x->progress.due = outcome[OUTCOME_DUE];
    return rc;
}

static void fill_in(struct census *out, struct arena *a, const struct census_run *x)
{
    struct census_tally *kept = arena_array(a, x->n_tallies, sizeof *kept);
    *out = (struct census){.sites = golden_population(x->golden), .tallies = kept};
    for (size_t i = 0; i < x->n_tallies; i++) {
        const struct census_tally *t = &x->total[i];
        uint64_t outcome[N_OUTCOMES];
        if (sum(t, 1, outcome) == 0)
            continue;
        kept[out->n_tallies++] = *t;
        for (int k = 0; k < N_TRAPS; k++)
            out->trap[k] += t->trap[k];
        for (int o = 0; o < N_OUTCOMES; o++)
            out->of_sites[o] +=
                (double)outcome[o] / (double)width(x, t) / (double)golden_population(x->golden);
    }
    out->faults = sum(kept, out->n_tallies, out->outcome);
    out->seconds = clock_seconds() - x->began;
}

static int run(struct census_run *x, struct diag *d)
{
    int rc = find_todo(x, d);
    x->began = clock_seconds();
    if (rc == OK && x->n_todo)
        rc = run_threads(x, d);
    if (rc == OK && x->doing < x->n_todo)
        rc =
            diag_fail(d, ERR_INTERRUPTED, DIAG_NOWHERE, "interrupted after %llu of %llu faults%s",
                      (unsigned long long)x->progress.done, (unsigned long long)x->progress.planned,
                      x->store ? "; the same command continues" : "");
    return rc;
}

static void end(struct census_run *x)
{
    pthread_mutex_destroy(&x->lock);
    arena_fini(&x->arena);
}

int campaign_census(struct census *out, struct arena *a, const struct simt_program *p,
                    const struct campaign_options *options, struct diag *d)
{
    struct golden *golden;
    struct fault_kind kind = options->kind;
    kind.sampling = SAMPLING_EXHAUSTIVE;
    int rc = fault_kind_check(&kind, d);
    if (rc == OK)
        rc = golden_run(&golden, p, &kind, d);
    if (rc != OK)
        return rc;
    struct census_run x = {.program = p,
                           .golden = golden,
                           .options = options,
                           .jobs = campaign_jobs(options->jobs, NULL)};
    begin(&x, p);
    rc = run(&x, d);
    if (rc == OK)
        fill_in(out, a, &x);
    end(&x);
    golden_free(golden);
    return rc;
}

/* Which sites the store is to have: those that were planned, and those that are asked for now. */
static int plan(struct store *s, const struct store_campaign *c, struct diag *d)
{
    const struct store_campaign *old = store_campaign(s);
    uint64_t first = c->first < old->first ? c->first : old->first;
    uint64_t planned = c->planned > old->planned ? c->planned : old->planned;
    return first == old->first && planned == old->planned ? OK
                                                          : store_set_planned(s, first, planned, d);
}

int campaign_census_store(const char *path, const struct campaign_subject *subject,
                          const struct campaign_options *options, const struct golden *golden,
                          struct diag *d)
{
    struct arena a = {0};
    struct census_run x = {.program = subject->sim,
                           .golden = golden,
                           .options = options,
                           .jobs = campaign_jobs(options->jobs, NULL)};
    struct store_campaign s = campaign_identity(&a, subject, options, golden);
    s.strata = strata(golden, &a, &s.n_strata);
    s.n_epsilons = 0;
    s.seed = 0; /* nothing is drawn */
    s.tensors = STORE_ALL_TENSORS;
    if (s.planned == 0 || s.planned > golden_population(golden))
        s.planned = golden_population(golden);
    int rc = campaign_open_store(&x.store, path, &s, d);
    if (rc == OK)
        rc = plan(x.store, &s, d);
    begin(&x, subject->sim);
    if (rc == OK)
        rc = run(&x, d);
    int closed = store_close(x.store, d);
    end(&x);
    arena_fini(&a);
    return rc != OK ? rc : closed;
}
