#include "campaign/team.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "campaign/campaign.h"
#include "campaign/transport.h"

enum message_kind {
    READY = 1, /* to rank 0: first = identity */
    START,     /* from rank 0 */
    REPORT, /* to rank 0: done, outcome; [first, next) was committed if not empty; want more leases */
    LEASE,  /* from rank 0: [first, next) */
    STOP,   /* from rank 0 */
    CLOSED, /* to rank 0: the shard is closed */
    BYE,    /* from rank 0: want = whether all are here */
};

enum { IN_HAND = 2 }; /* leases that a rank has, so that it need not wait for the next */
static const double LEASE_SECONDS = 4, LEAST_SECONDS = 0.5, REPORT_SECONDS = 1, LOST_SECONDS = 20,
                    BYE_SECONDS = 3600;
static const uint64_t LEAST_LEASE = 64;

struct lease {
    struct store_span span;
    int holder, second; /* ranks; -1: none */
    double given;
    bool done;
};
struct member {
    bool here, closed, refused;
    double heard, finished; /* when */
    double rate;            /* injections per second, by its last leases; 0: unknown */
    uint64_t last_size, want, done, outcome[N_OUTCOMES];
};

struct team {
    const struct transport *net;
    uint64_t identity;
    /* of this rank */
    size_t n_hand;
    struct store_span hand[IN_HAND + 1];
    bool over, all_here, gathered;
    double reported;
    /* rank 0's */
    struct member *member;
    size_t n_fresh, fresh;
    struct store_span *todo;           /* not handed out: fresh .. n_fresh */
    uint64_t left, first_lease;        /* injections in it; while no rate is known */
    size_t n_leases, room, first_open; /* leases before first_open are done */
    struct lease *lease;
    struct team_stats stats;
};

static void pause_a_little(void) { nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL); }

int team_rank(const struct team *t) { return t->net->rank; }
int team_size(const struct team *t) { return t->net->size; }
int team_local(const struct team *t) { return t->net->local; }
bool team_over(const struct team *t) { return t->over; }
struct team_stats team_stats(const struct team *t) { return t->stats; }

/* ---- Opening ------------------------------------------------------------------------------------- */

/* How many processes whoever started us says that there are. */
static long started_as(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *v = getenv(names[i]);
        if (v)
            return atol(v);
    }
    return getenv("PMIX_RANK") ? 2 : 1; /* PMIx (srun --mpi=pmix) does not say in the environment */
}

bool team_is_expected(void) { return started_as() > 1; }

/* Beside the program, or where it was installed. */
static void *load_module(void)
{
    char self[3072], path[4096];
    static const char *const places[] = {"", "../lib/sievert/"};
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        return NULL;
    self[n] = 0;
    char *slash = strrchr(self, '/');
    slash[1] = 0;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        snprintf(path, sizeof path, "%s%ssievert-mpi.so", self, places[i]);
        void *module =
            dlopen(path, RTLD_NOW | RTLD_GLOBAL); /* Open MPI loads parts that look for it */
        if (module)
            return module;
    }
    return NULL;
}

struct team *team_new(const struct transport *net)
{
    struct team *t = calloc(1, sizeof *t);
    if (!t || !(t->member = calloc((size_t)net->size, sizeof *t->member)))
        abort();
    t->net = net;
    t->stats.ranks = net->size;
    return t;
}

int team_open(struct team **out, struct diag *d)
{
    *out = NULL;
    if (started_as() < 2)
        return OK;
    void *module = load_module();
    transport_open *open = NULL;
    if (module)
        memcpy(&open, &(void *){dlsym(module, TRANSPORT_SYMBOL)}, sizeof open);
    const struct transport *net = open ? open() : NULL;
    if (!net)
        return diag_fail(d, ERR_UNSUPPORTED, DIAG_NOWHERE,
                         "started by mpirun, but sievert-mpi.so %s: build with Open MPI "
                         "(libopenmpi-dev), or run "
                         "parts (--part 1/8) and merge them",
                         module ? "does not start" : "is not there");
    *out = team_new(net);
    return OK;
}

/* ---- Rank 0: leases ------------------------------------------------------------------------------- */

static void send(struct team *t, int to, struct message m)
{
    t->net->send(to, &m);
    t->stats.messages++;
    t->stats.bytes += sizeof m;
}

static struct lease *new_lease(struct team *t)
{
    if (t->n_leases == t->room) {
        size_t room = t->room ? 2 * t->room : 64;
        struct lease *grown = realloc(t->lease, room * sizeof *grown);
        if (!grown)
            abort();
        t->lease = grown;
        t->room = room;
    }
    t->stats.leases++;
    return &t->lease[t->n_leases++];
}

