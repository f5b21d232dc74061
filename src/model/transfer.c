/* Measured errors put into a tensor of another shape through the implementation's own tiling. On each axis
 * an error is a thread's (it moves to another thread), a tile's (it fills another tile as it filled its own)
 * or everything's. How often: weigh.c. */
#include <stdlib.h>
#include <string.h>

#include "characterise/geometry.h"
#include "model/priv.h"
#include "model/transfer.h"

enum { ATTEMPTS = 1000, TRIES = 100, LARGEST = 1 << 26 /* elements of the measured tensor */ };

/* A footprint as it is drawn for the target. */
struct moved {
    enum pattern pattern;
    const struct footprint *f;
    struct geometry at;
    bool image; /* an error of the input, around a pixel: rows and columns whatever the tiling */
    uint8_t reach
        [TILING_AXES]; /* how far it extends now, where the measured shape had no room; else REACH_NONE */
    double until; /* sum of the weights up to it */
};

struct transfer {
    struct tiling from, to;
    struct tiling from_image, to_image; /* the same as images: of flat ones */
    bool live;                          /* how many sites compute something is known of both */
    size_t n;
    struct moved *list;
};

static void unpack(uint32_t *index, const struct footprint *f, size_t hw)
{
    for (size_t i = 0; i < f->n_runs; i++)
        for (uint32_t at = f->runs[i].first; at <= f->runs[i].last; at++)
            *index++ = f->runs[i].channel * (uint32_t)hw + at;
}

/* Units by rows and columns, one tile. */
static struct tiling image_of_units(const struct tiling *t)
{
    struct tiling x = *t;
    const size_t h = (t->h + t->unit_h - 1) / t->unit_h, w = (t->w + t->unit_w - 1) / t->unit_w;
    x.n_axes = 3;
    x.axis[1] = (struct tiling_axis){"row", h, 1, 1, 1, h};
    x.axis[2] = (struct tiling_axis){"column", w, 1, 1, 1, w};
    return x;
}

/* A footprint before it is known how often it is drawn. */
static struct moved measured_at(const struct transfer *x, struct arena *a, const struct outlook *o,
                                enum pattern pattern, const struct footprint *f)
{
    const int shared = outlook_shared(o, f);
    struct moved m = {.pattern = pattern, .f = f, .image = shared == TILING_SHARED_BY_CHANNELS};
    const struct tiling *from = m.image ? &x->from_image : &x->from;
    uint32_t *index = arena_array(a, footprint_cells(f), sizeof *index);
    unpack(index, f, x->from.h * x->from.w);
    characterise_geometry(&m.at, a, index, footprint_cells(f), from, shared);
    return m;
}

/* All footprints as they are on the target, and how often each is to be drawn. */
static void weigh(struct transfer *x, struct arena *a, const struct model *m,
                  const struct model_target *t)
{
    struct arena one = {0}; /* of one footprint */
    struct outlook *outlook = outlook_new(m, t);
    struct moved *list = NULL;
    size_t n = 0, room = 0;
    double sum = 0;
    for (int again = 0; again < 2; again++) { /* what all say together, then what it says of each */
        for (int p = 0; p < N_PATTERNS; p++)
            for (size_t i = 0; i < m->native[p].n; i++) {
                const struct native *of = &m->native[p];
                const double stands_for = (double)of->count / (double)of->n;
                arena_reset(&one);
                struct moved moved =
                    measured_at(x, &one, outlook, (enum pattern)p, &of->footprints[i]);
                const struct geometry *at = moved.image ? NULL : &moved.at;
                if (!again) {
                    outlook_see(outlook, moved.f, at, stands_for);
                    continue;
                }
                struct prospect prospect[MOST_PROSPECTS];
                const size_t n_prospects = outlook_of(prospect, outlook, moved.f, at);
                const double share =
                    room_for(&moved.at, moved.image ? &x->from_image : &x->from, x->live);
                for (size_t k = 0; k < n_prospects && share > 0; k++) {
                    if (prospect[k].weight <= 0)
                        continue;
                    memcpy(moved.reach, prospect[k].reach, sizeof moved.reach);
                    moved.until = sum += stands_for * prospect[k].weight / share;
                    list = model_grown(list, n, &room, sizeof *list);
                    list[n++] = moved;
                }
            }
        if (!again)
            outlook_seen(outlook);
    }
    x->list = arena_array(a, n, sizeof *x->list);
    if (n)
        memcpy(x->list, list, n * sizeof *list);
    x->n = sum > 0 ? n : 0;
    outlook_free(outlook);
    free(list);
    arena_fini(&one);
}

