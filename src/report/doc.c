#include "report/doc.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

const json_t *doc_at(const json_t *o, const char *path)
{
    while (o && *path) {
        size_t len = strcspn(path, ".");
        char key[64];
        if (len >= sizeof key)
            return NULL;
        memcpy(key, path, len);
        key[len] = 0;
        o = json_object_get(o, key);
        path += len + (path[len] == '.');
    }
    return json_is_null(o) ? NULL : o;
}

double doc_number(const json_t *o, const char *path)
{
    const json_t *j = doc_at(o, path);
    return json_is_number(j) ? json_number_value(j) : NAN;
}

const char *doc_text(const json_t *o, const char *path)
{
    const char *s = json_string_value(doc_at(o, path));
    return s ? s : "";
}

const json_t *doc_cell(const json_t *report, const char *layer, const char *impl)
{
    size_t i;
    const json_t *cell, *cells = doc_at(report, "cells");
    json_array_foreach (cells, i, cell)
        if (strcmp(doc_text(cell, "layer"), layer) == 0 &&
            strcmp(doc_text(cell, "impl"), impl) == 0)
            return cell;
    return NULL;
}

static char *print(char *buf, const char *fmt, double x, const char *unit)
{
    // cppcheck-suppress wrongPrintfScanfArgNum
    snprintf(buf, DOC_NUMBER, fmt, x, unit); /* a format may leave the unit out */
    return buf;
}

char *doc_percent(char buf[static DOC_NUMBER], double share)
{
    double p = 100 * share;
    if (!isfinite(p))
        return strcpy(buf, "-");
    int digits = p == 0 || p >= 9.995 ? 1 : p >= 0.0995 ? 2 : 3;
    snprintf(buf, DOC_NUMBER, "%.*f %%", digits, p);
    return buf;
}

char *doc_count(char buf[static DOC_NUMBER], double n)
{
    char digits[DOC_NUMBER];
    if (!isfinite(n) || fabs(n) >= 1e15)
        return isfinite(n) ? print(buf, "%.3g%s", n, "") : strcpy(buf, "-");
    int len = snprintf(digits, sizeof digits, "%.0f", n), k = 0;
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0 && digits[i - 1] != '-')
            buf[k++] = ',';
        buf[k++] = digits[i];
    }
    buf[k] = 0;
    return buf;
}

static char *scaled(char *buf, double x, double base, const char *const *units, size_t n)
{
    size_t i = 0;
    if (!isfinite(x))
        return strcpy(buf, "-");
    while (i + 1 < n && fabs(x) >= base * (1 - 0.0005)) {
        x /= base;
        i++;
    }
    if (i == 0 && x == floor(x))
        return print(buf, "%.0f%s", x, units[i]);
    return print(buf, fabs(x) >= 100 ? "%.0f%s" : "%.3g%s", x, units[i]);
}

char *doc_amount(char buf[static DOC_NUMBER], double x)
{
    static const char *const units[] = {"", " k", " M", " G", " T"};
    return scaled(buf, x, 1000, units, sizeof units / sizeof *units);
}

char *doc_bytes(char buf[static DOC_NUMBER], double bytes)
{
    static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB"};
    return scaled(buf, bytes, 1024, units, sizeof units / sizeof *units);
}

char *doc_times(char buf[static DOC_NUMBER], double factor)
{
    if (!isfinite(factor))
        return strcpy(buf, "-");
    return print(buf, factor >= 99.95 ? "%.0fx" : factor >= 9.995 ? "%.1fx" : "%.2fx", factor, "");
}
