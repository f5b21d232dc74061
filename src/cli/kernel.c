#include "cli/kernel.h"

enum { MAX_PTX_BYTES = 256 << 20 };

void kernel_defaults(struct kernel_args *o) { o->grid = o->block = (struct doubles){1, {1}}; }

static bool sizes(uint32_t out[3], const struct doubles *v, double most)
{
    for (size_t i = 0; i < 3; i++) {
        double x = i < v->n ? v->v[i] : 1;
        if (!(x >= 1 && x <= most))
            return false;
        out[i] = (uint32_t)x;
    }
    return v->n <= 3;
}

int kernel_load(struct user_program *out, struct cli *cli, const struct kernel_args *o)
{
    struct text text;
    struct user_args args = {.kernel = o->kernel,
                             .shared = o->shared > 0 ? (uint32_t)o->shared : 0,
                             .n = (size_t)cli->n_operands - 1,
                             .lazy = o->lazy,
                             .arg = (const char *const *)cli->operands + 1};
    if (!sizes(args.grid, &o->grid, 0x7fffffff) || !sizes(args.block, &o->block, 1024))
        return diag_fail(&cli->diag, ERR_INPUT, DIAG_NOWHERE,
                         "--grid and --block take up to three sizes, from 1");
    int rc = file_read(&text, &cli->arena, cli->operands[0], MAX_PTX_BYTES, &cli->diag);
    return rc == OK ? user_prepare(out, &cli->arena, text, &args, &cli->diag) : rc;
}
