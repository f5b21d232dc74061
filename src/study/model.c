/* A campaign's faulty tensors -> characterised errors -> an error model. */
#include <string.h>

#include "characterise/characterise.h"
#include "store/store.h"
#include "study/study.h"

struct collector {
    struct model_builder *builder;
    const struct store_campaign *campaign;
    size_t n_images, elems;    /* of one image */
    struct value_range *range; /* by image */
    struct char_options options;
    struct difference *diffs; /* room for a whole tensor */
    struct study_strata strata;
    struct model_origin origin;
};

static void count(struct collector *c, const struct store_injection *i, size_t stratum)
{
    const bool sdc = i->outcome == OUTCOME_SDC, due = !sdc && i->outcome != OUTCOME_MASKED;
    c->origin.injections++;
    c->origin.sdc += sdc;
    c->origin.due += due;
    c->origin.masked += i->outcome == OUTCOME_MASKED;
    if (stratum == MODEL_NO_STRATUM)
        return;
    c->strata.list[stratum].injections++;
    c->strata.list[stratum].sdc += sdc;
    c->strata.list[stratum].due += due;
}

static int collect(void *ctx, const struct store_injection *i)
{
    struct collector *c = ctx;
    struct characterisation what;
    const size_t stratum = study_stratum(&c->strata, i->launch, i->insn);
    count(c, i, stratum);
    if (i->outcome != OUTCOME_SDC || !i->diffs)
        return 0;
    const size_t dim[4] = {1, c->campaign->dim[1], c->campaign->dim[2], c->campaign->dim[3]};
    for (size_t k = 0, n; k < i->n_diffs; k += n) { /* image by image */
        const size_t image = i->diffs[k].index / c->elems;
        for (n = 0; k + n < i->n_diffs && i->diffs[k + n].index / c->elems == image; n++) {
            const uint32_t index = i->diffs[k + n].index;
            c->diffs[n] = (struct difference){.index = index % (uint32_t)c->elems,
                                              .golden = c->campaign->golden[index]};
            memcpy(&c->diffs[n].faulty, &i->diffs[k + n].faulty_bits, sizeof(float));
        }
        characterise(&what, c->diffs, n, dim, c->range[image], &c->options);
        if (what.corrupted > 0)
            model_add_error(c->builder, &what, dim, c->diffs, n, stratum);
    }
    return 0;
}

static void set_origin(struct collector *c)
{
    const struct store_campaign *k = c->campaign;
    struct model_origin *o = &c->origin;
    o->impl = k->impl;
    o->shape = k->shape;
    o->tile = k->tile;
    o->fault = k->fault;
    o->seed = k->seed;
    o->population = k->population;
    o->tiling = c->strata.tiling;
    o->live = c->strata.live;
    o->n_strata = c->strata.n;
    o->strata = c->strata.list;
    model_set_origin(c->builder, o);
}

int study_model(struct model **out, struct arena *a, const char *path, double epsilon, bool compat,
                struct diag *d)
{
    struct arena scratch = {0};
    struct store *s = NULL;
    int rc = store_open(&s, path, false, d);
    if (rc != OK)
        return rc;
    struct collector c = {
        .builder = model_builder_new(),
        .campaign = store_campaign(s),
        .options = {.epsilon = epsilon, .compat = compat},
    };
    c.n_images = c.campaign->dim[0];
    c.elems = c.campaign->golden_floats / c.n_images;
    c.range = arena_array(&scratch, c.n_images, sizeof *c.range);
    for (size_t k = 0; k < c.n_images; k++)
        c.range[k] = characterise_range(c.campaign->golden + k * c.elems, c.elems);
    c.diffs = arena_array(&scratch, c.campaign->golden_floats, sizeof *c.diffs);
    rc = study_strata(&c.strata, &scratch, c.campaign, d);
    if (rc == OK)
        rc = store_each(s, true, collect, &c, d);
    if (rc == OK) {
        set_origin(&c);
        rc = model_build(out, a, c.builder, d);
    }
    model_builder_free(c.builder);
    arena_fini(&scratch);
    int closed = store_close(s, d);
    return rc != OK ? rc : closed;
}
