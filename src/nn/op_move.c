/* Operators that only move elements: each output element is one input element or a fill value, and
 * where it comes from is a sum of one table look-up per dimension. The tables are made when loading. */
#include <string.h>

#include "nn/move.h"

static const int64_t OUTSIDE = -1; /* table entry: the fill value */

struct move *move_new(struct nn *net, int rank, const size_t *dim)
{
    struct move *m = ARENA_NEW(&net->arena, struct move);
    m->rank = rank;
    for (int k = 0; k < rank; k++) {
        m->dim[k] = dim[k];
        m->from[k] = arena_alloc(&net->arena, (dim[k] + 1) * sizeof *m->from[k]);
    }
    return m;
}

/* The row of the last dimension, from an input that starts at base. */
static void move_row(const struct move *m, void *to, const void *from, bool floats, int64_t base,
                     bool outside)
{
    size_t n = m->rank ? m->dim[m->rank - 1] : 1;
    static const int64_t zero[1] = {0};
    const int64_t *table = m->rank ? m->from[m->rank - 1] : zero;
    if (floats) {
        float *out = to;
        const float *in = (const float *)from + base;
        for (size_t k = 0; k < n; k++)
            out[k] = outside || table[k] == OUTSIDE ? m->fill_float : in[table[k]];
    } else {
        int64_t *out = to;
        const int64_t *in = (const int64_t *)from + base;
        for (size_t k = 0; k < n; k++)
            out[k] = outside || table[k] == OUTSIDE ? m->fill_int : in[table[k]];
    }
}

void move_run(const struct move *m, const struct nn_value *in, struct nn_value *out)
{
    bool floats = in->type == ONNX_FLOAT;
    size_t inner = m->rank ? m->dim[m->rank - 1] : 1, index[MOVE_MAX_RANK] = {0};
    for (size_t at = 0; at < out->n; at += inner) {
        int64_t base = 0;
        bool outside = false;
        for (int k = 0; k < m->rank - 1; k++) {
            outside = outside || m->from[k][index[k]] == OUTSIDE;
            base += m->from[k][index[k]];
        }
        move_row(m, floats ? (void *)(out->f + at) : (void *)(out->i + at),
                 floats ? (const void *)in->f : (const void *)in->i, floats, outside ? 0 : base,
                 outside);
        for (int k = m->rank - 2; k >= 0 && ++index[k] == m->dim[k]; k--)
            index[k] = 0;
    }
}

static unsigned run_move(struct nn *net, const struct nn_node *node)
{
    (void)net;
    const struct move *const *m = node->state;
    for (size_t k = 0; k < node->n_out; k++)
        if (node->out[k])
            move_run(m[k], node->in[0], node->out[k]);
    return dnnl_success;
}

/* One move per output; the moves are filled in afterwards. */
static struct move **moves(struct nn *net, struct nn_node *node)
{
    node->run = run_move;
    return node->state = arena_alloc(&net->arena, node->n_out * sizeof(struct move *));
}

/* The output has m's shape. */
static int finish(struct nn *net, struct nn_node *node, struct move *m, struct diag *d)
{
    moves(net, node)[0] = m;
    return node_out(net, node, 0, node->in[0]->type, m->rank, m->dim, d);
}

/* A list of integers that older operator sets have as an attribute and newer ones as input i. */
static int ints_of(const int64_t **out, size_t *n, struct nn *net, const struct nn_node *node,
                   const char *attr, size_t i, struct diag *d)
{
    *out = attr_ints(node, attr, n);
    if (*out || i >= node->n_in || !node->in[i])
        return OK;
    int rc = node_known_ints(net, node, i, d);
    *out = rc == OK ? node->in[i]->i : NULL;
    *n = rc == OK ? node->in[i]->n : 0;
    return rc;
}

/* ---- Transpose, DepthToSpace, SpaceToDepth ----------------------------------------------------------- */

