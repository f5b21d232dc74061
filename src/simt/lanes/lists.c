/* What engines do with lists of lanes (simt/priv.h), so many lanes at a time as the processor has.
 * Compiled once per kind of processor. */
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"

#ifdef __AVX512F__
#include <immintrin.h>
#endif

#include "simt/lanes/step.h"

/* ---- Any processor
 * --------------------------------------------------------------------------------------- */
#define SPREAD(T)                                                                                  \
    for (uint32_t i = 0; i < n; i++)                                                               \
        ((T *)to)[i] = ((const T *)row)[key[i] & 31];

static void spread_16(uint8_t *to, const uint8_t *row, const uint32_t *key, uint32_t n)
{
    SPREAD(u16)
}

#define DIFFERING(V, golden)                                                                       \
    V *v = value;                                                                                  \
    uint32_t kept = 0;                                                                             \
    for (uint32_t i = 0; i < n; i++) {                                                             \
        uint32_t k = key[i], l = k & 31;                                                           \
        V x = v[i];                                                                                \
        key[kept] = k;                                                                             \
        v[kept] = x;                                                                               \
        kept += x != (golden);                                                                     \
    }                                                                                              \
    return kept;

static uint32_t differing_16(uint32_t *key, void *value, uint32_t n, const uint8_t *row)
{
    DIFFERING(u32, ((const u16 *)row)[l])
}

#ifndef __AVX512F__
static void spread_1(uint8_t *to, const uint8_t *row, const uint32_t *key, uint32_t n)
{
    u32 from = *(const u32 *)row, mask = 0;
    for (uint32_t i = 0; i < n; i++)
        mask |= (from >> (key[i] & 31) & 1) << i;
    *(u32 *)to = mask;
}
static void spread_32(uint8_t *to, const uint8_t *row, const uint32_t *key, uint32_t n)
{
    SPREAD(u32)
}
static void spread_64(uint8_t *to, const uint8_t *row, const uint32_t *key, uint32_t n)
{
    SPREAD(u64)
}

static uint32_t differing_1(uint32_t *key, void *value, uint32_t n, const uint8_t *row)
{
    u32 mask = *(const u32 *)row;
    DIFFERING(u32, mask >> l & 1)
}
static uint32_t differing_32(uint32_t *key, void *value, uint32_t n, const uint8_t *row)
{
    DIFFERING(u32, ((const u32 *)row)[l])
}
static uint32_t differing_64(uint32_t *key, void *value, uint32_t n, const uint8_t *row)
{
    DIFFERING(u64, ((const u64 *)row)[l])
}

static uint32_t fma_list(const struct list_fma *x, float golden[SIMT_LANES])
{
    const f32 *row[3] = {(const f32 *)x->rows[0], (const f32 *)x->rows[1], (const f32 *)x->rows[2]};
    uint32_t kept = 0;
    for (int l = 0; l < SIMT_LANES; l++)
        golden[l] = canonical_f32(fma_f32(row[0][l], row[1][l], row[2][l]));
    for (uint32_t i = 0; i < x->n; i++) {
        f32 operand[3], v;
        uint32_t key = x->key[i], bits, good;
        for (int k = 0; k < 3; k++)
            operand[k] = row[k][key & 31];
        memcpy(&operand[x->which], &x->value[i], sizeof *operand);
        v = canonical_f32(fma_f32(operand[0], operand[1], operand[2]));
        memcpy(&bits, &v, sizeof v);
        memcpy(&good, &golden[key & 31], sizeof good);
        x->out_key[kept] = key;
        x->out_value[kept] = bits;
        kept += x->keep_all || bits != good;
    }
    return kept;
}
#else
/* ---- AVX-512: a row is two vectors, in which one permutation looks up sixteen lanes
 * ------------------------ */
struct row32 {
    __m512i low, high;
};
ALWAYS_INLINE struct row32 row_32(const void *row)
{
    return (struct row32){_mm512_loadu_si512(row), _mm512_loadu_si512((const uint8_t *)row + 64)};
}
ALWAYS_INLINE __m512i look_32(struct row32 r, __m512i key)
{
    return _mm512_permutex2var_epi32(r.low, key, r.high);
}

