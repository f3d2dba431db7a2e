/* An embedding: vectors of the texts of one request, from the scheduler to the client.
 *
 * Each text is a task of the scheduler (infer/scheduler.h, `embed`), so that texts wait in the same line, in the same shares
 * and in the same passes as answers; only some of a request's are in line at once. How the request is read and the reply
 * written is the interface's: a clo_embedding_face.
 *
 *   clo_embedding *g = clo_embedding_make(s, r, model, body, &face);
 *   ... g->n_dim, g->base64 ...
 *   if (!g || !clo_embedding_add_text(g, text, truncate, &e)) ...
 *   clo_embedding_start(g);                 // replies later; errors too
 *
 * When every vector is there and its line is in the books, a worker writes the reply: the route's handler is called once more
 * and gives the request to clo_embedding_again first.
 *
 * It is the request's data from `make` on and ends with it. */
#ifndef CLO_SERVE_EMBEDDING_H
#define CLO_SERVE_EMBEDDING_H

#include <pthread.h>

#include "infer/embed.h"
#include "serve/account.h"
#include "serve/models.h"
#include "serve/params.h"
#include "serve/router.h"

#define CLO_EMBEDDING_TEXTS_MAX 2048

typedef struct clo_embedding clo_embedding;

/* One text. */
typedef struct {
    clo_embedding *g;
    clo_ids ids;            /* owned */
    clo_task *task;         /* owned; NULL: not started yet */
    bool finished;
} clo_embedding_text;

typedef struct {
    void (*write)(const clo_embedding *g, clo_buf *out); /* a whole reply */
    const char *input;      /* what the request calls its texts */
    clo_surface surface;
} clo_embedding_face;

struct clo_embedding {
    clo_server *s;
    clo_request *r;
    const clo_open_model *model; /* held; given back at the end */
    clo_str model_name;          /* as the client wrote it */
    const clo_embedding_face *face;
    json_t *body;                /* owned: what model_name points into */
    double begin_s, start_s;     /* monotonic: of the request, and when the model was there */
    double keep_alive_s;         /* for clo_models_give */
    size_t n_dim;                /* numbers of a vector that the client gets */
    bool base64;
    clo_embedding_text *texts;   /* [n_texts] owned array of CLO_EMBEDDING_TEXTS_MAX */
    size_t n_texts, n_tokens;
    float *vectors;              /* [n_texts, n_dim] owned */

    pthread_mutex_t lock;        /* guards what follows, and the texts once they are started */
    size_t n_started, n_finished;
    clo_account *account;        /* owned; NULL until it starts */
    bool open, gone, closed;     /* tasks may come; nobody wants them any more; the books are being closed */
    clo_api_error fault;         /* kind OK: none */
};

/* Takes over model and body, also when it fails (NULL; an error was replied): a model that makes no vectors fails. */
clo_embedding *clo_embedding_make(clo_server *s, clo_request *r, const clo_open_model *model, json_t *body,
                                  const clo_embedding_face *face);
/* One more text, or one more list of the model's tokens. */
bool clo_embedding_add_text(clo_embedding *g, clo_str text, bool truncate, clo_api_error *e);
bool clo_embedding_add_ids(clo_embedding *g, const json_t *list, clo_api_error *e);
/* `dimensions` of the body. */
bool clo_embedding_read_length(clo_embedding *g, clo_api_error *e);
/* Replies with an error instead. */
void clo_embedding_fail(clo_embedding *g, const clo_api_error *e);
void clo_embedding_start(clo_embedding *g);
/* For a handler: true when the request was here before; it was replied to. */
bool clo_embedding_again(clo_request *r);

/* The vector of text i, as "[0.1,...]" or as base64 of little-endian float32 in quotes. */
void clo_embedding_add_vector(const clo_embedding *g, size_t i, clo_buf *out);

#endif
