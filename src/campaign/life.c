/* The life of an error in a program: the struck CTA and those that later read what it left, each traced; what
 * became of it in the end. */
#include "campaign/life.h"

#include <stdlib.h>
#include <string.h>

#include "campaign/trace.h"

struct tracer *tracer_new(const struct simt_program *p, const struct golden *g,
                          uint32_t hang_factor)
{
    struct tracer *t = calloc(1, sizeof *t);
    uint64_t *limits = malloc((g->n_ctas + 1) * sizeof *limits);
    if (!t || !limits)
        abort();
    for (size_t i = 0; i < g->n_ctas; i++)
        limits[i] = g->cta[i].issued * (hang_factor ? hang_factor : 10);
    *t = (struct tracer){.program = p,
                         .golden = g,
                         .limits = limits,
                         .simt = simt_new(),
                         .injector = injector_new(),
                         .good = simt_mem_clone(p->mem),
                         .bad = simt_mem_clone(p->mem)};
    word_set_init(&t->global_words, g->mem_bytes);
    word_set_init(&t->shared_words, 0);
    return t;
}

void tracer_free(struct tracer *t)
{
    if (!t)
        return;
    word_set_fini(&t->shared_words);
    word_set_fini(&t->global_words);
    simt_mem_free(t->good);
    simt_mem_free(t->bad);
    simt_free(t->simt);
    injector_free(t->injector);
    arena_fini(&t->log);
    free(t->limits);
    free(t->good_rows);
    free(t->bad_rows);
    free(t->differs);
    free(t->followers);
    free(t->shared);
    free(t->events);
    free(t->diffs.v);
    free(t);
}

/* ---- Moving through time -------------------------------------------------------------------------- */

static void write_log(struct tracer *t, const struct cta_log *log, const uint8_t *bytes)
{
    for (size_t i = 0; i < log->n_writes; bytes += log->writes[i++].n) {
        memcpy(simt_mem_data(t->good) + log->writes[i].at, bytes, log->writes[i].n);
        memcpy(simt_mem_data(t->bad) + log->writes[i].at, bytes, log->writes[i].n);
    }
}

static void move_to(struct tracer *t, size_t position)
{
    for (; t->position < position; t->position++)
        write_log(t, &t->golden->cta[t->position], t->golden->cta[t->position].after);
    while (t->position > position) {
        t->position--;
        write_log(t, &t->golden->cta[t->position], t->golden->cta[t->position].before);
    }
}

/* ---- Words that differ between CTAs --------------------------------------------------------------- */

static void compare_word(struct tracer *t, uint64_t word)
{
    bool differs =
        memcmp(simt_mem_data(t->good) + 4 * word, simt_mem_data(t->bad) + 4 * word, 4) != 0;
    word_set_put(&t->global_words, (uint32_t)word, differs);
    t->ever |= differs;
}

static void compare_range(struct tracer *t, uint64_t at, uint64_t n)
{
    for (uint64_t word = at / 4; n && word <= (at + n - 1) / 4; word++)
        compare_word(t, word);
}

/* After a CTA ran: all that either run can have written. */
static void compare_memories(struct tracer *t)
{
    const struct cta_log *log = &t->golden->cta[t->position];
    size_t n, known = t->global_words.n;
    const uint64_t *written = simt_mem_written(t->bad, &n);
    for (size_t w = 0; w < n; w++)
        for (uint64_t bits = written[w]; bits; bits &= bits - 1) {
            uint64_t at = (w * 64 + (unsigned)__builtin_ctzll(bits)) * SIMT_CHUNK;
            compare_range(t, at,
                          t->golden->mem_bytes - at < SIMT_CHUNK ? t->golden->mem_bytes - at
                                                                 : SIMT_CHUNK);
        }
    simt_mem_forget(t->bad);
    for (size_t i = 0; i < log->n_writes; i++)
        compare_range(t, log->writes[i].at, log->writes[i].n);
    for (size_t i = 0; i < known; i++)
        compare_word(t, t->global_words.list[i]);
}

/* First position from `from` on that read or wrote the chunk in the golden run. */
static size_t next_touching(const struct golden *g, size_t chunk, size_t from)
{
    for (size_t i = g->chunk_at[chunk]; i < g->chunk_at[chunk + 1]; i++)
        if (g->touching[i] >= from)
            return g->touching[i];
    return SIZE_MAX;
}

