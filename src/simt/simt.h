/* Module + buffers + launch -> buffers, or a trap. A warp is 32 lanes in lockstep; divergence is an
 * active mask with reconvergence at immediate post-dominators; CTAs run one after another in linear
 * order (x fastest), their warps round-robin between barriers. Knows nothing of faults: those are a
 * hook. Facts and sources: docs/SIMT.md. */
#ifndef SIMT_SIMT_H
#define SIMT_SIMT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "ptx/ptx.h"
#include "vocab/vocab.h"

enum { SIMT_LANES = 32 };

/* ---- Global memory -------------------------------------------------------------------------
 * Buffers packed at 512-byte alignment into pages of 2 MiB, at addresses typical of real ones
 * (0x7f...). Inside a mapped page every access succeeds; outside it is an illegal address. */
struct simt_mem;

struct simt_mem_options {
    uint64_t page_bytes;  /* 0: 2 MiB */
    uint64_t align_bytes; /* 0: 512 */
};

struct simt_mem *simt_mem_new(const struct simt_mem_options *options); /* options may be NULL */
void simt_mem_free(struct simt_mem *m);
/* A new zeroed buffer of bytes > 0. ERR_INPUT beyond 16 GiB in all. */
int simt_mem_alloc(struct simt_mem *m, uint64_t bytes, uint64_t *address, struct diag *d);
/* Host access; the range must lie in mapped pages (assert). */
void simt_mem_write(struct simt_mem *m, uint64_t address, const void *bytes, size_t n);
void simt_mem_read(const struct simt_mem *m, uint64_t address, void *bytes, size_t n);
/* The whole mapped range, for comparing: host bytes of [base, base + size). Writes through data are
 * not tracked: use simt_mem_write. */
struct simt_mem_view {
    uint64_t base, size;
    const uint8_t *data;
};
struct simt_mem_view simt_mem_view(const struct simt_mem *m);
/* A copy with its own bytes, equal in layout and content. */
struct simt_mem *simt_mem_clone(const struct simt_mem *m);
/* Make dst, a clone of src or of one with the same layout, equal to src again. Costs what dst or src
 * has changed since the two were last equal through clone or restore with `since`-tracking: chunks
 * of SIMT_CHUNK bytes written since then are copied, no others. src must not have changed since the
 * clone; dst forgets its written chunks. */
void simt_mem_restore(struct simt_mem *dst, const struct simt_mem *src);
/* The chunks written (by simulated stores or simt_mem_write) since the clone or last restore: one
 * bit per SIMT_CHUNK bytes of the view, n_words words. */
enum { SIMT_CHUNK = 1024 };
const uint64_t *simt_mem_written(const struct simt_mem *m, size_t *n_words);
/* Forget the written chunks without copying anything. */
void simt_mem_forget(struct simt_mem *m);
/* The bytes of the view, for a caller that writes them without tracking. */
uint8_t *simt_mem_data(struct simt_mem *m);

/* ---- Launches -------------------------------------------------------------------------------- */
struct simt_launch {
    const struct ptx_kernel *kernel;
    uint32_t grid[3], block[3];
    uint32_t dynamic_shared; /* bytes beyond the kernel's static shared memory */
    const uint8_t *params;   /* ptx_params_bytes(kernel) bytes */
    uint64_t globals;        /* where the variables of the kernel's module are: simt_load_globals */
    const char *label;       /* "input-transform", for reports; borrowed */
};
uint64_t simt_n_ctas(const struct simt_launch *l);
/* A place in m for the module-scope variables of k's module, with their initial values: for
 * simt_launch.globals of all kernels of that module. 0 if it has none. */
int simt_load_globals(struct simt_mem *m, const struct ptx_kernel *k, uint64_t *address,
                      struct diag *d);

/* A buffer of global memory, and what it is to the program. */
struct simt_buffer {
    const char *name;
    enum role role;
    bool compared; /* part of the result that an outcome is about */
    uint64_t address, bytes;
};

