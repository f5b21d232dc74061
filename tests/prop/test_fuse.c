/* Steps that stand for several (src/simt/fuse.c) against the same instructions one by one: a hook that
 * only looks makes them run unfused, and the reference interpreter knows nothing of them. Kernels of the
 * shapes that are fused, with random sizes, addresses, masks and values, NaN and traps among them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/rng.h"
#include "reference.h"
#include "rig.h"

enum { IN_WORDS = 1024, OUT_BYTES = 128 << 10, SHARED_BYTES = 8192, SIDE = 16 };

struct writer {
    struct rng *r;
    char *text;
    size_t len, room;
    int n_floats; /* registers %f used so far */
    int side;     /* of a stream: its n; else 0 */
    bool by_rows; /* n x 1 */
    bool single;  /* loads of single words */
};

static void put(struct writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct writer *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(w->text + w->len, w->room - w->len, format, args);
    va_end(args);
    assert_true(n >= 0 && (size_t)n < w->room - w->len);
    w->len += (size_t)n;
}

static int below(struct writer *w, int n) { return (int)rng_below(w->r, (uint64_t)n); }

/* %r2: an index; of all lanes equal, a row, another pattern, sometimes far out of the buffer. */
static void put_index(struct writer *w)
{
    switch (below(w, 8)) {
    case 0:
        put(w, "mov.u32 %%r2, %d;\n", below(w, 64));
        break;
    case 1:
        put(w, "mul.lo.u32 %%r2, %%r1, %d;\n", 1 + below(w, 4));
        break;
    case 2:
        put(w, "and.b32 %%r2, %%r1, %d;\n", below(w, 32));
        break;
    case 3:
        put(w, "sub.s32 %%r2, %%r1, %d;\n", below(w, 3));
        break;
    case 4: /* a row that wraps around, in 32 bits */
        put(w, "add.u32 %%r2, %%r1, %u;\n", (below(w, 2) ? 0x7fffffffu : 0xffffffffu) - 16);
        break;
    case 5: /* the last words of the mapped page, and perhaps the first beyond */
        put(w, "add.u32 %%r2, %%r1, %d;\n", (2 << 20) / 4 - 64 - below(w, 64) + below(w, 2) * 64);
        break;
    default:
        put(w, "add.u32 %%r2, %%r1, %d;\n", below(w, 100));
        break;
    }
}

static void put_indexed_load(struct writer *w, int n)
{
    const char *sign = below(w, 2) ? "s32" : "u32";
    bool masked = below(w, 2), uneven = !below(w, 6);
    put_index(w);
    if (masked)
        put(w, "and.b32 %%r3, %%r1, %d; setp.lt.u32 %%p1, %%r3, %d; @%%p1 bra SKIP%d;\n",
            below(w, 32), 1 + below(w, 30), n);
    if (uneven)
        put(w, "shl.b64 %%rd7, %%rd6, %d; add.s64 %%rd8, %%rd1, %%rd7;\n", below(w, 3));
    put(w, "mul.wide.%s %%rd2%d, %%r2, %d;\n", sign, n, below(w, 8) ? 4 : 8);
    if (below(w, 2))
        put(w, "add.s64 %%rd1%d, %s, %%rd2%d;\n", n, uneven ? "%rd8" : "%rd1", n);
    else
        put(w, "add.s64 %%rd1%d, %%rd2%d, %s;\n", n, n, uneven ? "%rd8" : "%rd1");
    put(w, "ld.global%s.%s %%r4, [%%rd1%d+%d];\n", below(w, 2) ? ".nc" : "",
        below(w, 2) ? "u32" : "b32", n, 4 * below(w, 3) + !below(w, 60));
    put(w, "add.u32 %%r5, %%r5, %%r4;\n");
    if (!below(w, 4))
        put(w, "cvt.u32.u64 %%r4, %%rd%d; xor.b32 %%r5, %%r5, %%r4;\n", 10 + n + 10 * below(w, 2));
    if (masked)
        put(w, "SKIP%d:\n", n);
}

