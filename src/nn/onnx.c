#include "nn/onnx.h"

#include <string.h>

#include "base/file.h"
#include "onnx.pb-c.h"

enum { MAX_FILE = 1 << 30, MAX_NESTING = 24 };

/* The vocabulary of TensorProto.DataType: number, name, bytes in raw_data, held here. */
#define TYPES(X)                                                                                   \
    X(0, "undefined", 0, false)                                                                    \
    X(1, "float", 4, true)                                                                         \
    X(2, "uint8", 1, true)                                                                         \
    X(3, "int8", 1, true)                                                                          \
    X(4, "uint16", 2, false)                                                                       \
    X(5, "int16", 2, false)                                                                        \
    X(6, "int32", 4, true)                                                                         \
    X(7, "int64", 8, true)                                                                         \
    X(8, "string", 0, false)                                                                       \
    X(9, "bool", 1, true)                                                                          \
    X(10, "float16", 2, false)                                                                     \
    X(11, "double", 8, false)                                                                      \
    X(12, "uint32", 4, false)                                                                      \
    X(13, "uint64", 8, false)                                                                      \
    X(14, "complex64", 8, false)                                                                   \
    X(15, "complex128", 16, false)                                                                 \
    X(16, "bfloat16", 2, false)
static const struct type {
    const char *name;
    size_t bytes;
    bool held;
} types[] = {
#define ROW(number, name, bytes, held) [number] = {name, bytes, held},
    TYPES(ROW)
#undef ROW
};
enum { N_TYPES = sizeof types / sizeof types[0] };

static const struct type *type_row(int type)
{
    return type >= 0 && type < N_TYPES ? &types[type] : &types[0];
}

bool onnx_type_held(int type) { return type_row(type)->held; }

const char *onnx_type_name(int type) { return type_row(type)->name; }

/* ---- Nesting --------------------------------------------------------------------------------- */

static bool read_varint(const uint8_t **p, const uint8_t *end, uint64_t *out)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64 && *p < end; shift += 7) {
        uint8_t byte = *(*p)++;
        v |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) {
            *out = v;
            return true;
        }
    }
    return false;
}

/* Whether messages nest at most depth deep: protobuf-c unpacks by recursion without a limit, so a
 * hostile file could run it out of stack. Malformed input is left for it to refuse. */
static bool nesting_ok(const ProtobufCMessageDescriptor *m, const uint8_t *p, const uint8_t *end,
                       int depth)
{
    if (depth == 0)
        return false;
    uint64_t key, len;
    while (p < end && read_varint(&p, end, &key)) {
        switch (key & 7) {
        case 0:
            if (!read_varint(&p, end, &len))
                return true;
            continue;
        case 1:
            len = 8;
            break;
        case 5:
            len = 4;
            break;
        case 2:
            if (!read_varint(&p, end, &len))
                return true;
            break;
        default:
            return true;
        }
        if (len > (uint64_t)(end - p))
            return true;
        const ProtobufCFieldDescriptor *f =
            key >> 3 <= UINT32_MAX
                ? protobuf_c_message_descriptor_get_field(m, (unsigned)(key >> 3))
                : NULL;
        if ((key & 7) == 2 && f && f->type == PROTOBUF_C_TYPE_MESSAGE &&
            !nesting_ok(f->descriptor, p, p + len, depth - 1))
            return false;
        p += len;
    }
    return true;
}

static int unpack(ProtobufCMessage **out, struct arena *a, const char *path,
                  const ProtobufCMessageDescriptor *m, const char *what, struct diag *d)
{
    struct text t;
    struct loc at = {.file = path};
    int rc = file_read(&t, a, path, MAX_FILE, d);
    if (rc != OK)
        return rc;
    const uint8_t *bytes = (const uint8_t *)t.ptr;
    if (!nesting_ok(m, bytes, bytes + t.len, MAX_NESTING))
        return diag_fail(d, ERR_UNSUPPORTED, at, "messages nested more than %d deep", MAX_NESTING);
    *out = protobuf_c_message_unpack(m, NULL, t.len, bytes);
    if (!*out)
        return diag_fail(d, ERR_INPUT, at, "not %s, or damaged", what);
    return OK;
}

