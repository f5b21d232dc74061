/* Gemm and MatMul on oneDNN's matmul. */
#include "nn/broadcast.h"
#include "nn/priv.h"

struct gemm {
    dnnl_primitive_t matmul, weigh;
    dnnl_memory_t a, b, b_plain, bias, y;
    bool weigh_each;
    const struct nn_value *add; /* what Gemm adds afterwards, NULL if nothing or done as bias */
    struct broadcast how;
    float beta;
};

static unsigned run_gemm(struct nn *net, const struct nn_node *node)
{
    struct gemm *g = node->state;
    unsigned s = g->weigh_each ? dn_run_reorder(net, g->weigh, g->b_plain, g->b) : dnnl_success;
    dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, g->a},
                              {DNNL_ARG_WEIGHTS, g->b},
                              {DNNL_ARG_DST, g->y},
                              {DNNL_ARG_BIAS, g->bias}};
    if (s == dnnl_success)
        s = dn_run(net, g->matmul, g->bias ? 4 : 3, args);
    if (s != dnnl_success || !g->add)
        return s;
    float *y = node->out[0]->f;
    for (struct broadcast_at at = broadcast_first(&g->how); at.row < g->how.rows;
         broadcast_next(&g->how, &at))
        for (size_t k = 0; k < g->how.inner; k++)
            y[at.out + k] += g->beta * g->add->f[at.in[0] + k * g->how.step[0]];
    return s;
}

static unsigned reload_gemm(struct nn *net, const struct nn_node *node)
{
    struct gemm *g = node->state;
    return dn_run_reorder(net, g->weigh, g->b_plain, g->b);
}

static void finish(struct nn_node *node)
{
    node->run = run_gemm;
    node->reload = node->in[1]->known ? reload_gemm : NULL;
    node->parameters = parameters_known(node);
}

/* A layout of B that oneDNN is fastest with, if B is known; bias: one row of n, or NULL. */
static unsigned make(struct nn *net, struct gemm *g, const dnnl_memory_desc_t *a, void *a_data,
                     const dnnl_memory_desc_t *b, const struct nn_value *b_value,
                     const dnnl_memory_desc_t *b_any, const dnnl_memory_desc_t *y, void *y_data,
                     float *bias, float alpha)
{
    dnnl_memory_desc_t bias_md;
    dnnl_matmul_desc_t desc;
    const_dnnl_primitive_desc_t pd;
    dnnl_primitive_attr_t attr;
    unsigned s = dnnl_success;
    if (bias) {
        size_t dim[DNNL_MAX_NDIMS];
        for (int k = 0; k < y->ndims; k++)
            dim[k] = k == y->ndims - 1 ? (size_t)y->dims[k] : 1;
        s = dn_plain(&bias_md, y->ndims, dim, NULL);
        if (s == dnnl_success)
            s = dn_memory(net, &g->bias, &bias_md, bias);
    }
    g->weigh_each = false;
    if (s == dnnl_success)
        s = dnnl_primitive_attr_create(&attr);
    if (s != dnnl_success)
        return s;
    if (alpha != 1)
        s = dnnl_primitive_attr_set_output_scales(attr, 1, 0, &alpha);
    if (s == dnnl_success)
        s = dnnl_matmul_desc_init(&desc, a, b_value->known ? b_any : b, bias ? &bias_md : NULL, y);
    if (s == dnnl_success)
        s = dn_primitive(net, &g->matmul, &desc, attr, &pd);
    dnnl_primitive_attr_destroy(attr);
    if (s == dnnl_success)
        s = dn_memory(net, &g->a, a, a_data) | dn_memory(net, &g->b_plain, b, b_value->f) |
            dn_memory(net, &g->y, y, y_data);
    g->b = g->b_plain;
    if (s != dnnl_success || !b_value->known)
        return s;
    const dnnl_memory_desc_t *want = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    if (dnnl_memory_desc_equal(want, b))
        return s;
    s = dn_memory(net, &g->b, want, NULL);
    if (s == dnnl_success)
        s = dn_reorder(net, &g->weigh, g->b_plain, g->b);
    return s == dnnl_success ? dn_run_reorder(net, g->weigh, g->b_plain, g->b) : s;
}

static int want_floats(const struct nn *net, const struct nn_node *node, struct diag *d)
{
    for (size_t k = 0; k < node->n_in; k++) {
        int rc = node->in[k] ? node_want(net, node, k, ONNX_FLOAT, d) : OK;
        if (rc != OK)
            return rc;
        if (node->in[k] && node->in[k]->n == 0)
            return node_fail(net, node, d, ERR_UNSUPPORTED, "input %zu is empty", k);
    }
    return OK;
}

