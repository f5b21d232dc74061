/* Inside of the concurrent engine: many faulty machines beside one fault-free run of a CTA, each only as
 * its differences from it. Registers: for each warp and register a list of (machine, lane, value);
 * memory: for each word a list of (machine, value). Both ascend by machine. */
#ifndef CAMPAIGN_CONCURRENT_H
#define CAMPAIGN_CONCURRENT_H

#include "campaign/priv.h"
#include "ptx/liveness.h"
#include "simt/mem.h"
#include "simt/priv.h"

/* ---- entries.c: differing lanes of a register --------------------------------------------------- */
struct entries {
    uint32_t n, room;
    uint32_t *key;   /* machine << 5 | lane, ascending */
    uint64_t *value; /* the machine's */
};
static inline uint32_t key_of(uint32_t machine, int lane) { return machine << 5 | (uint32_t)lane; }
static inline uint32_t key_machine(uint32_t key) { return key >> 5; }
static inline int key_lane(uint32_t key) { return (int)(key & 31); }

void entries_reserve(struct entries *e, uint32_t n);
void entries_push(struct entries *e, uint32_t key, uint64_t value);
void entries_fini(struct entries *e);
/* First entry whose key is at least this. */
uint32_t entries_find(const struct entries *e, uint32_t key);
/* to = those of `from` in these lanes. */
void entries_filter(struct entries *to, const struct entries *from, uint32_t lanes);
/* Drop those in these lanes. */
void entries_drop(struct entries *e, uint32_t lanes);
/* to = a and b; where both have a key, b's. */
void entries_merge(struct entries *to, const struct entries *a, const struct entries *b);
/* Pushed in runs that ascend -> ascending. */
void entries_sort(struct entries *e, struct entries *scratch);
void entries_swap(struct entries *a, struct entries *b);

/* ---- words.c: differing words of a memory -------------------------------------------------------- */
struct machine_word {
    uint32_t machine, value;
};
struct cell {
    uint32_t n, room;
    bool listed; /* in dirty */
    struct machine_word *v;
};
struct words {
    struct cell **page; /* WORDS_PER_PAGE each, made when needed */
    size_t n_pages;
    uint32_t *dirty; /* words that have or had differences */
    size_t n_dirty, dirty_room;
};
enum { WORDS_PER_PAGE = 256 };
void words_init(struct words *w, uint64_t bytes);
void words_fini(struct words *w);
void words_clear(struct words *w);
/* The word's list, or NULL if it never had one. */
static inline struct cell *words_at(const struct words *w, uint32_t index)
{
    struct cell *page = w->page[index / WORDS_PER_PAGE];
    return page ? &page[index % WORDS_PER_PAGE] : NULL;
}
const struct machine_word *word_find(const struct cell *w, uint32_t machine);
/* The machine sees value there, and the fault-free run sees golden. */
void words_set(struct words *w, uint32_t index, uint32_t machine, uint32_t value, uint32_t golden);
/* Replace a word's list. */
void words_replace(struct words *w, uint32_t index, const struct machine_word *v, uint32_t n);

/* ---- plan.c: what an instruction means to the engine ---------------------------------------------- */
enum plan_kind { PLAN_NONE, PLAN_LANES, PLAN_LOAD, PLAN_STORE, PLAN_BRANCH, PLAN_BARRIER };
struct row { /* a register's lanes in the register file */
    uint32_t reg, slot;
    uint8_t bits;
};
struct plan {
    enum plan_kind kind;
    uint8_t targets; /* sites per lane */
    uint8_t n_src, n_fixed, n_dst;
    struct row src[4];   /* registers read; stores: the values */
    struct row fixed[4]; /* special registers read */
    struct row dst[4];   /* that are kept */
    bool shared;         /* memory: which */
    bool has_base;
    struct row base;
    uint64_t offset;     /* to add to the base */
    uint8_t elements, words; /* memory: elements, and 32-bit words of each */
    uint32_t value[4][2];    /* stores of constants: their words; src[k].bits is 0 */
};
/* Everything of a kernel. NULL if the engine does not do it. */
struct plans {
    struct arena arena;
    const struct ptx_kernel *kernel;
    const struct program *program;
    struct plan *plan;
    struct ptx_liveness live;
};
bool plans_supported(const struct ptx_kernel *k);
struct plans *plans_new(const struct ptx_kernel *k, const struct program *p,
                        const struct fault_kind *kind);
void plans_free(struct plans *p);

