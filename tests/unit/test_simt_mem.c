/* Allocation, clones, what was written, restoring. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "rig.h"

static void test_layout(void **state)
{
    (void)state;
    struct simt_mem *m = simt_mem_new(NULL);
    uint64_t a = rig_buffer(m, 5), b = rig_buffer(m, 3 << 20);
    assert_int_equal(b - a, 512);
    assert_int_equal(simt_mem_view(m).size, 4 << 20);
    assert_int_equal(simt_mem_view(m).base, a);
    struct diag d = {0};
    uint64_t c;
    assert_int_equal(simt_mem_alloc(m, 0, &c, &d), ERR_INPUT);
    d = (struct diag){0};
    assert_int_equal(simt_mem_alloc(m, 1ull << 62, &c, &d), ERR_INPUT);
    uint8_t zero[16] = {1};
    simt_mem_read(m, b + (3 << 20), zero, 16); /* between and after buffers: zero, and mapped */
    for (int i = 0; i < 16; i++)
        assert_int_equal(zero[i], 0);
    simt_mem_free(m);
}

static void assert_equal(const struct simt_mem *a, const struct simt_mem *b)
{
    assert_int_equal(simt_mem_view(a).size, simt_mem_view(b).size);
    assert_memory_equal(simt_mem_view(a).data, simt_mem_view(b).data, simt_mem_view(a).size);
}

static void test_restore(void **state)
{
    (void)state;
    struct simt_mem *m = simt_mem_new(NULL);
    uint64_t at = rig_buffer(m, 3 << 20);
    struct rng r;
    rng_init(&r, 7, 0);
    for (int i = 0; i < 1000; i++) {
        uint32_t v = rng_u32(&r);
        simt_mem_write(m, at + rng_below(&r, 3 << 20), &v, 4);
    }
    struct simt_mem *c = simt_mem_clone(m);
    assert_equal(m, c);
    for (int round = 0; round < 20; round++) {
        uint8_t bytes[5000];
        for (int i = 0; i < round; i++) {
            memset(bytes, (int)rng_u32(&r), sizeof bytes);
            simt_mem_write(c, at + rng_below(&r, (3 << 20) - 5000), bytes, rng_below(&r, 5000));
        }
        simt_mem_restore(c, m);
        assert_equal(m, c);
        size_t n;
        const uint64_t *written = simt_mem_written(c, &n);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(written[i], 0);
    }
    simt_mem_free(c);
    simt_mem_free(m);
}

/* Stores of kernels, of every width and shape, are among the written chunks. */
static void test_written_by_kernel(void **state)
{
    (void)state;
    static const char *const stores[] = {
        "mad.wide.u32 %rd2, %r1, 4, %rd1; st.global.u32 [%rd2], %r1;",
        "mad.wide.u32 %rd2, %r1, 4092, %rd1; st.global.u32 [%rd2], %r1;",
        "mad.wide.u32 %rd2, %r1, 8, %rd1; st.global.u64 [%rd2], %rd2;",
        "mad.wide.u32 %rd2, %r1, 1000, %rd1; st.global.u8 [%rd2], %r1;",
        "mad.wide.u32 %rd2, %r1, 1024, %rd1; st.u16 [%rd2+1022], %r1;",
        "mad.wide.u32 %rd2, %r1, 1008, %rd1; st.global.v4.u32 [%rd2], {%r1, %r1, %r1, %r1};",
        "setp.gt.u32 %p1, %r1, 20; mad.wide.u32 %rd2, %r1, 512, %rd1; @%p1 st.u32 [%rd2], %r1;",
    };
    for (size_t i = 0; i < sizeof stores / sizeof *stores; i++) {
        struct arena a = {0};
        struct simt *s = simt_new();
        struct simt_mem *m = simt_mem_new(NULL);
        uint64_t at = rig_buffer(m, 1 << 20);
        struct simt_mem *c = simt_mem_clone(m);
        const struct ptx_kernel *k = rig_kernel(
            &a, 1,
            arena_printf(&a, "mov.u32 %%r1, %%tid.x; add.u32 %%r1, %%r1, 1;\n%s", stores[i]));
        assert_int_equal(rig_run(s, c, k, 1, 40, &at, NULL).trap.kind, TRAP_NONE);
        assert_true(memcmp(simt_mem_view(m).data, simt_mem_view(c).data, 1 << 20) != 0);
        simt_mem_restore(c, m);
        assert_equal(m, c);
        simt_mem_free(c);
        simt_mem_free(m);
        simt_free(s);
        arena_fini(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_restore),
        cmocka_unit_test(test_written_by_kernel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
