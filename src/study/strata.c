/* What a campaign struck, told apart by launch, source line and instruction, with the sites each has: the
 * strata of its error model. */
#include <stdlib.h>
#include <string.h>

#include "campaign/campaign.h"
#include "study/study.h"
#include "vocab/vocab.h"

struct counter {
    uint64_t *executed; /* per instruction of the kernel */
};

static bool count_step(void *ctx, const struct simt_step *s)
{
    ((struct counter *)ctx)->executed[s->insn] += (unsigned)__builtin_popcount(s->mask);
    return true;
}

size_t study_stratum(const struct study_strata *s, const char *launch, int line,
                     const char *mnemonic)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->list[i].line == line && strcmp(s->list[i].launch, launch) == 0 &&
            strcmp(s->list[i].mnemonic, mnemonic) == 0)
            return i;
    return MODEL_NO_STRATUM;
}

static struct model_stratum *stratum_for(struct study_strata *s, struct arena *a,
                                         const char *launch, int line, const char *mnemonic)
{
    size_t i = study_stratum(s, launch, line, mnemonic);
    if (i != MODEL_NO_STRATUM)
        return &s->list[i];
    if (s->n == s->room) {
        s->room = s->room ? 2 * s->room : 64;
        struct model_stratum *grown = arena_array(a, s->room, sizeof *grown);
        if (s->n)
            memcpy(grown, s->list, s->n * sizeof *grown);
        s->list = grown;
    }
    s->list[s->n] = (struct model_stratum){
        .launch = launch, .mnemonic = mnemonic, .line = line, .shared = conv_launch_shared(launch)};
    return &s->list[s->n++];
}

/* Results and addresses: every instruction by itself. */
static int count_instructions(struct study_strata *out, struct arena *a,
                              const struct simt_program *p, const struct fault_kind *kind,
                              struct diag *d)
{
    struct simt *s = simt_new();
    struct simt_mem *mem = simt_mem_clone(p->mem);
    int rc = OK;
    for (size_t l = 0; l < p->n_launches && rc == OK; l++) {
        const struct simt_launch *launch = &p->launches[l];
        const size_t n = ptx_n_insns(launch->kernel);
        struct arena scratch = {0};
        struct inject_space space;
        struct counter c = {arena_array(&scratch, n, sizeof *c.executed)};
        const struct simt_hook hook = {.ctx = &c, .step = count_step};
        const struct simt_run_options options = {.hook = &hook};
        struct simt_result r;
        inject_space_init(&space, &scratch, p, l, kind);
        simt_run(s, mem, launch, 0, simt_n_ctas(launch), &options, &r);
        if (r.trap.kind != TRAP_NONE)
            rc = diag_fail(d, ERR_INPUT, r.trap.at, "launch %s stops without any fault: %s",
                           launch->label, vocab_word(&vocab_traps, (int)r.trap.kind));
        for (size_t i = 0; i < n; i++) {
            if (c.executed[i] == 0 || space.targets[i] == 0)
                continue;
            const struct ptx_insn_info info = ptx_insn_info(launch->kernel, i);
            stratum_for(out, a, arena_strdup(a, launch->label), info.source_line,
                        arena_strdup(a, info.mnemonic))
                ->population += c.executed[i] * space.targets[i];
        }
        arena_fini(&scratch);
    }
    simt_mem_free(mem);
    simt_free(s);
    return rc;
}

/* Cells: a launch as a whole. */
static int count_launches(struct study_strata *out, struct arena *a, const struct simt_program *p,
                          const struct fault_kind *kind, struct diag *d)
{
    struct golden *g;
    int rc = golden_run(&g, p, kind, d);
    if (rc != OK)
        return rc;
    for (size_t l = 0; l < p->n_launches; l++)
        stratum_for(out, a, arena_strdup(a, p->launches[l].label), 0, "")->population +=
            golden_launch_population(g, l);
    golden_free(g);
    return OK;
}

int study_strata(struct study_strata *out, struct arena *a, const struct store_campaign *c,
                 struct diag *d)
{
    struct conv_problem problem;
    const struct conv_impl *impl;
    struct conv_program program;
    struct fault_kind kind;
    *out = (struct study_strata){0};
    if (!*c->impl) /* a user's kernel: no coordinates are known */
        return OK;
    int rc = conv_parse_shape(&problem, c->shape, d);
    if (rc == OK)
        rc = conv_find(&impl, c->impl, d);
    if (rc == OK)
        rc = fault_kind_parse(&kind, arena_strdup(a, c->fault), d);
    if (rc == OK)
        rc = conv_prepare(&program, a, &problem, impl, c->tile, c->input, c->filter, d);
    if (rc != OK)
        return rc;
    kind.population = strcmp(c->population_kind, "ptx") == 0 ? POPULATION_PTX : POPULATION_MACHINE;
    out->by_instruction = !kind_is_cell(&kind);
    if (problem.n == 1 && conv_tiling(&out->tiling, &program) != OK)
        out->tiling.n_axes = 0;
    rc = out->by_instruction ? count_instructions(out, a, &program.sim, &kind, d)
                             : count_launches(out, a, &program.sim, &kind, d);
    conv_program_fini(&program);
    return rc;
}

int study_tiling(struct tiling *out, const char *impl, const char *shape, const char *tile,
                 struct diag *d)
{
    struct arena a = {0};
    struct conv_problem p;
    const struct conv_impl *i;
    struct conv_program program;
    *out = (struct tiling){0};
    int rc = conv_parse_shape(&p, shape, d);
    if (rc == OK)
        rc = conv_find(&i, impl, d);
    if (rc == OK) {
        const float *input =
            arena_array(&a, (size_t)p.n * (size_t)p.c * (size_t)(p.h * p.w), sizeof *input);
        const float *filter = arena_array(
            &a, (size_t)p.k * (size_t)(p.c / p.groups) * (size_t)(p.r * p.s), sizeof *filter);
        rc = conv_prepare(&program, &a, &p, i, tile, input, filter, d);
    }
    if (rc == OK) {
        rc = conv_tiling(out, &program);
        conv_program_fini(&program);
    }
    arena_fini(&a);
    return rc;
}
