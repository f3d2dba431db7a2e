/* Quantised matrix products, AVX-512 without VNNI: as avx2/matmul_q.c, on 512 bits. */
#include "tensor/avx512/matmul_q_ops.h"

#define Q_NAME(x) x##_avx512
#define Q_U_BIAS 5
#define Q_S_BIAS (-1)
#define Q_NT_MAX 6
#define Q_NT_EVEN 4
#define Q_PANELS 2
#define Q_FUSED_MAX 8
#define Q_STREAMS 1
#define Q_STREAMS_SUPER 1
#define Q_AHEAD 4096
#define Q_AHEAD_SUPER 12288

typedef struct {
    __m512i lanes, wide; /* 16-bit lanes under way; int32 already widened (classes U2 and S) */
} dot;

AI dot d_start(q_class cls, int bias, const uint8_t *a, size_t stride, size_t part)
{
    const __m512i zero = _mm512_setzero_si512();

    if (cls != CLASS_U || bias < 0) return (dot){zero, zero};
    return (dot){_mm512_slli_epi16(_mm512_set1_epi32(load_i32(a + (ACT_LANES + part) * 4 * stride)), (uint8_t)bias), zero};
}

AI dot d_step(q_class cls, dot s, vi code, qx x)
{
    if (cls != CLASS_S) {
        /* one statement, or the compiler hoists products and spills sums */
        __m512i pairs;
        __asm__("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0" : "+v"(s.lanes), "=&v"(pairs) : "v"(code), "v"(x));
    } else {
        __m512i signed_x = _mm512_mask_sub_epi8(x, _mm512_movepi8_mask(code), _mm512_setzero_si512(), x);
        __m512i pairs = _mm512_maddubs_epi16(_mm512_abs_epi8(code), signed_x);
        s.wide = _mm512_add_epi32(s.wide, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
    }
    return s;
}

AI dot d_half(q_class cls, dot s)
{
    if (cls != CLASS_U2) return s;
    return (dot){_mm512_setzero_si512(), _mm512_madd_epi16(s.lanes, _mm512_set1_epi16(1))};
}

AI vi d_end(q_class cls, int bias, dot s, const uint8_t *a, size_t stride, size_t part)
{
    (void)bias, (void)a, (void)stride, (void)part;
    if (cls == CLASS_S) return s.wide;
    __m512i sum = _mm512_madd_epi16(s.lanes, _mm512_set1_epi16(1));
    return cls == CLASS_U2 ? _mm512_add_epi32(sum, s.wide) : sum;
}

#include "tensor/matmul_q_body.h"
