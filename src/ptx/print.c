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
    const struct ptx_kernel *k;
    int kernel; /* its number */
};

/* Registers of one width that follow each other are declared together: %g<run>_<number>. */
static void print_reg(const struct printer *p, int64_t reg)
{
    if (reg < 0) {
        fputc('_', p->f);
        return;
    }
    int64_t run = 0, start = 0;
    for (int64_t i = 1; i <= reg; i++)
        if (p->k->regs[i].bits != p->k->regs[i - 1].bits)
            run++, start = i;
    fprintf(p->f, "%%g%" PRId64 "_%" PRId64, run, reg - start);
}

static void print_registers(const struct printer *p)
{
    size_t run = 0;
    for (size_t i = 0, n; i < p->k->n_regs; i += n, run++) {
        int bits = p->k->regs[i].bits;
        for (n = 1; i + n < p->k->n_regs && p->k->regs[i + n].bits == bits; n++)
            ;
        if (bits == 1)
            fprintf(p->f, "\t.reg .pred %%g%zu_<%zu>;\n", run, n);
        else
            fprintf(p->f, "\t.reg .b%d %%g%zu_<%zu>;\n", bits, run, n);
    }
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
    case PTX_SPECIAL: fputs(specials[o->index], p->f); break;
    case PTX_SYMBOL:
        fputs(p->m->symbols[o->index].name, p->f);
        if (o->value)
            fprintf(p->f, "+%" PRId64, (int64_t)o->value);
        break;
    case PTX_NONE: break;
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
    if (i->what == PTX_ATOM_FADD && row->shape == PTX_SHAPE_ATOM)
        return i->mem_bits == 64 ? PTX_T_f64 : PTX_T_f32;
    return PTX_T_u64;
}

static void print_destinations(const struct printer *p, const struct ptx_insn *i, const char *between)
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

static void print_braced(const struct printer *p, const struct ptx_insn *i, bool destinations, bool braces)
{
    fputs(braces ? "{" : "", p->f);
    if (destinations)
        print_destinations(p, i, ", ");
    else
        print_sources(p, i, false);
    fputs(braces ? "}" : "", p->f);
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
    case PTX_SHAPE_BRA: fprintf(p->f, "L%u", i->target); break;
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

static void print_variables(const struct printer *p, int owner)
{
    static const char *const spaces[] = {[PTX_SYM_SHARED] = ".shared",
                                         [PTX_SYM_LOCAL] = ".local",
                                         [PTX_SYM_GLOBAL] = ".global",
                                         [PTX_SYM_CONST] = ".const"};
    for (size_t n = 0; n < p->m->n_symbols; n++) {
        const struct ptx_symbol *s = &p->m->symbols[n];
        if (s->owner != owner || s->kind == PTX_SYM_PARAM)
            continue;
        fprintf(p->f, "\t%s%s .align %u .b8 %s[", s->bytes ? "" : ".extern ", spaces[s->kind], s->align,
                s->name);
        if (s->bytes)
            fprintf(p->f, "%" PRIu64, s->bytes);
        fputc(']', p->f);
        for (uint64_t b = 0; s->kind == PTX_SYM_CONST && b < s->bytes; b++)
            fprintf(p->f, "%s%u%s", b ? ", " : " = {", p->m->constants[s->address + b],
                    b + 1 == s->bytes ? "}" : "");
        fputs(";\n", p->f);
    }
}

static void print_params(const struct printer *p)
{
    bool first = true;
    for (size_t n = 0; n < p->m->n_symbols; n++) {
        const struct ptx_symbol *s = &p->m->symbols[n];
        if (s->owner != p->kernel || s->kind != PTX_SYM_PARAM)
            continue;
        fprintf(p->f, "%s\n\t.param .align %u .b8 %s[%" PRIu64 "]", first ? "" : ",", s->align, s->name,
                s->bytes);
        first = false;
    }
}

static void print_kernel(const struct printer *p)
{
    const struct ptx_kernel *k = p->k;
    int line = 0;
    bool *target = calloc(k->n_insns + 1, sizeof *target);
    for (size_t i = 0; target && i < k->n_insns; i++)
        if (k->insns[i].op == PTX_BRA)
            target[k->insns[i].target] = true;
    fprintf(p->f, ".visible .entry %s(", k->name);
    print_params(p);
    fputs(")\n", p->f);
    if (k->max_threads)
        fprintf(p->f, ".maxntid %u\n", k->max_threads);
    fputs("{\n", p->f);
    print_registers(p);
    print_variables(p, p->kernel);
    for (size_t i = 0; i < k->n_insns; i++) {
        if (k->insns[i].source_line != line)
            fprintf(p->f, "\t.loc 1 %d 1\n", line = k->insns[i].source_line);
        if (target && target[i])
            fprintf(p->f, "L%zu:\n", i);
        print_insn(p, &k->insns[i]);
    }
    fputs("}\n", p->f);
    free(target);
}

char *ptx_print(struct arena *a, const struct ptx_module *m)
{
    char *text = NULL;
    size_t len = 0;
    struct printer p = {.f = open_memstream(&text, &len), .m = m};
    if (!p.f)
        abort();
    fprintf(p.f, ".version %s\n.target %s\n.address_size 64\n", m->version ? m->version : "7.0",
            m->target ? m->target : "sm_80");
    print_variables(&p, -1);
    for (size_t i = 0; i < m->n_kernels; i++) {
        p.k = &m->kernels[i];
        p.kernel = (int)i;
        print_kernel(&p);
    }
    if (fclose(p.f) != 0)
        abort();
    char *out = arena_strndup(a, text, len);
    free(text);
    return out;
}
