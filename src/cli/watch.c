#include "cli/watch.h"

#include <stdio.h>

#include "stats/stats.h"
#include "vocab/vocab.h"

void share_text(char out[static 48], uint64_t k, uint64_t n, double confidence)
{
    if (n == 0) {
        snprintf(out, 48, "-");
        return;
    }
    if (confidence <= 0) {
        snprintf(out, 48, "%.4g %%", 100 * (double)k / (double)n);
        return;
    }
    struct interval i = stats_wilson((double)k, (double)n, confidence);
    snprintf(out, 48, "%.3g %% [%.3g, %.3g]", 100 * (double)k / (double)n, 100 * i.lo, 100 * i.hi);
}

static json_t *share(uint64_t k, uint64_t n, double confidence)
{
    if (n == 0)
        return json_pack("{s:i, s:n, s:n, s:n}", "n", 0, "share", "lo", "hi");
    struct interval i = {(double)k / (double)n, (double)k / (double)n};
    if (confidence > 0)
        i = stats_wilson((double)k, (double)n, confidence);
    return json_pack("{s:I, s:f, s:f, s:f}", "n", (json_int_t)k, "share", (double)k / (double)n,
                     "lo", i.lo, "hi", i.hi);
}

json_t *progress_details(uint64_t done, uint64_t planned, double rate,
                         const uint64_t outcomes[static 3], double confidence)
{
    uint64_t all = outcomes[OUTCOME_MASKED] + outcomes[OUTCOME_SDC] + outcomes[OUTCOME_DUE];
    json_t *shares = json_object();
    for (int i = 0; i < N_OUTCOMES; i++)
        json_object_set_new(shares, vocab_word(&vocab_outcomes, i),
                            share(outcomes[i], all, confidence));
    return json_pack("{s:I, s:I, s:f, s:o, s:o}", "done", (json_int_t)done, "planned",
                     (json_int_t)planned, "rate", rate, "seconds_left",
                     rate > 0 ? json_real((double)(planned - done) / rate) : json_null(),
                     "outcomes", shares);
}
