/* Image files -> pixels. The only place that sees libpng and libjpeg in nn. */
#ifndef NN_IMAGES_H
#define NN_IMAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/diag.h"

struct image {
    size_t h, w, c;        /* c: 1 (grey) or 3 (red, green, blue) */
    const uint8_t *pixels; /* h x w x c */
};
/* PNG or JPEG, by its first bytes; grey or colour whatever the file has. In a. */
int image_read(struct image *out, struct arena *a, const char *path, bool grey, struct diag *d);
/* By its name's ending: .png, .jpg, .jpeg in any case. */
bool image_name(const char *name);

#endif
