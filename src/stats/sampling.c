/* Estimates for samples that are not plain, and intervals that hold together or at every moment. */
#include <assert.h>
#include <math.h>

#include "stats/priv.h"
#include "stats/stats.h"

struct cluster_mean stats_stratified(const struct stratum *s, size_t n)
{
    double weight = 0, mean = 0, steady = 0, variance = 0, k = 0, m = 0;
    for (size_t i = 0; i < n; i++) {
        weight += s[i].n ? s[i].weight : 0;
        k += (double)s[i].k;
        m += (double)s[i].n;
    }
    if (!(weight > 0))
        return (struct cluster_mean){NAN, INFINITY, 0};
    /* Each stratum's variance with one draw more, as likely a success as those of all: a pair of its own for each
     * of many strata would weigh more than what is rare. */
    const double all = (k + 1) / (m + 2);
    for (size_t i = 0; i < n; i++) {
        if (!s[i].n)
            continue;
        double w = s[i].weight / weight, of = (double)s[i].n, p = ((double)s[i].k + all) / (of + 1);
        mean += w * (double)s[i].k / of;
        steady += w * p;
        variance += w * w * p * (1 - p) / of;
    }
    return (struct cluster_mean){mean, variance, steady * (1 - steady) / variance};
}

void stats_ratio_add(struct ratio_sums *s, double a, double b)
{
    s->n++;
    s->a += a;
    s->b += b;
    s->aa += a * a;
    s->ab += a * b;
    s->bb += b * b;
}

/* Sum of squares of a - ratio b. */
static double residual(const struct ratio_sums *s, double ratio)
{
    return s->aa - 2 * ratio * s->ab + ratio * ratio * s->bb;
}

/* Of one stratum: with a success and a failure more, of clusters in one like those that have any. */
static double residual_variance(const struct ratio_sums *s, double ratio, double trials)
{
    double one = s->b / s->n / trials; /* b of a draw */
    double like = trials > 1 ? (s->aa + one * one) / (s->a + one) : one;
    double pair = one * (like * (1 - ratio) * (1 - ratio) + one * ratio * ratio);
    return (residual(s, ratio) + pair) / (s->n + 2 / trials) / s->n;
}

struct cluster_mean stats_ratio(const struct ratio_sums *s, size_t n, double trials)
{
    double a = 0, b = 0, draws = 0, variance = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i].n <= 0)
            continue;
        a += s[i].weight * s[i].a / s[i].n;
        b += s[i].weight * s[i].b / s[i].n;
        draws += s[i].n * trials;
    }
    if (!(b > 0))
        return (struct cluster_mean){NAN, INFINITY, 0};
    double ratio = a / b, steady = (ratio * draws + 1) / (draws + 2);
    for (size_t i = 0; i < n && n > 1; i++) {
        if (s[i].n <= 0)
            continue;
        double mean = (s[i].a - steady * s[i].b) / s[i].n;
        double of = residual(&s[i], steady) / s[i].n - mean * mean;
        variance += s[i].weight * s[i].weight * fmax(0, of) / s[i].n;
    }
    if (n >
        1) /* the pair of all strata together: what is rare and wide needs more than shares of draws */
        variance += b * b * ((1 - steady) * (1 - steady) + steady * steady) / (draws * draws);
    else
        variance = s->weight * s->weight * residual_variance(s, steady, trials);
    variance /= b * b;
    return (struct cluster_mean){ratio, variance, steady * (1 - steady) / variance};
}

/* log of the mixture likelihood ratio: Beta(1/2, 1/2) against p. */
static double log_wealth(double k, double n, double p)
{
    double mixture = stats_log_beta(k + 0.5, n - k + 0.5) - stats_log_beta(0.5, 0.5);
    return mixture - (k > 0 ? k * log(p) : 0) - (n - k > 0 ? (n - k) * log1p(-p) : 0);
}

/* The p between inside (wealth below the bound) and outside where the wealth reaches it. */
static double crossing(double k, double n, double inside, double outside, double bound)
{
    for (int i = 0; i < 200 && fabs(outside - inside) > 1e-15; i++) {
        double mid = (inside + outside) / 2;
        if (log_wealth(k, n, mid) < bound)
            inside = mid;
        else
            outside = mid;
    }
    return outside;
}

struct interval stats_confidence_sequence(uint64_t k, uint64_t n, double confidence)
{
    assert(k <= n);
    if (n == 0)
        return (struct interval){0, 1};
    double bound = -log(1 - confidence), x = (double)k, m = (double)n, p = x / m;
    return (struct interval){k == 0 ? 0 : crossing(x, m, p, 0, bound),
                             k == n ? 1 : crossing(x, m, p, 1, bound)};
}

void stats_goodman(struct interval *out, const uint64_t *count, size_t n, double confidence)
{
    double total = 0;
    for (size_t i = 0; i < n; i++)
        total += (double)count[i];
    for (size_t i = 0; i < n; i++) /* his equation is Wilson's, at Bonferroni's level */
        out[i] = stats_wilson((double)count[i], total, 1 - (1 - confidence) / (double)n);
}

double stats_worth(uint64_t population, uint64_t n)
{
    assert(n <= population);
    return n == population ? (double)INFINITY
                           : (double)n * ((double)population - 1) / (double)(population - n);
}

double stats_finite_margin(uint64_t population, uint64_t n, double confidence, double p)
{
    double z = -stats_normal_quantile((1 - confidence) / 2), m = (double)n;
    if (n == 0)
        return 1;
    double left = population > 1 && population > n
                      ? ((double)population - m) / ((double)population - 1)
                  : population ? 0
                               : 1;
    return z * sqrt(p * (1 - p) / m * left);
}
