/* Operations of matmul_q_body.h that AVX2 and AVX-512 share: sixteen bytes, and quantising a block of activations. */
#ifndef CLO_TENSOR_MATMUL_Q_X86_H
#define CLO_TENSOR_MATMUL_Q_X86_H

#include <immintrin.h>

#include "tensor/matmul_q_impl.h"

#define AI static inline __attribute__((always_inline))

typedef __m128i b16;

AI b16 b_load(const void *p) { return _mm_loadu_si128((const __m128i *)p); }
AI void b_store(void *p, b16 b) { _mm_storeu_si128((__m128i *)p, b); }
AI b16 b_and(b16 b, int mask) { return _mm_and_si128(b, _mm_set1_epi8((char)mask)); }
AI b16 b_or(b16 a, b16 b) { return _mm_or_si128(a, b); }
AI b16 b_sub(b16 b, int v) { return _mm_sub_epi8(b, _mm_set1_epi8((char)v)); }
/* Shifts left by n > 0, right by -n; bits that cross bytes are masked by the caller. */
AI b16 b_sh(b16 b, int n) { return n >= 0 ? _mm_slli_epi16(b, n) : _mm_srli_epi16(b, -n); }

AI int32_t load_i32(const uint8_t *p)
{
    int32_t v;
    memcpy(&v, p, 4);
    return v;
}

AI float load_f32(const uint8_t *p)
{
    float v;
    memcpy(&v, p, 4);
    return v;
}

/* Lane sums of sixteen quants: pair sums of each quad, then the four quads added. */
AI void lane_sums(int16_t lane[2], __m128i q)
{
    __m128i s = _mm_maddubs_epi16(_mm_set1_epi8(1), q);
    s = _mm_add_epi16(s, _mm_unpackhi_epi64(s, s));
    s = _mm_add_epi16(s, _mm_srli_epi64(s, 32));
    int32_t both = _mm_cvtsi128_si32(s);
    memcpy(lane, &both, 4);
}

/* As quant_block of ref/matmul_q.c. */
AI void quant_block(int8_t q[32], float *d, int16_t lane[2][2], const float *x)
{
    const __m256i abs_mask = _mm256_set1_epi32(0x7fffffff);
    __m256 v[4];
    __m256i amax = _mm256_setzero_si256();

    for (size_t i = 0; i < 4; i++) {
        v[i] = _mm256_loadu_ps(x + 8 * i);
        amax = _mm256_max_epi32(amax, _mm256_and_si256(_mm256_castps_si256(v[i]), abs_mask));
    }
    __m128i m = _mm_max_epi32(_mm256_castsi256_si128(amax), _mm256_extracti128_si256(amax, 1));
    m = _mm_max_epi32(m, _mm_unpackhi_epi64(m, m));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 1));

    float a = _mm_cvtss_f32(_mm_castsi128_ps(m));
    *d = a / 127.0f;
    if (!(a >= CLO_Q8_AMAX_MIN && _mm_cvtsi128_si32(m) < 0x7f800000)) {
        memset(q, 0, 32);
        memset(lane, 0, 4 * sizeof(int16_t));
        return;
    }
    __m256 id = _mm256_set1_ps(127.0f / a);
    __m256i c[4];
    for (size_t i = 0; i < 4; i++) c[i] = _mm256_cvtps_epi32(_mm256_mul_ps(v[i], id));
    __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(c[0], c[1]), _mm256_packs_epi32(c[2], c[3]));
    bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    _mm256_storeu_si256((__m256i *)q, bytes);
    lane_sums(lane[0], _mm256_castsi256_si128(bytes));
    lane_sums(lane[1], _mm256_extracti128_si256(bytes, 1));
}

#endif
