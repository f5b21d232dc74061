/* The virtual column matrix of a convolution: a column per output pixel of all images, a row per
 * (channel, filter row, filter column). */
#ifndef GEMM_COLUMNS_H
#define GEMM_COLUMNS_H

#include "gemm/tile.h"

struct column { /* the first input pixel under the filter, and where its image begins */
    int h, w, base;
    bool live;
};

INLINE struct column column(const struct shape *p, int g, uint col)
{
    const uint pixels = p->P * p->Q, n = col / pixels, pixel = col % pixels;
    const struct column c = {(int)(pixel / p->Q) * p->stride_h - p->pad_top,
                             (int)(pixel % p->Q) * p->stride_w - p->pad_left,
                             ((int)n * p->groups + g) * p->C * p->H * p->W, col < p->N * pixels};
    return c;
}

/* This thread's part of the filter's tile: rows are filters, the inner dimension is contiguous. */
INLINE void fetch_filter(const __global float *filter, int rows, int inner, int row0, int k0, uint t,
                         float *ra)
{
#pragma unroll
    for (int i = 0; i < A_LOADS; i++) {
        const int row = row0 + a_row(t, i), k = k0 + a_inner(t);
        ra[i] = row < rows && k < inner ? filter[row * inner + k] : 0.0f;
    }
}

#endif
