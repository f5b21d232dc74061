/* Implicit GEMM, NCHW: rows are the filters of a group, columns the pixels of all images. The column
 * matrix is never written: each fetch computes where its element lies. Any shape. */
#include "gemm/columns.h"

INLINE float fetch(const struct shape *p, const __global float *in, const struct column *col, uint k)
{
    const uint window = p->R * p->S, c = k / window, r = k % window / p->S, s = k % window % p->S;
    const int h = col->h + (int)r * p->dilation_h, w = col->w + (int)s * p->dilation_w;
    const bool inside = col->live && INSIDE(c, p->C) && INSIDE(h, p->H) && INSIDE(w, p->W);
    return inside ? in[col->base + ((int)c * p->H + h) * p->W + w] : 0.0f;
}

INLINE void fetch_columns(const struct shape *p, const __global float *in, const struct column *cols,
                          int k0, uint t, float *rb)
{
#pragma unroll
    for (int i = 0; i < B_LOADS; i++)
        rb[i] = fetch(p, in, &cols[i % B_COLS], k0 + b_inner(t, i));
}

KERNEL(THREADS) implicit_gemm(const __global float *restrict in,
                              const __global float *restrict filter,
                              __global float *restrict out SHAPE_PARAMS)
{
    __local float as[2][A_ELEMS] __attribute__((aligned(16)));
    __local float bs[2][B_ELEMS] __attribute__((aligned(16)));
    const struct shape p = SHAPE_VALUE;
    const uint t = (uint)get_local_id(0);
    const int g = (int)get_group_id(2);
    const int row0 = (int)get_group_id(1) * BM, col0 = (int)get_group_id(0) * BN;
    const int inner = C * R * S, pixels = P * Q;
    const __global float *f = filter + g * K * inner;

    struct column cols[B_COLS]; /* a thread's columns are the same in every step */
#pragma unroll
    for (int j = 0; j < B_COLS; j++)
        cols[j] = column(&p, g, col0 + b_col(t, j));

    float acc[TM][TN] = {{0.0f}}, ra[A_LOADS], rb[B_LOADS];
    fetch_filter(f, K, inner, row0, 0, t, ra);
    fetch_columns(&p, in, cols, 0, t, rb);
    for (int k0 = 0, buffer = 0; k0 < inner; k0 += BK, buffer ^= 1) {
        tile_store(as[buffer], bs[buffer], t, ra, rb);
        barrier(CLK_LOCAL_MEM_FENCE);
        fetch_filter(f, K, inner, row0, k0 + BK, t, ra); /* past the end: predicated off */
        fetch_columns(&p, in, cols, k0 + BK, t, rb);
        tile_multiply(as[buffer], bs[buffer], t, acc);
    }

#pragma unroll
    for (int j = 0; j < TN; j++) {
        const uint col = col0 + col_of(thread_col(t), j);
        const int n = col / pixels, pixel = col % pixels;
#pragma unroll
        for (int i = 0; i < TM; i++) {
            const int m = row0 + row_of(thread_row(t), i);
            if (m < K && n < N)
                out[((n * groups + g) * K + m) * pixels + pixel] = acc[i][j];
        }
    }
}
