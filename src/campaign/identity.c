/* What a campaign is, and what it runs on: the store that has its name, its threads. */
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "base/tensor.h"
#include "campaign/priv.h"
#include "campaign/team.h"

enum { MAX_JOBS = 1024, DEFAULT_HANG_FACTOR = 10 };

static const double default_epsilons[] = {0, 1e-6, 1e-3};

struct store_campaign campaign_identity(struct arena *a, const struct campaign_subject *x,
                                        const struct campaign_options *o, const struct golden *g)
{
    char *fault = arena_alloc(a, FAULT_KIND_TEXT);
    const float *output =
        x->sim->out_layout == LAYOUT_NHWC ? tensor_from_nhwc(a, g->output, x->dim) : g->output;
    struct store_launch *launches = arena_array(a, x->sim->n_launches, sizeof *launches);
    fault_kind_print(fault, &o->kind);
    struct store_campaign s = {.impl = x->impl,
                               .shape = x->shape,
                               .tile = x->tile,
                               .layer = x->layer,
                               .ptx = x->ptx,
                               .arguments = x->arguments,
                               .made = x->made ? x->made : "",
                               .fault = fault,
                               .population_kind =
                                   o->kind.population == POPULATION_PTX ? "ptx" : "machine",
                               .seed = o->seed,
                               .first = o->first,
                               .planned = o->n,
                               .tensors = o->tensors ? *o->tensors : STORE_ALL_TENSORS,
                               .hang_factor = o->hang_factor ? o->hang_factor : DEFAULT_HANG_FACTOR,
                               .kernels_hash = x->kernels_hash,
                               .population = golden_population(g),
                               .exposure = golden_exposure(g),
                               .workspace_bytes = x->workspace_bytes,
                               .n_epsilons = o->n_epsilons ? o->n_epsilons : 3,
                               .epsilons = o->n_epsilons ? o->epsilons : default_epsilons,
                               .dim = {x->dim[0], x->dim[1], x->dim[2], x->dim[3]},
                               .n_launches = x->sim->n_launches,
                               .launches = launches,
                               .input_floats = x->input_floats,
                               .filter_floats = x->filter_floats,
                               .golden_floats = g->n_floats,
                               .input = x->input,
                               .filter = x->filter,
                               .golden = output};
    for (size_t l = 0; l < x->sim->n_launches; l++) {
        const struct simt_launch *y = &x->sim->launches[l];
        struct simt_counts n = golden_counts(g, l);
        launches[l] = (struct store_launch){ptx_kernel_name(y->kernel),
                                            y->label ? y->label : "",
                                            {y->grid[0], y->grid[1], y->grid[2]},
                                            {y->block[0], y->block[1], y->block[2]},
                                            simt_n_ctas(y),
                                            n.warp_insns,
                                            n.thread_insns,
                                            golden_launch_population(g, l)};
        s.warp_insns += n.warp_insns;
        s.thread_insns += n.thread_insns;
    }
    return s;
}

static uint64_t hash(uint64_t h, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3; /* FNV-1a */
    return h;
}

uint64_t campaign_identity_hash(const struct store_campaign *s)
{
    const char *texts[] = {s->impl, s->shape,     s->tile,  s->layer,
                           s->ptx,  s->arguments, s->fault, s->population_kind};
    const uint64_t numbers[] = {s->seed,       s->hang_factor, s->kernels_hash,
                                s->population, s->tensors,     s->warp_insns};
    uint64_t h = hash(0xcbf29ce484222325, numbers, sizeof numbers);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        h = hash(h, texts[i], strlen(texts[i]) + 1);
    return hash(h, s->golden, s->golden_floats * sizeof *s->golden);
}

int campaign_open_store(struct store **out, const char *path, const struct store_campaign *s,
                        struct diag *d)
{
    uint64_t came;
    bool old = access(path, F_OK) == 0;
    int rc = old ? store_open(out, path, true, d) : store_create(out, path, s, d);
    if (rc == OK && old)
        rc = store_same_campaign(*out, s, d);
    if (rc == OK)
        rc = shards_absorb(*out, path, &came, d);
    if (rc == OK)
        shards_tidy(path);
    return rc;
}

int campaign_jobs(int jobs, const struct team *team)
{
    cpu_set_t mine;
    int local = team ? team_local(team) : 1;
    if (jobs <= 0 && sched_getaffinity(0, sizeof mine, &mine) == 0) {
        jobs = CPU_COUNT(&mine);
        jobs = jobs == sysconf(_SC_NPROCESSORS_ONLN) ? jobs / local : jobs;
    }
    return jobs < 1 ? 1 : jobs > MAX_JOBS ? MAX_JOBS : jobs;
}
