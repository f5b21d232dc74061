/* Simulations of errors in a network: identity and rows. */
#include <math.h>
#include <string.h>

#include "store/priv.h"

enum { TEXTS = 9, FIRST_NUMBER = TEXTS + 1 };

static int insert_layers(struct store *s, const struct store_simulation *sim, struct diag *d)
{
    sqlite3_stmt *q;
    int rc = sql_prepare(s, &q, "INSERT INTO layer VALUES (?,?,?)", d);
    for (size_t k = 0; rc == OK && k < sim->n_layers; k++) {
        sql_bind_u64(q, 1, k);
        sql_bind_text(q, 2, sim->layers[k].name);
        sqlite3_bind_double(q, 3, sim->layers[k].exposure);
        rc = sql_run(s, q, "cannot write the layers", d);
    }
    sqlite3_finalize(q);
    return rc;
}

int simulation_insert(struct store *s, const struct store_simulation *sim, struct diag *d)
{
    sqlite3_stmt *q;
    int rc = sql_prepare(s, &q, "INSERT INTO simulation VALUES (1, ?,?,?,?,?,?,?,?,?, ?,?,?)", d);
    if (rc != OK)
        return rc;
    const char *texts[TEXTS] = {sim->network, sim->dataset, sim->layer,  sim->impl,  sim->task,
                                sim->strike,  sim->share,   sim->source, sim->errors};
    for (int i = 0; i < TEXTS; i++)
        sql_bind_text(q, i + 1, texts[i]);
    sql_bind_u64(q, FIRST_NUMBER, sim->seed);
    sql_bind_u64(q, FIRST_NUMBER + 1, sim->planned);
    sql_bind_u64(q, FIRST_NUMBER + 2, sim->images);
    rc = sql_run(s, q, "cannot write the simulation", d);
    sqlite3_finalize(q);
    return rc == OK ? insert_layers(s, sim, d) : rc;
}

static int load_layers(struct store *s, struct store_simulation *sim, struct diag *d)
{
    sqlite3_stmt *q;
    size_t room = 0;
    struct store_struck *list = NULL;
    int rc = sql_prepare(s, &q, "SELECT name, exposure FROM layer ORDER BY id", d);
    if (rc != OK)
        return rc;
    while ((rc = sql_step(s, q, d)) == 1) {
        if (sim->n_layers == room) {
            room = 2 * room + 16;
            struct store_struck *more = arena_array(&s->arena, room, sizeof *more);
            if (list)
                memcpy(more, list, sim->n_layers * sizeof *more);
            list = more;
        }
        list[sim->n_layers++] =
            (struct store_struck){sql_text(q, 0, &s->arena), sqlite3_column_double(q, 1)};
    }
    sim->layers = list;
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
        const char **texts[TEXTS] = {&sim->network, &sim->dataset, &sim->layer,
                                     &sim->impl,    &sim->task,    &sim->strike,
                                     &sim->share,   &sim->source,  &sim->errors};
        for (int i = 0; i < TEXTS; i++)
            *texts[i] = sql_text(q, i + 1, &s->arena);
        sim->seed = sql_u64(q, FIRST_NUMBER);
        sim->planned = sql_u64(q, FIRST_NUMBER + 1);
        sim->images = sql_u64(q, FIRST_NUMBER + 2);
        rc = load_layers(s, sim, d);
        s->simulation = sim;
    } else if (rc == 0) {
        rc = sql_damaged(s, d, "it holds neither a campaign nor a simulation");
    }
    sqlite3_finalize(q);
    return rc;
}

/* SQLite has no NaN. */
static void bind_real(sqlite3_stmt *q, int at, double x)
{
    sqlite3_bind_double(q, at, isnan(x) ? (double)INFINITY : x);
}

int store_sim_add(struct store *s, const struct store_trial *t, struct diag *d)
{
    if (t->number != s->count)
        return diag_fail(d, ERR_INPUT, (struct loc){.file = s->path},
                         "trial %llu follows %llu: numbers must ascend without gaps",
                         (unsigned long long)t->number, (unsigned long long)s->count);
    int rc = s->insert ? OK
                       : sql_prepare(s, &s->insert,
                                     "INSERT INTO trial VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", d);
    if (rc != OK)
        return rc;
    sqlite3_clear_bindings(s->insert);
    sql_bind_u64(s->insert, 1, t->number);
    sql_bind_u64(s->insert, 2, t->image);
    sql_bind_u64(s->insert, 3, t->layer);
    if (t->injection >= 0)
        sqlite3_bind_int64(s->insert, 4, t->injection);
    if (t->pattern >= 0)
        sqlite3_bind_int(s->insert, 5, t->pattern);
    sql_bind_u64(s->insert, 6, t->corrupted);
    bind_real(s->insert, 7, t->magnitude);
    sqlite3_bind_int(s->insert, 8, (int)t->effect);
    sqlite3_bind_int(s->insert, 9, t->answer_golden);
    sqlite3_bind_int(s->insert, 10, t->answer_faulty);
    sqlite3_bind_int(s->insert, 11, t->label);
    bind_real(s->insert, 12, t->score_change);
    bind_real(s->insert, 13, t->measure);
    sqlite3_bind_int(s->insert, 14, t->top5);
    sqlite3_bind_int(s->insert, 15, t->finite);
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
            .layer = (size_t)sql_u64(q, 2),
            .injection = sqlite3_column_type(q, 3) == SQLITE_NULL ? -1 : sqlite3_column_int64(q, 3),
            .pattern = or_minus_one(q, 4),
            .corrupted = sql_u64(q, 5),
            .magnitude = sqlite3_column_double(q, 6),
            .effect = (enum effect)sqlite3_column_int(q, 7),
            .answer_golden = sqlite3_column_int(q, 8),
            .answer_faulty = sqlite3_column_int(q, 9),
            .label = sqlite3_column_int(q, 10),
            .score_change = sqlite3_column_double(q, 11),
            .measure = sqlite3_column_double(q, 12),
            .top5 = sqlite3_column_int(q, 13) != 0,
            .finite = sqlite3_column_int(q, 14) != 0,
        };
        if ((unsigned)t.effect >= N_EFFECTS || t.pattern >= N_PATTERNS ||
            t.layer >= s->simulation->n_layers) {
            rc = sql_damaged(s, d, "a trial has impossible values");
            break;
        }
        if ((rc = each(ctx, &t)) != 0)
            break;
    }
    sqlite3_finalize(q);
    return rc;
}
