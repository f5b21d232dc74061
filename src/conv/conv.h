/* Problem + implementation -> plan: the launches that a vendor library would make. */
#ifndef CONV_CONV_H
#define CONV_CONV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/diag.h"
#include "base/tensor.h"
#include "base/tiling.h"
#include "simt/simt.h"

/* One convolution (cross-correlation, as in all CNN libraries), float32. The layout is that of the
 * simulated GPU's memory: NCHW with KCRS filters, or NHWC with KRSC filters (C of one group). Tensors that
 * pass through this header are NCHW and KCRS whatever it is. */
struct conv_problem {
    int n, c, h, w;
    int k, r, s;
    int pad_top, pad_bottom, pad_left, pad_right;
    int stride_h, stride_w;
    int dilation_h, dilation_w;
    int groups;
    enum tensor_layout layout;
};

/* "1x16x32x32:32x3x3:p1": N x C x H x W : K x R x S, then any of p (pad), s (stride), d (dilation),
 * each one number or two (vertical,horizontal), p also four (top,bottom,left,right), g (groups), and the
 * layout's word, separated by ':'. ERR_INPUT says what is impossible, including an empty output. */
int conv_parse_shape(struct conv_problem *out, const char *text, struct diag *d);
/* Fill in what a caller left zero (strides, dilations, groups: 1) and check: sizes positive, groups
 * divide, output not empty, no tensor beyond 2^31 elements. */
int conv_check(struct conv_problem *p, struct diag *d);
/* The same notation, canonical. In a. */
char *conv_shape(struct arena *a, const struct conv_problem *p);
int conv_out_h(const struct conv_problem *p);
int conv_out_w(const struct conv_problem *p);

/* The output as it lies in the GPU's memory -> NCHW. to and from do not overlap. */
void conv_out_to_nchw(const struct conv_problem *p, float *to, const float *from);

struct conv_plan; /* opaque: kernels, buffers, launches with symbolic arguments */
struct conv_program;

/* What an implementation can compute; what is 0 is not limited. */
enum { LIMITS_SQUARES = 6 };
struct conv_limits {
    int batch;                  /* a multiple of it */
    int square[LIMITS_SQUARES]; /* filters only of these sizes, each as high as wide */
    int filter;                 /* at most, each way */
    int dilated;                /* the same of the dilated filter */
    int stride;                 /* at most, and the same both ways */
    int dilation;               /* only this one */
    bool no_padding;
    bool depthwise; /* one input channel per group */
    int padded_map; /* at most, each way */
    bool nhwc;      /* not only NCHW */
};

/* One row of the registry. */
struct conv_impl {
    const char *name;    /* "implicit-gemm" */
    const char *vendor;  /* cuDNN's name for it, "IMPLICIT_GEMM", or of others "MIOpen v4r1" */
    const char *summary; /* one line */
    const char *tiles;   /* names of the tile choices, comma separated, or "" */
    struct conv_limits supports;
    double bound; /* ||out - exact|| / ||exact|| that it keeps, for values of like size */
    int (*plan)(struct conv_plan *plan, const struct conv_problem *p, const char *tile,
                struct diag *d);
    /* Fills in the axes of a tiling; NULL: nothing is said of who computes what. */
    int (*axes)(struct tiling *t, const struct conv_program *p);
};
const struct conv_impl *conv_impls(size_t *n);
/* Whether impl computes p: its limits and those of a launch. ERR_UNSUPPORTED says why not. */
int conv_supports(const struct conv_impl *impl, const struct conv_problem *p, struct diag *d);
/* The same; if it does, *bytes is the workspace that it needs beyond the problem's tensors. */
int conv_workspace(uint64_t *bytes, const struct conv_impl *impl, const struct conv_problem *p,
                   struct diag *d);
/* Its limits in words but for the layout, from the table that decides. In a, or static. */
const char *conv_limits_text(struct arena *a, const struct conv_impl *impl);
/* By name; ERR_INPUT suggests. */
int conv_find(const struct conv_impl **out, const char *name, struct diag *d);

/* A problem made ready to simulate: kernels parsed, memory allocated and filled. */
struct conv_program {
    struct simt_program sim;
    struct conv_problem problem;
    const struct conv_impl *impl;
    const char *tile;             /* the tile used, "" if the implementation has none */
    uint64_t workspace_bytes;     /* beyond input, filter and output */
    const char *const *ptx_names; /* per launch, for provenance */
};
/* input n*c*h*w, filter k*(c/groups)*r*s floats. tile NULL or "": the planner's choice. The result
 * belongs to a, but for its memory: conv_program_fini. ERR_UNSUPPORTED names the reason and the
 * implementations that would do. */
int conv_prepare(struct conv_program *out, struct arena *a, const struct conv_problem *p,
                 const struct conv_impl *impl, const char *tile, const float *input,
                 const float *filter, struct diag *d);
void conv_program_fini(struct conv_program *p);

/* The coordinates in which p's implementation computes its output, of one image. ERR_UNSUPPORTED: it has not
 * said. */
int conv_tiling(struct tiling *out, const struct conv_program *p);
/* Along which axes what the launch of that label makes is shared by the thread groups of later ones: bits of
 * base/tiling.h, 0 for a launch that computes the output. */
int conv_launch_shared(const char *label);

/* What one launch costs without a fault. Bytes are those that threads ask for, whatever a cache serves. */
struct conv_cost {
    struct simt_counts counts;
    uint64_t group[N_GROUPS]; /* thread instructions of each group */
    uint64_t global_load_bytes, global_store_bytes, shared_load_bytes, shared_store_bytes;
};
/* Run p on a copy of its memory: once counting, into cost[n_launches], once plain, for the time. out: as
 * many floats as the output has, NCHW. ERR_INPUT if it traps. */
int conv_measure(struct conv_cost *cost, const struct conv_program *p, float *out, double *seconds,
                 struct diag *d);

/* The reference: oneDNN, direct algorithm, float32. out: n*k*P*Q floats. */
int conv_reference(const struct conv_problem *p, const float *input, const float *filter,
                   float *out, struct diag *d);
/* The slow obvious way, double accumulation: the reference of the reference. */
void conv_naive(const struct conv_problem *p, const float *input, const float *filter, double *out);

/* Hash (FNV-1a, 64 bits) of all PTX that the build embedded: part of a campaign's identity. */
uint64_t conv_kernels_hash(void);

#endif
