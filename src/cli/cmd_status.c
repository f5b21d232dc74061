/* status: how far a campaign is, also while another process runs it. */
#include <stdio.h>

#include "campaign/campaign.h"
#include "cli/cli.h"
#include "cli/watch.h"
#include "store/store.h"

struct status_args {
    double confidence;
};

static void defaults(void *args) { ((struct status_args *)args)->confidence = 0.95; }

const struct cli_command cmd_status = {
    .name = "status",
    .summary = "how far a campaign is, also while it runs",
    .operands = "RUN.db",
    .min_operands = 1,
    .max_operands = 1,
    .examples = "  sievert status run.db\n"
                "  watch sievert status run.db                from another terminal\n",
    .options =
        (const struct cli_option[]){{"confidence", 0, OPT_SHARE, "C", "of the intervals (95%)",
                                     offsetof(struct status_args, confidence)},
                                    CLI_OPTION_END},
    .args_bytes = sizeof(struct status_args),
    .defaults = defaults,
};

enum state { COMPLETE, RUNNING, STOPPED };
static const char *const state_words[] = {"complete", "running", "stopped"};

struct view {
    enum state state;
    const struct store_campaign *campaign;
    struct store_live live; /* of a stopped campaign: what the rows say, without time */
    double rate;
};

/* What the rows say, of the store and of the shards that a run on several ranks left beside it. */
static int look_at_rows(struct view *out, struct store *s, const char *path, struct diag *d)
{
    struct campaign_extent e;
    int rc = campaign_extent(&e, s, path, d);
    if (rc != OK)
        return rc;
    out->live.done = e.n;
    out->live.wanted = out->campaign->planned - out->campaign->first;
    for (int i = 0; i < N_OUTCOMES; i++)
        out->live.outcome[i] = e.outcome[i];
    return OK;
}

static int find_out(struct view *out, struct store *s, const char *path, bool written,
                    struct cli *cli)
{
    bool known;
    struct store_live *l = &out->live;
    int rc = store_get_live(s, &cli->arena, l, &known, &cli->diag);
    if (rc == OK && !(known && written)) {
        *l = (struct store_live){0};
        rc = look_at_rows(out, s, path, &cli->diag);
    }
    out->state = written ? RUNNING : l->done >= l->wanted ? COMPLETE : STOPPED;
    out->rate = l->seconds > 0 ? (double)(l->done - l->began) / l->seconds : 0;
    return rc;
}

static json_t *status_json(const struct view *x, const char *path, double confidence)
{
    const struct store_live *l = &x->live;
    json_t *j = progress_details(l->done, l->wanted, x->rate, l->outcome, confidence);
    json_t *more = json_pack("{s:s, s:s, s:s, s:s, s:s}", "store", path, "state",
                             state_words[x->state], "implementation", x->campaign->impl, "shape",
                             x->campaign->shape, "fault", x->campaign->fault);
    if (l->host)
        json_object_update_new(more, json_pack("{s:s, s:I, s:I, s:I, s:f}", "host", l->host, "pid",
                                               (json_int_t)l->pid, "ranks", (json_int_t)l->ranks,
                                               "jobs", (json_int_t)l->jobs, "seconds", l->seconds));
    json_object_update_new(more, j);
    return more;
}

/* "injections", or of exhaustive campaigns the sites whose every bit is struck. */
static const char *unit(const struct store_campaign *c)
{
    return store_is_exhaustive(c) ? "sites, every bit of them" : "injections";
}

static void print(const struct view *x, const char *path, double confidence)
{
    const struct store_live *l = &x->live;
    uint64_t all = 0;
    char text[48], left[16];
    printf("%s: %s %s, %s, seed %llu\n", path, x->campaign->impl, x->campaign->shape,
           x->campaign->fault, (unsigned long long)x->campaign->seed);
    printf("%s: %llu of %llu %s (%.3g %%)", state_words[x->state], (unsigned long long)l->done,
           (unsigned long long)l->wanted, unit(x->campaign),
           l->wanted ? 100 * (double)l->done / (double)l->wanted : 100.0);
    if (x->rate > 0) {
        format_seconds(left, (double)(l->wanted - l->done) / x->rate);
        printf(", %.0f/s, %s left", x->rate, left);
    }
    if (l->host)
        printf("; process %llu on %s, %llu rank%s, %llu threads", (unsigned long long)l->pid,
               l->host, (unsigned long long)l->ranks, l->ranks == 1 ? "" : "s",
               (unsigned long long)l->jobs);
    if (x->state == STOPPED)
        printf("; the `sievert inject` that began it continues it");
    putchar('\n');
    for (int i = 0; i < N_OUTCOMES; i++)
        all += l->outcome[i];
    if (store_is_exhaustive(x->campaign))
        printf("%llu faults: ", (unsigned long long)all);
    for (int i = 0; i < N_OUTCOMES; i++) {
        share_text(text, l->outcome[i], all, confidence);
        printf("%s%s %s", i ? ", " : "", vocab_word(&vocab_outcomes, i), text);
    }
    putchar('\n');
}

int run_status(struct cli *cli, void *args)
{
    double confidence = ((struct status_args *)args)->confidence;
    const char *path = cli->operands[0];
    struct store *s;
    bool written = store_is_being_written(path);
    int rc = store_open(&s, path, false, &cli->diag);
    if (rc != OK)
        return rc;
    struct view x = {.campaign = store_campaign(s)};
    if (x.campaign && store_is_exhaustive(x.campaign))
        confidence = 0; /* sums, not a sample */
    rc = x.campaign ? find_out(&x, s, path, written, cli)
                    : diag_fail(&cli->diag, ERR_INPUT, (struct loc){.file = path},
                                "a simulation, not a campaign of injections");
    if (rc == OK && cli->json)
        cli_print_json(status_json(&x, path, confidence));
    else if (rc == OK)
        print(&x, path, confidence);
    store_close(s, NULL);
    return rc;
}
