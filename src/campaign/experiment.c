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
    struct concurrent *concurrent;
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
    *e = (struct experiment){.program = p,
                             .golden = g,
                             .engine = engine,
                             .limits = limits,
                             .simt = simt_new(),
                             .injector = injector_new()};
    if (engine == ENGINE_FULL)
        e->mem = simt_mem_clone(p->mem);
    else
        e->replay = replay_new(p, g, e->simt, e->injector, limits);
    if (engine == ENGINE_CONCURRENT || engine == ENGINE_AUTO)
        e->concurrent = concurrent_new(p, g, e->simt, e->replay, limits);
    return e;
}

void experiment_free(struct experiment *e)
{
    if (!e)
        return;
    concurrent_free(e->concurrent);
    replay_free(e->replay);
    simt_mem_free(e->mem);
    injector_free(e->injector);
    simt_free(e->simt);
    free(e->diffs.v);
    free(e->limits);
    free(e);
}

void diff_list_push(struct diff_list *l, uint32_t index, uint32_t faulty_bits)
{
    if (l->n == l->room) {
        l->room = l->room * 2 + 64;
        l->v = realloc(l->v, l->room * sizeof *l->v);
        if (!l->v)
            abort();
    }
    l->v[l->n++] = (struct store_diff){index, faulty_bits};
}

void diff_list_compare(struct diff_list *l, const struct golden *g, const uint8_t *good,
                       const uint8_t *bad, uint64_t from, uint64_t to)
{
    for (size_t o = 0; o < g->n_outputs; o++) {
        const struct output *x = &g->outputs[o];
        uint64_t lo = x->at > from ? x->at : from,
                 hi = x->at + x->bytes < to ? x->at + x->bytes : to;
        for (uint64_t at = lo; at < hi; at += 4)
            if (memcmp(good + at, bad + at, 4) != 0) {
                uint32_t bits;
                memcpy(&bits, bad + at, sizeof bits);
                diff_list_push(l, x->first + (uint32_t)((at - x->at) / 4), bits);
            }
    }
}

/* The whole output against the golden one, which is not where the program has it. */
static void compare_all(struct diff_list *l, const struct golden *g, const uint8_t *bad)
{
    for (size_t o = 0; o < g->n_outputs; o++) {
        const struct output *x = &g->outputs[o];
        const uint32_t *good = (const uint32_t *)(const void *)(g->output + x->first);
        const uint32_t *faulty = (const uint32_t *)(const void *)(bad + x->at);
        for (uint32_t i = 0; i < x->bytes / 4; i++)
            if (good[i] != faulty[i])
                diff_list_push(l, x->first + i, faulty[i]);
    }
}

