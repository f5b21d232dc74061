/* Where each element of an output comes from: the sum over its dimensions of a table look-up, an entry
 * of -1 meaning a fill value. Transposing, cutting, padding, repeating and looking up are all this. */
#ifndef NN_MOVE_H
#define NN_MOVE_H

#include "nn/priv.h"

enum { MOVE_MAX_RANK = TENSOR_MAX_RANK };

struct move {
    int rank; /* of the output as seen here, which may differ from its declared shape */
    size_t dim[MOVE_MAX_RANK];
    int64_t *from[MOVE_MAX_RANK]; /* dim[k] offsets each */
    float fill_float;
    int64_t fill_int;
};
/* Tables zeroed, to be filled in. */
struct move *move_new(struct nn *net, int rank, const size_t *dim);
void move_run(const struct move *m, const struct nn_value *in, struct nn_value *out);

#endif