/* n floats from shared memory at base + offset, with vectors where it can. Returns the first register. */
static int put_loads(struct writer *w, const char *base, int n, int offset)
{
    int first = w->n_floats;
    for (int k = 0, width; k < n; k += width) {
        width = n - k >= 4 && below(w, 4) ? 4 : n - k >= 2 && !w->side && below(w, 2) ? 2 : 1;
        if (w->single || (w->side && k % 4))
            width = 1;
        int at = (offset + 4 * k) / (4 * width) * 4 * width;
        if (width == 1)
            put(w, "ld.shared.f32 %%f%d", first + k);
        else
            put(w, "ld.shared.v%d.f32 {%%f%d", width, first + k);
        for (int i = 1; i < width; i++)
            put(w, ", %%f%d", first + k + i);
        put(w, "%s, [%s+%d];\n", width > 1 ? "}" : "", base, at);
    }
    w->n_floats += n;
    return first;
}

/* depth outer products of the same size, added to rows x cols accumulators, which end in the output. */
static void put_products(struct writer *w)
{
    static const int sizes[] = {1, 2, 3, 4, 5, 8, 16};
    int rows = sizes[below(w, 7)], cols = sizes[below(w, 7)], depth = 1 + below(w, 5);
    int sum[SIDE * SIDE], late = -1;
    bool in_place = !below(w, 3);
    if (w->side) {
        rows = w->by_rows ? w->side : 1, cols = w->by_rows ? 1 : w->side;
        depth = 2 + below(w, 12);
    }
    for (int k = 0; k < rows * cols; k++) {
        sum[k] = w->n_floats++;
        put(w, "ld.global.f32 %%f%d, [%%rd3+%d];\n", sum[k], 4 * below(w, 64));
    }
    w->single = w->side && below(w, 2);
    put_loads(w, "%rd4", 4, 0); /* so that addresses are prepared before */
    put_loads(w, "%rd5", 4, 0);
    for (int s = 0; s < depth; s++) {
        int a = put_loads(w, "%rd4", rows, below(w, 200) ? 64 * s : SHARED_BYTES - 32);
        int b = put_loads(w, "%rd5", cols, below(w, 200) ? 64 * s + 4096 : SHARED_BYTES - 64);
        w->single = false;
        if (!below(w, 20)) /* of use later, too */
            late = below(w, 3) ? below(w, 2) ? a : b : sum[0];
        if (!below(w, w->side ? 60 : 8))
            put(w, "add.f32 %%f%d, %%f%d, %%f%d;\n", b, b, a);
        for (int k = 0; k < rows * cols; k++) {
            int d = in_place ? sum[k] : w->n_floats++;
            put(w, "fma.rn.f32 %%f%d, %%f%d, %%f%d, %%f%d;\n", d, a + k / cols, b + k % cols,
                sum[k]);
            if (!below(w, 400)) /* of use elsewhere, too */
                put(w, "st.global.f32 [%%rd2+%d], %%f%d;\n", 1024 + 4 * below(w, 16), sum[k]);
            sum[k] = d;
        }
    }
    for (int k = 0; k < rows * cols; k++)
        put(w, "st.global.f32 [%%rd2+%d], %%f%d;\n", 4 * k, sum[k]);
    if (late >= 0)
        put(w, "st.global.f32 [%%rd2+1100], %%f%d;\n", late);
}

/* Two bases in shared memory: tiles of threads; or one of all lanes and one of a row, for streams. */
static void put_bases(struct writer *w)
{
    w->side = below(w, 3) ? 0 : 4 * (1 + below(w, 4));
    w->by_rows = below(w, 2);
    if (w->side) {
        put(w, "mov.u64 %%rd8, sh;\nand.b32 %%r7, %%r1, %d; mul.wide.u32 %%rd9, %%r7, 4;\n",
            below(w, 20) ? 31 : 63);
        put(w, "add.s64 %%rd%d, %%rd8, %%rd9; add.s64 %%rd%d, %%rd8, %d;\n", w->by_rows ? 5 : 4,
            w->by_rows ? 4 : 5, below(w, 6) ? 16 * below(w, 9) : 4);
        return;
    }
    put(w,
        "mov.u64 %%rd8, sh;\nshr.u32 %%r7, %%r1, %d; mul.wide.u32 %%rd9, %%r7, "
        "%d; add.s64 %%rd4, %%rd8, %%rd9;\n",
        below(w, 5), 16 * below(w, 3));
    put(w, "and.b32 %%r7, %%r1, %d; mul.wide.u32 %%rd9, %%r7, %d; add.s64 %%rd5, %%rd8, %%rd9;\n",
        (1 << below(w, 5)) - 1, 16 * (1 + below(w, 2)) / (below(w, 30) ? 1 : 8));
}

