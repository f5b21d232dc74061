/* What a launch offers to faults of a kind: the population, before anything runs. */
#include <string.h>

#include "inject/inject.h"
#include "ptx/insn.h"

enum { REGISTER_UNIT = 8, PREDICATES = 7, INDICES = 3 };

static bool in_filters(const struct ptx_kernel *kernel, const struct ptx_insn_info *i,
                       const struct fault_kind *k)
{
    const char *name = ptx_kernel_name(kernel);
    if (k->kernel && (strlen(name) != k->n_kernel || memcmp(name, k->kernel, k->n_kernel) != 0))
        return false;
    return !k->first_line || (i->source_line >= k->first_line && i->source_line <= k->last_line);
}

/* Whether a value of this width has the bits that the flip names. */
static bool has_bits(const struct fault_kind *k, int bits)
{
    if (!k->has_arg)
        return true;
    uint32_t needs = k->flip == FLIP_MULTI_BIT ? k->arg : k->arg + 1 + (k->flip == FLIP_DOUBLE_BIT);
    return needs <= (uint32_t)bits;
}

int inject_targets(const struct ptx_kernel *kernel, size_t insn, const struct fault_kind *k)
{
    struct ptx_insn_info i = ptx_insn_info(kernel, insn);
    if (!kind_is_value(k) || !(i.groups >> k->where & 1) ||
        (i.folded && k->population == POPULATION_MACHINE) || !in_filters(kernel, &i, k) ||
        !has_bits(k, i.dst_bits))
        return 0;
    return i.n_dst;
}

static int address_bits(const struct ptx_kernel *k, const struct ptx_insn *i)
{
    return i->base.kind == PTX_REG ? k->regs[i->base.index].bits : 64;
}

static bool is_address_target(const struct ptx_kernel *kernel, size_t insn,
                              const struct fault_kind *k)
{
    const struct ptx_insn *i = ptx_insn_at(kernel, insn);
    struct ptx_insn_info info = ptx_insn_info(kernel, insn);
    bool memory = i->op == PTX_LD || i->op == PTX_ST || i->op == PTX_ATOM || i->op == PTX_RED;
    return memory && !(info.folded && k->population == POPULATION_MACHINE) &&
           in_filters(kernel, &info, k) && has_bits(k, address_bits(kernel, i));
}

static void find_targets(struct inject_space *s, struct arena *a, const struct ptx_kernel *kernel,
                         const struct fault_kind *k)
{
    size_t n = ptx_n_insns(kernel);
    uint8_t *targets = arena_array(a, n + 1, sizeof *targets);
    uint16_t *bits = arena_array(a, n + 1, sizeof *bits);
    for (size_t i = 0; i < n; i++) {
        struct ptx_insn_info info = ptx_insn_info(kernel, i);
        if (kind_is_value(k)) {
            targets[i] = (uint8_t)inject_targets(kernel, i, k);
            bits[i] = (uint16_t)(targets[i] * info.dst_bits);
        } else if (k->where == WHERE_ADDRESS) {
            targets[i] = is_address_target(kernel, i, k);
            bits[i] = (uint16_t)(targets[i] * address_bits(kernel, ptx_insn_at(kernel, i)));
        } else {
            targets[i] = in_filters(kernel, &info, k);
        }
    }
    s->targets = targets;
    s->bits = bits;
}

uint32_t inject_registers(const struct ptx_kernel *kernel)
{
    struct arena a = {0};
    struct ptx_liveness live;
    ptx_find_liveness(&live, &a, kernel);
    arena_fini(&a);
    uint32_t n = live.max_words ? live.max_words : 1;
    return (n + REGISTER_UNIT - 1) / REGISTER_UNIT * REGISTER_UNIT;
}

/* Most predicates live at once, at least those that hardware has. */
static uint32_t predicates(const struct ptx_kernel *kernel, const struct ptx_live_sets *live)
{
    uint32_t most = PREDICATES;
    for (size_t i = 0; i < kernel->n_insns; i++) {
        uint32_t n = 0;
        for (uint32_t r = 0; r < kernel->n_regs; r++)
            n += kernel->regs[r].bits == 1 && ptx_is_live(live, i, r);
        most = n > most ? n : most;
    }
    return most;
}

static void find_ranges(struct inject_space *s, struct arena *a, const struct simt_program *p,
                        const struct fault_kind *k)
{
    s->ranges = arena_array(a, p->n_buffers + 1, sizeof *s->ranges);
    for (size_t i = 0; i < p->n_buffers; i++) {
        const struct simt_buffer *b = &p->buffers[i];
        if (k->where != WHERE_GLOBAL && b->role != (enum role)(k->where - WHERE_ROLE_INPUT))
            continue;
        s->ranges[s->n_ranges++] = (struct inject_range){b->address, b->bytes / 4};
        s->cells += b->bytes / 4;
    }
}

static bool launch_counts(const struct simt_launch *l, size_t launch, const struct fault_kind *k)
{
    const char *name = ptx_kernel_name(l->kernel);
    return !(k->has_launch && k->launch != launch) &&
           !(k->kernel &&
             (strlen(name) != k->n_kernel || memcmp(name, k->kernel, k->n_kernel) != 0));
}

void inject_space_init(struct inject_space *s, struct arena *a, const struct simt_program *p,
                       size_t launch, const struct fault_kind *k)
{
    const struct simt_launch *l = &p->launches[launch];
    size_t n = ptx_n_insns(l->kernel);
    *s = (struct inject_space){.cell_bits = 32,
                               .n_threads = l->block[0] * l->block[1] * l->block[2]};
    if (!launch_counts(l, launch, k)) {
        s->targets = arena_array(a, n + 1, sizeof *s->targets);
        s->bits = arena_array(a, n + 1, sizeof *s->bits);
        return;
    }
    find_targets(s, a, l->kernel, k);
    switch (k->where) {
    case WHERE_REGISTER:
        ptx_find_live_sets(&s->live, a, l->kernel);
        s->per_thread = inject_registers(l->kernel);
        s->cells = (uint64_t)s->n_threads * s->per_thread;
        break;
    case WHERE_PREDICATE:
        ptx_find_live_sets(&s->live, a, l->kernel);
        s->per_thread = predicates(l->kernel, &s->live);
        s->cells = (uint64_t)s->n_threads * s->per_thread;
        s->cell_bits = 1;
        break;
    case WHERE_INDEX:
        s->cells = INDICES * (uint64_t)s->n_threads + (s->n_threads + SIMT_LANES - 1) / SIMT_LANES +
                   INDICES;
        break;
    case WHERE_SHARED:
        s->cells = (ptx_shared_bytes(l->kernel) + l->dynamic_shared) / 4;
        break;
    default:
        if (kind_is_global(k))
            find_ranges(s, a, p, k);
    }
}
