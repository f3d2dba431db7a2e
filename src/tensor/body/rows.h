/* Row operations on v16; contracts in kernel.h. Included once by each instruction set's rows.c.
 *
 * A tail of n % 16 elements is handled as a vector whose other slots are +0. In the sums this adds +0 to slots where the
 * law adds nothing, which changes no bits: a slot starts at +0 and no sum that starts at +0 becomes -0 (x + y is -0 only
 * when both are), so slot + (+0) = slot, infinities and NaN included. */
#include "tensor/body/math.h"

/* f(i, n) for i = 0, 16, 32, ...: n is 16, and less for the last. */
#define EACH16(i, n, len) for (size_t i = 0, n; i < (len) && (n = (len) - i < 16 ? (len) - i : 16, 1); i += 16)

static inline v16 get(const float *p, size_t n)
{
    return n == 16 ? v16_load(p) : v16_load_n(p, n);
}

static inline void put(float *p, v16 x, size_t n)
{
    if (n == 16) v16_store(p, x);
    else v16_store_n(p, x, n);
}

void CLO_SFX(clo_rmsnorm)(float *y, const float *x, const float *w, size_t n, float eps)
{
    v16 s = v16_set(0.0f);
    EACH16(i, m, n)
    {
        v16 a = get(x + i, m);
        s = v16_fma(a, a, s);
    }
    float mean = v16_sum(s) / (float)n;
    v16 r = v16_set(1.0f / __builtin_sqrtf(mean + eps));
    EACH16(i, m, n)
    {
        v16 a = v16_mul(get(x + i, m), r);
        put(y + i, w ? v16_mul(a, get(w + i, m)) : a, m);
    }
}

void CLO_SFX(clo_layernorm)(float *y, const float *x, const float *w, const float *b, size_t n, float eps)
{
    v16 zero = v16_set(0.0f), s = zero, q = zero;
    EACH16(i, m, n) s = v16_add(s, get(x + i, m));
    v16 mu = v16_set(v16_sum(s) / (float)n);
    EACH16(i, m, n)
    {
        v16 d = v16_sub(get(x + i, m), mu);
        if (m < 16) d = v16_keep(d, 0.0f, (float)m, zero);
        q = v16_fma(d, d, q);
    }
    float var = v16_sum(q) / (float)n;
    v16 r = v16_set(1.0f / __builtin_sqrtf(var + eps));
    EACH16(i, m, n)
    {
        v16 a = v16_mul(v16_sub(get(x + i, m), mu), r);
        if (w) a = v16_mul(a, get(w + i, m));
        if (b) a = v16_add(a, get(b + i, m));
        put(y + i, a, m);
    }
}

void CLO_SFX(clo_add)(float *y, const float *x, size_t n)
{
    EACH16(i, m, n) put(y + i, v16_add(get(y + i, m), get(x + i, m)), m);
}

void CLO_SFX(clo_scale)(float *y, const float *x, float s, size_t n)
{
    EACH16(i, m, n) put(y + i, v16_mul(get(x + i, m), v16_set(s)), m);
}

void CLO_SFX(clo_clamp)(float *y, const float *x, float c, size_t n)
{
    v16 lo = v16_set(-c), hi = v16_set(c);
    EACH16(i, m, n)
    {
        v16 a = get(x + i, m);
        a = v16_select_lt(a, lo, lo, a);
        put(y + i, v16_select_lt(hi, a, hi, a), m);
    }
}

void CLO_SFX(clo_silu_mul)(float *y, const float *g, const float *u, size_t n)
{
    v16 one = v16_set(1.0f);
    EACH16(i, m, n)
    {
        v16 a = get(g + i, m);
        a = v16_div(a, v16_add(one, v16_exp(v16_neg(a))));
        put(y + i, v16_mul(a, get(u + i, m)), m);
    }
}

void CLO_SFX(clo_gelu_mul)(float *y, const float *g, const float *u, size_t n)
{
    v16 one = v16_set(1.0f);
    EACH16(i, m, n)
    {
        v16 a = get(g + i, m);
        v16 cubic = v16_mul(v16_mul(a, a), v16_set(CLO_GELU_CUBIC));
        v16 t = v16_tanh(v16_mul(v16_fma(cubic, a, a), v16_set(CLO_GELU_SCALE)));
        v16 gelu = v16_mul(v16_mul(a, v16_set(0.5f)), v16_add(one, t));
        put(y + i, v16_mul(gelu, get(u + i, m)), m);
    }
}

void CLO_SFX(clo_gelu)(float *y, const float *x, size_t n)
{
    EACH16(i, m, n) put(y + i, v16_gelu(get(x + i, m)), m);
}

void CLO_SFX(clo_softcap)(float *x, float cap, size_t n)
{
    v16 c = v16_set(cap);
    EACH16(i, m, n) put(x + i, v16_mul(c, v16_tanh(v16_div(get(x + i, m), c))), m);
}

void CLO_SFX(clo_exp)(float *y, const float *x, size_t n)
{
    EACH16(i, m, n) put(y + i, v16_exp(get(x + i, m)), m);
}

void CLO_SFX(clo_rope)(float *x, const float *c, const float *s, size_t n_rot)
{
    size_t half = n_rot / 2;
    EACH16(i, m, half)
    {
        v16 a = get(x + i, m), b = get(x + half + i, m), ci = get(c + i, m), si = get(s + i, m);
        v16 bs = v16_mul(b, si), as = v16_mul(a, si);
        put(x + i, v16_fma(a, ci, v16_neg(bs)), m);
        put(x + half + i, v16_fma(b, ci, as), m);
    }
}
