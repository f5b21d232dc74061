/* Errors in one layer, each as its difference from the fault-free run: between errors all values are
 * golden; an error is followed step by step for as long as some element differs, only through the
 * elements it reaches where the operator knows how, and undone afterwards. What comes out has the bits
 * of nn_run_from: each element is computed by the same code from the same operands. */
#include <stdlib.h>
#include <string.h>

#include "nn/priv.h"
#include "nn/threads.h"

/* A value that the layer's errors can reach. Outputs that share memory with an input share its track. */
struct track {
    struct nn_value *value;
    void *golden;
    uint32_t *at; /* elements that differ now, each once */
    size_t n;
    uint8_t *listed; /* by element, while the list is made */
};

struct reach {
    size_t step;
    size_t n_in, n_out;
    struct track **in, **out; /* NULL: errors do not reach this input */
};

struct nn_delta {
    struct nn *net;
    size_t conv;
    struct arena arena;
    struct track *layer, **of; /* of: by value number */
    size_t n_tracks, n_reach;
    struct track **tracks;
    struct reach *reach;
    uint32_t *touched;
    size_t room;
};

static size_t width(const struct nn_value *v)
{
    return v->type == ONNX_FLOAT ? sizeof(float) : sizeof(int64_t);
}

static char *data_of(const struct nn_value *v)
{
    return v->type == ONNX_FLOAT ? (char *)v->f : (char *)v->i;
}

static struct track *track_new(struct nn_delta *e, struct nn_value *v)
{
    struct track *t = ARENA_NEW(&e->arena, struct track);
    t->value = v;
    t->golden = arena_alloc(&e->arena, v->n * width(v));
    t->at = arena_alloc(&e->arena, v->n * sizeof *t->at);
    t->listed = arena_alloc(&e->arena, v->n);
    if (v->n > e->room)
        e->room = v->n;
    e->tracks[e->n_tracks++] = t;
    return e->of[v->number] = t;
}

static struct track *track_of(struct nn_delta *e, const struct nn_value *v)
{
    return v ? e->of[v->number] : NULL;
}

static void add_step(struct nn_delta *e, size_t step)
{
    const struct nn_node *node = &e->net->steps[step];
    if (!node->run) { /* its output is its input under another shape */
        e->of[node->out[0]->number] = track_of(e, node->in[0]);
        return;
    }
    struct reach *r = &e->reach[e->n_reach++];
    *r = (struct reach){.step = step, .n_in = node->n_in, .n_out = node->n_out};
    r->in = arena_alloc(&e->arena, node->n_in * sizeof(struct track *));
    r->out = arena_alloc(&e->arena, node->n_out * sizeof(struct track *));
    for (size_t k = 0; k < node->n_in; k++)
        r->in[k] = track_of(e, node->in[k]);
    for (size_t k = 0; k < node->n_out; k++)
        r->out[k] = node->out[k] ? track_new(e, node->out[k]) : NULL;
}

int nn_delta_new(struct nn_delta **out, struct nn *net, size_t conv, struct diag *d)
{
    const struct conv_layer *c = &net->convs[conv];
    for (size_t k = 0; k < c->n_after; k++)
        for (size_t j = 0; j < net->steps[c->after[k]].n_out; j++) {
            const struct nn_value *v = net->steps[c->after[k]].out[j];
            if (v && v->n > UINT32_MAX)
                return diag_fail(d, ERR_UNSUPPORTED, (struct loc){.file = net->path},
                                 "value '%.60s' has too many elements", v->name);
        }
    struct nn_delta *e = calloc(1, sizeof *e);
    if (!e)
        return diag_fail(d, ERR_NOMEM, DIAG_NOWHERE, "out of memory");
    e->net = net;
    e->conv = conv;
    e->of = arena_alloc(&e->arena, net->n_values * sizeof *e->of);
    e->tracks = arena_alloc(&e->arena, net->n_values * sizeof *e->tracks);
    e->reach = arena_alloc(&e->arena, c->n_after * sizeof *e->reach);
    e->layer = track_new(e, c->out);
    for (size_t k = 0; k < c->n_after; k++)
        add_step(e, c->after[k]);
    e->touched = arena_alloc(&e->arena, e->room * sizeof *e->touched);
    *out = e;
    return OK;
}

void nn_delta_free(struct nn_delta *e)
{
    if (!e)
        return;
    arena_fini(&e->arena);
    free(e);
}

int nn_delta_image(struct nn_delta *e, const float *input, struct diag *d)
{
    int rc = nn_run(e->net, input, NULL, d);
    for (size_t k = 0; rc == OK && k < e->n_tracks; k++) {
        struct track *t = e->tracks[k];
        memcpy(t->golden, data_of(t->value), t->value->n * width(t->value));
        t->n = 0;
    }
    return rc;
}

const float *nn_delta_golden(const struct nn_delta *e) { return e->layer->golden; }

const float *nn_delta_golden_output(const struct nn_delta *e)
{
    const struct track *t = track_of((struct nn_delta *)e, e->net->outputs[0]);
    return t ? t->golden : e->net->outputs[0]->f;
}

