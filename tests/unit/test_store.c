/* The store: rows come back as they went in, equal campaigns make equal bytes whatever happened on the
 * way (commits, kills, failed writes), and files that are not ours stay as they are. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/rng.h"
#include "store/store.h"

enum { GOLDEN = 6 * 5 * 4, EPSILONS = 3 };

static char dir[48];

static const char *in_dir(const char *name)
{
    static char path[4][128];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

static float golden[GOLDEN], input[10], filter[7];
static const double epsilons[EPSILONS] = {0, 1e-6, 1e-3};
static const struct store_launch launches[2] = {
    {"transform", "input", {4, 1, 1}, {32, 1, 1}, 4, 1000, 32000, 9000},
    {"gemm", "multiply", {2, 3, 1}, {64, 1, 1}, 6, 5000, 160000, 70000},
};

static const struct store_stratum strata[2] = {{0, "fp32", 9000}, {1, "ld", 70000}};

static struct store_campaign campaign(uint64_t planned)
{
    return (struct store_campaign){.impl = "implicit-gemm",
                                   .shape = "1x1x5x4:6x1x1",
                                   .tile = "64x64",
                                   .layer = "conv1",
                                   .fault = "gp:single-bit:thread",
                                   .population_kind = "machine",
                                   .seed = UINT64_MAX - 3,
                                   .planned = planned,
                                   .tensors = STORE_ALL_TENSORS,
                                   .hang_factor = 10,
                                   .kernels_hash = 0x8000000000000001u,
                                   .population = 79000,
                                   .exposure = 32 * 79000,
                                   .n_strata = 2,
                                   .strata = strata,
                                   .ptx = "",
                                   .arguments = "",
                                   .warp_insns = 6000,
                                   .thread_insns = 192000,
                                   .workspace_bytes = 640,
                                   .n_epsilons = EPSILONS,
                                   .epsilons = epsilons,
                                   .dim = {1, 6, 5, 4},
                                   .n_launches = 2,
                                   .launches = launches,
                                   .input_floats = 10,
                                   .filter_floats = 7,
                                   .golden_floats = GOLDEN,
                                   .input = input,
                                   .filter = filter,
                                   .golden = golden};
}

/* Injection number n, made up but legal; its arrays live in scratch. */
struct scratch {
    struct store_diff diffs[GOLDEN];
    struct store_label labels[EPSILONS];
};

static struct store_injection injection(uint64_t n, struct scratch *x)
{
    static const char *const domains[] = {"in_range", "in_range+out_of_range", "random", "nan"};
    struct rng r;
    rng_init(&r, 7, n);
    struct store_injection i = {.number = n,
                                .launch = (uint32_t)rng_below(&r, 2),
                                .warp = (uint32_t)rng_below(&r, 8),
                                .lane = (uint32_t)rng_below(&r, 32),
                                .insn = (uint32_t)rng_below(&r, 300),
                                .lanes = 1 + (uint32_t)rng_below(&r, 32),
                                .cta = rng_below(&r, 4),
                                .nth = rng_below(&r, 1u << 20),
                                .bits = 32,
                                .before = rng_u64(&r),
                                .after = rng_u64(&r),
                                .outcome = (enum outcome)rng_below(&r, N_OUTCOMES)};
    i.ptx_line = (int)i.insn + 10;
    i.source_line = (int)i.insn / 3;
    i.mnemonic = i.insn % 2 ? "fma.rn.f32" : "ld.global.f32";
    i.has_cell = n % 4 != 0;
    i.cell = i.has_cell ? rng_below(&r, 50) : 0;
    i.reg_name = i.has_cell && i.cell % 2 ? "%r1" : NULL;
    i.stratum = (uint32_t)(n % 2);
    i.fate = (enum fate)rng_below(&r, N_FATES);
    i.has_last = n % 3 == 0;
    if (i.has_last) {
        i.last_launch = 1;
        i.last_cta = rng_below(&r, 6);
        i.last_insn = (uint32_t)rng_below(&r, 300);
    }
    if (i.outcome == OUTCOME_DUE) {
        i.trap = (enum trap_kind)(1 + rng_below(&r, N_TRAPS - 1));
        i.trap_launch = i.launch;
        i.trap_cta = i.cta;
        i.trap_insn = i.insn + 5;
        i.trap_address = rng_u64(&r);
    }
    if (i.outcome == OUTCOME_SDC) {
        uint64_t share = 1 + rng_below(&r, 20);
        for (uint32_t e = 0; e < GOLDEN; e++)
            if (rng_below(&r, share) == 0)
                x->diffs[i.n_diffs++] = (struct store_diff){e, rng_u32(&r)};
        if (!i.n_diffs)
            x->diffs[i.n_diffs++] = (struct store_diff){GOLDEN - 1, 0x7fc00000};
        i.max_abs_error = n % 5 ? rng_unit(&r) : (double)INFINITY;
        for (size_t e = 0; e < EPSILONS; e++)
            x->labels[e] = n % 3 == 0 && e == 2
                               ? (struct store_label){.pattern = -1, .domain = ""}
                               : (struct store_label){i.n_diffs, 1 + rng_below(&r, i.n_diffs),
                                                      (int)rng_below(&r, N_PATTERNS),
                                                      domains[rng_below(&r, 4)]};
        i.diffs = x->diffs;
        i.labels = x->labels;
    }
    return i;
}

static int fill(struct store *s, uint64_t from, uint64_t to, uint64_t commit_every, struct diag *d)
{
    struct scratch x;
    int rc = OK;
    for (uint64_t n = from; rc == OK && n < to; n++) {
        struct store_injection i = injection(n, &x);
        rc = store_add(s, &i, d);
        if (rc == OK && commit_every && n % commit_every == 0)
            rc = store_commit(s, d);
    }
    return rc;
}