/* x seen under `rank` dimensions dim, its axes reordered by perm. */
static struct move *transposed(struct nn *net, int rank, const size_t *dim, const int *perm)
{
    size_t stride[MOVE_MAX_RANK], out[MOVE_MAX_RANK];
    dims_strides(rank, dim, stride);
    for (int k = 0; k < rank; k++)
        out[k] = dim[perm[k]];
    struct move *m = move_new(net, rank, out);
    for (int k = 0; k < rank; k++)
        for (size_t i = 0; i < out[k]; i++)
            m->from[k][i] = (int64_t)(i * stride[perm[k]]);
    return m;
}

int build_transpose(struct nn *net, struct nn_node *node, struct diag *d)
{
    const struct nn_value *x = node->in[0];
    size_t n;
    const int64_t *p = attr_ints(node, "perm", &n);
    int perm[TENSOR_MAX_RANK], seen = 0;
    for (int k = 0; k < x->rank; k++) {
        perm[k] =
            p && n == (size_t)x->rank && p[k] >= 0 && p[k] < x->rank ? (int)p[k] : x->rank - 1 - k;
        seen |= 1 << perm[k];
        if (p && perm[k] != (n == (size_t)x->rank ? p[k] : -1))
            return node_fail(net, node, d, ERR_INPUT, "perm is no order of %d dimensions", x->rank);
    }
    if (seen != (1 << x->rank) - 1)
        return node_fail(net, node, d, ERR_INPUT, "perm is no order of %d dimensions", x->rank);
    return finish(net, node, transposed(net, x->rank, x->dim, perm), d);
}

/* Both directions: NCHW seen in six dimensions, reordered, and seen in four again. */
static int build_blocks(struct nn *net, struct nn_node *node, bool to_space, struct diag *d)
{
    const struct nn_value *x = node->in[0];
    int64_t block = attr_int(node, "blocksize", 0);
    bool crd = strcmp(attr_string(node, "mode", "DCR"), "CRD") == 0;
    size_t b = (size_t)block;
    if (x->rank != 4 || block < 1 || block > 1024 ||
        (to_space ? x->dim[1] % (b * b) : x->dim[2] % b || x->dim[3] % b))
        return node_fail(net, node, d, ERR_INPUT, "blocks of %lld do not divide the input",
                         (long long)block);
    size_t n = x->dim[0], c = x->dim[1], h = x->dim[2], w = x->dim[3];
    struct move *m;
    size_t dim[4] = {n, 0, 0, 0};
    if (to_space) {
        size_t dcr_dim[] = {n, b, b, c / b / b, h, w}, crd_dim[] = {n, c / b / b, b, b, h, w};
        m = crd ? transposed(net, 6, crd_dim, (int[]){0, 1, 4, 2, 5, 3})
                : transposed(net, 6, dcr_dim, (int[]){0, 3, 4, 1, 5, 2});
        memcpy(dim + 1, (size_t[]){c / b / b, h * b, w * b}, 3 * sizeof *dim);
    } else {
        size_t from[] = {n, c, h / b, b, w / b, b};
        m = transposed(net, 6, from, (int[]){0, 3, 5, 1, 2, 4});
        memcpy(dim + 1, (size_t[]){c * b * b, h / b, w / b}, 3 * sizeof *dim);
    }
    moves(net, node)[0] = m;
    return node_out(net, node, 0, x->type, 4, dim, d);
}

int build_depth_to_space(struct nn *net, struct nn_node *node, struct diag *d)
{
    return build_blocks(net, node, true, d);
}

int build_space_to_depth(struct nn *net, struct nn_node *node, struct diag *d)
{
    return build_blocks(net, node, false, d);
}

/* ---- Slice, Split -------------------------------------------------------------------------------------- */

struct range {
    int64_t start, step;
    size_t n;
};

static int64_t clamp(int64_t v, int64_t lo, int64_t hi) { return v < lo ? lo : v > hi ? hi : v; }

