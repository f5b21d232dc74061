/* Many errors at once, each as its differences from the fault-free run. All values stay golden;
 * step by step, each error's differences become those of the step's outputs: only through the
 * elements that they reach where the operator knows how, many errors in one call where it computes
 * batches, or by running the whole operator on the one error's values and listing what came out
 * different. An error without differences left costs nothing more. Each element is computed by the
 * same code from the same operands as in nn_run_from, or by code that was tried to give its bits.
 */
#include "nn/delta.h"

#include <stdlib.h>
#include <string.h>

#include "nn/threads.h"

enum {
    SLOTS = 32,
    SPREAD =
        8 /* of a value's elements, one in so many: 2, 4, 8 tried on MobileNet; it served VGG and LeNet-5, too */
};
static const size_t SLOT_BYTES = (size_t)256 << 20; /* of all lists that may live at once */

/* A value that depends on the input. Outputs that share memory with an input share its track. */
struct track {
    struct nn_value *value;
    void *golden;
    size_t last;              /* the last step that reads it */
    bool kept;                /* the network's output */
    bool changed;             /* while one error goes through the rest */
    struct diffs *now[SLOTS]; /* by error; NULL: none */
};

struct reach {
    size_t n_in, n_out;
    struct track **in, **out; /* NULL: errors do not come this way */
    bool
        heavy; /* parameters from here on are many, and far more than elements: read them for a batch */
};

struct nn_delta {
    struct nn *net;
    struct arena arena;
    struct track **of; /* by value number */
    size_t n_tracks, slots, room;
    struct track **tracks;
    struct reach *reach; /* by step; n_out 0: nothing to follow */
    uint32_t *touched;   /* room for a whole value */
    uint8_t *listed;     /* by element, clear but while a list is made */
    float *output[SLOTS];
    struct diffs *idle; /* lists to use again */
};

/* ---- Lists of differences -------------------------------------------------------------------- */

void diffs_reserve(struct diffs *x, size_t n)
{
    if (n <= x->room)
        return;
    n = n > 2 * x->room ? n : 2 * x->room;
    x->at = realloc(x->at, n * sizeof *x->at);
    x->data = realloc(x->data, n * sizeof(int64_t));
    if (!x->at || !x->data)
        abort(); /* out of memory, as in base/arena */
    x->room = n;
}

void diffs_free(struct diffs *x)
{
    free(x->at);
    free(x->data);
}

static struct diffs *take(struct nn_delta *e)
{
    struct diffs *x = e->idle;
    if (x)
        e->idle = x->next;
    else
        x = ARENA_NEW(&e->arena, struct diffs);
    x->n = 0;
    return x;
}

static void give(struct nn_delta *e, struct diffs *x)
{
    x->next = e->idle;
    e->idle = x;
}

static void release(struct nn_delta *e, struct track *t)
{
    for (size_t slot = 0; slot < e->slots; slot++)
        if (t->now[slot]) {
            give(e, t->now[slot]);
            t->now[slot] = NULL;
        }
}

/* An empty list is none. */
static void settle(struct nn_delta *e, struct track *t, size_t slot, struct diffs *x)
{
    if (x->n > 0)
        t->now[slot] = x;
    else
        give(e, x);
}

/* ---- Making ready ---------------------------------------------------------------------------- */

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
    e->room = v->n > e->room ? v->n : e->room;
    e->tracks[e->n_tracks++] = t;
    return e->of[v->number] = t;
}

static struct track *track_of(const struct nn_delta *e, const struct nn_value *v)
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
    struct reach *r = &e->reach[step];
    *r = (struct reach){.n_in = node->n_in, .n_out = node->n_out};
    r->in = arena_alloc(&e->arena, node->n_in * sizeof(struct track *));
    r->out = arena_alloc(&e->arena, node->n_out * sizeof(struct track *));
    for (size_t k = 0; k < node->n_in; k++)
        if ((r->in[k] = track_of(e, node->in[k])))
            r->in[k]->last = step;
    for (size_t k = 0; k < node->n_out; k++)
        r->out[k] = node->out[k] ? track_new(e, node->out[k]) : NULL;
}

