/* Runs launches: CTAs one after another, warps round-robin between barriers, paths of a warp that
 * diverged one after another until they meet at the immediate post-dominator. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "simt/mem.h"
#include "simt/priv.h"

enum { MAX_THREADS = 1024, N_PROGRAMS = 16 };

struct simt {
    const struct lanes *lanes;
    struct program *programs[N_PROGRAMS]; /* of kernels run lately, newest first */
    struct warp *warps;
    struct frames *frames; /* of each warp */
    uint8_t *regs, *shared, *local, *constants;
    size_t n_warps, regs_bytes, shared_bytes, local_bytes, constant_bytes;
};

bool simt_lanes_usable(const struct lanes *lanes)
{
    if (lanes == &simt_lanes_portable)
        return true;
    __builtin_cpu_init();
    if (lanes == &simt_lanes_avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512cd");
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("bmi2");
}

static const struct lanes *best_lanes(void)
{
    return simt_lanes_usable(&simt_lanes_avx512) ? &simt_lanes_avx512
           : simt_lanes_usable(&simt_lanes_avx2) ? &simt_lanes_avx2
                                                 : &simt_lanes_portable;
}

struct simt *simt_new_for(const struct lanes *lanes)
{
    struct simt *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    s->lanes = lanes;
    return s;
}

struct simt *simt_new(void) { return simt_new_for(best_lanes()); }

void simt_free(struct simt *s)
{
    if (!s)
        return;
    for (int i = 0; i < N_PROGRAMS; i++)
        simt_program_free(s->programs[i]);
    simt_free_frames(s->frames, s->n_warps);
    free(s->warps);
    free(s->regs);
    free(s->shared);
    free(s->local);
    free(s->constants);
    free(s);
}

/* ---- Launches
 * ------------------------------------------------------------------------------------------ */
uint64_t simt_n_ctas(const struct simt_launch *l)
{
    return (uint64_t)l->grid[0] * l->grid[1] * l->grid[2];
}

static uint64_t n_threads(const struct simt_launch *l)
{
    return (uint64_t)l->block[0] * l->block[1] * l->block[2];
}

int simt_check_launch(const struct simt_launch *l, struct diag *d)
{
    const struct ptx_kernel *k = l->kernel;
    for (int i = 0; i < 3; i++)
        if (l->grid[i] == 0 || l->grid[i] > 0x7fffffffu || l->block[i] == 0 ||
            l->block[i] > MAX_THREADS)
            return diag_fail(
                d, ERR_INPUT, DIAG_NOWHERE,
                "kernel '%s': grid %u,%u,%u of blocks %u,%u,%u: sizes must be positive, a "
                "block's at most %d",
                k->name, l->grid[0], l->grid[1], l->grid[2], l->block[0], l->block[1], l->block[2],
                MAX_THREADS);
    if (n_threads(l) > MAX_THREADS)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                         "kernel '%s': blocks of %llu threads, at most %d", k->name,
                         (unsigned long long)n_threads(l), MAX_THREADS);
    if (k->max_threads && n_threads(l) > k->max_threads)
        return diag_fail(d, ERR_INPUT, k->at, "kernel '%s': blocks of %llu threads, it allows %u",
                         k->name, (unsigned long long)n_threads(l), k->max_threads);
    if (l->dynamic_shared > 256u << 10 || k->shared_bytes > (256u << 10) - l->dynamic_shared)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                         "kernel '%s': %u + %u bytes of shared memory, at most 256 KiB", k->name,
                         k->shared_bytes, l->dynamic_shared);
    if (k->required_threads && n_threads(l) != k->required_threads)
        return diag_fail(d, ERR_INPUT, k->at, "kernel '%s': blocks of %llu threads, it requires %u",
                         k->name, (unsigned long long)n_threads(l), k->required_threads);
    if (k->global_bytes && !l->globals)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                         "kernel '%s': its module's variables have no place in memory", k->name);
    if (k->params_bytes && !l->params)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "kernel '%s': parameters are missing",
                         k->name);
    return OK;
}

/* ---- Preparation
 * --------------------------------------------------------------------------------------- */
static const struct program *program_for(struct simt *s, const struct ptx_kernel *k)
{
    struct program *found = NULL;
    int at = 0;
    for (; at < N_PROGRAMS - 1 && s->programs[at]; at++)
        if (s->programs[at]->hash[0] == k->hash[0] && s->programs[at]->hash[1] == k->hash[1])
            break;
    found = s->programs[at];
    if (!found || found->hash[0] != k->hash[0] || found->hash[1] != k->hash[1]) {
        simt_program_free(found);
        found = simt_lower(k, s->lanes);
    }
    memmove(s->programs + 1, s->programs, (size_t)at * sizeof *s->programs);
    s->programs[0] = found;
    return found;
}

/* At least `bytes` at *p, aligned for vectors; contents are lost when it grows. */
static void reserve(uint8_t **p, size_t *have, size_t bytes)
{
    if (*p && *have >= bytes)
        return;
    free(*p);
    *have = (bytes + 63) / 64 * 64 + 64;
    *p = aligned_alloc(64, *have);
    if (!*p)
        abort();
    memset(*p, 0, *have);
}

