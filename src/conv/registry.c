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

static const struct conv_impl impls[] = {
    {"direct", "DIRECT", "one thread per output, no reuse", "", {.nhwc = true}, direct_plan},
    {"direct-tiled",
     "DIRECT",
     "square tiles staged in shared memory, 8 channels per thread",
     "8x8,16x16,32x32",
     {.square = {3, 5, 7, 9, 11}, STEPS_UP_TO_2},
     direct_tiled_plan},
    {"direct-1x1",
     "DIRECT",
     "16 or 32 channels of 1 or 2 pixels per thread",
     "16x1,16x2,32x1,32x2",
     {.square = {1}, .no_padding = true},
     direct_1x1_plan},
    {"direct-depthwise",
     "DIRECT",
     "8x8 pixels of 16 channels, each from one input channel",
     "",
     {.square = {3, 5}, STEPS_UP_TO_2, .depthwise = true},
     direct_depthwise_plan},
    {"gemm", "GEMM", "im2col and SGEMM, image by image", TILES, {.nhwc = true}, gemm_plan},
    {"implicit-gemm",
     "IMPLICIT_GEMM",
     "tiles of a virtual column matrix, indices made in the loop",
     TILES,
     {.nhwc = true},
     implicit_gemm_plan},
    {"implicit-gemm-v4r1",
     "- (MIOpen v4r1)",
     "the same; a thread's columns are 8 images of one pixel",
     WIDE_TILES,
     {.batch = 8},
     implicit_gemm_v4r1_plan},
    {"implicit-precomp-gemm",
     "IMPLICIT_PRECOMP_GEMM",
     "as implicit-gemm, indices from a table made by a kernel",
     TILES,
     {.dilated = 32768 /* the table has 16 bits for each coordinate */, .nhwc = true},
     implicit_precomp_gemm_plan},
    {"winograd-2x2-fused",
     "WINOGRAD",
     "F(2x2): filter kernel, then the rest in one, 32 filters x 32 tiles",
     "",
     {.square = {3}, STEPS_OF_1},
     winograd_2x2_fused_plan},
    {"winograd-4x4-fused",
     "WINOGRAD",
     "the same with F(4x4) and threads of their own for loading",
     "",
     {.square = {3}, STEPS_OF_1},
     winograd_4x4_fused_plan},
    {"winograd-2x2-nonfused",
     "WINOGRAD_NONFUSED",
     "F(2x2): filter, input, batched SGEMM and output kernels",
     TILES,
     {.square = {3, 5}, STEPS_OF_1},
     winograd_2x2_nonfused_plan},
    {"winograd-4x4-nonfused",
     "WINOGRAD_NONFUSED",
     "the same with F(4x4)",
     TILES,
     {.square = {3}, STEPS_OF_1},
     winograd_4x4_nonfused_plan},
    {"fft",
     "FFT",
     "spectra of whole padded maps, one complex GEMM per frequency",
     COMPLEX_TILES,
     {STEPS_OF_1, .padded_map = 256},
     fft_plan},
    {"fft-tiling",
     "FFT_TILING",
     "the same, map cut into 32x32 tiles that overlap",
     COMPLEX_TILES,
     {STEPS_OF_1, .filter = 32},
     fft_tiling_plan},
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
    const char *near = vocab_nearest(name, names, N_IMPLS);
    char all[400] = "";
    for (int i = 0, len = 0; i < N_IMPLS && len < (int)sizeof all; i++)
        len += snprintf(all + len, sizeof all - (size_t)len, "%s%s", i ? ", " : "", names[i]);
    return diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "no implementation '%.60s'; %s%s%shere are %s",
                     name, near ? "did you mean '" : "", near ? near : "", near ? "'? T" : "t",
                     all);
}
