#include "simulate/validate.h"

#include <math.h>

static int add(void *ctx, const struct store_trial *t)
{
    tally_add(ctx, t);
    return OK;
}

int validate_shares(struct effect_shares *out, const struct sim_options *options, struct diag *d)
{
    struct tally *t = tally_new();
    int rc = simulate_each(options, add, t, d);
    tally_shares(out, t);
    if (rc == OK && out->n == 0)
        rc = diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "no errors were asked for");
    tally_free(t);
    return rc;
}

struct agreement validate_compare(const struct effect_shares *truth,
                                  const struct effect_shares *other)
{
    struct agreement a = {.agreement = 1};
    double z = stats_normal_quantile(0.975);
    for (int e = 0; e < N_EFFECTS; e++) {
        double diff = other->share[e] - truth->share[e];
        double half = z * sqrt(truth->variance[e] + other->variance[e]);
        a.difference[e] = diff;
        a.interval[e] = (struct interval){diff - half, diff + half};
        a.agreement -= fabs(diff) / N_EFFECTS;
    }
    return a;
}
