/* The PTX files that the build made, embedded in the program. Rows: kernel_files.def, from CMake. */
#include "conv/kernels.h"

#include <string.h>

/* Bytes of a file between two symbols that only this file sees. */
#define EMBED(line, path) EMBED_(line, path)
#define EMBED_(line, path)                                                                         \
    __asm__(".section .rodata\n"                                                                   \
            "sievert_ptx_" #line ":\n.incbin \"" path "\"\n"                                       \
            "sievert_ptx_end_" #line ":\n.byte 0\n.previous\n");                                   \
    extern const char ptx_##line[] __asm__("sievert_ptx_" #line);                                  \
    extern const char ptx_end_##line[] __asm__("sievert_ptx_end_" #line);
#define KERNEL_FILE(name, source, options, path) EMBED(__LINE__, path)
#include "kernel_files.def"
#undef KERNEL_FILE

#define ROW(line, name, source, options) ROW_(line, name, source, options)
#define ROW_(line, name, source, options) {name, source, options, ptx_##line, ptx_end_##line},
#define KERNEL_FILE(name, source, options, path) ROW(__LINE__, name, source, options)
static const struct kernel_file files[] = {
#include "kernel_files.def"
};

const struct kernel_file *kernel_files(size_t *n)
{
    *n = sizeof files / sizeof *files;
    return files;
}

const struct kernel_file *kernel_file_find(const char *name)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (strcmp(files[i].name, name) == 0)
            return &files[i];
    return NULL;
}
