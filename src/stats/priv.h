/* Shared by the files of stats/ and its tests. */
#ifndef STATS_PRIV_H
#define STATS_PRIV_H

#include "base/arena.h"

/* Distribution function of the beta distribution: the regularised incomplete beta function. */
double stats_beta_cdf(double x, double a, double b);
double stats_log_beta(double a, double b);

#endif
