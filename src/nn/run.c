/* A net -> inferences, whole or from a layer on. */
#include <stdlib.h>
#include <string.h>

#include "base/npy.h"
#include "nn/priv.h"
#include "nn/threads.h"

static int run_step(struct nn *net, size_t step, struct diag *d)
{
    const struct nn_node *node = &net->steps[step];
    unsigned s = node->run ? node->run(net, node) : dnnl_success;
    if (s != dnnl_success)
        return node_fail(net, node, d, ERR_NOMEM, "oneDNN failed to compute it (%u)", s);
    return OK;
}

int graph_run(struct nn *net, struct diag *d)
{
    int threads = threads_one(), rc = OK;
    for (size_t k = 0; rc == OK && k < net->n_steps; k++)
        rc = run_step(net, k, d);
    threads_restore(threads);
    return rc;
}

int nn_load(struct nn **out, const char *path, size_t batch, struct diag *d)
{
    struct nn *net;
    int rc = graph_load(&net, path, &(struct graph_options){.batch = batch}, d);
    if (rc != OK)
        return rc;
    struct loc at = {.file = path};
    if (net->n_inputs != 1 || net->inputs[0]->type != ONNX_FLOAT)
        rc = diag_fail(d, ERR_UNSUPPORTED, at, "%zu inputs: one of type float is needed",
                       net->n_inputs);
    else if (net->outputs[0]->type != ONNX_FLOAT || net->outputs[0]->n == 0)
        rc = diag_fail(d, ERR_UNSUPPORTED, at, "output '%.60s' is of type %s and %zu elements",
                       net->outputs[0]->name, onnx_type_name(net->outputs[0]->type),
                       net->outputs[0]->n);
    if (rc != OK)
        nn_free(net);
    else
        *out = net;
    return rc;
}

void nn_free(struct nn *net)
{
    if (!net)
        return;
    dn_cleanup(net);
    arena_fini(&net->arena);
    free(net);
}

static void shape_of(const struct nn_value *v, struct tensor *out)
{
    *out = (struct tensor){.rank = v->rank};
    memcpy(out->dim, v->dim, (size_t)v->rank * sizeof *v->dim);
}

const char *nn_input_name(const struct nn *net) { return net->inputs[0]->name; }

void nn_input_dims(const struct nn *net, struct tensor *shape) { shape_of(net->inputs[0], shape); }

void nn_output_dims(const struct nn *net, struct tensor *shape)
{
    shape_of(net->outputs[0], shape);
}

static void copy_output(const struct nn *net, float *output)
{
    if (output)
        memcpy(output, net->outputs[0]->f, net->outputs[0]->n * sizeof *output);
}

int nn_run(struct nn *net, const float *input, float *output, struct diag *d)
{
    memcpy(net->inputs[0]->f, input, net->inputs[0]->n * sizeof *input);
    int rc = graph_run(net, d);
    if (rc == OK)
        copy_output(net, output);
    return rc;
}

int nn_read_tensor(struct tensor *out, struct arena *a, const char *path, struct diag *d)
{
    size_t len = strlen(path);
    if (len < 3 || strcmp(path + len - 3, ".pb") != 0)
        return npy_read(out, a, path, d);
    struct onnx_tensor t;
    int rc = onnx_read_tensor(&t, a, path, d);
    if (rc == OK && t.type != ONNX_FLOAT)
        rc = diag_fail(d, ERR_UNSUPPORTED, (struct loc){.file = path}, "of type %s, not float",
                       onnx_type_name(t.type));
    if (rc != OK)
        return rc;
    *out = (struct tensor){.rank = t.rank, .data = t.f};
    memcpy(out->dim, t.dim, (size_t)t.rank * sizeof *t.dim);
    return OK;
}

/* ---- Layers
 * ------------------------------------------------------------------------------------------- */

size_t nn_n_layers(const struct nn *net) { return net->n_layers; }

const struct nn_layer *nn_layer(const struct nn *net, size_t i) { return &net->layers[i].info; }

void nn_layer_dims(const struct nn *net, size_t i, struct tensor *shape)
{
    shape_of(net->layers[i].value, shape);
}

const float *nn_layer_output(const struct nn *net, size_t i) { return net->layers[i].value->f; }

size_t nn_n_convs(const struct nn *net) { return net->n_convs; }

const struct nn_conv *nn_conv(const struct nn *net, size_t i) { return &net->convs[i].info; }

size_t nn_conv_layer(const struct nn *net, size_t i) { return net->convs[i].layer; }

const float *nn_conv_input(const struct nn *net, size_t i) { return net->convs[i].in->f; }

