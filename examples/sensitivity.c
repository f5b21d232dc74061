/* How does the number of corrupted values depend on the implementation? An example of libsievert:
 *   cc sensitivity.c $(pkg-config --cflags --libs sievert) -o sensitivity
 *   ./sensitivity 1x6x14x14:16x5x5 500 direct implicit-gemm
 * Injects that many faults into each implementation and prints what came of them. */
#include <sievert.h>
#include <stdio.h>
#include <stdlib.h>

static int fail(const struct sievert_error *e)
{
    fprintf(stderr, "%s%s%s\n", e->file, e->file[0] ? ": " : "", e->message);
    return 1;
}

int main(int argc, char **argv)
{
    struct sievert_error e;
    struct sievert_sizes sizes;
    if (argc < 4) {
        fprintf(stderr, "usage: %s SHAPE INJECTIONS IMPLEMENTATION...\n", argv[0]);
        return 2;
    }
    if (sievert_sizes(&sizes, argv[1], &e) != SIEVERT_OK)
        return fail(&e);
    float *input = malloc(sizes.input * sizeof *input);
    float *filter = malloc(sizes.filter * sizeof *filter);
    for (size_t i = 0; i < sizes.input; i++)
        input[i] = (float)((int)(i * 37 % 101) - 50) / 50;
    for (size_t i = 0; i < sizes.filter; i++)
        filter[i] = (float)((int)(i * 53 % 103) - 51) / 51;

    printf("implementation masked SDC DUE corrupted-values-per-SDC\n");
    for (int a = 3; a < argc; a++) {
        struct sievert_results *r;
        char store[64];
        const struct sievert_campaign c = {
            .convolution = {argv[a], argv[1], NULL, input, filter},
            .injections = strtoull(argv[2], NULL, 10),
            .seed = 1,
        };
        snprintf(store, sizeof store, "sensitivity-%d.db", a);
        remove(store);
        if (sievert_inject(store, &c, &e) != SIEVERT_OK ||
            sievert_results_open(&r, store, &e) != SIEVERT_OK)
            return fail(&e);
        uint64_t n = sievert_results_count(r), outcome[3] = {0}, corrupted = 0;
        for (uint64_t i = 0; i < n; i++) {
            struct sievert_injection injection;
            if (sievert_results_read(&injection, r, i, 1, &e) != SIEVERT_OK)
                return fail(&e);
            outcome[injection.outcome]++;
            corrupted += injection.corrupted;
        }
        printf("%s %llu %llu %llu %.2f\n", argv[a], (unsigned long long)outcome[0],
               (unsigned long long)outcome[1], (unsigned long long)outcome[2],
               outcome[1] ? (double)corrupted / (double)outcome[1] : 0);
        sievert_results_close(r);
        remove(store);
    }
    free(input);
    free(filter);
    return 0;
}
