/* The discrete Fourier transform of a line of SIZE points in shared memory, in two passes: SIZE = N1 * N2,
 * index n = N2 * n1 + n2, frequency k = k1 + N1 * k2 (Cooley and Tukey). A task of the first pass
 * transforms N1 points and turns them, one of the second N2 points. Both work in place, so that tasks
 * need nothing of each other; afterwards frequency k lies at PLACE(k).
 * `sign` is 1 for the transform and -1 for its inverse (times SIZE). */
#ifndef FFT_FFT_H
#define FFT_FFT_H

#include "common/kernel.h"

#if SIZE == 12
#define N1 4
#define N2 3
#elif SIZE == 16
#define N1 4
#define N2 4
#elif SIZE == 18
#define N1 6
#define N2 3
#elif SIZE == 32
#define N1 8
#define N2 4
#elif SIZE == 64
#define N1 8
#define N2 8
#elif SIZE == 128
#define N1 16
#define N2 8
#elif SIZE == 256
#define N1 16
#define N2 16
#endif
#define PLACE(k) ((k) / N1 + (k) % N1 * N2)

INLINE float2 times(float2 a, float2 b)
{
    return (float2)(fma(a.x, b.x, -a.y * b.y), fma(a.x, b.y, a.y * b.x));
}

/* A quarter turn: times -i, or i for the inverse. */
INLINE float2 quarter(float2 a, float sign) { return (float2)(sign * a.y, -sign * a.x); }

INLINE void fft4(float2 *x, int step, float sign)
{
    const float2 a = x[0] + x[2 * step], b = x[0] - x[2 * step];
    const float2 c = x[step] + x[3 * step], d = quarter(x[step] - x[3 * step], sign);
    x[0] = a + c;
    x[step] = b + d;
    x[2 * step] = a - c;
    x[3 * step] = b - d;
}

INLINE void fft3(float2 *x, int step, float sign)
{
    const float2 sum = x[step] + x[2 * step], mean = fma(sum, -0.5f, x[0]);
    const float2 turn = 0.86602540f * quarter(x[step] - x[2 * step], sign);
    x[0] += sum;
    x[step] = mean + turn;
    x[2 * step] = mean - turn;
}

/* Transforms of the n/2 even points, x[0], x[2*step], ..., and of the odd ones -> of all n. `turned` holds
 * the odd ones already turned by their twiddles. */
INLINE void combine(float2 *x, int step, const float2 *even, const float2 *turned, int half_n)
{
#pragma unroll
    for (int k = 0; k < half_n; k++) {
        x[k * step] = even[k] + turned[k];
        x[(k + half_n) * step] = even[k] - turned[k];
    }
}

INLINE void fft6(float2 *x, int step, float sign)
{
    const float h = 0.86602540f;
    float2 even[3], odd[3];
    fft3(x, 2 * step, sign);
    fft3(x + step, 2 * step, sign);
#pragma unroll
    for (int k = 0; k < 3; k++)
        even[k] = x[2 * k * step], odd[k] = x[(2 * k + 1) * step];
    const float2 turned[3] = {odd[0], fma(odd[1], 0.5f, h * quarter(odd[1], sign)),
                              fma(odd[2], -0.5f, h * quarter(odd[2], sign))};
    combine(x, step, even, turned, 3);
}

INLINE void fft8(float2 *x, int step, float sign)
{
    const float h = 0.70710678f;
    float2 even[4], odd[4];
    fft4(x, 2 * step, sign);
    fft4(x + step, 2 * step, sign);
#pragma unroll
    for (int k = 0; k < 4; k++)
        even[k] = x[2 * k * step], odd[k] = x[(2 * k + 1) * step];
    const float2 turned[4] = {odd[0], h * (odd[1] + quarter(odd[1], sign)), quarter(odd[2], sign),
                              h * (quarter(odd[3], sign) - odd[3])};
    combine(x, step, even, turned, 4);
}

INLINE void fft16(float2 *x, int step, float sign)
{
    const float cosine[8] = {1.0f, 0.92387953f,  0.70710678f,  0.38268343f,
                             0.0f, -0.38268343f, -0.70710678f, -0.92387953f};
    float2 even[8], turned[8];
    fft8(x, 2 * step, sign);
    fft8(x + step, 2 * step, sign);
#pragma unroll
    for (int k = 0; k < 8; k++) {
        const float sine = k == 4 ? 1.0f : k < 4 ? cosine[4 - k] : cosine[k - 4];
        even[k] = x[2 * k * step];
        turned[k] = times(x[(2 * k + 1) * step], (float2)(cosine[k], -sign * sine));
    }
    combine(x, step, even, turned, 8);
}

INLINE void fft_points(float2 *x, int n, float sign)
{
    if (n == 3)
        fft3(x, 1, sign);
    else if (n == 4)
        fft4(x, 1, sign);
    else if (n == 6)
        fft6(x, 1, sign);
    else if (n == 8)
        fft8(x, 1, sign);
    else
        fft16(x, 1, sign);
}

/* exp(-2 pi i n / SIZE) for n < N2: an angle below a quarter turn, where these series are good to the last
 * bits of a float. */
INLINE float2 twiddle(int n, float sign)
{
    const float x = 6.2831853f / SIZE * (float)n, y = x * x;
    const float s = fma(y,
                        fma(y,
                            fma(y, fma(y, fma(y, -2.5052108e-8f, 2.7557319e-6f), -1.9841270e-4f),
                                8.3333333e-3f),
                            -1.6666667e-1f),
                        1.0f) *
                    x;
    const float c = fma(
        y,
        fma(y, fma(y, fma(y, fma(y, -2.7557319e-7f, 2.4801587e-5f), -1.3888889e-3f), 4.1666667e-2f),
            -0.5f),
        1.0f);
    return (float2)(c, -sign * s);
}

INLINE void first_pass(__local float2 *line, int step, int n2, float sign)
{
    float2 x[N1];
#pragma unroll
    for (int i = 0; i < N1; i++)
        x[i] = line[(N2 * i + n2) * step];
    fft_points(x, N1, sign);
    const float2 w = twiddle(n2, sign);
    float2 turn = w;
#pragma unroll
    for (int i = 1; i < N1; i++) {
        x[i] = times(x[i], turn);
        turn = times(turn, w);
    }
#pragma unroll
    for (int i = 0; i < N1; i++)
        line[(N2 * i + n2) * step] = x[i];
}

INLINE void second_pass(__local float2 *line, int step, int k1, float sign)
{
    float2 x[N2];
#pragma unroll
    for (int i = 0; i < N2; i++)
        x[i] = line[(N2 * k1 + i) * step];
    fft_points(x, N2, sign);
#pragma unroll
    for (int i = 0; i < N2; i++)
        line[(N2 * k1 + i) * step] = x[i];
}

#endif
