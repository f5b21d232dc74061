/* Do the models tell the truth? A campaign's own faulty tensors through the rest of the network
 * (truth) beside errors drawn from models and baselines, on the same images. */
#ifndef SIMULATE_VALIDATE_H
#define SIMULATE_VALIDATE_H

#include "simulate/simulate.h"
#include "simulate/tally.h"

/* options: as for simulate_run. */
int validate_shares(struct effect_shares *out, const struct sim_options *options, struct diag *d);

/* other against truth: differences of the shares, and 1 - the mean of their absolute values. */
struct agreement {
    double difference[N_EFFECTS];
    struct interval interval[N_EFFECTS];
    double agreement;
};
struct agreement validate_compare(const struct effect_shares *truth,
                                  const struct effect_shares *other);

#endif