static void reserve_warps(struct simt *s, uint32_t n)
{
    if (s->n_warps >= n)
        return;
    free(s->warps);
    simt_free_frames(s->frames, s->n_warps);
    s->warps = aligned_alloc(64, (n * sizeof *s->warps + 63) / 64 * 64);
    s->frames = calloc(n, sizeof *s->frames);
    if (!s->warps || !s->frames)
        abort();
    s->n_warps = n;
}

static void set_all(uint8_t *regs, uint32_t slot, uint32_t value)
{
    for (uint32_t l = 0; slot && l < SIMT_LANES; l++)
        memcpy(regs + slot + 4 * l, &value, 4);
}

static void set_lane(uint8_t *regs, uint32_t slot, uint32_t l, uint32_t value)
{
    if (slot)
        memcpy(regs + slot + 4 * l, &value, 4);
}

/* Special registers that do not change from CTA to CTA. */
static void set_fixed(const struct program *p, const struct simt_launch *l, uint32_t warp,
                      uint8_t *r)
{
    const uint32_t *s = p->special;
    uint64_t threads = n_threads(l);
    for (uint32_t n = 0; n < 3; n++) {
        set_all(r, s[PTX_SPECIAL_NTID_X + n], l->block[n]);
        set_all(r, s[PTX_SPECIAL_NCTAID_X + n], l->grid[n]);
        set_all(r, s[PTX_SPECIAL_NCLUSTERID_X + n], l->grid[n]);
        set_all(r, s[PTX_SPECIAL_CLUSTER_NCTAID_X + n], 1);
    }
    set_all(r, s[PTX_SPECIAL_CLUSTER_NCTARANK], 1);
    for (uint32_t lane = 0; s[PTX_SPECIAL_GLOBALS] && lane < SIMT_LANES; lane++)
        memcpy(r + s[PTX_SPECIAL_GLOBALS] + 8 * lane, &l->globals, 8);
    set_all(r, s[PTX_SPECIAL_WARPID], warp);
    set_all(r, s[PTX_SPECIAL_NWARPID], (uint32_t)((threads + 31) / 32));
    set_all(r, s[PTX_SPECIAL_NSMID], 1);
    set_all(r, s[PTX_SPECIAL_DYNAMIC_SMEM], l->dynamic_shared);
    set_all(r, s[PTX_SPECIAL_TOTAL_SMEM], l->dynamic_shared + l->kernel->shared_bytes);
    for (uint32_t lane = 0; lane < SIMT_LANES; lane++) {
        uint32_t t = warp * SIMT_LANES + lane, below = (1u << lane) - 1;
        set_lane(r, s[PTX_SPECIAL_TID_X], lane, t % l->block[0]);
        set_lane(r, s[PTX_SPECIAL_TID_Y], lane, t / l->block[0] % l->block[1]);
        set_lane(r, s[PTX_SPECIAL_TID_Z], lane, t / l->block[0] / l->block[1]);
        set_lane(r, s[PTX_SPECIAL_LANEID], lane, lane);
        set_lane(r, s[PTX_SPECIAL_LANEMASK_EQ], lane, 1u << lane);
        set_lane(r, s[PTX_SPECIAL_LANEMASK_LT], lane, below);
        set_lane(r, s[PTX_SPECIAL_LANEMASK_LE], lane, below << 1 | 1);
        set_lane(r, s[PTX_SPECIAL_LANEMASK_GE], lane, ~below);
        set_lane(r, s[PTX_SPECIAL_LANEMASK_GT], lane, ~(below << 1 | 1));
    }
}

static void prepare_warp(struct cta *c, struct simt_mem *m, uint32_t index)
{
    struct simt *s = c->s;
    const struct ptx_kernel *k = c->kernel;
    struct warp *w = &s->warps[index];
    *w = (struct warp){.index = index, .cta = c, .trap = &c->trap};
    w->regs = s->regs + (size_t)index * c->program->file_bytes;
    w->global = (struct window){m->data, simt_mem_view(m).base, m->size};
    w->shared = (struct window){s->shared, 0, k->shared_bytes + c->launch->dynamic_shared};
    w->local_stride = k->local_bytes;
    w->local =
        (struct window){s->local + (size_t)index * SIMT_LANES * k->local_bytes, 0, k->local_bytes};
    w->param = (struct window){(uint8_t *)(uintptr_t)c->launch->params, 0, k->params_bytes};
    w->constant = (struct window){s->constants, 0, k->constant_bytes};
    w->frames = k->n_functions > 1 ? &s->frames[index] : NULL;
    w->written = m->written;
    memcpy(w->regs, c->program->image, c->program->file_bytes);
    set_fixed(c->program, c->launch, index, w->regs);
}

static uint64_t pointee_address(const struct ptx_kernel *k, const struct ptx_relocation *r,
                                uint64_t globals)
{
    const struct ptx_symbol *s = &k->symbols[r->symbol];
    uint64_t at = s->address + r->add;
    switch (s->kind) {
    case PTX_SYM_GLOBAL:
        return globals + at;
    case PTX_SYM_CONST:
        return SIMT_CONST_WINDOW + at;
    case PTX_SYM_SHARED:
        return SIMT_SHARED_WINDOW + at;
    case PTX_SYM_FUNCTION:
        return PTX_CODE_WINDOW + 16 * s->address + r->add;
    default:
        return at;
    }
}

