/* The words of a kind of fault, and which combinations make sense. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inject/inject.h"

/* ---- Printing ----------------------------------------------------------------------------------- */

void fault_kind_print(char out[static FAULT_KIND_TEXT], const struct fault_kind *k)
{
    size_t n = 0;
#define ADD(...)                                                                                   \
    (n += n < FAULT_KIND_TEXT ? (size_t)snprintf(out + n, FAULT_KIND_TEXT - n, __VA_ARGS__) : 0)
    ADD("%s", vocab_word(&vocab_wheres, (int)k->where));
    if (k->moment != MOMENT_INSTANT)
        ADD("@%s", vocab_word(&vocab_moments, (int)k->moment));
    ADD(":%s", vocab_word(&vocab_flips, (int)k->flip));
    if (k->has_arg)
        ADD("=%u", k->arg);
    if (k->where < WHERE_SHARED)
        ADD(":%s", vocab_word(&vocab_scopes, (int)k->scope));
    if (k->kernel)
        ADD(":kernel=%.*s", (int)k->n_kernel, k->kernel);
    if (k->has_launch)
        ADD(":launch=%u", k->launch);
    if (k->first_line == k->last_line && k->first_line)
        ADD(":line=%d", k->first_line);
    else if (k->first_line)
        ADD(":line=%d-%d", k->first_line, k->last_line);
    if (k->sampling == SAMPLING_STRATIFIED)
        ADD(":strata");
    if (k->sampling == SAMPLING_CLUSTERED)
        ADD(":cluster=%u", k->cluster);
    if (k->sampling == SAMPLING_DISTINCT)
        ADD(":distinct=%u", (unsigned)fault_variants(k));
    if (k->sampling == SAMPLING_EXHAUSTIVE)
        ADD(":exhaustive");
#undef ADD
}

/* ---- Sense -------------------------------------------------------------------------------------- */

static int senseless(const struct fault_kind *k, struct diag *d, const char *why)
{
    char text[FAULT_KIND_TEXT];
    fault_kind_print(text, k);
    return diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "fault '%s' makes no sense: %s", text, why);
}

static bool takes_bit(enum flip f)
{
    return f == FLIP_SINGLE_BIT || f == FLIP_DOUBLE_BIT || f == FLIP_STUCK_AT_0 ||
           f == FLIP_STUCK_AT_1;
}

/* Bits of the widest thing that can be struck there. */
static uint32_t widest(enum where w)
{
    if (w == WHERE_GROUP_PR || w == WHERE_PREDICATE)
        return 1;
    return w <= WHERE_ADDRESS ? 64 : 32;
}

static int check_flip(const struct fault_kind *k, struct diag *d)
{
    uint32_t width = widest(k->where), last = k->arg + (k->flip == FLIP_DOUBLE_BIT);
    if (k->flip == FLIP_MULTI_BIT && !k->has_arg)
        return senseless(k, d, "say how many bits, as in multi-bit=3");
    if (k->flip == FLIP_MULTI_BIT && (k->arg < 1 || k->arg > width))
        return senseless(
            k, d, width == 1 ? "a predicate has one bit" : "more bits, or fewer, than a value has");
    if (k->has_arg && !takes_bit(k->flip) && k->flip != FLIP_MULTI_BIT)
        return senseless(k, d, "this flip has no number");
    if (width == 1 && k->flip == FLIP_DOUBLE_BIT)
        return senseless(k, d, "a predicate has one bit");
    if (k->has_arg && takes_bit(k->flip) && (k->arg >= width || last >= width))
        return senseless(k, d, "no value there has this bit; they count from 0");
    return OK;
}

uint64_t fault_variants(const struct fault_kind *k)
{
    if (k->flip == FLIP_ZERO_VALUE || (takes_bit(k->flip) && k->has_arg))
        return 1;
    bool one_bit = k->flip == FLIP_SINGLE_BIT || kind_is_stuck(k);
    return one_bit && k->scope != SCOPE_WARP_EACH ? 64 : 0;
}

