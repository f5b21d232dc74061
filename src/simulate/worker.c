#include "simulate/worker.h"

#include <math.h>
#include <string.h>

int worker_init(struct worker *w, const struct simulation *sim, struct diag *d)
{
    *w = (struct worker){.sim = sim};
    int rc = nn_load(&w->net, sim->network, 1, d);
    if (rc == OK)
        rc = nn_delta_new(&w->delta, w->net, d);
    if (rc != OK)
        return rc;
    size_t room = sim->targets.room;
    w->slots = nn_delta_slots(w->delta);
    w->diffs = arena_alloc(&w->arena, room * sizeof *w->diffs);
    w->at = arena_alloc(&w->arena, w->slots * room * sizeof *w->at);
    w->faulty = arena_alloc(&w->arena, w->slots * room * sizeof *w->faulty);
    w->errors = arena_alloc(&w->arena, w->slots * sizeof *w->errors);
    w->struck = arena_alloc(&w->arena, sim->targets.n * sizeof *w->struck);
    return OK;
}

void worker_fini(struct worker *w)
{
    nn_delta_free(w->delta);
    nn_free(w->net);
    arena_fini(&w->arena);
    arena_fini(&w->image_arena);
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
    for (size_t k = 0; k < sim->targets.n; k++)
        w->struck[k].ready = false;
    arena_reset(&w->image_arena);
    judge_golden(&w->golden, &w->image_arena, &sim->judge, nn_delta_golden_output(w->delta));
    return OK;
}

/* The output without the convolution's bias; the layer's own memory if there is none. */
static const float *bare_output(struct worker *w, const struct target *t, struct struck *s,
                                const float *golden)
{
    int conv = nn_layer(w->net, t->layer)->conv;
    const float *bias = conv >= 0 ? nn_conv(w->net, (size_t)conv)->bias : NULL;
    if (!bias || t->errors.baseline)
        return golden;
    if (!s->bare)
        s->bare = arena_alloc(&w->arena, t->n * sizeof *s->bare);
    for (size_t c = 0, k = 0, plane = t->chw[1] * t->chw[2]; c < t->chw[0]; c++)
        for (size_t i = 0; i < plane; i++, k++)
            s->bare[k] = golden[k] - bias[c];
    return s->bare;
}

static const struct layer_output *struck(struct worker *w, size_t which)
{
    const struct target *t = &w->sim->targets.of[which];
    const struct nn_layer *l = nn_layer(w->net, t->layer);
    struct struck *s = &w->struck[which];
    struct layer_output *o = &s->output;
    enum layer_part strike = w->sim->targets.strike;
    if (s->ready)
        return o;
    *o = (struct layer_output){.n = t->n, .parameter = strike != PART_OUTPUT};
    memcpy(o->chw, t->chw, sizeof o->chw);
    o->golden = strike == PART_OUTPUT ? nn_delta_golden(w->delta, t->layer)
                : strike == PART_BIAS ? l->biases
                                      : l->weights;
    o->bare = o->parameter ? o->golden : bare_output(w, t, s, o->golden);
    o->range = characterise_range(o->golden, o->n);
    o->bare_range = o->bare == o->golden ? o->range : characterise_range(o->bare, o->n);
    s->ready = true;
    return o;
}

/* Error of trial t, into place k of the batch. */
static void draw(struct worker *w, size_t k, struct store_trial *t)
{
    static const enum nn_where where[] = {
        [PART_OUTPUT] = NN_OUTPUT, [PART_WEIGHTS] = NN_WEIGHTS, [PART_BIAS] = NN_BIAS};
    const struct simulation *sim = w->sim;
    int label = sim->data.labels[w->image];
    struct rng r;
    uint64_t nth;
    trial_image(sim, t->number, &r);
    size_t which = targets_pick(&sim->targets, t->number, &r, &nth);
    const struct target *target = &sim->targets.of[which];
    struct one_error e = errors_draw(&target->errors, nth, &r, struck(w, which), w->diffs);
    uint32_t *at = w->at + k * sim->targets.room;
    float *faulty = w->faulty + k * sim->targets.room;
    double magnitude = 0;
    for (size_t i = 0; i < e.n; i++) {
        const struct difference *x = &w->diffs[i];
        double change = fabs((double)x->faulty - (double)x->golden);
        at[i] = x->index;
        faulty[i] = x->faulty;
        magnitude = !isfinite(change) || change > magnitude ? (isfinite(change) ? change : INFINITY)
                                                            : magnitude;
    }
    w->errors[k] = (struct nn_error){.layer = target->layer,
                                     .where = where[sim->targets.strike],
                                     .n = e.n,
                                     .at = at,
                                     .faulty = faulty};
    *t = (struct store_trial){
        .number = t->number,
        .image = w->image,
        .layer = which,
        .injection = e.injection,
        .pattern = e.pattern,
        .corrupted = e.n,
        .magnitude = magnitude,
        .label = label < DATASET_NO_LABEL ? label : -1,
    };
}

int worker_trials(struct worker *w, size_t n, struct store_trial *const *out)
{
    for (size_t k = 0; k < n; k++)
        draw(w, k, out[k]);
    int rc = nn_delta_run(w->delta, n, w->errors, &w->diag);
    for (size_t k = 0; rc == OK && k < n; k++)
        judge_error(out[k], &w->sim->judge, &w->golden, w->errors[k].output);
    return rc;
}
