/* Bytes -> a kernel that nearly always parses: each byte chooses a statement, those behind it its operands.
 * Loops without end, wild addresses, calls that recurse for ever, barriers under divergence: all that a fault
 * may make of a program. */
#ifndef TESTS_FUZZ_PROGRAMS_H
#define TESTS_FUZZ_PROGRAMS_H

struct bytes {
    const uint8_t *p;
    size_t n;
};

static unsigned next(struct bytes *b)
{
    if (!b->n)
        return 0;
    b->n--;
    return *b->p++;
}

static char *reg(struct arena *a, struct bytes *b, int bits)
{
    unsigned v = next(b);
    if (v > 200 && bits > 1)
        return arena_printf(a, "%u", v - 200);
    return arena_printf(a, "%%%c%u",
                        bits == 1    ? 'p'
                        : bits == 16 ? 'h'
                        : bits == 32 ? 'r'
                                     : 'd',
                        v % 8);
}

static const char *pick(struct bytes *b, const char *const *words, size_t n)
{
    return words[next(b) % n];
}

static char *row(struct arena *a, struct bytes *b)
{
    int op = (int)((next(b) << 8 | next(b)) % PTX_N_OPS);
    const struct ptx_row *r = &ptx_rows[op];
    if (r->shape != PTX_SHAPE_LANES)
        return arena_strdup(a, "membar.gl;");
    char *text = arena_printf(a, "%s %%%c%u", r->key,
                              ptx_type_bits(r->out) == 1    ? 'p'
                              : ptx_type_bits(r->out) == 16 ? 'h'
                              : ptx_type_bits(r->out) == 32 ? 'r'
                                                            : 'd',
                              next(b) % 8);
    for (int n = 0; n < 3 && r->in[n] != PTX_T_no; n++) {
        bool real = r->in[n] == PTX_T_f32 || r->in[n] == PTX_T_f64;
        char *operand = reg(a, b, ptx_type_bits(r->in[n]));
        text = arena_printf(a, "%s, %s", text, real && operand[0] != '%' ? "1.5" : operand);
    }
    return arena_printf(a, "%s;", text);
}

static char *memory(struct arena *a, struct bytes *b)
{
    static const char *const spaces[] = {"", ".global", ".shared", ".local", ".const", ".param"};
    static const char *const bases[] = {"%d1", "%d2", "box", "depot", "c",
                                        "%d3", "g",   "x",   "%d6+1"};
    static const char *const types[] = {"u8", "s8", "b16", "s16", "b32", "f32", "b64", "f64"};
    static const int bits[] = {16, 16, 16, 16, 32, 32, 64, 64};
    static const char *const atoms[] = {"add.u32", "exch.b32", "cas.b32",
                                        "add.f32", "inc.u32",  "max.s32"};
    const char *space = pick(b, spaces, 6), *base = pick(b, bases, 9);
    unsigned t = next(b) % 8, offset = next(b) * 4;
    switch (next(b) % 6) {
    case 0:
    case 1:
        return arena_printf(a, "ld%s.%s %%%c%u, [%s+%u];", space, types[t],
                            bits[t] == 16   ? 'h'
                            : bits[t] == 32 ? 'r'
                                            : 'd',
                            next(b) % 8, base, offset);
    case 2:
        return arena_printf(a, "st%s.%s [%s+%u], %s;", space, types[t], base, offset,
                            reg(a, b, bits[t]));
    case 3:
        return arena_printf(a, "ld%s.v4.b32 {%%r1, _, %%r3, %%r4}, [%s+%u];", space, base, offset);
    case 4:
        return arena_printf(a, "cp.async.ca.shared.global [%s], [%s+%u], 16;", base, "%d1", offset);
    default:
        return arena_printf(a, "atom%s.%s %%r%u, [%s+%u], %s%s;", space, pick(b, atoms, 6),
                            next(b) % 8, base, offset, reg(a, b, 32), next(b) & 1 ? ", %r2" : "");
    }
}

