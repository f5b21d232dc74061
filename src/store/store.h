/* Results on disk: one SQLite file per campaign of injections, or per simulation of errors. The only
 * place that knows SQL; the schema, with its version, is schema.sql and docs/FORMATS.md. One thread
 * writes. A complete store holds nothing of the clock, the host, the number of threads or the order in which
 * rows came, so that equal campaigns make equal files. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/diag.h"
#include "vocab/vocab.h"

struct store;

/* What identifies a campaign; equal means resumable. Strings and blobs are copied on create and
 * belong to the store's arena when read. */
#define STORE_ALL_TENSORS UINT64_MAX
struct store_launch {
    const char *kernel, *label;
    uint32_t grid[3], block[3];
    uint64_t ctas;
    uint64_t warp_insns, thread_insns; /* fault-free */
    uint64_t population;               /* sites of the campaign's fault kind */
};
struct store_stratum { /* a part of the population, sampled on its own */
    uint32_t launch;
    const char *part; /* "fp32" */
    uint64_t population;
};
struct store_campaign {
    const char *impl, *shape, *tile; /* "implicit-gemm", "1x6x14x14:16x5x5", "" */
    const char *layer;               /* name of the CNN's layer, or "" */
    const char *ptx, *arguments;     /* of a user's program: its text, its launch as JSON; or "" */
    const char *made;                /* JSON, docs/FORMATS.md: not of the identity; or "" */
    const char *fault;               /* "gp:single-bit:thread" */
    const char *population_kind;     /* "machine" or "ptx" */
    uint64_t seed;
    uint64_t first, planned; /* injections first to planned - 1 are wanted in this store */
    uint64_t tensors;        /* SDCs whose differences are kept; STORE_ALL_TENSORS */
    uint32_t hang_factor;
    uint64_t kernels_hash;
    uint64_t population, exposure, warp_insns, thread_insns, workspace_bytes;
    size_t n_strata; /* 0: the population is sampled as a whole */
    const struct store_stratum *strata;
    size_t n_epsilons;
    const double *epsilons;
    size_t dim[4]; /* output N, K, P, Q */
    size_t n_launches;
    const struct store_launch *launches;
    size_t input_floats, filter_floats, golden_floats;
    const float *input, *filter, *golden;
};
struct store_diff { /* one corrupted element of the output */
    uint32_t index;
    uint32_t faulty_bits;
};
struct store_label { /* characterisation at one epsilon */
    uint64_t corrupted, channels;
    int pattern;        /* enum pattern, or -1 if nothing is corrupted at this epsilon */
    const char *domain; /* "in_range" or "in_range+out_of_range" or "random" */
};
struct store_injection {
    uint64_t number;
    uint32_t launch, warp, lane, insn, reg, lanes;
    uint64_t cta, nth;
    int bits;
    uint64_t before, after;
    bool has_cell;
    uint64_t cell;        /* register, special register or address struck */
    const char *reg_name; /* of a register; NULL: none. Read: the reader's, as labels */
    uint32_t stratum;
    int ptx_line, source_line;
    const char *mnemonic;
    enum outcome outcome;
    enum fate fate;
    bool has_last; /* where the error last made a difference */
    uint32_t last_launch, last_insn;
    uint64_t last_cta;
    enum trap_kind trap;
    uint32_t trap_launch, trap_insn;
    uint64_t trap_cta, trap_address;
    double max_abs_error; /* of an SDC, INFINITY if not finite */
    size_t n_diffs;
    const struct store_diff *diffs; /* all elements whose bits differ, ascending; read: NULL if the
                                        campaign's tensors did not include it */
    const struct store_label *labels; /* n_epsilons of them for an SDC, NULL otherwise */
};

/* Make path, which must not exist, with the campaign's identity and no injections. */
int store_create(struct store **out, const char *path, const struct store_campaign *c,
                 struct diag *d);
/* Open an existing store; ERR_INPUT for a foreign, damaged or newer file, which is left alone. */
int store_open(struct store **out, const char *path, bool writable, struct diag *d);
/* Remove half-made files of writers of path that are no more: path.PID.tmp and its journal. */
void store_sweep(const char *path);
/* Ends the batch under way. Returns what the last commit returned. */
int store_close(struct store *s, struct diag *d);

const struct store_campaign *store_campaign(const struct store *s);
/* ERR_INPUT, naming what differs, unless c is the campaign of s (first, planned and made may differ). */
int store_same_campaign(const struct store *s, const struct store_campaign *c, struct diag *d);

/* Add an injection that is not there; cheapest if numbers ascend. Of SDCs' differences only those of a
 * uniform sample of campaign.tensors are kept: which ones depends on seed and numbers alone. Commits by
 * itself when a commit is a second old, store_commit at once. */
int store_add(struct store *s, const struct store_injection *i, struct diag *d);
/* Of an exhaustive campaign, which keeps no rows: its sites are numbers. Those of spans, which are not there, came out
 * as n_tallies tallies say. */
struct store_span;
struct store_tally;
int store_add_counts(struct store *s, const struct store_span *spans, size_t n_spans,
                     const struct store_tally *tallies, size_t n_tallies, struct diag *d);
/* Whether a campaign takes all faults of all sites: then no row can be read, only summaries. */
bool store_is_exhaustive(const struct store_campaign *c);
int store_commit(struct store *s, struct diag *d);
/* Commit, and return when the disk has it: not even a power cut takes it back. */
int store_sync(struct store *s, struct diag *d);
/* For writers that may wait for rows: commits what a commit would have taken with it by now. */
int store_tick(struct store *s, struct diag *d);
int store_set_planned(struct store *s, uint64_t first, uint64_t planned, struct diag *d);
int store_set_made(struct store *s, const char *made, struct diag *d);

