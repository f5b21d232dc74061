/* Random kernels, simulated 32 lanes at a time by all kinds of steps, against the reference interpreter: one
 * thread at a time (simt/reference.h). Every byte of memory must be the same, with hooks and without. The
 * kernels use every row of isa.def: a row that never ran fails the test. Divergent branches, loops, tables,
 * calls and recursion, guards, barriers, all spaces of memory; operands are random bits, often edge cases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/rng.h"
#include "reference.h"
#include "rig.h"

enum { OUT_WORDS = 64, MAX_TEXT = 1 << 17, N_REGS = 10, IN_BYTES = 4096 };

struct writer {
    struct rng *r;
    char *text;
    size_t n;
    int depth, labels, loops;
    bool in_function, some_ended;
    bool converged; /* all threads of the CTA that have not ended are here */
};

static void put(struct writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct writer *w, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    w->n += (size_t)vsnprintf(w->text + w->n, MAX_TEXT - w->n, format, ap);
    va_end(ap);
    assert_true(w->n < MAX_TEXT);
}

static int below(struct writer *w, int n) { return (int)rng_below(w->r, (uint64_t)n); }

/* ---- Operands ------------------------------------------------------------------------------------------- */
/* Registers %p %h %r %q (64 bits); numbers from 10 on belong to the generator. */
static const char *reg_of(struct writer *w, int bits, char buffer[16])
{
    snprintf(buffer, 16, "%%%c%d",
             bits == 1    ? 'p'
             : bits == 16 ? 'h'
             : bits == 32 ? 'r'
                          : 'q',
             below(w, N_REGS));
    return buffer;
}

static uint64_t bits_value(struct writer *w, int bits)
{
    static const uint32_t floats[] = {
        0, 0x80000000u, 0x3f800000u, 0xbf800000u, 0x7f800000u, 0xff800000u, 0x7fc00001u,
        1, 0x80000001u, 0x007fffffu, 0x00800000u, 0x7f7fffffu, 0x4f000000u, 0x3f000000u};
    uint64_t v = rng_u64(w->r);
    switch (below(w, 5)) {
    case 0:
        v = (uint64_t)below(w, 70);
        break;
    case 1:
        v = 0 - (uint64_t)below(w, 5);
        break;
    case 2:
        v = floats[below(w, 14)] | (bits == 64 ? rng_u64(w->r) << 32 : 0);
        break;
    case 3:
        v = (uint64_t)floats[below(w, 14)] << (bits == 64 ? 32 : 0) >> (bits == 16 ? 16 : 0);
        break;
    default:
        break;
    }
    return bits == 64 ? v : v & ((1ull << bits) - 1);
}

static void put_operand(struct writer *w, enum ptx_type t)
{
    char name[16];
    int bits = ptx_type_bits(t);
    if (bits == 1 || below(w, 6))
        put(w, "%s", reg_of(w, bits, name));
    else if (t == PTX_T_f32)
        put(w, "0f%08x", (unsigned)bits_value(w, 32));
    else if (t == PTX_T_f64)
        put(w, "0d%016llx", (unsigned long long)bits_value(w, 64));
    else
        put(w, "0x%llx", (unsigned long long)bits_value(w, bits));
}

static void put_guard(struct writer *w)
{
    char name[16];
    if (!below(w, 4))
        put(w, "@%s%s ", below(w, 2) ? "!" : "", reg_of(w, 1, name));
}

/* ---- Rows with one value per lane ----------------------------------------------------------------------------- */
/* The key with modifiers that the row allows: after the mnemonic's root, where the parser takes them. */
static void put_row(struct writer *w, int op)
{
    const struct ptx_row *row = &ptx_rows[op];
    const char *dot = strchr(row->key, '.');
    static const char *const rounds[] = {".rn", ".rz", ".rm", ".rp"};
    bool setp = strncmp(row->key, "setp.", 5) == 0, both = setp && !below(w, 3),
         combine = setp && !below(w, 3);
    char name[16];
    put_guard(w);
    put(w, "%.*s", (int)(dot - row->key), row->key);
    if (setp) { /* the comparison comes first */
        const char *type = strchr(dot + 1, '.');
        static const char *const ops[] = {".and", ".or", ".xor"};
        put(w, "%.*s%s", (int)(type - dot), dot, combine ? ops[below(w, 3)] : "");
        dot = type;
    }
    if (row->mods & PTX_MOD_APPROX && below(w, 2))
        put(w, ".approx");
    else if (row->mods & PTX_MOD_ROUND && below(w, 2))
        put(w, "%s", rounds[below(w, 4)]);
    if (row->mods & PTX_MOD_FTZ && below(w, 2))
        put(w, ".ftz");
    if (row->mods & PTX_MOD_SAT && below(w, 2))
        put(w, ".sat");
    put(w, "%s %s", dot, reg_of(w, ptx_type_bits(row->out), name));
    if (both)
        put(w, "|%s", reg_of(w, 1, name));
    for (int n = 0; n < 3 && row->in[n] != PTX_T_no; n++) {
        put(w, ", ");
        put_operand(w, row->in[n]);
    }
    if (combine)
        put(w, ", %s%s", below(w, 2) ? "!" : "", reg_of(w, 1, name));
    put(w, ";\n");
}

static int random_row(struct writer *w)
{
    for (;;) {
        int op = below(w, PTX_N_OPS);
        if (ptx_rows[op].shape == PTX_SHAPE_LANES)
            return op;
    }
}

