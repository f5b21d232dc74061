/* Paths of a warp that diverged, and the calls that they make: who waits where for whom. A path that calls
 * a function becomes the function's; the frame remembers the caller. When no path runs the frame any more
 * the lanes that returned go on behind the call, together. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "simt/priv.h"

/* ---- Frames ---------------------------------------------------------------------------------------------- */
enum { MAX_FRAMES = 1 << 16 }; /* of a warp: beyond that is a stack overflow */

void simt_free_frames(struct frames *f, size_t n_warps)
{
    for (size_t w = 0; f && w < n_warps; w++) {
        for (uint32_t i = 0; i < f[w].room; i++)
            free(f[w].v[i].saved), free(f[w].v[i].used);
        free(f[w].v);
    }
    free(f);
}

void simt_begin_frames(struct warp *w)
{
    struct frames *f = w->frames;
    f->n = 1;
    f->free = 0;
    memset(w->regs + w->cta->program->special[PTX_SPECIAL_LOCAL_FRAME], 0, 8 * SIMT_LANES);
}

static uint32_t add_frame(struct frames *f)
{
    uint32_t number = f->free;
    if (number) {
        f->free = f->v[number].outer;
    } else {
        if (f->n >= f->room) {
            uint32_t room = f->room ? 2 * f->room : 16;
            f->v = realloc(f->v, room * sizeof *f->v);
            if (!f->v)
                abort();
            memset(f->v + f->room, 0, (room - f->room) * sizeof *f->v);
            f->room = room;
        }
        number = f->n++;
    }
    return number;
}

static uint64_t *frame_addresses(const struct warp *w)
{
    return (uint64_t *)(void *)(w->regs + w->cta->program->special[PTX_SPECIAL_LOCAL_FRAME]);
}

/* How much of each lane's stack is used; NULL in kernels without alloca. */
static uint64_t *stack_used(const struct warp *w)
{
    uint32_t slot = w->cta->program->special[PTX_SPECIAL_STACK_USED];
    return slot ? (uint64_t *)(void *)(w->regs + slot) : NULL;
}

/* ---- Registers of callers that run again --------------------------------------------------------------------- */
static uint8_t *save_registers(const struct warp *w, uint32_t function)
{
    const struct program *p = w->cta->program;
    uint8_t *saved = malloc(p->frame[function].bytes + 1);
    if (!saved)
        abort();
    memcpy(saved, w->regs + p->frame[function].at, p->frame[function].bytes);
    return saved;
}

static uint64_t *save_used(const struct warp *w)
{
    uint64_t *used = malloc(SIMT_LANES * sizeof *used);
    if (!used)
        abort();
    memcpy(used, stack_used(w), SIMT_LANES * sizeof *used);
    return used;
}

static void restore_registers(struct warp *w, uint32_t function, const uint8_t *saved,
                              uint32_t lanes)
{
    const struct ptx_kernel *k = w->cta->kernel;
    const struct program *p = w->cta->program;
    const struct ptx_function *f = &k->functions[function];
    for (uint32_t reg = f->first_reg; reg < f->first_reg + f->n_regs; reg++) {
        if (!p->slot[reg]) /* not used */
            continue;
        struct simt_reg to = {k->regs[reg].bits, w->regs + p->slot[reg]};
        struct simt_reg from = {to.bits, (uint8_t *)(uintptr_t)saved +
                                             (p->slot[reg] - p->frame[function].at)};
        for (uint32_t m = lanes; m; m &= m - 1)
            simt_lane_set(&to, __builtin_ctz(m), simt_lane_get(&from, __builtin_ctz(m)));
    }
}

/* ---- Paths ------------------------------------------------------------------------------------------------ */
struct path *simt_add_path(struct warp *w, struct path path)
{
    assert(~w->used_paths != 0);
    int slot = __builtin_ctzll(~w->used_paths);
    w->used_paths |= 1ull << slot;
    w->paths[slot] = path;
    if (path.parent >= 0)
        w->paths[path.parent].children++;
    if (path.frame)
        w->frames->v[path.frame].paths++;
    return &w->paths[slot];
}

static bool is_ready(const struct path *p) { return p->children == 0 && p->barrier < 0; }

struct path *simt_ready_path(struct warp *w)
{
    for (uint64_t used = w->used_paths; used;) {
        int slot = 63 - __builtin_clzll(used);
        if (is_ready(&w->paths[slot]))
            return &w->paths[slot];
        used &= ~(1ull << slot);
    }
    return NULL;
}

