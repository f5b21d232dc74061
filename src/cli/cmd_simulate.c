/* simulate: errors in one layer of a network, and what they do to its answers. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/trials.h"
#include "simulate/simulate.h"
#include "study/study.h"
#include "simulate/tally.h"
#include "store/store.h"

struct simulate_args {
    struct trials_args trials;
    const char *layer, *model, *campaign, *baseline, *store, *task, *strike, *share, *by;
};

static void defaults(void *args)
{
    struct simulate_args *o = args;
    o->trials.data = "fashion-mnist";
    o->layer = "0";
    o->strike = vocab_word(&vocab_parts, PART_OUTPUT);
    o->share = vocab_word(&vocab_shares, SHARE_TURN);
    o->trials.n = 10000;
    o->trials.seed = 1;
}

const struct cli_command cmd_simulate = {
    .name = "simulate",
    .summary = "errors in layers of a CNN: masked, tolerable or critical",
    .operands = "",
    .examples =
        "  sievert simulate --onnx examples/lenet5.onnx --layer 1 --model conv_gemm.json -o "
        "sim.db\n"
        "  sievert simulate --onnx examples/lenet5.onnx --layer 1 --campaign run.db -o sim.db\n"
        "  sievert simulate --onnx examples/lenet5.onnx --layer all --baseline single-bit --by "
        "layer -o sim.db\n"
        "  sievert simulate --onnx examples/unet.onnx --layer convs --share exposure --strike "
        "weights "
        "--baseline single-bit -o sim.db\n",
    .options =
        (const struct cli_option[]){
            NETWORK_OPTIONS(struct simulate_args, trials, "the network"),
            {"layer", 0, OPT_STRING, "NAME,...",
             "which: nodes or outputs by name, convolutions by index too, 'convs' or 'all' "
             "(default 0)",
             offsetof(struct simulate_args, layer)},
            {"share", 0, OPT_STRING, "HOW",
             "among several layers: in turn or by exposure (default turn)",
             offsetof(struct simulate_args, share)},
            {"strike", 0, OPT_STRING, "WHAT",
             "output, weights or bias of the layers (default output)",
             offsetof(struct simulate_args, strike)},
            {"model", 0, OPT_STRING, "MODEL.json,...",
             "draw errors from this model, or one for each layer",
             offsetof(struct simulate_args, model)},
            {"campaign", 0, OPT_STRING, "RUN.db,...",
             "or use a campaign's own faulty tensors, one for each layer",
             offsetof(struct simulate_args, campaign)},
            {"baseline", 0, OPT_STRING, "NAME",
             "or what other injectors do: single-bit, random-value or zero-value in one element",
             offsetof(struct simulate_args, baseline)},
            {"task", 0, OPT_STRING, "TASK[:BOUND]",
             "what is critical: top-1, top-5, confidence, segmentation, detection, regression",
             offsetof(struct simulate_args, task)},
            {"by", 0, OPT_STRING, "PROPERTY", "also by layer, class, pattern or magnitude",
             offsetof(struct simulate_args, by)},
            TRIAL_OPTIONS(struct simulate_args, trials, "how many (default 10000)",
                          "use the first N images (default 256)"),
            {"output", 'o', OPT_STRING, "SIM.db", "the store",
             offsetof(struct simulate_args, store)},
            CLI_OPTION_END},
    .args_bytes = sizeof(struct simulate_args),
    .defaults = defaults,
};

static void show_progress(void *ctx, const struct sim_progress *p)
{
    double n = p->done ? (double)p->done : 1;
    progress_show(ctx, (double)p->done / (double)(p->planned ? p->planned : 1), p->seconds,
                  "%llu/%llu errors, %.0f/s: critical %.2f %%", (unsigned long long)p->done,
                  (unsigned long long)p->planned, p->seconds > 0 ? (double)p->done / p->seconds : 0,
                  100 * (double)p->critical / n);
}

static int count(void *ctx, const struct store_trial *t)
{
    breakdown_add(ctx, t);
    return 0;
}

/* ---- The result as JSON, and from that as tables
 * ---------------------------------------------------------- */

