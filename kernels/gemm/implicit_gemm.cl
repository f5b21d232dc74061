/* Implicit GEMM, NCHW: rows are the filters of a group, columns the pixels of all images, the inner
 * dimension is (channel, filter row, filter column). Nothing is materialised: each fetch computes
 * where its element of the virtual column matrix lies. Any shape. */
#include "gemm/tile.h"

struct column { /* one column of the virtual matrix: the first input pixel under the filter */
    int h, w, base;
    bool live;
};

INLINE struct column column(const struct shape *p, int g, uint col)
{
    const uint pixels = p->P * p->Q, n = col / pixels, pixel = col % pixels;
    const struct column c = {(int)(pixel / p->Q) * p->stride_h - p->pad_top,
                             (int)(pixel % p->Q) * p->stride_w - p->pad_left,
                             ((int)n * p->groups + g) * p->C * p->H * p->W, col < p->N * pixels};
    return c;
}

INLINE float fetch(const struct shape *p, const __global float *in, const struct column *col, uint k)
{
    const uint window = p->R * p->S, c = k / window, r = k % window / p->S, s = k % window % p->S;
    const int h = col->h + (int)r * p->dilation_h, w = col->w + (int)s * p->dilation_w;
    const bool inside = col->live && INSIDE(c, p->C) && INSIDE(h, p->H) && INSIDE(w, p->W);
    return inside ? in[col->base + ((int)c * p->H + h) * p->W + w] : 0.0f;
}

INLINE void fetch_tiles(const struct shape *p, const __global float *in, const __global float *filter,
                        const struct column *cols, int row0, int k0, uint t, float *ra, float *rb)
{
    const int inner = p->C * p->R * p->S;
#pragma unroll
    for (int i = 0; i < A_LOADS; i++) {
        const int m = row0 + a_row(t, i), k = k0 + a_inner(t);
        ra[i] = m < p->K && k < inner ? filter[m * inner + k] : 0.0f;
    }
#pragma unroll
    for (int i = 0; i < B_LOADS; i++)
        rb[i] = fetch(p, in, &cols[i % B_COLS], k0 + b_inner(t, i));
}

KERNEL(THREADS) implicit_gemm(const __global float *restrict in,
                              const __global float *restrict filter,
                              __global float *restrict out SHAPE_PARAMS)
{
    __local float as[2][BK * LDA] __attribute__((aligned(16)));
    __local float bs[2][BK * BN] __attribute__((aligned(16)));
    const struct shape p = SHAPE_VALUE;
    const uint t = (uint)get_local_id(0);
    const int g = (int)get_group_id(2);
    const int row0 = (int)get_group_id(1) * BM, col0 = (int)get_group_id(0) * BN;
    const int inner = C * R * S, pixels = P * Q;
    const __global float *f = filter + g * K * inner;

    struct column cols[B_COLS];
#pragma unroll
    for (int j = 0; j < B_COLS; j++)
        cols[j] = column(&p, g, col0 + b_col(t, j));

    float acc[TM][TN] = {{0.0f}}, ra[A_LOADS], rb[B_LOADS];
    fetch_tiles(&p, in, f, cols, row0, 0, t, ra, rb);
    for (int k0 = 0, buffer = 0; k0 < inner; k0 += BK, buffer ^= 1) {
        tile_store(as[buffer], bs[buffer], t, ra, rb);
        barrier(CLK_LOCAL_MEM_FENCE);
        fetch_tiles(&p, in, f, cols, row0, k0 + BK, t, ra, rb); /* past the end: predicated off */
        tile_multiply(as[buffer], bs[buffer], t, acc);
    }

#pragma unroll
    for (int j = 0; j < TN; j++) {
        const uint col = col0 + tile_col(t, j);
        const int n = col / pixels, pixel = col % pixels;
#pragma unroll
        for (int i = 0; i < TM; i++) {
            const int m = row0 + tile_row(t, i);
            if (m < K && n < N)
                out[((n * groups + g) * K + m) * pixels + pixel] = acc[i][j];
        }
    }
}
