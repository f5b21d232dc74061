#include "reference.h"

#include <fenv.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ptx/insn.h"
#include "simt/priv.h"

enum state { RUNS, AT_BARRIER, WITH_WARP, OVER };

struct activation { /* of a function */
    uint64_t *reg;
    uint32_t function, return_to, frame; /* frame: where its local memory begins */
    uint64_t used;                       /* of the stack, when it was called */
    struct activation *caller;
};

struct thread {
    uint32_t number, pc;
    enum state state;
    uint32_t barrier; /* the one it waits at */
    uint64_t issued;
    bool carry;
    uint8_t *local;
    uint64_t used; /* frames, and what alloca gave */
    struct activation *top;
};

struct machine {
    const struct simt_launch *l;
    const struct ptx_kernel *k;
    uint8_t *global, *shared, *constants;
    uint64_t global_base, global_size, shared_size;
    uint32_t n_threads, cta[3];
    struct thread *t;
    struct simt_trap trap;
    uint64_t limit, *ran;
};

/* ---- Registers and operands ----------------------------------------------------------------------------- */
static uint64_t cut(uint64_t v, int bits) { return bits >= 64 ? v : v & ((1ull << bits) - 1); }

static uint32_t own(const struct machine *m, const struct thread *t, uint32_t reg)
{
    return reg - m->k->functions[t->top->function].first_reg;
}

static void set(const struct machine *m, struct thread *t, int32_t reg, uint64_t v)
{
    if (reg >= 0)
        t->top->reg[own(m, t, (uint32_t)reg)] = cut(v, m->k->regs[reg].bits);
}

static uint64_t special(const struct machine *m, const struct thread *t, uint32_t s)
{
    const struct simt_launch *l = m->l;
    uint32_t n = t->number, lane = n % 32, below = (1u << lane) - 1;
    switch (s) {
    case PTX_SPECIAL_TID_X:
        return n % l->block[0];
    case PTX_SPECIAL_TID_Y:
        return n / l->block[0] % l->block[1];
    case PTX_SPECIAL_TID_Z:
        return n / l->block[0] / l->block[1];
    case PTX_SPECIAL_NTID_X:
    case PTX_SPECIAL_NTID_Y:
    case PTX_SPECIAL_NTID_Z:
        return l->block[s - PTX_SPECIAL_NTID_X];
    case PTX_SPECIAL_CTAID_X:
    case PTX_SPECIAL_CTAID_Y:
    case PTX_SPECIAL_CTAID_Z:
        return m->cta[s - PTX_SPECIAL_CTAID_X];
    case PTX_SPECIAL_NCTAID_X:
    case PTX_SPECIAL_NCTAID_Y:
    case PTX_SPECIAL_NCTAID_Z:
        return l->grid[s - PTX_SPECIAL_NCTAID_X];
    case PTX_SPECIAL_LANEID:
        return lane;
    case PTX_SPECIAL_WARPID:
        return n / 32;
    case PTX_SPECIAL_NWARPID:
        return (m->n_threads + 31) / 32;
    case PTX_SPECIAL_NSMID:
        return 1;
    case PTX_SPECIAL_LANEMASK_EQ:
        return 1u << lane;
    case PTX_SPECIAL_LANEMASK_LT:
        return below;
    case PTX_SPECIAL_LANEMASK_LE:
        return below << 1 | 1;
    case PTX_SPECIAL_LANEMASK_GE:
        return ~below;
    case PTX_SPECIAL_LANEMASK_GT:
        return ~(below << 1 | 1);
    case PTX_SPECIAL_DYNAMIC_SMEM:
        return l->dynamic_shared;
    case PTX_SPECIAL_TOTAL_SMEM:
        return l->dynamic_shared + m->k->shared_bytes;
    default:
        return 0;
    }
}

static uint64_t symbol(const struct machine *m, const struct thread *t, const struct ptx_operand *o)
{
    const struct ptx_symbol *s = &m->k->symbols[o->index];
    switch (s->kind) {
    case PTX_SYM_SHARED:
        return (s->bytes ? s->address : m->k->shared_bytes) + o->value;
    case PTX_SYM_LOCAL:
    case PTX_SYM_ARGUMENT:
        return t->top->frame + s->address + o->value;
    case PTX_SYM_GLOBAL:
        return m->l->globals + s->address + o->value;
    case PTX_SYM_FUNCTION:
        return PTX_CODE_WINDOW + 16 * s->address;
    default:
        return s->address + o->value;
    }
}

