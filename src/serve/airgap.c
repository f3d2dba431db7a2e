/* See airgap.h: the attempts. airgap_sockets.c lists sockets. */
#include "serve/airgap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORT_DISCARD 9
#define AF_VSOCK_ 40

/* Each tries and returns 0 when it got out, else errno. A refusal by the network (nobody listens, no road) is not one by
 * the kernel's rules: the attempt was let through. */

static bool let_through(int rc)
{
    return rc == 0 || (errno != EPERM && errno != EACCES);
}

static int with_socket(int family, int type, int protocol, const void *to, socklen_t to_len)
{
    int fd = socket(family, type | SOCK_CLOEXEC, protocol);
    if (fd < 0) return errno;
    int why = to && !let_through(connect(fd, to, to_len)) ? errno : 0;
    close(fd);
    return why;
}

static struct sockaddr_in v4(const char *address)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT_DISCARD)};
    inet_pton(AF_INET, address, &a.sin_addr);
    return a;
}

static struct sockaddr_in6 v6(const char *address)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(PORT_DISCARD)};
    inet_pton(AF_INET6, address, &a.sin6_addr);
    return a;
}

static int try_tcp(void)
{
    struct sockaddr_in a = v4("127.0.0.1");
    return with_socket(AF_INET, SOCK_STREAM, 0, &a, sizeof a);
}

static int try_tcp6(void)
{
    struct sockaddr_in6 a = v6("::1");
    return with_socket(AF_INET6, SOCK_STREAM, 0, &a, sizeof a);
}

/* Without a road there is no way out by this one, whoever forbids it. */
static int road(int family, const void *to, socklen_t to_len)
{
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    int why = connect(fd, to, to_len) ? errno : 0;
    close(fd);
    return why;
}

static int try_road(void)
{
    struct sockaddr_in a = v4("192.0.2.1");
    return road(AF_INET, &a, sizeof a);
}

static int try_road6(void)
{
    struct sockaddr_in6 a = v6("2001:db8::1");
    return road(AF_INET6, &a, sizeof a);
}

static int try_udp(void)
{
    struct sockaddr_in a = v4("127.0.0.1");
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    ssize_t n = sendto(fd, "x", 1, 0, (struct sockaddr *)&a, sizeof a);
    int why = let_through(n < 0 ? -1 : 0) ? 0 : errno;
    close(fd);
    return why;
}

static int try_fast_open(void)
{
    struct sockaddr_in a = v4("127.0.0.1");
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    ssize_t n = sendto(fd, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&a, sizeof a);
    int why = let_through(n < 0 ? -1 : 0) ? 0 : errno;
    close(fd);
    return why;
}

static int try_unix(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/dev-log"};
    return with_socket(AF_UNIX, SOCK_DGRAM, 0, &a, sizeof a);
}

static int try_unix_abstract(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "\0cloche-nobody"};
    return with_socket(AF_UNIX, SOCK_STREAM, 0, &a, sizeof a);
}

static int try_socketpair(void)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds)) return errno;
    close(fds[0]);
    close(fds[1]);
    return 0;
}

static int try_raw(void)
{
    return with_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP, NULL, 0);
}

static int try_packet(void)
{
    return with_socket(AF_PACKET, SOCK_RAW, 0, NULL, 0);
}

static int try_netlink(void)
{
    return with_socket(AF_NETLINK, SOCK_RAW, 0, NULL, 0);
}

static int try_vsock(void)
{
    return with_socket(AF_VSOCK_, SOCK_STREAM, 0, NULL, 0);
}

static int try_listen(void)
{
    struct sockaddr_in a = v4("127.0.0.1");
    a.sin_port = 0;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    int why = bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 1) ? errno : 0;
    close(fd);
    return why;
}

static int try_io_uring(void)
{
    char params[120] = {0};
    long fd = syscall(SYS_io_uring_setup, 1, params);
    if (fd < 0) return errno;
    close((int)fd);
    return 0;
}

