/* HTTP/1.1: connections, requests, replies, streams. libmicrohttpd is behind this header and nowhere else.
 *
 * A few threads own the connections and never wait. A request passes through an application's three calls:
 *
 *   begin     its headers are here, on a connection's thread: reply at once (not found, too large), or say how it is handled
 *   handle    its body is here too, on a connection's thread (CLO_HTTP_AT_ONCE: quick answers) or on a worker's
 *             (CLO_HTTP_WORKER: may compute for a while, does not wait for others). It replies, opens a stream, or returns
 *             and lets somebody reply later
 *   end       it is over, whatever happened; clo_request is gone afterwards
 *
 * While nothing is to be sent a request costs no thread. A client that goes away is noticed at once (the socket is watched
 * even then), and `gone` is called.
 *
 *   clo_http *h = NULL;
 *   if (!clo_http_open(&h, &(clo_http_opts){.listen = "127.0.0.1:11434", .app = app}, &err)) ...
 *   clo_http_stop(h);
 *   clo_http_close(h);
 *
 * Limits: named in clo_http_opts. Half requests, silent connections and readers that stall are cut off by time; when most
 * places for connections are taken, those that ask for nothing lose theirs first. */
#ifndef CLO_SERVE_HTTP_H
#define CLO_SERVE_HTTP_H

#include <sys/types.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

typedef struct clo_http clo_http;
typedef struct clo_request clo_request;

typedef enum { CLO_HTTP_AT_ONCE, CLO_HTTP_WORKER } clo_http_way;

typedef struct {
    void *ctx;
    clo_http_way (*begin)(void *ctx, clo_request *r);
    void (*handle)(void *ctx, clo_request *r);
    void (*end)(void *ctx, clo_request *r);
} clo_http_app;

typedef struct {
    const char *listen;        /* "127.0.0.1:11434", "[::1]:0" (any free port), "unix:/run/cloche.sock" */
    const char *tls_cert, *tls_key; /* PEM texts (not paths); both or none */
    size_t n_threads;          /* that own connections; 0: 2 */
    size_t n_workers;          /* 0: 2 */
    size_t n_connections_max;  /* 0: 16384, or what the limit of open files allows */
    size_t body_bytes_max;     /* of one request; 0: 16 MiB */
    size_t bodies_bytes_max;   /* of all requests at once; 0: 512 MiB */
    double idle_s;             /* a connection may be silent; 0: 75 */
    double request_s;          /* a request may take to arrive; 0: 300 */
    double ping_s;             /* a stream that is silent so long is asked for a sign of life; 0: 15 */
    clo_http_app app;
    /* Called with app.ctx once it listens, before a thread is started or a connection taken; false ends clo_http_open. */
    bool (*listening)(void *ctx, clo_http *h, clo_err *err);
} clo_http_opts;

/* Everything is copied. CLO_ERR_USAGE for an address that is none, CLO_ERR_IO when it cannot be listened on. */
CLO_CHECK bool clo_http_open(clo_http **out, const clo_http_opts *o, clo_err *err);
/* Where it listens, as a client is told: "http://127.0.0.1:11434", "https://[::1]:8443", "unix:/run/cloche.sock". */
const char *clo_http_url(const clo_http *h);
/* True when only this machine can reach it. */
bool clo_http_is_local(const clo_http *h);
/* Every request that is under way ends as if its client had gone; returns when all did. No more are taken. */
void clo_http_stop(clo_http *h);
void clo_http_close(clo_http *h);

/* --- a request ----------------------------------------------------------------------------------------------------*/

/* The server that it came to. */
const clo_http *clo_request_server(const clo_request *r);
/* Views that live as long as the request. The path is percent-decoded and has no query. */
clo_str clo_request_method(const clo_request *r);
clo_str clo_request_path(const clo_request *r);
clo_str clo_request_target(const clo_request *r); /* the path as it came: a %2F in it is no slash */
clo_str clo_request_query(const clo_request *r);  /* raw, without '?' */
/* %XX decoded into the request's arena (RFC 3986 section 2.1); a percent sign without two digits stays. */
clo_str clo_request_unescape(clo_request *r, clo_str raw);
/* The i-th value of a name in the query or in a form (application/x-www-form-urlencoded), decoded; false: there are fewer. */
bool clo_request_param(clo_str *out, clo_request *r, clo_str form, const char *name, size_t i);
clo_str clo_request_body(const clo_request *r);   /* from handle on */
/* When there is a fault handle is called early, on a connection's thread, and must reply. */
typedef enum { CLO_BODY_WHOLE, CLO_BODY_TOO_LARGE, CLO_BODY_NO_ROOM, CLO_BODY_REFUSED } clo_body_fault;
clo_body_fault clo_request_body_fault(const clo_request *r);
size_t clo_request_body_max(const clo_request *r); /* bytes */
/* In begin: the body is not kept but given to `take` as it comes, on a connection's thread, whatever its size. The time that
 * a request may take to arrive counts from its last bytes. take false: CLO_BODY_REFUSED. `end` is called when the request
 * ends. */
