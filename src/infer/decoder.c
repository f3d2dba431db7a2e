/* One forward pass for every family (model/spec.h says how families differ).
 *
 * A pass runs as one job on the pool; every thread walks the layers and they meet at barriers. Two ways of sharing the
 * work, chosen by the number of tokens, with the same bits:
 *   - many tokens: a thread owns a range of tokens for all that is done row by row (norms, residuals, rope), and a
 *     range of panels of every matrix;
 *   - few tokens: rows are so short that every thread does them all in its own buffers (a barrier would cost more), and
 *     only panels and heads are shared.
 * Nothing is allocated here: buffers are sized at opening. */
#include "infer/decoder.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "infer/seq.h"
#include "tensor/kernel.h"
#include "tensor/mathf.h"
#include "tensor/pack.h"

#define N_TOK_DEFAULT 512
#define FEW_TOKENS 4        /* most tokens whose rows every thread does for itself */
#define FFN_GROUP_COLS 64    /* gate and up columns that a thread holds at once when there are many tokens */
#define ATTEND_TOKENS 32     /* tokens of an attention work item */
#define GROUP_COST 4         /* so many query heads more, attended to together, double the time of one (of a single token) */
#define PACK_BY_ROW_MIN 24   /* tokens a thread from which on activations are prepared by row, fewer by column */
#define SHARES_PER_THREAD 8  /* into which the panels of a product of many tokens are cut */
#define SETTLE_BYTES ((size_t)32 << 20) /* moved before a pass of one token: a few milliseconds */
#define SETTLE_TOKENS 64                /* each so many tokens of a longer pass let as much again be moved */

/* A token of the pass in hand. */
struct token {
    clo_seq *seq;
    size_t pos;
    int32_t id;
    float *logits; /* NULL: none wanted */
    float *hidden; /* likewise */
};

/* Consecutive tokens of one sequence. */
struct segment {
    clo_seq *seq;
    size_t pos0, begin, n; /* tokens [begin, begin+n) stand at positions pos0, pos0+1, ... */
};

/* Buffers of row-wise work: one shared set, and one set per thread for few tokens. */
struct rows {
    float *h;           /* [n_tok, n_dim] residual stream */
    float *x;           /* [n_tok, n_dim] normed input of a matrix */
    void *acts[2];      /* x in the form of each clo_acts_kind */
};

struct thread_state {
    struct rows own;    /* for few tokens */
    float *gate, *up;   /* [n_tok, FFN_GROUP_COLS] or [few, n_ff] */
    void *acts_ff[2];   /* few tokens of attention output or FFN activations */
    void *matmul, *attend;
};

/* Work that threads take item by item, so that a thread which is held up does not hold up the others. */
enum { SHARED_QKV, SHARED_ATTEND, SHARED_O, SHARED_FFN, SHARED_DOWN, N_SHARED };

struct clo_decoder {
    clo_model *model;
    bool started, settling;   /* a pass was made; weights are still on their way to huge pages */
    const clo_spec *spec;
    const clo_kernels *k;
    clo_pool *pool;
    clo_kv_layout kv;
    size_t n_tok_max, n_threads;
    size_t q_cols, kv_cols, ff_cols, stride; /* padded to 16 */
    size_t cols_max;          /* longest row that is prepared as activations */
    bool kinds[2];            /* which forms of activations the model's matrices need */

    struct rows rows;
    float *q, *kk, *v, *o, *f; /* [n_tok, q_cols], [n_tok, kv_cols] x2, [n_tok, q_cols], [n_tok, max(ff, dim)] */
    float *out;               /* [n_tok, n_dim padded] product of O and Down */
    void *acts_ff[2];         /* [n_tok, cols_max] */
    float *inv_freq[2];       /* [n_rot/2] of spec->rope[i] */
    float *cos[2], *sin[2];   /* [n_tok, n_rot/2] of the pass in hand */
    struct thread_state *threads;
    void *memory;             /* owned: everything above */

    /* the pass in hand */
    struct token *tokens;     /* [n_tok_max] */
    struct segment *segments; /* [n_tok_max] */
    size_t n_tok, n_segments;
    size_t *out_rows;         /* [n_tok_max] tokens whose logits are wanted */
    size_t n_out;
    atomic_size_t (*taken)[N_SHARED]; /* [n_layer] work items taken of each kind of shared work */
};

/* --- life cycle ---------------------------------------------------------------------------------------------------- */

static size_t pad16(size_t n)
{
    return clo_round_up(n, 16);
}

static void note_kind(clo_decoder *d, const clo_matrix *w)
{
    if (!w->data) return;
    d->kinds[clo_acts_kind_of(w->dtype)] = true;
    d->cols_max = clo_max(d->cols_max, w->n_cols);
}

