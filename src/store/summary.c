/* What is known of the injections without looking at each: which numbers are there, how many came out
 * how, what the SDCs look like. A commit takes the new rows' share along, by the same SQL that would
 * make the whole from nothing. */
#include <stdlib.h>

#include "store/priv.h"

/* ?1: first number, ?2: the one after the last. */
static const char *const updates[] = {
    /* replaces the spans that it touches */
    "INSERT OR REPLACE INTO span VALUES (coalesce((SELECT first FROM span WHERE next = ?1), ?1), "
    "coalesce((SELECT next FROM span WHERE first = ?2), ?2))",
    "INSERT INTO tally SELECT stratum, launch, insn, outcome, fate, coalesce(trap, 0), count(*) "
    "FROM injection WHERE number >= ?1 AND number < ?2 GROUP BY 1, 2, 3, 4, 5, 6 "
    "ON CONFLICT DO UPDATE SET n = n + excluded.n",
    "INSERT INTO look SELECT epsilon, pattern, domain, corrupted, count(*), min(number), "
    "min(number), 0 "
    "FROM label WHERE number >= ?1 AND number < ?2 AND corrupted > 0 GROUP BY 1, 2, 3, 4 "
    "ON CONFLICT DO UPDATE SET n = n + excluded.n, first = min(first, excluded.first)",
    "UPDATE look SET worst = new.number, worst_error = new.error FROM "
    "(SELECT epsilon, pattern, domain, corrupted, l.number, max_abs_error AS error, row_number() "
    "OVER "
    "(PARTITION BY epsilon, pattern, domain, corrupted ORDER BY max_abs_error DESC, l.number) AS "
    "place "
    "FROM label l CROSS JOIN injection i ON i.number = l.number "
    "WHERE l.number >= ?1 AND l.number < ?2 AND corrupted > 0) AS new "
    "WHERE place = 1 AND look.epsilon = new.epsilon AND look.pattern = new.pattern "
    "AND look.domain = new.domain AND look.corrupted = new.corrupted AND (new.error > worst_error "
    "OR (new.error = worst_error AND new.number <= worst))",
};

int summary_note(struct store *s, uint64_t first, uint64_t next, struct diag *d)
{
    if (s->n_pending && s->pending[s->n_pending - 1].next == first) {
        s->pending[s->n_pending - 1].next = next;
        return OK;
    }
    if (s->n_pending == s->pending_room) {
        size_t room = s->pending_room ? 2 * s->pending_room : 16;
        struct store_span *grown = realloc(s->pending, room * sizeof *grown);
        if (!grown)
            return diag_fail(d, ERR_NOMEM, DIAG_NOWHERE, "out of memory");
        s->pending = grown;
        s->pending_room = room;
    }
    s->pending[s->n_pending++] = (struct store_span){first, next};
    return OK;
}

int summary_update(struct store *s, struct diag *d)
{
    int rc = OK;
    for (size_t u = 0; rc == OK && s->n_pending && u < sizeof updates / sizeof *updates; u++) {
        sqlite3_stmt *q;
        rc = sql_prepare(s, &q, updates[u], d);
        for (size_t i = 0; rc == OK && i < s->n_pending; i++) {
            sql_bind_u64(q, 1, s->pending[i].first);
            sql_bind_u64(q, 2, s->pending[i].next);
            rc = sql_run(s, q, "cannot write", d);
        }
        sqlite3_finalize(q);
    }
    if (rc == OK)
        s->n_pending = 0;
    return rc;
}

/* ---- Reading --------------------------------------------------------------------------------- */

int store_count(struct store *s, uint64_t *n, struct diag *d)
{
    int rc = sql_one_u64(s,
                         s->campaign ? "SELECT coalesce(sum(next - first), 0) FROM span"
                                     : "SELECT coalesce(max(number) + 1, 0) FROM trial",
                         n, d);
    for (size_t i = 0; rc == OK && i < s->n_pending; i++)
        *n += s->pending[i].next - s->pending[i].first;
    return rc;
}

int store_spans(struct store *s, struct arena *a, const struct store_span **out, size_t *n,
                struct diag *d)
{
    sqlite3_stmt *q;
    uint64_t rows;
    *n = 0;
    int rc = sql_one_u64(s, "SELECT count(*) FROM span", &rows, d);
    if (rc != OK ||
        (rc = sql_prepare(s, &q, "SELECT first, next FROM span ORDER BY first", d)) != OK)
        return rc;
    struct store_span *v = arena_array(a, rows, sizeof *v);
    while ((rc = sql_step(s, q, d)) == 1 && *n < rows) {
        v[*n] = (struct store_span){sql_u64(q, 0), sql_u64(q, 1)};
        if (v[*n].next <= v[*n].first || (*n && v[*n].first <= v[*n - 1].next)) {
            rc = sql_damaged(s, d, "its spans overlap");
            break;
        }
        ++*n;
    }
    sqlite3_finalize(q);
    *out = v;
    return rc < 0 ? rc : OK;
}

