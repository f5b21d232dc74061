#include "study/config.h"

#include <cyaml/cyaml.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vocab/vocab.h"

static const uint64_t MOST = 1000000000000000; /* injections, errors, images */

/* As read: what may be left out and may be 0 is a pointer. */
struct written {
    struct study_config c;
    uint64_t *seed;
    double *epsilon;
};

static const cyaml_schema_value_t name_schema = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, 200),
};

#define OPTIONAL_POINTER (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)
static const cyaml_schema_field_t fields[] = {
    CYAML_FIELD_STRING_PTR("title", OPTIONAL_POINTER, struct written, c.title, 0, 200),
    CYAML_FIELD_STRING_PTR("network", CYAML_FLAG_POINTER, struct written, c.network, 1, 4000),
    CYAML_FIELD_STRING_PTR("dataset", OPTIONAL_POINTER, struct written, c.dataset, 1, 4000),
    CYAML_FIELD_STRING_PTR("fault", OPTIONAL_POINTER, struct written, c.fault, 1, 100),
    CYAML_FIELD_STRING_PTR("layout", OPTIONAL_POINTER, struct written, c.layout, 1, 20),
    CYAML_FIELD_UINT("image", CYAML_FLAG_OPTIONAL, struct written, c.image),
    CYAML_FIELD_UINT("images_per_class", CYAML_FLAG_OPTIONAL, struct written, c.images_per_class),
    CYAML_FIELD_UINT("injections", CYAML_FLAG_OPTIONAL, struct written, c.injections),
    CYAML_FIELD_UINT("errors", CYAML_FLAG_OPTIONAL, struct written, c.errors),
    CYAML_FIELD_UINT("images", CYAML_FLAG_OPTIONAL, struct written, c.images),
    CYAML_FIELD_UINT_PTR("seed", OPTIONAL_POINTER, struct written, seed),
    CYAML_FIELD_FLOAT_PTR("epsilon", OPTIONAL_POINTER, struct written, epsilon),
    CYAML_FIELD_SEQUENCE("layers", OPTIONAL_POINTER, struct written, c.layers, &name_schema, 1,
                         1000),
    CYAML_FIELD_SEQUENCE("implementations", CYAML_FLAG_POINTER, struct written, c.implementations,
                         &name_schema, 1, 100),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct written, fields),
};

/* libcyaml tells what is wrong through its log: the first line is the reason, and the first line of
 * the backtrace has the place. */
struct complaint {
    char message[300];
    int line, col;
};

static void __attribute__((format(printf, 3, 0)))
note(cyaml_log_t level, void *ctx, const char *fmt, va_list ap)
{
    struct complaint *c = ctx;
    char text[300];
    (void)level;
    vsnprintf(text, sizeof text, fmt, ap);
    text[strcspn(text, "\n")] = 0;
    const char *at = strstr(text, "(line: ");
    if (at && c->line == 0)
        sscanf(at, "(line: %d, column: %d", &c->line, &c->col);
    else if (!at && !c->message[0])
        snprintf(c->message, sizeof c->message, "%s",
                 strncmp(text, "Load: ", 6) == 0 ? text + 6 : text);
}

/* libcyaml places an unexpected key at what was read before it: find the key itself. */
static void find_key(struct complaint *c, const char *path)
{
    static const char unexpected[] = "Unexpected key: ";
    char line[4096];
    FILE *f = NULL;
    if (strncmp(c->message, unexpected, sizeof unexpected - 1) == 0)
        f = fopen(path, "r");
    const char *key = c->message + sizeof unexpected - 1;
    for (int n = 1; f && fgets(line, sizeof line, f); n++) {
        size_t indent = strspn(line, " ");
        if (strncmp(line + indent, key, strlen(key)) == 0) {
            c->line = n;
            c->col = (int)indent + 1;
            break;
        }
    }
    if (f)
        fclose(f);
}

