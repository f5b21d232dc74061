/* Any engine against the full run: outcome, strike, trap and every output bit. Included after cmocka. */
#ifndef TESTS_PROP_COMPARE_H
#define TESTS_PROP_COMPARE_H

#include <stdio.h>

#include "campaign/life.h"
#include "prop/engines.h"

static uint64_t seed;
static unsigned faults_each = 1;
static bool thorough; /* otherwise every other kind, by chance */

enum { WHAT = FAULT_KIND_TEXT + 200 };

static void describe(const struct fault *f, const char *impl, const char *shape, char out[WHAT])
{
    char kind[FAULT_KIND_TEXT];
    fault_kind_print(kind, &f->kind);
    snprintf(out, WHAT, "%s %s %s launch %u cta %llu nth %llu draw %llx %llx", impl, shape, kind,
             f->launch, (unsigned long long)f->cta, (unsigned long long)f->nth,
             (unsigned long long)f->draw[0], (unsigned long long)f->draw[1]);
}

static void assert_same(const struct experiment_result *a, const struct experiment_result *b,
                        const char *what)
{
    bool same_strike = a->strike.landed && b->strike.landed && a->strike.insn == b->strike.insn &&
                       a->strike.warp == b->strike.warp && a->strike.lane == b->strike.lane &&
                       a->strike.reg == b->strike.reg && a->strike.lanes == b->strike.lanes &&
                       a->strike.has_cell == b->strike.has_cell &&
                       a->strike.cell == b->strike.cell && a->strike.bits == b->strike.bits &&
                       a->strike.before == b->strike.before && a->strike.after == b->strike.after &&
                       a->strike.issued == b->strike.issued;
    if (!same_strike)
        fail_msg("strike differs (insn %u %u, warp %u %u, lane %u %u, before %llx %llx, after %llx "
                 "%llx, issued %llu %llu): %s",
                 a->strike.insn, b->strike.insn, a->strike.warp, b->strike.warp, a->strike.lane,
                 b->strike.lane, (unsigned long long)a->strike.before,
                 (unsigned long long)b->strike.before, (unsigned long long)a->strike.after,
                 (unsigned long long)b->strike.after, (unsigned long long)a->strike.issued,
                 (unsigned long long)b->strike.issued, what);
    if (a->outcome != b->outcome)
        fail_msg("outcome %s, %s: %s", vocab_word(&vocab_outcomes, (int)a->outcome),
                 vocab_word(&vocab_outcomes, (int)b->outcome), what);
    if (a->trap.kind != b->trap.kind || a->trap_launch != b->trap_launch ||
        a->trap.cta != b->trap.cta || a->trap.warp != b->trap.warp ||
        a->trap.lane != b->trap.lane || a->trap.insn != b->trap.insn ||
        a->trap.address != b->trap.address)
        fail_msg("trap %s at %u/%llu/%u/%u insn %u, %s at %u/%llu/%u/%u insn %u: %s",
                 vocab_word(&vocab_traps, (int)a->trap.kind), a->trap_launch,
                 (unsigned long long)a->trap.cta, a->trap.warp, a->trap.lane, a->trap.insn,
                 vocab_word(&vocab_traps, (int)b->trap.kind), b->trap_launch,
                 (unsigned long long)b->trap.cta, b->trap.warp, b->trap.lane, b->trap.insn, what);
    if (a->n_diffs != b->n_diffs)
        fail_msg("%zu differences, %zu: %s", a->n_diffs, b->n_diffs, what);
    for (size_t i = 0; i < a->n_diffs; i++)
        if (a->diffs[i].index != b->diffs[i].index ||
            a->diffs[i].faulty_bits != b->diffs[i].faulty_bits)
            fail_msg("difference %zu differs (element %u: %08x, element %u: %08x; struck warp %u "
                     "lane %u insn "
                     "%u): %s",
                     i, a->diffs[i].index, a->diffs[i].faulty_bits, b->diffs[i].index,
                     b->diffs[i].faulty_bits, a->strike.warp, a->strike.lane, a->strike.insn, what);
}

