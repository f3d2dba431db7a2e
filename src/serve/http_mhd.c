/* What libmicrohttpd calls. See http_impl.h. */
#include <ctype.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "serve/http_impl.h"

#define POOL_BYTES 32768         /* of a connection: its request line and headers */
#define STREAM_PIECE_BYTES 16384 /* of a stream in one go */
#define READ_PIECE_BYTES 262144  /* of a reader in one go */
#define ID_BYTES 12              /* random ones, in the name of a request */
#define REQUEST_ARENA_BYTES ((size_t)256 << 20)
#define DROPPED_BYTES_MAX ((size_t)64 << 20) /* of a body that is refused, read so that the client sees the answer */
#define SERVER_NAME "cloche/" CLO_VERSION

/* --- a request begins ---------------------------------------------------------------------------------------------*/

static bool decode_path(clo_request *r, clo_str raw)
{
    clo_str out = clo_request_unescape(r, raw);
    while (out.len > 1 && out.ptr[out.len - 1] == '/') out.len--; /* a slash at the end says nothing */
    r->path = out;
    r->target = clo_arena_copy_str(&r->arena, raw);
    return r->path.ptr && r->target.ptr;
}

/* The request target as it came; libmicrohttpd's own decoding would end at a NUL. */
static void *begin_request(void *cls, const char *uri, struct MHD_Connection *conn)
{
    clo_http *h = (clo_http *)cls;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    clo_request *r = (clo_request *)calloc(1, sizeof *r);
    if (!r || !info || !info->socket_context) {
        free(r);
        return NULL;
    }
    r->h = h;
    r->conn = conn;
    r->fd = -1;
    r->i_place = (uint32_t)((uintptr_t)info->socket_context - 1);
    r->arena = clo_arena_make(REQUEST_ARENA_BYTES);
    clo_arena_lend(&r->arena, r->first, sizeof r->first);
    r->begin_s = r->last_sent_s = clo_http_now();
    r->body.max = h->o.body_bytes_max;
    pthread_mutex_init(&r->lock, NULL);
    clo_str raw = clo_str_from(uri);
    size_t q = clo_str_find(raw, 0, '?');
    clo_str query = clo_arena_copy_str(&r->arena, clo_str_from_off(raw, q < raw.len ? q + 1 : raw.len));
    r->query = query.ptr ? query : CLO_STR("");
    if (!decode_path(r, (clo_str){raw.ptr, q})) r->path = r->target = CLO_STR("");
    clo_places_set_request(&h->places, r->i_place, r);
    return r;
}

/* From a store of the thread's own: the generator costs a system call each time. */
static void take_random(uint8_t out[ID_BYTES])
{
    static _Thread_local uint8_t store[64 * ID_BYTES];
    static _Thread_local size_t left;
    if (left == 0) {
        RAND_bytes(store, sizeof store);
        left = sizeof store;
    }
    left -= ID_BYTES;
    memcpy(out, store + left, ID_BYTES);
}

static void make_id(clo_request *r)
{
    clo_str given = clo_request_header(r, "X-Request-Id");
    bool plain = given.len >= 1 && given.len <= 64;
    for (size_t i = 0; plain && i < given.len; i++) {
        char c = given.ptr[i];
        plain = isalnum((unsigned char)c) || c == '.' || c == '_' || c == '-';
    }
    if (plain) {
        memcpy(r->id, given.ptr, given.len);
        return;
    }
    uint8_t random[ID_BYTES];
    take_random(random);
    memcpy(r->id, "req_", 4);
    for (size_t i = 0; i < sizeof random; i++) {
        r->id[4 + 2 * i] = "0123456789abcdef"[random[i] >> 4];
        r->id[5 + 2 * i] = "0123456789abcdef"[random[i] & 15];
    }
}

/* --- the reply ----------------------------------------------------------------------------------------------------*/

/* How the stream goes on: n bytes to send, nothing for now (suspended), or its end. */
static ssize_t read_stream(void *cls, uint64_t pos, char *to, size_t max)
{
    clo_request *r = (clo_request *)cls;
    (void)pos;
    for (;;) {
        if (r->n_out_sent < r->out.len) {
            size_t n = clo_min(max, r->out.len - r->n_out_sent);
            memcpy(to, r->out.ptr + r->n_out_sent, n);
            r->n_out_sent += n;
            r->last_sent_s = clo_http_now();
            return (ssize_t)n;
        }
        r->out.len = r->n_out_sent = 0;
        if (r->step != CLO_STREAM_MORE)
            return r->step == CLO_STREAM_END ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
        pthread_mutex_lock(&r->lock);
        bool gone = r->gone, quiet = r->quiet;
        r->woken = r->quiet = false;
        pthread_mutex_unlock(&r->lock);
        if (gone) return MHD_CONTENT_READER_END_WITH_ERROR;
        r->step = r->fill(r->reply_ctx, &r->out, quiet);
        if (r->out.failed) return MHD_CONTENT_READER_END_WITH_ERROR;
        if (r->out.len > 0 || r->step != CLO_STREAM_MORE) continue;
        pthread_mutex_lock(&r->lock);
        bool wait = !r->woken && !r->gone;
        if (wait) {
            r->suspended = true;
            MHD_suspend_connection(r->conn);
        }
        pthread_mutex_unlock(&r->lock);
        if (wait) return 0;
    }
}

