/* Corrupted tensors -> small pictures: the channels side by side, one pixel per element (or the worst
 * of a block of elements, for large channels), coloured by the size of the error. */
#include <math.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "characterise/characterise.h"
#include "report/priv.h"

enum {
    GAP = 0,       /* between channels: transparent */
    UNCHANGED = 1, /* faint grey, on light and on dark pages */
    FAINTEST = 2,  /* an error of 10^-PICTURE_DECADES of the largest fault-free value, or less */
    STRONGEST = 253,
    BEYOND = 254, /* larger than every fault-free value */
    NOT_FINITE = 255,
    MAX_PIXELS = 20000,
    MAX_TILE = 40,
    MAX_TILES = 144,
};

/* Viridis (Smith and van der Walt, CC0), every eighth of it. */
static const uint8_t viridis[][3] = {{0x44, 0x01, 0x54}, {0x47, 0x2d, 0x7b}, {0x3b, 0x52, 0x8b},
                                     {0x2c, 0x72, 0x8e}, {0x21, 0x91, 0x8c}, {0x28, 0xae, 0x80},
                                     {0x5e, 0xc9, 0x62}, {0xad, 0xdc, 0x30}, {0xfd, 0xe7, 0x25}};

static void make_palette(uint8_t palette[256][4])
{
    memset(palette, 0, 256 * sizeof *palette);
    memcpy(palette[UNCHANGED], (uint8_t[]){0x80, 0x80, 0x80, 0x30}, 4);
    memcpy(palette[BEYOND], (uint8_t[]){0xff, 0x6a, 0x3d, 0xff}, 4);
    memcpy(palette[NOT_FINITE], (uint8_t[]){0xff, 0x00, 0xc8, 0xff}, 4);
    for (int i = FAINTEST; i <= STRONGEST; i++) {
        double x = 8.0 * (i - FAINTEST) / (STRONGEST - FAINTEST);
        int k = x < 7 ? (int)x : 7;
        for (int c = 0; c < 3; c++)
            palette[i][c] =
                (uint8_t)lround(viridis[k][c] + (x - k) * (viridis[k + 1][c] - viridis[k][c]));
        palette[i][3] = 0xff;
    }
}

static uint8_t colour(double golden, double faulty, double scale)
{
    if (!isfinite(faulty))
        return NOT_FINITE;
    double level = log10(fabs(faulty - golden) / scale) / PICTURE_DECADES + 1;
    if (level > 1)
        return BEYOND;
    return (uint8_t)(FAINTEST + lround(fmax(level, 0) * (STRONGEST - FAINTEST)));
}

/* Tiles of a picture: channels 0 to n - 1 of the list, in rows of `columns`. */
struct layout {
    size_t channels, h, w; /* of the tensor; channels over all images of the batch */
    size_t block;          /* elements per pixel, in each direction */
    size_t tile_h, tile_w; /* pixels */
    size_t shown, columns, rows;
    size_t height, width;
};

static struct layout lay_out(const size_t dim[4], size_t corrupted_channels)
{
    struct layout l = {.channels = dim[0] * dim[1], .h = dim[2], .w = dim[3]};
    size_t longest = l.h > l.w ? l.h : l.w;
    l.block = (longest + MAX_TILE - 1) / MAX_TILE;
    l.tile_h = (l.h + l.block - 1) / l.block;
    l.tile_w = (l.w + l.block - 1) / l.block;
    size_t most = MAX_PIXELS / ((l.tile_h + 1) * (l.tile_w + 1));
    most = most > MAX_TILES ? MAX_TILES : most;
    l.shown = l.channels <= most          ? l.channels
              : corrupted_channels < most ? corrupted_channels
                                          : most;
    double tall = sqrt((double)l.shown / 2 * (double)(l.tile_w + 1) / (double)(l.tile_h + 1));
    l.rows = tall < 1 ? 1 : (size_t)lround(tall);
    l.columns = (l.shown + l.rows - 1) / l.rows;
    l.rows = (l.shown + l.columns - 1) / l.columns;
    l.height = l.rows * (l.tile_h + 1) - 1;
    l.width = l.columns * (l.tile_w + 1) - 1;
    return l;
}

static uint8_t *tile_pixel(uint8_t *pixels, const struct layout *l, size_t tile, size_t y, size_t x)
{
    size_t top = tile / l->columns * (l->tile_h + 1), left = tile % l->columns * (l->tile_w + 1);
    return pixels + (top + y) * l->width + left + x;
}

/* Diffs ascend, so channels appear in order: a channel's tile is its number where all are shown, else
 * its place among the corrupted ones. */
