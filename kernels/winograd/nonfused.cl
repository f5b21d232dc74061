/* Winograd's transforms as kernels of their own; the product between them is gemm/gemm.cl, one matrix
 * product per point of the TILE x TILE transformed tile:
 *   u[point][filter][channel] * v[point][channel][tile] = m[point][filter][tile].
 * A thread transforms one filter of one channel, or one tile of one channel. Stride and dilation 1.
 * With PERSISTENT, as in MIOpen's multi-pass Winograd, there are no more thread groups than processors, and
 * a thread goes on to the item that lies all threads further on. */
#include "winograd/transform.h"

#define FIRST ((int)get_group_id(0) * BLOCK + (int)get_local_id(0))
#ifdef PERSISTENT /* grid: any number of thread groups; items plane by plane */
#define ITEMS(per_plane, planes)                                                                   \
    for (int item = FIRST; item < (per_plane) * (planes); item += (int)get_num_groups(0) * BLOCK)
#define ITEM(per_plane) (item % (per_plane))
#define PLANE(per_plane) (item / (per_plane))
#else /* grid: items of a plane, planes */
#define ITEMS(per_plane, planes)
#define ITEM(per_plane) FIRST
#define PLANE(per_plane) (int)get_group_id(1)
#endif

KERNEL(BLOCK) filter_transform(const __global float *restrict filter, __global float *restrict u,
                               const int n_filters)
{
    ITEMS(n_filters, 1)
    {
        const int i = ITEM(n_filters);
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
}

/* Planes: channels of all groups; items: tiles of all images. */
KERNEL(BLOCK) input_transform(const __global float *restrict in, __global float *restrict v SHAPE_PARAMS)
{
    const int tiles_w = (Q + OUT - 1) / OUT, tiles = (P + OUT - 1) / OUT * tiles_w;
    const int channels = C * groups;
    ITEMS(N * tiles, channels)
    {
        const int i = ITEM(N * tiles), c = PLANE(N * tiles), n = i / tiles;
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
}

/* Planes: filters of all groups; items: tiles of all images. */
KERNEL(BLOCK) output_transform(const __global float *restrict m, __global float *restrict out SHAPE_PARAMS)
{
    const int tiles_w = (Q + OUT - 1) / OUT, tiles = (P + OUT - 1) / OUT * tiles_w;
    const int filters = K * groups;
    ITEMS(N * tiles, filters)
    {
        const int i = ITEM(N * tiles), k = PLANE(N * tiles), n = i / tiles;
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
}
