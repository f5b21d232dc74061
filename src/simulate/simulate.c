/* The steps of a simulation: load, then window after window of trials, sorted by image, shared
 * among the workers, written in order. A trial depends on its number alone, so neither the windows
 * nor the threads show in the results. */
#include "simulate/simulate.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "simulate/worker.h"

enum { DEFAULT_IMAGES = 256, WINDOW = 1 << 16, MAX_JOBS = 1024 };

/* Trials of one image, for one worker. */
struct portion {
    uint64_t image;
    size_t first, n;
};

struct window {
    struct simulation *sim;
    const struct sim_options *options;
    uint64_t start;
    size_t n, n_shares;
    struct store_trial *trials; /* by number - start */
    uint32_t *order;            /* number - start, sorted by image */
    struct portion *shares;
    pthread_mutex_t lock; /* of what follows */
    size_t next;          /* share to hand out */
    struct sim_progress progress;
};

struct thread {
    pthread_t id;
    struct window *window;
    struct worker worker;
    int rc;
};

/* ---- One window
 * ------------------------------------------------------------------------------------ */

static void plan_window(struct window *w, uint64_t start, size_t n, size_t *count)
{
    const struct simulation *sim = w->sim;
    struct rng r;
    w->start = start;
    w->n = n;
    w->n_shares = w->next = 0;
    memset(count, 0, (sim->images + 1) * sizeof *count);
    for (size_t k = 0; k < n; k++) {
        w->trials[k].number = start + k;
        w->trials[k].image = trial_image(sim, start + k, &r);
        count[w->trials[k].image + 1]++;
    }
    for (uint64_t i = 0; i < sim->images; i++) {
        if (count[i + 1])
            w->shares[w->n_shares++] = (struct portion){i, count[i], count[i + 1]};
        count[i + 1] += count[i];
    }
    for (size_t k = 0; k < n; k++)
        w->order[count[w->trials[k].image]++] = (uint32_t)k;
}

static bool take(struct window *w, struct portion *out)
{
    pthread_mutex_lock(&w->lock);
    bool more = w->next < w->n_shares;
    if (more)
        *out = w->shares[w->next++];
    pthread_mutex_unlock(&w->lock);
    return more;
}

static struct sim_progress count_share(struct window *w, const struct portion *g)
{
    pthread_mutex_lock(&w->lock);
    for (size_t k = g->first; k < g->first + g->n; k++) {
        enum effect e = w->trials[w->order[k]].effect;
        w->progress.masked += e == EFFECT_MASKED;
        w->progress.tolerable += e == EFFECT_TOLERABLE;
        w->progress.critical += e == EFFECT_CRITICAL;
    }
    w->progress.done += g->n;
    struct sim_progress p = w->progress;
    pthread_mutex_unlock(&w->lock);
    return p;
}

static int run_share(struct thread *t, const struct portion *g)
{
    struct window *w = t->window;
    struct worker *worker = &t->worker;
    const volatile bool *stop = w->options->stop;
    int rc = worker_image(worker, g->image);
    for (size_t k = 0; rc == OK && k < g->n; k += worker->slots) {
        struct store_trial *batch[worker->slots];
        size_t n = g->n - k < worker->slots ? g->n - k : worker->slots;
        for (size_t i = 0; i < n; i++)
            batch[i] = &w->trials[w->order[g->first + k + i]];
        rc = stop && *stop ? diag_fail(&worker->diag, ERR_INTERRUPTED, DIAG_NOWHERE, "interrupted")
                           : worker_trials(worker, n, batch);
    }
    return rc;
}

/* The first thread, which is the caller's, also reports progress. */
static void run_shares(struct thread *t, bool report, double began)
{
    struct portion g;
    double reported = 0;
    while (t->rc == OK && take(t->window, &g)) {
        t->rc = run_share(t, &g);
        if (t->rc != OK)
            break;
        struct sim_progress p = count_share(t->window, &g);
        p.seconds = clock_seconds() - began;
        if (report && t->window->options->progress && p.seconds - reported > 0.1) {
            reported = p.seconds;
            t->window->options->progress(t->window->options->progress_ctx, &p);
        }
    }
}

