/* Row operations, scalar: the law. Contracts are in kernel.h. */
#include "base/half.h"
#include "tensor/mathf.h"
#include "tensor/mathf_impl.h"
#include "tensor/kernels_impl.h"
#include "tensor/ref/slots16.h"

void clo_rmsnorm_ref(float *y, const float *x, const float *w, size_t n, float eps)
{
    float s[16] = {0};
    for (size_t i = 0; i < n; i++) s[i % 16] = __builtin_fmaf(x[i], x[i], s[i % 16]);
    float mean = clo_slots16_fold(s) / (float)n;
    float r = 1.0f / __builtin_sqrtf(mean + eps);
    for (size_t i = 0; i < n; i++) {
        float t = x[i] * r;
        y[i] = w ? t * w[i] : t;
    }
}

void clo_layernorm_ref(float *y, const float *x, const float *w, const float *b, size_t n, float eps)
{
    float s[16] = {0}, q[16] = {0};
    for (size_t i = 0; i < n; i++) s[i % 16] += x[i];
    float mu = clo_slots16_fold(s) / (float)n;
    for (size_t i = 0; i < n; i++) {
        float d = x[i] - mu;
        q[i % 16] = __builtin_fmaf(d, d, q[i % 16]);
    }
    float var = clo_slots16_fold(q) / (float)n;
    float r = 1.0f / __builtin_sqrtf(var + eps);
    for (size_t i = 0; i < n; i++) {
        float t = (x[i] - mu) * r;
        if (w) t = t * w[i];
        if (b) t = t + b[i];
        y[i] = t;
    }
}

void clo_add_ref(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = y[i] + x[i];
}

void clo_scale_ref(float *y, const float *x, float s, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = x[i] * s;
}

/* NaN passes both comparisons and stays. */
void clo_clamp_ref(float *y, const float *x, float c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float t = -c > x[i] ? -c : x[i];
        y[i] = c < t ? c : t;
    }
}

void clo_silu_mul_ref(float *y, const float *g, const float *u, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float e = clo_exp_f32(clo_bits_f32(clo_f32_bits(g[i]) ^ 0x80000000u)); /* -g */
        y[i] = g[i] / (1.0f + e) * u[i];
    }
}

/* gelu_tanh(g) = (g / 2) (1 + tanh(sqrt(2/pi) (g + 0.044715 g^3))) */
void clo_gelu_mul_ref(float *y, const float *g, const float *u, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float cubic = g[i] * g[i] * CLO_GELU_CUBIC;
        float t = clo_tanh_f32(__builtin_fmaf(cubic, g[i], g[i]) * CLO_GELU_SCALE);
        y[i] = g[i] * 0.5f * (1.0f + t) * u[i];
    }
}

void clo_gelu_ref(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = clo_gelu_f32(x[i]);
}

void clo_softcap_ref(float *x, float cap, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] = cap * clo_tanh_f32(x[i] / cap);
}

void clo_exp_ref(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = clo_exp_f32(x[i]);
}

void clo_rope_ref(float *x, const float *c, const float *s, size_t n_rot)
{
    size_t half = n_rot / 2;
    for (size_t i = 0; i < half; i++) {
        float a = x[i], b = x[i + half];
        float bs = b * s[i], as = a * s[i];
        x[i] = __builtin_fmaf(a, c[i], -bs);
        x[i + half] = __builtin_fmaf(b, c[i], as);
    }
}
