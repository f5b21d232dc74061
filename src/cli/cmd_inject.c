/* inject: a campaign of injections into one convolution, or into a user's kernel. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "campaign/campaign.h"
#include "campaign/team.h"
#include "cli/census.h"
#include "cli/check.h"
#include "cli/cli.h"
#include "cli/kernel.h"
#include "cli/map.h"
#include "cli/problem.h"
#include "cli/watch.h"
#include "report/report.h"
#include "stats/stats.h"
#include "store/store.h"

struct inject_args {
    struct problem_args problem; /* first: problem_defaults */
    struct kernel_args kernel;
    const char *fault, *launch, *line, *population, *engine, *store, *check, *part;
    uint64_t n, first, seed, tensors;
    double margin, confidence;
    struct doubles epsilons;
    int jobs, hang_factor;
    bool fates, map, list, exhaustive, sequential, stratify;
    uint64_t cluster;
};

static void defaults(void *args)
{
    struct inject_args *o = args;
    problem_defaults(args);
    kernel_defaults(&o->kernel);
    o->fault = "gp:single-bit:thread";
    o->population = "machine";
    o->engine = vocab_word(&vocab_engines, 0);
    o->seed = 1;
    o->tensors = STORE_ALL_TENSORS;
    o->confidence = 0.95;
    o->epsilons = (struct doubles){3, {0, 1e-6, 1e-3}};
    o->hang_factor = 10;
}

const struct cli_command cmd_inject = {
    .name = "inject",
    .summary = "a campaign: upset a convolution or any kernel many times, store what comes out",
    .operands = "[FILE.ptx ARGUMENT...]",
    .max_operands = -1,
    .examples = "  sievert inject --impl implicit-gemm --shape 1x6x14x14:16x5x5 -n 2000 -o run.db\n"
                "  sievert inject --impl direct --onnx examples/lenet5.onnx --layer 1 --margin 1% "
                "-o run.db\n"
                "  sievert inject saxpy.ptx --grid 8 --block 128 i32:1000 f32:2.5 x.npy "
                "y.npy=out.npy -o run.db\n"
                "  sievert inject --impl direct --shape 1x6x14x14:16x5x5 --exhaustive\n"
                "  sievert inject --list                  what can be struck, and how\n"
                "\n" USER_ARGUMENTS "  =OUT.npy marks the outputs that are compared (nothing is "
                "written); without any, all buffers are.\n",
    .options =
        (const struct cli_option[]){
            PROBLEM_OPTIONS(struct inject_args, problem),
            {"fault", 0, OPT_STRING, "WHERE:FLIP:SCOPE", "default gp:single-bit:thread",
             offsetof(struct inject_args, fault)},
            {"kernel", 0, OPT_STRING, "NAME",
             "strike only launches of this kernel; with FILE.ptx: run this one",
             offsetof(struct inject_args, kernel.kernel)},
            {"grid", 0, OPT_DOUBLES, "X,Y,Z", "with FILE.ptx: thread blocks [1]",
             offsetof(struct inject_args, kernel.grid)},
            {"block", 0, OPT_DOUBLES, "X,Y,Z", "with FILE.ptx: threads of a block [1]",
             offsetof(struct inject_args, kernel.block)},
            {"shared", 0, OPT_INT, "BYTES", "with FILE.ptx: dynamic shared memory",
             offsetof(struct inject_args, kernel.shared)},
            {"check", 0, OPT_STRING, "COMMAND",
             "run COMMAND OUT.npy... on each output that differs: status 0 accepts it",
             offsetof(struct inject_args, check)},
            {"launch", 0, OPT_STRING, "N", "strike only this launch, counted from 0",
             offsetof(struct inject_args, launch)},
            {"line", 0, OPT_STRING, "A[-B]",
             "strike only instructions of these lines of the kernel's source",
             offsetof(struct inject_args, line)},
            {"population", 0, OPT_STRING, "KIND", "machine (default) or ptx: all PTX instructions",
             offsetof(struct inject_args, population)},
            {"injections", 'n', OPT_COUNT, "N", "how many (default 1000)",
             offsetof(struct inject_args, n)},
            {"first", 0, OPT_U64, "N", "begin with injection N, to make a part (default 0)",
             offsetof(struct inject_args, first)},
            {"exhaustive", 0, OPT_FLAG, NULL,
             "every bit of every result: sums without sampling error, no rows",
             offsetof(struct inject_args, exhaustive)},
            {"margin", 0, OPT_SHARE, "E", "instead of -n: as many as this margin needs (1%)",
             offsetof(struct inject_args, margin)},
            {"confidence", 0, OPT_SHARE, "C", "of --margin and of the intervals (95%)",
             offsetof(struct inject_args, confidence)},
            {"sequential", 0, OPT_FLAG, NULL,
             "with --margin: stop as soon as all outcomes' shares are known that well",
             offsetof(struct inject_args, sequential)},
            {"stratify", 0, OPT_FLAG, NULL,
             "give each launch and group its share of the injections",
             offsetof(struct inject_args, stratify)},
            {"cluster", 0, OPT_U64, "M",
             "strike M times in each CTA that is drawn: faster, less certain",
             offsetof(struct inject_args, cluster)},
            {"seed", 0, OPT_U64, "N", "the same seed gives the same injections (default 1)",
             offsetof(struct inject_args, seed)},
            {"eps", 0, OPT_DOUBLES, "LIST", "epsilons of the classification (0,1e-6,1e-3)",
             offsetof(struct inject_args, epsilons)},
            {"engine", 0, OPT_STRING, "NAME",
             "auto (default), replay, concurrent, full: same results",
             offsetof(struct inject_args, engine)},
            {"hang-factor", 0, OPT_INT, "N",
             "a CTA hangs beyond N x its fault-free instructions (10)",
             offsetof(struct inject_args, hang_factor)},
            {"fates", 0, OPT_FLAG, NULL,
             "find out why injections were masked, and where errors last differed: slower",
             offsetof(struct inject_args, fates)},
            {"map", 0, OPT_FLAG, NULL, "print outcomes by source line and by register, too",
             offsetof(struct inject_args, map)},
            {"jobs", 'j', OPT_INT, "N", "threads (default: one per processor)",
             offsetof(struct inject_args, jobs)},
            {"part", 0, OPT_STRING, "K/M",
             "only the K-th of M parts; `sievert merge` puts them together",
             offsetof(struct inject_args, part)},
            {"tensors", 0, OPT_U64, "N",
             "keep the faulty tensors of a uniform sample of N SDCs (all)",
             offsetof(struct inject_args, tensors)},
            {"output", 'o', OPT_STRING, "RUN.db", "the store; continued if it is there",
             offsetof(struct inject_args, store)},
            {"list", 0, OPT_FLAG, NULL,
             "list the words of --fault, --population and --engine and stop",
             offsetof(struct inject_args, list)},
            CLI_OPTION_END},
    .args_bytes = sizeof(struct inject_args),
    .defaults = defaults,
};

