/* Direct convolution, one thread per output: the naive kernel of the libraries. Any shape. BLOCK
 * threads compute consecutive pixels of one channel of one image. */
#include "common/kernel.h"

KERNEL(BLOCK) direct(const __global float *restrict in, const __global float *restrict filter,
                     __global float *restrict out SHAPE_PARAMS)
{
    const int pixel = (int)get_group_id(0) * BLOCK + (int)get_local_id(0);
    const int k = (int)get_group_id(1), n = (int)get_group_id(2);
    const bool live = pixel < P * Q;
    const int h0 = pixel / Q * stride_h - pad_top;
    const int w0 = pixel % Q * stride_w - pad_left;
    const __global float *x = in + (n * groups + k / K) * C * H * W;
    const __global float *f = filter + k * C * R * S;

    float acc = 0.0f;
    for (int c = 0; c < C; c++)
        for (int r = 0; r < R; r++)
            for (int s = 0; s < S; s++) {
                const int h = h0 + r * dilation_h, w = w0 + s * dilation_w;
                const bool inside = live && INSIDE(h, H) && INSIDE(w, W);
                const float value = inside ? x[(c * H + h) * W + w] : 0.0f;
                acc = fma(value, f[(c * R + r) * S + s], acc);
            }
    if (live)
        out[(n * groups * K + k) * P * Q + pixel] = acc;
}
