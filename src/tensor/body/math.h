/* Vector twins of the f32 functions of mathf.c, on v16: 16 floats, however many registers they take.
 *
 * The files of this folder are the vector kernels, written once over v16 and compiled by each instruction set's folder,
 * which defines before including them (avx512/vec16.h is the shortest to read):
 *
 *   v16_load store set add sub mul div fma max      element by element, IEEE; fma(a, b, c) = a b + c, fused
 *   v16_select_lt le (a, b, yes, no)                a < b ? yes : no; NaN compares false
 *   v16_and xor                                     on bits
 *   v16_scale_bits(p, t)                            bits of p + (bits of t << 23)
 *   v16_load_n store_n                              the first n < 16 elements; the rest is +0
 *   v16_sum                                         the slots16 fold of kernel.h
 *   v16_max_of                                      the largest element; any when one is NaN
 *   v16_load_f16 store_f16                          16 binary16, store rounds to nearest even
 *   v16_load_bf16_even odd                          the low or high halves of 16 dwords, as the upper half of a float
 *   CLO_SFX(name), V16_WIDE_T, V16_WIDE_P, V16_NARROW_P, V16_ATT_V      the exported suffix; tile sizes
 */
#ifndef CLO_TENSOR_BODY_MATH_H
#define CLO_TENSOR_BODY_MATH_H

#include "base/half.h"
#include "tensor/mathf_impl.h"

/* The steps of clo_exp_f32; the two cases beside the polynomial are selected at the end. */
static inline v16 v16_exp(v16 x)
{
    v16 magic = v16_set(CLO_EXP_MAGIC);
    v16 t = v16_fma(x, v16_set(CLO_EXP_LOG2E), magic);
    v16 n = v16_sub(t, magic);
    v16 r = v16_fma(n, v16_set(-CLO_EXP_LN2_HI), x);
    r = v16_fma(n, v16_set(-CLO_EXP_LN2_LO), r);
    v16 p = v16_set(CLO_EXP_E6);
    p = v16_fma(p, r, v16_set(CLO_EXP_E5));
    p = v16_fma(p, r, v16_set(CLO_EXP_E4));
    p = v16_fma(p, r, v16_set(CLO_EXP_E3));
    p = v16_fma(p, r, v16_set(CLO_EXP_E2));
    p = v16_fma(p, r, v16_set(1.0f));
    p = v16_fma(p, r, v16_set(1.0f));
    v16 y = v16_scale_bits(p, t);
    y = v16_select_lt(x, v16_set(CLO_EXP_MIN), v16_set(0.0f), y);
    return v16_select_le(x, v16_set(CLO_EXP_MAX), y, v16_add(x, v16_set(__builtin_inff())));
}

static inline v16 v16_neg(v16 x)
{
    return v16_xor(x, v16_set(-0.0f));
}

/* The steps of clo_tanh_f32. y has no sign bit (or is NaN), so xor puts the sign as the law's or does. */
static inline v16 v16_tanh(v16 x)
{
    v16 one = v16_set(1.0f), sign = v16_and(x, v16_set(-0.0f));
    v16 a = v16_xor(x, sign);
    v16 big = v16_sub(one, v16_div(v16_set(2.0f), v16_add(v16_exp(v16_add(a, a)), one)));
    v16 z = v16_mul(a, a);
    v16 p = v16_set(CLO_TANH_T4);
    p = v16_fma(p, z, v16_set(CLO_TANH_T3));
    p = v16_fma(p, z, v16_set(CLO_TANH_T2));
    p = v16_fma(p, z, v16_set(CLO_TANH_T1));
    p = v16_fma(p, z, v16_set(CLO_TANH_T0));
    v16 y = v16_fma(v16_mul(a, z), p, a);
    y = v16_select_lt(a, v16_set(CLO_TANH_SMALL), y, big);
    return v16_xor(y, sign);
}

/* The steps of clo_gelu_f32. */
static inline v16 v16_gelu(v16 x)
{
    v16 one = v16_set(1.0f), a = v16_xor(x, v16_and(x, v16_set(-0.0f)));
    v16 s = v16_div(one, v16_fma(a, v16_set(CLO_GELU_K), one));
    v16 p = v16_set(CLO_GELU_G6);
    p = v16_fma(p, s, v16_set(CLO_GELU_G5));
    p = v16_fma(p, s, v16_set(CLO_GELU_G4));
    p = v16_fma(p, s, v16_set(CLO_GELU_G3));
    p = v16_fma(p, s, v16_set(CLO_GELU_G2));
    p = v16_fma(p, s, v16_set(CLO_GELU_G1));
    v16 tail = v16_mul(v16_exp(v16_mul(v16_mul(a, a), v16_set(-0.5f))), v16_mul(p, s));
    return v16_mul(x, v16_select_lt(x, v16_set(0.0f), tail, v16_sub(one, tail)));
}

/* Elements i with lo <= i < hi of x, `fill` elsewhere; lo and hi may lie outside 0..16. */
static inline v16 v16_keep(v16 x, float lo, float hi, v16 fill)
{
    static const float iota[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    v16 i = v16_load(iota);
    return v16_select_lt(i, v16_set(lo), fill, v16_select_lt(i, v16_set(hi), x, fill));
}

#endif
