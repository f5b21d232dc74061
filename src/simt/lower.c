/* Decoded instructions -> threaded code: registers and constants get places in the warp's register
 * file, modifiers and odd widths become steps of their own. */
#include <stdlib.h>
#include <string.h>

#include "simt/lowering.h"

/* ---- Steps ------------------------------------------------------------------------------------------ */
static struct code *emit(struct lowering *x, simt_step_fn *fn)
{
    if (x->n_code == x->max_code) {
        size_t max = x->max_code ? 2 * x->max_code : 256;
        struct code *more = arena_array(&x->scratch, max, sizeof *more);
        if (x->n_code)
            memcpy(more, x->code, x->n_code * sizeof *more);
        x->code = more;
        x->max_code = max;
    }
    struct code *c = &x->code[x->n_code++];
    *c = (struct code){.fn = fn, .insn = x->insn};
    return c;
}

static void emit_op(struct lowering *x, enum ptx_op op, uint32_t d, uint32_t a)
{
    struct code *c = emit(x, x->lanes->op[op]);
    c->d = d;
    c->a = a;
}

/* The step that changes an integer's width. */
static void emit_convert(struct lowering *x, int to, int from, bool is_signed, uint32_t d,
                         uint32_t a)
{
    static const enum ptx_op u[3][3] = {{PTX_CVT_U16_U16, PTX_CVT_U32_U16, PTX_CVT_U64_U16},
                                        {PTX_CVT_U16_U32, PTX_CVT_U32_U32, PTX_CVT_U64_U32},
                                        {PTX_CVT_U16_U64, PTX_CVT_U32_U64, PTX_CVT_U64_U64}};
    static const enum ptx_op s[3][3] = {{PTX_CVT_S16_S16, PTX_CVT_S32_S16, PTX_CVT_S64_S16},
                                        {PTX_CVT_S16_S32, PTX_CVT_S32_S32, PTX_CVT_S64_S32},
                                        {PTX_CVT_S16_S64, PTX_CVT_S32_S64, PTX_CVT_S64_S64}};
    emit_op(x, (is_signed ? s : u)[from / 32][to / 32], d, a);
}

/* A clock is read: its place is brought up to date. */
static uint32_t emit_clock(struct lowering *x, uint32_t index)
{
    struct code *c = emit(x, x->lanes->clock);
    c->d = place_special(x, index);
    c->a = x->insn - x->p->segment[x->insn];
    c->b = x->hooked;
    c->x = (uint8_t)ptx_special_bits(index);
    c->y = index == PTX_SPECIAL_CLOCK_HI || index == PTX_SPECIAL_GLOBALTIMER_HI ? 32 : 0;
    return c->d;
}

static uint64_t symbol_address(const struct lowering *x, const struct ptx_operand *o)
{
    const struct ptx_symbol *s = &x->k->symbols[o->index];
    bool dynamic = s->kind == PTX_SYM_SHARED && s->bytes == 0;
    return (dynamic ? x->k->shared_bytes : s->address) + o->value;
}

/* The address of a variable. Those of functions lie in the frame of who runs them, those of the module
 * where the launch says. */
static uint32_t symbol_slot(struct lowering *x, const struct ptx_operand *o, int *bits)
{
    const struct ptx_symbol *s = &x->k->symbols[o->index];
    bool framed =
        (s->kind == PTX_SYM_LOCAL || s->kind == PTX_SYM_ARGUMENT) && x->k->n_functions > 1;
    if (s->kind == PTX_SYM_FUNCTION)
        return place_constant(x, PTX_CODE_WINDOW + 16 * s->address, *bits);
    if (!framed && s->kind != PTX_SYM_GLOBAL)
        return place_constant(x, symbol_address(x, o), *bits);
    uint32_t from = place_special(x, framed ? PTX_SPECIAL_LOCAL_FRAME : PTX_SPECIAL_GLOBALS);
    uint32_t to = temp(x, 4 + (int)(x->n_symbols++ % 4));
    struct code *c = emit(x, x->lanes->add_u64);
    c->a = from;
    c->d = to;
    c->add = (int64_t)symbol_address(x, o);
    if (*bits == 32)
        emit_convert(x, 32, 64, false, to, to);
    return to;
}

static uint32_t dst_slot(const struct lowering *x, const struct ptx_insn *i, int n)
{
    return i->dst[n] < 0 ? 0 : x->p->slot[i->dst[n]];
}

