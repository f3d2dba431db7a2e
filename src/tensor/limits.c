/* See limits.h. Each instruction set has two loops, chosen at run time by what the processor says. They compute nothing
 * that anyone uses; sums go to a volatile so that compilers keep them. */
#include "base/memory.h"
#include "tensor/limits.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define READ_BYTES ((size_t)256 << 20) /* well beyond any cache that one process gets */
#define READ_ROUNDS 5
#define FMA_ROUNDS 5
#define FMA_STEPS 2000000

typedef struct {
    const char *name;
    uint64_t (*read)(const uint8_t *p, size_t n); /* n a multiple of 1024, p aligned to 64 */
    float (*fma)(size_t n_steps);
    double flops_per_step;
} loops;

#define ACCS 12 /* chains that run side by side: latency 4 times 2 units, and some */

#if defined(__x86_64__)

__attribute__((target("avx512f"))) static uint64_t read_avx512(const uint8_t *p, size_t n)
{
    __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
    for (size_t i = 0; i < n; i += 256) {
        a = _mm512_or_si512(a, _mm512_load_si512((const void *)(p + i)));
        b = _mm512_or_si512(b, _mm512_load_si512((const void *)(p + i + 64)));
        c = _mm512_or_si512(c, _mm512_load_si512((const void *)(p + i + 128)));
        d = _mm512_or_si512(d, _mm512_load_si512((const void *)(p + i + 192)));
    }
    return (uint64_t)_mm512_reduce_or_epi64(_mm512_or_si512(_mm512_or_si512(a, b), _mm512_or_si512(c, d)));
}

__attribute__((target("avx512f"))) static float fma_avx512(size_t n_steps)
{
    __m512 acc[ACCS], x = _mm512_set1_ps(0.999F), y = _mm512_set1_ps(0.001F);
    for (int i = 0; i < ACCS; i++) acc[i] = _mm512_set1_ps((float)i);
    for (size_t s = 0; s < n_steps; s++) {
#pragma GCC unroll 12
        for (int i = 0; i < ACCS; i++) acc[i] = _mm512_fmadd_ps(acc[i], x, y);
    }
    for (int i = 1; i < ACCS; i++) acc[0] = _mm512_add_ps(acc[0], acc[i]);
    return _mm512_reduce_add_ps(acc[0]);
}

__attribute__((target("avx2,fma"))) static uint64_t read_avx2(const uint8_t *p, size_t n)
{
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
    for (size_t i = 0; i < n; i += 128) {
        a = _mm256_or_si256(a, _mm256_load_si256((const __m256i *)(const void *)(p + i)));
        b = _mm256_or_si256(b, _mm256_load_si256((const __m256i *)(const void *)(p + i + 32)));
        c = _mm256_or_si256(c, _mm256_load_si256((const __m256i *)(const void *)(p + i + 64)));
        d = _mm256_or_si256(d, _mm256_load_si256((const __m256i *)(const void *)(p + i + 96)));
    }
    a = _mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d));
    return (uint64_t)_mm256_extract_epi64(a, 0) | (uint64_t)_mm256_extract_epi64(a, 2);
}

__attribute__((target("avx2,fma"))) static float fma_avx2(size_t n_steps)
{
    __m256 acc[ACCS], x = _mm256_set1_ps(0.999F), y = _mm256_set1_ps(0.001F);
    for (int i = 0; i < ACCS; i++) acc[i] = _mm256_set1_ps((float)i);
    for (size_t s = 0; s < n_steps; s++) {
#pragma GCC unroll 12
        for (int i = 0; i < ACCS; i++) acc[i] = _mm256_fmadd_ps(acc[i], x, y);
    }
    for (int i = 1; i < ACCS; i++) acc[0] = _mm256_add_ps(acc[0], acc[i]);
    return _mm256_cvtss_f32(acc[0]);
}

#endif

typedef uint64_t vec_u64 __attribute__((vector_size(16)));
typedef float vec_f32 __attribute__((vector_size(16)));

