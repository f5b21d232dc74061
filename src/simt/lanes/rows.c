/* One step per OP row of isa.def, from its expression. Compiled once per kind of processor; the vector
 * code is the compiler's, from plain loops over 32 lanes. */
#pragma GCC diagnostic ignored "-Wconversion" /* expressions of isa.def convert on purpose */
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wtype-limits"

#ifdef __AVX__
#include <immintrin.h>
#endif

#include "simt/lanes/step.h"

/* Lane flags, all ones or zero, as a mask. */
ALWAYS_INLINE u32 mask_of(const u32 *flags)
{
#if defined __AVX512DQ__
    return (u32)_mm512_movepi32_mask(_mm512_load_si512(flags)) |
           (u32)_mm512_movepi32_mask(_mm512_load_si512(flags + 16)) << 16;
#elif defined __AVX2__
    u32 m = 0;
    for (int l = 0; l < SIMT_LANES; l += 8)
        m |= (u32)_mm256_movemask_ps(
                 _mm256_castsi256_ps(_mm256_load_si256((const __m256i *)(flags + l))))
             << l;
    return m;
#else
    u32 m = 0;
    LANES m |= flags[l] & 1u << l;
    return m;
#endif
}

#define OPERAND_TYPES(ta, tb, tc)                                                                  \
    typedef ta A __attribute__((unused));                                                          \
    enum { W = 8 * sizeof(A) };                                                                    \
    const uint8_t *pa = r + i->a, *pb = r + i->b, *pc = r + i->c;                                  \
    (void)pa, (void)pb, (void)pc, (void)W;
#define OPERANDS(ta, tb, tc)                                                                       \
    ta a = GET_##ta(pa, l);                                                                        \
    tb b = GET_##tb(pb, l);                                                                        \
    tc c = GET_##tc(pc, l);                                                                        \
    (void)a, (void)b, (void)c;

/* Runs of the same instruction stay in one loop, with the mask decided once. */
#define BODY_VALUE(id, out, ta, tb, tc, expr)                                                      \
    typedef ta A __attribute__((unused));                                                          \
    typedef out O;                                                                                 \
    enum { W = 8 * sizeof(A) };                                                                    \
    (void)W;                                                                                       \
    if (mask == SIMT_FULL_MASK) {                                                                  \
        do {                                                                                       \
            const uint8_t *pa = r + i->a, *pb = r + i->b, *pc = r + i->c;                          \
            O *to = AT(r + i->d);                                                                  \
            (void)pa, (void)pb, (void)pc;                                                          \
            LANES                                                                                  \
            {                                                                                      \
                OPERANDS(ta, tb, tc)                                                               \
                to[l] = CANONICAL_##out((O)(expr));                                                \
            }                                                                                      \
        } while ((++i)->fn == step_##id);                                                          \
        return i->fn(w, i, r, mask);                                                               \
    }                                                                                              \
    const uint8_t *pa = r + i->a, *pb = r + i->b, *pc = r + i->c;                                  \
    O *to = AT(w->tmp);                                                                            \
    (void)pa, (void)pb, (void)pc;                                                                  \
    LANES                                                                                          \
    {                                                                                              \
        OPERANDS(ta, tb, tc)                                                                       \
        to[l] = CANONICAL_##out((O)(expr));                                                        \
    }                                                                                              \
    blend(w, r + i->d, sizeof(O));                                                                 \
    NEXT;
#define BODY_MASK(id, out, ta, tb, tc, expr) /* a predicate from values */                         \
    OPERAND_TYPES(ta, tb, tc)                                                                      \
    _Alignas(64) u32 flags[SIMT_LANES];                                                            \
    LANES                                                                                          \
    {                                                                                              \
        OPERANDS(ta, tb, tc)                                                                       \
        flags[l] = (expr) ? ~0u : 0;                                                               \
    }                                                                                              \
    write_mask(r + i->d, mask_of(flags), mask);                                                    \
    NEXT;
#define BODY_LOGIC(id, out, ta, tb, tc, expr) /* a predicate from predicates: all lanes at once */ \
    const u32 a = *(const u32 *)(r + i->a), b = *(const u32 *)(r + i->b);                          \
    (void)a, (void)b;                                                                              \
    write_mask(r + i->d, (expr), mask);                                                            \
    NEXT;
#define BODY_u16(a) BODY_VALUE
#define BODY_s16(a) BODY_VALUE
#define BODY_h(a) BODY_VALUE
#define BODY_h2(a) BODY_VALUE
#define BODY_bf(a) BODY_VALUE
#define BODY_bf2(a) BODY_VALUE
#define BODY_u32(a) BODY_VALUE
#define BODY_s32(a) BODY_VALUE
#define BODY_u64(a) BODY_VALUE
#define BODY_s64(a) BODY_VALUE
#define BODY_f32(a) BODY_VALUE
#define BODY_f64(a) BODY_VALUE
#define BODY_p(a) BODY_P_##a
#define BODY_P_p BODY_LOGIC
#define BODY_P_u16 BODY_MASK
#define BODY_P_s16 BODY_MASK
#define BODY_P_h BODY_MASK
#define BODY_P_bf BODY_MASK
#define BODY_P_u32 BODY_MASK
#define BODY_P_s32 BODY_MASK
#define BODY_P_u64 BODY_MASK
#define BODY_P_s64 BODY_MASK
#define BODY_P_f32 BODY_MASK
#define BODY_P_f64 BODY_MASK

#define OP(id, key, out, ta, tb, tc, group, mods, folded, expr)                                    \
    STEP(step_##id) { BODY_##out(ta)(id, out, ta, tb, tc, expr) }
#define SP(id, key, shape, group, folded, doc)
#include "ptx/isa.def"
#undef OP
#undef SP

simt_step_fn *const SIMT_ROWS[PTX_N_OPS] = {
#define OP(id, key, out, ta, tb, tc, group, mods, folded, expr) [PTX_##id] = step_##id,
#define SP(id, key, shape, group, folded, doc)
#include "ptx/isa.def"
#undef OP
#undef SP
};
