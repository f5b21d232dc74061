/* Reductions over axes: the input is walked in order, each element folded into the output element that
 * broadcasts to it. */
#include <math.h>
#include <string.h>

#include "nn/broadcast.h"
#include "nn/priv.h"

struct reduce {
    struct broadcast how;  /* the output's strides along the input */
    struct nn_value shape; /* the output's, with the reduced dimensions kept as 1 */
    size_t n;              /* elements folded into each */
};

/* name, first value, how x joins y, what becomes of y at the end (n folded) */
#define REDUCE(name, first, join, end)                                                             \
    static unsigned run_##name(struct nn *net, const struct nn_node *node)                         \
    {                                                                                              \
        const struct reduce *r = node->state;                                                      \
        const float *in = node->in[0]->f;                                                          \
        float *out = node->out[0]->f, n = (float)r->n;                                             \
        (void)net, (void)n;                                                                        \
        for (size_t k = 0; k < node->out[0]->n; k++)                                               \
            out[k] = (first);                                                                      \
        for (struct broadcast_at at = broadcast_first(&r->how); at.row < r->how.rows;              \
             broadcast_next(&r->how, &at))                                                         \
            for (size_t k = 0; k < r->how.inner; k++) {                                            \
                float x = in[at.out + k], y = out[at.in[0] + k * r->how.step[0]];                  \
                out[at.in[0] + k * r->how.step[0]] = (join);                                       \
            }                                                                                      \
        for (size_t k = 0; k < node->out[0]->n; k++) {                                             \
            float y = out[k];                                                                      \
            out[k] = (end);                                                                        \
        }                                                                                          \
        return dnnl_success;                                                                       \
    }                                                                                              \
    int build_##name(struct nn *net, struct nn_node *node, struct diag *d)                         \
    {                                                                                              \
        return build_reduce(net, node, run_##name, d);                                             \
    }

/* Axes from the attribute or, since operator set 13 (sum) or 18, from input 1; none: all. */
static int reduced_axes(const struct nn *net, const struct nn_node *node, bool *reduced,
                        struct diag *d)
{
    const struct nn_value *x = node->in[0];
    size_t n;
    const int64_t *axes = attr_ints(node, "axes", &n);
    if (!axes && node->n_in > 1 && node->in[1]) {
        int rc = node_known_ints(net, node, 1, d);
        if (rc != OK)
            return rc;
        axes = node->in[1]->i;
        n = node->in[1]->n;
    }
    bool all = n == 0 && !attr_int(node, "noop_with_empty_axes", 0);
    for (int k = 0; k < x->rank; k++)
        reduced[k] = all;
    for (size_t k = 0; k < n; k++) {
        int axis, rc = node_axis(net, node, axes[k], x->rank, &axis, d);
        if (rc != OK)
            return rc;
        reduced[axis] = true;
    }
    return OK;
}

/* The shape with the reduced dimensions as 1, and without them. */
static int reduced_shape(struct nn_value *kept, const struct nn_value *x, const bool *reduced,
                         size_t *dropped)
{
    int n = 0;
    *kept = (struct nn_value){.rank = x->rank, .n = 1};
    for (int k = 0; k < x->rank; k++) {
        kept->dim[k] = reduced[k] ? 1 : x->dim[k];
        kept->n *= kept->dim[k];
        if (!reduced[k])
            dropped[n++] = x->dim[k];
    }
    return n;
}

static int build_reduce(struct nn *net, struct nn_node *node,
                        unsigned (*run)(struct nn *, const struct nn_node *), struct diag *d)
{
    struct reduce *r = node->state = ARENA_NEW(&net->arena, struct reduce);
    const struct nn_value *x = node->in[0];
    bool reduced[TENSOR_MAX_RANK];
    int rc = node_want(net, node, 0, ONNX_FLOAT, d);
    if (rc == OK)
        rc = reduced_axes(net, node, reduced, d);
    if (rc != OK)
        return rc;
    size_t dropped[TENSOR_MAX_RANK];
    int rank = reduced_shape(&r->shape, x, reduced, dropped);
    r->n = r->shape.n ? x->n / r->shape.n : 0;
    struct nn_value *shape = &r->shape;
    rc = broadcast_plan(&r->how, net, node, x, 1, &shape, d);
    node->run = run;
    if (rc != OK)
        return rc;
    return attr_int(node, "keepdims", 1)
               ? node_out(net, node, 0, ONNX_FLOAT, x->rank, shape->dim, d)
               : node_out(net, node, 0, ONNX_FLOAT, rank, dropped, d);
}

REDUCE(reduce_sum, 0, y + x, y)
REDUCE(reduce_mean, 0, y + x, y / n)
REDUCE(reduce_prod, 1, y *x, y)
REDUCE(reduce_max, -INFINITY, x > y || x != x ? x : y, y)
REDUCE(reduce_min, INFINITY, x < y || x != x ? x : y, y)
REDUCE(reduce_l1, 0, y + fabsf(x), y)
REDUCE(reduce_l2, 0, y + x * x, sqrtf(y))
REDUCE(reduce_sum_square, 0, y + x * x, y)
REDUCE(reduce_log_sum, 0, y + x, logf(y))

/* ---- ArgMax, ArgMin ---------------------------------------------------------------------------------- */

struct arg {
    size_t outer, n, inner;
    bool min, last;
};

static unsigned run_arg(struct nn *net, const struct nn_node *node)
{
    const struct arg *a = node->state;
    (void)net;
    for (size_t o = 0; o < a->outer; o++)
        for (size_t i = 0; i < a->inner; i++) {
            const float *x = node->in[0]->f + o * a->n * a->inner + i;
            size_t best = 0;
            for (size_t k = 1; k < a->n; k++) {
                float v = x[k * a->inner], b = x[best * a->inner];
                if ((a->min ? v < b : v > b) || (a->last && v == b))
                    best = k;
            }
            node->out[0]->i[o * a->inner + i] = (int64_t)best;
        }
    return dnnl_success;
}

static int build_arg(struct nn *net, struct nn_node *node, bool min, struct diag *d)
{
    const struct nn_value *x = node->in[0];
    int axis, rc = node_want(net, node, 0, ONNX_FLOAT, d);
    if (rc == OK)
        rc = node_axis(net, node, attr_int(node, "axis", 0), x->rank, &axis, d);
    if (rc != OK)
        return rc;
    if (x->n == 0)
        return node_fail(net, node, d, ERR_INPUT, "of nothing");
    struct arg *a = node->state = ARENA_NEW(&net->arena, struct arg);
    *a = (struct arg){dims_product(axis, x->dim), x->dim[axis],
                      dims_product(x->rank - axis - 1, x->dim + axis + 1), min,
                      attr_int(node, "select_last_index", 0) != 0};
    size_t dropped[TENSOR_MAX_RANK];
    bool reduced[TENSOR_MAX_RANK] = {false};
    reduced[axis] = true;
    struct nn_value kept;
    int rank = reduced_shape(&kept, x, reduced, dropped);
    node->run = run_arg;
    return attr_int(node, "keepdims", 1) ? node_out(net, node, 0, ONNX_INT64, x->rank, kept.dim, d)
                                         : node_out(net, node, 0, ONNX_INT64, rank, dropped, d);
}

int build_arg_max(struct nn *net, struct nn_node *node, struct diag *d)
{
    return build_arg(net, node, false, d);
}

int build_arg_min(struct nn *net, struct nn_node *node, struct diag *d)
{
    return build_arg(net, node, true, d);
}