static json_t *shares_json(const struct tally *tally, bool classifies)
{
    struct effect_shares s;
    tally_shares(&s, tally);
    json_t *j = json_pack("{s:I}", "errors", (json_int_t)s.n);
    for (int e = 0; e < N_EFFECTS; e++)
        json_object_set_new(j, vocab_word(&vocab_effects, e),
                            json_pack("{s:I, s:f, s:[ff]}", "errors", (json_int_t)s.count[e],
                                      "share", s.share[e], "interval", s.interval[e].lo,
                                      s.interval[e].hi));
    double n = s.n > 0 ? (double)s.n : 1;
    json_object_set_new(j, "not_finite", json_real((double)s.not_finite / n));
    if (classifies)
        json_object_set_new(j, "left_top_5", json_real((double)s.lost_top5 / n));
    json_object_set_new(j, "measure", json_real(s.measure));
    return j;
}

static const char *key_text(struct arena *a, const struct store_simulation *sim, int by, int key)
{
    if (by == BY_LAYER)
        return sim->layers[key].name;
    if (by == BY_PATTERN)
        return key < 0 ? "none" : vocab_word(&vocab_patterns, key);
    if (by == BY_MAGNITUDE && key == MAGNITUDE_NONE)
        return "0";
    if (by == BY_MAGNITUDE)
        return key == MAGNITUDE_NOT_FINITE ? "not finite" : arena_printf(a, "1e%d", key);
    return arena_printf(a, "%d", key);
}

static json_t *result_json(struct arena *a, const struct store_simulation *sim,
                           const struct breakdown *b)
{
    bool classifies = sim->task[0] == 't' || sim->task[0] == 'c'; /* top-1, top-5, confidence */
    json_t *doc = shares_json(breakdown_all(b), classifies);
    json_object_set_new(doc, "task", json_string(sim->task));
    for (int by = 0; by < N_BY; by++) {
        json_t *list = json_array();
        for (size_t k = 0; k < breakdown_n(b, by); k++) {
            int key;
            json_t *row = shares_json(breakdown_get(b, by, k, &key), classifies);
            json_object_set_new(row, tally_by[by], json_string(key_text(a, sim, by, key)));
            json_array_append_new(list, row);
        }
        json_object_set_new(doc, arena_printf(a, "by_%s", tally_by[by]), list);
    }
    return doc;
}

static double number(const json_t *row, const char *effect, const char *key)
{
    return json_number_value(json_object_get(json_object_get(row, effect), key));
}

static void print_effects(struct cli *cli, const json_t *doc)
{
    struct table t;
    table_init(&t, &cli->arena, 5,
               (const char *const[]){"effect", "errors", "share", "95 % interval", ""});
    for (int i = 0; i < N_EFFECTS; i++) {
        const char *e = vocab_word(&vocab_effects, i);
        const json_t *ci = json_object_get(json_object_get(doc, e), "interval");
        table_cell(&t, "%s", e);
        table_cell(&t, "%.0f", number(doc, e, "errors"));
        table_cell(&t, "%.2f %%", 100 * number(doc, e, "share"));
        table_cell(&t, "%.2f to %.2f %%", 100 * json_number_value(json_array_get(ci, 0)),
                   100 * json_number_value(json_array_get(ci, 1)));
        table_cell(&t, "%s", vocab_effects.words[i].help);
    }
    table_print(&t);
}

/* What the task measures, in words. */
static const char *measure_name(const char *task)
{
    return task[0] == 's'   ? "mean IoU"
           : task[0] == 'd' ? "F1 of the boxes"
           : task[0] == 'r' ? "largest change"
                            : "confidence lost";
}

