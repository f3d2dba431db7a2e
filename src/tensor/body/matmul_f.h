/* Products with float weights on v16; contract in kernel.h. Included once by each instruction set's matmul_f.c.
 *
 * A tile is nt tokens by np panels of 16 outputs, all its sums in registers; per k it loads np vectors of weights,
 * widened on the way, and broadcasts nt activations. Tokens beyond the last tile of V16_WIDE_T run in narrower tiles
 * over more panels, so that enough chains are under way to hide the latency of the fma; with one token that is a
 * matrix-vector product which reads V16_NARROW_P(1) panels as streams. With many tokens k is cut in blocks of K_BLOCK so
 * that a panel's block stays in L1 while the tokens pass: the sums rest in y in between, which is exact. */
#include "tensor/acts_f32.h"
#include "tensor/pack_float.h"

#define K_BLOCK 512         /* even */
#define PREFETCH_BYTES 1024 /* ahead of the line being read, for one token */
#define INLINE static inline __attribute__((always_inline))

typedef struct {
    float *y; /* of the tile's first token and panel */
    size_t ldy;
    const float *x[2]; /* activations: tokens 0-5 and 6-11 of the tile at k = 0 */
    const uint8_t *w;  /* the tile's first panel */
    size_t panel_bytes;
    size_t k0, k1;     /* k0 is even */
} tile;

/* 16 rows of column k. */
INLINE v16 weights(clo_dtype t, const uint8_t *panel, size_t k)
{
    if (t == CLO_DTYPE_F32) return v16_load((const float *)(const void *)(panel + k * 64));
    if (t == CLO_DTYPE_F16) return v16_load_f16(panel + k * 32);
    return k % 2 == 0 ? v16_load_bf16_even(panel + k / 2 * 64) : v16_load_bf16_odd(panel + k / 2 * 64);
}

/* sum[i][j] = fma(w[k][j], x[i][k], sum[i][j]); `odd` is k's parity, a constant for the compiler. */
INLINE void step(clo_dtype t, size_t nt, size_t np, const tile *a, size_t k, size_t odd, v16 sum[V16_WIDE_T][4])
{
    const size_t width = nt < 6 ? nt : 6;
    v16 w[4];
#pragma GCC unroll 4
    for (size_t j = 0; j < np; j++) w[j] = weights(t, a->w + j * a->panel_bytes, k / 2 * 2 + odd);
#pragma GCC unroll 12
    for (size_t i = 0; i < nt; i++) {
        v16 x = v16_set(a->x[i / 6][k * width + i % 6]);
#pragma GCC unroll 4
        for (size_t j = 0; j < np; j++) sum[i][j] = v16_fma(w[j], x, sum[i][j]);
    }
}

INLINE void run(clo_dtype t, size_t nt, size_t np, const tile *at)
{
    const tile a = *at;
    v16 sum[V16_WIDE_T][4];
#pragma GCC unroll 12
    for (size_t i = 0; i < nt; i++)
#pragma GCC unroll 4
        for (size_t j = 0; j < np; j++)
            sum[i][j] = a.k0 == 0 ? v16_set(0.0f) : v16_load(a.y + i * a.ldy + j * 16);

    size_t k = a.k0;
    for (; k + 1 < a.k1; k += 2) {
        if (nt == 1) {
            const size_t pair_bytes = t == CLO_DTYPE_F32 ? 128 : 64;
#pragma GCC unroll 4
            for (size_t j = 0; j < np; j++) {
                const uint8_t *ahead = a.w + j * a.panel_bytes + k / 2 * pair_bytes + PREFETCH_BYTES;
                __builtin_prefetch(ahead);
                if (pair_bytes == 128) __builtin_prefetch(ahead + 64);
            }
        }
        step(t, nt, np, &a, k, 0, sum);
        step(t, nt, np, &a, k + 1, 1, sum);
    }
    if (k < a.k1) step(t, nt, np, &a, k, 0, sum);

#pragma GCC unroll 12
    for (size_t i = 0; i < nt; i++)
#pragma GCC unroll 4
        for (size_t j = 0; j < np; j++) v16_store(a.y + i * a.ldy + j * 16, sum[i][j]);
}

