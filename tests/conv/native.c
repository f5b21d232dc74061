#include "native.h"

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_PROGRAMS = 256 };

struct native {
    cl_device_id device;
    cl_context context;
    cl_command_queue queue;
    char name[128];
    double seconds; /* of the kernels of the last run */
    int n_programs;
    const struct kernel_file *file[MAX_PROGRAMS];
    cl_program program[MAX_PROGRAMS];
};

static bool fine(cl_int error, const char *what)
{
    if (error != CL_SUCCESS)
        fprintf(stderr, "OpenCL: %s: error %d\n", what, error);
    return error == CL_SUCCESS;
}

struct native *native_open(void)
{
    cl_platform_id platforms[8];
    cl_uint n_platforms = 0;
    cl_int e;
    if (clGetPlatformIDs(8, platforms, &n_platforms) != CL_SUCCESS)
        return NULL;
    struct native *n = calloc(1, sizeof *n);
    for (cl_uint i = 0; i < n_platforms && !n->device; i++)
        if (clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_CPU, 1, &n->device, NULL) != CL_SUCCESS)
            n->device = NULL;
    if (!n->device) {
        free(n);
        return NULL;
    }
    clGetDeviceInfo(n->device, CL_DEVICE_NAME, sizeof n->name, n->name, NULL);
    n->context = clCreateContext(NULL, 1, &n->device, NULL, NULL, &e);
    if (fine(e, "context"))
        n->queue = clCreateCommandQueue(n->context, n->device, 0, &e);
    if (!fine(e, "queue"))
        exit(1);
    return n;
}

const char *native_device(const struct native *n) { return n->name; }

void native_close(struct native *n)
{
    for (int i = 0; i < n->n_programs; i++)
        clReleaseProgram(n->program[i]);
    clReleaseCommandQueue(n->queue);
    clReleaseContext(n->context);
    free(n);
}

static cl_program build(struct native *n, const struct kernel_file *file)
{
    char source[256], options[1024];
    const char *text = source;
    cl_int e;
    snprintf(source, sizeof source, "#include \"%s\"\n", file->source);
    snprintf(options, sizeof options, "-cl-std=CL1.2 -I%s/kernels %s", TEST_SOURCE_DIR,
             file->options);
    cl_program p = clCreateProgramWithSource(n->context, 1, &text, NULL, &e);
    if (!fine(e, "program"))
        return NULL;
    e = clBuildProgram(p, 1, &n->device, options, NULL, NULL);
    if (e != CL_SUCCESS) {
        char log[8192] = "";
        clGetProgramBuildInfo(p, n->device, CL_PROGRAM_BUILD_LOG, sizeof log, log, NULL);
        fprintf(stderr, "%s: %s\n", file->name, log);
    }
    return fine(e, file->name) ? p : NULL;
}

static cl_program program_of(struct native *n, const struct kernel_file *file)
{
    for (int i = 0; i < n->n_programs; i++)
        if (n->file[i] == file)
            return n->program[i];
    cl_program p = build(n, file);
    if (!p || n->n_programs == MAX_PROGRAMS)
        return NULL;
    n->file[n->n_programs] = file;
    n->program[n->n_programs++] = p;
    return p;
}

double native_kernel_seconds(const struct native *n) { return n->seconds; }

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool launch(struct native *n, const struct plan_launch *l, const cl_mem *buffer)
{
    cl_program program = program_of(n, l->file);
    cl_int e = CL_INVALID_PROGRAM;
    cl_kernel kernel = program ? clCreateKernel(program, l->kernel, &e) : NULL;
    if (!fine(e, l->kernel))
        return false;
    for (int i = 0; i < l->n_args && e == CL_SUCCESS; i++) {
        const struct plan_arg *a = &l->arg[i];
        e = a->is_buffer ? clSetKernelArg(kernel, (cl_uint)i, sizeof(cl_mem), &buffer[a->value])
                         : clSetKernelArg(kernel, (cl_uint)i, sizeof a->value, &a->value);
    }
    const size_t local[3] = {l->threads, 1, 1};
    const size_t global[3] = {l->grid[0] * l->threads, l->grid[1], l->grid[2]};
    clFinish(n->queue);
    double start = cpu_seconds();
    if (e == CL_SUCCESS)
        e = clEnqueueNDRangeKernel(n->queue, kernel, 3, NULL, global, local, 0, NULL, NULL);
    clFinish(n->queue);
    n->seconds += cpu_seconds() - start;
    clReleaseKernel(kernel);
    return fine(e, l->label);
}

static bool make_buffers(struct native *n, const struct conv_plan *plan, cl_mem *buffer)
{
    const uint32_t nan_bits = 0x7fc00000;
    for (int i = 0; i < plan->n_buffers; i++) {
        const size_t bytes = plan->buffer_elems[i] * 4;
        cl_int e;
        buffer[i] = clCreateBuffer(n->context, CL_MEM_READ_WRITE, bytes, NULL, &e);
        if (e == CL_SUCCESS)
            e = clEnqueueFillBuffer(n->queue, buffer[i], &nan_bits, sizeof nan_bits, 0, bytes, 0,
                                    NULL, NULL);
        if (!fine(e, "buffer"))
            return false;
    }
    return true;
}

static bool write_buffer(struct native *n, cl_mem buffer, uint64_t elems, const float *from)
{
    return fine(clEnqueueWriteBuffer(n->queue, buffer, CL_TRUE, 0, elems * 4, from, 0, NULL, NULL),
                "input");
}

bool native_run(struct native *n, const struct conv_plan *plan, const struct conv_problem *p,
                const float *input, const float *filter, float *out)
{
    struct arena a = {0};
    cl_mem buffer[PLAN_MAX_BUFFERS] = {0};
    const uint64_t *elems = plan->buffer_elems;
    float *raw = arena_array(&a, elems[BUFFER_OUTPUT], sizeof *raw);
    n->seconds = 0;
    bool ok = make_buffers(n, plan, buffer) &&
              write_buffer(n, buffer[BUFFER_INPUT], elems[BUFFER_INPUT],
                           layout_tensor(&a, p, input, p->n, p->c, p->h, p->w)) &&
              write_buffer(n, buffer[BUFFER_FILTER], elems[BUFFER_FILTER],
                           layout_tensor(&a, p, filter, p->k, p->c / p->groups, p->r, p->s));
    for (int i = 0; i < plan->n_launches && ok; i++)
        ok = launch(n, &plan->launch[i], buffer);
    ok = ok && fine(clEnqueueReadBuffer(n->queue, buffer[BUFFER_OUTPUT], CL_TRUE, 0,
                                        elems[BUFFER_OUTPUT] * 4, raw, 0, NULL, NULL),
                    "output");
    for (int i = 0; i < plan->n_buffers; i++)
        if (buffer[i])
            clReleaseMemObject(buffer[i]);
    if (ok)
        conv_out_to_nchw(p, out, raw);
    arena_fini(&a);
    return ok;
}
