/* Printing and parsing again changes no decoded instruction: on every kernel that the build embeds, on every
 * PTX file of the tree, those compiled for tests included, and on text with what those do not have. All
 * kernels that tests write themselves go through the same check in simt/rig.c. */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/file.h"
#include "conv/kernels.h"
#include "round_trip.h"

static void test_embedded(void **state)
{
    (void)state;
    size_t n;
    const struct kernel_file *files = kernel_files(&n);
    assert_true(n > 0);
    for (size_t i = 0; i < n; i++)
        assert_true(
            round_trip(files[i].name, files[i].ptx, (size_t)(files[i].ptx_end - files[i].ptx)));
}

/* ---- Files --------------------------------------------------------------------------------------------- */
static int checked, refused; /* nftw has no context */

static int check_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)at;
    size_t n = strlen(path);
    bool corpus = strstr(path, "/tests/fuzz/ptx/");
    if (type != FTW_F || (!corpus && (n < 4 || strcmp(path + n - 4, ".ptx") != 0)))
        return 0;
    struct arena a = {0};
    struct text text;
    struct diag d = {0};
    assert_int_equal(file_read(&text, &a, path, 64u << 20, &d), OK);
    if (round_trip(path, text.ptr, text.len))
        checked++;
    else
        refused++;
    arena_fini(&a);
    return 0;
}

static void test_files(void **state)
{
    (void)state;
    static const char *const folders[] = {TEST_SOURCE_DIR "/tests", TEST_SOURCE_DIR "/examples",
                                          TEST_BINARY_DIR "/kernels", TEST_BINARY_DIR "/tests"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        assert_int_equal(nftw(folders[i], check_file, 16, FTW_PHYS), 0);
    print_message("%d files, %d more do not parse\n", checked, refused);
    assert_true(checked >= 100);
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
        "alloca.u64 %rd4, %rd3, 16; stacksave.u64 %rd2; stackrestore.u64 %rd2; ldu.global.u32 %r1, "
        "[%rd1]; mov.u32 %r1, %gridid; mov.pred %p1, %is_explicit_cluster;\n"
        "L: selp.b32 %r1, 1, %r2, %p1; @%p2 bra L; { .reg .b32 %t; mov.u32 %t, %r1; bra.uni M; }\n"
        "M: membar.gl; cvt.rn.f16.f32 %h1, %f1; ret; }\n"
        ".entry b() { ret; }\n";
    assert_true(round_trip("rest", text, strlen(text)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embedded),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
