/* Instructions that are no OP row, each against values worked out by hand or by a plain loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"

/* Runs body with %r1 the thread's number and %rd2 the address of its 8-byte word; the words to out. */
static void run_on(const struct lanes *lanes, const char *body, uint64_t out[32])
{
    struct arena a = {0};
    struct simt *s = simt_new_for(lanes);
    struct simt_mem *m = simt_mem_new(NULL);
    uint64_t buffer = rig_buffer(m, 4096);
    const struct ptx_kernel *k = rig_kernel(
        &a, 1,
        arena_printf(&a, "mov.u32 %%r1, %%tid.x; mad.wide.u32 %%rd2, %%r1, 8, %%rd1;\n%s", body));
    struct simt_result r = rig_run(s, m, k, 1, 32, &buffer, NULL);
    assert_int_equal(r.trap.kind, TRAP_NONE);
    simt_mem_read(m, buffer, out, 32 * 8);
    simt_mem_free(m);
    simt_free(s);
    arena_fini(&a);
}

static void check(const char *body, uint64_t (*expected)(uint32_t lane))
{
    for (const struct lanes *const *lanes = rig_lanes; *lanes; lanes++) {
        uint64_t out[32];
        if (!simt_lanes_usable(*lanes))
            continue;
        run_on(*lanes, body, out);
        for (uint32_t l = 0; l < 32; l++)
            if (out[l] != expected(l))
                fail_msg("lane %u: %llx, expected %llx\n%s", l, (unsigned long long)out[l],
                         (unsigned long long)expected(l), body);
    }
}

static uint64_t carried(uint32_t l)
{
    unsigned __int128 a = (unsigned __int128)0xfffffffffffffff0u + l, b = a * 3 + l;
    return (uint64_t)(b >> 32);
}

/* 96-bit arithmetic from 32-bit pieces: a = 0xfffffffffffffff0 + l; 3 a + l, its middle and high words. */
static void test_carry(void **state)
{
    (void)state;
    check("mov.u32 %r2, 0xfffffff0; mov.u32 %r3, 0xffffffff; mov.u32 %r4, 0;\n"
          "add.cc.u32 %r2, %r2, %r1; addc.cc.u32 %r3, %r3, 0; addc.u32 %r4, %r4, 0;\n"
          "mov.u32 %r5, %r1; mad.lo.cc.u32 %r10, %r2, 3, %r5; madc.hi.cc.u32 %r11, %r2, 3, 0;\n"
          "madc.hi.u32 %r12, %r3, 3, 0; mad.lo.cc.u32 %r11, %r3, 3, %r11; addc.u32 %r12, %r12, 0;\n"
          "mad.lo.u32 %r12, %r4, 3, %r12; mov.b64 %rd3, {%r11, %r12}; st.global.u64 [%rd2], %rd3;",
          carried);
}

static uint64_t borrowed(uint32_t l) { return (5ull << 32) + l - 0x300000010ull; }

static void test_borrow(void **state)
{
    (void)state;
    check("mov.u32 %r2, 5; sub.cc.u32 %r3, %r1, 0x10; subc.u32 %r4, %r2, 3;\n"
          "mov.b64 %rd3, {%r3, %r4}; st.global.u64 [%rd2], %rd3;",
          borrowed);
}

static uint64_t rotated(uint32_t l) { return (l + 5) % 32 * 100 + (l < 27); }

static void test_shfl_down(void **state)
{
    (void)state;
    check("mul.lo.u32 %r2, %r1, 100; add.u32 %r7, %r1, 5; and.b32 %r7, %r7, 31;\n"
          "shfl.sync.idx.b32 %r3, %r2, %r7, 31, -1; shfl.sync.down.b32 %r4|%p1, %r2, 5, 31, -1;\n"
          "selp.u32 %r5, 1, 0, %p1; add.u32 %r3, %r3, %r5; cvt.u64.u32 %rd3, %r3;\n"
          "st.global.u64 [%rd2], %rd3;",
          rotated);
}

