/* Whole files in and out of memory. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stddef.h>

#include "base/arena.h"
#include "base/diag.h"

/* Text with the name it goes by in messages. ptr[len] is 0. */
struct text {
    const char *name;
    const char *ptr;
    size_t len;
};

/* Read all of path, at most max_bytes (refused beyond). The memory belongs to a. */
int file_read(struct text *out, struct arena *a, const char *path, size_t max_bytes,
              struct diag *d);
/* The same, but of larger files the first max_bytes. */
int file_read_start(struct text *out, struct arena *a, const char *path, size_t max_bytes,
                    struct diag *d);

/* Replace path by these bytes, all or nothing: written beside it, synced, renamed. What is not a regular
 * file (/dev/stdout) is written to. */
int file_write(const char *path, const void *bytes, size_t len, struct diag *d);
/* The same of what lies in two places. */
int file_write_two(const char *path, const void *head, size_t head_len, const void *bytes,
                   size_t len, struct diag *d);

/* Make a directory and its parents; fine if it exists. */
int file_mkdirs(const char *path, struct diag *d);

#endif
