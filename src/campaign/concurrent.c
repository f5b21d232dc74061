/* Concurrent fault simulation: one fault-free run of a CTA carries all its faulty machines along.
 * Before each instruction the lists say which machines it concerns; one that concerns none costs
 * nothing. */
#include "campaign/concurrent.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- Machines that stop -------------------------------------------------------------------------
 */

void machine_trap(struct concurrent *c, uint32_t machine, const struct warp *w, uint32_t insn,
                  enum trap_kind kind, int lane, uint64_t address)
{
    struct machine *m = &c->machine[machine];
    if (m->state != MACHINE_ACTIVE)
        return;
    m->state = MACHINE_TRAPPED;
    m->trap = (struct simt_trap){.kind = kind,
                                 .cta = w->cta->number,
                                 .warp = w->index,
                                 .lane = (uint32_t)lane,
                                 .insn = insn,
                                 .address = address,
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
            uint64_t v = entries_get(e, i);
            e->key[n] = e->key[i];
            entries_put(e, n, v);
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
            words_keep(words, words->dirty[d], n);
        }
    }
    c->lost = 0;
}

/* ---- Strikes ------------------------------------------------------------------------------------
 */

static int nth_lane(uint32_t mask, uint64_t n)
{
    if (mask == SIMT_FULL_MASK)
        return (int)n;
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

static struct machine *add_machine(struct concurrent *c)
{
    if (c->n_machines == c->machine_room) {
        c->machine_room = 2 * c->machine_room + 1024;
        c->machine = realloc(c->machine, c->machine_room * sizeof *c->machine);
        if (!c->machine)
            abort();
    }
    struct machine *m = &c->machine[c->n_machines++];
    *m = (struct machine){.fault = c->next_fault, .state = MACHINE_ACTIVE};
    return m;
}

static struct fault fault_of(const struct concurrent *c, const struct machine *m)
{
    struct fault f = *c->faults[m->fault];
    if (c->all_bits)
        f.draw[0] = m->bit;
    return f;
}

/* live: something may read the result. Otherwise the machine is as the fault-free run at once. */
static void strike(struct concurrent *c, uint8_t bit, int chosen, uint32_t which, bool live)
{
    const struct plan *p = c->now.plan;
    struct warp *w = c->now.w;
    const struct row *r = kept(p, which);
    struct entries *list = list_of(c, w, r->reg);
    uint32_t machine = c->n_machines;
    struct machine *m = add_machine(c);
    m->bit = bit;
    m->strike = (struct strike){.landed = true,
                                .insn = c->now.insn,
                                .warp = w->index,
                                .lane = (uint32_t)chosen,
                                .reg = which,
                                .bits = r->bits,
                                .has_cell = true,
                                .cell = r->reg,
                                .issued = c->now.issued};
    const struct fault f = fault_of(c, m);
    uint32_t lanes = f.kind.scope == SCOPE_THREAD ? (uint32_t)1 << chosen : c->now.mask;
    for (; lanes; lanes &= lanes - 1) {
        int lane = __builtin_ctz(lanes);
        uint64_t before = row_get(w->regs, r, lane);
        uint64_t after = inject_flip(&f, before, r->bits, lane);
        m->strike.lanes++;
        if (lane == chosen) {
            m->strike.before = before;
            m->strike.after = after;
        }
        if (live && after != before) /* the newest machine has the highest number: keys ascend */
            entries_push(list, key_of(machine, lane), after);
    }
}

/* The site that is next. */
static void strike_site(struct concurrent *c)
{
    const struct plan *p = c->now.plan;
    uint64_t site = c->faults[c->next_fault]->nth - c->now.sites;
    uint32_t which = p->targets == 1 ? 0 : (uint32_t)(site % p->targets);
    int chosen = nth_lane(c->now.mask, p->targets == 1 ? site : site / p->targets);
    const struct row *r = kept(p, which);
    bool live = plans_live(c->plans, r->reg, c->now.insn + 1);
    for (int bit = 0; bit < (c->all_bits ? r->bits : 1); bit++)
        strike(c, (uint8_t)bit, chosen, which, live);
    c->next_fault++;
}

/* ---- One instruction
 * ------------------------------------------------------------------------------ */

/* The instruction that had started is over: strike its results. */
static void finish(struct concurrent *c)
{
    const struct plan *p = c->now.plan;
    uint64_t sites = (uint64_t)p->targets * (unsigned)__builtin_popcount(c->now.mask);
    while (c->next_fault < c->n_faults && c->faults[c->next_fault]->nth - c->now.sites < sites)
        strike_site(c);
    c->next_site = c->next_fault < c->n_faults ? c->faults[c->next_fault]->nth : UINT64_MAX;
    c->now.plan = NULL;
}

static uint32_t mask_of(const struct warp *w, const struct plan *p)
{
    if (!p->guarded)
        return w->path_mask;
    uint32_t pred;
    memcpy(&pred, w->regs + p->guard.slot, 4);
    return w->path_mask & (p->guard_negated ? ~pred : pred);
}

static bool any_differs(const struct entries *lists, const struct plan *p)
{
    uint32_t any = 0;
    for (int s = 0; s < p->n_reads; s++)
        any |= lists[p->reads[s]].n;
    return any;
}

/* Its guard differs in some machine; the fault-free run executes it in the lanes of mask. */
static void start_guarded(struct concurrent *c, struct warp *w, uint32_t insn, const struct plan *p,
                          uint32_t mask)
{
    switch (p->kind) {
    case PLAN_LANES:
    case PLAN_FMA:
        evaluate_guarded(c, w, insn, p);
        break;
    case PLAN_BRANCH:
        stray_diverge(c, w, insn, p);
        break;
    case PLAN_LOAD:
    case PLAN_STORE:
    case PLAN_BARRIER:
    case PLAN_HARD:
        fork_concerned(c, w, insn, p, mask);
        break;
    case PLAN_NOTHING:
        break;
    }
}

static void start_access(struct concurrent *c, struct warp *w, uint32_t insn, const struct plan *p,
                         uint32_t mask)
{
    if (!mask)
        return;
    if (p->kind == PLAN_LOAD)
        access_load(c, w, insn, p, mask);
    else
        access_store(c, w, insn, p, mask);
}

static void start(struct concurrent *c, struct warp *w, uint32_t insn, const struct plan *p,
                  uint32_t mask)
{
    struct entries *lists = list_of(c, w, 0);
    if (p->guarded && lists[p->guard.reg].n) {
        start_guarded(c, w, insn, p, mask);
        return;
    }
    switch (p->kind) {
    case PLAN_LANES:
    case PLAN_FMA:
        if (any_differs(lists, p)) {
            evaluate(c, w, insn, p, mask);
            break;
        }
        for (int d = 0; d < p->n_dst; d++)
            if (lists[p->dst[d].reg].n)
                entries_drop(&lists[p->dst[d].reg], mask);
        break;
    case PLAN_LOAD:
    case PLAN_STORE:
        start_access(c, w, insn, p, mask);
        break;
    case PLAN_BARRIER:
        if (c->n_groups)
            detour_cancel(c, w);
        break;
    case PLAN_HARD:
        fork_concerned(c, w, insn, p, mask);
        break;
    case PLAN_BRANCH:
    case PLAN_NOTHING:
        break;
    }
}

static void on_watch(void *ctx, struct warp *w, uint32_t insn)
{
    struct concurrent *c = ctx;
    const struct plan *p = &c->plans->plan[insn];
    if (c->now.plan)
        finish(c);
    if (c->n_groups && (c->n_open_ends || c->plans->kernel->joins[insn]))
        detour_rejoin(c, w, insn);
    if (c->lost > 64 && c->lost > c->n_machines / 8)
        purge(c);
    uint32_t mask = mask_of(w, p);
    start(c, w, insn, p, mask);
    if (!p->targets)
        return;
    uint64_t sites = (uint64_t)p->targets *
                     (mask == SIMT_FULL_MASK ? SIMT_LANES : (unsigned)__builtin_popcount(mask));
    if (c->next_site - c->sites < sites) {
        c->now.plan = p;
        c->now.w = w;
        c->now.insn = insn;
        c->now.mask = mask;
        c->now.issued = issued_before(w, insn);
        c->now.sites = c->sites;
    }
    c->sites += sites;
}

static void on_end(void *ctx, uint64_t cta, uint64_t issued)
{
    struct concurrent *c = ctx;
    (void)cta;
    if (c->now.plan)
        finish(c);
    detour_end(c);
    for (uint32_t m = 0; m < c->n_machines; m++) /* would it have hung after its detours? */
        if (c->machine[m].most > 0 &&
            issued + (uint64_t)c->machine[m].most > c->limits[c->position])
            machine_evict(c, m);
}

/* ---- The life of the engine
 * ------------------------------------------------------------------------ */

static uint8_t *new_file(size_t bytes)
{
    uint8_t *p = aligned_alloc(64, (bytes + 127) / 64 * 64);
    if (!p)
        abort();
    return p;
}

struct concurrent *concurrent_new(const struct simt_program *p, const struct golden *g,
                                  struct simt *simt, struct replay *replay, const uint64_t *limits)
{
    struct concurrent *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    *c = (struct concurrent){.program = p,
                             .golden = g,
                             .simt = simt,
                             .limits = limits,
                             .fork = simt_new(),
                             .lists = simt_lists(simt),
                             .replay = replay,
                             .live = simt_mem_clone(p->mem),
                             .spare = simt_mem_clone(p->mem)};
    words_init(&c->global, g->mem_bytes);
    c->scratch_warp = aligned_alloc(64, (sizeof *c->scratch_warp + 63) / 64 * 64);
    c->detour_warp = aligned_alloc(64, (sizeof *c->detour_warp + 63) / 64 * 64);
    c->stray_warp = aligned_alloc(64, (sizeof *c->stray_warp + 63) / 64 * 64);
    if (!c->scratch_warp || !c->detour_warp || !c->stray_warp)
        abort();
    memset(c->stray_warp, 0, sizeof *c->stray_warp);
    for (int d = 0; d < 4; d++)
        c->golden_row[d] = new_file(8 * SIMT_LANES);
    memset(c->scratch_warp, 0, sizeof *c->scratch_warp);
    return c;
}

static void forget_kernel(struct concurrent *c)
{
    for (size_t i = 0; i < c->n_lists; i++)
        entries_fini(&c->list[i]);
    free(c->list);
    free(c->scratch);
    free(c->stray_regs);
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
    for (int i = 0; i < 5; i++)
        entries_fini(&c->filtered[i]);
    for (int i = 0; i < 4; i++) {
        entries_fini(&c->result[i]);
        entries_fini(&c->extra[i]);
        free(c->golden_row[i]);
    }
    simt_free(c->fork);
    simt_mem_free(c->live);
    simt_mem_free(c->spare);
    free(c->forked);
    free(c->machine);
    free(c->scratch_warp);
    free(c->detour_warp);
    free(c->stray_warp);
    free(c->groups);
    free(c);
}

/* The first instruction of a CTA: learn its kernel, and constants for the scratch registers. */
static void learn(struct concurrent *c, const struct warp *w)
{
    const struct cta *cta = w->cta;
    const struct program *p = cta->program;
    size_t lists = (size_t)cta->n_warps * (cta->kernel->n_regs + 1);
    if (!c->plans || c->plans->kernel != cta->kernel || c->plans->program != p ||
        c->n_lists != lists || c->shared_bytes != w->shared.size) {
        forget_kernel(c);
        c->plans = plans_new(cta->kernel, p, &c->golden->kind);
        c->n_lists = lists;
        c->list = calloc(lists + 1, sizeof *c->list);
        if (!c->list)
            abort();
        for (size_t i = 0; i < lists; i++)
            c->list[i].wide = plans_row(c->plans, (uint32_t)(i % c->plans->n_regs)).bits == 64;
        c->shared_bytes = w->shared.size;
        words_init(&c->shared, c->shared_bytes);
        c->scratch = new_file(p->file_bytes);
        c->stray_regs = new_file(p->file_bytes);
        c->detour_regs = new_file(p->file_bytes);
        c->detour_shared = new_file(c->shared_bytes);
    }
    memcpy(c->scratch, w->regs, p->file_bytes);
    memcpy(c->stray_regs, w->regs, p->file_bytes);
    c->scratch_warp->param = w->param;
    c->scratch_warp->constant = w->constant;
}

static void first_watch(void *ctx, struct warp *w, uint32_t insn);

static void clear(struct concurrent *c, const struct fault *const *faults, uint32_t n,
                  bool all_bits, size_t position)
{
    for (size_t i = 0; i < c->n_lists; i++)
        c->list[i].n = 0;
    words_clear(&c->global);
    if (c->shared.page)
        words_clear(&c->shared);
    c->faults = faults;
    c->n_faults = n;
    c->all_bits = all_bits;
    c->n_machines = c->next_fault = 0;
    c->sites = 0;
    c->next_site = n ? faults[0]->nth : UINT64_MAX;
    c->lost = 0;
    c->n_forked = 0;
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

/* ---- Results
 * -------------------------------------------------------------------------------------- */

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

/* The memories of the run and of detours become the fault-free ones before the position. */
static void move_memory(struct concurrent *c, size_t position)
{
    uint8_t *memory[] = {simt_mem_data(c->live), simt_mem_data(c->spare)};
    for (; c->memory_at < position; c->memory_at++)
        for (int i = 0; i < 2; i++)
            log_redo(&c->golden->cta[c->memory_at], memory[i]);
    for (; c->memory_at > position; c->memory_at--)
        for (int i = 0; i < 2; i++)
            log_undo(&c->golden->cta[c->memory_at - 1], memory[i]);
}

static void run_cta(struct concurrent *c, size_t launch)
{
    struct watcher x = {.c = c};
    struct simt_hook hook = {.ctx = &x, .watch = first_watch, .cta_end = end_watched};
    struct simt_run_options options = {.hook = &hook};
    struct simt_result r;
    move_memory(c, c->position);
    replay_move_to(c->replay, c->position + 1);
    simt_mem_forget(c->live);
    simt_run(c->simt, c->live, &c->program->launches[launch],
             c->position - c->golden->first[launch], 1, &options, &r);
    assert(r.trap.kind == TRAP_NONE && c->next_fault == c->n_faults);
    log_redo(&c->golden->cta[c->position], simt_mem_data(c->spare));
    c->memory_at = c->position + 1;
}

bool concurrent_supports(const struct fault_kind *k, const struct ptx_kernel *kernel)
{
    return kind_is_value(k) && !kind_is_stuck(k) && plans_supported(kernel);
}

void concurrent_run(struct concurrent *c, size_t position, const struct fault *const *faults,
                    uint32_t n, bool all_bits,
                    void (*each)(void *ctx, uint32_t i, struct experiment_result *r), void *ctx)
{
    clear(c, faults, n, all_bits, position);
    size_t launch = golden_launch_of(c->golden, position);
    run_cta(c, launch);
    struct leftovers left = leftovers_new(c);
    for (uint32_t m = 0; m < c->n_machines; m++) {
        const struct machine *x = &c->machine[m];
        struct experiment_result r = {.strike = x->strike, .warp_insns = x->issued};
        if (x->state == MACHINE_EVICTED)
            continue;
        if (x->state == MACHINE_TRAPPED) {
            r.trap = x->trap;
            r.trap_launch = (uint32_t)launch;
        } else {
            bool forked = x->state == MACHINE_FORKED;
            replay_move_to(c->replay, position + 1);
            replay_from_words(c->replay,
                              forked ? c->forked + x->first_word : left.v + left.first[m],
                              forked ? x->n_words : left.first[m + 1] - left.first[m], &r);
        }
        each(ctx, x->fault, &r);
    }
    free(left.first);
    free(left.v);
    for (uint32_t m = 0; m < c->n_machines; m++)
        if (c->machine[m].state == MACHINE_EVICTED) {
            const struct fault f = fault_of(c, &c->machine[m]);
            struct experiment_result r = {0};
            replay_run(c->replay, &f, &r);
            r.strike = c->machine[m].strike;
            each(ctx, c->machine[m].fault, &r);
        }
}
