/* The seal: nothing gets out of a process that is sealed, and what a server needs still works. Each test seals a child. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "serve/airgap.h"
#include "hub/keys.h"
#include "serve/ledger.h"
#include "serve/notify.h"
#include "serve/seal.h"
#include "temp_folder.h"

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN 0
#endif

/* What the parent made before, and the child works with. */
typedef struct {
    char inside[64], outside[64], victim[128]; /* the data folder; another; a file in that */
    int listen_fd, notify_fd, peer_fd;         /* a listening socket; the service manager's two ends */
    int client_fd;                             /* the parent's own, not for the child */
    struct sockaddr_in at;
    int landlock;
} world;

static char notify_path[128];

static void make_world(world *w)
{
    memset(w, 0, sizeof *w);
    temp_folder_make(w->inside);
    temp_folder_make(w->outside);
    snprintf(w->victim, sizeof w->victim, "%s/victim", w->outside);
    assert_true(clo_file_write_atomic(w->victim, clo_bytes_of(CLO_STR("text")), NULL));
    w->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    w->at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof w->at;
    assert_int_equal(bind(w->listen_fd, (struct sockaddr *)&w->at, n), 0);
    assert_int_equal(listen(w->listen_fd, 8), 0);
    assert_int_equal(getsockname(w->listen_fd, (struct sockaddr *)&w->at, &n), 0);

    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(notify_path, sizeof notify_path, "%s/notify", w->outside);
    memcpy(a.sun_path, notify_path, strlen(notify_path));
    w->peer_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(w->peer_fd, (struct sockaddr *)&a, sizeof a), 0);
    setenv("NOTIFY_SOCKET", notify_path, 1);
    setenv("WATCHDOG_USEC", "3000000", 1);
    clo_notify notify;
    assert_true(clo_notify_open(&notify, NULL));
    assert_true(notify.watchdog_s == 3.0);
    w->notify_fd = notify.fd;
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
}

static void remove_world(world *w)
{
    close(w->listen_fd);
    close(w->notify_fd);
    close(w->peer_fd);
    temp_folder_remove(w->inside);
    temp_folder_remove(w->outside);
}

/* Runs `work` in a sealed child; it returns NULL or what is wrong. */
static void in_sealed_child(world *w, const char *(*work)(world *w))
{
    int fds[2];
    char said[512] = {0};
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    if (child == 0) {
        clo_err err = {0};
        clo_seal_state state;
        if (w->client_fd > 0) close(w->client_fd);
        const char *wrong = clo_seal(&state, &(clo_seal_opts){w->inside, w->notify_fd}, &err) ? NULL : err.text;
        w->landlock = state.landlock_abi;
        if (!wrong) wrong = work(w);
        if (wrong && write(fds[1], wrong, strlen(wrong)) < 0) _exit(2);
        _exit(wrong ? 1 : 0);
    }
    close(fds[1]);
    size_t n = 0;
    for (ssize_t k; (k = read(fds[0], said + n, sizeof said - 1 - n)) > 0;) n += (size_t)k;
    close(fds[0]);
    int status = 0;
    waitpid(child, &status, 0);
    if (status != 0) fail_msg("status %x: %s", (unsigned)status, said);
}

static char wrong_text[512];

static const char *attempts_fail(world *w)
{
    clo_attempt tries[CLO_ATTEMPTS_MAX];
    size_t n = clo_airgap_try(tries, w->inside);
    for (size_t i = 0; i < n; i++) {
        if (!w->landlock && tries[i].writes) continue;
        if (!tries[i].got_out) continue;
        snprintf(wrong_text, sizeof wrong_text, "%s: got out", tries[i].what);
        return wrong_text;
    }
    return n > 20 ? NULL : "too few attempts";
}

static void every_attempt_of_the_air_gaps_proof_fails(void **state)
{
    (void)state;
    world w;
    if (UNDER_TSAN) skip(); /* its own thread runs before main */
    make_world(&w);
    in_sealed_child(&w, attempts_fail);
    remove_world(&w);
}

static void the_same_attempts_succeed_without_the_seal(void **state)
{
    (void)state;
    clo_attempt tries[CLO_ATTEMPTS_MAX];
    char dir[64];
    temp_folder_make(dir);
    size_t n = clo_airgap_try(tries, dir), n_out = 0;
    bool tcp = false, fork_ok = false, tmp = false;
    for (size_t i = 0; i < n; i++) {
        n_out += tries[i].got_out;
        tcp |= tries[i].got_out && strcmp(tries[i].what, "connect by TCP") == 0;
        fork_ok |= tries[i].got_out && strcmp(tries[i].what, "start a process") == 0;
        tmp |= tries[i].got_out && strcmp(tries[i].what, "write a file in /tmp") == 0;
    }
    assert_true(tcp && fork_ok && tmp && n_out >= 8);
    temp_folder_remove(dir);
}

