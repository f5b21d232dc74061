/* run: any PTX kernel on the simulated GPU. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/npy.h"
#include "cli/cli.h"
#include "cli/kernel.h"
#include "ptx/liveness.h"
#include "simt/simt.h"

struct run_args {
    struct kernel_args kernel;
    bool profile;
};

static void defaults(void *args) { kernel_defaults(&((struct run_args *)args)->kernel); }

const struct cli_command cmd_run = {
    .name = "run",
    .summary = "run any PTX kernel: grid, block, arguments; results to .npy files",
    .operands = "FILE.ptx [ARGUMENT...]",
    .min_operands = 1,
    .max_operands = -1,
    .examples =
        "  sievert run saxpy.ptx --grid 8 --block 128 i32:1000 f32:2.5 x.npy y.npy=out.npy\n"
        "  sievert run tile.ptx --kernel k --grid 4,4 --block 16,16 zeros:4096=out.npy --profile\n"
        "\n" USER_ARGUMENTS "  =OUT.npy writes the buffer after the run.\n",
    .options = (const struct cli_option[]){
        KERNEL_OPTIONS(struct run_args, kernel, 'k'),
        {"profile", 0, OPT_FLAG, NULL, "count instructions by group and by source line, memory traffic",
         offsetof(struct run_args, profile)},
        CLI_OPTION_END},
    .args_bytes = sizeof(struct run_args),
    .defaults = defaults,
};

/* ---- Profile -------------------------------------------------------------------------------------- */
struct profile {
    uint64_t *warp, *lanes; /* per instruction: executions, and lanes in them */
    uint64_t loaded, stored; /* global memory, bytes */
    uint64_t partial;        /* executions with lanes missing */
};

static bool on_step(void *ctx, const struct simt_step *s)
{
    struct profile *p = ctx;
    p->warp[s->insn]++;
    p->lanes[s->insn] += (uint64_t)__builtin_popcount(s->mask);
    p->partial += s->mask != UINT32_MAX;
    return true;
}

static void on_access(void *ctx, const struct simt_access *a)
{
    struct profile *p = ctx;
    uint64_t bytes = (uint64_t)__builtin_popcount(a->mask) * a->bytes;
    *(a->store ? &p->stored : &p->loaded) += bytes;
}

static json_t *group_rows(const struct ptx_kernel *k, const struct profile *p)
{
    json_t *rows = json_array();
    for (int g = 0; g < N_GROUPS; g++) {
        uint64_t warp = 0, lanes = 0;
        for (size_t i = 0; i < ptx_n_insns(k); i++)
            if (ptx_insn_info(k, i).groups >> g & 1) {
                warp += p->warp[i];
                lanes += p->lanes[i];
            }
        json_array_append_new(rows, json_pack("{s:s, s:I, s:I}", "group", vocab_word(&vocab_groups, g),
                                              "warp_instructions", (json_int_t)warp,
                                              "thread_instructions", (json_int_t)lanes));
    }
    return rows;
}

static json_t *line_rows(const struct ptx_kernel *k, const struct profile *p)
{
    json_t *rows = json_array();
    bool *done = calloc(ptx_n_insns(k) + 1, sizeof *done);
    for (size_t i = 0; done && i < ptx_n_insns(k); i++) {
        uint64_t warp = 0, lanes = 0;
        int line = ptx_insn_info(k, i).source_line;
        for (size_t n = i; n < ptx_n_insns(k) && !done[i]; n++)
            if (ptx_insn_info(k, n).source_line == line) {
                warp += p->warp[n];
                lanes += p->lanes[n];
                done[n] = n != i;
            }
        if (!done[i] && warp)
            json_array_append_new(rows, json_pack("{s:i, s:I, s:I}", "line", line, "warp_instructions",
                                                  (json_int_t)warp, "thread_instructions",
                                                  (json_int_t)lanes));
    }
    free(done);
    return rows;
}

static json_t *profile_json(struct cli *cli, const struct ptx_kernel *k, const struct profile *p)
{
    struct ptx_liveness live;
    ptx_find_liveness(&live, &cli->arena, k);
    return json_pack("{s:o, s:o, s:I, s:I, s:I, s:I}", "groups", group_rows(k, p), "lines",
                     line_rows(k, p), "global_bytes_loaded", (json_int_t)p->loaded,
                     "global_bytes_stored", (json_int_t)p->stored, "partial_warp_instructions",
                     (json_int_t)p->partial, "registers_per_thread", (json_int_t)live.max_words);
}

