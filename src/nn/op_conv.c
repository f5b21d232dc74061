/* Conv on oneDNN, in one to three spatial dimensions. oneDNN chooses the layouts it is fastest with;
 * the values outside stay in C order (NCHW). */
#include "nn/conv.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

static unsigned weigh(struct nn *net, const struct conv *c)
{
    unsigned s = dnnl_success;
    for (size_t k = 0; s == dnnl_success && k < c->n_parts; k++)
        s = dn_run_reorder(net, c->part[k].weigh, c->part[k].w_plain, c->part[k].w_fast);
    return s;
}

unsigned conv_run(struct nn *net, struct conv *c)
{
    unsigned s = c->weigh_each ? weigh(net, c) : dnnl_success;
    if (s == dnnl_success)
        s = dn_run_reorder(net, c->load, c->x, c->x_fast);
    for (size_t k = 0; s == dnnl_success && k < c->n_parts; k++) {
        const struct conv_part *p = &c->part[k];
        dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, c->x_fast},
                                  {DNNL_ARG_WEIGHTS, p->w_fast},
                                  {DNNL_ARG_DST, p->y_fast},
                                  {DNNL_ARG_BIAS, p->b}};
        s = dn_run(net, p->conv, p->b ? 4 : 3, args);
        if (s == dnnl_success)
            s = dn_run_reorder(net, p->store, p->y_fast, p->y);
    }
    return s;
}

static unsigned run_conv(struct nn *net, const struct nn_node *node)
{
    return conv_run(net, node->state);
}

static unsigned reload_conv(struct nn *net, const struct nn_node *node)
{
    return weigh(net, node->state);
}

/* The memory that the primitive wants, and the reorder between it and the plain one. */
static unsigned fit(struct nn *net, const_dnnl_primitive_desc_t pd, dnnl_query_t what, int arg,
                    dnnl_memory_t plain, dnnl_memory_t *fast, dnnl_primitive_t *reorder,
                    bool inwards)
{
    const dnnl_memory_desc_t *want = dnnl_primitive_desc_query_md(pd, what, arg), *have;
    dnnl_memory_get_memory_desc(plain, &have);
    *reorder = NULL;
    *fast = plain;
    if (dnnl_memory_desc_equal(want, have))
        return dnnl_success;
    unsigned s = dn_memory(net, fast, want, NULL);
    if (s != dnnl_success)
        return s;
    return inwards ? dn_reorder(net, reorder, plain, *fast)
                   : dn_reorder(net, reorder, *fast, plain);
}

/* The whole's weights, or another piece's, if they are in the layout that this piece wants. */
static bool share_weights(const struct conv *c, size_t number, const_dnnl_primitive_desc_t pd)
{
    const dnnl_memory_desc_t *want = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0),
                             *have;
    for (const struct conv *k = c->root; k; k = k->next) {
        if (k == c || k->n_parts != c->n_parts || !k->part[number].w_fast)
            continue;
        dnnl_memory_get_memory_desc(k->part[number].w_fast, &have);
        if (dnnl_memory_desc_equal(want, have)) {
            c->part[number].w_fast = k->part[number].w_fast;
            return true;
        }
    }
    return false;
}

/* Output channels of a part. */
static size_t channels_at_once(const struct nn_value *w, int64_t groups)
{
    enum { PART = 64, MANY_FLOATS = 1 << 20 };
    return groups == 1 && w->n > MANY_FLOATS && w->dim[0] % PART == 0 ? PART : w->dim[0];
}

struct conv_values {
    const struct nn_value *x, *w, *b, *y; /* b NULL: none */
};

