/* Floats to super-blocks and to IQ4: for each group of elements a search over a few scales for the one whose codes come
 * nearest, then 4, 6 or 8 bits for the groups' scales, then the codes again under the scales as they were stored.
 *
 * Source: ggml's reference quantisers without an importance matrix (K-quants by I. Kawrakow). The order of every sum is
 * part of the result: w*x*l is (w*x)*l, w*l*x is (w*l)*x. Only +, -, *, /, sqrtf, fabsf of binary32 are used. */
#include <math.h>

#include "tensor/quant_impl.h"

#define GROUP_ABS_MIN 1e-15f /* a group with no value above this is written as zeros */

/* v rounded to the nearest integer, ties to even, for |v| < 2^22: adding 1.5 * 2^23 leaves the integer in the low
 * bits of the sum. What lies outside (an infinite or NaN product of subnormals) gives some integer, the same
 * everywhere. */
static int nearest(float v)
{
    return (int)(clo_f32_bits(v + 12582912.0f) & 0x7fffffu) - 0x400000;
}

static int clamp(int v, int low, int high)
{
    return v < low ? low : v > high ? high : v;
}

/* Codes l in [-half, half) under one inverse scale, and the sums sum(w x l), sum(w l^2) with w = x^2. */
static void signed_codes(int *l, float *sum_lx, float *sum_l2, const float *x, unsigned n, int half, float iscale)
{
    *sum_lx = *sum_l2 = 0;
    for (unsigned i = 0; i < n; i++) {
        float w = x[i] * x[i];
        l[i] = clamp(nearest(iscale * x[i]), -half, half - 1);
        *sum_lx += w * x[i] * (float)l[i];
        *sum_l2 += w * (float)l[i] * (float)l[i];
    }
}

static void put_codes(uint8_t q[K_GROUP], const int l[K_GROUP], int half)
{
    for (unsigned i = 0; i < K_GROUP; i++)
        q[i] = (uint8_t)(l[i] + half);
}

/* Signed search (Q6_K): the scale for which the codes' weighted projection on x is largest, from 19 trials around the
 * one that puts the value of largest magnitude on -half. Codes l + half are left in q. */
static float search_signed(uint8_t q[K_GROUP], const float x[K_GROUP], int half)
{
    int l[K_GROUP];
    float max = clo_signed_max(x, K_GROUP), sum_lx, sum_l2;
    memset(q, 0, K_GROUP);
    if (fabsf(max) < GROUP_ABS_MIN) return 0;

    signed_codes(l, &sum_lx, &sum_l2, x, K_GROUP, half, (float)-half / max);
    put_codes(q, l, half);
    float scale = sum_l2 != 0 ? sum_lx / sum_l2 : 0.0f;
    float best = scale * sum_lx;
    for (int t = -9; t <= 9; t++) {
        if (t == 0) continue;
        signed_codes(l, &sum_lx, &sum_l2, x, K_GROUP, half, -((float)half + 0.1f * (float)t) / max);
        if (sum_l2 > 0 && sum_lx * sum_lx > best * sum_l2) {
            put_codes(q, l, half);
            scale = sum_lx / sum_l2;
            best = scale * sum_lx;
        }
    }
    return scale;
}

/* Signed descent (Q3_K): from the same start, up to five passes in which each code moves to its best integer with the
 * others held, if that improves the projection. Codes l + half are left in q. */
static float search_descent(uint8_t q[K_GROUP], const float x[K_GROUP], int half)
{
    int l[K_GROUP];
    float max = clo_signed_max(x, K_GROUP), sum_lx, sum_l2;
    memset(q, 0, K_GROUP);
    if (fabsf(max) < GROUP_ABS_MIN) return 0;

    signed_codes(l, &sum_lx, &sum_l2, x, K_GROUP, half, (float)-half / max);
    bool changed = true;
    for (int pass = 0; pass < 5 && changed; pass++) {
        changed = false;
        for (unsigned i = 0; i < K_GROUP; i++) {
            float w = x[i] * x[i];
            float lx = sum_lx - w * x[i] * (float)l[i];
            if (!(lx > 0)) continue;
            float l2 = sum_l2 - w * (float)l[i] * (float)l[i];
            int to = clamp(nearest(x[i] * l2 / lx), -half, half - 1);
            if (to == l[i]) continue;
            lx += w * x[i] * (float)to;
            l2 += w * (float)to * (float)to;
            if (l2 > 0 && lx * lx * sum_l2 > sum_lx * sum_lx * l2) {
                l[i] = to;
                sum_lx = lx;
                sum_l2 = l2;
                changed = true;
            }
        }
    }
    put_codes(q, l, half);
    return sum_lx / sum_l2;
}

