/* nn_delta_run equals nn_run_from, bit for bit, on random errors one after another in every layer of
 * every network of examples/ and of one (tests/data) made up from operators that those lack. */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "nn/nn.h"

static const char *const FOLDERS[] = {TEST_SOURCE_DIR "/examples", TEST_SOURCE_DIR "/tests/data"};
enum { SEED = 5, ERRORS = 60 };

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
    case 0: return f;
    case 1: return (float)(rng_unit(r) - 0.5);
    case 2: return -(float)rng_unit(r) * 100;
    default: return (float)rng_unit(r) * 100;
    }
}

/* Some elements: one, a run, a plane's position in all channels, many, or none that changes. */
static size_t any_error(struct rng *r, const float *golden, const size_t *dim, uint32_t *at,
                        float *faulty)
{
    size_t plane = dim[2] * dim[3], total = dim[1] * plane, n = 0;
    size_t start = rng_below(r, total), step = 1, count = 1;
    switch (rng_below(r, 6)) {
    case 0: count = 1 + rng_below(r, 20); break;
    case 1: start %= plane, step = plane, count = dim[1]; break;
    case 2: count = total, start = 0, step = 1 + rng_below(r, 3); break;
    default: break;
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

static void one_layer(const char *path, const struct dataset *set, size_t conv)
{
    struct nn *net, *plain;
    struct nn_delta *delta;
    struct arena a = {0};
    struct diag d = {0};
    struct tensor layer, out;
    struct rng r;
    check(nn_load(&net, path, 1, &d), &d);
    check(nn_load(&plain, path, 1, &d), &d);
    check(nn_delta_new(&delta, net, conv, &d), &d);
    nn_conv_dims(net, conv, &layer);
    nn_output_dims(net, &out);
    size_t n_layer = tensor_elems(&layer), n_out = tensor_elems(&out), masked = 0;
    float *golden = arena_alloc(&a, n_out * sizeof *golden), *want = arena_alloc(&a, n_out * sizeof *want);
    float *data = arena_alloc(&a, n_layer * sizeof *data), *faulty = arena_alloc(&a, n_layer * sizeof *faulty);
    float *base = arena_alloc(&a, n_layer * sizeof *base);
    uint32_t *at = arena_alloc(&a, n_layer * sizeof *at);
    char what[500];
    rng_init(&r, SEED, conv);
    for (int k = 0; k < ERRORS; k++) {
        const float *image = set->images + (size_t)(k / 20) * 784, *have;
        snprintf(what, sizeof what, "%s, layer %zu, error %d, seed %d", path, conv, k, SEED);
        if (k % 20 == 0) {
            check(nn_run(plain, image, golden, &d), &d);
            memcpy(base, nn_conv_output(plain, conv), n_layer * sizeof *base);
            check(nn_delta_image(delta, image, &d), &d);
            same_bits(nn_delta_golden_output(delta), golden, n_out, what);
            same_bits(nn_delta_golden(delta), base, n_layer, what);
        }
        size_t n = any_error(&r, base, layer.dim, at, faulty);
        memcpy(data, base, n_layer * sizeof *data);
        for (size_t j = 0; j < n; j++)
            data[at[j]] = faulty[j];
        check(nn_run(plain, image, NULL, &d), &d);
        check(nn_run_from(plain, conv, data, want, &d), &d);
        check(nn_delta_run(delta, n, at, faulty, &have, &d), &d);
        if (!have) {
            masked++;
            assert_memory_equal(want, golden, n_out * sizeof *want);
        } else {
            same_bits(have, want, n_out, what);
        }
    }
    print_message("%s layer %zu: %zu of %d masked\n", strrchr(path, '/') + 1, conv, masked, ERRORS);
    nn_delta_free(delta);
    nn_free(net);
    nn_free(plain);
    arena_fini(&a);
}

static void networks_of(const char *folder)
{
    struct arena a = {0};
    struct dataset set;
    struct diag d = {0};
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    check(dataset_load(&set, &a, "fashion-mnist", 4, &d), &d);
    for (struct dirent *e; (e = readdir(dir));) {
        const char *dot = strrchr(e->d_name, '.');
        if (!dot || strcmp(dot, ".onnx") != 0)
            continue;
        char *path = arena_printf(&a, "%s/%s", folder, e->d_name);
        struct nn *net;
        check(nn_load(&net, path, 1, &d), &d);
        size_t convs = nn_n_convs(net);
        nn_free(net);
        for (size_t k = 0; k < convs; k++)
            one_layer(path, &set, k);
    }
    closedir(dir);
    arena_fini(&a);
}

static void all(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof FOLDERS / sizeof *FOLDERS; k++)
        networks_of(FOLDERS[k]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
