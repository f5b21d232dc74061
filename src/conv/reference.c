/* The reference: oneDNN's direct convolution in float32 (oneAPI Deep Neural Network Library 2.6, C API). */
#include <oneapi/dnnl/dnnl.h>

#include "conv/conv.h"

struct job {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t primitive;
    dnnl_memory_t memory[3];
};

static dnnl_status_t describe(dnnl_memory_desc_t md[3], const struct conv_problem *p)
{
    const dnnl_dims_t src = {p->n, p->c, p->h, p->w};
    const dnnl_dims_t dst = {p->n, p->k, conv_out_h(p), conv_out_w(p)};
    const dnnl_dims_t weights = {p->groups, p->k / p->groups, p->c / p->groups, p->r, p->s};
    dnnl_status_t status = dnnl_memory_desc_init_by_tag(&md[0], 4, src, dnnl_f32, dnnl_nchw);
    if (status == dnnl_success)
        status = dnnl_memory_desc_init_by_tag(&md[1], 5, weights, dnnl_f32, dnnl_goihw);
    if (status == dnnl_success)
        status = dnnl_memory_desc_init_by_tag(&md[2], 4, dst, dnnl_f32, dnnl_nchw);
    return status;
}

static dnnl_status_t prepare(struct job *j, const struct conv_problem *p, void *const data[3])
{
    /* oneDNN counts a dilation of 1 as 0. */
    const dnnl_dims_t strides = {p->stride_h, p->stride_w};
    const dnnl_dims_t dilations = {p->dilation_h - 1, p->dilation_w - 1};
    const dnnl_dims_t before = {p->pad_top, p->pad_left}, after = {p->pad_bottom, p->pad_right};
    dnnl_memory_desc_t md[3];
    dnnl_convolution_desc_t conv;
    dnnl_status_t status = describe(md, p);
    if (status == dnnl_success)
        status = dnnl_dilated_convolution_forward_desc_init(
            &conv, dnnl_forward_inference, dnnl_convolution_direct, &md[0], &md[1], NULL, &md[2],
            strides, dilations, before, after);
    if (status == dnnl_success)
        status = dnnl_engine_create(&j->engine, dnnl_cpu, 0);
    if (status == dnnl_success)
        status = dnnl_stream_create(&j->stream, j->engine, dnnl_stream_default_flags);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(&j->desc, &conv, NULL, j->engine, NULL);
    if (status == dnnl_success)
        status = dnnl_primitive_create(&j->primitive, j->desc);
    for (int i = 0; i < 3 && status == dnnl_success; i++)
        status = dnnl_memory_create(&j->memory[i], &md[i], j->engine, data[i]);
    return status;
}

static void job_fini(struct job *j)
{
    for (int i = 0; i < 3; i++)
        dnnl_memory_destroy(j->memory[i]);
    dnnl_primitive_destroy(j->primitive);
    dnnl_primitive_desc_destroy(j->desc);
    dnnl_stream_destroy(j->stream);
    dnnl_engine_destroy(j->engine);
}

int conv_reference(const struct conv_problem *p, const float *input, const float *filter,
                   float *out, struct diag *d)
{
    struct job j = {0};
    union {
        const float *in;
        void *data;
    } x = {input}, f = {filter}; /* oneDNN's memory has no const; it only reads these */
    dnnl_status_t status = prepare(&j, p, (void *const[]){x.data, f.data, out});
    const dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, j.memory[0]}, {DNNL_ARG_WEIGHTS, j.memory[1]}, {DNNL_ARG_DST, j.memory[2]}};
    if (status == dnnl_success)
        status = dnnl_primitive_execute(j.primitive, j.stream, 3, args);
    if (status == dnnl_success)
        status = dnnl_stream_wait(j.stream);
    job_fini(&j);
    if (status == dnnl_success)
        return OK;
    return diag_fail(d, ERR_UNSUPPORTED, DIAG_NOWHERE,
                     "oneDNN cannot compute this convolution (its status %d)", (int)status);
}
