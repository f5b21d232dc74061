/* The hook that applies a fault. */
#include "inject/inject.h"

#include <stdlib.h>
#include <string.h>

#include "inject/priv.h"

struct injector *injector_new(void) { return calloc(1, sizeof(struct injector)); }

void injector_free(struct injector *j)
{
    if (!j)
        return;
    arena_fini(&j->arena);
    free(j);
}

static bool same_population(const struct fault_kind *a, const struct fault_kind *b)
{
    return a->where == b->where && a->population == b->population && a->moment == b->moment &&
           a->flip == b->flip && a->has_arg == b->has_arg && a->arg == b->arg &&
           a->kernel == b->kernel && a->n_kernel == b->n_kernel && a->has_launch == b->has_launch &&
           a->launch == b->launch && a->first_line == b->first_line && a->last_line == b->last_line;
}

/* Spaces are made when a launch is first struck. */
static void learn(struct injector *j, const struct simt_program *p, const struct fault *f)
{
    if (j->program != p || !same_population(&j->kind, &f->kind)) {
        arena_fini(&j->arena);
        j->arena = (struct arena){0};
        j->spaces = arena_array(&j->arena, p->n_launches, sizeof *j->spaces);
        j->program = p;
        j->kind = f->kind;
    }
    j->space = &j->spaces[f->launch];
    if (!j->space->targets)
        inject_space_init(j->space, &j->arena, p, f->launch, &f->kind);
    j->kernel = p->launches[f->launch].kernel;
    j->fault = *f;
    j->seen = 0;
    j->stops_idle = j->idle = false;
    j->strike = (struct strike){0};
    j->restore.row.lanes = NULL;
    j->held = (struct held){0};
}

static int nth_lane(uint32_t mask, uint64_t n)
{
    while (n--)
        mask &= mask - 1;
    return __builtin_ctz(mask);
}

/* Lanes that the fault changes when lane is chosen of those active. */
static uint32_t lanes_struck(const struct injector *j, uint32_t active, int lane)
{
    return j->fault.kind.scope == SCOPE_THREAD ? (uint32_t)1 << lane : active;
}

/* ---- Results ------------------------------------------------------------------------------------- */

/* The PTX register behind the nth destination that the instruction keeps. */
static uint32_t kept_register(const struct ptx_insn *i, uint64_t nth)
{
    for (int n = 0;; n++)
        if (i->dst[n] >= 0 && nth-- == 0)
            return (uint32_t)i->dst[n];
}

static void flip_lanes(struct injector *j, const struct simt_reg *r, uint32_t lanes)
{
    for (; lanes; lanes &= lanes - 1) {
        int lane = __builtin_ctz(lanes);
        simt_lane_set(r, lane, inject_flip(&j->fault, simt_lane_get(r, lane), r->bits, lane));
    }
}

static void strike_result(struct injector *j, const struct simt_step *step, uint64_t site,
                          unsigned targets)
{
    int lane = nth_lane(step->mask, site / targets);
    const struct simt_reg *r = &step->dst[site % targets];
    uint32_t lanes = lanes_struck(j, step->mask, lane);
    uint32_t reg = kept_register(ptx_insn_at(j->kernel, step->insn), site % targets);
    j->strike = (struct strike){.landed = true,
                                .insn = step->insn,
                                .warp = step->warp,
                                .lane = (uint32_t)lane,
                                .reg = (uint32_t)(site % targets),
                                .lanes = (uint32_t)__builtin_popcount(lanes),
                                .bits = r->bits,
                                .has_cell = true,
                                .cell = reg,
                                .before = simt_lane_get(r, lane),
                                .issued = step->issued};
    flip_lanes(j, r, lanes);
    j->strike.after = simt_lane_get(r, lane);
    j->held = (struct held){.reg = (int32_t)reg, .lanes = lanes};
}

static bool result_step(void *ctx, const struct simt_step *step)
{
    struct injector *j = ctx;
    unsigned targets = j->space->targets[step->insn];
    uint64_t sites = targets * (unsigned)__builtin_popcount(step->mask);
    if (j->strike.landed) {
        injector_hold(j, step);
        return true;
    }
    if (j->fault.nth - j->seen >= sites) {
        j->seen += sites;
        return true;
    }
    strike_result(j, step, j->fault.nth - j->seen, targets);
    return kind_is_stuck(&j->fault.kind);
}

/* ---- Addresses ----------------------------------------------------------------------------------- */

/* The base register (or the constant in its place) is changed for this one access and put back after it. */
static void change_address(struct injector *j, struct warp *w, uint32_t insn, uint32_t lanes,
                           int chosen)
{
    const struct ptx_insn *i = ptx_insn_at(j->kernel, insn);
    const struct program *p = w->cta->program;
    struct simt_reg row = {p->base_bits[insn], w->regs + p->base_slot[insn]};
    uint64_t mask = row.bits == 64 ? UINT64_MAX : UINT32_MAX, offset = (uint64_t)i->offset;
    j->restore.row = row;
    j->restore.lanes = lanes;
    for (; lanes; lanes &= lanes - 1) {
        int lane = __builtin_ctz(lanes);
        uint64_t base = simt_lane_get(&row, lane), before = (base + offset) & mask;
        uint64_t after = inject_flip(&j->fault, before, row.bits, lane);
        j->restore.value[lane] = base;
        simt_lane_set(&row, lane, after - offset);
        if (lane == chosen && !j->strike.landed) {
            j->strike.before = before;
            j->strike.after = after;
        }
    }
}

