/* Kernel, launch, arguments and memory put together. */
#include "user/user.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/npy.h"
#include "user/priv.h"

struct job {
    struct user_program *p;
    struct arena *a, *scratch; /* scratch: of one buffer at a time, until it is in memory */
    struct diag *d;
    const struct user_args *args;
    const struct user_saved *saved; /* NULL: buffers come from files */
    size_t n_taken;                 /* values of saved->data used */
    uint8_t *params;
};

static int bad_argument(struct job *j, const char *text, const char *why)
{
    return diag_fail(j->d, ERR_INPUT, DIAG_NOWHERE, "argument '%s': %s", text, why);
}

/* ---- Numbers ------------------------------------------------------------------------------------ */

static int put(struct job *j, size_t index, const char *text, const void *bytes, size_t n)
{
    struct ptx_param p = ptx_param_at(j->p->kernel, index);
    if (p.bytes != n)
        return diag_fail(j->d, ERR_INPUT, DIAG_NOWHERE,
                         "argument '%s' has %zu bytes, parameter '%s' wants %u", text, n, p.name,
                         p.bytes);
    memcpy(j->params + p.offset, bytes, n);
    return OK;
}

static int put_integer(struct job *j, size_t index, const char *text, size_t bytes)
{
    char *end;
    const char *digits = strchr(text, ':') + 1;
    uint64_t v = *digits == '-' ? (uint64_t)strtoll(digits, &end, 0) : strtoull(digits, &end, 0);
    if (end == digits || *end)
        return bad_argument(j, text, "not a number");
    return put(j, index, text, &v, bytes); /* little-endian: the low bytes come first */
}

static int put_float(struct job *j, size_t index, const char *text, bool wide)
{
    char *end;
    const char *digits = strchr(text, ':') + 1;
    double v = strtod(digits, &end);
    float narrow = (float)v;
    if (end == digits || *end)
        return bad_argument(j, text, "not a number");
    return wide ? put(j, index, text, &v, sizeof v) : put(j, index, text, &narrow, sizeof narrow);
}

/* ---- Buffers ------------------------------------------------------------------------------------ */

static int take_saved(struct job *j, struct user_buffer *b, const struct user_dims *dims)
{
    size_t n = 1;
    for (int i = 0; i < dims->rank; i++)
        if (__builtin_mul_overflow(n, dims->dim[i], &n))
            n = SIZE_MAX;
    if (dims->rank < 1 || n > j->saved->n_data - j->n_taken)
        return bad_argument(j, b->name, "damaged store: fewer values than this buffer has");
    b->tensor = (struct tensor){.rank = dims->rank,
                                .data = (float *)(uintptr_t)j->saved->data + j->n_taken};
    memcpy(b->tensor.dim, dims->dim, (size_t)dims->rank * sizeof *dims->dim);
    j->n_taken += n;
    return OK;
}

/* A file as it is: integers, and floats where asked for. */
static int read_others(struct job *j, struct user_buffer *b, const char *path)
{
    b->other = ARENA_NEW(j->a, struct npy_words);
    int rc = npy_read_words(b->other, j->scratch, path, j->d);
    b->tensor = b->other->words;
    return rc;
}

static int read_file(struct job *j, size_t index, struct user_buffer *b)
{
    bool raw = strncmp(b->name, "raw:", 4) == 0;
    if (j->saved)
        return take_saved(j, b, &j->saved->dims[index]);
    if (raw)
        return read_others(j, b, b->name + 4);
    char kind = npy_kind(b->name);
    return kind && kind != 'f' ? read_others(j, b, b->name)
                               : npy_read(&b->tensor, j->scratch, b->name, j->d);
}

/* One element of a type, from its text; false if that is no such number. */
static bool element_of(const char *text, const char *type, uint64_t *out)
{
    char *end;
    errno = 0;
    if (type[0] != 'f') {
        *out = *text == '-' ? (uint64_t)strtoll(text, &end, 0) : strtoull(text, &end, 0);
        return end != text && !*end && !errno;
    }
    double v = strtod(text, &end);
    float narrow = (float)v;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    *out = bits;
    if (type[1] == '8')
        memcpy(out, &v, sizeof v);
    else if (type[1] == '2' && v != 0) /* of halves, zero alone */
        return false;
    return end != text && !*end;
}

