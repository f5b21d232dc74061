/* The corrupted elements of a tensor as the spatial rules see them. */
#ifndef CHARACTERISE_PRIV_H
#define CHARACTERISE_PRIV_H

#include "characterise/characterise.h"

struct channel {
    uint32_t id;       /* n * C + c */
    uint32_t first, n; /* its part of cells.at */
};

struct cells {
    size_t c, h, w, hw; /* of the tensor */
    bool compat;
    size_t n, n_channels;
    uint32_t *at;            /* position h * W + w within the channel, ascending within a channel */
    struct channel *channel; /* ascending */
    uint32_t lo, hi;         /* smallest and largest position */
    size_t n_positions;      /* distinct positions over all channels */
};

/* Memory for one tensor: most errors are small enough for the stack. Not zeroed. */
struct scratch {
    size_t used;
    _Alignas(8) unsigned char bytes[24 * 1024];
    struct arena rest;
};
void *char_alloc(struct scratch *s, size_t n, size_t size);

/* [bottom, top] in percent: the part of 1/levels that p falls in, top inclusive. */
void char_quantize(double out[2], double p, int levels);

/* Sets pattern, keys and stats from cells with n > 0, whose lo, hi and n_positions it computes. */
void char_spatial(struct characterisation *out, struct cells *x, struct scratch *s);

#endif
