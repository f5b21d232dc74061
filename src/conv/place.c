/* A line of a kernel's PTX -> the line of OpenCL C that it comes from. */
#include <stdio.h>
#include <string.h>

#include "conv/kernels.h"

/* The line at `at`, which ends before `end`, as a string. */
static const char *line_at(const char *at, const char *end, char buf[static 320])
{
    size_t n = 0;
    while (at + n < end && at[n] != '\n' && n < 319)
        n++;
    memcpy(buf, at, n);
    buf[n] = 0;
    return buf + strspn(buf, " \t");
}

static const char *next_line(const char *at, const char *end)
{
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    return newline ? newline + 1 : end;
}

/* The last .loc at or before the line. */
static bool find_loc(const struct kernel_file *k, int ptx_line, unsigned *file, int *line)
{
    char buf[320];
    bool found = false;
    const char *at = k->ptx;
    for (int n = 1; at < k->ptx_end && n <= ptx_line; n++, at = next_line(at, k->ptx_end))
        found |= sscanf(line_at(at, k->ptx_end, buf), ".loc %u %d", file, line) == 2;
    return found && *line > 0;
}

/* .file NUMBER ["FOLDER"] "NAME" */
static bool find_file(const struct kernel_file *k, unsigned file, char name[static 256])
{
    char buf[320], first[256], second[256];
    for (const char *at = k->ptx; at < k->ptx_end; at = next_line(at, k->ptx_end)) {
        unsigned number;
        int n = sscanf(line_at(at, k->ptx_end, buf), ".file %u \"%255[^\"]\" \"%255[^\"]\"",
                       &number, first, second);
        if (n < 2 || number != file)
            continue;
        const char *found = n == 3 ? second : first;
        snprintf(name, 256, "%s", strncmp(found, "./", 2) == 0 ? found + 2 : found);
        return true;
    }
    return false;
}

bool kernel_place(struct kernel_place *out, const struct kernel_file *k, int ptx_line)
{
    unsigned file;
    if (!find_loc(k, ptx_line, &file, &out->line) || !find_file(k, file, out->file))
        return false;
    const char *text = kernel_source(out->file);
    for (int n = 1; text && n < out->line; n++) {
        text = strchr(text, '\n');
        text = text ? text + 1 : NULL;
    }
    if (!text)
        return false;
    text += strspn(text, " \t");
    out->text = text;
    out->n = strcspn(text, "\n");
    return true;
}
