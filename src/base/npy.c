#include "base/npy.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

/* A tensor has at most 2^32 elements of 8 bytes; no file needs to be larger. */
static const size_t MAX_BYTES = (size_t)1 << 35;
static const unsigned char MAGIC[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};

struct header {
    char kind; /* always 'f' */
    int bytes; /* 2, 4 or 8 */
    bool swap, fortran;
    int rank;
    size_t dim[TENSOR_MAX_RANK];
};

/* The value after 'key': in the header's dictionary, or NULL. */
static const char *find_key(const char *dict, const char *key)
{
    char quoted[32];
    for (int q = 0; q < 2; q++) {
        snprintf(quoted, sizeof quoted, "%c%s%c", "'\""[q], key, "'\""[q]);
        const char *p = strstr(dict, quoted);
        if (!p)
            continue;
        p += strlen(quoted);
        p += strspn(p, " ");
        if (*p == ':')
            return p + 1 + strspn(p + 1, " ");
    }
    return NULL;
}

static bool parse_descr(struct header *h, const char *p)
{
    if (!p || (*p != '\'' && *p != '"') || strlen(p) < 5)
        return false;
    if (p[1] != '<' && p[1] != '>' && p[1] != '=')
        return false;
    h->swap = p[1] == '>';
    h->kind = p[2];
    h->bytes = p[3] - '0';
    return h->kind == 'f' && (h->bytes == 2 || h->bytes == 4 || h->bytes == 8) && p[4] == p[0];
}

static bool parse_shape(struct header *h, const char *p)
{
    if (!p || *p != '(')
        return false;
    p++;
    for (;;) {
        p += strspn(p, " ,");
        if (*p == ')')
            return true;
        char *end;
        unsigned long long v = strtoull(p, &end, 10);
        if (end == p || *p == '-' || h->rank == TENSOR_MAX_RANK || v > SIZE_MAX / 2)
            return false;
        h->dim[h->rank++] = (size_t)v;
        p = end + (*end == 'L'); /* as Python 2 wrote long integers */
    }
}

static double half_to_double(uint16_t v)
{
    int exponent = v >> 10 & 31, fraction = v & 1023;
    double x = exponent == 31  ? (fraction ? (double)NAN : (double)INFINITY)
               : exponent == 0 ? ldexp(fraction, -24)
                               : ldexp(fraction + 1024, exponent - 25);
    return v & 0x8000 ? -x : x;
}

static float load_element(const unsigned char *p, const struct header *h)
{
    unsigned char b[8] = {0};
    for (int i = 0; i < h->bytes; i++)
        b[i] = h->swap ? p[h->bytes - 1 - i] : p[i];
    if (h->bytes == 4) {
        float f;
        memcpy(&f, b, 4);
        return f;
    }
    if (h->bytes == 8) {
        double f;
        memcpy(&f, b, 8);
        return (float)f;
    }
    uint16_t v;
    memcpy(&v, b, 2);
    return (float)half_to_double(v);
}

/* C-order position i -> the element's position in a Fortran-order file. */
static size_t fortran_index(const struct header *h, size_t i)
{
    size_t at = 0, coordinate[TENSOR_MAX_RANK] = {0};
    for (int k = h->rank - 1; k >= 0; k--) {
        coordinate[k] = i % h->dim[k];
        i /= h->dim[k];
    }
    for (int k = h->rank - 1; k >= 0; k--)
        at = at * h->dim[k] + coordinate[k];
    return at;
}

/* The dictionary of a file, in a, and where its data start. */
static int read_header(struct text t, struct arena *a, const char **dict, size_t *start,
                       struct diag *d)
{
    struct loc at = {.file = t.name};
    const unsigned char *p = (const unsigned char *)t.ptr;
    if (t.len < 10 || memcmp(p, MAGIC, sizeof MAGIC) != 0)
        return diag_fail(d, ERR_INPUT, at, "not a .npy file");
    int version = p[6];
    *start = version == 1 ? 10 : 12;
    if (version < 1 || version > 3 || t.len < *start)
        return diag_fail(d, ERR_INPUT, at, ".npy version %d: 1 to 3 are known", version);
    size_t header_len = p[8] | (size_t)p[9] << 8;
    if (version > 1)
        header_len |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
    if (header_len > t.len - *start)
        return diag_fail(d, ERR_INPUT, at, "truncated: the header says %zu bytes", header_len);
    *dict = arena_strndup(a, t.ptr + *start, header_len);
    *start += header_len;
    return OK;
}

