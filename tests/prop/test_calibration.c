/* Do 95 % intervals contain the truth in 95 % of campaigns? A small convolution, whose every fault is tried, gives
 * the truth; 1,000 campaigns with seeds 1 to 1,000 are sampled from it, by each design. Prints the figures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "campaign/priv.h"
#include "prop/engines.h"
#include "stats/stats.h"

enum { INJECTIONS = 1000, CLUSTER = 8, WIDEST = 64 };

static uint64_t campaigns = 1000;

/* Every fault of a population: outcome by site and bit. */
struct truth {
    const struct golden *g;
    uint8_t *bits, *outcome;
    double share[N_OUTCOMES];
    double of_bits[N_OUTCOMES]; /* where every bit counts alike, not every site */
};

static void keep_bits(void *ctx, size_t i, const struct experiment_result *r)
{
    ((uint8_t *)ctx)[i] = (uint8_t)r->strike.bits;
}

struct keeping {
    struct truth *t;
    uint64_t first;
};

static void keep_outcome(void *ctx, size_t i, const struct experiment_result *r)
{
    struct keeping *k = ctx;
    k->t->outcome[(k->first + i / WIDEST) * WIDEST + i % WIDEST] = (uint8_t)r->outcome;
}

static void find_truth(struct truth *t, const struct simt_program *p, const struct golden *g)
{
    enum { SITES = 256 };
    uint64_t n = golden_population(g);
    struct experiment *e = experiment_new(p, g, ENGINE_CONCURRENT, 10);
    struct fault *f = malloc((n > SITES * WIDEST ? n : SITES * WIDEST) * sizeof *f);
    *t = (struct truth){.g = g, .bits = calloc(n, 1), .outcome = calloc(n, WIDEST)};
    assert_true(f && t->bits && t->outcome);
    for (uint64_t u = 0; u < n; u++)
        f[u] = golden_fault(g, u);
    experiment_run_all(e, f, n, keep_bits, t->bits);
    for (uint64_t first = 0; first < n; first += SITES) {
        uint64_t sites = n - first < SITES ? n - first : SITES;
        for (uint64_t i = 0; i < sites * WIDEST; i++) {
            f[i] = golden_fault(g, first + i / WIDEST);
            f[i].draw[0] = i % WIDEST;
        }
        experiment_run_all(e, f, sites * WIDEST, keep_outcome, &(struct keeping){t, first});
    }
    for (uint64_t u = 0; u < n; u++)
        for (int b = 0; b < t->bits[u]; b++) {
            t->share[t->outcome[u * WIDEST + (uint64_t)b]] += 1.0 / t->bits[u] / (double)n;
            t->of_bits[t->outcome[u * WIDEST + (uint64_t)b]] += 1 / (double)golden_exposure(g);
        }
    experiment_free(e);
    free(f);
}

static uint64_t site_of(const struct truth *t, const struct fault *f)
{
    return t->g->sites_before[t->g->first[f->launch] + (size_t)f->cta] + f->nth;
}

static enum outcome look_up(const struct truth *t, const struct fault *f)
{
    uint64_t u = site_of(t, f);
    return (enum outcome)t->outcome[u * WIDEST + f->draw[0] % t->bits[u]];
}

static bool contains(struct interval i, double p) { return i.lo <= p && p <= i.hi; }

struct design {
    const char *name;
    double least, most; /* coverage that is right */
    uint64_t hits[N_OUTCOMES], all, n;
};

static void judge(struct design *d)
{
    print_message("%-44s", d->name);
    for (int o = 0; o < N_OUTCOMES && d->hits[0]; o++) {
        double c = (double)d->hits[o] / (double)campaigns;
        print_message("  %s %5.1f %%", vocab_word(&vocab_outcomes, o), 100 * c);
        if (campaigns == 1000 && (c < d->least || c > d->most))
            fail_msg("%s: %.1f %%", d->name, 100 * c);
    }
    if (d->all) {
        double c = (double)d->all / (double)campaigns;
        print_message("  together %5.1f %%", 100 * c);
        if (campaigns == 1000 && (c < d->least || c > d->most))
            fail_msg("%s: %.1f %%", d->name, 100 * c);
    }
    print_message("  (%.0f injections)\n", (double)d->n / (double)campaigns);
}

