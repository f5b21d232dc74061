/* One CTA twice: recorded without the fault, then run with it and compared with the record, warp by warp. A warp
 * that goes another way is compared again from where both come to the same instruction with the same lanes at
 * a place where branches meet. */
#include <stdlib.h>
#include <string.h>

#include "campaign/trace.h"

/* ---- Sets of words -------------------------------------------------------------------------------- */

void word_set_init(struct word_set *s, uint64_t bytes)
{
    *s = (struct word_set){.n_bits = (size_t)(bytes / 4) + 1};
    s->bits = calloc(s->n_bits / 64 + 1, sizeof *s->bits);
    if (!s->bits)
        abort();
}

void word_set_fini(struct word_set *s)
{
    free(s->bits);
    free(s->list);
    *s = (struct word_set){0};
}

void word_set_clear(struct word_set *s)
{
    for (size_t i = 0; i < s->n; i++)
        s->bits[s->list[i] / 64] = 0;
    s->n = s->count = 0;
}

void word_set_put(struct word_set *s, uint32_t word, bool in)
{
    uint64_t bit = (uint64_t)1 << word % 64, *bits = &s->bits[word / 64];
    if (in == ((*bits & bit) != 0))
        return;
    *bits ^= bit;
    s->count += in ? 1 : (size_t)-1;
    if (!in)
        return;
    if (s->n == s->room) {
        s->room = s->room * 2 + 256;
        s->list = realloc(s->list, s->room * sizeof *s->list);
        if (!s->list)
            abort();
    }
    s->list[s->n++] = word;
}

/* ---- What an instruction touches ------------------------------------------------------------------ */

static bool is_memory(const struct ptx_insn *i)
{
    return i->op == PTX_LD || i->op == PTX_ST || i->op == PTX_ATOM || i->op == PTX_RED;
}

static bool writes_memory(const struct ptx_insn *i) { return is_memory(i) && i->op != PTX_LD; }

static uint32_t bytes_of(const struct ptx_insn *i)
{
    uint32_t n = i->op == PTX_LD ? i->n_dst : i->op == PTX_ST ? i->n_src : 1;
    return n * i->mem_bits / 8;
}

/* Where the address lies: false if outside of shared and global memory, which the access then finds, too. */
static bool place(struct touch *out, const struct warp *w, const struct ptx_insn *i,
                  uint64_t address)
{
    uint64_t size = w->shared.size, bytes = bytes_of(i);
    out->bytes = (uint8_t)bytes;
    out->shared = i->space == PTX_SPACE_SHARED;
    if (i->space == PTX_SPACE_GENERIC && address - SIMT_SHARED_WINDOW < SIMT_WINDOW_BYTES) {
        out->shared = true;
        address -= SIMT_SHARED_WINDOW;
    }
    if (out->shared) {
        out->at = address - w->shared.base;
    } else if (i->space == PTX_SPACE_GLOBAL || i->space == PTX_SPACE_GENERIC) {
        out->at = address - w->global.base;
        size = w->global.size;
    } else {
        return false;
    }
    return out->at <= size && size - out->at >= bytes && bytes <= sizeof out->content;
}

static uint32_t find_touches(struct touch out[SIMT_LANES], const struct warp *w, uint32_t insn,
                             const struct ptx_insn *i, uint32_t lanes)
{
    const struct program *p = w->cta->program;
    struct simt_reg base = {p->base_bits[insn], w->regs + p->base_slot[insn]};
    uint32_t n = 0;
    if (!is_memory(i) || !p->base_bits[insn])
        return 0;
    for (; lanes; lanes &= lanes - 1) {
        int lane = __builtin_ctz(lanes);
        if (place(&out[n], w, i,
                  ptx_address(simt_lane_get(&base, lane), base.bits, (uint64_t)i->offset)))
            out[n++].lane = (uint8_t)lane;
    }
    return n;
}

static uint8_t *memory_of(const struct warp *w, const struct touch *x)
{
    return (x->shared ? w->shared.data : w->global.data) + x->at;
}

static void start(struct tracer *t, struct warp *w, uint32_t insn)
{
    const struct ptx_insn *i = &t->kernel->insns[insn];
    uint32_t pred;
    t->now.w = w;
    t->now.insn = insn;
    t->now.active = w->path_mask;
    if (i->guard >= 0) {
        memcpy(&pred, w->regs + w->cta->program->slot[i->guard], sizeof pred);
        t->now.active &= i->guard_negated ? ~pred : pred;
    }
    t->now.n_touches = find_touches(t->now.touches, w, insn, i, t->now.active);
}

