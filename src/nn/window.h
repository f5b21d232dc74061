/* The sliding window that convolutions and pools share: kernel, strides, dilations, padding. */
#ifndef NN_WINDOW_H
#define NN_WINDOW_H

#include "nn/priv.h"

enum { WINDOW_MAX = 3 };

struct window {
    int n; /* spatial dimensions */
    int64_t in[WINDOW_MAX], kernel[WINDOW_MAX], stride[WINDOW_MAX], dilation[WINDOW_MAX];
    int64_t lo[WINDOW_MAX], hi[WINDOW_MAX]; /* padding before and after */
    int64_t out[WINDOW_MAX];
};
/* From the node's attributes and the shape of x (N, C, spatial...). kernel NULL: from kernel_shape. */
int window_read(struct window *w, const struct nn *net, const struct nn_node *node,
                const struct nn_value *x, const size_t *kernel, struct diag *d);
/* The extent of a dilated kernel. */
int64_t window_extent(const struct window *w, int k);

#endif
