/* run: any PTX kernel on the simulated GPU. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/npy.h"
#include "cli/cli.h"
#include "ptx/liveness.h"
#include "simt/simt.h"

enum { MAX_PTX_BYTES = 256 << 20 };

struct run_args {
    const char *kernel;
    struct doubles grid, block;
    int shared;
    bool profile;
};

static void defaults(void *args)
{
    struct run_args *o = args;
    o->grid = o->block = (struct doubles){1, {1}};
}

const struct cli_command cmd_run = {
    .name = "run",
    .summary = "run any PTX kernel: grid, block, arguments; results to .npy files",
    .operands = "FILE.ptx [ARGUMENT...]",
    .min_operands = 1,
    .max_operands = -1,
    .examples =
        "  sievert run saxpy.ptx --grid 8 --block 128 i32:1000 f32:2.5 x.npy y.npy=out.npy\n"
        "  sievert run tile.ptx --kernel k --grid 4,4 --block 16,16 zeros:4096=out.npy --profile\n"
        "\n"
        "Arguments, in the order of the kernel's parameters:\n"
        "  i32:N u32:N i64:N u64:N f32:X f64:X   a number\n"
        "  FILE.npy[=OUT.npy]                    a buffer of float32 from a file\n"
        "  zeros:N[=OUT.npy]  fill:N:X[=OUT.npy] a buffer of N float32, zero or all X\n"
        "  =OUT.npy writes the buffer after the run.\n",
    .options = (const struct cli_option[]){
        {"kernel", 'k', OPT_STRING, "NAME", "which kernel of the file [the only one]",
         offsetof(struct run_args, kernel)},
        {"grid", 0, OPT_DOUBLES, "X,Y,Z", "thread blocks [1]", offsetof(struct run_args, grid)},
        {"block", 0, OPT_DOUBLES, "X,Y,Z", "threads of a block [1]", offsetof(struct run_args, block)},
        {"shared", 0, OPT_INT, "BYTES", "dynamic shared memory", offsetof(struct run_args, shared)},
        {"profile", 0, OPT_FLAG, NULL, "count instructions by group and by source line, memory traffic",
         offsetof(struct run_args, profile)},
        CLI_OPTION_END},
    .args_bytes = sizeof(struct run_args),
    .defaults = defaults,
};

/* ---- Arguments ------------------------------------------------------------------------------------ */
struct buffer {
    uint64_t address;
    struct tensor shape; /* what to write it as */
    const char *output;  /* NULL: nowhere */
};

struct job {
    struct cli *cli;
    const struct ptx_kernel *kernel;
    struct simt_mem *mem;
    uint8_t *params;
    size_t n_buffers;
    struct buffer *buffers;
};

static int bad_argument(struct cli *cli, const char *text, const char *why)
{
    return diag_fail(&cli->diag, ERR_INPUT, DIAG_NOWHERE, "argument '%s': %s", text, why);
}

static int put(struct job *j, size_t index, const char *text, const void *bytes, size_t n)
{
    struct ptx_param p = ptx_param_at(j->kernel, index);
    if (p.bytes != n)
        return diag_fail(&j->cli->diag, ERR_INPUT, DIAG_NOWHERE,
                         "argument '%s' has %zu bytes, parameter '%s' wants %u", text, n, p.name, p.bytes);
    memcpy(j->params + p.offset, bytes, n);
    return OK;
}

static int put_integer(struct job *j, size_t index, const char *text, size_t bytes)
{
    char *end;
    const char *digits = strchr(text, ':') + 1;
    uint64_t v = *digits == '-' ? (uint64_t)strtoll(digits, &end, 0) : strtoull(digits, &end, 0);
    if (end == digits || *end)
        return bad_argument(j->cli, text, "not a number");
    return put(j, index, text, &v, bytes); /* little-endian: the low bytes come first */
}

