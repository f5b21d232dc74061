#include "simulate/worker.h"

#include <math.h>
#include <string.h>

int answer_of(const float *output, size_t n)
{
    size_t best = 0;
    for (size_t k = 0; k < n; k++) {
        if (isnan(output[k]))
            return -1;
        if (output[k] > output[best])
            best = k;
    }
    return (int)best;
}

/* The largest |faulty - golden|; infinite as soon as one is not finite. */
static double score_change(const float *golden, const float *faulty, size_t n)
{
    double max = 0;
    for (size_t k = 0; k < n; k++) {
        double change = fabs((double)faulty[k] - (double)golden[k]);
        if (!isfinite(faulty[k]) && memcmp(&faulty[k], &golden[k], sizeof *faulty) != 0)
            return (double)INFINITY;
        max = change > max ? change : max;
    }
    return max;
}

int worker_init(struct worker *w, const struct simulation *sim, struct diag *d)
{
    *w = (struct worker){.sim = sim};
    int rc = nn_load(&w->net, sim->network, 1, d);
    if (rc == OK)
        rc = nn_delta_new(&w->delta, w->net, d);
    if (rc != OK)
        return rc;
    w->slots = nn_delta_slots(w->delta);
    w->diffs = arena_alloc(&w->arena, sim->layer_floats * sizeof *w->diffs);
    w->at = arena_alloc(&w->arena, w->slots * sim->layer_floats * sizeof *w->at);
    w->faulty = arena_alloc(&w->arena, w->slots * sim->layer_floats * sizeof *w->faulty);
    w->errors = arena_alloc(&w->arena, w->slots * sizeof *w->errors);
    w->bare = arena_alloc(&w->arena, sim->layer_floats * sizeof *w->bare);
    w->layer = (struct layer_output){.chw = sim->chw, .bare = w->bare};
    return OK;
}

void worker_fini(struct worker *w)
{
    nn_delta_free(w->delta);
    nn_free(w->net);
    arena_fini(&w->arena);
}

uint64_t trial_image(const struct simulation *sim, uint64_t number, struct rng *r)
{
    rng_init(r, sim->seed, number);
    return rng_below(r, sim->images);
}

int worker_image(struct worker *w, uint64_t image)
{
    const struct simulation *sim = w->sim;
    size_t pixels = sim->data.c * sim->data.h * sim->data.w;
    int rc = nn_delta_image(w->delta, sim->data.images + image * pixels, &w->diag);
    if (rc != OK)
        return rc;
    w->image = image;
    w->layer.golden = nn_delta_golden(w->delta, nn_conv_layer(w->net, sim->conv));
    const float *bias = nn_conv(w->net, sim->conv)->bias;
    for (size_t k = 0, plane = sim->chw[1] * sim->chw[2]; k < sim->layer_floats; k++)
        w->bare[k] = w->layer.golden[k] - (bias ? bias[k / plane] : 0);
    w->output = nn_delta_golden_output(w->delta);
    w->layer.range = characterise_range(w->layer.golden, sim->layer_floats);
    w->layer.bare_range = characterise_range(w->bare, sim->layer_floats);
    w->answer = answer_of(w->output, sim->output_floats);
    return OK;
}

/* Error of trial t, into place k of the batch. */
static void draw(struct worker *w, size_t k, struct store_trial *t)
{
    const struct simulation *sim = w->sim;
    int label = sim->data.labels[w->image];
    struct rng r;
    trial_image(sim, t->number, &r);
    struct one_error e = errors_draw(&sim->errors, t->number, &r, &w->layer, w->diffs);
    uint32_t *at = w->at + k * sim->layer_floats;
    float *faulty = w->faulty + k * sim->layer_floats;
    for (size_t i = 0; i < e.n; i++) {
        at[i] = w->diffs[i].index;
        faulty[i] = w->diffs[i].faulty;
    }
    w->errors[k] = (struct nn_error){
        .layer = nn_conv_layer(w->net, sim->conv), .n = e.n, .at = at, .faulty = faulty};
    *t = (struct store_trial){
        .number = t->number,
        .image = w->image,
        .injection = e.injection,
        .pattern = e.pattern,
        .corrupted = e.n,
        .effect = EFFECT_MASKED,
        .answer_golden = w->answer,
        .answer_faulty = w->answer,
        .label = label < DATASET_NO_LABEL ? label : -1,
    };
}

static void judge(const struct worker *w, const float *output, struct store_trial *t)
{
    size_t n = w->sim->output_floats;
    t->answer_faulty = answer_of(output, n);
    bool same = t->answer_faulty >= 0 && t->answer_faulty == w->answer;
    t->effect = same ? EFFECT_TOLERABLE : EFFECT_CRITICAL;
    t->score_change = score_change(w->output, output, n);
}

int worker_trials(struct worker *w, size_t n, struct store_trial *const *out)
{
    for (size_t k = 0; k < n; k++)
        draw(w, k, out[k]);
    int rc = nn_delta_run(w->delta, n, w->errors, &w->diag);
    for (size_t k = 0; rc == OK && k < n; k++)
        if (w->errors[k].output)
            judge(w, w->errors[k].output, out[k]);
    return rc;
}
