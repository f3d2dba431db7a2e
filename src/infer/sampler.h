/* Choosing the next token from a row of logits.
 *
 * A choice is a pure function of (logits, parameters, seed, tokens so far, output index): the same on every machine,
 * whatever else happened before. Equal values are ordered by the lower id; draws come from Philox by output index, so a
 * generation may be cut, resumed, speculated or checked out of order. docs/profile-n1-sampling.md states each
 * operation for a stranger; names and order follow llama.cpp (or Hugging Face's generate, with CLO_SAMPLER_ORDER_HF).
 *
 *   clo_sampler *s = NULL;
 *   if (!clo_sampler_open(&s, &params, seed, n_vocab, &err)) ...
 *   if (!clo_sampler_pick(s, &id, logits, history, n_history, i_output, &err)) ...
 */
#ifndef CLO_INFER_SAMPLER_H
#define CLO_INFER_SAMPLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "infer/ranking.h"

typedef enum {
    CLO_SAMPLER_ORDER_LLAMA = 0, /* top-n-sigma, top-k, typical, top-p, min-p, XTC, temperature */
    CLO_SAMPLER_ORDER_HF,        /* temperature, top-k, top-p, min-p, typical, top-n-sigma, XTC */
} clo_sampler_order;

#define CLO_LOGIT_BIAS_MAX 1024

typedef struct {
    int32_t id;
    float bias; /* added to the logit; -infinity bans the token */
} clo_logit_bias;

/* All zero: greedy, nothing else. */
typedef struct {
    clo_sampler_order order;
    float temp;                 /* <= 0: the largest logit after penalties, lowest id first */
    int32_t top_k;              /* keep exactly k; <= 0: off */
    float top_p;                /* <= 0 or >= 1: off */
    float min_p;                /* <= 0: off */
    float typical_p;            /* <= 0 or >= 1: off */
    float top_n_sigma;          /* <= 0: off */
    float xtc_probability;      /* <= 0: off */
    float xtc_threshold;        /* > 0.5: off */
    float repeat_penalty;       /* 0 or 1: off */
    float presence_penalty;     /* 0: off */
    float frequency_penalty;    /* 0: off */
    int32_t penalty_last_n;     /* window of the penalties: last n tokens, prompt included; -1: all; 0: 64 */
    const clo_logit_bias *bias; /* [n_bias] borrowed for the sampler's life */
    size_t n_bias;              /* at most CLO_LOGIT_BIAS_MAX */
} clo_sampler_params;

/* What `cloche run` uses when neither the user nor the model says otherwise (llama.cpp's defaults): temperature 0.8,
 * top-k 40, top-p 0.95, min-p 0.05. */
clo_sampler_params clo_sampler_defaults(void);

/* CLO_ERR_USAGE when a value is out of its range (NaN, negative temperature, penalties of 0 or less ...). */
CLO_CHECK bool clo_sampler_check(const clo_sampler_params *p, clo_err *err);

typedef struct clo_sampler clo_sampler;

/* n_vocab: ids that may be chosen are [0, n_vocab): the smaller of the tokenizer's and the model's, so that rows that
 * only pad the embedding are never drawn. All memory is taken here. */
CLO_CHECK bool clo_sampler_open(clo_sampler **out, const clo_sampler_params *p, uint64_t seed, size_t n_vocab,
                                clo_err *err);
void clo_sampler_close(clo_sampler *s);
const clo_sampler_params *clo_sampler_params_of(const clo_sampler *s);

/* Chooses a token.
 *   logits     [n_vocab at least] scratch: penalties and bias are written into it
 *   history    [n_history] all tokens before this one, prompt included
 *   i_output   index of this token in the output, from 0: the step of its draw
 * CLO_ERR_FORMAT when a logit is NaN or +infinity, or when none is left. Allocates nothing. */
CLO_CHECK bool clo_sampler_pick(clo_sampler *s, int32_t *id, float *logits, const int32_t *history, size_t n_history,
                                uint64_t i_output, clo_err *err);

/* Forbids by a bitset: of logits [n], those whose bit is 0 become -infinity. Id i is bit i % 32 of allowed[i / 32], as
 * grammar engines (llguidance, XGrammar) write it. Called before a pick; bias and penalties cannot bring back what is
 * forbidden. */
void clo_logits_keep(float *logits, const uint32_t *allowed, size_t n);

#define CLO_LOGPROB_NONE (-1e300)

/* out[i] = ln of the softmax of logits[ids[i]] over all n: the log-probabilities that clients are told, before
 * temperature and stages. Call it before a pick, which writes its bias and penalties into the logits. The sum is
 * computed once for all ids; with clo_top_logits it gives the likeliest tokens beside the chosen one.
 *   out, ids   [n_ids]
 * CLO_LOGPROB_NONE for an id outside [0, n), and for all when a logit is NaN or +infinity or none is finite; -infinity
 * for an id at -infinity, which JSON cannot say. */
void clo_logprobs(double *out, const int32_t *ids, size_t n_ids, const float *logits, size_t n);
double clo_logprob(const float *logits, size_t n, int32_t id);

#endif
