/* What conv_measure counts, against numbers worked out by hand for LeNet-5's second layer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conv/conv.h"

enum { MAX_LAUNCHES = 4, N_IN = 6 * 14 * 14, N_FILTER = 16 * 6 * 5 * 5, N_OUT = 16 * 10 * 10 };

static size_t measure(const char *impl_name, struct conv_cost *cost)
{
    static const float in[N_IN], filter[N_FILTER];
    float out[N_OUT];
    struct arena a = {0};
    struct conv_problem p;
    const struct conv_impl *impl;
    struct conv_program program;
    double seconds;
    struct diag d = {0};
    assert_int_equal(conv_parse_shape(&p, "1x6x14x14:16x5x5", &d), OK);
    assert_int_equal(conv_find(&impl, impl_name, &d), OK);
    assert_int_equal(conv_prepare(&program, &a, &p, impl, "", in, filter, &d), OK);
    assert_in_range(program.sim.n_launches, 1, MAX_LAUNCHES);
    assert_int_equal(conv_measure(cost, &program, out, &seconds, &d), OK);
    assert_true(seconds > 0);
    const size_t n = program.sim.n_launches;
    conv_program_fini(&program);
    arena_fini(&a);
    return n;
}

static void test_direct(void **state)
{
    (void)state;
    struct conv_cost c[MAX_LAUNCHES];
    assert_int_equal(measure("direct", c), 1);
    /* 16 groups of 256 threads, of which 100 have a pixel and go through the 150 taps. */
    assert_int_equal(c->group[GROUP_FP32], 16 * 100 * 150);
    assert_int_equal(c->global_load_bytes, 4 * 2 * 16 * 100 * 150);
    assert_int_equal(c->global_store_bytes, 4 * N_OUT);
    assert_int_equal(c->shared_load_bytes + c->shared_store_bytes, 0);
    assert_int_equal(c->group[GROUP_FP64], 0);
    assert_int_equal(c->group[GROUP_GPPR], c->group[GROUP_GP] + c->group[GROUP_PR]);
    assert_int_equal(c->group[GROUP_GP],
                     c->group[GROUP_FP32] + c->group[GROUP_LD] + c->group[GROUP_OTHERS]);
    assert_true(c->counts.thread_insns > c->group[GROUP_GPPR]);
    assert_true(c->counts.thread_insns <= 32 * c->counts.warp_insns);
}

static void test_winograd(void **state)
{
    (void)state;
    /* F(2x2,5x5): 36 points, 25 tiles of 2x2. */
    enum { POINTS = 36, TILES = 25, K = 16, C = 6 };
    struct conv_cost c[MAX_LAUNCHES];
    assert_int_equal(measure("winograd-2x2-nonfused", c), 4);
    assert_int_equal(c[0].global_load_bytes, 4 * K * C * 25);
    assert_int_equal(c[0].global_store_bytes, 4 * K * C * POINTS);
    assert_int_equal(c[1].global_load_bytes, 4 * C * TILES * POINTS); /* no padding: all inside */
    assert_int_equal(c[1].global_store_bytes, 4 * C * TILES * POINTS);
    assert_int_equal(c[2].global_load_bytes, 4 * POINTS * (K * C + C * TILES)); /* one tile each */
    assert_int_equal(c[2].global_store_bytes, 4 * POINTS * K * TILES);
    assert_int_equal(c[3].global_load_bytes, 4 * POINTS * K * TILES);
    assert_int_equal(c[3].global_store_bytes, 4 * N_OUT);
    assert_true(c[2].shared_load_bytes > c[2].shared_store_bytes);
    assert_int_equal(c[0].shared_load_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_direct),
                                       cmocka_unit_test(test_winograd)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