static void note_kinds(clo_decoder *d)
{
    for (uint32_t i = 0; i < d->spec->n_layer; i++) {
        const clo_layer *l = clo_model_layer(d->model, i);
        const clo_matrix *all[] = {&l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down};
        for (size_t j = 0; j < sizeof all / sizeof all[0]; j++) note_kind(d, all[j]);
    }
    note_kind(d, clo_model_head(d->model));
}

/* Lays the buffers out: with base NULL only counts. Returns the bytes. */
static size_t lay_out(clo_decoder *d, uint8_t *base)
{
    size_t used = 0;
    const clo_spec *s = d->spec;
    size_t T = d->n_tok_max, half = s->n_rot / 2;
#define TAKE(ptr, n_bytes)                                                                                             \
    do {                                                                                                               \
        if (base) (ptr) = (void *)(base + used);                                                                       \
        used = clo_round_up(used + (n_bytes), 64);                                                                     \
    } while (0)
    TAKE(d->rows.h, T * pad16(s->n_dim) * 4);
    TAKE(d->rows.x, T * pad16(s->n_dim) * 4);
    TAKE(d->q, T * d->q_cols * 4);
    TAKE(d->kk, T * d->kv_cols * 4);
    TAKE(d->v, T * d->kv_cols * 4);
    TAKE(d->o, T * d->q_cols * 4);
    TAKE(d->f, T * d->ff_cols * 4);
    TAKE(d->out, T * pad16(s->n_dim) * 4);
    TAKE(d->tokens, T * sizeof *d->tokens);
    TAKE(d->segments, T * sizeof *d->segments);
    TAKE(d->out_rows, T * sizeof *d->out_rows);
    TAKE(d->taken, s->n_layer * sizeof *d->taken);
    TAKE(d->threads, d->n_threads * sizeof *d->threads);
    for (int i = 0; i < 2; i++) {
        TAKE(d->inv_freq[i], half * 4);
        TAKE(d->cos[i], T * half * 4);
        TAKE(d->sin[i], T * half * 4);
        if (!d->kinds[i]) continue;
        TAKE(d->rows.acts[i], clo_acts_bytes((clo_acts_kind)i, T, s->n_dim));
        TAKE(d->acts_ff[i], clo_acts_bytes((clo_acts_kind)i, T, d->cols_max));
    }
    const size_t few = clo_min(T, FEW_TOKENS), ffn = clo_max(T * FFN_GROUP_COLS, few * d->ff_cols);
    for (size_t t = 0; t < d->n_threads; t++) {
        struct thread_state dummy, *ts = base ? &d->threads[t] : &dummy;
        TAKE(ts->own.h, few * pad16(s->n_dim) * 4);
        TAKE(ts->own.x, few * pad16(s->n_dim) * 4);
        TAKE(ts->gate, ffn * 4);
        TAKE(ts->up, ffn * 4);
        TAKE(ts->matmul, clo_matmul_scratch_bytes(d->cols_max));
        TAKE(ts->attend, clo_attend_scratch_bytes(s->head_dim));
        for (int i = 0; i < 2; i++) {
            if (!d->kinds[i]) continue;
            TAKE(ts->own.acts[i], clo_acts_bytes((clo_acts_kind)i, few, s->n_dim));
            TAKE(ts->acts_ff[i], clo_acts_bytes((clo_acts_kind)i, few, d->cols_max));
        }
    }
#undef TAKE
    return used;
}

bool clo_decoder_open(clo_decoder **out, clo_model *m, clo_pool *pool, clo_decoder_opts opts, clo_err *err)
{
    *out = NULL;
    clo_decoder *d = calloc(1, sizeof *d);
    if (!d) return clo_fail(err, CLO_ERR_MEMORY, "decoder: no memory");
    const clo_spec *s = clo_model_spec(m);
    d->model = m;
    d->settling = true;
    d->spec = s;
    d->pool = pool;
    d->n_threads = clo_pool_threads(pool);
    d->n_tok_max = opts.n_tok_max ? opts.n_tok_max : N_TOK_DEFAULT;
    if (s->encoder) d->n_tok_max = clo_max(d->n_tok_max, s->n_ctx);
    d->q_cols = pad16((size_t)s->n_head * s->head_dim);
    d->kv_cols = pad16((size_t)s->n_kv_head * s->head_dim);
    d->ff_cols = pad16(s->n_ff);
    d->stride = pad16(s->n_vocab);
    note_kinds(d);
    size_t elem = clo_model_layer(m, 0)->q.dtype == CLO_DTYPE_F32 ? 4 : 2;
    d->kv.dtype = elem == 4 ? CLO_DTYPE_F32 : CLO_DTYPE_F16;
    d->kv.head_bytes = (size_t)s->head_dim * CLO_KV_BLOCK * elem;
    d->kv.layer_bytes = d->kv.head_bytes * 2 * s->n_kv_head;
    d->kv.block_bytes = d->kv.layer_bytes * s->n_layer;

    if (d->kinds[CLO_ACTS_Q8] && (s->n_dim % CLO_ACT_BLOCK || (size_t)s->n_head * s->head_dim % CLO_ACT_BLOCK ||
                                  s->n_ff % CLO_ACT_BLOCK)) {
        free(d);
        return clo_fail(err, CLO_ERR_UNSUPPORTED, "quantised weights with rows of %u, %u: not multiples of %d", s->n_dim,
                        s->n_ff, CLO_ACT_BLOCK);
    }
    size_t bytes = lay_out(d, NULL);
    d->memory = aligned_alloc(64, bytes);
    if (!d->memory || !clo_kernels_pick(&d->k, err)) {
        if (!d->memory) clo_fail(err, CLO_ERR_MEMORY, "decoder: no memory for %zu bytes", bytes);
        clo_decoder_close(d);
        return false;
    }
    lay_out(d, d->memory);
    for (int i = 0; i < 2; i++) clo_rope_inv_freq(d->inv_freq[i], &s->rope[i], s->n_rot);
    *out = d;
    return true;
}

