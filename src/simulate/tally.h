/* Trials -> shares of effects, with intervals that know that trials of one image, or of one
 * injection, are not independent; in all, and by layer, class, pattern and magnitude. */
#ifndef SIMULATE_TALLY_H
#define SIMULATE_TALLY_H

#include "base/arena.h"
#include "stats/stats.h"
#include "store/store.h"

/* What became of some errors. Intervals are at 95 %: ratio estimates, with the larger of the
 * variances over clusters of one image and (where errors were measured) of one injection, never
 * below that of independent trials. */
struct effect_shares {
    uint64_t n;
    uint64_t count[N_EFFECTS];
    double share[N_EFFECTS], variance[N_EFFECTS];
    struct interval interval[N_EFFECTS];
    uint64_t not_finite; /* some output is not a finite number: the application can detect it */
    uint64_t lost_top5;  /* the fault-free answer left the five largest */
    double measure;      /* mean of the trials' */
};

struct tally;
struct tally *tally_new(void);
void tally_free(struct tally *t);
void tally_add(struct tally *t, const struct store_trial *trial);
void tally_shares(struct effect_shares *out, const struct tally *t);

/* One tally for each value of a property, ascending. */
enum { BY_LAYER, BY_CLASS, BY_PATTERN, BY_MAGNITUDE, N_BY };
extern const char *const tally_by[N_BY]; /* "layer", ... */
enum { MAGNITUDE_NOT_FINITE = 1000, MAGNITUDE_NONE = -1000 };
struct breakdown;
struct breakdown *breakdown_new(void);
void breakdown_free(struct breakdown *b);
void breakdown_add(struct breakdown *b, const struct store_trial *trial);
const struct tally *breakdown_all(const struct breakdown *b);
size_t breakdown_n(const struct breakdown *b, int by);
/* *key: number of the layer; of the class (the image's label, else the fault-free answer); of the
 * pattern, -1: none; exponent of ten of the largest change made, or one of MAGNITUDE_. */
const struct tally *breakdown_get(const struct breakdown *b, int by, size_t i, int *key);

#endif
