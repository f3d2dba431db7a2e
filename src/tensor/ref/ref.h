/* The scalar kernels, the law of profile n1: contracts are in kernel.h. */
#ifndef CLO_TENSOR_REF_REF_H
#define CLO_TENSOR_REF_REF_H

#include "tensor/kernel.h"

void clo_rmsnorm_ref(float *y, const float *x, const float *w, size_t n, float eps);
void clo_layernorm_ref(float *y, const float *x, const float *w, const float *b, size_t n, float eps);
void clo_add_ref(float *y, const float *x, size_t n);
void clo_scale_ref(float *y, const float *x, float s, size_t n);
void clo_clamp_ref(float *y, const float *x, float c, size_t n);
void clo_silu_mul_ref(float *y, const float *g, const float *u, size_t n);
void clo_gelu_mul_ref(float *y, const float *g, const float *u, size_t n);
void clo_softcap_ref(float *x, float cap, size_t n);
void clo_exp_ref(float *y, const float *x, size_t n);
void clo_rope_ref(float *x, const float *c, const float *s, size_t n_rot);

void clo_kv_store_ref(void *k, void *v, clo_dtype kv_dtype, const float *key, const float *value, size_t head_dim,
                      size_t slot);
void clo_attend_ref(float *o, size_t ldo, const float *q, size_t ldq, const clo_attn *a, size_t pos0, size_t n_tok,
                    void *scratch);

void clo_matmul_f_ref(float *y, size_t ldy, const clo_matrix *w, const void *acts, size_t n_tok, size_t panel_begin,
                      size_t panel_end);

#endif