void clo_decoder_close(clo_decoder *d)
{
    if (!d) return;
    free(d->memory);
    free(d);
}

const clo_model *clo_decoder_model(const clo_decoder *d)
{
    return d->model;
}

bool clo_decoder_settling(const clo_decoder *d)
{
    return d->settling;
}

size_t clo_decoder_logits_stride(const clo_decoder *d)
{
    return d->stride;
}

size_t clo_decoder_hidden_stride(const clo_decoder *d)
{
    return pad16(d->spec->n_dim);
}

size_t clo_decoder_pass_tokens(const clo_decoder *d)
{
    return d->n_tok_max;
}

const clo_kv_layout *clo_decoder_kv_layout(const clo_decoder *d)
{
    return &d->kv;
}

uint64_t clo_decoder_kv_bytes(const clo_decoder *d, size_t n_positions)
{
    return (uint64_t)clo_ceil_div(n_positions, CLO_KV_BLOCK) * d->kv.block_bytes;
}

/* --- one thread's view of a pass ----------------------------------------------------------------------------------- */

struct view {
    clo_decoder *d;
    const clo_kernels *k;
    const clo_spec *s;
    struct thread_state *ts;
    size_t i_thread, n_threads;
    bool few;              /* tokens: row-wise work is private */
    struct rows rows;      /* shared, or this thread's own */
    size_t begin, end;     /* tokens whose rows this thread does */
    size_t i_layer;        /* under way */
};

static void sync(struct view *w)
{
    clo_pool_barrier(w->d->pool);
}

/* All rows become activations in the forms that matrices need, and all threads see all of them after. by_row: this thread's
 * rows of x were written by itself, no others are ready yet. */
static void pack_acts(struct view *w, void *const acts[2], const float *x, size_t ldx, size_t n_tok, size_t n_cols,
                      bool by_row)
{
    size_t begin, end;
    bool by_col = !w->few && n_tok < PACK_BY_ROW_MIN * w->n_threads;
    if (by_col && by_row) sync(w);
    if (by_col)
        clo_split(n_cols, CLO_ACT_BLOCK, w->i_thread, w->n_threads, &begin, &end);
    else
        clo_split(n_tok, 1, w->few ? 0 : w->i_thread, w->few ? 1 : w->n_threads, &begin, &end);
    for (int kind = 0; kind < 2; kind++) {
        if (!w->d->kinds[kind]) continue;
        if (by_col)
            clo_acts_pack_cols(w->k, (clo_acts_kind)kind, acts[kind], x, ldx, n_tok, n_cols, begin, end);
        else
            w->k->acts_pack((clo_acts_kind)kind, acts[kind], x, ldx, n_tok, n_cols, begin, end);
    }
    if (!w->few) sync(w);
}

/* A view of panels [begin, begin+n) of w as a matrix of its own. */
static clo_matrix panels_of(const clo_matrix *m, size_t begin, size_t n)
{
    size_t panel_bytes = clo_pack_bytes(m->dtype, CLO_PANEL_ROWS, m->n_cols);
    size_t rows = clo_min(n * CLO_PANEL_ROWS, m->n_rows - begin * CLO_PANEL_ROWS);
    return (clo_matrix){m->dtype, rows, m->n_cols, m->data + begin * panel_bytes};
}

static size_t panel_count(const clo_matrix *m)
{
    return clo_ceil_div(m->n_rows, CLO_PANEL_ROWS);
}