static int put_float(struct job *j, size_t index, const char *text, bool wide)
{
    char *end;
    const char *digits = strchr(text, ':') + 1;
    double v = strtod(digits, &end);
    float narrow = (float)v;
    if (end == digits || *end)
        return bad_argument(j->cli, text, "not a number");
    return wide ? put(j, index, text, &v, sizeof v) : put(j, index, text, &narrow, sizeof narrow);
}

/* "zeros:N", "fill:N:X" or a file name. */
static int read_buffer(struct job *j, const char *text, struct tensor *out)
{
    struct cli *cli = j->cli;
    bool fill = strncmp(text, "fill:", 5) == 0;
    if (!fill && strncmp(text, "zeros:", 6) != 0)
        return npy_read(out, &cli->arena, text, &cli->diag);
    char *end;
    unsigned long long n = strtoull(strchr(text, ':') + 1, &end, 0);
    double x = fill && *end == ':' ? strtod(end + 1, &end) : 0;
    if (n == 0 || n > 1ull << 32 || *end)
        return bad_argument(cli, text, "expected zeros:N or fill:N:X with N from 1 to 2^32");
    size_t dim = (size_t)n;
    *out = tensor_new(&cli->arena, 1, &dim);
    for (size_t i = 0; i < dim && x != 0; i++)
        out->data[i] = (float)x;
    return OK;
}

static int put_buffer(struct job *j, size_t index, const char *text)
{
    struct cli *cli = j->cli;
    struct buffer *b = &j->buffers[j->n_buffers++];
    const char *equals = strchr(text, '=');
    char *source = equals ? arena_strndup(&cli->arena, text, (size_t)(equals - text))
                          : arena_strdup(&cli->arena, text);
    b->output = equals ? equals + 1 : NULL;
    if (read_buffer(j, source, &b->shape) != OK)
        return cli->diag.code;
    size_t bytes = tensor_elems(&b->shape) * sizeof(float);
    if (simt_mem_alloc(j->mem, bytes, &b->address, &cli->diag) != OK)
        return cli->diag.code;
    simt_mem_write(j->mem, b->address, b->shape.data, bytes);
    return put(j, index, text, &b->address, sizeof b->address);
}

static int put_argument(struct job *j, size_t index, const char *text)
{
    static const struct {
        const char *prefix;
        size_t bytes;
        bool is_float;
    } kinds[] = {{"i32:", 4, false}, {"u32:", 4, false}, {"i64:", 8, false},
                 {"u64:", 8, false}, {"f32:", 4, true},  {"f64:", 8, true}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strncmp(text, kinds[i].prefix, 4) == 0)
            return kinds[i].is_float ? put_float(j, index, text, kinds[i].bytes == 8)
                                     : put_integer(j, index, text, kinds[i].bytes);
    return put_buffer(j, index, text);
}

static int put_arguments(struct job *j)
{
    struct cli *cli = j->cli;
    size_t wanted = ptx_n_params(j->kernel), given = (size_t)cli->n_operands - 1;
    if (given != wanted)
        return diag_fail(&cli->diag, ERR_INPUT, DIAG_NOWHERE,
                         "kernel '%s' has %zu parameters, %zu arguments were given",
                         ptx_kernel_name(j->kernel), wanted, given);
    j->params = arena_alloc(&cli->arena, ptx_params_bytes(j->kernel) + 1);
    j->buffers = arena_array(&cli->arena, wanted + 1, sizeof *j->buffers);
    for (size_t i = 0; i < wanted; i++)
        if (put_argument(j, i, cli->operands[i + 1]) != OK)
            return cli->diag.code;
    return OK;
}

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

static int write_buffers(struct job *j)
{
    for (size_t i = 0; i < j->n_buffers; i++) {
        struct buffer *b = &j->buffers[i];
        if (!b->output)
            continue;
        simt_mem_read(j->mem, b->address, b->shape.data, tensor_elems(&b->shape) * sizeof(float));
        if (npy_write(b->output, &b->shape, &j->cli->diag) != OK)
            return j->cli->diag.code;
    }
    return OK;
}

