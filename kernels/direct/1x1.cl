/* Direct convolution with 1x1 filters, any stride, no padding: a thread computes PIXELS pixels of FILTERS
 * channels; 64 threads neighbouring pixels. Weights are the same for all threads of a group. */
#include "common/kernel.h"

KERNEL(64) direct_1x1(const __global float *restrict in, const __global float *restrict filter,
                      __global float *restrict out SHAPE_PARAMS)
{
    const int blocks = (K + FILTERS - 1) / FILTERS, n = (int)get_group_id(2);
    const int g = (int)get_group_id(1) / blocks, k0 = (int)get_group_id(1) % blocks * FILTERS;
    const int first = (int)get_group_id(0) * 64 * PIXELS + (int)get_local_id(0);
    const __global float *x = in + (n * groups + g) * C * H * W;
    const __global float *f = filter + (g * K + k0) * C;
    int at[PIXELS];
#pragma unroll
    for (int j = 0; j < PIXELS; j++) {
        const int pixel = first + j * 64;
        at[j] = pixel / Q * stride_h * W + pixel % Q * stride_w;
    }

    float acc[FILTERS][PIXELS] = {{0.0f}};
    for (int c = 0; c < C; c++) {
        float value[PIXELS];
#pragma unroll
        for (int j = 0; j < PIXELS; j++)
            value[j] = first + j * 64 < P * Q ? x[c * H * W + at[j]] : 0.0f;
#pragma unroll
        for (int i = 0; i < FILTERS; i++) {
            const float weight = k0 + i < K ? f[i * C + c] : 0.0f;
#pragma unroll
            for (int j = 0; j < PIXELS; j++)
                acc[i][j] = fma(value[j], weight, acc[i][j]);
        }
    }

#pragma unroll
    for (int i = 0; i < FILTERS; i++)
#pragma unroll
        for (int j = 0; j < PIXELS; j++)
            if (k0 + i < K && first + j * 64 < P * Q)
                out[((n * groups + g) * K + k0 + i) * P * Q + first + j * 64] = acc[i][j];
}
