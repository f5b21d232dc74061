/* The life of a file: made beside its name and moved there whole; write-ahead log while a campaign
 * runs; one plain file, rewritten in canonical form, when it is complete. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "schema_sql.h"
#include "store/priv.h"

enum { CHECK_BYTES = 64 << 20, WAIT_MS = 2000 };
static const double COMMIT_SECONDS =
    0.9; /* with what follows, a commit is at most a second apart */

static const char OLDER_OR_FOREIGN[] = "not a Sievert store; it was left as it is";

/* The words whose numbers the tables hold. */
static const struct {
    const char *name;
    const struct vocab *words;
} vocabularies[] = {
    {"outcome", &vocab_outcomes}, {"fate", &vocab_fates},     {"trap", &vocab_traps},
    {"pattern", &vocab_patterns}, {"effect", &vocab_effects},
};
enum { N_VOCABULARIES = sizeof vocabularies / sizeof vocabularies[0] };

static struct loc file_loc(const char *path) { return (struct loc){.file = path}; }

static void store_free(struct store *s)
{
    if (!s)
        return;
    sqlite3_finalize(s->insert);
    sqlite3_finalize(s->insert_label);
    sqlite3_finalize(s->insert_instruction);
    sqlite3_finalize(s->insert_register);
    sqlite3_finalize(s->drop_diffs);
    sqlite3_close(s->db);
    summary_fini(s);
    free(s->sample.heap);
    diff_codec_free(s->codec);
    free(s->instructions.bits);
    free(s->registers.bits);
    arena_fini(&s->arena);
    free(s);
}

/* As an address that SQLite takes: what means something in one is escaped. */
static char *uri(struct arena *a, const char *path, const char *mode)
{
    char *out = arena_alloc(a, 3 * strlen(path) + 32), *p = out;
    p += sprintf(p, "file:%s", *path == '/' ? "" : "./");
    for (; *path; path++)
        p += strchr("?#%", *path) ? sprintf(p, "%%%02x", *path) : sprintf(p, "%c", *path);
    strcpy(p, mode);
    return out;
}

/* flags: SQLITE_OPEN_*. */
static int open_db(struct store **out, const char *path, int flags, struct diag *d)
{
    struct store *s = calloc(1, sizeof *s);
    if (!s || !(s->codec = diff_codec_new())) {
        store_free(s);
        return diag_fail(d, ERR_NOMEM, file_loc(path), "out of memory");
    }
    s->path = arena_strdup(&s->arena, path);
    s->writable = !(flags & SQLITE_OPEN_READONLY);
    const char *mode = flags & SQLITE_OPEN_CREATE ? "?mode=rwc"
                       : s->writable              ? "?mode=rw"
                                                  : "?mode=ro";
    if (sqlite3_open_v2(uri(&s->arena, path, mode), &s->db,
                        flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI, NULL) != SQLITE_OK) {
        int rc = sql_fail(s, d, "cannot open");
        store_free(s);
        return rc;
    }
    sqlite3_busy_timeout(s->db, WAIT_MS);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    *out = s;
    return OK;
}

bool store_has_log(const char *path)
{
    char log[4096];
    return snprintf(log, sizeof log, "%s-wal", path) < (int)sizeof log && access(log, F_OK) == 0;
}

static int sync_path(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int bad = fd < 0 || fsync(fd) != 0;
    if (fd >= 0)
        close(fd);
    return bad;
}

/* A name is safe when its folder is. */
static void sync_folder(const char *path)
{
    char folder[4096];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = 0;
    (void)sync_path(slash ? folder : "."); /* some file systems cannot */
}

int store_replace(const char *tmp, const char *path, struct diag *d)
{
    if (store_has_log(path))
        return diag_fail(d, ERR_IO, file_loc(path), "another process has this store open");
    sync_folder(path); /* that the log or journal of the old file is gone must be known before */
    if (sync_path(tmp) != 0 || rename(tmp, path) != 0)
        return diag_fail(d, ERR_IO, file_loc(path), "cannot write: %s", strerror(errno));
    sync_folder(path);
    return OK;
}

