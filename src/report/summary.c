/* The document -> the few sentences on top: which implementation, how sure, what it costs. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/doc.h"
#include "report/priv.h"

static void say(struct sink *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct sink *s, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    sink_text(s, text);
}

static void finish(json_t *list, struct sink *s)
{
    if (s->len)
        json_array_append_new(list, json_text(s->p));
    sink_free(s);
}

/* "a", "a and b", "a, b and c" */
static void join(struct sink *s, const json_t *const *entries, size_t n)
{
    for (size_t i = 0; i < n; i++)
        say(s, "%s%s", i == 0 ? "" : i + 1 == n ? " and " : ", ", doc_text(entries[i], "impl"));
}

/* Of the entries, those of a rank, at most max; returns how many there are. */
static size_t of_rank(const json_t *entries, int rank, const json_t **out, size_t max)
{
    size_t i, n = 0;
    const json_t *e;
    json_array_foreach (entries, i, e) {
        if (json_integer_value(json_object_get(e, "rank")) != rank)
            continue;
        if (n < max)
            out[n] = e;
        n++;
    }
    return n;
}

enum { MOST = 64, MANY = 6 }; /* more than MANY are counted, not named */

static void headline(struct sink *s, const json_t *ranking)
{
    const json_t *entries = doc_at(ranking, "network.entries"), *first[MOST];
    size_t n = json_array_size(entries), tied = of_rank(entries, 1, first, MOST);
    bool critical = strcmp(doc_text(ranking, "basis"), "SDC") != 0;
    char times[DOC_NUMBER];
    if (n < 2) {
        say(s, "One implementation was measured: there is nothing to rank.");
        return;
    }
    if (tied == n) {
        say(s, "No significant difference among the %zu implementations.", n);
        return;
    }
    tied = tied > MOST ? MOST : tied;
    if (tied > 1) {
        say(s, "No significant difference between ");
        if (tied > MANY) {
            for (size_t i = 0; i < 3; i++)
                say(s, "%s%s", i ? ", " : "", doc_text(first[i], "impl"));
            say(s, " and %zu others", tied - 3);
        } else {
            join(s, first, tied);
        }
        say(s, ", the safest of %zu implementations.", n);
        return;
    }
    const json_t *next = json_array_get(entries, 1);
    say(s, "%s is the safest of %zu implementations: ", doc_text(first[0], "impl"), n);
    if (isfinite(doc_number(next, "relative")))
        say(s, "%s, the next, has %s as many %s per inference.", doc_text(next, "impl"),
            doc_times(times, doc_number(next, "relative")),
            critical ? "critical failures" : "silent data corruptions");
    else
        say(s, "significantly fewer %s per inference than any other.",
            critical ? "critical failures" : "silent data corruptions");
}

static void how_sure(struct sink *s, const json_t *report)
{
    size_t i;
    const json_t *cell, *cells = doc_at(report, "cells");
    double injections = 0, direct = 0, model = 0;
    char n1[DOC_NUMBER], n2[DOC_NUMBER], n3[DOC_NUMBER];
    json_array_foreach (cells, i, cell) {
        double d = doc_number(cell, "critical.direct.trials");
        double m = doc_number(cell, "critical.model.trials");
        injections += doc_number(cell, "provenance.injections");
        direct += isfinite(d) ? d : 0;
        model += isfinite(m) ? m : 0;
    }
    if (json_is_true(doc_at(json_array_get(cells, 0), "provenance.exhaustive"))) {
        say(s, "How sure: all %s faults were tried, so there is no sampling error.",
            doc_count(n1, injections));
        return;
    }
    say(s, "How sure: %s injections", doc_count(n1, injections));
    if (direct + model > 0)
        say(s, "; %s trials of their errors and %s of errors drawn from models in the network",
            doc_count(n2, direct), doc_count(n3, model));
    say(s, "; intervals at %g %%; differences count as significant only after Holm's correction.",
        100 * doc_number(report, "confidence"));
    const json_t *entries = doc_at(report, "ranking.network.entries");
    if (json_array_size(doc_at(json_array_get(entries, 0), "ties")) > 0)
        say(s, " Four times as many injections would halve the intervals.");
}

