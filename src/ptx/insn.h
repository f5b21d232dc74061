/* The decoded form that simt and liveness work on: operations from isa.def, operands as registers,
 * constants, addresses. Nothing of PTX's syntax is left but the mnemonic, for messages. */
#ifndef PTX_INSN_H
#define PTX_INSN_H

#include "ptx/ptx.h"

/* What a lane of an operand is. `no` is the absent operand, `p` a predicate. */
enum ptx_type {
    PTX_T_no,
    PTX_T_p,
    PTX_T_u8, /* memory and conversions only: no register is so narrow */
    PTX_T_s8,
    PTX_T_h,  /* a half (f16), as its 16 bits */
    PTX_T_h2, /* two of them */
    PTX_T_bf, /* the upper half of an f32 (bf16) */
    PTX_T_bf2,
    PTX_T_u16,
    PTX_T_s16,
    PTX_T_u32,
    PTX_T_s32,
    PTX_T_u64,
    PTX_T_s64,
    PTX_T_f32,
    PTX_T_f64,
};

enum ptx_op {
#define OP(id, key, out, a, b, c, group, mods, folded, expr) PTX_##id,
#define SP(id, key, shape, group, folded, doc) PTX_##id,
#include "ptx/isa.def"
#undef OP
#undef SP
    PTX_N_OPS
};

/* What an instruction does besides its row's expression. */
enum ptx_mod {
    PTX_MOD_FTZ = 1,
    PTX_MOD_SAT = 2,
    PTX_MOD_RZ = 4,
    PTX_MOD_RM = 8,
    PTX_MOD_RP = 16,
    PTX_MOD_ROUND = PTX_MOD_RZ | PTX_MOD_RM | PTX_MOD_RP,
    PTX_MOD_APPROX = 32,
};

/* How the operands of a special row are written. */
enum ptx_shape {
    PTX_SHAPE_LANES, /* OP rows: one value per lane */
    PTX_SHAPE_MOV_VECTOR,
    PTX_SHAPE_CVTA,
    PTX_SHAPE_LD,
    PTX_SHAPE_ST,
    PTX_SHAPE_ATOM,
    PTX_SHAPE_CARRY,
    PTX_SHAPE_BFI,
    PTX_SHAPE_LOP3,
    PTX_SHAPE_VOTE,
    PTX_SHAPE_SHFL,
    PTX_SHAPE_ACTIVEMASK,
    PTX_SHAPE_BRA,
    PTX_SHAPE_NONE,
    PTX_SHAPE_BAR,
    PTX_SHAPE_FENCE,
    PTX_SHAPE_CALL,
    PTX_SHAPE_BRX,
    PTX_SHAPE_SET,      /* a comparison's result as a number */
    PTX_SHAPE_SET_PAIR, /* two comparisons, of f16x2 */
    PTX_SHAPE_MATCH,
    PTX_SHAPE_REDUX,
    PTX_SHAPE_ISSPACEP,
    PTX_SHAPE_ALLOCA,
    PTX_SHAPE_STACK,   /* stacksave, stackrestore */
    PTX_SHAPE_COPY,    /* cp.async */
    PTX_SHAPE_HINT,    /* no effect here: operands are not looked at */
    PTX_SHAPE_REFUSED, /* stands for what is not supported, if that is allowed to load */
};

struct ptx_row {
    const char *key, *meaning; /* meaning: the expression, or words */
    enum ptx_shape shape;
    enum ptx_type out, in[3];
    uint32_t group; /* GROUP_OTHERS, FP32, FP64 or LD: what it is if it writes a general register */
    uint32_t mods;  /* enum ptx_mod allowed; ROUND stands for all of them */
    bool folded;
};
extern const struct ptx_row ptx_rows[PTX_N_OPS];

int ptx_type_bits(enum ptx_type t); /* 1 for predicates, 0 for none */

enum ptx_space {
    PTX_SPACE_GENERIC,
    PTX_SPACE_GLOBAL,
    PTX_SPACE_SHARED,
    PTX_SPACE_LOCAL,
    PTX_SPACE_CONST,
    PTX_SPACE_PARAM,
};

/* Special registers, each with its name, the type of its value, and when that is known. */
enum ptx_special {
#define X(id, name, type) PTX_SPECIAL_##id,
#include "ptx/special.def"
#undef X
    PTX_N_SPECIALS
};

int ptx_special_bits(uint32_t special);