/* ---- Words ---------------------------------------------------------------------------------- */

static int words_insert(struct store *s, struct diag *d)
{
    sqlite3_stmt *q;
    int rc = sql_prepare(s, &q, "INSERT INTO word VALUES (?, ?, ?)", d);
    for (size_t v = 0; rc == OK && v < N_VOCABULARIES; v++)
        for (size_t i = 0; rc == OK && i < vocabularies[v].words->n; i++) {
            sql_bind_text(q, 1, vocabularies[v].name);
            sqlite3_bind_int64(q, 2, (int64_t)i);
            sql_bind_text(q, 3, vocabularies[v].words->words[i].word);
            rc = sql_run(s, q, "cannot write", d);
        }
    sqlite3_finalize(q);
    return rc;
}

/* A number in the file must mean the same word here. */
static int words_check(const struct store *s, struct diag *d)
{
    sqlite3_stmt *q;
    int rc = sql_prepare(s, &q, "SELECT vocabulary, id, word FROM word", d);
    if (rc != OK)
        return rc;
    while ((rc = sql_step(s, q, d)) == 1) {
        const char *name = (const char *)sqlite3_column_text(q, 0);
        const char *word = (const char *)sqlite3_column_text(q, 2);
        for (size_t v = 0; v < N_VOCABULARIES; v++)
            if (strcmp(name, vocabularies[v].name) == 0 &&
                strcmp(word, vocab_word(vocabularies[v].words, sqlite3_column_int(q, 1))) != 0) {
                rc = diag_fail(d, ERR_INPUT, file_loc(s->path),
                               "made by another version of Sievert: its %s '%s' is unknown here",
                               name, word);
                goto out;
            }
    }
out:
    sqlite3_finalize(q);
    return rc;
}

/* ---- Making ---------------------------------------------------------------------------------- */

int store_attach(struct store *s, const char *path, const char *name, bool writable, struct diag *d)
{
    struct arena a = {0};
    char *sql =
        sqlite3_mprintf("ATTACH %Q AS %s", uri(&a, path, writable ? "?mode=rw" : "?mode=ro"), name);
    int rc = sql ? sql_exec(s, sql, "cannot read", d)
                 : diag_fail(d, ERR_NOMEM, file_loc(s->path), "out of memory");
    sqlite3_free(sql);
    arena_fini(&a);
    return rc;
}

int store_make(const char *tmp, const char *old,
               int (*fill)(struct store *s, const void *what, struct diag *d), const void *what,
               struct diag *d)
{
    struct store *s;
    int rc = open_db(&s, tmp, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, d);
    if (rc != OK)
        return rc;
    const char *doing = "cannot create";
    if ((old && (rc = store_attach(s, old, "old", true, d)) != OK) ||
        (rc = sql_exec(s, "BEGIN IMMEDIATE", doing, d)) != OK ||
        (rc = sql_exec(s, SCHEMA, doing, d)) != OK || (rc = words_insert(s, d)) != OK ||
        (rc = domains_insert(s, d)) != OK || (rc = fill(s, what, d)) != OK)
        goto out;
    rc = sql_exec(s, "COMMIT", doing, d);
out:
    store_free(s);
    return rc;
}

bool store_tmp_name(char out[static 4096], const char *path)
{
    return snprintf(out, 4096, "%s.%ld.tmp", path, (long)getpid()) < 4096;
}

static int create(struct store **out, const char *path,
                  int (*fill)(struct store *s, const void *what, struct diag *d), const void *what,
                  struct diag *d)
{
    char tmp[4096];
    if (!store_tmp_name(tmp, path))
        return diag_fail(d, ERR_INPUT, file_loc(path), "name too long");
    if (access(path, F_OK) == 0)
        return diag_fail(d, ERR_INPUT, file_loc(path), "exists already");
    unlink(tmp); /* of a killed process that had our number */
    int rc = store_make(tmp, NULL, fill, what, d);
    if (rc == OK &&
        (sync_path(tmp) != 0 || renameat2(AT_FDCWD, tmp, AT_FDCWD, path, RENAME_NOREPLACE) != 0))
        rc = diag_fail(d, ERR_IO, file_loc(path), "cannot create: %s", strerror(errno));
    if (rc != OK) {
        unlink(tmp);
        return rc;
    }
    sync_folder(path);
    return store_open(out, path, true, d);
}

