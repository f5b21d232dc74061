/* Any bytes as PTX: parse, print, parse that, run each kernel for a moment. Nothing may crash, hang or
 * reach memory that is not the simulated program's. fuzz_programs.c makes kernels of the bytes instead. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ptx/insn.h"
#include "simt/priv.h"
#include "simt/simt.h"

#ifdef FUZZ_PROGRAMS
#include "programs.h"
#endif

enum { MAX_BYTES = 1 << 16 };

static void run(const struct ptx_kernel *k, struct simt_mem *m, uint64_t buffer)
{
    struct simt_launch l = {
        .kernel = k, .grid = {2, 1, 1}, .block = {33, 1, 1}, .dynamic_shared = 64};
    struct simt_run_options o = {.limit = 3000};
    struct simt_result r;
    uint8_t *params = calloc(ptx_params_bytes(k) + 8, 1);
    if (!params)
        abort();
    for (size_t i = 0; i < ptx_n_params(k); i++)
        if (ptx_param_at(k, i).bytes == 8)
            memcpy(params + ptx_param_at(k, i).offset, &buffer, 8);
    l.params = params;
    if (k->global_bytes < 1 << 20 && simt_load_globals(m, k, &l.globals, NULL) == OK &&
        simt_check_launch(&l, NULL) == OK && k->local_bytes < 1 << 16) {
        struct simt *s = simt_new();
        simt_run(s, m, &l, 0, 2, &o, &r);
        simt_free(s);
    }
    free(params);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct diag d = {0};
    struct ptx_module *m, *again;
    if (size > MAX_BYTES)
        return 0;
    struct text t = {"fuzz.ptx", arena_strndup(&a, (const char *)data, size), size};
#ifdef FUZZ_PROGRAMS
    t = program_of(&a, data, size);
    data = (const uint8_t *)t.ptr;
    size = t.len;
#endif
    struct ptx_options lazy = {.lazy = size & 1};
    if (ptx_parse_with(&m, &a, t, &lazy, &d) == OK) {
        char *printed = ptx_print(&a, m);
        struct text p = {"printed.ptx", printed, strlen(printed)};
        if (memchr(data, 0, size) == NULL && ptx_parse_with(&again, &a, p, &lazy, &d) != OK) {
            fprintf(stderr, "printed text does not parse: %d:%d: %s\n", d.line, d.col, d.msg);
            abort();
        }
        struct simt_mem_options small = {.page_bytes = 4096, .align_bytes = 256};
        struct simt_mem *mem = simt_mem_new(&small);
        uint64_t buffer;
        if (simt_mem_alloc(mem, 3000, &buffer, NULL) != OK)
            abort();
        for (size_t i = 0; i < ptx_n_kernels(m); i++)
            run(ptx_kernel_at(m, i), mem, buffer);
        simt_mem_free(mem);
    }
    arena_fini(&a);
    return 0;
}
