/* The document -> tidy CSV: one row for each figure, so that any spreadsheet or data frame can pivot it.
 * Quoting as RFC 4180; text that a spreadsheet would take for a formula gets an apostrophe. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/doc.h"
#include "report/priv.h"

struct csv {
    struct sink s;
    const char *layer, *impl;
};

static void field(struct sink *s, const char *text)
{
    const char *formula = *text && strchr("=+-@", *text) ? "'" : "";
    if (!strpbrk(text, ",\"\r\n")) {
        sink_text(s, formula);
        sink_text(s, text);
        return;
    }
    sink_text(s, "\"");
    sink_text(s, formula);
    for (; *text; text++)
        sink_bytes(s, *text == '"' ? "\"\"" : text, *text == '"' ? 2 : 1);
    sink_text(s, "\"");
}

static void number(struct sink *s, double x)
{
    char buf[40];
    if (!isfinite(x))
        return;
    snprintf(buf, sizeof buf, x == floor(x) && fabs(x) < 1e15 ? "%.0f" : "%.6g", x);
    sink_text(s, buf);
}

/* One row: what, which class, at which epsilon, and the figure. */
static void row(struct csv *c, const char *quantity, const char *class, double epsilon,
                double count, double value, double lo, double hi)
{
    const char *text[] = {c->layer, c->impl, quantity, class};
    const double numbers[] = {epsilon, count, value, lo, hi};
    for (int i = 0; i < 4; i++) {
        if (i)
            sink_text(&c->s, ",");
        field(&c->s, text[i]);
    }
    for (int i = 0; i < 5; i++) {
        sink_text(&c->s, ",");
        number(&c->s, numbers[i]);
    }
    sink_text(&c->s, "\r\n");
}

static void shares(struct csv *c, const char *quantity, double epsilon, const json_t *o)
{
    const char *class;
    json_t *j;
    json_object_foreach ((json_t *)o, class, j)
        row(c, quantity, class, epsilon, doc_number(j, "n"), doc_number(j, "share"),
            doc_number(j, "lo"), doc_number(j, "hi"));
}

static void estimate(struct csv *c, const char *quantity, const char *class, const json_t *e)
{
    if (e)
        row(c, quantity, class, NAN, NAN, doc_number(e, "value"), doc_number(e, "lo"),
            doc_number(e, "hi"));
}

static void value(struct csv *c, const char *quantity, double x)
{
    row(c, quantity, "", NAN, NAN, x, NAN, NAN);
}

static void effects(struct csv *c, const json_t *cell, const char *source)
{
    const json_t *o = doc_at(doc_at(cell, "critical"), source);
    const char *effect;
    json_t *n;
    if (!o)
        return;
    json_object_foreach (json_object_get(o, "effects"), effect, n) {
        char quantity[32];
        snprintf(quantity, sizeof quantity, "effect-%s", source);
        row(c, quantity, effect, NAN, json_number_value(n), NAN, NAN, NAN);
    }
    estimate(c, "critical-given-sdc", source, doc_at(o, "given_sdc"));
    estimate(c, "critical-given-fault", source, doc_at(o, "given_fault"));
    estimate(c, "critical-per-inference", source, doc_at(o, "per_inference"));
}

static void cell_rows(struct csv *c, const json_t *cell)
{
    size_t i;
    const json_t *e;
    c->layer = doc_text(cell, "layer");
    c->impl = doc_text(cell, "impl");
    value(c, "injections", doc_number(cell, "provenance.injections"));
    value(c, "population", doc_number(cell, "population"));
    value(c, "warp-instructions", doc_number(cell, "instructions.warp"));
    value(c, "thread-instructions", doc_number(cell, "instructions.thread"));
    value(c, "workspace-bytes", doc_number(cell, "workspace_bytes"));
    shares(c, "outcome", NAN, doc_at(cell, "outcomes"));
    shares(c, "due-reason", NAN, doc_at(cell, "due_reasons"));
    json_array_foreach (doc_at(cell, "epsilons"), i, e) {
        double epsilon = doc_number(e, "epsilon");
        row(c, "corrupted", "", epsilon, doc_number(e, "corrupted.n"),
            doc_number(e, "corrupted.share"), doc_number(e, "corrupted.lo"),
            doc_number(e, "corrupted.hi"));
        shares(c, "pattern", epsilon, doc_at(e, "patterns"));
        shares(c, "domain", epsilon, doc_at(e, "domains"));
        row(c, "cardinality", "median", epsilon, NAN, doc_number(e, "median_cardinality"), NAN,
            NAN);
    }
    row(c, "max-abs-error", "median", NAN, NAN, doc_number(cell, "errors.median"),
        doc_number(cell, "errors.q1"), doc_number(cell, "errors.q3"));
    row(c, "max-abs-error", "not-finite", NAN, doc_number(cell, "errors.not_finite"), NAN, NAN,
        NAN);
    estimate(c, "sdc-per-inference", "", doc_at(cell, "sdc_per_inference"));
    effects(c, cell, "direct");
    effects(c, cell, "model");
}

static void ranking_rows(struct csv *c, const char *layer, const json_t *ranking, const char *basis)
{
    size_t i;
    const json_t *e;
    c->layer = layer;
    json_array_foreach (doc_at(ranking, "entries"), i, e) {
        c->impl = doc_text(e, "impl");
        row(c, "rank", basis, NAN, doc_number(e, "rank"), doc_number(e, "value"),
            doc_number(e, "lo"), doc_number(e, "hi"));
        if (doc_at(e, "per_billion_upsets"))
            estimate(c, "per-billion-upsets", basis, doc_at(e, "per_billion_upsets"));
    }
}

int report_csv(const char *path, const json_t *report, struct diag *d)
{
    struct csv c = {0};
    size_t i;
    const json_t *j;
    const char *basis = doc_text(report, "ranking.basis");
    sink_text(&c.s, "layer,implementation,quantity,class,epsilon,count,value,low,high\r\n");
    json_array_foreach (doc_at(report, "cells"), i, j)
        cell_rows(&c, j);
    json_array_foreach (doc_at(report, "ranking.layers"), i, j)
        ranking_rows(&c, doc_text(j, "layer"), j, basis);
    ranking_rows(&c, "", doc_at(report, "ranking.network"), basis);
    json_array_foreach (doc_at(report, "validation.rows"), i, j) {
        c.layer = doc_text(j, "layer");
        c.impl = doc_text(j, "implementation");
        if (doc_at(j, "agreement"))
            row(&c, "agreement", doc_text(j, "source"), NAN, NAN, doc_number(j, "agreement"), NAN,
                NAN);
    }
    int rc = file_write(path, c.s.p, c.s.len, d);
    sink_free(&c.s);
    return rc;
}
