/* Live sites: every launch forwards, keeping the memory before it; then from the last to the first, CTA by CTA,
 * recorded and walked backwards with the sets of registers and memory words that the result depends on. */
#include "campaign/live.h"

#include <stdlib.h>
#include <string.h>

#include "simt/mem.h"
#include "simt/priv.h"

enum { MOST_LAUNCHES = 16, WILD = UINT32_MAX, SHARED = 1u << 31 };
static const uint64_t MOST_BYTES = (uint64_t)1 << 30; /* of the memories kept */

/* One warp instruction. at: its lanes' words, ascending, SHARED or not; WILD is not followed. */
struct issued {
    uint32_t insn, active, lanes, at; /* active: of the path; lanes: not predicated off */
    uint16_t warp;
    bool memory;
};

/* The registers that instructions between a branch and where its ways meet write. */
struct region {
    bool known; /* they meet */
    uint32_t n, *regs;
};

struct pass {
    const struct ptx_kernel *kernel;
    const struct inject_space *space;
    bool addresses; /* sites are addresses, not results */
    struct live_count *count;
    size_t n_events, events_room, n_words, words_room;
    struct issued *events;
    uint32_t *words;
    size_t registers_room;
    uint32_t *live;        /* [warp * n_regs + register]: lanes */
    uint32_t *useful;      /* [warp]: lanes that store something live later on */
    uint32_t *recent;      /* [warp * 32 + lane]: the last event that mattered to it */
    uint32_t *met;         /* [warp * n_insns + insn]: the last event there */
    struct region *region; /* [insn] */
    uint64_t *shared;      /* words, a bit each */
    uint64_t *after, *read,
        *written; /* of global memory: live after the launch; read here; written */
    size_t shared_words, global_words;
};

static void *grown(void *old, size_t n, size_t *room, size_t size)
{
    if (n <= *room)
        return old;
    *room = 2 * n + 4096;
    void *p = reallocarray(old, *room, size);
    if (!p)
        abort(); /* out of memory, as in base/arena */
    return p;
}

static bool has(const uint64_t *set, uint32_t word) { return set[word / 64] >> word % 64 & 1; }
static void put(uint64_t *set, uint32_t word) { set[word / 64] |= (uint64_t)1 << word % 64; }
static void take(uint64_t *set, uint32_t word) { set[word / 64] &= ~((uint64_t)1 << word % 64); }

/* ---- Forwards ---------------------------------------------------------------------------------------- */

static bool is_memory(const struct ptx_insn *i)
{
    return i->op == PTX_LD || i->op == PTX_ST || i->op == PTX_ATOM || i->op == PTX_RED;
}

static uint32_t bytes_of(const struct ptx_insn *i)
{
    const uint32_t n = i->op == PTX_LD ? i->n_dst : i->op == PTX_ST ? i->n_src : 1;
    return n * i->mem_bits / 8;
}

static uint32_t word_of(const struct warp *w, const struct ptx_insn *i, uint64_t address)
{
    bool shared = i->space == PTX_SPACE_SHARED;
    if (i->space == PTX_SPACE_GENERIC && address - SIMT_SHARED_WINDOW < SIMT_WINDOW_BYTES) {
        shared = true;
        address -= SIMT_SHARED_WINDOW;
    }
    if (!shared && i->space != PTX_SPACE_GLOBAL && i->space != PTX_SPACE_GENERIC)
        return WILD;
    const struct window *in = shared ? &w->shared : &w->global;
    const uint64_t at = address - in->base, bytes = bytes_of(i);
    if (at > in->size || in->size - at < bytes)
        return WILD;
    return (uint32_t)(at / 4) | (shared ? SHARED : 0);
}

static void watch(void *ctx, struct warp *w, uint32_t insn)
{
    struct pass *p = ctx;
    const struct program *code = w->cta->program;
    const struct ptx_insn *i = &p->kernel->insns[insn];
    struct issued e = {.insn = insn,
                       .active = w->path_mask,
                       .lanes = w->path_mask,
                       .warp = (uint16_t)w->index,
                       .at = (uint32_t)p->n_words,
                       .memory = is_memory(i) && code->base_bits[insn]};
    if (i->guard >= 0) {
        uint32_t pred;
        memcpy(&pred, w->regs + code->slot[i->guard], sizeof pred);
        e.lanes &= i->guard_negated ? ~pred : pred;
    }
    if (e.memory) {
        const struct simt_reg base = {code->base_bits[insn], w->regs + code->base_slot[insn]};
        p->words = grown(p->words, p->n_words + SIMT_LANES, &p->words_room, sizeof *p->words);
        for (uint32_t m = e.lanes; m; m &= m - 1)
            p->words[p->n_words++] =
                word_of(w, i, simt_lane_get(&base, __builtin_ctz(m)) + (uint64_t)i->offset);
    }
    p->events = grown(p->events, p->n_events + 1, &p->events_room, sizeof *p->events);
    p->events[p->n_events++] = e;
}

