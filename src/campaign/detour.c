/* Machines that take a branch differently. Each runs alone, on its own registers and memory, to
 * where the branch's ways meet again; when the fault-free run gets there, what differs becomes list
 * entries again. While it is away, stores of the fault-free warp do not happen in it (access.c).
 * Machines that meet a barrier on their way are forked; those that arrive with other lanes than the
 * fault-free run are evicted. */
#include <stdlib.h>
#include <string.h>

#include "campaign/concurrent.h"

/* ---- Leaving
 * -------------------------------------------------------------------------------------- */

/* Memory for detours becomes what the fault-free run sees now. */
void detour_sync_spare(struct concurrent *c)
{
    size_t n;
    const uint64_t *words = simt_mem_written(c->live, &n);
    uint8_t *to = simt_mem_data(c->spare);
    const uint8_t *from = simt_mem_data(c->live);
    for (size_t i = 0; i < n; i++)
        for (uint64_t bits = words[i]; bits; bits &= bits - 1) {
            uint64_t at = (i * 64 + (unsigned)__builtin_ctzll(bits)) * SIMT_CHUNK;
            if (at < c->golden->mem_bytes)
                memcpy(to + at, from + at,
                       c->golden->mem_bytes - at < SIMT_CHUNK ? c->golden->mem_bytes - at
                                                              : SIMT_CHUNK);
        }
    simt_mem_forget(c->live);
}

static void record_word(struct party *g, bool shared, uint32_t index, uint32_t value)
{
    GROW(g->words, g->n_words, g->words_room);
    g->words[g->n_words++] = (struct word_record){shared, index, value};
}

/* Lay the machine's differing words over memory. */
void detour_lay_words(const struct words *words, uint32_t machine, uint8_t *memory)
{
    for (size_t i = 0; i < words->n_dirty; i++) {
        const struct machine_word *m = word_find(words_at(words, words->dirty[i]), machine);
        if (m)
            memcpy(memory + (uint64_t)words->dirty[i] * 4, &m->value, 4);
    }
}

/* What it had there, as it is now; and take it away again. */
static void lift_words(struct party *g, const struct words *words, bool shared, uint32_t machine,
                       uint8_t *memory, const uint8_t *golden)
{
    for (size_t i = 0; i < words->n_dirty; i++) {
        uint32_t value;
        uint64_t at = (uint64_t)words->dirty[i] * 4;
        if (!word_find(words_at(words, words->dirty[i]), machine))
            continue;
        memcpy(&value, memory + at, 4);
        record_word(g, shared, words->dirty[i], value);
        memcpy(memory + at, golden + at, 4);
    }
}

static void record_changes(struct party *g, bool shared, uint64_t from, uint64_t to,
                           uint8_t *memory, const uint8_t *golden)
{
    if (memcmp(memory + from, golden + from, (size_t)(to - from)) == 0)
        return;
    for (uint64_t at = from; at < to; at += 4) {
        uint32_t value;
        if (memcmp(memory + at, golden + at, 4) == 0)
            continue;
        memcpy(&value, memory + at, 4);
        record_word(g, shared, (uint32_t)(at / 4), value);
        memcpy(memory + at, golden + at, 4);
    }
}

static void record_memory(struct concurrent *c, struct party *g, uint32_t machine)
{
    size_t n;
    uint8_t *spare = simt_mem_data(c->spare);
    const uint8_t *live = simt_mem_data(c->live);
    lift_words(g, &c->shared, true, machine, c->detour_shared, g->w->shared.data);
    lift_words(g, &c->global, false, machine, spare, live);
    record_changes(g, true, 0, c->shared_bytes / 4 * 4, c->detour_shared, g->w->shared.data);
    const uint64_t *words = simt_mem_written(c->spare, &n);
    for (size_t i = 0; i < n; i++)
        for (uint64_t bits = words[i]; bits; bits &= bits - 1) {
            uint64_t at = (i * 64 + (unsigned)__builtin_ctzll(bits)) * SIMT_CHUNK,
                     end = at + SIMT_CHUNK;
            end = end > c->golden->mem_bytes ? c->golden->mem_bytes : end;
            if (at < end)
                record_changes(g, false, at, end, spare, live);
        }
    simt_mem_forget(c->spare);
}

