/* Draws as the generator of the CLASSES tools: the accidents that are known of it, found again. */
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
#include "model/model.h"

enum { SEED = 17, C = 16, H = 32, W = 32, HW = H * W, ELEMS = C * HW };

static struct model *model_of(struct arena *a, const char *pattern, const char *keys,
                              const char *stats, const char *domain)
{
    struct model *m;
    struct diag d = {0};
    const char *text =
        arena_printf(a,
                     "{\"%s\": {\"count\": 9, \"domain_classes\": [{%s, \"count\": 9}], "
                     "\"parameters\": [{\"keys\": {%s}, \"stats\": {%s}, \"count\": 9}]}}",
                     pattern, domain, keys, stats);
    if (model_parse(&m, a, (struct text){"model", text, strlen(text)}, &d) != OK)
        fail_msg("%s", d.msg);
    return m;
}

#define IN_RANGE "\"in_range\": [100.0, 100.0]"
#define CHANNELS(n, lo, hi)                                                                        \
    "\"max_corrupted_channels\": " #n ", \"min_channel_skip\": " #lo ", "                          \
    "\"max_channel_skip\": " #hi

struct draws {
    struct arena a;
    struct model *m;
    struct rng r;
    size_t n;
    struct difference d[ELEMS];
    struct value_range range;
    bool second_first;
};

static void begin(struct draws *x, const char *pattern, const char *keys, const char *stats,
                  const char *domain)
{
    *x = (struct draws){.range = {-3, 4}};
    rng_init(&x->r, SEED, 0);
    x->m = model_of(&x->a, pattern, keys, stats, domain);
}

static void next(struct draws *x)
{
    const size_t s[3] = {C, H, W};
    struct model_draw drawn;
    struct diag d = {0};
    assert_int_equal(
        model_draw_classes(&drawn, x->m, &x->r, s, NULL, x->range, x->second_first, x->d, &d), OK);
    x->n = drawn.n;
    for (size_t i = 0; i < x->n; i++)
        assert_true(x->d[i].index < ELEMS && (i == 0 || x->d[i].index > x->d[i - 1].index));
}

static enum pattern is(const struct draws *x)
{
    uint32_t index[ELEMS];
    for (size_t i = 0; i < x->n; i++)
        index[i] = x->d[i].index;
    return characterise_pattern(index, x->n, (const size_t[]){1, C, H, W}, true);
}

static void cells_are_drawn_with_replacement(void **state)
{
    (void)state;
    static struct draws x;
    double share = 0;
    begin(&x, "full_channels",
          "\"avg_channel_corruption_pct\": [100, 100], \"affected_channels_pct\": [0, 10]",
          CHANNELS(1, 1, 1), IN_RANGE);
    for (int i = 0; i < 200; i++) {
        next(&x);
        share += (double)x.n / HW / 200;
    }
    print_message("all of a channel asked for: %.4f come\n", share);
    assert_true(fabs(share - (1 - exp(-1))) < 0.005);
    arena_fini(&x.a);
}

static void two_neighbouring_channels_are_always_one(void **state)
{
    (void)state;
    static struct draws x;
    begin(&x, "bullet_wake", "\"affected_channels_pct\": [10, 15]", CHANNELS(2, 1, 1), IN_RANGE);
    for (int i = 0; i < 500; i++) {
        next(&x);
        assert_int_equal(x.n, 1);
    }
    arena_fini(&x.a);
}

static void spans_are_always_the_largest(void **state)
{
    (void)state;
    static struct draws x;
    begin(&x, "bullet_wake", "\"affected_channels_pct\": [25, 25]", CHANNELS(4, 1, 3), IN_RANGE);
    size_t largest = 0;
    for (int i = 0; i < 500; i++) {
        next(&x);
        size_t first = x.d[0].index / HW, last = x.d[x.n - 1].index / HW;
        assert_int_equal(x.n, 4);
        assert_true(last - first == 9 || last == C - 1); /* clipped at the last channel only */
        largest += last - first == 9;
    }
    assert_true(largest > 100);
    arena_fini(&x.a);
}

static void rectangles_are_runs_and_shattered_is_never_quasi(void **state)
{
    (void)state;
    static struct draws x;
    begin(&x, "rectangles",
          "\"rectangle_width\": 4, \"rectangle_height\": 5, \"affected_channels_pct\": [0, 10]",
          CHANNELS(1, 1, 1), IN_RANGE);
    for (int i = 0; i < 200; i++) {
        next(&x);
        assert_int_equal(x.d[x.n - 1].index - x.d[0].index + 1, x.n);
        assert_int_equal(x.n, 20);
        assert_true(is(&x) != PATTERN_RECTANGLES);
    }
    arena_fini(&x.a);
    begin(&x, "quasi_shattered_channel",
          "\"avg_span_corruption_pct\": [10, 20], \"affected_channels_pct\": [10, 30]",
          CHANNELS(5, 1, 3) ", \"min_span_width\": 70, \"max_span_width\": 300", IN_RANGE);
    for (int i = 0; i < 200; i++) {
        next(&x);
        assert_true(is(&x) != PATTERN_QUASI_SHATTERED_CHANNEL);
    }
    arena_fini(&x.a);
}