/* Sockets that are there cannot be turned into a way out. */
static const char *sockets_stay_what_they_are(world *w)
{
    struct sockaddr_in to = w->at;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    memcpy(un.sun_path, notify_path, strlen(notify_path));
    struct iovec io = {"x", 1};
    struct msghdr m = {.msg_name = &un, .msg_namelen = sizeof un, .msg_iov = &io, .msg_iovlen = 1};
    if (connect(w->listen_fd, (struct sockaddr *)&to, sizeof to) == 0) return "connect on the listening socket";
    shutdown(w->listen_fd, SHUT_RDWR);
    if (connect(w->listen_fd, (struct sockaddr *)&to, sizeof to) == 0) return "connect after shutdown";
    if (sendto(w->listen_fd, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&to, sizeof to) >= 0) return "fast open";
    if (connect(w->notify_fd, (struct sockaddr *)&un, sizeof un) == 0) return "connect the notify socket";
    if (sendto(w->notify_fd, "x", 1, 0, (struct sockaddr *)&un, sizeof un) >= 0) return "sendto an address";
    if (sendmsg(w->notify_fd, &m, 0) >= 0) return "sendmsg on the notify socket";
    if (syscall(SYS_sendmsg, (long)w->notify_fd | (1L << 32), &m, 0L) >= 0) return "sendmsg with a long number";
    if (dup(w->notify_fd) >= 0 || dup2(w->notify_fd, 200) >= 0) return "dup of the notify socket";
    if (fcntl(w->notify_fd, F_DUPFD, 100) >= 0 || fcntl(w->notify_fd, F_DUPFD_CLOEXEC, 100) >= 0) return "F_DUPFD";
    if (recvmsg(w->notify_fd, &m, MSG_DONTWAIT) >= 0 || errno != EPERM) return "recvmsg, which brings descriptors";
    int on = 1;
    if (setsockopt(w->listen_fd, IPPROTO_TCP, 19 /* TCP_REPAIR */, &on, sizeof on) == 0 || errno != EPERM)
        return "TCP_REPAIR";
    if (send(w->notify_fd, "WATCHDOG=1", 10, 0) != 10) return "the notify socket does not send any more";
    return NULL;
}

static void sockets_that_are_there_are_no_way_out(void **state)
{
    (void)state;
    world w;
    char said[64] = {0};
    if (UNDER_TSAN) skip();
    make_world(&w);
    in_sealed_child(&w, sockets_stay_what_they_are);
    assert_int_equal(recv(w.peer_fd, said, sizeof said, MSG_DONTWAIT), 10);
    assert_string_equal(said, "WATCHDOG=1");
    assert_true(recv(w.peer_fd, said, sizeof said, MSG_DONTWAIT) < 0);
    remove_world(&w);
}

