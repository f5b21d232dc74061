/* A dense float32 tensor in C order; four-dimensional ones are NCHW unless a caller says otherwise. */
#ifndef BASE_TENSOR_H
#define BASE_TENSOR_H

#include <stddef.h>

#include "base/arena.h"

enum { TENSOR_MAX_RANK = 8 };

struct tensor {
    int rank;
    size_t dim[TENSOR_MAX_RANK];
    float *data;
};

/* Zeroed tensor in a; .data is NULL if the size overflows. */
struct tensor tensor_new(struct arena *a, int rank, const size_t *dim);
struct tensor tensor_4d(struct arena *a, size_t n, size_t c, size_t h, size_t w);
/* A copy in a of v, which lies as N, H, W, C, as N, C, H, W; and the way back. dim is N, C, H, W. */
float *tensor_from_nhwc(struct arena *a, const float *v, const size_t dim[4]);
float *tensor_to_nhwc(struct arena *a, const float *v, const size_t dim[4]);
size_t tensor_elems(const struct tensor *t);

#endif