/* CTAs [from, to) of a launch; false after a trap. */
static bool run_ctas(struct experiment *e, uint32_t launch, uint64_t from, uint64_t to,
                     const struct simt_hook *hook, struct experiment_result *out)
{
    struct simt_run_options options = {.cta_limit = e->limits + e->golden->first[launch] + from,
                                       .hook = hook};
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
    bool before = f->kind.moment == MOMENT_LAUNCH;
    struct simt_hook hook = {0};
    if (!before)
        hook = injector_arm(e->injector, p, f);
    for (uint32_t l = 0; l < p->n_launches; l++) {
        uint64_t n = simt_n_ctas(&p->launches[l]);
        if (before && l == f->launch)
            injector_before_launch(e->injector, p, f, e->mem);
        bool ran = l == f->launch && !before ? run_ctas(e, l, 0, f->cta, NULL, out) &&
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
    simt_mem_restore(e->mem, e->program->mem);
    e->diffs.n = 0;
    if (run_everything(e, f, out))
        compare_all(&e->diffs, e->golden, simt_mem_view(e->mem).data);
    out->diffs = e->diffs.v;
    out->n_diffs = e->diffs.n;
}

void experiment_decide(struct experiment_result *out)
{
    if (out->trap.kind == TRAP_HANG) { /* where the count ran out means nothing */
        out->trap.lane = out->trap.insn = 0;
        out->trap.at = (struct loc){0};
    }
    if (out->trap.kind != TRAP_NONE) {
        out->outcome = OUTCOME_DUE;
    } else {
        out->trap_launch = 0;
        out->outcome = out->n_diffs ? OUTCOME_SDC : OUTCOME_MASKED;
    }
}

static void run_one(struct experiment *e, const struct fault *f, struct experiment_result *out)
{
    *out = (struct experiment_result){0};
    if (e->engine == ENGINE_FULL)
        full_run(e, f, out);
    else
        replay_run(e->replay, f, out);
    out->strike = *injector_strike(e->injector);
    experiment_decide(out);
}

static void copy_result(void *ctx, size_t i, const struct experiment_result *r)
{
    (void)i;
    *(struct experiment_result *)ctx = *r;
}

void experiment_run(struct experiment *e, const struct fault *f, struct experiment_result *out)
{
    experiment_run_all(e, f, 1, copy_result, out);
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

/* The faults of one CTA, in turn; what each gets is the number of the fault in the caller's array. */
struct round {
    const struct fault *const *faults;
    const struct turn *turns;
    bool all_bits;
    void (*each)(void *ctx, size_t i, const struct experiment_result *r);
    void *ctx;
};

static void hand_on(void *ctx, uint32_t i, struct experiment_result *r)
{
    struct round *round = ctx;
    experiment_decide(r);
    round->each(round->ctx, round->turns[i].index, r);
}

/* One by one; a first run of a site says how many bits it has. */
static void run_apart(struct experiment *e, const struct round *round, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct experiment_result r;
        struct fault f = *round->faults[i];
        int bits = 1;
        for (int bit = 0; bit < bits; bit++) {
            if (round->all_bits)
                f.draw[0] = (uint64_t)bit;
            run_one(e, &f, &r);
            bits = round->all_bits ? r.strike.bits : 1;
            round->each(round->ctx, round->turns[i].index, &r);
        }
    }
}

/* Faults of one CTA: together if the engine can and it pays, else one by one. */
static void run_round(struct experiment *e, struct round *round, size_t n, size_t position)
{
    enum { MOST = 8192, MOST_SITES = 512, LEAST = 2 };
    size_t launch = golden_launch_of(e->golden, position),
           most = round->all_bits ? MOST_SITES : MOST;
    bool pays = e->engine == ENGINE_CONCURRENT || round->all_bits || n >= LEAST;
    if (!e->concurrent || !pays ||
        !concurrent_supports(&e->golden->kind, e->program->launches[launch].kernel)) {
        run_apart(e, round, n);
        return;
    }
    for (size_t from = 0; from < n; from += most) {
        struct round part = *round;
        part.faults += from;
        part.turns += from;
        concurrent_run(e->concurrent, position, part.faults,
                       (uint32_t)(n - from < most ? n - from : most), round->all_bits, hand_on,
                       &part);
    }
}

static size_t position_of(const struct experiment *e, const struct fault *f)
{
    return e->golden->first[f->launch] + (size_t)f->cta;
}

static void run_many(struct experiment *e, const struct fault *faults, size_t n, bool all_bits,
                     void (*each)(void *ctx, size_t i, const struct experiment_result *r),
                     void *ctx)
{
    struct turn *turns = malloc((n + 1) * sizeof *turns);
    const struct fault **sorted = malloc((n + 1) * sizeof *sorted);
    if (!turns || !sorted)
        abort();
    for (size_t i = 0; i < n; i++)
        turns[i] =
            (struct turn){e->golden->sites_before[position_of(e, &faults[i])] + faults[i].nth, i};
    qsort(turns, n, sizeof *turns, by_key);
    for (size_t i = 0; i < n; i++)
        sorted[i] = &faults[turns[i].index];
    for (size_t from = 0, to; from < n; from = to) {
        size_t position = position_of(e, sorted[from]);
        for (to = from + 1; to < n && position_of(e, sorted[to]) == position;)
            to++;
        run_round(e, &(struct round){sorted + from, turns + from, all_bits, each, ctx}, to - from,
                  position);
    }
    free(turns);
    free(sorted);
}

void experiment_run_all(struct experiment *e, const struct fault *faults, size_t n,
                        void (*each)(void *ctx, size_t i, const struct experiment_result *r),
                        void *ctx)
{
    run_many(e, faults, n, false, each, ctx);
}

void experiment_run_bits(struct experiment *e, const struct fault *faults, size_t n,
                         void (*each)(void *ctx, size_t i, const struct experiment_result *r),
                         void *ctx)
{
    assert(fault_has_bits(&e->golden->kind));
    run_many(e, faults, n, true, each, ctx);
}