/* How many injections (or trials) are there. */
int store_count(struct store *s, uint64_t *n, struct diag *d);
/* Which injections are there: ascending, not touching. In a. */
struct store_span {
    uint64_t first, next; /* first <= number < next */
};
int store_spans(struct store *s, struct arena *a, const struct store_span **out, size_t *n,
                struct diag *d);
int store_get(struct store *s, uint64_t number, struct store_injection *out, struct arena *a,
              struct diag *d);
/* Call each for every injection in order until it returns non-zero, which is returned. What it is
 * given is valid during the call only. with_diffs: false leaves diffs NULL (n_diffs is set). */
int store_each(struct store *s, bool with_diffs,
               int (*each)(void *ctx, const struct store_injection *i), void *ctx, struct diag *d);
/* The same for the SDCs alone, or for those alone whose differences are kept. */
int store_each_sdc(struct store *s, bool with_diffs,
                   int (*each)(void *ctx, const struct store_injection *i), void *ctx,
                   struct diag *d);
int store_each_tensor(struct store *s, int (*each)(void *ctx, const struct store_injection *i),
                      void *ctx, struct diag *d);

/* ---- Summaries: kept up to date by every commit, so that they cost the same at any size ---------- */
struct store_tally { /* injections alike in all but n */
    uint32_t stratum, launch, insn;
    int ptx_line, source_line;
    const char *mnemonic;
    enum outcome outcome;
    enum fate fate;
    enum trap_kind trap;
    uint64_t n;
};
int store_each_tally(struct store *s, int (*each)(void *ctx, const struct store_tally *t),
                     void *ctx, struct diag *d);
struct store_look { /* SDCs alike at an epsilon, something corrupted; ordered by epsilon, pattern */
    size_t epsilon;
    int pattern;
    const char *domain;
    uint64_t corrupted, n;
    uint64_t first, worst; /* the lowest number; that of the largest error */
    double worst_error;
};
int store_each_look(struct store *s, int (*each)(void *ctx, const struct store_look *l), void *ctx,
                    struct diag *d);
/* The largest absolute error of every SDC, in order of their numbers. */
int store_each_error(struct store *s, int (*each)(void *ctx, double max_abs_error), void *ctx,
                     struct diag *d);
/* Injections by outcome, all in all. */
int store_outcomes(struct store *s, uint64_t n[static N_OUTCOMES], struct diag *d);

/* ---- Stores of one campaign, made apart ---------------------------------------------------------- */
/* Copy the injections of the store at path that s lacks into s, and commit. ERR_INPUT, before anything is
 * copied, if it is another campaign or if an injection that both have differs. n: how many came. */
int store_absorb(struct store *s, const char *path, uint64_t *n, struct diag *d);

/* ---- What a campaign under way says of itself ----------------------------------------------------- */
struct store_live {
    const char *host; /* in a */
    uint64_t pid, ranks, jobs;
    double seconds; /* since it was started or continued */
    uint64_t began, done,
        wanted; /* of the injections wanted: done at that time, by now (in shards too) */
    uint64_t outcome[N_OUTCOMES]; /* of all that are in the store and in shards */
};
/* Written with the next commit. host and pid are this process's. */
int store_set_live(struct store *s, const struct store_live *live, struct diag *d);
/* *known: false if none was written since the campaign was complete. */
int store_get_live(struct store *s, struct arena *a, struct store_live *out, bool *known,
                   struct diag *d);
/* Whether a process on this machine has the store at path open for writing. Call it while this process
 * has the store not open. */
bool store_is_being_written(const char *path);

/* ---- Simulations of errors in a CNN (simulate -o sim.db) ----------------------------------------- */
struct store_struck {
    const char *name;
    double exposure;
};
struct store_simulation {
    const char *network, *dataset, *layer; /* file names and layers, as asked for */
    const char *impl;                      /* "" if unknown */
    const char *task, *strike, *share;     /* "top-1", "output", "turn" */
    const char *source;                    /* "direct" or "model" */
    const char *errors;                    /* the campaign store or model file drawn from */
    uint64_t seed, planned, images;
    size_t n_layers;
    const struct store_struck *layers;
};
struct store_trial {
    uint64_t number, image;
    size_t layer;      /* of the simulation's layers */
    int64_t injection; /* of the campaign store, -1 if drawn from a model */
    int pattern;       /* enum pattern, -1 if unknown */
    uint64_t corrupted;
    enum effect effect;
    int answer_golden, answer_faulty, label;
    double score_change; /* largest |faulty - golden| over the outputs */
    double magnitude;    /* and over the elements struck; INFINITY if one is not finite now */
    double measure; /* classification: by how much the answer's probability fell; segmentation: mean
                          * IoU; detection: F1 of the boxes' matching; regression: as score_change */
    bool top5, finite; /* the fault-free answer is among the five largest; all outputs are finite */
};
int store_sim_create(struct store **out, const char *path, const struct store_simulation *s,
                     struct diag *d);
const struct store_simulation *store_simulation(const struct store *s); /* NULL: not one */
int store_sim_add(struct store *s, const struct store_trial *t, struct diag *d);
int store_sim_each(struct store *s, int (*each)(void *ctx, const struct store_trial *t), void *ctx,
                   struct diag *d);

#endif
