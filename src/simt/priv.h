/* Inside of simt: threaded code, warps, CTAs. See docs/SIMT.md. */
#ifndef SIMT_PRIV_H
#define SIMT_PRIV_H

#include "base/arena.h"
#include "ptx/insn.h"
#include "simt/simt.h"

#define SIMT_FULL_MASK 0xffffffffu

/* Generic addresses of shared and local memory. */
#define SIMT_SHARED_WINDOW 0x7fff00000000u
#define SIMT_LOCAL_WINDOW 0x7ffe00000000u
#define SIMT_CONST_WINDOW 0x7ffd00000000u /* loads only */
#define SIMT_PARAM_WINDOW 0x7ffc00000000u
#define SIMT_WINDOW_BYTES 0x40000000u

struct warp;
struct code;

/* One step of threaded code: do i, then GO to the next step, until one returns: control steps return
 * themselves, a trap returns NULL. r: the warp's registers. Entered by simt_enter. */
typedef const struct code *simt_step_fn(struct warp *w, const struct code *i, uint8_t *r,
                                        uint32_t mask);

/* d a b c: byte offsets into the warp's register file, where constants and special registers have
 * places too. Half a cache line: code streams through the first-level cache beside the registers. */
struct code {
    simt_step_fn *fn;
    union {
        uint32_t d;
        uint32_t length; /* control: instructions from the start of the segment to this one */
        uint32_t skip;   /* guard: units of code to skip if no lane is left */
    };
    uint32_t a;
    union {
        struct {
            uint32_t b, c;
        };
        int64_t add;
        const struct code *target; /* branches */
    };
    uint32_t insn; /* index into the kernel */
    uint8_t kind;  /* enum stop_kind, of control steps */
    uint8_t n;     /* vector elements; otherwise what the step needs */
    uint8_t x, y;
};

enum { CODE_NARROW = 128 }; /* in y of memory steps, beside the space: addresses are of 32 bits */

/* The second half of wide steps: memory, vectors. */
struct code_more {
    int64_t imm;
    uint32_t more[3]; /* vector elements after the first: destinations, or values to store */
    uint32_t address; /* offset of the struct address prepared for it */
    uint64_t spare;
};
_Static_assert(sizeof(struct code) == 32 && sizeof(struct code_more) == 32, "units of code");

/* The addresses of a warp's access, prepared for several instructions with the same base register. Lies
 * in the register file. Relative to the first active lane's; lanes that are off count as equal to it. */
enum address_shape {
    ADDRESS_WILD, /* further than 2^30 apart: nothing below is filled in */
    ADDRESS_EQUAL,
    ADDRESS_ROW,    /* lane l at l * stride from lane 0 (which may be off) */
    ADDRESS_GROUPS, /* all lanes on; 16 (or 8) lanes at a time like a row of `stride` */
    ADDRESS_ANY,
};
struct address {
    uint64_t first; /* address register of the first active lane */
    int32_t min, max, stride;
    uint32_t bits;              /* all low bits set in any address */
    uint8_t shape, group, lane; /* lane: the first active one */
    _Alignas(64) int32_t relative[SIMT_LANES];
};

/* Why threaded code returned to the scheduler. Code is cut into segments, at each of these and where
 * branches arrive; what a segment issues is counted at its end. */
enum stop_kind {
    STOP_NOT,
    STOP_BRANCH,
    STOP_JOIN,
    STOP_BARRIER,
    STOP_RETURN,
    STOP_TRAP,
    STOP_TABLE,
    STOP_CALL
};

/* Memory as a step sees it: address - base must be at most size - bytes. */
struct window {
    uint8_t *data;
    uint64_t base, size;
};

/* Usually all of them; counting bits is a call where the processor may not have an instruction for it. */
static inline uint32_t simt_count_lanes(uint32_t mask)
{
    return mask == SIMT_FULL_MASK ? SIMT_LANES : (uint32_t)__builtin_popcount(mask);
}

/* A part of a warp's lanes that walks together; the parts make a tree. */
struct path {
    uint32_t pc;         /* instruction to run next; of a parent: where its children meet */
    uint32_t reconverge; /* ends and waits for its siblings there, or PTX_NOWHERE */
    uint32_t mask;
    int8_t parent; /* slot, or -1 */
    uint8_t children;
    int8_t barrier; /* waits at this one, or -1 */
    uint32_t frame; /* call that it runs, or 0: the kernel itself */
};
enum { SIMT_MAX_PATHS = 64, SIMT_BARRIERS = 16 };

