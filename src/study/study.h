/* One YAML file -> everything: campaigns for each layer x implementation, models, simulations, report.
 * Also the steps between parts that single commands need. */
#ifndef STUDY_STUDY_H
#define STUDY_STUDY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/diag.h"
#include "conv/conv.h"
#include "model/model.h"
#include "report/report.h"
#include "simulate/simulate.h"
#include "store/store.h"

struct study_progress {
    const char *step;             /* "conv1 direct: injections" */
    uint64_t done, planned;       /* of this step */
    double step_seconds, seconds; /* since the step and since the study began */
    double fraction;              /* of the whole study's expected work */
};
struct study_options {
    const char *config, *out_dir;
    int jobs; /* 0: all processors */
    void (*progress)(void *ctx, const struct study_progress *p);
    void *progress_ctx;
    const volatile bool *stop;
};
/* Leaves campaigns, models, simulations, report.json, report.csv and report.html in out_dir; continues
 * what an interrupted run of the same configuration left there, and refuses to mix configurations.
 * FORMATS.md describes the YAML and the folder. */
int study_run(const struct study_options *options, struct diag *d);

/* Make the three reports of a study's folder again. */
int study_report(const char *folder, struct diag *d);

/* How far models can be trusted: for each cell the shares of masked, tolerable and critical errors by the
 * campaign's own tensors (truth), by its model, by the model without what the CLASSES tools do not read,
 * and by the baselines; their differences with intervals and the agreement, 1 - the mean absolute
 * difference. base: all but the layer and where errors come from. *out is the caller's. */
struct study_cell {
    const char *layer, *impl, *campaign, *model; /* model NULL: none */
};
int study_validate_cells(json_t **out, const struct sim_options *base, size_t n,
                         const struct study_cell *cells, struct diag *d);
/* All cells of a study's folder, whose network and data set are taken. */
int study_validate(json_t **out, const char *folder, const struct sim_options *options,
                   struct diag *d);

/* How a report finds the kernels of campaigns, and their sources. Its memory is in a. */
struct report_sources study_sources(struct arena *a);

/* A convolution layer of a network, with what it reads when the network sees one image. In a. */
struct study_layer {
    const char *name;
    struct conv_problem problem;
    const float *input, *filter;
};
int study_layer(struct study_layer *out, struct arena *a, const char *network, const char *dataset,
                const char *layer, uint64_t image, struct diag *d);

/* What a campaign's faults can strike, by launch and instruction (cells: by launch), with the number of sites,
 * from a fault-free run; and the tiling. Empty for a user's kernel. In a. */
struct study_strata {
    struct tiling tiling; /* n_axes 0: unknown */
    bool by_instruction;
    bool live; /* which sites are live is known */
    size_t n;
    struct model_stratum *list;
    size_t n_launches, *first, *of; /* of[first[launch] + instruction]: position in list */
};
int study_strata(struct study_strata *out, struct arena *a, const struct store_campaign *c,
                 struct diag *d);
/* The coordinates in which an implementation computes the convolution `shape`; tile NULL: its own choice. */
int study_tiling(struct tiling *out, const char *impl, const char *shape, const char *tile,
                 struct diag *d);
/* Which stratum a fault struck, or MODEL_NO_STRATUM. */
size_t study_stratum(const struct study_strata *s, uint32_t launch, uint32_t insn);

/* Make m draw for the tensor, implementation and faults of another campaign. What it needs is in a. */
int study_retarget(struct model *m, struct arena *a, const struct store_campaign *c,
                   struct diag *d);

/* Make m draw for tensors chw: of the convolution `there`, or if that is NULL of the model's own one with
 * another output. Sites are counted where that can be done (its implementation supports the problem, which is not
 * very large), otherwise they are taken to grow as the tiles do. Does nothing for the model's own shape, or if it
 * does not say which that is. What it needs is in a. Always OK. */
int study_carry(struct model *m, struct arena *a, const size_t chw[3],
                const struct conv_problem *there);

/* The same as sim_options' carry. */
int study_carry_layer(struct model *m, struct arena *a, const size_t chw[3],
                      const struct nn_conv *conv);

/* The error model of a campaign's SDCs, characterised at epsilon. In a. */
int study_model(struct model **out, struct arena *a, const char *path, double epsilon, bool compat,
                struct diag *d);

#endif