static int try_write_in(const char *folder)
{
    char path[4096];
    snprintf(path, sizeof path, "%.4000s/cloche-airgap-XXXXXX", folder);
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0) return errno;
    close(fd);
    unlink(path);
    return 0;
}

static int try_write_tmp(void)
{
    return try_write_in("/tmp");
}

static int try_write_shm(void)
{
    return try_write_in("/dev/shm");
}

static int try_fork(void)
{
    pid_t child = fork();
    if (child < 0) return errno;
    if (child == 0) _exit(0);
    waitpid(child, NULL, 0);
    return 0;
}

/* Of a file that is not there: a refusal of the call itself comes first. */
static int try_exec(void)
{
    char *const argv[] = {NULL};
    execve("/nonexistent/cloche-airgap", argv, argv);
    return errno == ENOENT ? 0 : errno;
}

static int try_memfd_exec(void)
{
    int fd = (int)syscall(SYS_memfd_create, "cloche-airgap", 1u);
    if (fd < 0) return errno;
    close(fd);
    return 0;
}

static int try_namespace(void)
{
    return unshare(0) ? errno : 0;
}

/* Another process's sockets could be taken through it. */
static int try_pidfd(void)
{
    long fd = syscall(SYS_pidfd_open, getppid(), 0);
    if (fd < 0) return errno;
    close((int)fd);
    return 0;
}

static int try_trace(void)
{
    char a[1] = {0}, b[1] = {0};
    struct {
        void *base;
        size_t len;
    } from = {a, 1}, to = {b, 1};
    return syscall(SYS_process_vm_writev, getpid(), &from, 1ul, &to, 1ul, 0ul) < 0 ? errno : 0;
}

static int try_signal(void)
{
    return syscall(SYS_kill, getppid(), 0) ? errno : 0;
}

static const struct {
    const char *what;
    int (*attempt)(void);
} attempts[] = {
    {"connect by TCP", try_tcp},
    {"connect by TCP over IPv6", try_tcp6},
    {"find a road to another machine", try_road},
    {"find a road over IPv6", try_road6},
    {"send a UDP datagram", try_udp},
    {"connect by TCP fast open", try_fast_open},
    {"connect to a unix socket", try_unix},
    {"connect to an abstract unix socket", try_unix_abstract},
    {"make a pair of sockets", try_socketpair},
    {"open a raw socket", try_raw},
    {"open a packet socket", try_packet},
    {"open a netlink socket", try_netlink},
    {"open a socket to the host of a virtual machine", try_vsock},
    {"listen on another port", try_listen},
    {"set up io_uring", try_io_uring},
    {"write a file in /tmp", try_write_tmp},
    {"write a file in /dev/shm", try_write_shm},
    {"start a process", try_fork},
    {"start a program", try_exec},
    {"make a file in memory to be run", try_memfd_exec},
    {"change namespaces", try_namespace},
    {"get hold of another process", try_pidfd},
    {"write another process's memory", try_trace},
    {"signal another process", try_signal},
};

_Static_assert(sizeof attempts / sizeof attempts[0] < CLO_ATTEMPTS_MAX, "room for the attempts");

static int try_write_beside(const char *data_dir)
{
    char parent[4096];
    snprintf(parent, sizeof parent, "%.4000s/..", data_dir);
    return try_write_in(parent);
}

size_t clo_airgap_try(clo_attempt out[CLO_ATTEMPTS_MAX], const char *data_dir)
{
    size_t n = 0;
    for (; n < sizeof attempts / sizeof attempts[0]; n++) {
        int why = attempts[n].attempt();
        bool writes = attempts[n].attempt == try_write_tmp || attempts[n].attempt == try_write_shm;
        out[n] = (clo_attempt){attempts[n].what, writes, why == 0, why};
    }
    if (data_dir) {
        int why = try_write_beside(data_dir);
        out[n++] = (clo_attempt){"write a file beside the data folder", true, why == 0, why};
    }
    return n;
}