/* So much that it takes some seconds; less when little is left, so that all end together, but not so little that faults
 * share a run with few others. */
static uint64_t lease_size(const struct team *t, const struct member *m)
{
    double n = m->rate > 0 ? m->rate * LEASE_SECONDS : (double)t->first_lease;
    if (m->last_size && n > 4 * (double)m->last_size)
        n = 4 * (double)m->last_size;
    double share = (double)t->left / (2 * (double)t->net->size), least = m->rate * LEAST_SECONDS;
    share = share > least ? share : least;
    n = n < share ? n : share;
    return n > (double)LEAST_LEASE ? (uint64_t)n : LEAST_LEASE;
}

/* A lease that has been out for long, to be done by this rank as well: the holder is slow or lost. */
static struct lease *overdue(struct team *t, int rank)
{
    while (t->first_open < t->n_leases && t->lease[t->first_open].done)
        t->first_open++;
    for (size_t i = t->first_open; i < t->n_leases; i++) {
        struct lease *l = &t->lease[i];
        bool gone = t->member[l->holder].closed;
        if (!l->done && l->holder != rank && l->second != rank &&
            (gone || (l->second < 0 && clock_seconds() - l->given > 2 * LEASE_SECONDS)))
            return l;
    }
    return NULL;
}

static bool next_lease(struct team *t, int rank, struct store_span *out)
{
    struct member *m = &t->member[rank];
    if (t->fresh == t->n_fresh) {
        struct lease *l = overdue(t, rank);
        if (!l)
            return false;
        if (t->member[l->holder].closed)
            l->holder = rank;
        else
            l->second = rank;
        l->given = clock_seconds();
        t->stats.taken_over++;
        *out = l->span;
        return true;
    }
    struct store_span *s = &t->todo[t->fresh];
    uint64_t n = lease_size(t, m), there = s->next - s->first;
    n = n < there ? n : there;
    *out = (struct store_span){s->first, s->first + n};
    *new_lease(t) =
        (struct lease){.span = *out, .holder = rank, .second = -1, .given = clock_seconds()};
    m->last_size = n;
    t->left -= n;
    s->first += n;
    t->fresh += s->first == s->next;
    return true;
}

static void lease_done(struct team *t, int rank, struct store_span span)
{
    struct member *m = &t->member[rank];
    for (size_t i = t->first_open; i < t->n_leases; i++) {
        struct lease *l = &t->lease[i];
        if (l->span.first != span.first || l->span.next != span.next)
            continue;
        double since = m->finished > l->given ? m->finished : l->given,
               seconds = clock_seconds() - since;
        m->rate = (double)(span.next - span.first) / (seconds > 1e-3 ? seconds : 1e-3);
        m->finished = clock_seconds();
        l->done = true;
    }
}

static bool all_done(struct team *t)
{
    while (t->first_open < t->n_leases && t->lease[t->first_open].done)
        t->first_open++;
    return t->fresh == t->n_fresh && t->first_open == t->n_leases;
}

/* ---- Rank 0: messages ----------------------------------------------------------------------------- */

static void hear(struct team *t, int from, const struct message *m)
{
    struct member *x = &t->member[from];
    x->heard = clock_seconds();
    t->stats.messages++;
    t->stats.bytes += sizeof *m;
    switch (m->kind) {
    case READY:
        x->refused = m->first != t->identity;
        t->stats.refused += x->refused;
        x->here = true;
        x->want = 0;
        send(t, from, (struct message){.kind = x->refused || t->gathered ? STOP : START});
        return;
    case REPORT:
        x->done = m->done;
        for (int i = 0; i < N_OUTCOMES; i++)
            x->outcome[i] = m->outcome[i];
        x->want += m->want;
        if (m->next > m->first)
            lease_done(t, from, (struct store_span){m->first, m->next});
        return;
    case CLOSED:
        x->closed = true;
        x->want = 0;
        return;
    default:
        return;
    }
}

static void serve(struct team *t)
{
    struct message m;
    struct store_span span;
    int from;
    while (t->net->receive(&m, &from))
        hear(t, from, &m);
    for (int r = 1; r < t->net->size; r++)
        while (t->member[r].want && next_lease(t, r, &span)) {
            t->member[r].want--;
            send(t, r, (struct message){.kind = LEASE, .first = span.first, .next = span.next});
        }
}

void team_start(struct team *t, uint64_t identity, const struct store_span *todo, size_t n,
                uint64_t first_lease)
{
    t->identity = identity;
    t->first_lease = first_lease;
    t->todo = calloc(n + 1, sizeof *t->todo);
    if (!t->todo)
        abort();
    memcpy(t->todo, todo, n * sizeof *todo);
    t->n_fresh = n;
    for (size_t i = 0; i < n; i++)
        t->left += todo[i].next - todo[i].first;
    t->member[0].want = IN_HAND;
    t->over = n == 0;
}

