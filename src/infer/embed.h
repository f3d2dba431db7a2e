/* Texts to vectors: the last hidden states of a text's tokens, pooled as the model's files say, brought to length 1.
 *
 *   clo_ids ids = {0};
 *   if (!clo_embed_encode(&ids, model, text, clo_embed_tokens_max(model), true, &err)) ...
 *   if (!clo_embed_run(decoder, &ids, 1, vector, &err)) ...        // float vector[n_dim]
 *
 * Each text has its own rows and its own sequence: no padding, so what else is computed at once shows in no bit of it. A
 * server's texts are tasks of its scheduler (scheduler.h, `embed`), which pools with the same functions.
 * Law: docs/profile-n1.md, section 8, Vectors of texts. Source: sentence_transformers, models/Pooling.py and Normalize.py. */
#ifndef CLO_INFER_EMBED_H
#define CLO_INFER_EMBED_H

#include "base/err.h"
#include "infer/decoder.h"
#include "model/model.h"

/* CLO_ERR_UNSUPPORTED when the model's files say of no pooling: its vectors would mean nothing. */
CLO_CHECK bool clo_embed_can(const clo_model *m, clo_err *err);
/* Tokens of a text at most, as the model was made for. */
size_t clo_embed_tokens_max(const clo_model *m);

/* The tokens of a text with what the tokenizer puts around it, appended to nothing: *out is emptied. A text of more than
 * n_max tokens: with truncate, tokens of the text's end are left out, and what stands around it stays; without,
 * CLO_ERR_LIMIT (err->at: its tokens). */
CLO_CHECK bool clo_embed_encode(clo_ids *out, const clo_model *m, clo_str text, size_t n_max, bool truncate, clo_err *err);

/* vectors[i, :] of texts[i], for i < n: [n, n_dim] out, n_dim of the model's spec. A text without tokens is CLO_ERR_USAGE. */
CLO_CHECK bool clo_embed_run(clo_decoder *d, const clo_ids *texts, size_t n, float *vectors, clo_err *err);

/* Whether vectors of this length may be had: the model's own, or the first numbers of it where it was trained for that. */
bool clo_embed_length_ok(const clo_model *m, size_t n_dim);
/* v [n] times 1 / its length; one of length 0 stays. */
void clo_embed_normalise(float *v, size_t n);

/* --- pooling, one text at a time ----------------------------------------------------------------------------------*/

typedef struct {
    clo_pool_kind kind;
    size_t n_dim, n_seen; /* tokens taken so far */
    float *v;             /* [n_dim] owned */
} clo_pooled;

CLO_CHECK bool clo_pooled_open(clo_pooled *p, const clo_model *m, clo_err *err);
void clo_pooled_close(clo_pooled *p); /* valid on a zeroed struct */
/* The hidden states of tokens [first, first + n), first <= n_seen; those that were taken before count once. */
void clo_pooled_add(clo_pooled *p, const float *hidden, size_t stride, size_t first, size_t n);
/* After the last token: p->v is the text's vector. */
void clo_pooled_end(clo_pooled *p);

#endif