static uint64_t butterfly(uint32_t l) { return (uint64_t)(l ^ 3) << 32 | (l % 8 >= 2 ? l - 2 : l); }

static void test_shfl_segments(void **state)
{
    (void)state;
    check("shfl.sync.bfly.b32 %r3, %r1, 3, 31, -1; shfl.sync.up.b32 %r4, %r1, 2, 0x1800, -1;\n"
          "mov.b64 %rd3, {%r4, %r3}; st.global.u64 [%rd2], %rd3;",
          butterfly);
}

static uint64_t votes(uint32_t l)
{
    (void)l;
    return 0xf0000000u + 0x100000000ull * (0 + 2 * 1 + 4 * 0);
}

static void test_vote(void **state)
{
    (void)state;
    check("setp.gt.u32 %p1, %r1, 27; vote.sync.ballot.b32 %r2, %p1, -1; vote.sync.all.pred %p2, "
          "%p1, -1;\n"
          "vote.sync.any.pred %p3, %p1, -1; vote.sync.uni.pred %p4, %p1, -1; selp.u32 %r3, 1, 0, "
          "%p2;\n"
          "selp.u32 %r4, 2, 0, %p3; selp.u32 %r5, 4, 0, %p4; add.u32 %r3, %r3, %r4;\n"
          "add.u32 %r3, %r3, %r5; mov.b64 %rd3, {%r2, %r3}; st.global.u64 [%rd2], %rd3;",
          votes);
}

static uint64_t active(uint32_t l) { return l < 8 ? 0xff : 0xffffff00; }

static void test_activemask(void **state)
{
    (void)state;
    check("setp.lt.u32 %p1, %r1, 8; @%p1 bra LOW; activemask.b32 %r2; bra.uni OUT;\n"
          "LOW: activemask.b32 %r2;\nOUT: cvt.u64.u32 %rd3, %r2; st.global.u64 [%rd2], %rd3;",
          active);
}

static uint64_t fields(uint32_t l)
{
    uint64_t pos = l, field = pos >= 32 ? 0 : (0xffull << pos) & 0xffffffffu;
    return (0x12345678u & ~field) | (0xabcdefull << pos & field);
}

static void test_bfi(void **state)
{
    (void)state;
    check("mov.u32 %r2, 0xabcdef; bfi.b32 %r3, %r2, 0x12345678, %r1, 8; cvt.u64.u32 %rd3, %r3;\n"
          "st.global.u64 [%rd2], %rd3;",
          fields);
}

static uint64_t majority(uint32_t l)
{
    uint32_t a = l * 0x01010101u, b = 0x0f0f0f0fu, c = ~a + 7;
    return (a & b) | (b & c) | (a & c);
}

static void test_lop3(void **state)
{
    (void)state;
    check("mul.lo.u32 %r2, %r1, 0x01010101; mov.u32 %r3, 0x0f0f0f0f; not.b32 %r4, %r2;\n"
          "add.u32 %r4, %r4, 7; lop3.b32 %r5, %r2, %r3, %r4, 0xe8; cvt.u64.u32 %rd3, %r5;\n"
          "st.global.u64 [%rd2], %rd3;",
          majority);
}

static uint64_t ranks(uint32_t l) { return (uint64_t)l * (l - 1) / 2; }

/* Lanes in order: each gets the sum of those before it. */
static void test_atom_add(void **state)
{
    (void)state;
    check("add.u64 %rd4, %rd1, 2048; atom.global.add.u32 %r2, [%rd4], %r1; cvt.u64.u32 %rd3, %r2;\n"
          "st.global.u64 [%rd2], %rd3;",
          ranks);
}

static uint64_t kinds(uint32_t l)
{
    (void)l;
    return 31 + 0 + 7 + 496;
}