/* Bits of the sites struck, and those that came out as each outcome, of a stratum or all. */
struct exposed {
    struct ratio_sums of[N_OUTCOMES];
};

static void expose(struct exposed *x, const double hit[N_OUTCOMES], double bits)
{
    for (int o = 0; o < N_OUTCOMES; o++)
        stats_ratio_add(&x->of[o], hit[o], bits);
}

static struct interval of_mean(struct cluster_mean m)
{
    return stats_wilson(m.mean * m.n_effective, m.n_effective, 0.95);
}

static void judge_bits(struct design *d, const struct exposed *x, size_t n, double trials,
                       const struct truth *t)
{
    for (int o = 0; o < N_OUTCOMES; o++) {
        struct ratio_sums s[64];
        for (size_t i = 0; i < n; i++)
            s[i] = x[i].of[o];
        d->hits[o] += contains(of_mean(stats_ratio(s, n, trials)), t->of_bits[o]);
    }
}

static void plain(const struct truth *t, struct design *wilson, struct design *exact,
                  struct design *together, struct design *bits)
{
    for (uint64_t seed = 1; seed <= campaigns; seed++) {
        uint64_t k[N_OUTCOMES] = {0};
        struct interval joint[N_OUTCOMES];
        bool all = true;
        struct exposed x = {.of = {{.weight = 1}, {.weight = 1}, {.weight = 1}}};
        for (uint64_t i = 0; i < INJECTIONS; i++) {
            struct fault f = campaign_fault(t->g, seed, i);
            double hit[N_OUTCOMES] = {0}, w = t->bits[site_of(t, &f)];
            hit[look_up(t, &f)] = w;
            k[look_up(t, &f)]++;
            expose(&x, hit, w);
        }
        judge_bits(bits, &x, 1, 1, t);
        stats_goodman(joint, k, N_OUTCOMES, 0.95);
        for (int o = 0; o < N_OUTCOMES; o++) {
            wilson->hits[o] += contains(stats_wilson((double)k[o], INJECTIONS, 0.95), t->share[o]);
            exact->hits[o] += contains(stats_clopper_pearson(k[o], INJECTIONS, 0.95), t->share[o]);
            all &= contains(joint[o], t->share[o]);
        }
        together->all += all;
    }
    wilson->n = exact->n = together->n = bits->n = campaigns * INJECTIONS;
}

/* No fault twice, half of all there are: the population is small. */
static void distinct(const struct truth *t, struct design *d, struct design *naive)
{
    uint64_t all = golden_faults(t->g), n = all / 2;
    for (uint64_t seed = 1; seed <= campaigns; seed++) {
        uint64_t k[N_OUTCOMES] = {0};
        for (uint64_t i = 0; i < n; i++) {
            struct fault f = campaign_fault(t->g, seed, i);
            k[look_up(t, &f)]++;
        }
        double worth = stats_worth(all, n);
        for (int o = 0; o < N_OUTCOMES; o++) {
            double p = (double)k[o] / (double)n;
            d->hits[o] += contains(stats_wilson(p * worth, worth, 0.95), t->share[o]);
            naive->hits[o] += contains(stats_wilson((double)k[o], (double)n, 0.95), t->share[o]);
        }
    }
    d->n = naive->n = campaigns * n;
}

/* What ends a campaign holds for all shares together; what is reported then, for each. */
static void sequential(const struct truth *t, double margin, struct design *d,
                       struct design *reported)
{
    for (uint64_t seed = 1; seed <= campaigns; seed++) {
        uint64_t k[N_OUTCOMES] = {0}, n = 0;
        bool enough = false, all = true;
        while (!enough) {
            for (int i = 0; i < 100; i++) {
                struct fault f = campaign_fault(t->g, seed, n++);
                k[look_up(t, &f)]++;
            }
            enough = all = true;
            for (int o = 0; o < N_OUTCOMES; o++) {
                struct interval x = stats_confidence_sequence(k[o], n, 1 - 0.05 / 3);
                enough &= x.hi - x.lo <= 2 * margin;
                all &= contains(x, t->share[o]);
            }
        }
        d->all += all;
        d->n += n;
        for (int o = 0; o < N_OUTCOMES; o++)
            reported->hits[o] += contains(stats_wilson((double)k[o], (double)n, 0.95), t->share[o]);
    }
    reported->n = d->n;
}