/* ---- Recording ------------------------------------------------------------------------------------ */

static void record_watch(void *ctx, struct warp *w, uint32_t insn) { start(ctx, w, insn); }

static uint32_t row_bytes(int bits) { return bits == 1 ? 4 : (uint32_t)bits / 8 * SIMT_LANES; }

static bool record_step(void *ctx, const struct simt_step *step)
{
    struct tracer *t = ctx;
    struct stream *s = &t->streams[step->warp];
    if (s->n == s->room) {
        size_t room = s->room * 2 + 256;
        struct entry *v = arena_array(&t->log, room, sizeof *v);
        if (s->n)
            memcpy(v, s->v, s->n * sizeof *v);
        s->v = v;
        s->room = room;
    }
    struct entry *e = &s->v[s->n++];
    *e = (struct entry){.insn = step->insn, .mask = step->mask};
    if (step->n_dst) {
        uint8_t *rows = arena_alloc(&t->log, (size_t)step->n_dst * ROW_BYTES);
        for (int d = 0; d < step->n_dst; d++)
            memcpy(rows + d * ROW_BYTES, step->dst[d].lanes, row_bytes(step->dst[d].bits));
        e->rows = rows;
    }
    if (writes_memory(&t->kernel->insns[step->insn]) && t->now.n_touches) {
        struct touch *x = arena_array(&t->log, t->now.n_touches, sizeof *x);
        memcpy(x, t->now.touches, t->now.n_touches * sizeof *x);
        for (uint32_t i = 0; i < t->now.n_touches; i++)
            memcpy(x[i].content, memory_of(t->now.w, &x[i]), x[i].bytes);
        e->touches = x;
        e->n_touches = t->now.n_touches;
    }
    return true;
}

static void record_cta(struct tracer *t)
{
    const struct simt_launch *l = &t->program->launches[t->launch];
    struct simt_hook hook = {.ctx = t, .step = record_step, .watch = record_watch};
    struct simt_run_options options = {.hook = &hook};
    struct simt_result r;
    if (t->logged == t->position + 1)
        return;
    arena_reset(&t->log);
    t->n_warps = (l->block[0] * l->block[1] * l->block[2] + SIMT_LANES - 1) / SIMT_LANES;
    t->streams = arena_array(&t->log, t->n_warps, sizeof *t->streams);
    simt_run(t->simt, t->good, l, t->cta, 1, &options, &r);
    simt_mem_forget(t->good);
    t->logged = t->position + 1;
}

/* ---- Differences ---------------------------------------------------------------------------------- */

static uint32_t *differs_of(struct tracer *t, uint32_t warp, int32_t reg)
{
    return &t->differs[(size_t)warp * t->n_regs + (uint32_t)reg];
}

static uint8_t *row_of(const struct tracer *t, uint8_t *rows, uint32_t warp, int32_t reg)
{
    return rows + ((size_t)warp * t->n_regs + (uint32_t)reg) * ROW_BYTES;
}

static void set_differs(struct tracer *t, uint32_t *lanes, uint32_t now)
{
    t->n_differs += (uint64_t)__builtin_popcount(now);
    t->n_differs -= (uint64_t)__builtin_popcount(*lanes);
    *lanes = now;
    t->ever |= now != 0;
}

static void copy_lanes(uint8_t *to, const uint8_t *from, int bits, uint32_t mask)
{
    struct simt_reg a = {bits, to}, b = {bits, (void *)(uintptr_t)from};
    if (mask == UINT32_MAX) {
        memcpy(to, from, row_bytes(bits));
        return;
    }
    for (; mask; mask &= mask - 1)
        simt_lane_set(&a, __builtin_ctz(mask), simt_lane_get(&b, __builtin_ctz(mask)));
}

static uint32_t compare_lanes(const uint8_t *x, const uint8_t *y, int bits, uint32_t mask)
{
    struct simt_reg a = {bits, (void *)(uintptr_t)x}, b = {bits, (void *)(uintptr_t)y};
    uint32_t out = 0;
    if (memcmp(x, y, row_bytes(bits)) == 0)
        return 0;
    for (; mask; mask &= mask - 1) {
        int lane = __builtin_ctz(mask);
        out |= (uint32_t)(simt_lane_get(&a, lane) != simt_lane_get(&b, lane)) << lane;
    }
    return out;
}

