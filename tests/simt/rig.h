/* A little bench for kernels written as PTX text: buffers of words, launch, compare. */
#ifndef TESTS_SIMT_RIG_H
#define TESTS_SIMT_RIG_H

#include "base/arena.h"
#include "ptx/insn.h"
#include "simt/priv.h"
#include "simt/simt.h"

/* Parses `.visible .entry k(.param .u64 p0, ...)` around body; registers %p %h %r %rd %f %d<64> are
 * declared, and %rd1, %rd2.. hold the first n_buffers parameters (64-bit addresses). */
const struct ptx_kernel *rig_kernel(struct arena *a, int n_buffers, const char *body);
/* The same for a whole module with a kernel `k`. Aborts with the message if it does not parse. */
const struct ptx_kernel *rig_module(struct arena *a, const char *text);

/* Runs k on grid x block (one-dimensional) with the addresses of buffers as parameters. */
struct simt_result rig_run(struct simt *s, struct simt_mem *m, const struct ptx_kernel *k,
                           uint32_t grid, uint32_t block, const uint64_t *buffers,
                           const struct simt_run_options *options);
/* A zeroed buffer. */
uint64_t rig_buffer(struct simt_mem *m, uint64_t bytes);

/* The kinds of steps that this machine can run: portable first, NULL last. */
extern const struct lanes *const rig_lanes[];

#endif