/* ---- Tensors --------------------------------------------------------------------------------- */

static const char *text_of(struct arena *a, const char *s) { return arena_strdup(a, s ? s : ""); }

static int64_t raw_int(const uint8_t *p, int type)
{
    int32_t i32;
    int64_t i64;
    switch (type) {
    case ONNX_INT8:
        return (int8_t)*p;
    case ONNX_INT32:
        memcpy(&i32, p, 4);
        return i32;
    case ONNX_INT64:
        memcpy(&i64, p, 8);
        return i64;
    default:
        return *p; /* uint8, bool */
    }
}

/* Exporters write scalars as doubles that are cast to float: held as the nearest floats. */
static void copy_doubles(struct onnx_tensor *o, struct arena *a, const Onnx__TensorProto *t)
{
    o->type = ONNX_FLOAT;
    o->f = arena_alloc(a, o->n * sizeof(float));
    for (size_t k = 0; k < o->n; k++) {
        double x;
        if (t->has_raw_data)
            memcpy(&x, t->raw_data.data + k * sizeof x, sizeof x);
        else
            x = t->double_data[k];
        o->f[k] = (float)x;
    }
}

/* The elements of t, already known to be n. Little-endian hosts only, as all that Sievert runs on. */
static void copy_elements(struct onnx_tensor *o, struct arena *a, const Onnx__TensorProto *t)
{
    if (o->type == ONNX_FLOAT) {
        o->f = arena_alloc(a, o->n * sizeof(float));
        if (o->n > 0)
            memcpy(o->f, t->has_raw_data ? (const void *)t->raw_data.data : t->float_data,
                   o->n * sizeof(float));
        return;
    }
    o->i = arena_alloc(a, o->n * sizeof(int64_t));
    size_t bytes = type_row(o->type)->bytes;
    for (size_t k = 0; k < o->n; k++)
        o->i[k] = t->has_raw_data         ? raw_int(t->raw_data.data + k * bytes, o->type)
                  : o->type == ONNX_INT64 ? t->int64_data[k]
                                          : t->int32_data[k];
}

/* rounded: doubles are held, as floats. */
static int read_tensor(struct onnx_tensor *o, struct arena *a, const Onnx__TensorProto *t,
                       bool rounded, const char *path, struct diag *d)
{
    struct loc at = {.file = path};
    *o = (struct onnx_tensor){.name = text_of(a, t->name), .type = t->data_type, .n = 1};
    if (t->n_dims > TENSOR_MAX_RANK) {
        o->why = arena_printf(a, "%zu dimensions, at most %d are held", t->n_dims, TENSOR_MAX_RANK);
        return OK;
    }
    o->rank = (int)t->n_dims;
    for (size_t k = 0; k < t->n_dims; k++) {
        if (t->dims[k] < 0 || __builtin_mul_overflow(o->n, (size_t)t->dims[k], &o->n))
            return diag_fail(d, ERR_INPUT, at, "tensor '%s': dimension %zu is %lld", o->name, k,
                             (long long)t->dims[k]);
        o->dim[k] = (size_t)t->dims[k];
    }
    const struct type *row = type_row(o->type);
    bool doubles = rounded && o->type == ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE;
    if (!row->held && !doubles) {
        o->why = arena_printf(a, "elements of type %s", row->name);
        return OK;
    }
    if (t->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL || t->segment) {
        o->why = "its data lie outside the file";
        return OK;
    }
    size_t have = t->has_raw_data         ? t->raw_data.len / row->bytes
                  : doubles               ? t->n_double_data
                  : o->type == ONNX_FLOAT ? t->n_float_data
                  : o->type == ONNX_INT64 ? t->n_int64_data
                                          : t->n_int32_data;
    if (have != o->n || (t->has_raw_data && t->raw_data.len % row->bytes))
        return diag_fail(d, ERR_INPUT, at, "tensor '%s': its shape needs %zu elements, it has %zu",
                         o->name, o->n, have);
    if (doubles)
        copy_doubles(o, a, t);
    else
        copy_elements(o, a, t);
    o->held = true;
    return OK;
}

