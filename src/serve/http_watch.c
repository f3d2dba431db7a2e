/* The watching thread: clients that go away while nothing is sent, connections that are silent too long, streams that
 * need a sign of life. See http_impl.h. */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "serve/http_impl.h"

#define EVENTS_MAX 256
#define LOOK_MS 500          /* between two looks at the time */
#define CROWDED_IDLE_S 2.0   /* silence that is enough to lose a place when most are taken */
#define GONE_S 2.0           /* for what came before the end to be read */
#define WAKE_KEY UINT64_MAX

uint32_t clo_places_take(clo_places *p, int fd)
{
    pthread_mutex_lock(&p->lock);
    uint32_t i = p->i_free;
    if (i != UINT32_MAX) {
        clo_place *c = &p->all[i];
        p->i_free = c->i_next_free;
        p->n_used++;
        c->fd = fd;
        c->generation++;
        c->since_s = clo_http_now();
        c->state = CLO_CONN_IDLE;
        c->peer_gone = false;
        c->request = NULL;
        /* Edge-triggered: it is told once, and a request that comes behind an answer makes no noise. */
        struct epoll_event e = {.events = EPOLLRDHUP | EPOLLET, .data.u64 = (uint64_t)c->generation << 32 | i};
        epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, fd, &e);
    }
    pthread_mutex_unlock(&p->lock);
    return i;
}

void clo_places_free(clo_places *p, uint32_t i)
{
    if (i == UINT32_MAX) return;
    pthread_mutex_lock(&p->lock);
    clo_place *c = &p->all[i];
    epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
    c->fd = -1;
    c->request = NULL;
    c->i_next_free = p->i_free;
    p->i_free = i;
    p->n_used--;
    pthread_mutex_unlock(&p->lock);
}

void clo_places_set_request(clo_places *p, uint32_t i, clo_request *r)
{
    pthread_mutex_lock(&p->lock);
    clo_place *c = &p->all[i];
    if (r) p->n_requests++;
    else if (c->request) p->n_requests--;
    c->request = r;
    c->state = r ? CLO_CONN_RECEIVING : CLO_CONN_IDLE;
    c->since_s = clo_http_now();
    pthread_mutex_unlock(&p->lock);
}

void clo_places_touch(clo_places *p, uint32_t i)
{
    pthread_mutex_lock(&p->lock);
    p->all[i].since_s = clo_http_now();
    pthread_mutex_unlock(&p->lock);
}

bool clo_places_set_handling(clo_places *p, uint32_t i)
{
    pthread_mutex_lock(&p->lock);
    p->all[i].state = CLO_CONN_HANDLING;
    bool gone = p->all[i].peer_gone;
    pthread_mutex_unlock(&p->lock);
    return gone;
}

/* --- the thread ---------------------------------------------------------------------------------------------------*/

/* libmicrohttpd learns of it as of a client that hung up, and closes. The descriptor is open: its place is taken. */
static void cut_off(const clo_place *c)
{
    shutdown(c->fd, SHUT_RDWR);
}

static void take_events(clo_places *p, const struct epoll_event *e, int n)
{
    for (int i = 0; i < n; i++) {
        if (e[i].data.u64 == WAKE_KEY) continue;
        clo_place *c = &p->all[e[i].data.u64 & UINT32_MAX];
        if (c->fd < 0 || c->generation != (uint32_t)(e[i].data.u64 >> 32)) continue; /* closed meanwhile */
        if (!c->peer_gone) c->gone_s = clo_http_now();
        c->peer_gone = true;
        if (c->request && c->state == CLO_CONN_HANDLING) clo_request_lose(c->request);
    }
}

static void look_at_stream(clo_request *r, double now)
{
    pthread_mutex_lock(&r->lock);
    if (r->suspended && r->fill && now - r->last_sent_s >= r->h->o.ping_s) {
        r->quiet = r->woken = true;
        clo_request_wake_locked(r);
    }
    pthread_mutex_unlock(&r->lock);
}

/* An end that comes with the bytes before it is one event to libmicrohttpd, which reads the bytes and waits for more. */
static bool has_ended(const clo_place *c, double now)
{
    return c->state != CLO_CONN_HANDLING && c->peer_gone && now - c->gone_s > GONE_S;
}

static void look_at_time(clo_http *h)
{
    clo_places *p = &h->places;
    double now = clo_http_now();
    double idle_s = p->n_used > p->n_max / 4 * 3 ? CROWDED_IDLE_S : h->o.idle_s;
    for (size_t i = 0; i < p->n_max && p->n_used > 0; i++) {
        const clo_place *c = &p->all[i];
        if (c->fd < 0) continue;
        if (p->stopping) {
            if (c->request && c->state == CLO_CONN_HANDLING) clo_request_lose(c->request);
            else cut_off(c);
        } else if (c->state == CLO_CONN_HANDLING) {
            look_at_stream(c->request, now);
        } else if (has_ended(c, now) || now - c->since_s > (c->state == CLO_CONN_IDLE ? idle_s : h->o.request_s)) {
            cut_off(c);
        }
    }
}

static void *watch(void *ctx)
{
    clo_http *h = (clo_http *)ctx;
    clo_places *p = &h->places;
    struct epoll_event events[EVENTS_MAX];
    double next = 0;
    for (;;) {
        int n = epoll_wait(p->epoll_fd, events, EVENTS_MAX, LOOK_MS);
        pthread_mutex_lock(&p->lock);
        if (!p->running) break;
        if (n > 0) take_events(p, events, n);
        double now = clo_http_now();
        if (now >= next || p->stopping) {
            look_at_time(h);
            next = now + LOOK_MS * 1e-3;
        }
        pthread_mutex_unlock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* --- life ---------------------------------------------------------------------------------------------------------*/

bool clo_places_open(clo_http *h, size_t n_max, clo_err *err)
{
    clo_places *p = &h->places;
    pthread_mutex_init(&p->lock, NULL);
    p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    p->all = (clo_place *)calloc(n_max, sizeof *p->all);
    if (p->epoll_fd < 0 || p->wake_fd < 0) return clo_fail_sys(err, errno, "watch connections");
    if (!p->all) return clo_fail(err, CLO_ERR_MEMORY, "%zu connections", n_max);
    for (size_t i = n_max; i-- > 0;) {
        p->all[i].fd = -1;
        p->all[i].i_next_free = i + 1 < n_max ? (uint32_t)(i + 1) : UINT32_MAX;
    }
    p->n_max = n_max;
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = WAKE_KEY};
    epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, p->wake_fd, &e);
    p->running = true;
    int rc = pthread_create(&p->thread, NULL, watch, h);
    if (rc == 0) return true;
    p->running = false;
    return clo_fail_sys(err, rc, "start a thread");
}

void clo_places_close(clo_places *p)
{
    const uint64_t one = 1;
    if (p->running) {
        pthread_mutex_lock(&p->lock);
        p->running = false;
        pthread_mutex_unlock(&p->lock);
        if (write(p->wake_fd, &one, sizeof one) < 0) { /* it looks at the time soon anyway */
        }
        pthread_join(p->thread, NULL);
    }
    if (p->epoll_fd > 0) close(p->epoll_fd);
    if (p->wake_fd > 0) close(p->wake_fd);
    free(p->all);
    p->all = NULL;
}
