/* Direct convolution: kernels/direct/. */
#include "conv/priv.h"

int direct_plan(struct conv_plan *plan, const struct conv_problem *p, const char *tile, struct diag *d)
{
    (void)tile, (void)d;
    enum { BLOCK = 128 };
    const uint64_t pixels = (uint64_t)conv_out_h(p) * (uint64_t)conv_out_w(p);
    struct plan_launch *l = plan_launch(plan, "direct", "direct", BLOCK, "direct");
    plan_grid(l, div_up(pixels, BLOCK), (uint64_t)p->k, (uint64_t)p->n);
    PLAN_BUFFERS(l, BUFFER_INPUT, BUFFER_FILTER, BUFFER_OUTPUT);
    plan_shape(l, p);
    return OK;
}
