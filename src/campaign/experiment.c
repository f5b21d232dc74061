/* One fault, one result: the full run, and the choice between the engines. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "campaign/priv.h"

struct experiment {
    const struct simt_program *program;
    const struct golden *golden;
    enum engine engine;
    uint64_t *limits; /* warp instructions allowed, per position */
    struct simt *simt;
    struct injector *injector;
    struct simt_mem *mem;   /* full */
    struct diff_list diffs; /* full */
    struct replay *replay;
};

struct experiment *experiment_new(const struct simt_program *p, const struct golden *g,
                                  enum engine engine, uint32_t hang_factor)
{
    struct experiment *e = calloc(1, sizeof *e);
    uint64_t *limits = malloc((g->n_ctas + 1) * sizeof *limits);
    if (!e || !limits)
        abort();
    for (size_t i = 0; i < g->n_ctas; i++)
        limits[i] = g->cta[i].issued * (hang_factor ? hang_factor : 10);
    *e = (struct experiment){.program = p, .golden = g, .engine = engine, .limits = limits,
                             .simt = simt_new(), .injector = injector_new()};
    if (engine == ENGINE_FULL)
        e->mem = simt_mem_clone(p->mem);
    else
        e->replay = replay_new(p, g, e->simt, e->injector, limits);
    return e;
}

void experiment_free(struct experiment *e)
{
    if (!e)
        return;
    replay_free(e->replay);
    simt_mem_free(e->mem);
    injector_free(e->injector);
    simt_free(e->simt);
    free(e->diffs.v);
    free(e->limits);
    free(e);
}

void diff_list_compare(struct diff_list *l, uint32_t first, const float *golden, const float *faulty,
                       size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t good, bad;
        memcpy(&good, golden + i, sizeof good);
        memcpy(&bad, faulty + i, sizeof bad);
        if (good == bad)
            continue;
        if (l->n == l->room) {
            l->room = l->room * 2 + 64;
            l->v = realloc(l->v, l->room * sizeof *l->v);
            if (!l->v)
                abort();
        }
        l->v[l->n++] = (struct store_diff){first + (uint32_t)i, bad};
    }
}

/* CTAs [from, to) of a launch; false after a trap. */
static bool run_ctas(struct experiment *e, uint32_t launch, uint64_t from, uint64_t to,
                     const struct simt_hook *hook, struct experiment_result *out)
{
    struct simt_run_options options = {
        .cta_limit = e->limits + e->golden->first[launch] + from, .hook = hook};
    struct simt_result r;
    if (from == to)
        return true;
    simt_run(e->simt, e->mem, &e->program->launches[launch], from, to - from, &options, &r);
    out->warp_insns += r.counts.warp_insns;
    out->trap = r.trap;
    out->trap_launch = launch;
    return r.trap.kind == TRAP_NONE;
}

static bool run_everything(struct experiment *e, const struct fault *f,
                           struct experiment_result *out)
{
    const struct simt_program *p = e->program;
    struct simt_hook hook = injector_arm(e->injector, p->launches[f->launch].kernel, f);
    for (uint32_t l = 0; l < p->n_launches; l++) {
        uint64_t n = simt_n_ctas(&p->launches[l]);
        bool ran = l == f->launch ? run_ctas(e, l, 0, f->cta, NULL, out) &&
                                        run_ctas(e, l, f->cta, f->cta + 1, &hook, out) &&
                                        run_ctas(e, l, f->cta + 1, n, NULL, out)
                                  : run_ctas(e, l, 0, n, NULL, out);
        if (!ran)
            return false;
    }
    return true;
}

static void full_run(struct experiment *e, const struct fault *f, struct experiment_result *out)
{
    struct simt_mem_view view = simt_mem_view(e->mem);
    const void *output = view.data + (e->program->out_address - view.base);
    simt_mem_restore(e->mem, e->program->mem);
    e->diffs.n = 0;
    if (run_everything(e, f, out))
        diff_list_compare(&e->diffs, 0, e->golden->output, output, e->golden->n_floats);
    out->diffs = e->diffs.v;
    out->n_diffs = e->diffs.n;
}

void experiment_run(struct experiment *e, const struct fault *f, struct experiment_result *out)
{
    *out = (struct experiment_result){0};
    if (e->engine == ENGINE_FULL)
        full_run(e, f, out);
    else
        replay_run(e->replay, f, out);
    out->strike = *injector_strike(e->injector);
    if (out->trap.kind != TRAP_NONE) {
        out->outcome = OUTCOME_DUE;
    } else {
        out->trap_launch = 0;
        out->outcome = out->n_diffs ? OUTCOME_SDC : OUTCOME_MASKED;
    }
}

struct fault campaign_fault(const struct golden *g, uint64_t seed, uint64_t number)
{
    struct rng r;
    rng_init(&r, seed, number);
    struct fault f = golden_fault(g, rng_below(&r, golden_population(g)));
    f.draw[0] = rng_u64(&r);
    f.draw[1] = rng_u64(&r);
    return f;
}

/* ---- Many --------------------------------------------------------------------------------------- */

struct turn {
    uint64_t key; /* launch, CTA, site: neighbours share work */
    size_t index;
};

static int by_key(const void *a, const void *b)
{
    const struct turn *x = a, *y = b;
    return x->key != y->key ? (x->key < y->key ? -1 : 1) : x->index < y->index ? -1 : 1;
}

void experiment_run_all(struct experiment *e, const struct fault *faults, size_t n,
                        void (*each)(void *ctx, size_t i, const struct experiment_result *r),
                        void *ctx)
{
    struct turn *turns = malloc((n + 1) * sizeof *turns);
    if (!turns)
        abort();
    for (size_t i = 0; i < n; i++) {
        size_t position = e->golden->first[faults[i].launch] + faults[i].cta;
        turns[i] = (struct turn){e->golden->sites_before[position] + faults[i].nth, i};
    }
    qsort(turns, n, sizeof *turns, by_key);
    for (size_t i = 0; i < n; i++) {
        struct experiment_result r;
        experiment_run(e, &faults[turns[i].index], &r);
        each(ctx, turns[i].index, &r);
    }
    free(turns);
}
