#include "stats/stats.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "stats/priv.h"

double stats_normal_cdf(double z) { return 0.5 * erfc(-z / M_SQRT2); }

/* A rational start (Abramowitz and Stegun 26.2.23, error below 4.5e-4), then Halley's method on erfc,
 * whose relative error is small in the tail too, so that three steps reach double precision. */
double stats_normal_quantile(double p)
{
    assert(p > 0 && p < 1);
    if (p > 0.5)
        return -stats_normal_quantile(1 - p);
    double t = sqrt(-2 * log(p));
    double z = (2.515517 + t * (0.802853 + t * 0.010328)) /
                   (1 + t * (1.432788 + t * (0.189269 + t * 0.001308))) -
               t;
    for (int i = 0; i < 3; i++) {
        double u = (stats_normal_cdf(z) - p) * sqrt(2 * M_PI) * exp(z * z / 2);
        z -= u / (1 + z * u / 2);
    }
    return z;
}

/* The z that leaves (1 - confidence)/2 in each tail. */
static double two_sided(double confidence) { return -stats_normal_quantile((1 - confidence) / 2); }

struct interval stats_wilson(double k, double n, double confidence)
{
    if (!(n > 0))
        return (struct interval){0, 1};
    double z = two_sided(confidence), z2 = z * z, p = k / n;
    double centre = (p + z2 / (2 * n)) / (1 + z2 / n);
    double half = z / (1 + z2 / n) * sqrt(p * (1 - p) / n + z2 / (4 * n * n));
    return (struct interval){k <= 0 ? 0 : fmax(0, centre - half),
                             k >= n ? 1 : fmin(1, centre + half)};
}

/* The continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method as in
 * Press et al., Numerical Recipes, section 6.4; converges fast for x < (a+1)/(a+b+2). */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double f = d;
    for (int m = 1; m < 1000000; m++) {
        double step = 1;
        for (int odd = 0; odd < 2; odd++) {
            double num = odd ? -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
                             : m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
            d = 1 + num * d;
            d = 1 / (fabs(d) < tiny ? tiny : d);
            c = 1 + num / c;
            c = fabs(c) < tiny ? tiny : c;
            step = c * d;
            f *= step;
        }
        if (fabs(step - 1) < 1e-15)
            break;
    }
    return f;
}

static double log_gamma(double x)
{
    int sign;
    return lgamma_r(x, &sign); /* unlike lgamma, writes no global */
}

/* log(gamma(b + a) / gamma(b)): by Stirling's series (DLMF 5.11.1) where both logarithms would be large
 * and cancel. */
static double log_gamma_ratio(double b, double a)
{
    if (b < 20)
        return log_gamma(b + a) - log_gamma(b);
    double x = b + a, rest = (1 - (1 / 30. - 1 / (105 * x * x)) / (x * x)) / (12 * x) -
                             (1 - (1 / 30. - 1 / (105 * b * b)) / (b * b)) / (12 * b);
    return (b - 0.5) * log1p(a / b) + a * log(x) - a + rest;
}

double stats_log_beta(double a, double b)
{
    return log_gamma(fmin(a, b)) - log_gamma_ratio(fmax(a, b), fmin(a, b));
}

