/* The GEMM family: kernels/gemm/. */
#include "conv/priv.h"

int implicit_gemm_supports(const struct conv_problem *p, struct diag *d)
{
    (void)p, (void)d;
    return OK;
}

int implicit_gemm_plan(struct conv_plan *plan, const struct conv_problem *p, const char *tile,
                       struct diag *d)
{
    const uint64_t groups = (uint64_t)p->groups, filters = (uint64_t)p->k / groups;
    const uint64_t pixels = (uint64_t)p->n * (uint64_t)(conv_out_h(p) * conv_out_w(p));
    const struct tile *t;
    int status = tile_choose(&t, tile, filters, pixels, groups, d);
    if (status != OK)
        return status;
    plan->tile = t->name;
    struct plan_launch *l = plan_launch(plan, "implicit-gemm", "implicit_gemm", TILE_THREADS(t),
                                        "implicit-gemm-%s", t->name);
    plan_grid(l, div_up(pixels, (uint64_t)t->bn), div_up(filters, (uint64_t)t->bm), groups);
    PLAN_BUFFERS(l, BUFFER_INPUT, BUFFER_FILTER, BUFFER_OUTPUT);
    plan_shape(l, p);
    return OK;
}

int plan_sgemm(struct conv_plan *plan, const struct sgemm *g, const char *tile, struct diag *d)
{
    const struct tile *t;
    int status = tile_choose(&t, tile, g->m, g->n, g->batch, d);
    if (status != OK)
        return status;
    plan->tile = t->name;
    struct plan_launch *l =
        plan_launch(plan, "sgemm", "sgemm", TILE_THREADS(t), "sgemm-%s", t->name);
    plan_grid(l, div_up(g->n, (uint64_t)t->bn), div_up(g->m, (uint64_t)t->bm), g->batch);
    PLAN_BUFFERS(l, g->a, g->b, g->c);
    plan_int(l, (int)g->m);
    plan_int(l, (int)g->n);
    plan_int(l, (int)g->k);
    return OK;
}