/* What the affine search is given for one group. */
typedef struct {
    const float *x, *w; /* [n] values and weights */
    unsigned n;         /* at most K_SUB */
    int top;            /* codes are 0..top */
    float first, step;  /* trial s divides the range by top + first + step * s */
    int n_steps;        /* trials 0..n_steps */
    bool absolute;      /* the error is |e|, else e^2 */
} affine_search;

static float affine_error(const affine_search *a, const uint8_t *l, float scale, float min)
{
    float sum = 0;
    for (unsigned i = 0; i < a->n; i++) {
        float e = scale * (float)l[i] + min - a->x[i];
        sum += a->w[i] * (a->absolute ? fabsf(e) : e * e);
    }
    return sum;
}

static uint8_t affine_code(const affine_search *a, float iscale, float min, unsigned i)
{
    return (uint8_t)clamp(nearest(iscale * (a->x[i] - min)), 0, a->top);
}

/* Scale and minimum by weighted least squares of x on the codes of one trial; false when the codes are all one. */
static bool affine_fit(const affine_search *a, uint8_t *l, float iscale, float low, float sum_w, float sum_x,
                       float *scale, float *min)
{
    float sum_l = 0, sum_l2 = 0, sum_xl = 0;
    for (unsigned i = 0; i < a->n; i++) {
        l[i] = affine_code(a, iscale, low, i);
        float wl = a->w[i] * (float)l[i];
        sum_l += wl;
        sum_l2 += wl * (float)l[i];
        sum_xl += wl * a->x[i];
    }
    float det = sum_w * sum_l2 - sum_l * sum_l;
    if (!(det > 0)) return false;
    *scale = (sum_w * sum_xl - sum_x * sum_l) / det;
    *min = (sum_l2 * sum_x - sum_l * sum_xl) / det;
    if (*min > 0) {
        *min = 0;
        *scale = sum_xl / sum_l2;
    }
    return true;
}

/* Affine search (Q2_K, Q4_K, Q5_K): x is near scale * q + min with min <= 0. Returns scale and gives codes q and -min.
 *
 * One detail follows the reference: a trial that is kept moves the minimum from which the later trials take their
 * codes and their range. */
static float search_affine(uint8_t *q, float *minus_min, const affine_search *a)
{
    uint8_t l[K_SUB];
    float min = a->x[0], max = a->x[0], sum_w = a->w[0], sum_x = a->w[0] * a->x[0];
    for (unsigned i = 1; i < a->n; i++) {
        if (a->x[i] < min) min = a->x[i];
        if (a->x[i] > max) max = a->x[i];
        sum_w += a->w[i];
        sum_x += a->w[i] * a->x[i];
    }
    if (min > 0) min = 0;
    memset(q, 0, a->n);
    *minus_min = -min;
    if (max == min) return 0;

    float iscale = (float)a->top / (max - min), scale = 1 / iscale;
    for (unsigned i = 0; i < a->n; i++)
        q[i] = affine_code(a, iscale, min, i);
    float best = affine_error(a, q, scale, min);
    for (int s = 0; s <= a->n_steps; s++) {
        float try_scale, try_min;
        iscale = (a->first + a->step * (float)s + (float)a->top) / (max - min);
        if (!affine_fit(a, l, iscale, min, sum_w, sum_x, &try_scale, &try_min)) continue;
        float err = affine_error(a, l, try_scale, try_min);
        if (err < best) {
            memcpy(q, l, a->n);
            best = err;
            scale = try_scale;
            min = try_min;
        }
    }
    *minus_min = -min;
    return scale;
}

