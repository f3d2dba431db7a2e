/* 16 floats: AVX2 with FMA and F16C, two registers. The interface is stated in body/math.h. */
#ifndef CLO_TENSOR_AVX2_VEC16_H
#define CLO_TENSOR_AVX2_VEC16_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CLO_SFX(name) name##_avx2
#define V16_WIDE_T 6 /* float products: tokens and panels of the widest tile: 12 registers of sums */
#define V16_WIDE_P 1
#define V16_NARROW_P(nt) ((nt) == 1 ? 4 : (nt) == 2 ? 2 : 1) /* panels of a tile of nt <= 6 tokens */
#define V16_STREAMS_APART 1  /* one token's panels: each stream from a stretch of its own */
#define V16_ATT_V 1                                          /* attention: vectors of a tile of 6 queries */

typedef struct {
    __m256 a, b; /* elements 0-7 and 8-15 */
} v16;

static inline v16 v16_load(const float *p) { return (v16){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }

static inline void v16_store(float *p, v16 x)
{
    _mm256_storeu_ps(p, x.a);
    _mm256_storeu_ps(p + 8, x.b);
}

static inline v16 v16_set(float x) { return (v16){_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
static inline v16 v16_add(v16 x, v16 y) { return (v16){_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
static inline v16 v16_sub(v16 x, v16 y) { return (v16){_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
static inline v16 v16_mul(v16 x, v16 y) { return (v16){_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
static inline v16 v16_div(v16 x, v16 y) { return (v16){_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
static inline v16 v16_max(v16 x, v16 y) { return (v16){_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
static inline v16 v16_xor(v16 x, v16 y) { return (v16){_mm256_xor_ps(x.a, y.a), _mm256_xor_ps(x.b, y.b)}; }
static inline v16 v16_and(v16 x, v16 y) { return (v16){_mm256_and_ps(x.a, y.a), _mm256_and_ps(x.b, y.b)}; }

static inline v16 v16_fma(v16 x, v16 y, v16 z)
{
    return (v16){_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}

static inline v16 v16_select_lt(v16 x, v16 y, v16 yes, v16 no)
{
    return (v16){_mm256_blendv_ps(no.a, yes.a, _mm256_cmp_ps(x.a, y.a, _CMP_LT_OQ)),
                 _mm256_blendv_ps(no.b, yes.b, _mm256_cmp_ps(x.b, y.b, _CMP_LT_OQ))};
}

static inline v16 v16_select_le(v16 x, v16 y, v16 yes, v16 no)
{
    return (v16){_mm256_blendv_ps(no.a, yes.a, _mm256_cmp_ps(x.a, y.a, _CMP_LE_OQ)),
                 _mm256_blendv_ps(no.b, yes.b, _mm256_cmp_ps(x.b, y.b, _CMP_LE_OQ))};
}

static inline __m256 v8_scale_bits(__m256 p, __m256 t)
{
    __m256i n = _mm256_slli_epi32(_mm256_castps_si256(t), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), n));
}

static inline v16 v16_scale_bits(v16 p, v16 t)
{
    return (v16){v8_scale_bits(p.a, t.a), v8_scale_bits(p.b, t.b)};
}

static inline v16 v16_load_n(const float *p, size_t n)
{
    float x[16] = {0};
    memcpy(x, p, n * sizeof *p);
    return v16_load(x);
}

static inline void v16_store_n(float *p, v16 a, size_t n)
{
    float x[16];
    v16_store(x, a);
    memcpy(p, x, n * sizeof *p);
}

static inline float v16_sum(v16 x)
{
    __m256 b = _mm256_add_ps(x.a, x.b);
    __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    c = _mm_add_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}

static inline float v16_max_of(v16 x)
{
    __m256 b = _mm256_max_ps(x.a, x.b);
    __m128 c = _mm_max_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    c = _mm_max_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}

static inline v16 v16_load_f16(const void *p)
{
    const __m128i *h = p;
    return (v16){_mm256_cvtph_ps(_mm_loadu_si128(h)), _mm256_cvtph_ps(_mm_loadu_si128(h + 1))};
}

static inline void v16_store_f16(uint16_t *p, v16 x)
{
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(x.a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    _mm_storeu_si128((__m128i *)(p + 8), _mm256_cvtps_ph(x.b, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

static inline v16 v16_load_bf16_even(const void *p)
{
    const __m256i *u = p;
    return (v16){_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_loadu_si256(u), 16)),
                 _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_loadu_si256(u + 1), 16))};
}

/* Two shifts, not a mask: the mask would take the register that a tile of 6 tokens has not. */
static inline __m256i high_half(__m256i u)
{
    return _mm256_slli_epi32(_mm256_srli_epi32(u, 16), 16);
}

static inline v16 v16_load_bf16_odd(const void *p)
{
    const __m256i *u = p;
    return (v16){_mm256_castsi256_ps(high_half(_mm256_loadu_si256(u))),
                 _mm256_castsi256_ps(high_half(_mm256_loadu_si256(u + 1)))};
}

#endif
