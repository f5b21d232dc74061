/* Normalisations, inference only. */
#include <math.h>
#include <string.h>

#include "nn/priv.h"

static int want_floats(const struct nn *net, const struct nn_node *node, struct diag *d)
{
    int rc = OK;
    for (size_t k = 0; rc == OK && k < node->n_in; k++)
        rc = node_want(net, node, k, ONNX_FLOAT, d);
    return rc;
}

/* ---- BatchNormalization: y = (x - mean) * (scale / sqrt(variance + epsilon)) + bias ------------------ */

static unsigned run_batch_norm(struct nn *net, const struct nn_node *node)
{
    const struct nn_value *x = node->in[0];
    const float *scale = node->in[1]->f, *bias = node->in[2]->f, *mean = node->in[3]->f,
                *variance = node->in[4]->f, epsilon = *(const float *)node->state;
    size_t channels = node->in[1]->n, n = x->n ? x->n / x->dim[0] / channels : 0;
    (void)net;
    for (size_t c = 0; n && c < x->dim[0] * channels; c++) {
        size_t k = c % channels;
        float factor = scale[k] / sqrtf(variance[k] + epsilon), m = mean[k], b = bias[k];
        const float *from = x->f + c * n;
        float *to = node->out[0]->f + c * n;
        for (size_t i = 0; i < n; i++)
            to[i] = (from[i] - m) * factor + b;
    }
    return dnnl_success;
}

int build_batch_norm(struct nn *net, struct nn_node *node, struct diag *d)
{
    int rc = want_floats(net, node, d);
    if (rc != OK)
        return rc;
    const struct nn_value *x = node->in[0];
    if (attr_int(node, "training_mode", 0) || attr_int(node, "spatial", 1) != 1)
        return node_fail(net, node, d, ERR_UNSUPPORTED, "in training mode, or not per channel");
    for (size_t k = 1; k < 5; k++)
        if (x->rank < 2 || node->in[k]->n != x->dim[1])
            return node_fail(net, node, d, ERR_INPUT, "input %zu is not one number per channel", k);
    float *epsilon = node->state = arena_alloc(&net->arena, sizeof *epsilon);
    *epsilon = attr_float(node, "epsilon", 1e-5f);
    node->run = run_batch_norm;
    return node_out(net, node, 0, ONNX_FLOAT, x->rank, x->dim, d);
}

/* ---- Softmax, LogSoftmax ------------------------------------------------------------------------------ */

struct softmax {
    size_t outer, n, inner; /* x is outer x n x inner, normalised along n */
    bool log;
};

static unsigned run_softmax(struct nn *net, const struct nn_node *node)
{
    const struct softmax *s = node->state;
    (void)net;
    for (size_t o = 0; o < s->outer; o++)
        for (size_t i = 0; i < s->inner; i++) {
            const float *x = node->in[0]->f + o * s->n * s->inner + i;
            float *y = node->out[0]->f + o * s->n * s->inner + i, max = -INFINITY, sum = 0;
            for (size_t k = 0; k < s->n; k++)
                max = x[k * s->inner] > max ? x[k * s->inner] : max;
            for (size_t k = 0; k < s->n; k++)
                sum += y[k * s->inner] = expf(x[k * s->inner] - max);
            float log_sum = logf(sum);
            for (size_t k = 0; k < s->n; k++)
                y[k * s->inner] = s->log ? x[k * s->inner] - max - log_sum : y[k * s->inner] / sum;
        }
    return dnnl_success;
}

/* Until operator set 13 along all dimensions from axis (1) on, since then along axis (the last). */
static int build_any_softmax(struct nn *net, struct nn_node *node, bool log, struct diag *d)
{
    int rc = want_floats(net, node, d), axis;
    const struct nn_value *x = node->in[0];
    bool old = net->opset < 13;
    if (rc == OK)
        rc = node_axis(net, node, attr_int(node, "axis", old ? 1 : -1), x->rank, &axis, d);
    if (rc != OK)
        return rc;
    struct softmax *s = node->state = ARENA_NEW(&net->arena, struct softmax);
    s->outer = dims_product(axis, x->dim);
    s->n = old ? dims_product(x->rank - axis, x->dim + axis) : x->dim[axis];
    s->inner = old ? 1 : dims_product(x->rank - axis - 1, x->dim + axis + 1);
    s->log = log;
    node->run = run_softmax;
    return node_out(net, node, 0, ONNX_FLOAT, x->rank, x->dim, d);
}

int build_softmax(struct nn *net, struct nn_node *node, struct diag *d)
{
    return build_any_softmax(net, node, false, d);
}

int build_log_softmax(struct nn *net, struct nn_node *node, struct diag *d)
{
    return build_any_softmax(net, node, true, d);
}