/* The other parts of --fault's text, which options give, too. */
static const struct {
    const char *part, *word, *help;
} fault_parts[] = {
    {"filter", "kernel=NAME", "only launches of this kernel (--kernel)"},
    {"filter", "launch=N", "only this launch, counted from 0 (--launch)"},
    {"filter", "line=A[-B]", "only instructions of these source lines (--line)"},
    {"sampling", "strata", "each launch and group gets its share of the injections (--stratify)"},
    {"sampling", "cluster=M", "M faults in each CTA that is drawn (--cluster)"},
    {"sampling", "distinct", "no fault is struck twice (--margin)"},
    {"sampling", "exhaustive", "every bit of every result is struck (--exhaustive)"},
    {"population", "machine", "instructions that the hardware executes (--population)"},
    {"population", "ptx", "those that its assembler folds away, too (--population)"},
};

static void list_words(struct cli *cli)
{
    const struct vocab *all[] = {&vocab_wheres, &vocab_moments, &vocab_flips,
                                 &vocab_scopes, &vocab_fates,   &vocab_engines};
    json_t *doc = json_object();
    struct table t;
    table_init(&t, &cli->arena, 3, (const char *const[]){"part", "word", "meaning"});
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        json_t *words = json_object();
        for (size_t k = 0; k < all[i]->n; k++) {
            table_cell(&t, "%s", all[i]->what);
            table_cell(&t, "%s", all[i]->words[k].word);
            table_cell(&t, "%s", all[i]->words[k].help);
            json_object_set_new(words, all[i]->words[k].word, json_string(all[i]->words[k].help));
        }
        json_object_set_new(doc, all[i]->what, words);
    }
    for (size_t i = 0; i < sizeof fault_parts / sizeof *fault_parts; i++) {
        json_t *words = json_object_get(doc, fault_parts[i].part);
        if (!words)
            json_object_set_new(doc, fault_parts[i].part, words = json_object());
        json_object_set_new(words, fault_parts[i].word, json_string(fault_parts[i].help));
        table_cell(&t, "%s", fault_parts[i].part);
        table_cell(&t, "%s", fault_parts[i].word);
        table_cell(&t, "%s", fault_parts[i].help);
    }
    if (cli->json) {
        cli_print_json(doc);
        return;
    }
    table_print(&t);
    json_decref(doc);
}

