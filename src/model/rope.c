/* Inverse frequencies of rotary position embeddings and their context extensions.
 *
 * Everything is computed in f64 by our own functions and rounded to f32 once at the end, so a table is a pure function
 * of the numbers in the file. Sources: Su et al. 2021, arXiv:2104.09864 (RoPE); Chen et al. 2023, arXiv:2306.15595
 * (linear); Peng et al. 2023, arXiv:2309.00071 (YaRN); the Llama 3.1 release (llama3). */
#include "model/spec.h"
#include "tensor/mathf.h"

#define TWO_PI 6.283185307179586476925286766559

/* llama3: long waves are stretched by the factor, short ones stay, those between go smoothly from one to the other. */
static double scale_llama3(double inv, const clo_rope *r)
{
    double wave = TWO_PI / inv;
    if (wave < r->original_ctx / r->high_freq_factor) return inv;
    if (wave > r->original_ctx / r->low_freq_factor) return inv / r->factor;
    double s = (r->original_ctx / wave - r->low_freq_factor) / (r->high_freq_factor - r->low_freq_factor);
    return (1.0 - s) * inv / r->factor + s * inv;
}

/* Rounds toward minus or plus infinity; |x| < 2^31. libm is not used in results. */
static double floor_f64(double x)
{
    double t = (double)(int64_t)x;
    return t > x ? t - 1.0 : t;
}

static double ceil_f64(double x)
{
    return -floor_f64(-x);
}

/* yarn: the dimension whose wave turns `rotations` times within the original context. */
static double yarn_dim(double rotations, const clo_rope *r, size_t n_rot)
{
    return (double)n_rot * clo_log_f64(r->original_ctx / (rotations * TWO_PI)) / (2.0 * clo_log_f64(r->theta));
}

/* Ends of the ramp between dimensions that are kept and those that are stretched. */
static void yarn_ramp(double *lo, double *hi, const clo_rope *r, size_t n_rot)
{
    *lo = yarn_dim(r->beta_fast, r, n_rot);
    *hi = yarn_dim(r->beta_slow, r, n_rot);
    if (r->truncate) {
        *lo = floor_f64(*lo);
        *hi = ceil_f64(*hi);
    }
    if (*lo < 0) *lo = 0;
    if (*hi > (double)(n_rot - 1)) *hi = (double)(n_rot - 1);
    if (*lo == *hi) *hi += 0.001;
}

void clo_rope_inv_freq(float *inv_freq, const clo_rope *r, size_t n_rot)
{
    double lo = 0, hi = 1;
    if (r->kind == CLO_ROPE_YARN) yarn_ramp(&lo, &hi, r, n_rot);
    for (size_t i = 0; i < n_rot / 2; i++) {
        double inv = 1.0 / clo_pow_f64(r->theta, (double)(2 * i) / (double)n_rot);
        switch (r->kind) {
        case CLO_ROPE_DEFAULT:
            break;
        case CLO_ROPE_LINEAR:
            inv /= r->factor;
            break;
        case CLO_ROPE_LLAMA3:
            inv = scale_llama3(inv, r);
            break;
        case CLO_ROPE_YARN: {
            double ramp = ((double)i - lo) / (hi - lo);
            ramp = ramp < 0 ? 0 : ramp > 1 ? 1 : ramp;
            inv = inv / r->factor * ramp + inv * (1.0 - ramp);
            break;
        }
        case CLO_ROPE_DIVISORS:
            inv /= (double)r->divisors[i];
            break;
        }
        inv_freq[i] = (float)inv;
    }
}
