/* The implementations there are: one row each. */
#include <stdio.h>
#include <string.h>

#include "conv/priv.h"

/* Comma separated names of the rows of tiles.def, one comma too many in front. */
#define IN(name, ...) "," name
#define OUT(...)
#define TILE IN
#define SPECIAL_TILE IN
#define WIDE_TILE IN
#define COMPLEX_TILE OUT
static const char tiles[] =
#include "common/tiles.def"
    ;
#undef TILE
#undef SPECIAL_TILE
#define TILE OUT
#define SPECIAL_TILE OUT
static const char wide_tiles[] =
#include "common/tiles.def"
    ;
#undef WIDE_TILE
#undef COMPLEX_TILE
#define WIDE_TILE OUT
#define COMPLEX_TILE IN
static const char complex_tiles[] =
#include "common/tiles.def"
    ;
#undef TILE
#undef SPECIAL_TILE
#undef WIDE_TILE
#undef COMPLEX_TILE
#undef IN
#undef OUT
#define TILES (tiles + 1)
#define WIDE_TILES (wide_tiles + 1)
#define COMPLEX_TILES (complex_tiles + 1)

#define STEPS_OF_1 .stride = 1, .dilation = 1
#define STEPS_UP_TO_2 .stride = 2, .dilation = 1

/* Relative errors. Winograd's transforms multiply by powers of the points of interpolation, which grow with
 * the tile and then cancel; Fourier's are sums of as many terms as a plane has points. */
#define SUM 1e-5
#define TRANSFORM 1e-4

