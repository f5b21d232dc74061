/* Plan -> simulated program: PTX parsed, memory allocated and filled, arguments laid out. */
#include <assert.h>
#include <string.h>

#include "conv/priv.h"

/* Modules already parsed for this program: several launches share a file. */
struct modules {
    int n;
    const struct kernel_file **file;
    struct ptx_module **module;
};

static int module_of(struct ptx_module **out, struct modules *m, struct arena *a,
                     const struct kernel_file *file, struct diag *d)
{
    for (int i = 0; i < m->n; i++)
        if (m->file[i] == file) {
            *out = m->module[i];
            return OK;
        }
    const struct text text = {arena_printf(a, "%s.ptx", file->name), file->ptx,
                              (size_t)(file->ptx_end - file->ptx)};
    int status = ptx_parse(out, a, text, d);
    if (status == OK) {
        m->file[m->n] = file;
        m->module[m->n++] = *out;
    }
    return status;
}

static int lay_out_params(uint8_t **out, struct arena *a, const struct ptx_kernel *kernel,
                          const struct plan_launch *l, const uint64_t *address, struct diag *d)
{
    if (ptx_n_params(kernel) != (size_t)l->n_args)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                         "kernel %s takes %zu parameters, the plan has %d", l->kernel,
                         ptx_n_params(kernel), l->n_args);
    *out = arena_alloc(a, ptx_params_bytes(kernel));
    for (int i = 0; i < l->n_args; i++) {
        const struct ptx_param param = ptx_param_at(kernel, (size_t)i);
        const struct plan_arg *arg = &l->arg[i];
        if (param.bytes != (arg->is_buffer ? 8 : 4))
            return diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "parameter %s of kernel %s has %u bytes",
                             param.name, l->kernel, param.bytes);
        memcpy(*out + param.offset,
               arg->is_buffer ? (const void *)&address[arg->value] : &arg->value, param.bytes);
    }
    return OK;
}

static int make_launch(struct simt_launch *out, struct modules *m, struct arena *a,
                       const struct plan_launch *l, const uint64_t *address, struct diag *d)
{
    struct ptx_module *module;
    uint8_t *params = NULL;
    *out = (struct simt_launch){.label = l->label, .block = {l->threads, 1, 1}};
    for (int i = 0; i < 3; i++)
        out->grid[i] = (uint32_t)l->grid[i];
    int status = module_of(&module, m, a, l->file, d);
    if (status == OK)
        status = ptx_find_kernel(&out->kernel, module, l->kernel, d);
    if (status == OK)
        status = lay_out_params(&params, a, out->kernel, l, address, d);
    if (status != OK)
        return status;
    out->params = params;
    return simt_check_launch(out, d);
}

static int make_launches(struct conv_program *out, struct arena *a, const struct conv_plan *plan,
                         const uint64_t *address, struct diag *d)
{
    struct modules modules = {
        .file = arena_array(a, (size_t)plan->n_launches, sizeof *modules.file),
        .module = arena_array(a, (size_t)plan->n_launches, sizeof *modules.module),
    };
    struct simt_launch *launches = arena_array(a, (size_t)plan->n_launches, sizeof *launches);
    const char **names = arena_array(a, (size_t)plan->n_launches, sizeof *names);
    for (int i = 0; i < plan->n_launches; i++) {
        int status = make_launch(&launches[i], &modules, a, &plan->launch[i], address, d);
        if (status != OK)
            return status;
        names[i] = plan->launch[i].file->name;
    }
    out->sim.n_launches = (size_t)plan->n_launches;
    out->sim.launches = launches;
    out->ptx_names = names;
    return OK;
}

/* Memory in the order of the plan's buffers: input, filter, output, workspace. */
static int make_memory(struct conv_program *out, struct arena *a, const struct conv_plan *plan,
                       const float *input, const float *filter, uint64_t *address, struct diag *d)
{
    static const struct simt_buffer known[N_PROBLEM_BUFFERS] = {
        [BUFFER_INPUT] = {.name = "input", .role = ROLE_INPUT},
        [BUFFER_FILTER] = {.name = "filter", .role = ROLE_WEIGHTS},
        [BUFFER_OUTPUT] = {.name = "output", .role = ROLE_OUTPUT, .compared = true},
    };
    struct simt_buffer *buffers = arena_array(a, (size_t)plan->n_buffers, sizeof *buffers);
    out->sim.mem = simt_mem_new(NULL);
    for (int i = 0; i < plan->n_buffers; i++) {
        int status = simt_mem_alloc(out->sim.mem, plan->buffer_elems[i] * 4, &address[i], d);
        if (status != OK)
            return status;
        if (i >= N_PROBLEM_BUFFERS)
            out->workspace_bytes += plan->buffer_elems[i] * 4;
        buffers[i] = i < N_PROBLEM_BUFFERS
                         ? known[i]
                         : (struct simt_buffer){.name = "workspace", .role = ROLE_WORKSPACE};
        buffers[i].address = address[i];
        buffers[i].bytes = plan->buffer_elems[i] * 4;
    }
    out->sim.n_buffers = (size_t)plan->n_buffers;
    out->sim.buffers = buffers;
    const struct conv_problem *p = &out->problem;
    struct arena scratch = {0};
    simt_mem_write(out->sim.mem, address[BUFFER_INPUT],
                   layout_tensor(&scratch, p, input, p->n, p->c, p->h, p->w),
                   plan->buffer_elems[BUFFER_INPUT] * 4);
    simt_mem_write(out->sim.mem, address[BUFFER_FILTER],
                   layout_tensor(&scratch, p, filter, p->k, p->c / p->groups, p->r, p->s),
                   plan->buffer_elems[BUFFER_FILTER] * 4);
    arena_fini(&scratch);
    out->sim.out_layout = p->layout;
    out->sim.out_address = address[BUFFER_OUTPUT];
    out->sim.out_bytes = plan->buffer_elems[BUFFER_OUTPUT] * 4;
    return OK;
}

int conv_prepare(struct conv_program *out, struct arena *a, const struct conv_problem *p,
                 const struct conv_impl *impl, const char *tile, const float *input,
                 const float *filter, struct diag *d)
{
    struct conv_plan plan;
    uint64_t address[PLAN_MAX_BUFFERS];
    *out = (struct conv_program){.problem = *p, .impl = impl};
    int status = conv_check(&out->problem, d);
    if (status == OK)
        status = conv_make_plan(&plan, a, &out->problem, impl, tile, d);
    if (status == OK)
        status = make_memory(out, a, &plan, input, filter, address, d);
    if (status == OK)
        status = make_launches(out, a, &plan, address, d);
    if (status != OK) {
        conv_program_fini(out);
        return status;
    }
    out->tile = plan.tile;
    return OK;
}

void conv_program_fini(struct conv_program *p)
{
    if (p->sim.mem)
        simt_mem_free(p->sim.mem);
    p->sim.mem = NULL;
}

uint64_t conv_kernels_hash(void)
{
    uint64_t hash = 0xcbf29ce484222325u;
    size_t n;
    const struct kernel_file *files = kernel_files(&n);
    for (size_t i = 0; i < n; i++)
        for (const char *c = files[i].ptx; c < files[i].ptx_end; c++)
            hash = (hash ^ (unsigned char)*c) * 0x100000001b3u;
    return hash;
}
