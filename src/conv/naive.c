/* The definition of a convolution, in double precision: what the reference itself is checked against. */
#include "conv/conv.h"

static double one_output(const struct conv_problem *p, const float *x, const float *f, int h0,
                         int w0)
{
    const int channels = p->c / p->groups;
    double sum = 0;
    for (int c = 0; c < channels; c++)
        for (int r = 0; r < p->r; r++)
            for (int s = 0; s < p->s; s++) {
                const int h = h0 + r * p->dilation_h, w = w0 + s * p->dilation_w;
                if (h < 0 || h >= p->h || w < 0 || w >= p->w)
                    continue;
                sum +=
                    (double)x[((size_t)c * (size_t)p->h + (size_t)h) * (size_t)p->w + (size_t)w] *
                    (double)f[((size_t)c * (size_t)p->r + (size_t)r) * (size_t)p->s + (size_t)s];
            }
    return sum;
}

void conv_naive(const struct conv_problem *p, const float *input, const float *filter, double *out)
{
    const int out_h = conv_out_h(p), out_w = conv_out_w(p);
    const int channels = p->c / p->groups, filters = p->k / p->groups;
    const size_t plane = (size_t)p->h * (size_t)p->w;
    const size_t taps = (size_t)channels * (size_t)p->r * (size_t)p->s;
    for (int n = 0; n < p->n; n++)
        for (int k = 0; k < p->k; k++) {
            const size_t first = (size_t)n * (size_t)p->c + (size_t)(k / filters * channels);
            for (int i = 0; i < out_h; i++)
                for (int j = 0; j < out_w; j++)
                    *out++ =
                        one_output(p, input + first * plane, filter + (size_t)k * taps,
                                   i * p->stride_h - p->pad_top, j * p->stride_w - p->pad_left);
        }
}