/* The module's constant memory, with the addresses in it. */
static void prepare_constants(struct simt *s, const struct ptx_kernel *k, uint64_t globals)
{
    reserve(&s->constants, &s->constant_bytes, k->constant_bytes);
    if (k->constant_bytes)
        memcpy(s->constants, k->constants, k->constant_bytes);
    for (uint32_t i = 0; i < k->n_relocations; i++) {
        uint64_t v = pointee_address(k, &k->relocations[i], globals);
        if (k->relocations[i].constant)
            memcpy(s->constants + k->relocations[i].at, &v, 8);
    }
}

int simt_load_globals(struct simt_mem *m, const struct ptx_kernel *k, uint64_t *address,
                      struct diag *d)
{
    *address = 0;
    if (!k->global_bytes)
        return OK;
    if (simt_mem_alloc(m, k->global_bytes, address, d) != OK)
        return d ? d->code : ERR_INPUT;
    for (size_t i = 0; i < k->n_symbols; i++)
        if (k->symbols[i].init)
            simt_mem_write(m, *address + k->symbols[i].address, k->symbols[i].init,
                           k->symbols[i].bytes);
    for (uint32_t i = 0; i < k->n_relocations; i++) {
        uint64_t v = pointee_address(k, &k->relocations[i], *address);
        if (!k->relocations[i].constant)
            simt_mem_write(m, *address + k->relocations[i].at, &v, 8);
    }
    return OK;
}

static void prepare(struct cta *c, struct simt_mem *m)
{
    struct simt *s = c->s;
    const struct ptx_kernel *k = c->kernel;
    c->n_threads = (uint32_t)n_threads(c->launch);
    c->n_warps = (c->n_threads + SIMT_LANES - 1) / SIMT_LANES;
    reserve(&s->regs, &s->regs_bytes, (size_t)c->n_warps * c->program->file_bytes);
    reserve(&s->shared, &s->shared_bytes, (size_t)k->shared_bytes + c->launch->dynamic_shared);
    reserve(&s->local, &s->local_bytes, (size_t)c->n_warps * SIMT_LANES * k->local_bytes);
    reserve_warps(s, c->n_warps);
    prepare_constants(s, k, c->launch->globals);
    for (uint32_t i = 0; i < c->n_warps; i++)
        prepare_warp(c, m, i);
}

static enum code_variant variant_for(const struct simt_hook *h)
{
    if (!h)
        return CODE_PLAIN;
    if (h->step || h->access || h->watch_changes)
        return CODE_HOOKED;
    return h->watch ? CODE_WATCHED : CODE_PLAIN;
}

static void begin_cta(struct cta *c, uint64_t number)
{
    struct simt *s = c->s;
    const struct simt_launch *l = c->launch;
    const struct program *p = c->program;
    uint32_t id[3] = {(uint32_t)(number % l->grid[0]), (uint32_t)(number / l->grid[0] % l->grid[1]),
                      (uint32_t)(number / l->grid[0] / l->grid[1])};
    c->number = number;
    c->issued = 0;
    c->live = c->n_threads;
    c->variant = variant_for(c->hook);
    c->detached = false;
    memset(c->arrived, 0, sizeof c->arrived);
    memset(c->expected, 0, sizeof c->expected);
    memset(c->said_yes, 0, sizeof c->said_yes);
    memset(s->shared, 0, (size_t)c->kernel->shared_bytes + l->dynamic_shared);
    memset(s->local, 0, (size_t)c->n_warps * SIMT_LANES * c->kernel->local_bytes);
    for (uint32_t i = 0; i < c->n_warps; i++) {
        struct warp *w = &s->warps[i];
        uint32_t left = c->n_threads - i * SIMT_LANES;
        w->live = left >= SIMT_LANES ? SIMT_FULL_MASK : (1u << left) - 1;
        w->used_paths = 1;
        w->paths[0] =
            (struct path){.reconverge = PTX_NOWHERE, .mask = w->live, .parent = -1, .barrier = -1};
        for (size_t n = 0; n < p->n_zeroed; n++)
            memset(w->regs + p->zeroed[n], 0, p->zeroed_bytes[n]);
        for (uint32_t n = 0; n < 3; n++)
            set_all(w->regs, p->special[PTX_SPECIAL_CTAID_X + n], id[n]);
        for (uint32_t n = 0; n < 3; n++)
            set_all(w->regs, p->special[PTX_SPECIAL_CLUSTERID_X + n], id[n]);
        uint64_t used = c->kernel->frames_bytes;
        for (uint32_t lane = 0; p->special[PTX_SPECIAL_STACK_USED] && lane < SIMT_LANES; lane++)
            memcpy(w->regs + p->special[PTX_SPECIAL_STACK_USED] + 8 * lane, &used, sizeof used);
        if (w->frames)
            simt_begin_frames(w);
    }
}

/* ---- Barriers
 * ---------------------------------------------------------------------------------------------- */
