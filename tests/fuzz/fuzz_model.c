/* Any bytes as an error model: refused with a reason, or drawn from for its own tensor and for others. */
#include <stdint.h>
#include <stdlib.h>

#include "model/model.h"

enum { ELEMS = 6 * 9 * 7, DRAWS = 3 };

static void draw(const struct model *m, const size_t chw[3], uint64_t seed)
{
    static float golden[ELEMS];
    struct difference d[ELEMS];
    const size_t elems = chw[0] * chw[1] * chw[2];
    for (uint64_t i = 0; i < DRAWS; i++) {
        struct rng r;
        rng_init(&r, seed, i);
        size_t n = model_draw(m, &r, chw, golden, (struct value_range){-1, 1}, d, elems).n;
        for (size_t k = 0; k < n; k++)
            if (d[k].index >= elems || (k && d[k].index <= d[k - 1].index))
                abort();
        if (n == 0)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct diag d = {0};
    struct model *m;
    char *text = arena_strndup(&a, (const char *)data, size);
    if (model_parse(&m, &a, (struct text){"fuzz.json", text, size}, &d) == OK) {
        const size_t own[3] = {4, 6, 6}, other[3] = {6, 9, 7};
        draw(m, own, size);
        const struct tiling t = model_tiling_for(m, other);
        (void)model_retarget(m, &a, &(struct model_target){.tiling = t});
        draw(m, other, size);
    } else if (d.msg[0] == 0) {
        abort();
    }
    arena_fini(&a);
    return 0;
}
