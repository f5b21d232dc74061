/* Inside of global memory, for the interpreter. */
#ifndef SIMT_MEM_H
#define SIMT_MEM_H

#include "simt/simt.h"

struct simt_mem {
    uint64_t page, align;
    uint64_t used, size; /* bytes handed out; bytes mapped */
    uint8_t *data;
    uint64_t *written; /* a bit per chunk */
};

#endif
