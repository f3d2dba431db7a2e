/* Answers about small files that everyone may read, kept ready in memory: the first thing that a client asks of a
 * repository is its config.json, again and again.
 *
 * An answer is good for the state of the database that it was made from: any transaction of any process (a commit, a
 * repository made private, renamed or removed) ends it. So nobody is given what an acknowledged change has undone, and nothing
 * has to be told to forget. It is given on a connection's thread, without a worker.
 *
 *   if (clo_kept_reply(k, keys, r)) return;                   // in begin: replied
 *   int64_t state = clo_kept_state(k);                       // before anything is read
 *   ... the handler replies ...
 *   clo_kept_put(k, r, route, state);
 *
 * What depends on more than the address (ranges, tags that the client has, origins) is not kept and not answered here. */
#ifndef CLO_SERVE_HUB_KEPT_H
#define CLO_SERVE_HUB_KEPT_H

#include "hub/keys.h"
#include "serve/http.h"

#define CLO_KEPT_ANSWER_MAX ((size_t)256 << 10) /* bytes of one */
#define CLO_KEPT_BYTES_MAX ((size_t)64 << 20)   /* of all; who was not asked for longest goes first */

typedef struct clo_kept clo_kept;

CLO_CHECK bool clo_kept_open(clo_kept **out, const char *data_dir, clo_err *err);
void clo_kept_close(clo_kept *k);

/* True: the request has its reply and its route. A token that is not valid gets no answer here. Any thread. */
bool clo_kept_reply(clo_kept *k, clo_keys *keys, clo_request *r);
/* The database as it is now; -1: it cannot be read. */
int64_t clo_kept_state(clo_kept *k);
/* The reply that r has, to a request that anybody may make. */
void clo_kept_put(clo_kept *k, const clo_request *r, const void *route, int64_t state);

#endif
