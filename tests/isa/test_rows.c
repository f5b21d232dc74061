/* Every OP row of isa.def is executed: all kinds of steps, full and partial masks, against the row's
 * expression evaluated one lane at a time, with the values at which things go wrong among random
 * ones. Rows named in other tests only are listed nowhere: there are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "reference.h"
#include "rig.h"

/* ---- Kernels ------------------------------------------------------------------------------------------------ */
enum { N_LANES = 32, N_ROUNDS = 24 };

static const char *reg_of(enum ptx_type t, int n)
{
    static const char *const names[][4] = {
        {"%p1", "%p2", "%p3", "%p4"},
        {"%h1", "%h2", "%h3", "%h4"},
        {"%r11", "%r12", "%r13", "%r14"},
        {"%rd11", "%rd12", "%rd13", "%rd14"},
    };
    int bits = ptx_type_bits(t);
    return names[bits == 1 ? 0 : bits == 16 ? 1 : bits == 32 ? 2 : 3][n];
}

/* Lane l reads its operands at in[3 l ..], writes its result to out[l] as 64 bits. The lanes of `mask`
 * alone execute the instruction. */
static const struct ptx_kernel *kernel_for(struct arena *a, int op)
{
    const struct ptx_row *row = &ptx_rows[op];
    char text[4096];
    int n = 0, n_in = 0;
    n += sprintf(text + n,
                 "mov.u32 %%r1, %%tid.x; mad.wide.u32 %%rd3, %%r1, 24, %%rd1;\n"
                 "mad.wide.u32 %%rd4, %%r1, 8, %%rd2; mov.u64 %%rd14, 0; mov.u32 %%r14, 0;\n"
                 "mov.u16 %%h4, 0; setp.ne.u32 %%p4, 0, 0; ld.global.u64 %%rd5, [%%rd1+768];\n"
                 "cvt.u32.u64 %%r2, %%rd5; shr.u32 %%r2, %%r2, %%r1; and.b32 %%r2, %%r2, 1;\n"
                 "setp.eq.u32 %%p10, %%r2, 0;\n");
    for (; n_in < 3 && row->in[n_in] != PTX_T_no; n_in++) {
        enum ptx_type t = row->in[n_in];
        int bits = ptx_type_bits(t);
        if (bits == 1)
            n += sprintf(text + n,
                         "ld.global.u32 %%r3, [%%rd3+%d]; and.b32 %%r3, %%r3, 1;"
                         "setp.ne.u32 %s, %%r3, 0;\n",
                         8 * n_in, reg_of(t, n_in));
        else
            n += sprintf(text + n, "ld.global.b%d %s, [%%rd3+%d];\n", bits, reg_of(t, n_in),
                         8 * n_in);
    }
    n += sprintf(text + n, "@%%p10 bra SKIP;\n%s %s", row->key, reg_of(row->out, 3));
    for (int i = 0; i < n_in; i++)
        n += sprintf(text + n, ", %s", reg_of(row->in[i], i));
    n += sprintf(text + n, ";\nSKIP:\n");
    int bits = ptx_type_bits(row->out);
    if (bits == 1)
        sprintf(text + n, "selp.u32 %%r14, 1, 0, %%p4; st.global.u32 [%%rd4], %%r14;");
    else
        sprintf(text + n, "st.global.b%d [%%rd4], %s;", bits, reg_of(row->out, 3));
    return rig_kernel(a, 2, text);
}

/* ---- Values --------------------------------------------------------------------------------------------------- */
static uint64_t integer_value(struct rng *r, int bits)
{
    uint64_t top = 1ull << (bits - 1);
    switch (rng_below(r, 8)) {
    case 0:
        return rng_below(r, 5);
    case 1:
        return 0 - rng_below(r, 5);
    case 2:
        return top + rng_below(r, 5) - 2;
    case 3:
        return rng_below(r, 70);
    case 4:
        return 1ull << rng_below(r, (uint64_t)bits);
    case 5:
        return rng_u64(r) >> rng_below(r, 64);
    default:
        return rng_u64(r);
    }
}

