/* Instructions as the concurrent engine sees them: which registers they read and write, and where;
 * and what lies between a branch and the place where its ways meet. */
#include <stdlib.h>

#include "campaign/concurrent.h"

static bool is_memory(const struct ptx_insn *i) { return i->op == PTX_LD || i->op == PTX_ST; }

/* Lane by lane, from registers to registers. Carries are registers, too. */
static bool is_lanes(const struct ptx_insn *i)
{
    return ptx_is_lanewise(i) || ptx_rows[i->op].shape == PTX_SHAPE_CARRY;
}

/* Does the instruction depend on what lists do not hold: when it runs, who called, who else
 * arrives? */
static bool is_beyond(const struct ptx_insn *i)
{
    for (int n = 0; n < i->n_src; n++)
        if (i->src[n].kind == PTX_SPECIAL && i->src[n].index >= PTX_SPECIAL_CLOCK)
            return true;
    enum ptx_shape shape = ptx_rows[i->op].shape;
    return shape == PTX_SHAPE_COPY || shape == PTX_SHAPE_CALL ||
           (shape == PTX_SHAPE_BAR && i->n_dst > 0);
}

bool plans_supported(const struct ptx_kernel *k)
{
    for (size_t i = 0; i < k->n_insns; i++)
        if (is_beyond(&k->insns[i]))
            return false;
    return k->n_functions == 1;
}

/* Loads of arguments and constants at known places are the same in every machine. */
static bool is_constant_load(const struct ptx_insn *i)
{
    return i->op == PTX_LD && (i->space == PTX_SPACE_PARAM || i->space == PTX_SPACE_CONST) &&
           !i->argument && i->base.kind != PTX_REG && i->base.kind != PTX_SPECIAL;
}

static bool is_variable(const struct ptx_kernel *k, const struct ptx_operand *o)
{
    return o->kind == PTX_SYMBOL && k->symbols[o->index].kind == PTX_SYM_GLOBAL;
}

/* Whole words of global or shared memory, in registers as wide. */
static bool is_easy_access(const struct ptx_kernel *k, const struct ptx_insn *i)
{
    if (!is_memory(i) || (i->space != PTX_SPACE_GLOBAL && i->space != PTX_SPACE_SHARED) ||
        i->mem_bits < 32 || i->base.kind == PTX_IMM || i->base.kind == PTX_SPECIAL ||
        is_variable(k, &i->base))
        return false;
    for (int n = 0; i->op == PTX_LD && n < i->n_dst; n++)
        if (i->dst[n] >= 0 && k->regs[i->dst[n]].bits != i->mem_bits)
            return false;
    for (int n = 0; i->op == PTX_ST && n < i->n_src; n++)
        if (!(i->src[n].kind == PTX_REG && k->regs[i->src[n].index].bits == i->mem_bits) &&
            i->src[n].kind != PTX_IMM)
            return false;
    return true;
}

struct row plans_row(const struct plans *p, uint32_t reg)
{
    if (reg == p->kernel->n_regs)
        return (struct row){reg, p->program->carry, 1};
    return (struct row){reg, p->program->slot[reg], p->kernel->regs[reg].bits};
}

static void add_source(struct plan *plan, const struct plans *p, const struct ptx_operand *o)
{
    if (o->kind == PTX_REG) {
        for (int n = 0; n < plan->n_src; n++)
            if (plan->src[n].reg == o->index)
                return;
        plan->src[plan->n_src++] = plans_row(p, o->index);
    } else if (o->kind == PTX_SPECIAL) {
        plan->fixed[plan->n_fixed++] =
            (struct row){0, p->program->special[o->index], (uint8_t)ptx_special_bits(o->index)};
    }
}

static void plan_base(struct plan *plan, const struct plans *p, const struct ptx_insn *i)
{
    const struct ptx_kernel *k = p->kernel;
    plan->offset = (uint64_t)i->offset;
    if (i->base.kind == PTX_REG) {
        plan->has_base = true;
        plan->base = plans_row(p, i->base.index);
    } else if (i->base.kind == PTX_SYMBOL) {
        const struct ptx_symbol *s = &k->symbols[i->base.index];
        bool dynamic = s->kind == PTX_SYM_SHARED && s->bytes == 0;
        plan->variable = s->kind == PTX_SYM_GLOBAL;
        plan->offset += (dynamic ? k->shared_bytes : s->address) + i->base.value;
    } else {
        plan->offset += i->base.value;
    }
}

