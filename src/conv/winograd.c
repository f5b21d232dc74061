/* Winograd's minimal filtering: kernels/winograd/. */
#include <stdio.h>

#include "conv/priv.h"

enum { BLOCK = 128 };

/* Workspace: u[point][filter][channel], v[point][channel][tile], m[point][filter][tile]. */
static int plan_nonfused(struct conv_plan *plan, const struct conv_problem *p, int out,
                         const char *tile, struct diag *d)
{
    const uint64_t size = (uint64_t)(out + p->r - 1), points = size * size;
    const uint64_t tiles = (uint64_t)p->n * div_up((uint64_t)conv_out_h(p), (uint64_t)out) *
                           div_up((uint64_t)conv_out_w(p), (uint64_t)out);
    const uint64_t groups = (uint64_t)p->groups, filters = (uint64_t)p->k,
                   channels = (uint64_t)p->c;
    const uint64_t planes = filters * channels / groups; /* of the filter */
    int u, v, m;
    if (plan_workspace(plan, points * planes, &u, d) != OK ||
        plan_workspace(plan, points * channels * tiles, &v, d) != OK ||
        plan_workspace(plan, points * filters * tiles, &m, d) != OK)
        return ERR_UNSUPPORTED;

    char file[64];
    snprintf(file, sizeof file, "winograd-nonfused-%dx%d-%dx%d", out, out, p->r, p->s);
    struct plan_launch *l =
        plan_launch(plan, "filter-transform", "filter_transform", BLOCK, "%s", file);
    plan_grid(l, div_up(planes, BLOCK), 1, 1);
    PLAN_BUFFERS(l, BUFFER_FILTER, u);
    plan_int(l, (int)planes);

    l = plan_launch(plan, "input-transform", "input_transform", BLOCK, "%s", file);
    plan_grid(l, div_up(tiles, BLOCK), channels, 1);
    PLAN_BUFFERS(l, BUFFER_INPUT, v);
    plan_shape(l, p);

    const struct gemm product =
        gemm_of(u, v, m, points * groups, filters / groups, tiles, channels / groups);
    int status = plan_product(plan, &product, tile, d);
    if (status != OK)
        return status;

    l = plan_launch(plan, "output-transform", "output_transform", BLOCK, "%s", file);
    plan_grid(l, div_up(tiles, BLOCK), filters, 1);
    PLAN_BUFFERS(l, m, BUFFER_OUTPUT);
    plan_shape(l, p);
    return OK;
}

int winograd_2x2_nonfused_plan(struct conv_plan *plan, const struct conv_problem *p,
                               const char *tile, struct diag *d)
{
    return plan_nonfused(plan, p, 2, tile, d);
}

/* The 32 tiles of a thread group: as many images as there are, and a block of neighbours in each. */
struct block {
    int log_n, log_h, log_w;
};
static struct block block_of(int images)
{
    struct block b = {0};
    while (b.log_n < 5 && 1 << b.log_n < images)
        b.log_n++;
    b.log_w = (6 - b.log_n) / 2;
    b.log_h = 5 - b.log_n - b.log_w;
    return b;
}

/* Workspace: u[point][channel][filter]. */
static int plan_fused(struct conv_plan *plan, const struct conv_problem *p, int out, struct diag *d)
{
    enum { FILTERS = 32, TRANSFORM_THREADS = 128 };
    const uint64_t size = (uint64_t)(out + p->r - 1), points = size * size;
    const uint64_t groups = (uint64_t)p->groups, filters = (uint64_t)p->k / groups;
    const uint64_t planes = (uint64_t)p->k * (uint64_t)(p->c / p->groups);
    const struct block b = block_of(p->n);
    const uint64_t blocks_n = div_up((uint64_t)p->n, 1u << b.log_n);
    const uint64_t blocks_h = div_up((uint64_t)conv_out_h(p), (uint64_t)out << b.log_h);
    const uint64_t blocks_w = div_up((uint64_t)conv_out_w(p), (uint64_t)out << b.log_w);
    int u;
    if (plan_workspace(plan, points * planes, &u, d) != OK)
        return ERR_UNSUPPORTED;

    char file[64];
    snprintf(file, sizeof file, "winograd-fused-%dx%d-%dx%d", out, out, p->r, p->s);
    struct plan_launch *l =
        plan_launch(plan, "filter-transform", "filter_transform", TRANSFORM_THREADS, "%s", file);
    plan_grid(l, div_up(planes, TRANSFORM_THREADS), 1, 1);
    PLAN_BUFFERS(l, BUFFER_FILTER, u);
    plan_shape(l, p);

    l = plan_launch(plan, "winograd", "winograd_fused", out == 2 ? 256 : 640, "%s", file);
    plan_grid(l, blocks_n * blocks_h * blocks_w, div_up(filters, FILTERS), groups);
    PLAN_BUFFERS(l, BUFFER_INPUT, u, BUFFER_OUTPUT);
    plan_int(l, (int)blocks_h);
    plan_int(l, (int)blocks_w);
    plan_int(l, b.log_h);
    plan_int(l, b.log_w);
    plan_shape(l, p);
    return OK;
}

int winograd_2x2_fused_plan(struct conv_plan *plan, const struct conv_problem *p, const char *tile,
                            struct diag *d)
{
    (void)tile;
    return plan_fused(plan, p, 2, d);
}

int winograd_4x4_fused_plan(struct conv_plan *plan, const struct conv_problem *p, const char *tile,
                            struct diag *d)
{
    (void)tile;
    return plan_fused(plan, p, 4, d);
}

int winograd_4x4_nonfused_plan(struct conv_plan *plan, const struct conv_problem *p,
                               const char *tile, struct diag *d)
{
    return plan_nonfused(plan, p, 4, tile, d);
}
