/* Which fault sites can matter: those whose value, in the fault-free run, goes on to the result. */
#ifndef CAMPAIGN_LIVE_H
#define CAMPAIGN_LIVE_H

#include "base/arena.h"
#include "base/diag.h"
#include "base/tiling.h"
#include "inject/inject.h"
#include "simt/simt.h"

/* For each launch and instruction, its sites of this kind (results or addresses), and how many of them are live:
 * computed with, on the way to the output, as values, as addresses, or as conditions of what has an effect. Found by
 * running forwards, then each launch's CTAs backwards. Not live is also what only keeps a thread from doing something,
 * such as the index that tells it that it has nothing to do or that it is beyond the map (few faults there set it to
 * work), and what is multiplied by zero: inputs without zeros show what the problem's shape alone does. In a.
 * output: where the only image's output lies; then the live sites are told apart by how far their influence extends.
 * NULL: they are not.
 * ERR_UNSUPPORTED: cells, kernels with calls or copies into shared memory, or so many launches that their memory would
 * not fit. ERR_INPUT: it traps without a fault. */
struct live_count {
    uint64_t sites, live;
    size_t n_influences; /* 0: not known */
    struct tiling_influence *influences;
};
struct live_output {
    const struct tiling *tiling;
    bool channels_last; /* NHWC */
};
int campaign_live(struct live_count ***out, struct arena *a, const struct simt_program *p,
                  const struct fault_kind *kind, const struct live_output *output, struct diag *d);

#endif
