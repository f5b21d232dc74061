/* What a campaign under way says of itself, for others to read. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "store/priv.h"

int store_set_live(struct store *s, const struct store_live *live, struct diag *d)
{
    sqlite3_stmt *q;
    char host[256] = "?";
    int rc =
        sql_prepare(s, &q, "INSERT OR REPLACE INTO live VALUES (1, ?,?,?,?,?, ?,?,?, ?,?,?)", d);
    if (rc != OK)
        return rc;
    gethostname(host, sizeof host - 1);
    sql_bind_text(q, 1, host);
    sql_bind_u64(q, 2, (uint64_t)getpid());
    sql_bind_u64(q, 3, live->ranks);
    sql_bind_u64(q, 4, live->jobs);
    sqlite3_bind_double(q, 5, live->seconds);
    const uint64_t numbers[] = {live->began,
                                live->done,
                                live->wanted,
                                live->outcome[OUTCOME_MASKED],
                                live->outcome[OUTCOME_SDC],
                                live->outcome[OUTCOME_DUE]};
    for (int i = 0; i < (int)(sizeof numbers / sizeof *numbers); i++)
        sql_bind_u64(q, 6 + i, numbers[i]);
    rc = sql_run(s, q, "cannot write", d);
    sqlite3_finalize(q);
    return rc;
}

int store_get_live(struct store *s, struct arena *a, struct store_live *out, bool *known,
                   struct diag *d)
{
    sqlite3_stmt *q;
    int rc =
        sql_prepare(s, &q,
                    "SELECT host, pid, ranks, jobs, seconds, began, done, wanted, masked, sdc, due "
                    "FROM live",
                    d);
    if (rc != OK)
        return rc;
    rc = sql_step(s, q, d);
    *known = rc == 1;
    if (rc == 1)
        *out = (struct store_live){.host = sql_text(q, 0, a),
                                   .pid = sql_u64(q, 1),
                                   .ranks = sql_u64(q, 2),
                                   .jobs = sql_u64(q, 3),
                                   .seconds = sqlite3_column_double(q, 4),
                                   .began = sql_u64(q, 5),
                                   .done = sql_u64(q, 6),
                                   .wanted = sql_u64(q, 7),
                                   .outcome = {[OUTCOME_MASKED] = sql_u64(q, 8),
                                               [OUTCOME_SDC] = sql_u64(q, 9),
                                               [OUTCOME_DUE] = sql_u64(q, 10)}};
    sqlite3_finalize(q);
    return rc < 0 ? rc : OK;
}

/* A writer holds the write lock of the log's index while it lives: byte 120 (sqlite.org/walformat.html). */
bool store_is_being_written(const char *path)
{
    enum { WRITE_LOCK = 120 };
    char index[4096];
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = WRITE_LOCK, .l_len = 1};
    int fd = snprintf(index, sizeof index, "%s-shm", path) < (int)sizeof index
                 ? open(index, O_RDONLY | O_CLOEXEC)
                 : -1;
    bool held = fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    if (fd >= 0)
        close(fd);
    return held;
}