static uint64_t get(const struct machine *m, const struct thread *t, const struct ptx_operand *o)
{
    switch (o->kind) {
    case PTX_REG:
        return t->top->reg[own(m, t, o->index)] ^ o->negated;
    case PTX_IMM:
        return o->value;
    case PTX_SPECIAL:
        return special(m, t, o->index);
    case PTX_SYMBOL:
        return symbol(m, t, o);
    case PTX_NONE:
        break;
    }
    return 0;
}

/* ---- Memory ---------------------------------------------------------------------------------------------- */
static bool trapped(struct machine *m, const struct thread *t, enum trap_kind kind,
                    uint64_t address)
{
    m->trap = (struct simt_trap){.kind = kind,
                                 .insn = t->pc,
                                 .warp = t->number / 32,
                                 .lane = t->number % 32,
                                 .address = address,
                                 .at = m->k->insns[t->pc].at};
    return false;
}

/* The host bytes of an access, or NULL and a trap. */
static uint8_t *at(struct machine *m, const struct thread *t, int space, uint64_t address,
                   unsigned bytes, bool write)
{
    static const struct {
        uint64_t start;
        int space;
    } windows[] = {{SIMT_SHARED_WINDOW, PTX_SPACE_SHARED},
                   {SIMT_LOCAL_WINDOW, PTX_SPACE_LOCAL},
                   {SIMT_CONST_WINDOW, PTX_SPACE_CONST},
                   {SIMT_PARAM_WINDOW, PTX_SPACE_PARAM}};
    uint64_t whole = address, size;
    uint8_t *data;
    if (address % bytes) {
        trapped(m, t, TRAP_MISALIGNED_ADDRESS, address);
        return NULL;
    }
    for (int i = 0; space == PTX_SPACE_GENERIC && i < 4; i++)
        if (address >= windows[i].start && address - windows[i].start < SIMT_WINDOW_BYTES &&
            (i < 2 || !write)) {
            space = windows[i].space;
            address -= windows[i].start;
        }
    switch (space) {
    case PTX_SPACE_SHARED:
        data = m->shared, size = m->shared_size;
        break;
    case PTX_SPACE_LOCAL:
        data = t->local, size = m->k->local_bytes;
        break;
    case PTX_SPACE_CONST:
        data = m->constants, size = m->k->constant_bytes;
        break;
    case PTX_SPACE_PARAM:
        data = (uint8_t *)(uintptr_t)m->l->params, size = m->k->params_bytes;
        break;
    default:
        data = m->global, size = m->global_size, address -= m->global_base;
        break;
    }
    if (address > size || size - address < bytes) {
        trapped(m, t,
                space == PTX_SPACE_SHARED  ? TRAP_SHARED_OUT_OF_RANGE
                : space == PTX_SPACE_LOCAL ? TRAP_LOCAL_OUT_OF_RANGE
                                           : TRAP_ILLEGAL_ADDRESS,
                whole);
        return NULL;
    }
    return data + address;
}

static uint64_t address(const struct machine *m, const struct thread *t,
                        const struct ptx_operand *base, int64_t offset)
{
    uint64_t at = get(m, t, base) + (uint64_t)offset;
    return base->kind == PTX_REG && m->k->regs[base->index].bits == 32 ? at & 0xffffffff : at;
}

static bool load_or_store(struct machine *m, struct thread *t, const struct ptx_insn *i)
{
    bool store = i->op == PTX_ST;
    unsigned n = store ? i->n_src : i->n_dst, bytes = i->mem_bits / 8;
    uint8_t *p = at(m, t, i->space, address(m, t, &i->base, i->offset), n * bytes, store);
    uint64_t v[4] = {0};
    if (!p)
        return false;
    for (unsigned k = 0; k < n; k++, p += bytes)
        if (store) {
            v[k] = get(m, t, &i->src[k]);
            memcpy(p, &v[k], bytes);
        } else {
            memcpy(&v[k], p, bytes);
            if (i->mem_signed && bytes < 8 && v[k] >> (8 * bytes - 1))
                v[k] |= ~0ull << 8 * bytes;
        }
    for (unsigned k = 0; k < n && !store; k++)
        set(m, t, i->dst[k], v[k]);
    return true;
}

