/* Finds the command and prints what went wrong. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "vocab/vocab.h"

#ifndef SIEVERT_VERSION
#define SIEVERT_VERSION "0.1.0"
#endif

static const struct {
    const struct cli_command *command;
    cli_run *run;
} commands[] = {
#define C(id) {&cmd_##id, run_##id},
#include "cli/commands.def"
#undef C
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

const struct cli_command *const *cli_commands(size_t *n)
{
    static const struct cli_command *const list[] = {
#define C(id) &cmd_##id,
#include "cli/commands.def"
#undef C
    };
    *n = N_COMMANDS;
    return list;
}

static void print_overview(FILE *to)
{
    fputs("sievert: what soft errors in a GPU do to convolutions and to the CNNs that use them\n\n"
          "Start here:\n"
          "  sievert study examples/lenet5.yaml -o out/     the whole path, out/report.html\n"
          "  sievert inject --impl direct --shape 1x6x14x14:16x5x5 -n 1000 -o run.db\n\n"
          "Commands (each has --help and --json):\n",
          to);
    for (int i = 0; i < N_COMMANDS; i++)
        fprintf(to, "  %-14s %s\n", commands[i].command->name, commands[i].command->summary);
    fputs("\nExit status: 0 done, 1 bad input or failure, 2 wrong usage, 130 interrupted.\n", to);
}

/* The command that argv begins with ("conv run" takes two words), or -1. */
static int find_command(int argc, char **argv, int *words)
{
    char two[64];
    snprintf(two, sizeof two, "%s %s", argv[1], argc > 2 ? argv[2] : "");
    for (int i = 0; i < N_COMMANDS; i++) {
        const char *name = commands[i].command->name;
        *words = strchr(name, ' ') ? 2 : 1;
        if (strcmp(name, *words == 2 ? two : argv[1]) == 0)
            return i;
    }
    return -1;
}

static int unknown_command(int argc, char **argv)
{
    const char *names[N_COMMANDS];
    char family[64], typed[128];
    bool is_family = false;
    snprintf(family, sizeof family, "%s ", argv[1]);
    for (int i = 0; i < N_COMMANDS; i++) {
        names[i] = commands[i].command->name;
        is_family |= strncmp(names[i], family, strlen(family)) == 0;
    }
    if (is_family && (argc == 2 || argv[2][0] == '-')) {
        fprintf(stderr, "sievert %s: one of these:\n", argv[1]);
        for (int i = 0; i < N_COMMANDS; i++)
            if (strncmp(names[i], family, strlen(family)) == 0)
                fprintf(stderr, "  sievert %-14s %s\n", names[i], commands[i].command->summary);
        return EXIT_USAGE;
    }
    snprintf(typed, sizeof typed, "%s%s%s", argv[1], is_family ? " " : "",
             is_family ? argv[2] : "");
    const char *near = vocab_nearest(typed, names, N_COMMANDS);
    fprintf(stderr, "sievert: unknown command '%s'", typed);
    if (near)
        fprintf(stderr, "; did you mean '%s'?", near);
    fputs("\nTry 'sievert --help'.\n", stderr);
    return EXIT_USAGE;
}

/* The line of the file that a diag points at, with a caret under the column. */
static void print_source_line(const struct diag *d)
{
    FILE *f = d->line > 0 && d->file[0] ? fopen(d->file, "r") : NULL;
    char *line = NULL;
    size_t capacity = 0;
    ssize_t n = -1;
    if (!f)
        return;
    for (int i = 0; i < d->line; i++)
        if ((n = getline(&line, &capacity, f)) < 0)
            break;
    if (n > 0 && n < 400) {
        fprintf(stderr, "  %s%s", line, line[n - 1] == '\n' ? "" : "\n");
        if (d->col > 0) {
            fputs("  ", stderr);
            for (int i = 0; i + 1 < d->col && i < n; i++)
                fputc(line[i] == '\t' ? '\t' : ' ', stderr);
            fputs("^\n", stderr);
        }
    }
    free(line);
    fclose(f);
}

static int report_failure(const struct cli *cli, int status)
{
    const struct diag *d = &cli->diag;
    if (cli->silent)
        return status == ERR_INTERRUPTED ? EXIT_INTERRUPTED
                                         : EXIT_DONE; /* or mpirun ends the others at once */
    if (status == ERR_INTERRUPTED) {
        fprintf(stderr, "sievert %s: interrupted: %s\n", cli->command->name,
                d->msg[0] ? d->msg : "run the same command again to continue");
        return EXIT_INTERRUPTED;
    }
    if (!d->file[0])
        fprintf(stderr, "sievert %s: error: %s\n", cli->command->name, d->msg);
    else if (d->line > 0)
        fprintf(stderr, "%s:%d:%d: error: %s\n", d->file, d->line, d->col, d->msg);
    else
        fprintf(stderr, "%s: error: %s\n", d->file, d->msg);
    print_source_line(d);
    return EXIT_FAILED;
}

int main(int argc, char **argv)
{
    int words;
    mallopt(M_MMAP_THRESHOLD,
            256 * 1024); /* or it grows, and large blocks tear holes into the heap */
    if (argc < 2) {
        print_overview(stderr);
        return EXIT_USAGE;
    }
    bool help = strcmp(argv[1], "help") == 0;
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || (help && argc == 2)) {
        print_overview(stdout);
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("sievert " SIEVERT_VERSION);
        return EXIT_DONE;
    }
    argc -= help;
    argv += help;
    int i = find_command(argc, argv, &words);
    if (i < 0)
        return unknown_command(argc, argv);
    if (help) {
        cli_help(commands[i].command);
        return EXIT_DONE;
    }

    struct cli cli = {.command = commands[i].command};
    void *args = arena_alloc(&cli.arena, cli.command->args_bytes);
    int status = cli_parse(&cli, args, argc - words, argv + words);
    if (status < 0) {
        int rc = commands[i].run(&cli, args);
        status = rc == OK ? EXIT_DONE : report_failure(&cli, rc);
        if (fflush(stdout) != 0 && status == EXIT_DONE) {
            perror("sievert: cannot write to standard output");
            status = EXIT_FAILED;
        }
    }
    fflush(NULL);
    if (cli.at_end)
        cli.at_end(&cli);
    arena_fini(&cli.arena);
    return status;
}