static void assert_ok(int rc, const struct diag *d)
{
    if (rc != OK)
        fail_msg("%s: %s", d->file, d->msg);
}

static void make(const char *path, uint64_t n, uint64_t commit_every)
{
    struct diag d = {0};
    struct store *s;
    struct store_campaign c = campaign(n);
    unlink(path);
    assert_ok(store_create(&s, path, &c, &d), &d);
    assert_ok(fill(s, 0, n, commit_every, &d), &d);
    assert_ok(store_close(s, &d), &d);
}

static void assert_same_file(const char *a, const char *b)
{
    struct arena m = {0};
    struct text x, y;
    struct diag d = {0};
    assert_ok(file_read(&x, &m, a, 1 << 30, &d), &d);
    assert_ok(file_read(&y, &m, b, 1 << 30, &d), &d);
    assert_int_equal(x.len, y.len);
    for (size_t i = 0; i < x.len; i++)
        if (x.ptr[i] != y.ptr[i])
            fail_msg("%s and %s differ at byte %zu", a, b, i);
    arena_fini(&m);
}

static void assert_only_file(const char *path)
{
    char beside[160];
    const char *const suffix[] = {"-wal", "-shm", "-journal"};
    for (int i = 0; i < 3; i++) {
        snprintf(beside, sizeof beside, "%s%s", path, suffix[i]);
        assert_int_not_equal(access(beside, F_OK), 0);
    }
}

static void assert_same_injection(const struct store_injection *a, const struct store_injection *b,
                                  bool with_diffs)
{
    assert_int_equal(a->number, b->number);
    assert_int_equal(a->launch, b->launch);
    assert_int_equal(a->warp, b->warp);
    assert_int_equal(a->lane, b->lane);
    assert_int_equal(a->insn, b->insn);
    assert_int_equal(a->reg, b->reg);
    assert_int_equal(a->lanes, b->lanes);
    assert_int_equal(a->cta, b->cta);
    assert_int_equal(a->nth, b->nth);
    assert_int_equal(a->bits, b->bits);
    assert_string_equal(a->mnemonic, b->mnemonic);
    assert_int_equal(a->has_cell, b->has_cell);
    assert_int_equal(a->cell, b->cell);
    assert_true(a->reg_name ? b->reg_name && strcmp(a->reg_name, b->reg_name) == 0 : !b->reg_name);
    assert_int_equal(a->stratum, b->stratum);
    assert_int_equal(a->fate, b->fate);
    assert_int_equal(a->has_last, b->has_last);
    assert_int_equal(a->last_launch, b->last_launch);
    assert_int_equal(a->last_cta, b->last_cta);
    assert_int_equal(a->last_insn, b->last_insn);
    assert_int_equal(a->before, b->before);
    assert_int_equal(a->after, b->after);
    assert_int_equal(a->ptx_line, b->ptx_line);
    assert_int_equal(a->source_line, b->source_line);
    assert_int_equal(a->outcome, b->outcome);
    assert_int_equal(a->trap, b->trap);
    assert_int_equal(a->trap_launch, b->trap_launch);
    assert_int_equal(a->trap_insn, b->trap_insn);
    assert_int_equal(a->trap_cta, b->trap_cta);
    assert_int_equal(a->trap_address, b->trap_address);
    assert_true(a->max_abs_error == b->max_abs_error);
    assert_int_equal(a->n_diffs, b->n_diffs);
    if (with_diffs && a->n_diffs)
        assert_memory_equal(a->diffs, b->diffs, a->n_diffs * sizeof *a->diffs);
    assert_int_equal(!a->labels, !b->labels);
    for (size_t e = 0; a->labels && e < EPSILONS; e++) {
        assert_int_equal(a->labels[e].corrupted, b->labels[e].corrupted);
        assert_int_equal(a->labels[e].channels, b->labels[e].channels);
        assert_int_equal(a->labels[e].pattern, b->labels[e].pattern);
        assert_string_equal(a->labels[e].domain, b->labels[e].domain);
    }
}

struct seen {
    uint64_t n;
    bool with_diffs;
};

static int check_injection(void *ctx, const struct store_injection *i)
{
    struct seen *seen = ctx;
    struct scratch x;
    struct store_injection want = injection(seen->n++, &x);
    assert_same_injection(&want, i, seen->with_diffs);
    return OK;
}

/* ---- Tests ------------------------------------------------------------------------------------- */

static void rows_come_back(void **state)
{
    (void)state;
    const char *path = in_dir("rows.db");
    struct diag d = {0};
    struct store *s;
    struct arena a = {0};
    uint64_t n;
    make(path, 500, 0);
    assert_only_file(path);
    assert_ok(store_open(&s, path, false, &d), &d);
    struct store_campaign c = campaign(9999); /* planned may differ */
    assert_ok(store_same_campaign(s, &c, &d), &d);
    const struct store_campaign *m = store_campaign(s);
    assert_int_equal(m->planned, 500);
    assert_int_equal(m->seed, c.seed);
    assert_int_equal(m->kernels_hash, c.kernels_hash);
    assert_int_equal(m->workspace_bytes, 640);
    assert_int_equal(m->launches[1].population, 70000);
    assert_string_equal(m->launches[1].label, "multiply");
    assert_null(store_simulation(s));
    assert_ok(store_count(s, &n, &d), &d);
    assert_int_equal(n, 500);
    for (int with = 0; with < 2; with++) {
        struct seen seen = {.with_diffs = with};
        assert_ok(store_each(s, with, check_injection, &seen, &d), &d);
        assert_int_equal(seen.n, 500);
    }
    for (uint64_t k = 0; k < 500; k += 37) {
        struct store_injection got;
        struct scratch x;
        assert_ok(store_get(s, k, &got, &a, &d), &d);
        struct store_injection want = injection(k, &x);
        assert_same_injection(&want, &got, true);
    }
    struct store_injection got;
    assert_int_equal(store_get(s, 500, &got, &a, &d), ERR_INPUT);
    arena_fini(&a);
    assert_ok(store_close(s, &(struct diag){0}), &d);
}

