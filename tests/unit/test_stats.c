/* Intervals and tests against published values and scipy 1.10.1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>

#include "base/rng.h"
#include "stats/stats.h"

#define LEN(a) (sizeof(a) / sizeof *(a))

static void near(double got, double want, double tolerance, const char *what)
{
    if (!(fabs(got - want) <= tolerance))
        fail_msg("%s: got %.17g, want %.17g", what, got, want);
}

static void relative(double got, double want, double tolerance, const char *what)
{
    near(got, want, tolerance * fabs(want), what);
}

static void normal_quantile_is_that_of_scipy(void **state)
{
    (void)state;
    /* scipy.stats.norm.ppf(p) */
    static const double t[][2] = {{1e-300, -37.0470962993612},  {1e-12, -7.034483825301131},
                                  {1e-5, -4.264890793922825},   {0.001, -3.090232306167813},
                                  {0.025, -1.9599639845400545}, {0.3, -0.5244005127080409},
                                  {0.975, 1.959963984540054}};
    for (size_t i = 0; i < LEN(t); i++)
        relative(stats_normal_quantile(t[i][0]), t[i][1], 1e-12, "quantile");
    near(stats_normal_quantile(0.5), 0, 1e-15, "median");
    for (double p = 0.0005; p < 1; p += 0.001)
        near(stats_normal_cdf(stats_normal_quantile(p)), p, 1e-15, "cdf of quantile");
}

static void wilson_has_published_values(void **state)
{
    (void)state;
    /* Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3 */
    static const struct {
        double k, n, lo, hi;
    } t[] = {{81, 263, 0.2553, 0.3662},
             {15, 148, 0.0624, 0.1605},
             {0, 20, 0, 0.1611},
             {1, 29, 0.0061, 0.1718}};
    for (size_t i = 0; i < LEN(t); i++) {
        struct interval w = stats_wilson(t[i].k, t[i].n, 0.95);
        near(w.lo, t[i].lo, 5e-5, "lower");
        near(w.hi, t[i].hi, 5e-5, "upper");
    }
    /* scipy.stats.binomtest(k, n).proportion_ci(c, method='wilson') */
    struct interval w = stats_wilson(7, 50, 0.99);
    near(w.lo, 0.05614371860633749, 1e-14, "7/50 lower");
    near(w.hi, 0.3082057874303547, 1e-14, "7/50 upper");
    w = stats_wilson(0, 1000, 0.95);
    assert_true(w.lo == 0);
    near(w.hi, 0.0038267584855551234, 1e-14, "0/1000 upper");
    w = stats_wilson(1000, 1000, 0.95);
    assert_true(w.hi == 1);
    w = stats_wilson(0, 0, 0.95);
    assert_true(w.lo == 0 && w.hi == 1);
}

static void clopper_pearson_is_that_of_scipy(void **state)
{
    (void)state;
    /* scipy.stats.beta.ppf((1-c)/2, k, n-k+1), scipy.stats.beta.ppf(1-(1-c)/2, k+1, n-k); the second
     * to fourth are also in Newcombe 1998, method 5 */
    static const struct {
        uint64_t k, n;
        double confidence, lo, hi;
    } t[] = {
        {0, 1000, 0.95, 0, 0.003682083896865671},
        {1, 29, 0.95, 0.0008726468835799228, 0.1776442954887229},
        {81, 263, 0.95, 0.2527367455852713, 0.36762192260135146},
        {15, 148, 0.95, 0.057844010083448576, 0.161650490349479},
        {3, 1000000000, 0.99, 3.378633890085209e-10, 1.0977477522408324e-08},
        {123456, 1000000, 0.999, 0.12237589525913871, 0.12454179558467816},
        {29, 29, 0.9, 0.9018553723227043, 1},
        {1, 1000000, 0.95, 2.53178076637942e-08, 5.571630655166939e-06},
    };
    for (size_t i = 0; i < LEN(t); i++) {
        struct interval c = stats_clopper_pearson(t[i].k, t[i].n, t[i].confidence);
        relative(c.lo, t[i].lo, 1e-7, "lower");
        relative(c.hi, t[i].hi, 1e-7, "upper");
    }
    struct interval none = stats_clopper_pearson(0, 0, 0.95);
    assert_true(none.lo == 0 && none.hi == 1);
}

