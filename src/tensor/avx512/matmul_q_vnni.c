/* Quantised matrix products, AVX-512 with VNNI: vpdpbusd adds four products of unsigned codes and signed quants to an
 * int32 without saturation; the codes' bias is taken off by the sum's start value. */
#include "tensor/avx512/matmul_q_ops.h"

#define Q_NAME(x) x##_avx512vnni
#define Q_U_BIAS 7
#define Q_S_BIAS 7
#define Q_NT_MAX 6
#define Q_NT_EVEN 4
#define Q_PANELS 2
#define Q_FUSED_MAX 48
#define Q_STREAMS 1
#define Q_STREAMS_SUPER 1
#define Q_AHEAD 4096
#define Q_AHEAD_SUPER 12288

typedef __m512i dot;

AI dot d_start(q_class cls, int bias, const uint8_t *a, size_t stride, size_t part)
{
    (void)cls;
    if (bias < 0) return _mm512_setzero_si512();
    return _mm512_srai_epi32(_mm512_set1_epi32(load_i32(a + (ACT_NSUM + part) * 4 * stride)), (uint8_t)(7 - bias));
}

AI dot d_step(q_class cls, dot s, vi code, qx x)
{
    (void)cls;
    return _mm512_dpbusd_epi32(s, code, x);
}

AI dot d_half(q_class cls, dot s)
{
    (void)cls;
    return s;
}

AI vi d_end(q_class cls, int bias, dot s, const uint8_t *a, size_t stride, size_t part)
{
    (void)cls, (void)bias, (void)a, (void)stride, (void)part;
    return s;
}

#include "tensor/matmul_q_body.h"
