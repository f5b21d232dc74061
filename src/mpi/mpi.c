/* The transport over MPI: 64-byte messages of one tag, sent without waiting and looked for, never waited for:
 * ranks that wait compute on the same cores. All calls come from one thread. */
#include <mpi.h>
#include <stdlib.h>
#include <unistd.h>

#include "campaign/transport.h"

enum { TAG = 1, WORDS = sizeof(struct message) / sizeof(uint64_t) };

/* A message is kept until MPI has done with it. */
struct sent {
    struct message m;
    MPI_Request request;
    struct sent *next;
};
static struct sent *on_the_way;

static void forget_done(void)
{
    for (struct sent **p = &on_the_way; *p;) {
        int done = 0;
        struct sent *s = *p;
        MPI_Test(&s->request, &done, MPI_STATUS_IGNORE);
        if (done) {
            *p = s->next;
            free(s);
        } else {
            p = &s->next;
        }
    }
}

static void send(int to, const struct message *m)
{
    forget_done();
    struct sent *s = malloc(sizeof *s);
    if (!s)
        abort();
    s->m = *m;
    s->next = on_the_way;
    on_the_way = s;
    MPI_Isend(&s->m, WORDS, MPI_UINT64_T, to, TAG, MPI_COMM_WORLD, &s->request);
}

static bool receive(struct message *m, int *from)
{
    int there = 0;
    MPI_Status status;
    MPI_Iprobe(MPI_ANY_SOURCE, TAG, MPI_COMM_WORLD, &there, &status);
    if (!there)
        return false;
    *from = status.MPI_SOURCE;
    MPI_Recv(m, WORDS, MPI_UINT64_T, *from, TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    return true;
}

static void leave(bool together)
{
    if (together)
        MPI_Finalize();
    else
        MPI_Abort(MPI_COMM_WORLD, EXIT_SUCCESS); /* ends the lost ones, too */
}

__attribute__((visibility("default"))) transport_open sievert_transport_open;

const struct transport *sievert_transport_open(void)
{
    static struct transport t = {.send = send, .receive = receive, .leave = leave};
    int provided;
    MPI_Comm local;
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS)
        return NULL;
    MPI_Comm_rank(MPI_COMM_WORLD, &t.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &t.size);
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &local);
    MPI_Comm_size(local, &t.local);
    MPI_Comm_free(&local);
    return &t;
}
