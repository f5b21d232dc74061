/* What `sievert classify` shares between its files: which tensors there are, and what is counted. */
#ifndef CLI_CLASSIFY_H
#define CLI_CLASSIFY_H

#include "base/tiling.h"
#include "characterise/characterise.h"
#include "cli/cli.h"

/* Faulty tensors that are compared with one golden tensor. */
struct faulty_set {
    const char *golden, *batch, *sub_batch; /* names as in the folders; "" if there are none */
    size_t n;
    const char **files;
};
struct classify_work {
    size_t n, room, n_files;
    struct faulty_set *sets;
    json_t *experiments; /* injections by type, of all batches; NULL unless each states them */
};

/* GOLDEN.npy and faulty files or folders of them. */
int classify_find_plain(struct classify_work *out, struct arena *a, char *const *operands, int n,
                        struct diag *d);
/* The folders that the CLASSES classifier reads: ROOT/<batch>/<golden> and
 * ROOT/<batch>/<faulty>/<sub_batch>/<file>.npy. Batches without them are named on stderr; files without a golden
 * tensor are part of the work, so that each is named and counted. */
int classify_find_tree(struct classify_work *out, struct arena *a, const char *root,
                       const char *golden, const char *faulty, struct diag *d);

/* What came of one file. */
struct verdict {
    const struct faulty_set *set;
    const char *file;
    const char *skipped;       /* why it could not be compared, or NULL */
    const size_t *dim;         /* N, C, H, W */
    struct characterisation c; /* corrupted 0: masked */
    const struct difference *diffs;
    size_t n_diffs;
};

json_t *classify_keys_json(const struct characterisation *c);
json_t *classify_stats_json(const struct characterisation *c);
json_t *classify_values_json(const struct characterisation *c);
json_t *classify_domain_json(const struct characterisation *c);

/* What the columns of the TSV have no room for: extents and periods, distributions of the values' errors and
 * flipped bits, and, if the tiling is known and of the tensor's shape, where the error lies in the tiles. */
json_t *classify_details_json(const struct verdict *v, const struct tiling *t);

/* The counts of global_report.json, as the CLASSES classifier writes it. */
struct global_report {
    json_t *by_sub_batch, *by_shape, *patterns, *cardinalities, *class_cardinalities;
    uint64_t classified;
};
void global_report_init(struct global_report *r);
void global_report_add(struct global_report *r, const struct verdict *v);
json_t *global_report_json(const struct global_report *r, const json_t *experiments);
void global_report_fini(struct global_report *r);

#endif
