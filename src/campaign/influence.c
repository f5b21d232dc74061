#include "campaign/influence.h"

#include <stdlib.h>

#include "characterise/geometry.h"

static const size_t MOST_WORDS = (size_t)1 << 24; /* 24 bytes are kept of each */

static void clear_all(struct box *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        box_clear(&b[i]);
}

static struct box *empty_boxes(struct arena *a, size_t n)
{
    struct box *b = arena_array(a, n, sizeof *b);
    clear_all(b, n);
    return b;
}

void influence_init(struct influence *x, struct arena *a, const struct live_output *output,
                    size_t global_words)
{
    *x = (struct influence){0};
    if (!output || output->tiling->n_axes == 0 || global_words > MOST_WORDS)
        return;
    for (int i = 0; i < output->tiling->n_axes; i++)
        if (output->tiling->axis[i].size > BOX_LARGEST)
            return;
    x->output = output;
    x->after = empty_boxes(a, global_words);
    x->read = empty_boxes(a, global_words);
}

void influence_mark(struct influence *x, size_t first, size_t words)
{
    const struct tiling *t = x->output->tiling;
    const size_t pixels = t->h * t->w, channels = t->axis[0].size;
    for (size_t i = 0; i < words; i++) {
        const size_t cell = x->output->channels_last ? i % channels * pixels + i / channels : i;
        for (int axis = 0; axis < t->n_axes; axis++) {
            const int16_t at = (int16_t)tiling_at(t, axis, cell);
            x->after[first + i].side[axis] = at;
            x->after[first + i].side[TILING_AXES + axis] = (int16_t)-at;
        }
    }
}

void influence_launch(struct influence *x, struct arena *a, size_t n_insns, size_t shared_words)
{
    x->shared = empty_boxes(a, shared_words);
    x->tally = arena_array(a, n_insns * N_KINDS, sizeof *x->tally);
}

void influence_cta(struct influence *x, size_t warps, size_t n_regs, size_t n_regions,
                   size_t shared_words)
{
    const size_t n = warps * (n_regs + 1 + n_regions);
    if (n > x->registers_room) {
        free(x->registers);
        x->registers_room = n;
        x->registers = malloc(n * sizeof *x->registers);
        if (!x->registers)
            abort(); /* out of memory, as in base/arena */
    }
    x->stored = x->registers + warps * n_regs;
    x->met = x->stored + warps;
    for (size_t i = 0; i < n; i++)
        boxes_clear(&x->registers[i], UINT32_MAX);
    clear_all(x->shared, shared_words);
}

void influence_count(struct influence *x, uint32_t insn, const struct boxes *b, uint32_t lanes)
{
    const struct tiling *t = x->output->tiling;
    for (; lanes; lanes &= lanes - 1) {
        const int l = __builtin_ctz(lanes);
        uint32_t kind = 0;
        for (int i = 0; i < TILING_AXES; i++) {
            const bool is = i < t->n_axes && b->side[i][l] != BOX_EMPTY;
            const int extent = -b->side[TILING_AXES + i][l] - b->side[i][l] + 1;
            kind = kind * N_REACHES + (is ? tiling_reach(&t->axis[i], (size_t)extent) : REACH_NONE);
        }
        x->tally[(size_t)insn * N_KINDS + kind]++;
    }
}

void influence_result(const struct influence *x, struct live_count *to, struct arena *a,
                      uint32_t insn)
{
    const uint64_t *tally = x->tally + (size_t)insn * N_KINDS;
    size_t n = 0;
    for (size_t k = 0; k < N_KINDS; k++)
        n += tally[k] > 0;
    to->influences = arena_array(a, n + 1, sizeof *to->influences);
    for (size_t k = 0; k < N_KINDS; k++)
        if (tally[k])
            to->influences[to->n_influences++] = (struct tiling_influence){
                .reach = {(uint8_t)(k / N_REACHES / N_REACHES),
                          (uint8_t)(k / N_REACHES % N_REACHES), (uint8_t)(k % N_REACHES)},
                .live = tally[k]};
}
