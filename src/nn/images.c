#include "nn/images.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <jpeglib.h>
#include <png.h>

#include "base/file.h"

enum { MAX_SIDE = 1 << 14, MAX_FILE = 1 << 28 };

bool image_name(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && (strcasecmp(dot, ".png") == 0 || strcasecmp(dot, ".jpg") == 0 ||
                   strcasecmp(dot, ".jpeg") == 0);
}

static int check_size(const char *path, size_t h, size_t w, struct diag *d)
{
    if (h == 0 || w == 0 || h > MAX_SIDE || w > MAX_SIDE)
        return diag_fail(d, ERR_UNSUPPORTED, (struct loc){.file = path},
                         "%zu x %zu pixels: at most %d each way", h, w, MAX_SIDE);
    return OK;
}

static int read_png(struct image *out, struct arena *a, const struct text *t, bool grey,
                    struct diag *d)
{
    png_image png = {.version = PNG_IMAGE_VERSION};
    struct loc at = {.file = t->name};
    if (!png_image_begin_read_from_memory(&png, t->ptr, t->len))
        return diag_fail(d, ERR_INPUT, at, "not a readable PNG: %s", png.message);
    png.format = grey ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
    *out = (struct image){png.height, png.width, grey ? 1 : 3, NULL};
    int rc = check_size(t->name, out->h, out->w, d);
    if (rc == OK) {
        uint8_t *pixels = arena_alloc(a, PNG_IMAGE_SIZE(png));
        out->pixels = pixels;
        png_color black = {0, 0, 0}; /* under what is transparent */
        if (!png_image_finish_read(&png, &black, pixels, 0, NULL))
            rc = diag_fail(d, ERR_INPUT, at, "a damaged PNG: %s", png.message);
    }
    png_image_free(&png);
    return rc;
}

/* libjpeg ends the program on errors unless it is told otherwise; it warns of truncated data only. */
struct jpeg {
    struct jpeg_decompress_struct info;
    struct jpeg_error_mgr errors;
    jmp_buf out;
    char message[JMSG_LENGTH_MAX];
};

static void jpeg_fail(j_common_ptr info)
{
    struct jpeg *j = (struct jpeg *)info;
    info->err->format_message(info, j->message);
    longjmp(j->out, 1);
}

static void jpeg_warn(j_common_ptr info, int level)
{
    if (level < 0)
        jpeg_fail(info);
}

static int read_jpeg(struct image *out, struct arena *a, const struct text *t, bool grey,
                     struct diag *d)
{
    struct jpeg j = {0};
    volatile int rc = OK;
    j.info.err = jpeg_std_error(&j.errors);
    j.errors.error_exit = jpeg_fail;
    j.errors.emit_message = jpeg_warn;
    if (setjmp(j.out)) {
        rc = diag_fail(d, ERR_INPUT, (struct loc){.file = t->name}, "not a readable JPEG: %s",
                       j.message);
        jpeg_destroy_decompress(&j.info);
        return rc;
    }
    jpeg_create_decompress(&j.info);
    jpeg_mem_src(&j.info, (const unsigned char *)t->ptr, t->len);
    jpeg_read_header(&j.info, TRUE);
    j.info.out_color_space = grey ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_start_decompress(&j.info);
    *out = (struct image){j.info.output_height, j.info.output_width, grey ? 1 : 3, NULL};
    rc = check_size(t->name, out->h, out->w, d);
    if (rc == OK) {
        uint8_t *pixels = arena_alloc(a, out->h * out->w * out->c);
        out->pixels = pixels;
        while (j.info.output_scanline < j.info.output_height) {
            JSAMPROW row = pixels + j.info.output_scanline * out->w * out->c;
            jpeg_read_scanlines(&j.info, &row, 1);
        }
        jpeg_finish_decompress(&j.info);
    }
    jpeg_destroy_decompress(&j.info);
    return rc;
}

int image_read(struct image *out, struct arena *a, const char *path, bool grey, struct diag *d)
{
    struct text t;
    struct arena file = {0};
    int rc = file_read(&t, &file, path, MAX_FILE, d);
    if (rc == OK && t.len > 3 && memcmp(t.ptr, "\xff\xd8\xff", 3) == 0)
        rc = read_jpeg(out, a, &t, grey, d);
    else if (rc == OK)
        rc = read_png(out, a, &t, grey, d);
    arena_fini(&file);
    return rc;
}