/* For a key that there is not: "; did you mean 'layers'?", or "". */
static const char *suggestion(struct arena *a, const struct complaint *c)
{
    static const char unexpected[] = "Unexpected key: ";
    const char *names[sizeof fields / sizeof *fields], *near = NULL;
    size_t n = 0;
    for (; fields[n].key; n++)
        names[n] = fields[n].key;
    if (strncmp(c->message, unexpected, sizeof unexpected - 1) == 0)
        near = vocab_nearest(c->message + sizeof unexpected - 1, names, n);
    return near ? arena_printf(a, "; did you mean '%s'?", near) : "";
}

static char *copy_or(struct arena *a, const char *s, const char *otherwise)
{
    return arena_strdup(a, s && *s ? s : otherwise);
}

static char **copy_names(struct arena *a, char *const *names, unsigned n)
{
    char **copy = arena_array(a, n, sizeof *copy);
    for (unsigned i = 0; i < n; i++)
        copy[i] = arena_strdup(a, names[i]);
    return copy;
}

/* Into the arena, with defaults. */
static void complete(struct study_config *out, struct arena *a, const struct written *w,
                     const char *path)
{
    const struct study_config *in = &w->c;
    char *folder = dirname(arena_strdup(a, path));
    *out = *in;
    out->network = in->network[0] == '/'      ? arena_strdup(a, in->network)
                   : strcmp(folder, ".") == 0 ? arena_strdup(a, in->network)
                                              : arena_printf(a, "%s/%s", folder, in->network);
    out->title = copy_or(a, in->title, in->network);
    out->dataset = copy_or(a, in->dataset, "fashion-mnist");
    out->fault = copy_or(a, in->fault, "gp:single-bit:thread");
    out->layout = copy_or(a, in->layout, vocab_word(&vocab_layouts, LAYOUT_NCHW));
    out->layers = copy_names(a, in->layers, in->layers_count);
    out->implementations = copy_names(a, in->implementations, in->implementations_count);
    out->injections = in->injections ? in->injections : 1000;
    out->errors = in->errors ? in->errors : 10000;
    out->images = in->images ? in->images : 256;
    out->seed = w->seed ? *w->seed : 1;
    out->epsilon = w->epsilon ? *w->epsilon : 0;
}

static int check_names(const char *what, char *const *names, unsigned n, const char *path,
                       struct diag *d)
{
    for (unsigned i = 1; i < n; i++)
        for (unsigned k = 0; k < i; k++)
            if (strcmp(names[i], names[k]) == 0)
                return diag_fail(d, ERR_INPUT, (struct loc){.file = path},
                                 "%s: '%s' is there twice", what, names[i]);
    return OK;
}

