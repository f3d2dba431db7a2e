/* Kernels: the contract of every numeric operation of profile n1, and one table of function pointers per instruction
 * set. ref.c (and its companions ref_*.c) is the law; every other table gives the same bits, and a test holds them to
 * it. docs/profile-n1.md states each operation for a stranger.
 *
 * Rules that hold for all of them (docs/profile-n1.md section 1):
 *   - fp32, round to nearest even, subnormals kept; a*b+c is fused exactly where a contract says fma, nowhere else
 *     (-ffp-contract=off); no libm.
 *   - A matrix product's output is one chain over k, ascending. Vectors run over outputs, never along k.
 *   - A row reduction ("slots16") has 16 slots, element i goes to slot i % 16, each slot is an ascending chain that
 *     starts at its identity (+0 for sums), then fold: s[i] += s[i+8] (i<8), += s[i+4] (i<4), += s[i+2], += s[i+1].
 *   - Kernels take pointers and sizes: no allocation, no threads, no errors. The caller has checked.
 *
 * Weights are re-laid once ("packed", pack.h) in panels of 16 output rows, the same bytes for every instruction set.
 */
#ifndef CLO_TENSOR_KERNEL_H
#define CLO_TENSOR_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tensor/dtype.h"

#define CLO_PANEL_ROWS 16  /* output rows of a panel */
#define CLO_ACT_BLOCK 32   /* activations that share a scale */
#define CLO_KV_BLOCK 64    /* positions of a block of the KV cache */

/* A weight matrix in packed form: y = W x, W [n_rows, n_cols]. */
typedef struct {
    clo_dtype dtype;
    size_t n_rows;        /* outputs; the last panel is filled up with zero rows */
    size_t n_cols;        /* inputs */
    const uint8_t *data;  /* borrowed, 64-byte aligned; clo_pack_bytes(dtype, n_rows, n_cols) long */
} clo_matrix;

/* How activations are prepared for a matrix: it depends on the weights' type alone (clo_acts_kind_of in pack.h). */
typedef enum {
    CLO_ACTS_F32, /* for F32, F16, BF16 weights */
    CLO_ACTS_Q8,  /* for every quantised type: 8-bit blocks of 32 */
} clo_acts_kind;

/* What attention of one kv head reads. The cache is cut in blocks of 64 positions; blocks[b] is the start of the memory
 * of positions [64b, 64b+64) of a sequence (all layers and heads of it), and this head's part lies at
 *   keys   (blocks[b] + k_off): [head_dim][64]  kv_dtype, so that vectors run over positions
 *   values (blocks[b] + v_off): [64][head_dim]  kv_dtype
 * Entries after the newest position hold anything, NaN included, and are never used. */
typedef struct {
    const uint8_t *const *blocks; /* borrowed */
    size_t k_off, v_off;          /* bytes, multiples of 64 */
    clo_dtype kv_dtype;           /* F32 or F16 */
    size_t head_dim;              /* multiple of 16, at most 256 */
    size_t n_group;               /* query heads in a call that share this kv head */
    size_t window;                /* 0: all earlier positions; else j is seen when p - j < window */
    size_t n_seen;                /* 0: a query sees what is not later than itself; else positions [0, n_seen), whichever
                                   * its own, and no window */
    float scale;
    float softcap;                /* 0: none */
} clo_attn;

