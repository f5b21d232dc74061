#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64, FIRST_BLOCK = 64 * 1024, MOST_BLOCK = 1024 * 1024 };

struct arena_block {
    struct arena_block *next;
    size_t used, size; /* of the bytes that follow the header */
    _Alignas(ALIGN) unsigned char bytes[];
};

static struct arena_block *block_new(size_t bytes)
{
    size_t total = sizeof(struct arena_block) + bytes;
    total = (total + ALIGN - 1) / ALIGN * ALIGN;
    struct arena_block *b = aligned_alloc(ALIGN, total);
    if (!b) {
        fprintf(stderr, "sievert: out of memory (%zu bytes)\n", total);
        abort();
    }
    b->next = NULL;
    b->used = 0;
    b->size = total - sizeof *b;
    return b;
}

void arena_fini(struct arena *a)
{
    for (struct arena_block *b = a->head, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    a->head = NULL;
}

void arena_reset(struct arena *a)
{
    struct arena_block *kept = a->head;
    if (!kept)
        return;
    struct arena rest = {kept->next};
    arena_fini(&rest);
    kept->next = NULL;
    kept->used = 0;
}

/* Each is twice the last: of large arenas few blocks, which malloc takes from the system and gives back to it. */
static size_t next_block(const struct arena *a)
{
    size_t twice = a->head ? 2 * a->head->size : FIRST_BLOCK;
    return twice < FIRST_BLOCK ? FIRST_BLOCK : twice > MOST_BLOCK ? MOST_BLOCK : twice;
}

void *arena_alloc(struct arena *a, size_t bytes)
{
    size_t need = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    struct arena_block *b = a->head;
    if (!b || b->size - b->used < need) {
        size_t usual = next_block(a);
        b = block_new(need > usual ? need : usual);
        if (need > usual && a->head) { /* keep filling the current block afterwards */
            b->next = a->head->next;
            a->head->next = b;
        } else {
            b->next = a->head;
            a->head = b;
        }
    }
    void *p = b->bytes + b->used;
    b->used += need;
    return memset(p, 0, need);
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes) || bytes > PTRDIFF_MAX / 2)
        return NULL;
    return arena_alloc(a, bytes);
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    char *p = arena_alloc(a, n + 1);
    memcpy(p, s, n);
    return p;
}

char *arena_strdup(struct arena *a, const char *s) { return arena_strndup(a, s, strlen(s)); }

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = arena_alloc(a, (size_t)n + 1);
    vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return p;
}
