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
#if BM * BK % THREADS || BN * BK % THREADS || THREADS % BK || (BN > THREADS && BN % THREADS) || \
    (BN < THREADS && THREADS % BN)
#error "every thread fetches as many elements of each tile"
#endif
#define LDA (BM + 4) /* padded: the transposing stores hit fewer banks, vectors stay aligned */
#define A_LOADS (BM * BK / THREADS)
#define B_LOADS (BN * BK / THREADS)
#define B_COLS (BN > THREADS ? BN / THREADS : 1) /* different columns that one thread fetches */

/* Shared memory: two buffers of an A and a B tile; afterwards the stage of the epilogue. */
#define A_FLOATS (BK * LDA)
#define B_FLOATS (BK * BN)
#define TILE_FLOATS (2 * (A_FLOATS + B_FLOATS))
#define LDSTAGE (BN + 4)
#define STAGE_FLOATS (BM / TM * LDSTAGE)
#define SHARED_FLOATS (TILE_FLOATS > STAGE_FLOATS ? TILE_FLOATS : STAGE_FLOATS)

/* The place of fetch i in the tile. */
INLINE uint a_row(uint t, int i) { return t / BK + i * (THREADS / BK); }
INLINE uint a_inner(uint t) { return t % BK; }
INLINE uint b_col(uint t, int i) { return BN > THREADS ? t + i % B_COLS * THREADS : t % BN; }
INLINE uint b_inner(uint t, int i)
{
    return BN > THREADS ? i / B_COLS : t / BN + i * (THREADS / BN);
}

/* Threads stand in a grid of BM / TM rows, a unit's UM / TM at a time. The tile's row that row `ty` of
 * threads computes as its i-th; the same for columns. */
#define UNIT_COLS (UN / TN)
#define UNIT_THREADS (UM / TM * UNIT_COLS)
INLINE uint thread_row(uint t)
{
    return t / UNIT_THREADS / (BN / UN) * (UM / TM) + t % UNIT_THREADS / UNIT_COLS;
}
INLINE uint thread_col(uint t)
{
    return t / UNIT_THREADS % (BN / UN) * UNIT_COLS + t % UNIT_THREADS % UNIT_COLS;
}
INLINE uint row_of(uint ty, int i)
{
    return ty / (UM / TM) * UM + i / SUBM * (UM * SUBM / TM) + ty % (UM / TM) * SUBM + i % SUBM;
}
INLINE uint col_of(uint tx, int j)
{
    return tx / UNIT_COLS * UN + j / SUBN * (UN * SUBN / TN) + tx % UNIT_COLS * SUBN + j % SUBN;
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

/* n floats, aligned to their size: one vector load. */
INLINE void load_vector(float *to, const __local float *from, int n)
{
    if (n == 4) {
        const float4 v = *(const __local float4 *)from;
        to[0] = v.s0, to[1] = v.s1, to[2] = v.s2, to[3] = v.s3;
    } else if (n == 2) {
        const float2 v = *(const __local float2 *)from;
        to[0] = v.s0, to[1] = v.s1;
    } else {
        to[0] = from[0];
    }
}

INLINE void tile_multiply(const __local float *a, const __local float *b, uint t, float acc[TM][TN])
{
    const uint ty = thread_row(t), tx = thread_col(t);
#pragma unroll
    for (int k = 0; k < BK; k++) {
        float x[TM], y[TN];
#pragma unroll
        for (int i = 0; i < TM; i += SUBM)
            load_vector(x + i, a + k * LDA + row_of(ty, i), SUBM);
#pragma unroll
        for (int j = 0; j < TN; j += SUBN)
            load_vector(y + j, b + k * BN + col_of(tx, j), SUBN);
#pragma unroll
        for (int i = 0; i < TM; i++)
#pragma unroll
            for (int j = 0; j < TN; j++)
                acc[i][j] = fma(x[i], y[j], acc[i][j]);
    }
}

/* The epilogue as in the libraries: accumulators pass through shared memory, one row of each thread at
 * a time, so that consecutive threads store consecutive columns. After stage_rows, element j of thread
 * t is stage_value, in row row_of(stage_ty, i) and column stage_col of the tile. */
INLINE void stage_rows(__local float *stage, uint t, const float acc[TN])
{
    const uint ty = thread_row(t), tx = thread_col(t);
    barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll
    for (int j = 0; j < TN; j++)
        stage[ty * LDSTAGE + col_of(tx, j)] = acc[j];
    barrier(CLK_LOCAL_MEM_FENCE);
}
INLINE uint stage_ty(uint t, int j) { return (t + j * THREADS) / BN; }
INLINE uint stage_col(uint t, int j) { return (t + j * THREADS) % BN; }
INLINE float stage_value(const __local float *stage, uint t, int j)
{
    return stage[stage_ty(t, j) * LDSTAGE + stage_col(t, j)];
}

#endif