static struct range slice_range(int64_t start, int64_t end, int64_t step, size_t dim)
{
    int64_t n = (int64_t)dim;
    start = start < 0 ? start + n : start; /* cannot overflow: start < 0 <= n */
    end = end < 0 ? end + n : end;
    struct range r = {.step = clamp(step, -n - 1, n + 1)};
    r.start = clamp(start, 0, step < 0 ? n - 1 : n);
    end = clamp(end, step < 0 ? -1 : 0, n);
    int64_t room = r.step < 0 ? r.start - end : end - r.start, by = r.step < 0 ? -r.step : r.step;
    r.n = n == 0 || room <= 0 ? 0 : (size_t)((room + by - 1) / by);
    return r;
}

/* x cut to the given range in each dimension. */
static struct move *cut(struct nn *net, const struct nn_value *x, const struct range *r)
{
    size_t stride[TENSOR_MAX_RANK], dim[TENSOR_MAX_RANK];
    dims_strides(x->rank, x->dim, stride);
    for (int k = 0; k < x->rank; k++)
        dim[k] = r[k].n;
    struct move *m = move_new(net, x->rank, dim);
    for (int k = 0; k < x->rank; k++)
        for (size_t i = 0; i < dim[k]; i++)
            m->from[k][i] = (r[k].start + (int64_t)i * r[k].step) * (int64_t)stride[k];
    return m;
}

static void whole(struct range *r, const struct nn_value *x)
{
    for (int k = 0; k < x->rank; k++)
        r[k] = (struct range){0, 1, x->dim[k]};
}

int build_slice(struct nn *net, struct nn_node *node, struct diag *d)
{
    const struct nn_value *x = node->in[0];
    const int64_t *starts, *ends, *axes, *steps;
    size_t n, n_ends, n_axes, n_steps;
    int rc = ints_of(&starts, &n, net, node, "starts", 1, d);
    if (rc == OK)
        rc = ints_of(&ends, &n_ends, net, node, "ends", 2, d);
    if (rc == OK)
        rc = ints_of(&axes, &n_axes, net, node, "axes", 3, d);
    if (rc == OK)
        rc = ints_of(&steps, &n_steps, net, node, "", 4, d);
    if (rc != OK)
        return rc;
    if (!starts || !ends || n != n_ends || (axes && n_axes != n) || (steps && n_steps != n) ||
        n > (size_t)x->rank)
        return node_fail(net, node, d, ERR_INPUT, "starts, ends, axes and steps do not match");
    struct range r[TENSOR_MAX_RANK];
    whole(r, x);
    for (size_t k = 0; k < n; k++) {
        int axis;
        rc = node_axis(net, node, axes ? axes[k] : (int64_t)k, x->rank, &axis, d);
        if (rc != OK)
            return rc;
        if (steps && steps[k] == 0)
            return node_fail(net, node, d, ERR_INPUT, "a step of 0");
        r[axis] = slice_range(starts[k], ends[k], steps ? steps[k] : 1, x->dim[axis]);
    }
    return finish(net, node, cut(net, x, r), d);
}

int build_split(struct nn *net, struct nn_node *node, struct diag *d)
{
    const struct nn_value *x = node->in[0];
    const int64_t *sizes;
    size_t n, at = 0;
    int axis, rc = ints_of(&sizes, &n, net, node, "split", 1, d);
    if (rc == OK)
        rc = node_axis(net, node, attr_int(node, "axis", 0), x->rank, &axis, d);
    if (rc != OK)
        return rc;
    if (sizes ? n != node->n_out : x->dim[axis] % node->n_out != 0)
        return node_fail(net, node, d, ERR_INPUT, "%zu outputs of an axis of %zu", node->n_out,
                         x->dim[axis]);
    struct move **m = moves(net, node);
    for (size_t k = 0; rc == OK && k < node->n_out; k++) {
        struct range r[TENSOR_MAX_RANK];
        size_t size = sizes ? (size_t)sizes[k] : x->dim[axis] / node->n_out;
        if (size > x->dim[axis] - at)
            return node_fail(net, node, d, ERR_INPUT, "its parts are more than the whole");
        whole(r, x);
        r[axis] = (struct range){(int64_t)at, 1, size};
        m[k] = cut(net, x, r);
        rc = node_out(net, node, k, x->type, m[k]->rank, m[k]->dim, d);
        at += size;
    }
    if (rc == OK && at != x->dim[axis])
        return node_fail(net, node, d, ERR_INPUT, "its parts are less than the whole");
    return rc;
}

