/* How an instruction set's table is written down: every table has the same rows and differs in suffixes alone.
 *
 *   sfx    suffix of rows, attention and float products: ref, avx2, avx512, neon
 *   qsfx   suffix of quantised products: as sfx, or avx512vnni, neondot
 */
#ifndef CLO_TENSOR_TABLE_IMPL_H
#define CLO_TENSOR_TABLE_IMPL_H

#include "tensor/acts_f32.h"
#include "tensor/kernel.h"
#include "tensor/matmul_q_impl.h"

#define CLO_TABLE_PRODUCTS(sfx, qsfx)                                                                                  \
    static void matmul(float *y, size_t ldy, const clo_matrix *w, const void *acts, size_t n_tok, size_t panel_begin,  \
                       size_t panel_end, void *scratch)                                                                \
    {                                                                                                                  \
        if (w->dtype == CLO_DTYPE_F32 || w->dtype == CLO_DTYPE_F16 || w->dtype == CLO_DTYPE_BF16)                      \
            clo_matmul_f_##sfx(y, ldy, w, acts, n_tok, panel_begin, panel_end);                                        \
        else                                                                                                           \
            clo_matmul_q_##qsfx(y, ldy, w, acts, n_tok, panel_begin, panel_end, scratch);                              \
    }                                                                                                                  \
    static void acts_pack(clo_acts_kind kind, void *acts, const float *x, size_t ldx, size_t n_tok, size_t n_cols,     \
                          size_t tok_begin, size_t tok_end)                                                            \
    {                                                                                                                  \
        if (kind == CLO_ACTS_F32)                                                                                      \
            clo_acts_f32_pack(acts, x, ldx, n_tok, n_cols, tok_begin, tok_end);                                        \
        else                                                                                                           \
            clo_acts_q8_pack_##qsfx(acts, x, ldx, n_tok, n_cols, tok_begin, tok_end);                                  \
    }

#define CLO_TABLE_ROWS(table_name, sfx)                                                                                \
    {                                                                                                                  \
        .name = table_name, .acts_pack = acts_pack, .matmul = matmul, .rmsnorm = clo_rmsnorm_##sfx,                    \
        .layernorm = clo_layernorm_##sfx, .add = clo_add_##sfx, .scale = clo_scale_##sfx, .clamp = clo_clamp_##sfx,    \
        .silu_mul = clo_silu_mul_##sfx, .gelu_mul = clo_gelu_mul_##sfx, .gelu = clo_gelu_##sfx,                        \
        .softcap = clo_softcap_##sfx, .exp = clo_exp_##sfx, .rope = clo_rope_##sfx, .kv_store = clo_kv_store_##sfx,    \
        .attend = clo_attend_##sfx,                                                                                    \
    }

#endif
