/* Life of the server, and the application's side of a request. See http.h, http_impl.h. */
#include "serve/http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "serve/http_impl.h"

#define FILES_KEPT 256 /* descriptors that are not for connections */

double clo_http_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* --- workers ------------------------------------------------------------------------------------------------------*/

/* One turn of a request at the application. The caller holds the request for it, and the hold ends here. */
static void handle(clo_request *r)
{
    clo_http_app *app = &r->h->o.app;
    pthread_mutex_lock(&r->lock);
    bool gone = r->gone;
    pthread_mutex_unlock(&r->lock);
    if (!gone) app->handle(app->ctx, r);
    pthread_mutex_lock(&r->lock);
    r->handled = true;
    r->n_holds--;
    bool tell = r->gone && !r->gone_told && r->gone_fn && r->n_holds == 0;
    if (tell) r->gone_told = true;
    void (*gone_fn)(void *) = r->gone_fn;
    if (tell) r->n_holds++; /* so that it does not end before it was told */
    clo_request_wake_locked(r);
    pthread_mutex_unlock(&r->lock);
    if (!tell) return;
    gone_fn(r->data);
    pthread_mutex_lock(&r->lock);
    r->n_holds--;
    clo_request_wake_locked(r);
    pthread_mutex_unlock(&r->lock);
}

static void *work(void *ctx)
{
    clo_workers *w = (clo_workers *)ctx;
    for (;;) {
        pthread_mutex_lock(&w->lock);
        while (!w->first && !w->stopping) pthread_cond_wait(&w->more, &w->lock);
        clo_request *r = w->first;
        if (r) w->first = r->next;
        if (!w->first) w->last = NULL;
        pthread_mutex_unlock(&w->lock);
        if (!r) return NULL;
        handle(r);
    }
}

void clo_workers_push(clo_workers *w, clo_request *r)
{
    pthread_mutex_lock(&w->lock);
    r->next = NULL;
    if (w->last) w->last->next = r;
    else w->first = r;
    w->last = r;
    pthread_cond_signal(&w->more);
    pthread_mutex_unlock(&w->lock);
}

bool clo_workers_open(clo_workers *w, size_t n, clo_err *err)
{
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->more, NULL);
    for (; w->n_threads < n; w->n_threads++) {
        int rc = pthread_create(&w->threads[w->n_threads], NULL, work, w);
        if (rc != 0) return clo_fail_sys(err, rc, "start a thread");
    }
    return true;
}

void clo_workers_close(clo_workers *w)
{
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_broadcast(&w->more);
    pthread_mutex_unlock(&w->lock);
    for (size_t i = 0; i < w->n_threads; i++) pthread_join(w->threads[i], NULL);
    w->n_threads = 0;
}

/* --- life ---------------------------------------------------------------------------------------------------------*/

static size_t or_default(size_t given, size_t fallback)
{
    return given ? given : fallback;
}

/* As many connections as asked for, if the system lets this process open so many files. */
static size_t raise_files(size_t n_wanted)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) != 0) return clo_min(n_wanted, 512);
    if (l.rlim_cur < l.rlim_max && l.rlim_cur < n_wanted + FILES_KEPT) {
        l.rlim_cur = l.rlim_max < n_wanted + FILES_KEPT ? l.rlim_max : n_wanted + FILES_KEPT;
        if (setrlimit(RLIMIT_NOFILE, &l) != 0) getrlimit(RLIMIT_NOFILE, &l);
    }
    size_t n = l.rlim_cur > 2 * FILES_KEPT ? (size_t)l.rlim_cur - FILES_KEPT : FILES_KEPT;
    return clo_min(n_wanted, n);
}

static bool take_opts(clo_http *h, const clo_http_opts *o, clo_err *err)
{
    h->o = *o;
    h->o.listen = NULL;
    h->o.n_threads = clo_min(or_default(o->n_threads, 2), CLO_HTTP_THREADS_MAX);
    h->o.n_workers = clo_min(or_default(o->n_workers, 2), CLO_HTTP_THREADS_MAX);
    h->o.n_connections_max = raise_files(or_default(o->n_connections_max, 16384));
    h->o.body_bytes_max = or_default(o->body_bytes_max, (size_t)16 << 20);
    h->o.bodies_bytes_max = or_default(o->bodies_bytes_max, (size_t)512 << 20);
    if (h->o.idle_s <= 0) h->o.idle_s = 75;
    if (h->o.request_s <= 0) h->o.request_s = 300;
    if (h->o.ping_s <= 0) h->o.ping_s = 15;
    if (!o->tls_cert != !o->tls_key) return clo_fail(err, CLO_ERR_USAGE, "TLS needs both a certificate and its key");
    if (!o->tls_cert) return true;
    h->cert = strdup(o->tls_cert);
    h->key = strdup(o->tls_key);
    return (h->cert && h->key) || clo_fail(err, CLO_ERR_MEMORY, "certificate");
}

