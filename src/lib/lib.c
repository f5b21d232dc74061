/* The public functions: the parts, behind one header. */
#include "sievert.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "campaign/campaign.h"
#include "characterise/characterise.h"
#include "conv/conv.h"
#include "lib/priv.h"
#include "model/model.h"
#include "report/report.h"
#include "stats/stats.h"
#include "study/study.h"
#include "vocab/vocab.h"

int lib_done(int rc, const struct diag *d, struct sievert_error *error)
{
    if (rc != OK && error) {
        *error = (struct sievert_error){.status = rc, .line = d->line, .column = d->col};
        memcpy(error->file, d->file, sizeof error->file);
        memcpy(error->message, d->msg, sizeof error->message);
    }
    return rc;
}

int lib_null(const char *what, struct sievert_error *error)
{
    struct diag d = {0};
    return lib_done(diag_fail(&d, ERR_INPUT, DIAG_NOWHERE, "%s is NULL", what), &d, error);
}

const char *sievert_version(void) { return SIEVERT_VERSION; }

const char *sievert_word(enum sievert_vocabulary v, int i)
{
    static const struct vocab *const of[] = {[SIEVERT_OUTCOMES] = &vocab_outcomes,
                                             [SIEVERT_TRAPS] = &vocab_traps,
                                             [SIEVERT_PATTERNS] = &vocab_patterns,
                                             [SIEVERT_EFFECTS] = &vocab_effects};
    if ((unsigned)v >= sizeof of / sizeof *of || i < 0 || (size_t)i >= of[v]->n)
        return NULL;
    return of[v]->words[i].word;
}

const char *sievert_implementation(int i)
{
    size_t n;
    const struct conv_impl *impls = conv_impls(&n);
    return i >= 0 && (size_t)i < n ? impls[i].name : NULL;
}

/* ---- Convolutions --------------------------------------------------------------------------------- */
int sievert_sizes(struct sievert_sizes *out, const char *shape, struct sievert_error *error)
{
    struct diag d = {0};
    struct conv_problem p;
    if (!shape)
        return lib_null("shape", error);
    int rc = conv_parse_shape(&p, shape, &d);
    if (rc != OK)
        return lib_done(rc, &d, error);
    *out = (struct sievert_sizes){
        .output_dim = {(size_t)p.n, (size_t)p.k, (size_t)conv_out_h(&p), (size_t)conv_out_w(&p)},
        .input = (size_t)p.n * (size_t)p.c * (size_t)p.h * (size_t)p.w,
        .filter = (size_t)p.k * (size_t)(p.c / p.groups) * (size_t)p.r * (size_t)p.s,
    };
    out->output = out->output_dim[0] * out->output_dim[1] * out->output_dim[2] * out->output_dim[3];
    return OK;
}

static int prepare(struct conv_program *out, struct arena *a, const struct sievert_convolution *c,
                   struct diag *d)
{
    struct conv_problem p;
    const struct conv_impl *impl;
    if (!c->implementation || !c->shape || !c->input || !c->filter)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                         "implementation, shape, input and filter are all needed");
    int rc = conv_parse_shape(&p, c->shape, d);
    if (rc == OK)
        rc = conv_find(&impl, c->implementation, d);
    return rc == OK ? conv_prepare(out, a, &p, impl, c->tile, c->input, c->filter, d) : rc;
}

int sievert_convolve(float *output, struct sievert_run *run, const struct sievert_convolution *c,
                     struct sievert_error *error)
{
    struct diag d = {0};
    struct arena a = {0};
    struct conv_program p;
    struct golden *g = NULL;
    const struct fault_kind kind = {.where = WHERE_GROUP_GP};
    int rc = prepare(&p, &a, c, &d);
    if (rc == OK) {
        rc = golden_run(&g, &p.sim, &kind, &d);
        if (rc == OK) {
            struct sievert_run sum = {.workspace_bytes = p.workspace_bytes};
            for (size_t i = 0; i < p.sim.n_launches; i++) {
                sum.warp_instructions += golden_counts(g, i).warp_insns;
                sum.thread_instructions += golden_counts(g, i).thread_insns;
            }
            conv_out_to_nchw(&p.problem, output, golden_output(g));
            if (run)
                *run = sum;
            golden_free(g);
        }
        conv_program_fini(&p);
    }
    arena_fini(&a);
    return lib_done(rc, &d, error);
}

int sievert_inject(const char *store, const struct sievert_campaign *c, struct sievert_error *error)
{
    struct diag d = {0};
    struct arena a = {0};
    struct conv_program p;
    struct campaign_options o = {
        .seed = c->seed, .n = c->injections, .jobs = c->jobs, .stop = c->stop};
    if (!store)
        return lib_null("store", error);
    int rc = fault_kind_parse(&o.kind, c->fault ? c->fault : "gp:single-bit:thread", &d);
    if (rc == OK && c->injections == 0)
        rc = diag_fail(&d, ERR_INPUT, DIAG_NOWHERE, "injections is 0");
    if (rc == OK)
        rc = prepare(&p, &a, &c->convolution, &d);
    if (rc == OK) {
        rc = campaign_run(store, &p, c->convolution.input, c->convolution.filter, &o, &d);
        conv_program_fini(&p);
    }
    arena_fini(&a);
    return lib_done(rc, &d, error);
}