static uint64_t combine(const struct ptx_insn *i, uint64_t old, uint64_t b, uint64_t c)
{
    bool wide = i->mem_bits == 64,
         less =
             i->mem_signed ? wide ? (int64_t)b < (int64_t)old : (int32_t)b < (int32_t)old : b < old;
    switch (i->what) {
    case PTX_ATOM_ADD:
        return old + b;
    case PTX_ATOM_FADD:
        return reference_row(wide ? PTX_ADD_F64 : PTX_ADD_F32, old, b, 0);
    case PTX_ATOM_HADD:
        return reference_row(i->mem_bits == 16 ? PTX_ADD_F16 : PTX_ADD_F16X2, old, b, 0);
    case PTX_ATOM_BFADD:
        return reference_row(i->mem_bits == 16 ? PTX_ADD_BF16 : PTX_ADD_BF16X2, old, b, 0);
    case PTX_ATOM_MIN:
        return less ? b : old;
    case PTX_ATOM_MAX:
        return less || b == old ? old : b;
    case PTX_ATOM_INC:
        return old >= b ? 0 : old + 1;
    case PTX_ATOM_DEC:
        return old == 0 || old > b ? b : old - 1;
    case PTX_ATOM_AND:
        return old & b;
    case PTX_ATOM_OR:
        return old | b;
    case PTX_ATOM_XOR:
        return old ^ b;
    case PTX_ATOM_CAS:
        return old == b ? c : old;
    default:
        return b;
    }
}

static bool atomic(struct machine *m, struct thread *t, const struct ptx_insn *i)
{
    unsigned bytes = i->mem_bits / 8;
    uint8_t *p = at(m, t, i->space, address(m, t, &i->base, i->offset), bytes, true);
    uint64_t old = 0;
    if (!p)
        return false;
    memcpy(&old, p, bytes);
    uint64_t v = combine(i, old, cut(get(m, t, &i->src[0]), i->mem_bits),
                         cut(get(m, t, &i->src[1]), i->mem_bits));
    memcpy(p, &v, bytes);
    if (i->n_dst)
        set(m, t, i->dst[0], old);
    return true;
}

static bool copy(struct machine *m, struct thread *t, const struct ptx_insn *i)
{
    unsigned bytes = i->mem_bits / 8;
    uint64_t n = i->n_src > 1 ? get(m, t, &i->src[1]) : bytes;
    const uint8_t *from =
        at(m, t, PTX_SPACE_GLOBAL, address(m, t, &i->base, i->offset), bytes, false);
    uint8_t *to = from ? at(m, t, PTX_SPACE_SHARED, address(m, t, &i->src[0], (int32_t)i->target),
                            bytes, true)
                       : NULL;
    for (unsigned k = 0; to && k < bytes; k++)
        to[k] = k < n ? from[k] : 0;
    return to != NULL;
}

/* ---- One value per lane ------------------------------------------------------------------------------------ */
static uint64_t flush(uint64_t v, enum ptx_type t)
{
    if (t == PTX_T_f32)
        return v & 0x7f800000u ? v : v & 0x80000000u;
    if (t == PTX_T_h)
        return v & 0x7c00 ? v : v & 0x8000;
    if (t == PTX_T_h2)
        return flush(v & 0xffff, PTX_T_h) | flush(v >> 16, PTX_T_h) << 16;
    return v;
}

static uint64_t saturate(uint64_t v, enum ptx_type t)
{
    float f;
    double d;
    uint64_t half_one = t == PTX_T_h || t == PTX_T_h2 ? 0x3c00 : 0x3f80,
             inf = half_one == 0x3c00 ? 0x7c00 : 0x7f80;
    switch (t) {
    case PTX_T_f32:
        memcpy(&f, &v, 4);
        f = isnan(f) || f <= 0 ? 0 : f > 1 ? 1 : f;
        v = 0;
        memcpy(&v, &f, 4);
        return v;
    case PTX_T_f64:
        memcpy(&d, &v, 8);
        d = isnan(d) || d <= 0 ? 0 : d > 1 ? 1 : d;
        memcpy(&v, &d, 8);
        return v;
    case PTX_T_h2:
    case PTX_T_bf2:
        return saturate(v & 0xffff, t == PTX_T_h2 ? PTX_T_h : PTX_T_bf) |
               saturate(v >> 16, t == PTX_T_h2 ? PTX_T_h : PTX_T_bf) << 16;
    case PTX_T_h:
    case PTX_T_bf:
        return (v & 0x7fff) > inf || v & 0x8000 ? 0 : v > half_one ? half_one : v;
    default:
        return v;
    }
}

/* What a .ftz of this row is about: f32, also where it is moved as bits (neg, abs); halves in arithmetic and
 * comparisons, not in conversions. */
