/* Images to the rows of one matrix, and back, for filters of 1x1 that skip pixels or have several images: a row
 * per channel, the pixels of all images side by side, only those that the stride does not skip. A thread
 * moves one element. Grid: pixels of a map, channels of all groups, images. */
#include "common/kernel.h"

KERNEL(BLOCK) images_to_rows(const __global float *restrict in, __global float *restrict rows SHAPE_PARAMS)
{
    const int pixel = (int)get_group_id(0) * BLOCK + (int)get_local_id(0);
    const int c = (int)get_group_id(1), n = (int)get_group_id(2);
    const int h = pixel / Q * stride_h, w = pixel % Q * stride_w;
    const bool live = pixel < P * Q;
    const float value = live ? in[((n * C * groups + c) * H + h) * W + w] : 0.0f;
    if (live)
        rows[(c * N + n) * P * Q + pixel] = value;
}

KERNEL(BLOCK) rows_to_images(const __global float *restrict rows, __global float *restrict out SHAPE_PARAMS)
{
    const int pixel = (int)get_group_id(0) * BLOCK + (int)get_local_id(0);
    const int k = (int)get_group_id(1), n = (int)get_group_id(2);
    const bool live = pixel < P * Q;
    const float value = live ? rows[(k * N + n) * P * Q + pixel] : 0.0f;
    if (live)
        out[(n * K * groups + k) * P * Q + pixel] = value;
}
