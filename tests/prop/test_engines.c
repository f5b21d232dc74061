/* Every engine gives the outcome, the trap and the output bits of the full run, for every
 * implementation and every kind of fault. SIEVERT_FAULTS=N: so many per kind and implementation;
 * SIEVERT_IMPL: conv/asked_for.h. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "conv/asked_for.h"
#include "prop/compare.h"

static const char *const shapes[] = {"1x3x9x8:5x3x3:p1",      "2x4x7x7:6x3x3",
                                     "1x8x6x6:70x1x1",        "1x5x7x6:5x3x3:p1:g5",
                                     "2x3x6x5:9x3x3:p1:nhwc", "2x4x5x4:6x1x1:s2"};
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
        if (!asked_for(&impls[i]))
            continue;
        for (int s = 0; s < N_SHAPES; s++)
            every_kind(&impls[i], shapes[s], &t);
        if (impls[i].supports.batch)
            every_kind(&impls[i], batch_shape, &t);
        print_message("%-28s %6llu faults: masked %llu, SDC %llu, DUE %llu; instructions",
                      impls[i].name, (unsigned long long)t.n,
                      (unsigned long long)t.outcomes[OUTCOME_MASKED],
                      (unsigned long long)t.outcomes[OUTCOME_SDC],
                      (unsigned long long)t.outcomes[OUTCOME_DUE]);
        for (int e = 0; e < N_ENGINES; e++)
            print_message(" %s %llu", vocab_word(&vocab_engines, e), (unsigned long long)t.cost[e]);
        print_message("\n");
        print_fates(&t);
        assert_true(t.n > 0 && t.outcomes[OUTCOME_SDC] > 0 && t.outcomes[OUTCOME_MASKED] > 0);
    }
}

/* Many faults at once, so that machines meet in the lists of the concurrent engine. */
static void crowds_agree(void **state)
{
    (void)state;
    static const struct fault_kind kinds[] = {
        {.where = WHERE_GROUP_GP},
        {.where = WHERE_GROUP_GP, .flip = FLIP_RANDOM_VALUE, .scope = SCOPE_WARP},
        {.where = WHERE_GROUP_PR},
    };
    size_t n;
    const struct conv_impl *impls = conv_impls(&n);
    for (size_t i = 0; i < n; i++) {
        struct case_ c;
        struct tally t = {0};
        const char *shape = impls[i].supports.batch ? batch_shape : shapes[0];
        bool slow = strncmp(impls[i].name, "fft", 3) == 0;
        if (slow || !asked_for(&impls[i]) || !case_init(&c, &impls[i], shape))
            continue;
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
            struct golden *g;
            if (golden_run(&g, &c.program.sim, &kinds[k], &(struct diag){0}) != OK)
                continue;
            compare_engines(&c.program.sim, g, impls[i].name, shape, 30 * faults_each, &t);
            golden_free(g);
        }
        case_fini(&c);
    }
}

/* Two that leave a loop too early and come alone to a barrier at which other warps of the fault-free run wait: those
 * must go on waiting. */
static void barriers_hold_while_machines_are_away(void **state)
{
    (void)state;
    static const char name[] = "winograd-rxs-f2x3", size[] = "2x4x7x7:6x3x3";
    const struct fault_kind kind = {
        .where = WHERE_GROUP_OTHERS, .flip = FLIP_DOUBLE_BIT, .scope = SCOPE_WARP_EACH};
    const struct conv_impl *impl;
    struct case_ c;
    struct golden *g;
    struct diag d = {0};
    struct tally t = {.n = 3900};
    const uint64_t given = seed;
    assert_int_equal(conv_find(&impl, name, &d), OK);
    assert_true(case_init(&c, impl, size));
    assert_int_equal(golden_run(&g, &c.program.sim, &kind, &d), OK);
    seed = 20261125;
    compare_engines(&c.program.sim, g, name, size, 18, &t);
    seed = given;
    golden_free(g);
    case_fini(&c);
}

