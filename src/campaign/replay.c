/* CTA replay: only the struck CTA runs, on memory as it was before it; after that, in the order of the
 * sequence, each CTA that reads a byte which differs runs again, and what the others write is taken
 * from the golden run. Since CTAs run one after another, what a CTA does is fixed by the memory it
 * starts with; so this is exact, also when CTAs of one launch communicate.
 *
 * Two memories move through time together, by the golden write logs, forwards and back: `good` is
 * always the golden one at `position`; `bad` equals it but for the chunks in `differing`. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "campaign/concurrent.h"

struct replay {
    const struct simt_program *program;
    const struct golden *golden;
    struct simt *simt;
    struct injector *injector;
    const uint64_t *limits;
    struct simt_mem *good_mem, *bad_mem;
    uint8_t *good, *bad; /* their bytes */
    size_t position;
    size_t *differing, n_differing; /* chunks, ascending */
    uint64_t *suspects;             /* bitmap of chunks to compare */
    size_t n_words;
    struct diff_list diffs;
};

struct replay *replay_new(const struct simt_program *p, const struct golden *g, struct simt *simt,
                          struct injector *injector, const uint64_t *limits)
{
    struct replay *r = calloc(1, sizeof *r);
    if (!r)
        abort();
    *r = (struct replay){.program = p,
                         .golden = g,
                         .simt = simt,
                         .injector = injector,
                         .limits = limits,
                         .good_mem = simt_mem_clone(p->mem),
                         .bad_mem = simt_mem_clone(p->mem),
                         .n_words = g->n_chunks / 64 + 1};
    r->good = simt_mem_data(r->good_mem);
    r->bad = simt_mem_data(r->bad_mem);
    r->differing = malloc((g->n_chunks + 1) * sizeof *r->differing);
    r->suspects = calloc(r->n_words, sizeof *r->suspects);
    if (!r->differing || !r->suspects)
        abort();
    return r;
}

void replay_free(struct replay *r)
{
    if (!r)
        return;
    simt_mem_free(r->good_mem);
    simt_mem_free(r->bad_mem);
    free(r->differing);
    free(r->suspects);
    free(r->diffs.v);
    free(r);
}

/* ---- Moving through time ---------------------------------------------------------------------------- */

static void write_log(uint8_t *memory, const struct cta_log *log, const uint8_t *bytes)
{
    for (size_t i = 0; i < log->n_writes; i++) {
        memcpy(memory + log->writes[i].at, bytes, log->writes[i].n);
        bytes += log->writes[i].n;
    }
}

void log_redo(const struct cta_log *log, uint8_t *memory) { write_log(memory, log, log->after); }
void log_undo(const struct cta_log *log, uint8_t *memory) { write_log(memory, log, log->before); }

static void move_to(struct replay *r, size_t position)
{
    for (; r->position < position; r->position++) {
        const struct cta_log *log = &r->golden->cta[r->position];
        write_log(r->good, log, log->after);
        write_log(r->bad, log, log->after);
    }
    while (r->position > position) {
        const struct cta_log *log = &r->golden->cta[--r->position];
        write_log(r->good, log, log->before);
        write_log(r->bad, log, log->before);
    }
}

/* ---- Differences ------------------------------------------------------------------------------------ */

static size_t chunk_bytes(const struct replay *r, size_t chunk)
{
    uint64_t left = r->golden->mem_bytes - (uint64_t)chunk * SIMT_CHUNK;
    return left < SIMT_CHUNK ? (size_t)left : SIMT_CHUNK;
}

static bool chunk_differs(const struct replay *r, size_t chunk)
{
    size_t at = chunk * SIMT_CHUNK;
    return memcmp(r->good + at, r->bad + at, chunk_bytes(r, chunk)) != 0;
}

static void suspect(struct replay *r, size_t chunk)
{
    r->suspects[chunk / 64] |= (uint64_t)1 << chunk % 64;
}

static void suspect_written_by_log(struct replay *r, const struct cta_log *log)
{
    for (size_t i = 0; i < log->n_writes; i++) {
        struct range w = log->writes[i];
        for (size_t c = w.at / SIMT_CHUNK; c <= (w.at + w.n - 1) / SIMT_CHUNK; c++)
            suspect(r, c);
    }
}

