/* Steps that stand for several: blocks of FMAs that share operands, and loads of array elements. Only in
 * plain code, which nobody watches between two instructions. The steps that they stand for stay behind
 * them, for partial masks and for those who come in the middle. */
#include <string.h>

#include "simt/lowering.h"

/* ---- Groups of FMAs -------------------------------------------------------------------------------------- */
/* rows x cols of them, row by row: d[y][x] = a[y] * b[x] + c[y][x], the outer products of a GEMM. One may
 * go on where the one before it ended, after loads from shared memory: its c are the other's d. Several
 * such groups make one block: then the accumulators stay in the processor's registers. But all that their
 * loads bring must be kept at once, and would push other registers out of the first-level cache. */
enum { MOST_ROWS = 16, MOST_LOADED = 36, MOST_BLOCKS = 1 << 16 };

static bool is_fma(const struct lowering *x, uint32_t at, uint32_t segment)
{
    if (at >= x->k->n_insns || x->p->segment[at] != segment)
        return false;
    const struct ptx_insn *i = &x->k->insns[at];
    return i->op == PTX_FMA_F32 && i->guard < 0 && i->dst[0] >= 0 &&
           !(i->mods & (PTX_MOD_ROUND | PTX_MOD_FTZ | PTX_MOD_SAT)) && i->src[0].kind == PTX_REG &&
           i->src[1].kind == PTX_REG && i->src[2].kind == PTX_REG;
}

/* Are the n FMAs at `at` a row of the group that starts at `first`? */
static bool is_row(const struct lowering *x, uint32_t first, uint32_t at, uint32_t n)
{
    const struct ptx_insn *insns = x->k->insns;
    for (uint32_t k = 0; k < n; k++)
        if (!is_fma(x, at + k, x->p->segment[first]) ||
            insns[at + k].src[0].index != insns[at].src[0].index ||
            insns[at + k].src[1].index != insns[first + k].src[1].index)
            return false;
    return true;
}

/* The group that starts here; no rows if there is none. Its size is one that the step has tiles for. */
static struct fma_group group_at(const struct lowering *x, uint32_t first)
{
    struct fma_group g = {.first = first, .cols = 1};
    if (!is_row(x, first, first, 1))
        return g;
    while (g.cols < MOST_ROWS && is_row(x, first, first, g.cols + 1))
        g.cols++;
    g.cols = g.cols >= 4 ? g.cols / 4 * 4 : 1;
    while (g.rows < MOST_ROWS && is_row(x, first, first + g.rows * g.cols, g.cols))
        g.rows++;
    if (g.cols == 1)
        g.rows = g.rows / 4 * 4;
    return g;
}

static uint32_t end_of(const struct fma_group *g) { return g->first + g->rows * g->cols; }

static bool is_shared_load(const struct ptx_insn *i)
{
    return i->op == PTX_LD && i->space == PTX_SPACE_SHARED && i->guard < 0 && i->mem_bits == 32;
}

/* Does the group at g take up what the one before it left? */
static bool continues(const struct lowering *x, const struct fma_group *before,
                      const struct fma_group *g)
{
    if (g->rows != before->rows || g->cols != before->cols ||
        x->p->segment[g->first] != x->p->segment[before->first])
        return false;
    for (uint32_t k = 0; k < g->rows * g->cols; k++)
        if ((int32_t)x->k->insns[g->first + k].src[2].index !=
            x->k->insns[before->first + k].dst[0])
            return false;
    return true;
}

/* ---- Longer lives ------------------------------------------------------------------------------------------ */
static void lengthen(struct lowering *x, uint32_t reg, uint32_t first, uint32_t last)
{
    struct ptx_live_range *r = &x->live.range[reg];
    r->first = r->first > first ? first : r->first;
    r->last = r->last < last ? last : r->last;
}

/* The loads of a block come before its first FMA, and what is loaded is there until its last one. */
static void lengthen_lives(struct lowering *x, const struct fma_group *g, size_t depth)
{
    uint32_t first = g->first ? g->first - 1 : 0, last = end_of(&g[depth - 1]) - 1;
    for (uint32_t at = g->first; at <= last; at++) {
        const struct ptx_insn *i = &x->k->insns[at];
        for (int n = 0; n < i->n_dst && is_shared_load(i); n++)
            if (i->dst[n] >= 0)
                lengthen(x, (uint32_t)i->dst[n], first, last);
    }
    for (uint32_t at = g->first; at < end_of(g); at++)
        for (int n = 0; n < 2; n++)
            lengthen(x, x->k->insns[at].src[n].index, at, last);
}

