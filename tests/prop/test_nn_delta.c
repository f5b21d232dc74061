/* nn_delta_run equals nn_run_struck, bit for bit, on batches of random errors in outputs, weights and biases
 * of the layers of every network of examples/, of one (tests/data) made up from operators that those lack, and
 * of a ResNet-18, whose last convolutions are done in parts. */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rng.h"
#include "bench/resnet18.h"
#include "nn/nn.h"

static const char *const FOLDERS[] = {TEST_SOURCE_DIR "/examples", TEST_SOURCE_DIR "/tests/data"};
enum { SEED = 5, BATCHES = 60, LARGE_BATCHES = 8, IMAGES = 4 };

static void check(int rc, const struct diag *d)
{
    if (rc != OK)
        fail_msg("%s: %s", d->file, d->msg);
}

static float any_float(struct rng *r)
{
    uint32_t bits = rng_u32(r);
    float f;
    memcpy(&f, &bits, sizeof f);
    switch (rng_below(r, 4)) {
    case 0:
        return f;
    case 1:
        return (float)(rng_unit(r) - 0.5);
    case 2:
        return -(float)rng_unit(r) * 100;
    default:
        return (float)rng_unit(r) * 100;
    }
}

/* Some elements: one, a run, a plane's position in all channels, many, or none that changes. */
static size_t any_error(struct rng *r, const float *golden, const size_t *dim, uint32_t *at,
                        float *faulty)
{
    size_t plane = dim[2] * dim[3], total = dim[1] * plane, n = 0;
    size_t start = rng_below(r, total), step = 1, count = 1;
    switch (rng_below(r, 6)) {
    case 0:
        count = 1 + rng_below(r, 20);
        break;
    case 1:
        start %= plane, step = plane, count = dim[1];
        break;
    case 2:
        count = total, start = 0, step = 1 + rng_below(r, 3);
        break;
    default:
        break;
    }
    bool same = rng_below(r, 8) == 0;
    for (size_t i = start; i < total && n < count; i += step, n++) {
        at[n] = (uint32_t)i;
        faulty[n] = same ? golden[i] : any_float(r);
    }
    return n;
}

static void same_bits(const float *a, const float *b, size_t n, const char *what)
{
    for (size_t k = 0; k < n; k++)
        if (memcmp(&a[k], &b[k], sizeof *a) != 0 && !(isnan(a[k]) && isnan(b[k])))
            fail_msg("%s: output %zu is %a instead of %a", what, k, (double)a[k], (double)b[k]);
}

/* What one network's test needs. */
struct bench {
    const char *path;
    struct nn *net, *plain;
    struct nn_delta *delta;
    struct arena a;
    struct rng r;
    const float *image;
    float *golden, *want;
    size_t n_out;
};

/* An error in a random layer's output, or (one in four) in one of its parameters. */
static struct nn_error any_strike(struct bench *b)
{
    struct nn_error e = {.layer = rng_below(&b->r, nn_n_layers(b->net))};
    const struct nn_layer *l = nn_layer(b->net, e.layer);
    struct tensor shape;
    nn_layer_dims(b->net, e.layer, &shape);
    size_t n = tensor_elems(&shape), where = rng_below(&b->r, 8);
    if (where == 1 && l->n_biases > 0)
        e.where = NN_BIAS;
    else if (where < 2 && l->n_weights > 0)
        e.where = NN_WEIGHTS;
    if (e.where != NN_OUTPUT) {
        uint32_t *at = arena_alloc(&b->a, sizeof *at);
        float *faulty = arena_alloc(&b->a, sizeof *faulty);
        *at = (uint32_t)rng_below(&b->r, e.where == NN_BIAS ? l->n_biases : l->n_weights);
        *faulty = any_float(&b->r);
        e.n = 1, e.at = at, e.faulty = faulty;
        return e;
    }
    uint32_t *at = arena_alloc(&b->a, n * sizeof *at);
    float *faulty = arena_alloc(&b->a, n * sizeof *faulty);
    size_t dim[4] = {1, 1, 1, n};
    if (shape.rank == 4)
        memcpy(dim, shape.dim, sizeof dim);
    e.n = any_error(&b->r, nn_delta_golden(b->delta, e.layer), dim, at, faulty);
    e.at = at, e.faulty = faulty;
    return e;
}

