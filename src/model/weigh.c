/* How often each measured error occurs on another shape: as often as live sites like its stratum's are there. An
 * instruction's values may extend further there (one plane becomes four, or a tile's edge falls inside): sites are told
 * apart by how far, and errors by how far they do. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "model/priv.h"
#include "model/transfer.h"

/* ---- The same stratum in another shape's kernels ------------------------------------------------------ */

/* Names of launches that do the same part of the work: "fft-input", and "fft-input-rows" on larger maps. */
static bool same_role(const char *a, const char *b)
{
    const size_t n = strlen(a) < strlen(b) ? strlen(a) : strlen(b);
    return strncmp(a, b, n) == 0 && (a[n] == 0 || a[n] == '-') && (b[n] == 0 || b[n] == '-');
}

/* "ld.shared" of "ld.shared.v4.f32": other tiles load other vectors. */
static bool same_operation(const char *a, const char *b)
{
    for (int dots = 0; *a == *b && *a; a++, b++)
        if (*a == '.' && ++dots == 2)
            return true;
    return *a == *b;
}

/* In which instructions of another shape's kernels a stratum is found again: the best likeness that finds any. */
enum likeness {
    SAME_INSTRUCTION,
    SAME_KIND,
    SAME_LINE,
    SAME_OPERATION,
    SAME_LAUNCH,
    SAME_ROLE,
    N_LIKENESSES
};

static bool alike(const struct model_stratum *a, const struct model_stratum *b, enum likeness l)
{
    if (l == SAME_ROLE)
        return same_role(a->launch, b->launch);
    if (strcmp(a->launch, b->launch) != 0)
        return false;
    switch (l) {
    case SAME_INSTRUCTION:
        return *a->kernel && strcmp(a->kernel, b->kernel) == 0 && a->insn == b->insn;
    case SAME_KIND:
        return a->line == b->line && strcmp(a->mnemonic, b->mnemonic) == 0;
    case SAME_LINE:
        return a->line == b->line;
    case SAME_OPERATION:
        return same_operation(a->mnemonic, b->mnemonic);
    default:
        return true;
    }
}

/* Live sites, by how far their influence extends. */
struct influences {
    size_t n, room;
    struct tiling_influence *list;
};

/* Sites of several strata, live ones if it is known which are. */
struct sites {
    double n;
    struct influences by_reach;
};

static struct tiling_influence *find(const struct influences *x, const uint8_t *reach)
{
    for (size_t i = 0; i < x->n; i++)
        if (memcmp(x->list[i].reach, reach, sizeof x->list[i].reach) == 0)
            return &x->list[i];
    return NULL;
}

static void add_influence(struct influences *to, const struct tiling_influence *more)
{
    struct tiling_influence *same = find(to, more->reach);
    if (same) {
        same->live += more->live;
        return;
    }
    to->list = model_grown(to->list, to->n, &to->room, sizeof *to->list);
    to->list[to->n++] = *more;
}

static void add_sites(struct sites *to, const struct model_stratum *s, bool live)
{
    to->n += (double)(live ? s->live : s->population);
    for (size_t i = 0; i < s->n_influences; i++)
        add_influence(&to->by_reach, &s->influences[i]);
}

/* Strata of the target that are likest to the same ones here. */
struct family {
    enum likeness like;
    const struct model_stratum *one; /* of those there; all are alike */
    struct sites here, there;
};

/* What is most like s here, and has sites. False: nothing. */
static bool likest(struct family *g, const struct model_stratum *s, const struct model_origin *o,
                   bool live)
{
    for (int l = 0; l < N_LIKENESSES; l++) {
        *g = (struct family){.like = (enum likeness)l, .one = s};
        for (size_t i = 0; i < o->n_strata; i++)
            if (alike(s, &o->strata[i], g->like))
                add_sites(&g->here, &o->strata[i], live);
        if (g->here.n > 0)
            return true;
        free(g->here.by_reach.list);
    }
    return false;
}

/* ---- What it says of an error -------------------------------------------------------------------------- */

