/* Building a plan, and holding it to what a GPU can launch. */
#include <assert.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/shape.h"
#include "conv/priv.h"

int plan_workspace(struct conv_plan *plan, uint64_t elems, int *buffer, struct diag *d)
{
    if (elems > INT_MAX)
        return diag_fail(d, ERR_UNSUPPORTED, DIAG_NOWHERE,
                         "a workspace of %llu elements is beyond the 2147483647 a kernel can index",
                         (unsigned long long)elems);
    assert(plan->n_buffers < PLAN_MAX_BUFFERS);
    *buffer = plan->n_buffers;
    plan->buffer_elems[plan->n_buffers++] = elems;
    return OK;
}

static void grow(struct conv_plan *plan)
{
    plan->max_launches = plan->max_launches ? 2 * plan->max_launches : 4;
    struct plan_launch *more =
        arena_array(plan->arena, (size_t)plan->max_launches, sizeof *plan->launch);
    if (plan->n_launches)
        memcpy(more, plan->launch, (size_t)plan->n_launches * sizeof *more);
    plan->launch = more;
}

struct plan_launch *plan_launch(struct conv_plan *plan, const char *label, const char *kernel,
                                uint64_t threads, const char *file, ...)
{
    char name[128];
    va_list ap;
    va_start(ap, file);
    vsnprintf(name, sizeof name, file, ap);
    va_end(ap);
    assert(threads <= 1024);
    if (plan->n_launches == plan->max_launches)
        grow(plan);
    struct plan_launch *l = &plan->launch[plan->n_launches++];
    *l = (struct plan_launch){.label = label, .kernel = kernel, .threads = (uint32_t)threads};
    l->file = kernel_file_find(name);
    assert(l->file && "kernels/CMakeLists.txt builds every file that a plan names");
    plan_grid(l, 1, 1, 1);
    return l;
}

void plan_grid(struct plan_launch *l, uint64_t x, uint64_t y, uint64_t z)
{
    l->grid[0] = x;
    l->grid[1] = y;
    l->grid[2] = z;
}

static void add_arg(struct plan_launch *l, bool is_buffer, int value)
{
    assert(l->n_args < PLAN_MAX_ARGS);
    l->arg[l->n_args++] = (struct plan_arg){is_buffer, value};
}

void plan_buffers(struct plan_launch *l, int n, const int *buffers)
{
    for (int i = 0; i < n; i++)
        add_arg(l, true, buffers[i]);
}

void plan_int(struct plan_launch *l, int value) { add_arg(l, false, value); }

void plan_shape(struct plan_launch *l, const struct conv_problem *p)
{
    const struct shape s = {
        .N = p->n,
        .C = p->c / p->groups,
        .H = p->h,
        .W = p->w,
        .K = p->k / p->groups,
        .R = p->r,
        .S = p->s,
        .P = conv_out_h(p),
        .Q = conv_out_w(p),
        .pad_top = p->pad_top,
        .pad_left = p->pad_left,
        .stride_h = p->stride_h,
        .stride_w = p->stride_w,
        .dilation_h = p->dilation_h,
        .dilation_w = p->dilation_w,
        .groups = p->groups,
    };
#define PASS(name) plan_int(l, s.name);
    SHAPE_FIELDS(PASS)
#undef PASS
}

/* CUDA's limits of a grid: 2^31 - 1, 65535, 65535. */
static int check_grids(const struct conv_plan *plan, struct diag *d)
{
    for (int i = 0; i < plan->n_launches; i++) {
        const struct plan_launch *l = &plan->launch[i];
        if (l->grid[0] > INT_MAX || l->grid[1] > 65535 || l->grid[2] > 65535)
            return diag_fail(
                d, ERR_UNSUPPORTED, DIAG_NOWHERE,
                "%s would need a grid of %llu x %llu x %llu, beyond 2147483647 x 65535 x "
                "65535",
                l->label, (unsigned long long)l->grid[0], (unsigned long long)l->grid[1],
                (unsigned long long)l->grid[2]);
    }
    return OK;
}

/* All implementations that p is within the limits of, comma separated. In a. */
static const char *name_alternatives(struct arena *a, const struct conv_problem *p)
{
    size_t n;
    const struct conv_impl *impl = conv_impls(&n);
    const char *names = "";
    for (size_t i = 0; i < n; i++)
        if (conv_supports(&impl[i], p, NULL) == OK)
            names = arena_printf(a, "%s%s%s", names, *names ? ", " : "", impl[i].name);
    return names;
}

int plan_within_limits(struct conv_plan *plan, struct arena *a, const struct conv_problem *p,
                       const struct conv_impl *impl, const char *tile, struct diag *d)
{
    *plan = (struct conv_plan){.tile = "", .n_buffers = N_PROBLEM_BUFFERS, .arena = a};
    plan->buffer_elems[BUFFER_INPUT] = (uint64_t)p->n * (uint64_t)p->c * (uint64_t)(p->h * p->w);
    plan->buffer_elems[BUFFER_FILTER] =
        (uint64_t)p->k * (uint64_t)(p->c / p->groups) * (uint64_t)(p->r * p->s);
    plan->buffer_elems[BUFFER_OUTPUT] =
        (uint64_t)p->n * (uint64_t)p->k * (uint64_t)(conv_out_h(p) * conv_out_w(p));
    int status = limits_check(&impl->supports, p, d);
    if (status == OK && *tile && !*impl->tiles)
        status = diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "has no tiles to choose from");
    if (status == OK)
        status = impl->plan(plan, p, tile, d);
    return status == OK ? check_grids(plan, d) : status;
}

int conv_make_plan(struct conv_plan *plan, struct arena *a, const struct conv_problem *p,
                   const struct conv_impl *impl, const char *tile, struct diag *d)
{
    struct diag why = {0};
    int status = plan_within_limits(plan, a, p, impl, tile ? tile : "", &why);
    if (status != ERR_UNSUPPORTED)
        return status == OK ? OK
                            : diag_fail(d, status, DIAG_NOWHERE, "%s: %s", impl->name, why.msg);
    return diag_fail(d, status, DIAG_NOWHERE, "%s: %s; implementations for this shape: %s",
                     impl->name, why.msg, name_alternatives(a, p));
}
