/* Campaigns: what is stored depends on the seed alone; sites and flips are what they say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "campaign/priv.h"
#include "characterise/characterise.h"
#include "prop/engines.h"

static char dir[48];
static const char shape[] = "1x3x8x8:6x3x3:p1";

static const char *in_dir(const char *name)
{
    static char path[4][128];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

static void assert_ok(int rc, const struct diag *d)
{
    if (rc != OK)
        fail_msg("%s: %s", d->file, d->msg);
}

static void prepare(struct case_ *c, const char *impl)
{
    const struct conv_impl *i;
    struct diag d = {0};
    assert_ok(conv_find(&i, impl, &d), &d);
    assert_true(case_init(c, i, shape));
}

static const struct fault_kind gp = {.where = WHERE_GROUP_GP};

static struct campaign_options options(uint64_t n, int jobs)
{
    return (struct campaign_options){.kind = gp, .seed = 42, .n = n, .jobs = jobs};
}

static void assert_same_file(const char *a, const char *b)
{
    struct arena m = {0};
    struct text x, y;
    struct diag d = {0};
    assert_ok(file_read(&x, &m, a, 1 << 30, &d), &d);
    assert_ok(file_read(&y, &m, b, 1 << 30, &d), &d);
    assert_int_equal(x.len, y.len);
    assert_memory_equal(x.ptr, y.ptr, x.len);
    arena_fini(&m);
}

/* ---- The golden run ------------------------------------------------------------------------------- */

static void golden_is_a_plain_run(void **state)
{
    (void)state;
    size_t n;
    const struct conv_impl *impls = conv_impls(&n);
    for (size_t i = 0; i < n; i++) {
        struct case_ c;
        struct golden *g;
        struct diag d = {0};
        if (!case_init(&c, &impls[i], shape))
            continue;
        const struct simt_program *p = &c.program.sim;
        assert_ok(golden_run(&g, p, &gp, &d), &d);
        struct simt_mem *mem = simt_mem_clone(p->mem);
        struct simt *s = simt_new();
        for (size_t l = 0; l < p->n_launches; l++) {
            struct simt_result r;
            simt_run(s, mem, &p->launches[l], 0, simt_n_ctas(&p->launches[l]), NULL, &r);
            assert_int_equal(r.trap.kind, TRAP_NONE);
            assert_int_equal(r.counts.warp_insns, golden_counts(g, l).warp_insns);
            assert_int_equal(r.counts.thread_insns, golden_counts(g, l).thread_insns);
        }
        float *out = malloc(p->out_bytes);
        simt_mem_read(mem, p->out_address, out, p->out_bytes);
        assert_memory_equal(out, golden_output(g), p->out_bytes);
        free(out);
        simt_free(s);
        simt_mem_free(mem);
        golden_free(g);
        case_fini(&c);
    }
}

/* ---- Sites ---------------------------------------------------------------------------------------- */

struct site_count {
    struct fault_kind kind;
    uint64_t sites;
};

static bool count_sites(void *ctx, const struct simt_step *s)
{
    struct site_count *c = ctx;
    if (inject_targets(s->kernel, s->insn, &c->kind))
        for (int lane = 0; lane < SIMT_LANES; lane++)
            if (s->mask >> lane & 1)
                c->sites += (unsigned)s->n_dst;
    return true;
}

