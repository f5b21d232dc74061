/* classify: faulty tensors from anywhere, compared with their golden tensor and labelled. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/npy.h"
#include "cli/classify.h"
#include "model/model.h"
#include "report/report.h"
#include "stats/stats.h"
#include "study/study.h"

struct classify_args {
    const char *golden, *faulty, *layout, *compat, *tsv, *model, *report, *pictures, *impl, *shape,
        *tile;
    double epsilon;
    bool almost_same;
};

static void defaults(void *args)
{
    struct classify_args *o = args;
    o->epsilon = NAN;
    o->layout = "nchw";
}

const struct cli_command cmd_classify = {
    .name = "classify",
    .summary = "label faulty tensors from anywhere, real GPUs included",
    .operands = "GOLDEN.npy FAULTY... | ROOT --golden PATH --faulty PATH",
    .min_operands = 1,
    .max_operands = -1,
    .examples =
        "  sievert classify golden.npy errors/ --tsv labels.tsv\n"
        "  sievert classify ROOT --golden test/golden.npy --faulty test --model conv_gemm.json\n",
    .options =
        (const struct cli_option[]){
            {"golden", 0, OPT_STRING, "PATH",
             "golden tensor in each batch of ROOT (test/golden.npy)",
             offsetof(struct classify_args, golden)},
            {"faulty", 0, OPT_STRING, "PATH",
             "folder in each batch that holds the sub-batches (test)",
             offsetof(struct classify_args, faulty)},
            {"eps", 0, OPT_DOUBLE, "E", CLI_EPSILON_HELP, offsetof(struct classify_args, epsilon)},
            {"layout", 0, OPT_STRING, "L", "nchw (default) or nhwc",
             offsetof(struct classify_args, layout)},
            {"compat", 0, OPT_STRING, "classes",
             "label as the CLASSES classifier does, quirks included",
             offsetof(struct classify_args, compat)},
            {"almost-same", 0, OPT_FLAG, NULL, "with --compat: its option -as",
             offsetof(struct classify_args, almost_same)},
            {"tsv", 0, OPT_STRING, "FILE", "one line for each tensor",
             offsetof(struct classify_args, tsv)},
            {"model", 0, OPT_STRING, "FILE", "the error model (CLASSES JSON)",
             offsetof(struct classify_args, model)},
            {"report", 0, OPT_STRING, "FILE", "the CLASSES classifier's global_report.json",
             offsetof(struct classify_args, report)},
            {"pictures", 0, OPT_STRING, "FOLDER",
             "a PNG of the first three tensors of each pattern",
             offsetof(struct classify_args, pictures)},
            {"impl", 0, OPT_STRING, "NAME",
             "what computed them (see conv list): with --json, where each error "
             "lies in its tiles; with --model, errors that carry over to other shapes",
             offsetof(struct classify_args, impl)},
            {"shape", 0, OPT_STRING, "SHAPE", "with --impl: the convolution, as for conv run",
             offsetof(struct classify_args, shape)},
            {"tile", 0, OPT_STRING, "NAME",
             "with --impl: its tile, if not the one a library would choose",
             offsetof(struct classify_args, tile)},
            CLI_OPTION_END},
    .args_bytes = sizeof(struct classify_args),
    .defaults = defaults,
};

struct session {
    struct cli *cli;
    struct char_options options;
    bool nhwc;
    FILE *tsv;
    json_t *labels; /* of every tensor, if JSON is wanted */
    struct model_builder *builder;
    struct arena scratch; /* of one tensor */
    struct global_report report;
    struct model_origin origin;
    struct tiling tiling; /* n_axes 0: unknown */
    const char *pictures; /* folder, or NULL */
    int n_pictures[N_PATTERNS];
    uint64_t masked, skipped;
    uint64_t patterns[N_PATTERNS], values[N_VALUES];
};

/* ---- One golden tensor ----------------------------------------------------------------------------- */

struct golden {
    struct tensor t;
    size_t dim[4]; /* N, C, H, W */
    struct value_range range;
    bool every_element; /* compat: elements of equal bits may count too */
};

static void set_dim(size_t dim[4], const struct tensor *t, bool nhwc)
{
    dim[0] = t->dim[0];
    dim[1] = t->dim[nhwc ? 3 : 1];
    dim[2] = t->dim[nhwc ? 1 : 2];
    dim[3] = t->dim[nhwc ? 2 : 3];
}