static int check_filters(const struct fault_kind *k, struct diag *d)
{
    if (k->moment == MOMENT_LAUNCH && k->first_line)
        return senseless(k, d, "before a launch no line of its source is running");
    if (k->moment == MOMENT_LAUNCH && k->sampling == SAMPLING_CLUSTERED)
        return senseless(k, d, "before a launch there is no CTA to strike several times");
    if (k->sampling == SAMPLING_DISTINCT && fault_variants(k) == 0)
        return senseless(k, d, "there is no end of such faults that all differ");
    if (k->sampling == SAMPLING_EXHAUSTIVE && !fault_has_bits(k))
        return senseless(k, d,
                         "only single bits of results of instructions, in one thread, can be "
                         "exhausted: as gp:single-bit:thread");
    if (k->first_line < 0 || k->last_line < k->first_line)
        return senseless(k, d, "lines count from 1, the first before the last");
    return OK;
}

int fault_kind_check(const struct fault_kind *k, struct diag *d)
{
    if (k->where >= WHERE_SHARED && k->scope != SCOPE_THREAD)
        return senseless(k, d, "memory has no lanes; leave the scope out");
    if (k->moment == MOMENT_LAUNCH && k->where == WHERE_SHARED)
        return senseless(k, d, "shared memory begins with a CTA; there is none before a launch");
    if (k->moment == MOMENT_LAUNCH && !kind_is_global(k))
        return senseless(k, d, "only global memory holds anything before a launch");
    if (k->moment == MOMENT_LAUNCH && kind_is_stuck(k))
        return senseless(k, d, "stuck-at lasts to the end of a CTA; before a launch there is none");
    int rc = check_flip(k, d);
    return rc == OK ? check_filters(k, d) : rc;
}

/* ---- Parsing ------------------------------------------------------------------------------------ */

struct reader {
    const char *text;
    struct fault_kind *k;
    struct diag *d;
    int next; /* 0: where, 1: flip, 2: scope, 3: filters */
};

static int bad_part(struct reader *r, const char *part, size_t n, const char *why)
{
    return diag_fail(r->d, ERR_INPUT, DIAG_NOWHERE, "fault '%.120s': '%.*s': %s", r->text,
                     (int)(n < 80 ? n : 80), part, why);
}

static int read_word(struct reader *r, const struct vocab *v, const char *p, size_t n, int *out)
{
    char word[64];
    if (n >= sizeof word)
        return bad_part(r, p, n, "no such word");
    memcpy(word, p, n);
    word[n] = 0;
    return vocab_find(v, word, out, r->d);
}

/* The digits from p to end, which must be all there is. */
static bool read_number(const char *p, const char *end, uint32_t *out)
{
    uint64_t v = 0;
    if (p == end)
        return false;
    for (; p < end; p++) {
        if (*p < '0' || *p > '9' || (v = v * 10 + (uint64_t)(*p - '0')) > INT32_MAX)
            return false;
    }
    *out = (uint32_t)v;
    return true;
}

static int read_where(struct reader *r, const char *p, size_t n)
{
    const char *at = memchr(p, '@', n);
    int where, moment = MOMENT_INSTANT;
    int rc = read_word(r, &vocab_wheres, p, at ? (size_t)(at - p) : n, &where);
    if (rc == OK && at)
        rc = read_word(r, &vocab_moments, at + 1, n - (size_t)(at + 1 - p), &moment);
    if (rc != OK)
        return rc;
    r->k->where = (enum where)where;
    r->k->moment = (enum moment)moment;
    return OK;
}

static int read_flip(struct reader *r, const char *p, size_t n)
{
    const char *equals = memchr(p, '=', n);
    int flip, rc = read_word(r, &vocab_flips, p, equals ? (size_t)(equals - p) : n, &flip);
    if (rc != OK)
        return rc;
    r->k->flip = (enum flip)flip;
    r->k->has_arg = equals != NULL;
    if (equals && !read_number(equals + 1, p + n, &r->k->arg))
        return bad_part(r, p, n, "a number is expected after '='");
    return OK;
}