bool clo_http_open(clo_http **out, const clo_http_opts *o, clo_err *err)
{
    clo_http *h = (clo_http *)calloc(1, sizeof *h);
    int fd = -1;
    if (!h) return clo_fail(err, CLO_ERR_MEMORY, "HTTP server");
    bool ok = take_opts(h, o, err) &&
              clo_listen(&fd, h, o->listen ? o->listen : "127.0.0.1:11434", h->cert != NULL, err) &&
              (!o->listening || o->listening(o->app.ctx, h, err)) && clo_places_open(h, h->o.n_connections_max, err) &&
              clo_workers_open(&h->workers, h->o.n_workers, err);
    if (!ok && fd >= 0) close(fd);
    if (!ok || !clo_mhd_open(h, fd, err)) {
        clo_http_close(h);
        return false;
    }
    *out = h;
    return true;
}

const char *clo_http_url(const clo_http *h)
{
    return h->url;
}

bool clo_http_is_local(const clo_http *h)
{
    return h->local;
}

/* The watching thread loses every request again and again until none is left: those that a worker has, and connections
 * that were just accepted, come to an end of their own. */
void clo_http_stop(clo_http *h)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    const uint64_t one = 1;
    clo_places *p = &h->places;
    if (!h->daemon) return;
    int fd = MHD_quiesce_daemon(h->daemon);
    if (fd >= 0) close(fd);
    for (bool left = true; left;) {
        pthread_mutex_lock(&p->lock);
        p->stopping = true;
        left = p->n_requests > 0;
        pthread_mutex_unlock(&p->lock);
        if (write(p->wake_fd, &one, sizeof one) < 0 || left) nanosleep(&pause, NULL);
    }
    MHD_stop_daemon(h->daemon);
    h->daemon = NULL;
    if (h->unix_path[0]) unlink(h->unix_path);
}

void clo_http_close(clo_http *h)
{
    if (!h) return;
    clo_http_stop(h);
    if (h->workers.n_threads > 0) clo_workers_close(&h->workers);
    clo_places_close(&h->places);
    free(h->cert);
    free(h->key);
    free(h);
}

void clo_http_stats_of(clo_http *h, clo_http_stats *out)
{
    pthread_mutex_lock(&h->places.lock);
    *out = (clo_http_stats){h->places.n_used, h->places.n_max, h->places.n_requests};
    pthread_mutex_unlock(&h->places.lock);
}

/* --- a request ----------------------------------------------------------------------------------------------------*/

const clo_http *clo_request_server(const clo_request *r)
{
    return r->h;
}

clo_str clo_request_method(const clo_request *r)
{
    return r->method;
}

clo_str clo_request_path(const clo_request *r)
{
    return r->path;
}

clo_str clo_request_target(const clo_request *r)
{
    return r->target;
}

clo_str clo_request_query(const clo_request *r)
{
    return r->query;
}

clo_str clo_request_body(const clo_request *r)
{
    return clo_buf_str(&r->body);
}

clo_body_fault clo_request_body_fault(const clo_request *r)
{
    return r->body_fault;
}

size_t clo_request_body_max(const clo_request *r)
{
    return r->h->o.body_bytes_max;
}

void clo_request_sink(clo_request *r, bool (*take)(void *ctx, clo_str bytes), void (*end)(void *ctx), void *ctx)
{
    r->sink = take;
    r->sink_end = end;
    r->sink_ctx = ctx;
}

void *clo_request_sink_ctx(const clo_request *r)
{
    return r->sink_ctx;
}

clo_str clo_request_header(const clo_request *r, const char *name)
{
    const char *value = NULL;
    size_t n = 0;
    if (MHD_lookup_connection_value_n(r->conn, MHD_HEADER_KIND, name, strlen(name), &value, &n) != MHD_YES)
        return (clo_str){0};
    return (clo_str){value, n};
}

const char *clo_request_id(const clo_request *r)
{
    return r->id;
}

clo_arena *clo_request_arena(clo_request *r)
{
    return &r->arena;
}

double clo_request_age_s(const clo_request *r)
{
    return clo_http_now() - r->begin_s;
}

unsigned clo_request_status(const clo_request *r)
{
    return r->status;
}

void clo_request_attach(clo_request *r, void *data, void (*gone)(void *data), void (*end)(void *data))
{
    pthread_mutex_lock(&r->lock);
    r->data = data;
    r->gone_fn = gone;
    r->end_fn = end;
    pthread_mutex_unlock(&r->lock);
}

