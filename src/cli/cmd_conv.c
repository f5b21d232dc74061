/* conv list, conv run */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/npy.h"
#include "cli/cli.h"
#include "cli/problem.h"
#include "conv/conv.h"

/* ---- conv list ------------------------------------------------------------------------------- */

struct list_args {
    const char *shape;
};

const struct cli_command cmd_conv_list = {
    .name = "conv list",
    .summary = "implementations, what each supports, cuDNN's name for it",
    .operands = "",
    .examples =
        "  sievert conv list\n"
        "  sievert conv list --shape 1x64x56x56:64x3x3:p1   which of them can do this one\n",
    .options = (const struct cli_option[]){{"shape", 0, OPT_STRING, "SHAPE",
                                            "say for each whether it supports this problem",
                                            offsetof(struct list_args, shape)},
                                           CLI_OPTION_END},
    .args_bytes = sizeof(struct list_args),
};

static json_t *layouts(const struct conv_impl *impl)
{
    json_t *words = json_array();
    for (int i = 0; i < N_LAYOUTS; i++)
        if (i == LAYOUT_NCHW || impl->supports.nhwc)
            json_array_append_new(words, json_string(vocab_word(&vocab_layouts, i)));
    return words;
}

static json_t *list_row(struct arena *a, const struct conv_impl *impl, const struct conv_problem *p)
{
    json_t *row =
        json_pack("{s:s, s:s, s:s, s:s, s:o, s:s, s:f}", "name", impl->name, "vendor", impl->vendor,
                  "summary", impl->summary, "limits", conv_limits_text(a, impl), "layouts",
                  layouts(impl), "tiles", impl->tiles, "bound", impl->bound);
    if (p) {
        struct diag why = {0};
        uint64_t bytes;
        bool ok = conv_workspace(&bytes, impl, p, &why) == OK;
        json_object_set_new(row, "supports", json_boolean(ok));
        json_object_set_new(row, "reason", json_string(ok ? "" : why.msg));
        json_object_set_new(row, "workspace_bytes", json_integer(ok ? (json_int_t)bytes : 0));
    }
    return row;
}

/* The choices for --tile, once for all implementations that have the same. */
static void print_tiles(const struct conv_impl *impls, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool first = *impls[i].tiles;
        for (size_t j = 0; j < i && first; j++)
            first = strcmp(impls[j].tiles, impls[i].tiles) != 0;
        if (!first)
            continue;
        printf("\ntiles of %s", impls[i].name);
        for (size_t j = i + 1; j < n; j++)
            if (strcmp(impls[j].tiles, impls[i].tiles) == 0)
                printf(", %s", impls[j].name);
        printf(":\n ");
        for (const char *c = impls[i].tiles; *c; c++)
            putchar(*c == ',' ? ' ' : *c);
        printf("\n");
    }
}

int run_conv_list(struct cli *cli, void *args)
{
    struct list_args *o = args;
    struct conv_problem p;
    if (o->shape && conv_parse_shape(&p, o->shape, &cli->diag) != OK)
        return cli->diag.code;
    size_t n;
    const struct conv_impl *impls = conv_impls(&n);
    json_t *rows = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(rows, list_row(&cli->arena, &impls[i], o->shape ? &p : NULL));
    if (cli->json) {
        cli_print_json(rows);
        return OK;
    }
    struct table t;
    if (o->shape)
        table_init(&t, &cli->arena, 4,
                   (const char *const[]){"implementation", "cuDNN's name", "can", "why not"});
    else
        table_init(&t, &cli->arena, 5,
                   (const char *const[]){"implementation", "cuDNN's name", "layouts", "limits",
                                         "what it does"});
    size_t index;
    json_t *row;
    json_array_foreach (rows, index, row) {
        const struct conv_impl *impl = &impls[index];
        table_cell(&t, "%s", impl->name);
        table_cell(&t, "%s", impl->vendor);
        if (o->shape) {
            table_cell(&t, "%s", json_is_true(json_object_get(row, "supports")) ? "yes" : "no");
            table_cell(&t, "%s", json_string_value(json_object_get(row, "reason")));
        } else {
            table_cell(&t, impl->supports.nhwc ? "nchw nhwc" : "nchw");
            table_cell(&t, "%s", json_string_value(json_object_get(row, "limits")));
            table_cell(&t, "%s", impl->summary);
        }
    }
    table_print(&t);
    if (!o->shape)
        print_tiles(impls, n);
    json_decref(rows);
    return OK;
}

