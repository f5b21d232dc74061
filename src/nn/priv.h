/* For src/nn only: values, nodes and what the operators of ops.def are given to build themselves. */
#ifndef NN_PRIV_H
#define NN_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <oneapi/dnnl/dnnl.h>

#include "nn/nn.h"
#include "nn/onnx.h"

#define NN_ALL SIZE_MAX

/* A tensor of the graph. Its memory is there from the moment its shape is known. */
struct nn_value {
    const char *name;
    int type; /* enum onnx_type; all but ONNX_FLOAT are held as int64 */
    int rank;
    size_t dim[TENSOR_MAX_RANK];
    size_t n;
    float *f;
    int64_t *i;
    bool known;    /* an initialiser, or computed from such when loading */
    size_t number; /* unique */
};

struct diffs; /* delta.h */
/* One operator made ready. run NULL: nothing to do (its output shares its input's memory). */
struct nn_node {
    const struct onnx_node *proto;
    const struct op *op;
    size_t n_in, n_out;
    struct nn_value **in, **out;                                 /* NULL: left out */
    unsigned (*run)(struct nn *net, const struct nn_node *node); /* a dnnl_status_t */
    /* The same only for the outputs that depend on n elements of input k, given ascending or not:
     * computes those of output 0, with the bits that run would give, and lists them, maybe more than
     * once, in touched. Returns how many, or NN_ALL if it cannot within room. NULL: never can. */
    size_t (*run_at)(const struct nn_node *node, size_t k, const uint32_t *in, size_t n,
                     uint32_t *touched, size_t room);
    /* For an operator of known parameters: many errors at once, each given as differences from golden in
     * input 0, into differences in output 0 (empty lists when called); n becomes NN_ALL where it cannot. */
    void (*run_batch)(struct nn *net, const struct nn_node *node, size_t n,
                      const struct diffs *const *in, struct diffs **out);
    /* Input 1 has changed: where it is kept in another layout. NULL: it is read directly. */
    unsigned (*reload)(struct nn *net, const struct nn_node *node);
    bool parameters; /* input 1 and, if there, 2 are weights and bias, known when loading */
    void *state;
};

/* One row of ops.def. */
struct op {
    const char *name;
    size_t min_in, max_in;
    const char *attrs; /* those understood, separated by blanks */
    int (*build)(struct nn *net, struct nn_node *node, struct diag *d);
};
#define X(name, build, min, max, attrs)                                                            \
    int build(struct nn *net, struct nn_node *node, struct diag *d);
#include "nn/ops.def"
#undef X
extern const struct op nn_ops[];
extern const size_t nn_n_ops;
const struct op *op_find(const char *name);

struct nn {
    struct arena arena;
    const char *path;
    int64_t opset;
    size_t bytes, max_bytes; /* of all values: a hostile file cannot ask for more */
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    struct cleanup *cleanup;
    size_t n_values, n_steps, n_layers, n_convs, n_inputs, n_outputs;
    struct nn_node *steps;    /* those that must run, in order */
    struct nn_value **inputs; /* not known when loading, in the file's order */
    struct nn_value **outputs;
    struct layer *layers;
    struct conv_layer *convs;
};
struct conv_layer {
    struct nn_conv info;
    struct nn_value *in, *out;
    size_t layer;
};
/* A float output of a step. */
struct layer {
    struct nn_layer info;
    struct nn_value *value;
    size_t step;
};

/* An input given when loading: its value may then decide shapes. */
struct nn_bound {
    const char *name;
    const struct onnx_tensor *tensor;
};
struct graph_options {
    size_t batch; /* 0: the file's, 1 if it leaves it open */
    size_t n_bound;
    const struct nn_bound *bound;
    size_t max_bytes; /* of all values together; 0: 4 GiB */
};
/* As nn_load, for any number of inputs and outputs; bound inputs become known. */
int graph_load(struct nn **out, const char *path, const struct graph_options *o, struct diag *d);
/* Run all steps on what the inputs hold. */
int graph_run(struct nn *net, struct diag *d);

enum { NN_MAX_OPSET = 17 };
/* What a Conv node computes, if it is two-dimensional with known weights. */
bool conv_describe(struct nn_conv *out, const struct nn_node *node);

/* ---- For the operators' build functions ---------------------------------------------------------- */

/* Names the file, the node and its operator. */
int node_fail(const struct nn *net, const struct nn_node *node, struct diag *d, enum status code,
              const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* Inputs 1 and, if there, 2 are floats known when loading. */
bool parameters_known(const struct nn_node *node);
const struct onnx_attr *attr_find(const struct nn_node *node, const char *name);
int64_t attr_int(const struct nn_node *node, const char *name, int64_t otherwise);
float attr_float(const struct nn_node *node, const char *name, float otherwise);
const char *attr_string(const struct nn_node *node, const char *name, const char *otherwise);
/* NULL (and *n 0) if absent. */
const int64_t *attr_ints(const struct nn_node *node, const char *name, size_t *n);
/* As many as wanted, each in lo..hi, otherwise all `otherwise` if absent. */
int attr_sizes(const struct nn *net, const struct nn_node *node, const char *name, size_t wanted,
               int64_t lo, int64_t hi, int64_t otherwise, int64_t *out, struct diag *d);
/* An axis of a tensor of that rank, negative ones counting from the end. */
int node_axis(const struct nn *net, const struct nn_node *node, int64_t axis, int rank, int *out,
              struct diag *d);

/* Input i, which must be there and of that type. */
int node_want(const struct nn *net, const struct nn_node *node, size_t i, int type, struct diag *d);
/* Input i, which must be integers known when loading. */
int node_known_ints(const struct nn *net, const struct nn_node *node, size_t i, struct diag *d);
/* The same for floats. */
int node_known_floats(const struct nn *net, const struct nn_node *node, size_t i, struct diag *d);

/* Give output i its type and shape, and memory. An output the graph does not name is skipped. */
int node_out(struct nn *net, struct nn_node *node, size_t i, int type, int rank, const size_t *dim,
             struct diag *d);
/* Output i is input j's memory under another shape. */
int node_alias(struct nn *net, struct nn_node *node, size_t i, size_t j, int rank,
               const size_t *dim, struct diag *d);
/* Scratch memory counted and owned by the net. */
float *net_floats(struct nn *net, size_t n);
size_t dims_product(int rank, const size_t *dim);
/* C-order strides, in elements. */
void dims_strides(int rank, const size_t *dim, size_t *stride);

/* oneDNN: every object made belongs to the net. strides NULL: C order. */
unsigned dn_plain(dnnl_memory_desc_t *md, int rank, const size_t *dim, const size_t *strides);
unsigned dn_any(dnnl_memory_desc_t *md, int rank, const size_t *dim);
/* handle NULL: memory of its own. */
unsigned dn_memory(struct nn *net, dnnl_memory_t *out, const dnnl_memory_desc_t *md, void *handle);
unsigned dn_primitive(struct nn *net, dnnl_primitive_t *out, const_dnnl_op_desc_t desc,
                      const_dnnl_primitive_attr_t attr, const_dnnl_primitive_desc_t *made);
/* A reorder of `from` into `to`; *out NULL if the layouts are the same. */
unsigned dn_reorder(struct nn *net, dnnl_primitive_t *out, dnnl_memory_t from, dnnl_memory_t to);
unsigned dn_run(struct nn *net, dnnl_primitive_t p, int n, const dnnl_exec_arg_t *args);
void dn_cleanup(struct nn *net);
unsigned dn_run_reorder(struct nn *net, dnnl_primitive_t p, dnnl_memory_t from, dnnl_memory_t to);

#endif
