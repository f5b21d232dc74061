/* model compare: two error models; model check: an error model and a campaign's own errors. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "characterise/characterise.h"
#include "cli/cli.h"
#include "model/model.h"
#include "stats/stats.h"
#include "store/store.h"
#include "study/study.h"

enum { PERMUTATIONS = 4999 };

/* ---- model compare --------------------------------------------------------------------------------- */

struct compare_args {
    uint64_t seed;
};

static void compare_defaults(void *args) { ((struct compare_args *)args)->seed = 1; }

const struct cli_command cmd_model_compare = {
    .name = "model compare",
    .summary = "how far two error models' patterns are apart, and whether by chance",
    .operands = "A.json B.json",
    .min_operands = 2,
    .max_operands = 2,
    .examples = "  sievert model compare conv_gemm.json conv_winograd.json\n",
    .options = (const struct cli_option[]){{"seed", 0, OPT_U64, "S", "of the permutations (1)",
                                            offsetof(struct compare_args, seed)},
                                           CLI_OPTION_END},
    .args_bytes = sizeof(struct compare_args),
    .defaults = compare_defaults,
};

/* Pattern counts of two samples, tested as a whole and, with Holm's correction, one by one. */
struct comparison {
    const char *name[2];
    uint64_t count[2][N_PATTERNS], n[2];
    struct histogram_test test;
    double p[N_PATTERNS];                   /* of patterns that occur, in order */
    struct interval difference[N_PATTERNS]; /* of the shares, the first minus the second */
};

static void compare(struct comparison *c, uint64_t seed)
{
    struct rng r;
    double p[N_PATTERNS];
    int used = 0;
    rng_init(&r, seed, 0);
    for (int s = 0; s < 2; s++)
        for (int i = 0; i < N_PATTERNS; i++)
            c->n[s] += c->count[s][i];
    c->test = stats_compare_histograms(c->count[0], c->count[1], N_PATTERNS, &r, PERMUTATIONS);
    for (int i = 0; i < N_PATTERNS; i++) {
        if (c->count[0][i] + c->count[1][i] == 0)
            continue;
        p[used++] = stats_two_proportions(c->count[0][i], c->n[0], c->count[1][i], c->n[1]);
        c->difference[i] = stats_newcombe(c->count[0][i], c->n[0], c->count[1][i], c->n[1], 0.95);
    }
    stats_holm(p, (size_t)used);
    used = 0;
    for (int i = 0; i < N_PATTERNS; i++)
        c->p[i] = c->count[0][i] + c->count[1][i] ? p[used++] : 1;
}

static double share(const struct comparison *c, int side, int pattern)
{
    return c->n[side] ? (double)c->count[side][pattern] / (double)c->n[side] : 0;
}

static json_t *comparison_json(const struct comparison *c)
{
    json_t *patterns = json_object();
    for (int i = 0; i < N_PATTERNS; i++)
        if (c->count[0][i] + c->count[1][i])
            json_object_set_new(patterns, vocab_word(&vocab_patterns, i),
                                json_pack("{s:[I, I], s:[f, f], s:[f, f], s:f}", "tensors",
                                          (json_int_t)c->count[0][i], (json_int_t)c->count[1][i],
                                          "share", share(c, 0, i), share(c, 1, i), "difference",
                                          c->difference[i].lo, c->difference[i].hi, "p", c->p[i]));
    return json_pack("{s:[s, s], s:f, s:f, s:f, s:f, s:i, s:o}", "models", c->name[0], c->name[1],
                     "total_variation", c->test.total_variation, "jensen_shannon",
                     c->test.jensen_shannon, "cramers_v", c->test.cramers_v, "p", c->test.p,
                     "permutations", PERMUTATIONS, "patterns", patterns);
}

static void print_comparison(struct cli *cli, const struct comparison *c)
{
    struct table t;
    table_init(&t, &cli->arena, 7,
               (const char *const[]){"pattern", "share of A", "", "share of B", "", "A - B, 95 %",
                                     "p (Holm)"});
    for (int i = 0; i < N_PATTERNS; i++) {
        if (c->count[0][i] + c->count[1][i] == 0)
            continue;
        table_cell(&t, "%s", vocab_word(&vocab_patterns, i));
        for (int side = 0; side < 2; side++) {
            table_cell(&t, "%.2f %%", 100 * share(c, side, i));
            table_cell(&t, "%s", bar(&cli->arena, share(c, side, i), 12));
        }
        table_cell(&t, "%+.2f to %+.2f %%", 100 * c->difference[i].lo, 100 * c->difference[i].hi);
        table_cell(&t, c->p[i] < 0.0001 ? "<0.0001" : "%.4f", c->p[i]);
    }
    printf("A  %s, %llu tensors\nB  %s, %llu tensors\n\n", c->name[0], (unsigned long long)c->n[0],
           c->name[1], (unsigned long long)c->n[1]);
    table_print(&t);
    printf("\ntotal variation %.4f, Jensen-Shannon %.4f bits, Cramer's V %.3f\n"
           "%s: permutation test, p = %.4f (%d permutations)\n",
           c->test.total_variation, c->test.jensen_shannon, c->test.cramers_v,
           c->test.p <= 0.05 ? "the patterns differ" : "no significant difference", c->test.p,
           PERMUTATIONS);
}

