/* A fault -> a hook on simt. Knows where (site) and what (flip); nothing of campaigns. */
#ifndef INJECT_INJECT_H
#define INJECT_INJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "ptx/ptx.h"
#include "simt/simt.h"
#include "vocab/vocab.h"

/* Which dynamic instructions count: those the hardware has, or all of the PTX. */
enum population { POPULATION_MACHINE, POPULATION_PTX };

struct fault_kind {
    enum group group;
    enum flip flip;
    enum scope scope;
    enum population population;
};
/* "gp:single-bit:thread"; trailing parts may be left out. ERR_INPUT lists the words. */
int fault_kind_parse(struct fault_kind *out, const char *text, struct diag *d);
void fault_kind_print(char out[static 64], const struct fault_kind *k);

/* A site is one dynamic thread instruction of the group: the nth (from 0) that the CTA executes, in
 * the order of execution, lanes ascending within a warp instruction. Vector loads count once per
 * destination register, registers fastest. */
struct fault {
    struct fault_kind kind;
    uint32_t launch;
    uint64_t cta, nth;
    uint64_t draw[2]; /* uniform bits: [0] chooses the bit, [1] is the random value */
};

/* What a fault did: enough to tell its story and to check a replay. */
struct strike {
    bool landed;     /* the site was reached (always, if it came from the profile) */
    uint32_t insn, warp, lane, reg; /* reg: which destination of a vector load */
    uint32_t lanes;  /* lanes changed */
    int bits;        /* register width */
    uint64_t before, after; /* of the lane chosen */
    uint64_t issued; /* warp instructions the CTA had issued */
};

/* Number of destination registers of instruction i that belong to the population of k: 0 if none. */
int inject_targets(const struct ptx_kernel *kernel, size_t insn, const struct fault_kind *k);
/* The value with the flip applied. */
uint64_t inject_flip(enum flip flip, uint64_t value, int bits, const uint64_t draw[2]);

struct injector; /* the state behind the hook */
struct injector *injector_new(void);
void injector_free(struct injector *);
/* A hook that applies f when the struck CTA runs and then detaches. Valid until the next call. The
 * caller gives it to simt_run for that CTA only. */
struct simt_hook injector_arm(struct injector *, const struct ptx_kernel *kernel,
                              const struct fault *f);
const struct strike *injector_strike(const struct injector *);

#endif
