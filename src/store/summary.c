/* What is known of the injections without looking at each: which numbers are there, how many came out
 * how, what the SDCs look like. A commit takes the new rows' share along: counted as they are added, taken over
 * from another store, or by the SQL that would make the whole from nothing. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/priv.h"

/* ?1: first number, ?2: the one after the last. Replaces the spans that it touches. */
static const char add_span[] =
    "INSERT OR REPLACE INTO span VALUES (coalesce((SELECT first FROM span WHERE next = ?1), ?1), "
    "coalesce((SELECT next FROM span WHERE first = ?2), ?2))";

#define INTO_TALLY(rows) "INSERT INTO tally " rows " ON CONFLICT DO UPDATE SET n = n + excluded.n"
#define INTO_LOOK(rows)                                                                            \
    "INSERT INTO look " rows " ON CONFLICT DO UPDATE SET n = n + excluded.n, "                     \
    "first = min(first, excluded.first), "                                                         \
    "worst = CASE WHEN excluded.worst_error > worst_error THEN excluded.worst "                    \
    "WHEN excluded.worst_error = worst_error THEN min(worst, excluded.worst) ELSE worst END, "     \
    "worst_error = max(worst_error, excluded.worst_error)"

static const char add_tally[] = INTO_TALLY("VALUES (?,?,?,?,?,?,?)");
static const char add_look[] = INTO_LOOK("VALUES (?,?,?,?,?,?,?,?)");
/* Of rows that nobody counted: by their numbers, as above. */
static const char *const recounts[] = {
    INTO_TALLY("SELECT stratum, launch, insn, outcome, fate, coalesce(trap, 0), count(*) "
               "FROM injection WHERE number >= ?1 AND number < ?2 GROUP BY 1, 2, 3, 4, 5, 6"),
    INTO_LOOK(
        "SELECT epsilon, pattern, domain, corrupted, count(*), min(number), worst, error "
        "FROM (SELECT epsilon, pattern, domain, corrupted, l.number, "
        "first_value(l.number) OVER same AS worst, first_value(max_abs_error) OVER same AS error "
        "FROM label l CROSS JOIN injection i ON i.number = l.number "
        "WHERE l.number >= ?1 AND l.number < ?2 AND corrupted > 0 "
        "WINDOW same AS (PARTITION BY epsilon, pattern, domain, corrupted "
        "ORDER BY max_abs_error DESC, l.number)) GROUP BY 1, 2, 3, 4"),
};

/* ---- Counting rows as they are added ----------------------------------------------------------- */

static size_t slot_of(const struct counts *t, const uint64_t key[static 4])
{
    uint64_t h = 0;
    for (int i = 0; i < 4; i++)
        h = (h ^ key[i]) * 0x9e3779b97f4a7c15;
    size_t at = (size_t)(h >> 32) & (t->room - 1);
    while (t->slot[at].n && memcmp(t->slot[at].key, key, sizeof t->slot[at].key) != 0)
        at = (at + 1) & (t->room - 1);
    return at;
}

static bool grow(struct counts *t)
{
    struct counts larger = {t->used, t->room ? 2 * t->room : 256, NULL};
    larger.slot = calloc(larger.room, sizeof *larger.slot);
    if (!larger.slot)
        return false;
    for (size_t i = 0; i < t->room; i++)
        if (t->slot[i].n)
            larger.slot[slot_of(&larger, t->slot[i].key)] = t->slot[i];
    free(t->slot);
    *t = larger;
    return true;
}

/* One more of this kind; NULL: out of memory. */
static struct count *count(struct counts *t, const uint64_t key[static 4], struct diag *d)
{
    if (2 * t->used >= t->room && !grow(t)) {
        diag_fail(d, ERR_NOMEM, DIAG_NOWHERE, "out of memory");
        return NULL;
    }
    struct count *c = &t->slot[slot_of(t, key)];
    if (!c->n) {
        memcpy(c->key, key, sizeof c->key);
        t->used++;
    }
    c->n++;
    return c;
}

enum { OUTCOME_SHIFT = 32, FATE_SHIFT = 16, WORD_MASK = 0xffff };

int summary_count(struct store *s, const struct store_tally *t, struct diag *d)
{
    uint64_t trap = t->outcome == OUTCOME_DUE ? (uint64_t)t->trap : 0;
    uint64_t words = (uint64_t)t->outcome << OUTCOME_SHIFT | (uint64_t)t->fate << FATE_SHIFT | trap;
    struct count *c = count(&s->tallies, (uint64_t[4]){t->stratum, t->launch, t->insn, words}, d);
    if (!c)
        return ERR_NOMEM;
    c->n += t->n - 1;
    return OK;
}

int summary_add(struct store *s, const struct store_injection *i, struct diag *d)
{
    int rc = summary_count(s,
                           &(struct store_tally){.stratum = i->stratum,
                                                 .launch = i->launch,
                                                 .insn = i->insn,
                                                 .outcome = i->outcome,
                                                 .fate = i->fate,
                                                 .trap = i->trap,
                                                 .n = 1},
                           d);
    return rc != OK ? rc : summary_note(s, i->number, i->number + 1, true, d);
}