/* The range as the original takes it: NaN anywhere makes it NaN, infinities count. */
static struct value_range plain_range(const float *v, size_t n)
{
    struct value_range r = {v[0], v[0]};
    for (size_t i = 0; i < n; i++) {
        if (isnan(v[i]))
            return (struct value_range){NAN, NAN};
        r.min = v[i] < r.min ? v[i] : r.min;
        r.max = v[i] > r.max ? v[i] : r.max;
    }
    return r;
}

static int load_golden(struct golden *g, struct arena *a, const char *path, const struct session *s,
                       struct diag *d)
{
    int rc = npy_read(&g->t, a, path, d);
    if (rc != OK)
        return rc;
    size_t n = tensor_elems(&g->t);
    if (g->t.rank != 4 || n == 0 || n > UINT32_MAX)
        return diag_fail(d, ERR_INPUT, (struct loc){.file = path},
                         "%d dimensions, %zu values: a golden tensor has 4, none of size 0, and at "
                         "most 2^32 values",
                         g->t.rank, n);
    set_dim(g->dim, &g->t, s->nhwc);
    g->range = s->options.compat ? plain_range(g->t.data, n) : characterise_range(g->t.data, n);
    bool finite = isfinite(g->range.min) && isfinite(g->range.max);
    g->every_element = s->options.compat && (!((float)s->options.epsilon > 0) || !finite);
    return OK;
}

static size_t differences(struct difference **out, struct arena *a, const struct golden *g,
                          const struct tensor *faulty, const struct session *s)
{
    size_t n = tensor_elems(faulty);
    if (!g->every_element) {
        n = characterise_diff(out, a, g->t.data, faulty->data, n);
    } else {
        *out = arena_array(a, n, sizeof **out);
        for (size_t i = 0; i < n; i++)
            (*out)[i] = (struct difference){(uint32_t)i, g->t.data[i], faulty->data[i]};
    }
    if (s->nhwc)
        characterise_from_nhwc(*out, n, g->dim);
    return n;
}

/* ---- One tensor ------------------------------------------------------------------------------------ */

static void tsv_text(FILE *f, const char *s)
{
    for (; *s; s++)
        fputc((unsigned char)*s < ' ' ? '?' : *s, f);
    fputc('\t', f);
}

static void tsv_json(FILE *f, json_t *v)
{
    char *text = json_dumps(v, JSON_REAL_PRECISION(17));
    fprintf(f, "%s\t", text ? text : "");
    free(text);
    json_decref(v);
}

static void write_tsv(FILE *f, const struct verdict *v)
{
    const struct characterisation *c = &v->c;
    tsv_text(f, v->file);
    tsv_text(f, v->set->batch);
    tsv_text(f, v->set->sub_batch);
    if (v->skipped || c->corrupted == 0) {
        fprintf(f, "%s\t\t\t\t\t%s\t%s\n", v->skipped ? "skipped" : "masked", v->skipped ? "" : "0",
                v->skipped ? "" : "0");
        return;
    }
    tsv_text(f, vocab_word(&vocab_patterns, (int)c->pattern));
    tsv_json(f, classify_keys_json(c));
    tsv_json(f, classify_stats_json(c));
    tsv_json(f, classify_values_json(c));
    tsv_json(f, classify_domain_json(c));
    fprintf(f, "%zu\t%zu\n", c->corrupted, c->channels);
}

static json_t *label_json(const struct session *s, const struct verdict *v)
{
    const struct characterisation *c = &v->c;
    json_t *o = json_pack("{s:s, s:s, s:s}", "file", v->file, "batch", v->set->batch, "sub_batch",
                          v->set->sub_batch);
    if (!o) /* a file name that is not UTF-8 */
        o = json_object();
    if (v->skipped || c->corrupted == 0) {
        json_object_set_new(o, "spatial_class", json_string(v->skipped ? "skipped" : "masked"));
        if (v->skipped)
            json_object_set_new(o, "reason", json_string(v->skipped));
        return o;
    }
    json_t *more = json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:I, s:I, s:o, s:o}", "spatial_class",
        vocab_word(&vocab_patterns, (int)c->pattern), "spatial_keys", classify_keys_json(c),
        "spatial_stats", classify_stats_json(c), "value_class_counts", classify_values_json(c),
        "domain_class", classify_domain_json(c), "corrupted_values", (json_int_t)c->corrupted,
        "corrupted_channels", (json_int_t)c->channels, "max_abs_error",
        isfinite(c->max_abs_error) ? json_real(c->max_abs_error) : json_null(), "median_log2_rel",
        isfinite(c->median_log2_rel) ? json_real(c->median_log2_rel) : json_null());
    json_object_update_new(o, more);
    json_object_update_new(o, classify_details_json(v, &s->tiling));
    return o;
}

