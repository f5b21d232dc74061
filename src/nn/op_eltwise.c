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

/* How an element-wise function of one operand is run: on all, and on some. */
struct unary_runs {
    unsigned (*all)(struct nn *, const struct nn_node *);
    size_t (*some)(const struct nn_node *, size_t, const uint32_t *, size_t, uint32_t *, size_t);
};

static int unary(struct nn *net, struct nn_node *node, const struct unary_runs *runs, float a,
                 float b, struct diag *d)
{
    int rc = node_want(net, node, 0, ONNX_FLOAT, d);
    if (rc == OK)
        rc = node_out(net, node, 0, ONNX_FLOAT, node->in[0]->rank, node->in[0]->dim, d);
    struct unary *u = node->state = ARENA_NEW(&net->arena, struct unary);
    *u = (struct unary){a, b};
    node->run = runs->all;
    node->run_at = runs->some;
    return rc;
}

/* name; attributes for a and b with their defaults; what becomes of x */
#define RUN_UNARY(name, result)                                                                    \
    static inline float value_##name(float x, float a, float b)                                    \
    {                                                                                              \
        (void)a, (void)b;                                                                          \
        return (result);                                                                           \
    }                                                                                              \
    static unsigned run_##name(struct nn *net, const struct nn_node *node)                         \
    {                                                                                              \
        const struct unary u = *(const struct unary *)node->state;                                 \
        const float *restrict in = node->in[0]->f;                                                 \
        float *restrict out = node->out[0]->f;                                                     \
        (void)net;                                                                                 \
        for (size_t k = 0, n = node->in[0]->n; k < n; k++)                                         \
            out[k] = value_##name(in[k], u.a, u.b);                                                \
        return dnnl_success;                                                                       \
    }                                                                                              \
    static size_t run_##name##_at(const struct nn_node *node, size_t input, const uint32_t *in,    \
                                  size_t n, uint32_t *touched, size_t room)                        \
    {                                                                                              \
        const struct unary *u = node->state;                                                       \
        (void)input, (void)room; /* as many outputs as inputs */                                   \
        for (size_t k = 0; k < n; k++) {                                                           \
            node->out[0]->f[in[k]] = value_##name(node->in[0]->f[in[k]], u->a, u->b);              \
            touched[k] = in[k];                                                                    \
        }                                                                                          \
        return n;                                                                                  \
    }                                                                                              \
    static const struct unary_runs runs_##name = {run_##name, run_##name##_at};
#define UNARY(name, attr_a, default_a, attr_b, default_b, result)                                  \
    RUN_UNARY(name, result)                                                                        \
    int build_##name(struct nn *net, struct nn_node *node, struct diag *d)                         \
    {                                                                                              \
        return unary(net, node, &runs_##name, attr_float(node, attr_a, default_a),                 \
                     attr_float(node, attr_b, default_b), d);                                      \
    }
#define PLAIN(name, result) UNARY(name, "", 0, "", 0, result)

PLAIN(relu, x < 0 ? 0 : x)
UNARY(leaky_relu, "alpha", 0.01f, "", 0, x < 0 ? a * x : x)
UNARY(thresholded_relu, "alpha", 1, "", 0, x <= a ? 0 : x)
UNARY(elu, "alpha", 1, "", 0, x < 0 ? a * (expf(x) - 1) : x)
UNARY(celu, "alpha", 1, "", 0, x < 0 ? a * (expf(x / a) - 1) : x)
UNARY(selu, "alpha", 1.67326319217681884765625f, "gamma", 1.05070102214813232421875f,
      b *(x <= 0 ? a * (expf(x) - 1) : x))
PLAIN(sigmoid, 1 / (1 + expf(-x)))
UNARY(hard_sigmoid, "alpha", 0.2f, "beta", 0.5f, a *x + b < 0 ? 0 : a * x + b > 1 ? 1 : a * x + b)
PLAIN(hard_swish, x *(x<-3 ? 0 : x> 3 ? 1 : x / 6 + 0.5f))
PLAIN(tanh, tanhf(x))
PLAIN(softplus, x > 20 ? x : log1pf(expf(x)))
PLAIN(softsign, x / (1 + fabsf(x)))
PLAIN(exp, expf(x))
PLAIN(log, logf(x))
PLAIN(sqrt, sqrtf(x))
PLAIN(erf, erff(x))
PLAIN(abs, fabsf(x))
PLAIN(reciprocal, 1 / x)
PLAIN(floor, floorf(x))
PLAIN(ceil, ceilf(x))
PLAIN(round, nearbyintf(x))
PLAIN(sign, x > 0 ? 1.0f : x < 0 ? -1.0f : x)
PLAIN(atan, atanf(x))
PLAIN(sin, sinf(x))
PLAIN(cos, cosf(x))
RUN_UNARY(clip, x<a ? a : x> b ? b : x)

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
    int rc = unary(net, node, &runs_clip, attr_float(node, "min", -INFINITY),
                   attr_float(node, "max", INFINITY), d);
    struct unary *u = node->state;
    if (rc == OK)
        rc = clip_limit(net, node, 1, &u->a, d);
    if (rc == OK)
        rc = clip_limit(net, node, 2, &u->b, d);
    return rc;
}

