/* PTX text -> tokens, one at a time. */
#ifndef PTX_LEX_H
#define PTX_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "base/file.h"

enum token_kind {
    TOKEN_END,
    TOKEN_WORD,   /* a name or mnemonic with its dots, a directive: ld.param.u32 .reg %r1 $L_1 */
    TOKEN_INT,    /* integer */
    TOKEN_F32,    /* 0f3F800000: integer holds the bits */
    TOKEN_F64,    /* 0d... or 1.5: the same */
    TOKEN_STRING, /* text without its quotes */
    TOKEN_PUNCT,  /* punct */
    TOKEN_BAD,    /* nothing PTX has; text is the offending byte */
};

struct token {
    enum token_kind kind;
    char punct;
    const char *text; /* into the source */
    size_t len;
    uint64_t integer;
    struct loc at;
};

struct lexer {
    const char *p, *end, *line_start;
    const char *name; /* of the source, for places */
    int line;
    struct token token; /* the current one */
};

void lex_init(struct lexer *x, struct text source);
void lex_next(struct lexer *x);

bool token_is(const struct token *t, const char *word); /* a word spelled so */

#endif