/* ---- The command ---------------------------------------------------------------------------------- */
static int launch_of(struct cli *cli, struct job *j, const struct run_args *o, struct simt_launch *out)
{
    *out = (struct simt_launch){.kernel = j->kernel,
                                .grid = {1, 1, 1},
                                .block = {1, 1, 1},
                                .dynamic_shared = o->shared > 0 ? (uint32_t)o->shared : 0,
                                .params = j->params,
                                .label = ptx_kernel_name(j->kernel)};
    for (size_t i = 0; i < 3; i++) {
        double grid = i < o->grid.n ? o->grid.v[i] : 1, block = i < o->block.n ? o->block.v[i] : 1;
        if (!(grid >= 1 && grid <= 0x7fffffff && block >= 1 && block <= 1024) || o->grid.n > 3 ||
            o->block.n > 3)
            return diag_fail(&cli->diag, ERR_INPUT, DIAG_NOWHERE,
                             "--grid and --block take up to three sizes, from 1");
        out->grid[i] = (uint32_t)grid;
        out->block[i] = (uint32_t)block;
    }
    return simt_check_launch(out, &cli->diag);
}

static int run_kernel(struct job *j, const struct run_args *o, json_t **doc)
{
    struct cli *cli = j->cli;
    struct simt_launch l;
    if (put_arguments(j) != OK || launch_of(cli, j, o, &l) != OK)
        return cli->diag.code;
    size_t n = ptx_n_insns(j->kernel) + 1;
    struct profile p = {arena_array(&cli->arena, n, 8), arena_array(&cli->arena, n, 8), 0, 0, 0};
    struct simt_hook hook = {.ctx = &p, .step = on_step, .access = on_access};
    struct simt_run_options options = {.hook = o->profile ? &hook : NULL};
    struct simt_result r;
    struct simt *s = simt_new();
    simt_run(s, j->mem, &l, 0, simt_n_ctas(&l), &options, &r);
    simt_free(s);
    if (r.trap.kind != TRAP_NONE)
        return diag_fail(&cli->diag, ERR_INPUT, r.trap.at,
                         "%s: instruction '%s', block %llu, warp %u, lane %u, address 0x%llx",
                         vocab_word(&vocab_traps, (int)r.trap.kind),
                         ptx_insn_info(j->kernel, r.trap.insn).mnemonic, (unsigned long long)r.trap.cta,
                         r.trap.warp, r.trap.lane, (unsigned long long)r.trap.address);
    *doc = json_pack("{s:s, s:I, s:I}", "kernel", ptx_kernel_name(j->kernel), "warp_instructions",
                     (json_int_t)r.counts.warp_insns, "thread_instructions",
                     (json_int_t)r.counts.thread_insns);
    if (o->profile)
        json_object_set_new(*doc, "profile", profile_json(cli, j->kernel, &p));
    return write_buffers(j);
}

static int find_kernel(struct cli *cli, const char *path, const char *name, const struct ptx_kernel **out)
{
    struct text text;
    struct ptx_module *m;
    if (file_read(&text, &cli->arena, path, MAX_PTX_BYTES, &cli->diag) != OK ||
        ptx_parse(&m, &cli->arena, text, &cli->diag) != OK)
        return cli->diag.code;
    if (!name && ptx_n_kernels(m) == 1) {
        *out = ptx_kernel_at(m, 0);
        return OK;
    }
    return ptx_find_kernel(out, m, name ? name : "", &cli->diag);
}

int run_run(struct cli *cli, void *args)
{
    const struct run_args *o = args;
    struct job j = {.cli = cli};
    json_t *doc = NULL;
    if (find_kernel(cli, cli->operands[0], o->kernel, &j.kernel) != OK)
        return cli->diag.code;
    j.mem = simt_mem_new(NULL);
    int rc = run_kernel(&j, o, &doc);
    if (rc == OK && cli->json)
        cli_print_json(json_incref(doc));
    else if (rc == OK)
        print_text(cli, doc);
    json_decref(doc);
    simt_mem_free(j.mem);
    return rc;
}
