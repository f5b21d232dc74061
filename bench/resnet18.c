#include "resnet18.h"

#include <math.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/rng.h"
#include "onnx.pb-c.h"

enum { MAX_NODES = 80, MAX_ATTRS = 5 };

struct writer {
    struct arena a;
    struct rng r;
    Onnx__GraphProto graph;
    Onnx__NodeProto *nodes[MAX_NODES];
    Onnx__TensorProto *weights[MAX_NODES];
};

static Onnx__TensorProto *tensor(struct writer *w, const char *name, size_t rank,
                                 const int64_t *dim, double scale)
{
    Onnx__TensorProto *t = w->weights[w->graph.n_initializer++] =
        ARENA_NEW(&w->a, Onnx__TensorProto);
    onnx__tensor_proto__init(t);
    size_t n = 1;
    t->name = arena_strdup(&w->a, name);
    t->dims = arena_array(&w->a, rank, sizeof *t->dims);
    for (size_t k = 0; k < rank; k++)
        n *= (size_t)(t->dims[k] = dim[k]);
    t->n_dims = rank;
    t->has_data_type = 1;
    t->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    t->n_float_data = n;
    t->float_data = arena_array(&w->a, n, sizeof *t->float_data);
    for (size_t k = 0; k < n; k++) /* uniform, of that standard deviation */
        t->float_data[k] = (float)((2 * rng_unit(&w->r) - 1) * sqrt(3) * scale);
    return t;
}

/* Its output has the node's name. */
static Onnx__NodeProto *node(struct writer *w, const char *op, const char *name, size_t n_in,
                             const char *const *in)
{
    Onnx__NodeProto *n = w->nodes[w->graph.n_node++] = ARENA_NEW(&w->a, Onnx__NodeProto);
    onnx__node_proto__init(n);
    n->op_type = arena_strdup(&w->a, op);
    n->name = arena_strdup(&w->a, name);
    n->n_input = n_in;
    n->input = arena_array(&w->a, n_in, sizeof *n->input);
    for (size_t k = 0; k < n_in; k++)
        n->input[k] = arena_strdup(&w->a, in[k]);
    n->n_output = 1;
    n->output = arena_array(&w->a, 1, sizeof *n->output);
    n->output[0] = n->name;
    n->attribute = arena_array(&w->a, MAX_ATTRS, sizeof *n->attribute);
    return n;
}

static void ints(struct writer *w, Onnx__NodeProto *n, const char *name, size_t count,
                 int64_t value)
{
    Onnx__AttributeProto *a = n->attribute[n->n_attribute++] =
        ARENA_NEW(&w->a, Onnx__AttributeProto);
    onnx__attribute_proto__init(a);
    a->name = arena_strdup(&w->a, name);
    a->has_type = 1;
    a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
    a->n_ints = count;
    a->ints = arena_array(&w->a, count, sizeof *a->ints);
    for (size_t k = 0; k < count; k++)
        a->ints[k] = value;
}

static const char *conv(struct writer *w, const char *name, const char *in, int64_t c, int64_t k,
                        int64_t kernel, int64_t stride)
{
    const char *weight = arena_printf(&w->a, "%s.weight", name);
    const char *bias = arena_printf(&w->a, "%s.bias", name);
    tensor(w, weight, 4, (const int64_t[]){k, c, kernel, kernel},
           sqrt(2.0 / (double)(c * kernel * kernel)));
    tensor(w, bias, 1, &k, 0.1);
    Onnx__NodeProto *n = node(w, "Conv", name, 3, (const char *const[]){in, weight, bias});
    ints(w, n, "kernel_shape", 2, kernel);
    ints(w, n, "strides", 2, stride);
    ints(w, n, "pads", 4, kernel / 2);
    return n->name;
}

static const char *one(struct writer *w, const char *op, const char *name, const char *in)
{
    return node(w, op, name, 1, &in)->name;
}

