/* Golden and faulty tensor -> cardinality, spatial pattern, value domain. Sees only tensors.
 * The classes are those of the CLASSES classifier (Bolchini et al., IEEE TC 2022); where its code
 * and its documents differ we follow the documented reading unless `compat` asks for the code's:
 * docs/CHARACTERISE.md has both side by side. */
#ifndef CHARACTERISE_CHARACTERISE_H
#define CHARACTERISE_CHARACTERISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/tensor.h"
#include "vocab/vocab.h"

/* One element that differs bitwise. index: flat, C order of the tensor (NCHW). */
struct difference {
    uint32_t index;
    float golden, faulty;
};

/* All elements whose bits differ, ascending. Returns their number; *out belongs to a. */
size_t characterise_diff(struct difference **out, struct arena *a, const float *golden,
                         const float *faulty, size_t n);

/* Indexes of a tensor that lies as N, H, W, C -> those of N, C, H, W, ascending; dim is N, C, H, W. */
void characterise_from_nhwc(struct difference *d, size_t n, const size_t dim[4]);

struct value_range {
    float min, max; /* over the finite values of the golden tensor */
};
struct value_range characterise_range(const float *golden, size_t n);

struct char_options {
    double epsilon; /* absolute; a value is corrupted iff |faulty - golden| >= epsilon and the bits
                       * differ, or faulty is not a number; 0: iff the bits differ */
    bool compat;    /* the CLASSES classifier's exact rules instead; for these only: */
    bool almost_same; /* its option -as: differences below epsilon count as corrupted too */
    bool nhwc;        /* the tensor lay in memory as N, H, W, C: decides which of two domain
                       * classes comes first (indexes here are NCHW all the same) */
};

/* A named number of a pattern: an integer, or a pair of percentages (lo, hi]. */
struct char_param {
    const char *name; /* static string: "block_size" */
    bool is_range;
    double value[2]; /* value[0], or lo and hi */
};
enum stat_rule { STAT_MAX, STAT_MIN };
struct char_stat {
    const char *name;
    enum stat_rule rule; /* how stats of many tensors combine */
    double value;
};
enum { CHAR_MAX_PARAMS = 6, CHAR_MAX_STATS = 6 };

/* Error sizes |faulty - golden| / (golden.max - golden.min), counted by floor(log2): bin i holds
 * exponent CHAR_BIN_0 + i, the outermost bins all beyond. */
enum { CHAR_BIN_0 = -48, CHAR_BINS = 192 };
struct magnitudes {
    uint32_t bin[CHAR_BINS];
    uint32_t positive; /* how many of them have faulty > golden */
};

struct characterisation {
    struct char_options options; /* by whose rules, and at which epsilon */
    struct value_range range;    /* of the golden tensor */
    size_t corrupted;            /* cardinality at this epsilon; 0: nothing else is set */
    size_t channels;             /* distinct (n, c) */
    enum pattern pattern;
    int n_keys, n_stats;
    struct char_param keys[CHAR_MAX_PARAMS];
    struct char_stat stats[CHAR_MAX_STATS];
    size_t value_count[N_VALUES]; /* of the corrupted elements, by class */
    /* Domain: one class, two classes with their shares, or mixed ("random"). */
    int n_domain;               /* 1, 2, or 0 for random */
    enum value_class domain[2]; /* the more frequent first; compat: the one met first */
    double share[2][2];         /* percent, lo and hi */
    double max_abs_error;       /* largest |faulty - golden|, INFINITY if not finite */
    double
        median_log2_rel; /* median of log2(|f - g| / |g|), over g != 0 and finite f; NAN if none */
    struct magnitudes in_range, out_of_range; /* of the values of these classes */
    uint32_t flipped[32];                     /* of the values of class flip: which bit */
};

/* diffs ascending by index, each index once, below the product of dim. dim: N, C, H, W, with fewer
 * than 2^32 elements. An image's channels are counted apart: with N > 1 there are N*C of them, but
 * shares of channels are of C. */
void characterise(struct characterisation *out, const struct difference *diffs, size_t n,
                  const size_t dim[4], struct value_range golden, const struct char_options *o);

/* The size of a difference as `magnitudes` count it: the exponent of its bin. */
int characterise_exponent(double difference, struct value_range golden);

/* Whether the difference counts as corruption. */
bool characterise_counts(const struct difference *d, const struct char_options *o);
/* The class of one value; VALUE_SAME if it does not count as corrupted. */
enum value_class characterise_value(const struct difference *d, struct value_range golden,
                                    const struct char_options *o);

/* The pattern alone, of corrupted elements at these n > 0 ascending indexes. */
enum pattern characterise_pattern(const uint32_t *index, size_t n, const size_t dim[4],
                                  bool compat);

#endif
