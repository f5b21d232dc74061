/* Module -> PTX text, from the decoded form: what it prints is what was understood. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ptx/insn.h"

struct printer {
    FILE *f;
    const struct ptx_module *m;
    const struct ptx_body *b;
    int body;                  /* its number */
    const uint32_t *run_start; /* register -> first of its width in a row */
    const uint32_t *run;       /* register -> which row */
    const uint32_t *ordinal;   /* symbol -> which variable of a call of its body it is */
    size_t n_tables;
    uint32_t block; /* number of the next one to begin */
    struct {
        const struct ptx_block *block;
        bool printed;
    } open[PTX_MAX_BLOCKS];
    size_t n_open;
};

/* Registers of one width that follow each other are declared together: %g<run>_<number>. */
static void print_reg(const struct printer *p, int64_t reg)
{
    if (reg < 0)
        fputc('_', p->f);
    else
        fprintf(p->f, "%%g%" PRIu32 "_%" PRId64, p->run[reg], reg - p->run_start[reg]);
}

static void find_runs(struct printer *p, struct arena *a)
{
    uint32_t *run = arena_array(a, p->b->n_regs + 1, sizeof *run);
    uint32_t *start = arena_array(a, p->b->n_regs + 1, sizeof *start);
    for (uint32_t i = 1; i < p->b->n_regs; i++) {
        bool same = p->b->regs[i].bits == p->b->regs[i - 1].bits;
        run[i] = run[i - 1] + !same;
        start[i] = same ? start[i - 1] : i;
    }
    p->run = run;
    p->run_start = start;
}

static void print_registers(const struct printer *p)
{
    size_t run = 0;
    for (size_t i = 0, n; i < p->b->n_regs; i += n, run++) {
        int bits = p->b->regs[i].bits;
        for (n = 1; i + n < p->b->n_regs && p->b->regs[i + n].bits == bits; n++)
            ;
        if (bits == 1)
            fprintf(p->f, "\t.reg .pred %%g%zu_<%zu>;\n", run, n);
        else
            fprintf(p->f, "\t.reg .b%d %%g%zu_<%zu>;\n", bits, run, n);
    }
}

/* Variables of calls have the same names in many blocks: here each has its own. */
static void print_symbol(const struct printer *p, uint32_t index)
{
    const struct ptx_symbol *s = &p->m->symbols[index];
    if (s->kind == PTX_SYM_ARGUMENT && !s->formal)
        fprintf(p->f, "A%u", p->ordinal[index]);
    else
        fputs(s->name, p->f);
}

/* ---- Operands ------------------------------------------------------------------------------------- */
static void print_operand(const struct printer *p, const struct ptx_operand *o, enum ptx_type type)
{
    static const char *const specials[] = {
#define X(id, name, type) name,
#include "ptx/special.def"
#undef X
    };
    switch (o->kind) {
    case PTX_REG:
        if (o->negated)
            fputc('!', p->f);
        print_reg(p, o->index);
        break;
    case PTX_IMM:
        if (type == PTX_T_f32)
            fprintf(p->f, "0f%08" PRIx64, o->value);
        else if (type == PTX_T_f64)
            fprintf(p->f, "0d%016" PRIx64, o->value);
        else
            fprintf(p->f, "0x%" PRIx64, o->value);
        break;
    case PTX_SPECIAL:
        fputs(specials[o->index], p->f);
        break;
    case PTX_SYMBOL:
        print_symbol(p, o->index);
        if (o->value)
            fprintf(p->f, "+%" PRId64, (int64_t)o->value);
        break;
    case PTX_NONE:
        break;
    }
}

static void print_address(const struct printer *p, const struct ptx_insn *i)
{
    fputc('[', p->f);
    print_operand(p, &i->base, PTX_T_u64);
    if (i->base.kind == PTX_NONE || i->offset)
        fprintf(p->f, "%s%" PRId64, i->base.kind == PTX_NONE ? "" : "+", i->offset);
    fputc(']', p->f);
}

static enum ptx_type source_type(const struct ptx_insn *i, int n)
{
    const struct ptx_row *row = &ptx_rows[i->op];
    if (row->shape == PTX_SHAPE_LANES)
        return n < 3 && row->in[n] != PTX_T_no ? row->in[n] : PTX_T_p;
    if (row->shape == PTX_SHAPE_SET)
        return n < 2 ? ptx_rows[i->sub_op].in[n] : PTX_T_p;
    if (i->what == PTX_ATOM_FADD && row->shape == PTX_SHAPE_ATOM)
        return i->mem_bits == 64 ? PTX_T_f64 : PTX_T_f32;
    return PTX_T_u64;
}

