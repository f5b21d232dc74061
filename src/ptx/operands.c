/* One instruction: guard, mnemonic, operands. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ptx/parser.h"

struct modifiers { /* of a mnemonic, split at its dots */
    int n;
    const char *text[16];
    size_t len[16];
};

static bool same(const char *text, size_t len, const char *word)
{
    return strlen(word) == len && memcmp(text, word, len) == 0;
}

static int split(struct parser *p, struct token t, struct modifiers *m)
{
    const char *s = t.text, *end = t.text + t.len;
    m->n = 0;
    while (s < end) {
        const char *dot = memchr(s, '.', (size_t)(end - s));
        const char *stop = dot ? dot : end;
        if (m->n == 16)
            return diag_fail(p->d, ERR_INPUT, t.at, "instruction '%.*s' has too many modifiers",
                             (int)t.len, t.text);
        m->text[m->n] = s;
        m->len[m->n++] = (size_t)(stop - s);
        s = dot ? dot + 1 : end;
    }
    return OK;
}

/* ---- Types and modifiers ------------------------------------------------------------------------ */
static const struct mem_type {
    const char *word;
    uint8_t bits, is_signed;
} mem_types[] = {
    {"b8", 8, 0},   {"u8", 8, 0},     {"s8", 8, 1},      {"b16", 16, 0}, {"u16", 16, 0},
    {"s16", 16, 1}, {"f16", 16, 0},   {"b32", 32, 0},    {"u32", 32, 0}, {"s32", 32, 1},
    {"f32", 32, 0}, {"f16x2", 32, 0}, {"b64", 64, 0},    {"u64", 64, 0}, {"s64", 64, 1},
    {"f64", 64, 0}, {"bf16", 16, 0},  {"bf16x2", 32, 0},
};

static const struct mem_type *find_mem_type(const char *text, size_t len)
{
    for (size_t i = 0; i < sizeof mem_types / sizeof *mem_types; i++)
        if (same(text, len, mem_types[i].word))
            return &mem_types[i];
    return NULL;
}

static bool find_space(const char *text, size_t len, uint8_t *out)
{
    static const struct {
        const char *word;
        enum ptx_space space;
    } spaces[] = {
        {"global", PTX_SPACE_GLOBAL},
        {"shared", PTX_SPACE_SHARED},
        {"shared::cta", PTX_SPACE_SHARED},
        {"local", PTX_SPACE_LOCAL},
        {"const", PTX_SPACE_CONST},
        {"param", PTX_SPACE_PARAM},
        {"param::entry", PTX_SPACE_PARAM},
        {"param::func", PTX_SPACE_PARAM},
        {"shared::cluster", PTX_SPACE_SHARED},
    };
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++)
        if (same(text, len, spaces[i].word)) {
            *out = (uint8_t)spaces[i].space;
            return true;
        }
    return false;
}

/* Words that change nothing here: caching hints, memory order (all accesses are in order). */
static bool is_hint(const char *text, size_t len)
{
    static const char *const hints[] = {
        "volatile", "relaxed", "acquire", "release", "acq_rel", "weak",    "nc",   "ca",
        "cg",       "cs",      "lu",      "cv",      "wb",      "wt",      "cta",  "cluster",
        "gpu",      "gl",      "sys",     "mmio",    "sc",      "unified", "noftz"};
    for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
        if (same(text, len, hints[i]))
            return true;
    return len >= 4 && (memcmp(text, "L1::", 4) == 0 || memcmp(text, "L2::", 4) == 0);
}

static uint32_t float_mod(const char *text, size_t len)
{
    static const struct {
        const char *word;
        uint32_t mod;
    } mods[] = {
        {"ftz", PTX_MOD_FTZ},     {"sat", PTX_MOD_SAT}, {"rz", PTX_MOD_RZ},
        {"rm", PTX_MOD_RM},       {"rp", PTX_MOD_RP},   {"approx", PTX_MOD_APPROX},
        {"full", PTX_MOD_APPROX},
    };
    for (size_t i = 0; i < sizeof mods / sizeof *mods; i++)
        if (same(text, len, mods[i].word))
            return mods[i].mod;
    return 0;
}

/* ---- Operands ------------------------------------------------------------------------------------ */
/* The register of that name, or -1. */
static int64_t find_reg(const struct parser *p, const char *text, size_t len)
{
    const struct name *n = names_find(&p->names, text, len);
    if (n && n->kind == NAME_REG)
        return n->index;
    size_t prefix = len;
    uint64_t number = 0, scale = 1;
    while (prefix > 0 && text[prefix - 1] >= '0' && text[prefix - 1] <= '9' && len - prefix < 9) {
        number += (uint64_t)(text[--prefix] - '0') * scale;
        scale *= 10;
        if (text[prefix] == '0' && len - prefix > 1)
            continue; /* a longer number, or a leading zero, which the prefix check refuses */
        n = names_find(&p->names, text, prefix);
        if (n && n->kind == NAME_REGS)
            return number < n->count ? (int64_t)(n->index + number) : -1;
    }
    return -1;
}

static const struct ptx_reg *reg_at(const struct parser *p, int64_t index)
{
    return (const struct ptx_reg *)p->regs.items + index;
}

static int check_width(struct parser *p, const struct token *t, int reg_bits, int bits, bool wider)
{
    if (bits == 8)
        bits = 16, wider = true;
    if (reg_bits == bits || (wider && reg_bits > bits))
        return OK;
    return diag_fail(p->d, ERR_INPUT, t->at,
                     "register '%.*s' has %d bits, the instruction wants %d", (int)t->len, t->text,
                     reg_bits, bits);
}

static int parse_dst(struct parser *p, struct ptx_insn *i, int bits, bool wider)
{
    struct token t = p->x.token;
    lex_next(&p->x);
    if (token_is(&t, "_")) {
        i->dst[i->n_dst++] = -1;
        return OK;
    }
    int64_t reg = t.kind == TOKEN_WORD ? find_reg(p, t.text, t.len) : -1;
    if (reg < 0)
        return diag_fail(p->d, ERR_INPUT, t.at, "'%.*s' is not a register", (int)t.len, t.text);
    i->dst[i->n_dst++] = (int32_t)reg;
    return check_width(p, &t, reg_at(p, reg)->bits, bits, wider);
}