/* ---- Pad ------------------------------------------------------------------------------------------------- */

/* Where position i of a padded dimension of n elements comes from. */
static int64_t padded(int64_t i, int64_t n, char mode)
{
    if (i >= 0 && i < n)
        return i;
    switch (mode) {
    case 'e':
        return i < 0 ? 0 : n - 1;
    case 'r': {
        int64_t period = 2 * (n - 1);
        if (period <= 0)
            return 0;
        i = (i % period + period) % period;
        return i < n ? i : period - i;
    }
    default:
        return OUTSIDE;
    }
}

int build_pad(struct nn *net, struct nn_node *node, struct diag *d)
{
    const struct nn_value *x = node->in[0];
    const char *mode = attr_string(node, "mode", "constant");
    const int64_t *pads;
    size_t n, dim[TENSOR_MAX_RANK], stride[TENSOR_MAX_RANK];
    int rc = ints_of(&pads, &n, net, node, "pads", 1, d);
    if (rc == OK && node->n_in > 2 && node->in[2] && !node->in[2]->known)
        return node_fail(net, node, d, ERR_UNSUPPORTED, "the fill value must be a constant");
    if (rc != OK)
        return rc;
    if (n != 2 * (size_t)x->rank ||
        (strcmp(mode, "constant") && strcmp(mode, "edge") && strcmp(mode, "reflect")))
        return node_fail(net, node, d, ERR_INPUT, "mode '%.20s', %zu pads for %d dimensions", mode,
                         n, x->rank);
    for (int k = 0; k < x->rank; k++) {
        int64_t lo = pads[k], hi = pads[k + x->rank], limit = 1 << 20;
        if (lo < -limit || lo > limit || hi < -limit || hi > limit || x->dim[k] > (size_t)limit ||
            (int64_t)x->dim[k] + lo + hi < 0 || (x->dim[k] == 0 && *mode != 'c'))
            return node_fail(net, node, d, ERR_INPUT, "pads %lld and %lld of a dimension of %zu",
                             (long long)lo, (long long)hi, x->dim[k]);
        dim[k] = (size_t)((int64_t)x->dim[k] + lo + hi);
    }
    dims_strides(x->rank, x->dim, stride);
    struct move *m = move_new(net, x->rank, dim);
    for (int k = 0; k < x->rank; k++)
        for (size_t i = 0; i < dim[k]; i++) {
            int64_t from = padded((int64_t)i - pads[k], (int64_t)x->dim[k], *mode);
            m->from[k][i] = from == OUTSIDE ? OUTSIDE : from * (int64_t)stride[k];
        }
    m->fill_float = attr_float(node, "value", 0);
    const struct nn_value *fill = node->n_in > 2 ? node->in[2] : NULL;
    if (fill && fill->n == 1 && fill->type == x->type && x->type == ONNX_FLOAT)
        m->fill_float = fill->f[0];
    else if (fill && fill->n == 1 && fill->type == x->type)
        m->fill_int = fill->i[0];
    else if (fill)
        return node_fail(net, node, d, ERR_INPUT, "the fill value is not one number of its type");
    return finish(net, node, m, d);
}

/* ---- Expand, Tile, Gather -------------------------------------------------------------------------------- */

