/* Loads and stores. Addresses of all lanes are checked together, with two or-reductions; the common
 * shapes (consecutive, all equal) have copies of their own; what is left is read lane by lane. Part of
 * exec.c. */

/* Generic addresses: windows of the PTX manual's kind. */
#define SHARED_WINDOW SIMT_SHARED_WINDOW
#define LOCAL_WINDOW SIMT_LOCAL_WINDOW

ALWAYS_INLINE u64 address_of(const struct code *i, u64 base)
{
    return ptx_address(base, i->y & CODE_NARROW ? 32 : 64, (u64)more_of(i)->imm);
}

/* ---- Slow path: any space, any type, one lane at a time -------------------------------------------- */
/* Also of 32-bit addresses that wrap around, which to the fast ones are far outside. */
struct place { /* what one lane's address means */
    uint8_t *data;
    uint64_t offset;
    bool global;
    enum trap_kind trap;
};

static struct place locate(const struct warp *w, int space, u64 address, unsigned bytes, int lane,
                           bool write)
{
    u64 whole = address;
    if (space == PTX_SPACE_GENERIC) {
        if (address - SHARED_WINDOW < SIMT_WINDOW_BYTES)
            space = PTX_SPACE_SHARED, address -= SHARED_WINDOW;
        else if (address - LOCAL_WINDOW < SIMT_WINDOW_BYTES)
            space = PTX_SPACE_LOCAL, address -= LOCAL_WINDOW;
        else if (!write && address - SIMT_CONST_WINDOW < SIMT_WINDOW_BYTES)
            space = PTX_SPACE_CONST, address -= SIMT_CONST_WINDOW;
        else if (!write && address - SIMT_PARAM_WINDOW < SIMT_WINDOW_BYTES)
            space = PTX_SPACE_PARAM, address -= SIMT_PARAM_WINDOW;
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
    if (whole % bytes != 0)
        at.trap = TRAP_MISALIGNED_ADDRESS;
    else if (offset > win->size || win->size - offset < bytes)
        at.trap = space == PTX_SPACE_SHARED  ? TRAP_SHARED_OUT_OF_RANGE
                  : space == PTX_SPACE_LOCAL ? TRAP_LOCAL_OUT_OF_RANGE
                                             : TRAP_ILLEGAL_ADDRESS;
    else if (space == PTX_SPACE_LOCAL)
        at.offset += (u64)lane * w->local_stride;
    return at;
}

static __attribute__((noinline)) const struct code *
trap_at(struct warp *w, const struct code *i, enum trap_kind kind, int lane, u64 address)
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
find_trap(struct warp *w, const struct code *i, const u64 *base, uint32_t mask, bool write)
{
    unsigned bytes = (unsigned)(i->x & 127) / 8 * i->n;
    for (uint32_t m = mask; m; m &= m - 1) {
        int l = __builtin_ctz(m);
        u64 address = address_of(i, base[l]);
        struct place at = locate(w, i->y & ~CODE_NARROW, address, bytes, l, write);
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
    if (!find_trap(w, i, base, mask, false))
        return NULL;
    for (uint32_t m = mask; m; m &= m - 1) {
        int l = __builtin_ctz(m);
        struct place at = locate(w, i->y & ~CODE_NARROW, address_of(i, base[l]), bytes, l, false);
        for (int k = 0; k < i->n; k++) {
            u64 v = 0;
            memcpy(&v, at.data + at.offset + (unsigned)k * size, size);
            if (i->x & 128) /* signed */
                v = (u64)((s64)(v << (64 - 8 * size)) >> (64 - 8 * size));
            put_lane(element_d(r, i, k), (int)i->c, l, v);
        }
    }
    NEXT_WIDE;
}

STEP(store_slow)
{
    unsigned size = (unsigned)(i->x & 127) / 8, bytes = size * i->n;
    const u64 *base = AT(r + i->b);
    if (!find_trap(w, i, base, mask, true))
        return NULL;
    for (uint32_t m = mask; m; m &= m - 1) {
        int l = __builtin_ctz(m);
        struct place at = locate(w, i->y & ~CODE_NARROW, address_of(i, base[l]), bytes, l, true);
        for (int k = 0; k < i->n; k++) {
            u64 v = read_lane(element_a(r, i, k), (int)i->c, l);
            memcpy(at.data + at.offset + (unsigned)k * size, &v, size);
        }
        if (at.global)
            mark_written(w, at.offset);
    }
    NEXT_WIDE;
}

/* ---- Fast paths: 32- and 64-bit elements in registers of that width ----------------------------------- */
/* A row: lane l's element lies l * bytes from start. Equal: all lie at start. Parts: PART lanes at a
 * time make a row from w->address[their first] on. Any: each at w->address[l]. */
enum access_shape { ACCESS_BAD, ACCESS_ROW, ACCESS_EQUAL, ACCESS_PARTS, ACCESS_ANY };

/* The addresses of some lanes, and the numbers of twice as many: what the processor has vectors for.
 * Compilers take wider ones apart through memory. */
#if defined __AVX512F__
enum { PART = 8 };
#elif defined __AVX__
enum { PART = 4 };
#else
enum { PART = 2 };
#endif
enum { PARTS = SIMT_LANES / PART };
typedef u64 wides __attribute__((vector_size(8 * PART)));
typedef u32 words __attribute__((vector_size(8 * PART)));
_Alignas(64) static const u64 wide_lanes[8] = {0, 1, 2, 3, 4, 5, 6, 7};
_Alignas(64) static const u32 word_lanes[16] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                8, 9, 10, 11, 12, 13, 14, 15};

ALWAYS_INLINE bool any_bit(wides v)
{
#if defined __AVX512F__
    return _mm512_test_epi64_mask((__m512i)v, (__m512i)v) != 0;
#elif defined __AVX__
    return !_mm256_testz_si256((__m256i)v, (__m256i)v);
#else
    return (v[0] | v[1]) != 0;
#endif
}

/* Lane numbers times a power of two, which need not be known. */
ALWAYS_INLINE wides lane_offsets(unsigned bytes)
{
    return *(const wides *)wide_lanes << __builtin_ctz(bytes);
}

/* Is an offset beyond size - bytes = limit, or not aligned? Both offset and limit - offset are below 2^63
 * for those that are not. */
ALWAYS_INLINE bool is_outside(u64 offset, u64 limit, u64 bytes)
{
    return ((offset | (limit - offset)) >> 63 | (offset & (bytes - 1))) != 0;
}

/* The lanes that are on, n elements of size each: do they make a row, or are they all equal? ANY means
 * neither, or a row that is not all mapped. */
ALWAYS_INLINE enum access_shape check_row(const struct warp *w, const struct code *i,
                                          const u64 *base, uint32_t mask, const struct window *win,
                                          unsigned size, unsigned n, u64 *start)
{
    unsigned bytes = size * n, first = (unsigned)__builtin_ctz(mask),
             last = 31u - (unsigned)__builtin_clz(mask);
    bool full = mask == SIMT_FULL_MASK;
    u64 shift = (u64)more_of(i)->imm - win->base, limit = win->size - bytes;
    u64 lowest = base[first], span = base[last] - lowest, origin = lowest - first * bytes;
    const wides *at = AT(base), *on = AT(w->lanes64), none = {0};
    wides differ = none;
    *start = 0;
    if (win->size < bytes)
        return ACCESS_BAD;
    if (span == 0) { /* the ends tell which of the two it can be */
        for (int k = 0; k < PARTS; k++)
            differ |= full ? at[k] ^ lowest : (at[k] ^ lowest) & on[k];
        *start = lowest + shift;
        return any_bit(differ)                    ? ACCESS_ANY
               : is_outside(*start, limit, bytes) ? ACCESS_BAD
                                                  : ACCESS_EQUAL;
    }
    if (span != (last - first) * bytes)
        return ACCESS_ANY;
    wides row = lane_offsets(bytes) + origin;
    for (int k = 0; k < PARTS; k++, row += PART * bytes)
        differ |= full ? at[k] ^ row : (at[k] ^ row) & on[k];
    if (any_bit(differ))
        return ACCESS_ANY;
    *start = origin + shift;
    if (is_outside(lowest + shift, limit, bytes) || is_outside(*start + last * bytes, limit, bytes))
        return ACCESS_BAD;
    /* The whole row must be mapped to be copied at once. */
    bool whole = !((*start | (win->size - SIMT_LANES * bytes - *start)) >> 63);
    return full || whole ? ACCESS_ROW : ACCESS_ANY;
}

/* What is neither: w->address of all lanes. */
ALWAYS_INLINE enum access_shape check_each(struct warp *w, const struct code *i, const u64 *base,
                                           uint32_t mask, const struct window *win, unsigned size)
{
    bool full = mask == SIMT_FULL_MASK;
    unsigned bytes = size * i->n;
    u64 shift = (u64)more_of(i)->imm - win->base, limit = win->size - bytes;
    const wides *at = AT(base), *on = AT(w->lanes64), none = {0};
    wides *o = AT(w->address), row = lane_offsets(bytes), apart = none, bad = none;
    u64 lowest = base[__builtin_ctz(mask)];
    for (int k = 0; k < PARTS; k++) { /* lanes that are off get the first one's that is on */
        wides there = at[k];
        if (!full)
            there = (there & on[k]) | (lowest & ~on[k]);
        o[k] = there + shift;
        bad |= ((o[k] | (limit - o[k])) & 1ull << 63) | (o[k] & (bytes - 1));
        apart |= at[k] ^ (at[k][0] + row);
    }
    return any_bit(bad) ? ACCESS_BAD : full && !any_bit(apart) ? ACCESS_PARTS : ACCESS_ANY;
}

/* The same for all shapes. */
ALWAYS_INLINE enum access_shape check_access(struct warp *w, const struct code *i, const u64 *base,
                                             uint32_t mask, const struct window *win, unsigned size,
                                             u64 *start)
{
    enum access_shape shape = check_row(w, i, base, mask, win, size, i->n, start);
    return shape == ACCESS_ANY ? check_each(w, i, base, mask, win, size) : shape;
}

/* `value` into lane l of register dst: of those lanes that are on. */
#define PUT_LANES(T, value)                                                                        \
    if (mask == SIMT_FULL_MASK) {                                                                  \
        LANES to[l] = (value);                                                                     \
    } else {                                                                                       \
        const T *here = AT(sizeof(T) == 8 ? (const void *)w->lanes64 : (const void *)w->lanes32);  \
        LANES to[l] = ((value)&here[l]) | (to[l] & ~here[l]);                                      \
    }

/* The common shapes of single elements; all others in a step of their own, whose registers this one need
 * not save. */
#define LOAD_BODY(T, win, others)                                                                  \
    u64 start;                                                                                     \
    enum access_shape shape =                                                                      \
        i->n == 1 ? check_row(w, i, (const u64 *)(r + i->a), mask, &(win), sizeof(T), 1, &start)   \
                  : ACCESS_ANY;                                                                    \
    T *to = AT(r + i->d);                                                                          \
    if (shape == ACCESS_ROW) {                                                                     \
        const T *from = (const T *)((win).data + start);                                           \
        PUT_LANES(T, from[l])                                                                      \
    } else if (shape == ACCESS_EQUAL) {                                                            \
        T v = *(const T *)((win).data + start);                                                    \
        PUT_LANES(T, v)                                                                            \
    } else {                                                                                       \
        return others(w, i, r, mask);                                                              \
    }                                                                                              \
    NEXT_WIDE;

#define LOAD_OTHERS_BODY(T, win)                                                                   \
    const u64 *base = (const u64 *)(r + i->a);                                                     \
    u64 start = 0, bytes = i->n * sizeof(T);                                                       \
    /* of single ones the row has been looked for */                                               \
    enum access_shape shape = i->n == 1 && (win).size >= sizeof(T)                                 \
                                  ? check_each(w, i, base, mask, &(win), sizeof(T))                \
                                  : check_access(w, i, base, mask, &(win), sizeof(T), &start);     \
    if (__builtin_expect(shape == ACCESS_BAD, 0))                                                  \
        return find_trap(w, i, base, mask, false) ? load_slow(w, i, r, mask) : NULL;               \
    const u64 *o = AT(w->address);                                                                 \
    const uint8_t *data = (win).data;                                                              \
    for (int k = 0; k < i->n; k++, data += sizeof(T)) {                                            \
        T *to = AT(element_d(r, i, k));                                                            \
        if (shape == ACCESS_EQUAL) {                                                               \
            T v = *(const T *)(data + start);                                                      \
            PUT_LANES(T, v)                                                                        \
        } else if (shape == ACCESS_ROW) {                                                          \
            PUT_LANES(T, *(const T *)(data + start + (u64)l * bytes))                              \
        } else if (shape == ACCESS_PARTS && i->n == 1) {                                           \
            for (int l = 0; l < SIMT_LANES; l += PART)                                             \
                memcpy(to + l, data + o[l], PART * sizeof(T));                                     \
        } else {                                                                                   \
            PUT_LANES(T, *(const T *)(data + o[l]))                                                \
        }                                                                                          \
    }                                                                                              \
    NEXT_WIDE;

#define STORE_BODY(T, win, is_global)                                                              \
    const u64 *base = (const u64 *)(r + i->b);                                                     \
    u64 start, bytes = i->n * sizeof(T);                                                           \
    enum access_shape shape = check_access(w, i, base, mask, &(win), sizeof(T), &start);           \
    if (__builtin_expect(shape == ACCESS_BAD, 0))                                                  \
        return find_trap(w, i, base, mask, true) ? store_slow(w, i, r, mask) : NULL;               \
    uint8_t *data = (win).data;                                                                    \
    const T *from = AT(r + i->a);                                                                  \
    if (shape == ACCESS_ROW && i->n == 1 && mask == SIMT_FULL_MASK) {                              \
        memcpy(data + start, from, SIMT_LANES * sizeof(T));                                        \
    } else if (shape == ACCESS_ROW && i->n == 1) {                                                 \
        const T *on = AT(sizeof(T) == 8 ? (const void *)w->lanes64 : (const void *)w->lanes32);    \
        T *to = (T *)(data + start);                                                               \
        LANES if (on[l]) to[l] = from[l];                                                          \
    } else if (shape == ACCESS_PARTS && i->n == 1) {                                               \
        for (int l = 0; l < SIMT_LANES; l += PART)                                                 \
            memcpy(data + w->address[l], from + l, PART * sizeof(T));                              \
    } else {                                                                                       \
        for (uint32_t m = mask; m; m &= m - 1) {                                                   \
            int l = __builtin_ctz(m);                                                              \
            u64 at = shape == ACCESS_ROW     ? start + (u64)l * bytes                              \
                     : shape == ACCESS_EQUAL ? start                                               \
                                             : w->address[l];                                      \
            for (int k = 0; k < i->n; k++)                                                         \
                ((T *)(data + at))[k] = ((const T *)element_a(r, i, k))[l];                        \
        }                                                                                          \
    }                                                                                              \
    if (is_global)                                                                                 \
        mark_all(w, shape, start, mask, bytes);                                                    \
    NEXT_WIDE;

ALWAYS_INLINE void mark_all(struct warp *w, enum access_shape shape, u64 start, uint32_t mask,
                            u64 bytes)
{
    if (shape == ACCESS_PARTS) { /* at most SIMT_CHUNK bytes each */
        for (int l = 0; l < SIMT_LANES; l += PART) {
            mark_written(w, w->address[l]);
            mark_written(w, w->address[l + PART - 1]);
        }
        return;
    }
    if (shape == ACCESS_ANY) {
        for (uint32_t m = mask; m; m &= m - 1)
            mark_written(w, w->address[__builtin_ctz(m)]);
        return;
    }
    u64 step = shape == ACCESS_ROW ? bytes : 0;
    u64 first = start + (unsigned)__builtin_ctz(mask) * step;
    u64 last = start + (31u - (unsigned)__builtin_clz(mask)) * step;
    for (u64 at = first / SIMT_CHUNK; at <= last / SIMT_CHUNK; at++)
        w->written[at / 64] |= 1ull << at % 64;
}

/* clang-format off */
#define ACCESSES(T, bits, space)                                                                   \
    static __attribute__((noinline)) const struct code *load##bits##_##space##_others(             \
        struct warp *w, const struct code *i, uint8_t *r, uint32_t mask)                           \
    { LOAD_OTHERS_BODY(T, w->space) }                                                              \
    STEP(load##bits##_##space) { LOAD_BODY(T, w->space, load##bits##_##space##_others) }
/* clang-format on */
ACCESSES(u32, 32, global)
ACCESSES(u64, 64, global)
ACCESSES(u32, 32, shared)
ACCESSES(u64, 64, shared)
ACCESSES(u32, 32, param)
ACCESSES(u64, 64, param)
STEP(store32_global){STORE_BODY(u32, w->global, 1)} STEP(store64_global){
    STORE_BODY(u64, w->global, 1)} STEP(store32_shared){
    STORE_BODY(u32, w->shared, 0)} STEP(store64_shared){STORE_BODY(u64, w->shared, 0)}

/* Generic addresses are nearly always global: only then is the fast path taken. */
ALWAYS_INLINE bool all_global(const struct warp *w, const struct code *i, const u64 *base)
{
    u64 inside = 0;
    u64 limit = w->global.size, shift = (u64)more_of(i)->imm - w->global.base;
    LANES inside |= (base[l] + shift) | (limit - (base[l] + shift));
    return inside >> 63 == 0;
}

#define GENERIC(name, slow, operand)                                                               \
    STEP(name##_generic)                                                                           \
    {                                                                                              \
        if (mask == SIMT_FULL_MASK && all_global(w, i, (const u64 *)(r + i->operand)))             \
            return name##_global(w, i, r, mask);                                                   \
        return slow(w, i, r, mask);                                                                \
    }
GENERIC(load32, load_slow, a)
GENERIC(load64, load_slow, a)
GENERIC(store32, store_slow, b)
GENERIC(store64, store_slow, b)

/* ---- Prepared addresses ----------------------------------------------------------------------------------- */
/* Groups of 8 or 16 lanes that each walk with the same stride: what a tile of threads reads. */
ALWAYS_INLINE void find_groups(struct address *ad)
{
    const s32 *rel = AT(ad->relative);
    u32 stride = (u32)rel[1], differ = 0;
    for (int g = 0; g < SIMT_LANES; g += 8)
        for (u32 l = 0; l < 8; l++)
            differ |= (u32)rel[g + (int)l] - ((u32)rel[g] + l * stride);
    if (differ)
        return;
    ad->shape = ADDRESS_GROUPS;
    ad->stride = (s32)stride;
    bool wide = (u32)rel[8] == 8 * stride && (u32)rel[24] == (u32)rel[16] + 8 * stride;
    ad->group = wide ? 16 : 8;
}

ALWAYS_INLINE void find_extent(struct address *ad)
{
    const s32 *rel = AT(ad->relative);
    s32 min = 0, max = 0;
    u32 bits = 0;
    LANES
    {
        min = rel[l] < min ? rel[l] : min;
        max = rel[l] > max ? rel[l] : max;
        bits |= (u32)rel[l];
    }
    ad->min = min;
    ad->max = max;
    ad->bits = bits | (u32)ad->first;
}

ALWAYS_INLINE void set_row(struct address *ad, s32 stride, int lowest, int highest)
{
    s32 a = lowest * stride, b = highest * stride;
    ad->shape = stride ? ADDRESS_ROW : ADDRESS_EQUAL;
    ad->stride = stride;
    ad->min = a < b ? a : b;
    ad->max = a < b ? b : a;
    ad->bits = (u32)ad->first | (u32)stride;
}

#define NEAR 0x40000000u /* addresses of a warp are usually within this */

/* d: the struct address; a: the address register; x: bytes per lane of the access that it is for */
STEP(step_address)
{
    struct address *ad = AT(r + i->d);
    const u64 *base = AT(r + i->a);
    s32 *rel = AT(ad->relative);
    u64 far = 0, differ = 0;
    u32 apart = 0;
    if (mask == SIMT_FULL_MASK) {
        u64 first = base[0];
        u32 stride = (u32)(base[1] - first);
        LANES
        {
            u64 v = base[l] - first;
            rel[l] = (s32)v;
            far |= v + NEAR;
            apart |= (u32)v - (u32)l * stride;
        }
        ad->first = first;
        ad->lane = 0;
        if (__builtin_expect(far >> 31 != 0, 0))
            ad->shape = ADDRESS_WILD;
        else if (!apart)
            set_row(ad, (s32)stride, 0, SIMT_LANES - 1);
        else {
            ad->shape = ADDRESS_ANY;
            find_extent(ad);
            find_groups(ad);
        }
        NEXT;
    }
    const u64 *m = AT(w->lanes64);
    const u32 *m32 = AT(w->lanes32);
    u32 f = (u32)__builtin_ctz(mask), stride = i->x;
    u64 first = base[f];
    LANES
    {
        u64 v = (base[l] - first) & m[l];
        rel[l] = (s32)v;
        far |= v + NEAR;
        differ |= v;
        apart |= ((u32)v - ((u32)l - f) * stride) & m32[l];
    }
    ad->first = first;
    ad->lane = (u8)f;
    if (far >> 31)
        ad->shape = ADDRESS_WILD;
    else if (!differ)
        set_row(ad, 0, 0, 0);
    else if (!apart)
        set_row(ad, (s32)stride, 0, 31 - __builtin_clz(mask) - (s32)f);
    else {
        ad->shape = ADDRESS_ANY;
        find_extent(ad);
    }
    NEXT;
}

/* Where the first active lane's element is in win, or ~0 if any lane's is not there or not aligned. */
ALWAYS_INLINE u64 locate_all(const struct address *ad, const struct code *i,
                             const struct window *win, unsigned size)
{
    unsigned bytes = size * i->n;
    u64 offset = ad->first + (u64)more_of(i)->imm - win->base, limit = win->size - bytes;
    u64 low = offset + (u64)(s64)ad->min, high = offset + (u64)(s64)ad->max;
    u64 bad = (low | high | (limit - low) | (limit - high)) >> 63;
    bad |= (ad->bits | (u32)more_of(i)->imm) & (bytes - 1);
    return bad || ad->shape == ADDRESS_WILD || win->size < bytes ? ~0ull : offset;
}

/* Lanes of a group read elements k of their vectors of n, which lie one after another, or all the same
 * one. Constant trip counts, so that the compiler finds the shuffles. */
#define GROUP_LOADS(T, G)                                                                          \
    for (int g = 0; g < SIMT_LANES; g += G) {                                                      \
        const T *from = (const T *)(data + ad->relative[g]) + k;                                   \
        T *group = to + g;                                                                         \
        if (ad->stride == 0) {                                                                     \
            T v = from[0];                                                                         \
            INDEPENDENT for (int l = 0; l < G; l++) group[l] = v;                                  \
        } else if (n == 1) {                                                                       \
            memcpy(group, from, G * sizeof(T));                                                    \
        } else if (n == 2) {                                                                       \
            INDEPENDENT for (int l = 0; l < G; l++) group[l] = from[2 * l];                        \
        } else {                                                                                   \
            INDEPENDENT for (int l = 0; l < G; l++) group[l] = from[4 * l];                        \
        }                                                                                          \
    }

#ifdef __AVX512F__
/* Vectors of 4 words, 8 lanes walking through 128 bytes or all at one place: the threads of a GEMM tile.
 * One shuffle per element and half a warp. */
ALWAYS_INLINE void load_quads(uint8_t *r, const struct code *i, const struct address *ad,
                              const uint8_t *data)
{
    const __m512i eight =
        _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 0, 4, 8, 12, 16, 20, 24, 28);
    for (int half = 0; half < SIMT_LANES; half += 16) {
        const uint8_t *low = data + ad->relative[half], *high = data + ad->relative[half + 8];
        if (ad->stride == 0) {
            __m512i both = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)low));
            both = _mm512_inserti32x4(both, _mm_loadu_si128((const __m128i *)high), 1);
            for (int k = 0; k < 4; k++) {
                __m512i pick = _mm512_setr_epi32(k, k, k, k, k, k, k, k, 4 + k, 4 + k, 4 + k, 4 + k,
                                                 4 + k, 4 + k, 4 + k, 4 + k);
                _mm512_store_si512(element_d(r, i, k) + 4 * half,
                                   _mm512_permutexvar_epi32(pick, both));
            }
            continue;
        }
        __m512i a = _mm512_loadu_si512(low), b = _mm512_loadu_si512(low + 64);
        __m512i c = _mm512_loadu_si512(high), d = _mm512_loadu_si512(high + 64);
        for (int k = 0; k < 4; k++) {
            __m512i pick = _mm512_add_epi32(eight, _mm512_set1_epi32(k));
            __m512i v = _mm512_permutex2var_epi32(a, pick, b);
            if (low != high)
                v = _mm512_mask_blend_epi32(0xff00, v, _mm512_permutex2var_epi32(c, pick, d));
            _mm512_store_si512(element_d(r, i, k) + 4 * half, v);
        }
    }
}
#define HAVE_QUADS 1
#else
ALWAYS_INLINE void load_quads(uint8_t *r, const struct code *i, const struct address *ad,
                              const uint8_t *data)
{
    (void)r, (void)i, (void)ad, (void)data;
}
#define HAVE_QUADS 0
#endif

