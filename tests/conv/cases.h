/* The common grid of shapes, with data, and the two references. */
#ifndef TESTS_CONV_CASES_H
#define TESTS_CONV_CASES_H

#include "base/arena.h"
#include "conv/conv.h"

struct conv_case {
    const char *shape, *why;
};
const struct conv_case *conv_cases(size_t *n);

struct conv_data {
    struct arena arena;
    struct conv_problem problem;
    size_t n_in, n_filter, n_out;
    float *in, *filter, *out; /* out: for whoever is tested */
    double *expected;         /* conv_naive */
};
/* Uniform values of [-1, 1), the same for the same shape and seed. Aborts on a shape that is not valid. */
void conv_data_init(struct conv_data *data, const struct conv_problem *p, uint64_t seed);
void conv_data_fini(struct conv_data *data);
/* The same for shape, in the notation. */
void conv_data_of(struct conv_data *data, const char *shape, uint64_t seed);
/* ||out - expected|| / ||expected||, or ||out|| where expected is all zero; NaN counts as infinite. */
double conv_data_error(const struct conv_data *data);
/* The same of any two. */
double conv_error(const float *out, const float *expected, size_t n);

/* A problem that conv_check accepts, from r: every feature has a fair share. */
struct rng;
void conv_random_problem(struct conv_problem *out, struct rng *r);

/* Simulates p; out: its output, NCHW. Fails the test at a trap. */
void conv_simulate(struct simt *simt, const struct conv_program *p, float *out);

/* Calls f with "", the planner's choice, and then with the tiles of impl: with every one, with none, or
 * with one that `turn` chooses, so that a pass over many shapes sees all. */
enum { EVERY_TILE = -1, NO_TILE = -2 };
void conv_for_tiles(const struct conv_impl *impl, int turn, void (*f)(const char *tile, void *ctx),
                    void *ctx);

#endif
