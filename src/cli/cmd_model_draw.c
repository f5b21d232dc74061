/* model draw: errors of a model for any tensor, and whether they are still what they were drawn as. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "characterise/characterise.h"
#include "cli/cli.h"
#include "model/model.h"
#include "study/study.h"

struct draw_args {
    const char *shape, *compat, *tsv;
    struct doubles range;
    uint64_t n, seed;
    bool second_first;
};

static void draw_defaults(void *args)
{
    struct draw_args *o = args;
    o->n = 10000;
    o->seed = 1;
    o->range = (struct doubles){2, {-30, 30}};
}

const struct cli_command cmd_model_draw = {
    .name = "model draw",
    .summary = "draw errors for a tensor of any shape, and classify them again",
    .operands = "MODEL.json",
    .min_operands = 1,
    .max_operands = 1,
    .examples = "  sievert model draw conv_gemm.json --shape 64x7x7\n"
                "  sievert model draw conv_gemm.json --shape 16x32x32 --compat classes -n 1500\n",
    .options =
        (const struct cli_option[]){
            {"shape", 0, OPT_STRING, "CxHxW", "of the tensor (default: the one that was measured)",
             offsetof(struct draw_args, shape)},
            {"n", 'n', OPT_COUNT, "N", "how many (10000)", offsetof(struct draw_args, n)},
            {"range", 0, OPT_DOUBLES, "LO,HI",
             "of the fault-free values, which are random (-30,30)",
             offsetof(struct draw_args, range)},
            {"seed", 0, OPT_U64, "S", "(1)", offsetof(struct draw_args, seed)},
            {"compat", 0, OPT_STRING, "classes",
             "draw as the CLASSES generator does, accidents included",
             offsetof(struct draw_args, compat)},
            {"second-first", 0, OPT_FLAG, NULL,
             "with --compat: it takes the second of two value classes first",
             offsetof(struct draw_args, second_first)},
            {"tsv", 0, OPT_STRING, "FILE", "one line for each error: pattern, index:value,...",
             offsetof(struct draw_args, tsv)},
            CLI_OPTION_END},
    .args_bytes = sizeof(struct draw_args),
    .defaults = draw_defaults,
};

struct drawing {
    const struct draw_args *o;
    const struct model *m;
    size_t chw[3], elems;
    float *golden;
    struct value_range range;
    struct difference *diffs;
    FILE *tsv;
    uint64_t drawn[N_PATTERNS], kept[N_PATTERNS], became[N_PATTERNS], nothing;
};

static int read_shape(size_t chw[3], const struct draw_args *o, const struct model *m,
                      struct diag *d)
{
    unsigned c, h, w;
    char rest;
    if (!o->shape) {
        if (model_shape(m, chw))
            return OK;
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                         "the model does not say for which tensor: give --shape CxHxW");
    }
    if (sscanf(o->shape, "%ux%ux%u%c", &c, &h, &w, &rest) != 3 || c == 0 || h == 0 || w == 0 ||
        (double)c * h * w > 1e8)
        return diag_fail(
            d, ERR_INPUT, DIAG_NOWHERE,
            "--shape %s: three sizes as in 16x32x32 are expected, at most 10^8 elements", o->shape);
    chw[0] = c;
    chw[1] = h;
    chw[2] = w;
    return OK;
}

static void write_error(FILE *f, const struct model_draw *drawn, const struct difference *diffs)
{
    fprintf(f, "%s\t", vocab_word(&vocab_patterns, (int)drawn->pattern));
    for (size_t i = 0; i < drawn->n; i++)
        fprintf(f, "%s%u:%.9g", i ? "," : "", diffs[i].index, (double)diffs[i].faulty);
    fputc('\n', f);
}

static int draw_all(struct drawing *x, struct diag *d)
{
    const size_t dim[4] = {1, x->chw[0], x->chw[1], x->chw[2]};
    struct char_options options = model_options(x->m);
    for (uint64_t i = 0; i < x->o->n; i++) {
        struct rng r;
        struct model_draw drawn;
        struct characterisation c;
        int rc = OK;
        rng_init(&r, x->o->seed, i);
        if (x->o->compat)
            rc = model_draw_classes(&drawn, x->m, &r, x->chw, x->golden, x->range,
                                    x->o->second_first, x->diffs, d);
        else
            drawn = model_draw(x->m, &r, x->chw, x->golden, x->range, x->diffs, x->elems);
        if (rc != OK)
            return rc;
        characterise(&c, x->diffs, drawn.n, dim, x->range, &options);
        x->drawn[drawn.pattern]++;
        x->nothing += c.corrupted == 0;
        if (c.corrupted > 0) {
            x->became[c.pattern]++;
            x->kept[drawn.pattern] += c.pattern == drawn.pattern;
        }
        if (x->tsv)
            write_error(x->tsv, &drawn, x->diffs);
    }
    return OK;
}

static uint64_t sum(const uint64_t n[static N_PATTERNS])
{
    uint64_t total = 0;
    for (int p = 0; p < N_PATTERNS; p++)
        total += n[p];
    return total;
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole ? 100 * (double)part / (double)whole : 0;
}

static void print_drawing(struct cli *cli, const struct drawing *x)
{
    struct table t;
    const uint64_t n = sum(x->drawn);
    if (cli->json) {
        json_t *patterns = json_object();
        for (int p = 0; p < N_PATTERNS; p++)
            if (x->drawn[p] + x->became[p])
                json_object_set_new(patterns, vocab_word(&vocab_patterns, p),
                                    json_pack("{s:I, s:I, s:I}", "drawn", (json_int_t)x->drawn[p],
                                              "kept", (json_int_t)x->kept[p], "classified",
                                              (json_int_t)x->became[p]));
        cli_print_json(json_pack("{s:I, s:f, s:I, s:o}", "drawn", (json_int_t)n, "kept",
                                 percent(sum(x->kept), n) / 100, "nothing", (json_int_t)x->nothing,
                                 "patterns", patterns));
        return;
    }
    table_init(&t, &cli->arena, 4,
               (const char *const[]){"pattern", "drawn", "keep it", "classified as it"});
    for (int p = 0; p < N_PATTERNS; p++) {
        if (x->drawn[p] + x->became[p] == 0)
            continue;
        table_cell(&t, "%s", vocab_word(&vocab_patterns, p));
        table_cell(&t, "%llu", (unsigned long long)x->drawn[p]);
        table_cell(&t, "%.2f %%", percent(x->kept[p], x->drawn[p]));
        table_cell(&t, "%llu", (unsigned long long)x->became[p]);
    }
    table_print(&t);
    printf("\n%llu errors for %zux%zux%zu: %.2f %% keep their pattern, %llu corrupt nothing\n",
           (unsigned long long)n, x->chw[0], x->chw[1], x->chw[2], percent(sum(x->kept), n),
           (unsigned long long)x->nothing);
}

static int prepare(struct drawing *x, struct cli *cli, struct model *m)
{
    struct rng r;
    int rc = read_shape(x->chw, x->o, m, &cli->diag);
    if (rc != OK)
        return rc;
    if (x->o->compat && strcmp(x->o->compat, "classes") != 0)
        return diag_fail(&cli->diag, ERR_INPUT, DIAG_NOWHERE,
                         "--compat %s: only 'classes' is known", x->o->compat);
    if (x->o->range.n != 2 || !(x->o->range.v[0] < x->o->range.v[1]) ||
        !isfinite(x->o->range.v[0]) || !isfinite(x->o->range.v[1]))
        return diag_fail(&cli->diag, ERR_INPUT, DIAG_NOWHERE,
                         "--range: two numbers, the lower first");
    if (x->o->n == 0 || x->o->n > 100000000)
        return diag_fail(&cli->diag, ERR_INPUT, DIAG_NOWHERE, "-n: from 1 to 100 million errors");
    x->m = m;
    x->elems = x->chw[0] * x->chw[1] * x->chw[2];
    x->range = (struct value_range){(float)x->o->range.v[0], (float)x->o->range.v[1]};
    x->golden = arena_array(&cli->arena, x->elems, sizeof *x->golden);
    x->diffs = arena_array(&cli->arena, x->elems, sizeof *x->diffs);
    rng_init(&r, x->o->seed, UINT64_MAX);
    for (size_t i = 0; i < x->elems; i++)
        x->golden[i] = (float)(x->range.min + ((double)x->range.max - x->range.min) * rng_unit(&r));
    return study_carry(m, &cli->arena, x->chw, NULL);
}

int run_model_draw(struct cli *cli, void *args)
{
    struct drawing x = {.o = args};
    struct model *m;
    char *tsv = NULL;
    size_t bytes = 0;
    int rc = model_load(&m, &cli->arena, cli->operands[0], &cli->diag);
    if (rc == OK)
        rc = prepare(&x, cli, m);
    if (rc != OK)
        return rc;
    x.tsv = x.o->tsv ? open_memstream(&tsv, &bytes) : NULL;
    rc = draw_all(&x, &cli->diag);
    if (x.tsv && (ferror(x.tsv) | fclose(x.tsv)))
        rc = diag_fail(&cli->diag, ERR_NOMEM, DIAG_NOWHERE, "no memory for the lines of --tsv");
    if (rc == OK && x.o->tsv)
        rc = file_write(x.o->tsv, tsv, bytes, &cli->diag);
    free(tsv);
    if (rc == OK)
        print_drawing(cli, &x);
    return rc;
}
