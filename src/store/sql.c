#include "store/priv.h"

#include <errno.h>

static struct loc place(const struct store *s) { return (struct loc){.file = s->path}; }

int sql_fail(const struct store *s, struct diag *d, const char *doing)
{
    int code = sqlite3_errcode(s->db) & 0xff, error = sqlite3_system_errno(s->db);
    if (sqlite3_extended_errcode(s->db) == SQLITE_IOERR_SHMSIZE || /* cannot grow the log's index */
        (code == SQLITE_IOERR && (error == ENOSPC || error == EDQUOT)))
        code = SQLITE_FULL;
    switch (code) {
    case SQLITE_FULL:
        return diag_fail(d, ERR_IO, place(s),
                         "the disk is full; what was committed is safe: make room and run the same "
                         "command again to continue");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return diag_fail(d, ERR_INPUT, place(s), "damaged: %s; it was left as it is",
                         sqlite3_errmsg(s->db));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return diag_fail(d, ERR_IO, place(s), "another process is writing to this store");
    case SQLITE_CONSTRAINT:
        return diag_fail(d, ERR_INPUT, place(s), "a row that breaks its rules: %s",
                         sqlite3_errmsg(s->db));
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
        return diag_fail(d, ERR_IO, place(s), "%s: %s (are the file and its folder writable?)",
                         doing, sqlite3_errmsg(s->db));
    case SQLITE_NOMEM:
        return diag_fail(d, ERR_NOMEM, place(s), "%s: out of memory", doing);
    default:
        return diag_fail(d, ERR_IO, place(s), "%s: %s", doing, sqlite3_errmsg(s->db));
    }
}

int sql_damaged(const struct store *s, struct diag *d, const char *what)
{
    return diag_fail(d, ERR_INPUT, place(s), "damaged: %s; it was left as it is", what);
}

int sql_exec(const struct store *s, const char *sql, const char *doing, struct diag *d)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? OK : sql_fail(s, d, doing);
}

int sql_prepare(const struct store *s, sqlite3_stmt **out, const char *sql, struct diag *d)
{
    *out = NULL;
    if (sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) == SQLITE_OK)
        return OK;
    if ((sqlite3_errcode(s->db) & 0xff) == SQLITE_ERROR) /* no such table or column */
        return sql_damaged(s, d, sqlite3_errmsg(s->db));
    return sql_fail(s, d, "cannot read");
}

int sql_step(const struct store *s, sqlite3_stmt *q, struct diag *d)
{
    switch (sqlite3_step(q)) {
    case SQLITE_ROW:
        return 1;
    case SQLITE_DONE:
        return 0;
    default:
        return sql_fail(s, d, "cannot read");
    }
}

int sql_run(const struct store *s, sqlite3_stmt *q, const char *doing, struct diag *d)
{
    int rc = sqlite3_step(q) == SQLITE_DONE ? OK : sql_fail(s, d, doing);
    sqlite3_reset(q);
    return rc;
}

void sql_bind_u64(sqlite3_stmt *q, int at, uint64_t v) { sqlite3_bind_int64(q, at, (int64_t)v); }

void sql_bind_text(sqlite3_stmt *q, int at, const char *text)
{
    sqlite3_bind_text(q, at, text ? text : "", -1, SQLITE_STATIC);
}

uint64_t sql_u64(sqlite3_stmt *q, int col) { return (uint64_t)sqlite3_column_int64(q, col); }

char *sql_text(sqlite3_stmt *q, int col, struct arena *a)
{
    const unsigned char *t = sqlite3_column_text(q, col);
    return arena_strdup(a, t ? (const char *)t : "");
}

int sql_one_u64(const struct store *s, const char *sql, uint64_t *out, struct diag *d)
{
    sqlite3_stmt *q;
    int rc = sql_prepare(s, &q, sql, d);
    if (rc != OK)
        return rc;
    rc = sql_step(s, q, d);
    if (rc == 1)
        *out = sql_u64(q, 0);
    else if (rc == 0)
        rc = sql_damaged(s, d, "a table is empty");
    sqlite3_finalize(q);
    return rc < 0 ? rc : OK;
}