static int immediate(struct parser *p, enum ptx_type type, struct ptx_operand *o)
{
    int bits = ptx_type_bits(type);
    bool minus = false, inverted = false;
    while (parse_punct(p, '-') || parse_punct(p, '+') || parse_punct(p, '~')) {
        minus ^= parse_punct(p, '-');
        inverted ^= parse_punct(p, '~');
        lex_next(&p->x);
    }
    struct token t = p->x.token;
    uint64_t v = t.integer;
    bool is_float = type == PTX_T_f32 || type == PTX_T_f64;
    if (t.kind == TOKEN_INT && !is_float) {
        v = minus ? 0 - v : v;
        v = inverted ? ~v : v;
    } else if (t.kind == TOKEN_F64 && bits == 32) {
        double wide;
        memcpy(&wide, &v, sizeof wide);
        float narrow = (float)(minus ? -wide : wide);
        uint32_t as_bits;
        memcpy(&as_bits, &narrow, sizeof narrow);
        v = as_bits;
    } else if (t.kind == TOKEN_F64 && bits == 64) {
        v ^= (uint64_t)minus << 63;
    } else if (t.kind == TOKEN_F32 && bits == 32) {
        v ^= (uint64_t)minus << 31;
    } else {
        return diag_fail(p->d, ERR_INPUT, t.at, "'%.*s' cannot be an operand here", (int)t.len,
                         t.text);
    }
    lex_next(&p->x);
    *o = (struct ptx_operand){.kind = PTX_IMM, .value = bits < 64 ? v & ((1ull << bits) - 1) : v};
    return OK;
}

static int parse_operand(struct parser *p, struct ptx_operand *o, enum ptx_type type, bool wider)
{
    int bits = ptx_type_bits(type);
    bool negated = type == PTX_T_p && parse_punct(p, '!');
    if (negated)
        lex_next(&p->x);
    struct token t = p->x.token;
    if (t.kind != TOKEN_WORD)
        return immediate(p, type, o);
    int64_t reg = find_reg(p, t.text, t.len);
    const struct name *n;
    lex_next(&p->x);
    if (token_is(&t, "WARP_SZ")) {
        *o = (struct ptx_operand){.kind = PTX_IMM, .value = 32};
        return OK;
    }
    if (reg >= 0) {
        *o = (struct ptx_operand){.kind = PTX_REG, .negated = negated, .index = (uint32_t)reg};
        return check_width(p, &t, reg_at(p, reg)->bits, bits, wider);
    }
    n = names_find(&p->specials, t.text, t.len);
    if (n) {
        *o = (struct ptx_operand){.kind = PTX_SPECIAL, .index = n->index};
        wider |= n->index == PTX_SPECIAL_GRIDID; /* it was 32 bits wide once */
        return check_width(p, &t, ptx_special_bits(n->index), bits, wider);
    }
    n = names_find(&p->names, t.text, t.len);
    if (n && n->kind == NAME_SYMBOL && (bits == 64 || bits == 32)) {
        *o = (struct ptx_operand){.kind = PTX_SYMBOL, .index = n->index};
        if (symbol_at(p, n->index)->kind == PTX_SYM_FUNCTION)
            body_at(p, symbol_at(p, n->index)->address)->pointed_at = true;
        if (parse_punct(p, '+')) {
            int64_t offset;
            lex_next(&p->x);
            if (parse_integer(p, &offset) != OK)
                return ERR_INPUT;
            o->value = (uint64_t)offset;
        }
        return OK;
    }
    return diag_fail(p->d, ERR_INPUT, t.at, "'%.*s' is not declared", (int)t.len, t.text);
}

/* [base], [base+offset], [offset] */
static int parse_address(struct parser *p, struct ptx_insn *i)
{
    if (parse_expect(p, '[') != OK)
        return ERR_INPUT;
    struct token t = p->x.token;
    if (t.kind == TOKEN_WORD) {
        int64_t reg = find_reg(p, t.text, t.len);
        const struct name *n = names_find(&p->names, t.text, t.len);
        lex_next(&p->x);
        if (reg >= 0 && (reg_at(p, reg)->bits == 64 || reg_at(p, reg)->bits == 32))
            i->base = (struct ptx_operand){.kind = PTX_REG, .index = (uint32_t)reg};
        else if (n && n->kind == NAME_SYMBOL)
            i->base = (struct ptx_operand){.kind = PTX_SYMBOL, .index = n->index};
        else
            return diag_fail(p->d, ERR_INPUT, t.at, "'%.*s' is neither a register nor a variable",
                             (int)t.len, t.text);
        if (parse_punct(p, '+'))
            lex_next(&p->x);
        else if (!parse_punct(p, '-'))
            return parse_expect(p, ']');
    }
    if (parse_integer(p, &i->offset) != OK)
        return ERR_INPUT;
    return parse_expect(p, ']');
}

/* ---- Shapes -------------------------------------------------------------------------------------- */
static int comma(struct parser *p) { return parse_expect(p, ','); }

static int parse_lanes(struct parser *p, struct ptx_insn *i)
{
    const struct ptx_row *row = &ptx_rows[i->op];
    bool wider = strncmp(row->key, "cvt.", 4) == 0;
    if (parse_dst(p, i, ptx_type_bits(row->out), wider) != OK)
        return ERR_INPUT;
    if (strncmp(row->key, "setp.", 5) == 0 && parse_punct(p, '|')) {
        lex_next(&p->x);
        if (parse_dst(p, i, 1, false) != OK)
            return ERR_INPUT;
    }
    for (; i->n_src < 3 && row->in[i->n_src] != PTX_T_no; i->n_src++)
        if (comma(p) != OK || parse_operand(p, &i->src[i->n_src], row->in[i->n_src], wider) != OK)
            return ERR_INPUT;
    for (int n = 0; n < i->n_src; n++)
        if (i->src[n].negated)
            return diag_fail(p->d, ERR_INPUT, i->at, "'%s' takes no negated predicate",
                             i->mnemonic);
    if (i->bool_op &&
        (comma(p) != OK || parse_operand(p, &i->src[i->n_src++], PTX_T_p, false) != OK))
        return ERR_INPUT;
    return OK;
}

/* The modifiers of ld and st into i; *vec is the number of elements. */
static int memory_modifiers(struct parser *p, struct ptx_insn *i, const struct modifiers *m,
                            int *vec)
{
    *vec = 1;
    for (int k = 1; k < m->n; k++) {
        const struct mem_type *type = find_mem_type(m->text[k], m->len[k]);
        if (type && k == m->n - 1) {
            i->mem_bits = type->bits;
            i->mem_signed = type->is_signed;
        } else if (same(m->text[k], m->len[k], "v2")) {
            *vec = 2;
        } else if (same(m->text[k], m->len[k], "v4")) {
            *vec = 4;
        } else if (!find_space(m->text[k], m->len[k], &i->space) &&
                   !is_hint(m->text[k], m->len[k])) {
            return diag_fail(p->d, ERR_UNSUPPORTED, i->at,
                             "instruction '%s': '.%.*s' is not supported", i->mnemonic,
                             (int)m->len[k], m->text[k]);
        }
    }
    if (!i->mem_bits)
        return diag_fail(p->d, ERR_INPUT, i->at, "instruction '%s' has no type", i->mnemonic);
    return OK;
}

static enum ptx_type bits_type(int bits)
{
    return bits == 64 ? PTX_T_u64 : bits == 32 ? PTX_T_u32 : PTX_T_u16;
}

