/* Preloaded into the program under test: lets the N-th call that changes a file fail, or makes the wall clock
 * jump. What to do comes from the environment:
 *   SHIM_FAIL=N      the N-th call fails, counted from 1; SHIM_ON=1: and all later ones
 *   SHIM_ERRNO=E     with this error
 *   SHIM_COUNT=FILE  at the end, how many calls there were
 *   SHIM_CLOCK=1     each look at the wall clock is years off, in either direction
 *   SHIM_FAST=N      the monotonic clock runs N times as fast: what is done once a second is done N times
 *   SHIM_RECORD=FILE every change of a file or of a name is written there, in order, for power_cut.py:
 *                    a line "what inode offset n", then n bytes */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static atomic_long calls, looks;

static long number(const char *name)
{
    const char *v = getenv(name);
    return v ? atol(v) : 0;
}

/* ---- The record --------------------------------------------------------------------------------- */

static pthread_mutex_t recording = PTHREAD_MUTEX_INITIALIZER;

/* a: of writes the offset, of truncations the new size; bytes: what is written, or names. */
static void record(const char *what, unsigned long inode, long a, const void *bytes, size_t n)
{
    static int out = -1;
    char line[100];
    const char *path = getenv("SHIM_RECORD");
    if (!path)
        return;
    int saved = errno;
    pthread_mutex_lock(&recording);
    if (out < 0)
        out = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    int len = snprintf(line, sizeof line, "%s %lu %ld %zu\n", what, inode, a, n);
    struct iovec parts[] = {{line, (size_t)len}, {(void *)(size_t)bytes, n}};
    if (syscall(SYS_writev, out, parts, 2) != (long)((size_t)len + n))
        abort();
    pthread_mutex_unlock(&recording);
    errno = saved;
}

static unsigned long inode_of(int fd)
{
    struct stat s;
    return fstat(fd, &s) == 0 ? (unsigned long)s.st_ino : 0;
}

static void record_names(const char *what, const char *from, const char *to)
{
    char names[8192];
    int n = snprintf(names, sizeof names, "%s%c%s", from, 0, to);
    record(what, 0, 0, names, (size_t)n);
}

/* Whether this call is to fail; errno is set then. */
static int fails(void)
{
    long n = atomic_fetch_add(&calls, 1) + 1, at = number("SHIM_FAIL");
    if (!at || (number("SHIM_ON") ? n < at : n != at))
        return 0;
    errno = (int)number("SHIM_ERRNO");
    return 1;
}

static int is_file(int fd)
{
    struct stat s;
    return fstat(fd, &s) == 0 && S_ISREG(s.st_mode);
}

__attribute__((destructor)) static void tell(void)
{
    const char *path = getenv("SHIM_COUNT");
    FILE *f = path ? fopen(path, "w") : NULL;
    if (f)
        fprintf(f, "%ld\n", atomic_load(&calls));
    if (f)
        fclose(f);
}