static int fill_campaign(struct store *s, const void *what, struct diag *d)
{
    return campaign_insert(s, what, d);
}

static int fill_simulation(struct store *s, const void *what, struct diag *d)
{
    return simulation_insert(s, what, d);
}

int store_create(struct store **out, const char *path, const struct store_campaign *c,
                 struct diag *d)
{
    return create(out, path, fill_campaign, c, d);
}

int store_sim_create(struct store **out, const char *path, const struct store_simulation *sim,
                     struct diag *d)
{
    return create(out, path, fill_simulation, sim, d);
}

/* ---- Opening --------------------------------------------------------------------------------- */

static uint32_t big_endian(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Is it ours? Told from SQLite's header by reading alone, so that nothing touches a file that is not. */
static int check_header(const char *path, off_t *size, uint32_t *of_version, struct diag *d)
{
    struct loc at = file_loc(path);
    uint8_t h[100];
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return diag_fail(d, ERR_IO, at, "cannot open: %s", strerror(errno));
    bool regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    ssize_t got = regular ? read(fd, h, sizeof h) : 0;
    close(fd);
    if (got != (ssize_t)sizeof h || memcmp(h, "SQLite format 3", 16) != 0 ||
        big_endian(h + 68) != APPLICATION_ID)
        return diag_fail(d, ERR_INPUT, at, OLDER_OR_FOREIGN);
    uint32_t version = big_endian(h + 60), page = (uint32_t)h[16] << 8 | h[17];
    *of_version = version;
    if (version < 1 || version > VERSION)
        return diag_fail(
            d, ERR_INPUT, at,
            "store version %u, but this program knows version %d; it was left as it is", version,
            VERSION);
    page = page == 1 ? 65536 : page;
    /* with a log beside it the file may lag behind its header: SQLite mends that */
    if (page < 512 ||
        (!store_has_log(path) && (uint64_t)st.st_size < (uint64_t)page * big_endian(h + 28)))
        return diag_fail(d, ERR_INPUT, at,
                         "damaged: the file is shorter than its header says; "
                         "it was left as it is");
    *size = st.st_size;
    return OK;
}

static int check_pages(const struct store *s, struct diag *d)
{
    sqlite3_stmt *q;
    int rc = sql_prepare(s, &q, "PRAGMA quick_check(1)", d);
    if (rc != OK)
        return rc;
    rc = sql_step(s, q, d);
    if (rc == 1) {
        const char *said = (const char *)sqlite3_column_text(q, 0);
        const char *line = said ? strrchr(said, '\n') : NULL; /* the last says what */
        rc = said && strcmp(said, "ok") == 0 ? OK
                                             : sql_damaged(s, d, line ? line + 1 : "unreadable");
    }
    sqlite3_finalize(q);
    return rc;
}

int store_begin(struct store *s, struct diag *d)
{
    s->last_commit = clock_seconds();
    return sql_exec(s, "BEGIN IMMEDIATE", "cannot write", d);
}

void store_sweep(const char *path)
{
    struct arena a = {0};
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    const char *folder = slash ? arena_strndup(&a, path, (size_t)(slash - path) + 1) : "./";
    size_t n = strlen(base);
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char *end;
        if (strncmp(e->d_name, base, n) != 0 || e->d_name[n] != '.')
            continue;
        long pid = strtol(e->d_name + n + 1, &end, 10);
        if (pid > 0 && strncmp(end, ".tmp", 4) == 0 && kill((pid_t)pid, 0) != 0 && errno == ESRCH)
            unlink(arena_printf(&a, "%s%s", folder, e->d_name));
    }
    if (dir)
        closedir(dir);
    arena_fini(&a);
}

