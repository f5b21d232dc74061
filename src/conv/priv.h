/* How an implementation describes its launches, before there is a simulator or a device to run them. */
#ifndef CONV_PRIV_H
#define CONV_PRIV_H

#include "conv/conv.h"
#include "conv/kernels.h"

enum { PLAN_MAX_BUFFERS = 12, PLAN_MAX_ARGS = 32 };

/* Buffers 0 to 2 are the problem's; more are workspace. */
enum { BUFFER_INPUT, BUFFER_FILTER, BUFFER_OUTPUT, N_PROBLEM_BUFFERS };

struct plan_arg {
    bool is_buffer;
    int32_t value; /* a number, or which buffer */
};

struct plan_launch {
    const char *label; /* "input-transform" */
    const struct kernel_file *file;
    const char *kernel; /* the kernel's name in that file */
    uint64_t grid[3];
    uint32_t threads;
    int n_args;
    struct plan_arg arg[PLAN_MAX_ARGS];
};

struct conv_plan {
    const char *tile; /* the tile chosen, "" if none */
    int n_buffers;
    uint64_t buffer_elems[PLAN_MAX_BUFFERS]; /* of 4 bytes each */
    int n_launches, max_launches;
    struct plan_launch *launch;
    struct arena *arena;
};

/* The plan of impl for p, in a, checked against the limits of a launch. ERR_UNSUPPORTED as
 * conv_prepare. */
int conv_make_plan(struct conv_plan *plan, struct arena *a, const struct conv_problem *p,
                   const struct conv_impl *impl, const char *tile, struct diag *d);

/* Workspace of 4-byte elements; the buffer's number in *buffer. Refused beyond 2^31 - 1, which kernels
 * index with 32 bits. */
int plan_workspace(struct conv_plan *plan, uint64_t elems, int *buffer, struct diag *d);
/* The next launch: kernel of the embedded file `file` (printf format), which the build must have. */
struct plan_launch *plan_launch(struct conv_plan *plan, const char *label, const char *kernel,
                                uint64_t threads, const char *file, ...)
    __attribute__((format(printf, 5, 6)));
void plan_grid(struct plan_launch *l, uint64_t x, uint64_t y, uint64_t z);
/* Arguments, in the order of the kernel's parameters. */
void plan_buffers(struct plan_launch *l, int n, const int *buffers);
#define PLAN_BUFFERS(l, ...)                                                                       \
    plan_buffers(l, sizeof((int[]){__VA_ARGS__}) / sizeof(int), (int[]){__VA_ARGS__})
void plan_int(struct plan_launch *l, int value);
void plan_shape(struct plan_launch *l, const struct conv_problem *p);

/* What the planner takes a GPU to have: the processors of an A100. Persistent kernels have as many thread
 * groups, or fewer where there is not enough to do. */
enum { PLAN_PROCESSORS = 108 };
static inline uint64_t plan_persistent(uint64_t items)
{
    return items < PLAN_PROCESSORS ? items : PLAN_PROCESSORS;
}

static inline uint64_t div_up(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

/* The tiles of GEMM-like kernels, kernels/common/tiles.def. */
enum tile_kind { TILE_PLAIN, TILE_SPECIAL, TILE_WIDE, TILE_COMPLEX };
struct tile {
    const char *name;
    int bm, bn, bk, tm, tn;
    int subm, subn, um, un; /* a thread's sub-tiles, and the unit they are spread over */
    enum tile_kind kind;
};
#define TILE_THREADS(t) ((uint64_t)((t)->bm / (t)->tm) * (uint64_t)((t)->bn / (t)->tn))
/* The tile for `batch` products of m x n results: the one named, or the cheapest of that kind. Special and
 * wide ones can be named in the place of plain ones. */
int tile_choose(const struct tile **out, const char *name, enum tile_kind kind, uint64_t m,
                uint64_t n, uint64_t batch, struct diag *d);

/* The side of the planes that the Fourier transforms of p take. */
size_t fft_plane_size(const struct conv_problem *p);

/* ERR_INPUT: there is no tile of that name. */
int no_tile(const char *name, struct diag *d);

/* The matrices of a batch: where they are in a buffer. */
struct matrix {
    int buffer;
    uint64_t first, row, step; /* the first element; from one row, and one matrix, to the next */
};
/* A strided batched product, c = a b: c of m x n, a of m x k. */
struct gemm {
    bool complex;      /* elements are pairs of floats */
    bool b_transposed; /* b lies as n x k */
    struct matrix a, b, c;
    uint64_t batch, m, n, k;
};
/* Of matrices that lie row by row, one after another, each operand in a buffer of its own. */
struct gemm gemm_of(int a, int b, int c, uint64_t batch, uint64_t m, uint64_t n, uint64_t k);
/* Launches gemm/gemm.cl. Sets the plan's tile. */
int plan_product(struct conv_plan *plan, const struct gemm *g, const char *tile, struct diag *d);

/* n x channels x h x w, in the problem's layout: from itself, or a copy in a. */
const float *layout_tensor(struct arena *a, const struct conv_problem *p, const float *from, int n,
                           int channels, int h, int w);

/* ERR_UNSUPPORTED says which limit p is beyond. */
int limits_check(const struct conv_limits *l, const struct conv_problem *p, struct diag *d);
/* As conv_make_plan, but naming no alternatives. */
int plan_within_limits(struct conv_plan *plan, struct arena *a, const struct conv_problem *p,
                       const struct conv_impl *impl, const char *tile, struct diag *d);

/* The implementations, one row each in registry.c. */
typedef int conv_planner(struct conv_plan *plan, const struct conv_problem *p, const char *tile,
                         struct diag *d);
conv_planner direct_plan, direct_tiled_plan, direct_1x1_plan, direct_depthwise_plan, gemm_plan,
    gemm_1x1_plan, implicit_gemm_plan, implicit_gemm_v4r1_plan, implicit_gemm_split_k_plan,
    implicit_precomp_gemm_plan, winograd_2x2_fused_plan, winograd_4x4_fused_plan,
    winograd_2x2_nonfused_plan, winograd_4x4_nonfused_plan, winograd_2x2_multipass_plan,
    winograd_3x3_multipass_plan, winograd_4x4_multipass_plan, winograd_5x5_multipass_plan,
    winograd_6x6_multipass_plan, winograd_rxs_f2x3_plan, winograd_rxs_f3x2_plan, fft_plan,
    fft_tiling_plan, fft_transposed_plan;

/* In which coordinates they think of their output: members of the same rows. */
typedef int conv_axes(struct tiling *t, const struct conv_program *p);
conv_axes direct_axes, direct_tiled_axes, direct_1x1_axes, direct_depthwise_axes, pixel_gemm_axes,
    winograd_gemm_axes, winograd_rxs_axes, winograd_fused_axes, fft_axes;

#endif
