/* Loads and stores of the concurrent engine. A machine's access differs from the fault-free one if
 * its address, its value or the memory behind it does. */
#include <stdlib.h>
#include <string.h>

#include "campaign/concurrent.h"

/* In a list of addresses: the lane does not store. */
static const uint64_t NO_STORE = UINT64_MAX;

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

/* The fault-free run's words, by lane; of lanes that are off, the first one's that is on. */
static void golden_indices(const struct warp *w, const struct plan *p, uint32_t mask,
                           uint32_t index[SIMT_LANES])
{
    uint64_t origin = window_of(w, p->shared)->base, shift = p->offset - origin;
    const uint8_t *row = w->regs + p->base.slot;
    if (!p->has_base)
        for (int l = 0; l < SIMT_LANES; l++)
            index[l] = (uint32_t)(shift / 4);
    else if (p->base.bits == 64)
        for (int l = 0; l < SIMT_LANES; l++)
            index[l] = (uint32_t)((((const uint64_t *)(const void *)row)[l] + shift) / 4);
    else
        for (int l = 0; l < SIMT_LANES; l++)
            index[l] =
                (uint32_t)((ptx_address(((const uint32_t *)(const void *)row)[l], 32, p->offset) -
                            origin) /
                           4);
    if (mask != SIMT_FULL_MASK)
        for (int l = 0, first = __builtin_ctz(mask); l < SIMT_LANES; l++)
            index[l] = mask >> l & 1 ? index[l] : index[first];
}

static uint32_t same_lanes(const uint32_t index[SIMT_LANES], uint32_t value)
{
    uint32_t same = 0;
    for (int l = 0; l < SIMT_LANES; l++)
        same |= (uint32_t)(index[l] == value) << l;
    return same;
}

/* Differing addresses in these lanes, of active machines that survive them. Machines whose address
 * is bad stop at their lowest such lane. */
static void differing_addresses(struct concurrent *c, struct warp *w, uint32_t insn,
                                const struct plan *p, uint32_t mask, struct entries *out)
{
    out->n = 0;
    out->wide = true;
    if (!p->has_base)
        return;
    const struct entries *base = list_of(c, w, p->base.reg);
    bool trapped = false;
    for (uint32_t i = 0; i < base->n; i++) {
        uint32_t key = base->key[i], machine = key_machine(key);
        int lane = key_lane(key);
        if (!(mask >> lane & 1) || !is_active(c, machine) || stray_is(c, w, key))
            continue;
        uint64_t address = ptx_address(entries_get(base, i), p->base.bits, p->offset);
        enum trap_kind trap = check(w, p, address);
        if (trap == TRAP_NONE) {
            entries_push(out, key, address);
        } else {
            machine_trap(c, machine, w, insn, trap, lane, address);
            trapped = true;
        }
    }
    uint32_t n = 0; /* a machine may have trapped after lanes that were good */
    for (uint32_t i = 0; trapped && i < out->n; i++) {
        out->key[n] = out->key[i];
        entries_put(out, n, entries_get(out, i));
        n += is_active(c, key_machine(out->key[i]));
    }
    out->n = trapped ? n : out->n;
}

static uint32_t view(const struct words *words, const struct warp *w, bool shared, uint32_t index,
                     uint32_t machine)
{
    const struct machine_word *m = word_find(words_at(words, index), machine);
    return m ? m->value : *golden_word(w, shared, index);
}

/* ---- Loads
 * --------------------------------------------------------------------------------------- */

static uint64_t load_at(struct concurrent *c, const struct warp *w, const struct plan *p,
                        uint32_t index, uint32_t machine)
{
    const struct words *words = words_of(c, p->shared);
    uint64_t v = view(words, w, p->shared, index, machine);
    return p->words == 2 ? v | (uint64_t)view(words, w, p->shared, index + 1, machine) << 32 : v;
}

static uint64_t golden_load(const struct warp *w, const struct plan *p, uint32_t index)
{
    uint64_t v = *golden_word(w, p->shared, index);
    return p->words == 2 ? v | (uint64_t)*golden_word(w, p->shared, index + 1) << 32 : v;
}

