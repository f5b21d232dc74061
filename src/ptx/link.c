/* Bodies -> kernels: a kernel gets the code of all functions that it may call behind its own, with
 * registers of their own, so that whoever runs or changes it sees one program. */
#include <string.h>

#include "ptx/parser.h"

enum { MAX_FUNCTIONS = 1 << 14, MAX_LINKED = 1 << 24 };

struct link {
    struct parser *p;
    struct ptx_kernel *k;
    struct arena scratch;
    uint32_t *number; /* body -> function of the kernel, or PTX_NOWHERE */
    uint32_t *body;   /* function -> body */
    struct ptx_function *f;
    uint32_t n;
    bool pointers;  /* some call goes through a pointer */
    size_t *linked; /* instructions so far in the module */
};

static int add_function(struct link *l, uint32_t body)
{
    if (l->number[body] != PTX_NOWHERE)
        return OK;
    if (l->n == MAX_FUNCTIONS)
        return diag_fail(l->p->d, ERR_UNSUPPORTED, l->k->at,
                         "kernel '%s' calls more than %d functions", l->k->name, MAX_FUNCTIONS);
    l->number[body] = l->n;
    l->body[l->n++] = body;
    return OK;
}

static int add_pointed_at(struct link *l)
{
    for (uint32_t b = 0; b < l->p->bodies.n; b++)
        if (body_at(l->p, b)->pointed_at && body_at(l->p, b)->defined && add_function(l, b) != OK)
            return ERR_UNSUPPORTED;
    return OK;
}

/* What a call passes must be what the function takes. */
static bool fits(const struct ptx_call *c, const struct ptx_body *b)
{
    bool ok = c->n_args == b->n_params && c->n_rets <= b->n_rets;
    for (uint32_t i = 0; ok && i < c->n_args; i++)
        ok = c->args[i].bytes == b->params[i].bytes;
    for (uint32_t i = 0; ok && i < c->n_rets; i++)
        ok = c->rets[i].bytes == b->rets[i].bytes;
    return ok;
}

static int add_called(struct link *l, uint32_t body)
{
    struct ptx_body *b = body_at(l->p, body);
    for (size_t i = 0; i < b->n_insns; i++) {
        struct ptx_insn *at = &b->insns[i];
        if (at->op != PTX_CALL || at->call->runtime)
            continue;
        if (at->call->function == PTX_NOWHERE) {
            if (!l->pointers && add_pointed_at(l) != OK)
                return ERR_UNSUPPORTED;
            l->pointers = true;
            continue;
        }
        const struct ptx_body *f = body_at(l->p, at->call->function);
        if (!f->defined && l->p->lazy) {
            at->op = PTX_REFUSED;
            continue;
        }
        if (!f->defined)
            return diag_fail(l->p->d, ERR_UNSUPPORTED, at->at,
                             "'%s' calls '%s', which this file does not define", b->name, f->name);
        if (!fits(at->call, f))
            return diag_fail(l->p->d, ERR_INPUT, at->at, "'%s' does not take what is passed to it",
                             f->name);
        if (add_function(l, at->call->function) != OK)
            return ERR_UNSUPPORTED;
    }
    return OK;
}

/* ---- Which functions call each other, and how much local memory they need ------------------------------- */
static void each_callee(const struct link *l, uint32_t f, void (*visit)(void *ctx, uint32_t g),
                        void *ctx)
{
    const struct ptx_body *b = body_at(l->p, l->body[f]);
    for (size_t i = 0; i < b->n_insns; i++) {
        if (b->insns[i].op != PTX_CALL || b->insns[i].call->runtime)
            continue;
        if (b->insns[i].call->function != PTX_NOWHERE)
            visit(ctx, l->number[b->insns[i].call->function]);
        for (uint32_t g = 0; g < l->n && b->insns[i].call->function == PTX_NOWHERE; g++)
            if (body_at(l->p, l->body[g])->pointed_at)
                visit(ctx, g);
    }
}

struct depth {
    uint32_t *callers; /* calls to each that are not accounted for yet */
    uint64_t *above;   /* most bytes of callers */
    uint64_t here;
};

