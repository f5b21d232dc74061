/* Printing and parsing again changes no decoded instruction. */
#ifndef TESTS_SIMT_ROUND_TRIP_H
#define TESTS_SIMT_ROUND_TRIP_H

#include <stdbool.h>
#include <stddef.h>

/* Fails the test if text, printed and parsed again, is another module, or prints otherwise. False if it does
 * not parse in the first place. */
bool round_trip(const char *name, const char *text, size_t len);

#endif