static const char *block(struct writer *w, const char *name, const char *in, int64_t c, int64_t k,
                         int64_t stride)
{
#define NAME(part) arena_printf(&w->a, "%s." part, name)
    const char *y = conv(w, NAME("conv1"), in, c, k, 3, stride);
    y = one(w, "Relu", NAME("relu1"), y);
    y = conv(w, NAME("conv2"), y, k, k, 3, 1);
    const char *kept = stride == 1 ? in : conv(w, NAME("shortcut"), in, c, k, 1, stride);
    y = node(w, "Add", NAME("add"), 2, (const char *const[]){y, kept})->name;
    return one(w, "Relu", NAME("relu2"), y);
#undef NAME
}

static Onnx__ValueInfoProto *value(struct writer *w, const char *name, size_t rank,
                                   const int64_t *dim)
{
    Onnx__ValueInfoProto *v = ARENA_NEW(&w->a, Onnx__ValueInfoProto);
    onnx__value_info_proto__init(v);
    v->name = arena_strdup(&w->a, name);
    v->type = ARENA_NEW(&w->a, Onnx__TypeProto);
    onnx__type_proto__init(v->type);
    v->type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    Onnx__TypeProto__Tensor *t = v->type->tensor_type = ARENA_NEW(&w->a, Onnx__TypeProto__Tensor);
    onnx__type_proto__tensor__init(t);
    t->has_elem_type = 1;
    t->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    t->shape = ARENA_NEW(&w->a, Onnx__TensorShapeProto);
    onnx__tensor_shape_proto__init(t->shape);
    t->shape->n_dim = rank;
    t->shape->dim = arena_array(&w->a, rank, sizeof *t->shape->dim);
    for (size_t k = 0; k < rank; k++) {
        Onnx__TensorShapeProto__Dimension *x = t->shape->dim[k] =
            ARENA_NEW(&w->a, Onnx__TensorShapeProto__Dimension);
        onnx__tensor_shape_proto__dimension__init(x);
        x->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        x->dim_value = dim[k];
    }
    return v;
}

static void layers(struct writer *w)
{
    const char *x = conv(w, "conv1", "image", 3, 64, 3, 1);
    int64_t c = 64;
    x = one(w, "Relu", "relu1", x);
    for (int stage = 1; stage <= 4; stage++) {
        int64_t k = 32 << stage;
        x = block(w, arena_printf(&w->a, "layer%d.0", stage), x, c, k, stage > 1 ? 2 : 1);
        x = block(w, arena_printf(&w->a, "layer%d.1", stage), x, k, k, 1);
        c = k;
    }
    x = one(w, "Flatten", "flatten", one(w, "GlobalAveragePool", "pool", x));
    tensor(w, "fc.weight", 2, (const int64_t[]){512, 10}, sqrt(1.0 / 512));
    tensor(w, "fc.bias", 1, (const int64_t[]){10}, 0.1);
    node(w, "Gemm", "fc", 3, (const char *const[]){x, "fc.weight", "fc.bias"});
}

int resnet18_write(const char *path, unsigned seed, struct diag *d)
{
    struct writer w = {0};
    Onnx__ModelProto model;
    Onnx__OperatorSetIdProto opset, *opsets = &opset;
    rng_init(&w.r, seed, 0);
    onnx__graph_proto__init(&w.graph);
    onnx__model_proto__init(&model);
    onnx__operator_set_id_proto__init(&opset);
    w.graph.name = arena_strdup(&w.a, "resnet18");
    w.graph.node = w.nodes;
    w.graph.initializer = w.weights;
    Onnx__ValueInfoProto *in = value(&w, "image", 4, (const int64_t[]){1, 3, 32, 32});
    Onnx__ValueInfoProto *out = value(&w, "fc", 2, (const int64_t[]){1, 10});
    w.graph.n_input = w.graph.n_output = 1;
    w.graph.input = &in;
    w.graph.output = &out;
    layers(&w);
    opset.domain = arena_strdup(&w.a, "");
    opset.has_version = model.has_ir_version = 1;
    opset.version = 13;
    model.ir_version = 7;
    model.n_opset_import = 1;
    model.opset_import = &opsets;
    model.graph = &w.graph;
    size_t bytes = onnx__model_proto__get_packed_size(&model);
    uint8_t *packed = arena_alloc(&w.a, bytes);
    onnx__model_proto__pack(&model, packed);
    int rc = file_write(path, packed, bytes, d);
    arena_fini(&w.a);
    return rc;
}
