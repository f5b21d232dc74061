/* Loads and stores. Addresses of all lanes are checked together, with two or-reductions; the common
 * shapes (consecutive, all equal) have copies of their own; what is left is read lane by lane. Part of
 * exec.c. */

/* Generic addresses: windows of the PTX manual's kind. */
#define SHARED_WINDOW SIMT_SHARED_WINDOW
#define LOCAL_WINDOW SIMT_LOCAL_WINDOW

/* ---- Slow path: any space, any type, one lane at a time -------------------------------------------- */
struct place { /* what one lane's address means */
    uint8_t *data;
    uint64_t offset;
    bool global;
    enum trap_kind trap;
};

static struct place locate(const struct warp *w, int space, u64 address, unsigned bytes, int lane)
{
    if (space == PTX_SPACE_GENERIC) {
        if (address - SHARED_WINDOW < SIMT_WINDOW_BYTES)
            space = PTX_SPACE_SHARED, address -= SHARED_WINDOW;
        else if (address - LOCAL_WINDOW < SIMT_WINDOW_BYTES)
            space = PTX_SPACE_LOCAL, address -= LOCAL_WINDOW;
        else
            space = PTX_SPACE_GLOBAL;
    }
    const struct window *win = space == PTX_SPACE_GLOBAL   ? &w->global
                               : space == PTX_SPACE_SHARED ? &w->shared
                               : space == PTX_SPACE_LOCAL  ? &w->local
                               : space == PTX_SPACE_PARAM  ? &w->param
                                                           : &w->constant;
    u64 offset = address - win->base;
    struct place at = {win->data, offset, space == PTX_SPACE_GLOBAL, TRAP_NONE};
    if (address % bytes != 0)
        at.trap = TRAP_MISALIGNED_ADDRESS;
    else if (offset > win->size || win->size - offset < bytes)
        at.trap = space == PTX_SPACE_SHARED  ? TRAP_SHARED_OUT_OF_RANGE
                 : space == PTX_SPACE_LOCAL ? TRAP_LOCAL_OUT_OF_RANGE
                                            : TRAP_ILLEGAL_ADDRESS;
    else if (space == PTX_SPACE_LOCAL)
        at.offset += (u64)lane * w->local_stride;
    return at;
}

static __attribute__((noinline)) const struct code *trap_at(struct warp *w, const struct code *i,
                                                            enum trap_kind kind, int lane, u64 address)
{
    w->trap->kind = kind;
    w->trap->lane = (uint32_t)lane;
    w->trap->insn = i->insn;
    w->trap->address = address;
    return NULL;
}

ALWAYS_INLINE void mark_written(struct warp *w, u64 offset)
{
    w->written[offset / SIMT_CHUNK / 64] |= 1ull << offset / SIMT_CHUNK % 64;
}

/* The first lane that traps, if any; the step's space is in y. Loads: address in a; stores: in b. */
static __attribute__((noinline)) const struct code *
find_trap(struct warp *w, const struct code *i, const u64 *base, uint32_t mask)
{
    unsigned bytes = (unsigned)(i->x & 127) / 8 * i->n;
    for (uint32_t m = mask; m; m &= m - 1) {
        int l = __builtin_ctz(m);
        u64 address = base[l] + (u64)i->imm;
        struct place at = locate(w, i->y, address, bytes, l);
        if (at.trap != TRAP_NONE)
            return trap_at(w, i, at.trap, l, address);
    }
    return i;
}

STEP(load_slow)
{
    unsigned size = (unsigned)(i->x & 127) / 8, bytes = size * i->n;
    const u64 *base = AT(w->address);
    memcpy(w->address, r + i->a, sizeof w->address);
    if (!find_trap(w, i, base, mask))
        return NULL;
    for (uint32_t m = mask; m; m &= m - 1) {
        int l = __builtin_ctz(m);
        struct place at = locate(w, i->y, base[l] + (u64)i->imm, bytes, l);
        for (int k = 0; k < i->n; k++) {
            u64 v = 0;
            memcpy(&v, at.data + at.offset + (unsigned)k * size, size);
            if (i->x & 128) /* signed */
                v = (u64)((s64)(v << (64 - 8 * size)) >> (64 - 8 * size));
            put_lane(element_d(r, i, k), (int)i->c, l, v);
        }
    }
    NEXT;
}