static int check(const struct study_config *c, const char *path, struct diag *d)
{
    const struct {
        const char *name;
        uint64_t n;
    } counts[] = {{"injections", c->injections}, {"errors", c->errors}, {"images", c->images}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (counts[i].n > MOST)
            return diag_fail(d, ERR_INPUT, (struct loc){.file = path},
                             "%s: %llu is more than 10^15", counts[i].name,
                             (unsigned long long)counts[i].n);
    if (!(c->epsilon >= 0 && c->epsilon <= 1e30))
        return diag_fail(d, ERR_INPUT, (struct loc){.file = path},
                         "epsilon: %g is not an absolute difference, 0 or more", c->epsilon);
    int rc = check_names("layers", c->layers, c->layers_count, path, d);
    return rc != OK ? rc
                    : check_names("implementations", c->implementations, c->implementations_count,
                                  path, d);
}

int config_load(struct study_config *out, struct arena *a, const char *path, struct diag *d)
{
    struct complaint complaint = {0};
    const cyaml_config_t config = {
        .log_fn = note,
        .log_ctx = &complaint,
        .mem_fn = cyaml_mem,
        .log_level = CYAML_LOG_ERROR,
    };
    struct written *read = NULL;
    if (access(path, R_OK) != 0)
        return diag_fail(d, ERR_IO, (struct loc){.file = path}, "cannot open: %m");
    cyaml_err_t error = cyaml_load_file(path, &config, &schema, (cyaml_data_t **)&read, NULL);
    if (error != CYAML_OK) {
        find_key(&complaint, path);
        return diag_fail(d, ERR_INPUT, (struct loc){path, complaint.line, complaint.col}, "%s%s",
                         complaint.message[0] ? complaint.message : cyaml_strerror(error),
                         suggestion(a, &complaint));
    }
    if (!read)
        return diag_fail(d, ERR_INPUT, (struct loc){.file = path},
                         "nothing in it: 'network', 'layers' and 'implementations' are needed");
    complete(out, a, read, path);
    cyaml_free(&config, &schema, read, 0);
    return check(out, path, d);
}

void config_epsilons(double out[3], const struct study_config *c)
{
    out[0] = 0;
    out[1] = 1e-6;
    out[2] = c->epsilon != out[0] && c->epsilon != out[1] ? c->epsilon : 1e-3;
}

static json_t *names_json(char *const *names, unsigned n)
{
    json_t *j = json_array();
    for (unsigned i = 0; i < n; i++)
        json_array_append_new(j, json_string(names[i]));
    return j;
}

json_t *config_json(const struct study_config *c)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:o, s:o}",
                     "title", c->title, "network", c->network, "dataset", c->dataset, "fault",
                     c->fault, "layout", c->layout, "image", (json_int_t)c->image,
                     "images_per_class", (json_int_t)c->images_per_class, "injections",
                     (json_int_t)c->injections, "errors", (json_int_t)c->errors, "images",
                     (json_int_t)c->images, "seed", (json_int_t)c->seed, "epsilon", c->epsilon,
                     "layers", names_json(c->layers, c->layers_count), "implementations",
                     names_json(c->implementations, c->implementations_count));
}

static char **names_from_json(unsigned *n, struct arena *a, const json_t *j)
{
    *n = (unsigned)json_array_size(j);
    char **names = arena_array(a, *n, sizeof *names);
    for (unsigned i = 0; i < *n; i++) {
        const char *s = json_string_value(json_array_get(j, i));
        names[i] = arena_strdup(a, s ? s : "");
    }
    return names;
}

int config_from_json(struct study_config *out, struct arena *a, const json_t *j, const char *path,
                     struct diag *d)
{
    const char *title, *network, *dataset, *fault,
        *layout = vocab_word(&vocab_layouts, LAYOUT_NCHW);
    json_int_t image, per_class = 0, injections, errors, images, seed;
    json_t *layers, *impls;
    json_error_t error;
    *out = (struct study_config){0};
    if (json_unpack_ex((json_t *)j, &error, 0,
                       "{s:s, s:s, s:s, s:s, s?s, s:I, s?I, s:I, s:I, s:I, s:I, s:F, s:o, s:o}",
                       "title", &title, "network", &network, "dataset", &dataset, "fault", &fault,
                       "layout", &layout, "image", &image, "images_per_class", &per_class,
                       "injections", &injections, "errors", &errors, "images", &images, "seed",
                       &seed, "epsilon", &out->epsilon, "layers", &layers, "implementations",
                       &impls) != 0)
        return diag_fail(d, ERR_INPUT, (struct loc){.file = path}, "not a study's manifest: %s",
                         error.text);
    out->title = arena_strdup(a, title);
    out->network = arena_strdup(a, network);
    out->dataset = arena_strdup(a, dataset);
    out->fault = arena_strdup(a, fault);
    out->layout = arena_strdup(a, layout);
    out->image = (uint64_t)image;
    out->injections = (uint64_t)injections;
    out->errors = (uint64_t)errors;
    out->images_per_class = (uint64_t)per_class;
    out->images = (uint64_t)images;
    out->seed = (uint64_t)seed;
    out->layers = names_from_json(&out->layers_count, a, layers);
    out->implementations = names_from_json(&out->implementations_count, a, impls);
    return OK;
}