/* ---- Memory: a thread reads `in`, tables and its own places, and writes its own ------------------------------- */
static void put_address(struct writer *w, const char *base, int from, int bytes, int align)
{
    char name[16];
    put(w, "and.b32 %%r11, %s, %d; cvt.u64.u32 %%q11, %%r11; add.u64 %%q12, %s, %%q11;\n",
        reg_of(w, 32, name), (bytes - 1) & ~(align - 1), base);
    (void)from;
}

static void put_load(struct writer *w)
{
    static const char *const types[] = {"b8",  "u8",  "s8",  "b16", "u16", "s16", "b32",
                                        "u32", "s32", "f32", "b64", "u64", "s64", "f64"};
    static const int bytes[] = {1, 1, 1, 2, 2, 2, 4, 4, 4, 4, 8, 8, 8, 8};
    static const struct {
        const char *space, *base;
        int size;
    } spaces[] = {{".global", "%q20", IN_BYTES},
                  {"", "%q20", IN_BYTES},
                  {".global.nc", "%q20", IN_BYTES},
                  {".local", "%q21", 64},
                  {"", "%q22", 64},
                  {".const", "%q23", 64},
                  {"", "%q24", 64},
                  {".global", "%q25", 64},
                  {".volatile.global", "%q20", IN_BYTES}};
    int t = below(w, 14), s = below(w, 9), vec = 1 << below(w, 3);
    char name[16];
    if (w->in_function && (s == 3 || s == 4)) /* its own stack is another */
        s = 0;
    if (vec * bytes[t] > 16)
        vec = 1;
    put_address(w, spaces[s].base, 0, spaces[s].size, vec * bytes[t]);
    put_guard(w);
    put(w, "ld%s%s.%s ", spaces[s].space, vec == 1 ? "" : vec == 2 ? ".v2" : ".v4", types[t]);
    int width = bytes[t] == 1   ? 16 << below(w, 3)
                : bytes[t] == 2 ? 16 << below(w, 3)
                : bytes[t] == 4 ? 32 << below(w, 2)
                                : 64;
    for (int k = 0; k < vec; k++)
        put(w, "%s%s",
            k         ? ", "
            : vec > 1 ? "{"
                      : "",
            vec > 1 && !below(w, 8) ? "_" : reg_of(w, width, name));
    put(w, "%s, [%%q12];\n", vec > 1 ? "}" : "");
}

static void put_store(struct writer *w)
{
    int bytes = 1 << below(w, 4), vec = 1 << below(w, 3), where = below(w, 4);
    static const char *const spaces[] = {".global", "", ".local", ".shared"};
    static const char *const bases[] = {"%q26", "%q26", "%q21", "%q27"};
    if (vec * bytes > 16)
        vec = 1;
    if (where == 2 && w->in_function)
        where = 0;
    put_address(w, bases[where], 0, where < 2 ? 4 * OUT_WORDS : where == 2 ? 64 : 16, vec * bytes);
    char at[32] = "%q12";
    if (where >= 2 && below(w, 2)) { /* in a 32-bit register: wraps around */
        unsigned offset = below(w, 2) ? 0x7ffffff0u : 16u * (unsigned)below(w, 5000);
        put(w, "cvt.u32.u64 %%r11, %%q12; sub.u32 %%r11, %%r11, %u;\n", offset);
        snprintf(at, sizeof at, "%%r11+%u", offset);
    }
    put_guard(w);
    put(w, "st%s%s.b%d [%s], ", spaces[where],
        vec == 1   ? ""
        : vec == 2 ? ".v2"
                   : ".v4",
        8 * bytes, at);
    char name[16];
    for (int k = 0; k < vec; k++)
        put(w, "%s%s", k ? ", " : vec > 1 ? "{" : "", reg_of(w, bytes < 2 ? 16 : 8 * bytes, name));
    put(w, "%s;\n", vec > 1 ? "}" : "");
}

/* Sums that do not depend on the order; the value is not looked at. */
static void put_reduction(struct writer *w)
{
    static const char *const ops[] = {"add.u32", "min.u32", "min.s32", "max.u32", "max.s32",
                                      "and.b32", "or.b32",  "xor.b32", "add.u64", "min.s64",
                                      "max.u64", "max.s64", "xor.b64"};
    int op = below(w, 13), wide = op >= 8, shared = below(w, 2);
    char name[16];
    put_guard(w);
    if (below(w, 2))
        put(w, "red%s.%s [%s+%d], %s;\n", shared ? ".shared" : ".global", ops[op],
            shared ? "%q28" : "%q29", 8 * op, reg_of(w, wide ? 64 : 32, name));
    else
        put(w, "atom%s.%s %s, [%s+%d], %s;\n", shared ? ".shared" : "", ops[op],
            wide ? "%q13" : "%r13", shared ? "%q28" : "%q29", 8 * op,
            reg_of(w, wide ? 64 : 32, name));
}

/* At the thread's own place: here the old value counts. */
static void put_own_atomic(struct writer *w)
{
    static const struct {
        const char *op;
        int bits;
    } ops[] = {{"exch.b32", 32},        {"inc.u32", 32},          {"dec.u32", 32}, {"add.f32", 32},
               {"add.noftz.f16x2", 32}, {"add.noftz.bf16x2", 32}, {"add.f64", 64}, {"exch.b64", 64},
               {"add.noftz.f16", 16},   {"add.noftz.bf16", 16},   {"cas.b32", 32}, {"cas.b64", 64},
               {"cas.b16", 16}};
    int op = below(w, 13), bits = ops[op].bits;
    char a[16], b[16], c[16];
    put_guard(w);
    put(w, "atom%s.%s %s, [%s+%d], %s", below(w, 2) ? ".global" : "", ops[op].op,
        reg_of(w, bits, a), "%q26", 8 * below(w, OUT_WORDS / 2), reg_of(w, bits, b));
    if (op >= 10)
        put(w, ", %s", reg_of(w, bits, c));
    put(w, ";\n");
}

