/* Inside of campaign: the measured fault-free run, and what the engines share. All CTAs of all
 * launches form one sequence, in the order in which they run; a position is an index into it. */
#ifndef CAMPAIGN_PRIV_H
#define CAMPAIGN_PRIV_H

#include "base/arena.h"
#include "campaign/campaign.h"
#include "characterise/characterise.h"

enum { N_WIDTHS = 7 };

/* Bytes [at, at + n) of global memory, relative to the start of its view. */
struct range {
    uint64_t at, n;
};

/* The fault-free CTA at an instant before which it has written nothing to global memory. */
struct instant {
    uint64_t sites; /* passed */
    struct simt_checkpoint *state;
};

/* What one CTA did: reads and writes are ascending, disjoint, not adjacent. */
struct cta_log {
    uint64_t population, issued;
    size_t n_instants, instants_room; /* some, ascending */
    struct instant *instants;
    size_t n_reads, n_writes;
    const struct range *reads, *writes;
    const uint8_t *before, *after; /* the written bytes, ranges one after another */
};

/* A buffer that is part of the result. Elements of all outputs are numbered one after another. */
struct output {
    uint64_t at, bytes; /* in the view */
    uint32_t first;     /* number of its first element */
};

struct team;
struct golden {
    struct arena arena;
    const struct simt_program *program;
    struct fault_kind kind;
    const float *output;
    size_t n_floats;
    size_t n_outputs;
    const struct output *outputs; /* ascending */
    struct simt_counts *counts;   /* per launch */
    size_t *first;                /* position of each launch's first CTA, and the end */
    size_t n_ctas;                /* positions */
    struct cta_log *cta;
    uint64_t *sites_before; /* n_ctas + 1: population of all earlier positions */
    uint64_t exposure;      /* bits of all sites */
    uint64_t (
        *widths)[N_WIDTHS]; /* of results and addresses, by launch: sites of 1, 2, 4 ... 64 bits */
    double seconds;         /* of processor time that it took */
    uint64_t mem_bytes;
    /* Which positions read or wrote each chunk: touching[chunk_at[c] .. chunk_at[c + 1]], ascending. */
    size_t n_chunks;
    size_t *chunk_at;
    uint32_t *touching;
    uint32_t *last_touch; /* by 32-bit word: 1 + the last position that read or wrote it, or 0 */
};

/* Which element of the outputs lies at this place of the view: false if none. */
static inline bool golden_element(const struct golden *g, uint64_t at, uint32_t *element)
{
    for (size_t i = 0; i < g->n_outputs; i++)
        if (at - g->outputs[i].at < g->outputs[i].bytes) {
            *element = g->outputs[i].first + (uint32_t)((at - g->outputs[i].at) / 4);
            return true;
        }
    return false;
}

double golden_seconds(const struct golden *g);
size_t golden_launch_of(const struct golden *g, size_t position);
/* The last instant that is kept of the CTA before this many sites have passed, or NULL: its beginning. */
const struct instant *golden_instant(const struct golden *g, size_t position, uint64_t sites);
/* Memory as before the CTA becomes memory as after it, and back. */
void log_redo(const struct cta_log *log, uint8_t *memory);
void log_undo(const struct cta_log *log, uint8_t *memory);

/* Makes ranges from single accesses: a bitmap of bytes with a summary above. */
struct footprint {
    uint64_t *bytes, *summary; /* a bit per byte; a bit per word of bytes */
    size_t n_summary;
};
void footprint_init(struct footprint *f, uint64_t mem_bytes);
void footprint_fini(struct footprint *f);
void footprint_add(struct footprint *f, uint64_t at, uint32_t n);
/* The ranges added since the last take, in a. */
const struct range *footprint_take(struct footprint *f, struct arena *a, size_t *n);

/* One engine's state; experiment_run dispatches. */
struct replay;
struct replay *replay_new(const struct simt_program *p, const struct golden *g, struct simt *simt,
                          struct injector *injector, const uint64_t *limits);
void replay_free(struct replay *r);
void replay_run(struct replay *r, const struct fault *f, struct experiment_result *out);

struct concurrent;
struct concurrent *concurrent_new(const struct simt_program *p, const struct golden *g,
                                  struct simt *simt, struct replay *replay, const uint64_t *limits);
void concurrent_free(struct concurrent *c);
/* Whether it carries faults of this kind through this kernel; replay does all. */
bool concurrent_supports(const struct fault_kind *k, const struct ptx_kernel *kernel);
/* Faults of the CTA at a position, ascending by site; all_bits: each stands for all single bits of its
 * site. each is called once for every i, or once for each of its bits. */
void concurrent_run(struct concurrent *c, size_t position, const struct fault *const *faults,
                    uint32_t n, bool all_bits,
                    void (*each)(void *ctx, uint32_t i, struct experiment_result *r), void *ctx);

/* The differing output elements of the experiment under way. */
struct diff_list {
    struct store_diff *v;
    size_t n, room;
};
void diff_list_push(struct diff_list *l, uint32_t index, uint32_t faulty_bits);
/* Of two views, those in bytes [from, to). */
void diff_list_compare(struct diff_list *l, const struct golden *g, const uint8_t *good,
                       const uint8_t *bad, uint64_t from, uint64_t to);
/* What every engine's result says in the end: the outcome, from the trap and the differences. */
void experiment_decide(struct experiment_result *out);

/* The program that a store's campaign ran, made again. In a, but for its memory: subject_fini. */
struct restored {
    const struct simt_program *sim;
    bool is_user;
    struct conv_program conv;
    struct user_program user;
};
int subject_restore(struct restored *out, struct arena *a, const struct store_campaign *c,
                    struct diag *d);
void subject_fini(struct restored *r);

/* ---- identity.c ---- */
/* What the campaign is; strings in a. Strata are the sample's. */
struct store_campaign campaign_identity(struct arena *a, const struct campaign_subject *x,
                                        const struct campaign_options *o, const struct golden *g);
/* Ranks that would compute something else are told by this. */
uint64_t campaign_identity_hash(const struct store_campaign *s);
/* Make the store, or open it if it is the same campaign's; its shards are taken in. */
int campaign_open_store(struct store **out, const char *path, const struct store_campaign *s,
                        struct diag *d);
/* As many as the processors that this process may use, shared with the other ranks unless it has its own. */
int campaign_jobs(int jobs, const struct team *team);

/* ---- census.c ---- */
/* Run, or continue, an exhaustive campaign into a store. */
int campaign_census_store(const char *path, const struct campaign_subject *subject,
                          const struct campaign_options *options, const struct golden *golden,
                          struct diag *d);

/* ---- shards.c: stores beside the store, in which the other ranks of a run write ---- */
const char *shard_name(struct arena *a, const char *store, int rank);
/* Take what the shards beside the store hold into it, and remove them. n: injections that came. */
int shards_absorb(struct store *s, const char *store, uint64_t *n, struct diag *d);
/* While no rank runs: what killed ones left, files never finished and logs without a file, is removed. */
void shards_tidy(const char *store);

/* An experiment as a row of the store; what it points to is in a. */
struct recorder {
    const struct golden *golden;
    size_t dim[4], n_epsilons;
    const double *epsilons;
    struct value_range range; /* of the golden output */
};
/* Of a campaign whose golden run is g. */
struct recorder recorder_for(const struct golden *g, const struct store_campaign *c);
void record(struct store_injection *out, struct arena *a, const struct recorder *r, uint64_t number,
            const struct fault *f, const struct experiment_result *result);

#endif
