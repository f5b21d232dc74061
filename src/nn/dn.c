/* oneDNN's C interface, with every object owned by the net. */
#include "nn/priv.h"

struct cleanup {
    struct cleanup *next;
    dnnl_primitive_t primitive;
    dnnl_memory_t memory;
};

void dn_cleanup(struct nn *net)
{
    for (struct cleanup *c = net->cleanup; c; c = c->next) {
        dnnl_primitive_destroy(c->primitive);
        dnnl_memory_destroy(c->memory);
    }
    dnnl_stream_destroy(net->stream);
    dnnl_engine_destroy(net->engine);
}

static struct cleanup *keep(struct nn *net)
{
    struct cleanup *c = ARENA_NEW(&net->arena, struct cleanup);
    c->next = net->cleanup;
    return net->cleanup = c;
}

unsigned dn_plain(dnnl_memory_desc_t *md, int rank, const size_t *dim, const size_t *strides)
{
    dnnl_dims_t dims, steps;
    size_t plain[DNNL_MAX_NDIMS];
    if (!strides) {
        dims_strides(rank, dim, plain);
        strides = plain;
    }
    for (int k = 0; k < rank; k++) {
        dims[k] = (dnnl_dim_t)dim[k];
        steps[k] = (dnnl_dim_t)strides[k];
    }
    return dnnl_memory_desc_init_by_strides(md, rank, dims, dnnl_f32, steps);
}

unsigned dn_any(dnnl_memory_desc_t *md, int rank, const size_t *dim)
{
    dnnl_dims_t dims;
    for (int k = 0; k < rank; k++)
        dims[k] = (dnnl_dim_t)dim[k];
    return dnnl_memory_desc_init_by_tag(md, rank, dims, dnnl_f32, dnnl_format_tag_any);
}

unsigned dn_memory(struct nn *net, dnnl_memory_t *out, const dnnl_memory_desc_t *md, void *handle)
{
    dnnl_memory_t m;
    unsigned s = dnnl_memory_create(&m, md, net->engine, handle ? handle : DNNL_MEMORY_ALLOCATE);
    if (s == dnnl_success)
        *out = keep(net)->memory = m;
    return s;
}

static unsigned from_desc(struct nn *net, dnnl_primitive_t *out, dnnl_primitive_desc_t pd)
{
    dnnl_primitive_t p;
    unsigned s = dnnl_primitive_create(&p, pd);
    if (s == dnnl_success)
        *out = keep(net)->primitive = p;
    return s;
}

unsigned dn_primitive(struct nn *net, dnnl_primitive_t *out, const_dnnl_op_desc_t desc,
                      const_dnnl_primitive_attr_t attr, const_dnnl_primitive_desc_t *made)
{
    dnnl_primitive_desc_t pd;
    unsigned s = dnnl_primitive_desc_create(&pd, desc, attr, net->engine, NULL);
    if (s != dnnl_success)
        return s;
    s = from_desc(net, out, pd);
    dnnl_primitive_desc_destroy(pd);
    if (s == dnnl_success && made)
        s = dnnl_primitive_get_primitive_desc(*out, made);
    return s;
}

unsigned dn_reorder(struct nn *net, dnnl_primitive_t *out, dnnl_memory_t from, dnnl_memory_t to)
{
    const dnnl_memory_desc_t *a, *b;
    dnnl_primitive_desc_t pd;
    *out = NULL;
    dnnl_memory_get_memory_desc(from, &a);
    dnnl_memory_get_memory_desc(to, &b);
    if (dnnl_memory_desc_equal(a, b))
        return dnnl_success;
    unsigned s = dnnl_reorder_primitive_desc_create(&pd, a, net->engine, b, net->engine, NULL);
    if (s != dnnl_success)
        return s;
    s = from_desc(net, out, pd);
    dnnl_primitive_desc_destroy(pd);
    return s;
}

unsigned dn_run(struct nn *net, dnnl_primitive_t p, int n, const dnnl_exec_arg_t *args)
{
    return dnnl_primitive_execute(p, net->stream, n, args);
}

unsigned dn_run_reorder(struct nn *net, dnnl_primitive_t p, dnnl_memory_t from, dnnl_memory_t to)
{
    dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    return p ? dn_run(net, p, 2, args) : dnnl_success;
}