int onnx_read_tensor(struct onnx_tensor *out, struct arena *a, const char *path, struct diag *d)
{
    ProtobufCMessage *m;
    int rc = unpack(&m, a, path, &onnx__tensor_proto__descriptor, "an ONNX tensor", d);
    if (rc != OK)
        return rc;
    rc = read_tensor(out, a, (const Onnx__TensorProto *)m, false, path, d);
    if (rc == OK && !out->held)
        rc = diag_fail(d, ERR_UNSUPPORTED, (struct loc){.file = path}, "tensor '%s': %s", out->name,
                       out->why);
    protobuf_c_message_free_unpacked(m, NULL);
    return rc;
}

/* ---- Graph ----------------------------------------------------------------------------------- */

static void *copy(struct arena *a, const void *from, size_t n, size_t size)
{
    void *to = arena_alloc(a, n * size);
    if (n > 0)
        memcpy(to, from, n * size);
    return to;
}

/* Old files leave the type out: what is set tells. */
static enum onnx_attr_kind attr_kind(const Onnx__AttributeProto *p)
{
    switch (p->type) {
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT:
        return ATTR_FLOAT;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT:
        return ATTR_INT;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING:
        return ATTR_STRING;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR:
        return p->t ? ATTR_TENSOR : ATTR_OTHER;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS:
        return ATTR_FLOATS;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS:
        return ATTR_INTS;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED:
        break;
    default:
        return ATTR_OTHER;
    }
    return p->has_f      ? ATTR_FLOAT
           : p->has_i    ? ATTR_INT
           : p->has_s    ? ATTR_STRING
           : p->t        ? ATTR_TENSOR
           : p->n_floats ? ATTR_FLOATS
           : p->n_ints   ? ATTR_INTS
                         : ATTR_OTHER;
}

static int read_attr(struct onnx_attr *o, struct arena *a, const Onnx__AttributeProto *p,
                     const char *path, struct diag *d)
{
    *o =
        (struct onnx_attr){.name = text_of(a, p->name), .kind = attr_kind(p), .f = p->f, .i = p->i};
    o->s = arena_strndup(a, p->has_s ? (const char *)p->s.data : "", p->has_s ? p->s.len : 0);
    if (o->kind == ATTR_FLOATS) {
        o->n = p->n_floats;
        o->floats = copy(a, p->floats, p->n_floats, sizeof *p->floats);
    } else if (o->kind == ATTR_INTS) {
        o->n = p->n_ints;
        o->ints = copy(a, p->ints, p->n_ints, sizeof *p->ints);
    } else if (o->kind == ATTR_TENSOR) {
        o->t = ARENA_NEW(a, struct onnx_tensor);
        return read_tensor(o->t, a, p->t, true, path, d);
    }
    return OK;
}

static const char **names(struct arena *a, size_t n, char *const *from)
{
    const char **to = arena_alloc(a, n * sizeof *to);
    for (size_t k = 0; k < n; k++)
        to[k] = text_of(a, from[k]);
    return to;
}

static int read_node(struct onnx_node *o, struct arena *a, const Onnx__NodeProto *p,
                     const char *path, struct diag *d)
{
    *o = (struct onnx_node){.name = text_of(a, p->name),
                            .op = text_of(a, p->op_type),
                            .domain = text_of(a, p->domain),
                            .n_in = p->n_input,
                            .n_out = p->n_output,
                            .n_attrs = p->n_attribute,
                            .in = names(a, p->n_input, p->input),
                            .out = names(a, p->n_output, p->output)};
    o->attrs = arena_alloc(a, p->n_attribute * sizeof *o->attrs);
    for (size_t k = 0; k < p->n_attribute; k++) {
        int rc = read_attr(&o->attrs[k], a, p->attribute[k], path, d);
        if (rc != OK)
            return rc;
    }
    return OK;
}

