/* export: the injections of a store as CSV, as JSON, or as the folders of tensors that the CLASSES classifier reads. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/npy.h"
#include "cli/cli.h"
#include "store/store.h"

struct export_args {
    const char *out, *format;
    uint64_t limit;
};

static void defaults(void *args) { ((struct export_args *)args)->limit = UINT64_MAX; }

const struct cli_command cmd_export = {
    .name = "export",
    .summary = "a campaign's injections as CSV, JSON or folders of .npy tensors",
    .operands = "RUN.db",
    .min_operands = 1,
    .max_operands = 1,
    .examples = "  sievert export run.db -o injections.csv\n"
                "  sievert export run.db -o injections.json\n"
                "  sievert export run.db -o tensors/          then: sievert classify tensors/ "
                "--golden test/golden.npy\n",
    .options =
        (const struct cli_option[]){
            {"output", 'o', OPT_STRING, "OUT", "a .csv or .json file, else a folder; - is stdout",
             offsetof(struct export_args, out)},
            {"format", 0, OPT_STRING, "F", "csv, json or npy (default: by the ending of OUT)",
             offsetof(struct export_args, format)},
            {"limit", 0, OPT_COUNT, "N", "of tensors: the first N (all)",
             offsetof(struct export_args, limit)},
            CLI_OPTION_END},
    .args_bytes = sizeof(struct export_args),
    .defaults = defaults,
};

/* ---- Fields: one list for the header, the rows and the members ------------------------------------ */

enum kind { TEXT, NUMBER, HEX, REAL };
struct field {
    const char *name;
    enum kind kind;
    bool known;
    const char *text;
    uint64_t number;
    double real;
};
struct output {
    FILE *f;
    const struct store_campaign *campaign;
    bool first; /* nothing written of this row, or of this list */
    struct diag *diag;
};
typedef void emit_field(struct output *o, const struct field *f);

static void labels(struct output *o, const struct store_injection *i, emit_field *emit)
{
    for (size_t e = 0; e < o->campaign->n_epsilons; e++) {
        const struct store_label *l = i->labels ? &i->labels[e] : NULL;
        bool corrupted = l && l->corrupted;
        char name[4][48];
        const char *const words[] = {"corrupted", "channels", "pattern", "domain"};
        for (int k = 0; k < 4; k++)
            snprintf(name[k], sizeof name[k], "%s_eps_%g", words[k], o->campaign->epsilons[e]);
        emit(o, &(struct field){name[0], NUMBER, l, .number = l ? l->corrupted : 0});
        emit(o, &(struct field){name[1], NUMBER, l, .number = l ? l->channels : 0});
        emit(o, &(struct field){name[2], TEXT, corrupted,
                                .text = corrupted ? vocab_word(&vocab_patterns, l->pattern) : ""});
        emit(o, &(struct field){name[3], TEXT, corrupted, .text = corrupted ? l->domain : ""});
    }
}

static void fields(struct output *o, const struct store_injection *i, emit_field *emit)
{
    bool due = i->outcome == OUTCOME_DUE, sdc = i->outcome == OUTCOME_SDC;
    const struct field all[] = {
        {"number", NUMBER, true, .number = i->number},
        {"outcome", TEXT, true, .text = vocab_word(&vocab_outcomes, (int)i->outcome)},
        {"fate", TEXT, i->fate != FATE_UNKNOWN, .text = vocab_word(&vocab_fates, (int)i->fate)},
        {"launch", NUMBER, true, .number = i->launch},
        {"kernel", TEXT, true, .text = o->campaign->launches[i->launch].kernel},
        {"cta", NUMBER, true, .number = i->cta},
        {"site", NUMBER, true, .number = i->nth},
        {"warp", NUMBER, true, .number = i->warp},
        {"lane", NUMBER, true, .number = i->lane},
        {"lanes", NUMBER, true, .number = i->lanes},
        {"instruction", NUMBER, true, .number = i->insn},
        {"mnemonic", TEXT, true, .text = i->mnemonic},
        {"ptx_line", NUMBER, true, .number = (uint64_t)i->ptx_line},
        {"source_line", NUMBER, i->source_line > 0, .number = (uint64_t)i->source_line},
        {"destination", NUMBER, true, .number = i->reg},
        {"cell", HEX, i->has_cell, .number = i->cell},
        {"register", TEXT, i->reg_name, .text = i->reg_name},
        {"stratum", NUMBER, o->campaign->n_strata > 0, .number = i->stratum},
        {"bits", NUMBER, true, .number = (uint64_t)i->bits},
        {"before", HEX, true, .number = i->before},
        {"after", HEX, true, .number = i->after},
        {"trap", TEXT, due, .text = vocab_word(&vocab_traps, (int)i->trap)},
        {"trap_launch", NUMBER, due, .number = i->trap_launch},
        {"trap_cta", NUMBER, due, .number = i->trap_cta},
        {"trap_instruction", NUMBER, due, .number = i->trap_insn},
        {"trap_address", HEX, due, .number = i->trap_address},
        {"differences", NUMBER, sdc, .number = i->n_diffs},
        {"max_abs_error", REAL, sdc, .real = i->max_abs_error},
    };
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        emit(o, &all[k]);
    labels(o, i, emit);
}

