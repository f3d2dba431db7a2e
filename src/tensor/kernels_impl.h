/* Prototypes of the kernels of one instruction set; contracts are in kernel.h. */
#ifndef CLO_TENSOR_KERNELS_IMPL_H
#define CLO_TENSOR_KERNELS_IMPL_H

#include "tensor/kernel.h"

#define CLO_KERNELS_DECLARE(sfx)                                                                                       \
    void clo_rmsnorm_##sfx(float *y, const float *x, const float *w, size_t n, float eps);                             \
    void clo_layernorm_##sfx(float *y, const float *x, const float *w, const float *b, size_t n, float eps);           \
    void clo_add_##sfx(float *y, const float *x, size_t n);                                                            \
    void clo_scale_##sfx(float *y, const float *x, float s, size_t n);                                                 \
    void clo_clamp_##sfx(float *y, const float *x, float c, size_t n);                                                 \
    void clo_silu_mul_##sfx(float *y, const float *g, const float *u, size_t n);                                       \
    void clo_gelu_mul_##sfx(float *y, const float *g, const float *u, size_t n);                                       \
    void clo_gelu_##sfx(float *y, const float *x, size_t n);                                                           \
    void clo_softcap_##sfx(float *x, float cap, size_t n);                                                             \
    void clo_exp_##sfx(float *y, const float *x, size_t n);                                                            \
    void clo_rope_##sfx(float *x, const float *c, const float *s, size_t n_rot);                                       \
    void clo_kv_store_##sfx(void *k, void *v, clo_dtype kv_dtype, const float *key, const float *value,                \
                            size_t head_dim, size_t slot);                                                             \
    void clo_attend_##sfx(float *o, size_t ldo, const float *q, size_t ldq, const clo_attn *a, size_t pos0,            \
                          size_t n_tok, void *scratch);                                                                \
    void clo_matmul_f_##sfx(float *y, size_t ldy, const clo_matrix *w, const void *acts, size_t n_tok,                 \
                            size_t panel_begin, size_t panel_end)

CLO_KERNELS_DECLARE(ref);
CLO_KERNELS_DECLARE(avx2);
CLO_KERNELS_DECLARE(avx512);
CLO_KERNELS_DECLARE(neon);

extern const clo_kernels clo_kernels_avx2, clo_kernels_avx512, clo_kernels_avx512vnni;
extern const clo_kernels clo_kernels_neon, clo_kernels_neondot;

#endif
