/* What a fuzz target is without libFuzzer: replays the files named, or mutates those of a folder N times
 * (--mutate FOLDER N SEED). */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/rng.h"

enum { MAX_BYTES = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct corpus {
    struct arena a;
    size_t n;
    struct text text[256];
};

static void load_folder(struct corpus *c, const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *e;
    while (dir && (e = readdir(dir)) && c->n < 256) {
        struct diag d = {0};
        if (e->d_name[0] != '.' &&
            file_read(&c->text[c->n], &c->a, arena_printf(&c->a, "%s/%s", folder, e->d_name),
                      1 << 20, &d) == OK)
            c->n++;
    }
    if (dir)
        closedir(dir);
}

/* Copy a piece of one text over, or into, another; or change, remove, repeat bytes. */
static size_t mutate(char *out, const struct corpus *c, struct rng *r)
{
    const struct text *t = &c->text[rng_below(r, c->n)], *other = &c->text[rng_below(r, c->n)];
    size_t n = t->len < MAX_BYTES / 2 ? t->len : MAX_BYTES / 2;
    memcpy(out, t->ptr, n);
    for (uint64_t k = rng_below(r, 4); n > 1 && other->len > 1 && k < 4; k++) {
        size_t at = rng_below(r, n), len = rng_below(r, n - at < 40 ? n - at : 40);
        size_t from = rng_below(r, other->len), piece = rng_below(r, 30);
        piece = piece < other->len - from ? piece : other->len - from;
        switch (rng_below(r, 4)) {
        case 0:
            out[at] = (char)(rng_below(r, 4) ? rng_u32(r) % 96 + 32 : rng_u32(r));
            break;
        case 1:
            memmove(out + at, out + at + len, n - at - len);
            n -= len;
            break;
        case 2:
            memmove(out + at + piece, out + at, n - at);
            memcpy(out + at, other->ptr + from, piece);
            n += piece;
            break;
        default:
            memcpy(out + at, other->ptr + from, piece < n - at ? piece : n - at);
        }
    }
    return n;
}

static int mutate_folder(const char *folder, uint64_t n, uint64_t seed)
{
    static char buffer[MAX_BYTES + 4096];
    struct corpus c = {0};
    load_folder(&c, folder);
    if (c.n == 0) {
        fprintf(stderr, "%s: no files\n", folder);
        return 1;
    }
    for (uint64_t i = 0; i < n; i++) {
        struct rng r;
        rng_init(&r, seed, i);
        size_t len = mutate(buffer, &c, &r);
        LLVMFuzzerTestOneInput((const uint8_t *)buffer, len);
    }
    printf("%llu mutations of %zu files, seed %llu\n", (unsigned long long)n, c.n,
           (unsigned long long)seed);
    arena_fini(&c.a);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "--mutate") == 0)
        return mutate_folder(argv[2], strtoull(argv[3], NULL, 0), strtoull(argv[4], NULL, 0));
    for (int i = 1; i < argc; i++) {
        struct arena a = {0};
        struct text t;
        struct diag d = {0};
        if (file_read(&t, &a, argv[i], 1 << 20, &d) != OK) {
            fprintf(stderr, "%s: %s\n", argv[i], d.msg);
            return 1;
        }
        LLVMFuzzerTestOneInput((const uint8_t *)t.ptr, t.len);
        arena_fini(&a);
    }
    return 0;
}