/* What the simulator wrote in `bad` since the last call. */
static void suspect_written(struct replay *r)
{
    size_t n;
    const uint64_t *words = simt_mem_written(r->bad_mem, &n);
    for (size_t i = 0; i < n && i < r->n_words; i++)
        r->suspects[i] |= words[i];
    simt_mem_forget(r->bad_mem);
}

/* Compare the suspects and those that differed; keep what differs still. */
static void find_differing(struct replay *r)
{
    for (size_t i = 0; i < r->n_differing; i++)
        suspect(r, r->differing[i]);
    r->n_differing = 0;
    for (size_t w = 0; w < r->n_words; w++) {
        for (uint64_t bits = r->suspects[w]; bits; bits &= bits - 1) {
            size_t chunk = w * 64 + (unsigned)__builtin_ctzll(bits);
            if (chunk < r->golden->n_chunks && chunk_differs(r, chunk))
                r->differing[r->n_differing++] = chunk;
        }
        r->suspects[w] = 0;
    }
}

static void make_equal(struct replay *r)
{
    for (size_t i = 0; i < r->n_differing; i++) {
        size_t at = r->differing[i] * SIMT_CHUNK;
        memcpy(r->bad + at, r->good + at, chunk_bytes(r, r->differing[i]));
    }
    r->n_differing = 0;
}

/* ---- Who sees a difference ---------------------------------------------------------------------------- */

/* First position from `from` on that read or wrote the chunk in the golden run. */
static size_t next_touching(const struct golden *g, size_t chunk, size_t from)
{
    size_t lo = g->chunk_at[chunk], hi = g->chunk_at[chunk + 1], end = hi;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (g->touching[mid] < from)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < end ? g->touching[lo] : SIZE_MAX;
}

/* Does a word of the chunk differ that the position or a later one reads or writes? */
static bool chunk_matters(const struct replay *r, size_t chunk)
{
    size_t at = chunk * SIMT_CHUNK;
    const uint32_t *good = (const uint32_t *)(const void *)(r->good + at);
    const uint32_t *bad = (const uint32_t *)(const void *)(r->bad + at);
    const uint32_t *last = r->golden->last_touch + at / 4;
    for (size_t i = 0; i < chunk_bytes(r, chunk) / 4; i++)
        if (good[i] != bad[i] && last[i] > r->position)
            return true;
    return false;
}

static size_t next_concerned(const struct replay *r)
{
    size_t next = SIZE_MAX;
    for (size_t i = 0; i < r->n_differing && next > r->position; i++) {
        if (!chunk_matters(r, r->differing[i]))
            continue;
        size_t p = next_touching(r->golden, r->differing[i], r->position);
        next = p < next ? p : next;
    }
    return next;
}

/* Does any byte differ that the CTA at the present position reads? */
static bool reads_difference(const struct replay *r)
{
    const struct cta_log *log = &r->golden->cta[r->position];
    size_t d = 0;
    for (size_t i = 0; i < log->n_reads; i++) {
        uint64_t from = log->reads[i].at, to = from + log->reads[i].n;
        while (d < r->n_differing && (r->differing[d] + 1) * SIMT_CHUNK <= from)
            d++;
        for (size_t k = d; k < r->n_differing && r->differing[k] * SIMT_CHUNK < to; k++) {
            uint64_t lo = r->differing[k] * SIMT_CHUNK, hi = lo + SIMT_CHUNK;
            lo = lo < from ? from : lo;
            hi = hi > to ? to : hi;
            if (memcmp(r->good + lo, r->bad + lo, (size_t)(hi - lo)) != 0)
                return true;
        }
    }
    return false;
}

/* ---- Running ---------------------------------------------------------------------------------------- */

static void note_run(struct replay *r, const struct simt_result *result, size_t launch,
                     struct experiment_result *out)
{
    const struct cta_log *log = &r->golden->cta[r->position];
    out->warp_insns += result->counts.warp_insns;
    out->trap = result->trap;
    out->trap_launch = (uint32_t)launch;
    suspect_written(r);
    if (result->trap.kind == TRAP_NONE) {
        suspect_written_by_log(r, log);
        write_log(r->good, log, log->after);
        r->position++;
    }
    find_differing(r);
}