int npy_read(struct tensor *out, struct arena *a, const char *path, struct diag *d)
{
    struct text t;
    int rc = file_read(&t, a, path, MAX_BYTES, d);
    return rc == OK ? npy_parse(out, a, t, d) : rc;
}

int npy_parse(struct tensor *out, struct arena *a, struct text t, struct diag *d)
{
    struct loc at = {.file = t.name};
    const unsigned char *p = (const unsigned char *)t.ptr;
    const char *dict;
    size_t start;
    int rc = read_header(t, a, &dict, &start, d);
    if (rc != OK)
        return rc;
    struct header h = {0};
    if (!parse_descr(&h, find_key(dict, "descr")))
        return diag_fail(d, ERR_INPUT, at, "element type is not float16, float32 or float64");
    const char *order = find_key(dict, "fortran_order");
    if (!order || !parse_shape(&h, find_key(dict, "shape")))
        return diag_fail(d, ERR_INPUT, at, "malformed header (at most %d dimensions)",
                         TENSOR_MAX_RANK);
    h.fortran = strncmp(order, "True", 4) == 0;
    if (!h.fortran && strncmp(order, "False", 5) != 0)
        return diag_fail(d, ERR_INPUT, at,
                         "malformed header: fortran_order is neither True nor False");

    size_t n = 1, bytes = 0;
    for (int i = 0; i < h.rank; i++)
        if (__builtin_mul_overflow(n, h.dim[i], &n))
            return diag_fail(d, ERR_INPUT, at, "shape overflows");
    if (__builtin_mul_overflow(n, (size_t)h.bytes, &bytes) || bytes > t.len - start)
        return diag_fail(d, ERR_INPUT, at,
                         "truncated: %zu elements of %d bytes expected, %zu bytes there", n,
                         h.bytes, t.len - start);
    const unsigned char *data = p + start;
    if (h.bytes == 4 && !h.swap && !h.fortran && start % 64 == 0 && n > 0) {
        *out = (struct tensor){.rank = h.rank, .data = (float *)(uintptr_t)data};
        memcpy(out->dim, h.dim, sizeof out->dim);
        return OK; /* the file's own copy in a serves, as aligned as any tensor */
    }
    *out = tensor_new(a, h.rank, h.dim);
    if (!out->data)
        return diag_fail(d, ERR_INPUT, at, "%zu elements are too many", n);
    for (size_t i = 0; i < n; i++)
        out->data[i] =
            load_element(data + (size_t)h.bytes * (h.fortran ? fortran_index(&h, i) : i), &h);
    return OK;
}

/* Header and data -> file. */
static int write_file(const char *path, const char *type, int rank, const size_t *dim,
                      const void *data, size_t bytes, struct diag *d)
{
    struct arena a = {0};
    char shape[256] = "", dict[384];
    size_t used = 0;
    for (int i = 0; i < rank; i++)
        used += (size_t)snprintf(shape + used, sizeof shape - used, "%zu,%s", dim[i],
                                 i + 1 < rank ? " " : "");
    int len =
        snprintf(dict, sizeof dict, "{'descr': '%s%s', 'fortran_order': False, 'shape': (%s), }",
                 type[1] == '1' ? "|" : "<", type, shape);
    size_t header = (10 + (size_t)len + 1 + 63) / 64 * 64; /* the data starts at a multiple of 64 */
    unsigned char *p = arena_alloc(&a, header);
    memcpy(p, MAGIC, sizeof MAGIC);
    p[6] = 1;
    p[8] = (unsigned char)(header - 10);
    p[9] = (unsigned char)((header - 10) >> 8);
    memset(p + 10, ' ', header - 10);
    memcpy(p + 10, dict, (size_t)len);
    p[header - 1] = '\n';
    int rc = file_write_two(path, p, header, data, bytes, d);
    arena_fini(&a);
    return rc;
}

int npy_write(const char *path, const struct tensor *t, struct diag *d)
{
    return write_file(path, "f4", t->rank, t->dim, t->data, tensor_elems(t) * sizeof(float), d);
}

