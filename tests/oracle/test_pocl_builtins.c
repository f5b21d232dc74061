/* Every builtin of OpenCL C 1.2 that libclc has, and kernels with divergence, barriers, atomics, vectors:
 * simulated, and run natively by PoCL from the same source on the same random inputs, edge cases included.
 * Integers and what is exact must be the same bits; functions may differ by twice what the specification
 * allows (opencl/builtins.def), once for each of the two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/rng.h"
#include "compute.h"
#include "rig.h"

enum { N_ITEMS = 768, LOCAL = 96, MAX_ROWS = 160 };
/* Instead of a number of ULP: */
enum {
    Z = -1,       /* the same but for the sign of zero */
    FINITE = -2,  /* the same for finite operands that are not 0 */
    LOOSE = -3,   /* implementation-defined: sums of products may be fused */
    NANBITS = -4, /* the same, or both NaN */
    NUMBERS = -5, /* Z, and undefined if an operand is NaN */
    NORMALS = -6  /* the same bits; denormal operands may be flushed */
};

struct row {
    const char *name;
    int ulp;
    bool vector; /* has a row in kernel `vectors` */
};
static const struct row float_rows[] = {
#define F1(name, ulp) {#name, ulp, true},
#define F2(name, ulp) {#name, ulp, true},
#define F3(name, ulp) {#name, ulp, true},
#define FX(name, expression, ulp) {#name, ulp, false},
#define R1(name) {#name, 0, true},
#define R2(name) {#name, 0, true},
#include "builtins.def"
};
static const struct row int_rows[] = {
#define I1(name) {#name, 0, true},
#define I2(name) {#name, 0, true},
#define I3(name) {#name, 0, true},
#define IX(name, expression) {#name, 0, false},
#include "builtins.def"
};

struct type {
    const char *name, *half_name, *unsigned_name; /* T, S, U */
    int bytes;
    bool is_float;
};
static const struct type types[] = {
    {"float", "int", "uint", 4, true},      {"double", "long", "ulong", 8, true},
    {"char", "char", "uchar", 1, false},    {"uchar", "char", "uchar", 1, false},
    {"short", "short", "ushort", 2, false}, {"ushort", "short", "ushort", 2, false},
    {"int", "int", "uint", 4, false},       {"uint", "int", "uint", 4, false},
    {"long", "long", "ulong", 8, false},    {"ulong", "long", "ulong", 8, false},
};

/* ---- Inputs ------------------------------------------------------------------------------------------------- */
/* No NaN for double: libclc's cosh takes it for an index into a table, which traps, as it must. */
static double special_value(struct rng *r, int bytes)
{
    static const double special[] = {0.0,
                                     -0.0,
                                     1,
                                     -1,
                                     0.5,
                                     -0.5,
                                     2,
                                     3,
                                     1.5,
                                     2.5,
                                     -2.5,
                                     100,
                                     -100,
                                     1e-3,
                                     3.14159265358979,
                                     1e10,
                                     -1e10,
                                     1e30,
                                     1e-30,
                                     0.99999994,
                                     1.0000001,
                                     88,
                                     -88,
                                     127.5,
                                     2147483647,
                                     2147483648.0,
                                     -2147483648.0,
                                     4294967296.0,
                                     9.2e18,
                                     1e-40,
                                     -1e-41,
                                     1e-310};
    switch (rng_below(r, 12)) {
    case 0:
        return INFINITY;
    case 1:
        return -INFINITY;
    case 2:
        return bytes == 8 ? 1e300 : NAN;
    case 3:
        return FLT_MAX;
    case 4:
        return FLT_MIN;
    default:
        return special[rng_below(r, sizeof special / sizeof *special)];
    }
}

