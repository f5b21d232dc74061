/* The document -> aligned text: what came of the injections, what reached the answers, the ranking. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/doc.h"
#include "report/priv.h"

static const char BOLD[] = "\033[1m", DIM[] = "\033[2m", GREEN[] = "\033[32m", PLAIN[] = "\033[0m";

/* A table is filled first, then printed with each column as wide as its widest field. The first two
 * columns are text, to the left; the others numbers, to the right. */
enum { COLUMNS = 9, FIELD = 112 };
struct table {
    const char *head[COLUMNS];
    size_t n_columns, n_rows;
    char (*field)[COLUMNS][FIELD];
    const char **style; /* per row, or NULL */
};

static bool table_new(struct table *t, const char *const *head, size_t n_rows)
{
    *t = (struct table){0};
    for (; head[t->n_columns]; t->n_columns++)
        t->head[t->n_columns] = head[t->n_columns];
    t->field = calloc(n_rows + 1, sizeof *t->field);
    t->style = calloc(n_rows + 1, sizeof *t->style);
    return t->field && t->style;
}

static char *at(struct table *t, size_t column) { return t->field[t->n_rows][column]; }

static void put(struct table *t, size_t column, const char *text)
{
    snprintf(at(t, column), FIELD, "%s", text);
}

/* Columns on the screen: bytes that do not continue a UTF-8 sequence. */
static size_t columns_of(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xC0) != 0x80;
    return n;
}

static void pad(FILE *to, size_t n)
{
    while (n-- > 0)
        fputc(' ', to);
}

static void print_field(FILE *to, const char *text, size_t width, bool left, bool last)
{
    size_t gap = width - columns_of(text);
    if (!left)
        pad(to, gap);
    fputs(text, to);
    if (left && !last)
        pad(to, gap);
    if (!last)
        fputs("  ", to);
}

static void table_print(struct table *t, FILE *to, bool colour)
{
    size_t width[COLUMNS];
    for (size_t c = 0; c < t->n_columns; c++) {
        width[c] = columns_of(t->head[c]);
        for (size_t r = 0; r < t->n_rows; r++)
            if (columns_of(t->field[r][c]) > width[c])
                width[c] = columns_of(t->field[r][c]);
    }
    fputs(colour ? DIM : "", to);
    for (size_t c = 0; c < t->n_columns; c++)
        print_field(to, t->head[c], width[c], c < 2, c + 1 == t->n_columns);
    fputs(colour ? PLAIN : "", to);
    fputc('\n', to);
    for (size_t r = 0; r < t->n_rows; r++) {
        bool styled = colour && t->style[r];
        fputs(styled ? t->style[r] : "", to);
        for (size_t c = 0; c < t->n_columns; c++)
            print_field(to, t->field[r][c], width[c], c < 2, c + 1 == t->n_columns);
        fputs(styled ? PLAIN : "", to);
        fputc('\n', to);
    }
    fputc('\n', to);
}

static void table_free(struct table *t)
{
    free(t->field);
    free(t->style);
}

static bool is_exact(const json_t *cell)
{
    return json_is_true(doc_at(cell, "provenance.exhaustive"));
}

/* "12.3 % [11.1, 13.6]"; "-" if it is not known; where all faults were tried "12.3 %, 1,234". */
static void interval(char *out, const json_t *e, const char *value)
{
    char v[DOC_NUMBER], lo[DOC_NUMBER], hi[DOC_NUMBER];
    if (!e) {
        snprintf(out, FIELD, "-");
        return;
    }
    doc_percent(v, doc_number(e, value));
    doc_percent(lo, doc_number(e, "lo"));
    doc_percent(hi, doc_number(e, "hi"));
    lo[strcspn(lo, " ")] = hi[strcspn(hi, " ")] = 0;
    snprintf(out, FIELD, "%s [%s, %s]", v, lo, hi);
}

static void outcome_field(char *out, const json_t *cell, const char *outcome)
{
    char v[DOC_NUMBER], n[DOC_NUMBER], path[FIELD];
    snprintf(path, sizeof path, "outcomes.%s", outcome);
    const json_t *e = doc_at(cell, path);
    if (!is_exact(cell)) {
        interval(out, e, "share");
        return;
    }
    snprintf(out, FIELD, "%s, %s", doc_percent(v, doc_number(e, "share")),
             doc_count(n, doc_number(e, "n")));
}

