/* Steps that look at other lanes, at the carry, or at memory one lane after another: rare, so plain
 * loops. Operands: see lower_four and lower_atom. Part of exec.c. */

/* ---- Atomics: lanes in order ------------------------------------------------------------------------ */
static u64 add_floats(u64 old, u64 v, unsigned bits)
{
    u64 out = 0;
    if (bits == 64) {
        f64 x, y;
        memcpy(&x, &old, 8);
        memcpy(&y, &v, 8);
        x = canonical_f64(x + y);
        memcpy(&out, &x, 8);
    } else {
        f32 x, y;
        memcpy(&x, &old, 4);
        memcpy(&y, &v, 4);
        x = canonical_f32(x + y);
        memcpy(&out, &x, 4);
    }
    return out;
}

static bool less(u64 a, u64 b, unsigned bits, bool is_signed)
{
    if (!is_signed)
        return a < b;
    return bits == 64 ? (s64)a < (s64)b : (s32)a < (s32)b;
}

static u64 change(enum ptx_what what, u64 old, u64 b, u64 c, unsigned bits, bool is_signed)
{
    switch (what) {
    case PTX_ATOM_ADD:
        return old + b;
    case PTX_ATOM_FADD:
        return add_floats(old, b, bits);
    case PTX_ATOM_HADD:
        return bits == 16 ? h_add((u16)old, (u16)b, 0) : h2_add((u32)old, (u32)b, 0);
    case PTX_ATOM_BFADD:
        return bits == 16 ? bf_add((u16)old, (u16)b, 0) : bf2_add((u32)old, (u32)b, 0);
    case PTX_ATOM_MIN:
        return less(b, old, bits, is_signed) ? b : old;
    case PTX_ATOM_MAX:
        return less(old, b, bits, is_signed) ? b : old;
    case PTX_ATOM_INC:
        return old >= b ? 0 : old + 1;
    case PTX_ATOM_DEC:
        return old == 0 || old > b ? b : old - 1;
    case PTX_ATOM_AND:
        return old & b;
    case PTX_ATOM_OR:
        return old | b;
    case PTX_ATOM_XOR:
        return old ^ b;
    case PTX_ATOM_CAS:
        return old == b ? c : old;
    default:
        return b; /* exch */
    }
}

STEP(step_atomic)
{
    unsigned bits = i->x & 127;
    enum ptx_what what = (enum ptx_what)more_of(i)->more[0];
    u64 *base = (u64 *)w->address;
    memcpy(base, r + i->b, sizeof w->address);
    if (!find_trap(w, i, base, mask, true))
        return NULL;
    for (uint32_t m = mask; m; m &= m - 1) {
        int l = __builtin_ctz(m);
        struct place at = locate(w, i->y & ~CODE_NARROW, address_of(i, base[l]), bits / 8, l, true);
        u64 old = 0, b = read_lane(r + i->a, (int)bits, l);
        memcpy(&old, at.data + at.offset, bits / 8);
        u64 v = change(what, old, b, read_lane(r + i->c, (int)bits, l), bits, i->x & 128);
        memcpy(at.data + at.offset, &v, bits / 8);
        if (at.global)
            mark_written(w, at.offset);
        put_lane(r + i->d, (int)bits, l, old);
    }
    NEXT_WIDE;
}

/* ---- Carry --------------------------------------------------------------------------------------------- */
STEP(step_carry)
{
    int bits = i->y & 127;
    u32 *carry = (u32 *)(r + more_of(i)->more[2]);
    u32 out = *carry;
    for (uint32_t m = mask; m; m &= m - 1) {
        int l = __builtin_ctz(m);
        u64 a = read_lane(r + i->a, bits, l), b = read_lane(r + i->b, bits, l);
        u128 v = i->x & PTX_WITH_CARRY ? *carry >> l & 1 : 0;
        if (i->x & (PTX_LOW_HALF | PTX_HIGH_HALF)) {
            u128 product = (u128)a * b;
            if (i->y & 128)
                product =
                    bits == 64 ? (u128)((s128)(s64)a * (s64)b) : (u128)(u64)((s64)(s32)a * (s32)b);
            product = i->x & PTX_HIGH_HALF ? product >> bits : product;
            v += (bits == 64 ? (u64)product : (u32)product) + (u128)read_lane(r + i->c, bits, l);
        } else if (i->x & PTX_SUBTRACTS) {
            v = (u128)a - b - v; /* a borrow sets all bits above */
        } else {
            v += (u128)a + b;
        }
        if (i->x & PTX_SETS_CARRY)
            out = (out & ~(1u << l)) | (u32)(v >> bits & 1) << l;
        put_lane(r + i->d, bits, l, (u64)v);
    }
    *carry = out;
    NEXT_WIDE;
}