static float largest(const float *v, unsigned n)
{
    float max = 0;
    for (unsigned i = 0; i < n; i++) {
        if (v[i] > max) max = v[i];
    }
    return max;
}

/* Two bits each, four strips of 32 to a byte. */
static void pack_2bit(uint8_t *qs, const uint8_t q[QK_K])
{
    for (unsigned e = 0; e < QK_K; e += 128) {
        for (unsigned l = 0; l < 32; l++) {
            const uint8_t *p = q + e + l;
            qs[e / 4 + l] = (uint8_t)((p[0] & 3) | (p[32] & 3) << 2 | (p[64] & 3) << 4 | (p[96] & 3) << 6);
        }
    }
}

/* Low nibbles of sub-blocks 2k and 2k + 1 to one run of 32 bytes. */
static void pack_4bit(uint8_t *qs, const uint8_t q[QK_K])
{
    for (unsigned e = 0; e < QK_K; e += 64) {
        for (unsigned l = 0; l < 32; l++)
            qs[e / 2 + l] = (uint8_t)((q[e + l] & 15) | (q[e + l + 32] & 15) << 4);
    }
}

void clo_quantize_q2_k(uint8_t *b, const float *x)
{
    uint8_t q[QK_K];
    float scales[16], mins[16], w[K_GROUP];
    for (unsigned g = 0; g < 16; g++) {
        const float *xg = x + K_GROUP * g;
        for (unsigned i = 0; i < K_GROUP; i++)
            w[i] = fabsf(xg[i]);
        affine_search a = {xg, w, K_GROUP, 3, -0.5f, 0.1f, 15, true};
        scales[g] = search_affine(q + K_GROUP * g, &mins[g], &a);
    }

    float max_scale = largest(scales, 16), max_min = largest(mins, 16);
    float iscale = max_scale > 0 ? 15.0f / max_scale : 0, imin = max_min > 0 ? 15.0f / max_min : 0;
    for (unsigned g = 0; g < 16; g++) {
        unsigned sc = (unsigned)nearest(iscale * scales[g]), mn = (unsigned)nearest(imin * mins[g]);
        b[g] = (uint8_t)((sc | mn << 4) & 255u);
    }
    store_f16(b + 80, max_scale / 15.0f);
    store_f16(b + 82, max_min / 15.0f);

    for (unsigned g = 0; g < 16; g++) {
        float d = load_f16(b + 80) * (float)(b[g] & 15), m = load_f16(b + 82) * (float)(b[g] >> 4);
        if (d == 0) continue;
        for (unsigned e = K_GROUP * g; e < K_GROUP * (g + 1); e++)
            q[e] = (uint8_t)clamp(nearest((x[e] + m) / d), 0, 3);
    }
    pack_2bit(b + 16, q);
}

/* Signed scales as integers -half..half - 1, the one of largest magnitude on -half. Returns the unit; when all are 0 it
 * is 0 and s is not written. */
static float signed_scales(int *s, const float *scales, unsigned n, int half)
{
    float max = clo_signed_max(scales, n);
    if (max == 0) return 0;
    float iscale = (float)-half / max;
    for (unsigned g = 0; g < n; g++)
        s[g] = clamp(nearest(iscale * scales[g]), -half, half - 1);
    return 1 / iscale;
}

void clo_quantize_q3_k(uint8_t *b, const float *x)
{
    uint8_t q[QK_K];
    uint8_t *packed = b + 96;
    float scales[16];
    int s[16];
    for (unsigned g = 0; g < 16; g++)
        scales[g] = search_descent(q + K_GROUP * g, x + K_GROUP * g, 4);

    memset(b, 0, 110);
    float d = signed_scales(s, scales, 16, 32);
    for (unsigned g = 0; g < 16 && d != 0; g++) {
        int u = s[g] + 32;
        packed[g % 8] |= (uint8_t)((u & 15) << (g < 8 ? 0 : 4));
        packed[8 + g % 4] |= (uint8_t)(u >> 4 << 2 * (g / 4));
    }
    store_f16(b + 108, d);

    for (unsigned g = 0; g < 16; g++) {
        float dg = load_f16(b + 108) * (float)q3_k_scale(packed, g);
        if (dg == 0) continue;
        for (unsigned e = K_GROUP * g; e < K_GROUP * (g + 1); e++)
            q[e] = (uint8_t)(clamp(nearest(x[e] / dg), -4, 3) + 4);
    }
    for (unsigned e = 0; e < QK_K; e++)
        b[e % 32] |= (uint8_t)(q[e] >> 2 << e / 32);
    pack_2bit(b + 32, q);
}

