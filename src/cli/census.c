#include "cli/census.h"

#include <stdio.h>

static json_t *counts(const struct vocab *words, const uint64_t *n, size_t first)
{
    json_t *j = json_object();
    for (size_t i = first; i < words->n; i++)
        if (n[i] || first == 0)
            json_object_set_new(j, vocab_word(words, (int)i), json_integer((json_int_t)n[i]));
    return j;
}

static json_t *document(const struct census *c, const struct campaign_subject *s,
                        const struct fault_kind *kind)
{
    char fault[FAULT_KIND_TEXT];
    json_t *doc = json_object(), *insns = json_array(), *of_sites = json_object();
    fault_kind_print(fault, kind);
    json_object_set_new(doc, "impl", json_string(s->impl));
    json_object_set_new(doc, "shape", json_string(s->shape));
    json_object_set_new(doc, "fault", json_string(fault));
    json_object_set_new(doc, "population",
                        json_string(kind->population == POPULATION_PTX ? "ptx" : "machine"));
    json_object_set_new(doc, "sites", json_integer((json_int_t)c->sites));
    json_object_set_new(doc, "faults", json_integer((json_int_t)c->faults));
    json_object_set_new(doc, "outcomes", counts(&vocab_outcomes, c->outcome, 0));
    json_object_set_new(doc, "traps", counts(&vocab_traps, c->trap, 1));
    for (int o = 0; o < N_OUTCOMES; o++)
        json_object_set_new(of_sites, vocab_word(&vocab_outcomes, o), json_real(c->of_sites[o]));
    json_object_set_new(doc, "of_sites", of_sites);
    for (size_t i = 0; i < c->n_tallies; i++) {
        const struct census_tally *t = &c->tallies[i];
        struct ptx_insn_info info = ptx_insn_info(s->sim->launches[t->launch].kernel, t->insn);
        json_t *j = json_object();
        json_object_set_new(j, "launch", json_integer(t->launch));
        json_object_set_new(j, "instruction", json_integer(t->insn));
        json_object_set_new(j, "mnemonic", json_string(info.mnemonic));
        json_object_set_new(j, "ptx_line", json_integer(info.at.line));
        json_object_set_new(j, "source_line", json_integer(info.source_line));
        json_object_set_new(j, "outcomes", counts(&vocab_outcomes, t->outcome, 0));
        json_object_set_new(j, "traps", counts(&vocab_traps, t->trap, 1));
        json_array_append_new(insns, j);
    }
    json_object_set_new(doc, "instructions", insns);
    return doc;
}

static void add_rows(struct table *t, const struct vocab *words, const uint64_t *n,
                     const double *of_sites, size_t first, uint64_t all, const char *indent)
{
    for (size_t i = first; i < words->n; i++) {
        if (!n[i] && first)
            continue;
        table_cell(t, "%s%s", indent, vocab_word(words, (int)i));
        table_cell(t, "%llu", (unsigned long long)n[i]);
        table_cell(t, "%.4f %%", all ? 100 * (double)n[i] / (double)all : 0);
        if (of_sites)
            table_cell(t, "%.4f %%", 100 * of_sites[i]);
        else
            table_cell(t, "%s", "");
    }
}

static void print_table(struct cli *cli, const struct census *c)
{
    struct table t;
    printf("%llu sites, %llu faults: all there are\n", (unsigned long long)c->sites,
           (unsigned long long)c->faults);
    table_init(&t, &cli->arena, 4,
               (const char *const[]){"outcome", "faults", "share", "of a uniform site"});
    add_rows(&t, &vocab_outcomes, c->outcome, c->of_sites, 0, c->faults, "");
    add_rows(&t, &vocab_traps, c->trap, NULL, 1, c->faults, "  ");
    table_print(&t);
}

void census_print(struct cli *cli, const struct census *c, const struct campaign_subject *s,
                  const struct fault_kind *kind)
{
    if (cli->json)
        cli_print_json(document(c, s, kind));
    else
        print_table(cli, c);
}
