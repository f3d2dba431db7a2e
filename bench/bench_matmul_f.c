/* Float products and attention beside what the machine can do: plain reads for one token, a loop of fused
 * multiply-adds for many. One thread; the best of several runs.
 *
 *   bench_matmul_f [n_rows n_cols]
 *
 * "of read" compares weight bytes per second with a sum over the same memory; "of peak" compares with the fused
 * multiply-adds of 24 independent chains in registers of the same instruction set. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tensor/pack_float.h"

enum { REPEATS = 9 };

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *alloc(size_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
    if (!p) {
        fprintf(stderr, "no memory for %zu bytes\n", bytes);
        exit(1);
    }
    return p;
}

static volatile uint64_t sink;

/* Bytes per second of reading memory once. */
static double read_speed(const uint64_t *p, size_t bytes)
{
    double best = 1e9;
    for (int i = 0; i < REPEATS; i++) {
        double t = now_s();
        uint64_t s[8] = {0};
        for (size_t j = 0; j + 8 <= bytes / 8; j += 8)
            for (size_t l = 0; l < 8; l++) s[l] += p[j + l];
        for (size_t l = 0; l < 8; l++) sink += s[l];
        t = now_s() - t;
        if (t < best) best = t;
    }
    return (double)bytes / best;
}

/* Peak of the table's instruction set, from its own tile on operands that stay in L1. */
static double peak_flops(const clo_kernels *k)
{
    enum { COLS = 256, TOKENS = 12, LOOPS = 4000 };
    float *w = alloc(32 * COLS * 4), *x = alloc(TOKENS * COLS * 4), *y = alloc(TOKENS * 32 * 4), *acts;
    for (size_t i = 0; i < 32 * COLS; i++) w[i] = 0.5f;
    for (size_t i = 0; i < TOKENS * COLS; i++) x[i] = 0.5f;
    acts = alloc(clo_acts_bytes(CLO_ACTS_F32, TOKENS, COLS));
    clo_matrix m = {CLO_DTYPE_F32, 32, COLS, (const uint8_t *)w};
    k->acts_pack(CLO_ACTS_F32, acts, x, COLS, TOKENS, COLS, 0, TOKENS);
    double best = 1e9;
    for (int r = 0; r < REPEATS; r++) {
        double t = now_s();
        for (int i = 0; i < LOOPS; i++) k->matmul(y, 32, &m, acts, TOKENS, 0, 2, NULL);
        t = now_s() - t;
        if (t < best) best = t;
    }
    free(w);
    free(x);
    free(y);
    free(acts);
    return 2.0 * 32 * COLS * TOKENS * LOOPS / best;
}

static void products(const clo_kernels *k, clo_dtype t, size_t n_rows, size_t n_cols, double peak)
{
    static const size_t tokens[] = {1, 2, 4, 6, 8, 12, 64, 512};
    size_t bytes = clo_pack_float_bytes(t, n_rows, n_cols), copies = ((size_t)256 << 20) / bytes + 1;
    uint8_t *w = alloc(bytes * copies);
    for (size_t i = 0; i < bytes * copies / 2; i++) ((uint16_t *)(void *)w)[i] = (uint16_t)(0x3c00 + i % 97);
    float *x = alloc(512 * n_cols * 4), *y = alloc(512 * (n_rows + 16) * 4);
    void *acts = alloc(clo_acts_bytes(CLO_ACTS_F32, 512, n_cols));
    for (size_t i = 0; i < 512 * n_cols; i++) x[i] = (float)(i % 31) * 0.01f;
    double read = read_speed((const uint64_t *)(void *)w, bytes * copies);
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        size_t n = tokens[i], runs = n >= 64 ? 1 : copies;
        double best = 1e9;
        for (int r = 0; r < REPEATS; r++) {
            double s = now_s();
            k->acts_pack(CLO_ACTS_F32, acts, x, n_cols, n, n_cols, 0, n);
            for (size_t c = 0; c < runs; c++) {
                clo_matrix m = {t, n_rows, n_cols, w + c * bytes};
                k->matmul(y, n_rows, &m, acts, n, 0, n_rows / 16, NULL);
            }
            s = now_s() - s;
            if (s < best) best = s;
        }
        double flops = 2.0 * (double)n_rows * (double)n_cols * (double)n * (double)runs / best;
        double speed = (double)bytes * (double)runs / best;
        printf("  %-4s %4zu tokens  %6.1f GFLOP/s", clo_dtype_info_of(t)->name, n, flops * 1e-9);
        if (peak > 0) printf(" (%.2f of peak)", flops / peak);
        printf("  %6.1f GB/s", speed * 1e-9);
        if (n < 64) printf(" (%.2f of read)", speed / read);
        printf("\n");
    }
    free(w);
    free(x);
    free(y);
    free(acts);
}

