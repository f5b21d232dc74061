/* Winograd with everything but the filter transform in one kernel: a thread group computes 32 filters x
 * 32 tiles. Its threads first transform the input tiles of STEP channels into shared memory, then
 * multiply them with the transformed filters point by point: 16 threads per point, each 8 filters x 8
 * tiles. At the end the products pass through shared memory and are transformed into outputs.
 *
 * F(2x2, 3x3): 256 threads, all of which load and multiply. F(4x4, 3x3): 640 threads, of which 576
 * multiply and the last 64 load what the others need next. The 32 tiles lie in a block of
 * 2^log_n images x 2^log_h x 2^log_w tiles, so that a group's inputs overlap. Stride and dilation 1. */
#include "winograd/transform.h"

#define POINTS (TILE * TILE)
#define SIDE 32 /* filters and tiles of a thread group */
#define MULTIPLIERS (16 * POINTS)
#if TILE == 4
#define STEP 8
#define LOADERS 256
#define THREADS 256
#define BUFFERS 1
#else
#define STEP 2
#define LOADERS 64
#define THREADS 640
#define BUFFERS 2
#endif
#define HALF_FLOATS (POINTS * STEP * SIDE)    /* the inputs, or the filters, of one step */
#define FILTER_LOADS (HALF_FLOATS / LOADERS) /* per loading thread */

/* As in nonfused.cl, but u[point][channel][filter], channels and filters of all groups: threads of the
 * product read neighbouring filters. */
KERNEL(128) filter_transform(const __global float *restrict filter, __global float *restrict u SHAPE_PARAMS)
{
    const int i = (int)get_group_id(0) * 128 + (int)get_local_id(0);
    const int filters = K * groups, k = i / C, c = i % C;
    const bool live = k < filters;
    float g[FILTER * FILTER], points[POINTS];
#pragma unroll
    for (int j = 0; j < FILTER * FILTER; j++)
        g[j] = live ? filter[i * FILTER * FILTER + j] : 0.0f;
    filter_2d(g, points);
#pragma unroll
    for (int j = 0; j < POINTS; j++)
        if (live)
            u[(j * C + c) * filters + k] = points[j];
}

/* Where tile number `i` of the group's block is: its image and its first output. */
struct place {
    int n, p, q;
};
INLINE struct place place(int i, int n0, int h0, int w0, int log_h, int log_w)
{
    const struct place at = {n0 + (i >> (log_h + log_w)),
                             (h0 + (i >> log_w & ((1 << log_h) - 1))) * OUT,
                             (w0 + (i & ((1 << log_w) - 1))) * OUT};
    return at;
}

/* A loading thread's part of the channels from c0 on is one tile of one channel, and filters. Shared
 * memory: v[point][channel][tile], then u[point][channel][filter]. */
INLINE float pixel(const struct shape *s, const __global float *in, struct place at, int g, int c, int j)
{
    const int h = at.p - s->pad_top + j / TILE, w = at.q - s->pad_left + j % TILE;
    const bool inside = at.n < s->N && c < s->C && INSIDE(h, s->H) && INSIDE(w, s->W);
    return inside ? in[(((at.n * s->groups + g) * s->C + c) * s->H + h) * s->W + w] : 0.0f;
}

INLINE float filter_point(const struct shape *s, const __global float *u, int g, int k0, int c0, uint e)
{
    const int point = e / (STEP * SIDE), c = c0 + e / SIDE % STEP, k = k0 + e % SIDE;
    return c < s->C && k < s->K ? u[(point * s->C + c) * s->K * s->groups + g * s->K + k] : 0.0f;
}

INLINE uint v_slot(uint t, int point) { return (point * STEP + t / SIDE) * SIDE + t % SIDE; }

#if BUFFERS == 1
/* Into registers, while the others' product goes on; then to shared memory. */
INLINE void load(const struct shape *s, const __global float *in, const __global float *u,
                 struct place at, int g, int k0, int c0, uint t, float *d, float *f)
{
#pragma unroll
    for (int j = 0; j < POINTS; j++)
        d[j] = pixel(s, in, at, g, c0 + t / SIDE, j);
#pragma unroll
    for (int j = 0; j < FILTER_LOADS; j++)
        f[j] = filter_point(s, u, g, k0, c0, t + j * LOADERS);
}