typedef struct {
    const char *name; /* "scalar", "avx2", "avx512", "avx512vnni", "neon", "neondot" */

    /* --- matrix products ------------------------------------------------------------------------------------------
     * acts_pack writes rows [tok_begin, tok_end) of x into `acts` (clo_acts_bytes long, 64-byte aligned, shared by all
     * threads; different rows may be written by different threads at once when n_tok is the same for all).
     *   x [n_tok, ldx] f32, of which n_cols are used; n_cols is a multiple of 32 for CLO_ACTS_Q8.
     * Q8 rule, per row and block b of 32: amax = max |x| (NaN the largest); d = amax / 127; id = 127 / amax;
     *   q = rne(x * id), which lies in [-127, 127]; all q = 0 where amax < 2^-100 (id could overflow) or is not finite
     *   (d then carries it to the outputs). Both divisions are IEEE. */
    void (*acts_pack)(clo_acts_kind kind, void *acts, const float *x, size_t ldx, size_t n_tok, size_t n_cols,
                      size_t tok_begin, size_t tok_end);

    /* y[t, 16*p + r] for panels p in [panel_begin, panel_end) and every t < n_tok.
     *   y  [n_tok, ldy] f32, ldy >= n_rows rounded up to 16: the fill rows of the last panel are written too (zeros).
     *   scratch: this thread's own, clo_matmul_scratch_bytes long, 64-byte aligned.
     * F32/F16/BF16: y = fma(w[k], x[k], y) from y = +0, k ascending, w widened exactly.
     * Quantised: weights are cut in groups g of G = 32 or 16 elements (16: Q2_K, Q3_K, Q6_K), each with a scale s_g
     *   and, for formats with a minimum, a minimum m_g (value = s_g * c - m_g or + m_g as the format says; c integer):
     *     y = fma(fl(s_g * d_b), (float)sum(c_i * q_i), y)     groups ascending, b the act block of g
     *     then, in formats with a minimum, y = fma(m_g, fl(d_b * (float)sum(q_i)), y)  in the same step of g
     *   s_g and m_g are rounded to f32 as dequantisation does (Q4_K: s = fl(d*sc), m = -fl(dmin*mn)). */
    void (*matmul)(float *y, size_t ldy, const clo_matrix *w, const void *acts, size_t n_tok, size_t panel_begin,
                   size_t panel_end, void *scratch);

    /* --- rows ------------------------------------------------------------------------------------------------------
     * y[i] = (x[i] * r) * w[i],  r = 1 / sqrt(mean + eps),  mean = ss / n,  ss = slots16 of fma(x, x, slot).
     * w NULL: no weight (and no multiplication). y may be x. One row. */
    void (*rmsnorm)(float *y, const float *x, const float *w, size_t n, float eps);
    /* mu = slots16(x) / n; d = x - mu; var = slots16 of fma(d, d, slot) / n; y = d * (1 / sqrt(var + eps)); then
     * y = y * w (w not NULL), y = y + b (b not NULL). */
    void (*layernorm)(float *y, const float *x, const float *w, const float *b, size_t n, float eps);
    /* y[i] = y[i] + x[i] */
    void (*add)(float *y, const float *x, size_t n);
    /* y[i] = x[i] * s */
    void (*scale)(float *y, const float *x, float s, size_t n);
    /* y[i] = min(max(x[i], -c), c) */
    void (*clamp)(float *y, const float *x, float c, size_t n);
    /* y[i] = (g[i] / (1 + clo_exp(-g[i]))) * u[i] */
    void (*silu_mul)(float *y, const float *g, const float *u, size_t n);
    /* y[i] = gelu_tanh(g[i]) * u[i]; the formula's order of operations is in docs/profile-n1.md */
    void (*gelu_mul)(float *y, const float *g, const float *u, size_t n);
    /* y[i] = clo_gelu_f32(x[i]): gelu by erf, without a gate */
    void (*gelu)(float *y, const float *x, size_t n);
    /* x[i] = cap * clo_tanh(x[i] / cap) */
    void (*softcap)(float *x, float cap, size_t n);
    /* y[i] = clo_exp(x[i]): exported for tests of the law, sampling and softmax rows. */
    void (*exp)(float *y, const float *x, size_t n);
    /* Rotates the first n_rot of head_dim values of one head in place, half-split pairs (i, i + n_rot/2):
     *   a' = fma(a, c[i], -fl(b * s[i])),  b' = fma(b, c[i], fl(a * s[i]));  c, s [n_rot/2]. */
    void (*rope)(float *x, const float *c, const float *s, size_t n_rot);

    /* --- attention -------------------------------------------------------------------------------------------------
     * Stores one position's key and value of one head in its block (rounded to nearest even for F16, with values
     * beyond +-65504 brought to +-65504): key element i goes to k[i*64 + slot], value element i to v[slot*head_dim+i].
     * k and v are this head's parts of the block; 0 <= slot < 64. */
    void (*kv_store)(void *k, void *v, clo_dtype kv_dtype, const float *key, const float *value, size_t head_dim,
                     size_t slot);
    /* o[t, h, :] for t < n_tok, h < n_group: attention of the query at absolute position pos0 + t.
     *   q [n_tok, ldq] f32, row t holds n_group * head_dim values; o likewise with ldo; o may not overlap q
     *   scratch: clo_attend_scratch_bytes(head_dim) long, this thread's own, 64-byte aligned
     * Law, for a query at p (n_seen - 1 where that is set), from m = -inf, l = +0, o = +0, for each block b that has a visible key, ascending; visible
     * keys j of a block are one range [j0, j1):
     *   s_j = fl(scale * (chain over d ascending of fma(q[d], k_j[d], .) from +0)); softcap: s = cap * tanh(s / cap)
     *   m' = max(m, max s_j);  c = clo_exp(m - m') (m = -inf: c = 0);  p_j = clo_exp(s_j - m'), 0 for invisible slots
     *   l = fma(l, c, slots16 of p over the 64 slots of the block)
     *   o[d] = fl(o[d] * c), then o[d] = fma(p_j, v_j[d], o[d]) for j = j0 .. j1-1
     *   m = m'
     * at the end r = 1 / l, o[d] = fl(o[d] * r). */
    void (*attend)(float *o, size_t ldo, const float *q, size_t ldq, const clo_attn *a, size_t pos0, size_t n_tok,
                   void *scratch);
} clo_kernels;

extern const clo_kernels clo_kernels_scalar;

/* The table in use: chosen once, before the second thread starts, from what the processor has and CLOCHE_CPU
 * (scalar | avx2 | avx512 | neon; avx512 takes VNNI where it is there, CLOCHE_CPU=avx512-novnni forbids it; likewise
 * neon-nodot). An instruction set that CLOCHE_CPU names and the processor lacks is refused by clo_kernels_pick. */
CLO_CHECK bool clo_kernels_pick(const clo_kernels **out, clo_err *err);
/* The i-th table that this processor can run (0 is scalar), or NULL: for tests and doctor. */
const clo_kernels *clo_kernels_at(size_t i);

size_t clo_acts_bytes(clo_acts_kind kind, size_t n_tok, size_t n_cols);
/* k->acts_pack of columns [col_begin, col_end), multiples of 32 but for n_cols itself, of all rows. Rows stand side by side
 * in `acts`, so threads that shared few rows by row would write to each other's cache lines; by columns they do not. */
void clo_acts_pack_cols(const clo_kernels *k, clo_acts_kind kind, void *acts, const float *x, size_t ldx, size_t n_tok,
                        size_t n_cols, size_t col_begin, size_t col_end);
size_t clo_matmul_scratch_bytes(size_t n_cols_max);
size_t clo_attend_scratch_bytes(size_t head_dim);

#endif