/* This thread's panels [begin, end) of y = W x, bias added. */
static void product(struct view *w, float *y, size_t ldy, const clo_matrix *m, const float *bias, void *const acts[2],
                    size_t n_tok, size_t begin, size_t end)
{
    if (begin >= end) return;
    w->k->matmul(y, ldy, m, acts[clo_acts_kind_of(m->dtype)], n_tok, begin, end, w->ts->matmul);
    if (!bias) return;
    size_t c0 = begin * CLO_PANEL_ROWS, n = (end - begin) * CLO_PANEL_ROWS;
    for (size_t t = 0; t < n_tok; t++) w->k->add(y + t * ldy + c0, bias + c0, n);
}

/* The next of `work`'s n items for this thread: [*begin, *end), or false when none is left; *end is 0 at first. Few
 * tokens' items are cut once and for all, in one stretch a thread, whose weights then come as long streams. Who does what
 * shows in no bit. */
static bool next_share(struct view *w, int work, size_t n, size_t *begin, size_t *end)
{
    if (w->few) {
        bool first = *end == 0;
        clo_split(n, 1, w->i_thread, w->n_threads, begin, end);
        return first && *begin < *end;
    }
    const size_t grain = FFN_GROUP_COLS / CLO_PANEL_ROWS;
    size_t share = clo_round_up(clo_ceil_div(n, w->n_threads * SHARES_PER_THREAD), grain);
    if (work == SHARED_FFN) share = grain; /* what a thread holds of gate and up */
    *begin = atomic_fetch_add_explicit(&w->d->taken[w->i_layer][work], share, memory_order_relaxed);
    *end = clo_min(n, *begin + share);
    return *begin < n;
}

/* One matrix shared between all threads. */
static void shared_product(struct view *w, int work, float *y, size_t ldy, const clo_matrix *m, const float *bias,
                           void *const acts[2])
{
    for (size_t begin, end = 0; next_share(w, work, panel_count(m), &begin, &end);)
        product(w, y, ldy, m, bias, acts, w->d->n_tok, begin, end);
}

static void norm_row(struct view *w, float *y, const float *x, const float *weight, const float *bias, size_t n)
{
    if (w->s->norm == CLO_NORM_RMS)
        w->k->rmsnorm(y, x, weight, n, w->s->norm_eps);
    else
        w->k->layernorm(y, x, weight, bias, n, w->s->norm_eps);
}

/* x rows = norm of h rows, or h itself for families without this norm; then activations. */
static void norm_and_pack(struct view *w, bool normed, const float *weight)
{
    size_t n = w->s->n_dim, ld = pad16(n);
    const float *src = w->rows.h;
    if (normed) {
        for (size_t t = w->begin; t < w->end; t++) norm_row(w, w->rows.x + t * ld, w->rows.h + t * ld, weight, NULL, n);
        src = w->rows.x;
    }
    pack_acts(w, w->rows.acts, src, ld, w->d->n_tok, n, true);
}

/* h += residual_scale * (post norm of out), row by row; then the norm of that sum, where the family has one. */
static void add_residual(struct view *w, bool normed, const float *weight, const float *sum_norm, const float *sum_bias)
{
    size_t n = w->s->n_dim, ld = pad16(n);
    for (size_t t = w->begin; t < w->end; t++) {
        const float *y = w->d->out + t * ld;
        float *x = w->rows.x + t * ld;
        if (normed) {
            norm_row(w, x, y, weight, NULL, n);
            y = x;
        }
        if (w->s->residual_scale != 1.0f) {
            w->k->scale(x, y, w->s->residual_scale, n);
            y = x;
        }
        w->k->add(w->rows.h + t * ld, y, n);
        if (w->s->sum_norm) norm_row(w, w->rows.h + t * ld, w->rows.h + t * ld, sum_norm, sum_bias, n);
    }
}

/* --- attention ----------------------------------------------------------------------------------------------------- */

/* Panels [begin, end) of the list of all panels of q, k and v. */
static void qkv_share(struct view *w, const clo_layer *l, size_t begin, size_t end)
{
    const clo_matrix *m[3] = {&l->q, &l->k, &l->v};
    const float *bias[3] = {l->q_bias, l->k_bias, l->v_bias};
    float *y[3] = {w->d->q, w->d->kk, w->d->v};
    size_t ld[3] = {w->d->q_cols, w->d->kv_cols, w->d->kv_cols};
    for (size_t i = 0, first = 0; i < 3; i++) {
        size_t n = panel_count(m[i]);
        size_t b = clo_max(begin, first), e = clo_min(end, first + n);
        if (b < e) {
            product(w, y[i], ld[i], m[i], bias[i], w->rows.acts, w->d->n_tok, b - first, e - first);
            for (size_t t = 0; w->s->qkv_clip > 0 && t < w->d->n_tok; t++) {
                float *part = y[i] + t * ld[i] + (b - first) * CLO_PANEL_ROWS;
                w->k->clamp(part, part, w->s->qkv_clip, (e - b) * CLO_PANEL_ROWS);
            }
        }
        first += n;
    }
}

