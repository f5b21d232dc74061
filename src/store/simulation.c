/* Simulations of errors in a network: identity and rows. */
#include <math.h>

#include "store/priv.h"

int simulation_insert(struct store *s, const struct store_simulation *sim, struct diag *d)
{
    sqlite3_stmt *q;
    int rc = sql_prepare(s, &q, "INSERT INTO simulation VALUES (1, ?,?,?,?,?,?, ?,?,?)", d);
    if (rc != OK)
        return rc;
    const char *texts[] = {sim->network, sim->dataset, sim->layer, sim->impl, sim->source,
                           sim->errors};
    for (int i = 0; i < 6; i++)
        sql_bind_text(q, i + 1, texts[i]);
    sql_bind_u64(q, 7, sim->seed);
    sql_bind_u64(q, 8, sim->planned);
    sql_bind_u64(q, 9, sim->images);
    rc = sql_run(s, q, "cannot write the simulation", d);
    sqlite3_finalize(q);
    return rc;
}

int simulation_load(struct store *s, struct diag *d)
{
    sqlite3_stmt *q;
    int rc = sql_prepare(s, &q, "SELECT * FROM simulation", d);
    if (rc != OK)
        return rc;
    rc = sql_step(s, q, d);
    if (rc == 1) {
        struct store_simulation *sim = ARENA_NEW(&s->arena, struct store_simulation);
        const char **texts[] = {&sim->network, &sim->dataset, &sim->layer, &sim->impl, &sim->source,
                                &sim->errors};
        for (int i = 0; i < 6; i++)
            *texts[i] = sql_text(q, i + 1, &s->arena);
        sim->seed = sql_u64(q, 7);
        sim->planned = sql_u64(q, 8);
        sim->images = sql_u64(q, 9);
        s->simulation = sim;
        rc = OK;
    } else if (rc == 0) {
        rc = sql_damaged(s, d, "it holds neither a campaign nor a simulation");
    }
    sqlite3_finalize(q);
    return rc;
}

int store_sim_add(struct store *s, const struct store_trial *t, struct diag *d)
{
    if (t->number != s->count)
        return diag_fail(d, ERR_INPUT, (struct loc){.file = s->path},
                         "trial %llu follows %llu: numbers must ascend without gaps",
                         (unsigned long long)t->number, (unsigned long long)s->count);
    int rc = s->insert ? OK : sql_prepare(s, &s->insert,
                                          "INSERT INTO trial VALUES (?,?,?,?,?,?,?,?,?,?)", d);
    if (rc != OK)
        return rc;
    sqlite3_clear_bindings(s->insert);
    sql_bind_u64(s->insert, 1, t->number);
    sql_bind_u64(s->insert, 2, t->image);
    if (t->injection >= 0)
        sqlite3_bind_int64(s->insert, 3, t->injection);
    if (t->pattern >= 0)
        sqlite3_bind_int(s->insert, 4, t->pattern);
    sql_bind_u64(s->insert, 5, t->corrupted);
    sqlite3_bind_int(s->insert, 6, (int)t->effect);
    sqlite3_bind_int(s->insert, 7, t->answer_golden);
    sqlite3_bind_int(s->insert, 8, t->answer_faulty);
    sqlite3_bind_int(s->insert, 9, t->label);
    sqlite3_bind_double(s->insert, 10, isnan(t->score_change) ? (double)INFINITY : t->score_change);
    rc = sql_run(s, s->insert, "cannot write", d);
    return rc == OK ? row_added(s, d) : rc;
}

static int or_minus_one(sqlite3_stmt *q, int col)
{
    return sqlite3_column_type(q, col) == SQLITE_NULL ? -1 : sqlite3_column_int(q, col);
}

int store_sim_each(struct store *s, int (*each)(void *ctx, const struct store_trial *t), void *ctx,
                   struct diag *d)
{
    sqlite3_stmt *q;
    if (!s->simulation)
        return diag_fail(d, ERR_INPUT, (struct loc){.file = s->path},
                         "a campaign of injections, not a simulation");
    int rc = sql_prepare(s, &q, "SELECT * FROM trial ORDER BY number", d);
    if (rc != OK)
        return rc;
    while ((rc = sql_step(s, q, d)) == 1) {
        struct store_trial t = {
            .number = sql_u64(q, 0),
            .image = sql_u64(q, 1),
            .injection = sqlite3_column_type(q, 2) == SQLITE_NULL ? -1 : sqlite3_column_int64(q, 2),
            .pattern = or_minus_one(q, 3),
            .corrupted = sql_u64(q, 4),
            .effect = (enum effect)sqlite3_column_int(q, 5),
            .answer_golden = sqlite3_column_int(q, 6),
            .answer_faulty = sqlite3_column_int(q, 7),
            .label = sqlite3_column_int(q, 8),
            .score_change = sqlite3_column_double(q, 9),
        };
        if ((unsigned)t.effect >= N_EFFECTS || t.pattern >= N_PATTERNS) {
            rc = sql_damaged(s, d, "a trial has impossible values");
            break;
        }
        if ((rc = each(ctx, &t)) != 0)
            break;
    }
    sqlite3_finalize(q);
    return rc;
}
