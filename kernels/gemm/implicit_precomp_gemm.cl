/* Implicit GEMM with precomputed indices, NCHW: as implicit_gemm.cl, but what an inner index means for
 * the address is read from a table that a first kernel makes. */
#include "gemm/columns.h"

/* Per inner index: the offset from a column's first pixel, and its rows and columns (16 bits each). */
KERNEL(BLOCK) index_table(__global int2 *restrict table SHAPE_PARAMS)
{
    const int k = (int)get_group_id(0) * BLOCK + (int)get_local_id(0);
    const int c = k / (R * S), h = k % (R * S) / S * dilation_h, w = k % (R * S) % S * dilation_w;
    if (c < C)
        table[k] = (int2)((c * H + h) * W + w, h << 16 | w);
}

INLINE void fetch_columns(const struct shape *p, const __global float *in,
                          const __global int2 *table, const struct column *cols, int k0, uint t,
                          float *rb)
{
    const int inner = p->C * p->R * p->S;
#pragma unroll
    for (int i = 0; i < B_LOADS; i++) {
        const struct column *col = &cols[i % B_COLS];
        const int k = k0 + b_inner(t, i);
        const int2 at = k < inner ? table[k] : (int2)(0, 0);
        const int h = col->h + (at.y >> 16), w = col->w + (at.y & 0xffff);
        const bool inside = col->live && k < inner && INSIDE(h, p->H) && INSIDE(w, p->W);
        rb[i] = inside ? in[col->base + col->h * p->W + col->w + at.x] : 0.0f;
    }
}

KERNEL(THREADS) implicit_precomp_gemm(const __global float *restrict in,
                                      const __global float *restrict filter,
                                      const __global int2 *restrict table,
                                      __global float *restrict out SHAPE_PARAMS)
{
    __local float shared[SHARED_ELEMS] __attribute__((aligned(16)));
    __local float *as = shared, *bs = shared + 2 * A_ELEMS;
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
    fetch_filter(f, K, inner, row0, 0, t, ra);
    fetch_columns(&p, in, table, cols, 0, t, rb);
    for (int k0 = 0, buffer = 0; k0 < inner; k0 += BK, buffer ^= 1) {
        tile_store(as + buffer * A_ELEMS, bs + buffer * B_ELEMS, t, ra, rb);
        barrier(CLK_LOCAL_MEM_FENCE);
        fetch_filter(f, K, inner, row0, k0 + BK, t, ra);
        fetch_columns(&p, in, table, cols, k0 + BK, t, rb);
        tile_multiply(as + buffer * A_ELEMS, bs + buffer * B_ELEMS, t, acc);
    }

#pragma unroll
    for (int i = 0; i < TM; i++) {
        stage_rows(shared, t, acc[i]);
#pragma unroll
        for (int j = 0; j < TN; j++) {
            const int m = row0 + row_of(stage_ty(t, j), i);
            const uint col = col0 + stage_col(t, j);
            const int n = col / pixels, pixel = col % pixels;
            if (m < K && n < N)
                out[((n * groups + g) * K + m) * pixels + pixel] = stage_value(shared, t, j);
        }
    }
}
