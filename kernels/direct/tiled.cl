/* Tiled direct convolution: square odd filters, stride 1 or 2, no dilation. A thread group computes
 * EDGE x EDGE pixels of 8 channels: a thread PIXELS x PIXELS of them for all 8. The inputs under the
 * tile and the filters, of 2 channels at a time, are staged in shared memory; a thread goes through the
 * filter row by row with a strip of input in registers. */
#include "common/kernel.h"

#define FILTERS 8
#define SPAN (EDGE / PIXELS)
#define THREADS (SPAN * SPAN)
#define WINDOW ((EDGE - 1) * STRIDE + FILTER)       /* inputs under the tile, each way */
#define STRIP ((PIXELS - 1) * STRIDE + FILTER)      /* inputs under a thread's pixels */
#define FILTER_FLOATS (FILTERS * FILTER * FILTER)
/* Channels at a time: one where two do not fit into 48 KB. */
#define STAGED (2 * (WINDOW * WINDOW + FILTER_FLOATS) > 12288 ? 1 : 2)

INLINE void stage_window(const struct shape *p, const __global float *x, int h0, int w0, bool live,
                         uint t, __local float *to)
{
#pragma unroll 1
    for (uint i = t; i < WINDOW * WINDOW; i += THREADS) {
        const int h = h0 + i / WINDOW, w = w0 + i % WINDOW;
        to[i] = live && INSIDE(h, p->H) && INSIDE(w, p->W) ? x[h * p->W + w] : 0.0f;
    }
}

/* to[filter row][filter column][filter]: the 8 filters of one tap lie together. */
INLINE void stage_filters(const struct shape *p, const __global float *filter, int k0, int c, uint t,
                          __local float *to)
{
#pragma unroll 1
    for (uint i = t; i < FILTER_FLOATS; i += THREADS) {
        const int k = k0 + i % FILTERS;
        to[i] = k < p->K && c < p->C
                    ? filter[(k * p->C + c) * FILTER * FILTER + (int)(i / FILTERS)] : 0.0f;
    }
}

/* One row of the filter, for all pixels and filters of a thread. */
INLINE void multiply_row(const __local float *window, const __local float *taps, int r,
                         float acc[FILTERS][PIXELS][PIXELS])
{
#pragma unroll
    for (int i = 0; i < PIXELS; i++) {
        float strip[STRIP];
#pragma unroll
        for (int j = 0; j < STRIP; j++)
            strip[j] = window[(i * STRIDE + r) * WINDOW + j];
#pragma unroll
        for (int s = 0; s < FILTER; s++)
#pragma unroll
            for (int k = 0; k < FILTERS; k++) {
                const float tap = taps[(r * FILTER + s) * FILTERS + k];
#pragma unroll
                for (int j = 0; j < PIXELS; j++)
                    acc[k][i][j] = fma(strip[j * STRIDE + s], tap, acc[k][i][j]);
            }
    }
}

/* Grid: tiles of an image, blocks of 8 filters of each group, images. */
KERNEL(THREADS) direct_tiled(const __global float *restrict in, const __global float *restrict filter,
                             __global float *restrict out SHAPE_PARAMS)
{
    __local float window[STAGED][WINDOW * WINDOW];
    __local float taps[STAGED][FILTER_FLOATS] __attribute__((aligned(16)));
    const struct shape shape = SHAPE_VALUE;
    const uint t = (uint)get_local_id(0);
    const int tiles_w = (Q + EDGE - 1) / EDGE, blocks = (K + FILTERS - 1) / FILTERS;
    const int tile = (int)get_group_id(0), n = (int)get_group_id(2);
    const int g = (int)get_group_id(1) / blocks, k0 = (int)get_group_id(1) % blocks * FILTERS;
    const int p0 = tile / tiles_w * EDGE, q0 = tile % tiles_w * EDGE;
    const int dp = t / SPAN * PIXELS, dq = t % SPAN * PIXELS;
    const __global float *x = in + (n * groups + g) * C * H * W;
    const __global float *f = filter + g * K * C * FILTER * FILTER;

    float acc[FILTERS][PIXELS][PIXELS] = {{{0.0f}}};
    for (int c0 = 0; c0 < C; c0 += STAGED) {
#pragma unroll
        for (int c = 0; c < STAGED; c++) {
            stage_window(&shape, x + (c0 + c) * H * W, p0 * STRIDE - pad_top, q0 * STRIDE - pad_left,
                         c0 + c < C, t, window[c]);
            stage_filters(&shape, f, k0, c0 + c, t, taps[c]);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll 1
        for (int c = 0; c < STAGED; c++)
#pragma unroll 1
            for (int r = 0; r < FILTER; r++)
                multiply_row(&window[c][dp * STRIDE * WINDOW + dq * STRIDE], taps[c], r, acc);
        barrier(CLK_LOCAL_MEM_FENCE);
    }

#pragma unroll
    for (int k = 0; k < FILTERS; k++)
#pragma unroll
        for (int i = 0; i < PIXELS * PIXELS; i++) {
            const int p = p0 + dp + i / PIXELS, q = q0 + dq + i % PIXELS;
            if (k0 + k < K && p < P && q < Q)
                out[(((n * groups + g) * K + k0 + k) * P + p) * Q + q] = acc[k][i / PIXELS][i % PIXELS];
        }
}