/* How many groups go on one from the other, from group i on. */
static size_t depth_at(const struct lowering *x, size_t i)
{
    size_t depth = 1;
    while (i + depth < x->n_groups && x->groups[i + depth].goes_on)
        depth++;
    return depth;
}

void fuse_find_groups(struct lowering *x)
{
    uint32_t n = (uint32_t)x->k->n_insns;
    size_t max = n / 4 + 1, head = 0;
    x->groups = arena_array(&x->scratch, max, sizeof *x->groups);
    for (uint32_t at = 0; at < n && x->n_groups < MOST_BLOCKS;) {
        struct fma_group g = group_at(x, at);
        if (g.rows == 0) {
            struct fma_group *last = x->n_groups ? &x->groups[x->n_groups - 1] : NULL;
            if (last && !is_shared_load(&x->k->insns[at]))
                last->closed = true; /* what comes next does not go on from it */
            at++;
            continue;
        }
        struct fma_group *before = x->n_groups ? &x->groups[x->n_groups - 1] : NULL;
        g.chained = before && !before->closed && continues(x, before, &g);
        g.goes_on = g.chained && (x->n_groups - head + 1) * (g.rows + g.cols) <= MOST_LOADED;
        if (!g.goes_on)
            head = x->n_groups;
        x->groups[x->n_groups++] = g;
        at = end_of(&g);
    }
    for (size_t i = 0, depth; i < x->n_groups; i += depth) {
        depth = depth_at(x, i);
        if (depth > 1)
            lengthen_lives(x, &x->groups[i], depth);
    }
}

/* ---- Blocks of FMAs --------------------------------------------------------------------------------------- */
/* The slots of a block's operands: a[depth][rows], b[depth][cols], c and d[rows][cols]. */
struct operands {
    uint32_t rows, cols, depth;
    uint32_t *a, *b, *c, *d;
};

static bool is_among(uint32_t slot, const uint32_t *slots, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (slots[i] == slot)
            return true;
    return false;
}

/* Is FMA k of a group the k-th of single steps that follow each other? */
static bool is_single_step(const struct lowering *x, const size_t *entry, const struct fma_group *g,
                           uint32_t k)
{
    return x->code[entry[g->first + k]].fn == x->lanes->op[PTX_FMA_F32] &&
           entry[g->first + k] == entry[g->first] + k;
}

/* Those of group s; false if its FMAs do not follow each other as single steps. */
static bool find_operands(const struct lowering *x, const size_t *entry, const struct fma_group *g,
                          struct operands *o, uint32_t s)
{
    for (uint32_t k = 0; k < o->rows * o->cols; k++) {
        const struct code *step = &x->code[entry[g->first + k]];
        if (!is_single_step(x, entry, g, k))
            return false;
        o->a[s * o->rows + k / o->cols] = step->a;
        o->b[s * o->cols + k % o->cols] = step->b;
        if (s > 0 && (step->c != o->d[k] || step->d != o->d[k])) /* elsewhere: perhaps of use */
            return false;
        if (s == 0)
            o->c[k] = step->c;
        o->d[k] = step->d;
    }
    return true;
}

/* The loads before group s: none may change what the groups before need. */
static bool find_loads(const struct lowering *x, const size_t *entry, const struct fma_group *g,
                       const struct operands *o, uint32_t s, struct fma_block *b)
{
    for (uint32_t at = end_of(g - 1); at < g->first; at++) {
        const struct code *step = &x->code[entry[at]];
        const struct ptx_insn *i = &x->k->insns[at];
        if (step->fn != x->lanes->load32_at[PTX_SPACE_SHARED] || entry[at + 1] != entry[at] + 2)
            return false;
        for (int n = 0; n < i->n_dst; n++) {
            uint32_t slot = i->dst[n] < 0 ? 0 : x->p->slot[i->dst[n]];
            if (is_among(slot, o->a, s * o->rows) || is_among(slot, o->b, s * o->cols) ||
                is_among(slot, o->d, o->rows * o->cols) || is_among(slot, o->c, o->rows * o->cols))
                return false;
        }
        b->load[b->n_loads++] = (uint32_t)(entry[at] - entry[(g - s)->first]);
    }
    return true;
}