/* ---- CSV ------------------------------------------------------------------------------------------ */

static void csv_text(FILE *f, const char *s)
{
    if (!strpbrk(s, ",\"\r\n")) {
        fputs(s, f);
        return;
    }
    fputc('"', f);
    for (; *s; s++)
        *s == '"' ? fputs("\"\"", f) : fputc(*s, f);
    fputc('"', f);
}

static void csv_separator(struct output *o)
{
    if (!o->first)
        fputc(',', o->f);
    o->first = false;
}

static void csv_name(struct output *o, const struct field *f)
{
    csv_separator(o);
    csv_text(o->f, f->name);
}

static void csv_value(struct output *o, const struct field *f)
{
    csv_separator(o);
    if (!f->known)
        return;
    switch (f->kind) {
    case TEXT:
        csv_text(o->f, f->text);
        return;
    case NUMBER:
        fprintf(o->f, "%llu", (unsigned long long)f->number);
        return;
    case HEX:
        fprintf(o->f, "0x%llx", (unsigned long long)f->number);
        return;
    case REAL:
        fprintf(o->f, "%.17g", f->real);
        return;
    }
}

static int cannot_write(struct output *o)
{
    return diag_fail(o->diag, ERR_IO, DIAG_NOWHERE, "cannot write: %s", strerror(errno));
}

static int csv_row(void *ctx, const struct store_injection *i)
{
    struct output *o = ctx;
    o->first = true;
    fields(o, i, csv_value);
    return fputs("\r\n", o->f) < 0 ? cannot_write(o) : OK;
}

static int write_csv(struct output *o, struct store *s)
{
    o->first = true;
    fields(o, &(struct store_injection){.mnemonic = ""}, csv_name);
    fputs("\r\n", o->f);
    return store_each(s, false, csv_row, o, o->diag);
}

/* ---- JSON ----------------------------------------------------------------------------------------- */

static void json_string_to(FILE *f, const char *s)
{
    json_t *j = json_string(s);
    if (!j || json_dumpf(j, f, JSON_ENCODE_ANY | JSON_ENSURE_ASCII) != 0)
        fputs("null", f); /* not UTF-8 */
    json_decref(j);
}

/* What is not known is left out. */
static void json_member(struct output *o, const struct field *f)
{
    if (!f->known || (f->kind == REAL && !isfinite(f->real)))
        return;
    fprintf(o->f, "%s\"%s\": ", o->first ? "" : ", ", f->name);
    o->first = false;
    switch (f->kind) {
    case TEXT:
        json_string_to(o->f, f->text);
        return;
    case NUMBER:
        fprintf(o->f, "%llu", (unsigned long long)f->number);
        return;
    case HEX:
        fprintf(o->f, "\"0x%llx\"", (unsigned long long)f->number);
        return;
    case REAL:
        fprintf(o->f, "%.17g", f->real);
        return;
    }
}

struct json_rows {
    struct output o;
    uint64_t n;
};

static int json_row(void *ctx, const struct store_injection *i)
{
    struct json_rows *r = ctx;
    fputs(r->n++ ? ",\n    {" : "\n    {", r->o.f);
    r->o.first = true;
    fields(&r->o, i, json_member);
    return fputs("}", r->o.f) < 0 ? cannot_write(&r->o) : OK;
}

