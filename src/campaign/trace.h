/* Inside of the tracer: trace.c follows one CTA, life.c the program. */
#ifndef CAMPAIGN_TRACE_H
#define CAMPAIGN_TRACE_H

#include "campaign/life.h"
#include "campaign/priv.h"
#include "simt/mem.h"
#include "simt/priv.h"

enum { ROW_BYTES = 8 * SIMT_LANES };

/* Bytes of shared or global memory that one lane touched. */
struct touch {
    uint8_t lane, bytes; /* 0: none that is followed */
    bool shared;
    uint64_t at;         /* offset in that memory */
    uint8_t content[16]; /* after a store */
};
/* One warp instruction of the fault-free CTA. */
struct entry {
    uint32_t insn, mask, n_touches;
    const uint8_t *rows;         /* its results, one row of ROW_BYTES each */
    const struct touch *touches; /* of stores */
};
struct stream {
    struct entry *v;
    size_t n, room;
};

/* A set of words with a bit each, and a list of those that ever were in it. */
struct word_set {
    uint64_t *bits;
    size_t n_bits, count;
    uint32_t *list;
    size_t n, room;
};
void word_set_init(struct word_set *s, uint64_t bytes);
void word_set_fini(struct word_set *s);
void word_set_clear(struct word_set *s);
void word_set_put(struct word_set *s, uint32_t word, bool in);
static inline bool word_set_has(const struct word_set *s, uint64_t word)
{
    return word < s->n_bits && (s->bits[word / 64] >> word % 64 & 1);
}

struct follower { /* where a warp of the faulty run is in the fault-free one's stream */
    size_t next;
    bool away;
};

struct tracer {
    const struct simt_program *program;
    const struct golden *golden;
    uint64_t *limits;
    struct simt *simt;
    struct injector *injector;
    struct simt_mem *good, *bad;
    size_t position;
    struct diff_list diffs;

    /* The fault-free CTA, recorded. */
    struct arena log;
    size_t logged; /* position + 1, or 0 */
    uint32_t n_warps, n_regs, shared_bytes;
    struct stream *streams;

    /* The faulty one. */
    const struct fault *fault; /* NULL: this CTA is not the one struck */
    struct simt_hook strike_hook;
    bool struck, strike_over;
    const struct ptx_kernel *kernel;
    uint32_t launch;
    uint64_t cta;
    struct follower *followers;
    uint32_t warps_room;
    uint8_t *good_rows, *bad_rows; /* [warp * n_regs + reg]: what each run wrote last */
    uint32_t *differs;             /* lanes, likewise */
    uint64_t n_differs;            /* lanes of registers */
    size_t rows_room;
    uint8_t *shared; /* the fault-free one's */
    size_t shared_room;
    struct word_set shared_words, global_words; /* that differ */
    int32_t special;                            /* index register that differs, or -1 */
    uint32_t special_lanes;
    int32_t special_warp; /* -1: all */
    struct {              /* the instruction that has started */
        struct warp *w;
        uint32_t insn, active, n_touches;
        bool reads; /* something that differs */
        struct touch touches[SIMT_LANES];
    } now;

    bool with_events, ever, read, spread, overwritten;
    struct life_event *events;
    size_t n_events, events_room;
    struct life *life;
};

/* Run the CTA at the position on the good memory, recording it (unless it is the one recorded last), then on
 * the bad one beside the record. f: NULL unless it is the struck one. False after a trap. */
bool trace_cta(struct tracer *t, const struct fault *f, struct experiment_result *out);
void trace_event(struct tracer *t, const struct life_event *e);

#endif