static void paint(uint8_t *pixels, const struct layout *l, const struct store_diff *diffs, size_t n,
                  const float *golden, double scale)
{
    for (size_t t = 0; t < l->shown; t++)
        for (size_t y = 0; y < l->tile_h; y++)
            memset(tile_pixel(pixels, l, t, y, 0), UNCHANGED, l->tile_w);
    size_t tile = 0, last = SIZE_MAX;
    for (size_t k = 0; k < n; k++) {
        size_t at = diffs[k].index, channel = at / (l->h * l->w), in = at % (l->h * l->w);
        float faulty;
        memcpy(&faulty, &diffs[k].faulty_bits, sizeof faulty);
        if (channel != last)
            tile = l->shown == l->channels ? channel : last == SIZE_MAX ? 0 : tile + 1;
        last = channel;
        if (tile >= l->shown)
            break;
        uint8_t *p = tile_pixel(pixels, l, tile, in / l->w / l->block, in % l->w / l->block);
        uint8_t c = colour((double)golden[at], (double)faulty, scale);
        *p = c > *p ? c : *p;
    }
}

/* The PNG, malloc'ed, or NULL. Only the colours that occur are in its palette: most of these pictures are
 * smaller than a whole one. */
static uint8_t *encode(size_t *bytes, const uint8_t *pixels, size_t width, size_t height)
{
    uint8_t palette[256][4], used[256][4], place[256] = {0};
    bool seen[256] = {false};
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)width,
                       .height = (png_uint_32)height,
                       .format = PNG_FORMAT_RGBA_COLORMAP};
    size_t n_pixels = width * height;
    uint8_t *mapped = malloc(n_pixels + 1);
    make_palette(palette);
    for (size_t i = 0; i < n_pixels; i++)
        seen[pixels[i]] = true;
    for (size_t c = 0; c < 256; c++)
        if (seen[c]) {
            memcpy(used[image.colormap_entries], palette[c], 4);
            place[c] = (uint8_t)image.colormap_entries++;
        }
    for (size_t i = 0; mapped && i < n_pixels; i++)
        mapped[i] = place[pixels[i]];
    png_alloc_size_t n = 0;
    uint8_t *png = NULL;
    if (!mapped || !png_image_write_to_memory(&image, NULL, &n, 0, mapped, 0, used) ||
        !(png = malloc(n)) || !png_image_write_to_memory(&image, png, &n, 0, mapped, 0, used)) {
        free(png);
        png = NULL;
    }
    free(mapped);
    *bytes = n;
    return png;
}

/* The same as a data URI, or NULL. */
static char *data_uri(const uint8_t *pixels, size_t width, size_t height)
{
    size_t n;
    uint8_t *png = encode(&n, pixels, width, height);
    struct sink uri = {0};
    if (png) {
        sink_text(&uri, "data:image/png;base64,");
        sink_base64(&uri, png, n);
    }
    free(png);
    return uri.p;
}

static size_t count_channels(const struct store_diff *diffs, size_t n_diffs, size_t area)
{
    size_t n = 0, last = SIZE_MAX;
    for (size_t k = 0; k < n_diffs; k++) {
        n += diffs[k].index / area != last;
        last = diffs[k].index / area;
    }
    return n;
}

int report_picture(const char *path, const size_t dim[4], const float *golden,
                   const struct store_diff *diffs, size_t n, struct diag *d)
{
    struct arena a = {0};
    const struct layout l = lay_out(dim, count_channels(diffs, n, dim[2] * dim[3]));
    const struct value_range range = characterise_range(golden, dim[0] * dim[1] * dim[2] * dim[3]);
    const double scale = fmax(fabs((double)range.min), fabs((double)range.max));
    size_t bytes = 0;
    uint8_t *pixels = arena_alloc(&a, l.width * l.height), *png;
    paint(pixels, &l, diffs, n, golden, scale > 0 ? scale : 1);
    png = encode(&bytes, pixels, l.width, l.height);
    int rc = png ? file_write(path, png, bytes, d)
                 : diag_fail(d, ERR_NOMEM, (struct loc){.file = path}, "no memory for the picture");
    free(png);
    arena_fini(&a);
    return rc;
}

json_t *picture_scale(void)
{
    uint8_t strip[STRONGEST - FAINTEST + 1];
    for (size_t i = 0; i < sizeof strip; i++)
        strip[i] = (uint8_t)(FAINTEST + i);
    char *uri = data_uri(strip, sizeof strip, 1);
    json_t *o = json_pack("{s:i, s:s?, s:s, s:s}", "decades", PICTURE_DECADES, "png", uri, "beyond",
                          "#ff6a3d", "not_finite", "#ff00c8");
    free(uri);
    return o;
}

static int check_row(const struct tally *t, const struct store_injection *i, struct diag *d)
{
    const struct store_campaign *c = t->campaign;
    size_t elems = 1;
    for (int k = 0; k < 4; k++)
        if (c->dim[k] == 0 || __builtin_mul_overflow(elems, c->dim[k], &elems))
            elems = 0;
    bool fits = elems != 0 && elems == c->golden_floats;
    for (size_t k = 0; i->diffs && k < i->n_diffs && fits; k++)
        fits = i->diffs[k].index < elems && (k == 0 || i->diffs[k - 1].index < i->diffs[k].index);
    if (fits)
        return OK;
    return diag_fail(d, ERR_INPUT, (struct loc){.file = t->cell.campaign},
                     "injection %llu: its differences do not fit the output; the store is damaged, "
                     "run the campaign again",
                     (unsigned long long)i->number);
}

