/* Which tile a GEMM-like kernel uses. */
#include "conv/priv.h"

#include <string.h>

#define TILE(...) {__VA_ARGS__, TILE_PLAIN},
#define SPECIAL_TILE(...) {__VA_ARGS__, TILE_SPECIAL},
#define WIDE_TILE(...) {__VA_ARGS__, TILE_WIDE},
#define COMPLEX_TILE(...) {__VA_ARGS__, TILE_COMPLEX},
static const struct tile tiles[] = {
#include "common/tiles.def"
};
#undef TILE
#undef SPECIAL_TILE
#undef WIDE_TILE
#undef COMPLEX_TILE
enum { N_TILES = sizeof tiles / sizeof *tiles };

/* Time for the product in arbitrary units, as the heuristics of libraries estimate it: waves of thread
 * groups on the processors, each the longer the more products it makes and the more it
 * loads. The weight of a load is what makes square tiles pay; it is a choice, not a measurement. */
static uint64_t cost(const struct tile *t, uint64_t m, uint64_t n, uint64_t batch)
{
    enum { LOAD = 32 };
    const uint64_t bm = (uint64_t)t->bm, bn = (uint64_t)t->bn;
    const uint64_t groups = div_up(m, bm) * div_up(n, bn) * batch;
    return div_up(groups, PLAN_PROCESSORS) * (bm * bn + LOAD * (bm + bn));
}

int no_tile(const char *name, struct diag *d)
{
    return diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "no tile '%.40s'; `sievert conv list` names them",
                     name);
}

static bool can_be_named(const struct tile *t, enum tile_kind kind)
{
    return t->kind == kind ||
           (kind == TILE_PLAIN && (t->kind == TILE_SPECIAL || t->kind == TILE_WIDE));
}

int tile_choose(const struct tile **out, const char *name, enum tile_kind kind, uint64_t m,
                uint64_t n, uint64_t batch, struct diag *d)
{
    const struct tile *best = NULL;
    for (int i = 0; i < N_TILES; i++) {
        if (can_be_named(&tiles[i], kind) && strcmp(name, tiles[i].name) == 0) {
            *out = &tiles[i];
            return OK;
        }
        if (tiles[i].kind == kind &&
            (!best || cost(&tiles[i], m, n, batch) < cost(best, m, n, batch)))
            best = &tiles[i];
    }
    if (*name)
        return no_tile(name, d);
    *out = best;
    return OK;
}
