/* The simulator against PoCL's native code: the same kernel sources, one core, side by side in turn, for
 * every implementation and every tile. What is timed is the kernels alone; of the first columns with the
 * steps for this processor, then with those for AVX2. Figures of one run compare; those of different runs
 * need not. bench_simt [TURNS]; for a profiler TURNS IMPLEMENTATION TILE; the two workers alone TURNS workers. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cases.h"
#include "native.h"
#include "ptx/insn.h"
#include "simt/priv.h"

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

/* ---- Every implementation -------------------------------------------------------------------------- */
/* Each is measured on the first shape that it supports; those with channels last on the last one, too. */
static const char *const shapes[] = {"1x64x56x56:64x3x3:p1", "1x64x56x56:64x1x1",
                                     "1x64x56x56:64x3x3:p1:g64", "8x64x28x28:64x3x3:p1",
                                     "1x64x56x56:64x3x3:p1:nhwc"};
enum { N_SHAPES = sizeof shapes / sizeof *shapes, NHWC = N_SHAPES - 1 };

struct bench {
    struct native *native; /* NULL: none here */
    struct simt *s, *avx2;
    struct conv_data data[N_SHAPES];
    const struct conv_impl *impl;
    int shape, turns;
    double highest, highest_rate; /* ratio to PoCL; warp instructions a second */
    char highest_name[96], rate_name[96];
};

static void keep_highest(double v, double *highest, char name[96], const struct bench *b,
                         const char *tile)
{
    if (v <= *highest)
        return;
    *highest = v;
    snprintf(name, 96, "%s%s%s on %s", b->impl->name, *tile ? " " : "", tile, shapes[b->shape]);
}

static void compare(const char *tile, void *ctx)
{
    struct bench *b = ctx;
    struct conv_data *data = &b->data[b->shape];
    struct conv_program p;
    struct conv_plan plan;
    struct arena a = {0};
    struct diag d = {0};
    struct simt_counts counts = {0};
    double own[MAX_TURNS], avx2[MAX_TURNS], other[MAX_TURNS] = {0};
    if (!data->in)
        conv_data_of(data, shapes[b->shape], 1);
    if (!*tile && *b->impl->tiles) /* the planner's choice is one of them */
        return;
    if (conv_prepare(&p, &a, &data->problem, b->impl, tile, data->in, data->filter, &d) != OK ||
        conv_make_plan(&plan, &a, &data->problem, b->impl, tile, &d) != OK) {
        printf("%s: %s\n", b->impl->name, d.msg);
        arena_fini(&a);
        return;
    }
    for (int i = -1; i < b->turns; i++) { /* one turn to warm up: PoCL compiles in it */
        if (b->native &&
            !native_run(b->native, &plan, &data->problem, data->in, data->filter, data->out))
            exit(1);
        int at = i < 0 ? 0 : i;
        own[at] = simulate(b->s, &p, &counts);
        avx2[at] = simulate(b->avx2, &p, &counts);
        other[at] = b->native ? native_kernel_seconds(b->native) : 0;
    }
    double mine = median(own, b->turns), narrow = median(avx2, b->turns),
           theirs = median(other, b->turns), rate = (double)counts.warp_insns / mine;
    printf("%-22s %-15s %-26s %8.2f %7.2f %6.2f %8.1f %9.2f %9.2f\n", b->impl->name, tile,
           shapes[b->shape], 1e3 * theirs, 1e3 * mine, theirs > 0 ? mine / theirs : 0, 1e-6 * rate,
           1e-9 * (double)counts.thread_insns / mine, theirs > 0 ? narrow / theirs : 0);
    fflush(stdout);
    if (theirs > 0)
        keep_highest(mine / theirs, &b->highest, b->highest_name, b, tile);
    keep_highest(rate, &b->highest_rate, b->rate_name, b, tile);
    conv_program_fini(&p);
    arena_fini(&a);
}

static void print_head(const struct bench *b)
{
    printf("one core, medians of %d; natively on %s\n", b->turns,
           b->native ? native_device(b->native) : "nothing");
    printf("%-22s %-15s %-26s %8s %7s %6s %8s %9s %9s\n", "implementation", "tile", "shape",
           "PoCL ms", "Sievert", "ratio", "M warp/s", "G thread/s", "with AVX2");
}

static bool supports(const struct conv_impl *impl, int shape)
{
    struct conv_problem p;
    struct diag d = {0};
    return conv_parse_shape(&p, shapes[shape], &d) == OK && conv_supports(impl, &p, &d) == OK;
}

