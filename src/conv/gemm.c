/* The GEMM family: kernels/gemm/. */
#include "conv/priv.h"

static uint64_t n_pixels(const struct conv_problem *p)
{
    return (uint64_t)p->n * (uint64_t)(conv_out_h(p) * conv_out_w(p));
}

static const char *layout_suffix(const struct conv_problem *p)
{
    return p->layout == LAYOUT_NHWC ? "-nhwc" : "";
}

/* The result is a matrix of filters x pixels, or in NHWC of pixels x filters. */
static int choose(const struct tile **t, const char *name, enum tile_kind kind,
                  const struct conv_problem *p, struct diag *d)
{
    const uint64_t groups = (uint64_t)p->groups, filters = (uint64_t)p->k / groups;
    return p->layout == LAYOUT_NHWC ? tile_choose(t, name, kind, n_pixels(p), filters, groups, d)
                                    : tile_choose(t, name, kind, filters, n_pixels(p), groups, d);
}

/* Grid: blocks of the pixels of all images, of a group's filters, groups. */
static struct plan_launch *plan_implicit(struct conv_plan *plan, const struct conv_problem *p,
                                         const struct tile *t, const char *kernel, const char *name)
{
    const uint64_t groups = (uint64_t)p->groups, filters = (uint64_t)p->k / groups;
    const bool nhwc = p->layout == LAYOUT_NHWC;
    plan->tile = t->name;
    struct plan_launch *l = plan_launch(plan, name, kernel, TILE_THREADS(t), "%s%s-%s", name,
                                        layout_suffix(p), t->name);
    plan_grid(l, div_up(n_pixels(p), (uint64_t)(nhwc ? t->bm : t->bn)),
              div_up(filters, (uint64_t)(nhwc ? t->bn : t->bm)), groups);
    return l;
}

static int plan_in_one(struct conv_plan *plan, const struct conv_problem *p, enum tile_kind kind,
                       const char *tile, const char *name, struct diag *d)
{
    const struct tile *t;
    int status = choose(&t, tile, kind, p, d);
    if (status != OK)
        return status;
    struct plan_launch *l = plan_implicit(plan, p, t, "implicit_gemm", name);
    PLAN_BUFFERS(l, BUFFER_INPUT, BUFFER_FILTER, BUFFER_OUTPUT);
    plan_shape(l, p);
    return OK;
}

int implicit_gemm_plan(struct conv_plan *plan, const struct conv_problem *p, const char *tile,
                       struct diag *d)
{
    return plan_in_one(plan, p, TILE_PLAIN, tile, "implicit-gemm", d);
}

int implicit_gemm_v4r1_plan(struct conv_plan *plan, const struct conv_problem *p, const char *tile,
                            struct diag *d)
{
    return plan_in_one(plan, p, TILE_WIDE, tile, "implicit-gemm-v4r1", d);
}

/* So many slices that thread groups keep all processors busy; and how long each is. */
static uint64_t slice_of(uint64_t inner, uint64_t most, uint64_t blocks, const struct tile *t)
{
    const uint64_t wanted = div_up(PLAN_PROCESSORS, blocks);
    const uint64_t slices = wanted < 2 ? 2 : wanted > most ? most : wanted, bk = (uint64_t)t->bk;
    return div_up(div_up(inner, slices), bk) * bk;
}

