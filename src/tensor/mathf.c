/* Elementary functions of profile n1: the scalar law.
 *
 * Only + - * / fma on IEEE binary32 or binary64, comparisons and moves of exponent bits, in the order written here.
 * Coefficients are minimax polynomials (Remez exchange) rounded to the format. Accuracy is tested, not trusted:
 * tests/unit/test_mathf.c. */
#include "tensor/mathf.h"

#include <stdint.h>
#include <string.h>

#include "base/half.h"
#include "tensor/mathf_impl.h"

/* --- binary32 ---------------------------------------------------------------------------------------------------- */

float clo_exp_f32(float x)
{
    if (!(x <= CLO_EXP_MAX)) return x + __builtin_inff(); /* overflow; NaN stays NaN */
    if (x < CLO_EXP_MIN) return 0.0f;
    float t = __builtin_fmaf(x, CLO_EXP_LOG2E, CLO_EXP_MAGIC);
    float n = t - CLO_EXP_MAGIC; /* x / ln2 to the nearest integer */
    float r = __builtin_fmaf(n, -CLO_EXP_LN2_HI, x);
    r = __builtin_fmaf(n, -CLO_EXP_LN2_LO, r);
    float p = CLO_EXP_E6;
    p = __builtin_fmaf(p, r, CLO_EXP_E5);
    p = __builtin_fmaf(p, r, CLO_EXP_E4);
    p = __builtin_fmaf(p, r, CLO_EXP_E3);
    p = __builtin_fmaf(p, r, CLO_EXP_E2);
    p = __builtin_fmaf(p, r, 1.0f);
    p = __builtin_fmaf(p, r, 1.0f);
    /* times 2^n: n is in the low bits of t; between MIN and MAX the exponent stays in [1, 254] */
    return clo_bits_f32(clo_f32_bits(p) + (clo_f32_bits(t) << 23));
}

float clo_tanh_f32(float x)
{
    float a = clo_bits_f32(clo_f32_bits(x) & 0x7fffffffu);
    float big = 1.0f - 2.0f / (clo_exp_f32(a + a) + 1.0f);
    float z = a * a;
    float p = CLO_TANH_T4;
    p = __builtin_fmaf(p, z, CLO_TANH_T3);
    p = __builtin_fmaf(p, z, CLO_TANH_T2);
    p = __builtin_fmaf(p, z, CLO_TANH_T1);
    p = __builtin_fmaf(p, z, CLO_TANH_T0);
    float small = __builtin_fmaf(a * z, p, a);
    float y = a < CLO_TANH_SMALL ? small : big;
    return clo_bits_f32(clo_f32_bits(y) | (clo_f32_bits(x) & 0x80000000u));
}

float clo_gelu_f32(float x)
{
    float a = clo_bits_f32(clo_f32_bits(x) & 0x7fffffffu);
    float s = 1.0f / __builtin_fmaf(a, CLO_GELU_K, 1.0f);
    float p = CLO_GELU_G6;
    p = __builtin_fmaf(p, s, CLO_GELU_G5);
    p = __builtin_fmaf(p, s, CLO_GELU_G4);
    p = __builtin_fmaf(p, s, CLO_GELU_G3);
    p = __builtin_fmaf(p, s, CLO_GELU_G2);
    p = __builtin_fmaf(p, s, CLO_GELU_G1);
    float tail = clo_exp_f32(a * a * -0.5f) * (p * s); /* of the distribution beyond a */
    return x * (x < 0.0f ? tail : 1.0f - tail);
}

/* --- binary64 ---------------------------------------------------------------------------------------------------- */

static uint64_t bits_of(double x)
{
    uint64_t u;
    memcpy(&u, &x, 8);
    return u;
}

static double double_of(uint64_t u)
{
    double x;
    memcpy(&x, &u, 8);
    return x;
}

/* 2^n for -1022 <= n <= 1023 */
static double pow2(int64_t n)
{
    return double_of((uint64_t)(n + 1023) << 52);
}

#define LOG2E 0x1.71547652b82fep+0
#define LN2_HI 0x1.62e42fefap-1 /* 38 bits: n * LN2_HI is exact for |n| < 2^15 */
#define LN2_LO 0x1.cf79abc9e3b3ap-40
#define MAGIC 0x1.8p52 /* adding it rounds to an integer */

/* c[0] + c[1] z + ... by Horner's rule. */
static double horner(const double *c, int n, double z)
{
    double p = c[n - 1];
    for (int i = n - 2; i >= 0; i--) p = __builtin_fma(p, z, c[i]);
    return p;
}

/* e^(x + lo) for |lo| below an ulp or so of x. */
static double exp_of(double x, double lo)
{
    static const double c[] = {0x1.0000000000000p-1,  0x1.555555555555bp-3,  0x1.5555555555502p-5,
                               0x1.111111110ec1dp-7,  0x1.6c16c16c307a0p-10, 0x1.a01a01b397caap-13,
                               0x1.a01a0135ee1dbp-16, 0x1.71ddefdf74c53p-19, 0x1.27e5b519d6dc4p-22,
                               0x1.af6c5c2b1d6f7p-26, 0x1.1e3c91eab3ab0p-29};
    if (!(x <= 0x1.62e42fefa39efp+9)) return x + __builtin_inf();
    if (x < -0x1.6232bdd7abcd2p+9) return 0.0;
    double n = __builtin_fma(x, LOG2E, MAGIC) - MAGIC;
    double hi = __builtin_fma(n, -LN2_HI, x); /* exact */
    double tail = __builtin_fma(n, -LN2_LO, lo);
    double r = hi + tail;
    tail = (hi - r) + tail;
    double p = horner(c, 11, r) * r;
    p = 1.0 + (r + __builtin_fma(p, r, tail));
    int64_t k = (int64_t)n, half = k / 2; /* in two steps, for 2^1024 is no number */
    return p * pow2(half) * pow2(k - half);
}