/* ---- Backwards --------------------------------------------------------------------------------------- */

static bool word_is_live(const struct pass *p, uint32_t word)
{
    return word & SHARED ? has(p->shared, word & ~SHARED)
                         : has(p->after, word) || has(p->read, word);
}

static void make_word_live(struct pass *p, uint32_t word)
{
    put(word & SHARED ? p->shared : p->read, word & ~SHARED);
}

static void overwrite_word(struct pass *p, uint32_t word)
{
    take(word & SHARED ? p->shared : p->read, word & ~SHARED);
    if (!(word & SHARED))
        put(p->written, word);
}

/* The words of element k, counted from the access's first. */
struct span {
    uint32_t first, end;
};
static struct span element(const struct ptx_insn *i, int k)
{
    const uint32_t bytes = i->mem_bits / 8, at = (uint32_t)k * bytes;
    return (struct span){at / 4, (at + bytes + 3) / 4};
}

/* Lanes in which the store of element k leaves something live; it is then not needed from before. */
static uint32_t stored(struct pass *p, const struct issued *e, const struct ptx_insn *i, int k)
{
    const struct span of = element(i, k);
    const bool whole = i->mem_bits >= 32;
    uint32_t live = 0, at = e->at;
    for (uint32_t m = e->lanes; m; m &= m - 1, at++) {
        bool any = p->words[at] == WILD;
        for (uint32_t x = of.first; p->words[at] != WILD && x < of.end; x++)
            any |= word_is_live(p, p->words[at] + x);
        live |= any ? m & -m : 0;
    }
    at = e->at;
    for (uint32_t m = e->lanes; m; m &= m - 1, at++)
        for (uint32_t x = of.first; whole && p->words[at] != WILD && x < of.end; x++)
            overwrite_word(p, p->words[at] + x);
    return live;
}

/* What lanes load as element k is needed. */
static void loaded(struct pass *p, const struct issued *e, const struct ptx_insn *i, int k,
                   uint32_t lanes)
{
    const struct span of = element(i, k);
    uint32_t at = e->at;
    for (uint32_t m = e->lanes; m; m &= m - 1, at++)
        for (uint32_t x = of.first; (m & -m & lanes) && p->words[at] != WILD && x < of.end; x++)
            make_word_live(p, p->words[at] + x);
}

/* ---- Instructions ------------------------------------------------------------------------------------ */

static void need(uint32_t *live, const struct ptx_operand *o, uint32_t lanes)
{
    if (o->kind == PTX_REG)
        live[o->index] |= lanes;
}

/* Lanes in which some result is live. Those of all results are counted; before it, none is. */
static uint32_t results(struct pass *p, const struct issued *e, const struct ptx_insn *i,
                        uint32_t *live)
{
    uint32_t any = 0;
    for (int k = 0; k < i->n_dst; k++) {
        const uint32_t lanes = i->dst[k] >= 0 ? live[i->dst[k]] & e->lanes : 0;
        any |= lanes;
        if (!p->addresses && p->space->targets[e->insn])
            p->count[e->insn].live += (uint32_t)__builtin_popcount(lanes);
        if (i->op == PTX_LD && e->memory)
            loaded(p, e, i, k, lanes);
    }
    for (int k = 0; k < i->n_dst; k++)
        if (i->dst[k] >= 0)
            live[i->dst[k]] &= ~e->lanes;
    return any;
}

/* Lanes in which a store, or a change in memory, leaves something live. */
static uint32_t effects(struct pass *p, const struct issued *e, const struct ptx_insn *i,
                        uint32_t *live)
{
    uint32_t any = 0;
    for (int k = 0; k < i->n_src; k++) {
        const uint32_t lanes = i->op == PTX_ST && e->memory ? stored(p, e, i, k) : e->lanes;
        need(live, &i->src[k], lanes);
        any |= lanes;
    }
    if (i->op != PTX_ST)
        loaded(p, e, i, 0, e->lanes);
    p->useful[e->warp] |= any;
    return any;
}

/* Lanes to which it matters which way they go: those with something live on the way that they took, and those
 * to which what is written on either way is live where the ways meet. */
