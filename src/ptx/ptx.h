/* PTX text -> a checked module: decoded instructions, control flow, reconvergence points.
 * Source: NVIDIA, "Parallel Thread Execution ISA". What an instruction is, is one row of isa.def.
 * The decoded form is independent of PTX syntax, so that another instruction set can make it. */
#ifndef PTX_PTX_H
#define PTX_PTX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/diag.h"
#include "base/file.h"
#include "vocab/vocab.h"

struct ptx_module; /* owns its kernels; lives in the arena it was parsed into */
struct ptx_kernel;
struct ptx_insn;

/* Parse and check text. On failure d says file:line:col and the instruction or symbol. Never
 * crashes, whatever the bytes. The module keeps no pointer to text. */
int ptx_parse(struct ptx_module **out, struct arena *a, struct text text, struct diag *d);

/* The same with choices. */
struct ptx_options {
    bool
        lazy; /* what is not supported is refused only when it is reached: the kernel traps there */
};
int ptx_parse_with(struct ptx_module **out, struct arena *a, struct text text,
                   const struct ptx_options *options, struct diag *d);

/* The kernel (.entry) of that name; ERR_INPUT, naming those there are, if there is none. */
int ptx_find_kernel(const struct ptx_kernel **out, const struct ptx_module *m, const char *name,
                    struct diag *d);

size_t ptx_n_kernels(const struct ptx_module *m);
const struct ptx_kernel *ptx_kernel_at(const struct ptx_module *m, size_t i);

size_t ptx_n_insns(const struct ptx_kernel *k);
const struct ptx_insn *ptx_insn_at(const struct ptx_kernel *k, size_t index);
const char *ptx_kernel_name(const struct ptx_kernel *k);

/* Parameters: the launch passes one block of bytes laid out by these offsets. */
struct ptx_param {
    const char *name;
    uint32_t offset, bytes;
};
size_t ptx_n_params(const struct ptx_kernel *k);
struct ptx_param ptx_param_at(const struct ptx_kernel *k, size_t i);
uint32_t ptx_params_bytes(const struct ptx_kernel *k);
uint32_t ptx_shared_bytes(const struct ptx_kernel *k); /* static shared memory of one CTA */

/* What instruction i is: for the population of faults, for profiles and for messages. */
struct ptx_insn_info {
    const char *mnemonic; /* "fma.rn.f32" */
    uint32_t groups;      /* bit g set: belongs to enum group g */
    bool folded;          /* the assembler removes it on hardware: parameter loads, moves, cvta */
    int n_dst;            /* registers it writes: 0, 1, or up to 4 for vector loads */
    int dst_bits;         /* bits of each: 1 (predicate), 16, 32, 64 */
    struct loc at;        /* place in the PTX text */
    int source_line;      /* line of the kernel's source by .loc, 0 if the PTX does not say */
};
struct ptx_insn_info ptx_insn_info(const struct ptx_kernel *k, size_t index);

/* PTX text of the module that parses to an equal module (addresses, labels and names may differ in
 * spelling only). In a. */
char *ptx_print(struct arena *a, const struct ptx_module *m);

#endif
