/* Lane types, as the columns of isa.def name them. They may alias: a register's lanes are read as
 * whatever type the instruction says. */
#ifndef SIMT_LANES_TYPES_H
#define SIMT_LANES_TYPES_H

#include <float.h>
#include <math.h>
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
typedef u8 no;
typedef unsigned __int128 u128;
typedef __int128 s128;

/* Reading lane l of an operand. Predicates are one mask. */
#define GET_no(ptr, l) ((no)0)
#define GET_p(ptr, l) (*(const u32 *)(ptr) >> (l) & 1)
#define GET_u16(ptr, l) (((const u16 *)(ptr))[l])
#define GET_s16(ptr, l) (((const s16 *)(ptr))[l])
#define GET_h(ptr, l) (((const u16 *)(ptr))[l])
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

/* Through double: the quotient of 32-bit numbers is at least 2^-32 away from the next integer above
 * it, and double's error is below 2^-21 of that. No branch for the zero divisor. */
static inline u32 div_u32(u32 a, u32 b)
{
    u32 q = (u32)(s64)((f64)a / (f64)(b ? b : 1));
    return b ? q : 0xffffffffu;
}

static inline s32 div_s32(s32 a, s32 b)
{
    u32 ua = a < 0 ? 0u - (u32)a : (u32)a, ub = b < 0 ? 0u - (u32)b : (u32)b;
    u32 q = (u32)(s64)((f64)ua / (f64)(ub ? ub : 1));
    q = (a < 0) != (b < 0) ? 0u - q : q;
    return (s32)(b ? q : 0xffffffffu);
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

/* IEEE 754 binary16, to nearest even. */
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

static inline u16 f32_to_half(f32 v)
{
    u32 bits, magnitude, sign;
    memcpy(&bits, &v, sizeof bits);
    sign = bits >> 16 & 0x8000;
    magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u)
        return 0x7fff;
    if (magnitude >= 0x477ff000u) /* rounds to more than 65504 */
        return (u16)(sign | 0x7c00);
    u32 shift = magnitude >= 0x38800000u ? 13 : magnitude < 0x33000000u ? 31 : 126 - (magnitude >> 23);
    u32 value = magnitude >= 0x38800000u ? magnitude - 0x38000000u
                : shift == 31            ? 0
                                         : (magnitude & 0x7fffffu) | 0x800000u;
    u32 rest = value & ((1u << shift) - 1), half_way = 1u << (shift - 1), out = value >> shift;
    out += rest > half_way || (rest == half_way && out & 1);
    return (u16)(sign | out);
}

static inline f32 fma_f32(f32 a, f32 b, f32 c) { return __builtin_fmaf(a, b, c); }
static inline f64 fma_f64(f64 a, f64 b, f64 c) { return __builtin_fma(a, b, c); }

/* The number if the other is NaN; -0 is less than +0. */
#define MIN_MAX(name, type, bits_type, op, choose)                                                    \
    static inline type name(type a, type b)                                                           \
    {                                                                                                 \
        bits_type x, y;                                                                               \
        memcpy(&x, &a, sizeof a);                                                                     \
        memcpy(&y, &b, sizeof b);                                                                     \
        x = x choose y;                                                                               \
        type equal;                                                                                   \
        memcpy(&equal, &x, sizeof equal);                                                             \
        type v = a op b ? a : b;                                                                      \
        v = a == b ? equal : v;                                                                       \
        v = a != a ? b : v;                                                                           \
        return b != b ? a : v;                                                                        \
    }
MIN_MAX(min_f32, f32, u32, <, |)
MIN_MAX(max_f32, f32, u32, >, &)
MIN_MAX(min_f64, f64, u64, <, |)
MIN_MAX(max_f64, f64, u64, >, &)
#undef MIN_MAX

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
