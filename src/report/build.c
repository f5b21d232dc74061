/* Cells -> the document: read each, describe it, let its store go; then rank and summarise. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/priv.h"

/* Pictures of all cells together stay below this, so that the page of a large study stays small. */
enum { PICTURE_BYTES = 900 * 1024 };

static struct contender contender(const struct tally *t, struct arena *a)
{
    const struct store_campaign *c = t->campaign;
    return (struct contender){
        .layer = arena_strdup(a, t->cell.layer),
        .impl = arena_strdup(a, t->cell.impl),
        .campaign = arena_strdup(a, t->cell.campaign),
        .fault = arena_printf(a, "%s (%s population)", c->fault, c->population_kind),
        .shape = arena_strdup(a, c->shape),
        .population = (double)c->population,
        .has_direct = t->direct.known,
        .has_model = t->model.known,
        .sdc = t->share[OUTCOME_SDC],
        .direct = t->direct.given_fault,
        .model = t->model.given_fault,
    };
}

struct building {
    const struct report_input *in;
    double confidence;
    json_t *cells, *sources;
    struct arena *a;
};

static int add_cell(struct building *b, struct contender *c, const struct report_cell *cell,
                    struct diag *d)
{
    struct tally t;
    json_t *pictures = NULL;
    int rc = tally_read(&t, cell, b->confidence, b->a, d);
    if (rc == OK)
        rc = picture_cell(&pictures, &t, PICTURE_BYTES / b->in->n_cells, d);
    if (rc == OK) {
        json_t *o = cell_json(&t, b->confidence);
        json_object_set_new(o, "lines", lines_json(&t, b->in->sources, b->sources));
        json_object_set_new(o, "pictures", pictures);
        json_array_append_new(b->cells, o);
        *c = contender(&t, b->a);
    }
    tally_fini(&t);
    return rc;
}

/* The words that occur in the document, with what they mean. */
static json_t *words(void)
{
    static const struct {
        const char *name;
        const struct vocab *v;
    } tables[] = {{"outcomes", &vocab_outcomes}, {"traps", &vocab_traps},
                  {"patterns", &vocab_patterns}, {"values", &vocab_values},
                  {"effects", &vocab_effects},   {"groups", &vocab_wheres},
                  {"flips", &vocab_flips},       {"scopes", &vocab_scopes}};
    json_t *o = json_object();
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        json_t *table = json_object();
        for (size_t w = 0; w < tables[i].v->n; w++)
            json_object_set_new(table, tables[i].v->words[w].word,
                                json_string(tables[i].v->words[w].help));
        json_object_set_new(o, tables[i].name, table);
    }
    return o;
}

static json_t *skipped(const struct report_input *in)
{
    json_t *list = json_array();
    for (size_t i = 0; i < in->n_skipped; i++)
        json_array_append_new(list,
                              json_pack("{s:o, s:o, s:o}", "layer", json_text(in->skipped[i].layer),
                                        "impl", json_text(in->skipped[i].impl), "reason",
                                        json_text(in->skipped[i].reason)));
    return list;
}

static json_t *texts(const char *const *list)
{
    json_t *array = json_array();
    for (; list && *list; list++)
        json_array_append_new(array, json_text(*list));
    return array;
}

static json_t *head(const struct report_input *in, double confidence)
{
    return json_pack("{s:s, s:i, s:s, s:{s:s, s:s, s:s}, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                     "format", "sievert-report", "version", 1, "sievert", SIEVERT_VERSION,
                     "versions", "compiler", SIEVERT_COMPILER, "kernels", SIEVERT_KERNEL_COMPILER,
                     "onednn", SIEVERT_ONEDNN, "title",
                     json_text(in->title ? in->title : "Sievert report"), "network",
                     in->network ? json_text(in->network) : json_null(), "dataset",
                     in->dataset ? json_text(in->dataset) : json_null(), "golden_accuracy",
                     json_number(in->golden_accuracy), "confidence", json_number(confidence),
                     "commands", texts(in->commands), "cell_commands", texts(in->cell_commands));
}

int report_build(json_t **out, const struct report_input *in, struct diag *d)
{
    double confidence = in->confidence == 0 ? 0.95 : in->confidence;
    if (!(confidence > 0 && confidence < 1))
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                         "confidence %g: must lie between 0 and 1, as 0.95", confidence);
    if (in->n_cells == 0)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "nothing to report: no campaigns were given");
    struct arena a = {0};
    struct contender *c = arena_array(&a, in->n_cells, sizeof *c);
    struct building b = {in, confidence, json_array(), json_array(), &a};
    json_t *rank = NULL;
    int rc = OK;
    for (size_t i = 0; i < in->n_cells && rc == OK; i++)
        rc = add_cell(&b, &c[i], &in->cells[i], d);
    if (rc == OK)
        rc = rank_cells(&rank, c, in->n_cells, confidence, d);
    if (rc == OK) {
        *out = head(in, confidence);
        json_object_set(*out, "cells", b.cells);
        json_object_set_new(*out, "skipped", skipped(in));
        json_object_set(*out, "sources", b.sources);
        json_object_set(*out, "ranking", rank);
        json_object_set_new(*out, "validation",
                            in->validation ? json_deep_copy(in->validation) : json_null());
        json_object_set_new(*out, "summary", summarise(*out));
        json_object_set_new(*out, "picture_scale", picture_scale());
        json_object_set_new(*out, "words", words());
    }
    json_decref(b.cells);
    json_decref(b.sources);
    json_decref(rank);
    arena_fini(&a);
    return rc;
}

/* What makes a campaign's store again, for the document's cell_commands, or NULL. */
static const char *campaign_command(const char *path, struct arena *a,
                                    const struct report_sources *from)
{
    struct store *s;
    struct diag ignored = {0};
    if (!from || !from->command || store_open(&s, path, false, &ignored) != OK)
        return NULL; /* building the report will say why */
    const struct store_campaign *c = store_campaign(s);
    const char *command = c ? from->command(from->ctx, c) : NULL;
    command = command ? arena_printf(a, "%s -o {store}", command) : NULL;
    store_close(s, &ignored);
    return command;
}

int report_campaign(json_t **out, const char *store, double confidence,
                    const struct report_sources *sources, struct diag *d)
{
    struct arena a = {0};
    const char *each[] = {campaign_command(store, &a, sources), NULL};
    struct report_cell cell = {.campaign = store};
    const char *commands[] = {arena_printf(&a, "sievert report %s", report_shell_word(&a, store)),
                              NULL};
    struct report_input in = {
        .title = store,
        .golden_accuracy = NAN,
        .confidence = confidence,
        .commands = commands,
        .cell_commands = each,
        .n_cells = 1,
        .cells = &cell,
        .sources = sources,
    };
    int rc = report_build(out, &in, d);
    arena_fini(&a);
    return rc;
}

int report_write_json(const char *path, const json_t *report, struct diag *d)
{
    char *text = json_dumps(report, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    if (!text)
        return diag_fail(d, ERR_NOMEM, (struct loc){.file = path}, "out of memory");
    struct sink s = {0};
    sink_text(&s, text);
    sink_text(&s, "\n");
    int rc = file_write(path, s.p, s.len, d);
    sink_free(&s);
    free(text);
    return rc;
}