/* Machines for which memory differs at one word (of element `half`) that these lanes load. */
static void load_word(struct concurrent *c, const struct warp *w, const struct plan *p,
                      uint32_t lanes, uint32_t index, int half, const struct cell *x,
                      struct entries *out)
{
    const struct cell *other = p->words == 2 ? words_at(words_of(c, p->shared), index ^ 1) : NULL;
    for (uint32_t i = 0; i < x->n; i++) {
        uint32_t machine = x->v[i].machine;
        uint64_t v = x->v[i].value;
        if (!is_active(c, machine))
            continue;
        if (p->words == 2) { /* the other half may differ, too: then it makes the same entry */
            const struct machine_word *m = word_find(other, machine);
            if (m && half == 1)
                continue;
            uint64_t o = m ? m->value : *golden_word(w, p->shared, index ^ 1);
            v = half ? v << 32 | o : o << 32 | v;
        }
        for (uint32_t l = lanes; l; l &= l - 1)
            entries_push(out, key_of(machine, __builtin_ctz(l)), v);
    }
}

/* The words of the element: part * p->words and the next, of each lane's access. hits: by lane, bit
 * k: word k of its access differs in some machine. */
static void load_memory(struct concurrent *c, const struct warp *w, const struct plan *p,
                        uint32_t mask, const uint32_t index[SIMT_LANES],
                        const uint8_t hits[SIMT_LANES], uint32_t skip, struct entries *out)
{
    const struct words *words = words_of(c, p->shared);
    int groups = 0;
    for (int half = 0; half < p->words; half++, skip++) {
        uint32_t left = 0;
        for (int l = 0; l < SIMT_LANES; l++)
            left |= (uint32_t)(hits[l] >> skip & 1) << l;
        for (left &= mask; left; groups++) {
            uint32_t word = index[__builtin_ctz(left)], lanes = same_lanes(index, word) & mask;
            left &= ~lanes;
            load_word(c, w, p, lanes, word + skip, half, words_at(words, word + skip), out);
        }
    }
    if (groups > 1)
        entries_sort(out, &c->tmp[3]);
}

static uint32_t find_hits(const struct words *words, const struct plan *p,
                          const uint32_t index[SIMT_LANES], uint8_t hits[SIMT_LANES])
{
    uint32_t all = (1u << p->elements * p->words) - 1, any = 0;
    for (int l = 0; l < SIMT_LANES; l++) {
        uint32_t hit = (uint32_t)(words->full[index[l] / 64] >> index[l] % 64) & all;
        hits[l] = (uint8_t)hit;
        any |= hit;
    }
    return any;
}

static void load_element(struct concurrent *c, struct warp *w, const struct plan *p, int element,
                         uint32_t mask, const uint32_t index[SIMT_LANES],
                         const uint8_t hits[SIMT_LANES], bool hit, const struct entries *wrong)
{
    struct entries *memory = &c->tmp[1], *moved = &c->tmp[2], *both = &c->tmp[3];
    struct entries *list = list_of(c, w, p->dst[element].reg);
    uint32_t skip = (uint32_t)element * p->words;
    memory->n = moved->n = 0;
    memory->wide = moved->wide = p->words == 2;
    if (hit)
        load_memory(c, w, p, mask, index, hits, skip, memory);
    for (uint32_t i = 0; i < wrong->n; i++) {
        uint32_t at = index_of(w, p, entries_get(wrong, i)) + skip;
        entries_push(moved, wrong->key[i], load_at(c, w, p, at, key_machine(wrong->key[i])));
    }
    if (moved->n) { /* where the address differs, that decides */
        uint32_t n = 0;
        entries_merge(both, memory, moved);
        for (uint32_t i = 0; i < both->n; i++) {
            uint64_t v = entries_get(both, i);
            both->key[n] = both->key[i];
            entries_put(both, n, v);
            n += v != golden_load(w, p, index[key_lane(both->key[i])] + skip);
        }
        both->n = n;
        memory = both;
    }
    list_replace(c, list, memory, mask);
}

