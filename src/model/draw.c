/* A model -> one error: pattern, parameters and domain by their counts, then cells and values. The cells
 * are classified before they are used, and put again until they are of the pattern asked for. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/priv.h"

enum { PLACES = 40, CATEGORIES = 8 }; /* attempts with the same parameters, and with others */

size_t model_weighted(struct rng *r, const uint64_t *weight, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += weight[i];
    uint64_t x = rng_below(r, sum);
    for (size_t i = 0;; i++) {
        if (x < weight[i])
            return i;
        x -= weight[i];
    }
}

const struct entry *model_draw_entry(struct rng *r, const struct model *m)
{
    uint64_t weight[N_PATTERNS];
    for (size_t i = 0; i < m->n; i++)
        weight[i] = m->entries[i].count;
    return &m->entries[model_weighted(r, weight, m->n)];
}

const struct category *model_draw_category(struct rng *r, struct arena *a, const struct entry *e)
{
    uint64_t *weight = arena_array(a, e->n_categories, sizeof *weight);
    for (size_t i = 0; i < e->n_categories; i++)
        weight[i] = e->categories[i].count;
    return &e->categories[model_weighted(r, weight, e->n_categories)];
}

const struct domain *model_draw_domain(struct rng *r, struct arena *a, const struct entry *e)
{
    uint64_t *weight = arena_array(a, e->n_domains, sizeof *weight);
    for (size_t i = 0; i < e->n_domains; i++)
        weight[i] = e->domains[i].count;
    return &e->domains[model_weighted(r, weight, e->n_domains)];
}

/* The setting whose name is this one's with min_ and max_ exchanged, or NULL. */
static const struct setting *counterpart(const struct settings *s, const char *name)
{
    if (strncmp(name, "min_", 4) != 0 && strncmp(name, "max_", 4) != 0)
        return NULL;
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->item[i].name + 1, name + 1) != 0 && strlen(s->item[i].name) > 4 &&
            strcmp(s->item[i].name + 4, name + 4) == 0)
            return &s->item[i];
    return NULL;
}

/* One of the parameter's values; if its counterpart is settled, one that keeps min <= max. */
static void resolve(struct settings *s, struct rng *r, struct arena *a, const struct param *p)
{
    const struct setting *other = counterpart(s, p->name);
    bool is_min = strncmp(p->name, "min_", 4) == 0;
    size_t *fit = arena_array(a, p->n, sizeof *fit), n = 0;
    for (size_t i = 0; i < p->n; i++)
        if (!other || (is_min ? p->value[i][0] <= other->lo : p->value[i][0] >= other->lo))
            fit[n++] = i;
    struct setting *x = &s->item[s->n++];
    if (n == 0) {
        *x = (struct setting){p->name, other->lo, other->hi};
        return;
    }
    const double *value = p->value[n == 1 ? fit[0] : fit[rng_below(r, n)]];
    *x = (struct setting){p->name, value[0], value[1]};
}

void model_resolve(struct settings *s, struct rng *r, struct arena *a, const struct category *c)
{
    s->n = 0;
    for (int several = 0; several < 2; several++) { /* what is fixed first: the rest must fit it */
        for (size_t i = 0; i < c->n_keys; i++)
            if ((c->keys[i].n > 1) == several)
                resolve(s, r, a, &c->keys[i]);
        for (size_t i = 0; i < c->n_stats; i++)
            if ((c->stats[i].n > 1) == several)
                resolve(s, r, a, &c->stats[i]);
    }
}

static int by_index(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    return (a > b) - (a < b);
}

void model_sort_unique(struct canvas *c)
{
    size_t n = 0;
    qsort(c->cell, c->n, sizeof *c->cell, by_index);
    for (size_t i = 0; i < c->n; i++)
        if (i == 0 || c->cell[i] != c->cell[n - 1])
            c->cell[n++] = c->cell[i];
    c->n = n;
}

