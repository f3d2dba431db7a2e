/* Quantised matrix products, scalar: the law (kernel.h, matmul and acts_pack), and the sizes of what kernels share. */
#include <math.h>

#include "base/check.h"
#include "base/half.h"
#include "tensor/matmul_q_impl.h"

/* Two n_cols-independent slices of unpacked weights; see matmul_q_body.h for what they hold. */
#define SCRATCH_BYTES (128u << 10)

size_t clo_matmul_q_scratch_bytes(size_t n_cols_max)
{
    (void)n_cols_max; /* kernels unpack slices of k of a fixed size */
    return SCRATCH_BYTES;
}

size_t clo_acts_q8_bytes(size_t n_tok, size_t n_cols)
{
    size_t n = n_tok % CLO_Q8_GROUP, n_bytes;

    n = n == 0 ? n_tok : n_tok - n + clo_q8_stride(n);
    if (!clo_mul(n, n_cols / CLO_ACT_BLOCK, &n_bytes) || !clo_mul(n_bytes, CLO_Q8_BLOCK_BYTES, &n_bytes)) return 0;
    return n_bytes;
}

/* A block whose amax is not finite or below CLO_Q8_AMAX_MIN has quants of zero; its scale still carries NaN and
 * infinity to the outputs. Maxima are taken on the bits without sign, where NaN is the largest. */
static void quant_block(int8_t q[32], float *d, int16_t lane[2][2], const float *x)
{
    uint32_t amax_bits = 0;

    for (size_t i = 0; i < 32; i++) {
        uint32_t a = clo_f32_bits(x[i]) & 0x7fffffffu;
        if (a > amax_bits) amax_bits = a;
    }
    float amax = clo_bits_f32(amax_bits);
    bool ok = amax >= CLO_Q8_AMAX_MIN && amax_bits < 0x7f800000u;
    float id = ok ? 127.0f / amax : 0.0f;

    *d = amax / 127.0f;
    memset(lane, 0, 4 * sizeof(int16_t));
    for (size_t i = 0; i < 32; i++) {
        q[i] = ok ? (int8_t)rintf(x[i] * id) : 0;
        lane[i / 16][i % 4 / 2] = (int16_t)(lane[i / 16][i % 4 / 2] + q[i]);
    }
}

void clo_acts_q8_pack_ref(void *acts, const float *x, size_t ldx, size_t n_tok, size_t n_cols, size_t tok_begin,
                          size_t tok_end)
{
    clo_q8_walk(quant_block, acts, x, ldx, n_tok, n_cols, tok_begin, tok_end);
}

/* Reads block b of token tok back: quants and scale. */
static void get_acts(int8_t q[32], float *d, const uint8_t *acts, size_t n_tok, size_t n_cols, size_t tok, size_t b)
{
    size_t slot = tok % CLO_Q8_GROUP, stride = clo_q8_group_stride(n_tok, tok - slot);
    const uint8_t *p = acts + clo_q8_group_off(n_cols, tok) + b * CLO_Q8_BLOCK_BYTES * stride + 4 * slot;

    for (size_t m = 0; m < 8; m++) memcpy(q + 4 * m, p + (ACT_Q + m) * 4 * stride, 4);
    memcpy(d, p + ACT_D * 4 * stride, 4);
}

void clo_matmul_q_ref(float *y, size_t ldy, const clo_matrix *w, const void *acts, size_t n_tok, size_t panel_begin,
                      size_t panel_end, void *scratch)
{
    const clo_q_layout *l = &clo_q_layouts[w->dtype];
    size_t group = CLO_ACT_BLOCK / l->n_group;

    (void)scratch;
    for (size_t r = panel_begin * CLO_PANEL_ROWS; r < panel_end * CLO_PANEL_ROWS; r++) {
        for (size_t t = 0; t < n_tok; t++) y[t * ldy + r] = 0.0f;
        for (size_t b = 0; b < w->n_cols / CLO_ACT_BLOCK; b++) {
            int32_t c[CLO_ACT_BLOCK];
            float s[2], m[2];
            clo_q_unpack_block(w, r, b, c, s, m);
            for (size_t t = 0; t < n_tok; t++) {
                int8_t q[CLO_ACT_BLOCK];
                float d, acc = y[t * ldy + r];
                get_acts(q, &d, (const uint8_t *)acts, n_tok, w->n_cols, t, b);
                for (size_t g = 0; g < l->n_group; g++) {
                    int32_t isum = 0, qsum = 0;
                    for (size_t i = g * group; i < (g + 1) * group; i++) {
                        isum += c[i] * q[i];
                        qsum += q[i];
                    }
                    acc = fmaf(s[g] * d, (float)isum, acc);
                    if (l->has_min) acc = fmaf(m[g], d * (float)qsum, acc);
                }
                y[t * ldy + r] = acc;
            }
        }
    }
}
