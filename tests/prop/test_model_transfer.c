/* Errors put through a tiling: a made-up kernel whose faults are known exactly strikes one shape, a model of its
 * errors is drawn for others, and the kernel strikes those too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "characterise/geometry.h"
#include "model/model.h"

enum { SEED = 16, ERRORS = 6000, DRAWS = 6000, MOST = 128 * 28 * 28 };

/* A GEMM: tiles of 32 channels x 32 pixels, threads of 4 x 4; columns of Winograd units if unit > 1; blocks of
 * 4 x 8 pixels if not flat. */
struct kernel {
    size_t unit;
    bool flat;
};

static struct tiling tiling_of(const struct kernel *k, const size_t s[3])
{
    struct tiling t = {
        .n_axes = k->flat ? 2 : 3, .unit_h = k->unit, .unit_w = k->unit, .h = s[1], .w = s[2]};
    const size_t h = (s[1] + k->unit - 1) / k->unit, w = (s[2] + k->unit - 1) / k->unit;
    t.axis[0] = (struct tiling_axis){"channel", s[0], 4, 4, 4, 32};
    t.axis[1] = k->flat ? (struct tiling_axis){"pixel", h * w, 4, 4, 4, 32}
                        : (struct tiling_axis){"row", h, 1, 1, 1, 4};
    t.axis[2] = (struct tiling_axis){"column", w, 4, 4, 4, 8};
    return t;
}

/* What a fault touches on an axis: one coordinate, a thread's, a tile's, all. */
static void range_of(size_t out[2], struct rng *r, const struct tiling_axis *x, int level)
{
    const size_t tile = rng_below(r, (x->size + x->tile - 1) / x->tile) * x->tile;
    const size_t thread = tile + rng_below(r, x->tile / x->thread) * x->thread;
    out[0] = level == 0   ? thread + rng_below(r, x->thread)
             : level == 1 ? thread
             : level == 2 ? tile
                          : 0;
    out[1] = out[0] + (level == 0 ? 1 : level == 1 ? x->thread : level == 2 ? x->tile : x->size);
    out[0] = out[0] < x->size ? out[0] : x->size;
    out[1] = out[1] < x->size ? out[1] : x->size;
}

/* Accumulators, fragments, tiles in shared memory, transformed filters. */
static const int mechanisms[][2] = {{0, 0}, {0, 0}, {0, 0}, {0, 1}, {1, 0},
                                    {0, 2}, {2, 0}, {1, 1}, {2, 2}, {0, 3}};
enum { N_MECHANISMS = sizeof mechanisms / sizeof *mechanisms };

/* One fault; 0: masked. */
static size_t strike(uint32_t *index, struct rng *r, const struct tiling *t)
{
    const int *level = mechanisms[rng_below(r, N_MECHANISMS)];
    size_t on[TILING_AXES][2] = {{0}}, n = 0;
    bool *unit = calloc(t->unit_h * t->unit_w, sizeof *unit);
    for (int i = 0; i < t->n_axes; i++)
        range_of(on[i], r, &t->axis[i], level[i > 0]);
    for (size_t i = 0; i < t->unit_h * t->unit_w; i++)
        unit[i] = rng_below(r, 2);
    unit[rng_below(r, t->unit_h * t->unit_w)] = true;
    for (size_t at = 0; at < t->h * t->w && on[0][0] < on[0][1]; at++) { /* of the first channel */
        bool in = unit[at / t->w % t->unit_h * t->unit_w + at % t->w % t->unit_w];
        for (int i = 1; i < t->n_axes && in; i++) {
            const size_t x = tiling_at(t, i, at);
            in = x >= on[i][0] && x < on[i][1];
        }
        if (in)
            index[n++] = (uint32_t)(on[0][0] * t->h * t->w + at);
    }
    const size_t pixels = n;
    for (size_t c = on[0][0] + 1; c < on[0][1]; c++)
        for (size_t i = 0; i < pixels; i++, n++)
            index[n] = index[n - pixels] + (uint32_t)(t->h * t->w);
    free(unit);
    return n;
}

/* The shares of the patterns, and, if there is an a, a model of the errors. */
static struct model *measured(struct arena *a, const struct tiling *t, const size_t s[3],
                              struct rng *r, double share[static N_PATTERNS])
{
    const size_t dim[4] = {1, s[0], s[1], s[2]};
    static uint32_t index[MOST];
    static struct difference d[MOST];
    struct model_builder *b = a ? model_builder_new() : NULL;
    struct model *m = NULL;
    struct diag diag = {0};
    struct char_options o = {.epsilon = 1e-3};
    for (int i = 0; i < ERRORS;) {
        struct characterisation c;
        const size_t n = strike(index, r, t);
        if (n == 0)
            continue;
        for (size_t k = 0; k < n; k++)
            d[k] = (struct difference){index[k], 0.5f, 1.25f};
        characterise(&c, d, n, dim, (struct value_range){-1, 2}, &o);
        share[c.pattern] += 1. / ERRORS;
        if (b)
            model_add_error(b, &c, dim, d, n, MODEL_NO_STRATUM);
        i++;
    }
    if (!b)
        return NULL;
    struct model_origin origin = {
        .impl = "made up", .shape = "", .tile = "", .fault = "", .tiling = *t};
    model_set_origin(b, &origin);
    assert_int_equal(model_build(&m, a, b, &diag), OK);
    model_builder_free(b);
    char *text = model_json(a, m); /* through the file: the tiling must survive it */
    assert_int_equal(model_parse(&m, a, (struct text){"own", text, strlen(text)}, &diag), OK);
    return m;
}

