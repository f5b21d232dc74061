/* What the files of the parser share. */
#ifndef PTX_PARSER_H
#define PTX_PARSER_H

#include "ptx/insn.h"
#include "ptx/lex.h"
#include "ptx/names.h"

enum { PTX_MAX_REGS = 1 << 18 };

struct label_use {
    struct token token;
    uint32_t insn;
};

/* An array that grows in an arena. */
struct list {
    void *items;
    size_t n, capacity;
};

struct parser {
    struct lexer x;
    struct arena *a;    /* the module's */
    struct arena scratch; /* freed when parsing ends */
    struct diag *d;
    struct ptx_module *m;
    struct names names;
    struct names rows;       /* key -> op */
    struct names specials;

    struct list symbols; /* struct ptx_symbol of the module and of the kernel being read */
    /* The kernel being read. */
    struct ptx_kernel *k;
    struct list insns, regs, params, uses, kernels;
    uint32_t module_shared; /* bytes of shared variables outside kernels: every kernel has them */
    uint8_t *constants; /* constant memory of the module */
    uint32_t constant_bytes;
    int source_line;
};

void *list_add(struct list *l, struct arena *a, size_t size); /* a new zeroed item */

int parse_fail(struct parser *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool parse_punct(const struct parser *p, char c); /* is the current token c? */
int parse_expect(struct parser *p, char c);
int parse_integer(struct parser *p, int64_t *out); /* with sign */

/* One instruction, its guard included, up to and with the ';'. */
int parse_instruction(struct parser *p);

#endif
