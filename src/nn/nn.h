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
void nn_input_dims(const struct nn *net, struct tensor *shape);  /* .data NULL */
void nn_output_dims(const struct nn *net, struct tensor *shape);

/* Run all nodes. input: as many floats as nn_input_dims; output may be NULL. */
int nn_run(struct nn *net, const float *input, float *output, struct diag *d);

/* The convolution layers, in execution order. */
struct nn_conv {
    const char *name; /* the node's name, or its output's if it has none */
    int n, c, h, w, k, r, s;
    int pad_top, pad_bottom, pad_left, pad_right;
    int stride_h, stride_w, dilation_h, dilation_w, groups;
    const float *filter; /* k * c/groups * r * s */
    const float *bias;   /* k, or NULL */
};
size_t nn_n_convs(const struct nn *net);
const struct nn_conv *nn_conv(const struct nn *net, size_t i);
void nn_conv_dims(const struct nn *net, size_t i, struct tensor *shape); /* its output's; .data NULL */
/* By name or by index in text ("0"); ERR_INPUT lists the names. */
int nn_find_conv(size_t *out, const struct nn *net, const char *name, struct diag *d);

/* After nn_run: what conv i read, and what it gave (bias included, before any activation). Borrowed
 * until the next run. */
const float *nn_conv_input(const struct nn *net, size_t i);
const float *nn_conv_output(const struct nn *net, size_t i);
/* Overwrite conv i's output and run only the nodes after it that depend on it; what else they need
 * must be there from nn_run of the same input. data: as many floats as the conv's output. */
int nn_run_from(struct nn *net, size_t conv, const float *data, float *output, struct diag *d);

/* Many errors in conv i's output on one image after another: nn_run_from's results, bit for bit (but for
 * which NaN a NaN is), following each error only where it goes. While one is in use the net must not be
 * run otherwise. */
struct nn_delta;
int nn_delta_new(struct nn_delta **out, struct nn *net, size_t conv, struct diag *d);
void nn_delta_free(struct nn_delta *e);
/* Fault-free run; afterwards the conv's output and the network's are borrowed until the next image. */
int nn_delta_image(struct nn_delta *e, const float *input, struct diag *d);
const float *nn_delta_golden(const struct nn_delta *e);
const float *nn_delta_golden_output(const struct nn_delta *e);
/* n elements of the conv's output become faulty. *output is borrowed until the next run, or NULL if the
 * network's output is what it was, bit for bit. */
int nn_delta_run(struct nn_delta *e, size_t n, const uint32_t *at, const float *faulty,
                 const float **output, struct diag *d);

/* A tensor of float: .npy, or a TensorProto (.pb) as in ONNX's test data. In a. */
int nn_read_tensor(struct tensor *out, struct arena *a, const char *path, struct diag *d);

/* ---- Data sets ----------------------------------------------------------------------------------- */
enum { DATASET_NO_LABEL = 255 };
struct dataset {
    size_t n;                /* images */
    size_t c, h, w;
    const float *images;     /* n*c*h*w, scaled as the network expects */
    const uint8_t *labels;   /* n, DATASET_NO_LABEL where there is none */
    const char *name;
};
/* "fashion-mnist" (test), "fashion-mnist:train", a folder of IDX files or of PNG and JPEG images (with a
 * sub-folder per class), or a .npy batch; then options after commas: docs/NETWORKS.md. max 0: all. */
int dataset_load(struct dataset *out, struct arena *a, const char *name, size_t max, struct diag *d);

#endif