static void clustered(const struct truth *t, struct design *d, struct design *naive,
                      struct design *bits)
{
    for (uint64_t seed = 1; seed <= campaigns; seed++) {
        double sum[N_OUTCOMES] = {0}, sum2[N_OUTCOMES] = {0};
        uint64_t total[N_OUTCOMES] = {0};
        struct exposed x = {.of = {{.weight = 1}, {.weight = 1}, {.weight = 1}}};
        for (uint64_t c = 0; c < INJECTIONS / CLUSTER; c++) {
            uint64_t k[N_OUTCOMES] = {0};
            double hit[N_OUTCOMES] = {0}, w = 0;
            for (uint64_t i = 0; i < CLUSTER; i++) {
                struct fault f = campaign_fault(t->g, seed, c * CLUSTER + i);
                k[look_up(t, &f)]++;
                hit[look_up(t, &f)] += t->bits[site_of(t, &f)];
                w += t->bits[site_of(t, &f)];
            }
            expose(&x, hit, w);
            for (int o = 0; o < N_OUTCOMES; o++) {
                double v = (double)k[o] / CLUSTER;
                sum[o] += v;
                sum2[o] += v * v;
                total[o] += k[o];
            }
        }
        for (int o = 0; o < N_OUTCOMES; o++) {
            struct cluster_mean m = stats_clustered(sum[o], sum2[o], INJECTIONS / CLUSTER, CLUSTER);
            d->hits[o] += contains(of_mean(m), t->share[o]);
            naive->hits[o] +=
                contains(stats_wilson((double)total[o], INJECTIONS, 0.95), t->share[o]);
        }
        judge_bits(bits, &x, 1, CLUSTER, t);
    }
    bits->n = d->n = naive->n = campaigns * INJECTIONS;
}

static void stratified(const struct sample *s, const struct truth *parts, const struct truth *whole,
                       struct design *d, struct design *bits)
{
    const struct store_stratum *strata;
    size_t n = sample_strata(s, &strata);
    for (uint64_t seed = 1; seed <= campaigns; seed++) {
        struct stratum x[N_OUTCOMES][64] = {0};
        struct exposed exposed[64] = {0};
        assert_true(n > 1 && n <= 64);
        for (uint64_t i = 0; i < INJECTIONS; i++) {
            uint32_t h;
            size_t part;
            struct fault f = sample_fault(s, seed, i, &h, &part);
            enum outcome seen = look_up(&parts[part], &f);
            double hit[N_OUTCOMES] = {0}, w = parts[part].bits[site_of(&parts[part], &f)];
            hit[seen] = w;
            expose(&exposed[h], hit, w);
            for (int o = 0; o < N_OUTCOMES; o++) {
                x[o][h].weight = exposed[h].of[o].weight = (double)strata[h].population;
                x[o][h].n++;
                x[o][h].k += seen == (enum outcome)o;
            }
        }
        for (int o = 0; o < N_OUTCOMES; o++)
            d->hits[o] += contains(of_mean(stats_stratified(x[o], n)), whole->share[o]);
        judge_bits(bits, exposed, n, 1, whole);
    }
    bits->n = d->n = campaigns * INJECTIONS;
}