static ssize_t read_bytes(void *cls, uint64_t pos, char *to, size_t max)
{
    clo_request *r = (clo_request *)cls;
    (void)pos;
    r->last_sent_s = clo_http_now();
    ssize_t n = r->read(r->reply_ctx, to, max);
    return n > 0 ? n : MHD_CONTENT_READER_END_WITH_ERROR;
}

static struct MHD_Response *make_response(clo_request *r)
{
    if (r->fd >= 0) {
        struct MHD_Response *resp = MHD_create_response_from_fd_at_offset64(r->n_bytes, r->fd, r->fd_off);
        if (resp) r->fd = -1;
        return resp;
    }
    if (r->read) return MHD_create_response_from_callback(r->n_bytes, READ_PIECE_BYTES, read_bytes, r, NULL);
    if (r->fill) return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_PIECE_BYTES, read_stream, r, NULL);
    if (r->answer)
        return MHD_create_response_from_buffer(r->answer->body.len, (void *)(uintptr_t)r->answer->body.ptr, MHD_RESPMEM_PERSISTENT);
    /* The request, which owns the bytes, outlives the response: it ends in end_request. */
    return MHD_create_response_from_buffer(r->out.len, r->out.ptr ? r->out.ptr : (void *)(uintptr_t)"",
                                           MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result send_reply(clo_request *r)
{
    if (r->build) {
        void (*build)(void *, clo_request *) = r->build;
        r->build = NULL;
        build(r->reply_ctx, r);
    }
    struct MHD_Response *resp = make_response(r);
    if (!resp) return MHD_NO;
    MHD_add_response_header(resp, "Server", SERVER_NAME);
    MHD_add_response_header(resp, "X-Request-Id", r->id);
    if (r->type) MHD_add_response_header(resp, "Content-Type", r->type);
    for (size_t i = 0; i < r->n_fields; i++) MHD_add_response_header(resp, r->fields[i].name, r->fields[i].value);
    for (size_t i = 0; r->answer && i < r->answer->n_fields; i++)
        MHD_add_response_header(resp, r->answer->fields[i].name, r->answer->fields[i].value);
    r->queued = true;
    enum MHD_Result rc = MHD_queue_response(r->conn, r->status, resp);
    MHD_destroy_response(resp);
    return rc;
}

/* --- the request comes --------------------------------------------------------------------------------------------*/

static enum MHD_Result begin_handling(clo_request *r, const char *method)
{
    clo_http_app *app = &r->h->o.app;
    clo_str expect = clo_request_header(r, "Expect");
    r->method = clo_arena_copy_str(&r->arena, clo_str_from(method));
    r->expects_continue = expect.len > 0;
    make_id(r);
    r->begun = true;
    r->way = app->begin(app->ctx, r);
    /* Who waits for 100-continue has not begun to send and can be told at once; others are read to the end first. */
    return r->ready && r->expects_continue ? send_reply(r) : MHD_YES;
}

/* The application replies early, in its own shape. */
static void refuse_body(clo_request *r, clo_body_fault fault)
{
    clo_http_app *app = &r->h->o.app;
    r->body_fault = fault;
    clo_buf_free(&r->body);
    app->handle(app->ctx, r);
}

static enum MHD_Result take_body(clo_request *r, const char *bytes, size_t *n_bytes)
{
    size_t n = *n_bytes;
    *n_bytes = 0;
    if (!r->ready && r->sink) {
        clo_places_touch(&r->h->places, r->i_place);
        if (!r->sink(r->sink_ctx, (clo_str){bytes, n})) refuse_body(r, CLO_BODY_REFUSED);
    } else if (!r->ready) {
        size_t before = atomic_fetch_add(&r->h->bodies_bytes, n);
        r->n_counted += n;
        clo_buf_add(&r->body, (clo_str){bytes, n});
        if (before + n > r->h->o.bodies_bytes_max) r->body.failed = true;
    } else {
        r->n_dropped += n;
        if (r->n_dropped > DROPPED_BYTES_MAX) return MHD_NO;
    }
    if (!r->ready && r->body.failed)
        refuse_body(r, r->n_counted > r->h->o.body_bytes_max ? CLO_BODY_TOO_LARGE : CLO_BODY_NO_ROOM);
    return MHD_YES;
}

/* Under the lock, so that the worker does not resume the connection before it is suspended. */
static enum MHD_Result give_to_worker(clo_request *r, bool gone)
{
    pthread_mutex_lock(&r->lock);
    if (gone) r->gone = true;
    r->n_holds++;
    r->suspended = true;
    MHD_suspend_connection(r->conn);
    clo_workers_push(&r->h->workers, r);
    pthread_mutex_unlock(&r->lock);
    return MHD_YES;
}

/* The whole request is here, or its connection was resumed: handle it, reply, or wait. */
static enum MHD_Result go_on(clo_request *r)
{
    clo_http_app *app = &r->h->o.app;
    if (!r->ready && !r->complete) {
        r->complete = true;
        bool gone = clo_places_set_handling(&r->h->places, r->i_place);
        if (r->way == CLO_HTTP_WORKER) return give_to_worker(r, gone);
        app->handle(app->ctx, r);
        pthread_mutex_lock(&r->lock);
        r->handled = true;
        pthread_mutex_unlock(&r->lock);
    }
    pthread_mutex_lock(&r->lock);
    bool lost = r->gone && r->n_holds == 0, reply = r->ready && r->n_holds == 0;
    if (!lost && !reply) {
        r->suspended = true;
        MHD_suspend_connection(r->conn);
    }
    pthread_mutex_unlock(&r->lock);
    if (lost) return MHD_NO;
    return reply ? send_reply(r) : MHD_YES;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *conn, const char *url, const char *method,
                                  const char *version, const char *bytes, size_t *n_bytes, void **req_cls)
{
    clo_request *r = (clo_request *)*req_cls;
    (void)cls;
    (void)conn;
    (void)url;
    (void)version;
    if (!r) return MHD_NO;
    if (!r->begun) return begin_handling(r, method);
    if (*n_bytes > 0) return take_body(r, bytes, n_bytes);
    return go_on(r);
}

static void end_request(void *cls, struct MHD_Connection *conn, void **req_cls, enum MHD_RequestTerminationCode why)
{
    clo_http *h = (clo_http *)cls;
    clo_request *r = (clo_request *)*req_cls;
    (void)conn;
    if (!r) return;
    *req_cls = NULL;
    clo_places_set_request(&h->places, r->i_place, NULL); /* from here on the watching thread does not know it */
    if (why != MHD_REQUEST_TERMINATED_COMPLETED_OK && (!r->queued || r->fill)) r->status = 499;
    if (r->begun) h->o.app.end(h->o.app.ctx, r);
    if (r->end_fn) r->end_fn(r->data);
    if (r->sink_end) r->sink_end(r->sink_ctx);
    if (r->read_end) r->read_end(r->reply_ctx);
    if (r->fd >= 0) close(r->fd);
    clo_answer_drop(r->answer);
    atomic_fetch_sub(&h->bodies_bytes, r->n_counted);
    clo_buf_free(&r->body);
    clo_buf_free(&r->out);
    clo_arena_free(&r->arena);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

/* --- connections --------------------------------------------------------------------------------------------------*/

/* socket_context is the index of the place plus one; 0: there was none, and every request on it is refused. */
static void on_connection(void *cls, struct MHD_Connection *conn, void **context, enum MHD_ConnectionNotificationCode what)
{
    clo_http *h = (clo_http *)cls;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);
        uint32_t i = info ? clo_places_take(&h->places, info->connect_fd) : UINT32_MAX;
        *context = i == UINT32_MAX ? NULL : (void *)(uintptr_t)(i + 1);
    } else if (*context) {
        clo_places_free(&h->places, (uint32_t)((uintptr_t)*context - 1));
    }
}

