/* Which SDCs keep their differences when the campaign has room for only so many: those of lowest rank.
 * A rank is a random number fixed by seed and number, so the sample is uniform without replacement, and
 * the same whatever the order in which SDCs come and however the work was shared out: the lowest of all
 * are among the lowest of each part. */
#include <stdlib.h>

#include "base/rng.h"
#include "store/priv.h"

static struct ranked rank_of(const struct store *s, uint64_t number)
{
    struct rng r;
    rng_init(&r, s->campaign->seed ^ 0x73616d706c65,
             number); /* not the stream that drew the fault */
    return (struct ranked){rng_u64(&r), number};
}

static bool above(struct ranked a, struct ranked b)
{
    return a.rank != b.rank ? a.rank > b.rank : a.number > b.number;
}

static bool limited(const struct store *s)
{
    return s->campaign && s->campaign->tensors != STORE_ALL_TENSORS;
}

static void sift_down(struct ranked *h, size_t n)
{
    for (size_t i = 0, child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && above(h[child + 1], h[child]))
            child++;
        if (!above(h[child], h[i]))
            return;
        struct ranked t = h[i];
        h[i] = h[child];
        h[child] = t;
    }
}

static int push(struct sample *m, struct ranked r, struct diag *d)
{
    if (m->n == m->room) {
        size_t room = m->room ? 2 * m->room : 64;
        struct ranked *grown = realloc(m->heap, room * sizeof *grown);
        if (!grown)
            return diag_fail(d, ERR_NOMEM, DIAG_NOWHERE, "out of memory");
        m->heap = grown;
        m->room = room;
    }
    size_t i = m->n++;
    for (; i > 0 && above(r, m->heap[(i - 1) / 2]); i = (i - 1) / 2)
        m->heap[i] = m->heap[(i - 1) / 2];
    m->heap[i] = r;
    return OK;
}

static int drop_diffs(struct store *s, uint64_t number, struct diag *d)
{
    int rc = s->drop_diffs ? OK
                           : sql_prepare(s, &s->drop_diffs,
                                         "UPDATE injection SET diffs = NULL WHERE number = ?", d);
    if (rc != OK)
        return rc;
    sql_bind_u64(s->drop_diffs, 1, number);
    return sql_run(s, s->drop_diffs, "cannot write", d);
}

int sample_offer(struct store *s, uint64_t number, bool *keep, struct diag *d)
{
    struct sample *m = &s->sample;
    uint64_t limit = s->campaign->tensors;
    *keep = true;
    if (!limited(s))
        return OK;
    struct ranked r = rank_of(s, number);
    if (m->n < limit)
        return push(m, r, d);
    *keep = limit > 0 && above(m->heap[0], r);
    if (!*keep)
        return OK;
    uint64_t out = m->heap[0].number;
    m->heap[0] = r;
    sift_down(m->heap, m->n);
    return drop_diffs(s, out, d);
}

static int load(struct store *s, struct diag *d)
{
    sqlite3_stmt *q;
    int rc = sql_prepare(s, &q, "SELECT number FROM injection WHERE diffs IS NOT NULL", d);
    while (rc == OK && (rc = sql_step(s, q, d)) == 1)
        rc = push(&s->sample, rank_of(s, sql_u64(q, 0)), d);
    sqlite3_finalize(q);
    return rc;
}

int sample_trim(struct store *s, struct diag *d)
{
    struct sample *m = &s->sample;
    m->n = 0;
    int rc = limited(s) ? load(s, d) : OK;
    while (rc == OK && limited(s) && m->n > s->campaign->tensors) {
        rc = drop_diffs(s, m->heap[0].number, d);
        m->heap[0] = m->heap[--m->n];
        sift_down(m->heap, m->n);
    }
    return rc;
}
