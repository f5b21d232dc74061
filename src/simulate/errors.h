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
    const char *impl;  /* of the campaign, "" if unknown */
    double population; /* its fault sites; 0: not from a campaign */
};
/* Exactly one is not NULL. */
struct error_origin {
    const char *model, *campaign, *baseline;
};
/* chw: the layer's output. Belongs to a. */
int errors_load(struct errors *out, struct arena *a, const struct error_origin *o,
                const size_t chw[3], struct diag *d);

struct one_error {
    int64_t injection; /* -1 if drawn from a model */
    int pattern;       /* -1 if it has none */
    size_t n;          /* elements corrupted */
};
/* What errors strike: a layer's fault-free output for an image, C x H x W, or its weights or bias.
 * bare: before the bias was added, which is what the implementations compute and campaigns and
 * models speak of. */
struct layer_output {
    size_t chw[3], n;
    bool parameter;
    const float *golden, *bare;
    struct value_range range, bare_range;
};
/* The error of these numbers among its layer's; r: the trial's own generator. Writes at most n
 * differences with the values that the layer gives now. */
struct one_error errors_draw(const struct errors *e, uint64_t number, struct rng *r,
                             const struct layer_output *layer, struct difference *out);

#endif
