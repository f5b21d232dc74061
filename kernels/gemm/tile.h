/* The product of two tiles in shared memory, accumulated in registers: the core of every GEMM-like
 * kernel. Tile sizes: common/tiles.def.
 *
 * A thread group of THREADS threads goes through the inner dimension BK at a time. Each thread fetches
 * A_LOADS elements of the A tile (BM x BK, inner dimension fastest in memory) and B_LOADS of the B tile
 * (BK x BN, columns fastest, or with B_INNER_FASTEST the inner dimension too) into registers, stores them
 * in one of two buffers, and after a barrier multiplies from it while the fetch for the other buffer is
 * under way.
 * Elements are floats, or with COMPLEX pairs of them. */
#ifndef GEMM_TILE_H
#define GEMM_TILE_H

#include "common/kernel.h"

#ifdef COMPLEX
#define ELEM float2
#else
#define ELEM float
#endif
#define ZERO ((ELEM)0.0f)

#define THREADS ((BM / TM) * (BN / TN))
#if BM * BK % THREADS || BN * BK % THREADS || THREADS % BK
#error "every thread fetches as many elements of each tile"
#endif
#if !defined B_INNER_FASTEST && ((BN > THREADS && BN % THREADS) || (BN < THREADS && THREADS % BN))
#error "every thread fetches as many elements of each tile"
#endif
#define LDA (BM + 4) /* padded: the transposing stores hit fewer banks, vectors stay aligned */
#ifdef B_INNER_FASTEST
#define LDB (BN + 4)
#else
#define LDB BN
#endif
#define A_LOADS (BM * BK / THREADS)
#define B_LOADS (BN * BK / THREADS)
#define B_COLS (BN > THREADS ? BN / THREADS : 1) /* different columns that one thread fetches */

/* Shared memory: two buffers of an A and a B tile; afterwards the stage of the epilogue. */
#define A_ELEMS (BK * LDA)
#define B_ELEMS (BK * LDB)
#define TILE_ELEMS (2 * (A_ELEMS + B_ELEMS))
#define LDSTAGE (BN + 4)
#define STAGE_ELEMS (BM / TM * LDSTAGE)
#define SHARED_ELEMS (TILE_ELEMS > STAGE_ELEMS ? TILE_ELEMS : STAGE_ELEMS)

/* The place of fetch i in the tile. */
INLINE uint a_row(uint t, int i) { return t / BK + i * (THREADS / BK); }
INLINE uint a_inner(uint t) { return t % BK; }
#ifdef B_INNER_FASTEST
INLINE uint b_col(uint t, int i) { return t / BK + i * (THREADS / BK); }
INLINE uint b_inner(uint t, int i) { return t % BK; }
#else
INLINE uint b_col(uint t, int i) { return BN > THREADS ? t + i % B_COLS * THREADS : t % BN; }
INLINE uint b_inner(uint t, int i)
{
    return BN > THREADS ? i / B_COLS : t / BN + i * (THREADS / BN);
}
#endif

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

INLINE void tile_store(__local ELEM *a, __local ELEM *b, uint t, const ELEM *ra, const ELEM *rb)
{
#pragma unroll
    for (int i = 0; i < A_LOADS; i++)
        a[a_inner(t) * LDA + a_row(t, i)] = ra[i];
#pragma unroll
    for (int i = 0; i < B_LOADS; i++)
        b[b_inner(t, i) * LDB + b_col(t, i)] = rb[i];
}

/* n elements, aligned to their size: vector loads of up to 16 bytes. */
INLINE void load_vector(ELEM *to, const __local ELEM *from, int n)
{
#ifdef COMPLEX
#pragma unroll
    for (int i = 0; i < n; i += 2) {
        const float4 v = *(const __local float4 *)(from + i);
        to[i] = v.lo, to[i + 1] = v.hi;
    }
#else
    if (n == 4) {
        const float4 v = *(const __local float4 *)from;
        to[0] = v.s0, to[1] = v.s1, to[2] = v.s2, to[3] = v.s3;
    } else if (n == 2) {
        const float2 v = *(const __local float2 *)from;
        to[0] = v.s0, to[1] = v.s1;
    } else {
        to[0] = from[0];
    }
#endif
}

INLINE ELEM multiply_add(ELEM x, ELEM y, ELEM sum)
{
#ifdef COMPLEX
    return (ELEM)(fma(-x.y, y.y, fma(x.x, y.x, sum.x)), fma(x.y, y.x, fma(x.x, y.y, sum.y)));
#else
    return fma(x, y, sum);
#endif
}

INLINE void tile_multiply(const __local ELEM *a, const __local ELEM *b, uint t, ELEM acc[TM][TN])
{
    const uint ty = thread_row(t), tx = thread_col(t);
#pragma unroll
    for (int k = 0; k < BK; k++) {
        ELEM x[TM], y[TN];
#pragma unroll
        for (int i = 0; i < TM; i += SUBM)
            load_vector(x + i, a + k * LDA + row_of(ty, i), SUBM);
#pragma unroll
        for (int j = 0; j < TN; j += SUBN)
            load_vector(y + j, b + k * LDB + col_of(tx, j), SUBN);
#pragma unroll
        for (int i = 0; i < TM; i++)
#pragma unroll
            for (int j = 0; j < TN; j++)
                acc[i][j] = multiply_add(x[i], y[j], acc[i][j]);
    }
}

/* The epilogue as in the libraries: accumulators pass through shared memory, one row of each thread at
 * a time, so that consecutive threads store consecutive columns. After stage_rows, element j of thread
 * t is stage_value, in row row_of(stage_ty, i) and column stage_col of the tile. */
INLINE void stage_rows(__local ELEM *stage, uint t, const ELEM acc[TN])
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
INLINE ELEM stage_value(const __local ELEM *stage, uint t, int j)
{
    return stage[stage_ty(t, j) * LDSTAGE + stage_col(t, j)];
}

#endif
