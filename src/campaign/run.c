/* Workers take batches of numbers; the calling thread writes their rows in order. What is in the store
 * depends on neither. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "campaign/life.h"
#include "campaign/priv.h"
#include "campaign/team.h"
#include "stats/stats.h"

enum { SLOTS_PER_JOB = 2 };

struct batch {
    uint64_t first, n;
    struct store_injection *rows;
    struct fault *faults; /* while it runs: of one part of the sample after another, */
    uint64_t *row_of;     /* each with its row */
    uint32_t *stratum;
    struct arena arena;
    bool done;
};

struct campaign {
    const struct campaign_subject *subject;
    const struct campaign_options *options;
    const struct golden *golden;
    struct sample *sample;
    bool enough; /* stop_margin is reached */
    struct recorder recorder;
    struct store *store;
    uint32_t hang_factor;
    int jobs;
    double began;
    struct progress progress;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct batch
        *slots; /* a ring: batch b is in slot b % n_slots from being taken to being written */
    size_t n_slots, taken, written;  /* batches */
    size_t n_todo, doing, todo_room; /* spans of injections still to be taken: doing .. n_todo */
    struct store_span *todo;
    struct team *team; /* NULL: alone */
    bool more_to_come; /* leases */
    bool quit;
};

static bool stopped(const struct campaign *c) { return c->options->stop && *c->options->stop; }

/* ---- Workers -------------------------------------------------------------------------------------- */

enum { LEAST_BATCH = 1, FIRST_BATCH = 4096, MOST_BATCH = 1 << 16 };

/* Batches last about half a second, or as long as several fault-free runs: that much each may cost before its
 * first fault, which many faults are to share. How long they are changes nothing else. */
static uint64_t adapt(const struct campaign *c, uint64_t n, double seconds)
{
    double wanted = 4 * golden_seconds(c->golden);
    double scale = (wanted > 0.5 ? wanted : 0.5) / (seconds > 1e-4 ? seconds : 1e-4);
    scale = scale > 1 ? scale * scale : scale; /* part of the time does not grow with n */
    double next = (double)n * (scale > 4 ? 4 : scale < 0.25 ? 0.25 : scale);
    return next < LEAST_BATCH ? LEAST_BATCH : next > MOST_BATCH ? MOST_BATCH : (uint64_t)next;
}

/* Nothing is known yet of how long an injection takes; together they take little. */
static uint64_t first_batch(const struct campaign *c)
{
    bool together =
        (c->options->engine == ENGINE_AUTO || c->options->engine == ENGINE_CONCURRENT) &&
        !c->options->fates;
    for (size_t l = 0; l < c->subject->sim->n_launches; l++)
        together &= concurrent_supports(&c->options->kind, c->subject->sim->launches[l].kernel);
    return together ? FIRST_BATCH : 4;
}

/* Of what is left, no more than this worker's share, so that all end at about the same time. */
static uint64_t share_of(const struct campaign *c, uint64_t wanted)
{
    uint64_t left = 0;
    for (size_t i = c->doing; i < c->n_todo; i++)
        left += c->todo[i].next - c->todo[i].first;
    uint64_t share = left / (uint64_t)c->jobs + 1, least = wanted / 4 + 1;
    share = share > least ? share : least;
    return share < wanted ? share : wanted;
}

static struct batch *take(struct campaign *c, uint64_t wanted)
{
    struct batch *b = NULL;
    pthread_mutex_lock(&c->lock);
    while (!c->quit &&
           (c->doing < c->n_todo ? c->taken - c->written == c->n_slots : c->more_to_come))
        pthread_cond_wait(&c->changed, &c->lock);
    if (!c->quit && !stopped(c) && c->doing < c->n_todo) {
        struct store_span *s = &c->todo[c->doing];
        uint64_t left = s->next - s->first, share = share_of(c, wanted);
        b = &c->slots[c->taken++ % c->n_slots];
        *b = (struct batch){.first = s->first, .n = left > share + share / 2 ? share : left};
        s->first += b->n;
        c->doing += s->first == s->next;
    }
    pthread_mutex_unlock(&c->lock);
    return b;
}