/* What a bar.red gives to the lanes of p that wait at it. */
static void write_reduction(struct cta *c, struct warp *w, const struct path *p, int barrier)
{
    uint32_t insn = p->pc - 1;
    const struct ptx_insn *i = &c->kernel->insns[insn];
    uint32_t yes = c->said_yes[barrier], all = c->arrived[barrier];
    if (!i->n_dst)
        return;
    if (i->dst[0] >= 0) {
        struct simt_reg to = {c->kernel->regs[i->dst[0]].bits,
                              w->regs + c->program->slot[i->dst[0]]};
        uint64_t v = i->what == PTX_BAR_POPC ? yes : i->what == PTX_BAR_AND ? yes == all : yes > 0;
        for (uint32_t m = p->mask; m; m &= m - 1)
            simt_lane_set(&to, __builtin_ctz(m), v);
    }
    w->started_at = p->pc;
    if (c->variant == CODE_HOOKED)
        simt_call_hook(w, insn, p->mask);
}

static void release(struct cta *c, int barrier)
{
    for (uint32_t i = 0; i < c->n_warps; i++) {
        struct warp *w = &c->s->warps[i];
        for (uint64_t used = w->used_paths; used; used &= used - 1) {
            struct path *p = &w->paths[__builtin_ctzll(used)];
            if (p->barrier != barrier)
                continue;
            p->barrier = -1;
            write_reduction(c, w, p, barrier);
        }
    }
    c->arrived[barrier] = c->expected[barrier] = c->said_yes[barrier] = 0;
}

/* After an arrival, or threads that ended: is the barrier one that nothing waits for any more? */
static void check_barrier(struct cta *c, int b)
{
    if (c->arrived[b] && c->arrived[b] >= (c->expected[b] ? c->expected[b] : c->live))
        release(c, b);
}

/* Each lane's value of an operand of a control instruction. */
static void operand_values(const struct cta *c, const struct warp *w, const struct ptx_operand *o,
                           uint64_t *out)
{
    struct simt_reg reg = {0};
    if (o->kind == PTX_REG)
        reg =
            (struct simt_reg){c->kernel->regs[o->index].bits, w->regs + c->program->slot[o->index]};
    else if (o->kind == PTX_SPECIAL && c->program->special[o->index])
        reg =
            (struct simt_reg){ptx_special_bits(o->index), w->regs + c->program->special[o->index]};
    for (int l = 0; l < SIMT_LANES; l++)
        out[l] = reg.lanes ? simt_lane_get(&reg, l) ^ o->negated : o->value;
}

static uint32_t operand_value(const struct cta *c, const struct warp *w,
                              const struct ptx_operand *o)
{
    uint64_t v[SIMT_LANES];
    if (o->kind == PTX_IMM)
        return (uint32_t)o->value;
    operand_values(c, w, o, v);
    return (uint32_t)v[__builtin_ctz(w->path_mask)];
}

/* Lanes of p come to a barrier; p waits there unless it is bar.arrive. */
static void arrive(struct cta *c, struct warp *w, struct path *p, const struct ptx_insn *i,
                   uint32_t lanes)
{
    uint32_t id = operand_value(c, w, &i->src[0]) % SIMT_BARRIERS;
    bool red = i->n_dst > 0, count = i->n_src > (red ? 2 : 1);
    if (count)
        c->expected[id] = operand_value(c, w, &i->src[1]);
    if (red) {
        uint64_t yes[SIMT_LANES];
        operand_values(c, w, &i->src[i->n_src - 1], yes);
        for (uint32_t m = lanes; m; m &= m - 1)
            c->said_yes[id] += (uint32_t)(yes[__builtin_ctz(m)] & 1);
    }
    if (i->what != PTX_BAR_ARRIVE)
        p->barrier = (int8_t)id;
    c->arrived[id] += simt_count_lanes(lanes);
    check_barrier(c, (int)id);
}

/* ---- Hooks
 * -----------------------------------------------------------------------------------------------------
 */
uint64_t simt_lane_get(const struct simt_reg *r, int lane)
{
    switch (r->bits) {
    case 1:
        return ((const uint32_t *)r->lanes)[0] >> lane & 1;
    case 16:
        return ((const uint16_t *)r->lanes)[lane];
    case 32:
        return ((const uint32_t *)r->lanes)[lane];
    default:
        return ((const uint64_t *)r->lanes)[lane];
    }
}

void simt_lane_set(const struct simt_reg *r, int lane, uint64_t value)
{
    switch (r->bits) {
    case 1: {
        uint32_t *mask = r->lanes;
        *mask = (*mask & ~(1u << lane)) | (uint32_t)(value & 1) << lane;
        break;
    }
    case 16:
        ((uint16_t *)r->lanes)[lane] = (uint16_t)value;
        break;
    case 32:
        ((uint32_t *)r->lanes)[lane] = (uint32_t)value;
        break;
    default:
        ((uint64_t *)r->lanes)[lane] = value;
        break;
    }
}

void simt_call_hook(struct warp *w, uint32_t insn, uint32_t mask)
{
    struct cta *c = w->cta;
    const struct ptx_insn *i = &c->kernel->insns[insn];
    if (!c->hook->step || c->detached)
        return;
    struct simt_step step = {.kernel = c->kernel,
                             .insn = insn,
                             .cta = c->number,
                             .warp = w->index,
                             .mask = mask,
                             .issued = c->issued + insn - (uint64_t)w->started_at};
    for (int n = 0; n < i->n_dst; n++)
        if (i->dst[n] >= 0)
            step.dst[step.n_dst++] = (struct simt_reg){c->kernel->regs[i->dst[n]].bits,
                                                       w->regs + c->program->slot[i->dst[n]]};
    c->detached = !c->hook->step(c->hook->ctx, &step);
}

