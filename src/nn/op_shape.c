/* Operators that move or rename elements without computing. */
#include <math.h>
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
    case ATTR_TENSOR:
        return constant_tensor(net, node, a->t, d);
    case ATTR_FLOAT:
        return constant_floats(net, node, 0, 1, &a->f, d);
    case ATTR_FLOATS:
        return constant_floats(net, node, 1, a->n, a->floats, d);
    case ATTR_INT:
        return constant_ints(net, node, 0, 1, &a->i, d);
    case ATTR_INTS:
        return constant_ints(net, node, 1, a->n, a->ints, d);
    default:
        return node_fail(net, node, d, ERR_UNSUPPORTED, "a value of an unknown kind");
    }
}

/* ---- The same elements under another shape ----------------------------------------------------------------- */

int build_identity(struct nn *net, struct nn_node *node, struct diag *d)
{
    return node_alias(net, node, 0, 0, node->in[0]->rank, node->in[0]->dim, d);
}

/* In inference it passes everything on, and its mask says so. */
int build_dropout(struct nn *net, struct nn_node *node, struct diag *d)
{
    if (node->n_in > 2 && node->in[2] &&
        (!node->in[2]->known || node->in[2]->type != ONNX_BOOL || node->in[2]->n != 1 ||
         node->in[2]->i[0]))
        return node_fail(net, node, d, ERR_UNSUPPORTED, "in training mode");
    if (net->opset < 7 && !attr_int(node, "is_test", 0))
        return node_fail(net, node, d, ERR_UNSUPPORTED, "in training mode");
    int rc = build_identity(net, node, d);
    int mask = net->opset < 10 ? node->in[0]->type : ONNX_BOOL;
    if (rc == OK && node->n_out > 1 && node->out[1]) {
        rc = node_out(net, node, 1, mask, node->in[0]->rank, node->in[0]->dim, d);
        struct nn_value *kept = node->out[1];
        for (size_t k = 0; rc == OK && k < kept->n; k++)
            if (mask == ONNX_FLOAT)
                kept->f[k] = 1;
            else
                kept->i[k] = 1;
        kept->known = rc == OK;
    }
    return rc;
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

/* Axes from the attribute or, since operator set 13, from input 1; none: NULL. */
static int axes_of(const int64_t **out, size_t *n, const struct nn *net, const struct nn_node *node,
                   struct diag *d)
{
    *out = attr_ints(node, "axes", n);
    if (*out || node->n_in < 2 || !node->in[1])
        return OK;
    int rc = node_known_ints(net, node, 1, d);
    *out = rc == OK ? node->in[1]->i : NULL;
    *n = rc == OK ? node->in[1]->n : 0;
    return rc;
}

/* Which of `rank` dimensions the axes name; each once. */
static int mark_axes(bool *marked, int rank, const struct nn *net, const struct nn_node *node,
                     const int64_t *axes, size_t n, struct diag *d)
{
    memset(marked, 0, TENSOR_MAX_RANK * sizeof *marked);
    for (size_t k = 0; k < n; k++) {
        int axis, rc = node_axis(net, node, axes[k], rank, &axis, d);
        if (rc != OK)
            return rc;
        if (marked[axis])
            return node_fail(net, node, d, ERR_INPUT, "axis %d twice", axis);
        marked[axis] = true;
    }
    return OK;
}

int build_squeeze(struct nn *net, struct nn_node *node, struct diag *d)
{
    const struct nn_value *x = node->in[0];
    const int64_t *axes;
    size_t n, dim[TENSOR_MAX_RANK];
    bool marked[TENSOR_MAX_RANK];
    int rank = 0, rc = axes_of(&axes, &n, net, node, d);
    if (rc == OK)
        rc = mark_axes(marked, x->rank, net, node, axes, n, d);
    if (rc != OK)
        return rc;
    for (int k = 0; k < x->rank; k++) {
        if (marked[k] && x->dim[k] != 1)
            return node_fail(net, node, d, ERR_INPUT, "dimension %d is %zu, not 1", k, x->dim[k]);
        if (axes ? !marked[k] : x->dim[k] != 1)
            dim[rank++] = x->dim[k];
    }
    return node_alias(net, node, 0, 0, rank, dim, d);
}

int build_unsqueeze(struct nn *net, struct nn_node *node, struct diag *d)
{
    const struct nn_value *x = node->in[0];
    const int64_t *axes;
    size_t n, dim[TENSOR_MAX_RANK];
    bool marked[TENSOR_MAX_RANK];
    int rc = axes_of(&axes, &n, net, node, d), rank = x->rank + (int)(n & 255), from = 0;
    if (rc == OK && (!axes || n > TENSOR_MAX_RANK || rank > TENSOR_MAX_RANK))
        return node_fail(net, node, d, ERR_UNSUPPORTED, "%zu new dimensions", n);
    if (rc == OK)
        rc = mark_axes(marked, rank, net, node, axes, n, d);
    if (rc != OK)
        return rc;
    for (int k = 0; k < rank; k++)
        dim[k] = marked[k] ? 1 : x->dim[from++];
    return node_alias(net, node, 0, 0, rank, dim, d);
}

/* ---- Shapes as values: known as soon as the graph is loaded ------------------------------------------------ */

int build_shape(struct nn *net, struct nn_node *node, struct diag *d)
{
    const struct nn_value *x = node->in[0];
    int64_t rank = x->rank, start = attr_int(node, "start", 0), end = attr_int(node, "end", rank);
    start = start < 0 ? start + rank : start;
    end = end < 0 ? end + rank : end;
    start = start < 0 ? 0 : start > rank ? rank : start;
    end = end < start ? start : end > rank ? rank : end;
    size_t n = (size_t)(end - start);
    int rc = node_out(net, node, 0, ONNX_INT64, 1, &n, d);
    for (size_t k = 0; rc == OK && k < n; k++)
        node->out[0]->i[k] = (int64_t)x->dim[(size_t)start + k];
    node->out[0]->known = rc == OK;
    return rc;
}

int build_size(struct nn *net, struct nn_node *node, struct diag *d)
{
    int rc = node_out(net, node, 0, ONNX_INT64, 0, NULL, d);
    if (rc == OK)
        node->out[0]->i[0] = (int64_t)node->in[0]->n;
    node->out[0]->known = rc == OK;
    return rc;
}

int build_constant_of_shape(struct nn *net, struct nn_node *node, struct diag *d)
{
    const struct nn_value *shape = node->in[0];
    const struct onnx_attr *a = attr_find(node, "value");
    int rc = node_known_ints(net, node, 0, d), type = a && a->t ? a->t->type : ONNX_FLOAT;
    size_t dim[TENSOR_MAX_RANK];
    if (rc != OK)
        return rc;
    if (shape->n > TENSOR_MAX_RANK || (a && (!a->t || !a->t->held || a->t->n != 1)))
        return node_fail(net, node, d, ERR_UNSUPPORTED,
                         "%zu dimensions, or a value that is not one "
                         "number",
                         shape->n);
    for (size_t k = 0; k < shape->n; k++) {
        if (shape->i[k] < 0)
            return node_fail(net, node, d, ERR_INPUT, "dimension %zu is negative", k);
        dim[k] = (size_t)shape->i[k];
    }
    rc = node_out(net, node, 0, type, (int)shape->n, dim, d);
    for (size_t k = 0; rc == OK && a && k < node->out[0]->n; k++)
        if (type == ONNX_FLOAT)
            node->out[0]->f[k] = a->t->f[0];
        else
            node->out[0]->i[k] = a->t->i[0];
    return rc;
}

static double number(const struct nn_value *v)
{
    return v->type == ONNX_FLOAT ? (double)v->f[0] : (double)v->i[0];
}

int build_range(struct nn *net, struct nn_node *node, struct diag *d)
{
    const struct nn_value *from = node->in[0], *to = node->in[1], *step = node->in[2];
    for (size_t k = 0; k < 3; k++)
        if (!node->in[k]->known || node->in[k]->n != 1 || node->in[k]->type != from->type)
            return node_fail(net, node, d, ERR_UNSUPPORTED,
                             "input %zu must be a constant, one number of the first one's type", k);
    double n = ceil((number(to) - number(from)) / number(step));
    if (!(fabs(n) <= INT32_MAX))
        return node_fail(net, node, d, ERR_INPUT, "from %g to %g by %g", number(from), number(to),
                         number(step));
    size_t count = n > 0 ? (size_t)n : 0;
    int rc = node_out(net, node, 0, from->type, 1, &count, d);
    for (size_t k = 0; rc == OK && k < count; k++)
        if (from->type == ONNX_FLOAT)
            node->out[0]->f[k] = from->f[0] + (float)k * step->f[0];
        else
            node->out[0]->i[k] = (int64_t)((uint64_t)from->i[0] + k * (uint64_t)step->i[0]);
    if (rc == OK)
        node->out[0]->known = true;
    return rc;
}

/* ---- Cast ------------------------------------------------------------------------------------------------ */

static int64_t narrow(int64_t v, int type)
{
    switch (type) {
    case ONNX_BOOL:
        return v != 0;
    case ONNX_UINT8:
        return (uint8_t)v;
    case ONNX_INT8:
        return (int8_t)v;
    case ONNX_INT32:
        return (int32_t)v;
    default:
        return v;
    }
}

/* Towards zero; what does not fit becomes the nearest end, what is not a number 0. */
static int64_t float_to_int(float x, int type)
{
    if (type == ONNX_BOOL)
        return x != 0;
    if (x != x)
        return 0;
    if (x >= 0x1p63f)
        return INT64_MAX;
    return x < -0x1p63f ? INT64_MIN : (int64_t)x;
}

static unsigned run_cast(struct nn *net, const struct nn_node *node)
{
    const struct nn_value *x = node->in[0];
    struct nn_value *y = node->out[0];
    (void)net;
    for (size_t k = 0; k < x->n; k++)
        if (x->type == ONNX_FLOAT && y->type == ONNX_FLOAT)
            y->f[k] = x->f[k];
        else if (y->type == ONNX_FLOAT)
            y->f[k] = (float)x->i[k];
        else
            y->i[k] =
                narrow(x->type == ONNX_FLOAT ? float_to_int(x->f[k], y->type) : x->i[k], y->type);
    return dnnl_success;
}

int build_cast(struct nn *net, struct nn_node *node, struct diag *d)
{
    int64_t to = attr_int(node, "to", 0);
    if (to < 0 || to > 64 || !onnx_type_held((int)to))
        return node_fail(net, node, d, ERR_UNSUPPORTED, "to type %s",
                         onnx_type_name(to < 0 || to > 64 ? 0 : (int)to));
    node->run = run_cast;
    return node_out(net, node, 0, (int)to, node->in[0]->rank, node->in[0]->dim, d);
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

static size_t run_concat_at(const struct nn_node *node, size_t input, const uint32_t *in, size_t n,
                            uint32_t *touched, size_t room)
{
    const struct concat *c = node->state;
    const struct nn_value *x = node->in[input], *y = node->out[0];
    size_t before = 0, inner = c->inner / sizeof(float);
    (void)room;
    if (y->type != ONNX_FLOAT)
        return NN_ALL;
    for (size_t k = 0; k < input; k++)
        before += node->in[k]->dim[c->axis] * inner;
    size_t run = x->dim[c->axis] * inner, whole = y->dim[c->axis] * inner;
    for (size_t k = 0; k < n; k++) {
        size_t at = in[k] / run * whole + before + in[k] % run;
        y->f[at] = x->f[in[k]];
        touched[k] = (uint32_t)at;
    }
    return n;
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
    node->run_at = run_concat_at;
    return node_out(net, node, 0, first->type, first->rank, dim, d);
}
