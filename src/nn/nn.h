/* ONNX file + data set -> fault-free and corrupted inferences. Runs on oneDNN, one thread. */
#ifndef NN_NN_H
#define NN_NN_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/diag.h"
#include "base/tensor.h"

/* A network made ready for inputs of one batch size. Immutable after loading but for its scratch
 * memory: one per thread. */
struct nn;
/* ERR_UNSUPPORTED names the node and operator. batch replaces a dynamic first dimension. */
int nn_load(struct nn **out, const char *path, size_t batch, struct diag *d);
void nn_free(struct nn *net);
const char *nn_input_name(const struct nn *net);
void nn_input_dims(const struct nn *net, struct tensor *shape); /* .data NULL */
void nn_output_dims(const struct nn *net, struct tensor *shape);

/* Run all nodes. input: as many floats as nn_input_dims; output may be NULL. */
int nn_run(struct nn *net, const float *input, float *output, struct diag *d);

/* The layers, in execution order: each float output of each node that computes something when the network
 * runs. Errors can strike every one. */
struct nn_layer {
    const char *name; /* the node's; its output's if it has none or this is not its first output */
    const char *output; /* the value's */
    const char *op;     /* "Conv" */
    int conv;           /* number among the convolutions, -1 */
    double work;        /* multiplications (elements, where there are no weights) that it takes */
    size_t n_weights, n_biases; /* elements of its parameters; 0: has none, or not as constants */
    const float *weights, *biases;
};
size_t nn_n_layers(const struct nn *net);
const struct nn_layer *nn_layer(const struct nn *net, size_t i);
void nn_layer_dims(const struct nn *net, size_t i, struct tensor *shape); /* .data NULL */
/* By the name of its node or output, or, as a number in text, the so-many-eth convolution; ERR_INPUT lists the
 * names. */
int nn_find_layer(size_t *out, const struct nn *net, const char *name, struct diag *d);

/* Those layers that are two-dimensional convolutions with constant weights. */
struct nn_conv {
    const char *name; /* the layer's */
    int n, c, h, w, k, r, s;
    int pad_top, pad_bottom, pad_left, pad_right;
    int stride_h, stride_w, dilation_h, dilation_w, groups;
    const float *filter; /* k * c/groups * r * s */
    const float *bias;   /* k, or NULL */
};
size_t nn_n_convs(const struct nn *net);
const struct nn_conv *nn_conv(const struct nn *net, size_t i);
size_t nn_conv_layer(const struct nn *net, size_t i);
/* By name or by index in text ("0"); ERR_INPUT lists the names. */
int nn_find_conv(size_t *out, const struct nn *net, const char *name, struct diag *d);

/* After nn_run: what conv i read, and what a layer gave (bias included, before any activation). Borrowed
 * until the next run. */
const float *nn_conv_input(const struct nn *net, size_t i);
const float *nn_layer_output(const struct nn *net, size_t i);
/* The plain way, after nn_run: overwrite a layer's output and run all nodes after it. data: as many floats
 * as the output has. */
int nn_run_from(struct nn *net, size_t layer, const float *data, float *output, struct diag *d);

/* An error: n elements of a layer's output, or of its weights or bias as it reads them in this inference,
 * become faulty. */
enum nn_where { NN_OUTPUT, NN_WEIGHTS, NN_BIAS };
struct nn_error {
    size_t layer;
    enum nn_where where;
    size_t n;
    const uint32_t *at; /* each once */
    const float *faulty;
    const float *output; /* result, see nn_delta_run */
};
/* The plain way of any error: a whole run, the struck layer with it, the rest after it. */
int nn_run_struck(struct nn *net, const float *input, const struct nn_error *error, float *output,
                  struct diag *d);

/* Many errors on one image after another: nn_run_struck's results, bit for bit (but for which NaN a NaN
 * is), following each error only where it goes and several at once where operators compute batches. While
 * one is in use the net must not be run otherwise. */
struct nn_delta;
int nn_delta_new(struct nn_delta **out, struct nn *net, struct diag *d);
void nn_delta_free(struct nn_delta *e);
/* How many errors go at once at most. */
size_t nn_delta_slots(const struct nn_delta *e);
/* Fault-free run; what layers and the network gave is borrowed until the next image. */
int nn_delta_image(struct nn_delta *e, const float *input, struct diag *d);
const float *nn_delta_golden(const struct nn_delta *e, size_t layer);
const float *nn_delta_golden_output(const struct nn_delta *e);
/* n errors, each of its own layer, at most nn_delta_slots. Their output is borrowed until the next call, or
 * NULL if the network's output is what it was, bit for bit. */
int nn_delta_run(struct nn_delta *e, size_t n, struct nn_error *errors, struct diag *d);

/* A tensor of float: .npy, or a TensorProto (.pb) as in ONNX's test data. In a. */
int nn_read_tensor(struct tensor *out, struct arena *a, const char *path, struct diag *d);

/* ---- Data sets ----------------------------------------------------------------------------------- */
enum { DATASET_NO_LABEL = 255 };
struct dataset {
    size_t n; /* images */
    size_t c, h, w;
    const float *images;   /* n*c*h*w, scaled as the network expects */
    const uint8_t *labels; /* n, DATASET_NO_LABEL where there is none */
    const char *name;
};
/* "fashion-mnist" (test), "fashion-mnist:train", a folder of IDX files or of PNG and JPEG images (with a
 * sub-folder per class), or a .npy batch; then options after commas: docs/NETWORKS.md. max 0: all. */
int dataset_load(struct dataset *out, struct arena *a, const char *name, size_t max,
                 struct diag *d);

#endif
