/* Every implementation on the common grid and on random problems, simulated from the PTX, against oneDNN
 * and the naive double-precision loop: with the planner's tile and another in turn, or, with the
 * argument "all", with every tile. Prints the seed of the random ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "cases.h"
#include "conv/asked_for.h"

struct trial {
    struct simt *simt;
    struct conv_data *data;
    const struct conv_impl *impl;
    const char *shape;
    float *reference;   /* oneDNN */
    const char *chosen; /* the planner's tile */
    int n;
    bool all;
};

static void try_tile(const char *tile, void *ctx)
{
    struct trial *t = ctx;
    struct conv_program program;
    struct diag d = {0};
    if (*tile && strcmp(tile, t->chosen) == 0)
        return; /* done as the planner's */
    if (conv_prepare(&program, &t->data->arena, &t->data->problem, t->impl, tile, t->data->in,
                     t->data->filter, &d) != OK)
        fail_msg("%s %s: %s:%d: %s", t->impl->name, t->shape, d.file, d.line, d.msg);
    assert_int_equal(program.sim.out_bytes, t->data->n_out * sizeof(float));
    conv_simulate(t->simt, &program, t->data->out);
    const double bound = t->impl->bound, naive = conv_data_error(t->data);
    const double reference = conv_error(t->data->out, t->reference, t->data->n_out);
    if (!(naive <= bound && reference <= bound))
        fail_msg("%s %s %s: relative error %g, from oneDNN %g", t->impl->name, tile, t->shape,
                 naive, reference);
    if (*tile)
        assert_string_equal(program.tile, tile);
    else
        t->chosen = program.tile;
    conv_program_fini(&program);
    t->n++;
}

static void try_layout(struct trial *t, enum tensor_layout layout, int turn)
{
    size_t n;
    const struct conv_impl *impls = conv_impls(&n);
    t->data->problem.layout = layout;
    t->shape = conv_shape(&t->data->arena, &t->data->problem);
    for (size_t i = 0; i < n; i++) {
        t->impl = &impls[i];
        if (asked_for(t->impl) && conv_supports(t->impl, &t->data->problem, NULL) == OK)
            conv_for_tiles(t->impl, turn, try_tile, t);
    }
}

static void try_problem(struct trial *t, struct conv_data *data, int turn)
{
    struct diag d = {0};
    t->data = data;
    t->reference = arena_array(&data->arena, data->n_out, sizeof(float));
    if (conv_reference(&data->problem, data->in, data->filter, t->reference, &d) != OK)
        fail_msg("%s: %s", conv_shape(&data->arena, &data->problem), d.msg);
    for (int layout = 0; layout < N_LAYOUTS; layout++)
        try_layout(t, (enum tensor_layout)layout, turn);
}

static void test_grid(void **state)
{
    size_t n;
    const struct conv_case *cases = conv_cases(&n);
    struct trial t = *(struct trial *)*state;
    for (size_t i = 0; i < n; i++) {
        struct conv_data data;
        conv_data_of(&data, cases[i].shape, i);
        try_problem(&t, &data, t.all ? EVERY_TILE : (int)i);
        conv_data_fini(&data);
    }
    print_message("%zu shapes, %d simulated runs\n", n, t.n);
}

static void test_random(void **state)
{
    const char *given = getenv("SIEVERT_SEED");
    const uint64_t seed = given ? strtoull(given, NULL, 0) : 20;
    struct trial t = *(struct trial *)*state;
    struct rng r;
    rng_init(&r, seed, 0);
    print_message("SIEVERT_SEED=%llu\n", (unsigned long long)seed);
    for (int i = 0; i < (t.all ? 200 : 40); i++) {
        struct conv_problem p;
        struct conv_data data;
        conv_random_problem(&p, &r);
        conv_data_init(&data, &p, rng_u64(&r));
        try_problem(&t, &data, t.all ? EVERY_TILE : i);
        conv_data_fini(&data);
    }
    print_message("%d simulated runs\n", t.n);
}

int main(int argc, char **argv)
{
    struct trial t = {.simt = simt_new(), .all = argc > 1 && strcmp(argv[1], "all") == 0};
    const struct CMUnitTest tests[] = {cmocka_unit_test_prestate(test_grid, &t),
                                       cmocka_unit_test_prestate(test_random, &t)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    simt_free(t.simt);
    return failed;
}
