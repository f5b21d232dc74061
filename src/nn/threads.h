/* oneDNN as packaged uses OpenMP; a net uses one thread of it, whatever the environment says. */
#ifndef NN_THREADS_H
#define NN_THREADS_H

/* From libgomp: <omp.h> is not there for every compiler. The number is the calling thread's own. */
extern void omp_set_num_threads(int n);
extern int omp_get_max_threads(void);

static inline int threads_one(void)
{
    int was = omp_get_max_threads();
    if (was != 1)
        omp_set_num_threads(1);
    return was;
}

static inline void threads_restore(int was)
{
    if (was != 1)
        omp_set_num_threads(was);
}

#endif
