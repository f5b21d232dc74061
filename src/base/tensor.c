#include "base/tensor.h"

#include <assert.h>

struct tensor tensor_new(struct arena *a, int rank, const size_t *dim)
{
    assert(rank >= 0 && rank <= TENSOR_MAX_RANK);
    struct tensor t = {.rank = rank};
    size_t n = 1;
    for (int i = 0; i < rank; i++) {
        t.dim[i] = dim[i];
        if (__builtin_mul_overflow(n, dim[i], &n))
            return t;
    }
    t.data = arena_array(a, n, sizeof(float));
    return t;
}

struct tensor tensor_4d(struct arena *a, size_t n, size_t c, size_t h, size_t w)
{
    return tensor_new(a, 4, (size_t[]){n, c, h, w});
}

size_t tensor_elems(const struct tensor *t)
{
    size_t n = 1;
    for (int i = 0; i < t->rank; i++)
        n *= t->dim[i];
    return n;
}

/* n matrices of rows x cols, each transposed. */
static float *transposed(struct arena *a, const float *v, size_t n, size_t rows, size_t cols)
{
    float *out = arena_array(a, n * rows * cols, sizeof *out), *to = out;
    for (size_t i = 0; i < n; i++, to += rows * cols, v += rows * cols)
        for (size_t r = 0; r < rows; r++)
            for (size_t c = 0; c < cols; c++)
                to[c * rows + r] = v[r * cols + c];
    return out;
}

float *tensor_from_nhwc(struct arena *a, const float *v, const size_t dim[4])
{
    return transposed(a, v, dim[0], dim[2] * dim[3], dim[1]);
}

float *tensor_to_nhwc(struct arena *a, const float *v, const size_t dim[4])
{
    return transposed(a, v, dim[0], dim[1], dim[2] * dim[3]);
}