struct tally {
    uint64_t n, outcomes[N_OUTCOMES], fates[N_FATES], cost[N_ENGINES];
};

struct expected {
    struct experiment_result *results; /* of the full engine, diffs copied */
    const struct fault *faults;
    const char *impl, *shape;
    struct tally *tally;
    enum engine engine;
    uint64_t seen;
};

static void check_one(void *ctx, size_t i, const struct experiment_result *r)
{
    struct expected *x = ctx;
    char what[WHAT];
    describe(&x->faults[i], x->impl, x->shape, what);
    assert_same(&x->results[i], r, what);
    x->tally->cost[x->engine] += r->warp_insns;
    x->seen++;
}

static void check_fate(const struct life *life, const struct fault *f,
                       const struct experiment_result *r, const char *what)
{
    bool masked = life->fate == FATE_UNCHANGED || life->fate == FATE_NEVER_READ ||
                  life->fate == FATE_OVERWRITTEN || life->fate == FATE_LOGICAL ||
                  life->fate == FATE_CONVERGED;
    if (r->outcome == OUTCOME_MASKED
            ? !masked
            : life->fate != (r->outcome == OUTCOME_SDC ? FATE_OUTPUT : FATE_TRAP))
        fail_msg("fate %s: %s", vocab_word(&vocab_fates, (int)life->fate), what);
    if (life->n_events == 0 || life->events[0].event != EVENT_STRUCK)
        fail_msg("a life begins with the strike: %s", what);
    if (r->outcome == OUTCOME_DUE && life->events[life->n_events - 1].event != EVENT_TRAPPED)
        fail_msg("a DUE ends with the trap: %s", what);
    if ((life->fate == FATE_UNCHANGED || life->fate == FATE_NEVER_READ ||
         life->fate == FATE_OVERWRITTEN) &&
        life->has_last && !kind_is_stuck(&f->kind))
        fail_msg("nothing read it, yet it last differed somewhere: %s", what);
}

/* What nothing read could have been any other value: of registers; stores may overwrite a part of a word. */
static void check_unread(const struct simt_program *p, const struct golden *g,
                         const struct fault *f, const struct life *life, const char *what)
{
    if ((life->fate != FATE_NEVER_READ && life->fate != FATE_OVERWRITTEN) || f->kind.has_arg ||
        kind_is_stuck(&f->kind) || f->kind.scope != SCOPE_THREAD || f->kind.where >= WHERE_SHARED)
        return;
    struct experiment *e = experiment_new(p, g, ENGINE_REPLAY, 10);
    struct fault other = *f;
    struct experiment_result r;
    other.kind.flip = FLIP_RANDOM_VALUE;
    experiment_run(e, &other, &r);
    if (r.outcome != OUTCOME_MASKED)
        fail_msg("%s, but another value matters: %s", vocab_word(&vocab_fates, (int)life->fate),
                 what);
    experiment_free(e);
}

static inline void compare_tracer(const struct simt_program *p, const struct golden *g,
                                  const struct fault *faults,
                                  const struct experiment_result *results, const char *name,
                                  const char *shape, unsigned n, struct tally *t)
{
    struct tracer *tracer = tracer_new(p, g, 10);
    for (unsigned i = 0; i < n; i++) {
        struct life life;
        struct experiment_result r;
        char what[WHAT];
        describe(&faults[i], name, shape, what);
        if (!tracer_run(tracer, &faults[i], true, &life, &r))
            fail_msg("too long to trace: %s", what);
        assert_same(&results[i], &r, what);
        check_fate(&life, &faults[i], &r, what);
        check_unread(p, g, &faults[i], &life, what);
        t->fates[life.fate]++;
    }
    tracer_free(tracer);
}

