/* Faults by PTX line -> faults by source line, through the .loc directives of the PTX. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/priv.h"

/* Faults of one source line, over all launches. file indexes the document's sources, -1: unknown. */
struct source_line {
    int file, line;
    uint64_t outcome[N_OUTCOMES];
    double critical;
};

enum { MAX_FILES = 64 };
/* The PTX of a launch: file numbers -> the document's sources, and where reading has got to. */
struct ptx {
    const char *at;
    int number; /* of the line at `at` */
    int sources[MAX_FILES];
    int file, line; /* of the last .loc */
};

/* Index of a file in the document's sources, added if new. */
static int source_index(json_t *sources, const char *name, const struct report_sources *from)
{
    size_t i;
    json_t *s, *text = json_text(name);
    json_array_foreach (sources, i, s)
        if (json_equal(json_object_get(s, "name"), text)) {
            json_decref(text);
            return (int)i;
        }
    const char *content = from->file ? from->file(from->ctx, name) : NULL;
    json_t *lines = json_array();
    while (content && *content) {
        size_t len = strcspn(content, "\n");
        char *line = strndup(content, len);
        json_array_append_new(lines, json_text(line));
        free(line);
        content += len + (content[len] == '\n');
    }
    json_array_append_new(sources, json_pack("{s:o, s:o}", "name", text, "lines", lines));
    return (int)i;
}

/* What follows the directive's name, if the line is one, in buf; else NULL. */
static const char *operands(const char *line, const char *directive, char buf[static 320])
{
    line += strspn(line, " \t");
    size_t skip = strlen(directive), len = strcspn(line, "\n");
    if (len <= skip || len - skip >= 320 || memcmp(line, directive, skip) != 0)
        return NULL;
    memcpy(buf, line + skip, len - skip);
    buf[len - skip] = 0;
    return buf;
}

/* .file NUMBER ["FOLDER"] "NAME" */
static void read_file(struct ptx *p, const char *line, json_t *sources,
                      const struct report_sources *from)
{
    char buf[320], first[256], second[256];
    const char *text = operands(line, ".file", buf);
    unsigned number;
    int n = text ? sscanf(text, "%u \"%255[^\"]\" \"%255[^\"]\"", &number, first, second) : 0;
    if (n < 2 || number >= MAX_FILES)
        return;
    const char *name = n == 3 ? second : first;
    const char *plain = strncmp(name, "./", 2) == 0 ? name + 2 : name;
    p->sources[number] = source_index(sources, plain, from);
}

static const char *next_line(const char *at)
{
    at += strcspn(at, "\n");
    return at + (*at == '\n');
}

static struct ptx ptx_open(const char *text, json_t *sources, const struct report_sources *from)
{
    struct ptx p = {.at = text, .number = 1, .file = -1};
    for (int i = 0; i < MAX_FILES; i++)
        p.sources[i] = -1;
    for (const char *at = text; at && *at; at = next_line(at))
        read_file(&p, at, sources, from);
    return p;
}

/* Read on to a line, which is not before the last one asked for. */
static void ptx_advance(struct ptx *p, int to)
{
    for (; p->at && *p->at && p->number <= to; p->at = next_line(p->at), p->number++) {
        char buf[320];
        const char *text = operands(p->at, ".loc", buf);
        unsigned file;
        int line;
        if (!text || sscanf(text, "%u %d", &file, &line) != 2)
            continue;
        p->file = file < MAX_FILES ? p->sources[file] : -1;
        p->line = line;
    }
}

static int compare(const void *a, const void *b)
{
    const struct source_line *x = a, *y = b;
    return x->file != y->file ? (x->file > y->file) - (x->file < y->file)
                              : (x->line > y->line) - (x->line < y->line);
}

static size_t merge(struct source_line *s, size_t n)
{
    size_t k = 0;
    if (n)
        qsort(s, n, sizeof *s, compare);
    for (size_t i = 0; i < n; i++) {
        if (k == 0 || compare(&s[k - 1], &s[i]) != 0) {
            s[k++] = s[i];
            continue;
        }
        for (int o = 0; o < N_OUTCOMES; o++)
            s[k - 1].outcome[o] += s[i].outcome[o];
        s[k - 1].critical += s[i].critical;
    }
    return k;
}

/* As clang writes it, an instruction has the .loc before it; the store's own line says the same, but
 * not of which file. */
static void place(struct source_line *out, const struct tally *t, const struct report_sources *from,
                  json_t *sources)
{
    struct ptx p = {0};
    for (size_t i = 0; i < t->n_lines; i++) {
        const struct line_tally *l = &t->lines[i];
        if (i == 0 || l->launch != t->lines[i - 1].launch)
            p = ptx_open(from && from->ptx ? from->ptx(from->ctx, t->campaign, l->launch) : NULL,
                         sources, from);
        ptx_advance(&p, l->ptx_line);
        bool known = p.file >= 0 && p.line == l->source_line;
        out[i] = (struct source_line){known ? p.file : -1, l->source_line, {0}, l->critical};
        memcpy(out[i].outcome, l->outcome, sizeof l->outcome);
    }
}

json_t *lines_json(const struct tally *t, const struct report_sources *from, json_t *sources)
{
    json_t *list = json_array();
    struct source_line *s = calloc(t->n_lines + 1, sizeof *s);
    if (!s)
        return list;
    place(s, t, from, sources);
    size_t n = merge(s, t->n_lines);
    for (size_t i = 0; i < n; i++)
        json_array_append_new(
            list,
            json_pack("[i, i, I, I, I, o]", s[i].file, s[i].line,
                      (json_int_t)s[i].outcome[OUTCOME_MASKED],
                      (json_int_t)s[i].outcome[OUTCOME_SDC], (json_int_t)s[i].outcome[OUTCOME_DUE],
                      t->direct.known ? json_number(s[i].critical) : json_null()));
    free(s);
    return list;
}
