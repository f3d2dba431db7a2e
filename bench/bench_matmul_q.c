/* Speed of the quantised matrix products on one thread: decode in GB/s of packed weights beside plain reads of the same
 * memory, few tokens and prefill in GOP/s beside the integer peak, every table and type.
 *
 *   bench_matmul_q [TABLE [TYPE [N K]]]     e.g. bench_matmul_q avx512vnni Q4_0 8192 2048; "-" stands for all
 *
 * Times are this thread's processor time, so that other work on the machine shows less; best of several runs. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "tensor/kernel.h"
#include "tensor/pack.h"

#define STREAM_BYTES ((size_t)256 << 20) /* more than any cache */

static const struct {
    clo_dtype t;
    const char *name;
    size_t len, bytes;
    int f16_at[2];
} types[] = {
    {CLO_DTYPE_Q4_0, "Q4_0", 32, 18, {0, -1}},     {CLO_DTYPE_Q4_1, "Q4_1", 32, 20, {0, 2}},
    {CLO_DTYPE_Q5_0, "Q5_0", 32, 22, {0, -1}},     {CLO_DTYPE_Q5_1, "Q5_1", 32, 24, {0, 2}},
    {CLO_DTYPE_Q8_0, "Q8_0", 32, 34, {0, -1}},     {CLO_DTYPE_Q2_K, "Q2_K", 256, 84, {80, 82}},
    {CLO_DTYPE_Q3_K, "Q3_K", 256, 110, {108, -1}}, {CLO_DTYPE_Q4_K, "Q4_K", 256, 144, {0, 2}},
    {CLO_DTYPE_Q5_K, "Q5_K", 256, 176, {0, 2}},    {CLO_DTYPE_Q6_K, "Q6_K", 256, 210, {208, -1}},
    {CLO_DTYPE_IQ4_NL, "IQ4_NL", 32, 18, {0, -1}}, {CLO_DTYPE_IQ4_XS, "IQ4_XS", 256, 136, {0, -1}},
    {CLO_DTYPE_MXFP4, "MXFP4", 32, 17, {-1, -1}},
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *big_alloc(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) exit(1);
    madvise(p, n, MADV_HUGEPAGE);
    return p;
}

static uint64_t sink;

static double read_seconds(const uint8_t *p, size_t n)
{
    double t = now();
    uint64_t s[8] = {0};
    for (size_t i = 0; i + 64 <= n; i += 64) {
        uint64_t v[8];
        memcpy(v, p + i, 64);
        for (size_t j = 0; j < 8; j++) s[j] ^= v[j];
    }
    for (size_t j = 0; j < 8; j++) sink ^= s[j];
    return now() - t;
}

#if defined(__x86_64__)
/* Twelve chains held in registers by name: an array would be stored after each instruction. */
#define TWELVE(X) X(a) X(b) X(c) X(d) X(e) X(f) X(g) X(h) X(i) X(j) X(k) X(l)
enum { PEAK_LOOPS = 400000 };

__attribute__((target("avx512f,avx512vnni"))) static double peak_vnni(void)
{
    __m512i a, b, c, d, e, f, g, h, i, j, k, l, w = _mm512_set1_epi8(1);
    a = b = c = d = e = f = g = h = i = j = k = l = w;
    double t = now();
    for (int n = 0; n < PEAK_LOOPS; n++) {
#define STEP(s) __asm__ volatile("vpdpbusd %1, %1, %0" : "+v"(s) : "v"(w));
        TWELVE(STEP)
#undef STEP
    }
    return PEAK_LOOPS * 12.0 * 128 / (now() - t) / 1e9;
}

__attribute__((target("avx2"))) static double peak_maddubs(void)
{
    __m256i a, b, c, d, e, f, g, h, i, j, k, l, w = _mm256_set1_epi8(1), v;
    a = b = c = d = e = f = g = h = i = j = k = l = w;
    double t = now();
    for (int n = 0; n < PEAK_LOOPS; n++) {
#define STEP(s) __asm__ volatile("vpmaddubsw %2, %2, %1\n\tvpaddw %1, %0, %0" : "+x"(s), "=&x"(v) : "x"(w));
        TWELVE(STEP)
#undef STEP
    }
    return PEAK_LOOPS * 12.0 * 64 / (now() - t) / 1e9;
}
#endif

static double peak_of(const char *table)
{
#if defined(__x86_64__)
    if (strcmp(table, "avx512vnni") == 0) return peak_vnni();
    if (strcmp(table, "scalar") != 0) return peak_maddubs();
#endif
    (void)table;
    return 0.0;
}

static void fill(uint8_t *rows, size_t i_type, size_t n_blocks)
{
    uint32_t r = 12345;
    for (size_t i = 0; i < n_blocks * types[i_type].bytes; i++) rows[i] = (uint8_t)((r = r * 1664525u + 1013904223u) >> 24);
    for (size_t b = 0; b < n_blocks; b++) {
        uint8_t *p = rows + b * types[i_type].bytes;
        for (size_t i = 0; i < 2; i++)
            if (types[i_type].f16_at[i] >= 0) p[types[i_type].f16_at[i] + 1] = 0x1c;
        if (types[i_type].t == CLO_DTYPE_MXFP4) p[0] = 120;
    }
}

