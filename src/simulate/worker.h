/* One thread's part of a simulation: a network of its own, trials on one image after another. */
#ifndef SIMULATE_WORKER_H
#define SIMULATE_WORKER_H

#include <pthread.h>

#include "nn/nn.h"
#include "simulate/judge.h"
#include "simulate/targets.h"
#include "store/store.h"

/* What all workers share and none changes. */
struct simulation {
    const char *network;
    struct dataset data;
    struct targets targets;
    struct judge judge;
    uint64_t seed, images;
};

/* A layer as the present image has it: made when the first error strikes it. */
struct struck {
    bool ready;
    struct layer_output output;
    float *bare; /* NULL: as golden */
};

struct worker {
    const struct simulation *sim;
    struct nn *net;
    struct nn_delta *delta;
    struct arena arena, image_arena;
    size_t slots; /* errors that are simulated together */
    struct difference *diffs;
    uint32_t *at; /* slots times the largest target's elements */
    float *faulty;
    struct nn_error *errors;
    struct struck *struck; /* by target */
    uint64_t image;        /* that it is at */
    struct golden_answer golden;
    struct diag diag;
};
int worker_init(struct worker *w, const struct simulation *sim, struct diag *d);
void worker_fini(struct worker *w);

/* The image of a trial, and the generator for the rest of its draws. */
uint64_t trial_image(const struct simulation *sim, uint64_t number, struct rng *r);
/* Make the fault-free run of an image. */
int worker_image(struct worker *w, uint64_t image);
/* n trials, at most w->slots, which are on that image; out[k] has its number already. */
int worker_trials(struct worker *w, size_t n, struct store_trial *const *out);

#endif