static void plan_memory(struct plan *plan, const struct plans *p, const struct ptx_insn *i)
{
    plan->kind = i->op == PTX_LD ? PLAN_LOAD : PLAN_STORE;
    plan->shared = i->space == PTX_SPACE_SHARED;
    plan->elements = i->op == PTX_LD ? i->n_dst : i->n_src;
    plan->words = i->mem_bits / 32;
    for (int n = 0; i->op == PTX_ST && n < i->n_src; n++) {
        plan->value[n][0] = (uint32_t)i->src[n].value;
        plan->value[n][1] = (uint32_t)(i->src[n].value >> 32);
        plan->src[n] = i->src[n].kind == PTX_REG ? plans_row(p, i->src[n].index) : (struct row){0};
    }
}

/* A plain fma of registers that are not the same; `which` operand each source is. */
static void find_fma(struct plan *plan, const struct ptx_insn *i)
{
    if (i->op != PTX_FMA_F32 || i->mods || plan->n_dst != 1 || plan->dst[0].bits != 32)
        return;
    int n = 0;
    for (int o = 0; o < i->n_src; o++) {
        if (i->src[o].kind == PTX_SPECIAL)
            return;
        if (i->src[o].kind == PTX_REG) {
            if (n == plan->n_src || plan->src[n].reg != i->src[o].index || plan->src[n].bits != 32)
                return;
            plan->which[n++] = (uint8_t)o;
        }
    }
    plan->kind = PLAN_FMA;
}

static void plan_lanes(struct plan *plan, const struct plans *p, const struct ptx_insn *i)
{
    plan->kind = PLAN_LANES;
    for (int n = 0; n < i->n_src; n++)
        add_source(plan, p, &i->src[n]);
    if (ptx_rows[i->op].shape == PTX_SHAPE_CARRY) {
        uint32_t carry = (uint32_t)p->kernel->n_regs;
        if (i->what & PTX_WITH_CARRY)
            plan->src[plan->n_src++] = plans_row(p, carry);
        if (i->what & PTX_SETS_CARRY)
            plan->dst[plan->n_dst++] = plans_row(p, carry);
    }
    find_fma(plan, i);
}

static void note_read(void *ctx, uint32_t reg, bool write)
{
    struct plan *plan = ctx;
    for (int n = 0; n < plan->n_reads; n++)
        if (plan->reads[n] == reg)
            return;
    if (!write)
        plan->reads[plan->n_reads++] = reg;
}

static void plan_insn(struct plan *plan, const struct plans *p, size_t insn,
                      const struct fault_kind *kind)
{
    const struct ptx_insn *i = &p->kernel->insns[insn];
    plan->targets = (uint8_t)inject_targets(p->kernel, insn, kind);
    plan->kind = PLAN_HARD;
    ptx_each_register(i, note_read, plan);
    if (i->guard >= 0) {
        plan->guarded = true;
        plan->guard_negated = i->guard_negated;
        plan->guard = plans_row(p, (uint32_t)i->guard);
    }
    if (is_memory(i) || i->op == PTX_ATOM || i->op == PTX_RED)
        plan_base(plan, p, i);
    /* loads keep the place of each element, discarded ones have none */
    bool easy = is_easy_access(p->kernel, i);
    for (int n = 0; n < i->n_dst; n++)
        if (i->dst[n] >= 0 || easy)
            plan->dst[plan->n_dst++] =
                i->dst[n] < 0 ? (struct row){0} : plans_row(p, (uint32_t)i->dst[n]);
    if (ptx_rows[i->op].shape == PTX_SHAPE_BRA || ptx_rows[i->op].shape == PTX_SHAPE_NONE)
        plan->kind = i->guard < 0 ? PLAN_NOTHING : i->op == PTX_BRA ? PLAN_BRANCH : PLAN_HARD;
    else if (i->op == PTX_BAR && plan->n_reads == 0)
        plan->kind = PLAN_BARRIER;
    else if (easy)
        plan_memory(plan, p, i);
    else if (is_lanes(i))
        plan_lanes(plan, p, i);
    if (plan->kind == PLAN_LANES || plan->kind == PLAN_FMA)
        for (int s = 0; s < plan->n_src; s++) /* the carry */
            note_read(plan, plan->src[s].reg, false);
    if (is_constant_load(i)) { /* nothing to do but to overwrite */
        plan->kind = PLAN_LANES;
        plan->n_src = 0;
    }
}

/* ---- Regions
 * ---------------------------------------------------------------------------------------- */

struct survey {
    struct plans *p;
    uint32_t branch, meet;
    bool *seen, *use, *def, *special;
    uint32_t *todo;
    size_t n_todo;
    struct region *region;
};