static void sample_size_is_leveugles(void **state)
{
    (void)state;
    /* Leveugle et al., DATE'09, with t cut to 1.96 and 2.576 and the result rounded: ours uses the
     * exact quantile and rounds up, so it may differ by one and by 2e-4. */
    static const struct {
        uint64_t population;
        double margin, confidence, want;
    } t[] = {
        {10000, .05, .95, 370},         {10000, .02, .95, 1936},
        {10000, .01, .95, 4899},        {10000, .01, .99, 6239},
        {10000, .005, .95, 7935},       {10000, .001, .95, 9897},
        {1000000, .05, .95, 384},       {1000000, .02, .95, 2395},
        {1000000, .01, .95, 9513},      {1000000, .01, .99, 16319},
        {1000000, .005, .95, 36995},    {1000000, .001, .95, 489900},
        {1000000000, .05, .95, 384},    {1000000000, .02, .95, 2401},
        {1000000000, .01, .95, 9604},   {1000000000, .01, .99, 16589},
        {1000000000, .005, .95, 38415}, {1000000000, .001, .95, 959479},
    };
    for (size_t i = 0; i < LEN(t); i++)
        near((double)stats_sample_size(t[i].population, t[i].margin, t[i].confidence, 0.5),
             t[i].want, 1 + 2e-4 * t[i].want, "sample size");
    assert_int_equal(stats_sample_size(0, 0.01, 0.95, 0.5), 9604);
    assert_int_equal(stats_sample_size(1, 0.01, 0.95, 0.5), 1);
    assert_int_equal(stats_sample_size(0, 0.01, 0.95, 0), 1);
    assert_true(stats_sample_size(500, 1e-6, 0.95, 0.5) == 500);
}

static void two_proportions_is_fisher_or_z(void **state)
{
    (void)state;
    /* scipy.stats.fisher_exact([[a, n-a], [b, m-b]]) where an expected count is below 5 (the first is
     * Fisher's tea lady), otherwise 2*norm.sf(|z|) with the pooled proportion */
    static const struct {
        uint64_t a, n, b, m;
        double p;
    } t[] = {
        {3, 4, 1, 4, 0.48571428571428565},           {10, 12, 2, 17, 0.0002961503632220905},
        {0, 50, 4, 60, 0.12435683249367552},         {1, 1000, 9, 1200, 0.026348660887440884},
        {1, 100000, 7, 90000, 0.03094939708810239},  {50, 1000, 80, 1000, 0.00650659748363783},
        {500, 10000, 480, 9000, 0.2996161055248151}, {5, 100, 9, 100, 0.26762522516430254},
    };
    for (size_t i = 0; i < LEN(t); i++) {
        relative(stats_two_proportions(t[i].a, t[i].n, t[i].b, t[i].m), t[i].p, 1e-8, "p");
        relative(stats_two_proportions(t[i].b, t[i].m, t[i].a, t[i].n), t[i].p, 1e-8, "p swapped");
    }
    assert_true(stats_two_proportions(0, 10, 0, 20) == 1);
    assert_true(stats_two_proportions(10, 10, 20, 20) == 1);
    assert_true(stats_two_proportions(0, 0, 3, 20) == 1);
}

static void newcombe_has_published_values(void **state)
{
    (void)state;
    /* Newcombe, Statistics in Medicine 17 (1998) 873-890, table II, method 10 */
    static const struct {
        uint64_t a, n, b, m;
        double lo, hi;
    } t[] = {
        {56, 70, 48, 80, 0.0524, 0.3339}, {9, 10, 3, 10, 0.1705, 0.8090},
        {6, 7, 2, 7, 0.0582, 0.8062},     {5, 56, 0, 29, -0.0381, 0.1926},
        {0, 10, 0, 20, -0.1611, 0.2775},  {0, 10, 0, 10, -0.2775, 0.2775},
        {10, 10, 0, 20, 0.6791, 1.0000},  {10, 10, 0, 10, 0.6075, 1.0000},
    };
    for (size_t i = 0; i < LEN(t); i++) {
        struct interval d = stats_newcombe(t[i].a, t[i].n, t[i].b, t[i].m, 0.95);
        near(d.lo, t[i].lo, 5e-5, "lower");
        near(d.hi, t[i].hi, 5e-5, "upper");
    }
}

