/* im2col of one image, NCHW, with the input staged in shared memory as in MIOpen: 256 threads take TILE_H x
 * TILE_W output pixels of CHANNELS channels, first the inputs under them, then each thread the R x S column
 * elements of one pixel. The window under the tile must fit: WINDOW_FLOATS for all channels. */
#include "common/kernel.h"

#define THREADS 256
#define PER_CHANNEL (THREADS / CHANNELS)
#if TILE_H * TILE_W != PER_CHANNEL
#error "a thread has one pixel"
#endif

/* Grid: tiles of the image, channels of all groups, CHANNELS at a time. */
KERNEL(THREADS) im2col_staged(const __global float *restrict in, __global float *restrict columns,
                              const int n SHAPE_PARAMS)
{
    __local float windows[WINDOW_FLOATS];
    const int t = (int)get_local_id(0) % PER_CHANNEL, sub = (int)get_local_id(0) / PER_CHANNEL;
    const int tiles_w = (Q + TILE_W - 1) / TILE_W, tile = (int)get_group_id(0);
    const int p0 = tile / tiles_w * TILE_H, q0 = tile % tiles_w * TILE_W;
    const int c = (int)get_group_id(1) * CHANNELS + sub, channels = C * groups;
    const int window_h = (TILE_H - 1) * stride_h + (R - 1) * dilation_h + 1;
    const int window_w = (TILE_W - 1) * stride_w + (S - 1) * dilation_w + 1;
    const __global float *x = in + (n * channels + c) * H * W;
    __local float *window = windows + sub * window_h * window_w;

    for (int i = t; i < window_h * window_w; i += PER_CHANNEL) {
        const int h = p0 * stride_h - pad_top + i / window_w, w = q0 * stride_w - pad_left + i % window_w;
        window[i] = c < channels && INSIDE(h, H) && INSIDE(w, W) ? x[h * W + w] : 0.0f;
    }
    barrier(CLK_LOCAL_MEM_FENCE);

    const int p = p0 + t / TILE_W, q = q0 + t % TILE_W;
    const __local float *under = window + t / TILE_W * stride_h * window_w + t % TILE_W * stride_w;
    const bool live = c < channels && p < P && q < Q;
    for (int r = 0; r < R; r++)
        for (int s = 0; s < S; s++) {
            const float value = under[r * dilation_h * window_w + s * dilation_w];
            if (live)
                columns[(((c * R + r) * S + s) * P + p) * Q + q] = value;
        }
}
