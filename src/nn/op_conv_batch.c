/* Conv for many errors at once, each through the window of outputs that it reaches. Windows come in
 * a few sizes, batches in three; each combination is a convolution of its own, which must give the
 * bits that the whole one gives: that is tried on random numbers when it is made, and one that does
 * not is never used. */
#include <string.h>

#include "base/rng.h"
#include "nn/conv.h"
#include "nn/delta.h"

enum { BATCHES = 5, MAX_PIECES = 96, TRIAL_PLACES = 4 };
static const size_t BATCH[BATCHES] = {1, 2, 4, 8, 16};
static const size_t MAX_BATCH_FLOATS = (size_t)1 << 24;

/* Windows of out[0] x out[1] outputs, of in[0] x in[1] inputs. The whole has its padding computed (and
 * left out) by the convolution, others have zeros among their inputs. */
struct conv_piece {
    int64_t out[2], in[2], lo[2], hi[2];
    struct variant {
        bool made, usable;
        struct nn_value x, y;
        struct conv conv;
    } batch[BATCHES];
};
struct conv_pieces {
    size_t n;
    uint32_t *row; /* of each element of an input's plane: a division less for each difference */
    struct conv_piece piece[MAX_PIECES];
};

/* Where one error's window begins. */
struct place {
    const struct conv_piece *piece;
    int64_t first[2];
};

/* ---- Windows
 * --------------------------------------------------------------------------------------------------
 */

/* How often a row (k 0) or column of the input, and not of the padding, meets one of the kernel. */
static int64_t taps_of(const struct conv *c, int k)
{
    int64_t n = 0;
    for (int64_t out = 0; out < c->w.out[k]; out++)
        for (int64_t j = 0; j < c->w.kernel[k]; j++) {
            int64_t at = out * c->w.stride[k] - c->w.lo[k] + j * c->w.dilation[k];
            n += at >= 0 && at < c->w.in[k];
        }
    return n;
}

static void add_piece(struct conv_pieces *p, const struct conv *c, int64_t rows, int64_t columns)
{
    int64_t out[2] = {rows < c->w.out[0] ? rows : c->w.out[0],
                      columns < c->w.out[1] ? columns : c->w.out[1]};
    for (size_t k = 0; k < p->n; k++)
        if (p->piece[k].out[0] == out[0] && p->piece[k].out[1] == out[1])
            return;
    bool whole = out[0] == c->w.out[0] && out[1] == c->w.out[1];
    int64_t taps = out[0] * out[1] * c->w.kernel[0] * c->w.kernel[1];
    if (p->n == MAX_PIECES || (!whole && 4 * taps > 3 * taps_of(c, 0) * taps_of(c, 1)))
        return;
    struct conv_piece *x = &p->piece[p->n++];
    for (int k = 0; k < 2; k++) {
        x->out[k] = out[k];
        x->in[k] = whole ? c->w.in[k] : (out[k] - 1) * c->w.stride[k] + window_extent(&c->w, k);
        x->lo[k] = whole ? c->w.lo[k] : 0;
        x->hi[k] = whole ? c->w.hi[k] : 0;
    }
}

/* The whole and squares, bands of rows and, where an output costs much, oblongs. Sizes go by twos, as 3x3
 * kernels spread, then by quarters. */
static void make_pieces(struct nn *net, const struct nn_value *weights, struct conv *c)
{
    enum { MUCH = 1 << 14 }; /* multiplications for all channels of an output */
    bool exact = weights->n / (size_t)c->groups > MUCH;
    int64_t size[MAX_PIECES], most = c->w.out[0] > c->w.out[1] ? c->w.out[0] : c->w.out[1];
    int64_t plane = c->w.in[0] * c->w.in[1];
    size_t n = 0;
    c->pieces = ARENA_NEW(&net->arena, struct conv_pieces);
    c->pieces->row = arena_alloc(&net->arena, (size_t)plane * sizeof *c->pieces->row);
    for (int64_t k = 0; k < plane; k++)
        c->pieces->row[k] = (uint32_t)(k / c->w.in[1]);
    add_piece(c->pieces, c, c->w.out[0], c->w.out[1]);
    for (int64_t s = 1; s < most && n < MAX_PIECES;) {
        size[n++] = s;
        s += exact && s >= 3 && s < 7 ? 1 : s < 16 ? 2 : s / 4;
    }
    for (size_t k = 0; k < n; k++) {
        add_piece(c->pieces, c, size[k], size[k]);
        for (size_t j = 0; exact && j < k; j++)
            if (2 * size[j] >= size[k]) {
                add_piece(c->pieces, c, size[j], size[k]);
                add_piece(c->pieces, c, size[k], size[j]);
            }
        if (size[k] >= 3)
            add_piece(c->pieces, c, size[k], c->w.out[1]);
    }
}

