/* The kernels that the build compiled and embedded. */
#ifndef CONV_KERNELS_H
#define CONV_KERNELS_H

#include <stddef.h>

struct kernel_file {
    const char *name;    /* "sgemm-64x64x8" */
    const char *source;  /* OpenCL C, relative to kernels/ */
    const char *options; /* "-DBM=64 ...": what it was compiled with */
    const char *ptx, *ptx_end;
};
const struct kernel_file *kernel_files(size_t *n);
/* NULL if there is none of that name. */
const struct kernel_file *kernel_file_find(const char *name);
/* Text of a source file, "gemm/tile.h"; NULL if there is none of that name. */
const char *kernel_source(const char *name);

#endif
