/* ConvTranspose on oneDNN's deconvolution. */
#include <assert.h>
#include <string.h>

#include "nn/window.h"

struct deconv {
    dnnl_primitive_t deconv, weigh;
    dnnl_memory_t x, w_plain, w, b, y;
    bool weigh_each;
};

static unsigned run_deconv(struct nn *net, const struct nn_node *node)
{
    struct deconv *c = node->state;
    unsigned s = c->weigh_each ? dn_run_reorder(net, c->weigh, c->w_plain, c->w) : dnnl_success;
    dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, c->x},
                              {DNNL_ARG_WEIGHTS, c->w},
                              {DNNL_ARG_DST, c->y},
                              {DNNL_ARG_BIAS, c->b}};
    return s == dnnl_success ? dn_run(net, c->deconv, c->b ? 4 : 3, args) : s;
}

enum { MAX_STEP = 1 << 16 };

/* From output_shape, auto_pad or pads: the output's size and the padding, which may be negative after. */
static int read_window(struct window *w, const struct nn *net, const struct nn_node *node,
                       const size_t *kernel, struct diag *d)
{
    const struct nn_value *x = node->in[0];
    size_t n = (size_t)(w->n = x->rank - 2), n_shape;
    int64_t more[WINDOW_MAX], pads[2 * WINDOW_MAX];
    const char *mode = attr_string(node, "auto_pad", "NOTSET");
    const int64_t *shape = attr_ints(node, "output_shape", &n_shape);
    int rc = attr_sizes(net, node, "strides", n, 1, MAX_STEP, 1, w->stride, d);
    if (rc == OK)
        rc = attr_sizes(net, node, "dilations", n, 1, MAX_STEP, 1, w->dilation, d);
    if (rc == OK)
        rc = attr_sizes(net, node, "output_padding", n, 0, MAX_STEP, 0, more, d);
    if (rc == OK)
        rc = attr_sizes(net, node, "pads", 2 * n, 0, MAX_STEP, 0, pads, d);
    if (rc != OK)
        return rc;
    /* output_shape may have the batch and the channels in front, by mistake of some exporters */
    if (shape && n_shape != n && n_shape != n + 2)
        return node_fail(net, node, d, ERR_INPUT, "output_shape has %zu numbers", n_shape);
    for (size_t k = 0; k < n; k++) {
        w->kernel[k] = (int64_t)kernel[k];
        if (kernel[k] < 1 || kernel[k] > MAX_STEP || x->dim[k + 2] > (size_t)1 << 24)
            return node_fail(net, node, d, ERR_UNSUPPORTED, "kernel of size %zu", kernel[k]);
        w->in[k] = (int64_t)x->dim[k + 2];
        int64_t full = w->stride[k] * (w->in[k] - 1) + more[k] + window_extent(w, (int)k);
        bool same = strncmp(mode, "SAME_", 5) == 0;
        if (shape || same) {
            w->out[k] = shape ? shape[n_shape - n + k] : w->in[k] * w->stride[k];
            int64_t total = full - w->out[k] > 0 ? full - w->out[k] : 0;
            w->lo[k] = strcmp(mode, "SAME_LOWER") == 0 ? total - total / 2 : total / 2;
        } else {
            w->lo[k] = strcmp(mode, "VALID") == 0 ? 0 : pads[k];
            w->out[k] = full - w->lo[k] - (strcmp(mode, "VALID") == 0 ? 0 : pads[k + n]);
        }
        w->hi[k] = full - more[k] - w->lo[k] - w->out[k];
        if (w->out[k] < 1 || w->out[k] > 1 << 24)
            return node_fail(net, node, d, ERR_INPUT, "an output of size %lld",
                             (long long)w->out[k]);
    }
    return OK;
}

/* ONNX has the weights as C x M/groups x kernel; oneDNN wants groups x M/groups x C/groups x kernel. */
static unsigned weights_md(dnnl_memory_desc_t *plain, dnnl_memory_desc_t *any,
                           const struct nn_value *w, size_t g)
{
    size_t dim[TENSOR_MAX_RANK + 1], stride[TENSOR_MAX_RANK + 1], from[TENSOR_MAX_RANK];
    int lead = g > 1;
    dims_strides(w->rank, w->dim, from);
    if (lead) {
        dim[0] = g;
        stride[0] = w->dim[0] / g * from[0];
    }
    dim[lead] = w->dim[1];
    stride[lead] = from[1];
    dim[lead + 1] = w->dim[0] / g;
    stride[lead + 1] = from[0];
    for (int k = 2; k < w->rank; k++) {
        dim[lead + k] = w->dim[k];
        stride[lead + k] = from[k];
    }
    return dn_plain(plain, w->rank + lead, dim, stride) | dn_any(any, w->rank + lead, dim);
}