#define REAL(type, name, ...)                                                                      \
    static type (*real)(__VA_ARGS__);                                                              \
    if (!real)                                                                                     \
    *(void **)&real = dlsym(RTLD_NEXT, #name)

/* what is recorded of it once it is done: of n bytes at p, at an offset. */
#define ON_FD(type, name, params, types, args, bad, done, what, at, p, n)                          \
    type name params;                                                                              \
    type name params                                                                               \
    {                                                                                              \
        static type(*real) types;                                                                  \
        if (!real)                                                                                 \
            *(void **)&real = dlsym(RTLD_NEXT, #name);                                             \
        if (!is_file(fd))                                                                          \
            return real args;                                                                      \
        if (fails())                                                                               \
            return bad;                                                                            \
        type r = real args;                                                                        \
        if (done)                                                                                  \
            record(what, inode_of(fd), (long)(at), p, (size_t)(n));                                \
        return r;                                                                                  \
    }
ON_FD(ssize_t, pwrite, (int fd, const void *p, size_t n, off_t at),
      (int, const void *, size_t, off_t), (fd, p, n, at), -1, r > 0, "write", at, p, r)
ON_FD(ssize_t, pwrite64, (int fd, const void *p, size_t n, off64_t at),
      (int, const void *, size_t, off64_t), (fd, p, n, at), -1, r > 0, "write", at, p, r)
ON_FD(ssize_t, write, (int fd, const void *p, size_t n), (int, const void *, size_t), (fd, p, n),
      -1, r > 0, "write", lseek(fd, 0, SEEK_CUR) - r, p, r)
ON_FD(int, ftruncate, (int fd, off_t n), (int, off_t), (fd, n), -1, r == 0, "truncate", n, NULL, 0)
ON_FD(int, ftruncate64, (int fd, off64_t n), (int, off64_t), (fd, n), -1, r == 0, "truncate", n,
      NULL, 0)
ON_FD(int, posix_fallocate, (int fd, off_t at, off_t n), (int, off_t, off_t), (fd, at, n), errno,
      r == 0, "extend", at + n, NULL, 0)
ON_FD(int, posix_fallocate64, (int fd, off64_t at, off64_t n), (int, off64_t, off64_t), (fd, at, n),
      errno, r == 0, "extend", at + n, NULL, 0)

/* Of folders, too: their names are safe then. */
#define ON_SYNC(name)                                                                              \
    int name(int fd)                                                                               \
    {                                                                                              \
        REAL(int, name, int);                                                                      \
        struct stat s;                                                                             \
        bool folder = fstat(fd, &s) == 0 && S_ISDIR(s.st_mode);                                    \
        if (is_file(fd) && fails())                                                                \
            return -1;                                                                             \
        int r = real(fd);                                                                          \
        if (r == 0)                                                                                \
            record(folder ? "folder" : "sync", inode_of(fd), 0, NULL, 0);                          \
        return r;                                                                                  \
    }
ON_SYNC(fsync)
ON_SYNC(fdatasync)

int rename(const char *from, const char *to)
{
    REAL(int, rename, const char *, const char *);
    int r = fails() ? -1 : real(from, to);
    if (r == 0)
        record_names("rename", from, to);
    return r;
}

int renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
    REAL(int, renameat2, int, const char *, int, const char *, unsigned);
    int r = fails() ? -1 : real(a, from, b, to, flags);
    if (r == 0)
        record_names("rename", from, to);
    return r;
}

/* Not among the calls that fail: what cannot be removed or made is another matter. */
int unlink(const char *path)
{
    REAL(int, unlink, const char *);
    int r = real(path);
    if (r == 0)
        record_names("unlink", path, "");
    return r;
}

static int opened(int fd, const char *path, int flags, bool was_there)
{
    if (fd >= 0 && (flags & O_CREAT) && !was_there)
        record("create", inode_of(fd), 0, path, strlen(path));
    if (fd >= 0 && (flags & O_TRUNC) && was_there)
        record("truncate", inode_of(fd), 0, NULL, 0);
    return fd;
}

#define ON_OPEN(name)                                                                              \
    int name(const char *path, int flags, ...);                                                    \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        static int (*real)(const char *, int, ...);                                                \
        if (!real)                                                                                 \
            *(void **)&real = dlsym(RTLD_NEXT, #name);                                             \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                    \
        va_end(rest);                                                                              \
        bool there = access(path, F_OK) == 0;                                                      \
        return opened(real(path, flags, mode), path, flags, there);                                \
    }
ON_OPEN(open)
ON_OPEN(open64)

/* ---- The wall clock ------------------------------------------------------------------------------ */

static long jump(void)
{
    unsigned long x =
        (unsigned long)atomic_fetch_add(&looks, 1) * 6364136223846793005u + 1442695040888963407u;
    return number("SHIM_CLOCK") ? (long)(x >> 36) % 100000000 - 50000000 : 0;
}

int clock_gettime(clockid_t id, struct timespec *t)
{
    REAL(int, clock_gettime, clockid_t, struct timespec *);
    int rc = real(id, t);
    if (rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        t->tv_sec += jump();
    if (rc == 0 && id == CLOCK_MONOTONIC && number("SHIM_FAST") > 1) {
        t->tv_sec *= number("SHIM_FAST");
        t->tv_nsec *= number("SHIM_FAST");
        t->tv_sec += t->tv_nsec / 1000000000;
        t->tv_nsec %= 1000000000;
    }
    return rc;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
    REAL(int, gettimeofday, struct timeval *restrict, void *restrict);
    int rc = real(t, zone);
    if (rc == 0)
        t->tv_sec += jump();
    return rc;
}

time_t time(time_t *t)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (t)
        *t = now.tv_sec;
    return now.tv_sec;
}