static void same_campaign_names_the_difference(void **state)
{
    (void)state;
    struct diag d = {0};
    struct store *s;
    assert_ok(store_open(&s, in_dir("rows.db"), false, &d), &d);
    struct store_campaign c = campaign(500);
    c.impl = "direct";
    assert_int_equal(store_same_campaign(s, &c, &d), ERR_INPUT);
    assert_non_null(strstr(d.msg, "implementation is 'implicit-gemm', not 'direct'"));
    float other[10] = {1};
    c = campaign(500);
    c.input = other;
    d = (struct diag){0};
    assert_int_equal(store_same_campaign(s, &c, &d), ERR_INPUT);
    assert_non_null(strstr(d.msg, "input"));
    store_close(s, NULL);
}

static void bytes_do_not_depend_on_the_way(void **state)
{
    (void)state;
    const char *plain = in_dir("plain.db"), *other = in_dir("other.db");
    struct diag d = {0};
    struct store *s;
    make(plain, 400, 0);
    make(other, 400, 1);
    assert_same_file(plain, other);
    /* interrupted, then continued */
    unlink(other);
    struct store_campaign c = campaign(400);
    assert_ok(store_create(&s, other, &c, &d), &d);
    assert_ok(fill(s, 0, 123, 50, &d), &d);
    assert_ok(store_close(s, &d), &d);
    assert_only_file(other);
    assert_ok(store_open(&s, other, true, &d), &d);
    assert_ok(fill(s, 123, 400, 7, &d), &d);
    assert_ok(store_close(s, &d), &d);
    assert_same_file(plain, other);
    /* first planned small, then extended */
    make(other, 100, 3);
    assert_ok(store_open(&s, other, true, &d), &d);
    assert_ok(store_set_planned(s, 0, 400, &d), &d);
    assert_ok(fill(s, 100, 400, 0, &d), &d);
    assert_ok(store_close(s, &d), &d);
    assert_same_file(plain, other);
    /* opening a finished one for writing changes nothing */
    assert_ok(store_open(&s, other, true, &d), &d);
    assert_ok(store_close(s, &d), &d);
    assert_same_file(plain, other);
    assert_ok(store_open(&s, other, false, &d), &d);
    struct seen seen = {.with_diffs = true};
    assert_ok(store_each(s, true, check_injection, &seen, &d), &d);
    store_close(s, NULL);
}

static void wrong_rows_are_impossible(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "UPDATE injection SET outcome = 3 WHERE number = 0",
        "UPDATE injection SET outcome = (outcome + 1) % 3",
        "UPDATE injection SET trap = 1 WHERE outcome = 0",
        "UPDATE injection SET n_diffs = 0 WHERE outcome = 1",
        "UPDATE injection SET launch = 2 WHERE number = 1",
        "UPDATE injection SET lane = 32 WHERE number = 1",
        "UPDATE injection SET nth = 'seven' WHERE number = 1",
        "UPDATE label SET corrupted = 0",
        "UPDATE label SET channels = corrupted + 1",
        "UPDATE label SET epsilon = 9",
        "INSERT INTO label VALUES (999999, 0, 1, 1, 0, 0)",
        "INSERT INTO campaign SELECT * FROM campaign",
        "UPDATE campaign SET golden = x'00'",
        "UPDATE launch SET ctas = 1",
        "DELETE FROM instruction",
    };
    make(in_dir("wrong.db"), 200, 0);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(in_dir("wrong.db"), &db), SQLITE_OK);
    sqlite3_exec(db, "PRAGMA foreign_keys = ON", NULL, NULL, NULL);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (sqlite3_exec(db, wrong[i], NULL, NULL, NULL) != SQLITE_CONSTRAINT)
            fail_msg("accepted: %s (%s)", wrong[i], sqlite3_errmsg(db));
    sqlite3_close(db);
}

static void a_number_comes_once(void **state)
{
    (void)state;
    struct diag d = {0};
    struct store *s;
    struct scratch x;
    struct store_campaign c = campaign(10);
    const char *path = in_dir("twice.db");
    assert_ok(store_create(&s, path, &c, &d), &d);
    struct store_injection i = injection(1, &x);
    assert_ok(store_add(s, &i, &d), &d);
    assert_int_equal(store_add(s, &i, &d), ERR_INPUT);
    assert_non_null(strstr(d.msg, "breaks its rules"));
    store_close(s, NULL);
    assert_int_equal(store_create(&s, path, &c, &(struct diag){0}), ERR_INPUT); /* exists */
}

static void refuse(const char *path, const char *why)
{
    struct arena a = {0};
    struct text before, after;
    struct store *s;
    struct diag d = {0};
    assert_ok(file_read(&before, &a, path, 1 << 30, &d), &d);
    for (int writable = 0; writable < 2; writable++) {
        d = (struct diag){0};
        int rc = store_open(&s, path, writable, &d);
        if (rc == OK || !strstr(d.msg, why))
            fail_msg("%s: rc %d, '%s' instead of '%s'", path, rc, d.msg, why);
    }
    assert_ok(file_read(&after, &a, path, 1 << 30, &(struct diag){0}), &d);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.ptr, after.ptr, before.len);
    arena_fini(&a);
}

