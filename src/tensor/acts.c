/* Activations prepared for matrix products: sizes, and the layout for float weights. */
#include <string.h>

#include "base/check.h"
#include "tensor/acts_f32.h"
#include "tensor/kernel.h"
#include "tensor/matmul_q_impl.h"

size_t clo_acts_bytes(clo_acts_kind kind, size_t n_tok, size_t n_cols)
{
    size_t bytes;
    if (kind == CLO_ACTS_Q8) return clo_acts_q8_bytes(n_tok, n_cols);
    if (!clo_mul(n_tok, n_cols, &bytes) || !clo_mul(bytes, sizeof(float), &bytes)) return 0;
    if (!clo_add(bytes, 63, &bytes)) return 0;
    return bytes & ~(size_t)63;
}

/* A slice of a group's columns is laid out as that slice of a product with only these rows would be. */
void clo_acts_pack_cols(const clo_kernels *k, clo_acts_kind kind, void *acts, const float *x, size_t ldx, size_t n_tok,
                        size_t n_cols, size_t col_begin, size_t col_end)
{
    const size_t n_group = kind == CLO_ACTS_Q8 ? CLO_Q8_GROUP : CLO_ACTS_GROUP, n = col_end - col_begin;
    for (size_t t = 0; t < n_tok && n > 0; t += n_group) {
        size_t n_row = clo_min(n_group, n_tok - t), off;
        if (kind == CLO_ACTS_Q8)
            off = clo_q8_group_off(n_cols, t) + col_begin / CLO_ACT_BLOCK * CLO_Q8_BLOCK_BYTES * clo_q8_stride(n_row);
        else
            off = (t * n_cols + col_begin * n_row) * sizeof(float);
        k->acts_pack(kind, (uint8_t *)acts + off, x + t * ldx + col_begin, ldx, n_row, n, 0, n_row);
    }
}

size_t clo_matmul_scratch_bytes(size_t n_cols_max)
{
    return clo_matmul_q_scratch_bytes(n_cols_max); /* float products need none */
}

/* Attention keeps its state in registers, on the stack and in the output: 64 bytes stand for "none". */
size_t clo_attend_scratch_bytes(size_t head_dim)
{
    (void)head_dim;
    return 64;
}

/* A run of k at a time, so that the lines written by one token's pass are still in L1 when the next comes by. */
void clo_acts_f32_pack(void *acts, const float *x, size_t ldx, size_t n_tok, size_t n_cols, size_t tok_begin,
                       size_t tok_end)
{
    enum { RUN = 256 };
    for (size_t t0 = tok_begin, t1; t0 < tok_end; t0 = t1) {
        t1 = clo_min(t0 - t0 % CLO_ACTS_GROUP + CLO_ACTS_GROUP, tok_end);
        for (size_t k0 = 0; k0 < n_cols; k0 += RUN) {
            size_t k1 = clo_min(k0 + RUN, n_cols);
            for (size_t t = t0; t < t1; t++) {
                clo_acts_group g = clo_acts_f32_group(acts, n_tok, n_cols, t);
                float *dst = (float *)acts + (g.x - (const float *)acts);
                const float *src = x + t * ldx;
                if (g.width == 1) memcpy(dst + k0, src + k0, (k1 - k0) * sizeof(float));
                else
                    for (size_t k = k0; k < k1; k++) dst[k * g.width] = src[k];
            }
        }
    }
}
