/* Loads and stores of the concurrent engine. A machine's access differs from the fault-free one if its
 * address, its value or the memory behind it does. */
#include <stdlib.h>
#include <string.h>

#include "campaign/concurrent.h"

static const struct window *window_of(const struct warp *w, bool shared)
{
    return shared ? &w->shared : &w->global;
}

uint32_t *golden_word(const struct warp *w, bool shared, uint32_t index)
{
    return (uint32_t *)(void *)(window_of(w, shared)->data + (uint64_t)index * 4);
}

static struct words *words_of(struct concurrent *c, bool shared)
{
    return shared ? &c->shared : &c->global;
}

static uint64_t golden_address(const struct warp *w, const struct plan *p, int lane)
{
    return p->offset + (p->has_base ? row_get(w->regs, &p->base, lane) : 0);
}

static enum trap_kind check(const struct warp *w, const struct plan *p, uint64_t address)
{
    const struct window *win = window_of(w, p->shared);
    uint64_t bytes = (uint64_t)p->elements * p->words * 4, offset = address - win->base;
    if (address % bytes != 0)
        return TRAP_MISALIGNED_ADDRESS;
    if (offset > win->size || win->size - offset < bytes)
        return p->shared ? TRAP_SHARED_OUT_OF_RANGE : TRAP_ILLEGAL_ADDRESS;
    return TRAP_NONE;
}

static uint32_t index_of(const struct warp *w, const struct plan *p, uint64_t address)
{
    return (uint32_t)((address - window_of(w, p->shared)->base) / 4);
}

static bool active(const struct concurrent *c, uint32_t machine)
{
    return c->machine[machine].state == MACHINE_ACTIVE;
}

/* Differing addresses in these lanes, of active machines that survive them. Machines whose address is
 * bad stop at their lowest such lane. */
static void differing_addresses(struct concurrent *c, struct warp *w, uint32_t insn,
                                const struct plan *p, struct entries *out)
{
    out->n = 0;
    if (!p->has_base)
        return;
    const struct entries *base = list_of(c, w, p->base.reg);
    for (uint32_t i = 0; i < base->n; i++) {
        uint32_t machine = key_machine(base->key[i]);
        int lane = key_lane(base->key[i]);
        if (!(w->path_mask >> lane & 1) || !active(c, machine))
            continue;
        uint64_t address = base->value[i] + p->offset;
        enum trap_kind trap = check(w, p, address);
        if (trap != TRAP_NONE)
            machine_trap(c, machine, w, insn, trap, lane, address);
        else
            entries_push(out, base->key[i], address);
    }
    uint32_t n = 0; /* a machine may have trapped after lanes that were good */
    for (uint32_t i = 0; i < out->n; i++) {
        out->key[n] = out->key[i];
        out->value[n] = out->value[i];
        n += active(c, key_machine(out->key[i]));
    }
    out->n = n;
}

static uint32_t view(const struct concurrent *c, const struct warp *w, bool shared, uint32_t index,
                     uint32_t machine)
{
    const struct words *words = shared ? &c->shared : &c->global;
    const struct machine_word *m = word_find(words_at(words, index), machine);
    return m ? m->value : *golden_word(w, shared, index);
}

/* ---- Loads --------------------------------------------------------------------------------------- */

/* Machines for which memory differs behind the fault-free address of a lane, at one word. */
static void load_word(const struct concurrent *c, const struct warp *w, const struct plan *p, int lane,
                      uint32_t index, int half, struct entries *out)
{
    const struct cell *x = words_at(p->shared ? &c->shared : &c->global, index);
    if (!x || !x->n)
        return;
    uint64_t other = p->words == 2 ? *golden_word(w, p->shared, index ^ 1) : 0;
    for (uint32_t i = 0; i < x->n; i++) {
        if (!active(c, x->v[i].machine))
            continue;
        uint64_t v = x->v[i].value;
        if (p->words == 2) { /* the other half may differ, too: then it makes the same entry */
            const struct machine_word *m =
                word_find(words_at(p->shared ? &c->shared : &c->global, index ^ 1), x->v[i].machine);
            if (m && half == 1)
                continue;
            uint64_t o = m ? m->value : other;
            v = half ? v << 32 | o : o << 32 | v;
        }
        entries_push(out, key_of(x->v[i].machine, lane), v);
    }
}

