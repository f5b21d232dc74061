/* The fault-free run, measured: sites, instructions, and which bytes each CTA read and wrote. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "campaign/priv.h"
#include "simt/priv.h"

/* All instants kept of a program; if more come, every other one goes. */
enum { INSTANTS_BYTES = 64 << 20, LEAST_INTERVAL = 256 };

struct measure {
    struct golden *g;
    struct cta_log *log;        /* of the CTA that runs */
    size_t next;                /* position of the CTA to begin */
    struct inject_space *space; /* of the launch that runs */
    uint64_t *widths;           /* likewise */
    struct footprint reads, writes;
    const uint8_t *now; /* memory, as the CTA left it */
    uint8_t *past;      /* and as it was before */
    uint64_t base;
    bool keeps_instants, has_stored; /* this CTA */
    uint64_t interval, next_instant; /* in warp instructions that a CTA issues */
    size_t instants_bytes;
};

static bool on_step(void *ctx, const struct simt_step *s)
{
    struct measure *m = ctx;
    unsigned lanes = (unsigned)__builtin_popcount(s->mask);
    unsigned targets = m->space->targets[s->insn], bits = m->space->bits[s->insn];
    if (targets) {
        m->log->population += targets * lanes;
        m->g->exposure += (uint64_t)bits * lanes;
        m->widths[__builtin_ctz(bits / targets)] += targets * lanes;
    }
    return true;
}

/* Every other one goes: those that the doubled interval would not have kept. */
static void thin_out(struct measure *m)
{
    m->instants_bytes = 0;
    for (size_t p = 0; p < m->next; p++) {
        struct cta_log *log = &m->g->cta[p];
        size_t n = 0;
        for (size_t i = 0; i < log->n_instants; i++) {
            struct instant x = log->instants[i];
            if (x.state->issued / m->interval % 2) {
                free(x.state);
                continue;
            }
            m->instants_bytes += x.state->bytes;
            log->instants[n++] = x;
        }
        log->n_instants = n;
    }
    m->interval *= 2;
}

static void keep_instant(struct measure *m, const struct warp *w)
{
    struct cta_log *log = m->log;
    struct instant x = {log->population, simt_checkpoint(w)};
    if (!x.state) {
        m->next_instant = UINT64_MAX;
        return;
    }
    if (log->n_instants == log->instants_room) {
        log->instants_room = 2 * log->instants_room + 4;
        log->instants = realloc(log->instants, log->instants_room * sizeof *log->instants);
        if (!log->instants)
            abort();
    }
    log->instants[log->n_instants++] = x;
    m->instants_bytes += x.state->bytes;
    while (m->instants_bytes > INSTANTS_BYTES)
        thin_out(m);
    m->next_instant = (w->cta->issued / m->interval + 1) * m->interval;
}

static void on_watch(void *ctx, struct warp *w, uint32_t insn)
{
    struct measure *m = ctx;
    if (w->cta->issued >= m->next_instant && w->started_at == insn && !m->has_stored)
        keep_instant(m, w);
    m->log->population += m->space->targets[insn] * m->space->cells;
}

static void on_access(void *ctx, const struct simt_access *a)
{
    struct measure *m = ctx;
    struct footprint *f = a->store ? &m->writes : &m->reads;
    m->has_stored |= a->store;
    for (uint32_t lanes = a->mask; lanes; lanes &= lanes - 1)
        footprint_add(f, a->address[__builtin_ctz(lanes)] - m->base, a->bytes);
}

static void on_begin(void *ctx, uint64_t cta)
{
    struct measure *m = ctx;
    m->log = &m->g->cta[m->next++];
    m->has_stored = false;
    m->next_instant = m->keeps_instants ? m->interval : UINT64_MAX;
    if (m->g->kind.moment == MOMENT_LAUNCH && cta == 0)
        m->log->population = m->space->cells;
}