static int read_input(struct onnx_input *o, struct arena *a, const Onnx__ValueInfoProto *p,
                      const char *path, struct diag *d)
{
    *o = (struct onnx_input){.name = text_of(a, p->name)};
    if (!p->type || p->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
        return OK; /* type 0: refused if it is used */
    const Onnx__TypeProto__Tensor *t = p->type->tensor_type;
    o->type = t->elem_type;
    if (!t->shape)
        return OK;
    if (t->shape->n_dim > TENSOR_MAX_RANK)
        return diag_fail(d, ERR_UNSUPPORTED, (struct loc){.file = path},
                         "input '%s' has %zu dimensions, at most %d are held", o->name,
                         t->shape->n_dim, TENSOR_MAX_RANK);
    o->has_shape = true;
    o->rank = (int)t->shape->n_dim;
    for (int k = 0; k < o->rank; k++) {
        const Onnx__TensorShapeProto__Dimension *dim = t->shape->dim[k];
        bool fixed = dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        o->dim[k] = fixed && dim->dim_value >= 0 ? dim->dim_value : -1;
    }
    return OK;
}

static int read_opset(int64_t *out, const Onnx__ModelProto *m, const char *path, struct diag *d)
{
    *out = 0;
    for (size_t k = 0; k < m->n_opset_import; k++) {
        const Onnx__OperatorSetIdProto *o = m->opset_import[k];
        if (!o->domain || !*o->domain || strcmp(o->domain, "ai.onnx") == 0)
            *out = o->version;
    }
    if (*out < 1 && m->n_opset_import > 0)
        return diag_fail(d, ERR_UNSUPPORTED, (struct loc){.file = path},
                         "it uses no operators of ONNX's own set");
    if (*out < 1)
        return diag_fail(d, ERR_INPUT, (struct loc){.file = path},
                         "not an ONNX model, or damaged: it names no operator set");
    return OK;
}

static int read_graph(struct onnx_graph *o, struct arena *a, const Onnx__ModelProto *m,
                      const char *path, struct diag *d)
{
    const Onnx__GraphProto *g = m->graph;
    *o = (struct onnx_graph){.path = arena_strdup(a, path)};
    if (!g)
        return diag_fail(d, ERR_INPUT, (struct loc){.file = path}, "not an ONNX model: no graph");
    int rc = read_opset(&o->opset, m, path, d);
    if (rc == OK && g->n_sparse_initializer > 0)
        rc = diag_fail(d, ERR_UNSUPPORTED, (struct loc){.file = path}, "sparse initialisers");
    o->n_nodes = g->n_node;
    o->nodes = arena_alloc(a, g->n_node * sizeof *o->nodes);
    for (size_t k = 0; rc == OK && k < g->n_node; k++)
        rc = read_node(&o->nodes[k], a, g->node[k], path, d);
    o->n_consts = g->n_initializer;
    o->consts = arena_alloc(a, g->n_initializer * sizeof *o->consts);
    for (size_t k = 0; rc == OK && k < g->n_initializer; k++)
        rc = read_tensor(&o->consts[k], a, g->initializer[k], true, path, d);
    o->n_inputs = g->n_input;
    o->inputs = arena_alloc(a, g->n_input * sizeof *o->inputs);
    for (size_t k = 0; rc == OK && k < g->n_input; k++)
        rc = read_input(&o->inputs[k], a, g->input[k], path, d);
    o->n_outputs = g->n_output;
    o->outputs = arena_alloc(a, g->n_output * sizeof *o->outputs);
    for (size_t k = 0; k < g->n_output; k++)
        o->outputs[k] = text_of(a, g->output[k]->name);
    return rc;
}

int onnx_read(struct onnx_graph *out, struct arena *a, const char *path, struct diag *d)
{
    ProtobufCMessage *m;
    struct arena file = {0};
    int rc = unpack(&m, &file, path, &onnx__model_proto__descriptor, "an ONNX model", d);
    if (rc == OK) {
        rc = read_graph(out, a, (const Onnx__ModelProto *)m, path, d);
        protobuf_c_message_free_unpacked(m, NULL);
    }
    arena_fini(&file);
    return rc;
}