/* ---- The other rows ------------------------------------------------------------------------------------------- */
/* Some room on the stack, whose place and content are seen: given back here, or by the return, or never. */
static void put_stack(struct writer *w)
{
    char d[16], e[16];
    reg_of(w, 32, d), reg_of(w, 32, e);
    if (below(w, 2))
        put(w,
            "{ .reg .b64 %%top, %%room; .reg .b32 %%size; stacksave.u64 %%top; and.b32 %%size, %s, "
            "252; cvt.u64.u32 %%room, %%size;\nalloca.u64 %%room, %%room, %d; add.u64 %%room, "
            "%%room, 0; cvt.u32.u64 %%size, %%room; xor.b32 %s, %s, %%size; @%%p1 st.local.u8 "
            "[%%room+-1], %s; stackrestore.u64 %%top; }\n",
            d, 4 << below(w, 6), d, d, e);
    else
        put(w,
            "{ .reg .b32 %%size, %%room; and.b32 %%size, %s, 15; alloca.u32 %%room, %%size; "
            "add.u32 %s, %s, %%room; }\n",
            d, d, d);
}

static void put_special(struct writer *w)
{
    char a[16], b[16], c[16], d[16], e[16];
    int wide = below(w, 2), bits = wide ? 64 : 32;
    static const char *const specials[] = {"%tid.x",          "%tid.y",       "%tid.z",
                                           "%ntid.x",         "%ntid.y",      "%ntid.z",
                                           "%ctaid.x",        "%ctaid.y",     "%nctaid.x",
                                           "%nctaid.y",       "%laneid",      "%warpid",
                                           "%nwarpid",        "%lanemask_eq", "%lanemask_lt",
                                           "%lanemask_le",    "%lanemask_gt", "%lanemask_ge",
                                           "%smid",           "%nsmid",       "%dynamic_smem_size",
                                           "%total_smem_size"};
    static const char *const cmp[] = {"eq",  "ne",  "lt",  "le",  "gt",  "ge",  "equ",
                                      "neu", "ltu", "leu", "gtu", "geu", "num", "nan"};
    if (!below(w, 12)) {
        put_stack(w);
        return;
    }
    put_guard(w);
    reg_of(w, bits, a), reg_of(w, bits, b), reg_of(w, bits, c), reg_of(w, 32, d), reg_of(w, 32, e);
    switch (below(w, 17)) {
    case 0:
        put(w, "mov.u32 %s, %s;\n", d, specials[below(w, 22)]);
        break;
    case 1:
        put(w, "bfi.b%d %s, %s, %s, %s, %s;\n", bits, a, b, c, d, e);
        break;
    case 2:
        put(w, "lop3.b32 %s, %s, %s, %s, 0x%x;\n", d, e, reg_of(w, 32, b), reg_of(w, 32, c),
            below(w, 256));
        break;
    case 3:
        if (wide)
            put(w, "mov.b64 %s, {%s, %s};\n", a, d, e);
        else
            put(w, "mov.b32 %s, {%s, %s};\n", d, reg_of(w, 16, b), reg_of(w, 16, c));
        break;
    case 4:
        if (below(w, 2))
            put(w, "mov.b64 {%s, _}, %s;\n", d, reg_of(w, 64, b));
        else
            put(w, "mov.b64 {%%h1, %%h3, %%h4, %%h8}, %s;\n", reg_of(w, 64, b));
        break;
    case 5:
        put(w, "add.cc.u%d %s, %s, %s;\n", bits, a, b, c);
        break;
    case 6:
        put(w, "addc%s.u%d %s, %s, %s;\n", below(w, 2) ? ".cc" : "", bits, a, b, c);
        break;
    case 7:
        put(w, "sub.cc.s%d %s, %s, %s;\n", bits, a, b, c);
        break;
    case 8:
        put(w, "subc%s.u%d %s, %s, %s;\n", below(w, 2) ? ".cc" : "", bits, a, b, c);
        break;
    case 9:
        put(w, "mad.%s.cc.%c%d %s, %s, %s, %s;\n", below(w, 2) ? "lo" : "hi",
            below(w, 2) ? 's' : 'u', bits, a, b, c, a);
        break;
    case 10:
        put(w, "madc.%s%s.%c%d %s, %s, %s, %s;\n", below(w, 2) ? "lo" : "hi",
            below(w, 2) ? ".cc" : "", below(w, 2) ? 's' : 'u', bits, a, b, c, a);
        break;
    case 11:
        put(w, "set.%s%s.%s.f32 %s, %s, %s;\n", cmp[below(w, 14)], below(w, 2) ? ".ftz" : "",
            below(w, 2) ? "u32" : "f32", d, e, reg_of(w, 32, b));
        break;
    case 12:
        put(w, "set.%s.and.s32.s64 %s, %s, %s, !%s;\n", cmp[below(w, 6)], d, reg_of(w, 64, b),
            reg_of(w, 64, c), reg_of(w, 1, a));
        break;
    case 13: {
        bool brain = below(w, 2);
        put(w, "set.%s.%s.%s %s, %s, %s;\n", cmp[below(w, 14)],
            below(w, 2) ? "u32"
            : brain     ? "bf16x2"
                        : "f16x2",
            brain ? "bf16x2" : "f16x2", d, e, reg_of(w, 32, b));
        break;
    }
    case 14:
        put(w, "setp.%s.%sf16x2 %s|%s, %s, %s;\n", cmp[below(w, 14)], below(w, 2) ? "b" : "",
            reg_of(w, 1, a), reg_of(w, 1, b), d, e);
        break;
    case 15:
        put(w, "isspacep.%s %s, %s;\n",
            below(w, 2)   ? "global"
            : below(w, 2) ? "shared"
                          : "local",
            reg_of(w, 1, a), below(w, 2) ? "%q22" : "%q20");
        break;
    default:
        put(w, "cvta%s.%s.u64 %%q14, %s;\n", below(w, 2) ? ".to" : "",
            below(w, 2) ? "shared" : "const", reg_of(w, 64, b));
    }
}

