/* Intervals, sample sizes and tests: pure functions on numbers. Sources in docs/STATISTICS.md. */
#ifndef STATS_STATS_H
#define STATS_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"

struct interval {
    double lo, hi;
};

double stats_normal_quantile(double p); /* inverse of the standard normal distribution, 0 < p < 1 */
double stats_normal_cdf(double z);

/* Wilson's score interval for k successes in n (n > 0), real-valued so that effective sample sizes
 * can be passed. confidence as 0.95. */
struct interval stats_wilson(double k, double n, double confidence);
/* Clopper and Pearson's exact interval. */
struct interval stats_clopper_pearson(uint64_t k, uint64_t n, double confidence);

/* Leveugle et al., DATE'09: faults to inject for a margin e, given the population (0: infinite). */
uint64_t stats_sample_size(uint64_t population, double margin, double confidence, double p);

/* Mean of cluster means (each cluster one injection, its value the share of its trials that were
 * critical), with the effective sample size that makes Wilson's interval have the right width.
 * sum and sum2: sum of values and of squares over n clusters. */
struct cluster_mean {
    double mean, variance_of_mean, n_effective;
};
struct cluster_mean stats_cluster_mean(double sum, double sum2, uint64_t n);

/* The same where each cluster is that many draws: the pair that keeps the variance from 0 weighs a draw each. */
struct cluster_mean stats_clustered(double sum, double sum2, uint64_t n, double trials);

/* A stratum of the population: its share of it, and k of n drawn from it. The mean over the population from
 * samples of the strata, each uniform; strata without samples are left out, so draw from all. The effective
 * sample size is as above. */
struct stratum {
    double weight;
    uint64_t k, n;
};
struct cluster_mean stats_stratified(const struct stratum *s, size_t n);

/* Sum of a over sum of b in the population, as of bits that failed over bits that were exposed, where each unit drawn has
 * its a and b, 0 <= a <= b: a ratio estimator, its variance by linearisation. Of each stratum its weight, how many
 * units were drawn, and their sums; of a sample that is not stratified one stratum. trials: draws in a unit, 1 but for
 * clusters. The effective size is that of stats_stratified. */
struct ratio_sums {
    double weight, n, a, b, aa, ab, bb;
};
void stats_ratio_add(struct ratio_sums *s, double a, double b);
struct cluster_mean stats_ratio(const struct ratio_sums *s, size_t n, double trials);

/* An interval that may be looked at after every draw: that it ever misses the true proportion has at most the
 * probability 1 - confidence (Robbins 1970: the mixture of likelihood ratios over Jeffreys' prior is a martingale,
 * and Ville's inequality bounds it). So sampling may stop when it is narrow enough. */
struct interval stats_confidence_sequence(uint64_t k, uint64_t n, double confidence);

/* Intervals of the shares of n classes which hold all together (Goodman 1965, with Bonferroni's level). */
void stats_goodman(struct interval *out, const uint64_t *count, size_t n, double confidence);

/* How many draws with replacement say as much as n different ones of a population, n <= population: INFINITY for all. */
double stats_worth(uint64_t population, uint64_t n);

/* Half the width of the normal interval of p from n different ones of a population; 0: of an infinite one. */
double stats_finite_margin(uint64_t population, uint64_t n, double confidence, double p);

/* Two-sided p-value that k1/n1 and k2/n2 come from equal proportions: pooled z test; Fisher's exact
 * test where an expected count is below 5. */
double stats_two_proportions(uint64_t k1, uint64_t n1, uint64_t k2, uint64_t n2);
/* Two-sided p-value that w1*p1 = w2*p2 for independent estimates with the given variances (each
 * already regularised so that it is not 0). */
double stats_weighted_difference(double w1, double p1, double var1, double w2, double p2,
                                 double var2);
/* Newcombe's interval (method 10) for p1 - p2. */
struct interval stats_newcombe(uint64_t k1, uint64_t n1, uint64_t k2, uint64_t n2,
                               double confidence);
/* Holm's step-down adjustment, in place: afterwards p[i] <= alpha means significant. */
void stats_holm(double *p, size_t n);

/* How far two histograms over the same n categories are apart, as shares, and how likely so much is if
 * both are samples of one distribution: a permutation test on the chi-square statistic, (1 + those as
 * extreme) / (1 + permutations). Without counts on a side: distances NAN, p 1. */
struct histogram_test {
    double total_variation; /* 0 to 1: half the sum of absolute differences */
    double jensen_shannon;  /* 0 to 1: divergence in bits */
    double cramers_v;       /* 0 to 1: effect size */
    double p;
};
struct histogram_test stats_compare_histograms(const uint64_t *a, const uint64_t *b, size_t n,
                                               struct rng *r, int permutations);
/* Two-sample Kolmogorov-Smirnov: largest distance of the distribution functions, and its asymptotic
 * two-sided p-value (too large where values are tied). Sorts both. NaN is not allowed. */
struct ks_test {
    double d, p;
};
struct ks_test stats_kolmogorov_smirnov(double *a, size_t n, double *b, size_t m);

#endif