/* ---- Errors ---------------------------------------------------------------------------------------- */
int sievert_classify(struct sievert_classes *out, const float *golden, const float *faulty,
                     const size_t dim[4], double epsilon, struct sievert_error *error)
{
    struct diag d = {0};
    struct arena a = {0};
    size_t n = 1;
    if (!golden || !faulty)
        return lib_null("golden or faulty", error);
    for (int i = 0; i < 4; i++)
        if (dim[i] == 0 || __builtin_mul_overflow(n, dim[i], &n) || n > UINT32_MAX)
            return lib_done(diag_fail(&d, ERR_INPUT, DIAG_NOWHERE,
                                      "dimensions must be positive, their product below 2^32"),
                            &d, error);
    if (!(epsilon >= 0))
        return lib_done(diag_fail(&d, ERR_INPUT, DIAG_NOWHERE, "epsilon %g is negative", epsilon),
                        &d, error);
    struct difference *diffs;
    size_t n_diffs = characterise_diff(&diffs, &a, golden, faulty, n);
    struct characterisation c;
    const struct char_options options = {.epsilon = epsilon};
    characterise(&c, diffs, n_diffs, dim, characterise_range(golden, n), &options);
    *out = (struct sievert_classes){.pattern = -1};
    if (c.corrupted)
        *out = (struct sievert_classes){c.corrupted, c.channels, (int)c.pattern, c.max_abs_error};
    arena_fini(&a);
    return OK;
}

struct sievert_model {
    struct arena arena;
    struct model *model;
    struct arena carried; /* what draws for these tensors need */
    size_t chw[3];
};

int sievert_model_build(const char *path, const char *store, double epsilon,
                        struct sievert_error *error)
{
    struct diag d = {0};
    struct arena a = {0};
    struct model *m;
    if (!path || !store)
        return lib_null("path or store", error);
    int rc = study_model(&m, &a, store, epsilon, false, &d);
    if (rc == OK)
        rc = model_save(m, path, &d);
    arena_fini(&a);
    return lib_done(rc, &d, error);
}

int sievert_model_open(struct sievert_model **out, const char *path, struct sievert_error *error)
{
    struct diag d = {0};
    if (!path)
        return lib_null("path", error);
    struct sievert_model *m = calloc(1, sizeof *m);
    int rc = m ? model_load(&m->model, &m->arena, path, &d)
               : diag_fail(&d, ERR_NOMEM, DIAG_NOWHERE, "out of memory");
    if (rc == OK)
        *out = m;
    else
        sievert_model_close(m);
    return lib_done(rc, &d, error);
}

void sievert_model_close(struct sievert_model *m)
{
    if (m) {
        arena_fini(&m->carried);
        arena_fini(&m->arena);
    }
    free(m);
}

int sievert_model_corrupt(float *tensor, int *pattern, struct sievert_model *m, const size_t chw[3],
                          uint64_t seed, uint64_t number, struct sievert_error *error)
{
    struct diag d = {0};
    struct arena a = {0};
    size_t n = 1;
    for (int i = 0; i < 3; i++)
        if (chw[i] == 0 || __builtin_mul_overflow(n, chw[i], &n) || n > INT32_MAX)
            return lib_done(diag_fail(&d, ERR_INPUT, DIAG_NOWHERE,
                                      "dimensions must be positive, their product below 2^31"),
                            &d, error);
    struct rng r;
    rng_init(&r, seed, number);
    if (memcmp(m->chw, chw, sizeof m->chw) != 0) {
        arena_reset(&m->carried);
        memcpy(m->chw, chw, sizeof m->chw);
        (void)study_carry(m->model, &m->carried, chw, NULL);
    }
    struct difference *diffs = arena_array(&a, n, sizeof *diffs);
    struct model_draw draw =
        model_draw(m->model, &r, chw, tensor, characterise_range(tensor, n), diffs, n);
    for (size_t i = 0; i < draw.n; i++)
        tensor[diffs[i].index] = diffs[i].faulty;
    if (pattern)
        *pattern = (int)draw.pattern;
    arena_fini(&a);
    return OK;
}

/* ---- Studies and reports ------------------------------------------------------------------------- */
int sievert_study(const char *folder, const char *study_file, int jobs, struct sievert_error *error)
{
    struct diag d = {0};
    const struct study_options o = {.config = study_file, .out_dir = folder, .jobs = jobs};
    if (!folder || !study_file)
        return lib_null("folder or study_file", error);
    return lib_done(study_run(&o, &d), &d, error);
}

int sievert_report(char **json, const char *store, struct sievert_error *error)
{
    struct diag d = {0};
    struct arena a = {0};
    json_t *doc = NULL;
    if (!store)
        return lib_null("store", error);
    const struct report_sources sources = study_sources(&a);
    int rc = report_campaign(&doc, store, 0.95, &sources, &d);
    if (rc == OK) {
        char *text = json_dumps(doc, JSON_COMPACT | JSON_REAL_PRECISION(6));
        if (text)
            *json = text;
        else
            rc = diag_fail(&d, ERR_NOMEM, DIAG_NOWHERE, "out of memory");
        json_decref(doc);
    }
    arena_fini(&a);
    return lib_done(rc, &d, error);
}

void sievert_free(void *p) { free(p); }

void sievert_wilson(double *lo, double *hi, uint64_t k, uint64_t n, double confidence)
{
    struct interval i = stats_wilson((double)k, (double)n, confidence);
    *lo = i.lo;
    *hi = i.hi;
}
