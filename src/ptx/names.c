#include "ptx/names.h"

#include <stdbool.h>
#include <string.h>

static uint64_t hash(const char *text, size_t len)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)text[i]) * 0x100000001b3u;
    return h ^ h >> 29;
}

void names_init(struct names *s, struct arena *a)
{
    *s = (struct names){.a = a, .n_buckets = 256};
    s->buckets = arena_array(a, s->n_buckets, sizeof(struct name *));
}

struct name *names_find(const struct names *s, const char *text, size_t len)
{
    uint64_t h = hash(text, len);
    for (struct name *n = s->buckets[h & (s->n_buckets - 1)]; n; n = n->next)
        if (n->hash == h && n->len == len && memcmp(n->text, text, len) == 0)
            return n;
    return NULL;
}

static void put(struct names *s, struct name *n)
{
    struct name **bucket = &s->buckets[n->hash & (s->n_buckets - 1)];
    n->next = *bucket;
    *bucket = n;
}

/* Rehash oldest first, so that newer names stay before older ones. */
static void enlarge(struct names *s)
{
    struct name *oldest_first = NULL;
    for (struct name *n = s->last; n; n = n->before) {
        n->next = oldest_first;
        oldest_first = n;
    }
    s->n_buckets *= 4;
    s->buckets = arena_array(s->a, s->n_buckets, sizeof(struct name *));
    for (struct name *n = oldest_first, *next; n; n = next) {
        next = n->next;
        put(s, n);
    }
}

struct name *names_add(struct names *s, const char *text, size_t len, enum name_kind kind,
                       uint32_t index, uint32_t count)
{
    if (s->n >= s->n_buckets)
        enlarge(s);
    struct name *n = ARENA_NEW(s->a, struct name);
    *n = (struct name){.text = text,
                       .len = len,
                       .hash = hash(text, len),
                       .kind = kind,
                       .index = index,
                       .count = count,
                       .before = s->last};
    put(s, n);
    s->last = n;
    s->n++;
    return n;
}

void names_forget(struct names *s, struct name *mark)
{
    while (s->last != mark) {
        struct name *n = s->last;
        s->buckets[n->hash & (s->n_buckets - 1)] = n->next; /* the newest is first of its bucket */
        s->last = n->before;
        s->n--;
    }
}
