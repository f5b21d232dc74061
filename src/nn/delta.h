/* What the error engine and the operators that compute batches share. Private to nn/. */
#ifndef NN_DELTA_H
#define NN_DELTA_H

#include <string.h>

#include "nn/priv.h"

/* The elements of a value in which an error differs from the fault-free run, each once, in any
 * order. */
struct diffs {
    size_t n, room;
    uint32_t *at;
    void *data; /* float or int64_t, as the value's type */
    struct diffs *next;
};
void diffs_reserve(struct diffs *x, size_t n);
void diffs_free(struct diffs *x);

/* Append those of n elements from `at` on whose bits differ; returns the new x->n. There must be
 * room for all. */
static inline size_t diffs_compare(struct diffs *x, uint32_t at, size_t n, const float *now,
                                   const float *golden)
{
    size_t count = x->n;
    float *data = x->data;
    for (size_t k = 0; k < n; k++) { /* without branches */
        x->at[count] = at + (uint32_t)k;
        data[count] = now[k];
        count += memcmp(&now[k], &golden[k], sizeof *now) != 0;
    }
    return count;
}

#endif
