/* What the files of the parser share. */
#ifndef PTX_PARSER_H
#define PTX_PARSER_H

#include "ptx/insn.h"
#include "ptx/lex.h"
#include "ptx/names.h"

enum { PTX_MAX_REGS = 1 << 18 };

struct label_use { /* by a bra: the label; by a brx: its table */
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
    struct arena *a;      /* the module's */
    struct arena scratch; /* freed when parsing ends */
    struct diag *d;
    struct ptx_module *m;
    struct names names;
    struct names rows; /* key -> op */
    struct names specials;

    bool lazy;

    struct list symbols; /* struct ptx_symbol of the module and of the bodies so far */
    struct list kernels, bodies, relocations,
        kernel_body; /* kernel_body: number of the kernel's body */
    /* What is being read. */
    struct ptx_kernel *k; /* NULL in functions and outside */
    int32_t body;         /* its number; -1 outside */
    struct list insns, regs, params, uses, tables, blocks;
    uint32_t block;       /* number + 1 of the innermost one; 0: none */
    uint32_t local_bytes; /* variables of this body */
    uint32_t argument_bytes,
        most_argument_bytes; /* parameters, and variables of calls: now, at most */
    uint32_t module_shared;  /* bytes of shared variables outside kernels: every kernel has them */
    uint64_t global_bytes;
    uint8_t *constants; /* constant memory of the module */
    uint32_t constant_bytes;
    int source_line;
};

/* Targets of a brx: label uses [first, first + n) with `table` set. */
struct branch_table {
    struct token *labels;
    size_t n;
};

void *list_add(struct list *l, struct arena *a, size_t size); /* a new zeroed item */

int parse_fail(struct parser *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool parse_punct(const struct parser *p, char c); /* is the current token c? */
int parse_expect(struct parser *p, char c);
int parse_integer(struct parser *p, int64_t *out); /* with sign */
static inline struct ptx_body *body_at(const struct parser *p, size_t n)
{
    return (struct ptx_body *)p->bodies.items + n;
}
static inline struct ptx_symbol *symbol_at(const struct parser *p, size_t n)
{
    return (struct ptx_symbol *)p->symbols.items + n;
}

/* One instruction, its guard included, up to and with the ';'. */
int parse_instruction(struct parser *p);

/* link.c: bodies -> kernels with all functions that they may call. */
int ptx_link(struct parser *p);

#endif