static enum ptx_type flushed_type(const struct ptx_row *row, enum ptx_type t)
{
    if ((t == PTX_T_h || t == PTX_T_h2) && row->group != GROUP_FP32 && row->out != PTX_T_p)
        return PTX_T_no;
    return t == PTX_T_u32 && row->group == GROUP_FP32 ? PTX_T_f32 : t;
}

static uint64_t evaluate(const struct ptx_insn *i, int op, const uint64_t in[3])
{
    const struct ptx_row *row = &ptx_rows[op];
    uint64_t v[3];
    for (int n = 0; n < 3; n++) {
        v[n] = cut(in[n], row->in[n] == PTX_T_no ? 64 : ptx_type_bits(row->in[n]));
        if (i->mods & PTX_MOD_FTZ)
            v[n] = flush(v[n], flushed_type(row, row->in[n]));
    }
    fesetround(i->mods & PTX_MOD_RZ   ? FE_TOWARDZERO
               : i->mods & PTX_MOD_RM ? FE_DOWNWARD
               : i->mods & PTX_MOD_RP ? FE_UPWARD
                                      : FE_TONEAREST);
    uint64_t out = reference_row(op, v[0], v[1], v[2]);
    fesetround(FE_TONEAREST);
    if (i->mods & PTX_MOD_FTZ)
        out = flush(out, flushed_type(row, row->out));
    return i->mods & PTX_MOD_SAT ? saturate(out, row->out) : out;
}

static bool with_bool(const struct ptx_insn *i, bool v, bool c)
{
    return i->bool_op == 'a' ? v && c : i->bool_op == 'o' ? v || c : i->bool_op == 'x' ? v != c : v;
}

static void lanes_row(struct machine *m, struct thread *t, const struct ptx_insn *i)
{
    enum ptx_type out = ptx_rows[i->op].out;
    uint64_t in[3] = {0};
    int n_in = i->n_src - (i->bool_op != 0);
    for (int n = 0; n < n_in; n++)
        in[n] = get(m, t, &i->src[n]);
    uint64_t v = evaluate(i, i->op, in);
    if (i->bool_op || i->n_dst > 1) {
        bool c = i->bool_op && get(m, t, &i->src[n_in]) & 1;
        set(m, t, i->dst[0], with_bool(i, v & 1, c));
        if (i->n_dst > 1)
            set(m, t, i->dst[1], with_bool(i, !(v & 1), c));
        return;
    }
    int bits = ptx_type_bits(out);
    bool is_signed = out == PTX_T_s16 || out == PTX_T_s32 || out == PTX_T_s64;
    if (is_signed && bits < 64 && v >> (bits - 1) & 1)
        v |= ~0ull << bits;
    set(m, t, i->dst[0], v);
}

static void comparison(struct machine *m, struct thread *t, const struct ptx_insn *i)
{
    struct ptx_insn plain = *i;
    uint64_t a = get(m, t, &i->src[0]), b = get(m, t, &i->src[1]), one = (uint64_t)i->offset;
    bool c = i->bool_op && get(m, t, &i->src[2]) & 1, pair = i->op != PTX_SET;
    bool low = with_bool(i, evaluate(&plain, i->sub_op, (uint64_t[3]){a, b, 0}) & 1, c);
    bool high =
        pair &&
        with_bool(i, evaluate(&plain, i->sub_op, (uint64_t[3]){a >> 16, b >> 16, 0}) & 1, c);
    if (i->op == PTX_SETP_PAIR) {
        set(m, t, i->dst[0], low);
        if (i->n_dst > 1)
            set(m, t, i->dst[1], high);
    } else {
        set(m, t, i->dst[0], (low ? one : 0) | (high ? one << 16 : 0));
    }
}

static void carry(struct machine *m, struct thread *t, const struct ptx_insn *i)
{
    typedef unsigned __int128 u128;
    int bits = i->mem_bits;
    uint64_t a = cut(get(m, t, &i->src[0]), bits), b = cut(get(m, t, &i->src[1]), bits);
    u128 in = i->what & PTX_WITH_CARRY ? t->carry : 0, v;
    if (i->what & (PTX_LOW_HALF | PTX_HIGH_HALF)) {
        u128 product = (u128)a * b;
        if (i->mem_signed)
            product = bits == 64 ? (u128)((__int128)(int64_t)a * (int64_t)b)
                                 : (u128)(__int128)((int64_t)(int32_t)a * (int32_t)b);
        v = cut((uint64_t)(i->what & PTX_HIGH_HALF ? product >> bits : product), bits);
        v += (u128)cut(get(m, t, &i->src[2]), bits) + in;
    } else if (i->what & PTX_SUBTRACTS) {
        v = (u128)a - b - in;
    } else {
        v = (u128)a + b + in;
    }
    if (i->what & PTX_SETS_CARRY)
        t->carry = v >> bits & 1;
    set(m, t, i->dst[0], (uint64_t)v);
}

