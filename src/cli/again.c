/* A stored campaign -> the `sievert inject` that makes it again. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/again.h"
#include "cli/problem.h"
#include "inject/inject.h"
#include "report/report.h"
#include "stats/stats.h"

/* Members of what a store says of how it was made: NULL and 0 if there are none. */
static const char *text_of(struct arena *a, const json_t *made, const char *name)
{
    const char *text = json_string_value(json_object_get(made, name));
    return text ? arena_strdup(a, text) : NULL;
}

static uint64_t number_of(const json_t *made, const char *name)
{
    const char *text = json_string_value(json_object_get(made, name));
    return text ? strtoull(text, NULL, 10) : 0;
}

/* Whether these options give the campaign's tensors. */
static bool gives_tensors(struct arena *a, const struct problem_args *args,
                          const struct store_campaign *c)
{
    struct problem in;
    if (problem_load(&in, a, args, &(struct diag){0}) != OK)
        return false;
    const struct conv_problem *p = &in.problem;
    return (uint64_t)p->n * (uint64_t)p->c * (uint64_t)p->h * (uint64_t)p->w == c->input_floats &&
           (uint64_t)p->k * (uint64_t)(p->c / p->groups) * (uint64_t)p->r * (uint64_t)p->s ==
               c->filter_floats &&
           strcmp(in.layer, c->layer) == 0 && strcmp(conv_shape(a, p), c->shape) == 0 &&
           memcmp(in.input, c->input, c->input_floats * sizeof *c->input) == 0 &&
           memcmp(in.filter, c->filter, c->filter_floats * sizeof *c->filter) == 0;
}

/* The options that give the campaign's tensors: those it was made with, if they still do, or the store itself. */
static bool find_problem(struct problem_args *out, struct arena *a, const struct store_campaign *c,
                         const json_t *made, const char *store)
{
    struct problem_args asked = {.impl = c->impl,
                                 .onnx = text_of(a, made, "onnx"),
                                 .data = text_of(a, made, "data"),
                                 .input = text_of(a, made, "input"),
                                 .filter = text_of(a, made, "filter"),
                                 .image = number_of(made, "image"),
                                 .data_seed = number_of(made, "data_seed")};
    struct problem_args kept = {.impl = c->impl,
                                .shape = c->shape,
                                .layer = c->layer[0] ? c->layer : NULL,
                                .input = store,
                                .filter = store};
    asked.layer = asked.onnx ? text_of(a, made, "layer") : kept.layer;
    asked.shape = asked.onnx ? NULL : c->shape;
    asked.layout = asked.onnx && strstr(c->shape, ":nhwc") ? "nhwc" : NULL;
    asked.data_seed = asked.data_seed ? asked.data_seed : 1;
    bool as_asked = gives_tensors(a, &asked, c);
    *out = as_asked ? asked : kept;
    return as_asked || (store && gives_tensors(a, &kept, c));
}

static void word(FILE *f, struct arena *a, const char *option, const char *value)
{
    if (value && *value)
        fprintf(f, " %s%s%s", option, *option ? " " : "", report_shell_word(a, value));
}

static void numbers(FILE *f, const char *option, const json_t *list)
{
    size_t i;
    json_t *x;
    json_array_foreach (list, i, x)
        fprintf(f, "%s%s%" JSON_INTEGER_FORMAT, i ? "," : " ", i ? "" : option,
                json_integer_value(x));
}

/* A user's kernel: its file, launch and arguments, as they were typed. That it is chosen from several is
 * written into the fault, by --kernel alone. */
static void user_words(FILE *f, struct arena *a, const json_t *arguments, char *fault)
{
    size_t i;
    json_t *x;
    char *chosen = strstr(fault, ":kernel=");
    word(f, a, "", json_string_value(json_object_get(arguments, "file")));
    if (chosen) {
        word(f, a, "--kernel", json_string_value(json_object_get(arguments, "kernel")));
        char *next = chosen + 1 + strcspn(chosen + 1, ":");
        memmove(chosen, next, strlen(next) + 1);
    }
    numbers(f, "--grid ", json_object_get(arguments, "grid"));
    numbers(f, "--block ", json_object_get(arguments, "block"));
    if (json_integer_value(json_object_get(arguments, "shared")))
        fprintf(f, " --shared %" JSON_INTEGER_FORMAT,
                json_integer_value(json_object_get(arguments, "shared")));
    json_array_foreach (json_object_get(arguments, "arguments"), i, x)
        word(f, a, "", json_string_value(json_is_object(x) ? json_object_get(x, "text") : x));
}

