/* Inside of the concurrent engine: many faulty machines beside one fault-free run of a CTA, each
 * only as its differences from it. Registers: for each warp and register a list of (machine, lane,
 * value); memory: for each word a list of (machine, value). Both ascend by machine, and hold only
 * what differs.
 *
 * What an instruction does to the lists is done before the fault-free run executes it, except the
 * strike itself. A machine or a lane of it that cannot be carried goes, in this order of cost:
 * stray.c (lanes that branch otherwise around code without side effects), detour.c (a warp alone to
 * where the branch's ways meet), fork.c (the rest of the CTA alone), replay.c (the CTA alone). */
#ifndef CAMPAIGN_CONCURRENT_H
#define CAMPAIGN_CONCURRENT_H

#include "campaign/priv.h"
#include "ptx/liveness.h"
#include "simt/mem.h"
#include "simt/priv.h"

/* ---- entries.c: differing lanes of a register ---------------------------------------------------
 */
struct entries {
    uint32_t n, room;
    bool wide;     /* values are uint64_t: of 64-bit registers; otherwise uint32_t */
    uint32_t *key; /* machine << 5 | lane, ascending */
    void *value;   /* the machine's */
};
static inline uint32_t key_of(uint32_t machine, int lane) { return machine << 5 | (uint32_t)lane; }
static inline uint32_t key_machine(uint32_t key) { return key >> 5; }
static inline int key_lane(uint32_t key) { return (int)(key & 31); }

static inline uint64_t entries_get(const struct entries *e, uint32_t i)
{
    return e->wide ? ((const uint64_t *)e->value)[i] : ((const uint32_t *)e->value)[i];
}
static inline void entries_put(struct entries *e, uint32_t i, uint64_t v)
{
    if (e->wide)
        ((uint64_t *)e->value)[i] = v;
    else
        ((uint32_t *)e->value)[i] = (uint32_t)v;
}
void entries_reserve(struct entries *e, uint32_t n);
static inline void entries_push(struct entries *e, uint32_t key, uint64_t value)
{
    if (e->n >= e->room)
        entries_reserve(e, e->n + 1);
    e->key[e->n] = key;
    entries_put(e, e->n++, value);
}
void entries_fini(struct entries *e);
/* First entry whose key is at least this; entries_seek: from `from` on, quick if it is near. */
uint32_t entries_find(const struct entries *e, uint32_t key);
uint32_t entries_seek(const struct entries *e, uint32_t key, uint32_t from);
/* to = those of `from` in these lanes. */
void entries_filter(struct entries *to, const struct entries *from, uint32_t lanes);
/* Drop those in these lanes. */
void entries_drop(struct entries *e, uint32_t lanes);
/* Drop those with these keys, ascending. */
void entries_remove(struct entries *e, const uint32_t *keys, uint32_t n);
/* to = a and b; where both have a key, b's. */
void entries_merge(struct entries *to, const struct entries *a, const struct entries *b);
/* Put into e some of which it has none. */
void entries_insert(struct entries *e, const struct entries *few);
/* Pushed in runs that ascend -> ascending. */
void entries_sort(struct entries *e, struct entries *scratch);
void entries_swap(struct entries *a, struct entries *b);

/* ---- words.c: differing words of a memory
 * -------------------------------------------------------- */
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
    size_t n_full;  /* words that have differences */
    uint64_t *full; /* a bit for each */
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
/* Append to an ascending list. */
void words_push(struct words *w, uint32_t index, uint32_t machine, uint32_t value);
/* Only the first n of its list stay. */
void words_keep(struct words *w, uint32_t index, uint32_t n);
/* Replace a word's list. */
void words_replace(struct words *w, uint32_t index, const struct machine_word *v, uint32_t n);

/* ---- plan.c: what an instruction means to the engine
 * ---------------------------------------------- */
enum plan_kind {
    PLAN_NOTHING, /* control without a guard */
    PLAN_LANES,   /* lane by lane, registers to registers */
    PLAN_FMA,     /* the same: a plain fma.rn.f32 of three different registers or constants */
    PLAN_LOAD,
    PLAN_STORE,
    PLAN_BRANCH,
    PLAN_BARRIER,
    PLAN_HARD, /* machines that take part in it with a difference are forked */
};
struct row { /* a register's lanes in the register file */
    uint32_t reg, slot;
    uint8_t bits;
};
/* The instructions between a branch and where its ways meet. */
struct region {
    bool passive;  /* no barrier, no atomics, no look at other lanes, no end of threads */
    bool simple;   /* no stores either */
    bool loads[2]; /* global, shared memory */
    size_t n_use, n_fixed, n_def;
    const struct row *use, *fixed,
        *def;            /* live before it and touched; special registers; written */
    const bool *live;    /* def: at the meeting point */
    struct hangs *hangs; /* hang.c; made when needed */
};
struct plan {
    enum plan_kind kind;
    uint8_t targets; /* sites per lane */
    uint8_t n_src, n_fixed, n_dst, n_reads;
    bool guarded, guard_negated;
    uint8_t which[4];    /* PLAN_FMA: the operand that each source is */
    uint32_t reads[7];   /* registers whose differences concern it */
    struct row src[5];   /* registers read; stores: the values */
    struct row fixed[4]; /* special registers read */
    struct row dst[4];   /* that are kept */
    struct row guard;
    bool shared;             /* memory: which */
    bool has_base, variable; /* the address of a variable of the module is to be added */
    struct row base;
    uint64_t offset;         /* to add to the base */
    uint8_t elements, words; /* memory: elements, and 32-bit words of each */
    uint32_t value[4][2];    /* stores of constants: their words; src[k].bits is 0 */
    struct region region;    /* branches with a guard */
};
/* Everything of a kernel. The carry bits are a register, the one after the kernel's own. */
struct plans {
    struct arena arena;
    const struct ptx_kernel *kernel;
    const struct program *program;
    size_t n_regs;
    struct plan *plan;
    struct ptx_live_sets live;
};
bool plans_supported(const struct ptx_kernel *k);
struct plans *plans_new(const struct ptx_kernel *k, const struct program *p,
                        const struct fault_kind *kind);
