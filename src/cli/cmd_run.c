/* run: any PTX kernel on the simulated GPU. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/npy.h"
#include "cli/cli.h"
#include "cli/kernel.h"
#include "ptx/liveness.h"
#include "simt/priv.h"

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
    .options =
        (const struct cli_option[]){
            KERNEL_OPTIONS(struct run_args, kernel, 'k'),
            {"profile", 0, OPT_FLAG, NULL,
             "instructions by group and source line, divergence, memory traffic",
             offsetof(struct run_args, profile)},
            CLI_OPTION_END},
    .args_bytes = sizeof(struct run_args),
    .defaults = defaults,
};

/* ---- Profile -------------------------------------------------------------------------------------- */
struct traffic {
    uint64_t loaded, stored; /* bytes */
};
struct counts {           /* of an instruction */
    uint64_t warp, lanes; /* executions, and lanes in them */
    uint64_t diverged;    /* branches whose lanes went different ways */
    uint64_t bytes;       /* moved between registers and memory */
};
struct profile {
    struct counts *of; /* each instruction */
    struct traffic global, shared, local;
    uint64_t partial, branches, diverged;
    uint32_t path_mask; /* lanes that came to the instruction, whatever its guard */
};

static void on_watch(void *ctx, struct warp *w, uint32_t insn)
{
    (void)insn;
    ((struct profile *)ctx)->path_mask = w->path_mask;
}

static bool on_step(void *ctx, const struct simt_step *s)
{
    struct profile *p = ctx;
    struct counts *c = &p->of[s->insn];
    const struct ptx_insn *i = ptx_insn_at(s->kernel, s->insn);
    uint64_t lanes = (uint64_t)__builtin_popcount(s->mask);
    bool load = i->op == PTX_LD, store = i->op == PTX_ST,
         atomic = i->op == PTX_ATOM || i->op == PTX_RED;
    c->warp++;
    c->lanes += lanes;
    p->partial += s->mask != UINT32_MAX;
    if ((i->op == PTX_BRA && i->guard >= 0) || i->op == PTX_BRX) {
        p->branches++;
        p->diverged += s->mask != p->path_mask;
        c->diverged += s->mask != p->path_mask;
    }
    if ((load || store || atomic) && i->space != PTX_SPACE_PARAM && !i->argument) {
        uint64_t bytes = lanes * i->mem_bits / 8 * (load ? i->n_dst : store ? i->n_src : 1);
        c->bytes += bytes;
        struct traffic *t = i->space == PTX_SPACE_SHARED ? &p->shared : &p->local;
        if (i->space == PTX_SPACE_SHARED ||
            i->space == PTX_SPACE_LOCAL) { /* global: on_access knows */
            t->loaded += store ? 0 : bytes;
            t->stored += load ? 0 : bytes;
        }
    }
    return true;
}

static void on_access(void *ctx, const struct simt_access *a)
{
    struct profile *p = ctx;
    uint64_t bytes = (uint64_t)__builtin_popcount(a->mask) * a->bytes;
    *(a->store ? &p->global.stored : &p->global.loaded) += bytes;
}

/* Executions of the instructions in a group. */
static json_t *group_row(const struct ptx_kernel *k, const struct profile *p, int g)
{
    uint64_t warp = 0, lanes = 0;
    for (size_t i = 0; i < ptx_n_insns(k); i++) {
        uint32_t groups = ptx_insn_info(k, i).groups;
        if (g == GROUP_NODEST ? !groups : groups >> g & 1) {
            warp += p->of[i].warp;
            lanes += p->of[i].lanes;
        }
    }
    return json_pack("{s:s, s:I, s:I}", "group", vocab_group_word(g), "warp_instructions",
                     (json_int_t)warp, "thread_instructions", (json_int_t)lanes);
}

