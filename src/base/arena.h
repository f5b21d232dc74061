/* Memory with one lifetime: blocks are handed out and all freed together. Running out of memory is
 * not recoverable for a simulator: the arena aborts with a message instead of returning NULL, but
 * sizes that come from files go through arena_array, which refuses what overflows. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena {
    struct arena_block *head;
};

/* A zeroed struct arena is a valid, empty one. */
void arena_fini(struct arena *a);
/* Gives all of it back but one block, which is used again: for loops that fill an arena each time round. */
void arena_reset(struct arena *a);

/* Zeroed memory aligned to 64 bytes. bytes may be 0. */
void *arena_alloc(struct arena *a, size_t bytes);

/* n zeroed elements; NULL only if n * size overflows or exceeds the address space. */
void *arena_array(struct arena *a, size_t n, size_t size);

char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))

#endif
