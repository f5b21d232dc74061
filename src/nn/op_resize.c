/* Resize and Upsample: separable, so one pass per dimension that changes, each output position a
 * weighted sum of one, two or four input positions found when loading. */
#include <math.h>
#include <string.h>

#include "nn/priv.h"

enum { MAX_TAPS = 4 };

struct taps {
    int n; /* 0: outside, the extrapolation value */
    size_t at[MAX_TAPS];
    float weight[MAX_TAPS];
};

struct pass {
    size_t outer, in, out, inner;
    struct taps *taps; /* out of them */
    float *result;     /* NULL: the node's output */
};

struct resize {
    int n;
    struct pass pass[TENSOR_MAX_RANK];
    float outside;
};

static void run_pass(const struct pass *p, const float *from, float *to, float outside)
{
    for (size_t o = 0; o < p->outer; o++)
        for (size_t k = 0; k < p->out; k++) {
            const struct taps *t = &p->taps[k];
            float *row = to + (o * p->out + k) * p->inner;
            for (size_t i = 0; i < p->inner; i++)
                row[i] = t->n ? 0 : outside;
            for (int j = 0; j < t->n; j++) {
                const float *source = from + (o * p->in + t->at[j]) * p->inner;
                for (size_t i = 0; i < p->inner; i++)
                    row[i] += t->weight[j] * source[i];
            }
        }
}

static unsigned run_resize(struct nn *net, const struct nn_node *node)
{
    const struct resize *r = node->state;
    const float *from = node->in[0]->f;
    (void)net;
    for (int k = 0; k < r->n; k++) {
        float *to = r->pass[k].result ? r->pass[k].result : node->out[0]->f;
        run_pass(&r->pass[k], from, to, r->outside);
        from = to;
    }
    if (r->n == 0)
        memcpy(node->out[0]->f, from, node->in[0]->n * sizeof *from);
    return dnnl_success;
}

/* How positions of the output map to the input's: the node's attributes. */
struct mapping {
    const char *mode, *coordinates, *nearest;
    double cubic;
    bool exclude_outside;
};

struct axis {
    size_t in, out;
    double scale, roi_start, roi_end;
};

static double position(const struct mapping *m, const struct axis *a, size_t k)
{
    double x = (double)k, in = (double)a->in, out = in * a->scale; /* not rounded: so ONNX */
    if (strcmp(m->coordinates, "asymmetric") == 0)
        return x / a->scale;
    if (strcmp(m->coordinates, "align_corners") == 0)
        return a->out > 1 ? x * (in - 1) / (out - 1) : 0;
    if (strcmp(m->coordinates, "tf_crop_and_resize") == 0)
        return a->out > 1 ? a->roi_start * (in - 1) +
                                x * (a->roi_end - a->roi_start) * (in - 1) / (out - 1)
                          : 0.5 * (a->roi_start + a->roi_end) * (in - 1);
    if (strcmp(m->coordinates, "tf_half_pixel_for_nn") == 0)
        return (x + 0.5) / a->scale;
    if (strcmp(m->coordinates, "pytorch_half_pixel") == 0 && a->out == 1)
        return 0;
    return (x + 0.5) / a->scale - 0.5;
}

static double nearest(const char *how, double x)
{
    if (strcmp(how, "floor") == 0)
        return floor(x);
    if (strcmp(how, "ceil") == 0)
        return ceil(x);
    return strcmp(how, "round_prefer_ceil") == 0 ? floor(x + 0.5) : ceil(x - 0.5);
}

/* Keys' cubic convolution kernel at distances 1+t, t, 1-t, 2-t. */
static void cubic_weights(double t, double a, double w[4])
{
    for (int k = 0; k < 4; k++) {
        double s = fabs(t + 1 - k);
        w[k] = s <= 1 ? ((a + 2) * s - (a + 3)) * s * s + 1
                      : ((a * s - 5 * a) * s + 8 * a) * s - 4 * a;
    }
}

static void add_tap(struct taps *t, const struct axis *a, double at, double weight)
{
    if (weight == 0)
        return; /* nothing, even times something that is not a number */
    double last = (double)(a->in - 1);
    t->at[t->n] = (size_t)(at < 0 ? 0 : at > last ? last : at);
    t->weight[t->n++] = (float)weight;
}