/* NVBitFI's groups: those that faults can strike, and nodest, the others. */
static json_t *group_rows(const struct ptx_kernel *k, const struct profile *p)
{
    json_t *rows = json_array();
    for (int g = 0; g <= GROUP_NODEST; g++)
        json_array_append_new(rows, group_row(k, p, g));
    return rows;
}

static json_t *line_rows(const struct ptx_kernel *k, const struct profile *p)
{
    json_t *rows = json_array();
    size_t n_insns = ptx_n_insns(k);
    bool *done = calloc(n_insns + 1, sizeof *done);
    for (size_t i = 0; done && i < n_insns; i++) {
        struct counts sum = {0};
        int line = ptx_insn_info(k, i).source_line;
        for (size_t n = i; n < n_insns && !done[i]; n++)
            if (ptx_insn_info(k, n).source_line == line) {
                sum.warp += p->of[n].warp;
                sum.lanes += p->of[n].lanes;
                sum.diverged += p->of[n].diverged;
                sum.bytes += p->of[n].bytes;
                done[n] = n != i;
            }
        if (!done[i] && sum.warp)
            json_array_append_new(rows, json_pack("{s:i, s:I, s:I, s:I, s:I}", "line", line,
                                                  "warp_instructions", (json_int_t)sum.warp,
                                                  "thread_instructions", (json_int_t)sum.lanes,
                                                  "divergent_branches", (json_int_t)sum.diverged,
                                                  "memory_bytes", (json_int_t)sum.bytes));
    }
    free(done);
    return rows;
}

static void set_traffic(json_t *doc, const char *space, const struct traffic *t)
{
    char key[64];
    snprintf(key, sizeof key, "%s_bytes_loaded", space);
    json_object_set_new(doc, key, json_integer((json_int_t)t->loaded));
    snprintf(key, sizeof key, "%s_bytes_stored", space);
    json_object_set_new(doc, key, json_integer((json_int_t)t->stored));
}

static json_t *profile_json(struct cli *cli, const struct ptx_kernel *k, const struct profile *p)
{
    struct ptx_liveness live;
    ptx_find_liveness(&live, &cli->arena, k);
    json_t *doc = json_pack("{s:o, s:o}", "groups", group_rows(k, p), "lines", line_rows(k, p));
    set_traffic(doc, "global", &p->global);
    set_traffic(doc, "shared", &p->shared);
    set_traffic(doc, "local", &p->local);
    json_object_set_new(doc, "partial_warp_instructions", json_integer((json_int_t)p->partial));
    json_object_set_new(doc, "conditional_branches", json_integer((json_int_t)p->branches));
    json_object_set_new(doc, "divergent_branches", json_integer((json_int_t)p->diverged));
    json_object_set_new(doc, "registers_per_thread", json_integer(live.max_words));
    return doc;
}

/* ---- Output --------------------------------------------------------------------------------------- */
/* Columns: a key of the rows each; a heading is the key with blanks. */
static void print_rows(struct cli *cli, const json_t *rows, const char *const *keys, size_t n)
{
    struct table t;
    size_t index;
    const json_t *row;
    const char *headings[8];
    for (size_t i = 0; i < n; i++) {
        char *heading = arena_strdup(&cli->arena, keys[i]);
        for (char *c = heading; *c; c++)
            *c = *c == '_' ? ' ' : *c;
        headings[i] = heading;
    }
    table_init(&t, &cli->arena, n, headings);
    json_array_foreach (rows, index, row)
        for (size_t i = 0; i < n; i++) {
            const json_t *cell = json_object_get(row, keys[i]);
            if (json_is_string(cell))
                table_cell(&t, "%s", json_string_value(cell));
            else
                table_cell(&t, "%lld", (long long)json_integer_value(cell));
        }
    table_print(&t);
}

