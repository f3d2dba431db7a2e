/* Block formats to floats. Each function is one row of the tables in docs/formats/blocks.md, written in the order of
 * arithmetic that the reference uses: first the scale products, then times the code, then the minimum. */
#include "tensor/quant.h"

#include <assert.h>

#include "tensor/quant_impl.h"

const int8_t clo_iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
const int8_t clo_mxfp4_values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

typedef void dequantize_block_fn(float *y, const uint8_t *b);

static void f32_block(float *y, const uint8_t *b)
{
    *y = clo_bits_f32(clo_load_le32(b));
}

static void f16_block(float *y, const uint8_t *b)
{
    *y = load_f16(b);
}

static void bf16_block(float *y, const uint8_t *b)
{
    *y = clo_bf16_to_f32(clo_load_le16(b));
}

static void q8_0_block(float *y, const uint8_t *b)
{
    float d = load_f16(b);
    for (unsigned j = 0; j < QK; j++)
        y[j] = (float)(int8_t)b[2 + j] * d;
}

static void q4_0_block(float *y, const uint8_t *b)
{
    float d = load_f16(b);
    for (unsigned j = 0; j < QK / 2; j++) {
        uint8_t q = b[2 + j];
        y[j] = (float)((q & 15) - 8) * d;
        y[j + QK / 2] = (float)((q >> 4) - 8) * d;
    }
}

static void q4_1_block(float *y, const uint8_t *b)
{
    float d = load_f16(b), m = load_f16(b + 2);
    for (unsigned j = 0; j < QK / 2; j++) {
        uint8_t q = b[4 + j];
        y[j] = (float)(q & 15) * d + m;
        y[j + QK / 2] = (float)(q >> 4) * d + m;
    }
}

/* The 5-bit codes of Q5_0 and Q5_1: nibbles, and a fifth bit each in qh. */
static void codes_5bit(uint8_t q[QK], uint32_t qh, const uint8_t *qs)
{
    for (unsigned j = 0; j < QK / 2; j++) {
        q[j] = (uint8_t)((qs[j] & 15) | (qh >> j & 1) << 4);
        q[j + QK / 2] = (uint8_t)(qs[j] >> 4 | (qh >> (j + QK / 2) & 1) << 4);
    }
}

static void q5_0_block(float *y, const uint8_t *b)
{
    float d = load_f16(b);
    uint8_t q[QK];
    codes_5bit(q, clo_load_le32(b + 2), b + 6);
    for (unsigned j = 0; j < QK; j++)
        y[j] = (float)(q[j] - 16) * d;
}

static void q5_1_block(float *y, const uint8_t *b)
{
    float d = load_f16(b), m = load_f16(b + 2);
    uint8_t q[QK];
    codes_5bit(q, clo_load_le32(b + 4), b + 8);
    for (unsigned j = 0; j < QK; j++)
        y[j] = (float)q[j] * d + m;
}

static void iq4_nl_block(float *y, const uint8_t *b)
{
    float d = load_f16(b);
    for (unsigned j = 0; j < QK / 2; j++) {
        y[j] = (float)clo_iq4_values[b[2 + j] & 15] * d;
        y[j + QK / 2] = (float)clo_iq4_values[b[2 + j] >> 4] * d;
    }
}

static void mxfp4_block(float *y, const uint8_t *b)
{
    float s = mxfp4_scale(b[0]);
    for (unsigned j = 0; j < QK / 2; j++) {
        y[j] = (float)clo_mxfp4_values[b[1 + j] & 15] * s;
        y[j + QK / 2] = (float)clo_mxfp4_values[b[1 + j] >> 4] * s;
    }
}

/* In Q2_K, Q3_K and Q6_K, element e of a super-block is in half n = e / 128, strip j = e % 128 / 32, lane l = e % 32.
 * The strips of a half share their bytes, two bits each; its scale is that of group e / 16. */

static void q2_k_block(float *y, const uint8_t *b)
{
    const uint8_t *scales = b, *qs = b + 16;
    float d = load_f16(b + 80), dmin = load_f16(b + 82);
    for (unsigned g = 0; g < QK_K / K_GROUP; g++) {
        float dl = d * (float)(scales[g] & 15), ml = dmin * (float)(scales[g] >> 4);
        for (unsigned i = 0; i < K_GROUP; i++) {
            unsigned e = g * K_GROUP + i, n = e / 128, j = e % 128 / 32, l = e % 32;
            y[e] = dl * (float)(qs[32 * n + l] >> 2 * j & 3) - ml;
        }
    }
}

static void q3_k_block(float *y, const uint8_t *b)
{
    const uint8_t *hmask = b, *qs = b + 32, *scales = b + 96;
    float d = load_f16(b + 108);
    for (unsigned g = 0; g < QK_K / K_GROUP; g++) {
        float dl = d * (float)q3_k_scale(scales, g);
        for (unsigned i = 0; i < K_GROUP; i++) {
            unsigned e = g * K_GROUP + i, n = e / 128, j = e % 128 / 32, l = e % 32;
            int q = (qs[32 * n + l] >> 2 * j & 3) - (hmask[l] >> (4 * n + j) & 1 ? 0 : 4);
            y[e] = dl * (float)q;
        }
    }
}