/* The smallest that holds so many rows and columns. */
static struct conv_piece *piece_for(struct conv_pieces *p, const int64_t *size)
{
    struct conv_piece *best = &p->piece[0];
    for (size_t k = 1; k < p->n; k++) {
        struct conv_piece *x = &p->piece[k];
        if (x->out[0] >= size[0] && x->out[1] >= size[1] &&
            x->out[0] * x->out[1] < best->out[0] * best->out[1])
            best = x;
    }
    return best;
}

/* Where element `at` of the input is; *first: the first element of its channel, or of another's. */
static inline void locate(const struct conv *c, uint32_t plane, uint32_t at, uint32_t *first,
                          int64_t *to)
{
    if (at - *first >= plane) /* lists go mostly channel by channel */
        *first = at / plane * plane;
    uint32_t row = c->pieces->row[at - *first];
    to[0] = row;
    to[1] = at - *first - row * (uint32_t)c->w.in[1];
}

/* The outputs that depend on one of these inputs, as a window. False: none does (between strides).
 */
static bool find_place(struct place *out, const struct conv *c, const struct diffs *in)
{
    int64_t low[2] = {c->w.in[0], c->w.in[1]}, high[2] = {-1, -1}, size[2];
    uint32_t plane = (uint32_t)(c->w.in[0] * c->w.in[1]), first = 0;
    for (size_t k = 0; k < in->n; k++) {
        int64_t at[2];
        locate(c, plane, in->at[k], &first, at);
        for (int j = 0; j < 2; j++) {
            low[j] = at[j] < low[j] ? at[j] : low[j];
            high[j] = at[j] > high[j] ? at[j] : high[j];
        }
    }
    for (int j = 0; j < 2; j++) {
        int64_t from = low[j] + c->w.lo[j] - window_extent(&c->w, j) + 1, stride = c->w.stride[j];
        int64_t last = (high[j] + c->w.lo[j]) / stride;
        out->first[j] = from <= 0 ? 0 : (from + stride - 1) / stride;
        last = last < c->w.out[j] - 1 ? last : c->w.out[j] - 1;
        if (last < out->first[j])
            return false;
        size[j] = last - out->first[j] + 1;
    }
    out->piece = piece_for(c->pieces, size);
    for (int j = 0; j < 2; j++) {
        int64_t most = c->w.out[j] - out->piece->out[j];
        out->first[j] = out->first[j] < most ? out->first[j] : most;
    }
    return true;
}

/* ---- In and out
 * ------------------------------------------------------------------------------------------------
 */

/* The row and column of the input where the window begins. */
static void origin(int64_t *at, const struct conv *c, const struct place *p)
{
    for (int k = 0; k < 2; k++)
        at[k] = p->first[k] * c->w.stride[k] - c->w.lo[k] + p->piece->lo[k];
}

/* The window's inputs, zeros where it reaches beyond them. */
static void load(float *to, const struct conv *c, const struct place *p, const struct nn_value *x)
{
    int64_t from[2], rows = p->piece->in[0], columns = p->piece->in[1];
    origin(from, c, p);
    int64_t row = from[0], column = from[1];
    int64_t left = column < 0 ? -column : 0, right = column + columns - c->w.in[1];
    left = left < columns ? left : columns;
    right = right < 0 ? 0 : right < columns - left ? right : columns - left;
    size_t middle = (size_t)(columns - left - right);
    for (size_t ch = 0; ch < x->dim[1]; ch++)
        for (int64_t r = 0; r < rows; r++, to += columns) {
            if (row + r < 0 || row + r >= c->w.in[0] || middle == 0) {
                memset(to, 0, (size_t)columns * sizeof *to);
                continue;
            }
            const float *values =
                x->f + ((int64_t)ch * c->w.in[0] + row + r) * c->w.in[1] + column + left;
            memset(to, 0, (size_t)left * sizeof *to);
            memcpy(to + left, values, middle * sizeof *to);
            memset(to + left + middle, 0, (size_t)right * sizeof *to);
        }
}

