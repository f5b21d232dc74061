/* ONNX's own backend tests (Debian's libonnx-testdata) against src/nn: every test of an operator that
 * ops.def lists passes, or is named below with the reason why it does not apply. Each runs twice: with
 * what may vary as input, and with everything known when loading. Usage: [-v] [NAME-PART] */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "nn/priv.h"

static const char DATA[] = "/usr/include/onnx/backend/test/data";
static const char *const KINDS[] = {"node", "simple", "pytorch-operator", "pytorch-converted"};
enum { MAX_IO = 32 };
static const double RTOL = 1e-3, ATOL = 1e-7; /* the suite's own */

/* Tests of supported operators that are out of scope; how the name starts -> why. */
static const struct {
    const char *part, *why;
} out_of_scope[] = {
    {"test_training_dropout", "training mode"},
    {"test_batchnorm_epsilon_training_mode", "training mode"},
    {"test_batchnorm_example_training_mode", "training mode"},
    {"test_clip_default_int8", "int8 arithmetic"},
    {"test_max_int", "integer arithmetic"},
    {"test_max_uint8", "integer arithmetic"},
    {"test_min_int", "integer arithmetic"},
    {"test_min_uint8", "integer arithmetic"},
    {"test_maxpool_2d_uint8", "uint8 arithmetic"},
};

enum verdict { PASSED, FAILED, NOT_APPLICABLE, N_VERDICTS };

struct test {
    struct arena arena;
    char dir[600], model[640], why[600];
    struct onnx_graph graph;
    size_t n_in, n_out;
    struct onnx_tensor in[MAX_IO], out[MAX_IO];
    struct nn_bound bound[MAX_IO];
};

static const char *reason_of(const char *name)
{
    for (size_t k = 0; k < sizeof out_of_scope / sizeof *out_of_scope; k++)
        if (strncmp(name, out_of_scope[k].part, strlen(out_of_scope[k].part)) == 0)
            return out_of_scope[k].why;
    return NULL;
}

/* input_0.pb, ... or output_0.pb, ... of a test; how many, or -1 with why set. */
static int read_tensors(struct test *t, const char *what, struct onnx_tensor *to)
{
    char path[700];
    struct stat st;
    for (int k = 0; k < MAX_IO; k++) {
        snprintf(path, sizeof path, "%s/test_data_set_0/%s_%d.pb", t->dir, what, k);
        if (stat(path, &st) != 0)
            return k;
        struct diag d = {0};
        if (onnx_read_tensor(&to[k], &t->arena, path, &d) != OK) {
            snprintf(t->why, sizeof t->why, "%s %d: %.200s", what, k, d.msg);
            return -1;
        }
    }
    return MAX_IO;
}

static bool same(const struct nn_value *have, const struct onnx_tensor *want, char *why,
                 size_t room)
{
    bool shape = have->rank == want->rank && have->type == want->type;
    for (int k = 0; shape && k < want->rank; k++)
        shape = have->dim[k] == want->dim[k];
    if (!shape) {
        snprintf(why, room, "another shape or type (%s, %d dimensions, %zu elements)",
                 onnx_type_name(have->type), have->rank, have->n);
        return false;
    }
    for (size_t k = 0; k < want->n; k++) {
        double h = want->type == ONNX_FLOAT ? (double)have->f[k] : (double)have->i[k];
        double w = want->type == ONNX_FLOAT ? (double)want->f[k] : (double)want->i[k];
        bool ok = want->type != ONNX_FLOAT ? h == w
                  : isnan(w)               ? isnan(h)
                                           : h == w || fabs(h - w) <= ATOL + RTOL * fabs(w);
        if (!ok) {
            snprintf(why, room, "element %zu is %g instead of %g", k, h, w);
            return false;
        }
    }
    return true;
}

/* Load with the inputs from `first` on bound, but for those kept open; run; compare. Returns a status
 * of loading, or OK with *good. */
static int attempt(struct test *t, const bool *open, bool *good, struct diag *d)
{
    struct nn *net;
    size_t n = 0;
    *good = false;
    for (size_t k = 0; k < t->n_in; k++)
        if (!open[k])
            t->bound[n++] = (struct nn_bound){t->graph.inputs[k].name, &t->in[k]};
    int rc =
        graph_load(&net, t->model, &(struct graph_options){.n_bound = n, .bound = t->bound}, d);
    if (rc != OK)
        return rc;
    size_t v = 0;
    for (size_t k = 0; k < t->n_in && v < net->n_inputs; k++) {
        if (!open[k])
            continue;
        struct nn_value *to = net->inputs[v++];
        if (to->n != t->in[k].n || to->type != t->in[k].type) {
            snprintf(t->why, sizeof t->why, "input %zu is of another size", k);
            nn_free(net);
            return OK;
        }
        if (to->type == ONNX_FLOAT)
            memcpy(to->f, t->in[k].f, to->n * sizeof *to->f);
        else
            memcpy(to->i, t->in[k].i, to->n * sizeof *to->i);
    }
    rc = graph_run(net, d);
    *good = rc == OK && net->n_outputs == t->n_out;
    for (size_t k = 0; *good && k < t->n_out; k++)
        *good = same(net->outputs[k], &t->out[k], t->why, sizeof t->why);
    nn_free(net);
    return rc;
}

