/* simulate: errors in one layer of a network, and what they do to its answers. */
#include <stdio.h>

#include "cli/cli.h"
#include "simulate/simulate.h"
#include "stats/stats.h"
#include "store/store.h"

struct simulate_args {
    const char *onnx, *data, *layer, *model, *campaign, *baseline, *store;
    uint64_t n, seed, images;
    int jobs;
};

static void defaults(void *args)
{
    struct simulate_args *o = args;
    o->data = "fashion-mnist";
    o->layer = "0";
    o->n = 10000;
    o->seed = 1;
}

const struct cli_command cmd_simulate = {
    .name = "simulate",
    .summary = "errors in a layer of a CNN: masked, tolerable or critical",
    .operands = "",
    .examples = "  sievert simulate --onnx examples/lenet5.onnx --layer 1 --model conv_gemm.json -o sim.db\n"
                "  sievert simulate --onnx examples/lenet5.onnx --layer 1 --campaign run.db -o sim.db\n",
    .options = (const struct cli_option[]){
        {"onnx", 0, OPT_STRING, "NET.onnx", "the network", offsetof(struct simulate_args, onnx)},
        {"data", 0, OPT_STRING, "SET", "the images (default fashion-mnist)",
         offsetof(struct simulate_args, data)},
        {"layer", 0, OPT_STRING, "NAME", "which convolution, by name or index (default 0)",
         offsetof(struct simulate_args, layer)},
        {"model", 0, OPT_STRING, "MODEL.json", "draw errors from this model",
         offsetof(struct simulate_args, model)},
        {"campaign", 0, OPT_STRING, "RUN.db", "or use this campaign's own faulty tensors",
         offsetof(struct simulate_args, campaign)},
        {"baseline", 0, OPT_STRING, "NAME",
         "or what other injectors do: single-bit, random-value or zero-value in one element",
         offsetof(struct simulate_args, baseline)},
        {"errors", 'n', OPT_COUNT, "N", "how many (default 10000)", offsetof(struct simulate_args, n)},
        {"images", 0, OPT_COUNT, "N", "use the first N images (default 256)",
         offsetof(struct simulate_args, images)},
        {"seed", 0, OPT_U64, "N", "the same seed gives the same errors (default 1)",
         offsetof(struct simulate_args, seed)},
        {"jobs", 'j', OPT_INT, "N", "threads (default: one per processor)",
         offsetof(struct simulate_args, jobs)},
        {"output", 'o', OPT_STRING, "SIM.db", "the store", offsetof(struct simulate_args, store)},
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
    ((uint64_t *)ctx)[t->effect]++;
    return 0;
}

static int print_result(struct cli *cli, const char *path)
{
    struct store *s;
    uint64_t counts[N_EFFECTS] = {0}, n = 0;
    int rc = store_open(&s, path, false, &cli->diag);
    if (rc != OK)
        return rc;
    rc = store_sim_each(s, count, counts, &cli->diag);
    store_close(s, &cli->diag);
    if (rc != OK)
        return rc;
    for (int i = 0; i < N_EFFECTS; i++)
        n += counts[i];

    json_t *doc = json_object();
    struct table t;
    table_init(&t, &cli->arena, 5,
               (const char *const[]){"effect", "errors", "share", "95 % interval", ""});
    for (int i = 0; i < N_EFFECTS && n > 0; i++) {
        struct interval ci = stats_wilson((double)counts[i], (double)n, 0.95);
        double share = (double)counts[i] / (double)n;
        table_cell(&t, "%s", vocab_word(&vocab_effects, i));
        table_cell(&t, "%llu", (unsigned long long)counts[i]);
        table_cell(&t, "%.2f %%", 100 * share);
        table_cell(&t, "%.2f to %.2f %%", 100 * ci.lo, 100 * ci.hi);
        table_cell(&t, "%s", vocab_effects.words[i].help);
        json_object_set_new(doc, vocab_word(&vocab_effects, i),
                            json_pack("{s:I, s:f, s:[ff]}", "errors", (json_int_t)counts[i], "share",
                                      share, "interval", ci.lo, ci.hi));
    }
    if (cli->json) {
        cli_print_json(doc);
        return OK;
    }
    table_print(&t);
    json_decref(doc);
    return OK;
}

int run_simulate(struct cli *cli, void *args)
{
    struct simulate_args *o = args;
    if (!o->onnx || !o->store || !!o->model + !!o->campaign + !!o->baseline != 1 || o->jobs < 0 || o->n == 0)
        return diag_fail(&cli->diag, ERR_INPUT, DIAG_NOWHERE,
                         "give --onnx NET.onnx, -o SIM.db, and one of --model, --campaign, --baseline; -n at "
                         "least 1");
    struct progress_line line;
    progress_begin(&line, cli);
    cli_catch_interrupts();
    struct sim_options s = {
        .network = o->onnx, .dataset = o->data, .layer = o->layer, .model = o->model,
        .campaign = o->campaign, .baseline = o->baseline, .seed = o->seed, .n = o->n, .images = o->images, .jobs = o->jobs,
        .progress = show_progress, .progress_ctx = &line, .stop = &cli_stop,
    };
    int rc = simulate_run(o->store, &s, &cli->diag);
    progress_end(&line);
    return rc != OK ? rc : print_result(cli, o->store);
}
