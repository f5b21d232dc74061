/* Tensors per second and core that are characterised, 1x16x32x32 with about 85 corrupted values: from lists
 * of differences, from tensors in memory and from .npy files in the page cache. Beside them, what can be
 * had at best: comparing the same memory with memcmp, and reading the same files. The CLASSES classifier
 * (Python) was measured elsewhere at 150 tensors a second and core on such tensors. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/npy.h"
#include "base/rng.h"
#include "characterise/characterise.h"

enum { C = 16, H = 32, W = 32, ELEMS = C * H * W, TENSORS = 256, CORRUPTED = 100 };

/* Processor time: what a core would do without others on it. */
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A few channels share a region, as errors of tiled kernels do; every fourth tensor is scattered. */
static void corrupt(float *t, struct rng *r, int i)
{
    size_t channels = 1 + rng_below(r, 8), place = rng_below(r, H * W - 64);
    for (int k = 0; k < CORRUPTED; k++) {
        size_t at = i % 4 == 0 ? rng_below(r, ELEMS)
                               : rng_below(r, channels) * H * W + place + rng_below(r, 64);
        t[at] += (float)(rng_unit(r) * 3 + 0.01);
    }
}

enum { PEER = 150 }; /* tensors/s of the CLASSES classifier */

struct data {
    const float *golden, *faulty; /* TENSORS of them */
    struct value_range range;
    char files[TENSORS][64];
    struct difference *kept[TENSORS];
    size_t n_kept[TENSORS];
};

/* What is timed: one tensor. Returns something that depends on the work. */
typedef size_t work(const struct data *d, int i, struct arena *scratch,
                    const struct char_options *o);

static size_t label(const struct data *data, struct difference *d, size_t n,
                    const struct char_options *o)
{
    const size_t dim[4] = {1, C, H, W};
    struct characterisation c;
    characterise(&c, d, n, dim, data->range, o);
    return c.corrupted;
}

static size_t from_list(const struct data *d, int i, struct arena *scratch,
                        const struct char_options *o)
{
    (void)scratch;
    return label(d, d->kept[i], d->n_kept[i], o);
}

static size_t from_memory(const struct data *d, int i, struct arena *scratch,
                          const struct char_options *o)
{
    struct difference *diffs;
    size_t n = characterise_diff(&diffs, scratch, d->golden, d->faulty + (size_t)i * ELEMS, ELEMS);
    return label(d, diffs, n, o);
}

static size_t memory_alone(const struct data *d, int i, struct arena *scratch,
                           const struct char_options *o)
{
    size_t differ = 0;
    (void)scratch, (void)o;
    for (size_t k = 0; k < ELEMS; k += 256)
        differ +=
            memcmp(d->golden + k, d->faulty + (size_t)i * ELEMS + k, 256 * sizeof(float)) != 0;
    return differ;
}

static size_t from_file(const struct data *d, int i, struct arena *scratch,
                        const struct char_options *o)
{
    struct tensor t;
    struct difference *diffs;
    if (npy_read(&t, scratch, d->files[i], NULL) != OK)
        abort();
    size_t n = characterise_diff(&diffs, scratch, d->golden, t.data, ELEMS);
    return label(d, diffs, n, o);
}

static size_t file_alone(const struct data *d, int i, struct arena *scratch,
                         const struct char_options *o)
{
    struct text t;
    (void)o;
    if (file_read(&t, scratch, d->files[i], 1 << 24, NULL) != OK)
        abort();
    return t.len;
}

static double per_second(const struct data *d, work *w, bool compat)
{
    struct char_options o = {.epsilon = 1e-3, .compat = compat};
    struct arena scratch = {0};
    size_t sum = 0;
    size_t done = 0;
    double start = now(), seconds;
    do {
        for (int i = 0; i < TENSORS; i++) {
            arena_reset(&scratch);
            sum += w(d, i, &scratch, &o);
        }
        done += TENSORS;
        seconds = now() - start;
    } while (seconds < 0.5);
    arena_fini(&scratch);
    if (sum == 0) /* and the work cannot be left out */
        abort();
    return (double)done / seconds;
}

int main(void)
{
    static struct data d;
    struct arena a = {0};
    struct rng r;
    size_t corrupted = 0;
    char folder[] = "/tmp/bench_characterise_XXXXXX";
    rng_init(&r, 1, 1);
    float *golden = arena_array(&a, ELEMS, sizeof *golden);
    float *faulty = arena_array(&a, (size_t)TENSORS * ELEMS, sizeof *faulty);
    if (!mkdtemp(folder))
        return 1;
    for (size_t i = 0; i < ELEMS; i++)
        golden[i] = (float)(rng_unit(&r) * 4 - 2);
    d = (struct data){
        .golden = golden, .faulty = faulty, .range = characterise_range(golden, ELEMS)};
    for (int i = 0; i < TENSORS; i++) {
        float *t = faulty + (size_t)i * ELEMS;
        memcpy(t, golden, ELEMS * sizeof *golden);
        corrupt(t, &r, i);
        d.n_kept[i] = characterise_diff(&d.kept[i], &a, golden, t, ELEMS);
        corrupted += d.n_kept[i];
        snprintf(d.files[i], sizeof d.files[i], "%s/%d.npy", folder, i);
        struct tensor tensor = {4, {1, C, H, W}, t};
        if (npy_write(d.files[i], &tensor, NULL) != OK)
            return 1;
    }
    printf("characterise: tensors of 1x%dx%dx%d, %.0f corrupted values, per second of processor "
           "time\n",
           C, H, W, (double)corrupted / TENSORS);
    static const struct {
        const char *name;
        work *w;
    } row[] = {{"from lists of differences", from_list},
               {"from tensors in memory", from_memory},
               {"  memcmp of that memory alone", memory_alone},
               {"from .npy files in the page cache", from_file},
               {"  reading those files alone", file_alone}};
    printf("%-36s %12s %12s %24s\n", "", "documented", "classes", "CLASSES classifier = 1");
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        double x = per_second(&d, row[i].w, false), y = per_second(&d, row[i].w, true);
        printf("%-36s %12.0f %12.0f", row[i].name, x, y);
        if (row[i].name[0] != ' ')
            printf(" %24.0f", y / PEER);
        putchar('\n');
    }
    for (int i = 0; i < TENSORS; i++)
        unlink(d.files[i]);
    rmdir(folder);
    arena_fini(&a);
    return 0;
}