int build_gemm(struct nn *net, struct nn_node *node, struct diag *d)
{
    int rc = want_floats(net, node, d);
    if (rc != OK)
        return rc;
    const struct nn_value *a = node->in[0], *b = node->in[1];
    struct nn_value *c = node->n_in > 2 ? node->in[2] : NULL;
    if (a->rank != 2 || b->rank != 2)
        return node_fail(net, node, d, ERR_INPUT, "inputs of %d and %d dimensions instead of 2",
                         a->rank, b->rank);
    bool ta = attr_int(node, "transA", 0), tb = attr_int(node, "transB", 0);
    size_t m = a->dim[ta], k = a->dim[!ta], n = b->dim[!tb];
    if (b->dim[tb] != k)
        return node_fail(net, node, d, ERR_INPUT, "%zu columns times %zu rows", k, b->dim[tb]);
    rc = node_out(net, node, 0, ONNX_FLOAT, 2, (size_t[]){m, n}, d);
    struct gemm *g = node->state = ARENA_NEW(&net->arena, struct gemm);
    float alpha = attr_float(node, "alpha", 1);
    g->beta = attr_float(node, "beta", 1);
    float *bias = NULL;
    if (rc == OK && c) {
        rc = broadcast_plan(&g->how, net, node, node->out[0], 1, &c, d);
        if (alpha == 1 && g->beta == 1 && c->n == n && c->rank > 0 && c->dim[c->rank - 1] == n)
            bias = c->f;
        else
            g->add = c;
    }
    if (rc != OK)
        return rc;
    dnnl_memory_desc_t am, bm, ba, ym;
    size_t bd[] = {k, n};
    unsigned s = dn_plain(&am, 2, (size_t[]){m, k}, ta ? (size_t[]){1, m} : (size_t[]){k, 1}) |
                 dn_plain(&bm, 2, bd, tb ? (size_t[]){1, k} : (size_t[]){n, 1}) |
                 dn_any(&ba, 2, bd) | dn_plain(&ym, 2, node->out[0]->dim, NULL);
    if (s == dnnl_success)
        s = make(net, g, &am, a->f, &bm, b, &ba, &ym, node->out[0]->f, bias, alpha);
    if (s != dnnl_success)
        return node_fail(net, node, d, ERR_UNSUPPORTED, "oneDNN refuses this product (%u)", s);
    finish(node);
    return OK;
}

/* Both factors and the result as matrices under equally many leading dimensions: a vector becomes a
 * row (left) or a column (right). */
static int matmul_shapes(const struct nn *net, const struct nn_node *node, int *rank, size_t *ad,
                         size_t *bd, size_t *yd, struct diag *d)
{
    const struct nn_value *a = node->in[0], *b = node->in[1];
    int ar = a->rank < 2 ? 2 : a->rank, br = b->rank < 2 ? 2 : b->rank;
    if (a->rank == 0 || b->rank == 0)
        return node_fail(net, node, d, ERR_INPUT, "a factor is a scalar");
    int r = *rank = ar > br ? ar : br;
    for (int k = 0; k < r; k++)
        ad[k] = bd[k] = 1;
    for (int k = 0; k < a->rank; k++)
        ad[r - a->rank + k] = a->dim[k];
    if (b->rank == 1)
        bd[r - 2] = b->dim[0];
    for (int k = 0; b->rank > 1 && k < b->rank; k++)
        bd[r - b->rank + k] = b->dim[k];
    for (int k = 0; k < r - 2; k++) {
        if (ad[k] != bd[k] && ad[k] != 1 && bd[k] != 1)
            return node_fail(net, node, d, ERR_INPUT, "sizes %zu and %zu do not go together", ad[k],
                             bd[k]);
        yd[k] = ad[k] > bd[k] ? ad[k] : bd[k];
    }
    if (ad[r - 1] != bd[r - 2])
        return node_fail(net, node, d, ERR_INPUT, "%zu columns times %zu rows", ad[r - 1],
                         bd[r - 2]);
    yd[r - 2] = ad[r - 2];
    yd[r - 1] = bd[r - 1];
    return OK;
}

int build_matmul(struct nn *net, struct nn_node *node, struct diag *d)
{
    int rank = 0, n = 0;
    size_t ad[TENSOR_MAX_RANK], bd[TENSOR_MAX_RANK], yd[TENSOR_MAX_RANK], out[TENSOR_MAX_RANK];
    int rc = want_floats(net, node, d);
    if (rc == OK)
        rc = matmul_shapes(net, node, &rank, ad, bd, yd, d);
    if (rc != OK)
        return rc;
    const struct nn_value *a = node->in[0], *b = node->in[1];
    for (int k = 0; k < rank; k++)
        if (!(k == rank - 2 && a->rank == 1) && !(k == rank - 1 && b->rank == 1))
            out[n++] = yd[k];
    rc = node_out(net, node, 0, ONNX_FLOAT, n, out, d);
    if (rc != OK)
        return rc;
    struct gemm *g = node->state = ARENA_NEW(&net->arena, struct gemm);
    dnnl_memory_desc_t am, bm, ba, ym;
    unsigned s = dn_plain(&am, rank, ad, NULL) | dn_plain(&bm, rank, bd, NULL) |
                 dn_any(&ba, rank, bd) | dn_plain(&ym, rank, yd, NULL);
    if (s == dnnl_success)
        s = make(net, g, &am, a->f, &bm, b, &ba, &ym, node->out[0]->f, NULL, 1);
    if (s != dnnl_success)
        return node_fail(net, node, d, ERR_UNSUPPORTED, "oneDNN refuses this product (%u)", s);
    finish(node);
    return OK;
}
