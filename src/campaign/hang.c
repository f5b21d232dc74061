/* Is it certain that a lane hangs? Running it up to its limit to see that costs more than all else, so this
 * proves it from the lane's registers at the branch, or leaves it open.
 *
 * Some branches between there and the meeting point go one way only while the limit lasts: their predicate
 * is not written, or compares a counter, which moves by the same step each time, with something that
 * stands still, and the counter is too far from where the comparison's result changes. If the meeting
 * point cannot be reached without the other ways of these branches, and no address of a load on the way
 * can leave its memory or be misaligned, the lane is still there at its limit.
 *
 * What depends on the code alone is found once for each start and each choice of ways (a shape). */
#include <string.h>

#include "campaign/concurrent.h"

enum { MOST_BRANCHES = 32, MOST_SHAPES = 256 }; /* beyond: left open */

/* ---- Branches whose way a counter decides ---------------------------------------------------------- */

enum compare { EQUAL, UNEQUAL, LESS, AT_MOST, GREATER, AT_LEAST };

/* The end of the basic block that sets the branch's predicate. */
struct deciding {
    uint32_t branch;
    bool fixed;    /* nothing in the region writes the predicate */
    bool compares; /* left, a register, with right */
    enum compare compare;
    bool is_signed;
    uint8_t bits;
    uint32_t left;
    struct ptx_operand right, step;
    bool steps, before; /* left is a counter, stepped in the same block; before it is compared */
    bool subtracts;
    uint32_t step_at; /* the instruction */
    uint32_t cycle;   /* least number of instructions from one comparison to the next */
};

enum way {
    WAY_BOTH,
    WAY_ON,
    WAY_TARGET
}; /* of a branch: can go on or to its target, or only one */

/* Code that can run from `start` on if branches go as `ways` says; 2 bits for each deciding. */
struct shape {
    uint32_t start;
    uint64_t ways;
    bool closed; /* the meeting point is out of reach, without any assumption that does not hold */
    size_t n_insns; /* then: */
    const uint32_t *insns;
    const uint32_t *
        cycle; /* of each that steps a register: least number of instructions until it runs again */
};

struct hangs {
    struct plans *plans;
    const struct ptx_kernel *kernel;
    uint32_t meet;
    size_t n_deciding;
    struct deciding *deciding;
    size_t n_shapes;
    struct shape *shapes;
    uint32_t *index;    /* instruction -> its deciding + 1 */
    uint32_t *distance; /* scratch, by instruction */
    uint32_t *queue;
    struct span *memo; /* scratch, by register */
    uint8_t *state;
};

static const struct ptx_insn *insn_at(const struct hangs *h, uint32_t insn)
{
    return &h->kernel->insns[insn];
}

