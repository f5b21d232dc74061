/* Depthwise convolution: one input channel per group. 128 threads compute 8 x 8 pixels of 16 channels, 2
 * channels at a time: warps 0 and 1 the even ones, 2 and 3 the odd. The input under the tile passes
 * through shared memory; filters are read where they are needed. Filters FILTER x FILTER, stride 1 or 2. */
#include "common/kernel.h"

#define EDGE 8
#define CHANNELS 16
#define ROWS (CHANNELS / 2)
#define WINDOW ((EDGE - 1) * STRIDE + FILTER)

/* Grid: tiles of an image, blocks of 16 output channels, images. */
KERNEL(128) direct_depthwise(const __global float *restrict in, const __global float *restrict filter,
                             __global float *restrict out SHAPE_PARAMS)
{
    __local float windows[2][2][WINDOW * WINDOW];
    const uint t = (uint)get_local_id(0) % 64, half_of = (uint)get_local_id(0) / 64;
    const int tiles_w = (Q + EDGE - 1) / EDGE, tile = (int)get_group_id(0), n = (int)get_group_id(2);
    const int p0 = tile / tiles_w * EDGE, q0 = tile % tiles_w * EDGE, filters = groups * K;
    const int p = p0 + t / EDGE, q = q0 + t % EDGE;

    for (int i = 0; i < ROWS; i++) {
        __local float *window = windows[i % 2][half_of]; /* two buffers: one barrier per step */
        const int k = (int)get_group_id(1) * CHANNELS + 2 * i + half_of;
        const __global float *x = in + (n * groups + k / K) * H * W;
        for (uint j = t; j < WINDOW * WINDOW; j += 64) {
            const int h = p0 * STRIDE - pad_top + j / WINDOW, w = q0 * STRIDE - pad_left + j % WINDOW;
            window[j] = k < filters && INSIDE(h, H) && INSIDE(w, W) ? x[h * W + w] : 0.0f;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        const __local float *under = window + t / EDGE * STRIDE * WINDOW + t % EDGE * STRIDE;
        float acc = 0.0f;
#pragma unroll
        for (int j = 0; j < FILTER * FILTER; j++) {
            const float tap = k < filters ? filter[k * FILTER * FILTER + j] : 0.0f;
            acc = fma(under[j / FILTER * WINDOW + j % FILTER], tap, acc);
        }
        if (k < filters && p < P && q < Q)
            out[((n * filters + k) * P + p) * Q + q] = acc;
    }
}
