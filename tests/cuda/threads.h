/* Kernels whose threads do not look at each other, in what C and CUDA C++ have in common: compiled for the
 * GPU by clang and nvcc, and for the host, where a loop over threads is the reference. They have what
 * compilers make functions, tables, stacks and module-scope variables from. KERNEL(name): out has 64
 * words for each thread, in 64 words of random bits. */
#ifdef __CUDA__ /* clang, without CUDA's headers */
#define DEVICE __attribute__((device))
#define CONSTANT __attribute__((constant))
#define NOINLINE __attribute__((noinline, device))
#define KERNEL(name) extern "C" __attribute__((global)) void name(int *all_out, const int *all_in)
#define THREAD                                                                                     \
    int t = __nvvm_read_ptx_sreg_tid_x() +                                                         \
            __nvvm_read_ptx_sreg_ctaid_x() * __nvvm_read_ptx_sreg_ntid_x();                        \
    int *out = all_out + 64 * t;                                                                   \
    const int *in = all_in + 64 * t;
#elif defined __CUDACC__
#define DEVICE __device__
#define CONSTANT __constant__
#define NOINLINE __noinline__ __device__
#define KERNEL(name) extern "C" __global__ void name(int *all_out, const int *all_in)
#define THREAD                                                                                     \
    int t = threadIdx.x + blockIdx.x * blockDim.x;                                                 \
    int *out = all_out + 64 * t;                                                                   \
    const int *in = all_in + 64 * t;
#else
#define DEVICE
#define CONSTANT
#define NOINLINE __attribute__((noinline))
#define KERNEL(name) static void name(int *out, const int *in, int t)
#define THREAD (void)t;
#endif
typedef unsigned u32;
typedef unsigned long long u64;
typedef long long s64;

/* ---- Variables of the module ------------------------------------------------------------------------ */
static DEVICE int table[5] = {3, -1, 4, 1, -5};
static DEVICE int *into_table[3] = {&table[4], &table[0], table + 2};
static CONSTANT short narrow[7] = {1, -2, 3, -4, 5, -6, 7};
static CONSTANT double wide[3] = {0.5, -1.25, 1e7};
static DEVICE const char letters[] = "upset";
static DEVICE unsigned char bytes[3][4] = {{1, 2, 3, 255}, {4, 5}, {6, 7, 8, 9}};

KERNEL(variables)
{
    THREAD
    for (int i = 0; i < 8; i++) {
        u32 k = (u32)in[i];
        out[i] = table[k % 5] + *into_table[k % 3] + narrow[k % 7] + letters[k % 5] +
                 bytes[k % 3][k / 3 % 4];
        out[8 + i] = (int)(wide[k % 3] * (int)(k % 100));
    }
}

/* ---- Calls ------------------------------------------------------------------------------------------------ */
static NOINLINE int fibonacci(int n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

static NOINLINE int is_odd(int n);
static NOINLINE int is_even(int n) { return n == 0 ? 1 : is_odd(n - 1); }
static NOINLINE int is_odd(int n) { return n == 0 ? 0 : is_even(n - 1); }

static NOINLINE int ackermann(int m, int n)
{
    return m == 0 ? n + 1 : n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1));
}

KERNEL(recursion)
{
    THREAD
    for (int i = 0; i < 4; i++) {
        int n = in[i] & 7;
        out[i] = fibonacci(n);
        out[4 + i] = is_even(in[i] & 31);
        out[8 + i] = in[i] & 1 ? ackermann(1 + (in[i] >> 1 & 1), n / 2) : -1;
    }
}

static NOINLINE void sort(int *a, int n)
{
    if (n < 2)
        return;
    int pivot = a[n / 2], i = 0, j = n - 1;
    for (;;) {
        while (a[i] < pivot)
            i++;
        while (a[j] > pivot)
            j--;
        if (i >= j)
            break;
        int swap = a[i];
        a[i++] = a[j];
        a[j--] = swap;
    }
    sort(a, i);
    sort(a + i, n - i);
}

