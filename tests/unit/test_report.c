/* Every figure of the document against values worked out here, from the counts put into the stores. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../report_fixture.h"
#include "report/doc.h"
#include "report/report.h"

#define DIR TEST_BINARY_DIR "/report-test/"
static const double Z = 1.959963984540054; /* of 95 % */

static void near(double got, double want)
{
    if (!(fabs(got - want) <= 6e-6 * fabs(want) + 1e-12))
        fail_msg("got %.9g, want %.9g", got, want);
}

static void wilson(double p, double n, double *lo, double *hi)
{
    double centre = (p + Z * Z / (2 * n)) / (1 + Z * Z / n);
    double half = Z / (1 + Z * Z / n) * sqrt(p * (1 - p) / n + Z * Z / (4 * n * n));
    *lo = p == 0 ? 0 : centre - half;
    *hi = p == 1 ? 1 : centre + half;
}

static void check_interval(const json_t *e, const char *value, double p, double n)
{
    double lo, hi;
    wilson(p, n, &lo, &hi);
    near(doc_number(e, value), p);
    near(doc_number(e, "lo"), lo);
    near(doc_number(e, "hi"), hi);
}

static void check_share(const json_t *o, const char *path, double k, double n)
{
    const json_t *e = doc_at(o, path);
    if (!e)
        fail_msg("no %s", path);
    near(doc_number(e, "n"), k);
    check_interval(e, "share", k / n, n);
}

/* The sample size that clusters with these sums amount to. */
static double effective(double sum, double sum2, double n)
{
    double m = (sum + 1) / (n + 2), variance = (sum2 + 1) / (n + 2) - m * m;
    return m * (1 - m) / (variance / n);
}

/* Ten injections: 4 masked, 5 SDC (3 single, 1 same_row, 1 full_channels), 1 DUE. */
static const struct fix_row ten[10] = {
    {.outcome = OUTCOME_MASKED, .line = 4},
    {OUTCOME_SDC, TRAP_NONE, PATTERN_SINGLE, -1, 1, 1e-5, 5},
    {OUTCOME_DUE, TRAP_ILLEGAL_ADDRESS, 0, 0, 0, 0, 5},
    {OUTCOME_SDC, TRAP_NONE, PATTERN_SINGLE, PATTERN_SINGLE, 1, 0.5, 5},
    {.outcome = OUTCOME_MASKED, .line = 4},
    {OUTCOME_SDC, TRAP_NONE, PATTERN_SAME_ROW, PATTERN_SINGLE, 5, 2, 6},
    {.outcome = OUTCOME_MASKED, .line = 6},
    {OUTCOME_SDC, TRAP_NONE, PATTERN_FULL_CHANNELS, PATTERN_FULL_CHANNELS, 200, INFINITY, 6},
    {OUTCOME_SDC, TRAP_NONE, PATTERN_SINGLE, PATTERN_SINGLE, 1, 30, 6},
    {.outcome = OUTCOME_MASKED, .line = 6},
};
/* The SDCs are injections 1, 3, 5, 7, 8; two trials each: critical shares 1, 1/2, 0, 0, 0. */
static const struct fix_trial ten_direct[10] = {
    {1, EFFECT_CRITICAL},  {3, EFFECT_CRITICAL}, {5, EFFECT_TOLERABLE}, {7, EFFECT_MASKED},
    {8, EFFECT_TOLERABLE}, {1, EFFECT_CRITICAL}, {3, EFFECT_TOLERABLE}, {5, EFFECT_MASKED},
    {7, EFFECT_MASKED},    {8, EFFECT_MASKED}};

