/* Small programs of every implementation, for tests of engines and campaigns. */
#ifndef TESTS_PROP_ENGINES_H
#define TESTS_PROP_ENGINES_H

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "campaign/campaign.h"

struct case_ {
    struct arena arena;
    struct conv_program program;
    float *input, *filter;
};

static inline float *random_floats(struct arena *a, size_t n, uint64_t stream)
{
    struct rng r;
    float *v = arena_array(a, n, sizeof *v);
    rng_init(&r, 11, stream);
    for (size_t i = 0; i < n; i++)
        v[i] = (float)(rng_unit(&r) * 2 - 1);
    return v;
}

/* false: the implementation does not do this shape. tile NULL: the planner's. */
static inline bool case_init_tile(struct case_ *c, const struct conv_impl *impl, const char *shape,
                                  const char *tile)
{
    struct conv_problem p;
    struct diag d = {0};
    *c = (struct case_){0};
    if (conv_parse_shape(&p, shape, &d) != OK)
        abort();
    c->input = random_floats(&c->arena, (size_t)(p.n * p.c * p.h * p.w), 1);
    c->filter = random_floats(&c->arena, (size_t)(p.k * (p.c / p.groups) * p.r * p.s), 2);
    if (conv_prepare(&c->program, &c->arena, &p, impl, tile, c->input, c->filter, &d) == OK)
        return true;
    arena_fini(&c->arena);
    return false;
}

static inline bool case_init(struct case_ *c, const struct conv_impl *impl, const char *shape)
{
    return case_init_tile(c, impl, shape, NULL);
}

static inline void case_fini(struct case_ *c)
{
    conv_program_fini(&c->program);
    arena_fini(&c->arena);
}

#endif
