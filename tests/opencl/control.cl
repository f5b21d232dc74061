/* What is not a function of values: divergence, barriers in loops, local memory, private arrays, ranges of
 * two and three dimensions, atomics, vectors in memory, geometry. Integers, or floats rounded once. */
#ifdef cl_khr_fp64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#endif
#define ITEM                                                                                          \
    size_t i = get_global_linear();                                                                   \
    (void)i;

static size_t get_global_linear(void)
{
    return (get_global_id(2) * get_global_size(1) + get_global_id(1)) * get_global_size(0) + get_global_id(0);
}

static uint get_local_linear(void)
{
    return (uint)((get_local_id(2) * get_local_size(1) + get_local_id(1)) * get_local_size(0) + get_local_id(0));
}

__kernel void ranges(__global int *out, const __global int *in)
{
    ITEM
    int v = 0;
    for (uint d = 0; d < 3; d++)
        v = v * 37 + (int)(get_global_id(d) * 2 + get_local_id(d) * 3 + get_group_id(d) * 5 + get_local_size(d) * 7 +
                           get_num_groups(d) * 11 + get_global_size(d) * 13);
    out[i] = v + (int)get_work_dim() * 0 + in[i];
}

__kernel void divergence(__global int *out, const __global int *in)
{
    ITEM
    int v = in[i], w = 0;
    for (int k = 0; k < 50; k++) {
        if ((v & 7) == 3) {
            v = v * 5 + k;
            continue;
        }
        if ((v & 31) == 9)
            break;
        for (int q = v & 3; q > 0; q--) {
            w += q * k;
            if (w & 64) {
                v ^= w;
                break;
            }
        }
        while (w > 100)
            w /= 3;
        switch (v & 7) {
        case 0: v += 13; break;
        case 1: v -= w; /* and on */
        case 2: v ^= k << 3; break;
        case 5:
            do
                v += 7;
            while (v & 2);
            break;
        default: v = (v >> 1) + w;
        }
    }
    out[i] = v ^ w;
}

/* A sum over the group, with a barrier in a loop. */
__kernel void tree(__global int *out, const __global int *in)
{
    ITEM
    __local int mine[256];
    uint l = get_local_linear(), n = get_local_size(0) * get_local_size(1) * get_local_size(2);
    mine[l] = in[i];
    barrier(CLK_LOCAL_MEM_FENCE);
    for (uint step = 128; step > 0; step >>= 1) {
        if (l < step && l + step < n)
            mine[l] += mine[l + step];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    out[i] = mine[0] * 3 + (int)l;
}

/* Barriers in nested loops, with rounds that the whole group agrees on. */
__kernel void waves(__global int *out, const __global int *in, __local int *box)
{
    ITEM
    uint l = get_local_linear(), n = get_local_size(0) * get_local_size(1) * get_local_size(2);
    int v = in[i];
    box[l] = v;
    for (int k = 0; k < 3; k++) {
        barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
        for (int q = 0; q <= k; q++) {
            int other = box[(l + (uint)(k * 3 + q)) % n];
            barrier(CLK_LOCAL_MEM_FENCE);
            if (other & 1)
                v += other;
            else
                v ^= other >> 1;
            box[l] = v;
            barrier(CLK_LOCAL_MEM_FENCE);
        }
    }
    out[i] = v;
}

/* Pointers to private arrays, chosen at run time. */
__kernel void private_arrays(__global int *out, const __global int *in)
{
    ITEM
    int a[8], b[8];
    for (int k = 0; k < 8; k++) {
        a[k] = in[i] * k;
        b[k] = in[i] - k;
    }
    int *p = in[i] & 1 ? a : b, *q = in[i] & 2 ? a + 3 : b + 1;
    for (int k = 0; k < 5; k++) {
        p[(in[i] + k) & 7] += q[k & 3];
        q[k & 1] = p[k] * 3;
    }
    int v = 0;
    for (int k = 0; k < 8; k++)
        v = v * 31 + a[k] - b[7 - k];
    out[i] = v;
}

/* Sums whose order does not matter. */
__kernel void atomics(__global int *out, const __global int *in)
{
    ITEM
    __local int sums[8];
    __local uint most[2];
    uint l = get_local_linear();
    if (l < 8)
        sums[l] = l == 3 || l == 5 ? -1 : 0;
    if (l < 2)
        most[l] = l ? 0xffffffffu : 0;
    barrier(CLK_LOCAL_MEM_FENCE);
    int v = in[i];
    atomic_add(&sums[0], v);
    atomic_sub(&sums[1], v);
    atomic_inc(&sums[2]);
    atomic_and(&sums[3], v | 0xff);
    atomic_or(&sums[4], v & 0xf0f0);
    atomic_dec(&sums[5]);
    atomic_xor(&sums[6], v);
    atomic_max(&sums[7], v);
    atomic_max(&most[0], (uint)v);
    atomic_min(&most[1], (uint)v);
    barrier(CLK_LOCAL_MEM_FENCE);
    int total = 0;
    for (int k = 0; k < 8; k++)
        total = total * 7 + sums[k];
    out[i] = total + (int)most[0] - (int)most[1] + (atomic_cmpxchg(out + i, 0, 5) == 0) + atomic_xchg(out + i, 9) * 0;
}

__kernel void memory_vectors(__global int *out, const __global int *in)
{
    ITEM
    __private int v[16];
    int4 a = vload4(0, in + i), b = (int4)(in[i], 2, 3, 4);
    int3 t = vload3(0, in + i);
    char16 c = as_char16(a * 3 + b);
    short8 s = convert_short8(c.lo) * (short8)(1, 2, 3, 4, 5, 6, 7, 8);
    int8 w = (int8)(a.wzyx, b.s0213);
    uint4 m = (uint4)(3, 1, 7, 2);
    vstore16((int16)(w, w.s76543210), 0, v);
    vstore2(a.xy + b.zw, 3, v);
    a = shuffle(w, m) + shuffle2(a, b, m);
    out[i] = a.x + a.y * 3 + a.z * 5 + a.w * 7 + s.s3 + s.s7 + c.sf + v[in[i] & 15] + t.z + any(a > b) + 2 * all(a > b) +
             dot((float4)(1, 2, 3, 4), convert_float4(b & 15)) + (int)cross((float4)(b.x & 7, 1, 2, 0), (float4)(3, b.x & 3, 1, 0)).y;
}

__kernel void copies(__global int *out, const __global int *in)
{
    ITEM
    __local int box[64];
    size_t group = get_group_id(1) * get_num_groups(0) + get_group_id(0);
    event_t e = async_work_group_copy(box, in + group, 64, 0);
    prefetch(in, 64);
    wait_group_events(1, &e);
    barrier(CLK_LOCAL_MEM_FENCE);
    mem_fence(CLK_LOCAL_MEM_FENCE);
    out[i] = box[(i * 7) & 63] - box[i & 63];
}

/* Geometry: sums of products may be fused or not. */
__kernel void geometry(__global float *out, const __global int *in)
{
    ITEM
    float4 a = convert_float4(vload4(0, in + i) % 1000) * 0.01f, b = convert_float4(vload4(1, in + i) % 1000) * 0.02f;
    float4 x = cross(a, b), y = normalize(a + 1e-3f), z = fast_normalize(b + 1e-3f);
    out[i] = dot(a, b) + distance(a, b) + length(a.xy) + fast_length(b.xyz) + fast_distance(a.xy, b.xy) + y.x + y.w + z.y +
             normalize(a.xy + 3e3f).y + distance(a.x, b.x) + length(a.z);
    (void)x;
}