/* No result is an operand of another FMA of the block, but for the accumulators themselves. */
static bool keeps_operands(const struct operands *o)
{
    uint32_t n = o->rows * o->cols;
    for (uint32_t k = 0; k < n; k++) {
        if (is_among(o->d[k], o->a, o->depth * o->rows) ||
            is_among(o->d[k], o->b, o->depth * o->cols))
            return false;
        for (uint32_t other = 0; other < n; other++)
            if (other != k && (o->d[k] == o->c[other] || o->d[k] == o->d[other]))
                return false;
    }
    return true;
}

static void fill_tiles(const struct operands *o, struct fma_block *b)
{
    uint32_t *to = b->slots, rows = b->tile_rows, cols = b->tile_cols;
    for (uint32_t y = 0; y < o->rows; y += rows)
        for (uint32_t x = 0; x < o->cols; x += cols) {
            for (uint32_t k = 0; k < rows * cols; k++)
                *to++ = o->c[(y + k / cols) * o->cols + x + k % cols];
            for (uint32_t k = 0; k < rows * cols; k++)
                *to++ = o->d[(y + k / cols) * o->cols + x + k % cols];
            for (uint32_t s = 0; s < o->depth; s++) {
                memcpy(to, &o->b[s * o->cols + x], cols * sizeof *to);
                memcpy(to + cols, &o->a[s * o->rows + y], rows * sizeof *to);
                to += cols + rows;
            }
            b->n_tiles++;
        }
}

static bool make_block(struct lowering *x, const size_t *entry, const struct fma_group *g,
                       uint32_t depth, struct fma_block *b)
{
    struct arena *a = &x->scratch;
    uint32_t n = g->rows * g->cols, last = end_of(&g[depth - 1]) - 1;
    struct operands o = {g->rows,
                         g->cols,
                         depth,
                         arena_array(a, depth * g->rows, sizeof *o.a),
                         arena_array(a, depth * g->cols, sizeof *o.b),
                         arena_array(a, n, sizeof *o.c),
                         arena_array(a, n, sizeof *o.d)};
    *b = (struct fma_block){.depth = depth, .tile_cols = g->cols == 1 ? 1 : 4};
    b->tile_rows = g->cols == 1 || (g->rows % 4 == 0 && x->lanes->fma_tile_rows == 4) ? 4
                   : g->rows % 2 == 0                                                 ? 2
                                                                                      : 1;
    b->units = (uint32_t)(entry[last] + 1 - entry[g->first]);
    b->load = arena_array(&x->p->arena, last - g->first + 1 - depth * n + 1, sizeof *b->load);
    for (uint32_t s = 0; s < depth; s++)
        if ((s > 0 && !find_loads(x, entry, &g[s], &o, s, b)) ||
            !find_operands(x, entry, &g[s], &o, s))
            return false;
    if (!keeps_operands(&o))
        return false;
    size_t n_tiles = n / (b->tile_rows * b->tile_cols);
    b->slots = arena_array(&x->p->arena, 2 * n + n_tiles * depth * (b->tile_rows + b->tile_cols),
                           sizeof *b->slots);
    fill_tiles(&o, b);
    return true;
}

/* ---- Streams of FMAs -------------------------------------------------------------------------------------- */
/* The groups that go on one from the other, from group i on; 0 if i itself goes on from another. */
static uint32_t chain_at(const struct lowering *x, size_t i)
{
    uint32_t length = !x->groups[i].chained;
    while (length && i + length < x->n_groups && x->groups[i + length].chained)
        length++;
    return length;
}

/* The load between `from` and `to` whose value reg has at `to`; element: of its vector. */
static const struct ptx_insn *find_load(const struct lowering *x, uint32_t from, uint32_t to,
                                        uint32_t reg, int *element)
{
    while (to-- > from)
        for (*element = x->k->insns[to].n_dst - 1; *element >= 0; --*element)
            if (x->k->insns[to].dst[*element] == (int32_t)reg)
                return &x->k->insns[to];
    return NULL;
}