static int setup(void **state)
{
    struct fix_trial model[20];
    (void)state;
    MUST(file_mkdirs(DIR, d));
    for (int i = 0; i < 20; i++)
        model[i] = (struct fix_trial){-1, i < 5 ? EFFECT_CRITICAL : EFFECT_TOLERABLE};
    fix_campaign(DIR "ten.db", "conv1", "direct", ten, 10, 1000, 64000, 512);
    fix_simulation(DIR "ten-direct.db", "conv1", "direct", "direct", ten_direct, 10);
    static const char json[] =
        "{\"_tensor_count\": 4, \"_rejected_tensors_proportion\": 0.2, \"single\": {\"count\": 4, "
        "\"domain_classes\": [{\"in_range\": [100, 100], \"count\": 4}], "
        "\"parameters\": [{\"keys\": {}, \"stats\": {}, \"count\": 4}]}}";
    MUST(file_write(DIR "ten.json", json, strlen(json), d));
    fix_simulation(DIR "ten-model.db", "conv1", "direct", "model", model, 20);
    return 0;
}

static const struct report_cell ten_cell = {.layer = "conv1",
                                            .impl = "direct",
                                            .campaign = DIR "ten.db",
                                            .model = DIR "ten.json",
                                            .sim_direct = DIR "ten-direct.db",
                                            .sim_model = DIR "ten-model.db"};

static json_t *build(const struct report_cell *cells, size_t n)
{
    static const char *const commands[] = {"sievert study 'a b.yaml' -o out", NULL};
    struct report_input in = {.title = "Test",
                              .network = "net.onnx",
                              .dataset = "fashion-mnist",
                              .golden_accuracy = 0.9,
                              .commands = commands,
                              .n_cells = n,
                              .cells = cells};
    json_t *doc = NULL;
    MUST(report_build(&doc, &in, d));
    return doc;
}

static void outcomes_and_provenance(void **state)
{
    (void)state;
    json_t *doc = build(&ten_cell, 1);
    const json_t *c = json_array_get(doc_at(doc, "cells"), 0);
    near(doc_number(doc, "confidence"), 0.95);
    near(doc_number(doc, "golden_accuracy"), 0.9);
    assert_string_equal(json_string_value(json_array_get(doc_at(doc, "commands"), 0)),
                        "sievert study 'a b.yaml' -o out");
    check_share(c, "outcomes.masked", 4, 10);
    check_share(c, "outcomes.SDC", 5, 10);
    check_share(c, "outcomes.DUE", 1, 10);
    check_share(c, "due_reasons.illegal-address", 1, 10);
    assert_int_equal(json_object_size(doc_at(c, "due_reasons")), 1);
    near(doc_number(c, "population"), 1000);
    near(doc_number(c, "instructions.thread"), 64000);
    near(doc_number(c, "instructions.warp"), 2000);
    near(doc_number(c, "workspace_bytes"), 512);
    near(doc_number(c, "provenance.injections"), 10);
    assert_string_equal(doc_text(c, "provenance.seed"), "7");
    assert_string_equal(doc_text(c, "provenance.kernels_hash"), "1234abcd5678ef00");
    assert_string_equal(doc_text(c, "provenance.fault"), "gp:single-bit:thread");
    near(doc_number(c, "golden_range.min"), -1);
    near(doc_number(c, "golden_range.max"), 1);
    json_decref(doc);
}

static void patterns_and_magnitudes(void **state)
{
    (void)state;
    json_t *doc = build(&ten_cell, 1);
    const json_t *c = json_array_get(doc_at(doc, "cells"), 0);
    const json_t *fine = json_array_get(doc_at(c, "epsilons"), 0);
    const json_t *coarse = json_array_get(doc_at(c, "epsilons"), 1);
    near(doc_number(fine, "epsilon"), 0);
    check_share(fine, "corrupted", 5, 10);
    check_share(fine, "patterns.single", 3, 5);
    check_share(fine, "patterns.same_row", 1, 5);
    check_share(fine, "patterns.full_channels", 1, 5);
    check_share(fine, "domains.in_range", 5, 5);
    near(doc_number(fine, "median_cardinality"), 1);
    near(doc_number(fine, "max_cardinality"), 200);
    near(doc_number(coarse, "epsilon"), 1e-3);
    check_share(coarse, "corrupted", 4, 10);
    check_share(coarse, "patterns.single", 3, 4);
    check_share(coarse, "domains.in_range+out_of_range", 4, 4);
    near(doc_number(coarse, "median_cardinality"), 3); /* of 1, 1, 5, 200 */
    /* Errors 1e-5, 0.5, 2, 30 and one that is not finite. */
    near(doc_number(c, "errors.not_finite"), 1);
    near(doc_number(c, "errors.q1"), 1e-5);
    near(doc_number(c, "errors.median"), 0.5);
    near(doc_number(c, "errors.q3"), 2);
    near(doc_number(c, "errors.max"), 30);
    char *decades = json_dumps(doc_at(c, "errors.decades"), JSON_COMPACT);
    assert_string_equal(decades, "[[-5,1],[-1,1],[0,1],[1,1]]");
    free(decades);
    json_decref(doc);
}