/* Loading weights that no cache holds is then most of the work, and several errors share it. */
static void find_heavy(struct nn_delta *e)
{
    enum { CACHED = 1 << 20, PER_ELEMENT = 4 }; /* floats */
    size_t weights = 0, elements = 0;
    for (size_t s = e->net->n_steps; s-- > 0;) {
        const struct nn_node *node = &e->net->steps[s];
        if (node->parameters)
            weights += node->in[1]->n;
        for (size_t k = 0; k < node->n_out; k++)
            elements += node->run && node->out[k] ? node->out[k]->n : 0;
        e->reach[s].heavy = weights > CACHED && weights / PER_ELEMENT > elements;
    }
}

int nn_delta_new(struct nn_delta **out, struct nn *net, struct diag *d)
{
    for (size_t s = 0; s < net->n_steps; s++)
        for (size_t j = 0; j < net->steps[s].n_out; j++) {
            const struct nn_value *v = net->steps[s].out[j];
            if (v && v->n > UINT32_MAX)
                return diag_fail(d, ERR_UNSUPPORTED, (struct loc){.file = net->path},
                                 "value '%.60s' has too many elements", v->name);
        }
    struct nn_delta *e = calloc(1, sizeof *e);
    if (!e)
        return diag_fail(d, ERR_NOMEM, DIAG_NOWHERE, "out of memory");
    e->net = net;
    e->of = arena_alloc(&e->arena, net->n_values * sizeof *e->of);
    e->tracks = arena_alloc(&e->arena, net->n_values * sizeof *e->tracks);
    e->reach = arena_alloc(&e->arena, net->n_steps * sizeof *e->reach);
    for (size_t s = 0; s < net->n_steps; s++)
        add_step(e, s);
    find_heavy(e);
    struct track *answer = track_of(e, net->outputs[0]);
    if (answer)
        answer->kept = true;
    e->touched = arena_alloc(&e->arena, e->room * sizeof *e->touched);
    e->listed = arena_alloc(&e->arena, e->room);
    e->slots = SLOT_BYTES / (4 * (e->room + 1) * (sizeof(uint32_t) + sizeof(int64_t)));
    e->slots = e->slots < 1 ? 1 : e->slots > SLOTS ? SLOTS : e->slots;
    for (size_t k = 0; k < e->slots; k++)
        e->output[k] = arena_alloc(&e->arena, net->outputs[0]->n * sizeof(float));
    *out = e;
    return OK;
}

void nn_delta_free(struct nn_delta *e)
{
    if (!e)
        return;
    for (size_t k = 0; k < e->n_tracks; k++)
        release(e, e->tracks[k]);
    for (struct diffs *x = e->idle; x; x = x->next)
        diffs_free(x);
    arena_fini(&e->arena);
    free(e);
}

size_t nn_delta_slots(const struct nn_delta *e) { return e->slots; }

int nn_delta_image(struct nn_delta *e, const float *input, struct diag *d)
{
    int rc = nn_run(e->net, input, NULL, d);
    for (size_t k = 0; rc == OK && k < e->n_tracks; k++) {
        struct track *t = e->tracks[k];
        memcpy(t->golden, data_of(t->value), t->value->n * width(t->value));
    }
    return rc;
}

const float *nn_delta_golden(const struct nn_delta *e, size_t layer)
{
    return e->net->layers[layer].value->f;
}

const float *nn_delta_golden_output(const struct nn_delta *e) { return e->net->outputs[0]->f; }

/* ---- One error through one operator ---------------------------------------------------------- */

static void apply(const struct track *t, const struct diffs *x)
{
    const struct nn_value *v = t->value;
    if (v->type == ONNX_FLOAT)
        for (size_t k = 0; k < x->n; k++)
            v->f[x->at[k]] = ((const float *)x->data)[k];
    else
        for (size_t k = 0; k < x->n; k++)
            v->i[x->at[k]] = ((const int64_t *)x->data)[k];
}

static void restore(const struct track *t, const struct diffs *x)
{
    const struct nn_value *v = t->value;
    if (x->n > v->n / 4) {
        memcpy(data_of(v), t->golden, v->n * width(v));
    } else if (v->type == ONNX_FLOAT) {
        for (size_t k = 0; k < x->n; k++)
            v->f[x->at[k]] = ((const float *)t->golden)[x->at[k]];
    } else {
        for (size_t k = 0; k < x->n; k++)
            v->i[x->at[k]] = ((const int64_t *)t->golden)[x->at[k]];
    }
}