void simt_call_watch(struct warp *w, uint32_t insn)
{
    const struct simt_hook *hook = w->cta->hook;
    if (hook->watch && !w->cta->detached)
        hook->watch(hook->ctx, w, insn);
}

/* The access that the next step is about to make, where it lies in mapped pages. */
void simt_call_access(struct warp *w, const struct code *step, uint32_t mask)
{
    struct cta *c = w->cta;
    const struct ptx_insn *i = &c->kernel->insns[step->insn];
    const uint64_t *base = (const uint64_t *)(const void *)(w->regs + step->a);
    bool atomic = i->op == PTX_ATOM || i->op == PTX_RED;
    uint32_t n = atomic || i->op == PTX_COPY ? 1 : i->op == PTX_ST ? i->n_src : i->n_dst;
    struct simt_access access = {.store = i->op == PTX_ST, .bytes = i->mem_bits / 8u * n};
    if (!c->hook->access)
        return;
    for (uint32_t m = mask; m; m &= m - 1) {
        int l = __builtin_ctz(m);
        uint64_t at = base[l] + (uint64_t)step->add, offset = at - w->global.base;
        if (offset <= w->global.size && w->global.size - offset >= access.bytes) {
            access.mask |= 1u << l;
            access.address[l] = at;
        }
    }
    if (access.mask)
        c->hook->access(c->hook->ctx, &access);
    access.store = true;
    if (access.mask && atomic)
        c->hook->access(c->hook->ctx, &access);
}

/* ---- The run loop
 * ------------------------------------------------------------------------------------------------
 */
static void trap(struct cta *c, const struct warp *w, enum trap_kind kind, uint32_t insn)
{
    c->trap.kind = kind;
    c->trap.insn = insn;
    c->trap.lane = (uint32_t)__builtin_ctz(w->path_mask);
}

static struct path *branch_table(struct cta *c, struct warp *w, struct path *p, uint32_t insn,
                                 uint32_t lanes)
{
    const struct ptx_insn *i = &c->kernel->insns[insn];
    uint64_t index[SIMT_LANES];
    operand_values(c, w, &i->src[0], index);
    for (uint32_t m = lanes; m; m &= m - 1)
        if ((uint32_t)index[__builtin_ctz(m)] >= i->n_targets) {
            trap(c, w, TRAP_INVALID_PC, insn);
            c->trap.lane = (uint32_t)__builtin_ctz(m);
            c->trap.address = index[__builtin_ctz(m)];
            return NULL;
        }
    return simt_branch_table(w, p, i, insn, lanes, index);
}

/* Of CUDA's run-time system: results are zero. */
static void call_runtime(struct warp *w, const struct ptx_call *call, uint32_t lanes)
{
    uint32_t slot = w->cta->program->special[PTX_SPECIAL_LOCAL_FRAME];
    for (uint32_t m = lanes; m; m &= m - 1) {
        int l = __builtin_ctz(m);
        uint64_t base = 0;
        if (slot)
            memcpy(&base, w->regs + slot + 8 * l, 8);
        for (uint32_t n = 0; n < call->n_rets; n++)
            memset(w->local.data + (uint64_t)l * w->local_stride + base + call->rets[n].address, 0,
                   call->rets[n].bytes);
    }
}

static struct path *call(struct cta *c, struct warp *w, struct path *p, uint32_t insn,
                         uint32_t lanes)
{
    const struct ptx_insn *i = &c->kernel->insns[insn];
    uint64_t pointer[SIMT_LANES] = {0};
    if (i->call->runtime) {
        call_runtime(w, i->call, lanes);
        if (i->call->fails)
            trap(c, w, TRAP_INVALID_PC, insn);
        return p;
    }
    if (i->n_src)
        operand_values(c, w, &i->src[0], pointer);
    if (!w->frames) { /* through a pointer, and there is no function to point to */
        trap(c, w, TRAP_INVALID_PC, insn);
        c->trap.address = pointer[__builtin_ctz(lanes)];
        return NULL;
    }
    return simt_call(w, p, insn, lanes, pointer, &c->trap);
}

static void return_or_end(struct cta *c, struct warp *w, struct path *p, const struct ptx_insn *i,
                          uint32_t lanes)
{
    if (!lanes)
        return;
    if (i->op == PTX_RET && p->frame) {
        simt_return(w, p, lanes);
        return;
    }
    simt_end_threads(c, w, p, lanes);
    if (!p->mask)
        simt_end_path(w, p);
    for (int b = 0; b < SIMT_BARRIERS; b++)
        check_barrier(c, b);
}

/* The control instruction at which path p stopped. Returns the path to go on with, NULL to choose.
 */
