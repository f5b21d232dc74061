/* Cells: registers, predicates, index registers, words of memory, struck between two instructions. */
#include <string.h>

#include "inject/priv.h"

enum { INDICES = 3 };

uint32_t injector_active(const struct ptx_kernel *k, const struct warp *w, uint32_t insn)
{
    const struct ptx_insn *i = ptx_insn_at(k, insn);
    uint32_t pred, mask = w->path_mask;
    if (i->guard >= 0) {
        memcpy(&pred, w->regs + w->cta->program->slot[i->guard], sizeof pred);
        mask &= i->guard_negated ? ~pred : pred;
    }
    return mask;
}

uint64_t injector_word(const struct inject_space *s, uint64_t word)
{
    const struct inject_range *r = s->ranges;
    for (; word >= r->words; r++)
        word -= r->words;
    return r->address + 4 * word;
}

/* ---- Registers and predicates ------------------------------------------------------------------- */

/* Where in the code the thread is: false if it has ended. `now` is about to issue insn. */
static bool thread_pc(const struct warp *w, int lane, const struct warp *now, uint32_t insn,
                      uint32_t *pc)
{
    if (!(w->live >> lane & 1))
        return false;
    if (w == now && w->path_mask >> lane & 1) {
        *pc = insn;
        return true;
    }
    int best = -1, best_depth = -1; /* a parent's mask has the lanes of its children */
    for (uint64_t used = w->used_paths; used; used &= used - 1) {
        int slot = __builtin_ctzll(used), depth = 0;
        if (!(w->paths[slot].mask >> lane & 1))
            continue;
        for (int up = w->paths[slot].parent; up >= 0; up = w->paths[up].parent)
            depth++;
        if (depth > best_depth) {
            best = slot;
            best_depth = depth;
        }
    }
    if (best < 0)
        return false;
    *pc = w->paths[best].pc;
    return true;
}

/* The live register that holds the nth 32-bit place of a thread at pc: live ones take the first places in
 * the order of their numbers. False: nothing live is there. */
static bool find_register(const struct injector *j, uint32_t pc, uint32_t nth, uint32_t *reg,
                          int *half)
{
    bool predicates = j->fault.kind.where == WHERE_PREDICATE;
    if (pc >= j->kernel->n_insns)
        return false;
    for (uint32_t r = 0; r < j->kernel->n_regs; r++) {
        int bits = j->kernel->regs[r].bits;
        if ((bits == 1) != predicates || !ptx_is_live(&j->space->live, pc, r))
            continue;
        uint32_t places = bits == 64 ? 2 : 1;
        if (nth < places) {
            *reg = r;
            *half = (int)nth;
            return true;
        }
        nth -= places;
    }
    return false;
}

static struct simt_reg row_of(const struct injector *j, const struct warp *w, uint32_t reg)
{
    return (struct simt_reg){j->kernel->regs[reg].bits, w->regs + w->cta->program->slot[reg]};
}

/* Flip the 32-bit place (or the predicate); returns what it holds before and after. */
static void flip_place(struct injector *j, const struct simt_reg *row, int half, int lane,
                       uint64_t *before, uint64_t *after)
{
    uint64_t whole = simt_lane_get(row, lane), part = whole >> 32 * half & UINT32_MAX;
    *before = part;
    *after = inject_flip(&j->fault, part, j->space->cell_bits, lane);
    simt_lane_set(row, lane, whole ^ (part ^ *after) << 32 * half);
}

