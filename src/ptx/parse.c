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
        return parse_fail(p, "'%c' was expected, not '%.*s'", c, (int)p->x.token.len,
                          p->x.token.text);
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
        return parse_fail(p, "a number up to %llu was expected, not '%.*s'",
                          (unsigned long long)max, (int)p->x.token.len, p->x.token.text);
    *out = p->x.token.integer;
    lex_next(&p->x);
    return OK;
}

static bool at_word(const struct parser *p, const char *word)
{
    return token_is(&p->x.token, word);
}

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
        {".b8", 1},    {".u8", 1},   {".s8", 1},     {".b16", 2},   {".u16", 2},
        {".s16", 2},   {".f16", 2},  {".b32", 4},    {".u32", 4},   {".s32", 4},
        {".f32", 4},   {".b64", 8},  {".u64", 8},    {".s64", 8},   {".f64", 8},
        {".f16x2", 4}, {".bf16", 2}, {".bf16x2", 4}, {".b128", 16},
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
    for (bool skip = false;;) {
        if (skip)
            lex_next(&p->x);
        skip = true;
        const struct token *t = &p->x.token;
        if (token_is(t, ".align")) {
            lex_next(&p->x);
            if (p->x.token.kind != TOKEN_INT)
                return parse_fail(p, "an alignment was expected");
            n = p->x.token.integer;
            if (n == 0 || n > 4096 || (n & (n - 1)))
                return parse_fail(p, "alignment %llu is not a power of two up to 4096",
                                  (unsigned long long)n);
            v->align =
                v->elem_bytes ? v->align : n; /* after .ptr it speaks of what is pointed at */
        } else if (type_bytes(t)) {
            v->elem_bytes = type_bytes(t);
        } else if (token_is(t, ".v2") || token_is(t, ".v4")) {
            vec = t->text[2] == '2' ? 2 : 4;
        } else if (t->kind != TOKEN_WORD || t->text[0] != '.') {
            break;
        } else if (token_is(t, ".attribute")) {
            lex_next(&p->x);
            if (skip_balanced(p, '(', ')') != OK)
                return ERR_INPUT;
            skip = false;
        } else if (!token_is(t, ".ptr") && !token_is(t, ".global") && !token_is(t, ".shared") &&
                   !token_is(t, ".local") && !token_is(t, ".const") && !token_is(t, ".param")) {
            return parse_fail(p, "'%.*s' in a declaration is not supported", (int)t->len, t->text);
        }
    }
    if (!v->elem_bytes)
        return parse_fail(p, "a type was expected, not '%.*s'", (int)p->x.token.len,
                          p->x.token.text);
    if (p->x.token.kind != TOKEN_WORD)
        return parse_fail(p, "a name was expected, not '%.*s'", (int)p->x.token.len,
                          p->x.token.text);
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
                             .owner = p->body};
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
                (struct ptx_reg){.name = stem,
                                 .number = (uint32_t)i,
                                 .numbered = many,
                                 .bits = (uint8_t)(bits == 8 ? 16 : bits)};
    } while (parse_punct(p, ','));
    return parse_expect(p, ';');
}

/* [generic] ( symbol ) [+ N]: the address goes to 8 bytes at offset `at` of the variable. */
static int parse_pointer(struct parser *p, const struct ptx_symbol *s, uint64_t at,
                         bool parentheses)
{
    struct token t = p->x.token;
    if (token_is(&t, "generic")) {
        lex_next(&p->x);
        parentheses = true;
        if (parse_expect(p, '(') != OK)
            return ERR_INPUT;
        t = p->x.token;
    }
    const struct name *n = names_find(&p->names, t.text, t.len);
    if (t.kind != TOKEN_WORD || !n || n->kind != NAME_SYMBOL)
        return parse_fail(p, "'%.*s' is not declared", (int)t.len, t.text);
    if (at + 8 > s->bytes)
        return parse_fail(p, "no room for an address in '%s'", s->name);
    struct ptx_symbol *pointee = symbol_at(p, n->index);
    if (pointee->kind != PTX_SYM_GLOBAL && pointee->kind != PTX_SYM_CONST &&
        pointee->kind != PTX_SYM_FUNCTION && pointee->kind != PTX_SYM_SHARED)
        return parse_fail(p, "the address of '%s' is not known before it runs", pointee->name);
    if (pointee->kind == PTX_SYM_FUNCTION)
        body_at(p, pointee->address)->pointed_at = true;
    lex_next(&p->x);
    if (parentheses && parse_expect(p, ')') != OK)
        return ERR_INPUT;
    int64_t add = 0;
    if (parse_punct(p, '+')) {
        lex_next(&p->x);
        if (parse_integer(p, &add) != OK)
            return ERR_INPUT;
    }
    *(struct ptx_relocation *)list_add(&p->relocations, p->a, sizeof(struct ptx_relocation)) =
        (struct ptx_relocation){s->address + at, (uint64_t)add, n->index, s->kind == PTX_SYM_CONST};
    return OK;
}

