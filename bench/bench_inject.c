/* Injections a second by engine, beside what re-executing the program natively could do at best: PoCL's own
 * time for the same kernels, measured in the same run on one core. Single-bit faults in gp results over
 * all CTAs. Usage: bench_inject [FAULTS [FAULTS_ONE_BY_ONE [WHICH]]], WHICH among 0 (the large layer), 3 (with a
 * tile of 64x64x8), 1, 2
 * (LeNet-5's second layer) and e (every fault of it, on two threads: minutes). */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "campaign/campaign.h"
#include "conv/cases.h"
#include "conv/native.h"

/* Processor time: others may use the machine, too. */
static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void die(const char *what, const struct diag *d)
{
    fprintf(stderr, "%s: %s\n", what, d->msg);
    exit(1);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Median of five, after one run in which PoCL compiles. */
static double native_seconds(struct native *native, const struct conv_plan *plan,
                             struct conv_data *data)
{
    double v[5];
    for (int i = -1; native && i < 5; i++) {
        if (!native_run(native, plan, &data->problem, data->in, data->filter, data->out))
            exit(1);
        if (i >= 0)
            v[i] = native_kernel_seconds(native);
    }
    if (!native)
        return 0;
    qsort(v, 5, sizeof *v, by_value);
    return v[2];
}

struct tally {
    uint64_t n, outcomes[N_OUTCOMES], insns;
};

static void count(void *ctx, size_t i, const struct experiment_result *r)
{
    struct tally *t = ctx;
    (void)i;
    t->n++;
    t->outcomes[r->outcome]++;
    t->insns += r->warp_insns;
}

static double seconds_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void print_rate(const char *what, const struct tally *t, double spent, double native)
{
    double rate = (double)t->n / spent, n = (double)t->n;
    printf("  %-26s %9llu faults %8.3f s %9.0f /s", what, (unsigned long long)t->n, spent, rate);
    if (native > 0)
        printf(" %7.0f x PoCL", rate * native);
    printf("  masked %.1f %%, SDC %.1f %%, DUE %.1f %%\n",
           100 * (double)t->outcomes[OUTCOME_MASKED] / n,
           100 * (double)t->outcomes[OUTCOME_SDC] / n, 100 * (double)t->outcomes[OUTCOME_DUE] / n);
    fflush(stdout);
}

static struct fault *draw(const struct golden *g, size_t n)
{
    struct fault *faults = malloc((n + 1) * sizeof *faults);
    if (!faults)
        exit(1);
    for (size_t i = 0; i < n; i++)
        faults[i] = campaign_fault(g, 1, i);
    return faults;
}

static void measure(const struct conv_program *p, const struct golden *g, const char *what,
                    enum engine engine, size_t n, bool all_bits, double native)
{
    struct tally t = {0};
    struct fault *faults = draw(g, n);
    struct experiment *e = experiment_new(&p->sim, g, engine, 10);
    double start = seconds();
    (all_bits ? experiment_run_bits : experiment_run_all)(e, faults, n, count, &t);
    print_rate(what, &t, seconds() - start, native);
    experiment_free(e);
    free(faults);
}

/* Two threads take runs of faults, in the order of the sites, until none are left. */
struct shared_out {
    const struct conv_program *p;
    const struct golden *g;
    struct fault *faults; /* by site */
    size_t n, *first;     /* runs: first[k] .. first[k + 1] */
    size_t n_runs;
    _Atomic size_t next;
};
struct sharer {
    struct shared_out *all;
    double spent; /* processor time of its thread */
};

static int by_site(const void *a, const void *b)
{
    const struct fault *x = a, *y = b;
    return x->cta != y->cta ? (x->cta < y->cta ? -1 : 1) : x->nth < y->nth ? -1 : x->nth > y->nth;
}

static void *run_shares(void *ctx)
{
    struct sharer *s = ctx;
    struct shared_out *x = s->all;
    struct tally t = {0};
    double start = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    struct experiment *e = experiment_new(&x->p->sim, x->g, ENGINE_CONCURRENT, 10);
    for (size_t k; (k = atomic_fetch_add(&x->next, 1)) < x->n_runs;)
        experiment_run_all(e, x->faults + x->first[k], x->first[k + 1] - x->first[k], count, &t);
    experiment_free(e);
    s->spent = seconds_of(CLOCK_THREAD_CPUTIME_ID) - start;
    return NULL;
}

/* A run: faults of one CTA, at most so many that there are some for both threads. */
static void find_runs(struct shared_out *x)
{
    size_t most = x->n / 32 + 1;
    for (size_t i = 0; i < x->n; i++)
        if (i == 0 || x->faults[i].cta != x->faults[i - 1].cta ||
            i - x->first[x->n_runs - 1] == most)
            x->first[x->n_runs++] = i;
    x->first[x->n_runs] = x->n;
}

static void measure_threads(const struct conv_program *p, const struct golden *g, size_t n)
{
    struct shared_out x = {.p = p, .g = g, .faults = draw(g, n), .n = n};
    struct sharer sharers[] = {{&x, 0}, {&x, 0}};
    cpu_set_t one, two;
    pthread_t other;
    x.first = malloc((n + 1) * sizeof *x.first);
    if (!x.first)
        exit(1);
    qsort(x.faults, n, sizeof *x.faults, by_site);
    find_runs(&x);
    sched_getaffinity(0, sizeof one, &one);
    run_shares(&sharers[0]);
    double alone = sharers[0].spent;
    CPU_ZERO(&two);
    CPU_SET(0, &two);
    CPU_SET(1, &two);
    sched_setaffinity(0, sizeof two, &two);
    atomic_store(&x.next, 0);
    double start = seconds_of(CLOCK_MONOTONIC);
    if (pthread_create(&other, NULL, run_shares, &sharers[1]) != 0)
        exit(1);
    run_shares(&sharers[0]);
    pthread_join(other, NULL);
    double wall = seconds_of(CLOCK_MONOTONIC) - start;
    double together = sharers[0].spent > sharers[1].spent ? sharers[0].spent : sharers[1].spent;
    sched_setaffinity(0, sizeof one, &one);
    printf("  two threads: %.2f s of processor time of the longer one for %.2f s of one alone: "
           "%.2f times as fast "
           "(%.2f s of wall clock)\n",
           together, alone, alone / together, wall);
    free(x.faults);
    free(x.first);
}

static void measure_all(const struct conv_program *p, const struct fault_kind *kind, double native)
{
    struct arena a = {0};
    struct diag d = {0};
    struct census c;
    cpu_set_t one, two;
    const struct campaign_options o = {.kind = *kind, .engine = ENGINE_AUTO, .jobs = 2};
    sched_getaffinity(0, sizeof one, &one);
    CPU_ZERO(&two);
    CPU_SET(0, &two);
    CPU_SET(1, &two);
    sched_setaffinity(0, sizeof two, &two);
    double start = seconds();
    if (campaign_census(&c, &a, &p->sim, &o, &d) != OK)
        die("census", &d);
    double spent = seconds() - start;
    sched_setaffinity(0, sizeof one, &one);
    struct tally t = {.n = c.faults};
    memcpy(t.outcomes, c.outcome, sizeof t.outcomes);
    print_rate("every fault, one core's", &t, spent, native);
    printf("  every fault on two threads: %.1f s of wall clock; masked %llu, SDC %llu, DUE %llu\n",
           c.seconds, (unsigned long long)c.outcome[OUTCOME_MASKED],
           (unsigned long long)c.outcome[OUTCOME_SDC], (unsigned long long)c.outcome[OUTCOME_DUE]);
    arena_fini(&a);
}

static void bench(struct native *native, const char *name, const char *tile, const char *shape,
                  size_t many, size_t few, const char *only, char which)
{
    const struct fault_kind kind = {.where = WHERE_GROUP_GP};
    struct conv_data data;
    struct conv_program p;
    struct conv_plan plan;
    struct arena a = {0};
    struct diag d = {0};
    const struct conv_impl *impl;
    struct golden *g = NULL;
    bool exhaust = which == '1' && strchr(only, 'e');
    if (!strchr(only, which) && !exhaust)
        return;
    conv_data_of(&data, shape, 1);
    if (conv_find(&impl, name, &d) != OK ||
        conv_prepare(&p, &a, &data.problem, impl, tile, data.in, data.filter, &d) != OK ||
        conv_make_plan(&plan, &a, &data.problem, impl, tile, &d) != OK ||
        golden_run(&g, &p.sim, &kind, &d) != OK)
        die(name, &d);
    double t = native_seconds(native, &plan, &data);
    printf("%s %s (%s): %llu sites, PoCL %.3f ms\n", name, shape, p.ptx_names[0],
           (unsigned long long)golden_population(g), 1e3 * t);
    if (strchr(only, which)) {
        measure(&p, g, "full", ENGINE_FULL, few / 10 + 1, false, t);
        measure(&p, g, "replay", ENGINE_REPLAY, few, false, t);
        measure(&p, g, "concurrent", ENGINE_CONCURRENT, 3 * few, false, t);
        measure(&p, g, "concurrent", ENGINE_CONCURRENT, many, false, t);
        measure(&p, g, "concurrent, all bits", ENGINE_CONCURRENT, many / 8, true, t);
        measure_threads(&p, g, many);
    }
    if (exhaust)
        measure_all(&p, &kind, t);
    golden_free(g);
    conv_program_fini(&p);
    conv_data_fini(&data);
    arena_fini(&a);
}

int main(int argc, char **argv)
{
    size_t many = argc > 1 ? strtoul(argv[1], NULL, 0) : 200000;
    size_t few = argc > 2 ? strtoul(argv[2], NULL, 0) : 1000;
    const char *only = argc > 3 ? argv[3] : "0312e";
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    sched_setaffinity(0, sizeof one, &one);
    setenv("POCL_MAX_PTHREAD_COUNT", "1", 1);
    setenv("POCL_CPU_MAX_CU_COUNT", "1", 1);
    struct native *native = native_open();
    printf("one core, processor time; natively on %s\n",
           native ? native_device(native) : "nothing");
    bench(native, "implicit-gemm", "", "1x64x56x56:64x3x3:p1", many, few, only, '0');
    bench(native, "implicit-gemm", "64x64x8", "1x64x56x56:64x3x3:p1", many, few, only, '3');
    bench(native, "direct", "", "1x6x14x14:16x5x5", many, few, only, '1');
    bench(native, "implicit-gemm", "", "1x6x14x14:16x5x5", many, few, only, '2');
    if (native)
        native_close(native);
}
