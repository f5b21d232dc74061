/* The OpenCL C that the kernels were compiled from, embedded beside their PTX so that reports can show
 * faults by source line. Rows: kernel_sources.def, from CMake. */
#include "conv/kernels.h"

#include <string.h>

#define EMBED(line, path) EMBED_(line, path)
#define EMBED_(line, path)                                                                         \
    __asm__(".section .rodata\n"                                                                   \
            "sievert_source_" #line ":\n.incbin \"" path "\"\n.byte 0\n.previous\n");              \
    extern const char source_##line[] __asm__("sievert_source_" #line);
#define KERNEL_SOURCE(name, path) EMBED(__LINE__, path)
#include "kernel_sources.def"
#undef KERNEL_SOURCE

#define ROW(line, name) ROW_(line, name)
#define ROW_(line, name) {name, source_##line},
#define KERNEL_SOURCE(name, path) ROW(__LINE__, name)
static const struct {
    const char *name, *text;
} sources[] = {
#include "kernel_sources.def"
};

const char *kernel_source(const char *name)
{
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        if (strcmp(sources[i].name, name) == 0)
            return sources[i].text;
    return NULL;
}