static void count_caller(void *ctx, uint32_t g) { ((struct depth *)ctx)->callers[g]++; }

static void pass_down(void *ctx, uint32_t g)
{
    struct depth *d = ctx;
    d->callers[g]--;
    if (d->here > d->above[g])
        d->above[g] = d->here;
}

/* From callers to callees, each when all its callers are done. Who is never done is in a cycle, or called
 * from one. */
static uint64_t find_depth(struct link *l)
{
    struct depth d = {arena_array(&l->scratch, l->n, sizeof(uint32_t)),
                      arena_array(&l->scratch, l->n, sizeof(uint64_t)), 0};
    uint32_t *ready = arena_array(&l->scratch, l->n, sizeof *ready), n_ready = 0, done = 0;
    uint64_t most = 0, all = 0;
    for (uint32_t f = 0; f < l->n; f++)
        each_callee(l, f, count_caller, &d);
    for (uint32_t f = 0; f < l->n; f++) {
        l->f[f].recursive = true;
        all += l->f[f].local_bytes;
        if (d.callers[f] == 0)
            ready[n_ready++] = f;
    }
    while (done < n_ready) {
        uint32_t f = ready[done++];
        l->f[f].recursive = false;
        d.here = d.above[f] + l->f[f].local_bytes;
        most = d.here > most ? d.here : most;
        uint32_t *before = arena_array(&l->scratch, l->n, sizeof *before);
        memcpy(before, d.callers, l->n * sizeof *before);
        each_callee(l, f, pass_down, &d);
        for (uint32_t g = 0; g < l->n; g++)
            if (before[g] && !d.callers[g])
                ready[n_ready++] = g;
    }
    return done == l->n ? most : all + PTX_RECURSION_BYTES;
}

/* ---- Copies ---------------------------------------------------------------------------------------------- */
static void shift_operand(struct ptx_operand *o, uint32_t regs)
{
    if (o->kind == PTX_REG)
        o->index += regs;
}

static struct ptx_insn shifted(struct link *l, const struct ptx_insn *from,
                               const struct ptx_function *f)
{
    struct ptx_insn i = *from;
    i.guard += i.guard >= 0 ? (int32_t)f->first_reg : 0;
    for (int n = 0; n < i.n_dst; n++)
        i.dst[n] += i.dst[n] >= 0 ? (int32_t)f->first_reg : 0;
    for (int n = 0; n < i.n_src; n++)
        shift_operand(&i.src[n], f->first_reg);
    shift_operand(&i.base, f->first_reg);
    i.target += i.op == PTX_BRA ? f->entry : 0; /* of cp.async it is an offset */
    if (i.n_targets) {
        uint32_t *targets = arena_array(l->p->a, i.n_targets, sizeof *targets);
        for (uint32_t n = 0; n < i.n_targets; n++)
            targets[n] = from->targets[n] + f->entry;
        i.targets = targets;
    }
    if (i.op == PTX_CALL && !i.call->runtime && i.call->function != PTX_NOWHERE) {
        struct ptx_call *call = ARENA_NEW(l->p->a, struct ptx_call);
        *call = *i.call;
        call->function = l->number[call->function];
        i.call = call;
    }
    return i;
}

