/* Lane types, as the columns of isa.def name them. They may alias: a register's lanes are read as
 * whatever type the instruction says. */
#ifndef SIMT_LANES_TYPES_H
#define SIMT_LANES_TYPES_H

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define LANE_TYPE(base, name) typedef base __attribute__((may_alias)) name
LANE_TYPE(uint8_t, u8);
LANE_TYPE(int8_t, s8);
LANE_TYPE(uint16_t, u16);
LANE_TYPE(int16_t, s16);
LANE_TYPE(uint32_t, u32);
LANE_TYPE(int32_t, s32);
LANE_TYPE(uint64_t, u64);
LANE_TYPE(int64_t, s64);
LANE_TYPE(float, f32);
LANE_TYPE(double, f64);
#undef LANE_TYPE
typedef u16 h;
typedef u32 h2;
typedef u16 bf;
typedef u32 bf2;
typedef u8 no;
typedef unsigned __int128 u128;
typedef __int128 s128;

/* Reading lane l of an operand. Predicates are one mask. */
#define GET_no(ptr, l) ((no)0)
#define GET_p(ptr, l) (*(const u32 *)(ptr) >> (l)&1)
#define GET_u16(ptr, l) (((const u16 *)(ptr))[l])
#define GET_s16(ptr, l) (((const s16 *)(ptr))[l])
#define GET_h(ptr, l) (((const u16 *)(ptr))[l])
#define GET_h2(ptr, l) (((const u32 *)(ptr))[l])
#define GET_bf(ptr, l) (((const u16 *)(ptr))[l])
#define GET_bf2(ptr, l) (((const u32 *)(ptr))[l])
#define GET_u32(ptr, l) (((const u32 *)(ptr))[l])
#define GET_s32(ptr, l) (((const s32 *)(ptr))[l])
#define GET_u64(ptr, l) (((const u64 *)(ptr))[l])
#define GET_s64(ptr, l) (((const s64 *)(ptr))[l])
#define GET_f32(ptr, l) (((const f32 *)(ptr))[l])
#define GET_f64(ptr, l) (((const f64 *)(ptr))[l])
typedef u32 p;

/* One NaN, whatever the operands' payloads: results do not depend on the processor that simulates. */
static inline f32 canonical_f32(f32 v)
{
    union {
        uint32_t bits;
        float value;
    } nan = {0x7fffffffu};
    return v == v ? v : nan.value;
}

static inline f64 canonical_f64(f64 v)
{
    union {
        uint64_t bits;
        double value;
    } nan = {0xfff8000000000000u};
    return v == v ? v : nan.value;
}

#define CANONICAL_u16(v) (v)
#define CANONICAL_s16(v) (v)
#define CANONICAL_h(v) (v)
#define CANONICAL_h2(v) (v)
#define CANONICAL_bf(v) (v)
#define CANONICAL_bf2(v) (v)
#define CANONICAL_u32(v) (v)
#define CANONICAL_s32(v) (v)
#define CANONICAL_u64(v) (v)
#define CANONICAL_s64(v) (v)
#define CANONICAL_f32(v) canonical_f32(v)
#define CANONICAL_f64(v) canonical_f64(v)

/* ---- What expressions of isa.def use ------------------------------------------------------------- */
#define CLAMP(a, lo, hi) ((s64)(a) < (lo) ? (s64)(lo) : (s64)(a) > (hi) ? (s64)(hi) : (s64)(a))
#define CLAMP_TOP(a, hi) ((u64)(a) > (u64)(hi) ? (u64)(hi) : (u64)(a))

static inline s32 clamp_s32(s64 v) { return (s32)CLAMP(v, -2147483647 - 1, 2147483647); }

static inline s32 sext24(u32 v) { return (s32)(v << 8) >> 8; }

/* 32-bit numbers to double and back by adding a power of two: such loops become vector code everywhere.
 * a + 1/2, and the integer below a y that is none itself. */
