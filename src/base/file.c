#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(struct diag *d, const char *path, const char *what)
{
    return diag_fail(d, ERR_IO, (struct loc){.file = path}, "%s: %s", what, strerror(errno));
}

static int read_some(struct text *out, struct arena *a, const char *path, size_t max_bytes,
                     bool whole, struct diag *d)
{
    int rc = OK;
    FILE *f = fopen(path, "rb");
    if (!f)
        return fail(d, path, "cannot open");
    struct stat st;
    if (fstat(fileno(f), &st) != 0 || !S_ISREG(st.st_mode)) {
        rc = diag_fail(d, ERR_INPUT, (struct loc){.file = path}, "not a regular file");
        goto out;
    }
    if (whole && (unsigned long long)st.st_size > max_bytes) {
        rc = diag_fail(d, ERR_INPUT, (struct loc){.file = path},
                       "%lld bytes: larger than the %zu bytes accepted here", (long long)st.st_size,
                       max_bytes);
        goto out;
    }
    size_t size = (unsigned long long)st.st_size > max_bytes ? max_bytes : (size_t)st.st_size;
    char *p = arena_alloc(a, size + 1);
    size_t got = fread(p, 1, size, f);
    if (got != size) {
        rc = ferror(f)
                 ? fail(d, path, "cannot read")
                 : diag_fail(d, ERR_IO, (struct loc){.file = path}, "became shorter while read");
        goto out;
    }
    *out = (struct text){arena_strdup(a, path), p, size};
out:
    fclose(f);
    return rc;
}

int file_read(struct text *out, struct arena *a, const char *path, size_t max_bytes, struct diag *d)
{
    return read_some(out, a, path, max_bytes, true, d);
}

int file_read_start(struct text *out, struct arena *a, const char *path, size_t max_bytes,
                    struct diag *d)
{
    return read_some(out, a, path, max_bytes, false, d);
}

struct bytes {
    const char *p;
    size_t len;
};

static int write_all(int fd, const char *p, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

static int write_both(int fd, const struct bytes part[2])
{
    for (int i = 0; i < 2; i++)
        if (write_all(fd, part[i].p, part[i].len) != 0)
            return -1;
    return fsync(fd);
}

/* A device or a pipe (/dev/stdout): there is nothing to replace. */
static int write_through(const char *path, const struct bytes part[2], struct diag *d)
{
    int rc = OK, fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || (write_both(fd, part) != 0 && errno != EINVAL && errno != EROFS))
        rc = fail(d, path, "cannot write"); /* what cannot be synced says EINVAL or EROFS */
    if (fd >= 0)
        close(fd);
    return rc;
}

int file_write_two(const char *path, const void *head, size_t head_len, const void *bytes,
                   size_t len, struct diag *d)
{
    const struct bytes part[2] = {{head, head_len}, {bytes, len}};
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return write_through(path, part, d);
    char tmp[4096];
    if (snprintf(tmp, sizeof tmp, "%s.%ld.tmp", path, (long)getpid()) >= (int)sizeof tmp)
        return diag_fail(d, ERR_INPUT, (struct loc){.file = path}, "name too long");
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return fail(d, path, "cannot create");
    int bad = write_both(fd, part) != 0;
    if (close(fd) != 0)
        bad = 1;
    if (bad || rename(tmp, path) != 0) {
        int rc = fail(d, path, "cannot write");
        unlink(tmp);
        return rc;
    }
    return OK;
}

int file_write(const char *path, const void *bytes, size_t len, struct diag *d)
{
    return file_write_two(path, NULL, 0, bytes, len, d);
}

int file_mkdirs(const char *path, struct diag *d)
{
    char part[4096];
    if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part)
        return diag_fail(d, ERR_INPUT, (struct loc){.file = path}, "name too long");
    for (char *p = part + 1;; p++) {
        if (*p && *p != '/')
            continue;
        char was = *p;
        *p = 0;
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return fail(d, path, "cannot make directory");
        if (!was)
            break;
        *p = was;
    }
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return diag_fail(d, ERR_IO, (struct loc){.file = path}, "exists and is not a directory");
    return OK;
}