enum { ENOUGH = 100, MOST_GROWTH = 4 };
enum { N_KINDS = N_REACHES * N_REACHES * N_REACHES };

/* A stratum here. */
struct view {
    size_t n_families, room, *families; /* that it is in */
    /* Errors that the model's sample stands for, and how many there were for each of them. */
    double kept, corrected;
};

struct outlook {
    const struct model *m;
    const struct model_target *t;
    bool live; /* known of both */
    size_t n_families, room;
    struct family *families;
    struct view *view; /* by stratum */
    /* Errors of each reach, and how many there would be if all extended as far as their site's influence: some do
     * not, and say nothing of sites of that reach. */
    double seen[N_KINDS], expected[N_KINDS];
};

static size_t kind_of(const uint8_t *reach)
{
    return ((size_t)reach[0] * N_REACHES + reach[1]) * N_REACHES + reach[2];
}

static void reach_of(uint8_t *out, const struct geometry *g, const struct tiling *t)
{
    for (int i = 0; i < TILING_AXES; i++)
        out[i] = i < g->n_axes ? tiling_reach(&t->axis[i], g->axis[i].extent) : REACH_NONE;
}

/* Put a stratum of the target into its family. */
static void place_stratum(struct outlook *x, const struct model_stratum *s)
{
    struct family g;
    if ((x->live ? s->live : s->population) == 0 || !likest(&g, s, &x->m->origin, x->live))
        return;
    for (size_t i = 0; i < x->n_families; i++)
        if (x->families[i].like == g.like && alike(x->families[i].one, s, g.like)) {
            add_sites(&x->families[i].there, s, x->live);
            free(g.here.by_reach.list);
            return;
        }
    add_sites(&g.there, s, x->live);
    x->families = model_grown(x->families, x->n_families, &x->room, sizeof *x->families);
    x->families[x->n_families++] = g;
}

struct outlook *outlook_new(const struct model *m, const struct model_target *t)
{
    const struct model_origin *o = &m->origin;
    struct outlook *x = calloc(1, sizeof *x);
    if (x)
        x->view = calloc(o->n_strata + 1, sizeof *x->view);
    if (!x || !x->view)
        abort(); /* out of memory, as in base/arena */
    x->m = m;
    x->t = t;
    x->live = o->live && t->live;
    for (size_t i = 0; i < t->n_strata; i++)
        place_stratum(x, &t->strata[i]);
    for (size_t i = 0; i < o->n_strata; i++)
        for (size_t g = 0; g < x->n_families; g++)
            if (alike(x->families[g].one, &o->strata[i], x->families[g].like)) {
                struct view *v = &x->view[i];
                v->families =
                    model_grown(v->families, v->n_families, &v->room, sizeof *v->families);
                v->families[v->n_families++] = g;
            }
    return x;
}

void outlook_free(struct outlook *x)
{
    for (size_t i = 0; i < x->n_families; i++) {
        free(x->families[i].here.by_reach.list);
        free(x->families[i].there.by_reach.list);
    }
    for (size_t i = 0; i < x->m->origin.n_strata; i++)
        free(x->view[i].families);
    free(x->families);
    free(x->view);
    free(x);
}

/* NULL: it is not known what was struck. */
static const struct model_stratum *stratum_of(const struct outlook *x, const struct footprint *f)
{
    return f->stratum < x->m->origin.n_strata ? &x->m->origin.strata[f->stratum] : NULL;
}

int outlook_shared(const struct outlook *x, const struct footprint *f)
{
    return stratum_of(x, f) ? stratum_of(x, f)->shared : 0;
}

void outlook_see(struct outlook *x, const struct footprint *f, const struct geometry *at, double n)
{
    const struct model_stratum *s = stratum_of(x, f);
    uint8_t reach[TILING_AXES];
    if (s)
        x->view[f->stratum].kept += n;
    if (!s || !at || !x->live || s->live == 0)
        return;
    reach_of(reach, at, &x->m->origin.tiling);
    x->seen[kind_of(reach)] += n;
    for (size_t i = 0; i < s->n_influences; i++)
        x->expected[kind_of(s->influences[i].reach)] +=
            n * (double)s->influences[i].live / (double)s->live;
}