/* Number -> site is one to one: every (launch, CTA, nth) below the CTA's count, once and in order. */
static void sites_are_numbered_one_to_one(void **state)
{
    (void)state;
    struct case_ c;
    struct golden *g;
    struct diag d = {0};
    prepare(&c, "winograd-2x2-nonfused");
    assert_ok(golden_run(&g, &c.program.sim, &gp, &d), &d);
    struct simt_mem *mem = simt_mem_clone(c.program.sim.mem);
    struct simt *s = simt_new();
    uint64_t u = 0;
    for (uint32_t l = 0; l < c.program.sim.n_launches; l++) {
        const struct simt_launch *launch = &c.program.sim.launches[l];
        uint64_t at_launch = u;
        for (uint64_t cta = 0; cta < simt_n_ctas(launch); cta++) {
            struct site_count sites = {gp, 0};
            struct simt_hook hook = {.ctx = &sites, .step = count_sites};
            struct simt_result r;
            simt_run(s, mem, launch, cta, 1, &(struct simt_run_options){.hook = &hook}, &r);
            for (uint64_t nth = 0; nth < sites.sites; nth++, u++) {
                struct fault f = golden_fault(g, u);
                if (f.launch != l || f.cta != cta || f.nth != nth)
                    fail_msg("site %llu", (unsigned long long)u);
            }
        }
        assert_int_equal(u - at_launch, golden_launch_population(g, l));
    }
    assert_int_equal(u, golden_population(g));
    simt_free(s);
    simt_mem_free(mem);
    golden_free(g);
    case_fini(&c);
}

/* Without replacement every site is struck as often, every bit of it as often, in another order for each seed. */
static void distinct_faults_are_all_there_are(void **state)
{
    (void)state;
    static const char *const kinds[] = {
        "ld:single-bit:thread:distinct", "pr:stuck-at-1:warp:distinct",
        "gp:single-bit=5:warp-each:distinct", "index:zero-value:thread:distinct=1"};
    struct case_ c;
    const struct conv_impl *impl;
    struct diag d = {0};
    assert_ok(conv_find(&impl, "direct", &d), &d);
    assert_true(case_init(&c, impl, "1x1x3x3:1x2x2"));
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        struct fault_kind kind;
        struct golden *g;
        assert_ok(fault_kind_parse(&kind, kinds[k], &d), &d);
        assert_ok(golden_run(&g, &c.program.sim, &kind, &d), &d);
        uint64_t n = golden_faults(g), variants = fault_variants(&kind), moved = 0;
        bool *seen = calloc(n, sizeof *seen);
        assert_non_null(seen);
        assert_int_equal(n, variants * golden_population(g));
        for (uint64_t i = 0; i < n; i++) {
            struct fault f = campaign_fault(g, 7, i), other = campaign_fault(g, 8, i);
            uint64_t site = g->sites_before[g->first[f.launch] + (size_t)f.cta] + f.nth;
            uint64_t ticket = site * variants + (variants > 1 ? f.draw[0] % variants : 0);
            assert_false(seen[ticket]);
            seen[ticket] = true;
            moved += other.nth != f.nth || other.cta != f.cta;
        }
        assert_true(moved > n / 2);
        free(seen);
        golden_free(g);
    }
    case_fini(&c);
}

/* ---- Strikes -------------------------------------------------------------------------------------- */

static uint64_t flip(enum flip how, uint64_t v, int bits, const uint64_t draw[2])
{
    struct fault f = {.kind = {.flip = how}, .draw = {draw[0], draw[1]}};
    return inject_flip(&f, v, bits, 0);
}

static void flips_are_what_they_say(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, 3, 0);
    static const int widths[] = {1, 16, 32, 64};
    for (int t = 0; t < 20000; t++) {
        int bits = widths[t % 4];
        uint64_t mask = bits == 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
        uint64_t v = rng_u64(&r) & mask, draw[2] = {rng_u64(&r), rng_u64(&r)};
        uint64_t single = v ^ flip(FLIP_SINGLE_BIT, v, bits, draw);
        uint64_t twice = v ^ flip(FLIP_DOUBLE_BIT, v, bits, draw);
        assert_int_equal(__builtin_popcountll(single), 1);
        assert_true(single <= mask && twice <= mask);
        assert_int_equal(__builtin_popcountll(twice), bits > 1 ? 2 : 1);
        if (bits > 1)
            assert_true(twice == (uint64_t)3 << __builtin_ctzll(twice));
        assert_int_equal(flip(FLIP_ZERO_VALUE, v, bits, draw), 0);
        assert_true(flip(FLIP_RANDOM_VALUE, v, bits, draw) == (draw[1] & mask));
        /* the same flip twice restores */
        assert_true(flip(FLIP_SINGLE_BIT, v ^ single, bits, draw) == v);
        assert_true(flip(FLIP_STUCK_AT_1, v, bits, draw) == (v | single));
        assert_true(flip(FLIP_STUCK_AT_0, v, bits, draw) == (v & ~single));
        struct fault many = {
            .kind = {.flip = FLIP_MULTI_BIT, .has_arg = true, .arg = 1 + (uint32_t)t % 16},
            .draw = {draw[0], draw[1]}};
        uint64_t some = v ^ inject_flip(&many, v, bits, 0);
        assert_true(some <= mask);
        assert_int_equal(__builtin_popcountll(some),
                         (int)many.kind.arg < bits ? (int)many.kind.arg : bits);
        struct fault given = {.kind = {.flip = FLIP_DOUBLE_BIT, .has_arg = true, .arg = 3}};
        assert_true(bits == 1 || (v ^ inject_flip(&given, v, bits, 0)) == 24);
    }
    bool seen[64] = {false};
    for (uint64_t b = 0; b < 64; b++)
        seen[__builtin_ctzll(flip(FLIP_SINGLE_BIT, 0, 64, (uint64_t[]){b, 0}))] = true;
    for (int b = 0; b < 64; b++)
        assert_true(seen[b]);
}

