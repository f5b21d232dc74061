/* Concurrent fault simulation: one fault-free run of a CTA carries all its faulty machines along. Before
 * each instruction the operands of differing lanes are gathered and the same instruction is run on
 * them; when it is over, results that equal the fault-free ones are dropped. A machine without
 * differences costs nothing. What the engine cannot carry is evicted and run by CTA replay. */
#include "campaign/concurrent.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- Machines that stop ------------------------------------------------------------------------- */

void machine_trap(struct concurrent *c, uint32_t machine, const struct warp *w, uint32_t insn,
                  enum trap_kind kind, int lane, uint64_t address)
{
    struct machine *m = &c->machine[machine];
    if (m->state != MACHINE_ACTIVE)
        return;
    m->state = MACHINE_TRAPPED;
    m->trap = (struct simt_trap){.kind = kind, .cta = w->cta->number, .warp = w->index,
                                 .lane = (uint32_t)lane, .insn = insn, .address = address,
                                 .at = c->plans->kernel->insns[insn].at};
    c->lost++;
}

void machine_evict(struct concurrent *c, uint32_t machine)
{
    struct machine *m = &c->machine[machine];
    if (m->state != MACHINE_ACTIVE && m->state != MACHINE_AWAY)
        return;
    m->state = MACHINE_EVICTED;
    c->lost++;
}

static bool is_lost(const struct concurrent *c, uint32_t machine)
{
    return c->machine[machine].state >= MACHINE_TRAPPED;
}

/* Forget what lost machines still have in the lists. */
static void purge(struct concurrent *c)
{
    for (size_t l = 0; l < c->n_lists; l++) {
        struct entries *e = &c->list[l];
        uint32_t n = 0;
        for (uint32_t i = 0; i < e->n; i++) {
            e->key[n] = e->key[i];
            e->value[n] = e->value[i];
            n += !is_lost(c, key_machine(e->key[i]));
        }
        e->n = n;
    }
    for (int s = 0; s < 2; s++) {
        struct words *words = s ? &c->shared : &c->global;
        for (size_t d = 0; d < words->n_dirty; d++) {
            struct cell *x = words_at(words, words->dirty[d]);
            uint32_t n = 0;
            for (uint32_t i = 0; i < x->n; i++) {
                x->v[n] = x->v[i];
                n += !is_lost(c, x->v[i].machine);
            }
            x->n = n;
        }
    }
    c->lost = 0;
}

/* ---- Evaluation --------------------------------------------------------------------------------- */

/* Keys at which any source differs in these lanes; sources as they are there. */
static uint32_t join_sources(struct concurrent *c, const struct warp *w, const struct plan *p,
                             const struct entries *src[4], struct entries *keys)
{
    struct entries *merged = &c->tmp[5];
    keys->n = 0;
    for (int s = 0; s < p->n_src; s++) {
        src[s] = list_of(c, w, p->src[s].reg);
        if (!src[s]->n)
            continue;
        if (!keys->n) {
            entries_filter(keys, src[s], w->path_mask);
            continue;
        }
        struct entries *mine = &c->tmp[4];
        entries_filter(mine, src[s], w->path_mask);
        if (mine->n && !(mine->n == keys->n &&
                         memcmp(mine->key, keys->key, mine->n * sizeof *mine->key) == 0)) {
            entries_merge(merged, keys, mine);
            entries_swap(keys, merged);
        }
    }
    return keys->n;
}

static void gather_row(uint8_t *to, const uint8_t *regs, const struct row *r, const uint32_t *key,
                       uint32_t n)
{
    to += r->slot;
    regs += r->slot;
    if (r->bits == 32) {
        const uint32_t *from = (const uint32_t *)(const void *)regs;
        for (uint32_t i = 0; i < n; i++)
            ((uint32_t *)(void *)to)[i] = from[key[i] & 31];
    } else if (r->bits == 64) {
        const uint64_t *from = (const uint64_t *)(const void *)regs;
        for (uint32_t i = 0; i < n; i++)
            ((uint64_t *)(void *)to)[i] = from[key[i] & 31];
    } else if (r->bits == 16) {
        const uint16_t *from = (const uint16_t *)(const void *)regs;
        for (uint32_t i = 0; i < n; i++)
            ((uint16_t *)(void *)to)[i] = from[key[i] & 31];
    } else {
        uint32_t from, mask = 0;
        memcpy(&from, regs, 4);
        for (uint32_t i = 0; i < n; i++)
            mask |= (from >> (key[i] & 31) & 1) << i;
        memcpy(to, &mask, 4);
    }
}

