/* Convolution by Fourier transform: kernels/fft/. */
#include "conv/priv.h"

enum { LARGEST_PLANE = 64, TILE_SIZE = 32 };

/* The side of the smallest plane that holds the padded map. */
size_t fft_plane_size(const struct conv_problem *p)
{
    const int h = p->h + p->pad_top + p->pad_bottom, w = p->w + p->pad_left + p->pad_right;
    size_t size = 16;
    while (size < (size_t)h || size < (size_t)w)
        size *= 2;
    return size;
}

/* The spectra: x[bin][channel][tile], f[bin][filter][channel], y[bin][filter][tile], of pairs. */
struct spectra {
    int x, f, y;
    uint64_t bins, tiles, tiles_h, tiles_w;
};

static int make_spectra(struct spectra *s, struct conv_plan *plan, const struct conv_problem *p,
                        int size, struct diag *d)
{
    const uint64_t channels = (uint64_t)p->c, filters = (uint64_t)p->k;
    s->bins = (uint64_t)size * (uint64_t)(size / 2 + 1);
    s->tiles_h = div_up((uint64_t)conv_out_h(p), (uint64_t)(size - p->r + 1));
    s->tiles_w = div_up((uint64_t)conv_out_w(p), (uint64_t)(size - p->s + 1));
    s->tiles = (uint64_t)p->n * s->tiles_h * s->tiles_w;
    if (plan_workspace(plan, 2 * s->bins * channels * s->tiles, &s->x, d) != OK ||
        plan_workspace(plan, 2 * s->bins * filters * channels / (uint64_t)p->groups, &s->f, d) !=
            OK ||
        plan_workspace(plan, 2 * s->bins * filters * s->tiles, &s->y, d) != OK)
        return ERR_UNSUPPORTED;
    return OK;
}

static struct plan_launch *plane_launch(struct conv_plan *plan, const char *label,
                                        const char *kernel, int size, uint64_t x, uint64_t y)
{
    const uint64_t threads = size == 16 ? 64 : size == 32 ? 128 : 256;
    struct plan_launch *l = plan_launch(plan, label, kernel, threads, "fft-%dx%d", size, size);
    plan_grid(l, x, y, 1);
    return l;
}

static int plan_product_of(struct conv_plan *plan, const struct conv_problem *p,
                           const struct spectra *s, const char *tile, struct diag *d)
{
    const uint64_t groups = (uint64_t)p->groups;
    struct gemm product = gemm_of(s->f, s->x, s->y, s->bins * groups, (uint64_t)p->k / groups,
                                  s->tiles, (uint64_t)p->c / groups);
    product.complex = true;
    return plan_product(plan, &product, tile, d);
}

static int plan_planes(struct conv_plan *plan, const struct conv_problem *p, int size,
                       const char *tile, struct diag *d)
{
    const uint64_t groups = (uint64_t)p->groups, channels = (uint64_t)p->c,
                   filters = (uint64_t)p->k;
    struct spectra s;
    int status = make_spectra(&s, plan, p, size, d);
    if (status != OK)
        return status;

    struct plan_launch *l = plane_launch(plan, "fft-input", "fft_input", size, s.tiles, channels);
    PLAN_BUFFERS(l, BUFFER_INPUT, s.x);
    plan_int(l, (int)s.tiles_h);
    plan_int(l, (int)s.tiles_w);
    plan_shape(l, p);

    l = plane_launch(plan, "fft-filter", "fft_filter", size, channels / groups, filters);
    PLAN_BUFFERS(l, BUFFER_FILTER, s.f);
    plan_shape(l, p);

    status = plan_product_of(plan, p, &s, tile, d);
    if (status != OK)
        return status;

    l = plane_launch(plan, "fft-output", "fft_output", size, s.tiles, filters);
    PLAN_BUFFERS(l, s.y, BUFFER_OUTPUT);
    plan_int(l, (int)s.tiles_h);
    plan_int(l, (int)s.tiles_w);
    plan_shape(l, p);
    return OK;
}

/* Larger planes: their rows and their columns in launches of their own. */
enum { LINES = 4 }; /* per thread group */

static void plan_rows(struct conv_plan *plan, const struct conv_problem *p, const char *label,
                      const char *kernel, int size, int from, int to, uint64_t y, uint64_t z)
{
    struct plan_launch *l = plan_launch(plan, label, kernel, LINES * 16, "fft-%dx%d", size, size);
    plan_grid(l, (uint64_t)size / LINES, y, z);
    PLAN_BUFFERS(l, from, to);
    plan_shape(l, p);
}

static void plan_columns(struct conv_plan *plan, const char *label, const char *kernel, int size,
                         int from, int to, uint64_t planes)
{
    struct plan_launch *l = plan_launch(plan, label, kernel, LINES * 16, "fft-%dx%d", size, size);
    plan_grid(l, planes, div_up((uint64_t)(size / 2 + 1), LINES), 1);
    PLAN_BUFFERS(l, from, to);
    plan_int(l, (int)planes);
}

static uint64_t largest(uint64_t a, uint64_t b, uint64_t c)
{
    const uint64_t ab = a > b ? a : b;
    return ab > c ? ab : c;
}