static void address_watch(void *ctx, struct warp *w, uint32_t insn)
{
    struct injector *j = ctx;
    const struct strike *s = &j->strike;
    if (!j->space->targets[insn])
        return;
    uint32_t mask = injector_active(j->kernel, w, insn);
    if (s->landed) { /* stuck: the same instruction of the same threads */
        if (insn == s->insn && w->index == s->warp)
            change_address(j, w, insn, mask & j->held.lanes, -1);
        return;
    }
    uint64_t sites = (unsigned)__builtin_popcount(mask);
    if (j->fault.nth - j->seen >= sites) {
        j->seen += sites;
        return;
    }
    int lane = nth_lane(mask, j->fault.nth - j->seen);
    uint32_t lanes = lanes_struck(j, mask, lane);
    j->strike = (struct strike){.insn = insn,
                                .warp = w->index,
                                .lane = (uint32_t)lane,
                                .lanes = (uint32_t)__builtin_popcount(lanes),
                                .bits = w->cta->program->base_bits[insn],
                                .issued = injector_issued(w, insn)};
    j->held = (struct held){.reg = -1, .lanes = lanes};
    change_address(j, w, insn, lanes, lane);
    j->strike.landed = true;
}

static bool address_step(void *ctx, const struct simt_step *step)
{
    struct injector *j = ctx;
    const struct ptx_insn *i = ptx_insn_at(j->kernel, step->insn);
    if (!j->restore.row.lanes)
        return true;
    bool overwritten = false; /* ld r, [r]: what was loaded stays */
    for (int n = 0; n < i->n_dst; n++)
        overwritten |= i->base.kind == PTX_REG && i->dst[n] == (int32_t)i->base.index;
    for (uint32_t lanes = overwritten ? 0 : j->restore.lanes; lanes; lanes &= lanes - 1) {
        int lane = __builtin_ctz(lanes);
        simt_lane_set(&j->restore.row, lane, j->restore.value[lane]);
    }
    j->restore.row.lanes = NULL;
    return kind_is_stuck(&j->fault.kind);
}

/* ---- Cells --------------------------------------------------------------------------------------- */

static void cell_watch(void *ctx, struct warp *w, uint32_t insn)
{
    struct injector *j = ctx;
    if (j->strike.landed || !j->space->targets[insn])
        return;
    if (j->seen++ < j->fault.nth / j->space->cells)
        return;
    injector_strike_cell(j, w, insn, j->fault.nth % j->space->cells);
    j->strike.landed = true;
    w->cta->detached = !kind_is_stuck(&j->fault.kind);
    j->idle = j->stops_idle && j->fault.kind.scope == SCOPE_THREAD &&
              !kind_is_stuck(&j->fault.kind) &&
              (!j->strike.has_cell || j->strike.before == j->strike.after);
    if (j->idle)
        w->cta->trap.kind = TRAP_HANG;
}

static bool cell_step(void *ctx, const struct simt_step *step)
{
    struct injector *j = ctx;
    if (j->strike.landed)
        injector_hold(j, step);
    return true;
}

/* ---- The hook ------------------------------------------------------------------------------------ */

struct simt_hook injector_arm(struct injector *j, const struct simt_program *p,
                              const struct fault *f)
{
    learn(j, p, f);
    if (kind_is_value(&f->kind))
        return (struct simt_hook){.ctx = j, .step = result_step};
    if (f->kind.where == WHERE_ADDRESS)
        return (struct simt_hook){.ctx = j, .step = address_step, .watch = address_watch};
    return (struct simt_hook){.ctx = j,
                              .watch = cell_watch,
                              .watch_changes = true,
                              .step = kind_is_stuck(&f->kind) ? cell_step : NULL};
}

void injector_stop_idle(struct injector *j) { j->stops_idle = true; }
bool injector_idle(const struct injector *j) { return j->idle; }

void injector_skip(struct injector *j, uint64_t sites)
{
    j->seen = kind_is_cell(&j->fault.kind) ? sites / j->space->cells : sites; /* instants */
}

void injector_before_launch(struct injector *j, const struct simt_program *p, const struct fault *f,
                            struct simt_mem *m)
{
    uint32_t word;
    learn(j, p, f);
    uint64_t address = injector_word(j->space, f->nth);
    simt_mem_read(m, address, &word, sizeof word);
    j->strike = (struct strike){
        .landed = true, .lanes = 1, .bits = 32, .has_cell = true, .cell = address, .before = word};
    word = (uint32_t)inject_flip(f, word, 32, 0);
    j->strike.after = word;
    simt_mem_write(m, address, &word, sizeof word);
}

const struct strike *injector_strike(const struct injector *j) { return &j->strike; }
const int32_t *injector_registers(const struct injector *j) { return j->registers; }