/* q, k and v panels are dealt out as one list, so that small matrices do not leave a thread idle. */
static void qkv_products(struct view *w, const clo_layer *l)
{
    size_t n = panel_count(&l->q) + panel_count(&l->k) + panel_count(&l->v);
    for (size_t begin, end = 0; next_share(w, SHARED_QKV, n, &begin, &end);) qkv_share(w, l, begin, end);
}

static void norm_heads(struct view *w, float *x, const float *weight, size_t n_head)
{
    size_t d = w->s->head_dim;
    if (w->s->qk_norm == CLO_QK_NORM_FULL) w->k->rmsnorm(x, x, weight, n_head * d, w->s->norm_eps);
    if (w->s->qk_norm == CLO_QK_NORM_HEAD)
        for (size_t h = 0; h < n_head; h++) w->k->rmsnorm(x + h * d, x + h * d, weight, d, w->s->norm_eps);
}

static void rotate_heads(struct view *w, float *x, size_t n_head, uint32_t i_layer, size_t t)
{
    uint8_t which = w->s->layer_rope[i_layer];
    size_t half = w->s->n_rot / 2;
    if (!which) return;
    const float *c = w->d->cos[which - 1] + t * half, *s = w->d->sin[which - 1] + t * half;
    for (size_t h = 0; h < n_head; h++) w->k->rope(x + h * w->s->head_dim, c, s, w->s->n_rot);
}

static void finish_queries(struct view *w, const clo_layer *l, uint32_t i_layer, size_t t)
{
    float *q = w->d->q + t * w->d->q_cols;
    norm_heads(w, q, l->q_norm, w->s->n_head);
    rotate_heads(w, q, w->s->n_head, i_layer, t);
}

static void finish_keys(struct view *w, const clo_layer *l, uint32_t i_layer, size_t t)
{
    clo_decoder *d = w->d;
    const struct token *tok = &d->tokens[t];
    float *key = d->kk + t * d->kv_cols, *value = d->v + t * d->kv_cols;
    norm_heads(w, key, l->k_norm, w->s->n_kv_head);
    rotate_heads(w, key, w->s->n_kv_head, i_layer, t);
    uint8_t *block = (uint8_t *)(uintptr_t)tok->seq->blocks[tok->pos / CLO_KV_BLOCK] + i_layer * d->kv.layer_bytes;
    for (size_t h = 0; h < w->s->n_kv_head; h++) {
        uint8_t *head = block + h * 2 * d->kv.head_bytes;
        w->k->kv_store(head, head + d->kv.head_bytes, d->kv.dtype, key + h * w->s->head_dim, value + h * w->s->head_dim,
                       w->s->head_dim, tok->pos % CLO_KV_BLOCK);
    }
}

static void finish_qkv(struct view *w, const clo_layer *l, uint32_t i_layer)
{
    size_t begin, end; /* of all tokens' queries and keys in turn: different threads where there is but one token */
    clo_split(2 * w->d->n_tok, 1, w->i_thread, w->n_threads, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        if (i % 2 == 0)
            finish_queries(w, l, i_layer, i / 2);
        else
            finish_keys(w, l, i_layer, i / 2);
    }
}

/* Query heads of a work item: all that share a kv head read it together, which for a single token costs little more than
 * one head alone; but not where that would leave threads without work. */
static size_t heads_per_item(const struct view *w)
{
    const clo_decoder *d = w->d;
    size_t group = w->s->n_head / w->s->n_kv_head, n_chunks = 0;
    for (size_t g = 0; g < d->n_segments; g++) n_chunks += clo_ceil_div(d->segments[g].n, ATTEND_TOKENS);
    size_t head_cost = GROUP_COST + 1, group_cost = d->n_segments == d->n_tok ? GROUP_COST + group : head_cost * group;
    return clo_ceil_div(n_chunks * w->s->n_kv_head, w->n_threads) * group_cost <=
                   clo_ceil_div(n_chunks * w->s->n_head, w->n_threads) * head_cost
               ? group
               : 1;
}

static void attend_item(struct view *w, uint32_t i_layer, const struct segment *seg, size_t t0, size_t n_tok,
                        size_t head, size_t n_heads)
{
    clo_decoder *d = w->d;
    size_t group = w->s->n_head / w->s->n_kv_head, kv_head = head / group;
    size_t k_off = i_layer * d->kv.layer_bytes + kv_head * 2 * d->kv.head_bytes;
    clo_attn a = {
        .blocks = seg->seq->blocks,
        .k_off = k_off,
        .v_off = k_off + d->kv.head_bytes,
        .kv_dtype = d->kv.dtype,
        .head_dim = w->s->head_dim,
        .n_group = n_heads,
        .window = w->s->layer_window[i_layer],
        .n_seen = w->s->encoder ? seg->n : 0,
        .scale = w->s->attn_scale,
        .softcap = w->s->attn_softcap,
    };
    size_t first = seg->begin + t0, col = head * w->s->head_dim;
    w->k->attend(d->o + first * d->q_cols + col, d->q_cols, d->q + first * d->q_cols + col, d->q_cols, &a,
                 seg->pos0 + t0, n_tok, w->ts->attend);
}