static void bench_implementations(struct bench *b)
{
    size_t n;
    const struct conv_impl *impls = conv_impls(&n);
    for (size_t i = 0; i < n; i++) {
        b->impl = &impls[i];
        for (b->shape = 0; b->shape < NHWC && !supports(b->impl, b->shape); b->shape++)
            ;
        conv_for_tiles(b->impl, EVERY_TILE, compare, b);
        if (b->shape < NHWC && supports(b->impl, NHWC)) {
            b->shape = NHWC;
            conv_for_tiles(b->impl, EVERY_TILE, compare, b);
        }
    }
    if (b->native)
        printf("slowest beside PoCL: %.2f x, %s\n", b->highest, b->highest_name);
    printf("fastest: %.1f million warp instructions a second, %s\n", 1e-6 * b->highest_rate,
           b->rate_name);
}

/* ---- Two workers share the CTAs of each launch ---------------------------------------------------- */
struct sharing {
    const struct conv_program *p;
    size_t launch;
    atomic_uint_fast64_t next; /* CTA that nobody has taken */
};
struct worker {
    struct simt *s;
    struct sharing *sharing;
    double seconds; /* processor time of its thread */
};

static double clock_now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *work(void *ctx)
{
    struct worker *w = ctx;
    struct sharing *x = w->sharing;
    const struct simt_launch *l = &x->p->sim.launches[x->launch];
    const uint64_t ctas = simt_n_ctas(l), part = ctas / 32 + 1;
    const double start = clock_now(CLOCK_THREAD_CPUTIME_ID);
    for (uint64_t at; (at = atomic_fetch_add(&x->next, part)) < ctas;) {
        struct simt_result r;
        simt_run(w->s, x->p->sim.mem, l, at, ctas - at < part ? ctas - at : part, NULL, &r);
        if (r.trap.kind != TRAP_NONE)
            abort();
    }
    w->seconds += clock_now(CLOCK_THREAD_CPUTIME_ID) - start;
    return NULL;
}

/* Wall-clock time of the program with n workers, and the processor time of the one that took longest. */
static double share(struct worker *w, int n, const struct conv_program *p, double *longest)
{
    pthread_t thread[2];
    const double start = clock_now(CLOCK_MONOTONIC);
    w[0].seconds = w[1].seconds = 0;
    for (size_t i = 0; i < p->sim.n_launches; i++) {
        struct sharing x = {.p = p, .launch = i};
        for (int k = 0; k < n; k++) {
            w[k].sharing = &x;
            if (k > 0 && pthread_create(&thread[k], NULL, work, &w[k]) != 0)
                abort();
        }
        work(&w[0]);
        for (int k = 1; k < n; k++)
            pthread_join(thread[k], NULL);
    }
    *longest = w[0].seconds > w[1].seconds ? w[0].seconds : w[1].seconds;
    return clock_now(CLOCK_MONOTONIC) - start;
}

static void bench_workers(struct bench *b, const char *impl_name, const char *tile)
{
    struct conv_data *data = &b->data[0];
    struct conv_program p;
    struct arena a = {0};
    struct diag d = {0};
    const struct conv_impl *impl;
    struct worker w[2] = {{.s = simt_new()}, {.s = simt_new()}};
    double time[2][MAX_TURNS], longest[2][MAX_TURNS];
    if (conv_find(&impl, impl_name, &d) != OK ||
        conv_prepare(&p, &a, &data->problem, impl, tile, data->in, data->filter, &d) != OK)
        exit(1);
    for (int i = -1; i < b->turns; i++)
        for (int n = 1; n <= 2; n++)
            time[n - 1][i < 0 ? 0 : i] = share(w, n, &p, &longest[n - 1][i < 0 ? 0 : i]);
    double one = median(time[0], b->turns), two = median(time[1], b->turns),
           alone = median(longest[0], b->turns), each = median(longest[1], b->turns);
    printf("two workers, %s%s%s: %.2f times as fast as one (%.2f and %.2f ms of wall clock); "
           "%.2f by processor time (%.2f, the longer one of two %.2f ms)\n",
           impl_name, *tile ? " " : "", tile, one / two, 1e3 * one, 1e3 * two, alone / each,
           1e3 * alone, 1e3 * each);
    simt_free(w[0].s);
    simt_free(w[1].s);
    conv_program_fini(&p);
    arena_fini(&a);
}

/* ---- Memory ------------------------------------------------------------------------------------------ */
/* Most memory that this process had, in MiB. Not of getrusage: that has what came before exec, too. */
static double most_memory(void)
{
    char line[256];
    double kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtod(line + 6, NULL);
    if (f)
        fclose(f);
    return kib / 1024;
}

/* Makes buffers and simulates a kernel that copies one to the other; prints how large they are and how much
 * memory it took at most. In a process of its own: what else the bench has would count, too. */
