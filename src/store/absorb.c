/* Stores of one campaign, made apart, into one: the rows that are missing are copied, and rows that both have
 * must be the same, for the same number is the same experiment. */
#include "store/priv.h"

/* Injections that go into one commit. */
enum { CHUNK = 100000 };

#define RANGE "number >= ?1 AND number < ?2"
static const char *const copies[] = {
    "INSERT INTO main.injection SELECT * FROM part.injection WHERE " RANGE " ORDER BY number",
    "INSERT INTO main.label SELECT * FROM part.label WHERE " RANGE " ORDER BY number, epsilon",
};
static const char differing[] =
    "SELECT number FROM main.injection a JOIN part.injection b USING (number) WHERE " RANGE
    " AND ((a.launch, a.insn, a.cta, a.nth, a.warp, a.lane, a.lanes, a.reg, a.bits, a.before, "
    "a.after, a.cell, "
    "a.stratum, a.outcome, a.fate, a.trap, a.trap_cta, a.trap_insn, a.trap_address, a.n_diffs, "
    "a.max_abs_error) "
    "IS NOT (b.launch, b.insn, b.cta, b.nth, b.warp, b.lane, b.lanes, b.reg, b.bits, b.before, "
    "b.after, b.cell, "
    "b.stratum, b.outcome, b.fate, b.trap, b.trap_cta, b.trap_insn, b.trap_address, b.n_diffs, "
    "b.max_abs_error) "
    "OR a.diffs != b.diffs) LIMIT 1";

struct spans {
    const struct store_span *v;
    size_t n;
};

static int run_range(struct store *s, const char *sql, uint64_t first, uint64_t next,
                     struct diag *d)
{
    sqlite3_stmt *q;
    int rc = sql_prepare(s, &q, sql, d);
    if (rc != OK)
        return rc;
    sql_bind_u64(q, 1, first);
    sql_bind_u64(q, 2, next);
    rc = sql_run(s, q, "cannot write", d);
    sqlite3_finalize(q);
    return rc;
}

static int compare(struct store *s, const char *path, uint64_t first, uint64_t next, struct diag *d)
{
    sqlite3_stmt *q;
    int rc = sql_prepare(s, &q, differing, d);
    if (rc != OK)
        return rc;
    sql_bind_u64(q, 1, first);
    sql_bind_u64(q, 2, next);
    rc = sql_step(s, q, d);
    if (rc == 1)
        rc = diag_fail(
            d, ERR_INPUT, (struct loc){.file = path},
            "its injection %llu differs from that of %s, although both are of one campaign; "
            "`sievert replay` tells which is right",
            (unsigned long long)sql_u64(q, 0), s->path);
    sqlite3_finalize(q);
    return rc;
}

static int copy(struct store *s, uint64_t first, uint64_t next, struct diag *d)
{
    int rc = OK;
    for (uint64_t at = first, until; rc == OK && at < next; at = until) {
        until = next - at > CHUNK ? at + CHUNK : next;
        for (size_t i = 0; rc == OK && i < sizeof copies / sizeof *copies; i++)
            rc = run_range(s, copies[i], at, until, d);
        if (rc == OK)
            rc = summary_note(s, at, until, d);
        if (rc == OK)
            rc = store_commit(s, d);
    }
    return rc;
}

/* each for every range that is in part: there, whether the store has it too. */
static int walk(struct store *s, const char *path, struct spans mine, struct spans part, bool there,
                uint64_t *n, struct diag *d)
{
    int rc = OK;
    for (size_t p = 0, m = 0; rc == OK && p < part.n; p++) {
        for (uint64_t at = part.v[p].first, next = part.v[p].next, until; rc == OK && at < next;
             at = until) {
            while (m < mine.n && mine.v[m].next <= at)
                m++;
            bool both = m < mine.n && mine.v[m].first <= at;
            until = m == mine.n ? next : both ? mine.v[m].next : mine.v[m].first;
            until = until < next ? until : next;
            if (both != there)
                continue;
            rc = both ? compare(s, path, at, until, d) : copy(s, at, until, d);
            *n += until - at;
        }
    }
    return rc;
}

static int leave_transaction(struct store *s, struct diag *d)
{
    int rc = summary_update(s, d);
    return rc == OK ? sql_exec(s, "COMMIT", "cannot write", d) : rc;
}

static int widen_plan(struct store *s, const struct store_campaign *part, struct diag *d)
{
    const struct store_campaign *c = s->campaign;
    uint64_t first = part->first < c->first ? part->first : c->first;
    uint64_t planned = part->planned > c->planned ? part->planned : c->planned;
    return first == c->first && planned == c->planned ? OK
                                                      : store_set_planned(s, first, planned, d);
}

static int absorb(struct store *s, const char *path, struct spans part, uint64_t *n, struct diag *d)
{
    struct arena a = {0};
    struct spans mine;
    uint64_t same = 0;
    int rc = store_spans(s, &a, &mine.v, &mine.n, d);
    if (rc == OK)
        rc = walk(s, path, mine, part, true, &same, d);
    if (rc == OK)
        rc = sql_exec(s,
                      "INSERT OR IGNORE INTO main.instruction SELECT * FROM part.instruction; "
                      "INSERT OR IGNORE INTO main.register SELECT * FROM part.register;",
                      "cannot write", d);
    if (rc == OK)
        rc = walk(s, path, mine, part, false, n, d);
    if (rc == OK)
        rc = sample_trim(s, d);
    arena_fini(&a);
    return rc;
}

int store_absorb(struct store *s, const char *path, uint64_t *n, struct diag *d)
{
    struct arena a = {0};
    struct spans part;
    struct store *from;
    *n = 0;
    int rc = store_open(&from, path, false, d);
    if (rc != OK)
        return rc;
    rc = store_same_campaign(from, s->campaign, d);
    if (rc == OK)
        rc = store_spans(from, &a, &part.v, &part.n, d);
    if (rc == OK)
        rc = widen_plan(s, from->campaign, d);
    store_close(from, NULL);
    /* other stores come and go only between transactions */
    if (rc == OK && (rc = leave_transaction(s, d)) == OK &&
        (rc = store_attach(s, path, "part", false, d)) == OK) {
        if ((rc = store_begin(s, d)) == OK && (rc = absorb(s, path, part, n, d)) == OK)
            rc = leave_transaction(s, d);
        else
            sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
        s->count += *n;
        s->n_pending = rc == OK ? s->n_pending : 0;
        sqlite3_exec(s->db, "DETACH part", NULL, NULL, NULL);
    }
    if (sqlite3_get_autocommit(s->db)) {
        int begun = store_begin(s, d);
        rc = rc != OK ? rc : begun;
    }
    arena_fini(&a);
    return rc;
}
