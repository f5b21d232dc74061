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
    w->layer = arena_alloc(&w->arena, sim->layer_floats * sizeof *w->layer);
    w->output = arena_alloc(&w->arena, sim->output_floats * sizeof *w->output);
    w->diffs = arena_alloc(&w->arena, sim->layer_floats * sizeof *w->diffs);
    if (!sim->golden)
        golden_init(&w->own, &w->arena, sim);
    return nn_load(&w->net, sim->network, 1, d);
}

void worker_fini(struct worker *w)
{
    nn_free(w->net);
    arena_fini(&w->arena);
}

uint64_t trial_image(const struct simulation *sim, uint64_t number, struct rng *r)
{
    rng_init(r, sim->seed, number);
    return rng_below(r, sim->images);
}

void golden_init(struct golden_image *g, struct arena *a, const struct simulation *sim)
{
    g->layer = arena_alloc(a, sim->layer_floats * sizeof *g->layer);
    g->output = arena_alloc(a, sim->output_floats * sizeof *g->output);
    g->side = arena_alloc(a, sim->side_bytes);
}

int worker_golden(const struct golden_image **out, struct worker *w, uint64_t image)
{
    const struct simulation *sim = w->sim;
    struct golden_image *g = sim->golden ? &sim->golden[image] : &w->own;
    *out = g;
    if (g->ready && g->image == image)
        return OK;
    size_t pixels = sim->data.c * sim->data.h * sim->data.w;
    int rc = nn_run(w->net, sim->data.images + image * pixels, g->output, &w->diag);
    if (rc != OK)
        return rc;
    memcpy(g->layer, nn_conv_output(w->net, sim->conv), sim->layer_floats * sizeof *g->layer);
    nn_side_save(w->net, sim->conv, g->side);
    g->range = characterise_range(g->layer, sim->layer_floats);
    g->answer = answer_of(g->output, sim->output_floats);
    g->image = image;
    g->ready = true;
    return OK;
}

static enum effect effect_of(const struct golden_image *g, const float *output, size_t n, int answer)
{
    if (memcmp(output, g->output, n * sizeof *output) == 0)
        return EFFECT_MASKED;
    return answer >= 0 && answer == g->answer ? EFFECT_TOLERABLE : EFFECT_CRITICAL;
}

int worker_trial(struct worker *w, const struct golden_image *g, uint64_t number,
                 struct store_trial *out)
{
    const struct simulation *sim = w->sim;
    struct rng r;
    trial_image(sim, number, &r);
    struct one_error e =
        errors_draw(&sim->errors, number, &r, sim->chw, g->layer, g->range, w->diffs);

    memcpy(w->layer, g->layer, sim->layer_floats * sizeof *w->layer);
    for (size_t k = 0; k < e.n; k++)
        w->layer[w->diffs[k].index] = w->diffs[k].faulty;
    nn_side_load(w->net, sim->conv, g->side);
    int rc = nn_run_from(w->net, sim->conv, w->layer, w->output, &w->diag);
    if (rc != OK)
        return rc;

    int answer = answer_of(w->output, sim->output_floats);
    *out = (struct store_trial){
        .number = number,
        .image = g->image,
        .injection = e.injection,
        .pattern = e.pattern,
        .corrupted = e.n,
        .effect = effect_of(g, w->output, sim->output_floats, answer),
        .answer_golden = g->answer,
        .answer_faulty = answer,
        .label = sim->data.labels ? sim->data.labels[g->image] : -1,
        .score_change = score_change(g->output, w->output, sim->output_floats),
    };
    return OK;
}
