/* Lanes that take a branch differently, where the code up to the meeting point looks at no other
 * lane. If it has no side effects, a lane's fate depends on nothing but its own registers and on
 * memory, which stands still: so lanes of different machines run side by side in one warp, and come
 * back as list entries when the fault-free run arrives at the meeting point. If it stores, that is
 * still true of lanes that go straight to the meeting point; the fault-free stores do not happen in
 * them (access.c). */
#include <stdlib.h>
#include <string.h>

#include "campaign/concurrent.h"

enum end { END_ARRIVED, END_DIRECT, END_HUNG, END_HARD }; /* of a stray */

void stray_fini(struct strays *s)
{
    free(s->key);
    free(s->count);
    free(s->value);
}

static const struct region *region_of(const struct concurrent *c, const struct party *g)
{
    return &c->plans->plan[g->branch].region;
}

bool stray_is(const struct concurrent *c, const struct warp *w, uint32_t key)
{
    if (!c->machine[key_machine(key)].n_strays)
        return false;
    for (size_t i = 0; i < c->n_groups; i++) {
        const struct party *g = c->groups[i];
        uint32_t lo = 0, hi = g->w == w ? g->strays.n : 0;
        while (lo < hi) {
            uint32_t mid = lo + (hi - lo) / 2;
            if (g->strays.key[mid] < key)
                lo = mid + 1;
            else
                hi = mid;
        }
        if (g->w == w && lo < g->strays.n && g->strays.key[lo] == key)
            return true;
    }
    return false;
}

void stray_keys(struct concurrent *c, const struct warp *w, uint32_t mask, struct entries *out)
{
    uint32_t parties = 0;
    out->n = 0;
    out->wide = true;
    for (size_t i = 0; i < c->n_groups; i++) {
        const struct strays *s = &c->groups[i]->strays;
        if (c->groups[i]->w != w || !s->n)
            continue;
        for (uint32_t k = 0; k < s->n; k++)
            if (mask >> key_lane(s->key[k]) & 1)
                entries_push(out, s->key[k], UINT64_MAX);
        parties++;
    }
    if (parties > 1)
        entries_sort(out, &c->tmp[3]);
}

/* ---- Leaving
 * -------------------------------------------------------------------------------------- */

static void reserve(struct strays *s, uint32_t n, size_t n_def)
{
    s->room = n;
    s->key = aligned_alloc(64, ((n + SIMT_LIST_SLACK) * sizeof *s->key + 63) / 64 * 64);
    s->count = malloc((n + 1) * sizeof *s->count);
    s->value = malloc((n * n_def + 1) * sizeof *s->value);
    if (!s->key || !s->count || !s->value)
        abort();
}

/* Some of the strays, as the lanes of one warp; ascending as a rule. */
struct bunch {
    uint32_t n, stray[SIMT_LANES];
    uint32_t key[SIMT_LANES + SIMT_LIST_SLACK];
    uint64_t limit[SIMT_LANES]; /* instructions from the branch on */
};

static void lay(struct concurrent *c, const struct warp *w, const struct row *r,
                const struct bunch *b)
{
    const struct entries *list = list_of(c, w, r->reg);
    c->lists->spread(c->stray_regs + r->slot, w->regs + r->slot, r->bits, b->key, b->n);
    for (uint32_t i = 0, k = 0; i < b->n && list->n; i++) {
        k = i && b->key[i - 1] < b->key[i] ? entries_seek(list, b->key[i], k)
                                           : entries_find(list, b->key[i]);
        if (k < list->n && list->key[k] == b->key[i])
            row_set(c->stray_regs, r, (int)i, entries_get(list, k));
    }
}

static void lay_all(struct concurrent *c, const struct party *g, const struct bunch *b)
{
    const struct region *r = region_of(c, g);
    for (size_t k = 0; k < r->n_use; k++)
        lay(c, g->w, &r->use[k], b);
    for (size_t k = 0; k < r->n_fixed; k++)
        c->lists->spread(c->stray_regs + r->fixed[k].slot, g->w->regs + r->fixed[k].slot,
                         r->fixed[k].bits, b->key, b->n);
}