/* A replay begins at an instant shortly before the fault, kept by the golden run: less than three quarters of
 * what the CTAs issue is run, on average half and what is between instants. Every kind of fault, also those that stay. */
static void replays_begin_late(void **state)
{
    (void)state;
    enum { EACH = 160 };
    static const struct fault_kind kinds[] = {
        {.where = WHERE_GROUP_GP},
        {.where = WHERE_GROUP_GPPR, .flip = FLIP_STUCK_AT_1, .scope = SCOPE_WARP},
        {.where = WHERE_ADDRESS, .flip = FLIP_DOUBLE_BIT},
        {.where = WHERE_REGISTER, .flip = FLIP_RANDOM_VALUE},
        {.where = WHERE_PREDICATE, .flip = FLIP_STUCK_AT_0},
        {.where = WHERE_INDEX},
        {.where = WHERE_SHARED, .flip = FLIP_ZERO_VALUE},
        {.where = WHERE_GLOBAL},
    };
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        const struct conv_impl *impl;
        struct case_ c;
        struct golden *g;
        struct diag d = {0};
        uint64_t whole = 0, run = 0;
        assert_int_equal(conv_find(&impl, "implicit-gemm", &d), OK);
        assert_true(case_init_tile(&c, impl, "1x32x8x8:32x3x3:p1", "32x32x8"));
        assert_int_equal(golden_run(&g, &c.program.sim, &kinds[k], &d), OK);
        struct experiment *full = experiment_new(&c.program.sim, g, ENGINE_FULL, 10);
        struct experiment *replay = experiment_new(&c.program.sim, g, ENGINE_REPLAY, 10);
        /* as many as end without a trap: few of some kinds do, and a mean over few says little */
        for (uint64_t i = 0, ended = 0; ended < EACH; i++) {
            const struct fault f = campaign_fault(g, seed, (k << 32) + i);
            struct experiment_result slow, fast;
            char what[WHAT];
            describe(&f, "implicit-gemm", "1x32x8x8:32x3x3:p1", what);
            experiment_run(full, &f, &slow);
            experiment_run(replay, &f, &fast);
            assert_same(&slow, &fast, what);
            if (fast.outcome != OUTCOME_DUE) {
                ended++;
                whole += golden_counts(g, 0).warp_insns / simt_n_ctas(&c.program.sim.launches[0]);
                run += fast.warp_insns;
            }
        }
        print_message("of %llu instructions, %llu run\n", (unsigned long long)whole,
                      (unsigned long long)run);
        if (!kind_is_global(&kinds[k])) /* other CTAs read it, too */
            assert_true(run < whole - whole / 4);
        experiment_free(full);
        experiment_free(replay);
        golden_free(g);
        case_fini(&c);
    }
}

/* The result of each bit of each site; of a site i, seen[i] has a bit for each. */
struct bits {
    struct experiment *full;
    const struct fault *sites;
    uint64_t seen[8];
    const char *impl;
};

static void check_bit(void *ctx, size_t i, const struct experiment_result *r)
{
    struct bits *x = ctx;
    struct fault f = x->sites[i];
    struct experiment_result slow;
    char what[WHAT];
    f.draw[0] = (uint64_t)__builtin_ctzll(r->strike.before ^ r->strike.after);
    experiment_run(x->full, &f, &slow);
    describe(&f, x->impl, shapes[0], what);
    assert_same(&slow, r, what);
    assert_false(x->seen[i] >> f.draw[0] & 1);
    x->seen[i] |= 1ull << f.draw[0];
    if (r->strike.bits < 64)
        assert_true(f.draw[0] < (uint64_t)r->strike.bits);
}

