/* What hooks see, and that seeing changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"

static const char body[] =
    "mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, 4; add.s64 %rd2, %rd1, %rd2;\n"
    "mov.u32 %r2, 0; mov.u32 %r5, %r1;\n"
    "LOOP: setp.eq.u32 %p1, %r5, 0; @%p1 bra DONE; add.u32 %r2, %r2, %r5; sub.u32 %r5, %r5, 1; bra "
    "LOOP;\n"
    "DONE: @!%p1 mov.u32 %r2, 0; ld.global.v2.u32 {%r6, %r7}, [%rd1];\n"
    "st.global.u32 [%rd2], %r2;";

struct watch {
    const struct ptx_kernel *k;
    uint64_t steps, lanes, loads, stores, begun, ended, issued;
    uint64_t detach_after; /* steps; 0: never */
    uint32_t flip_at;      /* instruction whose result is flipped in lane 3, or none */
};

static bool on_step(void *ctx, const struct simt_step *s)
{
    struct watch *w = ctx;
    assert_true(s->issued >= w->issued); /* more where a guard let no lane through */
    w->issued = s->issued + 1;
    w->steps++;
    w->lanes += (uint64_t)__builtin_popcount(s->mask);
    struct ptx_insn_info info = ptx_insn_info(s->kernel, s->insn);
    assert_int_equal(info.n_dst, s->n_dst);
    if (s->n_dst)
        assert_int_equal(info.dst_bits, s->dst[0].bits);
    if (s->insn == w->flip_at)
        simt_lane_set(&s->dst[0], 3, simt_lane_get(&s->dst[0], 3) ^ 1);
    return w->steps != w->detach_after;
}

static void on_access(void *ctx, const struct simt_access *a)
{
    struct watch *w = ctx;
    *(a->store ? &w->stores : &w->loads) += (uint64_t)__builtin_popcount(a->mask) * a->bytes;
}

static void on_begin(void *ctx, uint64_t cta)
{
    (void)cta;
    struct watch *w = ctx;
    w->begun++;
    w->issued = 0;
}

static void on_end(void *ctx, uint64_t cta, uint64_t issued)
{
    (void)cta, (void)issued;
    ((struct watch *)ctx)->ended++;
}

static struct simt_result run(const struct ptx_kernel *k, struct watch *w, uint32_t out[64])
{
    struct simt *s = simt_new();
    struct simt_mem *m = simt_mem_new(NULL);
    uint64_t buffer = rig_buffer(m, 256);
    struct simt_hook hook = {
        .ctx = w, .step = on_step, .access = on_access, .cta_begin = on_begin, .cta_end = on_end};
    struct simt_run_options o = {.hook = w ? &hook : NULL};
    struct simt_result r = rig_run(s, m, k, 2, 64, &buffer, &o);
    simt_mem_read(m, buffer, out, 256);
    simt_mem_free(m);
    simt_free(s);
    return r;
}

static void test_counts(void **state)
{
    (void)state;
    struct arena a = {0};
    const struct ptx_kernel *k = rig_kernel(&a, 1, body);
    uint32_t plain[64], hooked[64];
    struct watch w = {.k = k, .flip_at = UINT32_MAX};
    struct simt_result p = run(k, NULL, plain), h = run(k, &w, hooked);
    assert_int_equal(p.trap.kind, TRAP_NONE);
    assert_memory_equal(plain, hooked, sizeof plain);
    for (uint32_t i = 0; i < 64; i++)
        assert_int_equal(plain[i], i * (i + 1) / 2);
    assert_int_equal(p.counts.warp_insns, h.counts.warp_insns);
    assert_int_equal(p.counts.thread_insns, h.counts.thread_insns);
    assert_int_equal(h.counts.thread_insns, w.lanes);
    assert_int_equal(w.loads, 2 * 64 * 8);
    assert_int_equal(w.stores, 2 * 64 * 4);
    assert_int_equal(w.begun, 2);
    assert_int_equal(w.ended, 2);
    arena_fini(&a);
}

