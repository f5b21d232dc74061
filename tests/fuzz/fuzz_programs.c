/* The same with kernels that the bytes choose statements of, see programs.h. */
#define FUZZ_PROGRAMS
#include "fuzz_ptx.c"