enum ptx_operand_kind {
    PTX_NONE,
    PTX_REG,     /* index: the register */
    PTX_IMM,     /* value: bits, of the operand's type */
    PTX_SPECIAL, /* index: enum ptx_special */
    PTX_SYMBOL,  /* index: a symbol whose address (plus value) it is */
};
struct ptx_operand {
    enum ptx_operand_kind kind;
    bool negated; /* predicates: !p */
    uint32_t index;
    uint64_t value;
};

/* What the modifiers of atom, vote and shfl ask for; carry: a sum of flags. */
enum ptx_what {
    PTX_WHAT_NONE,
    PTX_ATOM_ADD,
    PTX_ATOM_FADD,
    PTX_ATOM_HADD, /* f16, bf16 and pairs of them: mem_bits says how many */
    PTX_ATOM_BFADD,
    PTX_ATOM_MIN,
    PTX_ATOM_MAX,
    PTX_ATOM_INC,
    PTX_ATOM_DEC,
    PTX_ATOM_AND,
    PTX_ATOM_OR,
    PTX_ATOM_XOR,
    PTX_ATOM_EXCH,
    PTX_ATOM_CAS,
    PTX_VOTE_ALL,
    PTX_VOTE_ANY,
    PTX_VOTE_UNI,
    PTX_VOTE_BALLOT,
    PTX_SHFL_UP,
    PTX_SHFL_DOWN,
    PTX_SHFL_BFLY,
    PTX_SHFL_IDX,
    PTX_MATCH_ANY,
    PTX_MATCH_ALL,
    PTX_BAR_SYNC,
    PTX_BAR_ARRIVE,
    PTX_BAR_POPC,
    PTX_BAR_AND,
    PTX_BAR_OR,
    PTX_WITH_CARRY = 1, /* addc, subc, madc */
    PTX_SETS_CARRY = 2, /* .cc */
    PTX_SUBTRACTS = 4,
    PTX_LOW_HALF = 8,
    PTX_HIGH_HALF = 16,
};

/* A variable of a call: where it lies in the local memory of the function it belongs to. */
struct ptx_argument {
    uint32_t address, bytes;
    uint32_t symbol;
};
struct ptx_call {
    uint32_t
        function; /* number of a body; in a kernel: of its functions; PTX_NOWHERE: src[0] points to it */
    uint32_t n_args, n_rets;
    const struct ptx_argument *args, *rets; /* the caller's */
    const char *prototype;                  /* its name, for printing */
    bool runtime;                           /* of CUDA's run-time system: gives 0 */
    bool fails;                             /* and stops the kernel */
};

/* Address of a memory operand: base + offset, base a register, a symbol or none. */
struct ptx_insn {
    uint16_t op;
    uint16_t sub_op; /* set: the comparison, a row */
    uint16_t mods;
    uint8_t space;      /* memory, cvta */
    uint8_t mem_bits;   /* bits of one element in memory: 8 .. 64 */
    uint8_t mem_signed; /* loads widen by sign */
    uint8_t n_dst, n_src;
    uint8_t bool_op; /* setp: 0, or 'a' 'o' 'x' with the predicate src[2]; cvta: 't' for .to */
    bool uniform;
    bool argument; /* ld, st: of a function's parameter or result, which lie in local memory */
    uint8_t what;  /* enum ptx_what: the kind of atom, vote, shfl; carry */
    int32_t guard; /* predicate register, or -1 */
    bool guard_negated;
    int32_t dst[4];            /* registers; -1: discarded (`_`) */
    struct ptx_operand src[4]; /* stores: the values */
    struct ptx_operand base;   /* memory: address is base + offset */
    int64_t offset;
    uint32_t target;     /* bra: instruction index */
    uint32_t reconverge; /* bra, brx: instruction index, or PTX_NOWHERE */
    uint32_t n_targets;  /* brx */
    const uint32_t *targets;
    const struct ptx_call *call;
    const char *raw; /* hints: the operands' text */
    struct loc at;
    int source_line;
    const char *mnemonic;
};
#define PTX_NOWHERE UINT32_MAX

/* A register as the kernel declares it: bits 1, 16, 32 or 64. */
struct ptx_reg {
    const char *name; /* "%rd"; numbered: its number follows */
    uint32_t number;
    bool numbered;
    uint8_t bits;
};

enum ptx_symbol_kind {
    PTX_SYM_PARAM, /* of a kernel */
    PTX_SYM_SHARED,
    PTX_SYM_LOCAL,
    PTX_SYM_GLOBAL,
    PTX_SYM_CONST,
    PTX_SYM_ARGUMENT, /* of a function, or made for a call: in local memory */
    PTX_SYM_FUNCTION,
};
struct ptx_symbol {
    const char *name;
    enum ptx_symbol_kind kind;
    uint64_t address; /* within its space; of local memory: within the function's frame */
    uint64_t bytes;
    uint32_t align;
    int32_t owner;       /* number of the body that declares it, or -1: the module */
    bool formal;         /* a parameter or result of its owner */
    uint32_t block;      /* of its owner's blocks: number + 1; 0: in none */
    const uint8_t *init; /* global: initial bytes, or NULL */
};

