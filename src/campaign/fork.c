/* A machine that cannot be carried as differences goes on alone: a copy of the CTA with the
 * machine's differences laid over it runs to the end. Its memory is then compared with the
 * fault-free run's. */
#include <stdlib.h>
#include <string.h>

#include "campaign/concurrent.h"

/* Where the lane's next instruction is. Lanes that wait for others are in the innermost path's
 * parent. */
static uint32_t place_of(const struct warp *w, uint32_t running_at, int lane)
{
    uint32_t pc = 0;
    int deepest = -1;
    for (uint64_t used = w->used_paths; used; used &= used - 1) {
        uint32_t slot = (uint32_t)__builtin_ctzll(used);
        const struct path *p = &w->paths[slot];
        if (!(p->mask >> lane & 1))
            continue;
        int depth = 0;
        for (int at = p->parent; at >= 0; at = w->paths[at].parent)
            depth++;
        if (depth > deepest) {
            deepest = depth;
            pc = slot == w->running && running_at != PTX_NOWHERE ? running_at : p->pc;
        }
    }
    return pc;
}

static void lay_warp(struct concurrent *c, const struct warp *w, uint32_t running_at,
                     uint32_t machine, uint8_t *regs)
{
    uint32_t at[SIMT_LANES];
    for (int l = 0; l < SIMT_LANES; l++)
        at[l] = place_of(w, running_at, l);
    for (uint32_t reg = 0; reg < c->plans->n_regs; reg++) {
        const struct entries *list = list_of(c, w, reg);
        if (!list->n)
            continue;
        struct row r = plans_row(c->plans, reg);
        for (uint32_t i = entries_find(list, key_of(machine, 0));
             i < list->n && key_machine(list->key[i]) == machine; i++) {
            int lane = key_lane(list->key[i]);
            if (w->live >> lane & 1 && plans_live(c->plans, reg, at[lane]))
                row_set(regs, &r, lane, entries_get(list, i));
        }
    }
}

/* ---- What it left
 * ---------------------------------------------------------------------------------- */

static void add_word(struct concurrent *c, uint32_t index, uint32_t value)
{
    GROW(c->forked, c->n_forked, c->forked_room);
    c->forked[c->n_forked++] = (struct machine_word){index, value};
}

static size_t chunk_end(const struct concurrent *c, size_t chunk)
{
    uint64_t end = ((uint64_t)chunk + 1) * SIMT_CHUNK;
    return (size_t)(end < c->golden->mem_bytes ? end : c->golden->mem_bytes);
}

static void compare_chunk(struct concurrent *c, size_t chunk)
{
    const uint8_t *mine = simt_mem_view(c->spare).data;
    const uint8_t *golden = simt_mem_view(replay_golden(c->replay)).data;
    size_t at = chunk * SIMT_CHUNK, end = chunk_end(c, chunk);
    if (memcmp(mine + at, golden + at, end - at) == 0)
        return;
    for (; at < end; at += 4) {
        uint32_t value;
        memcpy(&value, mine + at, 4);
        if (memcmp(golden + at, &value, 4) != 0)
            add_word(c, (uint32_t)(at / 4), value);
    }
}

/* Chunks that may differ from the memory after the fault-free CTA, a bit each. */
static uint64_t *suspects(struct concurrent *c, size_t *n_words)
{
    const struct cta_log *log = &c->golden->cta[c->position];
    const uint64_t *written = simt_mem_written(c->spare, n_words);
    uint64_t *bits = malloc(*n_words * sizeof *bits);
    if (!bits)
        abort();
    memcpy(bits, written, *n_words * sizeof *bits);
    for (size_t i = 0; i < log->n_writes; i++)
        for (uint64_t k = log->writes[i].at / SIMT_CHUNK;
             k <= (log->writes[i].at + log->writes[i].n - 1) / SIMT_CHUNK; k++)
            bits[k / 64] |= 1ull << k % 64;
    for (size_t i = 0; i < c->global.n_dirty; i++) {
        uint64_t k = (uint64_t)c->global.dirty[i] * 4 / SIMT_CHUNK;
        bits[k / 64] |= 1ull << k % 64;
    }
    return bits;
}

static void collect(struct concurrent *c, struct machine *m, bool ended)
{
    size_t n_words;
    uint64_t *bits = suspects(c, &n_words);
    uint8_t *mine = simt_mem_data(c->spare);
    const uint8_t *live = simt_mem_view(c->live).data;
    m->first_word = c->n_forked;
    for (size_t w = 0; w < n_words; w++)
        for (uint64_t left = bits[w]; left; left &= left - 1) {
            size_t chunk = w * 64 + (unsigned)__builtin_ctzll(left);
            if (chunk >= c->golden->n_chunks)
                continue;
            if (ended)
                compare_chunk(c, chunk);
            size_t at = chunk * SIMT_CHUNK;
            memcpy(mine + at, live + at, chunk_end(c, chunk) - at);
        }
    m->n_words = c->n_forked - m->first_word;
    simt_mem_forget(c->spare);
    free(bits);
}