static uint64_t load_at(const struct concurrent *c, const struct warp *w, const struct plan *p,
                        uint32_t index, uint32_t machine)
{
    uint64_t v = view(c, w, p->shared, index, machine);
    return p->words == 2 ? v | (uint64_t)view(c, w, p->shared, index + 1, machine) << 32 : v;
}

static uint64_t golden_load(const struct warp *w, const struct plan *p, uint32_t index)
{
    uint64_t v = *golden_word(w, p->shared, index);
    return p->words == 2 ? v | (uint64_t)*golden_word(w, p->shared, index + 1) << 32 : v;
}

static void load_element(struct concurrent *c, struct warp *w, const struct plan *p, int element,
                         const uint32_t *index, const struct entries *wrong)
{
    struct entries *memory = &c->tmp[1], *moved = &c->tmp[2], *scratch = &c->tmp[3];
    struct entries *list = list_of(c, w, p->dst[element].reg);
    uint32_t skip = (uint32_t)element * p->words;
    memory->n = moved->n = 0;
    if (words_of(c, p->shared)->n_dirty)
        for (uint32_t lanes = w->path_mask; lanes; lanes &= lanes - 1) {
            int lane = __builtin_ctz(lanes);
            for (int half = 0; half < p->words; half++)
                load_word(c, w, p, lane, index[lane] + skip + (uint32_t)half, half, memory);
        }
    entries_sort(memory, scratch);
    for (uint32_t i = 0; i < wrong->n; i++) {
        uint32_t at = index_of(w, p, wrong->value[i]) + skip;
        entries_push(moved, wrong->key[i], load_at(c, w, p, at, key_machine(wrong->key[i])));
    }
    entries_drop(list, w->path_mask);
    if (!memory->n && !moved->n)
        return;
    entries_merge(scratch, memory, moved); /* where the address differs, that decides */
    uint32_t n = 0;
    for (uint32_t i = 0; i < scratch->n; i++) {
        uint64_t golden = golden_load(w, p, index[key_lane(scratch->key[i])] + skip);
        scratch->key[n] = scratch->key[i];
        scratch->value[n] = scratch->value[i];
        n += scratch->value[i] != golden;
    }
    scratch->n = n;
    entries_merge(memory, list, scratch);
    entries_swap(list, memory);
}

void access_load(struct concurrent *c, struct warp *w, uint32_t insn, const struct plan *p)
{
    struct entries *wrong = &c->tmp[0];
    uint32_t index[SIMT_LANES] = {0};
    differing_addresses(c, w, insn, p, wrong);
    if (!wrong->n && !words_of(c, p->shared)->n_dirty) {
        for (int e = 0; e < p->elements; e++)
            if (p->dst[e].bits)
                entries_drop(list_of(c, w, p->dst[e].reg), w->path_mask);
        return;
    }
    for (uint32_t lanes = w->path_mask; lanes; lanes &= lanes - 1) {
        int lane = __builtin_ctz(lanes);
        index[lane] = index_of(w, p, golden_address(w, p, lane));
    }
    for (int e = 0; e < p->elements; e++)
        if (p->dst[e].bits)
            load_element(c, w, p, e, index, wrong);
}

/* ---- Stores -------------------------------------------------------------------------------------- */

/* The lane's part of a list that is sorted by machine, then lane. */
static uint32_t next_of_lane(const struct entries *e, int lane, uint32_t from)
{
    while (from < e->n && key_lane(e->key[from]) != lane)
        from++;
    return from;
}


static int by_machine(const void *a, const void *b)
{
    const struct machine_word *x = a, *y = b;
    return x->machine < y->machine ? -1 : x->machine > y->machine;
}

