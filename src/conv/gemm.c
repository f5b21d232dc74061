/* The GEMM family: kernels/gemm/. */
#include "conv/priv.h"

static uint64_t n_pixels(const struct conv_problem *p)
{
    return (uint64_t)p->n * (uint64_t)(conv_out_h(p) * conv_out_w(p));
}

/* One launch whose rows are a group's filters and whose columns are the pixels of all images. */
static struct plan_launch *plan_implicit(struct conv_plan *plan, const struct conv_problem *p,
                                         const struct tile *t, const char *kernel, const char *name)
{
    const uint64_t groups = (uint64_t)p->groups, filters = (uint64_t)p->k / groups;
    plan->tile = t->name;
    struct plan_launch *l = plan_launch(plan, name, kernel, TILE_THREADS(t), "%s-%s", name, t->name);
    plan_grid(l, div_up(n_pixels(p), (uint64_t)t->bn), div_up(filters, (uint64_t)t->bm), groups);
    return l;
}

static int choose(const struct tile **t, const char *name, const struct conv_problem *p,
                  struct diag *d)
{
    const uint64_t groups = (uint64_t)p->groups, filters = (uint64_t)p->k / groups;
    return tile_choose(t, name, false, filters, n_pixels(p), groups, d);
}

int implicit_gemm_plan(struct conv_plan *plan, const struct conv_problem *p, const char *tile,
                       struct diag *d)
{
    const struct tile *t;
    int status = choose(&t, tile, p, d);
    if (status != OK)
        return status;
    struct plan_launch *l = plan_implicit(plan, p, t, "implicit_gemm", "implicit-gemm");
    PLAN_BUFFERS(l, BUFFER_INPUT, BUFFER_FILTER, BUFFER_OUTPUT);
    plan_shape(l, p);
    return OK;
}

int implicit_precomp_gemm_supports(const struct conv_problem *p, struct diag *d)
{
    enum { MOST = 32768 }; /* the table has 16 bits for each coordinate */
    if ((p->r - 1) * (int64_t)p->dilation_h < MOST && (p->s - 1) * (int64_t)p->dilation_w < MOST)
        return OK;
    return diag_fail(d, ERR_UNSUPPORTED, DIAG_NOWHERE,
                     "the dilated filter must be at most %d high and wide", MOST);
}

int implicit_precomp_gemm_plan(struct conv_plan *plan, const struct conv_problem *p,
                               const char *tile, struct diag *d)
{
    enum { BLOCK = 128 };
    const uint64_t inner = (uint64_t)(p->c / p->groups) * (uint64_t)(p->r * p->s);
    const struct tile *t;
    int table, status = choose(&t, tile, p, d);
    if (status == OK)
        status = plan_workspace(plan, 2 * inner, &table, d);
    if (status != OK)
        return status;
    struct plan_launch *l =
        plan_launch(plan, "index-table", "index_table", BLOCK, "implicit-precomp-gemm-%s", t->name);
    plan_grid(l, div_up(inner, BLOCK), 1, 1);
    PLAN_BUFFERS(l, table);
    plan_shape(l, p);
    l = plan_implicit(plan, p, t, "implicit_precomp_gemm", "implicit-precomp-gemm");
    PLAN_BUFFERS(l, BUFFER_INPUT, BUFFER_FILTER, table, BUFFER_OUTPUT);
    plan_shape(l, p);
    return OK;
}

/* A 1x1 filter that skips nothing needs no columns: the image is the matrix. */
static bool is_matrix_product(const struct conv_problem *p)
{
    return p->r == 1 && p->s == 1 && p->stride_h == 1 && p->stride_w == 1 && p->pad_top == 0 &&
           p->pad_bottom == 0 && p->pad_left == 0 && p->pad_right == 0;
}

static void plan_im2col(struct conv_plan *plan, const struct conv_problem *p, int image, int columns,
                        uint64_t rows)
{
    enum { BLOCK = 256 };
    struct plan_launch *l = plan_launch(plan, "im2col", "im2col", BLOCK, "im2col");
    plan_grid(l, div_up(n_pixels(p) / (uint64_t)p->n, BLOCK), rows, 1);
    PLAN_BUFFERS(l, BUFFER_INPUT, columns);
    plan_int(l, image);
    plan_shape(l, p);
}

int gemm_plan(struct conv_plan *plan, const struct conv_problem *p, const char *tile, struct diag *d)
{
    const uint64_t groups = (uint64_t)p->groups, pixels = n_pixels(p) / (uint64_t)p->n;
    const uint64_t rows = (uint64_t)p->c * (uint64_t)(p->r * p->s);
    const bool direct = is_matrix_product(p);
    int columns = BUFFER_INPUT;
    if (!direct && plan_workspace(plan, rows * pixels, &columns, d) != OK)
        return ERR_UNSUPPORTED;
    for (int image = 0; image < p->n; image++) {
        if (!direct)
            plan_im2col(plan, p, image, columns, rows);
        const struct gemm g = {.a = BUFFER_FILTER, .b = columns, .c = BUFFER_OUTPUT,
                                .b0 = direct ? (uint64_t)image * rows * pixels : 0,
                                .c0 = (uint64_t)image * (uint64_t)p->k * pixels, .batch = groups,
                                .m = (uint64_t)p->k / groups, .n = pixels, .k = rows / groups};
        int status = plan_product(plan, &g, tile, d);
        if (status != OK)
            return status;
    }
    return OK;
}

enum { MAX_DEPTH = 65535 };

int plan_product(struct conv_plan *plan, const struct gemm *g, const char *tile, struct diag *d)
{
    const struct tile *t;
    int status = tile_choose(&t, tile, g->complex, g->m, g->n, g->batch, d);
    if (status != OK)
        return status;
    const char *name = g->complex ? "cgemm" : "sgemm";
    plan->tile = t->name;
    /* A grid is at most 65535 deep. */
    for (uint64_t z = 0; z < g->batch; z += MAX_DEPTH) {
        const uint64_t depth = g->batch - z < MAX_DEPTH ? g->batch - z : MAX_DEPTH;
        struct plan_launch *l =
            plan_launch(plan, name, name, TILE_THREADS(t), "%s-%s", name, t->name);
        plan_grid(l, div_up(g->n, (uint64_t)t->bn), div_up(g->m, (uint64_t)t->bm), depth);
        PLAN_BUFFERS(l, g->a, g->b, g->c);
        plan_int(l, (int)z);
        plan_int(l, (int)g->b0);
        plan_int(l, (int)g->c0);
        plan_int(l, (int)g->m);
        plan_int(l, (int)g->n);
        plan_int(l, (int)g->k);
    }
    return OK;
}