/* ---- Output --------------------------------------------------------------------------------------- */
static void print_rows(struct cli *cli, const json_t *rows, const char *key)
{
    struct table t;
    size_t index;
    const json_t *row;
    table_init(&t, &cli->arena, 3, (const char *const[]){key, "warp instructions", "thread instructions"});
    json_array_foreach(rows, index, row)
    {
        const json_t *name = json_object_get(row, key);
        if (json_is_string(name))
            table_cell(&t, "%s", json_string_value(name));
        else
            table_cell(&t, "%lld", (long long)json_integer_value(name));
        table_cell(&t, "%lld", (long long)json_integer_value(json_object_get(row, "warp_instructions")));
        table_cell(&t, "%lld", (long long)json_integer_value(json_object_get(row, "thread_instructions")));
    }
    table_print(&t);
}

static void print_text(struct cli *cli, const json_t *doc)
{
    static const char *const fields[] = {"warp_instructions", "thread_instructions"};
    static const char *const more[] = {"global_bytes_loaded", "global_bytes_stored",
                                       "partial_warp_instructions", "registers_per_thread"};
    const json_t *profile = json_object_get(doc, "profile");
    struct table t;
    table_init(&t, &cli->arena, 2,
               (const char *const[]){"kernel", json_string_value(json_object_get(doc, "kernel"))});
    for (size_t i = 0; i < 2; i++) {
        table_cell(&t, "%s", fields[i]);
        table_cell(&t, "%lld", (long long)json_integer_value(json_object_get(doc, fields[i])));
    }
    for (size_t i = 0; i < 4 && profile; i++) {
        table_cell(&t, "%s", more[i]);
        table_cell(&t, "%lld", (long long)json_integer_value(json_object_get(profile, more[i])));
    }
    table_print(&t);
    if (!profile)
        return;
    putchar('\n');
    print_rows(cli, json_object_get(profile, "groups"), "group");
    putchar('\n');
    print_rows(cli, json_object_get(profile, "lines"), "line");
}

static int write_buffers(struct cli *cli, const struct user_program *p)
{
    for (size_t i = 0; i < p->n_buffers; i++) {
        const struct user_buffer *b = &p->buffers[i];
        struct tensor t = b->tensor;
        if (!b->output)
            continue;
        simt_mem_read(p->sim.mem, b->address, t.data, tensor_elems(&t) * sizeof(float));
        if (npy_write(b->output, &t, &cli->diag) != OK)
            return cli->diag.code;
    }
    return OK;
}

/* ---- The command ---------------------------------------------------------------------------------- */
static int run_kernel(struct cli *cli, const struct user_program *program, const struct run_args *o,
                      json_t **doc)
{
    const struct simt_launch *l = program->sim.launches;
    size_t n = ptx_n_insns(l->kernel) + 1;
    struct profile p = {arena_array(&cli->arena, n, 8), arena_array(&cli->arena, n, 8), 0, 0, 0};
    struct simt_hook hook = {.ctx = &p, .step = on_step, .access = on_access};
    struct simt_run_options options = {.hook = o->profile ? &hook : NULL};
    struct simt_result r;
    struct simt *s = simt_new();
    simt_run(s, program->sim.mem, l, 0, simt_n_ctas(l), &options, &r);
    simt_free(s);
    if (r.trap.kind != TRAP_NONE)
        return diag_fail(&cli->diag, ERR_INPUT, r.trap.at,
                         "%s: instruction '%s', block %llu, warp %u, lane %u, address 0x%llx",
                         vocab_word(&vocab_traps, (int)r.trap.kind),
                         ptx_insn_info(l->kernel, r.trap.insn).mnemonic, (unsigned long long)r.trap.cta,
                         r.trap.warp, r.trap.lane, (unsigned long long)r.trap.address);
    *doc = json_pack("{s:s, s:I, s:I}", "kernel", ptx_kernel_name(l->kernel), "warp_instructions",
                     (json_int_t)r.counts.warp_insns, "thread_instructions",
                     (json_int_t)r.counts.thread_insns);
    if (o->profile)
        json_object_set_new(*doc, "profile", profile_json(cli, l->kernel, &p));
    return write_buffers(cli, program);
}

int run_run(struct cli *cli, void *args)
{
    const struct run_args *o = args;
    struct user_program program;
    json_t *doc = NULL;
    int rc = kernel_load(&program, cli, &o->kernel);
    if (rc != OK)
        return rc;
    rc = run_kernel(cli, &program, o, &doc);
    if (rc == OK && cli->json)
        cli_print_json(json_incref(doc));
    else if (rc == OK)
        print_text(cli, doc);
    json_decref(doc);
    user_program_fini(&program);
    return rc;
}
