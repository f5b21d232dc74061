/* Between json_write.c and json_read.c: names that both spell. */
#ifndef MODEL_JSON_H
#define MODEL_JSON_H

#include "base/tiling.h"

enum { MODEL_FORMAT = 1 };

/* Of an error's exponents: by value class. */
static const char *const size_names[2] = {"in_range", "out_of_range"};

/* Numbers of one axis, in the order in which they are written and read. */
enum { AXIS_NUMBERS = 5 };
static inline size_t *axis_number(struct tiling_axis *x, int i)
{
    size_t *const number[AXIS_NUMBERS] = {&x->size, &x->thread, &x->step, &x->reach, &x->tile};
    return number[i];
}
static const char *const axis_names[AXIS_NUMBERS] = {"size", "thread", "step", "reach", "tile"};

#endif
