/* Live sites against what faults do: changed signs of arithmetic results, in every implementation. Where a site is not
 * live nothing comes of it but now and then; where it is, something nearly always does (zeros keep their value). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "campaign/live.h"
#include "engines.h"

enum { FAULTS = 2000, SEED = 5 };

struct counts {
    struct live_count **live;
    const struct fault *faults;
    uint64_t sdc, strange; /* SDCs; those in instructions without any live site */
};

static void each(void *ctx, size_t i, const struct experiment_result *r)
{
    struct counts *c = ctx;
    if (r->outcome != OUTCOME_SDC)
        return;
    c->sdc++;
    c->strange += c->live[c->faults[i].launch][r->strike.insn].live == 0;
}

static void check(const struct conv_impl *impl, const char *shape, const char *fault, double below,
                  double above)
{
    struct case_ c;
    struct golden *g;
    struct fault_kind kind;
    struct diag d = {0};
    struct counts n = {0};
    if (!case_init(&c, impl, shape))
        return;
    const struct simt_program *p = &c.program.sim;
    assert_int_equal(fault_kind_parse(&kind, fault, &d), OK);
    assert_int_equal(golden_run(&g, p, &kind, &d), OK);
    assert_int_equal(campaign_live(&n.live, &c.arena, p, &kind, &d), OK);
    uint64_t sites = 0, live = 0;
    for (size_t l = 0; l < p->n_launches; l++)
        for (size_t i = 0; i < ptx_n_insns(p->launches[l].kernel); i++) {
            assert_true(n.live[l][i].live <= n.live[l][i].sites);
            sites += n.live[l][i].sites;
            live += n.live[l][i].live;
        }
    assert_int_equal(sites, golden_population(g));
    struct fault *faults = arena_array(&c.arena, FAULTS, sizeof *faults);
    for (uint64_t i = 0; i < FAULTS; i++)
        faults[i] = campaign_fault(g, SEED, i);
    n.faults = faults;
    struct experiment *e = experiment_new(p, g, ENGINE_CONCURRENT, 10);
    experiment_run_all(e, faults, FAULTS, each, &n);
    experiment_free(e);
    const double share = (double)live / (double)sites, seen = (double)n.sdc / FAULTS;
    print_message("%-24s %-26s %-20s live %5.1f %%, SDC %5.1f %%, without live sites %.2f %%\n",
                  impl->name, shape, fault, 100 * share, 100 * seen,
                  100 * (double)n.strange / FAULTS);
    assert_true(seen < share + above);
    assert_true(seen > share - below);
    assert_true(n.strange < FAULTS / 200);
    golden_free(g);
    case_fini(&c);
}

static void live_sites_are_those_that_matter(void **state)
{
    (void)state;
    static const char *const shapes[] = {"1x3x10x9:5x3x3:p1", "1x4x7x7:6x1x1",
                                         "1x4x9x6:4x3x3:p1:g4", "1x3x9x6:5x3x3:p1:nhwc"};
    size_t n;
    const struct conv_impl *impls = conv_impls(&n);
    for (size_t i = 0; i < n; i++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            check(&impls[i], shapes[s], "fp32:single-bit=31", 0.15, 0.02);
            check(&impls[i], shapes[s], "addr:single-bit=3", 1, 0.05);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(live_sites_are_those_that_matter)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