/* Compare again all words of these places of the two runs' memories. */
static void compare_words(struct tracer *t, const struct warp *w, const struct touch *x, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *good = x[i].shared ? t->shared : simt_mem_data(t->good);
        const uint8_t *bad = x[i].shared ? w->shared.data : w->global.data;
        struct word_set *set = x[i].shared ? &t->shared_words : &t->global_words;
        uint64_t size = x[i].shared ? w->shared.size : w->global.size;
        for (uint64_t at = x[i].at / 4 * 4; at < x[i].at + x[i].bytes; at += 4) {
            size_t n_bytes = size - at < 4 ? (size_t)(size - at) : 4;
            bool differs = memcmp(good + at, bad + at, n_bytes) != 0;
            word_set_put(set, (uint32_t)(at / 4), differs);
            t->ever |= differs;
        }
    }
}

static size_t n_words(const struct tracer *t)
{
    return t->shared_words.count + t->global_words.count;
}

/* What the fault-free warp did, done to its rows and memory. */
static void apply(struct tracer *t, const struct warp *w, const struct entry *e)
{
    const struct ptx_insn *i = &t->kernel->insns[e->insn];
    int kept = 0;
    for (int d = 0; d < i->n_dst; d++)
        if (i->dst[d] >= 0)
            copy_lanes(row_of(t, t->good_rows, w->index, i->dst[d]), e->rows + kept++ * ROW_BYTES,
                       t->kernel->regs[i->dst[d]].bits, e->mask);
    for (uint32_t k = 0; k < e->n_touches; k++) {
        const struct touch *x = &e->touches[k];
        memcpy((x->shared ? t->shared : simt_mem_data(t->good)) + x->at, x->content, x->bytes);
    }
}

/* ---- Events --------------------------------------------------------------------------------------- */

void trace_event(struct tracer *t, const struct life_event *e)
{
    t->life->n_events++;
    if (!t->with_events || t->n_events == LIFE_MOST_EVENTS)
        return;
    if (t->n_events == t->events_room) {
        t->events_room = t->events_room * 2 + 64;
        t->events = realloc(t->events, t->events_room * sizeof *t->events);
        if (!t->events)
            abort();
    }
    t->events[t->n_events++] = *e;
}

static struct life_event event_here(const struct tracer *t, enum event event, uint32_t lanes)
{
    return (struct life_event){.event = event,
                               .launch = t->launch,
                               .cta = t->cta,
                               .warp = t->now.w->index,
                               .insn = t->now.insn,
                               .lanes = lanes,
                               .reg = -1};
}

static void note(struct tracer *t, enum event event, uint32_t lanes)
{
    struct life_event e = event_here(t, event, lanes);
    e.words = event == EVENT_STORED ? n_words(t) : 0;
    trace_event(t, &e);
}

static void set_last(struct tracer *t)
{
    t->life->has_last = true;
    t->life->last_launch = t->launch;
    t->life->last_cta = t->cta;
    t->life->last_insn = t->now.insn;
}

/* ---- The strike ----------------------------------------------------------------------------------- */

/* A cell was changed between two instructions: find it. */
static void find_struck_cell(struct tracer *t, struct warp *now)
{
    const struct strike *s = injector_strike(t->injector);
    const struct fault_kind *k = &t->fault->kind;
    const struct warp *w = now - now->index + s->warp;
    if (!s->has_cell && k->where != WHERE_REGISTER && k->where != WHERE_PREDICATE)
        return;
    if (k->where == WHERE_REGISTER || k->where == WHERE_PREDICATE) {
        for (int lane = 0; lane < SIMT_LANES; lane++) {
            int32_t r = injector_registers(t->injector)[lane];
            if (r < 0)
                continue;
            uint32_t bit = (uint32_t)1 << lane, *lanes = differs_of(t, s->warp, r);
            int bits = t->kernel->regs[r].bits;
            uint8_t *bad = row_of(t, t->bad_rows, s->warp, r);
            copy_lanes(bad, w->regs + w->cta->program->slot[r], bits, bit);
            set_differs(t, lanes,
                        *lanes |
                            compare_lanes(row_of(t, t->good_rows, s->warp, r), bad, bits, bit));
        }
    } else if (k->where == WHERE_INDEX) {
        bool of_cta = s->cell >= PTX_SPECIAL_CTAID_X && s->cell <= PTX_SPECIAL_CTAID_Z;
        t->special = s->before != s->after || s->lanes > 1 ? (int32_t)s->cell : -1;
        t->special_warp = of_cta ? -1 : (int32_t)s->warp;
        t->special_lanes =
            s->lanes > 1 || s->cell > PTX_SPECIAL_TID_Z ? UINT32_MAX : (uint32_t)1 << s->lane;
        t->ever |= t->special >= 0;
    } else {
        struct touch x = {.bytes = 4, .shared = k->where == WHERE_SHARED};
        x.at = x.shared ? s->cell : s->cell - now->global.base;
        compare_words(t, now, &x, 1);
    }
}

