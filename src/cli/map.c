#include "cli/map.h"

#include <stdio.h>

#include "vocab/vocab.h"

static double number(const json_t *row, const char *key)
{
    return json_number_value(json_object_get(row, key));
}

static void share(struct table *t, const json_t *row, const char *key)
{
    const json_t *s = json_object_get(row, key);
    double p = number(s, "share"), lo = number(s, "lo"), hi = number(s, "hi");
    if (lo < hi || json_is_null(json_object_get(s, "share")))
        table_cell(t, "%.1f %% [%.1f, %.1f]", 100 * p, 100 * lo, 100 * hi);
    else /* of all there are */
        table_cell(t, "%.4f %%", 100 * p);
}

static void print_part(struct cli *cli, const json_t *rows, const char *what, const char *title)
{
    struct table t;
    size_t i;
    const json_t *row;
    if (json_array_size(rows) == 0)
        return;
    table_init(&t, &cli->arena, 6,
               (const char *const[]){"kernel", title, "injections", "masked", "SDC", "DUE"});
    json_array_foreach (rows, i, row) {
        const json_t *name = json_object_get(row, what), *ptx = json_object_get(row, "ptx_line");
        table_cell(&t, "%s", json_string_value(json_object_get(row, "kernel")));
        if (json_is_string(name))
            table_cell(&t, "%s", json_string_value(name));
        else if (ptx)
            table_cell(&t, "PTX %lld", (long long)json_integer_value(ptx));
        else
            table_cell(&t, "%lld", (long long)json_integer_value(name));
        table_cell(&t, "%lld", (long long)json_integer_value(json_object_get(row, "n")));
        for (int o = 0; o < N_OUTCOMES; o++)
            share(&t, row, vocab_word(&vocab_outcomes, o));
    }
    printf("\n");
    table_print(&t);
}

void cli_print_map(struct cli *cli, const json_t *rows)
{
    print_part(cli, json_object_get(rows, "lines"), "line", "source line");
    print_part(cli, json_object_get(rows, "registers"), "register", "register");
}

void cli_print_fates(struct cli *cli, const json_t *rows)
{
    struct table t;
    const char *fate;
    json_t *s, *fates = json_object_get(rows, "fates");
    table_init(&t, &cli->arena, 3, (const char *const[]){"fate", "injections", "share"});
    json_object_foreach (fates, fate, s) {
        table_cell(&t, "%s", fate);
        table_cell(&t, "%lld", (long long)json_integer_value(json_object_get(s, "n")));
        table_cell(&t, "%.1f %% [%.1f, %.1f]", 100 * number(s, "share"), 100 * number(s, "lo"),
                   100 * number(s, "hi"));
    }
    printf("\n");
    table_print(&t);
}

void cli_print_strata(struct cli *cli, const json_t *report)
{
    struct table t;
    size_t i;
    const json_t *row,
        *strata = json_object_get(json_array_get(json_object_get(report, "cells"), 0), "strata");
    if (json_array_size(strata) == 0)
        return;
    table_init(&t, &cli->arena, 9,
               (const char *const[]){"launch", "kernel", "part", "sites", "weight", "injections",
                                     "masked", "SDC", "DUE"});
    json_array_foreach (strata, i, row) {
        table_cell(&t, "%lld", (long long)json_integer_value(json_object_get(row, "launch")));
        table_cell(&t, "%s", json_string_value(json_object_get(row, "kernel")));
        table_cell(&t, "%s", json_string_value(json_object_get(row, "part")));
        table_cell(&t, "%lld", (long long)json_integer_value(json_object_get(row, "population")));
        table_cell(&t, "%.4f", number(row, "weight"));
        table_cell(&t, "%lld", (long long)json_integer_value(json_object_get(row, "n")));
        for (int o = 0; o < N_OUTCOMES; o++)
            share(&t, row, vocab_word(&vocab_outcomes, o));
    }
    printf("\n");
    table_print(&t);
}