/* Items are taken from a counter, the costly ones (late tokens) first; who does which shows in no bit. */
static void attention(struct view *w, uint32_t i_layer)
{
    clo_decoder *d = w->d;
    size_t n_heads = heads_per_item(w), heads = w->s->n_head / n_heads, n_items = 0;
    for (size_t g = 0; g < d->n_segments; g++) n_items += clo_ceil_div(d->segments[g].n, ATTEND_TOKENS) * heads;
    for (;;) {
        size_t taken = atomic_fetch_add_explicit(&d->taken[i_layer][SHARED_ATTEND], 1, memory_order_relaxed);
        if (taken >= n_items) return;
        size_t i = n_items - 1 - taken, g = 0, chunks;
        while (i >= (chunks = clo_ceil_div(d->segments[g].n, ATTEND_TOKENS)) * heads) i -= chunks * heads, g++;
        size_t t0 = i / heads * ATTEND_TOKENS;
        size_t n_tok = clo_min(ATTEND_TOKENS, d->segments[g].n - t0);
        attend_item(w, i_layer, &d->segments[g], t0, n_tok, i % heads * n_heads, n_heads);
    }
}

static void attention_layer(struct view *w, const clo_layer *l, uint32_t i_layer)
{
    clo_decoder *d = w->d;
    void *const *acts = w->few ? w->ts->acts_ff : d->acts_ff;
    norm_and_pack(w, w->s->pre_attn_norm, l->attn_norm);
    qkv_products(w, l);
    sync(w);
    finish_qkv(w, l, i_layer);
    sync(w);
    attention(w, i_layer);
    sync(w);
    pack_acts(w, acts, d->o, d->q_cols, d->n_tok, (size_t)w->s->n_head * w->s->head_dim, false);
    shared_product(w, SHARED_O, d->out, pad16(w->s->n_dim), &l->o, l->o_bias, acts);
    sync(w);
    add_residual(w, w->s->post_attn_norm, l->post_attn_norm, l->attn_sum_norm, l->attn_sum_norm_bias);
}

/* --- feed-forward -------------------------------------------------------------------------------------------------- */

static void activate(struct view *w, float *y, const float *gate, const float *up, size_t n)
{
    if (w->s->act == CLO_ACT_SILU)
        w->k->silu_mul(y, gate, up, n);
    else
        w->k->gelu_mul(y, gate, up, n);
}

/* f[:, cols] = act(up) for panels [begin, begin+n). */
static void up_group(struct view *w, const clo_layer *l, size_t begin, size_t n)
{
    float *f = w->d->f + begin * CLO_PANEL_ROWS;
    product(w, w->d->f, w->d->ff_cols, &l->up, l->up_bias, w->rows.acts, w->d->n_tok, begin, begin + n);
    for (size_t t = 0; t < w->d->n_tok; t++, f += w->d->ff_cols) w->k->gelu(f, f, n * CLO_PANEL_ROWS);
}

/* f[:, cols] = act(gate) * up for panels [begin, begin+n). */
static void gate_up_group(struct view *w, const clo_layer *l, size_t begin, size_t n)
{
    if (!w->s->gated) {
        up_group(w, l, begin, n);
        return;
    }
    clo_decoder *d = w->d;
    size_t cols = n * CLO_PANEL_ROWS, c0 = begin * CLO_PANEL_ROWS;
    clo_matrix gate = panels_of(&l->gate, begin, n), up = panels_of(&l->up, begin, n);
    product(w, w->ts->gate, cols, &gate, l->gate_bias ? l->gate_bias + c0 : NULL, w->rows.acts, d->n_tok, 0, n);
    product(w, w->ts->up, cols, &up, l->up_bias ? l->up_bias + c0 : NULL, w->rows.acts, d->n_tok, 0, n);
    for (size_t t = 0; t < d->n_tok; t++)
        activate(w, d->f + t * d->ff_cols + c0, w->ts->gate + t * cols, w->ts->up + t * cols, cols);
}

static void ffn_layer(struct view *w, const clo_layer *l)
{
    clo_decoder *d = w->d;
    void *const *acts = w->few ? w->ts->acts_ff : d->acts_ff;
    norm_and_pack(w, w->s->pre_ffn_norm, l->ffn_norm);
    for (size_t begin, end = 0; next_share(w, SHARED_FFN, panel_count(&l->up), &begin, &end);)
        gate_up_group(w, l, begin, end - begin);
    sync(w);
    pack_acts(w, acts, d->f, d->ff_cols, d->n_tok, w->s->n_ff, false);
    shared_product(w, SHARED_DOWN, d->out, pad16(w->s->n_dim), &l->down, l->down_bias, acts);
    sync(w);
    add_residual(w, w->s->post_ffn_norm, l->post_ffn_norm, l->ffn_sum_norm, l->ffn_sum_norm_bias);
}