static void skip_4_starts_at_multiples_of_4(void **state)
{
    (void)state;
    static struct draws x;
    begin(
        &x, "skip_4",
        "\"skip_amount\": 4, \"unique_channel_indexes\": 7, \"indexes_corruption_pct\": [90, 100], "
        "\"affected_channels_pct\": [0, 10]",
        CHANNELS(1, 1, 1), IN_RANGE);
    for (int i = 0; i < 500; i++) {
        next(&x);
        assert_int_equal(x.n, 7);
        for (size_t k = 0; k < x.n; k++)
            assert_true(x.d[k].index % 4 == 0 && (k == 0 || x.d[k].index == x.d[k - 1].index + 4));
    }
    arena_fini(&x.a);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void values_are_theirs(void **state)
{
    (void)state;
    enum { N = 4000 };
    static struct draws x;
    static double size[N];
    int positive = 0, minus_zero = 0;
    begin(&x, "single", "", "", "\"out_of_range\": [100, 100]");
    for (int i = 0; i < N; i++) {
        next(&x);
        double v = (double)x.d[0].faulty;
        assert_true(isfinite(v) && (v >= 4 || v <= -3));
        positive += v > 0;
        size[i] = fabs(v);
    }
    qsort(size, N, sizeof *size, by_size);
    print_message("out of [-3, 4]: median size %.1e\n", size[N / 2]);
    assert_true(size[N / 2] > 1e18 && size[N / 2] < 1e20); /* uniform over bit patterns */
    assert_true(abs(positive - N / 2) < 200);
    x.range = (struct value_range){1, 6};
    for (int i = 0; i < N; i++) {
        next(&x);
        minus_zero += x.d[0].faulty == 0 && signbit(x.d[0].faulty);
        assert_true(x.d[0].faulty <= 0 || x.d[0].faulty >= 6);
    }
    print_message("out of [1, 6]: %.3f are -0\n", (double)minus_zero / N);
    assert_true(minus_zero > N / 5 && minus_zero < N * 3 / 10);
    arena_fini(&x.a);
    begin(&x, "single", "", "", "\"flip\": [100, 100]");
    for (int i = 0; i < 500; i++) {
        uint32_t u;
        next(&x);
        memcpy(&u, &x.d[0].faulty, sizeof u);
        assert_true(u != 0 && (u & (u - 1)) == 0); /* one bit, not the value with one bit flipped */
    }
    x.range = (struct value_range){-6, -1};
    next(&x);
    arena_fini(&x.a);
    begin(&x, "single", "", "", "\"out_of_range\": [100, 100]");
    struct diag d = {0};
    struct model_draw drawn;
    assert_int_equal(model_draw_classes(&drawn, x.m, &x.r, (const size_t[]){C, H, W}, NULL,
                                        (struct value_range){-6, -1}, false, x.d, &d),
                     ERR_INPUT);
    arena_fini(&x.a);
}

/* Of the published range [12.5, 100] every share is as likely: whose range counts decides. */
static void which_class_is_first_matters(void **state)
{
    (void)state;
    static struct draws x;
    double share[2] = {0};
    for (int second = 0; second < 2; second++) {
        begin(&x, "full_channels",
              "\"avg_channel_corruption_pct\": [90, 100], \"affected_channels_pct\": [0, 10]",
              CHANNELS(1, 1, 1), "\"out_of_range\": [75.0, 87.5], \"in_range\": [12.5, 100]");
        x.second_first = second;
        for (int i = 0; i < 300; i++) {
            size_t in = 0;
            next(&x);
            for (size_t k = 0; k < x.n; k++)
                in += x.d[k].faulty > -3 && x.d[k].faulty < 4;
            share[second] += (double)in / (double)x.n / 300;
        }
        arena_fini(&x.a);
    }
    print_message("in range: %.3f, or %.3f\n", share[0], share[1]);
    assert_true(fabs(share[0] - 0.1875) < 0.02 && fabs(share[1] - 0.5625) < 0.06);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_are_drawn_with_replacement),
        cmocka_unit_test(two_neighbouring_channels_are_always_one),
        cmocka_unit_test(spans_are_always_the_largest),
        cmocka_unit_test(rectangles_are_runs_and_shattered_is_never_quasi),
        cmocka_unit_test(skip_4_starts_at_multiples_of_4),
        cmocka_unit_test(values_are_theirs),
        cmocka_unit_test(which_class_is_first_matters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