static void put_hint(struct writer *w)
{
    static const char *const hints[] = {"membar.gl",
                                        "fence.acq_rel.gpu",
                                        "prefetch.global.L2 [%q20]",
                                        "prefetchu.L1 [%q20]",
                                        "nanosleep.u32 20",
                                        "discard.global.L2 [%q20], 128",
                                        "applypriority.global.L2::evict_normal [%q20], 128",
                                        "pmevent 1",
                                        "griddepcontrol.wait",
                                        "setmaxnreg.inc.sync.aligned.u32 64",
                                        "brkpt",
                                        "bar.warp.sync -1",
                                        "cp.async.wait_all",
                                        "cp.async.commit_group",
                                        "cp.async.wait_group 0"};
    put(w, "%s;\n", hints[below(w, 15)]);
}

/* ---- What threads do together ---------------------------------------------------------------------------------- */
static void put_warp_wide(struct writer *w)
{
    char a[16], b[16], c[16], p[16];
    static const char *const votes[] = {"all", "any", "uni"}, *const shuffles[] = {"up", "down",
                                                                                   "bfly", "idx"};
    static const char *const redux[] = {"add.u32", "min.u32", "min.s32", "max.u32",
                                        "max.s32", "and.b32", "or.b32",  "xor.b32"};
    reg_of(w, 32, a), reg_of(w, 32, b), reg_of(w, 32, c), reg_of(w, 1, p);
    switch (w->some_ended ? below(w, 5) : below(w, 6)) {
    case 0:
        put(w, "vote.sync.%s.pred %s, %s%s, -1;\n", votes[below(w, 3)], p, below(w, 2) ? "!" : "",
            reg_of(w, 1, a));
        break;
    case 1:
        put(w, "vote.sync.ballot.b32 %s, %s, -1;\n", a, p);
        break;
    case 5: /* not where lanes ended: what they give is undefined */
        put(w, "shfl.sync.%s.b32 %s|%s, %s, %d, %d, -1;\n", shuffles[below(w, 4)], a, p, b,
            below(w, 32), below(w, 2) ? 0x1f : below(w, 32) << 8 | below(w, 32));
        break;
    case 3:
        put(w, "match.any.sync.b%d %s, %s, -1;\n", 32, a, b);
        break;
    case 4:
        put(w, "match.all.sync.b64 %s|%s, %s, -1;\n", a, p, reg_of(w, 64, c));
        break;
    case 2:
        put(w, "redux.sync.%s %s, %s, -1;\n", redux[below(w, 8)], a, b);
        break;
    default:
        break;
    }
    if (!below(w, 3))
        put(w, "activemask.b32 %s;\n", reg_of(w, 32, a));
}

/* To the thread's own bytes of shared memory. */
static void put_async(struct writer *w)
{
    int bytes = 4 << below(w, 3);
    put(w, "cp.async.%s.shared.global [%%q27+%d], [%%q20+%d], %d%s;\n", "ca",
        bytes * below(w, 16 / bytes), 16 * below(w, 9), bytes, below(w, 2) ? ", 4" : "");
}

/* Own bytes of shared memory become the neighbour's after a barrier. */
static void put_exchange(struct writer *w)
{
    char a[16], p[16];
    int id = below(w, 3);
    put(w,
        "bar.sync %d;\nxor.b32 %%r11, %%r30, %d; and.b32 %%r11, %%r11, %%r31; cvt.u64.u32 %%q11, "
        "%%r11;\n"
        "mad.wide.u32 %%q12, %%r11, 16, %%q19; ld.shared.u32 %s, [%%q12+4];\n",
        id, 1 << below(w, 5), reg_of(w, 32, a));
    switch (below(w, 4)) {
    case 0:
        put(w, "bar.red.popc.u32 %s, %d, %s%s;\n", a, id, below(w, 2) ? "!" : "", reg_of(w, 1, p));
        break;
    case 1:
        put(w, "barrier.red.and.pred %%p3, %d, %s;\n", id, reg_of(w, 1, p));
        break;
    case 2:
        put(w, "barrier.cta.red.or.pred %%p4, %d, %s;\n", id, reg_of(w, 1, p));
        break;
    default:
        put(w, "barrier.sync %d;\n", id);
    }
    if (!below(w, 3))
        put_async(w);
}

/* ---- Control ---------------------------------------------------------------------------------------------------- */
static void put_block(struct writer *w, int n);

static void put_if(struct writer *w)
{
    int label = w->labels++;
    char p[16];
    put(w, "@%s%s bra ELSE%d;\n", below(w, 2) ? "!" : "", reg_of(w, 1, p), label);
    put_block(w, 4);
    if (below(w, 2)) {
        put(w, "bra.uni OVER%d;\nELSE%d:\n", label, label);
        put_block(w, 4);
        put(w, "OVER%d:\n", label);
    } else {
        put(w, "ELSE%d:\n", label);
    }
}