/* PTX lines 4, 5, 6 are source lines 104, 105, 106; line 5 is of another file. */
static const char *ptx_of(void *ctx, const struct store_campaign *c, size_t launch)
{
    (void)ctx;
    assert_string_equal(c->impl, "direct");
    assert_int_equal(launch, 0);
    return "\t.file\t1 \"a/main.cl\"\n"
           ".loc 1 104 7\n"
           "\n"
           "add.s32 %r1, %r2, %r3; // line 4\n"
           "\t.loc\t2 105 1 // and 5\n"
           ".loc 1 106 1 // and 6\n"
           ".file 2 \"./a/inlined.h\"\n";
}
static const char *file_of(void *ctx, const char *name)
{
    (void)ctx;
    return strcmp(name, "a/main.cl") == 0 ? "first\n\tsecond </script>\n\nfourth" : NULL;
}

static void source_lines(void **state)
{
    (void)state;
    static const struct report_sources sources = {.ptx = ptx_of, .file = file_of};
    struct report_input in = {.n_cells = 1, .cells = &ten_cell, .sources = &sources};
    json_t *doc = NULL, *plain = build(&ten_cell, 1);
    MUST(report_build(&doc, &in, d));
    /* file, line, masked, SDC, DUE, critical: injections 1 and 3 (shares 1 and 1/2) struck line 105 */
    char *got = json_dumps(doc_at(json_array_get(doc_at(doc, "cells"), 0), "lines"),
                           JSON_COMPACT | JSON_REAL_PRECISION(6));
    assert_string_equal(got, "[[0,104,2,0,0,0.0],[0,106,2,3,0,0.0],[1,105,0,2,1,1.5]]");
    free(got);
    got = json_dumps(doc_at(doc, "sources"), JSON_COMPACT);
    assert_string_equal(got, "[{\"name\":\"a/main.cl\",\"lines\":[\"first\","
                             "\" second </script>\",\"\",\"fourth\"]},"
                             "{\"name\":\"a/inlined.h\",\"lines\":[]}]");
    free(got);
    got = json_dumps(doc_at(json_array_get(doc_at(plain, "cells"), 0), "lines"),
                     JSON_COMPACT | JSON_REAL_PRECISION(6));
    assert_string_equal(got, "[[-1,104,2,0,0,0.0],[-1,105,0,2,1,1.5],[-1,106,2,3,0,0.0]]");
    free(got);
    json_decref(doc);
    json_decref(plain);
}