static const char *files_outside_stay(world *w)
{
    char path[256], inside[256];
    if (!w->landlock) return NULL;
    snprintf(path, sizeof path, "%s/new", w->outside);
    snprintf(inside, sizeof inside, "%s/new", w->inside);
    if (open(w->victim, O_WRONLY) >= 0) return "open to write";
    if (open(w->victim, O_RDWR) >= 0) return "open to read and write";
    if (open(w->victim, O_RDONLY | O_TRUNC) >= 0) return "open to read, cut";
    if (open(w->victim, O_WRONLY | O_TRUNC) >= 0) return "open to write, cut";
    if (truncate(w->victim, 0) == 0) return "truncate";
    if (open(path, O_WRONLY | O_CREAT, 0600) >= 0) return "make";
    if (open(w->outside, O_WRONLY | O_TMPFILE, 0600) >= 0) return "make without a name";
    if (unlink(w->victim) == 0 || rename(w->victim, path) == 0) return "unlink or rename";
    if (mkdir(path, 0700) == 0 || symlink("x", path) == 0 || mknod(path, S_IFIFO | 0600, 0) == 0) return "mkdir, symlink, mknod";
    if (link(w->victim, inside) == 0) return "link into the data folder";
    if (chmod(w->victim, 0777) == 0 || utimensat(AT_FDCWD, w->victim, NULL, 0) == 0) return "chmod or utimensat";
    if (open("/proc/self/mem", O_RDWR) >= 0) return "/proc/self/mem";
    int fd = open(w->victim, O_RDONLY);
    if (fd < 0) return "reading outside is allowed";
    if (ftruncate(fd, 0) == 0 || fchmod(fd, 0777) == 0) return "ftruncate or fchmod of a file open to read";
    if (mmap(NULL, 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED) return "a mapping that writes";
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (open(path, O_RDWR) >= 0) return "open again by /proc/self/fd";
    return NULL;
}

static void files_outside_the_data_folder_do_not_change(void **state)
{
    (void)state;
    world w;
    clo_arena a = {0};
    clo_str text = {0};
    if (UNDER_TSAN) skip();
    make_world(&w);
    in_sealed_child(&w, files_outside_stay);
    assert_true(clo_file_read(&text, w.victim, 100, &a, NULL));
    assert_true(clo_str_eq(text, CLO_STR("text")));
    clo_arena_free(&a);
    remove_world(&w);
}

static const char *no_new_power(world *w)
{
    (void)w;
    char *const argv[] = {"/bin/true", NULL};
    if (execve("/bin/true", argv, argv) == 0 || errno != EPERM) return "execve";
    if (syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) >= 0) return "clone of a process";
    if (ptrace(PTRACE_TRACEME, 0, 0, 0) == 0) return "ptrace";
    if (syscall(SYS_seccomp, 0, 0, NULL) == 0) return "seccomp";
    if (prctl(PR_SET_SECCOMP, 0) == 0) return "prctl";
    if (syscall(SYS_pidfd_getfd, 3, 0, 0) >= 0 || errno != EPERM) return "pidfd_getfd";
    if (syscall(SYS_bpf, 0, NULL, 0) >= 0 || errno != EPERM) return "bpf";
    if (syscall(SYS_mount, "a", "/", "b", 0, 0) == 0 || errno != EPERM) return "mount";
    if (kill(getppid(), 0) == 0) return "kill";
    if (syscall(SYS_tgkill, getppid(), getppid(), 0) == 0) return "tgkill of another";
    if (syscall(435 /* clone3 */, NULL, 0) >= 0 || errno != ENOSYS) return "clone3";
    char c = 'x';
    if (ioctl(0, 0x5412 /* TIOCSTI */, &c) == 0 || errno != EPERM) return "TIOCSTI";
    return NULL;
}

static void no_programs_no_processes_no_way_back(void **state)
{
    (void)state;
    world w;
    if (UNDER_TSAN) skip();
    make_world(&w);
    in_sealed_child(&w, no_new_power);
    remove_world(&w);
}

static void *accept_one(void *ctx)
{
    world *w = ctx;
    char c = 0;
    int fd = accept4(w->listen_fd, NULL, NULL, SOCK_CLOEXEC), on = 1;
    bool ok = fd >= 0 && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 && read(fd, &c, 1) == 1 &&
              send(fd, "y", 1, MSG_NOSIGNAL) == 1;
    struct iovec io = {"z", 1};
    struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1};
    ok = ok && sendmsg(fd, &m, MSG_NOSIGNAL) == 1;
    if (fd >= 0) close(fd);
    return ok && c == 'x' ? w : NULL;
}

static const char *a_server_works(world *w)
{
    pthread_t t;
    void *back = NULL;
    clo_ledger *l = NULL;
    clo_keys *k = NULL;
    clo_err err = {0};
    char path[256];
    if (pthread_create(&t, NULL, accept_one, w)) return "no thread";
    pthread_join(t, &back);
    if (!back) return "the connection was not served";
    int ep = epoll_create1(EPOLL_CLOEXEC);
    if (ep < 0) return "no epoll";
    clo_audit_record r = {.at_ms = 1000, .event = "answer", .key = CLO_STR("anna"), .counts = true, .n_output = 3};
    if (!clo_keys_open(&k, w->inside, &err) || !clo_ledger_open(&l, w->inside, 200, &err) ||
        !clo_ledger_put_wait(l, &r, &err) || !clo_ledger_put_wait(l, &r, &err)) {
        snprintf(wrong_text, sizeof wrong_text, "%s", err.text);
        return wrong_text;
    }
    clo_ledger_close(l);
    clo_keys_close(k);
    snprintf(path, sizeof path, "%s/cache/a", w->inside);
    if (!clo_mkdir_p(path, NULL)) return "no folders";
    snprintf(path, sizeof path, "%s/cache/a/b", w->inside);
    if (!clo_file_write_atomic(path, clo_bytes_of(CLO_STR("cached")), &err)) return "no file written";
    char to[256];
    snprintf(to, sizeof to, "%s/c", w->inside);
    if (rename(path, to)) return "no rename between folders";
    snprintf(path, sizeof path, "%s/cache/a", w->inside);
    if (rmdir(path)) return "no rmdir";
    snprintf(path, sizeof path, "%s/cache", w->inside);
    return rmdir(path) ? "no rmdir" : NULL;
}