void plans_free(struct plans *p);
struct row plans_row(const struct plans *p, uint32_t reg);
/* May instruction insn or a later one read what the register holds before insn runs? */
static inline bool plans_live(const struct plans *p, uint32_t reg, uint32_t insn)
{
    return reg >= p->kernel->n_regs ||
           (insn < p->kernel->n_insns && ptx_is_live(&p->live, insn, reg));
}

static inline uint64_t row_get(const uint8_t *regs, const struct row *r, int lane)
{
    const void *at = regs + r->slot;
    switch (r->bits) {
    case 1:
        return *(const uint32_t *)at >> lane & 1;
    case 16:
        return ((const uint16_t *)at)[lane];
    case 32:
        return ((const uint32_t *)at)[lane];
    default:
        return ((const uint64_t *)at)[lane];
    }
}
static inline void row_set(uint8_t *regs, const struct row *r, int lane, uint64_t v)
{
    simt_lane_set(&(struct simt_reg){r->bits, regs + r->slot}, lane, v);
}
static inline size_t row_bytes(const struct row *r)
{
    return r->bits == 1 ? 4 : (size_t)r->bits / 8 * SIMT_LANES;
}

/* ---- The pass -----------------------------------------------------------------------------------
 */
enum machine_state {
    MACHINE_WAITING, /* not struck yet */
    MACHINE_ACTIVE,
    MACHINE_AWAY, /* one of its warps is on a detour */
    MACHINE_TRAPPED,
    MACHINE_FORKED,  /* has run to the end of the CTA alone */
    MACHINE_EVICTED, /* to be replayed alone */
};
struct machine {
    uint32_t fault; /* which of the caller's */
    uint8_t bit;    /* if it stands for one of all bits */
    uint8_t state;
    bool differs[2];     /* global, shared memory: ever */
    uint32_t n_strays;   /* lanes away */
    int64_t least, most; /* warp instructions issued more than the fault-free run: between these */
    struct strike strike;
    struct simt_trap trap;
    size_t first_word, n_words; /* forked: what differs, in c->forked */
    uint64_t issued;            /* alone: the cost */
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
    int64_t issued; /* on the way */
    size_t first_reg, n_regs, first_word, n_words;
};
/* Lanes of machines on their way from a branch to where its ways meet. */
struct strays {
    uint32_t n, room;
    uint32_t *key;   /* ascending */
    uint64_t *count; /* warp instructions that each took part in */
    uint64_t *value; /* [n_def][room]: what it has in the registers that the region writes */
};
/* Machines and lanes that left the fault-free run at one branch. */
struct party {
    struct warp *w;
    uint32_t branch, mask, meet;
    uint64_t issued; /* by the fault-free run before the branch */
    struct strays strays;
    uint8_t *snapshot; /* registers at the branch; NULL if no machine is away */
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
    struct simt *simt, *fork;
    const struct lists *lists;
    const uint64_t *limits;
    struct replay *replay;
    struct simt_mem *live, *spare; /* the run's memory; a copy for detours and forks */
    size_t memory_at;              /* position before which these are */
    struct plans *plans;

    size_t position;
    const struct fault *const *faults; /* ascending nth */
    bool all_bits;                     /* of each site, a machine for each */
    uint32_t n_faults, next_fault;
    uint32_t n_machines; /* struck */
    struct machine *machine;
    size_t machine_room;
    uint64_t sites, next_site; /* passed in this CTA; of the next fault, or UINT64_MAX */

    struct entries *list; /* [warp * plans->n_regs + register] */
    size_t n_lists;
    struct words shared, global;
    uint64_t shared_bytes;
    uint8_t *scratch, *stray_regs; /* register files to evaluate in */
    struct warp *scratch_warp;
    struct entries tmp[6], filtered[5], result[4], extra[4];
    uint8_t *golden_row[4];
    uint32_t lost; /* machines gone since the lists were purged */

    struct { /* the instruction that has started and will be struck when it is over */
        const struct plan *plan;
        struct warp *w;
        uint32_t insn, mask;
        uint64_t issued, sites;
    } now;