/* Where the operand's lanes are, and their width in *bits. */
static uint32_t operand_slot(struct lowering *x, const struct ptx_operand *o, int *bits)
{
    switch (o->kind) {
    case PTX_REG:
        *bits = x->k->regs[o->index].bits;
        return x->p->slot[o->index];
    case PTX_SPECIAL:
        *bits = ptx_special_bits(o->index);
        if (o->index >= PTX_SPECIAL_CLOCK)
            return emit_clock(x, o->index);
        return place_special(x, o->index);
    case PTX_SYMBOL:
        return symbol_slot(x, o, bits);
    case PTX_IMM:
        return place_constant(x, *bits == 1 ? (o->value ? ~0ull : 0) : o->value, *bits);
    case PTX_NONE:
        break;
    }
    return 0;
}

static bool is_float(enum ptx_type t) { return t == PTX_T_f32 || t == PTX_T_f64; }
static bool is_small(enum ptx_type t)
{
    return t == PTX_T_h || t == PTX_T_h2 || t == PTX_T_bf || t == PTX_T_bf2;
}

/* f32, also where it is moved as bits. */
static bool flushes_single(const struct ptx_row *row, enum ptx_type t)
{
    return t == PTX_T_f32 || (t == PTX_T_u32 && row->group == GROUP_FP32);
}

/* In a conversion .ftz is about the f32 alone. */
static bool flushes_small(const struct ptx_row *row, enum ptx_type t)
{
    return is_small(t) && (row->group == GROUP_FP32 || row->out == PTX_T_p);
}

/* Halves, alone or in pairs: denormals to zero (x: 1), into 0 to 1 (x: 2). */
static void emit_small(struct lowering *x, enum ptx_type t, int what, uint32_t d, uint32_t a)
{
    struct code *c = emit(x, x->lanes->small);
    c->d = d;
    c->a = a;
    c->x = (uint8_t)what;
    c->y = (uint8_t)ptx_type_bits(t);
    c->n = t == PTX_T_bf || t == PTX_T_bf2;
}

/* An operand of a row: brought to the row's width, denormals flushed if the instruction says so. */
static uint32_t lower_operand(struct lowering *x, const struct ptx_insn *i, int n)
{
    enum ptx_type type = ptx_rows[i->op].in[n];
    int bits = ptx_type_bits(type), have = bits;
    uint32_t slot = operand_slot(x, &i->src[n], &have);
    if (have > bits && bits > 1) {
        emit_convert(x, bits, have, false, temp(x, n), slot);
        slot = temp(x, n);
    }
    if (i->mods & PTX_MOD_FTZ && flushes_single(&ptx_rows[i->op], type)) {
        struct code *c = emit(x, x->lanes->ftz);
        c->a = slot;
        c->d = slot = temp(x, n);
    }
    if (i->mods & PTX_MOD_FTZ && flushes_small(&ptx_rows[i->op], type)) {
        emit_small(x, type, 1, temp(x, n), slot);
        slot = temp(x, n);
    }
    return slot;
}

static void emit_round(struct lowering *x, int mode)
{
    emit(x, x->lanes->round)->x = (uint8_t)mode;
}

static simt_step_fn *row_step(const struct lanes *lanes, enum ptx_op op)
{
    return op == PTX_DIV_U32   ? lanes->div_u32
           : op == PTX_DIV_S32 ? lanes->div_s32
           : op == PTX_REM_U32 ? lanes->rem_u32
           : op == PTX_REM_S32 ? lanes->rem_s32
                               : lanes->op[op];
}