/* What libmicrohttpd would print (malformed requests, TLS handshakes that fail) is the client's affair. */
static void no_log(void *cls, const char *fmt, va_list ap)
{
    (void)cls;
    (void)fmt;
    (void)ap;
}

bool clo_mhd_open(clo_http *h, int listen_fd, clo_err *err)
{
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_ERROR_LOG |
                     (h->cert ? MHD_USE_TLS : 0U);
    struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_CERT, 0, h->cert},
                                   {MHD_OPTION_HTTPS_MEM_KEY, 0, h->key},
                                   {MHD_OPTION_END, 0, NULL}};
    struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
    h->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, h, MHD_OPTION_EXTERNAL_LOGGER, no_log, NULL, MHD_OPTION_LISTEN_SOCKET, listen_fd,
        MHD_OPTION_THREAD_POOL_SIZE, (unsigned)h->o.n_threads, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)h->o.n_connections_max, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_BYTES,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)h->o.idle_s, MHD_OPTION_URI_LOG_CALLBACK, begin_request, h,
        MHD_OPTION_NOTIFY_COMPLETED, end_request, h, MHD_OPTION_NOTIFY_CONNECTION, on_connection, h,
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_ARRAY, h->cert ? tls : none, MHD_OPTION_END);
    if (h->daemon) return true;
    return clo_fail(err, CLO_ERR_IO, h->cert ? "start the HTTP server (is the certificate with its key in PEM?)"
                                             : "start the HTTP server");
}
