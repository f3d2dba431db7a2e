/* The models of a server: found by name, opened when they are asked for, closed when nobody asks.
 *
 * A model is opened on a thread of its own; requests that wait for it are held and handled again when it is there. Each has
 * a scheduler; all schedulers share one pool of threads and one turn. A model that is not used is closed after its keep-alive,
 * or before that when another one needs the memory.
 *
 *   switch (clo_models_take(&model, models, name, r, &e)) {
 *   case CLO_MODEL_LATER: return;                   // r is handled again
 *   case CLO_MODEL_NONE: clo_reply_error(...); return;
 *   case CLO_MODEL_READY: ...
 *   }
 *   clo_models_give(models, model);
 *
 * A model that is removed from the data folder, here or by another process, is not found by the next request; what it answers
 * goes on, and it is closed after that.
 *
 * Names: those of the data folder (infer/library.h) and of --model; NAME and NAME:latest are the same, letter case is
 * ignored when nothing fits exactly, 12 hexadecimal digits or more may begin a digest. A path is no name here. Where none of these
 * fits, a name may be that of a model in a repository of the hub (held.h): it is there for whoever may read the repository, which is
 * looked at with each request, and absent for all others. What --model names of the hub is for everybody, and stays at its commit. */
#ifndef CLO_SERVE_MODELS_H
#define CLO_SERVE_MODELS_H

#include "infer/chat.h"
#include "infer/facts.h"
#include "infer/library.h"
#include "infer/scheduler.h"
#include "infer/tool_call.h"
#include "infer/vocab_trie.h"
#include "serve/api_error.h"
#include "serve/held_name.h"
#include "serve/metrics.h"

#define CLO_STOP_IDS_SHOWN_MAX 64
#define CLO_SERVED_NAME_MAX CLO_HELD_NAME_MAX /* the library's are shorter */

struct clo_hub;
struct clo_keys;

typedef struct clo_models clo_models;

typedef struct {
    const char *data_dir;       /* NULL: only --model */
    struct clo_hub *hub;        /* borrowed; NULL: models of repositories are not looked for */
    struct clo_keys *keys;      /* borrowed; by which accounts are known */
    const char *const *given;   /* [n_given] --model: GGUF files, folders, names in the data folder or of the hub; opened at once, kept */
    size_t n_given;
    size_t n_threads;           /* 0: as many as this process may use */
    double keep_alive_s;        /* < 0: for ever */
    uint64_t kv_bytes_max;      /* of each model; 0: the scheduler's choice */
    size_t n_ctx_max;           /* 0: the model's */
    size_t n_running_max, n_waiting_max;
    clo_metrics *metrics;       /* borrowed */
    void (*log)(const char *line); /* told of models that come, go and cannot be opened; any thread; may be NULL */
} clo_models_opts;

/* Which model of a repository: all that decides its files. repo 0: none. */
typedef struct {
    int64_t repo;
    clo_oid commit;
    char file[CLO_HELD_NAME_MAX]; /* as clo_held_name.file */
} clo_held_ref;

/* What is known of a model without opening it. */
typedef struct {
    char name[CLO_SERVED_NAME_MAX];
    char label[CLO_SERVED_NAME_MAX]; /* of metrics: its name; of the hub's models one that tells no private name */
    clo_held_ref held;
    bool guarded;               /* for whoever may read its repository alone: clo_models_shows */
    char path[4096];            /* where files of the hub's will lie, until somebody asks for it */
    char digest[65];            /* hex; empty when it is not known yet (--model with a path) */
    int64_t modified_unix;
    uint64_t bytes;
    clo_facts facts;
} clo_model_info;

/* A model that is open, held by whoever took it. */
typedef struct {
    const clo_model_info *info;
    clo_model *model;
    const clo_tok *tok;         /* never NULL */
    clo_sched *sched;
    clo_chat *chat;             /* NULL: the model has no template */
    clo_chat *chat_tools;       /* its template for tools, often the same one */
    clo_tool_syntax tool_syntax; /* how it writes calls */
    clo_vocab_trie *trie;       /* for grammars */
    clo_sampler_params advice;  /* the publisher's, over temperature 1 and nothing else */
    int32_t stop_ids[CLO_STOP_IDS_SHOWN_MAX];
    size_t n_stop_ids;
    char fingerprint[16];       /* "fp_" and 12 hex digits: all that decides an answer besides the request */
    double load_s;
    clo_model_metrics *metrics;
} clo_open_model;

CLO_CHECK bool clo_models_open(clo_models **out, const clo_models_opts *o, clo_err *err);
/* Every held model was given back. */
void clo_models_close(clo_models *m);
/* True when every --model is open; else `why` says what is awaited or wrong. */
bool clo_models_are_ready(clo_models *m, clo_buf *why);

/* Whether whoever made the request may know of the model. */
bool clo_models_shows(clo_models *m, const clo_model_info *info, const clo_request *r);
/* All models that the request may ask for, newest first: of the hub's those that were asked for lately. *out is malloc'ed. */
CLO_CHECK bool clo_models_list(clo_model_info **out, size_t *n, clo_models *m, const clo_request *r, clo_err *err);
/* The name under which clo_models_take would find it. */
bool clo_models_spell(char out[CLO_SERVED_NAME_MAX], clo_models *m, clo_str name, const clo_request *r, clo_api_error *e);

/* The model that is meant by a request that names none, where that is allowed: the first --model, else the only one that is
 * open, else the only one that there is. */
bool clo_models_default(char name[CLO_SERVED_NAME_MAX], clo_models *m, clo_api_error *e);

typedef enum { CLO_MODEL_READY, CLO_MODEL_LATER, CLO_MODEL_NONE } clo_model_taken;
/* LATER: r is held and will be handled again. NONE: e says why. */
clo_model_taken clo_models_find(clo_model_info *out, clo_models *m, clo_str name, clo_request *r, clo_api_error *e);
clo_model_taken clo_models_take(const clo_open_model **out, clo_models *m, clo_str name, clo_request *r, clo_api_error *e);
/* keep_alive_s: from now on; NaN: as opened; < 0: for ever; 0: close it as soon as nobody uses it. */
void clo_models_give(clo_models *m, const clo_open_model *model, double keep_alive_s);
/* Closes it once nobody uses it; a model that is not open is a success. */
bool clo_models_unload(clo_models *m, clo_str name, const clo_request *r, clo_api_error *e);

/* An open model, as /api/ps and the metrics show it; one that was removed has no name to show. Valid inside the call. */
typedef struct {
    const clo_model_info *info;
    const char *digest;         /* hex */
    double expires_in_s;        /* < 0: never */
    size_t n_ctx;
    uint64_t memory_bytes;      /* weights and KV memory */
    clo_sched_stats stats;
} clo_open_state;
void clo_models_each_open(clo_models *m, void (*show)(void *ctx, const clo_open_state *s), void *ctx);

#endif
