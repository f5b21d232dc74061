/* The vulnerability map as tables. */
#ifndef CLI_MAP_H
#define CLI_MAP_H

#include <jansson.h>

#include "cli/cli.h"

/* rows: what report_map made. */
void cli_print_map(struct cli *cli, const json_t *rows);
/* The strata of a campaign, with their weights, of its report; nothing if there are none. */
void cli_print_strata(struct cli *cli, const json_t *report);
void cli_print_fates(struct cli *cli, const json_t *rows);

#endif
