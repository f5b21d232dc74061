/* Winograd's minimal filtering F(OUT, FILTER) in one dimension, applied along rows and columns.
 * Source: Lavin and Gray, arXiv 1509.09308. The TILE = OUT + FILTER - 1 points of interpolation are 0, the
 * pairs 1 and -1, 2 and -2, 1/2 and -1/2 (as many as fit), SINGLE where TILE is odd, and infinity: small
 * magnitudes with few digits, since their powers are what costs accuracy. How the TILE + 1 taps are divided
 * into OUT and FILTER does not matter.
 * Each function reads elements `step` apart. A polynomial is applied to inputs: x^i stands for d[i]. */
#ifndef WINOGRAD_TRANSFORM_H
#define WINOGRAD_TRANSFORM_H

#include "common/kernel.h"

#define TILE (OUT + FILTER - 1)
#define PAIRS ((TILE - 2) / 2)
#if TILE == 5
#define SINGLE 2.0f
#elif TILE == 7
#define SINGLE 0.5f
#endif
#define SINGLE_POINT (2 * PAIRS + 1)
#define LEADING (PAIRS % 2 ? -1.0f : 1.0f) /* coefficient of vanishing() */

INLINE float magnitude(int pair) { return pair == 0 ? 1.0f : pair == 1 ? 2.0f : 0.5f; }
INLINE float square(int pair) { return magnitude(pair) * magnitude(pair); }

/* (x^2 - a)(x^2 - b) */
INLINE float quartic(const float *d, int step, float a, float b)
{
    return fma(a * b, d[0], fma(-a - b, d[2 * step], d[4 * step]));
}

/* The product of a^2 - x^2 over all pairs. */
INLINE float vanishing(const float *d, int step)
{
#if PAIRS == 1
    return d[0] - d[2 * step];
#elif PAIRS == 2
    return quartic(d, step, square(0), square(1));
#else
    return fma(5.25f, d[4 * step] - d[2 * step], d[0] - d[6 * step]);
#endif
}

/* The product of x^2 - a^2 over all pairs but one. */
INLINE float without(int pair, const float *d, int step)
{
#if PAIRS == 1
    return d[0];
#elif PAIRS == 2
    return pair == 0 ? fma(-square(1), d[0], d[2 * step]) : d[2 * step] - d[0];
#else
    return quartic(d, step, square(pair == 0), square(pair == 2 ? 1 : 2));
#endif
}

/* TILE inputs -> TILE points, in place: B^T d. */
INLINE void input_1d(float *d, int step)
{
    float x[TILE];
#pragma unroll
    for (int i = 0; i < TILE; i++)
        x[i] = d[i * step];
#ifdef SINGLE
    d[SINGLE_POINT * step] = vanishing(x + 1, 1);
#pragma unroll
    for (int i = 0; i < TILE - 1; i++)
        x[i] = fma(-SINGLE, x[i], x[i + 1]);
#endif
    d[0] = vanishing(x, 1);
#pragma unroll
    for (int i = 0; i < PAIRS; i++) {
        const float even = without(i, x + 2, 1), odd = magnitude(i) * without(i, x + 1, 1);
        d[(2 * i + 1) * step] = even + odd;
        d[(2 * i + 2) * step] = even - odd;
    }
    d[(TILE - 1) * step] = vanishing(x + 1, 1);
}

/* n < 8; not a loop, so that it is a constant for clang. */
INLINE float power(float x, int n)
{
    return (n & 1 ? x : 1.0f) * (n & 2 ? x * x : 1.0f) * (n & 4 ? x * x * x * x : 1.0f);
}

/* Every other tap from `first` on, as a polynomial in x. */
INLINE float half_at(const float *g, int step, float x, int first)
{
    float sum = power(x, first) * g[first * step];
#pragma unroll
    for (int k = first + 2; k < FILTER; k += 2)
        sum = fma(power(x, k), g[k * step], sum);
    return sum;
}

/* The derivative, at a point, of the polynomial that vanishes in all: what Lagrange divides by. */
INLINE float slope(float point)
{
    float product = point == 0.0f ? 1.0f : 2.0f * point * point;
#pragma unroll
    for (int i = 0; i < PAIRS; i++)
        if (point == 0.0f)
            product *= square(i);
        else if (point != magnitude(i) && point != -magnitude(i))
            product *= point * point - square(i);
#ifdef SINGLE
    product *= point - SINGLE;
#endif
    return product;
}

/* FILTER taps -> TILE points: G g. */
INLINE void filter_1d(const float *g, int from_step, float *u, int to_step)
{
    u[0] = 1.0f / slope(0.0f) * g[0];
#pragma unroll
    for (int i = 0; i < PAIRS; i++) {
        const float even = half_at(g, from_step, magnitude(i), 0);
        const float odd = half_at(g, from_step, magnitude(i), 1);
        u[(2 * i + 1) * to_step] = 1.0f / slope(magnitude(i)) * (even + odd);
        u[(2 * i + 2) * to_step] = 1.0f / slope(-magnitude(i)) * (even - odd);
    }
#ifdef SINGLE
    float product = SINGLE;
#pragma unroll
    for (int i = 0; i < PAIRS; i++)
        product *= square(i) - SINGLE * SINGLE;
    u[SINGLE_POINT * to_step] =
        1.0f / product * (half_at(g, from_step, SINGLE, 0) + half_at(g, from_step, SINGLE, 1));
#endif
    u[(TILE - 1) * to_step] = g[(FILTER - 1) * from_step];
}

/* TILE points -> OUT outputs: A^T m. */
INLINE void output_1d(const float *m, int from_step, float *y, int to_step)
{
    float of_pair[PAIRS][2]; /* for even and odd outputs */
#pragma unroll
    for (int i = 0; i < PAIRS; i++) {
        const float plus = m[(2 * i + 1) * from_step], minus = m[(2 * i + 2) * from_step];
        of_pair[i][0] = plus + minus;
        of_pair[i][1] = plus - minus;
    }
#pragma unroll
    for (int j = 0; j < OUT; j++) {
        float sum = j == 0 ? m[0] + of_pair[0][0] : of_pair[0][j % 2];
#pragma unroll
        for (int i = 1; i < PAIRS; i++)
            sum = fma(power(magnitude(i), j), of_pair[i][j % 2], sum);
#ifdef SINGLE
        sum = fma(power(SINGLE, j), m[SINGLE_POINT * from_step], sum);
#endif
        y[j * to_step] = j == OUT - 1 ? fma(LEADING, m[(TILE - 1) * from_step], sum) : sum;
    }
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
