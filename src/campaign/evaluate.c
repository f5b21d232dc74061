/* Instructions that work lane by lane: the lanes of machines that differ in a source are packed
 * into rows and the simulator's own code for the instruction runs on them, 32 at a time; what
 * equals the fault-free result is dropped. */
#include <string.h>

#include "campaign/concurrent.h"

/* ---- Rows of 32 lanes <-> lists
 * -------------------------------------------------------------------- */

static void fill_row(uint8_t *regs, const struct row *r, const struct entries *e, uint32_t from,
                     uint32_t n)
{
    if (r->bits == 32)
        memcpy(regs + r->slot, (const uint32_t *)e->value + from, n * 4);
    else if (r->bits == 64)
        memcpy(regs + r->slot, (const uint64_t *)e->value + from, n * 8);
    else
        for (uint32_t i = 0; i < n; i++)
            row_set(regs, r, (int)i, entries_get(e, from + i));
}

static void read_row(struct entries *e, uint32_t from, const uint8_t *regs, const struct row *r,
                     uint32_t n)
{
    if (r->bits == 32)
        memcpy((uint32_t *)e->value + from, regs + r->slot, n * 4);
    else if (r->bits == 64)
        memcpy((uint64_t *)e->value + from, regs + r->slot, n * 8);
    else
        for (uint32_t i = 0; i < n; i++)
            entries_put(e, from + i, row_get(regs, r, (int)i));
}

/* Lay the entries of a source over a row; *at walks along the source. */
static void patch_row(uint8_t *regs, const struct row *r, const uint32_t *key, uint32_t n,
                      const struct entries *src, uint32_t *at)
{
    uint32_t k = entries_seek(src, key[0], *at);
    for (uint32_t i = 0; i < n && k < src->n; i++) {
        while (k < src->n && src->key[k] < key[i])
            k++;
        if (k < src->n && src->key[k] == key[i])
            row_set(regs, r, (int)i, entries_get(src, k++));
    }
    *at = k;
}

static void run_solo(struct concurrent *c, uint32_t insn)
{
    const struct code *code = c->plans->program->solo[insn];
    simt_enter(c->scratch_warp, code, c->scratch, SIMT_FULL_MASK);
}

/* Results of the instruction at these keys, ascending. src[s]: differences of source s, or NULL to
 * take it as fault-free. */
static void run_keys(struct concurrent *c, const struct warp *w, uint32_t insn,
                     const struct plan *p, const struct entries *keys,
                     const struct entries *const src[5], struct entries *result)
{
    uint32_t n = keys->n, at[5] = {0};
    for (int d = 0; d < p->n_dst; d++) {
        result[d].n = 0;
        result[d].wide = p->dst[d].bits == 64;
        entries_reserve(&result[d], n);
        result[d].n = n;
        memcpy(result[d].key, keys->key, n * sizeof *keys->key);
    }
    for (uint32_t from = 0; from < n; from += SIMT_LANES) {
        uint32_t count = n - from < SIMT_LANES ? n - from : SIMT_LANES;
        const uint32_t *key = keys->key + from;
        for (int s = 0; s < p->n_src; s++) {
            const struct row *r = &p->src[s];
            if (src[s] == keys) {
                fill_row(c->scratch, r, keys, from, count);
                continue;
            }
            c->lists->spread(c->scratch + r->slot, w->regs + r->slot, r->bits, key, count);
            if (src[s])
                patch_row(c->scratch, r, key, count, src[s], &at[s]);
        }
        for (int s = 0; s < p->n_fixed; s++)
            c->lists->spread(c->scratch + p->fixed[s].slot, w->regs + p->fixed[s].slot,
                             p->fixed[s].bits, key, count);
        run_solo(c, insn);
        for (int d = 0; d < p->n_dst; d++)
            read_row(&result[d], from, c->scratch, &p->dst[d], count);
    }
}

/* The fault-free results, of all lanes, in c->golden_row. */
static void run_golden(struct concurrent *c, const struct warp *w, uint32_t insn,
                       const struct plan *p)
{
    for (int s = 0; s < p->n_src; s++)
        memcpy(c->scratch + p->src[s].slot, w->regs + p->src[s].slot, row_bytes(&p->src[s]));
    for (int s = 0; s < p->n_fixed; s++)
        memcpy(c->scratch + p->fixed[s].slot, w->regs + p->fixed[s].slot, row_bytes(&p->fixed[s]));
    run_solo(c, insn);
    for (int d = 0; d < p->n_dst; d++)
        memcpy(c->golden_row[d], c->scratch + p->dst[d].slot, row_bytes(&p->dst[d]));
}