static void lower_row(struct lowering *x, const struct ptx_insn *i)
{
    const struct ptx_row *row = &ptx_rows[i->op];
    uint32_t in[3] = {0};
    for (int n = 0; n < 3 && row->in[n] != PTX_T_no; n++)
        in[n] = lower_operand(x, i, n);
    int bits = ptx_type_bits(row->out);
    int have = i->dst[0] < 0 ? bits : x->k->regs[i->dst[0]].bits;
    bool combine = i->bool_op || i->n_dst > 1;
    uint32_t d = have > bits || combine ? temp(x, 3) : dst_slot(x, i, 0);
    if (i->mods & PTX_MOD_ROUND)
        emit_round(x, i->mods & PTX_MOD_ROUND);
    struct code *c = emit(x, row_step(x->lanes, i->op));
    c->d = d;
    c->a = in[0];
    c->b = in[1];
    c->c = in[2];
    if (i->mods & PTX_MOD_ROUND)
        emit_round(x, 0);
    if (i->mods & PTX_MOD_FTZ && flushes_single(row, row->out)) {
        c = emit(x, x->lanes->ftz);
        c->d = c->a = d;
    }
    if (i->mods & PTX_MOD_FTZ && flushes_small(row, row->out))
        emit_small(x, row->out, 1, d, d);
    if (i->mods & PTX_MOD_SAT && is_small(row->out))
        emit_small(x, row->out, 2, d, d);
    if (i->mods & PTX_MOD_SAT && is_float(row->out)) {
        c = emit(x, bits == 64 ? x->lanes->sat64 : x->lanes->sat32);
        c->d = c->a = d;
    }
    if (combine) {
        int one = 1;
        const struct ptx_operand *o = &i->src[i->n_src - 1];
        uint32_t other = i->bool_op ? operand_slot(x, o, &one) : 0;
        c = emit(x, x->lanes->pred_combine);
        c->d = dst_slot(x, i, 0);
        c->a = d;
        c->c = other;
        c->x = i->bool_op;
        c->y = o->negated;
        c->n = i->n_dst;
        c->b = i->n_dst > 1 ? dst_slot(x, i, 1) : 0;
    } else if (have > bits) {
        bool is_signed = row->out == PTX_T_s16 || row->out == PTX_T_s32 || row->out == PTX_T_s64;
        emit_convert(x, have, bits, is_signed, dst_slot(x, i, 0), d);
    }
}

/* 64-bit lanes of the base address. */
static uint32_t lower_base(struct lowering *x, const struct ptx_insn *i)
{
    int bits = 64;
    if (i->base.kind == PTX_NONE) {
        x->p->base_bits[x->insn] = 64;
        return x->p->base_slot[x->insn] = place_constant(x, 0, 64);
    }
    uint32_t slot = operand_slot(x, &i->base, &bits);
    x->p->base_slot[x->insn] = slot;
    x->p->base_bits[x->insn] = (uint8_t)bits;
    if (bits == 32) {
        emit_convert(x, 64, 32, false, temp(x, 3), slot);
        slot = temp(x, 3);
    }
    return slot;
}

/* What steps want to know of the address: after lower_base. */
static uint8_t address_kind(const struct lowering *x, const struct ptx_insn *i)
{
    return (uint8_t)(i->space | (x->p->base_bits[x->insn] == 32 ? CODE_NARROW : 0));
}

static struct code *emit_wide(struct lowering *x, simt_step_fn *fn, struct code_more **more)
{
    emit(x, fn);
    emit(x, NULL);
    *more = (struct code_more *)&x->code[x->n_code - 1];
    **more = (struct code_more){0};
    return &x->code[x->n_code - 2];
}

/* The prepared address for base slot `base` of i, made here unless one made before still holds. */
static uint32_t prepare_address(struct lowering *x, const struct ptx_insn *i, uint32_t base,
                                int bytes)
{
    bool keep = i->guard < 0 && i->base.kind == PTX_REG && base == x->p->slot[i->base.index];
    for (size_t n = 0; n < N_ADDRESSES && keep; n++)
        if (x->address_base[n] == base)
            return x->addresses + (uint32_t)n * (uint32_t)sizeof(struct address);
    size_t n = x->next_address++ % N_ADDRESSES;
    x->address_base[n] = keep ? base : 0;
    struct code *c = emit(x, x->lanes->address);
    c->d = x->addresses + (uint32_t)n * (uint32_t)sizeof(struct address);
    c->a = base;
    c->x = (uint8_t)bytes;
    return c->d;
}

/* Do other accesses of this segment have the same base register, so that preparing it pays? */
static bool shares_base(const struct lowering *x, const struct ptx_insn *i)
{
    if (i->base.kind != PTX_REG)
        return false;
    for (size_t n = 0; n < N_ADDRESSES; n++)
        if (x->address_base[n] && x->address_base[n] == x->p->slot[i->base.index])
            return true;
    for (uint32_t at = x->insn + 1; at < x->k->n_insns && x->p->segment[at] != at; at++) {
        const struct ptx_insn *other = &x->k->insns[at];
        if ((other->op == PTX_LD || other->op == PTX_ST) && other->base.kind == PTX_REG &&
            other->base.index == i->base.index)
            return true;
        for (int n = 0; n < other->n_dst; n++)
            if (other->dst[n] == (int32_t)i->base.index)
                return false;
    }
    return false;
}

