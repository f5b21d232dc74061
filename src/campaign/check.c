/* An injection of a store run again, and compared with its row bit for bit. */
#include <string.h>

#include "campaign/life.h"
#include "campaign/priv.h"
#include "conv/kernels.h"
#include "ptx/insn.h"

enum { SOURCES = 2000 }; /* events whose source lines are looked up */

static int kind_of(struct fault_kind *out, const struct store_campaign *c, struct diag *d)
{
    int rc = fault_kind_parse(out, c->fault, d);
    out->population = strcmp(c->population_kind, "ptx") == 0 ? POPULATION_PTX : POPULATION_MACHINE;
    return rc;
}

static int differs(struct diag *d, uint64_t number, const char *what, uint64_t stored, uint64_t now)
{
    return diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                     "injection %llu ran differently: its %s is stored as %llu and is now %llu",
                     (unsigned long long)number, what, (unsigned long long)stored,
                     (unsigned long long)now);
}

static int compare(const struct store_injection *a, const struct store_injection *b, struct diag *d)
{
    const struct {
        const char *what;
        uint64_t stored, now;
    } fields[] = {
        {"launch", a->launch, b->launch},
        {"CTA", a->cta, b->cta},
        {"site", a->nth, b->nth},
        {"instruction", a->insn, b->insn},
        {"warp", a->warp, b->warp},
        {"lane", a->lane, b->lane},
        {"register", a->reg, b->reg},
        {"number of lanes", a->lanes, b->lanes},
        {"register width", (uint64_t)a->bits, (uint64_t)b->bits},
        {"cell", a->cell, b->cell},
        {"value before", a->before, b->before},
        {"value after", a->after, b->after},
        {"outcome", (uint64_t)a->outcome, (uint64_t)b->outcome},
        {"trap", (uint64_t)a->trap, (uint64_t)b->trap},
        {"trap's launch", a->trap_launch, b->trap_launch},
        {"trap's CTA", a->trap_cta, b->trap_cta},
        {"trap's instruction", a->trap_insn, b->trap_insn},
        {"trap's address", a->trap_address, b->trap_address},
        {"number of differences", a->n_diffs, b->n_diffs},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (fields[i].stored != fields[i].now)
            return differs(d, a->number, fields[i].what, fields[i].stored, fields[i].now);
    for (size_t i = 0; a->diffs && i < a->n_diffs; i++) {
        if (a->diffs[i].index != b->diffs[i].index)
            return differs(d, a->number, "differing element", a->diffs[i].index, b->diffs[i].index);
        if (a->diffs[i].faulty_bits != b->diffs[i].faulty_bits)
            return differs(d, a->number, "output value (bits)", a->diffs[i].faulty_bits,
                           b->diffs[i].faulty_bits);
    }
    return OK;
}

/* The text of the source line, of kernels that the build embedded; once for each instruction. */
static void add_sources(struct arena *a, const struct restored *program,
                        struct replayed_event *events, size_t n)
{
    for (size_t i = 0; i < n && !program->is_user; i++) {
        struct replayed_event *e = &events[i];
        const struct kernel_file *k = kernel_file_find(program->conv.ptx_names[e->launch]);
        struct kernel_place place;
        if (e->event == EVENT_LEFT || e->event == EVENT_OVERWRITTEN) /* of the CTA as a whole */
            continue;
        if (i && events[i - 1].launch == e->launch && events[i - 1].ptx_line == e->ptx_line) {
            e->source_file = events[i - 1].source_file;
            e->source = events[i - 1].source;
        } else if (k && i < SOURCES && kernel_place(&place, k, e->ptx_line) &&
                   place.line == e->source_line) {
            e->source_file = arena_strdup(a, place.file);
            e->source = arena_printf(a, "%.*s", (int)place.n, place.text);
        }
    }
}

/* The events with the names of what they are about. */
static struct replayed_event *named(struct arena *a, const struct golden *g,
                                    const struct life *life, size_t n)
{
    struct replayed_event *out = arena_array(a, n, sizeof *out);
    for (size_t i = 0; i < n; i++) {
        const struct life_event *e = &life->events[i];
        const struct ptx_kernel *k = g->program->launches[e->launch].kernel;
        struct ptx_insn_info info = ptx_insn_info(k, e->insn);
        out[i] = (struct replayed_event){
            .event = e->event,
            .launch = e->launch,
            .warp = e->warp,
            .insn = e->insn,
            .lanes = e->lanes,
            .cta = e->cta,
            .good = e->good,
            .bad = e->bad,
            .words = e->words,
            .mnemonic = arena_strdup(a, info.mnemonic),
            .ptx_line = info.at.line,
            .source_line = info.source_line,
            .reg = e->reg < 0 ? NULL : arena_strdup(a, ptx_register_name(a, k, (uint32_t)e->reg))};
    }
    return out;
}

/* The tracer must see what the engine saw, and the store what the tracer sees. */
static int trace_again(struct replayed *out, struct arena *a, const struct golden *g,
                       const struct fault *f, const struct store_campaign *c,
                       const struct store_injection *stored, const struct recorder *r,
                       const struct restored *program, struct diag *d)
{
    struct replayed_event *events;
    struct tracer *t = tracer_new(g->program, g, c->hang_factor);
    struct experiment_result traced;
    struct store_injection now;
    struct life life;
    int rc = OK;
    if (tracer_run(t, f, true, &life, &traced)) {
        bool accepted = stored->fate == FATE_ACCEPTED;
        out->fate = accepted ? FATE_ACCEPTED : life.fate;
        out->n_events = life.n_events;
        out->n_listed = life.n_events < LIFE_MOST_EVENTS ? life.n_events : LIFE_MOST_EVENTS;
        out->events = events = named(a, g, &life, out->n_listed);
        add_sources(a, program, events, out->n_listed);
        record(&now, a, r, stored->number, f, &traced);
        if (accepted) {
            now.outcome = OUTCOME_MASKED;
            now.n_diffs = 0;
        }
        rc = compare(stored, &now, d);
        if (rc == OK && stored->fate != FATE_UNKNOWN && !accepted && stored->fate != life.fate)
            rc = differs(d, stored->number, "fate", (uint64_t)stored->fate, (uint64_t)life.fate);
    }
    tracer_free(t);
    return rc;
}

static int run_again(struct replayed *out, struct arena *a, const struct sample *sample,
                     const struct store_campaign *c, const struct store_injection *stored,
                     const struct restored *program, enum engine engine, struct diag *d)
{
    uint32_t stratum;
    size_t part;
    struct fault f = sample_fault(sample, c->seed, stored->number, &stratum, &part);
    const struct golden *g = sample_part(sample, part);
    struct experiment *e = experiment_new(g->program, g, engine, c->hang_factor);
    struct recorder r = recorder_for(g, c);
    struct store_injection now;
    *out = (struct replayed){0};
    experiment_run(e, &f, &out->result);
    record(&now, a, &r, stored->number, &f, &out->result);
    out->result.diffs = now.diffs;
    experiment_free(e);
    if (stored->fate == FATE_ACCEPTED && now.outcome == OUTCOME_SDC) {
        now.outcome = OUTCOME_MASKED; /* the user's check took it for good */
        now.n_diffs = 0;
    }
    int rc = compare(stored, &now, d);
    return rc == OK ? trace_again(out, a, g, &f, c, stored, &r, program, d) : rc;
}

int campaign_replay(struct replayed *out, struct arena *a, struct store *s, uint64_t number,
                    enum engine engine, struct diag *d)
{
    const struct store_campaign *c = store_campaign(s);
    struct store_injection stored;
    struct restored program;
    struct fault_kind kind;
    struct golden *g;
    struct sample *sample = NULL;
    if (!c)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "a simulation, not a campaign of injections");
    int rc = store_get(s, number, &stored, a, d);
    if (rc != OK || (rc = kind_of(&kind, c, d)) != OK ||
        (rc = subject_restore(&program, a, c, d)) != OK)
        return rc;
    rc = golden_run(&g, program.sim, &kind, d);
    if (rc == OK) {
        if (golden_population(g) != c->population)
            rc = differs(d, number, "population", c->population, golden_population(g));
        else if ((rc = sample_new(&sample, g, d)) == OK)
            rc = run_again(out, a, sample, c, &stored, &program, engine, d);
        sample_free(sample);
        golden_free(g);
    }
    subject_fini(&program);
    return rc;
}
