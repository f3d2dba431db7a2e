/* The scheduler: many answers at once from one model.
 *
 * A task is one answer. Every pass of the decoder carries tokens of many tasks: one or more of each that is answering, and
 * pieces of the prompts of those that are not yet. What else is in a pass, what was cached, and how a prompt was cut show
 * in no bit, so a task's tokens, text, chain and log-probabilities are those of the same run alone (generate.h).
 *
 *   clo_sched *s = NULL;  clo_task *t = NULL;
 *   if (!clo_sched_open(&s, model, pool, (clo_sched_opts){0}, &err)) ...
 *   if (!clo_task_start(&t, s, &opts, &err)) ...
 *   while (clo_task_take(t, &event)) ...          // never waits; opts.notify says when there may be more
 *   if (clo_task_state(t, &place) == CLO_TASK_DONE) { const clo_task_result *r = clo_task_result_of(t); ... }
 *   clo_task_close(t);
 *   clo_sched_close(s);
 *
 * A task may ask for the vector of its prompt instead (embed.h): the same line, shares and passes.
 *
 * Fairness: tasks belong to keys (a user, a program). Keys with work get equal shares of the machine's time, by weight;
 * within a key, first come, first served. KV memory is taken in blocks of 64 positions under one ceiling; whole blocks
 * that begin the same way are shared, and kept after their task until the room is needed. When blocks run out, the task
 * that came last gives its own back and computes them again later: the same bits.
 *
 * A scheduler has one thread of its own, which computes. All functions here may be called from any thread (take, state,
 * result and close of one task: by one at a time), and none but clo_sched_open, _close and _run waits for the decoder. */
#ifndef CLO_INFER_SCHEDULER_H
#define CLO_INFER_SCHEDULER_H

#include "base/digest.h"
#include "base/err.h"
#include "base/slice.h"
#include "base/thread.h"
#include "infer/generate.h"
#include "infer/sampler.h"
#include "model/model.h"

#define CLO_TASK_TOP_MAX 20  /* likeliest tokens told beside each */
#define CLO_TASK_KEY_MAX 64  /* bytes of a key's name, its NUL included */

typedef struct clo_sched clo_sched;
typedef struct clo_task clo_task;

typedef struct {
    size_t n_ctx;           /* positions a task may have; 0: the model's trained context; at most what kv_bytes_max holds */
    uint64_t kv_bytes_max;  /* ceiling of KV memory, of running tasks and of what is kept; 0: 1 GiB or one context,
                             * whichever is more, but no more than half of the memory that is left */
    size_t n_running_max;   /* tasks that answer at once; 0: 32 */
    size_t n_waiting_max;   /* tasks in line; 0: 512 */
    size_t n_pass_tokens;   /* tokens of one pass at most; 0: 512 */
    clo_turn *turn;         /* held during each pass, for schedulers that share a pool; NULL: none others */
} clo_sched_opts;

/* model and pool are borrowed and outlive the scheduler. */
CLO_CHECK bool clo_sched_open(clo_sched **out, clo_model *m, clo_pool *pool, clo_sched_opts opts, clo_err *err);
/* Ends every task as cancelled and waits for the pass in hand. Tasks are closed by their owners, before or after. */
void clo_sched_close(clo_sched *s);
const clo_model *clo_sched_model(const clo_sched *s);
size_t clo_sched_ctx(const clo_sched *s);
/* What clo_receipt_make asks of it; only clo_sched_run may run it. */
const clo_decoder *clo_sched_decoder(const clo_sched *s);

/* Calls fn on the scheduler's thread between two passes and waits for it: to replay a receipt, to measure. The decoder is
 * fn's own meanwhile, nothing else is computed. Not from a notify. CLO_ERR_DENIED when the scheduler is closing. */
CLO_CHECK bool clo_sched_run(clo_sched *s, void (*fn)(void *ctx, clo_decoder *d), void *ctx, clo_err *err);

typedef struct {
    size_t n_running, n_waiting;
    uint64_t kv_bytes, kv_bytes_used, kv_bytes_max; /* taken from the system; by running tasks; ceiling */
    uint64_t n_prompt, n_cached, n_output;  /* tokens since opening: of prompts, of those that were not computed again, of answers */
    uint64_t n_passes, n_pass_tokens;
    uint64_t n_preempted;                   /* times that a running task went back into the line */
} clo_sched_stats;
void clo_sched_stats_of(clo_sched *s, clo_sched_stats *out);

