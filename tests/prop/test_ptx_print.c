/* Printing and parsing again changes no decoded instruction: on every kernel that the build embeds, and
 * on text with what those do not have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "conv/kernels.h"
#include "ptx/insn.h"

static struct ptx_module *parse(struct arena *a, const char *name, const char *text, size_t len)
{
    struct diag d = {0};
    struct ptx_module *m;
    if (ptx_parse(&m, a, (struct text){name, text, len}, &d) != OK)
        fail_msg("%s:%d:%d: %s", d.file, d.line, d.col, d.msg);
    return m;
}

static void same_operand(const struct ptx_operand *a, const struct ptx_operand *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->negated, b->negated);
    assert_int_equal(a->value, b->value);
    if (a->kind != PTX_SYMBOL)
        assert_int_equal(a->index, b->index);
}

static void same_insn(const struct ptx_insn *a, const struct ptx_insn *b)
{
    assert_string_equal(a->mnemonic, b->mnemonic);
    assert_int_equal(a->op, b->op);
    assert_int_equal(a->mods, b->mods);
    assert_int_equal(a->space, b->space);
    assert_int_equal(a->mem_bits, b->mem_bits);
    assert_int_equal(a->mem_signed, b->mem_signed);
    assert_int_equal(a->bool_op, b->bool_op);
    assert_int_equal(a->what, b->what);
    assert_int_equal(a->guard, b->guard);
    assert_int_equal(a->guard_negated, b->guard_negated);
    assert_int_equal(a->n_dst, b->n_dst);
    assert_int_equal(a->n_src, b->n_src);
    assert_memory_equal(a->dst, b->dst, sizeof a->dst);
    for (int n = 0; n < a->n_src; n++)
        same_operand(&a->src[n], &b->src[n]);
    same_operand(&a->base, &b->base);
    assert_int_equal(a->offset, b->offset);
    assert_int_equal(a->target, b->target);
    assert_int_equal(a->reconverge, b->reconverge);
    assert_int_equal(a->source_line, b->source_line);
}

static void check(const char *name, const char *text, size_t len)
{
    struct arena a = {0};
    const struct ptx_module *m = parse(&a, name, text, len);
    char *printed = ptx_print(&a, m);
    const struct ptx_module *again = parse(&a, "printed", printed, strlen(printed));
    assert_int_equal(m->n_kernels, again->n_kernels);
    for (size_t i = 0; i < m->n_kernels; i++) {
        const struct ptx_kernel *k = &m->kernels[i], *q = &again->kernels[i];
        assert_string_equal(k->name, q->name);
        assert_int_equal(k->n_insns, q->n_insns);
        assert_int_equal(k->n_regs, q->n_regs);
        assert_int_equal(k->params_bytes, q->params_bytes);
        assert_int_equal(k->shared_bytes, q->shared_bytes);
        assert_int_equal(k->local_bytes, q->local_bytes);
        assert_int_equal(k->max_threads, q->max_threads);
        for (size_t n = 0; n < k->n_insns; n++)
            same_insn(&k->insns[n], &q->insns[n]);
    }
    assert_string_equal(printed, ptx_print(&a, again));
    arena_fini(&a);
}

static void test_embedded(void **state)
{
    (void)state;
    size_t n;
    const struct kernel_file *files = kernel_files(&n);
    assert_true(n > 0);
    for (size_t i = 0; i < n; i++)
        check(files[i].name, files[i].ptx, (size_t)(files[i].ptx_end - files[i].ptx));
}

static void test_the_rest(void **state)
{
    (void)state;
    static const char text[] =
        ".version 7.0\n.target sm_80\n.address_size 64\n.const .align 4 .b8 c[8] = {1, 2, 255};\n"
        ".extern .shared .align 16 .b8 dynamic[];\n"
        ".entry a(.param .u64 x, .param .f32 y) .maxntid 128, 1, 1 { .reg .pred %p<9>; .reg .b16 "
        "%h<9>;\n"
        ".reg .b32 %r<9>; .reg .b64 %rd<9>; .reg .f32 %f<9>; .reg .f64 %d<9>;\n"
        ".shared .align 8 .b8 box[64]; .local .align 16 .b8 depot[32]; .loc 1 7 3\n"
        "ld.param.u64 %rd1, [x]; ld.param.f32 %f1, [y]; mov.u32 %r1, %tid.x; mov.u64 %rd2, box+8;\n"
        "mov.f32 %f2, 0f3F800000; add.ftz.f32 %f3, %f1, 0f40000000; fma.rz.f64 %d1, %d2, "
        "0d4000000000000000,"
        " %d3; @!%p1 add.s32 %r2, %r1, -5; setp.lt.and.s32 %p1|%p2, %r1, 3, !%p3;\n"
        "mov.b64 {%r3, %r4}, %rd2; mov.b64 %rd3, {%r4, %r5}; ld.global.v4.u32 {%r1, %r2, _, %r3}, "
        "[%rd1+-16];\n"
        "st.shared.v2.f32 [box+8], {%f1, 0f00000000}; atom.global.add.f32 %f4, [%rd1], "
        "0f3F800000;\n"
        "red.shared.max.s32 [%rd2], %r1; shfl.sync.up.b32 %r5|%p4, %r1, 1, 0, -1;\n"
        "vote.sync.ballot.b32 %r6, !%p1, -1; lop3.b32 %r7, %r1, %r2, %r3, 0x96; bfi.b32 %r8, %r1, "
        "%r2, 3, 4;\n"
        "add.cc.u32 %r1, %r2, 1; addc.u32 %r1, %r1, 0; bar.sync 1, 64; cvta.to.global.u64 %rd4, "
        "%rd1;\n"
        "L: selp.b32 %r1, 1, %r2, %p1; @%p2 bra L; { .reg .b32 %t; mov.u32 %t, %r1; bra.uni M; }\n"
        "M: membar.gl; cvt.rn.f16.f32 %h1, %f1; ret; }\n"
        ".entry b() { ret; }\n";
    check("rest", text, strlen(text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embedded),
        cmocka_unit_test(test_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
