/* Every single-bit fault of every site of a program. Threads take runs of sites; each keeps counts of its
 * own, which are added up at the end: the sums depend on nothing but the program. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "campaign/priv.h"

enum { SITES_AT_ONCE = 2048, MOST_JOBS = 1024 };

struct census_run {
    const struct simt_program *program;
    const struct golden *golden;
    const struct campaign_options *options;
    size_t n_tallies, *first; /* of each launch: place of its first instruction */
    _Atomic uint64_t next, done, outcome[N_OUTCOMES];
    _Atomic int running;
};

struct counter {
    struct census_run *run;
    struct census_tally *tallies; /* [first[launch] + insn] */
    const struct fault *faults;
    pthread_t thread;
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

static void *work(void *ctx)
{
    struct counter *c = ctx;
    struct census_run *x = c->run;
    struct experiment *e =
        experiment_new(x->program, x->golden, x->options->engine, x->options->hang_factor);
    struct fault *faults = malloc(SITES_AT_ONCE * sizeof *faults);
    uint64_t sites = golden_population(x->golden), told[N_OUTCOMES] = {0}, told_all = 0, from;
    if (!faults)
        abort();
    c->faults = faults;
    while (!stopped(x) && (from = atomic_fetch_add(&x->next, SITES_AT_ONCE)) < sites) {
        size_t n = sites - from < SITES_AT_ONCE ? (size_t)(sites - from) : SITES_AT_ONCE;
        uint64_t outcome[N_OUTCOMES];
        for (size_t i = 0; i < n; i++)
            faults[i] = golden_fault(x->golden, from + i);
        experiment_run_bits(e, faults, n, count, c);
        uint64_t all = sum(c->tallies, x->n_tallies, outcome);
        atomic_fetch_add(&x->done, all - told_all);
        for (int o = 0; o < N_OUTCOMES; o++)
            atomic_fetch_add(&x->outcome[o], outcome[o] - told[o]);
        memcpy(told, outcome, sizeof told);
        told_all = all;
    }
    experiment_free(e);
    free(faults);
    atomic_fetch_sub(&x->running, 1);
    return NULL;
}

static void watch(struct census_run *x, double began)
{
    const struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
    while (atomic_load(&x->running) > 0) {
        nanosleep(&pause, NULL);
        if (x->options->progress)
            x->options->progress(x->options->progress_ctx,
                                 &(struct progress){.done = x->done,
                                                    .planned = golden_exposure(x->golden),
                                                    .masked = x->outcome[OUTCOME_MASKED],
                                                    .sdc = x->outcome[OUTCOME_SDC],
                                                    .due = x->outcome[OUTCOME_DUE],
                                                    .seconds = clock_seconds() - began});
    }
}

static int run_threads(struct census_run *x, struct counter *counters, int jobs, double began,
                       struct diag *d)
{
    int n = 0;
    for (; n < jobs; n++) {
        counters[n].run = x;
        counters[n].tallies = calloc(x->n_tallies + 1, sizeof *counters[n].tallies);
        if (!counters[n].tallies)
            abort();
        atomic_fetch_add(&x->running, 1);
        if (pthread_create(&counters[n].thread, NULL, work, &counters[n]) != 0) {
            atomic_fetch_sub(&x->running, 1);
            free(counters[n].tallies);
            break;
        }
    }
    watch(x, began);
    for (int i = 0; i < n; i++)
        pthread_join(counters[i].thread, NULL);
    for (int i = 1; i < n; i++) {
        for (size_t t = 0; t < x->n_tallies; t++) {
            for (int o = 0; o < N_OUTCOMES; o++)
                counters[0].tallies[t].outcome[o] += counters[i].tallies[t].outcome[o];
            for (int k = 0; k < N_TRAPS; k++)
                counters[0].tallies[t].trap[k] += counters[i].tallies[t].trap[k];
        }
        free(counters[i].tallies);
    }
    return n ? OK : diag_fail(d, ERR_NOMEM, DIAG_NOWHERE, "cannot start a thread");
}

static void fill_in(struct census *out, struct arena *a, const struct census_run *x,
                    struct census_tally *t)
{
    struct census_tally *kept = arena_array(a, x->n_tallies, sizeof *kept);
    for (size_t l = 0; l < x->program->n_launches; l++)
        for (size_t i = x->first[l]; i < x->first[l + 1]; i++) {
            uint64_t outcome[N_OUTCOMES];
            if (sum(&t[i], 1, outcome) == 0)
                continue;
            t[i].launch = (uint32_t)l;
            t[i].insn = (uint32_t)(i - x->first[l]);
            kept[out->n_tallies++] = t[i];
            for (int k = 0; k < N_TRAPS; k++)
                out->trap[k] += t[i].trap[k];
        }
    out->tallies = kept;
    out->faults = sum(kept, out->n_tallies, out->outcome);
}

int campaign_census(struct census *out, struct arena *a, const struct simt_program *p,
                    const struct campaign_options *options, struct diag *d)
{
    double began = clock_seconds();
    struct golden *golden;
    int jobs = options->jobs > 0 ? options->jobs : (int)sysconf(_SC_NPROCESSORS_ONLN);
    jobs = jobs < 1 ? 1 : jobs > MOST_JOBS ? MOST_JOBS : jobs;
    *out = (struct census){0};
    if (!fault_has_bits(&options->kind))
        return diag_fail(
            d, ERR_INPUT, DIAG_NOWHERE,
            "only single bits of results of instructions, in one thread, can be exhausted: "
            "as gp:single-bit:thread");
    int rc = golden_run(&golden, p, &options->kind, d);
    if (rc != OK)
        return rc;
    struct census_run x = {.program = p, .golden = golden, .options = options};
    x.first = arena_array(a, p->n_launches + 1, sizeof *x.first);
    for (size_t l = 0; l < p->n_launches; l++)
        x.first[l + 1] = x.first[l] + ptx_n_insns(p->launches[l].kernel);
    x.n_tallies = x.first[p->n_launches];
    struct counter *counters = arena_array(a, (size_t)jobs, sizeof *counters);
    rc = run_threads(&x, counters, jobs, began, d);
    if (rc == OK) {
        out->sites = golden_population(golden);
        fill_in(out, a, &x, counters[0].tallies);
        out->seconds = clock_seconds() - began;
        free(counters[0].tallies);
        if (stopped(&x))
            rc = diag_fail(d, ERR_INTERRUPTED, DIAG_NOWHERE,
                           "interrupted after %llu of %llu faults", (unsigned long long)out->faults,
                           (unsigned long long)golden_exposure(golden));
    }
    golden_free(golden);
    return rc;
}