/* ---- Four operands --------------------------------------------------------------------------------------- */
STEP(step_bfi)
{
    int bits = i->y & 127;
    for (uint32_t m = mask; m; m &= m - 1) {
        int l = __builtin_ctz(m);
        u64 a = read_lane(r + i->a, bits, l), b = read_lane(r + i->b, bits, l);
        u32 at = read_lane(r + i->c, 32, l) & 255,
            len = read_lane(r + more_of(i)->more[0], 32, l) & 255;
        u64 ones = len >= 64 ? ~0ull : (1ull << len) - 1;
        u64 field = at >= (u32)bits ? 0 : ones << at;
        put_lane(r + i->d, bits, l, (b & ~field) | (at >= (u32)bits ? 0 : a << at & field));
    }
    NEXT_WIDE;
}

STEP(step_lop3)
{
    const u32 *a = AT(r + i->a), *b = AT(r + i->b), *c = AT(r + i->c);
    u32 *to = AT(result(w, r + i->d, mask)), table = more_of(i)->more[0];
    LANES
    {
        u32 v = 0;
        for (u32 k = 0; k < 8; k++) {
            u32 all = (k & 4 ? a[l] : ~a[l]) & (k & 2 ? b[l] : ~b[l]) & (k & 1 ? c[l] : ~c[l]);
            v |= table >> k & 1 ? all : 0;
        }
        to[l] = v;
    }
    if (mask != SIMT_FULL_MASK)
        blend(w, r + i->d, 4);
    NEXT_WIDE;
}

/* ---- Other lanes: those that execute this together -------------------------------------------------------- */
STEP(step_vote)
{
    u32 p_bits = *(const u32 *)(r + i->a);
    u32 yes = (more_of(i)->spare ? ~p_bits : p_bits) & mask;
    if (i->x == PTX_VOTE_BALLOT) {
        u32 *to = AT(result(w, r + i->d, mask));
        LANES to[l] = yes;
        if (mask != SIMT_FULL_MASK)
            blend(w, r + i->d, 4);
    } else {
        bool v = i->x == PTX_VOTE_ALL   ? yes == mask
                 : i->x == PTX_VOTE_ANY ? yes != 0
                                        : yes == mask || yes == 0;
        write_mask(r + i->d, v ? ~0u : 0, mask);
    }
    NEXT_WIDE;
}

/* Source lane as in the PTX manual: b is the distance or lane, c the clamp and the segment mask. A lane
 * that does not execute this gives what its register holds. */
STEP(step_shfl)
{
    u32 in[SIMT_LANES], ok = 0;
    memcpy(in, r + i->a, sizeof in);
    const u32 *b = (const u32 *)(r + i->b), *c = (const u32 *)(r + i->c);
    u32 out[SIMT_LANES];
    for (int l = 0; l < SIMT_LANES; l++) {
        s32 distance = (s32)(b[l] & 31), segment = (s32)(c[l] >> 8 & 31), clamp = (s32)(c[l] & 31);
        s32 max = (l & segment) | (clamp & ~segment), min = l & segment, from;
        bool inside;
        switch (i->x) {
        case PTX_SHFL_UP:
            from = l - distance, inside = from >= max;
            break;
        case PTX_SHFL_DOWN:
            from = l + distance, inside = from <= max;
            break;
        case PTX_SHFL_BFLY:
            from = l ^ distance, inside = from <= max;
            break;
        default:
            from = min | (distance & ~segment), inside = from <= max;
            break;
        }
        out[l] = in[inside ? from & 31 : l];
        ok |= (u32)inside << l;
    }
    u32 *to = (u32 *)(r + i->d);
    for (uint32_t m = mask; m; m &= m - 1)
        to[__builtin_ctz(m)] = out[__builtin_ctz(m)];
    if (i->n > 1)
        write_mask(r + more_of(i)->more[1], ok, mask);
    NEXT_WIDE;
}

STEP(step_activemask)
{
    u32 *to = AT(result(w, r + i->d, mask));
    LANES to[l] = mask;
    if (mask != SIMT_FULL_MASK)
        blend(w, r + i->d, 4);
    NEXT_WIDE;
}

