/* Characterised errors -> an error model, in the CLASSES JSON format, and draws from it.
 * Format: docs/FORMATS.md (that of classes-pytorch, with further fields its loader ignores). */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/diag.h"
#include "base/file.h"
#include "base/rng.h"
#include "base/tiling.h"
#include "characterise/characterise.h"

struct model; /* counts per pattern, its parameters and its domains; immutable once built */

/* Building. */
struct model_builder;
struct model_builder *model_builder_new(void);
void model_builder_free(struct model_builder *b);
/* One error; dim is its tensor's N, C, H, W. Nothing is kept of c. */
void model_add(struct model_builder *b, const struct characterisation *c, const size_t dim[4]);
/* The same with the differences that c was made from: the model then keeps a sample of the errors' places,
 * and draws for tensors of this shape take one of them, moved. stratum: of the origin's, or MODEL_NO_STRATUM. */
#define MODEL_NO_STRATUM SIZE_MAX
void model_add_error(struct model_builder *b, const struct characterisation *c, const size_t dim[4],
                     const struct difference *diffs, size_t n, size_t stratum);

/* Where faults struck: an instruction of a launch's kernel. */
struct model_stratum {
    const char *launch, *kernel;
    uint32_t insn;        /* its number in the kernel: the same one in a kernel of the same name */
    const char *mnemonic; /* "" for all of the launch */
    int line;
    int shared; /* by which axes' thread groups what it makes is read: bits of base/tiling.h */
    uint64_t population; /* fault sites */
    uint64_t live;       /* those whose value goes on to the output; if the origin knows */
    size_t n_influences; /* and how far their influence extends; 0: not known */
    const struct tiling_influence *influences;
    uint64_t injections, sdc, due;
    uint64_t errors; /* of the model's; counted when it is built */
};
/* The campaign that a model comes from. Strings and arrays must live as long as what is built. */
struct model_origin {
    const char *impl, *shape, *tile, *fault;
    uint64_t seed, population, injections, masked, sdc, due;
    struct tiling tiling; /* n_axes 0: unknown */
    bool live;            /* strata say how many of their sites are live */
    size_t n_strata;
    const struct model_stratum *strata;
};
void model_set_origin(struct model_builder *b, const struct model_origin *o);
/* NULL: the model does not say. */
const struct model_origin *model_origin(const struct model *m);
/* ERR_INPUT if no pattern has enough tensors. The model belongs to a. */
int model_build(struct model **out, struct arena *a, const struct model_builder *b, struct diag *d);

/* Make draws for tensors of another shape put the measured errors through that shape's tiling. Of the
 * strata only the names and the populations count; without any, sites are taken to grow as the tiles do.
 * What it needs is in a. ERR_UNSUPPORTED: the model does not know its own tiling or has no errors of its
 * own, or the other has other coordinates; such draws go by the CLASSES form then. */
struct model_target {
    struct tiling tiling;
    bool live; /* as in the origin; of use if both know */
    size_t n_strata;
    const struct model_stratum *strata;
};
int model_retarget(struct model *m, struct arena *a, const struct model_target *t);
/* The model's own tiling of a tensor chw: the same tiles, more or fewer. */
struct tiling model_tiling_for(const struct model *m, const size_t chw[3]);

/* Files. Reads published CLASSES models as well as ours. */
int model_load(struct model **out, struct arena *a, const char *path, struct diag *d);
/* The text of a file; t.name is for messages. */
int model_parse(struct model **out, struct arena *a, struct text t, struct diag *d);
int model_save(const struct model *m, const char *path, struct diag *d);

/* What is in it, for `model show`. */
size_t model_n_patterns(const struct model *m);
struct model_pattern_info {
    enum pattern pattern;
    uint64_t count;
    double frequency;
    size_t n_categories, n_domains;
};
struct model_pattern_info model_pattern(const struct model *m, size_t i);
uint64_t model_n_tensors(const struct model *m);
double model_rejected(const struct model *m); /* share of tensors too rare to be in it */
/* Tensors of each pattern, those too rare for the file's CLASSES part included where that is known. */
void model_pattern_counts(const struct model *m, uint64_t out[static N_PATTERNS]);
/* By which rules and at which epsilon its errors were characterised. */
struct char_options model_options(const struct model *m);
/* C, H, W of the tensors that its errors were measured on; false: it does not say. */
bool model_shape(const struct model *m, size_t chw[3]);
char *model_json(struct arena *a, const struct model *m); /* the text model_save writes */

/* Drawing one error for a tensor of one image, dim C, H, W, whose fault-free values are golden
 * (C*H*W floats, NULL: unknown, flips then act on 0) and lie in range. Writes at most max
 * differences, ascending, and returns their number (at least 1); max must be at least C*H*W.
 * Uses only r. */
struct model_draw {
    enum pattern pattern;
    size_t n;
};
struct model_draw model_draw(const struct model *m, struct rng *r, const size_t chw[3],
                             const float *golden, struct value_range range, struct difference *out,
                             size_t max);

/* The same as the fault acts on golden: a difference of measured size is added and may be too small to show, so that a
 * cell keeps its value, and none is forced into a class. */
struct model_draw model_strike(const struct model *m, struct rng *r, const size_t chw[3],
                               const float *golden, struct value_range range,
                               struct difference *out, size_t max);

/* The same as the generator of the CLASSES tools draws, accidents included; range is what it is given as the
 * value range. Of two value classes it takes the one that comes first in a set of strings, which is an
 * accident of its interpreter: second_first chooses. Cells may keep their value. out has room for C*H*W.
 * ERR_INPUT where the original stops with an error: a range that is all negative. n may be 0. */
int model_draw_classes(struct model_draw *drawn, const struct model *m, struct rng *r,
                       const size_t chw[3], const float *golden, struct value_range range,
                       bool second_first, struct difference *out, struct diag *d);

#endif
