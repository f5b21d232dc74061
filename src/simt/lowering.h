/* What the files that make threaded code share: lower.c (instructions to steps), places.c (registers and
 * constants to places), fuse.c (several steps to one). */
#ifndef SIMT_LOWERING_H
#define SIMT_LOWERING_H

#include "ptx/liveness.h"
#include "simt/priv.h"

enum { N_TEMPS = 8, TEMP_BYTES = 8 * SIMT_LANES, N_ADDRESSES = 8 };

struct constant {
    uint64_t value;
    int bits;
    uint32_t slot;
};

/* FMAs that may become part of a block: fuse.c. */
struct fma_group {
    uint32_t first, rows, cols; /* first: instruction */
    bool chained;               /* goes on from the group before it */
    bool goes_on;               /* and in the same block */
    bool closed;                /* no group can go on from it */
};

struct lowering {
    const struct ptx_kernel *k;
    const struct lanes *lanes;
    struct program *p;
    struct arena scratch;
    struct ptx_liveness live;
    struct fma_group *groups; /* in order */
    size_t n_groups;
    uint32_t temps; /* slot of the first temporary */
    uint32_t carry; /* slot of the carry bits */
    struct constant *constants;
    size_t n_constants, max_constants;
    struct code *code; /* being written */
    size_t n_code, max_code;
    enum code_variant variant;
    bool hooked; /* some hook is called: control instructions all return to the scheduler */
    uint32_t insn;
    uint32_t n_symbols;                 /* of this instruction, in temporaries of their own */
    uint32_t addresses;                 /* slot of the first struct address */
    uint32_t address_base[N_ADDRESSES]; /* the base register's slot each was made from, or 0 */
    size_t next_address;
};

/* ---- places.c ---- */
/* Places for all registers and temporaries of the kernel. */
void place_registers(struct lowering *x);
/* A place for the value in all lanes; equal ones share it. */
uint32_t place_constant(struct lowering *x, uint64_t value, int bits);
uint32_t place_special(struct lowering *x, uint32_t index);
static inline uint32_t temp(const struct lowering *x, int n)
{
    return x->temps + (uint32_t)n * TEMP_BYTES;
}
/* The register file as a CTA finds it: constants in place. */
void place_image(struct lowering *x);

/* ---- lower.c ---- */
enum stop_kind lower_stop_kind(const struct ptx_insn *i);

/* ---- fuse.c ---- */
/* Groups of FMAs that make blocks; what they load gets longer lives, so that their loads can come first.
 * Before the registers get places. */
void fuse_find_groups(struct lowering *x);
/* Steps that stand for several: entry has the unit of each instruction. */
void fuse_steps(struct lowering *x, const size_t *entry);

#endif
