/* Counts -> estimates with intervals. */
#include <math.h>

#include "report/priv.h"
#include "stats/stats.h"

/* Wilson's interval. The variance is that of the share steadied by one success and one failure, as
 * stats_cluster_mean's: a test must not take 0 of n for certainty. */
static struct estimate with_interval(double p, double n, double confidence)
{
    if (isinf(n) || confidence <= 0) /* of all there are */
        return (struct estimate){p, p, p, n, 0};
    double steady = (p * n + 1) / (n + 2);
    struct interval i = stats_wilson(p * n, n, confidence);
    return (struct estimate){p, i.lo, i.hi, n, steady * (1 - steady) / n};
}

struct estimate estimate_share(double k, double n, double confidence)
{
    return with_interval(k / n, n, confidence);
}

struct estimate estimate_exact(double p) { return with_interval(p, (double)INFINITY, 0); }

struct estimate estimate_distinct(uint64_t k, uint64_t n, uint64_t population, double confidence)
{
    return with_interval((double)k / (double)n, stats_worth(population, n), confidence);
}

struct estimate estimate_clusters(double sum, double sum2, uint64_t n, double confidence)
{
    struct cluster_mean m = stats_cluster_mean(sum, sum2, n);
    struct estimate e = with_interval(m.mean, m.n_effective, confidence);
    e.variance = m.variance_of_mean;
    return e;
}

struct estimate estimate_clustered(double sum, double sum2, uint64_t n, double size,
                                   double confidence)
{
    struct cluster_mean m = stats_clustered(sum, sum2, n, size);
    struct estimate e = with_interval(m.mean, m.n_effective, confidence);
    e.variance = m.variance_of_mean;
    return e;
}

struct estimate estimate_stratified(const struct stratum *s, size_t n, double confidence)
{
    struct cluster_mean m = stats_stratified(s, n);
    struct estimate e = with_interval(m.mean, m.n_effective, confidence);
    e.variance = m.variance_of_mean;
    return e;
}

struct estimate estimate_ratio(const struct ratio_sums *s, size_t n, double trials,
                               double confidence)
{
    struct cluster_mean m = stats_ratio(s, n, trials);
    struct estimate e = with_interval(m.mean, m.n_effective, confidence);
    e.variance = m.variance_of_mean;
    return e;
}

/* The delta method's variance a^2 b(1-b)/n_b + b^2 a(1-a)/n_a, turned into the sample size that a
 * plain proportion ab would need for it; dividing by ab first keeps that finite when ab is 0. */
struct estimate estimate_product(double k_a, double n_a, double k_b, double n_b, double confidence)
{
    double a = k_a / n_a, b = k_b / n_b, p = a * b;
    double loss = b * (1 - a) / n_a + a * (1 - b) / n_b;
    double n = loss > 0 ? (1 - p) / loss : n_a;
    return with_interval(p, n, confidence);
}

struct estimate estimate_difference(const struct estimate *a, const struct estimate *b, double *p)
{
    double d = a->value - b->value;
    *p = stats_weighted_difference(1, a->value, a->variance, 1, b->value, b->variance);
    return (struct estimate){
        .value = d,
        .lo = d - hypot(a->value - a->lo, b->hi - b->value),
        .hi = d + hypot(a->hi - a->value, b->value - b->lo),
        .variance = a->variance + b->variance,
    };
}

struct estimate estimate_sum(const double *w, const struct estimate *e, size_t n)
{
    struct estimate s = {0};
    double below = 0, above = 0;
    for (size_t i = 0; i < n; i++) {
        double down = w[i] * (e[i].value - e[i].lo), up = w[i] * (e[i].hi - e[i].value);
        s.value += w[i] * e[i].value;
        s.variance += w[i] * w[i] * e[i].variance;
        below += down * down;
        above += up * up;
    }
    s.lo = s.value - sqrt(below);
    s.hi = s.value + sqrt(above);
    return s;
}
