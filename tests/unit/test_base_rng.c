#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/rng.h"

/* Philox4x32-10 known answers, published with Random123 (kat_vectors): counter, key, result. */
static void philox_has_the_published_answers(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], want[4];
    } kat[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof kat / sizeof *kat; i++) {
        struct rng r;
        rng_init(&r, kat[i].key[0] | (uint64_t)kat[i].key[1] << 32,
                 kat[i].counter[2] | (uint64_t)kat[i].counter[3] << 32);
        r.block = kat[i].counter[0] | (uint64_t)kat[i].counter[1] << 32;
        for (int k = 0; k < 4; k++)
            assert_int_equal(rng_u32(&r), kat[i].want[k]);
    }
}

static void words_are_taken_in_order(void **state)
{
    (void)state;
    struct rng a, b;
    rng_init(&a, 7, 9);
    rng_init(&b, 7, 9);
    for (int i = 0; i < 100; i++) {
        uint64_t low = rng_u32(&a), high = rng_u32(&a);
        assert_true(rng_u64(&b) == (low | high << 32));
    }
    rng_init(&b, 7, 10);
    assert_true(rng_u64(&a) != rng_u64(&b));
}

static void below_is_uniform_and_in_bounds(void **state)
{
    (void)state;
    static const uint64_t bounds[] = {1, 2, 3, 7, 1000, (uint64_t)1 << 63, UINT64_MAX};
    struct rng r;
    rng_init(&r, 3, 1);
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
        for (int k = 0; k < 1000; k++)
            assert_true(rng_below(&r, bounds[i]) < bounds[i]);
    enum { SIDES = 7, THROWS = 70000 };
    double seen[SIDES] = {0}, chi2 = 0;
    for (int k = 0; k < THROWS; k++)
        seen[rng_below(&r, SIDES)]++;
    for (int k = 0; k < SIDES; k++)
        chi2 += pow(seen[k] - THROWS / SIDES, 2) / (THROWS / SIDES);
    assert_true(chi2 < 27.86); /* 6 degrees of freedom, one in 10,000 */
    /* 2^64 is no multiple of 3 * 2^62: without rejection the lower third would come twice as often */
    int lower = 0;
    for (int k = 0; k < 30000; k++)
        lower += rng_below(&r, (uint64_t)3 << 62) < (uint64_t)1 << 62;
    assert_true(abs(lower - 10000) < 400);
}

static void unit_is_in_its_half_open_interval(void **state)
{
    (void)state;
    struct rng r;
    double sum = 0, sum2 = 0;
    enum { N = 100000 };
    rng_init(&r, 4, 1);
    for (int i = 0; i < N; i++) {
        double x = rng_unit(&r);
        assert_true(x >= 0 && x < 1);
        sum += x;
        sum2 += x * x;
    }
    assert_true(fabs(sum / N - 0.5) < 0.005 && fabs(sum2 / N - 1 / 3.) < 0.005);
}

/* Every number once, for any n; and as the first that are drawn all are equally likely, alone and in pairs. */
static void permutations_are_random(void **state)
{
    (void)state;
    enum { MOST = 3000, N = 6, SEEDS = 60000 };
    static const uint64_t sizes[] = {1, 2, 3, 5, 64, 100, 1025, MOST};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (uint64_t seed = 0; seed < 20; seed++) {
            bool seen[MOST] = {false};
            for (uint64_t i = 0; i < sizes[k]; i++) {
                uint64_t at = rng_permuted(seed, sizes[k], i);
                assert_true(at < sizes[k] && !seen[at]);
                seen[at] = true;
            }
        }
    double pair[N][N] = {{0}}, chi2 = 0, expected = SEEDS / (N * (N - 1.0));
    for (uint64_t seed = 0; seed < SEEDS; seed++)
        pair[rng_permuted(seed, N, 0)][rng_permuted(seed, N, 1)]++;
    for (int a = 0; a < N; a++)
        for (int b = 0; b < N; b++)
            chi2 += a == b ? 0 : pow(pair[a][b] - expected, 2) / expected;
    print_message("pairs: chi-square %.1f\n", chi2);
    assert_true(chi2 < 63.2); /* 29 degrees of freedom, 3 in 10,000 */
    for (uint64_t i = 0; i < 1000; i++)
        assert_true(rng_permuted(i, UINT64_MAX, i) < UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_has_the_published_answers),
        cmocka_unit_test(words_are_taken_in_order),
        cmocka_unit_test(below_is_uniform_and_in_bounds),
        cmocka_unit_test(unit_is_in_its_half_open_interval),
        cmocka_unit_test(permutations_are_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