int summary_add_label(struct store *s, const struct store_injection *i, size_t epsilon,
                      size_t domain, struct diag *d)
{
    const struct store_label *l = &i->labels[epsilon];
    double error = isnan(i->max_abs_error) ? (double)INFINITY : i->max_abs_error;
    struct count *c =
        count(&s->looks, (uint64_t[4]){epsilon, (uint64_t)l->pattern, domain, l->corrupted}, d);
    if (!c)
        return ERR_NOMEM;
    if (c->n == 1 || i->number < c->first)
        c->first = i->number;
    if (c->n == 1 || error > c->worst_error || (error >= c->worst_error && i->number < c->worst)) {
        c->worst = i->number;
        c->worst_error = error;
    }
    return OK;
}

static int flush_counts(struct store *s, struct counts *t, const char *sql,
                        void (*bind)(sqlite3_stmt *q, const struct count *c), struct diag *d)
{
    sqlite3_stmt *q;
    if (!t->used)
        return OK;
    int rc = sql_prepare(s, &q, sql, d);
    for (size_t i = 0; rc == OK && i < t->room; i++)
        if (t->slot[i].n) {
            bind(q, &t->slot[i]);
            rc = sql_run(s, q, "cannot write", d);
        }
    sqlite3_finalize(q);
    memset(t->slot, 0, t->room * sizeof *t->slot);
    t->used = 0;
    return rc;
}

static void bind_tally(sqlite3_stmt *q, const struct count *c)
{
    for (int i = 0; i < 3; i++)
        sql_bind_u64(q, i + 1, c->key[i]);
    sql_bind_u64(q, 4, c->key[3] >> OUTCOME_SHIFT);
    sql_bind_u64(q, 5, c->key[3] >> FATE_SHIFT & WORD_MASK);
    sql_bind_u64(q, 6, c->key[3] & WORD_MASK);
    sql_bind_u64(q, 7, c->n);
}

static void bind_look(sqlite3_stmt *q, const struct count *c)
{
    for (int i = 0; i < 4; i++)
        sql_bind_u64(q, i + 1, c->key[i]);
    sql_bind_u64(q, 5, c->n);
    sql_bind_u64(q, 6, c->first);
    sql_bind_u64(q, 7, c->worst);
    sqlite3_bind_double(q, 8, c->worst_error);
}

void summary_fini(struct store *s)
{
    free(s->pending);
    free(s->tallies.slot);
    free(s->looks.slot);
}

/* ---- Commits ------------------------------------------------------------------------------------- */

int summary_note(struct store *s, uint64_t first, uint64_t next, bool counted, struct diag *d)
{
    struct pending *last = s->n_pending ? &s->pending[s->n_pending - 1] : NULL;
    if (last && last->span.next == first && last->counted == counted) {
        last->span.next = next;
        return OK;
    }
    if (s->n_pending == s->pending_room) {
        size_t room = s->pending_room ? 2 * s->pending_room : 16;
        struct pending *grown = realloc(s->pending, room * sizeof *grown);
        if (!grown)
            return diag_fail(d, ERR_NOMEM, DIAG_NOWHERE, "out of memory");
        s->pending = grown;
        s->pending_room = room;
    }
    s->pending[s->n_pending++] = (struct pending){{first, next}, counted};
    return OK;
}

/* For the spans that are pending; those that are counted only if all. */
static int run_pending(struct store *s, const char *sql, bool all, struct diag *d)
{
    sqlite3_stmt *q;
    int rc = sql_prepare(s, &q, sql, d);
    for (size_t i = 0; rc == OK && i < s->n_pending; i++) {
        if (s->pending[i].counted && !all)
            continue;
        sql_bind_u64(q, 1, s->pending[i].span.first);
        sql_bind_u64(q, 2, s->pending[i].span.next);
        rc = sql_run(s, q, "cannot write", d);
    }
    sqlite3_finalize(q);
    return rc;
}

int summary_absorb(struct store *s, struct diag *d)
{
    int rc = sql_exec(s, INTO_TALLY("SELECT * FROM part.tally WHERE true"), "cannot write", d);
    return rc == OK
               ? sql_exec(s, INTO_LOOK("SELECT * FROM part.look WHERE true"), "cannot write", d)
               : rc;
}

int summary_update(struct store *s, struct diag *d)
{
    if (!s->n_pending)
        return OK;
    int rc = run_pending(s, add_span, true, d);
    for (size_t r = 0; rc == OK && r < sizeof recounts / sizeof *recounts; r++)
        rc = run_pending(s, recounts[r], false, d);
    if (rc == OK)
        rc = flush_counts(s, &s->tallies, add_tally, bind_tally, d);
    if (rc == OK)
        rc = flush_counts(s, &s->looks, add_look, bind_look, d);
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
        *n += s->pending[i].span.next - s->pending[i].span.first;
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