/* Detached after any number of steps, the rest gives the same bits. */
static void test_detach(void **state)
{
    (void)state;
    struct arena a = {0};
    const struct ptx_kernel *k = rig_kernel(&a, 1, body);
    uint32_t plain[64], hooked[64];
    struct simt_result p = run(k, NULL, plain);
    for (uint64_t n = 1; n < 400; n += 7) {
        struct watch w = {.k = k, .flip_at = UINT32_MAX, .detach_after = n};
        struct simt_result h = run(k, &w, hooked);
        assert_memory_equal(plain, hooked, sizeof plain);
        assert_int_equal(p.counts.warp_insns, h.counts.warp_insns);
        assert_int_equal(p.counts.thread_insns, h.counts.thread_insns);
    }
    arena_fini(&a);
}

static void test_flip(void **state)
{
    (void)state;
    struct arena a = {0};
    const struct ptx_kernel *k = rig_kernel(&a, 1, body);
    uint32_t plain[64], hooked[64];
    struct watch w = {.k = k, .flip_at = 4}; /* mov.u32 %r2, 0 */
    run(k, NULL, plain);
    run(k, &w, hooked);
    for (uint32_t i = 0; i < 64; i++)
        assert_int_equal(hooked[i], plain[i] + (i % 32 == 3));
    arena_fini(&a);
}

/* ---- A watch that changes registers ---------------------------------------------------------------- */
/* Two loads and a store with one base register: plain code looks at its addresses once, for all three. */
static const char shared_base[] =
    "mov.u32 %r1, %tid.x; mul.wide.u32 %rd3, %r1, 4; add.s64 %rd3, %rd1, %rd3;\n"
    "ld.global.u32 %r2, [%rd3]; ld.global.u32 %r3, [%rd3+128]; st.global.u32 [%rd3+256], %r3;\n"
    "st.global.u32 [%rd3+512], %r2;";

struct changes {
    uint32_t at; /* instruction before which lane 5's base goes to lane 4's */
    uint32_t reg;
};

static void change_base(void *ctx, struct warp *w, uint32_t insn)
{
    const struct changes *c = ctx;
    if (insn == c->at) {
        uint64_t *lane = (uint64_t *)(void *)(w->regs + w->cta->program->slot[c->reg]) + 5;
        *lane ^= 4;
    }
}

static void run_changed(const struct lanes *lanes, const struct ptx_kernel *k, uint32_t at,
                        uint32_t out[160])
{
    struct simt *s = simt_new_for(lanes);
    struct simt_mem *m = simt_mem_new(NULL);
    uint64_t buffer = rig_buffer(m, 640);
    for (uint32_t i = 0; i < 64; i++)
        simt_mem_write(m, buffer + 4 * i, &i, 4);
    struct changes c = {at, k->insns[4].base.index};
    struct simt_hook hook = {.ctx = &c, .watch = change_base, .watch_changes = true};
    struct simt_run_options o = {.hook = &hook};
    assert_int_equal(rig_run(s, m, k, 1, 32, &buffer, &o).trap.kind, TRAP_NONE);
    simt_mem_read(m, buffer, out, 640);
    simt_mem_free(m);
    simt_free(s);
}

static void test_changed_base(void **state)
{
    (void)state;
    struct arena a = {0};
    const struct ptx_kernel *k = rig_kernel(&a, 1, shared_base);
    uint32_t first = 0, out[160];
    while (k->insns[first].op != PTX_LD || k->insns[first].space != PTX_SPACE_GLOBAL)
        first++;
    assert_int_equal(first, 4); /* behind the load of the parameter */
    for (const struct lanes *const *lanes = rig_lanes; *lanes && simt_lanes_usable(*lanes); lanes++)
        for (uint32_t n = 0; n <= 4; n++) { /* before which of the four; 4: before none */
            run_changed(*lanes, k, first + n, out);
            uint32_t from = n <= 0 ? 4 : 5, second = n <= 1 ? 36 : 37, to = n <= 2 ? 68 : 69,
                     last = n <= 3 ? 132 : 133;
            assert_int_equal(out[to], second);
            assert_int_equal(out[69], to == 69 ? second : 0);
            assert_int_equal(out[last], from);
            assert_int_equal(out[133], last == 133 ? from : 0);
        }
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_detach),
        cmocka_unit_test(test_flip),
        cmocka_unit_test(test_changed_base),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