/* Errors of the strata like this one, for each that the sample stands for: by instructions if there are enough, else
 * by launches. */
static double correction(const struct outlook *x, size_t stratum)
{
    const struct model_origin *o = &x->m->origin;
    for (int l = SAME_KIND; l <= SAME_LAUNCH; l++) {
        double errors = 0, kept = 0;
        for (size_t i = 0; i < o->n_strata; i++)
            if (alike(&o->strata[stratum], &o->strata[i], (enum likeness)l)) {
                errors += (double)o->strata[i].errors;
                kept += x->view[i].kept;
            }
        if (errors >= ENOUGH && kept > errors / 2)
            return errors / kept;
    }
    return 1;
}

void outlook_seen(struct outlook *x)
{
    for (size_t i = 0; i < x->m->origin.n_strata; i++)
        x->view[i].corrected = x->view[i].kept > 0 ? correction(x, i) : 1;
}

/* What extends so far in one shape, as it would look in another, which may have no room for it. */
static uint8_t clipped(uint8_t reach, const struct tiling_axis *there)
{
    const size_t extent = reach <= REACH_ONE    ? reach
                          : reach == REACH_PART ? (there->reach > 1 ? 2 : 1)
                          : reach == REACH_MORE ? SIZE_MAX
                          : reach == REACH_TILE ? there->tile
                                                : there->reach + reach - REACH_THREAD;
    return tiling_reach(there, extent < there->size ? extent : there->size);
}

static int distance(uint8_t a, uint8_t b)
{
    static const int level[N_REACHES] = {
        [REACH_ONE] = 0, [REACH_PART] = 1, [REACH_THREAD] = 1, [REACH_TILE] = 2, [REACH_MORE] = 3};
    const int of_a = a > REACH_THREAD && a < REACH_TILE ? 2 : level[a],
              of_b = b > REACH_THREAD && b < REACH_TILE ? 2 : level[b];
    return N_REACHES * abs(of_a - of_b) + abs(a - b);
}

/* How unlike influences here and there are; 0: they look alike where one shape has no room for more. */
static int unlike(const uint8_t *here, const uint8_t *there, const struct tiling *t_here,
                  const struct tiling *t_there)
{
    int sum = 0;
    for (int i = 0; i < t_here->n_axes; i++)
        if (clipped(there[i], &t_here->axis[i]) != here[i] &&
            clipped(here[i], &t_there->axis[i]) != there[i])
            sum += 1 + distance(here[i], there[i]);
    return sum;
}

/* Live sites here that are least unlike those that extend so far there, and how unlike they are. */
static double likest_sites(int *least, const struct outlook *x, const struct family *g,
                           const struct tiling_influence *to)
{
    double sum = 0;
    *least = INT_MAX;
    for (size_t i = 0; i < g->here.by_reach.n; i++) {
        const struct tiling_influence *one = &g->here.by_reach.list[i];
        const int its = unlike(one->reach, to->reach, &x->m->origin.tiling, &x->t->tiling);
        if (its < *least)
            sum = 0;
        *least = its < *least ? its : *least;
        sum += its == *least ? (double)one->live : 0;
    }
    return sum;
}

/* Sites that extend so far there, for each of n here that stand for them: no more than that so few can. */
static double sites_for_each(const struct family *g, const struct tiling_influence *to, double n)
{
    const double most = MOST_GROWTH * g->there.n / g->here.n, growth = (double)to->live / n;
    return growth < most ? growth : most;
}

struct prospects {
    size_t n;
    struct prospect *list;
};

static void add_prospect(struct prospects *to, const uint8_t *reach, double weight)
{
    for (size_t i = 0; i < to->n; i++)
        if (memcmp(to->list[i].reach, reach, sizeof to->list[i].reach) == 0 ||
            to->n == MOST_PROSPECTS) {
            to->list[i].weight += weight;
            return;
        }
    to->list[to->n] = (struct prospect){.weight = weight};
    memcpy(to->list[to->n++].reach, reach, sizeof to->list->reach);
}