static inline f64 half_above(u32 a)
{
    u64 bits = 0x4330000000000000u | a;
    f64 v;
    memcpy(&v, &bits, sizeof v);
    return v - (0x1p52 - 0.5);
}

static inline u32 floor_u32(f64 y)
{
    f64 rounded = (y - 0.5) + 0x1.8p52;
    u64 bits;
    memcpy(&bits, &rounded, sizeof bits);
    return (u32)bits;
}

/* Integer division through double, exact: (a + 1/2) / b is at least 1/(2b) away from any integer, and all
 * errors made here, also with 1/b rounded first, are below 2^-19 of that. */
static inline u32 div_u32(u32 a, u32 b)
{
    u32 q = floor_u32(half_above(a) / (half_above(b ? b : 1) - 0.5));
    return b ? q : 0xffffffffu;
}

static inline u32 size_s32(s32 a) { return a < 0 ? 0u - (u32)a : (u32)a; }

static inline s32 div_s32(s32 a, s32 b)
{
    u32 q = div_u32(size_s32(a), size_s32(b));
    q = (a < 0) != (b < 0) ? 0u - q : q;
    return (s32)(b ? q : 0xffffffffu);
}

/* With inverse = 1 / b for b > 0. */
static inline u32 div_by_u32(u32 a, f64 inverse) { return floor_u32(half_above(a) * inverse); }

static inline s32 div_by_s32(s32 a, f64 inverse)
{
    u32 q = div_by_u32(size_s32(a), inverse);
    return (s32)(a < 0 ? 0u - q : q);
}

static inline u64 div_u64(u64 a, u64 b) { return b ? a / b : ~0ull; }

static inline s64 div_s64(s64 a, s64 b)
{
    if (b == 0)
        return -1;
    return b == -1 ? (s64)(0 - (u64)a) : a / b;
}

static inline u32 dp4a(u32 a, u32 b, u32 c, int a_signed, int b_signed)
{
    for (int i = 0; i < 32; i += 8) {
        s32 x = a_signed ? (s8)(a >> i) : (s32)(a >> i & 255);
        s32 y = b_signed ? (s8)(b >> i) : (s32)(b >> i & 255);
        c += (u32)(x * y);
    }
    return c;
}

static inline u32 dp2a(u32 a, u32 b, u32 c, int a_signed, int b_signed)
{
    for (int i = 0; i < 2; i++) {
        s64 x = a_signed ? (s16)(a >> 16 * i) : (s64)(a >> 16 * i & 0xffff);
        s64 y = b_signed ? (s8)(b >> 8 * i) : (s64)(b >> 8 * i & 255);
        c += (u32)(x * y);
    }
    return c;
}

/* Differences of bytes, in their places or summed. */
static inline u32 vabsdiff4(u32 a, u32 b, int is_signed, int sum)
{
    u32 out = 0;
    for (int i = 0; i < 32; i += 8) {
        s32 x = is_signed ? (s8)(a >> i) : (s32)(a >> i & 255);
        s32 y = is_signed ? (s8)(b >> i) : (s32)(b >> i & 255);
        u32 difference = (u32)(x < y ? y - x : x - y);
        out += sum ? difference : difference << i;
    }
    return out;
}

/* b ones from bit a on. */
static inline u32 bmsk(u32 a, u32 b, int clamp)
{
    a = clamp ? a : a & 31;
    b = clamp ? b : b & 31;
    u32 ones = b > 31 ? ~0u : (1u << (b & 31)) - 1;
    return a > 31 ? 0 : ones << (a & 31);
}

/* Where the n-th one of a is, from bit `from` on, upwards or, for n < 0, downwards; n 0: is `from` one? */
static inline u32 fns(u32 a, u32 from, s32 n)
{
    u32 found = ~0u, seen = 0, want = n < 0 ? 0u - (u32)n : n ? (u32)n : 1;
    for (u32 k = 0; k < 32; k++) {
        u32 at = n < 0 ? from - k : from + k;
        u32 one = at < 32 && from < 32 && (n || k == 0) ? a >> (at & 31) & 1 : 0;
        seen += one;
        found = one && seen == want ? at : found;
    }
    return found;
}

