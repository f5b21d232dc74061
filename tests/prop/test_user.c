/* A user's kernel with all that ours lack: several outputs, guarded instructions, atomics, local memory, narrow
 * accesses, divergence, ended threads. Engines agree for every kind of fault; a store makes it again. */
#include <setjmp.h>
#include <stdarg.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "prop/compare.h"
#include "user/user.h"

static const char ptx[] =
    ".version 6.3\n.target sm_70\n.address_size 64\n"
    ".visible .entry mixed(.param .u64 in, .param .u64 out, .param .u64 sums, .param .u32 n)\n{\n"
    " .reg .pred %p<5>; .reg .b16 %h<4>; .reg .b32 %r<20>; .reg .b64 %rd<16>; .reg .f32 %f<8>;\n"
    " .shared .align 4 .b8 tile[256]; .local .align 4 .b8 frame[16];\n"
    " .loc 1 1 0\n"
    " ld.param.u64 %rd1, [in]; ld.param.u64 %rd2, [out]; ld.param.u64 %rd3, [sums]; ld.param.u32 "
    "%r1, [n];\n"
    " mov.u32 %r2, %tid.x; mov.u32 %r3, %ctaid.x; mov.u32 %r4, %ntid.x; mad.lo.s32 %r5, %r3, %r4, "
    "%r2;\n"
    " .loc 1 2 0\n"
    " setp.lt.s32 %p1, %r5, %r1; mul.wide.s32 %rd4, %r5, 4; add.s64 %rd5, %rd1, %rd4;\n"
    " mov.f32 %f1, 0f00000000; @%p1 ld.global.f32 %f1, [%rd5];\n"
    " shl.b32 %r6, %r2, 2; mov.u32 %r7, tile; add.s32 %r8, %r7, %r6; st.shared.f32 [%r8], %f1;\n"
    " bar.sync 0;\n"
    " .loc 1 3 0\n"
    " xor.b32 %r9, %r6, 4; add.s32 %r10, %r7, %r9; ld.shared.f32 %f2, [%r10]; ld.shared.f32 %f3, "
    "[tile];\n"
    " fma.rn.f32 %f4, %f2, %f3, %f1; st.local.f32 [frame+4], %f4;\n"
    " @!%p1 bra DONE;\n"
    " .loc 1 4 0\n"
    " and.b32 %r11, %r2, 3; setp.eq.s32 %p2, %r11, 0; @%p2 bra SKIP;\n"
    " mov.u32 %r12, 0;\n"
    "LOOP: mul.f32 %f4, %f4, 0f3F000000; add.s32 %r12, %r12, 1; setp.lt.s32 %p3, %r12, %r11; @%p3 "
    "bra LOOP;\n"
    "SKIP: ld.local.f32 %f5, [frame+4]; add.f32 %f6, %f4, %f5;\n"
    " .loc 1 5 0\n"
    " add.s64 %rd6, %rd2, %rd4; st.global.f32 [%rd6], %f6;\n"
    " cvt.u16.u32 %h1, %r11; st.global.u8 [%rd3+8], %h1; and.b32 %r13, %r2, 1; mul.wide.u32 %rd7, "
    "%r13, 4;\n"
    " add.s64 %rd8, %rd3, %rd7; red.global.add.f32 [%rd8], %f6;\n"
    "DONE: ret;\n}\n";

static struct user_program program(struct arena *a)
{
    static const char *const args[] = {"fill:75:1.25", "zeros:80=out.npy", "zeros:3=sums.npy",
                                       "i32:75"};
    struct user_args u = {.grid = {2, 1, 1}, .block = {40, 1, 1}, .n = 4, .arg = args};
    struct user_program p;
    struct diag d = {0};
    if (user_prepare(&p, a, (struct text){"mixed.ptx", ptx, sizeof ptx - 1}, &u, &d) != OK)
        fail_msg("%s:%d: %s", d.file, d.line, d.msg);
    float *in = arena_array(a, 75, sizeof *in);
    for (int i = 0; i < 75; i++)
        in[i] = (float)(i % 7) - 2.5f;
    simt_mem_write(p.sim.mem, p.buffers[0].address, in, 75 * sizeof *in);
    return p;
}

static void engines_agree(void **state)
{
    (void)state;
    struct arena a = {0};
    struct user_program p = program(&a);
    struct tally t = {0};
    print_message("SIEVERT_SEED=%llu\n", (unsigned long long)seed);
    for (int i = 0; i < 20; i++)
        compare_every_kind(&p.sim, "mixed", "", &t);
    print_message("%llu faults: masked %llu, SDC %llu, DUE %llu\n", (unsigned long long)t.n,
                  (unsigned long long)t.outcomes[OUTCOME_MASKED],
                  (unsigned long long)t.outcomes[OUTCOME_SDC],
                  (unsigned long long)t.outcomes[OUTCOME_DUE]);
    print_fates(&t);
    assert_true(t.outcomes[OUTCOME_MASKED] && t.outcomes[OUTCOME_SDC] && t.outcomes[OUTCOME_DUE]);
    user_program_fini(&p);
    arena_fini(&a);
}

static bool accept_all(void *ctx, const float *output, size_t n)
{
    (void)output;
    __atomic_add_fetch((uint64_t *)ctx, n == 83, __ATOMIC_RELAXED);
    return true;
}

/* A campaign, replayed from its store alone; and one whose judge takes everything. */
static void stores_make_it_again(void **state)
{
    (void)state;
    char dir[] = "/tmp/sievert-user-XXXXXX", path[64];
    struct arena a = {0};
    struct diag d = {0};
    struct store *s;
    uint64_t asked = 0;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/a.db", dir);
    for (int judged = 0; judged < 2; judged++) {
        struct user_program p = program(&a);
        struct campaign_subject subject = campaign_of_user(&a, &p);
        struct campaign_options o = {
            .seed = 9, .n = 200, .jobs = 2, .kind = {.where = WHERE_GROUP_GP}};
        struct store_injection row;
        uint64_t sdc = 0, accepted = 0;
        subject.sim = &p.sim;
        if (judged) {
            o.accept = accept_all;
            o.accept_ctx = &asked;
        }
        if (campaign_run_subject(path, &subject, &o, &d) != OK ||
            store_open(&s, path, false, &d) != OK)
            fail_msg("%s", d.msg);
        for (uint64_t i = 0; i < 200; i++) {
            assert_int_equal(store_get(s, i, &row, &a, &d), OK);
            sdc += row.outcome == OUTCOME_SDC;
            accepted += row.fate == FATE_ACCEPTED;
            assert_true(row.reg_name && row.reg_name[0] == '%' && row.source_line >= 1 &&
                        row.mnemonic[0]);
        }
        assert_true(judged ? sdc == 0 && accepted > 20 && accepted == asked
                           : sdc > 20 && accepted == 0);
        store_close(s, &d);
        unlink(path);
        user_program_fini(&p);
    }
    rmdir(dir);
    arena_fini(&a);
}

int main(void)
{
    const char *given = getenv("SIEVERT_SEED"), *each = getenv("SIEVERT_FAULTS");
    seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    thorough = each != NULL;
    faults_each = each ? (unsigned)atoi(each) : faults_each;
    const struct CMUnitTest tests[] = {cmocka_unit_test(engines_agree),
                                       cmocka_unit_test(stores_make_it_again)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
