/* A fault population, a sample size and a seed -> injections in a store, on threads. */
#ifndef CAMPAIGN_CAMPAIGN_H
#define CAMPAIGN_CAMPAIGN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"
#include "conv/conv.h"
#include "inject/inject.h"
#include "store/store.h"
#include "user/user.h"

/* The fault-free run of a program, measured: what campaigns and reports need to know of it. */
struct golden;
int golden_run(struct golden **out, const struct simt_program *p, const struct fault_kind *kind,
               struct diag *d);
void golden_free(struct golden *g);
/* As it lies in the memory of the GPU. */
const float *golden_output(const struct golden *g);
uint64_t golden_population(const struct golden *g);
/* Equally likely faults, fault_variants for each site; 0: without end. */
uint64_t golden_faults(const struct golden *g);
/* Bits of all sites: results' widths, or cells' widths at every instant. */
uint64_t golden_exposure(const struct golden *g);
struct simt_counts golden_counts(const struct golden *g, size_t launch);
uint64_t golden_launch_population(const struct golden *g, size_t launch);

/* Site number u of the population, 0 <= u < golden_population. */
struct fault golden_fault(const struct golden *g, uint64_t u);
/* The fault of injection `number` of a campaign: sites uniform, from Philox(seed, number). Of a stratified one:
 * sample_fault. */
struct fault campaign_fault(const struct golden *g, uint64_t seed, uint64_t number);

/* The plan of a sample. Strata are launches and, of gp and gppr, the groups that they consist of. */
struct sample;
int sample_new(struct sample **out, const struct golden *whole, struct diag *d);
void sample_free(struct sample *s);
size_t sample_strata(const struct sample *s,
                     const struct store_stratum **out); /* 0: not stratified */
/* Faults of a part belong to its own golden run: experiments are made from that. */
size_t sample_n_parts(const struct sample *s);
const struct golden *sample_part(const struct sample *s, size_t part);
struct fault sample_fault(const struct sample *s, uint64_t seed, uint64_t number, uint32_t *stratum,
                          size_t *part);

/* One experiment on one processor. */
struct experiment; /* a worker's state: simulator, memory, scratch */
struct experiment *experiment_new(const struct simt_program *p, const struct golden *g,
                                  enum engine engine, uint32_t hang_factor);
void experiment_free(struct experiment *e);
struct experiment_result {
    struct strike strike;
    enum outcome outcome;
    enum fate fate; /* only from the tracer, see life.h */
    bool has_last;
    uint32_t last_launch, last_insn;
    uint64_t last_cta;
    struct simt_trap trap;
    uint32_t trap_launch;
    size_t n_diffs;
    const struct store_diff *diffs; /* borrowed until the next run; indexes in the output buffer */
    uint64_t warp_insns;            /* simulated for it: the cost */
};
void experiment_run(struct experiment *e, const struct fault *f, struct experiment_result *out);
/* The same for many, in the order that is cheapest; each is called once for every fault i. */
void experiment_run_all(struct experiment *e, const struct fault *faults, size_t n,
                        void (*each)(void *ctx, size_t i, const struct experiment_result *r),
                        void *ctx);

/* The same for every single bit of each fault's site, whatever its draws: each is called for all bits of
 * every i. Only for kinds with fault_has_bits. */
void experiment_run_bits(struct experiment *e, const struct fault *faults, size_t n,
                         void (*each)(void *ctx, size_t i, const struct experiment_result *r),
                         void *ctx);