struct in_batch {
    const struct campaign *c;
    struct batch *b;
    uint64_t first;        /* of the part, in the batch's faults */
    struct tracer *tracer; /* NULL: fates are not asked for */
};

/* Is the output that these differences make good enough for the user? */
static bool accepted(const struct campaign *c, const struct experiment_result *r)
{
    const struct golden *g = c->golden;
    if (r->outcome != OUTCOME_SDC || !c->options->accept)
        return false;
    float *output = malloc(g->n_floats * sizeof *output);
    if (!output)
        abort();
    memcpy(output, g->output, g->n_floats * sizeof *output);
    for (size_t i = 0; i < r->n_diffs; i++)
        memcpy(&output[r->diffs[i].index], &r->diffs[i].faulty_bits, sizeof *output);
    bool good = c->options->accept(c->options->accept_ctx, output, g->n_floats);
    free(output);
    return good;
}

static void keep(void *ctx, size_t i, const struct experiment_result *r)
{
    struct in_batch *x = ctx;
    struct experiment_result masked, traced;
    struct life life;
    const struct fault *f = &x->b->faults[x->first + i];
    uint64_t row = x->b->row_of[x->first + i];
    if (x->tracer && tracer_run(x->tracer, f, false, &life, &traced))
        r = &traced;
    if (accepted(x->c, r)) {
        masked = *r;
        masked.outcome = OUTCOME_MASKED;
        masked.fate = FATE_ACCEPTED;
        masked.n_diffs = 0;
        r = &masked;
    }
    record(&x->b->rows[row], &x->b->arena, &x->c->recorder, x->b->first + row, f, r);
    x->b->rows[row].stratum = x->b->stratum[row];
}

/* A worker's engines, one for each part of the sample. */
struct engines {
    size_t n;
    struct experiment **experiment;
    struct tracer **tracer;
};

static void run_batch(struct campaign *c, struct engines *e, struct batch *b)
{
    struct arena scratch = {0};
    struct fault *drawn = arena_array(&scratch, b->n, sizeof *drawn);
    size_t *part = arena_array(&scratch, b->n, sizeof *part);
    b->rows = arena_array(&b->arena, b->n, sizeof *b->rows);
    b->faults = arena_array(&scratch, b->n, sizeof *b->faults);
    b->row_of = arena_array(&scratch, b->n, sizeof *b->row_of);
    b->stratum = arena_array(&scratch, b->n, sizeof *b->stratum);
    for (uint64_t i = 0; i < b->n; i++)
        drawn[i] =
            sample_fault(c->sample, c->options->seed, b->first + i, &b->stratum[i], &part[i]);
    uint64_t at = 0;
    for (size_t p = 0; p < e->n; p++) {
        uint64_t first = at;
        for (uint64_t i = 0; i < b->n; i++)
            if (part[i] == p) {
                b->faults[at] = drawn[i];
                b->row_of[at++] = i;
            }
        experiment_run_all(e->experiment[p], b->faults + first, at - first, keep,
                           &(struct in_batch){c, b, first, e->tracer[p]});
    }
    arena_fini(&scratch); /* the rows may wait to be written */
}

