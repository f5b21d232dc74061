/* The simulator against PoCL's native code: the same kernel sources, one core, side by side in turn.
 * What is timed is the kernels alone. Figures of one run compare; those of different runs need not. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cases.h"
#include "native.h"
#include "ptx/insn.h"

enum { MAX_TURNS = 15 };

/* Processor time: others may use the machine, too. */
static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return v[n / 2];
}

static double simulate(struct simt *s, const struct conv_program *p, struct simt_counts *counts)
{
    double start = seconds();
    *counts = (struct simt_counts){0};
    for (size_t i = 0; i < p->sim.n_launches; i++) {
        struct simt_result r;
        simt_run(s, p->sim.mem, &p->sim.launches[i], 0, simt_n_ctas(&p->sim.launches[i]), NULL, &r);
        if (r.trap.kind != TRAP_NONE)
            abort();
        counts->warp_insns += r.counts.warp_insns;
        counts->thread_insns += r.counts.thread_insns;
    }
    return seconds() - start;
}

static void compare(struct native *native, struct simt *s, const char *impl_name, const char *tile,
                    const char *shape, int turns)
{
    struct conv_data data;
    struct conv_program p;
    struct conv_plan plan;
    struct arena a = {0};
    struct diag d = {0};
    const struct conv_impl *impl;
    struct simt_counts counts = {0};
    double ours[MAX_TURNS], theirs[MAX_TURNS];
    conv_data_of(&data, shape, 1);
    if (conv_find(&impl, impl_name, &d) != OK ||
        conv_prepare(&p, &a, &data.problem, impl, tile, data.in, data.filter, &d) != OK ||
        conv_make_plan(&plan, &a, &data.problem, impl, tile, &d) != OK) {
        printf("%s: %s\n", impl_name, d.msg);
        exit(1);
    }
    for (int i = -1; i < turns; i++) { /* one turn to warm up: PoCL compiles in it */
        if (native && !native_run(native, &plan, &data.problem, data.in, data.filter, data.out))
            exit(1);
        double own = simulate(s, &p, &counts);
        if (i >= 0) {
            ours[i] = own;
            theirs[i] = native ? native_kernel_seconds(native) : 0;
        }
    }
    double own = median(ours, turns), other = median(theirs, turns);
    printf("%-22s %-12s %-22s %9.2f %9.2f %7.2f %9.1f %9.2f\n", impl_name, tile, shape, 1e3 * own,
           1e3 * other, other > 0 ? own / other : 0, 1e-6 * (double)counts.warp_insns / own,
           1e-9 * (double)counts.thread_insns / own);
    fflush(stdout);
    conv_program_fini(&p);
    conv_data_fini(&data);
    arena_fini(&a);
}

/* PTX text a second, on text of a few megabytes: the embedded kernels again and again. */
static void bench_loading(void)
{
    struct diag d = {0};
    size_t n_files, bytes = 0;
    const struct kernel_file *files = kernel_files(&n_files);
    double start = seconds();
    for (int round = 0; round < 40; round++)
        for (size_t i = 0; i < n_files; i++) {
            struct arena a = {0};
            struct ptx_module *m;
            struct text t = {files[i].name, files[i].ptx, (size_t)(files[i].ptx_end - files[i].ptx)};
            if (ptx_parse(&m, &a, t, &d) != OK)
                exit(1);
            bytes += t.len;
            arena_fini(&a);
        }
    printf("loading PTX: %.1f MB/s\n", 1e-6 * (double)bytes / (seconds() - start));
}

int main(int argc, char **argv)
{
    int turns = argc > 1 ? atoi(argv[1]) : 5;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    sched_setaffinity(0, sizeof one, &one);
    setenv("POCL_MAX_PTHREAD_COUNT", "1", 1);
    setenv("POCL_CPU_MAX_CU_COUNT", "1", 1);
    if (turns < 1 || turns > MAX_TURNS)
        return 2;
    struct native *native = argc > 3 ? NULL : native_open();
    struct simt *s = simt_new();
    printf("one core, medians of %d; natively on %s\n", turns, native ? native_device(native) : "nothing");
    printf("%-22s %-12s %-22s %9s %9s %7s %9s %9s\n", "implementation", "tile", "shape", "sievert ms",
           "PoCL ms", "ratio", "M warp/s", "G thread/s");
    if (argc > 3) { /* one implementation alone, for a profiler: TURNS IMPLEMENTATION TILE */
        compare(NULL, s, argv[2], argv[3], "1x64x56x56:64x3x3:p1", turns);
        simt_free(s);
        return 0;
    }
    static const char *const rows[][2] = {
        {"implicit-gemm", "64x64x8"}, {"implicit-gemm", "128x64x8"},  {"direct", ""},
        {"winograd-2x2-nonfused", ""}, {"implicit-gemm", "32x32x8"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        compare(native, s, rows[i][0], rows[i][1], "1x64x56x56:64x3x3:p1", turns);
    bench_loading();
    simt_free(s);
    if (native)
        native_close(native);
}