static void critical_rates(void **state)
{
    (void)state;
    json_t *doc = build(&ten_cell, 1);
    const json_t *direct = doc_at(json_array_get(doc_at(doc, "cells"), 0), "critical.direct");
    const json_t *model = doc_at(json_array_get(doc_at(doc, "cells"), 0), "critical.model");
    double lo, hi;
    near(doc_number(direct, "trials"), 10);
    near(doc_number(direct, "clusters"), 5);
    near(doc_number(direct, "effects.critical"), 3);
    near(doc_number(direct, "effects.tolerable"), 3);
    near(doc_number(direct, "effects.masked"), 4);
    check_interval(doc_at(direct, "given_sdc"), "value", 0.3, effective(1.5, 1.25, 5));
    check_interval(doc_at(direct, "given_fault"), "value", 0.15, effective(1.5, 1.25, 10));
    wilson(0.15, effective(1.5, 1.25, 10), &lo, &hi);
    near(doc_number(direct, "per_inference.value"), 150);
    near(doc_number(direct, "per_inference.lo"), 1000 * lo);
    near(doc_number(direct, "per_inference.hi"), 1000 * hi);
    /* The model stands for 4 of the 5 SDCs. Of its draws 5 of 20 were critical: 4/5 * 5/20, variance
     * 0.25^2 * 0.16/5 + 0.8^2 * 0.1875/20; and 4/10 * 5/20 of the faults. */
    double of_sdc = 0.0625 * 0.032 + 0.64 * 0.009375, of_fault = 0.0625 * 0.024 + 0.16 * 0.009375;
    near(doc_number(model, "modelled"), 4);
    check_interval(doc_at(model, "given_sdc"), "value", 0.2, 0.2 * 0.8 / of_sdc);
    check_interval(doc_at(model, "given_fault"), "value", 0.1, 0.1 * 0.9 / of_fault);
    near(doc_number(model, "per_inference.value"), 100);
    /* Model minus truth: 0.2 - 0.3, the interval from the two by squares. */
    const json_t *difference =
        doc_at(json_array_get(doc_at(doc, "cells"), 0), "critical.difference");
    double dlo, dhi, mlo, mhi, n = effective(1.5, 1.25, 5);
    wilson(0.3, n, &dlo, &dhi);
    wilson(0.2, 0.2 * 0.8 / of_sdc, &mlo, &mhi);
    near(doc_number(difference, "value"), -0.1);
    near(doc_number(difference, "lo"), -0.1 - hypot(0.2 - mlo, dhi - 0.3));
    near(doc_number(difference, "hi"), -0.1 + hypot(mhi - 0.2, 0.3 - dlo));
    char *patterns = json_dumps(doc_at(direct, "patterns"), JSON_COMPACT);
    assert_string_equal(patterns, "{\"single\":[6,3],\"same_row\":[2,0],\"full_channels\":[2,0]}");
    free(patterns);
    json_decref(doc);
}

/* Simulated for too short a time: 3 of the 5 SDCs tried, which stand for 6 of the 10 injections. */
static void few_trials(void **state)
{
    (void)state;
    struct report_cell cell = ten_cell;
    cell.sim_direct = DIR "few.db";
    fix_simulation(DIR "few.db", "conv1", "direct", "direct", ten_direct, 3);
    json_t *doc = build(&cell, 1);
    const json_t *direct = doc_at(json_array_get(doc_at(doc, "cells"), 0), "critical.direct");
    check_interval(doc_at(direct, "given_sdc"), "value", 2. / 3, effective(2, 2, 3));
    check_interval(doc_at(direct, "given_fault"), "value", 2. / 6, effective(2, 2, 6));
    json_decref(doc);
}

/* n injections, every 4th an SDC, of which the first `critical` are critical in one trial each. */
static struct report_cell plain_cell(const char *layer, const char *impl, size_t n, size_t critical,
                                     uint64_t population)
{
    static char paths[16][2][200];
    static int next;
    char(*path)[200] = paths[next++ % 16];
    struct fix_row *row = calloc(n, sizeof *row);
    struct fix_trial *trial = calloc(n, sizeof *trial);
    size_t k = 0;
    snprintf(path[0], 200, DIR "%s-%s.db", layer, impl);
    snprintf(path[1], 200, DIR "%s-%s-direct.db", layer, impl);
    for (size_t i = 0; i < n; i++) {
        row[i] = (struct fix_row){.outcome = OUTCOME_MASKED, .line = 1};
        if (i % 4)
            continue;
        row[i] = (struct fix_row){OUTCOME_SDC, TRAP_NONE, PATTERN_SINGLE, PATTERN_SINGLE, 1, 1, 1};
        trial[k] = (struct fix_trial){(int64_t)i, k < critical ? EFFECT_CRITICAL : EFFECT_MASKED};
        k++;
    }
    fix_campaign(path[0], layer, impl, row, n, population, population, 0);
    fix_simulation(path[1], layer, impl, "direct", trial, k);
    free(row);
    free(trial);
    return (struct report_cell){
        .layer = layer, .impl = impl, .campaign = path[0], .sim_direct = path[1]};
}