/* --- the pass ------------------------------------------------------------------------------------------------------- */

/* x: a row for scratch. */
static void finish_embedding(struct view *w, float *h, float *x, size_t pos)
{
    const clo_model *m = w->d->model;
    const float *bias = NULL, *weight = clo_model_embed_norm(m, &bias);
    if (w->s->n_types > 0) {
        clo_model_type(m, x);
        w->k->add(h, x, w->s->n_dim);
    }
    if (w->s->learned_positions) {
        clo_model_position(m, x, pos);
        w->k->add(h, x, w->s->n_dim);
    }
    if (w->s->embed_norm) norm_row(w, h, h, weight, bias, w->s->n_dim);
}

static void embed_rows(struct view *w)
{
    size_t ld = pad16(w->s->n_dim);
    for (size_t t = w->begin; t < w->end; t++) {
        float *h = w->rows.h + t * ld;
        clo_model_embed(w->d->model, h, w->d->tokens[t].id);
        if (w->s->emb_scale != 1.0f) w->k->scale(h, h, w->s->emb_scale, w->s->n_dim);
        if (w->s->encoder) finish_embedding(w, h, w->rows.x + t * ld, w->d->tokens[t].pos);
    }
}

/* cos and sin of this thread's share of the tokens, for both tables that layers may use. */
static void rope_rows(struct view *w)
{
    clo_decoder *d = w->d;
    size_t half = w->s->n_rot / 2, begin, end;
    bool used[2] = {false, false};
    for (uint32_t i = 0; i < w->s->n_layer; i++)
        if (w->s->layer_rope[i]) used[w->s->layer_rope[i] - 1] = true;
    clo_split(d->n_tok, 1, w->i_thread, w->n_threads, &begin, &end);
    for (int r = 0; r < 2; r++) {
        double factor = w->s->rope[r].attn_factor;
        for (size_t t = begin; used[r] && t < end; t++)
            for (size_t i = 0; i < half; i++) {
                float angle = (float)d->tokens[t].pos * d->inv_freq[r][i];
                d->cos[r][t * half + i] = (float)(clo_cos_f64((double)angle) * factor);
                d->sin[r][t * half + i] = (float)(clo_sin_f64((double)angle) * factor);
            }
    }
}

/* Hidden states of this thread's rows that are wanted; every thread has those of few tokens. */
static void hidden_rows(struct view *w)
{
    size_t n = w->s->n_dim, ld = pad16(n);
    if (w->few && w->i_thread != 0) return;
    for (size_t t = w->begin; t < w->end; t++) {
        float *y = w->d->tokens[t].hidden, *h = w->rows.h + t * ld;
        if (!y) continue;
        if (w->s->encoder)
            memcpy(y, h, n * sizeof *y);
        else
            norm_row(w, y, h, clo_model_final_norm(w->d->model), NULL, n);
    }
}

/* Logits of the wanted rows [first, first+n), whose targets follow one another in memory. */
static void head_product(struct view *w, float *logits, size_t n, void *const acts[2])
{
    clo_decoder *d = w->d;
    const clo_matrix *head = clo_model_head(d->model);
    size_t begin, end;
    clo_split(panel_count(head), 1, w->i_thread, w->n_threads, &begin, &end);
    product(w, logits, d->stride, head, NULL, acts, n, begin, end);
    size_t c0 = begin * CLO_PANEL_ROWS, cols = (end - begin) * CLO_PANEL_ROWS;
    for (size_t t = 0; t < n && cols; t++) {
        float *row = logits + t * d->stride + c0;
        if (w->s->logit_scale != 1.0f) w->k->scale(row, row, w->s->logit_scale, cols);
        if (w->s->logit_softcap > 0) w->k->softcap(row, w->s->logit_softcap, cols);
    }
}

static void head_layer(struct view *w)
{
    clo_decoder *d = w->d;
    size_t n = w->s->n_dim, ld = pad16(n);
    const float *weight = clo_model_final_norm(d->model);
    if (!w->few) sync(w); /* rows of h were finished by their owners */
    for (size_t first = 0, run; first < d->n_out; first += run) {
        float *logits = d->tokens[d->out_rows[first]].logits;
        for (run = 1; first + run < d->n_out; run++)
            if (d->tokens[d->out_rows[first + run]].logits != logits + run * d->stride) break;
        size_t begin = 0, end = run;
        if (!w->few) clo_split(run, 1, w->i_thread, w->n_threads, &begin, &end);
        for (size_t i = begin; i < end; i++)
            norm_row(w, w->rows.x + i * ld, w->rows.h + d->out_rows[first + i] * ld, weight, NULL, n);
        pack_acts(w, w->rows.acts, w->rows.x, ld, run, n, true);
        head_product(w, logits, run, w->rows.acts);
        if (!w->few) sync(w);
    }
}