/* "a, b, c" as far as there is room. */
static void list_names(char *list, size_t room, const struct nn *net, bool convs)
{
    *list = 0;
    for (size_t k = 0; k < (convs ? net->n_convs : net->n_layers); k++) {
        const char *name = convs ? net->convs[k].info.name : net->layers[k].info.name;
        if (strlen(list) + strlen(name) + 8 > room) {
            strcat(list, ", ...");
            break;
        }
        strcat(list, *list ? ", " : "");
        strcat(list, name);
    }
    if (!*list)
        strcpy(list, "none");
}

int nn_find_conv(size_t *out, const struct nn *net, const char *name, struct diag *d)
{
    for (size_t k = 0; k < net->n_convs; k++)
        if (strcmp(net->convs[k].info.name, name) == 0) {
            *out = k;
            return OK;
        }
    char *end, list[160];
    unsigned long long index = strtoull(name, &end, 10);
    if (end != name && !*end && *name != '-' && index < net->n_convs) {
        *out = (size_t)index;
        return OK;
    }
    list_names(list, sizeof list, net, true);
    return diag_fail(d, ERR_INPUT, (struct loc){.file = net->path},
                     "no convolution layer '%.60s': there are %s", name, list);
}

/* The node that gives the value, if it only passes on another's. */
static int passes_on(const struct nn *net, const char *name, struct diag *d)
{
    for (size_t s = 0; s < net->n_steps; s++) {
        const struct nn_node *node = &net->steps[s];
        if (node->run ||
            (strcmp(node->proto->name, name) != 0 && strcmp(node->out[0]->name, name) != 0))
            continue;
        return node_fail(net, node, d, ERR_INPUT,
                         "it computes nothing: strike the layer that gives '%.60s'",
                         node->in[0]->name);
    }
    return OK;
}

int nn_find_layer(size_t *out, const struct nn *net, const char *name, struct diag *d)
{
    for (int by_value = 0; by_value < 2; by_value++)
        for (size_t k = 0; k < net->n_layers; k++)
            if (strcmp(by_value ? net->layers[k].info.output : net->layers[k].info.name, name) ==
                0) {
                *out = k;
                return OK;
            }
    char *end, list[160];
    unsigned long long index = strtoull(name, &end, 10);
    if (end != name && !*end && *name != '-' && index < net->n_convs) {
        *out = net->convs[index].layer;
        return OK;
    }
    int rc = passes_on(net, name, d);
    list_names(list, sizeof list, net, false);
    return rc != OK ? rc
                    : diag_fail(d, ERR_INPUT, (struct loc){.file = net->path},
                                "no layer '%.60s': there are %s", name, list);
}

int nn_run_from(struct nn *net, size_t layer, const float *data, float *output, struct diag *d)
{
    const struct layer *l = &net->layers[layer];
    memcpy(l->value->f, data, l->value->n * sizeof *data);
    int threads = threads_one(), rc = OK;
    for (size_t k = l->step + 1; rc == OK && k < net->n_steps; k++)
        rc = run_step(net, k, d);
    threads_restore(threads);
    if (rc == OK)
        copy_output(net, output);
    return rc;
}

int nn_run_struck(struct nn *net, const float *input, const struct nn_error *error, float *output,
                  struct diag *d)
{
    const struct layer *l = &net->layers[error->layer];
    const struct nn_node *node = &net->steps[l->step];
    struct nn_value *v =
        error->where == NN_OUTPUT ? l->value : node->in[error->where == NN_BIAS ? 2 : 1];
    float *data = malloc(v->n * sizeof *data);
    if (!data)
        return diag_fail(d, ERR_NOMEM, DIAG_NOWHERE, "out of memory");
    int rc = nn_run(net, input, NULL, d);
    memcpy(data, v->f, v->n * sizeof *data);
    for (size_t k = 0; k < error->n; k++)
        v->f[error->at[k]] = error->faulty[k];
    bool parameter = error->where != NN_OUTPUT;
    if (rc == OK && parameter && node->reload && node->reload(net, node) != dnnl_success)
        rc = node_fail(net, node, d, ERR_NOMEM, "oneDNN failed");
    int threads = threads_one();
    for (size_t k = l->step + !parameter; rc == OK && k < net->n_steps; k++) {
        rc = run_step(net, k, d);
        if (k != l->step)
            continue;
        memcpy(v->f, data, v->n * sizeof *data); /* other layers may share the parameter */
        if (node->reload && node->reload(net, node) != dnnl_success)
            rc = node_fail(net, node, d, ERR_NOMEM, "oneDNN failed");
    }
    threads_restore(threads);
    free(data);
    if (rc == OK)
        copy_output(net, output);
    return rc;
}
