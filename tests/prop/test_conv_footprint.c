/* Who computes what, seen from outside.
 * A wrong value loaded from shared memory by one thread in the main loop of a GEMM-like kernel spoils outputs
 * of that thread only: one filter's element its pixels (or tiles) of one channel, one pixel's element its
 * channels of one pixel.
 * And of every implementation: wrong arithmetic of one thread stays within the tile of its thread group, as
 * conv_tiling says it, along every axis that the launch is not shared along.
 * Random faults; the seed is printed, SIEVERT_SEED sets it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "prop/engines.h"

static const struct {
    const char *impl, *tile, *shape;
    int unit; /* outputs each way of what is counted as a pixel: Winograd's tiles */
    int channels,
        others;  /* the most that one element spoils: channels of a pixel; pixels of a channel */
    bool images; /* those "pixels" are one pixel of several images */
} cases[] = {
    {"implicit-gemm", "128x128x8", "1x3x9x9:24x3x3:p1", 1, 8, 8, false},
    {"implicit-gemm", "128x128x8-wide", "1x3x9x9:80x3x3:p1", 1, 8, 8, false},
    {"implicit-gemm", "32x32x8", "1x3x9x9:24x3x3:p1", 1, 4, 4, false},
    {"implicit-gemm", "128x128x8-16x1", "1x3x9x9:24x3x3:p1", 1, 16, 1, false},
    {"implicit-gemm", "64x128x16-8x1", "1x3x9x9:24x3x3:p1", 1, 8, 1, false},
    {"implicit-gemm", "128x128x8", "1x3x9x9:72x3x3:p1:nhwc", 1, 8, 8, false},
    {"implicit-gemm", "64x128x16-1x16", "1x3x9x9:24x3x3:p1:nhwc", 1, 16, 1, false},
    {"implicit-gemm", "128x64x16-1x8", "1x3x9x9:24x3x3:p1:nhwc", 1, 8, 1, false},
    {"implicit-gemm-v4r1", "64x64x8-wide", "8x3x4x4:72x3x3:p1", 1, 8, 8, true},
    {"implicit-gemm-v4r1", "128x128x8-wide", "16x3x4x4:72x3x3:p1", 1, 8, 8, true},
    {"implicit-gemm-split-k", "128x128x8", "1x9x9x9:24x3x3:p1", 1, 8, 8, false},
    {"gemm-1x1", "128x128x8", "1x9x18x9:24x1x1:s2,1", 1, 8, 8, false},
    {"winograd-rxs-f2x3", "", "1x3x9x9:40x3x3:p1", 2, 8, 4, false},
    {"winograd-rxs-f3x2", "", "1x3x12x12:40x5x5:p2", 3, 8, 4, false},
};

struct place {
    size_t n, k, pixel; /* or unit */
};

static struct place place_of(const struct conv_problem *p, size_t i, size_t unit)
{
    const size_t w = (size_t)conv_out_w(p), plane = (size_t)conv_out_h(p) * w, k = (size_t)p->k;
    struct place at = {i / plane / k, i / plane % k, i % plane};
    if (p->layout == LAYOUT_NHWC)
        at = (struct place){i / k / plane, i % k, i / k % plane};
    at.pixel = at.pixel / w / unit * w + at.pixel % w / unit;
    return at;
}

struct seen {
    size_t channels, others, faults; /* the most there were */
};

/* How many different places there are. */
static size_t count(const struct experiment_result *r, const struct conv_problem *p, size_t unit)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_diffs; i++) {
        const struct place at = place_of(p, r->diffs[i].index, unit);
        size_t j = 0;
        for (; j < i; j++) {
            const struct place other = place_of(p, r->diffs[j].index, unit);
            if (at.n == other.n && at.k == other.k && at.pixel == other.pixel)
                break;
        }
        n += j == i;
    }
    return n;
}

static void judge(const struct experiment_result *r, const struct conv_problem *p, size_t c,
                  struct seen *seen)
{
    bool one_channel = true, one_image = true, one_pixel = true;
    const size_t unit = (size_t)cases[c].unit;
    const struct place first = place_of(p, r->diffs[0].index, unit);
    for (size_t i = 1; i < r->n_diffs; i++) {
        const struct place at = place_of(p, r->diffs[i].index, unit);
        one_channel = one_channel && at.k == first.k;
        one_image = one_image && at.n == first.n;
        one_pixel = one_pixel && at.pixel == first.pixel;
    }
    const size_t n = count(r, p, unit);
    const bool of_pixel = one_image && one_pixel && n <= (size_t)cases[c].channels;
    const bool of_filter =
        one_channel && n <= (size_t)cases[c].others && (cases[c].images ? one_pixel : one_image);
    if (!of_pixel && !of_filter)
        fail_msg("%s %s %s: instruction %u of warp %u spoils %zu outputs", cases[c].impl,
                 cases[c].tile, cases[c].shape, r->strike.insn, r->strike.warp, n);
    if (of_pixel && n > seen->channels)
        seen->channels = n;
    if (of_filter && n > seen->others)
        seen->others = n;
    seen->faults++;
}