static const struct conv_impl impls[] = {
    {"direct",
     "DIRECT",
     "one thread per output, no reuse",
     "",
     {.nhwc = true},
     SUM,
     direct_plan,
     direct_axes},
    {"direct-tiled",
     "DIRECT",
     "square tiles staged in shared memory, 8 channels per thread",
     "8x8,16x16,32x32",
     {.square = {3, 5, 7, 9, 11}, STEPS_UP_TO_2},
     SUM,
     direct_tiled_plan,
     direct_tiled_axes},
    {"direct-1x1",
     "DIRECT",
     "16 or 32 channels of 1 or 2 pixels per thread",
     "16x1,16x2,32x1,32x2",
     {.square = {1}, .no_padding = true},
     SUM,
     direct_1x1_plan,
     direct_1x1_axes},
    {"direct-depthwise",
     "DIRECT",
     "8x8 pixels of 16 channels, each from one input channel",
     "",
     {.square = {3, 5}, STEPS_UP_TO_2, .depthwise = true},
     SUM,
     direct_depthwise_plan,
     direct_depthwise_axes},
    {"gemm",
     "GEMM",
     "im2col and SGEMM, image by image",
     TILES,
     {.nhwc = true},
     SUM,
     gemm_plan,
     pixel_gemm_axes},
    {"gemm-1x1",
     "MIOpen GemmFwd1x1",
     "one SGEMM for all images, transposed before and after if strides skip",
     TILES,
     {.square = {1}, .no_padding = true},
     SUM,
     gemm_1x1_plan,
     pixel_gemm_axes},
    {"implicit-gemm",
     "IMPLICIT_GEMM",
     "tiles of a virtual column matrix, indices made in the loop",
     TILES,
     {.nhwc = true},
     SUM,
     implicit_gemm_plan,
     pixel_gemm_axes},
    {"implicit-gemm-v4r1",
     "MIOpen v4r1",
     "the same; a thread's columns are 8 images of one pixel",
     WIDE_TILES,
     {.batch = 8},
     SUM,
     implicit_gemm_v4r1_plan,
     pixel_gemm_axes},
    {"implicit-gemm-split-k",
     "MIOpen GTC split-K",
     "the same; slices of the inner dimension, added up by a kernel",
     TILES,
     {.nhwc = true},
     SUM,
     implicit_gemm_split_k_plan,
     pixel_gemm_axes},
    {"implicit-precomp-gemm",
     "IMPLICIT_PRECOMP_GEMM",
     "as implicit-gemm, indices from a table made by a kernel",
     TILES,
     {.dilated = 32768 /* the table has 16 bits for each coordinate */, .nhwc = true},
     SUM,
     implicit_precomp_gemm_plan,
     pixel_gemm_axes},
    {"winograd-2x2-fused",
     "WINOGRAD",
     "F(2x2): filter kernel, then the rest in one, 32 filters x 32 tiles",
     "",
     {.square = {3}, STEPS_OF_1},
     SUM,
     winograd_2x2_fused_plan,
     winograd_fused_axes},
    {"winograd-4x4-fused",
     "WINOGRAD",
     "the same with F(4x4) and threads of their own for loading",
     "",
     {.square = {3}, STEPS_OF_1},
     TRANSFORM,
     winograd_4x4_fused_plan,
     winograd_fused_axes},
    {"winograd-2x2-nonfused",
     "WINOGRAD_NONFUSED",
     "F(2x2): filter, input, batched SGEMM and output kernels",
     TILES,
     {.square = {3, 5}, STEPS_OF_1},
     SUM,
     winograd_2x2_nonfused_plan,
     winograd_gemm_axes},
    {"winograd-4x4-nonfused",
     "WINOGRAD_NONFUSED",
     "the same with F(4x4)",
     TILES,
     {.square = {3}, STEPS_OF_1},
     TRANSFORM,
     winograd_4x4_nonfused_plan,
     winograd_gemm_axes},
#define MULTIPASS(out, bound, summary)                                                             \
    {                                                                                              \
        "winograd-" #out "x" #out "-multipass", "MIOpen MPBD F(" #out "x" #out ",3x3)", summary,   \
            TILES, {.square = {3}, STEPS_OF_1}, bound, winograd_##out##x##out##_multipass_plan,    \
            winograd_gemm_axes                                                                     \
    }
    MULTIPASS(2, SUM, "as nonfused; transforms by 512 threads per processor that go on"),
    MULTIPASS(3, SUM, "the same with F(3x3)"),
    MULTIPASS(4, TRANSFORM, "the same with F(4x4)"),
    MULTIPASS(5, TRANSFORM, "the same with F(5x5)"),
    MULTIPASS(6, TRANSFORM, "the same with F(6x6)"),
#undef MULTIPASS
    {"winograd-rxs-f2x3",
     "MIOpen RxS F(2,3)",
     "one launch, 512 threads per processor take 32 filters x 32 tiles and go on",
     "",
     {STEPS_UP_TO_2},
     SUM,
     winograd_rxs_f2x3_plan,
     winograd_rxs_axes},
    {"winograd-rxs-f3x2",
     "MIOpen RxS F(3,2)",
     "the same; filters in pieces of 2x2, not 3x3",
     "",
     {STEPS_UP_TO_2},
     SUM,
     winograd_rxs_f3x2_plan,
     winograd_rxs_axes},
    {"fft",
     "FFT",
     "spectra of whole padded maps, one complex GEMM per frequency",
     COMPLEX_TILES,
     {STEPS_OF_1, .padded_map = 256},
     TRANSFORM,
     fft_plan,
     fft_axes},
    {"fft-tiling",
     "FFT_TILING",
     "the same, map cut into 32x32 tiles that overlap",
     COMPLEX_TILES,
     {STEPS_OF_1, .filter = 32},
     TRANSFORM,
     fft_tiling_plan,
     fft_axes},
    {"fft-transposed",
     "MIOpen fft",
     "planes of 12, 18 or 32 squared; spectra transposed by kernels",
     COMPLEX_TILES,
     {STEPS_OF_1, .padded_map = 32},
     TRANSFORM,
     fft_transposed_plan,
     fft_axes},
};
enum { N_IMPLS = sizeof impls / sizeof *impls };

const struct conv_impl *conv_impls(size_t *n)
{
    *n = N_IMPLS;
    return impls;
}

int conv_find(const struct conv_impl **out, const char *name, struct diag *d)
{
    const char *names[N_IMPLS];
    for (int i = 0; i < N_IMPLS; i++) {
        names[i] = impls[i].name;
        if (strcmp(name, names[i]) == 0) {
            *out = &impls[i];
            return OK;
        }
    }
    const char *near = vocab_nearest(name, names, N_IMPLS), *all = "";
    struct arena scratch = {0};
    for (int i = 0; i < N_IMPLS; i++)
        all = arena_printf(&scratch, "%s%s%s", all, i ? ", " : "", names[i]);
    diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "no implementation '%.60s'; %s%s%shere are %s", name,
              near ? "did you mean '" : "", near ? near : "", near ? "'? T" : "t", all);
    arena_fini(&scratch);
    return ERR_INPUT;
}
