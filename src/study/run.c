/* The study as a list of steps; each leaves a file and is skipped when that is there and whole. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "campaign/campaign.h"
#include "nn/nn.h"
#include "report/report.h"
#include "simulate/simulate.h"
#include "store/store.h"
#include "study/config.h"
#include "study/stack.h"
#include "study/study.h"

/* Expected cost of one injection relative to one simulated error; only the time left depends on it. */
static const double INJECTION_COST = 10;

struct cell { /* one layer computed by one implementation, and its files */
    const struct study_layer *layer;
    const struct conv_impl *impl;
    const char *campaign, *model, *direct, *by_model;
};

struct study {
    const struct study_options *options;
    json_t *skipped; /* what an implementation cannot compute: layer, implementation, reason */
    struct arena arena;
    struct study_config config;
    size_t n_cells, n_images;
    struct cell *cells;
    uint64_t *images; /* whose activations the layers get */
    struct study_progress progress;
    double begin, step_begin, work_done, work_total, step_work;
};

/* ---- Progress -------------------------------------------------------------------------------- */

static void step_begin(struct study *s, const struct cell *c, const char *what, double work)
{
    s->progress.step = arena_printf(&s->arena, "%s %s: %s", c->layer->name, c->impl->name, what);
    s->step_begin = clock_seconds();
    s->step_work = work;
}

static void step_progress(struct study *s, uint64_t done, uint64_t planned)
{
    struct study_progress *p = &s->progress;
    double now = clock_seconds();
    p->done = done;
    p->planned = planned;
    p->seconds = now - s->begin;
    p->step_seconds = now - s->step_begin;
    double part = planned ? (double)done / (double)planned : 1;
    p->fraction = (s->work_done + part * s->step_work) / s->work_total;
    if (s->options->progress)
        s->options->progress(s->options->progress_ctx, p);
}

static void step_end(struct study *s) { s->work_done += s->step_work; }

static void on_campaign(void *ctx, const struct progress *p)
{
    step_progress(ctx, p->done, p->planned);
}

static void on_simulation(void *ctx, const struct sim_progress *p)
{
    step_progress(ctx, p->done, p->planned);
}

/* ---- Steps ----------------------------------------------------------------------------------- */

static bool exists(const char *path) { return access(path, F_OK) == 0; }

/* As `sievert inject --onnx` has it: docs/FORMATS.md. */
static const char *made_text(struct arena *a, const struct study *s, const char *layer,
                             uint64_t image)
{
    json_t *doc = json_pack("{s:s, s:s, s:s}", "onnx", s->config.network, "layer", layer, "data",
                            s->config.dataset);
    if (image)
        json_object_set_new(doc, "image", json_string(arena_printf(a, "%" PRIu64, image)));
    char *text = json_dumps(doc, JSON_COMPACT);
    const char *made = arena_strdup(a, text ? text : "");
    free(text);
    json_decref(doc);
    return made;
}

/* Injections first to end - 1 on one image's activations. */
static int inject_image(struct study *s, const struct cell *c, uint64_t image, uint64_t first,
                        uint64_t end, const char *path, struct diag *d)
{
    struct arena a = {0};
    struct study_layer layer;
    struct conv_program p;
    double epsilons[3];
    config_epsilons(epsilons, &s->config);
    struct campaign_options o = {
        .seed = s->config.seed,
        .n_epsilons = sizeof epsilons / sizeof *epsilons,
        .epsilons = epsilons,
        .first = first,
        .n = end,
        .jobs = s->options->jobs,
        .layer = c->layer->name,
        .progress = on_campaign,
        .progress_ctx = s,
        .stop = s->options->stop,
    };
    step_begin(s, c, "injections", INJECTION_COST * (double)(end - first));
    int rc = fault_kind_parse(&o.kind, s->config.fault, d);
    if (rc == OK)
        rc =
            study_layer(&layer, &a, s->config.network, s->config.dataset, c->layer->name, image, d);
    if (rc == OK)
        rc = conv_prepare(&p, &a, &c->layer->problem, c->impl, NULL, layer.input, layer.filter, d);
    if (rc == OK) {
        o.made = made_text(&a, s, c->layer->name, image);
        rc = campaign_run(path, &p, layer.input, layer.filter, &o, d);
        conv_program_fini(&p);
    }
    arena_fini(&a);
    step_end(s);
    return rc;
}

