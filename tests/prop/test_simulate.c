/* simulate_run against the plain method (a whole inference, the error applied by hand, the rest of the
 * network), and its independence of threads. The campaign and its errors are made up, at random. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rng.h"
#include "model/model.h"
#include "nn/nn.h"
#include "simulate/validate.h"
#include "store/store.h"

static const char LENET[] = TEST_SOURCE_DIR "/examples/lenet5.onnx";
static const char CAMPAIGN[] = TEST_BINARY_DIR "/sim_campaign.db";
static const char MODEL[] = TEST_BINARY_DIR "/sim_model.json";
enum { SEED = 11, N = 3000, IMAGES = 20, N_INJECTIONS = 60, K = 16, P = 10, ELEMS = K * P * P };

static void check(int rc, const struct diag *d)
{
    if (rc != OK)
        fail_msg("%s: %s", d->file, d->msg);
}

static float any_float(struct rng *r)
{
    uint32_t bits = rng_u32(r);
    float f;
    memcpy(&f, &bits, sizeof f);
    return rng_below(r, 3) ? (float)(rng_unit(r) * 20 - 10) : f; /* now and then NaN or huge */
}

/* Every third injection is masked; the others corrupt up to 40 elements. */
static void make_campaign(float *golden)
{
    struct rng r;
    struct diag d = {0};
    struct store *s;
    static float zeros[6 * 14 * 14];
    const double epsilon = 0;
    rng_init(&r, SEED, 0);
    for (int k = 0; k < ELEMS; k++)
        golden[k] = (float)(rng_unit(&r) * 4 - 2);
    struct store_launch launch = {.kernel = "k",
                                  .label = "",
                                  .grid = {1, 1, 1},
                                  .block = {1, 1, 1},
                                  .ctas = 1,
                                  .warp_insns = 1,
                                  .thread_insns = 1,
                                  .population = 1};
    struct store_campaign c = {.impl = "implicit-gemm",
                               .shape = "1x6x14x14:16x5x5",
                               .tile = "",
                               .layer = "conv2",
                               .fault = "gp:single-bit:thread",
                               .population_kind = "machine",
                               .planned = N_INJECTIONS,
                               .tensors = STORE_ALL_TENSORS,
                               .hang_factor = 10,
                               .population = 1,
                               .warp_insns = 1,
                               .thread_insns = 1,
                               .n_epsilons = 1,
                               .epsilons = &epsilon,
                               .dim = {1, K, P, P},
                               .n_launches = 1,
                               .launches = &launch,
                               .input_floats = 6 * 14 * 14,
                               .filter_floats = 6,
                               .golden_floats = ELEMS,
                               .input = zeros,
                               .filter = zeros,
                               .golden = golden};
    unlink(CAMPAIGN);
    check(store_create(&s, CAMPAIGN, &c, &d), &d);
    for (uint64_t i = 0; i < N_INJECTIONS; i++) {
        struct store_diff diffs[40];
        struct store_label label = {.pattern = PATTERN_UNCATEGORIZED, .domain = "random"};
        size_t n = 0;
        for (uint32_t at = 0; i % 3 && n < 1 + i % 40 && at < ELEMS;
             at += 1 + (uint32_t)rng_below(&r, 60)) {
            float faulty = any_float(&r);
            diffs[n].index = at;
            memcpy(&diffs[n].faulty_bits, &faulty, sizeof faulty);
            n += memcmp(&faulty, &golden[at], sizeof faulty) != 0;
        }
        struct store_injection row = {.number = i,
                                      .outcome = n ? OUTCOME_SDC : OUTCOME_MASKED,
                                      .lanes = 1,
                                      .bits = 32,
                                      .n_diffs = n,
                                      .diffs = diffs,
                                      .labels = n ? &label : NULL};
        label.corrupted = n;
        label.channels = 1;
        check(store_add(s, &row, &d), &d);
    }
    check(store_close(s, &d), &d);
}

static void make_model(const float *golden)
{
    struct arena a = {0};
    struct model *m;
    struct diag d = {0};
    struct model_builder *b = model_builder_new();
    const size_t dim[4] = {1, K, P, P};
    for (uint32_t i = 0; i < 40; i++) {
        struct difference diffs[8];
        size_t n = i % 2 ? 1 : 8;
        for (uint32_t k = 0; k < n; k++)
            diffs[k] = (struct difference){i + 100 * k, golden[i + 100 * k], 5.0f + (float)k};
        struct characterisation c;
        struct char_options o = {0};
        characterise(&c, diffs, n, dim, characterise_range(golden, ELEMS), &o);
        model_add(b, &c, dim);
    }
    check(model_build(&m, &a, b, &d), &d);
    check(model_save(m, MODEL, &d), &d);
    model_builder_free(b);
    arena_fini(&a);
}