int run_model_compare(struct cli *cli, void *args)
{
    const struct compare_args *o = args;
    struct comparison c = {0};
    for (int s = 0; s < 2; s++) {
        struct model *m;
        c.name[s] = cli->operands[s];
        int rc = model_load(&m, &cli->arena, cli->operands[s], &cli->diag);
        if (rc != OK)
            return rc;
        model_pattern_counts(m, c.count[s]);
    }
    compare(&c, o->seed);
    if (cli->json)
        cli_print_json(comparison_json(&c));
    else
        print_comparison(cli, &c);
    return OK;
}

/* ---- model check -------------------------------------------------------------------------------- */

struct validate_args {
    uint64_t seed, n;
};

static void validate_defaults(void *args)
{
    struct validate_args *o = args;
    o->seed = 1;
    o->n = 10000;
}

const struct cli_command cmd_model_check = {
    .name = "model check",
    .summary = "draw from a model for a campaign's tensor and compare with the campaign's errors",
    .operands = "MODEL.json RUN.db",
    .min_operands = 2,
    .max_operands = 2,
    .examples = "  sievert model check conv1_gemm.json conv2_gemm.db\n",
    .options =
        (const struct cli_option[]){
            {"n", 'n', OPT_COUNT, "N", "errors to draw (10000)", offsetof(struct validate_args, n)},
            {"seed", 0, OPT_U64, "S", "of the draws (1)", offsetof(struct validate_args, seed)},
            CLI_OPTION_END},
    .args_bytes = sizeof(struct validate_args),
    .defaults = validate_defaults,
};

/* What is compared besides the pattern: one number of each error. */
enum measure { CORRUPTED, CHANNELS, LARGEST, RELATIVE, N_MEASURES };
static const char *const measure_names[N_MEASURES] = {"corrupted values", "corrupted channels",
                                                      "largest error (log2)",
                                                      "relative error (median log2)"};

struct sample {
    size_t n, room;
    double *value[N_MEASURES];
    size_t n_value[N_MEASURES];
    uint64_t values[N_VALUES];
};

struct validation {
    const struct store_campaign *campaign;
    struct char_options options;
    struct value_range range;
    struct difference *diffs;
    struct comparison patterns; /* [0] the model, [1] the campaign */
    struct sample sample[2];
    struct ks_test ks[N_MEASURES];
    struct histogram_test values;
    uint64_t kept, drawn; /* draws that are classified as what they were drawn as */
};

static void add(struct validation *v, int side, struct arena *a, const struct characterisation *c)
{
    struct sample *s = &v->sample[side];
    if (c->corrupted == 0)
        return;
    if (s->n == s->room) {
        s->room = s->room ? 2 * s->room : 1024;
        for (int i = 0; i < N_MEASURES; i++) {
            double *grown = arena_array(a, s->room, sizeof *grown);
            if (s->n_value[i])
                memcpy(grown, s->value[i], s->n_value[i] * sizeof *grown);
            s->value[i] = grown;
        }
    }
    s->n++;
    v->patterns.count[side][c->pattern]++;
    for (int i = 0; i < N_VALUES; i++)
        s->values[i] += i == VALUE_SAME ? 0 : c->value_count[i];
    s->value[CORRUPTED][s->n_value[CORRUPTED]++] = (double)c->corrupted;
    s->value[CHANNELS][s->n_value[CHANNELS]++] = (double)c->channels;
    s->value[LARGEST][s->n_value[LARGEST]++] = log2(c->max_abs_error); /* infinite is largest */
    if (!isnan(c->median_log2_rel))
        s->value[RELATIVE][s->n_value[RELATIVE]++] = c->median_log2_rel;
}

struct collector {
    struct validation *v;
    struct arena *a;
};

static int collect(void *ctx, const struct store_injection *i)
{
    struct collector *k = ctx;
    struct validation *v = k->v;
    struct characterisation c;
    if (i->outcome != OUTCOME_SDC || !i->diffs)
        return 0;
    for (size_t j = 0; j < i->n_diffs; j++) {
        uint32_t index = i->diffs[j].index;
        v->diffs[j] = (struct difference){.index = index, .golden = v->campaign->golden[index]};
        memcpy(&v->diffs[j].faulty, &i->diffs[j].faulty_bits, sizeof(float));
    }
    characterise(&c, v->diffs, i->n_diffs, v->campaign->dim, v->range, &v->options);
    add(v, 1, k->a, &c);
    return 0;
}