static const json_t *entry(const json_t *ranking, const char *impl)
{
    size_t i;
    const json_t *e;
    json_array_foreach (doc_at(ranking, "entries"), i, e)
        if (strcmp(doc_text(e, "impl"), impl) == 0)
            return e;
    fail_msg("%s is not ranked", impl);
    return NULL;
}

static void ranks(void **state)
{
    (void)state;
    /* Critical per fault 40/400, 44/400 and 40/400, over 100, 100 and 1000 sites. */
    struct report_cell cells[] = {
        plain_cell("conv1", "a", 400, 40, 100), plain_cell("conv1", "b", 400, 44, 100),
        plain_cell("conv1", "c", 400, 40, 1000), plain_cell("conv2", "a", 400, 20, 200),
        plain_cell("conv2", "b", 400, 20, 200)};
    json_t *doc = build(cells, 5);
    const json_t *conv1 = json_array_get(doc_at(doc, "ranking.layers"), 0);
    const json_t *net = doc_at(doc, "ranking.network");
    assert_string_equal(doc_text(doc, "ranking.basis"), "critical-direct");
    assert_int_equal(json_array_size(doc_at(doc, "ranking.layers")), 2);
    near(doc_number(entry(conv1, "a"), "value"), 10);
    near(doc_number(entry(conv1, "b"), "relative"), 1.1);
    near(doc_number(entry(conv1, "c"), "relative"), 10);
    near(doc_number(entry(conv1, "a"), "rank"), 1);
    near(doc_number(entry(conv1, "b"), "rank"), 1);
    near(doc_number(entry(conv1, "c"), "rank"), 3);
    assert_string_equal(json_string_value(json_array_get(doc_at(entry(conv1, "a"), "ties"), 0)),
                        "b");
    assert_int_equal(json_array_size(doc_at(entry(conv1, "c"), "ties")), 0);

    /* The test of a against b: z on 100 * 40/400 and 100 * 44/400, steadied variances. */
    double pa = 41. / 402, pb = 45. / 402;
    double z = 1 / sqrt(1e4 * (pa * (1 - pa) + pb * (1 - pb)) / 400);
    const json_t *test = json_array_get(doc_at(conv1, "tests"), 0);
    assert_string_equal(doc_text(test, "b"), "b");
    near(doc_number(test, "p"), erfc(z / sqrt(2)));
    assert_false(json_is_true(doc_at(test, "significant")));

    /* Over the network: sums for a and b, whose intervals add in squares; c lacks conv2. */
    double lo1, hi1, lo2, hi2;
    wilson(0.1, 400, &lo1, &hi1);
    wilson(0.05, 400, &lo2, &hi2);
    near(doc_number(entry(net, "a"), "value"), 20);
    near(doc_number(entry(net, "a"), "hi"), 20 + hypot(100 * (hi1 - 0.1), 200 * (hi2 - 0.05)));
    near(doc_number(entry(net, "a"), "lo"), 20 - hypot(100 * (0.1 - lo1), 200 * (0.05 - lo2)));
    assert_string_equal(json_string_value(json_array_get(doc_at(net, "partial"), 0)), "c");
    assert_string_equal(doc_text(doc, "summary.headline"),
                        "No significant difference among the 2 implementations.");
    json_decref(doc);
}