/* An error that extends as far as its site's influence does: as often as the sites of a family do there. */
static bool add_by_reach(struct prospects *out, const struct outlook *x, const struct family *g,
                         const uint8_t *reach, double part)
{
    const struct tiling_influence *same = find(&g->here.by_reach, reach);
    if (!same || same->live == 0 || g->there.by_reach.n == 0)
        return false;
    double rest = 0; /* of sites there, those that all here stand for */
    for (size_t i = 0; i < g->there.by_reach.n; i++) {
        const struct tiling_influence *to = &g->there.by_reach.list[i];
        uint8_t now[TILING_AXES];
        int least;
        const double n = likest_sites(&least, x, g, to), growth = sites_for_each(g, to, n);
        for (int k = 0; k < TILING_AXES; k++)
            now[k] = to->reach[k] > reach[k] ? to->reach[k] : REACH_NONE;
        if (unlike(reach, to->reach, &x->m->origin.tiling, &x->t->tiling) == least)
            add_prospect(out, now, part * growth);
        rest += (double)to->live - growth * n;
    }
    out->list[0].weight += part * rest / g->here.n;
    return true;
}

size_t outlook_of(struct prospect *out, const struct outlook *x, const struct footprint *f,
                  const struct geometry *at)
{
    static const uint8_t as_here[TILING_AXES] = {REACH_NONE};
    struct prospects all = {0, out};
    uint8_t reach[TILING_AXES] = {REACH_NONE};
    double part = 0; /* of such errors: those that extend as far as their site's influence */
    if (!stratum_of(x, f) || x->t->n_strata == 0) {
        add_prospect(&all, as_here, 1);
        return all.n;
    }
    if (at && x->live) {
        reach_of(reach, at, &x->m->origin.tiling);
        const size_t kind = kind_of(reach);
        part = x->expected[kind] < x->seen[kind] ? x->expected[kind] / x->seen[kind] : 1;
    }
    const struct view *v = &x->view[f->stratum];
    add_prospect(&all, as_here, 0);
    for (size_t i = 0; i < v->n_families; i++) {
        const struct family *g = &x->families[v->families[i]];
        const bool by_reach = part > 0 && add_by_reach(&all, x, g, reach, part * v->corrected);
        out[0].weight += v->corrected * (by_reach ? 1 - part : 1) * g->there.n / g->here.n;
    }
    return all.n;
}

/* ---- Where the measured shape has fewer places ---------------------------------------------------------- */

static size_t tiles_of(const struct tiling_axis *x) { return (x->size + x->tile - 1) / x->tile; }

/* The last tile of several may have no more coordinates than a thread computes: an error all over it may be of
 * either kind, and is left out. */
static bool ends_short(const struct tiling_axis *x)
{
    const size_t before = (tiles_of(x) - 1) * x->tile;
    return x->thread < x->tile && before > 0 && x->size - before < x->tile &&
           x->size - before <= x->thread;
}

/* Of the places where such an error could have been, the part that the measured shape has; live: of those that
 * compute something. 0: it is left out. */
double room_for(const struct geometry *g, const struct tiling *t, bool live)
{
    double share = 1;
    for (int i = 0; i < g->n_axes; i++) {
        const struct tiling_axis *x = &t->axis[i];
        const size_t tiles = tiles_of(x), last = (tiles - 1) * x->tile;
        if (g->axis[i].level == LEVEL_THREAD && ends_short(x) && g->axis[i].first >= last &&
            g->axis[i].distinct == x->size - last)
            return 0;
        const bool could_be_left_out = ends_short(x) && g->axis[i].distinct == x->size - last;
        if (g->axis[i].level == LEVEL_THREAD || g->axis[i].level == LEVEL_SOME)
            share *= (double)(could_be_left_out ? last : x->size) /
                     (double)(live ? x->size : tiles * x->tile);
        if (g->axis[i].level == LEVEL_TILE && ends_short(x))
            share *= (double)(tiles - 1) / (double)tiles;
    }
    return share;
}