static void add_stray(const struct concurrent *c, const struct party *g, struct bunch *b,
                      uint32_t stray)
{
    uint32_t key = g->strays.key[stray];
    int64_t left =
        (int64_t)(c->limits[c->position] - g->issued) - c->machine[key_machine(key)].least;
    b->stray[b->n] = stray;
    b->key[b->n] = key;
    b->limit[b->n++] = left > 0 ? (uint64_t)left : 0;
}

static void make_warp(struct concurrent *c, const struct party *g, uint32_t mask, struct cta *cta)
{
    struct warp *d = c->stray_warp;
    const struct warp *w = g->w;
    *cta = *w->cta;
    d->global = w->global;
    d->shared = w->shared;
    d->param = w->param;
    d->constant = w->constant;
    d->index = w->index;
    cta->hook = NULL;
    cta->variant = CODE_PLAIN;
    cta->trap = (struct simt_trap){0};
    cta->issued = 0;
    d->cta = cta;
    d->trap = &cta->trap;
    d->regs = c->stray_regs;
    d->live = mask;
    d->used_paths = 3;
    d->paths[0] = (struct path){.pc = g->meet,
                                .reconverge = PTX_NOWHERE,
                                .mask = mask,
                                .parent = -1,
                                .children = 1,
                                .barrier = -1};
    d->paths[1] = (struct path){
        .pc = g->branch, .reconverge = g->meet, .mask = mask, .parent = 0, .barrier = -1};
}

/* Where the stray goes from the branch. */
static uint32_t way_of(const struct concurrent *c, const struct party *g, uint32_t key)
{
    const struct plan *p = &c->plans->plan[g->branch];
    bool golden = row_get(g->w->regs, &p->guard, key_lane(key)) != p->guard_negated;
    return golden ? g->branch + 1 : c->plans->kernel->insns[g->branch].target;
}

/* Those that trap are left out, and the others run again. */
static void run_bunch(struct concurrent *c, struct party *g, const struct bunch *b, uint8_t *fate)
{
    const struct region *r = region_of(c, g);
    struct strays *s = &g->strays;
    uint64_t limit[SIMT_LANES] = {0}, count[SIMT_LANES];
    uint32_t mask = b->n == SIMT_LANES ? SIMT_FULL_MASK : (1u << b->n) - 1, hung = 0;
    /* plain code counts a segment at its end, and the branch is the end of one */
    uint64_t skipped = g->branch - c->plans->program->segment[g->branch];
    struct cta cta;
    for (uint32_t i = 0; i < b->n; i++)
        limit[i] = skipped + b->limit[i];
    for (;;) {
        lay_all(c, g, b);
        make_warp(c, g, mask, &cta);
        if (simt_run_lanes(&cta, c->stray_warp, limit, count, &hung))
            break;
        fate[b->stray[cta.trap.lane]] = END_HARD;
        mask &= ~(1u << cta.trap.lane);
        if (!mask)
            return;
    }
    for (uint32_t m = mask; m; m &= m - 1) {
        int l = __builtin_ctz(m);
        uint32_t i = b->stray[l];
        fate[i] = hung >> l & 1 || count[l] > limit[l] ? END_HUNG : END_ARRIVED;
        s->count[i] = count[l] - skipped;
        for (size_t k = 0; k < r->n_def; k++)
            s->value[k * s->room + i] = !r->live[k] ? 0 : row_get(c->stray_regs, &r->def[k], l);
    }
}

/* Do lanes of the machine differ that go the fault-free way, in what the region reads? */
static bool others_differ(const struct concurrent *c, const struct party *g, uint32_t machine,
                          uint32_t lanes)
{
    const struct region *r = region_of(c, g);
    for (size_t k = 0; k < r->n_use; k++) {
        const struct entries *list = list_of(c, g->w, r->use[k].reg);
        for (uint32_t i = entries_find(list, key_of(machine, 0));
             i < list->n && key_machine(list->key[i]) == machine; i++)
            if (~lanes & g->mask & 1u << key_lane(list->key[i]))
                return true;
    }
    return c->machine[machine].n_strays > 0;
}