void access_load(struct concurrent *c, struct warp *w, uint32_t insn, const struct plan *p,
                 uint32_t mask)
{
    struct entries *wrong = &c->tmp[0];
    const struct words *words = words_of(c, p->shared);
    uint32_t index[SIMT_LANES], any = 0;
    uint8_t hits[SIMT_LANES];
    differing_addresses(c, w, insn, p, mask, wrong);
    if (wrong->n || words->n_full) {
        golden_indices(w, p, mask, index);
        any = find_hits(words, p, index, hits);
    }
    for (int e = 0; e < p->elements; e++) {
        bool hit = any >> e * p->words & ((1u << p->words) - 1);
        if (p->dst[e].bits && (hit || wrong->n))
            load_element(c, w, p, e, mask, index, hits, hit, wrong);
        else if (p->dst[e].bits)
            entries_drop(list_of(c, w, p->dst[e].reg), mask);
    }
}

/* ---- Stores
 * -------------------------------------------------------------------------------------- */

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

static uint64_t stored(const struct warp *w, const struct plan *p, int element, int lane)
{
    return p->src[element].bits ? row_get(w->regs, &p->src[element], lane)
                                : p->value[element][0] | (uint64_t)p->value[element][1] << 32;
}

/* One word of one lane's store: what each machine sees there afterwards. */
static void store_word(struct concurrent *c, struct warp *w, const struct plan *p, int lane,
                       uint32_t index, int element, int half, uint32_t golden,
                       const struct entries *absent)
{
    struct words *words = words_of(c, p->shared);
    uint32_t *memory = golden_word(w, p->shared, index), before = *memory;
    const struct cell *old = words_at(words, index);
    const struct entries *values = p->src[element].bits ? list_of(c, w, p->src[element].reg) : NULL;
    struct machine_word seen[256], *out = seen;
    size_t room = 256, n = 0, most = absent->n + (values ? values->n : 0) + 8;
    for (size_t g = 0; g < c->n_groups; g++)
        most += c->groups[g]->n_away;
    if (most > room)
        out = arena_alloc(&c->store_arena, most * sizeof *out);
    for (uint32_t i = next_of_lane(absent, lane, 0); i < absent->n;
         i = next_of_lane(absent, lane, i + 1)) {
        uint32_t machine = key_machine(absent->key[i]);
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
        bool keeps = !is_active(c, machine);
        for (size_t k = 0; k < keepers && !keeps; k++)
            keeps = out[k].machine == machine;
        if (!keeps)
            out[n++] =
                (struct machine_word){machine, (uint32_t)(entries_get(values, i) >> 32 * half)};
    }
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (out[i].value != golden) {
            c->machine[out[i].machine].differs[p->shared] = true;
            out[kept++] = out[i];
        }
    qsort(out, kept, sizeof *out, by_machine);
    words_replace(words, index, out, (uint32_t)kept);
    *memory = golden;
}

/* A machine's own store, to another address than the fault-free one. */
static void store_elsewhere(struct concurrent *c, struct warp *w, const struct plan *p,
                            uint32_t key, uint64_t address)
{
    uint32_t machine = key_machine(key), index = index_of(w, p, address);
    c->machine[machine].differs[p->shared] = true;
    for (int e = 0; e < p->elements; e++) {
        uint64_t v = p->value[e][0] | (uint64_t)p->value[e][1] << 32;
        if (p->src[e].bits) {
            const struct entries *list = list_of(c, w, p->src[e].reg);
            uint32_t at = entries_find(list, key);
            v = at < list->n && list->key[at] == key ? entries_get(list, at)
                                                     : row_get(w->regs, &p->src[e], key_lane(key));
        }
        for (int half = 0; half < p->words; half++, index++, v >>= 32)
            words_set(words_of(c, p->shared), index, machine, (uint32_t)v,
                      *golden_word(w, p->shared, index));
    }
}

