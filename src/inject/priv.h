/* Inside of inject: the state behind the hook. */
#ifndef INJECT_PRIV_H
#define INJECT_PRIV_H

#include "inject/inject.h"
#include "simt/priv.h"

/* What a stuck-at fault holds in place. */
struct held {
    int32_t reg; /* a PTX register of the struck warp, or -1 */
    uint32_t lanes;
    int half;  /* of a 64-bit register: its upper 32 bits are the cell; 0: the lower, or all */
    bool word; /* a word of memory instead */
    uint8_t *memory;
};

struct injector {
    const struct simt_program *program;
    const struct ptx_kernel *kernel;
    struct fault_kind kind;
    struct arena arena;
    struct inject_space *spaces; /* by launch, made when needed */
    struct inject_space *space;
    struct fault fault;
    uint64_t seen; /* sites, or instants, passed in this CTA */
    struct strike strike;
    bool stops_idle, idle;
    struct {
        struct simt_reg row; /* lanes NULL: nothing to put back */
        uint32_t lanes;
        uint64_t value[SIMT_LANES];
    } restore;
    struct held held;
    int32_t registers[SIMT_LANES];
};

/* Lanes that will execute the instruction. */
uint32_t injector_active(const struct ptx_kernel *k, const struct warp *w, uint32_t insn);
/* Warp instructions that the CTA issued before this one, which w is about to. */
static inline uint64_t injector_issued(const struct warp *w, uint32_t insn)
{
    return w->cta->issued + (uint64_t)((int64_t)insn - (int64_t)w->started_at);
}
/* cell.c: strike cell number `cell` of the space, w being about to issue insn. */
void injector_strike_cell(struct injector *j, struct warp *w, uint32_t insn, uint64_t cell);
/* Put the stuck bit back after an instruction that may have written it. */
void injector_hold(struct injector *j, const struct simt_step *step);
/* Address of a word of the space. */
uint64_t injector_word(const struct inject_space *s, uint64_t word);

#endif
