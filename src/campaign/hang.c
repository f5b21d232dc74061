/* Is it certain that a lane hangs? Running it up to its limit to see that costs more than all else, so this
 * proves it from the lane's registers at the branch, or leaves it open.
 *
 * Some branches between there and the meeting point go one way only while the limit lasts: their predicate
 * is not written, or compares a counter, which moves by the same step each time, with something that
 * stands still, and the counter is too far from where the comparison's result changes. If the meeting
 * point cannot be reached without the other ways of these branches, and no address of a load on the way
 * can leave its memory or be misaligned, the lane is still there at its limit. */
#include <string.h>

#include "campaign/hang.h"

/* ---- Where values can go ------------------------------------------------------------------------------- */

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
        const struct ptx_insn *i = hangs_insn(h, l->shape->insns[k]);
        struct ptx_operand step;
        bool subtracts;
        if (!hangs_writes(i, reg))
            continue;
        if (i->n_dst != 1) {
            return any;
        } else if (hangs_is_step(i, reg, &step, &subtracts)) {
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
    const struct ptx_insn *branch = hangs_insn(l->h, d->branch);
    const struct ptx_operand guard = {.kind = PTX_REG, .index = (uint32_t)branch->guard};
    int yes = d->fixed      ? (is_known(l, &guard) ? (int)value_of(l, &guard) : -1)
              : d->compares ? decided(l, d)
                            : -1;
    return yes < 0 ? WAY_BOTH : yes != branch->guard_negated ? WAY_TARGET : WAY_ON;
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
    l->shape = hangs_shape(l->h, l->start, ways);
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