/* The writer is always inside a transaction: that is what keeps a second writer out. */
static int become_writer(struct store *s, struct diag *d)
{
    int rc = sql_exec(s,
                      "PRAGMA foreign_keys = ON; PRAGMA journal_mode = WAL;"
                      "PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;",
                      "cannot write", d);
    if (rc == OK && (rc = store_begin(s, d)) == OK)
        store_sweep(s->path);
    return rc;
}

/* What is there to know before the first row is read or written. */
static int load(struct store *s, struct diag *d)
{
    uint64_t campaigns = 0;
    int rc = words_check(s, d);
    if (rc == OK)
        rc = sql_one_u64(s, "SELECT count(*) FROM campaign", &campaigns, d);
    if (rc == OK)
        rc = campaigns ? campaign_load(s, d) : simulation_load(s, d);
    if (rc == OK && s->writable)
        rc = become_writer(s, d);
    if (rc == OK)
        rc = store_count(s, &s->count, d);
    if (rc == OK)
        rc = domains_load(s, d);
    return rc == OK && s->writable ? sample_trim(s, d) : rc; /* killed while absorbing: too many */
}

static int open_once(struct store **out, const char *path, bool writable, bool checked,
                     bool *locked_out, struct diag *d)
{
    struct store *s;
    int rc = open_db(&s, path, writable ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY, d);
    *locked_out = false;
    if (rc != OK)
        return rc;
    if (checked)
        rc = check_pages(s, d);
    if (rc == OK)
        rc = load(s, d);
    if (rc == OK) {
        *out = s;
        return OK;
    }
    *locked_out = (sqlite3_errcode(s->db) & 0xff) == SQLITE_READONLY;
    store_free(s);
    return rc;
}

/* Whoever wrote it last was killed, and what it left half done has to be undone, which readers may not. */
static void recover(const char *path)
{
    struct store *s;
    struct diag ignored = {0};
    if (open_db(&s, path, SQLITE_OPEN_READWRITE, &ignored) == OK) {
        sql_exec(s, "SELECT count(*) FROM sqlite_schema", "", &ignored);
        store_free(s);
    }
}

static int open_store(struct store **out, const char *path, bool writable, bool check,
                      struct diag *d)
{
    off_t size = 0;
    uint32_t version = VERSION;
    bool locked_out;
    struct diag first = {0};
    int rc = check_header(path, &size, &version, d);
    if (rc == OK && version < VERSION)
        rc = store_migrate(path, version, d);
    if (rc != OK)
        return rc;
    rc = open_once(out, path, writable, check && size <= CHECK_BYTES, &locked_out, &first);
    if (rc != OK && locked_out && !writable) {
        recover(path);
        first = (struct diag){0};
        rc = open_once(out, path, writable, check && size <= CHECK_BYTES, &locked_out, &first);
    }
    return rc == OK ? OK : diag_fail(d, (enum status)rc, file_loc(path), "%s", first.msg);
}

int store_open(struct store **out, const char *path, bool writable, struct diag *d)
{
    return open_store(out, path, writable, true, d);
}

int store_open_part(struct store **out, const char *path, struct diag *d)
{
    return open_store(out, path, false, false, d);
}

/* ---- Writing --------------------------------------------------------------------------------- */

int store_commit(struct store *s, struct diag *d)
{
    int rc = summary_update(s, d);
    if (rc == OK)
        rc = sql_exec(s, "COMMIT", "cannot write", d);
    return rc == OK ? store_begin(s, d) : rc;
}

int store_sync(struct store *s, struct diag *d)
{
    int rc = summary_update(s, d);
    if (rc == OK)
        rc = sql_exec(s, "COMMIT; PRAGMA wal_checkpoint(FULL)", "cannot write", d);
    return rc == OK ? store_begin(s, d) : rc;
}

int store_tick(struct store *s, struct diag *d)
{
    return clock_seconds() - s->last_commit >= COMMIT_SECONDS ? store_commit(s, d) : OK;
}

int row_added(struct store *s, struct diag *d)
{
    enum { LOOK_EVERY = 64 }; /* rows; the clock is not free */
    s->count++;
    return s->count % LOOK_EVERY == 0 ? store_tick(s, d) : OK;
}

