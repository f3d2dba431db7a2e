/* See notify.h. */
#include "serve/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* $WATCHDOG_USEC, when $WATCHDOG_PID is this process or is not given. */
static double watchdog_s(void)
{
    const char *us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    char *end = NULL;
    if (!us || (pid && strtol(pid, NULL, 10) != (long)getpid())) return 0;
    double v = strtod(us, &end);
    return *end == 0 && v > 0 ? v * 1e-6 : 0;
}

bool clo_notify_open(clo_notify *out, clo_err *err)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    *out = (clo_notify){.fd = -1};
    if (!path || !*path) return true;
    size_t n = strlen(path);
    if ((path[0] != '/' && path[0] != '@') || n >= sizeof a.sun_path)
        return clo_fail(err, CLO_ERR_USAGE, "NOTIFY_SOCKET '%.120s': an absolute path or @name is expected", path);
    memcpy(a.sun_path, path, n);
    if (path[0] == '@') a.sun_path[0] = 0; /* a name that is in no file system */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n))) {
        int why = errno;
        if (fd >= 0) close(fd);
        return clo_fail_sys(err, why, "NOTIFY_SOCKET '%s'", path);
    }
    *out = (clo_notify){.fd = fd, .watchdog_s = watchdog_s()};
    return true;
}

void clo_notify_send(const clo_notify *n, const char *text)
{
    if (n->fd < 0) return;
    while (send(n->fd, text, strlen(text), MSG_NOSIGNAL) < 0 && errno == EINTR) {}
}

void clo_notify_close(clo_notify *n)
{
    if (n->fd >= 0) close(n->fd);
    n->fd = -1;
}
