/* What a simulation's errors strike: layers of a network, each with where its errors come from. */
#ifndef SIMULATE_TARGETS_H
#define SIMULATE_TARGETS_H

#include "nn/nn.h"
#include "simulate/errors.h"

struct target {
    size_t layer; /* of the network */
    const char *name;
    size_t chw[3]; /* the layer's output as C x H x W, 1 where it has fewer dimensions */
    size_t n;      /* elements that can be struck: of the output, the weights or the bias */
    double exposure;
    struct errors errors;
};
struct targets {
    size_t n;
    struct target *of;
    enum layer_part strike;
    enum layer_share share;
    size_t room;  /* the largest n */
    double total; /* exposure */
};
/* From the options' layers and errors. In a. */
int targets_load(struct targets *out, struct arena *a, const struct nn *net,
                 const struct sim_options *o, struct diag *d);

/* Which layer trial `number` strikes, and the how manyth error of that layer it takes; r is the
 * trial's. */
size_t targets_pick(const struct targets *t, uint64_t number, struct rng *r, uint64_t *nth);

#endif