struct row64 {
    __m512i part[4];
};
ALWAYS_INLINE struct row64 row_64(const void *row)
{
    struct row64 r;
    for (int i = 0; i < 4; i++)
        r.part[i] = _mm512_loadu_si512((const uint8_t *)row + 64 * i);
    return r;
}
ALWAYS_INLINE __m512i look_64(struct row64 r, __m256i key)
{
    __m512i wide = _mm512_cvtepu32_epi64(key);
    return _mm512_mask_blend_epi64(_mm512_test_epi64_mask(wide, _mm512_set1_epi64(16)),
                                   _mm512_permutex2var_epi64(r.part[0], wide, r.part[1]),
                                   _mm512_permutex2var_epi64(r.part[2], wide, r.part[3]));
}

ALWAYS_INLINE __m512i look_1(u32 mask, __m512i key)
{
    __m512i lane = _mm512_and_si512(key, _mm512_set1_epi32(31));
    return _mm512_and_si512(_mm512_srlv_epi32(_mm512_set1_epi32((int)mask), lane),
                            _mm512_set1_epi32(1));
}

static void spread_1(uint8_t *to, const uint8_t *row, const uint32_t *key, uint32_t n)
{
    u32 mask = *(const u32 *)row, out = 0;
    for (uint32_t i = 0; i < n; i += 16) {
        __m512i v = look_1(mask, _mm512_loadu_si512(key + i));
        out |= (u32)_mm512_test_epi32_mask(v, v) << i;
    }
    *(u32 *)to = out;
}
static void spread_32(uint8_t *to, const uint8_t *row, const uint32_t *key, uint32_t n)
{
    struct row32 r = row_32(row);
    for (uint32_t i = 0; i < n; i += 16)
        _mm512_storeu_si512(to + 4 * i, look_32(r, _mm512_loadu_si512(key + i)));
}
static void spread_64(uint8_t *to, const uint8_t *row, const uint32_t *key, uint32_t n)
{
    struct row64 r = row_64(row);
    for (uint32_t i = 0; i < n; i += 8)
        _mm512_storeu_si512(to + 8 * i, look_64(r, _mm256_loadu_si256((const void *)(key + i))));
}

ALWAYS_INLINE u32 first_lanes(uint32_t n, uint32_t most)
{
    return n >= most ? (1u << most) - 1 : (1u << n) - 1;
}

#define KEEP_32(golden)                                                                            \
    u32 *v = value;                                                                                \
    uint32_t kept = 0;                                                                             \
    for (uint32_t i = 0; i < n; i += 16) {                                                         \
        __m512i k = _mm512_loadu_si512(key + i), x = _mm512_loadu_si512(v + i);                    \
        __mmask16 m = _mm512_mask_cmpneq_epi32_mask((__mmask16)first_lanes(n - i, 16), x, golden); \
        _mm512_storeu_si512(key + kept, _mm512_maskz_compress_epi32(m, k));                        \
        _mm512_storeu_si512(v + kept, _mm512_maskz_compress_epi32(m, x));                          \
        kept += (uint32_t)__builtin_popcount(m);                                                   \
    }                                                                                              \
    return kept;

static uint32_t differing_1(uint32_t *key, void *value, uint32_t n, const uint8_t *row)
{
    u32 mask = *(const u32 *)row;
    KEEP_32(look_1(mask, k))
}
static uint32_t differing_32(uint32_t *key, void *value, uint32_t n, const uint8_t *row)
{
    struct row32 r = row_32(row);
    KEEP_32(look_32(r, k))
}
static uint32_t differing_64(uint32_t *key, void *value, uint32_t n, const uint8_t *row)
{
    struct row64 r = row_64(row);
    u64 *v = value;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i += 8) {
        __m256i k = _mm256_loadu_si256((const void *)(key + i));
        __m512i x = _mm512_loadu_si512(v + i);
        __mmask8 m =
            _mm512_mask_cmpneq_epi64_mask((__mmask8)first_lanes(n - i, 8), x, look_64(r, k));
        _mm256_storeu_si256((void *)(key + kept), _mm256_maskz_compress_epi32(m, k));
        _mm512_storeu_si512(v + kept, _mm512_maskz_compress_epi64(m, x));
        kept += (uint32_t)__builtin_popcount(m);
    }
    return kept;
}

