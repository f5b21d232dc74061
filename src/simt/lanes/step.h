/* What the files of the steps share: macros, and the one place where results reach registers. */
#ifndef SIMT_LANES_STEP_H
#define SIMT_LANES_STEP_H

#include "simt/lanes/types.h"
#include "simt/priv.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define AT(ptr)                                                                                    \
    __builtin_assume_aligned((ptr) + 0, 64) /* + 0: clang 14 with UBSan cannot do arrays */
#define STEP(name)                                                                                 \
    static const struct code *name(struct warp *w, const struct code *i, uint8_t *r, uint32_t mask)
#define NEXT GO(i + 1)
#define NEXT_WIDE GO(i + 2)
#ifdef __clang__
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif
#define LANES INDEPENDENT for (int l = 0; l < SIMT_LANES; l++)

/* One name per kind of processor: SIMT_LANES_NAME is avx512, avx2 or portable. */
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define SIMT_ROWS JOIN(simt_rows_, SIMT_LANES_NAME)
#define SIMT_TABLE JOIN(simt_lanes_, SIMT_LANES_NAME)
extern simt_step_fn *const SIMT_ROWS[PTX_N_OPS];
#define SIMT_LISTS JOIN(simt_lists_, SIMT_LANES_NAME)
extern const struct lists SIMT_LISTS;

/* The write seam: under a partial mask results are made in tmp and blended in here; under a full one
 * they are made in place. */
ALWAYS_INLINE void blend(const struct warp *w, uint8_t *dst, size_t size)
{
    if (size == 2) {
        const u16 *from = AT(w->tmp), *m = AT(w->lanes16);
        u16 *to = AT(dst);
        LANES to[l] = (from[l] & m[l]) | (to[l] & ~m[l]);
    } else if (size == 4) {
        const u32 *from = AT(w->tmp), *m = AT(w->lanes32);
        u32 *to = AT(dst);
        LANES to[l] = (from[l] & m[l]) | (to[l] & ~m[l]);
    } else {
        const u64 *from = AT(w->tmp), *m = AT(w->lanes64);
        u64 *to = AT(dst);
        LANES to[l] = (from[l] & m[l]) | (to[l] & ~m[l]);
    }
}

ALWAYS_INLINE void *result(struct warp *w, uint8_t *dst, uint32_t mask)
{
    return mask == SIMT_FULL_MASK ? dst : w->tmp;
}

ALWAYS_INLINE void write_mask(uint8_t *dst, uint32_t value, uint32_t mask)
{
    u32 *to = (u32 *)dst;
    *to = (value & mask) | (*to & ~mask);
}

#endif
