/* Elementary functions of profile n1: our own, because libm differs between versions and machines.
 *
 * Each is a fixed sequence of IEEE operations (docs/profile-n1.md has the coefficients and the order). The _f32 ones
 * have vector twins in every kernel table with the same bits. The _f64 ones are scalar and used for tables (RoPE) and
 * for sampling only.
 */
#ifndef CLO_TENSOR_MATHF_H
#define CLO_TENSOR_MATHF_H

float clo_exp_f32(float x);  /* <= 1 ulp or near; exp(-inf) = 0, overflow gives +inf, results below 2^-126 give 0 */
float clo_tanh_f32(float x);
float clo_gelu_f32(float x); /* x times the normal distribution's function at x: gelu by erf */

double clo_exp_f64(double x);
double clo_log_f64(double x); /* x > 0 */
double clo_pow_f64(double x, double y); /* x > 0 */
double clo_sin_f64(double x); /* |x| <= 2^24 */
double clo_cos_f64(double x); /* |x| <= 2^24 */

#endif