static void holm_steps_down(void **state)
{
    (void)state;
    double p[] = {0.01, 0.04, 0.03, 0.005}; /* R: p.adjust(p, "holm") = 0.03 0.06 0.06 0.02 */
    static const double want[] = {0.03, 0.06, 0.06, 0.02};
    stats_holm(p, 4);
    for (size_t i = 0; i < 4; i++)
        near(p[i], want[i], 1e-15, "holm");
    double big[] = {0.9, 0.8, 0.5};
    stats_holm(big, 3);
    assert_true(big[0] == 1 && big[1] == 1 && big[2] == 1);
    stats_holm(NULL, 0);
}

static void cluster_mean_of_single_trials_is_wilson(void **state)
{
    (void)state;
    for (uint64_t n = 1; n < 300; n += 7)
        for (uint64_t k = 0; k <= n; k += 3) {
            struct cluster_mean c = stats_cluster_mean((double)k, (double)k, n);
            relative(c.n_effective, (double)n, 1e-9, "n_effective");
            near(c.mean, (double)k / (double)n, 1e-15, "mean");
            assert_true(c.variance_of_mean > 0);
        }
}

static void weighted_difference_is_a_z_test(void **state)
{
    (void)state;
    /* z = (2*0.3 - 1*0.5) / sqrt(4*0.0004 + 0.0009) = 2 */
    near(stats_weighted_difference(2, 0.3, 0.0004, 1, 0.5, 0.0009), 0.04550026389635842, 1e-12,
         "p");
    assert_true(stats_weighted_difference(1, 0.5, 0, 1, 0.5, 0) == 1);
}

/* Share of intervals, over simulated campaigns, that hold the true value. Critical faults come in
 * clusters: an injection's own probability is drawn, then each of its trials. */
static double cluster_coverage(struct rng *r, uint64_t clusters, int trials, double rare)
{
    enum { REPEATS = 4000 };
    int held = 0;
    for (int rep = 0; rep < REPEATS; rep++) {
        double sum = 0, sum2 = 0;
        for (uint64_t i = 0; i < clusters; i++) {
            double own = rng_unit(r) < rare ? rng_unit(r) : 0, value = 0;
            for (int t = 0; t < trials; t++)
                value += rng_unit(r) < own;
            value /= trials;
            sum += value;
            sum2 += value * value;
        }
        struct cluster_mean c = stats_cluster_mean(sum, sum2, clusters);
        struct interval w = stats_wilson(c.mean * c.n_effective, c.n_effective, 0.95);
        held += w.lo <= rare / 2 && rare / 2 <= w.hi;
    }
    return (double)held / REPEATS;
}

static void clustered_intervals_cover(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, 20, 1);
    static const double rare[] = {0.05, 0.3, 1};
    for (size_t i = 0; i < LEN(rare); i++)
        for (uint64_t clusters = 100; clusters <= 400; clusters *= 4) {
            double coverage = cluster_coverage(&r, clusters, 8, rare[i]);
            print_message("seed 20: %3d clusters of 8, mean %.3f: 95%% intervals cover %.3f\n",
                          (int)clusters, rare[i] / 2, coverage);
            assert_true(coverage > 0.925 && coverage < 0.99);
        }
}

