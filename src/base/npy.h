/* NumPy's .npy files: reads versions 1 to 3, float16/32/64, either byte order, C or Fortran order,
 * as float32 in C order; writes version 1, little-endian float32.
 * Format: numpy.lib.format in the NumPy reference manual. */
#ifndef BASE_NPY_H
#define BASE_NPY_H

#include "base/arena.h"
#include "base/diag.h"
#include "base/file.h"
#include "base/tensor.h"

/* t, the bytes of a file, must live as long as the tensor, which may be part of them if they are aligned. */
int npy_parse(struct tensor *out, struct arena *a, struct text t, struct diag *d);
int npy_read(struct tensor *out, struct arena *a, const char *path, struct diag *d);
int npy_write(const char *path, const struct tensor *t, struct diag *d);

#endif