static void bench(const clo_kernels *k, size_t i_type, size_t n_rows, size_t n_cols)
{
    static const size_t n_toks[] = {2, 4, 8, 12, 16, 24, 32, 48, 64, 512};
    size_t n_panels = n_rows / 16, w_bytes = clo_pack_bytes(types[i_type].t, n_rows, n_cols);
    size_t n_copies = STREAM_BYTES / w_bytes + 1, n_blocks = n_rows * n_cols / types[i_type].len;
    uint8_t *packed = big_alloc(n_copies * w_bytes + 65536), *rows = malloc(n_blocks * types[i_type].bytes);
    float *x = calloc(512 * n_cols, sizeof *x), *y = big_alloc(512 * n_rows * sizeof *y);
    uint8_t *acts = big_alloc(clo_acts_bytes(CLO_ACTS_Q8, 512, n_cols));
    uint8_t *scratch = big_alloc(clo_matmul_scratch_bytes(n_cols));
    double best = 1e9, best_read = 1e9, best_pack = 1e9;
    if (!rows || !x) exit(1);

    fill(rows, i_type, n_blocks);
    for (size_t i = 0; i < 512 * n_cols; i++) x[i] = (float)(i * 7919 % 1000) / 500.0f - 1.0f;
    clo_pack_panels(packed, types[i_type].t, rows, n_rows, n_cols, NULL, 0, n_panels);
    for (size_t c = 1; c < n_copies; c++) memcpy(packed + c * w_bytes, packed, w_bytes);

    k->acts_pack(CLO_ACTS_Q8, acts, x, n_cols, 1, n_cols, 0, 1);
    for (int rep = 0; rep < 5; rep++) {
        double t = now();
        for (size_t c = 0; c < n_copies; c++) {
            clo_matrix w = {types[i_type].t, n_rows, n_cols, packed + c * w_bytes};
            k->matmul(y, n_rows, &w, acts, 1, 0, n_panels, scratch);
        }
        if ((t = now() - t) < best) best = t;
        if ((t = read_seconds(packed, n_copies * w_bytes)) < best_read) best_read = t;
    }
    double gbs = (double)(n_copies * w_bytes) / best / 1e9, read = (double)(n_copies * w_bytes) / best_read / 1e9;
    printf("%-10s %-6s %zux%zu decode %5.1f GB/s = %.2f of plain read %.1f |", k->name, types[i_type].name, n_rows, n_cols,
           gbs, gbs / read, read);

    clo_matrix w = {types[i_type].t, n_rows, n_cols, packed};
    for (size_t i = 0; i < sizeof n_toks / sizeof n_toks[0]; i++) {
        size_t n = n_toks[i];
        double peak = 0;
        best = 1e9;
        for (int rep = 0; rep < 4; rep++) {
            double t = now();
            k->acts_pack(CLO_ACTS_Q8, acts, x, n_cols, n, n_cols, 0, n);
            if ((t = now() - t) < best_pack && n == 512) best_pack = t;
            t = now();
            k->matmul(y, n_rows, &w, acts, n, 0, n_panels, scratch);
            if ((t = now() - t) < best) best = t;
            if ((t = peak_of(k->name)) > peak) peak = t;
        }
        double gops = 2.0 * (double)n * (double)n_rows * (double)n_cols / best / 1e9;
        printf(" %zu: %.0f", n, gops);
        if (n == 512) printf(" GOP/s = %.2f of peak %.0f", peak > 0 ? gops / peak : 0.0, peak);
    }
    printf(" | activations %.1f GB/s\n", 512.0 * (double)n_cols * 4 / best_pack / 1e9);
    fflush(stdout);
    munmap(packed, n_copies * w_bytes + 65536), munmap(y, 512 * n_rows * sizeof *y);
    munmap(acts, clo_acts_bytes(CLO_ACTS_Q8, 512, n_cols)), munmap(scratch, clo_matmul_scratch_bytes(n_cols));
    free(rows), free(x);
}

int main(int argc, char **argv)
{
    const char *table = argc > 1 ? argv[1] : "-", *type = argc > 2 ? argv[2] : "-";
    size_t n_rows = argc > 4 ? strtoul(argv[3], NULL, 10) : 4864, n_cols = argc > 4 ? strtoul(argv[4], NULL, 10) : 2048;
    const clo_kernels *k;

    n_rows = (n_rows + 15) / 16 * 16;
    for (size_t i = 0; (k = clo_kernels_at(i)) != NULL; i++) {
        if (strcmp(table, "-") == 0 ? i == 0 : strcmp(table, k->name) != 0) continue;
        for (size_t j = 0; j < sizeof types / sizeof types[0]; j++) {
            if (strcmp(type, "-") != 0 && strcmp(type, types[j].name) != 0) continue;
            if (clo_pack_can(types[j].t, n_cols)) bench(k, j, n_rows, n_cols);
        }
    }
    return sink == 42; /* keeps the reads */
}