void list_replace(struct concurrent *c, struct entries *list, struct entries *result, uint32_t mask)
{
    if (mask == SIMT_FULL_MASK) {
        entries_swap(list, result);
        return;
    }
    entries_drop(list, mask);
    if (!result->n)
        return;
    if (!list->n) {
        entries_swap(list, result);
        return;
    }
    entries_merge(&c->tmp[5], list, result);
    entries_swap(list, &c->tmp[5]);
}

/* ---- Several sources differ
 * ------------------------------------------------------------------------ */

/* Only keys matter: values are taken as narrow. */
static void merge_keys(struct entries *to, const struct entries *a, const struct entries *b)
{
    struct entries x = *a, y = *b;
    x.wide = y.wide = false;
    entries_merge(to, &x, &y);
}

/* Keys of all sources but the one. */
static const struct entries *other_keys(struct concurrent *c, const struct plan *p,
                                        const struct entries *const src[5], int but)
{
    const struct entries *keys = NULL;
    for (int s = 0; s < p->n_src; s++) {
        if (s == but || !src[s])
            continue;
        if (!keys) {
            keys = src[s];
            continue;
        }
        struct entries *out = &c->tmp[keys == &c->tmp[3] ? 4 : 3];
        merge_keys(out, keys, src[s]);
        keys = out;
    }
    return keys;
}

/* Put the results at some keys in the place of those at all; keep apart those that have no place.
 */
static void scatter(struct entries *all, struct entries *some)
{
    uint32_t at = 0, n = 0;
    for (uint32_t i = 0; i < some->n; i++) {
        uint32_t key = some->key[i];
        uint64_t v = entries_get(some, i);
        at = entries_seek(all, key, at);
        if (at < all->n && all->key[at] == key) {
            entries_put(all, at, v);
            continue;
        }
        some->key[n] = key;
        entries_put(some, n++, v);
    }
    some->n = n;
}

/* Where the fma's list of accumulators is also that of its results, it is worked on in place. Drops
 * what equals the fault-free result unless others' results are still to be put into it. */
static struct entries *run_fma(struct concurrent *c, struct warp *w, uint32_t insn,
                               const struct plan *p, int major, const struct entries *keys,
                               uint32_t mask, bool keep_all)
{
    const struct code *code = c->plans->program->solo[insn];
    struct entries *list = list_of(c, w, p->dst[0].reg), *out = list;
    if (keys != list || mask != SIMT_FULL_MASK) {
        out = &c->result[0];
        out->n = 0;
        out->wide = false;
        entries_reserve(out, keys->n);
    }
    const struct list_fma x = {.n = keys->n,
                               .key = keys->key,
                               .value = keys->value,
                               .out_key = out->key,
                               .out_value = out->value,
                               .which = p->which[major],
                               .keep_all = keep_all,
                               .rows = {w->regs + code->a, w->regs + code->b, w->regs + code->c}};
    out->n = c->lists->fma(&x, (float *)(void *)c->golden_row[0]);
    return out;
}

static void drop_equal(struct concurrent *c, struct entries *e, int d, int bits)
{
    if (e->n)
        e->n = c->lists->differing(e->key, e->value, e->n, c->golden_row[d], bits);
}

/* ---- Few differ
 * ---------------------------------------------------------------------------------------- */

enum { FEW = SIMT_LANES / 2 };

/* Keys of all sources in these lanes. */
static uint32_t few_keys(const struct concurrent *c, const struct warp *w, const struct plan *p,
                         uint32_t mask, uint32_t key[FEW])
{
    uint32_t n = 0;
    for (int s = 0; s < p->n_src; s++) {
        const struct entries *e = list_of(c, w, p->src[s].reg);
        for (uint32_t i = 0; i < e->n; i++) {
            uint32_t k = e->key[i], at = n;
            if (!(mask >> key_lane(k) & 1))
                continue;
            while (at > 0 && key[at - 1] > k)
                at--;
            if (at > 0 && key[at - 1] == k)
                continue;
            for (uint32_t m = n++; m > at; m--)
                key[m] = key[m - 1];
            key[at] = k;
        }
    }
    return n;
}

