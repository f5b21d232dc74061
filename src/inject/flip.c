/* What an upset does to a value. */
#include "inject/inject.h"

/* SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): more draws from one. */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* n different bits of `bits`: each drawn among those left. */
static uint64_t some_bits(uint64_t draw, uint32_t n, int bits)
{
    uint64_t mask = 0;
    for (uint32_t i = 0; i < n && i < (uint32_t)bits; i++) {
        uint32_t skip = (uint32_t)(mix(draw + i) % ((uint32_t)bits - i));
        int b = 0;
        for (;; b++)
            if (!(mask >> b & 1) && skip-- == 0)
                break;
        mask |= (uint64_t)1 << b;
    }
    return mask;
}

uint64_t inject_flip(const struct fault *f, uint64_t value, int bits, int lane)
{
    const struct fault_kind *k = &f->kind;
    uint64_t mask = bits >= 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
    uint64_t bit_draw = f->draw[0], value_draw = f->draw[1];
    if (k->scope == SCOPE_WARP_EACH) {
        bit_draw = mix(bit_draw ^ (uint64_t)lane << 56);
        value_draw = mix(value_draw ^ (uint64_t)lane << 56);
    }
    uint64_t one = (uint64_t)1 << (k->has_arg ? k->arg & 63 : bit_draw % (unsigned)bits);
    switch (k->flip) {
    case FLIP_SINGLE_BIT:
        return value ^ one;
    case FLIP_DOUBLE_BIT: /* of gppr: a predicate has one bit only */
        if (bits < 2)
            return value ^ 1;
        return value ^ (k->has_arg ? 3 * one : (uint64_t)3 << bit_draw % (unsigned)(bits - 1));
    case FLIP_MULTI_BIT:
        return value ^ some_bits(bit_draw, k->arg, bits);
    case FLIP_RANDOM_VALUE:
        return value_draw & mask;
    case FLIP_STUCK_AT_0:
        return value & ~one;
    case FLIP_STUCK_AT_1:
        return value | one;
    case FLIP_ZERO_VALUE:
    case N_FLIPS:
        break;
    }
    return 0;
}
