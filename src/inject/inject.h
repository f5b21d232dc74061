/* A fault -> a hook on simt. Knows where (site) and what (flip); nothing of campaigns. What the words mean
 * is in docs/CAMPAIGNS.md. */
#ifndef INJECT_INJECT_H
#define INJECT_INJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "ptx/liveness.h"
#include "ptx/ptx.h"
#include "simt/simt.h"
#include "vocab/vocab.h"

/* Which dynamic instructions count: those the hardware has, or all of the PTX. */
enum population { POPULATION_MACHINE, POPULATION_PTX };

/* How sites are drawn from the population: each on its own; from each launch and group its share; several of one
 * CTA at a time; no fault twice; or not at all: every bit of every site. */
enum sampling {
    SAMPLING_PLAIN,
    SAMPLING_STRATIFIED,
    SAMPLING_CLUSTERED,
    SAMPLING_DISTINCT,
    SAMPLING_EXHAUSTIVE
};

struct fault_kind {
    enum where where;
    enum flip flip;
    enum scope scope;
    enum population population;
    enum moment moment; /* of memory cells */
    bool has_arg;       /* the flip's: its bit, or how many */
    uint32_t arg;
    /* Filters, which narrow the population. */
    const char *kernel; /* NULL: any; n_kernel bytes, borrowed from the text that was parsed */
    uint32_t n_kernel;
    bool has_launch;
    uint32_t launch;
    int first_line, last_line; /* of the kernel's source; 0: any */
    enum sampling sampling;
    uint32_t cluster; /* faults of one CTA, 2 or more */
};
/* "WHERE[@MOMENT][:FLIP[=N]][:SCOPE][:kernel=NAME][:launch=N][:line=A[-B]][:strata|:cluster=N|:distinct=N|:exhaustive]"; parts may be left out. The result
 * borrows from text. ERR_INPUT lists the words, or says why a combination makes no sense. */
int fault_kind_parse(struct fault_kind *out, const char *text, struct diag *d);
int fault_kind_check(const struct fault_kind *k, struct diag *d);
enum { FAULT_KIND_TEXT = 512 };
void fault_kind_print(char out[static FAULT_KIND_TEXT], const struct fault_kind *k);

static inline bool kind_is_value(const struct fault_kind *k)
{
    return k->where < (enum where)N_GROUPS;
}
static inline bool kind_is_cell(const struct fault_kind *k) { return k->where > WHERE_ADDRESS; }
static inline bool kind_is_global(const struct fault_kind *k) { return k->where >= WHERE_GLOBAL; }
static inline bool kind_is_stuck(const struct fault_kind *k)
{
    return k->flip == FLIP_STUCK_AT_0 || k->flip == FLIP_STUCK_AT_1;
}

/* Single bits of results, one thread, the bit not given: what can be exhausted. */
static inline bool fault_has_bits(const struct fault_kind *k)
{
    return kind_is_value(k) && k->flip == FLIP_SINGLE_BIT && !k->has_arg &&
           k->scope == SCOPE_THREAD;
}

/* How many equally likely faults strike a site, when the flip leaves only so many: 64 that choose one of its bits
 * (widths divide 64), or 1. 0: they are without end, as random values are. */
uint64_t fault_variants(const struct fault_kind *k);

/* A site is the nth (from 0) that a CTA has. Results and addresses: in the order of execution, lanes
 * ascending within a warp instruction, destination registers of a vector load fastest. Cells: instants
 * in order, the cells of each instant (inject_space) fastest. Before a launch: the words, cta is 0. */
struct fault {
    struct fault_kind kind;
    uint32_t launch;
    uint64_t cta, nth;
    uint64_t draw[2]; /* uniform bits: [0] chooses the bits, [1] is the random value */
};

/* What a fault did: enough to tell its story and to check a replay. */
struct strike {
    bool landed;                    /* the site was reached (always, if it came from the profile) */
    uint32_t insn, warp, lane, reg; /* cells: the instruction about to be issued; reg: which
                                       destination of a vector load */
    uint32_t lanes;                 /* lanes changed */
    int bits;                       /* width of what was struck */
    bool has_cell;                  /* false: an address, or a register that holds nothing live */
    uint64_t
        cell; /* register: its number in the kernel; index: enum ptx_special; memory: the address */
    uint64_t before, after; /* of the lane chosen */
    uint64_t issued;        /* warp instructions the CTA had issued */
};

/* What a launch offers to faults of a kind. */
struct inject_space {
    const uint8_t
        *targets; /* by instruction: sites per lane; of cells: 1 if the instant before it counts */
    const uint16_t *bits; /* by instruction: bits of all its sites in a lane */
    uint64_t cells;       /* at an instant, or before the launch; 0 for results and addresses */
    int cell_bits;
    uint32_t n_threads, per_thread; /* registers: threads of a CTA, cells of each */
    struct ptx_live_sets live;
    size_t n_ranges; /* memory: the words are those of these ranges, one after another */
    struct inject_range {
        uint64_t address, words;
    } * ranges;
};
void inject_space_init(struct inject_space *s, struct arena *a, const struct simt_program *p,
                       size_t launch, const struct fault_kind *k);
/* 32-bit registers that hardware holds for each thread: those live at once, rounded up to the 8 that it
 * allocates at a time. */
uint32_t inject_registers(const struct ptx_kernel *kernel);

/* Number of destination registers of instruction i that belong to the population of k: 0 if none. */
int inject_targets(const struct ptx_kernel *kernel, size_t insn, const struct fault_kind *k);
/* The value with the flip applied, in one of the lanes struck. */
uint64_t inject_flip(const struct fault *f, uint64_t value, int bits, int lane);

struct injector; /* the state behind the hook */
struct injector *injector_new(void);
void injector_free(struct injector *);
/* A hook that applies f when the struck CTA runs and then detaches. Valid until the next call. The
 * caller gives it to simt_run for that CTA only. For MOMENT_LAUNCH there is none: injector_before_launch. */
struct simt_hook injector_arm(struct injector *, const struct simt_program *p,
                              const struct fault *f);
/* A cell in one thread that holds nothing live, or what the flip makes of it anyway, changes nothing: then the run
 * stops soon after (as a trap), and injector_idle says that it would have gone on as without a fault. */
void injector_stop_idle(struct injector *);
bool injector_idle(const struct injector *);
/* The run begins where so many sites of the CTA have passed, before that of the armed fault. */
void injector_skip(struct injector *, uint64_t sites);
void injector_before_launch(struct injector *, const struct simt_program *p, const struct fault *f,
                            struct simt_mem *m);
const struct strike *injector_strike(const struct injector *);
/* Of a strike on register or predicate cells: the register changed in each lane of the struck warp, or -1. */
const int32_t *injector_registers(const struct injector *);

#endif