static void on_end(void *ctx, uint64_t cta, uint64_t issued)
{
    struct measure *m = ctx;
    struct cta_log *log = m->log;
    struct arena *a = &m->g->arena;
    size_t bytes = 0;
    (void)cta;
    log->issued = issued;
    if (m->next == 1) /* the others are likely to take as much */
        while (m->instants_bytes * m->g->n_ctas > INSTANTS_BYTES)
            thin_out(m);
    log->reads = footprint_take(&m->reads, a, &log->n_reads);
    log->writes = footprint_take(&m->writes, a, &log->n_writes);
    for (size_t i = 0; i < log->n_writes; i++)
        bytes += log->writes[i].n;
    uint8_t *before = arena_alloc(a, bytes), *after = arena_alloc(a, bytes);
    log->before = before;
    log->after = after;
    for (size_t i = 0; i < log->n_writes; i++) {
        struct range w = log->writes[i];
        memcpy(before, m->past + w.at, w.n);
        memcpy(after, m->now + w.at, w.n);
        memcpy(m->past + w.at, m->now + w.at, w.n);
        before += w.n;
        after += w.n;
    }
}

static int run_launches(struct golden *g, struct measure *m, struct simt_mem *mem, struct diag *d)
{
    bool cells = kind_is_cell(&g->kind), launch_cells = cells && g->kind.moment == MOMENT_LAUNCH;
    const struct simt_hook hook = {.ctx = m,
                                   .step = cells ? NULL : on_step,
                                   .access = on_access,
                                   .watch = launch_cells ? NULL : on_watch,
                                   .cta_begin = on_begin,
                                   .cta_end = on_end};
    const struct simt_run_options options = {.hook = &hook};
    struct simt *simt = simt_new();
    int rc = OK;
    for (size_t l = 0; rc == OK && l < g->program->n_launches; l++) {
        const struct simt_launch *launch = &g->program->launches[l];
        struct simt_result r;
        m->space = ARENA_NEW(&g->arena, struct inject_space);
        inject_space_init(m->space, &g->arena, g->program, l, &g->kind);
        m->widths = g->widths[l];
        simt_run(simt, mem, launch, 0, simt_n_ctas(launch), &options, &r);
        g->counts[l] = r.counts;
        if (r.trap.kind != TRAP_NONE)
            rc = diag_fail(d, ERR_INPUT, r.trap.at,
                           "the fault-free run of kernel '%s' stopped in CTA %llu: %s",
                           ptx_kernel_name(launch->kernel), (unsigned long long)r.trap.cta,
                           vocab_word(&vocab_traps, (int)r.trap.kind));
    }
    simt_free(simt);
    return rc;
}

/* ---- Index of chunks ------------------------------------------------------------------------------ */

/* Call each once per chunk that the position read or wrote. */
static void each_chunk(const struct golden *g, size_t position, size_t *last_seen,
                       void (*each)(void *ctx, size_t chunk, size_t position), void *ctx)
{
    const struct cta_log *log = &g->cta[position];
    for (int kind = 0; kind < 2; kind++) {
        const struct range *r = kind ? log->writes : log->reads;
        for (size_t i = 0, n = kind ? log->n_writes : log->n_reads; i < n; i++)
            for (size_t c = r[i].at / SIMT_CHUNK; c <= (r[i].at + r[i].n - 1) / SIMT_CHUNK; c++)
                if (last_seen[c] != position + 1) {
                    last_seen[c] = position + 1;
                    each(ctx, c, position);
                }
    }
}

static void count_chunk(void *ctx, size_t chunk, size_t position)
{
    struct golden *g = ctx;
    (void)position;
    g->chunk_at[chunk + 1]++;
}

struct filler {
    struct golden *g;
    size_t *next;
};

static void fill_chunk(void *ctx, size_t chunk, size_t position)
{
    struct filler *f = ctx;
    f->g->touching[f->next[chunk]++] = (uint32_t)position;
}

static void index_words(struct golden *g)
{
    g->last_touch = arena_array(&g->arena, (size_t)(g->mem_bytes / 4) + 1, sizeof *g->last_touch);
    for (size_t p = 0; p < g->n_ctas; p++)
        for (int kind = 0; kind < 2; kind++) {
            const struct cta_log *log = &g->cta[p];
            const struct range *r = kind ? log->writes : log->reads;
            for (size_t i = 0, n = kind ? log->n_writes : log->n_reads; i < n; i++)
                for (size_t word = r[i].at / 4; word <= (r[i].at + r[i].n - 1) / 4; word++)
                    g->last_touch[word] = (uint32_t)p + 1;
        }
}