/* The lowest n bits, extended. */
static inline u32 szext(u32 a, u32 n, int is_signed)
{
    if (n == 0)
        return 0;
    u32 left = a << ((32 - n) & 31);
    return is_signed ? (u32)((s32)left >> ((32 - n) & 31)) : left >> ((32 - n) & 31);
}

static inline u32 popc32(u32 v)
{
    v = v - (v >> 1 & 0x55555555u);
    v = (v & 0x33333333u) + (v >> 2 & 0x33333333u);
    return ((v + (v >> 4)) & 0x0f0f0f0fu) * 0x01010101u >> 24;
}

/* Leading zeros: the exponent of v as a double, exact for 32 bits. */
static inline u32 clz32(u32 v)
{
    v |= v >> 1;
    v |= v >> 2;
    v |= v >> 4;
    v |= v >> 8;
    v |= v >> 16;
    return 32 - popc32(v);
}

static inline u32 clz64(u64 v)
{
    u32 high = clz32((u32)(v >> 32)), low = clz32((u32)v);
    return high == 32 ? 32 + low : high;
}

static inline u32 brev32(u32 v)
{
    v = (v >> 1 & 0x55555555u) | (v & 0x55555555u) << 1;
    v = (v >> 2 & 0x33333333u) | (v & 0x33333333u) << 2;
    v = (v >> 4 & 0x0f0f0f0fu) | (v & 0x0f0f0f0fu) << 4;
    v = (v >> 8 & 0x00ff00ffu) | (v & 0x00ff00ffu) << 8;
    return v >> 16 | v << 16;
}

/* Extract len bits of a from pos on; bits beyond the word are zero, or the sign. */
static inline u64 bfe(u64 a, u32 pos, u32 len, u32 width, int is_signed)
{
    pos &= 255;
    len &= 255;
    if (len == 0)
        return 0;
    u32 top = pos + len - 1 < width - 1 ? pos + len - 1 : width - 1;
    u64 sign = is_signed ? a >> top & 1 : 0;
    u64 field = pos < width ? a >> pos : 0;
    u32 have = pos < width ? (len < width - pos ? len : width - pos) : 0;
    u64 mask = have >= 64 ? ~0ull : (1ull << have) - 1;
    return (field & mask) | (sign ? ~mask : 0);
}

/* Bytes of b:a chosen by the nibbles of c; bit 3 of a nibble repeats the sign of the byte. */
static inline u32 prmt(u32 a, u32 b, u32 c)
{
    u64 bytes = (u64)b << 32 | a;
    u32 out = 0;
    for (u32 i = 0; i < 4; i++) {
        u32 select = c >> 4 * i & 15;
        u32 byte = (u32)(bytes >> 8 * (select & 7)) & 255;
        if (select & 8)
            byte = byte & 128 ? 255 : 0;
        out |= byte << 8 * i;
    }
    return out;
}