/* zeros:N[:TYPE] fill:N:X[:TYPE] */
static int make_buffer(struct job *j, struct user_buffer *b)
{
    static const char *const words[][2] = {
        {"i8", "i1"},  {"u8", "u1"},  {"i16", "i2"}, {"u16", "u2"}, {"i32", "i4"}, {"u32", "u4"},
        {"i64", "i8"}, {"u64", "u8"}, {"f16", "f2"}, {"f32", "f4"}, {"f64", "f8"}};
    bool fill = b->name[0] == 'f';
    char *end, *part[3] = {0}, *rest = arena_strdup(j->a, strchr(b->name, ':') + 1);
    int n_parts = 0;
    const char *type = "f4";
    for (char *p = rest; p && n_parts < 3; n_parts++) {
        part[n_parts] = p;
        p = strchr(p, ':');
        if (p)
            *p++ = 0;
    }
    bool known = n_parts < 2 + fill; /* the type, if there is one */
    for (size_t i = 0; i < sizeof words / sizeof *words && !known; i++)
        if ((known = strcmp(part[1 + fill], words[i][0]) == 0))
            type = words[i][1];
    unsigned long long n = strtoull(part[0], &end, 0);
    uint64_t v = 0;
    bool good = n > 0 && n <= 1ull << 32 && !*end && end != part[0] && n_parts >= 1 + fill &&
                known && n_parts <= 2 + fill && (!fill || element_of(part[1], type, &v));
    struct npy_words *w = ARENA_NEW(j->a, struct npy_words);
    if (!good || !npy_new_words(w, j->scratch, type, (size_t)n))
        return bad_argument(
            j, b->name,
            "expected zeros:N or fill:N:X with N from 1 to 2^32, and perhaps :TYPE like :i32");
    size_t bytes = (size_t)(type[1] - '0');
    for (size_t i = 0; v && i < n; i++)
        memcpy((char *)w->words.data + i * bytes, &v, bytes);
    b->tensor = w->words;
    b->other = strcmp(type, "f4") == 0 ? NULL : w;
    return OK;
}

static int read_buffer(struct job *j, size_t index, struct user_buffer *b)
{
    b->from_file = strncmp(b->name, "fill:", 5) != 0 && strncmp(b->name, "zeros:", 6) != 0;
    return b->from_file ? read_file(j, index, b) : make_buffer(j, b);
}

static int put_buffer(struct job *j, size_t index, const char *text)
{
    struct user_buffer *b = &j->p->buffers[j->p->n_buffers++];
    const char *equals = strchr(text, '=');
    b->name =
        equals ? arena_strndup(j->a, text, (size_t)(equals - text)) : arena_strdup(j->a, text);
    b->output = equals ? equals + 1 : NULL;
    int rc = read_buffer(j, index, b);
    if (rc != OK)
        return rc;
    size_t bytes = tensor_elems(&b->tensor) * sizeof(float);
    if ((rc = simt_mem_alloc(j->p->sim.mem, bytes, &b->address, j->d)) != OK)
        return rc;
    simt_mem_write(j->p->sim.mem, b->address, b->tensor.data, bytes);
    arena_fini(j->scratch);
    b->tensor.data = NULL;
    if (b->other)
        b->other->words.data = NULL;
    return put(j, index, text, &b->address, sizeof b->address);
}

static int put_argument(struct job *j, size_t index, const char *text)
{
    static const struct {
        const char *prefix;
        size_t bytes;
        bool is_float;
    } kinds[] = {{"i32:", 4, false}, {"u32:", 4, false}, {"i64:", 8, false},
                 {"u64:", 8, false}, {"f32:", 4, true},  {"f64:", 8, true}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strncmp(text, kinds[i].prefix, 4) == 0)
            return kinds[i].is_float ? put_float(j, index, text, kinds[i].bytes == 8)
                                     : put_integer(j, index, text, kinds[i].bytes);
    return put_buffer(j, index, text);
}

static int put_arguments(struct job *j)
{
    size_t wanted = ptx_n_params(j->p->kernel);
    if (j->args->n != wanted)
        return diag_fail(j->d, ERR_INPUT, DIAG_NOWHERE,
                         "kernel '%s' has %zu parameters, %zu arguments were given",
                         ptx_kernel_name(j->p->kernel), wanted, j->args->n);
    j->params = arena_alloc(j->a, ptx_params_bytes(j->p->kernel) + 1);
    j->p->buffers = arena_array(j->a, wanted + 1, sizeof *j->p->buffers);
    int rc = OK;
    for (size_t i = 0; rc == OK && i < wanted; i++)
        rc = put_argument(j, i, j->args->arg[i]);
    return rc;
}

