/* One answer, as a machine that asks for passes of the decoder: clo_gen_run drives one at a time, the scheduler many at
 * once. What a pass carries besides, and how a prompt is cut, show in no bit of it. Private to infer/.
 *
 *   clo_answer *a = NULL;
 *   if (!clo_answer_open(&a, model, &opts, prompt, n_prompt, n_ctx, &err) || !clo_answer_begin(a, &err)) ...
 *   while (!a->done) {
 *       clo_want w = clo_answer_want(a, clo_seq_len(seq), limits);   // tokens for the next pass
 *       clo_seq_truncate(seq, w.begin);
 *       ... clo_decoder_run with a step of w.ids, w.n, w.n_logits, logits ...
 *       ... clo_answer_score(a, i, row i) for i < w.n_scored: in any order, on any threads ...
 *       if (!clo_answer_take(a, logits, seconds, &err)) ...          // tokens are chosen
 *   }
 *   clo_answer_result(a, &result);
 *   clo_answer_close(a);
 *
 * A prompt that becomes a vector is pooled pass by pass (clo_answer_pool) instead of scored and taken.
 *
 * The sequence may be longer or shorter than the machine last saw: what is missing is asked for again. */
#ifndef CLO_INFER_ANSWER_H
#define CLO_INFER_ANSWER_H

#include "base/digest.h"
#include "infer/embed.h"
#include "infer/generate.h"
#include "infer/lookup.h"
#include "infer/sampler.h"
#include "infer/scheduler.h"
#include "infer/stream.h"

#define CLO_ANSWER_ROWS (1 + CLO_DRAFT_MAX) /* rows of logits for the newest token and all guesses */
#define CLO_SCORE_ROWS_MAX 64                /* rows in one pass while a prompt is scored */

/* What is pointed at is borrowed until close. */
typedef struct {
    const clo_sampler_params *sampler; /* NULL: greedy */
    uint64_t seed;
    size_t n_max;
    const clo_str *stops; /* [n_stops] */
    size_t n_stops;
    bool ignore_stop_ids, show_special, chain;
    int n_top;            /* < 0: no log-probabilities */
    bool prompt_logprobs; /* with n_top >= 0 */
    bool prompt_only;     /* with prompt_logprobs */
    bool embed;           /* the prompt's vector (embed.h) and no output */
    void (*mask)(void *ctx, float *logits, size_t n_vocab, const int32_t *ids, size_t n_ids);
    void *mask_ctx;
    /* Each token as soon as it is known, inside begin and take; the event lives as long as the call. False cancels. */
    bool (*on_token)(void *ctx, const clo_task_event *event);
    void *ctx;
} clo_answer_opts;

/* Tokens to append to the sequence at position `begin`. */
typedef struct {
    size_t begin;
    const int32_t *ids; /* [n] */
    size_t n;
    size_t n_logits;    /* rows of logits of the last tokens */
    size_t n_scored;    /* of those, the first ones only give log-probabilities of the prompt */
    bool hidden;        /* the hidden state of each token instead, for clo_answer_pool */
} clo_want;

typedef struct {
    size_t n_tok;  /* tokens at most, >= 1 */
    size_t n_rows; /* rows at most, >= 1 */
    bool lookup;   /* guesses may be added, up to n_rows in all */
} clo_want_limits;

/* Log-probabilities of one row. */
typedef struct {
    clo_task_logprob chosen, top[CLO_TASK_TOP_MAX];
} clo_score;

typedef struct {
    const clo_model *model;
    clo_answer_opts o;
    size_t n_vocab, stride, n_ctx;
    int32_t stop_ids[64];
    size_t n_stop_ids;

    int32_t *ids; /* [n_prompt + n_max + CLO_DRAFT_MAX] owned: prompt, output, guesses */
    size_t n_prompt, n_out, n_max;
    size_t n_told;     /* prompt tokens whose events are out */
    clo_want want;     /* the pass in hand */
    size_t n_draft;    /* guesses in it */
    bool done;

    clo_sampler *sampler; /* owned, from begin to the end */
    float *raw;           /* [n_vocab] owned: a row before penalties; NULL when no log-probabilities are told */
    clo_score *scores;    /* [CLO_SCORE_ROWS_MAX] owned: of the prompt rows of a pass; NULL when none are told */
    clo_sha256 *chain;    /* [n_max] owned, or NULL */
    clo_stream stream, prompt_text;
    clo_lookup look;
    double begin_s;       /* when the first pass was asked for; 0: not yet */
    clo_pooled pooled;    /* of a prompt that becomes a vector */
    clo_gen_result r;     /* counts and times */
} clo_answer;

/* Checks everything and copies the prompt. CLO_ERR_USAGE, CLO_ERR_LIMIT as clo_gen_run. */
CLO_CHECK bool clo_answer_open(clo_answer **out, const clo_model *m, const clo_answer_opts *o, const int32_t *prompt,
                               size_t n_prompt, size_t n_ctx, clo_err *err);
void clo_answer_close(clo_answer *a);
/* Takes the memory that passes need. */
CLO_CHECK bool clo_answer_begin(clo_answer *a, clo_err *err);
/* Gives it back, once done; the result stays. */
void clo_answer_end(clo_answer *a);

/* Positions that the sequence must hold before a token can be chosen. */
static inline size_t clo_answer_len(const clo_answer *a)
{
    return a->n_prompt + a->n_out;
}

/* Positions at the beginning of the text that need no pass when the sequence already has them. */
size_t clo_answer_reusable(const clo_answer *a);
clo_want clo_answer_want(clo_answer *a, size_t n_seq, clo_want_limits most);
void clo_answer_score(clo_answer *a, size_t i, const float *row);
/* step_s: the decoder's time for a pass that carried nothing else, from which lookup learns; 0: it carried more. */
CLO_CHECK bool clo_answer_take(clo_answer *a, float *logits, double step_s, clo_err *err);
/* Instead of take, after a pass whose want says hidden: rows of its tokens. */
void clo_answer_pool(clo_answer *a, const float *hidden, size_t stride);
void clo_answer_cancel(clo_answer *a);
/* Lives until close. */
void clo_answer_result(const clo_answer *a, clo_gen_result *out);

#endif
