/* Between weigh.c and transfer.c: how often a measured error occurs on another shape. */
#ifndef MODEL_TRANSFER_H
#define MODEL_TRANSFER_H

#include "characterise/geometry.h"
#include "model/priv.h"

struct outlook;
/* Borrows both. outlook_free. */
struct outlook *outlook_new(const struct model *m, const struct model_target *t);
void outlook_free(struct outlook *x);
/* By which axes' thread groups what was struck is read: bits of base/tiling.h. */
int outlook_shared(const struct outlook *x, const struct footprint *f);
/* First, tell it of all errors: n of them like f; at NULL: of the input's planes. Then that these were all. */
void outlook_see(struct outlook *x, const struct footprint *f, const struct geometry *at, double n);
void outlook_seen(struct outlook *x);

/* How often an error occurs there for each time here, and how far it then extends on each axis; REACH_NONE: as here. */
struct prospect {
    double weight;
    uint8_t reach[TILING_AXES];
};
enum { MOST_PROSPECTS = 64 };
/* Then ask of one. at NULL: of the input's planes. Returns how many, one at least, MOST_PROSPECTS at most. */
size_t outlook_of(struct prospect *out, const struct outlook *x, const struct footprint *f,
                  const struct geometry *at);

/* Of the places where such an error could have been, the part that the measured shape has; live: of those that
 * compute something. 0: it is left out. */
double room_for(const struct geometry *g, const struct tiling *t, bool live);

#endif
