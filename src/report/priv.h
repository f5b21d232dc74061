/* Inside src/report/: stores -> tallies (plain counts and estimates) -> the JSON document. */
#ifndef REPORT_PRIV_H
#define REPORT_PRIV_H

#include "base/arena.h"
#include "base/file.h"
#include "report/report.h"
#include "store/store.h"
#include "vocab/vocab.h"

/* A proportion or a product of proportions, with its interval and a variance that is never 0. */
struct estimate {
    double value, lo, hi;
    double n_effective, variance;
};
/* k of n. */
struct estimate estimate_share(double k, double n, double confidence);
/* Known, not estimated. */
struct estimate estimate_exact(double p);
/* k of n different ones of a population. */
struct estimate estimate_distinct(uint64_t k, uint64_t n, uint64_t population, double confidence);
/* Mean over n clusters, given the sum of their values and of the squares. */
struct estimate estimate_clusters(double sum, double sum2, uint64_t n, double confidence);
/* The same of clusters of that many injections each. */
struct estimate estimate_clustered(double sum, double sum2, uint64_t n, double size,
                                   double confidence);
/* Over strata, each sampled on its own. */
struct stratum;
struct estimate estimate_stratified(const struct stratum *s, size_t n, double confidence);
/* Of bits, over strata or one; see stats_ratio. */
struct ratio_sums;
struct estimate estimate_ratio(const struct ratio_sums *s, size_t n, double trials,
                               double confidence);
/* P(A and B) from independent estimates: k_a of n_a, and k_b of n_b of B given A. */
struct estimate estimate_product(double k_a, double n_a, double k_b, double n_b, double confidence);
/* a - b, its interval by MOVER, and in *p the two-sided p-value that they are equal. */
struct estimate estimate_difference(const struct estimate *a, const struct estimate *b, double *p);
/* sum of w[i] * e[i]: the interval by MOVER (Zou and Donner, Statistics in Medicine 2008), which
 * needs no normality of each and stays positive. */
struct estimate estimate_sum(const double *w, const struct estimate *e, size_t n);

/* What an error did when tried in the network. */
struct critical {
    bool known;
    uint64_t trials, planned, images, seed;
    uint64_t effect[N_EFFECTS];
    uint64_t pattern_trials[N_PATTERNS], pattern_critical[N_PATTERNS];
    uint64_t clusters;         /* injections whose error was tried; 0 for a model */
    uint64_t modelled;         /* of a model: SDCs that it stands for */
    bool has_given_sdc;        /* false if there was no SDC to try */
    struct estimate given_sdc; /* P(critical | SDC) */
    struct estimate given_fault;
};

struct named_count {
    const char *name;
    uint64_t n;
};
struct epsilon_tally {
    double epsilon;
    uint64_t corrupted; /* injections with something corrupted at this epsilon */
    uint64_t pattern[N_PATTERNS];
    struct named_count *domains; /* growing; freed by tally_fini */
    size_t n_domains;
    double median_cardinality;
    uint64_t max_cardinality;
};
/* One injection that ended in silent data corruption, tried in the network. */
struct sdc {
    uint64_t number;
    int pattern; /* at the first epsilon, or -1 */
    uint32_t launch;
    int ptx_line;
    uint32_t trials, critical;
};
/* SDCs alike at the first epsilon. */
struct alike {
    int pattern;
    uint64_t corrupted, n;
    uint64_t first, worst; /* injections: the lowest number, the largest error */
    double worst_error;
};
/* Faults that struck one line of a launch's PTX. */
struct line_tally {
    uint32_t launch;
    int ptx_line, source_line; /* 0: unknown */
    uint64_t outcome[N_OUTCOMES];
    double critical; /* sum over its SDCs of the share of direct trials that were critical */
};

struct tally {
    struct report_cell cell; /* layer and impl are never NULL */
    struct store *store;
    const struct store_campaign *campaign;
    uint64_t n, outcome[N_OUTCOMES], trap[N_TRAPS];
    struct estimate
        share[N_OUTCOMES]; /* of the outcomes in the population, as the sample was drawn */
    uint64_t (*stratum)[N_OUTCOMES]; /* campaign->n_strata of them */
    size_t n_sdc;
    struct sdc *sdc; /* n_sdc, ascending by number; NULL without direct simulation */
    double *errors;  /* the largest absolute error of each SDC */
    size_t n_errors;
    struct alike *alike; /* those whose tensors are there, by pattern, corrupted, first */
    size_t n_alike;
    struct epsilon_tally *eps; /* campaign->n_epsilons of them */
    struct line_tally *lines;  /* ascending by launch, PTX line */
    size_t n_lines;
    struct critical direct, model;
};
/* Read everything that a cell names. The strings live as long as t. */
/* Fills in share and stratum, from the counts and, unless sampling was plain, the rows. */
int tally_population(struct tally *t, double confidence, struct arena *a, struct diag *d);
/* Injections that strike one CTA together, or 1. */
uint64_t tally_cluster(const struct tally *t);
int tally_read(struct tally *t, const struct report_cell *cell, double confidence, struct arena *a,
               struct diag *d);
void tally_fini(struct tally *t);

/* JSON values. Numbers are rounded to 6 significant digits here and nowhere else, so that whatever is
 * made from the document shows the same ones; what is not finite is null. Text from stores loses
 * control characters and bytes that are not UTF-8. */
json_t *json_number(double x);
json_t *json_text(const char *s);
json_t *json_estimate(const struct estimate *e);
json_t *json_share(uint64_t k, uint64_t n, double confidence);

/* The line of a launch, or NULL. */
struct line_tally *tally_line(const struct tally *t, uint32_t launch, int ptx_line);

json_t *cell_json(const struct tally *t, double confidence);
/* Faults by source line; adds the files to sources, the document's list of them. */
json_t *lines_json(const struct tally *t, const struct report_sources *from, json_t *sources);

/* What the ranking needs of a cell once its store is closed. Strings belong to the caller. */
struct contender {
    const char *layer, *impl, *campaign, *fault, *shape;
    double population;
    bool has_direct, has_model;
    struct estimate sdc, direct, model; /* per fault */
};
/* Ranking by layer and over the network. ERR_INPUT if they cannot be compared. */
int rank_cells(json_t **out, const struct contender *c, size_t n, double confidence,
               struct diag *d);
/* The sentences on top, from the rest of the document: summary.c. */
json_t *summarise(const json_t *report);
/* Typical and worst corrupted tensors of a campaign as PNG data URIs, at most max_bytes in all. */
int picture_cell(json_t **out, const struct tally *t, size_t max_bytes, struct diag *d);

/* How the pictures' colours are to be read. */
enum { PICTURE_DECADES = 7 };
json_t *picture_scale(void);

/* Text that grows. Aborts when memory runs out, as arenas do. */
struct sink {
    char *p;
    size_t len, cap;
};
void sink_bytes(struct sink *s, const char *bytes, size_t len);
void sink_text(struct sink *s, const char *text);
void sink_base64(struct sink *s, const uint8_t *bytes, size_t len);
void sink_free(struct sink *s);

#endif