static void problem_words(FILE *f, struct arena *a, const struct problem_args *p, const char *tile)
{
    word(f, a, "--impl", p->impl);
    word(f, a, "--onnx", p->onnx);
    word(f, a, "--shape", p->shape);
    word(f, a, "--layer", p->layer);
    word(f, a, "--data", p->data);
    if (p->image)
        fprintf(f, " --image %" PRIu64, p->image);
    word(f, a, "--layout", p->layout);
    word(f, a, "--tile", tile);
    word(f, a, "--input", p->input);
    word(f, a, "--filter", p->filter);
    if (p->data_seed > 1)
        fprintf(f, " --data-seed %" PRIu64, p->data_seed);
}

/* Of how many faults a margin was to be found; 0: without end. */
static uint64_t faults_of(const struct store_campaign *c)
{
    struct fault_kind k;
    bool distinct =
        fault_kind_parse(&k, c->fault, &(struct diag){0}) == OK && k.sampling == SAMPLING_DISTINCT;
    return distinct ? c->population * fault_variants(&k) : 0;
}

/* Which injections: as many as the margin asked for, if that is what the store has, or their numbers. */
static void sample_words(FILE *f, const struct store_campaign *c, const json_t *made)
{
    double margin = json_number_value(json_object_get(made, "margin"));
    double confidence = json_number_value(json_object_get(made, "confidence"));
    bool sequential = json_is_true(json_object_get(made, "sequential"));
    if (store_is_exhaustive(c))
        return;
    bool by_margin =
        margin > 0 && margin < 1 && confidence > 0 && confidence < 1 && c->first == 0 &&
        (sequential || stats_sample_size(faults_of(c), margin, confidence, 0.5) == c->planned);
    if (by_margin)
        fprintf(f, " --margin %.15g --confidence %.15g%s", margin, confidence,
                sequential ? " --sequential" : "");
    else
        fprintf(f, " -n %" PRIu64, c->planned);
    if (c->first)
        fprintf(f, " --first %" PRIu64, c->first);
    fprintf(f, " --seed %" PRIu64, c->seed);
}

const char *again_inject(struct arena *a, const struct store_campaign *c, const char *store)
{
    bool is_user = c->ptx[0] != 0;
    json_t *arguments = json_loads(c->arguments, 0, NULL), *made = json_loads(c->made, 0, NULL);
    struct problem_args problem;
    char *text = NULL;
    size_t len = 0;
    FILE *f = NULL;
    const char *command = NULL;
    char *fault = arena_strdup(a, c->fault);
    if (is_user || find_problem(&problem, a, c, made, store))
        f = open_memstream(&text, &len);
    if (!f)
        goto out;
    fputs("sievert inject", f);
    if (is_user) {
        user_words(f, a, arguments, fault);
    } else {
        problem_words(f, a, &problem, c->tile);
    }
    if (json_is_true(json_object_get(arguments, "fates")))
        fputs(" --fates", f);
    word(f, a, "--check", json_string_value(json_object_get(arguments, "check")));
    word(f, a, "--fault", fault);
    word(f, a, "--population", c->population_kind);
    for (size_t i = 0; i < c->n_epsilons; i++)
        fprintf(f, "%s%.15g", i ? "," : " --eps ", c->epsilons[i]);
    fprintf(f, " --hang-factor %u", c->hang_factor);
    if (c->tensors != STORE_ALL_TENSORS)
        fprintf(f, " --tensors %" PRIu64, c->tensors);
    sample_words(f, c, made);
    if (fclose(f) == 0)
        command = arena_strdup(a, text);
    free(text);
out:
    json_decref(made);
    json_decref(arguments);
    return command;
}