static struct taps taps_at(const struct mapping *m, const struct axis *a, size_t k)
{
    struct taps t = {0};
    double x = position(m, a, k), low = floor(x), last = (double)(a->in - 1);
    if (strcmp(m->coordinates, "tf_crop_and_resize") == 0 && (x < 0 || x > last))
        return t;
    switch (*m->mode) {
    case 'n':
        add_tap(&t, a, nearest(m->nearest, x), 1);
        break;
    case 'l':
        add_tap(&t, a, low, 1 - (x - low));
        add_tap(&t, a, low + 1, x - low);
        break;
    default: {
        double w[4], sum = 0;
        cubic_weights(x - low, m->cubic, w);
        for (int j = 0; j < 4; j++) {
            double at = low - 1 + j;
            if (m->exclude_outside && (at < 0 || at > last))
                w[j] = 0;
            sum += w[j];
        }
        for (int j = 0; j < 4; j++)
            add_tap(&t, a, low - 1 + j, m->exclude_outside ? w[j] / sum : w[j]);
    }
    }
    return t;
}

/* A pass for each axis that changes, each on what the one before left. */
static void make_passes(struct nn *net, const struct nn_node *node, struct resize *r,
                        const struct mapping *m, const struct axis *axes)
{
    const struct nn_value *x = node->in[0];
    size_t dim[TENSOR_MAX_RANK];
    memcpy(dim, x->dim, sizeof dim);
    bool crop = strcmp(m->coordinates, "tf_crop_and_resize") == 0;
    for (int k = 0; k < x->rank; k++) {
        const struct axis *a = &axes[k];
        if (a->in == a->out && a->scale == 1 && !(crop && (a->roi_start != 0 || a->roi_end != 1)))
            continue;
        struct pass *p = &r->pass[r->n++];
        dim[k] = a->out;
        *p = (struct pass){dims_product(k, dim),
                           a->in,
                           a->out,
                           dims_product(x->rank - k - 1, dim + k + 1),
                           arena_alloc(&net->arena, a->out * sizeof *p->taps),
                           NULL};
        for (size_t i = 0; i < a->out; i++)
            p->taps[i] = taps_at(m, a, i);
    }
    for (int k = 0; k + 1 < r->n; k++)
        r->pass[k].result = net_floats(net, r->pass[k].outer * r->pass[k].out * r->pass[k].inner);
}

/* The first of inputs `from` on that is there and not empty. */
static const struct nn_value *given(const struct nn_node *node, size_t i)
{
    return i < node->n_in && node->in[i] && node->in[i]->n > 0 ? node->in[i] : NULL;
}

static int read_axes(struct axis *axes, const struct nn *net, const struct nn_node *node,
                     const float *scales, size_t n_scales, const int64_t *sizes, size_t n_sizes,
                     struct diag *d)
{
    const struct nn_value *x = node->in[0];
    if ((sizes ? n_sizes : n_scales) != (size_t)x->rank || x->n == 0)
        return node_fail(net, node, d, ERR_INPUT, "%zu scales or %zu sizes for %d dimensions",
                         n_scales, n_sizes, x->rank);
    for (int k = 0; k < x->rank; k++) {
        double out = sizes ? (double)sizes[k] : floor((double)x->dim[k] * (double)scales[k]);
        if (!(out >= 1 && out <= 1 << 20))
            return node_fail(net, node, d, ERR_INPUT, "dimension %d would become %g", k, out);
        axes[k] = (struct axis){.in = x->dim[k], .out = (size_t)out, .roi_end = 1};
        axes[k].scale = sizes ? out / (double)x->dim[k] : (double)scales[k];
    }
    return OK;
}