static void vector_move(struct machine *m, struct thread *t, const struct ptx_insn *i)
{
    uint64_t v = 0;
    if (i->op == PTX_MOV_PACK) {
        int part = i->mem_bits / i->n_src;
        for (int k = 0; k < i->n_src; k++)
            v |= cut(get(m, t, &i->src[k]), part) << (k * part);
        set(m, t, i->dst[0], v);
        return;
    }
    int part = i->mem_bits / i->n_dst;
    v = get(m, t, &i->src[0]);
    for (int k = 0; k < i->n_dst; k++)
        set(m, t, i->dst[k], cut(v >> (k * part), part));
}

static void four(struct machine *m, struct thread *t, const struct ptx_insn *i)
{
    uint64_t a = get(m, t, &i->src[0]), b = get(m, t, &i->src[1]), c = get(m, t, &i->src[2]),
             d = get(m, t, &i->src[3]), v = 0;
    if (i->op == PTX_LOP3) {
        for (int k = 0; k < 32; k++)
            v |= (d >> ((a >> k & 1) << 2 | (b >> k & 1) << 1 | (c >> k & 1)) & 1) << k;
    } else { /* bfi */
        v = b;
        for (uint64_t k = 0; k < (d & 255) && (c & 255) + k < i->mem_bits; k++) {
            uint64_t to = 1ull << ((c & 255) + k);
            v = a >> k & 1 ? v | to : v & ~to;
        }
    }
    set(m, t, i->dst[0], v);
}

static uint64_t window_of(int space)
{
    return space == PTX_SPACE_SHARED  ? SIMT_SHARED_WINDOW
           : space == PTX_SPACE_LOCAL ? SIMT_LOCAL_WINDOW
           : space == PTX_SPACE_CONST ? SIMT_CONST_WINDOW
           : space == PTX_SPACE_PARAM ? SIMT_PARAM_WINDOW
                                      : 0;
}

static void isspacep(struct machine *m, struct thread *t, const struct ptx_insn *i)
{
    uint64_t a = get(m, t, &i->src[0]);
    int space = PTX_SPACE_GLOBAL;
    for (int s = PTX_SPACE_SHARED; s <= PTX_SPACE_PARAM; s++)
        if (a >= window_of(s) && a - window_of(s) < SIMT_WINDOW_BYTES)
            space = s;
    set(m, t, i->dst[0], space == i->space);
}

static bool take_stack(struct machine *m, struct thread *t, const struct ptx_insn *i)
{
    uint64_t align = i->n_src > 1 && i->src[1].value ? i->src[1].value : 8, at = t->used,
             size = get(m, t, &i->src[0]);
    while (at < m->k->local_bytes && at % align)
        at++;
    if (at > m->k->local_bytes || size > m->k->local_bytes - at)
        return trapped(m, t, TRAP_LOCAL_OUT_OF_RANGE, t->used);
    set(m, t, i->dst[0], at);
    t->used = at + size;
    return true;
}

/* ---- Calls ---------------------------------------------------------------------------------------------------- */
static struct activation *activate(const struct machine *m, uint32_t function, uint32_t frame,
                                   struct activation *caller, uint32_t return_to)
{
    struct activation *a = calloc(1, sizeof *a);
    *a = (struct activation){
        .function = function, .frame = frame, .caller = caller, .return_to = return_to};
    a->reg = calloc(m->k->functions[function].n_regs + 1, sizeof *a->reg);
    return a;
}