static void store_lane(struct concurrent *c, struct warp *w, const struct plan *p, int lane,
                       uint32_t index, const struct entries *absent)
{
    for (int e = 0; e < p->elements; e++) {
        uint64_t v = stored(w, p, e, lane);
        for (int half = 0; half < p->words; half++, index++, v >>= 32)
            store_word(c, w, p, lane, index, e, half, (uint32_t)v, absent);
    }
    for (uint32_t i = next_of_lane(absent, lane, 0); i < absent->n;
         i = next_of_lane(absent, lane, i + 1))
        if (entries_get(absent, i) != NO_STORE)
            store_elsewhere(c, w, p, absent->key[i], entries_get(absent, i));
}

/* Does no word get the stores of two lanes? May say no where it could say yes. */
static bool all_apart(const uint32_t index[SIMT_LANES], uint32_t mask, uint32_t words)
{
    uint64_t seen[16] = {0};
    for (uint32_t m = mask; m; m &= m - 1) {
        uint32_t h = index[__builtin_ctz(m)] / words * 0x9e3779b1u >> 22;
        if (seen[h / 64] >> h % 64 & 1)
            return false;
        seen[h / 64] |= 1ull << h % 64;
    }
    return true;
}

/* Each lane to a place of its own. Those that are absent, sorted, are seen to elsewhere. */
static void store_values(struct concurrent *c, struct warp *w, const struct plan *p, uint32_t mask,
                         const uint32_t index[SIMT_LANES], const struct entries *absent)
{
    struct words *words = words_of(c, p->shared);
    uint8_t hits[SIMT_LANES];
    uint32_t any = words->n_full ? find_hits(words, p, index, hits) : 0;
    for (int k = 0; k < p->elements * p->words; k++)
        for (uint32_t m = any >> k & 1 ? mask : 0; m; m &= m - 1)
            words_replace(words, index[__builtin_ctz(m)] + (uint32_t)k, NULL, 0);
    for (int e = 0; e < p->elements; e++) {
        const struct entries *values = p->src[e].bits ? list_of(c, w, p->src[e].reg) : NULL;
        uint32_t at = 0;
        for (uint32_t i = 0; values && i < values->n; i++) {
            uint32_t key = values->key[i], machine = key_machine(key);
            int lane = key_lane(key);
            if (!(mask >> lane & 1) || !is_active(c, machine))
                continue;
            if (absent->n && (at = entries_seek(absent, key, at)) < absent->n &&
                absent->key[at] == key)
                continue;
            uint64_t v = entries_get(values, i), good = row_get(w->regs, &p->src[e], lane);
            for (int half = 0; half < p->words; half++, v >>= 32, good >>= 32)
                if ((uint32_t)v != (uint32_t)good)
                    words_push(words, index[lane] + (uint32_t)(e * p->words + half), machine,
                               (uint32_t)v);
            c->machine[machine].differs[p->shared] = true;
        }
    }
}

/* What a machine sees that does not store where the fault-free run does: what was there. */
static void keep_old(struct concurrent *c, struct warp *w, const struct plan *p, uint32_t key,
                     uint32_t index, const uint32_t *before)
{
    for (int e = 0; e < p->elements; e++) {
        uint64_t v = stored(w, p, e, key_lane(key));
        for (int half = 0; half < p->words; half++, index++, v >>= 32)
            words_set(words_of(c, p->shared), index, key_machine(key), *before++, (uint32_t)v);
    }
}

static int lane_of(const uint32_t index[SIMT_LANES], uint32_t mask, uint32_t word)
{
    uint32_t same = same_lanes(index, word) & mask;
    return same ? __builtin_ctz(same) : -1;
}

/* Stores of machines that store elsewhere or not at all, where all fault-free lanes store apart.
 * Lanes are in order: of two that store to one place, the later one wins. */