/* {x, y, ..} or x: n destinations or sources */
static int parse_vector(struct parser *p, struct ptx_insn *i, int n, int bits, bool destinations)
{
    bool braces = parse_punct(p, '{');
    if (n > 1 && !braces)
        return parse_fail(p, "'%s' wants %d registers in braces", i->mnemonic, n);
    if (braces)
        lex_next(&p->x);
    for (int k = 0; k < n; k++) {
        if (k && comma(p) != OK)
            return ERR_INPUT;
        int rc = destinations ? parse_dst(p, i, bits, true)
                              : parse_operand(p, &i->src[i->n_src++], bits_type(bits), true);
        if (rc != OK)
            return rc;
    }
    return braces ? parse_expect(p, '}') : OK;
}

/* .param space: a kernel's parameters, in constant memory, or those of functions and for calls, in local
 * memory. Constant addresses in it are checked once, here. */
static int check_param_access(struct parser *p, struct ptx_insn *i, int vec)
{
    if (i->space != PTX_SPACE_PARAM)
        return OK;
    int64_t bytes = (int64_t)i->mem_bits / 8 * vec;
    const struct ptx_symbol *s = i->base.kind == PTX_SYMBOL ? symbol_at(p, i->base.index) : NULL;
    if (!p->k || (s && s->kind == PTX_SYM_ARGUMENT)) {
        i->space = PTX_SPACE_LOCAL;
        i->argument = true;
    } else if (i->op == PTX_ST) {
        return diag_fail(p->d, ERR_INPUT, i->at, "a kernel's parameters cannot be written");
    }
    if (s && ((s->kind != PTX_SYM_PARAM && s->kind != PTX_SYM_ARGUMENT) || i->offset < 0 ||
              i->offset + bytes > (int64_t)s->bytes ||
              (s->address + (uint64_t)i->offset) % (uint64_t)bytes != 0))
        return diag_fail(p->d, ERR_INPUT, i->at,
                         "access of %d bytes at offset %lld is not within '%s'", (int)bytes,
                         (long long)i->offset, s->name);
    return OK;
}

/* , policy: of .L2::cache_hint */
static int skip_policy(struct parser *p)
{
    struct ptx_operand policy;
    if (!parse_punct(p, ','))
        return OK;
    lex_next(&p->x);
    return parse_operand(p, &policy, PTX_T_u64, false);
}

static int parse_ld(struct parser *p, struct ptx_insn *i, const struct modifiers *m)
{
    int vec;
    if (memory_modifiers(p, i, m, &vec) != OK || parse_vector(p, i, vec, i->mem_bits, true) != OK ||
        comma(p) != OK || parse_address(p, i) != OK || skip_policy(p) != OK)
        return p->d->code;
    return check_param_access(p, i, vec);
}

static int parse_st(struct parser *p, struct ptx_insn *i, const struct modifiers *m)
{
    int vec;
    if (memory_modifiers(p, i, m, &vec) != OK)
        return p->d->code;
    if (i->space == PTX_SPACE_CONST)
        return diag_fail(p->d, ERR_UNSUPPORTED, i->at, "instruction '%s' is not supported here",
                         i->mnemonic);
    if (parse_address(p, i) != OK || comma(p) != OK || check_param_access(p, i, vec) != OK ||
        parse_vector(p, i, vec, i->mem_bits, false) != OK)
        return p->d->code;
    return skip_policy(p);
}

static int parse_cvta(struct parser *p, struct ptx_insn *i, const struct modifiers *m)
{
    int bits = 0;
    for (int k = 1; k < m->n; k++) {
        if (same(m->text[k], m->len[k], "to"))
            i->bool_op = 't';
        else if (same(m->text[k], m->len[k], "u64"))
            bits = 64;
        else if (same(m->text[k], m->len[k], "u32"))
            bits = 32;
        else if (!find_space(m->text[k], m->len[k], &i->space))
            return diag_fail(p->d, ERR_INPUT, i->at, "unknown instruction '%s'", i->mnemonic);
    }
    if (bits != 64 || i->space == PTX_SPACE_GENERIC)
        return diag_fail(p->d, ERR_UNSUPPORTED, i->at, "instruction '%s' is not supported",
                         i->mnemonic);
    i->n_src = 1;
    if (parse_dst(p, i, bits, false) != OK || comma(p) != OK)
        return ERR_INPUT;
    return parse_operand(p, &i->src[0], PTX_T_u64, false);
}

/* mov.b64 {lo, hi}, x;  mov.b64 x, {lo, hi}; and 32 of 16, 64 of four 16 */
static int parse_mov_vector(struct parser *p, struct ptx_insn *i, const struct modifiers *m)
{
    const struct mem_type *type = m->n == 2 ? find_mem_type(m->text[1], m->len[1]) : NULL;
    if (!type || type->bits < 32)
        return diag_fail(p->d, ERR_INPUT, i->at, "instruction '%s' takes no vector", i->mnemonic);
    i->mem_bits = type->bits;
    bool unpack = parse_punct(p, '{');
    i->op = unpack ? PTX_MOV_UNPACK : PTX_MOV_PACK;
    if (!unpack && (parse_dst(p, i, type->bits, false) != OK || comma(p) != OK))
        return ERR_INPUT;
    if (parse_expect(p, '{') != OK)
        return ERR_INPUT;
    struct lexer ahead = p->x;
    int n = 1;
    for (; ahead.token.kind != TOKEN_END &&
           (ahead.token.kind != TOKEN_PUNCT || !strchr("};", ahead.token.punct));
         lex_next(&ahead))
        n += ahead.token.kind == TOKEN_PUNCT && ahead.token.punct == ',';
    if ((n != 2 && n != 4) || type->bits / n < 16)
        return diag_fail(p->d, ERR_INPUT, i->at, "'%s' with a vector of %d", i->mnemonic, n);
    for (int k = 0; k < n; k++) {
        if (k && comma(p) != OK)
            return ERR_INPUT;
        int rc = unpack ? parse_dst(p, i, type->bits / n, false)
                        : parse_operand(p, &i->src[i->n_src++], bits_type(type->bits / n), false);
        if (rc != OK)
            return rc;
    }
    if (parse_expect(p, '}') != OK || !unpack)
        return p->d->code;
    i->n_src = 1;
    return comma(p) != OK ? ERR_INPUT : parse_operand(p, &i->src[0], bits_type(type->bits), false);
}

static int parse_bra(struct parser *p, struct ptx_insn *i, const struct modifiers *m)
{
    i->uniform = m->n == 2 && same(m->text[1], m->len[1], "uni");
    if (m->n > 2 || (m->n == 2 && !i->uniform))
        return diag_fail(p->d, ERR_INPUT, i->at, "unknown instruction '%s'", i->mnemonic);
    if (p->x.token.kind != TOKEN_WORD)
        return parse_fail(p, "a label must follow '%s'", i->mnemonic);
    struct label_use *use = list_add(&p->uses, &p->scratch, sizeof *use);
    *use = (struct label_use){p->x.token, (uint32_t)p->insns.n};
    lex_next(&p->x);
    return OK;
}

