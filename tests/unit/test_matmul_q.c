/* Quantised matrix products: every kernel table against the law, written out here a second time from the formats'
 * definitions (docs/formats/blocks.md) and kernel.h, on stored blocks of random bytes. Bits are compared, never
 * tolerances. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/half.h"
#include "tensor/kernel.h"
#include "tensor/pack.h"

static uint64_t rng = 88172645463325252u;

static uint32_t rnd(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (uint32_t)(rng >> 16);
}

static float rnd_unit(void)
{
    return (float)(int32_t)rnd() * 0x1p-31f;
}

static void *alloc64(size_t n)
{
    void *p = aligned_alloc(64, (n + 127) & ~(size_t)63);
    assert_non_null(p);
    return p;
}

static const struct {
    clo_dtype t;
    const char *name;
    size_t len, bytes, group; /* of a stored block; columns that share a scale */
    bool min;
    int f16_at[2];            /* where its f16 scales lie, -1: none */
} types[] = {
    {CLO_DTYPE_Q4_0, "Q4_0", 32, 18, 32, false, {0, -1}},   {CLO_DTYPE_Q4_1, "Q4_1", 32, 20, 32, true, {0, 2}},
    {CLO_DTYPE_Q5_0, "Q5_0", 32, 22, 32, false, {0, -1}},   {CLO_DTYPE_Q5_1, "Q5_1", 32, 24, 32, true, {0, 2}},
    {CLO_DTYPE_Q8_0, "Q8_0", 32, 34, 32, false, {0, -1}},   {CLO_DTYPE_Q2_K, "Q2_K", 256, 84, 16, true, {80, 82}},
    {CLO_DTYPE_Q3_K, "Q3_K", 256, 110, 16, false, {108, -1}}, {CLO_DTYPE_Q4_K, "Q4_K", 256, 144, 32, true, {0, 2}},
    {CLO_DTYPE_Q5_K, "Q5_K", 256, 176, 32, true, {0, 2}},   {CLO_DTYPE_Q6_K, "Q6_K", 256, 210, 16, false, {208, -1}},
    {CLO_DTYPE_IQ4_NL, "IQ4_NL", 32, 18, 32, false, {0, -1}}, {CLO_DTYPE_IQ4_XS, "IQ4_XS", 256, 136, 32, false, {0, -1}},
    {CLO_DTYPE_MXFP4, "MXFP4", 32, 17, 32, false, {-1, -1}},
};
#define N_TYPES (sizeof types / sizeof types[0])

/* --- the formats, element by element --------------------------------------------------------------------------------*/

static float half_at(const uint8_t *p)
{
    return clo_f16_to_f32((uint16_t)(p[0] | p[1] << 8));
}