static void histograms_are_compared(void **state)
{
    (void)state;
    /* scipy: spatial.distance.jensenshannon(p, q, base=2)**2, stats.chi2_contingency without correction
     * for V and, as the permutation test must come near it, for p */
    static const uint64_t a[] = {12, 5, 0, 3, 40}, b[] = {20, 9, 2, 1, 30};
    struct rng r;
    rng_init(&r, 21, 1);
    struct histogram_test t = stats_compare_histograms(a, b, 5, &r, 20000);
    near(t.jensen_shannon, 0.049790459188986655, 1e-12, "Jensen-Shannon");
    near(t.total_variation, 0.21666666666666662, 1e-12, "total variation");
    near(t.cramers_v, 0.24861366768616858, 1e-12, "Cramer's V");
    near(t.p, 0.10992930993581054, 0.02, "p");
    t = stats_compare_histograms(a, a, 5, &r, 99);
    assert_true(t.total_variation == 0 && t.jensen_shannon == 0 && t.p == 1);
    static const uint64_t none[5], left[] = {50, 0}, right[] = {0, 50};
    t = stats_compare_histograms(a, none, 5, &r, 99);
    assert_true(isnan(t.total_variation) && t.p == 1);
    t = stats_compare_histograms(left, right, 2, &r, 999);
    near(t.total_variation, 1, 1e-12, "total variation");
    near(t.jensen_shannon, 1, 1e-12, "Jensen-Shannon");
    near(t.cramers_v, 1, 1e-12, "Cramer's V");
    near(t.p, 0.001, 1e-12, "p");
}

/* Of two samples of one distribution, a share of 5 % is called different at 5 %. */
static void the_permutation_test_keeps_its_level(void **state)
{
    (void)state;
    enum { REPEATS = 1000, K = 6 };
    static const double share[K] = {0.6, 0.2, 0.1, 0.06, 0.03, 0.01};
    struct rng r;
    int called = 0;
    rng_init(&r, 22, 1);
    for (int rep = 0; rep < REPEATS; rep++) {
        uint64_t n[2][K] = {{0}};
        for (int i = 0; i < 300; i++) {
            double x = rng_unit(&r);
            int k = 0;
            while (k < K - 1 && x >= share[k])
                x -= share[k++];
            n[i % 3 == 0][k]++;
        }
        called += stats_compare_histograms(n[0], n[1], K, &r, 199).p <= 0.05;
    }
    print_message("seed 22: %d of %d equal pairs called different at 5 %%\n", called, REPEATS);
    assert_true(called > 25 && called < 75);
}

static void kolmogorov_smirnov_is_that_of_scipy(void **state)
{
    (void)state;
    double x[40], y[55]; /* scipy.stats.ks_2samp(x, y, mode='asymp') */
    for (int i = 0; i < 40; i++)
        x[i] = i * i * 7 % 101 / 10.;
    for (int i = 0; i < 55; i++)
        y[i] = i * i * 5 % 97 / 8.;
    struct ks_test t = stats_kolmogorov_smirnov(x, 40, y, 55);
    near(t.d, 0.1681818181818181, 1e-12, "D");
    near(t.p, 0.48221803506629657, 0.015, "p");
    assert_true(stats_kolmogorov_smirnov(x, 0, y, 55).p == 1);
    assert_true(stats_kolmogorov_smirnov(x, 40, x, 40).d == 0);
}

/* ---- Samples that are not plain ------------------------------------------------------------------- */

static void one_stratum_is_a_plain_sample(void **state)
{
    (void)state;
    for (uint64_t k = 0; k <= 200; k += 20) {
        struct cluster_mean m = stats_stratified(&(struct stratum){7, k, 200}, 1);
        struct interval a = stats_wilson(m.mean * m.n_effective, m.n_effective, 0.95);
        struct interval b = stats_wilson((double)k, 200, 0.95);
        assert_true(fabs(a.lo - b.lo) < 1e-12 && fabs(a.hi - b.hi) < 1e-12);
    }
    /* weights 0.25 and 0.75, shares 0.4 and 0.1: 0.175; Var = 0.0625 q(1-q)/100 + 0.5625 r(1-r)/200, steadied by
     * a draw each of the share of all, 61 in 302 */
    struct stratum s[] = {{1, 40, 100}, {3, 20, 200}};
    struct cluster_mean m = stats_stratified(s, 2);
    double q = (40 + 61.0 / 302) / 101, r = (20 + 61.0 / 302) / 201,
           v = 0.0625 * q * (1 - q) / 100 + 0.5625 * r * (1 - r) / 200;
    assert_true(fabs(m.mean - 0.175) < 1e-12 && fabs(m.variance_of_mean - v) < 1e-15);
}

