/* What identifies a campaign, in and out of the file. */
#include <string.h>

#include "store/priv.h"

enum { TENSORS = 3 }; /* among the numbers: NULL if all are kept */

static int insert_campaign_row(struct store *s, const struct store_campaign *c, struct diag *d)
{
    sqlite3_stmt *q;
    int rc = sql_prepare(s, &q,
                         "INSERT INTO campaign VALUES (1, ?,?,?,?,?,?,?,?, ?,?,?,?, ?,?,?,?,?,?,?, "
                         "?,?,?,?, ?,?,?, ?)",
                         d);
    if (rc != OK)
        return rc;
    const char *texts[] = {c->impl, c->shape,     c->tile,  c->layer,
                           c->ptx,  c->arguments, c->fault, c->population_kind};
    const uint64_t numbers[] = {c->seed,        c->first,        c->planned,         c->tensors,
                                c->hang_factor, c->kernels_hash, c->population,      c->exposure,
                                c->warp_insns,  c->thread_insns, c->workspace_bytes, c->dim[0],
                                c->dim[1],      c->dim[2],       c->dim[3]};
    const struct {
        const float *data;
        size_t n;
    } tensors[] = {
        {c->input, c->input_floats}, {c->filter, c->filter_floats}, {c->golden, c->golden_floats}};
    int at = 1;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        sql_bind_text(q, at++, texts[i]);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (i == TENSORS && c->tensors == STORE_ALL_TENSORS)
            sqlite3_bind_null(q, at++);
        else
            sql_bind_u64(q, at++, numbers[i]);
    for (size_t i = 0; i < sizeof tensors / sizeof tensors[0]; i++)
        sqlite3_bind_blob64(q, at++, tensors[i].n ? (const void *)tensors[i].data : "",
                            tensors[i].n * sizeof(float), SQLITE_STATIC);
    sql_bind_text(q, at, c->made);
    rc = sql_run(s, q, "cannot write the campaign", d);
    sqlite3_finalize(q);
    return rc;
}

static int insert_epsilons(struct store *s, const struct store_campaign *c, struct diag *d)
{
    sqlite3_stmt *q;
    int rc = sql_prepare(s, &q, "INSERT INTO epsilon VALUES (?, ?)", d);
    for (size_t i = 0; rc == OK && i < c->n_epsilons; i++) {
        sqlite3_bind_int64(q, 1, (int64_t)i);
        sqlite3_bind_double(q, 2, c->epsilons[i]);
        rc = sql_run(s, q, "cannot write the campaign", d);
    }
    sqlite3_finalize(q);
    return rc;
}

static int insert_launches(struct store *s, const struct store_campaign *c, struct diag *d)
{
    sqlite3_stmt *q;
    int rc = sql_prepare(s, &q, "INSERT INTO launch VALUES (?,?,?, ?,?,?, ?,?,?, ?,?,?,?)", d);
    for (size_t i = 0; rc == OK && i < c->n_launches; i++) {
        const struct store_launch *l = &c->launches[i];
        sqlite3_bind_int64(q, 1, (int64_t)i);
        sql_bind_text(q, 2, l->kernel);
        sql_bind_text(q, 3, l->label);
        for (int k = 0; k < 3; k++) {
            sql_bind_u64(q, 4 + k, l->grid[k]);
            sql_bind_u64(q, 7 + k, l->block[k]);
        }
        sql_bind_u64(q, 10, l->ctas);
        sql_bind_u64(q, 11, l->warp_insns);
        sql_bind_u64(q, 12, l->thread_insns);
        sql_bind_u64(q, 13, l->population);
        rc = sql_run(s, q, "cannot write the campaign", d);
    }
    sqlite3_finalize(q);
    return rc;
}

static int insert_strata(struct store *s, const struct store_campaign *c, struct diag *d)
{
    sqlite3_stmt *q;
    int rc = sql_prepare(s, &q, "INSERT INTO stratum VALUES (?,?,?,?)", d);
    for (size_t i = 0; rc == OK && i < c->n_strata; i++) {
        sqlite3_bind_int64(q, 1, (int64_t)i);
        sqlite3_bind_int64(q, 2, c->strata[i].launch);
        sql_bind_text(q, 3, c->strata[i].part);
        sql_bind_u64(q, 4, c->strata[i].population);
        rc = sql_run(s, q, "cannot write the campaign", d);
    }
    sqlite3_finalize(q);
    return rc;
}

