#include "characterise/geometry.h"

#include <string.h>

const char *geometry_level_word(enum geometry_level l)
{
    static const char *const words[] = {"thread", "tile", "all", "some"};
    return words[l];
}

static enum geometry_level level(const struct geometry_axis *x, const struct tiling_axis *t,
                                 bool shared)
{
    if (shared && x->tiles_there == 1 && (x->distinct == t->size || x->distinct > t->thread))
        return LEVEL_ALL;
    if (x->tiles == 1 && x->distinct <= t->thread && x->extent <= t->reach)
        return LEVEL_THREAD;
    if (x->tiles == 1)
        return LEVEL_TILE;
    return 2 * x->tiles >= x->tiles_there ? LEVEL_ALL : LEVEL_SOME;
}

static void along(struct geometry_axis *out, bool *seen, const uint32_t *index, size_t n,
                  const struct tiling *t, int axis, bool shared)
{
    const struct tiling_axis *x = &t->axis[axis];
    size_t last = 0, tile = SIZE_MAX;
    memset(seen, 0, x->size * sizeof *seen);
    for (size_t i = 0; i < n; i++)
        seen[tiling_at(t, axis, index[i])] = true;
    *out =
        (struct geometry_axis){.first = SIZE_MAX, .tiles_there = (x->size + x->tile - 1) / x->tile};
    for (size_t i = 0; i < x->size; i++) {
        if (!seen[i])
            continue;
        out->first = out->first == SIZE_MAX ? i : out->first;
        last = i;
        out->distinct++;
        out->tiles += i / x->tile != tile;
        tile = i / x->tile;
    }
    out->extent = last - out->first + 1;
    out->level = level(out, x, shared);
}

void characterise_geometry(struct geometry *out, struct arena *a, const uint32_t *index, size_t n,
                           const struct tiling *t, int shared)
{
    size_t most = 0;
    for (int i = 0; i < t->n_axes; i++)
        most = t->axis[i].size > most ? t->axis[i].size : most;
    bool *seen = arena_array(a, most, sizeof *seen);
    out->n_axes = t->n_axes;
    for (int i = 0; i < t->n_axes; i++)
        along(&out->axis[i], seen, index, n, t, i,
              (shared & (i == 0 ? TILING_SHARED_BY_CHANNELS : TILING_SHARED_BY_PIXELS)) != 0);
}
