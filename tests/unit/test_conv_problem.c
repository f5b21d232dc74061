/* The notation of problems, what it refuses and with which words, and the registry's look-up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "conv/priv.h"

static struct conv_problem parse(const char *text)
{
    struct conv_problem p;
    struct diag d = {0};
    if (conv_parse_shape(&p, text, &d) != OK)
        fail_msg("%s: %s", text, d.msg);
    return p;
}

static void test_parse(void **state)
{
    (void)state;
    struct conv_problem p = parse("2x4x8x9:6x3x5:p1,2:s2,3:d1,2:g2");
    const struct conv_problem expected = {.n = 2,
                                          .c = 4,
                                          .h = 8,
                                          .w = 9,
                                          .k = 6,
                                          .r = 3,
                                          .s = 5,
                                          .pad_top = 1,
                                          .pad_bottom = 1,
                                          .pad_left = 2,
                                          .pad_right = 2,
                                          .stride_h = 2,
                                          .stride_w = 3,
                                          .dilation_h = 1,
                                          .dilation_w = 2,
                                          .groups = 2};
    assert_memory_equal(&p, &expected, sizeof p);
    p = parse("1x1x5x5:1x3x3:p1,2,3,4");
    assert_int_equal(p.pad_top, 1);
    assert_int_equal(p.pad_bottom, 2);
    assert_int_equal(p.pad_left, 3);
    assert_int_equal(p.pad_right, 4);
    assert_int_equal(p.stride_h, 1);
    assert_int_equal(p.groups, 1);
    assert_int_equal(conv_out_h(&p), 5 + 3 - 2);
    assert_int_equal(conv_out_w(&p), 5 + 7 - 2);
    assert_int_equal(p.layout, LAYOUT_NCHW);
    p = parse("1x1x5x5:1x3x3:nhwc:p1");
    assert_int_equal(p.layout, LAYOUT_NHWC);
    assert_int_equal(p.pad_right, 1);
    p = parse("1x1x5x5:1x3x3:nchw");
    assert_int_equal(p.layout, LAYOUT_NCHW);
}

static void test_canonical(void **state)
{
    (void)state;
    static const char *const shapes[] = {
        "1x16x32x32:32x3x3:p1",  "1x1x28x28:6x5x5:p2", "1x4x9x9:4x3x3:p1,2,3,4:s2,1:d1,2:g2",
        "3x2x5x5:1x1x1",         "1x4x8x8:4x3x3:s2",   "1x4x9x9:4x3x3:p0,2:d2:g4",
        "2x4x9x9:4x3x3:p1:nhwc",
    };
    struct arena a = {0};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const struct conv_problem p = parse(shapes[i]);
        assert_string_equal(conv_shape(&a, &p), shapes[i]);
    }
    arena_fini(&a);
}

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"", "character 1: expected a number"},
        {"1x2x3", "character 6: expected 'x'"},
        {"1x2x3x4", "expected ':' and the filter"},
        {"1x2x3x4:5x6", "expected 'x'"},
        {"1x1x8x8:1x3x3p1", "character 14: expected ':' or the end"},
        {"1x1x8x8:1x3x3:", "expected p, s, d, g or a layout"},
        {"1x1x8x8:1x3x3:q1", "expected p, s, d, g or a layout"},
        {"1x1x8x8:1x3x3:nhc", "character 15: expected nchw or nhwc"},
        {"1x1x8x8:1x3x3:nhwcp1", "character 15: expected nchw or nhwc"},
        {"1x1x8x8:1x3x3:nhwc:nchw", "only once"},
        {"1x1x8x8:1x3x3:p", "expected a number"},
        {"1x1x8x8:1x3x3:p1,2,3", "one, two or four"},
        {"1x1x8x8:1x3x3:p1,2,3,4,5", "expected ':' or the end"},
        {"1x1x8x8:1x3x3:s1,2,3", "expected ':' or the end"},
        {"1x1x8x8:1x3x3:p1:p1", "only once"},
        {"1x1x8x8:1x3x3:s0", "s must be at least 1"},
        {"1x1x8x8:1x3x3:d1,0", "d must be at least 1"},
        {"1x1x8x8:1x3x3:g0", "g must be at least 1"},
        {"1x-1x8x8:1x3x3", "expected a number"},
        {"1x99999999999999999999x8x8:1x3x3", "character 3: expected a number up to"},
        {"0x1x8x8:1x3x3", "the batch size N is 0"},
        {"1x1x8x8:0x3x3", "the number of filters K is 0"},
        {"1x1x2x2:1x3x3", "the output is empty"},
        {"1x1x8x8:1x3x3:d4", "the output is empty"},
        {"1x3x8x8:4x3x3:g2", "2 groups"},
        {"1x4x8x8:3x3x3:g2", "2 groups"},
        {"1048576x1048576x1x1:1x1x1", "the input of"},
        {"1x65536x1x1:65536x1x1", "the filter of"},
        {"4096x1x1024x1:1024x1x1:p0,1", "the output of"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct conv_problem p;
        struct diag d = {0};
        assert_int_equal(conv_parse_shape(&p, bad[i].text, &d), ERR_INPUT);
        if (!strstr(d.msg, bad[i].says))
            fail_msg("'%s': '%s' is not in: %s", bad[i].text, bad[i].says, d.msg);
    }
}

/* Whatever the bytes: an answer, not a crash; and what is accepted survives a round trip. */
static void test_noise(void **state)
{
    (void)state;
    static const char letters[] = "0123456789xxx:::,,psdg-. \xff";
    struct arena a = {0};
    struct rng r;
    rng_init(&r, 7, 0);
    for (int i = 0; i < 20000; i++) {
        char text[48] = "1x2x9x9:4x3x3:p1:s2";
        for (uint64_t n = rng_below(&r, 4); n > 0; n--)
            text[rng_below(&r, 20)] = letters[rng_below(&r, sizeof letters)];
        struct conv_problem p, again;
        if (conv_parse_shape(&p, text, NULL) != OK)
            continue;
        assert_int_equal(conv_parse_shape(&again, conv_shape(&a, &p), NULL), OK);
        assert_memory_equal(&p, &again, sizeof p);
    }
    arena_fini(&a);
}

