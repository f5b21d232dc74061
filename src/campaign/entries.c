#include <stdlib.h>
#include <string.h>

#include "campaign/concurrent.h"

void entries_reserve(struct entries *e, uint32_t n)
{
    if (n <= e->room)
        return;
    e->room = n + n / 2 + 64;
    e->key = realloc(e->key, e->room * sizeof *e->key);
    e->value = realloc(e->value, e->room * sizeof *e->value);
    if (!e->key || !e->value)
        abort();
}

void entries_push(struct entries *e, uint32_t key, uint64_t value)
{
    entries_reserve(e, e->n + 1);
    e->key[e->n] = key;
    e->value[e->n++] = value;
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

uint32_t entries_find(const struct entries *e, uint32_t key)
{
    uint32_t lo = 0, hi = e->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (e->key[mid] < key)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

void entries_filter(struct entries *to, const struct entries *from, uint32_t lanes)
{
    uint32_t n = 0;
    entries_reserve(to, from->n);
    if (lanes == SIMT_FULL_MASK && to != from) {
        to->n = from->n;
        if (to->n) {
            memcpy(to->key, from->key, to->n * sizeof *to->key);
            memcpy(to->value, from->value, to->n * sizeof *to->value);
        }
        return;
    }
    for (uint32_t i = 0; i < from->n; i++) {
        to->key[n] = from->key[i];
        to->value[n] = from->value[i];
        n += lanes >> (from->key[i] & 31) & 1;
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

void entries_merge(struct entries *to, const struct entries *a, const struct entries *b)
{
    uint32_t i = 0, k = 0, n = 0;
    entries_reserve(to, a->n + b->n);
    while (i < a->n && k < b->n) {
        uint32_t x = a->key[i], y = b->key[k];
        bool from_a = x < y;
        to->key[n] = from_a ? x : y;
        to->value[n++] = from_a ? a->value[i] : b->value[k];
        i += x <= y;
        k += !from_a;
    }
    for (; i < a->n; i++, n++) {
        to->key[n] = a->key[i];
        to->value[n] = a->value[i];
    }
    for (; k < b->n; k++, n++) {
        to->key[n] = b->key[k];
        to->value[n] = b->value[k];
    }
    to->n = n;
}

/* Merge the runs [from, mid) and [mid, to). */
static void merge_runs(struct entries *out, const struct entries *in, uint32_t from, uint32_t mid,
                       uint32_t to)
{
    uint32_t i = from, k = mid;
    for (uint32_t n = from; n < to; n++) {
        bool first = i < mid && (k == to || in->key[i] <= in->key[k]);
        uint32_t at = first ? i++ : k++;
        out->key[n] = in->key[at];
        out->value[n] = in->value[at];
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
