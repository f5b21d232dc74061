/* Preloaded into the program under test: lets the N-th call that changes a file fail, or makes the wall clock
 * jump. What to do comes from the environment:
 *   SHIM_FAIL=N      the N-th call fails, counted from 1; SHIM_ON=1: and all later ones
 *   SHIM_ERRNO=E     with this error
 *   SHIM_COUNT=FILE  at the end, how many calls there were
 *   SHIM_CLOCK=1     each look at the wall clock is years off, in either direction */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static atomic_long calls, looks;

static long number(const char *name)
{
    const char *v = getenv(name);
    return v ? atol(v) : 0;
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

#define ON_FD(type, name, params, types, args, bad)                                                \
    type name params;                                                                              \
    type name params                                                                               \
    {                                                                                              \
        static type(*real) types;                                                                  \
        if (!real)                                                                                 \
            *(void **)&real = dlsym(RTLD_NEXT, #name);                                             \
        return is_file(fd) && fails() ? bad : real args;                                           \
    }
ON_FD(ssize_t, pwrite, (int fd, const void *p, size_t n, off_t at),
      (int, const void *, size_t, off_t), (fd, p, n, at), -1)
ON_FD(ssize_t, pwrite64, (int fd, const void *p, size_t n, off64_t at),
      (int, const void *, size_t, off64_t), (fd, p, n, at), -1)
ON_FD(ssize_t, write, (int fd, const void *p, size_t n), (int, const void *, size_t), (fd, p, n),
      -1)
ON_FD(int, fsync, (int fd), (int), (fd), -1)
ON_FD(int, fdatasync, (int fd), (int), (fd), -1)
ON_FD(int, ftruncate, (int fd, off_t n), (int, off_t), (fd, n), -1)
ON_FD(int, ftruncate64, (int fd, off64_t n), (int, off64_t), (fd, n), -1)
ON_FD(int, posix_fallocate, (int fd, off_t at, off_t n), (int, off_t, off_t), (fd, at, n), errno)
ON_FD(int, posix_fallocate64, (int fd, off64_t at, off64_t n), (int, off64_t, off64_t), (fd, at, n),
      errno)

int rename(const char *from, const char *to)
{
    REAL(int, rename, const char *, const char *);
    return fails() ? -1 : real(from, to);
}

int renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
    REAL(int, renameat2, int, const char *, int, const char *, unsigned);
    return fails() ? -1 : real(a, from, b, to, flags);
}

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