struct trials {
    size_t n;
    struct store_trial t[N];
};

static int collect(void *ctx, const struct store_trial *t)
{
    struct trials *all = ctx;
    assert_true(all->n < N);
    all->t[all->n++] = *t;
    return OK;
}

/* All fields: structs may differ in what lies between. */
static void same_trial(const struct store_trial *a, const struct store_trial *b)
{
    assert_true(a->number == b->number && a->image == b->image && a->layer == b->layer &&
                a->injection == b->injection && a->pattern == b->pattern &&
                a->corrupted == b->corrupted && a->effect == b->effect &&
                a->answer_golden == b->answer_golden && a->answer_faulty == b->answer_faulty &&
                a->label == b->label && a->score_change == b->score_change &&
                a->magnitude == b->magnitude && a->measure == b->measure && a->top5 == b->top5 &&
                a->finite == b->finite);
}

static struct trials *simulate(const char *model, int jobs)
{
    static const char path[] = TEST_BINARY_DIR "/sim.db";
    struct trials *all = calloc(1, sizeof *all);
    struct diag d = {0};
    struct store *s;
    struct sim_options o = {.network = LENET,
                            .dataset = "fashion-mnist",
                            .layer = "conv2",
                            .model = model,
                            .campaign = model ? NULL : CAMPAIGN,
                            .seed = SEED,
                            .n = N,
                            .images = IMAGES,
                            .jobs = jobs};
    unlink(path);
    check(simulate_run(path, &o, &d), &d);
    assert_int_equal(simulate_run(path, &o, &d), ERR_INPUT); /* a store is not overwritten */
    d = (struct diag){0};
    check(store_open(&s, path, false, &d), &d);
    check(store_sim_each(s, collect, all, &d), &d);
    check(store_close(s, &d), &d);
    assert_int_equal(all->n, N);
    return all;
}

static int setup(void **state)
{
    float *golden = malloc(ELEMS * sizeof *golden);
    make_campaign(golden);
    make_model(golden);
    *state = golden;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void threads_do_not_show(void **state)
{
    (void)state;
    const char *sources[] = {NULL, MODEL};
    for (int k = 0; k < 2; k++) {
        struct trials *one = simulate(sources[k], 1);
        for (int jobs = 2; jobs <= 3; jobs++) {
            struct trials *more = simulate(sources[k], jobs);
            for (size_t i = 0; i < N; i++)
                same_trial(&one->t[i], &more->t[i]);
            free(more);
        }
        free(one);
    }
}

static void same_images(void **state)
{
    (void)state;
    struct trials *direct = simulate(NULL, 2), *model = simulate(MODEL, 2);
    uint64_t effects[2][N_EFFECTS] = {{0}};
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(direct->t[i].image, model->t[i].image);
        assert_true(direct->t[i].injection >= 0 && model->t[i].injection < 0);
        effects[0][direct->t[i].effect]++;
        effects[1][model->t[i].effect]++;
    }
    for (int k = 0; k < 2; k++)
        print_message("%s: %llu masked, %llu tolerable, %llu critical\n", k ? "model" : "direct",
                      (unsigned long long)effects[k][EFFECT_MASKED],
                      (unsigned long long)effects[k][EFFECT_TOLERABLE],
                      (unsigned long long)effects[k][EFFECT_CRITICAL]);
    free(direct);
    free(model);
}

struct sdcs {
    size_t n;
    uint64_t number[N_INJECTIONS];
};

static int collect_sdc(void *ctx, const struct store_injection *i)
{
    struct sdcs *all = ctx;
    if (i->outcome == OUTCOME_SDC)
        all->number[all->n++] = i->number;
    return OK;
}