/* n random faults of a kind through all engines. */
static inline void compare_engines(const struct simt_program *p, const struct golden *g,
                                   const char *name, const char *shape, unsigned n, struct tally *t)
{
    struct arena a = {0};
    struct experiment *full = experiment_new(p, g, ENGINE_FULL, 10);
    struct fault *faults = arena_array(&a, n, sizeof *faults);
    struct experiment_result *results = arena_array(&a, n, sizeof *results);
    for (unsigned i = 0; i < n; i++) {
        faults[i] = campaign_fault(g, seed, t->n++);
        experiment_run(full, &faults[i], &results[i]);
        struct store_diff *diffs = arena_array(&a, results[i].n_diffs, sizeof *diffs);
        if (results[i].n_diffs)
            memcpy(diffs, results[i].diffs, results[i].n_diffs * sizeof *diffs);
        results[i].diffs = diffs;
        t->outcomes[results[i].outcome]++;
        t->cost[ENGINE_FULL] += results[i].warp_insns;
    }
    for (int engine = 0; engine < N_ENGINES; engine++) {
        struct expected x = {results, faults, name, shape, t, (enum engine)engine, 0};
        if (engine == ENGINE_FULL)
            continue;
        struct experiment *e = experiment_new(p, g, (enum engine)engine, 10);
        experiment_run_all(e, faults, n, check_one, &x);
        assert_int_equal(x.seen, n);
        experiment_free(e);
    }
    compare_tracer(p, g, faults, results, name, shape, n, t);
    experiment_free(full);
    arena_fini(&a);
}

static bool is_skipped(int where, int flip, const struct tally *t)
{
    struct rng r;
    rng_init(&r, seed, 1ull << 60 | (uint64_t)where << 40 | (uint64_t)flip << 32 | t->n);
    return rng_below(&r, 2);
}

/* The rest of a kind at random. */
static struct fault_kind draw_kind(enum where where, enum flip flip, const struct tally *t)
{
    struct rng r;
    rng_init(&r, seed, (uint64_t)where << 40 | (uint64_t)flip << 32 | t->n);
    struct fault_kind k = {.where = where, .flip = flip};
    k.population = rng_below(&r, 2) ? POPULATION_PTX : POPULATION_MACHINE;
    k.scope = where < WHERE_SHARED ? (enum scope)rng_below(&r, N_SCOPES) : SCOPE_THREAD;
    k.moment = where >= WHERE_GLOBAL && rng_below(&r, 3) == 0 ? MOMENT_LAUNCH : MOMENT_INSTANT;
    k.has_arg = flip == FLIP_MULTI_BIT || (flip < FLIP_RANDOM_VALUE && rng_below(&r, 4) == 0);
    k.arg = k.has_arg ? (uint32_t)rng_below(&r, 8) : 0;
    return k;
}

static inline void print_fates(const struct tally *t)
{
    print_message("   ");
    for (int f = 0; f < N_FATES; f++)
        if (t->fates[f])
            print_message(" %s %llu", vocab_word(&vocab_fates, f), (unsigned long long)t->fates[f]);
    print_message("\n");
}

/* n faults of every WHERE and flip, the rest drawn. */
static inline void compare_every_kind(const struct simt_program *p, const char *name,
                                      const char *shape, struct tally *t)
{
    for (int where = 0; where < N_WHERES; where++)
        for (int flip = 0; flip < N_FLIPS; flip++) {
            struct fault_kind kind = draw_kind((enum where)where, (enum flip)flip, t);
            struct golden *g;
            if ((!thorough && is_skipped(where, flip, t)) ||
                fault_kind_check(&kind, &(struct diag){0}) != OK ||
                golden_run(&g, p, &kind, &(struct diag){0}) != OK)
                continue; /* makes no sense, or there is none: fp64, shared memory */
            compare_engines(p, g, name, shape, faults_each, t);
            golden_free(g);
        }
}

#endif