static void test_find(void **state)
{
    (void)state;
    size_t n;
    const struct conv_impl *impls = conv_impls(&n), *found;
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(conv_find(&found, impls[i].name, NULL), OK);
        assert_ptr_equal(found, &impls[i]);
    }
    struct diag d = {0};
    assert_int_equal(conv_find(&found, "implicit-gem", &d), ERR_INPUT);
    assert_non_null(strstr(d.msg, "did you mean 'implicit-gemm'?"));
    d = (struct diag){0};
    assert_int_equal(conv_find(&found, "", &d), ERR_INPUT);
    for (size_t i = 0; i < n; i++)
        assert_non_null(strstr(d.msg, impls[i].name));
}

/* However many there are, all that would do are named, and no others. */
static void test_alternatives(void **state)
{
    (void)state;
    const struct conv_problem p = parse("1x4x9x9:4x3x3:p1");
    const struct conv_impl *impl;
    struct conv_plan plan;
    struct arena a = {0};
    struct diag d = {0};
    size_t n;
    assert_int_equal(conv_find(&impl, "implicit-gemm-v4r1", NULL), OK);
    assert_int_equal(conv_make_plan(&plan, &a, &p, impl, "", &d), ERR_UNSUPPORTED);
    const char *at = strstr(d.msg, "for this shape: ");
    assert_non_null(at);
    at += strlen("for this shape: ");
    impl = conv_impls(&n);
    for (size_t i = 0; i < n; i++)
        if (conv_supports(&impl[i], &p, NULL) == OK) {
            assert_memory_equal(at, impl[i].name, strlen(impl[i].name));
            at += strlen(impl[i].name);
            at += strncmp(at, ", ", 2) == 0 ? 2 : 0;
        }
    assert_string_equal(at, "");
    arena_fini(&a);
}

static void test_unsupported(void **state)
{
    (void)state;
    const struct conv_impl *impl;
    struct conv_plan plan;
    struct arena a = {0};
    struct diag d = {0};
    const struct conv_problem p = parse("1x1x9x9:1x3x3:s2");
    assert_int_equal(conv_find(&impl, "winograd-2x2-nonfused", NULL), OK);
    assert_int_equal(conv_make_plan(&plan, &a, &p, impl, "", &d), ERR_UNSUPPORTED);
    assert_non_null(strstr(d.msg, "winograd-2x2-nonfused: needs stride 1, not 2"));
    assert_non_null(strstr(d.msg, "implementations for this shape: direct, "));
    assert_null(strstr(d.msg, ", winograd-2x2-nonfused"));
    d = (struct diag){0};
    assert_int_equal(conv_find(&impl, "implicit-gemm", NULL), OK);
    assert_int_equal(conv_make_plan(&plan, &a, &p, impl, "7x7x7", &d), ERR_INPUT);
    assert_non_null(strstr(d.msg, "no tile '7x7x7'"));
    d = (struct diag){0};
    assert_int_equal(conv_find(&impl, "direct", NULL), OK);
    assert_int_equal(conv_make_plan(&plan, &a, &p, impl, "32x32x8", &d), ERR_INPUT);
    assert_non_null(strstr(d.msg, "no tiles"));
    arena_fini(&a);
}

