/* What every fault there is did: tables, JSON. */
#ifndef CLI_CENSUS_H
#define CLI_CENSUS_H

#include "campaign/campaign.h"
#include "cli/cli.h"

void census_print(struct cli *cli, const struct census *c, const struct campaign_subject *s,
                  const struct fault_kind *kind);

#endif
