/* What models.c (taking, giving, closing), models_names.c, models_held.c (of the hub) and models_load.c (opening) share. */
#ifndef CLO_SERVE_MODELS_IMPL_H
#define CLO_SERVE_MODELS_IMPL_H

#include <pthread.h>

#include "hub/keys.h"
#include "serve/models.h"

typedef enum { CLO_ENTRY_CLOSED, CLO_ENTRY_OPENING, CLO_ENTRY_OPEN, CLO_ENTRY_CLOSING } clo_entry_state;

/* One name that was asked for. Entries stay until their model is removed, or the end; the parts in `open` come and go. */
typedef struct clo_model_entry {
    clo_open_model open;        /* first: a clo_open_model is its entry */
    clo_model_info info;
    char digest[65];            /* hex, once it was open */
    struct clo_models *models;
    struct clo_model_entry *next;
    bool given;                 /* by --model: opened at once, kept */
    bool looked_into;           /* info.facts are there; its files, if they are the hub's */
    bool only_look;             /* what is opening reads the facts and no more */
    uint64_t dev, ino;          /* of the file or folder when it was opened from the library; 0: not from there */
    clo_entry_state state;      /* this and all below are guarded by models->lock */
    bool removed;               /* its files are gone or others: it has no name any more, and ends with its users */
    size_t n_users;
    double keep_alive_s, expires_s; /* expires_s: monotonic; HUGE_VAL: never */
    clo_err fault;              /* why the last opening failed */
    double fault_until_s;       /* who asks before that is told; later it is tried again */
    double closed_s;            /* monotonic: since when it is closed */
    clo_request **waiting;      /* [n_waiting] owned, held */
    size_t n_waiting, cap_waiting;
} clo_model_entry;

typedef struct {
    char path[4096];
    int64_t modified_unix;
    uint64_t bytes;
    clo_facts facts;
} clo_facts_row;

struct clo_models {
    clo_models_opts o;
    char data_dir[4096];        /* empty: none */
    clo_pool *pool;             /* owned */
    clo_turn turn;              /* of the pool: held by a pass, or by an opening that packs with all threads */
    pthread_mutex_t lock;
    pthread_cond_t changed;     /* a model was opened or closed, or the end has come */
    clo_model_entry *entries;   /* owned */
    size_t n_opening;           /* threads that run */
    clo_facts_row *facts;       /* [n_facts] owned: files that were looked into */
    size_t n_facts;
    pthread_t minder;
    bool minding, stopping;
};

/* models_names.c: of --model, of the library, of the hub, whichever r may have. False with e, also where there is none. */
bool clo_models_find_info(clo_model_info *out, clo_models *m, clo_str name, const clo_request *r, clo_api_error *e);
/* With the lock held: the entry of this model of a repository, or NULL. */
clo_model_entry *clo_entry_held(clo_models *m, const clo_held_ref *held);
/* models_held.c: a model by its name in the hub, for r, or for whoever started the server (NULL). Facts are there when it is known. */
CLO_CHECK bool clo_models_find_held(clo_model_info *out, bool *found, clo_models *m, clo_str name, const clo_request *r, clo_err *err);
/* By a digest or its beginning, of those whose files lie there. */
CLO_CHECK bool clo_models_find_digest(clo_model_info *out, bool *found, clo_models *m, clo_str digits, const clo_request *r, clo_err *err);
/* Whether a name may begin this digest (64 hex digits): 12 digits or more, with "sha256:" before them or without. */
bool clo_begins_digest(clo_str name, const char *digest);
/* Its files come to lie where info->path says. */
CLO_CHECK bool clo_models_make_held(clo_models *m, const clo_model_info *info, clo_err *err);
/* With the lock held: starts a thread that opens the model, or, with only_look, reads its facts. */
bool clo_entry_start_opening(clo_model_entry *e, clo_err *err);
/* With the lock held, and given up meanwhile: closes an open model that nobody uses. */
void clo_entry_close(clo_model_entry *e);
/* With the lock held, and given up meanwhile: closes models that nobody uses, the longest unused first, until so many
 * bytes are free. False when that is not enough. */
bool clo_models_make_room(clo_models *m, uint64_t bytes);
/* Facts of a file, from memory when it has not changed. Takes the lock. */
bool clo_models_facts(clo_facts *out, clo_models *m, const clo_model_info *info, clo_err *err);

#endif
