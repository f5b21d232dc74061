/* Walking several tensors of shapes that broadcast to one, row by row of the result. */
#ifndef NN_BROADCAST_H
#define NN_BROADCAST_H

#include "nn/priv.h"

enum { BROADCAST_MAX = 4 };

struct broadcast {
    int n;    /* tensors */
    int rank; /* dimensions walked, after the result's have been merged where possible */
    size_t dim[TENSOR_MAX_RANK], stride[BROADCAST_MAX][TENSOR_MAX_RANK];
    size_t rows, inner;         /* the result: rows x inner elements */
    size_t step[BROADCAST_MAX]; /* along a row: 0 or 1 */
};
/* The shape that n tensors broadcast to. */
int broadcast_shape(int *rank, size_t *dim, const struct nn *net, const struct nn_node *node,
                    size_t n, struct nn_value *const *in, struct diag *d);
/* ERR_INPUT unless each of in broadcasts to out's shape. */
int broadcast_plan(struct broadcast *b, const struct nn *net, const struct nn_node *node,
                   const struct nn_value *out, int n, struct nn_value *const *in, struct diag *d);

/* Where element `out` of the result comes from in tensor t. */
static inline size_t broadcast_offset(const struct broadcast *b, int t, size_t out)
{
    size_t at = 0;
    for (int k = b->rank - 1; k > 0; k--) {
        at += out % b->dim[k] * b->stride[t][k];
        out /= b->dim[k];
    }
    return b->rank ? at + out * b->stride[t][0] : 0;
}

struct broadcast_at {
    size_t row, out, in[BROADCAST_MAX]; /* where the row starts */
    size_t index[TENSOR_MAX_RANK];
};
static inline struct broadcast_at broadcast_first(const struct broadcast *b)
{
    (void)b;
    return (struct broadcast_at){0};
}
static inline void broadcast_next(const struct broadcast *b, struct broadcast_at *at)
{
    at->row++;
    at->out += b->inner;
    for (int k = b->rank - 2; k >= 0; k--) {
        bool carry = ++at->index[k] == b->dim[k];
        for (int t = 0; t < b->n; t++)
            at->in[t] += carry ? b->stride[t][k] - b->dim[k] * b->stride[t][k] : b->stride[t][k];
        if (!carry)
            return;
        at->index[k] = 0;
    }
}

#endif