/* Element at of t, if it differs now. There must be room. */
static inline void list(const struct track *t, struct diffs *x, uint32_t at)
{
    const struct nn_value *v = t->value;
    x->at[x->n] = at;
    if (v->type == ONNX_FLOAT) {
        ((float *)x->data)[x->n] = v->f[at];
        x->n += memcmp(&v->f[at], (const float *)t->golden + at, sizeof *v->f) != 0;
    } else {
        ((int64_t *)x->data)[x->n] = v->i[at];
        x->n += v->i[at] != ((const int64_t *)t->golden)[at];
    }
}

/* After all of t was computed: blocks that are equal are passed over quickly. */
static void list_all(const struct track *t, struct diffs *x)
{
    enum { BLOCK = 32 };
    size_t n = t->value->n, bytes = width(t->value);
    diffs_reserve(x, n);
    for (size_t at = 0; at < n; at += BLOCK) {
        size_t len = n - at < BLOCK ? n - at : BLOCK;
        if (memcmp(data_of(t->value) + at * bytes, (const char *)t->golden + at * bytes,
                   len * bytes) == 0)
            continue;
        if (bytes == sizeof(float))
            x->n = diffs_compare(x, (uint32_t)at, len, t->value->f + at,
                                 (const float *)t->golden + at);
        else
            for (size_t k = 0; k < len; k++)
                list(t, x, (uint32_t)(at + k));
    }
}

static bool only_first_output(const struct reach *r)
{
    for (size_t k = 1; k < r->n_out; k++)
        if (r->out[k])
            return false;
    return r->n_out > 0 && r->out[0] != NULL;
}

/* Through the reached elements only, if the operator can and there are not too many. */
static bool run_some(struct nn_delta *e, const struct nn_node *node, const struct reach *r,
                     size_t slot, struct diffs *x)
{
    if (!node->run_at || !only_first_output(r))
        return false;
    for (size_t k = 0; k < r->n_in; k++)
        if (r->in[k] && r->in[k]->now[slot] && r->in[k]->now[slot]->n > r->in[k]->value->n / 8)
            return false;
    const struct track *out = r->out[0];
    for (size_t k = 0; k < r->n_in; k++) {
        const struct diffs *in = r->in[k] ? r->in[k]->now[slot] : NULL;
        if (!in)
            continue;
        size_t n = node->run_at(node, k, in->at, in->n, e->touched, e->room);
        if (n == NN_ALL)
            return false;
        diffs_reserve(x, x->n + n);
        for (size_t j = 0; j < n; j++)
            if (!e->listed[e->touched[j]]) {
                e->listed[e->touched[j]] = 1;
                x->at[x->n++] = e->touched[j];
            }
    }
    size_t n = x->n; /* touched: now those that differ, as they are after all inputs */
    x->n = 0;
    for (size_t j = 0; j < n; j++) {
        e->listed[x->at[j]] = 0;
        list(out, x, x->at[j]);
    }
    return true;
}

static void clear_listed(struct nn_delta *e, struct diffs *x)
{
    for (size_t j = 0; j < x->n; j++)
        e->listed[x->at[j]] = 0;
    x->n = 0;
}

/* The whole operator on this error's values. */
static unsigned run_whole(struct nn_delta *e, const struct nn_node *node, const struct reach *r,
                          size_t slot)
{
    unsigned s = node->run(e->net, node);
    for (size_t k = 0; k < r->n_out; k++) {
        if (!r->out[k])
            continue;
        struct diffs *x = take(e);
        list_all(r->out[k], x);
        restore(r->out[k], x);
        settle(e, r->out[k], slot, x);
    }
    return s;
}