static void *work(void *ctx)
{
    struct campaign *c = ctx;
    struct arena a = {0};
    struct engines e = {.n = sample_n_parts(c->sample)};
    e.experiment = arena_array(&a, e.n, sizeof *e.experiment);
    e.tracer = arena_array(&a, e.n, sizeof *e.tracer);
    for (size_t p = 0; p < e.n; p++) {
        const struct golden *g = sample_part(c->sample, p);
        e.experiment[p] = experiment_new(c->subject->sim, g, c->options->engine, c->hang_factor);
        e.tracer[p] = c->options->fates ? tracer_new(c->subject->sim, g, c->hang_factor) : NULL;
    }
    uint64_t n = first_batch(c);
    for (struct batch *b; (b = take(c, n));) {
        double began = clock_thread_seconds();
        run_batch(c, &e, b);
        const uint64_t next = adapt(c, b->n, clock_thread_seconds() - began);
        n = next >= b->n && next < n ? n : next; /* it was cut short by the end of a span */
        pthread_mutex_lock(&c->lock);
        b->done = true;
        pthread_cond_broadcast(&c->changed);
        pthread_mutex_unlock(&c->lock);
    }
    for (size_t p = 0; p < e.n; p++) {
        tracer_free(e.tracer[p]);
        experiment_free(e.experiment[p]);
    }
    arena_fini(&a);
    return NULL;
}

/* ---- The writer ----------------------------------------------------------------------------------- */

static bool is_member(const struct campaign *c) { return c->team && team_rank(c->team) != 0; }

static struct progress progress_of_all(const struct campaign *c)
{
    struct progress p = c->progress;
    p.seconds = clock_seconds() - c->began;
    if (c->team && !is_member(c))
        team_add_progress(c->team, &p);
    return p;
}

static void tell(struct campaign *c)
{
    if (c->options->progress && !is_member(c)) {
        struct progress p = progress_of_all(c);
        c->options->progress(c->options->progress_ctx, &p);
    }
}

/* For `sievert status`. */
static int publish(struct campaign *c, struct diag *d)
{
    const struct progress p = progress_of_all(c);
    const uint64_t ranks = c->team ? (uint64_t)team_size(c->team) : 1;
    if (is_member(c))
        return OK;
    return store_set_live(
        c->store,
        &(struct store_live){
            .ranks = ranks,
            .jobs = ranks * (uint64_t)c->jobs,
            .seconds = p.seconds,
            .began = p.before,
            .done = p.done,
            .wanted = p.planned,
            .outcome = {[OUTCOME_MASKED] = p.masked, [OUTCOME_SDC] = p.sdc, [OUTCOME_DUE] = p.due}},
        d);
}

static void count(struct progress *p, enum outcome o)
{
    p->done++;
    p->masked += o == OUTCOME_MASKED;
    p->sdc += o == OUTCOME_SDC;
    p->due += o == OUTCOME_DUE;
}

/* The oldest batch, finished; NULL when none will come, or after a while, so that progress shows. */
static struct batch *finished(struct campaign *c, bool *over)
{
    struct timespec until;
    struct batch *b = NULL;
    clock_gettime(CLOCK_MONOTONIC, &until);              /* the other clock may jump */
    until.tv_nsec += (c->team ? 10 : 100) * 1000 * 1000; /* others wait for our answers */
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&c->lock);
    struct batch *oldest = &c->slots[c->written % c->n_slots];
    bool none = c->written == c->taken;
    *over = none && ((c->doing == c->n_todo && !c->more_to_come) || stopped(c));
    if (!*over && (none || !oldest->done))
        pthread_cond_timedwait(&c->changed, &c->lock, &until);
    if (c->written < c->taken && oldest->done)
        b = oldest;
    pthread_mutex_unlock(&c->lock);
    return b;
}

/* Are all shares known well enough? Asked at every hundredth number, so that the answer does not depend on
 * batches; the intervals stand that. */
static bool is_enough(const struct campaign *c)
{
    const struct progress *p = &c->progress;
    const uint64_t k[] = {p->masked, p->sdc, p->due};
    if (c->options->stop_margin <= 0 || p->done == 0 || p->done % 100 != 0)
        return false;
    for (int i = 0; i < 3; i++) {
        struct interval x =
            stats_confidence_sequence(k[i], p->done, 1 - (1 - c->options->stop_confidence) / 3);
        if (x.hi - x.lo > 2 * c->options->stop_margin)
            return false;
    }
    return true;
}

