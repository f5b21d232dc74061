/* Direct convolution, one output at a time: the naive kernel of the libraries. Any shape.
 * A thread group of BLOCK threads computes, NCHW: a map, one channel of an image; NHWC: a row of pixels of
 * all filters of a group. Its threads take the outputs in memory order, each every BLOCK-th. */
#include "common/kernel.h"

INLINE float one_output(const struct shape *s, const __global float *in, const __global float *f, int n,
                        int g, int p, int q)
{
    const int h0 = p * s->stride_h - s->pad_top, w0 = q * s->stride_w - s->pad_left;
    float acc = 0.0f;
    for (int c = 0; c < s->C; c++)
        for (int r = 0; r < s->R; r++)
            for (int w_tap = 0; w_tap < s->S; w_tap++) {
                const int h = h0 + r * s->dilation_h, w = w0 + w_tap * s->dilation_w;
                const bool inside = INSIDE(h, s->H) && INSIDE(w, s->W);
                const float value = inside ? in[IN_AT(s, n, g, c, h, w)] : 0.0f;
                acc = fma(value, f[FILTER_AT(s, c, r, w_tap)], acc);
            }
    return acc;
}

KERNEL(BLOCK) direct(const __global float *restrict in, const __global float *restrict filter,
                     __global float *restrict out SHAPE_PARAMS)
{
    const struct shape s = SHAPE_VALUE;
    const int t = (int)get_local_id(0), group = (int)get_group_id(0);
#ifdef NHWC
    const int p = group % P, g = group / P % groups, n = group / P / groups;
    for (int i = t; i < Q * K; i += BLOCK) {
        const int q = i / K, k = i % K;
#else
    const int k = group % (K * groups) % K, g = group % (K * groups) / K, n = group / (K * groups);
    for (int i = t; i < P * Q; i += BLOCK) {
        const int p = i / Q, q = i % Q;
#endif
        const __global float *f = filter + (g * K + k) * C * R * S;
        out[OUT_AT(&s, n, g, k, p, q)] = one_output(&s, in, f, n, g, p, q);
    }
}
