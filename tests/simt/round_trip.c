#include "round_trip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ptx/insn.h"

static void same_operand(const struct ptx_operand *a, const struct ptx_operand *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->negated, b->negated);
    assert_int_equal(a->value, b->value);
    if (a->kind != PTX_SYMBOL)
        assert_int_equal(a->index, b->index);
}

static void same_insn(const struct ptx_insn *a, const struct ptx_insn *b)
{
    assert_string_equal(a->mnemonic, b->mnemonic);
    assert_int_equal(a->op, b->op);
    assert_int_equal(a->mods, b->mods);
    assert_int_equal(a->space, b->space);
    assert_int_equal(a->mem_bits, b->mem_bits);
    assert_int_equal(a->mem_signed, b->mem_signed);
    assert_int_equal(a->bool_op, b->bool_op);
    assert_int_equal(a->what, b->what);
    assert_int_equal(a->guard, b->guard);
    assert_int_equal(a->guard_negated, b->guard_negated);
    assert_int_equal(a->n_dst, b->n_dst);
    assert_int_equal(a->n_src, b->n_src);
    assert_memory_equal(a->dst, b->dst, sizeof a->dst);
    for (int n = 0; n < a->n_src; n++)
        same_operand(&a->src[n], &b->src[n]);
    same_operand(&a->base, &b->base);
    assert_int_equal(a->offset, b->offset);
    assert_int_equal(a->target, b->target);
    assert_int_equal(a->reconverge, b->reconverge);
    assert_int_equal(a->sub_op, b->sub_op);
    assert_int_equal(a->uniform, b->uniform);
    assert_int_equal(a->argument, b->argument);
    assert_int_equal(a->n_targets, b->n_targets);
    for (uint32_t n = 0; n < a->n_targets; n++)
        assert_int_equal(a->targets[n], b->targets[n]);
    assert_int_equal(!a->call, !b->call);
    if (a->call) {
        assert_int_equal(a->call->function, b->call->function);
        assert_int_equal(a->call->n_args, b->call->n_args);
        assert_int_equal(a->call->n_rets, b->call->n_rets);
        assert_int_equal(a->call->runtime, b->call->runtime);
    }
    assert_int_equal(a->source_line, b->source_line);
}

bool round_trip(const char *name, const char *text, size_t len)
{
    struct arena a = {0};
    struct diag d = {0};
    struct ptx_module *m;
    if (ptx_parse(&m, &a, (struct text){name, text, len}, &d) != OK) {
        arena_fini(&a);
        return false;
    }
    char *printed = ptx_print(&a, m);
    struct ptx_module *again;
    if (ptx_parse(&again, &a, (struct text){"printed", printed, strlen(printed)}, &d) != OK)
        fail_msg("%s, printed: %d:%d: %s\n%s", name, d.line, d.col, d.msg, printed);
    assert_int_equal(m->n_kernels, again->n_kernels);
    for (size_t i = 0; i < m->n_kernels; i++) {
        const struct ptx_kernel *k = &m->kernels[i], *q = &again->kernels[i];
        assert_string_equal(k->name, q->name);
        assert_int_equal(k->n_insns, q->n_insns);
        assert_int_equal(k->n_regs, q->n_regs);
        assert_int_equal(k->params_bytes, q->params_bytes);
        assert_int_equal(k->shared_bytes, q->shared_bytes);
        assert_int_equal(k->local_bytes, q->local_bytes);
        assert_int_equal(k->max_threads, q->max_threads);
        assert_int_equal(k->required_threads, q->required_threads);
        assert_int_equal(k->n_functions, q->n_functions);
        assert_int_equal(k->global_bytes, q->global_bytes);
        assert_int_equal(k->n_relocations, q->n_relocations);
        assert_int_equal(k->constant_bytes, q->constant_bytes);
        if (k->constant_bytes)
            assert_memory_equal(k->constants, q->constants, k->constant_bytes);
        for (size_t n = 0; n < k->n_insns; n++)
            same_insn(&k->insns[n], &q->insns[n]);
    }
    assert_string_equal(printed, ptx_print(&a, again));
    arena_fini(&a);
    return true;
}
