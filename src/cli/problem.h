/* The options that say which convolution: shared by conv run and inject. */
#ifndef CLI_PROBLEM_H
#define CLI_PROBLEM_H

#include "cli/cli.h"
#include "conv/conv.h"

struct problem_args {
    const char *impl, *shape, *layout, *tile;
    const char *input, *filter;      /* .npy files */
    const char *onnx, *layer, *data; /* or a layer of a network */
    uint64_t image, data_seed;
};

#define PROBLEM_OPTIONS(type, field)                                                               \
    {"impl", 0, OPT_STRING, "NAME", "implementation (see conv list)", offsetof(type, field.impl)}, \
        {"shape",                                                                                  \
         0,                                                                                        \
         OPT_STRING,                                                                               \
         "SHAPE",                                                                                  \
         "N x C x H x W : K x R x S [:p1] [:s2] [:d1] [:g1] [:nhwc]",                              \
         offsetof(type, field.shape)},                                                             \
        {"layout",                                                                                 \
         0,                                                                                        \
         OPT_STRING,                                                                               \
         "L",                                                                                      \
         "nchw or nhwc: of tensors in the GPU's memory (files are NCHW)",                          \
         offsetof(type, field.layout)},                                                            \
        {"tile",                                                                                   \
         0,                                                                                        \
         OPT_STRING,                                                                               \
         "NAME",                                                                                   \
         "tile sizes; default: as a library would choose",                                         \
         offsetof(type, field.tile)},                                                              \
        {"input",                                                                                  \
         0,                                                                                        \
         OPT_STRING,                                                                               \
         "FILE.npy",                                                                               \
         "input tensor, or the store that has it; default: random in [-1, 1)",                     \
         offsetof(type, field.input)},                                                             \
        {"filter",                                                                                 \
         0,                                                                                        \
         OPT_STRING,                                                                               \
         "FILE.npy",                                                                               \
         "filter tensor, or the store that has it; default: random in [-1, 1)",                    \
         offsetof(type, field.filter)},                                                            \
        {"data-seed",                                                                              \
         0,                                                                                        \
         OPT_U64,                                                                                  \
         "N",                                                                                      \
         "seed of the random tensors",                                                             \
         offsetof(type, field.data_seed)},                                                         \
        {"onnx",                                                                                   \
         0,                                                                                        \
         OPT_STRING,                                                                               \
         "NET.onnx",                                                                               \
         "take shape, filter and activations from a network",                                      \
         offsetof(type, field.onnx)},                                                              \
        {"layer",                                                                                  \
         0,                                                                                        \
         OPT_STRING,                                                                               \
         "NAME",                                                                                   \
         "with --onnx: which convolution, by name or index; else a name for it",                   \
         offsetof(type, field.layer)},                                                             \
        {"data",                                                                                   \
         0,                                                                                        \
         OPT_STRING,                                                                               \
         "SET",                                                                                    \
         "with --onnx: data set (default fashion-mnist)",                                          \
         offsetof(type, field.data)},                                                              \
    {                                                                                              \
        "image", 0, OPT_U64, "N", "with --onnx: which image of it", offsetof(type, field.image)    \
    }

struct problem {
    struct conv_problem problem;
    const struct conv_impl *impl;
    const char *layer; /* its name, "" without --onnx */
    const float *input, *filter;
};

/* Set what the options leave open; args begins with a struct problem_args. */
void problem_defaults(void *args);
/* Everything belongs to a. */
int problem_load(struct problem *out, struct arena *a, const struct problem_args *o,
                 struct diag *d);

#endif
