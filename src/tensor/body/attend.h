/* Attention on v16; contract and law in kernel.h. Included once by each instruction set's attend.c.
 *
 * Up to SPAN queries (tokens by heads that share the kv head) pass a block of 64 keys together, so that the block is
 * read from memory once; within it, tiles of 6 queries keep sums in registers. Scores: vectors over keys, a chain over
 * head_dim. Values: vectors over head_dim, a chain over keys that runs on through o in memory. A query sees one range
 * of a block's keys; a tile's common range is done together, what only some see is done query by query before or after
 * it, so each chain stays ascending and no invisible entry is ever multiplied. */
#include "base/check.h"
#include "tensor/body/math.h"
#include "tensor/body/unroll.h"

enum { TILE = 6, SPAN = 48, BLOCK = CLO_KV_BLOCK };

#define INLINE static inline __attribute__((always_inline))

INLINE v16 kv_load(clo_dtype t, const uint8_t *p, size_t i)
{
    return t == CLO_DTYPE_F32 ? v16_load((const float *)(const void *)(p + i * 4)) : v16_load_f16(p + i * 2);
}

/* c[i][0..16 nv) = chain over k in [k0, k1) of fma(a[i][k], b[k * ldb + .], .), from +0 or from what c holds. */
INLINE void chain(clo_dtype t, size_t nq, size_t nv, bool go_on, float *const *c, size_t c_off, const float *const *a,
                  const uint8_t *b, size_t b_off, size_t ldb, size_t k0, size_t k1)
{
    v16 sum[TILE][4];
    const float *row[TILE];
UNROLL
    for (size_t i = 0; i < nq; i++) {
        row[i] = a[i];
UNROLL
        for (size_t j = 0; j < nv; j++) sum[i][j] = go_on ? v16_load(c[i] + c_off + j * 16) : v16_set(0.0f);
    }
    for (size_t k = k0; k < k1; k++) {
        v16 v[4];
UNROLL
        for (size_t j = 0; j < nv; j++) v[j] = kv_load(t, b, k * ldb + b_off + j * 16);
UNROLL
        for (size_t i = 0; i < nq; i++) {
            v16 x = v16_set(row[i][k]);
UNROLL
            for (size_t j = 0; j < nv; j++) sum[i][j] = v16_fma(x, v[j], sum[i][j]);
        }
    }
UNROLL
    for (size_t i = 0; i < nq; i++)
UNROLL
        for (size_t j = 0; j < nv; j++) v16_store(c[i] + c_off + j * 16, sum[i][j]);
}

/* The same for n columns, a multiple of 16, in strips of V16_ATT_V vectors and then single ones. */
INLINE void chain_strips(clo_dtype t, size_t nq, bool go_on, float *const *c, const float *const *a, const uint8_t *b,
                         size_t n, size_t k0, size_t k1)
{
    size_t j = 0;
    for (; j + 16 * V16_ATT_V <= n; j += 16 * V16_ATT_V) chain(t, nq, V16_ATT_V, go_on, c, j, a, b, j, n, k0, k1);
    for (; j < n; j += 16) chain(t, nq, 1, go_on, c, j, a, b, j, n, k0, k1);
}

#define CHAIN_CASE(t, nq)                                                                                              \
    case nq:                                                                                                           \
        chain_strips(t, nq, go_on, c, a, b, n, k0, k1);                                                                \
        return;
#define CHAINS(name, t, go_on_)                                                                                        \
    static void name(size_t n_q, float *const *c, const float *const *a, const uint8_t *b, size_t n, size_t k0,        \
                     size_t k1)                                                                                        \
    {                                                                                                                  \
        const bool go_on = go_on_;                                                                                     \
        switch (n_q) {                                                                                                 \
            CHAIN_CASE(t, 1)                                                                                           \
            CHAIN_CASE(t, 2)                                                                                           \
            CHAIN_CASE(t, 3)                                                                                           \
            CHAIN_CASE(t, 4)                                                                                           \
            CHAIN_CASE(t, 5)                                                                                           \
            CHAIN_CASE(t, 6)                                                                                           \
        }                                                                                                              \
    }