/* Each lane its own number of rounds, with a way out in the middle. */
static void put_loop(struct writer *w)
{
    int label = w->labels++, counter = 40 + w->loops++ % 20;
    char a[16];
    put(w, "and.b32 %%r%d, %s, 3;\nLOOP%d:\n", counter, reg_of(w, 32, a), label);
    put_block(w, 3);
    if (below(w, 2))
        put(w, "@%s bra LEAVE%d;\n", reg_of(w, 1, a), label);
    put_block(w, 2);
    put(w, "sub.s32 %%r%d, %%r%d, 1; setp.ge.s32 %%p10, %%r%d, 0; @%%p10 bra LOOP%d;\nLEAVE%d:\n",
        counter, counter, counter, label, label);
    w->loops--;
}

static void put_table(struct writer *w)
{
    int label = w->labels++, n = 2 + below(w, 4);
    char a[16];
    put(w, "rem.u32 %%r11, %s, %d;\nT%d: .branchtargets ", reg_of(w, 32, a), n, label);
    for (int i = 0; i < n; i++)
        put(w, "%sC%d_%d", i ? ", " : "", label, i);
    put(w, ";\n%sbrx.idx %%r11, T%d;\n", "", label);
    for (int i = 0; i < n; i++) {
        put(w, "C%d_%d:\n", label, i);
        put_block(w, 2);
        if (below(w, 3))
            put(w, "bra END%d;\n", label);
    }
    put(w, "END%d:\n", label);
}

static void put_call(struct writer *w)
{
    char a[16], b[16], c[16];
    static const char *const functions[] = {"leaf", "deep", "swap"};
    int f = below(w, 3), through = below(w, 3);
    reg_of(w, 32, a), reg_of(w, 64, b), reg_of(w, 32, c);
    put(w,
        "{ .param .b32 x; .param .b64 y; .param .b32 z; st.param.b32 [x], %s; st.param.b64 [y], "
        "%s;\n",
        w->in_function ? "%r32" : a, b);
    if (through == 0)
        put(w,
            "rem.u32 %%r11, %s, 3; mad.wide.u32 %%q11, %%r11, 8, %%q18; ld.global.u64 %%q11, "
            "[%%q11];\n"
            "call (z), %%q11, (x, y), proto;\n",
            c);
    else
        put(w, "%scall%s (z), %s, (x, y);\n", "", below(w, 2) ? ".uni" : "", functions[f]);
    put(w, "ld.param.b32 %s, [z]; }\n", c);
}

static void put_statement(struct writer *w)
{
    bool was = w->converged;
    switch (w->depth < 3 ? below(w, 24) : 8 + below(w, 16)) {
    case 0:
    case 1:
        w->converged = false, put_if(w);
        break;
    case 2:
        w->converged = false, put_loop(w);
        break;
    case 3:
        w->converged = false, put_table(w);
        break;
    case 4:
        put_call(w);
        break;
    case 5:
        if (was)
            put_exchange(w);
        break;
    case 6:
    case 7:
        if (was)
            put_warp_wide(w);
        break;
    case 8:
    case 9:
        put_load(w);
        break;
    case 10:
        put_store(w);
        break;
    case 11:
        put_reduction(w);
        break;
    case 12:
        put_own_atomic(w);
        break;
    case 13:
    case 14:
        put_special(w);
        break;
    case 15:
        put_hint(w);
        break;
    default:
        put_row(w, random_row(w));
    }
    w->converged = was;
}

static void put_block(struct writer *w, int n)
{
    w->depth++;
    for (int i = 0; i < n; i++)
        put_statement(w);
    w->depth--;
}

/* ---- Kernels ------------------------------------------------------------------------------------------------------ */
#define REGISTERS ".reg .pred %%p<64>; .reg .b16 %%h<64>; .reg .b32 %%r<64>; .reg .b64 %%q<64>;\n"

/* Pointers that loads and stores use, the same in functions as in the kernel. */
static void put_bases(struct writer *w)
{
    put(w,
        "mov.u64 %%q23, c; cvta.const.u64 %%q24, %%q23; mov.u64 %%q25, g; mov.u64 %%q18, fs;\n"
        "mov.u64 %%q19, own; mov.u32 %%r30, %%tid.x; mov.u32 %%r31, %%ntid.x; sub.u32 %%r31, "
        "%%r31, 1;\n"
        "mov.u64 %%q28, box; mad.wide.u32 %%q27, %%r30, 16, %%q19;\n"
        "mov.u64 %%q11, where; ld.global.u64 %%q20, [%%q11]; ld.global.u64 %%q26, [%%q11+8];"
        "ld.global.u64 %%q29, [%%q11+16];\n"
        "mov.u32 %%r11, %%ctaid.x; mov.u32 %%r12, %%ntid.x; mad.lo.u32 %%r11, %%r11, %%r12, "
        "%%r30;\n"
        "mad.wide.u32 %%q26, %%r11, %d, %%q26;\n",
        4 * OUT_WORDS);
}

static void put_registers(struct writer *w)
{
    for (int i = 0; i < N_REGS; i++)
        put(w,
            "ld.global.b32 %%r%d, [%%q26+%d]; ld.global.b64 %%q%d, [%%q26+%d]; ld.global.b16 "
            "%%h%d, [%%q26+%d];"
            "setp.ne.u32 %%p%d, %%r%d, %d;\n",
            i, 4 * i, i, 64 + 8 * i, i, 160 + 2 * i, i, i, i);
}

static void put_results(struct writer *w)
{
    for (int i = 0; i < N_REGS; i++)
        put(w,
            "st.global.b32 [%%q26+%d], %%r%d; st.global.b64 [%%q26+%d], %%q%d; st.global.b16 "
            "[%%q26+%d], %%h%d;\n"
            "selp.u16 %%h20, 1, 0, %%p%d; st.global.b8 [%%q26+%d], %%h20;\n",
            4 * i, i, 64 + 8 * i, i, 160 + 2 * i, i, i, 200 + i);
}