/* Channels from `first` on of c's outputs, of all inputs. */
static unsigned make_part(struct nn *net, struct conv *c, struct conv_values v, size_t number,
                          size_t channels)
{
    struct conv_part *p = &c->part[number];
    size_t wd[TENSOR_MAX_RANK + 1], yd[TENSOR_MAX_RANK], g = (size_t)c->groups;
    size_t strides[TENSOR_MAX_RANK], first = number * channels;
    int wr = v.w->rank;
    memcpy(yd, v.y->dim, (size_t)v.y->rank * sizeof *yd);
    dims_strides(v.y->rank, yd, strides);
    yd[1] = channels;
    for (int k = 0; k < wr; k++)
        wd[k + (g > 1)] = k == 0 ? channels : v.w->dim[k];
    if (g > 1) {
        wd[0] = g;
        wd[1] = channels / g;
        wr++;
    }
    dnnl_memory_desc_t xp, wp, yp, bp, xa, wa, ya;
    dnnl_dims_t stride, dilation, lo, hi;
    for (int k = 0; k < c->w.n; k++) {
        stride[k] = c->w.stride[k];
        dilation[k] = c->w.dilation[k] - 1;
        lo[k] = c->w.lo[k];
        hi[k] = c->w.hi[k];
    }
    dnnl_convolution_desc_t desc;
    const_dnnl_primitive_desc_t pd = NULL;
    unsigned s = dn_plain(&xp, v.x->rank, v.x->dim, NULL) | dn_plain(&wp, wr, wd, NULL) |
                 dn_plain(&yp, v.y->rank, yd, strides) | dn_any(&xa, v.x->rank, v.x->dim) |
                 dn_any(&wa, wr, wd) | dn_any(&ya, v.y->rank, yd);
    if (s == dnnl_success && v.b)
        s = dn_plain(&bp, 1, &channels, NULL);
    if (s == dnnl_success)
        s = dnnl_dilated_convolution_forward_desc_init(
            &desc, dnnl_forward_inference, dnnl_convolution_direct, &xa, &wa, v.b ? &bp : NULL, &ya,
            stride, dilation, lo, hi);
    if (s == dnnl_success)
        s = dn_primitive(net, &p->conv, &desc, NULL, &pd);
    if (s == dnnl_success)
        s = dn_memory(net, &p->w_plain, &wp, v.w->f + first * (v.w->n / v.w->dim[0])) |
            dn_memory(net, &p->y, &yp, v.y->f + first * strides[1]);
    if (s == dnnl_success && v.b)
        s = dn_memory(net, &p->b, &bp, v.b->f + first);
    if (s == dnnl_success && number == 0) /* the parts are alike */
        s = dn_memory(net, &c->x, &xp, v.x->f) |
            fit(net, pd, dnnl_query_src_md, 0, c->x, &c->x_fast, &c->load, true);
    if (s == dnnl_success)
        s = fit(net, pd, dnnl_query_dst_md, 0, p->y, &p->y_fast, &p->store, false);
    if (s != dnnl_success || share_weights(c, number, pd))
        return s;
    s = fit(net, pd, dnnl_query_weights_md, 0, p->w_plain, &p->w_fast, &p->weigh, true);
    return s == dnnl_success && v.w->known ? dn_run_reorder(net, p->weigh, p->w_plain, p->w_fast)
                                           : s;
}

unsigned conv_make(struct nn *net, const struct nn_node *node, struct conv *c,
                   const struct nn_value *x, const struct nn_value *y)
{
    struct conv_values v = {x, node->in[1], node->n_in > 2 ? node->in[2] : NULL, y};
    size_t channels = channels_at_once(v.w, c->groups);
    unsigned s = dnnl_success;
    c->n_parts = v.w->dim[0] / channels;
    c->part = arena_alloc(&net->arena, c->n_parts * sizeof *c->part);
    c->weigh_each = !v.w->known;
    if (c->root) {
        c->next = c->root->next;
        c->root->next = c;
    }
    for (size_t k = 0; s == dnnl_success && k < c->n_parts; k++)
        s = make_part(net, c, v, k, channels);
    return s;
}

