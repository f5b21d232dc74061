/* What every convolution must be, whatever computes it: an impulse gives the filter, a shifted input a
 * shifted output, and a sum of inputs the sum of outputs. On random problems for every implementation,
 * simulated. The seed is printed; SIEVERT_SEED sets it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "cases.h"

enum { ROUNDS = 12 };

struct rig {
    struct simt *simt;
    struct rng rng;
    struct arena arena;
    const struct conv_impl *impl;
    struct conv_problem problem;
    size_t n_in, n_filter, n_out;
    float *filter;
};

static size_t product(int a, int b, int c, int d)
{
    return (size_t)a * (size_t)b * (size_t)c * (size_t)d;
}

static float *values(struct rig *g, size_t n)
{
    float *v = arena_array(&g->arena, n, sizeof *v);
    for (size_t i = 0; i < n; i++)
        v[i] = (float)(2 * rng_unit(&g->rng) - 1);
    return v;
}

static float *convolve(struct rig *g, const float *in)
{
    struct conv_program p;
    struct diag d = {0};
    float *out = arena_array(&g->arena, g->n_out, sizeof *out);
    if (conv_prepare(&p, &g->arena, &g->problem, g->impl, "", in, g->filter, &d) != OK)
        fail_msg("%s: %s", g->impl->name, d.msg);
    conv_simulate(g->simt, &p, out);
    conv_program_fini(&p);
    return out;
}

static void check(struct rig *g, const char *property, const float *out, const float *expected)
{
    const double error = conv_error(out, expected, g->n_out);
    if (!(error <= 2 * g->impl->bound))
        fail_msg("%s of %s on %s: relative error %g", property, g->impl->name,
                 conv_shape(&g->arena, &g->problem), error);
}

/* One 1 in channel 0 of image 0: output (p, q) of filter k is the filter's element under it. */
static void impulse(struct rig *g)
{
    const struct conv_problem *p = &g->problem;
    const int h = (int)rng_below(&g->rng, (uint64_t)p->h),
              w = (int)rng_below(&g->rng, (uint64_t)p->w);
    const int out_h = conv_out_h(p), out_w = conv_out_w(p), filters = p->k / p->groups;
    float *in = arena_array(&g->arena, g->n_in, sizeof *in);
    float *expected = arena_array(&g->arena, g->n_out, sizeof *expected);
    in[h * p->w + w] = 1;
    for (int k = 0; k < filters; k++)
        for (int r = 0; r < p->r; r++)
            for (int s = 0; s < p->s; s++) {
                const int y = h + p->pad_top - r * p->dilation_h;
                const int x = w + p->pad_left - s * p->dilation_w;
                if (y % p->stride_h || x % p->stride_w || y < 0 || x < 0 ||
                    y / p->stride_h >= out_h || x / p->stride_w >= out_w)
                    continue;
                const size_t taps = product(p->c / p->groups, p->r, p->s, 1);
                expected[(k * out_h + y / p->stride_h) * out_w + x / p->stride_w] =
                    g->filter[(size_t)k * taps + (size_t)(r * p->s + s)];
            }
    check(g, "impulse response", convolve(g, in), expected);
}

/* Down by the stride: outputs move down by one row. Rows at the border, which see padding, are left out by
 * keeping the border of the input zero. */
static void shift(struct rig *g)
{
    const struct conv_problem *p = &g->problem;
    const int step = p->stride_h, border = p->r * p->dilation_h + step;
    if (p->h <= 2 * border)
        return;
    float *in = arena_array(&g->arena, g->n_in, sizeof *in);
    float *moved = arena_array(&g->arena, g->n_in, sizeof *moved);
    float *expected = arena_array(&g->arena, g->n_out, sizeof *expected);
    const size_t planes = (size_t)p->n * (size_t)p->c, w = (size_t)p->w;
    for (size_t plane = 0; plane < planes; plane++)
        for (size_t i = (size_t)border; i < (size_t)(p->h - border); i++)
            for (size_t j = 0; j < w; j++) {
                const float v = (float)(2 * rng_unit(&g->rng) - 1);
                in[(plane * (size_t)p->h + i) * w + j] = v;
                moved[(plane * (size_t)p->h + i + (size_t)step) * w + j] = v;
            }
    const float *out = convolve(g, in);
    const size_t out_h = (size_t)conv_out_h(p), out_w = (size_t)conv_out_w(p);
    for (size_t plane = 0; plane < (size_t)p->n * (size_t)p->k; plane++)
        memcpy(expected + (plane * out_h + 1) * out_w, out + plane * out_h * out_w,
               (out_h - 1) * out_w * sizeof *out);
    check(g, "shift", convolve(g, moved), expected);
}

static void linearity(struct rig *g)
{
    const float *x = values(g, g->n_in), *y = values(g, g->n_in);
    float *both = arena_array(&g->arena, g->n_in, sizeof *both);
    for (size_t i = 0; i < g->n_in; i++)
        both[i] = x[i] - 2 * y[i];
    float *expected = convolve(g, x);
    const float *of_y = convolve(g, y);
    for (size_t i = 0; i < g->n_out; i++)
        expected[i] -= 2 * of_y[i];
    check(g, "linearity", convolve(g, both), expected);
}

static void for_random_problems(struct rig *g, void (*property)(struct rig *g))
{
    size_t n;
    const struct conv_impl *impls = conv_impls(&n);
    for (size_t i = 0; i < n; i++)
        for (int round = 0; round < ROUNDS;) {
            struct conv_problem *p = &g->problem;
            conv_random_problem(p, &g->rng);
            g->impl = &impls[i];
            p->layout = g->impl->supports.nhwc && round % 2 ? LAYOUT_NHWC : LAYOUT_NCHW;
            if (conv_supports(g->impl, p, NULL) != OK)
                continue;
            round++;
            g->n_in = product(p->n, p->c, p->h, p->w);
            g->n_filter = product(p->k, p->c / p->groups, p->r, p->s);
            g->n_out = product(p->n, p->k, conv_out_h(p), conv_out_w(p));
            g->filter = values(g, g->n_filter);
            property(g);
            arena_fini(&g->arena);
        }
}

static void test_impulse(void **state) { for_random_problems(*state, impulse); }
static void test_shift(void **state) { for_random_problems(*state, shift); }
static void test_linearity(void **state) { for_random_problems(*state, linearity); }

int main(void)
{
    struct rig g = {.simt = simt_new()};
    const char *given = getenv("SIEVERT_SEED");
    const uint64_t seed = given ? strtoull(given, NULL, 0) : 40;
    rng_init(&g.rng, seed, 0);
    print_message("SIEVERT_SEED=%llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {cmocka_unit_test_prestate(test_impulse, &g),
                                       cmocka_unit_test_prestate(test_shift, &g),
                                       cmocka_unit_test_prestate(test_linearity, &g)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    simt_free(g.simt);
    return failed;
}
