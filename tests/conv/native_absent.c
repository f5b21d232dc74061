/* Where there is no OpenCL to build against. */
#include "native.h"

#include <stddef.h>

struct native *native_open(void) { return NULL; }
void native_close(struct native *n) { (void)n; }

const char *native_device(const struct native *n)
{
    (void)n;
    return "none";
}

bool native_run(struct native *n, const struct conv_plan *plan, const struct conv_problem *p,
                const float *input, const float *filter, float *out)
{
    (void)n, (void)plan, (void)p, (void)input, (void)filter, (void)out;
    return false;
}
