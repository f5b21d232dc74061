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
    w->diffs = arena_alloc(&w->arena, sim->layer_floats * sizeof *w->diffs);
    w->at = arena_alloc(&w->arena, sim->layer_floats * sizeof *w->at);
    w->faulty = arena_alloc(&w->arena, sim->layer_floats * sizeof *w->faulty);
    w->bare = arena_alloc(&w->arena, sim->layer_floats * sizeof *w->bare);
    w->layer = (struct layer_output){.chw = sim->chw, .bare = w->bare};
    int rc = nn_load(&w->net, sim->network, 1, d);
    return rc != OK ? rc : nn_delta_new(&w->delta, w->net, sim->conv, d);
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
    w->layer.golden = nn_delta_golden(w->delta);
    const float *bias = nn_conv(w->net, sim->conv)->bias;
    for (size_t k = 0, plane = sim->chw[1] * sim->chw[2]; k < sim->layer_floats; k++)
        w->bare[k] = w->layer.golden[k] - (bias ? bias[k / plane] : 0);
    w->output = nn_delta_golden_output(w->delta);
    w->layer.range = characterise_range(w->layer.golden, sim->layer_floats);
    w->layer.bare_range = characterise_range(w->bare, sim->layer_floats);
    w->answer = answer_of(w->output, sim->output_floats);
    return OK;
}

int worker_trial(struct worker *w, uint64_t number, struct store_trial *out)
{
    const struct simulation *sim = w->sim;
    struct rng r;
    trial_image(sim, number, &r);
    struct one_error e = errors_draw(&sim->errors, number, &r, &w->layer, w->diffs);
    for (size_t k = 0; k < e.n; k++) {
        w->at[k] = w->diffs[k].index;
        w->faulty[k] = w->diffs[k].faulty;
    }
    const float *output;
    int rc = nn_delta_run(w->delta, e.n, w->at, w->faulty, &output, &w->diag);
    if (rc != OK)
        return rc;
    int label = sim->data.labels[w->image];
    *out = (struct store_trial){
        .number = number,
        .image = w->image,
        .injection = e.injection,
        .pattern = e.pattern,
        .corrupted = e.n,
        .effect = EFFECT_MASKED,
        .answer_golden = w->answer,
        .answer_faulty = w->answer,
        .label = label < DATASET_NO_LABEL ? label : -1,
    };
    if (!output)
        return OK;
    out->answer_faulty = answer_of(output, sim->output_floats);
    bool same = out->answer_faulty >= 0 && out->answer_faulty == w->answer;
    out->effect = same ? EFFECT_TOLERABLE : EFFECT_CRITICAL;
    out->score_change = score_change(w->output, output, sim->output_floats);
    return OK;
}