static void fill(void *out, const struct type *t, size_t n, struct rng *r)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t bits = rng_u64(r);
        double v = rng_below(r, 3) == 0 ? special_value(r, t->bytes)
                   : rng_below(r, 2)    ? (rng_unit(r) - 0.5) * 20
                                        : ldexp(rng_unit(r) - 0.5, (int)rng_below(r, 40) - 20);
        float f = (float)v;
        if (!t->is_float && rng_below(r, 2)) {
            static const uint64_t edges[] = {0,
                                             1,
                                             2,
                                             0x7f,
                                             0x80,
                                             0xff,
                                             0x7fff,
                                             0x8000,
                                             0xffff,
                                             0x7fffffff,
                                             0x80000000u,
                                             0xffffffffu,
                                             0x7fffffffffffffffu,
                                             0x8000000000000000u,
                                             ~0ull};
            bits = edges[rng_below(r, 15)];
        }
        if (t->is_float && t->bytes == 8)
            memcpy(&bits, &v, 8);
        else if (t->is_float)
            memcpy(&bits, &f, 4);
        memcpy((char *)out + i * (size_t)t->bytes, &bits, (size_t)t->bytes);
    }
}

/* ---- Both ----------------------------------------------------------------------------------------------------- */
struct trial {
    struct compute *c;
    struct simt *s;
    struct arena a;
    const struct ptx_module *m;
    int n;
};

static void load(struct trial *t, const char *name)
{
    struct text text;
    struct ptx_module *m = NULL;
    struct diag d = {0};
    const char *path = arena_printf(&t->a, "%s/tests/opencl-%s.ptx", TEST_BINARY_DIR, name);
    if (file_read(&text, &t->a, path, 1 << 26, &d) != OK || ptx_parse(&m, &t->a, text, &d) != OK)
        fail_msg("%s:%d:%d: %s", path, d.line, d.col, d.msg);
    t->m = m;
}

/* Runs a kernel of the module on copies of the buffers, which are replaced by the results. */
static void simulate(struct trial *t, const char *kernel, const size_t global[3],
                     const size_t local[3], struct compute_buffer *b, int n)
{
    struct diag d = {0};
    uint64_t params[8] = {0};
    uint8_t block[64];
    struct simt_mem *mem = simt_mem_new(NULL);
    struct simt_launch l = {.params = block, .dynamic_shared = 0};
    struct simt_result r;
    if (ptx_find_kernel(&l.kernel, t->m, kernel, &d) != OK)
        fail_msg("%s", d.msg);
    for (int i = 0; i < n; i++)
        if (b[i].bytes) {
            params[i] = rig_buffer(mem, b[i].n);
            simt_mem_write(mem, params[i], b[i].bytes, b[i].n);
        } else { /* local memory: from the start of the dynamic part */
            l.dynamic_shared = (uint32_t)b[i].n;
            params[i] = ptx_shared_bytes(l.kernel);
        }
    for (int i = 0; i < n; i++) {
        struct ptx_param p = ptx_param_at(l.kernel, (size_t)i);
        memcpy(block + p.offset, &params[i], p.bytes);
    }
    for (int i = 0; i < 3; i++) {
        l.block[i] = (uint32_t)local[i];
        l.grid[i] = (uint32_t)(global[i] / local[i]);
    }
    if (simt_load_globals(mem, l.kernel, &l.globals, &d) != OK || simt_check_launch(&l, &d) != OK)
        fail_msg("%s: %s", kernel, d.msg);
    simt_run(t->s, mem, &l, 0, simt_n_ctas(&l), NULL, &r);
    if (r.trap.kind != TRAP_NONE)
        fail_msg("%s: %s at line %d", kernel, vocab_word(&vocab_traps, (int)r.trap.kind),
                 r.trap.at.line);
    for (int i = 0; i < n; i++)
        if (b[i].bytes)
            simt_mem_read(mem, params[i], b[i].bytes, b[i].n);
    simt_mem_free(mem);
}

static struct compute_buffer copy_of(struct trial *t, const struct compute_buffer *b)
{
    if (!b->bytes)
        return *b;
    void *bytes = arena_alloc(&t->a, b->n);
    memcpy(bytes, b->bytes, b->n);
    return (struct compute_buffer){bytes, b->n};
}

