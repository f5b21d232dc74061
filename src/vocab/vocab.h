/* The words that C, the store, JSON, the command line and the report share: one table each in a
 * .def file, X(ENUM, "word", "what it means"). Everything else is made from the tables. */
#ifndef VOCAB_VOCAB_H
#define VOCAB_VOCAB_H

#include <stddef.h>

#include "base/diag.h"

#define VOCAB_ENUM(id, word, help) id,

/* Which dynamic instructions can be struck. */
enum group {
#define X VOCAB_ENUM
#include "vocab/groups.def"
#undef X
    N_GROUPS,
    GROUP_NODEST =
        N_GROUPS /* NVBitFI's word for the rest, "nodest": nothing is written that could be struck */
};
/* What a buffer of global memory is to the program. */
enum role {
#define X VOCAB_ENUM
#include "vocab/roles.def"
#undef X
    N_ROLES
};
/* What can be struck: WHERE_GROUP_GP .. have the numbers of their groups, WHERE_ROLE_INPUT .. are roles. */
enum where {
#define X(id, word, help) WHERE_##id,
#include "vocab/groups.def"
#include "vocab/cells.def"
#include "vocab/roles.def"
#undef X
    N_WHERES
};
/* When a memory cell is struck. */
enum moment {
#define X VOCAB_ENUM
#include "vocab/moments.def"
#undef X
    N_MOMENTS
};
/* What the upset does to the value. */
enum flip {
#define X VOCAB_ENUM
#include "vocab/flips.def"
#undef X
    N_FLIPS
};
/* Which lanes of the warp it strikes. */
enum scope {
#define X VOCAB_ENUM
#include "vocab/scopes.def"
#undef X
    N_SCOPES
};
/* What came of an injection. */
enum outcome {
#define X VOCAB_ENUM
#include "vocab/outcomes.def"
#undef X
    N_OUTCOMES
};
/* What became of the error. */
enum fate {
#define X VOCAB_ENUM
#include "vocab/fates.def"
#undef X
    N_FATES
};
/* What can happen in the life of an error. */
enum event {
#define X VOCAB_ENUM
#include "vocab/events.def"
#undef X
    N_EVENTS
};
/* Why the simulated GPU stopped. */
enum trap_kind {
#define X VOCAB_ENUM
#include "vocab/traps.def"
#undef X
    N_TRAPS
};
/* Spatial class of the corrupted elements of a tensor. */
enum pattern {
#define X VOCAB_ENUM
#include "vocab/patterns.def"
#undef X
    N_PATTERNS
};
/* Class of one corrupted value. */
enum value_class {
#define X VOCAB_ENUM
#include "vocab/values.def"
#undef X
    N_VALUES
};
/* What an error did to the application's answer. */
enum effect {
#define X VOCAB_ENUM
#include "vocab/effects.def"
#undef X
    N_EFFECTS
};
/* By what an error's effect is judged. */
enum task {
#define X VOCAB_ENUM
#include "vocab/tasks.def"
#undef X
    N_TASKS
};
/* What of a layer errors strike. */
enum layer_part {
#define X VOCAB_ENUM
#include "vocab/parts.def"
#undef X
    N_PARTS
};
/* How errors are shared among layers. */
enum layer_share {
#define X VOCAB_ENUM
#include "vocab/shares.def"
#undef X
    N_SHARES
};
/* How a campaign computes what a fault does. */
enum engine {
#define X VOCAB_ENUM
#include "vocab/engines.def"
#undef X
    N_ENGINES
};
/* How tensors lie in the GPU's memory. */
enum tensor_layout {
#define X VOCAB_ENUM
#include "vocab/layouts.def"
#undef X
    N_LAYOUTS
};

struct word {
    const char *word, *help;
};

struct vocab {
    const char *what; /* "flip", for messages */
    size_t n;
    const struct word *words; /* indexed by the enum */
};

extern const struct vocab vocab_groups, vocab_roles, vocab_wheres, vocab_moments, vocab_flips,
    vocab_scopes, vocab_outcomes, vocab_fates, vocab_events, vocab_traps, vocab_patterns,
    vocab_values, vocab_effects, vocab_engines, vocab_layouts, vocab_tasks, vocab_parts,
    vocab_shares;

/* Of GROUP_NODEST, too. */
const char *vocab_group_word(int group);
/* The word for value i. */
const char *vocab_word(const struct vocab *v, int i);
/* The value of a word; ERR_INPUT with the known words (and the nearest) in d if there is none. */
int vocab_find(const struct vocab *v, const char *word, int *out, struct diag *d);

/* Of n words, the one that text was probably meant to be (a small edit distance), or NULL. */
const char *vocab_nearest(const char *text, const char *const *words, size_t n);

#endif