struct watching {
    struct progress_line line;
    double confidence;
};

static void show_progress(void *ctx, const struct progress *p)
{
    struct watching *w = ctx;
    uint64_t all = p->masked + p->sdc + p->due;
    double rate = p->seconds > 0 ? (double)(p->done - p->before) / p->seconds : 0;
    double fraction = (double)p->done / (double)(p->planned ? p->planned : 1);
    if (w->line.json) {
        progress_json(&w->line, fraction, p->seconds,
                      progress_details(p->done, p->planned, rate,
                                       (uint64_t[]){p->masked, p->sdc, p->due}, w->confidence));
        return;
    }
    char shares[3][48];
    share_text(shares[0], p->masked, all, w->confidence);
    share_text(shares[1], p->sdc, all, w->confidence);
    share_text(shares[2], p->due, all, w->confidence);
    char left[16] = "?";
    if (rate > 0)
        format_seconds(left, (double)(p->planned - p->done) / rate);
    progress_line(&w->line, fraction,
                  "%5.1f %%  %s left  %llu/%llu, %.0f/s: masked %s, SDC %s, DUE %s", 100 * fraction,
                  left, (unsigned long long)p->done, (unsigned long long)p->planned, rate,
                  shares[0], shares[1], shares[2]);
}

/* Of an exhaustive campaign the numbers are those of sites. */
static int all_sites(uint64_t *n, const struct inject_args *o, const struct simt_program *p,
                     const struct fault_kind *kind, struct diag *d)
{
    struct golden *g;
    if (o->n || o->first || o->margin != 0 || o->check || o->fates ||
        o->tensors != STORE_ALL_TENSORS)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                         "--exhaustive takes all faults and keeps sums: not with -n, --first, "
                         "--margin, --check, --fates or --tensors");
    if (!o->store && (o->part || o->map))
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                         "--exhaustive with --part or --map needs a store: -o RUN.db");
    int rc = golden_run(&g, p, kind, d);
    if (rc == OK) {
        *n = golden_population(g);
        golden_free(g);
    }
    return rc;
}

/* -n, or the sample size that --margin asks for. Then no fault is struck twice, which the size of a finite population
 * needs; where that cannot be, or not each fault is on its own, the population is taken for infinite. */
static int sample_size(uint64_t *n, const struct inject_args *o, const struct simt_program *p,
                       struct fault_kind *kind, struct diag *d)
{
    if (o->sequential && (o->margin == 0 || o->part || kind->sampling != SAMPLING_PLAIN))
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                         "--sequential needs --margin, and a plain sample: neither --part, "
                         "--stratify nor --cluster");
    if (kind->sampling == SAMPLING_EXHAUSTIVE)
        return all_sites(n, o, p, kind, d);
    if (o->margin == 0) {
        *n = o->n ? o->n : 1000;
        return OK;
    }
    if (o->n)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "give -n or --margin, not both");
    if (kind->sampling == SAMPLING_CLUSTERED)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                         "--margin cannot know how alike the faults of one CTA are: give -n with "
                         "--cluster");
    *n = stats_sample_size(0, o->margin, o->confidence, 0.5);
    if (o->sequential)
        *n *= 20; /* more than any shares need */
    struct golden *g;
    if (o->sequential || kind->sampling == SAMPLING_STRATIFIED || fault_variants(kind) == 0)
        return OK;
    int rc = golden_run(&g, p, kind, d);
    if (rc == OK) {
        kind->sampling = SAMPLING_DISTINCT;
        *n = stats_sample_size(golden_faults(g), o->margin, o->confidence, 0.5);
        golden_free(g);
    }
    return rc;
}

