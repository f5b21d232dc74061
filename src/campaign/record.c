/* An experiment's result as a row: places, differences, and its looks at each epsilon. */
#include <math.h>
#include <string.h>

#include "campaign/priv.h"
#include "ptx/insn.h"

struct recorder recorder_for(const struct golden *g, const struct store_campaign *c)
{
    struct recorder r = {.golden = g,
                         .n_epsilons = c->n_epsilons,
                         .epsilons = c->epsilons,
                         .range = characterise_range(g->output, g->n_floats)};
    memcpy(r.dim, c->dim, sizeof r.dim);
    return r;
}

/* In NCHW order, however the output lies in memory. */
static struct difference *differences(struct arena *a, const struct recorder *r,
                                      const struct experiment_result *result)
{
    struct difference *out = arena_array(a, result->n_diffs, sizeof *out);
    for (size_t i = 0; i < result->n_diffs; i++) {
        const struct store_diff *d = &result->diffs[i];
        out[i] = (struct difference){.index = d->index, .golden = r->golden->output[d->index]};
        memcpy(&out[i].faulty, &d->faulty_bits, sizeof out[i].faulty);
    }
    if (r->golden->program->out_layout == LAYOUT_NHWC)
        characterise_from_nhwc(out, result->n_diffs, r->dim);
    return out;
}

static double max_abs_error(const struct difference *d, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++) {
        double error = fabs((double)d[i].faulty - (double)d[i].golden);
        if (!isfinite(error))
            return (double)INFINITY;
        most = error > most ? error : most;
    }
    return most;
}

static const char *domain(struct arena *a, const struct characterisation *c)
{
    if (c->n_domain == 0)
        return "random";
    const char *first = vocab_word(&vocab_values, (int)c->domain[0]);
    return c->n_domain == 1
               ? first
               : arena_printf(a, "%s+%s", first, vocab_word(&vocab_values, (int)c->domain[1]));
}

static void label_sdc(struct store_injection *out, struct arena *a, const struct recorder *r,
                      const struct difference *diffs)
{
    struct store_label *labels = arena_array(a, r->n_epsilons, sizeof *labels);
    for (size_t e = 0; e < r->n_epsilons; e++) {
        struct characterisation c;
        characterise(&c, diffs, out->n_diffs, r->dim, r->range,
                     &(struct char_options){.epsilon = r->epsilons[e]});
        labels[e] = (struct store_label){.pattern = -1, .domain = ""};
        if (c.corrupted)
            labels[e] =
                (struct store_label){c.corrupted, c.channels, (int)c.pattern, domain(a, &c)};
    }
    out->labels = labels;
}

/* Of the register struck; NULL if it was something else. */
static const char *register_name(struct arena *a, const struct recorder *r, const struct fault *f,
                                 const struct strike *s)
{
    static const char *const specials[] = {
#define X(id, name, type) name,
#include "ptx/special.def"
#undef X
    };
    const struct ptx_kernel *k = r->golden->program->launches[f->launch].kernel;
    if (!s->has_cell || f->kind.where >= WHERE_SHARED)
        return NULL;
    return f->kind.where == WHERE_INDEX ? specials[s->cell]
                                        : ptx_register_name(a, k, (uint32_t)s->cell);
}

void record(struct store_injection *out, struct arena *a, const struct recorder *r, uint64_t number,
            const struct fault *f, const struct experiment_result *result)
{
    const struct strike *s = &result->strike;
    struct ptx_insn_info info =
        ptx_insn_info(r->golden->program->launches[f->launch].kernel, s->insn);
    *out = (struct store_injection){.number = number,
                                    .launch = f->launch,
                                    .warp = s->warp,
                                    .lane = s->lane,
                                    .insn = s->insn,
                                    .reg = s->reg,
                                    .lanes = s->lanes,
                                    .cta = f->cta,
                                    .nth = f->nth,
                                    .bits = s->bits,
                                    .before = s->before,
                                    .after = s->after,
                                    .has_cell = s->has_cell,
                                    .cell = s->cell,
                                    .reg_name = register_name(a, r, f, s),
                                    .ptx_line = info.at.line,
                                    .source_line = info.source_line,
                                    .mnemonic = info.mnemonic,
                                    .outcome = result->outcome,
                                    .fate = result->fate,
                                    .has_last = result->has_last,
                                    .last_launch = result->last_launch,
                                    .last_cta = result->last_cta,
                                    .last_insn = result->last_insn};
    if (result->outcome == OUTCOME_DUE) {
        out->trap = result->trap.kind;
        out->trap_launch = result->trap_launch;
        out->trap_insn = result->trap.insn;
        out->trap_cta = result->trap.cta;
        out->trap_address = result->trap.address;
    }
    if (result->outcome != OUTCOME_SDC)
        return;
    struct arena scratch = {0};
    const struct difference *values = differences(&scratch, r, result);
    struct store_diff *diffs = arena_array(a, result->n_diffs, sizeof *diffs);
    for (size_t i = 0; i < result->n_diffs; i++) {
        diffs[i].index = (uint32_t)values[i].index;
        memcpy(&diffs[i].faulty_bits, &values[i].faulty, sizeof diffs[i].faulty_bits);
    }
    out->n_diffs = result->n_diffs;
    out->diffs = diffs;
    out->max_abs_error = max_abs_error(values, result->n_diffs);
    label_sdc(out, a, r, values);
    arena_fini(&scratch);
}