/* Look for a modifier in a table of words; PTX_WHAT_NONE if it is not there. */
struct what_word {
    const char *word;
    enum ptx_what what;
};

static enum ptx_what find_what(const struct what_word *words, size_t n, const char *text,
                               size_t len)
{
    for (size_t i = 0; i < n; i++)
        if (same(text, len, words[i].word))
            return words[i].what;
    return PTX_WHAT_NONE;
}

static int unsupported(struct parser *p, const struct ptx_insn *i)
{
    return diag_fail(p->d, ERR_UNSUPPORTED, i->at, "instruction '%s' is not supported",
                     i->mnemonic);
}

/* bar{.cta}.sync|arrive|red.op{.type} and barrier, {d, }a{, b}{, {!}p}. bar.warp.sync does nothing: warps are
 * in lockstep. */
static int parse_bar(struct parser *p, struct ptx_insn *i, const struct modifiers *m)
{
    static const struct what_word words[] = {{"sync", PTX_BAR_SYNC},
                                             {"arrive", PTX_BAR_ARRIVE},
                                             {"popc", PTX_BAR_POPC},
                                             {"and", PTX_BAR_AND},
                                             {"or", PTX_BAR_OR}};
    bool warp = false, red = false;
    i->op = PTX_BAR;
    for (int k = 1; k < m->n; k++) {
        enum ptx_what what = find_what(words, 5, m->text[k], m->len[k]);
        if (what != PTX_WHAT_NONE && (i->what == PTX_WHAT_NONE || red))
            i->what = (uint8_t)what;
        else if (same(m->text[k], m->len[k], "warp"))
            warp = true;
        else if (same(m->text[k], m->len[k], "red"))
            red = true;
        else if (!same(m->text[k], m->len[k], "aligned") && !same(m->text[k], m->len[k], "cta") &&
                 !same(m->text[k], m->len[k], "pred") && !same(m->text[k], m->len[k], "u32"))
            return unsupported(p, i);
    }
    if (i->what == PTX_WHAT_NONE || red != (i->what >= PTX_BAR_POPC) ||
        (warp && i->what != PTX_BAR_SYNC))
        return unsupported(p, i);
    if (warp)
        i->op = PTX_FENCE;
    if (red && (parse_dst(p, i, i->what == PTX_BAR_POPC ? 32 : 1, false) != OK || comma(p) != OK))
        return ERR_INPUT;
    if (parse_operand(p, &i->src[i->n_src++], PTX_T_u32, false) != OK)
        return ERR_INPUT;
    while (!warp && parse_punct(p, ',')) {
        if (i->n_src == 3)
            return parse_fail(p, "'%s' has too many operands", i->mnemonic);
        lex_next(&p->x);
        struct token t = p->x.token;
        int64_t reg = t.kind == TOKEN_WORD ? find_reg(p, t.text, t.len) : -1;
        bool predicate = red && (parse_punct(p, '!') || (reg >= 0 && reg_at(p, reg)->bits == 1));
        if (parse_operand(p, &i->src[i->n_src++], predicate ? PTX_T_p : PTX_T_u32, false) != OK)
            return ERR_INPUT;
    }
    const struct ptx_operand *last = &i->src[i->n_src - 1];
    bool has_predicate = last->kind == PTX_REG && reg_at(p, last->index)->bits == 1;
    if (red != has_predicate || (i->what == PTX_BAR_ARRIVE && i->n_src < 2))
        return diag_fail(p->d, ERR_INPUT, i->at, "'%s' lacks an operand", i->mnemonic);
    return OK;
}

/* One operand after a comma. */
static int next_operand(struct parser *p, struct ptx_insn *i, enum ptx_type type)
{
    return comma(p) != OK ? ERR_INPUT : parse_operand(p, &i->src[i->n_src++], type, false);
}

/* atom{.order}{.scope}{.space}.op.type d, [a], b{, c}; red without d */
static int parse_atom(struct parser *p, struct ptx_insn *i, const struct modifiers *m)
{
    static const struct what_word words[] = {
        {"add", PTX_ATOM_ADD},   {"min", PTX_ATOM_MIN}, {"max", PTX_ATOM_MAX},
        {"inc", PTX_ATOM_INC},   {"dec", PTX_ATOM_DEC}, {"and", PTX_ATOM_AND},
        {"or", PTX_ATOM_OR},     {"xor", PTX_ATOM_XOR}, {"cas", PTX_ATOM_CAS},
        {"exch", PTX_ATOM_EXCH},
    };
    const struct mem_type *type = find_mem_type(m->text[m->n - 1], m->len[m->n - 1]);
    if (!type || type->bits < 16)
        return unsupported(p, i);
    for (int k = 1; k < m->n - 1; k++) {
        enum ptx_what what = find_what(words, sizeof words / sizeof *words, m->text[k], m->len[k]);
        if (what != PTX_WHAT_NONE)
            i->what = (uint8_t)what;
        else if (!find_space(m->text[k], m->len[k], &i->space) && !is_hint(m->text[k], m->len[k]))
            return unsupported(p, i);
    }
    bool is_float = m->text[m->n - 1][0] == 'f', brain = m->text[m->n - 1][1] == 'f';
    bool small = brain || (is_float && m->text[m->n - 1][1] == '1');
    if (i->what == PTX_WHAT_NONE || ((is_float || brain) && i->what != PTX_ATOM_ADD) ||
        (type->bits == 16 && !small && i->what != PTX_ATOM_CAS && i->what != PTX_ATOM_EXCH) ||
        i->space == PTX_SPACE_CONST || i->space == PTX_SPACE_PARAM || i->space == PTX_SPACE_LOCAL)
        return unsupported(p, i);
    if (is_float || brain)
        i->what = brain ? PTX_ATOM_BFADD : small ? PTX_ATOM_HADD : PTX_ATOM_FADD;
    is_float &= !small;
    i->mem_bits = type->bits;
    i->mem_signed = type->is_signed;
    if (i->op == PTX_ATOM && (parse_dst(p, i, type->bits, false) != OK || comma(p) != OK))
        return ERR_INPUT;
    enum ptx_type operand =
        is_float ? type->bits == 64 ? PTX_T_f64 : PTX_T_f32 : bits_type(type->bits);
    if (parse_address(p, i) != OK || next_operand(p, i, operand) != OK)
        return ERR_INPUT;
    if (i->what == PTX_ATOM_CAS && next_operand(p, i, operand) != OK)
        return ERR_INPUT;
    return skip_policy(p);
}