KERNEL(sorting)
{
    THREAD
    int mine[24];
    for (int i = 0; i < 24; i++)
        mine[i] = in[i] % 100;
    sort(mine, 1 + (in[24] & 15));
    sort(mine + 16, 8);
    for (int i = 0; i < 24; i++)
        out[i] = mine[i];
}

struct mixed {
    char c;
    short s[3];
    double d;
    int i;
    long long l;
};

static NOINLINE struct mixed change(struct mixed m, int n, const int *from)
{
    struct mixed r = m;
    r.c = (char)(m.c + n);
    r.s[n & 1] = (short)(m.s[2] * 3 + from[n & 3]);
    r.d = m.d * 2 - n;
    r.l = m.l ^ (s64)((u64)(s64)m.i << 20);
    return r;
}

static NOINLINE double pass_many(char a, short b, int c, s64 d, float e, double f, unsigned char g)
{
    return a + b + c + (double)d + (double)e + f + g;
}

KERNEL(structures)
{
    THREAD
    struct mixed m = {
        (char)in[0], {(short)in[1], (short)in[2], (short)in[3]}, (double)in[4], in[5], in[6]};
    for (int i = 0; i < 3; i++)
        m = change(m, (int)((u32)in[7 + i] & 255), in + 10);
    out[0] = m.c;
    out[1] = m.s[0];
    out[2] = m.s[1];
    out[3] = m.s[2];
    out[4] = (int)(m.d / 1024);
    out[5] = (int)m.l;
    out[6] = (int)(m.l >> 32);
    out[7] = (int)(pass_many((char)in[20], (short)in[21], in[22] >> 8, in[23],
                             (float)(in[24] >> 16), (double)in[25], (unsigned char)in[26]) /
                   64);
}

typedef int function(int, int);
static NOINLINE int plus(int a, int b) { return (int)((u32)a + (u32)b); }
static NOINLINE int minus(int a, int b) { return (int)((u32)a - (u32)b); }
static NOINLINE int less(int a, int b) { return a < b; }
static NOINLINE int deeper(int a, int b)
{
    return a & 1 ? plus(b, 7) : less(b, a) ? minus(a, 1) : 5;
}
static DEVICE function *const operations[4] = {plus, minus, less, deeper};

static NOINLINE int twice(function *f, int a, int b) { return f(f(a, b), b); }

KERNEL(pointers)
{
    THREAD
    for (int i = 0; i < 16; i++) {
        out[i] = operations[in[i] & 3](in[i + 1], in[i + 2]);
        if (in[i] & 4)
            out[i + 16] = twice(operations[in[i] >> 3 & 3], in[i], out[i]);
        else
            out[i + 16] = (int)(0u - (u32)out[i]);
    }
}

/* ---- Branches ------------------------------------------------------------------------------------------------ */
KERNEL(jumps)
{
    THREAD
    u32 v = (u32)in[0];
    for (int i = 0; i < 40; i++) {
        u32 w = (u32)in[1 + i % 20];
        switch ((v ^ w) % 13) {
        case 0:
            v += 5;
            break;
        case 1:
            v *= 3;
            break;
        case 2:
            v -= (u32)i;
            continue;
        case 3:
            v ^= 0x55; /* and on */
        case 4:
            v <<= 1;
            break;
        case 5:
            v = w;
            break;
        case 6:
            for (u32 k = 0; k < (w & 7); k++) {
                if (k == 3 && v & 1)
                    goto next;
                v += k;
            }
            break;
        case 7:
            if (v & 0x40)
                goto done;
            v += 100;
            break;
        case 9:
            v >>= 1;
            break;
        case 11:
            v = ~v;
            break;
        default:
            v += 11;
        }
    next:
        out[i] = (int)v;
    }
done:
    out[63] = (int)v;
}

/* ---- Integers ------------------------------------------------------------------------------------------------ */
static DEVICE u32 swap_bytes(u32 v)
{
    return v << 24 | (v & 0xff00) << 8 | (v >> 8 & 0xff00) | v >> 24;
}

