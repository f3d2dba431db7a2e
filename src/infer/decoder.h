/* The decoder: one forward pass for every family, over any mix of sequences.
 *
 * A sequence (clo_seq) is a KV cache with a length. A step appends tokens to sequences and gives logits, or the hidden
 * states behind them; how tokens are cut into steps, what else is in the same call, and the number of threads show in no
 * bit of the result.
 *
 *   clo_decoder *d = NULL;  clo_seq *s = NULL;
 *   if (!clo_decoder_open(&d, model, pool, (clo_decoder_opts){0}, &err)) ...
 *   if (!clo_seq_open(&s, d, 4096, &err)) ...
 *   clo_step st = { .seq = s, .ids = ids, .n = n, .n_logits = 1, .logits = row };
 *   if (!clo_decoder_run(d, &st, 1, &err)) ...
 *
 * An encoder's sequence takes its whole text in one step, and gives hidden states only.
 *
 * One thread calls into a decoder at a time; the work inside runs on the pool.
 */
#ifndef CLO_INFER_DECODER_H
#define CLO_INFER_DECODER_H

#include "base/err.h"
#include "base/thread.h"
#include "model/model.h"

typedef struct clo_decoder clo_decoder;
typedef struct clo_seq clo_seq;

typedef struct {
    size_t n_tok_max;  /* tokens computed at once (prefill chunk); more in a step are cut; 0 means 512. An encoder takes a
                        * text's n_ctx at once in any case */
} clo_decoder_opts;

/* model and pool are borrowed and outlive the decoder; the model's weights settle (model.h) between passes, so one decoder
 * at a time works with a model. Buffers are allocated here, none in a run. */
CLO_CHECK bool clo_decoder_open(clo_decoder **out, clo_model *m, clo_pool *pool, clo_decoder_opts opts,
                                clo_err *err);
void clo_decoder_close(clo_decoder *d);
const clo_model *clo_decoder_model(const clo_decoder *d);
/* Whether weights are still on their way to where they stream fastest: later passes will be quicker. */
bool clo_decoder_settling(const clo_decoder *d);
/* Floats of one row of logits as clo_decoder_run writes it: n_vocab rounded up to 16. */
size_t clo_decoder_logits_stride(const clo_decoder *d);
/* The same of a hidden state: n_dim rounded up to 16. */
size_t clo_decoder_hidden_stride(const clo_decoder *d);
/* Tokens that one pass takes. */
size_t clo_decoder_pass_tokens(const clo_decoder *d);

/* A sequence that may grow to n_ctx positions. Memory is taken in blocks of 64 positions as it grows. */
CLO_CHECK bool clo_seq_open(clo_seq **out, clo_decoder *d, size_t n_ctx, clo_err *err);
void clo_seq_close(clo_seq *s);
size_t clo_seq_len(const clo_seq *s);   /* positions computed */
size_t clo_seq_ctx(const clo_seq *s);   /* positions it may hold */
/* Forgets positions >= n (<= len): to reuse a prefix, or to take back rejected speculation. */
void clo_seq_truncate(clo_seq *s, size_t n);
uint64_t clo_seq_bytes(const clo_seq *s);
/* Bytes of KV cache that n positions of this model take. */
uint64_t clo_decoder_kv_bytes(const clo_decoder *d, size_t n_positions);

typedef struct {
    clo_seq *seq;       /* positions [len, len + n) are appended; a sequence stands in one step of a call only */
    const int32_t *ids; /* [n], each in [0, n_vocab) */
    size_t n;           /* > 0 */
    size_t n_logits;    /* logits of the last n_logits tokens are wanted, 0..n */
    float *logits;      /* [n_logits, clo_decoder_logits_stride] out, 64-byte aligned; ids >= n_vocab are fill */
    float *hidden;      /* [n, clo_decoder_hidden_stride] out, 64-byte aligned: each token's last hidden state, after the
                         * final norm; NULL: not wanted */
} clo_step;

/* Computes all steps. CLO_ERR_LIMIT when a sequence would pass its n_ctx, CLO_ERR_USAGE for an id outside the
 * vocabulary, CLO_ERR_UNSUPPORTED for what an encoder does not do; nothing is appended then. */
CLO_CHECK bool clo_decoder_run(clo_decoder *d, const clo_step *steps, size_t n_steps, clo_err *err);

#endif
