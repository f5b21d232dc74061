/* Winograd's minimal filtering: kernels/winograd/. */
#include <stdio.h>

#include "conv/priv.h"

/* Items of some planes, one to a thread: a grid for each plane; or, persistent, one for all. */
enum style { PASSING, PERSISTENT };
static struct plan_launch *plan_transform(struct conv_plan *plan, const char *label,
                                          const char *kernel, const char *file, enum style style,
                                          uint64_t items, uint64_t planes)
{
    const uint64_t threads = style == PERSISTENT ? 512 : 128;
    struct plan_launch *l = plan_launch(plan, label, kernel, threads, "%s", file);
    if (style == PERSISTENT)
        plan_grid(l, plan_persistent(div_up(items * planes, threads)), 1, 1);
    else
        plan_grid(l, div_up(items, threads), planes, 1);
    return l;
}

/* Workspace: u[point][filter][channel], v[point][channel][tile], m[point][filter][tile]. */
static int plan_nonfused(struct conv_plan *plan, const struct conv_problem *p, int out,
                         enum style style, const char *tile, struct diag *d)
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
    snprintf(file, sizeof file, "winograd-%s-%dx%d-%dx%d",
             style == PERSISTENT ? "multipass" : "nonfused", out, out, p->r, p->s);
    struct plan_launch *l =
        plan_transform(plan, "filter-transform", "filter_transform", file, style, planes, 1);
    PLAN_BUFFERS(l, BUFFER_FILTER, u);
    plan_int(l, (int)planes);

    l = plan_transform(plan, "input-transform", "input_transform", file, style, tiles, channels);
    PLAN_BUFFERS(l, BUFFER_INPUT, v);
    plan_shape(l, p);

    const struct gemm product =
        gemm_of(u, v, m, points * groups, filters / groups, tiles, channels / groups);
    int status = plan_product(plan, &product, tile, d);
    if (status != OK)
        return status;

    l = plan_transform(plan, "output-transform", "output_transform", file, style, tiles, filters);
    PLAN_BUFFERS(l, m, BUFFER_OUTPUT);
    plan_shape(l, p);
    return OK;
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

/* Everything in one launch: out x out outputs from filters cut into pieces of (5 - out) squared. */
static int plan_rxs(struct conv_plan *plan, const struct conv_problem *p, int out)
{
    enum { SIDE = 32, THREADS = 512 };
    const uint64_t groups = (uint64_t)p->groups;
    const uint64_t tiles = (uint64_t)p->n * div_up((uint64_t)conv_out_h(p), (uint64_t)out) *
                           div_up((uint64_t)conv_out_w(p), (uint64_t)out);
    const uint64_t tile_blocks = div_up(tiles, SIDE);
    const uint64_t filter_blocks = div_up((uint64_t)p->k / groups, SIDE);
    const uint64_t items = tile_blocks * filter_blocks * groups;
    struct plan_launch *l =
        plan_launch(plan, "winograd", "winograd_rxs", THREADS, "winograd-rxs-f%dx%d", out, 5 - out);
    plan_grid(l, plan_persistent(items), 1, 1);
    PLAN_BUFFERS(l, BUFFER_INPUT, BUFFER_FILTER, BUFFER_OUTPUT);
    plan_int(l, (int)tile_blocks);
    plan_int(l, (int)filter_blocks);
    plan_int(l, (int)items);
    plan_shape(l, p);
    return OK;
}

#define PLAN(name, plan_it)                                                                        \
    int winograd_##name##_plan(struct conv_plan *plan, const struct conv_problem *p,               \
                               const char *tile, struct diag *d)                                   \
    {                                                                                              \
        (void)tile, (void)d;                                                                       \
        return plan_it;                                                                            \
    }
PLAN(2x2_fused, plan_fused(plan, p, 2, d))
PLAN(4x4_fused, plan_fused(plan, p, 4, d))
PLAN(2x2_nonfused, plan_nonfused(plan, p, 2, PASSING, tile, d))
PLAN(4x4_nonfused, plan_nonfused(plan, p, 4, PASSING, tile, d))
PLAN(2x2_multipass, plan_nonfused(plan, p, 2, PERSISTENT, tile, d))
PLAN(3x3_multipass, plan_nonfused(plan, p, 3, PERSISTENT, tile, d))
PLAN(4x4_multipass, plan_nonfused(plan, p, 4, PERSISTENT, tile, d))
PLAN(5x5_multipass, plan_nonfused(plan, p, 5, PERSISTENT, tile, d))
PLAN(6x6_multipass, plan_nonfused(plan, p, 6, PERSISTENT, tile, d))
PLAN(rxs_f2x3, plan_rxs(plan, p, 2))
PLAN(rxs_f3x2, plan_rxs(plan, p, 3))
#undef PLAN