struct cost {
    const char *impl;
    double instructions, workspace; /* sum and maximum over its layers */
};

static void add_cost(struct cost *c, const json_t *report, const char *impl)
{
    size_t i;
    const json_t *cell, *cells = doc_at(report, "cells");
    *c = (struct cost){.impl = impl};
    json_array_foreach (cells, i, cell) {
        if (strcmp(doc_text(cell, "impl"), impl) != 0)
            continue;
        c->instructions += doc_number(cell, "instructions.thread");
        c->workspace = fmax(c->workspace, doc_number(cell, "workspace_bytes"));
    }
}

static void what_it_costs(struct sink *s, const json_t *report)
{
    const json_t *entries = doc_at(report, "ranking.network.entries");
    size_t n = json_array_size(entries);
    struct cost safest = {0}, cheapest = {0};
    char a[DOC_NUMBER], b[DOC_NUMBER], t[DOC_NUMBER];
    if (n < 2)
        return;
    for (size_t i = 0; i < n; i++) {
        struct cost c;
        add_cost(&c, report, doc_text(json_array_get(entries, i), "impl"));
        if (i == 0)
            safest = c;
        if (i == 0 || c.instructions < cheapest.instructions)
            cheapest = c;
    }
    say(s, "What it costs: %s executes %s instructions per inference", safest.impl,
        doc_amount(a, safest.instructions));
    if (safest.impl == cheapest.impl)
        say(s, ", the fewest of all,");
    else
        say(s, ", %s those of %s,", doc_times(t, safest.instructions / cheapest.instructions),
            cheapest.impl);
    if (safest.workspace > 0)
        say(s, " and needs %s of workspace.", doc_bytes(b, safest.workspace));
    else
        say(s, " and needs no workspace.");
}

/* The layer that contributes most to the safest implementation's failures. */
static void where(struct sink *s, const json_t *report)
{
    size_t i, k;
    const json_t *layer, *e, *layers = doc_at(report, "ranking.layers");
    const json_t *best = json_array_get(doc_at(report, "ranking.network.entries"), 0);
    double total = doc_number(best, "value"), most = 0;
    const char *name = "";
    char p[DOC_NUMBER];
    if (json_array_size(layers) < 2 || !(total > 0))
        return;
    json_array_foreach (layers, i, layer)
        json_array_foreach (doc_at(layer, "entries"), k, e)
            if (strcmp(doc_text(e, "impl"), doc_text(best, "impl")) == 0 &&
                doc_number(e, "value") > most) {
                most = doc_number(e, "value");
                name = doc_text(layer, "layer");
            }
    say(s, "Where: layer %s contributes %s of what %s suffers.", name, doc_percent(p, most / total),
        doc_text(best, "impl"));
}

/* Whether the errors of the models do what the injections' own do. */
static void models(struct sink *s, const json_t *report)
{
    size_t i, n = 0, differ = 0;
    const json_t *cell;
    double alpha = doc_number(report, "ranking.alpha");
    json_array_foreach (doc_at(report, "cells"), i, cell) {
        double p = doc_number(cell, "critical.difference.p");
        n += isfinite(p) ? 1 : 0;
        differ += isfinite(p) && p <= alpha;
    }
    if (n > 0 && differ == 0)
        say(s,
            "Models: errors drawn from them change the answer as often as the injections' own "
            "errors; no "
            "significant difference in any of %zu cases.",
            n);
    else if (n > 0)
        say(s,
            "Models: errors drawn from them change the answer significantly more or less often "
            "than the "
            "injections' own errors in %zu of %zu cases.",
            differ, n);
}

