/* Strided batched matrix product, row-major, of floats (SGEMM) or complex numbers (CGEMM): c[m][n] = sum over k of a[m][k] * b[k][n]. Matrices of a batch follow
 * each other; the third dimension of the grid is the batch, from z0 on. b and c begin b0 and c0 elements
 * into their buffers. */
#include "gemm/tile.h"

#ifdef COMPLEX
#define NAME cgemm
#else
#define NAME sgemm
#endif

INLINE void fetch_tiles(const __global ELEM *a, const __global ELEM *b, int m, int n, int k, int row0,
                        int col0, int k0, uint t, ELEM *ra, ELEM *rb)
{
#pragma unroll
    for (int i = 0; i < A_LOADS; i++) {
        const int row = row0 + a_row(t, i), inner = k0 + a_inner(t);
        ra[i] = row < m && inner < k ? a[row * k + inner] : ZERO;
    }
#pragma unroll
    for (int i = 0; i < B_LOADS; i++) {
        const int col = col0 + b_col(t, i), inner = k0 + b_inner(t, i);
        rb[i] = col < n && inner < k ? b[inner * n + col] : ZERO;
    }
}

KERNEL(THREADS) NAME(const __global ELEM *restrict a, const __global ELEM *restrict b,
                     __global ELEM *restrict c, const int z0, const int b0, const int c0, const int m,
                     const int n, const int k)
{
    __local ELEM shared[SHARED_ELEMS] __attribute__((aligned(16)));
    __local ELEM *as = shared, *bs = shared + 2 * A_ELEMS;
    const uint t = (uint)get_local_id(0);
    const int z = z0 + (int)get_group_id(2);
    const int row0 = (int)get_group_id(1) * BM, col0 = (int)get_group_id(0) * BN;
    const __global ELEM *az = a + z * m * k, *bz = b + b0 + z * k * n;

    ELEM acc[TM][TN] = {{0.0f}}, ra[A_LOADS], rb[B_LOADS];
    fetch_tiles(az, bz, m, n, k, row0, col0, 0, t, ra, rb);
    for (int k0 = 0, buffer = 0; k0 < k; k0 += BK, buffer ^= 1) {
        tile_store(as + buffer * A_ELEMS, bs + buffer * B_ELEMS, t, ra, rb);
        barrier(CLK_LOCAL_MEM_FENCE);
        fetch_tiles(az, bz, m, n, k, row0, col0, k0 + BK, t, ra, rb);
        tile_multiply(as + buffer * A_ELEMS, bs + buffer * B_ELEMS, t, acc);
    }

#pragma unroll
    for (int i = 0; i < TM; i++) {
        stage_rows(shared, t, acc[i]);
#pragma unroll
        for (int j = 0; j < TN; j++) {
            const int row = row0 + row_of(stage_ty(t, j), i), col = col0 + stage_col(t, j);
            if (row < m && col < n)
                c[c0 + (z * m + row) * n + col] = stage_value(shared, t, j);
        }
    }
}