static uint64_t read_plain(const uint8_t *p, size_t n)
{
    vec_u64 acc[4] = {{0}};
    for (size_t i = 0; i < n; i += 64) {
        for (size_t k = 0; k < 4; k++) {
            vec_u64 v;
            memcpy(&v, p + i + 16 * k, sizeof v);
            acc[k] |= v;
        }
    }
    acc[0] |= acc[1] | acc[2] | acc[3];
    return acc[0][0] | acc[0][1];
}

static float fma_plain(size_t n_steps)
{
#if defined(__aarch64__)
    float32x4_t acc[ACCS], x = vdupq_n_f32(0.999F), y = vdupq_n_f32(0.001F);
    for (int i = 0; i < ACCS; i++) acc[i] = vdupq_n_f32((float)i);
    for (size_t s = 0; s < n_steps; s++) {
#pragma GCC unroll 12
        for (int i = 0; i < ACCS; i++) acc[i] = vfmaq_f32(y, acc[i], x);
    }
    for (int i = 1; i < ACCS; i++) acc[0] = vaddq_f32(acc[0], acc[i]);
    return vgetq_lane_f32(acc[0], 0);
#else
    vec_f32 acc[ACCS], x = (vec_f32){0} + 0.999F, y = (vec_f32){0} + 0.001F;
    for (int i = 0; i < ACCS; i++) acc[i] = (vec_f32){0} + (float)i;
    for (size_t s = 0; s < n_steps; s++) {
#pragma GCC unroll 12
        for (int i = 0; i < ACCS; i++) acc[i] = acc[i] * x + y;
    }
    for (int i = 1; i < ACCS; i++) acc[0] += acc[i];
    return acc[0][0];
#endif
}

static loops pick_loops(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return (loops){"avx512", read_avx512, fma_avx512, ACCS * 32.0};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return (loops){"avx2", read_avx2, fma_avx2, ACCS * 16.0};
    return (loops){"sse", read_plain, fma_plain, ACCS * 8.0};
#else
    return (loops){"neon", read_plain, fma_plain, ACCS * 8.0};
#endif
}

typedef struct {
    loops l;
    uint8_t *buf;
    size_t part_bytes; /* of the buffer that a thread reads */
    bool fill;
} work;

static void do_read(void *ctx, size_t i_thread, size_t n_threads)
{
    const work *w = (const work *)ctx;
    (void)n_threads;
    uint8_t *part = w->buf + i_thread * w->part_bytes;
    volatile uint64_t sink = 0; /* what is read must go somewhere, or the loop is left out */
    if (w->fill) memset(part, (int)i_thread + 1, w->part_bytes); /* each thread touches its own pages first */
    else sink = w->l.read(part, w->part_bytes);
    (void)sink;
}

static void do_fma(void *ctx, size_t i_thread, size_t n_threads)
{
    const work *w = (const work *)ctx;
    (void)i_thread;
    (void)n_threads;
    volatile float sink = w->l.fma(FMA_STEPS);
    (void)sink;
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double best_of(int n, clo_pool *pool, clo_pool_fn *fn, work *w)
{
    double best = 1e30;
    for (int i = 0; i < n; i++) {
        double begin = now_s();
        clo_pool_run(pool, fn, w);
        double took = now_s() - begin;
        best = took < best ? took : best;
    }
    return best;
}

bool clo_measure_limits(clo_limits *out, clo_pool *pool, clo_err *err)
{
    size_t n_threads = clo_pool_threads(pool);
    work w = {.l = pick_loops(), .part_bytes = READ_BYTES / n_threads / 1024 * 1024, .fill = true};
    w.buf = clo_huge_alloc(READ_BYTES);
    if (!w.buf) return clo_fail(err, CLO_ERR_MEMORY, "256 MiB to measure memory with");
    clo_pool_run(pool, do_read, &w);
    w.fill = false;
    *out = (clo_limits){.isa = w.l.name};
    out->read_gb_s = (double)(w.part_bytes * n_threads) / best_of(READ_ROUNDS, pool, do_read, &w) * 1e-9;
    out->fma_gflop_s =
        w.l.flops_per_step * FMA_STEPS * (double)n_threads / best_of(FMA_ROUNDS, pool, do_fma, &w) * 1e-9;
    clo_huge_free(w.buf, READ_BYTES);
    return true;
}