static void put_kernel(struct writer *w)
{
    put(w, ".version 7.0\n.target sm_80\n.address_size 64\n"
           ".visible .entry k(.param .u64 p0, .param .u64 p1)\n{\n.reg .pred %%p<4>;\n"
           ".reg .b32 %%r<16>;\n.reg .b64 %%rd<32>;\n.reg .f32 %%f<4000>;\n"
           ".shared .align 16 .b8 sh[8192];\n"
           "ld.param.u64 %%rd1, [p0]; ld.param.u64 %%rd2, [p1];\n"
           "mov.u32 %%r1, %%tid.x; cvt.u64.u32 %%rd6, %%r1;\nmov.u32 %%r5, 0;\n");
    for (int n = 0; n < 3; n++)
        put_indexed_load(w, n);
    /* each thread's own part of the output; shared memory from the input; two bases in it */
    put(w,
        "mul.wide.u32 %%rd7, %%r1, 2048; add.s64 %%rd2, %%rd2, %%rd7; st.global.u32 [%%rd2+2044], "
        "%%r5;\nmul.wide.u32 %%rd7, %%r1, 4; add.s64 %%rd3, %%rd1, %%rd7; mov.u64 %%rd8, sh; "
        "add.s64 %%rd8, %%rd8, %%rd7;\n");
    for (int k = 0; k < SHARED_BYTES / 256; k++)
        put(w, "ld.global.u32 %%r6, [%%rd3+%d]; st.shared.u32 [%%rd8+%d], %%r6;\n", 64 * (k % 8),
            256 * k);
    put(w, "bar.sync 0;\n");
    put_bases(w);
    if (!below(w, 4))
        put(w, "setp.lt.u32 %%p2, %%r1, %d; @%%p2 bra END;\n", below(w, 70));
    put_products(w);
    put(w, "END: ret;\n}\n");
}

static bool only_looks(void *ctx, const struct simt_step *s)
{
    (void)ctx, (void)s;
    return true;
}

struct trial {
    uint64_t seed, blocks, deep_blocks, streams, indexed;
};

static struct simt_mem *new_memory(struct writer *w, uint64_t buffers[2])
{
    static const uint32_t odd[] = {0x7fc00001, 0xff800000, 0x00000001, 0x80000000, 0x7f7fffff};
    struct simt_mem *m = simt_mem_new(NULL);
    buffers[0] = rig_buffer(m, IN_WORDS * 4);
    buffers[1] = rig_buffer(m, OUT_BYTES);
    for (int k = 0; k < IN_WORDS; k++) {
        float f = (float)rng_unit(w->r) - 0.5f;
        uint32_t v = odd[below(w, 5)];
        if (below(w, 40))
            memcpy(&v, &f, 4);
        simt_mem_write(m, buffers[0] + 4 * (uint64_t)k, &v, 4);
    }
    return m;
}

static void count_fused(struct trial *t, const struct ptx_kernel *k, const struct lanes *lanes)
{
    struct program *p = simt_lower(k, lanes);
    for (size_t i = 0; i < k->n_insns; i++) {
        const struct code *c = p->entry[CODE_PLAIN][i];
        if (lanes->fma_block && c->fn == lanes->fma_block) {
            t->blocks++;
            t->deep_blocks += p->fma_blocks[c->y << 8 | c->x].depth > 1;
            t->streams += p->fma_blocks[c->y << 8 | c->x].stream != NULL;
        }
        t->indexed += c->fn == lanes->load_indexed;
    }
    simt_program_free(p);
}