/* As many errors at once as the engine takes, or fewer, each against the plain way. */
static size_t one_batch(struct bench *b, struct diag *d)
{
    size_t n = 1 + rng_below(&b->r, nn_delta_slots(b->delta)), masked = 0;
    struct nn_error *errors = arena_alloc(&b->a, n * sizeof *errors);
    bool together = rng_below(&b->r, 2); /* all in one layer */
    for (size_t k = 0; k < n; k++) {
        errors[k] = any_strike(b);
        while (together && k > 0 && errors[k].layer != errors[0].layer)
            errors[k] = any_strike(b);
    }
    check(nn_delta_run(b->delta, n, errors, d), d);
    for (size_t k = 0; k < n; k++) {
        char what[500];
        snprintf(what, sizeof what, "%s, layer %s (%d), %zu elements, seed %d", b->path,
                 nn_layer(b->net, errors[k].layer)->name, errors[k].where, errors[k].n, SEED);
        check(nn_run_struck(b->plain, b->image, &errors[k], b->want, d), d);
        same_bits(errors[k].output ? errors[k].output : b->golden, b->want, b->n_out, what);
        masked += !errors[k].output;
        if (errors[k].output && memcmp(errors[k].output, b->golden, b->n_out * sizeof(float)) == 0)
            fail_msg("%s: equal, and not said so", what);
    }
    return masked;
}

/* images NULL: of noise. */
static void one_network(const char *path, const float *images, int batches)
{
    struct bench b = {.path = path};
    struct diag d = {0};
    struct tensor out, in;
    check(nn_load(&b.net, path, 1, &d), &d);
    check(nn_load(&b.plain, path, 1, &d), &d);
    check(nn_delta_new(&b.delta, b.net, &d), &d);
    nn_output_dims(b.net, &out);
    nn_input_dims(b.net, &in);
    b.n_out = tensor_elems(&out);
    b.golden = malloc(b.n_out * sizeof *b.golden);
    b.want = malloc(b.n_out * sizeof *b.want);
    rng_init(&b.r, SEED, b.n_out);
    float *noise = malloc(IMAGES * tensor_elems(&in) * sizeof *noise);
    for (size_t k = 0; k < IMAGES * tensor_elems(&in); k++)
        noise[k] = (float)rng_unit(&b.r);
    images = images ? images : noise;
    size_t masked = 0;
    for (int k = 0; k < batches; k++) {
        if (k % 10 == 0) {
            b.image = images + (size_t)(k / 10 % IMAGES) * tensor_elems(&in);
            check(nn_run(b.plain, b.image, b.golden, &d), &d);
            check(nn_delta_image(b.delta, b.image, &d), &d);
        }
        same_bits(nn_delta_golden_output(b.delta), b.golden, b.n_out, path);
        masked += one_batch(&b, &d);
        arena_reset(&b.a);
    }
    print_message("%s: %zu layers, %d batches, %zu errors masked\n", strrchr(path, '/') + 1,
                  nn_n_layers(b.net), batches, masked);
    nn_delta_free(b.delta);
    nn_free(b.net);
    nn_free(b.plain);
    free(b.golden);
    free(b.want);
    free(noise);
    arena_fini(&b.a);
}

static void networks_of(const char *folder)
{
    struct arena a = {0};
    struct dataset set;
    struct diag d = {0};
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    check(dataset_load(&set, &a, "fashion-mnist", IMAGES, &d), &d);
    for (struct dirent *e; (e = readdir(dir));) {
        const char *dot = strrchr(e->d_name, '.');
        if (!dot || strcmp(dot, ".onnx") != 0)
            continue;
        char *path = arena_printf(&a, "%s/%s", folder, e->d_name);
        one_network(path, set.images, BATCHES);
    }
    closedir(dir);
    arena_fini(&a);
}

static void large(void **state)
{
    (void)state;
    char path[] = "/tmp/sievert-resnet18-XXXXXX";
    struct diag d = {0};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    check(resnet18_write(path, 1, &d), &d);
    one_network(path, NULL, LARGE_BATCHES);
    unlink(path);
}

static void all(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof FOLDERS / sizeof *FOLDERS; k++)
        networks_of(FOLDERS[k]);
}

/* Names of ONNX files: only those. */
int main(int argc, char **argv)
{
    for (int k = 1; k < argc; k++)
        one_network(argv[k], NULL, BATCHES);
    if (argc > 1)
        return 0;
    const struct CMUnitTest tests[] = {cmocka_unit_test(all), cmocka_unit_test(large)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