/* Which table of steps does this access: fast ones want registers as wide as what is in memory. */
static simt_step_fn *memory_step(struct lowering *x, const struct ptx_insn *i, int have, bool store,
                                 bool *prepared)
{
    const struct lanes *t = x->lanes;
    bool fast = have == i->mem_bits && have >= 32;
    bool at = fast && x->variant != CODE_HOOKED &&
              (i->space == PTX_SPACE_GLOBAL || i->space == PTX_SPACE_SHARED) && shares_base(x, i);
    *prepared = at;
    if (!fast)
        return (store ? t->store : t->load)[i->space];
    if (have == 32)
        return (at      ? store ? t->store32_at : t->load32_at
                : store ? t->store32
                        : t->load32)[i->space];
    return (at ? store ? t->store64_at : t->load64_at : store ? t->store64 : t->load64)[i->space];
}

static void lower_memory(struct lowering *x, const struct ptx_insn *i, bool store)
{
    uint32_t base = lower_base(x, i), slot[4] = {0}, address = 0;
    int n = store ? i->n_src : i->n_dst, have = i->mem_bits < 16 ? 16 : i->mem_bits;
    for (int k = 0; k < n; k++)
        slot[k] = store ? operand_slot(x, &i->src[k], &have) : dst_slot(x, i, k);
    for (int k = 0; k < n && !store; k++)
        if (i->dst[k] >= 0)
            have = x->k->regs[i->dst[k]].bits;
    bool prepared;
    simt_step_fn *fn = memory_step(x, i, have, store, &prepared);
    if (prepared)
        address = prepare_address(x, i, base, i->mem_bits / 8 * n);
    struct code_more *more;
    struct code *c = emit_wide(x, fn, &more);
    *(store ? &c->b : &c->a) = base;
    *(store ? &c->a : &c->d) = slot[0];
    c->c = (uint32_t)have;
    c->n = (uint8_t)n;
    c->x = (uint8_t)(i->mem_bits | (i->mem_signed && !store ? 128 : 0));
    c->y = address_kind(x, i);
    more->imm = i->offset;
    more->address = address;
    for (int k = 1; k < n; k++)
        more->more[k - 1] = slot[k];
}

/* Steps with up to four operands of their own: the fourth's slot is in the second unit, and the second
 * destination's. mask operands of .sync are the warp's business: all its lanes are in step. */
static void lower_four(struct lowering *x, const struct ptx_insn *i, simt_step_fn *fn)
{
    uint32_t slot[4] = {0};
    for (int n = 0; n < i->n_src; n++) {
        bool narrow = (i->op == PTX_BFI && n > 1) || (i->op == PTX_MATCH && n > 0);
        int bits = i->op == PTX_VOTE && n == 0 ? 1 : i->mem_bits == 64 && !narrow ? 64 : 32;
        slot[n] = operand_slot(x, &i->src[n], &bits);
    }
    struct code_more *more;
    struct code *c = emit_wide(x, fn, &more);
    c->d = dst_slot(x, i, 0);
    c->a = slot[0];
    c->b = slot[1];
    c->c = slot[2];
    c->kind = 0;
    c->n = i->n_dst;
    c->x = i->what;
    c->y = (uint8_t)(i->mem_bits | (i->mem_signed ? 128 : 0));
    more->more[0] = i->op == PTX_LOP3 ? (uint32_t)i->src[3].value : slot[3];
    more->more[1] = i->n_dst > 1 ? dst_slot(x, i, 1) : 0;
    more->more[2] = x->carry;
    more->spare = i->n_src > 0 && i->src[0].negated;
}

/* a: operand, b: base, c: second operand */
static void lower_atom(struct lowering *x, const struct ptx_insn *i)
{
    uint32_t base = lower_base(x, i), slot[2] = {0};
    for (int n = 0; n < i->n_src; n++) {
        int bits = i->mem_bits;
        slot[n] = operand_slot(x, &i->src[n], &bits);
    }
    struct code_more *more;
    struct code *c = emit_wide(x, x->lanes->atomic, &more);
    c->d = i->n_dst ? dst_slot(x, i, 0) : 0;
    c->a = slot[0];
    c->b = base;
    c->c = slot[1];
    c->n = 1;
    c->x = (uint8_t)(i->mem_bits | (i->mem_signed ? 128 : 0));
    c->y = address_kind(x, i);
    more->imm = i->offset;
    more->more[0] = i->what;
}

static void lower_cvta(struct lowering *x, const struct ptx_insn *i)
{
    int bits = 64;
    uint64_t window = i->space == PTX_SPACE_SHARED  ? SIMT_SHARED_WINDOW
                      : i->space == PTX_SPACE_LOCAL ? SIMT_LOCAL_WINDOW
                      : i->space == PTX_SPACE_CONST ? SIMT_CONST_WINDOW
                      : i->space == PTX_SPACE_PARAM ? SIMT_PARAM_WINDOW
                                                    : 0;
    uint32_t a = operand_slot(x, &i->src[0], &bits);
    struct code *c = emit(x, x->lanes->add_u64);
    c->a = a;
    c->d = dst_slot(x, i, 0);
    c->add = (int64_t)(i->bool_op == 't' ? 0 - window : window);
}

