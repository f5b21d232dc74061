/* The simulator against PoCL's native code: the same kernel sources, one core, side by side in turn.
 * What is timed is the kernels alone. Figures of one run compare; those of different runs need not.
 * bench_simt [TURNS [LOG]]: with a log, one line is added to it; or TURNS IMPLEMENTATION TILE. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

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
                    const char *shape, int turns, FILE *log)
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
    if (log)
        fprintf(log, " %s%s%s=%.3f,%.1fM/s", impl_name, *tile ? ":" : "", tile,
                other > 0 ? own / other : 0, 1e-6 * (double)counts.warp_insns / own);
    conv_program_fini(&p);
    conv_data_fini(&data);
    arena_fini(&a);
}

/* ---- Two workers share the CTAs of each launch ---------------------------------------------------- */
struct worker {
    struct simt *s;
    const struct conv_program *p;
    size_t launch;
    uint64_t first, n;
};

static void *work(void *ctx)
{
    struct worker *w = ctx;
    struct simt_result r;
    simt_run(w->s, w->p->sim.mem, &w->p->sim.launches[w->launch], w->first, w->n, NULL, &r);
    if (r.trap.kind != TRAP_NONE)
        abort();
    return NULL;
}

static double wall(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Wall-clock time of the program with n workers. */
static double share(struct worker *w, int n, const struct conv_program *p)
{
    pthread_t thread[2];
    double start = wall();
    for (size_t i = 0; i < p->sim.n_launches; i++) {
        uint64_t ctas = simt_n_ctas(&p->sim.launches[i]);
        for (int k = 0; k < n; k++) {
            w[k].p = p;
            w[k].launch = i;
            w[k].first = ctas * (uint64_t)k / (uint64_t)n;
            w[k].n = ctas * (uint64_t)(k + 1) / (uint64_t)n - w[k].first;
            if (k > 0 && pthread_create(&thread[k], NULL, work, &w[k]) != 0)
                abort();
        }
        work(&w[0]);
        for (int k = 1; k < n; k++)
            pthread_join(thread[k], NULL);
    }
    return wall() - start;
}

static void bench_workers(const char *impl_name, const char *tile, const char *shape, int turns,
                          FILE *log)
{
    struct conv_data data;
    struct conv_program p;
    struct arena a = {0};
    struct diag d = {0};
    const struct conv_impl *impl;
    struct worker w[2] = {{.s = simt_new()}, {.s = simt_new()}};
    double time[2][MAX_TURNS];
    conv_data_of(&data, shape, 1);
    if (conv_find(&impl, impl_name, &d) != OK ||
        conv_prepare(&p, &a, &data.problem, impl, tile, data.in, data.filter, &d) != OK)
        exit(1);
    for (int i = -1; i < turns; i++)
        for (int n = 1; n <= 2; n++) {
            double t = share(w, n, &p);
            if (i >= 0)
                time[n - 1][i] = t;
        }
    double one = median(time[0], turns), two = median(time[1], turns);
    printf("two workers, %s %s: %.2f times as fast as one (%.2f and %.2f ms)\n", impl_name, tile,
           one / two, 1e3 * one, 1e3 * two);
    if (log)
        fprintf(log, " workers=%.2f", one / two);
    simt_free(w[0].s);
    simt_free(w[1].s);
    conv_program_fini(&p);
    conv_data_fini(&data);
    arena_fini(&a);
}

/* ---- Memory ------------------------------------------------------------------------------------------ */
/* Most memory of a process that makes the program's buffers and simulates it once, beside their size. */
static void bench_memory(FILE *log)
{
    int pipe_ends[2];
    struct rusage usage;
    uint64_t buffers = 0;
    if (pipe(pipe_ends) != 0)
        return;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        struct simt_mem *m = simt_mem_new(NULL);
        struct arena a = {0};
        struct ptx_module *module;
        struct simt *s = simt_new();
        static const char text[] =
            ".version 7.0\n.target sm_80\n.address_size 64\n.entry k(.param .u64 x, .param .u64 y) "
            "{\n"
            ".reg .b32 %r<9>; .reg .b64 %d<9>;\nld.param.u64 %d1, [x]; ld.param.u64 %d2, [y];\n"
            "mov.u32 %r1, %ctaid.x; mov.u32 %r2, %tid.x; mad.lo.u32 %r1, %r1, 256, %r2;\n"
            "mad.wide.u32 %d1, %r1, 4, %d1; mad.wide.u32 %d2, %r1, 4, %d2; ld.global.u32 %r3, "
            "[%d1];\n"
            "st.global.u32 [%d2], %r3; ret; }\n";
        uint64_t bytes = 256u << 20, at[2];
        struct simt_launch l = {.grid = {(uint32_t)(bytes / 1024), 1, 1},
                                .block = {256, 1, 1},
                                .params = (const uint8_t *)at};
        struct simt_result r;
        if (ptx_parse(&module, &a, (struct text){"copy", text, sizeof text - 1}, NULL) != OK ||
            simt_mem_alloc(m, bytes, &at[0], NULL) != OK ||
            simt_mem_alloc(m, bytes, &at[1], NULL) != OK)
            _exit(1);
        memset(simt_mem_data(m), 1, bytes);
        l.kernel = ptx_kernel_at(module, 0);
        simt_run(s, m, &l, 0, simt_n_ctas(&l), NULL, &r);
        buffers = 2 * bytes;
        _exit(write(pipe_ends[1], &buffers, sizeof buffers) != sizeof buffers);
    }
    close(pipe_ends[1]);
    bool ok = child > 0 && read(pipe_ends[0], &buffers, sizeof buffers) == sizeof buffers;
    close(pipe_ends[0]);
    if (child > 0 && wait4(child, NULL, 0, &usage) == child && ok) {
        double most = (double)usage.ru_maxrss / 1024, size = (double)buffers / (1 << 20);
        printf("peak memory: %.0f MiB for %.0f MiB of buffers (at most %.0f wanted)\n", most, size,
               2 * size + 64);
        if (log)
            fprintf(log, " peak=%.0fMiB/%.0fMiB", most, size);
    }
}