static void patch(const char *path, long offset, const void *bytes, size_t n)
{
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0 && pwrite(fd, bytes, n, offset) == (ssize_t)n);
    close(fd);
}

static void other_files_are_left_alone(void **state)
{
    (void)state;
    struct diag d = {0};
    const char *path = in_dir("strange.db");
    struct store *s;
    assert_int_equal(store_open(&s, in_dir("none.db"), false, &d), ERR_IO);
    assert_int_equal(store_open(&s, dir, false, &(struct diag){0}), ERR_INPUT);
    assert_ok(file_write(path, "", 0, &(struct diag){0}), &d);
    refuse(path, "not a Sievert store");
    char text[4096];
    memset(text, 'x', sizeof text);
    assert_ok(file_write(path, text, sizeof text, &(struct diag){0}), &d);
    refuse(path, "not a Sievert store");
    make(path, 50, 0);
    patch(path, 60, (uint8_t[]){0, 0, 0, 99}, 4);
    refuse(path, "store version 99");
    make(path, 50, 0);
    patch(path, 68, "gpkg", 4);
    refuse(path, "not a Sievert store");
    make(path, 300, 0);
    assert_int_equal(truncate(path, 20000), 0);
    refuse(path, "shorter than its header says");
}

static int ignore_injection(void *ctx, const struct store_injection *i)
{
    (void)ctx;
    (void)i;
    return OK;
}

/* Random damage anywhere: refused, or harmless, but never a crash. */
static void damage_never_crashes(void **state)
{
    (void)state;
    const char *path = in_dir("damaged.db");
    struct rng r;
    unsigned refused = 0;
    make(in_dir("whole.db"), 200, 0);
    struct arena a = {0};
    struct text whole;
    struct diag d = {0};
    assert_ok(file_read(&whole, &a, in_dir("whole.db"), 1 << 30, &d), &d);
    for (unsigned t = 0; t < 300; t++) {
        rng_init(&r, 99, t);
        assert_ok(file_write(path, whole.ptr, whole.len, &d), &d);
        uint64_t junk[8];
        for (int i = 0; i < 8; i++)
            junk[i] = rng_u64(&r);
        size_t n = 1 + rng_below(&r, 64);
        patch(path, (long)rng_below(&r, whole.len - n), junk, n);
        struct store *s;
        if (store_open(&s, path, false, &(struct diag){0}) != OK) {
            refused++;
            continue;
        }
        struct store_injection i;
        struct arena b = {0};
        (void)store_each(s, true, ignore_injection, NULL, &(struct diag){0});
        for (uint64_t k = 0; k < 200; k += 40)
            (void)store_get(s, k, &i, &b, &(struct diag){0});
        arena_fini(&b);
        store_close(s, NULL);
    }
    assert_true(refused > 20);
    arena_fini(&a);
}

static void one_writer(void **state)
{
    (void)state;
    struct diag d = {0};
    struct store *s, *second;
    struct store_campaign c = campaign(100);
    const char *path = in_dir("busy.db");
    uint64_t n;
    assert_ok(store_create(&s, path, &c, &d), &d);
    assert_ok(fill(s, 0, 40, 0, &d), &d);
    assert_ok(store_commit(s, &d), &d);
    assert_int_equal(store_open(&second, path, true, &d), ERR_IO);
    assert_non_null(strstr(d.msg, "another process"));
    d = (struct diag){0};
    assert_ok(store_open(&second, path, false, &d), &d); /* readers are welcome */
    assert_ok(store_count(second, &n, &d), &d);
    assert_int_equal(n, 40);
    store_close(second, NULL);
    assert_ok(fill(s, 40, 100, 0, &d), &d);
    assert_ok(store_close(s, &d), &d);
    assert_only_file(path);
}

/* ---- Kills ------------------------------------------------------------------------------------- */

static _Noreturn void writer(const char *path, uint64_t n)
{
    struct diag d = {0};
    struct store *s;
    struct store_campaign c = campaign(n);
    uint64_t have = 0;
    int rc =
        access(path, F_OK) == 0 ? store_open(&s, path, true, &d) : store_create(&s, path, &c, &d);
    if (rc == OK && (rc = store_count(s, &have, &d)) == OK && (rc = fill(s, have, n, 20, &d)) == OK)
        rc = store_close(s, &d);
    if (rc != OK)
        fprintf(stderr, "writer: %s\n", d.msg);
    _exit(rc == OK ? 0 : 1);
}

/* Runs a writer and kills it after that long, unless it ended. 1: it ended by itself. */
static bool run_writer(const char *path, uint64_t n, unsigned microseconds)
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        writer(path, n);
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    struct timespec wait = {microseconds / 1000000, microseconds % 1000000 * 1000L};
    sigtimedwait(&child, NULL, &wait); /* blocked, so that an end wakes us */
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    sigtimedwait(&child, NULL, &(struct timespec){0}); /* of the kill */
    if (WIFEXITED(status))
        assert_int_equal(WEXITSTATUS(status), 0);
    return WIFEXITED(status);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void kills_lose_nothing(void **state)
{
    (void)state;
    enum { KILLS = 200, ROWS = 2000 };
    const char *plain = in_dir("undisturbed.db"), *path = in_dir("killed.db");
    struct rng r;
    unsigned kills = 0, campaigns = 0;
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    rng_init(&r, 1, 0);
    make(plain, ROWS, 0);
    double began = seconds();
    run_writer(path, ROWS, 60000000);
    uint64_t whole = (uint64_t)(1e6 * (seconds() - began));
    unlink(path);
    while (kills < KILLS) {
        /* as often in the middle of the work as at its ends */
        while (!run_writer(path, ROWS,
                           kills < KILLS ? (unsigned)rng_below(&r, whole / 2 + 1) : 60000000))
            kills++;
        assert_same_file(plain, path);
        unlink(path);
        campaigns++;
    }
    print_message("%u kills in %u campaigns\n", kills, campaigns);
}