/* Both run it; b become PoCL's results, mine the simulator's. */
static void run_both(struct trial *t, const char *source, const char *options, const char *kernel,
                     const size_t global[3], const size_t local[3], struct compute_buffer *b,
                     struct compute_buffer *mine, int n)
{
    for (int i = 0; i < n; i++)
        mine[i] = copy_of(t, &b[i]);
    simulate(t, kernel, global, local, mine, n);
    char path[512];
    snprintf(path, sizeof path, "%s/tests/opencl/%s", TEST_SOURCE_DIR, source);
    if (!compute_run(t->c, path, options, kernel, global, local, b, n))
        fail_msg("PoCL cannot run %s of %s", kernel, source);
}

/* ---- Comparison -------------------------------------------------------------------------------------------------- */
/* Distance in units of the last place; denormals may be flushed. */
static double distance(double x, double y, int bytes)
{
    double least = bytes == 4 ? FLT_MIN : DBL_MIN, big = fmax(fabs(x), fabs(y));
    if (isnan(x) && isnan(y))
        return 0;
    if (isnan(x) || isnan(y))
        return INFINITY;
    if (x == y || (fabs(x) < least && fabs(y) < least) ||
        (big == least && fmin(fabs(x), fabs(y)) == 0))
        return 0;
    if (isinf(x) || isinf(y)) {
        double most = bytes == 4 ? FLT_MAX : DBL_MAX, other = isinf(x) ? y : x;
        return fabs(other) > most * 0.999999 && (x > 0) == (y > 0) ? 1 : INFINITY;
    }
    return fabs(x - y) / ldexp(1, ilogb(big) - (bytes == 4 ? 23 : 52));
}

static double as_double(const void *p, int bytes)
{
    float f;
    double d;
    if (bytes == 4) {
        memcpy(&f, p, 4);
        return (double)f;
    }
    memcpy(&d, p, 8);
    return d;
}

/* Where clang 14 and libclc 14 are wrong, and no matter of the simulator, which does what their code says. */
static const struct {
    const char *type, *name, *why;
} deviations[] = {
    {"float", "tgamma", "exp(lgamma(x)): no sign, few digits"},
    {"double", "tgamma", "the same"},
    {"long", "rotate", "shl and shr by amounts beyond 63, which give 0"},
    {"ulong", "rotate", "the same"},
    {"long", "sub_sat", "0 - LONG_MIN counts as negative"},
    {"long", "mad_sat", "no saturation of the product"},
};

static bool deviates(const struct type *t, const struct row *row)
{
    for (size_t i = 0; i < sizeof deviations / sizeof *deviations; i++)
        if (strcmp(deviations[i].type, t->name) == 0 && strcmp(deviations[i].name, row->name) == 0)
            return true;
    return false;
}

/* What the operands are, for rules that ask. */
struct operands {
    bool finite, nan, denormal;
    double scale; /* of sums of their products */
};

static bool agree(const struct type *t, const struct row *row, const void *mine, const void *theirs,
                  struct operands in)
{
    if (memcmp(mine, theirs, (size_t)t->bytes) == 0)
        return true;
    if (!t->is_float)
        return false;
    double x = as_double(mine, t->bytes), y = as_double(theirs, t->bytes);
    switch (row->ulp) {
    case 0:
        return isnan(x) && isnan(y);
    case NANBITS:
        return isnan(x) && isnan(y);
    case Z:
        return x == y || (isnan(x) && isnan(y));
    case FINITE:
        return !in.finite || x == y;
    case NUMBERS:
        return in.nan || x == y;
    case NORMALS:
        return in.denormal || distance(x, y, t->bytes) == 0;
    case LOOSE:
        return !isfinite(x) || !isfinite(y) || !(fabs(x - y) > 1e-5 * in.scale);
    default:
        return distance(x, y, t->bytes) <= 2.0 * row->ulp;
    }
}

