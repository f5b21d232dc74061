/* What all kernels share. */
#ifndef COMMON_KERNEL_H
#define COMMON_KERNEL_H

#include "common/shape.h"

/* In a signature: `__global float *restrict out SHAPE_PARAMS`. In the body, SHAPE_VALUE makes them a
 * struct, which costs nothing once inlined. (A struct parameter would be read through a pointer.) */
#define SHAPE_PARAM(name) , const int name
#define SHAPE_PARAMS SHAPE_FIELDS(SHAPE_PARAM)
#define SHAPE_INIT(name) name,
#define SHAPE_VALUE                                                                                \
    {                                                                                              \
        SHAPE_FIELDS(SHAPE_INIT)                                                                   \
    }

/* Where an element of a tensor is: of image n, group g and a channel or filter of it; of a filter. */
#ifdef NHWC
#define IN_AT(s, n, g, c, h, w)                                                                    \
    ((((n) * (s)->H + (h)) * (s)->W + (w)) * (s)->C * (s)->groups + (g) * (s)->C + (c))
#define FILTER_AT(s, c, r, w) (((r) * (s)->S + (w)) * (s)->C + (c))
#define OUT_AT(s, n, g, k, p, q)                                                                   \
    ((((n) * (s)->P + (p)) * (s)->Q + (q)) * (s)->K * (s)->groups + (g) * (s)->K + (k))
#else
#define IN_AT(s, n, g, c, h, w)                                                                    \
    (((((n) * (s)->groups + (g)) * (s)->C + (c)) * (s)->H + (h)) * (s)->W + (w))
#define FILTER_AT(s, c, r, w) (((c) * (s)->R + (r)) * (s)->S + (w))
#define OUT_AT(s, n, g, k, p, q)                                                                   \
    (((((n) * (s)->groups + (g)) * (s)->K + (k)) * (s)->P + (p)) * (s)->Q + (q))
#endif

/* 0 <= i < n in one comparison. */
#define INSIDE(i, n) ((uint)(i) < (uint)(n))

#define INLINE static inline __attribute__((always_inline))
#define KERNEL(threads) __kernel __attribute__((reqd_work_group_size(threads, 1, 1))) void

#endif
