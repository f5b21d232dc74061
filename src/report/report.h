/* Stores and models -> one JSON document, and from it alone the terminal table, CSV and the HTML
 * page, so that all show the same numbers. Document: docs/FORMATS.md. */
#ifndef REPORT_REPORT_H
#define REPORT_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/diag.h"

/* One cell of the study: a layer computed by an implementation. Any path but campaign may be NULL. */
struct report_cell {
    const char *layer, *impl;
    const char *campaign;   /* store of injections */
    const char *model;      /* model JSON */
    const char *sim_direct; /* store of trials */
    const char *sim_model;
};
struct report_input {
    const char *title, *network, *dataset;
    double golden_accuracy; /* of the network on the images used, NAN if unknown */
    double confidence;      /* 0: 0.95 */
    const char *const *commands; /* to make everything again; NULL-terminated */
    size_t n_cells;
    const struct report_cell *cells;
};

int report_build(json_t **out, const struct report_input *in, struct diag *d);
/* The same for one campaign store: `sievert report run.db`. */
int report_campaign(json_t **out, const char *store, double confidence, struct diag *d);

void report_terminal(FILE *to, const json_t *report, bool colour);
int report_csv(const char *path, const json_t *report, struct diag *d);
int report_html(const char *path, const json_t *report, struct diag *d);
int report_write_json(const char *path, const json_t *report, struct diag *d);

#endif