/* ---- Failing writes: the disk is full from the N-th write on -------------------------------------- */

static long writes_left;

static ssize_t full_pwrite(int fd, const void *p, size_t n, off_t at)
{
    if (writes_left-- <= 0) {
        errno = ENOSPC;
        return -1;
    }
    return pwrite(fd, p, n, at);
}

static int full_fallocate(int fd, off_t at, off_t n)
{
    if (writes_left-- <= 0)
        return ENOSPC;
    return posix_fallocate(fd, at, n);
}

static void full_disk_is_one_clear_error(void **state)
{
    (void)state;
    enum { ROWS = 300 };
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    const char *plain = in_dir("roomy.db"), *path = in_dir("full.db");
    unsigned failures = 0;
    make(plain, ROWS, 20);
    vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)full_pwrite);
    vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)full_pwrite);
    vfs->xSetSystemCall(vfs, "fallocate", (sqlite3_syscall_ptr)full_fallocate);
    for (long room = 0;; room += 1 + room / 16) {
        struct diag d = {0};
        struct store *s = NULL;
        struct store_campaign c = campaign(ROWS);
        uint64_t have;
        unlink(path);
        writes_left = room;
        int rc = store_create(&s, path, &c, &d);
        if (rc == OK && (rc = fill(s, 0, ROWS, 20, &d)) == OK)
            rc = store_close(s, &d);
        else if (s)
            store_close(s, NULL);
        writes_left = 1 << 20;
        if (rc == OK)
            break;
        failures++;
        if (rc != ERR_IO || !strstr(d.msg, "full"))
            fail_msg("after %ld writes: rc %d, '%s'", room, rc, d.msg);
        /* with room again, the same command continues */
        d = (struct diag){0};
        rc = access(path, F_OK) == 0 ? store_open(&s, path, true, &d)
                                     : store_create(&s, path, &c, &d);
        assert_ok(rc, &d);
        assert_ok(store_count(s, &have, &d), &d);
        if (have < ROWS)
            assert_ok(fill(s, have, ROWS, 20, &d), &d);
        assert_ok(store_close(s, &d), &d);
        struct seen seen = {.with_diffs = true};
        assert_ok(store_open(&s, path, false, &d), &d);
        assert_ok(store_each(s, true, check_injection, &seen, &d), &d);
        assert_int_equal(seen.n, ROWS);
        store_close(s, NULL);
        if (have < ROWS)
            assert_same_file(plain, path);
    }
    vfs->xSetSystemCall(vfs, NULL, NULL);
    assert_true(failures > 20);
    print_message("%u full disks\n", failures);
}

static void small_rows(void **state)
{
    (void)state;
    enum { ROWS = 200000 };
    struct diag d = {0};
    struct store *s;
    struct stat st, empty;
    struct scratch x;
    struct store_campaign c = campaign(ROWS);
    for (uint64_t n = 0; n <= ROWS; n += ROWS) {
        const char *path = in_dir(n ? "many.db" : "empty.db");
        c.planned = n;
        assert_ok(store_create(&s, path, &c, &d), &d);
        for (uint64_t k = 0; k < n; k++) { /* masked and DUE */
            struct store_injection i = injection(k, &x);
            i.before &= UINT32_MAX;
            i.after &= UINT32_MAX;
            if (i.outcome == OUTCOME_SDC)
                i.outcome = OUTCOME_MASKED;
            i.n_diffs = 0;
            i.labels = NULL;
            assert_ok(store_add(s, &i, &d), &d);
        }
        assert_ok(store_close(s, &d), &d);
        assert_int_equal(stat(path, n ? &st : &empty), 0);
    }
    double each = (double)(st.st_size - empty.st_size) / ROWS;
    print_message("%.1f bytes per masked or DUE injection\n", each);
    assert_true(each <= 64);
}

static int check_trial(void *ctx, const struct store_trial *t)
{
    uint64_t *n = ctx;
    assert_int_equal(t->number, *n);
    assert_int_equal(t->image, *n * 3);
    assert_int_equal(t->injection, *n % 2 ? (int64_t)*n : -1);
    assert_int_equal(t->pattern, (int)(*n % 4) - 1);
    assert_int_equal(t->effect, *n % 3);
    assert_int_equal(t->answer_faulty, -1);
    assert_true(t->score_change == (*n % 7 ? 0.5 * (double)*n : (double)INFINITY));
    assert_int_equal(t->layer, *n % 2);
    assert_true(t->magnitude == (*n % 5 ? 0.25 : (double)INFINITY) && t->measure == -0.5);
    assert_true(t->top5 == (*n % 2 != 0) && t->finite == (*n % 3 != 0));
    ++*n;
    return OK;
}

/* ---- Summaries, samples, older versions ------------------------------------------------------------ */

static sqlite3 *raw(const char *path)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    return db;
}

static int64_t ask(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *q;
    if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) != SQLITE_OK || sqlite3_step(q) != SQLITE_ROW)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    int64_t n = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return n;
}

