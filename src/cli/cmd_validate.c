/* validate: how far error models can be trusted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/cli.h"
#include "cli/trials.h"
#include "stats/stats.h"
#include "study/study.h"

struct validate_args {
    struct trials_args trials;
    const char *layer, *model, *campaign, *output;
};

static void defaults(void *args)
{
    struct validate_args *o = args;
    o->trials.data = "fashion-mnist";
    o->trials.n = 20000;
    o->trials.seed = 1;
    o->trials.images = 1000;
}

const struct cli_command cmd_validate = {
    .name = "validate",
    .summary = "error models against the faulty tensors they were made from",
    .operands = "[STUDY-FOLDER]",
    .max_operands = 1,
    .examples =
        "  sievert validate out\n"
        "  sievert validate --onnx net.onnx --layer conv2 --campaign run.db --model conv.json\n",
    .options =
        (const struct cli_option[]){
            NETWORK_OPTIONS(struct validate_args, trials, "the network, without a study"),
            {"layer", 0, OPT_STRING, "NAME", "which convolution, by name or index",
             offsetof(struct validate_args, layer)},
            {"campaign", 0, OPT_STRING, "RUN.db", "whose faulty tensors are the truth",
             offsetof(struct validate_args, campaign)},
            {"model", 0, OPT_STRING, "MODEL.json", "made from them",
             offsetof(struct validate_args, model)},
            TRIAL_OPTIONS(struct validate_args, trials, "how many of each source (default 20000)",
                          "use the first N images (default 1000)"),
            {"output", 'o', OPT_STRING, "FILE.json", "write the result there too",
             offsetof(struct validate_args, output)},
            CLI_OPTION_END},
    .args_bytes = sizeof(struct validate_args),
    .defaults = defaults,
};

static double number(const json_t *row, const char *effect, const char *key)
{
    return json_number_value(json_object_get(json_object_get(row, effect), key));
}

static void print_rows(struct cli *cli, const json_t *doc)
{
    struct table t;
    size_t i;
    json_t *row;
    const json_t *rows = json_object_get(doc, "rows"),
                 *means = json_object_get(doc, "mean_agreement");
    const char *masked = vocab_word(&vocab_effects, EFFECT_MASKED);
    const char *critical = vocab_word(&vocab_effects, EFFECT_CRITICAL);
    table_init(&t, &cli->arena, 8,
               (const char *const[]){"layer", "implementation", "errors from", masked, critical,
                                     "95 % interval", "difference", "agreement"});
    json_array_foreach (rows, i, row) {
        const json_t *ci = json_object_get(json_object_get(row, critical), "interval");
        const json_t *agreement = json_object_get(row, "agreement");
        table_cell(&t, "%s", json_string_value(json_object_get(row, "layer")));
        table_cell(&t, "%s", json_string_value(json_object_get(row, "implementation")));
        table_cell(&t, "%s", json_string_value(json_object_get(row, "source")));
        table_cell(&t, "%.2f %%", 100 * number(row, masked, "share"));
        table_cell(&t, "%.2f %%", 100 * number(row, critical, "share"));
        table_cell(&t, "%.2f to %.2f %%", 100 * json_number_value(json_array_get(ci, 0)),
                   100 * json_number_value(json_array_get(ci, 1)));
        if (agreement) {
            table_cell(&t, "%+.2f", 100 * number(row, critical, "difference"));
            table_cell(&t, "%.2f %%", 100 * json_number_value(agreement));
        } else {
            table_cell(&t, "%s", "");
            table_cell(&t, "%s", "");
        }
    }
    table_print(&t);
    printf("\nDifference: of the critical shares, in points. Agreement: 100 %% less the mean "
           "absolute\n"
           "difference of the three shares. Mean over layers and implementations:");
    const char *source;
    json_t *mean;
    const char *comma = "";
    json_object_foreach ((json_t *)means, source, mean) {
        printf("%s %s %.2f %%", comma, source, 100 * json_number_value(mean));
        comma = ",";
    }
    puts("");
}

static void show_progress(void *ctx, const struct sim_progress *p)
{
    progress_show(ctx, (double)p->done / (double)(p->planned ? p->planned : 1), p->seconds,
                  "%llu/%llu errors of this source", (unsigned long long)p->done,
                  (unsigned long long)p->planned);
}

int run_validate(struct cli *cli, void *args)
{
    struct validate_args *o = args;
    bool study = cli->n_operands == 1;
    if ((study ? o->trials.onnx || o->campaign || o->model || o->layer
               : !o->trials.onnx || !o->campaign || !o->layer) ||
        o->trials.jobs < 0)
        return diag_fail(&cli->diag, ERR_INPUT, DIAG_NOWHERE,
                         "give a study's folder, or --onnx, --layer and --campaign");
    struct progress_line line;
    progress_begin(&line, cli);
    cli_catch_interrupts();
    struct sim_options s = trials_options(&o->trials, &line, show_progress);
    struct study_cell cell = {o->layer, "", o->campaign, o->model};
    json_t *doc;
    int rc = study ? study_validate(&doc, cli->operands[0], &s, &cli->diag)
                   : study_validate_cells(&doc, &s, 1, &cell, &cli->diag);
    progress_end(&line);
    if (rc != OK)
        return rc;
    if (o->output) {
        char *text = json_dumps(doc, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
        rc = file_write(o->output, text, strlen(text), &cli->diag);
        free(text);
    }
    if (cli->json && rc == OK) {
        cli_print_json(doc);
        return OK;
    }
    if (rc == OK)
        print_rows(cli, doc);
    json_decref(doc);
    return rc;
}
