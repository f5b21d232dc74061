/* ONNX's own backend tests of Conv in two dimensions (Debian's libonnx-testdata): every implementation
 * whose limits admit one gives the expected output, simulated. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cases.h"
#include "nn/priv.h"

static const char DATA[] = "/usr/include/onnx/backend/test/data";
static const char *const KINDS[] = {"node", "simple", "pytorch-operator", "pytorch-converted"};

struct test {
    struct arena arena;
    struct onnx_graph graph;
    struct onnx_tensor in[3], out;
    size_t n_in;
    struct nn *net;
    struct conv_problem problem;
    const float *filter;
    float *expected, *got; /* without the bias */
};

static bool read_one(struct onnx_tensor *t, struct arena *a, const char *dir, const char *what,
                     int i)
{
    char path[700];
    struct stat st;
    snprintf(path, sizeof path, "%s/test_data_set_0/%s_%d.pb", dir, what, i);
    return stat(path, &st) == 0 && onnx_read_tensor(t, a, path, NULL) == OK;
}

/* Reads a test, if it is one convolution of images. */
static bool load(struct test *t, const char *dir)
{
    char model[640];
    struct diag d = {0};
    snprintf(model, sizeof model, "%s/model.onnx", dir);
    if (onnx_read(&t->graph, &t->arena, model, NULL) != OK || t->graph.n_nodes != 1 ||
        strcmp(t->graph.nodes[0].op, "Conv") != 0)
        return false;
    while (t->n_in < 3 && read_one(&t->in[t->n_in], &t->arena, dir, "input", (int)t->n_in))
        t->n_in++;
    if (t->n_in == 0 || t->in[0].rank != 4 || !read_one(&t->out, &t->arena, dir, "output", 0))
        return false;
    struct nn_bound bound[2];
    for (size_t i = 1; i < t->n_in; i++)
        bound[i - 1] = (struct nn_bound){t->graph.inputs[i].name, &t->in[i]};
    const struct graph_options options = {.n_bound = t->n_in - 1, .bound = bound};
    if (graph_load(&t->net, model, &options, &d) != OK || nn_n_convs(t->net) != 1) {
        printf("%s: %s\n", dir, d.msg);
        exit(1);
    }
    return true;
}

/* The problem, and what is expected of it: the output without the bias. */
static void prepare(struct test *t)
{
    const struct nn_conv *c = nn_conv(t->net, 0);
    t->problem = (struct conv_problem){
        c->n,        c->c,          c->h,          c->w,        c->k,         c->r,
        c->s,        c->pad_top,    c->pad_bottom, c->pad_left, c->pad_right, c->stride_h,
        c->stride_w, c->dilation_h, c->dilation_w, c->groups,   LAYOUT_NCHW};
    t->filter = c->filter;
    t->expected = arena_array(&t->arena, t->out.n, sizeof(float));
    t->got = arena_array(&t->arena, t->out.n, sizeof(float));
    const size_t plane = t->out.dim[2] * t->out.dim[3];
    for (size_t i = 0; i < t->out.n; i++)
        t->expected[i] = t->out.f[i] - (c->bias ? c->bias[i / plane % (size_t)c->k] : 0);
}

static bool agrees(struct test *t, struct simt *simt, const struct conv_impl *impl)
{
    struct conv_program p;
    struct diag d = {0};
    if (conv_prepare(&p, &t->arena, &t->problem, impl, "", t->in[0].f, t->filter, &d) != OK) {
        printf("%s\n", d.msg);
        return false;
    }
    bool good = p.sim.out_bytes == t->out.n * sizeof(float);
    if (good)
        conv_simulate(simt, &p, t->got);
    conv_program_fini(&p);
    return good && conv_error(t->got, t->expected, t->out.n) <= impl->bound;
}

/* Of each implementation: in how many tests it ran. */
enum { MOST_IMPLS = 64 };
struct counts {
    int tests, runs, admitted[MOST_IMPLS];
};

static int is_test(const struct dirent *e) { return strncmp(e->d_name, "test_", 5) == 0; }

/* Counts the runs of the test in dir; false if one is wrong. */
static bool judge(const char *dir, struct simt *simt, struct counts *count)
{
    struct test t = {0};
    bool good = true;
    if (load(&t, dir)) {
        size_t n;
        const struct conv_impl *impls = conv_impls(&n);
        prepare(&t);
        count->tests++;
        for (size_t i = 0; i < N_LAYOUTS * n; i++) {
            const struct conv_impl *impl = &impls[i % n];
            t.problem.layout = (enum tensor_layout)(i / n);
            if (conv_supports(impl, &t.problem, NULL) != OK)
                continue;
            count->runs++;
            count->admitted[i % n] += t.problem.layout == LAYOUT_NCHW;
            if (!agrees(&t, simt, impl)) {
                printf("FAILED: %s with %s, %s\n", dir, impl->name,
                       vocab_word(&vocab_layouts, (int)t.problem.layout));
                good = false;
            }
        }
        nn_free(t.net);
    }
    arena_fini(&t.arena);
    return good;
}

static void print_counts(const struct counts *count)
{
    struct arena a = {0};
    size_t n;
    const struct conv_impl *impls = conv_impls(&n);
    for (size_t i = 0; i < n; i++)
        printf("%-24s %2d of %d tests: %s\n", impls[i].name, count->admitted[i], count->tests,
               conv_limits_text(&a, &impls[i]));
    printf("%d tests, %d runs\n", count->tests, count->runs);
    arena_fini(&a);
}

int main(void)
{
    struct stat st;
    if (stat(DATA, &st) != 0) {
        printf("SKIP: %s is not there (Debian's libonnx-testdata)\n", DATA);
        return 77;
    }
    struct simt *simt = simt_new();
    struct counts count = {0};
    bool good = true;
    for (size_t k = 0; k < sizeof KINDS / sizeof *KINDS; k++) {
        char dir[300], path[600];
        struct dirent **list;
        snprintf(dir, sizeof dir, "%s/%s", DATA, KINDS[k]);
        int n = scandir(dir, &list, is_test, alphasort);
        for (int i = 0; i < n; i++) {
            snprintf(path, sizeof path, "%s/%s", dir, list[i]->d_name);
            good = judge(path, simt, &count) && good;
            free(list[i]);
        }
        if (n >= 0)
            free(list);
    }
    simt_free(simt);
    print_counts(&count);
    return good && count.tests >= 18 ? 0 : 1;
}