static void record_registers(struct concurrent *c, struct party *g, uint32_t lanes)
{
    for (uint32_t reg = 0; lanes && reg < c->plans->n_regs; reg++) {
        if (!plans_live(c->plans, reg, g->meet))
            continue;
        struct row r = plans_row(c->plans, reg);
        size_t bytes = row_bytes(&r);
        if (memcmp(c->detour_regs + r.slot, g->snapshot + r.slot, bytes) == 0)
            continue;
        for (uint32_t left = lanes; left; left &= left - 1) {
            int lane = __builtin_ctz(left);
            uint64_t v = row_get(c->detour_regs, &r, lane);
            if (v == row_get(g->snapshot, &r, lane))
                continue;
            GROW(g->regs, g->n_regs, g->regs_room);
            g->regs[g->n_regs++] = (struct reg_record){reg, lane, v};
        }
    }
}

static void lay_registers(struct concurrent *c, const struct party *g, uint32_t insn,
                          uint32_t machine)
{
    memcpy(c->detour_regs, g->snapshot, c->plans->program->file_bytes);
    for (uint32_t reg = 0; reg < c->plans->n_regs; reg++) {
        const struct entries *list = list_of(c, g->w, reg);
        if (!list->n || !plans_live(c->plans, reg, insn))
            continue;
        struct row r = plans_row(c->plans, reg);
        for (uint32_t i = entries_find(list, key_of(machine, 0));
             i < list->n && key_machine(list->key[i]) == machine; i++)
            if (g->mask >> key_lane(list->key[i]) & 1)
                row_set(c->detour_regs, &r, key_lane(list->key[i]), entries_get(list, i));
    }
}

/* The warp's present path as a warp of its own, with an end where the ways meet. */
static void make_warp(struct concurrent *c, const struct party *g, uint32_t insn, struct cta *cta)
{
    struct warp *d = c->detour_warp;
    *d = *g->w;
    *cta = *g->w->cta;
    cta->hook = NULL;
    cta->variant = CODE_PLAIN;
    cta->trap = (struct simt_trap){0};
    cta->live = (uint32_t)__builtin_popcount(g->mask);
    memset(cta->arrived, 0, sizeof cta->arrived);
    cta->n_warps = 0; /* a barrier that it meets lets none of the fault-free run's warps go on */
    d->cta = cta;
    d->trap = &cta->trap;
    d->regs = c->detour_regs;
    d->live = g->mask;
    d->shared.data = c->detour_shared;
    d->global.data = simt_mem_data(c->spare);
    d->written = c->spare->written;
    d->used_paths = 3;
    d->paths[0] = (struct path){.pc = g->meet,
                                .reconverge = PTX_NOWHERE,
                                .mask = g->mask,
                                .parent = -1,
                                .children = 1,
                                .barrier = -1};
    d->paths[1] = (struct path){
        .pc = insn, .reconverge = g->meet, .mask = g->mask, .parent = 0, .barrier = -1};
}

void detour_run(struct concurrent *c, struct party *g, uint32_t machine)
{
    struct machine *m = &c->machine[machine];
    struct cta cta;
    if (m->n_strays || c->plans->kernel->local_bytes) {
        fork_machine(c, g->w, g->branch, machine);
        return;
    }
    detour_sync_spare(c);
    if (!g->snapshot && !(g->snapshot = malloc(c->plans->program->file_bytes)))
        abort();
    memcpy(g->snapshot, g->w->regs, c->plans->program->file_bytes);
    lay_registers(c, g, g->branch, machine);
    memcpy(c->detour_shared, g->w->shared.data, c->shared_bytes);
    detour_lay_words(&c->shared, machine, c->detour_shared);
    detour_lay_words(&c->global, machine, simt_mem_data(c->spare));
    make_warp(c, g, g->branch, &cta);
    cta.limit = c->limits[c->position];
    /* plain code counts a segment at its end, and the branch is the end of one */
    uint64_t skipped = g->branch - c->plans->program->segment[g->branch];
    cta.issued = g->issued + (uint64_t)m->least - skipped;
    bool arrived = simt_run_alone(&cta, c->detour_warp);
    int64_t issued = (int64_t)(cta.issued - g->issued) - m->least;
    size_t first_reg = g->n_regs, first_word = g->n_words;
    uint32_t lanes = c->detour_warp->used_paths & 1 ? c->detour_warp->paths[0].mask : 0;
    bool certain = cta.trap.kind == TRAP_HANG ||
                   cta.issued + (uint64_t)(m->most - m->least) <= c->limits[c->position];
    record_memory(c, g, machine);
    m->issued += (uint64_t)issued;
    if (arrived && certain) {
        record_registers(c, g, lanes);
        m->state = MACHINE_AWAY;
        GROW(g->away, g->n_away, g->away_room);
        g->away[g->n_away++] = (struct away){machine,
                                             lanes,
                                             issued,
                                             first_reg,
                                             g->n_regs - first_reg,
                                             first_word,
                                             g->n_words - first_word};
        return;
    }
    g->n_regs = first_reg;
    g->n_words = first_word;
    if (!certain)
        machine_evict(c, machine);
    else if (cta.trap.kind != TRAP_NONE)
        machine_trap(c, machine, g->w, cta.trap.insn, cta.trap.kind, (int)cta.trap.lane,
                     cta.trap.address);
    else
        fork_machine(c, g->w, g->branch, machine);
}

