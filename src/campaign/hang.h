/* Inside of hang.c and hang_shapes.c: which code a lane can still run if some branches go one way only. */
#ifndef CAMPAIGN_HANG_H
#define CAMPAIGN_HANG_H

#include "campaign/concurrent.h"

/* ---- hang_shapes.c ---- */
enum compare { EQUAL, UNEQUAL, LESS, AT_MOST, GREATER, AT_LEAST };

/* The end of the basic block that sets the branch's predicate. */
struct deciding {
    uint32_t branch;
    bool fixed;    /* nothing in the region writes the predicate */
    bool compares; /* left, a register, with right */
    enum compare compare;
    bool is_signed;
    uint8_t bits;
    uint32_t left;
    struct ptx_operand right, step;
    bool steps, before; /* left is a counter, stepped in the same block; before it is compared */
    bool subtracts;
    uint32_t step_at; /* the instruction */
    uint32_t cycle;   /* least number of instructions from one comparison to the next */
};

enum way {
    WAY_BOTH,
    WAY_ON,
    WAY_TARGET
}; /* of a branch: can go on or to its target, or only one */

/* Code that can run from `start` on if branches go as `ways` says; 2 bits for each deciding. */
struct shape {
    uint32_t start;
    uint64_t ways;
    bool closed; /* the meeting point is out of reach, without any assumption that does not hold */
    size_t n_insns; /* then: */
    const uint32_t *insns;
    const uint32_t *
        cycle; /* of each that steps a register: least number of instructions until it runs again */
};

/* All values of a register on the way, as signed numbers: between lo and hi, and with the low `same` bits of
 * lo. */
struct span {
    enum { NO_VALUE, SOME_VALUES, ANY_VALUE } kind;
    int64_t lo, hi;
    int same;
};

struct hangs {
    struct plans *plans;
    const struct ptx_kernel *kernel;
    uint32_t meet;
    size_t n_deciding;
    struct deciding *deciding;
    size_t n_shapes;
    struct shape *shapes;
    uint32_t *index;    /* instruction -> its deciding + 1 */
    uint32_t *distance; /* scratch, by instruction */
    uint32_t *queue;
    struct span *memo; /* scratch, by register */
    uint8_t *state;
};

struct hangs *hangs_new(struct plans *p, uint32_t branch);
/* Found once for each start and choice of ways. NULL: there were too many. */
const struct shape *hangs_shape(struct hangs *h, uint32_t start, uint64_t ways);
/* reg = reg + step or reg - step? */
bool hangs_is_step(const struct ptx_insn *i, uint32_t reg, struct ptx_operand *step,
                   bool *subtracts);

static inline const struct ptx_insn *hangs_insn(const struct hangs *h, uint32_t insn)
{
    return &h->kernel->insns[insn];
}

static inline bool hangs_writes(const struct ptx_insn *i, uint32_t reg)
{
    for (int d = 0; d < i->n_dst; d++)
        if (i->dst[d] == (int32_t)reg)
            return true;
    return false;
}

#endif
