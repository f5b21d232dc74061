/* What the files of store/ share: the open store and a thin layer over SQLite that turns its errors
 * into diags. */
#ifndef STORE_PRIV_H
#define STORE_PRIV_H

#include <sqlite3.h>
#include <time.h>

#include "store/store.h"

struct diff_codec;

struct store {
    sqlite3 *db;
    struct arena arena; /* identity, path */
    const char *path;
    bool writable;
    struct timespec last_commit;
    uint64_t count;     /* injections or trials, kept by the writer */
    struct store_campaign *campaign; /* one of these two */
    struct store_simulation *simulation;
    sqlite3_stmt *insert, *insert_label, *insert_instruction, *insert_register;
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
void sql_bind_text(sqlite3_stmt *q, int at, const char *text); /* static until stepped; NULL is "" */
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
int domains_load(struct store *s, struct diag *d);
/* A row was added: count it and commit if the last commit is long ago. */
int row_added(struct store *s, struct diag *d);

/* ---- diffs.c: sparse differences as bytes ---- */
struct diff_codec *diff_codec_new(void);
void diff_codec_free(struct diff_codec *c);
/* The bytes are the codec's until its next use. */
int diff_encode(struct diff_codec *c, const struct store_diff *diffs, size_t n,
                const float *golden, const uint8_t **bytes, size_t *len, struct diag *d);
/* out has room for n. false: not what diff_encode makes for a tensor of n_golden elements. */
bool diff_decode(struct diff_codec *c, struct store_diff *out, size_t n, const uint8_t *bytes,
                 size_t len, const float *golden, size_t n_golden);

#endif
