/* Are two samples of the same distribution? */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats/priv.h"
#include "stats/stats.h"

static uint64_t total(const uint64_t *x, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

/* Of a two-row table with margins na, nb and pooled[i]. */
static double chi_square(const uint64_t *a, const uint64_t *pooled, size_t n, double na, double nb)
{
    double x = 0;
    for (size_t i = 0; i < n; i++) {
        if (pooled[i] == 0)
            continue;
        double expected = (double)pooled[i] * na / (na + nb), other = (double)pooled[i] - expected;
        double difference = (double)a[i] - expected; /* the same, negated, in the other row */
        x += difference * difference * (1 / expected + 1 / other);
    }
    return x;
}

static double entropy_term(double p, double mean) { return p > 0 ? p * log2(p / mean) : 0; }

/* Share of permutations whose chi-square is at least as large: labels are dealt anew, few of the smaller
 * side, by a partial shuffle. */
static double permutation_p(const uint64_t *a, const uint64_t *pooled, size_t n, uint64_t na,
                            uint64_t nb, struct rng *r, int permutations)
{
    struct arena scratch = {0};
    uint64_t all = na + nb, few = na < nb ? na : nb, at = 0;
    uint32_t *label = arena_array(&scratch, all, sizeof *label);
    uint64_t *drawn = arena_array(&scratch, n, sizeof *drawn);
    double seen = chi_square(a, pooled, n, (double)na, (double)nb) * (1 - 1e-12);
    int extreme = 0;
    for (size_t i = 0; i < n; i++)
        for (uint64_t k = 0; k < pooled[i]; k++)
            label[at++] = (uint32_t)i;
    for (int rep = 0; rep < permutations; rep++) {
        memset(drawn, 0, n * sizeof *drawn);
        for (uint64_t i = 0; i < few; i++) {
            uint64_t j = i + rng_below(r, all - i);
            uint32_t t = label[i];
            label[i] = label[j];
            label[j] = t;
            drawn[label[i]]++;
        }
        extreme += chi_square(drawn, pooled, n, (double)few, (double)(all - few)) >= seen;
    }
    arena_fini(&scratch);
    return (1.0 + extreme) / (1.0 + permutations);
}

struct histogram_test stats_compare_histograms(const uint64_t *a, const uint64_t *b, size_t n,
                                               struct rng *r, int permutations)
{
    uint64_t na = total(a, n), nb = total(b, n);
    struct histogram_test t = {0, 0, 0, 1};
    if (na == 0 || nb == 0)
        return (struct histogram_test){NAN, NAN, NAN, 1};
    struct arena scratch = {0};
    uint64_t *pooled = arena_array(&scratch, n, sizeof *pooled);
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        double p = (double)a[i] / (double)na, q = (double)b[i] / (double)nb, mean = (p + q) / 2;
        pooled[i] = a[i] + b[i];
        used += pooled[i] > 0;
        t.total_variation += fabs(p - q) / 2;
        t.jensen_shannon += (entropy_term(p, mean) + entropy_term(q, mean)) / 2;
    }
    if (used > 1) {
        double x = chi_square(a, pooled, n, (double)na, (double)nb);
        t.cramers_v = sqrt(x / (double)(na + nb)); /* two rows: min(rows, columns) - 1 is 1 */
        t.p = permutation_p(a, pooled, n, na, nb, r, permutations);
    }
    arena_fini(&scratch);
    return t;
}

static int by_value(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

/* 2 sum (-1)^(k-1) exp(-2 k^2 x^2): Kolmogorov's distribution, upper tail. */
static double kolmogorov_tail(double x)
{
    double sum = 0, sign = 1;
    if (x < 0.2)
        return 1;
    for (int k = 1; k <= 100; k++, sign = -sign)
        sum += sign * exp(-2.0 * k * k * x * x);
    return fmin(1, fmax(0, 2 * sum));
}

struct ks_test stats_kolmogorov_smirnov(double *a, size_t n, double *b, size_t m)
{
    struct ks_test t = {0, 1};
    if (n == 0 || m == 0)
        return t;
    qsort(a, n, sizeof *a, by_value);
    qsort(b, m, sizeof *b, by_value);
    for (size_t i = 0, j = 0; i < n && j < m;) {
        double x = a[i] < b[j] ? a[i] : b[j];
        while (i < n && a[i] <= x)
            i++;
        while (j < m && b[j] <= x)
            j++;
        t.d = fmax(t.d, fabs((double)i / (double)n - (double)j / (double)m));
    }
    double root = sqrt((double)n * (double)m / (double)(n + m));
    t.p = kolmogorov_tail(t.d * (root + 0.12 + 0.11 / root)); /* Stephens 1970, for small samples */
    return t;
}