/* Three pairs with p of .02, .03 and .9 or so: without the correction one more would be significant. */
static void holm_corrects(void **state)
{
    (void)state;
    struct report_cell cells[] = {plain_cell("conv3", "a", 400, 20, 100),
                                  plain_cell("conv3", "b", 400, 36, 100),
                                  plain_cell("conv3", "c", 400, 37, 100)};
    json_t *doc = build(cells, 3);
    size_t i, raw = 0, corrected = 0;
    const json_t *t;
    double p[3], worst = 0;
    json_array_foreach (doc_at(doc, "ranking.network.tests"), i, t) {
        p[i] = doc_number(t, "p");
        raw += p[i] <= 0.05;
        corrected += json_is_true(doc_at(t, "significant"));
        worst = fmax(worst, doc_number(t, "p_holm"));
    }
    assert_int_equal(raw, 2);
    assert_int_equal(corrected, p[1] * 3 <= 0.05 ? (p[0] * 2 <= 0.05 ? 2 : 1) : 0);
    assert_true(corrected < raw);
    near(worst, p[2]);
    json_decref(doc);
}

static void falls_back(void **state)
{
    (void)state;
    struct report_cell cells[] = {plain_cell("conv4", "a", 40, 1, 100),
                                  plain_cell("conv4", "b", 40, 1, 300)};
    cells[1].sim_direct = NULL;
    json_t *doc = build(cells, 2);
    assert_string_equal(doc_text(doc, "ranking.basis"), "SDC");
    near(doc_number(entry(doc_at(doc, "ranking.network"), "b"), "value"), 75);
    assert_null(doc_at(json_array_get(doc_at(doc, "cells"), 1), "critical.direct"));
    json_decref(doc);
}

static void pictures(void **state)
{
    (void)state;
    json_t *doc = build(&ten_cell, 1);
    const json_t *list = doc_at(json_array_get(doc_at(doc, "cells"), 0), "pictures");
    const json_t *single = json_array_get(list, 0), *worst = json_array_get(list, 3);
    assert_int_equal(json_array_size(list), 4); /* three patterns, and the worst of the first */
    assert_string_equal(doc_text(single, "pattern"), "single");
    near(doc_number(single, "injection"), 1); /* 1, 3 and 8 have the median cardinality */
    assert_string_equal(doc_text(worst, "kind"), "worst");
    assert_string_equal(doc_text(worst, "pattern"), "single");
    near(doc_number(worst, "injection"),
         8); /* of injections 1, 3 and 8 that with the largest error */
    const json_t *full = json_array_get(list, 2);
    assert_string_equal(doc_text(full, "pattern"), "full_channels");
    near(doc_number(full, "injection"), 7);
    near(doc_number(full, "corrupted"), 200);
    near(doc_number(full, "channels"), 4);
    near(doc_number(full, "height"), 8);
    near(doc_number(full, "width"), 4 * 9 - 1);
    assert_string_equal(doc_text(full, "command"), "sievert replay " DIR "ten.db 7");
    assert_memory_equal(doc_text(full, "png"), "data:image/png;base64,iVBORw0KGgo", 33);
    json_decref(doc);
}

static char *slurp(struct arena *a, const char *path)
{
    struct text t = {0};
    MUST(file_read(&t, a, path, 1 << 24, d));
    return (char *)(uintptr_t)t.ptr;
}

static size_t occurrences(const char *text, const char *what)
{
    size_t n = 0;
    for (; (text = strstr(text, what)); text += strlen(what))
        n++;
    return n;
}