RUN_UNARY(neg, -x)

static unsigned run_neg_ints(struct nn *net, const struct nn_node *node)
{
    (void)net;
    for (size_t k = 0; k < node->in[0]->n; k++)
        node->out[0]->i[k] = (int64_t)(0 - (uint64_t)node->in[0]->i[k]);
    return dnnl_success;
}

/* Of integers too: exporters compute shapes with it. */
int build_neg(struct nn *net, struct nn_node *node, struct diag *d)
{
    const struct nn_value *x = node->in[0];
    if (x->type == ONNX_FLOAT)
        return unary(net, node, &runs_neg, 0, 0, d);
    node->run = run_neg_ints;
    return node_out(net, node, 0, x->type, x->rank, x->dim, d);
}

/* ---- Two operands, broadcast to each other ---------------------------------------------------------- */

struct binary_runs {
    unsigned (*floats)(struct nn *, const struct nn_node *);
    unsigned (*ints)(struct nn *, const struct nn_node *);
    size_t (*some)(const struct nn_node *, size_t, const uint32_t *, size_t, uint32_t *, size_t);
};

static int binary(struct nn *net, struct nn_node *node, const struct binary_runs *runs,
                  struct diag *d)
{
    int rank, type = node->in[0]->type;
    size_t dim[TENSOR_MAX_RANK];
    int rc = node_want(net, node, 1, type, d);
    if (rc == OK && type != ONNX_FLOAT && type == ONNX_BOOL)
        return node_fail(net, node, d, ERR_UNSUPPORTED, "of %s", onnx_type_name(type));
    if (rc == OK)
        rc = broadcast_shape(&rank, dim, net, node, 2, node->in, d);
    if (rc == OK)
        rc = node_out(net, node, 0, type, rank, dim, d);
    struct broadcast *how = node->state = ARENA_NEW(&net->arena, struct broadcast);
    if (rc == OK)
        rc = broadcast_plan(how, net, node, node->out[0], 2, node->in, d);
    node->run = type == ONNX_FLOAT ? runs->floats : runs->ints;
    node->run_at = type == ONNX_FLOAT ? runs->some : NULL;
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
    static unsigned run_##name(struct nn *net, const struct nn_node *node)                         \
    {                                                                                              \
        ROWS(float, f, result)                                                                     \
    }                                                                                              \
    static unsigned run_##name##_ints(struct nn *net, const struct nn_node *node)                  \
    {                                                                                              \
        ROWS(int64_t, i, int_result)                                                               \
    }                                                                                              \
    static size_t run_##name##_at(const struct nn_node *node, size_t input, const uint32_t *in,    \
                                  size_t n, uint32_t *touched, size_t room)                        \
    {                                                                                              \
        const struct broadcast *how = node->state;                                                 \
        (void)room;                                                                                \
        if (node->in[input]->n != node->out[0]->n)                                                 \
            return NN_ALL; /* it is repeated */                                                    \
        for (size_t k = 0; k < n; k++) {                                                           \
            float x = node->in[0]->f[broadcast_offset(how, 0, in[k])];                             \
            float y = node->in[1]->f[broadcast_offset(how, 1, in[k])];                             \
            node->out[0]->f[in[k]] = (result);                                                     \
            touched[k] = in[k];                                                                    \
        }                                                                                          \
        return n;                                                                                  \
    }                                                                                              \
    int build_##name(struct nn *net, struct nn_node *node, struct diag *d)                         \
    {                                                                                              \
        static const struct binary_runs runs = {run_##name, run_##name##_ints, run_##name##_at};   \
        return binary(net, node, &runs, d);                                                        \
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
BINARY(mul, x *y, wrap((uint64_t)x *(uint64_t)y))
BINARY(div, x / y, int_div(x, y))

/* Pow alone takes operands of two types; the result is of the first's. */
static double number_at(const struct nn_value *v, size_t k)
{
    return v->type == ONNX_FLOAT ? (double)v->f[k] : (double)v->i[k];
}

static unsigned run_pow(struct nn *net, const struct nn_node *node)
{
    const struct broadcast *how = node->state;
    const struct nn_value *x = node->in[0], *y = node->in[1];
    bool ints = x->type != ONNX_FLOAT && y->type != ONNX_FLOAT;
    (void)net;
    for (struct broadcast_at at = broadcast_first(how); at.row < how->rows;
         broadcast_next(how, &at))
        for (size_t k = 0; k < how->inner; k++) {
            size_t p = at.in[0] + k * how->step[0], q = at.in[1] + k * how->step[1];
            if (x->type == ONNX_FLOAT)
                node->out[0]->f[at.out + k] = powf(x->f[p], (float)number_at(y, q));
            else
                node->out[0]->i[at.out + k] =
                    ints ? int_pow(x->i[p], y->i[q])
                         : (int64_t)fmin(fmax(pow((double)x->i[p], number_at(y, q)), -0x1p62),
                                         0x1p62);
        }
    return dnnl_success;
}

int build_pow(struct nn *net, struct nn_node *node, struct diag *d)
{
    int rank;
    size_t dim[TENSOR_MAX_RANK];
    int rc = broadcast_shape(&rank, dim, net, node, 2, node->in, d);
    if (rc == OK)
        rc = node_out(net, node, 0, node->in[0]->type, rank, dim, d);
    struct broadcast *how = node->state = ARENA_NEW(&net->arena, struct broadcast);
    node->run = run_pow;
    return rc != OK ? rc : broadcast_plan(how, net, node, node->out[0], 2, node->in, d);
}

/* The slope for negative x: broadcast, or until operator set 7 one per channel. */
static int build_prelu_rows(struct nn *net, struct nn_node *node, struct diag *d);
BINARY(prelu_rows, x < 0 ? x * y : x, x < 0 ? wrap((uint64_t)x * (uint64_t)y) : x)

int build_prelu(struct nn *net, struct nn_node *node, struct diag *d)
{
    const struct nn_value *x = node->in[0], *slope = node->in[1];
    if (net->opset < 7 && slope->rank == 1 && slope->n > 1 && x->rank > 2) {
        struct nn_value *wide = node->in[1] = arena_alloc(&net->arena, sizeof *wide);
        *wide = *slope;
        wide->rank = x->rank - 1;
        for (int k = 1; k < wide->rank; k++)
            wide->dim[k] = 1;
    }
    node->parameters = parameters_known(node);
    return build_prelu_rows(net, node, d);
}

/* ---- Comparisons and logic: true is 1 ------------------------------------------------------------------ */

#define COMPARE_ROWS(type, field, result)                                                          \
    for (struct broadcast_at at = broadcast_first(how); at.row < how->rows;                        \
         broadcast_next(how, &at))                                                                 \
        for (size_t k = 0; k < how->inner; k++) {                                                  \
            type x = node->in[0]->field[at.in[0] + k * how->step[0]];                              \
            type y = node->in[1]->field[at.in[1] + k * how->step[1]];                              \
            node->out[0]->i[at.out + k] = (result);                                                \
        }
#define COMPARE(name, result)                                                                      \
    static unsigned run_##name(struct nn *net, const struct nn_node *node)                         \
    {                                                                                              \
        const struct broadcast *how = node->state;                                                 \
        (void)net;                                                                                 \
        if (node->in[0]->type == ONNX_FLOAT) {                                                     \
            COMPARE_ROWS(float, f, result)                                                         \
        } else {                                                                                   \
            COMPARE_ROWS(int64_t, i, result)                                                       \
        }                                                                                          \
        return dnnl_success;                                                                       \
    }                                                                                              \
    int build_##name(struct nn *net, struct nn_node *node, struct diag *d)                         \
    {                                                                                              \
        return compare(net, node, run_##name, d);                                                  \
    }

static int compare(struct nn *net, struct nn_node *node,
                   unsigned (*run)(struct nn *, const struct nn_node *), struct diag *d)
{
    int rank;
    size_t dim[TENSOR_MAX_RANK];
    int rc = node_want(net, node, 1, node->in[0]->type, d);
    if (rc == OK)
        rc = broadcast_shape(&rank, dim, net, node, 2, node->in, d);
    if (rc == OK)
        rc = node_out(net, node, 0, ONNX_BOOL, rank, dim, d);
    struct broadcast *how = node->state = ARENA_NEW(&net->arena, struct broadcast);
    node->run = run;
    return rc != OK ? rc : broadcast_plan(how, net, node, node->out[0], 2, node->in, d);
}

COMPARE(equal, x == y)
COMPARE(less, x < y)
COMPARE(less_or_equal, x <= y)
COMPARE(greater, x > y)
COMPARE(greater_or_equal, x >= y)
COMPARE(and, x != 0 && y != 0)
COMPARE(or, x != 0 || y != 0)
COMPARE(xor, (x != 0) != (y != 0))

static unsigned run_not(struct nn *net, const struct nn_node *node)
{
    (void)net;
    for (size_t k = 0; k < node->in[0]->n; k++)
        node->out[0]->i[k] = !node->in[0]->i[k];
    return dnnl_success;
}

int build_not(struct nn *net, struct nn_node *node, struct diag *d)
{
    int rc = node_want(net, node, 0, ONNX_BOOL, d);
    node->run = run_not;
    return rc != OK ? rc
                    : node_out(net, node, 0, ONNX_BOOL, node->in[0]->rank, node->in[0]->dim, d);
}

/* ---- Where --------------------------------------------------------------------------------------------- */

static unsigned run_where(struct nn *net, const struct nn_node *node)
{
    const struct broadcast *how = node->state;
    const struct nn_value *c = node->in[0], *x = node->in[1], *y = node->in[2];
    (void)net;
    for (struct broadcast_at at = broadcast_first(how); at.row < how->rows;
         broadcast_next(how, &at))
        for (size_t k = 0; k < how->inner; k++) {
            bool yes = c->i[at.in[0] + k * how->step[0]];
            size_t from = yes ? at.in[1] + k * how->step[1] : at.in[2] + k * how->step[2];
            if (x->type == ONNX_FLOAT)
                node->out[0]->f[at.out + k] = yes ? x->f[from] : y->f[from];
            else
                node->out[0]->i[at.out + k] = yes ? x->i[from] : y->i[from];
        }
    return dnnl_success;
}

int build_where(struct nn *net, struct nn_node *node, struct diag *d)
{
    int rank;
    size_t dim[TENSOR_MAX_RANK];
    int rc = node_want(net, node, 0, ONNX_BOOL, d);
    if (rc == OK)
        rc = node_want(net, node, 2, node->in[1]->type, d);
    if (rc == OK)
        rc = broadcast_shape(&rank, dim, net, node, 3, node->in, d);
    if (rc == OK)
        rc = node_out(net, node, 0, node->in[1]->type, rank, dim, d);
    struct broadcast *how = node->state = ARENA_NEW(&net->arena, struct broadcast);
    node->run = run_where;
    return rc != OK ? rc : broadcast_plan(how, net, node, node->out[0], 3, node->in, d);
}

/* ---- Any number of operands ------------------------------------------------------------------------------ */

/* name, how operand x joins y, what becomes of y at the end (n operands) */
#define VARIADIC(name, join, end)                                                                  \
    static unsigned run_##name(struct nn *net, const struct nn_node *node)                         \
    {                                                                                              \
        const struct broadcast *how = node->state;                                                 \
        float *out = node->out[0]->f, n = (float)node->n_in;                                       \
        (void)net, (void)n;                                                                        \
        for (size_t t = 0; t < node->n_in; t++, how++)                                             \
            for (struct broadcast_at at = broadcast_first(how); at.row < how->rows;                \
                 broadcast_next(how, &at))                                                         \
                for (size_t k = 0; k < how->inner; k++) {                                          \
                    float x = node->in[t]->f[at.in[0] + k * how->step[0]];                         \
                    float y = out[at.out + k];                                                     \
                    out[at.out + k] = t == 0 ? x : (join);                                         \
                }                                                                                  \
        for (size_t k = 0; k < node->out[0]->n; k++) {                                             \
            float y = out[k];                                                                      \
            out[k] = (end);                                                                        \
        }                                                                                          \
        return dnnl_success;                                                                       \
    }                                                                                              \
    int build_##name(struct nn *net, struct nn_node *node, struct diag *d)                         \
    {                                                                                              \
        return variadic(net, node, run_##name, d);                                                 \
    }

static int variadic(struct nn *net, struct nn_node *node,
                    unsigned (*run)(struct nn *, const struct nn_node *), struct diag *d)
{
    int rank, rc = OK;
    size_t dim[TENSOR_MAX_RANK];
    for (size_t k = 0; rc == OK && k < node->n_in; k++)
        rc = node_want(net, node, k, ONNX_FLOAT, d);
    if (rc == OK)
        rc = broadcast_shape(&rank, dim, net, node, node->n_in, node->in, d);
    if (rc == OK)
        rc = node_out(net, node, 0, ONNX_FLOAT, rank, dim, d);
    struct broadcast *how = node->state = arena_alloc(&net->arena, node->n_in * sizeof *how);
    for (size_t k = 0; rc == OK && k < node->n_in; k++)
        rc = broadcast_plan(&how[k], net, node, node->out[0], 1, &node->in[k], d);
    node->run = run;
    return rc;
}

VARIADIC(sum, y + x, y)
VARIADIC(mean, y + x, y / n)
VARIADIC(max, x > y || x != x ? x : y, y)
VARIADIC(min, x < y || x != x ? x : y, y)
