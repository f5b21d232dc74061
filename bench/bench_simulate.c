/* Error simulations a second on one core, layer by layer, for the networks of examples/: what
 * simulate_run's workers do, without the store; beside it whole inferences a second in the same engine,
 * the plain way of simulating one error each. Errors: half single values, a quarter runs of up to 16
 * values of a row, a quarter one position in all channels; magnitudes from 2^-6 to 2^6 times the
 * layer's range. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "resnet18.h"
#include "simulate/worker.h"

static const char *const NETWORKS[] = {"lenet5", "mobilenet", "resnet8", "vgg"}; /* those there */
enum { IMAGES = 16, ERRORS = 512, WARM_UP = 512 };

/* Processor time: a shared machine does not show. */
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void make_errors(struct simulation *sim, struct arena *a)
{
    size_t plane = sim->chw[1] * sim->chw[2];
    struct rng r;
    rng_init(&r, 1, 2);
    sim->errors = (struct errors){.n_measured = ERRORS, .impl = ""};
    sim->errors.measured = arena_alloc(a, ERRORS * sizeof *sim->errors.measured);
    for (int i = 0; i < ERRORS; i++) {
        size_t at = rng_below(&r, sim->layer_floats), n = 1, step = 1;
        if (i % 4 == 2) {
            n = 1 + rng_below(&r, 16);
            n = n < sim->chw[2] - at % sim->chw[2] ? n : sim->chw[2] - at % sim->chw[2];
        } else if (i % 4 == 3) {
            at %= plane;
            n = sim->chw[0];
            step = plane;
        }
        struct difference *diffs = arena_alloc(a, n * sizeof *diffs);
        for (size_t k = 0; k < n; k++)
            diffs[k] = (struct difference){
                (uint32_t)(at + k * step), 0,
                (float)(exp2(rng_unit(&r) * 12 - 6) * (rng_below(&r, 2) ? 1 : -1))};
        sim->errors.measured[i] = (struct measured){i, -1, n, diffs};
    }
}

static int bench_layer(struct simulation *sim, const char *name, double *rate, struct diag *d)
{
    struct worker w;
    struct arena a = {0};
    uint64_t done = 0, counted = 0, effects[N_EFFECTS] = {0};
    make_errors(sim, &a);
    int rc = worker_init(&w, sim, d);
    double start = now(), seconds = 0;
    while (rc == OK && seconds < 0.6) {
        rc = worker_image(&w, done / ERRORS % IMAGES);
        if (done <= WARM_UP) { /* it also makes the convolutions of pieces */
            start = now();
            counted = done;
        }
        for (size_t k = 0; rc == OK && k < ERRORS; k += w.slots) {
            struct store_trial t[w.slots], *batch[w.slots];
            for (size_t i = 0; i < w.slots; i++) {
                t[i].number = done++;
                batch[i] = &t[i];
            }
            rc = worker_trials(&w, w.slots, batch);
            for (size_t i = 0; i < w.slots; i++)
                effects[t[i].effect]++;
        }
        seconds = now() - start;
    }
    *rate = (double)(done - counted) / seconds;
    if (rc == OK)
        printf("  %-28s %9.0f /s  masked %4.1f %%, critical %4.1f %%\n", name, *rate,
               100 * (double)effects[EFFECT_MASKED] / (double)done,
               100 * (double)effects[EFFECT_CRITICAL] / (double)done);
    worker_fini(&w);
    arena_fini(&a);
    return rc;
}

static int bench_network(const char *path, const struct dataset *data, struct diag *d)
{
    struct nn *net;
    int rc = nn_load(&net, path, 1, d);
    if (rc != OK)
        return rc;
    long runs = 0;
    rc = nn_run(net, data->images, NULL, d);
    double start = now(), seconds = 0, inverse = 0;
    for (; rc == OK && seconds < 0.4; runs++, seconds = now() - start)
        rc = nn_run(net, data->images, NULL, d);
    double whole = (double)runs / seconds;
    printf("%s: %.0f whole inferences a second\n", path, whole);
    struct tensor out;
    nn_output_dims(net, &out);
    for (size_t k = 0; rc == OK && k < nn_n_convs(net); k++) {
        struct tensor layer;
        double rate = 0;
        nn_layer_dims(net, nn_conv_layer(net, k), &layer);
        struct simulation sim = {.network = path, .conv = k, .data = *data, .seed = 1,
                                 .images = IMAGES, .output_floats = tensor_elems(&out),
                                 .layer_floats = tensor_elems(&layer)};
        for (int j = 0; j < 3; j++)
            sim.chw[j] = layer.dim[j + 1];
        rc = bench_layer(&sim, nn_conv(net, k)->name, &rate, d);
        inverse += 1 / rate;
    }
    if (rc == OK)
        printf("  %-28s %9.0f /s, %.1f times whole inferences\n", "equally many in each layer",
               (double)nn_n_convs(net) / inverse, (double)nn_n_convs(net) / inverse / whole);
    nn_free(net);
    return rc;
}

/* Images of noise for a network that there are no images for. */
static void noise(struct dataset *out, struct arena *a, size_t c, size_t h, size_t w)
{
    struct rng r;
    rng_init(&r, 3, 4);
    float *images = arena_alloc(a, IMAGES * c * h * w * sizeof *images);
    uint8_t *labels = arena_alloc(a, IMAGES);
    for (size_t k = 0; k < IMAGES * c * h * w; k++)
        images[k] = (float)rng_unit(&r);
    memset(labels, DATASET_NO_LABEL, IMAGES);
    *out = (struct dataset){IMAGES, c, h, w, images, labels, "noise"};
}

static int bench_resnet18(struct arena *a, struct diag *d)
{
    char path[] = "/tmp/sievert-resnet18-XXXXXX";
    struct dataset data;
    int fd = mkstemp(path);
    if (fd < 0)
        return diag_fail(d, ERR_IO, (struct loc){.file = path}, "cannot make: %m");
    close(fd);
    noise(&data, a, 3, 32, 32);
    int rc = resnet18_write(path, 1, d);
    if (rc == OK)
        printf("ResNet-18 for 3x32x32, random weights, noise as images:\n");
    rc = rc == OK ? bench_network(path, &data, d) : rc;
    unlink(path);
    return rc;
}

int main(void)
{
    struct arena a = {0};
    struct dataset data;
    struct diag d = {0};
    int rc = dataset_load(&data, &a, "fashion-mnist", IMAGES, &d);
    for (size_t k = 0; rc == OK && k < sizeof NETWORKS / sizeof *NETWORKS; k++) {
        char path[400];
        snprintf(path, sizeof path, TEST_SOURCE_DIR "/examples/%s.onnx", NETWORKS[k]);
        rc = access(path, F_OK) == 0 ? bench_network(path, &data, &d) : OK;
    }
    if (rc == OK)
        rc = bench_resnet18(&a, &d);
    if (rc != OK)
        printf("%s: %s\n", d.file, d.msg);
    arena_fini(&a);
    return rc != OK;
}
