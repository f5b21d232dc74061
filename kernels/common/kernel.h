/* What all kernels share. */
#ifndef COMMON_KERNEL_H
#define COMMON_KERNEL_H

#include "common/shape.h"

/* In a signature: `__global float *restrict out SHAPE_PARAMS`. In the body, SHAPE_VALUE makes them a
 * struct, which costs nothing once inlined. (A struct parameter would be read through a pointer.) */
#define SHAPE_PARAM(name) , const int name
#define SHAPE_PARAMS SHAPE_FIELDS(SHAPE_PARAM)
#define SHAPE_INIT(name) name,
#define SHAPE_VALUE {SHAPE_FIELDS(SHAPE_INIT)}

/* 0 <= i < n in one comparison. */
#define INSIDE(i, n) ((uint)(i) < (uint)(n))

#define INLINE static inline __attribute__((always_inline))
#define KERNEL(threads) __kernel __attribute__((reqd_work_group_size(threads, 1, 1))) void

#endif