/* Element e of a stored block p: value = s * c + m (m in formats with a minimum alone). */
static void element(clo_dtype t, const uint8_t *p, size_t e, int *c, float *s, float *m)
{
    static const int iq4[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
    static const int mx[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
    size_t n = e / 128, r = e % 128, j = r / 32, l = r % 32, g16 = 8 * n + 2 * j + l / 16, b = e / 32;
    const uint8_t *q;
    int nib, hi, sc, mn;

    *m = 0.0f;
    switch (t) {
    case CLO_DTYPE_Q4_0:
    case CLO_DTYPE_IQ4_NL:
    case CLO_DTYPE_MXFP4:
        q = t == CLO_DTYPE_MXFP4 ? p + 1 : p + 2;
        nib = e < 16 ? q[e] & 15 : q[e - 16] >> 4;
        *c = t == CLO_DTYPE_Q4_0 ? nib - 8 : t == CLO_DTYPE_MXFP4 ? mx[nib] : iq4[nib];
        *s = t == CLO_DTYPE_MXFP4 ? ldexpf(1.0f, p[0] - 128) : half_at(p);
        break;
    case CLO_DTYPE_Q4_1:
        *c = e < 16 ? p[4 + e] & 15 : p[4 + e - 16] >> 4;
        *s = half_at(p);
        *m = half_at(p + 2);
        break;
    case CLO_DTYPE_Q5_0:
        nib = e < 16 ? p[6 + e] & 15 : p[6 + e - 16] >> 4;
        *c = (nib | (p[2 + e / 8] >> e % 8 & 1) << 4) - 16;
        *s = half_at(p);
        break;
    case CLO_DTYPE_Q5_1:
        nib = e < 16 ? p[8 + e] & 15 : p[8 + e - 16] >> 4;
        *c = nib | (p[4 + e / 8] >> e % 8 & 1) << 4;
        *s = half_at(p);
        *m = half_at(p + 2);
        break;
    case CLO_DTYPE_Q8_0:
        *c = (int8_t)p[2 + e];
        *s = half_at(p);
        break;
    case CLO_DTYPE_Q2_K:
        *c = p[16 + 32 * n + l] >> 2 * j & 3;
        *s = half_at(p + 80) * (float)(p[g16] & 15);
        *m = -(half_at(p + 82) * (float)(p[g16] >> 4));
        break;
    case CLO_DTYPE_Q3_K:
        *c = (p[32 + 32 * n + l] >> 2 * j & 3) - (p[l] >> (4 * n + j) & 1 ? 0 : 4);
        sc = g16 < 8 ? p[96 + g16] & 15 : p[96 + g16 - 8] >> 4;
        sc |= (p[96 + 8 + g16 % 4] >> 2 * (g16 / 4) & 3) << 4;
        *s = half_at(p + 108) * (float)(sc - 32);
        break;
    case CLO_DTYPE_Q4_K:
    case CLO_DTYPE_Q5_K:
        q = p + 4;
        if (b < 4) {
            sc = q[b] & 63;
            mn = q[b + 4] & 63;
        } else {
            sc = (q[b + 4] & 15) | (q[b - 4] >> 6) << 4;
            mn = q[b + 4] >> 4 | (q[b] >> 6) << 4;
        }
        q = t == CLO_DTYPE_Q4_K ? p + 16 : p + 48;
        nib = b % 2 == 0 ? q[32 * (b / 2) + l] & 15 : q[32 * (b / 2) + l] >> 4;
        *c = t == CLO_DTYPE_Q4_K ? nib : nib + 16 * (p[16 + l] >> b & 1);
        *s = half_at(p) * (float)sc;
        *m = -(half_at(p + 2) * (float)mn);
        break;
    case CLO_DTYPE_Q6_K:
        nib = p[64 * n + l + 32 * (j & 1)];
        nib = j < 2 ? nib & 15 : nib >> 4;
        hi = p[128 + 32 * n + l] >> 2 * j & 3;
        *c = (nib | hi << 4) - 32;
        *s = half_at(p + 208) * (float)(int8_t)p[192 + g16];
        break;
    default: /* IQ4_XS */
        sc = (p[4 + b / 2] >> 4 * (b & 1) & 15) | ((p[2] | p[3] << 8) >> 2 * b & 3) << 4;
        *c = iq4[l < 16 ? p[8 + 16 * b + l] & 15 : p[8 + 16 * b + l - 16] >> 4];
        *s = half_at(p) * (float)(sc - 32);
        break;
    }
}

/* One output by the law. row: stored blocks; x: the token. */
static float law(size_t i_type, const uint8_t *row, const float *x, size_t n_cols)
{
    size_t len = types[i_type].len, group = types[i_type].group;
    float y = 0.0f;

    for (size_t g = 0; g < n_cols / group; g++) {
        float amax = 0.0f, s = 0.0f, m = 0.0f;
        const float *xb = x + g * group / 32 * 32;
        int32_t isum = 0, qsum = 0;
        for (size_t i = 0; i < 32; i++) amax = fmaxf(amax, fabsf(xb[i]));
        float d = amax / 127.0f, id = amax >= 0x1p-100f ? 127.0f / amax : 0.0f;
        for (size_t k = g * group; k < (g + 1) * group; k++) {
            int c, q = (int)rintf(x[k] * id);
            element(types[i_type].t, row + k / len * types[i_type].bytes, k % len, &c, &s, &m);
            isum += c * q;
            qsum += q;
        }
        y = fmaf(s * d, (float)isum, y);
        if (types[i_type].min) y = fmaf(m, d * (float)qsum, y);
    }
    return y;
}

/* --- material -------------------------------------------------------------------------------------------------------*/

enum mood { MOOD_RANDOM, MOOD_EXTREME };

/* Random blocks; f16 scales in +-[2^-9, 2^-5]. MOOD_EXTREME: codes all ones or all zeros, so that sums are largest. */
static uint8_t *make_rows(size_t i_type, size_t n_rows, size_t n_cols, enum mood mood)
{
    size_t row_bytes = n_cols / types[i_type].len * types[i_type].bytes;
    uint8_t *rows = malloc(n_rows * row_bytes);
    assert_non_null(rows);

    for (size_t i = 0; i < n_rows * row_bytes; i++) rows[i] = (uint8_t)rnd();
    for (size_t b = 0; b < n_rows * row_bytes / types[i_type].bytes; b++) {
        uint8_t *p = rows + b * types[i_type].bytes;
        uint32_t fill = rnd() % 3;
        if (mood == MOOD_EXTREME) {
            memset(p, fill == 0 ? 0 : fill == 1 ? 0xff : types[i_type].t == CLO_DTYPE_Q8_0 ? 0x80 : 0x77,
                   types[i_type].bytes);
        }
        for (size_t i = 0; i < 2; i++) {
            int at = types[i_type].f16_at[i];
            if (at < 0) continue;
            p[at] = (uint8_t)rnd();
            p[at + 1] = (uint8_t)((rnd() & 0x83) | 0x18 | (rnd() & 0x0c));
        }
        if (types[i_type].t == CLO_DTYPE_MXFP4) p[0] = (uint8_t)(rnd() % 8 == 0 ? rnd() % 4 : 118 + rnd() % 10);
    }
    return rows;
}

static float *make_x(size_t n_tok, size_t ldx, enum mood mood)
{
    float *x = malloc(n_tok * ldx * sizeof *x);
    assert_non_null(x);

    for (size_t i = 0; i < n_tok * ldx; i++) {
        x[i] = rnd_unit() * ldexpf(1.0f, (int)(rnd() % 6));
        if (mood == MOOD_EXTREME) x[i] = i / 64 % 2 == 0 ? 3.0f : -3.0f;
    }
    return x;
}

/* Packs, multiplies with every table (panels in two calls), compares with the law and guards. */
static void check_case(size_t i_type, size_t n_rows, size_t n_cols, size_t n_tok, enum mood mood)
{
    size_t n_panels = (n_rows + 15) / 16, ldx = n_cols + 3, ldy = n_panels * 16 + 5;
    uint8_t *rows = make_rows(i_type, n_rows, n_cols, mood);
    float *x = make_x(n_tok, ldx, mood), *want = calloc(n_tok * ldy, sizeof *want), *y = malloc(n_tok * ldy * sizeof *y);
    size_t row_bytes = n_cols / types[i_type].len * types[i_type].bytes;
    size_t w_bytes = clo_pack_bytes(types[i_type].t, n_rows, n_cols);
    uint8_t *packed = alloc64(w_bytes), *scratch = alloc64(clo_matmul_scratch_bytes(n_cols));
    uint8_t *acts = alloc64(clo_acts_bytes(CLO_ACTS_Q8, n_tok, n_cols));
    clo_matrix w = {types[i_type].t, n_rows, n_cols, packed};
    const clo_kernels *k;

    assert_non_null(want);
    assert_non_null(y);
    assert_true(clo_pack_can(types[i_type].t, n_cols));
    clo_pack_panels(packed, types[i_type].t, rows, n_rows, n_cols, NULL, 0, n_panels);
    for (size_t t = 0; t < n_tok; t++)
        for (size_t r = 0; r < n_rows; r++) want[t * ldy + r] = law(i_type, rows + r * row_bytes, x + t * ldx, n_cols);

    for (size_t i = 0; (k = clo_kernels_at(i)) != NULL; i++) {
        size_t cut = n_panels / 2;
        for (size_t j = 0; j < n_tok * ldy; j++) y[j] = -77.0f;
        memset(acts, 0xff, clo_acts_bytes(CLO_ACTS_Q8, n_tok, n_cols));
        memset(scratch, 0xff, clo_matmul_scratch_bytes(n_cols));
        k->acts_pack(CLO_ACTS_Q8, acts, x, ldx, n_tok, n_cols, n_tok / 2, n_tok);
        k->acts_pack(CLO_ACTS_Q8, acts, x, ldx, n_tok, n_cols, 0, n_tok / 2);
        k->matmul(y, ldy, &w, acts, n_tok, cut, n_panels, scratch);
        k->matmul(y, ldy, &w, acts, n_tok, 0, cut, scratch);
        for (size_t t = 0; t < n_tok; t++) {
            for (size_t r = 0; r < ldy; r++) {
                float found = y[t * ldy + r], expected = r < n_panels * 16 ? want[t * ldy + r] : -77.0f;
                if (memcmp(&found, &expected, 4) == 0) continue;
                fail_msg("%s %s rows %zu cols %zu tokens %zu: y[%zu, %zu] = %a, the law says %a", k->name,
                         types[i_type].name, n_rows, n_cols, n_tok, t, r, (double)found, (double)expected);
            }
        }
    }
    free(rows), free(x), free(want), free(y), free(packed), free(scratch), free(acts);
}

static void every_table_gives_the_bits_of_the_law(void **state)
{
    static const size_t n_toks[] = {1, 2, 3, 5, 8, 9, 12, 13, 27, 64};
    static const size_t shapes[][2] = {{16, 1}, {5, 2}, {33, 3}, {48, 5}, {20, 35}}; /* rows, blocks */
    (void)state;

    for (size_t i = 0; i < N_TYPES; i++) {
        for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
            size_t n_cols = shapes[s][1] * types[i].len;
            if (types[i].len == 256 && shapes[s][1] > 5) n_cols = 7 * 256;
            for (size_t j = 0; j < sizeof n_toks / sizeof n_toks[0]; j++) {
                if (n_toks[j] > 13 && s > 1 && s < 4) continue;
                check_case(i, shapes[s][0], n_cols, n_toks[j], MOOD_RANDOM);
            }
        }
    }
}

static void nothing_saturates_at_the_largest_sums(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TYPES; i++) {
        check_case(i, 32, 512, 1, MOOD_EXTREME);
        check_case(i, 32, 512, 14, MOOD_EXTREME);
    }
}

