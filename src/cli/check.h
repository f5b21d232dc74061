/* A user's check program as judge of outputs. */
#ifndef CLI_CHECK_H
#define CLI_CHECK_H

#include <stdbool.h>

#include "base/diag.h"
#include "simt/simt.h"

struct check {
    const char *command;
    const struct simt_program *program;
    const size_t *dim; /* of the output if it is one buffer */
};
/* campaign_options.accept: write the compared buffers to .npy files in a new folder under TMPDIR, run
 * `command FILE...` by sh; it accepts by exit status 0. */
bool check_accept(void *check, const float *output, size_t n);

#endif