static void a_sealed_server_accepts_answers_and_keeps_its_books(void **state)
{
    (void)state;
    world w;
    char got[2];
    if (UNDER_TSAN) skip();
    make_world(&w);
    int fd = w.client_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&w.at, sizeof w.at), 0);
    assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), 1);
    in_sealed_child(&w, a_server_works);
    assert_int_equal(recv(fd, got, 2, MSG_WAITALL), 2);
    close(fd);
    remove_world(&w);
}

/* Sealing is refused while a second thread runs or something is connected. */
static void *sleep_long(void *ctx)
{
    (void)ctx;
    pause();
    return NULL;
}

static void what_was_started_or_connected_before_stands_in_the_way(void **state)
{
    (void)state;
    world w;
    make_world(&w);
    pid_t child = fork();
    if (child == 0) {
        pthread_t t;
        clo_seal_state s;
        clo_err err = {0};
        pthread_create(&t, NULL, sleep_long, NULL);
        bool ok = !clo_seal(&s, &(clo_seal_opts){w.inside, w.notify_fd}, &err) && err.code == CLO_ERR_USAGE;
        _exit(ok ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    if (!UNDER_TSAN && (child = fork()) == 0) {
        clo_seal_state s;
        clo_err err = {0};
        bool ok = !clo_seal(&s, &(clo_seal_opts){w.inside, -1}, &err) && err.code == CLO_ERR_USAGE &&
                  strstr(err.text, "connected socket");
        _exit(ok ? 0 : 1);
    }
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    remove_world(&w);
}

#if defined(__x86_64__)
/* The old 32-bit interface has other numbers for the same calls: using it ends the process. */
static void calls_by_another_interface_end_the_process(void **state)
{
    (void)state;
    world w;
    if (UNDER_TSAN) skip();
    make_world(&w);
    for (int x32 = 0; x32 < 2; x32++) {
        pid_t child = fork();
        if (child == 0) {
            clo_seal_state s;
            if (!clo_seal(&s, &(clo_seal_opts){w.inside, w.notify_fd}, NULL)) _exit(1);
            long rc;
            if (x32) rc = syscall(0x40000000 + 39);                             /* getpid by x32 */
            else __asm__ volatile("int $0x80" : "=a"(rc) : "a"(20L) : "memory"); /* getpid by i386 */
            _exit(rc > 0 ? 1 : 0);                                              /* a kernel without it: refused too */
        }
        int status = 0;
        waitpid(child, &status, 0);
        if (!(WIFSIGNALED(status) || status == 0)) fail_msg("x32 %d: status %x", x32, (unsigned)status);
    }
    remove_world(&w);
}
#endif

static void listening_sockets_are_listed(void **state)
{
    (void)state;
    world w;
    json_t *list = NULL, *s;
    size_t i;
    char local[64];
    bool found = false;
    make_world(&w);
    snprintf(local, sizeof local, "127.0.0.1:%u", ntohs(w.at.sin_port));
    assert_true(clo_airgap_sockets(&list, NULL));
    json_array_foreach (list, i, s)
        found |= strcmp(json_string_value(json_object_get(s, "local")), local) == 0 &&
                 strcmp(json_string_value(json_object_get(s, "state")), "listening") == 0;
    assert_true(found);
    json_decref(list);
    remove_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_attempt_of_the_air_gaps_proof_fails),
        cmocka_unit_test(the_same_attempts_succeed_without_the_seal),
        cmocka_unit_test(sockets_that_are_there_are_no_way_out),
        cmocka_unit_test(files_outside_the_data_folder_do_not_change),
        cmocka_unit_test(no_programs_no_processes_no_way_back),
        cmocka_unit_test(a_sealed_server_accepts_answers_and_keeps_its_books),
        cmocka_unit_test(what_was_started_or_connected_before_stands_in_the_way),
#if defined(__x86_64__)
        cmocka_unit_test(calls_by_another_interface_end_the_process),
#endif
        cmocka_unit_test(listening_sockets_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
