/* The virtual column matrix of a convolution. NCHW: a column per output pixel of all images, a row per
 * (channel, filter row, filter column); the product is filters x pixels. NHWC: transposed, with the
 * channel fastest in the inner dimension; the product is pixels x filters. */
#ifndef GEMM_COLUMNS_H
#define GEMM_COLUMNS_H

#ifdef NHWC
#define B_INNER_FASTEST
#endif
#include "gemm/tile.h"

/* Which of the tiles has the pixels, and which the filters: what thread t fetches of it. */
#ifdef NHWC
#define PIXELS_IN(a, b) (a)
#define FILTERS_IN(a, b) (b)
#define ROWS_FROM(filter0, pixel0) (pixel0)
#define COLS_FROM(filter0, pixel0) (filter0)
#define PIXEL_TILE BM
#define PIXEL_LOADS A_LOADS
#define PIXELS A_LOADS /* different ones that a thread fetches: the same in every step */
#define FILTER_TILE BN
#define FILTER_LOADS B_LOADS
INLINE uint pixel_of(uint t, int i) { return a_row(t, i); }
INLINE uint pixel_inner(uint t, int i) { return a_inner(t); }
INLINE uint filter_of(uint t, int i) { return b_col(t, i); }
INLINE uint filter_inner(uint t) { return b_inner(t, 0); }
#else
#define PIXELS_IN(a, b) (b)
#define FILTERS_IN(a, b) (a)
#define ROWS_FROM(filter0, pixel0) (filter0)
#define COLS_FROM(filter0, pixel0) (pixel0)
#define PIXEL_TILE BN
#define PIXEL_LOADS B_LOADS
#define PIXELS B_COLS
#define FILTER_TILE BM
#define FILTER_LOADS A_LOADS
INLINE uint pixel_of(uint t, int i) { return b_col(t, i); }
INLINE uint pixel_inner(uint t, int i) { return b_inner(t, i); }
INLINE uint filter_of(uint t, int i) { return a_row(t, i); }
INLINE uint filter_inner(uint t) { return a_inner(t); }
#endif

/* The output pixel that a column (NHWC: a row) of the product stands for. With IMAGES_OF_A_THREAD, the 8
 * columns of a thread are 8 images of one pixel, as in MIOpen's v4r1: two sub-tiles of 4, half the tile
 * apart. N is then a multiple of 8. */
struct place {
    uint n, pixel;
};
INLINE struct place place(const struct shape *p, uint col)
{
    const uint pixels = p->P * p->Q;
#ifdef IMAGES_OF_A_THREAD
    const uint in_tile = col % BN, b = col / BN * (BN / 8) + in_tile % (BN / 2) / 4;
    const uint n0 = b / pixels, n1 = in_tile / (BN / 2), n2 = in_tile % 4;
    const struct place at = {(n0 * 2 + n1) * 4 + n2, b - n0 * pixels};
#else
    const uint n = col / pixels;
    const struct place at = {n, col - n * pixels};
#endif
    return at;
}

struct column { /* the first input pixel under the filter, and where its image's group begins */
    int h, w, base;
    bool live;
};
INLINE struct column column(const struct shape *p, int g, uint col)
{
    const struct place at = place(p, col);
    const struct column c = {(int)(at.pixel / p->Q) * p->stride_h - p->pad_top,
                             (int)(at.pixel % p->Q) * p->stride_w - p->pad_left,
                             IN_AT(p, (int)at.n, g, 0, 0, 0), (int)at.n < p->N};
    return c;
}

/* What an inner index stands for. */
struct tap {
    uint c, r, s;
    bool live;
};
INLINE struct tap tap(const struct shape *p, uint k)
{
#ifdef NHWC
    const uint pixel = k / p->C, r = pixel / p->S;
    const struct tap t = {k - pixel * p->C, r, pixel - r * p->S, INSIDE(r, p->R)};
#else
    const uint window = p->R * p->S, c = k / window, in_window = k - c * window,
               r = in_window / p->S;
    const struct tap t = {c, r, in_window - r * p->S, INSIDE(c, p->C)};
#endif
    return t;
}

/* This thread's part of the filter's tile: the inner dimension is contiguous in memory. */
INLINE void fetch_filter(const __global float *filter, int filters, int inner, int filter0, int k0,
                         uint t, float *to)
{
#pragma unroll
    for (int i = 0; i < FILTER_LOADS; i++) {
        const int m = filter0 + filter_of(t, i), k = k0 + filter_inner(t);
        to[i] = m < filters && k < inner ? filter[m * inner + k] : 0.0f;
    }
}

/* Element (row, column) of the product, if it has one. */
INLINE void put(const struct shape *p, __global float *out, int g, uint row, uint col, float value)
{
#ifdef NHWC
    const uint pixels = p->N * p->P * p->Q;
    if (row < pixels && (int)col < p->K)
        out[OUT_AT(p, 0, g, (int)col, 0, (int)row)] = value;
#else
    const struct place at = place(p, col);
    if ((int)row < p->K && (int)at.n < p->N)
        out[OUT_AT(p, (int)at.n, g, (int)row, 0, 0) + (int)at.pixel] = value;
#endif
}

#endif
