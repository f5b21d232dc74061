/* Errors -> effects on a CNN's answers: draws errors (from a campaign's own faulty tensors, or from
 * a model), corrupts one layer's output with each, finishes the inference, compares with
 * fault-free. */
#ifndef SIMULATE_SIMULATE_H
#define SIMULATE_SIMULATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"
#include "store/store.h"

struct arena;
struct model;
struct nn_conv;

struct sim_progress {
    uint64_t done, planned;
    uint64_t masked, tolerable, critical;
    double seconds;
};
struct sim_options {
    const char *network; /* ONNX file */
    const char *dataset;
    const char *layer; /* names of nodes or outputs, or indices of convolutions, with commas
                        * between; "all" layers; "convs": all convolutions */
    const char
        *model; /* model JSON, or NULL; with several layers one for all or, with commas, for each */
    const char *campaign; /* campaign store, for direct errors, or NULL; likewise */
    const char *baseline; /* what other injectors do, by name, or NULL: exactly one of the three */
    const char *task; /* a word of vocab_tasks and maybe a bound; NULL: by the network's output */
    enum layer_part strike; /* parameters are struck by baselines only */
    enum layer_share share; /* of the errors among several layers */
    const char *impl;       /* recorded only; may be NULL */
    /* Make a model draw for a layer's output chw that it may not have been measured on; conv: what computes it,
     * NULL if the layer is none. What it needs is in a. NULL: by the model's own tiles (model_tiling_for). */
    int (*carry)(struct model *m, struct arena *a, const size_t chw[3], const struct nn_conv *conv);
    uint64_t seed, n; /* errors to simulate */
    uint64_t images;  /* use the first so many images, 0: 256 */
    int jobs;
    void (*progress)(void *ctx, const struct sim_progress *p);
    void *progress_ctx;
    const volatile bool *stop;
};
/* Trials go to the layers in turn or by exposure. Direct: a layer's error i takes SDC number i mod
 * (number of SDCs), so that in turn every one is used equally often; the image is drawn from
 * Philox(seed, i). What was measured on the campaign's image is done to the
 * image's own fault-free value, before the bias: where one bit had flipped it flips, zero, NaN and infinity
 * replace it, other differences are added; on the campaign's own image that is the faulty tensor itself. Model: pattern, place and values drawn from Philox(seed, i) for the layer's
 * fault-free output before the bias is added, as the implementations compute it and campaigns hold
 * it; the differences drawn are then added likewise. The same seed gives direct and model trials
 * the same images. Trials go to a new store at path, which is removed if they cannot all be made.
 */
int simulate_run(const char *path, const struct sim_options *options, struct diag *d);
/* The same trials, given to each in order instead of stored; non-zero from it ends them. */
int simulate_each(const struct sim_options *options,
                  int (*each)(void *ctx, const struct store_trial *t), void *ctx, struct diag *d);

/* Baselines: errors in one random element of the layer's output, as the injectors at application
 * level make them. */
struct sim_baseline {
    const char *name, *help;
};
size_t simulate_n_baselines(void);
const struct sim_baseline *simulate_baseline(size_t i);

#endif