/* Three functions: one that calls none, one that calls itself less and less deep, one with a stack. */
static void put_functions(struct writer *w)
{
    w->in_function = true;
    for (int f = 0; f < 3; f++) {
        static const char *const names[] = {"leaf", "deep", "swap"};
        put(w,
            ".func (.param .b32 z) %s(.param .b32 x, .param .b64 y)\n{\n" REGISTERS
            ".local .b32 mine[8];\n",
            names[f]);
        put_bases(w);
        put_registers(w);
        put(w, "ld.param.u32 %%r32, [x]; ld.param.u64 %%q2, [y]; mov.u64 %%q15, mine; "
               "cvta.local.u64 %%q16, %%q15;\n"
               "and.b32 %%r33, %%r32, 7; mad.wide.u32 %%q15, %%r33, 4, %%q15; st.local.u32 "
               "[%%q15], %%r32;\n");
        int depth = w->depth;
        w->depth = 2;
        for (int i = 0; i < 6; i++) {
            int kind = below(w, 10);
            if (kind == 0)
                put_if(w);
            else if (kind < 3)
                put_load(w);
            else if (kind == 3)
                put_async(w);
            else
                put_row(w, random_row(w));
        }
        if (f == 1) {
            put(w, "and.b32 %%r33, %%r32, 7; setp.eq.u32 %%p11, %%r33, 0; @%%p11 bra SHALLOW;\n"
                   "sub.u32 %%r34, %%r33, 1; { .param .b32 a; .param .b64 b; .param .b32 s; "
                   "st.param.b32 [a], %%r34;"
                   "st.param.b64 [b], %%q16; call (s), deep, (a, b); ld.param.b32 %%r35, [s]; }\n"
                   "add.u32 %%r1, %%r1, %%r35;\nSHALLOW:\n");
            put(w,
                "@%%p%d bra OTHER; { .param .b32 a; .param .b64 b; .param .b32 s; st.param.b32 "
                "[a], %%r33;"
                "st.param.b64 [b], %%q2; @%%p%d call (s), leaf, (a, b); ld.param.b32 %%r36, [s]; "
                "}\nOTHER:\n",
                below(w, N_REGS), below(w, N_REGS));
        }
        put(w,
            "ld.local.u32 %%r37, [%%q15]; ld.u32 %%r38, [%%q16]; add.u32 %%r1, %%r1, %%r37; "
            "add.u32 %%r1, %%r1, %%r38;\n"
            "st.param.b32 [z], %%r%d; ret;\n}\n",
            below(w, N_REGS));
        w->depth = depth;
    }
    w->in_function = false;
}

/* row: one that must be there, or -1 */
static void put_module(struct writer *w, int row)
{
    put(w, ".version 8.0\n.target sm_90\n.address_size 64\n"
           ".const .align 8 .b8 c[80] = {1, 2, 3, 255, 254, 128, 127, 0, 0, 9};\n"
           ".global .align 8 .b8 g[80] = {0x80, 0x7f, 5, 6, 7};\n.global .align 8 .u64 where[3];\n"
           ".shared .align 16 .b8 own[16384]; .shared .align 8 .b8 box[128];\n"
           ".func (.param .b32 z) leaf(.param .b32 x, .param .b64 y);\n"
           ".func (.param .b32 z) deep(.param .b32 x, .param .b64 y);\n"
           ".func (.param .b32 z) swap(.param .b32 x, .param .b64 y);\n"
           ".global .align 8 .u64 fs[3] = {leaf, deep, swap};\n");
    put_functions(w);
    put(w, ".entry k()\n{\n" REGISTERS ".local .align 16 .b8 depot[80];\n"
           "proto: .callprototype (.param .b32 _) _ (.param .b32 _, .param .b64 _);\n");
    put_bases(w);
    put_registers(w);
    put(w, "mov.u64 %%q21, depot; cvta.local.u64 %%q22, %%q21; st.shared.u32 [%%q27+4], %%r30; "
           "mov.u64 %%q14, 0;\n");
    w->some_ended = below(w, 3) == 0;
    if (w->some_ended)
        put(w, "@%%p%d exit;\n", below(w, N_REGS));
    if (row >= 0)
        put_row(w, row);
    w->converged = true;
    for (int i = 0; i < 14; i++)
        put_statement(w);
    put_results(w);
    put(w, "ret;\n}\n");
}

/* ---- Comparison ---------------------------------------------------------------------------------------------------- */
struct trial {
    uint64_t seed;
    uint64_t ran[PTX_N_OPS];
    struct simt *s[4];
    int n_lanes, n_traps, row;
    const char *file;
};

static bool on_step(void *ctx, const struct simt_step *s)
{
    (void)ctx, (void)s;
    return true;
}

static void fill(struct writer *w, struct simt_mem *m, uint64_t buffer, size_t bytes)
{
    uint64_t *v = malloc(bytes);
    for (size_t i = 0; i < bytes / 8; i++)
        v[i] = below(w, 2) ? bits_value(w, 64) : bits_value(w, 32) | bits_value(w, 32) << 32;
    simt_mem_write(m, buffer, v, bytes);
    free(v);
}

static void compare(const struct trial *t, const char *text, struct simt_mem *expected,
                    struct simt_mem *got, const char *who)
{
    struct simt_mem_view a = simt_mem_view(expected), b = simt_mem_view(got);
    for (uint64_t i = 0; i < a.size; i++)
        if (a.data[i] != b.data[i]) {
            FILE *f = fopen("failed-reference.ptx", "w");
            if (f) {
                fputs(text, f);
                fclose(f);
            }
            fail_msg("seed %llu row %d, %s: byte 0x%llx is %02x, one thread at a time gives %02x; "
                     "kernel in failed-reference.ptx",
                     (unsigned long long)t->seed, t->row, who, (unsigned long long)(a.base + i),
                     b.data[i], a.data[i]);
        }
}

