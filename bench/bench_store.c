/* The store at scale: rows like those of a real campaign, as many as asked for (SIEVERT_ROWS, 1000000), through the
 * interface that campaigns use. Prints what a row costs to write, on disk and to merge, and how long the whole takes
 * to open and report. Seconds are of the processor unless it says otherwise. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "campaign/campaign.h"
#include "base/rng.h"
#include "conv/conv.h"
#include "report/report.h"

enum { MODEL_ROWS = 20000 };

static struct diag d;
static char folder[] = "/tmp/sievert-bench-XXXXXX";

static const char *in(const char *name)
{
    static char path[4][64];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static void must(int rc)
{
    if (rc == OK)
        return;
    fprintf(stderr, "%s: %s\n", d.file, d.msg);
    exit(1);
}

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double megabytes(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (double)st.st_size * 1e-6 : 0;
}

/* A small real campaign, to take rows from. */
static void run_model(const char *path)
{
    struct arena a = {0};
    struct conv_problem q;
    struct conv_program p;
    const struct conv_impl *impl;
    must(conv_parse_shape(&q, "1x6x14x14:16x5x5", &d));
    must(conv_find(&impl, "direct", &d));
    size_t n_input = 6 * 14 * 14, n_filter = 16 * 6 * 5 * 5;
    float *input = arena_array(&a, n_input, sizeof *input),
          *filter = arena_array(&a, n_filter, sizeof *filter);
    struct rng r;
    rng_init(&r, 1, 0);
    for (size_t i = 0; i < n_input; i++)
        input[i] = (float)(2 * rng_unit(&r) - 1);
    for (size_t i = 0; i < n_filter; i++)
        filter[i] = (float)(2 * rng_unit(&r) - 1);
    must(conv_prepare(&p, &a, &q, impl, NULL, input, filter, &d));
    struct campaign_options o = {.engine = ENGINE_CONCURRENT, .seed = 1, .n = MODEL_ROWS};
    must(fault_kind_parse(&o.kind, "gp:single-bit:thread", &d));
    unlink(path);
    must(campaign_run(path, &p, input, filter, &o, &d));
    conv_program_fini(&p);
    arena_fini(&a);
}

struct rows {
    struct arena a;
    size_t n;
    struct store_injection row[MODEL_ROWS];
};

static int keep(void *ctx, const struct store_injection *i)
{
    struct rows *r = ctx;
    struct store_injection *row = &r->row[r->n++];
    *row = *i;
    row->mnemonic = arena_strdup(&r->a, i->mnemonic);
    row->reg_name = i->reg_name ? arena_strdup(&r->a, i->reg_name) : NULL;
    if (i->outcome != OUTCOME_SDC)
        return OK;
    struct store_diff *diffs = arena_array(&r->a, i->n_diffs, sizeof *diffs);
    memcpy(diffs, i->diffs, i->n_diffs * sizeof *diffs);
    struct store_label *labels = arena_array(&r->a, 3, sizeof *labels);
    for (int e = 0; e < 3; e++) {
        labels[e] = i->labels[e];
        labels[e].domain = arena_strdup(&r->a, labels[e].domain);
    }
    row->diffs = diffs;
    row->labels = labels;
    return OK;
}

/* Rows first to next - 1, taken from the model in turn, leaving out what does not interest. */
static double write_rows(const char *path, const struct store_campaign *c, const struct rows *r,
                         uint64_t first, uint64_t next, bool only_small, double *closing)
{
    struct store *s;
    double began = seconds(CLOCK_PROCESS_CPUTIME_ID);
    unlink(path);
    must(store_create(&s, path, c, &d));
    for (uint64_t n = first, at = 0; n < next; at++) {
        struct store_injection i = r->row[at % r->n];
        if (only_small && i.outcome == OUTCOME_SDC)
            continue;
        i.number = n++;
        must(store_add(s, &i, &d));
    }
    must(store_commit(s, &d));
    double written = seconds(CLOCK_PROCESS_CPUTIME_ID);
    must(store_close(s, &d));
    *closing = seconds(CLOCK_PROCESS_CPUTIME_ID) - written;
    return written - began;
}

