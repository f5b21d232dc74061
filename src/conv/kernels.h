/* The kernels that the build compiled and embedded. */
#ifndef CONV_KERNELS_H
#define CONV_KERNELS_H

#include <stdbool.h>
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
/* The source line that a line of a kernel's PTX comes from, by its .loc and .file directives: file and text
 * (n bytes, without the blanks around them) are the program's. false: the PTX, or the build, does not say. */
struct kernel_place {
    char file[256];
    int line;
    const char *text;
    size_t n;
};
bool kernel_place(struct kernel_place *out, const struct kernel_file *k, int ptx_line);

#endif
