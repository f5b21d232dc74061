/* Which fault is injection number so-and-so: plain, stratified, clustered or distinct sampling of the population. */
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "campaign/priv.h"

enum { MOST_PARTS = 8, TABLE = 1000 };

struct sample {
    struct arena arena;
    const struct golden *whole;
    size_t n_parts;
    struct golden *part[MOST_PARTS]; /* of strata; none otherwise */
    size_t n_strata;
    struct store_stratum *strata;
    size_t *part_of; /* by stratum */
    size_t n_table;  /* number % n_table -> stratum */
    uint32_t *table;
};

/* ---- Strata -------------------------------------------------------------------------------------- */

/* The groups that partition a group; one that has no parts is its own. */
static size_t parts_of(enum where where, enum where out[MOST_PARTS])
{
    static const enum where parts[] = {WHERE_GROUP_FP32, WHERE_GROUP_FP64, WHERE_GROUP_LD,
                                       WHERE_GROUP_OTHERS, WHERE_GROUP_PR};
    size_t n = where == WHERE_GROUP_GP ? 4 : where == WHERE_GROUP_GPPR ? 5 : 0;
    memcpy(out, parts, n * sizeof *parts);
    if (n == 0)
        out[n++] = where;
    return n;
}

static void add_strata(struct sample *s, const struct golden *part, enum where where)
{
    for (size_t l = 0; l < part->program->n_launches; l++) {
        uint64_t population = golden_launch_population(part, l);
        if (!population)
            continue;
        s->part_of[s->n_strata] = s->n_parts;
        s->strata[s->n_strata++] =
            (struct store_stratum){(uint32_t)l, vocab_word(&vocab_wheres, (int)where), population};
    }
}

/* Every stratum once, then each number to the one that is furthest behind its share. */
static void fill_table(struct sample *s)
{
    uint64_t *given = arena_array(&s->arena, s->n_strata, sizeof *given);
    double population = (double)golden_population(s->whole);
    s->n_table = s->n_strata > TABLE ? s->n_strata : TABLE;
    s->table = arena_array(&s->arena, s->n_table, sizeof *s->table);
    for (size_t i = 0; i < s->n_table; i++) {
        size_t best = i;
        for (size_t h = 0; i >= s->n_strata && h < s->n_strata; h++) {
            double behind =
                (double)s->strata[h].population / population * (double)(i + 1) - (double)given[h];
            if (h == 0 ||
                behind > (double)s->strata[best].population / population * (double)(i + 1) -
                             (double)given[best])
                best = h;
        }
        s->table[i] = (uint32_t)best;
        given[best]++;
    }
}

static int stratify(struct sample *s, struct diag *d)
{
    enum where wheres[MOST_PARTS];
    size_t n = parts_of(s->whole->kind.where, wheres);
    size_t most = n * s->whole->program->n_launches;
    s->strata = arena_array(&s->arena, most, sizeof *s->strata);
    s->part_of = arena_array(&s->arena, most, sizeof *s->part_of);
    for (size_t i = 0; i < n; i++) {
        struct fault_kind kind = s->whole->kind;
        struct diag none = {0};
        kind.where = wheres[i];
        kind.sampling = SAMPLING_PLAIN;
        int rc = golden_run(&s->part[s->n_parts], s->whole->program, &kind, &none);
        if (rc == ERR_INPUT)
            continue; /* nothing of this part */
        if (rc != OK) {
            *d = none;
            return rc;
        }
        add_strata(s, s->part[s->n_parts], wheres[i]);
        s->n_parts++;
    }
    fill_table(s);
    return OK;
}

int sample_new(struct sample **out, const struct golden *whole, struct diag *d)
{
    struct sample *s = calloc(1, sizeof *s);
    int rc = OK;
    if (!s)
        return diag_fail(d, ERR_NOMEM, DIAG_NOWHERE, "out of memory");
    s->whole = whole;
    if (whole->kind.sampling == SAMPLING_STRATIFIED)
        rc = stratify(s, d);
    if (rc == OK)
        *out = s;
    else
        sample_free(s);
    return rc;
}

void sample_free(struct sample *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n_parts; i++)
        golden_free(s->part[i]);
    arena_fini(&s->arena);
    free(s);
}

size_t sample_strata(const struct sample *s, const struct store_stratum **out)
{
    *out = s->strata;
    return s->n_strata;
}

size_t sample_n_parts(const struct sample *s) { return s->n_parts ? s->n_parts : 1; }

const struct golden *sample_part(const struct sample *s, size_t part)
{
    return s->n_parts ? s->part[part] : s->whole;
}

/* ---- Draws --------------------------------------------------------------------------------------- */

static void draw(struct fault *f, struct rng *r)
{
    f->draw[0] = rng_u64(r);
    f->draw[1] = rng_u64(r);
}

/* A CTA with the probability of its share, the same for the cluster; a site of it for each. */
static struct fault clustered(const struct golden *g, uint64_t seed, uint64_t number)
{
    struct rng r;
    rng_init(&r, seed, UINT64_MAX - number / g->kind.cluster); /* streams that no injection has */
    struct fault f = golden_fault(g, rng_below(&r, golden_population(g)));
    rng_init(&r, seed, number);
    f.nth = rng_below(&r, g->cta[g->first[f.launch] + (size_t)f.cta].population);
    draw(&f, &r);
    return f;
}

/* Number so-and-so of all faults in random order. Which of its site's it is stands in the bits that choose the bit. */
static struct fault distinct(const struct golden *g, uint64_t seed, uint64_t number)
{
    struct rng r;
    uint64_t variants = fault_variants(&g->kind);
    uint64_t all = golden_faults(g), ticket = rng_permuted(seed, all, number % all);
    struct fault f = golden_fault(g, ticket / variants);
    rng_init(&r, seed, number);
    draw(&f, &r);
    if (variants > 1)
        f.draw[0] = f.draw[0] / variants * variants + ticket % variants;
    return f;
}

uint64_t golden_faults(const struct golden *g)
{
    uint64_t n;
    return __builtin_mul_overflow(golden_population(g), fault_variants(&g->kind), &n) ? 0 : n;
}

struct fault campaign_fault(const struct golden *g, uint64_t seed, uint64_t number)
{
    struct rng r;
    if (g->kind.sampling == SAMPLING_CLUSTERED)
        return clustered(g, seed, number);
    if (g->kind.sampling == SAMPLING_DISTINCT)
        return distinct(g, seed, number);
    rng_init(&r, seed, number);
    struct fault f = golden_fault(g, rng_below(&r, golden_population(g)));
    draw(&f, &r);
    return f;
}

struct fault sample_fault(const struct sample *s, uint64_t seed, uint64_t number, uint32_t *stratum,
                          size_t *part)
{
    struct rng r;
    *stratum = 0;
    *part = 0;
    if (!s->n_strata)
        return campaign_fault(s->whole, seed, number);
    *stratum = s->table[number % s->n_table];
    *part = s->part_of[*stratum];
    const struct golden *g = s->part[*part];
    const struct store_stratum *h = &s->strata[*stratum];
    rng_init(&r, seed, number);
    struct fault f =
        golden_fault(g, g->sites_before[g->first[h->launch]] + rng_below(&r, h->population));
    draw(&f, &r);
    return f;
}