/* What becomes of the machine whose strays are [from, to). */
static enum end judge(const struct concurrent *c, const struct party *g, const uint8_t *fate,
                      uint32_t from, uint32_t to)
{
    bool hung = false;
    uint32_t lanes = 0, machine = key_machine(g->strays.key[from]);
    for (uint32_t i = from; i < to; i++) {
        if (fate[i] == END_HARD)
            return END_HARD;
        hung |= fate[i] == END_HUNG;
        lanes |= 1u << key_lane(g->strays.key[i]);
    }
    if (!hung)
        return END_ARRIVED;
    return others_differ(c, g, machine, lanes) ? END_HARD : END_HUNG;
}

static void keep_stray(struct party *g, size_t n_def, uint32_t from, uint32_t to)
{
    struct strays *s = &g->strays;
    s->key[to] = s->key[from];
    s->count[to] = s->count[from];
    for (size_t k = 0; k < n_def; k++)
        s->value[k * s->room + to] = s->value[k * s->room + from];
}

static void settle_fates(struct concurrent *c, struct party *g, const uint8_t *fate)
{
    const struct region *r = region_of(c, g);
    struct strays *s = &g->strays;
    uint32_t n = s->n, kept = 0;
    s->n = 0;
    for (uint32_t from = 0, to; from < n; from = to) {
        uint32_t machine = key_machine(s->key[from]);
        for (to = from + 1; to < n && key_machine(s->key[to]) == machine;)
            to++;
        switch (r->passive ? judge(c, g, fate, from, to) : END_HARD) {
        case END_HUNG:
            machine_trap(c, machine, g->w, g->branch, TRAP_HANG, 0, 0);
            break;
        case END_HARD:
            detour_run(c, g, machine);
            break;
        case END_ARRIVED:
        case END_DIRECT:
            c->machine[machine].n_strays += to - from;
            for (uint32_t i = from; i < to; i++)
                keep_stray(g, r->n_def, i, kept++);
            break;
        }
    }
    s->n = kept;
}

static bool waits_at_barrier(const struct warp *w)
{
    for (uint64_t used = w->used_paths; used; used &= used - 1)
        if (w->paths[__builtin_ctzll(used)].barrier >= 0)
            return true;
    return false;
}

/* Machines that another way of loading or storing has made see other memory than the region loads.
 */
static bool sees_other_memory(const struct concurrent *c, const struct region *r, uint32_t machine)
{
    const struct machine *m = &c->machine[machine];
    return (r->loads[0] && m->differs[0]) || (r->loads[1] && m->differs[1]);
}

/* The machine's value, at the branch, of a register that the region writes. */
static void stay(struct concurrent *c, struct party *g, uint32_t from)
{
    const struct region *r = region_of(c, g);
    struct strays *s = &g->strays;
    uint32_t key = s->key[from];
    s->count[from] = 1;
    for (size_t k = 0; k < r->n_def; k++) {
        uint64_t v = 0;
        if (r->live[k]) { /* so it was before: this lane writes nothing on its way */
            const struct entries *list = list_of(c, g->w, r->def[k].reg);
            uint32_t at = entries_find(list, key);
            v = at < list->n && list->key[at] == key
                    ? entries_get(list, at)
                    : row_get(g->w->regs, &r->def[k], key_lane(key));
        }
        s->value[k * s->room + from] = v;
    }
}

struct prospect {
    uint64_t rounds;
    uint32_t stray;
};

static int by_rounds(const void *a, const void *b)
{
    const struct prospect *x = a, *y = b;
    return x->rounds != y->rounds ? (x->rounds < y->rounds ? -1 : 1)
           : x->stray < y->stray  ? -1
                                  : x->stray > y->stray;
}

/* Those of the bunch that need not run to show that they hang; the others are added to out. */
static uint32_t look_ahead(struct concurrent *c, const struct party *g, const struct bunch *b,
                           uint8_t *fate, struct prospect *out)
{
    uint32_t n = 0;
    lay_all(c, g, b);
    for (uint32_t l = 0; l < b->n; l++) {
        uint64_t rounds = hang_prospect(c->plans, g->branch, g->w, c->stray_regs, (int)l,
                                        way_of(c, g, b->key[l]), b->limit[l]);
        if (rounds == HANG_CERTAIN)
            fate[b->stray[l]] = END_HUNG;
        else
            out[n++] = (struct prospect){rounds, b->stray[l]};
    }
    return n;
}