/* One word of one lane's store: what each machine sees there afterwards. */
static void store_word(struct concurrent *c, struct warp *w, const struct plan *p, int lane,
                       uint32_t index, int element, int half, uint32_t golden,
                       const struct entries *wrong)
{
    struct words *words = words_of(c, p->shared);
    uint32_t *memory = golden_word(w, p->shared, index), before = *memory;
    const struct cell *old = words_at(words, index);
    const struct entries *values =
        p->src[element].bits ? list_of(c, w, p->src[element].reg) : NULL;
    struct machine_word seen[256], *out = seen;
    size_t room = 256, n = 0, most = wrong->n + (values ? values->n : 0) + 8;
    for (size_t g = 0; g < c->n_groups; g++)
        most += c->groups[g]->n_away;
    if (most > room)
        out = arena_alloc(&c->store_arena, most * sizeof *out);
    for (uint32_t i = next_of_lane(wrong, lane, 0); i < wrong->n;
         i = next_of_lane(wrong, lane, i + 1)) {
        uint32_t machine = key_machine(wrong->key[i]);
        const struct machine_word *m = word_find(old, machine);
        out[n++] = (struct machine_word){machine, m ? m->value : before};
    }
    for (size_t g = 0; g < c->n_groups; g++) {
        const struct party *group = c->groups[g];
        if (group->w != w || !(group->mask >> lane & 1))
            continue;
        for (size_t i = 0; i < group->n_away; i++) {
            const struct machine_word *m = word_find(old, group->away[i].machine);
            out[n++] = (struct machine_word){group->away[i].machine, m ? m->value : before};
        }
    }
    size_t keepers = n;
    for (uint32_t i = values ? next_of_lane(values, lane, 0) : 0; values && i < values->n;
         i = next_of_lane(values, lane, i + 1)) {
        uint32_t machine = key_machine(values->key[i]);
        bool keeps = !active(c, machine);
        for (size_t k = 0; k < keepers && !keeps; k++)
            keeps = out[k].machine == machine;
        if (!keeps)
            out[n++] = (struct machine_word){machine, (uint32_t)(values->value[i] >> 32 * half)};
    }
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (out[i].value != golden)
            out[kept++] = out[i];
    qsort(out, kept, sizeof *out, by_machine);
    words_replace(words, index, out, (uint32_t)kept);
    *memory = golden;
}

/* A machine's own store, to another address than the fault-free one. */
static void store_elsewhere(struct concurrent *c, struct warp *w, const struct plan *p, uint32_t key,
                            uint64_t address)
{
    uint32_t machine = key_machine(key), index = index_of(w, p, address);
    for (int e = 0; e < p->elements; e++) {
        uint64_t v = p->value[e][0] | (uint64_t)p->value[e][1] << 32;
        if (p->src[e].bits) {
            const struct entries *list = list_of(c, w, p->src[e].reg);
            uint32_t at = entries_find(list, key);
            v = at < list->n && list->key[at] == key ? list->value[at]
                                                     : row_get(w->regs, &p->src[e], key_lane(key));
        }
        for (int half = 0; half < p->words; half++, index++, v >>= 32)
            words_set(words_of(c, p->shared), index, machine, (uint32_t)v,
                      *golden_word(w, p->shared, index));
    }
}

static void store_lane(struct concurrent *c, struct warp *w, const struct plan *p, int lane,
                       const struct entries *wrong)
{
    uint32_t index = index_of(w, p, golden_address(w, p, lane));
    for (int e = 0; e < p->elements; e++) {
        uint64_t v = p->src[e].bits ? row_get(w->regs, &p->src[e], lane)
                                    : p->value[e][0] | (uint64_t)p->value[e][1] << 32;
        for (int half = 0; half < p->words; half++, index++, v >>= 32)
            store_word(c, w, p, lane, index, e, half, (uint32_t)v, wrong);
    }
    for (uint32_t i = next_of_lane(wrong, lane, 0); i < wrong->n; i = next_of_lane(wrong, lane, i + 1))
        store_elsewhere(c, w, p, wrong->key[i], wrong->value[i]);
}

static bool nothing_differs(const struct concurrent *c, const struct warp *w, const struct plan *p,
                            const struct entries *wrong)
{
    bool any = wrong->n || c->n_groups || (p->shared ? &c->shared : &c->global)->n_dirty;
    for (int e = 0; e < p->elements; e++)
        any |= p->src[e].bits && list_of(c, w, p->src[e].reg)->n;
    return !any;
}

/* Lane by lane, in order: the last lane wins. The fault-free store itself is made here, too, so that
 * each lane finds memory as it must be; the instruction then makes it again. */
void access_store(struct concurrent *c, struct warp *w, uint32_t insn, const struct plan *p)
{
    struct entries *wrong = &c->tmp[0];
    differing_addresses(c, w, insn, p, wrong);
    if (nothing_differs(c, w, p, wrong))
        return;
    for (uint32_t lanes = w->path_mask; lanes; lanes &= lanes - 1)
        store_lane(c, w, p, __builtin_ctz(lanes), wrong);
    arena_fini(&c->store_arena);
}
