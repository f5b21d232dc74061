/* manual: a man page, made from the same tables as --help. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "vocab/vocab.h"

const struct cli_command cmd_manual = {
    .name = "manual",
    .summary = "print a man page: of sievert, or of a command",
    .operands = "[COMMAND]",
    .max_operands = 2,
    .examples = "  sievert manual | man -l -\n"
                "  sievert manual conv run >sievert-conv-run.1\n",
};

/* Text for troff: hyphens stay hyphens, and no line becomes a request. */
static void troff(const char *s)
{
    bool start = true;
    for (; *s; s++) {
        if (start && (*s == '.' || *s == '\''))
            fputs("\\&", stdout);
        if (*s == '\\')
            fputs("\\e", stdout);
        else if (*s == '-')
            fputs("\\-", stdout);
        else
            putchar(*s);
        start = *s == '\n';
    }
}

static void heading(const char *title) { printf(".SH %s\n", title); }

static void head(const char *page, const char *summary)
{
    printf(".TH \"");
    for (const char *p = page; *p; p++)
        putchar(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p);
    puts("\" 1 \"\" \"Sievert\" \"Sievert\"");
    heading("NAME");
    troff(page);
    fputs(" \\- ", stdout);
    troff(summary);
    putchar('\n');
    heading("SYNOPSIS");
}

static void options(const struct cli_option *o)
{
    for (; o && o->name; o++) {
        puts(".TP");
        fputs("\\fB", stdout);
        if (o->letter)
            printf("\\-%c\\fR, \\fB", o->letter);
        fputs("\\-\\-", stdout);
        troff(o->name);
        fputs("\\fR", stdout);
        if (o->arg) {
            fputs(" \\fI", stdout);
            troff(o->arg);
            fputs("\\fR", stdout);
        }
        putchar('\n');
        troff(o->help);
        putchar('\n');
    }
}

static void exit_status(void)
{
    heading("EXIT STATUS");
    puts("0 done, 1 bad input or failure, 2 wrong usage, 130 interrupted.");
}

static void page_name(char out[static 64], const char *command)
{
    snprintf(out, 64, "sievert-%s", command);
    for (char *p = out; *p; p++)
        *p = *p == ' ' ? '-' : *p;
}

static void command_page(const struct cli_command *c)
{
    char page[64];
    page_name(page, c->name);
    head(page, c->summary);
    fputs("\\fBsievert ", stdout);
    troff(c->name);
    fputs("\\fR ", stdout);
    troff(c->operands ? c->operands : "");
    puts(" [\\fIOPTION\\fR...]");
    if (c->examples) {
        heading("EXAMPLES");
        puts(".nf");
        troff(c->examples);
        puts(".fi");
    }
    heading("OPTIONS");
    options(c->options);
    options(cli_common_options);
    exit_status();
    heading("SEE ALSO");
    puts(".BR sievert (1)");
}

static void overview_page(void)
{
    size_t n;
    const struct cli_command *const *commands = cli_commands(&n);
    head("sievert", "what soft errors in a GPU do to convolutions and to the CNNs that use them");
    puts("\\fBsievert\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR...]");
    heading("COMMANDS");
    for (size_t i = 0; i < n; i++) {
        char page[64];
        page_name(page, commands[i]->name);
        puts(".TP");
        fputs(".BR ", stdout);
        troff(page);
        puts(" (1)");
        troff(commands[i]->summary);
        putchar('\n');
    }
    heading("ENVIRONMENT");
    puts(".TP\n.B NO_COLOR\nIf set and not empty, tables on a terminal have no colours.");
    exit_status();
}

int run_manual(struct cli *cli, void *args)
{
    char name[64];
    size_t n;
    const struct cli_command *const *commands = cli_commands(&n);
    (void)args;
    if (cli->n_operands == 0) {
        overview_page();
        return OK;
    }
    snprintf(name, sizeof name, "%s%s%s", cli->operands[0], cli->n_operands > 1 ? " " : "",
             cli->n_operands > 1 ? cli->operands[1] : "");
    const char **names = arena_array(&cli->arena, n, sizeof *names);
    for (size_t i = 0; i < n; i++) {
        names[i] = commands[i]->name;
        if (strcmp(names[i], name) == 0) {
            command_page(commands[i]);
            return OK;
        }
    }
    const char *near = vocab_nearest(name, names, n);
    return diag_fail(&cli->diag, ERR_INPUT, DIAG_NOWHERE,
                     "there is no command '%s'; %s%s%s'sievert --help' lists them", name,
                     near ? "did you mean '" : "", near ? near : "", near ? "'? " : "");
}
