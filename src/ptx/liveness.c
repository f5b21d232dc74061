/* Backward data flow over basic blocks. */
#include "ptx/liveness.h"

#include <string.h>

void ptx_each_register(const struct ptx_insn *i, void (*f)(void *ctx, uint32_t reg, bool write),
                       void *ctx)
{
    if (i->guard >= 0)
        f(ctx, (uint32_t)i->guard, false);
    for (int n = 0; n < i->n_src; n++)
        if (i->src[n].kind == PTX_REG)
            f(ctx, i->src[n].index, false);
    if (i->base.kind == PTX_REG)
        f(ctx, i->base.index, false);
    for (int n = 0; n < i->n_dst; n++)
        if (i->dst[n] >= 0)
            f(ctx, (uint32_t)i->dst[n], true);
}

struct block {
    uint32_t first, last, n_next;
    uint32_t *next;
    uint64_t *in, *out;
};

struct flow {
    const struct ptx_kernel *k;
    struct block *blocks;
    uint32_t n_blocks, n_words;
    uint64_t *live; /* scratch of one set */
    struct ptx_liveness *result;
    uint32_t at; /* instruction, for the callbacks */
};

static bool ends_path(const struct ptx_insn *i)
{
    return i->guard < 0 && (i->op == PTX_BRA || i->op == PTX_BRX || i->op == PTX_RET ||
                            i->op == PTX_EXIT || i->op == PTX_TRAP);
}

static void make_blocks(struct flow *f, struct arena *a)
{
    size_t n = f->k->n_insns;
    uint32_t *block_of = arena_array(a, n, sizeof *block_of);
    for (size_t i = 0; i < n; i++)
        f->n_blocks += f->k->leader[i];
    f->blocks = arena_array(a, f->n_blocks, sizeof *f->blocks);
    uint32_t b = 0;
    for (uint32_t i = 0; i < n; i++) {
        b += f->k->leader[i] && i > 0;
        if (f->k->leader[i])
            f->blocks[b].first = i;
        f->blocks[b].last = i;
        block_of[i] = b;
    }
    for (b = 0; b < f->n_blocks; b++) {
        struct block *x = &f->blocks[b];
        const struct ptx_insn *i = &f->k->insns[x->last];
        x->next = arena_array(a, i->n_targets + 2, sizeof *x->next);
        if (i->op == PTX_BRA)
            x->next[x->n_next++] = block_of[i->target];
        for (uint32_t t = 0; t < i->n_targets; t++)
            x->next[x->n_next++] = block_of[i->targets[t]];
        if (!ends_path(i) && b + 1 < f->n_blocks)
            x->next[x->n_next++] = b + 1;
    }
}

struct transfer {
    uint64_t *live;
    bool kills;
    bool writes; /* this pass: writes only, or reads only */
};

static void apply(void *ctx, uint32_t reg, bool write)
{
    struct transfer *t = ctx;
    if (write != t->writes)
        return;
    if (!write)
        t->live[reg / 64] |= 1ull << reg % 64;
    else if (t->kills)
        t->live[reg / 64] &= ~(1ull << reg % 64);
}

static void step_back(uint64_t *live, const struct ptx_insn *i)
{
    struct transfer t = {live, i->guard < 0, true};
    ptx_each_register(i, apply, &t);
    t.writes = false;
    ptx_each_register(i, apply, &t);
}

static void join_successors(struct flow *f, struct block *b)
{
    memset(b->out, 0, f->n_words * sizeof *b->out);
    for (uint32_t s = 0; s < b->n_next; s++)
        for (uint32_t w = 0; w < f->n_words; w++)
            b->out[w] |= f->blocks[b->next[s]].in[w];
}

static void solve(struct flow *f)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t b = f->n_blocks; b-- > 0;) {
            struct block *x = &f->blocks[b];
            join_successors(f, x);
            memcpy(f->live, x->out, f->n_words * sizeof *f->live);
            for (uint32_t i = x->last + 1; i-- > x->first;)
                step_back(f->live, &f->k->insns[i]);
            if (memcmp(f->live, x->in, f->n_words * sizeof *f->live) != 0) {
                memcpy(x->in, f->live, f->n_words * sizeof *f->live);
                changed = true;
            }
        }
    }
}

static void extend(struct ptx_live_range *r, uint32_t at)
{
    if (at < r->first)
        r->first = at;
    if (at > r->last || r->first > r->last)
        r->last = at;
}