static void compare(const struct trial *t, const char *what, const char *text,
                    struct simt_mem *expected, struct simt_mem *got)
{
    struct simt_mem_view e = simt_mem_view(expected), g = simt_mem_view(got);
    if (memcmp(e.data, g.data, e.size) != 0) {
        fprintf(stderr, "%s", text);
        fail_msg("seed %llu: %s gives other bytes", (unsigned long long)t->seed, what);
    }
}

static void try_one(struct trial *t)
{
    struct rng r;
    rng_init(&r, t->seed, 0);
    struct writer w = {.r = &r, .room = 1 << 20, .text = malloc(1 << 20)};
    assert_non_null(w.text);
    put_kernel(&w);
    struct arena a = {0};
    const struct ptx_kernel *k = rig_module(&a, w.text);
    uint64_t buffers[2];
    struct simt_mem *fresh = new_memory(&w, buffers), *expected = simt_mem_clone(fresh);
    uint32_t block = below(&w, 3) ? 64 : 33 + (uint32_t)below(&w, 31);
    struct simt_launch l = {
        .kernel = k, .grid = {1, 1, 1}, .block = {block, 1, 1}, .params = (const uint8_t *)buffers};
    struct simt_trap trap = reference_run(expected, &l, 100000, NULL);
    for (const struct lanes *const *lanes = rig_lanes; *lanes && simt_lanes_usable(*lanes);
         lanes++) {
        struct simt_hook hook = {.step = only_looks};
        struct simt_run_options o = {.hook = &hook};
        struct simt *s = simt_new_for(*lanes);
        struct simt_mem *fused = simt_mem_clone(fresh), *single = simt_mem_clone(fresh);
        struct simt_result f = rig_run(s, fused, k, 1, block, buffers, NULL);
        struct simt_result h = rig_run(s, single, k, 1, block, buffers, &o);
        count_fused(t, k, *lanes);
        compare(t, (*lanes)->name, w.text, single, fused);
        if (memcmp(&f.trap, &h.trap, sizeof f.trap) != 0 ||
            memcmp(&f.counts, &h.counts, sizeof f.counts) != 0 ||
            (f.trap.kind == TRAP_NONE) != (trap.kind == TRAP_NONE))
            fail_msg("seed %llu: %s: trap %d at %u (%llu), unfused %d at %u (%llu), expected %d",
                     (unsigned long long)t->seed, (*lanes)->name, f.trap.kind, f.trap.insn,
                     (unsigned long long)f.counts.thread_insns, h.trap.kind, h.trap.insn,
                     (unsigned long long)h.counts.thread_insns, trap.kind);
        if (trap.kind == TRAP_NONE)
            compare(t, "the reference", w.text, expected, fused);
        simt_mem_free(fused);
        simt_mem_free(single);
        simt_free(s);
    }
    simt_mem_free(expected);
    simt_mem_free(fresh);
    arena_fini(&a);
    free(w.text);
}

static void test_random(void **state)
{
    struct trial *t = *state;
    uint64_t base = (uint64_t)time(NULL) * 100000;
    print_message("seeds from %llu\n", (unsigned long long)base);
    for (int n = 0; n < 400; n++) {
        t->seed = base + (uint64_t)n;
        try_one(t);
    }
    print_message("%llu blocks, %llu of them deep, %llu streams, %llu indexed loads\n",
                  (unsigned long long)t->blocks, (unsigned long long)t->deep_blocks,
                  (unsigned long long)t->streams, (unsigned long long)t->indexed);
    assert_true(t->indexed > 100);
    assert_true(!simt_lanes_usable(&simt_lanes_avx2) || t->deep_blocks > 50);
    assert_true(!simt_lanes_usable(&simt_lanes_avx2) || t->streams > 50);
}

/* ---- Division by the same number in all lanes ------------------------------------------------------- */
enum { DIVISORS = 4000 };

static uint32_t some_word(struct writer *w)
{
    static const uint32_t edges[] = {0, 1, 2, 3, 0x7ffffffe, 0x7fffffff, 0x80000000, 0x80000001};
    uint32_t v = below(w, 4) ? (uint32_t)rng_u64(w->r) >> below(w, 32) : edges[below(w, 8)];
    return below(w, 2) ? v : 0u - v;
}

