/* The product of two tiles in shared memory, accumulated in registers: the core of every GEMM-like
 * kernel. Tile sizes: common/tiles.def.
 *
 * A thread group of THREADS threads goes through the inner dimension BK at a time. Each thread fetches
 * A_LOADS elements of the A tile (BM x BK, inner dimension fastest in memory) and B_LOADS of the B tile
 * (BK x BN, columns fastest) into registers, stores them in one of two buffers, and after a barrier
 * multiplies from it while the fetch for the other buffer is under way. */
#ifndef GEMM_TILE_H
#define GEMM_TILE_H

#include "common/kernel.h"

#define THREADS ((BM / TM) * (BN / TN))
#define LDA (BM + 4) /* padded: the transposing stores hit fewer banks, vectors stay aligned */
#define A_LOADS (BM * BK / THREADS)
#define B_LOADS (BN * BK / THREADS)
#define B_COLS (BN > THREADS ? BN / THREADS : 1) /* different columns that one thread fetches */

#define VEC_(n) float##n
#define VEC__(n) VEC_(n)
#define VEC VEC__(SUB)

/* The place of fetch i in the tile. */
INLINE uint a_row(uint t, int i) { return t / BK + i * (THREADS / BK); }
INLINE uint a_inner(uint t) { return t % BK; }
INLINE uint b_col(uint t, int i) { return BN > THREADS ? t + i % B_COLS * THREADS : t % BN; }
INLINE uint b_inner(uint t, int i)
{
    return BN > THREADS ? i / B_COLS : t / BN + i * (THREADS / BN);
}

/* The first row or column of accumulator i or j of thread t. */
INLINE uint tile_row(uint t, int i)
{
    const uint unit = t / (UM / TM * (UN / TN)), lane = t % (UM / TM * (UN / TN));
    return unit / (BN / UN) * UM + i / SUB * (UM * SUB / TM) + lane / (UN / TN) * SUB + i % SUB;
}
INLINE uint tile_col(uint t, int j)
{
    const uint unit = t / (UM / TM * (UN / TN)), lane = t % (UM / TM * (UN / TN));
    return unit % (BN / UN) * UN + j / SUB * (UN * SUB / TN) + lane % (UN / TN) * SUB + j % SUB;
}

INLINE void tile_store(__local float *a, __local float *b, uint t, const float *ra, const float *rb)
{
#pragma unroll
    for (int i = 0; i < A_LOADS; i++)
        a[a_inner(t) * LDA + a_row(t, i)] = ra[i];
#pragma unroll
    for (int i = 0; i < B_LOADS; i++)
        b[b_inner(t, i) * BN + b_col(t, i)] = rb[i];
}

INLINE void load_vector(float *to, const __local float *from)
{
    const VEC v = *(const __local VEC *)from;
    to[0] = v.s0, to[1] = v.s1;
#if SUB == 4
    to[2] = v.s2, to[3] = v.s3;
#endif
}

INLINE void tile_multiply(const __local float *a, const __local float *b, uint t, float acc[TM][TN])
{
    const uint row = tile_row(t, 0), col = tile_col(t, 0);
#pragma unroll
    for (int k = 0; k < BK; k++) {
        float x[TM], y[TN];
#pragma unroll
        for (int i = 0; i < TM; i += SUB)
            load_vector(x + i, a + k * LDA + row + i / SUB * (UM * SUB / TM));
#pragma unroll
        for (int j = 0; j < TN; j += SUB)
            load_vector(y + j, b + k * BN + col + j / SUB * (UN * SUB / TN));
#pragma unroll
        for (int i = 0; i < TM; i++)
#pragma unroll
            for (int j = 0; j < TN; j++)
                acc[i][j] = fma(x[i], y[j], acc[i][j]);
    }
}

#endif
