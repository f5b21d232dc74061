/* A stored campaign -> the `sievert inject` that makes it again. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/again.h"
#include "cli/problem.h"
#include "report/report.h"

/* Whether the tensors are those that inject takes when none are named. */
static bool default_tensors(struct arena *a, const struct store_campaign *c)
{
    struct problem in;
    struct problem_args args = {0};
    problem_defaults(&args);
    args.impl = c->impl;
    args.shape = c->shape;
    if (problem_load(&in, a, &args, NULL) != OK)
        return false;
    const struct conv_problem *p = &in.problem;
    return (uint64_t)p->n * (uint64_t)p->c * (uint64_t)p->h * (uint64_t)p->w == c->input_floats &&
           (uint64_t)p->k * (uint64_t)(p->c / p->groups) * (uint64_t)p->r * (uint64_t)p->s ==
               c->filter_floats &&
           memcmp(in.input, c->input, c->input_floats * sizeof *c->input) == 0 &&
           memcmp(in.filter, c->filter, c->filter_floats * sizeof *c->filter) == 0;
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

const char *again_inject(struct arena *a, const struct store_campaign *c)
{
    bool is_user = c->ptx[0] != 0;
    json_t *arguments = json_loads(c->arguments, 0, NULL);
    char *text = NULL;
    size_t len = 0;
    FILE *f = NULL;
    const char *command = NULL;
    char *fault = arena_strdup(a, c->fault);
    if (c->first == 0 && c->n_strata == 0 && (is_user || (!c->layer[0] && default_tensors(a, c))))
        f = open_memstream(&text, &len);
    if (!f)
        goto out;
    fputs("sievert inject", f);
    if (is_user) {
        user_words(f, a, arguments, fault);
    } else {
        word(f, a, "--impl", c->impl);
        word(f, a, "--shape", c->shape);
        word(f, a, "--tile", c->tile);
    }
    word(f, a, "--check", json_string_value(json_object_get(arguments, "check")));
    word(f, a, "--fault", fault);
    word(f, a, "--population", c->population_kind);
    for (size_t i = 0; i < c->n_epsilons; i++)
        fprintf(f, "%s%.15g", i ? "," : " --eps ", c->epsilons[i]);
    fprintf(f, " --hang-factor %u", c->hang_factor);
    if (c->tensors != STORE_ALL_TENSORS)
        fprintf(f, " --tensors %" PRIu64, c->tensors);
    fprintf(f, " -n %" PRIu64 " --seed %" PRIu64, c->planned, c->seed);
    if (fclose(f) == 0)
        command = arena_strdup(a, text);
    free(text);
out:
    json_decref(arguments);
    return command;
}
