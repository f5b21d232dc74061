/* replay: run one injection of a store again, compare it with its row, tell the life of its error. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/npy.h"
#include "campaign/campaign.h"
#include "cli/cli.h"

struct replay_args {
    const char *engine, *golden, *faulty;
    uint64_t events;
};

static void defaults(void *args)
{
    struct replay_args *o = args;
    o->engine = vocab_word(&vocab_engines, ENGINE_FULL);
    o->events = 40;
}

const struct cli_command cmd_replay = {
    .name = "replay",
    .summary = "run one injection of a store again, bit for bit, and tell the life of its error",
    .operands = "STORE NUMBER",
    .min_operands = 2,
    .max_operands = 2,
    .examples = "  sievert replay run.db 1234\n"
                "  sievert replay run.db 1234 --golden golden.npy --faulty faulty.npy\n",
    .options =
        (const struct cli_option[]){
            {"engine", 0, OPT_STRING, "NAME", "full (default) or replay",
             offsetof(struct replay_args, engine)},
            {"golden", 0, OPT_STRING, "FILE.npy", "write the fault-free output here",
             offsetof(struct replay_args, golden)},
            {"faulty", 0, OPT_STRING, "FILE.npy", "write the output with the fault here",
             offsetof(struct replay_args, faulty)},
            {"events", 0, OPT_U64, "N",
             "show so many events, first and last ones (40); --json has all",
             offsetof(struct replay_args, events)},
            CLI_OPTION_END},
    .args_bytes = sizeof(struct replay_args),
    .defaults = defaults,
};

static float float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static json_t *events_json(struct cli *cli, const struct replayed *p)
{
    json_t *list = json_array();
    for (uint64_t k = 0; k < p->n_listed; k++) {
        const struct replayed_event *e = &p->events[k];
        json_t *o = json_pack("{s:s, s:i, s:I, s:i, s:i, s:s, s:i, s:i}", "event",
                              vocab_word(&vocab_events, (int)e->event), "launch", (int)e->launch,
                              "cta", (json_int_t)e->cta, "warp", (int)e->warp, "instruction",
                              (int)e->insn, "mnemonic", e->mnemonic, "ptx_line", e->ptx_line,
                              "source_line", e->source_line);
        json_object_set_new(o, "lanes", json_integer((json_int_t)e->lanes));
        if (e->words)
            json_object_set_new(o, "words", json_integer((json_int_t)e->words));
        if (e->source) {
            json_object_set_new(o, "source_file", json_string(e->source_file));
            json_object_set_new(o, "source", json_string(e->source));
        }
        if (e->reg)
            json_object_set_new(o, "register", json_string(e->reg));
        if (e->event == EVENT_STRUCK || e->event == EVENT_CARRIED) {
            json_object_set_new(
                o, "good",
                json_string(arena_printf(&cli->arena, "0x%llx", (unsigned long long)e->good)));
            json_object_set_new(
                o, "bad",
                json_string(arena_printf(&cli->arena, "0x%llx", (unsigned long long)e->bad)));
        }
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *document(struct cli *cli, const struct store_campaign *c,
                        const struct store_injection *i, const struct replayed *p)
{
    const struct experiment_result *r = &p->result;
    json_t *diffs = json_array();
    for (size_t k = 0; k < r->n_diffs; k++) {
        const struct store_diff *e = &r->diffs[k];
        json_array_append_new(
            diffs,
            json_pack("{s:i, s:s, s:s}", "index", (int)e->index, "golden",
                      arena_printf(&cli->arena, "%.9g", (double)c->golden[e->index]), "faulty",
                      arena_printf(&cli->arena, "%.9g", (double)float_of(e->faulty_bits))));
    }
    return json_pack(
        "{s:I, s:s, s:s, s:i, s:s, s:I, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:s, s:s, s:s, s:s, "
        "s:o, "
        "s:b, s:s, s:o}",
        "number", (json_int_t)i->number, "implementation", c->impl, "shape", c->shape, "launch",
        (int)i->launch, "kernel", c->launches[i->launch].kernel, "cta", (json_int_t)i->cta, "warp",
        (int)i->warp, "lane", (int)i->lane, "instruction", (int)i->insn, "register", (int)i->reg,
        "bits", i->bits, "ptx_line", i->ptx_line, "source_line", i->source_line, "before",
        arena_printf(&cli->arena, "0x%llx", (unsigned long long)i->before), "after",
        arena_printf(&cli->arena, "0x%llx", (unsigned long long)i->after), "outcome",
        vocab_word(&vocab_outcomes, (int)r->outcome), "trap",
        vocab_word(&vocab_traps, (int)r->trap.kind), "differences", diffs, "identical", 1, "fate",
        vocab_word(&vocab_fates, (int)p->fate), "life", events_json(cli, p));
}

static void number_cell(struct table *t, bool known, long long n)
{
    if (known)
        table_cell(t, "%lld", n);
    else
        table_cell(t, "%s", "");
}

static void event_row(struct table *t, const struct replayed_event *e)
{
    bool of_cta = e->event == EVENT_LEFT || e->event == EVENT_OVERWRITTEN;
    bool values = e->event == EVENT_CARRIED || e->event == EVENT_STRUCK;
    table_cell(t, "%u", e->launch);
    table_cell(t, "%llu", (unsigned long long)e->cta);
    number_cell(t, !of_cta, e->warp);
    table_cell(t, "%s", vocab_word(&vocab_events, (int)e->event));
    number_cell(t, !of_cta, e->ptx_line);
    number_cell(t, !of_cta && e->source_line, e->source_line);
    table_cell(t, "%s", of_cta ? "" : e->mnemonic);
    if (e->words)
        table_cell(t, "%zu word%s", e->words, e->words == 1 ? "" : "s");
    else
        table_cell(t, "%d lane%s", __builtin_popcount(e->lanes),
                   __builtin_popcount(e->lanes) == 1 ? "" : "s");
    table_cell(t, "%s", e->reg ? e->reg : "");
    if (values)
        table_cell(t, " 0x%llx -> 0x%llx", (unsigned long long)e->good, (unsigned long long)e->bad);
    else
        table_cell(t, "%s", "");
}

/* The source lines of the events shown, each once, in the order in which the error came to them. */
static void print_sources(const struct replayed *p, uint64_t most, uint64_t head, uint64_t tail)
{
    const char *seen[200];
    size_t n = 0;
    for (uint64_t k = 0; k < p->n_listed && n < sizeof seen / sizeof *seen; k++) {
        const struct replayed_event *e = &p->events[k];
        bool shown = p->n_listed <= most || k < head || k >= p->n_listed - tail, old = !e->source;
        for (size_t i = 0; i < n && !old; i++)
            old = strcmp(seen[i], e->source) == 0;
        if (!shown || old)
            continue;
        printf("%s  %s:%d: %s\n", n ? "" : "\nsource lines\n", e->source_file, e->source_line,
               e->source);
        seen[n++] = e->source;
    }
}

