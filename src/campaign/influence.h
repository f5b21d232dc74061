/* Which part of the output a value goes into, as the box that holds it in the implementation's coordinates: kept by
 * lane for registers, by word for memory. Part of live.c's walk backwards. */
#ifndef CAMPAIGN_INFLUENCE_H
#define CAMPAIGN_INFLUENCE_H

#include <string.h>

#include "campaign/live.h"

/* Lowest coordinate on each axis, then the highest, negated: boxes join by taking the smaller of each. */
enum { BOX_SIDES = 2 * TILING_AXES, BOX_EMPTY = INT16_MAX, BOX_LARGEST = INT16_MAX - 1 };
struct box {
    int16_t side[BOX_SIDES];
};
struct boxes { /* of a warp's lanes */
    int16_t side[BOX_SIDES][SIMT_LANES];
};

struct influence {
    const struct live_output *output; /* NULL: none of this is kept */
    size_t registers_room;
    struct boxes *registers; /* [warp * n_regs + register] */
    struct boxes *stored;    /* [warp]: all that its lanes store later on */
    struct boxes *
        met; /* [warp * n_regions + branch]: all that is written before its ways meet, as read later on */
    struct box *shared, *after, *read; /* of memory words, as the sets of live.c */
    uint64_t *tally;                   /* [insn * N_KINDS + kind] */
};
enum { N_KINDS = N_REACHES * N_REACHES * N_REACHES };

static inline void boxes_clear(struct boxes *b, uint32_t lanes)
{
    for (int s = 0; s < BOX_SIDES; s++)
        for (uint32_t l = 0; l < SIMT_LANES; l++)
            // cppcheck-suppress uninitvar ; of a new one all lanes are cleared
            b->side[s][l] = lanes >> l & 1 ? BOX_EMPTY : b->side[s][l];
}

static inline void boxes_join(struct boxes *to, const struct boxes *from, uint32_t lanes)
{
    int16_t but[SIMT_LANES]; /* no lower than this: leaves out lanes */
    for (uint32_t l = 0; l < SIMT_LANES; l++)
        but[l] = lanes >> l & 1 ? INT16_MIN : BOX_EMPTY;
    for (int s = 0; s < BOX_SIDES; s++)
        for (uint32_t l = 0; l < SIMT_LANES; l++) {
            const int16_t x = from->side[s][l] > but[l] ? from->side[s][l] : but[l];
            to->side[s][l] = x < to->side[s][l] ? x : to->side[s][l];
        }
}

static inline void box_join_lane(struct box *to, const struct boxes *from, uint32_t lane)
{
    for (int s = 0; s < BOX_SIDES; s++)
        if (from->side[s][lane] < to->side[s])
            to->side[s] = from->side[s][lane];
}

static inline void lane_join_box(struct boxes *to, uint32_t lane, const struct box *from)
{
    for (int s = 0; s < BOX_SIDES; s++)
        if (from->side[s] < to->side[s][lane])
            to->side[s][lane] = from->side[s];
}

static inline void box_clear(struct box *b)
{
    for (int s = 0; s < BOX_SIDES; s++)
        b->side[s] = BOX_EMPTY;
}

/* Keeps nothing if coordinates or memory are too large for boxes. In a. */
void influence_init(struct influence *x, struct arena *a, const struct live_output *output,
                    size_t global_words);
/* Mark the output's words, from `first` on. */
void influence_mark(struct influence *x, size_t first, size_t words);
/* Empty boxes of a launch's kernel, and none tallied. a is the launch's. */
void influence_launch(struct influence *x, struct arena *a, size_t n_insns, size_t shared_words);
/* Empty boxes of a CTA of so many warps. */
void influence_cta(struct influence *x, size_t warps, size_t n_regs, size_t n_regions,
                   size_t shared_words);
/* Count what lies in these lanes of b as struck by an instruction. */
void influence_count(struct influence *x, uint32_t insn, const struct boxes *b, uint32_t lanes);
/* What was counted of an instruction. In a. */
void influence_result(const struct influence *x, struct live_count *to, struct arena *a,
                      uint32_t insn);

#endif