static unsigned run_one(struct nn_delta *e, const struct nn_node *node, const struct reach *r,
                        size_t slot)
{
    for (size_t k = 0; k < r->n_in; k++)
        if (r->in[k] && r->in[k]->now[slot])
            apply(r->in[k], r->in[k]->now[slot]);
    struct diffs *x = take(e);
    unsigned s = dnnl_success;
    if (run_some(e, node, r, slot, x)) {
        restore(r->out[0], x);
        settle(e, r->out[0], slot, x);
    } else {
        clear_listed(e, x);
        give(e, x);
        s = run_whole(e, node, r, slot);
    }
    for (size_t k = 0; k < r->n_in; k++)
        if (r->in[k] && r->in[k]->now[slot])
            restore(r->in[k], r->in[k]->now[slot]);
    return s;
}

/* ---- One error through the rest of the network ------------------------------------------ */

/* Much of what the step reads differs: following differences costs more than the plain way. */
static bool spread_out(const struct reach *r, size_t slot)
{
    for (size_t k = 0; !r->heavy && k < r->n_in; k++)
        if (r->in[k] && r->in[k]->now[slot] && SPREAD * r->in[k]->now[slot]->n > r->in[k]->value->n)
            return true;
    return false;
}

static bool any_changed(const struct reach *r)
{
    for (size_t k = 0; k < r->n_in; k++)
        if (r->in[k] && r->in[k]->changed)
            return true;
    return false;
}

/* Its values in place, and all that depends on them computed as a whole; afterwards all is golden
 * again, and what is left of the error are the answer's differences. */
static unsigned run_rest(struct nn_delta *e, size_t step, size_t slot)
{
    unsigned s = dnnl_success;
    for (size_t k = 0; k < e->n_tracks; k++) {
        struct track *t = e->tracks[k];
        t->changed = t->now[slot] != NULL;
        if (!t->changed)
            continue;
        apply(t, t->now[slot]);
        give(e, t->now[slot]);
        t->now[slot] = NULL;
    }
    for (; s == dnnl_success && step < e->net->n_steps; step++) {
        const struct reach *r = &e->reach[step];
        if (!any_changed(r))
            continue;
        s = e->net->steps[step].run(e->net, &e->net->steps[step]);
        for (size_t k = 0; k < r->n_out; k++)
            if (r->out[k])
                r->out[k]->changed = true;
    }
    struct track *answer = track_of(e, e->net->outputs[0]);
    if (answer) {
        struct diffs *x = take(e);
        list_all(answer, x);
        settle(e, answer, slot, x);
    }
    for (size_t k = 0; k < e->n_tracks; k++) {
        const struct track *t = e->tracks[k];
        if (t->changed)
            memcpy(data_of(t->value), t->golden, t->value->n * width(t->value));
    }
    return s;
}

/* ---- All errors through the network ----------------------------------------------------- */

/* Those of n errors, by slot, that reach this step; by_first: through input 0 alone. */
static size_t reached(const struct reach *r, size_t n, size_t *slots, bool *by_first)
{
    size_t count = 0;
    *by_first = true;
    for (size_t slot = 0; slot < n; slot++) {
        bool any = false;
        for (size_t k = 0; k < r->n_in; k++)
            if (r->in[k] && r->in[k]->now[slot]) {
                any = true;
                *by_first = *by_first && k == 0;
            }
        if (any)
            slots[count++] = slot;
    }
    return count;
}

/* All these errors by one call; those that it could not do remain in slots, whose number is
 * returned. */
static size_t run_batch(struct nn_delta *e, const struct nn_node *node, const struct reach *r,
                        size_t n, size_t *slots)
{
    const struct diffs *in[SLOTS];
    struct diffs *out[SLOTS];
    size_t left = 0;
    for (size_t k = 0; k < n; k++) {
        in[k] = r->in[0]->now[slots[k]];
        out[k] = take(e);
    }
    node->run_batch(e->net, node, n, in, out);
    for (size_t k = 0; k < n; k++)
        if (out[k]->n == NN_ALL) {
            give(e, out[k]);
            slots[left++] = slots[k];
        } else {
            settle(e, r->out[0], slots[k], out[k]);
        }
    return left;
}

