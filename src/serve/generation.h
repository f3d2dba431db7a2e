/* A generation: the answers to one request, from the scheduler to the client, whole or as a stream.
 *
 * It has one choice for each prompt and each of n answers; each choice is a task of the scheduler (infer/scheduler.h). How
 * it is written is the interface's: a clo_face. Text and log-probabilities pass through here only, so that a stream and a
 * whole answer say the same.
 *
 *   clo_generation *g = clo_generation_make(s, r, model, body, &face, "chatcmpl-");
 *   ... g->params, g->sampler ...
 *   if (!g || !clo_generation_add_prompt(g, &ids)) ...
 *   clo_generation_start(g);                 // replies, now or later; errors too
 *
 * It is the request's data from `make` on and ends with it. */
#ifndef CLO_SERVE_GENERATION_H
#define CLO_SERVE_GENERATION_H

#include <pthread.h>

#include "infer/receipt.h"
#include "serve/account.h"
#include "serve/models.h"
#include "serve/params.h"
#include "serve/server.h"
#include "serve/thinking.h"

typedef struct clo_generation clo_generation;
typedef struct clo_choice clo_choice;

/* A token with its log-probabilities. */
typedef struct {
    int32_t id;
    bool from_prompt;
    double logprob;         /* CLO_LOGPROB_NONE: the first of a prompt */
    size_t i_top, n_top;    /* in the choice's tops */
} clo_entry;

/* A call that the answer makes. */
typedef struct {
    char id[32];
    clo_buf name, args;     /* args: JSON text so far */
    bool whole;
} clo_call;

struct clo_choice {
    clo_generation *g;
    size_t index, i_prompt;
    clo_task *task;         /* owned */
    bool finished;          /* its task is done */
    bool told;              /* a stream: its end was written */
    const clo_task_result *result; /* once finished */
    double start_s;         /* monotonic */
    size_t n_output, n_thought; /* tokens so far, and those of them that were thoughts */
    clo_thinking thinking;
    /* A stream: what is to be written now. A whole answer: all of it. */
    clo_buf thought, said;
    clo_buf fresh;          /* said, but not yet looked at for calls */
    clo_tool_reader *reader; /* owned; NULL: there are no tools */
    clo_call *calls;        /* [n_calls] owned: all of them, in a stream too */
    size_t n_calls;
    bool cut;               /* ended after its first call, as asked */
    clo_entry *entries;     /* [n_entries] owned */
    size_t n_entries, cap_entries;
    clo_task_logprob *tops; /* owned */
    size_t n_tops, cap_tops;
    size_t text_at;         /* for the interface: characters written */
    bool counted;           /* in the metrics */
    size_t place;           /* in line, as it was told last: 1 is the next to run, 0 in line no more */
    char receipt_id[67];    /* "r_" and 64 hex digits; empty: none */
    clo_sha256 receipt_digest;
    clo_buf receipt;        /* its text */
};

/* How an interface writes. Each appends to out; a stream is head, piece..., finish for each choice, tail. */
typedef struct {
    const char *stream_type;
    void (*head)(clo_generation *g, clo_buf *out);
    void (*piece)(clo_choice *c, clo_buf *out);  /* c->thought, c->said, c->entries; emptied afterwards */
    /* Something came of the last of c->calls: its name, args (a piece of its arguments), or its end. */
    void (*call)(clo_choice *c, const clo_tool_event *e, clo_buf *out);
    void (*finish)(clo_choice *c, clo_buf *out);
    void (*place)(clo_choice *c, clo_buf *out);  /* c->place has changed; NULL: nobody is told */
    void (*tail)(clo_generation *g, clo_buf *out);
    void (*fault)(clo_generation *g, const clo_api_error *e, clo_buf *out); /* instead of what is missing */
    void (*ping)(clo_generation *g, clo_buf *out);
    void (*whole)(clo_generation *g, clo_buf *out);
    clo_surface surface;
    bool splits_thinking;   /* thoughts are written apart */
} clo_face;

struct clo_generation {
    clo_server *s;
    clo_request *r;
    const clo_open_model *model; /* held; given back at the end */
    clo_str model_name;          /* as the client wrote it */
    const clo_face *face;
    clo_params params;
    clo_sampler_params sampler;
    uint64_t seed;               /* of choice 0; choice i has seed + i */
    char id[40];                 /* for answers: "chatcmpl-..." */
    int64_t created_unix;
    double begin_s;              /* monotonic */
    double keep_alive_s;         /* for clo_models_give */
    size_t n_truncated;          /* messages that were left out */
    clo_grammar *grammar;        /* owned; NULL: any text */
    clo_grammar_source source;   /* of the grammar, when there is to be a receipt */
    json_t *tools;               /* that may be called; borrowed from body; NULL: none */
    const clo_chat *chat;        /* whose template wrote the prompt; NULL: it came raw */
    clo_receipt *replayed;       /* owned: what this answer is compared with; NULL: nothing */
    bool replayed_program;       /* it was made by this very program */
    bool one_call;               /* the answer ends after its first call */
    json_t *body;                /* owned: what params and the interface point into */
    clo_ids *prompts;            /* [n_prompts] owned */
    size_t n_prompts;
    clo_str *prompt_texts;       /* [n_prompts] for echo; in the request's arena, or NULL */
    clo_choice *choices;         /* [n_choices] of prompt 0 first; in the request's arena */
    size_t n_choices;
    bool prompt_only;            /* no output: echo with max_tokens 0 */

    pthread_mutex_t lock;        /* guards the choices of a whole answer while it comes, and what follows */
    size_t n_finished, n_told;
    clo_account *account;        /* owned; NULL until it starts */
    bool started, replied;
    clo_api_error fault;         /* kind OK: none */
    bool head_written;
};

#define CLO_GENERATION_CHOICES_MAX 256

/* Takes over model and body, also when it fails (NULL; an error was replied). The caller then fills in model_name, params
 * (what they point into is body's or the request's arena's) and sampler. */
clo_generation *clo_generation_make(clo_server *s, clo_request *r, const clo_open_model *model, json_t *body,
                                    const clo_face *face, const char *id_prefix);
/* Takes over ids. */
bool clo_generation_add_prompt(clo_generation *g, clo_ids *ids);
/* Replies with an error instead. */
void clo_generation_fail(clo_generation *g, const clo_api_error *e);
/* Checks lengths against the context, starts the tasks, replies. */
void clo_generation_start(clo_generation *g);

/* --- for faces ----------------------------------------------------------------------------------------------------*/

typedef struct {
    size_t n_prompt, n_cached, n_output, n_thought;
    double prefill_s, decode_s, queue_s;
} clo_usage;
/* Over all choices, prompts once. */
clo_usage clo_generation_usage(const clo_generation *g);
/* "stop", "length" or "tool_calls". */
const char *clo_choice_finish(const clo_choice *c);
/* True when this token ends answers and is not shown. */
bool clo_is_stop_id(const clo_open_model *m, int32_t id);

#endif
