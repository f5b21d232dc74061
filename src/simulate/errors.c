#include "simulate/errors.h"

#include <math.h>
#include <stdio.h>
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
    if (i->outcome != OUTCOME_SDC || !i->diffs)
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
        if (at >= r->campaign->golden_floats)
            return diag_fail(r->diag, ERR_INPUT, (struct loc){.file = r->path},
                             "injection %llu corrupts element %u of %zu: the store is damaged",
                             (unsigned long long)i->number, at, r->campaign->golden_floats);
        if (at / r->elems != i->diffs[0].index / r->elems)
            return diag_fail(r->diag, ERR_UNSUPPORTED, (struct loc){.file = r->path},
                             "injection %llu corrupts several images of a batch",
                             (unsigned long long)i->number);
        diffs[k].index = at % (uint32_t)r->elems;
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
    if (c->dim[0] < 1 || c->dim[1] != chw[0] || c->dim[2] != chw[1] || c->dim[3] != chw[2])
        return diag_fail(d, ERR_INPUT, at,
                         "the campaign's output is %zux%zux%zux%zu, the layer's %zux%zux%zu: this "
                         "is a campaign on another layer",
                         c->dim[0], c->dim[1], c->dim[2], c->dim[3], chw[0], chw[1], chw[2]);
    if (c->golden_floats != c->dim[0] * chw[0] * chw[1] * chw[2])
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
        out->population = (double)r.campaign->population;
        rc = store_each(s, true, add_measured, &r, d);
    }
    int closed = store_close(s, d);
    rc = rc == OK ? closed : rc;
    if (rc == OK && out->n_measured == 0)
        rc = diag_fail(d, ERR_INPUT, (struct loc){.file = path},
                       "no injection of this campaign corrupted the output: nothing to simulate");
    return rc;
}

/* ---- Baselines
 * -------------------------------------------------------------------------------------- */

/* One element becomes another: what it was, the layer's range, the generator -> what it is now. */
struct baseline {
    struct sim_baseline about;
    float (*value)(float was, struct value_range range, struct rng *r);
};

static float flip_bit(float was, struct value_range range, struct rng *r)
{
    uint32_t bits;
    (void)range;
    memcpy(&bits, &was, sizeof bits);
    bits ^= (uint32_t)1 << rng_below(r, 32);
    memcpy(&was, &bits, sizeof bits);
    return was;
}

static float any_in_range(float was, struct value_range range, struct rng *r)
{
    (void)was;
    return (float)((double)range.min + rng_unit(r) * ((double)range.max - (double)range.min));
}

static float zero(float was, struct value_range range, struct rng *r)
{
    (void)was, (void)range, (void)r;
    return 0;
}

static const struct baseline baselines[] = {
    {{"single-bit", "one random bit of one random element flips"}, flip_bit},
    {{"random-value", "one random element takes any value of the layer's range"}, any_in_range},
    {{"zero-value", "one random element becomes zero"}, zero},
};
enum { N_BASELINES = sizeof baselines / sizeof *baselines };

size_t simulate_n_baselines(void) { return N_BASELINES; }

const struct sim_baseline *simulate_baseline(size_t i) { return &baselines[i].about; }

static int find_baseline(const struct baseline **out, const char *name, struct diag *d)
{
    for (size_t k = 0; k < N_BASELINES; k++)
        if (strcmp(baselines[k].about.name, name) == 0) {
            *out = &baselines[k];
            return OK;
        }
    char list[200] = "";
    for (size_t k = 0; k < N_BASELINES; k++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", k ? ", " : "",
                 baselines[k].about.name);
    return diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "no baseline '%.40s': there are %s", name, list);
}

int errors_load(struct errors *out, struct arena *a, const struct error_origin *o,
                const size_t chw[3], struct diag *d)
{
    *out = (struct errors){.impl = ""};
    return o->model      ? model_load(&out->model, a, o->model, d)
           : o->campaign ? load_campaign(out, a, o->campaign, chw, d)
                         : find_baseline(&out->baseline, o->baseline, d);
}

/* The change from golden to faulty, on a value that is something else now: what is finite is added,
 * what is not replaces. */
static float changed(float now, float golden, float faulty)
{
    return isfinite(faulty) ? (float)((double)now + ((double)faulty - (double)golden)) : faulty;
}

static struct one_error from_model(const struct model *m, struct rng *r,
                                   const struct layer_output *layer, struct difference *out)
{
    const size_t *chw = layer->chw;
    struct model_draw draw =
        model_strike(m, r, chw, layer->bare, layer->bare_range, out, chw[0] * chw[1] * chw[2]);
    for (size_t k = 0; k < draw.n; k++) {
        float now = layer->golden[out[k].index];
        out[k].faulty = changed(now, layer->bare[out[k].index], out[k].faulty);
        out[k].golden = now;
    }
    return (struct one_error){-1, (int)draw.pattern, draw.n};
}

/* What the same fault makes of another image's value, before the bias: infinities, what is not a number, and
 * zero are what they were; where one bit flipped, it flips; other differences are added. */
static float transferred(float now, float golden, float faulty)
{
    uint32_t was, is, bits;
    memcpy(&was, &golden, sizeof was);
    memcpy(&is, &faulty, sizeof is);
    if (!isfinite(faulty) || faulty == 0)
        return faulty;
    if (((was ^ is) & ((was ^ is) - 1)) != 0)
        return changed(now, golden, faulty);
    memcpy(&bits, &now, sizeof bits);
    bits ^= was ^ is;
    memcpy(&now, &bits, sizeof now);
    return now;
}

static struct one_error from_campaign(const struct measured *m, const struct layer_output *layer,
                                      struct difference *out)
{
    for (size_t k = 0; k < m->n; k++) {
        const struct difference *d = &m->diffs[k];
        float now = layer->golden[d->index], bare = layer->bare[d->index];
        out[k] = (struct difference){d->index, now,
                                     changed(now, bare, transferred(bare, d->golden, d->faulty))};
    }
    return (struct one_error){m->injection, m->pattern, m->n};
}

struct one_error errors_draw(const struct errors *e, uint64_t number, struct rng *r,
                             const struct layer_output *layer, struct difference *out)
{
    if (e->model)
        return from_model(e->model, r, layer, out);
    if (!e->baseline)
        return from_campaign(&e->measured[number % e->n_measured], layer, out);
    uint32_t at = (uint32_t)rng_below(r, layer->n);
    float now = layer->golden[at];
    out[0] = (struct difference){at, now, e->baseline->value(now, layer->range, r)};
    return (struct one_error){-1, layer->parameter ? -1 : PATTERN_SINGLE, 1};
}
