/* The steps that are no row: memory, ends of segments, and the little ones that lowering puts between.
 * Compiled once per kind of processor. */
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"

#include <fenv.h>
#ifdef __AVX__
#include <immintrin.h>
#endif

#include "simt/lanes/step.h"

ALWAYS_INLINE const struct code_more *more_of(const struct code *i)
{
    return (const struct code_more *)(i + 1);
}

/* Vector element k of a step: destination and source. */
ALWAYS_INLINE uint8_t *element_d(uint8_t *r, const struct code *i, int k)
{
    return r + (k ? more_of(i)->more[k - 1] : i->d);
}
ALWAYS_INLINE const uint8_t *element_a(const uint8_t *r, const struct code *i, int k)
{
    return r + (k ? more_of(i)->more[k - 1] : i->a);
}

ALWAYS_INLINE u64 read_lane(const uint8_t *slot, int bits, int l)
{
    return bits == 64   ? ((const u64 *)slot)[l]
           : bits == 32 ? ((const u32 *)slot)[l]
                        : ((const u16 *)slot)[l];
}

ALWAYS_INLINE void put_lane(uint8_t *slot, int bits, int l, u64 v)
{
    if (bits == 64)
        ((u64 *)slot)[l] = v;
    else if (bits == 32)
        ((u32 *)slot)[l] = (u32)v;
    else
        ((u16 *)slot)[l] = (u16)v;
}

#include "simt/lanes/priv_memory.h"

/* ---- Division ------------------------------------------------------------------------------------------ */
/* By the same positive number in all lanes, as index arithmetic does: one division, 32 products. */
#define DIVISION(name, T, op, expr)                                                                \
    STEP(name)                                                                                     \
    {                                                                                              \
        const T *a = AT(r + i->a), *b = AT(r + i->b), by = b[0];                                   \
        T differ = 0;                                                                              \
        LANES differ |= b[l] ^ by;                                                                 \
        if (differ || by <= 0)                                                                     \
            return SIMT_ROWS[op](w, i, r, mask);                                                   \
        f64 inverse = 1.0 / (f64)by;                                                               \
        u32 *to = AT(result(w, r + i->d, mask));                                                   \
        LANES to[l] = (u32)(expr);                                                                 \
        if (mask != SIMT_FULL_MASK)                                                                \
            blend(w, r + i->d, 4);                                                                 \
        NEXT;                                                                                      \
    }
DIVISION(step_div_u32, u32, PTX_DIV_U32, div_by_u32(a[l], inverse))
DIVISION(step_div_s32, s32, PTX_DIV_S32, div_by_s32(a[l], inverse))
DIVISION(step_rem_u32, u32, PTX_REM_U32, a[l] - div_by_u32(a[l], inverse) * by)
DIVISION(step_rem_s32, s32, PTX_REM_S32, (u32)a[l] - (u32)div_by_s32(a[l], inverse) * (u32)by)

/* ---- Blocks of FMAs ------------------------------------------------------------------------------------ */
#if defined __AVX512F__
typedef __m512 floats;
#define LOAD_FLOATS(from) _mm512_load_ps(from)
#define STORE_FLOATS(to, v) _mm512_store_ps(to, v)
#define LOAD_ROW(from) _mm512_loadu_ps(from)
#define ALL_FLOATS(v) _mm512_set1_ps(v)
#define FMA_FLOATS(a, b, c) _mm512_fmadd_ps(a, b, c)
ALWAYS_INLINE floats canonical_floats(floats v)
{
    const __m512 nan = _mm512_castsi512_ps(_mm512_set1_epi32(0x7fffffff));
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(v, v, _CMP_EQ_OQ), nan, v);
}
#elif defined __FMA__
typedef __m256 floats;
#define LOAD_FLOATS(from) _mm256_load_ps(from)
#define STORE_FLOATS(to, v) _mm256_store_ps(to, v)
#define LOAD_ROW(from) _mm256_loadu_ps((const f32 *)(from))
#define ALL_FLOATS(v) _mm256_set1_ps(v)
#define FMA_FLOATS(a, b, c) _mm256_fmadd_ps(a, b, c)
ALWAYS_INLINE floats canonical_floats(floats v)
{
    const __m256 nan = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
    return _mm256_blendv_ps(nan, v, _mm256_cmp_ps(v, v, _CMP_EQ_OQ));
}
#endif

#ifdef LOAD_FLOATS
/* R x C accumulators, through all the block's depth in the processor's registers. Once a NaN an
 * accumulator stays one, so that only the last result needs to become the canonical one. */
