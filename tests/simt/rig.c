#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "round_trip.h"

const struct lanes *const rig_lanes[] = {&simt_lanes_portable, &simt_lanes_avx2, &simt_lanes_avx512,
                                         NULL};

const struct ptx_kernel *rig_module(struct arena *a, const char *text)
{
    struct diag d = {0};
    struct ptx_module *m;
    const struct ptx_kernel *k;
    struct text t = {"test.ptx", text, strlen(text)};
    if (ptx_parse(&m, a, t, &d) != OK || ptx_find_kernel(&k, m, "k", &d) != OK) {
        fprintf(stderr, "%s:%d:%d: %s\n%s\n", d.file, d.line, d.col, d.msg, text);
        abort();
    }
    round_trip("test.ptx", text, t.len);
    return k;
}

const struct ptx_kernel *rig_kernel(struct arena *a, int n_buffers, const char *body)
{
    char params[512] = "", loads[512] = "";
    for (int i = 0; i < n_buffers; i++) {
        sprintf(params + strlen(params), "%s.param .u64 p%d", i ? ", " : "", i);
        sprintf(loads + strlen(loads), "ld.param.u64 %%rd%d, [p%d];\n", i + 1, i);
    }
    return rig_module(
        a, arena_printf(a,
                        ".version 7.0\n.target sm_80\n.address_size 64\n"
                        ".visible .entry k(%s)\n{\n.reg .pred %%p<64>; .reg .b16 %%h<64>;"
                        ".reg .b32 %%r<64>; .reg .b64 %%rd<64>; .reg .f32 %%f<64>;"
                        ".reg .f64 %%d<64>;\n%s%s\nret;\n}\n",
                        params, loads, body));
}

struct simt_result rig_run(struct simt *s, struct simt_mem *m, const struct ptx_kernel *k,
                           uint32_t grid, uint32_t block, const uint64_t *buffers,
                           const struct simt_run_options *options)
{
    struct simt_launch l = {.kernel = k,
                            .grid = {grid, 1, 1},
                            .block = {block, 1, 1},
                            .params = (const uint8_t *)buffers};
    struct simt_result r;
    struct diag d = {0};
    if (simt_check_launch(&l, &d) != OK) {
        fprintf(stderr, "%s\n", d.msg);
        abort();
    }
    simt_run(s, m, &l, 0, simt_n_ctas(&l), options, &r);
    return r;
}

uint64_t rig_buffer(struct simt_mem *m, uint64_t bytes)
{
    uint64_t address;
    if (simt_mem_alloc(m, bytes, &address, NULL) != OK)
        abort();
    return address;
}