static void spread_few(struct concurrent *c, const struct warp *w, const struct row *r,
                       const uint32_t *key, uint32_t n)
{
    uint8_t *to = c->scratch + r->slot;
    const uint8_t *from = w->regs + r->slot;
    if (n > 8 || r->bits < 32)
        c->lists->spread(to, from, r->bits, key, n);
    else if (r->bits == 32)
        for (uint32_t i = 0; i < n; i++)
            ((uint32_t *)(void *)to)[i] = ((const uint32_t *)(const void *)from)[key_lane(key[i])];
    else
        for (uint32_t i = 0; i < n; i++)
            ((uint64_t *)(void *)to)[i] = ((const uint64_t *)(const void *)from)[key_lane(key[i])];
}

/* Half of a row for the machines, the other half for the same lanes of the fault-free run. */
static void evaluate_few(struct concurrent *c, struct warp *w, uint32_t insn, const struct plan *p,
                         uint32_t mask)
{
    uint32_t key[SIMT_LANES + SIMT_LIST_SLACK];
    uint32_t n = few_keys(c, w, p, mask, key);
    for (uint32_t i = 0; i < n; i++)
        key[n + i] = key[i];
    for (int s = 0; n && s < p->n_src; s++) {
        const struct row *r = &p->src[s];
        const struct entries *e = list_of(c, w, r->reg);
        uint32_t at = 0;
        spread_few(c, w, r, key, 2 * n);
        if (e->n)
            patch_row(c->scratch, r, key, n, e, &at);
    }
    for (int s = 0; n && s < p->n_fixed; s++)
        spread_few(c, w, &p->fixed[s], key, 2 * n);
    if (n)
        run_solo(c, insn);
    for (int d = 0; d < p->n_dst; d++) {
        struct entries *result = &c->result[d];
        result->n = 0;
        result->wide = p->dst[d].bits == 64;
        for (uint32_t i = 0; i < n; i++) {
            uint64_t v = row_get(c->scratch, &p->dst[d], (int)i);
            if (v != row_get(c->scratch, &p->dst[d], (int)(n + i)))
                entries_push(result, key[i], v);
        }
        list_replace(c, list_of(c, w, p->dst[d].reg), result, mask);
    }
}

/* ---- All
 * -----------------------------------------------------------------------------------------------
 */

/* One source differs most; the others' few keys are evaluated apart from its many, and put in. */
static void evaluate_major(struct concurrent *c, struct warp *w, uint32_t insn,
                           const struct plan *p, uint32_t mask, const struct entries *const src[5],
                           int major, const struct entries *others)
{
    const struct entries *alone[5] = {0};
    struct entries *result = c->result;
    bool fma = p->kind == PLAN_FMA;
    if (others)
        run_keys(c, w, insn, p, others, src, c->extra);
    if (fma) {
        result = run_fma(c, w, insn, p, major, src[major], mask, others);
    } else {
        run_golden(c, w, insn, p);
        alone[major] = src[major];
        run_keys(c, w, insn, p, src[major], alone, result);
    }
    for (int d = 0; d < p->n_dst; d++) {
        struct entries *list = list_of(c, w, p->dst[d].reg);
        if (others)
            scatter(&result[d], &c->extra[d]);
        if (others || !fma)
            drop_equal(c, &result[d], d, p->dst[d].bits);
        if (others) {
            drop_equal(c, &c->extra[d], d, p->dst[d].bits);
            entries_insert(&result[d], &c->extra[d]);
        }
        if (&result[d] != list)
            list_replace(c, list, &result[d], mask);
    }
}

static void evaluate_union(struct concurrent *c, struct warp *w, uint32_t insn,
                           const struct plan *p, uint32_t mask, const struct entries *const src[5],
                           int major, const struct entries *others)
{
    struct entries *keys = &c->tmp[others == &c->tmp[3] ? 4 : 3];
    merge_keys(keys, src[major], others);
    run_golden(c, w, insn, p);
    run_keys(c, w, insn, p, keys, src, c->result);
    for (int d = 0; d < p->n_dst; d++) {
        drop_equal(c, &c->result[d], d, p->dst[d].bits);
        list_replace(c, list_of(c, w, p->dst[d].reg), &c->result[d], mask);
    }
}

