#include "simulate/targets.h"

#include <string.h>

static const char ALL[] = "all", CONVS[] = "convs";

/* The k-th of a list with commas, NULL beyond its end; a list of one serves all. */
static const char *item(struct arena *a, const char *list, size_t k, size_t wanted)
{
    if (!list)
        return NULL;
    if (wanted > 1 && !strchr(list, ','))
        return list;
    for (; k > 0; k--) {
        list = strchr(list, ',');
        if (!list++)
            return NULL;
    }
    return arena_strndup(a, list, strcspn(list, ","));
}

static size_t count_items(const char *list)
{
    size_t n = list != NULL;
    for (; list && *list; list++)
        n += *list == ',';
    return n;
}

/* ---- Which layers
 * --------------------------------------------------------------------------------------- */

static size_t struck_elements(const struct nn *net, size_t layer, enum layer_part strike)
{
    const struct nn_layer *l = nn_layer(net, layer);
    struct tensor shape;
    nn_layer_dims(net, layer, &shape);
    return strike == PART_OUTPUT ? tensor_elems(&shape)
           : strike == PART_BIAS ? l->n_biases
                                 : l->n_weights;
}

static int add(struct targets *out, const struct nn *net, size_t layer, struct diag *d)
{
    struct tensor shape;
    struct target *t = &out->of[out->n];
    nn_layer_dims(net, layer, &shape);
    *t = (struct target){.layer = layer, .name = nn_layer(net, layer)->name, .chw = {1, 1, 1}};
    t->n = struck_elements(net, layer, out->strike);
    if (t->n == 0)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "layer '%.60s' (%s) has no constant %s",
                         t->name, nn_layer(net, layer)->op,
                         vocab_word(&vocab_parts, (int)out->strike));
    for (int k = 1; k < shape.rank; k++) /* what is beyond the third goes into it */
        t->chw[k < 3 ? k - 1 : 2] *= shape.dim[k];
    for (size_t k = 0; k < out->n; k++)
        if (out->of[k].layer == layer)
            return diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "layer '%.60s' is given twice", t->name);
    out->n++;
    return OK;
}

/* Names, or all layers, or all convolutions. */
static int find(struct targets *out, struct arena *a, const struct nn *net, const char *list,
                struct diag *d)
{
    bool all = strcmp(list, ALL) == 0, convs = strcmp(list, CONVS) == 0;
    size_t n = all ? nn_n_layers(net) : convs ? nn_n_convs(net) : count_items(list), layer;
    struct diag whole = {0};
    int rc = OK;
    out->of = arena_array(a, n, sizeof *out->of);
    if (all || convs) {
        for (size_t k = 0; rc == OK && k < n; k++) {
            layer = all ? k : nn_conv_layer(net, k);
            if (struck_elements(net, layer, out->strike) > 0)
                rc = add(out, net, layer, d);
        }
        if (rc == OK && out->n == 0)
            rc = diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "the network has no layer with %s",
                           vocab_word(&vocab_parts, (int)out->strike));
        return rc;
    }
    if (nn_find_layer(&layer, net, list, &whole) == OK) /* a name may hold commas */
        return add(out, net, layer, d);
    for (size_t k = 0; rc == OK && k < n; k++) {
        rc = nn_find_layer(&layer, net, item(a, list, k, 1), d);
        rc = rc == OK ? add(out, net, layer, d) : rc;
    }
    return rc;
}

/* ---- Where their errors come from
 * ------------------------------------------------------------------------- */

static int check_origin(const struct targets *t, const struct sim_options *o, struct diag *d)
{
    if (!!o->model + !!o->campaign + !!o->baseline != 1)
        return diag_fail(
            d, ERR_INPUT, DIAG_NOWHERE,
            "errors come from a model, a campaign or a baseline: give one of the three");
    const char *files = o->model ? o->model : o->campaign;
    size_t n = count_items(files);
    if (n > 1 && n != t->n)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                         "%zu files for %zu layers: give one for all or one for each", n, t->n);
    if (t->strike != PART_OUTPUT && !o->baseline)
        return diag_fail(
            d, ERR_INPUT, DIAG_NOWHERE,
            "campaigns and models speak of a layer's output: its %s are struck by a baseline",
            vocab_word(&vocab_parts, (int)t->strike));
    return OK;
}

/* Of several layers each has the model for itself: they may differ in shape. */
static int carry_over(const struct target *t, struct arena *a, const struct nn *net,
                      const struct sim_options *o)
{
    struct model *m = t->errors.model;
    const struct nn_conv *conv = NULL;
    size_t own[3];
    if (!model_shape(m, own) || memcmp(own, t->chw, sizeof own) == 0)
        return OK;
    for (size_t i = 0; i < nn_n_convs(net); i++)
        if (nn_conv_layer(net, i) == t->layer)
            conv = nn_conv(net, i);
    if (o->carry)
        return o->carry(m, a, t->chw, conv);
    (void)model_retarget(m, a, &(struct model_target){.tiling = model_tiling_for(m, t->chw)});
    return OK;
}

static int load_errors(struct targets *out, struct arena *a, const struct nn *net,
                       const struct sim_options *o, struct diag *d)
{
    int rc = check_origin(out, o, d);
    bool campaigns = o->campaign != NULL;
    for (size_t k = 0; rc == OK && k < out->n; k++) {
        struct target *t = &out->of[k];
        struct error_origin from = {item(a, o->model, k, out->n), item(a, o->campaign, k, out->n),
                                    o->baseline};
        rc = errors_load(&t->errors, a, &from, t->chw, d);
        if (rc == OK && t->errors.model)
            rc = carry_over(t, a, net, o);
        t->exposure = campaigns                    ? t->errors.population
                      : out->strike == PART_OUTPUT ? nn_layer(net, t->layer)->work
                                                   : (double)t->n;
        out->total += t->exposure;
        out->room = t->n > out->room ? t->n : out->room;
    }
    return rc;
}

int targets_load(struct targets *out, struct arena *a, const struct nn *net,
                 const struct sim_options *o, struct diag *d)
{
    *out = (struct targets){.strike = o->strike, .share = o->share};
    int rc = find(out, a, net, o->layer, d);
    return rc == OK ? load_errors(out, a, net, o, d) : rc;
}

size_t targets_pick(const struct targets *t, uint64_t number, struct rng *r, uint64_t *nth)
{
    if (t->share == SHARE_TURN) {
        *nth = number / t->n;
        return (size_t)(number % t->n);
    }
    double x = rng_unit(r) * t->total;
    size_t k = 0;
    while (k + 1 < t->n && x >= t->of[k].exposure)
        x -= t->of[k++].exposure;
    *nth = rng_u64(r) >> 1; /* any of its errors */
    return k;
}
