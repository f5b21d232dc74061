/* Tensors per second and core that are characterised when they lie in memory: 1x16x32x32 with about
 * 100 corrupted values, as the issue of the CLASSES classifier's speed states it. Prints tensors per
 * second from dense tensors (difference, then classification) and from lists of differences. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "characterise/characterise.h"

enum { C = 16, H = 32, W = 32, ELEMS = C * H * W, TENSORS = 256, CORRUPTED = 100 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A few channels share a region, as errors of tiled kernels do; every fourth tensor is scattered. */
static void corrupt(float *t, struct rng *r, int i)
{
    size_t channels = 1 + rng_below(r, 8), place = rng_below(r, H * W - 64);
    for (int k = 0; k < CORRUPTED; k++) {
        size_t at = i % 4 == 0 ? rng_below(r, ELEMS)
                               : rng_below(r, channels) * H * W + place + rng_below(r, 64);
        t[at] += (float)(rng_unit(r) * 3 + 0.01);
    }
}

int main(void)
{
    struct arena a = {0};
    struct rng r;
    rng_init(&r, 1, 1);
    const size_t dim[4] = {1, C, H, W};
    float *golden = arena_array(&a, ELEMS, sizeof *golden);
    float *faulty = arena_array(&a, (size_t)TENSORS * ELEMS, sizeof *faulty);
    for (size_t i = 0; i < ELEMS; i++)
        golden[i] = (float)(rng_unit(&r) * 4 - 2);
    for (int i = 0; i < TENSORS; i++) {
        memcpy(faulty + (size_t)i * ELEMS, golden, ELEMS * sizeof *golden);
        corrupt(faulty + (size_t)i * ELEMS, &r, i);
    }
    struct value_range range = characterise_range(golden, ELEMS);
    for (int compat = 0; compat < 2; compat++)
        for (int dense = 1; dense >= 0; dense--) {
            struct char_options o = {.epsilon = 1e-3, .compat = compat};
            struct difference *kept[TENSORS];
            size_t n_kept[TENSORS];
            struct arena lists = {0};
            for (int i = 0; i < TENSORS; i++)
                n_kept[i] = characterise_diff(&kept[i], &lists, golden, faulty + (size_t)i * ELEMS,
                                              ELEMS);
            size_t done = 0, corrupted = 0;
            double start = now(), seconds;
            do {
                struct arena scratch = {0};
                for (int i = 0; i < TENSORS; i++) {
                    struct difference *d = kept[i];
                    size_t n = n_kept[i];
                    struct characterisation c;
                    if (dense)
                        n = characterise_diff(&d, &scratch, golden, faulty + (size_t)i * ELEMS, ELEMS);
                    characterise(&c, d, n, dim, range, &o);
                    corrupted += c.corrupted;
                }
                arena_fini(&scratch);
                done += TENSORS;
                seconds = now() - start;
            } while (seconds < 0.5);
            printf("characterise 1x%dx%dx%d, %.0f corrupted values, %s rules, from %s: %.0f tensors/s\n",
                   C, H, W, (double)corrupted / (double)done, compat ? "CLASSES" : "default",
                   dense ? "tensors in memory" : "lists of differences", (double)done / seconds);
            arena_fini(&lists);
        }
    arena_fini(&a);
    return 0;
}
