/* model build, model show */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "model/model.h"
#include "study/study.h"

struct build_args {
    const char *output;
    double epsilon;
    bool compat;
};

static void build_defaults(void *args) { ((struct build_args *)args)->epsilon = NAN; }

const struct cli_command cmd_model_build = {
    .name = "model build",
    .summary = "an error model (CLASSES JSON) from a campaign's faulty tensors",
    .operands = "RUN.db",
    .min_operands = 1,
    .max_operands = 1,
    .examples = "  sievert model build run.db -o conv_gemm.json\n",
    .options =
        (const struct cli_option[]){
            {"output", 'o', OPT_STRING, "MODEL.json", "where it goes",
             offsetof(struct build_args, output)},
            {"eps", 0, OPT_DOUBLE, "E", CLI_EPSILON_HELP, offsetof(struct build_args, epsilon)},
            {"compat", 0, OPT_FLAG, NULL, "label as the CLASSES classifier does, quirks included",
             offsetof(struct build_args, compat)},
            CLI_OPTION_END},
    .args_bytes = sizeof(struct build_args),
    .defaults = build_defaults,
};

const struct cli_command cmd_model_show = {
    .name = "model show",
    .summary = "what is in an error model",
    .operands = "MODEL.json",
    .min_operands = 1,
    .max_operands = 1,
    .examples = "  sievert model show conv_gemm.json\n",
    .options = NULL,
};

static void show_origin(const struct model_origin *o)
{
    const double n = o->injections ? (double)o->injections : 1;
    printf("%s %s%s%s, faults %s: %llu injections of a population of %llu\n"
           "masked %.2f %%, SDC %.2f %%, DUE %.2f %%\n",
           o->impl, o->shape, *o->tile ? ", tile " : "", o->tile, o->fault,
           (unsigned long long)o->injections, (unsigned long long)o->population,
           100 * (double)o->masked / n, 100 * (double)o->sdc / n, 100 * (double)o->due / n);
    for (int i = 0; i < o->tiling.n_axes; i++) {
        const struct tiling_axis *x = &o->tiling.axis[i];
        printf("%s%zu %ss, %zu a thread, %zu a thread group", i ? "; " : "", x->size, x->name,
               x->thread, x->tile);
    }
    putchar(o->tiling.n_axes ? '\n' : ' ');
}

static void show(struct cli *cli, const struct model *m)
{
    if (cli->json) {
        fputs(model_json(&cli->arena, m), stdout);
        putchar('\n');
        return;
    }
    struct table t;
    if (model_origin(m))
        show_origin(model_origin(m));
    printf("%llu tensors; %.2f %% were too rare to be in the model\n\n",
           (unsigned long long)model_n_tensors(m), 100 * model_rejected(m));
    table_init(&t, &cli->arena, 6,
               (const char *const[]){"pattern", "tensors", "share", "", "categories", "domains"});
    for (size_t i = 0; i < model_n_patterns(m); i++) {
        struct model_pattern_info p = model_pattern(m, i);
        table_cell(&t, "%s", vocab_word(&vocab_patterns, (int)p.pattern));
        table_cell(&t, "%llu", (unsigned long long)p.count);
        table_cell(&t, "%.2f %%", 100 * p.frequency);
        table_cell(&t, "%s", bar(&cli->arena, p.frequency, 20));
        table_cell(&t, "%zu", p.n_categories);
        table_cell(&t, "%zu", p.n_domains);
    }
    table_print(&t);
}

int run_model_build(struct cli *cli, void *args)
{
    struct build_args *o = args;
    struct model *m;
    if (!o->output)
        return diag_fail(&cli->diag, ERR_INPUT, DIAG_NOWHERE, "-o MODEL.json is missing");
    if (isnan(o->epsilon))
        o->epsilon = cli_epsilon(o->compat);
    if (!(o->epsilon >= 0))
        return diag_fail(&cli->diag, ERR_INPUT, DIAG_NOWHERE, "--eps: %g is negative", o->epsilon);
    int rc = study_model(&m, &cli->arena, cli->operands[0], o->epsilon, o->compat, &cli->diag);
    if (rc == OK)
        rc = model_save(m, o->output, &cli->diag);
    if (rc == OK)
        show(cli, m);
    return rc;
}

int run_model_show(struct cli *cli, void *args)
{
    (void)args;
    struct model *m;
    int rc = model_load(&m, &cli->arena, cli->operands[0], &cli->diag);
    if (rc == OK)
        show(cli, m);
    return rc;
}
