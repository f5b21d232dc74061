/* The life of one error: the faulty run beside the fault-free one, instruction by instruction. */
#ifndef CAMPAIGN_LIFE_H
#define CAMPAIGN_LIFE_H

#include "campaign/campaign.h"

struct life_event {
    enum event event;
    uint32_t launch, warp, insn; /* insn: of the launch's kernel */
    uint64_t cta;
    uint32_t lanes;     /* that differ; 0 for events of a CTA as a whole */
    int32_t reg;        /* register that differs, or -1 */
    uint64_t good, bad; /* in the lowest of the lanes */
    size_t words;       /* of memory that differ: stored, left, overwritten */
};
enum { LIFE_MOST_EVENTS = 100000 }; /* more are counted only */
struct life {
    enum fate fate;
    bool has_last; /* the last instruction that read or made a difference */
    uint32_t last_launch, last_insn;
    uint64_t last_cta;
    uint64_t n_events;
    const struct life_event *events; /* the first of them; the tracer's until its next use */
};

struct tracer;
struct tracer *tracer_new(const struct simt_program *p, const struct golden *g,
                          uint32_t hang_factor);
void tracer_free(struct tracer *t);
/* out is what experiment_run would say. with_events: fill in events. Faults of one CTA one after another are
 * cheaper. False, with nothing said, if the CTA is longer than LIFE_MOST_INSTRUCTIONS. */
enum { LIFE_MOST_INSTRUCTIONS = 4000000 };
bool tracer_run(struct tracer *t, const struct fault *f, bool with_events, struct life *life,
                struct experiment_result *out);

#endif
