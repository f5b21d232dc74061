/* Which registers are live where: for packing them, for what starts undefined, for occupancy. */
#ifndef PTX_LIVENESS_H
#define PTX_LIVENESS_H

#include "ptx/insn.h"

struct ptx_live_range {
    uint32_t first,
        last;      /* instructions that enclose all places where it is live; first > last: unused */
    bool at_entry; /* may be read before it was written */
};

struct ptx_liveness {
    struct ptx_live_range *range; /* per register */
    uint32_t max_words;           /* most 32-bit registers live at once; predicates do not count */
};

/* Per thread: a write under a guard does not end the life of the old value. In a. Kernels too large for
 * an exact answer get the safe one: all registers live everywhere. */
void ptx_find_liveness(struct ptx_liveness *out, struct arena *a, const struct ptx_kernel *k);

/* Which registers are live just before each instruction; NULL words for kernels too large for it. In a. */
struct ptx_live_sets {
    uint32_t n_words;      /* 64-bit words of a set */
    const uint64_t *words; /* [instruction * n_words ..], a bit per register */
};
void ptx_find_live_sets(struct ptx_live_sets *out, struct arena *a, const struct ptx_kernel *k);
static inline bool ptx_is_live(const struct ptx_live_sets *s, size_t insn, uint32_t reg)
{
    return !s->words || (s->words[insn * s->n_words + reg / 64] >> reg % 64 & 1);
}

/* Calls f(ctx, register, is_write) for each register that instruction i touches, reads first. */
void ptx_each_register(const struct ptx_insn *i, void (*f)(void *ctx, uint32_t reg, bool write),
                       void *ctx);

#endif
