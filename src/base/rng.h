/* Counter-based random numbers: Philox4x32-10 (Salmon et al., SC'11) from Random123.
 * (seed, stream) fixes the sequence, so item i of a campaign uses stream i and any subset can be
 * recomputed anywhere, in any order, on any number of threads. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t seed, stream, block;
    uint32_t out[4];
    int left; /* words of out[] not yet handed out */
};

void rng_init(struct rng *r, uint64_t seed, uint64_t stream);
uint32_t rng_u32(struct rng *r);
uint64_t rng_u64(struct rng *r);
/* Uniform in [0, n), n > 0, without modulo bias. */
uint64_t rng_below(struct rng *r, uint64_t n);
/* Uniform in [0, 1) with 53 bits. */
double rng_unit(struct rng *r);
/* Where i goes in a random permutation of 0 to n - 1 that the seed fixes, i < n: so that the first of many draws
 * without replacement can be recomputed without the others. Shares no numbers with any stream. */
uint64_t rng_permuted(uint64_t seed, uint64_t n, uint64_t i);

#endif
