/* Any bytes as a .npy file: read or refused with a reason, and every element of what is read is there. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct diag d = {0};
    struct tensor t;
    char *exact = malloc(size + 1); /* so that a sanitizer sees each byte read beyond the file */
    if (!exact)
        abort();
    memcpy(exact, data, size);
    if (npy_parse(&t, &a, (struct text){"fuzz.npy", exact, size}, &d) == OK) {
        const volatile float *v = t.data;
        size_t n = tensor_elems(&t);
        if (t.rank > TENSOR_MAX_RANK || n * 2 > size)
            abort();
        for (size_t i = 0; i < n; i++)
            (void)v[i];
    } else if (d.msg[0] == 0) {
        abort();
    }
    free(exact);
    arena_fini(&a);
    return 0;
}