static void run_all(struct trial *t, const struct ptx_kernel *k, struct writer *w)
{
    static const uint32_t blocks[] = {1, 31, 32, 33, 64, 97};
    uint32_t block = blocks[below(w, 6)], grid = 1 + (uint32_t)below(w, 2), threads = block * grid;
    struct simt_mem *m =
        simt_mem_new(&(struct simt_mem_options){.page_bytes = 4096, .align_bytes = 256});
    struct simt_launch l = {
        .kernel = k, .grid = {grid, 1, 1}, .block = {block, 1, 1}, .dynamic_shared = 64};
    struct diag d = {0};
    uint64_t at[3] = {rig_buffer(m, IN_BYTES + 64), rig_buffer(m, threads * 4ull * OUT_WORDS),
                      rig_buffer(m, 256)};
    fill(w, m, at[0], IN_BYTES + 64);
    fill(w, m, at[1], threads * 4ull * OUT_WORDS);
    if (simt_load_globals(m, k, &l.globals, &d) != OK || simt_check_launch(&l, &d) != OK)
        fail_msg("%s", d.msg);
    for (size_t i = 0; i < k->n_symbols; i++)
        if (strcmp(k->symbols[i].name, "where") == 0)
            simt_mem_write(m, l.globals + k->symbols[i].address, at, sizeof at);
    struct simt_mem *expected = simt_mem_clone(m);
    struct simt_trap trap = reference_run(expected, &l, 1 << 20, t->ran);
    t->n_traps += trap.kind != TRAP_NONE;
    for (int i = 0; i < 2 * t->n_lanes; i++) {
        struct simt_mem *mine = simt_mem_clone(m);
        struct simt_hook hook = {.step = on_step};
        struct simt_run_options o = {.limit = 1 << 24, .hook = i % 2 ? &hook : NULL};
        struct simt_result result;
        char who[64];
        snprintf(who, sizeof who, "%s%s", rig_lanes[i / 2]->name, i % 2 ? ", hooked" : "");
        simt_run(t->s[i / 2], mine, &l, 0, simt_n_ctas(&l), &o, &result);
        if (result.trap.kind != trap.kind)
            fail_msg("seed %llu, %s: %s at line %d, one thread at a time: %s at line %d\n%s",
                     (unsigned long long)t->seed, who,
                     vocab_word(&vocab_traps, (int)result.trap.kind), result.trap.at.line,
                     vocab_word(&vocab_traps, (int)trap.kind), trap.at.line, w->text);
        if (trap.kind == TRAP_NONE)
            compare(t, w->text, expected, mine, who);
        simt_mem_free(mine);
    }
    simt_mem_free(expected);
    simt_mem_free(m);
}

/* file: a kernel to run instead of the seed's, with the same memory */
static void try_one(struct trial *t, int row, const char *file)
{
    struct text own = {0};
    struct rng r;
    struct arena a = {0};
    struct writer w = {.r = &r, .text = malloc(MAX_TEXT)};
    rng_init(&r, t->seed, 0);
    put_module(&w, row);
    if (file && file_read(&own, &a, file, MAX_TEXT, NULL) != OK)
        fail_msg("cannot read %s", file);
    run_all(t, rig_module(&a, file ? own.ptr : w.text), &w);
    free(w.text);
    arena_fini(&a);
}

static void test_random(void **state)
{
    struct trial *t = *state;
    int n = 0;
    for (const struct lanes *const *lanes = rig_lanes; *lanes && simt_lanes_usable(*lanes); lanes++)
        t->s[t->n_lanes++] = simt_new_for(*lanes);
    for (int op = 0; op < PTX_N_OPS; op++)
        if (ptx_rows[op].shape == PTX_SHAPE_LANES) {
            t->seed = (uint64_t)op + 1;
            t->row = op;
            try_one(t, t->row, NULL);
            n++;
        }
    t->row = -1;
    for (t->seed = 100000; t->seed < 100600; t->seed++, n++)
        try_one(t, -1, NULL);
    for (int i = 0; i < t->n_lanes; i++)
        simt_free(t->s[i]);
    print_message("%d kernels, %d of them trap\n", n, t->n_traps);
}

