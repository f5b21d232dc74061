#include "compute.h"

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct compute {
    cl_device_id device;
    cl_context context;
    cl_command_queue queue;
    cl_program program; /* the last one */
    char what[512];     /* its source and options */
};

static bool fine(cl_int error, const char *what)
{
    if (error != CL_SUCCESS)
        fprintf(stderr, "OpenCL: %s: error %d\n", what, error);
    return error == CL_SUCCESS;
}

struct compute *compute_open(void)
{
    cl_platform_id platforms[8];
    cl_uint n = 0;
    cl_int e;
    struct compute *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    if (clGetPlatformIDs(8, platforms, &n) != CL_SUCCESS)
        n = 0;
    for (cl_uint i = 0; i < n && !c->device; i++)
        if (clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_CPU, 1, &c->device, NULL) != CL_SUCCESS)
            c->device = NULL;
    if (!c->device) {
        free(c);
        return NULL;
    }
    c->context = clCreateContext(NULL, 1, &c->device, NULL, NULL, &e);
    if (!fine(e, "context"))
        abort();
    c->queue = clCreateCommandQueue(c->context, c->device, 0, &e);
    if (!fine(e, "queue"))
        abort();
    return c;
}

void compute_close(struct compute *c)
{
    if (c->program)
        clReleaseProgram(c->program);
    clReleaseCommandQueue(c->queue);
    clReleaseContext(c->context);
    free(c);
}

static bool build(struct compute *c, const char *source, const char *options)
{
    char text[512], what[512];
    const char *p = text;
    cl_int e;
    snprintf(what, sizeof what, "%s %s", source, options);
    if (c->program && strcmp(what, c->what) == 0)
        return true;
    if (c->program)
        clReleaseProgram(c->program);
    memcpy(c->what, what, sizeof what);
    snprintf(text, sizeof text, "#include \"%s\"\n", source);
    c->program = clCreateProgramWithSource(c->context, 1, &p, NULL, &e);
    if (!fine(e, "program"))
        return false;
    e = clBuildProgram(c->program, 1, &c->device, options, NULL, NULL);
    if (e != CL_SUCCESS) {
        static char log[16384];
        clGetProgramBuildInfo(c->program, c->device, CL_PROGRAM_BUILD_LOG, sizeof log, log, NULL);
        fprintf(stderr, "%s\n", log);
    }
    return fine(e, source);
}

bool compute_run(struct compute *c, const char *source, const char *options, const char *name,
                 const size_t global[3], const size_t local[3], struct compute_buffer *buffers,
                 int n)
{
    cl_mem mem[8] = {0};
    cl_int e;
    if (!build(c, source, options))
        return false;
    cl_kernel kernel = clCreateKernel(c->program, name, &e);
    if (!fine(e, name))
        return false;
    for (int i = 0; i < n && e == CL_SUCCESS; i++) {
        if (!buffers[i].bytes) {
            e = clSetKernelArg(kernel, (cl_uint)i, buffers[i].n, NULL);
            continue;
        }
        mem[i] = clCreateBuffer(c->context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, buffers[i].n,
                                buffers[i].bytes, &e);
        if (e == CL_SUCCESS)
            e = clSetKernelArg(kernel, (cl_uint)i, sizeof mem[i], &mem[i]);
    }
    if (e == CL_SUCCESS)
        e = clEnqueueNDRangeKernel(c->queue, kernel, 3, NULL, global, local, 0, NULL, NULL);
    for (int i = 0; i < n && e == CL_SUCCESS; i++)
        if (mem[i])
            e = clEnqueueReadBuffer(c->queue, mem[i], CL_TRUE, 0, buffers[i].n, buffers[i].bytes, 0,
                                    NULL, NULL);
    for (int i = 0; i < n; i++)
        if (mem[i])
            clReleaseMemObject(mem[i]);
    clReleaseKernel(kernel);
    return fine(e, name);
}
