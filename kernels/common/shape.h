/* The numbers that tell a kernel what problem it works on, in the order of its parameters after the
 * buffers. Kernels and the planner are made from this one list. C and K count the channels and the
 * filters of one group. */
#ifndef COMMON_SHAPE_H
#define COMMON_SHAPE_H

/* clang-format off */
#define SHAPE_FIELDS(F)                                                                            \
    F(N) F(C) F(H) F(W) F(K) F(R) F(S) F(P) F(Q)                                                   \
    F(pad_top) F(pad_left) F(stride_h) F(stride_w) F(dilation_h) F(dilation_w) F(groups)
/* clang-format on */

#define SHAPE_MEMBER(name) int name;
struct shape {
    SHAPE_FIELDS(SHAPE_MEMBER)
};

#endif