/* A call under way: who waits for it, and what they find when all its lanes have returned. */
struct frame {
    uint32_t outer;                 /* frame of the caller */
    uint32_t return_pc, reconverge; /* of the path that made it */
    int8_t parent;
    uint32_t callee;           /* function */
    uint32_t called, returned; /* lanes; those that did not take part have returned */
    uint32_t paths;            /* that run it, those in calls that it made included */
    uint8_t *saved;            /* registers of a caller that may be run again before, or NULL */
    uint64_t *used; /* of kernels with alloca: what each lane's caller has of the stack */
};
struct frames {
    struct frame *v;        /* number 0 is not used */
    uint32_t n, room, free; /* free: first unused, chained by outer; 0: none */
};

struct cta;
struct warp {
    /* Lane masks for steps under a partial mask: all ones where the lane is in mask_of_lanes. */
    _Alignas(64) uint16_t lanes16[SIMT_LANES];
    _Alignas(64) uint32_t lanes32[SIMT_LANES];
    _Alignas(64) uint64_t lanes64[SIMT_LANES];
    _Alignas(64) uint8_t tmp[8 * SIMT_LANES];
    _Alignas(64) uint64_t address[SIMT_LANES];
    uint32_t mask_of_lanes;
    struct window global, shared, local, param, constant; /* local: size of one lane */
    uint64_t local_stride;
    uint64_t *written;   /* global memory: a bit per chunk */
    uint64_t masked_off; /* thread instructions of guarded steps that did not happen */
    struct simt_trap *trap;
    struct cta *cta;
    uint8_t *regs;
    uint32_t index, live;
    uint32_t path_mask, path_reconverge, path_lanes; /* of the path that runs; how many lanes */
    int64_t left; /* instructions that the CTA may still issue; below 0: hangs */
    uint64_t used_paths;
    struct path paths[SIMT_MAX_PATHS];
    uint32_t started_at;   /* instruction at which the present run of code began */
    struct frames *frames; /* of kernels with calls */
    uint32_t running;      /* slot of the path that runs */
    uint32_t go_mask;      /* see GO */
};

/* GO is a tail call where the compiler makes it one. With sanitizers, counters of coverage and -O0 it does not, and
 * the stack would overflow: there it returns the step, marked, for simt_enter to call. */
#ifdef __has_feature
#define SIMT_SANITIZED __has_feature(address_sanitizer)
#elif defined __SANITIZE_ADDRESS__
#define SIMT_SANITIZED 1
#else
#define SIMT_SANITIZED 0
#endif
#if defined __OPTIMIZE__ && !SIMT_SANITIZED && !defined SIMT_STEPS_RETURN
#define GO(to) return (to)->fn(w, to, r, mask)
#else
#define GO(to) return (void)r, simt_go(w, to, mask)
#endif

static inline const struct code *simt_go(struct warp *w, const struct code *to, uint32_t mask)
{
    w->go_mask = mask;
    return (const struct code *)((uintptr_t)to | 1);
}

static inline const struct code *simt_enter(struct warp *w, const struct code *i, uint8_t *r,
                                            uint32_t mask)
{
    i = i->fn(w, i, r, mask);
    while (__builtin_expect((uintptr_t)i & 1, 0)) {
        i = (const struct code *)((uintptr_t)i & ~(uintptr_t)1);
        i = i->fn(w, i, r, w->go_mask);
    }
    return i;
}

/* Lists of lanes: low five bits of a key are the lane of a row (a register's lanes). Values are 64 bits
 * wide for 64-bit registers, else 32. Lists may be read, and written where they are results, up to
 * SIMT_LIST_SLACK entries beyond their end. */
enum { SIMT_LIST_SLACK = 16 };
struct list_fma;
struct lists {
    /* to, a row: for each of n <= 32 keys, row's value in its lane. */
    void (*spread)(uint8_t *to, const uint8_t *row, int bits, const uint32_t *key, uint32_t n);
    /* Keep the entries that differ from row; returns how many. */
    uint32_t (*differing)(uint32_t *key, void *value, uint32_t n, const uint8_t *row, int bits);
    /* fma.rn.f32 of the rows in the key's lane, but the list's value in the place of operand `which`; golden:
     * of all lanes of the rows. Returns how many are in out, which may be the list itself. */
    uint32_t (*fma)(const struct list_fma *x, float golden[SIMT_LANES]);
};
struct list_fma {
    uint32_t n, *key, *value, *out_key, *out_value;
    const uint8_t *rows[3];
    int which;
    bool keep_all; /* otherwise only what differs from golden */
};

