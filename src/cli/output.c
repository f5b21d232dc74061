/* Tables, JSON, the progress line and interruption. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "campaign/team.h"
#include "cli/cli.h"

void table_init(struct table *t, struct arena *a, size_t n_columns, const char *const *titles)
{
    *t = (struct table){.arena = a, .n_columns = n_columns};
    for (size_t i = 0; i < n_columns; i++)
        table_cell(t, "%s", titles[i]);
}

void table_cell(struct table *t, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (t->n_cells == t->capacity) {
        size_t capacity = t->capacity ? 2 * t->capacity : 64;
        const char **cells = arena_array(t->arena, capacity, sizeof *cells);
        if (t->n_cells)
            memcpy(cells, t->cells, t->n_cells * sizeof *cells);
        t->cells = cells;
        t->capacity = capacity;
    }
    t->cells[t->n_cells++] = arena_strdup(t->arena, text);
}

bool cli_colour(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && !(no && *no) && !(term && strcmp(term, "dumb") == 0) &&
           !team_is_expected(); /* mpirun gives its ranks a terminal, and writes to a file */
}

static bool is_number(const char *s) { return strchr("0123456789+-", *s) != NULL; }

/* Columns that a terminal shows: UTF-8 continuation bytes take none. */
static size_t columns(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xC0) != 0x80;
    return n;
}

char *bar(struct arena *a, double share, int width)
{
    static const char *const eighth[] = {"",       "\u258f", "\u258e", "\u258d",
                                         "\u258c", "\u258b", "\u258a", "\u2589"};
    const int eighths = (int)(share * 8 * width + 0.5);
    char *text = arena_strdup(a, "");
    for (int i = 0; i < eighths / 8; i++)
        text = arena_printf(a, "%s\u2588", text);
    return arena_printf(a, "%s%s", text, eighth[eighths % 8]);
}

void table_print(const struct table *t)
{
    size_t *width = arena_array(t->arena, t->n_columns, sizeof *width);
    bool *right = arena_array(t->arena, t->n_columns, sizeof *right);
    for (size_t i = 0; i < t->n_cells; i++) {
        size_t column = i % t->n_columns, w = columns(t->cells[i]);
        if (w > width[column])
            width[column] = w;
        if (i >= t->n_columns && *t->cells[i])
            right[column] = is_number(t->cells[i]);
    }
    for (size_t i = 0; i < t->n_cells; i++) {
        size_t column = i % t->n_columns;
        bool last = column + 1 == t->n_columns;
        int pad = (int)(width[column] - columns(t->cells[i]));
        if (right[column])
            printf("%*s%s", pad, "", t->cells[i]);
        else
            printf("%s%*s", t->cells[i], last ? 0 : pad, "");
        fputs(last ? "\n" : "  ", stdout);
    }
}

void cli_print_json(json_t *j)
{
    json_dumpf(j, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    putchar('\n');
    json_decref(j);
}

void format_seconds(char out[static 16], double seconds)
{
    unsigned s = seconds > 0 && seconds < 3.5e6 ? (unsigned)(seconds + 0.5) : 0;
    if (s >= 3600)
        snprintf(out, 16, "%u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, 16, "%u:%02u", s / 60, s % 60);
}

void progress_begin(struct progress_line *p, const struct cli *cli)
{
    const char *how = cli->progress ? cli->progress : "auto";
    *p = (struct progress_line){.quiet = cli->quiet || strcmp(how, "none") == 0,
                                .json = strcmp(how, "json") == 0,
                                .terminal = isatty(STDERR_FILENO)};
}

/* Whether it is time to show something; the end of the work is always told to machines. */
static bool due(struct progress_line *p, double fraction)
{
    double now = clock_seconds();
    if (p->quiet || (now < p->next && !(p->json && fraction >= 1)))
        return false;
    p->next = now + (p->json ? 1 : p->terminal ? 0.1 : 5.0);
    return true;
}

void progress_json(struct progress_line *p, double fraction, double seconds, json_t *details)
{
    if (due(p, fraction)) {
        json_object_set_new(details, "fraction", json_real(fraction));
        json_object_set_new(details, "seconds", json_real(seconds));
        json_dumpf(details, stderr, JSON_COMPACT | JSON_REAL_PRECISION(6));
        fputc('\n', stderr);
        fflush(stderr);
    }
    json_decref(details);
}

static void show_line(struct progress_line *p, const char *line)
{
    size_t width = columns(line);
    if (p->terminal)
        fprintf(stderr, "\r%s%*s", line, p->width > width ? (int)(p->width - width) : 0, "");
    else
        fprintf(stderr, "%s\n", line);
    fflush(stderr);
    p->width = width;
    p->shown = true;
}

void progress_line(struct progress_line *p, double fraction, const char *fmt, ...)
{
    char line[320];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (due(p, fraction))
        show_line(p, line);
}

void progress_show(struct progress_line *p, double fraction, double seconds, const char *fmt, ...)
{
    char line[256], text[200], left[16] = "?";
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (p->json) {
        progress_json(p, fraction, seconds, json_pack("{s:s}", "doing", text));
        return;
    }
    if (!due(p, fraction))
        return;
    if (fraction > 0)
        format_seconds(left, seconds / fraction * (1 - fraction));
    snprintf(line, sizeof line, "%5.1f %%  %s left  %s", 100 * fraction, left, text);
    show_line(p, line);
}

void progress_end(struct progress_line *p)
{
    if (p->shown && p->terminal)
        fprintf(stderr, "\r%*s\r", (int)p->width, "");
    p->shown = false;
}

volatile bool cli_stop;

static void on_signal(int number)
{
    (void)number;
    cli_stop = true;
}

void cli_catch_interrupts(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}
