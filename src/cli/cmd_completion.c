/* completion: what a shell needs to complete sievert's words, made from the same tables as --help. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "conv/conv.h"
#include "vocab/vocab.h"

const struct cli_command cmd_completion = {
    .name = "completion",
    .summary = "print what bash or zsh needs to complete sievert's words",
    .operands = "bash|zsh",
    .min_operands = 1,
    .max_operands = 1,
    .examples = "  source <(sievert completion bash)\n"
                "  sievert completion zsh >~/.zfunc/_sievert\n",
};

/* The words that an option takes, separated by spaces; false if they are not a fixed list. */
static bool print_values(const struct cli_option *o)
{
    if (strcmp(o->name, "impl") == 0) {
        size_t n;
        const struct conv_impl *impls = conv_impls(&n);
        for (size_t i = 0; i < n; i++)
            printf("%s%s", i ? " " : "", impls[i].name);
    } else if (strcmp(o->name, "engine") == 0) {
        for (size_t i = 0; i < vocab_engines.n; i++)
            printf("%s%s", i ? " " : "", vocab_engines.words[i].word);
    } else if (strcmp(o->name, "layout") == 0) {
        for (size_t i = 0; i < vocab_layouts.n; i++)
            printf("%s%s", i ? " " : "", vocab_layouts.words[i].word);
    } else if (strcmp(o->name, "population") == 0) {
        fputs("machine ptx", stdout);
    } else {
        return false;
    }
    return true;
}

static bool is_listed(const struct cli_option *o)
{
    return strcmp(o->name, "impl") == 0 || strcmp(o->name, "engine") == 0 ||
           strcmp(o->name, "layout") == 0 || strcmp(o->name, "population") == 0;
}

/* First words: commands, and the families of two-word ones once each. */
static void print_first_words(const struct cli_command *const *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t len = strcspn(c[i]->name, " ");
        if (i == 0 || strncmp(c[i - 1]->name, c[i]->name, len + 1) != 0)
            printf("%s%.*s", i ? " " : "", (int)len, c[i]->name);
    }
}

static void print_second_words(const struct cli_command *const *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *space = strchr(c[i]->name, ' ');
        if (!space ||
            (i > 0 && strncmp(c[i - 1]->name, c[i]->name, (size_t)(space - c[i]->name) + 1) == 0))
            continue;
        int len = (int)(space - c[i]->name);
        printf("    %.*s)", len, c[i]->name);
        fputs(" second=\"", stdout);
        for (size_t k = i; k < n && strncmp(c[k]->name, c[i]->name, (size_t)len + 1) == 0; k++)
            printf("%s%s", k > i ? " " : "", c[k]->name + len + 1);
        puts("\" ;;");
    }
}

static void bash_values(const struct cli_command *const *c, size_t n)
{
    static const char *const listed[] = {"impl", "engine", "population"};
    for (size_t k = 0; k < sizeof listed / sizeof *listed; k++)
        for (size_t i = 0, done = 0; i < n && !done; i++)
            for (const struct cli_option *o = c[i]->options; o && o->name; o++) {
                if (strcmp(o->name, listed[k]) != 0)
                    continue;
                printf("    --%s) COMPREPLY=($(compgen -W \"", o->name);
                print_values(o);
                puts("\" -- \"$cur\")); return ;;");
                done = 1;
                break;
            }
}

static void bash_options(const struct cli_option *o)
{
    for (; o && o->name; o++)
        printf(" --%s", o->name);
}

static void bash(const struct cli_command *const *c, size_t n)
{
    puts("_sievert() {\n"
         "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} second= options=\n"
         "  COMPREPLY=()\n"
         "  case ${COMP_WORDS[1]} in");
    print_second_words(c, n);
    fputs("  esac\n"
          "  if [ \"$COMP_CWORD\" = 1 ]; then\n"
          "    COMPREPLY=($(compgen -W \"",
          stdout);
    print_first_words(c, n);
    puts(" --help --version\" -- \"$cur\")); return\n"
         "  fi\n"
         "  if [ \"$COMP_CWORD\" = 2 ] && [ -n \"$second\" ]; then\n"
         "    COMPREPLY=($(compgen -W \"$second\" -- \"$cur\")); return\n"
         "  fi\n"
         "  case $prev in");
    bash_values(c, n);
    puts("  esac\n"
         "  case \"${COMP_WORDS[1]}${second:+ ${COMP_WORDS[2]}}\" in");
    for (size_t i = 0; i < n; i++) {
        printf("    '%s') options=\"", c[i]->name);
        bash_options(c[i]->options);
        bash_options(cli_common_options);
        puts("\" ;;");
    }
    puts("  esac\n"
         "  case $cur in\n"
         "    -*) COMPREPLY=($(compgen -W \"$options\" -- \"$cur\")) ;;\n"
         "    *) COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n"
         "  esac\n"
         "}\n"
         "complete -o filenames -F _sievert sievert");
}

/* Text inside a single-quoted zsh word and in the brackets of _arguments. */
static void zsh_text(const char *s)
{
    for (; *s; s++) {
        if (*s == '\'')
            fputs("'\\''", stdout);
        else if (strchr("[]:\\", *s))
            printf("\\%c", *s);
        else
            putchar(*s);
    }
}

static void zsh_options(const struct cli_option *o)
{
    for (; o && o->name; o++) {
        printf(" \\\n        '--%s%s[", o->name, o->arg ? "=" : "");
        zsh_text(o->help);
        putchar(']');
        if (o->arg) {
            putchar(':');
            zsh_text(o->arg);
            fputs(is_listed(o) ? ":(" : o->kind == OPT_STRING ? ":_files" : ":", stdout);
            if (print_values(o))
                putchar(')');
        }
        putchar('\'');
    }
}

static void zsh(const struct cli_command *const *c, size_t n)
{
    puts("#compdef sievert\n"
         "_sievert() {\n"
         "  local second=\n"
         "  case $words[2] in");
    print_second_words(c, n);
    fputs("  esac\n"
          "  if (( CURRENT == 2 )); then\n"
          "    compadd -- ",
          stdout);
    print_first_words(c, n);
    puts("\n    return\n"
         "  fi\n"
         "  if (( CURRENT == 3 )) && [[ -n $second ]]; then\n"
         "    compadd -- ${=second}\n"
         "    return\n"
         "  fi\n"
         "  local command=\"$words[2]${second:+ $words[3]}\"\n"
         "  shift words; (( CURRENT-- ))\n"
         "  if [[ -n $second ]]; then shift words; (( CURRENT-- )); fi\n"
         "  case $command in");
    for (size_t i = 0; i < n; i++) {
        printf("    '%s')\n      _arguments", c[i]->name);
        zsh_options(c[i]->options);
        zsh_options(cli_common_options);
        puts(" \\\n        '*:file:_files' ;;");
    }
    puts("  esac\n"
         "}\n"
         "if [ \"$funcstack[1]\" = _sievert ]; then _sievert \"$@\"; else compdef _sievert "
         "sievert; fi");
}

int run_completion(struct cli *cli, void *args)
{
    size_t n;
    const struct cli_command *const *commands = cli_commands(&n);
    (void)args;
    if (strcmp(cli->operands[0], "bash") == 0)
        bash(commands, n);
    else if (strcmp(cli->operands[0], "zsh") == 0)
        zsh(commands, n);
    else
        return diag_fail(&cli->diag, ERR_INPUT, DIAG_NOWHERE,
                         "'%s': completion is for bash and for zsh", cli->operands[0]);
    return OK;
}
