/* The corrupted elements of a tensor as few bytes: indices as LEB128 gaps, then the four byte planes
 * of (faulty bits xor golden bits), lowest first; the first byte says whether the rest is such bytes
 * plain (0) or compressed with zstd (1), whichever is shorter. */
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "store/priv.h"

enum { PLAIN = 0, ZSTD = 1, LEVEL = 3, WORTH_COMPRESSING = 48 };

struct diff_codec {
    ZSTD_CCtx *compress;
    ZSTD_DCtx *decompress;
    uint8_t *plain, *packed;
    size_t plain_room, packed_room;
};

struct diff_codec *diff_codec_new(void)
{
    struct diff_codec *c = calloc(1, sizeof *c);
    if (c && (!(c->compress = ZSTD_createCCtx()) || !(c->decompress = ZSTD_createDCtx()))) {
        diff_codec_free(c);
        return NULL;
    }
    return c;
}

void diff_codec_free(struct diff_codec *c)
{
    if (!c)
        return;
    ZSTD_freeCCtx(c->compress);
    ZSTD_freeDCtx(c->decompress);
    free(c->plain);
    free(c->packed);
    free(c);
}

static bool reserve(uint8_t **p, size_t *room, size_t need)
{
    if (need <= *room)
        return true;
    uint8_t *grown = realloc(*p, need * 2);
    if (!grown)
        return false;
    *p = grown;
    *room = need * 2;
    return true;
}

static uint32_t golden_bits(const float *golden, uint32_t index)
{
    uint32_t bits;
    memcpy(&bits, golden + index, sizeof bits);
    return bits;
}

static size_t lay_out(uint8_t *out, const struct store_diff *diffs, size_t n, const float *golden)
{
    uint8_t *p = out;
    uint32_t last = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t gap = diffs[i].index - last;
        last = diffs[i].index;
        for (; gap >= 128; gap >>= 7)
            *p++ = (uint8_t)(gap | 128);
        *p++ = (uint8_t)gap;
    }
    for (int plane = 0; plane < 4; plane++)
        for (size_t i = 0; i < n; i++)
            *p++ = (uint8_t)((diffs[i].faulty_bits ^ golden_bits(golden, diffs[i].index)) >>
                             (8 * plane));
    return (size_t)(p - out);
}

int diff_encode(struct diff_codec *c, const struct store_diff *diffs, size_t n, const float *golden,
                const uint8_t **bytes, size_t *len, struct diag *d)
{
    if (!reserve(&c->plain, &c->plain_room, 1 + 9 * n))
        return diag_fail(d, ERR_NOMEM, DIAG_NOWHERE, "out of memory for %zu differences", n);
    c->plain[0] = PLAIN;
    size_t plain = lay_out(c->plain + 1, diffs, n, golden);
    *bytes = c->plain;
    *len = 1 + plain;
    if (plain < WORTH_COMPRESSING)
        return OK;
    size_t bound = ZSTD_compressBound(plain);
    if (!reserve(&c->packed, &c->packed_room, 1 + bound))
        return diag_fail(d, ERR_NOMEM, DIAG_NOWHERE, "out of memory for %zu differences", n);
    size_t packed =
        ZSTD_compressCCtx(c->compress, c->packed + 1, bound, c->plain + 1, plain, LEVEL);
    if (ZSTD_isError(packed) || packed >= plain)
        return OK;
    c->packed[0] = ZSTD;
    *bytes = c->packed;
    *len = 1 + packed;
    return OK;
}

static bool read_indices(struct store_diff *out, size_t n, size_t n_golden, const uint8_t **p,
                         const uint8_t *end)
{
    uint64_t index = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t gap = 0;
        int shift = 0;
        do {
            if (*p == end || shift > 28)
                return false;
            gap |= (uint64_t)(**p & 127) << shift;
            shift += 7;
        } while (*(*p)++ & 128);
        if (i > 0 && gap == 0)
            return false;
        index += gap;
        if (index >= n_golden)
            return false;
        out[i] = (struct store_diff){.index = (uint32_t)index};
    }
    return true;
}

bool diff_decode(struct diff_codec *c, struct store_diff *out, size_t n, const uint8_t *bytes,
                 size_t len, const float *golden, size_t n_golden)
{
    if (len == 0 || n > n_golden)
        return false;
    const uint8_t *p = bytes + 1, *end = bytes + len;
    if (bytes[0] == ZSTD) {
        if (!reserve(&c->plain, &c->plain_room, 9 * n))
            return false;
        size_t plain = ZSTD_decompressDCtx(c->decompress, c->plain, 9 * n, p, len - 1);
        if (ZSTD_isError(plain))
            return false;
        p = c->plain;
        end = p + plain;
    } else if (bytes[0] != PLAIN) {
        return false;
    }
    if (!read_indices(out, n, n_golden, &p, end) || (size_t)(end - p) != 4 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        uint32_t flipped = (uint32_t)p[i] | (uint32_t)p[n + i] << 8 | (uint32_t)p[2 * n + i] << 16 |
                           (uint32_t)p[3 * n + i] << 24;
        if (flipped == 0)
            return false;
        out[i].faulty_bits = flipped ^ golden_bits(golden, out[i].index);
    }
    return true;
}
