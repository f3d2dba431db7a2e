/* See seal.h. */
#include "serve/seal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "serve/seal_impl.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* --- calls that are let through -----------------------------------------------------------------------------------*/

/* Whatever their arguments. */
static const char *const calls[] = {
    /* open files and sockets */
    "read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "preadv2", "pwritev2", "close",
    "close_range", "lseek", "sendfile", "copy_file_range", "fadvise64", "readahead", "fsync", "fdatasync", "syncfs",
    "sync_file_range", "fallocate", "ftruncate", "flock", "dup", "dup2", "dup3", "poll", "ppoll", "select", "pselect6", "epoll_create1",
    "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "eventfd2", "timerfd_create", "timerfd_settime",
    "timerfd_gettime", "signalfd4", "pipe", "pipe2",
    /* sockets that are there */
    "accept", "accept4", "recvfrom", "shutdown", "getsockname", "getpeername", "getsockopt",
    /* files by name: Landlock says which may change */
    "stat", "lstat", "fstat", "newfstatat", "statx", "statfs", "fstatfs", "access", "faccessat", "faccessat2", "readlink",
    "readlinkat", "getcwd", "getdents64", "rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat",
    "rmdir", "link", "linkat", "umask",
    /* memory */
    "mmap", "munmap", "mprotect", "mremap", "madvise", "mincore", "mlock", "mlock2", "munlock", "brk",
    /* threads and time */
    "futex", "futex_waitv", "set_robust_list", "get_robust_list", "rseq", "membarrier", "set_tid_address", "arch_prctl",
    "exit", "exit_group", "sched_yield", "sched_getaffinity", "sched_setaffinity", "getcpu", "nanosleep",
    "clock_nanosleep", "clock_gettime", "clock_getres", "gettimeofday", "time", "restart_syscall",
    /* signals to itself */
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait", "rt_sigsuspend", "rt_sigpending", "sigaltstack",
    /* what it is */
    "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getgroups", "uname", "sysinfo", "getrlimit",
    "getrusage", "times", "getrandom",
};

static const uint32_t fcntls[] = {F_GETFD,  F_SETFD,  F_GETFL,     F_SETFL,      F_GETLK,      F_SETLK,
                                  F_SETLKW, F_DUPFD_CLOEXEC, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW};
static const uint32_t ioctls[] = {FIONREAD, FIONBIO, FIOCLEX, FIONCLEX, 0x5401 /* TCGETS */, TIOCGWINSZ};
static const uint32_t prctls[] = {PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, 0x53564d41 /* PR_SET_VMA */};
/* Not TCP_REPAIR, which makes a connection out of nothing. */
static const uint32_t tcp_options[] = {TCP_NODELAY, TCP_CORK,     TCP_KEEPIDLE,      TCP_KEEPINTVL,
                                       TCP_KEEPCNT, TCP_QUICKACK, TCP_USER_TIMEOUT, TCP_DEFER_ACCEPT};

#define EQ32(i, v) SCMP_CMP64(i, SCMP_CMP_MASKED_EQ, UINT32_MAX, (uint64_t)(uint32_t)(v))

/* A call that this processor's kernel does not have is passed over. */
static int allow(scmp_filter_ctx f, const char *name, unsigned n, struct scmp_arg_cmp a, struct scmp_arg_cmp b)
{
    struct scmp_arg_cmp args[2] = {a, b};
    int nr = seccomp_syscall_resolve_name(name);
    if (nr == __NR_SCMP_ERROR) return 0;
    int rc = seccomp_rule_add_array(f, SCMP_ACT_ALLOW, nr, n, args);
    return rc == -EDOM ? 0 : rc;
}

static const struct scmp_arg_cmp none;

static int allow_values(scmp_filter_ctx f, const char *name, unsigned i_arg, const uint32_t *values, size_t n)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) rc = allow(f, name, 1, EQ32(i_arg, values[i]), none);
    return rc;
}

static int allow_sockets(scmp_filter_ctx f)
{
    int rc = allow(f, "sendto", 1, SCMP_CMP64(4, SCMP_CMP_EQ, 0, 0), none); /* no address: to whom it is connected */
    /* An address in a message is out of sight; on a stream it says nothing, save that fast open would connect by it. */
    if (rc == 0) rc = allow(f, "sendmsg", 1, SCMP_CMP64(2, SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0), none);
    if (rc == 0) rc = allow(f, "setsockopt", 1, EQ32(1, SOL_SOCKET), none);
    for (size_t i = 0; rc == 0 && i < COUNT(tcp_options); i++)
        rc = allow(f, "setsockopt", 2, EQ32(1, IPPROTO_TCP), EQ32(2, tcp_options[i]));
    return rc;
}

/* A message on a datagram socket goes to the address in it, so the one that may be there cannot send any, nor get another
 * number. A filter of its own, of what is refused: a comparison for "not equal" would look at the upper half of the
 * register too, which the kernel ignores. */