static int read_lines(struct reader *r, const char *p, const char *end)
{
    const char *dash = memchr(p, '-', (size_t)(end - p));
    uint32_t first, last;
    if (!read_number(p, dash ? dash : end, &first) || first == 0)
        return bad_part(r, p, (size_t)(end - p), "a line, or two as in 10-20, is expected");
    last = first;
    if (dash && !read_number(dash + 1, end, &last))
        return bad_part(r, p, (size_t)(end - p), "a line, or two as in 10-20, is expected");
    r->k->first_line = (int)first;
    r->k->last_line = (int)last;
    return OK;
}

static int sample(struct reader *r, const char *p, size_t n, enum sampling s)
{
    if (r->k->sampling != SAMPLING_PLAIN)
        return bad_part(r, p, n, "one way of sampling is enough");
    r->k->sampling = s;
    return OK;
}

/* Whether the part is a filter, which is then read, with its status in *rc. */
static bool read_filter(struct reader *r, const char *p, size_t n, int *rc)
{
    const char *end = p + n;
    *rc = OK;
    if (n > 7 && memcmp(p, "kernel=", 7) == 0) {
        r->k->kernel = p + 7;
        r->k->n_kernel = (uint32_t)(n - 7);
        if (n - 7 > FAULT_KIND_TEXT / 2)
            *rc = bad_part(r, p, n, "the name is too long");
    } else if (n > 7 && memcmp(p, "launch=", 7) == 0) {
        r->k->has_launch = true;
        if (!read_number(p + 7, end, &r->k->launch))
            *rc = bad_part(r, p, n, "the number of a launch, from 0, is expected");
    } else if (n > 5 && memcmp(p, "line=", 5) == 0) {
        *rc = read_lines(r, p + 5, end);
    } else if (n == 6 && memcmp(p, "strata", 6) == 0) {
        *rc = sample(r, p, n, SAMPLING_STRATIFIED);
    } else if (n > 8 && memcmp(p, "cluster=", 8) == 0) {
        *rc = sample(r, p, n, SAMPLING_CLUSTERED);
        if (*rc == OK && (!read_number(p + 8, end, &r->k->cluster) || r->k->cluster < 2))
            *rc = bad_part(r, p, n, "how many faults strike one CTA, 2 or more, is expected");
    } else if (n >= 8 && memcmp(p, "distinct", 8) == 0 && (n == 8 || p[8] == '=')) {
        uint32_t variants;
        *rc = sample(r, p, n, SAMPLING_DISTINCT);
        if (*rc == OK && n > 8 &&
            (!read_number(p + 9, end, &variants) || variants != fault_variants(r->k)))
            *rc = bad_part(r, p, n, "leave the number out: it follows from the flip");
    } else if (n == 10 && memcmp(p, "exhaustive", 10) == 0) {
        *rc = sample(r, p, n, SAMPLING_EXHAUSTIVE);
    } else {
        return false;
    }
    r->next = 3;
    return true;
}

static int read_part(struct reader *r, const char *p, size_t n)
{
    int rc, scope;
    if (r->next > 0 && read_filter(r, p, n, &rc))
        return rc;
    switch (r->next++) {
    case 0:
        return read_where(r, p, n);
    case 1:
        return read_flip(r, p, n);
    case 2:
        rc = read_word(r, &vocab_scopes, p, n, &scope);
        if (rc == OK)
            r->k->scope = (enum scope)scope;
        return rc;
    default:
        return bad_part(r, p, n, "only WHERE:FLIP:SCOPE and kernel=, launch=, line= are expected");
    }
}

int fault_kind_parse(struct fault_kind *out, const char *text, struct diag *d)
{
    struct reader r = {.text = text, .k = out, .d = d};
    *out = (struct fault_kind){.where = WHERE_GROUP_GP};
    for (const char *p = text;;) {
        size_t n = strcspn(p, ":");
        int rc = read_part(&r, p, n);
        if (rc != OK)
            return rc;
        if (p[n] == 0)
            break;
        p += n + 1;
    }
    return fault_kind_check(out, d);
}