/* The summaries are what the rows say, asked in other words. */
static void assert_summaries(const char *path)
{
    static const char *const none[] = {
        "SELECT count(*) FROM (SELECT stratum, launch, insn, outcome, fate, coalesce(trap, 0), "
        "count(*) "
        "FROM injection GROUP BY 1, 2, 3, 4, 5, 6 EXCEPT SELECT * FROM tally)",
        "SELECT (SELECT sum(n) FROM tally) - (SELECT count(*) FROM injection)",
        "SELECT count(*) FROM look k WHERE n != (SELECT count(*) FROM label l WHERE l.epsilon = "
        "k.epsilon "
        "AND l.pattern = k.pattern AND l.domain = k.domain AND l.corrupted = k.corrupted)",
        "SELECT (SELECT sum(n) FROM look) - (SELECT count(*) FROM label WHERE corrupted > 0)",
        "SELECT count(*) FROM look k WHERE first != (SELECT min(number) FROM label l "
        "WHERE l.epsilon = k.epsilon AND l.pattern = k.pattern AND l.domain = k.domain "
        "AND l.corrupted = k.corrupted)",
        "SELECT count(*) FROM look k WHERE worst != (SELECT number FROM label l JOIN injection i "
        "USING (number) "
        "WHERE l.epsilon = k.epsilon AND l.pattern = k.pattern AND l.domain = k.domain "
        "AND l.corrupted = k.corrupted ORDER BY max_abs_error DESC, number LIMIT 1)",
        "SELECT count(*) FROM look JOIN injection ON number = worst WHERE worst_error != "
        "max_abs_error",
        "SELECT (SELECT sum(next - first) FROM span) - (SELECT count(*) FROM injection)",
        "SELECT count(*) FROM injection WHERE NOT EXISTS "
        "(SELECT 1 FROM span WHERE number >= first AND number < next)",
        "SELECT count(*) FROM span a JOIN span b ON a.next = b.first",
    };
    sqlite3 *db = raw(path);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        if (ask(db, none[i]) != 0)
            fail_msg("%s: not 0: %s", path, none[i]);
    sqlite3_close(db);
}

static void add_range(const char *path, uint64_t first, uint64_t next, uint64_t commit_every)
{
    struct diag d = {0};
    struct store *s;
    assert_ok(store_open(&s, path, true, &d), &d);
    assert_ok(fill(s, first, next, commit_every, &d), &d);
    assert_ok(store_close(s, &d), &d);
}

/* Ranges in any order make the same file, and its summaries are right at every stop. */
static void ranges_in_any_order(void **state)
{
    (void)state;
    enum { ROWS = 600 };
    static const uint64_t ranges[][2] = {{500, 530}, {0, 10},    {20, 200}, {10, 20},
                                         {530, 600}, {201, 500}, {200, 201}};
    struct arena a = {0};
    struct diag d = {0};
    struct store *s;
    const struct store_span *spans;
    size_t n;
    const char *plain = in_dir("ascending.db"), *path = in_dir("ranges.db");
    for (uint64_t tensors = 0; tensors < 90; tensors += 30) {
        struct store_campaign c = campaign(ROWS);
        c.tensors = tensors ? tensors : STORE_ALL_TENSORS;
        unlink(plain);
        unlink(path);
        assert_ok(store_create(&s, plain, &c, &d), &d);
        assert_ok(fill(s, 0, ROWS, 0, &d), &d);
        assert_ok(store_close(s, &d), &d);
        assert_summaries(plain);
        assert_ok(store_create(&s, path, &c, &d), &d);
        assert_ok(store_close(s, &d), &d);
        for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
            add_range(path, ranges[i][0], ranges[i][1], i);
            assert_summaries(path);
            if (i == 2) {
                assert_ok(store_open(&s, path, false, &d), &d);
                assert_ok(store_spans(s, &a, &spans, &n, &d), &d);
                assert_int_equal(n, 3);
                assert_int_equal(spans[1].first, 20);
                assert_int_equal(spans[1].next, 200);
                store_close(s, NULL);
            }
        }
        assert_same_file(plain, path);
    }
    arena_fini(&a);
}

static int count_tensors(void *ctx, const struct store_injection *i)
{
    uint64_t *n = ctx;
    n[0] += i->outcome == OUTCOME_SDC;
    n[1] += i->diffs != NULL;
    n[2] += i->diffs ? i->number : 0;
    return OK;
}

/* The sample of tensors has its size, and over seeds every SDC is as likely to be in it. */
static void tensors_are_a_uniform_sample(void **state)
{
    (void)state;
    enum { ROWS = 300, KEPT = 20, SEEDS = 60 };
    double position = 0;
    const char *path = in_dir("sample.db");
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct diag d = {0};
        struct store *s;
        uint64_t n[3] = {0};
        struct store_campaign c = campaign(ROWS);
        c.seed = seed;
        c.tensors = KEPT;
        unlink(path);
        assert_ok(store_create(&s, path, &c, &d), &d);
        assert_ok(fill(s, 0, ROWS, 0, &d), &d);
        assert_ok(store_each(s, true, count_tensors, n, &d), &d);
        assert_ok(store_close(s, &d), &d);
        assert_true(n[0] > 2 * KEPT);
        assert_int_equal(n[1], KEPT);
        position += (double)n[2] / KEPT / ROWS;
    }
    /* a uniform place has variance 1/12; five standard deviations */
    double off = position / SEEDS - 0.5;
    print_message("mean place %.4f off the middle\n", off);
    assert_true(fabs(off) < 5 * sqrt(1.0 / 12 / KEPT / SEEDS));
}

