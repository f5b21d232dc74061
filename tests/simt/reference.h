/* The slow, obvious way to run a kernel, for comparing: one thread after another, one instruction after
 * another, each activation of a function with registers of its own. Shares with simt only the parser and
 * the expressions of isa.def. A thread stops where it needs others (barriers, votes, shuffles..): when
 * all threads of the CTA, or of the warp, that have not ended are there, they go on. */
#ifndef TESTS_SIMT_REFERENCE_H
#define TESTS_SIMT_REFERENCE_H

#include "simt/simt.h"

/* Runs all CTAs of l on m; counts executions by enum ptx_op in ran (of PTX_N_OPS), if not NULL. A trap says
 * its kind and instruction; what others did meanwhile depends on the order of threads, so memory then is
 * not to be compared. limit: instructions of a thread. */
struct simt_trap reference_run(struct simt_mem *m, const struct simt_launch *l, uint64_t limit,
                               uint64_t *ran);

/* The row's expression for one lane: operands and result as 64 bits; rows with one value per lane only. */
uint64_t reference_row(int op, uint64_t a, uint64_t b, uint64_t c);

#endif
