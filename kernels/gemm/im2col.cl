/* im2col of one image. A thread writes one element. NCHW: a row per (channel, filter row, filter column), a
 * column per output pixel. NHWC: for each group, a row per output pixel, a column per (filter row, filter
 * column, channel). */
#include "common/kernel.h"

KERNEL(BLOCK) im2col(const __global float *restrict in, __global float *restrict columns,
                     const int n SHAPE_PARAMS)
{
    const struct shape p = SHAPE_VALUE;
    const int i = (int)get_group_id(0) * BLOCK + (int)get_local_id(0);
#ifdef NHWC
    const int g = (int)get_group_id(1), inner = C * R * S, pixel = i / inner, tap = i % inner / C;
    const int c = i % C, r = tap / S, s = tap % S, to = g * P * Q * inner + i;
#else
    const int row = (int)get_group_id(1), g = 0, pixel = i;
    const int c = row / (R * S), r = row % (R * S) / S, s = row % (R * S) % S, to = row * P * Q + pixel;
#endif
    const int h = pixel / Q * stride_h - pad_top + r * dilation_h;
    const int w = pixel % Q * stride_w - pad_left + s * dilation_w;
    const bool live = pixel < P * Q;
    const float value = live && INSIDE(h, H) && INSIDE(w, W) ? in[IN_AT(&p, n, g, c, h, w)] : 0.0f;
    if (live)
        columns[to] = value;
}
