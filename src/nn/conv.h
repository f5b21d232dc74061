/* What op_conv.c and op_conv_rows.c share. */
#ifndef NN_CONV_H
#define NN_CONV_H

#include "nn/window.h"

enum { CONV_BANDS = 4 };

struct conv_band; /* a convolution of a few output rows */

struct conv {
    struct window w;
    int64_t groups;
    dnnl_primitive_t conv, load, store, weigh; /* the last three NULL if the layouts agree */
    dnnl_memory_t x, w_plain, b, y;            /* plain */
    dnnl_memory_t x_fast, w_fast, y_fast;
    bool weigh_each; /* the weights are not known when loading */
    struct conv_band *band[CONV_BANDS]; /* 1, 2, 4, 8 times BAND_ROWS rows; made when first needed */
};

/* Make c compute y from x (in node's weights and bias) for inputs and outputs of these shapes. */
unsigned conv_make(struct nn *net, const struct nn_node *node, struct conv *c,
                   const struct nn_value *x, const struct nn_value *y);
unsigned conv_run(struct nn *net, struct conv *c);

/* run_at of a two-dimensional convolution of one image with known weights. */
size_t conv_run_rows(struct nn *net, const struct nn_node *node, const uint32_t *in, size_t n,
                     uint32_t *touched, size_t room);

#endif
