/* PTX text -> module: directives, declarations, bodies. Instructions are in operands.c. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ptx/parser.h"

/* ---- Helpers the other files share ---------------------------------------------------------------- */
void *list_add(struct list *l, struct arena *a, size_t size)
{
    if (l->n == l->capacity) {
        l->capacity = l->capacity ? 2 * l->capacity : 16;
        void *bigger = arena_alloc(a, l->capacity * size);
        if (l->n)
            memcpy(bigger, l->items, l->n * size);
        l->items = bigger;
    }
    return (char *)l->items + l->n++ * size;
}

int parse_fail(struct parser *p, const char *fmt, ...)
{
    char msg[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    return diag_fail(p->d, ERR_INPUT, p->x.token.at, "%s", msg);
}

bool parse_punct(const struct parser *p, char c)
{
    return p->x.token.kind == TOKEN_PUNCT && p->x.token.punct == c;
}

int parse_expect(struct parser *p, char c)
{
    if (!parse_punct(p, c)) {
        if (p->x.token.kind == TOKEN_END)
            return parse_fail(p, "'%c' was expected, but the text ends here", c);
        return parse_fail(p, "'%c' was expected, not '%.*s'", c, (int)p->x.token.len, p->x.token.text);
    }
    lex_next(&p->x);
    return OK;
}

int parse_integer(struct parser *p, int64_t *out)
{
    bool minus = false;
    while (parse_punct(p, '-') || parse_punct(p, '+')) {
        minus ^= parse_punct(p, '-');
        lex_next(&p->x);
    }
    if (p->x.token.kind != TOKEN_INT)
        return parse_fail(p, "a number was expected, not '%.*s'", (int)p->x.token.len,
                          p->x.token.text);
    uint64_t v = p->x.token.integer;
    *out = (int64_t)(minus ? 0 - v : v);
    lex_next(&p->x);
    return OK;
}

/* A number from 0 to max. */
static int parse_count(struct parser *p, uint64_t max, uint64_t *out)
{
    if (p->x.token.kind != TOKEN_INT || p->x.token.integer > max)
        return parse_fail(p, "a number up to %llu was expected, not '%.*s'", (unsigned long long)max,
                          (int)p->x.token.len, p->x.token.text);
    *out = p->x.token.integer;
    lex_next(&p->x);
    return OK;
}

static bool at_word(const struct parser *p, const char *word) { return token_is(&p->x.token, word); }

/* Skip to the matching close of the bracket that is the current token. */
static int skip_balanced(struct parser *p, char open, char close)
{
    struct loc at = p->x.token.at;
    size_t depth = 0;
    do {
        if (p->x.token.kind == TOKEN_END)
            return diag_fail(p->d, ERR_INPUT, at, "'%c' is never closed", open);
        depth += parse_punct(p, open);
        depth -= parse_punct(p, close);
        lex_next(&p->x);
    } while (depth > 0);
    return OK;
}

/* ---- Variables -------------------------------------------------------------------------------------- */
static uint32_t type_bytes(const struct token *t)
{
    static const struct {
        const char *word;
        uint32_t bytes;
    } types[] = {
        {".b8", 1},  {".u8", 1},  {".s8", 1},  {".b16", 2}, {".u16", 2}, {".s16", 2}, {".f16", 2},
        {".b32", 4}, {".u32", 4}, {".s32", 4}, {".f32", 4}, {".b64", 8}, {".u64", 8}, {".s64", 8},
        {".f64", 8}, {".f16x2", 4},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (token_is(t, types[i].word))
            return types[i].bytes;
    return 0;
}

struct variable {
    struct token name;
    uint64_t bytes, align;
    uint32_t elem_bytes;
    bool open; /* name[] */
};

static const uint64_t max_bytes = 1ull << 32;

/* [.align N] [.ptr [.space] [.align N]] .type name [dims] */
static int parse_variable(struct parser *p, struct variable *v)
{
    *v = (struct variable){0};
    uint64_t n = 0, vec = 1;
    for (;; lex_next(&p->x)) {
        const struct token *t = &p->x.token;
        if (token_is(t, ".align")) {
            lex_next(&p->x);
            if (p->x.token.kind != TOKEN_INT)
                return parse_fail(p, "an alignment was expected");
            n = p->x.token.integer;
            if (n == 0 || n > 4096 || (n & (n - 1)))
                return parse_fail(p, "alignment %llu is not a power of two up to 4096",
                                  (unsigned long long)n);
            v->align = v->elem_bytes ? v->align : n; /* after .ptr it speaks of what is pointed at */
        } else if (type_bytes(t)) {
            v->elem_bytes = type_bytes(t);
        } else if (token_is(t, ".v2") || token_is(t, ".v4")) {
            vec = t->text[2] == '2' ? 2 : 4;
        } else if (t->kind != TOKEN_WORD || t->text[0] != '.') {
            break;
        } else if (!token_is(t, ".ptr") && !token_is(t, ".global") && !token_is(t, ".shared") &&
                   !token_is(t, ".local") && !token_is(t, ".const") && !token_is(t, ".param")) {
            return parse_fail(p, "'%.*s' in a declaration is not supported", (int)t->len, t->text);
        }
    }
    if (!v->elem_bytes)
        return parse_fail(p, "a type was expected, not '%.*s'", (int)p->x.token.len, p->x.token.text);
    if (p->x.token.kind != TOKEN_WORD)
        return parse_fail(p, "a name was expected, not '%.*s'", (int)p->x.token.len, p->x.token.text);
    v->name = p->x.token;
    v->bytes = v->elem_bytes * vec;
    if (!v->align)
        v->align = v->bytes;
    lex_next(&p->x);
    while (parse_punct(p, '[')) {
        lex_next(&p->x);
        if (parse_punct(p, ']')) {
            v->open = true;
            v->bytes = 0;
        } else {
            if (parse_count(p, max_bytes, &n) != OK)
                return ERR_INPUT;
            if (n > 0 && v->bytes > max_bytes / n)
                return parse_fail(p, "variable '%.*s' is larger than 4 GiB", (int)v->name.len,
                                  v->name.text);
            v->bytes *= n;
        }
        if (parse_expect(p, ']') != OK)
            return ERR_INPUT;
    }
    return OK;
}

static struct ptx_symbol *add_symbol(struct parser *p, const struct variable *v,
                                     enum ptx_symbol_kind kind)
{
    names_add(&p->names, v->name.text, v->name.len, NAME_SYMBOL, (uint32_t)p->symbols.n, 1);
    struct ptx_symbol *s = list_add(&p->symbols, p->a, sizeof *s);
    *s = (struct ptx_symbol){.name = arena_strndup(p->a, v->name.text, v->name.len),
                             .kind = kind,
                             .bytes = v->bytes,
                             .align = (uint32_t)v->align,
                             .owner = p->k ? (int32_t)p->kernels.n - 1 : -1};
    return s;
}

/* Place a variable at the end of a space of *used bytes. */
static int place(struct parser *p, struct ptx_symbol *s, uint32_t *used)
{
    uint64_t at = (*used + (uint64_t)s->align - 1) / s->align * s->align;
    s->address = at;
    if (at + s->bytes > 1u << 30)
        return parse_fail(p, "variable '%s' does not fit", s->name);
    *used = (uint32_t)(at + s->bytes);
    return OK;
}

/* .reg .type %r<N>; or .reg .type %a, %b; */
static int parse_registers(struct parser *p)
{
    lex_next(&p->x);
    struct token t = p->x.token;
    uint32_t bits = token_is(&t, ".pred") ? 1 : 8 * type_bytes(&t);
    if (!bits)
        return parse_fail(p, "registers of type '%.*s' are not supported", (int)t.len, t.text);
    do {
        lex_next(&p->x);
        struct token name = p->x.token;
        if (name.kind != TOKEN_WORD)
            return parse_fail(p, "a register name was expected");
        lex_next(&p->x);
        uint64_t n = 1;
        bool many = parse_punct(p, '<');
        if (many) {
            lex_next(&p->x);
            if (parse_count(p, PTX_MAX_REGS, &n) != OK || parse_expect(p, '>') != OK)
                return ERR_INPUT;
        }
        if (p->regs.n + n > PTX_MAX_REGS)
            return parse_fail(p, "more than %d registers", PTX_MAX_REGS);
        names_add(&p->names, name.text, name.len, many ? NAME_REGS : NAME_REG, (uint32_t)p->regs.n,
                  (uint32_t)n);
        const char *stem = arena_strndup(p->a, name.text, name.len);
        for (uint64_t i = 0; i < n; i++)
            *(struct ptx_reg *)list_add(&p->regs, p->a, sizeof(struct ptx_reg)) =
                (struct ptx_reg){.name = stem, .number = (uint32_t)i, .numbered = many,
                                 .bits = (uint8_t)(bits == 8 ? 16 : bits)};
    } while (parse_punct(p, ','));
    return parse_expect(p, ';');
}

/* {1, -2, 0x3} or one number: integers and bits of floats, little-endian. */
static int parse_values(struct parser *p, const struct variable *v, uint8_t *bytes)
{
    uint64_t at = 0;
    bool braces = parse_punct(p, '{');
    if (braces)
        lex_next(&p->x);
    do {
        if (at > 0)
            lex_next(&p->x); /* the comma */
        uint64_t value = p->x.token.integer;
        int64_t integer = 0;
        if (p->x.token.kind == TOKEN_F32 || p->x.token.kind == TOKEN_F64)
            lex_next(&p->x);
        else if (parse_integer(p, &integer) == OK)
            value = (uint64_t)integer;
        else
            return ERR_INPUT;
        if (at + v->elem_bytes > v->bytes)
            return parse_fail(p, "more values than '%.*s' has room for", (int)v->name.len, v->name.text);
        memcpy(bytes + at, &value, v->elem_bytes);
        at += v->elem_bytes;
    } while (braces && parse_punct(p, ','));
    return braces ? parse_expect(p, '}') : OK;
}

/* .const .type name[n] = {..}; */
static int parse_constant(struct parser *p)
{
    struct variable v;
    lex_next(&p->x);
    if (parse_variable(p, &v) != OK)
        return ERR_INPUT;
    struct ptx_symbol *s = add_symbol(p, &v, PTX_SYM_CONST);
    uint32_t had = p->constant_bytes;
    if (v.open || place(p, s, &p->constant_bytes) != OK || p->constant_bytes > 64u << 10)
        return parse_fail(p, "constant '%s' does not fit in 64 KiB", s->name);
    if (!p->constants)
        p->constants = arena_alloc(p->a, 64u << 10);
    memset(p->constants + had, 0, p->constant_bytes - had);
    if (parse_punct(p, '=')) {
        lex_next(&p->x);
        if (parse_values(p, &v, p->constants + s->address) != OK)
            return ERR_INPUT;
    }
    return parse_expect(p, ';');
}

/* A variable inside a body, or of the module: .shared and .local. */
static int parse_storage(struct parser *p, enum ptx_symbol_kind kind, bool is_extern)
{
    struct variable v;
    lex_next(&p->x);
    if (parse_variable(p, &v) != OK)
        return ERR_INPUT;
    if (v.open && !(is_extern && kind == PTX_SYM_SHARED))
        return diag_fail(p->d, ERR_INPUT, v.name.at, "variable '%.*s' has no size", (int)v.name.len,
                         v.name.text);
    struct ptx_symbol *s = add_symbol(p, &v, kind);
    if (parse_punct(p, '='))
        return parse_fail(p, "variables with initial values are not supported");
    uint32_t *used = !p->k                     ? &p->module_shared
                     : kind == PTX_SYM_SHARED ? &p->k->shared_bytes
                                              : &p->k->local_bytes;
    if (place(p, s, used) != OK)
        return ERR_INPUT;
    return parse_expect(p, ';');
}

/* ---- Bodies ------------------------------------------------------------------------------------------ */
/* .loc FILE LINE COL [, function_name LABEL [+ N], inlined_at FILE LINE COL] */
static int parse_loc(struct parser *p)
{
    uint64_t file = 0, line = 0, col = 0;
    lex_next(&p->x);
    if (parse_count(p, UINT32_MAX, &file) != OK || parse_count(p, INT32_MAX, &line) != OK ||
        parse_count(p, UINT32_MAX, &col) != OK)
        return ERR_INPUT;
    p->source_line = (int)line;
    while (parse_punct(p, ',')) { /* where it was inlined: one line of source is enough */
        lex_next(&p->x);
        while (p->x.token.kind == TOKEN_INT || parse_punct(p, '+') || at_word(p, "function_name") ||
               at_word(p, "inlined_at") || (p->x.token.kind == TOKEN_WORD && p->x.token.text[0] == '$'))
            lex_next(&p->x);
    }
    return OK;
}

static int parse_label(struct parser *p, struct token t)
{
    if (names_find(&p->names, t.text, t.len))
        return diag_fail(p->d, ERR_INPUT, t.at, "'%.*s' is declared twice", (int)t.len, t.text);
    names_add(&p->names, t.text, t.len, NAME_LABEL, (uint32_t)p->insns.n, 1);
    lex_next(&p->x);
    return OK;
}

static int skip_pragma(struct parser *p)
{
    while (!parse_punct(p, ';')) {
        if (p->x.token.kind == TOKEN_END)
            return parse_fail(p, "';' was expected, but the text ends here");
        lex_next(&p->x);
    }
    lex_next(&p->x);
    return OK;
}

static int parse_statement(struct parser *p)
{
    struct token t = p->x.token;
    if (t.kind != TOKEN_WORD)
        return parse_instruction(p);
    if (token_is(&t, ".reg"))
        return parse_registers(p);
    if (token_is(&t, ".shared"))
        return parse_storage(p, PTX_SYM_SHARED, false);
    if (token_is(&t, ".local"))
        return parse_storage(p, PTX_SYM_LOCAL, false);
    if (token_is(&t, ".loc"))
        return parse_loc(p);
    if (token_is(&t, ".pragma"))
        return skip_pragma(p);
    if (t.text[0] == '.')
        return parse_fail(p, "'%.*s' in a body is not supported", (int)t.len, t.text);
    struct lexer ahead = p->x;
    lex_next(&ahead);
    if (ahead.token.kind == TOKEN_PUNCT && ahead.token.punct == ':') {
        lex_next(&p->x);
        return parse_label(p, t);
    }
    return parse_instruction(p);
}

/* Labels stay known to the end of the body, other names to the end of their block. */
static void leave_block(struct parser *p, struct name *mark)
{
    struct name *labels = NULL;
    for (struct name *n = p->names.last; n != mark; n = n->before)
        if (n->kind == NAME_LABEL) {
            struct name *copy = ARENA_NEW(&p->scratch, struct name);
            *copy = *n;
            copy->next = labels;
            labels = copy;
        }
    names_forget(&p->names, mark);
    for (; labels; labels = labels->next)
        names_add(&p->names, labels->text, labels->len, NAME_LABEL, labels->index, 1);
}

enum { MAX_BLOCKS = 64 };

static int parse_body(struct parser *p)
{
    struct name *marks[MAX_BLOCKS];
    size_t depth = 0;
    do {
        if (parse_punct(p, '{')) {
            if (depth == MAX_BLOCKS)
                return parse_fail(p, "blocks are nested more than %d deep", MAX_BLOCKS);
            marks[depth++] = p->names.last;
            lex_next(&p->x);
        } else if (parse_punct(p, '}')) {
            if (--depth > 0)
                leave_block(p, marks[depth]);
            lex_next(&p->x);
        } else if (p->x.token.kind == TOKEN_END) {
            return parse_fail(p, "the body of '%s' is never closed", p->k->name);
        } else if (parse_statement(p) != OK) {
            return p->d->code;
        }
    } while (depth > 0);
    return OK;
}

static int resolve_labels(struct parser *p)
{
    struct ptx_insn *insns = p->insns.items;
    const struct label_use *uses = p->uses.items;
    for (size_t i = 0; i < p->uses.n; i++) {
        const struct token *t = &uses[i].token;
        const struct name *n = names_find(&p->names, t->text, t->len);
        if (!n || n->kind != NAME_LABEL)
            return diag_fail(p->d, ERR_INPUT, t->at, "there is no label '%.*s'", (int)t->len, t->text);
        insns[uses[i].insn].target = n->index;
    }
    return OK;
}

/* ---- Kernels ------------------------------------------------------------------------------------------ */
static int parse_params(struct parser *p)
{
    if (!parse_punct(p, '('))
        return OK;
    lex_next(&p->x);
    while (!parse_punct(p, ')')) {
        struct variable v;
        if (p->params.n && parse_expect(p, ',') != OK)
            return ERR_INPUT;
        if (!at_word(p, ".param"))
            return parse_fail(p, "'.param' was expected, not '%.*s'", (int)p->x.token.len,
                              p->x.token.text);
        lex_next(&p->x);
        if (parse_variable(p, &v) != OK)
            return ERR_INPUT;
        struct ptx_symbol *s = add_symbol(p, &v, PTX_SYM_PARAM);
        if (place(p, s, &p->k->params_bytes) != OK)
            return ERR_INPUT;
        *(struct ptx_param *)list_add(&p->params, p->a, sizeof(struct ptx_param)) =
            (struct ptx_param){s->name, (uint32_t)s->address, (uint32_t)s->bytes};
    }
    lex_next(&p->x);
    return OK;
}

/* .maxntid x[,y[,z]] and the like between the parameters and the body. */
static int parse_performance(struct parser *p)
{
    while (p->x.token.kind == TOKEN_WORD && p->x.token.text[0] == '.') {
        bool threads = at_word(p, ".maxntid") || at_word(p, ".reqntid");
        if (at_word(p, ".pragma")) {
            if (skip_pragma(p) != OK)
                return ERR_INPUT;
            continue;
        }
        if (!threads && !at_word(p, ".minnctapersm") && !at_word(p, ".maxnreg") &&
            !at_word(p, ".maxnctapersm") && !at_word(p, ".noreturn"))
            return parse_fail(p, "'%.*s' is not supported", (int)p->x.token.len, p->x.token.text);
        uint64_t product = 1;
        lex_next(&p->x);
        while (p->x.token.kind == TOKEN_INT) {
            uint64_t n = 0;
            if (parse_count(p, UINT32_MAX, &n) != OK)
                return ERR_INPUT;
            product = product * n > UINT32_MAX ? UINT32_MAX : product * n;
            if (parse_punct(p, ','))
                lex_next(&p->x);
        }
        if (threads)
            p->k->max_threads = (uint32_t)product;
    }
    return OK;
}

/* Open shared arrays (dynamic shared memory) begin where the static variables end. */
static int place_dynamic_shared(struct parser *p, size_t first_symbol)
{
    struct ptx_symbol *symbols = p->symbols.items;
    uint64_t align = 1;
    for (size_t i = 0; i < p->symbols.n; i++)
        if (symbols[i].kind == PTX_SYM_SHARED && i < first_symbol && symbols[i].bytes == 0)
            align = symbols[i].align > align ? symbols[i].align : align;
    p->k->shared_bytes = (uint32_t)((p->k->shared_bytes + align - 1) / align * align);
    return OK;
}

static int check_end(struct parser *p)
{
    const struct ptx_insn *insns = p->insns.items;
    size_t n = p->insns.n;
    bool ends = n > 0 && insns[n - 1].guard < 0 &&
                (insns[n - 1].op == PTX_RET || insns[n - 1].op == PTX_EXIT ||
                 insns[n - 1].op == PTX_BRA || insns[n - 1].op == PTX_TRAP);
    const struct label_use *uses = p->uses.items;
    for (size_t i = 0; i < p->uses.n && ends; i++)
        ends = insns[uses[i].insn].target < n;
    if (ends)
        return OK;
    struct ptx_insn *i = list_add(&p->insns, p->a, sizeof *i); /* PTX: running off the end returns */
    *i = (struct ptx_insn){.op = PTX_RET,
                           .guard = -1,
                           .dst = {-1, -1, -1, -1},
                           .target = PTX_NOWHERE,
                           .reconverge = PTX_NOWHERE,
                           .at = {p->x.name, p->x.token.at.line, p->x.token.at.col},
                           .mnemonic = "ret"};
    return OK;
}

static int parse_entry(struct parser *p)
{
    lex_next(&p->x);
    struct token t = p->x.token;
    if (t.kind != TOKEN_WORD)
        return parse_fail(p, "a kernel name was expected");
    struct name *mark = p->names.last;
    size_t first_symbol = p->symbols.n;
    p->k = list_add(&p->kernels, p->a, sizeof *p->k);
    p->k->name = arena_strndup(p->a, t.text, t.len);
    p->k->at = (struct loc){p->x.name, t.at.line, t.at.col};
    p->k->shared_bytes = p->module_shared;
    p->insns = p->regs = p->params = p->uses = (struct list){0};
    p->source_line = 0;
    lex_next(&p->x);
    if (parse_params(p) != OK || parse_performance(p) != OK)
        return p->d->code;
    if (!parse_punct(p, '{'))
        return parse_expect(p, '{');
    if (parse_body(p) != OK || resolve_labels(p) != OK || check_end(p) != OK ||
        place_dynamic_shared(p, first_symbol) != OK)
        return p->d->code;
    p->k->n_insns = p->insns.n;
    p->k->insns = p->insns.items;
    p->k->n_regs = p->regs.n;
    p->k->regs = p->regs.items;
    p->k->n_params = p->params.n;
    p->k->params = p->params.items;
    ptx_make_cfg(p->k, p->a);
    p->k = NULL;
    names_forget(&p->names, mark);
    return OK;
}

/* ---- Module --------------------------------------------------------------------------------------------- */
static int skip_function(struct parser *p)
{
    while (!parse_punct(p, ';') && !parse_punct(p, '{')) {
        if (p->x.token.kind == TOKEN_END)
            return parse_fail(p, "the function is never closed");
        lex_next(&p->x);
    }
    if (parse_punct(p, '{'))
        return skip_balanced(p, '{', '}');
    lex_next(&p->x);
    return OK;
}

static int parse_version(struct parser *p)
{
    lex_next(&p->x);
    if (p->x.token.kind != TOKEN_F64)
        return parse_fail(p, "a version like 6.3 was expected");
    p->m->version = arena_strndup(p->a, p->x.token.text, p->x.token.len);
    lex_next(&p->x);
    return OK;
}

static int parse_target(struct parser *p)
{
    lex_next(&p->x);
    if (p->x.token.kind != TOKEN_WORD)
        return parse_fail(p, "a target like sm_70 was expected");
    p->m->target = arena_strndup(p->a, p->x.token.text, p->x.token.len);
    lex_next(&p->x);
    while (parse_punct(p, ',')) {
        lex_next(&p->x);
        lex_next(&p->x);
    }
    return OK;
}

static int parse_address_size(struct parser *p)
{
    uint64_t n;
    lex_next(&p->x);
    if (p->x.token.kind == TOKEN_INT && p->x.token.integer == 32)
        return diag_fail(p->d, ERR_UNSUPPORTED, p->x.token.at, "32-bit addresses are not supported");
    return parse_count(p, 64, &n);
}

static int parse_file(struct parser *p)
{
    lex_next(&p->x);
    while (p->x.token.kind == TOKEN_INT || p->x.token.kind == TOKEN_STRING || parse_punct(p, ','))
        lex_next(&p->x);
    return OK;
}

static int parse_section(struct parser *p)
{
    lex_next(&p->x);
    while (p->x.token.kind == TOKEN_WORD)
        lex_next(&p->x);
    return parse_punct(p, '{') ? skip_balanced(p, '{', '}') : parse_expect(p, '{');
}

static int parse_directive(struct parser *p)
{
    bool is_extern = false;
    while (at_word(p, ".visible") || at_word(p, ".extern") || at_word(p, ".weak") ||
           at_word(p, ".common")) {
        is_extern |= at_word(p, ".extern");
        lex_next(&p->x);
    }
    if (at_word(p, ".entry"))
        return parse_entry(p);
    if (at_word(p, ".func"))
        return skip_function(p);
    if (at_word(p, ".shared"))
        return parse_storage(p, PTX_SYM_SHARED, is_extern);
    if (at_word(p, ".const"))
        return parse_constant(p);
    if (at_word(p, ".version"))
        return parse_version(p);
    if (at_word(p, ".target"))
        return parse_target(p);
    if (at_word(p, ".address_size"))
        return parse_address_size(p);
    if (at_word(p, ".file"))
        return parse_file(p);
    if (at_word(p, ".section"))
        return parse_section(p);
    if (at_word(p, ".pragma"))
        return skip_pragma(p);
    if (p->x.token.kind == TOKEN_WORD && p->x.token.text[0] == '.')
        return diag_fail(p->d, ERR_UNSUPPORTED, p->x.token.at, "'%.*s' is not supported here",
                         (int)p->x.token.len, p->x.token.text);
    return parse_fail(p, "a directive was expected, not '%.*s'", (int)p->x.token.len,
                      p->x.token.text);
}

static void fill_tables(struct parser *p)
{
    static const char *const specials[] = {
#define X(id, name, type) name,
#include "ptx/special.def"
#undef X
    };
    names_init(&p->rows, &p->scratch);
    names_init(&p->specials, &p->scratch);
    names_init(&p->names, &p->scratch);
    for (uint32_t i = 0; i < PTX_N_OPS; i++)
        names_add(&p->rows, ptx_rows[i].key, strlen(ptx_rows[i].key), NAME_SYMBOL, i, 1);
    for (uint32_t i = 0; i < PTX_N_SPECIALS; i++)
        names_add(&p->specials, specials[i], strlen(specials[i]), NAME_SYMBOL, i, 1);
}

/* Two independent FNV-like sums over the text. */
static void hash_text(uint64_t out[2], struct text t)
{
    out[0] = 0xcbf29ce484222325u;
    out[1] = 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < t.len; i++) {
        out[0] = (out[0] ^ (unsigned char)t.ptr[i]) * 0x100000001b3u;
        out[1] = ((out[1] << 5 | out[1] >> 59) + (unsigned char)t.ptr[i]) * 0xd6e8feb86659fd93u;
    }
}

static void finish(struct parser *p, struct text text)
{
    uint64_t h[2];
    hash_text(h, text);
    p->m->n_kernels = p->kernels.n;
    p->m->kernels = p->kernels.items;
    p->m->n_symbols = p->symbols.n;
    p->m->symbols = p->symbols.items;
    p->m->constants = p->constants;
    for (size_t i = 0; i < p->kernels.n; i++) {
        struct ptx_kernel *k = &p->m->kernels[i];
        k->hash[0] = h[0] + i;
        k->hash[1] = h[1] ^ i;
        k->constants = p->constants;
        k->constant_bytes = p->constant_bytes;
        k->symbols = p->symbols.items;
        k->n_symbols = p->symbols.n;
    }
}

int ptx_parse(struct ptx_module **out, struct arena *a, struct text text, struct diag *d)
{
    struct diag own = {0};
    struct parser p = {.a = a, .d = d ? d : &own};
    int rc = OK;
    if (text.name)
        text.name = arena_strdup(a, text.name);
    p.m = ARENA_NEW(a, struct ptx_module);
    fill_tables(&p);
    lex_init(&p.x, text);
    if (p.x.token.kind == TOKEN_END)
        rc = parse_fail(&p, "no PTX in here");
    while (rc == OK && p.x.token.kind != TOKEN_END)
        rc = parse_directive(&p);
    if (rc == OK) {
        finish(&p, text);
        *out = p.m;
    }
    arena_fini(&p.scratch);
    return rc;
}
