/* Tables of options -> getopt_long, typed values, --help. */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "vocab/vocab.h"

enum { MAX_OPTIONS = 48, CODE_FIRST = 256 };

/* Options that every command has. */
const struct cli_option cli_common_options[] = {
    {"json", 0, OPT_FLAG, NULL, "print results as JSON", offsetof(struct cli, json)},
    {"quiet", 'q', OPT_FLAG, NULL, "no progress on stderr", offsetof(struct cli, quiet)},
    {"progress", 0, OPT_STRING, "HOW", "auto; json: an object a second on stderr; none",
     offsetof(struct cli, progress)},
    {"help", 'h', OPT_FLAG, NULL, "show this", 0},
    CLI_OPTION_END,
};

static int usage_error(const struct cli *cli, const char *fmt, const char *a, const char *b)
{
    fprintf(stderr, "sievert %s: error: ", cli->command->name);
    fprintf(stderr, fmt, a, b);
    fprintf(stderr, "\nTry 'sievert %s --help'.\n", cli->command->name);
    return EXIT_USAGE;
}

static bool parse_u64(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    if (*text < '0' || *text > '9')
        return false;
    unsigned long long v = strtoull(text, &end, 0);
    *out = v;
    return *end == 0 && errno == 0;
}

static bool parse_count(const char *text, uint64_t *out)
{
    return parse_u64(text, out) && *out >= 1 && *out <= 1000000000000000;
}

static bool parse_int(const char *text, int *out)
{
    char *end;
    errno = 0;
    long v = strtol(text, &end, 0);
    *out = (int)v;
    return end != text && *end == 0 && errno == 0 && v >= INT32_MIN && v <= INT32_MAX;
}

/* A finite number, "1%" meaning 0.01. Stops at the comma of a list. */
static const char *parse_number(const char *text, double *out)
{
    char *end;
    *out = strtod(text, &end);
    if (end == text || !isfinite(*out))
        return NULL;
    if (*end == '%') {
        *out /= 100;
        end++;
    }
    return end;
}

static bool parse_double(const char *text, double *out)
{
    const char *end = parse_number(text, out);
    return end && *end == 0;
}

static bool parse_share(const char *text, double *out)
{
    return parse_double(text, out) && *out > 0 && *out < 1;
}

static bool parse_doubles(const char *text, struct doubles *out)
{
    const size_t max = sizeof out->v / sizeof *out->v;
    out->n = 0;
    for (;;) {
        if (out->n == max || !(text = parse_number(text, &out->v[out->n])))
            return false;
        out->n++;
        if (*text == 0)
            return true;
        if (*text++ != ',')
            return false;
    }
}

static const char *store_value(const struct cli_option *o, void *args, const char *text)
{
    void *field = (char *)args + o->offset;
    switch (o->kind) {
    case OPT_FLAG:
        *(bool *)field = true;
        return NULL;
    case OPT_STRING:
        *(const char **)field = text;
        return NULL;
    case OPT_INT:
        return parse_int(text, field) ? NULL : "a whole number";
    case OPT_U64:
        return parse_u64(text, field) ? NULL : "a whole number, 0 or more";
    case OPT_COUNT:
        return parse_count(text, field) ? NULL : "a whole number, 1 to 10^15";
    case OPT_SHARE:
        return parse_share(text, field) ? NULL : "a share between 0 and 1 (1% is 0.01)";
    case OPT_DOUBLE:
        return parse_double(text, field) ? NULL : "a number";
    case OPT_DOUBLES:
        return parse_doubles(text, field) ? NULL : "a list of at most 16 numbers: 0,1e-6,1e-3";
    }
    return "?";
}

struct rows {
    size_t n;
    const struct cli_option *row[MAX_OPTIONS];
    bool is_common[MAX_OPTIONS];
};

static void collect(struct rows *r, const struct cli_option *o, bool is_common)
{
    for (; o && o->name && r->n < MAX_OPTIONS; o++) {
        r->row[r->n] = o;
        r->is_common[r->n++] = is_common;
    }
}

