/* What op_conv.c and op_conv_batch.c share. */
#ifndef NN_CONV_H
#define NN_CONV_H

#include "nn/window.h"

struct conv_pieces; /* convolutions of windows of the output */

/* Some of the output channels: all, unless their weights are more than the cache next to the processor
 * holds, as a batch then uses each part of them while it is there. */
struct conv_part {
    dnnl_primitive_t conv, store, weigh; /* the last two NULL if the layouts agree */
    dnnl_memory_t w_plain, b, y;         /* plain */
    dnnl_memory_t w_fast, y_fast;
};
struct conv {
    struct window w;
    int64_t groups;
    dnnl_primitive_t load; /* NULL if the layouts agree */
    dnnl_memory_t x, x_fast;
    size_t n_parts;
    struct conv_part *part;
    bool weigh_each;   /* the weights are not known when loading */
    struct conv *root; /* of a piece: the whole; they share weights that lie in the same layout */
    struct conv *next; /* of a whole: its pieces */
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
