#include <stdlib.h>

#include "campaign/priv.h"

enum { WORD = 64 };

void footprint_init(struct footprint *f, uint64_t mem_bytes)
{
    size_t words = (size_t)(mem_bytes / WORD) + 2;
    f->n_summary = words / WORD + 1;
    f->bytes = calloc(words, sizeof *f->bytes);
    f->summary = calloc(f->n_summary, sizeof *f->summary);
    if (!f->bytes || !f->summary)
        abort();
}

void footprint_fini(struct footprint *f)
{
    free(f->bytes);
    free(f->summary);
}

void footprint_add(struct footprint *f, uint64_t at, uint32_t n)
{
    while (n > 0) {
        size_t word = (size_t)(at / WORD);
        unsigned bit = at % WORD, part = WORD - bit < n ? WORD - bit : n;
        f->bytes[word] |= (part == WORD ? UINT64_MAX : ((uint64_t)1 << part) - 1) << bit;
        f->summary[word / WORD] |= (uint64_t)1 << word % WORD;
        at += part;
        n -= part;
    }
}

/* Call each for every run of set bytes, ascending; runs that cross words come in pieces. */
static void each_piece(const struct footprint *f, void (*each)(void *ctx, struct range r),
                       void *ctx)
{
    for (size_t s = 0; s < f->n_summary; s++)
        for (uint64_t words = f->summary[s]; words; words &= words - 1) {
            size_t word = s * WORD + (unsigned)__builtin_ctzll(words);
            for (uint64_t bits = f->bytes[word]; bits;) {
                unsigned from = (unsigned)__builtin_ctzll(bits);
                uint64_t rest = ~(bits >> from);
                unsigned n = rest ? (unsigned)__builtin_ctzll(rest) : WORD;
                n = n > WORD - from ? WORD - from : n;
                each(ctx, (struct range){word * WORD + from, n});
                bits = from + n == WORD ? 0 : bits & UINT64_MAX << (from + n);
            }
        }
}

struct gather {
    struct range *out; /* NULL: only count */
    size_t n;
    uint64_t end; /* of the last piece */
};

static void join_piece(void *ctx, struct range r)
{
    struct gather *g = ctx;
    if (g->n == 0 || r.at != g->end) {
        if (g->out)
            g->out[g->n] = (struct range){r.at, 0};
        g->n++;
    }
    if (g->out)
        g->out[g->n - 1].n += r.n;
    g->end = r.at + r.n;
}

const struct range *footprint_take(struct footprint *f, struct arena *a, size_t *n)
{
    struct gather g = {0};
    each_piece(f, join_piece, &g);
    g = (struct gather){.out = arena_array(a, g.n, sizeof(struct range))};
    each_piece(f, join_piece, &g);
    for (size_t s = 0; s < f->n_summary; s++) {
        for (uint64_t words = f->summary[s]; words; words &= words - 1)
            f->bytes[s * WORD + (unsigned)__builtin_ctzll(words)] = 0;
        f->summary[s] = 0;
    }
    *n = g.n;
    return g.out;
}
