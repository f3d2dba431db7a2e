/* What the quantised matrix products' files share: prototypes per instruction set.
 *
 * Every kernel reads the packed layout of pack_q.h and the activation layout of acts_q8.h below; both are the same for
 * all instruction sets, so that any row of the table reads what another row wrote. Contract and law: kernel.h (matmul,
 * acts_pack).
 */
#ifndef CLO_TENSOR_MATMUL_Q_IMPL_H
#define CLO_TENSOR_MATMUL_Q_IMPL_H

#include <stddef.h>

#include "tensor/kernel.h"

#define CLO_MATMUL_Q_DECLARE(isa)                                                                                      \
    void clo_matmul_q_##isa(float *y, size_t ldy, const clo_matrix *w, const void *acts, size_t n_tok,                 \
                            size_t panel_begin, size_t panel_end, void *scratch);                                      \
    void clo_acts_q8_pack_##isa(void *acts, const float *x, size_t ldx, size_t n_tok, size_t n_cols, size_t tok_begin, \
                                size_t tok_end)

CLO_MATMUL_Q_DECLARE(ref);
CLO_MATMUL_Q_DECLARE(avx2);
CLO_MATMUL_Q_DECLARE(avx512);
CLO_MATMUL_Q_DECLARE(avx512vnni);
CLO_MATMUL_Q_DECLARE(neon);
CLO_MATMUL_Q_DECLARE(neondot);

/* Bytes of packed activations, a multiple of 64; 0 on overflow. n_cols is a multiple of 32. */
size_t clo_acts_q8_bytes(size_t n_tok, size_t n_cols);

/* Bytes of a thread's scratch for products with at most n_cols_max columns, a multiple of 64; 0 on overflow. */
size_t clo_matmul_q_scratch_bytes(size_t n_cols_max);

#endif
