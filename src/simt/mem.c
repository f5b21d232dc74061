/* Global memory: one mapped region of whole pages, with a bit per chunk written. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "simt/mem.h"

static const uint64_t base_address = 0x7f2400000000u, most_bytes = 16ull << 30;

struct simt_mem *simt_mem_new(const struct simt_mem_options *options)
{
    struct simt_mem *m = calloc(1, sizeof *m);
    if (!m)
        abort();
    m->page = options && options->page_bytes ? options->page_bytes : 2u << 20;
    m->align = options && options->align_bytes ? options->align_bytes : 512;
    return m;
}

static uint8_t *map_bytes(uint64_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static size_t words_for(uint64_t bytes) { return (size_t)((bytes / SIMT_CHUNK + 64) / 64); }

static uint64_t *new_words(uint64_t bytes)
{
    uint64_t *words = calloc(words_for(bytes), sizeof *words);
    if (!words)
        abort();
    return words;
}

void simt_mem_free(struct simt_mem *m)
{
    if (!m)
        return;
    if (m->data)
        munmap(m->data, m->size);
    free(m->written);
    free(m);
}

/* Map `size` bytes in all, keeping what is there. */
static bool resize(struct simt_mem *m, uint64_t size)
{
    void *p = m->data ? mremap(m->data, m->size, size, MREMAP_MAYMOVE) : map_bytes(size);
    if (!p || p == MAP_FAILED)
        return false;
    uint64_t *words = new_words(size);
    if (m->data)
        memcpy(words, m->written, words_for(m->size) * sizeof *words);
    free(m->written);
    m->data = p;
    m->written = words;
    m->size = size;
    return true;
}

int simt_mem_alloc(struct simt_mem *m, uint64_t bytes, uint64_t *address, struct diag *d)
{
    uint64_t at = (m->used + m->align - 1) / m->align * m->align;
    if (bytes == 0)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "a buffer of 0 bytes");
    if (bytes > most_bytes || at > most_bytes - bytes)
        return diag_fail(
            d, ERR_INPUT, DIAG_NOWHERE,
            "%llu bytes more than the %llu in use: beyond the 16 GiB a simulation may have",
            (unsigned long long)bytes, (unsigned long long)m->used);
    uint64_t size = (at + bytes + m->page - 1) / m->page * m->page;
    if (size > m->size && !resize(m, size))
        return diag_fail(d, ERR_NOMEM, DIAG_NOWHERE, "no memory for a buffer of %llu bytes",
                         (unsigned long long)bytes);
    m->used = at + bytes;
    *address = base_address + at;
    return OK;
}

static uint64_t offset_of(const struct simt_mem *m, uint64_t address, size_t n)
{
    assert(address >= base_address && address - base_address <= m->size &&
           m->size - (address - base_address) >= n);
    (void)m, (void)n; /* without assertions */
    return address - base_address;
}

void simt_mem_write(struct simt_mem *m, uint64_t address, const void *bytes, size_t n)
{
    uint64_t at = offset_of(m, address, n);
    if (n == 0)
        return;
    memcpy(m->data + at, bytes, n);
    for (uint64_t c = at / SIMT_CHUNK; c <= (at + n - 1) / SIMT_CHUNK; c++)
        m->written[c / 64] |= 1ull << c % 64;
}

void simt_mem_read(const struct simt_mem *m, uint64_t address, void *bytes, size_t n)
{
    uint64_t at = offset_of(m, address, n);
    if (n)
        memcpy(bytes, m->data + at, n);
}

struct simt_mem_view simt_mem_view(const struct simt_mem *m)
{
    return (struct simt_mem_view){base_address, m->size, m->data};
}

/* Into fresh, zeroed pages: those that stay zero are not touched, so cost no memory. */
static void copy_nonzero(uint8_t *to, const uint8_t *from, uint64_t n)
{
    static const uint8_t zeros[4096];
    for (uint64_t at = 0; at < n; at += sizeof zeros) {
        size_t part = n - at < sizeof zeros ? (size_t)(n - at) : sizeof zeros;
        if (memcmp(from + at, zeros, part) != 0)
            memcpy(to + at, from + at, part);
    }
}

struct simt_mem *simt_mem_clone(const struct simt_mem *m)
{
    struct simt_mem *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    *c = *m;
    c->written = new_words(m->size);
    c->data = m->size ? map_bytes(m->size) : NULL;
    if (m->size && !c->data)
        abort();
    copy_nonzero(c->data, m->data, m->size);
    return c;
}

void simt_mem_restore(struct simt_mem *dst, const struct simt_mem *src)
{
    assert(dst->size == src->size);
    for (size_t w = 0; w < words_for(dst->size); w++) {
        for (uint64_t bits = dst->written[w]; bits; bits &= bits - 1) {
            uint64_t at = (w * 64 + (unsigned)__builtin_ctzll(bits)) * SIMT_CHUNK;
            if (at < dst->size)
                memcpy(dst->data + at, src->data + at,
                       dst->size - at < SIMT_CHUNK ? dst->size - at : SIMT_CHUNK);
        }
        dst->written[w] = 0;
    }
}

const uint64_t *simt_mem_written(const struct simt_mem *m, size_t *n_words)
{
    *n_words = m->size ? words_for(m->size) : 0;
    return m->written;
}

void simt_mem_forget(struct simt_mem *m)
{
    if (m->size)
        memset(m->written, 0, words_for(m->size) * sizeof *m->written);
}

uint8_t *simt_mem_data(struct simt_mem *m) { return m->data; }