static void visit(struct survey *s, uint32_t insn)
{
    if (insn == s->meet || s->seen[insn])
        return;
    s->seen[insn] = true;
    s->todo[s->n_todo++] = insn;
}

static void note_use(void *ctx, uint32_t reg, bool write)
{
    struct survey *s = ctx;
    (write ? s->def : s->use)[reg] = true;
}

static bool survey_insn(struct survey *s, uint32_t insn)
{
    const struct ptx_insn *i = &s->p->kernel->insns[insn];
    const struct plan *plan = &s->p->plan[insn];
    bool branch = i->op == PTX_BRA;
    if (!branch && (plan->kind < PLAN_LANES || plan->kind > PLAN_STORE))
        return false;
    if (plan->kind == PLAN_STORE)
        s->region->simple = false;
    if (ptx_rows[i->op].shape == PTX_SHAPE_CARRY)
        return false;
    if (plan->kind == PLAN_LOAD)
        s->region->loads[plan->shared] = true;
    ptx_each_register(i, note_use, s);
    for (int n = 0; n < i->n_src; n++)
        if (i->src[n].kind == PTX_SPECIAL)
            s->special[i->src[n].index] = true;
    if (branch)
        visit(s, i->target);
    if (!branch || i->guard >= 0) {
        if (insn + 1 >= s->p->kernel->n_insns)
            return false;
        visit(s, insn + 1);
    }
    return true;
}

static void list_region(struct survey *s)
{
    struct plans *p = s->p;
    struct region *r = s->region;
    size_t n_regs = p->kernel->n_regs;
    struct row *use = arena_array(&p->arena, n_regs + 1, sizeof *use);
    struct row *def = arena_array(&p->arena, n_regs + 1, sizeof *def);
    struct row *fixed = arena_array(&p->arena, PTX_N_SPECIALS + 1, sizeof *fixed);
    bool *live = arena_array(&p->arena, n_regs + 1, sizeof *live);
    for (uint32_t reg = 0; reg < n_regs; reg++) {
        if ((s->use[reg] || s->def[reg]) && plans_live(p, reg, s->branch))
            use[r->n_use++] = plans_row(p, reg);
        if (s->def[reg]) {
            live[r->n_def] = plans_live(p, reg, s->meet);
            def[r->n_def++] = plans_row(p, reg);
        }
    }
    for (uint32_t n = 0; n < PTX_N_SPECIALS; n++)
        if (s->special[n])
            fixed[r->n_fixed++] =
                (struct row){0, p->program->special[n], (uint8_t)ptx_special_bits(n)};
    r->use = use;
    r->def = def;
    r->fixed = fixed;
    r->live = live;
}

static void find_region(struct plans *p, uint32_t branch)
{
    const struct ptx_kernel *k = p->kernel;
    struct arena scratch = {0};
    struct survey s = {.p = p,
                       .branch = branch,
                       .meet = k->insns[branch].reconverge,
                       .region = &p->plan[branch].region};
    if (s.meet == PTX_NOWHERE)
        return;
    s.seen = arena_array(&scratch, k->n_insns, sizeof *s.seen);
    s.todo = arena_array(&scratch, k->n_insns, sizeof *s.todo);
    s.use = arena_array(&scratch, k->n_regs + 1, sizeof *s.use);
    s.def = arena_array(&scratch, k->n_regs + 1, sizeof *s.def);
    s.special = arena_array(&scratch, PTX_N_SPECIALS, sizeof *s.special);
    visit(&s, branch);
    s.region->passive = s.region->simple = true;
    while (s.n_todo && s.region->passive)
        s.region->passive = survey_insn(&s, s.todo[--s.n_todo]);
    s.region->simple &= s.region->passive;
    if (s.region->passive)
        list_region(&s);
    arena_fini(&scratch);
}

struct plans *plans_new(const struct ptx_kernel *k, const struct program *program,
                        const struct fault_kind *kind)
{
    struct plans *p = calloc(1, sizeof *p);
    if (!p)
        abort();
    p->kernel = k;
    p->program = program;
    p->n_regs = k->n_regs + 1;
    p->plan = arena_array(&p->arena, k->n_insns, sizeof *p->plan);
    ptx_find_live_sets(&p->live, &p->arena, k);
    for (size_t i = 0; i < k->n_insns; i++)
        plan_insn(&p->plan[i], p, i, kind);
    for (uint32_t i = 0; i < k->n_insns; i++)
        if (p->plan[i].kind == PLAN_BRANCH)
            find_region(p, i);
    return p;
}

void plans_free(struct plans *p)
{
    if (!p)
        return;
    arena_fini(&p->arena);
    free(p);
}