static char *statement(struct arena *a, struct bytes *b, unsigned labels)
{
    static const char *const others[] = {"bar.sync 0;",
                                         "bar.sync 1, 64;",
                                         "bar.arrive 2, %r2;",
                                         "bar.red.popc.u32 %r3, 0, %p1;",
                                         "exit;",
                                         "ret;",
                                         "vote.sync.ballot.b32 %r1, %p2, -1;",
                                         "shfl.sync.idx.b32 %r1|%p1, %r2, %r3, %r4, -1;",
                                         "match.any.sync.b64 %r1, %d2, %r3;",
                                         "redux.sync.add.u32 %r1, %r2, %r5;",
                                         "activemask.b32 %r6;",
                                         "mov.u64 %d2, %clock64;",
                                         "add.cc.u32 %r1, %r2, %r3;",
                                         "madc.hi.cc.s64 %d1, %d2, %d3, %d4;",
                                         "mov.b64 %d1, {%h1, %h2, %h3, %h4};",
                                         "isspacep.shared %p1, %d1;",
                                         "cvta.local.u64 %d3, %d2;",
                                         "trap;",
                                         "mov.u64 %d5, f;",
                                         "mov.u64 %d3, depot;",
                                         "mov.u64 %d2, g;",
                                         "brkpt;",
                                         "tex.2d.v4 %r1;",
                                         "set.lt.u32.f32 %r1, %r2, %r3;",
                                         "lop3.b32 %r1, %r2, %r3, %r4, 0x1b;",
                                         "bfi.b64 %d1, %d2, %d3, %r1, %r2;"};
    unsigned kind = next(b);
    char *guard =
        kind & 64 ? arena_printf(a, "@%s%%p%u ", kind & 128 ? "!" : "", next(b) % 8) : (char *)"";
    switch (kind % 8) {
    case 0:
    case 1:
        return arena_printf(a, "%s%s", guard, row(a, b));
    case 2:
    case 3:
        return arena_printf(a, "%s%s", guard, memory(a, b));
    case 4:
        return arena_printf(a, "%sbra L%u;", guard, next(b) % labels);
    case 5:
        return arena_printf(a, "%sbrx.idx %s, T;", guard, reg(a, b, 32));
    case 6:
        return arena_printf(a,
                            "{ .param .b32 q; .param .b32 s; st.param.b32 [q], %s; %scall (s), %s, "
                            "(q)%s; ld.param.b32 %%r1, [s]; }",
                            reg(a, b, 32), guard, next(b) & 1 ? "f" : "%d5",
                            next(b) & 1 ? ", P" : "");
    default:
        return arena_printf(a, "%s%s", guard, pick(b, others, sizeof others / sizeof *others));
    }
}

static struct text program_of(struct arena *a, const uint8_t *data, size_t size)
{
    enum { STATEMENTS = 24 };
    struct bytes b = {data, size < 512 ? size : 512};
    char *text = arena_strdup(
        a,
        ".version 8.0\n.target sm_90\n.address_size 64\n.func (.param .b32 s) f(.param .b32 q);\n"
        ".const .align 8 .b8 c[32] = {1, 2, 3};\n.global .align 8 .u64 g[4] = {f, g, c, 7};\n"
        ".shared .align 16 .b8 box[64];\n");
    for (int body = 0; body < 2; body++) {
        text = arena_printf(
            a,
            "%s%s\n{\n.reg .pred %%p<8>; .reg .b16 %%h<8>; .reg .b32 %%r<8>; .reg .b64 %%d<8>;\n"
            ".local .align 16 .b8 depot[48];\nT: .branchtargets L0, L3, L1, L5;\n"
            "P: .callprototype (.param .b32 _) _ (.param .b32 _);\n%s\n",
            text, body ? ".entry k(.param .u64 x)" : ".func (.param .b32 s) f(.param .b32 x)",
            body ? "ld.param.u64 %d1, [x]; mov.u32 %r2, %tid.x; setp.lt.u32 %p1, %r2, 9;"
                 : "ld.param.u32 %r2, [x]; setp.lt.u32 %p1, %r2, 3;");
        for (unsigned i = 0; i < STATEMENTS; i++)
            text =
                arena_printf(a, "%s%s%s\n", text, i % 4 == 0 ? arena_printf(a, "L%u: ", i / 4) : "",
                             statement(a, &b, STATEMENTS / 4));
        text = arena_printf(a, "%s}\n", text);
    }
    return (struct text){"program.ptx", text, strlen(text)};
}

#endif
