/* NCHW <-> the order in which a problem's tensors lie in the GPU's memory. */
#include <string.h>

#include "conv/priv.h"

const float *layout_tensor(struct arena *a, const struct conv_problem *p, const float *from, int n,
                           int channels, int h, int w)
{
    const size_t dim[4] = {(size_t)n, (size_t)channels, (size_t)h, (size_t)w};
    return p->layout == LAYOUT_NHWC ? tensor_to_nhwc(a, from, dim) : from;
}

void conv_out_to_nchw(const struct conv_problem *p, float *to, const float *from)
{
    const size_t dim[4] = {(size_t)p->n, (size_t)p->k, (size_t)conv_out_h(p),
                           (size_t)conv_out_w(p)};
    struct arena scratch = {0};
    if (p->layout == LAYOUT_NHWC)
        from = tensor_from_nhwc(&scratch, from, dim);
    memcpy(to, from, dim[0] * dim[1] * dim[2] * dim[3] * sizeof *to);
    arena_fini(&scratch);
}