/* "3/8": the third of eight parts of n injections, as even as they can be. */
static int part_of(struct campaign_options *c, const char *part, struct diag *d)
{
    unsigned long long k = 0, m = 0;
    int end = 0;
    if (!part)
        return OK;
    if (sscanf(part, "%llu/%llu%n", &k, &m, &end) != 2 || part[end] || strchr(part, '-') || k < 1 ||
        k > m)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                         "--part '%s': as 3/8, the third of eight parts", part);
    uint64_t n = c->n;
    c->first = (uint64_t)((unsigned __int128)n * (k - 1) / m);
    c->n = (uint64_t)((unsigned __int128)n * k / m);
    return c->first < c->n
               ? OK
               : diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "--part %s of %llu injections is empty",
                           part, (unsigned long long)n);
}

static int first_of(struct campaign_options *c, const struct inject_args *o, struct diag *d)
{
    c->first = o->first;
    if (!o->first || (o->first < c->n && !o->part && !o->sequential))
        return OK;
    return diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                     "--first %" PRIu64 ": below the number of injections (%" PRIu64
                     "), and with neither --part nor --sequential",
                     o->first, c->n);
}

/* The filters are parts of the fault's text: one grammar, one place that checks. */
static const char *fault_text(struct arena *a, const struct inject_args *o)
{
    const struct {
        const char *name, *value;
    } filters[] = {{"kernel", o->kernel.kernel}, {"launch", o->launch}, {"line", o->line}};
    const char *text = o->fault;
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        if (filters[i].value)
            text = arena_printf(a, "%s:%s=%s", text, filters[i].name, filters[i].value);
    if (o->stratify)
        text = arena_printf(a, "%s:strata", text);
    if (o->cluster > 1)
        text = arena_printf(a, "%s:cluster=%llu", text, (unsigned long long)o->cluster);
    if (o->exhaustive)
        text = arena_printf(a, "%s:exhaustive", text);
    return text;
}

static int parse_words(struct campaign_options *out, struct arena *a, const struct inject_args *o,
                       struct diag *d)
{
    int engine, rc = fault_kind_parse(&out->kind, fault_text(a, o), d);
    if (rc == OK)
        rc = vocab_find(&vocab_engines, o->engine, &engine, d);
    if (rc != OK)
        return rc;
    out->engine = (enum engine)engine;
    if (strcmp(o->population, "ptx") == 0)
        out->kind.population = POPULATION_PTX;
    else if (strcmp(o->population, "machine") != 0)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "--population '%s': machine or ptx",
                         o->population);
    if (o->hang_factor < 1 || o->jobs < 0)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                         "--hang-factor must be 1 or more, --jobs 0 or more");
    for (size_t i = 0; i < o->epsilons.n; i++)
        if (o->epsilons.v[i] < 0)
            return diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "--eps: %g is negative", o->epsilons.v[i]);
    return OK;
}

/* A part of an exhaustive campaign has sums of its own, which say nothing of the whole. */
static int print_part(struct cli *cli, const char *path)
{
    struct store *s;
    struct campaign_extent e;
    char text[48];
    int rc = store_open(&s, path, false, &cli->diag);
    if (rc == OK && (rc = campaign_extent(&e, s, path, &cli->diag)) == OK) {
        uint64_t all = e.outcome[OUTCOME_MASKED] + e.outcome[OUTCOME_SDC] + e.outcome[OUTCOME_DUE];
        if (cli->json)
            cli_print_json(progress_details(e.n, store_campaign(s)->population, 0, e.outcome, 0));
        else
            printf("%s: %llu of %llu sites, %llu faults;", path, (unsigned long long)e.n,
                   (unsigned long long)store_campaign(s)->population, (unsigned long long)all);
        for (int i = 0; i < N_OUTCOMES && !cli->json; i++) {
            share_text(text, e.outcome[i], all, 0);
            printf(" %s %llu (%s)%s", vocab_word(&vocab_outcomes, i),
                   (unsigned long long)e.outcome[i], text,
                   i + 1 < N_OUTCOMES ? "," : "; `sievert merge` joins parts\n");
        }
    }
    store_close(s, NULL);
    return rc;
}

static int print_result(struct cli *cli, const char *store, const struct inject_args *o)
{
    json_t *doc, *rows = NULL;
    if (o->exhaustive && o->part)
        return print_part(cli, store);
    int rc = report_campaign(&doc, store, o->confidence, NULL, &cli->diag);
    if (rc == OK && (o->map || o->fates))
        rc = report_map(&rows, store, o->confidence, &cli->diag);
    if (rc != OK)
        return rc;
    if (cli->json) {
        if (rows)
            json_object_set(doc, "map", rows);
        cli_print_json(json_incref(doc));
    } else {
        report_terminal(stdout, doc, cli_colour());
        cli_print_strata(cli, doc);
        if (o->fates)
            cli_print_fates(cli, rows);
        if (o->map)
            cli_print_map(cli, rows);
    }
    json_decref(rows);
    json_decref(doc);
    return OK;
}