/* Lay the entries of a source over the gathered row; *at walks along the source. */
static void patch_row(uint8_t *regs, const struct row *r, const uint32_t *key, uint32_t n,
                      const struct entries *src, uint32_t *at)
{
    uint32_t k = *at;
    for (uint32_t i = 0; i < n; i++) {
        while (k < src->n && src->key[k] < key[i])
            k++;
        if (k < src->n && src->key[k] == key[i])
            row_set(regs, r, (int)i, src->value[k++]);
    }
    *at = k;
}

/* The same where the source differs at every key. */
static void fill_row(uint8_t *regs, const struct row *r, const uint64_t *value, uint32_t n)
{
    if (r->bits == 32)
        for (uint32_t i = 0; i < n; i++)
            ((uint32_t *)(void *)(regs + r->slot))[i] = (uint32_t)value[i];
    else if (r->bits == 64)
        memcpy(regs + r->slot, value, n * sizeof *value);
    else
        for (uint32_t i = 0; i < n; i++)
            row_set(regs, r, (int)i, value[i]);
}

static void read_row(uint64_t *out, const uint8_t *regs, const struct row *r, uint32_t n)
{
    if (r->bits == 32)
        for (uint32_t i = 0; i < n; i++)
            out[i] = ((const uint32_t *)(const void *)(regs + r->slot))[i];
    else if (r->bits == 64)
        memcpy(out, regs + r->slot, n * sizeof *out);
    else
        for (uint32_t i = 0; i < n; i++)
            out[i] = row_get(regs, r, (int)i);
}

static void evaluate(struct concurrent *c, struct warp *w, uint32_t insn, const struct plan *p)
{
    const struct entries *src[4];
    struct entries *keys = &c->tmp[3];
    uint32_t n = join_sources(c, w, p, src, keys), at[4] = {0};
    const struct code *code = c->plans->program->solo[insn];
    bool everywhere[4];
    for (int s = 0; s < p->n_src; s++)
        everywhere[s] = w->path_mask == SIMT_FULL_MASK && src[s]->n == n;
    c->now.evaluated = n > 0;
    if (n == 0)
        return;
    for (int d = 0; d < p->n_dst; d++) {
        entries_reserve(&c->now.result[d], n);
        c->now.result[d].n = n;
        memcpy(c->now.result[d].key, keys->key, n * sizeof *keys->key);
    }
    for (uint32_t from = 0; from < n; from += SIMT_LANES) {
        uint32_t count = n - from < SIMT_LANES ? n - from : SIMT_LANES;
        const uint32_t *key = keys->key + from;
        for (int s = 0; s < p->n_src; s++) {
            if (everywhere[s]) {
                fill_row(c->scratch, &p->src[s], src[s]->value + from, count);
                continue;
            }
            gather_row(c->scratch, w->regs, &p->src[s], key, count);
            if (src[s]->n)
                patch_row(c->scratch, &p->src[s], key, count, src[s], &at[s]);
        }
        for (int s = 0; s < p->n_fixed; s++)
            gather_row(c->scratch, w->regs, &p->fixed[s], key, count);
        code->fn(c->scratch_warp, code, c->scratch, SIMT_FULL_MASK);
        for (int d = 0; d < p->n_dst; d++)
            read_row(c->now.result[d].value + from, c->scratch, &p->dst[d], count);
    }
}

/* ---- Strikes ------------------------------------------------------------------------------------ */

static int nth_lane(uint32_t mask, uint64_t n)
{
    while (n--)
        mask &= mask - 1;
    return __builtin_ctz(mask);
}

/* The k-th register that the instruction keeps. */
static const struct row *kept(const struct plan *p, uint64_t k)
{
    const struct row *r = p->dst;
    for (;; r++)
        if (r->bits && k-- == 0)
            return r;
}