static void intervals_contain_the_truth(void **state)
{
    (void)state;
    struct case_ c;
    struct golden *whole, *strata, *clusters, *few;
    struct sample *s;
    struct diag d = {0};
    struct truth t, in_strata[8], in_clusters, of_few;
    const struct conv_impl *impl;
    assert_int_equal(conv_find(&impl, "winograd-2x2-nonfused", &d), OK);
    assert_true(case_init(&c, impl, "1x1x4x4:2x3x3:p1"));
    const struct simt_program *p = &c.program.sim;
    struct fault_kind kind = {.where = WHERE_GROUP_GP};
    assert_int_equal(golden_run(&whole, p, &kind, &d), OK);
    kind.sampling = SAMPLING_STRATIFIED;
    assert_int_equal(golden_run(&strata, p, &kind, &d), OK);
    assert_int_equal(sample_new(&s, strata, &d), OK);
    kind.sampling = SAMPLING_CLUSTERED;
    kind.cluster = CLUSTER;
    assert_int_equal(golden_run(&clusters, p, &kind, &d), OK);
    kind = (struct fault_kind){
        .where = WHERE_GROUP_GP, .sampling = SAMPLING_DISTINCT, .has_launch = true, .launch = 0};
    assert_int_equal(golden_run(&few, p, &kind, &d), OK);
    find_truth(&of_few, p, few);
    find_truth(&t, p, whole);
    in_clusters = t;
    in_clusters.g = clusters;
    for (size_t i = 0; i < sample_n_parts(s); i++)
        find_truth(&in_strata[i], p, sample_part(s, i));
    print_message("%llu sites, %llu bits: masked %.3f %%, SDC %.3f %%, DUE %.3f %%\n",
                  (unsigned long long)golden_population(whole),
                  (unsigned long long)golden_exposure(whole), 100 * t.share[OUTCOME_MASKED],
                  100 * t.share[OUTCOME_SDC], 100 * t.share[OUTCOME_DUE]);
    print_message("few: %llu sites, masked %.3f %%, SDC %.3f %%, DUE %.3f %%\n",
                  (unsigned long long)golden_population(few), 100 * of_few.share[OUTCOME_MASKED],
                  100 * of_few.share[OUTCOME_SDC], 100 * of_few.share[OUTCOME_DUE]);
    struct design designs[] = {
        {.name = "plain, Wilson", .least = 0.935, .most = 0.965},
        {.name = "plain, Clopper-Pearson", .least = 0.935, .most = 1},
        {.name = "plain, Goodman's simultaneous", .least = 0.935, .most = 0.965},
        {.name = "stratified by launch and group", .least = 0.935, .most = 0.965},
        {.name = "clusters of 8", .least = 0.935, .most = 0.97},
        {.name = "(clusters of 8, taken for independent)", .least = 0, .most = 1},
        {.name = "half of few, no fault twice", .least = 0.935, .most = 0.965},
        {.name = "(half of few, taken for draws from many)", .least = 0, .most = 1},
        {.name = "sequential, margin 5 %", .least = 0.95, .most = 1},
        {.name = "sequential, margin 5 %, Wilson", .least = 0.935, .most = 0.97},
        {.name = "sequential, margin 2 %", .least = 0.95, .most = 1},
        {.name = "sequential, margin 2 %, Wilson", .least = 0.935, .most = 0.965},
        {.name = "plain, per bit-instant", .least = 0.935, .most = 0.965},
        {.name = "stratified, per bit-instant", .least = 0.935, .most = 0.965},
        {.name = "clusters of 8, per bit-instant", .least = 0.935, .most = 0.965},
    };
    plain(&t, &designs[0], &designs[1], &designs[2], &designs[12]);
    stratified(s, in_strata, &t, &designs[3], &designs[13]);
    clustered(&in_clusters, &designs[4], &designs[5], &designs[14]);
    distinct(&of_few, &designs[6], &designs[7]);
    sequential(&t, 0.05, &designs[8], &designs[9]);
    sequential(&t, 0.02, &designs[10], &designs[11]);
    for (size_t i = 0; i < sizeof designs / sizeof *designs; i++)
        judge(&designs[i]);
    sample_free(s);
    golden_free(whole);
    golden_free(strata);
    golden_free(clusters);
    golden_free(few);
    case_fini(&c);
}

int main(void)
{
    const char *more = getenv("SIEVERT_CAMPAIGNS");
    campaigns = more ? strtoull(more, NULL, 10) : campaigns;
    const struct CMUnitTest tests[] = {cmocka_unit_test(intervals_contain_the_truth)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
