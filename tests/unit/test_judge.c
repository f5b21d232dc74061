/* What an error did to the answer, by task, against figures worked out by hand; and shares by
 * property. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "simulate/judge.h"
#include "simulate/tally.h"

static struct judge make(const char *task, int rank, const size_t *dim)
{
    struct tensor shape = {.rank = rank};
    struct diag d = {0};
    struct judge j;
    memcpy(shape.dim, dim, (size_t)rank * sizeof *dim);
    if (judge_make(&j, task, &shape, &d) != OK)
        fail_msg("%s", d.msg);
    return j;
}

static struct store_trial judged(const struct judge *j, const float *golden, const float *faulty)
{
    struct arena a = {0};
    struct golden_answer g;
    struct store_trial t = {0};
    judge_golden(&g, &a, j, golden);
    judge_error(&t, j, &g, faulty);
    arena_fini(&a);
    return t;
}

static void close_to(double have, double want)
{
    if (fabs(have - want) > 1e-6)
        fail_msg("%.9g instead of %.9g", have, want);
}

static void classification(void **state)
{
    (void)state;
    const size_t dim[] = {1, 6};
    const float golden[6] = {0, 1, 2, 3, 4, 5}, same[6] = {9, 1, 2, 3, 4, 10},
                other[6] = {0, 1, 2, 3, 6, 5};
    const float lost[6] = {6, 7, 8, 9, 10, 5}, nan[6] = {0, 1, NAN, 3, 4, 5},
                inf[6] = {0, 1, 2, 3, 4, INFINITY};
    struct judge j = make(NULL, 2, dim);
    assert_int_equal(j.task, TASK_TOP_1);
    struct store_trial t = judged(&j, golden, NULL);
    assert_int_equal(t.effect, EFFECT_MASKED);
    assert_true(t.top5 && t.finite && t.measure == 0 && t.answer_faulty == 5);
    t = judged(&j, golden, same);
    assert_int_equal(t.effect, EFFECT_TOLERABLE);
    assert_true(t.score_change == 9);
    t = judged(&j, golden, other);
    assert_int_equal(t.effect, EFFECT_CRITICAL);
    assert_true(t.answer_golden == 5 && t.answer_faulty == 4 && t.top5);
    double sum = 1 + exp(-1) + exp(-2) + exp(-3) + exp(-4) + exp(-5);
    double after = exp(-1) / (1 + exp(-1) + exp(-3) + exp(-4) + exp(-5) + exp(-6));
    close_to(t.measure, 1 / sum - after);
    t = judged(&j, golden, lost);
    assert_false(t.top5);
    t = judged(&j, golden, nan);
    assert_true(t.effect == EFFECT_CRITICAL && t.answer_faulty == -1 && !t.finite &&
                isinf(t.score_change));
    t = judged(&j, golden, inf);
    assert_true(t.effect == EFFECT_TOLERABLE && !t.finite);

    j = make("top-5", 2, dim);
    assert_int_equal(judged(&j, golden, other).effect, EFFECT_TOLERABLE);
    assert_int_equal(judged(&j, golden, lost).effect, EFFECT_CRITICAL);
    assert_int_equal(judged(&j, golden, nan).effect, EFFECT_CRITICAL);

    const float p[2] = {0.75f, 0.25f},
                q[2] = {0.5f, 0.5f}; /* probabilities are taken as they are */
    j = make("confidence:0.24", 2, (const size_t[]){1, 2});
    t = judged(&j, p, q);
    close_to(t.measure, 0.25);
    assert_int_equal(t.effect, EFFECT_CRITICAL);
    j = make("confidence:0.26", 2, (const size_t[]){1, 2});
    assert_int_equal(judged(&j, p, q).effect, EFFECT_TOLERABLE);
}

static void segmentation(void **state)
{
    (void)state;
    const size_t dim[] = {1, 2, 2, 2};
    const float golden[8] = {1, 1, 0, 0, 0, 0, 1, 1}; /* classes 0 0 1 1 */
    const float one[8] = {1, 0, 0, 0, 0, 1, 1, 1};    /* 0 1 1 1: IoU 1/2 and 2/3 */
    const float nan[8] = {1, NAN, 0, 0, 0, 0, 1, 1};  /* 0 - 1 1: IoU 1/2 and 1 */
    struct judge j = make(NULL, 4, dim);
    assert_int_equal(j.task, TASK_SEGMENTATION);
    close_to(judged(&j, golden, NULL).measure, 1);
    struct store_trial t = judged(&j, golden, one);
    close_to(t.measure, (1.0 / 2 + 2.0 / 3) / 2);
    assert_int_equal(t.effect, EFFECT_CRITICAL);
    t = judged(&j, golden, nan);
    close_to(t.measure, 0.75);
    assert_false(t.finite);
    j = make("segmentation:0.5", 4, dim);
    assert_int_equal(judged(&j, golden, one).effect, EFFECT_TOLERABLE);
}

