/* Direct convolution: kernels/direct/. */
#include "conv/priv.h"

#include <string.h>

int direct_plan(struct conv_plan *plan, const struct conv_problem *p, const char *tile,
                struct diag *d)
{
    (void)tile, (void)d;
    enum { BLOCK = 256 };
    const bool nhwc = p->layout == LAYOUT_NHWC;
    struct plan_launch *l =
        plan_launch(plan, "direct", "direct", BLOCK, nhwc ? "direct-nhwc" : "direct");
    const uint64_t per_image =
        nhwc ? (uint64_t)p->groups * (uint64_t)conv_out_h(p) : (uint64_t)p->k;
    plan_grid(l, (uint64_t)p->n * per_image, 1, 1);
    PLAN_BUFFERS(l, BUFFER_INPUT, BUFFER_FILTER, BUFFER_OUTPUT);
    plan_shape(l, p);
    return OK;
}

/* One of the names in a comma separated list; the one at `preferred` if name is empty. */
static int pick(const char **out, const char *const *names, int n, int preferred, const char *name,
                struct diag *d)
{
    *out = names[preferred];
    for (int i = 0; i < n && *name; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = names[i];
            return OK;
        }
    return *name ? no_tile(name, d) : OK;
}

int direct_tiled_plan(struct conv_plan *plan, const struct conv_problem *p, const char *tile,
                      struct diag *d)
{
    static const char *const names[] = {"8x8", "16x16", "32x32"};
    const int edges[] = {8, 16, 32}, per_thread[] = {1, 2, 2};
    enum { FILTERS = 8 };
    const int largest = conv_out_h(p) > conv_out_w(p) ? conv_out_h(p) : conv_out_w(p);
    int status = pick(&plan->tile, names, 3, largest <= 8 ? 0 : largest <= 16 ? 1 : 2, tile, d);
    if (status != OK)
        return status;
    int i = 0;
    while (names[i] != plan->tile)
        i++;
    const uint64_t edge = (uint64_t)edges[i], span = edge / (uint64_t)per_thread[i];
    struct plan_launch *l =
        plan_launch(plan, "direct-tiled", "direct_tiled", span * span, "direct-tiled-%s-%dx%d-s%d",
                    names[i], p->r, p->s, p->stride_h);
    plan_grid(l, div_up((uint64_t)conv_out_h(p), edge) * div_up((uint64_t)conv_out_w(p), edge),
              (uint64_t)p->groups * div_up((uint64_t)(p->k / p->groups), FILTERS), (uint64_t)p->n);
    PLAN_BUFFERS(l, BUFFER_INPUT, BUFFER_FILTER, BUFFER_OUTPUT);
    plan_shape(l, p);
    return OK;
}

int direct_1x1_plan(struct conv_plan *plan, const struct conv_problem *p, const char *tile,
                    struct diag *d)
{
    static const char *const names[] = {"16x1", "16x2", "32x1", "32x2"};
    enum { THREADS = 64 };
    const uint64_t pixels = (uint64_t)(conv_out_h(p) * conv_out_w(p));
    const int filters = p->k / p->groups;
    int status = pick(&plan->tile, names, 4, (filters > 16) * 2 + (pixels > THREADS), tile, d);
    if (status != OK)
        return status;
    const uint64_t per_thread = plan->tile[0] == '1' ? 16 : 32,
                   wide = (uint64_t)(plan->tile[3] - '0');
    struct plan_launch *l =
        plan_launch(plan, "direct-1x1", "direct_1x1", THREADS, "direct-1x1-%s", plan->tile);
    plan_grid(l, div_up(pixels, THREADS * wide),
              (uint64_t)p->groups * div_up((uint64_t)filters, per_thread), (uint64_t)p->n);
    PLAN_BUFFERS(l, BUFFER_INPUT, BUFFER_FILTER, BUFFER_OUTPUT);
    plan_shape(l, p);
    return OK;
}

int direct_depthwise_plan(struct conv_plan *plan, const struct conv_problem *p, const char *tile,
                          struct diag *d)
{
    enum { EDGE = 8, CHANNELS = 16, THREADS = 128 };
    (void)tile, (void)d;
    struct plan_launch *l = plan_launch(plan, "direct-depthwise", "direct_depthwise", THREADS,
                                        "direct-depthwise-%dx%d-s%d", p->r, p->s, p->stride_h);
    plan_grid(l, div_up((uint64_t)conv_out_h(p), EDGE) * div_up((uint64_t)conv_out_w(p), EDGE),
              div_up((uint64_t)p->k, CHANNELS), (uint64_t)p->n);
    PLAN_BUFFERS(l, BUFFER_INPUT, BUFFER_FILTER, BUFFER_OUTPUT);
    plan_shape(l, p);
    return OK;
}