void clo_request_sink(clo_request *r, bool (*take)(void *ctx, clo_str bytes), void (*end)(void *ctx), void *ctx);
void *clo_request_sink_ctx(const clo_request *r); /* NULL: there is none */
/* A header's value, or a NULL slice. In begin and handle only. */
clo_str clo_request_header(const clo_request *r, const char *name);
/* Whether If-None-Match has this tag, quotes included, or a star (RFC 9110 section 13.1.2). In begin and handle only. */
bool clo_request_has_etag(const clo_request *r, const char *tag);
const char *clo_request_id(const clo_request *r); /* X-Request-Id: the client's if it is a plain one, else a new one */
/* For what lives as long as the request; used by one thread at a time. */
clo_arena *clo_request_arena(clo_request *r);
double clo_request_age_s(const clo_request *r);
unsigned clo_request_status(const clo_request *r); /* 0: none was sent; 499: the client went before the end */

/* What the application keeps with a request: its own pointer, what to call when the client is gone, and what when the request
 * is over, after the application's end. gone is called from any thread, once at most, and only between the end of handle and
 * the call of end; it must not wait. */
void clo_request_attach(clo_request *r, void *data, void (*gone)(void *data), void (*end)(void *data));
void *clo_request_data(const clo_request *r);
/* Set in begin for handle (a route). */
void clo_request_set_route(clo_request *r, const void *route);
const void *clo_request_route(const clo_request *r);

/* Its client went, or the server stops: for work that may end then. Any thread, while the request is held. */
bool clo_request_is_gone(clo_request *r);

/* Between these the request stays, whatever its client does: for one who will call clo_request_again later. */
void clo_request_hold(clo_request *r);
/* Gives a held request to a worker again: handle is called once more. */
void clo_request_again(clo_request *r);

/* --- replies: exactly one -----------------------------------------------------------------------------------------*/

/* In begin, in handle, or in the call of clo_reply_when_called. Headers may be added before. The body is copied. */
void clo_reply_header(clo_request *r, const char *name, const char *value);
void clo_reply(clo_request *r, unsigned status, const char *type, clo_str body);
/* A buffer becomes the body, its memory is taken over. A failed buffer gives status 500. */
void clo_reply_buf(clo_request *r, unsigned status, const char *type, clo_buf *body);

/* What was replied by clo_reply or clo_reply_buf, headers and all, for other requests. Many may be given the same one at once. */
typedef struct clo_answer clo_answer;
/* A copy, held once; NULL: no memory, or it was another kind of reply. */
clo_answer *clo_answer_of(const clo_request *r);
void clo_answer_hold(clo_answer *a);
void clo_answer_drop(clo_answer *a); /* accepts NULL */
size_t clo_answer_bytes(const clo_answer *a);
/* The request takes over one hold. */
void clo_reply_answer(clo_request *r, clo_answer *a);

/* The body is bytes [off, off + n) of a file; fd is taken over. The kernel sends it. */
void clo_reply_file(clo_request *r, unsigned status, const char *type, int fd, uint64_t off, uint64_t n);
/* The body is n bytes that read gives in order, at most max (> 0) at a time, on a connection's thread; a negative number
 * closes the connection. end is called when the request is over. */
void clo_reply_reader(clo_request *r, unsigned status, const char *type, uint64_t n,
                      ssize_t (*read)(void *ctx, char *to, size_t max), void (*end)(void *ctx), void *ctx);

/* The reply is ready to be made: build is called on a connection's thread and replies. From any thread, after handle. */
void clo_reply_when_called(clo_request *r, void (*build)(void *ctx, clo_request *r), void *ctx);

typedef enum { CLO_STREAM_MORE, CLO_STREAM_END, CLO_STREAM_BROKEN } clo_stream_step;
/* A reply that comes in pieces, in handle. fill is called on a connection's thread, at first and after each clo_request_wake,
 * when everything before was sent: it appends what there is to say. quiet: nothing was sent for ping_s, so say something.
 * BROKEN closes the connection without a proper end. */
void clo_reply_stream(clo_request *r, unsigned status, const char *type,
                      clo_stream_step (*fill)(void *ctx, clo_buf *out, bool quiet), void *ctx);
/* There may be more to say. From any thread, not before handle, not after end. */
void clo_request_wake(clo_request *r);

/* --- for metrics --------------------------------------------------------------------------------------------------*/
typedef struct {
    size_t n_connections, n_connections_max, n_requests; /* open now; requests under way */
} clo_http_stats;
void clo_http_stats_of(clo_http *h, clo_http_stats *out);

#endif
