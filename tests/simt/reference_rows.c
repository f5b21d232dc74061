/* The expressions of isa.def for one lane, compiled as plain scalar code. */
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wtype-limits"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ptx/insn.h"
#include "reference.h"
#include "simt/lanes/types.h"

#define TAKE(type, bits)                                                                           \
    ({                                                                                             \
        uint64_t word = (bits);                                                                    \
        type value;                                                                                \
        memcpy(&value, &word, sizeof value);                                                       \
        value;                                                                                     \
    })
#define CANONICAL_p(v) (v)
#define CANONICAL_no(v) (v)
#define OP(id, key, out, ta, tb, tc, group, mods, folded, expr)                                    \
    static uint64_t row_##id(uint64_t a_bits, uint64_t b_bits, uint64_t c_bits)                    \
    {                                                                                              \
        typedef ta A __attribute__((unused));                                                      \
        enum { W = 8 * sizeof(A) };                                                                \
        ta a = TAKE(ta, a_bits);                                                                   \
        tb b = TAKE(tb, b_bits);                                                                   \
        tc c = TAKE(tc, c_bits);                                                                   \
        (void)a, (void)b, (void)c, (void)W;                                                        \
        out v = CANONICAL_##out((out)(expr));                                                      \
        uint64_t word = 0;                                                                         \
        memcpy(&word, &v, sizeof v);                                                               \
        return word;                                                                               \
    }
#define SP(id, key, shape, group, folded, doc)
#include "ptx/isa.def"
#undef OP

typedef uint64_t row_fn(uint64_t a, uint64_t b, uint64_t c);
static row_fn *const rows[PTX_N_OPS] = {
#define OP(id, key, out, ta, tb, tc, group, mods, folded, expr) [PTX_##id] = row_##id,
#include "ptx/isa.def"
#undef OP
#undef SP
};

uint64_t reference_row(int op, uint64_t a, uint64_t b, uint64_t c)
{
    assert(rows[op]);
    uint64_t v = rows[op](a, b, c);
    return ptx_rows[op].out == PTX_T_p ? v & 1 : v;
}
