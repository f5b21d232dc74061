/* Damaged ONNX files and data sets: an error or a network that runs, never a crash. The files are the
 * committed LeNet-5 and, where they are installed, ONNX's own small test models, so that every operator
 * meets damaged attributes, shapes and types. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/rng.h"
#include "nn/priv.h"

static const char LENET[] = TEST_SOURCE_DIR "/examples/lenet5.onnx";
static const char MODELS[] = "/usr/include/onnx/backend/test/data/node";
static const char SCRATCH[] = TEST_BINARY_DIR "/hostile.onnx";
enum { SEED = 7 };

static void put(const char *path, const void *bytes, size_t len)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

/* Whether it loads; if so it runs too, on zeros. */
static bool try(const void *bytes, size_t len)
{
    struct nn *net;
    struct diag d = {0};
    put(SCRATCH, bytes, len);
    int rc = graph_load(&net, SCRATCH, &(struct graph_options){.max_bytes = 16 << 20}, &d);
    if (rc != OK) {
        assert_true(*d.msg && d.code == rc);
        return false;
    }
    graph_run(net, &d);
    nn_free(net);
    return true;
}

static struct text lenet(struct arena *a)
{
    struct text t;
    struct diag d = {0};
    assert_int_equal(file_read(&t, a, LENET, 1 << 20, &d), OK);
    return t;
}

static void truncated(void **state)
{
    (void)state;
    struct arena a = {0};
    struct rng r;
    struct text t = lenet(&a);
    rng_init(&r, SEED, 0);
    assert_true(try(t.ptr, t.len));
    for (size_t k = 0; k < 400; k++) {
        size_t head = k * 3, tail = t.len - 1 - k;
        assert_false(try(t.ptr, head));
        assert_false(try(t.ptr, tail));
        assert_false(try(t.ptr, rng_below(&r, t.len)));
    }
    arena_fini(&a);
}

static void mutate(struct rng *r, char *bytes, size_t len)
{
    for (uint64_t n = 1 + rng_below(r, 4); n > 0; n--) {
        size_t at = rng_below(r, len);
        switch (rng_below(r, 3)) {
        case 0:
            bytes[at] = (char)rng_u32(r);
            break;
        case 1:
            bytes[at] ^= (char)(1 << rng_below(r, 8));
            break;
        default:
            bytes[at] = (char)(rng_below(r, 2) ? 0xff : 0);
            break;
        }
    }
}

static void mutated_lenet(void **state)
{
    (void)state;
    struct arena a = {0};
    struct rng r;
    struct text t = lenet(&a);
    char *bytes = arena_alloc(&a, t.len);
    size_t loaded = 0;
    for (uint64_t k = 0; k < 300; k++) {
        rng_init(&r, SEED, 1000 + k);
        memcpy(bytes, t.ptr, t.len);
        mutate(&r, bytes, rng_below(&r, 2) ? 2000 : t.len);
        loaded += try(bytes, t.len);
    }
    print_message("%zu of 300 mutated LeNet-5 (seed %d) load\n", loaded, SEED);
    arena_fini(&a);
}

static void mutated_models(void **state)
{
    (void)state;
    DIR *dir = opendir(MODELS);
    if (!dir)
        skip();
    struct arena a = {0};
    struct rng r;
    size_t loaded = 0, tried = 0;
    uint64_t stream = 1 << 20;
    for (struct dirent *e; (e = readdir(dir));) {
        char path[600];
        struct stat st;
        struct text t;
        struct diag d = {0};
        snprintf(path, sizeof path, "%s/%s/model.onnx", MODELS, e->d_name);
        if (stat(path, &st) != 0 || file_read(&t, &a, path, 1 << 14, &d) != OK || t.len == 0)
            continue;
        if (!try(t.ptr, t.len))
            continue; /* an operator or type that is refused as it is */
        char *bytes = arena_alloc(&a, t.len);
        for (int k = 0; k < 10; k++, tried++) {
            rng_init(&r, SEED, stream++);
            memcpy(bytes, t.ptr, t.len);
            mutate(&r, bytes, t.len);
            loaded += try(bytes, t.len);
        }
    }
    closedir(dir);
    print_message("%zu of %zu mutated test models (seed %d) load\n", loaded, tried, SEED);
    arena_fini(&a);
}