ALWAYS_INLINE void fma_tile(uint8_t *r, const u32 *slots, u32 depth, const int R, const int C)
{
    const u32 *d = slots + R * C;
    floats sum[16], b[4];
#pragma GCC unroll 16
    for (int k = 0; k < R * C; k++)
        sum[k] = LOAD_FLOATS(AT(r + slots[k]));
    slots += 2 * R * C;
    for (; depth; depth--, slots += C + R) {
#pragma GCC unroll 4
        for (int k = 0; k < C; k++)
            b[k] = LOAD_FLOATS(AT(r + slots[k]));
#pragma GCC unroll 4
        for (int j = 0; j < R; j++) {
            floats a = LOAD_FLOATS(AT(r + slots[C + j]));
#pragma GCC unroll 4
            for (int k = 0; k < C; k++)
                sum[j * C + k] = FMA_FLOATS(a, b[k], sum[j * C + k]);
        }
    }
#pragma GCC unroll 16
    for (int k = 0; k < R * C; k++)
        STORE_FLOATS(AT(r + d[k]), canonical_floats(sum[k]));
}

ALWAYS_INLINE void fma_tiles(uint8_t *r, const struct fma_block *t, const int R, const int C)
{
    const u32 *slots = t->slots, depth = t->depth;
    for (u32 n = t->n_tiles; n; n--, slots += 2 * R * C + depth * (R + C))
        for (size_t part = 0; part < SIMT_LANES * sizeof(f32); part += sizeof(floats))
            fma_tile(r + part, slots, depth, R, C);
}

/* Where a side's words are counted from; NULL if lanes differ in another way, or a word is not there. */
ALWAYS_INLINE const uint8_t *stream_words(const struct warp *w, const uint8_t *r,
                                          const struct stream_side *side, enum address_shape shape)
{
    const struct address *ad = AT(r + side->address);
    const struct window *win = &w->shared;
    bool row = shape == ADDRESS_ROW;
    u64 offset = ad->first - win->base, limit = win->size - sizeof(f32),
        first = offset + (u64)(s64)side->first,
        last = offset + (u64)(s64)side->last + (row ? (SIMT_LANES - 1) * sizeof(f32) : 0);
    if (ad->shape != shape || (row && ad->stride != sizeof(f32)) || win->size < sizeof(f32) ||
        (ad->bits & (side->align - 1)) || (first | last | (limit - first) | (limit - last)) >> 63)
        return NULL;
    return win->data + offset;
}

/* Some lanes of 4 x QUADS of a stream's accumulators, from accumulator `at` on; r, row: of those lanes. */
ALWAYS_INLINE void stream_tile(uint8_t *r, const struct fma_stream *s, u32 at, const uint8_t *same,
                               const uint8_t *row, const int QUADS)
{
    const u32 n = 4 * s->n_quads, *c = s->slots + at, *d = c + n, *first = d + n;
    const s32 *offset = s->offsets;
    floats sum[16], b = LOAD_FLOATS(AT(r + s->slots[3 * n]));
#pragma GCC unroll 16
    for (int k = 0; k < 4 * QUADS; k++)
        sum[k] = FMA_FLOATS(LOAD_FLOATS(AT(r + first[k])), b, LOAD_FLOATS(AT(r + c[k])));
    for (u32 depth = s->depth; depth > 1; depth--, offset += s->n_quads + 1) {
        b = LOAD_ROW(row + offset[s->n_quads]);
#pragma GCC unroll 4
        for (int q = 0; q < QUADS; q++) {
            const f32 *a = (const f32 *)(same + offset[at / 4 + (u32)q]);
#pragma GCC unroll 4
            for (int k = 0; k < 4; k++)
                sum[4 * q + k] = FMA_FLOATS(ALL_FLOATS(a[k]), b, sum[4 * q + k]);
        }
    }
#pragma GCC unroll 16
    for (int k = 0; k < 4 * QUADS; k++)
        STORE_FLOATS(AT(r + d[k]), canonical_floats(sum[k]));
}

