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
};

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
    size_t n;      /* cells so far; duplicates allowed until sorted */
    uint32_t *cell; /* room for max */
    size_t max;
};
/* Put the cells of a pattern with these parameters, clipped to the canvas. False if the canvas is too
 * small for it. */
bool model_place(struct canvas *to, enum pattern pattern, const struct settings *s);

/* Give the n differences, whose index and golden are set, faulty values of domain d. */
void model_values(struct rng *r, struct arena *a, const struct model *m, const struct entry *e,
                  const struct domain *d, struct difference *diffs, size_t n,
                  struct value_range range);

#endif
