/* Error simulations a second on one core, layer by layer, for the networks of examples/ and a ResNet-18: what
 * simulate_run's workers do, without the store; beside it whole inferences a second in the same engine,
 * the plain way of simulating one error each. Two kinds of errors: a random bit of a random element, as the
 * injectors at application level have them; and wide ones, which hardly ever vanish: half single values, a
 * quarter runs of up to 16 values of a row, a quarter one position in all channels, magnitudes from 2^-6 to
 * 2^6. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "resnet18.h"
#include "simulate/worker.h"

static const char *const NETWORKS[] = {"lenet5", "mobilenet", "resnet8", "unet", "vgg"};
enum { IMAGES = 16, ERRORS = 512, WARM_UP = 512 };

/* Processor time: a shared machine does not show. */
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct layer_rate {
    double rate, masked;
};

static void wide_errors(struct target *t, struct arena *a)
{
    size_t plane = t->chw[1] * t->chw[2];
    struct rng r;
    rng_init(&r, 1, 2);
    t->errors = (struct errors){.n_measured = ERRORS, .impl = ""};
    t->errors.measured = arena_alloc(a, ERRORS * sizeof *t->errors.measured);
    for (int i = 0; i < ERRORS; i++) {
        size_t at = rng_below(&r, t->n), n = 1, step = 1;
        if (i % 4 == 2) {
            n = 1 + rng_below(&r, 16);
            n = n < t->chw[2] - at % t->chw[2] ? n : t->chw[2] - at % t->chw[2];
        } else if (i % 4 == 3) {
            at %= plane;
            n = t->chw[0];
            step = plane;
        }
        struct difference *diffs = arena_alloc(a, n * sizeof *diffs);
        for (size_t k = 0; k < n; k++)
            diffs[k] = (struct difference){
                (uint32_t)(at + k * step), 0,
                (float)(exp2(rng_unit(&r) * 12 - 6) * (rng_below(&r, 2) ? 1 : -1))};
        t->errors.measured[i] = (struct measured){i, -1, n, diffs};
    }
}

/* The layer that sim strikes. */
static int bench_layer(struct simulation *sim, struct layer_rate *out, struct diag *d)
{
    struct worker w;
    uint64_t done = 0, counted = 0, effects[N_EFFECTS] = {0};
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
    out->rate = (double)(done - counted) / seconds;
    out->masked = (double)effects[EFFECT_MASKED] / (double)done;
    worker_fini(&w);
    return rc;
}

/* All convolutions with one kind of errors. */
static int bench_kind(const char *path, struct nn *net, const struct dataset *data, bool wide,
                      double whole, struct diag *d)
{
    double inverse = 0;
    int rc = OK;
    printf(" %s:\n", wide ? "wide errors" : "single bits");
    for (size_t k = 0; rc == OK && k < nn_n_convs(net); k++) {
        struct arena a = {0};
        struct tensor out;
        struct layer_rate r;
        struct simulation sim = {.network = path, .data = *data, .seed = 1, .images = IMAGES};
        struct sim_options o = {.layer = nn_conv(net, k)->name, .baseline = "single-bit"};
        nn_output_dims(net, &out);
        rc = judge_make(&sim.judge, NULL, &out, d);
        if (rc == OK)
            rc = targets_load(&sim.targets, &a, net, &o, d);
        if (rc == OK && wide)
            wide_errors(sim.targets.of, &a);
        if (rc == OK)
            rc = bench_layer(&sim, &r, d);
        if (rc == OK)
            printf("  %-28s %9.0f /s  masked %4.1f %%\n", nn_conv(net, k)->name, r.rate,
                   100 * r.masked);
        inverse += 1 / r.rate;
        arena_fini(&a);
    }
    if (rc == OK)
        printf("  %-28s %9.0f /s, %.1f times whole inferences\n", "equally many in each layer",
               (double)nn_n_convs(net) / inverse, (double)nn_n_convs(net) / inverse / whole);
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
    double start = now(), seconds = 0;
    for (; rc == OK && seconds < 0.4; runs++, seconds = now() - start)
        rc = nn_run(net, data->images, NULL, d);
    double whole = (double)runs / seconds;
    printf("%s: %.0f whole inferences a second\n", path, whole);
    for (int wide = 0; rc == OK && wide < 2; wide++)
        rc = bench_kind(path, net, data, wide, whole, d);
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
        rc = bench_network(path, &data, &d);
    }
    if (rc == OK)
        rc = bench_resnet18(&a, &d);
    if (rc != OK)
        printf("%s: %s\n", d.file, d.msg);
    arena_fini(&a);
    return rc != OK;
}