    struct arena store_arena; /* while a store is looked at */
    struct party **groups;
    size_t n_groups, groups_room, n_open_ends; /* of these: ways that meet nowhere */
    uint8_t *detour_regs, *detour_shared;
    struct warp *detour_warp, *stray_warp;
    struct machine_word *forked; /* machine: the word's index */
    size_t n_forked, forked_room;
};

static inline struct entries *list_of(const struct concurrent *c, const struct warp *w,
                                      uint32_t reg)
{
    return &c->list[(size_t)w->index * c->plans->n_regs + reg];
}
static inline uint64_t issued_before(const struct warp *w, uint32_t insn)
{
    return w->cta->issued + (uint64_t)((int64_t)insn - (int64_t)w->started_at);
}
static inline bool is_active(const struct concurrent *c, uint32_t machine)
{
    return c->machine[machine].state == MACHINE_ACTIVE;
}
void machine_trap(struct concurrent *c, uint32_t machine, const struct warp *w, uint32_t insn,
                  enum trap_kind kind, int lane, uint64_t address);
void machine_evict(struct concurrent *c, uint32_t machine);
void list_replace(struct concurrent *c, struct entries *list, struct entries *result,
                  uint32_t mask);

#define GROW(array, n, room)                                                                       \
    do {                                                                                           \
        if ((n) == (room)) {                                                                       \
            (room) = (room)*2 + 64;                                                                \
            (array) = realloc((array), (room) * sizeof *(array));                                  \
            if (!(array))                                                                          \
                abort();                                                                           \
        }                                                                                          \
    } while (0)

/* evaluate.c: results of machines whose sources differ. mask: lanes in which the fault-free run
 * executes it. evaluate_guarded: machines' guards differ. */
void evaluate(struct concurrent *c, struct warp *w, uint32_t insn, const struct plan *p,
              uint32_t mask);
void evaluate_guarded(struct concurrent *c, struct warp *w, uint32_t insn, const struct plan *p);

/* access.c */
void access_load(struct concurrent *c, struct warp *w, uint32_t insn, const struct plan *p,
                 uint32_t mask);
void access_store(struct concurrent *c, struct warp *w, uint32_t insn, const struct plan *p,
                  uint32_t mask);
uint32_t *golden_word(const struct warp *w, bool shared, uint32_t index);

/* stray.c */
/* Machines whose guard of the branch differs. */
void stray_diverge(struct concurrent *c, struct warp *w, uint32_t insn, const struct plan *p);
/* Is this lane of the machine away from the warp? */
bool stray_is(const struct concurrent *c, const struct warp *w, uint32_t key);
/* Append all that are away from the warp and in these lanes; ascending. */
void stray_keys(struct concurrent *c, const struct warp *w, uint32_t mask, struct entries *out);
void stray_rejoin(struct concurrent *c, struct party *g, uint64_t issued);
void stray_fini(struct strays *s);

/* hang.c: of a lane that goes from the branch to `start`, with lane `index` of regs as its registers, in a simple
 * region. HANG_CERTAIN: it neither arrives at the meeting point nor traps before it has issued more than limit
 * instructions. Otherwise how long it may take, for bringing together lanes that take as long: nothing rests
 * on it. */
#define HANG_CERTAIN UINT64_MAX
uint64_t hang_prospect(struct plans *p, uint32_t branch, const struct warp *w, const uint8_t *regs,
                       int index, uint32_t start, uint64_t limit);

/* detour.c */
struct party *party_new(struct concurrent *c, struct warp *w, uint32_t insn);
void party_add(struct concurrent *c,
               struct party *g); /* to the groups, or freed if nobody is in it */
void detour_run(struct concurrent *c, struct party *g, uint32_t machine);
/* All that are away leave the lists. */
void detour_leave(struct concurrent *c, const struct party *g);
/* Before insn of w: machines that the fault-free run has caught up with join it. */
void detour_rejoin(struct concurrent *c, const struct warp *w, uint32_t insn);
/* The fault-free warp comes to something that those who are away cannot take part in. */
void detour_cancel(struct concurrent *c, const struct warp *w);
void detour_end(struct concurrent *c); /* of the CTA */
/* The spare memory becomes what the fault-free run sees now. */
void detour_sync_spare(struct concurrent *c);
void detour_lay_words(const struct words *words, uint32_t machine, uint8_t *memory);

/* fork.c: the machine goes on alone from before insn of w. */
void fork_machine(struct concurrent *c, const struct warp *w, uint32_t insn, uint32_t machine);
/* Machines that take part in insn with a difference are forked. */
void fork_concerned(struct concurrent *c, struct warp *w, uint32_t insn, const struct plan *p,
                    uint32_t mask);

/* replay.c, for this engine */
const struct simt_mem *replay_golden(const struct replay *r);
void replay_move_to(struct replay *r, size_t position);
/* The CTA before the position left these words different; ascending. */
void replay_from_words(struct replay *r, const struct machine_word *words, size_t n,
                       struct experiment_result *out);

#endif