/* 0xFF00(symbol): one byte of an address. All eight are there, so the first one stands for them. */
static int parse_masked(struct parser *p, const struct ptx_symbol *s, uint64_t at, uint64_t mask)
{
    lex_next(&p->x);
    size_t had = p->relocations.n;
    if (parse_pointer(p, s, mask == 0xff ? at : 0, true) != OK)
        return ERR_INPUT;
    if (mask != 0xff)
        p->relocations.n = had;
    return OK;
}

/* Nested braces, one number or address: integers and bits of floats, little-endian. */
static int parse_values(struct parser *p, const struct ptx_symbol *s, uint32_t elem_bytes,
                        uint8_t *bytes)
{
    uint64_t at = 0;
    size_t depth = 0;
    do {
        while (parse_punct(p, '{')) {
            depth++;
            lex_next(&p->x);
        }
        if (parse_punct(p, '}'))
            goto closed;
        if (at + elem_bytes > s->bytes)
            return parse_fail(p, "more values than '%s' has room for", s->name);
        uint64_t value = p->x.token.integer;
        int64_t integer = 0;
        if (p->x.token.kind == TOKEN_F32 || p->x.token.kind == TOKEN_F64) {
            if (elem_bytes == 4 && p->x.token.kind == TOKEN_F64) {
                double wide;
                memcpy(&wide, &value, sizeof wide);
                float narrow = (float)wide;
                memcpy(&value, &narrow, sizeof narrow);
            }
            lex_next(&p->x);
        } else if (p->x.token.kind == TOKEN_WORD) {
            if (parse_pointer(p, s, at, false) != OK)
                return ERR_INPUT;
            at += elem_bytes;
            goto closed;
        } else if (parse_integer(p, &integer) == OK) {
            value = (uint64_t)integer;
            if (parse_punct(p, '(')) {
                if (parse_masked(p, s, at, value) != OK)
                    return ERR_INPUT;
                at += elem_bytes;
                goto closed;
            }
        } else {
            return ERR_INPUT;
        }
        memcpy(bytes + at, &value, elem_bytes < 8 ? elem_bytes : 8);
        at += elem_bytes;
    closed:
        while (depth > 0 && parse_punct(p, '}')) {
            depth--;
            lex_next(&p->x);
        }
        if (depth > 0 && !parse_punct(p, ','))
            return parse_fail(p, "',' or '}' was expected, not '%.*s'", (int)p->x.token.len,
                              p->x.token.text);
        if (depth > 0)
            lex_next(&p->x);
    } while (depth > 0);
    return OK;
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
        if (parse_values(p, s, v.elem_bytes, p->constants + s->address) != OK)
            return ERR_INPUT;
    }
    return parse_expect(p, ';');
}

enum { MOST_INITIAL_BYTES = 256 << 20 };

