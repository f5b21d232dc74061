/* Stores of older versions -> this one. A new file is made from the present schema beside the old one, its
 * rows selected from the old tables, the summaries made from the rows; then it takes the old one's place. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/priv.h"

/* Until version 3: one layer's output, judged by top-1. How large an error was, and what of the answers is
 * not in the effect, was not kept. */
#define OLD_SIMULATION                                                                             \
    "SELECT id, network, dataset, layer, impl, 'top-1', 'output', 'turn', source, errors, seed, "  \
    "planned, images FROM old.simulation"
#define OLD_LAYER "SELECT 0, layer, 0 FROM old.simulation"
#define OLD_TRIAL                                                                                  \
    "SELECT number, image, 0, injection, pattern, corrupted, 0, effect, answer_golden, "           \
    "answer_faulty, label, score_change, 0, effect < 2, answer_faulty >= 0 FROM old.trial"

#define OLD_LABEL                                                                                  \
    "SELECT number, epsilon, corrupted, channels, pattern, (SELECT n.id FROM main.domain n "       \
    "JOIN old.domain o ON o.classes = n.classes WHERE o.id = l.domain) FROM old.label l"
static const char same[] = "all columns as they are";

/* What to select, by the version that the file has; NULL: it had no such table. The columns of version 2
 * that version 1 did not know say that nothing is known. */
static const struct {
    const char *table, *from[VERSION];
} steps[] = {
    {"campaign",
     {NULL,
      "SELECT id, impl, shape, tile, layer, '', '', fault, population_kind, seed, 0, planned, "
      "NULL, "
      "hang_factor, kernels_hash, population, 0, warp_insns, thread_insns, workspace_bytes, n, k, "
      "p, q, "
      "input, filter, golden, '' FROM old.campaign",
      "SELECT id, impl, shape, tile, layer, ptx, arguments, fault, population_kind, seed, 0, "
      "planned, NULL, "
      "hang_factor, kernels_hash, population, exposure, warp_insns, thread_insns, workspace_bytes, "
      "n, k, p, q, input, filter, golden, '' FROM old.campaign",
      "SELECT *, '' FROM old.campaign", "SELECT *, '' FROM old.campaign"}},
    {"epsilon", {NULL, same, same, same, same}},
    {"launch", {NULL, same, same, same, same}},
    {"instruction", {NULL, "SELECT *, '' FROM old.instruction", same, same, same}},
    {"register", {NULL, NULL, same, same, same}},
    {"stratum", {NULL, NULL, same, same, same}},
    {"injection",
     {NULL,
      "SELECT number, launch, insn, cta, nth, warp, lane, lanes, reg, bits, before, after, NULL, "
      "0, outcome, "
      "0, NULL, NULL, NULL, trap, trap_launch, trap_cta, trap_insn, trap_address, n_diffs, "
      "max_abs_error, "
      "diffs FROM old.injection",
      same, same, same}},
    {"label", {NULL, OLD_LABEL, OLD_LABEL, OLD_LABEL, same}},
    {"simulation", {NULL, OLD_SIMULATION, OLD_SIMULATION, OLD_SIMULATION, same}},
    {"layer", {NULL, OLD_LAYER, OLD_LAYER, OLD_LAYER, same}},
    {"trial", {NULL, OLD_TRIAL, OLD_TRIAL, OLD_TRIAL, same}},
};

struct old {
    const char *path;
    uint32_t version;
};

static int copy_table(struct store *s, const char *table, const char *select, struct diag *d)
{
    char *sql = select == same
                    ? sqlite3_mprintf("INSERT INTO main.%s SELECT * FROM old.%s", table, table)
                    : sqlite3_mprintf("INSERT INTO main.%s %s", table, select);
    int rc = sql ? sql_exec(s, sql, "cannot convert", d)
                 : diag_fail(d, ERR_NOMEM, DIAG_NOWHERE, "out of memory");
    sqlite3_free(sql);
    return rc;
}

static int copy_tables(struct store *s, uint32_t version, struct diag *d)
{
    int rc = OK;
    for (size_t i = 0; rc == OK && i < sizeof steps / sizeof *steps; i++) {
        const char *select = steps[i].from[version];
        if (select)
            rc = copy_table(s, steps[i].table, select, d);
    }
    return rc;
}

/* Until version 2 writers left no gaps. */
static int summarise(struct store *s, uint32_t version, struct diag *d)
{
    sqlite3_stmt *q;
    int rc = sql_prepare(s, &q,
                         version < 3 ? "SELECT 0, count(*) FROM old.injection HAVING count(*) > 0"
                                     : "SELECT first, next FROM old.span ORDER BY first",
                         d);
    while (rc == OK && (rc = sql_step(s, q, d)) == 1)
        rc = summary_note(s, sql_u64(q, 0), sql_u64(q, 1), false, d);
    sqlite3_finalize(q);
    return rc == OK ? summary_update(s, d) : rc;
}

/* The numbers in the file must mean the same words here. */
static int same_words(struct store *s, const char *path, struct diag *d)
{
    sqlite3_stmt *q;
    int rc = sql_prepare(s, &q,
                         "SELECT o.vocabulary, o.word FROM old.word o LEFT JOIN main.word n "
                         "ON n.vocabulary = o.vocabulary AND n.id = o.id "
                         "WHERE n.word IS NOT o.word",
                         d);
    if (rc == OK && (rc = sql_step(s, q, d)) == 1)
        rc = diag_fail(d, ERR_INPUT, (struct loc){.file = path},
                       "made by another version of Sievert: its %s '%s' is unknown here",
                       (const char *)sqlite3_column_text(q, 0),
                       (const char *)sqlite3_column_text(q, 1));
    sqlite3_finalize(q);
    return rc;
}

static int fill(struct store *s, const void *what, struct diag *d)
{
    const struct old *old = what;
    int rc = same_words(s, old->path, d);
    if (rc == OK)
        rc = copy_tables(s, old->version, d);
    return rc == OK ? summarise(s, old->version, d) : rc;
}

int store_migrate(const char *path, uint32_t version, struct diag *d)
{
    char tmp[4096];
    if (!store_tmp_name(tmp, path))
        return diag_fail(d, ERR_INPUT, (struct loc){.file = path}, "name too long");
    unlink(tmp);
    int rc = store_make(tmp, path, fill, &(struct old){path, version}, d);
    if (rc == OK)
        rc = store_replace(tmp, path, d);
    if (rc != OK)
        unlink(tmp);
    return rc;
}
