/* merge: stores of one campaign, made apart, into one. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "store/store.h"

struct merge_args {
    const char *store;
};

const struct cli_command cmd_merge = {
    .name = "merge",
    .summary = "parts of one campaign, run apart, into one store",
    .operands = "A.db B.db...",
    .min_operands = 1,
    .max_operands = -1,
    .examples =
        "  sievert merge part-*.db -o run.db          equals the store of a campaign run at once\n"
        "  sievert merge late.db -o run.db            add to a store that is there\n",
    .options = (const struct cli_option[]){{"output", 'o', OPT_STRING, "RUN.db",
                                            "the store; added to if it is there",
                                            offsetof(struct merge_args, store)},
                                           CLI_OPTION_END},
    .args_bytes = sizeof(struct merge_args),
};

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Before anything is written: can all be read, and are they of one campaign? The first is left open. */
static int check(struct store **first, struct cli *cli)
{
    int rc = store_open(first, cli->operands[0], false, &cli->diag);
    if (rc == OK && !store_campaign(*first))
        rc = diag_fail(&cli->diag, ERR_INPUT, (struct loc){.file = cli->operands[0]},
                       "a simulation, not a campaign of injections");
    for (int i = 1; rc == OK && i < cli->n_operands; i++) {
        struct store *s = NULL;
        rc = store_open(&s, cli->operands[i], false, &cli->diag);
        if (rc == OK)
            rc = store_same_campaign(s, store_campaign(*first), &cli->diag);
        store_close(s, NULL);
    }
    return rc;
}

static int open_target(struct store **out, const char *path, const struct store_campaign *c,
                       struct diag *d)
{
    if (access(path, F_OK) != 0)
        return store_create(out, path, c, d);
    int rc = store_open(out, path, true, d);
    if (rc == OK && (rc = store_same_campaign(*out, c, d)) != OK) {
        store_close(*out, NULL);
        *out = NULL;
    }
    return rc;
}

static int absorb_all(struct store *to, struct cli *cli, const char *path, uint64_t *added)
{
    struct progress_line line;
    int rc = OK;
    double began = clock_seconds();
    progress_begin(&line, cli);
    for (int i = 0; rc == OK && i < cli->n_operands; i++) {
        progress_show(&line, (double)i / cli->n_operands, clock_seconds() - began, "%s",
                      cli->operands[i]);
        if (!same_file(cli->operands[i], path))
            rc = store_absorb(to, cli->operands[i], &added[i], &cli->diag);
    }
    progress_end(&line);
    return rc;
}

static void print(struct cli *cli, const char *path, const char *unit, const uint64_t *added,
                  uint64_t n, uint64_t planned)
{
    json_t *parts = json_array();
    struct table t;
    table_init(&t, &cli->arena, 2,
               (const char *const[]){"store", arena_printf(&cli->arena, "%s added", unit)});
    for (int i = 0; i < cli->n_operands; i++) {
        table_cell(&t, "%s", cli->operands[i]);
        table_cell(&t, "%llu", (unsigned long long)added[i]);
        json_array_append_new(parts, json_pack("{s:s, s:I}", "store", cli->operands[i], "added",
                                               (json_int_t)added[i]));
    }
    if (cli->json) {
        cli_print_json(json_pack("{s:s, s:I, s:I, s:o}", "store", path, "injections", (json_int_t)n,
                                 "planned", (json_int_t)planned, "parts", parts));
        return;
    }
    table_print(&t);
    printf("\n%s holds %llu of %llu %s\n", path, (unsigned long long)n, (unsigned long long)planned,
           unit);
    json_decref(parts);
}

int run_merge(struct cli *cli, void *args)
{
    const char *path = ((struct merge_args *)args)->store;
    struct store *first = NULL, *to = NULL;
    uint64_t n = 0, planned = 0;
    const char *unit = "injections";
    if (!path)
        return diag_fail(&cli->diag, ERR_INPUT, DIAG_NOWHERE, "-o RUN.db is missing");
    uint64_t *added = arena_array(&cli->arena, (size_t)cli->n_operands, sizeof *added);
    int rc = check(&first, cli);
    if (rc == OK)
        rc = open_target(&to, path, store_campaign(first), &cli->diag);
    store_close(first, NULL);
    if (rc == OK)
        rc = absorb_all(to, cli, path, added);
    if (rc == OK)
        rc = store_count(to, &n, &cli->diag);
    if (rc == OK)
        planned = store_campaign(to)->planned - store_campaign(to)->first;
    if (rc == OK && store_is_exhaustive(store_campaign(to)))
        unit = "sites";
    int closed = store_close(to, &cli->diag);
    rc = rc != OK ? rc : closed;
    if (rc == OK)
        print(cli, path, unit, added, n, planned);
    return rc;
}
