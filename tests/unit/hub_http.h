/* A server for the real git: one process, one connection at a time, just enough of HTTP to carry the bodies of smart HTTP. */
#ifndef CLO_TESTS_HUB_HTTP_H
#define CLO_TESTS_HUB_HTTP_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <strings.h>
#include <sys/socket.h>

#include "hub/fetch.h"
#include "hub/push.h"
#include "hub_box.h"

typedef struct {
    pid_t pid;
    int port;
} hub_http;

static inline const char *hub_header(const char *head, const char *name)
{
    static char value[512];
    size_t n = strlen(name);
    for (const char *at = strstr(head, "\r\n"); at && at[2] && at[2] != '\r'; at = strstr(at + 2, "\r\n")) {
        if (strncasecmp(at + 2, name, n) != 0 || at[2 + n] != ':') continue;
        const char *v = at + 3 + n + strspn(at + 3 + n, " ");
        snprintf(value, sizeof value, "%.*s", (int)strcspn(v, "\r"), v);
        return value;
    }
    return "";
}

/* Reads until at least n bytes are in `in`. */
static inline bool hub_fill(int fd, clo_buf *in, size_t n)
{
    while (in->len < n) {
        char *p = clo_buf_reserve(in, 65536);
        ssize_t got = p ? read(fd, p, 65536) : -1;
        if (got <= 0) return false;
        in->len += (size_t)got;
    }
    return true;
}

static inline bool hub_read_chunked(int fd, clo_buf *in, size_t at, clo_buf *body)
{
    for (;;) {
        while (true) {
            clo_buf_add(in, CLO_STR(""));
            if (in->len > at && memmem(in->ptr + at, in->len - at, "\r\n", 2)) break;
            if (!hub_fill(fd, in, in->len + 1)) return false;
        }
        size_t n = strtoul(in->ptr + at, NULL, 16);
        at = (size_t)((char *)memmem(in->ptr + at, in->len - at, "\r\n", 2) - in->ptr) + 2;
        if (!hub_fill(fd, in, at + n + 2)) return false;
        clo_buf_add(body, (clo_str){in->ptr + at, n});
        at += n + 2;
        if (n == 0) return true;
    }
}

static inline void hub_gunzip(clo_buf *body)
{
    clo_buf out = {0};
    z_stream z = {.next_in = (Bytef *)body->ptr, .avail_in = (uInt)body->len};
    inflateInit2(&z, 31);
    int rc = Z_OK;
    while (rc == Z_OK) {
        char *p = clo_buf_reserve(&out, 65536);
        z.next_out = (Bytef *)p;
        z.avail_out = 65536;
        rc = inflate(&z, Z_NO_FLUSH);
        out.len += 65536 - z.avail_out;
    }
    inflateEnd(&z);
    clo_buf_free(body);
    *body = out;
}

static inline bool hub_add_out(void *ctx, clo_bytes bytes, clo_err *err)
{
    clo_buf_add(ctx, clo_str_of(bytes));
    return clo_buf_ok(ctx, err);
}

/* A pull request may be written by its author: here, number 1. */
static inline bool hub_may_update(void *ctx, clo_git *g, const clo_push_update *u, clo_err *err)
{
    (void)ctx, (void)g;
    return strcmp(u->name, "refs/pr/2") != 0 || clo_fail(err, CLO_ERR_DENIED, "not your pull request");
}

static inline bool hub_serve_push(clo_git *g, const char *dir, const clo_buf *body, clo_buf *out, clo_err *err)
{
    clo_push *p = NULL;
    clo_push_opts o = {.tmp_dir = dir, .may_link = hub_may_link, .may_update = hub_may_update};
    bool ok = clo_push_open(&p, g, &o, err);
    for (size_t at = 0; ok && at < body->len; at += 1000)
        ok =
            clo_push_add(p, (clo_bytes){(uint8_t *)body->ptr + at, body->len - at < 1000 ? body->len - at : 1000}, err);
    ok = ok && clo_push_end(p, hub_add_out, out, err);
    clo_push_close(p);
    return ok;
}