static struct path *control(struct cta *c, struct warp *w, struct path *p, const struct code *stop)
{
    const struct ptx_insn *i = &c->kernel->insns[stop->insn];
    uint32_t lanes = p->mask;
    if (c->variant != CODE_PLAIN)
        simt_call_watch(w, stop->insn);
    if (i->guard >= 0) {
        uint32_t pred;
        memcpy(&pred, w->regs + c->program->slot[i->guard], 4);
        lanes &= i->guard_negated ? ~pred : pred;
        w->masked_off += simt_count_lanes(p->mask & ~lanes);
    }
    if (c->variant == CODE_HOOKED && lanes && !i->n_dst) /* a barrier's result comes later */
        simt_call_hook(w, stop->insn, lanes);
    p->pc = stop->insn + 1;
    switch ((enum stop_kind)stop->kind) {
    case STOP_BRANCH:
        if (lanes && lanes != p->mask)
            return simt_diverge(w, p, i, stop->insn, lanes);
        if (lanes)
            p->pc = i->target;
        return p;
    case STOP_TABLE:
        return lanes ? branch_table(c, w, p, stop->insn, lanes) : p;
    case STOP_CALL:
        return lanes ? call(c, w, p, stop->insn, lanes) : p;
    case STOP_BARRIER:
        if (lanes && lanes != p->mask &&
            i->what != PTX_BAR_ARRIVE) { /* the others go on: a path of their own */
            struct path rest = *p;
            rest.mask = p->mask & ~lanes;
            p->mask = lanes;
            simt_add_path(w, rest);
        }
        if (lanes)
            arrive(c, w, p, i, lanes);
        break;
    case STOP_RETURN:
        return_or_end(c, w, p, i, lanes);
        break;
    case STOP_TRAP:
        if (lanes)
            trap(c, w, TRAP_INVALID_PC, stop->insn);
        break;
    case STOP_JOIN:
    case STOP_NOT:
        break;
    }
    return NULL;
}

/* Count what ran since the path was entered. Hooked code is counted here, plain code counts itself.
 */
static void account(struct cta *c, struct warp *w, struct simt_counts *n, const struct code *stop)
{
    uint64_t issued = c->limit - (uint64_t)w->left - c->issued;
    if (!stop) { /* a trap in the middle of a segment; its instruction is not counted */
        uint32_t start =
            c->variant != CODE_PLAIN ? w->started_at : c->program->segment[c->trap.insn];
        issued += c->trap.insn - start;
    } else if (c->variant != CODE_PLAIN) {
        issued += stop->insn - w->started_at + (stop->kind != STOP_JOIN);
    }
    c->issued += issued;
    w->left = (int64_t)(c->limit - c->issued);
    n->warp_insns += issued;
    n->thread_insns += issued * w->path_lanes;
}

static const struct code *run_path(struct cta *c, struct warp *w, const struct path *p)
{
    const struct code *start = c->program->entry[c->variant][p->pc];
    w->path_mask = p->mask;
    w->path_lanes = simt_count_lanes(p->mask);
    w->path_reconverge = p->reconverge;
    w->started_at = p->pc;
    w->running = (uint32_t)(p - w->paths);
    w->left = (int64_t)(c->limit - c->issued);
    if (p->mask != SIMT_FULL_MASK && p->mask != w->mask_of_lanes)
        c->s->lanes->set_lanes(w, p->mask);
    return simt_enter(w, start, w->regs, p->mask);
}

/* Run path p until it has to stop. Returns the path to go on with; NULL after a trap, or if there
 * is none that is ready. */
static struct path *advance(struct cta *c, struct warp *w, struct path *p,
                            struct simt_counts *counts)
{
    if (p->reconverge == p->pc) {
        simt_end_path(w, p);
        return simt_ready_path(w);
    }
    const struct code *stop = run_path(c, w, p);
    account(c, w, counts, stop);
    if (!stop)
        return NULL;                /* the step filled in the trap */
    w->started_at = stop->insn + 1; /* what a hook hears of the control instruction */
    if (stop->kind == STOP_JOIN)
        p->pc = stop->insn;
    else
        p = control(c, w, p, stop);
    if (c->detached)
        c->variant = CODE_PLAIN;
    if (c->trap.kind == TRAP_NONE && c->issued > c->limit)
        trap(c, w, TRAP_HANG, stop->insn);
    if (c->trap.kind != TRAP_NONE)
        return NULL;
    return p ? p : simt_ready_path(w);
}

/* Run the warp until all its paths wait or it has none, or a trap. */
static void run_warp(struct cta *c, struct warp *w, struct simt_counts *counts)
{
    for (struct path *p = simt_ready_path(w); p;)
        p = advance(c, w, p, counts);
}

bool simt_run_alone(struct cta *c, struct warp *w)
{
    struct simt_counts counts = {0};
    for (struct path *p = simt_ready_path(w); p && p != w->paths;)
        p = advance(c, w, p, &counts);
    bool waits = false;
    for (uint64_t used = w->used_paths; used; used &= used - 1)
        waits |= w->paths[__builtin_ctzll(used)].barrier >= 0;
    c->trap.warp = w->index;
    return c->trap.kind == TRAP_NONE && !waits;
}

/* Lanes beyond their limit leave all their paths. */
static void drop_lanes(struct warp *w, uint32_t lanes)
{
    w->live &= ~lanes;
    for (uint64_t used = w->used_paths & ~1ull; used;) {
        int slot = 63 - __builtin_clzll(used);
        struct path *p = &w->paths[slot];
        used &= ~(1ull << slot);
        if (p->children)
            continue;
        p->mask &= ~lanes;
        if (!p->mask) {
            simt_end_path(w, p);
            used = w->used_paths & ~1ull;
        }
    }
}

