/* compare: campaigns beside each other. */
#include <stdio.h>

#include "cli/cli.h"
#include "report/report.h"

struct compare_args {
    double confidence;
};

static void defaults(void *args) { ((struct compare_args *)args)->confidence = 0.95; }

const struct cli_command cmd_compare = {
    .name = "compare",
    .summary = "campaigns beside each other: SDCs per fault, per bit-instant, per inference",
    .operands = "RUN.db RUN.db...",
    .min_operands = 2,
    .max_operands = -1,
    .examples = "  sievert compare gemm.db winograd.db fft.db\n",
    .options =
        (const struct cli_option[]){{"confidence", 0, OPT_SHARE, "C", "of the intervals (95%)",
                                     offsetof(struct compare_args, confidence)},
                                    CLI_OPTION_END},
    .args_bytes = sizeof(struct compare_args),
    .defaults = defaults,
};

static double member(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

static void print_rows(struct cli *cli, const json_t *rows)
{
    struct table t;
    size_t i;
    const json_t *row;
    table_init(&t, &cli->arena, 7,
               (const char *const[]){"", "implementation", "sites", "bit-instants", "SDC per fault",
                                     "per bit-instant", "per inference"});
    json_array_foreach (rows, i, row) {
        const json_t *f = json_object_get(row, "per_fault"), *b = json_object_get(row, "per_bit");
        const json_t *x = json_object_get(row, "per_inference");
        table_cell(&t, "%zu", i + 1);
        table_cell(&t, "%s", json_string_value(json_object_get(row, "impl")));
        table_cell(&t, "%.4g", member(row, "population"));
        table_cell(&t, "%.4g", member(row, "exposure"));
        table_cell(&t, "%.2f %% [%.2f, %.2f]", 100 * member(f, "value"), 100 * member(f, "lo"),
                   100 * member(f, "hi"));
        table_cell(&t, "%.2f %% [%.2f, %.2f]", 100 * member(b, "value"), 100 * member(b, "lo"),
                   100 * member(b, "hi"));
        table_cell(&t, "%.4g [%.4g, %.4g]", member(x, "value"), member(x, "lo"), member(x, "hi"));
    }
    table_print(&t);
}

static void print_tests(struct cli *cli, const json_t *tests)
{
    struct table t;
    const char *measure;
    json_t *list;
    table_init(&t, &cli->arena, 5,
               (const char *const[]){"pair", "measure", "p", "p (Holm)", "significant"});
    json_object_foreach ((json_t *)(uintptr_t)tests, measure, list) {
        size_t i;
        const json_t *x;
        json_array_foreach (list, i, x) {
            table_cell(&t, "%d, %d", (int)member(x, "a") + 1, (int)member(x, "b") + 1);
            table_cell(&t, "%s", measure);
            table_cell(&t, "%.3g", member(x, "p"));
            table_cell(&t, "%.3g", member(x, "p_holm"));
            table_cell(&t, "%s", json_is_true(json_object_get(x, "significant")) ? "yes" : "no");
        }
    }
    printf("\n");
    table_print(&t);
}

int run_compare(struct cli *cli, void *args)
{
    const struct compare_args *o = args;
    json_t *doc;
    int rc = report_compare(&doc, (const char *const *)cli->operands, (size_t)cli->n_operands,
                            o->confidence, &cli->diag);
    if (rc != OK)
        return rc;
    if (cli->json) {
        cli_print_json(doc);
        return OK;
    }
    print_rows(cli, json_object_get(doc, "campaigns"));
    print_tests(cli, json_object_get(doc, "tests"));
    json_decref(doc);
    return OK;
}