int model_retarget(struct model *m, struct arena *a, const struct model_target *t)
{
    const bool known = m->origin.tiling.n_axes > 0 && t->tiling.n_axes == m->origin.tiling.n_axes;
    size_t n = 0, hw = m->chw[1] * m->chw[2];
    m->transfer = NULL;
    if (!known || m->chw[0] * hw > LARGEST)
        return ERR_UNSUPPORTED;
    for (int p = 0; p < N_PATTERNS; p++)
        n += m->native[p].n;
    if (n == 0)
        return ERR_UNSUPPORTED;
    struct transfer *x = ARENA_NEW(a, struct transfer);
    x->from = m->origin.tiling;
    x->to = t->tiling;
    x->from_image = image_of_units(&x->from);
    x->to_image = image_of_units(&x->to);
    x->live = m->origin.live && t->live;
    weigh(x, a, m, t);
    m->transfer = x->n > 0 ? x : NULL;
    return x->n > 0 ? OK : ERR_UNSUPPORTED;
}

static size_t tiles_of(const struct tiling_axis *x) { return (x->size + x->tile - 1) / x->tile; }

/* ---- Where ------------------------------------------------------------------------------------------- */

/* On one axis: which coordinate of the target shows what was at which measured one. */
struct image {
    size_t n;
    struct pair {
        uint32_t to, from;
    } * list;
};

static void add(struct image *x, size_t to, size_t from)
{
    x->list[x->n++] = (struct pair){(uint32_t)to, (uint32_t)from};
}

/* A thread's coordinates are runs of `step`, this far apart. */
static size_t apart(const struct tiling_axis *x)
{
    const size_t runs = x->thread / x->step;
    return runs > 1 ? (x->reach - x->step) / (runs - 1) : x->step;
}

/* The j-th of them, from the first. */
static size_t of_thread(const struct tiling_axis *x, size_t j)
{
    return j / x->step * apart(x) + j % x->step;
}

/* Where the thread begins that computes a coordinate: threads stand side by side within `apart`, and so on for each
 * unit of as many coordinates as they have together. */
static size_t thread_of(const struct tiling_axis *x, size_t at)
{
    const size_t unit = apart(x) * (x->thread / x->step), in_unit = at % x->tile % unit;
    return at - in_unit + in_unit % apart(x) / x->step * x->step;
}

/* Any thread's first coordinate. */
static size_t any_thread(struct rng *r, const struct tiling_axis *x)
{
    const size_t unit = apart(x) * (x->thread / x->step), beside = apart(x) / x->step;
    const size_t in_tile = (x->tile + unit - 1) / unit * beside;
    const size_t k = (size_t)rng_below(r, tiles_of(x) * in_tile), t = k % in_tile;
    return k / in_tile * x->tile + t / beside * unit + t % beside * x->step;
}

/* The coordinates of an error that is a thread's, at another thread. What it has beyond the thread's own keeps its
 * distance. */
static void at_thread(struct image *out, const struct geometry_axis *g,
                      const struct tiling_axis *from, const struct tiling_axis *to, size_t start)
{
    const bool alike =
        from->thread == to->thread && from->step == to->step && from->reach == to->reach;
    const size_t was = thread_of(from, g->first);
    out->n = 0;
    for (size_t i = g->first; i < g->first + g->extent; i++) {
        const size_t in_run = (i - was) % apart(from),
                     j = (i - was) / apart(from) * from->step + in_run;
        const bool own = !alike && in_run < from->step && j < from->thread;
        const size_t at = start + (own ? of_thread(to, j % to->thread) : i - was);
        if (at < to->size)
            add(out, at, i);
    }
    for (size_t j = from->thread; !alike && g->distinct == from->thread && j < to->thread; j++)
        if (start + of_thread(to, j) < to->size)
            add(out, start + of_thread(to, j), was + of_thread(from, j % from->thread));
}

/* More than a thread computes, but only around one place: the outputs under one input, say. */
static bool is_local(const struct geometry_axis *g, const struct tiling_axis *from)
{
    return g->level == LEVEL_TILE && 2 * g->extent <= from->tile && 2 * g->extent <= from->size;
}

/* Whole steps further, and whole if there is room. */
static void another_place(struct image *out, struct rng *r, const struct geometry_axis *g,
                          const struct tiling_axis *from, const struct tiling_axis *to)
{
    const size_t extent = g->extent < to->size ? g->extent : to->size, last = to->size - extent;
    const size_t in_step = g->first % from->step % to->step;
    const size_t at =
        last >= in_step ? (size_t)rng_below(r, (last - in_step) / to->step + 1) * to->step + in_step
                        : 0;
    for (size_t i = 0; i < extent; i++)
        add(out, at + i, g->first + i);
}

