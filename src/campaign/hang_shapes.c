/* What a lane may run on its way to the meeting point, if the branches that a counter decides go one way only: found from
 * the code alone, once for each start and each choice of ways (a shape). */
#include <string.h>

#include "campaign/hang.h"

enum { MOST_BRANCHES = 32, MOST_SHAPES = 256 }; /* beyond: left open */

/* ---- Branches whose way a counter decides ---------------------------------------------------------- */

static bool is_branch(const struct ptx_insn *i) { return i->op == PTX_BRA && i->guard >= 0; }

static enum way way_in(uint64_t ways, uint32_t deciding)
{
    return (enum way)(ways >> 2 * deciding & 3);
}

static void reach(struct hangs *h, uint32_t insn, uint32_t distance, size_t *n, bool *meets)
{
    *meets |= insn == h->meet;
    if (insn == h->meet || insn >= h->kernel->n_insns || h->distance[insn])
        return;
    h->distance[insn] = distance;
    h->queue[(*n)++] = insn;
}

static void go_on(struct hangs *h, uint32_t insn, uint32_t distance, uint64_t ways, size_t *n,
                  bool *meets)
{
    const struct ptx_insn *i = hangs_insn(h, insn);
    enum way way = h->index[insn] ? way_in(ways, h->index[insn] - 1) : WAY_BOTH;
    if (i->op == PTX_BRA && way != WAY_ON)
        reach(h, i->target, distance, n, meets);
    if (i->op != PTX_BRA || (i->guard >= 0 && way != WAY_TARGET))
        reach(h, insn + 1, distance, n, meets);
}

/* Breadth first; h->queue: what is reached, h->distance: 1 for what was there from the beginning, and so on.
 * Returns how many there are. */
static size_t walk(struct hangs *h, size_t n, uint64_t ways, bool *meets)
{
    for (size_t at = 0; at < n; at++)
        go_on(h, h->queue[at], h->distance[h->queue[at]] + 1, ways, &n, meets);
    return n;
}

static size_t walk_from(struct hangs *h, uint32_t start, uint64_t ways, bool *meets)
{
    size_t n = 0;
    *meets = false;
    memset(h->distance, 0, h->kernel->n_insns * sizeof *h->distance);
    reach(h, start, 1, &n, meets);
    return walk(h, n, ways, meets);
}

/* Least number of instructions from one run of insn to the next; a large number if there is none. */
static uint32_t cycle_of(struct hangs *h, uint32_t insn, uint64_t ways)
{
    size_t n = 0;
    bool meets = false;
    memset(h->distance, 0, h->kernel->n_insns * sizeof *h->distance);
    go_on(h, insn, 1, ways, &n, &meets);
    walk(h, n, ways, &meets);
    return h->distance[insn] ? h->distance[insn] : UINT32_MAX;
}

static bool is_number(enum ptx_type t) { return t >= PTX_T_u32 && t <= PTX_T_s64; }

/* "setp.lt.s32" -> LESS. */
static bool comparison(const struct ptx_insn *i, enum compare *out)
{
    static const struct {
        char word[3];
        enum compare compare;
    } words[] = {{"eq", EQUAL},    {"ne", UNEQUAL}, {"lt", LESS},    {"lo", LESS},
                 {"le", AT_MOST},  {"ls", AT_MOST}, {"gt", GREATER}, {"hi", GREATER},
                 {"ge", AT_LEAST}, {"hs", AT_LEAST}};
    const char *key = ptx_rows[i->op].key;
    if (ptx_rows[i->op].shape != PTX_SHAPE_LANES || strncmp(key, "setp.", 5) != 0 || i->bool_op ||
        i->mods || !is_number(ptx_rows[i->op].in[0]) || i->n_src < 2)
        return false;
    for (size_t k = 0; k < sizeof words / sizeof *words; k++)
        if (strncmp(key + 5, words[k].word, 2) == 0 && key[7] == '.') {
            *out = words[k].compare;
            return true;
        }
    return false;
}

