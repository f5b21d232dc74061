/* A stored campaign -> the `sievert inject` that makes it again. */
#ifndef CLI_AGAIN_H
#define CLI_AGAIN_H

#include "base/arena.h"
#include "store/store.h"

/* The command without its -o, in a; NULL if files that the store does not name would be needed. */
const char *again_inject(struct arena *a, const struct store_campaign *c);

#endif
