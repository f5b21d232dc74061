/* One thread's part of a simulation: a network of its own, trials on one image after another. */
#ifndef SIMULATE_WORKER_H
#define SIMULATE_WORKER_H

#include <pthread.h>

#include "nn/nn.h"
#include "simulate/errors.h"
#include "store/store.h"

/* What the fault-free run of an image left behind. */
struct golden_image {
    bool ready;
    uint64_t image;
    float *layer;  /* the layer's output */
    void *side;    /* nn_side_save */
    float *output; /* the network's */
    struct value_range range;
    int answer;
};

/* What all workers share and none changes, but for the images, each of which one worker has at a time. */
struct simulation {
    const char *network;
    size_t conv;
    size_t chw[3], layer_floats, output_floats, side_bytes;
    struct dataset data;
    struct errors errors;
    uint64_t seed, images;
    struct golden_image *golden; /* one per image, NULL if they are too large to keep */
};
void golden_init(struct golden_image *g, struct arena *a, const struct simulation *sim);

struct worker {
    const struct simulation *sim;
    struct nn *net;
    struct arena arena;
    float *layer, *output;
    struct difference *diffs;
    struct golden_image own; /* if they are not kept */
    struct diag diag;
};
int worker_init(struct worker *w, const struct simulation *sim, struct diag *d);
void worker_fini(struct worker *w);

/* The image of a trial, and the generator for the rest of its draws. */
uint64_t trial_image(const struct simulation *sim, uint64_t number, struct rng *r);
/* The fault-free run of an image, made now unless it is kept. */
int worker_golden(const struct golden_image **out, struct worker *w, uint64_t image);
/* Trial `number`, which is on g's image. */
int worker_trial(struct worker *w, const struct golden_image *g, uint64_t number,
                 struct store_trial *out);

/* The position of the largest, the first of equals; -1 if any is not a number. */
int answer_of(const float *output, size_t n);

#endif
