#include <stdlib.h>
#include <string.h>

#include "campaign/concurrent.h"

void words_init(struct words *w, uint64_t bytes)
{
    *w = (struct words){.n_pages = (size_t)(bytes / 4 / WORDS_PER_PAGE) + 1};
    w->page = calloc(w->n_pages, sizeof *w->page);
    w->full = calloc((size_t)(bytes / 256) + 2, sizeof *w->full);
    if (!w->page || !w->full)
        abort();
}

void words_fini(struct words *w)
{
    for (size_t p = 0; p < w->n_pages; p++) {
        for (size_t i = 0; w->page[p] && i < WORDS_PER_PAGE; i++)
            free(w->page[p][i].v);
        free(w->page[p]);
    }
    free(w->page);
    free(w->full);
    free(w->dirty);
    *w = (struct words){0};
}

void words_clear(struct words *w)
{
    for (size_t i = 0; i < w->n_dirty; i++) {
        struct cell *x = words_at(w, w->dirty[i]);
        x->n = 0;
        x->listed = false;
        w->full[w->dirty[i] / 64] = 0;
    }
    w->n_dirty = w->n_full = 0;
}

static void resize(struct words *w, struct cell *x, uint32_t index, uint32_t n)
{
    if (!x->n != !n) {
        w->full[index / 64] ^= 1ull << index % 64;
        w->n_full += n ? 1 : -(size_t)1;
    }
    x->n = n;
}

void words_keep(struct words *w, uint32_t index, uint32_t n)
{
    resize(w, words_at(w, index), index, n);
}

/* The word's list with room for one more, made if there is none. */
static struct cell *open_word(struct words *w, uint32_t index, uint32_t room)
{
    struct cell **page = &w->page[index / WORDS_PER_PAGE];
    if (!*page && !(*page = calloc(WORDS_PER_PAGE, sizeof **page)))
        abort();
    struct cell *x = &(*page)[index % WORDS_PER_PAGE];
    if (!x->listed) {
        if (w->n_dirty == w->dirty_room) {
            w->dirty_room = w->dirty_room * 2 + 256;
            w->dirty = realloc(w->dirty, w->dirty_room * sizeof *w->dirty);
            if (!w->dirty)
                abort();
        }
        w->dirty[w->n_dirty++] = index;
        x->listed = true;
    }
    if (room > x->room) {
        x->room = room + room / 2 + 4;
        x->v = realloc(x->v, x->room * sizeof *x->v);
        if (!x->v)
            abort();
    }
    return x;
}

static uint32_t find(const struct cell *w, uint32_t machine)
{
    uint32_t lo = 0, hi = w->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (w->v[mid].machine < machine)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

const struct machine_word *word_find(const struct cell *w, uint32_t machine)
{
    if (!w || !w->n)
        return NULL;
    uint32_t at = find(w, machine);
    return at < w->n && w->v[at].machine == machine ? &w->v[at] : NULL;
}

void words_set(struct words *w, uint32_t index, uint32_t machine, uint32_t value, uint32_t golden)
{
    struct cell *x = words_at(w, index);
    uint32_t at = x ? find(x, machine) : 0;
    bool there = x && at < x->n && x->v[at].machine == machine;
    if (value == golden) {
        if (there) {
            memmove(&x->v[at], &x->v[at + 1], (x->n - 1 - at) * sizeof *x->v);
            resize(w, x, index, x->n - 1);
        }
        return;
    }
    x = open_word(w, index, (x ? x->n : 0) + 1);
    if (!there) {
        memmove(&x->v[at + 1], &x->v[at], (x->n - at) * sizeof *x->v);
        resize(w, x, index, x->n + 1);
    }
    x->v[at] = (struct machine_word){machine, value};
}

void words_push(struct words *w, uint32_t index, uint32_t machine, uint32_t value)
{
    struct cell *x = words_at(w, index);
    if (!x || !x->listed || x->n == x->room)
        x = open_word(w, index, (x ? x->n : 0) + 1);
    x->v[x->n] = (struct machine_word){machine, value};
    resize(w, x, index, x->n + 1);
}

void words_replace(struct words *w, uint32_t index, const struct machine_word *v, uint32_t n)
{
    struct cell *x = words_at(w, index);
    if (n == 0) {
        if (x)
            resize(w, x, index, 0);
        return;
    }
    x = open_word(w, index, n);
    memcpy(x->v, v, n * sizeof *v);
    resize(w, x, index, n);
}
