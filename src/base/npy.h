/* NumPy's .npy files: reads versions 1 to 3, float16/32/64, either byte order, C or Fortran order,
 * as float32 in C order; writes version 1, little-endian float32.
 * Format: numpy.lib.format in the NumPy reference manual. */
#ifndef BASE_NPY_H
#define BASE_NPY_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/diag.h"
#include "base/file.h"
#include "base/tensor.h"

/* t, the bytes of a file, must live as long as the tensor, which may be part of them if they are aligned. */
int npy_parse(struct tensor *out, struct arena *a, struct text t, struct diag *d);
int npy_read(struct tensor *out, struct arena *a, const char *path, struct diag *d);
int npy_write(const char *path, const struct tensor *t, struct diag *d);

/* An array of any kind of number as the words of 4 bytes that it lies in, the last one filled up with zeros:
 * rank 1, of the size of the file's data in words. */
struct npy_words {
    struct tensor words;
    char type[4]; /* "i4", "u1", "f8"..: NumPy's, little-endian */
    int rank;
    size_t dim[TENSOR_MAX_RANK];
};
/* Reads the file as it is: little-endian, C order. ERR_INPUT says what it is instead. */
int npy_read_words(struct npy_words *out, struct arena *a, const char *path, struct diag *d);
int npy_write_words(const char *path, const struct npy_words *w, struct diag *d);
/* A new zeroed array of n elements; type must be one of NumPy's. False if it is not, or n is too large. */
bool npy_new_words(struct npy_words *out, struct arena *a, const char *type, size_t n);
/* The kind of element that a file holds: 'f', 'i', 'u', 'b'; 0 if it cannot be read. */
char npy_kind(const char *path);

#endif
