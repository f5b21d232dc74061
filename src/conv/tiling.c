/* In which coordinates an implementation thinks of its output. */
#include <stdlib.h>
#include <string.h>

#include "conv/priv.h"

static struct tiling_axis axis(const char *name, size_t size, size_t thread, size_t tile)
{
    return (struct tiling_axis){name, size, thread, thread, thread, tile};
}

/* An axis of a GEMM-like kernel: a thread's coordinates are sub-tiles, apart within a unit. */
static struct tiling_axis gemm_axis(const char *name, size_t size, int thread, int sub, int unit,
                                    int tile)
{
    const size_t parts = (size_t)(thread / sub), apart = (size_t)(unit * sub / thread);
    return (struct tiling_axis){
        name, size, (size_t)thread, (size_t)sub, (parts - 1) * apart + (size_t)sub, (size_t)tile};
}

static void set_units(struct tiling *t, size_t unit_h, size_t unit_w)
{
    t->unit_h = unit_h;
    t->unit_w = unit_w;
}

static size_t units(size_t n, size_t unit) { return (n + unit - 1) / unit; }

static int gemm_axes(struct tiling *t, const struct conv_program *p, const char *unit, bool complex)
{
    const struct tile *tile;
    int rc = tile_choose(&tile, p->tile, complex ? TILE_COMPLEX : TILE_PLAIN, 1, 1, 1, NULL);
    if (rc != OK)
        return rc;
    const size_t n = units(t->h, t->unit_h) * units(t->w, t->unit_w);
    t->n_axes = 2;
    const bool nhwc =
        p->problem.layout == LAYOUT_NHWC; /* then pixels are the rows of the product */
    const struct tiling_axis rows = gemm_axis(nhwc ? unit : "channel", nhwc ? n : t->axis[0].size,
                                              tile->tm, tile->subm, tile->um, tile->bm);
    const struct tiling_axis columns =
        gemm_axis(nhwc ? "channel" : unit, nhwc ? t->axis[0].size : n, tile->tn, tile->subn,
                  tile->un, tile->bn);
    t->axis[0] = nhwc ? columns : rows;
    t->axis[1] = nhwc ? rows : columns;
    return OK;
}

static void square_axes(struct tiling *t, size_t channels, size_t per_thread, size_t h_thread,
                        size_t h_tile, size_t w_thread, size_t w_tile)
{
    t->n_axes = 3;
    t->axis[0] = axis("channel", t->axis[0].size, per_thread, channels);
    t->axis[1] = axis("row", units(t->h, t->unit_h), h_thread, h_tile);
    t->axis[2] = axis("column", units(t->w, t->unit_w), w_thread, w_tile);
}

int direct_axes(struct tiling *t, const struct conv_program *p)
{
    enum { BLOCK = 256 }; /* a thread takes every so-manieth output of its group's */
    const size_t channels = t->axis[0].size, pixels = t->h * t->w, many = units(pixels, BLOCK);
    if (p->problem.layout == LAYOUT_NHWC) {
        const size_t wide = units(t->w * channels, BLOCK);
        square_axes(t, channels, 1, 1, 1, wide < t->w ? wide : t->w, t->w);
        t->axis[2].step = 1;
        t->axis[2].reach = t->w;
        return OK;
    }
    t->n_axes = 2;
    t->axis[0] = axis("channel", channels, 1, 1);
    t->axis[1] = (struct tiling_axis){"pixel", pixels, many, 1, (many - 1) * BLOCK + 1, pixels};
    return OK;
}

int direct_tiled_axes(struct tiling *t, const struct conv_program *p)
{
    const size_t edge = strtoul(p->tile, NULL, 10), thread = edge > 8 ? 2 : 1;
    square_axes(t, 8, 8, thread, edge, thread, edge);
    return OK;
}

int direct_1x1_axes(struct tiling *t, const struct conv_program *p)
{
    const size_t channels = strtoul(p->tile, NULL, 10), wide = (size_t)(p->tile[3] - '0');
    t->n_axes = 2;
    t->axis[0] = axis("channel", t->axis[0].size, channels, channels);
    t->axis[1] =
        (struct tiling_axis){"pixel", t->h * t->w, wide, 1, 64 * (wide - 1) + 1, 64 * wide};
    return OK;
}

int direct_depthwise_axes(struct tiling *t, const struct conv_program *p)
{
    (void)p;
    square_axes(t, 16, 8, 1, 8, 1, 8);
    t->axis[0].step = 1;
    t->axis[0].reach = 15;
    return OK;
}

int pixel_gemm_axes(struct tiling *t, const struct conv_program *p)
{
    return gemm_axes(t, p, "pixel", false);
}

/* Winograd's units are the outputs of a tile, the first number in the name: -4x4-, -f2x3. */
static void set_winograd_units(struct tiling *t, const struct conv_program *p)
{
    const size_t out = strtoul(strpbrk(p->impl->name, "123456789"), NULL, 10);
    set_units(t, out, out);
}

int winograd_gemm_axes(struct tiling *t, const struct conv_program *p)
{
    set_winograd_units(t, p);
    return gemm_axes(t, p, "unit", false);
}

int winograd_rxs_axes(struct tiling *t, const struct conv_program *p)
{
    set_winograd_units(t, p);
    t->n_axes = 2;
    t->axis[0] = (struct tiling_axis){"channel", t->axis[0].size, 8, 4, 20, 32};
    t->axis[1] = axis("unit", units(t->h, t->unit_h) * units(t->w, t->unit_w), 4, 32);
    return OK;
}

int winograd_fused_axes(struct tiling *t, const struct conv_program *p)
{
    set_winograd_units(t, p);
    const bool one = p->problem.n == 1; /* else the 32 tiles are of several images */
    square_axes(t, 32, 8, 1, one ? 4 : 1, 8, one ? 8 : 1);
    t->axis[0].step = 4; /* filters 4 and 16 further on */
    t->axis[0].reach = 20;
    return OK;
}

int fft_axes(struct tiling *t, const struct conv_program *p)
{
    const struct conv_problem *q = &p->problem;
    const size_t size = strcmp(p->impl->name, "fft-tiling") == 0 ? 32 : fft_plane_size(q);
    set_units(t, size - (size_t)q->r + 1, size - (size_t)q->s + 1);
    return gemm_axes(t, p, "unit", true);
}

int conv_tiling(struct tiling *out, const struct conv_program *p)
{
    *out = (struct tiling){.unit_h = 1,
                           .unit_w = 1,
                           .h = (size_t)conv_out_h(&p->problem),
                           .w = (size_t)conv_out_w(&p->problem)};
    out->axis[0].size = (size_t)p->problem.k;
    return p->impl->axes ? p->impl->axes(out, p) : ERR_UNSUPPORTED;
}

int conv_launch_shared(const char *label)
{
    static const struct {
        const char *begin;
        int shared;
    } launches[] = {{"im2col", TILING_SHARED_BY_CHANNELS},
                    {"images-to-rows", TILING_SHARED_BY_CHANNELS},
                    {"input-transform", TILING_SHARED_BY_CHANNELS},
                    {"fft-input", TILING_SHARED_BY_CHANNELS},
                    {"filter-transform", TILING_SHARED_BY_PIXELS},
                    {"fft-filter", TILING_SHARED_BY_PIXELS},
                    {"index-table", TILING_SHARED_BY_CHANNELS | TILING_SHARED_BY_PIXELS}};
    for (size_t i = 0; i < sizeof launches / sizeof *launches; i++)
        if (strncmp(label, launches[i].begin, strlen(launches[i].begin)) == 0)
            return launches[i].shared;
    return 0;
}