static void pack_k4_scales(uint8_t packed[12], const float *scales, const float *mins, float iscale, float imin)
{
    memset(packed, 0, 12);
    for (unsigned s = 0; s < 8; s++) {
        unsigned sc = (uint8_t)nearest(iscale * scales[s]), mn = (uint8_t)nearest(imin * mins[s]);
        if (sc > 63) sc = 63;
        if (mn > 63) mn = 63;
        if (s < 4) {
            packed[s] = (uint8_t)sc;
            packed[s + 4] = (uint8_t)mn;
        } else {
            packed[s + 4] = (uint8_t)((sc & 15) | (mn & 15) << 4);
            packed[s - 4] |= (uint8_t)(sc >> 4 << 6);
            packed[s] |= (uint8_t)(mn >> 4 << 6);
        }
    }
}

/* The common part of Q4_K and Q5_K: header (scales and minima) to b[0..16), codes 0..top to q. */
static void quantize_k45(uint8_t *b, uint8_t q[QK_K], const float *x, int top, float first, int n_steps)
{
    float scales[8], mins[8], w[K_SUB];
    for (unsigned s = 0; s < 8; s++) {
        const float *xs = x + K_SUB * s;
        float sum = 0;
        for (unsigned i = 0; i < K_SUB; i++)
            sum += xs[i] * xs[i];
        float mean = sqrtf(sum / 32);
        for (unsigned i = 0; i < K_SUB; i++)
            w[i] = mean + fabsf(xs[i]);
        affine_search a = {xs, w, K_SUB, top, first, 0.1f, n_steps, false};
        scales[s] = search_affine(q + K_SUB * s, &mins[s], &a);
    }

    float max_scale = largest(scales, 8), max_min = largest(mins, 8);
    pack_k4_scales(b + 4, scales, mins, max_scale > 0 ? 63.0f / max_scale : 0, max_min > 0 ? 63.0f / max_min : 0);
    store_f16(b, max_scale / 63.0f);
    store_f16(b + 2, max_min / 63.0f);

    for (unsigned s = 0; s < 8; s++) {
        uint8_t sc, mn;
        k4_scale_min(b + 4, s, &sc, &mn);
        float d = load_f16(b) * (float)sc, m = load_f16(b + 2) * (float)mn;
        if (d == 0) continue;
        for (unsigned e = K_SUB * s; e < K_SUB * (s + 1); e++)
            q[e] = (uint8_t)clamp(nearest((x[e] + m) / d), 0, top);
    }
}

void clo_quantize_q4_k(uint8_t *b, const float *x)
{
    uint8_t q[QK_K];
    quantize_k45(b, q, x, 15, -1.0f, 20);
    pack_4bit(b + 16, q);
}

void clo_quantize_q5_k(uint8_t *b, const float *x)
{
    uint8_t q[QK_K];
    quantize_k45(b, q, x, 31, -0.5f, 15);
    memset(b + 16, 0, 32);
    for (unsigned e = 0; e < QK_K; e++)
        b[16 + e % 32] |= (uint8_t)(q[e] >> 4 << e / 32);
    pack_4bit(b + 48, q);
}