static void print_destinations(const struct printer *p, const struct ptx_insn *i,
                               const char *between)
{
    for (int n = 0; n < i->n_dst; n++) {
        fputs(n ? between : "", p->f);
        print_reg(p, i->dst[n]);
    }
}

static void print_sources(const struct printer *p, const struct ptx_insn *i, bool comma_first)
{
    for (int n = 0; n < i->n_src; n++) {
        fputs(n || comma_first ? ", " : "", p->f);
        print_operand(p, &i->src[n], source_type(i, n));
    }
}

static void print_braced(const struct printer *p, const struct ptx_insn *i, bool destinations,
                         bool braces)
{
    fputs(braces ? "{" : "", p->f);
    if (destinations)
        print_destinations(p, i, ", ");
    else
        print_sources(p, i, false);
    fputs(braces ? "}" : "", p->f);
}

static void print_passed(const struct printer *p, const struct ptx_argument *a, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        fputs(i ? ", " : "(", p->f);
        print_symbol(p, a[i].symbol);
    }
    fputs(n ? ")" : "()", p->f);
}

static void print_call(const struct printer *p, const struct ptx_insn *i)
{
    const struct ptx_call *c = i->call;
    if (c->n_rets) {
        print_passed(p, c->rets, c->n_rets);
        fputs(", ", p->f);
    }
    if (c->function == PTX_NOWHERE)
        print_operand(p, &i->src[0], PTX_T_u64);
    else
        fputs(p->m->bodies[c->function].name, p->f);
    if (c->n_args || c->prototype) {
        fputs(", ", p->f);
        print_passed(p, c->args, c->n_args);
    }
    if (c->prototype)
        fprintf(p->f, ", %s", c->prototype);
}

static void print_copy(const struct printer *p, const struct ptx_insn *i)
{
    struct ptx_insn to = {.base = i->src[0], .offset = (int32_t)i->target};
    print_address(p, &to);
    fputs(", ", p->f);
    print_address(p, i);
    fprintf(p->f, ", %d", i->mem_bits / 8);
    if (i->n_src > 1) {
        fputs(", ", p->f);
        print_operand(p, &i->src[1], PTX_T_u32);
    }
}

static void print_operands(const struct printer *p, const struct ptx_insn *i)
{
    switch (ptx_rows[i->op].shape) {
    case PTX_SHAPE_LD:
        print_braced(p, i, true, i->n_dst > 1);
        fputs(", ", p->f);
        print_address(p, i);
        break;
    case PTX_SHAPE_ST:
        print_address(p, i);
        fputs(", ", p->f);
        print_braced(p, i, false, i->n_src > 1);
        break;
    case PTX_SHAPE_ATOM:
        print_destinations(p, i, "");
        fputs(i->n_dst ? ", " : "", p->f);
        print_address(p, i);
        print_sources(p, i, true);
        break;
    case PTX_SHAPE_MOV_VECTOR:
        print_braced(p, i, true, i->op == PTX_MOV_UNPACK);
        fputs(", ", p->f);
        print_braced(p, i, false, i->op == PTX_MOV_PACK);
        break;
    case PTX_SHAPE_BRA:
        fprintf(p->f, "L%u", i->target);
        break;
    case PTX_SHAPE_BRX:
        print_sources(p, i, false);
        fprintf(p->f, ", T%zu", p->n_tables);
        break;
    case PTX_SHAPE_CALL:
        print_call(p, i);
        break;
    case PTX_SHAPE_COPY:
        print_copy(p, i);
        break;
    case PTX_SHAPE_HINT:
        fputs(i->raw, p->f);
        break;
    case PTX_SHAPE_REFUSED:
        fputs(i->raw, p->f);
        break;
    default:
        print_destinations(p, i, "|");
        print_sources(p, i, i->n_dst > 0);
    }
}

/* ---- Instructions and kernels ------------------------------------------------------------------------ */
static void print_insn(const struct printer *p, const struct ptx_insn *i)
{
    fputc('\t', p->f);
    if (i->guard >= 0) {
        fputs(i->guard_negated ? "@!" : "@", p->f);
        print_reg(p, i->guard);
        fputc(' ', p->f);
    }
    fprintf(p->f, "%s ", i->mnemonic);
    print_operands(p, i);
    fputs(";\n", p->f);
}

