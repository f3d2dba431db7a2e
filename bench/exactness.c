/* What does a fixed order cost? The same kernels twice, compiled for this machine (-march=native): once in the order of
 * profile n1, once free to sum as is fastest (several chains an output, folded at the end). Everything else is equal:
 * layout, blocking, prefetch, data.
 *
 *   make bench-exactness
 *
 * Prints, for each kernel, the median of paired runs: time in n1 order over time in free order. 1.00: exactness is free.
 * One thread: splitting work between threads is the same in both. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__AVX512VNNI__)
#include <immintrin.h>
#endif

/* A vector, and how much fits the registers: panels a step in either order, tokens of a tile of two panels. */
#if defined(__AVX512F__)
enum { LANES = 16, STEP = 8, STEP_FREE = 8, TILE = 12 };
#else
enum { LANES = 8, STEP = 8, STEP_FREE = 4, TILE = 6 };
#endif
typedef float vf __attribute__((vector_size(4 * LANES), aligned(4 * LANES)));

enum { REPS = 31 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static vf fma_vf(vf a, float x, vf c)
{
    for (int i = 0; i < LANES; i++) c[i] = __builtin_fmaf(a[i], x, c[i]);
    return c;
}

struct job {
    const vf *w;          /* [n_panels][k] panels of LANES rows */
    const float *x;       /* [k][n_tok] */
    const uint8_t *q;     /* [n_panels][k/32] { f32 scale[16], 4 lines of 64 bytes } */
    const int8_t *xq;     /* [k] */
    float *y;
    size_t n_panels, k;
    volatile float sink;
};

/* --- one token, f32 weights: STEP panels side by side --------------------------------------------------------------- */

static void gemv_n1(struct job *j)
{
    for (size_t p = 0; p < j->n_panels; p += STEP) {
        vf acc[STEP] = {0};
        const vf *w = j->w + p * j->k;
        for (size_t k = 0; k < j->k; k++)
#pragma GCC unroll 8
            for (size_t s = 0; s < STEP; s++) acc[s] = fma_vf(w[s * j->k + k], j->x[k], acc[s]);
        memcpy(j->y + p * LANES, acc, sizeof acc);
    }
}

static void gemv_free(struct job *j)
{
    for (size_t p = 0; p < j->n_panels; p += STEP_FREE) {
        vf acc[STEP_FREE] = {0}, odd[STEP_FREE] = {0};
        const vf *w = j->w + p * j->k;
        for (size_t k = 0; k < j->k; k += 2)
#pragma GCC unroll 8
            for (size_t s = 0; s < STEP_FREE; s++) {
                acc[s] = fma_vf(w[s * j->k + k], j->x[k], acc[s]);
                odd[s] = fma_vf(w[s * j->k + k + 1], j->x[k + 1], odd[s]);
            }
        for (size_t s = 0; s < STEP_FREE; s++) acc[s] += odd[s];
        memcpy(j->y + p * LANES, acc, sizeof acc);
    }
}

/* --- TILE tokens, two panels: the tile of a prefill -------------------------------------------------------------------- */

static void gemm_n1(struct job *j)
{
    for (size_t p = 0; p < j->n_panels; p += 2) {
        vf acc[TILE][2] = {0};
        const vf *w = j->w + p * j->k;
        for (size_t k = 0; k < j->k; k++)
#pragma GCC unroll 12
            for (size_t t = 0; t < TILE; t++) {
                acc[t][0] = fma_vf(w[k], j->x[k * TILE + t], acc[t][0]);
                acc[t][1] = fma_vf(w[j->k + k], j->x[k * TILE + t], acc[t][1]);
            }
        memcpy(j->y + p * LANES * TILE, acc, sizeof acc);
    }
}

/* Free: half the tokens, two panels, even and odd k apart, so that as many sums are under way. */
static void gemm_free(struct job *j)
{
    for (size_t p = 0; p < j->n_panels; p += 2)
        for (size_t t0 = 0; t0 < TILE; t0 += TILE / 2) {
            vf acc[TILE / 2][2] = {0}, odd[TILE / 2][2] = {0};
            const vf *w = j->w + p * j->k;
            for (size_t k = 0; k < j->k; k += 2) {
                const float *x = j->x + k * TILE + t0;
#pragma GCC unroll 6
                for (size_t t = 0; t < TILE / 2; t++) {
                    acc[t][0] = fma_vf(w[k], x[t], acc[t][0]);
                    acc[t][1] = fma_vf(w[j->k + k], x[t], acc[t][1]);
                }
#pragma GCC unroll 6
                for (size_t t = 0; t < TILE / 2; t++) {
                    odd[t][0] = fma_vf(w[k + 1], x[TILE + t], odd[t][0]);
                    odd[t][1] = fma_vf(w[j->k + k + 1], x[TILE + t], odd[t][1]);
                }
            }
            for (size_t t = 0; t < TILE / 2; t++) {
                acc[t][0] += odd[t][0];
                acc[t][1] += odd[t][1];
            }
            memcpy(j->y + (p * TILE + t0 * 2) * LANES, acc, sizeof acc);
        }
}

/* --- a row's sum of squares --------------------------------------------------------------------------------------------- */

/* n1 has 16 slots, whatever the vectors' length. */
enum { ROW = 1024 / LANES, SLOTS = 16 / LANES };

static vf square(vf x, vf s)
{
    for (int l = 0; l < LANES; l++) s[l] = __builtin_fmaf(x[l], x[l], s[l]);
    return s;
}

static inline __attribute__((always_inline)) void add_squares(struct job *j, int n_sums)
{
    for (size_t r = 0; r < 64; r++) {
        vf s[8] = {0};
        const vf *x = j->w + r * ROW;
        for (size_t i = 0; i < ROW; i += (size_t)n_sums)
#pragma GCC unroll 8
            for (int c = 0; c < n_sums; c++) s[c] = square(x[i + (size_t)c], s[c]);
        for (int c = 1; c < 8; c++) s[0] += s[c];
        j->sink += s[0][0];
    }
}

static void row_n1(struct job *j)
{
    add_squares(j, SLOTS);
}

static void row_free(struct job *j)
{
    add_squares(j, 4 * SLOTS);
}

/* --- one token, 4-bit weights ------------------------------------------------------------------------------------------ */

#if defined(__AVX512VNNI__)
#define Q_BLOCK 320 /* bytes: 64 of scales, 256 of nibbles */

static inline __m512 q4_block(__m512 y, const uint8_t *b, const int8_t *x)
{
    __m512i s0 = _mm512_set1_epi32(-8), s1 = _mm512_setzero_si512(), m = _mm512_set1_epi8(15);
    for (int g = 0; g < 4; g++) {
        __m512i v = _mm512_load_si512(b + 64 + 64 * g);
        int32_t lo, hi;
        memcpy(&lo, x + 8 * g, 4);
        memcpy(&hi, x + 8 * g + 4, 4);
        s0 = _mm512_dpbusd_epi32(s0, _mm512_and_si512(v, m), _mm512_set1_epi32(lo));
        s1 = _mm512_dpbusd_epi32(s1, _mm512_and_si512(_mm512_srli_epi16(v, 4), m), _mm512_set1_epi32(hi));
    }
    return _mm512_fmadd_ps(_mm512_mul_ps(_mm512_load_ps(b), _mm512_set1_ps(0.01f)),
                           _mm512_cvtepi32_ps(_mm512_add_epi32(s0, s1)), y);
}

static void q4_n1(struct job *j)
{
    const uint8_t *b = j->q;
    for (size_t p = 0; p < j->n_panels; p++) {
        __m512 y = _mm512_setzero_ps();
        for (size_t k = 0; k < j->k / 32; k++, b += Q_BLOCK) {
            _mm_prefetch((const char *)b + 4096, _MM_HINT_T0);
            y = q4_block(y, b, j->xq + k * 32);
        }
        _mm512_storeu_ps(j->y + p * 16, y);
    }
}

static void q4_free(struct job *j)
{
    const uint8_t *b = j->q;
    for (size_t p = 0; p < j->n_panels; p++) {
        __m512 y = _mm512_setzero_ps(), z = y;
        for (size_t k = 0; k < j->k / 32; k += 2, b += 2 * Q_BLOCK) {
            _mm_prefetch((const char *)b + 4096, _MM_HINT_T0);
            _mm_prefetch((const char *)b + 4096 + Q_BLOCK, _MM_HINT_T0);
            y = q4_block(y, b, j->xq + k * 32);
            z = q4_block(z, b + Q_BLOCK, j->xq + k * 32 + 32);
        }
        _mm512_storeu_ps(j->y + p * 16, _mm512_add_ps(y, z));
    }
}
#endif

/* --- pairing ------------------------------------------------------------------------------------------------------------ */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double time_of(void (*fn)(struct job *), struct job *j, int times)
{
    double t = now();
    for (int i = 0; i < times; i++) fn(j);
    return now() - t;
}

static void pair(const char *name, void (*n1)(struct job *), void (*fre)(struct job *), struct job *j, int times)
{
    double ratio[REPS], best[2] = {1e9, 1e9};
    for (int r = 0; r < REPS; r++) {
        double a = time_of(n1, j, times), b = time_of(fre, j, times);
        ratio[r] = a / b;
        if (a < best[0]) best[0] = a;
        if (b < best[1]) best[1] = b;
    }
    qsort(ratio, REPS, sizeof *ratio, by_value);
    printf("%-44s %6.3f   %6.3f\n", name, ratio[REPS / 2], best[0] / best[1]);
}

int main(void)
{
    const size_t k = 2048, n_panels = 8192 / LANES; /* 8192 x 2048: 64 MiB of f32, more than a third-level cache */
    vf *w = aligned_alloc(64, n_panels * k * sizeof *w);
    float *x = aligned_alloc(64, k * TILE * sizeof *x), *y = aligned_alloc(64, n_panels * LANES * TILE * sizeof *y);
    if (!w || !x || !y) return 1;
    for (size_t i = 0; i < n_panels * k; i++)
        for (int l = 0; l < LANES; l++) w[i][l] = (float)((i * LANES + (size_t)l) * 2654435761u % 1000) * 0.001f - 0.5f;
    for (size_t i = 0; i < k * TILE; i++) x[i] = (float)(i * 40503 % 1000) * 0.001f - 0.5f;
    struct job j = {.w = w, .x = x, .y = y, .n_panels = n_panels, .k = k};
    printf("%-44s %6s   %6s\n", "n1 order over free order, time", "median", "best");
    pair("f32 weights, 1 token, from memory", gemv_n1, gemv_free, &j, 4);
    j.n_panels = 8;
    pair("f32 weights, 1 token, in cache", gemv_n1, gemv_free, &j, 128);
    j.n_panels = 16;
    pair("f32 weights, a tile of tokens", gemm_n1, gemm_free, &j, 8);
    pair("sum of squares of a row of 1024, in cache", row_n1, row_free, &j, 64);
#if defined(__AVX512VNNI__)
    j.n_panels = n_panels;
    j.q = (const uint8_t *)w;
    j.xq = (const int8_t *)x;
    pair("4-bit weights, 1 token, from memory", q4_n1, q4_free, &j, 4);
    j.n_panels = 8;
    pair("4-bit weights, 1 token, in cache", q4_n1, q4_free, &j, 256);
#else
    printf("4-bit weights: needs AVX-512 VNNI, skipped\n");
#endif
    free(w);
    free(x);
    free(y);
    return 0;
}