static void run_sql(const char *path, const char *sql_file, const char *more)
{
    struct arena a = {0};
    struct text t;
    struct diag d = {0};
    char *error = NULL;
    assert_ok(file_read(&t, &a, sql_file, 1 << 20, &d), &d);
    unlink(path);
    sqlite3 *db = raw(path);
    if (sqlite3_exec(db, t.ptr, NULL, NULL, &error) != SQLITE_OK ||
        sqlite3_exec(db, more, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", sql_file, error);
    sqlite3_close(db);
    arena_fini(&a);
}

/* Files that versions 1, 2 and 4 wrote: opening makes them of this version, with the same rows. The last has a gap. */
static void older_versions_are_converted(void **state)
{
    (void)state;
    static const char *const same[] = {
        "SELECT count(*) FROM (SELECT number, launch, insn, cta, nth, before, after, outcome, "
        "trap, n_diffs, "
        "max_abs_error, diffs FROM old.injection EXCEPT SELECT number, launch, insn, cta, nth, "
        "before, after, "
        "outcome, trap, n_diffs, max_abs_error, diffs FROM main.injection)",
        "SELECT count(*) FROM (SELECT l.number, epsilon, corrupted, channels, pattern, classes "
        "FROM old.label l "
        "LEFT JOIN old.domain d ON d.id = domain EXCEPT SELECT l.number, epsilon, corrupted, "
        "channels, pattern, "
        "classes FROM main.label l LEFT JOIN main.domain d ON d.id = domain)",
        "SELECT count(*) - 40 FROM injection",
        ("SELECT count(*) - 1 FROM campaign WHERE fault = 'fp32:single-bit:thread' AND first = 0 "
         "AND planned IN (40, 60) AND tensors IS NULL"),
    };
    for (int version = 1; version <= 4; version += version) {
        struct diag d = {0};
        struct store *s;
        char file[512], sql[512];
        const char *path = in_dir("older.db"), *old = in_dir("untouched.db");
        snprintf(file, sizeof file, "%s/tests/data/store-v%d.sql", TEST_SOURCE_DIR, version);
        snprintf(sql, sizeof sql, "PRAGMA application_id = 0x53767274; PRAGMA user_version = %d",
                 version);
        run_sql(path, file, sql);
        run_sql(old, file, sql);
        assert_ok(store_open(&s, path, false, &d), &d);
        store_close(s, NULL);
        assert_summaries(path);
        sqlite3 *db = raw(path);
        snprintf(sql, sizeof sql, "ATTACH '%s' AS old", old);
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
        assert_true(ask(db, "SELECT count(*) FROM label") > 0);
        for (size_t i = 0; i < sizeof same / sizeof *same; i++)
            if (ask(db, same[i]) != 0)
                fail_msg("version %d: not 0: %s", version, same[i]);
        sqlite3_close(db);
        /* words that mean something else here */
        snprintf(sql, sizeof sql,
                 "UPDATE word SET word = 'other' WHERE vocabulary = 'trap' AND id = 1; "
                 "PRAGMA application_id = 0x53767274; PRAGMA user_version = %d",
                 version);
        run_sql(path, file, sql);
        refuse(path, "its trap 'other' is unknown here");
    }
}

static void make_part(const char *path, uint64_t tensors, const uint64_t (*ranges)[2], size_t n)
{
    struct diag d = {0};
    struct store *s;
    struct store_campaign c = campaign(600);
    c.tensors = tensors;
    unlink(path);
    assert_ok(store_create(&s, path, &c, &d), &d);
    for (size_t i = 0; i < n; i++)
        assert_ok(fill(s, ranges[i][0], ranges[i][1], 0, &d), &d);
    assert_ok(store_close(s, &d), &d);
}

/* Parts that overlap and touch, in both orders, make the file of the whole. */
static void parts_make_the_whole(void **state)
{
    (void)state;
    static const uint64_t a[][2] = {{0, 50}, {100, 333}}, b[][2] = {{50, 101}, {332, 600}};
    struct diag d = {0};
    struct store *s;
    uint64_t came, two;
    const char *whole = in_dir("ten.db"), *merged = in_dir("merged.db");
    char pa[160], pb[160];
    snprintf(pa, sizeof pa, "%s/part it's a.db", dir);
    snprintf(pb, sizeof pb, "%s/part b.db", dir);
    for (uint64_t tensors = 25;; tensors = STORE_ALL_TENSORS) {
        make_part(whole, tensors, (const uint64_t[][2]){{0, 600}}, 1);
        make_part(pa, tensors, a, 2);
        make_part(pb, tensors, b, 2);
        for (int turn = 0; turn < 2; turn++) {
            struct store_campaign c = campaign(10);
            c.tensors = tensors;
            unlink(merged);
            assert_ok(store_create(&s, merged, &c, &d), &d);
            assert_ok(store_absorb(s, turn ? pa : pb, &came, &d), &d);
            assert_ok(store_absorb(s, turn ? pb : pa, &two, &d), &d);
            assert_int_equal(came + two, 600);
            assert_ok(store_absorb(s, pa, &came, &d), &d);
            assert_int_equal(came, 0);
            assert_ok(store_close(s, &d), &d);
            assert_summaries(merged);
            assert_same_file(whole, merged);
        }
        if (tensors == STORE_ALL_TENSORS)
            break;
    }
    /* an injection that differs, another campaign, a simulation, damage: refused, and nothing is taken */
    static const struct {
        const char *change, *why;
    } wrong[] = {
        {"UPDATE injection SET after = after + 1 WHERE number = 332", "its injection 332 differs"},
        {"UPDATE campaign SET seed = 4", "holds another campaign: its seed is 4"},
        {"DELETE FROM campaign", "neither a campaign nor a simulation"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        d = (struct diag){0};
        make_part(pa, STORE_ALL_TENSORS, a, 2);
        make_part(pb, STORE_ALL_TENSORS, b, 2);
        sqlite3 *db = raw(pb);
        assert_int_equal(sqlite3_exec(db, wrong[i].change, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        assert_ok(store_open(&s, pa, true, &d), &d);
        assert_int_equal(store_absorb(s, pb, &came, &d), ERR_INPUT);
        if (!strstr(d.msg, wrong[i].why))
            fail_msg("'%s' instead of '%s'", d.msg, wrong[i].why);
        d = (struct diag){0};
        assert_ok(fill(s, 50, 60, 0, &d), &d); /* and it goes on */
        assert_ok(store_close(s, &d), &d);
        assert_summaries(pa);
    }
}

static void simulations(void **state)
{
    (void)state;
    const char *path = in_dir("sim.db");
    struct diag d = {0};
    struct store *s;
    uint64_t n = 0;
    struct store_simulation sim = {"lenet5.onnx",
                                   "fashion-mnist",
                                   "conv2",
                                   "direct",
                                   "top-1",
                                   "output",
                                   "turn",
                                   "model",
                                   "m.json",
                                   5,
                                   100,
                                   64,
                                   2,
                                   (const struct store_struck[]){{"conv2", 10}, {"fc", 2.5}}};
    assert_ok(store_sim_create(&s, path, &sim, &d), &d);
    for (uint64_t k = 0; k < 100; k++) {
        struct store_trial t = {k,
                                k * 3,
                                k % 2,
                                k % 2 ? (int64_t)k : -1,
                                (int)(k % 4) - 1,
                                k,
                                (enum effect)(k % 3),
                                1,
                                -1,
                                3,
                                k % 7 ? 0.5 * (double)k : (double)NAN,
                                k % 5 ? 0.25 : (double)INFINITY,
                                -0.5,
                                k % 2,
                                k % 3};
        assert_ok(store_sim_add(s, &t, &d), &d);
    }
    assert_ok(store_close(s, &d), &d);
    assert_ok(store_open(&s, path, false, &d), &d);
    assert_null(store_campaign(s));
    assert_string_equal(store_simulation(s)->source, "model");
    assert_int_equal(store_simulation(s)->images, 64);
    assert_string_equal(store_simulation(s)->task, "top-1");
    assert_int_equal(store_simulation(s)->n_layers, 2);
    assert_string_equal(store_simulation(s)->layers[1].name, "fc");
    assert_true(store_simulation(s)->layers[1].exposure == 2.5);
    assert_ok(store_sim_each(s, check_trial, &n, &d), &d);
    assert_int_equal(n, 100);
    assert_int_equal(store_each(s, false, check_injection, NULL, &d), ERR_INPUT);
    store_close(s, NULL);
}

static int set_up(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, 2, 3);
    for (int i = 0; i < GOLDEN; i++)
        golden[i] = (float)rng_unit(&r);
    bool in_memory =
        access("/dev/shm", W_OK) == 0; /* thousands of syncs: no business of the disk */
    snprintf(dir, sizeof dir, "%s/sievert-store-XXXXXX", in_memory ? "/dev/shm" : "/tmp");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

/* Whose summaries do not tell what it holds: nothing of it is taken. */
static void a_part_that_does_not_add_up_is_refused(void **state)
{
    (void)state;
    static const char *const damages[] = {
        "DELETE FROM label WHERE number = (SELECT min(number) FROM label)",
        "DELETE FROM injection WHERE number = 120",
        "UPDATE tally SET n = n + 1 WHERE outcome = 0",
        "UPDATE span SET next = next - 1",
        "PRAGMA foreign_keys=0; DELETE FROM instruction WHERE insn=(SELECT max(insn) FROM tally)",
    };
    struct diag d = {0};
    struct store *s;
    uint64_t came, n;
    const char *whole = in_dir("sum.db"), *part = in_dir("sum-part.db");
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        make_part(whole, STORE_ALL_TENSORS, (const uint64_t[][2]){{0, 100}}, 1);
        make_part(part, STORE_ALL_TENSORS, (const uint64_t[][2]){{100, 200}}, 1);
        sqlite3 *db = raw(part);
        assert_int_equal(sqlite3_exec(db, damages[i], NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        assert_ok(store_open(&s, whole, true, &d), &d);
        assert_int_equal(store_absorb(s, part, &came, &d), ERR_INPUT);
        assert_non_null(strstr(d.msg, "not those that its summaries tell"));
        d = (struct diag){0};
        assert_ok(store_close(s, &d), &d);
        assert_ok(store_open(&s, whole, false, &d), &d);
        assert_ok(store_count(s, &n, &d), &d);
        assert_int_equal(n, 100);
        store_close(s, NULL);
        assert_summaries(whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back),
        cmocka_unit_test(same_campaign_names_the_difference),
        cmocka_unit_test(bytes_do_not_depend_on_the_way),
        cmocka_unit_test(wrong_rows_are_impossible),
        cmocka_unit_test(a_number_comes_once),
        cmocka_unit_test(other_files_are_left_alone),
        cmocka_unit_test(damage_never_crashes),
        cmocka_unit_test(one_writer),
        cmocka_unit_test(kills_lose_nothing),
        cmocka_unit_test(full_disk_is_one_clear_error),
        cmocka_unit_test(small_rows),
        cmocka_unit_test(ranges_in_any_order),
        cmocka_unit_test(tensors_are_a_uniform_sample),
        cmocka_unit_test(older_versions_are_converted),
        cmocka_unit_test(parts_make_the_whole),
        cmocka_unit_test(a_part_that_does_not_add_up_is_refused),
        cmocka_unit_test(simulations),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