static int follow(struct nn_delta *e, size_t n, size_t first, struct diag *d)
{
    for (size_t s = first; s < e->net->n_steps; s++) {
        const struct reach *r = &e->reach[s];
        const struct nn_node *node = &e->net->steps[s];
        size_t slots[SLOTS];
        bool by_first;
        size_t count = reached(r, n, slots, &by_first), followed = 0;
        for (size_t k = 0; k < count; k++) {
            if (!spread_out(r, slots[k])) {
                slots[followed++] = slots[k];
                continue;
            }
            unsigned status = run_rest(e, s, slots[k]);
            if (status != dnnl_success)
                return node_fail(e->net, node, d, ERR_NOMEM, "oneDNN failed to compute it (%u)",
                                 status);
        }
        count = followed;
        if (count > 0 && node->run_batch && by_first)
            count = run_batch(e, node, r, count, slots);
        for (size_t k = 0; k < count; k++) {
            unsigned status = run_one(e, node, r, slots[k]);
            if (status != dnnl_success)
                return node_fail(e->net, node, d, ERR_NOMEM, "oneDNN failed to compute it (%u)",
                                 status);
        }
        for (size_t k = 0; k < r->n_in; k++)
            if (r->in[k] && r->in[k]->last == s && !r->in[k]->kept)
                release(e, r->in[k]);
    }
    return OK;
}

/* The layer computed with a corrupted parameter; the parameter is as it was afterwards. */
static int strike_parameter(struct nn_delta *e, const struct nn_error *error, struct diffs *x,
                            struct diag *d)
{
    const struct layer *layer = &e->net->layers[error->layer];
    const struct nn_node *node = &e->net->steps[layer->step];
    struct nn_value *v = node->in[error->where == NN_BIAS ? 2 : 1];
    const struct track *t = track_of(e, layer->value);
    struct arena a = {0};
    float *was = arena_alloc(&a, error->n * sizeof *was);
    for (size_t k = 0; k < error->n; k++) {
        was[k] = v->f[error->at[k]];
        v->f[error->at[k]] = error->faulty[k];
    }
    unsigned s = node->reload ? node->reload(e->net, node) : dnnl_success;
    if (s == dnnl_success)
        s = node->run(e->net, node);
    list_all(t, x);
    restore(t, x);
    for (size_t k = error->n; k-- > 0;)
        v->f[error->at[k]] = was[k];
    if (node->reload)
        s = s == dnnl_success ? node->reload(e->net, node) : s;
    arena_fini(&a);
    return s == dnnl_success
               ? OK
               : node_fail(e->net, node, d, ERR_NOMEM, "oneDNN failed to compute it (%u)", s);
}

static int strike(struct nn_delta *e, const struct nn_error *error, size_t slot, struct diag *d)
{
    struct track *t = track_of(e, e->net->layers[error->layer].value);
    struct diffs *x = take(e);
    int rc = OK;
    if (error->where != NN_OUTPUT) {
        rc = strike_parameter(e, error, x, d);
    } else {
        diffs_reserve(x, error->n);
        for (size_t k = 0; k < error->n; k++) {
            uint32_t at = error->at[k];
            x->at[x->n] = at;
            ((float *)x->data)[x->n] = error->faulty[k];
            x->n += memcmp(&error->faulty[k], &t->value->f[at], sizeof(float)) != 0;
        }
    }
    settle(e, t, slot, x);
    return rc;
}

int nn_delta_run(struct nn_delta *e, size_t n, struct nn_error *errors, struct diag *d)
{
    int rc = OK, threads = threads_one();
    struct track *answer = track_of(e, e->net->outputs[0]);
    size_t first = e->net->n_steps;
    for (size_t k = 0; rc == OK && k < n; k++) {
        size_t step = e->net->layers[errors[k].layer].step;
        first = step < first ? step : first;
        rc = strike(e, &errors[k], k, d);
    }
    if (rc == OK)
        rc = follow(e, n, first, d);
    for (size_t k = 0; rc == OK && k < n; k++) {
        const struct diffs *x = answer ? answer->now[k] : NULL;
        errors[k].output = NULL;
        if (!x)
            continue;
        memcpy(e->output[k], answer->golden, answer->value->n * sizeof(float));
        for (size_t j = 0; j < x->n; j++)
            e->output[k][x->at[j]] = ((const float *)x->data)[j];
        errors[k].output = e->output[k];
    }
    for (size_t k = 0; k < e->n_tracks; k++)
        release(e, e->tracks[k]);
    threads_restore(threads);
    return rc;
}