static int guard_notify(int notify_fd)
{
    static const char *const refused[] = {"sendmsg", "sendmmsg", "dup", "dup2", "dup3"};
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    int rc = f ? seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1) : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < COUNT(refused); i++) {
        int nr = seccomp_syscall_resolve_name(refused[i]);
        rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), nr, 1, EQ32(0, notify_fd));
    }
    const uint32_t dups[] = {F_DUPFD, F_DUPFD_CLOEXEC};
    for (size_t i = 0; rc == 0 && i < COUNT(dups); i++)
        rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(fcntl), 2, EQ32(0, notify_fd), EQ32(1, dups[i]));
    if (rc == 0) rc = seccomp_load(f);
    seccomp_release(f);
    return rc;
}

/* Threads, and no other processes or namespaces. clone3 has its flags out of sight: libc falls back to clone. */
static int allow_threads(scmp_filter_ctx f)
{
    const uint64_t mask = CLONE_THREAD | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
                          CLONE_NEWNET | CLONE_NEWCGROUP | CLONE_PTRACE;
    int rc = allow(f, "clone", 1, SCMP_CMP64(0, SCMP_CMP_MASKED_EQ, mask, CLONE_THREAD), none);
    if (rc == 0) rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (rc == 0) rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(openat2), 0);
    if (rc == 0) rc = allow(f, "tgkill", 1, EQ32(0, getpid()), none);
    if (rc == 0) rc = allow(f, "prlimit64", 2, EQ32(0, 0), SCMP_CMP64(2, SCMP_CMP_EQ, 0, 0)); /* to ask */
    if (rc == 0) rc = allow(f, "prlimit64", 2, EQ32(0, getpid()), SCMP_CMP64(2, SCMP_CMP_EQ, 0, 0));
    return rc;
}

/* Opening to read and to cut in one is not a write to older Landlocks. */
static int allow_opening(scmp_filter_ctx f)
{
    static const struct {
        const char *name;
        unsigned i_flags;
    } rows[] = {{"open", 1}, {"openat", 2}};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < COUNT(rows); i++) {
        rc = allow(f, rows[i].name, 1, SCMP_CMP64(rows[i].i_flags, SCMP_CMP_MASKED_EQ, O_TRUNC, 0), none);
        const uint64_t ways[] = {O_WRONLY, O_RDWR};
        for (size_t j = 0; rc == 0 && j < COUNT(ways); j++)
            rc = allow(f, rows[i].name, 1,
                       SCMP_CMP64(rows[i].i_flags, SCMP_CMP_MASKED_EQ, O_TRUNC | O_ACCMODE, O_TRUNC | ways[j]), none);
    }
    return rc;
}

static bool seal_calls(int notify_fd, clo_err *err)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!f) return clo_fail(err, CLO_ERR_UNSUPPORTED, "seal: this kernel or libseccomp has no filters");
    int rc = notify_fd >= 0 ? guard_notify(notify_fd) : 0;
    if (rc == 0) rc = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
    /* Calls by the processor's other interfaces (x32, i386) end the process: libseccomp's own default. */
    for (size_t i = 0; rc == 0 && i < COUNT(calls); i++) rc = allow(f, calls[i], 0, none, none);
    if (rc == 0) rc = allow_values(f, "fcntl", 1, fcntls, COUNT(fcntls));
    if (rc == 0) rc = allow_values(f, "ioctl", 1, ioctls, COUNT(ioctls));
    if (rc == 0) rc = allow_values(f, "prctl", 0, prctls, COUNT(prctls));
    if (rc == 0) rc = allow_sockets(f);
    if (rc == 0) rc = allow_threads(f);
    if (rc == 0) rc = allow_opening(f);
    if (rc == 0) rc = seccomp_load(f);
    seccomp_release(f);
    return rc == 0 || clo_fail_sys(err, -rc, "seal: load the filter of system calls");
}

/* --- before -------------------------------------------------------------------------------------------------------*/

static bool check_alone(clo_err *err)
{
    DIR *d = opendir("/proc/self/task");
    size_t n = 0;
    if (!d) return clo_fail_sys(err, errno, "seal: list '/proc/self/task'");
    for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n == 1 || clo_fail(err, CLO_ERR_USAGE, "seal: %zu threads run already, 1 is expected", n);
}

static bool check_no_connection(int notify_fd, clo_err *err)
{
    DIR *d = opendir("/proc/self/fd");
    bool ok = true;
    if (!d) return clo_fail_sys(err, errno, "seal: list '/proc/self/fd'");
    for (struct dirent *e; ok && (e = readdir(d));) {
        struct sockaddr_storage a;
        socklen_t n = sizeof a;
        char *end = NULL;
        long fd = strtol(e->d_name, &end, 10);
        /* Standard input, output and error may be sockets: of the system's journal, or of who started the program. */
        if (end == e->d_name || fd <= STDERR_FILENO || fd == notify_fd) continue;
        if (getpeername((int)fd, (struct sockaddr *)&a, &n) == 0)
            ok = clo_fail(err, CLO_ERR_USAGE, "seal: descriptor %ld is a connected socket", fd);
    }
    closedir(d);
    return ok;
}

bool clo_seal(clo_seal_state *out, const clo_seal_opts *o, clo_err *err)
{
    *out = (clo_seal_state){0};
    if (!check_alone(err) || !check_no_connection(o->notify_fd, err)) return false;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return clo_fail_sys(err, errno, "seal: no new privileges");
    return clo_seal_files(&out->landlock_abi, o->data_dir, err) && seal_calls(o->notify_fd, err);
}