/* Each limit refuses what is just beyond it, with its reason, and nothing else. */
static void test_limits(void **state)
{
    (void)state;
    static const struct {
        const char *impl, *shape, *reason; /* NULL: none */
    } c[] = {
        {"direct", "2x6x9x9:8x3x5:p0,1,2,1:s2,1:d1,2:g2:nhwc", NULL},
        {"direct-tiled", "1x3x9x9:5x11x11:p2:s2", NULL},
        {"direct-tiled", "1x3x9x9:5x3x5", "needs 3x3, 5x5, 7x7, 9x9 or 11x11 filters, not 3x5"},
        {"direct-tiled", "1x3x9x9:5x3x3:s2,1", "needs equal strides up to 2, not 2,1"},
        {"direct-tiled", "1x3x9x9:5x3x3:s3", "needs equal strides up to 2, not 3"},
        {"direct-tiled", "1x3x9x9:5x3x3:d2,1", "needs dilation 1, not 2,1"},
        {"direct-1x1", "1x3x9x9:5x1x1:s3,2", NULL},
        {"direct-1x1", "1x3x9x9:5x1x1:p0,0,0,1", "needs no padding, not 0,0,0,1"},
        {"direct-depthwise", "1x8x9x9:16x3x3:g8", NULL},
        {"direct-depthwise", "1x8x9x9:16x3x3:g4", "needs one input channel per group, not 2"},
        {"gemm", "32769x1x1x1:1x1x1",
         "32769 images would be more than 32768 launches, one or two each"},
        {"implicit-gemm-v4r1", "16x8x9x9:16x3x3:s2:g2", NULL},
        {"implicit-gemm-v4r1", "12x8x9x9:16x3x3", "needs batches of multiples of 8, not 12"},
        {"implicit-gemm-split-k", "3x4x9x9:6x3x5:p0,1,2,1:s2,1:d1,2:g2:nhwc", NULL},
        {"gemm-1x1", "3x6x9x9:8x1x1:s3,2:g2", NULL},
        {"gemm-1x1", "3x6x9x9:8x3x3", "needs 1x1 filters, not 3x3"},
        {"gemm-1x1", "3x6x9x9:8x1x1:nhwc", "needs layout nchw, not nhwc"},
        {"implicit-precomp-gemm", "1x1x1x32769:1x1x2:d1,32767", NULL},
        {"implicit-precomp-gemm", "1x1x1x32769:1x1x2:d1,32768",
         "needs dilated filters up to 32768x32768, not 1x32769"},
        {"implicit-gemm", "1x8x9x9:16x3x3:nhwc", NULL},
        {"winograd-2x2-nonfused", "1x3x9x9:5x5x5", NULL},
        {"winograd-4x4-nonfused", "1x3x9x9:5x5x5", "needs 3x3 filters, not 5x5"},
        {"winograd-2x2-fused", "1x3x9x9:5x3x3:nhwc", "needs layout nchw, not nhwc"},
        {"winograd-6x6-multipass", "1x3x9x9:5x3x3:g1", NULL},
        {"winograd-6x6-multipass", "1x3x9x9:5x5x5", "needs 3x3 filters, not 5x5"},
        {"winograd-rxs-f2x3", "2x4x12x9:6x11x2:s2:g2", NULL},
        {"winograd-rxs-f3x2", "1x3x9x9:5x3x3:s3", "needs equal strides up to 2, not 3"},
        {"winograd-rxs-f3x2", "1x3x9x9:5x3x3:d2", "needs dilation 1, not 2"},
        {"fft-transposed", "1x3x28x28:5x5x5:p2", NULL},
        {"fft-transposed", "1x3x29x28:5x5x5:p2", "needs padded maps up to 32x32, not 33x32"},
        {"fft", "1x1x254x256:1x3x3:p1,0", NULL},
        {"fft", "1x1x256x200:1x3x3:p1,0", "needs padded maps up to 256x256, not 258x200"},
        {"fft-tiling", "1x1x40x40:1x32x32", NULL},
        {"fft-tiling", "1x1x40x40:1x33x1", "needs filters up to 32x32, not 33x1"},
        {"direct-1x1", "65536x1x1x1:1x1x1",
         "direct-1x1 would need a grid of 1 x 1 x 65536, beyond 2147483647 x 65535 x 65535"},
    };
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        const struct conv_problem p = parse(c[i].shape);
        const struct conv_impl *impl;
        struct diag d = {0};
        assert_int_equal(conv_find(&impl, c[i].impl, NULL), OK);
        const int status = conv_supports(impl, &p, &d);
        assert_int_equal(status, c[i].reason ? ERR_UNSUPPORTED : OK);
        if (c[i].reason)
            assert_string_equal(d.msg, c[i].reason);
    }
}