/* The safest of each layer, where there are several. */
static void best_by_layer(struct sink *s, const json_t *layers)
{
    size_t i;
    const json_t *layer;
    json_array_foreach (layers, i, layer) {
        const json_t *best = json_array_get(doc_at(layer, "entries"), 0);
        const bool alone = json_array_size(doc_at(best, "ties")) == 0;
        if (json_array_size(doc_at(layer, "entries")) < 2)
            continue;
        say(s, "%s%s %s%s", s->len ? ", " : "Best by layer: ", doc_text(layer, "layer"),
            doc_text(best, "impl"), alone ? "" : " (not significantly)");
    }
}

/* For many layers: which implementation is the safest of how many, in the order of the ranking. */
static void count_by_layer(struct sink *s, const json_t *report, const json_t *layers)
{
    size_t i, k;
    const json_t *e, *layer;
    json_array_foreach (doc_at(report, "ranking.network.entries"), k, e) {
        size_t n = 0, alone = 0;
        json_array_foreach (layers, i, layer) {
            const json_t *best = json_array_get(doc_at(layer, "entries"), 0);
            bool is = strcmp(doc_text(best, "impl"), doc_text(e, "impl")) == 0;
            n += is;
            alone += is && json_array_size(doc_at(best, "ties")) == 0;
        }
        if (n > 0)
            say(s, "%s%s on %zu of %zu (significantly on %zu)",
                s->len ? ", " : "Best by layer: ", doc_text(e, "impl"), n, json_array_size(layers),
                alone);
    }
}

static void by_layer(struct sink *s, const json_t *report)
{
    const json_t *layers = doc_at(report, "ranking.layers");
    if (json_array_size(layers) <= MANY)
        best_by_layer(s, layers);
    else
        count_by_layer(s, report, layers);
    if (s->len)
        say(s, ".");
}

static void partial(struct sink *s, const json_t *report)
{
    size_t i;
    const json_t *impl, *list = doc_at(report, "ranking.network.partial");
    json_array_foreach (list, i, impl)
        say(s, "%s%s", i ? ", " : "Measured on some layers only, so not ranked over the network: ",
            json_string_value(impl));
    if (s->len)
        say(s, ".");
}

/* Whether two were left out for the same reason; layers may be several. */
static bool alike(const json_t *x, const json_t *y)
{
    return strcmp(doc_text(x, "impl"), doc_text(y, "impl")) == 0 &&
           strcmp(doc_text(x, "reason"), doc_text(y, "reason")) == 0;
}

static void skipped(struct sink *s, const json_t *report)
{
    size_t i, k;
    const json_t *skip, *other, *list = doc_at(report, "skipped");
    json_array_foreach (list, i, skip) {
        size_t before = 0, n = 0;
        json_array_foreach (list, k, other) {
            before += k < i && alike(skip, other);
            n += alike(skip, other);
        }
        if (before > 0)
            continue;
        say(s, "%s", s->len ? "; " : "Not computed: ");
        if (n > 1)
            say(s, "%zu layers", n);
        else
            say(s, "%s", doc_text(skip, "layer"));
        say(s, " by %s (%s)", doc_text(skip, "impl"), doc_text(skip, "reason"));
    }
    if (s->len)
        say(s, ".");
}

json_t *summarise(const json_t *report)
{
    struct sink s = {0};
    json_t *points = json_array(), *first = json_array();
    headline(&s, doc_at(report, "ranking"));
    finish(first, &s);
    how_sure(&s, report);
    finish(points, &s);
    what_it_costs(&s, report);
    finish(points, &s);
    where(&s, report);
    finish(points, &s);
    models(&s, report);
    finish(points, &s);
    by_layer(&s, report);
    finish(points, &s);
    partial(&s, report);
    finish(points, &s);
    skipped(&s, report);
    finish(points, &s);
    json_t *o = json_object();
    json_object_set(o, "headline", json_array_get(first, 0));
    json_object_set_new(o, "points", points);
    json_decref(first);
    return o;
}
