/* Element by element: one macro row per function. Own loops rather than oneDNN's, whose activations
 * replace some that are not a number, where an error must go through as in the frameworks: every
 * function here gives NaN for NaN. */
#include <math.h>
#include <string.h>

#include "nn/broadcast.h"
#include "nn/priv.h"

struct unary {
    float a, b; /* parameters */
};

static int unary(struct nn *net, struct nn_node *node,
                 unsigned (*run)(struct nn *, const struct nn_node *), float a, float b, struct diag *d)
{
    int rc = node_want(net, node, 0, ONNX_FLOAT, d);
    if (rc == OK)
        rc = node_out(net, node, 0, ONNX_FLOAT, node->in[0]->rank, node->in[0]->dim, d);
    struct unary *u = node->state = ARENA_NEW(&net->arena, struct unary);
    *u = (struct unary){a, b};
    node->run = run;
    return rc;
}

/* name; attributes for a and b with their defaults; what becomes of x */
#define RUN_UNARY(name, result)                                                                    \
    static unsigned run_##name(struct nn *net, const struct nn_node *node)                              \
    {                                                                                              \
        const struct unary *u = node->state;                                                       \
        const float a = u->a, b = u->b, *restrict in = node->in[0]->f;                             \
        float *restrict out = node->out[0]->f;                                                     \
        (void)net, (void)a, (void)b;                                                               \
        for (size_t k = 0, n = node->in[0]->n; k < n; k++) {                                       \
            float x = in[k];                                                                       \
            out[k] = (result);                                                                     \
        }                                                                                          \
        return dnnl_success;                                                                       \
    }
#define UNARY(name, attr_a, default_a, attr_b, default_b, result)                                  \
    RUN_UNARY(name, result)                                                                        \
    int build_##name(struct nn *net, struct nn_node *node, struct diag *d)                         \
    {                                                                                              \
        return unary(net, node, run_##name, attr_float(node, attr_a, default_a),                   \
                     attr_float(node, attr_b, default_b), d);                                      \
    }
#define PLAIN(name, result) UNARY(name, "", 0, "", 0, result)

PLAIN(relu, x < 0 ? 0 : x)
UNARY(leaky_relu, "alpha", 0.01f, "", 0, x < 0 ? a * x : x)
UNARY(thresholded_relu, "alpha", 1, "", 0, x <= a ? 0 : x)
UNARY(elu, "alpha", 1, "", 0, x < 0 ? a * (expf(x) - 1) : x)
UNARY(celu, "alpha", 1, "", 0, x < 0 ? a * (expf(x / a) - 1) : x)
UNARY(selu, "alpha", 1.67326319217681884765625f, "gamma", 1.05070102214813232421875f,
      b * (x <= 0 ? a * (expf(x) - 1) : x))
PLAIN(sigmoid, 1 / (1 + expf(-x)))
UNARY(hard_sigmoid, "alpha", 0.2f, "beta", 0.5f, a * x + b < 0 ? 0 : a * x + b > 1 ? 1 : a * x + b)
PLAIN(hard_swish, x * (x < -3 ? 0 : x > 3 ? 1 : x / 6 + 0.5f))
PLAIN(tanh, tanhf(x))
PLAIN(softplus, x > 20 ? x : log1pf(expf(x)))
PLAIN(softsign, x / (1 + fabsf(x)))
PLAIN(exp, expf(x))
PLAIN(log, logf(x))
PLAIN(sqrt, sqrtf(x))
PLAIN(erf, erff(x))
PLAIN(abs, fabsf(x))
PLAIN(neg, -x)
PLAIN(reciprocal, 1 / x)
PLAIN(floor, floorf(x))
PLAIN(ceil, ceilf(x))
PLAIN(round, nearbyintf(x))
PLAIN(sign, x > 0 ? 1.0f : x < 0 ? -1.0f : x)
PLAIN(atan, atanf(x))
RUN_UNARY(clip, x < a ? a : x > b ? b : x)

/* Until operator set 11 the limits are attributes, since then inputs. */
static int clip_limit(const struct nn *net, const struct nn_node *node, size_t i, float *limit,
                      struct diag *d)
{
    if (i >= node->n_in || !node->in[i])
        return OK;
    int rc = node_known_floats(net, node, i, d);
    if (rc == OK && node->in[i]->n != 1)
        return node_fail(net, node, d, ERR_INPUT, "limit %zu is not one number", i);
    if (rc == OK)
        *limit = node->in[i]->f[0];
    return rc;
}