/* Large tiles where there is enough to do for all processors, small ones where there is not. */
static void test_planner(void **state)
{
    (void)state;
    static const struct {
        const char *impl, *shape, *asked, *tile;
    } c[] = {
        {"implicit-gemm", "32x256x56x56:256x3x3:p1", "", "128x128x8"},
        {"implicit-gemm", "32x256x56x56:256x3x3:p1:nhwc", "", "128x128x8"},
        {"implicit-gemm", "8x64x56x56:64x3x3:p1", "", "64x64x8"},
        {"implicit-gemm", "1x6x14x14:16x5x5", "", "32x32x8"},
        {"implicit-gemm", "32x3x112x112:8x3x3:p1", "", "16x64x4"},
        {"implicit-gemm", "32x3x112x112:8x3x3:p1:nhwc", "", "64x16x4"},
        {"implicit-gemm", "1x6x14x14:16x5x5", "128x128x8-16x1", "128x128x8-16x1"},
        {"implicit-gemm-v4r1", "32x256x56x56:256x3x3:p1", "", "128x128x8-wide"},
        {"implicit-gemm-v4r1", "8x6x14x14:16x5x5", "", "64x64x8-wide"},
        {"fft", "32x256x14x14:512x3x3:p1", "", "64x32x8"},
        {"fft", "1x6x14x14:16x5x5", "", "16x16x8"},
        {"implicit-gemm-split-k", "1x512x7x7:512x3x3:p1", "", "128x64x8"},
        {"gemm-1x1", "32x256x56x56:256x1x1", "", "128x128x8"},
        {"direct-tiled", "1x6x14x14:16x5x5", "", "16x16"},
        {"direct-1x1", "1x6x14x14:64x1x1", "", "32x2"},
    };
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        const struct conv_problem p = parse(c[i].shape);
        const struct conv_impl *impl;
        struct conv_plan plan;
        struct arena a = {0};
        assert_int_equal(conv_find(&impl, c[i].impl, NULL), OK);
        assert_int_equal(conv_make_plan(&plan, &a, &p, impl, c[i].asked, NULL), OK);
        if (strcmp(plan.tile, c[i].tile) != 0)
            fail_msg("%s %s: tile %s, not %s", c[i].impl, c[i].shape, plan.tile, c[i].tile);
        arena_fini(&a);
    }
}

/* Slices that keep all processors busy; persistent grids of no more than these. */
static void test_grids(void **state)
{
    (void)state;
    static const struct {
        const char *impl, *shape;
        int launches;
        uint64_t x, z; /* of the first launch's grid */
    } c[] = {
        {"implicit-gemm-split-k", "1x512x7x7:512x3x3:p1", 2, 1, 16},
        {"implicit-gemm-split-k", "1x4x9x9:4x3x3", 2, 2, 2},
        {"implicit-gemm-split-k", "1x1x9x9:4x2x2", 2, 2, 1}, /* one step: nothing to split */
        {"winograd-rxs-f2x3", "1x64x56x56:64x3x3:p1", 1, 50, 1},
        {"winograd-rxs-f2x3", "1x64x56x56:256x3x3:p1", 1, 108, 1},
        {"winograd-2x2-multipass", "1x3x9x9:4x3x3", 4, 1, 1},
        {"winograd-2x2-multipass", "1x256x9x9:512x3x3", 4, 108, 1},
        {"gemm-1x1", "3x4x8x8:4x1x1", 1, 2, 3}, /* a batch of images */
        {"gemm-1x1", "3x4x8x8:4x1x1:g2", 3, 1, 3},
        {"gemm-1x1", "1x4x8x8:4x1x1:g2", 1, 2, 2},
        {"fft-transposed", "1x3x7x7:5x5x5:p2", 5, 1, 1},
        {"fft-transposed", "1x9x14x14:5x5x5:p2", 7, 3, 1},
    };
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        const struct conv_problem p = parse(c[i].shape);
        const struct conv_impl *impl;
        struct conv_plan plan;
        struct arena a = {0};
        assert_int_equal(conv_find(&impl, c[i].impl, NULL), OK);
        assert_int_equal(conv_make_plan(&plan, &a, &p, impl, "", NULL), OK);
        const uint64_t *grid = plan.launch[0].grid;
        if (plan.n_launches != c[i].launches || grid[0] != c[i].x || grid[2] != c[i].z)
            fail_msg("%s %s %s: %d launches, grid %llu x %llu x %llu", c[i].impl, c[i].shape,
                     plan.tile, plan.n_launches, (unsigned long long)grid[0],
                     (unsigned long long)grid[1], (unsigned long long)grid[2]);
        arena_fini(&a);
    }
}