/* The word that operand reg of group g is loaded from, if it is one of the side's. */
static bool find_word(const struct lowering *x, const size_t *entry, const struct fma_group *g,
                      uint32_t reg, struct stream_side *side, int32_t *offset)
{
    int element;
    const struct ptx_insn *i = find_load(x, end_of(g - 1), g->first, reg, &element);
    if (!i || i->offset < INT32_MIN / 2 || i->offset > INT32_MAX / 2)
        return false;
    const struct code *step = &x->code[entry[i - x->k->insns]];
    uint32_t address = ((const struct code_more *)(step + 1))->address,
             align = step->n * (uint32_t)sizeof(float);
    *offset = (int32_t)i->offset + element * (int32_t)sizeof(float);
    if (i->offset & (align - 1) || (side->align && side->address != address))
        return false;
    if (!side->align)
        *side = (struct stream_side){address, align, *offset, *offset};
    side->align = side->align < align ? align : side->align;
    side->first = side->first < *offset ? side->first : *offset;
    side->last = side->last > *offset ? side->last : *offset;
    return true;
}

/* Is all between group g and the one before it loads of words whose values nobody needs after `last`? */
static bool only_loads(const struct lowering *x, const size_t *entry, const struct fma_group *g,
                       uint32_t last)
{
    for (uint32_t at = end_of(g - 1); at < g->first; at++) {
        const struct ptx_insn *i = &x->k->insns[at];
        if (x->code[entry[at]].fn != x->lanes->load32_at[PTX_SPACE_SHARED] ||
            entry[at + 1] != entry[at] + 2)
            return false;
        for (int n = 0; n < i->n_dst; n++)
            if (i->dst[n] >= 0 && x->live.range[i->dst[n]].last > last)
                return false;
    }
    return true;
}

static bool find_offsets(const struct lowering *x, const size_t *entry, const struct fma_group *g,
                         struct fma_stream *s, int32_t *to)
{
    const struct ptx_insn *fma = &x->k->insns[g->first];
    int many = g->cols == 1 ? 0 : 1; /* source with the n operands */
    for (uint32_t k = 0; k < 4 * s->n_quads; k++) {
        int32_t offset;
        if (!find_word(x, entry, g, fma[k].src[many].index, &s->same, &offset) ||
            (k % 4 && offset != to[k / 4] + 4 * (int32_t)(k % 4)))
            return false;
        if (k % 4 == 0)
            to[k / 4] = offset;
    }
    return find_word(x, entry, g, fma->src[!many].index, &s->row, &to[s->n_quads]);
}

/* Operands of the first group, results of the last one; what lies between must be of no use elsewhere. */
static bool find_ends(const struct lowering *x, const size_t *entry, const struct fma_group *g,
                      uint32_t depth, struct operands *o)
{
    uint32_t n = g->rows * g->cols, last = end_of(&g[depth - 1]) - 1;
    for (uint32_t s = 0; s < depth; s++)
        for (uint32_t k = 0; k < n; k++)
            if (!is_single_step(x, entry, &g[s], k) ||
                (s + 1 < depth && x->live.range[x->k->insns[g[s].first + k].dst[0]].last > last))
                return false;
    if (!find_operands(x, entry, g, o, 0))
        return false;
    for (uint32_t k = 0; k < n; k++)
        o->d[k] = x->code[entry[g[depth - 1].first] + k].d;
    return keeps_operands(o);
}

/* Of the groups from g on; NULL if they are none. */
static const struct fma_stream *make_stream(struct lowering *x, const size_t *entry,
                                            const struct fma_group *g, uint32_t depth)
{
    uint32_t n = g->rows * g->cols, n_quads = n / 4;
    if (depth < 3 || (g->rows != 1 && g->cols != 1) || n % 4)
        return NULL;
    struct arena *a = &x->p->arena;
    uint32_t last = end_of(&g[depth - 1]) - 1, *slots = arena_array(a, 3 * n + 1, sizeof *slots);
    struct operands o = {.rows = g->rows, .cols = g->cols, .depth = 1, .c = slots, .d = slots + n};
    o.a = slots + (g->cols == 1 ? 2 * n : 3 * n);
    o.b = slots + (g->cols == 1 ? 3 * n : 2 * n);
    struct fma_stream *s = arena_alloc(a, sizeof *s);
    *s = (struct fma_stream){.units = (uint32_t)(entry[last] + 1 - entry[g->first]),
                             .depth = depth,
                             .n_quads = n_quads,
                             .slots = slots,
                             .offsets = arena_array(a, depth * (n_quads + 1), sizeof *s->offsets)};
    for (uint32_t k = 1; k < depth; k++)
        if (!only_loads(x, entry, &g[k], last) ||
            !find_offsets(x, entry, &g[k], s, s->offsets + (k - 1) * (n_quads + 1)))
            return NULL;
    return find_ends(x, entry, g, depth, &o) ? s : NULL;
}