/* add.cc addc{.cc} sub.cc subc{.cc} mad.{lo,hi}.cc madc.{lo,hi}{.cc}, 32 and 64 bits */
static int parse_carry(struct parser *p, struct ptx_insn *i, const struct modifiers *m)
{
    bool mad = i->op == PTX_CARRY_MAD || i->op == PTX_CARRY_MADC;
    const struct mem_type *type = find_mem_type(m->text[m->n - 1], m->len[m->n - 1]);
    if (!type || type->bits < 32 || m->text[m->n - 1][0] == 'f')
        return unsupported(p, i);
    if (i->op == PTX_CARRY_ADDC || i->op == PTX_CARRY_SUBC || i->op == PTX_CARRY_MADC)
        i->what |= PTX_WITH_CARRY;
    if (i->op == PTX_CARRY_SUB || i->op == PTX_CARRY_SUBC)
        i->what |= PTX_SUBTRACTS;
    for (int k = 1; k < m->n - 1; k++) {
        if (same(m->text[k], m->len[k], "cc"))
            i->what |= PTX_SETS_CARRY;
        else if (mad && same(m->text[k], m->len[k], "lo"))
            i->what |= PTX_LOW_HALF;
        else if (mad && same(m->text[k], m->len[k], "hi"))
            i->what |= PTX_HIGH_HALF;
        else
            return unsupported(p, i);
    }
    if (!(i->what & (PTX_WITH_CARRY | PTX_SETS_CARRY)) ||
        (mad && !(i->what & (PTX_LOW_HALF | PTX_HIGH_HALF))))
        return unsupported(p, i);
    i->mem_bits = type->bits;
    i->mem_signed = type->is_signed;
    if (parse_dst(p, i, type->bits, false) != OK)
        return ERR_INPUT;
    for (int n = 0; n < (mad ? 3 : 2); n++)
        if (next_operand(p, i, bits_type(type->bits)) != OK)
            return ERR_INPUT;
    return OK;
}

static int parse_four(struct parser *p, struct ptx_insn *i, const struct modifiers *m)
{
    bool bfi = i->op == PTX_BFI;
    const struct mem_type *type = m->n == 2 ? find_mem_type(m->text[1], m->len[1]) : NULL;
    if (!type || m->text[1][0] != 'b' || type->bits < 32 || (!bfi && type->bits != 32))
        return unsupported(p, i);
    i->mem_bits = type->bits;
    enum ptx_type t = bits_type(type->bits);
    if (parse_dst(p, i, type->bits, false) != OK || next_operand(p, i, t) != OK ||
        next_operand(p, i, t) != OK || next_operand(p, i, PTX_T_u32) != OK ||
        next_operand(p, i, PTX_T_u32) != OK)
        return ERR_INPUT;
    if (!bfi && (i->src[3].kind != PTX_IMM || i->src[3].value > 255))
        return diag_fail(p->d, ERR_INPUT, i->at,
                         "the truth table of '%s' must be a number up to 255", i->mnemonic);
    return OK;
}

/* vote{.sync}.mode.type d, {!}a{, members} */
static int parse_vote(struct parser *p, struct ptx_insn *i, const struct modifiers *m)
{
    static const struct what_word words[] = {{"all", PTX_VOTE_ALL},
                                             {"any", PTX_VOTE_ANY},
                                             {"uni", PTX_VOTE_UNI},
                                             {"ballot", PTX_VOTE_BALLOT}};
    bool sync = m->n == 4 && same(m->text[1], m->len[1], "sync");
    if (m->n != (sync ? 4 : 3))
        return unsupported(p, i);
    i->what = (uint8_t)find_what(words, 4, m->text[sync + 1], m->len[sync + 1]);
    bool ballot = i->what == PTX_VOTE_BALLOT;
    if (i->what == PTX_WHAT_NONE ||
        !same(m->text[m->n - 1], m->len[m->n - 1], ballot ? "b32" : "pred"))
        return unsupported(p, i);
    if (parse_dst(p, i, ballot ? 32 : 1, false) != OK || next_operand(p, i, PTX_T_p) != OK)
        return ERR_INPUT;
    return sync ? next_operand(p, i, PTX_T_u32) : OK;
}

/* shfl{.sync}.mode.b32 d[|p], a, b, c{, members} */
static int parse_shfl(struct parser *p, struct ptx_insn *i, const struct modifiers *m)
{
    static const struct what_word words[] = {{"up", PTX_SHFL_UP},
                                             {"down", PTX_SHFL_DOWN},
                                             {"bfly", PTX_SHFL_BFLY},
                                             {"idx", PTX_SHFL_IDX}};
    bool sync = m->n == 4 && same(m->text[1], m->len[1], "sync");
    if (m->n != (sync ? 4 : 3) || !same(m->text[m->n - 1], m->len[m->n - 1], "b32"))
        return unsupported(p, i);
    i->what = (uint8_t)find_what(words, 4, m->text[sync + 1], m->len[sync + 1]);
    if (i->what == PTX_WHAT_NONE)
        return unsupported(p, i);
    if (parse_dst(p, i, 32, false) != OK)
        return ERR_INPUT;
    if (parse_punct(p, '|')) {
        lex_next(&p->x);
        if (parse_dst(p, i, 1, false) != OK)
            return ERR_INPUT;
    }
    for (int n = 0; n < (sync ? 4 : 3); n++)
        if (next_operand(p, i, PTX_T_u32) != OK)
            return ERR_INPUT;
    return OK;
}

/* The row of setp with the comparison and type of a set. */
static int find_comparison(struct parser *p, const struct modifiers *m, int type_at)
{
    char key[64];
    int n = snprintf(key, sizeof key, "setp.%.*s.%.*s", (int)m->len[1], m->text[1],
                     (int)m->len[type_at], m->text[type_at]);
    const struct name *row = n < (int)sizeof key ? names_find(&p->rows, key, (size_t)n) : NULL;
    return row && ptx_rows[row->index].shape == PTX_SHAPE_LANES ? (int)row->index : -1;
}

static bool is_bool_op(const char *text, size_t len)
{
    return same(text, len, "and") || same(text, len, "or") || same(text, len, "xor");
}

