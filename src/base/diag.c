#include "base/diag.h"

#include <stdarg.h>
#include <stdio.h>

int diag_fail(struct diag *d, enum status code, struct loc at, const char *fmt, ...)
{
    if (!d || d->code != OK)
        return code;
    d->code = code;
    d->line = at.line;
    d->col = at.col;
    snprintf(d->file, sizeof d->file, "%s", at.file ? at.file : "");
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(d->msg, sizeof d->msg, fmt, ap);
    va_end(ap);
    return code;
}