static int finish(struct nn *net, struct nn_node *node, const struct mapping *m,
                  const struct axis *axes, struct diag *d)
{
    size_t dim[TENSOR_MAX_RANK] = {0}, at_most = 1;
    if (strcmp(m->mode, "nearest") && strcmp(m->mode, "linear") && strcmp(m->mode, "cubic"))
        return node_fail(net, node, d, ERR_UNSUPPORTED, "mode '%.40s'", m->mode);
    for (int k = 0; k < node->in[0]->rank; k++) {
        dim[k] = axes[k].out;
        size_t most = axes[k].out > axes[k].in ? axes[k].out : axes[k].in;
        if (__builtin_mul_overflow(at_most, most, &at_most) || at_most > (size_t)1 << 28)
            return node_fail(net, node, d, ERR_UNSUPPORTED, "it would become too large");
    }
    int rc = node_out(net, node, 0, ONNX_FLOAT, node->in[0]->rank, dim, d);
    if (rc != OK)
        return rc;
    struct resize *r = node->state = ARENA_NEW(&net->arena, struct resize);
    r->outside = attr_float(node, "extrapolation_value", 0);
    make_passes(net, node, r, m, axes);
    node->run = run_resize;
    return OK;
}

/* Operator set 10 has scales as input 1; since 11 there are roi, scales and sizes. */
int build_resize(struct nn *net, struct nn_node *node, struct diag *d)
{
    bool old = net->opset < 11;
    struct mapping m = {
        .mode = attr_string(node, "mode", "nearest"),
        .coordinates =
            attr_string(node, "coordinate_transformation_mode", old ? "asymmetric" : "half_pixel"),
        .nearest = attr_string(node, "nearest_mode", old ? "floor" : "round_prefer_floor"),
        .cubic = (double)attr_float(node, "cubic_coeff_a", -0.75f),
        .exclude_outside = attr_int(node, "exclude_outside", 0) != 0,
    };
    const struct nn_value *roi = old ? NULL : given(node, 1), *scales = given(node, old ? 1 : 2),
                          *sizes = old ? NULL : given(node, 3);
    struct axis axes[TENSOR_MAX_RANK] = {0};
    int rc = node_want(net, node, 0, ONNX_FLOAT, d);
    if (rc == OK && scales)
        rc = node_known_floats(net, node, old ? 1 : 2, d);
    if (rc == OK && sizes)
        rc = node_known_ints(net, node, 3, d);
    if (rc == OK && !scales && !sizes)
        rc = node_fail(net, node, d, ERR_INPUT, "neither scales nor sizes");
    if (rc == OK)
        rc = read_axes(axes, net, node, scales ? scales->f : NULL, scales ? scales->n : 0,
                       sizes ? sizes->i : NULL, sizes ? sizes->n : 0, d);
    if (rc == OK && roi && strcmp(m.coordinates, "tf_crop_and_resize") == 0) {
        size_t rank = (size_t)node->in[0]->rank;
        rc = node_known_floats(net, node, 1, d);
        if (rc == OK && roi->n != 2 * rank)
            rc = node_fail(net, node, d, ERR_INPUT, "a region of %zu numbers", roi->n);
        for (size_t k = 0; rc == OK && k < rank; k++) {
            axes[k].roi_start = (double)roi->f[k];
            axes[k].roi_end = (double)roi->f[k + rank];
        }
    }
    return rc != OK ? rc : finish(net, node, &m, axes, d);
}

/* What Resize was called before operator set 10: scales as an attribute (7) or input 1 (9). */
int build_upsample(struct nn *net, struct nn_node *node, struct diag *d)
{
    struct mapping m = {.mode = attr_string(node, "mode", "nearest"),
                        .coordinates = "asymmetric",
                        .nearest = "floor"};
    const struct onnx_attr *a = attr_find(node, "scales");
    const struct nn_value *scales = given(node, 1);
    struct axis axes[TENSOR_MAX_RANK] = {0};
    int rc = node_want(net, node, 0, ONNX_FLOAT, d);
    if (rc == OK && scales)
        rc = node_known_floats(net, node, 1, d);
    if (rc == OK && scales)
        rc = read_axes(axes, net, node, scales->f, scales->n, NULL, 0, d);
    else if (rc == OK && a && a->kind == ATTR_FLOATS)
        rc = read_axes(axes, net, node, a->floats, a->n, NULL, 0, d);
    else if (rc == OK)
        rc = node_fail(net, node, d, ERR_INPUT, "no scales");
    return rc != OK ? rc : finish(net, node, &m, axes, d);
}
