/* Winograd for filters of any size and strides, in one launch, as MIOpen's RxS kernels do it: the filter is
 * cut into pieces of FILTER x FILTER taps (of every stride-th tap), each piece filtered as F(OUT, FILTER) and
 * all summed before the output transform. TILE is 4: F(2,3) or F(3,2).
 *
 * Persistent thread groups of 512 threads, one per processor, take work items of 32 filters x 32 tiles, the
 * tiles consecutive through rows, maps and images. Of STEP channels at a time, half of the threads load and
 * transform the tiles, the other half the filters, into shared memory; then each warp multiplies one of the
 * 16 points, a thread 8 filters x 4 tiles. Products leave in two halves through shared memory, where a
 * thread transforms one tile of one filter. Dilation 1, equal strides. */
#include "winograd/transform.h"

#define POINTS (TILE * TILE)
#define SIDE 32 /* filters, and tiles, of a work item */
#define THREADS 512
#define STEP 8
#define HALF_FLOATS (POINTS * STEP * SIDE) /* the tiles, or the filters, of one step */
#if TILE != 4
#error "a warp for each of 16 points"
#endif

struct place { /* of a tile: its image and its first output */
    int n, p, q;
};
INLINE struct place place(const struct shape *s, int tile)
{
    const int tiles_w = (s->Q + OUT - 1) / OUT, tiles = (s->P + OUT - 1) / OUT * tiles_w;
    const struct place at = {tile / tiles, tile % tiles / tiles_w * OUT, tile % tiles % tiles_w * OUT};
    return at;
}

/* The inputs under a tile for the piece of the filter that begins at tap (r0, s0), transformed. */
INLINE void load_tile(const struct shape *s, const __global float *in, struct place at, int g, int c,
                      int r0, int s0, float *d)
{
    const int h0 = at.p * s->stride_h - s->pad_top + r0, w0 = at.q * s->stride_w - s->pad_left + s0;
#pragma unroll
    for (int j = 0; j < POINTS; j++) {
        const int h = h0 + j / TILE * s->stride_h, w = w0 + j % TILE * s->stride_w;
        const bool inside = at.n < s->N && c < s->C && INSIDE(h, s->H) && INSIDE(w, s->W);
        d[j] = inside ? in[(((at.n * s->groups + g) * s->C + c) * s->H + h) * s->W + w] : 0.0f;
    }
    input_2d(d);
}

INLINE void load_filter(const struct shape *s, const __global float *filter, int g, int k, int c, int r0,
                        int s0, float *u)
{
    float taps[FILTER * FILTER];
#pragma unroll
    for (int j = 0; j < FILTER * FILTER; j++) {
        const int r = r0 + j / FILTER * s->stride_h, w = s0 + j % FILTER * s->stride_w;
        const bool live = k < s->K && c < s->C && r < s->R && w < s->S;
        taps[j] = live ? filter[(((g * s->K + k) * s->C + c) * s->R + r) * s->S + w] : 0.0f;
    }
    filter_2d(taps, u);
}

/* The piece after the one that begins at tap `r`: pieces of one phase of the stride, then of the next. */
INLINE int next_piece(int r, int stride) { return (r + 1) % stride ? r + 1 : r + 1 + stride * (FILTER - 1); }

INLINE int filter_of(uint lane, int i) { return (int)(lane / 8) * 4 + i / 4 * 16 + i % 4; }
INLINE int tile_of(uint lane, int j) { return (int)(lane % 8) * 4 + j; }

INLINE void load4(float *to, const __local float *from)
{
    const float4 v = *(const __local float4 *)from;
    to[0] = v.s0, to[1] = v.s1, to[2] = v.s2, to[3] = v.s3;
}

INLINE void multiply(const __local float *shared, uint t, float acc[8][4])
{
    const uint point = t / 32, lane = t % 32;
#pragma unroll
    for (int c = 0; c < STEP; c++) {
        const __local float *v = shared + (point * STEP + c) * SIDE, *u = v + HALF_FLOATS;
        float x[8], y[4];
        load4(x, u + filter_of(lane, 0));
        load4(x + 4, u + filter_of(lane, 4));
        load4(y, v + tile_of(lane, 0));
#pragma unroll
        for (int i = 0; i < 8; i++)
#pragma unroll
            for (int j = 0; j < 4; j++)
                acc[i][j] = fma(x[i], y[j], acc[i][j]);
    }
}

/* Part 0 or 1 of the products, 16 filters: to shared memory, and from there one tile of one filter to each
 * thread. */
INLINE void write_half(const struct shape *s, __local float *m, __global float *out, int part,
                       const float acc[8][4], uint t, int tile0, int g, int k0)
{
    float points[POINTS], y[OUT * OUT];
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++)
            m[(t / 32 * (SIDE / 2) + filter_of(t % 32, i)) * SIDE + tile_of(t % 32, j)] = acc[part * 4 + i][j];
    barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll
    for (int j = 0; j < POINTS; j++)
        points[j] = m[(j * (SIDE / 2) + (int)(t / SIDE)) * SIDE + (int)(t % SIDE)];
    output_2d(points, y);
    const struct place at = place(s, tile0 + (int)(t % SIDE));
    const int k = k0 + part * 16 + (int)(t / SIDE);
#pragma unroll
    for (int j = 0; j < OUT * OUT; j++) {
        const int p = at.p + j / OUT, q = at.q + j % OUT;
        if (at.n < s->N && k < s->K && p < s->P && q < s->Q)
            out[(((at.n * s->groups + g) * s->K + k) * s->P + p) * s->Q + q] = y[j];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
}

/* Grid: any number of thread groups. Items: blocks of tiles, of filters, groups. */
KERNEL(THREADS) winograd_rxs(const __global float *restrict in, const __global float *restrict filter,
                             __global float *restrict out, const int tile_blocks, const int filter_blocks,
                             const int items SHAPE_PARAMS)
{
    __local float shared[2 * HALF_FLOATS] __attribute__((aligned(16)));
    const struct shape s = SHAPE_VALUE;
    const uint t = (uint)get_local_id(0);
    const bool loads_tiles = t < STEP * SIDE;
    const int dc = (int)(t / SIDE % STEP), slot = (int)(t % SIDE);
    __local float *to = shared + (loads_tiles ? 0 : HALF_FLOATS) + dc * SIDE + slot;
    for (int item = (int)get_group_id(0); item < items; item += (int)get_num_groups(0)) {
        const int tile0 = item % tile_blocks * SIDE, k0 = item / tile_blocks % filter_blocks * SIDE;
        const int g = item / tile_blocks / filter_blocks;
        const struct place at = place(&s, tile0 + slot);
        float acc[8][4] = {{0.0f}};
        for (int r0 = 0; r0 < R; r0 = next_piece(r0, stride_h))
            for (int s0 = 0; s0 < S; s0 = next_piece(s0, stride_w))
                for (int c0 = 0; c0 < C; c0 += STEP) {
                    float d[POINTS];
                    if (loads_tiles)
                        load_tile(&s, in, at, g, c0 + dc, r0, s0, d);
                    else
                        load_filter(&s, filter, g, k0 + slot, c0 + dc, r0, s0, d);
#pragma unroll
                    for (int j = 0; j < POINTS; j++)
                        to[j * STEP * SIDE] = d[j];
                    barrier(CLK_LOCAL_MEM_FENCE);
                    multiply(shared, t, acc);
                    barrier(CLK_LOCAL_MEM_FENCE);
                }
        write_half(&s, shared, out, 0, acc, t, tile0, g, k0);
        write_half(&s, shared, out, 1, acc, t, tile0, g, k0);
    }
}