static uint64_t print_seed(void)
{
    const char *given = getenv("SIEVERT_SEED");
    const uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    print_message("SIEVERT_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static void one_thread_spoils_its_own(void **state)
{
    (void)state;
    const uint64_t seed = print_seed();
    const struct fault_kind loads = {
        .where = WHERE_GROUP_LD, .flip = FLIP_RANDOM_VALUE, .scope = SCOPE_THREAD};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const struct conv_impl *impl;
        struct case_ x;
        struct golden *g;
        struct seen seen = {0};
        assert_int_equal(conv_find(&impl, cases[c].impl, NULL), OK);
        assert_true(case_init_tile(&x, impl, cases[c].shape, cases[c].tile));
        assert_int_equal(golden_run(&g, &x.program.sim, &loads, NULL), OK);
        struct experiment *e = experiment_new(&x.program.sim, g, ENGINE_REPLAY, 10);
        for (uint64_t i = 0; i < 4000 && seen.faults < 150; i++) {
            const struct fault f = campaign_fault(g, seed, i);
            struct experiment_result r;
            experiment_run(e, &f, &r);
            const struct ptx_insn_info insn =
                ptx_insn_info(x.program.sim.launches[f.launch].kernel, r.strike.insn);
            if (r.outcome == OUTCOME_SDC && strncmp(insn.mnemonic, "ld.shared", 9) == 0)
                judge(&r, &x.program.problem, c, &seen);
        }
        print_message(
            "%-21s %-16s %-26s %3zu faults, up to %zu channels of a pixel, %zu %s of a channel\n",
            cases[c].impl, cases[c].tile, cases[c].shape, seen.faults, seen.channels, seen.others,
            cases[c].images     ? "images"
            : cases[c].unit > 1 ? "tiles"
                                : "pixels");
        assert_int_equal(seen.channels, cases[c].channels);
        assert_int_equal(seen.others, cases[c].others);
        experiment_free(e);
        golden_free(g);
        case_fini(&x);
    }
}

/* The coordinate of an output along an axis. */
static size_t coordinate(const struct tiling *t, int axis, const struct place *at)
{
    const size_t row = at->pixel / t->w / t->unit_h, column = at->pixel % t->w / t->unit_w;
    const size_t wide = (t->w + t->unit_w - 1) / t->unit_w;
    if (axis == 0)
        return at->k;
    if (t->n_axes == 2)
        return row * wide + column;
    return axis == 1 ? row : column;
}

static void stays_in_tile(const struct conv_program *p, const struct tiling *t,
                          const struct experiment_result *r, const char *launch)
{
    const int shared = conv_launch_shared(launch);
    for (int axis = 0; axis < t->n_axes; axis++) {
        if (shared & (axis == 0 ? TILING_SHARED_BY_CHANNELS : TILING_SHARED_BY_PIXELS))
            continue;
        const struct place first = place_of(&p->problem, r->diffs[0].index, 1);
        const size_t size = t->axis[axis].tile;
        for (size_t i = 1; i < r->n_diffs; i++) {
            const struct place at = place_of(&p->problem, r->diffs[i].index, 1);
            if (coordinate(t, axis, &at) / size != coordinate(t, axis, &first) / size)
                fail_msg("%s %s: a fault in %s reaches beyond a tile of %zu %ss", p->impl->name,
                         p->tile, launch, size, t->axis[axis].name);
        }
    }
}

/* Returns the number of silent corruptions. */
static size_t faults_stay(struct case_ *x, uint64_t seed)
{
    const struct fault_kind sums = {
        .where = WHERE_GROUP_FP32, .flip = FLIP_RANDOM_VALUE, .scope = SCOPE_THREAD};
    const struct conv_program *p = &x->program;
    struct tiling t;
    struct golden *g;
    size_t n = 0;
    if (conv_tiling(&t, p) != OK)
        fail_msg("%s has no axes", p->impl->name);
    assert_int_equal(t.axis[0].size, p->problem.k);
    assert_int_equal(golden_run(&g, &p->sim, &sums, NULL), OK);
    struct experiment *e = experiment_new(&p->sim, g, ENGINE_REPLAY, 10);
    for (uint64_t i = 0; i < 40; i++) {
        const struct fault f = campaign_fault(g, seed, i);
        struct experiment_result r;
        experiment_run(e, &f, &r);
        if (r.outcome == OUTCOME_SDC) {
            stays_in_tile(p, &t, &r, p->sim.launches[f.launch].label);
            n++;
        }
    }
    experiment_free(e);
    golden_free(g);
    return n;
}

static void thread_groups_keep_to_their_tiles(void **state)
{
    (void)state;
    static const char *const shapes[] = {"1x3x23x37:40x3x3:p1", "1x9x12x13:70x1x1",
                                         "1x20x9x17:20x3x3:p1:g20", "1x5x6x27:40x3x3:nhwc",
                                         "1x4x6x7:36x3x3:p1"};
    const uint64_t seed = print_seed();
    size_t n_impls;
    const struct conv_impl *impls = conv_impls(&n_impls);
    for (size_t i = 0; i < n_impls; i++) {
        size_t n = 0;
        if (impls[i].supports.batch) /* tilings are of one image */
            continue;
        for (size_t j = 0; j < sizeof shapes / sizeof *shapes; j++) {
            struct case_ x;
            if (!case_init(&x, &impls[i], shapes[j]))
                continue;
            n += faults_stay(&x, seed);
            case_fini(&x);
        }
        print_message("%-24s %zu faults stay within tiles\n", impls[i].name, n);
        assert_true(n > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_thread_spoils_its_own),
                                       cmocka_unit_test(thread_groups_keep_to_their_tiles)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