static void pass(void *ctx, size_t i_thread, size_t n_threads)
{
    clo_decoder *d = ctx;
    struct view w = {.d = d, .k = d->k, .s = d->spec, .ts = &d->threads[i_thread], .i_thread = i_thread,
                     .n_threads = n_threads, .few = d->n_tok <= FEW_TOKENS, .end = d->n_tok};
    w.rows = w.few ? w.ts->own : d->rows;
    if (!w.few) clo_split(d->n_tok, 1, i_thread, n_threads, &w.begin, &w.end);
    embed_rows(&w);
    rope_rows(&w);
    sync(&w);
    for (uint32_t i = 0; i < w.s->n_layer; i++) {
        const clo_layer *l = clo_model_layer(d->model, i);
        w.i_layer = i;
        attention_layer(&w, l, i);
        ffn_layer(&w, l);
    }
    hidden_rows(&w);
    head_layer(&w);
}

/* --- steps ----------------------------------------------------------------------------------------------------------- */

static bool steps_check(const clo_decoder *d, const clo_step *steps, size_t n_steps, clo_err *err)
{
    for (size_t i = 0; i < n_steps; i++) {
        const clo_step *st = &steps[i];
        if (st->n == 0 || st->n_logits > st->n) return clo_fail(err, CLO_ERR_USAGE, "step %zu: no tokens", i);
        if (st->n > st->seq->n_ctx - st->seq->len)
            return clo_fail(err, CLO_ERR_LIMIT, "context is full: %zu positions used, %zu more asked for, limit %zu",
                            st->seq->len, st->n, st->seq->n_ctx);
        if (d->spec->encoder && (st->n_logits > 0 || st->seq->len > 0 || st->n > d->spec->n_ctx))
            return clo_fail(err, CLO_ERR_UNSUPPORTED, "an encoder takes a text of up to %u tokens at once and gives no logits",
                            d->spec->n_ctx);
        for (size_t j = 0; j < st->n; j++)
            if (st->ids[j] < 0 || (uint32_t)st->ids[j] >= d->spec->n_vocab)
                return clo_fail(err, CLO_ERR_USAGE, "token id %d is outside the vocabulary of %u", st->ids[j],
                                d->spec->n_vocab);
    }
    return true;
}

/* Appends tokens [from, from+n) of a step to the pass in hand. */
static void add_segment(clo_decoder *d, const clo_step *st, size_t from, size_t n)
{
    struct segment *g = &d->segments[d->n_segments++];
    *g = (struct segment){st->seq, st->seq->len, d->n_tok, n};
    for (size_t j = 0; j < n; j++) {
        size_t in_step = from + j, first_logits = st->n - st->n_logits;
        float *logits = in_step >= first_logits ? st->logits + (in_step - first_logits) * d->stride : NULL;
        if (logits) d->out_rows[d->n_out++] = d->n_tok;
        float *hidden = st->hidden ? st->hidden + in_step * clo_decoder_hidden_stride(d) : NULL;
        d->tokens[d->n_tok++] = (struct token){st->seq, g->pos0 + j, st->ids[in_step], logits, hidden};
    }
    st->seq->len += n;
}

static void run_pass(clo_decoder *d)
{
    /* The first pass starts from the mapped file; later ones move the weights a little each. */
    if (d->started && d->settling)
        d->settling = clo_model_settle(d->model, d->pool, SETTLE_BYTES * (1 + d->n_tok / SETTLE_TOKENS));
    d->started = true;
    for (uint32_t i = 0; i < d->spec->n_layer; i++)
        for (int work = 0; work < N_SHARED; work++)
            atomic_store_explicit(&d->taken[i][work], 0, memory_order_relaxed);
    clo_pool_run(d->pool, pass, d);
    d->n_tok = d->n_segments = d->n_out = 0;
}

bool clo_decoder_run(clo_decoder *d, const clo_step *steps, size_t n_steps, clo_err *err)
{
    if (!steps_check(d, steps, n_steps, err)) return false;
    d->n_tok = d->n_segments = d->n_out = 0;
    for (size_t i = 0; i < n_steps; i++) {
        if (d->spec->encoder && steps[i].n > d->n_tok_max - d->n_tok) run_pass(d); /* a text is never cut */
        for (size_t from = 0, n; from < steps[i].n; from += n) {
            n = clo_min(steps[i].n - from, d->n_tok_max - d->n_tok);
            add_segment(d, &steps[i], from, n);
            if (d->n_tok == d->n_tok_max) run_pass(d);
        }
    }
    if (d->n_tok) run_pass(d);
    return true;
}
