/* A campaign under way in numbers: for the progress of inject and for status. */
#ifndef CLI_WATCH_H
#define CLI_WATCH_H

#include <jansson.h>
#include <stdint.h>

/* "12.3 % [11.9, 12.8]", or "-" of none. confidence 0, here and below: of all there are, so without an interval. */
void share_text(char out[static 48], uint64_t k, uint64_t n, double confidence);
/* done, planned, rate, seconds_left (null: unknown), and a share with its interval for each outcome. */
json_t *progress_details(uint64_t done, uint64_t planned, double rate,
                         const uint64_t outcomes[static 3], double confidence);

#endif
