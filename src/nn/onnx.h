/* An ONNX file -> a graph in plain structs, all in one arena. The only place that sees protobuf.
 * Nothing is checked here but that the file is ONNX and its tensors hold as many elements as they
 * say; what the graph means is graph.c's matter. Format: onnx.proto of ONNX 1.12. */
#ifndef NN_ONNX_H
#define NN_ONNX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/diag.h"
#include "base/tensor.h"

/* TensorProto.DataType, those that values may have here. Integers and booleans are held as int64. */
enum onnx_type {
    ONNX_FLOAT = 1,
    ONNX_UINT8 = 2,
    ONNX_INT8 = 3,
    ONNX_INT32 = 6,
    ONNX_INT64 = 7,
    ONNX_BOOL = 9
};
bool onnx_type_held(int type);
/* "float", "int64", ... for messages, any DataType. */
const char *onnx_type_name(int type);

struct onnx_tensor {
    const char *name;
    int type;
    int rank;
    size_t dim[TENSOR_MAX_RANK];
    size_t n;
    float *f;   /* type ONNX_FLOAT */
    int64_t *i; /* other types */
    bool held;  /* false: of a type or form not read here; why says so */
    const char *why;
};

enum onnx_attr_kind {
    ATTR_OTHER,
    ATTR_FLOAT,
    ATTR_INT,
    ATTR_STRING,
    ATTR_TENSOR,
    ATTR_FLOATS,
    ATTR_INTS
};
struct onnx_attr {
    const char *name;
    enum onnx_attr_kind kind;
    float f;
    int64_t i;
    const char *s;
    struct onnx_tensor *t;
    size_t n;
    const float *floats;
    const int64_t *ints;
};

struct onnx_node {
    const char *name, *op, *domain; /* "" if absent */
    size_t n_in, n_out, n_attrs;
    const char **in, **out; /* "" for an input left out */
    struct onnx_attr *attrs;
};

struct onnx_input {
    const char *name;
    int type, rank;
    int64_t dim[TENSOR_MAX_RANK]; /* -1: dynamic */
    bool has_shape;
};

struct onnx_graph {
    const char *path;
    int64_t opset;
    size_t n_nodes, n_consts, n_inputs, n_outputs;
    struct onnx_node *nodes;
    struct onnx_tensor *consts;
    struct onnx_input *inputs;
    const char **outputs;
};

int onnx_read(struct onnx_graph *out, struct arena *a, const char *path, struct diag *d);
/* One TensorProto in a file of its own (.pb), as in ONNX's test data. ERR_UNSUPPORTED if not held. */
int onnx_read_tensor(struct onnx_tensor *out, struct arena *a, const char *path, struct diag *d);

#endif
