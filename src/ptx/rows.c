/* The table of isa.def as data. */
#include "ptx/insn.h"

#define MF PTX_MOD_FTZ
#define MS PTX_MOD_SAT
#define MR PTX_MOD_ROUND
#define MA PTX_MOD_APPROX

const struct ptx_row ptx_rows[PTX_N_OPS] = {
#define OP(id, key, out, a, b, c, group, mods, folded, expr)                                       \
    {key,           #expr, PTX_SHAPE_LANES, PTX_T_##out, {PTX_T_##a, PTX_T_##b, PTX_T_##c},        \
     GROUP_##group, mods,  folded},
#define SP(id, key, shape, group, folded, doc)                                                     \
    {key, doc,   PTX_SHAPE_##shape, PTX_T_no, {PTX_T_no, PTX_T_no, PTX_T_no}, GROUP_##group,       \
     0,   folded},
#include "ptx/isa.def"
#undef OP
#undef SP
};

int ptx_type_bits(enum ptx_type t)
{
    static const uint8_t bits[] = {
        [PTX_T_no] = 0,   [PTX_T_p] = 1,    [PTX_T_u8] = 8,   [PTX_T_s8] = 8,
        [PTX_T_h] = 16,   [PTX_T_u16] = 16, [PTX_T_s16] = 16, [PTX_T_u32] = 32,
        [PTX_T_s32] = 32, [PTX_T_u64] = 64, [PTX_T_h2] = 32,  [PTX_T_bf] = 16,
        [PTX_T_bf2] = 32, [PTX_T_s64] = 64, [PTX_T_f32] = 32, [PTX_T_f64] = 64,
    };
    return bits[t];
}

int ptx_special_bits(uint32_t special)
{
    static const uint8_t bits[] = {
#define X(id, name, type) #type[0] == 'p' ? 1 : #type[1] == '6' ? 64 : 32,
#include "ptx/special.def"
#undef X
    };
    return bits[special];
}
