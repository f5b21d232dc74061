/* Divergence, barriers, traps: what a kernel does and where it stops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"

struct bench {
    struct arena a;
    struct simt *s;
    struct simt_mem *m;
    uint64_t out;
};

static int setup(void **state)
{
    static struct bench b;
    b = (struct bench){.s = simt_new(), .m = simt_mem_new(NULL)};
    b.out = rig_buffer(b.m, 4096 * 4);
    *state = &b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    simt_free(b->s);
    simt_mem_free(b->m);
    arena_fini(&b->a);
    return 0;
}

/* %r1 is the global thread number, %rd2 the address of its word, %r2 what is stored there. */
static const char *wrap(struct bench *b, const char *body)
{
    return arena_printf(&b->a,
                        "mov.u32 %%r1, %%ctaid.x; mov.u32 %%r3, %%ntid.x; mov.u32 %%r4, %%tid.x;\n"
                        "mad.lo.s32 %%r1, %%r1, %%r3, %%r4; mul.wide.u32 %%rd2, %%r1, 4;\n"
                        "add.s64 %%rd2, %%rd1, %%rd2;\n%s\nst.global.u32 [%%rd2], %%r2;",
                        body);
}

static struct simt_result run(struct bench *b, const char *body, uint32_t grid, uint32_t block)
{
    static const uint8_t zeros[4096 * 4];
    const struct ptx_kernel *k = rig_kernel(&b->a, 1, wrap(b, body));
    simt_mem_write(b->m, b->out, zeros, sizeof zeros);
    return rig_run(b->s, b->m, k, grid, block, &b->out, NULL);
}

static void expect(struct bench *b, uint32_t n, uint32_t (*value)(uint32_t i))
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t got;
        simt_mem_read(b->m, b->out + 4 * i, &got, 4);
        if (got != value(i))
            fail_msg("thread %u: %u, expected %u", i, got, value(i));
    }
}

static uint32_t collatz(uint32_t i)
{
    uint32_t steps = 0;
    for (uint32_t v = i + 1; v != 1; steps++)
        v = v & 1 ? 3 * v + 1 : v / 2;
    return steps;
}

static const char collatz_body[] = "add.s32 %r5, %r1, 1; mov.u32 %r2, 0;\n"
                                   "LOOP: setp.eq.s32 %p1, %r5, 1; @%p1 bra DONE;\n"
                                   "and.b32 %r6, %r5, 1; setp.eq.s32 %p2, %r6, 1; @%p2 bra ODD;\n"
                                   "shr.u32 %r5, %r5, 1; bra.uni NEXT;\n"
                                   "ODD: mad.lo.s32 %r5, %r5, 3, 1;\n"
                                   "NEXT: add.s32 %r2, %r2, 1; bra LOOP;\n"
                                   "DONE:";

static void test_divergence(void **state)
{
    struct bench *b = *state;
    struct simt_result r = run(b, collatz_body, 5, 100); /* the last warp of a CTA is partial */
    assert_int_equal(r.trap.kind, TRAP_NONE);
    expect(b, 500, collatz);
}

static uint32_t early(uint32_t i) { return i % 3 == 0 ? 0 : i % 3 == 1 ? 10 + i : 20 + i; }

static void test_exit_and_guards(void **state)
{
    struct bench *b = *state;
    struct simt_result r = run(b,
                               "rem.u32 %r5, %r1, 3; setp.eq.u32 %p1, %r5, 0; @%p1 exit;\n"
                               "setp.eq.u32 %p2, %r5, 1;\n"
                               "@%p2 add.u32 %r2, %r1, 10; @!%p2 add.u32 %r2, %r1, 20;",
                               3, 64);
    assert_int_equal(r.trap.kind, TRAP_NONE);
    expect(b, 192, early);
}

static uint32_t neighbour(uint32_t i) { return (i / 64) * 64 + (i + 1) % 64 + 5; }

static void test_shared_and_barrier(void **state)
{
    struct bench *b = *state;
    struct simt_result r =
        run(b,
            ".shared .align 4 .b8 box[256]; mov.u64 %rd5, box;\n"
            "mul.wide.u32 %rd6, %r4, 4; add.s64 %rd6, %rd5, %rd6;\n"
            "add.u32 %r7, %r1, 5; st.shared.u32 [%rd6], %r7; bar.sync 0;\n"
            "add.u32 %r8, %r4, 1; and.b32 %r8, %r8, 63; mul.wide.u32 %rd7, %r8, 4;\n"
            "add.s64 %rd7, %rd5, %rd7; ld.shared.u32 %r2, [%rd7];",
            2, 64);
    assert_int_equal(r.trap.kind, TRAP_NONE);
    expect(b, 128, neighbour);
}