static void test_atom_kinds(void **state)
{
    (void)state;
    check(
        ".shared .align 8 .b8 box[64]; setp.ne.u32 %p1, %r1, 0; @%p1 bra GO;\n"
        "mov.u32 %r2, 7; st.shared.u32 [box+4], %r2; st.shared.u32 [box+8], %r2; GO: bar.sync 0;\n"
        "red.shared.max.u32 [box], %r1; red.shared.min.s32 [box+4], %r1;\n"
        "atom.shared.cas.b32 %r3, [box+8], 1000, %r1; cvt.rn.f32.u32 %f1, %r1;\n"
        "red.shared.add.f32 [box+12], %f1; bar.sync 0; ld.shared.u32 %r4, [box];\n"
        "ld.shared.u32 %r5, [box+4]; ld.shared.u32 %r6, [box+8]; ld.shared.f32 %f2, [box+12];\n"
        "cvt.rzi.u32.f32 %r7, %f2; add.u32 %r4, %r4, %r5; add.u32 %r4, %r4, %r6;\n"
        "add.u32 %r4, %r4, %r7; cvt.u64.u32 %rd3, %r4; st.global.u64 [%rd2], %rd3;",
        kinds);
}

static uint64_t narrow(uint32_t l)
{
    uint32_t v = 0xf0u + l;
    int8_t s = (int8_t)v;
    return (uint64_t)(uint32_t)s << 32 | (v & 255) << 8 | (uint16_t)(v & 255);
}

static void test_narrow_memory(void **state)
{
    (void)state;
    check("add.u32 %r2, %r1, 0xf0; add.u64 %rd4, %rd2, 1024; st.global.u8 [%rd4], %r2;\n"
          "ld.global.s8 %r3, [%rd4]; ld.global.u8 %h1, [%rd4]; cvt.u32.u16 %r4, %h1; shl.b32 %r5, "
          "%r4, 8;\n"
          "or.b32 %r5, %r5, %r4; mov.b64 %rd3, {%r5, %r3}; st.global.u64 [%rd2], %rd3;",
          narrow);
}

static void test_constants(void **state)
{
    (void)state;
    struct arena a = {0};
    struct simt *s = simt_new();
    struct simt_mem *m = simt_mem_new(NULL);
    uint64_t buffer = rig_buffer(m, 4096);
    const struct ptx_kernel *k = rig_module(
        &a,
        ".version 7.0\n.target sm_80\n.address_size 64\n"
        ".const .align 4 .b8 bytes[4] = {1, 2, 3, 4};\n"
        ".const .align 4 .f32 table[3] = {0f3F800000, 0f40000000, 0f40400000};\n"
        ".visible .entry k(.param .u64 p0)\n{ .reg .b64 %rd<9>; .reg .f32 %f<4>; .reg .b32 %r<9>;\n"
        "ld.param.u64 %rd1, [p0]; mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, 4;\n"
        "mov.u64 %rd3, table; add.s64 %rd3, %rd3, %rd2; ld.const.f32 %f1, [%rd3];\n"
        "ld.const.u32 %r2, [bytes]; add.s64 %rd4, %rd1, %rd2; st.global.f32 [%rd4], %f1;\n"
        "st.global.u32 [%rd4+64], %r2; ret; }\n");
    assert_int_equal(rig_run(s, m, k, 1, 3, &buffer, NULL).trap.kind, TRAP_NONE);
    float got[3];
    uint32_t word;
    simt_mem_read(m, buffer, got, sizeof got);
    simt_mem_read(m, buffer + 64, &word, 4);
    for (int i = 0; i < 3; i++)
        assert_true(got[i] == (float)(i + 1));
    assert_int_equal(word, 0x04030201);
    simt_mem_free(m);
    simt_free(s);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_carry),         cmocka_unit_test(test_borrow),
        cmocka_unit_test(test_shfl_down),     cmocka_unit_test(test_shfl_segments),
        cmocka_unit_test(test_vote),          cmocka_unit_test(test_activemask),
        cmocka_unit_test(test_bfi),           cmocka_unit_test(test_lop3),
        cmocka_unit_test(test_atom_add),      cmocka_unit_test(test_atom_kinds),
        cmocka_unit_test(test_narrow_memory), cmocka_unit_test(test_constants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