static bool call(struct machine *m, struct thread *t, const struct ptx_insn *i)
{
    const struct ptx_call *c = i->call;
    const struct ptx_function *f = m->k->functions;
    uint32_t target = c->function, below = t->top->frame + f[t->top->function].local_bytes;
    uint64_t pointer = i->n_src ? get(m, t, &i->src[0]) : 0;
    for (uint32_t n = 1; i->n_src && n < m->k->n_functions; n++)
        if (f[n].address == pointer)
            target = n;
    if (target == PTX_NOWHERE)
        return trapped(m, t, TRAP_INVALID_PC, pointer);
    if (below + f[target].local_bytes > m->k->frames_bytes)
        return trapped(m, t, TRAP_LOCAL_OUT_OF_RANGE, 0);
    for (uint32_t n = 0; n < c->n_args; n++)
        memcpy(t->local + below + f[target].params[n].address,
               t->local + t->top->frame + c->args[n].address, c->args[n].bytes);
    t->top = activate(m, target, below, t->top, t->pc + 1);
    t->top->used = t->used;
    t->pc = f[target].entry;
    return true;
}

static void leave(struct machine *m, struct thread *t)
{
    struct activation *done = t->top;
    const struct ptx_call *c = done->caller ? m->k->insns[done->return_to - 1].call : NULL;
    t->top = done->caller;
    t->pc = done->return_to;
    t->used = done->used;
    for (uint32_t n = 0; c && n < c->n_rets; n++)
        memcpy(t->local + t->top->frame + c->rets[n].address,
               t->local + done->frame + m->k->functions[done->function].rets[n].address,
               c->rets[n].bytes);
    free(done->reg);
    free(done);
}

static void end(struct machine *m, struct thread *t)
{
    while (t->top)
        leave(m, t);
    t->state = OVER;
}

/* ---- One thread ------------------------------------------------------------------------------------------------- */
static bool step(struct machine *m, struct thread *t, const struct ptx_insn *i)
{
    uint32_t index = i->op == PTX_BRX ? (uint32_t)get(m, t, &i->src[0]) : 0;
    switch (ptx_rows[i->op].shape) {
    case PTX_SHAPE_LANES:
        lanes_row(m, t, i);
        break;
    case PTX_SHAPE_SET:
    case PTX_SHAPE_SET_PAIR:
        comparison(m, t, i);
        break;
    case PTX_SHAPE_MOV_VECTOR:
        vector_move(m, t, i);
        break;
    case PTX_SHAPE_BFI:
    case PTX_SHAPE_LOP3:
        four(m, t, i);
        break;
    case PTX_SHAPE_CARRY:
        carry(m, t, i);
        break;
    case PTX_SHAPE_CVTA:
        set(m, t, i->dst[0],
            get(m, t, &i->src[0]) +
                (i->bool_op == 't' ? 0 - window_of(i->space) : window_of(i->space)));
        break;
    case PTX_SHAPE_ALLOCA:
        if (!take_stack(m, t, i))
            return false;
        break;
    case PTX_SHAPE_STACK:
        if (i->n_dst)
            set(m, t, i->dst[0], t->used);
        else
            t->used = get(m, t, &i->src[0]);
        break;
    case PTX_SHAPE_ISSPACEP:
        isspacep(m, t, i);
        break;
    case PTX_SHAPE_LD:
    case PTX_SHAPE_ST:
        if (!load_or_store(m, t, i))
            return false;
        break;
    case PTX_SHAPE_ATOM:
        if (!atomic(m, t, i))
            return false;
        break;
    case PTX_SHAPE_COPY:
        if (!copy(m, t, i))
            return false;
        break;
    case PTX_SHAPE_BRA:
        t->pc = i->target;
        return true;
    case PTX_SHAPE_BRX:
        if (index >= i->n_targets)
            return trapped(m, t, TRAP_INVALID_PC, index);
        t->pc = i->targets[index];
        return true;
    case PTX_SHAPE_CALL:
        return call(m, t, i);
    case PTX_SHAPE_NONE:
        if (i->op == PTX_TRAP)
            return trapped(m, t, TRAP_INVALID_PC, 0);
        if (i->op == PTX_RET && t->top->caller) {
            leave(m, t);
            return true;
        }
        end(m, t);
        return true;
    case PTX_SHAPE_BAR:
        t->state = i->what == PTX_BAR_ARRIVE ? RUNS : AT_BARRIER;
        t->barrier = (uint32_t)get(m, t, &i->src[0]) % 16;
        break;
    case PTX_SHAPE_VOTE:
    case PTX_SHAPE_SHFL:
    case PTX_SHAPE_ACTIVEMASK:
    case PTX_SHAPE_MATCH:
    case PTX_SHAPE_REDUX:
        t->state = WITH_WARP;
        return true; /* pc stays */
    case PTX_SHAPE_REFUSED:
        return trapped(m, t, TRAP_INVALID_PC, 0);
    case PTX_SHAPE_FENCE:
    case PTX_SHAPE_HINT:
        break;
    }
    t->pc++;
    return true;
}