int build_clip(struct nn *net, struct nn_node *node, struct diag *d)
{
    int rc = unary(net, node, run_clip, attr_float(node, "min", -INFINITY),
                   attr_float(node, "max", INFINITY), d);
    struct unary *u = node->state;
    if (rc == OK)
        rc = clip_limit(net, node, 1, &u->a, d);
    if (rc == OK)
        rc = clip_limit(net, node, 2, &u->b, d);
    return rc;
}

/* ---- Two operands, broadcast to each other ---------------------------------------------------------- */

static int binary(struct nn *net, struct nn_node *node, struct diag *d,
                  unsigned (*floats)(struct nn *, const struct nn_node *),
                  unsigned (*ints)(struct nn *, const struct nn_node *))
{
    int rank, type = node->in[0]->type;
    size_t dim[TENSOR_MAX_RANK];
    int rc = node_want(net, node, 1, type, d);
    if (rc == OK && type != ONNX_FLOAT && (!ints || type == ONNX_BOOL))
        return node_fail(net, node, d, ERR_UNSUPPORTED, "of %s", onnx_type_name(type));
    if (rc == OK)
        rc = broadcast_shape(&rank, dim, net, node, 2, node->in, d);
    if (rc == OK)
        rc = node_out(net, node, 0, type, rank, dim, d);
    struct broadcast *how = node->state = ARENA_NEW(&net->arena, struct broadcast);
    if (rc == OK)
        rc = broadcast_plan(how, net, node, node->out[0], 2, node->in, d);
    node->run = type == ONNX_FLOAT ? floats : ints;
    return rc;
}

/* The loop of one row for each way of walking, so that the compiler can use vectors. */
#define ROWS(type, field, result)                                                                  \
    const struct broadcast *how = node->state;                                                     \
    (void)net;                                                                                     \
    for (struct broadcast_at at = broadcast_first(how); at.row < how->rows;                        \
         broadcast_next(how, &at)) {                                                               \
        const type *p = node->in[0]->field + at.in[0], *q = node->in[1]->field + at.in[1];         \
        type *restrict out = node->out[0]->field + at.out;                                         \
        size_t n = how->inner;                                                                     \
        if (how->step[0] && how->step[1])                                                          \
            for (size_t k = 0; k < n; k++) {                                                       \
                type x = p[k], y = q[k];                                                           \
                out[k] = (result);                                                                 \
            }                                                                                      \
        else                                                                                       \
            for (size_t k = 0; k < n; k++) {                                                       \
                type x = p[k * how->step[0]], y = q[k * how->step[1]];                             \
                out[k] = (result);                                                                 \
            }                                                                                      \
    }                                                                                              \
    return dnnl_success;
#define BINARY(name, result, int_result)                                                           \
    static unsigned run_##name(struct nn *net, const struct nn_node *node)                              \
    {                                                                                              \
        ROWS(float, f, result)                                                                     \
    }                                                                                              \
    static unsigned run_##name##_ints(struct nn *net, const struct nn_node *node)                       \
    {                                                                                              \
        ROWS(int64_t, i, int_result)                                                               \
    }                                                                                              \
    int build_##name(struct nn *net, struct nn_node *node, struct diag *d)                         \
    {                                                                                              \
        return binary(net, node, d, run_##name, run_##name##_ints);                                \
    }

/* Integers wrap; division by zero, which ONNX leaves open, gives 0. */
static int64_t wrap(uint64_t v) { return (int64_t)v; }
static int64_t int_div(int64_t x, int64_t y)
{
    return y == 0 ? 0 : y == -1 ? wrap(-(uint64_t)x) : x / y;
}
static int64_t int_pow(int64_t x, int64_t y)
{
    uint64_t r = y >= 0, b = (uint64_t)x;
    for (; y > 0; y >>= 1, b *= b)
        r *= y & 1 ? b : 1;
    return wrap(r);
}

BINARY(add, x + y, wrap((uint64_t)x + (uint64_t)y))
BINARY(sub, x - y, wrap((uint64_t)x - (uint64_t)y))
BINARY(mul, x * y, wrap((uint64_t)x * (uint64_t)y))
BINARY(div, x / y, int_div(x, y))
BINARY(pow, powf(x, y), int_pow(x, y))
