/* The options that say how a user's kernel is launched: shared by run and inject. */
#ifndef CLI_KERNEL_H
#define CLI_KERNEL_H

#include "cli/cli.h"
#include "user/user.h"

struct kernel_args {
    const char *kernel;
    struct doubles grid, block;
    int shared;
    bool lazy;
};

#define KERNEL_OPTIONS(type, field, letter)                                                        \
    {"kernel",                                                                                     \
     letter,                                                                                       \
     OPT_STRING,                                                                                   \
     "NAME",                                                                                       \
     "which kernel of the file [the only one]",                                                    \
     offsetof(type, field.kernel)},                                                                \
        {"grid", 0, OPT_DOUBLES, "X,Y,Z", "thread blocks [1]", offsetof(type, field.grid)},        \
        {"block", 0, OPT_DOUBLES, "X,Y,Z", "threads of a block [1]", offsetof(type, field.block)}, \
        {"shared", 0, OPT_INT, "BYTES", "dynamic shared memory", offsetof(type, field.shared)},    \
    {                                                                                              \
        "lazy", 0, OPT_FLAG, NULL, "refuse unsupported instructions only where they are reached",  \
            offsetof(type, field.lazy)                                                             \
    }

void kernel_defaults(struct kernel_args *o);
/* Of the operands FILE.ptx ARGUMENT...; all belongs to the command's arena, but for user_program_fini. */
int kernel_load(struct user_program *out, struct cli *cli, const struct kernel_args *o);

#endif