int campaign_insert(struct store *s, const struct store_campaign *c, struct diag *d)
{
    int rc = insert_campaign_row(s, c, d);
    if (rc == OK)
        rc = insert_epsilons(s, c, d);
    if (rc == OK)
        rc = insert_launches(s, c, d);
    return rc == OK ? insert_strata(s, c, d) : rc;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static const float *read_tensor(struct store *s, sqlite3_stmt *q, int col, size_t *n)
{
    size_t bytes = (size_t)sqlite3_column_bytes(q, col);
    const void *blob = sqlite3_column_blob(q, col);
    float *out = arena_alloc(&s->arena, bytes);
    if (blob)
        memcpy(out, blob, bytes);
    *n = bytes / sizeof(float);
    return out;
}

/* The tables' CHECKs hold for what SQL wrote; a forged file can have left them out. */
static bool sizes_agree(const struct store_campaign *c)
{
    size_t n = 1;
    for (int i = 0; i < 4; i++)
        if (__builtin_mul_overflow(n, c->dim[i], &n))
            return false;
    return n > 0 && n == c->golden_floats && n <= UINT32_MAX;
}

static int read_campaign_row(struct store *s, sqlite3_stmt *q, struct diag *d)
{
    struct store_campaign *c = s->campaign;
    const char **texts[] = {&c->impl, &c->shape,     &c->tile,  &c->layer,
                            &c->ptx,  &c->arguments, &c->fault, &c->population_kind};
    uint64_t *numbers[] = {&c->seed,       &c->first,        &c->planned,        &c->tensors,
                           NULL,           &c->kernels_hash, &c->population,     &c->exposure,
                           &c->warp_insns, &c->thread_insns, &c->workspace_bytes};
    int at = 1;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        *texts[i] = sql_text(q, at++, &s->arena);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++, at++)
        if (i == TENSORS && sqlite3_column_type(q, at) == SQLITE_NULL)
            c->tensors = STORE_ALL_TENSORS;
        else if (numbers[i])
            *numbers[i] = sql_u64(q, at);
        else
            c->hang_factor = (uint32_t)sql_u64(q, at);
    for (int i = 0; i < 4; i++)
        c->dim[i] = sql_u64(q, at++);
    c->input = read_tensor(s, q, at++, &c->input_floats);
    c->filter = read_tensor(s, q, at++, &c->filter_floats);
    c->golden = read_tensor(s, q, at++, &c->golden_floats);
    c->made = sql_text(q, at, &s->arena);
    return sizes_agree(c) ? OK : sql_damaged(s, d, "the golden tensor does not have its size");
}

static void read_launch(struct store *s, sqlite3_stmt *q, struct store_launch *l)
{
    l->kernel = sql_text(q, 1, &s->arena);
    l->label = sql_text(q, 2, &s->arena);
    for (int k = 0; k < 3; k++) {
        l->grid[k] = (uint32_t)sql_u64(q, 3 + k);
        l->block[k] = (uint32_t)sql_u64(q, 6 + k);
    }
    l->ctas = sql_u64(q, 9);
    l->warp_insns = sql_u64(q, 10);
    l->thread_insns = sql_u64(q, 11);
    l->population = sql_u64(q, 12);
}

static int read_launches(struct store *s, struct diag *d)
{
    struct store_campaign *c = s->campaign;
    sqlite3_stmt *q;
    uint64_t n;
    int rc = sql_one_u64(s, "SELECT count(*) FROM launch", &n, d);
    if (rc != OK || (rc = sql_prepare(s, &q, "SELECT * FROM launch ORDER BY id", d)) != OK)
        return rc;
    struct store_launch *launches = arena_array(&s->arena, n, sizeof *launches);
    c->launches = launches;
    while ((rc = sql_step(s, q, d)) == 1 && c->n_launches < n)
        read_launch(s, q, &launches[c->n_launches++]);
    sqlite3_finalize(q);
    return rc < 0 ? rc : OK;
}

static int read_strata(struct store *s, struct diag *d)
{
    struct store_campaign *c = s->campaign;
    sqlite3_stmt *q;
    uint64_t n;
    int rc = sql_one_u64(s, "SELECT count(*) FROM stratum", &n, d);
    if (rc != OK ||
        (rc = sql_prepare(s, &q, "SELECT launch, part, population FROM stratum ORDER BY id", d)) !=
            OK)
        return rc;
    struct store_stratum *strata = arena_array(&s->arena, n, sizeof *strata);
    c->strata = strata;
    while ((rc = sql_step(s, q, d)) == 1 && c->n_strata < n)
        strata[c->n_strata++] = (struct store_stratum){(uint32_t)sql_u64(q, 0),
                                                       sql_text(q, 1, &s->arena), sql_u64(q, 2)};
    sqlite3_finalize(q);
    for (size_t i = 0; rc == 0 && i < c->n_strata; i++)
        if (strata[i].launch >= c->n_launches || strata[i].population == 0)
            return sql_damaged(s, d, "a stratum has impossible values");
    return rc < 0 ? rc : OK;
}