static uint64_t float_value(struct rng *r, int bits)
{
    static const double special[] = {0.0,          -0.0,          1.0,          -1.0,   0.5,
                                     1.5,          2.5,           3.4028234e38, 1e-40,  1e-310,
                                     2147483648.0, -2147483648.0, 4294967296.0, 9.3e18, 1.9e19,
                                     255.5,        -129};
    uint64_t nan = rng_u32(r), word = 0;
    double v = special[rng_below(r, sizeof special / sizeof *special)];
    switch (rng_below(r, 6)) {
    case 0:
        return bits == 32 ? 0x7f800000u | (nan & 0x807fffffu) : 0x7ff0000000000000u | nan << 32;
    case 1:
        v = v * 0;
        break;
    case 2:
        v = (rng_unit(r) - 0.5) * 100;
        break;
    case 3:
        return rng_u64(r);
    default:
        break;
    }
    if (bits == 64) {
        memcpy(&word, &v, 8);
    } else {
        float f = (float)v;
        memcpy(&word, &f, 4);
    }
    return word;
}

static uint64_t value(struct rng *r, enum ptx_type t)
{
    int bits = ptx_type_bits(t);
    uint64_t v = t == PTX_T_f32 || t == PTX_T_f64 ? float_value(r, bits)
                 : bits > 1                       ? integer_value(r, bits)
                                                  : rng_u32(r) & 1;
    return bits == 64 ? v : v & ((1ull << bits) - 1);
}

/* ---- The comparison ------------------------------------------------------------------------------------------- */
struct trial {
    struct simt *s;
    struct simt_mem *m;
    uint64_t buffers[2];
};

static void try_round(struct trial *t, const struct ptx_kernel *k, int op, struct rng *r)
{
    const struct ptx_row *row = &ptx_rows[op];
    uint64_t in[3 * N_LANES + 1], out[N_LANES] = {0};
    static const uint32_t masks[] = {0xffffffffu, 0x0000ffffu, 0x80000001u, 0};
    uint32_t mask =
        rng_below(r, 2) ? 0xffffffffu : masks[rng_below(r, 4)] ^ (rng_below(r, 2) ? rng_u32(r) : 0);
    for (int i = 0; i < 3 * N_LANES; i++)
        in[i] = value(r, row->in[i % 3]);
    in[3 * N_LANES] = mask;
    simt_mem_write(t->m, t->buffers[0], in, sizeof in);
    simt_mem_write(t->m, t->buffers[1], out, sizeof out);
    struct simt_result result = rig_run(t->s, t->m, k, 1, N_LANES, t->buffers, NULL);
    assert_int_equal(result.trap.kind, TRAP_NONE);
    simt_mem_read(t->m, t->buffers[1], out, sizeof out);
    for (int l = 0; l < N_LANES; l++) {
        uint64_t expected =
            mask >> l & 1 ? reference_row(op, in[3 * l], in[3 * l + 1], in[3 * l + 2]) : 0;
        if (out[l] != expected)
            fail_msg("%s lane %d mask %08x: %llx %llx %llx gave %llx, expected %llx", row->key, l,
                     mask, (unsigned long long)in[3 * l], (unsigned long long)in[3 * l + 1],
                     (unsigned long long)in[3 * l + 2], (unsigned long long)out[l],
                     (unsigned long long)expected);
    }
}

static void test_rows(void **state)
{
    (void)state;
    int n = 0;
    for (const struct lanes *const *lanes = rig_lanes; *lanes; lanes++) {
        if (!simt_lanes_usable(*lanes))
            continue;
        struct trial t = {simt_new_for(*lanes), simt_mem_new(NULL), {0, 0}};
        t.buffers[0] = rig_buffer(t.m, 4096);
        t.buffers[1] = rig_buffer(t.m, 4096);
        for (int op = 0; op < PTX_N_OPS; op++) {
            if (ptx_rows[op].shape != PTX_SHAPE_LANES)
                continue;
            struct arena a = {0};
            struct rng r;
            rng_init(&r, 1, (uint64_t)op);
            const struct ptx_kernel *k = kernel_for(&a, op);
            for (int round = 0; round < N_ROUNDS; round++)
                try_round(&t, k, op, &r);
            arena_fini(&a);
            n++;
        }
        simt_free(t.s);
        simt_mem_free(t.m);
    }
    print_message("%d rows and kinds of steps\n", n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