/* The program that was asked for. */
struct target {
    bool is_user;
    struct user_program user;
    struct problem in;
    struct conv_program conv;
    struct campaign_subject subject;
};

static int load_target(struct target *t, struct cli *cli, const struct inject_args *o)
{
    t->is_user = cli->n_operands > 0;
    if (t->is_user) {
        if (o->problem.impl || o->problem.shape || o->problem.onnx)
            return diag_fail(
                &cli->diag, ERR_INPUT, DIAG_NOWHERE,
                "give FILE.ptx with its arguments, or a convolution (--impl), not both");
        int rc = kernel_load(&t->user, cli, &o->kernel);
        if (rc == OK)
            t->subject = campaign_of_user(&cli->arena, &t->user);
        return rc;
    }
    int rc = problem_load(&t->in, &cli->arena, &o->problem, &cli->diag);
    if (rc == OK)
        rc = conv_prepare(&t->conv, &cli->arena, &t->in.problem, t->in.impl, o->problem.tile,
                          t->in.input, t->in.filter, &cli->diag);
    if (rc == OK)
        t->subject =
            campaign_of_conv(&cli->arena, &t->conv, t->in.input, t->in.filter, t->in.layer);
    return rc;
}

static void target_fini(struct target *t)
{
    if (t->is_user)
        user_program_fini(&t->user);
    else
        conv_program_fini(&t->conv);
}

/* What judges an output, and whether fates are known, is part of what the campaign is. */
static void name_extras(struct target *t, struct cli *cli, const struct inject_args *o)
{
    const char *arguments = t->subject.arguments;
    json_t *doc = json_loads(arguments[0] ? arguments : "{}", 0, NULL);
    if (o->check)
        json_object_set_new(doc, "check", json_string(o->check));
    if (o->fates)
        json_object_set_new(doc, "fates", json_true());
    char *text = json_dumps(doc, JSON_COMPACT);
    t->subject.arguments = arena_strdup(&cli->arena, text ? text : "");
    free(text);
    json_decref(doc);
}

/* What the store is to say of how it was made; docs/FORMATS.md. Not: jobs, engine, parts, which change no row. */
static const char *made_text(struct cli *cli, const struct inject_args *o)
{
    const struct problem_args *p = &o->problem;
    const struct {
        const char *name, *text;
    } words[] = {{"onnx", p->onnx},
                 {"layer", p->onnx ? p->layer : NULL},
                 {"data", p->onnx ? p->data : NULL},
                 {"image", p->image ? arena_printf(&cli->arena, "%" PRIu64, p->image) : NULL},
                 {"input", p->input},
                 {"filter", p->filter},
                 {"data_seed",
                  p->data_seed != 1 ? arena_printf(&cli->arena, "%" PRIu64, p->data_seed) : NULL}};
    json_t *doc = json_object();
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (words[i].text)
            json_object_set_new(doc, words[i].name, json_string(words[i].text));
    if (o->margin > 0) {
        json_object_set_new(doc, "margin", json_real(o->margin));
        json_object_set_new(doc, "confidence", json_real(o->confidence));
    }
    if (o->sequential)
        json_object_set_new(doc, "sequential", json_true());
    char *text = json_object_size(doc) ? json_dumps(doc, JSON_COMPACT) : NULL;
    const char *made = arena_strdup(&cli->arena, text ? text : "");
    free(text);
    json_decref(doc);
    return made;
}

static int set_check(struct target *t, struct cli *cli, const struct inject_args *o,
                     struct campaign_options *c, struct check *check)
{
    struct golden *g;
    if (o->check || o->fates)
        name_extras(t, cli, o);
    if (!o->check)
        return OK;
    *check = (struct check){o->check, t->subject.sim, t->subject.dim};
    c->accept = check_accept;
    c->accept_ctx = check;
    int rc = golden_run(&g, t->subject.sim, &c->kind, &cli->diag);
    if (rc != OK)
        return rc;
    size_t n = t->subject.dim[0] * t->subject.dim[1] * t->subject.dim[2] * t->subject.dim[3];
    if (!check_accept(check, golden_output(g), n))
        rc = diag_fail(&cli->diag, ERR_INPUT, DIAG_NOWHERE,
                       "--check: '%s' does not accept the fault-free output", o->check);
    golden_free(g);
    return rc;
}

