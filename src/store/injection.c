/* Rows of injections with their labels. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/priv.h"

enum { LANES = 32 };
/* Columns of the table injection, from 1. */
enum {
    COLUMN_CELL = 13,
    COLUMN_STRATUM,
    COLUMN_OUTCOME,
    COLUMN_FATE,
    COLUMN_LAST,
    COLUMN_TRAP = COLUMN_LAST + 3,
    COLUMN_DIFFS = COLUMN_TRAP + 5
};

/* ---- Writing --------------------------------------------------------------------------------- */

/* Whether (launch, number) has its row already; SQLite is asked only once for each. */
static bool is_known(struct known *k, uint32_t launch, uint64_t number)
{
    enum { NUMBERS = 1 << 16 }; /* beyond: always ask */
    if (number >= NUMBERS)
        return false;
    size_t bit = (size_t)launch * NUMBERS + (size_t)number, need = bit / 8 + 1;
    if (need > k->bytes) {
        uint8_t *grown = realloc(k->bits, need * 2);
        if (!grown)
            return false;
        memset(grown + k->bytes, 0, need * 2 - k->bytes);
        k->bits = grown;
        k->bytes = need * 2;
    }
    uint8_t *byte = &k->bits[bit / 8], mask = (uint8_t)(1 << bit % 8);
    bool known = *byte & mask;
    *byte |= mask;
    return known;
}

static int add_instruction(struct store *s, const struct store_injection *i, struct diag *d)
{
    if (is_known(&s->instructions, i->launch, i->insn))
        return OK;
    int rc = s->insert_instruction
                 ? OK
                 : sql_prepare(s, &s->insert_instruction,
                               "INSERT OR IGNORE INTO instruction VALUES (?, ?, ?, ?, ?)", d);
    if (rc != OK)
        return rc;
    sqlite3_bind_int64(s->insert_instruction, 1, i->launch);
    sqlite3_bind_int64(s->insert_instruction, 2, i->insn);
    sqlite3_bind_int(s->insert_instruction, 3, i->ptx_line);
    sqlite3_bind_int(s->insert_instruction, 4, i->source_line);
    sql_bind_text(s->insert_instruction, 5, i->mnemonic);
    return sql_run(s, s->insert_instruction, "cannot write", d);
}

int store_add_counts(struct store *s, const struct store_span *spans, size_t n_spans,
                     const struct store_tally *tallies, size_t n_tallies, struct diag *d)
{
    int rc = OK;
    for (size_t i = 0; rc == OK && i < n_tallies; i++) {
        const struct store_tally *t = &tallies[i];
        rc = add_instruction(s,
                             &(struct store_injection){.launch = t->launch,
                                                       .insn = t->insn,
                                                       .ptx_line = t->ptx_line,
                                                       .source_line = t->source_line,
                                                       .mnemonic = t->mnemonic},
                             d);
        if (rc == OK)
            rc = summary_count(s, t, d);
    }
    for (size_t i = 0; rc == OK && i < n_spans; i++) {
        rc = summary_note(s, spans[i].first, spans[i].next, true, d);
        s->count += spans[i].next - spans[i].first;
    }
    return rc;
}

bool store_is_exhaustive(const struct store_campaign *c)
{
    return strstr(c->fault, ":exhaustive") != NULL;
}

static int add_register(struct store *s, const struct store_injection *i, struct diag *d)
{
    if (!i->has_cell || !i->reg_name || is_known(&s->registers, i->launch, i->cell))
        return OK;
    int rc = s->insert_register ? OK
                                : sql_prepare(s, &s->insert_register,
                                              "INSERT OR IGNORE INTO register VALUES (?, ?, ?)", d);
    if (rc != OK)
        return rc;
    sqlite3_bind_int64(s->insert_register, 1, i->launch);
    sql_bind_u64(s->insert_register, 2, i->cell);
    sql_bind_text(s->insert_register, 3, i->reg_name);
    return sql_run(s, s->insert_register, "cannot write", d);
}

static void bind_trap(sqlite3_stmt *q, const struct store_injection *i)
{
    sqlite3_bind_int(q, COLUMN_TRAP, (int)i->trap);
    sqlite3_bind_int64(q, COLUMN_TRAP + 1, i->trap_launch);
    sql_bind_u64(q, COLUMN_TRAP + 2, i->trap_cta);
    sqlite3_bind_int64(q, COLUMN_TRAP + 3, i->trap_insn);
    sql_bind_u64(q, COLUMN_TRAP + 4, i->trap_address);
}