/* The error's values among them. */
static void load_diffs(float *to, const struct conv *c, const struct place *p,
                       const struct diffs *in)
{
    int64_t from[2], rows = p->piece->in[0], columns = p->piece->in[1];
    uint32_t plane = (uint32_t)(c->w.in[0] * c->w.in[1]), first = 0, last = UINT32_MAX;
    float *channel = to;
    origin(from, c, p);
    for (size_t k = 0; k < in->n; k++) {
        int64_t at[2];
        locate(c, plane, in->at[k], &first, at);
        if (first != last)
            channel = to + first / plane * rows * columns;
        last = first;
        int64_t row = at[0] - from[0], column = at[1] - from[1];
        if (row >= 0 && row < rows && column >= 0 && column < columns)
            channel[row * columns + column] = ((const float *)in->data)[k];
    }
}

static void store(struct diffs *out, const struct conv *c, const struct place *p, const float *now,
                  const struct nn_value *y)
{
    int64_t rows = p->piece->out[0], columns = p->piece->out[1];
    size_t bytes = (size_t)columns * sizeof *now;
    diffs_reserve(out, out->n + y->dim[1] * (size_t)(rows * columns));
    for (int64_t ch = 0; ch < (int64_t)y->dim[1]; ch++)
        for (int64_t r = 0; r < rows; r++, now += columns) {
            int64_t at = (ch * c->w.out[0] + p->first[0] + r) * c->w.out[1] + p->first[1];
            if (memcmp(now, y->f + at, bytes) != 0)
                out->n = diffs_compare(out, (uint32_t)at, (size_t)columns, now, y->f + at);
        }
}

/* ---- Variants
 * --------------------------------------------------------------------------------------------------
 */

static size_t window_floats(const struct nn_value *v) { return v->n / v->dim[0]; }

/* A place to try: two corners first. */
static void try_place(struct place *out, const struct conv *c, const struct conv_piece *p,
                      size_t number, struct rng *r)
{
    out->piece = p;
    for (int j = 0; j < 2; j++) {
        int64_t most = c->w.out[j] - p->out[j];
        out->first[j] =
            number < 2 ? (number ? most : 0) : (int64_t)rng_below(r, (uint64_t)most + 1);
    }
}

/* A few places of the window, another in each place of the batch, against the whole on random numbers. */
static bool try_variant(struct nn *net, const struct nn_node *node, struct conv *c,
                        const struct conv_piece *p, struct variant *v)
{
    struct arena a = {0};
    struct nn_value x = *node->in[0], y = *node->out[0];
    size_t batch = v->x.dim[0];
    struct place places[BATCH[BATCHES - 1]];
    struct diffs wrong = {0};
    struct rng r;
    float *was_x = arena_alloc(&a, x.n * sizeof *was_x),
          *was_y = arena_alloc(&a, y.n * sizeof *was_y);
    memcpy(was_x, x.f, x.n * sizeof *was_x);
    memcpy(was_y, y.f, y.n * sizeof *was_y);
    rng_init(&r, 1, x.n);
    for (size_t k = 0; k < x.n; k++)
        x.f[k] = (float)(rng_unit(&r) * 2 - 1);
    bool good = conv_run(net, c) == dnnl_success;
    for (size_t t = 0; good && t < TRIAL_PLACES; t += batch) {
        for (size_t b = 0; b < batch; b++) {
            try_place(&places[b], c, p, t + b, &r);
            load(v->x.f + b * window_floats(&v->x), c, &places[b], &x);
        }
        good = conv_run(net, &v->conv) == dnnl_success;
        for (size_t b = 0; good && b < batch; b++)
            store(&wrong, c, &places[b], v->y.f + b * window_floats(&v->y), &y);
        good = good && wrong.n == 0;
    }
    memcpy(x.f, was_x, x.n * sizeof *was_x);
    memcpy(y.f, was_y, y.n * sizeof *was_y);
    diffs_free(&wrong);
    arena_fini(&a);
    return good;
}