/* Workspace: partial[slice], each as the output. */
int implicit_gemm_split_k_plan(struct conv_plan *plan, const struct conv_problem *p,
                               const char *tile, struct diag *d)
{
    enum { BLOCK = 256, MOST_SLICES = 16, SHORTEST = 64 };
    const uint64_t inner = (uint64_t)(p->c / p->groups) * (uint64_t)(p->r * p->s);
    const uint64_t filters = (uint64_t)(p->k / p->groups), groups = (uint64_t)p->groups;
    uint64_t most = inner / SHORTEST;
    most = most < 2 ? 2 : most > MOST_SLICES ? MOST_SLICES : most;
    const bool nhwc = p->layout == LAYOUT_NHWC;
    const struct tile *t;
    int partial, status = tile_choose(&t, tile, TILE_PLAIN, nhwc ? n_pixels(p) : filters,
                                      nhwc ? filters : n_pixels(p), groups * most, d);
    if (status != OK)
        return status;
    struct plan_launch *l = plan_implicit(plan, p, t, "implicit_gemm", "implicit-gemm-split-k");
    const uint64_t slice = slice_of(inner, most, l->grid[0] * l->grid[1] * groups, t);
    const uint64_t slices = div_up(inner, slice), elems = plan->buffer_elems[BUFFER_OUTPUT];
    status = plan_workspace(plan, slices * elems, &partial, d);
    if (status != OK)
        return status;
    l->grid[2] = groups * slices;
    PLAN_BUFFERS(l, BUFFER_INPUT, BUFFER_FILTER, partial);
    plan_int(l, (int)slice);
    plan_shape(l, p);
    l = plan_launch(plan, "reduce", "reduce", BLOCK, "reduce");
    plan_grid(l, div_up(elems, BLOCK), 1, 1);
    PLAN_BUFFERS(l, partial, BUFFER_OUTPUT);
    plan_int(l, (int)slices);
    plan_int(l, (int)elems);
    return OK;
}