/* Runs of one event at one instruction, as loops make them, are many: the first and the last are shown. */
static void print_life(struct cli *cli, const struct replayed *p, uint64_t most)
{
    struct table t;
    uint64_t head = most - most / 2, tail = most / 2;
    if (!p->n_events) {
        printf("\nits CTA is too long to follow the error\n");
        return;
    }
    table_init(&t, &cli->arena, 10,
               (const char *const[]){"launch", "CTA", "warp", "event", "PTX", "line", "instruction",
                                     "where", "register", "fault-free -> faulty"});
    for (uint64_t k = 0; k < p->n_listed; k++)
        if (p->n_listed <= most || k < head || k >= p->n_listed - tail)
            event_row(&t, &p->events[k]);
    printf("\nlife of the error: %llu events", (unsigned long long)p->n_events);
    if (p->n_listed > most)
        printf(", the first %llu and the last %llu", (unsigned long long)head,
               (unsigned long long)tail);
    printf("\n");
    table_print(&t);
    print_sources(p, most, head, tail);
}

static void print(struct cli *cli, const struct store_campaign *c, const struct store_injection *i,
                  const struct replayed *p, uint64_t events)
{
    const struct experiment_result *r = &p->result;
    const struct store_launch *l = &c->launches[i->launch];
    printf("injection %llu of %s %s (%s)\n", (unsigned long long)i->number, c->impl, c->shape,
           c->fault);
    printf("struck    kernel %s, CTA %llu, warp %u, lane %u, PTX line %d", l->kernel,
           (unsigned long long)i->cta, i->warp, i->lane, i->ptx_line);
    if (i->source_line)
        printf(", source line %d", i->source_line);
    if (p->n_listed && p->events[0].source)
        printf(" of %s\nsource    %s", p->events[0].source_file, p->events[0].source);
    printf("\nvalue     0x%llx -> 0x%llx (%d bits)\n", (unsigned long long)i->before,
           (unsigned long long)i->after, i->bits);
    printf("outcome   %s", vocab_word(&vocab_outcomes, (int)r->outcome));
    if (r->outcome == OUTCOME_DUE)
        printf(": %s in launch %u, CTA %llu, warp %u, lane %u, PTX line %d, address 0x%llx",
               vocab_word(&vocab_traps, (int)r->trap.kind), r->trap_launch,
               (unsigned long long)r->trap.cta, r->trap.warp, r->trap.lane, r->trap.at.line,
               (unsigned long long)r->trap.address);
    if (p->fate != FATE_UNKNOWN)
        printf("\nfate      %s: %s", vocab_word(&vocab_fates, (int)p->fate),
               vocab_fates.words[p->fate].help);
    printf("\nidentical to the stored row\n");
    print_life(cli, p, events);
    if (r->n_diffs)
        printf("\n%zu of %zu values differ%s:\n", r->n_diffs, c->golden_floats,
               r->n_diffs > 20 ? "; the first 20" : "");
    size_t hw = c->dim[2] * c->dim[3];
    for (size_t k = 0; k < r->n_diffs && k < 20; k++) {
        size_t e = r->diffs[k].index;
        printf("  [n %zu, k %zu, p %zu, q %zu]  %.9g -> %.9g\n", e / hw / c->dim[1],
               e / hw % c->dim[1], e % hw / c->dim[3], e % c->dim[3], (double)c->golden[e],
               (double)float_of(r->diffs[k].faulty_bits));
    }
}

