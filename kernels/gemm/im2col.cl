/* im2col of one image, NCHW: a row per (channel, filter row, filter column), a column per output pixel.
 * A thread writes one element. */
#include "common/kernel.h"

KERNEL(BLOCK) im2col(const __global float *restrict in, __global float *restrict columns,
                     const int n SHAPE_PARAMS)
{
    const int pixel = (int)get_group_id(0) * BLOCK + (int)get_local_id(0);
    const int row = (int)get_group_id(1);
    const int c = row / (R * S), r = row % (R * S) / S, s = row % (R * S) % S;
    const int h = pixel / Q * stride_h - pad_top + r * dilation_h;
    const int w = pixel % Q * stride_w - pad_left + s * dilation_w;
    const bool live = pixel < P * Q;
    const __global float *x = in + (n * groups * C + c) * H * W;
    const float value = live && INSIDE(h, H) && INSIDE(w, W) ? x[h * W + w] : 0.0f;
    if (live)
        columns[row * P * Q + pixel] = value;
}