static int report(const struct type *t, const struct row *row, const char *kernel, const char *mine,
                  const char *theirs, size_t i, const char *in, size_t n_in, int lanes)
{
    char text[512];
    int used = snprintf(text, sizeof text, "%s %s(%s)", t->name, row->name, kernel);
    for (size_t k = 0; k < n_in && lanes == 1; k++) {
        uint64_t bits = 0;
        memcpy(&bits, in + (n_in * i + k) * (size_t)t->bytes, (size_t)t->bytes);
        used +=
            snprintf(text + used, sizeof text - (size_t)used, t->is_float ? " %llx (%g)" : " %llx",
                     (unsigned long long)bits, t->is_float ? as_double(&bits, t->bytes) : 0);
    }
    uint64_t a = 0, b = 0;
    memcpy(&a, mine, (size_t)t->bytes);
    memcpy(&b, theirs, (size_t)t->bytes);
    print_message("%s: %llx, PoCL %llx", text, (unsigned long long)a, (unsigned long long)b);
    if (t->is_float)
        print_message(" (%.9g, %.9g: %g ULP)", as_double(&a, t->bytes), as_double(&b, t->bytes),
                      distance(as_double(&a, t->bytes), as_double(&b, t->bytes), t->bytes));
    print_message("\n");
    return 1;
}

static struct operands operands_of(const struct type *t, const char *in, size_t item)
{
    struct operands o = {true, false, false, 1};
    for (size_t k = 0; k < 3 && t->is_float; k++) {
        double x = as_double(in + (3 * item + k) * (size_t)t->bytes, t->bytes);
        o.nan |= isnan(x);
        o.scale *= 1 + fabs(x);
        o.denormal |= x != 0 && fabs(x) < (t->bytes == 4 ? FLT_MIN : DBL_MIN);
        o.finite &= k > 0 || (isfinite(x) && x != 0);
    }
    return o;
}

static int compare(const struct type *t, const struct row *rows, size_t n_rows, const char *kernel,
                   int lanes, const char *mine, const char *theirs, const char *in,
                   const char *scalars)
{
    int bad = 0;
    size_t k = 0;
    for (size_t r = 0; r < n_rows; r++) {
        if (lanes > 1 && !rows[r].vector)
            continue;
        double worst = -1;
        size_t worst_at = 0;
        for (size_t i = 0; i < N_ITEMS * (size_t)lanes && !deviates(t, &rows[r]); i++) {
            size_t at = (k * N_ITEMS * (size_t)lanes + i) * (size_t)t->bytes;
            /* lane q of item i has the operands of item i + q */
            size_t item = (i / (size_t)lanes + i % (size_t)lanes) % N_ITEMS;
            if (agree(t, &rows[r], mine + at, theirs + at, operands_of(t, in, item)))
                continue;
            /* PoCL may have other functions for vectors; libclc does not */
            if (scalars && memcmp(mine + at, scalars + (r * N_ITEMS + item) * (size_t)t->bytes,
                                  (size_t)t->bytes) == 0)
                continue;
            double d = t->is_float ? distance(as_double(mine + at, t->bytes),
                                              as_double(theirs + at, t->bytes), t->bytes)
                                   : 1;
            if (d > worst) {
                worst = d;
                worst_at = i;
            }
        }
        if (worst >= 0) {
            size_t at = (k * N_ITEMS * (size_t)lanes + worst_at) * (size_t)t->bytes;
            bad += report(t, &rows[r], kernel, mine + at, theirs + at, worst_at, in, 3, lanes);
        }
        k++;
    }
    return bad;
}

