/* .npy: what is written is read, each variant of the format by itself, and bad files are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/npy.h"
#include "base/rng.h"

static const char PATH[] = TEST_BINARY_DIR "/test_base_npy.npy";

static void write_bytes(const void *p, size_t n)
{
    FILE *f = fopen(PATH, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* A file of this version with this dictionary and data. Returns its length. */
static size_t make(unsigned char *to, int version, const char *dict, const void *data, size_t bytes)
{
    size_t len = strlen(dict), start = version == 1 ? 10 : 12;
    memcpy(to, "\x93NUMPY", 6);
    to[6] = (unsigned char)version;
    to[7] = 0;
    for (size_t i = 8; i < start; i++)
        to[i] = (unsigned char)(len >> 8 * (i - 8));
    memcpy(to + start, dict, len);
    memcpy(to + start + len, data, bytes);
    return start + len + bytes;
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, 8, 1);
    for (int rank = 0; rank <= TENSOR_MAX_RANK; rank++) {
        struct arena a = {0};
        struct diag d = {0};
        struct tensor t, u;
        size_t dim[TENSOR_MAX_RANK];
        for (int i = 0; i < rank; i++)
            dim[i] = rng_below(&r, rank < 5 ? 6 : 3);
        t = tensor_new(&a, rank, dim);
        for (size_t i = 0; i < tensor_elems(&t); i++) {
            uint32_t bits = rng_u32(&r);
            memcpy(&t.data[i], &bits, 4);
        }
        assert_int_equal(npy_write(PATH, &t, &d), OK);
        assert_int_equal(npy_read(&u, &a, PATH, &d), OK);
        assert_int_equal(u.rank, rank);
        assert_memory_equal(u.dim, t.dim, sizeof u.dim);
        assert_memory_equal(u.data, t.data, tensor_elems(&t) * sizeof(float));
        arena_fini(&a);
    }
}

static void every_variant_is_read(void **state)
{
    (void)state;
    static const uint16_t half[] = {0x3c00, 0xc000, 0x7bff, 0x0001, 0x7c00, 0x8000};
    static const float want[] = {1, -2, 65504, 5.9604644775390625e-8f, INFINITY, -0.0f};
    float single[6];
    double real[6];
    for (int i = 0; i < 6; i++) {
        single[i] = want[i];
        real[i] = (double)want[i];
    }
    static const struct {
        char code;
        int bytes;
    } types[] = {{'2', 2}, {'4', 4}, {'8', 8}};
    const void *const source[] = {half, single, real};
    for (int version = 1; version <= 3; version++)
        for (int type = 0; type < 3; type++)
            for (int swap = 0; swap < 2; swap++)
                for (int fortran = 0; fortran < 2; fortran++) {
                    struct arena a = {0};
                    struct diag d = {0};
                    struct tensor t;
                    unsigned char data[48], file[512];
                    int bytes = types[type].bytes;
                    for (int i = 0; i < 6; i++) { /* of shape (2, 3): [h][w] lies at w * 2 + h */
                        int at = fortran ? i % 3 * 2 + i / 3 : i;
                        for (int b = 0; b < bytes; b++)
                            data[at * bytes + b] =
                                ((const unsigned char *)
                                     source[type])[i * bytes + (swap ? bytes - 1 - b : b)];
                    }
                    char *dict = arena_printf(
                        &a, "{'descr': '%cf%c', 'fortran_order': %s, 'shape': (2, 3), }\n",
                        swap ? '>' : '<', types[type].code, fortran ? "True" : "False");
                    write_bytes(file, make(file, version, dict, data, 6 * (size_t)bytes));
                    assert_int_equal(npy_read(&t, &a, PATH, &d), OK);
                    assert_true(t.rank == 2 && t.dim[0] == 2 && t.dim[1] == 3);
                    assert_memory_equal(t.data, want, sizeof want);
                    arena_fini(&a);
                }
}

static void half_nan_stays_nan(void **state)
{
    (void)state;
    struct arena a = {0};
    struct diag d = {0};
    struct tensor t;
    unsigned char file[256];
    static const uint16_t nan[] = {0x7e00, 0xfc01};
    write_bytes(
        file,
        make(file, 1, "{\"shape\": (2,), \"fortran_order\": False, \"descr\": \"<f2\"}", nan, 4));
    assert_int_equal(npy_read(&t, &a, PATH, &d), OK);
    assert_true(isnan(t.data[0]) && isnan(t.data[1]));
    arena_fini(&a);
}