static void strike_register(struct injector *j, struct warp *now, uint32_t insn, uint64_t cell)
{
    uint32_t thread = (uint32_t)(cell / j->space->per_thread),
             nth = (uint32_t)(cell % j->space->per_thread);
    struct warp *w = now - now->index + thread / SIMT_LANES;
    int chosen = (int)(thread % SIMT_LANES);
    uint32_t left = j->space->n_threads - w->index * SIMT_LANES;
    uint32_t all = left >= SIMT_LANES ? UINT32_MAX : ((uint32_t)1 << left) - 1;
    uint32_t lanes = j->fault.kind.scope == SCOPE_THREAD ? (uint32_t)1 << chosen : all;
    uint32_t pc, reg = 0, held = 0;
    int half = 0;
    j->strike.warp = w->index;
    j->strike.lane = (uint32_t)chosen;
    j->strike.lanes = (uint32_t)__builtin_popcount(lanes);
    bool there = thread_pc(w, chosen, now, insn, &pc) && find_register(j, pc, nth, &reg, &half);
    if (there) {
        j->strike.has_cell = true;
        j->strike.cell = reg;
    }
    memset(j->registers, -1, sizeof j->registers);
    for (; lanes; lanes &= lanes - 1) {
        int lane = __builtin_ctz(lanes), h;
        uint32_t r;
        uint64_t before = 0, after = inject_flip(&j->fault, 0, j->space->cell_bits, lane);
        if (thread_pc(w, lane, now, insn, &pc) && find_register(j, pc, nth, &r, &h)) {
            struct simt_reg row = row_of(j, w, r);
            flip_place(j, &row, h, lane, &before, &after);
            j->registers[lane] = (int32_t)r;
            if (there && r == reg && h == half)
                held |= (uint32_t)1 << lane;
        }
        if (lane == chosen) {
            j->strike.before = before;
            j->strike.after = after;
        }
    }
    j->held = (struct held){.reg = there ? (int32_t)reg : -1, .lanes = held, .half = half};
}

/* ---- Index registers ---------------------------------------------------------------------------- */

static uint32_t index_value(const struct warp *w, int lane, enum ptx_special special)
{
    const struct simt_launch *l = w->cta->launch;
    uint32_t t = w->index * SIMT_LANES + (uint32_t)lane;
    uint64_t c = w->cta->number;
    switch (special) {
    case PTX_SPECIAL_TID_X:
        return t % l->block[0];
    case PTX_SPECIAL_TID_Y:
        return t / l->block[0] % l->block[1];
    case PTX_SPECIAL_TID_Z:
        return t / l->block[0] / l->block[1];
    case PTX_SPECIAL_CTAID_X:
        return (uint32_t)(c % l->grid[0]);
    case PTX_SPECIAL_CTAID_Y:
        return (uint32_t)(c / l->grid[0] % l->grid[1]);
    case PTX_SPECIAL_CTAID_Z:
        return (uint32_t)(c / l->grid[0] / l->grid[1]);
    default:
        return w->index;
    }
}

static void flip_index(struct injector *j, struct warp *w, uint32_t lanes, enum ptx_special special,
                       int as_lane)
{
    uint32_t slot = w->cta->program->special[special];
    struct simt_reg row = {32, w->regs + slot};
    for (; slot && lanes; lanes &= lanes - 1) {
        int lane = __builtin_ctz(lanes);
        simt_lane_set(
            &row, lane,
            inject_flip(&j->fault, simt_lane_get(&row, lane), 32, as_lane < 0 ? lane : as_lane));
    }
}