static void q6_k_block(float *y, const uint8_t *b)
{
    const uint8_t *ql = b, *qh = b + 128, *scales = b + 192;
    float d = load_f16(b + 208);
    for (unsigned g = 0; g < QK_K / K_GROUP; g++) {
        float dl = d * (float)(int8_t)scales[g];
        for (unsigned i = 0; i < K_GROUP; i++) {
            unsigned e = g * K_GROUP + i, n = e / 128, j = e % 128 / 32, l = e % 32;
            int low = ql[64 * n + l + 32 * (j & 1)] >> (j < 2 ? 0 : 4) & 15;
            int q = (low | (qh[32 * n + l] >> 2 * j & 3) << 4) - 32;
            y[e] = dl * (float)q;
        }
    }
}

/* In Q4_K, Q5_K and IQ4_XS, sub-block s = e / 32 has its own scale. */

static void q4_k_block(float *y, const uint8_t *b)
{
    const uint8_t *scales = b + 4, *qs = b + 16;
    float d = load_f16(b), dmin = load_f16(b + 2);
    for (unsigned s = 0; s < QK_K / K_SUB; s++) {
        uint8_t sc, mn;
        k4_scale_min(scales, s, &sc, &mn);
        float dl = d * (float)sc, ml = dmin * (float)mn;
        for (unsigned l = 0; l < K_SUB; l++) {
            y[s * K_SUB + l] = dl * (float)(qs[32 * (s / 2) + l] >> 4 * (s & 1) & 15) - ml;
        }
    }
}

static void q5_k_block(float *y, const uint8_t *b)
{
    const uint8_t *scales = b + 4, *qh = b + 16, *qs = b + 48;
    float d = load_f16(b), dmin = load_f16(b + 2);
    for (unsigned s = 0; s < QK_K / K_SUB; s++) {
        uint8_t sc, mn;
        k4_scale_min(scales, s, &sc, &mn);
        float dl = d * (float)sc, ml = dmin * (float)mn;
        for (unsigned l = 0; l < K_SUB; l++) {
            int q = (qs[32 * (s / 2) + l] >> 4 * (s & 1) & 15) | (qh[l] >> s & 1) << 4;
            y[s * K_SUB + l] = dl * (float)q - ml;
        }
    }
}

static void iq4_xs_block(float *y, const uint8_t *b)
{
    const uint8_t *scales_l = b + 4, *qs = b + 8;
    unsigned scales_h = clo_load_le16(b + 2);
    float d = load_f16(b);
    for (unsigned s = 0; s < QK_K / K_SUB; s++) {
        int scale = (int)((unsigned)(scales_l[s / 2] >> 4 * (s & 1) & 15) | (scales_h >> 2 * s & 3) << 4);
        float dl = d * (float)(scale - 32);
        for (unsigned j = 0; j < K_SUB / 2; j++) {
            y[s * K_SUB + j] = dl * (float)clo_iq4_values[qs[16 * s + j] & 15];
            y[s * K_SUB + j + 16] = dl * (float)clo_iq4_values[qs[16 * s + j] >> 4];
        }
    }
}

static dequantize_block_fn *const DEQUANTIZE[CLO_DTYPE_COUNT] = {
    [CLO_DTYPE_F32] = f32_block,     [CLO_DTYPE_F16] = f16_block,       [CLO_DTYPE_BF16] = bf16_block,
    [CLO_DTYPE_Q8_0] = q8_0_block,   [CLO_DTYPE_Q4_0] = q4_0_block,     [CLO_DTYPE_Q4_1] = q4_1_block,
    [CLO_DTYPE_Q5_0] = q5_0_block,   [CLO_DTYPE_Q5_1] = q5_1_block,     [CLO_DTYPE_Q2_K] = q2_k_block,
    [CLO_DTYPE_Q3_K] = q3_k_block,   [CLO_DTYPE_Q4_K] = q4_k_block,     [CLO_DTYPE_Q5_K] = q5_k_block,
    [CLO_DTYPE_Q6_K] = q6_k_block,   [CLO_DTYPE_IQ4_NL] = iq4_nl_block, [CLO_DTYPE_IQ4_XS] = iq4_xs_block,
    [CLO_DTYPE_MXFP4] = mxfp4_block,
};

bool clo_dequantize_can(clo_dtype t)
{
    return (unsigned)t < CLO_DTYPE_COUNT && DEQUANTIZE[t] != NULL;
}

void clo_dequantize_row(clo_dtype t, float *y, const void *src, size_t n)
{
    assert(clo_dequantize_can(t));
    const clo_dtype_info *info = clo_dtype_info_of(t);
    const uint8_t *b = (const uint8_t *)src;
    dequantize_block_fn *block = DEQUANTIZE[t];

    assert(n % info->block_len == 0);
    for (size_t i = 0; i < n; i += info->block_len, b += info->block_bytes)
        block(y + i, b);
}