static inline uint64_t row_get(const uint8_t *regs, const struct row *r, int lane)
{
    const void *at = regs + r->slot;
    switch (r->bits) {
    case 1: return *(const uint32_t *)at >> lane & 1;
    case 16: return ((const uint16_t *)at)[lane];
    case 32: return ((const uint32_t *)at)[lane];
    default: return ((const uint64_t *)at)[lane];
    }
}
static inline void row_set(uint8_t *regs, const struct row *r, int lane, uint64_t v)
{
    simt_lane_set(&(struct simt_reg){r->bits, regs + r->slot}, lane, v);
}

/* ---- The pass ----------------------------------------------------------------------------------- */
enum machine_state {
    MACHINE_WAITING, /* not struck yet */
    MACHINE_ACTIVE,
    MACHINE_AWAY,    /* took another way than the fault-free run, see detour.c */
    MACHINE_TRAPPED,
    MACHINE_EVICTED, /* to be run alone */
};
struct machine {
    uint8_t state;
    int64_t excess; /* warp instructions issued more than the fault-free run */
    struct strike strike;
    struct simt_trap trap;
};

struct reg_record {
    uint32_t reg;
    int lane;
    uint64_t value;
};
struct word_record {
    bool shared;
    uint32_t index, value;
};
/* What a machine's detour left: where it differs from the fault-free run at the branch. */
struct away {
    uint32_t machine, lanes;
    uint64_t issued;
    size_t first_reg, n_regs, first_word, n_words;
};
/* Machines that left the fault-free run at one branch. */
struct party {
    struct warp *w;
    uint32_t mask, meet;
    uint8_t *snapshot; /* registers at the branch */
    struct away *away;
    size_t n_away, away_room;
    struct reg_record *regs;
    size_t n_regs, regs_room;
    struct word_record *words;
    size_t n_words, words_room;
};

struct concurrent {
    const struct simt_program *program;
    const struct golden *golden;
    struct simt *simt;
    const uint64_t *limits;
    struct replay *replay;
    struct simt_mem *live, *spare; /* the run's memory; a copy for detours */
    struct plans *plans;

    size_t position;
    const struct fault *const *faults; /* ascending nth */
    uint32_t n_machines, n_struck;
    struct machine *machine;
    size_t machine_room;
    uint64_t sites; /* passed in this CTA */

    struct entries *list; /* [warp * n_regs + register] */
    size_t n_lists;
    struct words shared, global;
    uint64_t shared_bytes;
    uint8_t *scratch; /* a register file to evaluate in */
    size_t scratch_bytes;
    struct warp *scratch_warp;
    struct entries tmp[6];
    uint32_t lost; /* machines trapped or evicted since the lists were purged */

    struct { /* the instruction that has started: its results are compared when it is over */
        const struct plan *plan;
        struct warp *w;
        uint32_t insn, mask;
        uint64_t issued, sites;
        bool evaluated;
        struct entries result[4];
    } now;

    struct arena store_arena; /* while a store is looked at */
    struct party **groups;
    size_t n_groups, groups_room;
    uint8_t *detour_regs, *detour_shared;
    struct warp *detour_warp;
};

static inline struct entries *list_of(const struct concurrent *c, const struct warp *w, uint32_t reg)
{
    return &c->list[(size_t)w->index * c->plans->kernel->n_regs + reg];
}
static inline uint64_t issued_before(const struct warp *w, uint32_t insn)
{
    return w->cta->issued + (uint64_t)((int64_t)insn - (int64_t)w->started_at);
}
void machine_trap(struct concurrent *c, uint32_t machine, const struct warp *w, uint32_t insn,
                  enum trap_kind kind, int lane, uint64_t address);
void machine_evict(struct concurrent *c, uint32_t machine);

/* access.c */
void access_load(struct concurrent *c, struct warp *w, uint32_t insn, const struct plan *p);
void access_store(struct concurrent *c, struct warp *w, uint32_t insn, const struct plan *p);
uint32_t *golden_word(const struct warp *w, bool shared, uint32_t index);

/* detour.c */
void detour_diverge(struct concurrent *c, struct warp *w, uint32_t insn, const struct plan *p);
/* Before insn of w: machines that the fault-free run has caught up with join it. */
void detour_rejoin(struct concurrent *c, const struct warp *w, uint32_t insn);
/* The fault-free warp comes to a barrier. */
void detour_barrier(struct concurrent *c, const struct warp *w);
void detour_end(struct concurrent *c); /* of the CTA */

/* replay.c, for this engine */
struct simt_mem *replay_memory(struct replay *r, bool bad);
void replay_move_to(struct replay *r, size_t position);
/* Both memories have become the golden ones after the CTA at the position. */
void replay_moved(struct replay *r);
/* The CTA before the position left these words different; ascending. */
void replay_from_words(struct replay *r, const struct machine_word *words, size_t n,
                       struct experiment_result *out);

#endif