/* Lanes with the same value: for each its own kind (any), or all of them or none. */
STEP(step_match)
{
    int bits = i->y & 127;
    u32 members = mask, all = 0, out[SIMT_LANES];
    for (u32 m = mask; m; m &= m - 1)
        members &= ((const u32 *)(r + i->b))[__builtin_ctz(m)];
    members = members ? members : mask;
    for (u32 m = mask; m; m &= m - 1) {
        int l = __builtin_ctz(m);
        u64 v = read_lane(r + i->a, bits, l);
        out[l] = 0;
        for (u32 n = members; n; n &= n - 1)
            out[l] |= (u32)(read_lane(r + i->a, bits, __builtin_ctz(n)) == v) << __builtin_ctz(n);
        if (i->x == PTX_MATCH_ALL) {
            out[l] = out[l] == members ? members : 0;
            all |= (u32)(out[l] != 0) << l;
        }
    }
    for (u32 m = mask; m; m &= m - 1)
        put_lane(r + i->d, 32, __builtin_ctz(m), out[__builtin_ctz(m)]);
    if (i->n > 1)
        write_mask(r + more_of(i)->more[1], all, mask);
    NEXT_WIDE;
}

STEP(step_redux)
{
    bool is_signed = i->y & 128, first = true;
    u32 members = mask;
    u64 v = 0;
    for (u32 m = mask; m; m &= m - 1)
        members &= ((const u32 *)(r + i->b))[__builtin_ctz(m)];
    members = members ? members : mask;
    for (u32 m = members; m; m &= m - 1, first = false) {
        u64 lane = read_lane(r + i->a, 32, __builtin_ctz(m));
        v = first ? lane : (u32)change((enum ptx_what)i->x, v, lane, 0, 32, is_signed);
    }
    for (u32 m = mask; m; m &= m - 1)
        put_lane(r + i->d, 32, __builtin_ctz(m), v);
    NEXT_WIDE;
}

/* ---- cp.async: from global to shared memory, at once ------------------------------------------------------- */
STEP(step_copy)
{
    unsigned bytes = (unsigned)i->x / 8;
    u64 *from = (u64 *)w->address, to[SIMT_LANES];
    const struct code_more *more = more_of(i);
    for (int l = 0; l < SIMT_LANES; l++) {
        from[l] = ((const u64 *)(r + i->a))[l] + (u64)more->imm;
        to[l] =
            ptx_address(((const u64 *)(r + i->b))[l], i->y & CODE_NARROW ? 32 : 64, more->spare);
    }
    for (uint32_t m = mask; m; m &= m - 1) {
        int l = __builtin_ctz(m);
        struct place source = locate(w, PTX_SPACE_GLOBAL, from[l], bytes, l, false);
        struct place target = locate(w, PTX_SPACE_SHARED, to[l], bytes, l, true);
        if (source.trap != TRAP_NONE)
            return trap_at(w, i, source.trap, l, from[l]);
        if (target.trap != TRAP_NONE)
            return trap_at(w, i, target.trap, l, to[l]);
    }
    for (uint32_t m = mask; m; m &= m - 1) {
        int l = __builtin_ctz(m);
        u32 n = i->c ? ((const u32 *)(r + i->c))[l] : bytes;
        struct place source = locate(w, PTX_SPACE_GLOBAL, from[l], bytes, l, false);
        struct place target = locate(w, PTX_SPACE_SHARED, to[l], bytes, l, true);
        n = n < bytes ? n : bytes;
        memset(target.data + target.offset, 0, bytes);
        memcpy(target.data + target.offset, source.data + source.offset, n);
    }
    NEXT_WIDE;
}

/* ---- The stack -------------------------------------------------------------------------------------------- */
STEP(step_alloca)
{
    u64 align = (u64)more_of(i)->imm, limit = w->local.size;
    u64 *used = (u64 *)(r + i->b);
    for (uint32_t m = mask; m; m &= m - 1) {
        int l = __builtin_ctz(m);
        u64 size = read_lane(r + i->a, i->x, l), at = (used[l] + align - 1) & ~(align - 1);
        if (used[l] > limit || at > limit || limit - at < size)
            return trap_at(w, i, TRAP_LOCAL_OUT_OF_RANGE, l, used[l]);
        put_lane(r + i->d, i->x, l, at);
        used[l] = at + size;
    }
    NEXT_WIDE;
}