static int copy_functions(struct link *l)
{
    size_t n_insns = 0, n_regs = 0;
    for (uint32_t f = 0; f < l->n; f++) {
        const struct ptx_body *b = body_at(l->p, l->body[f]);
        l->f[f] = (struct ptx_function){.name = b->name,
                                        .entry = (uint32_t)n_insns,
                                        .first_reg = (uint32_t)n_regs,
                                        .n_regs = (uint32_t)b->n_regs,
                                        .n_params = b->n_params,
                                        .n_rets = b->n_rets,
                                        .params = b->params,
                                        .rets = b->rets,
                                        .local_bytes = (b->local_bytes + 15) / 16 * 16,
                                        .address = PTX_CODE_WINDOW + 16ull * l->body[f]};
        n_insns += b->n_insns;
        n_regs += b->n_regs;
    }
    if (l->n > 1) {
        *l->linked += n_insns;
        if (*l->linked > MAX_LINKED || n_regs > PTX_MAX_REGS)
            return diag_fail(l->p->d, ERR_UNSUPPORTED, l->k->at,
                             "kernel '%s' with the functions that it calls is too large",
                             l->k->name);
    }
    l->k->n_insns = n_insns;
    l->k->n_regs = n_regs;
    if (l->n == 1) {
        l->k->insns = body_at(l->p, l->body[0])->insns;
        l->k->regs = body_at(l->p, l->body[0])->regs;
        return OK;
    }
    l->k->insns = arena_array(l->p->a, n_insns, sizeof *l->k->insns);
    l->k->regs = arena_array(l->p->a, n_regs + 1, sizeof *l->k->regs);
    for (uint32_t f = 0; f < l->n; f++) {
        const struct ptx_body *b = body_at(l->p, l->body[f]);
        for (size_t i = 0; i < b->n_insns; i++)
            l->k->insns[l->f[f].entry + i] = shifted(l, &b->insns[i], &l->f[f]);
        if (b->n_regs)
            memcpy(l->k->regs + l->f[f].first_reg, b->regs, b->n_regs * sizeof *b->regs);
    }
    return OK;
}

/* Variables of the module in shared memory come first, then the kernel's; dynamic ones after all. */
static int place_shared(struct link *l, int32_t body)
{
    uint32_t base = (l->p->module_shared + 255) / 256 * 256, align = 1;
    for (size_t i = 0; i < l->p->symbols.n; i++) {
        struct ptx_symbol *s = symbol_at(l->p, i);
        if (s->kind == PTX_SYM_SHARED && s->owner == body)
            s->address += base;
        if (s->kind == PTX_SYM_SHARED && s->owner == -1 && s->bytes == 0 && s->align > align)
            align = s->align;
    }
    l->k->shared_bytes =
        ((l->k->shared_bytes ? base + l->k->shared_bytes : l->p->module_shared) + align - 1) /
        align * align;
    return OK;
}

static bool uses_alloca(const struct ptx_kernel *k)
{
    for (size_t i = 0; i < k->n_insns; i++)
        if (k->insns[i].op == PTX_ALLOCA)
            return true;
    return false;
}

static int link_kernel(struct parser *p, size_t number, size_t *linked)
{
    uint32_t own = ((const uint32_t *)p->kernel_body.items)[number];
    struct link l = {.p = p, .k = &p->m->kernels[number], .linked = linked};
    l.number = arena_array(&l.scratch, p->bodies.n, sizeof *l.number);
    l.body = arena_array(&l.scratch, p->bodies.n, sizeof *l.body);
    for (size_t i = 0; i < p->bodies.n; i++)
        l.number[i] = PTX_NOWHERE;
    int rc = add_function(&l, own);
    for (uint32_t f = 0; f < l.n && rc == OK; f++)
        rc = add_called(&l, l.body[f]);
    if (rc == OK) {
        l.f = arena_array(p->a, l.n, sizeof *l.f);
        rc = copy_functions(&l);
    }
    if (rc == OK) {
        uint64_t local = find_depth(&l);
        if (local > 512u << 10)
            rc = diag_fail(p->d, ERR_UNSUPPORTED, l.k->at,
                           "kernel '%s' needs %llu bytes of local memory, at most 512 KiB",
                           l.k->name, (unsigned long long)local);
        l.k->frames_bytes = (uint32_t)local;
        l.k->local_bytes = (uint32_t)local + (uses_alloca(l.k) ? PTX_ALLOCA_BYTES : 0);
        l.k->n_functions = l.n;
        l.k->functions = l.f;
        place_shared(&l, (int32_t)own);
        ptx_make_cfg(l.k, p->a);
    }
    arena_fini(&l.scratch);
    return rc;
}

int ptx_link(struct parser *p)
{
    size_t linked = 0;
    for (size_t i = 0; i < p->kernels.n; i++)
        if (link_kernel(p, i, &linked) != OK)
            return p->d->code;
    return OK;
}

uint32_t ptx_function_of(const struct ptx_kernel *k, uint32_t insn)
{
    uint32_t lo = 0, hi = k->n_functions;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (k->functions[mid].entry <= insn)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}
