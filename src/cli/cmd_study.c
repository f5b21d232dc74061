/* study: everything, for each layer x implementation. */
#include <stdio.h>

#include "cli/cli.h"
#include "report/report.h"
#include "study/study.h"

struct study_args {
    const char *out;
    int jobs;
};

static void defaults(void *args) { ((struct study_args *)args)->out = "out"; }

const struct cli_command cmd_study = {
    .name = "study",
    .summary = "campaigns, models, simulations and report for a network, from one YAML file",
    .operands = "STUDY.yaml",
    .min_operands = 1,
    .max_operands = 1,
    .examples = "  sievert study examples/lenet5.yaml -o out/\n",
    .options =
        (const struct cli_option[]){
            {"output", 'o', OPT_STRING, "FOLDER",
             "where everything goes (default out); continued if it is there",
             offsetof(struct study_args, out)},
            {"jobs", 'j', OPT_INT, "N", "threads (default: one per processor)",
             offsetof(struct study_args, jobs)},
            CLI_OPTION_END},
    .args_bytes = sizeof(struct study_args),
    .defaults = defaults,
};

static void show_progress(void *ctx, const struct study_progress *p)
{
    progress_show(ctx, p->fraction, p->seconds, "%s %llu/%llu, %.0f/s", p->step,
                  (unsigned long long)p->done, (unsigned long long)p->planned,
                  p->step_seconds > 0 ? (double)p->done / p->step_seconds : 0);
}

int run_study(struct cli *cli, void *args)
{
    struct study_args *o = args;
    struct progress_line line;
    json_t *doc;
    progress_begin(&line, cli);
    cli_catch_interrupts();
    struct study_options s = {
        .config = cli->operands[0],
        .out_dir = o->out,
        .jobs = o->jobs,
        .progress = show_progress,
        .progress_ctx = &line,
        .stop = &cli_stop,
    };
    int rc = study_run(&s, &cli->diag);
    progress_end(&line);
    if (rc != OK)
        return rc;
    const char *path = arena_printf(&cli->arena, "%s/report.json", o->out);
    json_error_t error;
    doc = json_load_file(path, 0, &error);
    if (!doc)
        return diag_fail(&cli->diag, ERR_IO, (struct loc){path, error.line, error.column}, "%s",
                         error.text);
    if (cli->json) {
        cli_print_json(doc);
        return OK;
    }
    report_terminal(stdout, doc, cli_colour());
    printf("\nThe report: %s/report.html (also report.json, report.csv)\n", o->out);
    json_decref(doc);
    return OK;
}