static void attention(const clo_kernels *k, size_t n_tok, size_t n_pos, size_t head_dim, size_t n_group)
{
    size_t part = 64 * head_dim * 2, n_blocks = (n_pos + 63) / 64, ld = head_dim * n_group;
    uint8_t *kv = alloc(n_blocks * 2 * part);
    const uint8_t **blocks = alloc(n_blocks * sizeof *blocks);
    for (size_t i = 0; i < n_blocks * part; i++) ((uint16_t *)(void *)kv)[i] = (uint16_t)(0x3800 + i % 1000);
    for (size_t b = 0; b < n_blocks; b++) blocks[b] = kv + b * 2 * part;
    float *q = alloc(n_tok * ld * 4), *o = alloc(n_tok * ld * 4);
    for (size_t i = 0; i < n_tok * ld; i++) q[i] = (float)(i % 17) * 0.01f;
    clo_attn a = {.blocks = blocks, .v_off = part, .kv_dtype = CLO_DTYPE_F16, .head_dim = head_dim,
                  .n_group = n_group, .scale = 0.1f};
    void *scratch = alloc(clo_attend_scratch_bytes(head_dim));
    double best = 1e9;
    for (int r = 0; r < REPEATS; r++) {
        double s = now_s();
        k->attend(o, ld, q, ld, &a, n_pos - n_tok, n_tok, scratch);
        s = now_s() - s;
        if (s < best) best = s;
    }
    double pairs = 0; /* query and key */
    for (size_t t = 0; t < n_tok; t++) pairs += (double)((n_pos - n_tok + t + 1) * n_group);
    printf("  attend %4zu tokens at %5zu, head %3zu, group %zu: %6.1f GFLOP/s  %6.1f GB/s  %.0f us\n", n_tok, n_pos,
           head_dim, n_group, pairs * 4 * (double)head_dim / best * 1e-9,
           (double)(n_blocks * 2 * part) / best * 1e-9, best * 1e6);
    free(kv);
    free(blocks);
    free(q);
    free(o);
    free(scratch);
}

int main(int argc, char **argv)
{
    size_t n_rows = argc > 2 ? strtoul(argv[1], NULL, 10) / 16 * 16 : 4096;
    size_t n_cols = argc > 2 ? strtoul(argv[2], NULL, 10) : 2048;
    for (size_t i = 1; clo_kernels_at(i); i++) {
        const clo_kernels *k = clo_kernels_at(i);
        double peak = peak_flops(k);
        printf("%s: tile in L1 %.1f GFLOP/s; %zu x %zu\n", k->name, peak * 1e-9, n_rows, n_cols);
        products(k, CLO_DTYPE_F32, n_rows, n_cols, peak);
        products(k, CLO_DTYPE_F16, n_rows, n_cols, peak);
        products(k, CLO_DTYPE_BF16, n_rows, n_cols, peak);
        attention(k, 512, 512, 64, 1);
        attention(k, 512, 512, 128, 7);
        attention(k, 512, 4096, 64, 4);
        attention(k, 1, 4096, 64, 1);
        attention(k, 1, 4096, 128, 7);
    }
    return 0;
}
