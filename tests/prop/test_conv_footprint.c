/* Who computes what, seen from outside: a wrong value loaded from shared memory by one thread in the main
 * loop of a GEMM-like kernel spoils outputs of that thread only: one filter's element its pixels of one
 * channel, one pixel's element its channels of one pixel. Random faults; the seed is printed, SIEVERT_SEED
 * sets it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "prop/engines.h"

static const struct {
    const char *impl, *tile, *shape;
    int channels,
        others;  /* the most that one element spoils: channels of a pixel; pixels of a channel */
    bool images; /* those "pixels" are one pixel of several images */
} cases[] = {
    {"implicit-gemm", "128x128x8", "1x3x9x9:24x3x3:p1", 8, 8, false},
    {"implicit-gemm", "128x128x8-wide", "1x3x9x9:80x3x3:p1", 8, 8, false},
    {"implicit-gemm", "32x32x8", "1x3x9x9:24x3x3:p1", 4, 4, false},
    {"implicit-gemm", "128x128x8-16x1", "1x3x9x9:24x3x3:p1", 16, 1, false},
    {"implicit-gemm", "64x128x16-8x1", "1x3x9x9:24x3x3:p1", 8, 1, false},
    {"implicit-gemm", "128x128x8", "1x3x9x9:72x3x3:p1:nhwc", 8, 8, false},
    {"implicit-gemm", "64x128x16-1x16", "1x3x9x9:24x3x3:p1:nhwc", 16, 1, false},
    {"implicit-gemm", "128x64x16-1x8", "1x3x9x9:24x3x3:p1:nhwc", 8, 1, false},
    {"implicit-gemm-v4r1", "64x64x8-wide", "8x3x4x4:72x3x3:p1", 8, 8, true},
    {"implicit-gemm-v4r1", "128x128x8-wide", "16x3x4x4:72x3x3:p1", 8, 8, true},
};

struct place {
    size_t n, k, pixel;
};

static struct place place_of(const struct conv_problem *p, size_t i)
{
    const size_t plane = (size_t)conv_out_h(p) * (size_t)conv_out_w(p), k = (size_t)p->k;
    if (p->layout == LAYOUT_NHWC)
        return (struct place){i / k / plane, i % k, i / k % plane};
    return (struct place){i / plane / k, i / plane % k, i % plane};
}

struct seen {
    size_t channels, others, faults; /* the most there were */
};

static void judge(const struct experiment_result *r, const struct conv_problem *p, size_t c,
                  struct seen *seen)
{
    bool one_channel = true, one_image = true, one_pixel = true;
    const struct place first = place_of(p, r->diffs[0].index);
    for (size_t i = 1; i < r->n_diffs; i++) {
        const struct place at = place_of(p, r->diffs[i].index);
        one_channel = one_channel && at.k == first.k;
        one_image = one_image && at.n == first.n;
        one_pixel = one_pixel && at.pixel == first.pixel;
    }
    const size_t n = r->n_diffs;
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

static void one_thread_spoils_its_own(void **state)
{
    (void)state;
    const char *given = getenv("SIEVERT_SEED");
    const uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    const struct fault_kind loads = {
        .where = WHERE_GROUP_LD, .flip = FLIP_RANDOM_VALUE, .scope = SCOPE_THREAD};
    print_message("SIEVERT_SEED=%llu\n", (unsigned long long)seed);
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
            "%-20s %-16s %-26s %3zu faults, up to %zu channels of a pixel, %zu %s of a channel\n",
            cases[c].impl, cases[c].tile, cases[c].shape, seen.faults, seen.channels, seen.others,
            cases[c].images ? "images" : "pixels");
        assert_int_equal(seen.channels, cases[c].channels);
        assert_int_equal(seen.others, cases[c].others);
        experiment_free(e);
        golden_free(g);
        case_fini(&x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_thread_spoils_its_own)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