static int write_json(struct output *o, struct store *s)
{
    const struct store_campaign *c = o->campaign;
    const struct {
        const char *name, *value;
    } texts[] = {{"implementation", c->impl}, {"shape", c->shape},
                 {"tile", c->tile},           {"layer", c->layer},
                 {"fault", c->fault},         {"population_kind", c->population_kind}};
    struct json_rows r = {.o = *o};
    fputs("{\"format\": \"sievert-injections\", \"version\": 1,\n  \"campaign\": {", o->f);
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
        fprintf(o->f, "%s\"%s\": ", k ? ", " : "", texts[k].name);
        json_string_to(o->f, texts[k].value);
    }
    fprintf(o->f,
            ", \"seed\": \"%llu\", \"first\": %llu, \"planned\": %llu, \"population\": %llu},\n"
            "  \"injections\": [",
            (unsigned long long)c->seed, (unsigned long long)c->first,
            (unsigned long long)c->planned, (unsigned long long)c->population);
    int rc = store_each(s, false, json_row, &r, o->diag);
    fputs("\n]}\n", o->f);
    return rc;
}

static void report_written(const struct cli *cli, const char *place, const char *path,
                           const char *what, uint64_t n)
{
    if (cli->json)
        cli_print_json(json_pack("{s:s, s:I}", place, path, what, (json_int_t)n));
    else
        printf("%llu %s in %s\n", (unsigned long long)n, what, path);
}

/* Under another name until it is whole. */
static int write_file(struct store *s, const char *path,
                      int (*write)(struct output *o, struct store *s), struct cli *cli)
{
    bool to_stdout = strcmp(path, "-") == 0;
    const char *tmp = arena_printf(&cli->arena, "%s.%ld.tmp", path, (long)getpid());
    struct output o = {.f = to_stdout ? stdout : fopen(tmp, "w"),
                       .campaign = store_campaign(s),
                       .diag = &cli->diag};
    if (!o.f)
        return diag_fail(&cli->diag, ERR_IO, (struct loc){.file = path}, "cannot write: %s",
                         strerror(errno));
    int rc = write(&o, s);
    if (rc == OK && fflush(o.f) != 0)
        rc = cannot_write(&o);
    if (to_stdout)
        return rc;
    if (fclose(o.f) != 0 && rc == OK)
        rc = cannot_write(&o);
    if (rc == OK && rename(tmp, path) != 0)
        rc = diag_fail(&cli->diag, ERR_IO, (struct loc){.file = path}, "cannot write: %s",
                       strerror(errno));
    if (rc != OK)
        unlink(tmp);
    uint64_t n = 0;
    if (rc == OK)
        rc = store_count(s, &n, &cli->diag);
    if (rc == OK)
        report_written(cli, "file", path, "injections", n);
    return rc;
}

/* ---- Folders of tensors --------------------------------------------------------------------------- */

struct tensors {
    const struct store_campaign *campaign;
    struct tensor tensor;
    const char *folder; /* ROOT/batch/test/sub-batch */
    uint64_t n, limit;
    struct diag *diag;
};

/* A name that no file system and neither classifier takes for something else. */
static const char *folder_name(struct arena *a, const char *s)
{
    char *name = arena_strdup(a, s);
    for (char *p = name; *p; p++)
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-", *p))
            *p = '-';
    return name;
}

/* "gp:single-bit:thread" -> "gp_single-bit", from which CLASSES takes instruction group and bit-flip model. */
static const char *sub_batch(struct arena *a, const char *fault)
{
    const char *colon = strchr(fault, ':');
    if (!colon)
        return folder_name(a, fault);
    size_t flip = strcspn(colon + 1, ":");
    return arena_printf(a, "%s_%s",
                        folder_name(a, arena_strndup(a, fault, (size_t)(colon - fault))),
                        folder_name(a, arena_strndup(a, colon + 1, flip)));
}

static int write_tensor(void *ctx, const struct store_injection *i)
{
    enum { ENOUGH = 1 };
    struct tensors *t = ctx;
    char path[4096];
    if (t->n == t->limit)
        return ENOUGH;
    memcpy(t->tensor.data, t->campaign->golden, t->campaign->golden_floats * sizeof(float));
    for (size_t k = 0; k < i->n_diffs; k++)
        memcpy(&t->tensor.data[i->diffs[k].index], &i->diffs[k].faulty_bits, sizeof(float));
    t->n++;
    if (snprintf(path, sizeof path, "%s/%010llu.npy", t->folder, (unsigned long long)i->number) >=
        (int)sizeof path)
        return diag_fail(t->diag, ERR_INPUT, (struct loc){.file = t->folder}, "name too long");
    return npy_write(path, &t->tensor, t->diag);
}