void *clo_request_data(const clo_request *r)
{
    return r->data;
}

void clo_request_set_route(clo_request *r, const void *route)
{
    r->route = route;
}

const void *clo_request_route(const clo_request *r)
{
    return r->route;
}

bool clo_request_is_gone(clo_request *r)
{
    pthread_mutex_lock(&r->lock);
    bool gone = r->gone;
    pthread_mutex_unlock(&r->lock);
    return gone;
}

void clo_request_hold(clo_request *r)
{
    pthread_mutex_lock(&r->lock);
    r->n_holds++;
    pthread_mutex_unlock(&r->lock);
}

void clo_request_again(clo_request *r)
{
    clo_workers_push(&r->h->workers, r); /* the hold goes with it */
}

/* --- waking -------------------------------------------------------------------------------------------------------*/

void clo_request_wake_locked(clo_request *r)
{
    if (!r->suspended || r->n_holds > 0) return;
    if (!r->gone && !(r->queued ? r->woken : r->ready)) return;
    r->suspended = false;
    MHD_resume_connection(r->conn);
}

void clo_request_wake(clo_request *r)
{
    pthread_mutex_lock(&r->lock);
    r->woken = true;
    clo_request_wake_locked(r);
    pthread_mutex_unlock(&r->lock);
}

void clo_request_lose(clo_request *r)
{
    pthread_mutex_lock(&r->lock);
    r->gone = true;
    bool tell = r->handled && r->n_holds == 0 && r->gone_fn && !r->gone_told;
    if (tell) r->gone_told = true;
    void (*gone_fn)(void *) = r->gone_fn;
    void *data = r->data;
    pthread_mutex_unlock(&r->lock);
    if (tell) gone_fn(data); /* the lock of the places is held, so the request stays */
    pthread_mutex_lock(&r->lock);
    clo_request_wake_locked(r);
    pthread_mutex_unlock(&r->lock);
}

/* --- replies ------------------------------------------------------------------------------------------------------*/

void clo_reply_header(clo_request *r, const char *name, const char *value)
{
    clo_str n = clo_arena_copy_str(&r->arena, clo_str_from(name)), v = clo_arena_copy_str(&r->arena, clo_str_from(value));
    if (n.ptr && v.ptr && r->n_fields < CLO_REPLY_FIELDS_MAX) r->fields[r->n_fields++] = (clo_reply_field){n.ptr, v.ptr};
}

void clo_request_reply(clo_request *r, unsigned status)
{
    pthread_mutex_lock(&r->lock);
    r->status = status;
    r->ready = true;
    clo_request_wake_locked(r);
    pthread_mutex_unlock(&r->lock);
}

void clo_reply_buf(clo_request *r, unsigned status, const char *type, clo_buf *body)
{
    clo_buf_free(&r->out);
    r->out = *body;
    *body = (clo_buf){0};
    if (r->out.failed) {
        clo_buf_free(&r->out);
        status = MHD_HTTP_INTERNAL_SERVER_ERROR;
    }
    r->type = type;
    clo_request_reply(r, status);
}

void clo_reply(clo_request *r, unsigned status, const char *type, clo_str body)
{
    clo_buf b = {0};
    clo_buf_add(&b, body);
    clo_reply_buf(r, status, type, &b);
}

void clo_reply_when_called(clo_request *r, void (*build)(void *ctx, clo_request *r), void *ctx)
{
    pthread_mutex_lock(&r->lock);
    r->build = build;
    r->reply_ctx = ctx;
    r->ready = true;
    clo_request_wake_locked(r);
    pthread_mutex_unlock(&r->lock);
}

void clo_reply_stream(clo_request *r, unsigned status, const char *type,
                      clo_stream_step (*fill)(void *ctx, clo_buf *out, bool quiet), void *ctx)
{
    pthread_mutex_lock(&r->lock);
    r->status = status;
    r->type = type;
    r->fill = fill;
    r->reply_ctx = ctx;
    r->ready = true;
    clo_request_wake_locked(r);
    pthread_mutex_unlock(&r->lock);
}

void clo_reply_file(clo_request *r, unsigned status, const char *type, int fd, uint64_t off, uint64_t n)
{
    r->type = type;
    r->fd = fd;
    r->fd_off = off;
    r->n_bytes = n;
    clo_request_reply(r, status);
}

void clo_reply_reader(clo_request *r, unsigned status, const char *type, uint64_t n,
                      ssize_t (*read)(void *ctx, char *to, size_t max), void (*end)(void *ctx), void *ctx)
{
    r->type = type;
    r->n_bytes = n;
    r->read = read;
    r->read_end = end;
    r->reply_ctx = ctx;
    clo_request_reply(r, status);
}