/* The steps for one kind of processor: src/simt/lanes compiled for it. */
struct lanes {
    const char *name;
    simt_step_fn *const *op;              /* OP rows, by enum ptx_op */
    simt_step_fn *load[6], *store[6];     /* by space, any type */
    simt_step_fn *load32[6], *store32[6]; /* 32-bit elements in 32-bit registers */
    simt_step_fn *load64[6], *store64[6];
    simt_step_fn *fma_block; /* program->fma_blocks[y << 8 | x], or NULL */
    uint32_t fma_tile_rows;  /* of 4 accumulators, which it has registers for */
    simt_step_fn *div_u32, *div_s32, *rem_u32, *rem_s32; /* fast by the same number in all lanes */
    simt_step_fn *load_indexed;                          /* mul.wide, add.s64 and a load in one */
    simt_step_fn *address;                               /* prepares what the next four use */
    simt_step_fn *load32_at[6], *store32_at[6], *load64_at[6], *store64_at[6];
    simt_step_fn *ftz, *sat32, *sat64, *round;
    simt_step_fn *pred_combine;
    simt_step_fn *pack, *unpack, *add_u64, *atomic, *carry, *bfi, *lop3, *vote, *shfl, *activemask;
    simt_step_fn *small, *clock, *match, *redux, *isspacep, *copy, *alloca;
    simt_step_fn *guard, *guard_end, *stop, *end, *jump, *branch, *join, *count;
    void (*set_lanes)(struct warp *w, uint32_t mask); /* lanes16.. for a partial mask */
    const struct lists *lists;
};
/* A simulator that uses these steps, for comparing them; simt_new chooses the best the processor has. */
struct simt *simt_new_for(const struct lanes *lanes);
bool simt_lanes_usable(const struct lanes *lanes);
extern const struct lanes simt_lanes_avx512, simt_lanes_avx2, simt_lanes_portable;

/* FMAs that share operands, as the outer products of a GEMM do: for s < depth one after the other
 * d[y][x] = a[s][y] * b[s][x] + c[y][x], where c is d after the first. Before them loads from shared memory:
 * units of code from the block's first one on. slots: tile by tile c, d, and for each s b and a. */
struct fma_block {
    uint32_t units; /* of code that it stands for */
    uint32_t depth, n_loads, n_tiles;
    uint32_t tile_rows, tile_cols; /* 4, 2 or 1 by 4, or 4 by 1 */
    uint32_t *load, *slots;
    const struct fma_stream *stream; /* from the same step on, or NULL */
};

/* As many groups of n x 1 (or 1 x n) FMAs as go on one from the other, if for all but the first the n come from
 * words that are the same in all lanes and the one from a row of words: then operands come straight from
 * shared memory, accumulators stay in the processor's registers, and nothing else needs a place. */
struct stream_side {
    uint32_t address;    /* offset of the struct address of all its loads */
    uint32_t align;      /* bytes that it must be a multiple of */
    int32_t first, last; /* lowest and highest word from there */
};
struct fma_stream {
    uint32_t units, depth, n_quads; /* n_quads: n / 4 */
    struct stream_side same, row;
    uint32_t *slots; /* c, d, the first group's n, and its one */
    int32_t *
        offsets; /* from the sides' addresses; of each later group n_quads of four words, and of the row */
};

/* A kernel as threaded code: plain, with steps for all hooks, and with the watch step alone. */
enum code_variant { CODE_PLAIN, CODE_HOOKED, CODE_WATCHED, CODE_VARIANTS };
struct program {
    struct arena arena;
    uint64_t hash[2];
    size_t n_insns;
    uint32_t file_bytes; /* register file of one warp */
    struct code *code[CODE_VARIANTS];
    const struct code **entry[CODE_VARIANTS]; /* instruction -> its first step, after joins */
    uint32_t *segment;                        /* instruction -> first one of its segment */
    const struct code **solo; /* instruction alone, without its guard, for any registers */
    uint32_t *slot;           /* register -> offset */
    uint32_t *base_slot;      /* memory instruction -> offset of its base address */
    uint8_t *base_bits;       /* and its width: 32 or 64; 0: no memory instruction */
    struct {
        uint32_t at, bytes;
    } * frame;                        /* function -> where its registers lie */
    struct fma_block *fma_blocks;     /* of plain code */
    uint32_t carry;                   /* offset of the carry bits */
    uint8_t *image;                   /* file_bytes: constants in place, all else 0 */
    uint32_t special[PTX_N_SPECIALS]; /* offset, or 0: unused */
    size_t n_zeroed; /* registers that may be read before they are written: zeroed */
    uint32_t *zeroed, *zeroed_bytes; /* when a CTA starts: offsets and sizes */
};
struct program *simt_lower(const struct ptx_kernel *k, const struct lanes *lanes);
void simt_program_free(struct program *p);

