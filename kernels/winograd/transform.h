/* Winograd's minimal filtering F(OUT, FILTER) in one dimension, applied along rows and columns.
 * Source: Lavin and Gray, arXiv 1509.09308; the 6-point transforms interpolate at 0, 1, -1, 2, -2 and
 * infinity, whichever way the 7 = OUT + FILTER are divided.
 * Each function reads elements `step` apart. TILE = OUT + FILTER - 1 points. */
#ifndef WINOGRAD_TRANSFORM_H
#define WINOGRAD_TRANSFORM_H

#include "common/kernel.h"

#define TILE (OUT + FILTER - 1)

/* TILE inputs -> TILE points, in place: B^T d. */
INLINE void input_1d(float *d, int step)
{
#if TILE == 4
    const float a = d[0], b = d[step], c = d[2 * step], e = d[3 * step];
    d[0] = a - c;
    d[step] = b + c;
    d[2 * step] = c - b;
    d[3 * step] = b - e;
#else
    const float d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step],
                d5 = d[5 * step];
    const float even = fma(-4.0f, d2, d4), odd = fma(-4.0f, d1, d3);
    const float even2 = d4 - d2, odd2 = 2.0f * (d3 - d1);
    d[0] = fma(4.0f, d0, fma(-5.0f, d2, d4));
    d[step] = even + odd;
    d[2 * step] = even - odd;
    d[3 * step] = even2 + odd2;
    d[4 * step] = even2 - odd2;
    d[5 * step] = fma(4.0f, d1, fma(-5.0f, d3, d5));
#endif
}

/* FILTER taps -> TILE points: G g. */
INLINE void filter_1d(const float *g, int from_step, float *u, int to_step)
{
#if FILTER == 3
    const float g0 = g[0], g1 = g[from_step], g2 = g[2 * from_step];
    const float even = g0 + g2, odd = g1;
#else
    const float g0 = g[0], g1 = g[from_step], g2 = g[2 * from_step], g3 = g[3 * from_step],
                g4 = g[4 * from_step];
    const float even = g0 + g2 + g4, odd = g1 + g3;
#endif
#if TILE == 4
    u[0] = g0;
    u[to_step] = 0.5f * (even + odd);
    u[2 * to_step] = 0.5f * (even - odd);
    u[3 * to_step] = g2;
#else
#if FILTER == 3
    const float even2 = fma(4.0f, g2, g0), odd2 = 2.0f * g1, last = g2;
#else
    const float even2 = fma(16.0f, g4, fma(4.0f, g2, g0)), odd2 = fma(8.0f, g3, 2.0f * g1),
                last = g4;
#endif
    u[0] = 0.25f * g0;
    u[to_step] = (-1.0f / 6) * (even + odd);
    u[2 * to_step] = (-1.0f / 6) * (even - odd);
    u[3 * to_step] = (1.0f / 24) * (even2 + odd2);
    u[4 * to_step] = (1.0f / 24) * (even2 - odd2);
    u[5 * to_step] = last;
#endif
}

/* TILE points -> OUT outputs: A^T m. */
INLINE void output_1d(const float *m, int from_step, float *y, int to_step)
{
#if TILE == 4
    const float sum = m[from_step] + m[2 * from_step], diff = m[from_step] - m[2 * from_step];
    y[0] = m[0] + sum;
    y[to_step] = diff - m[3 * from_step];
#else
    const float sum = m[from_step] + m[2 * from_step], diff = m[from_step] - m[2 * from_step];
    const float sum2 = m[3 * from_step] + m[4 * from_step];
    const float diff2 = m[3 * from_step] - m[4 * from_step];
    y[0] = m[0] + sum + sum2;
#if OUT == 2
    y[to_step] = fma(2.0f, diff2, diff) + m[5 * from_step];
#else
    y[to_step] = fma(2.0f, diff2, diff);
    y[2 * to_step] = fma(4.0f, sum2, sum);
    y[3 * to_step] = fma(8.0f, diff2, diff) + m[5 * from_step];
#endif
#endif
}

INLINE void input_2d(float d[TILE * TILE])
{
#pragma unroll
    for (int i = 0; i < TILE; i++)
        input_1d(d + i, TILE);
#pragma unroll
    for (int i = 0; i < TILE; i++)
        input_1d(d + i * TILE, 1);
}

INLINE void filter_2d(const float g[FILTER * FILTER], float u[TILE * TILE])
{
    float columns[TILE * FILTER];
#pragma unroll
    for (int i = 0; i < FILTER; i++)
        filter_1d(g + i, FILTER, columns + i, FILTER);
#pragma unroll
    for (int i = 0; i < TILE; i++)
        filter_1d(columns + i * FILTER, 1, u + i * TILE, 1);
}

INLINE void output_2d(const float m[TILE * TILE], float y[OUT * OUT])
{
    float columns[OUT * TILE];
#pragma unroll
    for (int i = 0; i < TILE; i++)
        output_1d(m + i, TILE, columns + i, TILE);
#pragma unroll
    for (int i = 0; i < OUT; i++)
        output_1d(columns + i * TILE, 1, y + i * OUT, 1);
}

#endif