/* False if it cannot be done so: nothing has happened then. */
static __attribute__((noinline)) bool run_stream(struct warp *w, uint8_t *r,
                                                 const struct fma_stream *s)
{
    const uint8_t *same = stream_words(w, r, &s->same, ADDRESS_EQUAL);
    const uint8_t *row = stream_words(w, r, &s->row, ADDRESS_ROW);
    if (!same || !row)
        return false;
    for (size_t part = 0; part < SIMT_LANES * sizeof(f32); part += sizeof(floats))
        for (u32 at = 0, left = s->n_quads, n; left; left -= n, at += 4 * n) {
            n = sizeof(floats) == 64 && left >= 4 ? 4 : left >= 2 ? 2 : 1;
            if (n == 4)
                stream_tile(r + part, s, at, same, row + part, 4);
            else if (n == 2)
                stream_tile(r + part, s, at, same, row + part, 2);
            else
                stream_tile(r + part, s, at, same, row + part, 1);
        }
    return true;
}

STEP(step_fma_block)
{
    const struct fma_block *t = &w->cta->program->fma_blocks[i->y << 8 | i->x];
    if (mask != SIMT_FULL_MASK)
        return SIMT_ROWS[PTX_FMA_F32](w, i, r, mask);
    if (t->stream && run_stream(w, r, t->stream)) {
        i += t->stream->units;
        return i->fn(w, i, r, mask);
    }
    for (u32 k = 0; k < t->n_loads; k++)
        if (__builtin_expect(!load32_at(w, i + t->load[k], r, SIMT_FULL_MASK, &w->shared), 0))
            return SIMT_ROWS[PTX_FMA_F32](w, i, r, mask); /* until the load that traps */
    if (t->tile_cols == 1)
        fma_tiles(r, t, 4, 1);
    else if (sizeof(floats) == 64 && t->tile_rows == 4)
        fma_tiles(r, t, 4, 4);
    else if (t->tile_rows == 2)
        fma_tiles(r, t, 2, 4);
    else
        fma_tiles(r, t, 1, 4);
    i += t->units;
    return i->fn(w, i, r, mask);
}
#define FMA_TILE_ROWS (sizeof(floats) == 64 ? 4 : 2)
#define FMA_BLOCK step_fma_block
#else
#define FMA_BLOCK NULL
#define FMA_TILE_ROWS 1
#endif

/* ---- Ends of segments ----------------------------------------------------------------------------------- */
/* Back to code that is not compiled for wide vectors. */
ALWAYS_INLINE void leave(void)
{
#ifdef __AVX__
    _mm256_zeroupper();
#endif
}

STEP(step_stop)
{
    (void)w, (void)r, (void)mask;
    leave();
    return i;
}

STEP(step_end)
{
    (void)r, (void)mask;
    w->left -= i->length;
    leave();
    return i;
}

STEP(step_jump)
{
    w->left -= i->length;
    if (__builtin_expect(w->left < 0, 0)) {
        leave();
        return i;
    }
    i = i->target;
    GO(i);
}

/* All lanes one way: go on in code. Otherwise the scheduler splits the path. */
STEP(step_branch)
{
    uint32_t pred = *(const u32 *)(r + i->a), taken = mask & (i->x ? ~pred : pred);
    w->left -= i->length;
    if (__builtin_expect(w->left < 0 || (taken && taken != mask), 0)) {
        leave();
        return i;
    }
    w->masked_off += taken ? 0 : w->path_lanes;
    i = taken ? i->target : i + 1;
    GO(i);
}

STEP(step_join)
{
    if (w->path_reconverge == i->insn) {
        leave();
        return i;
    }
    NEXT;
}

STEP(step_count)
{
    w->left -= i->length;
    NEXT;
}

static void set_lanes(struct warp *w, uint32_t mask)
{
    w->mask_of_lanes = mask;
    u64 *m64 = AT(w->lanes64);
    u32 *m32 = AT(w->lanes32);
    u16 *m16 = AT(w->lanes16);
    LANES m32[l] = mask >> l & 1 ? ~0u : 0;
    LANES m64[l] = mask >> l & 1 ? ~0ull : 0;
    LANES m16[l] = mask >> l & 1 ? 0xffff : 0;
}

/* @p or @!p (x) before steps; skip: units of code to skip if no lane is left. */
STEP(step_guard)
{
    uint32_t pred = *(const u32 *)(r + i->a);
    uint32_t inner = mask & (i->x ? ~pred : pred);
    w->masked_off += (uint64_t)__builtin_popcount(mask & ~inner);
    if (!inner)
        i += i->skip;
    else if (inner != mask) {
        if (inner != w->mask_of_lanes)
            set_lanes(w, inner);
        mask = inner;
    }
    NEXT;
}

STEP(step_guard_end)
{
    mask = w->path_mask;
    if (mask != SIMT_FULL_MASK && mask != w->mask_of_lanes)
        set_lanes(w, mask);
    NEXT;
}