/* .global .type name[n] = {..}; of the module. It gets a place in global memory with the others. */
static int parse_global(struct parser *p, bool is_extern)
{
    struct variable v;
    lex_next(&p->x);
    if (parse_variable(p, &v) != OK)
        return ERR_INPUT;
    if (v.open || is_extern)
        return diag_fail(p->d, ERR_UNSUPPORTED, v.name.at,
                         "variable '%.*s' is defined in another file", (int)v.name.len,
                         v.name.text);
    struct ptx_symbol *s = add_symbol(p, &v, PTX_SYM_GLOBAL);
    s->address = (p->global_bytes + s->align - 1) / s->align * s->align;
    if (s->bytes > 16ull << 30 || s->address > (16ull << 30) - s->bytes)
        return parse_fail(p, "variable '%s' does not fit in 16 GiB", s->name);
    p->global_bytes = s->address + (s->bytes ? s->bytes : 1);
    if (parse_punct(p, '=')) {
        lex_next(&p->x);
        if (s->bytes > MOST_INITIAL_BYTES)
            return parse_fail(p, "variable '%s' with an initial value is larger than 256 MiB",
                              s->name);
        uint8_t *init = arena_alloc(p->a, s->bytes + 8);
        memset(init, 0, s->bytes + 8);
        s->init = init;
        struct ptx_symbol copy = *s; /* the list may move */
        if (parse_values(p, &copy, v.elem_bytes, init) != OK)
            return ERR_INPUT;
    }
    return parse_expect(p, ';');
}

/* A variable of a call: it lives until its block ends. */
static int parse_argument(struct parser *p, struct ptx_symbol **out)
{
    struct variable v;
    lex_next(&p->x);
    if (parse_variable(p, &v) != OK)
        return ERR_INPUT;
    if (v.open)
        return diag_fail(p->d, ERR_UNSUPPORTED, v.name.at, "parameter '%.*s' has no size",
                         (int)v.name.len, v.name.text);
    struct ptx_symbol *s = add_symbol(p, &v, PTX_SYM_ARGUMENT);
    s->block = p->block;
    if (place(p, s, &p->argument_bytes) != OK)
        return ERR_INPUT;
    if (p->argument_bytes > p->most_argument_bytes)
        p->most_argument_bytes = p->argument_bytes;
    if (out)
        *out = s;
    return OK;
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
        return parse_fail(p, "shared and local variables cannot have initial values");
    bool own = kind == PTX_SYM_SHARED && p->k;
    if (kind == PTX_SYM_SHARED && p->body >= 0 && !p->k)
        s->owner = -1; /* with the module's, whoever runs */
    uint32_t *used = kind == PTX_SYM_LOCAL ? &p->local_bytes
                     : own                 ? &p->k->shared_bytes
                                           : &p->module_shared;
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
               at_word(p, "inlined_at") ||
               (p->x.token.kind == TOKEN_WORD && p->x.token.text[0] == '$'))
            lex_next(&p->x);
    }
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

/* name: .branchtargets a, b, ..; */
static int parse_targets(struct parser *p, struct token t)
{
    struct list labels = {0};
    do {
        lex_next(&p->x);
        if (p->x.token.kind != TOKEN_WORD)
            return parse_fail(p, "a label was expected");
        *(struct token *)list_add(&labels, &p->scratch, sizeof(struct token)) = p->x.token;
        lex_next(&p->x);
    } while (parse_punct(p, ','));
    names_add(&p->names, t.text, t.len, NAME_TABLE, (uint32_t)p->tables.n, 1);
    *(struct branch_table *)list_add(&p->tables, &p->scratch, sizeof(struct branch_table)) =
        (struct branch_table){labels.items, labels.n};
    return parse_expect(p, ';');
}