KERNEL(integers)
{
    THREAD
    for (int i = 0; i < 4; i++) {
        int a = in[2 * i], b = in[2 * i + 1];
        u32 ua = (u32)a, ub = (u32)b;
        s64 la = (s64)((u64)ua << 32 | ub), lb = b | 1;
        short sa = (short)a, sb = (short)(b | 1);
        signed char ca = (signed char)a, cb = (signed char)(b >> 8 | 1);
        int *o = out + 16 * i;
        o[0] = (int)(ua / (ub | 1) + ua % (ub | 1));
        o[1] = a == -2147483647 - 1 ? 0 : a / (b | 1) + a % (b | 1);
        o[2] = (int)(la >> 1) / 3;
        o[3] = (int)((la >> 1) / lb >> 7) + (int)((la >> 1) % lb);
        o[4] = (int)((u64)la / ((u64)lb | 1));
        o[5] = sa / sb + (sa * sb >> 5) + (sa % sb) + (short)((u32)sa << 3);
        o[6] = ca / cb + ca % cb + (unsigned char)ca / 3;
        o[7] = (int)((u64)((s64)a * b) >> 21);
        o[8] = (int)((unsigned __int128)(u64)la * ub >> 64);
        o[9] = __builtin_popcount(ua) + __builtin_popcountll((u64)la);
        o[10] = __builtin_clz(ua | 1) + __builtin_clzll((u64)la | 1);
        o[11] = (int)(ua << (ub & 31) | ua >> ((0u - ub) & 31));
        o[12] = a < b ? sa < sb : (ua < ub) + 2 * (la < lb);
        o[13] = (int)((s64)((u64)sa << (ub & 15)) + (ca >> (ua & 7)));
        o[14] = (a > 1000 ? 1000 : a < -1000 ? -1000 : a) + (sa > ca ? sa : ca);
        o[15] = (int)swap_bytes(ua) ^ (int)(((u64)swap_bytes(ua) << 32 | swap_bytes(ub)) >> 16);
    }
}

/* ---- Floating point: operations that are rounded once everywhere ------------------------------------------------ */
KERNEL(floats)
{
    THREAD
    for (int i = 0; i < 4; i++) {
        float a, b;
        double d, e;
        int *o = out + 12 * i;
        s64 l = (s64)((u64)(u32)in[4 * i] << 32 | (u32)in[4 * i + 1]);
        __builtin_memcpy(&a, in + 4 * i, 4);
        __builtin_memcpy(&b, in + 4 * i + 1, 4);
        __builtin_memcpy(&d, in + 4 * i, 8);
        __builtin_memcpy(&e, in + 4 * i + 2, 8);
        o[0] = (a < b) + 2 * (a <= b) + 4 * (a == b) + 8 * (a != b) + 16 * !(a > b) +
               32 * !(a >= b) + 64 * (d < e) + 128 * (d != e) + 256 * !(d >= e) + 512 * (d == d);
        float f = (float)l + (float)(in[i] >> 3) + (float)(u64)l + (float)(u32)in[i];
        __builtin_memcpy(o + 1, &f, 4);
        double g =
            (double)l - (double)(u64)l * 0.5 + (double)(u32)in[i] + (double)(float)(short)in[i];
        __builtin_memcpy(o + 2, &g, 8);
        float h = (float)((double)(in[i] >> 8) * 1.0000001);
        o[4] = (int)(h * 0.25f) + (short)(int)(in[i] * 0.0001f);
        o[5] = (int)(u32)(s64)((double)(u32)in[i] * 1.5);
        o[6] = (int)((s64)((double)in[i] * 4e9) >> 3);
        float k = __builtin_fabsf(h) > 3 ? -h : __builtin_copysignf(h, b);
        __builtin_memcpy(o + 7, &k, 4);
        o[8] = (unsigned char)(in[i] & 255) / 2.0f > 50;
    }
}

#define EACH_KERNEL(X)                                                                             \
    X(variables) X(recursion) X(sorting) X(structures) X(pointers) X(jumps) X(integers) X(floats)
