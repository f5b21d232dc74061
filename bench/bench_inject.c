/* Injections a second on one core, by engine, beside what re-executing the program natively could do at
 * best: PoCL's own time for the same kernels, measured in the same run. Random single-bit faults in gp
 * results over all CTAs. Usage: bench_inject [FAULTS [FAULTS_ONE_BY_ONE]] */
#include <sched.h>
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

static void measure(const struct conv_program *p, const struct golden *g, enum engine engine,
                    size_t n, double native)
{
    struct fault *faults = malloc(n * sizeof *faults);
    struct tally t = {0};
    if (!faults)
        exit(1);
    struct experiment *e = experiment_new(&p->sim, g, engine, 10);
    double start = seconds();
    for (size_t i = 0; i < n; i++)
        faults[i] = campaign_fault(g, 1, i);
    experiment_run_all(e, faults, n, count, &t);
    double rate = (double)n / (seconds() - start);
    printf("  %-11s %8zu faults %10.0f injections/s", vocab_word(&vocab_engines, (int)engine), n, rate);
    if (native > 0)
        printf("  %8.0f x PoCL", rate * native);
    printf("  masked %.1f %%, SDC %.1f %%, DUE %.1f %%\n", 100 * (double)t.outcomes[OUTCOME_MASKED] / (double)t.n,
           100 * (double)t.outcomes[OUTCOME_SDC] / (double)t.n,
           100 * (double)t.outcomes[OUTCOME_DUE] / (double)t.n);
    fflush(stdout);
    experiment_free(e);
    free(faults);
}

static void bench(struct native *native, const char *name, const char *shape, size_t many, size_t few)
{
    const char *tile = getenv("TILE") ? getenv("TILE") : "";
    const struct fault_kind kind = {.where = WHERE_GROUP_GP};
    struct conv_data data;
    struct conv_program p;
    struct conv_plan plan;
    struct arena a = {0};
    struct diag d = {0};
    const struct conv_impl *impl;
    struct golden *g;
    conv_data_of(&data, shape, 1);
    if (conv_find(&impl, name, &d) != OK ||
        conv_prepare(&p, &a, &data.problem, impl, tile, data.in, data.filter, &d) != OK ||
        conv_make_plan(&plan, &a, &data.problem, impl, tile, &d) != OK ||
        golden_run(&g, &p.sim, &kind, &d) != OK)
        die(name, &d);
    double t = native_seconds(native, &plan, &data);
    printf("%s %s (%s): %llu sites, PoCL %.3f ms\n", name, shape, p.ptx_names[0],
           (unsigned long long)golden_population(g), 1e3 * t);
    measure(&p, g, ENGINE_FULL, few / 10 + 1, t);
    measure(&p, g, ENGINE_REPLAY, few, t);
    measure(&p, g, ENGINE_CONCURRENT, few, t);
    measure(&p, g, ENGINE_CONCURRENT, many, t);
    golden_free(g);
    conv_program_fini(&p);
    conv_data_fini(&data);
    arena_fini(&a);
}

int main(int argc, char **argv)
{
    size_t many = argc > 1 ? strtoul(argv[1], NULL, 0) : 200000;
    size_t few = argc > 2 ? strtoul(argv[2], NULL, 0) : 1000;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    sched_setaffinity(0, sizeof one, &one);
    setenv("POCL_MAX_PTHREAD_COUNT", "1", 1);
    setenv("POCL_CPU_MAX_CU_COUNT", "1", 1);
    struct native *native = native_open();
    printf("one core, processor time; natively on %s\n", native ? native_device(native) : "nothing");
    const char *only = argc > 3 ? argv[3] : "012";
    if (strchr(only, '0'))
        bench(native, "implicit-gemm", "1x64x56x56:64x3x3:p1", many, few);
    if (strchr(only, '1'))
        bench(native, "direct", "1x6x14x14:16x5x5", many, few);
    if (strchr(only, '2'))
        bench(native, "implicit-gemm", "1x6x14x14:16x5x5", many, few);
    if (native)
        native_close(native);
}
