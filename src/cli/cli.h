/* Words typed by a person -> the parts. The only part that prints. A command is one row of
 * commands.def and one cmd_*.c; its options are a table from which parsing and --help are made. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/diag.h"

enum exit_status { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

enum option_kind {
    OPT_FLAG,
    OPT_STRING,
    OPT_INT,
    OPT_U64,
    OPT_COUNT, /* uint64_t: how many, 1 to 10^15, so that sums of them are exact everywhere */
    OPT_DOUBLE,
    OPT_SHARE, /* double: more than 0, less than 1; "1%" too */
    OPT_DOUBLES,
};

/* A comma-separated list of numbers. */
struct doubles {
    size_t n;
    double v[16];
};

/* One option; its value goes to the field at offset of the command's argument struct. */
struct cli_option {
    const char *name; /* "impl": given as --impl */
    char letter;      /* 'n': also given as -n; 0: none */
    enum option_kind kind;
    const char *arg; /* what --help calls the value */
    const char *help;
    size_t offset;
};
#define CLI_OPTION_END                                                                             \
    {                                                                                              \
        0                                                                                          \
    }

struct cli_command {
    const char *name;               /* "conv run" */
    const char *summary;            /* one line */
    const char *operands;           /* "STORE NUMBER" or "" */
    int min_operands, max_operands; /* max -1: any number */
    const char *examples;           /* whole lines, shown first by --help */
    const struct cli_option *options;
    size_t args_bytes;
    void (*defaults)(void *args); /* may be NULL: all zero */
};

/* What every command has. */
struct cli {
    const struct cli_command *command;
    bool json, quiet;
    void (*at_end)(struct cli *cli); /* the last call, once all is printed; may be NULL */
    void *at_end_ctx;
    bool silent;          /* a failure that another process of the same run tells */
    const char *progress; /* "auto", "json" or "none" */
    int n_operands;
    char **operands;
    struct arena arena; /* freed when the command returns */
    struct diag diag;
};

/* Commands return OK or a status with cli->diag filled. commands.def names them all. */
typedef int cli_run(struct cli *cli, void *args);
#define C(id)                                                                                      \
    extern const struct cli_command cmd_##id;                                                      \
    cli_run run_##id;
#include "cli/commands.def"
#undef C

/* All commands in the order of the help, and the options that each of them has. */
const struct cli_command *const *cli_commands(size_t *n);
extern const struct cli_option cli_common_options[];

/* Parse argv of a command. Returns -1 to go on, or an exit status (help shown, wrong usage). */
int cli_parse(struct cli *cli, void *args, int argc, char **argv);
void cli_help(const struct cli_command *command);

/* ---- Output ---------------------------------------------------------------------------------- */
/* A table of text: columns as wide as needed, numbers (cells that begin with a digit, + or -) to the
 * right. Rows are added cell by cell. */
struct table {
    struct arena *arena;
    size_t n_columns, n_cells, capacity;
    const char **cells;
};
void table_init(struct table *t, struct arena *a, size_t n_columns, const char *const *titles);
void table_cell(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A share, 0 to 1, as a bar of at most `width` characters, in eighths of one. In a. */
char *bar(struct arena *a, double share, int width);
void table_print(const struct table *t);

/* Whether tables on stdout may have colours: a terminal, and NO_COLOR (no-color.org) not set. */
bool cli_colour(void);

/* Print a JSON document on stdout and release it. */
void cli_print_json(json_t *j);

/* ---- Progress and interruption --------------------------------------------------------------- */
/* One line on stderr, rewritten on a terminal, repeated every few seconds elsewhere; with --progress json
 * an object a second, each on its line. */
struct progress_line {
    bool quiet, terminal, json, shown;
    double next; /* monotonic time before which nothing is shown */
    size_t width;
};
void progress_begin(struct progress_line *p, const struct cli *cli);
/* fraction of the work done (0 to 1), elapsed seconds; text is shown after them. */
void progress_show(struct progress_line *p, double fraction, double seconds, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The whole line, where time left is not seconds / fraction x (1 - fraction). */
void progress_line(struct progress_line *p, double fraction, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* In the place of progress_show where p->json: these members beside fraction and seconds. Takes details. */
void progress_json(struct progress_line *p, double fraction, double seconds, json_t *details);
void progress_end(struct progress_line *p);
/* "1:05", "2:03:04" */
void format_seconds(char out[static 16], double seconds);

/* Set by SIGINT and SIGTERM once cli_catch_interrupts was called. */
extern volatile bool cli_stop;
void cli_catch_interrupts(void);

/* What --eps is unless given, wherever errors are labelled: 0, which means bit for bit; by the CLASSES classifier's
 * rules what that takes. */
static inline double cli_epsilon(bool compat) { return compat ? 1e-3 : 0; }
#define CLI_EPSILON_HELP                                                                           \
    "absolute differences below E do not count (0: bit for bit; --compat: 1e-3)"

#endif