static void lower_mov_vector(struct lowering *x, const struct ptx_insn *i)
{
    bool pack = i->op == PTX_MOV_PACK;
    int n = pack ? i->n_src : i->n_dst;
    uint32_t slot[4] = {0};
    for (int k = 0; k < i->n_src; k++) {
        int bits = pack ? i->mem_bits / n : i->mem_bits;
        slot[k] = operand_slot(x, &i->src[k], &bits);
    }
    struct code_more *more;
    struct code *c = emit_wide(x, pack ? x->lanes->pack : x->lanes->unpack, &more);
    c->x = i->mem_bits;
    c->n = (uint8_t)n;
    c->a = slot[0];
    c->d = dst_slot(x, i, 0);
    for (int k = 1; k < n; k++)
        more->more[k - 1] = pack ? slot[k] : dst_slot(x, i, k);
}

/* The comparison into a temporary predicate, which then chooses. */
static void lower_comparison(struct lowering *x, const struct ptx_insn *i, const uint32_t in[2],
                             uint32_t d)
{
    uint32_t a[2] = {in[0], in[1]};
    enum ptx_type type = ptx_rows[i->sub_op].in[0];
    for (int n = 0; n < 2 && i->mods & PTX_MOD_FTZ; n++) {
        if (type == PTX_T_f32) {
            struct code *c = emit(x, x->lanes->ftz);
            c->a = a[n];
            c->d = temp(x, n);
        } else {
            emit_small(x, type, 1, temp(x, n), a[n]);
        }
        a[n] = temp(x, n);
    }
    struct code *c = emit(x, x->lanes->op[i->sub_op]);
    c->d = d;
    c->a = a[0];
    c->b = a[1];
    if (!i->bool_op)
        return;
    int one = 1;
    const struct ptx_operand *o = &i->src[2];
    uint32_t other = operand_slot(x, o, &one);
    c = emit(x, x->lanes->pred_combine);
    c->d = c->a = d;
    c->c = other;
    c->x = i->bool_op;
    c->y = o->negated;
    c->n = 1;
}

static void emit_choose(struct lowering *x, enum ptx_op op, uint32_t d, uint32_t yes, uint32_t no,
                        uint32_t p)
{
    struct code *c = emit(x, x->lanes->op[op]);
    c->d = d;
    c->a = yes;
    c->b = no;
    c->c = p;
}

static void lower_set(struct lowering *x, const struct ptx_insn *i)
{
    uint32_t in[2];
    int bits = i->mem_bits;
    for (int n = 0; n < 2; n++) {
        int have = ptx_type_bits(ptx_rows[i->sub_op].in[n]);
        in[n] = operand_slot(x, &i->src[n], &have);
    }
    lower_comparison(x, i, in, temp(x, 3));
    emit_choose(x, bits == 16 ? PTX_SELP_B16 : PTX_SELP_B32, dst_slot(x, i, 0),
                place_constant(x, (uint64_t)i->offset, bits), place_constant(x, 0, bits),
                temp(x, 3));
}

/* Both halves, each taken out by itself; the lower one's result waits in temporary 7. */
static void lower_set_pair(struct lowering *x, const struct ptx_insn *i)
{
    uint32_t in[2], half[2];
    for (int n = 0; n < 2; n++) {
        int have = 32;
        in[n] = operand_slot(x, &i->src[n], &have);
        half[n] = temp(x, 4 + n);
    }
    for (int k = 0; k < 2; k++) {
        for (int n = 0; n < 2; n++) {
            uint32_t shift = place_constant(x, k ? 16 : 0, 32);
            struct code *c = emit(x, x->lanes->op[PTX_SHR_U32]);
            c->d = temp(x, n);
            c->a = in[n];
            c->b = shift;
            emit_convert(x, 16, 32, false, half[n], temp(x, n));
        }
        lower_comparison(x, i, half, temp(x, 6 + k));
    }
    if (i->op == PTX_SETP_PAIR) {
        for (int k = 0; k < i->n_dst; k++)
            emit_op(x, PTX_MOV_PRED, dst_slot(x, i, k), temp(x, 6 + k));
        return;
    }
    uint64_t one = (uint64_t)i->offset;
    emit_choose(x, PTX_SELP_B32, temp(x, 0), place_constant(x, one, 32), place_constant(x, 0, 32),
                temp(x, 6));
    emit_choose(x, PTX_SELP_B32, temp(x, 1), place_constant(x, one << 16, 32),
                place_constant(x, 0, 32), temp(x, 7));
    struct code *c = emit(x, x->lanes->op[PTX_OR_B32]);
    c->d = dst_slot(x, i, 0);
    c->a = temp(x, 0);
    c->b = temp(x, 1);
}

