/* libsievert: what soft errors in a GPU do to convolutions and to the CNNs that use them.
 *
 * Functions return SIEVERT_OK or a negative enum sievert_status and then, unless error is NULL, say why
 * in *error. Out parameters come first and are untouched on failure. Nothing is printed and no signal
 * is handled. Different handles may be used by different threads, one handle by one thread at a time.
 * Tensors are float32, C order: input N,C,H,W; filter K,C/groups,R,S; output N,K,P,Q, also of a shape
 * that ends in :nhwc: that is how they lie in the memory of the simulated GPU.
 *
 * Words ("implicit-gemm", "gp:single-bit:thread", "1x6x14x14:16x5x5") are those of the command line.
 * Files are those that the sievert program reads and writes: docs/FORMATS.md. */
#ifndef SIEVERT_H
#define SIEVERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(SIEVERT_BUILDING)
#define SIEVERT_API __attribute__((visibility("default")))
#else
#define SIEVERT_API
#endif

enum sievert_status {
    SIEVERT_OK = 0,
    SIEVERT_BAD_INPUT = -1,   /* what was given or read is wrong */
    SIEVERT_UNSUPPORTED = -2, /* right, but not something Sievert does */
    SIEVERT_IO = -3,          /* the system refused: no such file, disk full */
    SIEVERT_NO_MEMORY = -4,
    SIEVERT_INTERRUPTED = -5, /* stopped through *stop; run the same again to continue */
};

struct sievert_error {
    int status;
    int line, column; /* in file, from 1; 0: unknown */
    char file[256];   /* "" if none */
    char message[512];
};

/* "0.1.0" */
SIEVERT_API const char *sievert_version(void);

/* ---- Words ------------------------------------------------------------------------------------- */
enum sievert_vocabulary {
    SIEVERT_OUTCOMES, /* masked, SDC, DUE */
    SIEVERT_TRAPS,    /* why a DUE: illegal-address, hang, ... */
    SIEVERT_PATTERNS, /* spatial classes of CLASSES: single, same_row, bullet_wake, ... */
    SIEVERT_EFFECTS,  /* masked, tolerable, critical */
};
/* The word for number i of a vocabulary; NULL beyond its end. */
SIEVERT_API const char *sievert_word(enum sievert_vocabulary v, int i);
/* Name of implementation i; NULL beyond the last. */
SIEVERT_API const char *sievert_implementation(int i);

/* ---- Convolutions --------------------------------------------------------------------------------- */
/* Dimensions N, K, P, Q of a shape's output, and the numbers of floats of its tensors. */
struct sievert_sizes {
    size_t output_dim[4];
    size_t input, filter, output;
};
SIEVERT_API int sievert_sizes(struct sievert_sizes *out, const char *shape,
                              struct sievert_error *error);

struct sievert_convolution {
    const char *implementation, *shape;
    const char *tile; /* NULL: as a library would choose */
    const float *input, *filter;
};
struct sievert_run {
    uint64_t warp_instructions, thread_instructions, workspace_bytes;
};
/* Simulate without faults. output: sizes.output floats; run may be NULL. */
SIEVERT_API int sievert_convolve(float *output, struct sievert_run *run,
                                 const struct sievert_convolution *c, struct sievert_error *error);

/* ---- Campaigns ----------------------------------------------------------------------------------- */
struct sievert_campaign {
    struct sievert_convolution convolution;
    const char *fault; /* NULL: "gp:single-bit:thread" */
    uint64_t injections, seed;
    int jobs;                  /* threads; 0: all processors. The result does not depend on it. */
    const volatile bool *stop; /* set it to stop; may be NULL */
};
/* Inject and store, or continue a store of the same campaign until it has so many injections. */
SIEVERT_API int sievert_inject(const char *store, const struct sievert_campaign *c,
                               struct sievert_error *error);

/* One injection. The characterisation is that at the store's first epsilon, bitwise differences by
 * default. */
struct sievert_injection {
    uint64_t number;
    int outcome, trap; /* of SIEVERT_OUTCOMES, SIEVERT_TRAPS */
    int pattern;       /* of SIEVERT_PATTERNS, -1 if nothing is corrupted */
    uint32_t launch, warp, lane;
    uint64_t cta;
    int ptx_line, source_line;
    int bits;               /* width of the register struck */
    uint64_t before, after; /* the register's value */
    uint64_t corrupted;     /* values */
    double max_abs_error;   /* infinite if not a number */
};
struct sievert_results;
SIEVERT_API int sievert_results_open(struct sievert_results **out, const char *store,
                                     struct sievert_error *error);
SIEVERT_API void sievert_results_close(struct sievert_results *r); /* r may be NULL */
SIEVERT_API uint64_t sievert_results_count(const struct sievert_results *r);
/* Injections first to first + n - 1. */
SIEVERT_API int sievert_results_read(struct sievert_injection *out, struct sievert_results *r,
                                     uint64_t first, uint64_t n, struct sievert_error *error);
/* The fault-free output's dimensions, and its values (their product of floats). */
SIEVERT_API void sievert_results_dim(size_t out[4], const struct sievert_results *r);
SIEVERT_API void sievert_results_golden(float *out, const struct sievert_results *r);
/* The output that injection `number` left, SDC or not: fault-free unless it was an SDC. */
SIEVERT_API int sievert_results_tensor(float *out, struct sievert_results *r, uint64_t number,
                                       struct sievert_error *error);

/* ---- Errors ---------------------------------------------------------------------------------------- */
struct sievert_classes {
    uint64_t corrupted, channels;
    int pattern; /* of SIEVERT_PATTERNS, -1 if nothing is corrupted */
    double max_abs_error;
};
/* Compare two tensors; a value is corrupted if it differs by epsilon or more, or at all if that is 0. */
SIEVERT_API int sievert_classify(struct sievert_classes *out, const float *golden,
                                 const float *faulty, const size_t dim[4], double epsilon,
                                 struct sievert_error *error);

/* An error model, in the CLASSES JSON format. */
struct sievert_model;
SIEVERT_API int sievert_model_build(const char *path, const char *store, double epsilon,
                                    struct sievert_error *error);
SIEVERT_API int sievert_model_open(struct sievert_model **out, const char *path,
                                   struct sievert_error *error);
SIEVERT_API void sievert_model_close(struct sievert_model *m); /* m may be NULL */
/* Corrupt a tensor C,H,W in place with one error drawn from (seed, number); pattern may be NULL. */
SIEVERT_API int sievert_model_corrupt(float *tensor, int *pattern, struct sievert_model *m,
                                      const size_t chw[3], uint64_t seed, uint64_t number,
                                      struct sievert_error *error);

/* ---- Studies and reports ------------------------------------------------------------------------- */
/* A study file -> everything in folder, the reports included. */
SIEVERT_API int sievert_study(const char *folder, const char *study_file, int jobs,
                              struct sievert_error *error);
/* The report of a campaign's store as JSON text, docs/FORMATS.md; free it with sievert_free. */
SIEVERT_API int sievert_report(char **json, const char *store, struct sievert_error *error);
SIEVERT_API void sievert_free(void *p);

/* Wilson's interval for k of n > 0. */
SIEVERT_API void sievert_wilson(double *lo, double *hi, uint64_t k, uint64_t n, double confidence);

#ifdef __cplusplus
}
#endif
#endif