STEP(store_slow)
{
    unsigned size = (unsigned)(i->x & 127) / 8, bytes = size * i->n;
    const u64 *base = AT(r + i->b);
    if (!find_trap(w, i, base, mask))
        return NULL;
    for (uint32_t m = mask; m; m &= m - 1) {
        int l = __builtin_ctz(m);
        struct place at = locate(w, i->y, base[l] + (u64)i->imm, bytes, l);
        for (int k = 0; k < i->n; k++) {
            u64 v = read_lane(element_a(r, i, k), (int)i->c, l);
            memcpy(at.data + at.offset + (unsigned)k * size, &v, size);
        }
        if (at.global)
            mark_written(w, at.offset);
    }
    NEXT;
}

/* ---- Fast paths: 32- and 64-bit elements in registers of that width ----------------------------------- */
enum access_shape { ACCESS_BAD, ACCESS_CONSECUTIVE, ACCESS_EQUAL, ACCESS_ANY };

/* Offsets of all lanes in win to w->address; lanes that are off get the first active lane's. What is
 * checked: all are at most size - bytes (offset and limit - offset both below 2^63) and aligned. */
ALWAYS_INLINE enum access_shape check_access(struct warp *w, const struct code *i, const u64 *base,
                                             uint32_t mask, const struct window *win, unsigned size,
                                             u64 *start)
{
    unsigned bytes = size * i->n;
    u64 *o = AT(w->address);
    u64 shift = (u64)i->imm - win->base, limit = win->size - bytes;
    u64 bits = 0, over = 0, apart = 0, differ = 0;
    base = AT(base);
    if (mask == SIMT_FULL_MASK) {
        u64 first = base[0] + shift;
        LANES
        {
            u64 v = base[l] + shift;
            o[l] = v;
            bits |= v;
            over |= limit - v;
            differ |= v ^ first;
            apart |= v - first - (u64)l * bytes;
        }
        *start = first;
    } else {
        const u64 *m = AT(w->lanes64);
        unsigned f = (unsigned)__builtin_ctz(mask);
        u64 first = base[f] + shift, origin = first - f * (u64)bytes;
        LANES
        {
            u64 v = ((base[l] + shift) & m[l]) | (first & ~m[l]);
            o[l] = v;
            bits |= v;
            over |= limit - v;
            differ |= v ^ first;
            apart |= (v - origin - (u64)l * bytes) & m[l];
        }
        *start = origin;
        /* The whole row of 32 elements must be mapped to be copied at once. */
        apart |= (origin | (win->size - 32 * (u64)bytes - origin)) >> 63;
    }
    if ((bits | over) >> 63 || bits & (bytes - 1) || win->size < bytes)
        return ACCESS_BAD;
    return !apart ? ACCESS_CONSECUTIVE : !differ ? ACCESS_EQUAL : ACCESS_ANY;
}

#define LOAD_BODY(T, win)                                                                             \
    const u64 *base = (const u64 *)(r + i->a);                                                        \
    u64 start;                                                                                        \
    enum access_shape shape = check_access(w, i, base, mask, &(win), sizeof(T), &start);              \
    if (__builtin_expect(shape == ACCESS_BAD, 0))                                                     \
        return find_trap(w, i, base, mask) ? load_slow(w, i, r, mask) : NULL;                         \
    const u64 *o = AT(w->address);                                                                    \
    const uint8_t *data = (win).data;                                                                 \
    for (int k = 0; k < i->n; k++, data += sizeof(T)) {                                               \
        uint8_t *dst = element_d(r, i, k);                                                            \
        T *to = AT(result(w, dst, mask));                                                             \
        if (shape == ACCESS_CONSECUTIVE && i->n == 1) {                                               \
            memcpy(to, data + start, SIMT_LANES * sizeof(T));                                         \
        } else if (shape == ACCESS_EQUAL) {                                                           \
            T v = *(const T *)(data + o[0]);                                                          \
            LANES to[l] = v;                                                                          \
        } else {                                                                                      \
            LANES to[l] = *(const T *)(data + o[l]);                                                  \
        }                                                                                             \
        if (mask != SIMT_FULL_MASK)                                                                   \
            blend(w, dst, sizeof(T));                                                                 \
    }                                                                                                 \
    NEXT;