static int check(const struct nn *net, const struct nn_node *node, const struct conv *c,
                 struct diag *d)
{
    const struct nn_value *x = node->in[0], *w = node->in[1];
    const struct nn_value *b = node->n_in > 2 ? node->in[2] : NULL;
    size_t g = (size_t)c->groups;
    if (c->groups < 1 || w->n == 0 || w->dim[0] % g || x->dim[1] % g || x->dim[1] / g != w->dim[1])
        return node_fail(net, node, d, ERR_INPUT,
                         "%zu input channels, weights %zu x %zu, %lld groups do not go together",
                         x->dim[1], w->dim[0], w->dim[1], (long long)c->groups);
    if (b && (b->rank != 1 || b->n != w->dim[0]))
        return node_fail(net, node, d, ERR_INPUT, "bias of %zu elements for %zu channels", b->n,
                         w->dim[0]);
    return OK;
}

int build_conv(struct nn *net, struct nn_node *node, struct diag *d)
{
    for (size_t k = 0; k < node->n_in; k++) {
        int rc = node->in[k] ? node_want(net, node, k, ONNX_FLOAT, d) : OK;
        if (rc != OK)
            return rc;
    }
    const struct nn_value *x = node->in[0], *w = node->in[1];
    assert(x && w); /* required inputs are there */
    if (x->rank < 3 || x->rank != w->rank)
        return node_fail(net, node, d, ERR_INPUT, "input of %d dimensions, weights of %d", x->rank,
                         w->rank);
    struct conv *c = node->state = ARENA_NEW(&net->arena, struct conv);
    c->groups = attr_int(node, "group", 1);
    int rc = window_read(&c->w, net, node, x, w->dim + 2, d);
    if (rc == OK)
        rc = check(net, node, c, d);
    if (rc != OK)
        return rc;
    size_t dim[TENSOR_MAX_RANK] = {x->dim[0], w->dim[0]};
    for (int k = 0; k < c->w.n; k++)
        dim[k + 2] = (size_t)c->w.out[k];
    rc = node_out(net, node, 0, ONNX_FLOAT, x->rank, dim, d);
    if (rc != OK)
        return rc;
    unsigned s = conv_make(net, node, c, x, node->out[0]);
    if (s != dnnl_success)
        return node_fail(net, node, d, ERR_UNSUPPORTED, "oneDNN refuses this convolution (%u)", s);
    node->run = run_conv;
    bool known = w->known && (node->n_in < 3 || !node->in[2] || node->in[2]->known);
    node->run_batch = known && c->w.n == 2 && x->dim[0] == 1 ? conv_run_batch : NULL;
    node->reload = w->known ? reload_conv : NULL;
    node->parameters = parameters_known(node);
    return OK;
}

bool conv_describe(struct nn_conv *out, const struct nn_node *node)
{
    if (node->run != run_conv)
        return false;
    const struct nn_value *x = node->in[0], *w = node->in[1];
    const struct nn_value *b = node->n_in > 2 ? node->in[2] : NULL;
    const struct conv *c = node->state;
    if (c->w.n != 2 || !w->known || (b && !b->known) || x->n > INT_MAX || w->n > INT_MAX)
        return false;
    *out = (struct nn_conv){
        .n = (int)x->dim[0],
        .c = (int)x->dim[1],
        .h = (int)x->dim[2],
        .w = (int)x->dim[3],
        .k = (int)w->dim[0],
        .r = (int)w->dim[2],
        .s = (int)w->dim[3],
        .pad_top = (int)c->w.lo[0],
        .pad_bottom = (int)c->w.hi[0],
        .pad_left = (int)c->w.lo[1],
        .pad_right = (int)c->w.hi[1],
        .stride_h = (int)c->w.stride[0],
        .stride_w = (int)c->w.stride[1],
        .dilation_h = (int)c->w.dilation[0],
        .dilation_w = (int)c->w.dilation[1],
        .groups = (int)c->groups,
        .filter = w->f,
        .bias = b ? b->f : NULL,
    };
    return true;
}
