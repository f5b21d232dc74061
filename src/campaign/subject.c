/* Where a campaign's program came from, and how a store makes it again. */
#include <string.h>

#include "campaign/priv.h"

struct campaign_subject campaign_of_conv(struct arena *a, const struct conv_program *p,
                                         const float *input, const float *filter, const char *layer)
{
    const struct conv_problem *q = &p->problem;
    return (struct campaign_subject){
        .sim = &p->sim,
        .impl = p->impl->name,
        .shape = conv_shape(a, q),
        .tile = p->tile ? p->tile : "",
        .layer = layer ? layer : "",
        .ptx = "",
        .arguments = "",
        .kernels_hash = conv_kernels_hash(),
        .workspace_bytes = p->workspace_bytes,
        .dim = {(size_t)q->n, (size_t)q->k, (size_t)conv_out_h(q), (size_t)conv_out_w(q)},
        .input_floats = (size_t)q->n * (size_t)q->c * (size_t)q->h * (size_t)q->w,
        .filter_floats = (size_t)q->k * (size_t)(q->c / q->groups) * (size_t)q->r * (size_t)q->s,
        .input = input,
        .filter = filter};
}

struct campaign_subject campaign_of_user(struct arena *a, const struct user_program *p)
{
    const struct simt_launch *l = p->sim.launches;
    size_t n_data;
    const float *data = user_data(p, a, &n_data);
    return (struct campaign_subject){.sim = &p->sim,
                                     .impl = ptx_kernel_name(p->kernel),
                                     .shape = arena_printf(a, "%u,%u,%u x %u,%u,%u", l->grid[0],
                                                           l->grid[1], l->grid[2], l->block[0],
                                                           l->block[1], l->block[2]),
                                     .tile = "",
                                     .layer = "",
                                     .ptx = p->ptx,
                                     .arguments = p->arguments,
                                     .kernels_hash = p->hash,
                                     .dim = {p->dim[0], p->dim[1], p->dim[2], p->dim[3]},
                                     .input_floats = n_data,
                                     .input = data};
}

static int rebuild_conv(struct conv_program *out, struct arena *a, const struct store_campaign *c,
                        struct diag *d)
{
    struct conv_problem problem;
    const struct conv_impl *impl;
    int rc = conv_parse_shape(&problem, c->shape, d);
    if (rc != OK || (rc = conv_find(&impl, c->impl, d)) != OK)
        return rc;
    if (c->kernels_hash != conv_kernels_hash())
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                         "the campaign ran other kernels (%016llx) than this program has (%016llx)",
                         (unsigned long long)c->kernels_hash,
                         (unsigned long long)conv_kernels_hash());
    const struct conv_problem *q = &problem;
    if (c->input_floats != (size_t)q->n * (size_t)q->c * (size_t)q->h * (size_t)q->w ||
        c->filter_floats != (size_t)q->k * (size_t)(q->c / q->groups) * (size_t)q->r * (size_t)q->s)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                         "damaged store: its input or filter does not have the size of its shape");
    return conv_prepare(out, a, q, impl, c->tile, c->input, c->filter, d);
}

int subject_restore(struct restored *out, struct arena *a, const struct store_campaign *c,
                    struct diag *d)
{
    *out = (struct restored){.is_user = c->ptx[0] != 0};
    int rc = out->is_user
                 ? user_restore(&out->user, a, c->ptx, c->arguments, c->input, c->input_floats, d)
                 : rebuild_conv(&out->conv, a, c, d);
    out->sim = out->is_user ? &out->user.sim : &out->conv.sim;
    return rc;
}

void subject_fini(struct restored *r)
{
    if (r->is_user)
        user_program_fini(&r->user);
    else
        conv_program_fini(&r->conv);
}