/* IEEE 754 binary16. */
static inline f32 half_to_f32(u16 half)
{
    u32 sign = (u32)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 1023;
    u32 bits = sign | (exponent + 112) << 23 | fraction << 13;
    f32 small = (f32)fraction * 0x1p-24f, v;
    if (exponent == 31)
        bits = sign | 0x7f800000u | fraction << 13;
    if (exponent == 0) {
        memcpy(&bits, &small, sizeof bits);
        bits |= sign;
    }
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* rint in the rounding mode that is set; compilers may make rint for the usual one. */
static inline f64 rint_now(f64 v)
{
    f64 big = copysign(0x1p52, v);
    return fabs(v) < 0x1p52 ? (v + big) - big : v;
}

/* A double as a float of `mant` explicit bits of fraction and least exponent `low`, in the rounding mode
 * that is set: the fraction becomes an integer, which is rounded. */
static inline u32 narrow_f64(f64 v, int mant, int low, u32 infinity)
{
    u64 bits;
    memcpy(&bits, &v, sizeof v);
    u32 sign = (u32)(bits >> 63), out;
    int e = (int)(bits >> 52 & 2047) - 1023;
    e = e < low ? low : e;
    u64 scale_bits = (u64)(1023 + mant - e) << 52;
    f64 scale;
    memcpy(&scale, &scale_bits, sizeof scale);
    f64 whole = fabs(rint_now(v * scale));
    out = (u32)(e - low) << mant;
    out += (u32)(s32)(whole < 1e9 ? whole : 1e9);
    f32 over = (f32)(v * 0x1p200); /* infinite, or the greatest there is: as the mode says */
    u32 top = fabsf(over) <= FLT_MAX ? infinity - 1 : infinity;
    out = e > 1 - low || out >= infinity ? top : out;
    out = v == v ? out : 0x7fff;
    sign = v == v ? sign : 0;
    return sign << 15 | out;
}
static inline u16 f64_to_h(f64 v) { return (u16)narrow_f64(v, 10, -14, 0x7c00); }
static inline u16 f64_to_bf(f64 v) { return (u16)narrow_f64(v, 7, -126, 0x7f80); }

static inline f32 H(u16 v) { return half_to_f32(v); }
static inline f32 BF(u16 v)
{
    u32 bits = (u32)v << 16;
    f32 out;
    memcpy(&out, &bits, sizeof out);
    return out;
}

/* To 10 bits of fraction, halves away from zero; the rest is zero. */
static inline u32 f32_to_tf32(f32 v)
{
    u32 bits;
    memcpy(&bits, &v, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return 0x7fffffffu;
    return (bits & 0x7f800000u) == 0x7f800000u ? bits : (bits + 0x1000u) & ~0x1fffu;
}

/* Sticky: if double is too narrow, the last bit says that there was more, so that rounding again, to at
 * most 51 bits, is rounding once. */
static inline f64 sticky(f64 v, bool inexact, bool away)
{
    s64 bits;
    memcpy(&bits, &v, sizeof v);
    bits += inexact && !(bits & 1) ? away ? 1 : -1 : 0;
    memcpy(&v, &bits, sizeof v);
    return v;
}
static inline f64 odd_sum(f64 a, f64 b)
{
    f64 s = a + b, t = s - a, error = (a - (s - t)) + (b - t);
    bool inexact = error > 0 || error < 0;
    return sticky(s, inexact, (error > 0) == (s > 0));
}
static inline f64 odd_u64(u64 v) { return odd_sum((f64)(v >> 32) * 0x1p32, (f64)(u32)v); }
static inline f64 odd_s64(s64 v)
{
    f64 size = odd_u64(v < 0 ? 0 - (u64)v : (u64)v);
    return v < 0 ? -size : size;
}

static inline f32 fma_f32(f32 a, f32 b, f32 c) { return __builtin_fmaf(a, b, c); }
static inline f64 fma_f64(f64 a, f64 b, f64 c) { return __builtin_fma(a, b, c); }

/* The number if the other is NaN; -0 is less than +0. */
#define MIN_MAX(name, type, bits_type, op, choose)                                                 \
    static inline type name(type a, type b)                                                        \
    {                                                                                              \
        bits_type x, y;                                                                            \
        memcpy(&x, &a, sizeof a);                                                                  \
        memcpy(&y, &b, sizeof b);                                                                  \
        x = x choose y;                                                                            \
        type equal;                                                                                \
        memcpy(&equal, &x, sizeof equal);                                                          \
        type v = a op b ? a : b;                                                                   \
        v = a == b ? equal : v;                                                                    \
        v = a != a ? b : v;                                                                        \
        return b != b ? a : v;                                                                     \
    }
MIN_MAX(min_f32, f32, u32, <, |)
MIN_MAX(max_f32, f32, u32, >, &)
MIN_MAX(min_f64, f64, u64, <, |)
MIN_MAX(max_f64, f64, u64, >, &)
#undef MIN_MAX

static inline f32 xorsign(f32 a, f32 b, f32 (*choose)(f32, f32))
{
    f32 v = choose(fabsf(a), fabsf(b));
    return v == v && signbit(a) != signbit(b) ? -v : v;
}

/* f16 and bf16 by way of double, where products are exact and sums sticky; pairs half by half. */
#define SMALL(F, narrow, W, name, expr)                                                            \
    static inline u16 F##_##name(u16 x, u16 y, u16 z)                                              \
    {                                                                                              \
        f64 a = W(x), b = W(y), c = W(z);                                                          \
        (void)a, (void)b, (void)c;                                                                 \
        return narrow(expr);                                                                       \
    }                                                                                              \
    static inline u32 F##2_##name(u32 x, u32 y, u32 z)                                             \
    {                                                                                              \
        u32 high = F##_##name((u16)(x >> 16), (u16)(y >> 16), (u16)(z >> 16));                     \
        return high << 16 | F##_##name((u16)x, (u16)y, (u16)z);                                    \
    }
#define SMALL_BITS(F, name, expr)                                                                  \
    static inline u16 F##_##name(u16 a, u16 b, u16 c)                                              \
    {                                                                                              \
        (void)b, (void)c;                                                                          \
        return (u16)(expr);                                                                        \
    }                                                                                              \
    static inline u32 F##2_##name(u32 x, u32 y, u32 z)                                             \
    {                                                                                              \
        u32 high = F##_##name((u16)(x >> 16), (u16)(y >> 16), (u16)(z >> 16));                     \
        return high << 16 | F##_##name((u16)x, (u16)y, (u16)z);                                    \
    }
#define SMALL_ALL(F, narrow, W)                                                                    \
    SMALL(F, narrow, W, add, odd_sum(a, b))                                                        \
    SMALL(F, narrow, W, sub, odd_sum(a, -b))                                                       \
    SMALL(F, narrow, W, mul, a *b)                                                                 \
    SMALL(F, narrow, W, fma, odd_sum(a *b, c))                                                     \
    SMALL(F, narrow, W, fma_relu, odd_sum(a *b, c) < 0 ? 0 : odd_sum(a * b, c))                    \
    SMALL(F, narrow, W, min, min_f64(a, b))                                                        \
    SMALL(F, narrow, W, max, max_f64(a, b))                                                        \
    SMALL(F, narrow, W, min_nan, a != a || b != b ? a + b : min_f64(a, b))                         \
    SMALL(F, narrow, W, max_nan, a != a || b != b ? a + b : max_f64(a, b))                         \
    SMALL(F, narrow, W, ex2, exp2(a))                                                              \
    SMALL(F, narrow, W, tanh, tanh(a))                                                             \
    SMALL_BITS(F, neg, a ^ 0x8000)                                                                 \
    SMALL_BITS(F, abs, a & 0x7fff)
SMALL_ALL(h, f64_to_h, H)
SMALL_ALL(bf, f64_to_bf, BF)
#undef SMALL
#undef SMALL_BITS
#undef SMALL_ALL

/* Rounded floats to integers, clamped; comparisons with NaN are false. */
static inline u32 to_u32(f64 v, f64 hi, u32 nan)
{
    f64 low = v < 0 ? 0 : v, both = low > hi ? hi : low;
    return v == v ? (u32)(s64)both : nan;
}

static inline s32 to_s32(f64 v, f64 lo, f64 hi, s32 nan)
{
    f64 low = v < lo ? lo : v, both = low > hi ? hi : low;
    return v == v ? (s32)both : nan;
}

static inline u64 to_u64(f64 v)
{
    if (v != v)
        return 1ull << 63;
    return v <= 0 ? 0 : v >= 18446744073709551616.0 ? ~0ull : (u64)v;
}

static inline s64 to_s64(f64 v)
{
    if (v != v || v < -9223372036854775808.0)
        return INT64_MIN;
    return v >= 9223372036854775808.0 ? INT64_MAX : (s64)v;
}

#endif
