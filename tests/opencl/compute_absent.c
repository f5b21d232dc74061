/* Built where there are no OpenCL headers. */
#include "compute.h"

struct compute *compute_open(void) { return NULL; }
void compute_close(struct compute *c) { (void)c; }
bool compute_run(struct compute *c, const char *source, const char *options, const char *kernel,
                 const size_t global[3], const size_t local[3], struct compute_buffer *buffers,
                 int n)
{
    (void)c, (void)source, (void)options, (void)kernel, (void)global, (void)local, (void)buffers,
        (void)n;
    return false;
}