static void titles(FILE *to, const json_t *report, bool colour)
{
    char p[DOC_NUMBER], n[DOC_NUMBER];
    const json_t *cell = json_array_get(doc_at(report, "cells"), 0);
    fprintf(to, "%s%s%s\n", colour ? BOLD : "", doc_text(report, "title"), colour ? PLAIN : "");
    if (*doc_text(report, "network"))
        fprintf(to, "%s on %s, fault-free accuracy %s\n", doc_text(report, "network"),
                doc_text(report, "dataset"), doc_percent(p, doc_number(report, "golden_accuracy")));
    const char *layer = doc_text(cell, "layer");
    fprintf(to, "%s, %s%s %s in %s%s%s; ", doc_text(cell, "provenance.fault"),
            is_exact(cell) ? "all " : "", doc_count(n, doc_number(cell, "provenance.injections")),
            is_exact(cell) ? "faults" : "injections", layer, *layer ? " " : "",
            doc_text(cell, "impl"));
    if (is_exact(cell))
        fprintf(to, "shares of a uniform site and bit of it, sums of faults\n\n");
    else
        fprintf(to, "[intervals] at %g %%\n\n", 100 * doc_number(report, "confidence"));
}

static void outcome_table(FILE *to, const json_t *report, bool colour)
{
    static const char *const head[] = {"layer", "implementation", "masked",    "SDC", "DUE",
                                       "sites", "instructions",   "workspace", NULL};
    const json_t *cell, *cells = doc_at(report, "cells");
    struct table t;
    size_t i;
    char n[DOC_NUMBER];
    if (table_new(&t, head, json_array_size(cells)))
        json_array_foreach (cells, i, cell) {
            put(&t, 0, doc_text(cell, "layer"));
            put(&t, 1, doc_text(cell, "impl"));
            for (int o = 0; o < N_OUTCOMES; o++)
                outcome_field(at(&t, (size_t)o + 2), cell, vocab_word(&vocab_outcomes, o));
            put(&t, 5, doc_amount(n, doc_number(cell, "population")));
            put(&t, 6, doc_amount(n, doc_number(cell, "instructions.thread")));
            put(&t, 7, doc_bytes(n, doc_number(cell, "workspace_bytes")));
            t.n_rows++;
        }
    table_print(&t, to, colour);
    table_free(&t);
}

/* The commonest pattern at the first epsilon: "single 81.2 %". */
static void commonest(char *out, const json_t *cell)
{
    const json_t *first = json_array_get(doc_at(cell, "epsilons"), 0);
    const char *name, *best = NULL;
    json_t *j;
    double most = 0;
    char p[DOC_NUMBER];
    json_object_foreach ((json_t *)doc_at(first, "patterns"), name, j)
        if (doc_number(j, "share") > most) {
            most = doc_number(j, "share");
            best = name;
        }
    snprintf(out, FIELD, "%s%s%s", best ? best : "-", best ? " " : "",
             best ? doc_percent(p, most) : "");
}

static void effect_table(FILE *to, const json_t *report, bool colour)
{
    static const char *const head[] = {
        "layer",          "implementation", "critical|SDC",      "by model",
        "critical|fault", "by model",       "commonest pattern", NULL};
    const json_t *cell, *cells = doc_at(report, "cells");
    struct table t;
    size_t i;
    if (table_new(&t, head, json_array_size(cells)))
        json_array_foreach (cells, i, cell) {
            put(&t, 0, doc_text(cell, "layer"));
            put(&t, 1, doc_text(cell, "impl"));
            interval(at(&t, 2), doc_at(cell, "critical.direct.given_sdc"), "value");
            interval(at(&t, 3), doc_at(cell, "critical.model.given_sdc"), "value");
            interval(at(&t, 4), doc_at(cell, "critical.direct.given_fault"), "value");
            interval(at(&t, 5), doc_at(cell, "critical.model.given_fault"), "value");
            commonest(at(&t, 6), cell);
            t.n_rows++;
        }
    table_print(&t, to, colour);
    table_free(&t);
}

static void ranking_row(struct table *t, const json_t *e, const char *layer, double best)
{
    char v[DOC_NUMBER], lo[DOC_NUMBER], hi[DOC_NUMBER];
    size_t n = json_array_size(doc_at(e, "ties")), k;
    int rank = (int)json_integer_value(json_object_get(e, "rank"));
    put(t, 0, layer);
    snprintf(at(t, 1), FIELD, "%d%s %s", rank, n ? "=" : " ", doc_text(e, "impl"));
    if (best > 0)
        snprintf(at(t, 2), FIELD, "%s [%s, %s]", doc_times(v, doc_number(e, "value") / best),
                 doc_times(lo, doc_number(e, "lo") / best),
                 doc_times(hi, doc_number(e, "hi") / best));
    else
        put(t, 2, doc_number(e, "value") > 0 ? "-" : "0");
    put(t, 3, doc_amount(v, doc_number(e, "value")));
    const json_t *per = doc_at(e, "per_billion_upsets");
    if (per)
        snprintf(at(t, 4), FIELD, "%s [%s, %s]", doc_amount(v, doc_number(per, "value")),
                 doc_amount(lo, doc_number(per, "lo")), doc_amount(hi, doc_number(per, "hi")));
    char *ties = at(t, 5);
    size_t used = 0;
    json_t *name;
    json_array_foreach ((json_t *)doc_at(e, "ties"), k, name)
        if (used < FIELD)
            used += (size_t)snprintf(ties + used, FIELD - used, "%s%s", k ? ", " : "",
                                     json_string_value(name));
    if (used >= FIELD)
        snprintf(ties, FIELD, "%zu implementations", n);
    else if (n == 0)
        put(t, 5, "-");
    t->style[t->n_rows++] = rank == 1 ? GREEN : NULL;
}

