/* How the ranks of one campaign reach each other. What does it with MPI is a module of its own
 * (src/mpi), loaded only when mpirun started the program, so that the program itself neither links with an
 * MPI library nor waits for one to start. */
#ifndef CAMPAIGN_TRANSPORT_H
#define CAMPAIGN_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>

struct message {
    uint64_t kind, first, next, want, done, outcome[3];
};

struct transport {
    int rank, size;
    int local; /* ranks on this machine */
    /* Does not wait for the other side. */
    void (*send)(int to, const struct message *m);
    /* Whether a message came, and whose. Does not wait. */
    bool (*receive)(struct message *m, int *from);
    /* The last call. together: all ranks call it. Otherwise some are lost and nobody waits for them. */
    void (*leave)(bool together);
};

/* The module's one symbol. NULL: cannot. */
typedef const struct transport *transport_open(void);
#define TRANSPORT_SYMBOL "sievert_transport_open"

#endif