/* Known without running: sums of the buffers that the launches pass on. */
static void test_workspace(void **state)
{
    (void)state;
    static const struct {
        const char *impl, *shape;
        uint64_t bytes;
    } c[] = {
        {"direct", "1x6x14x14:16x5x5", 0},
        {"gemm", "2x6x14x14:16x5x5", 4 * 6 * 25 * 100},
        {"gemm", "2x6x14x14:16x1x1", 0},
        {"gemm-1x1", "2x6x14x14:16x1x1:s2", 4 * (6 + 16) * 2 * 49},
        {"winograd-2x2-nonfused", "1x6x14x14:16x5x5", 4 * 36 * (16 * 6 + (6 + 16) * 25)},
        {"winograd-rxs-f2x3", "1x6x14x14:16x5x5", 0},
        {"implicit-gemm-split-k", "1x4x9x9:4x3x3", 4 * 2 * 4 * 49},
        {"winograd-2x2-fused", "1x6x14x14:16x5x5", 0}, /* does not support it */
    };
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        const struct conv_problem p = parse(c[i].shape);
        const struct conv_impl *impl;
        uint64_t bytes;
        assert_int_equal(conv_find(&impl, c[i].impl, NULL), OK);
        conv_workspace(&bytes, impl, &p, NULL);
        assert_int_equal(bytes, c[i].bytes);
    }
}

/* The words of a limit, and that of no limit. */
static void test_limits_text(void **state)
{
    (void)state;
    struct arena a = {0};
    const struct conv_impl *impl;
    assert_int_equal(conv_find(&impl, "direct", NULL), OK);
    assert_string_equal(conv_limits_text(&a, impl), "any shape");
    assert_int_equal(conv_find(&impl, "direct-depthwise", NULL), OK);
    assert_string_equal(conv_limits_text(&a, impl), "3x3 or 5x5 filters; equal strides up to 2; "
                                                    "dilation 1; one input channel per group");
    arena_fini(&a);
}

/* Memory to NCHW, in either layout. */
static void test_layout(void **state)
{
    (void)state;
    enum { N = 2, K = 3, P = 4, Q = 5 };
    const struct conv_problem nhwc = parse("2x1x4x5:3x1x1:nhwc"), nchw = parse("2x1x4x5:3x1x1");
    float memory[N][P][Q][K], out[N][K][P][Q], same[N][K][P][Q];
    for (int n = 0; n < N; n++)
        for (int p = 0; p < P; p++)
            for (int q = 0; q < Q; q++)
                for (int k = 0; k < K; k++)
                    memory[n][p][q][k] = (float)(1000 * n + 100 * k + 10 * p + q);
    conv_out_to_nchw(&nhwc, &out[0][0][0][0], &memory[0][0][0][0]);
    conv_out_to_nchw(&nchw, &same[0][0][0][0], &out[0][0][0][0]);
    assert_memory_equal(out, same, sizeof out);
    for (int n = 0; n < N; n++)
        for (int k = 0; k < K; k++)
            for (int p = 0; p < P; p++)
                for (int q = 0; q < Q; q++)
                    assert_true(out[n][k][p][q] == memory[n][p][q][k]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),       cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_errors),      cmocka_unit_test(test_noise),
        cmocka_unit_test(test_find),        cmocka_unit_test(test_alternatives),
        cmocka_unit_test(test_unsupported), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_planner),     cmocka_unit_test(test_grids),
        cmocka_unit_test(test_workspace),   cmocka_unit_test(test_limits_text),
        cmocka_unit_test(test_layout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
