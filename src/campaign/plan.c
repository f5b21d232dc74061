/* Instructions as the concurrent engine sees them: which registers they read and write, and where. */
#include <stdlib.h>

#include "campaign/concurrent.h"

static bool is_memory(const struct ptx_insn *i) { return i->op == PTX_LD || i->op == PTX_ST; }

static bool supported(const struct ptx_kernel *k, const struct ptx_insn *i)
{
    if (i->guard >= 0 && i->op != PTX_BRA)
        return false;
    if (i->op == PTX_BAR) {
        if (i->what != PTX_BAR_SYNC)
            return false;
        for (int n = 0; n < i->n_src; n++)
            if (i->src[n].kind == PTX_REG)
                return false;
        return true;
    }
    if (i->op == PTX_BRA || i->op == PTX_RET || i->op == PTX_EXIT || i->op == PTX_TRAP)
        return true;
    if (!is_memory(i)) /* carry, votes, atomics..: not a matter of one lane */
        return ptx_is_lanewise(i);
    if (i->space == PTX_SPACE_PARAM && i->op == PTX_LD)
        return i->base.kind != PTX_REG;
    if ((i->space != PTX_SPACE_GLOBAL && i->space != PTX_SPACE_SHARED) || i->mem_bits < 32)
        return false;
    if (i->base.kind == PTX_IMM || i->base.kind == PTX_SPECIAL)
        return false;
    if (i->base.kind == PTX_SYMBOL && k->symbols[i->base.index].kind == PTX_SYM_GLOBAL)
        return false;
    for (int n = 0; n < i->n_dst; n++)
        if (i->dst[n] >= 0 && k->regs[i->dst[n]].bits != i->mem_bits)
            return false;
    for (int n = 0; i->op == PTX_ST && n < i->n_src; n++)
        if (!(i->src[n].kind == PTX_REG && k->regs[i->src[n].index].bits == i->mem_bits) &&
            i->src[n].kind != PTX_IMM)
            return false;
    return true;
}

bool plans_supported(const struct ptx_kernel *k)
{
    for (size_t i = 0; i < k->n_insns; i++)
        if (!supported(k, &k->insns[i]))
            return false;
    return k->local_bytes == 0 && k->n_functions == 1;
}

static struct row row_of(const struct plans *p, uint32_t reg)
{
    return (struct row){reg, p->program->slot[reg], p->kernel->regs[reg].bits};
}

static void add_source(struct plan *plan, const struct plans *p, const struct ptx_operand *o)
{
    if (o->kind == PTX_REG) {
        for (int n = 0; n < plan->n_src; n++)
            if (plan->src[n].reg == o->index)
                return;
        plan->src[plan->n_src++] = row_of(p, o->index);
    } else if (o->kind == PTX_SPECIAL) {
        plan->fixed[plan->n_fixed++] =
            (struct row){0, p->program->special[o->index],
                         (uint8_t)ptx_special_bits(o->index)};
    }
}

static void plan_base(struct plan *plan, const struct plans *p, const struct ptx_insn *i)
{
    const struct ptx_kernel *k = p->kernel;
    plan->offset = (uint64_t)i->offset;
    if (i->base.kind == PTX_REG) {
        plan->has_base = true;
        plan->base = row_of(p, i->base.index);
    } else if (i->base.kind == PTX_SYMBOL) {
        const struct ptx_symbol *s = &k->symbols[i->base.index];
        bool dynamic = s->kind == PTX_SYM_SHARED && s->bytes == 0;
        plan->offset += (dynamic ? k->shared_bytes : s->address) + i->base.value;
    }
}

static void plan_memory(struct plan *plan, const struct plans *p, const struct ptx_insn *i)
{
    if (i->space == PTX_SPACE_PARAM)
        return; /* the same in every machine; plan->dst are overwritten */
    plan->kind = i->op == PTX_LD ? PLAN_LOAD : PLAN_STORE;
    plan->shared = i->space == PTX_SPACE_SHARED;
    plan->elements = i->op == PTX_LD ? i->n_dst : i->n_src;
    plan->words = i->mem_bits / 32;
    plan_base(plan, p, i);
    for (int n = 0; i->op == PTX_ST && n < i->n_src; n++) {
        plan->value[n][0] = (uint32_t)i->src[n].value;
        plan->value[n][1] = (uint32_t)(i->src[n].value >> 32);
        plan->src[n] = i->src[n].kind == PTX_REG ? row_of(p, i->src[n].index) : (struct row){0};
    }
}

static void plan_insn(struct plan *plan, const struct plans *p, size_t insn,
                      const struct fault_kind *kind)
{
    const struct ptx_insn *i = &p->kernel->insns[insn];
    plan->targets = (uint8_t)inject_targets(p->kernel, insn, kind);
    if (i->op == PTX_BRA) {
        if (i->guard >= 0) {
            plan->kind = PLAN_BRANCH;
            plan->src[0] = row_of(p, (uint32_t)i->guard);
        }
        return;
    }
    if (i->op == PTX_BAR) {
        plan->kind = PLAN_BARRIER;
        return;
    }
    if (is_memory(i)) {
        /* loads keep the place of each element, discarded ones have none */
        plan_memory(plan, p, i);
        for (int n = 0; n < i->n_dst; n++)
            plan->dst[plan->n_dst++] = i->dst[n] < 0 ? (struct row){0}
                                                     : row_of(p, (uint32_t)i->dst[n]);
        return;
    }
    for (int n = 0; n < i->n_src; n++)
        add_source(plan, p, &i->src[n]);
    for (int n = 0; n < i->n_dst; n++)
        if (i->dst[n] >= 0)
            plan->dst[plan->n_dst++] = row_of(p, (uint32_t)i->dst[n]);
    plan->kind = plan->n_dst ? PLAN_LANES : PLAN_NONE;
}

struct plans *plans_new(const struct ptx_kernel *k, const struct program *program,
                        const struct fault_kind *kind)
{
    struct plans *p = calloc(1, sizeof *p);
    if (!p)
        abort();
    p->kernel = k;
    p->program = program;
    p->plan = arena_array(&p->arena, k->n_insns, sizeof *p->plan);
    ptx_find_liveness(&p->live, &p->arena, k);
    for (size_t i = 0; i < k->n_insns; i++)
        plan_insn(&p->plan[i], p, i, kind);
    return p;
}

void plans_free(struct plans *p)
{
    if (!p)
        return;
    arena_fini(&p->arena);
    free(p);
}