static bool run_thread(struct machine *m, struct thread *t)
{
    while (t->state == RUNS) {
        const struct ptx_insn *i = &m->k->insns[t->pc];
        bool on =
            i->guard < 0 || (t->top->reg[own(m, t, (uint32_t)i->guard)] & 1) != i->guard_negated;
        if (t->issued++ > m->limit)
            return trapped(m, t, TRAP_HANG, 0);
        if (m->ran && on)
            m->ran[i->op]++;
        if (!on)
            t->pc++;
        else if (!step(m, t, i))
            return false;
    }
    return true;
}

/* ---- Threads together ------------------------------------------------------------------------------------------- */
/* The threads of a warp that wait at the same instruction do it together: all that have not ended. */
static uint64_t vote(const struct ptx_insn *i, uint32_t yes, uint32_t all)
{
    switch (i->what) {
    case PTX_VOTE_ALL:
        return yes == all;
    case PTX_VOTE_ANY:
        return yes != 0;
    case PTX_VOTE_UNI:
        return yes == all || !yes;
    default:
        return yes;
    }
}

/* Of the PTX manual's pseudo-code. */
static int shuffle_source(const struct ptx_insn *i, int lane, uint32_t b, uint32_t c, bool *inside)
{
    int segment = (int)(c >> 8 & 31), clamp = (int)(c & 31), distance = (int)(b & 31);
    int max = (lane & segment) | (clamp & ~segment), min = lane & segment, j;
    switch (i->what) {
    case PTX_SHFL_UP:
        j = lane - distance, *inside = j >= max;
        break;
    case PTX_SHFL_DOWN:
        j = lane + distance, *inside = j <= max;
        break;
    case PTX_SHFL_BFLY:
        j = lane ^ distance, *inside = j <= max;
        break;
    default:
        j = min | (distance & ~segment), *inside = j <= max;
    }
    return *inside ? j : lane;
}

static void together(struct machine *m, struct thread *warp, uint32_t n, const struct ptx_insn *i)
{
    uint64_t a[32] = {0}, out[32] = {0}, second[32] = {0};
    uint32_t all = 0, yes = 0;
    for (uint32_t l = 0; l < n; l++)
        if (warp[l].state == WITH_WARP) {
            all |= 1u << l;
            a[l] = i->n_src ? get(m, &warp[l], &i->src[0]) : 0;
            yes |= (uint32_t)(a[l] & 1) << l;
        }
    for (uint32_t l = 0; l < n; l++) {
        bool inside, first = true;
        if (!(all >> l & 1))
            continue;
        switch (ptx_rows[i->op].shape) {
        case PTX_SHAPE_VOTE:
            out[l] = vote(i, yes, all);
            break;
        case PTX_SHAPE_SHFL:
            out[l] = a[shuffle_source(i, (int)l, (uint32_t)get(m, &warp[l], &i->src[1]),
                                      (uint32_t)get(m, &warp[l], &i->src[2]), &inside)];
            second[l] = inside;
            break;
        case PTX_SHAPE_MATCH:
            for (uint32_t q = 0; q < n; q++)
                out[l] |= (uint64_t)(all >> q & 1 && a[q] == a[l]) << q;
            if (i->what == PTX_MATCH_ALL)
                out[l] = out[l] == all ? all : 0;
            second[l] = out[l] != 0;
            break;
        case PTX_SHAPE_REDUX:
            for (uint32_t q = 0; q < n; q++)
                if (all >> q & 1) {
                    out[l] = first ? a[q] : combine(i, cut(out[l], 32), a[q], 0);
                    first = false;
                }
            break;
        default:
            out[l] = all;
        }
    }
    for (uint32_t l = 0; l < n; l++)
        if (all >> l & 1) {
            set(m, &warp[l], i->dst[0], out[l]);
            if (i->n_dst > 1)
                set(m, &warp[l], i->dst[1], second[l]);
            warp[l].pc++;
            warp[l].state = RUNS;
        }
}

static bool meet_in_warps(struct machine *m)
{
    bool any = false;
    for (uint32_t start = 0; start < m->n_threads; start += 32) {
        uint32_t n = m->n_threads - start < 32 ? m->n_threads - start : 32, waiting = 0, live = 0,
                 pc = 0;
        bool same = true;
        for (uint32_t l = 0; l < n; l++) {
            const struct thread *t = &m->t[start + l];
            live += t->state != OVER;
            if (t->state != WITH_WARP)
                continue;
            same &= !waiting || pc == t->pc;
            pc = t->pc;
            waiting++;
        }
        if (waiting && waiting == live && same) {
            together(m, m->t + start, n, &m->k->insns[pc]);
            any = true;
        }
    }
    return any;
}

