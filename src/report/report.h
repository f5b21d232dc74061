/* Stores and models -> one JSON document, and from it alone the terminal table, CSV and the HTML
 * page, so that all show the same numbers. Document: docs/FORMATS.md. */
#ifndef REPORT_REPORT_H
#define REPORT_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/diag.h"
#include "store/store.h"

/* One cell of the study: a layer computed by an implementation. Any path but campaign may be NULL. */
struct report_cell {
    const char *layer, *impl;
    const char *campaign;   /* store of injections */
    const char *model;      /* model JSON */
    const char *sim_direct; /* store of trials */
    const char *sim_model;
};

/* Where the kernels came from, to show faults beside their source; either function may return NULL.
 * What they return must stay valid until the report is built. */
struct store_campaign;
struct report_sources {
    void *ctx;
    /* The PTX that a launch of a campaign ran. */
    const char *(*ptx)(void *ctx, const struct store_campaign *c, size_t launch);
    /* A source file, by the name it has in that PTX. */
    const char *(*file)(void *ctx, const char *name);
    /* The command, without its -o, that makes a campaign again; may be NULL. */
    const char *(*command)(void *ctx, const struct store_campaign *c);
};

/* A layer that an implementation could not compute, with the reason. */
struct report_skip {
    const char *layer, *impl, *reason;
};
struct report_input {
    const char *title, *network, *dataset;
    double golden_accuracy;      /* of the network on the images used, NAN if unknown */
    double confidence;           /* 0: 0.95 */
    const char *const *commands; /* to make everything again; NULL-terminated */
    /* The same for one cell, with {layer}, {impl}, {store}, {model}, {sim_direct}, {sim_model} where its own
     * go; may be NULL. */
    const char *const *cell_commands;
    size_t n_cells;
    const struct report_cell *cells;
    size_t n_skipped;
    const struct report_skip *skipped;
    const struct report_sources *sources; /* may be NULL */
    const json_t *
        validation; /* models against the injections' own tensors, as study_validate; may be NULL */
};

int report_build(json_t **out, const struct report_input *in, struct diag *d);
/* The same for one campaign store: `sievert report run.db`. */
int report_campaign(json_t **out, const char *store, double confidence,
                    const struct report_sources *sources, struct diag *d);

/* Campaigns of one fault, shape and seed: {"campaigns": [...], "tests": {...}}, the SDCs of each per fault, per bit-instant
 * of exposure and per inference (what would go wrong if each site were struck once: population x share), with
 * intervals; and all pairs' p-values with Holm's correction. */
int report_compare(json_t **out, const char *const *stores, size_t n, double confidence,
                   struct diag *d);
/* Where a campaign's program is vulnerable: {"lines": [...], "registers": [...], "fates": {word: share}}, each row with its kernel, `line` or
 * `register`, injections `n`, and the outcomes' shares with intervals; most SDCs and DUEs first. */
int report_map(json_t **out, const char *store, double confidence, struct diag *d);
/* A PNG of a corrupted tensor N, C, H, W: its channels side by side, coloured by the size of the error. diffs
 * ascend. */
int report_picture(const char *path, const size_t dim[4], const float *golden,
                   const struct store_diff *diffs, size_t n, struct diag *d);

/* A word for a POSIX shell, quoted if need be. In a. */
const char *report_shell_word(struct arena *a, const char *s);

void report_terminal(FILE *to, const json_t *report, bool colour);
int report_csv(const char *path, const json_t *report, struct diag *d);
int report_html(const char *path, const json_t *report, struct diag *d);
int report_write_json(const char *path, const json_t *report, struct diag *d);

#endif
