/* An ONNX graph -> a net ready to run: every node checked and built in the file's order, shapes
 * inferred as it goes, what depends only on constants computed at once. */
#include "nn/priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/threads.h"

static const size_t DEFAULT_MAX_BYTES = (size_t)4 << 30;

/* ---- Messages, attributes, values: what build functions use -------------------------------------- */

int node_fail(const struct nn *net, const struct nn_node *node, struct diag *d, enum status code,
              const char *fmt, ...)
{
    char what[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    const struct onnx_node *p = node->proto;
    const char *name = *p->name ? p->name : p->n_out ? p->out[0] : "";
    return diag_fail(d, code, (struct loc){.file = net->path}, "node '%.60s' (%.40s): %s", name,
                     p->op, what);
}

const struct onnx_attr *attr_find(const struct nn_node *node, const char *name)
{
    for (size_t k = 0; k < node->proto->n_attrs; k++)
        if (strcmp(node->proto->attrs[k].name, name) == 0)
            return &node->proto->attrs[k];
    return NULL;
}

int64_t attr_int(const struct nn_node *node, const char *name, int64_t otherwise)
{
    const struct onnx_attr *a = attr_find(node, name);
    return a && a->kind == ATTR_INT ? a->i : otherwise;
}

float attr_float(const struct nn_node *node, const char *name, float otherwise)
{
    const struct onnx_attr *a = attr_find(node, name);
    return a && a->kind == ATTR_FLOAT ? a->f : otherwise;
}

const char *attr_string(const struct nn_node *node, const char *name, const char *otherwise)
{
    const struct onnx_attr *a = attr_find(node, name);
    return a && a->kind == ATTR_STRING ? a->s : otherwise;
}

const int64_t *attr_ints(const struct nn_node *node, const char *name, size_t *n)
{
    const struct onnx_attr *a = attr_find(node, name);
    *n = a && a->kind == ATTR_INTS ? a->n : 0;
    return a && a->kind == ATTR_INTS ? a->ints : NULL;
}

int attr_sizes(const struct nn *net, const struct nn_node *node, const char *name, size_t wanted,
               int64_t lo, int64_t hi, int64_t otherwise, int64_t *out, struct diag *d)
{
    size_t n;
    const int64_t *v = attr_ints(node, name, &n);
    if (v && n != wanted)
        return node_fail(net, node, d, ERR_INPUT, "%s has %zu numbers instead of %zu", name, n,
                         wanted);
    for (size_t k = 0; k < wanted; k++) {
        out[k] = v ? v[k] : otherwise;
        if (out[k] < lo || out[k] > hi)
            return node_fail(net, node, d, ERR_UNSUPPORTED, "%s %lld is not in %lld..%lld", name,
                             (long long)out[k], (long long)lo, (long long)hi);
    }
    return OK;
}

int node_axis(const struct nn *net, const struct nn_node *node, int64_t axis, int rank, int *out,
              struct diag *d)
{
    if (axis < -rank || axis >= rank)
        return node_fail(net, node, d, ERR_INPUT, "axis %lld of a tensor of %d dimensions",
                         (long long)axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return OK;
}

int node_want(const struct nn *net, const struct nn_node *node, size_t i, int type, struct diag *d)
{
    if (i >= node->n_in || !node->in[i])
        return node_fail(net, node, d, ERR_INPUT, "input %zu is missing", i);
    if (node->in[i]->type != type)
        return node_fail(net, node, d, ERR_UNSUPPORTED, "input %zu is of type %s, not %s", i,
                         onnx_type_name(node->in[i]->type), onnx_type_name(type));
    return OK;
}

static int want_known(const struct nn *net, const struct nn_node *node, size_t i, struct diag *d)
{
    if (!node->in[i]->known)
        return node_fail(net, node, d, ERR_UNSUPPORTED,
                         "input %zu ('%.60s') decides shapes and must be a constant", i,
                         node->in[i]->name);
    return OK;
}

int node_known_ints(const struct nn *net, const struct nn_node *node, size_t i, struct diag *d)
{
    if (i < node->n_in && node->in[i] && node->in[i]->type == ONNX_INT32)
        return want_known(net, node, i, d);
    int rc = node_want(net, node, i, ONNX_INT64, d);
    return rc != OK ? rc : want_known(net, node, i, d);
}

int node_known_floats(const struct nn *net, const struct nn_node *node, size_t i, struct diag *d)
{
    int rc = node_want(net, node, i, ONNX_FLOAT, d);
    return rc != OK ? rc : want_known(net, node, i, d);
}

size_t dims_product(int rank, const size_t *dim)
{
    size_t n = 1;
    for (int k = 0; k < rank; k++)
        n *= dim[k];
    return n;
}

void dims_strides(int rank, const size_t *dim, size_t *stride)
{
    size_t at = 1;
    for (int k = rank - 1; k >= 0; k--) {
        stride[k] = at;
        at *= dim[k];
    }
}

float *net_floats(struct nn *net, size_t n)
{
    net->bytes += n * sizeof(float);
    return arena_alloc(&net->arena, n * sizeof(float));
}

/* Type and shape, with the number of elements checked; no memory yet. */
static int shape_value(struct nn *net, struct nn_value *v, int type, int rank, const size_t *dim,
                       struct diag *d)
{
    v->type = type;
    v->rank = rank;
    v->n = 1;
    for (int k = 0; k < rank; k++) {
        v->dim[k] = dim[k];
        if (__builtin_mul_overflow(v->n, dim[k], &v->n) || v->n > net->max_bytes / sizeof(int64_t))
            return diag_fail(d, ERR_UNSUPPORTED, (struct loc){.file = net->path},
                             "value '%.60s' would have more than %zu elements", v->name,
                             net->max_bytes / sizeof(int64_t));
    }
    return OK;
}

static int value_memory(struct nn *net, struct nn_value *v, struct diag *d)
{
    size_t bytes = v->n * (v->type == ONNX_FLOAT ? sizeof(float) : sizeof(int64_t));
    if (net->bytes > net->max_bytes || bytes > net->max_bytes - net->bytes)
        return diag_fail(d, ERR_UNSUPPORTED, (struct loc){.file = net->path},
                         "value '%.60s': the network needs more than %zu MiB", v->name,
                         net->max_bytes >> 20);
    net->bytes += bytes;
    if (v->type == ONNX_FLOAT)
        v->f = arena_alloc(&net->arena, bytes);
    else
        v->i = arena_alloc(&net->arena, bytes);
    return OK;
}

int node_out(struct nn *net, struct nn_node *node, size_t i, int type, int rank, const size_t *dim,
             struct diag *d)
{
    if (i >= node->n_out || !node->out[i])
        return OK;
    if (rank > TENSOR_MAX_RANK)
        return node_fail(net, node, d, ERR_UNSUPPORTED, "the result has %d dimensions", rank);
    int rc = shape_value(net, node->out[i], type, rank, dim, d);
    return rc != OK ? rc : value_memory(net, node->out[i], d);
}

int node_alias(struct nn *net, struct nn_node *node, size_t i, size_t j, int rank,
               const size_t *dim, struct diag *d)
{
    struct nn_value *out = node->out[i];
    if (rank > TENSOR_MAX_RANK)
        return node_fail(net, node, d, ERR_UNSUPPORTED, "the result has %d dimensions", rank);
    int rc = shape_value(net, out, node->in[j]->type, rank, dim, d);
    if (rc != OK)
        return rc;
    if (out->n != node->in[j]->n)
        return node_fail(net, node, d, ERR_INPUT, "%zu elements cannot take a shape of %zu",
                         node->in[j]->n, out->n);
    out->f = node->in[j]->f;
    out->i = node->in[j]->i;
    return OK;
}

/* ---- The table of values --------------------------------------------------------------------------- */

struct names {
    size_t size; /* a power of two, at most half full */
    struct nn_value **slot;
};

static struct nn_value **names_at(const struct names *t, const char *name)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (const char *p = name; *p; p++)
        hash = (hash ^ (unsigned char)*p) * 0x100000001b3;
    size_t k = hash & (t->size - 1);
    while (t->slot[k] && strcmp(t->slot[k]->name, name) != 0)
        k = (k + 1) & (t->size - 1);
    return &t->slot[k];
}

struct builder {
    struct nn *net;
    struct arena scratch;
    struct onnx_graph graph;
    struct names names;
};

static int define(struct nn_value **out, struct builder *b, const char *name, struct diag *d)
{
    struct nn_value **slot = names_at(&b->names, name);
    if (*slot)
        return diag_fail(d, ERR_INPUT, (struct loc){.file = b->net->path},
                         "value '%.60s' is defined twice", name);
    *out = *slot = ARENA_NEW(&b->net->arena, struct nn_value);
    (*out)->name = arena_strdup(&b->net->arena, name);
    (*out)->number = b->net->n_values++;
    return OK;
}

static int known_value(struct nn *net, struct nn_value *v, const struct onnx_tensor *t,
                       struct diag *d)
{
    if (!t->held)
        return diag_fail(d, ERR_UNSUPPORTED, (struct loc){.file = net->path},
                         "constant '%.60s': %s", v->name, t->why);
    int rc = shape_value(net, v, t->type, t->rank, t->dim, d);
    if (rc == OK)
        rc = value_memory(net, v, d);
    if (rc != OK)
        return rc;
    v->known = true;
    if (v->n > 0 && t->type == ONNX_FLOAT)
        memcpy(v->f, t->f, v->n * sizeof *v->f);
    else if (v->n > 0)
        memcpy(v->i, t->i, v->n * sizeof *v->i);
    return OK;
}

/* ---- Inputs ------------------------------------------------------------------------------------------ */

static int input_shape(struct nn *net, struct nn_value *v, const struct onnx_input *in,
                       size_t batch, struct diag *d)
{
    struct loc at = {.file = net->path};
    size_t dim[TENSOR_MAX_RANK];
    if (!onnx_type_held(in->type) || !in->has_shape)
        return diag_fail(d, ERR_UNSUPPORTED, at,
                         "input '%.60s' is not a tensor of float or integers "
                         "of known shape",
                         in->name);
    for (int k = 0; k < in->rank; k++) {
        bool dynamic = in->dim[k] < 0;
        if (dynamic && k > 0)
            return diag_fail(d, ERR_UNSUPPORTED, at,
                             "input '%.60s': dimension %d is not fixed (only the first may vary)",
                             in->name, k);
        dim[k] = dynamic ? (batch ? batch : 1) : (size_t)in->dim[k];
        if (k == 0 && batch && dim[0] != batch && in->type == ONNX_FLOAT)
            return diag_fail(d, ERR_INPUT, at,
                             "input '%.60s': the file fixes the batch to %zu, %zu was asked for",
                             in->name, dim[0], batch);
    }
    int rc = shape_value(net, v, in->type, in->rank, dim, d);
    return rc != OK ? rc : value_memory(net, v, d);
}

static int add_inputs(struct builder *b, const struct graph_options *o, struct diag *d)
{
    struct nn *net = b->net;
    net->inputs = arena_alloc(&net->arena, b->graph.n_inputs * sizeof *net->inputs);
    for (size_t k = 0; k < b->graph.n_inputs; k++) {
        const struct onnx_input *in = &b->graph.inputs[k];
        struct nn_value *v = *names_at(&b->names, in->name);
        if (v)
            continue; /* old files list initialisers as inputs too */
        const struct onnx_tensor *t = NULL;
        for (size_t j = 0; j < o->n_bound && !t; j++)
            t = strcmp(o->bound[j].name, in->name) == 0 ? o->bound[j].tensor : NULL;
        int rc = define(&v, b, in->name, d);
        if (rc == OK)
            rc = t ? known_value(net, v, t, d) : input_shape(net, v, in, o->batch, d);
        if (rc != OK)
            return rc;
        if (!t)
            net->inputs[net->n_inputs++] = v;
    }
    return OK;
}

static int add_consts(struct builder *b, struct diag *d)
{
    for (size_t k = 0; k < b->graph.n_consts; k++) {
        struct nn_value *v;
        int rc = define(&v, b, b->graph.consts[k].name, d);
        if (rc == OK)
            rc = known_value(b->net, v, &b->graph.consts[k], d);
        if (rc != OK)
            return rc;
    }
    return OK;
}

/* ---- Nodes ------------------------------------------------------------------------------------------- */

const struct op *op_find(const char *name)
{
    for (size_t k = 0; k < nn_n_ops; k++)
        if (strcmp(nn_ops[k].name, name) == 0)
            return &nn_ops[k];
    return NULL;
}

static bool word_in(const char *word, const char *list)
{
    size_t len = strlen(word);
    for (const char *p = list; *p;) {
        size_t n = strcspn(p, " ");
        if (n == len && memcmp(p, word, n) == 0)
            return true;
        p += n + (p[n] == ' ');
    }
    return false;
}

static int check_node(const struct nn *net, struct nn_node *node, struct diag *d)
{
    const struct onnx_node *p = node->proto;
    bool ours = !*p->domain || strcmp(p->domain, "ai.onnx") == 0;
    node->op = ours ? op_find(p->op) : NULL;
    if (!node->op)
        return node_fail(net, node, d, ERR_UNSUPPORTED, "this operator%s%.40s is not supported",
                         ours ? "" : " of domain ", p->domain);
    if (p->n_in < node->op->min_in || p->n_in > node->op->max_in || p->n_out < 1)
        return node_fail(net, node, d, ERR_INPUT, "%zu inputs and %zu outputs", p->n_in, p->n_out);
    for (size_t k = 0; k < p->n_attrs; k++)
        if (!word_in(p->attrs[k].name, node->op->attrs))
            return node_fail(net, node, d, ERR_UNSUPPORTED, "attribute '%.60s' is not supported",
                             p->attrs[k].name);
    return OK;
}

static int connect(struct builder *b, struct nn_node *node, struct diag *d)
{
    struct nn *net = b->net;
    const struct onnx_node *p = node->proto;
    node->n_in = p->n_in;
    node->n_out = p->n_out;
    node->in = arena_alloc(&net->arena, p->n_in * sizeof *node->in);
    node->out = arena_alloc(&net->arena, p->n_out * sizeof *node->out);
    for (size_t k = 0; k < p->n_in; k++) {
        if (!*p->in[k])
            continue;
        node->in[k] = *names_at(&b->names, p->in[k]);
        if (!node->in[k])
            return node_fail(net, node, d, ERR_INPUT,
                             "reads '%.60s', which nothing before it gives", p->in[k]);
    }
    for (size_t k = 0; k < node->op->min_in; k++)
        if (!node->in[k])
            return node_fail(net, node, d, ERR_INPUT, "input %zu is missing", k);
    for (size_t k = 0; k < p->n_out; k++) {
        int rc = *p->out[k] ? define(&node->out[k], b, p->out[k], d) : OK;
        if (rc != OK)
            return rc;
    }
    if (!node->out[0])
        return node_fail(net, node, d, ERR_INPUT, "its first output has no name");
    return OK;
}

/* An output that build left without a shape is one that this operator cannot give. */
static int check_outputs(const struct nn *net, const struct nn_node *node, struct diag *d)
{
    for (size_t k = 0; k < node->n_out; k++)
        if (node->out[k] && node->out[k]->type == 0)
            return node_fail(net, node, d, ERR_UNSUPPORTED, "output %zu is not supported", k);
    return OK;
}

static int add_node(struct builder *b, const struct onnx_node *proto, struct diag *d)
{
    struct nn *net = b->net;
    struct nn_node node = {.proto = proto};
    int rc = check_node(net, &node, d);
    if (rc == OK)
        rc = connect(b, &node, d);
    if (rc == OK)
        rc = node.op->build(net, &node, d);
    if (rc == OK)
        rc = check_outputs(net, &node, d);
    if (rc != OK)
        return rc;
    bool known = true;
    for (size_t k = 0; k < node.n_in; k++)
        known = known && (!node.in[k] || node.in[k]->known);
    known = known || node.out[0]->known; /* a shape is known even of an unknown */
    if (known && node.run && node.run(net, &node) != dnnl_success)
        return node_fail(net, &node, d, ERR_UNSUPPORTED, "oneDNN failed to compute it");
    for (size_t k = 0; k < node.n_out; k++)
        if (node.out[k])
            node.out[k]->known |= known;
    if (known)
        return OK;
    net->steps[net->n_steps++] = node;
    return OK;
}

static int find_outputs(struct builder *b, struct diag *d)
{
    struct nn *net = b->net;
    net->outputs = arena_alloc(&net->arena, b->graph.n_outputs * sizeof *net->outputs);
    for (size_t k = 0; k < b->graph.n_outputs; k++) {
        net->outputs[k] = *names_at(&b->names, b->graph.outputs[k]);
        if (!net->outputs[k])
            return diag_fail(d, ERR_INPUT, (struct loc){.file = net->path},
                             "nothing gives the output '%.60s'", b->graph.outputs[k]);
    }
    net->n_outputs = b->graph.n_outputs;
    if (net->n_outputs == 0)
        return diag_fail(d, ERR_INPUT, (struct loc){.file = net->path}, "the graph has no output");
    return OK;
}

/* ---- Layers that errors can strike ------------------------------------------------------------------ */

bool parameters_known(const struct nn_node *node)
{
    for (size_t k = 1; k < 3 && k < node->n_in; k++)
        if (node->in[k] && (!node->in[k]->known || node->in[k]->type != ONNX_FLOAT))
            return false;
    return node->n_in > 1 && node->in[1];
}

/* Multiplications, or elements of an operator without weights: what an error's chance to strike here is
 * about in proportion to. */
static double work_of(const struct nn_node *node)
{
    const struct nn_value *x = node->in[0], *y = node->out[0],
                          *w = node->parameters ? node->in[1] : NULL;
    if (!w || y->n == 0 || w->n == 0)
        return (double)y->n;
    if (strncmp(node->op->name, "Conv", 4) ==
        0) /* ConvTranspose: each input into so many outputs */
        return (double)(node->op->name[4] ? x->n : y->n) * ((double)w->n / (double)w->dim[0]);
    return (double)y->n * ((double)w->n / (double)y->dim[y->rank - 1]);
}

static void add_layer(struct nn *net, size_t step, size_t output)
{
    const struct nn_node *node = &net->steps[step];
    struct nn_value *v = node->out[output];
    const char *name = *node->proto->name && output == 0 ? node->proto->name : v->name;
    struct layer *l = &net->layers[net->n_layers++];
    *l = (struct layer){
        .info = {.name = arena_strdup(&net->arena, name),
                 .output = v->name,
                 .op = node->op->name,
                 .conv = -1,
                 .work = output == 0 ? work_of(node) : (double)v->n},
        .value = v,
        .step = step,
    };
    if (node->parameters && output == 0) {
        l->info.n_weights = node->in[1]->n;
        l->info.weights = node->in[1]->f;
        l->info.n_biases = node->n_in > 2 && node->in[2] ? node->in[2]->n : 0;
        l->info.biases = l->info.n_biases ? node->in[2]->f : NULL;
    }
    struct conv_layer c = {.in = node->in[0], .out = v, .layer = net->n_layers - 1};
    if (output > 0 || !conv_describe(&c.info, node))
        return;
    c.info.name = l->info.name;
    l->info.conv = (int)net->n_convs;
    net->convs[net->n_convs++] = c;
}

static void find_layers(struct nn *net)
{
    size_t n = 0;
    for (size_t s = 0; s < net->n_steps; s++)
        n += net->steps[s].n_out;
    net->layers = arena_alloc(&net->arena, n * sizeof *net->layers);
    net->convs = arena_alloc(&net->arena, net->n_steps * sizeof *net->convs);
    for (size_t s = 0; s < net->n_steps; s++)
        for (size_t k = 0; k < net->steps[s].n_out; k++) {
            const struct nn_value *v = net->steps[s].out[k];
            if (net->steps[s].run && v && v->type == ONNX_FLOAT && v->n > 0)
                add_layer(net, s, k);
        }
}

/* ---- Loading ------------------------------------------------------------------------------------------ */

static int load(struct builder *b, const char *path, const struct graph_options *o, struct diag *d)
{
    struct nn *net = b->net;
    struct loc at = {.file = path};
    net->path = arena_strdup(&net->arena, path);
    int rc = onnx_read(&b->graph, &net->arena, path, d);
    if (rc != OK)
        return rc;
    net->opset = b->graph.opset;
    if (net->opset > NN_MAX_OPSET)
        return diag_fail(d, ERR_UNSUPPORTED, at, "operator set %lld: up to %d are known",
                         (long long)net->opset, NN_MAX_OPSET);
    if (dnnl_engine_create(&net->engine, dnnl_cpu, 0) != dnnl_success ||
        dnnl_stream_create(&net->stream, net->engine, dnnl_stream_default_flags) != dnnl_success)
        return diag_fail(d, ERR_NOMEM, at, "oneDNN cannot start");

    size_t n_names = b->graph.n_consts + b->graph.n_inputs;
    for (size_t k = 0; k < b->graph.n_nodes; k++)
        n_names += b->graph.nodes[k].n_out;
    for (b->names.size = 16; b->names.size < 2 * n_names;)
        b->names.size *= 2;
    b->names.slot = arena_alloc(&b->scratch, b->names.size * sizeof(*b->names.slot));
    net->steps = arena_alloc(&net->arena, b->graph.n_nodes * sizeof *net->steps);

    rc = add_consts(b, d);
    if (rc == OK)
        rc = add_inputs(b, o, d);
    for (size_t k = 0; rc == OK && k < b->graph.n_nodes; k++)
        rc = add_node(b, &b->graph.nodes[k], d);
    if (rc == OK)
        rc = find_outputs(b, d);
    if (rc == OK)
        find_layers(net);
    return rc;
}

int graph_load(struct nn **out, const char *path, const struct graph_options *o, struct diag *d)
{
    struct nn *net = calloc(1, sizeof *net);
    if (!net)
        return diag_fail(d, ERR_NOMEM, DIAG_NOWHERE, "out of memory");
    struct builder b = {.net = net};
    net->max_bytes = o->max_bytes ? o->max_bytes : DEFAULT_MAX_BYTES;
    int threads = threads_one();
    int rc = load(&b, path, o, d);
    threads_restore(threads);
    arena_fini(&b.scratch);
    if (rc != OK)
        nn_free(net);
    else
        *out = net;
    return rc;
}

/* ---- The table of operators ---------------------------------------------------------------------------- */

const struct op nn_ops[] = {
#define X(name, build, min, max, attrs) {#name, min, max, attrs, build},
#include "nn/ops.def"
#undef X
};
const size_t nn_n_ops = sizeof nn_ops / sizeof nn_ops[0];