static void errors_carry_over(void **state)
{
    (void)state;
    static const struct kernel kernels[] = {{1, true}, {2, true}, {1, false}, {2, false}};
    static const size_t from[3] = {32, 28, 28};
    static const size_t to[][3] = {{8, 28, 28}, {128, 28, 28}, {32, 7, 28}, {32, 28, 7}};
    static struct difference d[MOST];
    static float golden[MOST];
    const struct value_range range = {-1, 2};
    for (size_t i = 0; i < MOST; i++)
        golden[i] = 0.5f;
    for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++)
        for (size_t s = 0; s < sizeof to / sizeof *to; s++) {
            struct arena a = {0};
            struct rng r;
            double there[N_PATTERNS] = {0}, drawn[N_PATTERNS] = {0}, here[N_PATTERNS] = {0}, tv = 0,
                   kept = 0;
            const struct tiling own = tiling_of(&kernels[k], from),
                                other = tiling_of(&kernels[k], to[s]);
            rng_init(&r, SEED, 10 * k + s);
            struct model *m = measured(&a, &own, from, &r, here);
            (void)measured(NULL, &other, to[s], &r, there);
            struct tiling same = model_tiling_for(m, to[s]);
            for (int i = 0; i < same.n_axes; i++)
                assert_int_equal(same.axis[i].size, other.axis[i].size);
            assert_int_equal(model_retarget(m, &a, &(struct model_target){.tiling = other}), OK);
            const size_t dim[4] = {1, to[s][0], to[s][1], to[s][2]};
            for (int i = 0; i < DRAWS; i++) {
                struct characterisation c;
                struct char_options o = {.epsilon = 1e-3};
                struct model_draw x =
                    model_draw(m, &r, to[s], golden, range, d, dim[1] * dim[2] * dim[3]);
                characterise(&c, d, x.n, dim, range, &o);
                drawn[c.pattern] += 1. / DRAWS;
                kept += c.pattern == x.pattern && c.corrupted == x.n ? 1. / DRAWS : 0;
            }
            for (int p = 0; p < N_PATTERNS; p++)
                tv += fabs(drawn[p] - there[p]) / 2;
            double without = 0;
            for (int p = 0; p < N_PATTERNS; p++)
                without += fabs(here[p] - there[p]) / 2;
            print_message("unit %zu, %s, for %zux%zux%zu: total variation %.3f (as measured on "
                          "32x28x28: %.3f), kept %.4f\n",
                          kernels[k].unit, kernels[k].flat ? "flat" : "blocks", to[s][0], to[s][1],
                          to[s][2], tv, without, kept);
            assert_true(kept >= 0.99 && tv <= 0.05);
            arena_fini(&a);
        }
}

/* An error in a thread's 4 channels of one pixel, in all 8 of a tensor that is one tile, and in two far ones. */
static void levels_are_told_apart(void **state)
{
    (void)state;
    const struct kernel k = {1, true};
    const size_t s[3] = {64, 10, 10};
    const struct tiling t = tiling_of(&k, s);
    static const struct {
        uint32_t n, index[4];
        enum geometry_level level[2];
    } cases[] = {{1, {99}, {LEVEL_THREAD, LEVEL_THREAD}},
                 {4, {0, 100, 200, 300}, {LEVEL_THREAD, LEVEL_THREAD}},
                 {3, {0, 1, 4}, {LEVEL_THREAD, LEVEL_TILE}},
                 {2, {0, 500}, {LEVEL_TILE, LEVEL_THREAD}},
                 {2, {0, 3300}, {LEVEL_ALL, LEVEL_THREAD}},
                 {2, {0, 40}, {LEVEL_THREAD, LEVEL_ALL}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena a = {0};
        struct geometry g;
        characterise_geometry(&g, &a, cases[i].index, cases[i].n, &t, 0);
        for (int x = 0; x < 2; x++)
            if (g.axis[x].level != cases[i].level[x])
                fail_msg("case %zu, axis %d: level %s", i, x, geometry_level_word(g.axis[x].level));
        arena_fini(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(levels_are_told_apart),
                                       cmocka_unit_test(errors_carry_over)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