/* set.cmp{.bool}{.ftz}.dtype.stype d, a, b{, {!}c}; setp.cmp.f16x2 p|q, a, b */
static int parse_set(struct parser *p, struct ptx_insn *i, const struct modifiers *m)
{
    struct modifiers plain = *m;
    int last = m->n - 1;
    if (m->n < 3)
        return unsupported(p, i);
    bool pair =
        same(m->text[last], m->len[last], "f16x2") || same(m->text[last], m->len[last], "bf16x2");
    bool setp = same(m->text[0], m->len[0], "setp");
    for (int k = 2; k < last - !setp; k++) {
        if (same(m->text[k], m->len[k], "ftz"))
            i->mods |= PTX_MOD_FTZ;
        else if (is_bool_op(m->text[k], m->len[k]))
            i->bool_op = (uint8_t)m->text[k][0];
        else
            return unsupported(p, i);
    }
    if (pair)
        plain.len[last] -= 2; /* f16x2 compares f16s */
    int row = find_comparison(p, &plain, last);
    const char *to = setp ? "" : m->text[last - 1];
    size_t to_len = setp ? 0 : m->len[last - 1];
    bool ones = same(to, to_len, "u32") || same(to, to_len, "s32");
    bool f32 = same(to, to_len, "f32"), f16 = same(to, to_len, pair ? "f16x2" : "f16"),
         bf16 = same(to, to_len, pair ? "bf16x2" : "bf16");
    if (row < 0 || (setp ? !pair : !ones && !f16 && !bf16 && (pair || !f32)))
        return unsupported(p, i);
    i->op = setp ? PTX_SETP_PAIR : pair ? PTX_SET_PAIR : PTX_SET;
    i->sub_op = (uint16_t)row;
    enum ptx_type type = pair ? PTX_T_u32 : ptx_rows[row].in[0];
    i->mem_bits = setp ? 1 : pair || ones || f32 ? 32 : 16; /* of the result */
    i->what = 0;
    i->offset = ones ? (pair ? 0xffff : 0xffffffff) : f32 ? 0x3f800000 : f16 ? 0x3c00 : 0x3f80;
    if (parse_dst(p, i, i->mem_bits, false) != OK)
        return ERR_INPUT;
    if (setp && parse_punct(p, '|')) {
        lex_next(&p->x);
        if (parse_dst(p, i, 1, false) != OK)
            return ERR_INPUT;
    }
    if (next_operand(p, i, type) != OK || next_operand(p, i, type) != OK)
        return ERR_INPUT;
    return i->bool_op ? next_operand(p, i, PTX_T_p) : OK;
}

/* match.any|all.sync.b32|b64 d{|p}, a, members */
static int parse_match(struct parser *p, struct ptx_insn *i, const struct modifiers *m)
{
    bool all = m->n == 4 && same(m->text[1], m->len[1], "all");
    const struct mem_type *type = m->n == 4 ? find_mem_type(m->text[3], m->len[3]) : NULL;
    if (!type || type->bits < 32 || !same(m->text[2], m->len[2], "sync") ||
        (!all && !same(m->text[1], m->len[1], "any")))
        return unsupported(p, i);
    i->what = all ? PTX_MATCH_ALL : PTX_MATCH_ANY;
    i->mem_bits = type->bits;
    if (parse_dst(p, i, 32, false) != OK)
        return ERR_INPUT;
    if (all && parse_punct(p, '|')) {
        lex_next(&p->x);
        if (parse_dst(p, i, 1, false) != OK)
            return ERR_INPUT;
    }
    return next_operand(p, i, bits_type(type->bits)) != OK ? ERR_INPUT
                                                           : next_operand(p, i, PTX_T_u32);
}

/* redux.sync.op.type d, a, members */
static int parse_redux(struct parser *p, struct ptx_insn *i, const struct modifiers *m)
{
    static const struct what_word words[] = {{"add", PTX_ATOM_ADD}, {"min", PTX_ATOM_MIN},
                                             {"max", PTX_ATOM_MAX}, {"and", PTX_ATOM_AND},
                                             {"or", PTX_ATOM_OR},   {"xor", PTX_ATOM_XOR}};
    const struct mem_type *type = m->n == 4 ? find_mem_type(m->text[3], m->len[3]) : NULL;
    if (!type || type->bits != 32 || m->text[3][0] == 'f' || !same(m->text[1], m->len[1], "sync"))
        return unsupported(p, i);
    i->what = (uint8_t)find_what(words, 6, m->text[2], m->len[2]);
    if (i->what == PTX_WHAT_NONE)
        return unsupported(p, i);
    i->mem_bits = 32;
    i->mem_signed = type->is_signed;
    if (parse_dst(p, i, 32, false) != OK || next_operand(p, i, PTX_T_u32) != OK)
        return ERR_INPUT;
    return next_operand(p, i, PTX_T_u32);
}

/* isspacep.space p, a */
static int parse_isspacep(struct parser *p, struct ptx_insn *i, const struct modifiers *m)
{
    if (m->n != 2 || !find_space(m->text[1], m->len[1], &i->space))
        return unsupported(p, i);
    return parse_dst(p, i, 1, false) != OK ? ERR_INPUT : next_operand(p, i, PTX_T_u64);
}

/* alloca.u64 address, size{, alignment}: a local address; clang writes alignment 0 for the usual one */
static int parse_alloca(struct parser *p, struct ptx_insn *i, const struct modifiers *m)
{
    bool wide = m->n == 2 && same(m->text[1], m->len[1], "u64");
    if (!wide && (m->n != 2 || !same(m->text[1], m->len[1], "u32")))
        return unsupported(p, i);
    enum ptx_type type = wide ? PTX_T_u64 : PTX_T_u32;
    i->mem_bits = wide ? 64 : 32;
    if (parse_dst(p, i, i->mem_bits, false) != OK || next_operand(p, i, type) != OK)
        return ERR_INPUT;
    if (!parse_punct(p, ','))
        return OK;
    struct token t = p->x.token;
    if (next_operand(p, i, PTX_T_u32) != OK)
        return ERR_INPUT;
    uint64_t align = i->src[1].value;
    if (i->src[1].kind != PTX_IMM || align > 4096 || (align & (align - 1)))
        return diag_fail(p->d, ERR_INPUT, t.at, "an alignment must be a power of two up to 4096");
    return OK;
}

/* stacksave.u64 d; stackrestore.u64 a */
static int parse_stack(struct parser *p, struct ptx_insn *i, const struct modifiers *m)
{
    bool wide = m->n == 2 && same(m->text[1], m->len[1], "u64");
    if (!wide && (m->n != 2 || !same(m->text[1], m->len[1], "u32")))
        return unsupported(p, i);
    i->mem_bits = wide ? 64 : 32;
    if (i->op == PTX_STACKSAVE)
        return parse_dst(p, i, i->mem_bits, false);
    return parse_operand(p, &i->src[i->n_src++], wide ? PTX_T_u64 : PTX_T_u32, false);
}

/* What has no effect here: up to the ';'. */
static int skip_operands(struct parser *p, struct ptx_insn *i)
{
    const char *start = p->x.token.text - (p->x.token.kind == TOKEN_STRING), *end = start;
    int depth = 0;
    for (; !parse_punct(p, ';'); lex_next(&p->x)) {
        depth += parse_punct(p, '{') - parse_punct(p, '}');
        if (p->x.token.kind == TOKEN_END || p->x.token.kind == TOKEN_BAD || depth < 0)
            return parse_fail(p, "';' was expected after '%s'", i->mnemonic);
        end = p->x.token.text + p->x.token.len + (p->x.token.kind == TOKEN_STRING); /* its quote */
    }
    i->raw = arena_strndup(p->a, start, (size_t)(end - start));
    return OK;
}