static bool writes(const struct ptx_insn *i, uint32_t reg)
{
    for (int d = 0; d < i->n_dst; d++)
        if (i->dst[d] == (int32_t)reg)
            return true;
    return false;
}

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
    const struct ptx_insn *i = insn_at(h, insn);
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
static bool is_step(const struct ptx_insn *i, uint32_t reg, struct ptx_operand *step,
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
        const struct ptx_insn *i = insn_at(h, at);
        if (!writes(i, d->left))
            continue;
        if (d->steps || i->guard >= 0 || !is_step(i, d->left, &d->step, &d->subtracts)) {
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
    const struct ptx_insn *branch = insn_at(h, d->branch);
    uint32_t first = d->branch, at = d->branch;
    while (first > 0 && !h->kernel->leader[first])
        first--;
    while (at > first && !writes(insn_at(h, at - 1), (uint32_t)branch->guard))
        at--;
    if (at == first)
        return;
    const struct ptx_insn *i = insn_at(h, --at);
    if (i->guard >= 0 || i->dst[0] != branch->guard || !comparison(i, &d->compare))
        return;
    /* the counter is the register that the block steps */
    bool turn = i->src[0].kind != PTX_REG;
    for (uint32_t k = first; k < d->branch && !turn; k++)
        turn = i->src[1].kind == PTX_REG && writes(insn_at(h, k), i->src[1].index) &&
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
        if (is_branch(insn_at(h, h->queue[k])))
            h->deciding[h->n_deciding++] = (struct deciding){.branch = h->queue[k], .fixed = true};
    for (size_t d = 0; d < h->n_deciding; d++)
        for (size_t k = 0; k < n; k++)
            h->deciding[d].fixed &= !writes(insn_at(h, h->queue[k]),
                                            (uint32_t)insn_at(h, h->deciding[d].branch)->guard);
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
        if (h->queue[k] != but && writes(insn_at(h, h->queue[k]), o->index))
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

static const struct shape *shape_of(struct hangs *h, uint32_t start, uint64_t ways)
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

/* ---- Where values can go ------------------------------------------------------------------------------- */

/* All values of a register on the way, as signed numbers: between lo and hi, and with the low `same` bits of
 * lo. */
struct span {
    enum { NO_VALUE, SOME_VALUES, ANY_VALUE } kind;
    int64_t lo, hi;
    int same;
};
static const struct span any = {.kind = ANY_VALUE};

/* One lane on its way. */
struct lane {
    struct hangs *h;
    const uint8_t *regs;
    int index;
    uint32_t start;
    uint64_t budget;
    const struct shape *shape;
};

static struct span span_of(const struct lane *l, uint32_t reg);

static struct span one(int64_t v) { return (struct span){SOME_VALUES, v, v, 63}; }

static int64_t sign_extend(uint64_t v, int bits)
{
    return bits == 64 ? (int64_t)v : (int64_t)(int32_t)(uint32_t)v;
}

/* Values that wrap around go anywhere. */
static struct span fit(struct span s, int bits)
{
    return s.kind == SOME_VALUES && bits == 32 && (s.lo < INT32_MIN || s.hi > INT32_MAX) ? any : s;
}

static int trailing(int64_t v) { return v ? __builtin_ctzll((uint64_t)v) : 63; }
static int least(int a, int b) { return a < b ? a : b; }

static struct span join(struct span a, struct span b)
{
    if (a.kind == NO_VALUE || b.kind == ANY_VALUE)
        return b;
    if (b.kind == NO_VALUE || a.kind == ANY_VALUE)
        return a;
    return (struct span){SOME_VALUES, a.lo < b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi,
                         least(least(a.same, b.same), trailing(a.lo ^ b.lo))};
}

static struct span plus(struct span a, struct span b)
{
    struct span s = {SOME_VALUES, 0, 0, least(a.same, b.same)};
    if (a.kind != SOME_VALUES || b.kind != SOME_VALUES ||
        __builtin_add_overflow(a.lo, b.lo, &s.lo) || __builtin_add_overflow(a.hi, b.hi, &s.hi))
        return any;
    return s;
}

static struct span minus(struct span a)
{
    if (a.kind != SOME_VALUES || a.lo == INT64_MIN)
        return any;
    return (struct span){SOME_VALUES, -a.hi, -a.lo, a.same};
}

static struct span times(struct span a, struct span b)
{
    if (a.kind != SOME_VALUES || b.kind != SOME_VALUES)
        return any;
    int64_t corner[4], lo = INT64_MAX, hi = INT64_MIN;
    for (int k = 0; k < 4; k++) {
        if (__builtin_mul_overflow(k & 1 ? a.hi : a.lo, k & 2 ? b.hi : b.lo, &corner[k]))
            return any;
        lo = corner[k] < lo ? corner[k] : lo;
        hi = corner[k] > hi ? corner[k] : hi;
    }
    int same = a.lo == a.hi   ? least(63, b.same + trailing(a.lo))
               : b.lo == b.hi ? least(63, a.same + trailing(b.lo))
                              : least(a.same, b.same);
    return (struct span){SOME_VALUES, lo, hi, same};
}

static struct span operand(const struct lane *l, const struct ptx_insn *i, int n)
{
    const struct ptx_operand *o = &i->src[n];
    int bits = ptx_type_bits(ptx_rows[i->op].in[n]);
    if (bits < 32)
        return any;
    return o->kind == PTX_REG   ? span_of(l, o->index)
           : o->kind == PTX_IMM ? one(sign_extend(o->value, bits))
                                : any;
}

/* As unsigned numbers they are the same only if none is negative. */
static struct span unsigned_of(struct span s)
{
    return s.kind == SOME_VALUES && s.lo < 0 ? any : s;
}

#define A operand(l, i, 0)
#define B operand(l, i, 1)
#define C operand(l, i, 2)
static struct span result(const struct lane *l, const struct ptx_insn *i)
{
    switch (i->op) {
    case PTX_MOV_B32:
    case PTX_MOV_U32:
    case PTX_MOV_S32:
    case PTX_MOV_B64:
    case PTX_MOV_U64:
    case PTX_MOV_S64:
    case PTX_CVT_S64_S32:
    case PTX_CVT_U64_S32:
        return A;
    case PTX_CVT_S64_U32:
    case PTX_CVT_U64_U32:
        return unsigned_of(A);
    case PTX_CVT_U32_U64:
    case PTX_CVT_U32_S64:
    case PTX_CVT_S32_U64:
    case PTX_CVT_S32_S64:
        return fit(A, 32);
    case PTX_ADD_S32:
    case PTX_ADD_U32:
        return fit(plus(A, B), 32);
    case PTX_ADD_S64:
    case PTX_ADD_U64:
        return plus(A, B);
    case PTX_SUB_S32:
    case PTX_SUB_U32:
        return fit(plus(A, minus(B)), 32);
    case PTX_SUB_S64:
    case PTX_SUB_U64:
        return plus(A, minus(B));
    case PTX_MUL_LO_S32:
    case PTX_MUL_LO_U32:
        return fit(times(A, B), 32);
    case PTX_MUL_LO_S64:
    case PTX_MUL_LO_U64:
    case PTX_MUL_WIDE_S32:
        return times(A, B);
    case PTX_MUL_WIDE_U32:
        return times(unsigned_of(A), unsigned_of(B));
    case PTX_MAD_LO_S32:
    case PTX_MAD_LO_U32:
        return fit(plus(times(A, B), C), 32);
    case PTX_MAD_LO_S64:
    case PTX_MAD_LO_U64:
    case PTX_MAD_WIDE_S32:
        return plus(times(A, B), C);
    case PTX_MAD_WIDE_U32:
        return plus(times(unsigned_of(A), unsigned_of(B)), C);
    case PTX_SHL_B32:
    case PTX_SHL_B64: {
        int bits = i->op == PTX_SHL_B32 ? 32 : 64;
        bool known = i->src[1].kind == PTX_IMM && i->src[1].value < (unsigned)bits - 1;
        return known ? fit(times(A, one((int64_t)1 << i->src[1].value)), bits) : any;
    }
    default:
        return any;
    }
}
#undef A
#undef B
#undef C

/* What so many steps add. */
static struct span steps(struct span step, uint64_t n)
{
    int64_t lo, hi;
    if (step.kind != SOME_VALUES || n > INT64_MAX ||
        __builtin_mul_overflow(step.lo < 0 ? step.lo : 0, (int64_t)n, &lo) ||
        __builtin_mul_overflow(step.hi > 0 ? step.hi : 0, (int64_t)n, &hi))
        return any;
    return (struct span){SOME_VALUES, lo, hi, least(step.same, trailing(step.lo))};
}

static struct span find_span(const struct lane *l, uint32_t reg)
{
    struct hangs *h = l->h;
    const struct row r = plans_row(h->plans, reg);
    struct span s = {.kind = NO_VALUE}, moved = one(0);
    if (r.bits < 32)
        return any;
    if (plans_live(h->plans, reg, l->start))
        s = one(sign_extend(row_get(l->regs, &r, l->index), r.bits));
    for (size_t k = 0; k < l->shape->n_insns; k++) {
        const struct ptx_insn *i = insn_at(h, l->shape->insns[k]);
        struct ptx_operand step;
        bool subtracts;
        if (!writes(i, reg))
            continue;
        if (i->n_dst != 1) {
            return any;
        } else if (is_step(i, reg, &step, &subtracts)) {
            struct span by = step.kind == PTX_REG ? span_of(l, step.index)
                                                  : one(sign_extend(step.value, r.bits));
            by = subtracts ? minus(by) : by;
            moved = plus(moved, steps(by, l->budget / l->shape->cycle[k] + 2));
        } else {
            s = join(s, result(l, i));
        }
    }
    return s.kind == NO_VALUE ? any : fit(plus(s, moved), r.bits);
}

static struct span span_of(const struct lane *l, uint32_t reg)
{
    enum { UNKNOWN, BUSY, DONE };
    struct hangs *h = l->h;
    if (h->state[reg] == DONE)
        return h->memo[reg];
    if (h->state[reg] == BUSY) /* it depends on itself */
        return any;
    h->state[reg] = BUSY;
    h->memo[reg] = find_span(l, reg);
    h->state[reg] = DONE;
    return h->memo[reg];
}

/* ---- The lane --------------------------------------------------------------------------------------------- */

static bool stays_inside(const struct lane *l, const struct warp *w, const struct plan *p)
{
    const struct window *win = p->shared ? &w->shared : &w->global;
    int64_t bytes = (int64_t)p->elements * p->words * 4, base = (int64_t)win->base;
    struct span s = one(0);
    if (p->variable)
        return false;
    if (p->has_base) {
        s = span_of(l, p->base.reg);
        s = p->base.bits == 32 ? unsigned_of(s) : s;
    }
    s = plus(s, one((int64_t)p->offset));
    return s.kind == SOME_VALUES && s.lo >= base && win->size >= (uint64_t)bytes &&
           s.hi - base <= (int64_t)win->size - bytes && s.lo % bytes == 0 &&
           1ll << least(s.same, 6) >= bytes;
}

static uint64_t value_of(const struct lane *l, const struct ptx_operand *o)
{
    if (o->kind != PTX_REG)
        return o->value;
    const struct row r = plans_row(l->h->plans, o->index);
    return row_get(l->regs, &r, l->index);
}

static bool is_known(const struct lane *l, const struct ptx_operand *o)
{
    return o->kind != PTX_REG || plans_live(l->h->plans, o->index, l->start);
}

typedef __int128 wide;

/* As the comparison sees it. */
static wide number(const struct deciding *d, uint64_t v)
{
    return d->is_signed    ? (wide)sign_extend(v, d->bits)
           : d->bits == 32 ? (wide)(uint32_t)v
                           : (wide)v;
}

static bool compare(enum compare c, wide a, wide b)
{
    switch (c) {
    case EQUAL:
        return a == b;
    case UNEQUAL:
        return a != b;
    case LESS:
        return a < b;
    case AT_MOST:
        return a <= b;
    case GREATER:
        return a > b;
    default:
        return a >= b;
    }
}

/* The result of all comparisons while the budget lasts: 0 or 1; -1 if it changes, or may. */
static int decided(const struct lane *l, const struct deciding *d)
{
    const struct ptx_operand left = {.kind = PTX_REG, .index = d->left};
    if (!is_known(l, &left) || !is_known(l, &d->right) || (d->steps && !is_known(l, &d->step)))
        return -1;
    const wide size = (wide)1 << d->bits;
    wide step = d->steps ? sign_extend(value_of(l, &d->step), d->bits) : 0;
    step = d->subtracts ? -step : step;
    wide moved = step * (wide)(l->budget / d->cycle + 1);
    wide first = number(d, value_of(l, &left)) + (d->before ? step : 0), last = first + moved;
    wide right = number(d, value_of(l, &d->right));
    if (d->compare == EQUAL || d->compare == UNEQUAL) {
        wide ahead = (step < 0 ? first - right : right - first) & (size - 1);
        wide way = step < 0 ? -moved : moved;
        if (way == 0 ? ahead == 0 : way >= size || ahead <= way)
            return way == 0 ? d->compare == EQUAL : -1;
        return d->compare == UNEQUAL;
    }
    wide least_number = d->is_signed ? -(size / 2) : 0;
    wide lo = first < last ? first : last, hi = first < last ? last : first;
    if (lo < least_number || hi >= least_number + size ||
        compare(d->compare, lo, right) != compare(d->compare, hi, right))
        return -1;
    return compare(d->compare, lo, right);
}

static enum way way_of(const struct lane *l, const struct deciding *d)
{
    const struct ptx_insn *branch = insn_at(l->h, d->branch);
    const struct ptx_operand guard = {.kind = PTX_REG, .index = (uint32_t)branch->guard};
    int yes = d->fixed      ? (is_known(l, &guard) ? (int)value_of(l, &guard) : -1)
              : d->compares ? decided(l, d)
                            : -1;
    return yes < 0 ? WAY_BOTH : yes != branch->guard_negated ? WAY_TARGET : WAY_ON;
}

static struct hangs *hangs_new(struct plans *p, uint32_t branch)
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

/* How often the branch goes this way again, for all that its own counter says. */
static uint64_t rounds(const struct lane *l, uint32_t branch)
{
    const struct deciding *d =
        l->h->index[branch] ? &l->h->deciding[l->h->index[branch] - 1] : NULL;
    const struct ptx_operand left = {.kind = PTX_REG, .index = d ? d->left : 0};
    if (!d || !d->compares || !d->steps || !is_known(l, &left) || !is_known(l, &d->right) ||
        !is_known(l, &d->step))
        return HANG_CERTAIN - 1;
    wide step = sign_extend(value_of(l, &d->step), d->bits);
    wide ahead = number(d, value_of(l, &d->right)) - number(d, value_of(l, &left));
    step = d->subtracts ? -step : step;
    if (step < 0) {
        step = -step;
        ahead = -ahead;
    }
    if (ahead < 0)
        ahead += (wide)1 << d->bits;
    return step ? (uint64_t)(ahead / step) / 2 : HANG_CERTAIN - 1;
}

static bool is_certain(struct lane *l, const struct warp *w)
{
    const struct plan *plan = l->h->plans->plan;
    uint64_t ways = 0;
    for (uint32_t d = 0; d < l->h->n_deciding; d++)
        ways |= (uint64_t)way_of(l, &l->h->deciding[d]) << 2 * d;
    l->shape = shape_of(l->h, l->start, ways);
    if (!l->shape || !l->shape->closed)
        return false;
    memset(l->h->state, 0, l->h->plans->n_regs);
    for (size_t k = 0; k < l->shape->n_insns; k++) {
        const struct plan *p = &plan[l->shape->insns[k]];
        if (p->kind == PLAN_LOAD && !stays_inside(l, w, p))
            return false;
    }
    return true;
}

uint64_t hang_prospect(struct plans *p, uint32_t branch, const struct warp *w, const uint8_t *regs,
                       int index, uint32_t start, uint64_t limit)
{
    struct region *r = &p->plan[branch].region;
    if (!r->hangs)
        r->hangs = hangs_new(p, branch);
    struct lane l = {r->hangs, regs, index, start, limit + p->kernel->n_insns, NULL};
    return is_certain(&l, w) ? HANG_CERTAIN : rounds(&l, branch);
}