/* Everything needed to run a computation and look at its result. The memory holds the inputs. */
struct simt_program {
    struct simt_mem *mem;
    size_t n_launches;
    const struct simt_launch *launches;
    uint64_t out_address; /* the output buffer */
    uint64_t out_bytes;
    enum tensor_layout out_layout; /* of its elements, if it is a tensor of 4 dimensions */
    size_t n_buffers;              /* all of them, the output too */
    const struct simt_buffer *buffers;
};

/* Why and where the simulated program stopped. A result, never a failure of Sievert. */
struct simt_trap {
    enum trap_kind kind; /* TRAP_NONE: ran to the end */
    uint64_t cta;
    uint32_t warp, lane, insn; /* insn: index into the kernel */
    uint64_t address;          /* for the address traps */
    struct loc at;             /* place in the PTX */
};

/* ---- Hooks: how profiles, traces and faults see and change the run ------------------------------ */
struct simt_reg { /* one destination register of the instruction that just ran, all 32 lanes */
    int bits;     /* 1 (predicate), 16, 32 or 64 */
    void *lanes;  /* opaque: use simt_lane_get and _set */
};
struct simt_step { /* one warp instruction, right after it executed and wrote its results */
    const struct ptx_kernel *kernel;
    uint32_t insn; /* index into the kernel */
    uint64_t cta;
    uint32_t warp;
    uint32_t mask;   /* lanes that executed it: active and not predicated off */
    uint64_t issued; /* warp instructions this CTA issued before this one */
    int n_dst;
    struct simt_reg dst[4];
};
uint64_t simt_lane_get(const struct simt_reg *r, int lane);
void simt_lane_set(const struct simt_reg *r, int lane, uint64_t value); /* truncated to bits */

struct simt_access {      /* one global-memory access of a warp */
    bool store;           /* atomics report a load and a store */
    uint32_t mask, bytes; /* bytes per lane, at address[lane] */
    uint64_t address[SIMT_LANES];
};

struct warp;
struct simt_hook {
    void *ctx;
    /* After each warp instruction with a non-empty mask. Returns false to be called no more in this
     * CTA (the rest of the CTA then runs at plain speed). May be NULL. */
    bool (*step)(void *ctx, const struct simt_step *step);
    /* Each global access, before it happens, in bounds only. May be NULL. */
    void (*access)(void *ctx, const struct simt_access *access);
    /* Before CTA number cta starts. May be NULL. */
    void (*cta_begin)(void *ctx, uint64_t cta);
    /* After it ended without a trap, with the warp instructions it issued. May be NULL. */
    void (*cta_end)(void *ctx, uint64_t cta, uint64_t issued);
    /* Before each warp instruction, whatever its guard, for engines that know simt/priv.h: the
     * registers and memory of w are as the instruction will find them. May be NULL. */
    void (*watch)(void *ctx, struct warp *w, uint32_t insn);
    /* watch may change registers, so no step may rely on what an earlier one read. */
    bool watch_changes;
};

/* ---- Running --------------------------------------------------------------------------------- */
struct simt; /* the state of one simulated processor: registers, shared memory. One per thread. */
struct simt *simt_new(void);
void simt_free(struct simt *s);

struct simt_run_options {
    /* Warp instructions CTA c may issue before TRAP_HANG: limit[c - first], or the same for all. */
    const uint64_t *cta_limit;    /* NULL: limit for all */
    uint64_t limit;               /* 0: 2^40 */
    const struct simt_hook *hook; /* NULL: plain, fast */
};
struct simt_counts {
    uint64_t warp_insns, thread_insns;
};
struct simt_result {
    struct simt_trap trap;
    struct simt_counts counts;
};

/* Check that a launch can run at all (block size, parameters): ERR_INPUT says why not. */
int simt_check_launch(const struct simt_launch *l, struct diag *d);

/* Run CTAs [first, first + n) of a checked launch on m; all: first 0, n simt_n_ctas(l). Stops at the
 * first trap, with memory as it was then. */
void simt_run(struct simt *s, struct simt_mem *m, const struct simt_launch *l, uint64_t first,
              uint64_t n, const struct simt_run_options *options, struct simt_result *result);
/* OK, or after a trap ERR_INPUT that says where: for runs without faults. */
int simt_must_end(const struct simt_launch *l, const struct simt_result *r, struct diag *d);

#endif