/* cp.async.ca|cg.shared.global [to], [from], bytes{, from_bytes}; and the waiting for it */
static int parse_copy(struct parser *p, struct ptx_insn *i, const struct modifiers *m)
{
    bool shared = false, global = false;
    if (m->n < 3 || !same(m->text[1], m->len[1], "async"))
        return unsupported(p, i);
    if (m->n == 3 &&
        (same(m->text[2], m->len[2], "commit_group") || same(m->text[2], m->len[2], "wait_group") ||
         same(m->text[2], m->len[2], "wait_all"))) {
        i->op = PTX_NANOSLEEP;
        return skip_operands(p, i);
    }
    for (int k = 2; k < m->n; k++) {
        shared |=
            same(m->text[k], m->len[k], "shared") || same(m->text[k], m->len[k], "shared::cta");
        global |= same(m->text[k], m->len[k], "global");
        uint8_t ignored;
        if (!is_hint(m->text[k], m->len[k]) && !find_space(m->text[k], m->len[k], &ignored))
            return unsupported(p, i);
    }
    struct ptx_insn to = {.mnemonic = i->mnemonic, .at = i->at};
    if (!shared || !global || parse_address(p, &to) != OK || comma(p) != OK ||
        parse_address(p, i) != OK)
        return shared && global ? ERR_INPUT : unsupported(p, i);
    i->space = PTX_SPACE_GLOBAL;
    i->src[0] = to.base;
    i->target = (uint32_t)to.offset; /* beside src[0] */
    i->n_src = 1;
    uint64_t bytes = comma(p) == OK && p->x.token.kind == TOKEN_INT ? p->x.token.integer : 0;
    if (bytes != 4 && bytes != 8 && bytes != 16)
        return parse_fail(p, "'%s' copies 4, 8 or 16 bytes", i->mnemonic);
    i->mem_bits = (uint8_t)(bytes * 8);
    lex_next(&p->x);
    if (!parse_punct(p, ','))
        return OK;
    return next_operand(p, i, PTX_T_u32);
}

/* ---- Calls ----------------------------------------------------------------------------------------- */
/* (a, b): variables declared for the call. */
static int parse_passed(struct parser *p, const struct ptx_argument **out, uint32_t *n)
{
    struct list passed = {0};
    if (parse_expect(p, '(') != OK)
        return ERR_INPUT;
    while (!parse_punct(p, ')')) {
        if (passed.n && comma(p) != OK)
            return ERR_INPUT;
        struct token t = p->x.token;
        const struct name *name =
            t.kind == TOKEN_WORD ? names_find(&p->names, t.text, t.len) : NULL;
        if (!name || name->kind != NAME_SYMBOL ||
            symbol_at(p, name->index)->kind != PTX_SYM_ARGUMENT)
            return diag_fail(p->d, t.kind == TOKEN_WORD ? ERR_INPUT : ERR_UNSUPPORTED, t.at,
                             "'%.*s' is not a variable in .param space", (int)t.len, t.text);
        const struct ptx_symbol *s = symbol_at(p, name->index);
        *(struct ptx_argument *)list_add(&passed, p->a, sizeof(struct ptx_argument)) =
            (struct ptx_argument){(uint32_t)s->address, (uint32_t)s->bytes, name->index};
        lex_next(&p->x);
    }
    lex_next(&p->x);
    *out = passed.items;
    *n = (uint32_t)passed.n;
    return OK;
}

static int parse_callee(struct parser *p, struct ptx_insn *i, struct ptx_call *c)
{
    struct token t = p->x.token;
    const struct name *n = t.kind == TOKEN_WORD ? names_find(&p->names, t.text, t.len) : NULL;
    if (t.kind == TOKEN_WORD && find_reg(p, t.text, t.len) >= 0)
        return parse_operand(p, &i->src[i->n_src++], PTX_T_u64, false);
    if (!n || n->kind != NAME_SYMBOL || symbol_at(p, n->index)->kind != PTX_SYM_FUNCTION)
        return diag_fail(p->d, ERR_INPUT, t.at, "'%.*s' is neither a function nor a register",
                         (int)t.len, t.text);
    c->function = (uint32_t)symbol_at(p, n->index)->address;
    if (body_at(p, c->function)->is_kernel)
        return diag_fail(p->d, ERR_UNSUPPORTED, t.at, "a kernel cannot be called");
    lex_next(&p->x);
    return OK;
}

/* Functions of CUDA's run-time system on the device. Output goes nowhere, the heap is empty, and a failed
 * assertion stops the kernel. */