/* Every trial again, by whole inferences. */
static void equals_plain(void **state)
{
    const float *golden = *state;
    struct trials *all = simulate(NULL, 2);
    struct arena a = {0};
    struct diag d = {0};
    struct dataset set;
    struct nn *net;
    struct store *s;
    struct sdcs sdcs = {0};
    size_t conv;
    check(dataset_load(&set, &a, "fashion-mnist", IMAGES, &d), &d);
    check(nn_load(&net, LENET, 1, &d), &d);
    check(nn_find_conv(&conv, net, "conv2", &d), &d);
    check(store_open(&s, CAMPAIGN, false, &d), &d);
    check(store_each(s, false, collect_sdc, &sdcs, &d), &d);
    for (size_t i = 0; i < N; i++) {
        struct rng r;
        struct store_injection row;
        const struct store_trial *t = &all->t[i];
        float whole[10], part[10], layer[ELEMS];
        rng_init(&r, SEED, i);
        uint64_t image = rng_below(&r, IMAGES);
        assert_int_equal(t->image, image);
        assert_int_equal(t->injection, sdcs.number[i % sdcs.n]);
        check(store_get(s, (uint64_t)t->injection, &row, &a, &d), &d);
        check(nn_run(net, set.images + image * 784, whole, &d), &d);
        memcpy(layer, nn_layer_output(net, nn_conv_layer(net, conv)), sizeof layer);
        for (size_t k = 0; k < row.n_diffs; k++) {
            uint32_t at = row.diffs[k].index, now_bits, was_bits;
            float was = golden[at], bare = layer[at] - nn_conv(net, conv)->bias[at / (ELEMS / 16)],
                  faulty;
            memcpy(&faulty, &row.diffs[k].faulty_bits, sizeof faulty);
            memcpy(&was_bits, &was, sizeof was_bits);
            memcpy(&now_bits, &bare, sizeof now_bits);
            now_bits ^= was_bits ^ row.diffs[k].faulty_bits;
            if (isfinite(faulty) && faulty != 0 &&
                __builtin_popcount(was_bits ^ row.diffs[k].faulty_bits) == 1)
                memcpy(&faulty, &now_bits, sizeof faulty); /* one bit: the same one */
            else if (isfinite(faulty) && faulty != 0)
                faulty = (float)((double)bare + ((double)faulty - (double)was));
            layer[at] = isfinite(faulty)
                            ? (float)((double)layer[at] + ((double)faulty - (double)bare))
                            : faulty;
        }
        check(nn_run_from(net, nn_conv_layer(net, conv), layer, part, &d), &d);
        int best[2] = {0, 0};
        bool nan = false;
        for (int k = 0; k < 10; k++) {
            nan = nan || isnan(part[k]);
            best[0] = whole[k] > whole[best[0]] ? k : best[0];
            best[1] = part[k] > part[best[1]] ? k : best[1];
        }
        enum effect want = memcmp(whole, part, sizeof whole) == 0 ? EFFECT_MASKED
                           : nan || best[0] != best[1]            ? EFFECT_CRITICAL
                                                                  : EFFECT_TOLERABLE;
        assert_int_equal(t->effect, want);
        assert_int_equal(t->answer_golden, best[0]);
        assert_int_equal(t->answer_faulty, nan ? -1 : best[1]);
        assert_int_equal(t->label, set.labels[image]);
        assert_int_equal(t->corrupted, row.n_diffs);
        assert_int_equal(t->pattern, PATTERN_UNCATEGORIZED);
    }
    check(store_close(s, &d), &d);
    nn_free(net);
    arena_fini(&a);
    free(all);
}

/* Shares against counts of the stored trials; a source agrees with itself, and sums are kept. */
static void validates(void **state)
{
    (void)state;
    struct trials *all = simulate(NULL, 1);
    struct effect_shares truth, again, other;
    struct diag d = {0};
    uint64_t count[N_EFFECTS] = {0};
    struct sim_options o = {.network = LENET,
                            .dataset = "fashion-mnist",
                            .layer = "conv2",
                            .campaign = CAMPAIGN,
                            .seed = SEED,
                            .n = N,
                            .images = IMAGES,
                            .jobs = 2};
    for (size_t i = 0; i < N; i++)
        count[all->t[i].effect]++;
    check(validate_shares(&truth, &o, &d), &d);
    check(validate_shares(&again, &o, &d), &d);
    o.campaign = NULL;
    for (size_t k = 0; k < simulate_n_baselines(); k++) {
        o.baseline = simulate_baseline(k)->name;
        check(validate_shares(&other, &o, &d), &d);
        struct agreement a = validate_compare(&truth, &other);
        double sum = 0, away = 0;
        for (int e = 0; e < N_EFFECTS; e++) {
            sum += a.difference[e];
            away += fabs(a.difference[e]) / N_EFFECTS;
            assert_true(a.interval[e].lo <= a.difference[e] && a.difference[e] <= a.interval[e].hi);
        }
        assert_true(fabs(sum) < 1e-12 && fabs(1 - away - a.agreement) < 1e-12);
    }
    assert_int_equal(truth.n, N);
    for (int e = 0; e < N_EFFECTS; e++) {
        assert_int_equal(truth.count[e], count[e]);
        assert_true(truth.interval[e].lo <= truth.share[e] &&
                    truth.share[e] <= truth.interval[e].hi);
        /* 40 injections, each 75 times: the interval is wider than that of independent trials */
        struct interval naive = stats_wilson((double)count[e], N, 0.95);
        assert_true(truth.interval[e].hi - truth.interval[e].lo > naive.hi - naive.lo);
    }
    assert_true(validate_compare(&truth, &again).agreement == 1);
    free(all);
}

