/* A stored campaign -> the `sievert inject` that makes it again. */
#ifndef CLI_AGAIN_H
#define CLI_AGAIN_H

#include "base/arena.h"
#include "store/store.h"

/* The command without its -o, in a, of the campaign in the file store, which the command may read tensors from.
 * NULL: no single command makes it (it was put together from several images' campaigns). */
const char *again_inject(struct arena *a, const struct store_campaign *c, const char *store);

#endif