static bool is_runtime(const char *name)
{
    static const char *const names[] = {"vprintf", "malloc", "free"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* call{.uni} {(results),} function{, (parameters){, prototype}} */
static int parse_call(struct parser *p, struct ptx_insn *i, const struct modifiers *m)
{
    struct ptx_call *c = ARENA_NEW(p->a, struct ptx_call);
    c->function = PTX_NOWHERE;
    i->call = c;
    i->uniform = m->n == 2 && same(m->text[1], m->len[1], "uni");
    if (m->n > 2 || (m->n == 2 && !i->uniform))
        return unsupported(p, i);
    if (parse_punct(p, '(') && (parse_passed(p, &c->rets, &c->n_rets) != OK || comma(p) != OK))
        return p->d->code;
    if (parse_callee(p, i, c) != OK)
        return p->d->code;
    if (parse_punct(p, ',')) {
        lex_next(&p->x);
        if (parse_passed(p, &c->args, &c->n_args) != OK)
            return p->d->code;
    }
    if (parse_punct(p, ',')) { /* prototype or list of targets: not needed */
        lex_next(&p->x);
        c->prototype = arena_strndup(p->a, p->x.token.text, p->x.token.len);
        lex_next(&p->x);
    }
    const struct ptx_body *f = c->function == PTX_NOWHERE ? NULL : body_at(p, c->function);
    if (f && !f->defined && is_runtime(f->name))
        c->runtime = true;
    if (f && !f->defined && strcmp(f->name, "__assertfail") == 0)
        c->runtime = c->fails = true;
    return OK;
}

/* brx.idx{.uni} index, table */
static int parse_brx(struct parser *p, struct ptx_insn *i, const struct modifiers *m)
{
    i->uniform = m->n == 3 && same(m->text[2], m->len[2], "uni");
    if (m->n < 2 || !same(m->text[1], m->len[1], "idx") || (m->n > 2 && !i->uniform))
        return unsupported(p, i);
    if (parse_operand(p, &i->src[i->n_src++], PTX_T_u32, false) != OK || comma(p) != OK)
        return ERR_INPUT;
    if (p->x.token.kind != TOKEN_WORD)
        return parse_fail(p, "a table of targets must follow '%s'", i->mnemonic);
    struct label_use *use = list_add(&p->uses, &p->scratch, sizeof *use);
    *use = (struct label_use){p->x.token, (uint32_t)p->insns.n};
    lex_next(&p->x);
    return OK;
}

static int parse_shape(struct parser *p, struct ptx_insn *i, const struct modifiers *m)
{
    switch (ptx_rows[i->op].shape) {
    case PTX_SHAPE_LANES:
        return parse_lanes(p, i);
    case PTX_SHAPE_MOV_VECTOR:
        return parse_mov_vector(p, i, m);
    case PTX_SHAPE_CVTA:
        return parse_cvta(p, i, m);
    case PTX_SHAPE_LD:
        return parse_ld(p, i, m);
    case PTX_SHAPE_ST:
        return parse_st(p, i, m);
    case PTX_SHAPE_ATOM:
        return parse_atom(p, i, m);
    case PTX_SHAPE_CARRY:
        return parse_carry(p, i, m);
    case PTX_SHAPE_BFI:
    case PTX_SHAPE_LOP3:
        return parse_four(p, i, m);
    case PTX_SHAPE_VOTE:
        return parse_vote(p, i, m);
    case PTX_SHAPE_SHFL:
        return parse_shfl(p, i, m);
    case PTX_SHAPE_ACTIVEMASK:
        return parse_dst(p, i, 32, false);
    case PTX_SHAPE_BRA:
        return parse_bra(p, i, m);
    case PTX_SHAPE_BAR:
        return parse_bar(p, i, m);
    case PTX_SHAPE_CALL:
        return parse_call(p, i, m);
    case PTX_SHAPE_BRX:
        return parse_brx(p, i, m);
    case PTX_SHAPE_SET:
    case PTX_SHAPE_SET_PAIR:
        return parse_set(p, i, m);
    case PTX_SHAPE_MATCH:
        return parse_match(p, i, m);
    case PTX_SHAPE_REDUX:
        return parse_redux(p, i, m);
    case PTX_SHAPE_ISSPACEP:
        return parse_isspacep(p, i, m);
    case PTX_SHAPE_ALLOCA:
        return parse_alloca(p, i, m);
    case PTX_SHAPE_STACK:
        return parse_stack(p, i, m);
    case PTX_SHAPE_COPY:
        return parse_copy(p, i, m);
    case PTX_SHAPE_HINT:
        return skip_operands(p, i);
    case PTX_SHAPE_REFUSED:
        return unsupported(p, i);
    case PTX_SHAPE_FENCE:
    case PTX_SHAPE_NONE:
        return OK;
    }
    return OK;
}

/* ---- Mnemonics ------------------------------------------------------------------------------------ */
/* The row whose key is the mnemonic without the modifiers that rows list in `mods`; -1 if none. */
static int find_lanes_row(const struct parser *p, const struct modifiers *m, struct ptx_insn *i)
{
    char key[64];
    size_t n = 0;
    uint32_t mods = 0;
    bool setp = same(m->text[0], m->len[0], "setp");
    for (int k = 0; k < m->n; k++) {
        uint32_t mod = k > 0 ? float_mod(m->text[k], m->len[k]) : 0;
        if (k > 0 && same(m->text[k], m->len[k], "rn"))
            continue;
        if (mod) {
            mods |= mod;
            continue;
        }
        if (setp && is_bool_op(m->text[k], m->len[k])) {
            i->bool_op = (uint8_t)m->text[k][0];
            continue;
        }
        if (n + m->len[k] + 2 > sizeof key)
            return -1;
        if (k > 0)
            key[n++] = '.';
        memcpy(key + n, m->text[k], m->len[k]);
        n += m->len[k];
    }
    const struct name *row = names_find(&p->rows, key, n);
    if (!row || ptx_rows[row->index].shape != PTX_SHAPE_LANES || mods & ~ptx_rows[row->index].mods)
        return -1;
    i->mods = (uint16_t)mods;
    return (int)row->index;
}

/* Is there a vector among the operands? */
static bool has_brace(const struct parser *p)
{
    if (parse_punct(p, '{'))
        return true;
    const char *end = memchr(p->x.p, ';', (size_t)(p->x.end - p->x.p));
    return end && memchr(p->x.p, '{', (size_t)(end - p->x.p));
}

static int find_row(struct parser *p, struct token t, const struct modifiers *m, struct ptx_insn *i)
{
    bool vector_mov = same(m->text[0], m->len[0], "mov") && has_brace(p);
    const struct name *row = vector_mov ? NULL : names_find(&p->rows, t.text, t.len);
    int op = row && ptx_rows[row->index].shape == PTX_SHAPE_LANES ? (int)row->index : -1;
    if (op < 0 && !vector_mov)
        op = find_lanes_row(p, m, i);
    if (op < 0) {
        row = names_find(&p->rows, m->text[0], m->len[0]);
        op = row ? (int)row->index : -1;
    }
    if (op < 0)
        return diag_fail(p->d, ERR_UNSUPPORTED, t.at, "instruction '%.*s' is not supported",
                         (int)t.len, t.text);
    i->op = (uint16_t)op;
    return OK;
}

static int parse_guard(struct parser *p, struct ptx_insn *i)
{
    lex_next(&p->x);
    i->guard_negated = parse_punct(p, '!');
    if (i->guard_negated)
        lex_next(&p->x);
    struct token t = p->x.token;
    int64_t reg = t.kind == TOKEN_WORD ? find_reg(p, t.text, t.len) : -1;
    if (reg < 0 || reg_at(p, reg)->bits != 1)
        return diag_fail(p->d, ERR_INPUT, t.at, "'%.*s' is not a predicate", (int)t.len, t.text);
    i->guard = (int32_t)reg;
    lex_next(&p->x);
    return OK;
}

int parse_instruction(struct parser *p)
{
    struct ptx_insn i = {.guard = -1,
                         .dst = {-1, -1, -1, -1},
                         .target = PTX_NOWHERE,
                         .reconverge = PTX_NOWHERE,
                         .source_line = p->source_line};
    struct modifiers m = {0};
    if (parse_punct(p, '@') && parse_guard(p, &i) != OK)
        return ERR_INPUT;
    struct token t = p->x.token;
    if (t.kind != TOKEN_WORD)
        return parse_fail(p, "an instruction was expected, not '%.*s'", (int)t.len, t.text);
    if (p->insns.n >= UINT32_MAX / 2)
        return parse_fail(p, "too many instructions");
    lex_next(&p->x);
    i.at = (struct loc){p->x.name, t.at.line, t.at.col};
    i.mnemonic = arena_strndup(p->a, t.text, t.len);
    struct lexer here = p->x;
    if (split(p, t, &m) != OK || find_row(p, t, &m, &i) != OK || parse_shape(p, &i, &m) != OK) {
        if (!p->lazy || p->d->code != ERR_UNSUPPORTED)
            return p->d->code;
        struct ptx_insn refused = {.op = PTX_REFUSED,
                                   .guard = i.guard,
                                   .guard_negated = i.guard_negated,
                                   .dst = {-1, -1, -1, -1},
                                   .target = PTX_NOWHERE,
                                   .reconverge = PTX_NOWHERE,
                                   .source_line = i.source_line,
                                   .at = i.at,
                                   .mnemonic = i.mnemonic};
        p->x = here;
        i = refused;
        *p->d = (struct diag){0};
        if (skip_operands(p, &i) != OK)
            return ERR_INPUT;
    }
    if (parse_expect(p, ';') != OK)
        return ERR_INPUT;
    *(struct ptx_insn *)list_add(&p->insns, p->a, sizeof i) = i;
    return OK;
}
