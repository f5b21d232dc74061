/* As plane.cl, for planes too large for shared memory: rows and columns in launches of their own, LINES
 * lines per thread group, through the intermediate rows[plane][row][frequency] with SIZE / 2 + 1
 * frequencies. One plane per map: no tiles. Planes are numbered like the spectra: channel or filter first,
 * image last. */
#include "fft/fft.h"

#define HALF (SIZE / 2 + 1)
#define LINES 4
#define THREADS (LINES * N1)
#define LINE (SIZE + 1)

/* A task of the second pass transforms N2 points, N1 of them a line; of the first, N2 a line. */
INLINE void transform(__local float2 *lines, uint t, float sign)
{
    barrier(CLK_LOCAL_MEM_FENCE);
    if (t < LINES * N2)
        first_pass(lines + t / N2 * LINE, 1, t % N2, sign);
    barrier(CLK_LOCAL_MEM_FENCE);
    second_pass(lines + t / N1 * LINE, 1, t % N1, sign);
    barrier(CLK_LOCAL_MEM_FENCE);
}

INLINE void write_rows(const __local float2 *lines, __global float2 *rows, int plane, int row0, uint t)
{
    for (uint i = t; i < LINES * HALF; i += THREADS)
        rows[(plane * SIZE + row0 + i / HALF) * HALF + i % HALF] = lines[i / HALF * LINE + PLACE(i % HALF)];
}

/* Grid: groups of rows, images, channels of all groups. */
KERNEL(THREADS) fft_input_rows(const __global float *restrict in, __global float2 *restrict rows SHAPE_PARAMS)
{
    __local float2 lines[LINES * LINE];
    const uint t = (uint)get_local_id(0);
    const int row0 = (int)get_group_id(0) * LINES, n = (int)get_group_id(1), c = (int)get_group_id(2);
    const __global float *from = in + (n * C * groups + c) * H * W;
    for (uint i = t; i < LINES * SIZE; i += THREADS) {
        const int h = row0 + (int)(i / SIZE) - pad_top, w = (int)(i % SIZE) - pad_left;
        const float value = INSIDE(h, H) && INSIDE(w, W) ? from[h * W + w] : 0.0f;
        lines[i / SIZE * LINE + i % SIZE] = (float2)(value, 0.0f);
    }
    transform(lines, t, 1.0f);
    write_rows(lines, rows, c * N + n, row0, t);
}

/* Grid: groups of rows, channels of a group, filters of all groups. */
KERNEL(THREADS) fft_filter_rows(const __global float *restrict filter, __global float2 *restrict rows SHAPE_PARAMS)
{
    __local float2 lines[LINES * LINE];
    const uint t = (uint)get_local_id(0);
    const int row0 = (int)get_group_id(0) * LINES, c = (int)get_group_id(1), k = (int)get_group_id(2);
    const __global float *from = filter + (k * C + c) * R * S;
    for (uint i = t; i < LINES * SIZE; i += THREADS) {
        const int r = R - 1 - row0 - (int)(i / SIZE), s = S - 1 - (int)(i % SIZE);
        const float value = r >= 0 && s >= 0 ? from[r * S + s] : 0.0f;
        lines[i / SIZE * LINE + i % SIZE] = (float2)(value, 0.0f);
    }
    transform(lines, t, 1.0f);
    write_rows(lines, rows, k * C + c, row0, t);
}

/* rows[plane][row][frequency] -> spectrum[bin][plane]. Grid: planes, groups of columns. */
KERNEL(THREADS) fft_columns(const __global float2 *restrict rows, __global float2 *restrict spectrum,
                            const int planes)
{
    __local float2 lines[LINES * LINE];
    const uint t = (uint)get_local_id(0);
    const int plane = (int)get_group_id(0), column0 = (int)get_group_id(1) * LINES;
    for (uint i = t; i < LINES * SIZE; i += THREADS) {
        const int column = column0 + i % LINES;
        lines[i % LINES * LINE + i / LINES] =
            column < HALF ? rows[(plane * SIZE + (int)(i / LINES)) * HALF + column] : (float2)0.0f;
    }
    transform(lines, t, 1.0f);
    for (uint i = t; i < LINES * SIZE; i += THREADS) {
        const int column = column0 + i % LINES, k = i / LINES;
        if (column < HALF)
            spectrum[(k * HALF + column) * planes + plane] = lines[i % LINES * LINE + PLACE(k)];
    }
}

/* The way back. */
KERNEL(THREADS) fft_inverse_columns(const __global float2 *restrict spectrum,
                                    __global float2 *restrict rows, const int planes)
{
    __local float2 lines[LINES * LINE];
    const uint t = (uint)get_local_id(0);
    const int plane = (int)get_group_id(0), column0 = (int)get_group_id(1) * LINES;
    for (uint i = t; i < LINES * SIZE; i += THREADS) {
        const int column = column0 + i % LINES, k = i / LINES;
        lines[i % LINES * LINE + k] =
            column < HALF ? spectrum[(k * HALF + column) * planes + plane] : (float2)0.0f;
    }
    transform(lines, t, -1.0f);
    for (uint i = t; i < LINES * SIZE; i += THREADS) {
        const int column = column0 + i % LINES, row = i / LINES;
        if (column < HALF)
            rows[(plane * SIZE + row) * HALF + column] = lines[i % LINES * LINE + PLACE(row)];
    }
}

/* Grid: groups of rows, images, filters of all groups. */
KERNEL(THREADS) fft_output_rows(const __global float2 *restrict rows, __global float *restrict out SHAPE_PARAMS)
{
    __local float2 lines[LINES * LINE];
    const uint t = (uint)get_local_id(0);
    const int row0 = (int)get_group_id(0) * LINES, n = (int)get_group_id(1), k = (int)get_group_id(2);
    const int plane = k * N + n;
    /* The spectrum of real numbers: the upper half mirrors the lower. */
    for (uint i = t; i < LINES * SIZE; i += THREADS) {
        const int row = row0 + i / SIZE, f = i % SIZE, from = f < HALF ? f : SIZE - f;
        const float2 v = rows[(plane * SIZE + row) * HALF + from];
        lines[i / SIZE * LINE + f] = (float2)(v.x, f < HALF ? v.y : -v.y);
    }
    transform(lines, t, -1.0f);
    for (uint i = t; i < LINES * SIZE; i += THREADS) {
        const int p = row0 + (int)(i / SIZE) - (R - 1), q = (int)(i % SIZE) - (S - 1);
        const float value = lines[i / SIZE * LINE + PLACE(i % SIZE)].x * (1.0f / (SIZE * SIZE));
        if (p >= 0 && q >= 0 && p < P && q < Q)
            out[((n * K * groups + k) * P + p) * Q + q] = value;
    }
}