static struct life_event strike_event(const struct tracer *t)
{
    const struct strike *s = injector_strike(t->injector);
    bool is_register = s->has_cell && t->fault->kind.where < WHERE_INDEX;
    return (struct life_event){.event = EVENT_STRUCK,
                               .launch = t->launch,
                               .cta = t->cta,
                               .warp = s->warp,
                               .insn = s->insn,
                               .lanes = (uint32_t)1 << s->lane,
                               .good = s->before,
                               .bad = s->after,
                               .reg = is_register ? (int32_t)s->cell : -1};
}

static void strike_before(struct tracer *t, struct warp *w, uint32_t insn)
{
    if (!t->fault || t->strike_over || !t->strike_hook.watch)
        return;
    t->strike_hook.watch(t->strike_hook.ctx, w, insn);
    w->cta->detached = false; /* we go on */
    if (t->struck || !injector_strike(t->injector)->landed)
        return;
    t->struck = true;
    t->strike_over = !t->strike_hook.step;
    struct life_event e = strike_event(t);
    trace_event(t, &e);
    if (t->fault->kind.where == WHERE_ADDRESS)
        t->ever = t->now.reads = true;
    else
        find_struck_cell(t, w);
}

/* Returns whether the strike fell on the results of this very instruction. */
static bool strike_after(struct tracer *t, const struct simt_step *step)
{
    if (!t->fault || t->strike_over || !t->strike_hook.step)
        return false;
    t->strike_over = !t->strike_hook.step(t->strike_hook.ctx, step);
    if (t->struck || !injector_strike(t->injector)->landed)
        return false;
    t->struck = true;
    struct life_event e = strike_event(t);
    trace_event(t, &e);
    return true;
}

/* ---- The faulty run ------------------------------------------------------------------------------- */

/* Does the instruction read anything that differs? */
static bool reads_difference(const struct tracer *t, const struct warp *w, const struct ptx_insn *i)
{
    const uint32_t *d = &t->differs[(size_t)w->index * t->n_regs];
    uint32_t active = t->now.active;
    bool special = t->special >= 0 && (t->special_warp < 0 || t->special_warp == (int32_t)w->index);
    if (t->n_differs) {
        if (i->guard >= 0 && d[i->guard] & w->path_mask)
            return true;
        if (i->base.kind == PTX_REG && d[i->base.index] & active)
            return true;
    }
    for (int n = 0; n < i->n_src; n++) {
        if (i->src[n].kind == PTX_REG && d[i->src[n].index] & active)
            return true;
        if (special && i->src[n].kind == PTX_SPECIAL && (int32_t)i->src[n].index == t->special &&
            active & t->special_lanes)
            return true;
    }
    if (i->op == PTX_ST || !n_words(t))
        return false;
    for (uint32_t k = 0; k < t->now.n_touches; k++) {
        const struct touch *x = &t->now.touches[k];
        for (uint64_t word = x->at / 4; word <= (x->at + x->bytes - 1) / 4; word++)
            if (word_set_has(x->shared ? &t->shared_words : &t->global_words, word))
                return true;
    }
    return false;
}

static void faulty_watch(void *ctx, struct warp *w, uint32_t insn)
{
    struct tracer *t = ctx;
    t->now.reads = false;
    t->now.w = w;
    t->now.insn = insn;
    strike_before(t, w, insn);
    start(t, w, insn); /* with the addresses that a fault may have changed */
    if (!t->ever)
        return;
    t->now.reads |= reads_difference(t, w, &t->kernel->insns[insn]);
    if (t->now.reads) {
        t->read = true;
        set_last(t);
    }
}