static void strikes_land(void **state)
{
    (void)state;
    struct case_ c;
    prepare(&c, "implicit-gemm");
    for (int group = 0; group < N_GROUPS; group++)
        for (int scope = 0; scope < N_SCOPES; scope++) {
            struct fault_kind kind = {.where = (enum where)group, .scope = (enum scope)scope};
            struct golden *g;
            if (golden_run(&g, &c.program.sim, &kind, &(struct diag){0}) != OK) {
                assert_int_equal(group, GROUP_FP64);
                continue;
            }
            struct experiment *e = experiment_new(&c.program.sim, g, ENGINE_REPLAY, 10);
            for (uint64_t k = 0; k < 100; k++) {
                struct fault f = campaign_fault(g, 5, k);
                struct experiment_result r;
                if (k < 2) /* the ends of the population, too */
                    f = golden_fault(g, k ? golden_population(g) - 1 : 0);
                experiment_run(e, &f, &r);
                assert_true(r.strike.landed);
                assert_int_equal(__builtin_popcountll(r.strike.before ^ r.strike.after), 1);
                assert_int_equal(r.strike.bits == 1,
                                 group == GROUP_PR || (group == GROUP_GPPR && r.strike.bits == 1));
                assert_true(scope != SCOPE_THREAD ? r.strike.lanes >= 1 : r.strike.lanes == 1);
                struct ptx_insn_info info =
                    ptx_insn_info(c.program.sim.launches[f.launch].kernel, r.strike.insn);
                assert_true(info.groups >> group & 1);
                assert_false(info.folded);
            }
            experiment_free(e);
            golden_free(g);
        }
    case_fini(&c);
}

