/* Error simulations a second on one core, layer by layer, for the networks of examples/ and a ResNet-18: what
 * simulate_run's workers do, without the store; beside it whole inferences a second in the same engine,
 * the plain way of simulating one error each. Two kinds of errors: a random bit of a random element, as the
 * injectors at application level have them; and wide ones, which hardly ever vanish: half single values, a
 * quarter runs of up to 16 values of a row, a quarter one position in all channels, magnitudes from 2^-6 to
 * 2^6. Words on the command line limit it to networks and to layers whose names they are parts of. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "resnet18.h"
#include "simulate/worker.h"

static const char *const NETWORKS[] = {"lenet5", "mobilenet", "resnet8", "unet", "vgg"};
enum { IMAGES = 16, ERRORS = 512, WARM_UP = 256 };
static const double SECONDS = 0.8;

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

struct layer_bench {
    uint64_t done; /* of all its errors */
    uint64_t masked;
};

/* n more errors of a target, all on one image; those that do not fill a batch are left out. */
static int strike(struct worker *w, size_t target, size_t n, struct layer_bench *b)
{
    int rc = worker_image(w, b->done / ERRORS % IMAGES);
    for (size_t k = 0; rc == OK && k + w->slots <= n; k += w->slots) {
        struct store_trial t[w->slots], *batch[w->slots];
        for (size_t i = 0; i < w->slots; i++) {
            t[i].number = b->done++ * w->sim->targets.n + target;
            batch[i] = &t[i];
        }
        rc = worker_trials(w, w->slots, batch);
        for (size_t i = 0; i < w->slots; i++)
            b->masked += t[i].effect == EFFECT_MASKED;
    }
    return rc;
}

static int bench_layer(struct worker *w, size_t target, struct layer_rate *out)
{
    struct layer_bench b = {0};
    int rc = OK;
    double start = now(), seconds = 0;
    for (; rc == OK && seconds < SECONDS; seconds = now() - start)
        rc = strike(w, target, ERRORS, &b);
    *out = (struct layer_rate){(double)b.done / seconds, (double)b.masked / (double)b.done};
    return rc;
}

/* All layers with one kind of errors, after a few errors in each: those make what all share, the smaller
 * convolutions. */
static int bench_layers(struct worker *w, double whole, const char *only)
{
    double inverse = 0, sum = 0, start = now();
    size_t n = 0;
    int rc = OK;
    for (size_t k = 0; rc == OK && k < w->sim->targets.n; k++) {
        struct layer_bench warm_up = {0};
        if (strstr(nn_conv(w->net, k)->name, only))
            rc = strike(w, k, WARM_UP, &warm_up);
    }
    double warm = now() - start;
    for (size_t k = 0; rc == OK && k < w->sim->targets.n; k++) {
        const char *name = nn_conv(w->net, k)->name;
        struct layer_rate r;
        if (!strstr(name, only))
            continue;
        rc = bench_layer(w, k, &r);
        if (rc != OK)
            break;
        printf("  %-28s %9.0f /s  masked %4.1f %%\n", name, r.rate, 100 * r.masked);
        inverse += 1 / r.rate;
        sum += r.rate;
        n++;
    }
    if (rc == OK && n > 0)
        printf("  %-28s %9.0f /s, %.1f times whole inferences\n"
               "  %-28s %9.0f /s; the first %d of each took %.1f s\n",
               "equally many in each layer", (double)n / inverse, (double)n / inverse / whole,
               "mean of the layers' rates", sum / (double)n, WARM_UP, warm);
    return rc;
}

static int bench_kind(const char *path, struct nn *net, const struct dataset *data, bool wide,
                      double whole, const char *only, struct diag *d)
{
    struct arena a = {0};
    struct tensor out;
    struct worker w;
    struct simulation sim = {.network = path, .data = *data, .seed = 1, .images = IMAGES};
    struct sim_options o = {.layer = "convs", .baseline = "single-bit"};
    nn_output_dims(net, &out);
    printf(" %s:\n", wide ? "wide errors" : "single bits");
    int rc = judge_make(&sim.judge, NULL, &out, d);
    if (rc == OK)
        rc = targets_load(&sim.targets, &a, net, &o, d);
    for (size_t k = 0; rc == OK && wide && k < sim.targets.n; k++)
        wide_errors(&sim.targets.of[k], &a);
    if (rc == OK && (rc = worker_init(&w, &sim, d)) == OK) {
        rc = bench_layers(&w, whole, only);
        if (rc != OK)
            *d = w.diag;
        worker_fini(&w);
    }
    arena_fini(&a);
    return rc;
}

static int bench_network(const char *path, const struct dataset *data, const char *only,
                         struct diag *d)
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
        rc = bench_kind(path, net, data, wide, whole, only, d);
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

static int bench_resnet18(struct arena *a, const char *only, struct diag *d)
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
    rc = rc == OK ? bench_network(path, &data, only, d) : rc;
    unlink(path);
    return rc;
}

int main(int argc, char **argv)
{
    const char *networks = argc > 1 ? argv[1] : "", *layers = argc > 2 ? argv[2] : "";
    struct arena a = {0};
    struct dataset data;
    struct diag d = {0};
    int rc = dataset_load(&data, &a, "fashion-mnist", IMAGES, &d);
    for (size_t k = 0; rc == OK && k < sizeof NETWORKS / sizeof *NETWORKS; k++) {
        char path[400];
        if (!strstr(NETWORKS[k], networks))
            continue;
        snprintf(path, sizeof path, TEST_SOURCE_DIR "/examples/%s.onnx", NETWORKS[k]);
        rc = bench_network(path, &data, layers, &d);
    }
    if (rc == OK && strstr("resnet18", networks))
        rc = bench_resnet18(&a, layers, &d);
    if (rc != OK)
        printf("%s: %s\n", d.file, d.msg);
    arena_fini(&a);
    return rc != OK;
}
