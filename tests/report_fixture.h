/* Small synthetic campaigns and simulations, written through the store's own functions. */
#ifndef TESTS_REPORT_FIXTURE_H
#define TESTS_REPORT_FIXTURE_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"
#include "store/store.h"

#define MUST(call)                                                                                 \
    do {                                                                                           \
        struct diag d_ = {0};                                                                      \
        struct diag *d = &d_;                                                                      \
        if ((call) != OK) {                                                                        \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, d_.file, d_.msg);               \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

enum { FIX_K = 4, FIX_P = 8, FIX_Q = 8, FIX_ELEMS = FIX_K * FIX_P * FIX_Q };

/* One injection: for an SDC, its pattern at epsilon 0 and at 1e-3 (-1: below that), the number of
 * corrupted values and the largest error. */
struct fix_row {
    enum outcome outcome;
    enum trap_kind trap;
    int pattern, pattern_coarse;
    uint32_t corrupted;
    double error;
    int line;
};

static const double fix_epsilons[2] = {0, 1e-3};

/* Corrupted positions that look like the pattern, so that pictures have something to show. */
static inline size_t fix_place(uint32_t *index, const struct fix_row *r, struct rng *rng)
{
    size_t n = 0, area = FIX_P * FIX_Q;
    uint32_t at = (uint32_t)rng_below(rng, area / 2), channel = (uint32_t)rng_below(rng, FIX_K);
    bool many = r->pattern == PATTERN_BULLET_WAKE || r->pattern == PATTERN_FULL_CHANNELS ||
                r->pattern == PATTERN_SHATTERED_CHANNEL;
    for (uint32_t c = many ? 0 : channel; c < FIX_K && n < r->corrupted; c++)
        for (uint32_t p = r->pattern == PATTERN_FULL_CHANNELS ? 0 : at;
             p < area && n < r->corrupted; p++) {
            index[n++] = c * (uint32_t)area + p;
            if (r->pattern == PATTERN_BULLET_WAKE)
                break;
            if (r->pattern == PATTERN_SAME_ROW && p % FIX_Q == FIX_Q - 1)
                break;
        }
    return n;
}

static inline void fix_campaign(const char *path, const char *layer, const char *impl,
                                const struct fix_row *row, size_t n, uint64_t population,
                                uint64_t insns, uint64_t workspace)
{
    static float golden[FIX_ELEMS];
    float input[4] = {0}, filter[4] = {0};
    struct store_launch launch = {.kernel = "conv_kernel",
                                  .label = impl,
                                  .grid = {2, 1, 1},
                                  .block = {64, 1, 1},
                                  .ctas = 2,
                                  .warp_insns = insns / 32,
                                  .thread_insns = insns,
                                  .population = population};
    struct store_campaign c = {.impl = impl,
                               .shape = "1x3x8x8:4x3x3:p1",
                               .tile = "",
                               .layer = layer,
                               .fault = "gp:single-bit:thread",
                               .population_kind = "machine",
                               .seed = 7,
                               .planned = n,
                               .tensors = STORE_ALL_TENSORS,
                               .hang_factor = 10,
                               .kernels_hash = 0x1234abcd5678ef00,
                               .population = population,
                               .warp_insns = insns / 32,
                               .thread_insns = insns,
                               .workspace_bytes = workspace,
                               .n_epsilons = 2,
                               .epsilons = fix_epsilons,
                               .dim = {1, FIX_K, FIX_P, FIX_Q},
                               .n_launches = 1,
                               .launches = &launch,
                               .input_floats = 4,
                               .filter_floats = 4,
                               .golden_floats = FIX_ELEMS,
                               .input = input,
                               .filter = filter,
                               .golden = golden};
    struct store *s = NULL;
    for (size_t i = 0; i < FIX_ELEMS; i++)
        golden[i] = (float)((int)(i % 11) - 5) / 5; /* -1 to 1 */
    unlink(path);
    MUST(store_create(&s, path, &c, d));
    for (size_t i = 0; i < n; i++) {
        struct rng rng;
        rng_init(&rng, 99, i);
        uint32_t index[FIX_ELEMS];
        struct store_diff diff[FIX_ELEMS];
        struct store_label label[2] = {{0}};
        struct store_injection in = {.number = i,
                                     .insn = (uint32_t)row[i].line,
                                     .lanes = 1,
                                     .bits = 32,
                                     .before = 1,
                                     .after = 3,
                                     .ptx_line = row[i].line,
                                     .source_line = 100 + row[i].line,
                                     .outcome = row[i].outcome,
                                     .trap = row[i].trap};
        if (row[i].outcome == OUTCOME_SDC) {
            in.n_diffs = fix_place(index, &row[i], &rng);
            in.diffs = diff;
            in.labels = label;
            in.max_abs_error = row[i].error;
            for (size_t k = 0; k < in.n_diffs; k++) {
                float f = k == 0 && isinf(row[i].error)
                              ? NAN
                              : golden[index[k]] + (float)(isinf(row[i].error) ? 1 : row[i].error) /
                                                       (float)(1 + k % 5);
                if (f == golden[index[k]]) /* too small an error for this value */
                    f = nextafterf(f, 2);
                diff[k].index = index[k];
                memcpy(&diff[k].faulty_bits, &f, sizeof f);
            }
            label[0] = (struct store_label){row[i].corrupted, 1, row[i].pattern, "in_range"};
            label[1] = row[i].pattern_coarse < 0
                           ? (struct store_label){0, 0, -1, ""}
                           : (struct store_label){row[i].corrupted, 1, row[i].pattern_coarse,
                                                  "in_range+out_of_range"};
        }
        MUST(store_add(s, &in, d));
    }
    MUST(store_close(s, d));
}

/* Trials: of each, the injection (-1: drawn from a model) and the effect. */
struct fix_trial {
    int64_t injection;
    enum effect effect;
};
static inline void fix_simulation(const char *path, const char *layer, const char *impl,
                                  const char *source, const struct fix_trial *trial, size_t n)
{
    struct store_simulation sim = {.network = "net.onnx",
                                   .dataset = "fashion-mnist",
                                   .layer = layer,
                                   .impl = impl,
                                   .task = "top-1",
                                   .strike = "output",
                                   .share = "turn",
                                   .n_layers = 1,
                                   .layers = (const struct store_struck[]){{layer, 1}},
                                   .source = source,
                                   .errors = "x",
                                   .seed = 3,
                                   .planned = n,
                                   .images = 16};
    struct store *s = NULL;
    unlink(path);
    MUST(store_sim_create(&s, path, &sim, d));
    for (size_t i = 0; i < n; i++) {
        struct store_trial t = {.number = i,
                                .image = i % 16,
                                .injection = trial[i].injection,
                                .pattern = 0,
                                .corrupted = 1,
                                .effect = trial[i].effect};
        MUST(store_sim_add(s, &t, d));
    }
    MUST(store_close(s, d));
}

/* A campaign drawn at random: of n injections so many per mille SDC and DUE, with every pattern. */
static inline size_t fix_random_rows(struct fix_row *row, size_t n, uint64_t seed, unsigned sdc,
                                     unsigned due)
{
    size_t n_sdc = 0;
    struct rng r;
    rng_init(&r, seed, 0);
    for (size_t i = 0; i < n; i++) {
        unsigned u = (unsigned)rng_below(&r, 1000);
        row[i] = (struct fix_row){.outcome = OUTCOME_MASKED, .line = 10 + (int)rng_below(&r, 12)};
        if (u < due) {
            row[i].outcome = OUTCOME_DUE;
            row[i].trap = u % 3 ? TRAP_ILLEGAL_ADDRESS : TRAP_HANG;
        } else if (u < due + sdc) {
            static const uint32_t cardinality[] = {1, 6, 30, 40, 5, 35, 4, 150, 36, 20, 50, 9, 60};
            row[i].outcome = OUTCOME_SDC;
            row[i].pattern =
                (int)(rng_below(&r, N_PATTERNS) * rng_below(&r, N_PATTERNS) / N_PATTERNS);
            row[i].pattern_coarse = rng_below(&r, 5) ? row[i].pattern : -1;
            row[i].corrupted = cardinality[row[i].pattern];
            row[i].error = rng_below(&r, 50) ? pow(10, 12 * rng_unit(&r) - 8) : INFINITY;
            n_sdc++;
        }
    }
    return n_sdc;
}

/* Its simulations: each SDC twice, and as many drawn from a model; so many per mille critical. */
static inline void fix_random_trials(const char *direct, const char *model, const char *layer,
                                     const char *impl, const struct fix_row *row, size_t n,
                                     uint64_t seed, unsigned critical)
{
    struct fix_trial *trial = calloc(2 * n + 1, sizeof *trial);
    size_t k = 0;
    struct rng r;
    rng_init(&r, seed, 1);
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < n; i++)
            if (row[i].outcome == OUTCOME_SDC)
                trial[k++] = (struct fix_trial){(int64_t)i, rng_below(&r, 1000) < critical
                                                                ? EFFECT_CRITICAL
                                                                : EFFECT_TOLERABLE};
    if (k)
        fix_simulation(direct, layer, impl, "direct", trial, k);
    for (size_t i = 0; i < k; i++)
        trial[i] = (struct fix_trial){-1, rng_below(&r, 1000) < critical ? EFFECT_CRITICAL
                                                                         : EFFECT_MASKED};
    if (k)
        fix_simulation(model, layer, impl, "model", trial, k);
    free(trial);
}

#endif