static uint32_t both(uint32_t i) { return i % 32 < 16 ? 1000 + i : 2000 + i; }

/* Since Volta a barrier counts threads: the two sides of a branch may meet at different ones. */
static void test_barrier_in_both_sides(void **state)
{
    struct bench *b = *state;
    struct simt_result r = run(b,
                               "and.b32 %r5, %r1, 31; setp.lt.u32 %p1, %r5, 16; @%p1 bra LOW;\n"
                               "bar.sync 0; add.u32 %r2, %r1, 2000; bra.uni OUT;\n"
                               "LOW: bar.sync 0; add.u32 %r2, %r1, 1000;\nOUT:",
                               1, 64);
    assert_int_equal(r.trap.kind, TRAP_NONE);
    expect(b, 64, both);
}

static void test_barrier_after_exit(void **state)
{
    struct bench *b = *state;
    struct simt_result r =
        run(b, "setp.gt.u32 %p1, %r1, 40; @%p1 exit; bar.sync 0; mov.u32 %r2, 7;", 1, 96);
    assert_int_equal(r.trap.kind, TRAP_NONE);
    assert_true(r.counts.warp_insns > 0);
}

static void test_deadlock(void **state)
{
    struct bench *b = *state;
    struct simt_result r = run(b,
                               "and.b32 %r5, %r1, 31; setp.lt.u32 %p1, %r5, 16; @%p1 bra OUT;\n"
                               "bar.sync 0;\nOUT: mov.u32 %r2, 1;",
                               1, 64);
    assert_int_equal(r.trap.kind, TRAP_BARRIER_DEADLOCK);
    assert_int_equal(r.trap.warp, 0);
    assert_int_equal(r.trap.lane, 16);
    assert_string_equal(r.trap.at.file, "test.ptx");
}

static void test_hang(void **state)
{
    struct bench *b = *state;
    const struct ptx_kernel *k = rig_kernel(&b->a, 1, wrap(b, "L: add.u32 %r2, %r2, 1; bra L;"));
    struct simt_run_options o = {.limit = 1000};
    struct simt_result r = rig_run(b->s, b->m, k, 1, 32, &b->out, &o);
    assert_int_equal(r.trap.kind, TRAP_HANG);
    assert_true(r.counts.warp_insns > 1000 && r.counts.warp_insns < 1010);
}

/* Each trap with its lane, address and place. */
static void test_address_traps(void **state)
{
    static const struct {
        const char *body;
        enum trap_kind kind;
        uint32_t lane;
    } cases[] = {
        {"setp.eq.u32 %p1, %r1, 5; mov.u64 %rd5, %rd2; @%p1 mov.u64 %rd5, 8; ld.global.u32 %r2, "
         "[%rd5];",
         TRAP_ILLEGAL_ADDRESS, 5},
        {"setp.eq.u32 %p1, %r1, 6; @%p1 xor.b64 %rd2, %rd2, 2;", TRAP_MISALIGNED_ADDRESS, 6},
        {"setp.eq.u32 %p1, %r1, 7; @%p1 xor.b64 %rd2, %rd2, 0x8000000000000000;",
         TRAP_ILLEGAL_ADDRESS, 7},
        {"setp.eq.u32 %p1, %r1, 8; @%p1 xor.b64 %rd2, %rd2, 0x40000000000;", TRAP_ILLEGAL_ADDRESS,
         8},
        {"setp.ne.u32 %p1, %r1, 9; @%p1 bra OK; mov.u64 %rd5, 0x1fffffff0; ld.global.u64 %rd6, "
         "[%rd5];\n"
         "OK:",
         TRAP_ILLEGAL_ADDRESS, 9},
        {".shared .align 4 .b8 box[128]; mul.wide.u32 %rd5, %r1, 4; ld.shared.u32 %r2, [%rd5+4];",
         TRAP_SHARED_OUT_OF_RANGE, 31},
        {".shared .align 8 .b8 box[256]; mul.wide.u32 %rd5, %r1, 4; ld.shared.u64 %rd6, [%rd5];",
         TRAP_MISALIGNED_ADDRESS, 1},
        {".local .align 4 .b8 own[16]; mov.u64 %rd5, own; ld.local.u32 %r2, [%rd5+16];",
         TRAP_LOCAL_OUT_OF_RANGE, 0},
        {"setp.ne.u32 %p1, %r1, 3; @%p1 bra OK; trap;\nOK:", TRAP_INVALID_PC, 3},
    };
    struct bench *b = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct simt_result r = run(b, cases[i].body, 1, 32);
        if (r.trap.kind != cases[i].kind || r.trap.lane != cases[i].lane || r.trap.warp != 0 ||
            r.trap.at.line == 0)
            fail_msg("case %zu: %s at lane %u", i, vocab_word(&vocab_traps, (int)r.trap.kind),
                     r.trap.lane);
    }
}

