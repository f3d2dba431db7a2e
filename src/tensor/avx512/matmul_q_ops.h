/* Operations of matmul_q_body.h on 512 bits, but for the integer sums. */
#ifndef CLO_TENSOR_AVX512_MATMUL_Q_OPS_H
#define CLO_TENSOR_AVX512_MATMUL_Q_OPS_H

#include "tensor/matmul_q_x86.h"

#define Q_VN 1

typedef __m512i vi;
typedef __m512 vf;

AI vi v_load(const uint8_t *p) { return _mm512_loadu_si512(p); }
AI void v_store(uint8_t *p, vi v) { _mm512_storeu_si512(p, v); }
AI vi v_and(vi a, vi b) { return _mm512_and_si512(a, b); }
AI vi v_or(vi a, vi b) { return _mm512_or_si512(a, b); }
AI vi v_xor(vi a, vi b) { return _mm512_xor_si512(a, b); }
AI vi v_add8(vi a, vi b) { return _mm512_add_epi8(a, b); }
AI vi v_set8(int v) { return _mm512_set1_epi8((char)v); }
AI vi v_sh(vi v, int n) { return n >= 0 ? _mm512_slli_epi16(v, (uint8_t)n) : _mm512_srli_epi16(v, (uint8_t)-n); }
AI vi v_lut(const int8_t table[16], vi i)
{
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)table)), i);
}

typedef __m512i qx;

AI qx q_load(const uint8_t *p) { return _mm512_set1_epi32(load_i32(p)); }

AI vf f_zero(void) { return _mm512_setzero_ps(); }
AI vf f_load(const float *p) { return _mm512_loadu_ps(p); }
AI void f_store(float *p, vf v) { _mm512_storeu_ps(p, v); }
AI vf f_set(const uint8_t *p) { return _mm512_set1_ps(load_f32(p)); }
AI vf f_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
AI vf f_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
AI vf f_cvt(vi v) { return _mm512_cvtepi32_ps(v); }
AI vf f_neg(vf v) { return _mm512_xor_ps(v, _mm512_set1_ps(-0.0f)); }
AI vf f_f16(const uint8_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }
AI vf f_i8(const int8_t *p) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p))); }
/* 2^(e - 128): as an integer, (e - 1) << 23 from e = 2 on, and (e + 1) << 21 below; the larger one is right. */
AI vf f_exp(const uint8_t *p)
{
    __m512i e = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)), one = _mm512_set1_epi32(1);
    return _mm512_castsi512_ps(_mm512_max_epi32(_mm512_slli_epi32(_mm512_sub_epi32(e, one), 23),
                                                _mm512_slli_epi32(_mm512_add_epi32(e, one), 21)));
}
/* sum(q) from an item that holds -128 * sum(q). */
AI vi i_sum(const uint8_t *p) { return _mm512_set1_epi32(-(load_i32(p) >> 7)); }

#endif
