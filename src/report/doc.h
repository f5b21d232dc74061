/* Reading the document, for what is made from it alone: missing members read as 0, NAN or "". */
#ifndef REPORT_DOC_H
#define REPORT_DOC_H

#include <jansson.h>
#include <stddef.h>

/* Member by path, as "critical.direct.given_sdc"; NULL if there is none or it is null. */
const json_t *doc_at(const json_t *o, const char *path);
double doc_number(const json_t *o, const char *path);    /* NAN if there is none */
const char *doc_text(const json_t *o, const char *path); /* "" if there is none */

/* The cell of a layer and an implementation, or NULL. */
const json_t *doc_cell(const json_t *report, const char *layer, const char *impl);

/* Numbers as people read them, in buf, which is returned: "12.3 %", "1,234", "3.21 M", "1.50x". "-" for
 * what is not a number. */
enum { DOC_NUMBER = 32 };
char *doc_percent(char buf[static DOC_NUMBER], double share);
char *doc_count(char buf[static DOC_NUMBER], double n);
char *doc_amount(char buf[static DOC_NUMBER], double x);
char *doc_bytes(char buf[static DOC_NUMBER], double bytes);
char *doc_times(char buf[static DOC_NUMBER], double factor);

#endif