static void bad_files_are_refused(void **state)
{
    (void)state;
#define HEAD(descr, order, shape)                                                                  \
    "{'descr': " descr ", 'fortran_order': " order ", 'shape': " shape "}"
    static const char *dicts[] = {
        "",
        "{}",
        "{'descr': '<f4'}",
        "no dictionary",
        HEAD("'<i4'", "False", "(2,)"),
        HEAD("'|O'", "False", "(2,)"),
        HEAD("'|f4'", "False", "(2,)"),
        HEAD("'<f16'", "False", "(2,)"),
        HEAD("'<f1'", "False", "(2,)"),
        HEAD("<f4", "False", "(2,)"),
        HEAD("[('a', '<f4')]", "False", "(2,)"),
        HEAD("'<c8'", "False", "(2,)"),
        HEAD("'<f4'", "Perhaps", "(2,)"),
        HEAD("'<f4'", "False", "2"),
        HEAD("'<f4'", "False", "(-2,)"),
        HEAD("'<f4'", "False", "(2"),
        HEAD("'<f4'", "False", "(2, x)"),
        HEAD("'<f4'", "False", "(99999999999999999999999,)"),
        HEAD("'<f4'", "False", "(4294967296, 4294967296)"),
        HEAD("'<f4'", "False", "(1,1,1,1,1,1,1,1,1)"),
        HEAD("'<f4'", "False", "(1000000,)"),
        HEAD("'<f4'", "False", "(9223372036854775807,)"),
        HEAD("'<f8'", "False", "(3,)"),
        HEAD("'<f4'", "False", "(3, 4611686018427387904, 4)"),
    };
    static const float data[4];
    unsigned char file[512];
    for (size_t i = 0; i < sizeof dicts / sizeof *dicts; i++)
        for (int version = 1; version <= 3; version++) {
            struct arena a = {0};
            struct diag d = {0};
            struct tensor t;
            write_bytes(file, make(file, version, dicts[i], data, sizeof data));
            if (npy_read(&t, &a, PATH, &d) != ERR_INPUT)
                fail_msg("accepted: %s", dicts[i]);
            assert_true(d.msg[0] != 0 && strcmp(d.file, PATH) == 0);
            arena_fini(&a);
        }
    struct arena a = {0};
    struct diag d = {0};
    struct tensor t;
    assert_int_equal(npy_read(&t, &a, "/nonexistent.npy", &d), ERR_IO);
    d = (struct diag){0};
    assert_int_equal(npy_read(&t, &a, TEST_BINARY_DIR, &d), ERR_INPUT);
    arena_fini(&a);
}

/* A valid file cut at each byte, and with its bytes changed: refused or read, never anything else (run
 * it with -DSIEVERT_SANITIZE=ON). */
static void damaged_files_do_no_harm(void **state)
{
    (void)state;
    enum { SEED = 5, CASES = 4000 };
    unsigned char file[512], copy[512];
    static const float data[6] = {1, 2, 3, 4, 5, 6};
    size_t read = 0,
           n = make(file, 2, HEAD("'<f4'", "True", "(1, 2, 1, 3)") "\n", data, sizeof data);
    for (uint64_t i = 0; i < n + CASES; i++) {
        struct arena a = {0};
        struct diag d = {0};
        struct tensor t = {0};
        struct rng r;
        size_t size = i < n ? (size_t)i : n;
        rng_init(&r, SEED, i);
        memcpy(copy, file, n);
        for (uint64_t k = 0; i >= n && k <= i % 4; k++)
            copy[rng_below(&r, n)] = i % 3
                                         ? (unsigned char)rng_u32(&r)
                                         : (unsigned char)"0123456789(),'<>fTF"[rng_below(&r, 19)];
        write_bytes(copy, size);
        int rc = npy_read(&t, &a, PATH, &d);
        if (rc == OK) {
            float sum = 0;
            assert_int_equal(size, n);
            for (size_t k = 0; k < tensor_elems(&t); k++)
                sum += t.data[k];
            read += sum == sum;
        } else {
            assert_true(d.code == rc && d.msg[0]);
        }
        arena_fini(&a);
    }
    print_message("seed %d: %zu of %d damaged files are still read\n", SEED, read, CASES);
    assert_true(read > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),  cmocka_unit_test(every_variant_is_read),
        cmocka_unit_test(half_nan_stays_nan),       cmocka_unit_test(bad_files_are_refused),
        cmocka_unit_test(damaged_files_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
