/* Pools, in one to three spatial dimensions. A maximum of values one of which is not a number is not
 * a number, as in the frameworks on GPUs. */
#include <math.h>

#include "nn/window.h"

struct pool {
    struct window w;
    bool count_pad, column_major;
};

/* ceil_mode: the last window may hang over the end, if it starts inside the input or its lower pad. */
static void ceil_outputs(struct window *w)
{
    for (int k = 0; k < w->n; k++) {
        int64_t room = w->in[k] + w->lo[k] + w->hi[k] - window_extent(w, k);
        w->out[k] = (room + w->stride[k] - 1) / w->stride[k] + 1;
        if ((w->out[k] - 1) * w->stride[k] >= w->in[k] + w->lo[k])
            w->out[k]--;
    }
}

/* The window of output o in dimension k: first input, how many, and how many with the padding. */
struct span {
    int64_t first, n, padded;
};

static struct span span_of(const struct window *w, int k, int64_t o)
{
    int64_t start = o * w->stride[k] - w->lo[k], d = w->dilation[k];
    int64_t skip = start < 0 ? (-start + d - 1) / d : 0;
    int64_t end = start + w->kernel[k] * d; /* one step past the last */
    int64_t last = end < w->in[k] + d - 1 ? end : w->in[k] + d - 1;
    int64_t edge = w->in[k] + w->hi[k] + d - 1;
    struct span s = {start + skip * d, (last - start) / d - skip,
                     ((end < edge ? end : edge) - start) / d};
    if (s.n < 0)
        s.n = 0;
    return s;
}

/* Where the largest lies; the first that is not a number, if there is one. -1: nowhere. */
static int64_t max_of(const float *x, const int64_t *step, const struct span *s)
{
    int64_t best = -1;
    for (int64_t i = 0; i < s[0].n; i++)
        for (int64_t j = 0; j < s[1].n; j++)
            for (int64_t k = 0; k < s[2].n; k++) {
                int64_t at = i * step[0] + j * step[1] + k * step[2];
                if (best < 0 || x[at] > x[best] || x[at] != x[at])
                    best = at;
                if (x[best] != x[best])
                    return best;
            }
    return best;
}

/* Position in its plane -> in the tensor, in C order or with the spatial dimensions reversed. */
static int64_t index_of(int64_t plane, int64_t at, const int64_t *in, bool column_major)
{
    int64_t size = in[0] * in[1] * in[2];
    if (column_major) {
        int64_t k = at % in[2], j = at / in[2] % in[1], i = at / in[2] / in[1];
        at = (k * in[1] + j) * in[0] + i;
    }
    return plane * size + at;
}

static float sum_of(const float *x, const int64_t *step, const struct span *s)
{
    float sum = 0;
    for (int64_t i = 0; i < s[0].n; i++)
        for (int64_t j = 0; j < s[1].n; j++)
            for (int64_t k = 0; k < s[2].n; k++)
                sum += x[i * step[0] + j * step[1] + k * step[2]];
    return sum;
}

/* A plane as three dimensions, the missing ones leading and of size 1. */
struct plane {
    int lead;
    int64_t in[3], out[3], step[3];
};

static struct plane plane_of(const struct window *w)
{
    struct plane p = {3 - w->n, {1, 1, 1}, {1, 1, 1}, {0}};
    for (int k = 0; k < w->n; k++) {
        p.in[k + p.lead] = w->in[k];
        p.out[k + p.lead] = w->out[k];
    }
    for (int k = p.lead; k < 3; k++) {
        p.step[k] = w->dilation[k - p.lead];
        for (int j = k + 1; j < 3; j++)
            p.step[k] *= p.in[j];
    }
    return p;
}

/* Output (i, j, k) of a plane; of a maximum also where in the plane it lies. */
static float pool_one(const struct pool *p, const struct plane *pl, const float *x, int64_t i,
                      int64_t j, int64_t k, bool max, int64_t *where)
{
    const int64_t o[3] = {i, j, k};
    struct span s[3] = {{0, 1, 1}, {0, 1, 1}, {0, 1, 1}};
    for (int d = pl->lead; d < 3; d++)
        s[d] = span_of(&p->w, d - pl->lead, o[d]);
    int64_t start = (s[0].first * pl->in[1] + s[1].first) * pl->in[2] + s[2].first;
    int64_t n = p->count_pad ? s[0].padded * s[1].padded * s[2].padded : s[0].n * s[1].n * s[2].n;
    if (!max)
        return sum_of(x + start, pl->step, s) / (float)n;
    int64_t best = max_of(x + start, pl->step, s);
    *where = start + (best < 0 ? 0 : best);
    return best < 0 ? -INFINITY : x[start + best];
}