/* setp's second half: d = a op c, b = !a op c; x: 'a' 'o' 'x' or 0; y: c negated; n: destinations */
STEP(step_pred_combine)
{
    uint32_t a = *(const u32 *)(r + i->a), c = *(const u32 *)(r + i->c);
    uint32_t not_a = ~a;
    c = i->y ? ~c : c;
    if (i->x == 'a')
        a &= c, not_a &= c;
    else if (i->x == 'o')
        a |= c, not_a |= c;
    else if (i->x == 'x')
        a ^= c, not_a ^= c;
    write_mask(r + i->d, a, mask);
    if (i->n > 1)
        write_mask(r + i->b, not_a, mask);
    NEXT;
}

STEP(step_ftz)
{
    const u32 *a = AT(r + i->a);
    u32 *to = AT(result(w, r + i->d, mask));
    LANES to[l] = a[l] & 0x7f800000u ? a[l] : a[l] & 0x80000000u;
    if (mask != SIMT_FULL_MASK)
        blend(w, r + i->d, 4);
    NEXT;
}

STEP(step_sat32)
{
    const f32 *a = AT(r + i->a);
    f32 *to = AT(result(w, r + i->d, mask));
    LANES to[l] = a[l] > 0 ? (a[l] < 1 ? a[l] : 1) : 0; /* NaN gives +0 */
    if (mask != SIMT_FULL_MASK)
        blend(w, r + i->d, 4);
    NEXT;
}

STEP(step_sat64)
{
    const f64 *a = AT(r + i->a);
    f64 *to = AT(result(w, r + i->d, mask));
    LANES to[l] = a[l] > 0 ? (a[l] < 1 ? a[l] : 1) : 0;
    if (mask != SIMT_FULL_MASK)
        blend(w, r + i->d, 8);
    NEXT;
}

/* x: the rounding that the steps until the next one of these use */
STEP(step_round)
{
    fesetround(i->x == PTX_MOD_RZ   ? FE_TOWARDZERO
               : i->x == PTX_MOD_RM ? FE_DOWNWARD
               : i->x == PTX_MOD_RP ? FE_UPWARD
                                    : FE_TONEAREST);
    NEXT;
}

/* Address of a generic pointer from one of its window's (x: 0) or back (1); add: what to add */
STEP(step_add_u64)
{
    const u64 *a = AT(r + i->a);
    u64 *to = AT(result(w, r + i->d, mask));
    u64 add = (u64)i->add;
    LANES to[l] = a[l] + add;
    if (mask != SIMT_FULL_MASK)
        blend(w, r + i->d, 8);
    NEXT;
}

/* Halves, n: bf16; y: 16, or 32 for pairs; x: 1 denormals become zero, 2 into 0 to 1, NaN becomes 0. */
ALWAYS_INLINE u16 mend_half(u16 v, int what, bool brain)
{
    u16 exponent = brain ? 0x7f80 : 0x7c00, one = brain ? 0x3f80 : 0x3c00, size = v & 0x7fff;
    if (what == 1)
        return v & exponent ? v : v & 0x8000;
    return size > exponent || v & 0x8000 ? 0 : size > one ? one : v;
}

STEP(step_small)
{
    for (uint32_t m = mask; m; m &= m - 1) {
        int l = __builtin_ctz(m);
        u64 v = read_lane(r + i->a, i->y, l);
        u64 low = mend_half((u16)v, i->x, i->n),
            high = i->y == 32 ? mend_half((u16)(v >> 16), i->x, i->n) : 0;
        put_lane(r + i->d, i->y, l, low | high << 16);
    }
    NEXT;
}

/* Instructions that the CTA has issued before this one; a: since the segment began. Hooked code (b) counts
 * at its end. y: bits to drop. */
STEP(step_clock)
{
    u64 now = w->cta ? (i->b ? w->cta->issued + i->insn - w->started_at
                             : w->cta->limit - (u64)w->left + i->a)
                     : 0;
    now >>= i->y;
    for (int l = 0; l < SIMT_LANES; l++)
        put_lane(r + i->d, i->x, l, now);
    (void)mask;
    NEXT;
}