static void detection(void **state)
{
    (void)state;
    enum { N = 8, V = 7 }; /* x y w h objectness, two classes */
    float golden[N * V] = {10, 10,   4,    4,  1,  0.9f, 0.1f, 20,   20, 4, 4,
                           1,  0.1f, 0.8f, 30, 30, 4,    4,    0.1f, 1,  0};
    float faulty[N * V];
    struct judge j = make("detection", 3, (const size_t[]){1, N, V});
    memcpy(faulty, golden, sizeof faulty);
    faulty[0] = 11; /* overlap 3 of 4: IoU 12 / 20 = 0.6 */
    struct store_trial t = judged(&j, golden, faulty);
    assert_true(t.effect == EFFECT_TOLERABLE && t.measure == 1);
    faulty[0] = 12; /* 8 / 24 */
    t = judged(&j, golden, faulty);
    close_to(t.measure, 0.5); /* one of two, and one of two */
    assert_int_equal(t.effect, EFFECT_CRITICAL);
    memcpy(faulty, golden, sizeof faulty);
    faulty[5] = 0.1f, faulty[6] = 0.9f; /* another class */
    assert_int_equal(judged(&j, golden, faulty).effect, EFFECT_CRITICAL);
    memcpy(faulty, golden, sizeof faulty);
    faulty[2 * V + 4] = 0.9f; /* a ghost */
    t = judged(&j, golden, faulty);
    close_to(t.measure, 2.0 * 2 / (2 + 3));
    faulty[2 * V + 4] = NAN; /* no box */
    assert_int_equal(judged(&j, golden, faulty).effect, EFFECT_TOLERABLE);

    enum { M = 9 }; /* YOLOv8: a column for each box, without objectness */
    float columns[6 * M] = {0}, moved[6 * M];
    columns[0] = columns[M] = 5, columns[2 * M] = columns[3 * M] = 2, columns[5 * M] = 0.7f;
    memcpy(moved, columns, sizeof moved);
    moved[0] = 9;
    j = make("detection", 3, (const size_t[]){1, 6, M});
    t = judged(&j, columns, moved);
    assert_true(t.effect == EFFECT_CRITICAL && t.measure == 0);
}

static void regression_and_refusals(void **state)
{
    (void)state;
    struct judge j = make("regression:0.5", 2, (const size_t[]){1, 1});
    const float was = 1, near = 1.5f, far = 1.75f, nan = NAN;
    assert_int_equal(judged(&j, &was, &near).effect, EFFECT_TOLERABLE);
    assert_int_equal(judged(&j, &was, &far).effect, EFFECT_CRITICAL);
    assert_int_equal(judged(&j, &was, &nan).effect, EFFECT_CRITICAL);
    static const char *const bad[] = {"regression",    "top-1:3",   "confidence:2", "confidence:x",
                                      "segmentation:", "detection", "segmentation", "bogus"};
    struct tensor shape = {.rank = 2, .dim = {1, 10}};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        struct diag d = {0};
        if (judge_make(&j, bad[k], &shape, &d) != ERR_INPUT || !*d.msg)
            fail_msg("'%s' is not refused", bad[k]);
    }
}

/* Errors whose effect hangs on the image alone: as many independent trials as images. */
static void clusters(void **state)
{
    (void)state;
    struct breakdown *b = breakdown_new();
    struct effect_shares s;
    enum { IMAGES = 40, EACH = 50 };
    for (uint64_t k = 0; k < IMAGES * EACH; k++) {
        struct store_trial t = {.number = k,
                                .image = k % IMAGES,
                                .layer = k % 3,
                                .injection = -1,
                                .pattern = 2,
                                .label = (int)(k % IMAGES % 10),
                                .answer_golden = 1,
                                .top5 = true,
                                .finite = k % 4,
                                .magnitude = k % 2 ? 0.05 : INFINITY,
                                .measure = 0.5,
                                .effect = k % IMAGES % 4 ? EFFECT_MASKED : EFFECT_CRITICAL};
        breakdown_add(b, &t);
    }
    tally_shares(&s, breakdown_all(b));
    struct interval want = stats_wilson(10, 40, 0.95);
    close_to(s.share[EFFECT_CRITICAL], 0.25);
    assert_true(fabs(s.interval[EFFECT_CRITICAL].lo - want.lo) < 0.01 &&
                fabs(s.interval[EFFECT_CRITICAL].hi - want.hi) < 0.01);
    assert_int_equal(s.not_finite, IMAGES * EACH / 4);
    close_to(s.measure, 0.5);
    assert_int_equal(breakdown_n(b, BY_LAYER), 3);
    assert_int_equal(breakdown_n(b, BY_CLASS), 10);
    assert_int_equal(breakdown_n(b, BY_PATTERN), 1);
    assert_int_equal(breakdown_n(b, BY_MAGNITUDE), 2);
    int key;
    uint64_t total = 0;
    for (size_t k = 0; k < 10; k++) {
        tally_shares(&s, breakdown_get(b, BY_CLASS, k, &key));
        assert_int_equal(key, k);
        total += s.n;
    }
    assert_int_equal(total, IMAGES * EACH);
    breakdown_get(b, BY_MAGNITUDE, 0, &key);
    assert_int_equal(key, -2);
    breakdown_get(b, BY_MAGNITUDE, 1, &key);
    assert_int_equal(key, MAGNITUDE_NOT_FINITE);
    breakdown_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classification), cmocka_unit_test(segmentation),
        cmocka_unit_test(detection),      cmocka_unit_test(regression_and_refusals),
        cmocka_unit_test(clusters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
