/* Real-to-complex transforms of planes of SIZE x SIZE in shared memory, and back: one plane per thread
 * group. Spectra are x[bin][channel][tile], f[bin][filter][channel], y[bin][filter][tile] with
 * SIZE * (SIZE / 2 + 1) bins; the product between them is gemm/gemm.cl. A map that is larger than a plane
 * is cut into tiles that overlap by the filter's size - 1 (overlap-save): each gives
 * SIZE - R + 1 rows and SIZE - S + 1 columns of outputs. Stride and dilation 1. */

#if SIZE == 16
#define THREADS 64
#elif SIZE == 32
#define THREADS 128
#else
#define THREADS 256
#endif
#define PER_PLANE THREADS
#include "fft/plane.h"

INLINE void forward(__local float2 *plane, uint t, __global float2 *to, int step)
{
    barrier(CLK_LOCAL_MEM_FENCE);
    transform_rows(plane, t, 1.0f);
    transform_columns(plane, t, true, 1.0f);
    for (uint i = t; i < BINS; i += THREADS)
        to[i * step] = plane[PLACE(i / HALF) * LINE + PLACE(i % HALF)];
}

/* Grid: tiles of all images, channels of all groups. */
KERNEL(THREADS) fft_input(const __global float *restrict in, __global float2 *restrict x,
                          const int tiles_h, const int tiles_w SHAPE_PARAMS)
{
    __local float2 plane[SIZE * LINE];
    const uint t = (uint)get_local_id(0);
    const int tile = (int)get_group_id(0), c = (int)get_group_id(1), tiles = N * tiles_h * tiles_w;
    const int n = tile / tiles_w / tiles_h, channels = C * groups;
    const int h0 = tile / tiles_w % tiles_h * (SIZE - R + 1) - pad_top;
    const int w0 = tile % tiles_w * (SIZE - S + 1) - pad_left;
    const __global float *from = in + (n * channels + c) * H * W;
    for (uint i = t; i < SIZE * SIZE; i += THREADS) {
        const int h = h0 + i / SIZE, w = w0 + i % SIZE;
        const float value = INSIDE(h, H) && INSIDE(w, W) ? from[h * W + w] : 0.0f;
        plane[i / SIZE * LINE + i % SIZE] = (float2)(value, 0.0f);
    }
    forward(plane, t, x + c * tiles + tile, channels * tiles);
}

/* The filter is reversed, so that a product of spectra is a correlation. Grid: channels of a group,
 * filters of all groups. */
KERNEL(THREADS) fft_filter(const __global float *restrict filter, __global float2 *restrict f SHAPE_PARAMS)
{
    __local float2 plane[SIZE * LINE];
    const uint t = (uint)get_local_id(0);
    const int c = (int)get_group_id(0), k = (int)get_group_id(1), filters = K * groups;
    const __global float *from = filter + (k * C + c) * R * S;
    for (uint i = t; i < SIZE * SIZE; i += THREADS) {
        const int r = R - 1 - (int)(i / SIZE), s = S - 1 - (int)(i % SIZE);
        const float value = r >= 0 && s >= 0 ? from[r * S + s] : 0.0f;
        plane[i / SIZE * LINE + i % SIZE] = (float2)(value, 0.0f);
    }
    forward(plane, t, f + k * C + c, filters * C);
}

/* Grid: tiles of all images, filters of all groups. */
KERNEL(THREADS) fft_output(const __global float2 *restrict y, __global float *restrict out,
                           const int tiles_h, const int tiles_w SHAPE_PARAMS)
{
    __local float2 plane[SIZE * LINE];
    const uint t = (uint)get_local_id(0);
    const int tile = (int)get_group_id(0), k = (int)get_group_id(1), tiles = N * tiles_h * tiles_w;
    const int n = tile / tiles_w / tiles_h, filters = K * groups;
    const int rows = SIZE - R + 1, columns = SIZE - S + 1;
    const int p0 = tile / tiles_w % tiles_h * rows, q0 = tile % tiles_w * columns;
    for (uint i = t; i < BINS; i += THREADS)
        plane[i / HALF * LINE + i % HALF] = y[(i * filters + k) * tiles + tile];
    barrier(CLK_LOCAL_MEM_FENCE);
    transform_columns(plane, t, false, -1.0f);
    /* Each row is now the spectrum of real numbers: its other half is the mirror image. */
    for (uint i = t; i < SIZE * (SIZE - HALF); i += THREADS) {
        const uint row = i / (SIZE - HALF), column = HALF + i % (SIZE - HALF);
        const float2 v = plane[row * LINE + SIZE - column];
        plane[row * LINE + column] = (float2)(v.x, -v.y);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    transform_rows(plane, t, -1.0f);
    for (uint i = t; i < SIZE * SIZE; i += THREADS) {
        const int dp = (int)(i / SIZE) - (R - 1), dq = (int)(i % SIZE) - (S - 1);
        const float value = plane[PLACE(i / SIZE) * LINE + PLACE(i % SIZE)].x * (1.0f / (SIZE * SIZE));
        if (dp >= 0 && dq >= 0 && p0 + dp < P && q0 + dq < Q)
            out[((n * filters + k) * P + p0 + dp) * Q + q0 + dq] = value;
    }
}
