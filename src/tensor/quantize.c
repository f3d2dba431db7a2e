/* Floats to block formats: the row driver, the plain types and the blocks of 32. The searches of the super-blocks are
 * in quantize_k.c. Source of the procedures: ggml's reference quantisers without an importance matrix, whose bytes
 * these are.
 *
 * The bits depend on +, -, *, / of binary32 in the written order and on nothing else: no libm, no fused operation. */
#include "tensor/quant.h"

#include <assert.h>
#include <math.h>

#include "tensor/quant_impl.h"

/* Beyond this the sums of the searches could overflow; the f16 scales would long have. */
#define QUANTIZE_ABS_MAX 1e15f

static void f32_block(uint8_t *b, const float *x)
{
    uint32_t u = clo_f32_bits(*x);
    for (unsigned i = 0; i < 4; i++)
        b[i] = (uint8_t)(u >> 8 * i & 255u);
}

static void f16_block(uint8_t *b, const float *x)
{
    store_f16(b, *x);
}

static void bf16_block(uint8_t *b, const float *x)
{
    store_u16(b, clo_f32_to_bf16(*x));
}

float clo_signed_max(const float *x, size_t n)
{
    float max = 0;
    for (size_t i = 0; i < n; i++) {
        if (fabsf(x[i]) > fabsf(max)) max = x[i];
    }
    return max;
}

static void min_max(const float *x, size_t n, float *min, float *max)
{
    *min = *max = x[0];
    for (size_t i = 1; i < n; i++) {
        if (x[i] < *min) *min = x[i];
        if (x[i] > *max) *max = x[i];
    }
}

/* 1/d for a scale, and 0 for none. */
static float inverse(float d)
{
    return d != 0 ? 1.0f / d : 0.0f;
}

/* v cut to an integer in [0, top]; NaN (an infinite inverse of a subnormal scale, times zero) gives 0. */
static uint8_t cut_code(float v, int top)
{
    if (!(v > 0)) return 0;
    return v >= (float)top ? (uint8_t)top : (uint8_t)v;
}

/* v rounded to the nearest integer, halves away from zero, within [-127, 127]. */
static int8_t round_code(float v)
{
    float a = fabsf(v);
    if (!(a < 127)) return (int8_t)(v < 0 ? -127 : v > 0 ? 127 : 0);
    int whole = (int)a;
    whole += a - (float)whole >= 0.5f;
    return (int8_t)(v < 0 ? -whole : whole);
}

static void q8_0_block(uint8_t *b, const float *x)
{
    float d = fabsf(clo_signed_max(x, QK)) / 127, id = inverse(d);
    store_f16(b, d);
    for (unsigned j = 0; j < QK; j++)
        b[2 + j] = (uint8_t)round_code(x[j] * id);
}

static void pack_nibbles(uint8_t *qs, const uint8_t q[QK])
{
    for (unsigned j = 0; j < QK / 2; j++)
        qs[j] = (uint8_t)((q[j] & 15) | (q[j + QK / 2] & 15) << 4);
}

static void pack_fifth_bits(uint8_t *qh, const uint8_t q[QK])
{
    memset(qh, 0, 4);
    for (unsigned j = 0; j < QK; j++)
        qh[j / 8] |= (uint8_t)((q[j] >> 4) << j % 8);
}

/* Codes around zero: the value of largest magnitude lands on code 0, whatever its sign. */
static float quantize_symmetric(uint8_t q[QK], const float *x, int half)
{
    float d = clo_signed_max(x, QK) / (float)-half, id = inverse(d);
    for (unsigned j = 0; j < QK; j++)
        q[j] = cut_code(x[j] * id + ((float)half + 0.5f), 2 * half - 1);
    return d;
}

/* Codes from the minimum to the maximum. */
static float quantize_affine(uint8_t q[QK], float *min, const float *x, int top)
{
    float max;
    min_max(x, QK, min, &max);
    float d = (max - *min) / (float)top, id = inverse(d);
    for (unsigned j = 0; j < QK; j++)
        q[j] = cut_code((x[j] - *min) * id + 0.5f, top);
    return d;
}

static void q4_0_block(uint8_t *b, const float *x)
{
    uint8_t q[QK];
    store_f16(b, quantize_symmetric(q, x, 8));
    pack_nibbles(b + 2, q);
}

static void q5_0_block(uint8_t *b, const float *x)
{
    uint8_t q[QK];
    store_f16(b, quantize_symmetric(q, x, 16));
    pack_fifth_bits(b + 2, q);
    pack_nibbles(b + 6, q);
}

static void q4_1_block(uint8_t *b, const float *x)
{
    uint8_t q[QK];
    float min;
    store_f16(b, quantize_affine(q, &min, x, 15));
    store_f16(b + 2, min);
    pack_nibbles(b + 4, q);
}

static void q5_1_block(uint8_t *b, const float *x)
{
    uint8_t q[QK];
    float min;
    store_f16(b, quantize_affine(q, &min, x, 31));
    store_f16(b + 2, min);
    pack_fifth_bits(b + 4, q);
    pack_nibbles(b + 8, q);
}

/* The exponent byte: floor(log2(amax)) - 2 + 127, and 0 when there is nothing above 2^-125. Read from the bits, so a
 * value just below a power of two is not rounded up to it as a floating-point log2 may do. */
static uint8_t mxfp4_exponent(float amax)
{
    int e = (int)(clo_f32_bits(amax) >> 23) - 2; /* a subnormal's field is 0 */
    return (uint8_t)(e > 0 ? e : 0);
}