bool simt_run_lanes(struct cta *c, struct warp *w, const uint64_t limit[SIMT_LANES],
                    uint64_t count[SIMT_LANES], uint32_t *hung)
{
    struct simt_counts counts = {0};
    *hung = 0;
    memset(count, 0, SIMT_LANES * sizeof *count);
    for (struct path *p = simt_ready_path(w); p && p != w->paths;) {
        uint32_t mask = p->mask;
        uint64_t most = 0, before = c->issued;
        for (uint32_t m = mask; m; m &= m - 1) {
            int l = __builtin_ctz(m);
            most = limit[l] > count[l] && limit[l] - count[l] > most ? limit[l] - count[l] : most;
        }
        c->limit = before + most;
        p = advance(c, w, p, &counts);
        for (uint32_t m = mask; m; m &= m - 1)
            count[__builtin_ctz(m)] += c->issued - before;
        if (c->trap.kind == TRAP_HANG) {
            c->trap = (struct simt_trap){0};
            *hung |= mask;
            drop_lanes(w, mask);
            p = simt_ready_path(w);
        } else if (c->trap.kind != TRAP_NONE) {
            return false;
        }
    }
    return true;
}

/* ---- Forks
 * -------------------------------------------------------------------------------------------------------
 */
const struct lists *simt_lists(const struct simt *s) { return s->lanes->lists; }
struct warp *simt_warp(struct simt *s, uint32_t index) { return &s->warps[index]; }

void simt_fork(struct cta *copy, struct simt *to, const struct cta *c, const struct warp *w,
               uint32_t insn, struct simt_mem *m)
{
    const struct simt *from = c->s;
    size_t regs = (size_t)c->n_warps * c->program->file_bytes;
    size_t shared = (size_t)c->kernel->shared_bytes + c->launch->dynamic_shared;
    size_t local = (size_t)c->n_warps * SIMT_LANES * c->kernel->local_bytes;
    reserve(&to->regs, &to->regs_bytes, regs);
    reserve(&to->shared, &to->shared_bytes, shared);
    reserve(&to->local, &to->local_bytes, local);
    reserve_warps(to, c->n_warps);
    memcpy(to->regs, from->regs, regs);
    memcpy(to->shared, from->shared, shared);
    memcpy(to->local, from->local, local);
    memcpy(to->warps, from->warps, c->n_warps * sizeof *to->warps);
    *copy = *c;
    copy->s = to;
    copy->hook = NULL;
    copy->variant = CODE_PLAIN;
    /* plain code counts a segment at its end, as if it began where the segment does */
    copy->issued = c->issued + c->program->segment[insn] - (uint64_t)w->started_at;
    for (uint32_t i = 0; i < c->n_warps; i++) {
        struct warp *x = &to->warps[i];
        x->cta = copy;
        x->trap = &copy->trap;
        x->regs = to->regs + (size_t)i * c->program->file_bytes;
        x->shared.data = to->shared;
        x->local.data = to->local + (size_t)i * SIMT_LANES * c->kernel->local_bytes;
        x->global.data = m->data;
        x->written = m->written;
    }
    to->warps[w->index].paths[w->running].pc = insn;
}

static void run_cta(struct cta *c, struct simt_counts *counts);

void simt_run_on(struct cta *c, uint32_t warp, struct simt_counts *counts)
{
    for (uint32_t i = warp; i < c->n_warps && c->trap.kind == TRAP_NONE; i++) {
        run_warp(c, &c->s->warps[i], counts);
        c->trap.warp = i;
    }
    if (c->trap.kind == TRAP_NONE)
        run_cta(c, counts);
    if (c->trap.kind != TRAP_NONE) {
        c->trap.cta = c->number;
        c->trap.at = c->kernel->insns[c->trap.insn].at;
    }
}

static bool any_ready(struct cta *c)
{
    for (uint32_t i = 0; i < c->n_warps; i++)
        if (simt_ready_path(&c->s->warps[i]))
            return true;
    return false;
}

static void run_cta(struct cta *c, struct simt_counts *counts)
{
    while (c->live > 0) {
        for (uint32_t i = 0; i < c->n_warps && c->trap.kind == TRAP_NONE; i++) {
            run_warp(c, &c->s->warps[i], counts);
            if (c->trap.kind != TRAP_NONE)
                c->trap.warp = i;
        }
        if (c->trap.kind != TRAP_NONE)
            return;
        if (c->live > 0 && !any_ready(c)) {
            struct warp *w = c->s->warps;
            while (!w->live)
                w++;
            struct path *p = &w->paths[__builtin_ctzll(w->used_paths)];
            for (uint64_t used = w->used_paths; p->barrier < 0; used &= used - 1)
                p = &w->paths[__builtin_ctzll(used)];
            w->path_mask = p->mask;
            trap(c, w, TRAP_BARRIER_DEADLOCK, p->pc - 1);
            c->trap.warp = w->index;
        }
    }
}

/* ---- Checkpoints ------------------------------------------------------------------------------------- */
struct part { /* of a CTA's state */
    void *at;
    size_t bytes;
};

static void parts_of(const struct cta *c, struct part part[4])
{
    const struct simt *s = c->s;
    part[0] = (struct part){s->warps, c->n_warps * sizeof *s->warps};
    part[1] = (struct part){s->regs, (size_t)c->n_warps * c->program->file_bytes};
    part[2] = (struct part){s->shared, (size_t)c->kernel->shared_bytes + c->launch->dynamic_shared};
    part[3] = (struct part){s->local, (size_t)c->n_warps * SIMT_LANES * c->kernel->local_bytes};
}

