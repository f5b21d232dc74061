/* Rank 0 with a thousand others, who are made up and answer at once: every injection is done by somebody, whoever
 * leaves, and what handing out costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/rng.h"
#include "campaign/campaign.h"
#include "campaign/team.h"
#include "campaign/transport.h"

enum { RANKS = 1001, LEASES_BEFORE_LEAVING = 3 };
static const uint64_t INJECTIONS = 1000000000;

/* Messages on their way to rank 0. */
struct inbox {
    size_t n, read, room;
    struct letter {
        int from;
        struct message m;
    } * v;
};
static struct inbox inbox;
static struct {
    unsigned leases;
    bool leaves, left;
    uint64_t done;
} other[RANKS];
static struct spans {
    size_t n, room;
    struct store_span *v;
} done;

static void post(int from, struct message m)
{
    if (inbox.n == inbox.room) {
        inbox.room = 2 * inbox.room + 64;
        inbox.v = realloc(inbox.v, inbox.room * sizeof *inbox.v);
    }
    inbox.v[inbox.n++] = (struct letter){from, m};
}

static void note_done(struct store_span s)
{
    if (done.n == done.room) {
        done.room = 2 * done.room + 64;
        done.v = realloc(done.v, done.room * sizeof *done.v);
    }
    done.v[done.n++] = s;
}

/* What rank `to` does with it. */
static void send_to(int to, const struct message *m)
{
    enum { START = 2, REPORT = 3, LEASE = 4, STOP = 5, CLOSED = 6 };
    if (m->kind == START)
        post(to, (struct message){.kind = REPORT, .want = 2});
    if (m->kind == STOP)
        post(to, (struct message){.kind = CLOSED});
    if (m->kind != LEASE || other[to].left)
        return;
    if (other[to].leaves && other[to].leases++ == LEASES_BEFORE_LEAVING) {
        other[to].left = true; /* and leaves this one and the next undone */
        post(to, (struct message){.kind = CLOSED});
        return;
    }
    note_done((struct store_span){m->first, m->next});
    other[to].done += m->next - m->first;
    post(
        to,
        (struct message){
            .kind = REPORT, .first = m->first, .next = m->next, .want = 1, .done = other[to].done});
}

static bool receive(struct message *m, int *from)
{
    if (inbox.read == inbox.n) {
        inbox.read = inbox.n = 0;
        return false;
    }
    *m = inbox.v[inbox.read].m;
    *from = inbox.v[inbox.read++].from;
    return true;
}

static bool together;
static void leave(bool all) { together = all; }

static int by_first(const void *x, const void *y)
{
    const struct store_span *a = x, *b = y;
    return (a->first > b->first) - (a->first < b->first);
}

static void everything_is_done(void **state)
{
    (void)state;
    static const struct transport net = {0, RANKS, 1, send_to, receive, leave};
    static const struct store_span todo[] = {{5, 7}, {1000, 1001}, {2000, INJECTIONS}};
    struct progress mine = {0};
    struct store_span lease, hand[4];
    size_t n_hand = 0;
    struct rng r;
    rng_init(&r, 1, 2);
    for (int k = 1; k < RANKS; k++)
        other[k].leaves = rng_below(&r, 20) == 0;
    clock_t began = clock();
    struct team *t = team_new(&net);
    team_start(t, 77, todo, 3, 256);
    for (int k = 1; k < RANKS; k++)
        post(k, (struct message){.kind = 1,
                                 .first = k == 5 ? 78 : 77}); /* READY; one is another program */
    while (!team_over(t)) {
        while (team_turn(t, &mine, &lease))
            hand[n_hand++] = lease;
        if (n_hand && team_ends_lease(t, hand[0].next)) { /* rank 0 works, too */
            note_done(hand[0]);
            memmove(hand, hand + 1, --n_hand * sizeof *hand);
            team_committed(t, &mine);
        }
    }
    double seconds = (double)(clock() - began) / CLOCKS_PER_SEC;
    struct progress p = {.planned = INJECTIONS};
    team_add_progress(t, &p);
    assert_true(p.done > 0 && p.done <= INJECTIONS);
    team_gather(t);
    struct team_stats s = team_stats(t);
    team_close(t);
    assert_int_equal(s.refused, 1);
    assert_int_equal(s.lost, 0);
    assert_true(together);
    assert_true(s.taken_over > 20);
    qsort(done.v, done.n, sizeof *done.v, by_first);
    uint64_t at = 5;
    for (size_t i = 0; i < done.n; i++) {
        if (at == 7)
            at = 1000;
        if (at == 1001)
            at = 2000;
        if (done.v[i].first > at)
            fail_msg("nobody did injections %llu to %llu", (unsigned long long)at,
                     (unsigned long long)done.v[i].first);
        at = done.v[i].next > at ? done.v[i].next : at;
    }
    assert_int_equal(at, INJECTIONS);
    print_message(
        "%llu leases, %llu messages, %llu bytes for 10^9 injections and %d ranks; %.2f s of rank 0 "
        "(%.1f us a message)\n",
        (unsigned long long)s.leases, (unsigned long long)s.messages, (unsigned long long)s.bytes,
        RANKS, seconds, 1e6 * seconds / (double)s.messages);
    free(done.v);
    free(inbox.v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(everything_is_done)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