static void print_by(struct cli *cli, const json_t *doc, const char *by)
{
    struct table t;
    size_t i;
    json_t *row;
    const char *critical = vocab_word(&vocab_effects, EFFECT_CRITICAL);
    const char *task = json_string_value(json_object_get(doc, "task"));
    table_init(&t, &cli->arena, 7,
               (const char *const[]){by, "errors", vocab_word(&vocab_effects, EFFECT_MASKED),
                                     critical, "95 % interval", measure_name(task), "not finite"});
    json_array_foreach (json_object_get(doc, arena_printf(&cli->arena, "by_%s", by)), i, row) {
        const json_t *ci = json_object_get(json_object_get(row, critical), "interval");
        table_cell(&t, "%s", json_string_value(json_object_get(row, by)));
        table_cell(&t, "%.0f", json_number_value(json_object_get(row, "errors")));
        table_cell(&t, "%.2f %%",
                   100 * number(row, vocab_word(&vocab_effects, EFFECT_MASKED), "share"));
        table_cell(&t, "%.2f %%", 100 * number(row, critical, "share"));
        table_cell(&t, "%.2f to %.2f %%", 100 * json_number_value(json_array_get(ci, 0)),
                   100 * json_number_value(json_array_get(ci, 1)));
        table_cell(&t, "%.4g", json_number_value(json_object_get(row, "measure")));
        table_cell(&t, "%.2f %%", 100 * json_number_value(json_object_get(row, "not_finite")));
    }
    puts("");
    table_print(&t);
}

static void print_tables(struct cli *cli, const json_t *doc, const char *by)
{
    const char *task = json_string_value(json_object_get(doc, "task"));
    print_effects(cli, doc);
    printf("\nTask %s: %s %.4g on average", task, measure_name(task),
           json_number_value(json_object_get(doc, "measure")));
    if (json_object_get(doc, "left_top_5"))
        printf("; answer no longer among the five largest: %.2f %%",
               100 * json_number_value(json_object_get(doc, "left_top_5")));
    printf("; outputs not finite, which the application can detect: %.2f %%\n",
           100 * json_number_value(json_object_get(doc, "not_finite")));
    if (by)
        print_by(cli, doc, by);
}

static int print_result(struct cli *cli, const char *path, const char *by)
{
    struct store *s;
    int rc = store_open(&s, path, false, &cli->diag);
    if (rc != OK)
        return rc;
    struct breakdown *b = breakdown_new();
    rc = store_sim_each(s, count, b, &cli->diag);
    json_t *doc = rc == OK ? result_json(&cli->arena, store_simulation(s), b) : NULL;
    breakdown_free(b);
    store_close(s, &cli->diag);
    if (doc && cli->json) {
        cli_print_json(doc);
        return OK;
    }
    if (doc)
        print_tables(cli, doc, by);
    json_decref(doc);
    return rc;
}

static int check_by(const char *by, struct diag *d)
{
    for (int k = 0; by && k < N_BY; k++)
        if (strcmp(by, tally_by[k]) == 0)
            return OK;
    return by ? diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                          "--by %.40s: layer, class, pattern or magnitude", by)
              : OK;
}

int run_simulate(struct cli *cli, void *args)
{
    struct simulate_args *o = args;
    if (!o->trials.onnx || !o->store || !!o->model + !!o->campaign + !!o->baseline != 1 ||
        o->trials.jobs < 0 || o->trials.n == 0)
        return diag_fail(
            &cli->diag, ERR_INPUT, DIAG_NOWHERE,
            "give --onnx NET.onnx, -o SIM.db, and one of --model, --campaign, --baseline; -n at "
            "least 1");
    int strike, share, rc = vocab_find(&vocab_parts, o->strike, &strike, &cli->diag);
    if (rc == OK)
        rc = vocab_find(&vocab_shares, o->share, &share, &cli->diag);
    if (rc == OK)
        rc = check_by(o->by, &cli->diag);
    if (rc != OK)
        return rc;
    struct progress_line line;
    progress_begin(&line, cli);
    cli_catch_interrupts();
    struct sim_options s = trials_options(&o->trials, &line, show_progress);
    s.layer = o->layer;
    s.model = o->model;
    s.campaign = o->campaign;
    s.baseline = o->baseline;
    s.task = o->task;
    s.strike = (enum layer_part)strike;
    s.share = (enum layer_share)share;
    rc = simulate_run(o->store, &s, &cli->diag);
    progress_end(&line);
    return rc != OK ? rc : print_result(cli, o->store, o->by);
}