static uint32_t through_local(uint32_t i) { return i * 3 + 1; }

static void test_local_and_generic(void **state)
{
    struct bench *b = *state;
    struct simt_result r =
        run(b,
            ".local .align 8 .b8 own[16]; mov.u64 %rd5, own; cvta.local.u64 %rd6, %rd5;\n"
            "mad.lo.u32 %r5, %r1, 3, 1; st.u32 [%rd6+4], %r5; ld.local.u32 %r6, [%rd5+4];\n"
            ".shared .align 8 .b8 box[512]; mov.u64 %rd7, box; cvta.shared.u64 %rd8, %rd7;\n"
            "mul.wide.u32 %rd9, %r4, 4; add.u64 %rd8, %rd8, %rd9; st.u32 [%rd8], %r6;\n"
            "cvta.to.shared.u64 %rd10, %rd8; ld.shared.u32 %r7, [%rd10]; st.u32 [%rd2], %r7;\n"
            "ld.u32 %r2, [%rd2];",
            2, 64);
    assert_int_equal(r.trap.kind, TRAP_NONE);
    expect(b, 128, through_local);
}

static uint32_t through_narrow(uint32_t i) { return 7 * (255 - i) + 4 + i % 2; }

/* An address in a 32-bit register wraps around with its offset, as compilers for newer GPUs expect. */
static void test_narrow_addresses(void **state)
{
    struct bench *b = *state;
    struct simt_result r = run(
        b,
        ".shared .align 16 .b8 box[4096];\n"
        "mov.u32 %r5, box; shl.b32 %r6, %r4, 4; sub.u32 %r7, %r5, %r6;\n" /* thread t's: 255 - t */
        "mul.lo.u32 %r8, %r4, 7; st.shared.u32 [%r7+4080], %r8;\n"
        "st.shared.v2.u32 [%r7+4088], {%r8, %r4};\n"
        "atom.shared.add.u32 %r9, [%r7+4080], 1; red.shared.add.u32 [%r7+4080], 3;\n"
        "cp.async.ca.shared.global [%r7+4084], [%rd2], 4;\n"
        "bar.sync 0; add.u32 %r6, %r5, %r6; add.u32 %r6, %r6, -0x70000000;\n"
        "ld.shared.u32 %r2, [%r6+0x70000000];\n"
        "ld.shared.v4.u32 {%r10, %r11, %r12, %r13}, [%r6+0x70000000];\n"
        "setp.ne.u32 %p1, %r10, %r2; @%p1 trap; setp.ne.u32 %p1, %r11, 0; @%p1 trap;\n"
        "and.b32 %r13, %r4, 1; add.u32 %r2, %r2, %r13;",
        1, 256);
    assert_int_equal(r.trap.kind, TRAP_NONE);
    expect(b, 256, through_narrow);
}

static void test_same_with_all_lanes(void **state)
{
    struct bench *b = *state;
    for (const struct lanes *const *l = rig_lanes; *l; l++) {
        if (!simt_lanes_usable(*l))
            continue;
        struct simt *own = simt_new_for(*l), *was = b->s;
        b->s = own;
        test_divergence(state);
        test_shared_and_barrier(state);
        test_local_and_generic(state);
        test_narrow_addresses(state);
        test_address_traps(state);
        b->s = was;
        simt_free(own);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_divergence),
        cmocka_unit_test(test_exit_and_guards),
        cmocka_unit_test(test_shared_and_barrier),
        cmocka_unit_test(test_barrier_in_both_sides),
        cmocka_unit_test(test_barrier_after_exit),
        cmocka_unit_test(test_deadlock),
        cmocka_unit_test(test_hang),
        cmocka_unit_test(test_address_traps),
        cmocka_unit_test(test_local_and_generic),
        cmocka_unit_test(test_narrow_addresses),
        cmocka_unit_test(test_same_with_all_lanes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