static void draw(struct validation *v, struct arena *a, const struct model *m, uint64_t seed,
                 uint64_t n)
{
    const size_t *dim = v->campaign->dim, one[4] = {1, dim[1], dim[2], dim[3]};
    size_t elems = dim[1] * dim[2] * dim[3];
    for (uint64_t i = 0; i < n; i++) {
        struct characterisation c;
        struct rng r;
        rng_init(&r, seed, i);
        struct model_draw drawn =
            model_draw(m, &r, dim + 1, v->campaign->golden, v->range, v->diffs, elems);
        characterise(&c, v->diffs, drawn.n, one, v->range, &v->options);
        v->kept += c.corrupted > 0 && c.pattern == drawn.pattern;
        add(v, 0, a, &c);
    }
}

static json_t *validation_json(const struct validation *v)
{
    json_t *measures = json_object();
    for (int i = 0; i < N_MEASURES; i++)
        json_object_set_new(
            measures, measure_names[i],
            json_pack("{s:f, s:f}", "kolmogorov_smirnov", v->ks[i].d, "p", v->ks[i].p));
    json_t *o = comparison_json(&v->patterns);
    json_object_set_new(o, "kept", json_real((double)v->kept / (double)v->drawn));
    json_object_set_new(o, "measures", measures);
    json_object_set_new(o, "value_classes",
                        json_pack("{s:f, s:f}", "total_variation", v->values.total_variation,
                                  "jensen_shannon", v->values.jensen_shannon));
    return o;
}

static void print_validation(struct cli *cli, const struct validation *v)
{
    struct table t;
    print_comparison(cli, &v->patterns);
    table_init(&t, &cli->arena, 3,
               (const char *const[]){"of each error", "Kolmogorov-Smirnov D", "p"});
    for (int i = 0; i < N_MEASURES; i++) {
        table_cell(&t, "%s", measure_names[i]);
        table_cell(&t, "%.4f", v->ks[i].d);
        table_cell(&t, v->ks[i].p < 0.0001 ? "<0.0001" : "%.4f", v->ks[i].p);
    }
    putchar('\n');
    table_print(&t);
    printf("\n%.2f %% of the errors drawn are classified as the pattern that they were drawn as\n"
           "value classes of all corrupted values: total variation %.4f\n",
           100 * (double)v->kept / (double)v->drawn, v->values.total_variation);
}

int run_model_check(struct cli *cli, void *args)
{
    const struct validate_args *o = args;
    struct validation v = {.patterns.name = {cli->operands[0], cli->operands[1]}};
    struct model *m;
    struct store *s;
    struct rng r;
    if (o->n == 0 || o->n > 10000000)
        return diag_fail(&cli->diag, ERR_INPUT, DIAG_NOWHERE, "-n: from 1 to 10 million errors");
    int rc = model_load(&m, &cli->arena, cli->operands[0], &cli->diag);
    if (rc == OK)
        rc = store_open(&s, cli->operands[1], false, &cli->diag);
    if (rc != OK)
        return rc;
    v.campaign = store_campaign(s);
    v.options = model_options(m);
    v.range = characterise_range(v.campaign->golden, v.campaign->golden_floats);
    v.diffs = arena_array(&cli->arena, v.campaign->golden_floats, sizeof *v.diffs);
    rc = store_each(s, true, collect, &(struct collector){&v, &cli->arena}, &cli->diag);
    if (rc == OK)
        rc = study_retarget(m, &cli->arena, v.campaign, &cli->diag);
    if (rc == OK && v.sample[1].n == 0)
        rc = diag_fail(&cli->diag, ERR_INPUT, (struct loc){.file = cli->operands[1]},
                       "no corrupted tensors to compare with");
    if (rc == OK) {
        v.drawn = o->n;
        draw(&v, &cli->arena, m, o->seed, o->n);
        compare(&v.patterns, o->seed);
        rng_init(&r, o->seed, UINT64_MAX);
        v.values =
            stats_compare_histograms(v.sample[0].values, v.sample[1].values, N_VALUES, &r, 0);
        for (int i = 0; i < N_MEASURES; i++)
            v.ks[i] = stats_kolmogorov_smirnov(v.sample[0].value[i], v.sample[0].n_value[i],
                                               v.sample[1].value[i], v.sample[1].n_value[i]);
        if (cli->json)
            cli_print_json(validation_json(&v));
        else
            print_validation(cli, &v);
    }
    int closed = store_close(s, &cli->diag);
    return rc != OK ? rc : closed;
}