static void all_bits_agree(void **state)
{
    (void)state;
    static const char *const names[] = {"direct", "implicit-gemm", "winograd-2x2-nonfused"};
    const struct fault_kind kind = {.where = WHERE_GROUP_GPPR};
    for (size_t k = 0; k < 3 * N_ENGINES; k++) {
        const struct conv_impl *impl;
        struct case_ c;
        struct golden *g;
        struct fault sites[8];
        struct diag d = {0};
        assert_int_equal(conv_find(&impl, names[k % 3], &d), OK);
        assert_true(case_init(&c, impl, shapes[0]));
        assert_int_equal(golden_run(&g, &c.program.sim, &kind, &d), OK);
        struct bits x = {
            experiment_new(&c.program.sim, g, ENGINE_FULL, 10), sites, {0}, names[k % 3]};
        struct experiment *e = experiment_new(&c.program.sim, g, (enum engine)(k / 3), 10);
        for (size_t i = 0; i < 8; i++)
            sites[i] = campaign_fault(g, seed + 1, 8 * k + i);
        experiment_run_bits(e, sites, 8, check_bit, &x);
        for (size_t i = 0; i < 8; i++)
            assert_true(x.seen[i] == 1 || x.seen[i] == 0xffff || x.seen[i] == 0xffffffffu ||
                        x.seen[i] == UINT64_MAX);
        experiment_free(e);
        experiment_free(x.full);
        golden_free(g);
        case_fini(&c);
    }
}

/* The census of a small program: as many faults as there are bits, and the outcomes that running each
 * site's bits one by one gives. */
struct sums {
    uint64_t outcome[N_OUTCOMES];
    double of_sites[N_OUTCOMES]; /* each site weighs 1, whatever its width */
};

static void tally_outcome(void *ctx, size_t i, const struct experiment_result *r)
{
    struct sums *s = ctx;
    (void)i;
    s->outcome[r->outcome]++;
    s->of_sites[r->outcome] += 1.0 / r->strike.bits;
}

static void census_is_the_sum(void **state)
{
    (void)state;
    const struct fault_kind kind = {.where = WHERE_GROUP_GPPR}; /* 1, 32 and 64 bits wide */
    const struct campaign_options o = {.kind = kind, .engine = ENGINE_AUTO, .jobs = 2};
    const struct conv_impl *impl;
    struct case_ c;
    struct golden *g;
    struct census census;
    struct arena a = {0};
    struct diag d = {0};
    struct sums right = {0};
    assert_int_equal(conv_find(&impl, "direct", &d), OK);
    assert_true(case_init(&c, impl, "1x1x3x2:1x2x2"));
    assert_int_equal(campaign_census(&census, &a, &c.program.sim, &o, &d), OK);
    assert_int_equal(golden_run(&g, &c.program.sim, &kind, &d), OK);
    assert_int_equal(census.sites, golden_population(g));
    assert_int_equal(census.faults, golden_exposure(g));
    struct experiment *e = experiment_new(&c.program.sim, g, ENGINE_REPLAY, 10);
    for (uint64_t u = 0; u < census.sites; u++) {
        struct fault f = golden_fault(g, u);
        experiment_run_bits(e, &f, 1, tally_outcome, &right);
    }
    for (int k = 0; k < N_OUTCOMES; k++)
        assert_int_equal(census.outcome[k], right.outcome[k]);
    for (int k = 0; k < N_OUTCOMES; k++)
        assert_true(fabs(census.of_sites[k] - right.of_sites[k] / (double)census.sites) < 1e-9);
    experiment_free(e);
    golden_free(g);
    case_fini(&c);
    arena_fini(&a);
}

int main(void)
{
    const char *given = getenv("SIEVERT_SEED"), *each = getenv("SIEVERT_FAULTS");
    seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    thorough = each != NULL;
    faults_each = each ? (unsigned)atoi(each) : faults_each;
    const struct CMUnitTest tests[] = {cmocka_unit_test(replays_begin_late),
                                       cmocka_unit_test(all_bits_agree),
                                       cmocka_unit_test(census_is_the_sum),
                                       cmocka_unit_test(crowds_agree),
                                       cmocka_unit_test(barriers_hold_while_machines_are_away),
                                       cmocka_unit_test(engines_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