/* The outputs as .npy files. */
static int write_tensors(const struct replay_args *o, struct arena *a,
                         const struct store_campaign *c, const struct experiment_result *r,
                         struct diag *d)
{
    if (o->faulty && r->outcome == OUTCOME_DUE)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                         "--faulty: the injection stopped the kernel, so there is no output");
    struct tensor t = tensor_new(a, 4, c->dim);
    if (tensor_elems(&t) != c->golden_floats)
        t = tensor_new(a, 1, &c->golden_floats);
    memcpy(t.data, c->golden, c->golden_floats * sizeof *t.data);
    int rc = o->golden ? npy_write(o->golden, &t, d) : OK;
    for (size_t k = 0; k < r->n_diffs; k++)
        t.data[r->diffs[k].index] = float_of(r->diffs[k].faulty_bits);
    return rc == OK && o->faulty ? npy_write(o->faulty, &t, d) : rc;
}

/* The store that the injection was made in: a study over several images has one for each beside the one of all,
 * NAME.K.db beside NAME.db, each with its share of the injections. */
static int open_store(struct store **out, struct cli *cli, uint64_t number)
{
    const char *path = cli->operands[0], *end = strrchr(path, '.');
    int rc = store_open(out, path, false, &cli->diag);
    const struct store_campaign *c = rc == OK ? store_campaign(*out) : NULL;
    const size_t batch = c ? strtoul(c->shape, NULL, 10) : 0, n = batch ? c->dim[0] / batch : 1;
    if (rc != OK || n <= 1 || !end || number >= c->planned)
        return rc;
    size_t k = 0;
    while (k + 1 < n && number >= c->planned * (k + 1) / n)
        k++;
    const char *part = arena_printf(&cli->arena, "%.*s.%zu%s", (int)(end - path), path, k, end);
    rc = store_close(*out, &cli->diag);
    return rc == OK ? store_open(out, part, false, &cli->diag) : rc;
}

int run_replay(struct cli *cli, void *args)
{
    struct replay_args *o = args;
    int engine;
    char *end;
    errno = 0;
    unsigned long long number = strtoull(cli->operands[1], &end, 10);
    if (*end || end == cli->operands[1] || errno || *cli->operands[1] == '-')
        return diag_fail(&cli->diag, ERR_INPUT, DIAG_NOWHERE,
                         "'%s' is not the number of an injection", cli->operands[1]);
    int rc = vocab_find(&vocab_engines, o->engine, &engine, &cli->diag);
    if (rc != OK)
        return rc;
    struct store *s;
    rc = open_store(&s, cli, number);
    if (rc != OK)
        return rc;
    struct store_injection row;
    struct replayed result;
    rc = store_get(s, number, &row, &cli->arena, &cli->diag);
    if (rc == OK)
        rc = campaign_replay(&result, &cli->arena, s, number, (enum engine)engine, &cli->diag);
    if (rc == OK && (o->golden || o->faulty))
        rc = write_tensors(o, &cli->arena, store_campaign(s), &result.result, &cli->diag);
    if (rc == OK && cli->json)
        cli_print_json(document(cli, store_campaign(s), &row, &result));
    else if (rc == OK)
        print(cli, store_campaign(s), &row, &result, o->events);
    store_close(s, &cli->diag);
    return rc;
}
