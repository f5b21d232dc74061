/* What a fault-free run costs: instructions by group, traffic, time. */
#include <string.h>

#include "base/clock.h"
#include "conv/conv.h"

struct counter { /* thread instructions executed, per instruction of the kernel */
    uint64_t *executed;
};

static bool count_step(void *ctx, const struct simt_step *s)
{
    struct counter *c = ctx;
    c->executed[s->insn] += (unsigned)__builtin_popcount(s->mask);
    return true;
}

/* Bytes that one thread moves: "ld.global.v4.f32" is 16. */
static uint64_t access_bytes(const char *mnemonic)
{
    const char *type = strrchr(mnemonic, '.');
    uint64_t bits = 0;
    for (const char *c = type ? type + 2 : ""; *c >= '0' && *c <= '9'; c++)
        bits = bits * 10 + (uint64_t)(*c - '0');
    return bits / 8 * (strstr(mnemonic, ".v4") ? 4 : strstr(mnemonic, ".v2") ? 2 : 1);
}

static bool starts(const char *s, const char *with) { return strncmp(s, with, strlen(with)) == 0; }

static void account(struct conv_cost *cost, const struct ptx_insn_info *insn, uint64_t executed)
{
    for (int g = 0; g < N_GROUPS; g++)
        if (insn->groups >> g & 1)
            cost->group[g] += executed;
    const uint64_t bytes = executed * access_bytes(insn->mnemonic);
    if (starts(insn->mnemonic, "ld.global"))
        cost->global_load_bytes += bytes;
    else if (starts(insn->mnemonic, "st.global"))
        cost->global_store_bytes += bytes;
    else if (starts(insn->mnemonic, "ld.shared"))
        cost->shared_load_bytes += bytes;
    else if (starts(insn->mnemonic, "st.shared"))
        cost->shared_store_bytes += bytes;
}

static int run_launch(struct simt *s, struct simt_mem *m, const struct simt_launch *l,
                      const struct simt_hook *hook, struct simt_result *result, struct diag *d)
{
    const struct simt_run_options options = {.hook = hook};
    simt_run(s, m, l, 0, simt_n_ctas(l), &options, result);
    return simt_must_end(l, result, d);
}

static int count_launch(struct conv_cost *cost, struct simt *s, struct simt_mem *m,
                        const struct simt_launch *l, struct diag *d)
{
    const size_t n = ptx_n_insns(l->kernel);
    struct arena a = {0};
    struct counter counter = {arena_array(&a, n, sizeof *counter.executed)};
    const struct simt_hook hook = {.ctx = &counter, .step = count_step};
    struct simt_result result;
    *cost = (struct conv_cost){0};
    int status = run_launch(s, m, l, &hook, &result, d);
    cost->counts = result.counts;
    for (size_t i = 0; i < n; i++) {
        const struct ptx_insn_info insn = ptx_insn_info(l->kernel, i);
        account(cost, &insn, counter.executed[i]);
    }
    arena_fini(&a);
    return status;
}

static const float *output_in(const struct simt_program *p, const struct simt_mem *mem)
{
    const struct simt_mem_view view = simt_mem_view(mem);
    const void *at = view.data + (p->out_address - view.base);
    return at;
}

int conv_measure(struct conv_cost *cost, const struct conv_program *p, float *out, double *seconds,
                 struct diag *d)
{
    struct simt *s = simt_new();
    struct simt_mem *mem = simt_mem_clone(p->sim.mem);
    struct simt_result result;
    int status = OK;
    for (size_t i = 0; i < p->sim.n_launches && status == OK; i++)
        status = count_launch(&cost[i], s, mem, &p->sim.launches[i], d);
    simt_mem_restore(mem, p->sim.mem);
    const double begin = clock_seconds();
    for (size_t i = 0; i < p->sim.n_launches && status == OK; i++)
        status = run_launch(s, mem, &p->sim.launches[i], NULL, &result, d);
    *seconds = clock_seconds() - begin;
    if (status == OK)
        conv_out_to_nchw(&p->problem, out, output_in(&p->sim, mem));
    simt_mem_free(mem);
    simt_free(s);
    return status;
}
