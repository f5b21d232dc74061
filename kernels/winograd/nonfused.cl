/* Winograd's transforms as kernels of their own; the product between them is gemm/sgemm.cl, one matrix
 * product per point of the TILE x TILE transformed tile:
 *   u[point][filter][channel] * v[point][channel][tile] = m[point][filter][tile].
 * A thread transforms one filter of one channel, or one tile of one channel. Stride and dilation 1. */
#include "winograd/transform.h"

KERNEL(BLOCK) filter_transform(const __global float *restrict filter, __global float *restrict u,
                               const int n_filters)
{
    const int i = (int)get_group_id(0) * BLOCK + (int)get_local_id(0);
    const bool live = i < n_filters;
    float g[FILTER * FILTER], points[TILE * TILE];
#pragma unroll
    for (int j = 0; j < FILTER * FILTER; j++)
        g[j] = live ? filter[i * FILTER * FILTER + j] : 0.0f;
    filter_2d(g, points);
#pragma unroll
    for (int j = 0; j < TILE * TILE; j++)
        if (live)
            u[j * n_filters + i] = points[j];
}

/* Grid: tiles of all images, channels of all groups. */
KERNEL(BLOCK) input_transform(const __global float *restrict in, __global float *restrict v SHAPE_PARAMS)
{
    const int tiles_w = (Q + OUT - 1) / OUT, tiles = (P + OUT - 1) / OUT * tiles_w;
    const int i = (int)get_group_id(0) * BLOCK + (int)get_local_id(0), c = (int)get_group_id(1);
    const int n = i / tiles, channels = C * groups;
    const int h0 = i % tiles / tiles_w * OUT - pad_top, w0 = i % tiles % tiles_w * OUT - pad_left;
    const __global float *x = in + (n * channels + c) * H * W;
    float d[TILE * TILE];
#pragma unroll
    for (int j = 0; j < TILE * TILE; j++) {
        const int h = h0 + j / TILE, w = w0 + j % TILE;
        d[j] = n < N && INSIDE(h, H) && INSIDE(w, W) ? x[h * W + w] : 0.0f;
    }
    input_2d(d);
#pragma unroll
    for (int j = 0; j < TILE * TILE; j++)
        if (n < N)
            v[(j * channels + c) * N * tiles + i] = d[j];
}

/* Grid: tiles of all images, filters of all groups. */
KERNEL(BLOCK) output_transform(const __global float *restrict m, __global float *restrict out SHAPE_PARAMS)
{
    const int tiles_w = (Q + OUT - 1) / OUT, tiles = (P + OUT - 1) / OUT * tiles_w;
    const int i = (int)get_group_id(0) * BLOCK + (int)get_local_id(0), k = (int)get_group_id(1);
    const int n = i / tiles, filters = K * groups;
    const int p0 = i % tiles / tiles_w * OUT, q0 = i % tiles % tiles_w * OUT;
    float points[TILE * TILE], y[OUT * OUT];
#pragma unroll
    for (int j = 0; j < TILE * TILE; j++)
        points[j] = n < N ? m[(j * filters + k) * N * tiles + i] : 0.0f;
    output_2d(points, y);
#pragma unroll
    for (int j = 0; j < OUT * OUT; j++) {
        const int p = p0 + j / OUT, q = q0 + j % OUT;
        if (n < N && p < P && q < Q)
            out[((n * filters + k) * P + p) * Q + q] = y[j];
    }
}