CHAINS(scores_f16, CLO_DTYPE_F16, false)
CHAINS(scores_f32, CLO_DTYPE_F32, false)
CHAINS(values_f16, CLO_DTYPE_F16, true)
CHAINS(values_f32, CLO_DTYPE_F32, true)

typedef void (*chains)(size_t n_q, float *const *c, const float *const *a, const uint8_t *b, size_t n, size_t k0,
                       size_t k1);

typedef struct {
    float m, l;      /* running maximum and sum */
    const float *q;  /* [head_dim] */
    float *o;        /* [head_dim], the running output */
    size_t first, pos; /* visible keys: first .. pos */
} query;

static void scale_row(float *x, float s, size_t n)
{
    v16 f = v16_set(s);
    for (size_t i = 0; i < n; i += 16) v16_store(x + i, v16_mul(v16_load(x + i), f));
}

/* Scores to probabilities for visible keys [j0, j1): updates m and l, leaves p in s (0 where invisible), returns c. */
static float soften(query *q, const clo_attn *a, float *s, size_t j0, size_t j1)
{
    const v16 low = v16_set(-__builtin_inff()), zero = v16_set(0.0f);
    const bool whole = j0 == 0 && j1 == BLOCK;
    v16 x[4], top = low;
    for (size_t i = 0; i < 4; i++) {
        x[i] = v16_mul(v16_set(a->scale), v16_load(s + i * 16));
        if (a->softcap != 0) {
            v16 cap = v16_set(a->softcap);
            x[i] = v16_mul(cap, v16_tanh(v16_div(x[i], cap)));
        }
        if (!whole) x[i] = v16_keep(x[i], (float)j0 - (float)(i * 16), (float)j1 - (float)(i * 16), low);
        top = v16_max(top, x[i]);
    }
    float m_block = v16_max_of(top), m = m_block > q->m ? m_block : q->m;
    v16 sum = zero;
    for (size_t i = 0; i < 4; i++) {
        v16 p = v16_exp(v16_sub(x[i], v16_set(m)));
        if (!whole) p = v16_keep(p, (float)j0 - (float)(i * 16), (float)j1 - (float)(i * 16), zero);
        v16_store(s + i * 16, p);
        sum = v16_add(sum, p);
    }
    float c = q->m == -__builtin_inff() ? 0.0f : clo_exp_f32(q->m - m);
    q->l = __builtin_fmaf(q->l, c, v16_sum(sum));
    q->m = m;
    return c;
}

/* o += p V over each query's own range [j0, j1). */
static void add_values(chains values, size_t n_q, float *const *o, const float *const *p, const uint8_t *v,
                       size_t head_dim, const size_t *j0, const size_t *j1)
{
    size_t lo = j0[0], hi = j1[0];
    for (size_t i = 1; i < n_q; i++) {
        lo = clo_max(lo, j0[i]);
        hi = clo_min(hi, j1[i]);
    }
    hi = clo_max(lo, hi);
    for (size_t i = 0; i < n_q; i++)
        if (j0[i] < clo_min(lo, j1[i])) values(1, o + i, p + i, v, head_dim, j0[i], clo_min(lo, j1[i]));
    if (lo < hi) values(n_q, o, p, v, head_dim, lo, hi);
    for (size_t i = 0; i < n_q; i++)
        if (clo_max(hi, j0[i]) < j1[i]) values(1, o + i, p + i, v, head_dim, clo_max(hi, j0[i]), j1[i]);
}