static void lower_isspacep(struct lowering *x, const struct ptx_insn *i)
{
    int bits = 64;
    uint32_t a = operand_slot(x, &i->src[0], &bits);
    struct code *c = emit(x, x->lanes->isspacep);
    c->a = a;
    c->d = dst_slot(x, i, 0);
    c->x = i->space;
}

/* a: size, b: what is used; the next unit: alignment */
static void lower_alloca(struct lowering *x, const struct ptx_insn *i)
{
    int bits = i->mem_bits;
    uint32_t size = operand_slot(x, &i->src[0], &bits);
    uint32_t used = place_special(x, PTX_SPECIAL_STACK_USED), d = dst_slot(x, i, 0);
    struct code_more *more;
    struct code *c = emit_wide(x, x->lanes->alloca, &more);
    c->d = d;
    c->a = size;
    c->b = used;
    c->x = i->mem_bits;
    more->imm = i->n_src > 1 && i->src[1].value ? (int64_t)i->src[1].value : 8;
}

static void lower_stack(struct lowering *x, const struct ptx_insn *i)
{
    int bits = i->mem_bits;
    uint32_t used = place_special(x, PTX_SPECIAL_STACK_USED);
    if (i->op == PTX_STACKSAVE)
        emit_convert(x, bits, 64, false, dst_slot(x, i, 0), used);
    else
        emit_convert(x, 64, bits, false, used, operand_slot(x, &i->src[0], &bits));
}

/* a: where from (64 bits), b: where to (64 bits), c: bytes to copy, the rest becomes zero, or 0: all */
static void lower_copy(struct lowering *x, const struct ptx_insn *i)
{
    uint32_t from = lower_base(x, i), to, size = 0;
    int bits = 64;
    if (from == temp(x, 3)) { /* the other address may need that place */
        emit_op(x, PTX_MOV_U64, temp(x, 2), from);
        from = temp(x, 2);
    }
    if (i->src[0].kind == PTX_NONE)
        to = place_constant(x, 0, 64);
    else
        to = operand_slot(x, &i->src[0], &bits);
    bool narrow = bits == 32;
    if (narrow) {
        emit_convert(x, 64, 32, false, temp(x, 3), to);
        to = temp(x, 3);
    }
    bits = 32;
    if (i->n_src > 1)
        size = operand_slot(x, &i->src[1], &bits);
    struct code_more *more;
    struct code *c = emit_wide(x, x->lanes->copy, &more);
    c->a = from;
    c->b = to;
    c->c = size;
    c->n = 1;
    c->x = i->mem_bits;
    c->y = narrow ? CODE_NARROW : 0; /* where to */
    more->imm = i->offset;
    more->spare = (uint64_t)(int64_t)(int32_t)i->target;
}

enum stop_kind lower_stop_kind(const struct ptx_insn *i)
{
    switch (i->op) {
    case PTX_BRA:
        return STOP_BRANCH;
    case PTX_BRX:
        return STOP_TABLE;
    case PTX_CALL:
        return STOP_CALL;
    case PTX_REFUSED:
        return STOP_TRAP;
    case PTX_BAR:
        return STOP_BARRIER;
    case PTX_TRAP:
        return STOP_TRAP;
    case PTX_RET:
    case PTX_EXIT:
        return STOP_RETURN;
    default:
        return STOP_NOT;
    }
}

/* The end of a segment. Uniform branches stay in plain code; hooks want to see every one. */
static void lower_control(struct lowering *x, const struct ptx_insn *i, enum stop_kind kind)
{
    bool in_code = kind == STOP_BRANCH && !x->hooked;
    struct code *c = emit(x, x->hooked       ? x->lanes->stop
                             : !in_code      ? x->lanes->end
                             : i->guard >= 0 ? x->lanes->branch
                                             : x->lanes->jump);
    c->kind = (uint8_t)kind;
    c->length = x->insn - x->p->segment[x->insn] + 1;
    c->b = i->target; /* for now: lower_kernel puts the pointer here */
    c->a = i->guard >= 0 ? x->p->slot[i->guard] : 0;
    c->x = i->guard_negated;
}