/* Cells of the entry's pattern; if the tensor allows none, of whatever pattern came out last, or one
 * single cell. Returns the pattern they have. */
static enum pattern draw_cells(struct canvas *to, const struct entry *e, const size_t dim[4])
{
    struct settings s;
    enum pattern is = N_PATTERNS;
    for (int i = 0; i < CATEGORIES; i++) {
        model_resolve(&s, to->r, to->a, model_draw_category(to->r, to->a, e));
        for (int k = 0; k < PLACES; k++) {
            if (!model_place(to, e->pattern, &s))
                break;
            model_sort_unique(to);
            is = characterise_pattern(to->cell, to->n, dim, to->compat);
            if (is == e->pattern)
                return is;
        }
    }
    if (is == N_PATTERNS) {
        model_place(to, PATTERN_SINGLE, &s);
        is = PATTERN_SINGLE;
    }
    return is;
}

/* By the CLASSES form: domain by its counts, then cells made to the category's parameters. */
static enum pattern draw_form(struct canvas *to, const struct entry *e, const size_t dim[4],
                              struct wish **wish)
{
    const struct domain *d = model_draw_domain(to->r, to->a, e);
    enum pattern is = draw_cells(to, e, dim);
    *wish = arena_array(to->a, to->n, sizeof **wish);
    model_classes(to->r, *wish, d, to->n);
    return is;
}

static const struct entry *entry_of(const struct model *m, enum pattern p)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->entries[i].pattern == p && m->entries[i].count > 0)
            return &m->entries[i];
    return NULL;
}

static struct model_draw draw(const struct model *m, struct rng *r, const size_t chw[3],
                              const float *golden, struct value_range range, struct difference *out,
                              size_t max, bool as_fault)
{
    const size_t dim[4] = {1, chw[0], chw[1], chw[2]};
    size_t elems = chw[0] * chw[1] * chw[2];
    assert(elems > 0 && max >= elems);
    (void)max; /* NDEBUG */
    struct arena a = {0};
    struct canvas to = {.r = r,
                        .a = &a,
                        .c = chw[0],
                        .h = chw[1],
                        .w = chw[2],
                        .hw = chw[1] * chw[2],
                        .compat = m->compat,
                        .max = 4 * elems};
    to.cell = arena_array(&a, to.max, sizeof *to.cell);
    enum pattern asked = N_PATTERNS, is;
    struct wish *wish;
    const struct footprint *moved = model_transferred(&to, m, &asked);
    const struct footprint *f = moved ? moved : model_footprint(&to, m, &asked);
    if (f) {
        model_sort_unique(&to);
        is = moved ? characterise_pattern(to.cell, to.n, dim, to.compat) : asked;
        wish = model_footprint_wishes(&to, f, !moved, as_fault, range);
    } else {
        const struct entry *e = asked < N_PATTERNS ? entry_of(m, asked) : NULL;
        e = e ? e : model_draw_entry(r, m);
        asked = e->pattern;
        is = draw_form(&to, e, dim, &wish);
        model_sizes(r, &m->native[asked], wish, to.n);
    }
    for (size_t i = 0; i < to.n; i++)
        out[i] = (struct difference){to.cell[i], golden ? golden[to.cell[i]] : 0, 0};
    model_values(r, m, asked, wish, out, to.n, range, as_fault);
    struct model_draw drawn = {.pattern = is, .n = to.n};
    arena_fini(&a);
    return drawn;
}

struct model_draw model_draw(const struct model *m, struct rng *r, const size_t chw[3],
                             const float *golden, struct value_range range, struct difference *out,
                             size_t max)
{
    return draw(m, r, chw, golden, range, out, max, false);
}

struct model_draw model_strike(const struct model *m, struct rng *r, const size_t chw[3],
                               const float *golden, struct value_range range,
                               struct difference *out, size_t max)
{
    return draw(m, r, chw, golden, range, out, max, true);
}