static void index_chunks(struct golden *g)
{
    g->n_chunks = (size_t)(g->mem_bytes + SIMT_CHUNK - 1) / SIMT_CHUNK;
    g->chunk_at = arena_array(&g->arena, g->n_chunks + 1, sizeof *g->chunk_at);
    size_t *seen = calloc(2 * g->n_chunks + 1, sizeof *seen);
    if (!seen)
        abort();
    struct filler f = {g, seen + g->n_chunks};
    for (size_t p = 0; p < g->n_ctas; p++)
        each_chunk(g, p, seen, count_chunk, g);
    for (size_t c = 0; c < g->n_chunks; c++) {
        f.next[c] = g->chunk_at[c];
        g->chunk_at[c + 1] += g->chunk_at[c];
    }
    g->touching = arena_array(&g->arena, g->chunk_at[g->n_chunks], sizeof *g->touching);
    memset(seen, 0, g->n_chunks * sizeof *seen);
    for (size_t p = 0; p < g->n_ctas; p++)
        each_chunk(g, p, seen, fill_chunk, &f);
    free(seen);
}

/* ---- The whole ------------------------------------------------------------------------------------ */

static void lay_out(struct golden *g, const struct simt_program *p)
{
    g->counts = arena_array(&g->arena, p->n_launches, sizeof *g->counts);
    g->widths = arena_array(&g->arena, p->n_launches, sizeof *g->widths);
    g->first = arena_array(&g->arena, p->n_launches + 1, sizeof *g->first);
    for (size_t l = 0; l < p->n_launches; l++)
        g->first[l + 1] = g->first[l] + (size_t)simt_n_ctas(&p->launches[l]);
    g->n_ctas = g->first[p->n_launches];
    g->cta = arena_array(&g->arena, g->n_ctas, sizeof *g->cta);
    g->sites_before = arena_array(&g->arena, g->n_ctas + 1, sizeof *g->sites_before);
}

/* The buffers to compare; of a program that names none, its output. */
static int lay_out_outputs(struct golden *g, const struct simt_program *p, struct diag *d)
{
    uint64_t base = simt_mem_view(p->mem).base, total = 0;
    struct output *outputs = arena_array(&g->arena, p->n_buffers + 1, sizeof *outputs);
    for (size_t i = 0; i < p->n_buffers; i++) {
        const struct simt_buffer *b = &p->buffers[i];
        if (!b->compared)
            continue;
        outputs[g->n_outputs++] =
            (struct output){b->address - base, b->bytes, (uint32_t)(total / 4)};
        total += b->bytes;
    }
    if (!g->n_outputs) {
        outputs[g->n_outputs++] = (struct output){p->out_address - base, p->out_bytes, 0};
        total = p->out_bytes;
    }
    g->outputs = outputs;
    g->n_floats = (size_t)(total / sizeof(float));
    return g->n_floats > 0 && g->n_floats <= UINT32_MAX
               ? OK
               : diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                           "%zu values of output; 1 to 2^32 - 1 can be compared", g->n_floats);
}

static int summarise(struct golden *g, const struct simt_mem *mem, struct diag *d)
{
    float *output = arena_array(&g->arena, g->n_floats, sizeof *output);
    for (size_t i = 0; i < g->n_outputs; i++)
        memcpy(output + g->outputs[i].first, simt_mem_view(mem).data + g->outputs[i].at,
               g->outputs[i].bytes);
    g->output = output;
    for (size_t p = 0; p < g->n_ctas; p++)
        if (__builtin_add_overflow(g->sites_before[p], g->cta[p].population,
                                   &g->sites_before[p + 1]))
            return diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "more than 2^64 sites");
    if (kind_is_cell(&g->kind))
        g->exposure = golden_population(g) * (g->kind.where == WHERE_PREDICATE ? 1 : 32);
    index_chunks(g);
    index_words(g);
    char kind[FAULT_KIND_TEXT];
    fault_kind_print(kind, &g->kind);
    if (golden_population(g) == 0)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "nothing of this program can be struck by %s",
                         kind);
    return OK;
}