/* ---- conv run -------------------------------------------------------------------------------- */

struct run_args {
    struct problem_args problem;
    const char *output;
};

const struct cli_command cmd_conv_run = {
    .name = "conv run",
    .summary = "simulate a convolution without faults: error, instructions, workspace",
    .operands = "",
    .examples = "  sievert conv run --impl implicit-gemm --shape 1x16x32x32:32x3x3:p1\n"
                "  sievert conv run --impl direct --onnx examples/lenet5.onnx --layer 0 -o y.npy\n",
    .options =
        (const struct cli_option[]){PROBLEM_OPTIONS(struct run_args, problem),
                                    {"output", 'o', OPT_STRING, "FILE.npy",
                                     "write the output tensor", offsetof(struct run_args, output)},
                                    CLI_OPTION_END},
    .args_bytes = sizeof(struct run_args),
    .defaults = problem_defaults,
};

static double relative_error(const float *out, const float *reference, size_t n)
{
    double error = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        double e = (double)out[i] - (double)reference[i];
        error += e * e;
        norm += (double)reference[i] * (double)reference[i];
    }
    return norm > 0 ? sqrt(error / norm) : sqrt(error);
}

static json_t *cost_row(const struct conv_cost *c)
{
    json_t *groups = json_object();
    for (int g = 0; g < N_GROUPS; g++)
        json_object_set_new(groups, vocab_word(&vocab_groups, g),
                            json_integer((json_int_t)c->group[g]));
    return json_pack("{s:I, s:I, s:o, s:I, s:I, s:I, s:I}", "warp_instructions",
                     (json_int_t)c->counts.warp_insns, "thread_instructions",
                     (json_int_t)c->counts.thread_insns, "thread_instructions_by_group", groups,
                     "global_load_bytes", (json_int_t)c->global_load_bytes, "global_store_bytes",
                     (json_int_t)c->global_store_bytes, "shared_load_bytes",
                     (json_int_t)c->shared_load_bytes, "shared_store_bytes",
                     (json_int_t)c->shared_store_bytes);
}

static json_t *launch_row(const struct simt_launch *l, const char *ptx,
                          const struct conv_cost *cost)
{
    json_t *row =
        json_pack("{s:s, s:s, s:s, s:[iii], s:[iii]}", "kernel", ptx_kernel_name(l->kernel), "ptx",
                  ptx, "label", l->label ? l->label : "", "grid", (int)l->grid[0], (int)l->grid[1],
                  (int)l->grid[2], "block", (int)l->block[0], (int)l->block[1], (int)l->block[2]);
    json_t *figures = cost_row(cost);
    json_object_update(row, figures);
    json_decref(figures);
    return row;
}

static void add_cost(struct conv_cost *sum, const struct conv_cost *c)
{
    sum->counts.warp_insns += c->counts.warp_insns;
    sum->counts.thread_insns += c->counts.thread_insns;
    for (int g = 0; g < N_GROUPS; g++)
        sum->group[g] += c->group[g];
    sum->global_load_bytes += c->global_load_bytes;
    sum->global_store_bytes += c->global_store_bytes;
    sum->shared_load_bytes += c->shared_load_bytes;
    sum->shared_store_bytes += c->shared_store_bytes;
}