int store_set_planned(struct store *s, uint64_t first, uint64_t planned, struct diag *d)
{
    sqlite3_stmt *q;
    int rc = sql_prepare(s, &q, "UPDATE campaign SET first = ?, planned = ?", d);
    if (rc != OK)
        return rc;
    sql_bind_u64(q, 1, first);
    sql_bind_u64(q, 2, planned);
    rc = sql_run(s, q, "cannot write", d);
    sqlite3_finalize(q);
    if (rc == OK && s->campaign) {
        s->campaign->first = first;
        s->campaign->planned = planned;
    }
    return rc;
}

int store_set_made(struct store *s, const char *made, struct diag *d)
{
    sqlite3_stmt *q;
    int rc = sql_prepare(s, &q, "UPDATE campaign SET made = ?", d);
    if (rc != OK)
        return rc;
    sql_bind_text(q, 1, made);
    rc = sql_run(s, q, "cannot write", d);
    sqlite3_finalize(q);
    if (rc == OK && s->campaign)
        s->campaign->made = arena_strdup(&s->arena, made ? made : "");
    return rc;
}

/* ---- Closing --------------------------------------------------------------------------------- */

/* Replace the file by its canonical form: the same rows laid out afresh, so that the bytes do not
 * depend on when commits, interruptions and extensions happened. s holds the only lock. */
static int rewrite(struct store *s, struct diag *d)
{
    char tmp[4096];
    if (!store_tmp_name(tmp, s->path))
        return diag_fail(d, ERR_INPUT, file_loc(s->path), "name too long");
    unlink(tmp);
    /* each VACUUM counts the schema's version up; start from the same */
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL);
    char *sql = sqlite3_mprintf("DELETE FROM live; PRAGMA schema_version = 1; VACUUM INTO %Q", tmp);
    int rc = sql ? sql_exec(s, sql, "cannot write", d)
                 : diag_fail(d, ERR_NOMEM, file_loc(s->path), "out of memory");
    sqlite3_free(sql);
    if (rc == OK)
        rc = store_replace(tmp, s->path, d);
    if (rc != OK)
        unlink(tmp);
    return rc;
}

/* Out of write-ahead logging, into one file. Fails softly while a reader holds the file open: the
 * log stays beside it then, which is as safe. */
static bool leave_log(struct store *s)
{
    sqlite3_stmt *q = NULL;
    bool left =
        sqlite3_prepare_v2(s->db, "PRAGMA journal_mode = DELETE", -1, &q, NULL) == SQLITE_OK &&
        sqlite3_step(q) == SQLITE_ROW &&
        strcmp((const char *)sqlite3_column_text(q, 0), "delete") == 0;
    sqlite3_finalize(q);
    return left;
}

static void finalize_inserts(struct store *s)
{
    sqlite3_stmt **all[] = {&s->insert, &s->insert_label, &s->insert_instruction,
                            &s->insert_register, &s->drop_diffs};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        sqlite3_finalize(*all[i]);
        *all[i] = NULL;
    }
}

static bool complete(const struct store *s)
{
    if (s->simulation)
        return s->count >= s->simulation->planned;
    return s->count >= s->campaign->planned - s->campaign->first;
}

int store_close(struct store *s, struct diag *d)
{
    int rc = OK;
    if (!s)
        return OK;
    if (s->writable) {
        finalize_inserts(s);
        if (!sqlite3_get_autocommit(s->db)) {
            rc = summary_update(s, d);
            int committed = sql_exec(s, "COMMIT", "cannot write", d);
            rc = rc != OK ? rc : committed;
        }
        bool plain = leave_log(s);
        if (rc == OK && plain && complete(s))
            rc = rewrite(s, d);
        store_sweep(s->path); /* again: who was killed just before took a moment to die */
    }
    store_free(s);
    return rc;
}

const struct store_campaign *store_campaign(const struct store *s) { return s->campaign; }
const struct store_simulation *store_simulation(const struct store *s) { return s->simulation; }
