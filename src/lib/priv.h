#ifndef LIB_PRIV_H
#define LIB_PRIV_H

#include "base/diag.h"
#include "sievert.h"

/* Hand a diag over as the caller's error; returns rc. */
int lib_done(int rc, const struct diag *d, struct sievert_error *error);
/* An argument that must not be NULL is. */
int lib_null(const char *what, struct sievert_error *error);

_Static_assert((int)SIEVERT_BAD_INPUT == (int)ERR_INPUT, "statuses agree");
_Static_assert((int)SIEVERT_INTERRUPTED == (int)ERR_INTERRUPTED, "statuses agree");

#endif