#define STORE_BODY(T, win, is_global)                                                                 \
    const u64 *base = (const u64 *)(r + i->b);                                                        \
    u64 start;                                                                                        \
    enum access_shape shape = check_access(w, i, base, mask, &(win), sizeof(T), &start);              \
    if (__builtin_expect(shape == ACCESS_BAD, 0))                                                     \
        return find_trap(w, i, base, mask) ? store_slow(w, i, r, mask) : NULL;                        \
    const u64 *o = AT(w->address);                                                                    \
    uint8_t *data = (win).data;                                                                       \
    if (shape == ACCESS_CONSECUTIVE && i->n == 1 && mask == SIMT_FULL_MASK) {                         \
        memcpy(data + start, r + i->a, SIMT_LANES * sizeof(T));                                       \
    } else {                                                                                          \
        for (uint32_t m = mask; m; m &= m - 1) {                                                      \
            int l = __builtin_ctz(m);                                                                 \
            for (int k = 0; k < i->n; k++)                                                            \
                ((T *)(data + o[l]))[k] = ((const T *)element_a(r, i, k))[l];                         \
        }                                                                                             \
    }                                                                                                 \
    if (is_global)                                                                                    \
        mark_all(w, shape, start, mask, sizeof(T) * i->n);                                            \
    NEXT;

ALWAYS_INLINE void mark_all(struct warp *w, enum access_shape shape, u64 start, uint32_t mask,
                            u64 bytes)
{
    if (shape == ACCESS_CONSECUTIVE) {
        u64 first = start + (unsigned)__builtin_ctz(mask) * bytes;
        u64 last = start + (31u - (unsigned)__builtin_clz(mask)) * bytes;
        for (u64 at = first / SIMT_CHUNK; at <= last / SIMT_CHUNK; at++)
            w->written[at / 64] |= 1ull << at % 64;
    } else {
        for (uint32_t m = mask; m; m &= m - 1)
            mark_written(w, w->address[__builtin_ctz(m)]);
    }
}

STEP(load32_global) { LOAD_BODY(u32, w->global) }
STEP(load64_global) { LOAD_BODY(u64, w->global) }
STEP(load32_shared) { LOAD_BODY(u32, w->shared) }
STEP(load64_shared) { LOAD_BODY(u64, w->shared) }
STEP(load32_param) { LOAD_BODY(u32, w->param) }
STEP(load64_param) { LOAD_BODY(u64, w->param) }
STEP(store32_global) { STORE_BODY(u32, w->global, 1) }
STEP(store64_global) { STORE_BODY(u64, w->global, 1) }
STEP(store32_shared) { STORE_BODY(u32, w->shared, 0) }
STEP(store64_shared) { STORE_BODY(u64, w->shared, 0) }

/* Generic addresses are nearly always global: only then is the fast path taken. */
ALWAYS_INLINE bool all_global(const struct warp *w, const struct code *i, const u64 *base)
{
    u64 inside = 0;
    u64 limit = w->global.size, shift = (u64)i->imm - w->global.base;
    LANES inside |= (base[l] + shift) | (limit - (base[l] + shift));
    return inside >> 63 == 0;
}

#define GENERIC(name, slow, operand)                                                                  \
    STEP(name##_generic)                                                                              \
    {                                                                                                 \
        if (mask == SIMT_FULL_MASK && all_global(w, i, (const u64 *)(r + i->operand)))                \
            return name##_global(w, i, r, mask);                                                      \
        return slow(w, i, r, mask);                                                                   \
    }
GENERIC(load32, load_slow, a)
GENERIC(load64, load_slow, a)
GENERIC(store32, store_slow, b)
GENERIC(store64, store_slow, b)
