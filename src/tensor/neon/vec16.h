/* 16 floats: NEON of ARMv8.0, four registers. The interface is stated in body/math.h. */
#ifndef CLO_TENSOR_NEON_VEC16_H
#define CLO_TENSOR_NEON_VEC16_H

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CLO_SFX(name) name##_neon
#define V16_WIDE_T 6 /* float products: tokens and panels of the widest tile: 24 registers of sums */
#define V16_WIDE_P 1
#define V16_NARROW_P(nt) ((nt) == 1 ? 4 : (nt) <= 3 ? 2 : 1) /* panels of a tile of nt <= 6 tokens */
#define V16_STREAMS_APART 0  /* one token's panels: each stream from a stretch of its own */
#define V16_ATT_V 1                                          /* attention: vectors of a tile of 6 queries */

typedef struct {
    float32x4_t a, b, c, d; /* elements 0-3, 4-7, 8-11, 12-15 */
} v16;

#define V16_EACH2(f, x, y) ((v16){f((x).a, (y).a), f((x).b, (y).b), f((x).c, (y).c), f((x).d, (y).d)})
#define V16_EACH4(f, x, y, u, v)                                                                                       \
    ((v16){f((x).a, (y).a, (u).a, (v).a), f((x).b, (y).b, (u).b, (v).b), f((x).c, (y).c, (u).c, (v).c),                \
           f((x).d, (y).d, (u).d, (v).d)})

static inline v16 v16_load(const float *p)
{
    return (v16){vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)};
}

static inline void v16_store(float *p, v16 x)
{
    vst1q_f32(p, x.a);
    vst1q_f32(p + 4, x.b);
    vst1q_f32(p + 8, x.c);
    vst1q_f32(p + 12, x.d);
}

static inline v16 v16_set(float x)
{
    float32x4_t v = vdupq_n_f32(x);
    return (v16){v, v, v, v};
}

static inline float32x4_t v4_xor(float32x4_t x, float32x4_t y)
{
    return vreinterpretq_f32_u32(veorq_u32(vreinterpretq_u32_f32(x), vreinterpretq_u32_f32(y)));
}

static inline float32x4_t v4_and(float32x4_t x, float32x4_t y)
{
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(x), vreinterpretq_u32_f32(y)));
}

static inline float32x4_t v4_select_lt(float32x4_t x, float32x4_t y, float32x4_t yes, float32x4_t no)
{
    return vbslq_f32(vcltq_f32(x, y), yes, no);
}

static inline float32x4_t v4_select_le(float32x4_t x, float32x4_t y, float32x4_t yes, float32x4_t no)
{
    return vbslq_f32(vcleq_f32(x, y), yes, no);
}

static inline float32x4_t v4_scale_bits(float32x4_t p, float32x4_t t)
{
    uint32x4_t n = vshlq_n_u32(vreinterpretq_u32_f32(t), 23);
    return vreinterpretq_f32_u32(vaddq_u32(vreinterpretq_u32_f32(p), n));
}

static inline v16 v16_add(v16 x, v16 y) { return V16_EACH2(vaddq_f32, x, y); }
static inline v16 v16_sub(v16 x, v16 y) { return V16_EACH2(vsubq_f32, x, y); }
static inline v16 v16_mul(v16 x, v16 y) { return V16_EACH2(vmulq_f32, x, y); }
static inline v16 v16_div(v16 x, v16 y) { return V16_EACH2(vdivq_f32, x, y); }
static inline v16 v16_max(v16 x, v16 y) { return V16_EACH2(vmaxq_f32, x, y); }
static inline v16 v16_xor(v16 x, v16 y) { return V16_EACH2(v4_xor, x, y); }
static inline v16 v16_and(v16 x, v16 y) { return V16_EACH2(v4_and, x, y); }
static inline v16 v16_scale_bits(v16 p, v16 t) { return V16_EACH2(v4_scale_bits, p, t); }

/* vfmaq_f32(z, x, y) = z + x y */
static inline v16 v16_fma(v16 x, v16 y, v16 z)
{
    return (v16){vfmaq_f32(z.a, x.a, y.a), vfmaq_f32(z.b, x.b, y.b), vfmaq_f32(z.c, x.c, y.c),
                 vfmaq_f32(z.d, x.d, y.d)};
}

static inline v16 v16_select_lt(v16 x, v16 y, v16 yes, v16 no) { return V16_EACH4(v4_select_lt, x, y, yes, no); }
static inline v16 v16_select_le(v16 x, v16 y, v16 yes, v16 no) { return V16_EACH4(v4_select_le, x, y, yes, no); }

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
    float32x4_t s = vaddq_f32(vaddq_f32(x.a, x.c), vaddq_f32(x.b, x.d)); /* s[i] += s[i+8], then s[i] += s[i+4] */
    float32x2_t h = vadd_f32(vget_low_f32(s), vget_high_f32(s));
    return vget_lane_f32(h, 0) + vget_lane_f32(h, 1);
}

static inline float v16_max_of(v16 x)
{
    return vmaxvq_f32(vmaxq_f32(vmaxq_f32(x.a, x.c), vmaxq_f32(x.b, x.d)));
}

static inline v16 v16_load_f16(const void *p)
{
    const uint16_t *h = p;
    float16x8_t lo = vreinterpretq_f16_u16(vld1q_u16(h)), hi = vreinterpretq_f16_u16(vld1q_u16(h + 8));
    return (v16){vcvt_f32_f16(vget_low_f16(lo)), vcvt_high_f32_f16(lo), vcvt_f32_f16(vget_low_f16(hi)),
                 vcvt_high_f32_f16(hi)};
}

static inline void v16_store_f16(uint16_t *p, v16 x)
{
    vst1q_u16(p, vreinterpretq_u16_f16(vcvt_high_f16_f32(vcvt_f16_f32(x.a), x.b)));
    vst1q_u16(p + 8, vreinterpretq_u16_f16(vcvt_high_f16_f32(vcvt_f16_f32(x.c), x.d)));
}

static inline float32x4_t v4_bf16_even(const uint32_t *u)
{
    return vreinterpretq_f32_u32(vshlq_n_u32(vld1q_u32(u), 16));
}

static inline float32x4_t v4_bf16_odd(const uint32_t *u)
{
    return vreinterpretq_f32_u32(vandq_u32(vld1q_u32(u), vdupq_n_u32(0xffff0000u)));
}

static inline v16 v16_load_bf16_even(const void *p)
{
    const uint32_t *u = p;
    return (v16){v4_bf16_even(u), v4_bf16_even(u + 4), v4_bf16_even(u + 8), v4_bf16_even(u + 12)};
}

static inline v16 v16_load_bf16_odd(const void *p)
{
    const uint32_t *u = p;
    return (v16){v4_bf16_odd(u), v4_bf16_odd(u + 4), v4_bf16_odd(u + 8), v4_bf16_odd(u + 12)};
}

#endif
