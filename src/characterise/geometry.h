/* Where an error lies in its implementation's own coordinates (base/tiling.h): whether a thread, a thread
 * group or more than one is struck. That, and not the pixels, is what carries over to another shape. */
#ifndef CHARACTERISE_GEOMETRY_H
#define CHARACTERISE_GEOMETRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/tiling.h"

enum geometry_level {
    LEVEL_THREAD, /* no more than a thread computes */
    LEVEL_TILE,   /* in one thread group's tile */
    LEVEL_ALL,    /* in half of the tiles or more */
    LEVEL_SOME    /* in several tiles: no rule */
};
const char *geometry_level_word(enum geometry_level l);

struct geometry_axis {
    enum geometry_level level;
    size_t distinct, extent;   /* corrupted coordinates, last - first + 1 */
    size_t first;              /* the lowest of them */
    size_t tiles, tiles_there; /* thread groups' tiles touched, and how many there are */
};
struct geometry {
    int n_axes;
    struct geometry_axis axis[TILING_AXES];
};

/* index: n > 0 cells of one image, ascending. shared: by which axes' thread groups what was struck is read
 * (bits of base/tiling.h): where there is one tile only, an error all over it is one of all tiles. a: scratch. */
void characterise_geometry(struct geometry *out, struct arena *a, const uint32_t *index, size_t n,
                           const struct tiling *t, int shared);

/* The coordinate of a cell on an axis, and of its unit's pixels. */
static inline size_t tiling_at(const struct tiling *t, int axis, size_t index)
{
    const size_t pixel = index % (t->h * t->w), p = pixel / t->w / t->unit_h,
                 q = pixel % t->w / t->unit_w;
    if (axis == 0)
        return index / (t->h * t->w);
    if (t->n_axes == 2)
        return p * ((t->w + t->unit_w - 1) / t->unit_w) + q;
    return axis == 1 ? p : q;
}

#endif