/* Does a generic address lie in space x? */
STEP(step_isspacep)
{
    const u64 *a = AT(r + i->a);
    u32 yes = 0;
    u64 window = i->x == PTX_SPACE_SHARED  ? SIMT_SHARED_WINDOW
                 : i->x == PTX_SPACE_LOCAL ? SIMT_LOCAL_WINDOW
                 : i->x == PTX_SPACE_CONST ? SIMT_CONST_WINDOW
                                           : SIMT_PARAM_WINDOW;
    for (int l = 0; l < SIMT_LANES; l++) {
        bool inside = a[l] - window < SIMT_WINDOW_BYTES;
        if (i->x == PTX_SPACE_GLOBAL)
            inside = a[l] - SIMT_SHARED_WINDOW >= SIMT_WINDOW_BYTES &&
                     a[l] - SIMT_LOCAL_WINDOW >= SIMT_WINDOW_BYTES &&
                     a[l] - SIMT_CONST_WINDOW >= SIMT_WINDOW_BYTES &&
                     a[l] - SIMT_PARAM_WINDOW >= SIMT_WINDOW_BYTES;
        yes |= (u32)inside << l;
    }
    write_mask(r + i->d, yes, mask);
    NEXT;
}

/* x: bits of a whole, n parts */
STEP(step_pack)
{
    int part = i->x / i->n;
    for (int l = 0; l < SIMT_LANES; l++) {
        u64 v = 0;
        for (int k = 0; k < i->n; k++)
            v |= read_lane(element_a(r, i, k), part, l) << (k * part);
        if (mask >> l & 1)
            put_lane(r + i->d, i->x, l, v);
    }
    NEXT_WIDE;
}

STEP(step_unpack)
{
    int part = i->x / i->n;
    for (int l = 0; l < SIMT_LANES; l++) {
        u64 v = read_lane(r + i->a, i->x, l);
        for (int k = 0; k < i->n; k++)
            if (mask >> l & 1)
                put_lane(element_d(r, i, k), part, l, v >> (k * part));
    }
    NEXT_WIDE;
}

#include "simt/lanes/priv_cross.h"

#define STRING_(x) #x
#define STRING(x) STRING_(x)
const struct lanes SIMT_TABLE = {
    .name = STRING(SIMT_LANES_NAME),
    .op = SIMT_ROWS,
    .load = {load_slow, load_slow, load_slow, load_slow, load_slow, load_slow},
    .store = {store_slow, store_slow, store_slow, store_slow, store_slow, store_slow},
    .load32 = {load32_generic, load32_global, load32_shared, load_slow, load_slow, load32_param},
    .load64 = {load64_generic, load64_global, load64_shared, load_slow, load_slow, load64_param},
    .store32 = {store32_generic, store32_global, store32_shared, store_slow, store_slow,
                store_slow},
    .store64 = {store64_generic, store64_global, store64_shared, store_slow, store_slow,
                store_slow},
    .fma_block = FMA_BLOCK,
    .fma_tile_rows = FMA_TILE_ROWS,
    .div_u32 = step_div_u32,
    .div_s32 = step_div_s32,
    .rem_u32 = step_rem_u32,
    .rem_s32 = step_rem_s32,
    .load_indexed = step_load_indexed,
    .address = step_address,
    .load32_at = {[PTX_SPACE_GLOBAL] = load32_global_at, [PTX_SPACE_SHARED] = load32_shared_at},
    .load64_at = {[PTX_SPACE_GLOBAL] = load64_global_at, [PTX_SPACE_SHARED] = load64_shared_at},
    .store32_at = {[PTX_SPACE_GLOBAL] = store32_global_at, [PTX_SPACE_SHARED] = store32_shared_at},
    .store64_at = {[PTX_SPACE_GLOBAL] = store64_global_at, [PTX_SPACE_SHARED] = store64_shared_at},
    .ftz = step_ftz,
    .sat32 = step_sat32,
    .sat64 = step_sat64,
    .round = step_round,
    .pred_combine = step_pred_combine,
    .pack = step_pack,
    .unpack = step_unpack,
    .add_u64 = step_add_u64,
    .atomic = step_atomic,
    .carry = step_carry,
    .bfi = step_bfi,
    .lop3 = step_lop3,
    .vote = step_vote,
    .shfl = step_shfl,
    .activemask = step_activemask,
    .small = step_small,
    .clock = step_clock,
    .match = step_match,
    .redux = step_redux,
    .isspacep = step_isspacep,
    .copy = step_copy,
    .alloca = step_alloca,
    .guard = step_guard,
    .guard_end = step_guard_end,
    .stop = step_stop,
    .end = step_end,
    .jump = step_jump,
    .branch = step_branch,
    .join = step_join,
    .count = step_count,
    .set_lanes = set_lanes,
    .lists = &SIMT_LISTS,
};
