/* Damaged stores: a report is made or refused with a message, never a crash and never half a file.
 * SIEVERT_SEED changes the damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../report_fixture.h"
#include "report/report.h"

#define DIR TEST_BINARY_DIR "/report-hostile/"
enum { ROUNDS = 150 };

static uint64_t seed(void)
{
    const char *s = getenv("SIEVERT_SEED");
    return s ? strtoull(s, NULL, 10) : 1;
}

/* The file with a few bytes changed, or cut short. */
static void damage(const char *to, const struct text *whole, struct rng *r)
{
    char *copy = malloc(whole->len);
    size_t len = whole->len;
    memcpy(copy, whole->ptr, len);
    for (uint64_t n = 1 + rng_below(r, 20); n > 0; n--)
        copy[rng_below(r, len)] = (char)rng_u32(r);
    if (rng_below(r, 10) == 0)
        len = (size_t)rng_below(r, len);
    MUST(file_write(to, copy, len, d));
    free(copy);
}

static int make_reports(const struct report_cell *cell, struct diag *why)
{
    struct report_input in = {.n_cells = 1, .cells = cell};
    json_t *doc = NULL;
    int rc = report_build(&doc, &in, why);
    if (rc != OK) {
        assert_null(doc);
        assert_true(why->msg[0] != 0);
        return rc;
    }
    FILE *null = fopen("/dev/null", "w");
    report_terminal(null, doc, true);
    fclose(null);
    MUST(report_html(DIR "damaged.html", doc, d));
    MUST(report_csv(DIR "damaged.csv", doc, d));
    MUST(report_write_json(DIR "damaged.json", doc, d));
    json_decref(doc);
    return OK;
}

static void damaged_stores(void **state)
{
    enum { N = 80 };
    static struct fix_row row[N];
    struct arena a = {0};
    struct text campaign, trials;
    struct rng r;
    int made = 0, refused = 0;
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed());
    rng_init(&r, seed(), 0);
    MUST(file_mkdirs(DIR, d));
    fix_random_rows(row, N, 3, 600, 100);
    fix_campaign(DIR "whole.db", "conv", "direct", row, N, 5000, 6400, 0);
    fix_random_trials(DIR "direct.db", DIR "model.db", "conv", "direct", row, N, 3, 100);
    MUST(file_read(&campaign, &a, DIR "whole.db", 1 << 24, d));
    MUST(file_read(&trials, &a, DIR "direct.db", 1 << 24, d));
    struct report_cell cell = {
        .campaign = DIR "whole.db", .sim_direct = DIR "direct.db", .sim_model = DIR "model.db"};
    assert_int_equal(make_reports(&cell, &(struct diag){0}), OK);
    for (int i = 0; i < ROUNDS; i++) {
        bool which = rng_below(&r, 2) == 0;
        cell.campaign = which ? DIR "damaged.db" : DIR "whole.db";
        cell.sim_direct = which ? DIR "direct.db" : DIR "damaged.db";
        damage(DIR "damaged.db", which ? &campaign : &trials, &r);
        struct diag why = {0};
        if (make_reports(&cell, &why) == OK)
            made++;
        else
            refused++;
    }
    print_message("%d made, %d refused\n", made, refused);
    assert_true(refused > 0);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(damaged_stores)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
