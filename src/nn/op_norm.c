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

static size_t run_batch_norm_at(const struct nn_node *node, size_t input, const uint32_t *in,
                                size_t n, uint32_t *touched, size_t room)
{
    const struct nn_value *x = node->in[0];
    const float *scale = node->in[1]->f, *bias = node->in[2]->f, *mean = node->in[3]->f,
                *variance = node->in[4]->f, epsilon = *(const float *)node->state;
    size_t channels = node->in[1]->n, plane = x->n / x->dim[0] / channels;
    (void)room;
    if (input != 0)
        return NN_ALL;
    for (size_t k = 0; k < n; k++) {
        size_t c = in[k] / plane % channels;
        float factor = scale[c] / sqrtf(variance[c] + epsilon);
        node->out[0]->f[in[k]] = (x->f[in[k]] - mean[c]) * factor + bias[c];
        touched[k] = in[k];
    }
    return n;
}

int build_batch_norm(struct nn *net, struct nn_node *node, struct diag *d)
{
    int rc = want_floats(net, node, d);
    if (rc != OK)
        return rc;
    const struct nn_value *x = node->in[0];
    if (attr_int(node, "training_mode", 0) || attr_int(node, "spatial", 1) != 1 ||
        (net->opset < 7 && !attr_int(node, "is_test", 0)))
        return node_fail(net, node, d, ERR_UNSUPPORTED, "in training mode, or not per channel");
    for (size_t k = 1; k < 5; k++)
        if (x->rank < 2 || node->in[k]->n != x->dim[1])
            return node_fail(net, node, d, ERR_INPUT, "input %zu is not one number per channel", k);
    float *epsilon = node->state = arena_alloc(&net->arena, sizeof *epsilon);
    *epsilon = attr_float(node, "epsilon", 1e-5f);
    node->run = run_batch_norm;
    node->run_at = run_batch_norm_at;
    node->parameters = parameters_known(node);
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

/* ---- LRN: y = x / (bias + alpha / size * sum of squares over neighbouring channels) ^ beta ------------- */

struct lrn {
    int64_t size;
    float alpha, beta, bias;
};

static unsigned run_lrn(struct nn *net, const struct nn_node *node)
{
    const struct lrn *l = node->state;
    const struct nn_value *x = node->in[0];
    int64_t channels = (int64_t)x->dim[1];
    size_t plane = x->n / x->dim[0] / x->dim[1];
    (void)net;
    for (size_t i = 0; i < x->dim[0]; i++)
        for (int64_t c = 0; c < channels; c++)
            for (size_t k = 0; k < plane; k++) {
                const float *at = x->f + i * x->dim[1] * plane + k;
                int64_t lo = c - (l->size - 1) / 2, hi = c + l->size / 2;
                float sum = 0;
                for (int64_t j = lo < 0 ? 0 : lo; j <= hi && j < channels; j++)
                    sum += at[j * (int64_t)plane] * at[j * (int64_t)plane];
                node->out[0]->f[(i * x->dim[1] + (size_t)c) * plane + k] =
                    at[c * (int64_t)plane] /
                    powf(l->bias + l->alpha / (float)l->size * sum, l->beta);
            }
    return dnnl_success;
}

int build_lrn(struct nn *net, struct nn_node *node, struct diag *d)
{
    int rc = want_floats(net, node, d);
    if (rc != OK)
        return rc;
    struct lrn *l = node->state = ARENA_NEW(&net->arena, struct lrn);
    *l = (struct lrn){attr_int(node, "size", 0), attr_float(node, "alpha", 1e-4f),
                      attr_float(node, "beta", 0.75f), attr_float(node, "bias", 1)};
    const struct nn_value *x = node->in[0];
    if (l->size < 1 || l->size > 1 << 20 || x->rank < 2 || x->n == 0)
        return node_fail(net, node, d, ERR_INPUT, "size %lld, input of %d dimensions",
                         (long long)l->size, x->rank);
    node->run = run_lrn;
    return node_out(net, node, 0, ONNX_FLOAT, x->rank, x->dim, d);
}

/* ---- InstanceNormalization: each plane by its own mean and variance ------------------------------------- */

static unsigned run_instance_norm(struct nn *net, const struct nn_node *node)
{
    const struct nn_value *x = node->in[0];
    float epsilon = *(const float *)node->state;
    size_t channels = x->dim[1], n = x->n / x->dim[0] / channels;
    (void)net;
    for (size_t c = 0; c < x->dim[0] * channels; c++) {
        const float *from = x->f + c * n;
        float *to = node->out[0]->f + c * n;
        double sum = 0, squares = 0;
        for (size_t k = 0; k < n; k++)
            sum += (double)from[k];
        double mean = sum / (double)n;
        for (size_t k = 0; k < n; k++)
            squares += ((double)from[k] - mean) * ((double)from[k] - mean);
        float factor = node->in[1]->f[c % channels] / sqrtf((float)(squares / (double)n) + epsilon);
        for (size_t k = 0; k < n; k++)
            to[k] = (float)((double)from[k] - mean) * factor + node->in[2]->f[c % channels];
    }
    return dnnl_success;
}

int build_instance_norm(struct nn *net, struct nn_node *node, struct diag *d)
{
    int rc = want_floats(net, node, d);
    const struct nn_value *x = node->in[0];
    if (rc != OK)
        return rc;
    if (x->rank < 3 || x->n == 0 || node->in[1]->n != x->dim[1] || node->in[2]->n != x->dim[1])
        return node_fail(net, node, d, ERR_INPUT, "scale and bias are not one number per channel");
    float *epsilon = node->state = arena_alloc(&net->arena, sizeof *epsilon);
    *epsilon = attr_float(node, "epsilon", 1e-5f);
    node->run = run_instance_norm;
    return node_out(net, node, 0, ONNX_FLOAT, x->rank, x->dim, d);
}
