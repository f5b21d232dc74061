/* Data sets from image folders and .npy batches: values, order, labels, options, damage. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jpeglib.h>
#include <png.h>

#include "base/file.h"
#include "base/npy.h"
#include "nn/nn.h"

enum { H = 5, W = 4 };
static const char DIR[] = TEST_BINARY_DIR "/pictures";

static void check(int rc, const struct diag *d)
{
    if (rc != OK)
        fail_msg("%s: %s", d->file, d->msg);
}

/* Red, green and blue of pixel k of picture i. */
static uint8_t colour(int i, size_t k, size_t c)
{
    return (uint8_t)(40 * (size_t)i + 7 * k + 50 * c);
}

static void write_png(const char *path, int i, size_t h)
{
    uint8_t pixels[64 * W * 3];
    png_image png = {.version = PNG_IMAGE_VERSION,
                     .width = W,
                     .height = (png_uint_32)h,
                     .format = PNG_FORMAT_RGB};
    for (size_t k = 0; k < h * W * 3; k++)
        pixels[k] = colour(i, k / 3, k % 3);
    assert_true(png_image_write_to_file(&png, path, 0, pixels, 0, NULL));
}

static void write_jpeg(const char *path)
{
    struct jpeg_compress_struct info;
    struct jpeg_error_mgr errors;
    uint8_t row[W * 3];
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    info.err = jpeg_std_error(&errors);
    jpeg_create_compress(&info);
    jpeg_stdio_dest(&info, f);
    info.image_width = W;
    info.image_height = H;
    info.input_components = 3;
    info.in_color_space = JCS_RGB;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, 100, TRUE);
    jpeg_start_compress(&info, TRUE);
    memset(row, 200, sizeof row);
    for (int y = 0; y < H; y++)
        jpeg_write_scanlines(&info, (JSAMPROW[]){row}, 1);
    jpeg_finish_compress(&info);
    jpeg_destroy_compress(&info);
    fclose(f);
}

static void folder(void **state)
{
    (void)state;
    struct arena a = {0};
    struct dataset s;
    struct diag d = {0};
    check(file_mkdirs(arena_printf(&a, "%s/b-dogs", DIR), &d), &d);
    check(file_mkdirs(arena_printf(&a, "%s/a-cats", DIR), &d), &d);
    write_png(arena_printf(&a, "%s/b-dogs/1.png", DIR), 2, H);
    write_png(arena_printf(&a, "%s/a-cats/2.PNG", DIR), 1, H);
    write_png(arena_printf(&a, "%s/a-cats/1.png", DIR), 0, H);
    write_jpeg(arena_printf(&a, "%s/b-dogs/2.jpeg", DIR));
    check(dataset_load(&s, &a, DIR, 0, &d), &d);
    assert_int_equal(s.n, 4);
    assert_int_equal(s.c * 100 + s.h * 10 + s.w, 354);
    assert_memory_equal(s.labels, ((uint8_t[]){0, 0, 1, 1}), 4);
    for (int i = 0; i < 3; i++)
        for (size_t k = 0; k < 3 * H * W; k++)
            assert_true(s.images[(size_t)i * 3 * H * W + k] ==
                        (float)colour(i, k % (H * W), k / (H * W)) / 255.0f);
    for (size_t k = 0; k < 3 * H * W; k++)
        assert_true(fabsf(s.images[3 * 3 * H * W + k] - 200 / 255.0f) < 0.02f);

    check(dataset_load(&s, &a, arena_printf(&a, "%s,mean=0.5/0.25/0,std=2", DIR), 1, &d), &d);
    assert_int_equal(s.n, 1);
    for (size_t c = 0; c < 3; c++)
        assert_true(fabs((double)s.images[c * H * W] -
                         (colour(0, 0, c) / 255.0 - 0.5 + 0.25 * (double)c) / 2) < 1e-6);
    check(dataset_load(&s, &a, arena_printf(&a, "%s,grey", DIR), 0, &d), &d);
    assert_int_equal(s.c, 1);

    const char *bad[] = {"mean=", "std=0", "mean=1/2", "colour", "mean=nan"};
    for (size_t k = 0; k < 5; k++) {
        d = (struct diag){0};
        assert_int_equal(dataset_load(&s, &a, arena_printf(&a, "%s,%s", DIR, bad[k]), 0, &d),
                         ERR_INPUT);
    }
    arena_fini(&a);
}

static void damaged(void **state)
{
    (void)state;
    struct arena a = {0};
    struct dataset s;
    struct diag d = {0};
    const char *dir = TEST_BINARY_DIR "/damaged";
    const char *path = arena_printf(&a, "%s/1.png", dir);
    check(file_mkdirs(dir, &d), &d);
    for (int jpeg = 0; jpeg < 2; jpeg++) {
        struct text t;
        d = (struct diag){0};
        if (jpeg)
            write_jpeg(path); /* what a file is, its first bytes say */
        else
            write_png(path, 0, H);
        check(file_read(&t, &a, path, 1 << 20, &d), &d);
        for (size_t n = 0; n + 2 < t.len; n += 1 + n / 64) {
            check(file_write(path, t.ptr, n, &d), &d);
            struct diag why = {0};
            int rc = dataset_load(&s, &a, dir, 0, &why);
            /* libpng forgives a missing end chunk, of 12 bytes */
            assert_true(rc == ERR_INPUT || (!jpeg && n + 12 >= t.len && rc == OK));
        }
    }
    write_png(path, 0, H);
    write_png(arena_printf(&a, "%s/2.png", dir), 0, H + 1);
    d = (struct diag){0};
    assert_int_equal(dataset_load(&s, &a, dir, 0, &d), ERR_INPUT);
    assert_non_null(strstr(d.msg, "6 x 4"));
    arena_fini(&a);
}

static void batch(void **state)
{
    (void)state;
    struct arena a = {0};
    struct dataset s;
    struct diag d = {0};
    const char *path = TEST_BINARY_DIR "/batch.npy", *labels = TEST_BINARY_DIR "/labels.npy";
    struct tensor t = tensor_4d(&a, 2, 3, H, W), l = tensor_new(&a, 1, (size_t[]){2});
    for (size_t k = 0; k < tensor_elems(&t); k++)
        t.data[k] = (float)k;
    l.data[1] = 7;
    check(npy_write(path, &t, &d), &d);
    check(npy_write(labels, &l, &d), &d);
    check(dataset_load(&s, &a, path, 0, &d), &d);
    assert_int_equal(s.n, 2);
    assert_memory_equal(s.images, t.data, tensor_elems(&t) * sizeof(float));
    assert_int_equal(s.labels[1], DATASET_NO_LABEL);
    check(dataset_load(&s, &a, arena_printf(&a, "%s,nhwc,labels=%s", path, labels), 0, &d), &d);
    assert_int_equal(s.labels[1], 7);
    assert_int_equal(s.c * 100 + s.h * 10 + s.w, W * 100 + 3 * 10 + H);
    for (size_t n = 0; n < 2; n++)
        for (size_t c = 0; c < s.c; c++)
            for (size_t k = 0; k < s.h * s.w; k++)
                assert_true(s.images[(n * s.c + c) * s.h * s.w + k] ==
                            t.data[(n * s.h * s.w + k) * s.c + c]);
    l.data[1] = 0.5f;
    check(npy_write(labels, &l, &d), &d);
    assert_int_equal(dataset_load(&s, &a, arena_printf(&a, "%s,labels=%s", path, labels), 0, &d),
                     ERR_INPUT);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folder),
        cmocka_unit_test(damaged),
        cmocka_unit_test(batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
