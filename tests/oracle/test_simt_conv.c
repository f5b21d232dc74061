/* Every implementation and tile on the common grid, simulated, against the naive double-precision
 * loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "cases.h"

struct trial {
    struct simt *simt;
    struct conv_data *data;
    const struct conv_impl *impl;
    const char *shape;
    uint64_t insns;
    int n;
};

static void run_all(struct trial *t, struct conv_program *p, const char *tile)
{
    for (size_t i = 0; i < p->sim.n_launches; i++) {
        const struct simt_launch *l = &p->sim.launches[i];
        struct simt_result r;
        struct diag d = {0};
        if (simt_check_launch(l, &d) != OK)
            fail_msg("%s %s: %s", t->impl->name, t->shape, d.msg);
        simt_run(t->simt, p->sim.mem, l, 0, simt_n_ctas(l), NULL, &r);
        if (r.trap.kind != TRAP_NONE)
            fail_msg("%s %s %s: %s at %s:%d, address %llx", t->impl->name, tile, t->shape,
                     vocab_word(&vocab_traps, (int)r.trap.kind), r.trap.at.file, r.trap.at.line,
                     (unsigned long long)r.trap.address);
        t->insns += r.counts.warp_insns;
    }
}

static int try_tile(const char *tile, void *ctx)
{
    struct trial *t = ctx;
    struct arena a = {0};
    struct diag d = {0};
    struct conv_program p;
    if (conv_prepare(&p, &a, &t->data->problem, t->impl, tile, t->data->in, t->data->filter, &d) != OK)
        fail_msg("%s %s: %s", t->impl->name, t->shape, d.msg);
    run_all(t, &p, tile);
    simt_mem_read(p.sim.mem, p.sim.out_address, t->data->out, p.sim.out_bytes);
    const double error = conv_data_error(t->data);
    if (!(error <= conv_tolerance(t->impl)))
        fail_msg("%s %s %s: relative error %g", t->impl->name, tile, t->shape, error);
    conv_program_fini(&p);
    arena_fini(&a);
    t->n++;
    return 0;
}

static void test_grid(void **state)
{
    struct trial t = {.simt = *state};
    size_t n_cases, n_impls;
    const struct conv_case *cases = conv_cases(&n_cases);
    const struct conv_impl *impls = conv_impls(&n_impls);
    for (size_t i = 0; i < n_cases; i++) {
        struct conv_data data;
        conv_data_of(&data, cases[i].shape, i);
        t.data = &data;
        t.shape = cases[i].shape;
        for (size_t j = 0; j < n_impls; j++) {
            t.impl = &impls[j];
            if (t.impl->supports(&data.problem, NULL) == OK)
                conv_for_tiles(t.impl, try_tile, &t);
        }
        conv_data_fini(&data);
    }
    print_message("%zu shapes, %d runs, %.1f million warp instructions\n", n_cases, t.n,
                  1e-6 * (double)t.insns);
}

int main(void)
{
    struct simt *simt = simt_new();
    const struct CMUnitTest tests[] = {cmocka_unit_test_prestate(test_grid, simt)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    simt_free(simt);
    return failed;
}