double stats_beta_cdf(double x, double a, double b)
{
    if (x <= 0)
        return 0;
    if (x >= 1)
        return 1;
    double front = exp(log_gamma_ratio(fmax(a, b), fmin(a, b)) - log_gamma(fmin(a, b)) +
                       a * log(x) + b * log1p(-x));
    if (x < (a + 1) / (a + b + 2))
        return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

/* Bisection: 60 halvings beat the noise of any cleverer method and cannot diverge. */
static double beta_quantile(double p, double a, double b)
{
    double lo = 0, hi = 1;
    for (int i = 0; i < 1100 && lo < hi; i++) {
        double mid = lo + (hi - lo) / 2;
        if (mid <= lo || mid >= hi)
            break;
        if (stats_beta_cdf(mid, a, b) < p)
            lo = mid;
        else
            hi = mid;
        if (hi - lo < 1e-14 * hi)
            break;
    }
    return lo + (hi - lo) / 2;
}

struct interval stats_clopper_pearson(uint64_t k, uint64_t n, double confidence)
{
    assert(k <= n);
    if (n == 0)
        return (struct interval){0, 1};
    double tail = (1 - confidence) / 2, s = (double)k, f = (double)(n - k);
    return (struct interval){k == 0 ? 0 : beta_quantile(tail, s, f + 1),
                             k == n ? 1 : beta_quantile(1 - tail, s + 1, f)};
}

uint64_t stats_sample_size(uint64_t population, double margin, double confidence, double p)
{
    assert(margin > 0 && p >= 0 && p <= 1);
    double z = two_sided(confidence);
    double n = z * z * p * (1 - p) / (margin * margin);
    if (population > 0) {
        double total = (double)population;
        n = total / (1 + (total - 1) / n);
    }
    n = ceil(n - 1e-9); /* 2401.0000000001 is 2401 */
    return n < 1 ? 1 : (uint64_t)n;
}

struct cluster_mean stats_cluster_mean(double sum, double sum2, uint64_t n)
{
    return stats_clustered(sum, sum2, n, 1);
}

struct cluster_mean stats_clustered(double sum, double sum2, uint64_t n, double trials)
{
    double one = 1 / trials; /* what one trial adds to the value of its cluster */
    if (n == 0)
        return (struct cluster_mean){NAN, INFINITY, 0};
    /* Variance between clusters, steadied by one more trial at 0 and one at 1, this in a cluster like those that
     * have any: never zero, exactly Wilson's for clusters of one trial, and harmless once n is large. */
    double m = (double)n + 2 * one, mean = (sum + one) / m;
    double like = trials > 1 ? (sum2 + one) / (sum + one) : 1; /* of one trial: its own */
    double variance = (sum2 + one * like) / m - mean * mean;
    double of_mean = variance / (double)n;
    return (struct cluster_mean){sum / (double)n, of_mean, mean * (1 - mean) / of_mean};
}

static double log_choose(double n, double k)
{
    double few = fmin(k, n - k);
    return log_gamma_ratio(n - few + 1, few) - log_gamma(few + 1);
}

/* Fisher's exact test, two-sided as R's: the tables no more probable than the one seen. */
static double fisher(double k1, double n1, double k2, double n2)
{
    double k = k1 + k2, n = n1 + n2;
    double lo = fmax(0, k - n2), hi = fmin(k, n1);
    double seen = log_choose(n1, k1) + log_choose(n2, k2) - log_choose(n, k);
    double p = 0;
    for (double x = lo; x <= hi; x++) {
        double l = log_choose(n1, x) + log_choose(n2, k - x) - log_choose(n, k);
        if (l <= seen + 1e-7)
            p += exp(l);
    }
    return fmin(1, p);
}

double stats_two_proportions(uint64_t k1, uint64_t n1, uint64_t k2, uint64_t n2)
{
    assert(k1 <= n1 && k2 <= n2);
    double a = (double)k1, b = (double)k2, m1 = (double)n1, m2 = (double)n2;
    double n = m1 + m2, k = a + b;
    if (n1 == 0 || n2 == 0 || k <= 0 || k >= n)
        return 1;
    if (fmin(m1, m2) * fmin(k, n - k) / n < 5)
        return fisher(a, m1, b, m2);
    double pooled = k / n;
    double z = (a / m1 - b / m2) / sqrt(pooled * (1 - pooled) * (1 / m1 + 1 / m2));
    return erfc(fabs(z) / M_SQRT2);
}

double stats_weighted_difference(double w1, double p1, double var1, double w2, double p2,
                                 double var2)
{
    double difference = w1 * p1 - w2 * p2, variance = w1 * w1 * var1 + w2 * w2 * var2;
    if (!(variance > 0))
        return difference == 0 ? 1 : 0;
    return erfc(fabs(difference) / sqrt(2 * variance));
}

struct interval stats_newcombe(uint64_t k1, uint64_t n1, uint64_t k2, uint64_t n2,
                               double confidence)
{
    if (n1 == 0 || n2 == 0)
        return (struct interval){-1, 1};
    double p1 = (double)k1 / (double)n1, p2 = (double)k2 / (double)n2;
    struct interval a = stats_wilson((double)k1, (double)n1, confidence);
    struct interval b = stats_wilson((double)k2, (double)n2, confidence);
    return (struct interval){p1 - p2 - hypot(p1 - a.lo, b.hi - p2),
                             p1 - p2 + hypot(a.hi - p1, p2 - b.lo)};
}

struct ranked {
    double p;
    size_t at;
};

static int by_p(const void *x, const void *y)
{
    const struct ranked *a = x, *b = y;
    return a->p != b->p ? (a->p < b->p ? -1 : 1) : a->at < b->at ? -1 : a->at > b->at;
}

void stats_holm(double *p, size_t n)
{
    struct arena a = {0};
    struct ranked *r = arena_array(&a, n, sizeof *r);
    for (size_t i = 0; i < n; i++)
        r[i] = (struct ranked){isnan(p[i]) ? 1 : p[i], i};
    qsort(r, n, sizeof *r, by_p);
    double largest = 0;
    for (size_t i = 0; i < n; i++) {
        largest = fmax(largest, fmin(1, r[i].p * (double)(n - i)));
        p[r[i].at] = largest;
    }
    arena_fini(&a);
}
