/* Runs a plan on a CPU through OpenCL: the same kernel sources that became PTX, compiled by PoCL. */
#ifndef TESTS_CONV_NATIVE_H
#define TESTS_CONV_NATIVE_H

#include "conv/priv.h"

struct native;
/* NULL if there is no OpenCL CPU device here. */
struct native *native_open(void);
void native_close(struct native *n);
const char *native_device(const struct native *n);
/* Tensors are NCHW. Prints what OpenCL complains of and returns false if anything fails. Workspace starts
 * as NaN, so that reading what no kernel has written shows. */
bool native_run(struct native *n, const struct conv_plan *plan, const struct conv_problem *p,
                const float *input, const float *filter, float *out);
/* Processor time that the kernels of the last run took: no transfers; compiling only in the first. */
double native_kernel_seconds(const struct native *n);

#endif