/* What is there is all that was wanted. */
static int stop_here(struct campaign *c, struct diag *d)
{
    c->enough = true;
    c->progress.planned = c->progress.done;
    return store_set_planned(c->store, c->options->first, c->options->first + c->progress.done, d);
}

static int write_batch(struct campaign *c, struct batch *b, struct diag *d)
{
    int rc = OK;
    uint64_t next = b->first + b->n;
    for (uint64_t i = 0; rc == OK && !c->enough && i < b->n; i++) {
        rc = store_add(c->store, &b->rows[i], d);
        count(&c->progress, b->rows[i].outcome);
        if (rc == OK && is_enough(c))
            rc = stop_here(c, d);
    }
    arena_fini(&b->arena);
    pthread_mutex_lock(&c->lock);
    c->written++;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    if (rc == OK && c->team && team_ends_lease(c->team, next) &&
        (rc = store_commit(c->store, d)) == OK)
        team_committed(c->team, &c->progress);
    return rc;
}

/* ---- Leases --------------------------------------------------------------------------------------- */

static void add_todo(struct campaign *c, struct store_span lease)
{
    pthread_mutex_lock(&c->lock);
    if (c->doing == c->n_todo)
        c->doing = c->n_todo = 0;
    if (c->n_todo == c->todo_room) {
        c->todo_room = 2 * c->todo_room + 8;
        c->todo = realloc(c->todo, c->todo_room * sizeof *c->todo);
        if (!c->todo)
            abort();
    }
    c->todo[c->n_todo++] = lease;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

/* Talk with the other ranks. */
static void take_turn(struct campaign *c)
{
    struct store_span lease;
    if (!c->team)
        return;
    while (team_turn(c->team, &c->progress, &lease))
        add_todo(c, lease);
    if (!team_over(c->team) && !stopped(c))
        return;
    pthread_mutex_lock(&c->lock);
    c->doing = c->n_todo; /* what others have done, too */
    c->more_to_come = false;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

static int write_all(struct campaign *c, struct diag *d)
{
    double told = 0;
    int rc = OK;
    for (bool over = false; rc == OK && !over && !c->enough;) {
        take_turn(c);
        struct batch *b = finished(c, &over);
        rc = b ? write_batch(c, b, d) : store_tick(c->store, d);
        if (rc == OK && clock_seconds() - c->began - told >= 0.1) {
            told = clock_seconds() - c->began;
            tell(c);
            rc = publish(c, d);
        }
    }
    return rc;
}

static void drop_batches(struct campaign *c)
{
    for (; c->written < c->taken; c->written++)
        arena_fini(&c->slots[c->written % c->n_slots].arena);
}

static int run_threads(struct campaign *c, struct diag *d)
{
    struct arena a = {0};
    pthread_t *threads = arena_array(&a, (size_t)c->jobs, sizeof *threads);
    int n = 0, rc = OK;
    for (; n < c->jobs; n++)
        if (pthread_create(&threads[n], NULL, work, c) != 0)
            break;
    if (n == 0)
        rc = diag_fail(d, ERR_NOMEM, DIAG_NOWHERE, "cannot start a thread");
    else
        rc = write_all(c, d);
    pthread_mutex_lock(&c->lock);
    c->quit = true;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    while (n > 0)
        pthread_join(threads[--n], NULL);
    arena_fini(&a);
    drop_batches(c);
    return rc;
}

/* ---- The store ------------------------------------------------------------------------------------ */

/* The store is to have what it has and what is wanted now: its plan spans both. */
static int plan(struct campaign *c, const struct store_campaign *s, const struct store_span *there,
                size_t n, struct diag *d)
{
    const struct store_campaign *old = store_campaign(c->store);
    uint64_t first = s->first, planned = s->planned;
    if (n && there[0].first < first)
        first = there[0].first;
    if (n && there[n - 1].next > planned)
        planned = there[n - 1].next;
    int rc = strcmp(s->made, old->made) == 0 ? OK : store_set_made(c->store, s->made, d);
    return rc != OK || (first == old->first && planned == old->planned)
               ? rc
               : store_set_planned(c->store, first, planned, d);
}

/* What is wanted and not there; and what is wanted and there already counts as done. */
static int find_todo(struct campaign *c, const struct store_span *there, size_t n, struct diag *d)
{
    const struct campaign_options *o = c->options;
    uint64_t at = o->first;
    free(c->todo);
    c->todo = calloc(n + 1, sizeof *c->todo);
    c->doing = c->n_todo = 0;
    c->todo_room = n + 1;
    if (!c->todo)
        return diag_fail(d, ERR_NOMEM, DIAG_NOWHERE, "out of memory");
    for (size_t i = 0; i <= n && at < o->n; i++) {
        uint64_t until = i < n && there[i].first < o->n ? there[i].first : o->n;
        if (at < until)
            c->todo[c->n_todo++] = (struct store_span){at, until};
        if (i < n && there[i].next > at)
            at = there[i].next;
    }
    uint64_t left = 0;
    for (size_t i = 0; i < c->n_todo; i++)
        left += c->todo[i].next - c->todo[i].first;
    c->progress.planned = o->n - o->first;
    c->progress.done = c->progress.planned - left;
    return OK;
}

/* Where the store stands. */
static int take_stock(struct campaign *c, const struct store_campaign *s, struct diag *d)
{
    struct arena a = {0};
    const struct store_span *there;
    size_t n;
    uint64_t outcomes[N_OUTCOMES];
    int rc = store_spans(c->store, &a, &there, &n, d);
    if (rc == OK)
        rc = plan(c, s, there, n, d);
    if (rc == OK)
        rc = find_todo(c, there, n, d);
    if (rc == OK && (rc = store_outcomes(c->store, outcomes, d)) == OK) {
        c->progress.masked = outcomes[OUTCOME_MASKED];
        c->progress.sdc = outcomes[OUTCOME_SDC];
        c->progress.due = outcomes[OUTCOME_DUE];
    }
    arena_fini(&a);
    return rc;
}

static int interrupted(const struct campaign *c, const char *path, struct diag *d)
{
    return diag_fail(d, ERR_INTERRUPTED, (struct loc){.file = path},
                     "interrupted after %llu of %llu injections; the same command continues",
                     (unsigned long long)c->progress.done, (unsigned long long)c->progress.planned);
}

static int incomplete(const struct campaign *c, const char *path, struct diag *d)
{
    return diag_fail(d, ERR_IO, (struct loc){.file = path},
                     "the rows of %llu injections did not arrive: are the shards of all ranks "
                     "(%s.rank-...) on a "
                     "file system that rank 0 sees? The same command continues",
                     (unsigned long long)(c->progress.planned - c->progress.done), path);
}

static int run(struct campaign *c, struct diag *d)
{
    pthread_condattr_t monotonic;
    c->n_slots = (size_t)c->jobs * SLOTS_PER_JOB;
    c->slots = calloc(c->n_slots, sizeof *c->slots);
    if (!c->slots)
        return diag_fail(d, ERR_NOMEM, DIAG_NOWHERE, "out of memory");
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->changed, &monotonic);
    int rc = c->n_todo || c->more_to_come ? run_threads(c, d) : OK;
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    pthread_condattr_destroy(&monotonic);
    free(c->slots);
    return rc;
}

/* ---- Alone, as rank 0, as another rank ------------------------------------------------------------ */

/* The shards of the other ranks, once they are closed. */
static int gather(struct campaign *c, const char *path, const struct store_campaign *s,
                  struct diag *d)
{
    uint64_t came;
    team_gather(c->team);
    if (stopped(c))
        return OK; /* little time is left: whoever continues takes them in */
    int rc = shards_absorb(c->store, path, &came, d);
    return rc == OK ? take_stock(c, s, d) : rc;
}

static int run_store(struct campaign *c, const char *path, const struct store_campaign *s,
                     struct diag *d)
{
    int rc = campaign_open_store(&c->store, path, s, d);
    if (rc == OK)
        rc = take_stock(c, s, d);
    c->progress.before = c->progress.done;
    if (rc == OK && c->team && c->options->stop_margin > 0)
        rc = diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                       "sequential stopping is for one process, not for ranks");
    if (rc == OK && is_enough(c)) {
        c->n_todo = 0;
        rc = stop_here(c, d);
    }
    if (rc == OK && c->team) {
        team_start(c->team, campaign_identity_hash(s), c->todo, c->n_todo,
                   first_batch(c) > 256 ? first_batch(c) : 256);
        c->more_to_come = c->n_todo > 0;
        c->n_todo = 0;
    }
    if (rc == OK)
        rc = run(c, d);
    if (rc == OK && c->team)
        rc = gather(c, path, s, d);
    int closed = store_close(c->store, d);
    rc = rc != OK ? rc : closed;
    if (rc == OK)
        tell(c);
    if (rc == OK && c->progress.done < c->progress.planned)
        rc = stopped(c) ? interrupted(c, path, d) : incomplete(c, path, d);
    return rc;
}