static void strike(struct concurrent *c, uint32_t machine)
{
    const struct fault *f = c->faults[machine];
    const struct plan *p = c->now.plan;
    struct warp *w = c->now.w;
    struct machine *m = &c->machine[machine];
    uint64_t site = f->nth - c->now.sites;
    int chosen = nth_lane(c->now.mask, site / p->targets);
    const struct row *r = kept(p, site % p->targets);
    struct entries *list = list_of(c, w, r->reg);
    m->state = MACHINE_ACTIVE;
    m->strike = (struct strike){.landed = true, .insn = c->now.insn, .warp = w->index,
                                .lane = (uint32_t)chosen, .reg = (uint32_t)(site % p->targets),
                                .bits = r->bits, .has_cell = true, .cell = r->reg,
                                .issued = c->now.issued};
    uint32_t lanes = f->kind.scope == SCOPE_THREAD ? (uint32_t)1 << chosen : c->now.mask;
    for (; lanes; lanes &= lanes - 1) {
        int lane = __builtin_ctz(lanes);
        uint64_t before = row_get(w->regs, r, lane);
        uint64_t after = inject_flip(f, before, r->bits, lane);
        m->strike.lanes++;
        if (lane == chosen) {
            m->strike.before = before;
            m->strike.after = after;
        }
        if (after != before) /* the newest machine has the highest number: keys ascend */
            entries_push(list, key_of(machine, lane), after);
    }
}

/* ---- One instruction ------------------------------------------------------------------------------ */

#define DROP_EQUAL(golden)                                                                         \
    for (uint32_t i = 0; i < e->n; i++) {                                                          \
        uint32_t key = e->key[i];                                                                  \
        uint64_t v = e->value[i];                                                                  \
        e->key[n] = key;                                                                           \
        e->value[n] = v;                                                                           \
        n += v != (golden);                                                                        \
    }

/* Keep the entries that differ from the fault-free row; returns how many. */
static uint32_t drop_equal(struct entries *e, const uint8_t *regs, const struct row *r)
{
    const void *row = regs + r->slot;
    uint32_t n = 0;
    if (r->bits == 32)
        DROP_EQUAL(((const uint32_t *)row)[key_lane(key)])
    else if (r->bits == 64)
        DROP_EQUAL(((const uint64_t *)row)[key_lane(key)])
    else
        DROP_EQUAL(row_get(regs, r, key_lane(key)))
    return e->n = n;
}
#undef DROP_EQUAL

/* The instruction that had started is over: compare, keep what differs, strike. */
static void finish(struct concurrent *c)
{
    const struct plan *p = c->now.plan;
    struct warp *w = c->now.w;
    if (!p)
        return;
    c->now.plan = NULL;
    for (int d = 0; c->now.evaluated && d < p->n_dst; d++) {
        struct entries *result = &c->now.result[d], *list = list_of(c, w, p->dst[d].reg);
        uint32_t n = drop_equal(result, w->regs, &p->dst[d]);
        if (!list->n) {
            entries_swap(list, result);
        } else if (n) { /* lanes that are not in the mask keep what they had */
            entries_merge(&c->tmp[5], list, result);
            entries_swap(list, &c->tmp[5]);
        }
    }
    c->now.plan = p;
    while (c->n_struck < c->n_machines &&
           c->faults[c->n_struck]->nth - c->now.sites <
               (uint64_t)p->targets * (unsigned)__builtin_popcount(c->now.mask))
        strike(c, c->n_struck++);
    c->now.plan = NULL;
}

static bool is_struck(const struct concurrent *c, uint64_t sites)
{
    return c->n_struck < c->n_machines && c->faults[c->n_struck]->nth - c->sites < sites;
}

static void start(struct concurrent *c, struct warp *w, uint32_t insn, const struct plan *p)
{
    bool differs = false, struck;
    uint64_t sites = (uint64_t)p->targets * (unsigned)__builtin_popcount(w->path_mask);
    c->now.evaluated = false;
    switch (p->kind) {
    case PLAN_NONE:
    case PLAN_LANES:
        for (int s = 0; s < p->n_src; s++)
            differs |= list_of(c, w, p->src[s].reg)->n > 0;
        if (differs)
            evaluate(c, w, insn, p);
        for (int d = 0; d < p->n_dst; d++)
            if (p->dst[d].bits)
                entries_drop(list_of(c, w, p->dst[d].reg), w->path_mask);
        break;
    case PLAN_LOAD: access_load(c, w, insn, p); break;
    case PLAN_STORE: access_store(c, w, insn, p); break;
    case PLAN_BARRIER:
        if (c->n_groups)
            detour_barrier(c, w);
        break;
    case PLAN_BRANCH:
        if (list_of(c, w, p->src[0].reg)->n)
            detour_diverge(c, w, insn, p);
        break;
    }
    struck = is_struck(c, sites);
    if (c->now.evaluated || struck) {
        c->now.plan = p;
        c->now.w = w;
        c->now.insn = insn;
        c->now.mask = w->path_mask;
        c->now.issued = issued_before(w, insn);
        c->now.sites = c->sites;
    }
    c->sites += sites;
}