void evaluate(struct concurrent *c, struct warp *w, uint32_t insn, const struct plan *p,
              uint32_t mask)
{
    const struct entries *src[5] = {0}, *others = NULL;
    int major = -1, n_sources = 0;
    uint32_t n = 0;
    for (int s = 0; s < p->n_src; s++)
        n += list_of(c, w, p->src[s].reg)->n;
    if (n <= FEW) {
        evaluate_few(c, w, insn, p, mask);
        return;
    }
    for (int s = 0; s < p->n_src; s++) {
        struct entries *e = list_of(c, w, p->src[s].reg);
        if (mask != SIMT_FULL_MASK && e->n) {
            entries_filter(&c->filtered[s], e, mask);
            e = &c->filtered[s];
        }
        if (!e->n)
            continue;
        src[s] = e;
        n_sources++;
        if (major < 0 || e->n > src[major]->n)
            major = s;
    }
    if (n_sources == 0) {
        for (int d = 0; d < p->n_dst; d++)
            entries_drop(list_of(c, w, p->dst[d].reg), mask);
        return;
    }
    if (n_sources > 1)
        others = other_keys(c, p, src, major);
    if (!others || others->n < src[major]->n)
        evaluate_major(c, w, insn, p, mask, src, major, others);
    else
        evaluate_union(c, w, insn, p, mask, src, major, others);
}

/* ---- Guards
 * ------------------------------------------------------------------------------------------ */

static uint64_t view(const struct entries *e, uint32_t key, uint32_t *at, const uint8_t *regs,
                     const struct row *r)
{
    *at = entries_seek(e, key, *at);
    return *at < e->n && e->key[*at] == key ? entries_get(e, *at) : row_get(regs, r, key_lane(key));
}

static void choose(struct concurrent *c, struct warp *w, const struct plan *p, int d,
                   struct entries *result)
{
    const struct entries *guard = list_of(c, w, p->guard.reg), *old = list_of(c, w, p->dst[d].reg);
    struct row golden = p->dst[d];
    uint32_t at_guard = 0, at_old = 0, n = 0;
    golden.slot = 0;
    for (uint32_t i = 0; i < result->n; i++) {
        uint32_t key = result->key[i];
        int lane = key_lane(key);
        bool on = view(guard, key, &at_guard, w->regs, &p->guard) != p->guard_negated;
        bool golden_on = row_get(w->regs, &p->guard, lane) != p->guard_negated;
        uint64_t before = view(old, key, &at_old, w->regs, &p->dst[d]);
        uint64_t v = on ? entries_get(result, i) : before;
        uint64_t good = golden_on ? row_get(c->golden_row[d], &golden, lane)
                                  : row_get(w->regs, &p->dst[d], lane);
        result->key[n] = key;
        entries_put(result, n, v);
        n += v != good;
    }
    result->n = n;
}

void evaluate_guarded(struct concurrent *c, struct warp *w, uint32_t insn, const struct plan *p)
{
    const struct entries *src[5] = {0};
    struct entries *keys = &c->tmp[2], *one = &c->tmp[3], *sum = &c->tmp[4];
    keys->n = 0;
    for (int s = 0; s < p->n_src + p->n_dst + 1; s++) {
        const struct entries *e = list_of(c, w,
                                          s < p->n_src              ? p->src[s].reg
                                          : s < p->n_src + p->n_dst ? p->dst[s - p->n_src].reg
                                                                    : p->guard.reg);
        if (!e->n)
            continue;
        if (s < p->n_src)
            src[s] = e;
        one->n = 0;
        one->wide = false;
        for (uint32_t i = 0; i < e->n; i++)
            if (w->path_mask >> key_lane(e->key[i]) & 1)
                entries_push(one, e->key[i], 0);
        entries_merge(sum, keys, one);
        entries_swap(sum, keys);
    }
    run_golden(c, w, insn, p);
    run_keys(c, w, insn, p, keys, src, c->result);
    for (int d = 0; d < p->n_dst; d++) {
        choose(c, w, p, d, &c->result[d]);
        list_replace(c, list_of(c, w, p->dst[d].reg), &c->result[d], w->path_mask);
    }
}