static unsigned make(struct nn *net, const struct nn_node *node, struct deconv *c,
                     const struct window *win, size_t g)
{
    const struct nn_value *x = node->in[0], *w = node->in[1], *y = node->out[0];
    const struct nn_value *b = node->n_in > 2 ? node->in[2] : NULL;
    dnnl_memory_desc_t xp, wp, wa, yp, bp;
    dnnl_dims_t stride, dilation, lo, hi;
    for (int k = 0; k < win->n; k++) {
        stride[k] = win->stride[k];
        dilation[k] = win->dilation[k] - 1;
        lo[k] = win->lo[k];
        hi[k] = win->hi[k];
    }
    dnnl_deconvolution_desc_t desc;
    const_dnnl_primitive_desc_t pd;
    unsigned s = dn_plain(&xp, x->rank, x->dim, NULL) | dn_plain(&yp, y->rank, y->dim, NULL) |
                 weights_md(&wp, &wa, w, g);
    if (s == dnnl_success && b)
        s = dn_plain(&bp, 1, b->dim, NULL);
    if (s == dnnl_success)
        s = dnnl_dilated_deconvolution_forward_desc_init(
            &desc, dnnl_forward_inference, dnnl_deconvolution_direct, &xp, &wa, b ? &bp : NULL, &yp,
            stride, dilation, lo, hi);
    if (s == dnnl_success)
        s = dn_primitive(net, &c->deconv, &desc, NULL, &pd);
    if (s == dnnl_success)
        s = dn_memory(net, &c->x, &xp, x->f) | dn_memory(net, &c->w_plain, &wp, w->f) |
            dn_memory(net, &c->y, &yp, y->f) |
            dn_memory(net, &c->w, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0), NULL);
    if (s == dnnl_success && b)
        s = dn_memory(net, &c->b, &bp, b->f);
    if (s == dnnl_success)
        s = dn_reorder(net, &c->weigh, c->w_plain, c->w);
    if (s == dnnl_success && !c->weigh) { /* already in the layout wanted */
        c->w = c->w_plain;
        return s;
    }
    c->weigh_each = !w->known;
    return s == dnnl_success && w->known ? dn_run_reorder(net, c->weigh, c->w_plain, c->w) : s;
}

static unsigned reload_deconv(struct nn *net, const struct nn_node *node)
{
    struct deconv *c = node->state;
    return dn_run_reorder(net, c->weigh, c->w_plain, c->w);
}

int build_conv_transpose(struct nn *net, struct nn_node *node, struct diag *d)
{
    for (size_t k = 0; k < node->n_in; k++) {
        int rc = node->in[k] ? node_want(net, node, k, ONNX_FLOAT, d) : OK;
        if (rc != OK)
            return rc;
    }
    const struct nn_value *x = node->in[0], *w = node->in[1];
    const struct nn_value *b = node->n_in > 2 ? node->in[2] : NULL;
    assert(x && w); /* required inputs are there */
    int64_t groups = attr_int(node, "group", 1);
    if (x->rank < 3 || x->rank > 2 + WINDOW_MAX || x->rank != w->rank || x->n == 0 || w->n == 0 ||
        groups < 1 || x->dim[1] != w->dim[0] || x->dim[1] % (size_t)groups ||
        (b && (b->rank != 1 || b->n != w->dim[1] * (size_t)groups)))
        return node_fail(net, node, d, ERR_INPUT, "input, weights, bias and groups do not match");
    struct window win = {0};
    int rc = read_window(&win, net, node, w->dim + 2, d);
    if (rc != OK)
        return rc;
    size_t dim[TENSOR_MAX_RANK] = {x->dim[0], w->dim[1] * (size_t)groups};
    for (int k = 0; k < win.n; k++)
        dim[k + 2] = (size_t)win.out[k];
    rc = node_out(net, node, 0, ONNX_FLOAT, x->rank, dim, d);
    if (rc != OK)
        return rc;
    struct deconv *c = node->state = ARENA_NEW(&net->arena, struct deconv);
    unsigned s = make(net, node, c, &win, (size_t)groups);
    if (s != dnnl_success)
        return node_fail(net, node, d, ERR_UNSUPPORTED, "oneDNN refuses this deconvolution (%u)",
                         s);
    node->run = run_deconv;
    node->reload = w->known ? reload_deconv : NULL;
    node->parameters = parameters_known(node);
    return OK;
}
