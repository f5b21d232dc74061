/* Do the models tell the truth? A campaign's own faulty tensors through the rest of the network (truth)
 * beside errors drawn from models and baselines, on the same images. */
#ifndef SIMULATE_VALIDATE_H
#define SIMULATE_VALIDATE_H

#include "simulate/simulate.h"
#include "stats/stats.h"
#include "vocab/vocab.h"

/* What became of one source's errors. Intervals are at 95 % and respect that trials come in clusters: of
 * one injection for the truth, of one image for draws. */
struct effect_shares {
    uint64_t n;
    uint64_t count[N_EFFECTS];
    double share[N_EFFECTS], variance[N_EFFECTS];
    struct interval interval[N_EFFECTS];
};
/* options: as for simulate_run. */
int validate_shares(struct effect_shares *out, const struct sim_options *options, struct diag *d);

/* other against truth: differences of the shares, and 1 - the mean of their absolute values. */
struct agreement {
    double difference[N_EFFECTS];
    struct interval interval[N_EFFECTS];
    double agreement;
};
struct agreement validate_compare(const struct effect_shares *truth, const struct effect_shares *other);

#endif