int golden_run(struct golden **out, const struct simt_program *p, const struct fault_kind *kind,
               struct diag *d)
{
    double began = clock_thread_seconds();
    struct golden *g = calloc(1, sizeof *g);
    if (!g)
        return diag_fail(d, ERR_NOMEM, DIAG_NOWHERE, "out of memory");
    *g = (struct golden){.program = p, .kind = *kind};
    for (size_t l = 0; l < p->n_launches; l++) {
        int rc = simt_check_launch(&p->launches[l], d);
        if (rc != OK) {
            golden_free(g);
            return rc;
        }
    }
    lay_out(g, p);
    int rc = lay_out_outputs(g, p, d);
    if (rc != OK) {
        golden_free(g);
        return rc;
    }
    struct simt_mem *mem = simt_mem_clone(p->mem);
    struct simt_mem_view view = simt_mem_view(mem);
    g->mem_bytes = view.size;
    struct measure m = {.g = g,
                        .now = view.data,
                        .base = view.base,
                        .past = malloc(view.size + 1),
                        .interval = LEAST_INTERVAL,
                        .keeps_instants = kind->moment != MOMENT_LAUNCH};
    if (!m.past)
        abort();
    memcpy(m.past, view.data, view.size);
    footprint_init(&m.reads, view.size);
    footprint_init(&m.writes, view.size);
    rc = run_launches(g, &m, mem, d);
    if (rc == OK)
        rc = summarise(g, mem, d);
    footprint_fini(&m.reads);
    footprint_fini(&m.writes);
    free(m.past);
    simt_mem_free(mem);
    if (rc != OK) {
        golden_free(g);
        return rc;
    }
    g->seconds = clock_thread_seconds() - began;
    *out = g;
    return OK;
}

void golden_free(struct golden *g)
{
    if (!g)
        return;
    for (size_t p = 0; p < g->n_ctas && g->cta; p++) {
        for (size_t i = 0; i < g->cta[p].n_instants; i++)
            free(g->cta[p].instants[i].state);
        free(g->cta[p].instants);
    }
    arena_fini(&g->arena);
    free(g);
}

const float *golden_output(const struct golden *g) { return g->output; }
double golden_seconds(const struct golden *g) { return g->seconds; }
uint64_t golden_population(const struct golden *g) { return g->sites_before[g->n_ctas]; }
uint64_t golden_exposure(const struct golden *g) { return g->exposure; }
struct simt_counts golden_counts(const struct golden *g, size_t launch)
{
    return g->counts[launch];
}

uint64_t golden_launch_population(const struct golden *g, size_t launch)
{
    return g->sites_before[g->first[launch + 1]] - g->sites_before[g->first[launch]];
}

/* The last of n ascending values that is at most x; the first is. */
static size_t last_not_above(const uint64_t *v, size_t n, uint64_t x)
{
    size_t lo = 0, hi = n;
    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;
        if (v[mid] <= x)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

const struct instant *golden_instant(const struct golden *g, size_t position, uint64_t sites)
{
    const struct cta_log *log = &g->cta[position];
    size_t n = 0;
    while (n < log->n_instants && log->instants[n].sites <= sites)
        n++;
    return n ? &log->instants[n - 1] : NULL;
}

size_t golden_launch_of(const struct golden *g, size_t position)
{
    size_t l = 0;
    while (position >= g->first[l + 1])
        l++;
    return l;
}

struct fault golden_fault(const struct golden *g, uint64_t u)
{
    assert(u < golden_population(g));
    size_t position = last_not_above(g->sites_before, g->n_ctas, u);
    size_t launch = golden_launch_of(g, position);
    return (struct fault){.kind = g->kind,
                          .launch = (uint32_t)launch,
                          .cta = position - g->first[launch],
                          .nth = u - g->sites_before[position]};
}