static int parse_label(struct parser *p, struct token t)
{
    if (names_find(&p->names, t.text, t.len))
        return diag_fail(p->d, ERR_INPUT, t.at, "'%.*s' is declared twice", (int)t.len, t.text);
    lex_next(&p->x);
    if (at_word(p, ".branchtargets"))
        return parse_targets(p, t);
    if (at_word(p, ".callprototype") || at_word(p, ".calltargets"))
        return skip_pragma(p); /* what is called says what it takes */
    names_add(&p->names, t.text, t.len, NAME_LABEL, (uint32_t)p->insns.n, 1);
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
    if (token_is(&t, ".param"))
        return parse_argument(p, NULL) == OK ? parse_expect(p, ';') : p->d->code;
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

/* Labels and tables stay known to the end of the body, other names to the end of their block. */
static void leave_block(struct parser *p, struct name *mark)
{
    struct name *labels = NULL;
    for (struct name *n = p->names.last; n != mark; n = n->before)
        if (n->kind == NAME_LABEL || n->kind == NAME_TABLE) {
            struct name *copy = ARENA_NEW(&p->scratch, struct name);
            *copy = *n;
            copy->next = labels;
            labels = copy;
        }
    names_forget(&p->names, mark);
    for (; labels; labels = labels->next)
        names_add(&p->names, labels->text, labels->len, labels->kind, labels->index, 1);
}

static struct ptx_block *block_at(const struct parser *p, uint32_t block)
{
    return (struct ptx_block *)p->blocks.items + block - 1;
}

static uint32_t begin_block(struct parser *p, uint32_t depth)
{
    *(struct ptx_block *)list_add(&p->blocks, p->a, sizeof(struct ptx_block)) =
        (struct ptx_block){.first = (uint32_t)p->insns.n, .depth = depth};
    return (uint32_t)p->blocks.n;
}

static int parse_body(struct parser *p)
{
    struct name *marks[PTX_MAX_BLOCKS];
    uint32_t arguments[PTX_MAX_BLOCKS], outer[PTX_MAX_BLOCKS];
    size_t depth = 0;
    do {
        if (parse_punct(p, '{')) {
            if (depth == PTX_MAX_BLOCKS)
                return parse_fail(p, "blocks are nested more than %d deep", PTX_MAX_BLOCKS);
            arguments[depth] = p->argument_bytes;
            outer[depth] = p->block;
            if (depth > 0)
                p->block = begin_block(p, (uint32_t)depth);
            marks[depth++] = p->names.last;
            lex_next(&p->x);
        } else if (parse_punct(p, '}')) {
            if (--depth > 0) {
                leave_block(p, marks[depth]);
                p->argument_bytes = arguments[depth];
                block_at(p, p->block)->end = (uint32_t)p->insns.n;
                p->block = outer[depth];
            }
            lex_next(&p->x);
        } else if (p->x.token.kind == TOKEN_END) {
            return parse_fail(p, "the body of '%s' is never closed",
                              body_at(p, (size_t)p->body)->name);
        } else if (parse_statement(p) != OK) {
            return p->d->code;
        }
    } while (depth > 0);
    return OK;
}

static int find_label(struct parser *p, const struct token *t, uint32_t *out)
{
    const struct name *n = names_find(&p->names, t->text, t->len);
    if (!n || n->kind != NAME_LABEL)
        return diag_fail(p->d, ERR_INPUT, t->at, "there is no label '%.*s'", (int)t->len, t->text);
    *out = n->index;
    return OK;
}

static int resolve_table(struct parser *p, struct ptx_insn *i, const struct token *t)
{
    const struct name *n = names_find(&p->names, t->text, t->len);
    if (!n || n->kind != NAME_TABLE)
        return diag_fail(p->d, ERR_INPUT, t->at, "there is no table of targets '%.*s'", (int)t->len,
                         t->text);
    const struct branch_table *table = (const struct branch_table *)p->tables.items + n->index;
    uint32_t *targets = arena_array(p->a, table->n, sizeof *targets);
    for (size_t k = 0; k < table->n; k++)
        if (find_label(p, &table->labels[k], &targets[k]) != OK)
            return ERR_INPUT;
    i->targets = targets;
    i->n_targets = (uint32_t)table->n;
    return OK;
}

static int resolve_labels(struct parser *p)
{
    struct ptx_insn *insns = p->insns.items;
    const struct label_use *uses = p->uses.items;
    for (size_t i = 0; i < p->uses.n; i++) {
        struct ptx_insn *at = &insns[uses[i].insn];
        if (at->op == PTX_BRX ? resolve_table(p, at, &uses[i].token) != OK
                              : find_label(p, &uses[i].token, &at->target) != OK)
            return p->d->code;
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
        s->formal = true;
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
        bool required = at_word(p, ".reqntid"), threads = at_word(p, ".maxntid") || required;
        if (at_word(p, ".pragma")) {
            if (skip_pragma(p) != OK)
                return ERR_INPUT;
            continue;
        }
        if (!threads && !at_word(p, ".minnctapersm") && !at_word(p, ".maxnreg") &&
            !at_word(p, ".maxnctapersm") && !at_word(p, ".noreturn") &&
            !at_word(p, ".reqnctapercluster") && !at_word(p, ".explicitcluster") &&
            !at_word(p, ".maxclusterrank") && !at_word(p, ".unique") &&
            !at_word(p, ".abi_preserve") && !at_word(p, ".abi_preserve_control"))
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
        if (threads && p->k)
            *(required ? &p->k->required_threads : &p->k->max_threads) = (uint32_t)product;
    }
    return OK;
}

static int check_end(struct parser *p)
{
    const struct ptx_insn *insns = p->insns.items;
    size_t n = p->insns.n;
    bool ends =
        n > 0 && insns[n - 1].guard < 0 &&
        (insns[n - 1].op == PTX_RET || insns[n - 1].op == PTX_EXIT || insns[n - 1].op == PTX_BRA ||
         insns[n - 1].op == PTX_BRX || insns[n - 1].op == PTX_TRAP);
    for (size_t i = 0; i < n && ends; i++) {
        ends = insns[i].op != PTX_BRA || insns[i].target < n;
        for (uint32_t k = 0; k < insns[i].n_targets; k++)
            ends &= insns[i].targets[k] < n;
    }
    if (ends)
        return OK;
    struct ptx_insn *i =
        list_add(&p->insns, p->a, sizeof *i); /* PTX: running off the end returns */
    *i = (struct ptx_insn){.op = PTX_RET,
                           .guard = -1,
                           .dst = {-1, -1, -1, -1},
                           .target = PTX_NOWHERE,
                           .reconverge = PTX_NOWHERE,
                           .at = {p->x.name, p->x.token.at.line, p->x.token.at.col},
                           .mnemonic = "ret"};
    return OK;
}

/* Room for a new body; its symbol can be called from now on. */
static uint32_t add_body(struct parser *p, struct token t, bool is_kernel)
{
    uint32_t number = (uint32_t)p->bodies.n;
    struct ptx_body *b = list_add(&p->bodies, p->a, sizeof *b);
    struct variable v = {.name = t, .align = 1};
    b->name = arena_strndup(p->a, t.text, t.len);
    b->at = (struct loc){p->x.name, t.at.line, t.at.col};
    b->is_kernel = is_kernel;
    b->symbol = (uint32_t)p->symbols.n;
    p->body = -1;
    add_symbol(p, &v, PTX_SYM_FUNCTION)->address = number;
    return number;
}

static void begin_body(struct parser *p, uint32_t number)
{
    p->body = (int32_t)number;
    p->insns = p->regs = p->params = p->uses = p->tables = p->blocks = (struct list){0};
    p->block = 0;
    p->local_bytes = p->argument_bytes = p->most_argument_bytes = 0;
    p->source_line = 0;
}

/* Variables of calls come after the others in local memory. */
static void place_arguments(struct parser *p, struct ptx_body *b, size_t first_symbol)
{
    uint32_t start = (p->local_bytes + 15) / 16 * 16;
    for (size_t i = first_symbol; i < p->symbols.n; i++)
        if (symbol_at(p, i)->kind == PTX_SYM_ARGUMENT)
            symbol_at(p, i)->address += start;
    b->local_bytes =
        p->most_argument_bytes ? (start + p->most_argument_bytes + 15) / 16 * 16 : p->local_bytes;
    struct ptx_argument *formal[2] = {(struct ptx_argument *)b->params,
                                      (struct ptx_argument *)b->rets};
    for (uint32_t n = 0; n < b->n_params; n++)
        formal[0][n].address += start;
    for (uint32_t n = 0; n < b->n_rets; n++)
        formal[1][n].address += start;
    struct ptx_insn *insns = p->insns.items;
    for (size_t i = 0; i < p->insns.n; i++) {
        struct ptx_call *call = (struct ptx_call *)insns[i].call;
        for (uint32_t n = 0; call && n < call->n_args + call->n_rets; n++)
            ((struct ptx_argument *)(n < call->n_args ? call->args : call->rets - call->n_args))[n]
                .address += start;
    }
}

static int finish_body(struct parser *p, struct name *mark, size_t first_symbol)
{
    if (!parse_punct(p, '{'))
        return parse_expect(p, '{');
    if (parse_body(p) != OK || resolve_labels(p) != OK || check_end(p) != OK)
        return p->d->code;
    struct ptx_body *b = body_at(p, (size_t)p->body);
    place_arguments(p, b, first_symbol);
    b->defined = true;
    b->n_insns = p->insns.n;
    b->insns = p->insns.items;
    b->n_regs = p->regs.n;
    b->regs = p->regs.items;
    b->n_tables = (uint32_t)p->tables.n;
    b->n_blocks = p->blocks.n;
    b->blocks = p->blocks.items;
    p->k = NULL;
    p->body = -1;
    names_forget(&p->names, mark);
    return OK;
}

static int parse_entry(struct parser *p)
{
    lex_next(&p->x);
    struct token t = p->x.token;
    if (t.kind != TOKEN_WORD)
        return parse_fail(p, "a kernel name was expected");
    uint32_t number = add_body(p, t, true);
    struct name *mark = p->names.last;
    size_t first_symbol = p->symbols.n;
    p->k = list_add(&p->kernels, p->a, sizeof *p->k);
    p->k->name = body_at(p, number)->name;
    p->k->at = body_at(p, number)->at;
    *(uint32_t *)list_add(&p->kernel_body, &p->scratch, sizeof number) = number;
    begin_body(p, number);
    lex_next(&p->x);
    if (parse_params(p) != OK || parse_performance(p) != OK)
        return p->d->code;
    if (parse_punct(p, ';')) { /* declared only */
        p->kernels.n--;
        p->kernel_body.n--;
        p->k = NULL;
        p->body = -1;
        names_forget(&p->names, mark);
        lex_next(&p->x);
        return OK;
    }
    struct ptx_kernel *k = p->k;
    if (finish_body(p, mark, first_symbol) != OK)
        return p->d->code;
    k->n_params = p->params.n;
    k->params = p->params.items;
    return OK;
}

/* ---- Functions ------------------------------------------------------------------------------------------ */
/* (.param .b32 a, ..): variables in the function's local memory. */
static int parse_formals(struct parser *p, const struct ptx_argument **out, uint32_t *n)
{
    struct list formals = {0};
    *n = 0;
    if (!parse_punct(p, '('))
        return OK;
    lex_next(&p->x);
    while (!parse_punct(p, ')')) {
        struct ptx_symbol *s;
        if (formals.n && parse_expect(p, ',') != OK)
            return ERR_INPUT;
        if (at_word(p, ".reg"))
            return diag_fail(p->d, ERR_UNSUPPORTED, p->x.token.at,
                             "parameters in registers are not supported: '.param' was expected");
        if (!at_word(p, ".param"))
            return parse_fail(p, "'.param' was expected, not '%.*s'", (int)p->x.token.len,
                              p->x.token.text);
        if (parse_argument(p, &s) != OK)
            return p->d->code;
        s->formal = true;
        *(struct ptx_argument *)list_add(&formals, p->a, sizeof(struct ptx_argument)) =
            (struct ptx_argument){(uint32_t)s->address, (uint32_t)s->bytes, 0};
    }
    lex_next(&p->x);
    *out = formals.items;
    *n = (uint32_t)formals.n;
    return OK;
}

/* A function's results come before its name, so the name of its number is found by looking ahead. */
static int function_number(struct parser *p, uint32_t *number)
{
    struct lexer here = p->x;
    if (parse_punct(p, '(') && skip_balanced(p, '(', ')') != OK)
        return ERR_INPUT;
    struct token t = p->x.token;
    if (t.kind != TOKEN_WORD)
        return parse_fail(p, "a function name was expected");
    p->x = here;
    const struct name *n = names_find(&p->names, t.text, t.len);
    if (n && (n->kind != NAME_SYMBOL || symbol_at(p, n->index)->kind != PTX_SYM_FUNCTION ||
              body_at(p, symbol_at(p, n->index)->address)->is_kernel))
        return diag_fail(p->d, ERR_INPUT, t.at, "'%.*s' is declared twice", (int)t.len, t.text);
    *number = n ? (uint32_t)symbol_at(p, n->index)->address : add_body(p, t, false);
    return OK;
}

static int parse_function(struct parser *p)
{
    uint32_t number = 0;
    lex_next(&p->x);
    while (at_word(p, ".attribute")) {
        lex_next(&p->x);
        if (skip_balanced(p, '(', ')') != OK)
            return ERR_INPUT;
    }
    if (function_number(p, &number) != OK)
        return p->d->code;
    struct name *mark = p->names.last;
    size_t first_symbol = p->symbols.n;
    bool again = body_at(p, number)->defined;
    struct token name;
    begin_body(p, number);
    const struct ptx_argument *rets = NULL, *params = NULL;
    uint32_t n_rets, n_params;
    if (parse_formals(p, &rets, &n_rets) != OK)
        return p->d->code;
    name = p->x.token;
    lex_next(&p->x);
    if (parse_formals(p, &params, &n_params) != OK || parse_performance(p) != OK)
        return p->d->code;
    if (again && !parse_punct(p, ';'))
        return diag_fail(p->d, ERR_INPUT, name.at, "'%.*s' is defined twice", (int)name.len,
                         name.text);
    if (!again) {
        struct ptx_body *b = body_at(p, number);
        b->rets = rets;
        b->n_rets = n_rets;
        b->params = params;
        b->n_params = n_params;
    }
    if (parse_punct(p, ';')) { /* the names of a declaration are nobody's */
        for (size_t i = first_symbol; i < p->symbols.n; i++)
            symbol_at(p, i)->owner = -2;
        p->body = -1;
        names_forget(&p->names, mark);
        lex_next(&p->x);
        return OK;
    }
    return finish_body(p, mark, first_symbol);
}

/* ---- Module --------------------------------------------------------------------------------------------- */
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
        return diag_fail(p->d, ERR_UNSUPPORTED, p->x.token.at,
                         "32-bit addresses are not supported");
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

/* .alias new, old; */
static int parse_alias(struct parser *p)
{
    lex_next(&p->x);
    struct token to = p->x.token;
    lex_next(&p->x);
    if (parse_expect(p, ',') != OK)
        return ERR_INPUT;
    const struct name *n = names_find(&p->names, to.text, to.len);
    const struct name *old = names_find(&p->names, p->x.token.text, p->x.token.len);
    if (!n || n->kind != NAME_SYMBOL || !old || old->kind != NAME_SYMBOL ||
        symbol_at(p, n->index)->kind != PTX_SYM_FUNCTION ||
        symbol_at(p, old->index)->kind != PTX_SYM_FUNCTION)
        return parse_fail(p, "'.alias' wants two functions that are declared");
    symbol_at(p, n->index)->address = symbol_at(p, old->index)->address;
    lex_next(&p->x);
    return parse_expect(p, ';');
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
        return parse_function(p);
    if (at_word(p, ".shared"))
        return parse_storage(p, PTX_SYM_SHARED, is_extern);
    if (at_word(p, ".const"))
        return parse_constant(p);
    if (at_word(p, ".global"))
        return parse_global(p, is_extern);
    if (at_word(p, ".alias"))
        return parse_alias(p);
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
    names_add(&p->rows, "ldu", 3, NAME_SYMBOL, PTX_LD, 1); /* uniform across the warp: a hint */
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

static int finish(struct parser *p, struct text text)
{
    uint64_t h[2];
    hash_text(h, text);
    p->m->n_kernels = p->kernels.n;
    p->m->kernels = p->kernels.items;
    p->m->n_bodies = p->bodies.n;
    p->m->bodies = p->bodies.items;
    p->m->n_symbols = p->symbols.n;
    p->m->symbols = p->symbols.items;
    p->m->constants = p->constants;
    p->m->global_bytes = p->global_bytes;
    for (size_t i = 0; i < p->kernels.n; i++) {
        struct ptx_kernel *k = &p->m->kernels[i];
        k->hash[0] = h[0] + i;
        k->hash[1] = h[1] ^ i;
        k->constants = p->constants;
        k->constant_bytes = p->constant_bytes;
        k->symbols = p->symbols.items;
        k->n_symbols = p->symbols.n;
        k->global_bytes = p->global_bytes;
        k->relocations = p->relocations.items;
        k->n_relocations = (uint32_t)p->relocations.n;
    }
    return ptx_link(p);
}

int ptx_parse_with(struct ptx_module **out, struct arena *a, struct text text,
                   const struct ptx_options *options, struct diag *d)
{
    struct diag own = {0};
    struct parser p = {.a = a, .d = d ? d : &own, .body = -1, .lazy = options && options->lazy};
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
    if (rc == OK)
        rc = finish(&p, text);
    if (rc == OK)
        *out = p.m;
    arena_fini(&p.scratch);
    return rc;
}

int ptx_parse(struct ptx_module **out, struct arena *a, struct text text, struct diag *d)
{
    return ptx_parse_with(out, a, text, NULL, d);
}
