/* report: of one campaign's store, or of a study's folder. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "cli/again.h"
#include "cli/cli.h"
#include "cli/map.h"
#include "report/report.h"
#include "study/study.h"

struct report_args {
    const char *html, *csv, *source;
    double confidence;
    bool map;
};

static void defaults(void *args) { ((struct report_args *)args)->confidence = 0.95; }

const struct cli_command cmd_report = {
    .name = "report",
    .summary = "tables, JSON, CSV and a page, of a campaign or of a study",
    .operands = "RUN.db|FOLDER",
    .min_operands = 1,
    .max_operands = 1,
    .examples =
        "  sievert report run.db                      a table of one campaign\n"
        "  sievert report out/ -o report.html         a study's page\n"
        "  sievert report run.db --json | jq .cells\n"
        "  sievert report run.db --map                which lines and registers are vulnerable\n",
    .options =
        (const struct cli_option[]){
            {"output", 'o', OPT_STRING, "PAGE.html", "write the HTML page here",
             offsetof(struct report_args, html)},
            {"csv", 0, OPT_STRING, "FILE.csv", "write the table as CSV",
             offsetof(struct report_args, csv)},
            {"source", 0, OPT_STRING, "FILE",
             "source of a kernel of yours, to show faults by its lines",
             offsetof(struct report_args, source)},
            {"confidence", 0, OPT_SHARE, "C", "of a campaign's intervals (95%)",
             offsetof(struct report_args, confidence)},
            {"map", 0, OPT_FLAG, NULL,
             "of a campaign: outcomes by source line and by register, too",
             offsetof(struct report_args, map)},
            CLI_OPTION_END},
    .args_bytes = sizeof(struct report_args),
    .defaults = defaults,
};

/* Sievert's own sources, and one file of the user's. */
struct known_sources {
    struct report_sources own;
    const char *name, *text, *store;
    struct arena *a;
};

static const char *ptx_of(void *ctx, const struct store_campaign *c, size_t launch)
{
    const struct known_sources *s = ctx;
    return s->own.ptx(s->own.ctx, c, launch);
}

static const char *command_of(void *ctx, const struct store_campaign *c)
{
    const struct known_sources *s = ctx;
    return again_inject(s->a, c, s->store);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static const char *source_of(void *ctx, const char *name)
{
    const struct known_sources *s = ctx;
    if (s->name && strcmp(base_name(name), base_name(s->name)) == 0)
        return s->text;
    return s->own.file(s->own.ctx, name);
}

static int read_source(struct known_sources *s, struct cli *cli, const char *path)
{
    struct text text;
    *s = (struct known_sources){.own = study_sources(&cli->arena),
                                .name = path,
                                .store = cli->operands[0],
                                .a = &cli->arena};
    int rc = path ? file_read(&text, &cli->arena, path, 16u << 20, &cli->diag) : OK;
    if (path && rc == OK)
        s->text = text.ptr;
    return rc;
}

static int load_study(json_t **doc, struct cli *cli, const char *folder)
{
    int rc = study_report(folder, &cli->diag);
    if (rc != OK)
        return rc;
    const char *path = arena_printf(&cli->arena, "%s/report.json", folder);
    json_error_t error;
    *doc = json_load_file(path, 0, &error);
    return *doc ? OK
                : diag_fail(&cli->diag, ERR_IO, (struct loc){path, error.line, error.column}, "%s",
                            error.text);
}

int run_report(struct cli *cli, void *args)
{
    struct report_args *o = args;
    const char *what = cli->operands[0];
    struct known_sources known;
    const struct report_sources sources = {&known, ptx_of, source_of, command_of};
    struct stat st;
    json_t *doc, *map = NULL;
    int rc = read_source(&known, cli, o->source);
    if (rc != OK)
        return rc;
    bool is_folder = stat(what, &st) == 0 && S_ISDIR(st.st_mode);
    rc = is_folder ? load_study(&doc, cli, what)
                   : report_campaign(&doc, what, o->confidence, &sources, &cli->diag);
    if (rc != OK)
        return rc;
    if (o->map)
        rc = is_folder ? diag_fail(&cli->diag, ERR_INPUT, (struct loc){.file = what},
                                   "--map is of one campaign: give its store")
                       : report_map(&map, what, o->confidence, &cli->diag);
    if (rc == OK && o->html)
        rc = report_html(o->html, doc, &cli->diag);
    if (rc == OK && o->csv)
        rc = report_csv(o->csv, doc, &cli->diag);
    if (rc == OK && cli->json) {
        if (map)
            json_object_set(doc, "map", map);
        cli_print_json(json_incref(doc));
    } else if (rc == OK) {
        report_terminal(stdout, doc, cli_colour());
        if (map)
            cli_print_map(cli, map);
    }
    json_decref(map);
    json_decref(doc);
    return rc;
}
