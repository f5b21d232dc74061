/* Strided batched matrix product of floats (SGEMM) or complex numbers (CGEMM): c[m][n] = sum over k of
 * a[m][k] * b[k][n]. Matrices lie row by row; with B_INNER_FASTEST, b column by column. Of each, x0 is the
 * first element, ldx the distance of rows (or columns), step_x of the matrices of the batch: the third
 * dimension of the grid. */
#include "gemm/tile.h"

#ifdef COMPLEX
#define NAME cgemm
#elif defined B_INNER_FASTEST
#define NAME sgemm_nt
#else
#define NAME sgemm
#endif

INLINE void fetch_tiles(const __global ELEM *a, const __global ELEM *b, int m, int n, int k, int lda,
                        int ldb, int row0, int col0, int k0, uint t, ELEM *ra, ELEM *rb)
{
#pragma unroll
    for (int i = 0; i < A_LOADS; i++) {
        const int row = row0 + a_row(t, i), inner = k0 + a_inner(t);
        ra[i] = row < m && inner < k ? a[row * lda + inner] : ZERO;
    }
#pragma unroll
    for (int i = 0; i < B_LOADS; i++) {
        const int col = col0 + b_col(t, i), inner = k0 + b_inner(t, i);
#ifdef B_INNER_FASTEST
        rb[i] = col < n && inner < k ? b[col * ldb + inner] : ZERO;
#else
        rb[i] = col < n && inner < k ? b[inner * ldb + col] : ZERO;
#endif
    }
}

KERNEL(THREADS) NAME(const __global ELEM *restrict a, const __global ELEM *restrict b,
                     __global ELEM *restrict c, const int m, const int n, const int k, const int a0,
                     const int lda, const int step_a, const int b0, const int ldb, const int step_b,
                     const int c0, const int ldc, const int step_c)
{
    __local ELEM shared[SHARED_ELEMS] __attribute__((aligned(16)));
    __local ELEM *as = shared, *bs = shared + 2 * A_ELEMS;
    const uint t = (uint)get_local_id(0);
    const int z = (int)get_group_id(2);
    const int row0 = (int)get_group_id(1) * BM, col0 = (int)get_group_id(0) * BN;
    const __global ELEM *az = a + a0 + z * step_a, *bz = b + b0 + z * step_b;

    ELEM acc[TM][TN] = {{0.0f}}, ra[A_LOADS], rb[B_LOADS];
    fetch_tiles(az, bz, m, n, k, lda, ldb, row0, col0, 0, t, ra, rb);
    for (int k0 = 0, buffer = 0; k0 < k; k0 += BK, buffer ^= 1) {
        tile_store(as + buffer * A_ELEMS, bs + buffer * B_ELEMS, t, ra, rb);
        barrier(CLK_LOCAL_MEM_FENCE);
        fetch_tiles(az, bz, m, n, k, lda, ldb, row0, col0, k0 + BK, t, ra, rb);
        tile_multiply(as + buffer * A_ELEMS, bs + buffer * B_ELEMS, t, acc);
    }

#pragma unroll
    for (int i = 0; i < TM; i++) {
        stage_rows(shared, t, acc[i]);
#pragma unroll
        for (int j = 0; j < TN; j++) {
            const int row = row0 + row_of(stage_ty(t, j), i), col = col0 + stage_col(t, j);
            if (row < m && col < n)
                c[c0 + z * step_c + row * ldc + col] = stage_value(shared, t, j);
        }
    }
}