double clo_exp_f64(double x)
{
    return exp_of(x, 0.0);
}

/* x = 2^e (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)). */
static double split(double x, double *e)
{
    double shift = 0;
    if (x < 0x1p-1022) {
        x *= 0x1p54;
        shift = -54;
    }
    uint64_t u = bits_of(x) - 0x3fe6a09e667f3bcdull; /* sqrt(1/2) */
    int64_t k = (int64_t)u >> 52;
    *e = (double)k + shift;
    return double_of(bits_of(x) - ((uint64_t)k << 52)) - 1.0;
}

/* P(z) with log((1+s)/(1-s)) = 2 s + s z P(z), z = s^2. */
static double log_poly(double z)
{
    static const double c[] = {0x1.5555555555555p-1, 0x1.9999999999e0fp-2, 0x1.2492492429f72p-2, 0x1.c71c725a83fcep-3,
                               0x1.745cddbb0b5bep-3, 0x1.3b20c097ef734p-3, 0x1.0f5aec9c92811p-3, 0x1.0f74114c6b28ep-3};
    return horner(c, 8, z);
}

double clo_log_f64(double x)
{
    double e, f, s, z, h;
    if (!(x < __builtin_inf())) return x;
    f = split(x, &e);
    s = f / (2.0 + f);
    z = s * s;
    h = 0.5 * f * f; /* log(1+f) = f - (h - s (h + z P)), which keeps f exact */
    double low = __builtin_fma(s, __builtin_fma(z, log_poly(z), h), e * LN2_LO);
    return __builtin_fma(e, LN2_HI, f - (h - low));
}

/* x^y = e^(y log x) with log x in two doubles. */
double clo_pow_f64(double x, double y)
{
    double e, f = split(x, &e);
    double d = 2.0 + f, d_lo = f - (d - 2.0);
    double s = f / d;
    double s_lo = __builtin_fma(-s, d_lo, __builtin_fma(-s, d, f)) / d;
    double z = s * s;
    double a = e * LN2_HI; /* exact */
    double b = 2.0 * s;
    double hi = a + b;
    double lo = e == 0.0 ? 0.0 : b - (hi - a); /* |a| > |b| unless e is 0 */
    lo = lo + __builtin_fma(e, LN2_LO, __builtin_fma(s * z, log_poly(z), 2.0 * s_lo));
    double sum = hi + lo;
    lo = lo - (sum - hi);
    double t = y * sum;
    double t_lo = __builtin_fma(y, lo, __builtin_fma(y, sum, -t));
    return exp_of(t, t_lo);
}

/* x = n pi/2 + (r + lo), |r| <= pi/4 or near; pi/2 in parts of 29 bits, so that n times a part is exact. */
static int64_t quadrant(double x, double *r, double *lo)
{
    double n = __builtin_fma(x, 0x1.45f306dc9c883p-1, MAGIC) - MAGIC;
    double a = __builtin_fma(n, -0x1.921fb54p+0, x); /* exact */
    double m = n * 0x1.10b4611p-30;                  /* exact */
    double b = a - m;
    double v = b - a;
    double tail = (a - (b - v)) - (m + v); /* what the subtraction lost (Knuth's two-sum) */
    tail = __builtin_fma(n, -0x1.4c4c662p-59, tail);
    tail = __builtin_fma(n, -0x1.1701b839a2520p-88, tail);
    *r = b + tail;
    *lo = (b - *r) + tail;
    return (int64_t)n;
}

static double sin_near(double r, double lo)
{
    static const double c[] = {-0x1.5555555555555p-3,  0x1.111111111110bp-7,  -0x1.a01a01a018ae2p-13,
                               0x1.71de3a53395f2p-19,  -0x1.ae64529832235p-26, 0x1.612092aa0e755p-33,
                               -0x1.aaa541762af9ap-41};
    double z = r * r;
    double low = __builtin_fma(-0.5 * z, lo, lo); /* lo cos r */
    return r + __builtin_fma(r * z, horner(c, 7, z), low);
}

static double cos_near(double r, double lo)
{
    static const double c[] = {0x1.5555555555555p-5,  -0x1.6c16c16c16c10p-10, 0x1.a01a01a018de9p-16,
                               -0x1.27e4fb75fd71fp-22, 0x1.1eed8ca3a64eep-29, -0x1.9393383ea966fp-37,
                               0x1.aac5ac0a7d675p-45};
    double z = r * r, h = 0.5 * z, w = 1.0 - h;
    double low = __builtin_fma(z * z, horner(c, 7, z), -r * lo);
    return w + (((1.0 - w) - h) + low);
}

double clo_sin_f64(double x)
{
    double r, lo;
    int64_t n = quadrant(x, &r, &lo) & 3;
    double y = n & 1 ? cos_near(r, lo) : sin_near(r, lo);
    return n & 2 ? -y : y;
}

double clo_cos_f64(double x)
{
    double r, lo;
    int64_t n = quadrant(x, &r, &lo) & 3;
    double y = n & 1 ? sin_near(r, lo) : cos_near(r, lo);
    return n == 1 || n == 2 ? -y : y;
}