/* PTX text a second, on text of a few megabytes: the embedded kernels again and again. */
static void bench_loading(FILE *log)
{
    struct diag d = {0};
    size_t n_files, bytes = 0;
    const struct kernel_file *files = kernel_files(&n_files);
    double start = seconds();
    for (int round = 0; round < 40; round++)
        for (size_t i = 0; i < n_files; i++) {
            struct arena a = {0};
            struct ptx_module *m;
            struct text t = {files[i].name, files[i].ptx,
                             (size_t)(files[i].ptx_end - files[i].ptx)};
            if (ptx_parse(&m, &a, t, &d) != OK)
                exit(1);
            bytes += t.len;
            arena_fini(&a);
        }
    double rate = 1e-6 * (double)bytes / (seconds() - start);
    printf("loading PTX: %.1f MB/s\n", rate);
    if (log)
        fprintf(log, " loading=%.1fMB/s", rate);
}

int main(int argc, char **argv)
{
    int turns = argc > 1 ? atoi(argv[1]) : 5;
    cpu_set_t one, all;
    CPU_ZERO(&one);
    sched_getaffinity(0, sizeof all, &all);
    CPU_SET((size_t)sched_getcpu(), &one);
    sched_setaffinity(0, sizeof one, &one);
    setenv("POCL_MAX_PTHREAD_COUNT", "1", 1);
    setenv("POCL_CPU_MAX_CU_COUNT", "1", 1);
    if (turns < 1 || turns > MAX_TURNS)
        return 2;
    struct native *native = argc > 3 ? NULL : native_open();
    struct simt *s = simt_new();
    FILE *log = argc == 3 ? fopen(argv[2], "a") : NULL;
    if (log) { /* one line a run: when, where, ratios to PoCL and million warp instructions a second */
        char when[64];
        time_t now = time(NULL);
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
        fprintf(log, "%s %s", when, native ? native_device(native) : "no-PoCL");
    }
    printf("one core, medians of %d; natively on %s\n", turns,
           native ? native_device(native) : "nothing");
    printf("%-22s %-12s %-22s %9s %9s %7s %9s %9s\n", "implementation", "tile", "shape",
           "sievert ms", "PoCL ms", "ratio", "M warp/s", "G thread/s");
    if (argc > 3) { /* one implementation alone, for a profiler: TURNS IMPLEMENTATION TILE */
        compare(NULL, s, argv[2], argv[3], "1x64x56x56:64x3x3:p1", turns, NULL);
        simt_free(s);
        return 0;
    }
    static const char *const rows[][2] = {
        {"implicit-gemm", "64x64x8"},  {"implicit-gemm", "128x64x8"}, {"direct", ""},
        {"winograd-2x2-nonfused", ""}, {"implicit-gemm", "32x32x8"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        compare(native, s, rows[i][0], rows[i][1], "1x64x56x56:64x3x3:p1", turns, log);
    bench_loading(log);
    bench_memory(log);
    sched_setaffinity(0, sizeof all, &all);
    bench_workers("implicit-gemm", "32x32x8", "1x64x56x56:64x3x3:p1", turns, log);
    if (log) {
        fputc('\n', log);
        fclose(log);
    }
    simt_free(s);
    if (native)
        native_close(native);
}