static unsigned run_pool(const struct nn_node *node, bool max)
{
    const struct pool *p = node->state;
    const struct nn_value *x = node->in[0];
    float *y = node->out[0]->f;
    int64_t *where = node->n_out > 1 && node->out[1] ? node->out[1]->i : NULL, best = 0;
    struct plane pl = plane_of(&p->w);
    size_t planes = x->dim[0] * x->dim[1];
    for (size_t c = 0; c < planes; c++) {
        const float *plane = x->f + (int64_t)c * pl.in[0] * pl.in[1] * pl.in[2];
        for (int64_t i = 0; i < pl.out[0]; i++)
            for (int64_t j = 0; j < pl.out[1]; j++)
                for (int64_t k = 0; k < pl.out[2]; k++) {
                    *y++ = pool_one(p, &pl, plane, i, j, k, max, &best);
                    if (where)
                        *where++ = index_of((int64_t)c, best, pl.in, p->column_major);
                }
    }
    return dnnl_success;
}

/* The windows that element `at` of a plane is in, as ranges of outputs. */
static void windows_of(const struct window *w, int64_t at, int64_t lo[3], int64_t hi[3])
{
    for (int k = 2; k >= 0; k--) {
        int d = k - (3 - w->n);
        lo[k] = 0;
        hi[k] = 0;
        if (d < 0)
            continue;
        int64_t i = at % w->in[d] + w->lo[d], first = i - window_extent(w, d) + 1;
        at /= w->in[d];
        lo[k] = first <= 0 ? 0 : (first + w->stride[d] - 1) / w->stride[d];
        hi[k] = i / w->stride[d] < w->out[d] - 1 ? i / w->stride[d] : w->out[d] - 1;
    }
}

static size_t run_pool_at(const struct nn_node *node, const uint32_t *in, size_t n,
                          uint32_t *touched, size_t room, bool max)
{
    const struct pool *p = node->state;
    const struct nn_value *x = node->in[0], *y = node->out[0];
    struct plane pl = plane_of(&p->w);
    size_t size_in = (size_t)(pl.in[0] * pl.in[1] * pl.in[2]), count = 0;
    int64_t size_out = pl.out[0] * pl.out[1] * pl.out[2];
    if (y->n > UINT32_MAX || (node->n_out > 1 && node->out[1]))
        return NN_ALL;
    for (size_t e = 0; e < n; e++) {
        int64_t lo[3], hi[3], c = (int64_t)(in[e] / size_in);
        windows_of(&p->w, (int64_t)(in[e] % size_in), lo, hi);
        for (int64_t i = lo[0]; i <= hi[0]; i++)
            for (int64_t j = lo[1]; j <= hi[1]; j++)
                for (int64_t k = lo[2]; k <= hi[2]; k++) {
                    if (count == room)
                        return NN_ALL;
                    int64_t to = c * size_out + (i * pl.out[1] + j) * pl.out[2] + k, where;
                    y->f[to] = pool_one(p, &pl, x->f + c * (int64_t)size_in, i, j, k, max, &where);
                    touched[count++] = (uint32_t)to;
                }
    }
    return count;
}

static size_t run_max_at(const struct nn_node *node, size_t input, const uint32_t *in, size_t n,
                         uint32_t *touched, size_t room)
{
    (void)input;
    return run_pool_at(node, in, n, touched, room, true);
}

static size_t run_average_at(const struct nn_node *node, size_t input, const uint32_t *in, size_t n,
                             uint32_t *touched, size_t room)
{
    (void)input;
    return run_pool_at(node, in, n, touched, room, false);
}

/* The usual one, 2x2 with stride 2 and nothing at the edges, several times faster. */
static unsigned run_max_2x2(struct nn *net, const struct nn_node *node)
{
    const struct pool *p = node->state;
    const struct nn_value *x = node->in[0];
    size_t w = (size_t)p->w.in[1], rows = x->n / w / 2, half = w / 2;
    (void)net;
    for (size_t r = 0; r < rows; r++) {
        const float *top = x->f + 2 * r * w, *low = top + w;
        float *out = node->out[0]->f + r * half;
        for (size_t k = 0; k < half; k++) {
            float a = top[2 * k], b = top[2 * k + 1], c = low[2 * k], e = low[2 * k + 1];
            float m = a > b || a != a ? a : b, n = c > e || c != c ? c : e;
            out[k] = m > n || m != m ? m : n;
        }
    }
    return dnnl_success;
}

static unsigned run_max(struct nn *net, const struct nn_node *node)
{
    (void)net;
    return run_pool(node, true);
}

static unsigned run_average(struct nn *net, const struct nn_node *node)
{
    (void)net;
    return run_pool(node, false);
}