static void print_run(struct cli *cli, const struct conv_program *p, json_t *doc)
{
    printf("%s %s%s%s  %s\n\n", p->impl->name, *p->tile ? "tile " : "", p->tile,
           *p->tile ? " " : "", json_string_value(json_object_get(doc, "shape")));
    struct table t;
    table_init(&t, &cli->arena, 6,
               (const char *const[]){"launch", "grid", "block", "warp instructions",
                                     "thread instructions", "of them fp32"});
    size_t i;
    json_t *row;
    json_array_foreach (json_object_get(doc, "launches"), i, row) {
        const struct simt_launch *l = &p->sim.launches[i];
        table_cell(&t, "%s", l->label && *l->label ? l->label : ptx_kernel_name(l->kernel));
        table_cell(&t, "%u x %u x %u", l->grid[0], l->grid[1], l->grid[2]);
        table_cell(&t, "%u x %u x %u", l->block[0], l->block[1], l->block[2]);
        table_cell(&t, "%lld", json_integer_value(json_object_get(row, "warp_instructions")));
        table_cell(&t, "%lld", json_integer_value(json_object_get(row, "thread_instructions")));
        const json_t *groups = json_object_get(row, "thread_instructions_by_group");
        table_cell(&t, "%lld", json_integer_value(json_object_get(groups, "fp32")));
    }
    table_print(&t);
    const json_t *total = json_object_get(doc, "total");
    printf("\nglobal memory   %lld bytes loaded, %lld stored\n",
           json_integer_value(json_object_get(total, "global_load_bytes")),
           json_integer_value(json_object_get(total, "global_store_bytes")));
    printf("shared memory   %lld bytes loaded, %lld stored\n",
           json_integer_value(json_object_get(total, "shared_load_bytes")),
           json_integer_value(json_object_get(total, "shared_store_bytes")));
    printf("workspace       %llu bytes\n", (unsigned long long)p->workspace_bytes);
    printf("error           %.3g relative to oneDNN, up to %g is its due\n",
           json_real_value(json_object_get(doc, "relative_error")), p->impl->bound);
    printf("simulated in    %.1f ms\n", 1e3 * json_real_value(json_object_get(doc, "seconds")));
}

static int simulate(struct cli *cli, struct conv_program *p, const struct problem *in,
                    const char *output)
{
    const size_t n = p->sim.out_bytes / sizeof(float);
    float *out = arena_array(&cli->arena, n, sizeof *out);
    float *reference = arena_array(&cli->arena, n, sizeof *reference);
    struct conv_cost *cost = arena_array(&cli->arena, p->sim.n_launches, sizeof *cost), total = {0};
    double seconds;
    int rc = conv_measure(cost, p, out, &seconds, &cli->diag);
    if (rc == OK)
        rc = conv_reference(&p->problem, in->input, in->filter, reference, &cli->diag);
    if (rc == OK && output) {
        const struct tensor t = {.rank = 4,
                                 .data = out,
                                 .dim = {(size_t)p->problem.n, (size_t)p->problem.k,
                                         (size_t)conv_out_h(&p->problem),
                                         (size_t)conv_out_w(&p->problem)}};
        rc = npy_write(output, &t, &cli->diag);
    }
    if (rc != OK)
        return rc;

    json_t *launches = json_array();
    for (size_t i = 0; i < p->sim.n_launches; i++) {
        json_array_append_new(launches, launch_row(&p->sim.launches[i], p->ptx_names[i], &cost[i]));
        add_cost(&total, &cost[i]);
    }
    json_t *doc = json_pack("{s:s, s:s, s:s, s:o, s:o, s:I, s:f, s:f}", "implementation",
                            p->impl->name, "shape", conv_shape(&cli->arena, &p->problem), "tile",
                            p->tile, "launches", launches, "total", cost_row(&total),
                            "workspace_bytes", (json_int_t)p->workspace_bytes, "relative_error",
                            relative_error(out, reference, n), "seconds", seconds);
    if (cli->json)
        cli_print_json(json_incref(doc));
    else
        print_run(cli, p, doc);
    json_decref(doc);
    return OK;
}

int run_conv_run(struct cli *cli, void *args)
{
    struct run_args *o = args;
    struct problem in;
    struct conv_program p;
    int rc = problem_load(&in, &cli->arena, &o->problem, &cli->diag);
    if (rc != OK)
        return rc;
    rc = conv_prepare(&p, &cli->arena, &in.problem, in.impl, o->problem.tile, in.input, in.filter,
                      &cli->diag);
    if (rc != OK)
        return rc;
    rc = simulate(cli, &p, &in, o->output);
    conv_program_fini(&p);
    return rc;
}