static int no_campaign(const struct store *s, struct diag *d)
{
    return diag_fail(d, ERR_INPUT, (struct loc){.file = s->path},
                     "a simulation, not a campaign of injections");
}

static bool tally_possible(const struct store *s, const struct store_tally *t)
{
    return (unsigned)t->outcome < N_OUTCOMES && (unsigned)t->fate < N_FATES &&
           (unsigned)t->trap < N_TRAPS && (t->outcome == OUTCOME_DUE) == (t->trap != TRAP_NONE) &&
           t->launch < s->campaign->n_launches && t->mnemonic && t->n < UINT64_MAX / 2 &&
           (!s->campaign->n_strata || t->stratum < s->campaign->n_strata);
}

int store_each_tally(struct store *s, int (*each)(void *ctx, const struct store_tally *t),
                     void *ctx, struct diag *d)
{
    sqlite3_stmt *q;
    if (!s->campaign)
        return no_campaign(s, d);
    int rc =
        sql_prepare(s, &q,
                    "SELECT stratum, t.launch, t.insn, ptx_line, source_line, mnemonic, outcome, "
                    "fate, trap, n FROM tally t JOIN instruction p "
                    "ON p.launch = t.launch AND p.insn = t.insn "
                    "ORDER BY stratum, t.launch, t.insn, outcome, fate, trap",
                    d);
    while (rc == OK && (rc = sql_step(s, q, d)) == 1) {
        struct store_tally t = {
            .stratum = (uint32_t)sql_u64(q, 0),
            .launch = (uint32_t)sql_u64(q, 1),
            .insn = (uint32_t)sql_u64(q, 2),
            .ptx_line = sqlite3_column_int(q, 3),
            .source_line = sqlite3_column_int(q, 4),
            .mnemonic = (const char *)sqlite3_column_text(q, 5),
            .outcome = (enum outcome)sqlite3_column_int(q, 6),
            .fate = (enum fate)sqlite3_column_int(q, 7),
            .trap = (enum trap_kind)sqlite3_column_int(q, 8),
            .n = sql_u64(q, 9),
        };
        rc = tally_possible(s, &t) ? each(ctx, &t)
                                   : sql_damaged(s, d, "a tally has impossible values");
    }
    sqlite3_finalize(q);
    return rc;
}

int store_each_look(struct store *s, int (*each)(void *ctx, const struct store_look *l), void *ctx,
                    struct diag *d)
{
    sqlite3_stmt *q;
    if (!s->campaign)
        return no_campaign(s, d);
    int rc = sql_prepare(s, &q,
                         "SELECT epsilon, pattern, domain, corrupted, n, first, worst, worst_error "
                         "FROM look ORDER BY epsilon, pattern, domain, corrupted",
                         d);
    while (rc == OK && (rc = sql_step(s, q, d)) == 1) {
        uint64_t domain = sql_u64(q, 2);
        struct store_look l = {
            .epsilon = sql_u64(q, 0),
            .pattern = sqlite3_column_int(q, 1),
            .domain = domain < s->n_domains ? s->domains[domain] : NULL,
            .corrupted = sql_u64(q, 3),
            .n = sql_u64(q, 4),
            .first = sql_u64(q, 5),
            .worst = sql_u64(q, 6),
            .worst_error = sqlite3_column_double(q, 7),
        };
        rc = l.epsilon < s->campaign->n_epsilons && (unsigned)l.pattern < N_PATTERNS && l.domain &&
                     l.n > 0 && l.n < UINT64_MAX / 2
                 ? each(ctx, &l)
                 : sql_damaged(s, d, "a look has impossible values");
    }
    sqlite3_finalize(q);
    return rc;
}

int store_each_error(struct store *s, int (*each)(void *ctx, double max_abs_error), void *ctx,
                     struct diag *d)
{
    sqlite3_stmt *q;
    if (!s->campaign)
        return no_campaign(s, d);
    int rc = sql_prepare(
        s, &q, "SELECT max_abs_error FROM injection WHERE outcome = 1 ORDER BY number", d);
    while (rc == OK && (rc = sql_step(s, q, d)) == 1)
        rc = each(ctx, sqlite3_column_double(q, 0));
    sqlite3_finalize(q);
    return rc;
}

static int add_outcome(void *ctx, const struct store_tally *t)
{
    ((uint64_t *)ctx)[t->outcome] += t->n;
    return OK;
}

int store_outcomes(struct store *s, uint64_t n[static N_OUTCOMES], struct diag *d)
{
    for (int i = 0; i < N_OUTCOMES; i++)
        n[i] = 0;
    return store_each_tally(s, add_outcome, n, d);
}