/* On several images: a campaign for each, its share of the injections, and one store of all of them. */
static int inject_cell(struct study *s, const struct cell *c, struct diag *d)
{
    size_t n = s->n_images;
    uint64_t all = s->config.injections;
    if (n == 1)
        return inject_image(s, c, s->images[0], 0, all, c->campaign, d);
    if (exists(c->campaign))
        return OK;
    const char **parts = arena_array(&s->arena, n, sizeof *parts);
    const char *whole = arena_printf(&s->arena, "%s.part", c->campaign);
    int rc = OK;
    for (size_t k = 0; rc == OK && k < n; k++) {
        parts[k] =
            arena_printf(&s->arena, "%.*s.%zu.db", (int)strlen(c->campaign) - 3, c->campaign, k);
        rc = inject_image(s, c, s->images[k], all * k / n, all * (k + 1) / n, parts[k], d);
    }
    if (rc == OK && unlink(whole) != 0 && errno != ENOENT)
        rc = diag_fail(d, ERR_IO, (struct loc){.file = whole}, "cannot remove: %m");
    if (rc == OK)
        rc = stack_campaigns(whole, n, parts, d);
    if (rc == OK && rename(whole, c->campaign) != 0)
        rc = diag_fail(d, ERR_IO, (struct loc){.file = c->campaign}, "cannot write: %m");
    return rc;
}

/* A campaign without enough SDCs has no model: not a failure of the study. */
static int model_cell(struct study *s, struct cell *c, struct diag *d)
{
    struct arena a = {0};
    struct model *m;
    struct diag why = {0};
    int rc = OK;
    if (study_model(&m, &a, c->campaign, s->config.epsilon, false, &why) == OK)
        rc = model_save(m, c->model, d);
    else
        c->model = c->by_model = NULL;
    arena_fini(&a);
    return rc;
}

static int count_sdc(void *ctx, const struct store_injection *i)
{
    *(uint64_t *)ctx += i->outcome == OUTCOME_SDC;
    return 0;
}

static int has_sdc(bool *out, const char *path, struct diag *d)
{
    struct store *store;
    uint64_t n = 0;
    int rc = store_open(&store, path, false, d);
    if (rc != OK)
        return rc;
    rc = store_each(store, false, count_sdc, &n, d);
    store_close(store, d);
    *out = n > 0;
    return rc;
}

/* Under another name until it is whole, so that a store that is there is complete. */
static int simulate_to(struct study *s, const char *path, struct sim_options *o, struct diag *d)
{
    const char *part = arena_printf(&s->arena, "%s.part", path);
    if (exists(path))
        return OK;
    if (unlink(part) != 0 && errno != ENOENT)
        return diag_fail(d, ERR_IO, (struct loc){.file = part}, "cannot remove: %m");
    int rc = simulate_run(part, o, d);
    if (rc == OK && rename(part, path) != 0)
        rc = diag_fail(d, ERR_IO, (struct loc){.file = path}, "cannot write: %m");
    return rc;
}

static int simulate_cell(struct study *s, const struct cell *c, bool direct, struct diag *d)
{
    const char *path = direct ? c->direct : c->by_model;
    struct sim_options o = {
        .network = s->config.network,
        .dataset = s->config.dataset,
        .layer = c->layer->name,
        .model = direct ? NULL : c->model,
        .campaign = direct ? c->campaign : NULL,
        .impl = c->impl->name,
        .seed = s->config.seed,
        .n = s->config.errors,
        .images = s->config.images,
        .jobs = s->options->jobs,
        .progress = on_simulation,
        .progress_ctx = s,
        .stop = s->options->stop,
        .carry = study_carry_layer,
    };
    step_begin(s, c, direct ? "errors, direct" : "errors, by model", (double)o.n);
    int rc = path ? simulate_to(s, path, &o, d) : OK;
    step_end(s);
    return rc;
}

static int run_cell(struct study *s, struct cell *c, struct diag *d)
{
    bool sdc = false;
    int rc = inject_cell(s, c, d);
    if (rc == OK)
        rc = has_sdc(&sdc, c->campaign, d);
    if (rc == OK && !sdc)
        c->direct = NULL;
    if (rc == OK)
        rc = model_cell(s, c, d);
    if (rc == OK)
        rc = simulate_cell(s, c, true, d);
    if (rc == OK)
        rc = simulate_cell(s, c, false, d);
    return rc;
}

/* ---- Preparation ------------------------------------------------------------------------------ */

