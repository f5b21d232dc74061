/* A campaign's faulty tensors -> characterised errors -> an error model. */
#include <string.h>

#include "characterise/characterise.h"
#include "store/store.h"
#include "study/study.h"

struct collector {
    struct model_builder *builder;
    const struct store_campaign *campaign;
    struct value_range range;
    struct char_options options;
    struct difference *diffs; /* room for a whole tensor */
};

static int collect(void *ctx, const struct store_injection *i)
{
    struct collector *c = ctx;
    struct characterisation what;
    if (i->outcome != OUTCOME_SDC || !i->diffs)
        return 0;
    for (size_t k = 0; k < i->n_diffs; k++) {
        uint32_t index = i->diffs[k].index;
        c->diffs[k] = (struct difference){.index = index, .golden = c->campaign->golden[index]};
        memcpy(&c->diffs[k].faulty, &i->diffs[k].faulty_bits, sizeof(float));
    }
    characterise(&what, c->diffs, i->n_diffs, c->campaign->dim, c->range, &c->options);
    if (what.corrupted > 0)
        model_add_error(c->builder, &what, c->campaign->dim, c->diffs, i->n_diffs);
    return 0;
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
    c.range = characterise_range(c.campaign->golden, c.campaign->golden_floats);
    c.diffs = arena_array(&scratch, c.campaign->golden_floats, sizeof *c.diffs);
    rc = store_each(s, true, collect, &c, d);
    if (rc == OK)
        rc = model_build(out, a, c.builder, d);
    model_builder_free(c.builder);
    arena_fini(&scratch);
    int closed = store_close(s, d);
    return rc != OK ? rc : closed;
}