static bool ready(struct nn *net, const struct nn_node *node, struct conv *c, struct conv_piece *p,
                  int which)
{
    struct variant *v = &p->batch[which];
    if (v->made)
        return v->usable;
    v->made = true;
    v->x = *node->in[0];
    v->y = *node->out[0];
    v->x.dim[0] = v->y.dim[0] = BATCH[which];
    v->conv.groups = c->groups;
    v->conv.w = c->w;
    v->conv.root = c;
    for (int k = 0; k < 2; k++) {
        v->x.dim[k + 2] = (size_t)(v->conv.w.in[k] = p->in[k]);
        v->y.dim[k + 2] = (size_t)(v->conv.w.out[k] = p->out[k]);
        v->conv.w.lo[k] = p->lo[k];
        v->conv.w.hi[k] = p->hi[k];
    }
    v->x.n = dims_product(4, v->x.dim);
    v->y.n = dims_product(4, v->y.dim);
    if (v->x.n > MAX_BATCH_FLOATS || v->y.n > MAX_BATCH_FLOATS)
        return false;
    v->x.f = net_floats(net, v->x.n);
    v->y.f = net_floats(net, v->y.n);
    return v->usable = conv_make(net, node, &v->conv, &v->x, &v->y) == dnnl_success &&
                       try_variant(net, node, c, p, v);
}

/* The batch that is best for n errors. */
static int batch_for(struct nn *net, const struct nn_node *node, struct conv *c,
                     struct conv_piece *p, size_t n)
{
    int which = BATCHES - 1, step = c->n_parts > 1 ? 1 : 2; /* fewer where it matters less */
    while (which > 0 && 4 * n < 3 * BATCH[which])
        which -= step;
    while (which >= 0 && !ready(net, node, c, p, which))
        which -= step;
    return which;
}

/* All n errors have windows of the same size; list: which they are. */
static void run_piece(struct nn *net, const struct nn_node *node, size_t n, const size_t *list,
                      const struct place *places, const struct diffs *const *in, struct diffs **out)
{
    struct conv *c = node->state;
    struct conv_piece *p = (struct conv_piece *)places[list[0]].piece;
    for (size_t done = 0; done < n;) {
        int which = batch_for(net, node, c, p, n - done);
        if (which < 0) {
            out[list[done++]]->n = NN_ALL;
            continue;
        }
        struct variant *v = &p->batch[which];
        size_t m = n - done < BATCH[which] ? n - done : BATCH[which];
        for (size_t k = 0; k < m; k++) {
            size_t i = list[done + k];
            float *to = v->x.f + k * window_floats(&v->x);
            load(to, c, &places[i], node->in[0]);
            load_diffs(to, c, &places[i], in[i]);
        }
        bool good = conv_run(net, &v->conv) == dnnl_success;
        for (size_t k = 0; k < m; k++) {
            size_t i = list[done + k];
            if (good)
                store(out[i], c, &places[i], v->y.f + k * window_floats(&v->y), node->out[0]);
            else
                out[i]->n = NN_ALL;
        }
        done += m;
    }
}

void conv_run_batch(struct nn *net, const struct nn_node *node, size_t n,
                    const struct diffs *const *in, struct diffs **out)
{
    struct conv *c = node->state;
    struct place places[n];
    size_t list[n];
    if (!c->pieces)
        make_pieces(net, node->in[1], c);
    for (size_t k = 0; k < n; k++)
        if (!find_place(&places[k], c, in[k]))
            places[k].piece = NULL;
    for (size_t k = 0; k < n; k++) {
        const struct conv_piece *piece = places[k].piece;
        size_t m = 0;
        for (size_t j = k; piece && j < n; j++)
            if (places[j].piece == piece)
                list[m++] = j;
        if (m > 0)
            run_piece(net, node, m, list, places, in, out);
        for (size_t j = 0; j < m; j++)
            places[list[j]].piece = NULL;
    }
}
