/* Quantised matrix products, NEON with the dot product extension: sdot adds four signed products to an int32. Codes with
 * a bias are at most 63, so they are signed bytes too; the start value takes the bias off. */
#include "tensor/neon/matmul_q_ops.h"

#define Q_NAME(x) x##_neondot

typedef int32x4_t dot;

AI dot d_start(q_class cls, int bias, const uint8_t *a, size_t stride, size_t part)
{
    (void)cls;
    return bias_off(bias, a, stride, part);
}

AI dot d_step(q_class cls, dot s, vi code, qx x)
{
    (void)cls;
    return vdotq_s32(s, vreinterpretq_s8_u8(code), x);
}

AI dot d_half(q_class cls, dot s)
{
    (void)cls;
    return s;
}

AI int32x4_t d_end(q_class cls, int bias, dot s, const uint8_t *a, size_t stride, size_t part)
{
    (void)cls, (void)bias, (void)a, (void)stride, (void)part;
    return s;
}

#include "tensor/matmul_q_body.h"
