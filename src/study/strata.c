/* What a campaign struck, told apart by launch and instruction, with the sites each has: the strata of its
 * error model. */
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "campaign/campaign.h"
#include "campaign/live.h"
#include "study/study.h"
#include "vocab/vocab.h"

/* ctx: per instruction of the kernel, how many threads executed it. */
static bool count_step(void *ctx, const struct simt_step *s)
{
    ((uint64_t *)ctx)[s->insn] += (unsigned)__builtin_popcount(s->mask);
    return true;
}

size_t study_stratum(const struct study_strata *s, uint32_t launch, uint32_t insn)
{
    const size_t at = launch < s->n_launches ? s->first[launch] : s->first[s->n_launches];
    if (!s->by_instruction)
        insn = 0;
    return launch < s->n_launches && insn < s->first[launch + 1] - at ? s->of[at + insn]
                                                                      : MODEL_NO_STRATUM;
}

/* The stratum of an instruction. Launches of one name, as for the images of a batch, share theirs. */
static struct model_stratum *stratum_for(struct study_strata *s, struct arena *a,
                                         const struct conv_program *p, size_t launch, size_t insn)
{
    const struct simt_launch *l = &p->sim.launches[launch];
    size_t like = 0; /* an earlier launch of the same kernel and name */
    while (strcmp(p->sim.launches[like].label, l->label) != 0 ||
           p->sim.launches[like].kernel != l->kernel)
        like++;
    size_t *at = &s->of[s->first[launch] + insn];
    if (like < launch)
        *at = s->of[s->first[like] + insn];
    if (*at != MODEL_NO_STRATUM)
        return &s->list[*at];
    *at = s->n++;
    struct model_stratum *x = &s->list[*at];
    *x = (struct model_stratum){.launch = arena_strdup(a, l->label),
                                .kernel = arena_strdup(a, p->ptx_names[launch]),
                                .mnemonic = "",
                                .shared = conv_launch_shared(l->label)};
    if (s->by_instruction) {
        const struct ptx_insn_info info = ptx_insn_info(l->kernel, insn);
        x->insn = (uint32_t)insn;
        x->line = info.source_line;
        x->mnemonic = arena_strdup(a, info.mnemonic);
    }
    return x;
}

/* Room for a stratum of each instruction, or of each launch. */
static void make_room(struct study_strata *s, struct arena *a, const struct simt_program *p)
{
    s->n_launches = p->n_launches;
    s->first = arena_array(a, p->n_launches + 1, sizeof *s->first);
    for (size_t l = 0; l < p->n_launches; l++)
        s->first[l + 1] =
            s->first[l] + (s->by_instruction ? ptx_n_insns(p->launches[l].kernel) : 1);
    s->of = arena_array(a, s->first[p->n_launches] + 1, sizeof *s->of);
    s->list = arena_array(a, s->first[p->n_launches] + 1, sizeof *s->list);
    for (size_t i = 0; i <= s->first[p->n_launches]; i++)
        s->of[i] = MODEL_NO_STRATUM;
}

/* More live sites of the same stratum: launches of one name share theirs. */
static void add_influences(struct model_stratum *s, struct arena *a, const struct live_count *c)
{
    struct tiling_influence *all = arena_array(a, s->n_influences + c->n_influences, sizeof *all);
    size_t n = s->n_influences;
    for (size_t i = 0; i < n; i++)
        all[i] = s->influences[i];
    for (size_t i = 0, k; i < c->n_influences; i++) {
        for (k = 0; k < n; k++)
            if (memcmp(all[k].reach, c->influences[i].reach, sizeof all[k].reach) == 0)
                break;
        if (k == n)
            all[n++] = (struct tiling_influence){0};
        memcpy(all[k].reach, c->influences[i].reach, sizeof all[k].reach);
        all[k].live += c->influences[i].live;
    }
    s->influences = all;
    s->n_influences = n;
}