static bool meet_at_barriers(struct machine *m)
{
    bool any = false;
    for (uint32_t b = 0; b < 16; b++) {
        uint32_t waiting = 0, live = 0, yes = 0, expected = 0;
        for (uint32_t n = 0; n < m->n_threads; n++) {
            struct thread *t = &m->t[n];
            live += t->state != OVER;
            if (t->state != AT_BARRIER || t->barrier != b)
                continue;
            const struct ptx_insn *i = &m->k->insns[t->pc - 1];
            waiting++;
            if (i->n_src > (i->n_dst ? 2 : 1))
                expected = (uint32_t)get(m, t, &i->src[1]);
            if (i->n_dst)
                yes += (uint32_t)(get(m, t, &i->src[i->n_src - 1]) & 1);
        }
        if (!waiting || waiting < (expected ? expected : live))
            continue;
        for (uint32_t n = 0; n < m->n_threads; n++) {
            struct thread *t = &m->t[n];
            if (t->state != AT_BARRIER || t->barrier != b)
                continue;
            const struct ptx_insn *i = &m->k->insns[t->pc - 1];
            if (i->n_dst)
                set(m, t, i->dst[0],
                    i->what == PTX_BAR_POPC  ? yes
                    : i->what == PTX_BAR_AND ? yes == waiting
                                             : yes > 0);
            t->state = RUNS;
        }
        any = true;
    }
    return any;
}

static bool run_cta(struct machine *m)
{
    for (;;) {
        bool all_over = true;
        for (uint32_t n = 0; n < m->n_threads; n++) {
            if (!run_thread(m, &m->t[n]))
                return false;
            all_over &= m->t[n].state == OVER;
        }
        if (all_over)
            return true;
        if (!meet_in_warps(m) && !meet_at_barriers(m)) {
            uint32_t n = 0;
            while (m->t[n].state == OVER)
                n++;
            m->t[n].pc -= m->t[n].state == AT_BARRIER; /* it had gone on to the next instruction */
            return trapped(m, &m->t[n], TRAP_BARRIER_DEADLOCK, 0);
        }
    }
}

struct simt_trap reference_run(struct simt_mem *mem, const struct simt_launch *l, uint64_t limit,
                               uint64_t *ran)
{
    struct simt_mem_view view = simt_mem_view(mem);
    const struct ptx_kernel *k = l->kernel;
    struct machine m = {.l = l,
                        .k = k,
                        .global = simt_mem_data(mem),
                        .global_base = view.base,
                        .global_size = view.size,
                        .limit = limit,
                        .ran = ran,
                        .n_threads = l->block[0] * l->block[1] * l->block[2],
                        .shared_size = k->shared_bytes + l->dynamic_shared};
    m.t = calloc(m.n_threads, sizeof *m.t);
    m.shared = malloc(m.shared_size + 1);
    m.constants = calloc(k->constant_bytes + 1, 1);
    uint8_t *local = malloc((size_t)m.n_threads * k->local_bytes + 1);
    if (k->constant_bytes)
        memcpy(m.constants, k->constants, k->constant_bytes);
    for (uint64_t c = 0; c < simt_n_ctas(l) && m.trap.kind == TRAP_NONE; c++) {
        m.cta[0] = (uint32_t)(c % l->grid[0]);
        m.cta[1] = (uint32_t)(c / l->grid[0] % l->grid[1]);
        m.cta[2] = (uint32_t)(c / l->grid[0] / l->grid[1]);
        memset(m.shared, 0, m.shared_size);
        memset(local, 0, (size_t)m.n_threads * k->local_bytes);
        for (uint32_t n = 0; n < m.n_threads; n++)
            m.t[n] = (struct thread){.number = n,
                                     .local = local + (size_t)n * k->local_bytes,
                                     .used = k->frames_bytes,
                                     .top = activate(&m, 0, 0, NULL, 0)};
        run_cta(&m);
        for (uint32_t n = 0; n < m.n_threads; n++)
            end(&m, &m.t[n]);
        m.trap.cta = c;
    }
    free(m.t);
    free(m.shared);
    free(m.constants);
    free(local);
    return m.trap;
}