/* What the callee left goes to the caller's variables; frames of local memory and registers as before. */
static void return_values(struct warp *w, const struct frame *f, uint32_t lanes)
{
    const struct ptx_kernel *k = w->cta->kernel;
    const struct ptx_call *call = k->insns[f->return_pc - 1].call;
    const struct ptx_function *callee = &k->functions[f->callee];
    uint32_t caller = ptx_function_of(k, f->return_pc - 1);
    uint64_t *base = frame_addresses(w);
    for (uint32_t m = lanes; m; m &= m - 1) {
        int l = __builtin_ctz(m);
        uint8_t *local = w->local.data + (uint64_t)l * w->local_stride;
        uint64_t above = base[l] - k->functions[caller].local_bytes;
        for (uint32_t n = 0; n < call->n_rets; n++)
            memcpy(local + above + call->rets[n].address, local + base[l] + callee->rets[n].address,
                   call->rets[n].bytes);
        base[l] = above;
    }
    if (f->saved)
        restore_registers(w, caller, f->saved, lanes);
}

/* The last path of frame p->frame is over. Returns true if lanes go on behind the call, in p's slot. */
static bool pop_frame(struct warp *w, struct path *p)
{
    struct frames *frames = w->frames;
    uint32_t number = p->frame;
    struct frame *f = &frames->v[number];
    uint32_t lanes = f->returned & w->live;
    return_values(w, f, lanes & f->called);
    *p = (struct path){.pc = f->return_pc,
                       .reconverge = f->reconverge,
                       .mask = lanes,
                       .parent = f->parent,
                       .barrier = -1,
                       .frame = f->outer};
    free(f->saved);
    free(f->used);
    f->saved = NULL;
    f->used = NULL;
    f->outer = frames->free;
    frames->free = number;
    return lanes != 0;
}

void simt_end_path(struct warp *w, struct path *p)
{
    for (;;) {
        int8_t parent = p->parent;
        uint32_t frame = p->frame;
        bool inside =
            parent >= 0 && w->paths[parent].frame == frame; /* the parent runs the same frame */
        if (frame && !inside && w->frames->v[frame].paths == 1) {
            if (pop_frame(w, p))
                return;
            continue; /* nobody returned: over in the caller, too */
        }
        if (frame)
            w->frames->v[frame].paths--;
        w->used_paths &= ~(1ull << (p - w->paths));
        if (parent < 0)
            return;
        p = &w->paths[parent];
        p->children--;
        if (p->children > 0 || !inside)
            return;
        p->mask &= w->live & ~(frame ? w->frames->v[frame].returned : 0);
        if (p->mask)
            return;
    }
}

void simt_end_threads(struct cta *c, struct warp *w, struct path *p, uint32_t lanes)
{
    w->live &= ~lanes;
    c->live -= simt_count_lanes(lanes);
    p->mask &= ~lanes;
}

/* ---- Branches --------------------------------------------------------------------------------------------- */
/* Lanes of p go different ways, n of them; they meet at `meet`. Returns the path to run next. */
static struct path *split(struct warp *w, struct path *p, uint32_t meet, const uint32_t *mask,
                          const uint32_t *pc, int n)
{
    struct path child = {
        .reconverge = meet, .parent = (int8_t)(p - w->paths), .barrier = -1, .frame = p->frame};
    bool same = meet == PTX_NOWHERE || p->reconverge == meet;
    if (same) {
        child.parent = p->parent;
        child.reconverge = p->reconverge;
    } else {
        p->pc = meet;
    }
    bool reuse = same;
    struct path *last = p;
    for (int side = 0; side < n; side++) {
        if (pc[side] == meet || !mask[side])
            continue; /* waits in the parent */
        child.mask = mask[side];
        child.pc = pc[side];
        if (reuse) {
            p->mask = child.mask;
            p->pc = child.pc;
            reuse = false;
        } else {
            last = simt_add_path(w, child);
        }
    }
    return last;
}

struct path *simt_diverge(struct warp *w, struct path *p, const struct ptx_insn *i, uint32_t insn,
                          uint32_t taken)
{
    uint32_t mask[2] = {taken, p->mask & ~taken}, pc[2] = {i->target, insn + 1};
    return split(w, p, i->reconverge, mask, pc, 2);
}

/* Lanes with equal values together, the lowest first; lanes that do not take part (`others`) go to `next`. */
static int group_lanes(const uint64_t *value, uint32_t lanes, uint32_t *mask, uint64_t *of)
{
    int n = 0;
    while (lanes) {
        uint64_t v = value[__builtin_ctz(lanes)];
        mask[n] = 0;
        for (uint32_t m = lanes; m; m &= m - 1)
            mask[n] |= (uint32_t)(value[__builtin_ctz(m)] == v) << __builtin_ctz(m);
        of[n] = v;
        lanes &= ~mask[n++];
    }
    return n;
}

struct path *simt_branch_table(struct warp *w, struct path *p, const struct ptx_insn *i,
                               uint32_t insn, uint32_t lanes, const uint64_t *index)
{
    uint32_t mask[SIMT_LANES + 1], pc[SIMT_LANES + 1];
    uint64_t target[SIMT_LANES], of[SIMT_LANES];
    for (uint32_t m = lanes; m; m &= m - 1)
        target[__builtin_ctz(m)] = i->targets[index[__builtin_ctz(m)]];
    int n = group_lanes(target, lanes, mask, of);
    for (int k = 0; k < n; k++)
        pc[k] = (uint32_t)of[k];
    if (p->mask & ~lanes) {
        mask[n] = p->mask & ~lanes;
        pc[n++] = insn + 1;
    }
    if (n == 1) {
        p->pc = pc[0];
        return p;
    }
    return split(w, p, i->reconverge, mask, pc, n);
}