static void clusters_of_one_draw_are_a_plain_sample(void **state)
{
    (void)state;
    struct cluster_mean a = stats_clustered(30, 30, 100, 1), b = stats_cluster_mean(30, 30, 100);
    assert_true(fabs(a.n_effective - b.n_effective) < 1e-12);
    /* 100 clusters of 4 draws, all draws of a cluster alike: as good as 100 draws, nearly */
    struct cluster_mean c = stats_clustered(30, 30, 100, 4);
    assert_true(c.n_effective > 97 && c.n_effective < 103);
}

/* The ends are where the likelihood ratio of the mixture reaches 1 / (1 - confidence); and looking all the time
 * misses no more often than said. */
static void confidence_sequences(void **state)
{
    (void)state;
    for (uint64_t k = 1; k < 100; k += 7) {
        struct interval i = stats_confidence_sequence(k, 100, 0.95);
        double x = (double)k, ends[] = {i.lo, i.hi};
        assert_true(i.lo < x / 100 && i.hi > x / 100);
        for (int e = 0; e < 2; e++) {
            double mixture = lgamma(x + 0.5) + lgamma(100.5 - x) - lgamma(101) - log(M_PI);
            double wealth = mixture - x * log(ends[e]) - (100 - x) * log1p(-ends[e]);
            assert_true(fabs(wealth - log(20)) < 1e-6);
        }
    }
    assert_true(stats_confidence_sequence(0, 50, 0.95).lo <= 0);
    assert_true(stats_confidence_sequence(50, 50, 0.95).hi >= 1);
    int missed = 0;
    for (uint64_t run = 0; run < 1000; run++) {
        struct rng r;
        uint64_t k = 0;
        bool miss = false;
        rng_init(&r, 5, run);
        for (uint64_t n = 1; n <= 1000 && !miss; n++) {
            k += rng_unit(&r) < 0.2;
            if (n % 10 == 0) {
                struct interval i = stats_confidence_sequence(k, n, 0.95);
                miss = i.lo > 0.2 || i.hi < 0.2;
            }
        }
        missed += miss;
    }
    print_message("1,000 sequences of 1,000 draws, looked at every 10: %d ever missed\n", missed);
    assert_true(missed <= 50);
}

/* Goodman 1965: (x/n - p)^2 = A p (1 - p) / n at both ends, A the chi-square quantile at 1 - 0.05/k. */
static void simultaneous_intervals(void **state)
{
    (void)state;
    const uint64_t x[] = {23, 12, 44};
    struct interval i[3];
    stats_goodman(i, x, 3, 0.95);
    for (int c = 0; c < 3; c++)
        for (int e = 0; e < 2; e++) {
            double p = e ? i[c].hi : i[c].lo, d = (double)x[c] / 79 - p;
            assert_true(fabs(d * d * 79 / (p * (1 - p)) - 5.731) <
                        1e-3); /* chi-square table: 5.7311 */
        }
}

/* Leveugle's sample size and margin are each other's inverse. */
static void finite_margins(void **state)
{
    (void)state;
    static const uint64_t populations[] = {10000, 1000000, 1000000000};
    for (int p = 0; p < 3; p++)
        for (double e = 0.005; e < 0.06; e *= 2) {
            uint64_t n = stats_sample_size(populations[p], e, 0.95, 0.5);
            assert_true(stats_finite_margin(populations[p], n, 0.95, 0.5) <= e);
            assert_true(stats_finite_margin(populations[p], n - 1, 0.95, 0.5) > e - 1e-9);
        }
    assert_true(stats_finite_margin(500, 500, 0.95, 0.5) <= 0);
    /* n different ones are worth as many draws with replacement as give the same margin */
    assert_true(fabs(stats_worth(500, 1) - 1) <= 1e-12);
    assert_true(fabs(stats_worth(500, 250) - 499) <= 1e-9);
    assert_true(stats_worth(500, 500) > DBL_MAX);
    double worth = stats_worth(10000, 4899);
    assert_true(worth > 9603 && worth < 9606); /* of 9,604 and 4,899 of 10,000: Leveugle's table */
}

