/* Campaigns over several inputs as one. Private to study/. */
#ifndef STUDY_STACK_H
#define STUDY_STACK_H

#include <stddef.h>

#include "base/diag.h"

/* parts: stores of the same campaign on n inputs one after another, each with its range of injections, in order. The
 * store made at path, which must not exist, has all of them: its input and output are theirs, one after another, and an
 * injection's differences lie in the image it ran on. */
int stack_campaigns(const char *path, size_t n, const char *const *parts, struct diag *d);

#endif
