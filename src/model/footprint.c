/* Measured errors kept whole: their cells as runs, drawn again in a tensor of the same shape. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/priv.h"

static const uint64_t MOST_SITES = (uint64_t)1 << 53;

static void put_runs(struct canvas *to, const struct footprint *f)
{
    to->n = 0;
    for (size_t i = 0; i < f->n_runs; i++)
        for (uint32_t at = f->runs[i].first; at <= f->runs[i].last && to->n < to->max; at++)
            to->cell[to->n++] = f->runs[i].channel * (uint32_t)to->hw + at;
}

const struct footprint *model_footprint(struct canvas *to, const struct model *m,
                                        enum pattern *pattern)
{
    uint64_t weight[N_PATTERNS], sum = 0;
    if (to->c != m->chw[0] || to->h != m->chw[1] || to->w != m->chw[2])
        return NULL;
    for (int p = 0; p < N_PATTERNS; p++)
        sum += weight[p] = m->native[p].count;
    if (sum == 0)
        return NULL;
    *pattern = (enum pattern)model_weighted(to->r, weight, N_PATTERNS);
    const struct native *n = &m->native[*pattern];
    if (n->n == 0)
        return NULL;
    const struct footprint *f = &n->footprints[rng_below(to->r, n->n)];
    put_runs(
        to,
        f); /* where it was: borders, tiles and the objects' places are part of what was measured */
    return f;
}

/* The next `count` wishes of the class, with the sizes that are known of them. */
static size_t add_wishes(struct wish *wish, size_t room, enum value_class class, uint64_t count,
                         const struct exponents *size)
{
    size_t n = 0, at = 0;
    uint32_t used = 0;
    for (; n < count && n < room; n++) {
        wish[n] = (struct wish){.class = class, .exponent = UNKNOWN_SIZE};
        if (!size || at == size->n)
            continue;
        wish[n].exponent = size->list[at].exponent;
        if (++used >= size->list[at].count) {
            at++;
            used = 0;
        }
    }
    return n;
}

size_t footprint_cells(const struct footprint *f)
{
    size_t n = 0;
    for (size_t i = 0; i < f->n_runs; i++)
        n += f->runs[i].last - f->runs[i].first + 1;
    return n;
}

static void shuffle(struct wish *wish, size_t n, struct rng *r)
{
    for (size_t i = 0; i + 1 < n; i++) {
        size_t j = i + (size_t)rng_below(r, n - i);
        struct wish t = wish[i];
        wish[i] = wish[j];
        wish[j] = t;
    }
}

/* Differences measured at another range, for this one: by a power of two, so that what is one unit in the last place
 * stays one. */
static void rescale(struct wish *wish, size_t n, double from, struct value_range to)
{
    const double width = (double)to.max - (double)to.min;
    const double factor =
        from > 0 && width > 0 && isfinite(width / from) ? exp2(round(log2(width / from))) : 1;
    for (size_t i = 0; i < n; i++)
        wish[i].delta = (float)((double)wish[i].delta * factor);
}

struct wish *model_footprint_wishes(struct canvas *to, const struct footprint *f, bool own,
                                    bool sampled, struct value_range range)
{
    size_t n = 0, had = footprint_cells(f), most = had > to->n ? had : to->n;
    struct wish *wish = arena_array(to->a, most, sizeof *wish);
    if (f->n_each == had || (sampled && f->n_each > 0)) {
        for (size_t i = 0; i < most; i++)
            wish[i] = f->each[f->n_each == had ? i % had : (size_t)rng_below(to->r, f->n_each)];
        if (!own && f->n_each == had)
            shuffle(wish, had, to->r);
        rescale(wish, most, f->scale, range);
        return wish;
    }
    for (int v = 0; v < N_VALUES; v++)
        n += add_wishes(wish + n, had - n, (enum value_class)v, f->value_count[v],
                        v == VALUE_IN_RANGE       ? &f->size[0]
                        : v == VALUE_OUT_OF_RANGE ? &f->size[1]
                                                  : NULL);
    add_wishes(wish + n, had - n, VALUE_IN_RANGE, had - n, NULL);
    shuffle(wish, had, to->r); /* and if there are more cells now, in the same proportions */
    for (size_t i = had; i < to->n; i++)
        wish[i] = wish[i - had];
    return wish;
}

/* A number below limit. */
static int number(uint32_t *out, const char **p, size_t limit)
{
    uint64_t x = 0;
    const char *start = *p;
    for (; **p >= '0' && **p <= '9' && x < limit; ++*p)
        x = 10 * x + (uint64_t)(**p - '0');
    *out = (uint32_t)x;
    return *p > start && x < limit ? 0 : -1;
}

/* A letter for each class, in the order of values.def. */
static const char class_letters[N_VALUES + 1] = "sazbfio";

static bool has_delta(enum value_class c) { return c == VALUE_IN_RANGE || c == VALUE_OUT_OF_RANGE; }

char *model_each_text(struct arena *a, const struct footprint *f)
{
    enum { LONGEST = 10 };
    char *text = arena_array(a, f->n_each + 1, LONGEST), *to = text;
    for (size_t i = 0; i < f->n_each; i++) {
        const struct wish *w = &f->each[i];
        uint32_t bits;
        *to++ = class_letters[w->class];
        memcpy(&bits, &w->delta, sizeof bits);
        if (w->class == VALUE_FLIP)
            to += snprintf(to, LONGEST, "%d", w->flipped - 1);
        else if (has_delta(w->class))
            to += snprintf(to, LONGEST, "%08x", bits);
    }
    return text;
}

