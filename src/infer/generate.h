/* Generation: from prompt ids to output ids and text.
 *
 * A clo_gen holds one sequence and remembers its tokens, so a prompt that begins like the last conversation computes
 * only what is new. Speculation by prompt lookup (Saxena 2023) guesses that the text goes on as it did after the last
 * occurrence of the newest tokens, computes the guesses in one batch and keeps those that the sampler would have chosen
 * anyway: the output is the same token for token, for greedy and for sampling, because draws are keyed by position and
 * batched logits have the bits of single ones.
 *
 *   clo_gen *g = NULL;
 *   if (!clo_gen_open(&g, decoder, 0, &err)) ...
 *   clo_gen_opts o = { .sampler = &params, .seed = 1, .n_max = 128, .on_text = print, .ctx = stdout };
 *   if (!clo_gen_run(g, prompt.ids, prompt.n, &o, &result, &err)) ...
 *   clo_gen_close(g);
 */
#ifndef CLO_INFER_GENERATE_H
#define CLO_INFER_GENERATE_H

#include "base/digest.h"
#include "base/err.h"
#include "base/slice.h"
#include "infer/decoder.h"
#include "infer/sampler.h"

#define CLO_CHAIN_TOP 8 /* largest logits that a link of the chain covers */

typedef struct clo_gen clo_gen;

typedef enum {
    CLO_FINISH_STOP,      /* the model ended: a stop id */
    CLO_FINISH_TEXT,      /* a stop string */
    CLO_FINISH_LENGTH,    /* n_max tokens, or the context is full */
    CLO_FINISH_CANCELLED, /* on_text or cancelled said so */
} clo_finish;

/* "stop" (both kinds), "length", "cancelled": as OpenAI names them. */
const char *clo_finish_name(clo_finish f);

typedef struct {
    const clo_sampler_params *sampler; /* NULL: greedy */
    uint64_t seed;
    size_t n_max;         /* output tokens; 0: until the model stops or the context is full */
    const clo_str *stops; /* [n_stops] stop strings: cut from the text */
    size_t n_stops;
    bool ignore_stop_ids;                     /* go on after the model's own end (for timing) */
    bool lookup;                              /* speculate by prompt lookup */
    bool chain;                               /* compute the logits chain of a receipt */
    bool show_special;                        /* text of special tokens too */
    bool (*on_text)(void *ctx, clo_str text); /* newly safe text, whole characters; false cancels; may be NULL */
    bool (*cancelled)(void *ctx); /* asked before each pass of the decoder: true ends the run; may be NULL */
    /* Forbids tokens (a grammar): called before each token is chosen, in order, with the ids [n_ids] of the output so
     * far; what it sets to -infinity in logits [n_vocab] cannot come (clo_logits_keep). Guesses of lookup do not
     * disturb it. The chain covers logits as they were before it. May be NULL. */
    void (*mask)(void *ctx, float *logits, size_t n_vocab, const int32_t *ids, size_t n_ids);
    void *ctx;
} clo_gen_opts;

typedef struct {
    const int32_t *ids; /* [n_ids] output, the stop id included; lives until the next run */
    size_t n_ids;
    clo_str text;            /* UTF-8, without stop strings and the stop id; lives until the next run */
    const clo_sha256 *chain; /* [n_ids] g_1 .. g_n, or NULL */
    clo_finish finish;
    bool context_full;            /* finish is LENGTH because no position was left */
    size_t n_prompt, n_reused;    /* prompt tokens, and those of them that were computed before */
    size_t n_steps;               /* calls of the decoder after the prompt */
    size_t n_drafted, n_accepted; /* tokens guessed by lookup, and those kept */
    double prefill_s, decode_s;   /* wall time until the first logits, and of everything after */
} clo_gen_result;

/* n_ctx 0: the model's trained context. The decoder is borrowed. */
CLO_CHECK bool clo_gen_open(clo_gen **out, clo_decoder *d, size_t n_ctx, clo_err *err);
void clo_gen_close(clo_gen *g);
size_t clo_gen_ctx(const clo_gen *g);
/* Tokens of the last run, prompt and output; the next run reuses what its prompt shares with them. */
const int32_t *clo_gen_history(const clo_gen *g, size_t *n);
/* Forgets the sequence, so that the next run computes everything. */
void clo_gen_forget(clo_gen *g);

/* CLO_ERR_LIMIT when the prompt leaves no room in the context, CLO_ERR_USAGE when it is empty or holds an id outside the
 * vocabulary; CLO_ERR_FORMAT when mask leaves no token. */
CLO_CHECK bool clo_gen_run(clo_gen *g, const int32_t *prompt, size_t n_prompt, const clo_gen_opts *opts,
                           clo_gen_result *out, clo_err *err);

/* Every id that ends an answer: the spec's and the tokenizer's. Returns how many, at most max. */
size_t clo_gen_stop_ids(const clo_model *m, int32_t *out, size_t max);
/* Ids that may be chosen: the smaller of the model's and the tokenizer's vocabulary. */
size_t clo_gen_vocab(const clo_model *m);

/* Link i of the logits chain (docs/formats/receipt.md):
 *   g_i = SHA-256(0x02 || g_{i-1} || token_i as le32 || 8 times (logit bits as le32, id as le32), largest first)
 * over the raw logits of the first n ids, before penalties; g_0 is 32 zero bytes. */
clo_sha256 clo_chain_link(const clo_sha256 *before, int32_t token, const clo_top top[CLO_CHAIN_TOP]);

#endif