static void print_text(struct cli *cli, const json_t *doc)
{
    static const char *const fields[] = {"warp_instructions", "thread_instructions"};
    static const char *const more[] = {"global_bytes_loaded",       "global_bytes_stored",
                                       "shared_bytes_loaded",       "shared_bytes_stored",
                                       "local_bytes_loaded",        "local_bytes_stored",
                                       "partial_warp_instructions", "conditional_branches",
                                       "divergent_branches",        "registers_per_thread"};
    static const char *const group[] = {"group", "warp_instructions", "thread_instructions"};
    static const char *const line[] = {"line", "warp_instructions", "thread_instructions",
                                       "divergent_branches", "memory_bytes"};
    const json_t *profile = json_object_get(doc, "profile");
    struct table t;
    table_init(&t, &cli->arena, 2,
               (const char *const[]){"kernel", json_string_value(json_object_get(doc, "kernel"))});
    for (size_t i = 0; i < 2; i++) {
        table_cell(&t, "%s", fields[i]);
        table_cell(&t, "%lld", (long long)json_integer_value(json_object_get(doc, fields[i])));
    }
    for (size_t i = 0; i < sizeof more / sizeof *more && profile; i++) {
        table_cell(&t, "%s", more[i]);
        table_cell(&t, "%lld", (long long)json_integer_value(json_object_get(profile, more[i])));
    }
    table_print(&t);
    if (!profile)
        return;
    putchar('\n');
    print_rows(cli, json_object_get(profile, "groups"), group, 3);
    putchar('\n');
    print_rows(cli, json_object_get(profile, "lines"), line, 5);
}

/* From where they are: they may be large. */
static int write_buffers(struct cli *cli, const struct user_program *p)
{
    for (size_t i = 0; i < p->n_buffers; i++) {
        const struct user_buffer *b = &p->buffers[i];
        struct npy_words words = b->other ? *b->other : (struct npy_words){0};
        struct tensor t = b->tensor;
        if (!b->output)
            continue;
        t.data = (float *)(void *)(simt_mem_data(p->sim.mem) +
                                   (b->address - simt_mem_view(p->sim.mem).base));
        words.words.data = t.data;
        int rc = b->other ? npy_write_words(b->output, &words, &cli->diag)
                          : npy_write(b->output, &t, &cli->diag);
        if (rc != OK)
            return rc;
    }
    return OK;
}

static int trapped(struct cli *cli, const struct ptx_kernel *k, const struct simt_trap *t)
{
    const struct ptx_insn *i = ptx_insn_at(k, t->insn);
    char line[32] = "";
    if (i->source_line)
        snprintf(line, sizeof line, ", source line %d", i->source_line);
    if (i->op == PTX_REFUSED)
        return diag_fail(
            &cli->diag, ERR_UNSUPPORTED, t->at,
            "instruction '%s' is not supported, and was reached%s: block %llu, warp %u, lane %u",
            i->mnemonic, line, (unsigned long long)t->cta, t->warp, t->lane);
    return diag_fail(&cli->diag, ERR_INPUT, t->at,
                     "%s: instruction '%s'%s, block %llu, warp %u, lane %u, address 0x%llx",
                     vocab_word(&vocab_traps, (int)t->kind), i->mnemonic, line,
                     (unsigned long long)t->cta, t->warp, t->lane, (unsigned long long)t->address);
}

/* ---- The command ---------------------------------------------------------------------------------- */
static int run_kernel(struct cli *cli, const struct user_program *program, const struct run_args *o,
                      json_t **doc)
{
    const struct simt_launch *l = program->sim.launches;
    size_t n = ptx_n_insns(l->kernel) + 1;
    struct profile p = {.of = arena_array(&cli->arena, n, sizeof *p.of)};
    struct simt_hook hook = {.ctx = &p, .step = on_step, .access = on_access, .watch = on_watch};
    struct simt_run_options options = {.hook = o->profile ? &hook : NULL};
    struct simt_result r;
    struct simt *s = simt_new();
    simt_run(s, program->sim.mem, l, 0, simt_n_ctas(l), &options, &r);
    simt_free(s);
    if (r.trap.kind != TRAP_NONE)
        return trapped(cli, l->kernel, &r.trap);
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
