#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/priv.h"

void sink_bytes(struct sink *s, const char *bytes, size_t len)
{
    if (s->len + len + 1 > s->cap) {
        size_t cap = 2 * (s->len + len + 1);
        char *p = realloc(s->p, cap);
        if (!p) {
            fputs("sievert: out of memory\n", stderr);
            abort();
        }
        s->p = p;
        s->cap = cap;
    }
    memcpy(s->p + s->len, bytes, len);
    s->len += len;
    s->p[s->len] = 0;
}

void sink_text(struct sink *s, const char *text) { sink_bytes(s, text, strlen(text)); }

void sink_base64(struct sink *s, const uint8_t *bytes, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        uint32_t word = (uint32_t)bytes[i] << 16 | (n > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                        (n > 2 ? bytes[i + 2] : 0);
        char four[4] = {digits[word >> 18], digits[word >> 12 & 63],
                        n > 1 ? digits[word >> 6 & 63] : '=', n > 2 ? digits[word & 63] : '='};
        sink_bytes(s, four, sizeof four);
    }
}

void sink_free(struct sink *s)
{
    free(s->p);
    *s = (struct sink){0};
}

const char *report_shell_word(struct arena *a, const char *s)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-+=./:,@%";
    if (*s && strspn(s, plain) == strlen(s))
        return s;
    struct sink out = {0};
    sink_text(&out, "'");
    for (; *s; s++)
        sink_bytes(&out, *s == '\'' ? "'\\''" : s, *s == '\'' ? 4 : 1);
    sink_text(&out, "'");
    const char *word = arena_strdup(a, out.p);
    sink_free(&out);
    return word;
}