/* live: threads that have something to compute; what lies where none has any, anywhere. */
static void another_thread(struct image *out, struct rng *r, const struct geometry_axis *g,
                           const struct tiling_axis *from, const struct tiling_axis *to, bool live)
{
    enum { MOST = 64 };
    for (int i = 0; i < (live ? MOST : 1) && out->n == 0; i++)
        at_thread(out, g, from, to, any_thread(r, to));
    if (live && out->n == 0)
        another_place(out, r, g, from, to);
}

/* From `first` on, n coordinates `of_thread` or side by side, all that the axis has room for: each shows one that was
 * struck. */
static void fill(struct image *out, const struct geometry_axis *g, const struct tiling_axis *to,
                 size_t first, size_t n, bool thread)
{
    for (size_t i = 0; i < n; i++) {
        const size_t at = first + (thread ? of_thread(to, i) : i);
        if (at < to->size)
            add(out, at, g->first + i % g->extent);
    }
}

static void fill_somewhere(struct image *out, struct rng *r, const struct geometry_axis *g,
                           const struct tiling_axis *to, size_t n)
{
    fill(out, g, to, n < to->size ? (size_t)rng_below(r, to->size - n + 1) : 0, n, false);
}

/* What the measured shape had no room for, at its full extent. */
static void stretch(struct image *out, struct rng *r, const struct geometry_axis *g,
                    const struct tiling_axis *to, uint8_t reach)
{
    enum { MOST = 64 };
    for (int i = 0; i < MOST && out->n == 0 && reach <= REACH_THREAD; i++)
        fill(out, g, to, any_thread(r, to), to->thread, true);
    if (reach == REACH_TILE)
        fill(out, g, to, (size_t)rng_below(r, tiles_of(to)) * to->tile, to->tile, false);
    else if (reach > REACH_THREAD && reach < REACH_TILE)
        fill_somewhere(out, r, g, to, to->reach + reach - REACH_THREAD);
    else if (out->n == 0)
        fill(out, g, to, 0, to->size, false);
}

static struct image image_of(struct canvas *c, const struct geometry_axis *g,
                             const struct tiling_axis *from, const struct tiling_axis *to,
                             uint8_t reach, bool live)
{
    struct image x = {0, arena_array(c->a, to->size + to->tile + g->extent, sizeof *x.list)};
    if (reach != REACH_NONE) {
        stretch(&x, c->r, g, to, reach);
    } else if (g->level == LEVEL_THREAD || g->level == LEVEL_SOME) {
        another_thread(&x, c->r, g, from, to, live);
    } else if (live && is_local(g, from)) {
        another_place(&x, c->r, g, from, to);
    } else if (g->level == LEVEL_TILE) {
        const size_t tile = (size_t)rng_below(c->r, tiles_of(to)) * to->tile;
        const size_t was = g->first / from->tile * from->tile, left = from->size - was;
        const size_t there = left < from->tile ? left : from->tile;
        for (size_t i = 0; i < to->tile && tile + i < to->size; i++)
            add(&x, tile + i, was + i % there);
    } else {
        for (size_t i = 0; i < to->size; i++)
            add(&x, i, i % from->size);
    }
    return x;
}

/* A unit's pixels show the same pixels, again and again if it is larger now. */
static struct image of_unit(struct canvas *c, size_t unit_from, size_t size_from, size_t unit_to,
                            size_t size_to)
{
    const size_t from = unit_from < size_from ? unit_from : size_from;
    const size_t to = unit_to < size_to ? unit_to : size_to;
    struct image x = {0, arena_array(c->a, to, sizeof *x.list)};
    for (size_t i = 0; i < to; i++)
        add(&x, i, i % from);
    return x;
}

static size_t units_wide(const struct tiling *t) { return (t->w + t->unit_w - 1) / t->unit_w; }

