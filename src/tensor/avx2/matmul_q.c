/* Quantised matrix products, AVX2: vpmaddubsw pairs in 16-bit lanes, summed there with wrap-around where the true sum
 * fits (classes in matmul_q_body.h), widened by vpmaddwd. vpmaddubsw itself cannot saturate: 2 * 63 * 127 < 2^15 for U,
 * 2 * 128 * 127 < 2^15 for S, whose signs are moved to the quants (which are never -128). */
#include "tensor/matmul_q_x86.h"

#define Q_NAME(x) x##_avx2
#define Q_VN 2
#define Q_U_BIAS 5
#define Q_S_BIAS (-1)
#define Q_NT_MAX 3
#define Q_NT_EVEN 2
#define Q_PANELS 1
#define Q_FUSED_MAX 2
#define Q_STREAMS 4
#define Q_STREAMS_SUPER 2
#define Q_AHEAD 1152
#define Q_AHEAD_SUPER 2304

typedef __m256i vi;
typedef __m256 vf;
typedef struct {
    __m256i lanes, wide; /* 16-bit lanes under way; int32 already widened (classes U2 and S) */
} dot;

AI vi v_load(const uint8_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
AI void v_store(uint8_t *p, vi v) { _mm256_storeu_si256((__m256i *)p, v); }
AI vi v_and(vi a, vi b) { return _mm256_and_si256(a, b); }
AI vi v_or(vi a, vi b) { return _mm256_or_si256(a, b); }
AI vi v_xor(vi a, vi b) { return _mm256_xor_si256(a, b); }
AI vi v_add8(vi a, vi b) { return _mm256_add_epi8(a, b); }
AI vi v_set8(int v) { return _mm256_set1_epi8((char)v); }
AI vi v_sh(vi v, int n) { return n >= 0 ? _mm256_slli_epi16(v, n) : _mm256_srli_epi16(v, -n); }
AI vi v_lut(const int8_t table[16], vi i)
{
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table)), i);
}

AI vf f_zero(void) { return _mm256_setzero_ps(); }
AI vf f_load(const float *p) { return _mm256_loadu_ps(p); }
AI void f_store(float *p, vf v) { _mm256_storeu_ps(p, v); }
AI vf f_set(const uint8_t *p) { return _mm256_set1_ps(load_f32(p)); }
AI vf f_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
AI vf f_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
AI vf f_cvt(vi v) { return _mm256_cvtepi32_ps(v); }
AI vf f_neg(vf v) { return _mm256_xor_ps(v, _mm256_set1_ps(-0.0f)); }
AI vf f_f16(const uint8_t *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }
AI vf f_i8(const int8_t *p) { return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p))); }
/* 2^(e - 128): as an integer, (e - 1) << 23 from e = 2 on, and (e + 1) << 21 below; the larger one is right. */
AI vf f_exp(const uint8_t *p)
{
    __m256i e = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)), one = _mm256_set1_epi32(1);
    return _mm256_castsi256_ps(_mm256_max_epi32(_mm256_slli_epi32(_mm256_sub_epi32(e, one), 23),
                                                _mm256_slli_epi32(_mm256_add_epi32(e, one), 21)));
}
/* sum(q) from an item that holds -128 * sum(q). */
AI vi i_sum(const uint8_t *p) { return _mm256_set1_epi32(-(load_i32(p) >> 7)); }

typedef __m256i qx;

AI qx q_load(const uint8_t *p) { return _mm256_set1_epi32(load_i32(p)); }

AI dot d_start(q_class cls, int bias, const uint8_t *a, size_t stride, size_t part)
{
    const __m256i zero = _mm256_setzero_si256();

    if (cls != CLASS_U || bias < 0) return (dot){zero, zero};
    return (dot){_mm256_slli_epi16(_mm256_set1_epi32(load_i32(a + (ACT_LANES + part) * 4 * stride)), bias), zero};
}

/* One statement each, or the compiler hoists products and spills sums. */
AI dot d_step(q_class cls, dot s, vi code, qx x)
{
    __m256i pairs;

    if (cls != CLASS_S) {
        __asm__("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0" : "+x"(s.lanes), "=&x"(pairs) : "x"(code), "x"(x));
    } else {
        __asm__("vpsignb %3, %4, %1\n\tvpmaddubsw %1, %2, %1\n\tvpmaddwd %5, %1, %1\n\tvpaddd %1, %0, %0"
                : "+x"(s.wide), "=&x"(pairs)
                : "x"(_mm256_abs_epi8(code)), "x"(code), "x"(x), "x"(_mm256_set1_epi16(1)));
    }
    return s;
}

AI dot d_half(q_class cls, dot s)
{
    if (cls != CLASS_U2) return s;
    return (dot){_mm256_setzero_si256(), _mm256_madd_epi16(s.lanes, _mm256_set1_epi16(1))};
}

AI vi d_end(q_class cls, int bias, dot s, const uint8_t *a, size_t stride, size_t part)
{
    (void)bias, (void)a, (void)stride, (void)part;
    if (cls == CLASS_S) return s.wide;
    __m256i sum = _mm256_madd_epi16(s.lanes, _mm256_set1_epi16(1));
    return cls == CLASS_U2 ? _mm256_add_epi32(sum, s.wide) : sum;
}

#include "tensor/matmul_q_body.h"