static void store_absent(struct concurrent *c, struct warp *w, const struct plan *p, uint32_t mask,
                         const uint32_t index[SIMT_LANES], const struct entries *absent)
{
    struct words *words = words_of(c, p->shared);
    int n = p->elements * p->words;
    uint32_t *before = arena_array(&c->store_arena, (size_t)absent->n * (size_t)n, sizeof *before);
    for (uint32_t i = 0; i < absent->n; i++)
        for (int k = 0; k < n; k++)
            before[i * (uint32_t)n + (uint32_t)k] =
                view(words, w, p->shared, index[key_lane(absent->key[i])] + (uint32_t)k,
                     key_machine(absent->key[i]));
    store_values(c, w, p, mask, index, absent);
    for (uint32_t i = 0; i < absent->n; i++) {
        keep_old(c, w, p, absent->key[i], index[key_lane(absent->key[i])],
                 before + i * (uint32_t)n);
        c->machine[key_machine(absent->key[i])].differs[p->shared] = true;
    }
    for (uint32_t i = 0; i < absent->n; i++) {
        if (entries_get(absent, i) == NO_STORE)
            continue;
        uint32_t key = absent->key[i], word = index_of(w, p, entries_get(absent, i));
        int other = lane_of(index, mask, word);
        uint32_t at = other < 0 ? 0 : entries_find(absent, key_of(key_machine(key), other));
        bool other_stores =
            other >= 0 && !(at < absent->n && absent->key[at] == key_of(key_machine(key), other));
        if (other_stores && other > key_lane(key))
            continue;
        for (int e = 0; e < p->elements; e++) {
            const struct entries *list = p->src[e].bits ? list_of(c, w, p->src[e].reg) : NULL;
            uint32_t k = list ? entries_find(list, key) : 0;
            uint64_t v = list && k < list->n && list->key[k] == key
                             ? entries_get(list, k)
                             : stored(w, p, e, key_lane(key));
            uint64_t good = other >= 0 ? stored(w, p, e, other) : 0;
            for (int half = 0; half < p->words; half++, word++, v >>= 32, good >>= 32)
                words_set(words, word, key_machine(key), (uint32_t)v,
                          other >= 0 ? (uint32_t)good : *golden_word(w, p->shared, word));
        }
    }
}

static bool values_differ(const struct concurrent *c, const struct warp *w, const struct plan *p)
{
    bool any = false;
    for (int e = 0; e < p->elements; e++)
        any |= p->src[e].bits && list_of(c, w, p->src[e].reg)->n;
    return any;
}

static bool anyone_away(const struct concurrent *c, const struct warp *w)
{
    for (size_t g = 0; g < c->n_groups; g++)
        if (c->groups[g]->w == w && c->groups[g]->n_away)
            return true;
    return false;
}

/* In general lane by lane, in order: the last lane wins. The fault-free store itself is made here,
 * too, so that each lane finds memory as it must be; the instruction then makes it again. */
void access_store(struct concurrent *c, struct warp *w, uint32_t insn, const struct plan *p,
                  uint32_t mask)
{
    struct entries *absent = &c->tmp[0], *skips = &c->tmp[1], *both = &c->tmp[2];
    uint32_t index[SIMT_LANES];
    differing_addresses(c, w, insn, p, mask, absent);
    if (c->n_groups) {
        stray_keys(c, w, mask, skips); /* their value is NO_STORE */
        if (skips->n) {
            entries_merge(both, absent, skips);
            absent = both;
        }
    }
    bool away = anyone_away(c, w);
    if (!absent->n && !away && !words_of(c, p->shared)->n_full && !values_differ(c, w, p))
        return;
    golden_indices(w, p, mask, index);
    if (away || !all_apart(index, mask, (uint32_t)p->elements * p->words))
        for (uint32_t lanes = mask; lanes; lanes &= lanes - 1)
            store_lane(c, w, p, __builtin_ctz(lanes), index[__builtin_ctz(lanes)], absent);
    else if (absent->n)
        store_absent(c, w, p, mask, index, absent);
    else
        store_values(c, w, p, mask, index, absent);
    arena_fini(&c->store_arena);
}