static void fuse_fmas(struct lowering *x, const size_t *entry)
{
    struct program *p = x->p;
    p->fma_blocks = arena_array(&p->arena, x->n_groups + 1, sizeof *p->fma_blocks);
    for (size_t i = 0, n = 0, depth; i < x->n_groups; i += depth) {
        const struct fma_group *g = &x->groups[i];
        depth = depth_at(x, i);
        if (!make_block(x, entry, g, (uint32_t)depth, &p->fma_blocks[n])) {
            depth = 1;
            if (!make_block(x, entry, g, 1, &p->fma_blocks[n]))
                continue;
        }
        p->fma_blocks[n].stream = make_stream(x, entry, g, chain_at(x, i));
        struct code *c = &x->code[entry[g->first]];
        c->fn = x->lanes->fma_block;
        c->x = (uint8_t)(n & 255);
        c->y = (uint8_t)(n >> 8);
        n++;
    }
}

/* ---- Elements of arrays ---------------------------------------------------------------------------------- */
/* Is reg written by instruction `from` alone and read by `to` alone? */
static bool lives_between(const struct lowering *x, int32_t reg, uint32_t from, uint32_t to)
{
    const struct ptx_live_range *r = reg < 0 ? NULL : &x->live.range[reg];
    return r && !r->at_entry && r->first == from && r->last == to;
}

/* mul.wide of an index by 4, added to a base, of which four bytes are loaded. */
static bool is_indexed_load(const struct lowering *x, uint32_t at)
{
    const struct ptx_insn *mul = &x->k->insns[at], *add = mul + 1, *load = mul + 2;
    if (at + 2 >= x->k->n_insns || x->p->segment[at + 2] != x->p->segment[at] ||
        (mul->op != PTX_MUL_WIDE_S32 && mul->op != PTX_MUL_WIDE_U32) ||
        (add->op != PTX_ADD_S64 && add->op != PTX_ADD_U64) || load->op != PTX_LD ||
        mul->guard >= 0 || add->guard >= 0 || load->guard >= 0)
        return false;
    int32_t product = mul->dst[0], address = add->dst[0];
    const struct ptx_operand *by = &mul->src[1], *a = &add->src[0], *b = &add->src[1];
    bool adds = a->kind == PTX_REG && b->kind == PTX_REG &&
                ((int32_t)a->index == product) != ((int32_t)b->index == product);
    bool loads = load->space == PTX_SPACE_GLOBAL && load->mem_bits == 32 && load->n_dst == 1 &&
                 load->dst[0] >= 0 && x->k->regs[load->dst[0]].bits == 32 &&
                 load->base.kind == PTX_REG && (int32_t)load->base.index == address;
    return adds && loads && by->kind == PTX_IMM && by->value == 4 && mul->src[0].kind == PTX_REG &&
           lives_between(x, product, at, at + 1) && lives_between(x, address, at + 1, at + 2);
}

/* The first step stands for all three; the others stay as they are, for when it cannot. */
static void fuse_indexed_loads(struct lowering *x, const size_t *entry)
{
    for (uint32_t at = 0; at < x->k->n_insns; at++) {
        struct code *c = &x->code[entry[at]];
        if (!is_indexed_load(x, at) || entry[at + 1] != entry[at] + 1 ||
            entry[at + 2] != entry[at] + 2 || c[2].fn != x->lanes->load32[PTX_SPACE_GLOBAL])
            continue;
        c->fn = x->lanes->load_indexed;
        c->x = x->k->insns[at].op == PTX_MUL_WIDE_U32;
    }
}

void fuse_steps(struct lowering *x, const size_t *entry)
{
    if (x->lanes->fma_block)
        fuse_fmas(x, entry);
    fuse_indexed_loads(x, entry);
}
