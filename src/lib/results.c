/* Reading a campaign's store through the public header. */
#include <stdlib.h>
#include <string.h>

#include "lib/priv.h"
#include "store/store.h"

struct sievert_results {
    struct store *store;
    const struct store_campaign *campaign;
    uint64_t n;
};

int sievert_results_open(struct sievert_results **out, const char *store,
                         struct sievert_error *error)
{
    struct diag d = {0};
    struct sievert_results *r = calloc(1, sizeof *r);
    if (!store) {
        free(r);
        return lib_null("store", error);
    }
    int rc = r ? store_open(&r->store, store, false, &d)
               : diag_fail(&d, ERR_NOMEM, DIAG_NOWHERE, "out of memory");
    if (rc == OK && !(r->campaign = store_campaign(r->store)))
        rc = diag_fail(&d, ERR_INPUT, (struct loc){.file = store}, "holds no injections");
    if (rc == OK)
        rc = store_count(r->store, &r->n, &d);
    size_t elems = 1;
    for (int i = 0; rc == OK && i < 4; i++)
        if (__builtin_mul_overflow(elems, r->campaign->dim[i], &elems))
            elems = 0;
    if (rc == OK && elems != r->campaign->golden_floats)
        rc = diag_fail(&d, ERR_INPUT, (struct loc){.file = store},
                       "damaged: the output has %zu "
                       "values, not those of its dimensions",
                       r->campaign->golden_floats);
    if (rc == OK)
        *out = r;
    else
        sievert_results_close(r);
    return lib_done(rc, &d, error);
}

void sievert_results_close(struct sievert_results *r)
{
    if (r && r->store)
        store_close(r->store, NULL);
    free(r);
}

uint64_t sievert_results_count(const struct sievert_results *r) { return r->n; }

static int get(struct store_injection *i, struct arena *a, struct sievert_results *r,
               uint64_t number, struct diag *d)
{
    return store_get(r->store, number, i, a, d);
}

int sievert_results_read(struct sievert_injection *out, struct sievert_results *r, uint64_t first,
                         uint64_t n, struct sievert_error *error)
{
    struct diag d = {0};
    int rc = OK;
    for (uint64_t k = 0; k < n && rc == OK; k++) {
        struct arena a = {0};
        struct store_injection i;
        rc = get(&i, &a, r, first + k, &d);
        if (rc == OK) {
            const struct store_label *label = i.labels && r->campaign->n_epsilons ? i.labels : NULL;
            out[k] = (struct sievert_injection){.number = i.number,
                                                .outcome = (int)i.outcome,
                                                .trap = (int)i.trap,
                                                .pattern =
                                                    label && label->corrupted ? label->pattern : -1,
                                                .launch = i.launch,
                                                .warp = i.warp,
                                                .lane = i.lane,
                                                .cta = i.cta,
                                                .ptx_line = i.ptx_line,
                                                .source_line = i.source_line,
                                                .bits = i.bits,
                                                .before = i.before,
                                                .after = i.after,
                                                .corrupted = label ? label->corrupted : 0,
                                                .max_abs_error = i.max_abs_error};
        }
        arena_fini(&a);
    }
    return lib_done(rc, &d, error);
}

void sievert_results_dim(size_t out[4], const struct sievert_results *r)
{
    memcpy(out, r->campaign->dim, sizeof r->campaign->dim);
}

void sievert_results_golden(float *out, const struct sievert_results *r)
{
    memcpy(out, r->campaign->golden, r->campaign->golden_floats * sizeof *out);
}

int sievert_results_tensor(float *out, struct sievert_results *r, uint64_t number,
                           struct sievert_error *error)
{
    struct diag d = {0};
    struct arena a = {0};
    struct store_injection i;
    int rc = get(&i, &a, r, number, &d);
    if (rc == OK && i.n_diffs && !i.diffs)
        rc = diag_fail(&d, ERR_INPUT, DIAG_NOWHERE,
                       "injection %llu: its tensor is not in the sample that the campaign kept",
                       (unsigned long long)number);
    if (rc == OK) {
        sievert_results_golden(out, r);
        for (size_t k = 0; k < i.n_diffs; k++)
            if (i.diffs[k].index < r->campaign->golden_floats)
                memcpy(out + i.diffs[k].index, &i.diffs[k].faulty_bits, sizeof *out);
    }
    arena_fini(&a);
    return lib_done(rc, &d, error);
}