/* Cells: of each thread its three, then each warp's number, then the CTA's three. */
static void strike_index(struct injector *j, struct warp *now, uint64_t cell)
{
    uint64_t of_threads = INDICES * (uint64_t)j->space->n_threads;
    struct warp *warps = now - now->index, *w = now;
    enum ptx_special special;
    uint32_t lanes = UINT32_MAX;
    int chosen = 0, as_lane = 0;
    if (cell < of_threads) {
        uint32_t thread = (uint32_t)(cell / INDICES);
        special = (enum ptx_special)(PTX_SPECIAL_TID_X + cell % INDICES);
        w = warps + thread / SIMT_LANES;
        chosen = (int)(thread % SIMT_LANES);
        as_lane = -1;
        lanes = j->fault.kind.scope == SCOPE_THREAD ? (uint32_t)1 << chosen : UINT32_MAX;
    } else if (cell < of_threads + now->cta->n_warps) {
        special = PTX_SPECIAL_WARPID;
        w = warps + (cell - of_threads);
    } else {
        special = (enum ptx_special)(PTX_SPECIAL_CTAID_X + (cell - of_threads - now->cta->n_warps));
    }
    uint32_t before = index_value(w, chosen, special);
    j->strike.warp = w->index;
    j->strike.lane = (uint32_t)chosen;
    j->strike.lanes = as_lane < 0 ? (uint32_t)__builtin_popcount(lanes) : 1;
    j->strike.has_cell = true;
    j->strike.cell = special;
    j->strike.before = before;
    j->strike.after = inject_flip(&j->fault, before, 32, as_lane < 0 ? chosen : as_lane);
    if (special >= PTX_SPECIAL_CTAID_X && special <= PTX_SPECIAL_CTAID_Z)
        for (uint32_t i = 0; i < now->cta->n_warps; i++)
            flip_index(j, warps + i, lanes, special, as_lane);
    else
        flip_index(j, w, lanes, special, as_lane);
}

/* ---- Memory ------------------------------------------------------------------------------------- */

static void strike_word(struct injector *j, uint8_t *at, uint64_t address)
{
    uint32_t word;
    memcpy(&word, at, sizeof word);
    j->strike.has_cell = true;
    j->strike.cell = address;
    j->strike.before = word;
    word = (uint32_t)inject_flip(&j->fault, word, 32, 0);
    j->strike.after = word;
    memcpy(at, &word, sizeof word);
    j->held = (struct held){.reg = -1, .word = true, .memory = at};
}

static void strike_memory(struct injector *j, struct warp *w, uint64_t cell)
{
    j->strike.warp = w->index;
    if (j->fault.kind.where == WHERE_SHARED) {
        strike_word(j, w->shared.data + 4 * cell, 4 * cell);
        return;
    }
    uint64_t address = injector_word(j->space, cell), at = address - w->global.base;
    strike_word(j, w->global.data + at, address);
    w->written[at / SIMT_CHUNK / 64] |= (uint64_t)1 << at / SIMT_CHUNK % 64;
}

void injector_strike_cell(struct injector *j, struct warp *w, uint32_t insn, uint64_t cell)
{
    j->strike = (struct strike){
        .insn = insn, .lanes = 1, .bits = j->space->cell_bits, .issued = injector_issued(w, insn)};
    if (j->space->per_thread)
        strike_register(j, w, insn, cell);
    else if (j->fault.kind.where == WHERE_INDEX)
        strike_index(j, w, cell);
    else
        strike_memory(j, w, cell);
}

/* ---- Stuck-at ----------------------------------------------------------------------------------- */

void injector_hold(struct injector *j, const struct simt_step *step)
{
    const struct held *h = &j->held;
    const struct ptx_insn *i = ptx_insn_at(j->kernel, step->insn);
    uint64_t before, after;
    if (h->word) {
        uint32_t word;
        memcpy(&word, h->memory, sizeof word);
        word = (uint32_t)inject_flip(&j->fault, word, 32, 0);
        memcpy(h->memory, &word, sizeof word);
        return;
    }
    if (h->reg < 0 || step->warp != j->strike.warp)
        return;
    for (int n = 0, kept = 0; n < i->n_dst; n++) {
        if (i->dst[n] < 0)
            continue;
        const struct simt_reg *r = &step->dst[kept++];
        if (i->dst[n] != h->reg)
            continue;
        for (uint32_t lanes = h->lanes; lanes; lanes &= lanes - 1) {
            int lane = __builtin_ctz(lanes);
            if (j->fault.kind.where == WHERE_REGISTER || j->fault.kind.where == WHERE_PREDICATE)
                flip_place(j, r, h->half, lane, &before, &after);
            else
                simt_lane_set(r, lane,
                              inject_flip(&j->fault, simt_lane_get(r, lane), r->bits, lane));
        }
    }
}