/* One function per type; constants nt and np make each case a straight loop. `full`: V16_NARROW_P panels, else one. */
#define NARROW_CASE(t, n)                                                                                              \
    case n:                                                                                                            \
        if (np == 1) run(t, n, 1, a);                                                                                  \
        else run(t, n, V16_NARROW_P(n), a);                                                                            \
        return;
#define TILES(name, t)                                                                                                 \
    static void name(size_t nt, size_t np, const tile *a)                                                              \
    {                                                                                                                  \
        switch (nt) {                                                                                                  \
            NARROW_CASE(t, 1)                                                                                          \
            NARROW_CASE(t, 2)                                                                                          \
            NARROW_CASE(t, 3)                                                                                          \
            NARROW_CASE(t, 4)                                                                                          \
            NARROW_CASE(t, 5)                                                                                          \
            NARROW_CASE(t, 6)                                                                                          \
        default:                                                                                                       \
            if (np == 1) run(t, V16_WIDE_T, 1, a);                                                                     \
            else run(t, V16_WIDE_T, V16_WIDE_P, a);                                                                    \
        }                                                                                                              \
    }

TILES(tile_f32, CLO_DTYPE_F32)
TILES(tile_f16, CLO_DTYPE_F16)
TILES(tile_bf16, CLO_DTYPE_BF16)

typedef struct {
    void (*tile)(size_t nt, size_t np, const tile *a);
    float *y;
    size_t ldy, n_tok, n_cols, panel_bytes;
    const uint8_t *w;
    const void *acts;
} product;

/* Tokens [t0, t0 + nt) by panels [p0, p1), one block of k; np_full panels at a time, the odd ones singly. */
static void run_panels(const product *m, size_t t0, size_t nt, size_t p0, size_t p1, size_t np_full, size_t k0,
                       size_t k1)
{
    tile a = {.ldy = m->ldy, .panel_bytes = m->panel_bytes, .k0 = k0, .k1 = k1};
    a.x[0] = clo_acts_f32_group(m->acts, m->n_tok, m->n_cols, t0).x;
    a.x[1] = a.x[0] + CLO_ACTS_GROUP * m->n_cols;
    for (size_t p = p0, np; p < p1; p += np) {
        np = p1 - p >= np_full ? np_full : 1;
        a.y = m->y + t0 * m->ldy + p * 16;
        a.w = m->w + p * m->panel_bytes;
        m->tile(nt, np, &a);
    }
}

/* Many tokens: the panels of a wide tile keep their block of weights in L1 while all tokens pass. */
static void run_wide(const product *m, size_t t_end, size_t p0, size_t p1)
{
    for (size_t p = p0, np; p < p1; p += np) {
        np = p1 - p >= V16_WIDE_P ? V16_WIDE_P : 1;
        for (size_t k0 = 0; k0 < m->n_cols; k0 += K_BLOCK)
            for (size_t t = 0; t < t_end; t += V16_WIDE_T)
                run_panels(m, t, V16_WIDE_T, p, p + np, np, k0, clo_min(k0 + K_BLOCK, m->n_cols));
    }
}

void CLO_SFX(clo_matmul_f)(float *y, size_t ldy, const clo_matrix *w, const void *acts, size_t n_tok,
                           size_t panel_begin, size_t panel_end)
{
    const product m = {
        .tile = w->dtype == CLO_DTYPE_F32 ? tile_f32 : w->dtype == CLO_DTYPE_F16 ? tile_f16 : tile_bf16,
        .y = y, .ldy = ldy, .n_tok = n_tok, .n_cols = w->n_cols,
        .panel_bytes = clo_pack_float_panel_bytes(w->dtype, w->n_cols), .w = w->data, .acts = acts,
    };
    size_t t = n_tok / V16_WIDE_T * V16_WIDE_T;
    if (n_tok > 0 && w->n_cols == 0) { /* an empty chain */
        for (size_t i = 0; i < n_tok; i++)
            for (size_t r = panel_begin * 16; r < panel_end * 16; r++) y[i * ldy + r] = 0.0f;
        return;
    }
    run_wide(&m, t, panel_begin, panel_end);
    for (size_t nt; t < n_tok; t += nt) {
        nt = clo_min(CLO_ACTS_GROUP, n_tok - t);
        run_panels(&m, t, nt, panel_begin, panel_end, V16_NARROW_P(nt), 0, m.n_cols);
    }
}