INLINE void store(__local float *to, uint t, float *d, const float *f)
{
    input_2d(d);
#pragma unroll
    for (int j = 0; j < POINTS; j++)
        to[v_slot(t, j)] = d[j];
#pragma unroll
    for (int j = 0; j < FILTER_LOADS; j++)
        to[HALF_FLOATS + t + j * LOADERS] = f[j];
}
#else
/* Straight to shared memory, and transformed there, a column and then a row at a time: a thread that has
 * its register count from 576 multipliers has no room for a tile. */
INLINE void transform_line(__local float *to, uint t, int first, int step)
{
    float d[TILE];
#pragma unroll
    for (int j = 0; j < TILE; j++)
        d[j] = to[v_slot(t, first + j * step)];
    input_1d(d, 1);
#pragma unroll
    for (int j = 0; j < TILE; j++)
        to[v_slot(t, first + j * step)] = d[j];
}

INLINE void load_store(const struct shape *s, const __global float *in, const __global float *u,
                       struct place at, int g, int k0, int c0, uint t, __local float *to)
{
#pragma unroll 1
    for (int j = 0; j < POINTS; j++)
        to[v_slot(t, j)] = pixel(s, in, at, g, c0 + t / SIDE, j);
#pragma unroll 1
    for (int j = 0; j < FILTER_LOADS; j++)
        to[HALF_FLOATS + t + j * LOADERS] = filter_point(s, u, g, k0, c0, t + j * LOADERS);
#pragma unroll 1
    for (int i = 0; i < TILE; i++)
        transform_line(to, t, i, TILE);
#pragma unroll 1
    for (int i = 0; i < TILE; i++)
        transform_line(to, t, i * TILE, 1);
}
#endif

/* Thread t multiplies point t / 16: filters and tiles 4 (t % 4 or t / 4 % 4) and 16 further on. */
INLINE int filter_of(uint t, int i) { return t / 4 % 4 * 4 + i / 4 * 16 + i % 4; }
INLINE int tile_of(uint t, int j) { return t % 4 * 4 + j / 4 * 16 + j % 4; }

INLINE void load4(float *to, const __local float *from)
{
    const float4 v = *(const __local float4 *)from;
    to[0] = v.s0, to[1] = v.s1, to[2] = v.s2, to[3] = v.s3;
}

INLINE void multiply(const __local float *from, uint t, float acc[8][8])
{
    const __local float *v = from + t / 16 * STEP * SIDE, *u = v + HALF_FLOATS;
#pragma unroll
    for (int c = 0; c < STEP; c++) {
        float x[8], y[8];
        load4(x, u + c * SIDE + filter_of(t, 0));
        load4(x + 4, u + c * SIDE + filter_of(t, 4));
        load4(y, v + c * SIDE + tile_of(t, 0));
        load4(y + 4, v + c * SIDE + tile_of(t, 4));
#pragma unroll
        for (int i = 0; i < 8; i++)
#pragma unroll
            for (int j = 0; j < 8; j++)
                acc[i][j] = fma(x[i], y[j], acc[i][j]);
    }
}

/* Products of 4 filters at a time go through shared memory: m[point][filter][tile]. */
#define STAGE_FILTERS 4
#define STAGE_FLOATS (POINTS * STAGE_FILTERS * SIDE)
#define SHARED_FLOATS                                                                              \
    (BUFFERS * 2 * HALF_FLOATS > STAGE_FLOATS ? BUFFERS * 2 * HALF_FLOATS : STAGE_FLOATS)

INLINE void stage(__local float *to, uint t, const float acc[8])
{
#pragma unroll
    for (int j = 0; j < 8; j++)
        to[(t / 16 * STAGE_FILTERS + t / 4 % 4) * SIDE + tile_of(t, j)] = acc[j];
}

/* The products of one filter and tile are this thread's alone: columns are transformed in place, rows on
 * the way out, so that few registers are needed while the accumulators still live. */
