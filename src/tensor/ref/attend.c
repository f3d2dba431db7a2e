/* Attention, scalar: the law. */
#include <string.h>

#include "base/half.h"
#include "base/check.h"
#include "tensor/mathf.h"
#include "tensor/kernels_impl.h"
#include "tensor/ref/slots16.h"

static float kv_at(clo_dtype t, const void *kv, size_t i)
{
    float f;
    uint16_t h;
    if (t == CLO_DTYPE_F32) {
        memcpy(&f, (const uint8_t *)kv + i * 4, 4);
        return f;
    }
    memcpy(&h, (const uint8_t *)kv + i * 2, 2);
    return clo_f16_to_f32(h);
}

static void kv_put(clo_dtype t, void *kv, size_t i, float x)
{
    if (t == CLO_DTYPE_F32) {
        memcpy((uint8_t *)kv + i * 4, &x, 4);
        return;
    }
    float c = x > 65504.0f ? 65504.0f : x < -65504.0f ? -65504.0f : x; /* NaN stays */
    uint16_t h = clo_f32_to_f16(c);
    memcpy((uint8_t *)kv + i * 2, &h, 2);
}

void clo_kv_store_ref(void *k, void *v, clo_dtype kv_dtype, const float *key, const float *value, size_t head_dim,
                      size_t slot)
{
    for (size_t i = 0; i < head_dim; i++) {
        kv_put(kv_dtype, k, i * CLO_KV_BLOCK + slot, key[i]);
        kv_put(kv_dtype, v, slot * head_dim + i, value[i]);
    }
}

static float score(const clo_attn *a, const float *q, const void *keys, size_t j)
{
    float s = 0;
    for (size_t d = 0; d < a->head_dim; d++)
        s = __builtin_fmaf(q[d], kv_at(a->kv_dtype, keys, d * CLO_KV_BLOCK + j), s);
    s = a->scale * s;
    return a->softcap != 0 ? a->softcap * clo_tanh_f32(s / a->softcap) : s;
}

/* One query at absolute position `pos`; o [head_dim]. */
static void attend_one(float *o, const float *q, const clo_attn *a, size_t pos)
{
    float m = -__builtin_inff(), l = 0;
    size_t first = a->window != 0 && pos >= a->window ? pos - a->window + 1 : 0; /* visible: first .. pos */
    memset(o, 0, a->head_dim * sizeof *o);
    for (size_t b = first / CLO_KV_BLOCK; b <= pos / CLO_KV_BLOCK; b++) {
        const void *keys = a->blocks[b] + a->k_off, *values = a->blocks[b] + a->v_off;
        size_t j0 = clo_max(first, b * CLO_KV_BLOCK) - b * CLO_KV_BLOCK;
        size_t j1 = clo_min(pos + 1 - b * CLO_KV_BLOCK, CLO_KV_BLOCK);
        float p[CLO_KV_BLOCK] = {0}, sum[16] = {0}, m_new = m;
        for (size_t j = j0; j < j1; j++) {
            p[j] = score(a, q, keys, j);
            m_new = p[j] > m_new ? p[j] : m_new;
        }
        float c = m == -__builtin_inff() ? 0.0f : clo_exp_f32(m - m_new);
        for (size_t j = j0; j < j1; j++) {
            p[j] = clo_exp_f32(p[j] - m_new);
            sum[j % 16] += p[j];
        }
        l = __builtin_fmaf(l, c, clo_slots16_fold(sum));
        for (size_t d = 0; d < a->head_dim; d++) o[d] = o[d] * c;
        for (size_t j = j0; j < j1; j++)
            for (size_t d = 0; d < a->head_dim; d++)
                o[d] = __builtin_fmaf(p[j], kv_at(a->kv_dtype, values, j * a->head_dim + d), o[d]);
        m = m_new;
    }
    float r = 1.0f / l;
    for (size_t d = 0; d < a->head_dim; d++) o[d] = o[d] * r;
}

void clo_attend_ref(float *o, size_t ldo, const float *q, size_t ldq, const clo_attn *a, size_t pos0, size_t n_tok,
                    void *scratch)
{
    (void)scratch;
    for (size_t t = 0; t < n_tok; t++)
        for (size_t h = 0; h < a->n_group; h++)
            attend_one(o + t * ldo + h * a->head_dim, q + t * ldq + h * a->head_dim, a,
                       a->n_seen ? a->n_seen - 1 : pos0 + t);
}