#define LOAD_AT_BODY(T)                                                                            \
    const struct address *ad = AT(r + more_of(i)->address);                                        \
    u64 offset = locate_all(ad, i, win, sizeof(T));                                                \
    if (__builtin_expect(offset == ~0ull, 0))                                                      \
        return false;                                                                              \
    const int n = i->n;                                                                            \
    const uint8_t *data = win->data + offset;                                                      \
    bool regular = ad->stride == 0 || ad->stride == (s32)sizeof(T) * n;                            \
    if (HAVE_QUADS && sizeof(T) == 4 && n == 4 && ad->shape == ADDRESS_GROUPS && regular) {        \
        load_quads(r, i, ad, data);                                                                \
        return true;                                                                               \
    }                                                                                              \
    for (int k = 0; k < n; k++) {                                                                  \
        T *to = AT(element_d(r, i, k));                                                            \
        if (ad->shape == ADDRESS_EQUAL) {                                                          \
            T v = ((const T *)data)[k];                                                            \
            PUT_LANES(T, v)                                                                        \
        } else if (ad->shape == ADDRESS_ROW && n == 1 && regular &&                                \
                   (mask == SIMT_FULL_MASK ||                                                      \
                    (offset >= ad->lane * sizeof(T) &&                                             \
                     offset + (SIMT_LANES - ad->lane) * sizeof(T) <= win->size))) {                \
            const T *from = (const T *)data - ad->lane;                                            \
            PUT_LANES(T, from[l])                                                                  \
        } else if (ad->shape == ADDRESS_GROUPS && regular && ad->group == 16) {                    \
            GROUP_LOADS(T, 16)                                                                     \
        } else if (ad->shape == ADDRESS_GROUPS && regular) {                                       \
            GROUP_LOADS(T, 8)                                                                      \
        } else {                                                                                   \
            const s32 *rel = AT(ad->relative);                                                     \
            PUT_LANES(T, ((const T *)(data + rel[l]))[k])                                          \
        }                                                                                          \
    }                                                                                              \
    return true;

