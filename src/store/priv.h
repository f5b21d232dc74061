/* What the files of store/ share: the open store and a thin layer over SQLite that turns its errors
 * into diags. */
#ifndef STORE_PRIV_H
#define STORE_PRIV_H

#include <sqlite3.h>

#include "store/store.h"

struct diff_codec;

enum { APPLICATION_ID = 0x53767274, VERSION = 5 };

/* The SDCs of lowest rank so far: a heap, the highest first. */
struct sample {
    size_t n, room;
    struct ranked {
        uint64_t rank, number;
    } * heap;
};

/* Rows counted by four numbers that they share: a tally, or a look. A hash table; n is 0 in free slots. */
struct counts {
    size_t used, room;
    struct count {
        uint64_t key[4], n;
        uint64_t first, worst; /* of a look */
        double worst_error;
    } * slot;
};

struct store {
    sqlite3 *db;
    struct arena arena; /* identity, path */
    const char *path;
    bool writable;
    double last_commit; /* clock_seconds */
    uint64_t count;     /* injections or trials, kept by the writer */
    size_t n_pending, pending_room;
    struct pending { /* rows since the last commit, not yet in the summaries */
        struct store_span span;
        bool counted; /* in tallies and looks, or by others */
    } * pending;
    struct counts tallies, looks;
    struct sample sample;
    struct store_campaign *campaign; /* one of these two */
    struct store_simulation *simulation;
    sqlite3_stmt *insert, *insert_label, *insert_instruction, *insert_register, *drop_diffs;
    struct known { /* rows written already: a bit per number and launch, see injection.c */
        uint8_t *bits;
        size_t bytes;
    } instructions, registers;
    const char **domains; /* by id */
    size_t n_domains;
    struct diff_codec *codec;
};

/* ---- sql.c ---- */
int sql_fail(const struct store *s, struct diag *d, const char *doing);
int sql_exec(const struct store *s, const char *sql, const char *doing, struct diag *d);
int sql_prepare(const struct store *s, sqlite3_stmt **out, const char *sql, struct diag *d);
/* 1: a row, 0: the end, negative: failure. */
int sql_step(const struct store *s, sqlite3_stmt *q, struct diag *d);
/* Step an insertion or update to its end and reset it. */
int sql_run(const struct store *s, sqlite3_stmt *q, const char *doing, struct diag *d);
void sql_bind_u64(sqlite3_stmt *q, int at, uint64_t v);
void sql_bind_text(sqlite3_stmt *q, int at,
                   const char *text); /* static until stepped; NULL is "" */
uint64_t sql_u64(sqlite3_stmt *q, int col);
char *sql_text(sqlite3_stmt *q, int col, struct arena *a);
int sql_one_u64(const struct store *s, const char *sql, uint64_t *out, struct diag *d);
/* ERR_INPUT: the file holds what this program never writes. */
int sql_damaged(const struct store *s, struct diag *d, const char *what);

/* ---- campaign.c, simulation.c: identity ---- */
int campaign_insert(struct store *s, const struct store_campaign *c, struct diag *d);
int campaign_load(struct store *s, struct diag *d);
int simulation_insert(struct store *s, const struct store_simulation *sim, struct diag *d);
int simulation_load(struct store *s, struct diag *d);

/* ---- injection.c ---- */
int domains_insert(struct store *s, struct diag *d);
int domains_load(struct store *s, struct diag *d);

/* ---- store.c ---- */
/* Make the file tmp; fill says what it holds, from the store `old` if there is one (as schema old). */
int store_make(const char *tmp, const char *old,
               int (*fill)(struct store *s, const void *what, struct diag *d), const void *what,
               struct diag *d);
/* To be read as a whole, which finds damaged pages: they are not looked at beforehand. */
int store_open_part(struct store **out, const char *path, struct diag *d);
/* path with a suffix of this process: where a file grows before it gets its name. false: too long. */
bool store_tmp_name(char out[static 4096], const char *path);
/* Put tmp in the place of path, synced; not while a log lies beside path. */
int store_replace(const char *tmp, const char *path, struct diag *d);
int store_begin(struct store *s, struct diag *d);
/* A row was added: count it and commit if the last commit is long ago. */
int row_added(struct store *s, struct diag *d);
bool store_has_log(const char *path);
/* Make the store at path, which must be a store, readable as schema `name`. Not in a transaction, whose
 * beginning would wait for another writer of it if it were writable. */
int store_attach(struct store *s, const char *path, const char *name, bool writable,
                 struct diag *d);

/* ---- migrate.c ---- */
/* Turn the store at path, of an older version, into one of this version: all or nothing. */
int store_migrate(const char *path, uint32_t version, struct diag *d);

/* ---- summary.c ---- */
/* Rows first to next - 1 were added, and belong in the summaries with the next commit. counted: all but their
 * numbers is seen to, by summary_add or summary_absorb; otherwise they are read. */
int summary_note(struct store *s, uint64_t first, uint64_t next, bool counted, struct diag *d);
/* Row i was added. */
int summary_add(struct store *s, const struct store_injection *i, struct diag *d);
/* So many rows alike were added. */
int summary_count(struct store *s, const struct store_tally *t, struct diag *d);
int summary_add_label(struct store *s, const struct store_injection *i, size_t epsilon,
                      size_t domain, struct diag *d);
/* All rows of the store attached as `part` were added. */
int summary_absorb(struct store *s, struct diag *d);
/* Before a commit: brings them up to date. */
int summary_update(struct store *s, struct diag *d);
void summary_fini(struct store *s);

/* ---- sample.c: whose differences are kept ---- */
/* Before the SDC is added: keep its differences? Those of another may be dropped for it. */
int sample_offer(struct store *s, uint64_t number, bool *keep, struct diag *d);
/* Find out what is kept, and drop what is too much. */
int sample_trim(struct store *s, struct diag *d);

/* ---- diffs.c: sparse differences as bytes ---- */
struct diff_codec *diff_codec_new(void);
void diff_codec_free(struct diff_codec *c);
/* The bytes are the codec's until its next use. */
int diff_encode(struct diff_codec *c, const struct store_diff *diffs, size_t n, const float *golden,
                const uint8_t **bytes, size_t *len, struct diag *d);
/* out has room for n. false: not what diff_encode makes for a tensor of n_golden elements. */
bool diff_decode(struct diff_codec *c, struct store_diff *out, size_t n, const uint8_t *bytes,
                 size_t len, const float *golden, size_t n_golden);

#endif
