/* A user's PTX kernel and its arguments -> a simulated program of one launch. */
#ifndef USER_USER_H
#define USER_USER_H

#include "base/arena.h"
#include "base/file.h"
#include "base/npy.h"
#include "base/tensor.h"
#include "simt/simt.h"

/* What `sievert run` and `sievert inject FILE.ptx` take; the notation of the arguments is in USER_ARGUMENTS. */
struct user_args {
    const char *kernel; /* NULL: the only one */
    uint32_t grid[3], block[3], shared;
    bool lazy; /* instructions that are not supported trap where they are reached */
    size_t n;
    const char *const *arg;
};
#define USER_ARGUMENTS                                                                             \
    "Arguments, in the order of the kernel's parameters:\n"                                        \
    "  i32:N u32:N i64:N u64:N f32:X f64:X   a number\n"                                           \
    "  FILE.npy[=OUT.npy]                    a buffer from a file: floats as float32, integers "   \
    "as\n"                                                                                         \
    "                                        they are\n"                                           \
    "  raw:FILE.npy[=OUT.npy]                the same, but floats as they are, too\n"              \
    "  zeros:N[=OUT.npy]  fill:N:X[=OUT.npy] a buffer of N float32, zero or all X; of N others:\n" \
    "                                        zeros:N:TYPE, fill:N:X:TYPE with TYPE from i8 u8 "    \
    "i16\n"                                                                                        \
    "                                        u16 i32 u32 i64 u64 f16 f32 f64\n"

struct user_buffer {
    const char *name;   /* as the argument was written, without =OUT.npy */
    const char *output; /* NULL: not marked as an output */
    bool from_file;
    uint64_t address;
    struct tensor tensor; /* its shape; of other numbers than float32, of their words. data: NULL */
    struct npy_words *other; /* what they are, or NULL */
};

struct user_program {
    struct simt_program sim;
    const struct ptx_kernel *kernel;
    size_t n_buffers;
    struct user_buffer *buffers;
    /* To make it again, see user_restore. */
    const char *ptx, *arguments; /* its text; the rest as JSON */
    uint64_t hash;               /* of the PTX */
    size_t dim[4]; /* of the output: of several buffers, or more dimensions, one row */
};

/* The outputs, which an injection's outcome is about, are the buffers marked by =; without any, all of them.
 * Belongs to a, but for its memory: user_program_fini. ERR_INPUT says what does not fit. */
int user_prepare(struct user_program *out, struct arena *a, struct text ptx,
                 const struct user_args *args, struct diag *d);
/* What was in files, one after another, in a: of a program that has not run. */
const float *user_data(const struct user_program *p, struct arena *a, size_t *n);
/* The same program from what user_prepare left in ptx and arguments, and from its data. */
int user_restore(struct user_program *out, struct arena *a, const char *ptx, const char *arguments,
                 const float *data, size_t n_data, struct diag *d);
void user_program_fini(struct user_program *p);

#endif