/* Names that try to break out of the page, the terminal and the spreadsheet. */
static void hostile_names(void **state)
{
    (void)state;
    struct arena a = {0};
    static const char evil[] = "</script><img src=x onerror=alert(1)>\033[31m\xff\"&'";
    struct report_cell cell = ten_cell;
    cell.layer = evil;
    cell.impl = "=1+1,\"x\"\n";
    json_t *doc = build(&cell, 1);
    MUST(report_html(DIR "evil.html", doc, d));
    MUST(report_csv(DIR "evil.csv", doc, d));
    MUST(report_write_json(DIR "evil.json", doc, d));
    char *html = slurp(&a, DIR "evil.html"), *csv = slurp(&a, DIR "evil.csv");
    assert_int_equal(occurrences(html, "</script"), 3);
    assert_int_equal(occurrences(html, "<img src=x"), 0);
    assert_int_equal(occurrences(html, "\033"), 0);
    assert_int_equal(occurrences(html, "&lt;img src=x onerror"), occurrences(html, "&lt;/script"));
    assert_non_null(strstr(csv, "\"'=1+1,\"\"x\"\"?\""));
    assert_int_equal(occurrences(csv, "\n="), 0);
    json_error_t error;
    json_t *again = json_load_file(DIR "evil.json", 0, &error);
    assert_non_null(again);
    assert_true(json_equal(again, doc));
    json_decref(again);
    json_decref(doc);
    arena_fini(&a);
}

static void page_asks_for_nothing(void **state)
{
    (void)state;
    struct arena a = {0};
    json_t *doc = build(&ten_cell, 1);
    MUST(report_html(DIR "page.html", doc, d));
    char *html = slurp(&a, DIR "page.html");
    static const char *const requests[] = {"src=\"", "<link",          "@import", "url(",
                                           "fetch(", "XMLHttpRequest", "{{"};
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
        if (occurrences(html, requests[i]))
            fail_msg("the page contains %s", requests[i]);
    assert_int_equal(occurrences(html, "default-src 'none'"), 1);
    assert_true(occurrences(html, "Chart.js v") >= 1); /* the library, with its licence */
    json_decref(doc);
    arena_fini(&a);
}

static void csv_rows(void **state)
{
    (void)state;
    struct arena a = {0};
    json_t *doc = build(&ten_cell, 1);
    MUST(report_csv(DIR "ten.csv", doc, d));
    char *csv = slurp(&a, DIR "ten.csv"), want[160];
    double lo, hi;
    wilson(0.5, 10, &lo, &hi);
    snprintf(want, sizeof want, "\r\nconv1,direct,outcome,SDC,,5,0.5,%.6g,%.6g\r\n", lo, hi);
    assert_non_null(strstr(csv, want));
    wilson(0.75, 4, &lo, &hi);
    snprintf(want, sizeof want, "\r\nconv1,direct,pattern,single,0.001,3,0.75,%.6g,%.6g\r\n", lo,
             hi);
    assert_non_null(strstr(csv, want));
    json_decref(doc);
    arena_fini(&a);
}

static char *terminal(struct arena *a, const json_t *doc, bool colour)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    report_terminal(f, doc, colour);
    fclose(f);
    char *copy = arena_strdup(a, text);
    free(text);
    return copy;
}

static void terminal_table(void **state)
{
    (void)state;
    struct arena a = {0};
    json_t *doc = build(&ten_cell, 1);
    char *plain = terminal(&a, doc, false);
    assert_non_null(strstr(plain, "50.0 % [23.7, 76.3]"));
    assert_non_null(strstr(plain, "30.0 % ["));
    assert_int_equal(occurrences(plain, "\033"), 0);
    assert_true(occurrences(terminal(&a, doc, true), "\033") > 0);
    json_decref(doc);
    arena_fini(&a);
}

static int build_fails(const struct report_cell *cells, size_t n, const char *message)
{
    struct report_input in = {.n_cells = n, .cells = cells};
    struct diag d = {0};
    json_t *doc = NULL;
    int rc = report_build(&doc, &in, &d);
    assert_null(doc);
    if (!strstr(d.msg, message))
        fail_msg("'%s' instead of '%s'", d.msg, message);
    return rc;
}