static int run_member(struct campaign *c, const char *path, const struct store_campaign *s,
                      struct diag *d)
{
    struct arena a = {0};
    if (!team_join(c->team, campaign_identity_hash(s), c->options->stop))
        return OK;
    c->progress.planned = s->planned - s->first;
    c->more_to_come = true;
    int rc = campaign_open_store(&c->store, shard_name(&a, path, team_rank(c->team)), s, d);
    if (rc == OK)
        rc = run(c, d);
    int closed = store_close(c->store, d);
    arena_fini(&a);
    return rc != OK ? rc : closed;
}

int campaign_run(const char *path, const struct conv_program *p, const float *input,
                 const float *filter, const struct campaign_options *options, struct diag *d)
{
    struct arena a = {0};
    struct campaign_subject s = campaign_of_conv(&a, p, input, filter, options->layer);
    s.made = options->made;
    int rc = campaign_run_subject(path, &s, options, d);
    arena_fini(&a);
    return rc;
}

int campaign_run_subject(const char *path, const struct campaign_subject *subject,
                         const struct campaign_options *options, struct diag *d)
{
    struct golden *golden;
    struct arena a = {0};
    struct campaign c = {.subject = subject,
                         .options = options,
                         .team = options->team,
                         .jobs = campaign_jobs(options->jobs, options->team)};
    int rc = golden_run(&golden, subject->sim, &options->kind, d);
    if (rc != OK)
        return rc;
    if (options->kind.sampling == SAMPLING_EXHAUSTIVE) {
        rc = options->team ? diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                                       "exhaustive campaigns are for one process, not for ranks: "
                                       "--part makes parts for several machines")
                           : campaign_census_store(path, subject, options, golden, d);
        golden_free(golden);
        return rc;
    }
    c.began = clock_seconds();
    c.golden = golden;
    if (options->kind.sampling == SAMPLING_DISTINCT && options->n > golden_faults(golden)) {
        rc = diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                       "there are only %llu different faults, not %llu: --exhaustive takes all",
                       (unsigned long long)golden_faults(golden), (unsigned long long)options->n);
        golden_free(golden);
        return rc;
    }
    if ((rc = sample_new(&c.sample, golden, d)) != OK) {
        golden_free(golden);
        return rc;
    }
    struct store_campaign s = campaign_identity(&a, subject, options, golden);
    s.n_strata = sample_strata(c.sample, &s.strata);
    c.hang_factor = s.hang_factor;
    c.recorder = recorder_for(golden, &s);
    rc = is_member(&c) ? run_member(&c, path, &s, d) : run_store(&c, path, &s, d);
    free(c.todo);
    sample_free(c.sample);
    golden_free(golden);
    arena_fini(&a);
    return rc;
}
