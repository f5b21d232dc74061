/* The two references against each other: oneDNN and the naive double-precision loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "cases.h"

static void check(struct conv_data *data, const char *what)
{
    struct diag d = {0};
    if (conv_reference(&data->problem, data->in, data->filter, data->out, &d) != OK)
        fail_msg("%s: %s", what, d.msg);
    const double error = conv_data_error(data);
    if (!(error <= 1e-6))
        fail_msg("%s: relative error %g", what, error);
}

static void test_grid(void **state)
{
    (void)state;
    size_t n;
    const struct conv_case *cases = conv_cases(&n);
    for (size_t i = 0; i < n; i++) {
        struct conv_data data;
        conv_data_of(&data, cases[i].shape, i);
        check(&data, cases[i].shape);
        conv_data_fini(&data);
    }
}

static void test_random(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, 4, 1);
    for (int i = 0; i < 200; i++) {
        struct conv_problem p;
        struct conv_data data;
        conv_random_problem(&p, &r);
        conv_data_init(&data, &p, (uint64_t)i);
        check(&data, conv_shape(&data.arena, &p));
        conv_data_fini(&data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_grid), cmocka_unit_test(test_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
