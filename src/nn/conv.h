/* What op_conv.c and op_conv_batch.c share. */
#ifndef NN_CONV_H
#define NN_CONV_H

#include "nn/window.h"

struct conv_pieces; /* convolutions of windows of the output */

struct conv {
    struct window w;
    int64_t groups;
    dnnl_primitive_t conv, load, store, weigh; /* the last three NULL if the layouts agree */
    dnnl_memory_t x, w_plain, b, y;            /* plain */
    dnnl_memory_t x_fast, w_fast, y_fast;
    bool weigh_each; /* the weights are not known when loading */
    struct conv
        *root; /* of a piece: the whole, whose weights it shares where the layout is the same */
    struct conv *layout; /* of a whole: the pieces that have weights of their own */
    struct conv *next;
    struct conv_pieces *pieces; /* made when first needed */
};

/* Make c compute y from x (in node's weights and bias) for inputs and outputs of these shapes. */
unsigned conv_make(struct nn *net, const struct nn_node *node, struct conv *c,
                   const struct nn_value *x, const struct nn_value *y);
unsigned conv_run(struct nn *net, struct conv *c);

/* run_batch of a two-dimensional convolution of one image with known weights. */
void conv_run_batch(struct nn *net, const struct nn_node *node, size_t n,
                    const struct diffs *const *in, struct diffs **out);

#endif