static void refuses(void **state)
{
    (void)state;
    static const char path[] = TEST_BINARY_DIR "/sim_refused.db";
    struct sim_options o = {.network = LENET,
                            .dataset = "fashion-mnist",
                            .layer = "conv1",
                            .campaign = CAMPAIGN,
                            .n = 10,
                            .jobs = 1};
    struct diag d = {0};
    unlink(path);
    assert_int_equal(simulate_run(path, &o, &d), ERR_INPUT);
    assert_non_null(strstr(d.msg, "another layer"));
    d = (struct diag){0};
    o.layer = "conv3";
    assert_int_equal(simulate_run(path, &o, &d), ERR_INPUT);
    assert_non_null(strstr(d.msg, "conv1, relu1"));
    bool stop = true;
    d = (struct diag){0};
    o.layer = "conv2";
    o.stop = &stop;
    assert_int_equal(simulate_run(path, &o, &d), ERR_INTERRUPTED);
    assert_int_not_equal(access(path, F_OK), 0); /* nothing is left that could pass for a result */
}

/* Several layers: in turn equally often, by exposure in proportion; each trial again by a whole inference. */
struct seen {
    size_t n;
    struct store_trial t[N];
};

static int see(void *ctx, const struct store_trial *t)
{
    struct seen *s = ctx;
    s->t[s->n++] = *t;
    return OK;
}

static void several_layers(void **state)
{
    (void)state;
    static const char *const lists[] = {"all", "convs", "fc1,conv2"};
    struct diag d = {0};
    struct seen *seen = malloc(sizeof *seen), *again = malloc(sizeof *again);
    for (int part = 0; part < N_PARTS; part++)
        for (int share = 0; share < N_SHARES; share++) {
            struct sim_options o = {.network = LENET,
                                    .dataset = "fashion-mnist",
                                    .layer = lists[(part + share) % 3],
                                    .baseline = "random-value",
                                    .strike = (enum layer_part)part,
                                    .share = (enum layer_share)share,
                                    .seed = SEED,
                                    .n = N,
                                    .images = IMAGES,
                                    .jobs = 1};
            seen->n = again->n = 0;
            check(simulate_each(&o, see, seen, &d), &d);
            o.jobs = 3;
            check(simulate_each(&o, see, again, &d), &d);
            for (size_t k = 0; k < N; k++)
                same_trial(&seen->t[k], &again->t[k]);
            size_t count[32] = {0}, layers = 0;
            for (size_t k = 0; k < N; k++) {
                layers = seen->t[k].layer + 1 > layers ? seen->t[k].layer + 1 : layers;
                count[seen->t[k].layer]++;
            }
            assert_true(layers > 1);
            for (size_t k = 0; share == SHARE_TURN && k < layers; k++)
                assert_true(count[k] == N / layers || count[k] == N / layers + 1);
            if (share == SHARE_EXPOSURE &&
                part == PART_BIAS) /* all layers with one: 6 16 120 84 10 */
                assert_true(count[2] > count[0] && count[2] > count[4]);
        }
    struct sim_options o = {.network = LENET,
                            .dataset = "fashion-mnist",
                            .layer = "relu1",
                            .seed = SEED,
                            .n = N,
                            .baseline = "single-bit",
                            .strike = PART_WEIGHTS};
    assert_int_equal(simulate_each(&o, see, seen, &d), ERR_INPUT); /* it has none */
    o.strike = PART_OUTPUT, o.layer = "conv1,conv1";
    assert_int_equal(simulate_each(&o, see, seen, &d), ERR_INPUT);
    o.layer = "flatten";
    assert_int_equal(simulate_each(&o, see, seen, &d), ERR_INPUT); /* it computes nothing */
    free(seen);
    free(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_do_not_show), cmocka_unit_test(same_images),
        cmocka_unit_test(equals_plain),        cmocka_unit_test(validates),
        cmocka_unit_test(several_layers),      cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
