#include "nn/broadcast.h"

int broadcast_shape(int *rank, size_t *dim, const struct nn *net, const struct nn_node *node,
                    size_t n, struct nn_value *const *in, struct diag *d)
{
    *rank = 0;
    for (size_t t = 0; t < n; t++)
        if (in[t]->rank > *rank)
            *rank = in[t]->rank;
    for (int k = 0; k < *rank; k++) {
        dim[k] = 1;
        for (size_t t = 0; t < n; t++) {
            int at = k - (*rank - in[t]->rank);
            size_t size = at < 0 ? 1 : in[t]->dim[at];
            if (size == 1 || size == dim[k])
                continue;
            if (dim[k] != 1)
                return node_fail(net, node, d, ERR_INPUT,
                                 "sizes %zu and %zu in dimension %d do not broadcast", dim[k], size,
                                 k);
            dim[k] = size;
        }
    }
    return OK;
}

int broadcast_plan(struct broadcast *b, const struct nn *net, const struct nn_node *node,
                   const struct nn_value *out, int n, struct nn_value *const *in, struct diag *d)
{
    *b = (struct broadcast){.n = n};
    for (int k = 0; k < out->rank; k++) {
        size_t stride[BROADCAST_MAX];
        for (int t = 0; t < n; t++) {
            const struct nn_value *v = in[t];
            int at = k - (out->rank - v->rank);
            size_t size = at < 0 ? 1 : v->dim[at];
            if (v->rank > out->rank || (size != out->dim[k] && size != 1))
                return node_fail(net, node, d, ERR_INPUT, "a shape does not broadcast to another");
            stride[t] = size == 1 ? 0 : dims_product(v->rank - at - 1, v->dim + at + 1);
        }
        if (out->dim[k] == 1)
            continue;
        /* One dimension with the one before it, if all walk both as one. */
        bool merge = b->rank > 0;
        for (int t = 0; t < n; t++)
            merge = merge && b->stride[t][b->rank - 1] == stride[t] * out->dim[k];
        if (merge)
            b->rank--;
        b->dim[b->rank] = merge ? b->dim[b->rank] * out->dim[k] : out->dim[k];
        for (int t = 0; t < n; t++)
            b->stride[t][b->rank] = stride[t];
        b->rank++;
    }
    b->inner = b->rank ? b->dim[b->rank - 1] : 1;
    b->rows = b->inner ? out->n / b->inner : 0;
    for (int t = 0; t < n; t++)
        b->step[t] = b->rank ? b->stride[t][b->rank - 1] : 0;
    return OK;
}