static void touch(void *ctx, uint32_t reg, bool write)
{
    (void)write;
    struct flow *f = ctx;
    struct ptx_live_range *r = &f->result->range[reg];
    if (r->first > r->last)
        *r = (struct ptx_live_range){f->at, f->at, r->at_entry};
    else
        extend(r, f->at);
}

static void extend_set(struct flow *f, const uint64_t *set, uint32_t at)
{
    f->at = at;
    for (uint32_t w = 0; w < f->n_words; w++)
        for (uint64_t bits = set[w]; bits; bits &= bits - 1)
            touch(f, w * 64 + (uint32_t)__builtin_ctzll(bits), false);
}

static uint32_t count_words(const struct flow *f, const uint64_t *set)
{
    uint32_t n = 0;
    for (uint32_t w = 0; w < f->n_words; w++)
        for (uint64_t bits = set[w]; bits; bits &= bits - 1) {
            uint32_t width = f->k->regs[w * 64 + (uint32_t)__builtin_ctzll(bits)].bits;
            n += width == 64 ? 2 : width > 1;
        }
    return n;
}

static void collect(struct flow *f)
{
    for (uint32_t b = 0; b < f->n_blocks; b++) {
        const struct block *x = &f->blocks[b];
        extend_set(f, x->in, x->first);
        extend_set(f, x->out, x->last);
        memcpy(f->live, x->out, f->n_words * sizeof *f->live);
        for (uint32_t i = x->last + 1; i-- > x->first;) {
            uint32_t words = count_words(f, f->live);
            if (words > f->result->max_words)
                f->result->max_words = words;
            f->at = i;
            ptx_each_register(&f->k->insns[i], touch, f);
            step_back(f->live, &f->k->insns[i]);
        }
    }
    for (uint32_t b = 0, e = 0; b < f->n_blocks && e < f->k->n_functions; b++) {
        if (f->blocks[b].first != f->k->functions[e].entry)
            continue;
        e++;
        for (size_t r = 0; r < f->k->n_regs; r++)
            f->result->range[r].at_entry |= f->blocks[b].in[r / 64] >> r % 64 & 1;
    }
}

static const uint64_t most_work = 1u << 26; /* 64-bit words of sets */

/* False for kernels that are too large. */
static bool analyse(struct flow *f, struct arena *scratch)
{
    f->n_words = (uint32_t)(f->k->n_regs + 63) / 64;
    make_blocks(f, scratch);
    if ((uint64_t)f->n_words * (f->k->n_insns + f->n_blocks) > most_work)
        return false;
    f->live = arena_array(scratch, f->n_words + 1, sizeof *f->live);
    uint64_t *sets = arena_array(scratch, 2 * (size_t)f->n_blocks * f->n_words + 1, sizeof *sets);
    for (uint32_t b = 0; b < f->n_blocks; b++) {
        f->blocks[b].in = sets + 2 * (size_t)b * f->n_words;
        f->blocks[b].out = f->blocks[b].in + f->n_words;
    }
    solve(f);
    return true;
}

void ptx_find_liveness(struct ptx_liveness *out, struct arena *a, const struct ptx_kernel *k)
{
    struct arena scratch = {0};
    struct flow f = {.k = k, .result = out};
    *out = (struct ptx_liveness){.range = arena_array(a, k->n_regs + 1, sizeof *out->range)};
    for (size_t r = 0; r < k->n_regs; r++)
        out->range[r] = (struct ptx_live_range){1, 0, false};
    if (analyse(&f, &scratch)) {
        collect(&f);
    } else {
        for (size_t r = 0; r < k->n_regs; r++)
            out->range[r] = (struct ptx_live_range){0, (uint32_t)k->n_insns - 1, true};
        out->max_words = (uint32_t)k->n_regs;
    }
    arena_fini(&scratch);
}

void ptx_find_live_sets(struct ptx_live_sets *out, struct arena *a, const struct ptx_kernel *k)
{
    struct arena scratch = {0};
    struct flow f = {.k = k};
    *out = (struct ptx_live_sets){0};
    if (analyse(&f, &scratch)) {
        uint64_t *words = arena_array(a, k->n_insns * f.n_words + 1, sizeof *words);
        for (uint32_t b = 0; b < f.n_blocks; b++) {
            memcpy(f.live, f.blocks[b].out, f.n_words * sizeof *f.live);
            for (uint32_t i = f.blocks[b].last + 1; i-- > f.blocks[b].first;) {
                step_back(f.live, &k->insns[i]);
                memcpy(words + (size_t)i * f.n_words, f.live, f.n_words * sizeof *f.live);
            }
        }
        *out = (struct ptx_live_sets){f.n_words, words};
    }
    arena_fini(&scratch);
}