static void expect_divisions(uint32_t a, uint32_t b, uint32_t out[4])
{
    int64_t sa = (int32_t)a, sb = (int32_t)b;
    out[0] = b ? a / b : ~0u;
    out[1] = b ? a % b : a;
    out[2] = sb ? (uint32_t)(sa / sb) : ~0u;
    out[3] = sb ? (uint32_t)(sa % sb) : a;
}

static void check_divisions(const struct trial *t, const struct lanes *lanes, struct simt_mem *m,
                            const struct ptx_kernel *k, const uint32_t *words,
                            const uint64_t buffers[2])
{
    struct simt *s = simt_new_for(lanes);
    struct simt_result r = rig_run(s, m, k, DIVISORS, 32, buffers, NULL);
    assert_int_equal(r.trap.kind, TRAP_NONE);
    for (uint32_t n = 0; n < DIVISORS * 32; n++) {
        uint32_t got[4], expected[4], b = words[DIVISORS * 32 + n / 32];
        simt_mem_read(m, buffers[1] + 16 * (uint64_t)n, got, sizeof got);
        expect_divisions(words[n], b, expected);
        if (memcmp(got, expected, sizeof got) != 0)
            fail_msg("seed %llu: %s: %x by %x: %x %x %x %x", (unsigned long long)t->seed,
                     lanes->name, words[n], b, got[0], got[1], got[2], got[3]);
    }
    simt_free(s);
}

static void test_division(void **state)
{
    struct trial *t = *state;
    struct rng r;
    struct arena a = {0};
    static uint32_t words[DIVISORS * 33];
    t->seed = (uint64_t)time(NULL);
    rng_init(&r, t->seed, 1);
    struct writer w = {.r = &r};
    for (int n = 0; n < DIVISORS; n++) {
        uint32_t b = words[DIVISORS * 32 + n] = some_word(&w);
        for (int l = 0; l < 32; l++) /* near multiples of it, too */
            words[32 * n + l] = below(&w, 2)
                                    ? some_word(&w)
                                    : b * (some_word(&w) / (b | 1)) + (uint32_t)below(&w, 3) - 1;
    }
    const struct ptx_kernel *k = rig_kernel(
        &a, 2,
        "mov.u32 %r1, %ctaid.x; mov.u32 %r2, %tid.x; mad.lo.u32 %r3, %r1, 32, %r2;\n"
        "mul.wide.u32 %rd3, %r3, 4; add.s64 %rd3, %rd1, %rd3; ld.global.u32 %r4, [%rd3];\n"
        "mul.wide.u32 %rd4, %r1, 4; add.s64 %rd4, %rd1, %rd4; ld.global.u32 %r5, [%rd4+512000];\n"
        "div.u32 %r6, %r4, %r5; rem.u32 %r7, %r4, %r5; div.s32 %r8, %r4, %r5; rem.s32 %r9, %r4, "
        "%r5;\n"
        "mul.wide.u32 %rd5, %r3, 16; add.s64 %rd5, %rd2, %rd5;\n"
        "st.global.v4.u32 [%rd5], {%r6, %r7, %r8, %r9};");
    struct simt_mem *m = simt_mem_new(NULL);
    uint64_t buffers[2] = {rig_buffer(m, sizeof words), rig_buffer(m, 16 * 32 * DIVISORS)};
    simt_mem_write(m, buffers[0], words, sizeof words);
    for (const struct lanes *const *lanes = rig_lanes; *lanes && simt_lanes_usable(*lanes); lanes++)
        check_divisions(t, *lanes, m, k, words, buffers);
    simt_mem_free(m);
    arena_fini(&a);
}

static void test_again(void **state) { try_one(*state); }

/* test_fuse [SEED] */
int main(int argc, char **argv)
{
    static struct trial t;
    const struct CMUnitTest random[] = {cmocka_unit_test_prestate(test_random, &t),
                                        cmocka_unit_test_prestate(test_division, &t)};
    const struct CMUnitTest again[] = {cmocka_unit_test_prestate(test_again, &t)};
    if (argc > 1) {
        t.seed = strtoull(argv[1], NULL, 0);
        return cmocka_run_group_tests(again, NULL, NULL);
    }
    return cmocka_run_group_tests(random, NULL, NULL);
}
