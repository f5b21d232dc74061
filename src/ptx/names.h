/* Names in nested scopes -> what they stand for. Keys point into the source text. */
#ifndef PTX_NAMES_H
#define PTX_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

enum name_kind { NAME_REG, NAME_REGS, NAME_SYMBOL, NAME_LABEL, NAME_TABLE };

struct name {
    const char *text;
    size_t len;
    uint64_t hash;
    enum name_kind kind;
    uint32_t index, count; /* NAME_REGS: `count` registers from index, named text0, text1, ... */
    struct name *next;     /* of the same bucket, newer first */
    struct name *before;   /* declared before this one */
};

struct names {
    struct arena *a;
    struct name **buckets;
    size_t n_buckets, n;
    struct name *last;
};

void names_init(struct names *s, struct arena *a);
/* The newest name spelled so, or NULL. */
struct name *names_find(const struct names *s, const char *text, size_t len);
struct name *names_add(struct names *s, const char *text, size_t len, enum name_kind kind,
                       uint32_t index, uint32_t count);
/* Forget all names added after `mark`, an earlier value of s->last. */
void names_forget(struct names *s, struct name *mark);

#endif
