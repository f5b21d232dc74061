/* Conv on a band of output rows: what an error reaches is mostly a few rows, and those cost a part of the
 * whole. Each band height is a convolution of its own, which must give the bits that the whole one gives:
 * that is tried on random numbers when the band is made, and a band that does not is never used. */
#include <string.h>

#include "base/rng.h"
#include "nn/conv.h"

enum { BAND_ROWS = 3 };

struct conv_band {
    bool usable;
    int64_t rows, in_rows;
    struct nn_value x, y;
    struct conv conv;
};

/* Rows first... of the padded input, as plain rows of zeros where it has none. */
static void load_rows(const struct conv_band *b, const struct conv *c, const float *x, int64_t first)
{
    size_t channels = b->x.dim[1], width = b->x.dim[3];
    int64_t height = c->w.in[0], row = first * c->w.stride[0] - c->w.lo[0];
    for (size_t ch = 0; ch < channels; ch++)
        for (int64_t r = 0; r < b->in_rows; r++) {
            float *to = b->x.f + (ch * (size_t)b->in_rows + (size_t)r) * width;
            if (row + r < 0 || row + r >= height)
                memset(to, 0, width * sizeof *to);
            else
                memcpy(to, x + (ch * (size_t)height + (size_t)(row + r)) * width, width * sizeof *to);
        }
}

static bool same_rows(const struct conv_band *b, const struct conv *c, const float *y, int64_t first)
{
    size_t row = (size_t)c->w.out[1];
    for (size_t k = 0; k < b->y.dim[1]; k++)
        if (memcmp(b->y.f + k * (size_t)b->rows * row,
                   y + (k * (size_t)c->w.out[0] + (size_t)first) * row,
                   (size_t)b->rows * row * sizeof(float)) != 0)
            return false;
    return true;
}

/* Every place of the band against the whole, on random numbers; x and y are put back. */
static bool try_band(struct nn *net, const struct nn_node *node, struct conv *c, struct conv_band *b)
{
    struct arena a = {0};
    struct nn_value *x = node->in[0], *y = node->out[0];
    float *was_x = arena_alloc(&a, x->n * sizeof *was_x), *was_y = arena_alloc(&a, y->n * sizeof *was_y);
    struct rng r;
    memcpy(was_x, x->f, x->n * sizeof *was_x);
    memcpy(was_y, y->f, y->n * sizeof *was_y);
    rng_init(&r, 1, x->n);
    for (size_t k = 0; k < x->n; k++)
        x->f[k] = (float)(rng_unit(&r) * 2 - 1);
    bool good = conv_run(net, c) == dnnl_success;
    for (int64_t first = 0; good && first + b->rows <= c->w.out[0]; first++) {
        load_rows(b, c, x->f, first);
        good = conv_run(net, &b->conv) == dnnl_success && same_rows(b, c, y->f, first);
    }
    memcpy(x->f, was_x, x->n * sizeof *was_x);
    memcpy(y->f, was_y, y->n * sizeof *was_y);
    arena_fini(&a);
    return good;
}

static struct conv_band *make_band(struct nn *net, const struct nn_node *node, struct conv *c,
                                   int64_t rows)
{
    struct conv_band *b = ARENA_NEW(&net->arena, struct conv_band);
    b->rows = rows;
    b->x = *node->in[0];
    b->y = *node->out[0];
    b->conv.groups = c->groups;
    b->conv.w = c->w;
    b->in_rows = (rows - 1) * c->w.stride[0] + window_extent(&c->w, 0);
    b->conv.w.in[0] = b->in_rows;
    b->conv.w.out[0] = rows;
    b->conv.w.lo[0] = b->conv.w.hi[0] = 0;
    b->x.dim[2] = (size_t)b->in_rows;
    b->y.dim[2] = (size_t)rows;
    b->x.n = dims_product(4, b->x.dim);
    b->y.n = dims_product(4, b->y.dim);
    b->x.f = net_floats(net, b->x.n);
    b->y.f = net_floats(net, b->y.n);
    b->usable = conv_make(net, node, &b->conv, &b->x, &b->y) == dnnl_success &&
                try_band(net, node, c, b);
    return b;
}

/* The smallest band that holds this many rows and is clearly cheaper than the whole; NULL: none. */
static struct conv_band *band_for(struct nn *net, const struct nn_node *node, struct conv *c,
                                  int64_t rows)
{
    int64_t size = BAND_ROWS;
    for (int k = 0; k < CONV_BANDS; k++, size *= 2) {
        if (size < rows)
            continue;
        if (4 * size > 3 * c->w.out[0])
            return NULL;
        if (!c->band[k])
            c->band[k] = make_band(net, node, c, size);
        return c->band[k]->usable ? c->band[k] : NULL;
    }
    return NULL;
}

size_t conv_run_rows(struct nn *net, const struct nn_node *node, const uint32_t *in, size_t n,
                     uint32_t *touched, size_t room)
{
    struct conv *c = node->state;
    int64_t height = c->w.in[0], width = c->w.in[1], low = height, high = -1, plane = height * width;
    for (size_t k = 0; k < n; k++) {
        int64_t row = in[k] % plane / width;
        low = row < low ? row : low;
        high = row > high ? row : high;
    }
    /* outputs whose window holds a row of low..high */
    int64_t from = low + c->w.lo[0] - window_extent(&c->w, 0) + 1;
    int64_t first = from <= 0 ? 0 : (from + c->w.stride[0] - 1) / c->w.stride[0];
    int64_t last = (high + c->w.lo[0]) / c->w.stride[0];
    last = last < c->w.out[0] - 1 ? last : c->w.out[0] - 1;
    if (last < first)
        return 0; /* between the strides */
    struct conv_band *b = band_for(net, node, c, last - first + 1);
    if (!b)
        return NN_ALL;
    first = first + b->rows <= c->w.out[0] ? first : c->w.out[0] - b->rows;
    load_rows(b, c, node->in[0]->f, first);
    if (conv_run(net, &b->conv) != dnnl_success)
        return NN_ALL;
    size_t size = (size_t)(b->rows * c->w.out[1]), count = 0;
    for (size_t k = 0; k < b->y.dim[1]; k++) {
        size_t at = (size_t)((int64_t)k * c->w.out[0] + first) * (size_t)c->w.out[1];
        float *to = node->out[0]->f + at;
        const float *now = b->y.f + k * size;
        for (size_t j = 0; j < size; j++) {
            if (count == room)
                return NN_ALL;
            touched[count] = (uint32_t)(at + j);
            count += memcmp(&to[j], &now[j], sizeof *now) != 0; /* golden so far */
            to[j] = now[j];
        }
    }
    return count;
}
