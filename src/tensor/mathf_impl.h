/* Constants of the f32 functions, shared by the law (mathf.c) and its vector twins (body/math.h).
 *
 * exp:  e^r on |r| <= ln2/2 as 1 + r + r^2 (E2 + E3 r + ... + E6 r^4), relative error 2^-28.2 before rounding.
 * tanh: on [0, 0.625) as a + a^3 (T0 + T1 z + ... + T4 z^4), z = a^2, relative error 2^-27.7 before rounding.
 * gelu: P(-a) = exp(-a^2/2) s (G1 + G2 s + ... + G6 s^5), s = 1 / (1 + K a), for the normal distribution's function P and
 *       a >= 0, absolute error 2^-27.4 before rounding (the form of Abramowitz & Stegun 26.2.17).
 * Minimax polynomials by Remez exchange, coefficients rounded to binary32. */
#ifndef CLO_TENSOR_MATHF_IMPL_H
#define CLO_TENSOR_MATHF_IMPL_H

#define CLO_EXP_LOG2E 0x1.715476p+0f
#define CLO_EXP_LN2_HI 0x1.62e4p-1f /* 16 bits: n * LN2_HI is exact */
#define CLO_EXP_LN2_LO 0x1.7f7d1cp-20f
#define CLO_EXP_MAGIC 0x1.8p23f     /* adding it rounds to an integer, which then stands in the low bits */
#define CLO_EXP_MAX 0x1.62e42ep+6f  /* the largest x with a finite e^x */
#define CLO_EXP_MIN -0x1.5d589ep+6f /* the smallest x with e^x >= 2^-126 */
#define CLO_EXP_E2 0x1.fffffcp-2f
#define CLO_EXP_E3 0x1.555490p-3f
#define CLO_EXP_E4 0x1.5558f4p-5f
#define CLO_EXP_E5 0x1.123a6ap-7f
#define CLO_EXP_E6 0x1.6a2384p-10f

#define CLO_TANH_SMALL 0.625f
#define CLO_TANH_T0 -0x1.555532p-2f
#define CLO_TANH_T1 0x1.11071ep-3f
#define CLO_TANH_T2 -0x1.b83b18p-5f
#define CLO_TANH_T3 0x1.521e0ap-6f
#define CLO_TANH_T4 -0x1.75b9f6p-8f

#define CLO_GELU_K 0x1.19999ap-2f
#define CLO_GELU_G1 0x1.e28c44p-4f
#define CLO_GELU_G2 0x1.58f652p-5f
#define CLO_GELU_G3 0x1.55f386p-2f
#define CLO_GELU_G4 -0x1.52f154p-2f
#define CLO_GELU_G5 0x1.ced98ep-2f
#define CLO_GELU_G6 -0x1.d6766cp-4f

#define CLO_GELU_CUBIC 0x1.6e4e26p-5f /* 0.044715 */
#define CLO_GELU_SCALE 0x1.988454p-1f /* sqrt(2/pi) */

#endif