/* Results and addresses: every instruction by itself, with its sites and those that are live. */
static int count_live(struct study_strata *out, struct arena *a, const struct conv_program *p,
                      const struct fault_kind *kind, struct diag *d)
{
    struct live_count **count;
    const struct live_output output = {&out->tiling, p->problem.layout == LAYOUT_NHWC};
    int rc = campaign_live(&count, a, &p->sim, kind, out->tiling.n_axes ? &output : NULL, d);
    for (size_t l = 0; l < p->sim.n_launches && rc == OK; l++)
        for (size_t i = 0; i < ptx_n_insns(p->sim.launches[l].kernel); i++)
            if (count[l][i].sites) {
                struct model_stratum *s = stratum_for(out, a, p, l, i);
                s->population += count[l][i].sites;
                s->live += count[l][i].live;
                add_influences(s, a, &count[l][i]);
            }
    return rc;
}

/* The same without knowing which are live. */
static int count_sites(struct study_strata *out, struct arena *a, const struct conv_program *p,
                       const struct fault_kind *kind, struct diag *d)
{
    struct simt *s = simt_new();
    struct simt_mem *mem = simt_mem_clone(p->sim.mem);
    int rc = OK;
    for (size_t l = 0; l < p->sim.n_launches && rc == OK; l++) {
        const struct simt_launch *launch = &p->sim.launches[l];
        const size_t n = ptx_n_insns(launch->kernel);
        struct arena scratch = {0};
        struct inject_space space;
        uint64_t *executed = arena_array(&scratch, n, sizeof *executed);
        const struct simt_hook hook = {.ctx = executed, .step = count_step};
        const struct simt_run_options options = {.hook = &hook};
        struct simt_result r;
        inject_space_init(&space, &scratch, &p->sim, l, kind);
        simt_run(s, mem, launch, 0, simt_n_ctas(launch), &options, &r);
        rc = simt_must_end(launch, &r, d);
        for (size_t i = 0; i < n; i++)
            if (executed[i] && space.targets[i])
                stratum_for(out, a, p, l, i)->population += executed[i] * space.targets[i];
        arena_fini(&scratch);
    }
    simt_mem_free(mem);
    simt_free(s);
    return rc;
}

/* Cells: a launch as a whole. */
static int count_launches(struct study_strata *out, struct arena *a, const struct conv_program *p,
                          const struct fault_kind *kind, struct diag *d)
{
    struct golden *g;
    int rc = golden_run(&g, &p->sim, kind, d);
    if (rc != OK)
        return rc;
    for (size_t l = 0; l < p->sim.n_launches; l++)
        stratum_for(out, a, p, l, 0)->population += golden_launch_population(g, l);
    golden_free(g);
    return OK;
}

/* What a program of a conv problem offers to faults. */
struct subject {
    struct conv_problem problem;
    const char *impl, *tile, *fault, *population;
};

/* Numbers without a zero: which sites are live is then the shape's, and the same for models and targets. */
static const float *numbers(struct arena *a, uint64_t n, uint64_t stream)
{
    float *x = arena_array(a, (size_t)n, sizeof *x);
    struct rng r;
    rng_init(&r, 1, stream);
    for (uint64_t i = 0; i < n; i++)
        x[i] = (float)(1 + rng_unit(&r));
    return x;
}

static int strata_of(struct study_strata *out, struct arena *a, const struct subject *c,
                     struct diag *d)
{
    const struct conv_impl *impl;
    struct conv_program program;
    struct fault_kind kind;
    *out = (struct study_strata){0};
    int rc = conv_find(&impl, c->impl, d);
    if (rc == OK)
        rc = fault_kind_parse(&kind, arena_strdup(a, c->fault), d);
    const struct conv_problem *q = &c->problem;
    const uint64_t in = (uint64_t)q->n * (uint64_t)q->c * (uint64_t)q->h * (uint64_t)q->w;
    const uint64_t filter =
        (uint64_t)q->k * (uint64_t)(q->c / q->groups) * (uint64_t)q->r * (uint64_t)q->s;
    struct arena scratch = {0};
    if (rc == OK)
        rc = conv_prepare(&program, a, q, impl, c->tile, numbers(&scratch, in, 0),
                          numbers(&scratch, filter, 1), d);
    arena_fini(&scratch);
    if (rc != OK)
        return rc;
    kind.population = strcmp(c->population, "ptx") == 0 ? POPULATION_PTX : POPULATION_MACHINE;
    out->by_instruction = !kind_is_cell(&kind);
    if (c->problem.n == 1 && conv_tiling(&out->tiling, &program) != OK)
        out->tiling.n_axes = 0;
    make_room(out, a, &program.sim);
    rc = out->by_instruction ? count_live(out, a, &program, &kind, d) : ERR_UNSUPPORTED;
    out->live = rc == OK;
    if (rc == ERR_UNSUPPORTED)
        rc = out->by_instruction ? count_sites(out, a, &program, &kind, d)
                                 : count_launches(out, a, &program, &kind, d);
    conv_program_fini(&program);
    return rc;
}