INLINE void write_outputs(const struct shape *s, __local float *m, __global float *out,
                          struct place at, int k)
{
    float x[TILE], y[OUT];
#pragma unroll 1
    for (int i = 0; i < TILE; i++) {
#pragma unroll
        for (int j = 0; j < TILE; j++)
            x[j] = m[(j * TILE + i) * STAGE_FILTERS * SIDE];
        output_1d(x, 1, y, 1);
#pragma unroll
        for (int j = 0; j < OUT; j++)
            m[(j * TILE + i) * STAGE_FILTERS * SIDE] = y[j];
    }
#pragma unroll 1
    for (int i = 0; i < OUT; i++) {
#pragma unroll
        for (int j = 0; j < TILE; j++)
            x[j] = m[(i * TILE + j) * STAGE_FILTERS * SIDE];
        output_1d(x, 1, y, 1);
#pragma unroll
        for (int j = 0; j < OUT; j++) {
            const int p = at.p + i, q = at.q + j;
            if (at.n < s->N && k >= 0 && p < s->P && q < s->Q)
                out[((at.n * s->K * s->groups + k) * s->P + p) * s->Q + q] = y[j];
        }
    }
}

KERNEL(THREADS) winograd_fused(const __global float *restrict in, const __global float *restrict u,
                               __global float *restrict out, const int blocks_h, const int blocks_w,
                               const int log_h, const int log_w SHAPE_PARAMS)
{
    __local float shared[SHARED_FLOATS] __attribute__((aligned(16)));
    const struct shape s = SHAPE_VALUE;
    const uint t = (uint)get_local_id(0);
    const int block = (int)get_group_id(0), g = (int)get_group_id(2);
    const int k0 = (int)get_group_id(1) * SIDE;
    const int n0 = block / blocks_w / blocks_h << (5 - log_h - log_w);
    const int h0 = block / blocks_w % blocks_h << log_h, w0 = block % blocks_w << log_w;
    const struct place at = place(t % SIDE, n0, h0, w0, log_h, log_w);
    __local struct place places[SIDE]; /* for the epilogue: registers are scarce in between */
    if (t < SIDE)
        places[t] = at;
    float acc[8][8] = {{0.0f}};

#if BUFFERS == 1
    float d[POINTS], f[FILTER_LOADS];
    load(&s, in, u, at, g, k0, 0, t, d, f);
    for (int c0 = 0; c0 < C; c0 += STEP) {
        store(shared, t, d, f);
        barrier(CLK_LOCAL_MEM_FENCE);
        load(&s, in, u, at, g, k0, c0 + STEP, t, d, f); /* past the end: predicated off */
        multiply(shared, t, acc);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
#else
    /* A step ahead of the multipliers, the loaders fill the other buffer. */
    const uint loader = t - MULTIPLIERS;
#ifdef __NVPTX__
    if (t >= MULTIPLIERS) {
        for (int c0 = 0, buffer = 0; c0 < C + STEP; c0 += STEP, buffer ^= 1) {
            load_store(&s, in, u, at, g, k0, c0, loader, shared + buffer * 2 * HALF_FLOATS);
            barrier(CLK_LOCAL_MEM_FENCE);
        }
    } else {
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int c0 = 0, buffer = 0; c0 < C; c0 += STEP, buffer ^= 1) {
            multiply(shared + buffer * 2 * HALF_FLOATS, t, acc);
            barrier(CLK_LOCAL_MEM_FENCE);
        }
    }
#else
    /* OpenCL promises nothing of barriers that threads meet in different places. */
    for (int c0 = -STEP, buffer = 1; c0 < C; c0 += STEP, buffer ^= 1) {
        if (t >= MULTIPLIERS)
            load_store(&s, in, u, at, g, k0, c0 + STEP, loader, shared + (buffer ^ 1) * 2 * HALF_FLOATS);
        else if (c0 >= 0)
            multiply(shared + buffer * 2 * HALF_FLOATS, t, acc);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
#endif
#endif

    /* Row i of all threads: filters filter_of(16 threads of a point, i). */
    const uint slot = t % (STAGE_FILTERS * SIDE);
#pragma unroll
    for (int i = 0; i < 8; i++) {
        if (t < MULTIPLIERS)
            stage(shared, t, acc[i]);
        barrier(CLK_LOCAL_MEM_FENCE);
        const int k = k0 + filter_of(slot / SIDE * 4, i);
        if (t < STAGE_FILTERS * SIDE)
            write_outputs(&s, shared + slot, out, places[slot % SIDE], k < K ? g * K + k : -1);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
}
