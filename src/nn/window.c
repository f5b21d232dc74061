#include "nn/window.h"

#include <string.h>

enum { MAX_STEP = 1 << 16, MAX_PAD = 1 << 16 };

int64_t window_extent(const struct window *w, int k)
{
    return (w->kernel[k] - 1) * w->dilation[k] + 1;
}

/* SAME: as many outputs as ceil(in / stride), padding shared, the odd one at the end or the start. */
static void pad_same(struct window *w, int k, bool upper)
{
    int64_t out = (w->in[k] + w->stride[k] - 1) / w->stride[k];
    int64_t pad = (out - 1) * w->stride[k] + window_extent(w, k) - w->in[k];
    if (pad < 0)
        pad = 0;
    w->lo[k] = upper ? pad / 2 : pad - pad / 2;
    w->hi[k] = pad - w->lo[k];
}

static int read_pads(struct window *w, const struct nn *net, const struct nn_node *node,
                     struct diag *d)
{
    const char *mode = attr_string(node, "auto_pad", "NOTSET");
    int64_t pads[2 * WINDOW_MAX];
    if (strcmp(mode, "NOTSET") == 0) {
        int rc = attr_sizes(net, node, "pads", 2 * (size_t)w->n, 0, MAX_PAD, 0, pads, d);
        if (rc != OK)
            return rc;
        for (int k = 0; k < w->n; k++) {
            w->lo[k] = pads[k];
            w->hi[k] = pads[k + w->n];
        }
    } else if (strncmp(mode, "SAME_", 5) == 0) {
        for (int k = 0; k < w->n; k++)
            pad_same(w, k, strcmp(mode, "SAME_UPPER") == 0);
    } else if (strcmp(mode, "VALID") != 0) {
        return node_fail(net, node, d, ERR_INPUT, "auto_pad '%.40s'", mode);
    }
    return OK;
}

int window_read(struct window *w, const struct nn *net, const struct nn_node *node,
                const struct nn_value *x, const size_t *kernel, struct diag *d)
{
    *w = (struct window){.n = x->rank - 2};
    if (w->n < 1 || w->n > WINDOW_MAX || x->n == 0)
        return node_fail(
            net, node, d, ERR_UNSUPPORTED,
            "input of %d dimensions and %zu elements (N, C and 1 to %d more are needed)", x->rank,
            x->n, WINDOW_MAX);
    size_t n = (size_t)w->n;
    int rc = attr_sizes(net, node, "kernel_shape", n, 1, MAX_STEP, 0, w->kernel, d);
    if (kernel && !attr_find(node, "kernel_shape"))
        rc = OK;
    else if (rc == OK && kernel)
        for (size_t k = 0; k < n; k++)
            if (w->kernel[k] != (int64_t)kernel[k])
                rc = node_fail(net, node, d, ERR_INPUT, "kernel_shape is not that of the weights");
    if (rc == OK)
        rc = attr_sizes(net, node, "strides", n, 1, MAX_STEP, 1, w->stride, d);
    if (rc == OK)
        rc = attr_sizes(net, node, "dilations", n, 1, MAX_STEP, 1, w->dilation, d);
    if (rc != OK)
        return rc;
    for (size_t k = 0; k < n; k++) {
        w->in[k] = (int64_t)x->dim[k + 2];
        if (kernel)
            w->kernel[k] = (int64_t)kernel[k];
        if (w->kernel[k] < 1 || w->kernel[k] > MAX_STEP)
            return node_fail(net, node, d, ERR_INPUT, "kernel of size %lld",
                             (long long)w->kernel[k]);
    }
    rc = read_pads(w, net, node, d);
    for (int k = 0; rc == OK && k < w->n; k++) {
        int64_t room = w->in[k] + w->lo[k] + w->hi[k] - window_extent(w, k);
        if (room < 0)
            return node_fail(net, node, d, ERR_INPUT, "the window is larger than its padded input");
        w->out[k] = room / w->stride[k] + 1;
    }
    return rc;
}