struct cta {
    struct simt *s;
    const struct simt_launch *launch;
    const struct ptx_kernel *kernel;
    const struct program *program;
    const struct simt_hook *hook;
    uint64_t number;
    uint32_t n_warps, n_threads;
    uint64_t issued, limit;
    uint32_t live;                                            /* threads that have not ended */
    uint32_t arrived[SIMT_BARRIERS], expected[SIMT_BARRIERS]; /* threads; expected 0: all live */
    uint32_t said_yes[SIMT_BARRIERS]; /* bar.red: threads with a true predicate */
    enum code_variant variant;
    bool detached; /* the hook wants no more: plain code from the next control step on */
    struct simt_trap trap;
};

/* ---- paths.c ---- */
void simt_free_frames(struct frames *f, size_t n_warps);
void simt_begin_frames(struct warp *w);
struct path *simt_add_path(struct warp *w, struct path path);
/* The path to run next: the newest slot that can; NULL if all wait. */
struct path *simt_ready_path(struct warp *w);
/* The path is over: its lanes ended, returned or reached the meeting point. A parent whose children are all
 * over goes on with the lanes still there; without any it is over, too. */
void simt_end_path(struct warp *w, struct path *p);
void simt_end_threads(struct cta *c, struct warp *w, struct path *p, uint32_t lanes);
/* Lanes `taken` of p go to i->target, the others on; they meet at i->reconverge. Returns the path to run. */
struct path *simt_diverge(struct warp *w, struct path *p, const struct ptx_insn *i, uint32_t insn,
                          uint32_t taken);
/* brx; each index is within the table. */
struct path *simt_branch_table(struct warp *w, struct path *p, const struct ptx_insn *i,
                               uint32_t insn, uint32_t lanes, const uint64_t *index);
/* Returns the path to run, or NULL and a trap. pointer: of calls through one, each lane's. */
struct path *simt_call(struct warp *w, struct path *p, uint32_t insn, uint32_t lanes,
                       const uint64_t *pointer, struct simt_trap *trap);
void simt_return(struct warp *w, struct path *p, uint32_t lanes);

/* Called by hook steps. */
void simt_call_hook(struct warp *w, uint32_t insn, uint32_t mask);
void simt_call_access(struct warp *w, const struct code *step, uint32_t mask);
void simt_call_watch(struct warp *w, uint32_t insn);

const struct lists *simt_lists(const struct simt *s);

/* Make `to` run on as c would: a copy of all its state, at instruction insn of w, before which the watch
 * hook is, on memory m, and without a hook. to->warps are the copies. */
void simt_fork(struct cta *copy, struct simt *to, const struct cta *c, const struct warp *w,
               uint32_t insn, struct simt_mem *m);
struct warp *simt_warp(struct simt *s, uint32_t index);
/* Run a fork from there to the end of the CTA, or a trap. */
void simt_run_on(struct cta *copy, uint32_t warp, struct simt_counts *counts);

/* The state of a CTA, memory apart, before insn of w: in the watch hook, at the first instruction of a run of
 * code (w->started_at). NULL if it cannot be kept: of kernels with calls. Free it with free(). */
struct simt_checkpoint {
    size_t bytes; /* of it all */
    uint32_t warp, n_warps;
    uint64_t cta, issued;
    uint32_t live, arrived[SIMT_BARRIERS], expected[SIMT_BARRIERS], said_yes[SIMT_BARRIERS];
    _Alignas(64) uint8_t state[]; /* warps; registers; shared and local memory */
};
struct simt_checkpoint *simt_checkpoint(const struct warp *w);
/* As simt_run of that CTA of the same launch, from there on; m as it was there. counts: of what runs. */
void simt_run_from(struct simt *s, struct simt_mem *m, const struct simt_launch *l,
                   const struct simt_checkpoint *k, const struct simt_run_options *options,
                   struct simt_result *result);

/* Lanes that have nothing to do with each other, as a warp of its own that stores nothing: each runs until
 * path 0, where they wait, has no children left. count: warp instructions that each lane took part in;
 * what takes part in more than limit is in *hung and stops. False after a trap. */
bool simt_run_lanes(struct cta *c, struct warp *w, const uint64_t limit[SIMT_LANES],
                    uint64_t count[SIMT_LANES], uint32_t *hung);

/* Run w alone and unhooked, c being a copy of its CTA made for it, until path 0 has no children left
 * (true), or a barrier or a trap comes (false), or w ends (true). */
bool simt_run_alone(struct cta *c, struct warp *w);

#endif