/* The next position that touches a chunk with a word that differs and matters. */
static size_t next_concerned(const struct tracer *t)
{
    size_t next = SIZE_MAX, last = SIZE_MAX;
    for (size_t i = 0; i < t->global_words.n && next > t->position; i++) {
        uint32_t word = t->global_words.list[i];
        size_t chunk = (size_t)word * 4 / SIMT_CHUNK;
        if (!word_set_has(&t->global_words, word) || t->golden->last_touch[word] <= t->position ||
            chunk == last)
            continue;
        size_t p = next_touching(t->golden, chunk, t->position);
        next = p < next ? p : next;
        last = chunk;
    }
    return next;
}

static bool range_differs(const struct tracer *t, const struct range *r)
{
    for (uint64_t word = r->at / 4; word <= (r->at + r->n - 1) / 4; word++)
        if (word_set_has(&t->global_words, word) &&
            memcmp(simt_mem_data(t->good) + r->at, simt_mem_data(t->bad) + r->at, (size_t)r->n) !=
                0)
            return true;
    return false;
}

static bool reads_difference(const struct tracer *t)
{
    const struct cta_log *log = &t->golden->cta[t->position];
    for (size_t i = 0; i < log->n_reads; i++)
        if (range_differs(t, &log->reads[i]))
            return true;
    return false;
}

/* ---- The story ------------------------------------------------------------------------------------ */

static void set_place(struct tracer *t)
{
    t->launch = (uint32_t)golden_launch_of(t->golden, t->position);
    t->cta = t->position - t->golden->first[t->launch];
}

static void note(struct tracer *t, enum event event, size_t words)
{
    trace_event(t,
                &(struct life_event){
                    .event = event, .launch = t->launch, .cta = t->cta, .reg = -1, .words = words});
}

/* The CTA at the position, traced; struck: with the fault. False after a trap. */
static bool run_cta(struct tracer *t, const struct fault *f, bool struck,
                    struct experiment_result *out)
{
    set_place(t);
    if (!trace_cta(t, struck ? f : NULL, out)) {
        trace_event(t, &(struct life_event){.event = EVENT_TRAPPED,
                                            .launch = t->launch,
                                            .cta = t->cta,
                                            .warp = out->trap.warp,
                                            .insn = out->trap.insn,
                                            .lanes = (uint32_t)1 << out->trap.lane,
                                            .reg = -1});
        t->life->has_last = true;
        t->life->last_launch = t->launch;
        t->life->last_cta = t->cta;
        t->life->last_insn = out->trap.insn;
        return false;
    }
    const struct cta_log *log = &t->golden->cta[t->position];
    const uint8_t *bytes = log->after;
    for (size_t i = 0; i < log->n_writes; bytes += log->writes[i++].n)
        memcpy(simt_mem_data(t->good) + log->writes[i].at, bytes, log->writes[i].n);
    compare_memories(t);
    t->spread |= t->global_words.count > 0 && !kind_is_global(&f->kind);
    if (t->global_words.count)
        note(t, EVENT_LEFT, t->global_words.count);
    t->position++;
    return true;
}

/* The golden CTA writes over words that differ. */
static void overwrite(struct tracer *t)
{
    const struct cta_log *log = &t->golden->cta[t->position];
    size_t before = t->global_words.count;
    write_log(t, log, log->after);
    for (size_t i = 0; i < log->n_writes; i++)
        compare_range(t, log->writes[i].at, log->writes[i].n);
    set_place(t);
    if (t->global_words.count < before)
        note(t, EVENT_OVERWRITTEN, before - t->global_words.count);
    t->overwritten |= t->global_words.count == 0;
    t->position++;
}

static void strike_before_launch(struct tracer *t, const struct fault *f)
{
    injector_before_launch(t->injector, t->program, f, t->bad);
    const struct strike *s = injector_strike(t->injector);
    compare_word(t, (s->cell - simt_mem_view(t->bad).base) / 4);
    set_place(t);
    trace_event(t, &(struct life_event){.event = EVENT_STRUCK,
                                        .launch = t->launch,
                                        .cta = t->cta,
                                        .reg = -1,
                                        .good = s->before,
                                        .bad = s->after,
                                        .words = 1});
}