static void lower_plain(struct lowering *x, const struct ptx_insn *i)
{
    switch (ptx_rows[i->op].shape) {
    case PTX_SHAPE_LANES:
        lower_row(x, i);
        break;
    case PTX_SHAPE_MOV_VECTOR:
        lower_mov_vector(x, i);
        break;
    case PTX_SHAPE_CVTA:
        lower_cvta(x, i);
        break;
    case PTX_SHAPE_LD:
        lower_memory(x, i, false);
        break;
    case PTX_SHAPE_ST:
        lower_memory(x, i, true);
        break;
    case PTX_SHAPE_ATOM:
        lower_atom(x, i);
        break;
    case PTX_SHAPE_CARRY:
        lower_four(x, i, x->lanes->carry);
        break;
    case PTX_SHAPE_BFI:
        lower_four(x, i, x->lanes->bfi);
        break;
    case PTX_SHAPE_LOP3:
        lower_four(x, i, x->lanes->lop3);
        break;
    case PTX_SHAPE_VOTE:
        lower_four(x, i, x->lanes->vote);
        break;
    case PTX_SHAPE_SHFL:
        lower_four(x, i, x->lanes->shfl);
        break;
    case PTX_SHAPE_ACTIVEMASK:
        lower_four(x, i, x->lanes->activemask);
        break;
    case PTX_SHAPE_SET:
        lower_set(x, i);
        break;
    case PTX_SHAPE_SET_PAIR:
        lower_set_pair(x, i);
        break;
    case PTX_SHAPE_MATCH:
        lower_four(x, i, x->lanes->match);
        break;
    case PTX_SHAPE_REDUX:
        lower_four(x, i, x->lanes->redux);
        break;
    case PTX_SHAPE_ISSPACEP:
        lower_isspacep(x, i);
        break;
    case PTX_SHAPE_ALLOCA:
        lower_alloca(x, i);
        break;
    case PTX_SHAPE_STACK:
        lower_stack(x, i);
        break;
    case PTX_SHAPE_COPY:
        lower_copy(x, i);
        break;
    default:
        break;
    }
}

static const struct code *hook_step(struct warp *w, const struct code *i, uint8_t *r, uint32_t mask)
{
    simt_call_hook(w, i->insn, mask);
    GO(i + 1);
}

static const struct code *access_step(struct warp *w, const struct code *i, uint8_t *r,
                                      uint32_t mask)
{
    simt_call_access(w, i, mask);
    GO(i + 1);
}

static const struct code *watch_step(struct warp *w, const struct code *i, uint8_t *r,
                                     uint32_t mask)
{
    simt_call_watch(w, i->insn);
    GO(i + 1);
}

static bool touches_global(const struct ptx_insn *i)
{
    return (i->op == PTX_LD || i->op == PTX_ST || i->op == PTX_ATOM || i->op == PTX_RED ||
            i->op == PTX_COPY) &&
           (i->space == PTX_SPACE_GLOBAL || i->space == PTX_SPACE_GENERIC);
}

/* Addresses made from a register that i writes hold no longer. */
static void forget_addresses(struct lowering *x, const struct ptx_insn *i)
{
    for (int n = 0; n < i->n_dst; n++)
        for (size_t k = 0; k < N_ADDRESSES && i->dst[n] >= 0; k++)
            if (x->address_base[k] == x->p->slot[i->dst[n]])
                x->address_base[k] = 0;
}

static void lower_insn(struct lowering *x, const struct ptx_insn *i)
{
    enum stop_kind kind = lower_stop_kind(i);
    x->n_symbols = 0;
    if (kind != STOP_NOT) {
        lower_control(x, i, kind);
        return;
    }
    if (x->hooked)
        emit(x, watch_step);
    size_t guard = x->n_code;
    if (i->guard >= 0) {
        struct code *c = emit(x, x->lanes->guard);
        c->a = x->p->slot[i->guard];
        c->x = i->guard_negated;
    }
    if (x->variant == CODE_HOOKED && touches_global(i)) {
        uint32_t base = lower_base(x, i);
        struct code *c = emit(x, access_step);
        c->a = base;
        c->add = i->offset;
    }
    lower_plain(x, i);
    if (x->variant == CODE_HOOKED)
        emit(x, hook_step);
    if (i->guard >= 0) {
        emit(x, x->lanes->guard_end);
        x->code[guard].skip = (uint32_t)(x->n_code - guard - 1);
    }
}