int implicit_precomp_gemm_plan(struct conv_plan *plan, const struct conv_problem *p,
                               const char *tile, struct diag *d)
{
    enum { BLOCK = 128 };
    const uint64_t inner = (uint64_t)(p->c / p->groups) * (uint64_t)(p->r * p->s);
    const struct tile *t;
    int table, status = choose(&t, tile, TILE_PLAIN, p, d);
    if (status == OK)
        status = plan_workspace(plan, 2 * inner, &table, d);
    if (status != OK)
        return status;
    struct plan_launch *l = plan_launch(plan, "index-table", "index_table", BLOCK,
                                        "implicit-precomp-gemm%s-%s", layout_suffix(p), t->name);
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

/* MIOpen's im2col: the window under a tile of pixels in shared memory; where all pixels are one small tile,
 * 4 channels to a thread group. */
struct staging {
    uint64_t tile_h, tile_w, channels;
    const char *file;
};
static struct staging staging_for(const struct conv_problem *p)
{
    static const struct staging wide = {8, 32, 1, "im2col-8x32"}, small = {8, 8, 4, "im2col-8x8x4"};
    return conv_out_h(p) <= 8 && conv_out_w(p) <= 8 ? small : wide;
}

static uint64_t window_side(uint64_t tile, int stride, int filter, int dilation)
{
    return (tile - 1) * (uint64_t)stride + (uint64_t)(filter - 1) * (uint64_t)dilation + 1;
}

static bool fits(const struct staging *s, const struct conv_problem *p)
{
    enum { WINDOW_FLOATS = 6144 }; /* as in kernels/CMakeLists.txt */
    const uint64_t h = window_side(s->tile_h, p->stride_h, p->r, p->dilation_h);
    const uint64_t w = window_side(s->tile_w, p->stride_w, p->s, p->dilation_w);
    return s->channels * h * w <= WINDOW_FLOATS;
}

static void plan_im2col(struct conv_plan *plan, const struct conv_problem *p, int image,
                        int columns, uint64_t rows, uint64_t pixels)
{
    enum { BLOCK = 256 };
    const uint64_t groups = (uint64_t)p->groups;
    const struct staging s = staging_for(p);
    const bool staged = p->layout == LAYOUT_NCHW && fits(&s, p);
    struct plan_launch *l =
        staged ? plan_launch(plan, "im2col", "im2col_staged", BLOCK, "%s", s.file)
               : plan_launch(plan, "im2col", "im2col", BLOCK, "im2col%s", layout_suffix(p));
    if (staged)
        plan_grid(l,
                  div_up((uint64_t)conv_out_h(p), s.tile_h) *
                      div_up((uint64_t)conv_out_w(p), s.tile_w),
                  div_up((uint64_t)p->c, s.channels), 1);
    else if (p->layout == LAYOUT_NHWC)
        plan_grid(l, div_up(pixels * rows / groups, BLOCK), groups, 1);
    else
        plan_grid(l, div_up(pixels, BLOCK), rows, 1);
    PLAN_BUFFERS(l, BUFFER_INPUT, columns);
    plan_int(l, image);
    plan_shape(l, p);
}

/* filter (filters x inner) times columns (inner x pixels), both row by row: NCHW. */
static struct gemm product_nchw(const struct conv_problem *p, uint64_t image, int columns,
                                uint64_t rows, uint64_t pixels)
{
    const uint64_t groups = (uint64_t)p->groups, filters = (uint64_t)p->k / groups;
    struct gemm g =
        gemm_of(BUFFER_FILTER, columns, BUFFER_OUTPUT, groups, filters, pixels, rows / groups);
    g.b.first = columns == BUFFER_INPUT ? image * rows * pixels : 0;
    g.c.first = image * (uint64_t)p->k * pixels;
    return g;
}

/* columns (pixels x inner) times the filter, transposed (inner x filters): NHWC. Of several groups'
 * matrices, the input's and the output's rows alternate. */
static struct gemm product_nhwc(const struct conv_problem *p, uint64_t image, int columns,
                                uint64_t rows, uint64_t pixels)
{
    const uint64_t groups = (uint64_t)p->groups, filters = (uint64_t)p->k / groups;
    struct gemm g =
        gemm_of(columns, BUFFER_FILTER, BUFFER_OUTPUT, groups, pixels, filters, rows / groups);
    g.b_transposed = true;
    g.b.row = rows / groups;
    if (columns == BUFFER_INPUT)
        g.a = (struct matrix){columns, image * rows * pixels, rows, rows / groups};
    g.c = (struct matrix){BUFFER_OUTPUT, image * (uint64_t)p->k * pixels, (uint64_t)p->k, filters};
    return g;
}

int gemm_plan(struct conv_plan *plan, const struct conv_problem *p, const char *tile,
              struct diag *d)
{
    enum { MOST_IMAGES = 32768 };
    const uint64_t pixels = n_pixels(p) / (uint64_t)p->n;
    const uint64_t rows = (uint64_t)p->c * (uint64_t)(p->r * p->s);
    const bool direct = is_matrix_product(p);
    int columns = BUFFER_INPUT;
    if (p->n > MOST_IMAGES)
        return diag_fail(d, ERR_UNSUPPORTED, DIAG_NOWHERE,
                         "%d images would be more than %d launches, one or two each", p->n,
                         MOST_IMAGES);
    if (!direct && plan_workspace(plan, rows * pixels, &columns, d) != OK)
        return ERR_UNSUPPORTED;
    for (int image = 0; image < p->n; image++) {
        if (!direct)
            plan_im2col(plan, p, image, columns, rows, pixels);
        const struct gemm g = p->layout == LAYOUT_NHWC
                                  ? product_nhwc(p, (uint64_t)image, columns, rows, pixels)
                                  : product_nchw(p, (uint64_t)image, columns, rows, pixels);
        int status = plan_product(plan, &g, tile, d);
        if (status != OK)
            return status;
    }
    return OK;
}

static void plan_transpose(struct conv_plan *plan, const struct conv_problem *p, const char *label,
                           const char *kernel, int from, int to, int channels)
{
    enum { BLOCK = 256 };
    struct plan_launch *l = plan_launch(plan, label, kernel, BLOCK, "transpose");
    plan_grid(l, div_up((uint64_t)(conv_out_h(p) * conv_out_w(p)), BLOCK), (uint64_t)channels,
              (uint64_t)p->n);
    PLAN_BUFFERS(l, from, to);
    plan_shape(l, p);
}

/* MIOpen's GEMMs for 1x1 filters. Where nothing is skipped, the images are the matrices of one batch (or the
 * groups, of one image). Else, all images side by side become one matrix, and its product images again. */
int gemm_1x1_plan(struct conv_plan *plan, const struct conv_problem *p, const char *tile,
                  struct diag *d)
{
    const uint64_t groups = (uint64_t)p->groups, filters = (uint64_t)p->k / groups,
                   channels = (uint64_t)p->c / groups, images = (uint64_t)p->n;
    const bool as_it_is = p->stride_h == 1 && p->stride_w == 1 && (p->n == 1 || p->groups == 1);
    if (as_it_is) {
        struct gemm g = gemm_of(BUFFER_FILTER, BUFFER_INPUT, BUFFER_OUTPUT, groups * images,
                                filters, n_pixels(p) / images, channels);
        g.a.step = p->groups == 1 ? 0 : g.a.step;
        return plan_product(plan, &g, tile, d);
    }
    int rows, products;
    if (plan_workspace(plan, (uint64_t)p->c * n_pixels(p), &rows, d) != OK ||
        plan_workspace(plan, (uint64_t)p->k * n_pixels(p), &products, d) != OK)
        return ERR_UNSUPPORTED;
    plan_transpose(plan, p, "images-to-rows", "images_to_rows", BUFFER_INPUT, rows, p->c);
    const struct gemm g =
        gemm_of(BUFFER_FILTER, rows, products, groups, filters, n_pixels(p), channels);
    const int status = plan_product(plan, &g, tile, d);
    if (status == OK)
        plan_transpose(plan, p, "rows-to-images", "rows_to_images", products, BUFFER_OUTPUT, p->k);
    return status;
}

struct gemm gemm_of(int a, int b, int c, uint64_t batch, uint64_t m, uint64_t n, uint64_t k)
{
    return (struct gemm){.a = {a, 0, k, m * k},
                         .b = {b, 0, n, k * n},
                         .c = {c, 0, n, m * n},
                         .batch = batch,
                         .m = m,
                         .n = n,
                         .k = k};
}

int plan_product(struct conv_plan *plan, const struct gemm *g, const char *tile, struct diag *d)
{
    enum { MAX_DEPTH = 65535 }; /* of a grid */
    const struct tile *t;
    int status =
        tile_choose(&t, tile, g->complex ? TILE_COMPLEX : TILE_PLAIN, g->m, g->n, g->batch, d);
    if (status != OK)
        return status;
    const char *name = g->complex ? "cgemm" : g->b_transposed ? "sgemm-nt" : "sgemm";
    const char *kernel = g->complex ? "cgemm" : g->b_transposed ? "sgemm_nt" : "sgemm";
    plan->tile = t->name;
    for (uint64_t z = 0; z < g->batch; z += MAX_DEPTH) {
        const uint64_t depth = g->batch - z < MAX_DEPTH ? g->batch - z : MAX_DEPTH;
        struct plan_launch *l =
            plan_launch(plan, name, kernel, TILE_THREADS(t), "%s-%s", name, t->name);
        const struct matrix *const operands[] = {&g->a, &g->b, &g->c};
        plan_grid(l, div_up(g->n, (uint64_t)t->bn), div_up(g->m, (uint64_t)t->bm), depth);
        PLAN_BUFFERS(l, g->a.buffer, g->b.buffer, g->c.buffer);
        plan_int(l, (int)g->m);
        plan_int(l, (int)g->n);
        plan_int(l, (int)g->k);
        for (int i = 0; i < 3; i++) {
            plan_int(l, (int)(operands[i]->first + z * operands[i]->step));
            plan_int(l, (int)operands[i]->row);
            plan_int(l, (int)operands[i]->step);
        }
    }
    return OK;
}