static int read_epsilons(struct store *s, struct diag *d)
{
    struct store_campaign *c = s->campaign;
    sqlite3_stmt *q;
    uint64_t n;
    int rc = sql_one_u64(s, "SELECT count(*) FROM epsilon", &n, d);
    if (rc != OK || (rc = sql_prepare(s, &q, "SELECT value FROM epsilon ORDER BY id", d)) != OK)
        return rc;
    double *epsilons = arena_array(&s->arena, n, sizeof *epsilons);
    c->epsilons = epsilons;
    while ((rc = sql_step(s, q, d)) == 1 && c->n_epsilons < n)
        epsilons[c->n_epsilons++] = sqlite3_column_double(q, 0);
    sqlite3_finalize(q);
    return rc < 0 ? rc : OK;
}

int campaign_load(struct store *s, struct diag *d)
{
    sqlite3_stmt *q;
    int rc = sql_prepare(s, &q, "SELECT * FROM campaign", d);
    if (rc != OK)
        return rc;
    s->campaign = ARENA_NEW(&s->arena, struct store_campaign);
    rc = sql_step(s, q, d);
    if (rc == 1)
        rc = read_campaign_row(s, q, d);
    sqlite3_finalize(q);
    if (rc == OK)
        rc = read_launches(s, d);
    if (rc == OK)
        rc = read_strata(s, d);
    return rc == OK ? read_epsilons(s, d) : rc;
}

/* ---- Comparing ------------------------------------------------------------------------------- */

static bool same_launches(const struct store_campaign *a, const struct store_campaign *b)
{
    if (a->n_launches != b->n_launches)
        return false;
    for (size_t i = 0; i < a->n_launches; i++) {
        const struct store_launch *x = &a->launches[i], *y = &b->launches[i];
        if (strcmp(x->kernel, y->kernel) != 0 || memcmp(x->grid, y->grid, sizeof x->grid) != 0 ||
            memcmp(x->block, y->block, sizeof x->block) != 0 || x->warp_insns != y->warp_insns ||
            x->thread_insns != y->thread_insns || x->population != y->population)
            return false;
    }
    return true;
}

static bool same_floats(const float *a, size_t na, const float *b, size_t nb)
{
    return na == nb && (na == 0 || memcmp(a, b, na * sizeof *a) == 0);
}

static const char *none_if_null(const char *s) { return s ? s : ""; }

int store_same_campaign(const struct store *s, const struct store_campaign *c, struct diag *d)
{
    struct loc at = {.file = s->path};
    const struct store_campaign *m = s->campaign;
    if (!m)
        return diag_fail(d, ERR_INPUT, at, "a simulation, not a campaign of injections");
    const struct {
        const char *what, *mine, *theirs;
    } texts[] = {{"implementation", m->impl, c->impl},
                 {"shape", m->shape, c->shape},
                 {"tile", m->tile, c->tile},
                 {"layer", m->layer, c->layer},
                 {"arguments", m->arguments, c->arguments},
                 {"fault", m->fault, c->fault},
                 {"population", m->population_kind, c->population_kind}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (strcmp(texts[i].mine, none_if_null(texts[i].theirs)) != 0)
            return diag_fail(d, ERR_INPUT, at, "holds another campaign: its %s is '%s', not '%s'",
                             texts[i].what, texts[i].mine, none_if_null(texts[i].theirs));
    const struct {
        const char *what;
        uint64_t mine, theirs;
    } numbers[] = {{"seed", m->seed, c->seed},
                   {"hang factor", m->hang_factor, c->hang_factor},
                   {"hash of kernels", m->kernels_hash, c->kernels_hash},
                   {"population", m->population, c->population},
                   {"number of epsilons", m->n_epsilons, c->n_epsilons}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (numbers[i].mine != numbers[i].theirs)
            return diag_fail(d, ERR_INPUT, at, "holds another campaign: its %s is %llu, not %llu",
                             numbers[i].what, (unsigned long long)numbers[i].mine,
                             (unsigned long long)numbers[i].theirs);
    if (m->tensors != c->tensors)
        return diag_fail(
            d, ERR_INPUT, at,
            "holds another campaign: it keeps the tensors of another number of SDCs (--tensors)");
    if (memcmp(m->epsilons, c->epsilons, m->n_epsilons * sizeof(double)) != 0)
        return diag_fail(d, ERR_INPUT, at, "holds another campaign: its epsilons differ");
    if (strcmp(m->ptx, none_if_null(c->ptx)) != 0)
        return diag_fail(d, ERR_INPUT, at, "holds another campaign: its PTX differs");
    if (!same_floats(m->input, m->input_floats, c->input, c->input_floats) ||
        !same_floats(m->filter, m->filter_floats, c->filter, c->filter_floats))
        return diag_fail(d, ERR_INPUT, at, "holds another campaign: its input or filter differs");
    if (!same_launches(m, c) ||
        !same_floats(m->golden, m->golden_floats, c->golden, c->golden_floats))
        return diag_fail(d, ERR_INPUT, at,
                         "holds another campaign: its launches or golden output differ");
    return OK;
}
