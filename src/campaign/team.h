/* The ranks of one campaign. Rank 0 owns the store, hands out leases (ranges of injections) and works like the
 * others; each other rank writes a shard beside the store (shards.c). A lease is done when its rows are
 * committed. One that takes too long is given to another rank as well: both compute the same rows, and the
 * store takes them once. So a rank that is slow or lost holds nothing up. */
#ifndef CAMPAIGN_TEAM_H
#define CAMPAIGN_TEAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "store/store.h"

struct team;
struct progress;

/* *out is NULL where this process was not started by mpirun, or as the only one.
 * ERR_UNSUPPORTED: it was, and this build cannot. */
int team_open(struct team **out, struct diag *d);
/* Whether mpirun, or the like, started this process as one of several. */
bool team_is_expected(void);
/* Over a transport of the caller's. */
struct transport;
struct team *team_new(const struct transport *net);
int team_rank(const struct team *t);
int team_size(const struct team *t);
/* Ranks on this machine. */
int team_local(const struct team *t);

/* Rank 0: hand out these; first_lease at a time to a rank that has not shown how fast it is. */
void team_start(struct team *t, uint64_t identity, const struct store_span *todo, size_t n,
                uint64_t first_lease);
/* Another rank: wait for rank 0. false: there is nothing to do, be it that rank 0 failed. identity: ranks
 * with another one than rank 0 are turned away. */
bool team_join(struct team *t, uint64_t identity, const volatile bool *stop);

/* Talk with the others; call it several times a second. true: *lease is work for this rank. mine: what this
 * rank has done. */
bool team_turn(struct team *t, const struct progress *mine, struct store_span *lease);
/* Rows up to next (exclusive) were added: does that end a lease? Then commit and say so. */
bool team_ends_lease(const struct team *t, uint64_t next);
void team_committed(struct team *t, const struct progress *mine);
/* Nothing is left to do, or rank 0 said stop. */
bool team_over(const struct team *t);
/* Rank 0: what the other ranks did, added to p. */
void team_add_progress(const struct team *t, struct progress *p);

/* Rank 0: stop the others and wait until each has closed its shard, or seems lost. */
void team_gather(struct team *t);
/* The end for all ranks; others than 0 say that their shard is closed and wait for rank 0's word. Rank 0 calls
 * team_gather first, to have their rows. Frees t. */
void team_close(struct team *t);

struct team_stats {
    int ranks, lost, refused;
    uint64_t leases, taken_over, messages, bytes; /* messages: of rank 0, both ways */
};
struct team_stats team_stats(const struct team *t);

#endif