static uint32_t branched(const struct pass *p, const struct issued *e, const struct ptx_insn *i,
                         const uint32_t *live)
{
    const struct region *r = &p->region[e->insn];
    const uint32_t *recent = p->recent + (size_t)e->warp * SIMT_LANES;
    if (!r->known)
        return e->active & p->useful[e->warp];
    const uint32_t end = p->met[(size_t)e->warp * p->kernel->n_insns + i->reconverge];
    uint32_t lanes = 0;
    for (uint32_t k = 0; k < r->n; k++)
        lanes |= live[r->regs[k]];
    for (uint32_t l = 0; l < SIMT_LANES; l++)
        lanes |= (uint32_t)(recent[l] < end) << l;
    return e->active & lanes;
}

static void step_back(struct pass *p, const struct issued *e)
{
    const uint32_t number = (uint32_t)(e - p->events);
    const struct ptx_insn *i = &p->kernel->insns[e->insn];
    uint32_t *live = p->live + (size_t)e->warp * p->kernel->n_regs;
    uint32_t needed = results(p, e, i, live);
    if (is_memory(i) && i->op != PTX_LD)
        needed = effects(p, e, i, live);
    else if (i->op == PTX_BRA)
        needed = branched(p, e, i, live);
    else if (i->op != PTX_LD && !ptx_is_lanewise(i)) /* control, other lanes' values, a carry */
        needed = e->active & p->useful[e->warp];
    for (int k = 0; k < i->n_src && !is_memory(i); k++)
        need(live, &i->src[k], needed);
    need(live, &i->base, needed);
    if (i->guard >= 0)
        live[i->guard] |= needed;
    for (uint32_t l = 0, *recent = p->recent + (size_t)e->warp * SIMT_LANES; l < SIMT_LANES; l++)
        recent[l] = needed >> l & 1 ? number : recent[l];
    p->met[(size_t)e->warp * p->kernel->n_insns + e->insn] = number;
    p->count[e->insn].sites += (uint64_t)__builtin_popcount(e->lanes) * p->space->targets[e->insn];
    if (p->addresses && p->space->targets[e->insn])
        p->count[e->insn].live += (uint32_t)__builtin_popcount(needed & e->lanes);
}

/* Add what is written from instruction `at` on until the ways meet. */
static void add_way(struct region *r, const struct ptx_kernel *k, uint32_t at, uint32_t until,
                    bool *been, bool *in)
{
    while (at < k->n_insns && at != until && !been[at]) {
        const struct ptx_insn *i = &k->insns[at];
        been[at] = true;
        for (int d = 0; d < i->n_dst; d++)
            if (i->dst[d] >= 0 && !in[i->dst[d]]) {
                in[i->dst[d]] = true;
                r->regs[r->n++] = (uint32_t)i->dst[d];
            }
        if (i->op == PTX_BRA && i->guard >= 0)
            add_way(r, k, i->target, until, been, in);
        if (i->guard < 0 && (i->op == PTX_RET || i->op == PTX_EXIT || i->op == PTX_TRAP))
            return;
        at = i->op == PTX_BRA && i->guard < 0 ? i->target : at + 1;
    }
}

static struct region *find_regions(struct arena *a, const struct ptx_kernel *k)
{
    struct region *r = arena_array(a, k->n_insns, sizeof *r);
    for (uint32_t b = 0; b < k->n_insns; b++) {
        const struct ptx_insn *i = &k->insns[b];
        if (i->op != PTX_BRA || i->guard < 0 || i->reconverge == PTX_NOWHERE)
            continue;
        struct arena scratch = {0};
        bool *been = arena_array(&scratch, k->n_insns, sizeof *been);
        bool *in = arena_array(&scratch, k->n_regs, sizeof *in);
        r[b].known = true;
        r[b].regs = arena_array(a, k->n_regs, sizeof *r[b].regs);
        add_way(&r[b], k, i->target, i->reconverge, been, in);
        add_way(&r[b], k, b + 1, i->reconverge, been, in);
        arena_fini(&scratch);
    }
    return r;
}