static int build_pool(struct nn *net, struct nn_node *node, struct pool **out, struct diag *d)
{
    struct pool *p = *out = node->state = ARENA_NEW(&net->arena, struct pool);
    const struct nn_value *x = node->in[0];
    int rc = node_want(net, node, 0, ONNX_FLOAT, d);
    if (rc == OK)
        rc = window_read(&p->w, net, node, x, NULL, d);
    if (rc != OK)
        return rc;
    for (int k = 0; k < p->w.n; k++)
        if (p->w.lo[k] >= window_extent(&p->w, k) || p->w.hi[k] >= window_extent(&p->w, k))
            return node_fail(net, node, d, ERR_INPUT, "padding as wide as the window");
    if (attr_int(node, "ceil_mode", 0))
        ceil_outputs(&p->w);
    size_t dim[TENSOR_MAX_RANK] = {x->dim[0], x->dim[1]};
    for (int k = 0; k < p->w.n; k++)
        dim[k + 2] = (size_t)p->w.out[k];
    return node_out(net, node, 0, ONNX_FLOAT, x->rank, dim, d);
}

static bool is_2x2(const struct window *w)
{
    bool yes = w->n == 2;
    for (int k = 0; k < w->n; k++)
        yes = yes && w->kernel[k] == 2 && w->stride[k] == 2 && w->dilation[k] == 1 && !w->lo[k] &&
              !w->hi[k] && w->in[k] % 2 == 0;
    return yes;
}

int build_max_pool(struct nn *net, struct nn_node *node, struct diag *d)
{
    struct pool *p;
    int rc = build_pool(net, node, &p, d);
    p->column_major = attr_int(node, "storage_order", 0) != 0;
    bool indices = rc == OK && node->n_out > 1 && node->out[1];
    node->run_at = run_max_at;
    node->run = rc == OK && is_2x2(&p->w) && !indices ? run_max_2x2 : run_max;
    if (!indices)
        return rc;
    return node_out(net, node, 1, ONNX_INT64, node->out[0]->rank, node->out[0]->dim, d);
}

int build_average_pool(struct nn *net, struct nn_node *node, struct diag *d)
{
    struct pool *p;
    int rc = build_pool(net, node, &p, d);
    p->count_pad = attr_int(node, "count_include_pad", 0);
    node->run = run_average;
    node->run_at = run_average_at;
    return rc;
}

/* ---- Over the whole plane ---------------------------------------------------------------------------- */

static float global_one(const float *p, size_t n, bool max)
{
    float sum = 0, best = -INFINITY;
    for (size_t k = 0; max && k < n; k++) {
        if (p[k] != p[k])
            return p[k];
        best = p[k] > best ? p[k] : best;
    }
    for (size_t k = 0; !max && k < n; k++)
        sum += p[k];
    return max ? best : sum / (float)n;
}

static unsigned run_global(const struct nn_node *node, bool max)
{
    const struct nn_value *x = node->in[0];
    size_t planes = node->out[0]->n, n = x->n / planes;
    for (size_t c = 0; c < planes; c++)
        node->out[0]->f[c] = global_one(x->f + c * n, n, max);
    return dnnl_success;
}

static size_t run_global_at(const struct nn_node *node, const uint32_t *in, size_t n,
                            uint32_t *touched, bool max)
{
    const struct nn_value *x = node->in[0];
    size_t plane = x->n / node->out[0]->n, count = 0;
    for (size_t k = 0; k < n; k++) {
        size_t c = in[k] / plane;
        if (count > 0 && touched[count - 1] == c)
            continue;
        node->out[0]->f[c] = global_one(x->f + c * plane, plane, max);
        touched[count++] = (uint32_t)c;
    }
    return count;
}

static size_t run_global_max_at(const struct nn_node *node, size_t input, const uint32_t *in,
                                size_t n, uint32_t *touched, size_t room)
{
    (void)input, (void)room;
    return run_global_at(node, in, n, touched, true);
}

static size_t run_global_average_at(const struct nn_node *node, size_t input, const uint32_t *in,
                                    size_t n, uint32_t *touched, size_t room)
{
    (void)input, (void)room;
    return run_global_at(node, in, n, touched, false);
}

static unsigned run_global_max(struct nn *net, const struct nn_node *node)
{
    (void)net;
    return run_global(node, true);
}

static unsigned run_global_average(struct nn *net, const struct nn_node *node)
{
    (void)net;
    return run_global(node, false);
}

static int build_global(struct nn *net, struct nn_node *node, struct diag *d)
{
    const struct nn_value *x = node->in[0];
    int rc = node_want(net, node, 0, ONNX_FLOAT, d);
    if (rc != OK)
        return rc;
    if (x->rank < 3 || x->n == 0)
        return node_fail(net, node, d, ERR_INPUT, "input of %d dimensions and %zu elements",
                         x->rank, x->n);
    size_t dim[TENSOR_MAX_RANK] = {x->dim[0], x->dim[1], 1, 1, 1, 1, 1, 1};
    return node_out(net, node, 0, ONNX_FLOAT, x->rank, dim, d);
}

int build_global_max_pool(struct nn *net, struct nn_node *node, struct diag *d)
{
    node->run = run_global_max;
    node->run_at = run_global_max_at;
    return build_global(net, node, d);
}

int build_global_average_pool(struct nn *net, struct nn_node *node, struct diag *d)
{
    node->run = run_global_average;
    node->run_at = run_global_average_at;
    return build_global(net, node, d);
}
