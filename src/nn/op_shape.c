/* Operators that move or rename elements without computing. */
#include <string.h>

#include "nn/priv.h"

/* ---- Constants ------------------------------------------------------------------------------------------ */

static int constant_ints(struct nn *net, struct nn_node *node, int rank, size_t n, const int64_t *v,
                         struct diag *d)
{
    int rc = node_out(net, node, 0, ONNX_INT64, rank, &n, d);
    if (rc == OK && n > 0)
        memcpy(node->out[0]->i, v, n * sizeof *v);
    return rc;
}

static int constant_floats(struct nn *net, struct nn_node *node, int rank, size_t n, const float *v,
                           struct diag *d)
{
    int rc = node_out(net, node, 0, ONNX_FLOAT, rank, &n, d);
    if (rc == OK && n > 0)
        memcpy(node->out[0]->f, v, n * sizeof *v);
    return rc;
}

static int constant_tensor(struct nn *net, struct nn_node *node, const struct onnx_tensor *t,
                           struct diag *d)
{
    if (!t->held)
        return node_fail(net, node, d, ERR_UNSUPPORTED, "%s", t->why);
    int rc = node_out(net, node, 0, t->type, t->rank, t->dim, d);
    if (rc == OK && t->n > 0 && t->type == ONNX_FLOAT)
        memcpy(node->out[0]->f, t->f, t->n * sizeof *t->f);
    else if (rc == OK && t->n > 0)
        memcpy(node->out[0]->i, t->i, t->n * sizeof *t->i);
    return rc;
}

int build_constant(struct nn *net, struct nn_node *node, struct diag *d)
{
    const struct onnx_attr *a = node->proto->n_attrs == 1 ? &node->proto->attrs[0] : NULL;
    switch (a ? a->kind : ATTR_OTHER) {
    case ATTR_TENSOR: return constant_tensor(net, node, a->t, d);
    case ATTR_FLOAT: return constant_floats(net, node, 0, 1, &a->f, d);
    case ATTR_FLOATS: return constant_floats(net, node, 1, a->n, a->floats, d);
    case ATTR_INT: return constant_ints(net, node, 0, 1, &a->i, d);
    case ATTR_INTS: return constant_ints(net, node, 1, a->n, a->ints, d);
    default: return node_fail(net, node, d, ERR_UNSUPPORTED, "a value of an unknown kind");
    }
}

/* ---- The same elements under another shape ----------------------------------------------------------------- */

int build_identity(struct nn *net, struct nn_node *node, struct diag *d)
{
    return node_alias(net, node, 0, 0, node->in[0]->rank, node->in[0]->dim, d);
}

/* In inference it passes everything on. */
int build_dropout(struct nn *net, struct nn_node *node, struct diag *d)
{
    if (node->n_in > 2 && node->in[2] &&
        (!node->in[2]->known || node->in[2]->type != ONNX_BOOL || node->in[2]->n != 1 ||
         node->in[2]->i[0]))
        return node_fail(net, node, d, ERR_UNSUPPORTED, "in training mode");
    return build_identity(net, node, d);
}

int build_flatten(struct nn *net, struct nn_node *node, struct diag *d)
{
    const struct nn_value *x = node->in[0];
    int64_t axis = attr_int(node, "axis", 1);
    if (axis < -x->rank || axis > x->rank)
        return node_fail(net, node, d, ERR_INPUT, "axis %lld of a tensor of %d dimensions",
                         (long long)axis, x->rank);
    int at = (int)(axis < 0 ? axis + x->rank : axis);
    size_t dim[] = {dims_product(at, x->dim), dims_product(x->rank - at, x->dim + at)};
    return node_alias(net, node, 0, 0, 2, dim, d);
}

int build_reshape(struct nn *net, struct nn_node *node, struct diag *d)
{
    const struct nn_value *x = node->in[0], *shape = node->in[1];
    int rc = node_known_ints(net, node, 1, d), free = -1;
    if (rc != OK)
        return rc;
    if (shape->n > TENSOR_MAX_RANK)
        return node_fail(net, node, d, ERR_UNSUPPORTED, "to %zu dimensions", shape->n);
    size_t dim[TENSOR_MAX_RANK], n = 1;
    bool copy_zero = !attr_int(node, "allowzero", 0);
    for (int k = 0; k < (int)shape->n; k++) {
        int64_t v = shape->i[k];
        if (v < -1 || (v == -1 && free >= 0) || (v == 0 && copy_zero && k >= x->rank))
            return node_fail(net, node, d, ERR_INPUT, "dimension %d of the new shape is %lld", k,
                             (long long)v);
        free = v == -1 ? k : free;
        dim[k] = v == -1 ? 1 : v == 0 && copy_zero ? x->dim[k] : (size_t)v;
        if (__builtin_mul_overflow(n, dim[k], &n))
            return node_fail(net, node, d, ERR_INPUT, "the new shape is too large");
    }
    if (free >= 0 && n > 0)
        dim[free] = x->n / n;
    return node_alias(net, node, 0, 0, (int)shape->n, dim, d);
}

/* ---- Concat -------------------------------------------------------------------------------------------------- */

struct concat {
    size_t outer, inner; /* bytes of one step along the axis */
    int axis;
};

static unsigned run_concat(struct nn *net, const struct nn_node *node)
{
    const struct concat *c = node->state;
    bool floats = node->out[0]->type == ONNX_FLOAT;
    char *to = floats ? (char *)node->out[0]->f : (char *)node->out[0]->i;
    (void)net;
    for (size_t o = 0; o < c->outer; o++)
        for (size_t k = 0; k < node->n_in; k++) {
            const struct nn_value *x = node->in[k];
            const char *from = floats ? (const char *)x->f : (const char *)x->i;
            size_t bytes = x->dim[c->axis] * c->inner;
            if (bytes > 0)
                memcpy(to, from + o * bytes, bytes);
            to += bytes;
        }
    return dnnl_success;
}

int build_concat(struct nn *net, struct nn_node *node, struct diag *d)
{
    struct concat *c = node->state = ARENA_NEW(&net->arena, struct concat);
    const struct nn_value *first = node->in[0];
    int rc = node_axis(net, node, attr_int(node, "axis", 1), first->rank, &c->axis, d);
    if (rc != OK)
        return rc;
    size_t dim[TENSOR_MAX_RANK];
    memcpy(dim, first->dim, sizeof dim);
    dim[c->axis] = 0;
    for (size_t k = 0; k < node->n_in; k++) {
        rc = node_want(net, node, k, first->type, d);
        if (rc != OK)
            return rc;
        bool fits = node->in[k]->rank == first->rank;
        for (int j = 0; fits && j < first->rank; j++)
            fits = j == c->axis || node->in[k]->dim[j] == first->dim[j];
        if (!fits || __builtin_add_overflow(dim[c->axis], node->in[k]->dim[c->axis], &dim[c->axis]))
            return node_fail(net, node, d, ERR_INPUT, "input %zu does not fit the first", k);
    }
    c->outer = dims_product(c->axis, dim);
    c->inner = dims_product(first->rank - c->axis - 1, dim + c->axis + 1) *
               (first->type == ONNX_FLOAT ? sizeof(float) : sizeof(int64_t));
    node->run = run_concat;
    return node_out(net, node, 0, first->type, first->rank, dim, d);
}
