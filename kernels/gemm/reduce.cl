/* The end of a split inner dimension: a thread adds up one output of all slices, in their order. */
#include "common/kernel.h"

KERNEL(BLOCK) reduce(const __global float *restrict partial, __global float *restrict out,
                     const int slices, const int elems)
{
    const int i = (int)get_group_id(0) * BLOCK + (int)get_local_id(0);
    const bool live = i < elems;
    float sum = live ? partial[i] : 0.0f;
    for (int slice = 1; slice < slices; slice++)
        sum += live ? partial[slice * elems + i] : 0.0f;
    if (live)
        out[i] = sum;
}
