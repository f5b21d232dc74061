#include <stdlib.h>
#include <string.h>

#include "campaign/concurrent.h"

void words_init(struct words *w, uint64_t bytes)
{
    *w = (struct words){.n_pages = (size_t)(bytes / 4 / WORDS_PER_PAGE) + 1};
    w->page = calloc(w->n_pages, sizeof *w->page);
    if (!w->page)
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
    free(w->dirty);
    *w = (struct words){0};
}

void words_clear(struct words *w)
{
    for (size_t i = 0; i < w->n_dirty; i++) {
        struct cell *x = words_at(w, w->dirty[i]);
        x->n = 0;
        x->listed = false;
    }
    w->n_dirty = 0;
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
        if (there)
            memmove(&x->v[at], &x->v[at + 1], (--x->n - at) * sizeof *x->v);
        return;
    }
    x = open_word(w, index, (x ? x->n : 0) + 1);
    if (!there)
        memmove(&x->v[at + 1], &x->v[at], (x->n++ - at) * sizeof *x->v);
    x->v[at] = (struct machine_word){machine, value};
}

void words_replace(struct words *w, uint32_t index, const struct machine_word *v, uint32_t n)
{
    struct cell *x = words_at(w, index);
    if (n == 0) {
        if (x)
            x->n = 0;
        return;
    }
    x = open_word(w, index, n);
    memcpy(x->v, v, n * sizeof *v);
    x->n = n;
}
