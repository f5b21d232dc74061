/* One YAML file -> everything: campaigns for each layer x implementation, models, simulations, report. */
#ifndef STUDY_STUDY_H
#define STUDY_STUDY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"

struct study_progress {
    const char *step;     /* "conv1 direct: injections" */
    uint64_t done, planned; /* of this step */
    uint64_t steps_done, steps;
    double seconds;       /* since the study began */
    double fraction;      /* of the whole study's expected work */
};
struct study_options {
    const char *config, *out_dir;
    int jobs;
    void (*progress)(void *ctx, const struct study_progress *p);
    void *progress_ctx;
    const volatile bool *stop;
};
/* Leaves campaigns, models, simulations, report.json, report.csv and report.html in out_dir; continues
 * what an interrupted run of the same configuration left there. */
int study_run(const struct study_options *options, struct diag *d);

#endif