/* One thread of 40, the 37th, goes wrong: both say how, where and which. */
static void test_traps(void **state)
{
    struct trial *t = *state;
    static const struct {
        const char *text;
        enum trap_kind kind;
    } cases[] = {
        {"trap;", TRAP_INVALID_PC},
        {"tex.2d.v4.f32.s32 {%f1, %f2, %f3, %f4}, [t, {%r1, %r2}];", TRAP_INVALID_PC},
        {"ld.global.u32 %r1, [%rd1+4096];", TRAP_ILLEGAL_ADDRESS},
        {"ld.global.u32 %r1, [%rd1+-4];", TRAP_ILLEGAL_ADDRESS},
        {"st.u64 [%rd1+4], %rd1;", TRAP_MISALIGNED_ADDRESS},
        {"ld.v4.u32 {%r1, %r2, %r3, %r4}, [%rd1+8];", TRAP_MISALIGNED_ADDRESS},
        {"ld.shared.u32 %r1, [box+64];", TRAP_SHARED_OUT_OF_RANGE},
        {"mov.u32 %r1, -8; ld.shared.u32 %r1, [%r1+4];", TRAP_SHARED_OUT_OF_RANGE},
        {"mov.u32 %r1, -8; atom.shared.add.u32 %r1, [%r1+72], 1;", TRAP_SHARED_OUT_OF_RANGE},
        {"mov.u64 %rd2, -8; ld.shared.u32 %r1, [%rd2+0x100000008];", TRAP_SHARED_OUT_OF_RANGE},
        {"atom.shared.add.u32 %r1, [box+64], 1;", TRAP_SHARED_OUT_OF_RANGE},
        {"st.local.u16 [depot+16], %h1;", TRAP_LOCAL_OUT_OF_RANGE},
        {"mov.u64 %rd2, c; cvta.const.u64 %rd2, %rd2; st.u32 [%rd2], %r1;", TRAP_ILLEGAL_ADDRESS},
        {"red.global.add.u64 [%rd1+4], %rd1;", TRAP_MISALIGNED_ADDRESS},
        {"cp.async.ca.shared.global [box+60], [%rd1], 8;", TRAP_MISALIGNED_ADDRESS},
        {"T: .branchtargets A, B; mov.u32 %r1, 2; brx.idx %r1, T; A: B:", TRAP_INVALID_PC},
        {"alloca.u64 %rd2, 16385;", TRAP_LOCAL_OUT_OF_RANGE},
        {"alloca.u64 %rd2, -1, 4096;", TRAP_LOCAL_OUT_OF_RANGE},
        {"stackrestore.u64 -8; alloca.u64 %rd2, 8;", TRAP_LOCAL_OUT_OF_RANGE},
        {"call %rd1, ();", TRAP_INVALID_PC},
        {"fence.sc.sys; bar.sync 1, 64;", TRAP_BARRIER_DEADLOCK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[2048];
        struct arena a = {0};
        struct diag d = {0};
        struct ptx_module *m;
        snprintf(text, sizeof text,
                 ".version 7.0\n.target sm_80\n.address_size 64\n.const .b8 c[16];\n.entry "
                 "k(.param .u64 p)\n{\n"
                 ".reg .pred %%p<4>; .reg .b16 %%h<4>; .reg .b32 %%r<9>; .reg .b64 %%rd<9>; .reg "
                 ".f32 %%f<9>;\n"
                 ".shared .align 16 .b8 box[64]; .local .align 16 .b8 depot[16]; ld.param.u64 "
                 "%%rd1, [p];\n"
                 "mov.u32 %%r8, %%tid.x; setp.ne.u32 %%p1, %%r8, 36; @%%p1 bra OVER;\n%s\nOVER: "
                 "ret;\n}\n",
                 cases[i].text);
        if (ptx_parse_with(&m, &a, (struct text){"t.ptx", text, strlen(text)},
                           &(struct ptx_options){.lazy = true}, &d) != OK)
            fail_msg("%s: %s", cases[i].text, d.msg);
        struct simt_mem *mem = simt_mem_new(&(struct simt_mem_options){.page_bytes = 4096});
        uint64_t buffer = rig_buffer(mem, 4096);
        struct simt_launch l = {.kernel = ptx_kernel_at(m, 0),
                                .grid = {1, 1, 1},
                                .block = {40, 1, 1},
                                .params = (const uint8_t *)&buffer};
        struct simt_trap expected = reference_run(mem, &l, 1000, t->ran);
        assert_int_equal(expected.kind, cases[i].kind);
        for (const struct lanes *const *lanes = rig_lanes; *lanes && simt_lanes_usable(*lanes);
             lanes++) {
            struct simt *s = simt_new_for(*lanes);
            struct simt_result r;
            simt_run(s, mem, &l, 0, 1, NULL, &r);
            if (r.trap.kind != expected.kind || r.trap.insn != expected.insn || r.trap.warp != 1 ||
                (r.trap.lane != 4 && r.trap.kind != TRAP_BARRIER_DEADLOCK) ||
                r.trap.address != expected.address || r.trap.at.line != expected.at.line)
                fail_msg("%s: %s, instruction %u, warp %u, lane %u, address %llx, line %d",
                         cases[i].text, vocab_word(&vocab_traps, (int)r.trap.kind), r.trap.insn,
                         r.trap.warp, r.trap.lane, (unsigned long long)r.trap.address,
                         r.trap.at.line);
            simt_free(s);
        }
        simt_mem_free(mem);
        arena_fini(&a);
    }
}

/* A row that no kernel executed is a row that nothing tests. */
static void test_coverage(void **state)
{
    struct trial *t = *state;
    int missing = 0;
    for (int op = 0; op < PTX_N_OPS; op++)
        if (!t->ran[op] && op != PTX_BARRIER) { /* barrier is read as bar */
            print_message("row %s %s never ran\n", ptx_rows[op].key, ptx_rows[op].meaning);
            missing++;
        }
    assert_int_equal(missing, 0);
}

/* SEED ROW [FILE]: one kernel again, or a part of it. */
static void test_again(void **state)
{
    struct trial *t = *state;
    for (const struct lanes *const *lanes = rig_lanes; *lanes && simt_lanes_usable(*lanes); lanes++)
        t->s[t->n_lanes++] = simt_new_for(*lanes);
    try_one(t, t->row, t->file);
}

int main(int argc, char **argv)
{
    static struct trial t;
    if (argc > 2) {
        t.seed = strtoull(argv[1], NULL, 0);
        t.row = atoi(argv[2]);
        t.file = argc > 3 ? argv[3] : NULL;
        const struct CMUnitTest again[] = {cmocka_unit_test_prestate(test_again, &t)};
        return cmocka_run_group_tests(again, NULL, NULL);
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test_prestate(test_random, &t),
                                       cmocka_unit_test_prestate(test_traps, &t),
                                       cmocka_unit_test_prestate(test_coverage, &t)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
