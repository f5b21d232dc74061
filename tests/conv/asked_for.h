/* SIEVERT_IMPL=NAME: tests of all implementations take only those with NAME in theirs. */
#ifndef TESTS_CONV_ASKED_FOR_H
#define TESTS_CONV_ASKED_FOR_H

#include <stdlib.h>
#include <string.h>

#include "conv/conv.h"

static inline bool asked_for(const struct conv_impl *impl)
{
    const char *name = getenv("SIEVERT_IMPL");
    return !name || strstr(impl->name, name);
}

#endif
