/* What a model is made of; shared by the files of model/. */
#ifndef MODEL_PRIV_H
#define MODEL_PRIV_H

#include "model/model.h"

/* A named parameter: one value, or several of which each draw takes one (the JSON's RANDOM). */
struct param {
    const char *name;
    bool is_range;
    size_t n;
    double (*value)[2]; /* value[i][0], or lo and hi */
};

struct category {
    uint64_t count;
    size_t n_keys, n_stats;
    struct param *keys, *stats;
};

struct domain {
    uint64_t count;
    int n; /* classes: 1, 2, or 0 for random */
    enum value_class class[2];
    double share[2][2];
    double values[N_VALUES]; /* of random: weights */
};

/* How large the errors of one value class are: an exponent common to the error, and how far each
 * value lies from it. Counts; empty in models that do not say. */
enum { SPREAD_0 = -64, SPREAD_BINS = 129 };
struct sizes {
    uint64_t centre[CHAR_BINS];
    uint64_t spread[SPREAD_BINS];
    uint64_t n, positive; /* values, and how many of them became larger */
};

struct entry {
    enum pattern pattern;
    uint64_t count;
    size_t n_categories, n_domains;
    struct category *categories;
    struct domain *domains;
};

/* Neighbouring cells of one channel, first to last. */
struct run {
    uint32_t channel, first, last;
};

/* How many values of a class had which exponent. */
struct exponent {
    int exponent;
    uint32_t count;
};
struct exponents {
    size_t n;
    struct exponent *list; /* ascending */
};

/* What one value is to be. exponent: of its error's size, if it is in or out of range and sizes were
 * measured, else UNKNOWN_SIZE. */
enum { UNKNOWN_SIZE = INT32_MIN };
struct wish {
    enum value_class class;
    int exponent;
    int8_t flipped; /* 1 + the bit; 0: not known */
    float delta;    /* in or out of range: the difference; 0: not known */
};

/* One measured error: where it was, how many of its values were of which class, how large they were. */
struct footprint {
    size_t stratum; /* of the origin's, or MODEL_NO_STRATUM */
    size_t n_runs;
    struct run *runs;
    uint64_t value_count[N_VALUES];
    struct exponents size[2]; /* of in_range, out_of_range */
    /* What became of n_each of its values, in the order of its cells: of all, or of so many evenly spread ones. */
    size_t n_each;
    struct wish *each;
    double scale; /* range of the fault-free values that they were measured on */
};

/* What the CLASSES form has no place for: nothing of it if the model is not ours. */
struct native {
    uint64_t count; /* tensors, rare ones included */
    size_t n;
    struct footprint *footprints; /* a uniform sample of them */
    struct sizes in_range, out_of_range;
    uint64_t flipped[32];
};

struct model {
    bool compat;
    double epsilon;
    uint64_t n_tensors, n_merged; /* _tensor_count, _categories_count */
    double rejected;
    size_t n;
    struct entry *entries;
    size_t chw[3]; /* of the tensors with footprints; 0: there are none */
    struct native native[N_PATTERNS];
    bool has_origin;
    struct model_origin origin;
    struct transfer *transfer; /* to another shape, NULL: not asked for */
};

/* Room for one more than n. */
void *model_grown(void *array, size_t n, size_t *room, size_t size);

/* An integer of [0, n) with these weights; their sum must not be zero. */
size_t model_weighted(struct rng *r, const uint64_t *weight, size_t n);

/* ---- Drawing ------------------------------------------------------------------------------------- */
/* Parameters with RANDOM resolved. */
struct setting {
    const char *name;
    double lo, hi;
};
enum { MAX_SETTINGS = 16 };
struct settings {
    size_t n;
    struct setting item[MAX_SETTINGS];
};
double setting(const struct settings *s, const char *name, double otherwise);

/* The place to put cells in: a tensor of one image. */
struct canvas {
    struct rng *r;
    struct arena *a;
    size_t c, h, w, hw;
    bool compat;
    size_t n;       /* cells so far; duplicates allowed until sorted */
    uint32_t *cell; /* room for max */
    size_t max;
};
/* What a draw chooses, by the counts. */
const struct entry *model_draw_entry(struct rng *r, const struct model *m);
const struct category *model_draw_category(struct rng *r, struct arena *a, const struct entry *e);
const struct domain *model_draw_domain(struct rng *r, struct arena *a, const struct entry *e);
void model_resolve(struct settings *s, struct rng *r, struct arena *a, const struct category *c);
void model_sort_unique(struct canvas *c);
/* Put the cells of a pattern with these parameters, clipped to the canvas. False if the canvas is too
 * small for it. */
bool model_place(struct canvas *to, enum pattern pattern, const struct settings *s);

/* A class for each of n values of domain d. */
void model_classes(struct rng *r, struct wish *wish, const struct domain *d, size_t n);
/* Sizes for n wishes of an error of this pattern, by the counts of all such errors. */
void model_sizes(struct rng *r, const struct native *n, struct wish *wish, size_t n_wishes);
/* Give the n differences, whose index and golden are set, faulty values as wished. as_fault: as model_strike. */
void model_values(struct rng *r, const struct model *m, enum pattern pattern,
                  const struct wish *wish, struct difference *diffs, size_t n,
                  struct value_range range, bool as_fault);

/* An error of m's own shape from its footprints. NULL: there are none for a pattern that was drawn,
 * which is given in *pattern. */
const struct footprint *model_footprint(struct canvas *to, const struct model *m,
                                        enum pattern *pattern);
/* The same for the shape that m was retargeted to. NULL: it is another. */
const struct footprint *model_transferred(struct canvas *to, const struct model *m,
                                          enum pattern *was);
size_t footprint_cells(const struct footprint *f);
/* As many cells of each class and size as the footprint had: in its order, if these are its cells (own) and it knows what
 * each was; else in any, and if sampled from those that it knows. Differences are for values of this range. */
struct wish *model_footprint_wishes(struct canvas *to, const struct footprint *f, bool own,
                                    bool sampled, struct value_range range);
/* What values were as text, and back. */
char *model_each_text(struct arena *a, const struct footprint *f);
int model_each_parse(struct footprint *f, struct arena *a, const char *text);
/* Cells as text, "channel:first-last,position;channel:...", and back: -1 if it is not that. */
char *model_runs_text(struct arena *a, const struct run *runs, size_t n);
int model_runs_parse(struct run **out, size_t *n, struct arena *a, const char *text,
                     const size_t chw[3]);
/* Exponents as text, "exponent*count,...", and back. */
char *model_exponents_text(struct arena *a, const struct exponents *e);
int model_exponents_parse(struct exponents *out, struct arena *a, const char *text);
/* Influences as text, "reach.reach.reach*sites,...", and back; *n from 0. */
char *model_influences_text(struct arena *a, const struct tiling_influence *list, size_t n);
int model_influences_parse(struct tiling_influence **out, size_t *n, struct arena *a,
                           const char *text);

#endif