int study_strata(struct study_strata *out, struct arena *a, const struct store_campaign *c,
                 struct diag *d)
{
    struct subject s = {
        .impl = c->impl, .tile = c->tile, .fault = c->fault, .population = c->population_kind};
    *out = (struct study_strata){0};
    if (!*c->impl) /* a user's kernel: no coordinates are known */
        return OK;
    int rc = conv_parse_shape(&s.problem, c->shape, d);
    return rc == OK ? strata_of(out, a, &s, d) : rc;
}

/* ---- Carrying models over ---------------------------------------------------------------------------- */

/* By the CLASSES form, if the model knows no more. */
static void retarget(struct model *m, struct arena *a, const struct study_strata *s)
{
    (void)model_retarget(m, a, &(struct model_target){s->tiling, s->live, s->n, s->list});
}

int study_retarget(struct model *m, struct arena *a, const struct store_campaign *c, struct diag *d)
{
    struct study_strata strata;
    const struct model_origin *o = model_origin(m);
    if (!o || strcmp(o->impl, c->impl) != 0 ||
        (strcmp(o->shape, c->shape) == 0 && strcmp(o->tile, c->tile) == 0))
        return OK;
    int rc = study_strata(&strata, a, c, d);
    if (rc == OK)
        retarget(m, a, &strata);
    return rc;
}

/* The model's own problem, with another output. False if there is none. */
static bool resized(struct conv_problem *p, const size_t chw[3])
{
    struct diag none = {0};
    const bool depthwise = p->groups > 1 && p->groups == p->c && p->k == p->c;
    const long h = ((long)chw[1] - 1) * p->stride_h + (p->r - 1) * p->dilation_h + 1 - p->pad_top -
                   p->pad_bottom;
    const long w = ((long)chw[2] - 1) * p->stride_w + (p->s - 1) * p->dilation_w + 1 - p->pad_left -
                   p->pad_right;
    if (chw[0] > INT32_MAX || h < 1 || h > INT32_MAX || w < 1 || w > INT32_MAX)
        return false;
    p->n = 1;
    p->k = (int)chw[0];
    p->h = (int)h;
    p->w = (int)w;
    if (depthwise)
        p->c = p->groups = p->k;
    return conv_check(p, &none) == OK && (size_t)conv_out_h(p) == chw[1] &&
           (size_t)conv_out_w(p) == chw[2];
}

int study_carry(struct model *m, struct arena *a, const size_t chw[3],
                const struct conv_problem *there)
{
    enum {
        LARGEST = 1 << 24
    }; /* elements of a tensor: beyond, the count of sites takes too long */
    struct study_strata strata;
    struct diag none = {0};
    size_t own[3];
    const struct model_origin *o = model_origin(m);
    if (!model_shape(m, own) || memcmp(own, chw, sizeof own) == 0)
        return OK;
    struct subject s = {.population = "machine"};
    const bool known = o && *o->impl && conv_parse_shape(&s.problem, o->shape, &none) == OK;
    const enum tensor_layout layout = s.problem.layout;
    bool fits = known && (there || resized(&s.problem, chw));
    if (fits && there) {
        s.problem = *there;
        s.problem.n = 1;
        s.problem.layout = layout;
    }
    const struct conv_problem *p = &s.problem;
    const double in = fits ? (double)p->c * p->h * p->w : 0;
    const double filter = fits ? (double)p->k * p->c / p->groups * p->r * p->s : 0;
    const double out = (double)chw[0] * (double)chw[1] * (double)chw[2];
    if (fits && *o->fault && in <= LARGEST && filter <= LARGEST && out <= LARGEST) {
        s.impl = o->impl;
        s.fault = o->fault;
        if (strata_of(&strata, a, &s, &none) == OK) {
            retarget(m, a, &strata);
            return OK;
        }
    }
    (void)model_retarget(m, a, &(struct model_target){.tiling = model_tiling_for(m, chw)});
    return OK;
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
