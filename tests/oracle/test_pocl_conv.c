/* Every implementation, run natively by PoCL from the same OpenCL source as the PTX, against the naive
 * double-precision loop and against the simulator's bits: on every fourth shape of the common grid with the
 * planner's tile, or, with the argument "all", on all shapes with every tile (PoCL takes a second to compile
 * each). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cases.h"
#include "conv/asked_for.h"
#include "native.h"

struct trial {
    struct native *native;
    struct conv_data *data;
    const struct conv_impl *impl;
    const char *shape;
    struct simt *simt;
    int n, n_same;
    bool all;
};

/* Each output is one chain of fma() in a fixed order: no compiler may give other bits. Elsewhere a*b + c may
 * or may not be fused. */
static bool is_one_chain(const struct conv_impl *impl)
{
    return strncmp(impl->name, "direct", 6) == 0 || strstr(impl->name, "gemm");
}

static void try_tile(const char *tile, void *ctx)
{
    struct trial *t = ctx;
    struct conv_plan plan;
    struct diag d = {0};
    if (conv_make_plan(&plan, &t->data->arena, &t->data->problem, t->impl, tile, &d) != OK)
        fail_msg("%s %s: %s", t->impl->name, t->shape, d.msg);
    assert_true(native_run(t->native, &plan, &t->data->problem, t->data->in, t->data->filter,
                           t->data->out));
    const double error = conv_data_error(t->data);
    if (!(error <= t->impl->bound))
        fail_msg("%s %s %s: relative error %g", t->impl->name, tile, t->shape, error);
    float *simulated = arena_array(&t->data->arena, t->data->n_out, sizeof *simulated);
    struct conv_program program;
    assert_int_equal(conv_prepare(&program, &t->data->arena, &t->data->problem, t->impl, tile,
                                  t->data->in, t->data->filter, &d),
                     OK);
    conv_simulate(t->simt, &program, simulated);
    conv_program_fini(&program);
    const bool same = memcmp(simulated, t->data->out, t->data->n_out * sizeof *simulated) == 0;
    if (!same && is_one_chain(t->impl))
        fail_msg("%s %s %s: not the bits that the simulator gives", t->impl->name, tile, t->shape);
    t->n_same += same;
    t->n++;
}

static void test_grid(void **state)
{
    struct trial t = *(struct trial *)*state;
    size_t n_cases, n_impls;
    const struct conv_case *cases = conv_cases(&n_cases);
    const struct conv_impl *impls = conv_impls(&n_impls);
    for (size_t i = 0; i < n_cases; i += t.all ? 1 : 4) {
        struct conv_data data;
        conv_data_of(&data, cases[i].shape, i);
        t.data = &data;
        for (size_t j = 0; j < N_LAYOUTS * n_impls; j++) {
            t.impl = &impls[j % n_impls];
            data.problem.layout = (enum tensor_layout)(j / n_impls);
            t.shape = conv_shape(&data.arena, &data.problem);
            if (asked_for(t.impl) && conv_supports(t.impl, &data.problem, NULL) == OK)
                conv_for_tiles(t.impl, t.all ? EVERY_TILE : NO_TILE, try_tile, &t);
        }
        conv_data_fini(&data);
    }
    print_message("%d runs on %s, %d bit-identical\n", t.n, native_device(t.native), t.n_same);
}

int main(int argc, char **argv)
{
    struct native *native = native_open();
    if (!native) {
        printf("SKIP: no OpenCL CPU device (Debian: pocl-opencl-icd)\n");
        return 77;
    }
    struct trial t = {
        .native = native, .simt = simt_new(), .all = argc > 1 && strcmp(argv[1], "all") == 0};
    const struct CMUnitTest tests[] = {cmocka_unit_test_prestate(test_grid, &t)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    simt_free(t.simt);
    native_close(native);
    return failed;
}