/* The code whose value is nearest, the lowest of equals. */
static uint8_t mxfp4_code(float x, float s)
{
    uint8_t best = 0;
    float best_err = fabsf(s * (float)clo_mxfp4_values[0] - x);
    for (uint8_t i = 1; i < 16; i++) {
        float err = fabsf(s * (float)clo_mxfp4_values[i] - x);
        if (err < best_err) {
            best_err = err;
            best = i;
        }
    }
    return best;
}

static void mxfp4_block(uint8_t *b, const float *x)
{
    uint8_t q[QK];
    b[0] = mxfp4_exponent(fabsf(clo_signed_max(x, QK)));
    float s = mxfp4_scale(b[0]);
    for (unsigned j = 0; j < QK; j++)
        q[j] = mxfp4_code(x[j], s);
    pack_nibbles(b + 1, q);
}

/* How a type is written, and where its f16 scales stand (-1: it has none), which must not have overflowed. */
typedef struct {
    clo_quantize_block_fn *block;
    int16_t d_off, m_off;
} quantizer;

static const quantizer QUANTIZE[CLO_DTYPE_COUNT] = {
    [CLO_DTYPE_F32] = {f32_block, -1, -1},
    [CLO_DTYPE_F16] = {f16_block, 0, -1},
    [CLO_DTYPE_BF16] = {bf16_block, -1, -1},
    [CLO_DTYPE_Q8_0] = {q8_0_block, 0, -1},
    [CLO_DTYPE_Q4_0] = {q4_0_block, 0, -1},
    [CLO_DTYPE_Q4_1] = {q4_1_block, 0, 2},
    [CLO_DTYPE_Q5_0] = {q5_0_block, 0, -1},
    [CLO_DTYPE_Q5_1] = {q5_1_block, 0, 2},
    [CLO_DTYPE_MXFP4] = {mxfp4_block, -1, -1},
    [CLO_DTYPE_Q2_K] = {clo_quantize_q2_k, 80, 82},
    [CLO_DTYPE_Q3_K] = {clo_quantize_q3_k, 108, -1},
    [CLO_DTYPE_Q4_K] = {clo_quantize_q4_k, 0, 2},
    [CLO_DTYPE_Q5_K] = {clo_quantize_q5_k, 0, 2},
    [CLO_DTYPE_Q6_K] = {clo_quantize_q6_k, 208, -1},
    [CLO_DTYPE_IQ4_NL] = {clo_quantize_iq4_nl, 0, -1},
    [CLO_DTYPE_IQ4_XS] = {clo_quantize_iq4_xs, 0, -1},
};

bool clo_quantize_can(clo_dtype t)
{
    return (unsigned)t < CLO_DTYPE_COUNT && QUANTIZE[t].block != NULL;
}

static bool check_values(clo_dtype t, const float *x, size_t n, clo_err *err)
{
    float max = t == CLO_DTYPE_F32 || t == CLO_DTYPE_MXFP4 ? 0x1.fffffep127f
                : t == CLO_DTYPE_BF16                      ? 0x1.fep127f /* the largest bfloat16 */
                                                           : QUANTIZE_ABS_MAX;
    for (size_t i = 0; i < n; i++) {
        if ((clo_f32_bits(x[i]) >> 23 & 255u) == 255) {
            return clo_fail_at(err, i, "element %zu of the row is not a finite number", i);
        }
        if (fabsf(x[i]) > max) {
            return clo_fail(err, CLO_ERR_LIMIT, "element %zu of the row, %g, is too large for %s", i, (double)x[i],
                            clo_dtype_info_of(t)->name);
        }
    }
    return true;
}

static bool f16_is_infinite(const uint8_t *block, int off)
{
    return off >= 0 && (clo_load_le16(block + off) & 0x7c00u) == 0x7c00u;
}

bool clo_quantize_row(clo_dtype t, void *dst, const float *x, size_t n, clo_err *err)
{
    const clo_dtype_info *info = clo_dtype_info_of(t);
    uint8_t *b = (uint8_t *)dst;

    if (!clo_quantize_can(t)) return clo_fail(err, CLO_ERR_UNSUPPORTED, "cannot quantise to %s", info->name);
    if (n % info->block_len != 0) {
        return clo_fail(err, CLO_ERR_USAGE, "%s needs rows in blocks of %u, not %zu", info->name, info->block_len, n);
    }
    if (!check_values(t, x, n, err)) return false;

    for (size_t i = 0; i < n; i += info->block_len, b += info->block_bytes) {
        QUANTIZE[t].block(b, x + i);
        if (f16_is_infinite(b, QUANTIZE[t].d_off) || f16_is_infinite(b, QUANTIZE[t].m_off)) {
            return clo_fail(err, CLO_ERR_LIMIT, "element %zu and what follows need a value beyond 65504 in %s", i,
                            info->name);
        }
    }
    return true;
}

clo_dtype clo_quantize_fallback(clo_dtype t, size_t n)
{
    if (n % clo_dtype_info_of(t)->block_len == 0) return t;
    if (n % QK != 0) return CLO_DTYPE_F16;
    switch ((int)t) {
    case CLO_DTYPE_Q4_K:
        return CLO_DTYPE_Q5_0;
    case CLO_DTYPE_Q5_K:
        return CLO_DTYPE_Q5_1;
    case CLO_DTYPE_Q6_K:
        return CLO_DTYPE_Q8_0;
    case CLO_DTYPE_IQ4_XS:
        return CLO_DTYPE_IQ4_NL;
    case CLO_DTYPE_Q2_K:
    case CLO_DTYPE_Q3_K:
        return CLO_DTYPE_Q4_0;
    default:
        return CLO_DTYPE_F16;
    }
}
