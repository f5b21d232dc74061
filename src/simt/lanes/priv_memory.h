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
        u64 address = base[l] + (u64)more_of(i)->imm;
        struct place at = locate(w, i->y, address, bytes, l, write);
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
        struct place at = locate(w, i->y, base[l] + (u64)more_of(i)->imm, bytes, l, false);
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
        struct place at = locate(w, i->y, base[l] + (u64)more_of(i)->imm, bytes, l, true);
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
enum access_shape { ACCESS_BAD, ACCESS_CONSECUTIVE, ACCESS_EQUAL, ACCESS_ANY };

/* Offsets of all lanes in win to w->address; lanes that are off get the first active lane's. What is
 * checked: all are at most size - bytes (offset and limit - offset both below 2^63) and aligned. */
ALWAYS_INLINE enum access_shape check_access(struct warp *w, const struct code *i, const u64 *base,
                                             uint32_t mask, const struct window *win, unsigned size,
                                             u64 *start)
{
    unsigned bytes = size * i->n;
    u64 *o = AT(w->address);
    u64 shift = (u64)more_of(i)->imm - win->base, limit = win->size - bytes;
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

#define LOAD_BODY(T, win)                                                                          \
    const u64 *base = (const u64 *)(r + i->a);                                                     \
    u64 start;                                                                                     \
    enum access_shape shape = check_access(w, i, base, mask, &(win), sizeof(T), &start);           \
    if (__builtin_expect(shape == ACCESS_BAD, 0))                                                  \
        return find_trap(w, i, base, mask, false) ? load_slow(w, i, r, mask) : NULL;               \
    const u64 *o = AT(w->address);                                                                 \
    const uint8_t *data = (win).data;                                                              \
    for (int k = 0; k < i->n; k++, data += sizeof(T)) {                                            \
        uint8_t *dst = element_d(r, i, k);                                                         \
        T *to = AT(result(w, dst, mask));                                                          \
        if (shape == ACCESS_CONSECUTIVE && i->n == 1) {                                            \
            memcpy(to, data + start, SIMT_LANES * sizeof(T));                                      \
        } else if (shape == ACCESS_EQUAL) {                                                        \
            T v = *(const T *)(data + o[0]);                                                       \
            LANES to[l] = v;                                                                       \
        } else {                                                                                   \
            LANES to[l] = *(const T *)(data + o[l]);                                               \
        }                                                                                          \
        if (mask != SIMT_FULL_MASK)                                                                \
            blend(w, dst, sizeof(T));                                                              \
    }                                                                                              \
    NEXT_WIDE;

#define STORE_BODY(T, win, is_global)                                                              \
    const u64 *base = (const u64 *)(r + i->b);                                                     \
    u64 start;                                                                                     \
    enum access_shape shape = check_access(w, i, base, mask, &(win), sizeof(T), &start);           \
    if (__builtin_expect(shape == ACCESS_BAD, 0))                                                  \
        return find_trap(w, i, base, mask, true) ? store_slow(w, i, r, mask) : NULL;               \
    const u64 *o = AT(w->address);                                                                 \
    uint8_t *data = (win).data;                                                                    \
    if (shape == ACCESS_CONSECUTIVE && i->n == 1 && mask == SIMT_FULL_MASK) {                      \
        memcpy(data + start, r + i->a, SIMT_LANES * sizeof(T));                                    \
    } else {                                                                                       \
        for (uint32_t m = mask; m; m &= m - 1) {                                                   \
            int l = __builtin_ctz(m);                                                              \
            for (int k = 0; k < i->n; k++)                                                         \
                ((T *)(data + o[l]))[k] = ((const T *)element_a(r, i, k))[l];                      \
        }                                                                                          \
    }                                                                                              \
    if (is_global)                                                                                 \
        mark_all(w, shape, start, mask, sizeof(T) * i->n);                                         \
    NEXT_WIDE;

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

STEP(load32_global){LOAD_BODY(u32, w->global)} STEP(load64_global){
    LOAD_BODY(u64, w->global)} STEP(load32_shared){LOAD_BODY(u32, w->shared)} STEP(load64_shared){
    LOAD_BODY(u64, w->shared)} STEP(load32_param){LOAD_BODY(u32, w->param)} STEP(load64_param){
    LOAD_BODY(u64, w->param)} STEP(store32_global){
    STORE_BODY(u32, w->global, 1)} STEP(store64_global){
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

#define LOAD_AT_BODY(T, win)                                                                       \
    const struct address *ad = AT(r + more_of(i)->address);                                        \
    u64 offset = locate_all(ad, i, &(win), sizeof(T));                                             \
    if (__builtin_expect(offset == ~0ull, 0))                                                      \
        return load_slow(w, i, r, mask);                                                           \
    const int n = i->n;                                                                            \
    const uint8_t *data = (win).data + offset;                                                     \
    bool regular = ad->stride == 0 || ad->stride == (s32)sizeof(T) * n;                            \
    if (HAVE_QUADS && sizeof(T) == 4 && n == 4 && ad->shape == ADDRESS_GROUPS && regular) {        \
        load_quads(r, i, ad, data);                                                                \
        NEXT_WIDE;                                                                                 \
    }                                                                                              \
    for (int k = 0; k < n; k++) {                                                                  \
        uint8_t *dst = element_d(r, i, k);                                                         \
        T *to = AT(result(w, dst, mask));                                                          \
        if (ad->shape == ADDRESS_EQUAL) {                                                          \
            T v = ((const T *)data)[k];                                                            \
            LANES to[l] = v;                                                                       \
        } else if (ad->shape == ADDRESS_ROW && n == 1 && regular && mask == SIMT_FULL_MASK) {      \
            memcpy(to, data, SIMT_LANES * sizeof(T));                                              \
        } else if (ad->shape == ADDRESS_ROW && n == 1 && regular &&                                \
                   offset >= ad->lane * sizeof(T) &&                                               \
                   offset + (SIMT_LANES - ad->lane) * sizeof(T) <= (win).size) {                   \
            memcpy(to, data - ad->lane * sizeof(T), SIMT_LANES * sizeof(T));                       \
        } else if (ad->shape == ADDRESS_GROUPS && regular && ad->group == 16) {                    \
            GROUP_LOADS(T, 16)                                                                     \
        } else if (ad->shape == ADDRESS_GROUPS && regular) {                                       \
            GROUP_LOADS(T, 8)                                                                      \
        } else {                                                                                   \
            const s32 *rel = AT(ad->relative);                                                     \
            LANES to[l] = ((const T *)(data + rel[l]))[k];                                         \
        }                                                                                          \
        if (mask != SIMT_FULL_MASK)                                                                \
            blend(w, dst, sizeof(T));                                                              \
    }                                                                                              \
    NEXT_WIDE;

#define STORE_AT_BODY(T, win, is_global)                                                           \
    const struct address *ad = AT(r + more_of(i)->address);                                        \
    u64 offset = locate_all(ad, i, &(win), sizeof(T));                                             \
    if (__builtin_expect(offset == ~0ull, 0))                                                      \
        return store_slow(w, i, r, mask);                                                          \
    uint8_t *data = (win).data + offset;                                                           \
    bool row = ad->shape == ADDRESS_ROW && i->n == 1 && ad->stride == (s32)sizeof(T);              \
    if (row && mask == SIMT_FULL_MASK) {                                                           \
        memcpy(data, r + i->a, SIMT_LANES * sizeof(T));                                            \
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

ALWAYS_INLINE void mark_prepared(struct warp *w, const struct address *ad, u64 offset,
                                 uint32_t mask)
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

STEP(load32_global_at){LOAD_AT_BODY(u32, w->global)} STEP(load64_global_at){
    LOAD_AT_BODY(u64, w->global)} STEP(load32_shared_at){
    LOAD_AT_BODY(u32, w->shared)} STEP(load64_shared_at){
    LOAD_AT_BODY(u64, w->shared)} STEP(store32_global_at){
    STORE_AT_BODY(u32, w->global, 1)} STEP(store64_global_at){
    STORE_AT_BODY(u64, w->global, 1)} STEP(store32_shared_at){
    STORE_AT_BODY(u32, w->shared, 0)} STEP(store64_shared_at)
{
    STORE_AT_BODY(u64, w->shared, 0)
}