/* ---- Calls -------------------------------------------------------------------------------------------------- */
static uint32_t function_at(const struct ptx_kernel *k, uint64_t address)
{
    for (uint32_t f = 1; f < k->n_functions; f++)
        if (k->functions[f].address == address)
            return f;
    return PTX_NOWHERE;
}

static bool fits(const struct ptx_call *c, const struct ptx_function *f)
{
    bool ok = c->n_args == f->n_params && c->n_rets <= f->n_rets;
    for (uint32_t i = 0; ok && i < c->n_args; i++)
        ok = c->args[i].bytes == f->params[i].bytes;
    for (uint32_t i = 0; ok && i < c->n_rets; i++)
        ok = c->rets[i].bytes == f->rets[i].bytes;
    return ok;
}

/* Parameters into the callee's frame, behind the caller's. False: the lane's stack is too small. */
static bool pass(struct warp *w, int lane, const struct ptx_call *c,
                 const struct ptx_function *caller, const struct ptx_function *callee)
{
    uint64_t *base = frame_addresses(w), below = base[lane] + caller->local_bytes;
    if (below + callee->local_bytes > w->cta->kernel->frames_bytes)
        return false;
    uint8_t *local = w->local.data + (uint64_t)lane * w->local_stride;
    for (uint32_t n = 0; n < c->n_args; n++)
        memcpy(local + below + callee->params[n].address, local + base[lane] + c->args[n].address,
               c->args[n].bytes);
    base[lane] = below;
    return true;
}

/* Through a pointer that is not the same in all lanes: a path for each value; each comes here again. */
static struct path *split_call(struct warp *w, struct path *p, uint32_t insn, uint32_t lanes,
                               const uint64_t *pointer)
{
    uint32_t mask[SIMT_LANES + 1], pc[SIMT_LANES + 1];
    uint64_t of[SIMT_LANES];
    int n = group_lanes(pointer, lanes, mask, of);
    for (int k = 0; k < n; k++)
        pc[k] = insn;
    return split(w, p, insn + 1, mask, pc, n);
}

struct path *simt_call(struct warp *w, struct path *p, uint32_t insn, uint32_t lanes,
                       const uint64_t *pointer, struct simt_trap *trap)
{
    const struct ptx_kernel *k = w->cta->kernel;
    const struct ptx_call *c = k->insns[insn].call;
    uint32_t target = c->function, caller = ptx_function_of(k, insn);
    if (target == PTX_NOWHERE) {
        uint64_t first = pointer[__builtin_ctz(lanes)];
        for (uint32_t m = lanes; m; m &= m - 1)
            if (pointer[__builtin_ctz(m)] != first)
                return split_call(w, p, insn, lanes, pointer);
        target = function_at(k, first);
        if (target == PTX_NOWHERE || !fits(c, &k->functions[target])) {
            *trap = (struct simt_trap){.kind = TRAP_INVALID_PC,
                                       .lane = (uint32_t)__builtin_ctz(lanes),
                                       .insn = insn,
                                       .address = first};
            return NULL;
        }
    }
    uint32_t number = w->frames->n < MAX_FRAMES || w->frames->free ? add_frame(w->frames) : 0;
    for (uint32_t m = lanes; m; m &= m - 1)
        if (!number ||
            !pass(w, __builtin_ctz(m), c, &k->functions[caller], &k->functions[target])) {
            *trap = (struct simt_trap){
                .kind = TRAP_LOCAL_OUT_OF_RANGE, .lane = (uint32_t)__builtin_ctz(m), .insn = insn};
            return NULL;
        }
    w->frames->v[number] = (struct frame){.outer = p->frame,
                                          .return_pc = insn + 1,
                                          .reconverge = p->reconverge,
                                          .parent = p->parent,
                                          .callee = target,
                                          .called = lanes,
                                          .returned = p->mask & ~lanes,
                                          .paths = 1};
    if (stack_used(w))
        w->frames->v[number].used = save_used(w);
    if (k->functions[caller].recursive)
        w->frames->v[number].saved = save_registers(w, caller);
    p->pc = k->functions[target].entry;
    p->reconverge = PTX_NOWHERE;
    p->mask = lanes;
    p->frame = number;
    return p;
}

/* Lanes of p return from the function. */
void simt_return(struct warp *w, struct path *p, uint32_t lanes)
{
    const struct frame *f = &w->frames->v[p->frame];
    for (uint32_t m = f->used ? lanes : 0; m; m &= m - 1)
        stack_used(w)[__builtin_ctz(m)] = f->used[__builtin_ctz(m)];
    w->frames->v[p->frame].returned |= lanes;
    p->mask &= ~lanes;
    if (!p->mask)
        simt_end_path(w, p);
}
