/* IDX files (LeCun's format of MNIST), folders of image files, .npy batches -> images as the network
 * expects them, and their labels. */
#include <dirent.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "base/npy.h"
#include "nn/images.h"
#include "nn/nn.h"

static const char DEBIAN_FASHION[] = "/usr/share/datasets/fashion-mnist";

enum { IDX_UBYTE = 8, MAX_SIDE = 4096, MAX_BYTES = 1 << 30 };

struct idx {
    size_t n, rows, cols;
    uint8_t *bytes;
};

static uint32_t big_endian(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int truncated(const char *path, struct diag *d)
{
    return diag_fail(d, ERR_INPUT, (struct loc){.file = path},
                     "truncated or damaged: it holds less than its header says");
}

static int read_header(struct idx *out, gzFile f, const char *path, unsigned rank, struct diag *d)
{
    uint8_t head[16];
    unsigned len = 4 + 4 * rank;
    int got = gzread(f, head, len);
    if (got < (int)len)
        return truncated(path, d);
    if (head[0] || head[1] || head[2] != IDX_UBYTE || head[3] != rank)
        return diag_fail(d, ERR_INPUT, (struct loc){.file = path},
                         "not an IDX file of bytes in %u dimensions", rank);
    out->n = big_endian(head + 4);
    out->rows = rank == 3 ? big_endian(head + 8) : 1;
    out->cols = rank == 3 ? big_endian(head + 12) : 1;
    if (out->n == 0 || out->n > MAX_BYTES || out->rows == 0 || out->rows > MAX_SIDE ||
        out->cols == 0 || out->cols > MAX_SIDE || out->n * out->rows * out->cols > MAX_BYTES)
        return diag_fail(d, ERR_INPUT, (struct loc){.file = path},
                         "%zu items of %zu x %zu: not a data set of images", out->n, out->rows,
                         out->cols);
    return OK;
}

/* The whole file is read even if only max items are kept, so that a damaged one is noticed. */
static int read_items(struct idx *out, struct arena *a, gzFile f, const char *path, size_t max,
                      struct diag *d)
{
    size_t size = out->rows * out->cols, keep = max && max < out->n ? max : out->n;
    uint8_t *spare = NULL;
    out->bytes = arena_alloc(a, keep * size);
    for (size_t k = 0; k < out->n; k++) {
        if (k == keep)
            spare = arena_alloc(a, size);
        int got = gzread(f, spare ? spare : out->bytes + k * size, (unsigned)size);
        if (got < (int)size)
            return truncated(path, d);
    }
    uint8_t more;
    if (gzread(f, &more, 1) != 0)
        return diag_fail(d, ERR_INPUT, (struct loc){.file = path},
                         "it holds more than its header says, or its checksum is wrong");
    out->n = keep;
    return OK;
}

static int read_idx(struct idx *out, struct arena *a, const char *path, unsigned rank, size_t max,
                    struct diag *d)
{
    gzFile f = gzopen(path, "rb");
    if (!f)
        return diag_fail(d, ERR_IO, (struct loc){.file = path}, "cannot open");
    int rc = read_header(out, f, path, rank, d);
    if (rc == OK)
        rc = read_items(out, a, f, path, max, d);
    int closed = gzclose(f); /* tells that a stream was cut in its trailer */
    return rc == OK && closed != Z_OK ? truncated(path, d) : rc;
}

static bool exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

/* FOLDER/PART-WHAT-idxR-ubyte, gzipped or not. */
static const char *part_path(struct arena *a, const char *folder, const char *part,
                             const char *what, int rank)
{
    const char *plain = arena_printf(a, "%s/%s-%s-idx%d-ubyte", folder, part, what, rank);
    return exists(plain) ? plain : arena_printf(a, "%s.gz", plain);
}

static int load_idx(struct dataset *out, float **pixels, struct arena *a, const char *folder,
                    const char *part, size_t max, struct diag *d)
{
    struct idx images = {0}, labels = {0};
    const char *images_path = part_path(a, folder, part, "images", 3);
    const char *labels_path = part_path(a, folder, part, "labels", 1);
    int rc = read_idx(&images, a, images_path, 3, max, d);
    if (rc == OK)
        rc = read_idx(&labels, a, labels_path, 1, max, d);
    if (rc != OK)
        return rc;
    if (images.n != labels.n)
        return diag_fail(d, ERR_INPUT, (struct loc){.file = labels_path},
                         "%zu labels for %zu images", labels.n, images.n);
    struct tensor t = tensor_4d(a, images.n, 1, images.rows, images.cols);
    if (!t.data)
        return diag_fail(d, ERR_INPUT, (struct loc){.file = images_path}, "too large");
    for (size_t k = 0, n = tensor_elems(&t); k < n; k++)
        t.data[k] = (float)images.bytes[k] / 255.0f;
    out->n = images.n;
    out->c = 1;
    out->h = images.rows;
    out->w = images.cols;
    out->images = *pixels = t.data;
    out->labels = labels.bytes;
    return OK;
}

/* ---- Names --------------------------------------------------------------------------------------------- */

/* What follows the name, separated by commas. */
struct options {
    double mean[3], std[3];
    bool grey, nhwc;
    const char *labels; /* a .npy file */
};

static bool read_triple(double out[3], const char *text)
{
    char *end;
    for (int k = 0; k < 3; k++) {
        out[k] = strtod(text, &end);
        if (end == text || !isfinite(out[k]))
            return false;
        if (*end == 0 && k == 0)
            return out[1] = out[2] = out[0], true;
        if (*end != (k < 2 ? '/' : 0))
            return false;
        text = end + 1;
    }
    return true;
}

static int read_options(struct options *o, char *text, const char *name, struct diag *d)
{
    char *save = NULL;
    *o = (struct options){.std = {1, 1, 1}};
    for (char *p = strtok_r(text, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
        bool ok = strncmp(p, "mean=", 5) == 0     ? read_triple(o->mean, p + 5)
                  : strncmp(p, "std=", 4) == 0    ? read_triple(o->std, p + 4)
                  : strcmp(p, "grey") == 0        ? (o->grey = true)
                  : strcmp(p, "nhwc") == 0        ? (o->nhwc = true)
                  : strncmp(p, "labels=", 7) == 0 ? (o->labels = p + 7) != NULL
                                                  : false;
        if (!ok || o->std[0] == 0 || o->std[1] == 0 || o->std[2] == 0)
            return diag_fail(d, ERR_INPUT, (struct loc){.file = name},
                             "option '%.40s': there are mean=R/G/B, std=R/G/B, grey, nhwc and "
                             "labels=FILE.npy, separated by commas",
                             p);
    }
    return OK;
}

/* Images to (value - mean) / std per channel. */
static void normalise(struct dataset *set, float *images, const struct options *o)
{
    for (size_t k = 0, plane = set->h * set->w; k < set->n * set->c * plane; k++) {
        size_t c = k / plane % set->c % 3;
        images[k] = (float)(((double)images[k] - o->mean[c]) / o->std[c]);
    }
}

/* ---- A .npy batch ------------------------------------------------------------------------------------ */

static int read_labels(struct dataset *out, struct arena *a, const char *path, struct diag *d)
{
    uint8_t *labels = arena_alloc(a, out->n);
    memset(labels, DATASET_NO_LABEL, out->n);
    out->labels = labels;
    if (!path)
        return OK;
    struct tensor t;
    int rc = npy_read(&t, a, path, d);
    if (rc != OK)
        return rc;
    if (tensor_elems(&t) < out->n)
        return diag_fail(d, ERR_INPUT, (struct loc){.file = path}, "%zu labels for %zu images",
                         tensor_elems(&t), out->n);
    for (size_t k = 0; k < out->n; k++) {
        if (!(t.data[k] >= 0 && t.data[k] < DATASET_NO_LABEL && t.data[k] == floorf(t.data[k])))
            return diag_fail(d, ERR_INPUT, (struct loc){.file = path},
                             "label %zu is %g: whole numbers from 0 to 254 are labels", k,
                             (double)t.data[k]);
        labels[k] = (uint8_t)t.data[k];
    }
    return OK;
}

static int load_npy(struct dataset *out, struct arena *a, const char *path, const struct options *o,
                    size_t max, struct diag *d)
{
    struct tensor t;
    int rc = npy_read(&t, a, path, d);
    if (rc != OK)
        return rc;
    if (t.rank != 4 || tensor_elems(&t) == 0)
        return diag_fail(d, ERR_INPUT, (struct loc){.file = path},
                         "%d dimensions: a batch of images has 4 (N, C, H, W; or N, H, W, C with "
                         "the option nhwc)",
                         t.rank);
    out->n = max && max < t.dim[0] ? max : t.dim[0];
    out->c = t.dim[o->nhwc ? 3 : 1];
    out->h = t.dim[o->nhwc ? 1 : 2];
    out->w = t.dim[o->nhwc ? 2 : 3];
    size_t plane = out->h * out->w, size = plane * out->c;
    float *images = arena_alloc(a, out->n * size * sizeof *images);
    for (size_t k = 0; k < out->n * size; k++) {
        size_t at = k % size;
        images[k] = o->nhwc ? t.data[k - at + at % plane * out->c + at / plane] : t.data[k];
    }
    normalise(out, images, o);
    out->images = images;
    return read_labels(out, a, o->labels, d);
}

/* ---- A folder of image files --------------------------------------------------------------------------- */

struct files {
    size_t n;
    const char **path;
    uint8_t *label;
};

static int usable(const struct dirent *e) { return e->d_name[0] != '.'; }

/* Names in the order of their bytes. */
static int by_name(const struct dirent **x, const struct dirent **y)
{
    return strcmp((*x)->d_name, (*y)->d_name);
}

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Image files of a folder, then those of its sub-folders, each of which is a class. */
static int find_files(struct files *f, struct arena *a, const char *folder, int label,
                      struct diag *d)
{
    struct dirent **list;
    int n = scandir(folder, &list, usable, by_name), rc = OK, classes = 0;
    if (n < 0)
        return diag_fail(d, ERR_IO, (struct loc){.file = folder}, "cannot read the folder");
    for (int k = 0; k < n; k++) {
        const char *path = arena_printf(a, "%s/%s", folder, list[k]->d_name);
        if (rc != OK) {
        } else if (is_folder(path) && label == DATASET_NO_LABEL) {
            rc = classes < DATASET_NO_LABEL
                     ? find_files(f, a, path, classes++, d)
                     : diag_fail(d, ERR_UNSUPPORTED, (struct loc){.file = folder},
                                 "more than %d sub-folders", DATASET_NO_LABEL);
        } else if (image_name(path)) {
            if ((f->n & (f->n - 1)) == 0) { /* grow at powers of two */
                const char **paths = arena_alloc(a, (2 * f->n + 1) * sizeof *paths);
                uint8_t *labels = arena_alloc(a, 2 * f->n + 1);
                if (f->n) {
                    memcpy(paths, f->path, f->n * sizeof *paths);
                    memcpy(labels, f->label, f->n);
                }
                f->path = paths;
                f->label = labels;
            }
            f->label[f->n] = (uint8_t)label;
            f->path[f->n++] = path;
        }
        free(list[k]);
    }
    free(list);
    return rc;
}

static int load_folder(struct dataset *out, struct arena *a, const char *folder,
                       const struct options *o, size_t max, struct diag *d)
{
    struct files f = {0};
    int rc = find_files(&f, a, folder, DATASET_NO_LABEL, d);
    if (rc == OK && f.n == 0)
        rc = diag_fail(d, ERR_INPUT, (struct loc){.file = folder},
                       "neither IDX files nor PNG or JPEG images are in this folder");
    if (rc != OK)
        return rc;
    out->n = max && max < f.n ? max : f.n;
    out->labels = f.label;
    float *images = NULL;
    for (size_t i = 0; i < out->n; i++) {
        struct arena file = {0};
        struct image im;
        rc = image_read(&im, &file, f.path[i], o->grey, d);
        if (rc == OK && i == 0) {
            out->c = im.c;
            out->h = im.h;
            out->w = im.w;
            if (im.h * im.w * im.c > MAX_BYTES / sizeof(float) / out->n)
                rc = diag_fail(d, ERR_UNSUPPORTED, (struct loc){.file = folder},
                               "%zu images of %zu x %zu are too many: name fewer", out->n, im.h,
                               im.w);
            else
                images = arena_alloc(a, out->n * im.h * im.w * im.c * sizeof *images);
        }
        if (rc == OK && (im.h != out->h || im.w != out->w))
            rc = diag_fail(d, ERR_INPUT, (struct loc){.file = f.path[i]},
                           "%zu x %zu pixels; the first image has %zu x %zu", im.h, im.w, out->h,
                           out->w);
        size_t plane = out->h * out->w;
        for (size_t k = 0; rc == OK && k < plane * out->c; k++)
            images[i * plane * out->c + k] =
                (float)im.pixels[k % plane * out->c + k / plane] / 255.0f;
        arena_fini(&file);
        if (rc != OK)
            return rc;
    }
    normalise(out, images, o);
    out->images = images;
    return OK;
}

static bool ends_in(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n > m && strcmp(name + n - m, end) == 0;
}

int dataset_load(struct dataset *out, struct arena *a, const char *name, size_t max, struct diag *d)
{
    *out = (struct dataset){.name = arena_strdup(a, name)};
    struct options o;
    char *path = arena_strdup(a, name), *comma = strchr(path, ',');
    if (comma)
        *comma = 0;
    int rc = read_options(&o, comma ? comma + 1 : path + strlen(path), out->name, d);
    if (rc != OK)
        return rc;
    const char *part = ends_in(path, ":train") ? "train" : "t10k";
    if (ends_in(path, ":train"))
        path[strlen(path) - strlen(":train")] = 0;
    bool fashion = strcmp(path, "fashion-mnist") == 0;
    const char *folder = fashion ? DEBIAN_FASHION : path;
    if (fashion && !exists(folder))
        return diag_fail(d, ERR_IO, (struct loc){.file = folder},
                         "not there: install Debian's dataset-fashion-mnist, or name a folder that "
                         "holds the IDX files");
    if (!exists(folder))
        return diag_fail(
            d, ERR_INPUT, (struct loc){.file = out->name},
            "no such data set: fashion-mnist, fashion-mnist:train, a folder of IDX files "
            "or of images, or a .npy file");
    if (!is_folder(folder))
        return load_npy(out, a, folder, &o, max, d);
    if (!exists(part_path(a, folder, part, "images", 3)) && !fashion)
        return load_folder(out, a, folder, &o, max, d);
    float *images = NULL;
    rc = load_idx(out, &images, a, folder, part, max, d);
    if (rc == OK)
        normalise(out, images, &o);
    return rc;
}