/* The target's cells that show corrupted ones. */
static void project(struct canvas *c, const struct tiling *from, const struct tiling *to,
                    const struct image *on, const bool *hit)
{
    const struct image h = of_unit(c, from->unit_h, from->h, to->unit_h, to->h);
    const struct image w = of_unit(c, from->unit_w, from->w, to->unit_w, to->w);
    const bool flat = to->n_axes == 2;
    const struct image one = {1, &(struct pair){0, 0}}, *rows = &on[1],
                       *columns = flat ? &one : &on[2];
    for (size_t k = 0; k < on[0].n; k++)
        for (size_t i = 0; i < rows->n; i++)
            for (size_t j = 0; j < columns->n; j++) {
                const struct pair u = rows->list[i], v = columns->list[j];
                const size_t wide_to = units_wide(to), wide_from = units_wide(from);
                const size_t p_to = flat ? u.to / wide_to : u.to,
                             q_to = flat ? u.to % wide_to : v.to;
                const size_t p_from = flat ? u.from / wide_from : u.from;
                const size_t q_from = flat ? u.from % wide_from : v.from;
                for (size_t y = 0; y < h.n; y++)
                    for (size_t z = 0; z < w.n; z++) {
                        const size_t p = p_to * to->unit_h + h.list[y].to,
                                     q = q_to * to->unit_w + w.list[z].to;
                        const size_t pf = p_from * from->unit_h + h.list[y].from;
                        const size_t qf = q_from * from->unit_w + w.list[z].from;
                        if (p < to->h && q < to->w && pf < from->h && qf < from->w &&
                            c->n < c->max &&
                            hit[(on[0].list[k].from * from->h + pf) * from->w + qf])
                            c->cell[c->n++] =
                                (uint32_t)((on[0].list[k].to * to->h + p) * to->w + q);
                    }
            }
}

/* An error without a rule: a wrong address. Its cells keep their distances in memory. */
static void scatter(struct canvas *c, const uint32_t *index, size_t n)
{
    const size_t elems = c->c * c->hw, base = (size_t)rng_below(c->r, elems) / 4 * 4 + index[0] % 4;
    for (size_t i = 0; i < n; i++)
        if (base + (index[i] - index[0]) < elems)
            c->cell[c->n++] = (uint32_t)(base + (index[i] - index[0]));
}

static void place(struct canvas *c, const struct transfer *x, const struct moved *moved)
{
    const struct tiling *from = moved->image ? &x->from_image : &x->from;
    const struct tiling *to = moved->image ? &x->to_image : &x->to;
    const size_t n = footprint_cells(moved->f), elems = from->axis[0].size * from->h * from->w;
    uint32_t *index = arena_array(c->a, n, sizeof *index);
    bool some = false, *hit = arena_array(c->a, elems, sizeof *hit);
    struct image on[TILING_AXES];
    unpack(index, moved->f, from->h * from->w);
    for (int i = 0; i < from->n_axes; i++)
        some |= moved->at.axis[i].level == LEVEL_SOME;
    c->n = 0;
    if (some) {
        scatter(c, index, n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        hit[index[i]] = true;
    for (int i = 0; i < from->n_axes; i++)
        on[i] =
            image_of(c, &moved->at.axis[i], &from->axis[i], &to->axis[i], moved->reach[i], x->live);
    project(c, from, to, on, hit);
}

static const struct moved *pick(const struct transfer *x, struct rng *r)
{
    const double at = rng_unit(r) * x->list[x->n - 1].until;
    size_t lo = 0, hi = x->n - 1;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (x->list[mid].until > at)
            hi = mid;
        else
            lo = mid + 1;
    }
    return &x->list[lo];
}

const struct footprint *model_transferred(struct canvas *to, const struct model *m,
                                          enum pattern *was)
{
    const struct transfer *x = m->transfer;
    if (!x || to->c != x->to.axis[0].size || to->h != x->to.h || to->w != x->to.w)
        return NULL;
    struct arena scratch = {0}, *own = to->a;
    const struct moved *moved = NULL;
    to->a = &scratch;
    to->n = 0;
    /* Nothing may be left of it: such a fault is masked there, which those that are live are not. */
    for (int i = 0; i < ATTEMPTS && to->n == 0; i++) {
        arena_reset(&scratch);
        moved = x->live && moved && i % TRIES ? moved : pick(x, to->r);
        place(to, x, moved);
    }
    arena_fini(&scratch);
    to->a = own;
    if (to->n == 0)
        return NULL;
    *was = moved->pattern;
    return moved->f;
}

struct tiling model_tiling_for(const struct model *m, const size_t chw[3])
{
    struct tiling t = m->origin.tiling;
    t.h = chw[1];
    t.w = chw[2];
    const size_t h = t.unit_h ? (t.h + t.unit_h - 1) / t.unit_h : 0,
                 w = t.unit_w ? units_wide(&t) : 0;
    t.axis[0].size = chw[0];
    t.axis[1].size = t.n_axes == 2 ? h * w : h;
    t.axis[2].size = w;
    return t;
}