static void chunks_of_tokens_and_slices_of_columns_do_not_show(void **state)
{
    (void)state;
    check_case(0, 16, 2048 + 32, 300, MOOD_RANDOM);
    check_case(7, 16, 2048 + 256, 260, MOOD_RANDOM);
}

static void a_packed_row_reads_back_as_the_stored_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TYPES; i++) {
        size_t n_rows = 37, n_cols = 3 * 256 + (types[i].len == 32 ? 32 : 0);
        size_t row_bytes = n_cols / types[i].len * types[i].bytes;
        uint8_t *rows = make_rows(i, n_rows, n_cols, MOOD_RANDOM);
        uint8_t *packed = alloc64(clo_pack_bytes(types[i].t, n_rows, n_cols));
        uint32_t row_of[37];
        float y[3 * 256 + 32];
        clo_matrix w = {types[i].t, n_rows, n_cols, packed};

        for (uint32_t r = 0; r < 37; r++) row_of[r] = (r * 5 + 3) % 37;
        clo_pack_panels(packed, types[i].t, rows, n_rows, n_cols, row_of, 0, 3);
        for (size_t r = 0; r < n_rows; r++) {
            clo_packed_row(y, &w, r);
            for (size_t e = 0; e < n_cols; e++) {
                int c;
                float s, m;
                element(types[i].t, rows + row_of[r] * row_bytes + e / types[i].len * types[i].bytes, e % types[i].len, &c,
                        &s, &m);
                float v = types[i].min ? s * (float)c + m : s * (float)c;
                if (memcmp(&v, &y[e], 4) != 0)
                    fail_msg("%s row %zu element %zu: %a, expected %a", types[i].name, r, e, (double)y[e], (double)v);
            }
        }
        free(rows), free(packed);
    }
}