static bool run_all(struct tracer *t, const struct fault *f, struct experiment_result *out)
{
    move_to(t, t->golden->first[f->launch] + (size_t)f->cta);
    if (f->kind.moment == MOMENT_LAUNCH)
        strike_before_launch(t, f);
    else if (!run_cta(t, f, true, out))
        return false;
    for (size_t next; (next = next_concerned(t)) != SIZE_MAX;) {
        move_to(t, next);
        if (!reads_difference(t))
            overwrite(t);
        else if (!run_cta(t, f, false, out))
            return false;
    }
    return true;
}

static int by_index(const void *a, const void *b)
{
    const struct store_diff *x = a, *y = b;
    return x->index < y->index ? -1 : x->index > y->index;
}

static void find_diffs(struct tracer *t)
{
    uint32_t element, bits;
    for (size_t i = 0; i < t->global_words.n; i++) {
        uint32_t word = t->global_words.list[i];
        if (!word_set_has(&t->global_words, word) ||
            !golden_element(t->golden, (uint64_t)word * 4, &element))
            continue;
        memcpy(&bits, simt_mem_data(t->bad) + (size_t)word * 4, sizeof bits);
        diff_list_push(&t->diffs, element, bits);
    }
    if (t->diffs.n == 0)
        return;
    qsort(t->diffs.v, t->diffs.n, sizeof *t->diffs.v, by_index);
    size_t n = 1; /* a word that came back is listed twice */
    for (size_t i = 1; i < t->diffs.n; i++)
        if (t->diffs.v[i].index != t->diffs.v[n - 1].index)
            t->diffs.v[n++] = t->diffs.v[i];
    t->diffs.n = n;
}

/* Both memories golden again, at the position. */
static void restore(struct tracer *t, bool trapped)
{
    size_t n;
    if (trapped)
        write_log(t, &t->golden->cta[t->position], t->golden->cta[t->position].before);
    const uint64_t *written = simt_mem_written(t->bad, &n);
    for (size_t w = 0; w < n; w++)
        for (uint64_t bits = written[w]; bits; bits &= bits - 1) {
            uint64_t at = (w * 64 + (unsigned)__builtin_ctzll(bits)) * SIMT_CHUNK;
            uint64_t left = t->golden->mem_bytes - at;
            memcpy(simt_mem_data(t->bad) + at, simt_mem_data(t->good) + at,
                   left < SIMT_CHUNK ? (size_t)left : SIMT_CHUNK);
        }
    simt_mem_forget(t->bad);
    for (size_t i = 0; i < t->global_words.n; i++) {
        size_t at = (size_t)t->global_words.list[i] * 4;
        memcpy(simt_mem_data(t->bad) + at, simt_mem_data(t->good) + at, 4);
    }
    word_set_clear(&t->global_words);
}

static enum fate fate_of(const struct tracer *t, const struct fault *f,
                         const struct experiment_result *r)
{
    if (r->outcome != OUTCOME_MASKED)
        return r->outcome == OUTCOME_SDC ? FATE_OUTPUT : FATE_TRAP;
    if (!t->ever)
        return r->strike.has_cell ? FATE_UNCHANGED : FATE_NEVER_READ;
    if (!t->read)
        return t->overwritten && !kind_is_stuck(&f->kind) ? FATE_OVERWRITTEN : FATE_NEVER_READ;
    return t->spread ? FATE_CONVERGED : FATE_LOGICAL;
}

bool tracer_run(struct tracer *t, const struct fault *f, bool with_events, struct life *life,
                struct experiment_result *out)
{
    size_t position = t->golden->first[f->launch] + (size_t)f->cta;
    *life = (struct life){0};
    *out = (struct experiment_result){0};
    if (t->golden->cta[position].issued > LIFE_MOST_INSTRUCTIONS)
        return false;
    t->with_events = with_events;
    t->life = life;
    t->ever = t->read = t->spread = t->overwritten = t->struck = false;
    t->n_events = 0;
    t->diffs.n = 0;
    bool ran = run_all(t, f, out);
    if (ran)
        find_diffs(t);
    restore(t, !ran);
    out->diffs = t->diffs.v;
    out->n_diffs = t->diffs.n;
    out->strike = *injector_strike(t->injector);
    experiment_decide(out);
    out->fate = life->fate = fate_of(t, f, out);
    life->events = t->events;
    out->has_last = life->has_last;
    out->last_launch = life->last_launch;
    out->last_cta = life->last_cta;
    out->last_insn = life->last_insn;
    return true;
}
