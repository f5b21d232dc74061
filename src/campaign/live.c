/* Live sites: every launch forwards, keeping the memory before it; then from the last to the first, CTA by CTA,
 * recorded and walked backwards with the sets of registers and memory words that the result depends on. */
#include "campaign/live.h"

#include <stdlib.h>
#include <string.h>

#include "campaign/influence.h"
#include "simt/mem.h"
#include "simt/priv.h"

enum { MOST_LAUNCHES = 16, WILD = UINT32_MAX, SHARED = 1u << 31 };
static const uint64_t MOST_BYTES = (uint64_t)1 << 30; /* of the memories kept */

/* One warp instruction. at: its lanes' words, ascending, SHARED or not; WILD is not followed. */
struct issued {
    uint32_t insn, active, lanes, at; /* active: of the path; lanes: not predicated off */
    uint32_t zero[2];                 /* of a product: lanes in which a factor is zero */
    uint16_t warp;
    bool memory;
};

/* The registers that instructions between a branch and where its ways meet write. */
struct region {
    bool known; /* they meet */
    uint32_t n, *regs;
    uint32_t slot,
        next; /* of known ones: a number; the next branch whose ways meet there, NO_BRANCH: none */
};
enum { NO_BRANCH = UINT32_MAX };

struct pass {
    const struct ptx_kernel *kernel;
    const struct inject_space *space;
    bool addresses; /* sites are addresses, not results */
    struct live_count *count;
    size_t n_events, events_room, n_words, words_room;
    struct issued *events;
    uint32_t *words;
    size_t registers_room;
    uint32_t *live;            /* [warp * n_regs + register]: lanes */
    uint32_t *useful;          /* [warp]: lanes that store something live later on */
    uint32_t *recent;          /* [warp * 32 + lane]: the last event that mattered to it */
    uint32_t *met;             /* [warp * n_insns + insn]: the last event there */
    struct region *region;     /* [insn] */
    uint32_t n_regions, *meet; /* [insn]: the first branch whose ways meet there */
    uint64_t *shared;          /* words, a bit each */
    uint64_t *after, *read,
        *written; /* of global memory: live after the launch; read here; written */
    size_t shared_words, global_words;
    struct influence influence;
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

static bool is_product(const struct ptx_insn *i)
{
    return i->op == PTX_MUL_F32 || i->op == PTX_FMA_F32 || i->op == PTX_MAD_F32;
}

/* Lanes in which an f32 operand is zero. */
static uint32_t zeros(const struct warp *w, const struct program *code, const struct ptx_operand *o)
{
    uint32_t bits[SIMT_LANES], zero = 0;
    if (o->kind == PTX_IMM)
        return o->value << 33 == 0 ? UINT32_MAX : 0;
    if (o->kind != PTX_REG)
        return 0;
    memcpy(bits, w->regs + code->slot[o->index], sizeof bits);
    for (uint32_t l = 0; l < SIMT_LANES; l++)
        zero |= (uint32_t)(bits[l] << 1 == 0) << l;
    return zero;
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
    for (int k = 0; k < 2 && is_product(i); k++)
        e.zero[k] = zeros(w, code, &i->src[k]);
    if (e.memory) {
        const struct simt_reg base = {code->base_bits[insn], w->regs + code->base_slot[insn]};
        p->words = grown(p->words, p->n_words + SIMT_LANES, &p->words_room, sizeof *p->words);
        for (uint32_t m = e.lanes; m; m &= m - 1)
            p->words[p->n_words++] = word_of(w, i,
                                             ptx_address(simt_lane_get(&base, __builtin_ctz(m)),
                                                         base.bits, (uint64_t)i->offset));
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

static struct box *box_of(struct influence *x, uint32_t word)
{
    return word & SHARED ? &x->shared[word & ~SHARED] : &x->read[word];
}

static void make_word_live(struct pass *p, uint32_t word, const struct boxes *b, uint32_t lane)
{
    put(word & SHARED ? p->shared : p->read, word & ~SHARED);
    if (p->influence.output)
        box_join_lane(box_of(&p->influence, word), b, lane);
}

/* Add what a live word goes into. */
static void join_word(struct pass *p, struct boxes *to, uint32_t lane, uint32_t word)
{
    if (!p->influence.output)
        return;
    lane_join_box(to, lane, box_of(&p->influence, word));
    if (!(word & SHARED))
        lane_join_box(to, lane, &p->influence.after[word]);
}

static void overwrite_word(struct pass *p, uint32_t word)
{
    take(word & SHARED ? p->shared : p->read, word & ~SHARED);
    if (!(word & SHARED))
        put(p->written, word);
    if (p->influence.output)
        box_clear(box_of(&p->influence, word));
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

/* Lanes in which the store of element k leaves something live, which *into is then made; it is then not needed from
 * before. */
static uint32_t stored(struct pass *p, const struct issued *e, const struct ptx_insn *i, int k,
                       struct boxes *into)
{
    const struct span of = element(i, k);
    const bool whole = i->mem_bits >= 32;
    uint32_t live = 0, at = e->at;
    for (uint32_t m = e->lanes; m; m &= m - 1, at++) {
        bool any = p->words[at] == WILD;
        for (uint32_t x = of.first; p->words[at] != WILD && x < of.end; x++)
            if (word_is_live(p, p->words[at] + x)) {
                join_word(p, into, (uint32_t)__builtin_ctz(m), p->words[at] + x);
                any = true;
            }
        live |= any ? m & -m : 0;
    }
    at = e->at;
    for (uint32_t m = e->lanes; m; m &= m - 1, at++)
        for (uint32_t x = of.first; whole && p->words[at] != WILD && x < of.end; x++)
            overwrite_word(p, p->words[at] + x);
    return live;
}

/* What lanes load as element k is needed, for what is in b. */
static void loaded(struct pass *p, const struct issued *e, const struct ptx_insn *i, int k,
                   uint32_t lanes, const struct boxes *b)
{
    const struct span of = element(i, k);
    uint32_t at = e->at;
    for (uint32_t m = e->lanes; m; m &= m - 1, at++)
        for (uint32_t x = of.first; (m & -m & lanes) && p->words[at] != WILD && x < of.end; x++)
            make_word_live(p, p->words[at] + x, b, (uint32_t)__builtin_ctz(m));
}

/* ---- Instructions ------------------------------------------------------------------------------------ */

/* A warp's registers while it is walked back. */
struct state {
    uint32_t *live;
    struct boxes *influence; /* NULL: not kept */
    struct boxes *stored;
};

static void need_register(const struct state *s, int32_t reg, uint32_t lanes, const struct boxes *b)
{
    s->live[reg] |= lanes;
    if (s->influence)
        boxes_join(&s->influence[reg], b, lanes);
}

static void need(const struct state *s, const struct ptx_operand *o, uint32_t lanes,
                 const struct boxes *b)
{
    if (o->kind == PTX_REG)
        need_register(s, (int32_t)o->index, lanes, b);
}

/* Lanes in which some result is live, and in *into what they go into. Those of all results are counted; before it,
 * none is. */
static uint32_t results(struct pass *p, const struct issued *e, const struct ptx_insn *i,
                        const struct state *s, struct boxes *into)
{
    uint32_t any = 0;
    const bool counts = !p->addresses && p->space->targets[e->insn];
    for (int k = 0; k < i->n_dst; k++) {
        const uint32_t lanes = i->dst[k] >= 0 ? s->live[i->dst[k]] & e->lanes : 0;
        const struct boxes *own = s->influence && lanes ? &s->influence[i->dst[k]] : into;
        any |= lanes;
        if (counts)
            p->count[e->insn].live += (uint32_t)__builtin_popcount(lanes);
        if (counts && s->influence)
            influence_count(&p->influence, e->insn, own, lanes);
        if (i->op == PTX_LD && e->memory)
            loaded(p, e, i, k, lanes, own);
        if (s->influence && lanes)
            boxes_join(into, own, lanes);
    }
    for (int k = 0; k < i->n_dst; k++)
        if (i->dst[k] >= 0) {
            s->live[i->dst[k]] &= ~e->lanes;
            if (s->influence)
                boxes_clear(&s->influence[i->dst[k]], e->lanes);
        }
    return any;
}

/* Lanes in which a store, or a change in memory, leaves something live, and in *into what that goes into. */
static uint32_t effects(struct pass *p, const struct issued *e, const struct ptx_insn *i,
                        const struct state *s, struct boxes *into)
{
    uint32_t any = 0;
    for (int k = 0; k < i->n_src; k++) {
        struct boxes own;
        if (s->influence)
            boxes_clear(&own, UINT32_MAX);
        const uint32_t lanes = i->op == PTX_ST && e->memory ? stored(p, e, i, k, &own) : e->lanes;
        need(s, &i->src[k], lanes, &own);
        if (s->influence)
            boxes_join(into, &own, lanes);
        any |= lanes;
    }
    if (i->op != PTX_ST)
        loaded(p, e, i, 0, e->lanes, into);
    if (s->influence)
        boxes_join(s->stored, into, any);
    p->useful[e->warp] |= any;
    return any;
}

static struct boxes *after_region(struct pass *p, const struct issued *e, const struct region *r)
{
    return &p->influence.met[(size_t)e->warp * p->n_regions + r->slot];
}

/* Where ways meet: what all that was written on them goes into. */
static void ways_met(struct pass *p, const struct issued *e, const struct state *s)
{
    for (uint32_t b = p->meet[e->insn]; b != NO_BRANCH; b = p->region[b].next) {
        const struct region *r = &p->region[b];
        struct boxes *to = after_region(p, e, r);
        boxes_clear(to, e->active);
        for (uint32_t k = 0; k < r->n; k++)
            boxes_join(to, &s->influence[r->regs[k]], s->live[r->regs[k]] & e->active);
    }
}

/* Lanes to which it matters which way they go: those with something live on the way that they took. *into: what that
 * goes into where the ways meet, or, if it is in memory, all that they store later on. */
static uint32_t branched(struct pass *p, const struct issued *e, const struct ptx_insn *i,
                         const struct state *s, struct boxes *into)
{
    const struct region *r = &p->region[e->insn];
    const uint32_t *recent = p->recent + (size_t)e->warp * SIMT_LANES;
    uint32_t lanes = 0;
    if (r->known) {
        const uint32_t end = p->met[(size_t)e->warp * p->kernel->n_insns + i->reconverge];
        for (uint32_t l = 0; l < SIMT_LANES; l++)
            lanes |= (uint32_t)(recent[l] < end) << l;
    } else {
        lanes = p->useful[e->warp];
    }
    lanes &= e->active;
    if (!s->influence)
        return lanes;
    uint32_t by_memory = lanes;
    if (r->known)
        boxes_join(into, after_region(p, e, r), lanes);
    for (uint32_t l = 0; l < SIMT_LANES; l++)
        by_memory &= ~((uint32_t)(into->side[0][l] != BOX_EMPTY) << l);
    boxes_join(into, s->stored, by_memory);
    return lanes;
}

static void step_back(struct pass *p, const struct issued *e)
{
    const uint32_t number = (uint32_t)(e - p->events);
    const struct ptx_insn *i = &p->kernel->insns[e->insn];
    struct influence *x = p->influence.output ? &p->influence : NULL;
    const struct state s = {.live = p->live + (size_t)e->warp * p->kernel->n_regs,
                            .influence =
                                x ? x->registers + (size_t)e->warp * p->kernel->n_regs : NULL,
                            .stored = x ? x->stored + e->warp : NULL};
    struct boxes into;
    if (x)
        boxes_clear(&into, UINT32_MAX);
    uint32_t needed = results(p, e, i, &s, &into);
    if (is_memory(i) && i->op != PTX_LD) {
        needed = effects(p, e, i, &s, &into);
    } else if (i->op == PTX_BRA) {
        needed = branched(p, e, i, &s, &into);
    } else if (i->op != PTX_LD && !ptx_is_lanewise(i)) { /* control, other lanes' values, a carry */
        needed = e->active & p->useful[e->warp];
        if (x)
            boxes_join(&into, s.stored, needed);
    }
    for (int k = 0; k < i->n_src && !is_memory(i); k++)
        need(&s, &i->src[k], k < 2 ? needed & ~e->zero[1 - k] : needed, &into);
    need(&s, &i->base, needed, &into);
    if (i->guard >= 0)
        need_register(&s, i->guard, needed, &into);
    for (uint32_t l = 0, *recent = p->recent + (size_t)e->warp * SIMT_LANES; l < SIMT_LANES; l++)
        recent[l] = needed >> l & 1 ? number : recent[l];
    p->met[(size_t)e->warp * p->kernel->n_insns + e->insn] = number;
    if (x)
        ways_met(p, e, &s);
    p->count[e->insn].sites += (uint64_t)__builtin_popcount(e->lanes) * p->space->targets[e->insn];
    if (p->addresses && p->space->targets[e->insn]) {
        p->count[e->insn].live += (uint32_t)__builtin_popcount(needed & e->lanes);
        if (x)
            influence_count(x, e->insn, &into, needed & e->lanes);
    }
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

static void find_regions(struct pass *p, struct arena *a, const struct ptx_kernel *k)
{
    struct region *r = p->region = arena_array(a, k->n_insns, sizeof *r);
    p->n_regions = 0;
    p->meet = arena_array(a, k->n_insns, sizeof *p->meet);
    memset(p->meet, 255, k->n_insns * sizeof *p->meet);
    for (uint32_t b = 0; b < k->n_insns; b++) {
        const struct ptx_insn *i = &k->insns[b];
        if (i->op != PTX_BRA || i->guard < 0 || i->reconverge == PTX_NOWHERE)
            continue;
        struct arena scratch = {0};
        bool *been = arena_array(&scratch, k->n_insns, sizeof *been);
        bool *in = arena_array(&scratch, k->n_regs, sizeof *in);
        r[b].known = true;
        r[b].slot = p->n_regions++;
        r[b].next = p->meet[i->reconverge];
        p->meet[i->reconverge] = b;
        r[b].regs = arena_array(a, k->n_regs, sizeof *r[b].regs);
        add_way(&r[b], k, i->target, i->reconverge, been, in);
        add_way(&r[b], k, b + 1, i->reconverge, been, in);
        arena_fini(&scratch);
    }
}

/* After a launch has been walked back: what memory goes into before it. */
static void settle_influence(struct pass *p)
{
    struct influence *x = &p->influence;
    for (uint32_t i = 0; i < p->global_words; i++) {
        if (has(p->written, i))
            box_clear(&x->after[i]);
        for (int s = 0; s < BOX_SIDES; s++)
            if (x->read[i].side[s] < x->after[i].side[s])
                x->after[i].side[s] = x->read[i].side[s];
        box_clear(&x->read[i]);
    }
}

/* a: of what was counted. */
static int walk_launch(struct pass *p, struct arena *a, struct simt *s, struct simt_mem *m,
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
    find_regions(p, &scratch, p->kernel);
    p->recent = arena_array(&scratch, warps * SIMT_LANES, sizeof *p->recent);
    p->met = arena_array(&scratch, warps * p->kernel->n_insns, sizeof *p->met);
    if (p->influence.output)
        influence_launch(&p->influence, &scratch, p->kernel->n_insns, p->shared_words);
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
        if (p->influence.output)
            influence_cta(&p->influence, warps, p->kernel->n_regs, p->n_regions, p->shared_words);
        for (size_t e = p->n_events; e-- > 0;)
            step_back(p, &p->events[e]);
    }
    if (p->influence.output) {
        for (uint32_t i = 0; i < p->kernel->n_insns; i++)
            influence_result(&p->influence, &p->count[i], a, i);
        settle_influence(p);
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
        if (b->compared && p->influence.output)
            influence_mark(&p->influence, (size_t)(b->address - base) / 4, (size_t)b->bytes / 4);
    }
}

int campaign_live(struct live_count ***out, struct arena *a, const struct simt_program *program,
                  const struct fault_kind *kind, const struct live_output *output, struct diag *d)
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
    influence_init(&p.influence, &scratch, output, p.global_words);
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
        rc = walk_launch(&p, a, s, before[l], launch, d);
    }
    for (size_t l = 0; l < program->n_launches; l++)
        simt_mem_free(before[l]);
    free(p.events);
    free(p.words);
    free(p.live);
    free(p.influence.registers);
    arena_fini(&scratch);
    simt_free(s);
    return rc;
}