static const struct ptx_relocation *relocation_at(const struct printer *p,
                                                  const struct ptx_symbol *s, uint64_t at)
{
    const struct ptx_kernel *k = p->m->n_kernels ? &p->m->kernels[0] : NULL;
    for (uint32_t n = 0; k && n < k->n_relocations; n++)
        if (k->relocations[n].constant == (s->kind == PTX_SYM_CONST) &&
            k->relocations[n].at == s->address + at)
            return &k->relocations[n];
    return NULL;
}

/* Byte after byte; an address is eight of them, named by masks. */
static void print_initial(const struct printer *p, const struct ptx_symbol *s, const uint8_t *bytes)
{
    for (uint64_t b = 0; b < s->bytes; b++) {
        const struct ptx_relocation *r = relocation_at(p, s, b);
        fputs(b ? ", " : " = {", p->f);
        if (!r) {
            fprintf(p->f, "%u", bytes[b]);
            continue;
        }
        for (int k = 0; k < 8; k++) {
            fprintf(p->f, "%s0x%" PRIx64 "(%s)", k ? ", " : "", (uint64_t)0xff << 8 * k,
                    p->m->symbols[r->symbol].name);
            if (r->add)
                fprintf(p->f, "+%" PRId64, (int64_t)r->add);
        }
        b += 7;
    }
    fputc('}', p->f);
}

static void print_variables(const struct printer *p, int owner, uint32_t block)
{
    static const char *const spaces[] = {[PTX_SYM_SHARED] = ".shared",
                                         [PTX_SYM_LOCAL] = ".local",
                                         [PTX_SYM_GLOBAL] = ".global",
                                         [PTX_SYM_CONST] = ".const",
                                         [PTX_SYM_ARGUMENT] = ".param"};
    for (size_t n = 0; n < p->m->n_symbols; n++) {
        const struct ptx_symbol *s = &p->m->symbols[n];
        if (s->owner != owner || s->kind == PTX_SYM_PARAM || s->kind == PTX_SYM_FUNCTION ||
            s->formal || s->block != block)
            continue;
        bool open = !s->bytes && s->kind == PTX_SYM_SHARED;
        fprintf(p->f, "\t%s%s .align %u .b8 ", open ? ".extern " : "", spaces[s->kind], s->align);
        print_symbol(p, (uint32_t)n);
        fputc('[', p->f);
        if (!open)
            fprintf(p->f, "%" PRIu64, s->bytes);
        fputc(']', p->f);
        if (s->kind == PTX_SYM_CONST && s->bytes)
            print_initial(p, s, p->m->constants + s->address);
        else if (s->init && s->bytes)
            print_initial(p, s, s->init);
        fputs(";\n", p->f);
    }
}

/* The formal parameters of one kind that a body has, from its n_first-th on. */
static void print_formals(const struct printer *p, size_t first, size_t count)
{
    size_t seen = 0;
    for (size_t n = 0; n < p->m->n_symbols; n++) {
        const struct ptx_symbol *s = &p->m->symbols[n];
        if (s->owner != p->body || !s->formal)
            continue;
        if (seen >= first && seen < first + count)
            fprintf(p->f, "%s\n\t.param .align %u .b8 %s[%" PRIu64 "]", seen > first ? "," : "",
                    s->align, s->name, s->bytes);
        seen++;
    }
}

static void print_head(const struct printer *p, const struct ptx_kernel *k)
{
    if (k) {
        fprintf(p->f, ".visible .entry %s(", p->b->name);
        print_formals(p, 0, SIZE_MAX / 2);
        fputs(")\n", p->f);
        if (k->max_threads)
            fprintf(p->f, ".maxntid %u\n", k->max_threads);
        if (k->required_threads)
            fprintf(p->f, ".reqntid %u\n", k->required_threads);
        return;
    }
    fputs(".visible .func ", p->f);
    if (p->b->n_rets) {
        fputc('(', p->f);
        print_formals(p, 0, p->b->n_rets);
        fputs(") ", p->f);
    }
    fprintf(p->f, "%s(", p->b->name);
    print_formals(p, p->b->n_rets, p->b->n_params);
    fputs(")\n", p->f);
}

/* Functions without a body are declared where they may be called from anywhere; so are the others. */
static void print_declaration(const struct printer *p) { fprintf(p->f, ".func %s;\n", p->b->name); }

static void print_targets(const struct printer *p, const struct ptx_insn *i)
{
    fprintf(p->f, "T%zu: .branchtargets ", p->n_tables);
    for (uint32_t n = 0; n < i->n_targets; n++)
        fprintf(p->f, "%sL%u", n ? ", " : "", i->targets[n]);
    fputs(";\n", p->f);
}

