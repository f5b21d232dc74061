/* What compilers make of cuda/threads.h, simulated, against the same source compiled for the host: calls,
 * recursion, function pointers, stacks, tables of branches, module-scope variables. Random bits, all
 * kinds of steps; the results must be the same bits, and hooks must not change them. */
#pragma GCC diagnostic ignored "-Wimplicit-fallthrough"
#pragma GCC diagnostic ignored "-Wfloat-equal"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"

#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/rng.h"
#include "cuda/threads.h"
#include "rig.h"

enum { THREADS = 70, BLOCK = 35, WORDS = 64, ROUNDS = 3 };

struct host_kernel {
    const char *name;
    void (*run)(int *out, const int *in, int t);
};
static const struct host_kernel host_kernels[] = {
#define X(name) {#name, name},
    EACH_KERNEL(X)
#undef X
};

static bool on_step(void *ctx, const struct simt_step *s)
{
    (void)s;
    ++*(uint64_t *)ctx;
    return true;
}

static void fill(int32_t *in, struct rng *r)
{
    for (int i = 0; i < THREADS * WORDS; i++)
        in[i] = (int32_t)(rng_below(r, 4) ? rng_u32(r) : rng_below(r, 64));
}

static void try_kernel(struct simt *s, const struct ptx_kernel *k, const struct host_kernel *host,
                       uint64_t seed, const char *file)
{
    static int32_t in[THREADS * WORDS], expected[THREADS * WORDS], out[THREADS * WORDS];
    struct rng r;
    uint64_t buffers[2], steps = 0;
    struct diag d = {0};
    struct simt_mem *m = simt_mem_new(NULL);
    rng_init(&r, seed, 0);
    fill(in, &r);
    memset(expected, 0, sizeof expected);
    for (int t = 0; t < THREADS; t++)
        host->run(expected + t * WORDS, in + t * WORDS, t);
    buffers[0] = rig_buffer(m, sizeof out);
    buffers[1] = rig_buffer(m, sizeof in);
    simt_mem_write(m, buffers[1], in, sizeof in);
    struct simt_launch l = {.kernel = k,
                            .grid = {THREADS / BLOCK, 1, 1},
                            .block = {BLOCK, 1, 1},
                            .params = (const uint8_t *)buffers};
    if (simt_load_globals(m, k, &l.globals, &d) != OK || simt_check_launch(&l, &d) != OK)
        fail_msg("%s %s: %s", file, host->name, d.msg);
    for (int hooked = 0; hooked < 2; hooked++) {
        struct simt_hook hook = {.ctx = &steps, .step = on_step};
        struct simt_run_options o = {.limit = 1 << 24, .hook = hooked ? &hook : NULL};
        struct simt_result result;
        memset(out, 0, sizeof out);
        simt_mem_write(m, buffers[0], out, sizeof out);
        simt_run(s, m, &l, 0, simt_n_ctas(&l), &o, &result);
        if (result.trap.kind != TRAP_NONE)
            fail_msg("%s %s: %s at line %d, lane %u", file, host->name,
                     vocab_word(&vocab_traps, (int)result.trap.kind), result.trap.at.line,
                     result.trap.lane);
        simt_mem_read(m, buffers[0], out, sizeof out);
        for (int i = 0; i < THREADS * WORDS; i++)
            if (out[i] != expected[i])
                fail_msg("%s %s, seed %llu: thread %d word %d is %d (%08x), expected %d (%08x)",
                         file, host->name, (unsigned long long)seed, i / WORDS, i % WORDS, out[i],
                         (unsigned)out[i], expected[i], (unsigned)expected[i]);
    }
    assert_true(steps > 0);
    simt_mem_free(m);
}

static void try_file(const char *path)
{
    struct arena a = {0};
    struct text text;
    struct ptx_module *m;
    struct diag d = {0};
    if (file_read(&text, &a, path, 1 << 24, &d) != OK || ptx_parse(&m, &a, text, &d) != OK)
        fail_msg("%s:%d:%d: %s", path, d.line, d.col, d.msg);
    for (const struct lanes *const *lanes = rig_lanes; *lanes; lanes++) {
        if (!simt_lanes_usable(*lanes))
            continue;
        struct simt *s = simt_new_for(*lanes);
        for (size_t i = 0; i < sizeof host_kernels / sizeof *host_kernels; i++) {
            const struct ptx_kernel *k;
            if (ptx_find_kernel(&k, m, host_kernels[i].name, &d) != OK)
                fail_msg("%s: %s", path, d.msg);
            for (uint64_t seed = 1; seed <= ROUNDS; seed++)
                try_kernel(s, k, &host_kernels[i], seed, path);
        }
        simt_free(s);
    }
    arena_fini(&a);
}

static void test_files(void **state)
{
    (void)state;
    char list[] = THREADS_PTX, *rest = list;
    int n = 0;
    for (char *path; (path = strsep(&rest, "|")); n++)
        try_file(path);
    print_message("%d files, %zu kernels each%s\n", n, sizeof host_kernels / sizeof *host_kernels,
                  strstr(THREADS_PTX, "nvcc") ? "" : "; no nvcc: SKIP its files");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