/* A segment ends with a control instruction and before one where a branch arrives. */
static void find_segments(struct lowering *x)
{
    size_t n = x->k->n_insns;
    x->p->segment = arena_array(&x->p->arena, n + 1, sizeof *x->p->segment);
    uint32_t start = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (x->k->leader[i] || (i > 0 && lower_stop_kind(&x->k->insns[i - 1]) != STOP_NOT))
            start = i;
        x->p->segment[i] = start;
    }
}

/* Where segment x->insn starts: count the one before if it runs into this one; perhaps paths meet.
 * Returns where branches to it arrive. */
static size_t lower_start(struct lowering *x)
{
    uint32_t at = x->insn;
    bool falls = at > 0 && lower_stop_kind(&x->k->insns[at - 1]) == STOP_NOT;
    if (falls && !x->hooked && x->p->segment[at] == at)
        emit(x, x->lanes->count)->length = at - x->p->segment[at - 1];
    size_t arrival = x->n_code;
    if (x->p->segment[at] == at)
        memset(x->address_base, 0, sizeof x->address_base);
    if (x->k->joins[at])
        emit(x, x->lanes->join)->kind = STOP_JOIN;
    return arrival;
}

static void lower_kernel(struct lowering *x, enum code_variant variant)
{
    struct program *p = x->p;
    size_t n = x->k->n_insns, *entry = arena_array(&x->scratch, n, sizeof *entry);
    size_t *arrival = arena_array(&x->scratch, n, sizeof *arrival);
    x->variant = variant;
    x->hooked = variant != CODE_PLAIN;
    x->code = NULL;
    x->n_code = x->max_code = 0;
    p->entry[variant] = arena_array(&p->arena, n + 1, sizeof *p->entry[variant]);
    for (x->insn = 0; x->insn < n; x->insn++) {
        arrival[x->insn] = lower_start(x);
        entry[x->insn] = x->n_code;
        lower_insn(x, &x->k->insns[x->insn]);
        forget_addresses(x, &x->k->insns[x->insn]);
    }
    if (variant == CODE_PLAIN)
        fuse_steps(x, entry);
    p->code[variant] = arena_array(&p->arena, x->n_code, sizeof *p->code[variant]);
    memcpy(p->code[variant], x->code, x->n_code * sizeof *x->code);
    for (size_t i = 0; i < n; i++)
        p->entry[variant][i] = p->code[variant] + entry[i];
    for (size_t i = 0; i < n; i++)
        if (lower_stop_kind(&x->k->insns[i]) == STOP_BRANCH) {
            struct code *c = &p->code[variant][entry[i]];
            c->target = p->code[variant] + arrival[c->b];
        }
}

static void lower_solo(struct lowering *x)
{
    struct program *p = x->p;
    size_t n = x->k->n_insns, *entry = arena_array(&x->scratch, n, sizeof *entry);
    x->n_code = 0;
    p->solo = arena_array(&p->arena, n + 1, sizeof *p->solo);
    for (x->insn = 0; x->insn < n; x->insn++) {
        entry[x->insn] = x->n_code;
        x->n_symbols = 0;
        if (lower_stop_kind(&x->k->insns[x->insn]) == STOP_NOT)
            lower_plain(x, &x->k->insns[x->insn]);
        emit(x, x->lanes->stop);
    }
    struct code *code = arena_array(&p->arena, x->n_code, sizeof *code);
    memcpy(code, x->code, x->n_code * sizeof *code);
    for (size_t i = 0; i < n; i++)
        p->solo[i] = code + entry[i];
}

struct program *simt_lower(const struct ptx_kernel *k, const struct lanes *lanes)
{
    struct program *p = calloc(1, sizeof *p);
    if (!p)
        abort();
    struct lowering x = {.k = k, .lanes = lanes, .p = p};
    p->hash[0] = k->hash[0];
    p->hash[1] = k->hash[1];
    p->n_insns = k->n_insns;
    p->base_slot = arena_array(&p->arena, k->n_insns + 1, sizeof *p->base_slot);
    p->base_bits = arena_array(&p->arena, k->n_insns + 1, sizeof *p->base_bits);
    find_segments(&x);
    ptx_find_liveness(&x.live, &x.scratch, k);
    fuse_find_groups(&x);
    place_registers(&x);
    for (int v = 0; v < CODE_VARIANTS; v++)
        lower_kernel(&x, (enum code_variant)v);
    x.variant = CODE_HOOKED; /* no step that relies on one before */
    lower_solo(&x);
    place_image(&x);
    arena_fini(&x.scratch);
    return p;
}

void simt_program_free(struct program *p)
{
    if (!p)
        return;
    arena_fini(&p->arena);
    free(p);
}
