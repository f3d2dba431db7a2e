/* What the files of the HTTP server share. http.c: life and the application's side of a request; http_mhd.c: what
 * libmicrohttpd calls; http_watch.c: the thread that looks after sockets and time; listen.c: addresses and sockets.
 *
 * A request's connection is suspended while nothing can be sent. It is resumed by `wake` when there is something (ready,
 * woken, gone) and nobody holds the request. Locks, in this order: places->lock, request->lock, libmicrohttpd's own. */
#ifndef CLO_SERVE_HTTP_IMPL_H
#define CLO_SERVE_HTTP_IMPL_H

#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

#include "serve/http.h"

#define CLO_HTTP_THREADS_MAX 64
#define CLO_HTTP_URI_BYTES_MAX 8192
#define CLO_REQUEST_BYTES 3072

/* A connection's place: what the watching thread knows about it. Guarded by the lock of clo_places. */
typedef struct {
    int fd;                /* -1: the place is free */
    uint32_t generation;   /* tells a connection from the one before in the same place */
    uint32_t i_next_free;
    double since_s;        /* when its present state began */
    enum { CLO_CONN_IDLE, CLO_CONN_RECEIVING, CLO_CONN_HANDLING } state;
    bool peer_gone;        /* the other side said that it sends no more, */
    double gone_s;         /* then */
    clo_request *request;  /* NULL between requests */
} clo_place;

typedef struct {
    pthread_mutex_t lock;
    clo_place *all;        /* [n_max] owned */
    size_t n_max, n_used, n_requests;
    uint32_t i_free;       /* first free place, or UINT32_MAX */
    int epoll_fd, wake_fd;
    pthread_t thread;
    bool running, stopping;
} clo_places;

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t more;
    clo_request *first, *last; /* linked by request->next */
    pthread_t threads[CLO_HTTP_THREADS_MAX];
    size_t n_threads;
    bool stopping;
} clo_workers;

struct clo_http {
    clo_http_opts o;
    struct MHD_Daemon *daemon; /* owned */
    char *cert, *key;          /* owned */
    char url[160];
    char unix_path[108];       /* removed at the end; empty: none */
    bool local;
    clo_places places;
    clo_workers workers;
    atomic_size_t bodies_bytes;
};

typedef struct {
    const char *name, *value; /* in the request's arena */
} clo_reply_field;
#define CLO_REPLY_FIELDS_MAX 24

struct clo_answer {
    atomic_uint n_holds;
    unsigned status;
    const char *type;          /* static */
    size_t n_fields, n_bytes;  /* bytes: of all this */
    clo_str body;
    clo_reply_field fields[];  /* and then the texts and the body */
};

struct clo_request {
    clo_http *h;
    struct MHD_Connection *conn;
    uint32_t i_place;
    clo_arena arena;
    _Alignas(16) uint8_t first[CLO_REQUEST_BYTES]; /* of the arena */
    clo_str method, path, target, query;
    char id[65];
    double begin_s, last_sent_s;
    clo_buf body;
    bool begun, complete, expects_continue;
    bool (*sink)(void *ctx, clo_str bytes); /* takes the body instead; NULL: it is kept */
    void (*sink_end)(void *ctx);
    void *sink_ctx;
    clo_body_fault body_fault;
    clo_http_way way;
    size_t n_counted;          /* bytes of body counted in h->bodies_bytes */
    size_t n_dropped;          /* bytes of body that were read and not kept */
    clo_request *next;         /* in the queue of the workers */

    void *data;
    void (*gone_fn)(void *data);
    void (*end_fn)(void *data);
    const void *route;

    /* The reply; set by one thread at a time, read by the connection's after `ready`. */
    clo_reply_field fields[CLO_REPLY_FIELDS_MAX];
    size_t n_fields;
    unsigned status;           /* 0: none yet */
    const char *type;
    clo_answer *answer;        /* held: the reply is this one; NULL: it is not */
    clo_buf out;               /* body, or what of the stream is not sent yet */
    size_t n_out_sent;
    void (*build)(void *ctx, clo_request *r);
    clo_stream_step (*fill)(void *ctx, clo_buf *out, bool quiet);
    void *reply_ctx;
    ssize_t (*read)(void *ctx, char *to, size_t max);
    void (*read_end)(void *ctx);
    int fd;                    /* of a file to be sent, until libmicrohttpd has it; -1: none */
    uint64_t fd_off, n_bytes;  /* of a file or a reader */
    clo_stream_step step;
    bool queued;               /* libmicrohttpd has the reply */

    pthread_mutex_t lock;      /* guards what follows */
    size_t n_holds;            /* a worker has it, or somebody will call clo_request_again */
    bool handled;              /* handle has returned at least once */
    bool ready, woken, quiet, gone, gone_told, suspended;
};

double clo_http_now(void);

/* --- http.c ---*/
/* With r->lock held: lets the connection's thread go on if it should. */
void clo_request_wake_locked(clo_request *r);
/* The reply is there. */
void clo_request_reply(clo_request *r, unsigned status);
/* The client is gone, or the server stops. From the watching thread. */
void clo_request_lose(clo_request *r);
bool clo_workers_open(clo_workers *w, size_t n, clo_err *err);
void clo_workers_close(clo_workers *w);
void clo_workers_push(clo_workers *w, clo_request *r);

/* --- http_mhd.c ---*/
CLO_CHECK bool clo_mhd_open(clo_http *h, int listen_fd, clo_err *err);

/* --- http_watch.c ---*/
CLO_CHECK bool clo_places_open(clo_http *h, size_t n_max, clo_err *err);
void clo_places_close(clo_places *p);
uint32_t clo_places_take(clo_places *p, int fd); /* UINT32_MAX: none free */
void clo_places_free(clo_places *p, uint32_t i);
void clo_places_set_request(clo_places *p, uint32_t i, clo_request *r);
/* Some of it arrived: its time counts from now. */
void clo_places_touch(clo_places *p, uint32_t i);
/* The request has arrived whole. True when its client has gone already. */
bool clo_places_set_handling(clo_places *p, uint32_t i);

/* --- listen.c ---*/
/* A listening socket for an address as in clo_http_opts; url, unix_path and local of h are set. */
CLO_CHECK bool clo_listen(int *fd, clo_http *h, const char *address, bool tls, clo_err *err);

#endif