/* The first few of each pattern. */
static void picture(struct session *s, const struct verdict *v, const struct golden *g)
{
    enum { EACH = 3 };
    struct diag d = {0};
    if (!s->pictures || s->n_pictures[v->c.pattern] == EACH)
        return;
    const char *path =
        arena_printf(&s->scratch, "%s/%s-%d.png", s->pictures,
                     vocab_word(&vocab_patterns, (int)v->c.pattern), ++s->n_pictures[v->c.pattern]);
    struct store_diff *diffs = arena_array(&s->scratch, v->n_diffs, sizeof *diffs);
    for (size_t i = 0; i < v->n_diffs; i++) {
        diffs[i].index = v->diffs[i].index;
        memcpy(&diffs[i].faulty_bits, &v->diffs[i].faulty, sizeof diffs[i].faulty_bits);
    }
    const float *golden = g->t.data;
    if (s->nhwc) {
        const size_t c = g->dim[1], hw = g->dim[2] * g->dim[3], n = g->dim[0] * c * hw;
        float *nchw = arena_array(&s->scratch, n, sizeof *nchw);
        for (size_t i = 0; i < n; i++)
            nchw[(i / c / hw * c + i % c) * hw + i / c % hw] = golden[i];
        golden = nchw;
    }
    if (report_picture(path, g->dim, golden, diffs, v->n_diffs, &d) != OK)
        fprintf(stderr, "sievert: %s: %s\n", path, d.msg);
}

static void record(struct session *s, const struct verdict *v)
{
    if (s->tsv)
        write_tsv(s->tsv, v);
    if (s->labels)
        json_array_append_new(s->labels, label_json(s, v));
    if (v->skipped) {
        s->skipped++;
        fprintf(stderr, "sievert: %s skipped: %s\n", v->file, v->skipped);
    } else if (v->c.corrupted == 0) {
        s->masked++;
    } else {
        s->patterns[v->c.pattern]++;
        for (int i = 0; i < N_VALUES; i++)
            s->values[i] += i == VALUE_SAME ? 0 : v->c.value_count[i];
        global_report_add(&s->report, v);
        model_add_error(s->builder, &v->c, v->dim, v->diffs, v->n_diffs, MODEL_NO_STRATUM);
    }
}

/* Why the tensor cannot be compared, or NULL. */
static const char *unfit(struct arena *a, const struct tensor *t, const struct golden *g,
                         const struct session *s)
{
    if (t->rank != 4 || memcmp(t->dim, g->t.dim, 4 * sizeof *t->dim) != 0)
        return "its shape is not the golden tensor's";
    if (s->options.compat && t->dim[0] != 1)
        return arena_printf(a, "%zu images: the CLASSES classifier takes one", t->dim[0]);
    return NULL;
}

static void classify_file(struct session *s, const struct faulty_set *set, const struct golden *g,
                          const char *file)
{
    struct diag d = {0};
    struct tensor t;
    struct verdict v = {.set = set, .file = file, .dim = g->dim};
    if (npy_read(&t, &s->scratch, file, &d) != OK)
        v.skipped = d.msg;
    else
        v.skipped = unfit(&s->scratch, &t, g, s);
    if (!v.skipped) {
        struct difference *diffs;
        size_t n = differences(&diffs, &s->scratch, g, &t, s);
        characterise(&v.c, diffs, n, g->dim, g->range, &s->options);
        v.diffs = diffs;
        v.n_diffs = n;
        if (v.c.corrupted > 0)
            picture(s, &v, g);
    }
    record(s, &v);
    arena_reset(&s->scratch);
}

static void classify_set(struct session *s, const struct faulty_set *set)
{
    struct arena a = {0};
    struct diag d = {0};
    struct golden g;
    int rc = load_golden(&g, &a, set->golden, s, &d);
    if (rc != OK)
        fprintf(stderr, "sievert: %s: %s\n", set->golden, d.msg);
    for (size_t i = 0; i < set->n && !cli_stop; i++) {
        if (rc == OK)
            classify_file(s, set, &g, set->files[i]);
        else
            record(s, &(struct verdict){.set = set,
                                        .file = set->files[i],
                                        .skipped = "its golden tensor could not be read"});
    }
    arena_fini(&a);
}