static const char *cell_file(struct study *s, const struct cell *c, const char *suffix)
{
    char *name = arena_printf(&s->arena, "%s.%s%s", c->layer->name, c->impl->name, suffix);
    for (char *p = name; *p; p++)
        if (*p == '/' || (unsigned char)*p <= ' ') /* node names of ONNX files may be paths */
            *p = '_';
    return arena_printf(&s->arena, "%s/%s", s->options->out_dir, name + (*name == '.'));
}

static void plan_cell(struct study *s, const struct study_layer *layer,
                      const struct conv_impl *impl)
{
    struct diag why = {0};
    if (conv_supports(impl, &layer->problem, &why) != OK) {
        json_array_append_new(s->skipped,
                              json_pack("{s:s, s:s, s:s}", "layer", layer->name, "implementation",
                                        impl->name, "reason", why.msg));
        return;
    }
    struct cell *c = &s->cells[s->n_cells++];
    c->layer = layer;
    c->impl = impl;
    c->campaign = cell_file(s, c, ".db");
    c->model = cell_file(s, c, ".json");
    c->direct = cell_file(s, c, ".direct.db");
    c->by_model = cell_file(s, c, ".model.db");
}

/* The first so many images of each class, in the order of the data set. */
static int pick_images(struct study *s, struct diag *d)
{
    enum { CLASSES = 255, SEARCHED = 10000 };
    const struct study_config *c = &s->config;
    struct arena a = {0};
    struct dataset data;
    uint64_t count[CLASSES] = {0};
    if (c->images_per_class == 0) {
        s->images = ARENA_NEW(&s->arena, uint64_t);
        s->images[0] = c->image;
        s->n_images = 1;
        return OK;
    }
    int rc = dataset_load(&data, &a, c->dataset, SEARCHED, d);
    s->images = rc == OK ? arena_array(&s->arena, data.n, sizeof *s->images) : NULL;
    for (size_t k = 0; rc == OK && k < data.n; k++)
        if (data.labels[k] < CLASSES && count[data.labels[k]]++ < c->images_per_class)
            s->images[s->n_images++] = k;
    arena_fini(&a);
    if (rc == OK && (s->n_images == 0 || s->n_images > c->injections))
        rc = diag_fail(d, ERR_INPUT, (struct loc){.file = s->options->config},
                       "images_per_class: %zu labelled images for %llu injections", s->n_images,
                       (unsigned long long)c->injections);
    return rc;
}

/* The names of all convolutions. */
static int all_layers(struct study_config *c, struct arena *a, struct diag *d)
{
    struct nn *net;
    int rc = nn_load(&net, c->network, 1, d);
    if (rc != OK)
        return rc;
    c->layers_count = (unsigned)nn_n_convs(net);
    c->layers = arena_array(a, c->layers_count, sizeof *c->layers);
    for (unsigned k = 0; k < c->layers_count; k++)
        c->layers[k] = arena_strdup(a, nn_conv(net, k)->name);
    if (c->layers_count == 0)
        rc = diag_fail(d, ERR_UNSUPPORTED, (struct loc){.file = c->network},
                       "the network has no convolution");
    nn_free(net);
    return rc;
}

/* Everything that can be wrong with the configuration is found here, before work begins. */
static int plan(struct study *s, struct diag *d)
{
    const struct study_config *c = &s->config;
    int found = c->layers_count > 0 ? OK : all_layers(&s->config, &s->arena, d);
    found = found == OK ? pick_images(s, d) : found;
    if (found != OK)
        return found;
    size_t n_layers = c->layers_count, n_impls = c->implementations_count;
    struct study_layer *layers = arena_array(&s->arena, n_layers, sizeof *layers);
    s->cells = arena_array(&s->arena, n_layers * n_impls, sizeof *s->cells);
    int layout, status = vocab_find(&vocab_layouts, c->layout, &layout, d);
    if (status != OK)
        return status;
    for (size_t i = 0; i < n_layers; i++) {
        int rc = study_layer(&layers[i], &s->arena, c->network, c->dataset, c->layers[i],
                             s->images[0], d);
        layers[i].problem.layout = (enum tensor_layout)layout;
        for (size_t k = 0; rc == OK && k < n_impls; k++) {
            const struct conv_impl *impl;
            rc = conv_find(&impl, c->implementations[k], d);
            if (rc == OK)
                plan_cell(s, &layers[i], impl);
        }
        if (rc != OK)
            return rc;
    }
    if (s->n_cells == 0)
        return diag_fail(
            d, ERR_UNSUPPORTED, (struct loc){.file = s->options->config},
            "none of the implementations computes any of the layers: 'sievert conv list "
            "--shape %s' shows what does",
            conv_shape(&s->arena, &layers[0].problem));
    s->work_total =
        (double)s->n_cells * (INJECTION_COST * (double)c->injections + 2 * (double)c->errors);
    return OK;
}