static void *run_thread(void *arg)
{
    run_shares(arg, false, 0);
    return NULL;
}

static int run_window(struct thread *threads, int n, double began, struct diag *d)
{
    int started = 1, rc = OK;
    for (; started < n; started++)
        if (pthread_create(&threads[started].id, NULL, run_thread, &threads[started]) != 0)
            break; /* the others do its share */
    run_shares(&threads[0], true, began);
    for (int k = 1; k < started; k++)
        pthread_join(threads[k].id, NULL);
    for (int k = 0; k < started && rc == OK; k++)
        if (threads[k].rc != OK) {
            rc = threads[k].rc;
            *d = threads[k].worker.diag;
        }
    return rc;
}

/* ---- The whole
 * ----------------------------------------------------------------------------------------- */

static int load_network(struct simulation *sim, struct arena *a, struct nn *net,
                        const struct sim_options *o, struct diag *d)
{
    const struct dataset *s = &sim->data;
    struct tensor in, out;
    nn_input_dims(net, &in);
    nn_output_dims(net, &out);
    if (in.rank != 4 || in.dim[1] != s->c || in.dim[2] != s->h || in.dim[3] != s->w)
        return diag_fail(d, ERR_INPUT, (struct loc){.file = o->network},
                         "the network does not take the images of %s, which are %zux%zux%zu",
                         s->name, s->c, s->h, s->w);
    int rc = judge_make(&sim->judge, o->task, &out, d);
    return rc == OK ? targets_load(&sim->targets, a, net, o, d) : rc;
}

static int load(struct simulation *sim, struct arena *a, const struct sim_options *o,
                struct diag *d)
{
    struct nn *net;
    sim->network = o->network;
    sim->seed = o->seed;
    int rc = dataset_load(&sim->data, a, o->dataset, o->images ? o->images : DEFAULT_IMAGES, d);
    sim->images = rc == OK ? sim->data.n : 0;
    if (rc == OK)
        rc = nn_load(&net, o->network, 1, d);
    if (rc != OK)
        return rc;
    rc = load_network(sim, a, net, o, d);
    for (size_t k = 0; k < sim->targets.n; k++) /* the net goes */
        sim->targets.of[k].name = arena_strdup(a, sim->targets.of[k].name);
    nn_free(net);
    return rc;
}

/* Where trials go, in order. */
struct sink {
    int (*add)(void *ctx, const struct store_trial *t);
    void *ctx;
};

static int run(const struct sink *sink, struct simulation *sim, struct arena *a,
               struct thread *threads, int jobs, const struct sim_options *o, struct diag *d)
{
    struct window w = {.sim = sim, .options = o, .progress = {.planned = o->n}};
    size_t room = o->n < WINDOW ? (size_t)o->n : WINDOW;
    size_t *count = arena_alloc(a, (sim->images + 1) * sizeof *count);
    w.trials = arena_alloc(a, room * sizeof *w.trials);
    w.order = arena_alloc(a, room * sizeof *w.order);
    w.shares = arena_alloc(a, sim->images * sizeof *w.shares);
    pthread_mutex_init(&w.lock, NULL);
    for (int k = 0; k < jobs; k++)
        threads[k].window = &w;

    double began = clock_seconds();
    int rc = OK;
    for (uint64_t start = 0; rc == OK && start < o->n; start += w.n) {
        plan_window(&w, start, o->n - start < room ? (size_t)(o->n - start) : room, count);
        rc = run_window(threads, jobs, began, d);
        for (size_t k = 0; rc == OK && k < w.n; k++)
            rc = sink->add(sink->ctx, &w.trials[k]);
    }
    w.progress.seconds = clock_seconds() - began;
    if (rc == OK && o->progress)
        o->progress(o->progress_ctx, &w.progress);
    pthread_mutex_destroy(&w.lock);
    return rc;
}

