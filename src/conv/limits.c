/* What an implementation can compute: one table of rules decides, gives the reason, and describes. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "conv/priv.h"

/* What one rule asks for ("" if the implementation is free of it) and what a problem has instead. */
struct verdict {
    char need[100], has[60];
    bool met;
};

static void __attribute__((format(printf, 2, 3))) need(struct verdict *v, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(v->need, sizeof v->need, format, ap);
    va_end(ap);
}

static void two(struct verdict *v, int a, int b, bool met)
{
    v->met = met;
    snprintf(v->has, sizeof v->has, a == b ? "%d" : "%d,%d", a, b);
}

static void batch(struct verdict *v, const struct conv_limits *l, const struct conv_problem *p)
{
    if (!l->batch)
        return;
    need(v, "batches of multiples of %d", l->batch);
    two(v, p->n, p->n, p->n % l->batch == 0);
}

/* "1x1", "3x3 or 5x5", "3x3, 5x5, ... or 11x11" */
static void square_filters(struct verdict *v, const struct conv_limits *l,
                           const struct conv_problem *p)
{
    int n = 0;
    while (n < LIMITS_SQUARES && l->square[n])
        n++;
    for (int i = 0, len = 0; i < n; i++) {
        len += snprintf(v->need + len, sizeof v->need - (size_t)len, "%s%dx%d",
                        i == 0       ? ""
                        : i == n - 1 ? " or "
                                     : ", ",
                        l->square[i], l->square[i]);
        v->met |= p->r == l->square[i] && p->s == l->square[i];
    }
    if (n)
        strcat(v->need, " filters");
    snprintf(v->has, sizeof v->has, "%dx%d", p->r, p->s);
}

static void filter_size(struct verdict *v, const struct conv_limits *l,
                        const struct conv_problem *p)
{
    if (l->filter)
        need(v, "filters up to %dx%d", l->filter, l->filter);
    snprintf(v->has, sizeof v->has, "%dx%d", p->r, p->s);
    v->met = p->r <= l->filter && p->s <= l->filter;
}

static void dilated_size(struct verdict *v, const struct conv_limits *l,
                         const struct conv_problem *p)
{
    const int64_t h = (p->r - 1) * (int64_t)p->dilation_h + 1;
    const int64_t w = (p->s - 1) * (int64_t)p->dilation_w + 1;
    if (l->dilated)
        need(v, "dilated filters up to %dx%d", l->dilated, l->dilated);
    snprintf(v->has, sizeof v->has, "%lldx%lld", (long long)h, (long long)w);
    v->met = h <= l->dilated && w <= l->dilated;
}

static void stride(struct verdict *v, const struct conv_limits *l, const struct conv_problem *p)
{
    if (l->stride == 1)
        need(v, "stride 1");
    else if (l->stride)
        need(v, "equal strides up to %d", l->stride);
    two(v, p->stride_h, p->stride_w, p->stride_h == p->stride_w && p->stride_h <= l->stride);
}

static void dilation(struct verdict *v, const struct conv_limits *l, const struct conv_problem *p)
{
    if (l->dilation)
        need(v, "dilation %d", l->dilation);
    two(v, p->dilation_h, p->dilation_w,
        p->dilation_h == l->dilation && p->dilation_w == l->dilation);
}

static void padding(struct verdict *v, const struct conv_limits *l, const struct conv_problem *p)
{
    if (l->no_padding)
        need(v, "no padding");
    snprintf(v->has, sizeof v->has, "%d,%d,%d,%d", p->pad_top, p->pad_bottom, p->pad_left,
             p->pad_right);
    v->met = !p->pad_top && !p->pad_bottom && !p->pad_left && !p->pad_right;
}

static void depthwise(struct verdict *v, const struct conv_limits *l, const struct conv_problem *p)
{
    if (l->depthwise)
        need(v, "one input channel per group");
    two(v, p->c / p->groups, p->c / p->groups, p->c == p->groups);
}

static void padded_map(struct verdict *v, const struct conv_limits *l, const struct conv_problem *p)
{
    const int h = p->h + p->pad_top + p->pad_bottom, w = p->w + p->pad_left + p->pad_right;
    if (l->padded_map)
        need(v, "padded maps up to %dx%d", l->padded_map, l->padded_map);
    snprintf(v->has, sizeof v->has, "%dx%d", h, w);
    v->met = h <= l->padded_map && w <= l->padded_map;
}

static void layout(struct verdict *v, const struct conv_limits *l, const struct conv_problem *p)
{
    if (!l->nhwc)
        need(v, "layout %s", vocab_word(&vocab_layouts, LAYOUT_NCHW));
    snprintf(v->has, sizeof v->has, "%s", vocab_word(&vocab_layouts, (int)p->layout));
    v->met = p->layout == LAYOUT_NCHW;
}

typedef void rule(struct verdict *v, const struct conv_limits *l, const struct conv_problem *p);
static rule *const rules[] = {batch,    square_filters, filter_size, dilated_size, stride,
                              dilation, padding,        depthwise,   padded_map,   layout};
enum { N_RULES = sizeof rules / sizeof *rules, N_SHAPE_RULES = N_RULES - 1 };

int limits_check(const struct conv_limits *l, const struct conv_problem *p, struct diag *d)
{
    for (int i = 0; i < N_RULES; i++) {
        struct verdict v = {0};
        rules[i](&v, l, p);
        if (*v.need && !v.met)
            return diag_fail(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "needs %s, not %s", v.need, v.has);
    }
    return OK;
}

const char *conv_limits_text(struct arena *a, const struct conv_impl *impl)
{
    const struct conv_problem any = {.c = 1, .groups = 1};
    const char *text = "";
    for (int i = 0; i < N_SHAPE_RULES; i++) {
        struct verdict v = {0};
        rules[i](&v, &impl->supports, &any);
        if (*v.need)
            text = arena_printf(a, "%s%s%s", text, *text ? "; " : "", v.need);
    }
    return *text ? text : "any shape";
}

int conv_workspace(uint64_t *bytes, const struct conv_impl *impl, const struct conv_problem *p,
                   struct diag *d)
{
    struct arena scratch = {0};
    struct conv_plan plan;
    int status = plan_within_limits(&plan, &scratch, p, impl, "", d);
    *bytes = 0;
    for (int i = N_PROBLEM_BUFFERS; i < plan.n_buffers; i++)
        *bytes += 4 * plan.buffer_elems[i];
    arena_fini(&scratch);
    return status;
}

int conv_supports(const struct conv_impl *impl, const struct conv_problem *p, struct diag *d)
{
    uint64_t unused;
    return conv_workspace(&unused, impl, p, d);
}