static int copy_once(void)
{
    static const char text[] =
        ".version 7.0\n.target sm_80\n.address_size 64\n.entry k(.param .u64 x, .param .u64 y) {\n"
        ".reg .b32 %r<9>; .reg .b64 %d<9>;\nld.param.u64 %d1, [x]; ld.param.u64 %d2, [y];\n"
        "mov.u32 %r1, %ctaid.x; mov.u32 %r2, %tid.x; mad.lo.u32 %r1, %r1, 256, %r2;\n"
        "mad.wide.u32 %d1, %r1, 4, %d1; mad.wide.u32 %d2, %r1, 4, %d2; ld.global.u32 %r3, [%d1];\n"
        "st.global.u32 [%d2], %r3; ret; }\n";
    const uint64_t bytes = 256u << 20;
    uint64_t at[2];
    struct simt_mem *m = simt_mem_new(NULL);
    struct arena a = {0};
    struct ptx_module *module;
    struct simt *s = simt_new();
    struct simt_launch l = {.grid = {(uint32_t)(bytes / 1024), 1, 1},
                            .block = {256, 1, 1},
                            .params = (const uint8_t *)at};
    struct simt_result r;
    if (ptx_parse(&module, &a, (struct text){"copy", text, sizeof text - 1}, NULL) != OK ||
        simt_mem_alloc(m, bytes, &at[0], NULL) != OK ||
        simt_mem_alloc(m, bytes, &at[1], NULL) != OK)
        return 1;
    memset(simt_mem_data(m), 1, bytes);
    l.kernel = ptx_kernel_at(module, 0);
    simt_run(s, m, &l, 0, simt_n_ctas(&l), NULL, &r);
    if (r.trap.kind != TRAP_NONE)
        return 1;
    const double size = (double)(2 * bytes >> 20);
    printf("peak memory: %.0f MiB for %.0f MiB of buffers (at most %.0f wanted)\n", most_memory(),
           size, 2 * size + 64);
    simt_free(s);
    simt_mem_free(m);
    arena_fini(&a);
    return 0;
}

static void bench_memory(char *const self)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", self, "--memory", (char *)NULL);
        _exit(1);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        exit(1);
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
            struct text t = {files[i].name, files[i].ptx,
                             (size_t)(files[i].ptx_end - files[i].ptx)};
            if (ptx_parse(&m, &a, t, &d) != OK)
                exit(1);
            bytes += t.len;
            arena_fini(&a);
        }
    double rate = 1e-6 * (double)bytes / (seconds() - start);
    printf("loading PTX: %.1f MB/s\n", rate);
}

static void bench_two_workers(struct bench *b)
{
    if (!b->data[0].in)
        conv_data_of(&b->data[0], shapes[0], 1);
    bench_workers(b, "implicit-gemm", "64x64x8");
    bench_workers(b, "implicit-gemm", "32x32x8");
    bench_workers(b, "direct", "");
}

int main(int argc, char **argv)
{
    struct bench b = {.turns = argc > 1 ? atoi(argv[1]) : 5};
    struct diag d = {0};
    cpu_set_t one, all;
    if (argc > 1 && strcmp(argv[1], "--memory") == 0)
        return copy_once();
    CPU_ZERO(&one);
    sched_getaffinity(0, sizeof all, &all);
    CPU_SET((size_t)sched_getcpu(), &one);
    sched_setaffinity(0, sizeof one, &one);
    setenv("POCL_MAX_PTHREAD_COUNT", "1", 1);
    setenv("POCL_CPU_MAX_CU_COUNT", "1", 1);
    if (b.turns < 1 || b.turns > MAX_TURNS)
        return 2;
    b.s = simt_new();
    b.avx2 =
        simt_new_for(simt_lanes_usable(&simt_lanes_avx2) ? &simt_lanes_avx2 : &simt_lanes_portable);
    if (argc == 3) {
        sched_setaffinity(0, sizeof all, &all);
        bench_two_workers(&b);
    } else if (argc > 3) {
        if (conv_find(&b.impl, argv[2], &d) != OK) {
            fprintf(stderr, "%s\n", d.msg);
            return 2;
        }
        while (b.shape < NHWC && !supports(b.impl, b.shape))
            b.shape++;
        print_head(&b);
        compare(argv[3], &b);
    } else {
        b.native = native_open();
        print_head(&b);
        bench_implementations(&b);
        bench_loading();
        bench_memory(argv[0]);
        sched_setaffinity(0, sizeof all, &all);
        bench_two_workers(&b);
    }
    for (int i = 0; i < N_SHAPES; i++)
        conv_data_fini(&b.data[i]);
    simt_free(b.s);
    simt_free(b.avx2);
    if (b.native)
        native_close(b.native);
}
