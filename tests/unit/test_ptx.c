/* What is refused, where and why; reconvergence points and register needs of known shapes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ptx/liveness.h"

#define HEAD ".version 7.0\n.target sm_80\n.address_size 64\n"
#define BODY(text)                                                                                 \
    HEAD ".entry k(.param .u64 p) {\n.reg .pred %p<4>; .reg .b32 %r<9>; .reg .b64 %rd<4>;\n" text  \
         "\nret; }\n"

static int parse(struct ptx_module **m, struct arena *a, const char *text, struct diag *d)
{
    return ptx_parse(m, a, (struct text){"t.ptx", text, strlen(text)}, d);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
        int line, col;
    } cases[] = {
        {BODY("addd.s32 %r1, %r2, %r3;"), "addd.s32", 6, 1},
        {BODY("  add.ftz.s32 %r1, %r2, %r3;"), "add.ftz.s32", 6, 3},
        {BODY("tex.2d.v4.f32.s32 %r1, %r2;"), "tex.2d.v4.f32.s32", 6, 1},
        {BODY("add.s32 %r1, %r2, %rd3;"), "64 bits", 6, 19},
        {BODY("add.s32 %r1, %r2, %r9;"), "%r9", 6, 19},
        {BODY("add.s32 %r1, %r2;"), "','", 6, 17},
        {BODY("bra NOWHERE;"), "NOWHERE", 6, 5},
        {BODY("L: L: ret;"), "twice", 6, 4},
        {BODY("@%r1 ret;"), "not a predicate", 6, 2},
        {BODY("ld.param.u64 %rd1, [p+4];"), "not within 'p'", 6, 1},
        {BODY("ld.global.v2.u32 %r1, [%rd1];"), "braces", 6, 18},
        {BODY("{ { ret;"), "never closed", 8, 1},
        {HEAD ".entry k() { .reg .b32 %r<99999999>; ret; }", "up to", 4, 27},
        {HEAD ".extern .global .u32 x;", "'x' is defined in another file", 4, 22},
        {HEAD ".global .texref x;", ".texref", 4, 9},
        {HEAD ".global .u32 x[2] = {1, 2, 3};", "more values than 'x'", 4, 28},
        {HEAD ".global .u32 x = y;", "'y' is not declared", 4, 18},
        {BODY("call nobody;"), "neither a function", 6, 6},
        {HEAD ".extern .func far;\n.entry k() { call far; ret; }",
         "'k' calls 'far', which this file does not define", 5, 14},
        {HEAD ".entry a() { ret; }\n.entry k() { call a; ret; }", "a kernel cannot be called", 5,
         19},
        {HEAD ".func f(.param .b32 x) { ret; }\n.entry k() { call f; ret; }",
         "'f' does not take what is passed", 5, 14},
        {BODY("brx.idx %r1, T;"), "no table of targets 'T'", 6, 14},
        {BODY("wmma.load.a.sync.aligned.row.m16n16k16.f16 %r1, [%rd1];"), "wmma.load", 6, 1},
        {HEAD "nonsense", "directive", 4, 1},
        {"", "no PTX", 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena a = {0};
        struct diag d = {0};
        struct ptx_module *m;
        assert_true(parse(&m, &a, cases[i].text, &d) != OK);
        assert_string_equal(d.file, "t.ptx");
        if (!strstr(d.msg, cases[i].says) || d.line != cases[i].line || d.col != cases[i].col)
            fail_msg("case %zu: %d:%d: %s", i, d.line, d.col, d.msg);
        arena_fini(&a);
    }
}

/* Every text that ends early is refused or parsed, never read beyond. */
static void test_truncated(void **state)
{
    (void)state;
    static const char text[] =
        BODY("L: setp.lt.s32 %p1, %r1, 0x10; @%p1 bra L; ld.global.u32 %r1, [%rd1+-4];");
    for (size_t n = 0; n < sizeof text; n++) {
        struct arena a = {0};
        struct diag d = {0};
        struct ptx_module *m;
        char *copy = arena_strndup(&a, text, n);
        ptx_parse(&m, &a, (struct text){"t.ptx", copy, n}, &d);
        arena_fini(&a);
    }
}

static void test_reconvergence(void **state)
{
    (void)state;
    struct arena a = {0};
    struct diag d = {0};
    struct ptx_module *m;
    const struct ptx_kernel *k;
    assert_int_equal(parse(&m, &a,
                           BODY("@%p1 bra A; mov.u32 %r1, 1; bra B;\n" /* 0 1 2 */
                                "A: mov.u32 %r1, 2;\n"                 /* 3 */
                                "B: @%p2 bra B;\n"                     /* 4: a loop, left at 5 */
                                "@%p3 bra C; exit; C:"), /* 5 6 7: sides never meet again */
                           &d),
                     OK);
    assert_int_equal(ptx_find_kernel(&k, m, "k", &d), OK);
    assert_int_equal(k->insns[0].reconverge, 4);
    assert_int_equal(k->insns[4].reconverge, 5);
    assert_int_equal(k->insns[5].reconverge, PTX_NOWHERE);
    assert_int_equal(ptx_find_kernel(&k, m, "other", &d), ERR_INPUT);
    assert_non_null(strstr(d.msg, "there are: k"));
    arena_fini(&a);
}

static void test_liveness(void **state)
{
    (void)state;
    struct arena a = {0};
    struct diag d = {0};
    struct ptx_module *m;
    const struct ptx_kernel *k;
    struct ptx_liveness live;
    assert_int_equal(
        parse(&m, &a,
              BODY("mov.u32 %r1, 1; mov.u32 %r2, 2;\n"
                   "@%p1 mov.u32 %r4, 9; add.s32 %r3, %r1, %r2; add.s32 %r3, %r3, %r4;\n"
                   "ld.param.u64 %rd1, [p]; st.global.u32 [%rd1], %r3;"),
              &d),
        OK);
    assert_int_equal(ptx_find_kernel(&k, m, "k", &d), OK);
    ptx_find_liveness(&live, &a, k);
    assert_int_equal(live.max_words, 3);
    /* %r4 is written under a guard only, so what it was before can be read; %p1 is never written. */
    const struct ptx_insn *guarded = &k->insns[2];
    assert_true(live.range[guarded->dst[0]].at_entry);
    assert_true(live.range[guarded->guard].at_entry);
    assert_false(live.range[k->insns[0].dst[0]].at_entry);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_reconvergence),
        cmocka_unit_test(test_liveness),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