/* Drop what away machines have in these lanes from the lists of registers live at insn. */
static void drop_away(struct concurrent *c, const struct party *g, uint32_t insn)
{
    for (uint32_t reg = 0; reg < c->plans->n_regs; reg++) {
        struct entries *list = list_of(c, g->w, reg);
        if (!list->n || !plans_live(c->plans, reg, insn))
            continue;
        uint32_t n = 0;
        size_t a = 0;
        for (uint32_t i = 0; i < list->n; i++) {
            uint32_t key = list->key[i], machine = key_machine(key);
            uint64_t value = entries_get(list, i);
            while (a < g->n_away && g->away[a].machine < machine)
                a++;
            bool away =
                a < g->n_away && g->away[a].machine == machine && g->mask >> key_lane(key) & 1;
            list->key[n] = key;
            entries_put(list, n, value);
            n += !away;
        }
        list->n = n;
    }
}

void detour_leave(struct concurrent *c, const struct party *g)
{
    if (g->n_away)
        drop_away(c, g, g->branch);
}

struct party *party_new(struct concurrent *c, struct warp *w, uint32_t insn)
{
    struct party *g = calloc(1, sizeof *g);
    if (!g)
        abort();
    *g = (struct party){.w = w,
                        .branch = insn,
                        .mask = w->path_mask,
                        .meet = c->plans->kernel->insns[insn].reconverge,
                        .issued = issued_before(w, insn)};
    return g;
}

static void party_free(struct concurrent *c, struct party *g)
{
    c->n_open_ends -= g->meet == PTX_NOWHERE;
    stray_fini(&g->strays);
    free(g->snapshot);
    free(g->away);
    free(g->regs);
    free(g->words);
    free(g);
}

void party_add(struct concurrent *c, struct party *g)
{
    c->n_open_ends += g->meet == PTX_NOWHERE;
    if (g->n_away == 0 && g->strays.n == 0) {
        party_free(c, g);
        return;
    }
    GROW(c->groups, c->n_groups, c->groups_room);
    c->groups[c->n_groups++] = g;
}

/* ---- Coming back
 * ---------------------------------------------------------------------------------- */

enum arrival { ON_THE_WAY, ARRIVED, ELSEWHERE };

/* Where the lanes of the group are in the fault-free run, before insn of warp `now` (NULL: CTA
 * ended). */
static enum arrival where(const struct party *g, const struct warp *now, uint32_t insn)
{
    const struct warp *w = g->w;
    bool runs = w == now, first = true;
    if (!(w->live & g->mask))
        return ARRIVED;
    for (uint64_t used = w->used_paths; used;) { /* newest first: that one runs */
        int slot = 63 - __builtin_clzll(used);
        const struct path *p = &w->paths[slot];
        used &= ~((uint64_t)1 << slot);
        if (p->children)
            continue;
        uint32_t pc = runs && first && p->barrier < 0 ? insn : p->pc;
        first = first && p->barrier >= 0;
        if (!(p->mask & g->mask))
            continue;
        if (p->barrier >= 0 || !runs)
            return ELSEWHERE;
        if (pc != g->meet)
            return ON_THE_WAY;
    }
    return runs ? ARRIVED : ELSEWHERE;
}

/* The machine's entries of a register: its view at the branch, what its detour changed, against the
 * fault-free run now. */