static void on_watch(void *ctx, struct warp *w, uint32_t insn)
{
    struct concurrent *c = ctx;
    finish(c);
    if (c->n_groups)
        detour_rejoin(c, w, insn);
    if (c->lost > 64 && c->lost > c->n_struck / 8)
        purge(c);
    start(c, w, insn, &c->plans->plan[insn]);
}

static void on_end(void *ctx, uint64_t cta, uint64_t issued)
{
    struct concurrent *c = ctx;
    (void)cta;
    finish(c);
    detour_end(c);
    for (uint32_t m = 0; m < c->n_machines; m++) /* would it have hung after its detours? */
        if (c->machine[m].excess > 0 &&
            issued + (uint64_t)c->machine[m].excess > c->limits[c->position])
            machine_evict(c, m);
}

/* ---- The life of the engine ------------------------------------------------------------------------ */

struct concurrent *concurrent_new(const struct simt_program *p, const struct golden *g,
                                  struct simt *simt, struct replay *replay, const uint64_t *limits)
{
    struct concurrent *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    *c = (struct concurrent){.program = p, .golden = g, .simt = simt, .limits = limits,
                             .replay = replay, .live = replay_memory(replay, true),
                             .spare = replay_memory(replay, false)};
    words_init(&c->global, g->mem_bytes);
    c->scratch_warp = aligned_alloc(64, (sizeof *c->scratch_warp + 63) / 64 * 64);
    c->detour_warp = aligned_alloc(64, (sizeof *c->detour_warp + 63) / 64 * 64);
    if (!c->scratch_warp || !c->detour_warp)
        abort();
    memset(c->scratch_warp, 0, sizeof *c->scratch_warp);
    return c;
}

static void forget_kernel(struct concurrent *c)
{
    for (size_t i = 0; i < c->n_lists; i++)
        entries_fini(&c->list[i]);
    free(c->list);
    free(c->scratch);
    free(c->detour_regs);
    free(c->detour_shared);
    plans_free(c->plans);
    if (c->shared.page)
        words_fini(&c->shared);
    c->list = NULL;
    c->n_lists = 0;
    c->plans = NULL;
}

void concurrent_free(struct concurrent *c)
{
    if (!c)
        return;
    forget_kernel(c);
    words_fini(&c->global);
    for (int i = 0; i < 6; i++)
        entries_fini(&c->tmp[i]);
    for (int i = 0; i < 4; i++)
        entries_fini(&c->now.result[i]);
    free(c->machine);
    free(c->scratch_warp);
    free(c->detour_warp);
    free(c->groups);
    free(c);
}

static uint8_t *new_file(size_t bytes)
{
    uint8_t *p = aligned_alloc(64, (bytes + 127) / 64 * 64);
    if (!p)
        abort();
    return p;
}

/* The first instruction of a CTA: learn its kernel, and constants for the scratch registers. */
static void learn(struct concurrent *c, const struct warp *w)
{
    const struct cta *cta = w->cta;
    const struct program *p = cta->program;
    size_t lists = (size_t)cta->n_warps * cta->kernel->n_regs;
    if (!c->plans || c->plans->kernel != cta->kernel || c->plans->program != p ||
        c->n_lists != lists || c->shared_bytes != w->shared.size) {
        forget_kernel(c);
        c->plans = plans_new(cta->kernel, p, &c->golden->kind);
        c->n_lists = lists;
        c->list = calloc(lists + 1, sizeof *c->list);
        if (!c->list)
            abort();
        c->shared_bytes = w->shared.size;
        words_init(&c->shared, c->shared_bytes);
        c->scratch = new_file(p->file_bytes);
        c->detour_regs = new_file(p->file_bytes);
        c->detour_shared = new_file(c->shared_bytes);
    }
    memcpy(c->scratch, w->regs, p->file_bytes);
}

static void first_watch(void *ctx, struct warp *w, uint32_t insn);

static void clear(struct concurrent *c, const struct fault *const *faults, uint32_t n, size_t position)
{
    if (n > c->machine_room) {
        c->machine_room = n;
        free(c->machine);
        c->machine = malloc(n * sizeof *c->machine);
        if (!c->machine)
            abort();
    }
    memset(c->machine, 0, n * sizeof *c->machine);
    for (size_t i = 0; i < c->n_lists; i++)
        c->list[i].n = 0;
    words_clear(&c->global);
    if (c->shared.page)
        words_clear(&c->shared);
    c->faults = faults;
    c->n_machines = n;
    c->n_struck = 0;
    c->sites = 0;
    c->lost = 0;
    c->position = position;
    c->now.plan = NULL;
}

