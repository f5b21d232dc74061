/* Every instruction of embedded kernels with a source line in its PTX is found in the embedded OpenCL C. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "conv/kernels.h"
#include "prop/engines.h"
#include "ptx/ptx.h"

static void places_are_the_parsers(void **state)
{
    (void)state;
    static const char *const names[] = {"direct", "implicit-gemm", "winograd-2x2-nonfused"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct conv_impl *impl;
        struct case_ c;
        size_t found = 0;
        assert_int_equal(conv_find(&impl, names[i], NULL), OK);
        assert_true(case_init(&c, impl, "1x3x9x8:5x3x3:p1"));
        const struct simt_launch *l = &c.program.sim.launches[0];
        const struct kernel_file *k = kernel_file_find(c.program.ptx_names[0]);
        assert_non_null(k);
        for (size_t n = 0; n < ptx_n_insns(l->kernel); n++) {
            struct ptx_insn_info info = ptx_insn_info(l->kernel, n);
            struct kernel_place place;
            if (info.source_line <= 0 || !kernel_place(&place, k, info.at.line))
                continue;
            assert_int_equal(place.line, info.source_line);
            assert_true(strstr(place.file, ".cl") || strstr(place.file, ".h"));
            assert_true(place.text[0] != ' ' && memchr(place.text, '\n', place.n) == NULL);
            found++;
        }
        assert_true(found > 20);
        case_fini(&c);
    }
}

static void what_is_not_there(void **state)
{
    (void)state;
    static const char ptx[] = "\t.loc 2 7 3\n\tret;\n\t.file 2 \"nowhere.cl\"\n";
    const struct kernel_file k = {.ptx = ptx, .ptx_end = ptx + sizeof ptx - 1};
    struct kernel_place place;
    assert_false(kernel_place(&place, &k, 0));
    assert_false(kernel_place(&place, &k, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(places_are_the_parsers),
                                       cmocka_unit_test(what_is_not_there)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