int main(void)
{
    static struct rows r;
    const char *env = getenv("SIEVERT_ROWS");
    uint64_t n = env ? strtoull(env, NULL, 0) : 1000000, came;
    double million = (double)n * 1e-6, closing, spent;
    struct store *model, *s;
    json_t *doc;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!mkdtemp(folder))
        return 1;
    run_model(in("model.db"));
    must(store_open(&model, in("model.db"), false, &d));
    must(store_each(model, true, keep, &r, &d));
    uint64_t outcome[N_OUTCOMES];
    must(store_outcomes(model, outcome, &d));
    struct store_campaign c = *store_campaign(model);
    c.planned = n;

    printf("rows as of direct, 1x6x14x14:16x5x5, gp:single-bit:thread: %.1f %% masked, %.1f %% "
           "SDC, %.1f %% DUE\n\n",
           100.0 * (double)outcome[OUTCOME_MASKED] / MODEL_ROWS,
           100.0 * (double)outcome[OUTCOME_SDC] / MODEL_ROWS,
           100.0 * (double)outcome[OUTCOME_DUE] / MODEL_ROWS);
    uint64_t few = n / 10;
    double empty, small;
    c.planned = 0;
    write_rows(in("empty.db"), &c, &r, 0, 0, true, &closing);
    empty = megabytes(in("empty.db"));
    c.planned = few;
    write_rows(in("small.db"), &c, &r, 0, few, true, &closing);
    small = megabytes(in("small.db"));
    printf("masked and DUE injections alone      %10.1f bytes each\n",
           (small - empty) * 1e6 / (double)few);
    c.planned = n;
    spent = write_rows(in("all.db"), &c, &r, 0, n, false, &closing);
    double all = megabytes(in("all.db"));
    printf("all injections                       %10.1f bytes each, %.1f MB per million\n",
           (all - empty) * 1e6 / (double)n, (all - empty) / million);
    printf("written                              %10.0f a second (%.2f s per million)\n",
           (double)n / spent, spent / million);
    printf("closed, laid out afresh              %10.2f s per million\n", closing / million);

    double began = seconds(CLOCK_PROCESS_CPUTIME_ID), wall = seconds(CLOCK_MONOTONIC);
    must(report_campaign(&doc, in("all.db"), 0.95, NULL, &d));
    json_decref(doc);
    printf("opened and reported, %5.1f million   %10.2f s (%.2f s on the wall)\n", million,
           seconds(CLOCK_PROCESS_CPUTIME_ID) - began, seconds(CLOCK_MONOTONIC) - wall);

    /* two shards whose leases alternate, as two ranks leave them */
    enum { LEASE = 20000 };
    for (int k = 0; k < 2; k++) {
        const char *path = k ? in("b.db") : in("a.db");
        unlink(path);
        must(store_create(&s, path, &c, &d));
        for (uint64_t i = 0; i < n; i++)
            if (i / LEASE % 2 == (uint64_t)k) {
                struct store_injection x = r.row[i % r.n];
                x.number = i;
                must(store_add(s, &x, &d));
            }
        must(store_close(s, &d));
    }
    unlink(in("merged.db"));
    must(store_create(&s, in("merged.db"), &c, &d));
    began = seconds(CLOCK_PROCESS_CPUTIME_ID);
    must(store_absorb(s, in("a.db"), &came, &d));
    must(store_absorb(s, in("b.db"), &came, &d));
    spent = seconds(CLOCK_PROCESS_CPUTIME_ID) - began;
    began = seconds(CLOCK_PROCESS_CPUTIME_ID);
    must(store_close(s, &d));
    printf("two shards merged                    %10.0f a second (%.2f s per million), laid out "
           "afresh %.2f s per million\n",
           (double)n / spent, spent / million,
           (seconds(CLOCK_PROCESS_CPUTIME_ID) - began) / million);
    char command[160];
    snprintf(command, sizeof command, "cmp -s %s %s", in("all.db"), in("merged.db"));
    printf("merged equals written at once        %10s\n", system(command) == 0 ? "yes" : "NO");
    store_close(model, NULL);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}