/* Blocks of zeros, subnormals, infinity and NaN: the same outputs from every table (any NaN equals any NaN). */
static void odd_activations_are_the_same_everywhere(void **state)
{
    static const float odd[] = {0.0f, -0.0f, 0x1p-140f, 0x1p-101f, 0x1p-100f, INFINITY, NAN, 3e38f};
    enum { N_COLS = 64 };
    float x[8 * N_COLS], want[8 * 16], y[8 * 16];
    uint8_t *rows = make_rows(0, 16, N_COLS, MOOD_RANDOM), *packed = alloc64(clo_pack_bytes(CLO_DTYPE_Q4_0, 16, N_COLS));
    uint8_t *acts = alloc64(clo_acts_bytes(CLO_ACTS_Q8, 8, N_COLS)), *scratch = alloc64(clo_matmul_scratch_bytes(N_COLS));
    clo_matrix w = {CLO_DTYPE_Q4_0, 16, N_COLS, packed};
    const clo_kernels *k;
    (void)state;

    clo_pack_panels(packed, CLO_DTYPE_Q4_0, rows, 16, N_COLS, NULL, 0, 1);
    for (size_t t = 0; t < 8; t++)
        for (size_t i = 0; i < N_COLS; i++) x[t * N_COLS + i] = i == 7 ? odd[t] : i < 32 ? odd[t] * 0.25f : rnd_unit();
    for (size_t i = 0; (k = clo_kernels_at(i)) != NULL; i++) {
        k->acts_pack(CLO_ACTS_Q8, acts, x, N_COLS, 8, N_COLS, 0, 8);
        k->matmul(i == 0 ? want : y, 16, &w, acts, 8, 0, 1, scratch);
        for (size_t j = 0; i > 0 && j < 8 * 16; j++) {
            if (isnan(want[j]) && isnan(y[j])) continue;
            if (memcmp(&want[j], &y[j], 4) != 0)
                fail_msg("%s token %zu row %zu: %a, expected %a", k->name, j / 16, j % 16, (double)y[j], (double)want[j]);
        }
    }
    free(rows), free(packed), free(acts), free(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_packed_row_reads_back_as_the_stored_values),
        cmocka_unit_test(every_table_gives_the_bits_of_the_law),
        cmocka_unit_test(nothing_saturates_at_the_largest_sums),
        cmocka_unit_test(chunks_of_tokens_and_slices_of_columns_do_not_show),
        cmocka_unit_test(odd_activations_are_the_same_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
