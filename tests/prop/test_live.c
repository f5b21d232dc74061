/* Live sites against what faults do: changed signs of arithmetic results, in every implementation. Where a site is not
 * live nothing comes of it but now and then; where it is, something nearly always does (zeros keep their value). And
 * errors extend as far along the axes of the tiling as the influence of their instruction's sites, never further. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "campaign/live.h"
#include "characterise/geometry.h"
#include "engines.h"

enum { FAULTS = 2000, SEED = 5 };

struct counts {
    struct live_count **live;
    const struct fault *faults;
    uint64_t sdc, strange; /* SDCs; those in instructions without any live site */
    const struct conv_problem *problem;
    struct tiling tiling;   /* n_axes 0: unknown */
    uint64_t further, full; /* SDCs that extend further than any influence; as far as one */
};

static int by_number(const void *x, const void *y)
{
    const uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    return (a > b) - (a < b);
}

/* How far an SDC extends. */
static void reach_of(uint8_t *out, const struct counts *c, const struct experiment_result *r)
{
    const size_t channels = c->tiling.axis[0].size, pixels = c->tiling.h * c->tiling.w;
    struct arena a = {0};
    struct geometry g;
    uint32_t *index = arena_array(&a, r->n_diffs, sizeof *index);
    for (size_t i = 0; i < r->n_diffs; i++) {
        const size_t at = r->diffs[i].index;
        index[i] =
            (uint32_t)(c->problem->layout == LAYOUT_NHWC ? at % channels * pixels + at / channels
                                                         : at);
    }
    qsort(index, r->n_diffs, sizeof *index, by_number);
    characterise_geometry(&g, &a, index, r->n_diffs, &c->tiling, 0);
    for (int i = 0; i < TILING_AXES; i++)
        out[i] = i < g.n_axes ? tiling_reach(&c->tiling.axis[i], g.axis[i].extent) : REACH_NONE;
    arena_fini(&a);
}

static void compare_reach(struct counts *c, const struct live_count *l,
                          const struct experiment_result *r)
{
    uint8_t reach[TILING_AXES], most[TILING_AXES] = {0};
    bool full = false, further = false;
    reach_of(reach, c, r);
    for (size_t k = 0; k < l->n_influences; k++) {
        full |= memcmp(reach, l->influences[k].reach, sizeof reach) == 0;
        for (int i = 0; i < TILING_AXES; i++)
            most[i] = l->influences[k].reach[i] > most[i] ? l->influences[k].reach[i] : most[i];
    }
    for (int i = 0; i < TILING_AXES; i++)
        further |= reach[i] > most[i];
    c->full += full;
    c->further += further;
}

static void each(void *ctx, size_t i, const struct experiment_result *r)
{
    struct counts *c = ctx;
    if (r->outcome != OUTCOME_SDC)
        return;
    const struct live_count *l = &c->live[c->faults[i].launch][r->strike.insn];
    c->sdc++;
    c->strange += l->live == 0;
    if (l->n_influences)
        compare_reach(c, l, r);
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
    if (c.program.problem.n > 1 || conv_tiling(&n.tiling, &c.program) != OK)
        n.tiling.n_axes = 0;
    n.problem = &c.program.problem;
    const struct live_output output = {&n.tiling, n.problem->layout == LAYOUT_NHWC};
    assert_int_equal(
        campaign_live(&n.live, &c.arena, p, &kind, n.tiling.n_axes ? &output : NULL, &d), OK);
    uint64_t sites = 0, live = 0;
    for (size_t l = 0; l < p->n_launches; l++)
        for (size_t i = 0; i < ptx_n_insns(p->launches[l].kernel); i++) {
            uint64_t influences = 0;
            for (size_t k = 0; k < n.live[l][i].n_influences; k++)
                influences += n.live[l][i].influences[k].live;
            assert_true(n.live[l][i].live <= n.live[l][i].sites);
            assert_int_equal(influences, n.tiling.n_axes ? n.live[l][i].live : 0);
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
    const double full = n.sdc ? (double)n.full / (double)n.sdc : 1;
    print_message("%-24s %-26s %-20s live %5.1f %%, SDC %5.1f %%, without live sites %.2f %%, "
                  "as far as an influence %5.1f %%, further %.2f %%\n",
                  impl->name, shape, fault, 100 * share, 100 * seen,
                  100 * (double)n.strange / FAULTS, 100 * full, 100 * (double)n.further / FAULTS);
    assert_true(seen < share + above);
    assert_true(seen > share - below);
    assert_true(n.strange < FAULTS / 200);
    if (kind_is_value(&kind) && n.tiling.n_axes)
        assert_true(n.further == 0 && full > 0.95);
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