/* reg = reg + step, or reg - step. */
bool hangs_is_step(const struct ptx_insn *i, uint32_t reg, struct ptx_operand *step,
                   bool *subtracts)
{
    bool add = i->op == PTX_ADD_S32 || i->op == PTX_ADD_U32 || i->op == PTX_ADD_S64 ||
               i->op == PTX_ADD_U64;
    *subtracts = i->op == PTX_SUB_S32 || i->op == PTX_SUB_U32 || i->op == PTX_SUB_S64 ||
                 i->op == PTX_SUB_U64;
    if ((!add && !*subtracts) || i->n_dst != 1 || i->dst[0] != (int32_t)reg)
        return false;
    for (int s = 0; s < (add ? 2 : 1); s++) {
        const struct ptx_operand *other = &i->src[1 - s];
        if (i->src[s].kind == PTX_REG && i->src[s].index == reg &&
            (other->kind == PTX_IMM || (other->kind == PTX_REG && other->index != reg))) {
            *step = *other;
            return true;
        }
    }
    return false;
}

/* What the counter, in the block that ends with the branch, is stepped by. */
static void find_step(struct hangs *h, struct deciding *d, uint32_t first, uint32_t compared_at)
{
    for (uint32_t at = first; at < d->branch; at++) {
        const struct ptx_insn *i = hangs_insn(h, at);
        if (!hangs_writes(i, d->left))
            continue;
        if (d->steps || i->guard >= 0 || !hangs_is_step(i, d->left, &d->step, &d->subtracts)) {
            d->compares = d->steps = false;
            return;
        }
        d->steps = true;
        d->before = at < compared_at;
        d->step_at = at;
    }
}

static void find_comparison(struct hangs *h, struct deciding *d)
{
    static const enum compare turned[] = {EQUAL, UNEQUAL, GREATER, AT_LEAST, LESS, AT_MOST};
    const struct ptx_insn *branch = hangs_insn(h, d->branch);
    uint32_t first = d->branch, at = d->branch;
    while (first > 0 && !h->kernel->leader[first])
        first--;
    while (at > first && !hangs_writes(hangs_insn(h, at - 1), (uint32_t)branch->guard))
        at--;
    if (at == first)
        return;
    const struct ptx_insn *i = hangs_insn(h, --at);
    if (i->guard >= 0 || i->dst[0] != branch->guard || !comparison(i, &d->compare))
        return;
    /* the counter is the register that the block steps */
    bool turn = i->src[0].kind != PTX_REG;
    for (uint32_t k = first; k < d->branch && !turn; k++)
        turn = i->src[1].kind == PTX_REG && hangs_writes(hangs_insn(h, k), i->src[1].index) &&
               i->src[1].index != i->src[0].index;
    if (i->src[turn].kind != PTX_REG ||
        (i->src[!turn].kind != PTX_REG && i->src[!turn].kind != PTX_IMM))
        return;
    enum ptx_type type = ptx_rows[i->op].in[0];
    d->compares = true;
    d->compare = turn ? turned[d->compare] : d->compare;
    d->bits = (uint8_t)ptx_type_bits(type);
    d->is_signed = type == PTX_T_s32 || type == PTX_T_s64;
    d->left = i->src[turn].index;
    d->right = i->src[!turn];
    find_step(h, d, first, at);
}

static void find_deciding(struct hangs *h, uint32_t branch)
{
    bool meets;
    size_t n = walk_from(h, branch, 0, &meets);
    h->n_deciding = 0;
    for (size_t k = 0; k < n && h->n_deciding < MOST_BRANCHES; k++)
        if (is_branch(hangs_insn(h, h->queue[k])))
            h->deciding[h->n_deciding++] = (struct deciding){.branch = h->queue[k], .fixed = true};
    for (size_t d = 0; d < h->n_deciding; d++)
        for (size_t k = 0; k < n; k++)
            h->deciding[d].fixed &= !hangs_writes(
                hangs_insn(h, h->queue[k]), (uint32_t)hangs_insn(h, h->deciding[d].branch)->guard);
    for (size_t d = 0; d < h->n_deciding; d++) {
        if (!h->deciding[d].fixed)
            find_comparison(h, &h->deciding[d]);
        h->deciding[d].cycle = cycle_of(h, h->deciding[d].branch, 0);
        h->index[h->deciding[d].branch] = (uint32_t)d + 1;
    }
}

