#include "study/stack.h"

#include <string.h>

#include "store/store.h"

struct stacking {
    struct store *to;
    struct arena scratch; /* of one injection */
    size_t offset;        /* of the present image in the output */
    struct diag *diag;
};

static int copy(void *ctx, const struct store_injection *i)
{
    struct stacking *s = ctx;
    struct store_injection moved = *i;
    if (i->diffs) {
        struct store_diff *diffs = arena_array(&s->scratch, i->n_diffs, sizeof *diffs);
        for (size_t k = 0; k < i->n_diffs; k++)
            diffs[k] = (struct store_diff){i->diffs[k].index + (uint32_t)s->offset,
                                           i->diffs[k].faulty_bits};
        moved.diffs = diffs;
    }
    int rc = store_add(s->to, &moved, s->diag);
    arena_reset(&s->scratch);
    return rc;
}

/* The campaign of all, with every part's input and output. */
static int describe(struct store_campaign *out, struct arena *a, size_t n, const char *const *parts,
                    struct diag *d)
{
    float *input = NULL, *golden = NULL;
    size_t in = 0, elems = 0;
    int rc = OK;
    for (size_t k = 0; rc == OK && k < n; k++) {
        struct store *s;
        rc = store_open(&s, parts[k], false, d);
        if (rc != OK)
            break;
        const struct store_campaign *c = store_campaign(s);
        if (k == 0) {
            *out = *c;
            in = c->input_floats;
            elems = c->golden_floats;
            input = arena_array(a, n * in, sizeof *input);
            golden = arena_array(a, n * elems, sizeof *golden);
        }
        if (!c || c->input_floats != in || c->golden_floats != elems)
            rc = diag_fail(d, ERR_INPUT, (struct loc){.file = parts[k]},
                           "not a part of this campaign");
        if (rc == OK) {
            memcpy(input + k * in, c->input, in * sizeof *input);
            memcpy(golden + k * elems, c->golden, elems * sizeof *golden);
            out->planned = c->planned;
        }
        int closed = store_close(s, d);
        rc = rc == OK ? closed : rc;
    }
    out->first = 0;
    out->dim[0] *= n;
    out->input = input;
    out->golden = golden;
    out->input_floats = n * in;
    out->golden_floats = n * elems;
    return rc;
}

int stack_campaigns(const char *path, size_t n, const char *const *parts, struct diag *d)
{
    struct arena a = {0};
    struct stacking s = {.diag = d};
    struct store_campaign all;
    struct store *first = NULL, *part;
    int rc = store_open(&first, parts[0], false, d); /* holds the strings of the description */
    if (rc == OK)
        rc = describe(&all, &a, n, parts, d);
    if (rc == OK) {
        const struct store_campaign *c = store_campaign(first);
        all.impl = c->impl, all.shape = c->shape, all.tile = c->tile, all.layer = c->layer;
        all.ptx = c->ptx, all.arguments = c->arguments, all.made = c->made, all.fault = c->fault;
        all.population_kind = c->population_kind;
        all.strata = c->strata, all.epsilons = c->epsilons, all.launches = c->launches,
        all.filter = c->filter;
        rc = store_create(&s.to, path, &all, d);
    }
    for (size_t k = 0; rc == OK && k < n; k++) {
        rc = store_open(&part, parts[k], false, d);
        if (rc != OK)
            break;
        s.offset = k * (all.golden_floats / n);
        rc = store_each(part, true, copy, &s, d);
        int closed = store_close(part, d);
        rc = rc == OK ? closed : rc;
    }
    if (s.to) {
        int closed = store_close(s.to, d);
        rc = rc == OK ? closed : rc;
    }
    store_close(first, d);
    arena_fini(&s.scratch);
    arena_fini(&a);
    return rc;
}
