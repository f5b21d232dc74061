/* An error beyond its class: extents, periods, distributions, geometry. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "characterise/geometry.h"
#include "cli/classify.h"

enum { EXPONENTS = 600, EXPONENT_0 = -300 }; /* of a relative error: more than floats can make */

/* The corrupted elements alone, and along each direction of the tensor which coordinates they have. */
struct seen {
    size_t n;
    uint32_t *index;
    const struct difference **d;
};

static struct seen corrupted(struct arena *a, const struct verdict *v)
{
    struct seen s = {0, arena_array(a, v->n_diffs, sizeof *s.index),
                     arena_array(a, v->n_diffs, sizeof *s.d)};
    for (size_t i = 0; i < v->n_diffs; i++)
        if (characterise_counts(&v->diffs[i], &v->c.options)) {
            s.d[s.n] = &v->diffs[i];
            s.index[s.n++] = v->diffs[i].index;
        }
    return s;
}

static size_t gcd(size_t a, size_t b) { return b ? gcd(b, a % b) : a; }

/* Distinct coordinates, the extent, and the period: the largest step that leads from each to the next; 0 if
 * there is one only. */
static json_t *direction_json(struct arena *a, const struct seen *s, size_t size, size_t per,
                              size_t modulo)
{
    bool *hit = arena_array(a, size, sizeof *hit);
    size_t n = 0, first = 0, last = 0, period = 0;
    for (size_t i = 0; i < s->n; i++)
        hit[s->index[i] / per % modulo] = true;
    for (size_t i = 0; i < size; i++) {
        if (!hit[i])
            continue;
        if (n++ == 0)
            first = i;
        else
            period = gcd(period, i - last);
        last = i;
    }
    return json_pack("{s:I, s:I, s:I}", "distinct", (json_int_t)n, "extent",
                     (json_int_t)(last - first + 1), "period", (json_int_t)period);
}

static json_t *pairs_json(const uint64_t *n, int first, int size)
{
    json_t *list = json_array();
    for (int i = 0; i < size; i++)
        if (n[i])
            json_array_append_new(list, json_pack("[i, I]", first + i, (json_int_t)n[i]));
    return list;
}

/* floor(log2(|faulty - golden| / |golden|)) of the values that have it. */
static json_t *relative_json(struct arena *a, const struct seen *s)
{
    uint64_t *n = arena_array(a, EXPONENTS, sizeof *n);
    for (size_t i = 0; i < s->n; i++) {
        const double g = (double)s->d[i]->golden, f = (double)s->d[i]->faulty;
        if (g != 0 && isfinite(g) && isfinite(f) && f != g)
            n[ilogb(fabs(f - g) / fabs(g)) - EXPONENT_0]++;
    }
    return pairs_json(n, EXPONENT_0, EXPONENTS);
}

/* Of all values, how often each bit differs. */
static json_t *bits_json(const struct seen *s)
{
    uint64_t n[32] = {0};
    for (size_t i = 0; i < s->n; i++) {
        uint32_t g, f;
        memcpy(&g, &s->d[i]->golden, sizeof g);
        memcpy(&f, &s->d[i]->faulty, sizeof f);
        for (int bit = 0; bit < 32; bit++)
            n[bit] += (g ^ f) >> bit & 1;
    }
    return pairs_json(n, 0, 32);
}

static json_t *geometry_json(struct arena *a, const struct seen *s, const struct tiling *t)
{
    struct geometry g;
    json_t *o = json_object();
    characterise_geometry(&g, a, s->index, s->n, t, 0);
    for (int i = 0; i < g.n_axes; i++) {
        const struct geometry_axis *x = &g.axis[i];
        json_object_set_new(
            o, t->axis[i].name,
            json_pack("{s:s, s:I, s:I, s:I, s:I}", "level", geometry_level_word(x->level),
                      "distinct", (json_int_t)x->distinct, "extent", (json_int_t)x->extent, "tiles",
                      (json_int_t)x->tiles, "tiles_there", (json_int_t)x->tiles_there));
    }
    return o;
}

json_t *classify_details_json(const struct verdict *v, const struct tiling *t)
{
    struct arena a = {0};
    const struct seen s = corrupted(&a, v);
    const size_t *dim = v->dim, hw = dim[2] * dim[3], channels = dim[0] * dim[1];
    json_t *o = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "channels",
                          direction_json(&a, &s, channels, hw, channels), "rows",
                          direction_json(&a, &s, dim[2], dim[3], dim[2]), "columns",
                          direction_json(&a, &s, dim[3], 1, dim[3]), "positions",
                          direction_json(&a, &s, hw, 1, hw), "log2_relative_error",
                          relative_json(&a, &s), "differing_bits", bits_json(&s));
    if (t->n_axes && dim[0] == 1 && t->axis[0].size == dim[1] && t->h == dim[2] && t->w == dim[3])
        json_object_set_new(o, "geometry", geometry_json(&a, &s, t));
    arena_fini(&a);
    return o;
}
