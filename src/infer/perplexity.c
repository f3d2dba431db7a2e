/* See perplexity.h. Rows are scored on all threads, each row by one; the sums are added in the order of the text. */
#include "infer/perplexity.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "infer/sampler.h"
#include "tensor/mathf.h"

#define ROWS_AT_ONCE 32

typedef struct {
    const float *rows;
    size_t stride, n_rows, n_vocab;
    const int32_t *next; /* [n_rows] the token that follows */
    double *logprob;     /* [n_rows] */
} score_job;

static void score_rows(void *ctx, size_t i_thread, size_t n_threads)
{
    const score_job *s = (const score_job *)ctx;
    for (size_t i = i_thread; i < s->n_rows; i += n_threads)
        s->logprob[i] = clo_logprob(s->rows + i * s->stride, s->n_vocab, s->next[i]);
}

typedef struct {
    clo_decoder *d;
    clo_pool *pool;
    clo_seq *seq;
    int32_t *ids;   /* [n_ctx] the window */
    float *rows;    /* [ROWS_AT_ONCE, stride] */
    double sum, sum_sq;
    size_t n;
} state;

static bool score_window(state *s, size_t n_ctx, clo_err *err)
{
    size_t first = n_ctx / 2;
    double logprob[ROWS_AT_ONCE];
    clo_seq_truncate(s->seq, 0);
    const clo_step head = {.seq = s->seq, .ids = s->ids, .n = first};
    if (!clo_decoder_run(s->d, &head, 1, err)) return false;
    for (size_t at = first; at + 1 < n_ctx;) {
        size_t n = clo_min(ROWS_AT_ONCE, n_ctx - 1 - at);
        const clo_step st = {.seq = s->seq, .ids = s->ids + at, .n = n, .n_logits = n, .logits = s->rows};
        if (!clo_decoder_run(s->d, &st, 1, err)) return false;
        score_job job = {s->rows, clo_decoder_logits_stride(s->d), n,
                         clo_model_spec(clo_decoder_model(s->d))->n_vocab, s->ids + at + 1, logprob};
        clo_pool_run(s->pool, score_rows, &job);
        for (size_t i = 0; i < n; i++) {
            s->sum -= logprob[i];
            s->sum_sq += logprob[i] * logprob[i];
            s->n++;
        }
        at += n;
    }
    return true;
}

bool clo_perplexity_of(clo_perplexity *out, clo_decoder *d, clo_pool *pool, const int32_t *ids, size_t n, size_t n_ctx,
                       bool add_bos, clo_progress_fn *progress, void *ctx, clo_err *err)
{
    state s = {.d = d, .pool = pool};
    const clo_spec *spec = clo_model_spec(clo_decoder_model(d));
    size_t n_windows = n_ctx ? n / n_ctx : 0;
    bool ok = false;

    *out = (clo_perplexity){.n_tokens = n, .n_windows = n_windows};
    if (n_ctx < 4) return clo_fail(err, CLO_ERR_USAGE, "windows of %zu tokens", n_ctx);
    if (n_windows == 0)
        return clo_fail(err, CLO_ERR_USAGE, "the text has %zu tokens, fewer than one window of %zu (--ctx)", n, n_ctx);
    s.ids = (int32_t *)calloc(n_ctx, sizeof *s.ids);
    s.rows = (float *)aligned_alloc(64, clo_round_up(ROWS_AT_ONCE * clo_decoder_logits_stride(d) * sizeof(float), 64));
    if (!s.ids || !s.rows) {
        clo_fail(err, CLO_ERR_MEMORY, "perplexity");
        goto done;
    }
    if (!clo_seq_open(&s.seq, d, n_ctx, err)) goto done;
    for (size_t w = 0; w < n_windows; w++) {
        memcpy(s.ids, ids + w * n_ctx, n_ctx * sizeof *s.ids);
        if (add_bos && spec->bos_id >= 0) s.ids[0] = spec->bos_id;
        if (!score_window(&s, n_ctx, err)) goto done;
        if (progress) progress(ctx, "perplexity", w + 1, n_windows);
    }
    double mean = s.sum / (double)s.n, var = s.sum_sq / (double)s.n - mean * mean;
    out->n_scored = s.n;
    out->nll = mean;
    out->ppl = clo_exp_f64(mean);
    if (s.n > 1 && var > 0) {
        double v = var / (double)(s.n - 1);
        out->stderr_ppl = clo_pow_f64(v, 0.5) * out->ppl;
    }
    ok = true;
done:
    clo_seq_close(s.seq);
    free(s.rows);
    free(s.ids);
    return ok;
}