/* ---- One error ---------------------------------------------------------------------------------------- */

static void undo(struct track *t)
{
    const struct nn_value *v = t->value;
    if (t->n > v->n / 4) {
        memcpy(data_of(v), t->golden, v->n * width(v));
    } else if (v->type == ONNX_FLOAT) {
        for (size_t k = 0; k < t->n; k++)
            v->f[t->at[k]] = ((const float *)t->golden)[t->at[k]];
    } else {
        for (size_t k = 0; k < t->n; k++)
            v->i[t->at[k]] = ((const int64_t *)t->golden)[t->at[k]];
    }
    t->n = 0;
}

static bool differs(const struct track *t, size_t at)
{
    size_t bytes = width(t->value);
    return memcmp(data_of(t->value) + at * bytes, (const char *)t->golden + at * bytes, bytes) != 0;
}

static void list(struct track *t, size_t at)
{
    if (t->listed[at] || !differs(t, at))
        return;
    t->listed[at] = 1;
    t->at[t->n++] = (uint32_t)at;
}

/* listed is clear but while a list is being made. */
static void listed_clear(struct track *t)
{
    for (size_t k = 0; k < t->n; k++)
        t->listed[t->at[k]] = 0;
}

/* After all of it was computed: blocks that are equal are passed over quickly. */
static void list_all(struct track *t)
{
    enum { BLOCK = 32 };
    size_t n = t->value->n, bytes = width(t->value), count = 0;
    for (size_t at = 0; at < n; at += BLOCK) {
        size_t len = n - at < BLOCK ? n - at : BLOCK;
        const char *now = data_of(t->value) + at * bytes;
        const char *was = (const char *)t->golden + at * bytes;
        if (memcmp(now, was, len * bytes) == 0)
            continue;
        for (size_t k = 0; k < len; k++) { /* without branches: t->at has room for all */
            t->at[count] = (uint32_t)(at + k);
            count += bytes == sizeof(float) ? memcmp(now + k * 4, was + k * 4, 4) != 0
                                            : memcmp(now + k * 8, was + k * 8, 8) != 0;
        }
    }
    t->n = count;
}

static bool only_first_output(const struct reach *r)
{
    for (size_t k = 1; k < r->n_out; k++)
        if (r->out[k])
            return false;
    return r->out[0] != NULL;
}

/* Through the rows that the errors of its first input reach: true if the operator can and it pays. */
static bool run_rows(struct nn_delta *e, const struct nn_node *node, const struct reach *r)
{
    struct track *in = r->in[0], *out = r->out[0];
    if (!node->run_rows || !in)
        return false;
    size_t n = node->run_rows(e->net, node, in->at, in->n, out->at, out->value->n);
    out->n = n == NN_ALL ? 0 : n;
    return n != NN_ALL;
}

/* Through the reached elements only, if the operator can and there are not too many: true. */
static bool run_some(struct nn_delta *e, const struct nn_node *node, const struct reach *r)
{
    if (!only_first_output(r))
        return false;
    if (!node->run_at)
        return run_rows(e, node, r);
    for (size_t k = 0; k < r->n_in; k++)
        if (r->in[k] && r->in[k]->n > r->in[k]->value->n / 8)
            return false;
    bool done = true;
    for (size_t k = 0; done && k < r->n_in; k++) {
        if (!r->in[k] || r->in[k]->n == 0)
            continue;
        size_t n = node->run_at(node, k, r->in[k]->at, r->in[k]->n, e->touched, e->room);
        done = n != NN_ALL;
        for (size_t j = 0; done && j < n; j++)
            list(r->out[0], e->touched[j]);
    }
    listed_clear(r->out[0]);
    return done;
}

static int follow(struct nn_delta *e, struct diag *d)
{
    for (size_t s = 0; s < e->n_reach; s++) {
        const struct reach *r = &e->reach[s];
        const struct nn_node *node = &e->net->steps[r->step];
        bool reached = false;
        for (size_t k = 0; k < r->n_in; k++)
            reached = reached || (r->in[k] && r->in[k]->n > 0);
        if (!reached || run_some(e, node, r))
            continue;
        unsigned status = node->run(e->net, node);
        if (status != dnnl_success)
            return node_fail(e->net, node, d, ERR_NOMEM, "oneDNN failed to compute it (%u)", status);
        for (size_t k = 0; k < r->n_out; k++)
            if (r->out[k])
                list_all(r->out[k]);
    }
    return OK;
}

int nn_delta_run(struct nn_delta *e, size_t n, const uint32_t *at, const float *faulty,
                 const float **output, struct diag *d)
{
    for (size_t k = 0; k < e->n_tracks; k++)
        if (e->tracks[k]->n > 0)
            undo(e->tracks[k]);
    for (size_t k = 0; k < n; k++) {
        e->layer->value->f[at[k]] = faulty[k];
        list(e->layer, at[k]);
    }
    listed_clear(e->layer);
    int threads = threads_one(), rc = follow(e, d);
    threads_restore(threads);
    const struct track *t = track_of(e, e->net->outputs[0]);
    *output = t && t->n > 0 ? t->value->f : NULL;
    return rc;
}