static inline void hub_serve_one(int fd, clo_db *db, const char *dir, int64_t repo)
{
    clo_buf in = {0}, body = {0}, out = {0};
    clo_err err = {0};
    clo_git *g = NULL;
    char *end = NULL, head[65536], protocol[512];
    while (!(end = in.len ? memmem(in.ptr, in.len, "\r\n\r\n", 4) : NULL))
        if (!hub_fill(fd, &in, in.len + 1)) goto done;
    size_t at = (size_t)(end - in.ptr) + 4;
    snprintf(head, sizeof head, "%.*s", (int)at, in.ptr);
    if (strcmp(hub_header(head, "Expect"), "100-continue") == 0 && write(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25) != 25)
        goto done;
    if (strcmp(hub_header(head, "Transfer-Encoding"), "chunked") == 0) {
        if (!hub_read_chunked(fd, &in, at, &body)) goto done;
    } else {
        size_t n = strtoul(hub_header(head, "Content-Length"), NULL, 10);
        if (!hub_fill(fd, &in, at + n)) goto done;
        clo_buf_add(&body, (clo_str){in.ptr + at, n});
    }
    if (strcmp(hub_header(head, "Content-Encoding"), "gzip") == 0) hub_gunzip(&body);
    snprintf(protocol, sizeof protocol, "%s", hub_header(head, "Git-Protocol"));
    int version = clo_git_protocol(clo_str_from(protocol));
    bool push = strstr(head, "git-receive-pack") && strstr(head, "git-receive-pack") < strstr(head, "\r\n"), ok;
    bool advert = strncmp(head, "GET", 3) == 0;
    if (!clo_git_open(&g, db, repo, &err)) goto done;
    if (advert)
        ok = push ? clo_push_advertise(g, hub_add_out, &out, &err)
                  : clo_fetch_advertise(g, version, hub_add_out, &out, &err);
    else if (push) ok = hub_serve_push(g, dir, &body, &out, &err);
    else ok = clo_fetch_answer(g, version, clo_bytes_of(clo_buf_str(&body)), hub_add_out, &out, &err);
    if (!ok) fprintf(stderr, "server: %s\n", err.text);
    snprintf(head, sizeof head,
             "HTTP/1.1 %s\r\nContent-Type: application/x-git-%s-%s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
             ok ? "200 OK" : "500 Failed", push ? "receive-pack" : "upload-pack", advert ? "advertisement" : "result",
             out.len);
    clo_buf whole = {0};
    clo_buf_add(&whole, clo_str_from(head));
    clo_buf_add(&whole, clo_buf_str(&out));
    for (size_t sent = 0; sent < whole.len;) {
        ssize_t n = write(fd, whole.ptr + sent, whole.len - sent);
        if (n <= 0) break;
        sent += (size_t)n;
    }
    clo_buf_free(&whole);
done:
    clo_git_close(g);
    clo_buf_free(&in);
    clo_buf_free(&body);
    clo_buf_free(&out);
}

static inline void hub_http_start(hub_http *h, hub_box *b)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(s, 16), 0);
    assert_int_equal(getsockname(s, (struct sockaddr *)&a, &len), 0);
    h->port = ntohs(a.sin_port);
    h->pid = fork();
    if (h->pid == 0) {
        clo_db *db = NULL;
        clo_err err = {0};
        signal(SIGPIPE, SIG_IGN);
        if (!clo_db_open(&db, b->dir, &err)) _exit(3);
        for (;;) {
            int fd = accept(s, NULL, NULL);
            if (fd < 0) _exit(4);
            hub_serve_one(fd, db, b->dir, b->repo.id);
            close(fd);
        }
    }
    close(s);
}

static inline void hub_http_stop(hub_http *h)
{
    kill(h->pid, SIGKILL);
    waitpid(h->pid, NULL, 0);
}

#endif
