/* Every row of builtins.def: result k of work-item i goes to out[k * n + i]. -DT: the type; -DS: the signed
 * integer of its size; -DFLOATING or not. Scalars, and vectors of 4 made from the neighbours' values. */
#ifdef cl_khr_fp64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#endif
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define T4 JOIN(T, 4)
#define S4 JOIN(S, 4)
#define U4 JOIN(U, 4)
#define NONZERO(b) ((b) == 0 || (b) == (T)-1 ? (T)7 : (b)) /* of -1 the quotient may not fit */

#define ITEM                                                                                          \
    size_t i_ = get_global_id(0), n = get_global_size(0);                                             \
    T a = in[3 * i_], b = in[3 * i_ + 1], c = in[3 * i_ + 2];                                         \
    int i = ints[2 * i_], j = ints[2 * i_ + 1] % 20, k = 0;                                           \
    (void)a, (void)b, (void)c, (void)i, (void)j;
#define RESULT(v) out[k++ * n + i_] = (v);

#ifdef FLOATING
__kernel void scalars(__global T *out, const __global T *in, const __global int *ints)
{
    ITEM
#define F1(name, ulp) RESULT(name(a))
#define F2(name, ulp) RESULT(name(a, b))
#define F3(name, ulp) RESULT(name(a, b, c))
#define FX(name, expression, ulp) RESULT(expression)
#define R1(name) RESULT((T)name(a))
#define R2(name) RESULT((T)name(a, b))
#include "builtins.def"
}
#else
__kernel void scalars(__global T *out, const __global T *in, const __global int *ints)
{
    ITEM
#define I1(name) RESULT((T)name(a))
#define I2(name) RESULT((T)name(a, b))
#define I3(name) RESULT(name(a, b, c))
#define IX(name, expression) RESULT(expression)
#include "builtins.def"
}
#endif

/* Lane q of a vector is the value of the work-item q further on, around. */
#define ITEM_4                                                                                        \
    size_t i_ = get_global_id(0), n = get_global_size(0);                                             \
    T4 a, b, c;                                                                                       \
    T v[3][4];                                                                                        \
    int k = 0;                                                                                        \
    for (int q = 0; q < 4; q++)                                                                       \
        for (int w = 0; w < 3; w++)                                                                   \
            v[w][q] = in[3 * ((i_ + q) % n) + w];                                                     \
    a = vload4(0, v[0]), b = vload4(0, v[1]), c = vload4(0, v[2]);                                    \
    (void)a, (void)b, (void)c;
#define RESULT_4(e) vstore4((e), k++ * n + i_, out);

__kernel void vectors(__global T *out, const __global T *in)
{
    ITEM_4
#ifdef FLOATING
#define F1(name, ulp) RESULT_4(name(a))
#define F2(name, ulp) RESULT_4(name(a, b))
#define F3(name, ulp) RESULT_4(name(a, b, c))
#define R1(name) RESULT_4(JOIN(convert_, T4)(name(a)))
#define R2(name) RESULT_4(JOIN(convert_, T4)(name(a, b)))
#else
#define I1(name) RESULT_4(JOIN(convert_, T4)(name(a)))
#define I2(name) RESULT_4(JOIN(convert_, T4)(name(a, b)))
#define I3(name) RESULT_4(name(a, b, c))
#endif
#include "builtins.def"
}
