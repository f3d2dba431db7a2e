/* Operations of matmul_q_body.h on NEON's 128 bits, but for the integer sums. */
#ifndef CLO_TENSOR_NEON_MATMUL_Q_OPS_H
#define CLO_TENSOR_NEON_MATMUL_Q_OPS_H

#include <arm_neon.h>

#include "tensor/matmul_q_impl.h"

#define AI static inline __attribute__((always_inline))
#define Q_VN 4
#define Q_U_BIAS (-1)
#define Q_S_BIAS (-1)
#define Q_NT_MAX 3
#define Q_NT_EVEN 2
#define Q_PANELS 1
#define Q_FUSED_MAX 2
#define Q_STREAMS 1
#define Q_STREAMS_SUPER 1
#define Q_AHEAD 4096
#define Q_AHEAD_SUPER 12288

typedef uint8x16_t vi;
typedef float32x4_t vf;
typedef uint8x16_t b16;

AI vi v_load(const uint8_t *p) { return vld1q_u8(p); }
AI void v_store(uint8_t *p, vi v) { vst1q_u8(p, v); }
AI vi v_and(vi a, vi b) { return vandq_u8(a, b); }
AI vi v_or(vi a, vi b) { return vorrq_u8(a, b); }
AI vi v_xor(vi a, vi b) { return veorq_u8(a, b); }
AI vi v_add8(vi a, vi b) { return vaddq_u8(a, b); }
AI vi v_set8(int v) { return vdupq_n_u8((uint8_t)v); }
AI vi v_sh(vi v, int n) { return vshlq_u8(v, vdupq_n_s8((int8_t)n)); }
AI vi v_lut(const int8_t table[16], vi i) { return vqtbl1q_u8(vreinterpretq_u8_s8(vld1q_s8(table)), i); }

AI b16 b_load(const void *p) { return vld1q_u8((const uint8_t *)p); }
AI void b_store(void *p, b16 b) { vst1q_u8((uint8_t *)p, b); }
AI b16 b_and(b16 b, int mask) { return vandq_u8(b, vdupq_n_u8((uint8_t)mask)); }
AI b16 b_or(b16 a, b16 b) { return vorrq_u8(a, b); }
AI b16 b_sub(b16 b, int v) { return vsubq_u8(b, vdupq_n_u8((uint8_t)v)); }
AI b16 b_sh(b16 b, int n) { return vshlq_u8(b, vdupq_n_s8((int8_t)n)); }

AI int32_t load_i32(const uint8_t *p)
{
    int32_t v;
    memcpy(&v, p, 4);
    return v;
}

typedef int8x16_t qx;

AI qx q_load(const uint8_t *p) { return vreinterpretq_s8_s32(vdupq_n_s32(load_i32(p))); }

AI vf f_zero(void) { return vdupq_n_f32(0.0f); }
AI vf f_load(const float *p) { return vld1q_f32(p); }
AI void f_store(float *p, vf v) { vst1q_f32(p, v); }
AI vf f_set(const uint8_t *p)
{
    float v;
    memcpy(&v, p, 4);
    return vdupq_n_f32(v);
}
AI vf f_mul(vf a, vf b) { return vmulq_f32(a, b); }
AI vf f_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
AI vf f_cvt(int32x4_t v) { return vcvtq_f32_s32(v); }
AI vf f_neg(vf v) { return vnegq_f32(v); }
AI vf f_f16(const uint8_t *p) { return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p))); }
AI vf f_i8(const int8_t *p)
{
    int32_t four = load_i32((const uint8_t *)p);
    int16x8_t wide = vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(four)));
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide)));
}
/* 2^(e - 128): as an integer, (e - 1) << 23 from e = 2 on, and (e + 1) << 21 below; the larger one is right. */
AI vf f_exp(const uint8_t *p)
{
    uint16x8_t wide = vmovl_u8(vreinterpret_u8_s32(vdup_n_s32(load_i32(p))));
    int32x4_t e = vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(wide))), one = vdupq_n_s32(1);
    return vreinterpretq_f32_s32(vmaxq_s32(vshlq_n_s32(vsubq_s32(e, one), 23), vshlq_n_s32(vaddq_s32(e, one), 21)));
}
/* sum(q) from an item that holds -128 * sum(q). */
AI int32x4_t i_sum(const uint8_t *p) { return vdupq_n_s32(-(load_i32(p) >> 7)); }

/* What a bias of 2^bias adds to a sum, negated: the value that takes it off. */
AI int32x4_t bias_off(int bias, const uint8_t *a, size_t stride, size_t part)
{
    if (bias < 0) return vdupq_n_s32(0);
    return vdupq_n_s32(load_i32(a + (ACT_NSUM + part) * 4 * stride) >> (7 - bias));
}

/* As quant_block of ref/matmul_q.c. */
AI void quant_block(int8_t q[32], float *d, int16_t lane[2][2], const float *x)
{
    float32x4_t v[8];
    uint32x4_t m = vdupq_n_u32(0);

    for (size_t i = 0; i < 8; i++) {
        v[i] = vld1q_f32(x + 4 * i);
        m = vmaxq_u32(m, vandq_u32(vreinterpretq_u32_f32(v[i]), vdupq_n_u32(0x7fffffffu)));
    }
    uint32_t bits = vmaxvq_u32(m);
    float a;
    memcpy(&a, &bits, 4);
    *d = a / 127.0f;
    if (!(a >= CLO_Q8_AMAX_MIN && bits < 0x7f800000u)) {
        memset(q, 0, 32);
        memset(lane, 0, 4 * sizeof(int16_t));
        return;
    }
    float32x4_t id = vdupq_n_f32(127.0f / a);
    for (size_t i = 0; i < 2; i++) {
        int16x8_t c[2];
        for (size_t j = 0; j < 2; j++) {
            int32x4_t lo = vcvtnq_s32_f32(vmulq_f32(v[4 * i + 2 * j], id));
            int32x4_t hi = vcvtnq_s32_f32(vmulq_f32(v[4 * i + 2 * j + 1], id));
            c[j] = vcombine_s16(vmovn_s32(lo), vmovn_s32(hi));
        }
        int8x16_t bytes = vcombine_s8(vmovn_s16(c[0]), vmovn_s16(c[1]));
        vst1q_s8(q + 16 * i, bytes);
        int16x8_t pairs = vpaddlq_s8(bytes); /* columns 0, 1 and 2, 3 of the four quads in turn */
        int16x4_t two = vadd_s16(vget_low_s16(pairs), vget_high_s16(pairs));
        lane[i][0] = (int16_t)(vget_lane_s16(two, 0) + vget_lane_s16(two, 2));
        lane[i][1] = (int16_t)(vget_lane_s16(two, 1) + vget_lane_s16(two, 3));
    }
}

#endif