/* ---- Blocks, where they declare variables of calls --------------------------------------------------- */
static bool declares(const struct printer *p, uint32_t block)
{
    for (size_t n = 0; n < p->m->n_symbols; n++)
        if (p->m->symbols[n].owner == p->body && p->m->symbols[n].block == block)
            return true;
    return false;
}

static void close_block(struct printer *p)
{
    if (p->open[--p->n_open].printed)
        fputs("\t}\n", p->f);
}

/* What begins and what ends before instruction `at`. */
static void print_braces(struct printer *p, uint32_t at)
{
    const struct ptx_body *b = p->b;
    for (; p->block < b->n_blocks && b->blocks[p->block].first == at; p->block++) {
        const struct ptx_block *block = &b->blocks[p->block];
        while (p->n_open && p->open[p->n_open - 1].block->depth >= block->depth)
            close_block(p);
        bool printed = declares(p, p->block + 1);
        p->open[p->n_open].printed = printed;
        p->open[p->n_open++].block = block;
        if (printed)
            fputs("\t{\n", p->f);
        print_variables(p, p->body, p->block + 1);
    }
    while (p->n_open && p->open[p->n_open - 1].block->end == at)
        close_block(p);
}

static void print_body(struct printer *p, const struct ptx_kernel *k)
{
    const struct ptx_body *b = p->b;
    int line = 0;
    bool *target = calloc(b->n_insns + 1, sizeof *target);
    if (!target)
        abort();
    for (size_t i = 0; i < b->n_insns; i++) {
        if (b->insns[i].op == PTX_BRA)
            target[b->insns[i].target] = true;
        for (uint32_t n = 0; n < b->insns[i].n_targets; n++)
            target[b->insns[i].targets[n]] = true;
    }
    print_head(p, k);
    fputs("{\n", p->f);
    print_registers(p);
    print_variables(p, p->body, 0);
    p->block = 0;
    p->n_open = 0;
    for (size_t i = 0; i < b->n_insns; i++) {
        print_braces(p, (uint32_t)i);
        if (b->insns[i].source_line != line)
            fprintf(p->f, "\t.loc 1 %d 1\n", line = b->insns[i].source_line);
        if (target[i])
            fprintf(p->f, "L%zu:\n", i);
        if (b->insns[i].n_targets)
            print_targets(p, &b->insns[i]);
        print_insn(p, &b->insns[i]);
        p->n_tables += b->insns[i].n_targets > 0;
    }
    print_braces(p, (uint32_t)b->n_insns);
    while (p->n_open) /* a ret that was added comes after them */
        close_block(p);
    fputs("}\n", p->f);
    free(target);
}

static const uint32_t *count_arguments(const struct ptx_module *m, struct arena *a)
{
    uint32_t *ordinal = arena_array(a, m->n_symbols + 1, sizeof *ordinal);
    uint32_t *seen = arena_array(a, m->n_bodies + 1, sizeof *seen);
    for (size_t n = 0; n < m->n_symbols; n++)
        if (m->symbols[n].kind == PTX_SYM_ARGUMENT && !m->symbols[n].formal)
            ordinal[n] = seen[m->symbols[n].owner]++;
    return ordinal;
}

char *ptx_print(struct arena *a, const struct ptx_module *m)
{
    char *text = NULL;
    size_t len = 0;
    struct printer p = {.f = open_memstream(&text, &len), .m = m};
    struct arena scratch = {0};
    const struct ptx_kernel *k = m->kernels;
    if (!p.f)
        abort();
    p.ordinal = count_arguments(m, &scratch);
    fprintf(p.f, ".version %s\n.target %s\n.address_size 64\n", m->version ? m->version : "7.0",
            m->target ? m->target : "sm_80");
    for (int i = 0; i < (int)m->n_bodies; i++) {
        p.b = &m->bodies[i];
        p.body = i;
        if (!p.b->is_kernel)
            print_declaration(&p);
    }
    print_variables(&p, -1, 0);
    for (int i = 0; i < (int)m->n_bodies; i++) {
        p.b = &m->bodies[i];
        p.body = i;
        find_runs(&p, &scratch);
        if (p.b->defined)
            print_body(&p, p.b->is_kernel ? k++ : NULL);
    }
    if (fclose(p.f) != 0)
        abort();
    arena_fini(&scratch);
    char *out = arena_strndup(a, text, len);
    free(text);
    return out;
}