void fork_machine(struct concurrent *c, const struct warp *w, uint32_t insn, uint32_t machine)
{
    struct machine *m = &c->machine[machine];
    struct simt_counts counts = {0};
    struct cta cta;
    if (m->state != MACHINE_ACTIVE)
        return;
    if (m->n_strays) { /* lanes of it are elsewhere */
        machine_evict(c, machine);
        return;
    }
    detour_sync_spare(c);
    simt_fork(&cta, c->fork, w->cta, w, insn, c->spare);
    for (uint32_t i = 0; i < cta.n_warps; i++) {
        const struct warp *golden = simt_warp(c->simt, i);
        lay_warp(c, golden, golden == w ? insn : PTX_NOWHERE, machine, simt_warp(c->fork, i)->regs);
    }
    detour_lay_words(&c->shared, machine, simt_warp(c->fork, 0)->shared.data);
    detour_lay_words(&c->global, machine, simt_mem_data(c->spare));
    cta.issued += (uint64_t)m->least;
    cta.limit = c->limits[c->position];
    simt_run_on(&cta, w->index, &counts);
    bool ended = cta.trap.kind == TRAP_NONE;
    bool certain = cta.trap.kind == TRAP_HANG ||
                   cta.issued + (uint64_t)(m->most - m->least) <= c->limits[c->position];
    collect(c, m, ended && certain);
    m->issued += counts.warp_insns;
    if (!certain) {
        machine_evict(c, machine);
        return;
    }
    m->state = ended ? MACHINE_FORKED : MACHINE_TRAPPED;
    m->trap = cta.trap;
    c->lost++;
}

/* ---- Instructions that lists cannot express
 * --------------------------------------------------------- */

static const struct words *memory_of(const struct concurrent *c, const struct warp *w,
                                     unsigned space, uint64_t address, uint64_t *offset)
{
    if (space == PTX_SPACE_GENERIC) {
        bool shared = address - SIMT_SHARED_WINDOW < SIMT_WINDOW_BYTES;
        if (address - SIMT_LOCAL_WINDOW < SIMT_WINDOW_BYTES)
            return NULL;
        space = shared ? PTX_SPACE_SHARED : PTX_SPACE_GLOBAL;
        address -= shared ? SIMT_SHARED_WINDOW : 0;
    }
    if (space != PTX_SPACE_SHARED && space != PTX_SPACE_GLOBAL)
        return NULL;
    *offset = address - (space == PTX_SPACE_SHARED ? w->shared.base : w->global.base);
    return space == PTX_SPACE_SHARED ? &c->shared : &c->global;
}

/* Machines that see other memory where the fault-free run loads or stores. */
static void fork_at_address(struct concurrent *c, struct warp *w, uint32_t insn,
                            const struct plan *p, int lane)
{
    const struct ptx_insn *i = &c->plans->kernel->insns[insn];
    uint64_t offset, address = p->has_base ? ptx_address(row_get(w->regs, &p->base, lane),
                                                         p->base.bits, p->offset)
                                           : p->offset;
    address += p->variable ? w->cta->launch->globals : 0;
    unsigned n = i->op == PTX_ST ? i->n_src : i->op == PTX_LD ? i->n_dst : 1;
    const struct words *words = memory_of(c, w, i->space, address, &offset);
    if (!words || !words->n_full)
        return;
    for (uint64_t at = offset / 4; at <= (offset + n * (i->mem_bits / 8u) - 1) / 4; at++) {
        const struct cell *x = words_at(words, (uint32_t)at);
        for (uint32_t k = 0; x && k < x->n; k++)
            fork_machine(c, w, insn, x->v[k].machine);
    }
}

static bool has_address(const struct ptx_insn *i)
{
    return i->op == PTX_LD || i->op == PTX_ST || i->op == PTX_ATOM || i->op == PTX_RED;
}

void fork_concerned(struct concurrent *c, struct warp *w, uint32_t insn, const struct plan *p,
                    uint32_t mask)
{
    detour_cancel(c, w);
    for (int s = 0; s < p->n_reads; s++) {
        const struct entries *e = list_of(c, w, p->reads[s]);
        for (uint32_t i = 0; i < e->n; i++)
            if (w->path_mask >> key_lane(e->key[i]) & 1)
                fork_machine(c, w, insn, key_machine(e->key[i]));
    }
    if (has_address(&c->plans->kernel->insns[insn]))
        for (uint32_t m = mask; m; m &= m - 1)
            fork_at_address(c, w, insn, p, __builtin_ctz(m));
    for (int d = 0; d < p->n_dst && mask; d++)
        entries_drop(list_of(c, w, p->dst[d].reg), mask);
}
