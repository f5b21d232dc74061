/* Every engine gives the outcome, the trap and the output bits of the full run, for every
 * implementation and every kind of fault. SIEVERT_FAULTS=N: so many per kind and implementation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "prop/compare.h"

static const char *const shapes[] = {"1x3x9x8:5x3x3:p1", "2x4x7x7:6x3x3", "1x8x6x6:70x1x1", "1x5x7x6:5x3x3:p1:g5",
                                     "2x3x6x5:9x3x3:p1:nhwc"};
static const char batch_shape[] = "8x2x4x3:5x3x3"; /* for those that do only batches */
enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };


static void every_kind(const struct conv_impl *impl, const char *shape, struct tally *t)
{
    struct case_ c;
    if (!case_init(&c, impl, shape))
        return;
    compare_every_kind(&c.program.sim, impl->name, shape, t);
    case_fini(&c);
}

static void engines_agree(void **state)
{
    (void)state;
    size_t n;
    const struct conv_impl *impls = conv_impls(&n);
    print_message("SIEVERT_SEED=%llu\n", (unsigned long long)seed);
    for (size_t i = 0; i < n; i++) {
        struct tally t = {0};
        for (int s = 0; s < N_SHAPES; s++)
            every_kind(&impls[i], shapes[s], &t);
        if (impls[i].supports.batch)
            every_kind(&impls[i], batch_shape, &t);
        print_message("%-28s %6llu faults: masked %llu, SDC %llu, DUE %llu; instructions", impls[i].name,
                      (unsigned long long)t.n, (unsigned long long)t.outcomes[OUTCOME_MASKED],
                      (unsigned long long)t.outcomes[OUTCOME_SDC],
                      (unsigned long long)t.outcomes[OUTCOME_DUE]);
        for (int e = 0; e < N_ENGINES; e++)
            print_message(" %s %llu", vocab_word(&vocab_engines, e), (unsigned long long)t.cost[e]);
        print_message("\n");
        print_fates(&t);
        assert_true(t.n > 0 && t.outcomes[OUTCOME_SDC] > 0 && t.outcomes[OUTCOME_MASKED] > 0);
    }
}

int main(void)
{
    const char *given = getenv("SIEVERT_SEED"), *each = getenv("SIEVERT_FAULTS");
    seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    thorough = each != NULL;
    faults_each = each ? (unsigned)atoi(each) : faults_each;
    const struct CMUnitTest tests[] = {cmocka_unit_test(engines_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
