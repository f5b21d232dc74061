/* Implicit GEMM with precomputed indices: as implicit_gemm.cl, but what an inner index means for the
 * address is read from a table that a first kernel makes. */
#include "gemm/columns.h"

/* Per inner index: the offset from a column's first pixel, and its rows and columns (16 bits each). */
KERNEL(BLOCK) index_table(__global int2 *restrict table SHAPE_PARAMS)
{
    const struct shape p = SHAPE_VALUE;
    const int k = (int)get_group_id(0) * BLOCK + (int)get_local_id(0);
    const struct tap at = tap(&p, k);
    const int c = at.c, h = at.r * dilation_h, w = at.s * dilation_w;
    if (at.live)
        table[k] = (int2)(IN_AT(&p, 0, 0, c, h, w), h << 16 | w);
}

INLINE void fetch_columns(const struct shape *p, const __global float *in,
                          const __global int2 *table, const struct column *cols, int k0, uint t,
                          float *to)
{
    const int inner = p->C * p->R * p->S;
#pragma unroll
    for (int i = 0; i < PIXEL_LOADS; i++) {
        const struct column *col = &cols[i % PIXELS];
        const int k = k0 + pixel_inner(t, i);
        const int2 at = k < inner ? table[k] : (int2)(0, 0);
        const int h = col->h + (at.y >> 16), w = col->w + (at.y & 0xffff);
        const bool inside = col->live && k < inner && INSIDE(h, p->H) && INSIDE(w, p->W);
        to[i] = inside ? in[col->base + IN_AT(p, 0, 0, 0, col->h, col->w) + at.x] : 0.0f;
    }
}

/* Grid: blocks of pixels, blocks of filters, groups. */
KERNEL(THREADS) implicit_precomp_gemm(const __global float *restrict in,
                                      const __global float *restrict filter,
                                      const __global int2 *restrict table,
                                      __global float *restrict out SHAPE_PARAMS)
{
    __local float shared[SHARED_ELEMS] __attribute__((aligned(16)));
    __local float *as = shared, *bs = shared + 2 * A_ELEMS;
    const struct shape p = SHAPE_VALUE;
    const uint t = (uint)get_local_id(0);
    const int g = (int)get_group_id(2), inner = C * R * S;
    const int filter0 = (int)get_group_id(1) * FILTER_TILE, pixel0 = (int)get_group_id(0) * PIXEL_TILE;
    const __global float *f = filter + g * K * inner;

    struct column cols[PIXELS];
#pragma unroll
    for (int j = 0; j < PIXELS; j++)
        cols[j] = column(&p, g, pixel0 + pixel_of(t, j));

    float acc[TM][TN] = {{0.0f}}, ra[A_LOADS], rb[B_LOADS];
    float *const rf = FILTERS_IN(ra, rb), *const rp = PIXELS_IN(ra, rb);
    fetch_filter(f, K, inner, filter0, 0, t, rf);
    fetch_columns(&p, in, table, cols, 0, t, rp);
    for (int k0 = 0, buffer = 0; k0 < inner; k0 += BK, buffer ^= 1) {
        tile_store(as + buffer * A_ELEMS, bs + buffer * B_ELEMS, t, ra, rb);
        barrier(CLK_LOCAL_MEM_FENCE);
        fetch_filter(f, K, inner, filter0, k0 + BK, t, rf);
        fetch_columns(&p, in, table, cols, k0 + BK, t, rp);
        tile_multiply(as + buffer * A_ELEMS, bs + buffer * B_ELEMS, t, acc);
    }

#pragma unroll
    for (int i = 0; i < TM; i++) {
        stage_rows(shared, t, acc[i]);
#pragma unroll
        for (int j = 0; j < TN; j++)
            put(&p, out, g, ROWS_FROM(filter0, pixel0) + row_of(stage_ty(t, j), i),
                COLS_FROM(filter0, pixel0) + stage_col(t, j), stage_value(shared, t, j));
    }
}