/* Everything pointed at is copied. */
typedef struct {
    const int32_t *prompt;  /* [n_prompt] */
    size_t n_prompt;
    const clo_sampler_params *sampler; /* NULL: greedy; `bias` is copied too */
    uint64_t seed;
    size_t n_max;           /* output tokens; 0: until the model or the context ends */
    bool prompt_only;       /* no output: for prompt_logprobs */
    bool embed;             /* no output: the vector of the prompt, in the result; no event comes */
    const clo_str *stops;   /* [n_stops] */
    size_t n_stops;
    bool ignore_stop_ids, show_special;
    bool chain;             /* the logits chain of a receipt */
    bool lookup;            /* speculate by prompt lookup while the machine has nothing else to do */
    int n_top;              /* -1: no log-probabilities; 0..CLO_TASK_TOP_MAX: those of the likeliest beside each */
    bool prompt_logprobs;   /* events for the prompt's tokens too, before the output's */
    const char *key;        /* whose share it uses; NULL: "" */
    double weight;          /* of the key, > 0; 0: 1 */
    /* Forbids tokens, as clo_gen_opts.mask; called on the scheduler's threads, for one task by one at a time. */
    void (*mask)(void *ctx, float *logits, size_t n_vocab, const int32_t *ids, size_t n_ids);
    void (*mask_free)(void *ctx); /* called once, when the scheduler needs mask_ctx no more, also when start fails */
    void *mask_ctx;
    /* There may be something to take, the state or the place in line changed. Called from any thread, no lock of the
     * scheduler's held; it must not wait, and must not call clo_task_close. May be NULL. */
    void (*notify)(void *ctx);
    void *ctx;
} clo_task_opts;

/* CLO_ERR_LIMIT when the prompt leaves no room in the context (err->at: tokens of the prompt), CLO_ERR_DENIED when
 * n_waiting_max tasks are in line or the scheduler is closing, CLO_ERR_UNSUPPORTED for an output of an encoder or a vector
 * of a model without pooling, CLO_ERR_USAGE as clo_gen_run. */
CLO_CHECK bool clo_task_start(clo_task **out, clo_sched *s, const clo_task_opts *o, clo_err *err);
/* The task ends within one pass, as cancelled. */
void clo_task_cancel(clo_task *t);
/* Cancels if need be; the memory goes once the scheduler has let go. notify is not called any more when this returns. */
void clo_task_close(clo_task *t);

typedef struct {
    int32_t id;
    double logprob;         /* of the raw logits; CLO_LOGPROB_NONE for the first token of a prompt */
} clo_task_logprob;

/* One token: of the prompt when from_prompt. text is what it makes newly safe to show: may be empty, or that of several
 * tokens. The last event's text may come without a token (id -1). */
typedef struct {
    bool from_prompt;
    int32_t id;
    clo_str text;           /* lives until the next take or close */
    clo_task_logprob chosen;
    const clo_task_logprob *top; /* [n_top] likeliest first, ties by lower id; lives as text does */
    size_t n_top;
} clo_task_event;

/* The next event in order; false: none now (or none any more, when the task is done). */
bool clo_task_take(clo_task *t, clo_task_event *out);

typedef enum { CLO_TASK_WAITING, CLO_TASK_PROMPT, CLO_TASK_ANSWERING, CLO_TASK_DONE } clo_task_state_kind;

/* place (may be NULL): tasks that will run before it while waiting, else 0. DONE only when every event was taken. */
clo_task_state_kind clo_task_state(clo_task *t, size_t *place);

typedef struct {
    bool ok;                /* false: err says why it failed */
    clo_err err;
    clo_gen_result gen;     /* ids, text, chain, finish, counts, times, as of a run alone; decode_s while others ran too */
    double queue_s;         /* in line before the first pass */
    double first_s;         /* from start to the first token */
    const float *vector;    /* [n_dim of the model's spec] with `embed`, when ok and not cancelled; lives until close */
} clo_task_result;

/* After clo_task_state said DONE; lives until close. */
const clo_task_result *clo_task_result_of(clo_task *t);

#endif