/* The CTA at the present position on the bad memory. False after a trap. Moves on by one. */
static bool run_again(struct replay *r, struct experiment_result *out)
{
    size_t launch = golden_launch_of(r->golden, r->position);
    struct simt_run_options options = {.cta_limit = &r->limits[r->position]};
    struct simt_result result;
    simt_run(r->simt, r->bad_mem, &r->program->launches[launch],
             r->position - r->golden->first[launch], 1, &options, &result);
    note_run(r, &result, launch, out);
    return out->trap.kind == TRAP_NONE;
}

/* The same with the fault, from the last instant before it that is kept. */
static bool run_struck(struct replay *r, const struct fault *f, struct experiment_result *out)
{
    struct simt_hook hook = injector_arm(r->injector, r->program, f);
    const struct simt_launch *launch = &r->program->launches[f->launch];
    const struct simt_run_options options = {.cta_limit = &r->limits[r->position], .hook = &hook};
    const struct instant *from = golden_instant(r->golden, r->position, f->nth);
    struct simt_result result;
    injector_stop_idle(r->injector);
    if (from) {
        injector_skip(r->injector, from->sites);
        simt_run_from(r->simt, r->bad_mem, launch, from->state, &options, &result);
    } else {
        simt_run(r->simt, r->bad_mem, launch, f->cta, 1, &options, &result);
    }
    if (injector_idle(r->injector)) { /* nothing is different from now on */
        out->warp_insns += result.counts.warp_insns;
        suspect_written(r);
        find_differing(r);
        return false;
    }
    note_run(r, &result, f->launch, out);
    return out->trap.kind == TRAP_NONE;
}

/* The golden CTA at the present position overwrites differences, and moves on. */
static void overwrite(struct replay *r)
{
    move_to(r, r->position + 1);
    find_differing(r);
}

/* From the position on, while anything later sees a difference. */
static bool follow(struct replay *r, struct experiment_result *out)
{
    for (size_t next; (next = next_concerned(r)) != SIZE_MAX;) {
        move_to(r, next);
        if (!reads_difference(r))
            overwrite(r);
        else if (!run_again(r, out))
            return false;
    }
    return true;
}

static bool run_to_end(struct replay *r, const struct fault *f, struct experiment_result *out)
{
    move_to(r, r->golden->first[f->launch] + (size_t)f->cta);
    if (f->kind.moment == MOMENT_LAUNCH) {
        injector_before_launch(r->injector, r->program, f, r->bad_mem);
        suspect_written(r);
        find_differing(r);
        return follow(r, out);
    }
    return run_struck(r, f, out) && follow(r, out);
}

/* Nothing later touches the words that differ: they are as at the end of the full run. */
static void compare_output(struct replay *r)
{
    for (size_t i = 0; i < r->n_differing; i++) {
        uint64_t at = r->differing[i] * SIMT_CHUNK;
        diff_list_compare(&r->diffs, r->golden, r->good, r->bad, at, at + SIMT_CHUNK);
    }
}

void replay_run(struct replay *r, const struct fault *f, struct experiment_result *out)
{
    r->diffs.n = 0;
    if (run_to_end(r, f, out))
        compare_output(r);
    out->diffs = r->diffs.v;
    out->n_diffs = r->diffs.n;
    make_equal(r);
}

/* ---- For the concurrent engine ------------------------------------------------------------------- */

const struct simt_mem *replay_golden(const struct replay *r) { return r->good_mem; }
void replay_move_to(struct replay *r, size_t position) { move_to(r, position); }

static bool seen_later(const struct replay *r, const struct machine_word *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (r->golden->last_touch[words[i].machine] > r->position)
            return true;
    return false;
}

void replay_from_words(struct replay *r, const struct machine_word *words, size_t n,
                       struct experiment_result *out)
{
    uint32_t element;
    r->diffs.n = 0;
    if (!seen_later(r, words, n)) {
        for (size_t i = 0; i < n; i++) {
            if (golden_element(r->golden, (uint64_t)words[i].machine * 4, &element))
                diff_list_push(&r->diffs, element, words[i].value);
        }
    } else {
        for (size_t i = 0; i < n; i++) {
            memcpy(r->bad + (uint64_t)words[i].machine * 4, &words[i].value, 4);
            suspect(r, (size_t)words[i].machine * 4 / SIMT_CHUNK);
        }
        find_differing(r);
        if (follow(r, out))
            compare_output(r);
        make_equal(r);
    }
    out->diffs = r->diffs.v;
    out->n_diffs = r->diffs.n;
}