struct simt_checkpoint *simt_checkpoint(const struct warp *w)
{
    const struct cta *c = w->cta;
    struct part part[4];
    size_t bytes = sizeof(struct simt_checkpoint), at = 0;
    if (w->frames)
        return NULL;
    parts_of(c, part);
    for (int i = 0; i < 4; i++)
        bytes += part[i].bytes;
    struct simt_checkpoint *k = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!k)
        abort();
    *k = (struct simt_checkpoint){.bytes = bytes,
                                  .warp = w->index,
                                  .n_warps = c->n_warps,
                                  .cta = c->number,
                                  .issued = c->issued,
                                  .live = c->live};
    memcpy(k->arrived, c->arrived, sizeof k->arrived);
    memcpy(k->expected, c->expected, sizeof k->expected);
    memcpy(k->said_yes, c->said_yes, sizeof k->said_yes);
    for (int i = 0; i < 4; at += part[i++].bytes)
        if (part[i].bytes)
            memcpy(k->state + at, part[i].at, part[i].bytes);
    return k;
}

/* The other way round; what belongs to this run and this simulator stays. */
static void restore(struct cta *c, const struct simt_checkpoint *k)
{
    struct part part[4];
    size_t at = 0;
    parts_of(c, part);
    c->number = k->cta;
    c->issued = k->issued;
    c->live = k->live;
    memcpy(c->arrived, k->arrived, sizeof k->arrived);
    memcpy(c->expected, k->expected, sizeof k->expected);
    memcpy(c->said_yes, k->said_yes, sizeof k->said_yes);
    for (uint32_t i = 0; i < c->n_warps; i++) {
        struct warp *w = &c->s->warps[i], mine = *w;
        memcpy(w, k->state + i * sizeof *w, sizeof *w);
        w->global = mine.global;
        w->shared = mine.shared;
        w->local = mine.local;
        w->param = mine.param;
        w->constant = mine.constant;
        w->written = mine.written;
        w->trap = mine.trap;
        w->cta = mine.cta;
        w->regs = mine.regs;
        w->frames = NULL;
        w->masked_off = 0;
    }
    for (int i = 0; i < 4; at += part[i++].bytes)
        if (i > 0 && part[i].bytes)
            memcpy(part[i].at, k->state + at, part[i].bytes);
}

static void finish_result(const struct cta *c, struct simt_result *result)
{
    for (uint32_t i = 0; i < c->n_warps; i++)
        result->counts.thread_insns -= c->s->warps[i].masked_off;
    if (c->trap.kind != TRAP_NONE) {
        result->trap = c->trap;
        result->trap.cta = c->number;
        result->trap.at = c->kernel->insns[c->trap.insn].at;
    }
}

void simt_run_from(struct simt *s, struct simt_mem *m, const struct simt_launch *l,
                   const struct simt_checkpoint *k, const struct simt_run_options *o,
                   struct simt_result *result)
{
    struct cta c = {.s = s,
                    .launch = l,
                    .kernel = l->kernel,
                    .program = program_for(s, l->kernel),
                    .hook = o->hook,
                    .limit = o->cta_limit ? o->cta_limit[0]
                             : o->limit   ? o->limit
                                          : 1ull << 40,
                    .variant = variant_for(o->hook)};
    *result = (struct simt_result){0};
    prepare(&c, m);
    assert(c.n_warps == k->n_warps);
    restore(&c, k);
    struct warp *w = &s->warps[k->warp];
    for (struct path *p = &w->paths[w->running]; p;)
        p = advance(&c, w, p, &result->counts);
    c.trap.warp = k->warp;
    if (c.trap.kind == TRAP_NONE)
        simt_run_on(&c, k->warp + 1, &result->counts);
    finish_result(&c, result);
}

void simt_run(struct simt *s, struct simt_mem *m, const struct simt_launch *l, uint64_t first,
              uint64_t n, const struct simt_run_options *options, struct simt_result *result)
{
    static const struct simt_run_options plain;
    const struct simt_run_options *o = options ? options : &plain;
    struct cta c = {.s = s,
                    .launch = l,
                    .kernel = l->kernel,
                    .program = program_for(s, l->kernel),
                    .hook = o->hook};
    *result = (struct simt_result){0};
    prepare(&c, m);
    for (uint64_t i = 0; i < n && c.trap.kind == TRAP_NONE; i++) {
        c.limit = o->cta_limit ? o->cta_limit[i] : o->limit ? o->limit : 1ull << 40;
        if (c.hook && c.hook->cta_begin)
            c.hook->cta_begin(c.hook->ctx, first + i);
        begin_cta(&c, first + i);
        run_cta(&c, &result->counts);
        if (c.hook && c.hook->cta_end && c.trap.kind == TRAP_NONE)
            c.hook->cta_end(c.hook->ctx, first + i, c.issued);
    }
    finish_result(&c, result);
}

int simt_must_end(const struct simt_launch *l, const struct simt_result *r, struct diag *d)
{
    if (r->trap.kind == TRAP_NONE)
        return OK;
    return diag_fail(d, ERR_INPUT, r->trap.at, "launch %s stops without any fault: %s", l->label,
                     vocab_word(&vocab_traps, (int)r->trap.kind));
}