void team_add_progress(const struct team *t, struct progress *p)
{
    for (int r = 1; r < t->net->size; r++) {
        const struct member *m = &t->member[r];
        p->done += m->done;
        p->masked += m->outcome[OUTCOME_MASKED];
        p->sdc += m->outcome[OUTCOME_SDC];
        p->due += m->outcome[OUTCOME_DUE];
    }
    if (p->done > p->planned) /* what two ranks did */
        p->done = p->planned;
}

void team_gather(struct team *t)
{
    double began = clock_seconds();
    t->gathered = true;
    for (int r = 1; r < t->net->size; r++)
        send(t, r, (struct message){.kind = STOP});
    t->n_fresh = t->fresh; /* nothing more is handed out */
    t->first_open = t->n_leases;
    for (int waiting = 1; waiting;) {
        serve(t);
        waiting = 0;
        for (int r = 1; r < t->net->size; r++) {
            const struct member *m = &t->member[r];
            double heard = m->heard > began ? m->heard : began;
            waiting += !m->closed && clock_seconds() - heard < LOST_SECONDS;
        }
        if (waiting)
            pause_a_little();
    }
    t->all_here = true;
    for (int r = 1; r < t->net->size; r++) {
        t->all_here &= t->member[r].closed;
        t->stats.lost += !t->member[r].closed;
    }
}

/* ---- All ranks ------------------------------------------------------------------------------------- */

static void report(struct team *t, const struct progress *mine, struct store_span done,
                   uint64_t want)
{
    t->reported = clock_seconds();
    send(t, 0,
         (struct message){.kind = REPORT,
                          .first = done.first,
                          .next = done.next,
                          .want = want,
                          .done = mine->done - mine->before,
                          .outcome = {[OUTCOME_MASKED] = mine->masked,
                                      [OUTCOME_SDC] = mine->sdc,
                                      [OUTCOME_DUE] = mine->due}});
}

bool team_join(struct team *t, uint64_t identity, const volatile bool *stop)
{
    struct message m = {0};
    int from;
    send(t, 0, (struct message){.kind = READY, .first = identity});
    while (m.kind != START && m.kind != STOP && !(stop && *stop))
        if (!t->net->receive(&m, &from))
            pause_a_little();
    t->over = m.kind != START;
    if (!t->over)
        report(t, &(struct progress){0}, (struct store_span){0, 0}, IN_HAND);
    return !t->over;
}

static bool take(struct team *t, struct store_span *lease, struct store_span got)
{
    *lease = t->hand[t->n_hand++] = got;
    return true;
}

bool team_turn(struct team *t, const struct progress *mine, struct store_span *lease)
{
    struct message m;
    int from;
    if (t->net->rank == 0) {
        serve(t);
        t->over = all_done(t);
        if (t->member[0].want && next_lease(t, 0, lease)) {
            t->member[0].want--;
            return take(t, lease, *lease);
        }
        return false;
    }
    while (t->net->receive(&m, &from)) {
        if (m.kind == LEASE && t->n_hand <= IN_HAND)
            return take(t, lease, (struct store_span){m.first, m.next});
        t->over |= m.kind == STOP;
    }
    if (clock_seconds() - t->reported >= REPORT_SECONDS)
        report(t, mine, (struct store_span){0, 0}, 0);
    return false;
}

bool team_ends_lease(const struct team *t, uint64_t next)
{
    return t->n_hand && t->hand[0].next == next;
}

void team_committed(struct team *t, const struct progress *mine)
{
    struct store_span done = t->hand[0];
    memmove(t->hand, t->hand + 1, --t->n_hand * sizeof *t->hand);
    if (t->net->rank) {
        report(t, mine, done, 1);
        return;
    }
    lease_done(t, 0, done);
    t->member[0].want++;
}

void team_close(struct team *t)
{
    if (t->net->rank == 0) {
        if (!t->gathered)
            team_gather(t);
        for (int r = 1; r < t->net->size; r++)
            if (t->member[r].closed)
                send(t, r, (struct message){.kind = BYE, .want = t->all_here});
    } else {
        struct message m = {0};
        int from;
        double began = clock_seconds();
        send(t, 0, (struct message){.kind = CLOSED});
        while (m.kind != BYE && clock_seconds() - began < BYE_SECONDS)
            if (!t->net->receive(&m, &from))
                pause_a_little();
        t->all_here = m.kind == BYE && m.want;
    }
    if (t->net->rank == 0 || t->all_here)
        t->net->leave(t->all_here);
    free(t->lease);
    free(t->todo);
    free(t->member);
    free(t);
}
