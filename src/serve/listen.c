/* Addresses to listen on. See http_impl.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "serve/address.h"
#include "serve/http_impl.h"

#define BACKLOG 4096

static bool is_loopback(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET)
        return (ntohl(((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr) >> 24) == 127;
    if (a->sa_family == AF_INET6) return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr);
    return false;
}

/* The port may have been chosen by the system, so the socket is asked. */
static void tell_url(clo_http *h, int fd, bool tls)
{
    struct sockaddr_storage a = {0};
    socklen_t n = sizeof a;
    char host[INET6_ADDRSTRLEN] = "?";
    unsigned port = 0;
    if (getsockname(fd, (struct sockaddr *)&a, &n) == 0 && a.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)(const void *)&a;
        inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof host);
        port = ntohs(in->sin6_port);
    } else {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)&a;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        port = ntohs(in->sin_port);
    }
    bool six = a.ss_family == AF_INET6;
    snprintf(h->url, sizeof h->url, "http%s://%s%s%s:%u", tls ? "s" : "", six ? "[" : "", host, six ? "]" : "", port);
    h->local = is_loopback((const struct sockaddr *)&a);
}

static bool listen_tcp(int *fd, clo_http *h, const char *address, bool tls, clo_err *err)
{
    char host[256], port[8];
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    const int on = 1;
    if (!clo_address_split(host, port, address, err)) return false;
    int rc = getaddrinfo(host[0] ? host : NULL, port, &hints, &found);
    if (rc != 0) return clo_fail(err, CLO_ERR_USAGE, "listen on '%s': %s", address, gai_strerror(rc));
    int s = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool ok = s >= 0 && setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
              bind(s, found->ai_addr, found->ai_addrlen) == 0 && listen(s, BACKLOG) == 0;
    int why = errno;
    freeaddrinfo(found);
    if (!ok) {
        if (s >= 0) close(s);
        return clo_fail_sys(err, why, "listen on '%s'", address);
    }
    tell_url(h, s, tls);
    *fd = s;
    return true;
}

/* A socket file that nobody listens on is left from a process that was killed. */
static bool remove_stale(const struct sockaddr_un *a, clo_err *err)
{
    struct stat st;
    if (lstat(a->sun_path, &st) != 0) return true;
    if (!S_ISSOCK(st.st_mode)) return clo_fail(err, CLO_ERR_USAGE, "'%s' is there and is no socket", a->sun_path);
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool in_use = s >= 0 && connect(s, (const struct sockaddr *)a, sizeof *a) == 0;
    if (s >= 0) close(s);
    if (in_use) return clo_fail_sys(err, EADDRINUSE, "listen on 'unix:%s'", a->sun_path);
    unlink(a->sun_path);
    return true;
}

static bool listen_unix(int *fd, clo_http *h, const char *path, clo_err *err)
{
    struct sockaddr_un a;
    if (!clo_address_of_unix(&a, path, err) || !remove_stale(&a, err)) return false;
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s < 0 || bind(s, (const struct sockaddr *)&a, sizeof a) != 0 || listen(s, BACKLOG) != 0) {
        int why = errno;
        if (s >= 0) close(s);
        return clo_fail_sys(err, why, "listen on 'unix:%s'", path);
    }
    memcpy(h->unix_path, path, strlen(path) + 1);
    snprintf(h->url, sizeof h->url, "unix:%s", path);
    h->local = true;
    *fd = s;
    return true;
}

bool clo_listen(int *fd, clo_http *h, const char *address, bool tls, clo_err *err)
{
    const char *path = clo_address_unix_path(address);
    return path ? listen_unix(fd, h, path, err) : listen_tcp(fd, h, address, tls, err);
}