struct watcher {
    struct concurrent *c;
    bool begun;
};

static void first_watch(void *ctx, struct warp *w, uint32_t insn)
{
    struct watcher *x = ctx;
    if (!x->begun) {
        x->begun = true;
        learn(x->c, w);
    }
    on_watch(x->c, w, insn);
}

static void end_watched(void *ctx, uint64_t cta, uint64_t issued)
{
    on_end(((struct watcher *)ctx)->c, cta, issued);
}

/* ---- Results -------------------------------------------------------------------------------------- */

static int by_index(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* The differing words of each machine: v[first[m] .. first[m + 1]), ascending by address, with the
 * address in the place of the machine. */
struct leftovers {
    size_t *first;
    struct machine_word *v;
};

static struct leftovers leftovers_new(struct concurrent *c)
{
    struct words *w = &c->global;
    struct leftovers l = {calloc(c->n_machines + 2, sizeof *l.first), NULL};
    if (!l.first)
        abort();
    if (w->n_dirty)
        qsort(w->dirty, w->n_dirty, sizeof *w->dirty, by_index);
    for (size_t d = 0; d < w->n_dirty; d++) {
        const struct cell *x = words_at(w, w->dirty[d]);
        for (uint32_t i = 0; i < x->n; i++)
            l.first[x->v[i].machine + 2]++;
    }
    for (uint32_t m = 0; m < c->n_machines; m++)
        l.first[m + 2] += l.first[m + 1];
    l.v = malloc((l.first[c->n_machines + 1] + 1) * sizeof *l.v);
    if (!l.v)
        abort();
    for (size_t d = 0; d < w->n_dirty; d++) {
        const struct cell *x = words_at(w, w->dirty[d]);
        for (uint32_t i = 0; i < x->n; i++)
            l.v[l.first[x->v[i].machine + 1]++] = (struct machine_word){w->dirty[d], x->v[i].value};
    }
    return l;
}

static void run_cta(struct concurrent *c, size_t launch)
{
    struct watcher x = {.c = c};
    struct simt_hook hook = {.ctx = &x, .watch = first_watch, .cta_end = end_watched};
    struct simt_run_options options = {.hook = &hook};
    struct simt_result r;
    replay_move_to(c->replay, c->position);
    simt_mem_forget(c->live);
    simt_run(c->simt, c->live, &c->program->launches[launch],
             c->position - c->golden->first[launch], 1, &options, &r);
    assert(r.trap.kind == TRAP_NONE && c->n_struck == c->n_machines);
    replay_moved(c->replay);
}

bool concurrent_supports(const struct concurrent *c, size_t launch)
{
    const struct fault_kind *k = &c->golden->kind;
    return kind_is_value(k) && !kind_is_stuck(k) &&
           plans_supported(c->program->launches[launch].kernel);
}

void concurrent_run(struct concurrent *c, size_t position, const struct fault *const *faults,
                    uint32_t n,
                    void (*each)(void *ctx, uint32_t i, struct experiment_result *r), void *ctx)
{
    clear(c, faults, n, position);
    size_t launch = golden_launch_of(c->golden, position);
    run_cta(c, launch);
    struct leftovers left = leftovers_new(c);
    for (uint32_t m = 0; m < n; m++) {
        const struct machine *x = &c->machine[m];
        struct experiment_result r = {.strike = x->strike};
        if (x->state == MACHINE_EVICTED)
            continue;
        if (x->state == MACHINE_TRAPPED) {
            r.trap = x->trap;
            r.trap_launch = (uint32_t)launch;
        } else {
            replay_move_to(c->replay, position + 1);
            replay_from_words(c->replay, left.v + left.first[m], left.first[m + 1] - left.first[m], &r);
        }
        each(ctx, m, &r);
    }
    free(left.first);
    free(left.v);
    for (uint32_t m = 0; m < n; m++)
        if (c->machine[m].state == MACHINE_EVICTED) {
            struct experiment_result r = {0};
            replay_run(c->replay, faults[m], &r);
            r.strike = c->machine[m].strike;
            each(ctx, m, &r);
        }
}
