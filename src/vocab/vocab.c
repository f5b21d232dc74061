#include "vocab/vocab.h"

#include <stdio.h>
#include <string.h>

#define X(id, w, h) [id] = {w, h},
static const struct word group_words[] = {
#include "vocab/groups.def"
};
static const struct word role_words[] = {
#include "vocab/roles.def"
};
static const struct word moment_words[] = {
#include "vocab/moments.def"
};
static const struct word fate_words[] = {
#include "vocab/fates.def"
};
static const struct word event_words[] = {
#include "vocab/events.def"
};
static const struct word flip_words[] = {
#include "vocab/flips.def"
};
static const struct word scope_words[] = {
#include "vocab/scopes.def"
};
static const struct word outcome_words[] = {
#include "vocab/outcomes.def"
};
static const struct word trap_words[] = {
#include "vocab/traps.def"
};
static const struct word pattern_words[] = {
#include "vocab/patterns.def"
};
static const struct word value_words[] = {
#include "vocab/values.def"
};
static const struct word effect_words[] = {
#include "vocab/effects.def"
};
static const struct word task_words[] = {
#include "vocab/tasks.def"
};
static const struct word part_words[] = {
#include "vocab/parts.def"
};
static const struct word share_words[] = {
#include "vocab/shares.def"
};
static const struct word engine_words[] = {
#include "vocab/engines.def"
};
static const struct word layout_words[] = {
#include "vocab/layouts.def"
};
#undef X
#define X(id, w, h) [WHERE_##id] = {w, h},
static const struct word where_words[] = {
#include "vocab/groups.def"
#include "vocab/cells.def"
#include "vocab/roles.def"
};
#undef X

const struct vocab vocab_groups = {"instruction group", N_GROUPS, group_words};
const struct vocab vocab_roles = {"role", N_ROLES, role_words};
const struct vocab vocab_wheres = {"target", N_WHERES, where_words};
const struct vocab vocab_moments = {"moment", N_MOMENTS, moment_words};
const struct vocab vocab_events = {"event", N_EVENTS, event_words};
const struct vocab vocab_fates = {"fate", N_FATES, fate_words};
const struct vocab vocab_flips = {"flip", N_FLIPS, flip_words};
const struct vocab vocab_scopes = {"scope", N_SCOPES, scope_words};
const struct vocab vocab_outcomes = {"outcome", N_OUTCOMES, outcome_words};
const struct vocab vocab_traps = {"trap", N_TRAPS, trap_words};
const struct vocab vocab_patterns = {"pattern", N_PATTERNS, pattern_words};
const struct vocab vocab_values = {"value class", N_VALUES, value_words};
const struct vocab vocab_effects = {"effect", N_EFFECTS, effect_words};
const struct vocab vocab_tasks = {"task", N_TASKS, task_words};
const struct vocab vocab_parts = {"part of a layer", N_PARTS, part_words};
const struct vocab vocab_shares = {"way to share errors", N_SHARES, share_words};
const struct vocab vocab_engines = {"engine", N_ENGINES, engine_words};
const struct vocab vocab_layouts = {"layout", N_LAYOUTS, layout_words};

const char *vocab_word(const struct vocab *v, int i)
{
    return i >= 0 && (size_t)i < v->n ? v->words[i].word : "?";
}

/* Levenshtein distance, one row of the table at a time; words longer than the row are far. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b), row[64];
    if (la >= 64 || lb >= 64)
        return 64;
    for (size_t j = 0; j <= lb; j++)
        row[j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[lb];
}

const char *vocab_nearest(const char *text, const char *const *words, size_t n)
{
    const char *best = NULL;
    size_t best_distance = strlen(text) / 3 + 2; /* a third of the letters may be wrong, and one */
    for (size_t i = 0; i < n; i++) {
        size_t distance = edit_distance(text, words[i]);
        if (distance < best_distance) {
            best_distance = distance;
            best = words[i];
        }
    }
    return best;
}

int vocab_find(const struct vocab *v, const char *word, int *out, struct diag *d)
{
    char list[320] = "";
    const char *words[32];
    size_t used = 0, n = v->n < 32 ? v->n : 32;
    for (size_t i = 0; i < v->n; i++)
        if (strcmp(v->words[i].word, word) == 0) {
            *out = (int)i;
            return OK;
        }
    for (size_t i = 0; i < n; i++) {
        words[i] = v->words[i].word;
        if (used < sizeof list)
            used +=
                (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", words[i]);
    }
    const char *near = vocab_nearest(word, words, n);
    return diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "unknown %s '%s'%s%s%s (known: %s)", v->what, word,
                     near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "", list);
}

const char *vocab_group_word(int group)
{
    return group == GROUP_NODEST ? "nodest" : vocab_word(&vocab_groups, group);
}