/* The results of both runs side by side, in the lanes of the instruction. */
static bool compare_results(struct tracer *t, const struct simt_step *step, bool strike)
{
    const struct ptx_insn *i = &t->kernel->insns[step->insn];
    bool any = false;
    for (int d = 0, kept = 0; d < i->n_dst; d++) {
        if (i->dst[d] < 0)
            continue;
        const struct simt_reg *r = &step->dst[kept++];
        uint8_t *good = row_of(t, t->good_rows, step->warp, i->dst[d]);
        copy_lanes(row_of(t, t->bad_rows, step->warp, i->dst[d]), r->lanes, r->bits, step->mask);
        if (!t->ever && !strike)
            continue;
        uint32_t now = compare_lanes(good, r->lanes, r->bits, step->mask);
        uint32_t *lanes = differs_of(t, step->warp, i->dst[d]);
        set_differs(t, lanes, (*lanes & ~step->mask) | now);
        if (!now || strike)
            continue;
        any = true;
        struct simt_reg g = {r->bits, good};
        struct life_event e = event_here(t, EVENT_CARRIED, now);
        e.reg = i->dst[d];
        e.good = simt_lane_get(&g, __builtin_ctz(now));
        e.bad = simt_lane_get(r, __builtin_ctz(now));
        trace_event(t, &e);
        set_last(t);
    }
    return any;
}

/* All of a warp's registers, after both runs went their own ways. */
static void compare_warp(struct tracer *t, uint32_t warp)
{
    for (uint32_t r = 0; r < t->n_regs; r++)
        set_differs(t, differs_of(t, warp, (int32_t)r),
                    compare_lanes(row_of(t, t->good_rows, warp, (int32_t)r),
                                  row_of(t, t->bad_rows, warp, (int32_t)r), t->kernel->regs[r].bits,
                                  UINT32_MAX));
}

static void catch_up(struct tracer *t, const struct warp *w, size_t to)
{
    struct follower *f = &t->followers[w->index];
    const struct stream *s = &t->streams[w->index];
    for (; f->next < to; f->next++) {
        apply(t, w, &s->v[f->next]);
        compare_words(t, w, s->v[f->next].touches, s->v[f->next].n_touches);
    }
}

/* Is the warp again where the fault-free one comes to be? Moves the follower there. */
static bool rejoin(struct tracer *t, const struct simt_step *step)
{
    enum { FAR = 1 << 16 };
    struct follower *f = &t->followers[step->warp];
    const struct stream *s = &t->streams[step->warp];
    bool meets = t->kernel->joins[step->insn] || t->kernel->insns[step->insn].op == PTX_BAR;
    size_t end = s->n - f->next < FAR ? s->n : f->next + FAR;
    for (size_t k = f->next; meets && k < end; k++)
        if (s->v[k].insn == step->insn && s->v[k].mask == step->mask) {
            catch_up(t, t->now.w, k);
            compare_warp(t, step->warp);
            f->away = false;
            note(t, EVENT_REJOINED, step->mask);
            return true;
        }
    return false;
}

/* Steps of a warp that is away: only its own memory moves on. */
static void step_alone(struct tracer *t, const struct simt_step *step)
{
    const struct ptx_insn *i = &t->kernel->insns[step->insn];
    for (int d = 0, kept = 0; d < i->n_dst; d++)
        if (i->dst[d] >= 0) {
            const struct simt_reg *r = &step->dst[kept++];
            copy_lanes(row_of(t, t->bad_rows, step->warp, i->dst[d]), r->lanes, r->bits,
                       step->mask);
        }
    if (writes_memory(i))
        compare_words(t, t->now.w, t->now.touches, t->now.n_touches);
    set_last(t);
}

static void follow_step(struct tracer *t, const struct simt_step *step, bool strike)
{
    const struct stream *s = &t->streams[step->warp];
    struct follower *f = &t->followers[step->warp];
    const struct ptx_insn *i = &t->kernel->insns[step->insn];
    const struct entry *e = &s->v[f->next++];
    apply(t, t->now.w, e);
    bool carried = compare_results(t, step, strike), reads = t->now.reads;
    if (writes_memory(i) && t->ever) {
        size_t before = n_words(t);
        compare_words(t, t->now.w, t->now.touches, t->now.n_touches);
        compare_words(t, t->now.w, e->touches, e->n_touches);
        bool local = i->space == PTX_SPACE_LOCAL && reads;
        if ((reads && n_words(t)) || n_words(t) > before || local) {
            carried = true;
            note(t, EVENT_STORED, step->mask);
        }
    }
    /* what is stuck differs by itself whenever it is written */
    bool made = reads || (t->fault && t->fault->kind.where == WHERE_ADDRESS);
    if (!strike && made)
        t->spread |= carried;
    if (!strike && reads && !carried)
        note(t, EVENT_READ, step->mask);
}