static int draw(json_t **out, const struct tally *t, uint64_t number, const char *kind,
                struct diag *d)
{
    const struct store_campaign *c = t->campaign;
    struct arena a = {0};
    struct store_injection i;
    int rc = store_get(t->store, number, &i, &a, d);
    if (rc == OK)
        rc = check_row(t, &i, d);
    if (rc == OK && i.diffs && i.labels && i.labels[0].corrupted) {
        size_t channels = count_channels(i.diffs, i.n_diffs, c->dim[2] * c->dim[3]);
        struct layout l = lay_out(c->dim, channels);
        struct value_range range = characterise_range(c->golden, c->golden_floats);
        double scale = fmax(fabs((double)range.min), fabs((double)range.max));
        uint8_t *pixels = arena_alloc(&a, l.width * l.height);
        paint(pixels, &l, i.diffs, i.n_diffs, c->golden, scale > 0 ? scale : 1);
        char *uri = data_uri(pixels, l.width, l.height);
        const char *command =
            arena_printf(&a, "sievert replay %s %llu", report_shell_word(&a, t->cell.campaign),
                         (unsigned long long)number);
        *out = json_pack(
            "{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:I, s:o, s:s?}", "kind", kind,
            "pattern", vocab_word(&vocab_patterns, i.labels[0].pattern), "injection",
            (json_int_t)number, "corrupted", (json_int_t)i.labels[0].corrupted, "channels",
            (json_int_t)channels, "channels_shown", (json_int_t)l.shown, "channels_all",
            (json_int_t)l.channels, "max_abs_error", json_number(i.max_abs_error), "width",
            (json_int_t)l.width, "height", (json_int_t)l.height, "elements_per_pixel",
            (json_int_t)(l.block * l.block), "command", json_text(command), "png", uri);
        free(uri);
    }
    arena_fini(&a);
    return rc;
}

struct choice {
    const char *kind;
    int pattern;
    uint64_t injection, weight; /* weight: SDCs of its pattern */
};

static int compare_choices(const void *a, const void *b)
{
    const struct choice *x = a, *y = b;
    if (x->weight != y->weight)
        return x->weight > y->weight ? -1 : 1;
    return x->pattern - y->pattern;
}

/* Of n that are alike in pattern, ascending by corrupted values: the first SDC of the median cardinality. */
static uint64_t typical_of(const struct alike *x, size_t n, uint64_t weight)
{
    uint64_t k = (weight - 1) / 2;
    size_t i = 0;
    for (; i + 1 < n && k >= x[i].n; i++)
        k -= x[i].n;
    while (i > 0 && x[i - 1].corrupted == x[i].corrupted)
        i--;
    return x[i].first;
}

/* The most corrupted values, then the largest error (what is not finite is the largest), then the first. */
static uint64_t worst_of(const struct alike *x, size_t n)
{
    const struct alike *worst = &x[n - 1];
    for (size_t i = n - 1; i-- > 0 && x[i].corrupted == worst->corrupted;)
        if (x[i].worst_error > worst->worst_error ||
            (x[i].worst_error >= worst->worst_error && x[i].worst < worst->worst))
            worst = &x[i];
    return worst->worst;
}

/* Typical of each pattern is the first injection of median cardinality, the commonest pattern first; then
 * come the worst of each, in the same order, where they are others. Returns how many. */
static size_t choose(struct choice out[static 2 * N_PATTERNS], const struct tally *t)
{
    struct choice worst[N_PATTERNS] = {0};
    size_t k = 0, w = 0;
    for (size_t i = 0, end; i < t->n_alike; i = end) {
        const struct alike *x = &t->alike[i];
        uint64_t weight = 0;
        for (end = i; end < t->n_alike && t->alike[end].pattern == x->pattern; end++)
            weight += t->alike[end].n;
        out[k++] = (struct choice){"typical", x->pattern, typical_of(x, end - i, weight), weight};
        uint64_t number = worst_of(x, end - i);
        if (number != out[k - 1].injection)
            worst[w++] = (struct choice){"worst", x->pattern, number, weight};
    }
    if (k)
        qsort(out, k, sizeof *out, compare_choices);
    if (w)
        qsort(worst, w, sizeof *worst, compare_choices);
    memcpy(out + k, worst, w * sizeof *worst);
    return k + w;
}

int picture_cell(json_t **out, const struct tally *t, size_t max_bytes, struct diag *d)
{
    struct choice choice[2 * N_PATTERNS];
    size_t n = choose(choice, t), used = 0;
    int rc = OK;
    *out = json_array();
    for (size_t i = 0; i < n && rc == OK; i++) {
        json_t *picture = NULL;
        rc = draw(&picture, t, choice[i].injection, choice[i].kind, d);
        size_t bytes = json_string_length(json_object_get(picture, "png"));
        if (picture && used + bytes <= max_bytes) {
            json_array_append(*out, picture);
            used += bytes;
        }
        json_decref(picture);
    }
    if (rc != OK) {
        json_decref(*out);
        *out = NULL;
    }
    return rc;
}
