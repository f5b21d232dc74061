/* A study's folder -> report.json, report.csv, report.html. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "nn/nn.h"
#include "report/report.h"
#include "study/config.h"
#include "study/study.h"

/* Share of the images that errors are simulated on which the network gets right without faults; unknown if its
 * answer is not one of a list. */
static int golden_accuracy(double *out, const struct study_config *c, struct diag *d)
{
    struct arena a = {0};
    struct nn *net = NULL;
    struct dataset data;
    struct tensor shape;
    int rc = dataset_load(&data, &a, c->dataset, (size_t)c->images, d);
    if (rc == OK)
        rc = nn_load(&net, c->network, 1, d);
    size_t right = 0;
    if (rc == OK) {
        nn_output_dims(net, &shape);
        size_t classes = tensor_elems(&shape);
        bool list = true;
        for (int k = 2; k < shape.rank; k++)
            list = list && shape.dim[k] == 1;
        float *scores = arena_array(&a, classes, sizeof *scores);
        for (size_t i = 0; rc == OK && i < data.n; i++) {
            size_t best = 0;
            rc = nn_run(net, data.images + i * data.c * data.h * data.w, scores, d);
            for (size_t k = 1; k < classes; k++)
                best = scores[k] > scores[best] ? k : best;
            right += best == data.labels[i];
        }
        *out = list ? (double)right / (double)data.n : (double)NAN;
    }
    nn_free(net);
    arena_fini(&a);
    return rc;
}

static const char *path_in(struct arena *a, const char *folder, const json_t *cell, const char *key)
{
    const char *name = json_string_value(json_object_get(cell, key));
    return name ? arena_printf(a, "%s/%s", folder, name) : NULL;
}

static const char *const *commands(struct arena *a, const char *config, const char *folder)
{
    const char **list = arena_array(a, 3, sizeof *list);
    folder = report_shell_word(a, folder);
    list[0] = arena_printf(a, "sievert study %s -o %s", report_shell_word(a, config), folder);
    list[1] = arena_printf(a, "sievert report %s", folder);
    return list;
}

/* The shortest decimal that is read as x again. */
static const char *decimal(struct arena *a, double x)
{
    char *text = arena_printf(a, "%.15g", x);
    return strtod(text, NULL) == x ? text : arena_printf(a, "%.17g", x);
}

/* What a study does for one cell, as single commands. */
static const char *const *cell_commands(struct arena *a, const struct study_config *c)
{
    const char **list = arena_array(a, 5, sizeof *list);
    const char *network = report_shell_word(a, c->network),
               *data = report_shell_word(a, c->dataset);
    const char *epsilon = decimal(a, c->epsilon);
    double epsilons[3];
    config_epsilons(epsilons, c);
    const char *simulate = arena_printf(
        a, "sievert simulate --onnx %s --data %s --layer {layer} -n %llu --images %llu --seed %llu",
        network, data, (unsigned long long)c->errors, (unsigned long long)c->images,
        (unsigned long long)c->seed);
    list[0] = arena_printf(
        a,
        "sievert inject --impl {impl} --onnx %s --data %s --layer {layer} --image %llu --fault %s "
        "--eps 0,1e-6,%s -n %llu --seed %llu -o {store}",
        network, data, (unsigned long long)c->image, report_shell_word(a, c->fault),
        decimal(a, epsilons[2]), (unsigned long long)c->injections, (unsigned long long)c->seed);
    list[1] = arena_printf(a, "sievert model build {store} --eps %s -o {model}", epsilon);
    list[2] = arena_printf(a, "%s --campaign {store} -o {sim_direct}", simulate);
    list[3] = arena_printf(a, "%s --model {model} -o {sim_model}", simulate);
    return list;
}

static int write_reports(struct arena *a, const char *folder, const struct report_input *in,
                         struct diag *d)
{
    json_t *doc;
    int rc = report_build(&doc, in, d);
    if (rc != OK)
        return rc;
    rc = report_write_json(arena_printf(a, "%s/report.json", folder), doc, d);
    if (rc == OK)
        rc = report_csv(arena_printf(a, "%s/report.csv", folder), doc, d);
    if (rc == OK)
        rc = report_html(arena_printf(a, "%s/report.html", folder), doc, d);
    json_decref(doc);
    return rc;
}

static void read_skipped(struct report_input *in, struct arena *a, const json_t *rows)
{
    in->n_skipped = json_array_size(rows);
    struct report_skip *list = arena_array(a, in->n_skipped, sizeof *list);
    for (size_t i = 0; i < in->n_skipped; i++) {
        const json_t *row = json_array_get(rows, i);
        list[i] = (struct report_skip){json_string_value(json_object_get(row, "layer")),
                                       json_string_value(json_object_get(row, "implementation")),
                                       json_string_value(json_object_get(row, "reason"))};
    }
    in->skipped = list;
}

int study_report(const char *folder, struct diag *d)
{
    struct arena a = {0};
    struct study_config config;
    json_t *validation = NULL;
    json_error_t error;
    const char *path = arena_printf(&a, "%s/study.json", folder);
    int rc = OK;
    json_t *manifest = json_load_file(path, 0, &error);
    if (!manifest) {
        rc = diag_fail(d, ERR_INPUT, (struct loc){path, error.line > 0 ? error.line : 0, 0},
                       "not a study's folder: %s", error.text);
        goto out;
    }
    rc = config_from_json(&config, &a, json_object_get(manifest, "config"), path, d);
    if (rc != OK)
        goto out;

    const json_t *rows = json_object_get(manifest, "cells");
    const struct report_sources sources = study_sources(&a);
    const char *config_file = json_string_value(json_object_get(manifest, "config_file"));
    struct report_input in = {
        .title = config.title,
        .network = config.network,
        .dataset = config.dataset,
        .commands = commands(&a, config_file ? config_file : "STUDY.yaml", folder),
        .cell_commands = config.images_per_class ? NULL : cell_commands(&a, &config),
        .n_cells = json_array_size(rows),
        .sources = &sources,
    };
    struct report_cell *cells = arena_array(&a, in.n_cells, sizeof *cells);
    for (size_t i = 0; i < in.n_cells; i++) {
        const json_t *row = json_array_get(rows, i);
        cells[i] = (struct report_cell){
            .layer = json_string_value(json_object_get(row, "layer")),
            .impl = json_string_value(json_object_get(row, "implementation")),
            .campaign = path_in(&a, folder, row, "campaign"),
            .model = path_in(&a, folder, row, "model"),
            .sim_direct = path_in(&a, folder, row, "direct"),
            .sim_model = path_in(&a, folder, row, "by_model"),
        };
        if (!cells[i].layer || !cells[i].impl || !cells[i].campaign) {
            rc = diag_fail(d, ERR_INPUT, (struct loc){.file = path}, "cell %zu is incomplete", i);
            goto out;
        }
    }
    in.cells = cells;
    read_skipped(&in, &a, json_object_get(manifest, "skipped"));
    validation = json_load_file(arena_printf(&a, "%s/validation.json", folder), 0, NULL);
    in.validation = validation;
    rc = golden_accuracy(&in.golden_accuracy, &config, d);
    if (rc == OK)
        rc = write_reports(&a, folder, &in, d);
out:
    json_decref(validation);
    json_decref(manifest);
    arena_fini(&a);
    return rc;
}