static bool faulty_step(void *ctx, const struct simt_step *step)
{
    struct tracer *t = ctx;
    bool strike = strike_after(t, step), was = t->n_differs || n_words(t);
    struct follower *f = &t->followers[step->warp];
    const struct stream *s = &t->streams[step->warp];
    bool same =
        f->next < s->n && s->v[f->next].insn == step->insn && s->v[f->next].mask == step->mask;
    if (!f->away && !same) {
        f->away = true;
        t->ever = t->read = t->spread = true;
        note(t, EVENT_DIVERGED, step->mask);
    }
    if (f->away && !rejoin(t, step))
        step_alone(t, step);
    else
        follow_step(t, step, strike);
    if (was && !t->n_differs && !n_words(t) && t->special < 0) {
        bool away = false;
        for (uint32_t w = 0; w < t->n_warps; w++)
            away |= t->followers[w].away;
        t->overwritten = true;
        if (!away)
            note(t, EVENT_CLEARED, step->mask);
    }
    return true;
}

/* ---- Both ----------------------------------------------------------------------------------------- */

static void prepare(struct tracer *t, const struct fault *f)
{
    const struct simt_launch *l = &t->program->launches[t->launch];
    t->kernel = l->kernel;
    t->n_regs = (uint32_t)l->kernel->n_regs;
    t->shared_bytes = ptx_shared_bytes(l->kernel) + l->dynamic_shared;
    record_cta(t);
    size_t rows = (size_t)t->n_warps * t->n_regs + 1;
    if (rows > t->rows_room) {
        free(t->good_rows);
        free(t->bad_rows);
        free(t->differs);
        t->good_rows = aligned_alloc(64, rows * ROW_BYTES);
        t->bad_rows = aligned_alloc(64, rows * ROW_BYTES);
        t->differs = malloc(rows * sizeof *t->differs);
        t->rows_room = rows;
    }
    if (t->shared_bytes + 4 > t->shared_room) {
        word_set_fini(&t->shared_words);
        word_set_init(&t->shared_words, t->shared_bytes);
        free(t->shared);
        t->shared_room = t->shared_bytes + 4;
        t->shared = malloc(t->shared_room);
    }
    if (t->n_warps > t->warps_room) {
        free(t->followers);
        t->followers = malloc(t->n_warps * sizeof *t->followers);
        t->warps_room = t->n_warps;
    }
    if (!t->good_rows || !t->bad_rows || !t->differs || !t->shared || !t->followers)
        abort();
    memset(t->followers, 0, t->n_warps * sizeof *t->followers);
    memset(t->good_rows, 0, rows * ROW_BYTES);
    memset(t->bad_rows, 0, rows * ROW_BYTES);
    memset(t->differs, 0, rows * sizeof *t->differs);
    memset(t->shared, 0, t->shared_room);
    word_set_clear(&t->shared_words);
    t->n_differs = 0;
    t->special = -1;
    t->fault = f;
    t->strike_over = false;
    t->now.n_touches = 0;
    if (f)
        t->strike_hook = injector_arm(t->injector, t->program, f);
}

bool trace_cta(struct tracer *t, const struct fault *f, struct experiment_result *out)
{
    const struct cta_log *log = &t->golden->cta[t->position];
    struct simt_hook hook = {.ctx = t, .step = faulty_step, .watch = faulty_watch};
    struct simt_run_options options = {.cta_limit = &t->limits[t->position], .hook = &hook};
    struct simt_result r;
    prepare(t, f);
    const uint8_t *bytes =
        log->before; /* the good memory goes back, and then along with the faulty run */
    for (size_t i = 0; i < log->n_writes; bytes += log->writes[i++].n)
        memcpy(simt_mem_data(t->good) + log->writes[i].at, bytes, log->writes[i].n);
    simt_run(t->simt, t->bad, &t->program->launches[t->launch], t->cta, 1, &options, &r);
    out->warp_insns += r.counts.warp_insns;
    out->trap = r.trap;
    out->trap_launch = t->launch;
    for (uint32_t w = 0; w < t->n_warps; w++)
        if (t->followers[w].next < t->streams[w].n && r.trap.kind == TRAP_NONE)
            t->ever = t->read = t->spread = true; /* it ended early */
    return r.trap.kind == TRAP_NONE;
}