static int inject(struct target *t, struct cli *cli, const struct inject_args *o,
                  struct campaign_options *c)
{
    struct check check;
    struct watching watching = {.confidence =
                                    c->kind.sampling == SAMPLING_EXHAUSTIVE ? 0 : o->confidence};
    t->subject.made = made_text(cli, o);
    int rc = sample_size(&c->n, o, t->subject.sim, &c->kind, &cli->diag);
    if (rc == OK)
        rc = first_of(c, o, &cli->diag);
    if (rc == OK)
        rc = part_of(c, o->part, &cli->diag);
    if (rc == OK)
        rc = set_check(t, cli, o, c, &check);
    if (rc != OK)
        return rc;
    progress_begin(&watching.line, cli);
    c->progress = show_progress;
    c->progress_ctx = &watching; // cppcheck-suppress autoVariables ; c is not used after this
    cli_catch_interrupts();
    rc = campaign_run_subject(o->store, &t->subject, c, &cli->diag);
    progress_end(&watching.line);
    return rc;
}

static int exhaust(struct target *t, struct cli *cli, const struct inject_args *o,
                   struct campaign_options *c)
{
    struct watching watching = {0};
    struct census census;
    int rc = all_sites(&c->n, o, t->subject.sim, &c->kind, &cli->diag);
    if (rc != OK)
        return rc;
    progress_begin(&watching.line, cli);
    c->progress = show_progress;
    c->progress_ctx = &watching;
    cli_catch_interrupts();
    rc = campaign_census(&census, &cli->arena, t->subject.sim, c, &cli->diag);
    progress_end(&watching.line);
    if (rc == OK)
        census_print(cli, &census, &t->subject, &c->kind);
    return rc;
}

static void say_goodbye(struct cli *cli)
{
    struct team *team = cli->at_end_ctx;
    struct team_stats s = team_stats(team);
    if (team_rank(team) == 0 && s.leases && !cli->quiet)
        fprintf(
            stderr,
            "%d ranks (%d lost, %d turned away): %llu leases, %llu of them done again by others; "
            "rank 0 exchanged %llu messages, %llu bytes\n",
            s.ranks, s.lost, s.refused, (unsigned long long)s.leases,
            (unsigned long long)s.taken_over, (unsigned long long)s.messages,
            (unsigned long long)s.bytes);
    team_close(team); /* abrupt where ranks are lost */
}

int run_inject(struct cli *cli, void *args)
{
    struct inject_args *o = args;
    struct target t = {0};
    struct campaign_options c = {
        .seed = o->seed,
        .hang_factor = (uint32_t)o->hang_factor,
        .jobs = o->jobs,
        .tensors = o->tensors == STORE_ALL_TENSORS ? NULL : &o->tensors,
        .n_epsilons = o->epsilons.n,
        .epsilons = o->epsilons.v,
        .fates = o->fates,
        .stop_margin = o->sequential ? o->margin : 0,
        .stop_confidence = o->confidence,
        .stop = &cli_stop,
    };
    if (o->list) {
        list_words(cli);
        return OK;
    }
    int rc = team_open(&c.team, &cli->diag);
    if (rc == OK)
        rc = parse_words(&c, &cli->arena, o, &cli->diag);
    o->exhaustive |= c.kind.sampling == SAMPLING_EXHAUSTIVE;
    bool sums = c.kind.sampling == SAMPLING_EXHAUSTIVE && !o->store;
    if (rc == OK && !o->store && !sums)
        rc = diag_fail(&cli->diag, ERR_INPUT, DIAG_NOWHERE, "-o RUN.db is missing");
    if (rc == OK)
        rc = load_target(&t, cli, o);
    if (rc == OK) {
        rc = sums ? exhaust(&t, cli, o, &c) : inject(&t, cli, o, &c);
        target_fini(&t);
    }
    bool speaks = !c.team || team_rank(c.team) == 0; /* one of the ranks is enough */
    if (rc == OK && speaks && !sums)
        rc = print_result(cli, o->store, o);
    cli->at_end = c.team ? say_goodbye : NULL;
    cli->at_end_ctx = c.team;
    cli->silent = rc != OK && !speaks && rc != ERR_IO;
    return rc;
}