ALWAYS_INLINE __m512 canonical_fma(__m512 a, __m512 b, __m512 c)
{
    const __m512 nan = _mm512_castsi512_ps(_mm512_set1_epi32(0x7fffffff));
    __m512 v = _mm512_fmadd_ps(a, b, c);
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(v, v, _CMP_EQ_OQ), nan, v);
}

ALWAYS_INLINE uint32_t fma_one(const struct list_fma *x, const struct row32 row[3], int which,
                               struct row32 golden)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < x->n; i += 16) {
        __m512i k = _mm512_loadu_si512(x->key + i);
        __m512 operand[3];
        for (int o = 0; o < 3; o++)
            operand[o] = _mm512_castsi512_ps(o == which ? _mm512_loadu_si512(x->value + i)
                                                        : look_32(row[o], k));
        __m512i v = _mm512_castps_si512(canonical_fma(operand[0], operand[1], operand[2]));
        __mmask16 m = (__mmask16)first_lanes(x->n - i, 16);
        if (!x->keep_all)
            m = _mm512_mask_cmpneq_epi32_mask(m, v, look_32(golden, k));
        if (m != 0xffff) {
            k = _mm512_maskz_compress_epi32(m, k);
            v = _mm512_maskz_compress_epi32(m, v);
        }
        _mm512_storeu_si512(x->out_key + kept, k);
        _mm512_storeu_si512(x->out_value + kept, v);
        kept += (uint32_t)__builtin_popcount(m);
    }
    return kept;
}

static uint32_t fma_list(const struct list_fma *x, float golden[SIMT_LANES])
{
    struct row32 row[3] = {row_32(x->rows[0]), row_32(x->rows[1]), row_32(x->rows[2])};
#define PART(x) _mm512_castsi512_ps(x)
    __m512 low = canonical_fma(PART(row[0].low), PART(row[1].low), PART(row[2].low));
    __m512 high = canonical_fma(PART(row[0].high), PART(row[1].high), PART(row[2].high));
#undef PART
    struct row32 good = {_mm512_castps_si512(low), _mm512_castps_si512(high)};
    _mm512_storeu_ps(golden, low);
    _mm512_storeu_ps(golden + 16, high);
    return x->which == 2   ? fma_one(x, row, 2, good)
           : x->which == 1 ? fma_one(x, row, 1, good)
                           : fma_one(x, row, 0, good);
}
#endif

/* Back to code that is not compiled for wide vectors. */
ALWAYS_INLINE void leave_vectors(void)
{
#ifdef __AVX512F__
    _mm256_zeroupper();
#endif
}

static void spread(uint8_t *to, const uint8_t *row, int bits, const uint32_t *key, uint32_t n)
{
    switch (bits) {
    case 1:
        spread_1(to, row, key, n);
        break;
    case 16:
        spread_16(to, row, key, n);
        break;
    case 32:
        spread_32(to, row, key, n);
        break;
    default:
        spread_64(to, row, key, n);
        break;
    }
    leave_vectors();
}

static uint32_t differing(uint32_t *key, void *value, uint32_t n, const uint8_t *row, int bits)
{
    uint32_t kept = bits == 1    ? differing_1(key, value, n, row)
                    : bits == 16 ? differing_16(key, value, n, row)
                    : bits == 32 ? differing_32(key, value, n, row)
                                 : differing_64(key, value, n, row);
    leave_vectors();
    return kept;
}

static uint32_t fma_and_leave(const struct list_fma *x, float golden[SIMT_LANES])
{
    uint32_t n = fma_list(x, golden);
    leave_vectors();
    return n;
}

const struct lists SIMT_LISTS = {spread, differing, fma_and_leave};