static void words_of_a_fault(void **state)
{
    (void)state;
    struct fault_kind k;
    char text[FAULT_KIND_TEXT];
    struct diag d = {0};
    static const char *const pairs[][2] = {
        {"ld:random-value:warp", "ld:random-value:warp"},
        {"fp32", "fp32:single-bit:thread"},
        {"reg:multi-bit=3:warp-each", "reg:multi-bit=3:warp-each"},
        {"addr:single-bit=63", "addr:single-bit=63:thread"},
        {"weights@launch:double-bit=30:launch=2", "weights@launch:double-bit=30:launch=2"},
        {"shared:stuck-at-1", "shared:stuck-at-1"},
        {"gp:line=7", "gp:single-bit:thread:line=7"},
        {"gp:zero-value:kernel=k:line=7-9", "gp:zero-value:thread:kernel=k:line=7-9"},
        {"gp:cluster=8", "gp:single-bit:thread:cluster=8"},
        {"gp:distinct", "gp:single-bit:thread:distinct=64"},
        {"gppr:exhaustive", "gppr:single-bit:thread:exhaustive"},
        {"gp:single-bit=3:distinct=1", "gp:single-bit=3:thread:distinct=1"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        assert_ok(fault_kind_parse(&k, pairs[i][0], &d), &d);
        fault_kind_print(text, &k);
        assert_string_equal(text, pairs[i][1]);
    }
    static const char *const wrong[] = {"",
                                        "gq",
                                        "gp:single",
                                        "gp:single-bit:thread:",
                                        "gp::thread",
                                        "shared@launch",
                                        "reg@launch",
                                        "weights@launch:stuck-at-0",
                                        "shared:single-bit:warp",
                                        "pred:double-bit",
                                        "pr:multi-bit=2",
                                        "gp:multi-bit",
                                        "gp:multi-bit=0",
                                        "reg:single-bit=32",
                                        "reg:double-bit=31",
                                        "gp:zero-value=1",
                                        "gp:line=0",
                                        "gp:line=9-7",
                                        "weights@launch:line=3",
                                        "gp:launch=x",
                                        "gp:single-bit=-1",
                                        "gp@noon",
                                        "gp:single-bit:thread:warp",
                                        "gp:random-value:distinct",
                                        "gp:multi-bit=2:distinct",
                                        "gp:single-bit:warp-each:distinct",
                                        "gp:distinct=2",
                                        "reg:exhaustive",
                                        "gp:zero-value:exhaustive",
                                        "gp:single-bit:warp:exhaustive",
                                        "gp:distinction",
                                        "gp:cluster=1",
                                        "gp:cluster=8:strata",
                                        "kernel=k"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (fault_kind_parse(&k, wrong[i], &(struct diag){0}) != ERR_INPUT)
            fail_msg("%s was taken", wrong[i]);
}

/* ---- Campaigns ------------------------------------------------------------------------------------ */

static void run(const char *path, const struct case_ *c, uint64_t n, int jobs, enum engine engine)
{
    struct diag d = {0};
    struct campaign_options o = options(n, jobs);
    o.engine = engine;
    assert_ok(campaign_run(path, &c->program, c->input, c->filter, &o, &d), &d);
}

static void files_depend_on_the_seed_alone(void **state)
{
    (void)state;
    struct case_ c;
    struct diag d = {0};
    prepare(&c, "implicit-gemm");
    const char *one = in_dir("one.db"), *other = in_dir("other.db");
    run(one, &c, 400, 1, ENGINE_REPLAY);
    for (int engine = 0; engine < N_ENGINES; engine++) {
        unlink(other);
        run(other, &c, 400, 2, (enum engine)engine);
        assert_same_file(one, other);
    }
    unlink(other); /* begun small, then continued */
    run(other, &c, 150, 2, ENGINE_REPLAY);
    run(other, &c, 400, 1, ENGINE_REPLAY);
    assert_same_file(one, other);
    struct campaign_options o = options(400, 1);
    o.seed = 43;
    assert_int_equal(campaign_run(other, &c.program, c.input, c.filter, &o, &d), ERR_INPUT);
    assert_non_null(strstr(d.msg, "seed is 42, not 43"));
    assert_same_file(one, other);
    case_fini(&c);
}

struct stopper {
    volatile bool stop;
    uint64_t after;
    struct progress last;
};

static void stop_later(void *ctx, const struct progress *p)
{
    struct stopper *s = ctx;
    s->last = *p;
    assert_int_equal(p->done, p->masked + p->sdc + p->due);
    if (p->done >= s->after)
        s->stop = true;
}

/* Run n injections undisturbed, and again stopped every now and then: the same file. Returns how often
 * it was stopped; not at all if it was done before the first progress call. */
static int disturb(struct case_ *c, uint64_t n)
{
    struct diag d = {0};
    struct stopper s = {.after = 1};
    const char *one = in_dir("undisturbed.db"), *other = in_dir("disturbed.db");
    unlink(one);
    unlink(other);
    run(one, c, n, 2, ENGINE_REPLAY);
    struct campaign_options o = options(n, 2);
    o.progress = stop_later;
    o.progress_ctx = &s;
    o.stop = &s.stop;
    int interruptions = 0, rc;
    while ((rc = campaign_run(other, &c->program, c->input, c->filter, &o, &d)) ==
           ERR_INTERRUPTED) {
        assert_non_null(strstr(d.msg, "the same command continues"));
        d = (struct diag){0};
        s.stop = false;
        s.after = s.last.done + n / 10;
        interruptions++;
    }
    assert_ok(rc, &d);
    assert_int_equal(s.last.done, n);
    assert_same_file(one, other);
    return interruptions;
}

static void interrupted_then_continued(void **state)
{
    (void)state;
    struct case_ c;
    int interruptions = 0;
    prepare(&c, "direct");
    for (uint64_t n = 3000; n <= 300000 && interruptions == 0; n *= 3)
        interruptions = disturb(&c, n);
    assert_true(interruptions > 0);
    case_fini(&c);
}

/* ---- Exhaustive campaigns ------------------------------------------------------------------------- */

static struct campaign_options all_faults(uint64_t first, uint64_t n)
{
    struct campaign_options o = options(n, 2);
    o.kind = (struct fault_kind){.where = WHERE_GROUP_GPPR, .sampling = SAMPLING_EXHAUSTIVE};
    o.first = first;
    return o;
}

static void census_run(const char *path, const struct case_ *c, uint64_t first, uint64_t n)
{
    struct diag d = {0};
    struct campaign_options o = all_faults(first, n);
    assert_ok(campaign_run(path, &c->program, c->input, c->filter, &o, &d), &d);
}

static int add_tally(void *ctx, const struct store_tally *t)
{
    struct census *sums = ctx;
    sums->faults += t->n;
    sums->outcome[t->outcome] += t->n;
    sums->trap[t->trap] += t->trap != TRAP_NONE ? t->n : 0;
    return OK;
}

/* The store has the sums that are counted without one. */
static void assert_same_sums(const char *path, const struct case_ *c)
{
    struct arena a = {0};
    struct store *s;
    struct diag d = {0};
    struct census right, stored = {0};
    const struct campaign_options o = all_faults(0, 0);
    assert_ok(campaign_census(&right, &a, &c->program.sim, &o, &d), &d);
    assert_ok(store_open(&s, path, false, &d), &d);
    assert_ok(store_each_tally(s, add_tally, &stored, &d), &d);
    assert_true(right.faults > 10000 && right.outcome[OUTCOME_SDC] > 0);
    assert_int_equal(stored.faults, right.faults);
    assert_memory_equal(stored.outcome, right.outcome, sizeof right.outcome);
    assert_memory_equal(stored.trap, right.trap, sizeof right.trap);
    uint64_t sites = 0, n;
    const struct store_campaign *m = store_campaign(s);
    for (size_t h = 0; h < m->n_strata; h++)
        sites += m->strata[h].population;
    assert_int_equal(sites, m->population);
    assert_ok(store_count(s, &n, &d), &d);
    assert_int_equal(n, m->population);
    struct store_injection row;
    assert_int_equal(store_get(s, 0, &row, &a, &d), ERR_INPUT);
    store_close(s, NULL);
    arena_fini(&a);
}

/* Interrupted as often as can be, or in parts that are merged: the file of the run that was not. */
static void exhaustive_campaigns_continue_and_merge(void **state)
{
    (void)state;
    struct case_ c;
    const struct conv_impl *impl;
    struct diag d = {0};
    struct stopper s = {.after = 1};
    const char *whole = in_dir("census.db"), *other = in_dir("stopped.db"),
               *part = in_dir("part.db");
    assert_ok(conv_find(&impl, "winograd-2x2-nonfused", &d), &d);
    assert_true(case_init_tile(&c, impl, "1x1x4x4:1x3x3:p1", "16x64x4"));
    census_run(whole, &c, 0, 0);
    assert_same_sums(whole, &c);
    struct campaign_options o = all_faults(0, 0);
    o.progress = stop_later;
    o.progress_ctx = &s;
    o.stop = &s.stop;
    int interruptions = 0, rc;
    while ((rc = campaign_run(other, &c.program, c.input, c.filter, &o, &d)) == ERR_INTERRUPTED) {
        assert_non_null(strstr(d.msg, "the same command continues"));
        d = (struct diag){0};
        s.stop = false;
        s.after = s.last.done + 1;
        interruptions++;
    }
    assert_ok(rc, &d);
    assert_true(interruptions > 0);
    assert_same_file(whole, other);
    unlink(other);
    struct store *to;
    uint64_t n, twice;
    census_run(other, &c, 0, 3000);
    census_run(part, &c, 3000, 0);
    assert_ok(store_open(&to, other, true, &d), &d);
    assert_ok(store_absorb(to, part, &n, &d), &d);
    assert_int_equal(store_absorb(to, part, &twice, &d), ERR_INPUT);
    assert_non_null(strstr(d.msg, "cannot be told apart"));
    d = (struct diag){0};
    assert_ok(store_close(to, &d), &d);
    assert_same_file(whole, other);
    case_fini(&c);
}

struct totals {
    uint64_t n, outcomes[N_OUTCOMES];
};

static int add_up(void *ctx, const struct store_injection *i)
{
    struct totals *t = ctx;
    t->n++;
    t->outcomes[i->outcome]++;
    if (i->outcome == OUTCOME_SDC) {
        assert_int_equal(i->labels[0].corrupted, i->n_diffs); /* epsilon 0: all of them */
        assert_true(i->labels[1].corrupted <= i->labels[0].corrupted);
        assert_true(i->labels[2].corrupted <= i->labels[1].corrupted);
    } else {
        assert_null(i->labels);
    }
    return OK;
}

static void rows_replay_bit_for_bit(void **state)
{
    (void)state;
    struct store *s;
    struct diag d = {0};
    struct totals t = {0};
    assert_ok(store_open(&s, in_dir("one.db"), false, &d), &d);
    assert_ok(store_each(s, false, add_up, &t, &d), &d);
    assert_int_equal(t.n, 400);
    assert_int_equal(t.outcomes[0] + t.outcomes[1] + t.outcomes[2], 400);
    for (int o = 0; o < N_OUTCOMES; o++)
        assert_true(t.outcomes[o] > 0);
    for (uint64_t k = 0; k < 400; k += 23) {
        struct arena a = {0};
        struct replayed r;
        struct store_injection row;
        assert_ok(store_get(s, k, &row, &a, &d), &d);
        assert_ok(campaign_replay(&r, &a, s, k, k % 2 ? ENGINE_FULL : ENGINE_REPLAY, &d), &d);
        assert_int_equal(r.result.outcome, row.outcome);
        assert_int_equal(r.result.n_diffs, row.n_diffs);
        assert_true(r.n_events >= 1 && r.events[0].event == EVENT_STRUCK);
        assert_string_equal(r.events[0].reg, row.reg_name);
        arena_fini(&a);
    }
    struct arena a = {0};
    struct replayed r;
    assert_int_equal(campaign_replay(&r, &a, s, 400, ENGINE_FULL, &d), ERR_INPUT);
    arena_fini(&a);
    store_close(s, NULL);
}

/* ---- Layouts -------------------------------------------------------------------------------------- */

enum { N_ = 2, K_ = 6, P_ = 8, Q_ = 7, N_FLOATS = N_ * K_ * P_ * Q_ };

/* NHWC -> NCHW, by the definition. */
static void transpose(float *to, const float *from)
{
    for (int n = 0; n < N_; n++)
        for (int k = 0; k < K_; k++)
            for (int p = 0; p < P_; p++)
                for (int q = 0; q < Q_; q++)
                    to[((n * K_ + k) * P_ + p) * Q_ + q] = from[((n * P_ + p) * Q_ + q) * K_ + k];
}

struct layout_check {
    struct experiment *e;
    const struct golden *golden;
    float nchw[N_FLOATS]; /* of the golden run */
    uint64_t sdc, several;
};

/* A row against the whole faulty tensor: as memory had it, transposed and characterised. */
static int check_row(void *ctx, const struct store_injection *row)
{
    static const size_t dim[4] = {N_, K_, P_, Q_};
    struct layout_check *x = ctx;
    struct arena a = {0};
    struct fault f = campaign_fault(x->golden, 42, row->number);
    struct experiment_result r;
    float memory[N_FLOATS], faulty[N_FLOATS];
    experiment_run(x->e, &f, &r);
    assert_int_equal(r.outcome, row->outcome);
    if (r.outcome != OUTCOME_SDC)
        return 0;
    memcpy(memory, golden_output(x->golden), sizeof memory);
    for (size_t i = 0; i < r.n_diffs; i++)
        memcpy(&memory[r.diffs[i].index], &r.diffs[i].faulty_bits, sizeof *memory);
    transpose(faulty, memory);
    struct difference *diffs;
    const size_t n = characterise_diff(&diffs, &a, x->nchw, faulty, N_FLOATS);
    assert_int_equal(n, row->n_diffs);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(diffs[i].index, row->diffs[i].index);
        assert_memory_equal(&diffs[i].faulty, &row->diffs[i].faulty_bits, sizeof(float));
    }
    struct characterisation c;
    characterise(&c, diffs, n, dim, characterise_range(x->nchw, N_FLOATS),
                 &(struct char_options){.epsilon = 0});
    assert_int_equal(row->labels[0].corrupted, c.corrupted);
    assert_int_equal(row->labels[0].channels, c.channels);
    assert_int_equal(row->labels[0].pattern, c.corrupted ? (int)c.pattern : -1);
    x->sdc++;
    x->several += c.channels > 1;
    arena_fini(&a);
    return 0;
}

static void an_nhwc_campaign_is_labelled_as_nchw(void **state)
{
    (void)state;
    const char *path = in_dir("nhwc.db");
    struct case_ c;
    struct layout_check x = {0};
    struct diag d = {0};
    struct store *s;
    struct golden *g;
    const struct conv_impl *impl;
    assert_ok(conv_find(&impl, "implicit-gemm", &d), &d);
    assert_true(case_init(&c, impl, "2x3x8x7:6x3x3:p1:nhwc"));
    run(path, &c, 600, 2, ENGINE_CONCURRENT);
    assert_ok(golden_run(&g, &c.program.sim, &gp, &d), &d);
    x.golden = g;
    x.e = experiment_new(&c.program.sim, g, ENGINE_FULL, 0);
    transpose(x.nchw, golden_output(g));
    assert_ok(store_open(&s, path, false, &d), &d);
    assert_string_equal(store_campaign(s)->shape, "2x3x8x7:6x3x3:p1:nhwc");
    assert_memory_equal(store_campaign(s)->golden, x.nchw, sizeof x.nchw);
    assert_ok(store_each(s, true, check_row, &x, &d), &d);
    assert_true(x.sdc > 50 && x.several > 5);
    struct arena a = {0};
    struct replayed r;
    for (uint64_t k = 0; k < 600; k += 37)
        assert_ok(campaign_replay(&r, &a, s, k, ENGINE_REPLAY, &d), &d);
    arena_fini(&a);
    store_close(s, NULL);
    experiment_free(x.e);
    golden_free(g);
    case_fini(&c);
}

static int set_up(void **state)
{
    (void)state;
    bool in_memory =
        access("/dev/shm", W_OK) == 0; /* thousands of syncs: no business of the disk */
    snprintf(dir, sizeof dir, "%s/sievert-campaign-XXXXXX", in_memory ? "/dev/shm" : "/tmp");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_is_a_plain_run),
        cmocka_unit_test(sites_are_numbered_one_to_one),
        cmocka_unit_test(distinct_faults_are_all_there_are),
        cmocka_unit_test(flips_are_what_they_say),
        cmocka_unit_test(strikes_land),
        cmocka_unit_test(words_of_a_fault),
        cmocka_unit_test(files_depend_on_the_seed_alone),
        cmocka_unit_test(interrupted_then_continued),
        cmocka_unit_test(exhaustive_campaigns_continue_and_merge),
        cmocka_unit_test(rows_replay_bit_for_bit),
        cmocka_unit_test(an_nhwc_campaign_is_labelled_as_nchw),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