static void add_row(const struct party *g, const struct away *a, const struct row *r, size_t *at,
                    bool golden_changed, struct entries *out)
{
    const struct reg_record *records = g->regs + a->first_reg;
    size_t from = *at, to = from;
    while (to < a->n_regs && records[to].reg == r->reg)
        to++;
    *at = to;
    if (from == to && !golden_changed)
        return;
    for (uint32_t lanes = a->lanes; lanes; lanes &= lanes - 1) {
        int lane = __builtin_ctz(lanes);
        uint64_t v = row_get(g->snapshot, r, lane);
        if (from < to && records[from].lane == lane)
            v = records[from++].value;
        if (v != row_get(g->w->regs, r, lane))
            entries_push(out, key_of(a->machine, lane), v);
    }
}

static void restore_registers(struct concurrent *c, const struct party *g)
{
    struct entries *fresh = &c->tmp[4], *merged = &c->tmp[5];
    if (!g->n_away)
        return;
    size_t *at = calloc(g->n_away + 1, sizeof *at);
    if (!at)
        abort();
    drop_away(c, g, g->meet);
    for (uint32_t reg = 0; reg < c->plans->n_regs; reg++) {
        if (!plans_live(c->plans, reg, g->meet))
            continue;
        struct row r = plans_row(c->plans, reg);
        size_t bytes = row_bytes(&r);
        bool changed = memcmp(g->w->regs + r.slot, g->snapshot + r.slot, bytes) != 0;
        fresh->n = 0;
        fresh->wide = r.bits == 64;
        for (size_t i = 0; i < g->n_away; i++)
            if (c->machine[g->away[i].machine].state == MACHINE_AWAY)
                add_row(g, &g->away[i], &r, &at[i], changed, fresh);
        if (!fresh->n)
            continue;
        struct entries *list = list_of(c, g->w, reg);
        entries_merge(merged, list, fresh);
        entries_swap(list, merged);
    }
    free(at);
}

static void restore_words(struct concurrent *c, const struct party *g, const struct away *a)
{
    for (size_t i = 0; i < a->n_words; i++) {
        const struct word_record *x = &g->words[a->first_word + i];
        c->machine[a->machine].differs[x->shared] = true;
        words_set(x->shared ? &c->shared : &c->global, x->index, a->machine, x->value,
                  *golden_word(g->w, x->shared, x->index));
    }
}

static void rejoin(struct concurrent *c, struct party *g, uint64_t issued)
{
    uint32_t lanes = g->w->live & g->mask;
    stray_rejoin(c, g, issued);
    for (size_t i = 0; i < g->n_away; i++) {
        const struct away *a = &g->away[i];
        struct machine *m = &c->machine[a->machine];
        if (a->lanes != lanes) {
            machine_evict(c, a->machine);
            continue;
        }
        m->least += a->issued - (int64_t)(issued - g->issued);
        m->most += a->issued - (int64_t)(issued - g->issued);
        restore_words(c, g, a);
    }
    if (lanes)
        restore_registers(c, g);
    for (size_t i = 0; i < g->n_away; i++)
        if (c->machine[g->away[i].machine].state == MACHINE_AWAY)
            c->machine[g->away[i].machine].state = MACHINE_ACTIVE;
}

static void evict_all(struct concurrent *c, const struct party *g)
{
    for (uint32_t i = 0; i < g->strays.n; i++) {
        c->machine[key_machine(g->strays.key[i])].n_strays--;
        machine_evict(c, key_machine(g->strays.key[i]));
    }
    for (size_t i = 0; i < g->n_away; i++)
        machine_evict(c, g->away[i].machine);
}

/* Machines that are away do not take part in it: other warps would wait or not wait for them. */
void detour_cancel(struct concurrent *c, const struct warp *w)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->n_groups; i++) {
        struct party *g = c->groups[i];
        if (g->w != w || !g->n_away) {
            c->groups[kept++] = g;
            continue;
        }
        evict_all(c, g);
        party_free(c, g);
    }
    c->n_groups = kept;
}

static void settle(struct concurrent *c, const struct warp *now, uint32_t insn, uint64_t issued)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->n_groups; i++) {
        struct party *g = c->groups[i];
        enum arrival a = where(g, now, insn);
        if (a == ON_THE_WAY) {
            c->groups[kept++] = g;
            continue;
        }
        if (a == ARRIVED)
            rejoin(c, g, issued);
        else
            evict_all(c, g);
        party_free(c, g);
    }
    c->n_groups = kept;
}

void detour_rejoin(struct concurrent *c, const struct warp *w, uint32_t insn)
{
    settle(c, w, insn, issued_before(w, insn));
}

void detour_end(struct concurrent *c)
{
    if (c->n_groups)
        settle(c, NULL, 0, c->groups[0]->w->cta->issued);
}