void clo_quantize_q6_k(uint8_t *b, const float *x)
{
    uint8_t q[QK_K];
    uint8_t *ql = b, *qh = b + 128, *packed = b + 192;
    float scales[16];
    int s[16];
    for (unsigned g = 0; g < 16; g++)
        scales[g] = search_signed(q + K_GROUP * g, x + K_GROUP * g, 32);

    memset(b, 0, 210);
    if (fabsf(clo_signed_max(scales, 16)) < GROUP_ABS_MIN) return;
    store_f16(b + 208, signed_scales(s, scales, 16, 128));
    for (unsigned g = 0; g < 16; g++) {
        packed[g] = (uint8_t)(s[g] & 255);
        float d = load_f16(b + 208) * (float)s[g];
        if (d == 0) continue;
        for (unsigned e = K_GROUP * g; e < K_GROUP * (g + 1); e++)
            q[e] = (uint8_t)(clamp(nearest(x[e] / d), -32, 31) + 32);
    }
    for (unsigned n = 0; n < 2; n++) {
        for (unsigned l = 0; l < 64; l++) {
            const uint8_t *p = q + 128 * n + l;
            ql[64 * n + l] = (uint8_t)((p[0] & 15) | (p[64] & 15) << 4);
        }
        for (unsigned l = 0; l < 32; l++) {
            const uint8_t *p = q + 128 * n + l;
            qh[32 * n + l] = (uint8_t)(p[0] >> 4 | p[32] >> 4 << 2 | p[64] >> 4 << 4 | p[96] >> 4 << 6);
        }
    }
}

/* The code whose value is nearest; halfway goes up. */
static uint8_t iq4_code(float v)
{
    const int8_t *t = clo_iq4_values;
    if (v <= (float)t[0]) return 0;
    if (v >= (float)t[15]) return 15;
    unsigned low = 0, high = 15;
    while (high - low > 1) {
        unsigned mid = (low + high) / 2;
        if (v < (float)t[mid]) {
            high = mid;
        } else {
            low = mid;
        }
    }
    return (uint8_t)(v - (float)t[high - 1] < (float)t[high] - v ? high - 1 : high);
}

static void iq4_sums(const float x[K_SUB], float id, float *sum_qx, float *sum_q2)
{
    *sum_qx = *sum_q2 = 0;
    for (unsigned i = 0; i < K_SUB; i++) {
        float w = x[i] * x[i], q = (float)clo_iq4_values[iq4_code(id * x[i])];
        *sum_qx += w * q * x[i];
        *sum_q2 += w * q * q;
    }
}

/* The scale of 32 elements for which the table's values project best on x, from 16 trials. */
static float search_iq4(const float x[K_SUB])
{
    float max = clo_signed_max(x, K_SUB), sum_qx, sum_q2;
    if (fabsf(max) < GROUP_ABS_MIN) return 0;

    float d = -max / (float)clo_iq4_values[0];
    iq4_sums(x, 1 / d, &sum_qx, &sum_q2);
    d = sum_qx / sum_q2;
    float best = d * sum_qx;
    for (int t = -7; t <= 7; t++) {
        iq4_sums(x, (float)(t + clo_iq4_values[0]) / max, &sum_qx, &sum_q2);
        if (sum_q2 > 0 && sum_qx * sum_qx > best * sum_q2) {
            d = sum_qx / sum_q2;
            best = d * sum_qx;
        }
    }
    return d;
}

static void iq4_codes(uint8_t qs[16], const float x[K_SUB], float d)
{
    float id = d != 0 ? 1 / d : 0;
    for (unsigned j = 0; j < 16; j++)
        qs[j] = (uint8_t)(iq4_code(id * x[j]) | iq4_code(id * x[j + 16]) << 4);
}

void clo_quantize_iq4_nl(uint8_t *b, const float *x)
{
    float d = search_iq4(x);
    store_f16(b, d);
    iq4_codes(b + 2, x, d);
}

/* The codes are taken under the scale before its rounding to f16, as in the reference. */
void clo_quantize_iq4_xs(uint8_t *b, const float *x)
{
    float scales[8];
    for (unsigned s = 0; s < 8; s++)
        scales[s] = search_iq4(x + K_SUB * s);

    float d = -clo_signed_max(scales, 8) / 32, id = d != 0 ? 1 / d : 0;
    unsigned high = 0;
    memset(b, 0, 136);
    store_f16(b, d);
    for (unsigned s = 0; s < 8; s++) {
        int l = clamp(nearest(id * scales[s]), -32, 31);
        iq4_codes(b + 8 + 16 * s, x + K_SUB * s, d * (float)l);
        unsigned u = (unsigned)(l + 32);
        b[4 + s / 2] |= (uint8_t)((u & 15) << 4 * (s & 1));
        high |= u >> 4 << 2 * s;
    }
    store_u16(b + 2, (uint16_t)high);
}
