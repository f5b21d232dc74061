/* Stores of one campaign, made apart, into one: the rows that are missing are copied, and rows that both have
 * must be the same, for the same number is the same experiment. */
#include "store/priv.h"

/* Injections that go into one commit: a whole store, or of a larger one so many at a time. */
enum { CHUNK = 100000, AT_ONCE = 10000000 };

#define RANGE "number >= ?1 AND number < ?2"
static const char copy_rows[] =
    "INSERT INTO main.injection SELECT * FROM part.injection WHERE " RANGE " ORDER BY number";
static const char copy_labels[] =
    "INSERT INTO main.label SELECT * FROM part.label WHERE " RANGE " ORDER BY number, epsilon";
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

/* Adds the number of rows to *n. */
static int run_range(struct store *s, const char *sql, uint64_t first, uint64_t next, uint64_t *n,
                     struct diag *d)
{
    sqlite3_stmt *q;
    int rc = sql_prepare(s, &q, sql, d);
    if (rc != OK)
        return rc;
    sql_bind_u64(q, 1, first);
    sql_bind_u64(q, 2, next);
    rc = sql_run(s, q, "cannot write", d);
    *n += (uint64_t)sqlite3_changes64(s->db);
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
        uint64_t rows = 0, labels = 0;
        rc = run_range(s, copy_rows, at, until, &rows, d);
        if (rc == OK)
            rc = run_range(s, copy_labels, at, until, &labels, d);
        if (rc == OK && rows != until - at)
            rc = sql_damaged(s, d, "a part lacks injections that it says it has");
        if (rc == OK)
            rc = summary_note(s, at, until, false, d);
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

static bool are_apart(struct spans a, struct spans b)
{
    for (size_t i = 0, k = 0; i < a.n && k < b.n;)
        if (a.v[i].next <= b.v[k].first)
            i++;
        else if (b.v[k].next <= a.v[i].first)
            k++;
        else
            return false;
    return true;
}

static uint64_t total(struct spans x)
{
    uint64_t n = 0;
    for (size_t i = 0; i < x.n; i++)
        n += x.v[i].next - x.v[i].first;
    return n;
}

static const char copy_places[] =
    "INSERT OR IGNORE INTO main.instruction SELECT * FROM part.instruction; "
    "INSERT OR IGNORE INTO main.register SELECT * FROM part.register;";

/* Everything, records as they are: the part's rows have passed the rules when they were written, and its summaries
 * are taken over. That they belong together is checked by counting. */
static int take_all(struct store *s, struct spans part, uint64_t *n, struct diag *d)
{
    uint64_t rows = 0, labels = 0, told = 0, sdcs = 0, lost = 0;
    int rc = sql_exec(s, copy_places, "cannot write", d);
    if (rc == OK)
        rc = sql_exec(s, "INSERT INTO main.injection SELECT * FROM part.injection", "cannot write",
                      d);
    rows = (uint64_t)sqlite3_changes64(s->db);
    if (rc == OK)
        rc = sql_exec(s, "INSERT INTO main.label SELECT * FROM part.label", "cannot write", d);
    labels = (uint64_t)sqlite3_changes64(s->db);
    if (rc == OK)
        rc = sql_one_u64(s, "SELECT coalesce(sum(n), 0) FROM part.tally", &told, d);
    if (rc == OK)
        rc = sql_one_u64(s, "SELECT coalesce(sum(n), 0) FROM part.tally WHERE outcome = 1", &sdcs,
                         d);
    if (rc == OK)
        rc = sql_one_u64(s,
                         "SELECT count(*) FROM part.tally WHERE (launch, insn) NOT IN "
                         "(SELECT launch, insn FROM main.instruction)",
                         &lost, d);
    /* sites of an exhaustive campaign have no rows, and a fault or more each */
    bool agree = store_is_exhaustive(s->campaign) ? !rows && !labels && told >= total(part)
                                                  : rows == total(part) && rows == told &&
                                                        labels == sdcs * s->campaign->n_epsilons;
    if (rc == OK && (!agree || lost))
        rc = sql_damaged(s, d, "a part's rows are not those that its summaries tell");
    for (size_t i = 0; rc == OK && i < part.n; i++)
        rc = summary_note(s, part.v[i].first, part.v[i].next, true, d);
    if (rc == OK)
        rc = summary_absorb(s, d);
    *n = total(part);
    return rc;
}

/* Of a part that has injections that are here, or of a very large one: range by range. */
static int take_missing(struct store *s, const char *path, struct spans mine, struct spans part,
                        uint64_t *n, struct diag *d)
{
    uint64_t same = 0;
    int rc = walk(s, path, mine, part, true, &same, d);
    if (rc == OK)
        rc = sql_exec(s, copy_places, "cannot write", d);
    return rc == OK ? walk(s, path, mine, part, false, n, d) : rc;
}

static int take(struct store *s, const char *path, struct spans part, uint64_t *n, struct diag *d)
{
    struct arena a = {0};
    struct spans mine;
    int rc = store_spans(s, &a, &mine.v, &mine.n, d);
    bool apart = rc == OK && are_apart(mine, part), sums = store_is_exhaustive(s->campaign);
    bool all = apart && (sums || total(part) <= AT_ONCE);
    if (rc == OK && sums && !apart)
        rc = diag_fail(d, ERR_INPUT, (struct loc){.file = path},
                       "has sites that %s has, too: sums of an exhaustive campaign cannot be told "
                       "apart, merge parts of different sites",
                       s->path);
    if (rc == OK && all) /* heeded only between transactions */
        rc = sql_exec(s, "PRAGMA foreign_keys = OFF", "cannot write", d);
    if (rc == OK) /* IMMEDIATE would lock the part as well */
        rc = sql_exec(s, "BEGIN; UPDATE campaign SET planned = planned", "cannot write", d);
    if (rc == OK)
        rc = all ? take_all(s, part, n, d) : take_missing(s, path, mine, part, n, d);
    if (rc == OK)
        rc = sample_trim(s, d);
    if (rc == OK)
        rc = leave_transaction(s, d);
    else
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    int back = sql_exec(s, "PRAGMA foreign_keys = ON", "cannot write", d);
    s->n_pending = rc == OK ? s->n_pending : 0;
    arena_fini(&a);
    return rc != OK ? rc : back;
}

int store_absorb(struct store *s, const char *path, uint64_t *n, struct diag *d)
{
    struct arena a = {0};
    struct spans part;
    struct store *from;
    *n = 0;
    int rc = store_open_part(&from, path, d);
    if (rc != OK)
        return rc;
    rc = store_same_campaign(from, s->campaign, d);
    if (rc == OK)
        rc = store_spans(from, &a, &part.v, &part.n, d);
    if (rc == OK)
        rc = widen_plan(s, from->campaign, d);
    store_close(from, NULL);
    /* Other stores come and go only between transactions. SQLite copies whole records only from a file that it may
     * write; one with a log it would tidy up. */
    if (rc == OK && (rc = leave_transaction(s, d)) == OK &&
        (rc = store_attach(s, path, "part", !store_has_log(path), d)) == OK) {
        rc = take(s, path, part, n, d);
        s->count += *n;
        sqlite3_exec(s->db, "DETACH part", NULL, NULL, NULL);
    }
    if (sqlite3_get_autocommit(s->db)) {
        int begun = store_begin(s, d);
        rc = rc != OK ? rc : begun;
    }
    arena_fini(&a);
    return rc;
}