/* False if any lane's address is bad: nothing has happened then. */
/* clang-format off */
ALWAYS_INLINE bool load32_at(struct warp *w, const struct code *i, uint8_t *r, uint32_t mask,
                             const struct window *win) { LOAD_AT_BODY(u32) }
ALWAYS_INLINE bool load64_at(struct warp *w, const struct code *i, uint8_t *r, uint32_t mask,
                             const struct window *win) { LOAD_AT_BODY(u64) }
/* clang-format on */

#define LOAD_AT(bits, space)                                                                       \
    STEP(load##bits##_##space##_at)                                                                \
    {                                                                                              \
        if (__builtin_expect(!load##bits##_at(w, i, r, mask, &w->space), 0))                       \
            return load_slow(w, i, r, mask);                                                       \
        NEXT_WIDE;                                                                                 \
    }
LOAD_AT(32, global) LOAD_AT(64, global) LOAD_AT(32, shared) LOAD_AT(64, shared)

#define STORE_AT_BODY(T, win, is_global)                                                           \
    const struct address *ad = AT(r + more_of(i)->address);                                        \
    u64 offset = locate_all(ad, i, &(win), sizeof(T));                                             \
    if (__builtin_expect(offset == ~0ull, 0))                                                      \
        return store_slow(w, i, r, mask);                                                          \
    uint8_t *data = (win).data + offset;                                                           \
    bool row = ad->shape == ADDRESS_ROW && i->n == 1 && ad->stride == (s32)sizeof(T);              \
    if (row && mask == SIMT_FULL_MASK) {                                                           \
        memcpy(data, r + i->a, SIMT_LANES * sizeof(T));                                            \
    } else if (i->n == 1 && mask == SIMT_FULL_MASK) {                                              \
        const T *from = AT(r + i->a);                                                              \
        for (int l = 0; l < SIMT_LANES; l++) /* in order: the last one's stays */                  \
            *(T *)(data + ad->relative[l]) = from[l];                                              \
    } else {                                                                                       \
        for (uint32_t m = mask; m; m &= m - 1) {                                                   \
            int l = __builtin_ctz(m);                                                              \
            for (int k = 0; k < i->n; k++)                                                         \
                ((T *)(data + ad->relative[l]))[k] = ((const T *)element_a(r, i, k))[l];           \
        }                                                                                          \
    }                                                                                              \
    if (is_global)                                                                                 \
        mark_prepared(w, ad, offset, mask);                                                        \
    NEXT_WIDE;

    ALWAYS_INLINE
    void mark_prepared(struct warp *w, const struct address *ad, u64 offset, uint32_t mask)
{
    u64 first = (offset + (u64)(s64)ad->min) / SIMT_CHUNK,
        last = (offset + (u64)(s64)ad->max) / SIMT_CHUNK;
    if (last - first <= 1) {
        w->written[first / 64] |= 1ull << first % 64;
        w->written[last / 64] |= 1ull << last % 64;
        return;
    }
    for (uint32_t m = mask; m; m &= m - 1)
        mark_written(w, offset + (u64)(s64)ad->relative[__builtin_ctz(m)]);
}

STEP(store32_global_at){STORE_AT_BODY(u32, w->global, 1)} STEP(store64_global_at){
    STORE_AT_BODY(u64, w->global, 1)} STEP(store32_shared_at){
    STORE_AT_BODY(u32, w->shared, 0)} STEP(store64_shared_at){STORE_AT_BODY(u64, w->shared, 0)}

/* ---- Elements of an array ----------------------------------------------------------------------------- */
/* base + index * 4, as mul.wide (here; x: of unsigned numbers), add.s64 and ld.global (the next two) make
 * it, where nobody reads what they leave in between: at once if the bases are equal and the indices a row
 * or equal. */
STEP(step_load_indexed)
{
    const struct code *add = i + 1, *load = i + 2;
    const struct window *win = &w->global;
    const u32 *index = AT(r + i->a);
    const u64 *base = AT(r + (add->a == i->d ? add->b : add->a));
    int first = __builtin_ctz(mask), last = 31 - __builtin_clz(mask);
    bool full = mask == SIMT_FULL_MASK;
    const wides *at = AT(base), *on = AT(w->lanes64);
    const words *number = AT(index), *on32 = AT(w->lanes32);
    wides differ = {0};
    words apart = {0};
    const u32 op = i->x ? PTX_MUL_WIDE_U32 : PTX_MUL_WIDE_S32;
    bool equal = index[first] == index[last];
    if (!equal && index[last] - index[first] != (u32)(last - first)) /* the ends tell */
        return SIMT_ROWS[op](w, i, r, mask);
    u32 origin32 = equal ? index[first] : index[first] - (u32)first;
    words row = (equal ? (words){0} : *(const words *)word_lanes) + origin32;
    const u32 next = equal ? 0 : 2 * PART;
    for (int k = 0; k < PARTS; k++)
        differ |= full ? at[k] ^ base[first] : (at[k] ^ base[first]) & on[k];
    for (int k = 0; k < PARTS / 2; k++, row += next)
        apart |= full ? number[k] ^ row : (number[k] ^ row) & on32[k];
    s64 low = i->x ? (s64)index[first] : (s64)(s32)index[first];
    s64 high = i->x ? (s64)index[last] : (s64)(s32)index[last];
    u64 shift = base[first] + (u64)more_of(load)->imm - win->base, limit = win->size - 4;
    u64 start = shift + (u64)low * 4, end = shift + (u64)high * 4, origin = start - (u64)first * 4;
    u32 *to = AT(r + load->d);
    if (any_bit(differ) || any_bit((wides)apart) || win->size < 128 ||
        is_outside(start, limit, 4) || is_outside(end, limit, 4))
        return SIMT_ROWS[op](w, i, r, mask);
    if (!equal && high - low == last - first && !((origin | (win->size - 128 - origin)) >> 63)) {
        const u32 *from = (const u32 *)(win->data + origin);
        PUT_LANES(u32, from[l])
    } else if (equal) {
        u32 v = *(const u32 *)(win->data + start);
        PUT_LANES(u32, v)
    } else {
        return SIMT_ROWS[op](w, i, r, mask);
    }
    i = load;
    NEXT_WIDE;
}
