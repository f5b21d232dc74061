/* Values of the document. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/priv.h"

json_t *json_number(double x)
{
    char text[32];
    if (!isfinite(x))
        return json_null();
    snprintf(text, sizeof text, "%.6g", x);
    return json_real(strtod(text, NULL) + 0.0);
}

json_t *json_text(const char *s)
{
    json_t *j;
    size_t len = s ? strlen(s) : 0;
    char *copy = malloc(len + 1);
    if (!copy)
        return NULL;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];
        /* 0xC2 0x80..0x9F are the C1 controls: terminals obey some of them. */
        bool c1 = c >= 0x80 && c < 0xA0 && i > 0 && (unsigned char)s[i - 1] == 0xC2;
        copy[i] = c == '\t' ? ' ' : c < 0x20 || c == 0x7F ? '?' : c1 ? (char)0xBF : (char)c;
    }
    copy[len] = 0;
    j = json_string(copy);
    if (!j) {
        for (size_t i = 0; i < len; i++)
            if ((unsigned char)copy[i] >= 0x80)
                copy[i] = '?';
        j = json_string(copy);
    }
    free(copy);
    return j;
}

json_t *json_estimate(const struct estimate *e)
{
    return json_pack("{s:o, s:o, s:o}", "value", json_number(e->value), "lo", json_number(e->lo),
                     "hi", json_number(e->hi));
}

json_t *json_share(uint64_t k, uint64_t n, double confidence)
{
    if (n == 0)
        return json_pack("{s:I, s:n, s:n, s:n}", "n", (json_int_t)k, "share", "lo", "hi");
    struct estimate e = estimate_share((double)k, (double)n, confidence);
    return json_pack("{s:I, s:o, s:o, s:o}", "n", (json_int_t)k, "share", json_number(e.value),
                     "lo", json_number(e.lo), "hi", json_number(e.hi));
}