static void ranking_rows(struct table *t, const json_t *ranking, const char *layer)
{
    size_t i;
    const json_t *e, *entries = doc_at(ranking, "entries");
    double best = doc_number(json_array_get(entries, 0), "value");
    json_array_foreach (entries, i, e)
        ranking_row(t, e, i ? "" : layer, best);
}

static size_t n_entries(const json_t *ranking)
{
    return json_array_size(doc_at(ranking, "entries"));
}

static void ranking_table(FILE *to, const json_t *report, bool colour)
{
    static const char *const head[] = {
        "where", "rank", "relative", "absolute", "per 1e9 upsets", "no significant difference from",
        NULL};
    const json_t *layer, *layers = doc_at(report, "ranking.layers");
    const json_t *network = doc_at(report, "ranking.network");
    struct table t;
    size_t i, rows = n_entries(network);
    json_array_foreach (layers, i, layer)
        rows += n_entries(layer);
    fprintf(to, "%sRanking: %s%s\n", colour ? BOLD : "", doc_text(report, "ranking.label"),
            colour ? PLAIN : "");
    if (table_new(&t, head, rows)) {
        json_array_foreach (layers, i, layer)
            ranking_rows(&t, layer, doc_text(layer, "layer"));
        if (json_array_size(layers) > 1)
            ranking_rows(&t, network, "network");
    }
    table_print(&t, to, colour);
    table_free(&t);
}

/* Agreement of each source of errors with the injections' own tensors; rows come cell by cell, truth first. */
static void validation_table(FILE *to, const json_t *report, bool colour)
{
    const char *head[12] = {"layer", "implementation"}, *source;
    const json_t *row, *mean, *rows = doc_at(report, "validation.rows");
    const json_t *means = doc_at(report, "validation.mean_agreement");
    size_t i, n = 2;
    struct table t;
    if (!rows)
        return;
    json_object_foreach ((json_t *)means, source, mean)
        if (n + 1 < sizeof head / sizeof *head)
            head[n++] = source;
    fprintf(to, "%sAgreement with the injections' own tensors%s\n", colour ? BOLD : "",
            colour ? PLAIN : "");
    if (table_new(&t, head, json_array_size(rows) + 1)) {
        size_t at_row = 0, column = 2;
        json_array_foreach (rows, i, row) {
            const bool truth = strcmp(doc_text(row, "source"), "truth") == 0;
            at_row += truth && i > 0;
            t.n_rows = at_row;
            column = truth ? 2 : column;
            put(&t, 0, doc_text(row, "layer"));
            put(&t, 1, doc_text(row, "implementation"));
            for (size_t k = 2; k < n && !truth; k++)
                if (strcmp(head[k], doc_text(row, "source")) == 0)
                    snprintf(at(&t, k), FIELD, "%.2f %%", 100 * doc_number(row, "agreement"));
        }
        t.n_rows = at_row + 1;
        put(&t, 0, "mean");
        for (size_t k = 2; k < n; k++)
            snprintf(at(&t, k), FIELD, "%.2f %%", 100 * doc_number(means, head[k]));
        t.n_rows++;
    }
    table_print(&t, to, colour);
    table_free(&t);
}

void report_terminal(FILE *to, const json_t *report, bool colour)
{
    size_t i;
    const json_t *point;
    titles(to, report, colour);
    outcome_table(to, report, colour);
    effect_table(to, report, colour);
    if (json_array_size(doc_at(report, "cells")) > 1)
        ranking_table(to, report, colour);
    validation_table(to, report, colour);
    fprintf(to, "%s%s%s\n", colour ? BOLD : "", doc_text(report, "summary.headline"),
            colour ? PLAIN : "");
    json_array_foreach (doc_at(report, "summary.points"), i, point)
        fprintf(to, "%s\n", json_string_value(point));
}
