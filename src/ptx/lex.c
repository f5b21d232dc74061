#include "ptx/lex.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_START = 1, WORD_PART = 2, SPACE = 4, DIGIT = 8 };

static int class_of(char c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || c == '%' ||
        c == '.')
        return WORD_START | WORD_PART;
    if (c >= '0' && c <= '9')
        return WORD_PART | DIGIT;
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v')
        return SPACE;
    return 0;
}

void lex_init(struct lexer *x, struct text source)
{
    *x = (struct lexer){.p = source.ptr,
                        .end = source.ptr + source.len,
                        .line_start = source.ptr,
                        .name = source.name,
                        .line = 1};
    lex_next(x);
}

static void newline(struct lexer *x)
{
    if (x->line < INT_MAX)
        x->line++;
    x->line_start = x->p + 1;
}

static void skip_blanks(struct lexer *x)
{
    for (; x->p < x->end; x->p++) {
        if (*x->p == '\n') {
            newline(x);
        } else if (x->end - x->p >= 2 && x->p[0] == '/' && x->p[1] == '/') {
            while (x->p + 1 < x->end && x->p[1] != '\n')
                x->p++;
        } else if (x->end - x->p >= 2 && x->p[0] == '/' && x->p[1] == '*') {
            for (x->p += 2; x->p < x->end && !(x->p[0] == '/' && x->p[-1] == '*'); x->p++)
                if (*x->p == '\n')
                    newline(x);
            if (x->p >= x->end)
                return;
        } else if (!(class_of(*x->p) & SPACE)) {
            return;
        }
    }
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 99;
}

/* Digits of the given base from p on; sets *ok to false if there are none or too many. */
static const char *digits(const char *p, const char *end, unsigned base, uint64_t *out, bool *ok)
{
    uint64_t v = 0;
    const char *start = p;
    for (; p < end && digit_value(*p) < (int)base; p++)
        if (__builtin_mul_overflow(v, base, &v) ||
            __builtin_add_overflow(v, (uint64_t)digit_value(*p), &v))
            *ok = false;
    if (p == start)
        *ok = false;
    *out = v;
    return p;
}

static const char *decimal_float(struct lexer *x, struct token *t)
{
    char copy[64];
    size_t n =
        (size_t)(x->end - x->p) < sizeof copy - 1 ? (size_t)(x->end - x->p) : sizeof copy - 1;
    memcpy(copy, x->p, n);
    copy[n] = 0;
    char *stop;
    double v = strtod(copy, &stop);
    t->kind = TOKEN_F64;
    memcpy(&t->integer, &v, sizeof v);
    return x->p + (stop - copy);
}

static void lex_number(struct lexer *x, struct token *t)
{
    const char *p = x->p;
    bool ok = true;
    char second = x->end - p >= 2 ? p[1] : 0;
    t->kind = TOKEN_INT;
    if (*p == '0' && (second == 'x' || second == 'X')) {
        p = digits(p + 2, x->end, 16, &t->integer, &ok);
    } else if (*p == '0' && (second == 'b' || second == 'B')) {
        p = digits(p + 2, x->end, 2, &t->integer, &ok);
    } else if (*p == '0' && (second == 'f' || second == 'F' || second == 'd' || second == 'D')) {
        t->kind = second == 'f' || second == 'F' ? TOKEN_F32 : TOKEN_F64;
        const char *start = p + 2;
        p = digits(start, x->end, 16, &t->integer, &ok);
        ok = ok && p - start == (t->kind == TOKEN_F32 ? 8 : 16);
    } else {
        p = digits(p, x->end, 10, &t->integer, &ok);
        if (p < x->end && (*p == '.' || *p == 'e' || *p == 'E')) {
            ok = true;
            p = decimal_float(x, t);
        } else if (*x->p == '0' && p - x->p > 1) {
            ok = true;
            p = digits(x->p, x->end, 8, &t->integer, &ok);
        }
    }
    if (p < x->end && *p == 'U' && t->kind == TOKEN_INT)
        p++;
    if (!ok || (p < x->end && class_of(*p) & WORD_PART))
        t->kind = TOKEN_BAD;
    x->p = p;
}

static void lex_word(struct lexer *x)
{
    bool directive = *x->p == '.'; /* .reg.b32 is two */
    for (x->p++; x->p < x->end;) {
        if (directive && *x->p == '.')
            break;
        if (class_of(*x->p) & WORD_PART)
            x->p++;
        else if (x->end - x->p >= 3 && x->p[0] == ':' && x->p[1] == ':' &&
                 class_of(x->p[2]) & WORD_PART) /* .L1::evict_last */
            x->p += 2;
        else
            break;
    }
}

void lex_next(struct lexer *x)
{
    skip_blanks(x);
    struct token *t = &x->token;
    ptrdiff_t col = x->p - x->line_start + 1;
    *t = (struct token){.text = x->p, .at = {x->name, x->line, col < INT_MAX ? (int)col : INT_MAX}};
    if (x->p >= x->end)
        return;
    int class = class_of(*x->p);
    if (class & WORD_START) {
        t->kind = TOKEN_WORD;
        lex_word(x);
    } else if (class & DIGIT) {
        lex_number(x, t);
    } else if (*x->p == '"') {
        const char *start = ++x->p;
        while (x->p < x->end && *x->p != '"' && *x->p != '\n')
            x->p++;
        t->text = start;
        t->len = (size_t)(x->p - start);
        t->kind = x->p < x->end && *x->p == '"' ? TOKEN_STRING : TOKEN_BAD;
        if (t->kind == TOKEN_STRING)
            x->p++;
        return;
    } else {
        t->kind = strchr("{}()[]<>,;:+-!@=|~*", *x->p) && *x->p ? TOKEN_PUNCT : TOKEN_BAD;
        t->punct = *x->p++;
    }
    t->len = (size_t)(x->p - t->text);
}

bool token_is(const struct token *t, const char *word)
{
    return t->kind == TOKEN_WORD && strlen(word) == t->len && memcmp(t->text, word, t->len) == 0;
}
