/* Implicit GEMM: a product of filters and pixels, or in NHWC of pixels and filters. The column matrix is
 * never written: each fetch computes where its element lies. Any shape. IMAGES_OF_A_THREAD: columns.h.
 * With SPLIT_K, a thread group takes only `slice` inner indices, a multiple of BK, and its sums go to a
 * tensor of the slice, out[slice]; reduce.cl adds them up. */
#include "gemm/columns.h"

INLINE float fetch(const struct shape *p, const __global float *in, const struct column *col, uint k)
{
    const struct tap at = tap(p, k);
    const int h = col->h + (int)at.r * p->dilation_h, w = col->w + (int)at.s * p->dilation_w;
    const bool inside = col->live && at.live && INSIDE(h, p->H) && INSIDE(w, p->W);
    return inside ? in[col->base + IN_AT(p, 0, 0, (int)at.c, h, w)] : 0.0f;
}

INLINE void fetch_columns(const struct shape *p, const __global float *in, const struct column *cols,
                          int k0, uint t, float *to)
{
#pragma unroll
    for (int i = 0; i < PIXEL_LOADS; i++)
        to[i] = fetch(p, in, &cols[i % PIXELS], k0 + pixel_inner(t, i));
}

#ifdef SPLIT_K
#define SLICE_PARAM , const int slice
#else
#define SLICE_PARAM
#endif

/* Grid: blocks of pixels, blocks of filters, groups (of all slices). */
KERNEL(THREADS) implicit_gemm(const __global float *restrict in,
                              const __global float *restrict filter,
                              __global float *restrict out SLICE_PARAM SHAPE_PARAMS)
{
    __local float as[2][A_ELEMS] __attribute__((aligned(16)));
    __local float bs[2][B_ELEMS] __attribute__((aligned(16)));
    const struct shape p = SHAPE_VALUE;
    const uint t = (uint)get_local_id(0);
    const int inner = C * R * S;
#ifdef SPLIT_K
    const int g = (int)get_group_id(2) % groups, begin = (int)get_group_id(2) / groups * slice;
    const int end = min(begin + slice, inner);
#else
    const int g = (int)get_group_id(2), begin = 0, end = inner;
#endif
    const int filter0 = (int)get_group_id(1) * FILTER_TILE, pixel0 = (int)get_group_id(0) * PIXEL_TILE;
    const __global float *f = filter + g * K * inner;

    struct column cols[PIXELS];
#pragma unroll
    for (int j = 0; j < PIXELS; j++)
        cols[j] = column(&p, g, pixel0 + pixel_of(t, j));

    float acc[TM][TN] = {{0.0f}}, ra[A_LOADS], rb[B_LOADS];
    float *const rf = FILTERS_IN(ra, rb), *const rp = PIXELS_IN(ra, rb);
    fetch_filter(f, K, inner, filter0, begin, t, rf);
    fetch_columns(&p, in, cols, begin, t, rp);
    for (int k0 = begin, buffer = 0; k0 < end; k0 += BK, buffer ^= 1) {
        tile_store(as[buffer], bs[buffer], t, ra, rb);
        barrier(CLK_LOCAL_MEM_FENCE);
        fetch_filter(f, K, inner, filter0, k0 + BK, t, rf); /* past the end: predicated off */
        fetch_columns(&p, in, cols, k0 + BK, t, rp);
        tile_multiply(as[buffer], bs[buffer], t, acc);
    }

#ifdef SPLIT_K
    out += (int)get_group_id(2) / groups * N * K * groups * P * Q;
#endif
#pragma unroll
    for (int j = 0; j < TN; j++)
#pragma unroll
        for (int i = 0; i < TM; i++)
            put(&p, out, g, ROWS_FROM(filter0, pixel0) + row_of(thread_row(t), i),
                COLS_FROM(filter0, pixel0) + col_of(thread_col(t), j), acc[i][j]);
}
