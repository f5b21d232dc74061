#include "simulate/errors.h"

#include <math.h>
#include <string.h>

#include "store/store.h"

struct reader {
    struct arena *arena;
    struct errors *errors;
    const struct store_campaign *campaign;
    const char *path;
    size_t room, elems;
    struct diag *diag;
};

static int add_measured(void *ctx, const struct store_injection *i)
{
    struct reader *r = ctx;
    struct errors *e = r->errors;
    if (i->outcome != OUTCOME_SDC || i->n_diffs == 0)
        return OK;
    if (e->n_measured == r->room) {
        struct measured *more = arena_alloc(r->arena, (r->room * 2 + 64) * sizeof *more);
        if (r->room)
            memcpy(more, e->measured, r->room * sizeof *more);
        e->measured = more;
        r->room = r->room * 2 + 64;
    }
    struct difference *diffs = arena_array(r->arena, i->n_diffs, sizeof *diffs);
    for (size_t k = 0; k < i->n_diffs; k++) {
        uint32_t at = i->diffs[k].index;
        if (at >= r->elems)
            return diag_fail(r->diag, ERR_INPUT, (struct loc){.file = r->path},
                             "injection %llu corrupts element %u of %zu: the store is damaged",
                             (unsigned long long)i->number, at, r->elems);
        diffs[k].index = at;
        diffs[k].golden = r->campaign->golden[at];
        memcpy(&diffs[k].faulty, &i->diffs[k].faulty_bits, sizeof(float));
    }
    e->measured[e->n_measured++] =
        (struct measured){.injection = (int64_t)i->number,
                          .pattern = i->labels ? i->labels[0].pattern : -1,
                          .n = i->n_diffs,
                          .diffs = diffs};
    return OK;
}

static int check_campaign(const struct store_campaign *c, const char *path, const size_t chw[3],
                          struct diag *d)
{
    struct loc at = {.file = path};
    if (!c)
        return diag_fail(d, ERR_INPUT, at, "not the store of a campaign");
    if (c->dim[0] != 1 || c->dim[1] != chw[0] || c->dim[2] != chw[1] || c->dim[3] != chw[2])
        return diag_fail(d, ERR_INPUT, at,
                         "the campaign's output is %zux%zux%zux%zu, the layer's 1x%zux%zux%zu: this "
                         "is a campaign on another layer",
                         c->dim[0], c->dim[1], c->dim[2], c->dim[3], chw[0], chw[1], chw[2]);
    if (c->golden_floats != chw[0] * chw[1] * chw[2])
        return diag_fail(d, ERR_INPUT, at, "damaged: the golden tensor has %zu elements",
                         c->golden_floats);
    return OK;
}

static int load_campaign(struct errors *out, struct arena *a, const char *path, const size_t chw[3],
                         struct diag *d)
{
    struct store *s;
    int rc = store_open(&s, path, false, d);
    if (rc != OK)
        return rc;
    struct reader r = {.arena = a,
                       .errors = out,
                       .campaign = store_campaign(s),
                       .path = path,
                       .elems = chw[0] * chw[1] * chw[2],
                       .diag = d};
    rc = check_campaign(r.campaign, path, chw, d);
    if (rc == OK) {
        out->impl = arena_strdup(a, r.campaign->impl);
        rc = store_each(s, true, add_measured, &r, d);
    }
    int closed = store_close(s, d);
    rc = rc == OK ? closed : rc;
    if (rc == OK && out->n_measured == 0)
        rc = diag_fail(d, ERR_INPUT, (struct loc){.file = path},
                       "no injection of this campaign corrupted the output: nothing to simulate");
    return rc;
}

int errors_load(struct errors *out, struct arena *a, const char *model, const char *campaign,
                const size_t chw[3], struct diag *d)
{
    *out = (struct errors){.impl = ""};
    if (!model == !campaign)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                         "errors come from a model or from a campaign: give one of the two");
    return model ? model_load(&out->model, a, model, d)
                 : load_campaign(out, a, campaign, chw, d);
}

struct one_error errors_draw(const struct errors *e, uint64_t number, struct rng *r,
                             const size_t chw[3], const float *golden, struct value_range range,
                             struct difference *out)
{
    if (e->model) {
        struct model_draw draw =
            model_draw(e->model, r, chw, golden, range, out, chw[0] * chw[1] * chw[2]);
        return (struct one_error){-1, (int)draw.pattern, draw.n};
    }
    const struct measured *m = &e->measured[number % e->n_measured];
    for (size_t k = 0; k < m->n; k++) {
        uint32_t at = m->diffs[k].index;
        double change = (double)m->diffs[k].faulty - (double)m->diffs[k].golden;
        bool finite = isfinite(m->diffs[k].faulty);
        out[k] = (struct difference){
            at, golden[at], finite ? (float)((double)golden[at] + change) : m->diffs[k].faulty};
    }
    return (struct one_error){m->injection, m->pattern, m->n};
}
