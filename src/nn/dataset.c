/* IDX files (LeCun's format of MNIST), gzipped or not -> images scaled to 0..1 and their labels. */
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

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
static const char *part_path(struct arena *a, const char *folder, const char *part, const char *what,
                             int rank)
{
    const char *plain = arena_printf(a, "%s/%s-%s-idx%d-ubyte", folder, part, what, rank);
    return exists(plain) ? plain : arena_printf(a, "%s.gz", plain);
}

static int load_idx(struct dataset *out, struct arena *a, const char *folder, const char *part,
                    size_t max, struct diag *d)
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
    out->images = t.data;
    out->labels = labels.bytes;
    return OK;
}

int dataset_load(struct dataset *out, struct arena *a, const char *name, size_t max, struct diag *d)
{
    *out = (struct dataset){.name = arena_strdup(a, name)};
    const char *colon = strrchr(name, ':'), *part = "t10k";
    char *folder = arena_strdup(a, name);
    if (colon && strcmp(colon, ":train") == 0) {
        part = "train";
        folder[colon - name] = 0;
    }
    if (strcmp(folder, "fashion-mnist") == 0) {
        if (!exists(DEBIAN_FASHION))
            return diag_fail(d, ERR_IO, (struct loc){.file = DEBIAN_FASHION},
                             "not there: install Debian's dataset-fashion-mnist, or name a folder "
                             "that holds the IDX files");
        return load_idx(out, a, DEBIAN_FASHION, part, max, d);
    }
    if (!exists(folder))
        return diag_fail(d, ERR_INPUT, (struct loc){.file = name},
                         "no such data set: fashion-mnist, fashion-mnist:train, or a folder that "
                         "holds IDX files");
    return load_idx(out, a, folder, part, max, d);
}
