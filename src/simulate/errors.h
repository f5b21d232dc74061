/* Where errors come from: a campaign's own faulty tensors, or a model. */
#ifndef SIMULATE_ERRORS_H
#define SIMULATE_ERRORS_H

#include "base/arena.h"
#include "base/diag.h"
#include "base/rng.h"
#include "characterise/characterise.h"
#include "model/model.h"
#include "simulate/simulate.h"

/* One corruption that a campaign measured. */
struct measured {
    int64_t injection;
    int pattern; /* at the campaign's first epsilon, -1 if none */
    size_t n;
    const struct difference *diffs; /* golden and faulty as the campaign had them: no bias */
};

struct errors {
    struct model *model;             /* or else: */
    const struct baseline *baseline; /* or else: */
    size_t n_measured;
    struct measured *measured;
    const char *impl; /* of the campaign, "" if unknown */
};
/* From the options' model, campaign or baseline. chw: the layer's output. Belongs to a. */
int errors_load(struct errors *out, struct arena *a, const struct sim_options *o, const size_t chw[3],
                struct diag *d);
/* "direct" or "model", as stores have it, and what the errors were drawn from. */
const char *errors_kind(const struct sim_options *o);
const char *errors_origin(const struct sim_options *o);

struct one_error {
    int64_t injection; /* -1 if drawn from a model */
    int pattern;
    size_t n; /* elements corrupted */
};
/* A layer's fault-free output for an image, C x H x W; bare: before the bias was added, which is what
 * the implementations compute and campaigns and models speak of. */
struct layer_output {
    const size_t *chw;
    const float *golden, *bare;
    struct value_range range, bare_range;
};
/* Error of trial `number`. r: the trial's own generator. Writes at most C*H*W differences with the
 * values that the layer gives now. */
struct one_error errors_draw(const struct errors *e, uint64_t number, struct rng *r,
                             const struct layer_output *layer, struct difference *out);

#endif
