/* A campaign's launches -> the PTX they ran and the sources it came from. */
#include <string.h>

#include "conv/kernels.h"
#include "report/report.h"
#include "store/store.h"
#include "study/study.h"

/* The plan of the campaign asked for last; reports ask for its launches one after another. */
struct sources {
    struct arena *a;
    const char *impl, *shape, *tile;
    const char *const *ptx_names;
    size_t n_launches;
};

static bool same_plan(const struct sources *s, const struct store_campaign *c)
{
    return s->impl && strcmp(s->impl, c->impl) == 0 && strcmp(s->shape, c->shape) == 0 &&
           strcmp(s->tile, c->tile) == 0;
}

/* A store may hold anything: its tensors must be those of the shape before a program reads them. */
static bool tensors_fit(const struct conv_problem *p, const struct store_campaign *c)
{
    double input = (double)p->n * p->c * p->h * p->w;
    double filter = (double)p->k * p->c / p->groups * p->r * p->s;
    return input == (double)c->input_floats && filter == (double)c->filter_floats;
}

/* Failures mean only that no source is shown. */
static void make_plan(struct sources *s, const struct store_campaign *c)
{
    struct conv_problem problem;
    struct conv_program program;
    const struct conv_impl *impl;
    *s = (struct sources){.a = s->a,
                          .impl = arena_strdup(s->a, c->impl),
                          .shape = arena_strdup(s->a, c->shape),
                          .tile = arena_strdup(s->a, c->tile)};
    if (conv_parse_shape(&problem, c->shape, NULL) != OK || !tensors_fit(&problem, c) ||
        conv_find(&impl, c->impl, NULL) != OK ||
        conv_prepare(&program, s->a, &problem, impl, c->tile, c->input, c->filter, NULL) != OK)
        return;
    s->ptx_names = program.ptx_names;
    s->n_launches = program.sim.n_launches;
    conv_program_fini(&program);
}

static const char *ptx(void *ctx, const struct store_campaign *c, size_t launch)
{
    struct sources *s = ctx;
    if (c->ptx[0])
        return c->ptx;
    if (c->kernels_hash != conv_kernels_hash())
        return NULL; /* made with other kernels than ours */
    if (!same_plan(s, c))
        make_plan(s, c);
    const struct kernel_file *file =
        launch < s->n_launches ? kernel_file_find(s->ptx_names[launch]) : NULL;
    return file ? file->ptx : NULL;
}

static const char *file(void *ctx, const char *name)
{
    (void)ctx;
    return kernel_source(name);
}

struct report_sources study_sources(struct arena *a)
{
    struct sources *s = ARENA_NEW(a, struct sources);
    s->a = a;
    return (struct report_sources){.ctx = s, .ptx = ptx, .file = file};
}
