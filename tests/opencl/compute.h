/* OpenCL programs on the CPU through PoCL, for comparing: buffers in, buffers out. */
#ifndef TESTS_OPENCL_COMPUTE_H
#define TESTS_OPENCL_COMPUTE_H

#include <stdbool.h>
#include <stddef.h>

struct compute;
struct compute *compute_open(void); /* NULL: there is no OpenCL here */
void compute_close(struct compute *c);

struct compute_buffer {
    void *bytes;
    size_t n; /* bytes; of local memory if bytes is NULL */
};
/* Builds the source file and runs one kernel of it; all buffers are written and read back. */
bool compute_run(struct compute *c, const char *source, const char *options, const char *kernel,
                 const size_t global[3], const size_t local[3], struct compute_buffer *buffers,
                 int n);

#endif
