#include <stdlib.h>
#include <string.h>

#include "campaign/concurrent.h"

/* Room beyond the end, for code that works on many entries at a time. */
static void *grow(void *old, size_t used, size_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!p)
        abort();
    if (used)
        memcpy(p, old, used);
    free(old);
    return p;
}

static size_t width(const struct entries *e) { return e->wide ? 8 : 4; }

void entries_reserve(struct entries *e, uint32_t n)
{
    if (n <= e->room && e->key)
        return;
    e->room = n + n / 2 + 48;
    size_t room = (size_t)e->room + SIMT_LIST_SLACK;
    e->key = grow(e->key, e->n * sizeof *e->key, room * sizeof *e->key);
    e->value = grow(e->value, e->n * width(e), room * 8);
}

void entries_fini(struct entries *e)
{
    free(e->key);
    free(e->value);
    *e = (struct entries){0};
}

void entries_swap(struct entries *a, struct entries *b)
{
    struct entries t = *a;
    *a = *b;
    *b = t;
}

static uint32_t find_between(const struct entries *e, uint32_t key, uint32_t lo, uint32_t hi)
{
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (e->key[mid] < key)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

uint32_t entries_find(const struct entries *e, uint32_t key)
{
    return find_between(e, key, 0, e->n);
}

uint32_t entries_seek(const struct entries *e, uint32_t key, uint32_t from)
{
    uint32_t step = 1;
    while (from + step < e->n && e->key[from + step] < key)
        step *= 2;
    return find_between(e, key, from + step / 2, from + step < e->n ? from + step : e->n);
}

/* to[n..] = from[i, end). */
static void copy_run(struct entries *to, uint32_t n, const struct entries *from, uint32_t i,
                     uint32_t end)
{
    size_t w = width(from);
    if (i == end)
        return;
    memcpy(to->key + n, from->key + i, (end - i) * sizeof *to->key);
    memcpy((uint8_t *)to->value + n * w, (const uint8_t *)from->value + i * w, (end - i) * w);
}

static void copy_one(struct entries *to, uint32_t n, const struct entries *from, uint32_t i)
{
    to->key[n] = from->key[i];
    if (from->wide)
        ((uint64_t *)to->value)[n] = ((const uint64_t *)from->value)[i];
    else
        ((uint32_t *)to->value)[n] = ((const uint32_t *)from->value)[i];
}

void entries_filter(struct entries *to, const struct entries *from, uint32_t lanes)
{
    uint32_t n = 0;
    to->wide = from->wide;
    if (to != from) {
        to->n = 0;
        entries_reserve(to, from->n);
    }
    if (lanes == SIMT_FULL_MASK) {
        if (to != from && from->n)
            copy_run(to, 0, from, 0, from->n);
        to->n = from->n;
        return;
    }
    for (uint32_t i = 0; i < from->n; i++) {
        uint32_t keep = lanes >> (from->key[i] & 31) & 1;
        copy_one(to, n, from, i);
        n += keep;
    }
    to->n = n;
}

void entries_drop(struct entries *e, uint32_t lanes)
{
    if (lanes == SIMT_FULL_MASK)
        e->n = 0;
    else if (e->n)
        entries_filter(e, e, ~lanes);
}

/* One of them much shorter: whole runs of the other are copied. */
static void merge_few(struct entries *to, const struct entries *many, const struct entries *few,
                      bool few_win)
{
    uint32_t n = 0, i = 0;
    for (uint32_t k = 0; k < few->n; k++) {
        uint32_t next = i < many->n ? entries_seek(many, few->key[k], i) : i;
        copy_run(to, n, many, i, next);
        n += next - i;
        i = next;
        bool same = i < many->n && many->key[i] == few->key[k];
        copy_one(to, n++, same && !few_win ? many : few, same && !few_win ? i : k);
        i += same;
    }
    copy_run(to, n, many, i, many->n);
    to->n = n + many->n - i;
}

void entries_merge(struct entries *to, const struct entries *a, const struct entries *b)
{
    uint32_t i = 0, k = 0, n = 0;
    to->n = 0;
    to->wide = a->n ? a->wide : b->wide;
    entries_reserve(to, a->n + b->n);
    if (b->n < a->n / 8) {
        merge_few(to, a, b, true);
        return;
    }
    if (a->n < b->n / 8) {
        merge_few(to, b, a, false);
        return;
    }
    while (i < a->n && k < b->n) {
        uint32_t x = a->key[i], y = b->key[k];
        bool from_a = x < y;
        copy_one(to, n++, from_a ? a : b, from_a ? i : k);
        i += x <= y;
        k += !from_a;
    }
    copy_run(to, n, a, i, a->n);
    n += a->n - i;
    copy_run(to, n, b, k, b->n);
    to->n = n + b->n - k;
}

void entries_insert(struct entries *e, const struct entries *few)
{
    size_t w = width(e);
    uint32_t end = e->n;
    if (!few->n)
        return;
    entries_reserve(e, e->n + few->n);
    for (uint32_t k = few->n; k-- > 0;) { /* from the last: each entry moves once */
        uint32_t at = find_between(e, few->key[k], 0, end), to = at + k + 1;
        memmove(e->key + to, e->key + at, (end - at) * sizeof *e->key);
        memmove((uint8_t *)e->value + to * w, (uint8_t *)e->value + at * w, (end - at) * w);
        copy_one(e, at + k, few, k);
        end = at;
    }
    e->n += few->n;
}

void entries_remove(struct entries *e, const uint32_t *keys, uint32_t n_keys)
{
    uint32_t n = 0, i = 0;
    if (!e->n || !n_keys)
        return;
    i = n = entries_seek(e, keys[0], 0);
    for (uint32_t k = 0; i < e->n; i++) {
        while (k < n_keys && keys[k] < e->key[i])
            k++;
        bool gone = k < n_keys && keys[k] == e->key[i];
        copy_one(e, n, e, i);
        n += !gone;
    }
    e->n = n;
}

/* Merge the runs [from, mid) and [mid, to). */
static void merge_runs(struct entries *out, const struct entries *in, uint32_t from, uint32_t mid,
                       uint32_t to)
{
    uint32_t i = from, k = mid;
    for (uint32_t n = from; n < to; n++) {
        bool first = i < mid && (k == to || in->key[i] <= in->key[k]);
        copy_one(out, n, in, first ? i++ : k++);
    }
}

static uint32_t run_end(const struct entries *e, uint32_t from)
{
    uint32_t i = from + 1;
    while (i < e->n && e->key[i - 1] <= e->key[i])
        i++;
    return i < e->n ? i : e->n;
}

/* Natural merge sort: neighbouring runs are merged until there is one. */
void entries_sort(struct entries *e, struct entries *scratch)
{
    for (;;) {
        uint32_t runs = 0;
        scratch->n = 0;
        scratch->wide = e->wide;
        entries_reserve(scratch, e->n);
        for (uint32_t from = 0; from < e->n; runs++) {
            uint32_t mid = run_end(e, from);
            if (from == 0 && mid == e->n)
                return;
            uint32_t to = mid < e->n ? run_end(e, mid) : mid;
            merge_runs(scratch, e, from, mid, to);
            from = to;
        }
        scratch->n = e->n;
        entries_swap(e, scratch);
        if (runs <= 1)
            return;
    }
}