static int plan_lines(struct conv_plan *plan, const struct conv_problem *p, int size,
                      const char *tile, struct diag *d)
{
    const uint64_t images = (uint64_t)p->n, channels = (uint64_t)p->c, filters = (uint64_t)p->k;
    const uint64_t per_group = channels / (uint64_t)p->groups;
    const uint64_t most = largest(channels * images, filters * per_group, filters * images);
    struct spectra s;
    int rows, status = make_spectra(&s, plan, p, size, d);
    if (status == OK)
        status = plan_workspace(plan, 2 * s.bins * most, &rows, d); /* of one transform at a time */
    if (status != OK)
        return status;
    plan_rows(plan, p, "fft-input-rows", "fft_input_rows", size, BUFFER_INPUT, rows, images,
              channels);
    plan_columns(plan, "fft-input-columns", "fft_columns", size, rows, s.x, channels * images);
    plan_rows(plan, p, "fft-filter-rows", "fft_filter_rows", size, BUFFER_FILTER, rows, per_group,
              filters);
    plan_columns(plan, "fft-filter-columns", "fft_columns", size, rows, s.f, filters * per_group);
    status = plan_product_of(plan, p, &s, tile, d);
    if (status != OK)
        return status;
    plan_columns(plan, "fft-output-columns", "fft_inverse_columns", size, s.y, rows,
                 filters * images);
    plan_rows(plan, p, "fft-output-rows", "fft_output_rows", size, rows, BUFFER_OUTPUT, images,
              filters);
    return OK;
}

int fft_plan(struct conv_plan *plan, const struct conv_problem *p, const char *tile, struct diag *d)
{
    const int size = (int)fft_plane_size(p);
    return size > LARGEST_PLANE ? plan_lines(plan, p, size, tile, d)
                                : plan_planes(plan, p, size, tile, d);
}

int fft_tiling_plan(struct conv_plan *plan, const struct conv_problem *p, const char *tile,
                    struct diag *d)
{
    return plan_planes(plan, p, TILE_SIZE, tile, d);
}

/* A matrix of pairs, rows x columns, transposed. */
static void plan_transpose(struct conv_plan *plan, const char *label, int size, int from, int to,
                           uint64_t rows, uint64_t columns)
{
    enum { EDGE = 16, THREADS = 256 };
    struct plan_launch *l =
        plan_launch(plan, label, "fft_transpose", THREADS, "fft-packed-%dx%d", size, size);
    plan_grid(l, div_up(rows, EDGE), div_up(columns, EDGE), 1);
    PLAN_BUFFERS(l, from, to);
    plan_int(l, (int)rows);
    plan_int(l, (int)columns);
}

/* Planes of one size of MIOpen's, so many to a thread group. */
struct packing {
    int size;
    uint64_t threads, planes;
};
static struct packing packing_for(const struct conv_problem *p)
{
    static const struct packing packings[] = {{12, 192, 16}, {18, 128, 4}, {32, 64, 1}};
    const int h = p->h + p->pad_top + p->pad_bottom, w = p->w + p->pad_left + p->pad_right;
    int i = 0;
    while (packings[i].size < h || packings[i].size < w)
        i++;
    return packings[i];
}

static void plan_packed(struct conv_plan *plan, const struct conv_problem *p,
                        const struct packing *k, const char *label, const char *kernel, int from,
                        int to, uint64_t planes)
{
    struct plan_launch *l =
        plan_launch(plan, label, kernel, k->threads, "fft-packed-%dx%d", k->size, k->size);
    plan_grid(l, div_up(planes, k->planes), 1, 1);
    PLAN_BUFFERS(l, from, to);
    plan_shape(l, p);
}

int fft_transposed_plan(struct conv_plan *plan, const struct conv_problem *p, const char *tile,
                        struct diag *d)
{
    const struct packing k = packing_for(p);
    const bool at_once = k.size == 12; /* kernels/fft/packed.cl writes these transposed */
    const uint64_t inputs = (uint64_t)p->n * (uint64_t)p->c, outputs = (uint64_t)(p->n * p->k);
    const uint64_t filters = (uint64_t)p->k * (uint64_t)(p->c / p->groups);
    struct spectra s;
    int pieces, status = make_spectra(&s, plan, p, k.size, d); /* pieces: spectra plane by plane */
    if (status == OK)
        status = plan_workspace(plan, 2 * s.bins * largest(inputs, filters, outputs), &pieces, d);
    if (status != OK)
        return status;
    plan_packed(plan, p, &k, "fft-input", "fft_input", BUFFER_INPUT, at_once ? s.x : pieces,
                inputs);
    if (!at_once)
        plan_transpose(plan, "fft-input-transpose", k.size, pieces, s.x, inputs, s.bins);
    plan_packed(plan, p, &k, "fft-filter", "fft_filter", BUFFER_FILTER, at_once ? s.f : pieces,
                filters);
    if (!at_once)
        plan_transpose(plan, "fft-filter-transpose", k.size, pieces, s.f, filters, s.bins);
    status = plan_product_of(plan, p, &s, tile, d);
    if (status != OK)
        return status;
    plan_transpose(plan, "fft-output-transpose", k.size, s.y, pieces, s.bins, outputs);
    plan_packed(plan, p, &k, "fft-output", "fft_output", pieces, BUFFER_OUTPUT, outputs);
    return OK;
}