/* ---- Any kind of number ------------------------------------------------------------------------ */
static size_t element_bytes(const char *type)
{
    static const char *const types[] = {"i1", "u1", "b1", "i2", "u2", "f2",
                                        "i4", "u4", "f4", "i8", "u8", "f8"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(type, types[i]) == 0)
            return (size_t)(type[1] - '0');
    return 0;
}

bool npy_new_words(struct npy_words *out, struct arena *a, const char *type, size_t n)
{
    size_t bytes = element_bytes(type), words = n > SIZE_MAX / 16 ? 0 : (n * bytes + 3) / 4;
    *out = (struct npy_words){.rank = 1, .dim = {n}};
    if (!words || words > MAX_BYTES / 4)
        return false;
    memcpy(out->type, type, 3);
    out->words = tensor_new(a, 1, &words);
    return out->words.data != NULL;
}

/* "<i4" or "|u1" between quotes. */
static bool element_type(const char *descr, char type[4])
{
    if (!descr || strlen(descr) < 5 || !strchr("<|=", descr[1]))
        return false;
    type[0] = descr[2];
    type[1] = descr[3];
    type[2] = 0;
    return descr[4] == descr[0] && element_bytes(type);
}

int npy_read_words(struct npy_words *out, struct arena *a, const char *path, struct diag *d)
{
    struct text t;
    struct loc at = {.file = path};
    struct header h = {0};
    const char *dict;
    char type[4];
    size_t start, n = 1;
    int rc = file_read(&t, a, path, MAX_BYTES, d);
    if (rc == OK)
        rc = read_header(t, a, &dict, &start, d);
    if (rc != OK)
        return rc;
    const char *order = find_key(dict, "fortran_order");
    if (!element_type(find_key(dict, "descr"), type) || !order || strncmp(order, "False", 5) != 0)
        return diag_fail(d, ERR_INPUT, at, "elements are not little-endian numbers in C order");
    if (!parse_shape(&h, find_key(dict, "shape")))
        return diag_fail(d, ERR_INPUT, at, "malformed header (at most %d dimensions)",
                         TENSOR_MAX_RANK);
    for (int i = 0; i < h.rank; i++)
        if (__builtin_mul_overflow(n, h.dim[i], &n))
            return diag_fail(d, ERR_INPUT, at, "shape overflows");
    size_t bytes, words;
    if (__builtin_mul_overflow(n, element_bytes(type), &bytes) || n == 0 || bytes > t.len - start)
        return diag_fail(d, ERR_INPUT, at,
                         "truncated or empty: %zu elements expected, %zu bytes there", n,
                         t.len - start);
    *out = (struct npy_words){.rank = h.rank};
    memcpy(out->type, type, sizeof type);
    memcpy(out->dim, h.dim, sizeof h.dim);
    words = (bytes + 3) / 4;
    if (start % 64 == 0 && bytes % 4 == 0) { /* the file's own copy in a serves */
        out->words = (struct tensor){
            .rank = 1, .dim = {words}, .data = (float *)(uintptr_t)(const void *)(t.ptr + start)};
        return OK;
    }
    out->words = tensor_new(a, 1, &words);
    if (!out->words.data)
        return diag_fail(d, ERR_INPUT, at, "%zu elements are too many", n);
    memcpy(out->words.data, t.ptr + start, bytes);
    return OK;
}

int npy_write_words(const char *path, const struct npy_words *w, struct diag *d)
{
    size_t n = 1;
    for (int i = 0; i < w->rank; i++)
        n *= w->dim[i];
    return write_file(path, w->type, w->rank, w->dim, w->words.data, n * element_bytes(w->type), d);
}

char npy_kind(const char *path)
{
    struct arena a = {0};
    struct text t;
    const char *dict, *descr = NULL;
    size_t start;
    char type[4] = {0};
    const size_t header_bytes = 1 << 20; /* beyond is no header that anything writes */
    if (file_read_start(&t, &a, path, header_bytes, NULL) == OK &&
        read_header(t, &a, &dict, &start, NULL) == OK)
        descr = find_key(dict, "descr");
    char kind = element_type(descr, type) ? type[0] : 0;
    arena_fini(&a);
    return kind;
}