static int unknown_option(const struct cli *cli, const struct rows *r, const char *word)
{
    const char *names[MAX_OPTIONS];
    char stem[64];
    for (size_t i = 0; i < r->n; i++)
        names[i] = r->row[i]->name;
    snprintf(stem, sizeof stem, "%s", word + strspn(word, "-"));
    stem[strcspn(stem, "=")] = 0;
    const char *near = vocab_nearest(stem, names, r->n);
    return near ? usage_error(cli, "unknown option '%s'; did you mean '--%s'?", word, near)
                : usage_error(cli, "unknown option '%s'%s", word, "");
}

int cli_parse(struct cli *cli, void *args, int argc, char **argv)
{
    struct rows r = {0};
    struct option longs[MAX_OPTIONS + 1] = {0};
    char letters[2 * MAX_OPTIONS + 2] = ":", *letter = letters + 1;
    collect(&r, cli->command->options, false);
    collect(&r, cli_common_options, true);
    for (size_t i = 0; i < r.n; i++) {
        const struct cli_option *o = r.row[i];
        int has_arg = o->kind == OPT_FLAG ? no_argument : required_argument;
        longs[i] = (struct option){o->name, has_arg, NULL, CODE_FIRST + (int)i};
        if (o->letter)
            *letter++ = o->letter;
        if (o->letter && has_arg)
            *letter++ = ':';
    }
    if (cli->command->defaults)
        cli->command->defaults(args);

    optind = 0;
    opterr = 0;
    int c;
    while ((c = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
        if (c == ':')
            return usage_error(cli, "%s needs a value%s", argv[optind - 1], "");
        if (c == '?')
            return unknown_option(cli, &r,
                                  optopt && optopt < CODE_FIRST ? (char[]){'-', (char)optopt, 0}
                                                                : argv[optind - 1]);
        size_t i = c >= CODE_FIRST ? (size_t)(c - CODE_FIRST) : 0;
        while (c < CODE_FIRST && r.row[i]->letter != c)
            i++;
        if (strcmp(r.row[i]->name, "help") == 0) {
            cli_help(cli->command);
            return EXIT_DONE;
        }
        const char *wanted = store_value(r.row[i], r.is_common[i] ? (void *)cli : args, optarg);
        if (wanted) {
            char what[256];
            snprintf(what, sizeof what, "--%s: '%.100s'", r.row[i]->name, optarg);
            return usage_error(cli, "%s is not %s", what, wanted);
        }
    }
    const char *how = cli->progress;
    if (how && strcmp(how, "auto") != 0 && strcmp(how, "json") != 0 && strcmp(how, "none") != 0)
        return usage_error(cli, "--progress: '%s' is not auto, json or none%s", how, "");
    cli->operands = argv + optind;
    cli->n_operands = argc - optind;
    if (cli->n_operands < cli->command->min_operands)
        return usage_error(cli, "%s: %s", "missing operand", cli->command->operands);
    if (cli->command->max_operands >= 0 && cli->n_operands > cli->command->max_operands)
        return usage_error(cli, "unexpected operand '%s'%s",
                           cli->operands[cli->command->max_operands], "");
    return -1;
}

static void print_options(const struct cli_option *o)
{
    for (; o && o->name; o++) {
        char left[80];
        int n = o->letter ? snprintf(left, sizeof left, "  -%c, ", o->letter)
                          : snprintf(left, sizeof left, "      ");
        snprintf(left + n, sizeof left - (size_t)n, "--%s%s%s", o->name, o->arg ? " " : "",
                 o->arg ? o->arg : "");
        printf("%-30s %s\n", left, o->help);
    }
}

void cli_help(const struct cli_command *c)
{
    printf("sievert %s: %s\n\n", c->name, c->summary);
    if (c->examples)
        printf("Examples:\n%s\n", c->examples);
    printf("Usage: sievert %s%s%s%s\n\nOptions:\n", c->name, *c->operands ? " " : "", c->operands,
           " [OPTION...]");
    print_options(c->options);
    print_options(cli_common_options);
}