static void refuses(void **state)
{
    (void)state;
    struct report_cell cells[2] = {ten_cell, ten_cell};
    assert_int_equal(build_fails(NULL, 0, "nothing to report"), ERR_INPUT);
    assert_int_equal(build_fails(cells, 2, "is already given by"), ERR_INPUT);
    cells[0].campaign = DIR "absent.db";
    assert_true(build_fails(cells, 1, "") < 0);
    cells[0] = ten_cell;
    cells[0].sim_direct = DIR "ten-model.db";
    assert_int_equal(build_fails(cells, 1, "holds no direct errors"), ERR_INPUT);
    cells[0].sim_direct = DIR "ten.db";
    assert_true(build_fails(cells, 1, "") < 0);
    static const struct fix_trial stray = {2, EFFECT_MASKED}; /* injection 2 is a DUE */
    fix_simulation(DIR "stray.db", "conv1", "direct", "direct", &stray, 1);
    cells[0].sim_direct = DIR "stray.db";
    assert_int_equal(build_fails(cells, 1, "do not belong together"), ERR_INPUT);
    fix_campaign(DIR "empty.db", "conv1", "direct", ten, 0, 64, 64, 0);
    cells[0] = (struct report_cell){.campaign = DIR "empty.db"};
    assert_int_equal(build_fails(cells, 1, "no injections yet"), ERR_INPUT);
}

static void one_campaign(void **state)
{
    (void)state;
    json_t *doc = NULL;
    MUST(report_campaign(&doc, DIR "ten.db", 0, NULL, d));
    const json_t *c = json_array_get(doc_at(doc, "cells"), 0);
    assert_string_equal(doc_text(c, "layer"), "conv1");
    check_share(c, "outcomes.SDC", 5, 10);
    near(doc_number(c, "sdc_per_inference.value"), 500);
    json_decref(doc);
}

/* 20 layers of 12 implementations: the page stays below 2 MB. */
static void large_study(void **state)
{
    (void)state;
    enum { LAYERS = 20, IMPLS = 12, N = 120 };
    static struct fix_row row[N];
    static char text[LAYERS * IMPLS][5][220];
    struct report_cell cells[LAYERS * IMPLS];
    struct arena a = {0};
    for (int i = 0; i < LAYERS * IMPLS; i++) {
        char(*t)[220] = text[i];
        snprintf(t[0], 220, "features.%d.conv", i / IMPLS);
        snprintf(t[1], 220, "implementation-%d-nonfused", i % IMPLS);
        snprintf(t[2], 220, DIR "large-%d.db", i % 6);
        snprintf(t[3], 220, DIR "large-%d-direct.db", i % 6);
        snprintf(t[4], 220, DIR "large-%d-model.db", i % 6);
        if (i < 6) {
            fix_random_rows(row, N, (uint64_t)i, 600, 100);
            fix_campaign(t[2], "l", "i", row, N, 1000, 1000, 0);
            fix_random_trials(t[3], t[4], "l", "i", row, N, (uint64_t)i, 100);
        }
        cells[i] = (struct report_cell){t[0], t[1], t[2], NULL, t[3], t[4]};
    }
    json_t *doc = build(cells, LAYERS * IMPLS);
    MUST(report_html(DIR "large.html", doc, d));
    size_t size = strlen(slurp(&a, DIR "large.html"));
    print_message("20 x 12: %zu bytes\n", size);
    assert_true(size < 2000000);
    json_decref(doc);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outcomes_and_provenance),
        cmocka_unit_test(patterns_and_magnitudes),
        cmocka_unit_test(source_lines),
        cmocka_unit_test(few_trials),
        cmocka_unit_test(critical_rates),
        cmocka_unit_test(ranks),
        cmocka_unit_test(holm_corrects),
        cmocka_unit_test(falls_back),
        cmocka_unit_test(pictures),
        cmocka_unit_test(hostile_names),
        cmocka_unit_test(page_asks_for_nothing),
        cmocka_unit_test(csv_rows),
        cmocka_unit_test(terminal_table),
        cmocka_unit_test(refuses),
        cmocka_unit_test(one_campaign),
        cmocka_unit_test(large_study),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
