/* Random kernels of nested loops: counters that go up or down by any step, compared in every way, loads at addresses
 * that move with them. Every bit of random results is struck; the concurrent engine, which proves many hangs instead
 * of running them, gives what the full run gives. SIEVERT_SEED=N; SIEVERT_FAULTS=N kernels. */
#include <setjmp.h>
#include <stdarg.h>
#include <time.h>

#include <cmocka.h>

#include "prop/compare.h"
#include "user/user.h"

struct text_out {
    char v[6000];
    size_t n;
};

__attribute__((format(printf, 2, 3))) static void put(struct text_out *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->v + t->n, sizeof t->v - t->n, format, args);
    va_end(args);
    assert_true(n >= 0 && t->n + (size_t)n < sizeof t->v);
    t->n += (size_t)n;
}

/* A loop of `rounds`: its counter is %r(10 + k), or %rd(10 + k) if it is wide. */
struct loop {
    int k, first, step, rounds;
    bool wide, early, in_register;
    const char *compare; /* that it goes on */
    const char *type;
};

static struct loop draw_loop(struct rng *r, int k)
{
    static const char *const up[] = {"ne", "lt", "le", "eq"}, *const down[] = {"ne", "gt", "ge",
                                                                               "eq"};
    struct loop l = {.k = k, .rounds = 1 + (int)rng_below(r, 4), .first = (int)rng_below(r, 3)};
    l.step = 1 + (int)rng_below(r, rng_below(r, 2) ? 1 : 5);
    l.wide = rng_below(r, 4) == 0;
    l.early = rng_below(r, 3) == 0;
    l.in_register = rng_below(r, 2);
    bool is_down = rng_below(r, 3) == 0, is_signed = is_down || rng_below(r, 2);
    if (is_down) {
        l.step = -l.step;
        l.first = 20;
    }
    l.compare = (is_down ? down : up)[rng_below(r, 4)];
    is_signed |= strcmp(l.compare, "le") == 0; /* its bound may be below 0 */
    l.type = l.wide ? (is_signed ? "s64" : "u64") : is_signed ? "s32" : "u32";
    return l;
}

static const char *counter(const struct loop *l)
{
    return l->wide ? "%rd1" : "%r1"; /* and the level's digit */
}

/* What the counter is compared with. */
static int bound_of(const struct loop *l)
{
    int last = l->first + l->step * (l->rounds - (l->early ? 1 : 0));
    return strcmp(l->compare, "le") == 0 || strcmp(l->compare, "ge") == 0 ? last - l->step : last;
}

/* What it is when it ends, after the comparison's view of it. */
static int end_of(const struct loop *l)
{
    bool within = strcmp(l->compare, "le") == 0 || strcmp(l->compare, "ge") == 0;
    return bound_of(l) + (within ? l->step : 0) - (l->early ? 0 : l->step);
}

static void put_loop_end(struct text_out *t, const struct loop *l)
{
    const char *bits = l->wide ? "64" : "32";
    bool leaves = strcmp(l->compare, "eq") == 0; /* compared with where it ends */
    char add[80], limit[20];
    snprintf(add, sizeof add, " add.s%s %s%d, %s%d, %d;\n", bits, counter(l), l->k, counter(l),
             l->k, l->step);
    snprintf(limit, sizeof limit, "%s%d", l->wide ? "%rd2" : "%r2", l->k);
    if (!l->in_register)
        snprintf(limit, sizeof limit, "%d", bound_of(l));
    if (!l->early)
        put(t, "%s", add);
    put(t, " setp.%s.%s %%p%d, %s%d, %s;\n", l->compare, l->type, l->k, counter(l), l->k, limit);
    if (l->early)
        put(t, "%s", add);
    put(t, " @%s%%p%d bra LOOP%d;\n", leaves ? "!" : "", l->k, l->k);
}

static void put_loop_begin(struct text_out *t, const struct loop *l)
{
    const char *bits = l->wide ? "64" : "32";
    if (l->in_register)
        put(t, " mov.b%s %s%d, %d;\n", bits, l->wide ? "%rd2" : "%r2", l->k, bound_of(l));
    put(t, " mov.b%s %s%d, %d;\nLOOP%d:\n", bits, counter(l), l->k, l->first, l->k);
}

/* As compilers write it, each value has a register of its own: %r30 and on. */
static void put_body(struct text_out *t, struct rng *r, const struct loop *loops, int depth)
{
    bool guarded = rng_below(r, 3) == 0, skips = !guarded && rng_below(r, 3) == 0;
    int at = 30;
    put(t, " mov.u32 %%r%d, %d;\n", at, (int)rng_below(r, 8));
    for (int k = 0; k < depth; k++, at++) {
        if (loops[k].wide)
            put(t, " cvt.u32.u64 %%r4%d, %%rd1%d;\n", k, k);
        else
            put(t, " mov.u32 %%r4%d, %%r1%d;\n", k, k);
        put(t, " mad.lo.s32 %%r%d, %%r4%d, %d, %%r%d;\n", at + 1, k, (int)rng_below(r, 9) - 1, at);
    }
    put(t, " add.s32 %%r6, %%r6, %d;\n", (int)rng_below(r, 4));
    if (rng_below(r, 2)) {
        put(t, " add.s32 %%r%d, %%r%d, %%r6;\n", at + 1, at);
        at++;
    }
    if (rng_below(r, 2))
        put(t, " mul.wide.%s %%rd3, %%r%d, 4;\n", rng_below(r, 2) ? "s32" : "u32", at);
    else
        put(t, " cvt.s64.s32 %%rd7, %%r%d; shl.b64 %%rd3, %%rd7, 2;\n", at);
    put(t, " add.s64 %%rd4, %%rd1, %%rd3;\n setp.lt.u32 %%p8, %%r%d, 200;\n", at);
    if (skips)
        put(t, " @!%%p8 bra SKIP;\n");
    put(t, " %s ld.global.u32 %%r5, [%%rd4+%d];\n", guarded ? "@%p8" : "",
        4 * (int)rng_below(r, 3));
    if (skips)
        put(t, "SKIP:\n");
    put(t, " add.s32 %%r2, %%r2, %%r5;\n");
    const struct loop *l = &loops[rng_below(r, (uint64_t)depth)];
    if (rng_below(r, 3) == 0) /* a loop that has gone far enough ends */
        put(t, " setp.gt.s32 %%p7, %%r%d, 1000; @%%p7 mov.b%s %s%d, %d;\n", at,
            l->wide ? "64" : "32", counter(l), l->k, end_of(l));
    if (rng_below(r, 4) == 0)
        put(t, " and.b32 %%r3, %%r2, 60; add.s32 %%r7, %%r3, %%r8; ld.shared.u32 %%r5, [%%r7];\n");
}

