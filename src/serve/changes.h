/* Changes of what the data folder holds, as requests ask for them: each on a thread of its own, because it waits for disks.
 *
 *   clo_change *c = clo_changes_take(s, r);              // the request is handled again when its change is done
 *   if (c) { ... c->ok, c->err ...; clo_change_free(c); return; }
 *   ... fill in ...
 *   if (!clo_changes_start(s, r, c, &e)) ...             // takes c over; r is held until it is done
 *
 * A change that succeeded has its line in the audit log before the request is told. */
#ifndef CLO_SERVE_CHANGES_H
#define CLO_SERVE_CHANGES_H

#include <pthread.h>

#include "infer/library.h"
#include "infer/upload.h"
#include "serve/account.h"

typedef struct clo_change clo_change;
struct clo_change {
    /* What is to be done. */
    enum { CLO_CHANGE_UPLOAD, CLO_CHANGE_CREATE, CLO_CHANGE_COPY, CLO_CHANGE_REMOVE } kind;
    char name[CLO_MODEL_NAME_MAX]; /* the model's; of the new one for CREATE and COPY */
    char from[CLO_MODEL_NAME_MAX]; /* COPY */
    clo_library_file *files;       /* [n_files] owned, names too: CREATE */
    size_t n_files;
    clo_upload *upload; /* borrowed: UPLOAD */
    bool stream;        /* for who replies */
    /* What came of it. */
    bool ok;
    clo_err err;
    /* The rest is clo_changes_start's. */
    clo_server *s;
    clo_request *r;
    char key[CLO_KEY_NAME_MAX];
    clo_change *next;
};

/* The server's: changes that are under way or were not taken yet. */
typedef struct {
    pthread_mutex_t lock; /* guards the list */
    clo_change *first;
} clo_changes;

clo_change *clo_change_make(clo_api_error *e);
void clo_change_free(clo_change *c);
bool clo_changes_start(clo_server *s, clo_request *r, clo_change *c, clo_api_error *e);
/* The request's change when it is done, the caller's to free; NULL: it has none. */
clo_change *clo_changes_take(clo_server *s, const clo_request *r);
/* The request ends: a change of it that was not taken goes. */
void clo_changes_drop(clo_server *s, const clo_request *r);

#endif