/* ---- The folder -------------------------------------------------------------------------------- */

static const char *manifest_path(struct arena *a, const char *out_dir)
{
    return arena_printf(a, "%s/study.json", out_dir);
}

/* Refuse to mix two configurations in one folder. */
static int claim_folder(struct study *s, struct diag *d)
{
    const char *path = manifest_path(&s->arena, s->options->out_dir);
    json_t *mine = config_json(&s->config), *there;
    int rc = file_mkdirs(s->options->out_dir, d);
    if (rc == OK && exists(path)) {
        there = json_load_file(path, 0, NULL);
        if (!json_equal(mine, json_object_get(there, "config")))
            rc = diag_fail(d, ERR_INPUT, (struct loc){.file = path},
                           "the folder holds another study: choose another with -o, or remove it");
        json_decref(there);
    }
    json_decref(mine);
    return rc;
}

static void set_path(json_t *cell, const char *key, const char *path, size_t prefix)
{
    json_object_set_new(cell, key, path ? json_string(path + prefix) : json_null());
}

static int write_manifest(struct study *s, struct diag *d)
{
    size_t prefix = strlen(s->options->out_dir) + 1;
    json_t *cells = json_array();
    for (size_t i = 0; i < s->n_cells; i++) {
        const struct cell *c = &s->cells[i];
        json_t *j =
            json_pack("{s:s, s:s}", "layer", c->layer->name, "implementation", c->impl->name);
        set_path(j, "campaign", c->campaign, prefix);
        set_path(j, "model", c->model, prefix);
        set_path(j, "direct", c->direct, prefix);
        set_path(j, "by_model", c->by_model, prefix);
        json_array_append_new(cells, j);
    }
    json_t *doc = json_pack("{s:s, s:o, s:o, s:O}", "config_file", s->options->config, "config",
                            config_json(&s->config), "cells", cells, "skipped", s->skipped);
    char *text = json_dumps(doc, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    int rc = file_write(manifest_path(&s->arena, s->options->out_dir), text, strlen(text), d);
    free(text);
    json_decref(doc);
    return rc;
}

/* The models, and what other injectors do, against the injections' own tensors: where there are any. */
static int validate_cells(struct study *s, struct diag *d)
{
    const char *path = arena_printf(&s->arena, "%s/validation.json", s->options->out_dir);
    struct sim_options o = {
        .seed = s->config.seed,
        .n = s->config.errors,
        .images = s->config.images,
        .jobs = s->options->jobs,
        .progress = on_simulation,
        .progress_ctx = s,
        .stop = s->options->stop,
        .carry = study_carry_layer,
    };
    bool any = false;
    json_t *doc;
    for (size_t i = 0; i < s->n_cells; i++)
        any = any || s->cells[i].direct;
    if (!any || exists(path))
        return OK;
    s->progress.step = "models against the injections' own errors";
    s->step_begin = clock_seconds();
    s->step_work = 0;
    int rc = study_validate(&doc, s->options->out_dir, &o, d);
    if (rc != OK)
        return rc;
    char *text = json_dumps(doc, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    rc = file_write(path, text, strlen(text), d);
    free(text);
    json_decref(doc);
    return rc;
}

int study_run(const struct study_options *options, struct diag *d)
{
    struct study s = {.options = options, .skipped = json_array(), .begin = clock_seconds()};
    int rc = config_load(&s.config, &s.arena, options->config, d);
    if (rc == OK)
        rc = plan(&s, d);
    if (rc == OK)
        rc = claim_folder(&s, d);
    if (rc == OK)
        rc = write_manifest(&s, d);
    for (size_t i = 0; rc == OK && i < s.n_cells; i++)
        rc = run_cell(&s, &s.cells[i], d);
    if (rc == OK)
        rc = write_manifest(&s, d); /* now without the models that could not be made */
    if (rc == OK)
        rc = validate_cells(&s, d);
    if (rc == OK)
        rc = study_report(options->out_dir, d);
    json_decref(s.skipped);
    arena_fini(&s.arena);
    return rc;
}
