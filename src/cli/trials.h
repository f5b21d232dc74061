/* The options that say which network, which images and how many errors: shared by simulate and validate. */
#ifndef CLI_TRIALS_H
#define CLI_TRIALS_H

#include "cli/cli.h"
#include "simulate/simulate.h"
#include "study/study.h"

struct trials_args {
    const char *onnx, *data;
    uint64_t n, seed, images;
    int jobs;
};

#define NETWORK_OPTIONS(type, field, which)                                                        \
    {"onnx", 0, OPT_STRING, "NET.onnx", which, offsetof(type, field.onnx)},                        \
    {                                                                                              \
        "data", 0, OPT_STRING, "SET", "the images (default fashion-mnist)",                        \
            offsetof(type, field.data)                                                             \
    }

/* how_many and how_many_images end in the command's defaults. */
#define TRIAL_OPTIONS(type, field, how_many, how_many_images)                                      \
    {"errors", 'n', OPT_COUNT, "N", how_many, offsetof(type, field.n)},                            \
        {"images", 0, OPT_COUNT, "N", how_many_images, offsetof(type, field.images)},              \
        {"seed",                                                                                   \
         0,                                                                                        \
         OPT_U64,                                                                                  \
         "N",                                                                                      \
         "the same seed gives the same errors (default 1)",                                        \
         offsetof(type, field.seed)},                                                              \
    {                                                                                              \
        "jobs", 'j', OPT_INT, "N", "threads (default: one per processor)",                         \
            offsetof(type, field.jobs)                                                             \
    }

static inline struct sim_options
trials_options(const struct trials_args *t, struct progress_line *line,
               void (*show)(void *line, const struct sim_progress *p))
{
    return (struct sim_options){.network = t->onnx,
                                .dataset = t->data,
                                .seed = t->seed,
                                .n = t->n,
                                .images = t->images,
                                .jobs = t->jobs,
                                .progress = show,
                                .progress_ctx = line,
                                .stop = &cli_stop,
                                .carry = study_carry_layer};
}

#endif