/* Block b for n_q <= TILE queries, each of which sees a key of it. */
static void tile_block(query *const *q, size_t n_q, const clo_attn *a, size_t b)
{
    float s[TILE][BLOCK] __attribute__((aligned(64)));
    const float *q_row[TILE], *p_row[TILE];
    float *s_row[TILE], *o_row[TILE];
    size_t j0[TILE], j1[TILE], at = b * BLOCK;
    const bool half = a->kv_dtype == CLO_DTYPE_F16;
    for (size_t i = 0; i < n_q; i++) {
        q_row[i] = q[i]->q;
        o_row[i] = q[i]->o;
        p_row[i] = s_row[i] = s[i];
        j0[i] = clo_max(q[i]->first, at) - at;
        j1[i] = clo_min(q[i]->pos + 1 - at, BLOCK);
    }
    (half ? scores_f16 : scores_f32)(n_q, s_row, q_row, a->blocks[b] + a->k_off, BLOCK, 0, a->head_dim);
    for (size_t i = 0; i < n_q; i++) {
        float c = soften(q[i], a, s[i], j0[i], j1[i]);
        scale_row(o_row[i], c, a->head_dim);
    }
    add_values(half ? values_f16 : values_f32, n_q, o_row, p_row, a->blocks[b] + a->v_off, a->head_dim, j0, j1);
}

/* n_q <= SPAN queries, positions never descending. */
static void span(query *q, size_t n_q, const clo_attn *a)
{
    for (size_t b = q[0].first / BLOCK; b <= q[n_q - 1].pos / BLOCK; b++) {
        query *seen[TILE];
        size_t n_seen = 0;
        for (size_t i = 0; i < n_q; i++) {
            if (q[i].pos >= b * BLOCK && q[i].first < (b + 1) * BLOCK) seen[n_seen++] = &q[i];
            if (n_seen == TILE || (n_seen > 0 && i == n_q - 1)) {
                tile_block(seen, n_seen, a, b);
                n_seen = 0;
            }
        }
    }
    for (size_t i = 0; i < n_q; i++) scale_row(q[i].o, 1.0f / q[i].l, a->head_dim);
}

void CLO_SFX(clo_attend)(float *o, size_t ldo, const float *q, size_t ldq, const clo_attn *a, size_t pos0, size_t n_tok,
                         void *scratch)
{
    (void)scratch;
    query list[SPAN];
    size_t n = 0, n_all = n_tok * a->n_group;
    for (size_t i = 0; i < n_all; i++) {
        size_t t = i / a->n_group, h = i % a->n_group, pos = a->n_seen ? a->n_seen - 1 : pos0 + t;
        query *one = &list[n++];
        one->m = -__builtin_inff();
        one->l = 0.0f;
        one->q = q + t * ldq + h * a->head_dim;
        one->o = o + t * ldo + h * a->head_dim;
        one->pos = pos;
        one->first = a->window != 0 && pos >= a->window ? pos - a->window + 1 : 0;
        for (size_t d = 0; d < a->head_dim; d += 16) v16_store(one->o + d, v16_set(0.0f));
        if (n == SPAN || i == n_all - 1) {
            span(list, n, a);
            n = 0;
        }
    }
}

/* Keys are spread 64 entries apart, values stand together. Clamping before the conversion keeps F16 finite; NaN passes. */
void CLO_SFX(clo_kv_store)(void *k, void *v, clo_dtype kv_dtype, const float *key, const float *value, size_t head_dim,
                           size_t slot)
{
    const v16 top = v16_set(65504.0f), low = v16_set(-65504.0f);
    for (size_t i = 0; i < head_dim; i += 16) {
        v16 x = v16_load(key + i), y = v16_load(value + i);
        if (kv_dtype == CLO_DTYPE_F32) {
            float *at = (float *)k + i * BLOCK + slot;
            for (size_t d = 0; d < 16; d++) at[d * BLOCK] = key[i + d];
            v16_store((float *)v + slot * head_dim + i, y);
            continue;
        }
        uint16_t half[16], *at = (uint16_t *)k + i * BLOCK + slot;
        x = v16_select_lt(x, low, low, v16_select_lt(top, x, top, x));
        y = v16_select_lt(y, low, low, v16_select_lt(top, y, top, y));
        v16_store_f16(half, x);
        for (size_t d = 0; d < 16; d++) at[d * BLOCK] = half[d];
        v16_store_f16((uint16_t *)v + slot * head_dim + i, y);
    }
}
