/* Shards: run.db.rank-0001 and so on lie beside run.db while a campaign runs on several ranks, each written
 * by one of them. Whoever opens the campaign next takes them in, so that a run that was cut off loses nothing. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "campaign/priv.h"

static const char INFIX[] = ".rank-";

const char *shard_name(struct arena *a, const char *store, int rank)
{
    return arena_printf(a, "%s%s%04d", store, INFIX, rank);
}

/* A file beside the store: a shard, or (rest: "-wal", ".123.tmp", ...) something of one. */
struct file {
    const char *shard, *rest;
};
struct files {
    size_t n, room;
    struct file *v;
};

static void add(struct files *s, struct arena *a, struct file f)
{
    if (s->n == s->room) {
        size_t room = s->room ? 2 * s->room : 64;
        struct file *grown = arena_array(a, room, sizeof *grown);
        if (s->n)
            memcpy(grown, s->v, s->n * sizeof *grown);
        s->v = grown;
        s->room = room;
    }
    s->v[s->n++] = f;
}

static int by_name(const void *x, const void *y)
{
    return strcmp(((const struct file *)x)->shard, ((const struct file *)y)->shard);
}

/* The shards beside the store, by rank, or what else there is of shards. */
static struct files find(struct arena *a, const char *store, bool rests)
{
    struct files found = {0};
    const char *slash = strrchr(store, '/'), *base = slash ? slash + 1 : store;
    const char *folder = slash ? arena_strndup(a, store, (size_t)(slash - store) + 1) : "";
    const char *prefix = arena_printf(a, "%s%s", base, INFIX);
    DIR *dir = opendir(slash ? folder : ".");
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (strncmp(e->d_name, prefix, strlen(prefix)) != 0)
            continue;
        const char *rank = e->d_name + strlen(prefix);
        size_t digits = strspn(rank, "0123456789"), n = (size_t)(rank - e->d_name) + digits;
        if (digits && (e->d_name[n] != 0) == rests)
            add(&found, a,
                (struct file){arena_printf(a, "%s%.*s", folder, (int)n, e->d_name),
                              arena_strdup(a, e->d_name + n)});
    }
    if (dir)
        closedir(dir);
    if (found.n)
        qsort(found.v, found.n, sizeof *found.v, by_name);
    return found;
}

static void delete (struct arena *a, const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        unlink(arena_printf(a, "%s%s", path, suffixes[i]));
}

int shards_absorb(struct store *s, const char *store, uint64_t *n, struct diag *d)
{
    struct arena a = {0};
    struct files all = find(&a, store, false);
    int rc = OK;
    *n = 0;
    for (size_t i = 0; rc == OK && i < all.n; i++) {
        uint64_t came;
        rc = store_absorb(s, all.v[i].shard, &came, d);
        *n += came;
    }
    if (rc == OK && all.n)
        rc = store_sync(s, d); /* before what they hold is nowhere else */
    for (size_t i = 0; rc == OK && i < all.n; i++)
        delete (&a, all.v[i].shard);
    arena_fini(&a);
    return rc;
}

void shards_tidy(const char *store)
{
    struct arena a = {0};
    struct files all = find(&a, store, true);
    for (size_t i = 0; i < all.n; i++) {
        store_sweep(all.v[i].shard);
        if (access(all.v[i].shard, F_OK) != 0)
            delete (&a, all.v[i].shard);
    }
    arena_fini(&a);
}

/* ---- Extent ----------------------------------------------------------------------------------- */

static int by_first(const void *x, const void *y)
{
    const struct store_span *a = x, *b = y;
    return (a->first > b->first) - (a->first < b->first);
}

struct union_of {
    size_t n;
    struct store_span *v;
};

static int add_store(struct union_of *u, struct campaign_extent *e, struct arena *a,
                     struct store *s, struct diag *d)
{
    const struct store_span *spans;
    size_t n;
    uint64_t outcome[N_OUTCOMES];
    int rc = store_spans(s, a, &spans, &n, d);
    if (rc != OK || (rc = store_outcomes(s, outcome, d)) != OK)
        return rc;
    struct store_span *grown = arena_array(a, u->n + n, sizeof *grown);
    if (u->n)
        memcpy(grown, u->v, u->n * sizeof *grown);
    if (n)
        memcpy(grown + u->n, spans, n * sizeof *grown);
    *u = (struct union_of){u->n + n, grown};
    for (int i = 0; i < N_OUTCOMES; i++)
        e->outcome[i] += outcome[i];
    return OK;
}

int campaign_extent(struct campaign_extent *out, struct store *s, const char *path, struct diag *d)
{
    struct arena a = {0};
    struct union_of u = {0};
    struct files all = find(&a, path, false);
    *out = (struct campaign_extent){.shards = all.n};
    int rc = add_store(&u, out, &a, s, d);
    for (size_t i = 0; rc == OK && i < all.n; i++) {
        struct store *shard = NULL;
        if (store_open(&shard, all.v[i].shard, false, &(struct diag){0}) ==
            OK) /* it may vanish any time */
            rc = add_store(&u, out, &a, shard, d);
        store_close(shard, NULL);
    }
    if (u.n)
        qsort(u.v, u.n, sizeof *u.v, by_first);
    for (uint64_t i = 0, at = 0; rc == OK && i < u.n; i++) {
        uint64_t first = u.v[i].first > at ? u.v[i].first : at;
        out->n += u.v[i].next > first ? u.v[i].next - first : 0;
        at = u.v[i].next > at ? u.v[i].next : at;
    }
    arena_fini(&a);
    return rc;
}