/* What the simulator and campaigns are told of the buffers. */
static void describe_buffers(struct job *j)
{
    struct user_program *p = j->p;
    struct simt_buffer *buffers = arena_array(j->a, p->n_buffers + 1, sizeof *buffers);
    size_t marked = 0, compared = 0, total = 0, only = 0;
    for (size_t i = 0; i < p->n_buffers; i++)
        marked += p->buffers[i].output != NULL;
    for (size_t i = 0; i < p->n_buffers; i++) {
        const struct user_buffer *b = &p->buffers[i];
        bool output = marked ? b->output != NULL : !b->from_file;
        buffers[i] = (struct simt_buffer){.name = b->name,
                                          .role = output ? ROLE_OUTPUT : ROLE_INPUT,
                                          .compared = marked ? output : true,
                                          .address = b->address,
                                          .bytes = tensor_elems(&b->tensor) * sizeof(float)};
        if (buffers[i].compared) {
            total += tensor_elems(&b->tensor);
            only = i;
            compared++;
        }
    }
    p->sim.n_buffers = p->n_buffers;
    p->sim.buffers = buffers;
    for (int k = 0; k < 4; k++)
        p->dim[k] = 1;
    p->dim[3] = total;
    const struct tensor *t = compared == 1 ? &p->buffers[only].tensor : NULL;
    for (int k = 0; t && t->rank <= 4 && k < t->rank; k++)
        p->dim[4 - t->rank + k] = t->dim[k];
}

const float *user_data(const struct user_program *p, struct arena *a, size_t *n)
{
    size_t at = 0;
    *n = 0;
    for (size_t i = 0; i < p->n_buffers; i++)
        *n += p->buffers[i].from_file ? tensor_elems(&p->buffers[i].tensor) : 0;
    float *data = arena_array(a, *n + 1, sizeof *data);
    for (size_t i = 0; i < p->n_buffers; i++)
        if (p->buffers[i].from_file) {
            size_t elems = tensor_elems(&p->buffers[i].tensor);
            simt_mem_read(p->sim.mem, p->buffers[i].address, data + at, elems * sizeof *data);
            at += elems;
        }
    return data;
}

/* ---- The program -------------------------------------------------------------------------------- */

static int find_kernel(struct job *j, struct text text)
{
    struct ptx_module *m;
    int rc = ptx_parse_with(&m, j->a, text, &(struct ptx_options){.lazy = j->args->lazy}, j->d);
    if (rc != OK)
        return rc;
    if (!j->args->kernel && ptx_n_kernels(m) == 1) {
        j->p->kernel = ptx_kernel_at(m, 0);
        return OK;
    }
    return ptx_find_kernel(&j->p->kernel, m, j->args->kernel ? j->args->kernel : "", j->d);
}

static int make_launch(struct job *j)
{
    struct simt_launch *l = ARENA_NEW(j->a, struct simt_launch);
    const char *name = ptx_kernel_name(j->p->kernel);
    *l = (struct simt_launch){.kernel = j->p->kernel,
                              .dynamic_shared = j->args->shared,
                              .params = j->params,
                              .label = name};
    memcpy(l->grid, j->args->grid, sizeof l->grid);
    memcpy(l->block, j->args->block, sizeof l->block);
    j->p->sim.n_launches = 1;
    j->p->sim.launches = l;
    int rc = simt_load_globals(j->p->sim.mem, l->kernel, &l->globals, j->d);
    return rc == OK ? simt_check_launch(l, j->d) : rc;
}

static uint64_t fnv(const char *text, size_t n)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3u;
    return hash;
}

static int prepare(struct user_program *out, struct arena *a, struct text ptx,
                   const struct user_args *args, const struct user_saved *saved, struct diag *d)
{
    struct arena scratch = {0};
    struct job j = {.p = out, .a = a, .scratch = &scratch, .d = d, .args = args, .saved = saved};
    *out = (struct user_program){.ptx = ptx.ptr, .hash = fnv(ptx.ptr, ptx.len)};
    out->sim.mem = simt_mem_new(NULL);
    int rc = find_kernel(&j, ptx);
    if (rc == OK)
        rc = put_arguments(&j);
    arena_fini(&scratch);
    if (rc == OK)
        rc = make_launch(&j);
    if (rc != OK) {
        user_program_fini(out);
        return rc;
    }
    describe_buffers(&j);
    out->arguments = user_save(a, ptx.name, args, out);
    return OK;
}

int user_prepare(struct user_program *out, struct arena *a, struct text ptx,
                 const struct user_args *args, struct diag *d)
{
    return prepare(out, a, ptx, args, NULL, d);
}

int user_restore(struct user_program *out, struct arena *a, const char *ptx, const char *arguments,
                 const float *data, size_t n_data, struct diag *d)
{
    struct user_args args;
    struct user_saved saved = {.data = data, .n_data = n_data};
    const char *name;
    int rc = user_load(&args, &saved, &name, a, arguments, d);
    return rc == OK ? prepare(out, a, (struct text){name, ptx, strlen(ptx)}, &args, &saved, d) : rc;
}

void user_program_fini(struct user_program *p)
{
    if (p->sim.mem)
        simt_mem_free(p->sim.mem);
    p->sim.mem = NULL;
}
