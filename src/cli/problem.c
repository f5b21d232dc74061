#include "cli/problem.h"

#include <string.h>

#include "base/npy.h"
#include "base/rng.h"
#include "store/store.h"
#include "study/study.h"

void problem_defaults(void *args)
{
    struct problem_args *o = args;
    o->data = "fashion-mnist";
    o->data_seed = 1;
}

/* "2 x 3 x 4" */
static const char *dims_text(struct arena *a, const struct tensor *t)
{
    const char *text = "a tensor";
    for (int i = 0; i < t->rank; i++)
        text = arena_printf(a, i ? "%s x %zu" : "%.0s%zu", text, t->dim[i]);
    return text;
}

static bool is_store(const char *path)
{
    size_t n = strlen(path);
    return n > 3 && strcmp(path + n - 3, ".db") == 0;
}

/* The input (stream 0) or the filter (1) of a campaign. */
static int load_stored(const float **out, struct arena *a, const char *path, const size_t dim[4],
                       uint64_t stream, struct diag *d)
{
    struct store *s;
    int rc = store_open(&s, path, false, d);
    if (rc != OK)
        return rc;
    const struct store_campaign *c = store_campaign(s);
    size_t n = !c ? 0 : stream ? c->filter_floats : c->input_floats;
    size_t want = dim[0] * dim[1] * dim[2] * dim[3];
    if (n == want && n > 0) {
        float *copy = arena_array(a, n, sizeof *copy);
        memcpy(copy, stream ? c->filter : c->input, n * sizeof *copy);
        *out = copy;
    } else {
        rc = diag_fail(d, ERR_INPUT, (struct loc){.file = path},
                       "its campaign has %zu values there; the shape asks for %zu", n, want);
    }
    store_close(s, NULL);
    return rc;
}

/* A file's tensor, or random numbers where there is none. */
static int load_tensor(const float **out, struct arena *a, const char *path, const size_t dim[4],
                       uint64_t seed, uint64_t stream, struct diag *d)
{
    struct tensor t;
    if (!path) {
        struct rng r;
        rng_init(&r, seed, stream);
        t = tensor_new(a, 4, dim);
        for (size_t i = 0; i < tensor_elems(&t); i++)
            t.data[i] = (float)(2 * rng_unit(&r) - 1);
        *out = t.data;
        return OK;
    }
    if (is_store(path))
        return load_stored(out, a, path, dim, stream, d);
    int rc = npy_read(&t, a, path, d);
    if (rc != OK)
        return rc;
    size_t want = dim[0] * dim[1] * dim[2] * dim[3];
    bool fits = tensor_elems(&t) == want;
    for (int i = 0; i < 4 && t.rank == 4; i++)
        fits = fits && t.dim[i] == dim[i]; /* not one in another layout */
    if (!fits)
        return diag_fail(d, ERR_INPUT, (struct loc){.file = path},
                         "%s of %zu values; the shape asks for %zu x %zu x %zu x %zu",
                         dims_text(a, &t), tensor_elems(&t), dim[0], dim[1], dim[2], dim[3]);
    *out = t.data;
    return OK;
}

static int load_shape(struct problem *out, struct arena *a, const struct problem_args *o,
                      struct diag *d)
{
    int rc = conv_parse_shape(&out->problem, o->shape, d);
    if (rc != OK)
        return rc;
    const struct conv_problem *p = &out->problem;
    const size_t in[4] = {(size_t)p->n, (size_t)p->c, (size_t)p->h, (size_t)p->w};
    const size_t filter[4] = {(size_t)p->k, (size_t)(p->c / p->groups), (size_t)p->r, (size_t)p->s};
    rc = load_tensor(&out->input, a, o->input, in, o->data_seed, 0, d);
    if (rc == OK)
        rc = load_tensor(&out->filter, a, o->filter, filter, o->data_seed, 1, d);
    return rc;
}

static int load_layer(struct problem *out, struct arena *a, const struct problem_args *o,
                      struct diag *d)
{
    struct study_layer layer;
    if (!o->layer)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "--onnx needs --layer, a name or an index");
    int rc = study_layer(&layer, a, o->onnx, o->data, o->layer, o->image, d);
    if (rc == OK) {
        out->layer = layer.name;
        out->problem = layer.problem;
        out->input = layer.input;
        out->filter = layer.filter;
    }
    return rc;
}

int problem_load(struct problem *out, struct arena *a, const struct problem_args *o, struct diag *d)
{
    *out = (struct problem){.layer = ""};
    if (!o->impl)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                         "--impl NAME is missing; 'sievert conv list' shows the names");
    int rc = conv_find(&out->impl, o->impl, d);
    if (rc != OK)
        return rc;
    if (!o->shape == !o->onnx)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                         "give the problem by --shape SHAPE or by --onnx NET.onnx --layer NAME");
    if (o->shape && o->layer)
        out->layer = o->layer;
    rc = o->shape ? load_shape(out, a, o, d) : load_layer(out, a, o, d);
    if (rc == OK && o->layout) {
        int layout;
        rc = vocab_find(&vocab_layouts, o->layout, &layout, d);
        if (rc == OK)
            out->problem.layout = (enum tensor_layout)layout;
    }
    return rc;
}
