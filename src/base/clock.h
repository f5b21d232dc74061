/* Seconds, for differences: nobody sets these clocks. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

double clock_seconds(void); /* on the wall */
double
clock_thread_seconds(void); /* of processor time of this thread: others may use the machine, too */

#endif
