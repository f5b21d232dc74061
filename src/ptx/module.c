/* What callers ask of a parsed module. */
#include <stdio.h>
#include <string.h>

#include "ptx/insn.h"

int ptx_find_kernel(const struct ptx_kernel **out, const struct ptx_module *m, const char *name,
                    struct diag *d)
{
    char known[300] = "";
    size_t used = 0;
    for (size_t i = 0; i < m->n_kernels; i++) {
        if (strcmp(m->kernels[i].name, name) == 0) {
            *out = &m->kernels[i];
            return OK;
        }
        if (used < sizeof known)
            used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "",
                                     m->kernels[i].name);
    }
    return diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "there is no kernel '%s' (there are: %s)", name,
                     used ? known : "none");
}

size_t ptx_n_kernels(const struct ptx_module *m) { return m->n_kernels; }

const struct ptx_kernel *ptx_kernel_at(const struct ptx_module *m, size_t i)
{
    return &m->kernels[i];
}

size_t ptx_n_insns(const struct ptx_kernel *k) { return k->n_insns; }

const struct ptx_insn *ptx_insn_at(const struct ptx_kernel *k, size_t index)
{
    return &k->insns[index];
}

const char *ptx_kernel_name(const struct ptx_kernel *k) { return k->name; }

size_t ptx_n_params(const struct ptx_kernel *k) { return k->n_params; }

struct ptx_param ptx_param_at(const struct ptx_kernel *k, size_t i) { return k->params[i]; }

uint32_t ptx_params_bytes(const struct ptx_kernel *k) { return k->params_bytes; }

uint32_t ptx_shared_bytes(const struct ptx_kernel *k) { return k->shared_bytes; }

const char *ptx_register_name(struct arena *a, const struct ptx_kernel *k, uint32_t reg)
{
    const struct ptx_reg *r = &k->regs[reg];
    return r->numbered ? arena_printf(a, "%s%u", r->name, r->number) : r->name;
}

static bool is_folded(const struct ptx_insn *i)
{
    if (i->op == PTX_LD)
        return i->space == PTX_SPACE_PARAM || i->argument;
    bool reads_special =
        i->n_src == 1 && i->src[0].kind == PTX_SPECIAL; /* S2R is a real instruction */
    return ptx_rows[i->op].folded && !reads_special;
}

static uint32_t groups_of(const struct ptx_kernel *k, const struct ptx_insn *i)
{
    uint32_t g = 0;
    for (int n = 0; n < i->n_dst; n++) {
        if (i->dst[n] < 0)
            continue;
        bool predicate = k->regs[i->dst[n]].bits == 1;
        g |= 1u << GROUP_GPPR;
        g |= predicate ? 1u << GROUP_PR : 1u << GROUP_GP | 1u << ptx_rows[i->op].group;
    }
    return g;
}

struct ptx_insn_info ptx_insn_info(const struct ptx_kernel *k, size_t index)
{
    const struct ptx_insn *i = &k->insns[index];
    struct ptx_insn_info info = {
        .mnemonic = i->mnemonic,
        .groups = groups_of(k, i),
        .folded = is_folded(i),
        .at = i->at,
        .source_line = i->source_line,
    };
    for (int n = 0; n < i->n_dst; n++)
        if (i->dst[n] >= 0) {
            info.n_dst++;
            info.dst_bits = k->regs[i->dst[n]].bits;
        }
    return info;
}

bool ptx_is_lanewise(const struct ptx_insn *i)
{
    for (int n = 0; n < i->n_src; n++)
        if (i->src[n].kind == PTX_SPECIAL && i->src[n].index >= PTX_SPECIAL_CLOCK)
            return false;
    switch (ptx_rows[i->op].shape) {
    case PTX_SHAPE_LANES:
    case PTX_SHAPE_MOV_VECTOR:
    case PTX_SHAPE_CVTA:
    case PTX_SHAPE_BFI:
    case PTX_SHAPE_LOP3:
    case PTX_SHAPE_SET:
    case PTX_SHAPE_SET_PAIR:
    case PTX_SHAPE_ISSPACEP:
    case PTX_SHAPE_FENCE:
    case PTX_SHAPE_HINT:
        return true;
    default:
        return false;
    }
}