/* What becomes of strays that go around the region: those that take as long go together. */
static void run_around(struct concurrent *c, struct party *g, uint8_t *fate)
{
    struct prospect *order = malloc((g->strays.n + 1) * sizeof *order);
    struct bunch b = {0};
    uint32_t n = 0;
    if (!order)
        abort();
    for (uint32_t i = 0; i <= g->strays.n; i++) {
        if (i < g->strays.n && fate[i] == END_ARRIVED)
            add_stray(c, g, &b, i);
        if (b.n == SIMT_LANES || (i == g->strays.n && b.n)) {
            n += look_ahead(c, g, &b, fate, order + n);
            b.n = 0;
        }
    }
    qsort(order, n, sizeof *order, by_rounds);
    for (uint32_t i = 0; i < n; i++) {
        add_stray(c, g, &b, order[i].stray);
        if (b.n == SIMT_LANES || i + 1 == n) {
            run_bunch(c, g, &b, fate);
            b.n = 0;
        }
    }
    free(order);
}

static void run_all(struct concurrent *c, struct party *g, uint8_t *fate)
{
    const struct region *r = region_of(c, g);
    for (uint32_t i = 0; i < g->strays.n; i++) {
        bool direct = way_of(c, g, g->strays.key[i]) == g->meet;
        fate[i] = direct ? END_DIRECT
                  : !r->simple || sees_other_memory(c, r, key_machine(g->strays.key[i]))
                      ? END_HARD
                      : END_ARRIVED;
        if (direct)
            stay(c, g, i);
    }
    run_around(c, g, fate);
}

void stray_diverge(struct concurrent *c, struct warp *w, uint32_t insn, const struct plan *p)
{
    const struct entries *list = list_of(c, w, p->guard.reg);
    bool cannot = waits_at_barrier(w);
    struct party *g = NULL;
    for (uint32_t i = 0; i < list->n; i++) {
        uint32_t key = list->key[i], machine = key_machine(key);
        if (!(w->path_mask >> key_lane(key) & 1) || !is_active(c, machine) || stray_is(c, w, key))
            continue;
        if (cannot) {
            fork_machine(c, w, insn, machine);
            continue;
        }
        if (!g) {
            g = party_new(c, w, insn);
            reserve(&g->strays, list->n - i, p->region.n_def);
        }
        g->strays.key[g->strays.n++] = key;
    }
    if (!g)
        return;
    uint8_t *fate = calloc(g->strays.n, 1);
    if (!fate)
        abort();
    if (p->region.passive)
        run_all(c, g, fate);
    settle_fates(c, g, fate);
    free(fate);
    for (size_t k = 0; k < p->region.n_def && g->strays.n; k++)
        entries_remove(list_of(c, w, p->region.def[k].reg), g->strays.key, g->strays.n);
    detour_leave(c, g);
    party_add(c, g);
}

/* ---- Coming back
 * ---------------------------------------------------------------------------------- */

void stray_rejoin(struct concurrent *c, struct party *g, uint64_t issued)
{
    const struct region *r = region_of(c, g);
    const struct strays *s = &g->strays;
    struct entries *fresh = &c->tmp[4], *merged = &c->tmp[5];
    for (size_t k = 0; k < r->n_def && s->n; k++) {
        struct entries *list = list_of(c, g->w, r->def[k].reg);
        entries_remove(list, s->key, s->n);
        if (!r->live[k])
            continue;
        fresh->n = 0;
        fresh->wide = r->def[k].bits == 64;
        for (uint32_t i = 0; i < s->n; i++) {
            uint64_t v = s->value[k * s->room + i];
            if (v != row_get(g->w->regs, &r->def[k], key_lane(s->key[i])) &&
                is_active(c, key_machine(s->key[i])))
                entries_push(fresh, s->key[i], v);
        }
        if (!fresh->n)
            continue;
        entries_merge(merged, list, fresh);
        entries_swap(list, merged);
    }
    for (uint32_t i = 0; i < s->n; i++) {
        struct machine *m = &c->machine[key_machine(s->key[i])];
        m->n_strays--;
        m->most += (int64_t)s->count[i];
        if (i == 0 || key_machine(s->key[i]) != key_machine(s->key[i - 1]))
            m->least -= (int64_t)(issued - g->issued);
    }
}