/* A simulation made ready: what the two ways of running one share. */
struct ready {
    struct arena arena;
    struct simulation sim;
    struct thread *threads;
    int jobs, n_workers;
};

static int prepare(struct ready *r, const struct sim_options *o, struct diag *d)
{
    int rc = load(&r->sim, &r->arena, o, d);
    if (rc != OK)
        return rc;
    r->jobs = o->jobs > 0 ? o->jobs : (int)sysconf(_SC_NPROCESSORS_ONLN);
    r->jobs = r->jobs > MAX_JOBS ? MAX_JOBS : r->jobs;
    r->threads = arena_alloc(&r->arena, (size_t)r->jobs * sizeof *r->threads);
    for (; rc == OK && r->n_workers < r->jobs; r->n_workers++)
        rc = worker_init(&r->threads[r->n_workers].worker, &r->sim, d);
    return rc;
}

static void finish(struct ready *r)
{
    for (int k = 0; k < r->n_workers; k++)
        worker_fini(&r->threads[k].worker);
    arena_fini(&r->arena);
}

int simulate_each(const struct sim_options *o, int (*each)(void *ctx, const struct store_trial *t),
                  void *ctx, struct diag *d)
{
    struct ready r = {0};
    struct diag local = {0};
    d = d ? d : &local;
    int rc = prepare(&r, o, d);
    if (rc == OK)
        rc = run(&(struct sink){each, ctx}, &r.sim, &r.arena, r.threads, r.jobs, o, d);
    finish(&r);
    return rc;
}

struct to_store {
    struct store *store;
    struct diag *diag;
};

static int add_to_store(void *ctx, const struct store_trial *t)
{
    struct to_store *to = ctx;
    return store_sim_add(to->store, t, to->diag);
}

static int run_in_store(const char *path, struct ready *r, const struct sim_options *o,
                        struct diag *d)
{
    struct to_store to = {.diag = d};
    const struct targets *t = &r->sim.targets;
    struct store_struck *layers = arena_array(&r->arena, t->n, sizeof *layers);
    for (size_t k = 0; k < t->n; k++)
        layers[k] = (struct store_struck){t->of[k].name, t->of[k].exposure};
    struct store_simulation about = {
        .network = o->network,
        .dataset = o->dataset,
        .layer = t->n == 1 ? t->of[0].name : o->layer,
        .impl = o->impl ? o->impl : t->of[0].errors.impl,
        .task = judge_text(&r->sim.judge, &r->arena),
        .strike = vocab_word(&vocab_parts, (int)o->strike),
        .share = vocab_word(&vocab_shares, (int)o->share),
        .n_layers = t->n,
        .layers = layers,
        .source = o->campaign ? "direct" : "model",
        .errors = o->model      ? o->model
                  : o->campaign ? o->campaign
                                : o->baseline,
        .seed = o->seed,
        .planned = o->n,
        .images = r->sim.images,
    };
    int rc = store_sim_create(&to.store, path, &about, d);
    if (rc != OK)
        return rc;
    rc = run(&(struct sink){add_to_store, &to}, &r->sim, &r->arena, r->threads, r->jobs, o, d);
    int closed = store_close(to.store, d);
    rc = rc == OK ? closed : rc;
    if (rc != OK)
        unlink(path); /* a part is not taken for the whole */
    return rc;
}

int simulate_run(const char *path, const struct sim_options *o, struct diag *d)
{
    struct ready r = {0};
    struct diag local = {0};
    d = d ? d : &local;
    int rc = prepare(&r, o, d);
    if (rc == OK)
        rc = run_in_store(path, &r, o, d);
    finish(&r);
    return rc;
}
