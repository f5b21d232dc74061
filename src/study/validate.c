/* A study's folder -> how far each model can be trusted: for each layer and implementation the campaign's
 * own faulty tensors, its model, the same model as the CLASSES tools would read it, and the baselines. */
#include "simulate/validate.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "study/config.h"
#include "study/study.h"

struct job {
    struct arena *arena;
    const struct sim_options *base; /* all but the layer and where errors come from */
    json_t *rows;
    double sum[8]; /* of agreements, by source in order of first appearance */
    uint64_t n[8];
    const char *source[8];
    size_t n_sources;
};

/* The model without what is ours alone, in a file of its own. */
static int classes_form(const char **out, struct job *j, const char *model, struct diag *d)
{
    json_error_t error;
    json_t *root = json_load_file(model, 0, &error);
    if (!root)
        return diag_fail(d, ERR_INPUT, (struct loc){model, error.line > 0 ? error.line : 0, 0},
                         "%s", error.text);
    json_object_del(root, "_sievert");
    char *text = json_dumps(root, JSON_REAL_PRECISION(17));
    *out = arena_printf(j->arena, "%s.classes.tmp", model);
    int rc = file_write(*out, text, strlen(text), d);
    free(text);
    json_decref(root);
    return rc;
}

static json_t *interval_json(struct interval i) { return json_pack("[ff]", i.lo, i.hi); }

static void add_row(struct job *j, const char *layer, const char *impl, const char *source,
                    const struct effect_shares *s, const struct agreement *a)
{
    json_t *row = json_pack("{s:s, s:s, s:s, s:I}", "layer", layer, "implementation", impl,
                            "source", source, "errors", (json_int_t)s->n);
    for (int e = 0; e < N_EFFECTS; e++) {
        json_t *what = json_pack("{s:f, s:o}", "share", s->share[e], "interval",
                                 interval_json(s->interval[e]));
        if (a) {
            json_object_set_new(what, "difference", json_real(a->difference[e]));
            json_object_set_new(what, "difference_interval", interval_json(a->interval[e]));
        }
        json_object_set_new(row, vocab_word(&vocab_effects, e), what);
    }
    if (a) {
        json_object_set_new(row, "agreement", json_real(a->agreement));
        size_t k = 0;
        while (k < j->n_sources && strcmp(j->source[k], source) != 0)
            k++;
        j->n_sources = k == j->n_sources ? k + 1 : j->n_sources;
        j->source[k] = source;
        j->sum[k] += a->agreement;
        j->n[k]++;
    }
    json_array_append_new(j->rows, row);
}

/* One source of errors, compared with the truth if there is one already. */
static int one_source(struct job *j, const struct sim_options *o, const char *impl,
                      const char *source, struct effect_shares *truth, struct diag *d)
{
    struct effect_shares s;
    int rc = validate_shares(&s, o, d);
    if (rc != OK)
        return rc;
    if (o->campaign) {
        *truth = s;
        add_row(j, o->layer, impl, source, &s, NULL);
    } else {
        struct agreement a = validate_compare(truth, &s);
        add_row(j, o->layer, impl, source, &s, &a);
    }
    return OK;
}

static int one_cell(struct job *j, const struct study_cell *c, struct diag *d)
{
    struct effect_shares truth;
    struct sim_options o = *j->base;
    const char *classes = NULL;
    o.layer = c->layer;
    o.campaign = c->campaign;
    int rc = one_source(j, &o, c->impl, "truth", &truth, d);
    o.campaign = NULL;
    if (rc == OK && c->model) {
        o.model = c->model;
        rc = one_source(j, &o, c->impl, "model", &truth, d);
        if (rc == OK)
            rc = classes_form(&classes, j, c->model, d);
        o.model = classes;
        if (rc == OK)
            rc = one_source(j, &o, c->impl, "classes", &truth, d);
        if (classes)
            unlink(classes);
    }
    o.model = NULL;
    for (size_t k = 0; rc == OK && k < simulate_n_baselines(); k++) {
        o.baseline = simulate_baseline(k)->name;
        rc = one_source(j, &o, c->impl, o.baseline, &truth, d);
    }
    return rc;
}

int study_validate_cells(json_t **out, const struct sim_options *base, size_t n,
                         const struct study_cell *cells, struct diag *d)
{
    struct arena a = {0};
    struct job j = {.arena = &a, .base = base, .rows = json_array()};
    int rc = OK;
    for (size_t k = 0; rc == OK && k < n; k++)
        rc = one_cell(&j, &cells[k], d);
    if (rc == OK) {
        json_t *means = json_object();
        for (size_t k = 0; k < j.n_sources; k++)
            json_object_set_new(means, j.source[k], json_real(j.sum[k] / (double)j.n[k]));
        *out = json_pack("{s:s, s:I, s:I, s:I, s:O, s:o}", "network", base->network, "errors",
                         (json_int_t)base->n, "images", (json_int_t)base->images, "seed",
                         (json_int_t)base->seed, "rows", j.rows, "mean_agreement", means);
    }
    json_decref(j.rows);
    arena_fini(&a);
    return rc;
}

static const char *path_in(struct arena *a, const char *folder, const json_t *row, const char *key)
{
    const char *name = json_string_value(json_object_get(row, key));
    return name ? arena_printf(a, "%s/%s", folder, name) : NULL;
}

int study_validate(json_t **out, const char *folder, const struct sim_options *options,
                   struct diag *d)
{
    struct arena a = {0};
    struct study_config config;
    json_error_t error;
    const char *path = arena_printf(&a, "%s/study.json", folder);
    json_t *manifest = json_load_file(path, 0, &error);
    int rc = OK;
    if (!manifest)
        rc = diag_fail(d, ERR_INPUT, (struct loc){path, error.line > 0 ? error.line : 0, 0},
                       "not a study's folder: %s", error.text);
    if (rc == OK)
        rc = config_from_json(&config, &a, json_object_get(manifest, "config"), path, d);
    if (rc == OK) {
        const json_t *rows = json_object_get(manifest, "cells");
        size_t n = 0;
        struct study_cell *cells = arena_array(&a, json_array_size(rows), sizeof *cells);
        for (size_t k = 0; k < json_array_size(rows); k++) {
            const json_t *row = json_array_get(rows, k);
            struct study_cell c = {json_string_value(json_object_get(row, "layer")),
                                   json_string_value(json_object_get(row, "implementation")),
                                   path_in(&a, folder, row, "campaign"),
                                   path_in(&a, folder, row, "model")};
            if (c.layer && c.impl && c.campaign && path_in(&a, folder, row, "direct"))
                cells[n++] = c; /* the others have no faulty tensor to compare with */
        }
        struct sim_options o = *options;
        o.network = config.network;
        o.dataset = config.dataset;
        rc = n > 0 ? study_validate_cells(out, &o, n, cells, d)
                   : diag_fail(d, ERR_INPUT, (struct loc){.file = path},
                               "no campaign of this study has a faulty tensor");
    }
    json_decref(manifest);
    arena_fini(&a);
    return rc;
}
