/* Quantised matrix products, plain NEON: smlal adds a product to each 16-bit lane, one per quad of columns. Lanes hold a
 * group's sum for unsigned codes u (with bias): at most 8 * 31 * 127 = 31496 for groups of 32 and 4 * 63 * 127 = 32004 for
 * Q6_K; signed bytes (class S) are widened after each quad, 128 * 127. */
#include "tensor/neon/matmul_q_ops.h"

#define Q_NAME(x) x##_neon

typedef struct {
    int16x8_t lo, hi;   /* products of rows 0, 1 and of rows 2, 3 */
    int32x4_t wlo, whi; /* class S: already widened in pairs */
} dot;

AI dot d_start(q_class cls, int bias, const uint8_t *a, size_t stride, size_t part)
{
    (void)cls, (void)bias, (void)a, (void)stride, (void)part;
    return (dot){vdupq_n_s16(0), vdupq_n_s16(0), vdupq_n_s32(0), vdupq_n_s32(0)};
}

AI dot d_step(q_class cls, dot s, vi code, qx x)
{
    int8x16_t c = vreinterpretq_s8_u8(code);
    int8x8_t four = vget_low_s8(x);

    if (cls != CLASS_S) {
        s.lo = vmlal_s8(s.lo, vget_low_s8(c), four);
        s.hi = vmlal_s8(s.hi, vget_high_s8(c), four);
    } else {
        s.wlo = vpadalq_s16(s.wlo, vmull_s8(vget_low_s8(c), four));
        s.whi = vpadalq_s16(s.whi, vmull_s8(vget_high_s8(c), four));
    }
    return s;
}

AI dot d_half(q_class cls, dot s)
{
    (void)cls;
    return s;
}

AI int32x4_t d_end(q_class cls, int bias, dot s, const uint8_t *a, size_t stride, size_t part)
{
    if (cls == CLASS_S) return vpaddq_s32(s.wlo, s.whi);
    return vaddq_s32(vpaddq_s32(vpaddlq_s16(s.lo), vpaddlq_s16(s.hi)), bias_off(bias, a, stride, part));
}

#include "tensor/matmul_q_body.h"