int build_expand(struct nn *net, struct nn_node *node, struct diag *d)
{
    const struct nn_value *x = node->in[0], *shape = node->in[1];
    int rc = node_known_ints(net, node, 1, d);
    if (rc != OK)
        return rc;
    int n = (int)shape->n, rank = n > x->rank ? n : x->rank;
    size_t dim[TENSOR_MAX_RANK], stride[TENSOR_MAX_RANK];
    if (shape->n > TENSOR_MAX_RANK)
        return node_fail(net, node, d, ERR_UNSUPPORTED, "to %zu dimensions", shape->n);
    dims_strides(x->rank, x->dim, stride);
    for (int k = 0; k < rank; k++) {
        int64_t want = k < rank - n ? 1 : shape->i[k - (rank - n)];
        size_t have = k < rank - x->rank ? 1 : x->dim[k - (rank - x->rank)];
        if (want < 0 || want > INT32_MAX || (want != 1 && have != 1 && (size_t)want != have))
            return node_fail(net, node, d, ERR_INPUT, "%zu elements cannot become %lld", have,
                             (long long)want);
        dim[k] = have == 1 ? (size_t)want : have;
    }
    rc = node_out(net, node, 0, x->type, rank, dim, d);
    if (rc != OK)
        return rc;
    struct move *m = moves(net, node)[0] = move_new(net, rank, dim);
    for (int k = 0; k < rank; k++) {
        int at = k - (rank - x->rank);
        for (size_t i = 0; i < dim[k]; i++)
            m->from[k][i] = at < 0 || x->dim[at] == 1 ? 0 : (int64_t)(i * stride[at]);
    }
    return OK;
}

int build_tile(struct nn *net, struct nn_node *node, struct diag *d)
{
    const struct nn_value *x = node->in[0], *repeats = node->in[1];
    int rc = node_known_ints(net, node, 1, d);
    if (rc != OK)
        return rc;
    size_t dim[TENSOR_MAX_RANK], stride[TENSOR_MAX_RANK];
    if (repeats->n != (size_t)x->rank)
        return node_fail(net, node, d, ERR_INPUT, "%zu repeats of %d dimensions", repeats->n,
                         x->rank);
    dims_strides(x->rank, x->dim, stride);
    for (int k = 0; k < x->rank; k++)
        if (repeats->i[k] < 0 || repeats->i[k] > INT32_MAX ||
            __builtin_mul_overflow(x->dim[k], (size_t)repeats->i[k], &dim[k]))
            return node_fail(net, node, d, ERR_INPUT, "%lld repeats", (long long)repeats->i[k]);
    rc = node_out(net, node, 0, x->type, x->rank, dim, d);
    if (rc != OK)
        return rc;
    struct move *m = moves(net, node)[0] = move_new(net, x->rank, dim);
    for (int k = 0; k < x->rank; k++)
        for (size_t i = 0; i < dim[k]; i++)
            m->from[k][i] = (int64_t)(i % x->dim[k] * stride[k]);
    return OK;
}

/* x seen as outer x axis x inner, the middle looked up by all the indices. */
int build_gather(struct nn *net, struct nn_node *node, struct diag *d)
{
    const struct nn_value *x = node->in[0], *at = node->in[1];
    int axis, rc = node_known_ints(net, node, 1, d);
    if (rc == OK)
        rc = node_axis(net, node, attr_int(node, "axis", 0), x->rank, &axis, d);
    if (rc != OK)
        return rc;
    size_t dim[2 * TENSOR_MAX_RANK], inner = dims_product(x->rank - axis - 1, x->dim + axis + 1);
    int rank = 0;
    for (int k = 0; k < axis; k++)
        dim[rank++] = x->dim[k];
    for (int k = 0; k < at->rank; k++)
        dim[rank++] = at->dim[k];
    for (int k = axis + 1; k < x->rank; k++)
        dim[rank++] = x->dim[k];
    rc = node_out(net, node, 0, x->type, rank, dim, d);
    if (rc != OK)
        return rc;
    size_t view[] = {dims_product(axis, x->dim), at->n, inner};
    struct move *m = moves(net, node)[0] = move_new(net, 3, view);
    int64_t n = (int64_t)x->dim[axis];
    for (size_t i = 0; i < view[0]; i++)
        m->from[0][i] = (int64_t)(i * x->dim[axis] * inner);
    for (size_t i = 0; i < at->n; i++) {
        int64_t v = at->i[i] < 0 ? at->i[i] + n : at->i[i];
        if (v < 0 || v >= n)
            return node_fail(net, node, d, ERR_INPUT, "index %lld of an axis of %lld",
                             (long long)at->i[i], (long long)n);
        m->from[1][i] = v * (int64_t)inner;
    }
    for (size_t i = 0; i < inner; i++)
        m->from[2][i] = (int64_t)i;
    return OK;
}