static enum verdict judge(struct test *t, const char *name)
{
    struct diag d = {0};
    const char *reason = reason_of(name);
    if (reason) {
        snprintf(t->why, sizeof t->why, "%s", reason);
        return NOT_APPLICABLE;
    }
    snprintf(t->model, sizeof t->model, "%s/model.onnx", t->dir);
    if (onnx_read(&t->graph, &t->arena, t->model, &d) != OK) {
        snprintf(t->why, sizeof t->why, "%.200s", d.msg);
        return d.code == ERR_UNSUPPORTED ? NOT_APPLICABLE : FAILED;
    }
    for (size_t k = 0; k < t->graph.n_nodes; k++)
        if (!op_find(t->graph.nodes[k].op)) {
            snprintf(t->why, sizeof t->why, "operator %s", t->graph.nodes[k].op);
            return NOT_APPLICABLE;
        }
    int n_in = read_tensors(t, "input", t->in),
        n_out = n_in < 0 ? -1 : read_tensors(t, "output", t->out);
    if (n_in < 0 || n_out < 0)
        return NOT_APPLICABLE; /* a type that nn does not hold */
    t->n_in = (size_t)n_in;
    t->n_out = (size_t)n_out;
    if (t->n_in > t->graph.n_inputs) {
        snprintf(t->why, sizeof t->why, "%zu inputs for a graph of %zu", t->n_in,
                 t->graph.n_inputs);
        return FAILED;
    }

    /* Integers bound; if that is not enough, all but the first float; then everything. */
    bool open[MAX_IO] = {false}, good;
    for (size_t k = 0; k < t->n_in; k++)
        open[k] = t->in[k].type == ONNX_FLOAT;
    int rc = attempt(t, open, &good, &d);
    for (size_t from = 2;
         from-- > 0 && rc == ERR_UNSUPPORTED && strstr(d.msg, "must be a constant");) {
        memset(open + from, 0, (MAX_IO - from) * sizeof *open);
        d = (struct diag){0};
        rc = attempt(t, open, &good, &d);
    }
    if (rc == OK && good) {
        memset(open, 0, sizeof open);
        rc = attempt(t, open, &good, &d);
    }
    if (rc != OK)
        snprintf(t->why, sizeof t->why, "%.500s", d.msg);
    return rc == OK && good ? PASSED : FAILED;
}

static int is_test(const struct dirent *e) { return strncmp(e->d_name, "test_", 5) == 0; }

int main(int argc, char **argv)
{
    bool verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
    const char *part = argc > 1 + verbose ? argv[1 + verbose] : "";
    int count[N_VERDICTS] = {0};
    static const char *const words[] = {"passed", "FAILED", "not applicable"};
    struct stat st;
    if (stat(DATA, &st) != 0) {
        printf("SKIP: %s is not there (Debian's libonnx-testdata)\n", DATA);
        return 77;
    }
    for (size_t k = 0; k < sizeof KINDS / sizeof *KINDS; k++) {
        char dir[300];
        struct dirent **list;
        snprintf(dir, sizeof dir, "%s/%s", DATA, KINDS[k]);
        int n = scandir(dir, &list, is_test, alphasort);
        for (int i = 0; i < n; i++) {
            if (strstr(list[i]->d_name, part)) {
                struct test *t = calloc(1, sizeof *t);
                snprintf(t->dir, sizeof t->dir, "%s/%s", dir, list[i]->d_name);
                enum verdict v = judge(t, list[i]->d_name);
                count[v]++;
                if (verbose || v == FAILED)
                    printf("%-14s %s/%s%s%s\n", words[v], KINDS[k], list[i]->d_name,
                           *t->why ? ": " : "", t->why);
                arena_fini(&t->arena);
                free(t);
            }
            free(list[i]);
        }
        if (n >= 0)
            free(list);
    }
    printf("%d passed, %d failed, %d not applicable (-v lists them)\n", count[PASSED],
           count[FAILED], count[NOT_APPLICABLE]);
    return count[FAILED] > 0 || count[PASSED] == 0;
}