static int write_about(const char *folder, struct store *s, struct arena *a, struct diag *d)
{
    const struct store_campaign *c = store_campaign(s);
    uint64_t n[N_OUTCOMES];
    int rc = store_outcomes(s, n, d);
    json_t *counts = json_object();
    for (int i = 0; rc == OK && i < N_OUTCOMES; i++)
        json_object_set_new(counts, vocab_word(&vocab_outcomes, i), json_integer((json_int_t)n[i]));
    json_t *info = json_pack("{s:s, s:s, s:s, s:s, s:s}", "made_by", "sievert " SIEVERT_VERSION,
                             "implementation", c->impl, "shape", c->shape, "layer", c->layer,
                             "fault", c->fault);
    const struct {
        const char *name;
        json_t *json;
    } files[] = {{"injection-counts.json", counts}, {"info.json", info}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char *text = json_dumps(files[i].json, JSON_INDENT(2));
        if (rc == OK && text)
            rc = file_write(arena_printf(a, "%s/%s", folder, files[i].name), text, strlen(text), d);
        free(text);
        json_decref(files[i].json);
    }
    return rc;
}

static int write_tensors(struct store *s, const char *root, uint64_t limit, struct cli *cli)
{
    struct arena *a = &cli->arena;
    const struct store_campaign *c = store_campaign(s);
    const char *batch =
        folder_name(a, *c->layer ? arena_printf(a, "%s-%s", c->layer, c->impl) : c->impl);
    const char *test = arena_printf(a, "%s/%s/test", root, batch);
    struct tensors t = {.campaign = c,
                        .tensor = tensor_4d(a, c->dim[0], c->dim[1], c->dim[2], c->dim[3]),
                        .folder = arena_printf(a, "%s/%s", test, sub_batch(a, c->fault)),
                        .limit = limit,
                        .diag = &cli->diag};
    if (c->dim[0] != 1)
        return diag_fail(
            &cli->diag, ERR_UNSUPPORTED, DIAG_NOWHERE,
            "the campaign's output has %zu images; in the CLASSES layout a tensor is one",
            c->dim[0]);
    if (access(test, F_OK) == 0)
        return diag_fail(&cli->diag, ERR_INPUT, (struct loc){.file = test}, "exists already");
    int rc = file_mkdirs(t.folder, &cli->diag);
    if (rc != OK)
        return rc;
    memcpy(t.tensor.data, c->golden, c->golden_floats * sizeof(float));
    rc = npy_write(arena_printf(a, "%s/golden.npy", test), &t.tensor, &cli->diag);
    if (rc == OK)
        rc = write_about(test, s, a, &cli->diag);
    if (rc == OK)
        rc = store_each_tensor(s, write_tensor, &t, &cli->diag);
    if (rc < 0)
        return rc;
    report_written(cli, "folder", t.folder, "tensors", t.n);
    return OK;
}

static const char *format_of(const struct export_args *o)
{
    const char *dot = strrchr(o->out, '.');
    if (o->format)
        return o->format;
    return dot && (strcmp(dot, ".csv") == 0 || strcmp(dot, ".json") == 0) ? dot + 1 : "npy";
}

int run_export(struct cli *cli, void *args)
{
    const struct export_args *o = args;
    struct store *s;
    if (!o->out)
        return diag_fail(&cli->diag, ERR_INPUT, DIAG_NOWHERE, "-o OUT is missing");
    const char *format = format_of(o);
    int rc = store_open(&s, cli->operands[0], false, &cli->diag);
    if (rc != OK)
        return rc;
    if (!store_campaign(s))
        rc = diag_fail(&cli->diag, ERR_INPUT, (struct loc){.file = cli->operands[0]},
                       "a simulation, not a campaign of injections");
    else if (strcmp(format, "csv") == 0)
        rc = write_file(s, o->out, write_csv, cli);
    else if (strcmp(format, "json") == 0)
        rc = write_file(s, o->out, write_json, cli);
    else if (strcmp(format, "npy") == 0)
        rc = write_tensors(s, o->out, o->limit, cli);
    else
        rc = diag_fail(&cli->diag, ERR_INPUT, DIAG_NOWHERE, "--format '%s': csv, json or npy",
                       format);
    store_close(s, NULL);
    return rc;
}
