/* The transform of a plane of SIZE x SIZE in shared memory by PER_PLANE threads: its rows, then the HALF
 * columns that are not mirror images of others, and back. */
#ifndef FFT_PLANE_H
#define FFT_PLANE_H

#include "fft/fft.h"

#define HALF (SIZE / 2 + 1)
#define BINS (SIZE * HALF)
#define LINE (SIZE + 1) /* padded: columns lie in different banks */

/* All rows of the plane, or its first n columns in the order of `permuted` frequencies. */
INLINE void transform_rows(__local float2 *plane, uint t, float sign)
{
    for (uint i = t; i < SIZE * N2; i += PER_PLANE)
        first_pass(plane + i / N2 * LINE, 1, i % N2, sign);
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint i = t; i < SIZE * N1; i += PER_PLANE)
        second_pass(plane + i / N1 * LINE, 1, i % N1, sign);
    barrier(CLK_LOCAL_MEM_FENCE);
}

INLINE void transform_columns(__local float2 *plane, uint t, bool permuted, float sign)
{
    for (uint i = t; i < HALF * N2; i += PER_PLANE) {
        const uint k = i % HALF;
        first_pass(plane + (permuted ? PLACE(k) : k), LINE, i / HALF, sign);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint i = t; i < HALF * N1; i += PER_PLANE) {
        const uint k = i % HALF;
        second_pass(plane + (permuted ? PLACE(k) : k), LINE, i / HALF, sign);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
}

#endif