static int hexadecimal(uint32_t *out, const char **p)
{
    *out = 0;
    for (int i = 0; i < 8; i++, ++*p) {
        const char c = **p;
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return -1;
        *out = *out << 4 | (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return 0;
}

int model_each_parse(struct footprint *f, struct arena *a, const char *text)
{
    const struct value_range range = {(float)(-f->scale / 2), (float)(f->scale / 2)};
    f->each = arena_array(a, strlen(text), sizeof *f->each);
    for (const char *p = text; *p;) {
        const char *letter = strchr(class_letters, *p++);
        uint32_t x;
        if (!letter)
            return -1;
        struct wish *w = &f->each[f->n_each++];
        *w = (struct wish){.class = (enum value_class)(letter - class_letters),
                           .exponent = UNKNOWN_SIZE};
        if (w->class == VALUE_FLIP) {
            if (number(&x, &p, 32) != 0)
                return -1;
            w->flipped = (int8_t)(x + 1);
        } else if (has_delta(w->class)) {
            if (hexadecimal(&x, &p) != 0)
                return -1;
            memcpy(&w->delta, &x, sizeof w->delta);
            if (!isfinite(w->delta))
                return -1;
            w->exponent = characterise_exponent((double)w->delta, range);
        }
    }
    return f->n_each <= footprint_cells(f) ? 0 : -1;
}

char *model_runs_text(struct arena *a, const struct run *runs, size_t n)
{
    char *text = NULL, *kept;
    size_t bytes = 0;
    FILE *f = open_memstream(&text, &bytes);
    if (!f)
        abort(); /* out of memory, as in base/arena */
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || runs[i].channel != runs[i - 1].channel)
            fprintf(f, "%s%u:", i ? ";" : "", runs[i].channel);
        else
            fputc(',', f);
        fprintf(f, runs[i].first == runs[i].last ? "%u" : "%u-%u", runs[i].first, runs[i].last);
    }
    fclose(f);
    kept = arena_strndup(a, text, bytes);
    free(text);
    return kept;
}

int model_runs_parse(struct run **out, size_t *n, struct arena *a, const char *text,
                     const size_t chw[3])
{
    size_t most = 1, hw = chw[1] * chw[2];
    for (const char *p = text; *p; p++)
        most += *p == ',' || *p == ';';
    struct run *r = *out = arena_array(a, most, sizeof *r);
    uint32_t channel = 0;
    *n = 0;
    for (const char *p = text;; p++) {
        if (*n == 0 || p[-1] == ';') {
            if (number(&channel, &p, chw[0]) != 0 || *p++ != ':')
                return -1;
        }
        r->channel = channel;
        if (number(&r->first, &p, hw) != 0)
            return -1;
        r->last = r->first;
        if (*p == '-' && (p++, number(&r->last, &p, hw) != 0))
            return -1;
        bool ascending = *n == 0 || r->channel > r[-1].channel ||
                         (r->channel == r[-1].channel && r->first > r[-1].last);
        if (r->last < r->first || !ascending)
            return -1;
        r++;
        ++*n;
        if (*p == 0)
            return 0;
        if (*p != ',' && *p != ';')
            return -1;
    }
}

char *model_exponents_text(struct arena *a, const struct exponents *e)
{
    char *text = arena_strdup(a, "");
    for (size_t i = 0; i < e->n; i++) /* a handful */
        text =
            arena_printf(a, "%s%s%d*%u", text, i ? "," : "", e->list[i].exponent, e->list[i].count);
    return text;
}

int model_exponents_parse(struct exponents *out, struct arena *a, const char *text)
{
    size_t most = 1;
    for (const char *p = text; *p; p++)
        most += *p == ',';
    out->list = arena_array(a, most, sizeof *out->list);
    for (const char *p = text;; p++) {
        bool negative = *p == '-';
        uint32_t size, count;
        p += negative;
        if (number(&size, &p, 1024) != 0 || *p++ != '*' || number(&count, &p, UINT32_MAX) != 0)
            return -1;
        int exponent = negative ? -(int)size : (int)size;
        if (exponent < CHAR_BIN_0 || exponent >= CHAR_BIN_0 + CHAR_BINS || count == 0)
            return -1;
        out->list[out->n++] = (struct exponent){exponent, count};
        if (*p == 0)
            return 0;
        if (*p != ',')
            return -1;
    }
}

char *model_influences_text(struct arena *a, const struct tiling_influence *list, size_t n)
{
    char *text = arena_strdup(a, "");
    for (size_t i = 0; i < n; i++) /* a handful */
        text = arena_printf(a, "%s%s%d.%d.%d*%llu", text, i ? "," : "", list[i].reach[0],
                            list[i].reach[1], list[i].reach[2], (unsigned long long)list[i].live);
    return text;
}

int model_influences_parse(struct tiling_influence **out, size_t *n, struct arena *a,
                           const char *text)
{
    size_t most = 1;
    for (const char *p = text; *p; p++)
        most += *p == ',';
    struct tiling_influence *list = *out = arena_array(a, most, sizeof *list);
    for (const char *p = text; *p; p++) {
        uint32_t reach;
        for (int i = 0; i < TILING_AXES; i++) {
            if (number(&reach, &p, N_REACHES) != 0 || *p++ != (i + 1 < TILING_AXES ? '.' : '*'))
                return -1;
            list[*n].reach[i] = (uint8_t)reach;
        }
        const char *start = p;
        uint64_t count = 0;
        for (; *p >= '0' && *p <= '9' && count < MOST_SITES; p++)
            count = 10 * count + (uint64_t)(*p - '0');
        if (p == start || (*p && *p != ',') || count > MOST_SITES)
            return -1;
        list[(*n)++].live = count;
        if (*p == 0)
            return 0;
    }
    return *text ? -1 : 0;
}
