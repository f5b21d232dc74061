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

void nn_output_dims(const struct nn *net, struct tensor *shape) { shape_of(net->outputs[0], shape); }

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

/* ---- Convolution layers ---------------------------------------------------------------------------- */

size_t nn_n_convs(const struct nn *net) { return net->n_convs; }

const struct nn_conv *nn_conv(const struct nn *net, size_t i) { return &net->convs[i].info; }

int nn_find_conv(size_t *out, const struct nn *net, const char *name, struct diag *d)
{
    for (size_t k = 0; k < net->n_convs; k++)
        if (strcmp(net->convs[k].info.name, name) == 0) {
            *out = k;
            return OK;
        }
    char *end;
    unsigned long long index = strtoull(name, &end, 10);
    if (*name >= '0' && *name <= '9' && !*end && index < net->n_convs) {
        *out = (size_t)index;
        return OK;
    }
    char list[300] = "";
    for (size_t k = 0; k < net->n_convs; k++) {
        size_t used = strlen(list), len = strlen(net->convs[k].info.name);
        if (used + len + 8 > sizeof list) {
            strcat(list, ", ...");
            break;
        }
        strcat(list, used ? ", " : "");
        strcat(list, net->convs[k].info.name);
    }
    return diag_fail(d, ERR_INPUT, (struct loc){.file = net->path},
                     "no convolution layer '%.60s': there are %s", name, *list ? list : "none");
}

void nn_conv_dims(const struct nn *net, size_t i, struct tensor *shape)
{
    shape_of(net->convs[i].out, shape);
}

const float *nn_conv_input(const struct nn *net, size_t i) { return net->convs[i].in->f; }

const float *nn_conv_output(const struct nn *net, size_t i) { return net->convs[i].out->f; }

int nn_run_from(struct nn *net, size_t conv, const float *data, float *output, struct diag *d)
{
    const struct conv_layer *c = &net->convs[conv];
    memcpy(c->out->f, data, c->out->n * sizeof *data);
    int threads = threads_one(), rc = OK;
    for (size_t k = 0; rc == OK && k < c->n_after; k++)
        rc = run_step(net, c->after[k], d);
    threads_restore(threads);
    if (rc == OK)
        copy_output(net, output);
    return rc;
}