static void bind_last(sqlite3_stmt *q, const struct store_injection *i)
{
    sqlite3_bind_int64(q, COLUMN_LAST, i->last_launch);
    sql_bind_u64(q, COLUMN_LAST + 1, i->last_cta);
    sqlite3_bind_int64(q, COLUMN_LAST + 2, i->last_insn);
}

static int bind_diffs(struct store *s, const struct store_injection *i, struct diag *d)
{
    const uint8_t *bytes;
    size_t len;
    bool keep;
    sql_bind_u64(s->insert, COLUMN_DIFFS, i->n_diffs);
    sqlite3_bind_double(s->insert, COLUMN_DIFFS + 1,
                        isnan(i->max_abs_error) ? (double)INFINITY : i->max_abs_error);
    int rc = sample_offer(s, i->number, &keep, d);
    if (rc != OK || !keep)
        return rc;
    rc = diff_encode(s->codec, i->diffs, i->n_diffs, s->campaign->golden, &bytes, &len, d);
    if (rc != OK)
        return rc;
    sqlite3_bind_blob64(s->insert, COLUMN_DIFFS + 2, bytes, len, SQLITE_STATIC);
    return OK;
}

static int add_row(struct store *s, const struct store_injection *i, struct diag *d)
{
    int rc = s->insert ? OK
                       : sql_prepare(s, &s->insert,
                                     "INSERT INTO injection VALUES (?,?,?,?,?,?,?,?,?,?,?,?,"
                                     "?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                                     d);
    if (rc != OK)
        return rc;
    const uint64_t columns[] = {i->number, i->launch,         i->insn,   i->cta,
                                i->nth,    i->warp,           i->lane,   i->lanes,
                                i->reg,    (uint64_t)i->bits, i->before, i->after};
    sqlite3_clear_bindings(s->insert);
    for (int k = 0; k < (int)(sizeof columns / sizeof columns[0]); k++)
        sql_bind_u64(s->insert, k + 1, columns[k]);
    if (i->has_cell)
        sql_bind_u64(s->insert, COLUMN_CELL, i->cell);
    sqlite3_bind_int64(s->insert, COLUMN_STRATUM, i->stratum);
    sqlite3_bind_int(s->insert, COLUMN_OUTCOME, (int)i->outcome);
    sqlite3_bind_int(s->insert, COLUMN_FATE, (int)i->fate);
    if (i->has_last)
        bind_last(s->insert, i);
    if (i->outcome == OUTCOME_DUE)
        bind_trap(s->insert, i);
    if (i->outcome == OUTCOME_SDC && (rc = bind_diffs(s, i, d)) != OK)
        return rc;
    return sql_run(s, s->insert, "cannot write", d);
}

int domains_load(struct store *s, struct diag *d)
{
    sqlite3_stmt *q;
    uint64_t n;
    int rc = sql_one_u64(s, "SELECT count(*) FROM domain", &n, d);
    if (rc != OK || (rc = sql_prepare(s, &q, "SELECT classes FROM domain ORDER BY id", d)) != OK)
        return rc;
    s->domains = arena_array(&s->arena, n + 1, sizeof *s->domains);
    while ((rc = sql_step(s, q, d)) == 1 && s->n_domains < n)
        s->domains[s->n_domains++] = sql_text(q, 0, &s->arena);
    sqlite3_finalize(q);
    return rc < 0 ? rc : OK;
}

static int insert_domain(struct store *s, sqlite3_stmt *q, int id, const char *classes,
                         struct diag *d)
{
    sqlite3_bind_int(q, 1, id);
    sql_bind_text(q, 2, classes);
    return sql_run(s, q, "cannot write", d);
}

/* All there are, so that a number means the same in every store: random, each class, each ordered pair. */
int domains_insert(struct store *s, struct diag *d)
{
    sqlite3_stmt *q;
    char pair[64];
    int id = 0, rc = sql_prepare(s, &q, "INSERT INTO domain VALUES (?, ?)", d);
    if (rc == OK)
        rc = insert_domain(s, q, id++, "random", d);
    for (int a = 0; rc == OK && a < N_VALUES; a++)
        rc = insert_domain(s, q, id++, vocab_word(&vocab_values, a), d);
    for (int a = 0; a < N_VALUES; a++)
        for (int b = 0; rc == OK && b < N_VALUES; b++)
            if (a != b) {
                snprintf(pair, sizeof pair, "%s+%s", vocab_word(&vocab_values, a),
                         vocab_word(&vocab_values, b));
                rc = insert_domain(s, q, id++, pair, d);
            }
    sqlite3_finalize(q);
    return rc;
}

static int domain_id(const struct store *s, const char *classes, size_t *id, struct diag *d)
{
    for (*id = 0; *id < s->n_domains; (*id)++)
        if (strcmp(s->domains[*id], classes) == 0)
            return OK;
    return diag_fail(d, ERR_INPUT, (struct loc){.file = s->path}, "'%s' is no domain", classes);
}

static int add_label(struct store *s, const struct store_injection *i, size_t epsilon,
                     struct diag *d)
{
    const struct store_label *l = &i->labels[epsilon];
    size_t domain = 0;
    int rc = s->insert_label
                 ? OK
                 : sql_prepare(s, &s->insert_label, "INSERT INTO label VALUES (?,?,?,?,?,?)", d);
    if (rc == OK && l->corrupted)
        rc = domain_id(s, l->domain, &domain, d);
    if (rc != OK)
        return rc;
    sqlite3_clear_bindings(s->insert_label);
    sql_bind_u64(s->insert_label, 1, i->number);
    sql_bind_u64(s->insert_label, 2, epsilon);
    sql_bind_u64(s->insert_label, 3, l->corrupted);
    sql_bind_u64(s->insert_label, 4, l->channels);
    if (l->corrupted) {
        sqlite3_bind_int(s->insert_label, 5, l->pattern);
        sql_bind_u64(s->insert_label, 6, domain);
    }
    rc = sql_run(s, s->insert_label, "cannot write", d);
    return rc == OK && l->corrupted ? summary_add_label(s, i, epsilon, domain, d) : rc;
}

int store_add(struct store *s, const struct store_injection *i, struct diag *d)
{
    int rc = add_instruction(s, i, d);
    if (rc == OK)
        rc = add_register(s, i, d);
    if (rc == OK)
        rc = add_row(s, i, d);
    for (size_t e = 0; rc == OK && i->outcome == OUTCOME_SDC && e < s->campaign->n_epsilons; e++)
        rc = add_label(s, i, e, d);
    if (rc == OK)
        rc = summary_add(s, i, d);
    return rc == OK ? row_added(s, d) : rc;
}

/* ---- Reading --------------------------------------------------------------------------------- */

#define SELECT_ROWS                                                                                \
    "SELECT number, i.launch, i.insn, cta, nth, warp, lane, lanes, reg, bits, before, after, "     \
    "outcome, trap, trap_launch, trap_cta, trap_insn, trap_address, n_diffs, max_abs_error, "      \
    "ptx_line, source_line, diffs, i.cell, stratum, fate, last_launch, last_cta, last_insn, "      \
    "mnemonic, name FROM injection i JOIN instruction p "                                          \
    "ON p.launch = i.launch AND p.insn = i.insn "                                                  \
    "LEFT JOIN register r ON r.launch = i.launch AND r.cell = i.cell "
enum {
    COL_N_DIFFS = 18,
    COL_DIFFS = 22,
    COL_CELL,
    COL_STRATUM,
    COL_FATE,
    COL_LAST,
    COL_MNEMONIC = COL_LAST + 3,
    COL_NAME
};

/* A walk over rows and, in step, over their labels. */
struct cursor {
    sqlite3_stmt *rows, *labels;
    int label_state; /* what the last step of labels said */
    struct store_label *label;
    struct store_diff *diffs;
    size_t diffs_room;
};

static void cursor_fini(struct cursor *c)
{
    sqlite3_finalize(c->rows);
    sqlite3_finalize(c->labels);
    free(c->label);
    free(c->diffs);
}

static int read_row(const struct store *s, sqlite3_stmt *q, struct store_injection *i,
                    struct diag *d)
{
    *i = (struct store_injection){
        .number = sql_u64(q, 0),
        .launch = (uint32_t)sql_u64(q, 1),
        .insn = (uint32_t)sql_u64(q, 2),
        .cta = sql_u64(q, 3),
        .nth = sql_u64(q, 4),
        .warp = (uint32_t)sql_u64(q, 5),
        .lane = (uint32_t)sql_u64(q, 6),
        .lanes = (uint32_t)sql_u64(q, 7),
        .reg = (uint32_t)sql_u64(q, 8),
        .bits = sqlite3_column_int(q, 9),
        .before = sql_u64(q, 10),
        .after = sql_u64(q, 11),
        .outcome = (enum outcome)sqlite3_column_int(q, 12),
        .trap = (enum trap_kind)sqlite3_column_int(q, 13),
        .trap_launch = (uint32_t)sql_u64(q, 14),
        .trap_cta = sql_u64(q, 15),
        .trap_insn = (uint32_t)sql_u64(q, 16),
        .trap_address = sql_u64(q, 17),
        .n_diffs = sql_u64(q, COL_N_DIFFS),
        .max_abs_error = sqlite3_column_double(q, 19),
        .ptx_line = sqlite3_column_int(q, 20),
        .source_line = sqlite3_column_int(q, 21),
        .has_cell = sqlite3_column_type(q, COL_CELL) != SQLITE_NULL,
        .cell = sql_u64(q, COL_CELL),
        .stratum = (uint32_t)sql_u64(q, COL_STRATUM),
        .fate = (enum fate)sqlite3_column_int(q, COL_FATE),
        .has_last = sqlite3_column_type(q, COL_LAST) != SQLITE_NULL,
        .last_launch = (uint32_t)sql_u64(q, COL_LAST),
        .last_cta = sql_u64(q, COL_LAST + 1),
        .last_insn = (uint32_t)sql_u64(q, COL_LAST + 2),
        .mnemonic = (const char *)sqlite3_column_text(q, COL_MNEMONIC),
        .reg_name = (const char *)sqlite3_column_text(q, COL_NAME),
    };
    if ((unsigned)i->outcome >= N_OUTCOMES || (unsigned)i->trap >= N_TRAPS || i->lane >= LANES ||
        (unsigned)i->fate >= N_FATES || !i->mnemonic || i->last_launch >= s->campaign->n_launches ||
        (s->campaign->n_strata && i->stratum >= s->campaign->n_strata) || i->bits < 1 ||
        i->bits > 64 || i->launch >= s->campaign->n_launches ||
        i->n_diffs > s->campaign->golden_floats || (i->outcome == OUTCOME_SDC) != (i->n_diffs > 0))
        return sql_damaged(s, d, "an injection has impossible values");
    return OK;
}

static int read_diffs(struct store *s, struct cursor *c, struct store_injection *i, struct diag *d)
{
    if (i->n_diffs > c->diffs_room) {
        struct store_diff *grown = realloc(c->diffs, i->n_diffs * sizeof *grown);
        if (!grown)
            return diag_fail(d, ERR_NOMEM, DIAG_NOWHERE, "out of memory");
        c->diffs = grown;
        c->diffs_room = i->n_diffs;
    }
    if (sqlite3_column_type(c->rows, COL_DIFFS) == SQLITE_NULL) /* not in the sample of tensors */
        return OK;
    const uint8_t *bytes = sqlite3_column_blob(c->rows, COL_DIFFS);
    size_t len = (size_t)sqlite3_column_bytes(c->rows, COL_DIFFS);
    if (!diff_decode(s->codec, c->diffs, i->n_diffs, bytes, len, s->campaign->golden,
                     s->campaign->golden_floats))
        return sql_damaged(s, d, "the differences of an injection cannot be decoded");
    i->diffs = c->diffs;
    return OK;
}

/* The labels of the row that i is; every SDC has one per epsilon. */
static int read_labels(const struct store *s, struct cursor *c, struct store_injection *i,
                       struct diag *d)
{
    for (size_t e = 0; e < s->campaign->n_epsilons; e++) {
        uint64_t domain = sql_u64(c->labels, 5);
        if (c->label_state != 1 || sql_u64(c->labels, 0) != i->number || sql_u64(c->labels, 1) != e)
            return c->label_state < 0 ? c->label_state
                                      : sql_damaged(s, d, "an SDC lacks its labels");
        c->label[e] = (struct store_label){.corrupted = sql_u64(c->labels, 2),
                                           .channels = sql_u64(c->labels, 3),
                                           .pattern = -1,
                                           .domain = ""};
        if (c->label[e].corrupted) {
            c->label[e].pattern = sqlite3_column_int(c->labels, 4);
            if ((unsigned)c->label[e].pattern >= N_PATTERNS || domain >= s->n_domains)
                return sql_damaged(s, d, "a label has impossible values");
            c->label[e].domain = s->domains[domain];
        }
        c->label_state = sql_step(s, c->labels, d);
    }
    i->labels = c->label;
    return c->label_state < 0 ? c->label_state : OK;
}

static int cursor_init(struct cursor *c, struct store *s, const char *rows, const char *labels,
                       uint64_t number, struct diag *d)
{
    *c = (struct cursor){0};
    if (!s->campaign)
        return diag_fail(d, ERR_INPUT, (struct loc){.file = s->path},
                         "a simulation, not a campaign of injections");
    if (store_is_exhaustive(s->campaign))
        return diag_fail(d, ERR_INPUT, (struct loc){.file = s->path},
                         "an exhaustive campaign has counts (`sievert report`), but no rows of "
                         "single injections");
    c->label = calloc(s->campaign->n_epsilons + 1, sizeof *c->label);
    if (!c->label)
        return diag_fail(d, ERR_NOMEM, DIAG_NOWHERE, "out of memory");
    int rc = sql_prepare(s, &c->rows, rows, d);
    if (rc == OK)
        rc = sql_prepare(s, &c->labels, labels, d);
    if (rc != OK)
        return rc;
    if (sqlite3_bind_parameter_count(c->rows)) {
        sql_bind_u64(c->rows, 1, number);
        sql_bind_u64(c->labels, 1, number);
    }
    c->label_state = sql_step(s, c->labels, d);
    return c->label_state < 0 ? c->label_state : OK;
}

/* 1: *i is the next injection, 0: there is none, negative: failure. */
static int cursor_next(struct cursor *c, struct store *s, bool with_diffs,
                       struct store_injection *i, struct diag *d)
{
    int rc = sql_step(s, c->rows, d);
    if (rc != 1)
        return rc;
    rc = read_row(s, c->rows, i, d);
    if (rc == OK && i->outcome == OUTCOME_SDC)
        rc = read_labels(s, c, i, d);
    if (rc == OK && with_diffs && i->n_diffs)
        rc = read_diffs(s, c, i, d);
    return rc == OK ? 1 : rc;
}

static int each_of(struct store *s, const char *rows, const char *labels, bool with_diffs,
                   int (*each)(void *ctx, const struct store_injection *i), void *ctx,
                   struct diag *d)
{
    struct cursor c;
    struct store_injection i;
    int rc = cursor_init(&c, s, rows, labels, 0, d);
    while (rc == OK && (rc = cursor_next(&c, s, with_diffs, &i, d)) == 1)
        rc = each(ctx, &i);
    cursor_fini(&c);
    return rc;
}

static const char all_labels[] = "SELECT * FROM label ORDER BY number, epsilon";

int store_each(struct store *s, bool with_diffs,
               int (*each)(void *ctx, const struct store_injection *i), void *ctx, struct diag *d)
{
    return each_of(s, SELECT_ROWS "ORDER BY number", all_labels, with_diffs, each, ctx, d);
}

int store_each_sdc(struct store *s, bool with_diffs,
                   int (*each)(void *ctx, const struct store_injection *i), void *ctx,
                   struct diag *d)
{
    return each_of(s, SELECT_ROWS "WHERE outcome = 1 ORDER BY number", all_labels, with_diffs, each,
                   ctx, d);
}

int store_each_tensor(struct store *s, int (*each)(void *ctx, const struct store_injection *i),
                      void *ctx, struct diag *d)
{
    return each_of(s, SELECT_ROWS "WHERE diffs IS NOT NULL ORDER BY number",
                   "SELECT l.* FROM injection i CROSS JOIN label l USING (number) "
                   "WHERE diffs IS NOT NULL ORDER BY l.number, epsilon",
                   true, each, ctx, d);
}

int store_get(struct store *s, uint64_t number, struct store_injection *out, struct arena *a,
              struct diag *d)
{
    struct cursor c;
    int rc = cursor_init(&c, s, SELECT_ROWS "WHERE number = ?",
                         "SELECT * FROM label WHERE number = ? ORDER BY epsilon", number, d);
    if (rc == OK)
        rc = cursor_next(&c, s, true, out, d);
    if (rc == 0)
        rc = diag_fail(d, ERR_INPUT, (struct loc){.file = s->path},
                       "no injection %llu among the %llu of this store", (unsigned long long)number,
                       (unsigned long long)s->count);
    if (rc == 1) {
        size_t n = out->labels ? s->campaign->n_epsilons : 0;
        struct store_label *labels = n ? arena_array(a, n, sizeof *labels) : NULL;
        for (size_t e = 0; e < n; e++) {
            labels[e] = out->labels[e];
            labels[e].domain = arena_strdup(a, labels[e].domain);
        }
        struct store_diff *diffs = arena_array(a, out->n_diffs, sizeof *diffs);
        if (out->diffs)
            memcpy(diffs, out->diffs, out->n_diffs * sizeof *diffs);
        out->labels = labels;
        out->mnemonic = arena_strdup(a, out->mnemonic);
        out->reg_name = out->reg_name ? arena_strdup(a, out->reg_name) : NULL;
        out->diffs = out->diffs ? diffs : NULL;
        rc = OK;
    }
    cursor_fini(&c);
    return rc;
}