/* graph { node { attribute { g { node { attribute { g ... : must not recurse without limit. */
static void nested(void **state)
{
    (void)state;
    struct arena a = {0};
    size_t len = 0, levels = 20000;
    unsigned char *end = (unsigned char *)arena_alloc(&a, levels * 40) + levels * 40, *p = end;
    for (size_t k = 0; k < levels; k++) {
        static const unsigned char fields[] = {6 << 3 | 2, 5 << 3 | 2, 1 << 3 | 2};
        for (int f = 0; f < 3; f++) {
            unsigned char size[5], n = 0;
            size_t rest = len;
            do {
                size[n++] = (unsigned char)((rest & 127) | (rest > 127 ? 128 : 0));
                rest >>= 7;
            } while (rest);
            p -= n;
            memcpy(p, size, n);
            *--p = fields[f];
            len += n + 1u;
        }
    }
    *p = 7 << 3 | 2; /* the outermost node list is the model's graph */
    assert_false(try(p, len));
    arena_fini(&a);
}

/* ---- Data sets --------------------------------------------------------------------------------------- */

static void put_idx(const char *path, uint32_t n, const void *bytes, size_t len, int rank,
                    bool gzip)
{
    unsigned char head[16] = {0,
                              0,
                              8,
                              (unsigned char)rank,
                              0,
                              0,
                              (unsigned char)(n >> 8),
                              (unsigned char)n,
                              0,
                              0,
                              0,
                              2,
                              0,
                              0,
                              0,
                              3};
    gzFile f = gzopen(path, gzip ? "wb" : "wbT");
    gzwrite(f, head, rank == 3 ? 16 : 8);
    gzwrite(f, bytes, (unsigned)len);
    gzclose(f);
}

static void data_sets(void **state)
{
    (void)state;
    static const unsigned char pixels[] = {0, 51, 102, 153, 204, 255, 1, 2, 3, 4, 5, 6},
                               labels[] = {7, 9};
    struct arena a = {0};
    struct dataset set;
    struct diag d = {0};
    const char *dir = arena_printf(&a, "%s/idx", TEST_BINARY_DIR);
    const char *images = arena_printf(&a, "%s/t10k-images-idx3-ubyte.gz", dir);
    const char *answers = arena_printf(&a, "%s/t10k-labels-idx1-ubyte", dir);
    assert_int_equal(file_mkdirs(dir, &d), OK);
    put_idx(images, 2, pixels, sizeof pixels, 3, true);
    put_idx(answers, 2, labels, sizeof labels, 1, false);
    assert_int_equal(dataset_load(&set, &a, dir, 0, &d), OK);
    assert_int_equal(set.n, 2);
    assert_int_equal(set.h * 10 + set.w, 23);
    assert_true(set.images[1] == 51 / 255.0f);
    assert_int_equal(set.labels[1], 9);
    assert_int_equal(dataset_load(&set, &a, dir, 1, &d), OK);
    assert_int_equal(set.n, 1);

    put_idx(answers, 2, labels, 1, 1, false);
    assert_int_equal(dataset_load(&set, &a, dir, 0, &d), ERR_INPUT);
    assert_non_null(strstr(d.msg, "truncated"));
    assert_string_equal(d.file, answers);
    put_idx(answers, 1, labels, 1, 1, false);
    d = (struct diag){0};
    assert_int_equal(dataset_load(&set, &a, dir, 0, &d), ERR_INPUT);
    assert_non_null(strstr(d.msg, "1 labels for 2 images"));

    /* A gzip file cut short anywhere is noticed, even when enough images were read before. */
    struct text t;
    d = (struct diag){0};
    put_idx(answers, 2, labels, sizeof labels, 1, false);
    assert_int_equal(file_read(&t, &a, images, 4096, &d), OK);
    for (size_t n = 0; n + 1 < t.len; n++) {
        put(images, t.ptr, n);
        d = (struct diag){0};
        assert_int_equal(dataset_load(&set, &a, dir, 1, &d), ERR_INPUT);
    }
    d = (struct diag){0};
    assert_int_equal(dataset_load(&set, &a, "no-such-set", 0, &d), ERR_INPUT);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(truncated),      cmocka_unit_test(mutated_lenet),
        cmocka_unit_test(mutated_models), cmocka_unit_test(nested),
        cmocka_unit_test(data_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
