/* Problem + implementation -> plan: the launches that a vendor library would make. */
#ifndef CONV_CONV_H
#define CONV_CONV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/diag.h"
#include "base/tensor.h"
#include "simt/simt.h"

/* One convolution (cross-correlation, as in all CNN libraries), NCHW float32, filter KCRS/groups. */
struct conv_problem {
    int n, c, h, w;
    int k, r, s;
    int pad_top, pad_bottom, pad_left, pad_right;
    int stride_h, stride_w;
    int dilation_h, dilation_w;
    int groups;
};

/* "1x16x32x32:32x3x3:p1": N x C x H x W : K x R x S, then any of p (pad), s (stride), d (dilation),
 * each one number or two (vertical,horizontal), p also four (top,bottom,left,right), g (groups),
 * separated by ':'. ERR_INPUT says what is impossible, including an empty output. */
int conv_parse_shape(struct conv_problem *out, const char *text, struct diag *d);
/* Fill in what a caller left zero (strides, dilations, groups: 1) and check: sizes positive, groups
 * divide, output not empty, no tensor beyond 2^31 elements. */
int conv_check(struct conv_problem *p, struct diag *d);
/* The same notation, canonical. In a. */
char *conv_shape(struct arena *a, const struct conv_problem *p);
int conv_out_h(const struct conv_problem *p);
int conv_out_w(const struct conv_problem *p);

struct conv_plan; /* opaque: kernels, buffers, launches with symbolic arguments */

/* One row of the registry. */
struct conv_impl {
    const char *name;    /* "implicit-gemm" */
    const char *vendor;  /* cuDNN's name for it: "IMPLICIT_GEMM" */
    const char *summary; /* one line */
    const char *limits;  /* one line, for `conv list` */
    const char *tiles;   /* names of the tile choices, comma separated, or "" */
    int (*supports)(const struct conv_problem *p, struct diag *d);
    int (*plan)(struct conv_plan *plan, const struct conv_problem *p, const char *tile,
                struct diag *d);
};
const struct conv_impl *conv_impls(size_t *n);
/* By name; ERR_INPUT suggests. */
int conv_find(const struct conv_impl **out, const char *name, struct diag *d);

/* A problem made ready to simulate: kernels parsed, memory allocated and filled. */
struct conv_program {
    struct simt_program sim;
    struct conv_problem problem;
    const struct conv_impl *impl;
    const char *tile;         /* the tile used, "" if the implementation has none */
    uint64_t workspace_bytes; /* beyond input, filter and output */
    const char *const *ptx_names; /* per launch, for provenance */
};
/* input n*c*h*w, filter k*(c/groups)*r*s floats. tile NULL or "": the planner's choice. The result
 * belongs to a, but for its memory: conv_program_fini. ERR_UNSUPPORTED names the reason and the
 * implementations that would do. */
int conv_prepare(struct conv_program *out, struct arena *a, const struct conv_problem *p,
                 const struct conv_impl *impl, const char *tile, const float *input,
                 const float *filter, struct diag *d);
void conv_program_fini(struct conv_program *p);

/* What one launch costs without a fault. Bytes are those that threads ask for, whatever a cache serves. */
struct conv_cost {
    struct simt_counts counts;
    uint64_t group[N_GROUPS]; /* thread instructions of each group */
    uint64_t global_load_bytes, global_store_bytes, shared_load_bytes, shared_store_bytes;
};
/* Run p on a copy of its memory: once counting, into cost[n_launches], once plain, for the time. out: as
 * many floats as the output has. ERR_INPUT if it traps. */
int conv_measure(struct conv_cost *cost, const struct conv_program *p, float *out, double *seconds,
                 struct diag *d);

/* The reference: oneDNN, direct algorithm, float32. out: n*k*P*Q floats. */
int conv_reference(const struct conv_problem *p, const float *input, const float *filter, float *out,
                   struct diag *d);
/* The slow obvious way, double accumulation: the reference of the reference. */
void conv_naive(const struct conv_problem *p, const float *input, const float *filter, double *out);

/* Hash (FNV-1a, 64 bits) of all PTX that the build embedded: part of a campaign's identity. */
uint64_t conv_kernels_hash(void);

#endif