struct ptx_kernel;
/* "%rd7". In a. */
const char *ptx_register_name(struct arena *a, const struct ptx_kernel *k, uint32_t reg);
/* In the initial value of a variable: 8 bytes at `at` of global (or constant) memory are the generic
 * address of a symbol plus `add`. */
struct ptx_relocation {
    uint64_t at, add;
    uint32_t symbol;
    bool constant;
};

/* A pair of braces inside a body: variables of calls share memory with those of other blocks. */
enum { PTX_MAX_BLOCKS = 64 }; /* inside each other */
struct ptx_block {
    uint32_t first, end; /* instructions */
    uint32_t depth;
};

/* What was written between braces: a kernel or a function, before kernels got theirs. */
struct ptx_body {
    const char *name;
    struct loc at;
    bool is_kernel, defined;
    bool pointed_at; /* its address is taken */
    size_t n_insns, n_regs;
    struct ptx_insn *insns;
    struct ptx_reg *regs;
    uint32_t n_params, n_rets; /* functions */
    const struct ptx_argument *params, *rets;
    uint32_t local_bytes; /* variables, parameters, variables of calls */
    uint32_t symbol;      /* its own */
    uint32_t n_tables;    /* brx tables, named T<number> when printed */
    size_t n_blocks;
    const struct ptx_block *blocks; /* as they begin */
};

/* A function as part of a kernel; number 0 is the kernel itself. */
struct ptx_function {
    const char *name;
    uint32_t entry; /* instruction */
    uint32_t first_reg, n_regs;
    uint32_t n_params, n_rets;
    const struct ptx_argument *params, *rets;
    uint32_t local_bytes;
    uint64_t address; /* as pointers have it */
    bool recursive;   /* may be called while it runs */
};
/* Pointers to functions, 16 apart. */
#define PTX_CODE_WINDOW 0x7ffb00000000u
/* Local memory of a thread in a kernel with recursion, and with alloca, beyond what is known to be needed. */
enum { PTX_RECURSION_BYTES = 16 << 10, PTX_ALLOCA_BYTES = 16 << 10 };

struct ptx_kernel {
    const char *name;
    struct loc at;
    size_t n_insns, n_regs, n_params, n_symbols;
    struct ptx_insn *insns;
    struct ptx_reg *regs;
    struct ptx_param *params;
    struct ptx_symbol *symbols; /* all that the instructions refer to */
    uint32_t params_bytes, shared_bytes, local_bytes;
    uint32_t frames_bytes;    /* of local memory; what alloca gives lies behind them */
    const uint8_t *constants; /* the module's constant memory */
    uint32_t constant_bytes;
    uint32_t max_threads;      /* product of .maxntid; 0: not said */
    uint32_t required_threads; /* of .reqntid */
    uint64_t hash[2]; /* of the module's text and the kernel's number: equal kernels, equal hash */
    const bool *leader;   /* per instruction: a basic block starts here */
    const bool *joins;    /* per instruction: some branch reconverges here */
    uint32_t n_functions; /* 1: no calls */
    const struct ptx_function *functions;
    uint64_t global_bytes; /* module-scope variables in global memory; 0: none */
    uint32_t n_relocations;
    const struct ptx_relocation *relocations;
};

struct ptx_module {
    size_t n_symbols;
    const struct ptx_symbol *symbols;
    const uint8_t *constants;
    size_t n_kernels, n_bodies;
    struct ptx_kernel *kernels;
    struct ptx_body *bodies;
    uint64_t global_bytes;
    const char *version, *target;
};

/* Blocks, immediate post-dominators; fills leader, joins, reconverge. */
void ptx_make_cfg(struct ptx_kernel *k, struct arena *a);

/* The function that instruction `insn` belongs to. */
uint32_t ptx_function_of(const struct ptx_kernel *k, uint32_t insn);
/* Does the result of each lane depend on that lane's registers alone, and is it all that happens? */
bool ptx_is_lanewise(const struct ptx_insn *i);

/* Where a memory instruction reaches: in a 32-bit register an address wraps around with its offset. */
static inline uint64_t ptx_address(uint64_t base, int base_bits, uint64_t offset)
{
    return base_bits == 32 ? (uint32_t)(base + offset) : base + offset;
}

#endif