static void put_kernel(struct text_out *t, struct rng *r)
{
    struct loop loops[3];
    int depth = 1 + (int)rng_below(r, 3);
    for (int k = 0; k < depth; k++)
        loops[k] = draw_loop(r, k);
    put(t, ".version 6.3\n.target sm_70\n.address_size 64\n"
           ".visible .entry loops(.param .u64 in, .param .u64 out)\n{\n"
           " .reg .pred %%p<9>; .reg .b32 %%r<50>; .reg .b64 %%rd<30>;\n"
           " .shared .align 4 .b8 tile[128];\n"
           " ld.param.u64 %%rd1, [in]; ld.param.u64 %%rd2, [out]; mov.u32 %%r9, %%tid.x;\n"
           " mov.u32 %%r8, tile; mov.u32 %%r2, 0; mov.u32 %%r5, 1; mov.u32 %%r6, 0;\n");
    for (int k = 0; k < depth; k++)
        put_loop_begin(t, &loops[k]);
    put_body(t, r, loops, depth);
    for (int k = depth; k-- > 0;)
        put_loop_end(t, &loops[k]);
    put(t,
        " mul.wide.u32 %%rd5, %%r9, 4; add.s64 %%rd6, %%rd2, %%rd5; st.global.u32 [%%rd6], %%r2;\n"
        " ret;\n}\n");
}

struct bits {
    struct experiment *full;
    const struct fault *sites;
    const char *text;
    uint64_t hangs;
    struct tally *tally;
};

static void check_bit(void *ctx, size_t i, const struct experiment_result *r)
{
    struct bits *x = ctx;
    struct fault f = x->sites[i];
    struct experiment_result slow;
    char what[WHAT + 6000];
    f.draw[0] = (uint64_t)__builtin_ctzll(r->strike.before ^ r->strike.after);
    experiment_run(x->full, &f, &slow);
    describe(&f, "", "", what);
    size_t n = strlen(what);
    snprintf(what + n, sizeof what - n, "\n%s", x->text);
    assert_same(&slow, r, what);
    x->tally->n++;
    x->tally->outcomes[r->outcome]++;
    x->hangs += r->trap.kind == TRAP_HANG;
}

static void hangs_are_hangs(void **state)
{
    (void)state;
    static const char *const args[] = {"fill:256:1:u32", "zeros:32:u32=out.npy"};
    struct tally t = {0};
    uint64_t hangs = 0;
    print_message("SIEVERT_SEED=%llu\n", (unsigned long long)seed);
    for (unsigned i = 0; i < faults_each; i++) {
        struct arena a = {0};
        struct rng r;
        struct text_out text = {.n = 0};
        struct user_args u = {.grid = {1, 1, 1}, .block = {32, 1, 1}, .n = 2, .arg = args};
        const struct fault_kind kind = {.where = WHERE_GROUP_GPPR, .population = POPULATION_PTX};
        struct user_program p;
        struct golden *g;
        struct diag d = {0};
        struct fault sites[12];
        rng_init(&r, seed, 77000 + i);
        put_kernel(&text, &r);
        if (user_prepare(&p, &a, (struct text){"loops.ptx", text.v, text.n}, &u, &d) != OK)
            fail_msg("%s:%d: %s\n%s", d.file, d.line, d.msg, text.v);
        if (golden_run(&g, &p.sim, &kind, &d) != OK) { /* traps without a fault */
            user_program_fini(&p);
            arena_fini(&a);
            continue;
        }
        struct bits x = {experiment_new(&p.sim, g, ENGINE_FULL, 10), sites, text.v, 0, &t};
        struct experiment *e = experiment_new(&p.sim, g, ENGINE_CONCURRENT, 10);
        for (size_t k = 0; k < 12; k++)
            sites[k] = campaign_fault(g, seed, 12 * i + k);
        experiment_run_bits(e, sites, 12, check_bit, &x);
        hangs += x.hangs;
        experiment_free(e);
        experiment_free(x.full);
        golden_free(g);
        user_program_fini(&p);
        arena_fini(&a);
    }
    print_message("%llu faults: masked %llu, SDC %llu, DUE %llu, of these %llu hangs\n",
                  (unsigned long long)t.n, (unsigned long long)t.outcomes[OUTCOME_MASKED],
                  (unsigned long long)t.outcomes[OUTCOME_SDC],
                  (unsigned long long)t.outcomes[OUTCOME_DUE], (unsigned long long)hangs);
    assert_true(hangs > t.n / 100);
}

int main(void)
{
    const char *given = getenv("SIEVERT_SEED"), *each = getenv("SIEVERT_FAULTS");
    seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    faults_each = each ? (unsigned)atoi(each) : 150;
    const struct CMUnitTest tests[] = {cmocka_unit_test(hangs_are_hangs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