static int walk_launch(struct pass *p, struct simt *s, struct simt_mem *m,
                       const struct simt_launch *l, struct diag *d)
{
    const struct simt_hook hook = {.ctx = p, .watch = watch};
    const struct simt_run_options options = {.hook = &hook};
    const size_t warps =
        ((size_t)l->block[0] * l->block[1] * l->block[2] + SIMT_LANES - 1) / SIMT_LANES;
    const size_t n_live = warps * p->kernel->n_regs;
    struct arena scratch = {0};
    int rc = OK;
    p->live = grown(p->live, n_live + warps, &p->registers_room, sizeof *p->live);
    p->useful = p->live + n_live;
    p->region = find_regions(&scratch, p->kernel);
    p->recent = arena_array(&scratch, warps * SIMT_LANES, sizeof *p->recent);
    p->met = arena_array(&scratch, warps * p->kernel->n_insns, sizeof *p->met);
    for (uint64_t cta = 0; cta < simt_n_ctas(l); cta++) {
        struct simt_result r;
        p->n_events = p->n_words = 0;
        simt_run(s, m, l, cta, 1, &options, &r);
        if ((rc = simt_must_end(l, &r, d)) != OK)
            break;
        memset(p->live, 0, (n_live + warps) * sizeof *p->live);
        memset(p->recent, 255, warps * SIMT_LANES * sizeof *p->recent);
        memset(p->met, 255, warps * p->kernel->n_insns * sizeof *p->met);
        memset(p->shared, 0, (p->shared_words / 64 + 1) * sizeof *p->shared);
        for (size_t e = p->n_events; e-- > 0;)
            step_back(p, &p->events[e]);
    }
    for (size_t i = 0; rc == OK && i <= p->global_words / 64; i++) {
        p->after[i] = (p->after[i] & ~p->written[i]) | p->read[i];
        p->read[i] = p->written[i] = 0;
    }
    arena_fini(&scratch);
    return rc;
}

/* ---- The program ------------------------------------------------------------------------------------- */

static bool can_follow(const struct simt_program *p)
{
    if (p->n_launches > MOST_LAUNCHES || p->mem->used * p->n_launches > MOST_BYTES)
        return false;
    for (size_t l = 0; l < p->n_launches; l++) {
        const struct ptx_kernel *k = p->launches[l].kernel;
        if (k->n_functions > 1)
            return false;
        for (size_t i = 0; i < k->n_insns; i++)
            if (k->insns[i].op == PTX_COPY)
                return false;
    }
    return true;
}

static void mark_outputs(struct pass *p, const struct simt_program *program, uint64_t base)
{
    for (size_t i = 0; i < program->n_buffers; i++) {
        const struct simt_buffer *b = &program->buffers[i];
        for (uint64_t at = 0; b->compared && at < b->bytes; at += 4)
            put(p->after, (uint32_t)((b->address - base + at) / 4));
    }
}

int campaign_live(struct live_count ***out, struct arena *a, const struct simt_program *program,
                  const struct fault_kind *kind, struct diag *d)
{
    struct simt_mem *before[MOST_LAUNCHES + 1] = {0};
    struct arena scratch = {0};
    struct pass p = {.addresses = kind->where == WHERE_ADDRESS,
                     .global_words = program->mem->size / 4 + 1};
    int rc = OK;
    if (!can_follow(program) || kind_is_cell(kind))
        return ERR_UNSUPPORTED;
    struct simt *s = simt_new();
    *out = arena_array(a, program->n_launches, sizeof **out);
    p.after = arena_array(&scratch, p.global_words / 64 + 1, sizeof *p.after);
    p.read = arena_array(&scratch, p.global_words / 64 + 1, sizeof *p.read);
    p.written = arena_array(&scratch, p.global_words / 64 + 1, sizeof *p.written);
    mark_outputs(&p, program, simt_mem_view(program->mem).base);
    before[0] = simt_mem_clone(program->mem);
    for (size_t l = 0; l + 1 < program->n_launches; l++) {
        const struct simt_launch *launch = &program->launches[l];
        struct simt_result r;
        before[l + 1] = simt_mem_clone(before[l]);
        simt_run(s, before[l + 1], launch, 0, simt_n_ctas(launch), &(struct simt_run_options){0},
                 &r);
    }
    for (size_t l = program->n_launches; l-- > 0 && rc == OK;) {
        const struct simt_launch *launch = &program->launches[l];
        struct inject_space space;
        inject_space_init(&space, &scratch, program, l, kind);
        p.kernel = launch->kernel;
        p.space = &space;
        p.count = (*out)[l] = arena_array(a, ptx_n_insns(p.kernel), sizeof *p.count);
        p.shared_words = (ptx_shared_bytes(p.kernel) + launch->dynamic_shared) / 4 + 4;
        p.shared = arena_array(&scratch, p.shared_words / 64 + 1, sizeof *p.shared);
        rc = walk_launch(&p, s, before[l], launch, d);
    }
    for (size_t l = 0; l < program->n_launches; l++)
        simt_mem_free(before[l]);
    free(p.events);
    free(p.words);
    free(p.live);
    arena_fini(&scratch);
    simt_free(s);
    return rc;
}