/* ---- The summary ----------------------------------------------------------------------------------- */

static json_t *summary_json(struct session *s)
{
    json_t *patterns = json_object(), *values = json_object();
    for (int p = 0; p < N_PATTERNS; p++) {
        if (!s->patterns[p])
            continue;
        double n = (double)s->report.classified;
        struct interval ci = stats_wilson((double)s->patterns[p], n, 0.95);
        json_object_set_new(patterns, vocab_word(&vocab_patterns, p),
                            json_pack("{s:I, s:f, s:[f, f]}", "tensors", (json_int_t)s->patterns[p],
                                      "share", (double)s->patterns[p] / n, "interval", ci.lo,
                                      ci.hi));
    }
    for (int v = 0; v < N_VALUES; v++)
        if (s->values[v])
            json_object_set_new(values, vocab_word(&vocab_values, v),
                                json_integer((json_int_t)s->values[v]));
    return json_pack("{s:I, s:I, s:I, s:o, s:o, s:O}", "classified",
                     (json_int_t)s->report.classified, "masked", (json_int_t)s->masked, "skipped",
                     (json_int_t)s->skipped, "patterns", patterns, "values", values, "tensors",
                     s->labels);
}

static void print_summary(struct session *s)
{
    struct table t;
    double n = (double)s->report.classified, sum = 0;
    printf("%llu corrupted tensors, %llu masked, %llu skipped\n",
           (unsigned long long)s->report.classified, (unsigned long long)s->masked,
           (unsigned long long)s->skipped);
    if (n == 0)
        return;
    table_init(&t, &s->cli->arena, 4,
               (const char *const[]){"pattern", "tensors", "share", "95 % interval"});
    for (int p = 0; p < N_PATTERNS; p++) {
        if (!s->patterns[p])
            continue;
        struct interval ci = stats_wilson((double)s->patterns[p], n, 0.95);
        table_cell(&t, "%s", vocab_word(&vocab_patterns, p));
        table_cell(&t, "%llu", (unsigned long long)s->patterns[p]);
        table_cell(&t, "%.2f %%", 100 * (double)s->patterns[p] / n);
        table_cell(&t, "%.2f - %.2f %%", 100 * ci.lo, 100 * ci.hi);
    }
    putchar('\n');
    table_print(&t);
    table_init(&t, &s->cli->arena, 3, (const char *const[]){"value class", "values", "share"});
    for (int v = 0; v < N_VALUES; v++)
        sum += (double)s->values[v];
    for (int v = 0; v < N_VALUES; v++) {
        if (!s->values[v])
            continue;
        table_cell(&t, "%s", vocab_word(&vocab_values, v));
        table_cell(&t, "%llu", (unsigned long long)s->values[v]);
        table_cell(&t, "%.2f %%", 100 * (double)s->values[v] / sum);
    }
    putchar('\n');
    table_print(&t);
}

/* ---- The command ----------------------------------------------------------------------------------- */

static int check_options(struct classify_args *o, struct session *s, struct diag *d)
{
    if (isnan(o->epsilon))
        o->epsilon = cli_epsilon(o->compat != NULL);
    s->nhwc = strcmp(o->layout, "nhwc") == 0;
    if (!s->nhwc && strcmp(o->layout, "nchw") != 0)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "--layout %s: nchw or nhwc", o->layout);
    if (o->compat && strcmp(o->compat, "classes") != 0)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "--compat %s: only 'classes' is known",
                         o->compat);
    if (!(o->epsilon >= 0))
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "--eps: %g is not 0 or more", o->epsilon);
    if (o->almost_same && !o->compat)
        return diag_fail(
            d, ERR_INPUT, DIAG_NOWHERE,
            "--almost-same is the CLASSES classifier's: add --compat classes, or use --eps 0");
    s->options = (struct char_options){.epsilon = o->epsilon,
                                       .compat = o->compat != NULL,
                                       .almost_same = o->almost_same,
                                       .nhwc = s->nhwc};
    return OK;
}

/* What --impl and its companions say; files of other shapes than that are classified all the same. */
static int set_implementation(struct session *s, const struct classify_args *o, struct diag *d)
{
    if (!o->impl && !o->shape && !o->tile)
        return OK;
    if (!o->impl || !o->shape)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                         "--impl, --shape and --tile belong together: give the first two");
    int rc = study_tiling(&s->tiling, o->impl, o->shape, o->tile, d);
    s->origin = (struct model_origin){.impl = o->impl,
                                      .shape = o->shape,
                                      .tile = o->tile ? o->tile : "",
                                      .fault = "",
                                      .tiling = s->tiling};
    return rc;
}

