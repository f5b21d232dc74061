/* Transforms as in MIOpen's kernels: planes of 12, 18 or 32 squared that hold a whole padded map, PLANES of
 * them per thread group. A plane's spectrum is written as one piece, spectrum[plane][bin]; launches of their
 * own transpose it to [bin][plane], as the matrix products need it, and back. Only 12 squared are written
 * transposed at once. Planes are numbered channel or filter first, image last. Stride and dilation 1. */
#define PER_PLANE (THREADS / PLANES)
#include "fft/plane.h"

struct mine { /* what this thread works on */
    uint t;   /* in its plane */
    int sub, plane;
};
INLINE struct mine mine(void)
{
    const uint t = (uint)get_local_id(0);
    const struct mine m = {t % PER_PLANE, (int)(t / PER_PLANE),
                           (int)get_group_id(0) * PLANES + (int)(t / PER_PLANE)};
    return m;
}

INLINE void forward(__local float2 *plane, struct mine m, __global float2 *spectrum, int planes)
{
    barrier(CLK_LOCAL_MEM_FENCE);
    transform_rows(plane, m.t, 1.0f);
    transform_columns(plane, m.t, true, 1.0f);
    for (int i = (int)m.t; i < BINS; i += PER_PLANE) {
        const float2 value = plane[PLACE(i / HALF) * LINE + PLACE(i % HALF)];
        if (m.plane < planes)
            spectrum[SIZE == 12 ? i * planes + m.plane : m.plane * BINS + i] = value;
    }
}

KERNEL(THREADS) fft_input(const __global float *restrict in, __global float2 *restrict x SHAPE_PARAMS)
{
    __local float2 shared[PLANES * SIZE * LINE];
    const struct mine m = mine();
    __local float2 *plane = shared + m.sub * SIZE * LINE;
    const int channels = C * groups, c = m.plane / N, n = m.plane % N;
    const __global float *from = in + (n * channels + c) * H * W;
    for (int i = (int)m.t; i < SIZE * SIZE; i += PER_PLANE) {
        const int h = i / SIZE - pad_top, w = i % SIZE - pad_left;
        const bool inside = c < channels && INSIDE(h, H) && INSIDE(w, W);
        plane[i / SIZE * LINE + i % SIZE] = (float2)(inside ? from[h * W + w] : 0.0f, 0.0f);
    }
    forward(plane, m, x, N * channels);
}

/* The filter is reversed, so that a product of spectra is a correlation. */
KERNEL(THREADS) fft_filter(const __global float *restrict filter, __global float2 *restrict f SHAPE_PARAMS)
{
    __local float2 shared[PLANES * SIZE * LINE];
    const struct mine m = mine();
    __local float2 *plane = shared + m.sub * SIZE * LINE;
    const int planes = K * groups * C;
    const __global float *from = filter + m.plane * R * S;
    for (int i = (int)m.t; i < SIZE * SIZE; i += PER_PLANE) {
        const int r = R - 1 - i / SIZE, s = S - 1 - i % SIZE;
        const bool inside = m.plane < planes && r >= 0 && s >= 0;
        plane[i / SIZE * LINE + i % SIZE] = (float2)(inside ? from[r * S + s] : 0.0f, 0.0f);
    }
    forward(plane, m, f, planes);
}

KERNEL(THREADS) fft_output(const __global float2 *restrict y, __global float *restrict out SHAPE_PARAMS)
{
    __local float2 shared[PLANES * SIZE * LINE];
    const struct mine m = mine();
    __local float2 *plane = shared + m.sub * SIZE * LINE;
    const int filters = K * groups, k = m.plane / N, n = m.plane % N;
    for (int i = (int)m.t; i < BINS; i += PER_PLANE)
        plane[i / HALF * LINE + i % HALF] = k < filters ? y[m.plane * BINS + i] : (float2)0.0f;
    barrier(CLK_LOCAL_MEM_FENCE);
    transform_columns(plane, m.t, false, -1.0f);
    /* Each row is now the spectrum of real numbers: its other half is the mirror image. */
    for (int i = (int)m.t; i < SIZE * (SIZE - HALF); i += PER_PLANE) {
        const int row = i / (SIZE - HALF), column = HALF + i % (SIZE - HALF);
        const float2 v = plane[row * LINE + SIZE - column];
        plane[row * LINE + column] = (float2)(v.x, -v.y);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    transform_rows(plane, m.t, -1.0f);
    for (int i = (int)m.t; i < SIZE * SIZE; i += PER_PLANE) {
        const int p = i / SIZE - (R - 1), q = i % SIZE - (S - 1);
        const float value = plane[PLACE(i / SIZE) * LINE + PLACE(i % SIZE)].x * (1.0f / (SIZE * SIZE));
        if (k < filters && p >= 0 && q >= 0 && p < P && q < Q)
            out[((n * filters + k) * P + p) * Q + q] = value;
    }
}

/* A matrix of rows x columns, transposed: 16 x 16 elements per thread group. Grid: blocks of rows, of
 * columns. */
KERNEL(256) fft_transpose(const __global float2 *restrict from, __global float2 *restrict to,
                          const int rows, const int columns)
{
    __local float2 block[16][17];
    const int tx = (int)get_local_id(0) % 16, ty = (int)get_local_id(0) / 16;
    const int row0 = (int)get_group_id(0) * 16, column0 = (int)get_group_id(1) * 16;
    const bool reads = row0 + ty < rows && column0 + tx < columns;
    block[ty][tx] = reads ? from[(row0 + ty) * columns + column0 + tx] : (float2)0.0f;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (row0 + tx < rows && column0 + ty < columns)
        to[(column0 + ty) * rows + row0 + tx] = block[tx][ty];
}