static int try_type(struct trial *t, const struct type *type, uint64_t seed)
{
    const struct row *rows = type->is_float ? float_rows : int_rows;
    size_t n_rows = type->is_float ? sizeof float_rows / sizeof *float_rows
                                   : sizeof int_rows / sizeof *int_rows;
    static char in[3 * N_ITEMS * 8], ints[2 * N_ITEMS * 4], out[MAX_ROWS * 4 * N_ITEMS * 8];
    static const size_t global[3] = {N_ITEMS, 1, 1}, local[3] = {LOCAL, 1, 1};
    char options[256];
    const char *mine_scalars = NULL;
    int bad = 0;
    struct rng r;
    assert_true(n_rows < MAX_ROWS);
    rng_init(&r, seed, 0);
    fill(in, type, 3 * N_ITEMS, &r);
    for (int i = 0; i < 2 * N_ITEMS; i++) {
        int32_t v = rng_below(&r, 2) ? (int32_t)rng_below(&r, 300) - 150 : (int32_t)rng_u32(&r);
        memcpy(ints + 4 * i, &v, 4);
    }
    load(t, type->name);
    snprintf(options, sizeof options, "-cl-std=CL1.2 -I%s/tests/opencl -DT=%s -DS=%s -DU=%s%s",
             TEST_SOURCE_DIR, type->name, type->half_name, type->unsigned_name,
             type->is_float ? " -DFLOATING" : "");
    for (int lanes = 1; lanes <= 4; lanes += 3) {
        memset(out, 0, sizeof out);
        struct compute_buffer b[3] = {{out, n_rows * N_ITEMS * (size_t)(lanes * type->bytes)},
                                      {in, 3 * N_ITEMS * (size_t)type->bytes},
                                      {ints, sizeof ints}},
                              mine[3];
        const char *kernel = lanes == 1 ? "scalars" : "vectors";
        run_both(t, "builtins.cl", options, kernel, global, local, b, mine, lanes == 1 ? 3 : 2);
        bad += compare(type, rows, n_rows, kernel, lanes, mine[0].bytes, out, in, mine_scalars);
        mine_scalars = mine[0].bytes;
        t->n++;
    }
    return bad;
}

static void test_builtins(void **state)
{
    struct trial *t = *state;
    int bad = 0;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        bad += try_type(t, &types[i], i + 1);
    assert_int_equal(bad, 0);
}

static void test_control(void **state)
{
    struct trial *t = *state;
    static const char *const kernels[] = {"ranges",         "divergence",     "tree",
                                          "waves",          "private_arrays", "atomics",
                                          "memory_vectors", "copies",         "geometry"};
    static const size_t globals[][3] = {{96, 1, 1}, {48, 6, 1}, {20, 6, 4}},
                        locals[][3] = {{32, 1, 1}, {24, 3, 1}, {5, 3, 2}};
    static int32_t in[1024], out[640];
    struct rng r;
    load(t, "control");
    for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++)
        for (size_t g = 0; g < 3; g++) {
            size_t n = globals[g][0] * globals[g][1] * globals[g][2];
            bool box = strcmp(kernels[k], "waves") == 0, real = strcmp(kernels[k], "geometry") == 0;
            rng_init(&r, 7, k * 10 + g);
            for (size_t i = 0; i < 1024; i++)
                in[i] = (int32_t)(rng_below(&r, 2) ? rng_below(&r, 100) : rng_u32(&r));
            memset(out, 0, sizeof out);
            struct compute_buffer b[3] = {{out, n * 4}, {in, sizeof in}, {NULL, 4 * 128}}, mine[3];
            run_both(t, "control.cl", "-cl-std=CL1.2", kernels[k], globals[g], locals[g], b, mine,
                     box ? 3 : 2);
            for (size_t i = 0; i < n; i++) {
                int32_t v = ((int32_t *)mine[0].bytes)[i];
                float x, y;
                memcpy(&x, &v, 4);
                memcpy(&y, &out[i], 4);
                if (real ? !(fabsf(x - y) <= 1e-4f * fabsf(y) + 1e-3f) : v != out[i])
                    fail_msg("%s, range %zu: item %zu: %08x (%g), PoCL %08x (%g)", kernels[k], g, i,
                             (unsigned)v, (double)x, (unsigned)out[i], (double)y);
            }
            t->n++;
        }
}

int main(void)
{
    static struct trial t;
    t.c = compute_open();
    if (!t.c) {
        printf("SKIP: no OpenCL device (PoCL)\n");
        return 77;
    }
    t.s = simt_new();
    const struct CMUnitTest tests[] = {cmocka_unit_test_prestate(test_control, &t),
                                       cmocka_unit_test_prestate(test_builtins, &t)};
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    printf("%d kernels compared\n", t.n);
    simt_free(t.s);
    compute_close(t.c);
    arena_fini(&t.a);
    return rc;
}