static int find_work(struct classify_work *w, struct cli *cli, const struct classify_args *o)
{
    int rc;
    if (o->golden || o->faulty) {
        if (cli->n_operands != 1)
            return diag_fail(&cli->diag, ERR_INPUT, DIAG_NOWHERE,
                             "with --golden and --faulty give one folder of batches");
        rc = classify_find_tree(w, &cli->arena, cli->operands[0],
                                o->golden ? o->golden : "test/golden.npy",
                                o->faulty ? o->faulty : "test", &cli->diag);
    } else {
        rc = classify_find_plain(w, &cli->arena, cli->operands, cli->n_operands, &cli->diag);
    }
    if (rc == OK && w->n_files == 0)
        rc =
            diag_fail(&cli->diag, ERR_INPUT, DIAG_NOWHERE,
                      "no faulty tensors (.npy): give them after the golden tensor, or a folder of "
                      "batches with --golden and --faulty");
    return rc;
}

static int write_outputs(struct session *s, const struct classify_args *o,
                         const json_t *experiments)
{
    struct cli *cli = s->cli;
    int rc = OK;
    if (o->report) {
        json_t *report = global_report_json(&s->report, experiments);
        char *text = json_dumps(report, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
        rc = file_write(o->report, text, strlen(text), &cli->diag);
        free(text);
        json_decref(report);
    }
    if (rc == OK && o->model) {
        struct model *m;
        s->origin.injections = s->masked + s->report.classified;
        s->origin.masked = s->masked;
        s->origin.sdc = s->report.classified;
        if (s->origin.impl)
            model_set_origin(s->builder, &s->origin);
        rc = model_build(&m, &cli->arena, s->builder, &cli->diag);
        if (rc == OK)
            rc = model_save(m, o->model, &cli->diag);
    }
    return rc;
}

int run_classify(struct cli *cli, void *args)
{
    struct classify_args *o = args;
    struct session s = {.cli = cli};
    struct classify_work w = {0};
    int rc = check_options(o, &s, &cli->diag);
    if (rc == OK)
        rc = set_implementation(&s, o, &cli->diag);
    if (rc == OK && o->pictures) {
        s.pictures = o->pictures;
        rc = file_mkdirs(o->pictures, &cli->diag);
    }
    if (rc == OK)
        rc = find_work(&w, cli, o);
    if (rc != OK)
        goto out;
    char *tsv = NULL;
    size_t tsv_bytes = 0;
    s.tsv = o->tsv ? open_memstream(&tsv, &tsv_bytes) : NULL;
    if (s.tsv)
        fputs("file\tbatch\tsub_batch\tspatial_class\tspatial_keys\tspatial_stats\tvalue_class_"
              "counts\t"
              "domain_class\tcorrupted_values\tcorrupted_channels\n",
              s.tsv);
    s.labels = cli->json ? json_array() : NULL;
    s.builder = model_builder_new();
    global_report_init(&s.report);
    cli_catch_interrupts();
    for (size_t i = 0; i < w.n && !cli_stop; i++)
        classify_set(&s, &w.sets[i]);
    if (cli_stop)
        rc = diag_fail(&cli->diag, ERR_INTERRUPTED, DIAG_NOWHERE, "interrupted");
    if (rc == OK && s.skipped == w.n_files)
        rc = diag_fail(&cli->diag, ERR_INPUT, DIAG_NOWHERE,
                       "none of the %zu tensors could be compared", w.n_files);
    if (s.tsv && (ferror(s.tsv) | fclose(s.tsv)))
        rc = diag_fail(&cli->diag, ERR_NOMEM, DIAG_NOWHERE, "no memory for the lines of --tsv");
    if (rc == OK && o->tsv)
        rc = file_write(o->tsv, tsv, tsv_bytes, &cli->diag);
    if (rc == OK)
        rc = write_outputs(&s, o, w.experiments);
    free(tsv);
    if (rc == OK && cli->json)
        cli_print_json(summary_json(&s));
    else if (rc == OK)
        print_summary(&s);
    json_decref(s.labels);
    model_builder_free(s.builder);
    global_report_fini(&s.report);
    arena_fini(&s.scratch);
out:
    json_decref(w.experiments);
    return rc;
}