/* A ratio whose units all weigh 1 is a proportion, of strata and clusters too; whose weights differ, by hand. */
static void ratios(void **state)
{
    (void)state;
    struct ratio_sums plain = {.weight = 1}, strata[2] = {{.weight = 3}, {.weight = 1}},
                      clusters = {.weight = 1};
    for (int i = 0; i < 200; i++) {
        stats_ratio_add(&plain, i % 10 == 0, 1);
        stats_ratio_add(&strata[i % 2], i % 10 == 0 || i % 16 == 1, 1);
    }
    struct cluster_mean m = stats_ratio(&plain, 1, 1);
    assert_true(fabs(m.mean - 0.1) <= 1e-12);
    assert_true(fabs(m.n_effective - 200) <= 1e-9);
    struct stratum s[2] = {{3, (uint64_t)strata[0].a, 100}, {1, (uint64_t)strata[1].a, 100}};
    struct cluster_mean same = stats_stratified(s, 2);
    m = stats_ratio(strata, 2, 1);
    assert_true(fabs(m.mean - same.mean) <= 1e-12);
    assert_true(fabs(m.n_effective - same.n_effective) <= 0.08 * same.n_effective);
    double sum = 0, sum2 = 0;
    for (int i = 0; i < 50; i++) {
        double k = i % 7 == 0 ? 5 : i % 3 == 0;
        stats_ratio_add(&clusters, k, 8);
        sum += k / 8;
        sum2 += k / 8 * k / 8;
    }
    same = stats_clustered(sum, sum2, 50, 8);
    m = stats_ratio(&clusters, 1, 8);
    assert_true(fabs(m.mean - same.mean) <= 1e-12);
    assert_true(fabs(m.n_effective - same.n_effective) <= 0.01 * same.n_effective);
    struct ratio_sums wide = {.weight = 1}; /* half of the units are 64 wide and all fail */
    for (int i = 0; i < 1000; i++)
        stats_ratio_add(&wide, i % 2 ? 64 : 0, i % 2 ? 64 : 32);
    m = stats_ratio(&wide, 1, 1);
    assert_true(fabs(m.mean - 2 / 3.) <= 1e-12);
    /* d = 64/3 of each: variance (64/3)^2 / 48^2 / 1000 */
    assert_true(fabs(m.variance_of_mean - 1 / 5062.5) <= 2e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normal_quantile_is_that_of_scipy),
        cmocka_unit_test(wilson_has_published_values),
        cmocka_unit_test(clopper_pearson_is_that_of_scipy),
        cmocka_unit_test(sample_size_is_leveugles),
        cmocka_unit_test(two_proportions_is_fisher_or_z),
        cmocka_unit_test(newcombe_has_published_values),
        cmocka_unit_test(holm_steps_down),
        cmocka_unit_test(cluster_mean_of_single_trials_is_wilson),
        cmocka_unit_test(weighted_difference_is_a_z_test),
        cmocka_unit_test(clustered_intervals_cover),
        cmocka_unit_test(histograms_are_compared),
        cmocka_unit_test(the_permutation_test_keeps_its_level),
        cmocka_unit_test(kolmogorov_smirnov_is_that_of_scipy),
        cmocka_unit_test(one_stratum_is_a_plain_sample),
        cmocka_unit_test(clusters_of_one_draw_are_a_plain_sample),
        cmocka_unit_test(confidence_sequences),
        cmocka_unit_test(simultaneous_intervals),
        cmocka_unit_test(finite_margins),
        cmocka_unit_test(ratios),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