/* ---- Shapes -------------------------------------------------------------------------------------------- */

/* Is the register, if the operand is one, written by none of the n instructions, `but` for one? */
static bool stands_still(const struct hangs *h, size_t n, const struct ptx_operand *o, uint32_t but)
{
    for (size_t k = 0; o->kind == PTX_REG && k < n; k++)
        if (h->queue[k] != but && hangs_writes(hangs_insn(h, h->queue[k]), o->index))
            return false;
    return true;
}

/* Does what the choice of its way rests on hold while only the n instructions run? */
static bool holds(const struct hangs *h, size_t n, const struct deciding *d)
{
    const struct ptx_operand left = {.kind = PTX_REG, .index = d->left};
    return d->fixed || (stands_still(h, n, &left, d->steps ? d->step_at : PTX_NOWHERE) &&
                        stands_still(h, n, &d->right, PTX_NOWHERE) &&
                        (!d->steps || stands_still(h, n, &d->step, PTX_NOWHERE)));
}

/* Ways that do not hold are taken back until all that are left do. */
static void close_shape(struct hangs *h, struct shape *s)
{
    uint64_t ways = s->ways;
    bool meets = true, changed = true;
    size_t n = 0;
    while (changed) {
        changed = false;
        n = walk_from(h, s->start, ways, &meets);
        for (uint32_t d = 0; d < h->n_deciding; d++)
            if (way_in(ways, d) != WAY_BOTH && h->distance[h->deciding[d].branch] &&
                !holds(h, n, &h->deciding[d])) {
                ways &= ~(3ull << 2 * d);
                changed = true;
            }
    }
    if (meets || n == 0)
        return;
    uint32_t *insns = arena_array(&h->plans->arena, n, sizeof *insns);
    uint32_t *cycle = arena_array(&h->plans->arena, n, sizeof *cycle);
    memcpy(insns, h->queue, n * sizeof *insns);
    for (size_t k = 0; k < n; k++)
        cycle[k] = cycle_of(h, insns[k], ways);
    s->closed = true;
    s->n_insns = n;
    s->insns = insns;
    s->cycle = cycle;
}

const struct shape *hangs_shape(struct hangs *h, uint32_t start, uint64_t ways)
{
    for (size_t s = 0; s < h->n_shapes; s++)
        if (h->shapes[s].start == start && h->shapes[s].ways == ways)
            return &h->shapes[s];
    if (h->n_shapes == MOST_SHAPES)
        return NULL;
    struct shape *s = &h->shapes[h->n_shapes++];
    *s = (struct shape){.start = start, .ways = ways};
    close_shape(h, s);
    return s;
}

struct hangs *hangs_new(struct plans *p, uint32_t branch)
{
    const struct ptx_kernel *k = p->kernel;
    struct hangs *h = arena_array(&p->arena, 1, sizeof *h);
    struct arena *a = &p->arena;
    *h = (struct hangs){.plans = p, .kernel = k, .meet = k->insns[branch].reconverge};
    h->deciding = arena_array(a, MOST_BRANCHES, sizeof *h->deciding);
    h->shapes = arena_array(a, MOST_SHAPES, sizeof *h->shapes);
    h->index = arena_array(a, k->n_insns, sizeof *h->index);
    h->distance = arena_array(a, k->n_insns, sizeof *h->distance);
    h->queue = arena_array(a, k->n_insns, sizeof *h->queue);
    h->memo = arena_array(a, p->n_regs, sizeof *h->memo);
    h->state = arena_array(a, p->n_regs, sizeof *h->state);
    find_deciding(h, branch);
    return h;
}
