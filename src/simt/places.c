/* Places in a warp's register file: for registers, by liveness; for constants, special registers and
 * temporaries. */
#include <stdlib.h>
#include <string.h>

#include "simt/lowering.h"

/* ---- Places ---------------------------------------------------------------------------------------- */
static uint32_t slot_bytes(int bits) { return bits == 1 ? 4 : (uint32_t)bits / 8 * SIMT_LANES; }

static uint32_t take(struct program *p, int bits)
{
    uint32_t align = bits == 1 ? 4 : 64;
    uint32_t at = (p->file_bytes + align - 1) / align * align;
    p->file_bytes = at + slot_bytes(bits);
    return at;
}

/* ---- Registers: packed by the ranges in which they are live, widths apart, because lanes of different
 * widths would overlap where paths diverge. A place is reused in the order of the instructions. ---- */
struct by_start {
    uint32_t first, last, reg;
};

static int compare_starts(const void *a, const void *b)
{
    const struct by_start *x = a, *y = b;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return x->reg < y->reg ? -1 : x->reg > y->reg;
}

/* Places of one width; free from instruction `until` on. */
struct place_pool {
    uint32_t *slot, *until;
    size_t n;
};

/* Where the accumulator of the FMA lies that makes the register: the best place if it is free by then. */
static uint32_t place_of_accumulator(const struct lowering *x, const struct by_start *range)
{
    const struct ptx_insn *i = &x->k->insns[range->first];
    bool makes =
        i->op == PTX_FMA_F32 && i->dst[0] == (int32_t)range->reg && i->src[2].kind == PTX_REG;
    return makes ? x->p->slot[i->src[2].index] : 0;
}

static uint32_t place_one(struct lowering *x, struct place_pool *pool, const struct by_start *range,
                          int bits)
{
    uint32_t best = place_of_accumulator(x, range);
    size_t found = pool->n;
    for (size_t i = 0; i < pool->n; i++)
        if (pool->until[i] <= range->first && (found == pool->n || pool->slot[i] == best))
            found = i;
    if (found == pool->n)
        pool->slot[pool->n++] = take(x->p, bits);
    pool->until[found] = range->last;
    return pool->slot[found];
}

static void place_width(struct lowering *x, const struct ptx_function *f, int bits)
{
    const struct ptx_live_range *range = x->live.range;
    size_t n = 0;
    struct by_start *ranges = arena_array(&x->scratch, f->n_regs + 1, sizeof *ranges);
    for (uint32_t i = f->first_reg; i < f->first_reg + f->n_regs; i++)
        if (x->k->regs[i].bits == bits && range[i].first <= range[i].last)
            ranges[n++] = (struct by_start){range[i].first, range[i].last, i};
    qsort(ranges, n, sizeof *ranges, compare_starts);
    struct place_pool pool = {arena_array(&x->scratch, n + 1, sizeof(uint32_t)),
                              arena_array(&x->scratch, n + 1, sizeof(uint32_t)), 0};
    for (size_t i = 0; i < n; i++)
        x->p->slot[ranges[i].reg] = place_one(x, &pool, &ranges[i], bits);
}

static void find_undefined(struct lowering *x)
{
    struct program *p = x->p;
    p->zeroed = arena_array(&p->arena, x->k->n_regs + 2, sizeof *p->zeroed);
    p->zeroed_bytes = arena_array(&p->arena, x->k->n_regs + 2, sizeof *p->zeroed_bytes);
    p->zeroed_bytes[p->n_zeroed] = slot_bytes(1); /* no CTA sees the carry of the one before */
    p->zeroed[p->n_zeroed++] = x->carry;
    for (size_t i = 0; i < x->k->n_regs; i++)
        if (x->live.range[i].at_entry) {
            p->zeroed_bytes[p->n_zeroed] = slot_bytes(x->k->regs[i].bits);
            p->zeroed[p->n_zeroed++] = p->slot[i];
        }
}

/* Slot 0 is a trash place for discarded results. */
void place_registers(struct lowering *x)
{
    static const int widths[] = {64, 32, 16, 1};
    struct program *p = x->p;
    p->slot = arena_array(&p->arena, x->k->n_regs + 1, sizeof *p->slot);
    take(p, 64);
    x->temps = p->file_bytes;
    for (int i = 0; i < N_TEMPS; i++)
        take(p, 64);
    x->carry = p->carry = take(p, 1);
    p->file_bytes = (p->file_bytes + 63) / 64 * 64;
    x->addresses = p->file_bytes;
    p->file_bytes += N_ADDRESSES * (uint32_t)sizeof(struct address);
    p->frame = arena_array(&p->arena, x->k->n_functions, sizeof *p->frame);
    for (uint32_t f = 0; f < x->k->n_functions;
         f++) { /* one may run while another waits: no shared places */
        p->file_bytes = (p->file_bytes + 63) / 64 * 64;
        p->frame[f].at = p->file_bytes;
        for (int w = 0; w < 4; w++)
            place_width(x, &x->k->functions[f], widths[w]);
        p->frame[f].bytes = p->file_bytes - p->frame[f].at;
    }
    if (x->k->n_functions > 1)
        p->special[PTX_SPECIAL_LOCAL_FRAME] = take(p, 64);
    find_undefined(x);
}

uint32_t place_constant(struct lowering *x, uint64_t value, int bits)
{
    for (size_t i = 0; i < x->n_constants; i++)
        if (x->constants[i].value == value && x->constants[i].bits == bits)
            return x->constants[i].slot;
    if (x->n_constants == x->max_constants) {
        size_t max = x->max_constants ? 2 * x->max_constants : 64;
        struct constant *more = arena_array(&x->scratch, max, sizeof *more);
        if (x->n_constants)
            memcpy(more, x->constants, x->n_constants * sizeof *more);
        x->constants = more;
        x->max_constants = max;
    }
    uint32_t slot = take(x->p, bits);
    x->constants[x->n_constants++] = (struct constant){value, bits, slot};
    return slot;
}

uint32_t place_special(struct lowering *x, uint32_t index)
{
    if (!x->p->special[index])
        x->p->special[index] = take(x->p, ptx_special_bits(index));
    return x->p->special[index];
}

void place_image(struct lowering *x)
{
    struct program *p = x->p;
    p->file_bytes = (p->file_bytes + 63) / 64 * 64;
    p->image = arena_alloc(&p->arena, p->file_bytes);
    for (size_t i = 0; i < x->n_constants; i++) {
        const struct constant *c = &x->constants[i];
        uint32_t lane_bytes = c->bits == 1 ? 4 : (uint32_t)c->bits / 8;
        for (uint32_t l = 0; l < slot_bytes(c->bits) / lane_bytes; l++)
            memcpy(p->image + c->slot + l * lane_bytes, &c->value, lane_bytes);
    }
}
