/* How an implementation cuts an output into the parts that its threads and thread groups compute: plain
 * data that conv/ states and that characterise/ and model/ use without knowing implementations. */
#ifndef BASE_TILING_H
#define BASE_TILING_H

#include <stddef.h>
#include <stdint.h>

/* One axis of the implementation's own coordinates. A thread computes `thread` of its coordinates, runs of
 * `step` neighbours within `reach`; a thread group `tile` neighbours, the last group perhaps fewer. */
struct tiling_axis {
    const char *name; /* static: "channel", "pixel", "row", "column", "unit" */
    size_t size;      /* coordinates there are */
    size_t thread, step, reach, tile;
};

/* What a launch makes may be read by all thread groups along an axis: a fault in it is not confined to their
 * tiles. Bits. */
enum { TILING_SHARED_BY_CHANNELS = 1, TILING_SHARED_BY_PIXELS = 2 };

/* The output, C x H x W, as channels and units of unit_h x unit_w pixels (1 x 1; Winograd's and Fourier's
 * tiles). Axis 0 is the channel. flat: axis 1 numbers the units row by row; else axes 1 and 2 are the
 * units' rows and columns. n_axes 0: unknown. */
enum { TILING_AXES = 3 };
struct tiling {
    int n_axes;
    struct tiling_axis axis[TILING_AXES];
    size_t unit_h, unit_w;
    size_t h, w;
};

/* How far what a value goes into extends along an axis, first to last coordinate, in terms of the tiling: one
 * coordinate, less than a thread's, a thread's, up to REACH_COUNTED more, a tile's at most, more. */
enum {
    REACH_NONE,
    REACH_ONE,
    REACH_PART,
    REACH_THREAD,
    REACH_COUNTED = 6,
    REACH_TILE = REACH_THREAD + REACH_COUNTED + 1,
    REACH_MORE,
    N_REACHES
};
static inline uint8_t tiling_reach(const struct tiling_axis *x, size_t extent)
{
    if (extent <= 1)
        return extent ? REACH_ONE : REACH_NONE;
    if (extent <= x->reach)
        return extent < x->reach ? REACH_PART : REACH_THREAD;
    if (extent - x->reach <= REACH_COUNTED)
        return (uint8_t)(REACH_THREAD + extent - x->reach);
    return extent <= x->tile ? REACH_TILE : REACH_MORE;
}

/* So many live sites whose values extend so far along each axis. */
struct tiling_influence {
    uint8_t reach[TILING_AXES];
    uint64_t live;
};

#endif