struct progress {
    uint64_t done, planned;    /* of the injections that this run wants */
    uint64_t before;           /* done when it began: the rate is (done - before) / seconds */
    uint64_t masked, sdc, due; /* of all in the store */
    double seconds;
};
struct campaign_options {
    struct fault_kind kind;
    enum engine engine;
    uint64_t seed;
    uint64_t first, n; /* injections first to n - 1 */
    const uint64_t
        *tensors; /* keep the differences of a uniform sample of so many SDCs; NULL: of all */
    uint32_t hang_factor; /* 0: 10 */
    int jobs;             /* 0: all processors */
    bool fates; /* find out why injections were masked, and where errors last differed: slower */
    size_t n_epsilons; /* 0: 0, 1e-6, 1e-3 */
    const double *epsilons;
    /* Stop when the shares of all outcomes are known this well, by intervals that may be looked at all the time;
     * n is then the most that may be needed. 0: no. Plain sampling only, from number 0 on. */
    double stop_margin, stop_confidence;
    const char *layer, *made; /* of campaign_run: "" or NULL */
    /* Whether this output, which differs from the golden one, is good enough: then the injection counts as
     * masked. Called by several threads. NULL: none is. */
    bool (*accept)(void *ctx, const float *output, size_t n);
    void *accept_ctx;
    void (*progress)(void *ctx,
                     const struct progress *p); /* some ten times a second; may be NULL */
    void *progress_ctx;
    struct team *team; /* campaign/team.h; NULL: this process alone */
    const volatile bool
        *stop; /* set by a signal handler: finish the batch, return ERR_INTERRUPTED */
};
/* What a campaign is about: a program and what the store keeps of where it came from. */
struct campaign_subject {
    const struct simt_program *sim;
    const char *impl, *shape, *tile,
        *layer;                  /* for a user's kernel: file:kernel, grid and block, "", "" */
    const char *ptx, *arguments; /* of a user's kernel, or ""; see user/user.h */
    const char *made;            /* where its tensors came from, docs/FORMATS.md; or NULL */
    uint64_t kernels_hash, workspace_bytes;
    size_t dim[4]; /* of the output */
    size_t input_floats, filter_floats;
    const float *input, *filter;
};
struct campaign_subject campaign_of_conv(struct arena *a, const struct conv_program *p,
                                         const float *input, const float *filter,
                                         const char *layer);
struct campaign_subject campaign_of_user(struct arena *a, const struct user_program *p);

/* Run (or continue, if path exists and is the same campaign) until options->n injections are stored. */
int campaign_run_subject(const char *path, const struct campaign_subject *subject,
                         const struct campaign_options *options, struct diag *d);
/* The same of a convolution. */
int campaign_run(const char *path, const struct conv_program *p, const float *input,
                 const float *filter, const struct campaign_options *options, struct diag *d);

/* Every single-bit fault of every site: no sample, no sampling error. Rows are not kept, only how many there are of
 * each kind. Of options: kind, engine, hang_factor, jobs, progress (in faults), stop. With a store, that can be interrupted
 * and continued: campaign_run with SAMPLING_EXHAUSTIVE, whose numbers are those of sites. */
struct census_tally {
    uint32_t launch, insn;
    uint64_t outcome[N_OUTCOMES], trap[N_TRAPS];
};
struct census {
    uint64_t sites, faults; /* the sum of all outcomes is faults */
    uint64_t outcome[N_OUTCOMES], trap[N_TRAPS];
    double of_sites
        [N_OUTCOMES]; /* shares for a uniform site and a uniform bit of it, as samples are drawn */
    size_t n_tallies; /* instructions that have sites */
    const struct census_tally *tallies;
    double seconds;
};
int campaign_census(struct census *out, struct arena *a, const struct simt_program *p,
                    const struct campaign_options *options, struct diag *d);

/* What is done of a campaign: in the store and in the shards beside it, which a run on several ranks
 * left when it was cut off. */
struct campaign_extent {
    uint64_t n, outcome[N_OUTCOMES]; /* n: numbers that are there, once each */
    size_t shards;
};
int campaign_extent(struct campaign_extent *out, struct store *s, const char *path, struct diag *d);

/* What happened to an error on its way, with names; see life.h. */
struct replayed_event {
    enum event event;
    uint32_t launch, warp, insn, lanes;
    uint64_t cta, good, bad;
    size_t words;
    const char *mnemonic, *reg; /* reg NULL: none */
    int ptx_line, source_line;
    const char *source_file, *source; /* that line's text; NULL: not known */
};
struct replayed {
    struct experiment_result result;
    enum fate fate; /* FATE_UNKNOWN: the CTA is too long to trace, there are no events */
    uint64_t n_events, n_listed;
    const struct replayed_event *events; /* n_listed of them */
};
/* Run injection `number` of a store again, with the life of its error, and compare with the row, bit for bit:
 * ERR_INPUT says what differs. What out points to belongs to a; diffs are the row's (NCHW). */
int campaign_replay(struct replayed *out, struct arena *a, struct store *s, uint64_t number,
                    enum engine engine, struct diag *d);

#endif
