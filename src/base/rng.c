#include "base/rng.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#include <Random123/philox.h>
#pragma GCC diagnostic pop

#include <assert.h>

void rng_init(struct rng *r, uint64_t seed, uint64_t stream)
{
    *r = (struct rng){.seed = seed, .stream = stream};
}

static void refill(struct rng *r)
{
    philox4x32_ctr_t ctr = {{(uint32_t)r->block, (uint32_t)(r->block >> 32), (uint32_t)r->stream,
                             (uint32_t)(r->stream >> 32)}};
    philox4x32_key_t key = {{(uint32_t)r->seed, (uint32_t)(r->seed >> 32)}};
    philox4x32_ctr_t x = philox4x32(ctr, key);
    for (int i = 0; i < 4; i++)
        r->out[i] = x.v[i];
    r->left = 4;
    r->block++;
}

uint32_t rng_u32(struct rng *r)
{
    if (r->left == 0)
        refill(r);
    return r->out[4 - r->left--];
}

uint64_t rng_u64(struct rng *r)
{
    uint64_t low = rng_u32(r);
    return low | (uint64_t)rng_u32(r) << 32;
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
    assert(n > 0);
    uint64_t limit =
        UINT64_MAX - (UINT64_MAX % n + 1) % n; /* last value of a whole number of n's */
    uint64_t x;
    do
        x = rng_u64(r);
    while (x > limit);
    return x % n;
}

double rng_unit(struct rng *r) { return (double)(rng_u64(r) >> 11) * 0x1p-53; }

/* A Feistel network with Philox as its round function, on the fewest bits that hold n numbers; a number beyond n goes
 * round again (Black, Rogaway, "Ciphers with Arbitrary Finite Domains", 2002). */
uint64_t rng_permuted(uint64_t seed, uint64_t n, uint64_t i)
{
    enum { ROUNDS = 12, ROUNDS_OF_FEW = 32 }; /* few: halves of a bit or two mix slowly */
    assert(i < n);
    int bits = n > 1 ? 64 - __builtin_clzll(n - 1) : 1, low = bits / 2;
    uint64_t rounds = bits < 20 ? ROUNDS_OF_FEW : ROUNDS;
    uint64_t mask[2] = {((uint64_t)1 << (bits - low)) - 1, ((uint64_t)1 << low) - 1};
    do {
        uint64_t half[2] = {i >> low, i & mask[1]};
        for (uint64_t round = 0; round < rounds; round++) {
            struct rng r = {
                .seed = seed, .stream = half[round & 1], .block = (uint64_t)1 << 63 | round};
            half[~round & 1] ^= rng_u64(&r) & mask[~round & 1];
        }
        i = half[0] << low | half[1];
    } while (i >= n);
    return i;
}
