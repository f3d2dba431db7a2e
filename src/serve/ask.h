/* Asking a running server of ours, from the command line: one request on a connection of its own, to the address that was
 * named and nowhere else (a number or localhost, so that nobody is asked for names).
 *
 *   json_t *reply = NULL;
 *   if (!clo_ask(&reply, "127.0.0.1:11434", key, "GET", "/api/ps", NULL, &err)) ...     // err says what it answered
 *   json_decref(reply);
 */
#ifndef CLO_SERVE_ASK_H
#define CLO_SERVE_ASK_H

#include "base/err.h"
#include "base/json.h"
#include "base/slice.h"

#define CLO_ASK_REPLY_BYTES_MAX ((size_t)16 << 20)
#define CLO_ASK_SECONDS_MAX 30

/* address: "127.0.0.1:11434", "[::1]:11434", "http://127.0.0.1:11434", "unix:/run/cloche.sock"; key: NULL or an API key;
 * body: NULL, or borrowed. *out is the reply's JSON, of a status of 200.
 * CLO_ERR_USAGE for an address that is none, CLO_ERR_UNSUPPORTED for https, CLO_ERR_IO when nobody answers, CLO_ERR_NOT_FOUND for
 * 404, CLO_ERR_DENIED for 401 and 403, CLO_ERR_FORMAT for what is no reply, CLO_ERR_CANCELLED for 503; other statuses
 * CLO_ERR_USAGE. */
CLO_CHECK bool clo_ask(json_t **out, const char *address, const char *key, const char *method, const char *path,
                       const json_t *body, clo_err *err);

/* A whole reply (RFC 9112, read until the connection closed): its status, and a view of its body. Chunked ones are not read:
 * who asks with HTTP/1.0 gets none. */
CLO_CHECK bool clo_ask_parse(unsigned *status, clo_str *body, clo_str reply, clo_err *err);

#endif
