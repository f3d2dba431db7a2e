/* Products with float weights on v16; contract in kernel.h. Included once by each instruction set's matmul_f.c.
 *
 * A tile is nt tokens by np panels of 16 outputs, all its sums in registers; per k it loads np vectors of weights,
 * widened on the way, and broadcasts nt activations. Tokens beyond the last tile of V16_WIDE_T run in narrower tiles
 * over more panels, so that enough chains are under way to hide the latency of the fma; with one token that is a
 * matrix-vector product which reads V16_NARROW_P(1) streams of panels. With many tokens k is cut in blocks, so that a
 * panel's block stays near while the tokens pass: the sums rest in y in between, which is exact. */
#include "tensor/acts_f32.h"
#include "tensor/body/unroll.h"
#include "tensor/pack_float.h"

#define GROUP_PANELS 4       /* panels that pass all tokens before the next ones */
#define K_BLOCK_BYTES 32768  /* of a panel */
#define PREFETCH_BYTES 1024  /* ahead of the line being read, where weights come from memory */
#define INLINE static inline __attribute__((always_inline))

typedef struct {
    float *y; /* of the tile's first token and panel */
    size_t ldy;
    const float *x[2]; /* activations: tokens 0-5 and 6-11 of the tile at k = 0 */
    const uint8_t *w;  /* the tile's first panel */
    size_t y_step, w_step; /* from one of the tile's panels to the next: floats, bytes */
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
UNROLL
    for (size_t j = 0; j < np; j++) w[j] = weights(t, a->w + j * a->w_step, k / 2 * 2 + odd);
UNROLL
    for (size_t i = 0; i < nt; i++) {
        v16 x = v16_set(a->x[i / 6][k * width + i % 6]);
UNROLL
        for (size_t j = 0; j < np; j++) sum[i][j] = v16_fma(w[j], x, sum[i][j]);
    }
}

INLINE void run(clo_dtype t, size_t nt, size_t np, const tile *at)
{
    tile a = *at;
    v16 sum[V16_WIDE_T][4];
UNROLL
    for (size_t i = 0; i < nt; i++)
UNROLL
        for (size_t j = 0; j < np; j++)
            sum[i][j] = a.k0 == 0 ? v16_set(0.0f) : v16_load(a.y + i * a.ldy + j * a.y_step);

    size_t k = a.k0;
    for (; k + 1 < a.k1; k += 2) {
        if (nt <= CLO_ACTS_GROUP) {
            const size_t pair_bytes = t == CLO_DTYPE_F32 ? 128 : 64;
UNROLL
            for (size_t j = 0; j < np; j++) {
                const uint8_t *ahead = a.w + j * a.w_step + k / 2 * pair_bytes + PREFETCH_BYTES;
                __builtin_prefetch(ahead);
                if (pair_bytes == 128) __builtin_prefetch(ahead + 64);
            }
        }
        step(t, nt, np, &a, k, 0, sum);
        __asm__("" : "+r"(a.w)); /* load a line of BF16 pairs again: kept in registers it would push sums out */
        step(t, nt, np, &a, k + 1, 1, sum);
    }
    if (k < a.k1) step(t, nt, np, &a, k, 0, sum);

UNROLL
    for (size_t i = 0; i < nt; i++)
UNROLL
        for (size_t j = 0; j < np; j++) v16_store(a.y + i * a.ldy + j * a.y_step, sum[i][j]);
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

/* Tokens [t, t + nt) by panels [p0, p1), one block of k; np_full panels at a time, the odd ones singly. */
static void run_panels(const product *m, size_t t, size_t nt, size_t p0, size_t p1, size_t np_full, size_t k0,
                       size_t k1)
{
    tile a = {.ldy = m->ldy, .y_step = 16, .w_step = m->panel_bytes, .k0 = k0, .k1 = k1};
    a.x[0] = clo_acts_f32_group(m->acts, m->n_tok, m->n_cols, t).x;
    a.x[1] = nt > CLO_ACTS_GROUP ? a.x[0] + CLO_ACTS_GROUP * m->n_cols : a.x[0];
    for (size_t p = p0, np; p < p1; p += np) {
        np = p1 - p >= np_full ? np_full : 1;
        a.y = m->y + t * m->ldy + p * 16;
        a.w = m->w + p * m->panel_bytes;
        m->tile(nt, np, &a);
    }
}

/* All tokens by panels [p0, p1), at most GROUP_PANELS, one block of k. */
static void run_tokens(const product *m, size_t p0, size_t p1, size_t k0, size_t k1)
{
    size_t wide_end = m->n_tok / V16_WIDE_T * V16_WIDE_T;
    for (size_t p = p0, np; p < p1; p += np) {
        np = p1 - p >= V16_WIDE_P ? V16_WIDE_P : 1;
        for (size_t t = 0; t < wide_end; t += V16_WIDE_T) run_panels(m, t, V16_WIDE_T, p, p + np, np, k0, k1);
    }
    for (size_t t = wide_end, nt; t < m->n_tok; t += nt) {
        nt = clo_min(CLO_ACTS_GROUP, m->n_tok - t);
        run_panels(m, t, nt, p0, p1, V16_NARROW_P(nt), k0, k1);
    }
}

/* One token by panels [p0, p1): V16_NARROW_P(1) streams, next to one another or, where memory gives more then, each a
 * stretch of its own. */
static void run_streams(const product *m, size_t p0, size_t p1)
{
    const size_t n = V16_NARROW_P(1), step = V16_STREAMS_APART ? clo_max((p1 - p0) / n, 1) : 1;
    tile a = {.ldy = m->ldy, .y_step = step * 16, .w_step = step * m->panel_bytes, .k1 = m->n_cols};
    a.x[0] = a.x[1] = clo_acts_f32_group(m->acts, 1, m->n_cols, 0).x;
    for (size_t p = p0, np, run; p < p1; p += np * run) {
        np = p + n * step <= p1 ? n : 1;
        run = np == n ? step : 1;
        for (size_t i = p; i < p + run; i++) {
            a.y = m->y + i * 16;
            a.w = m->w + i * m->panel_bytes;
            m->tile(1, np, &a);
        }
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
    if (n_tok == 1) {
        run_streams(&m, panel_begin, panel_end);
        return;
    }
    const size_t k_block_most = w->dtype == CLO_DTYPE_F32 ? K_BLOCK_BYTES / 64 : K_BLOCK_BYTES / 32;
    const size_t k_block = n_tok <= CLO_ACTS_GROUP ? clo_max(w->n_cols, 1) : k_block_most;
    for (size_t p = panel_begin; p < panel_end; p += GROUP_PANELS)
        for (size_t k0 = 0; k0 < w->n_cols || k0 == 0; k0 += k_block)
            run_tokens(&m, p, clo_min(p + GROUP_PANELS, panel_end), k0, clo_min(k0 + k_block, w->n_cols));
}
